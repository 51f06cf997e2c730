//! Points in time as RFC 3339 writes them.

use crate::Timestamp;

/// Reads RFC 3339 in UTC (`Z`, or `+00:00`) from 1970 on: every byte of it counts. Fractions have at
/// most nine digits; what is beyond microseconds is cut.
pub fn parse_instant(text: &str) -> Option<Timestamp> {
    let text = text
        .strip_suffix('Z')
        .or_else(|| text.strip_suffix("+00:00"))?;
    let (date, time) = text.split_once('T')?;
    let (time, fraction) = time.split_once('.').unwrap_or((time, "0"));
    let [year, month, day] = numbers(date, '-', [4, 2, 2])?;
    let [hour, minute, second] = numbers(time, ':', [2, 2, 2])?;
    let in_range = year >= 1_970
        && (1..=12).contains(&month)
        && (1..=days_in(year, month)).contains(&day)
        && hour < 24
        && minute < 60
        && second < 60;
    if !in_range {
        return None;
    }
    let seconds = days_since_epoch(year, month, day) * 86_400 + hour * 3_600 + minute * 60 + second;
    Some(Timestamp::from_micros(
        seconds * 1_000_000 + microseconds(fraction)?,
    ))
}

fn numbers(text: &str, separator: char, widths: [usize; 3]) -> Option<[u64; 3]> {
    let mut numbers = [0; 3];
    let mut parts = text.split(separator);
    for (number, width) in numbers.iter_mut().zip(widths) {
        *number = digits(parts.next().filter(|part| part.len() == width)?)?;
    }
    parts.next().is_none().then_some(numbers)
}

fn digits(text: &str) -> Option<u64> {
    let all_digits = !text.is_empty() && text.bytes().all(|byte| byte.is_ascii_digit());
    all_digits.then(|| text.parse().ok()).flatten()
}

fn microseconds(fraction: &str) -> Option<u64> {
    if fraction.len() > 9 {
        return None;
    }
    digits(fraction)?;
    let padded = fraction.bytes().chain(std::iter::repeat(b'0')).take(6);
    Some(padded.fold(0, |sum, digit| sum * 10 + u64::from(digit - b'0')))
}

const fn is_leap(year: u64) -> bool {
    year.is_multiple_of(4) && (!year.is_multiple_of(100) || year.is_multiple_of(400))
}

const fn days_in(year: u64, month: u64) -> u64 {
    match month {
        2 if is_leap(year) => 29,
        2 => 28,
        4 | 6 | 9 | 11 => 30,
        _ => 31,
    }
}

/// Days from 1970-01-01, by eras of 400 years that start on 1 March.
const fn days_since_epoch(year: u64, month: u64, day: u64) -> u64 {
    let (year, month) = if month > 2 {
        (year, month - 3)
    } else {
        (year - 1, month + 9)
    };
    let (era, of_era) = (year / 400, year % 400);
    let day_of_year = (153 * month + 2) / 5 + day - 1;
    era * 146_097 + of_era * 365 + of_era / 4 - of_era / 100 + day_of_year - 719_468
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn reads_what_timestamps_print() {
        for seconds in [0, 951_782_400, 1_735_689_600, 1_800_000_000, 4_107_542_399] {
            let time = Timestamp::from_seconds(seconds);
            assert_eq!(parse_instant(&time.to_string()), Some(time), "{time}");
        }
        let time = Timestamp::from_micros(1_500_000);
        assert_eq!(parse_instant("1970-01-01T00:00:01.5Z"), Some(time));
        assert_eq!(
            parse_instant("1970-01-01T00:00:01.500000+00:00"),
            Some(time)
        );
    }

    #[test]
    fn refuses_what_is_no_instant_in_utc() {
        for bad in [
            "",
            "Z",
            "1970-01-01",
            "1970-01-01T00:00:00",
            "1970-01-01T00:00:00+01:00",
            "1970-01-01 00:00:00Z",
            "1970-1-01T00:00:00Z",
            "1970-13-01T00:00:00Z",
            "1970-00-01T00:00:00Z",
            "1970-01-32T00:00:00Z",
            "2023-02-29T00:00:00Z",
            "2100-02-29T00:00:00Z",
            "1970-01-01T24:00:00Z",
            "1970-01-01T00:60:00Z",
            "1970-01-01T00:00:60Z",
            "1969-12-31T23:59:59Z",
            "1970-01-01T00:00:00.Z",
            "1970-01-01T00:00:00.-1Z",
            "+970-01-01T00:00:00Z",
            "1970-01-01T00:00:00z",
            "1970-01-01T00:00:00:00Z",
            "1970-01-01T00:00:00.0000000000Z",
            "1970-01-01T00:00:00.000000xZ",
            "1970-01-01T00:00:00.000000Z9999-01-01T00:00:00Z",
            "1970-01-01T00:00:00.000é000Z",
        ] {
            assert_eq!(parse_instant(bad), None, "{bad:?}");
        }
    }
}
