use std::collections::BTreeSet;
use std::path::{Path, PathBuf};
use std::str::FromStr as _;

use crate::code::{Code, CodeKind};
use crate::error::FieldError;
use crate::{Book, LoadError};

/// The largest amount of a line: a thousand million in the currency's unit, so that the sum of
/// every line that fits a file stays within 64 bits.
const MOST_CENTS: i64 = 100_000_000_000;

/// A CSV file with exactly the expected columns.
pub(super) struct Table<'a> {
    path: &'a Path,
    columns: &'static [&'static str],
    reader: csv::Reader<std::fs::File>,
}

impl<'a> Table<'a> {
    pub(super) fn open(
        path: &'a Path,
        columns: &'static [&'static str],
    ) -> Result<Self, LoadError> {
        let file = std::fs::File::open(path).map_err(|source| LoadError::Io {
            path: path.to_owned(),
            source,
        })?;
        let mut reader = csv::Reader::from_reader(file);
        let header = reader.headers().map_err(|source| csv_error(path, source))?;
        if header != columns {
            return Err(LoadError::Header {
                path: path.to_owned(),
                expected: columns.join(","),
            });
        }
        Ok(Self {
            path,
            columns,
            reader,
        })
    }

    pub(super) fn rows<T>(
        mut self,
        mut each: impl FnMut(&Row<'_>) -> Result<T, LoadError>,
    ) -> Result<Vec<T>, LoadError> {
        let mut read = Vec::new();
        for record in self.reader.records() {
            let record = record.map_err(|source| csv_error(self.path, source))?;
            read.push(each(&Row {
                path: self.path,
                columns: self.columns,
                record,
            })?);
        }
        Ok(read)
    }
}

fn csv_error(path: &Path, source: csv::Error) -> LoadError {
    LoadError::Csv {
        path: path.to_owned(),
        source,
    }
}

pub(super) struct Row<'a> {
    path: &'a Path,
    columns: &'static [&'static str],
    record: csv::StringRecord,
}

impl Row<'_> {
    pub(super) fn refuse(&self, column: &'static str, problem: FieldError) -> LoadError {
        LoadError::Field {
            path: PathBuf::from(self.path),
            line: self.record.position().map_or(0, csv::Position::line),
            column,
            problem,
        }
    }

    pub(super) fn code<K: CodeKind>(&self, column: &'static str) -> Result<Code<K>, LoadError> {
        Code::from_str(self.field(column)).map_err(|error| self.refuse(column, error.into()))
    }

    pub(super) fn book(&self, books: &BTreeSet<Book>) -> Result<Book, LoadError> {
        let book = self.code("book")?;
        match books.contains(&book) {
            true => Ok(book),
            false => Err(self.refuse("book", FieldError::UnknownBook)),
        }
    }

    pub(super) fn text(
        &self,
        column: &'static str,
        least: usize,
        most: usize,
    ) -> Result<String, LoadError> {
        let text = self.field(column);
        let fits = (least..=most).contains(&text.chars().count());
        match fits && !text.chars().any(char::is_control) {
            true => Ok(text.to_owned()),
            false => Err(self.refuse(column, FieldError::Text { least, most })),
        }
    }

    pub(super) fn date(&self, column: &'static str) -> Result<String, LoadError> {
        let text = self.field(column);
        match is_date(text) {
            true => Ok(text.to_owned()),
            false => Err(self.refuse(column, FieldError::Date)),
        }
    }

    pub(super) fn cents(&self, column: &'static str) -> Result<i64, LoadError> {
        self.field(column)
            .parse::<i64>()
            .ok()
            .filter(|cents| (-MOST_CENTS..=MOST_CENTS).contains(cents))
            .filter(|cents| cents.to_string() == self.field(column))
            .ok_or_else(|| self.refuse(column, FieldError::Amount))
    }

    pub(super) fn positive_cents(&self, column: &'static str) -> Result<i64, LoadError> {
        match self.cents(column)? {
            cents if cents > 0 => Ok(cents),
            _ => Err(self.refuse(column, FieldError::Amount)),
        }
    }

    fn field(&self, column: &str) -> &str {
        // A record has as many fields as the header: the reader is not flexible.
        self.columns
            .iter()
            .position(|name| *name == column)
            .and_then(|place| self.record.get(place))
            .unwrap_or_default()
    }
}

fn is_date(text: &str) -> bool {
    let parts = text.split('-').collect::<Vec<_>>();
    let [year, month, day] = parts.as_slice() else {
        return false;
    };
    let number = |part: &str, digits: usize| {
        (part.len() == digits && part.bytes().all(|byte| byte.is_ascii_digit()))
            .then(|| part.parse::<u32>().ok())
            .flatten()
    };
    let (Some(year), Some(month), Some(day)) = (number(year, 4), number(month, 2), number(day, 2))
    else {
        return false;
    };
    let leap = year % 4 == 0 && (year % 100 != 0 || year % 400 == 0);
    let days = match month {
        1 | 3 | 5 | 7 | 8 | 10 | 12 => 31,
        4 | 6 | 9 | 11 => 30,
        2 if leap => 29,
        2 => 28,
        _ => 0,
    };
    (1..=days).contains(&day)
}

#[cfg(test)]
mod tests {
    use super::is_date;

    #[test]
    fn dates_are_days_that_exist() {
        for date in ["2026-03-31", "2024-02-29", "2000-02-29"] {
            assert!(is_date(date), "{date}");
        }
        for date in [
            "",
            "2026-3-1",
            "2026-02-29",
            "1900-02-29",
            "2026-13-01",
            "2026-00-10",
            "2026-04-31",
            "2026-04-00",
            "2026-04-01-01",
            "+026-04-01",
            "2026/04/01",
        ] {
            assert!(!is_date(date), "{date}");
        }
    }
}
