//! Texts that others wrote, so that they can be shown.

/// The text with everything that is not seen, or changes how the rest is seen, made visible.
pub(super) fn visible(text: &str) -> String {
    let mut made = String::with_capacity(text.len());
    for one in text.chars() {
        if is_hidden(one) {
            made.push_str(&format!("<U+{:04X}>", u32::from(one)));
        } else {
            made.push(one);
        }
    }
    made
}

/// Controls, marks that change direction, joiners, fillers, variation selectors, tags, private use
/// and non-characters: what a reader does not see as it is.
fn is_hidden(one: char) -> bool {
    let code = u32::from(one);
    one.is_control()
        || matches!(
            code,
            0x00AD
                | 0x034F
                | 0x061C
                | 0x115F..=0x1160
                | 0x17B4..=0x17B5
                | 0x180B..=0x180F
                | 0x200B..=0x200F
                | 0x2028..=0x202E
                | 0x2060..=0x206F
                | 0x3164
                | 0xE000..=0xF8FF
                | 0xFDD0..=0xFDEF
                | 0xFE00..=0xFE0F
                | 0xFEFF
                | 0xFFA0
                | 0xFFF0..=0xFFFB
                | 0xE0000..=0x10FFFF
        )
        || code & 0xFFFE == 0xFFFE
}

/// How many cells a character takes in a font of one width.
pub(super) fn cells(one: char) -> usize {
    match u32::from(one) {
        0x1100..=0x115F | 0x2E80..=0xA4CF | 0xAC00..=0xD7A3 | 0xF900..=0xFAFF => 2,
        0xFE30..=0xFE6F | 0xFF00..=0xFF60 | 0xFFE0..=0xFFE6 | 0x1F000..=0x3FFFD => 2,
        _ => 1,
    }
}

/// The text, cut to so many cells with a mark where it was cut.
pub(super) fn cut(text: &str, most: usize) -> String {
    let text = visible(text);
    let width: usize = text.chars().map(cells).sum();
    if width <= most {
        return text;
    }
    let (mut made, mut taken) = (String::new(), 0_usize);
    for one in text.chars() {
        taken = taken.saturating_add(cells(one));
        if taken >= most {
            break;
        }
        made.push(one);
    }
    made.push('…');
    made
}

/// The last part of a path, for ids whose beginning says nothing new.
pub(super) fn tail(text: &str) -> &str {
    text.rsplit('/')
        .find(|part| !part.is_empty())
        .unwrap_or(text)
}

/// An id short enough for a box: its prefix and its first digits.
pub(super) fn short(id: &str) -> String {
    let id = tail(id);
    if id.chars().count() <= 14 {
        return id.to_owned();
    }
    let first: String = id.chars().take(12).collect();
    format!("{first}…")
}

/// `text`, with `s` where there is not one.
pub(super) fn counted(count: u64, text: &str) -> String {
    let plural = if count == 1 { "" } else { "s" };
    format!("{count} {text}{plural}")
}
