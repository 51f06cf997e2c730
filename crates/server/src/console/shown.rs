/// Most characters of a text that are shown where it only begins.
const BEGINNING: usize = 200;

/// A text as a person is shown it: what is not seen, and what turns what is seen around, stands there by
/// its number and marked. Letters that look like others, of another alphabet, are not told apart.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Shown(Vec<Part>);

/// A part of a text.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Part {
    /// As it stands.
    Plain(String),
    /// A character that is named by its number.
    Marked(String),
}

impl Shown {
    pub(super) fn new(text: &str) -> Self {
        let mut parts: Vec<Part> = Vec::new();
        for letter in text.chars() {
            if is_hidden(letter) {
                parts.push(Part::Marked(format!("U+{:04X}", u32::from(letter))));
            } else if let Some(Part::Plain(text)) = parts.last_mut() {
                text.push(letter);
            } else {
                parts.push(Part::Plain(letter.into()));
            }
        }
        Self(parts)
    }

    /// How a text begins, and how many bytes follow.
    pub(super) fn beginning(text: &str) -> (Self, usize) {
        let end = text.char_indices().nth(BEGINNING);
        let end = end.map_or(text.len(), |(end, _)| end);
        let (begins, rest) = text.split_at(end);
        (Self::new(begins), rest.len())
    }

    pub(super) fn parts(&self) -> &[Part] {
        &self.0
    }

    /// Whether something is marked.
    pub(super) fn is_marked(&self) -> bool {
        self.0.iter().any(|part| matches!(part, Part::Marked(_)))
    }

    /// Whether letters stand there that read from right to left.
    pub(super) fn is_right_to_left(&self) -> bool {
        self.0.iter().any(|part| match part {
            Part::Plain(text) => text.chars().any(runs_left),
            Part::Marked(_) => false,
        })
    }
}

/// Whether it is a letter of a script that runs from right to left.
const fn runs_left(letter: char) -> bool {
    matches!(
        letter,
        '\u{590}'..='\u{8ff}'
            | '\u{fb1d}'..='\u{fdff}'
            | '\u{fe70}'..='\u{fefe}'
            | '\u{10800}'..='\u{10fff}'
            | '\u{1e800}'..='\u{1efff}'
    )
}

/// Whether a character is not seen, or changes how others are: controls (but a line's end), formats (Cf:
/// directions, joiners, widths of zero, tags), fillers, variation selectors, spaces that are none of ASCII
/// and what nobody has assigned a picture.
fn is_hidden(letter: char) -> bool {
    let is_control = letter.is_control() && letter != '\n';
    let is_space = letter.is_whitespace() && !letter.is_ascii();
    is_control
        || is_space
        || matches!(
            letter,
            '\u{ad}'
                | '\u{34f}'
                | '\u{600}'..='\u{605}'
                | '\u{61c}'
                | '\u{6dd}'
                | '\u{70f}'
                | '\u{890}'..='\u{891}'
                | '\u{8e2}'
                | '\u{115f}'..='\u{1160}'
                | '\u{17b4}'..='\u{17b5}'
                | '\u{180b}'..='\u{180f}'
                | '\u{200b}'..='\u{200f}'
                | '\u{202a}'..='\u{202e}'
                | '\u{2060}'..='\u{206f}'
                | '\u{2800}'
                | '\u{3164}'
                | '\u{e000}'..='\u{f8ff}'
                | '\u{fe00}'..='\u{fe0f}'
                | '\u{feff}'
                | '\u{ffa0}'
                | '\u{fff0}'..='\u{fffb}'
                | '\u{110bd}'
                | '\u{110cd}'
                | '\u{13430}'..='\u{1343f}'
                | '\u{1bca0}'..='\u{1bca3}'
                | '\u{1d173}'..='\u{1d17a}'
                | '\u{fdd0}'..='\u{fdef}'
                | '\u{e0000}'..='\u{10ffff}'
        )
        // What is no character.
        || u32::from(letter) & 0xfffe == 0xfffe
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn letters_from_right_to_left_are_noticed() {
        for text in ["رسوم", "fee א", "\u{10900}", "\u{1e900}", "\u{fb1d}"] {
            assert!(Shown::new(text).is_right_to_left(), "{text}");
        }
        for text in ["", "fee", "年会費", "Gebühr", "плата", "\u{202e}"] {
            assert!(!Shown::new(text).is_right_to_left(), "{text}");
        }
    }

    #[test]
    fn a_long_text_begins_and_says_what_follows() {
        let text = "ü".repeat(BEGINNING);
        assert_eq!(Shown::beginning(&text), (Shown::new(&text), 0));
        assert_eq!(Shown::beginning(""), (Shown::new(""), 0));
        let longer = format!("{text}üx");
        assert_eq!(Shown::beginning(&longer), (Shown::new(&text), 3));
    }

    #[test]
    fn what_is_not_seen_is_marked() {
        let shown = Shown::new("pay \u{202e}001\u{202c} to no\u{200b}rth\n");
        let parts = [
            Part::Plain("pay ".into()),
            Part::Marked("U+202E".into()),
            Part::Plain("001".into()),
            Part::Marked("U+202C".into()),
            Part::Plain(" to no".into()),
            Part::Marked("U+200B".into()),
            Part::Plain("rth\n".into()),
        ];
        assert_eq!(shown.parts(), parts);
        assert!(shown.is_marked());
        assert!(!Shown::new("{\"memo\":\"Jahresgebühr, 年会費, رسوم\"}").is_marked());
        for hidden in [
            "\0",
            "\r",
            "\t",
            "\u{7f}",
            "\u{85}",
            "\u{a0}",
            "\u{ad}",
            "\u{2003}",
            "\u{2028}",
            "\u{2029}",
            "\u{2066}",
            "\u{3000}",
            "\u{fe0f}",
            "\u{e0041}",
            "\u{10fffd}",
        ] {
            assert!(Shown::new(hidden).is_marked(), "{hidden:?}");
        }
    }
}
