use std::fmt;
use std::str::FromStr;

use crate::text::{decode_base64, encode_base64};
use crate::{KeyName, NameError};

/// Most bytes of a note that is read: room for more than 16 post-quantum signatures.
pub const MAX_NOTE_BYTES: usize = 131_072;

/// Most signature lines of a note that is read.
pub const MAX_NOTE_SIGNATURES: usize = 32;

const SIGNATURE_PREFIX: &str = "\u{2014} ";

/// A signed note (C2SP signed-note): text and signature lines, well-formed and not yet verified.
/// Displayed as the one byte string that it was or would be parsed from.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Note {
    text: String,
    signatures: Vec<NoteSignature>,
}

/// One signature line: whose, by which key, and the bytes. Displayed without the final newline.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct NoteSignature {
    name: KeyName,
    key_id: [u8; 4],
    signature: Vec<u8>,
}

/// Why bytes are not a signed note.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum NoteError {
    /// Longer than [`MAX_NOTE_BYTES`].
    #[error("note is too long")]
    TooLong,
    /// Not UTF-8, or a control character other than the newline.
    #[error("note is not plain UTF-8 text")]
    NotText,
    /// No empty line between text and signatures.
    #[error("note has no signatures")]
    NoSignatures,
    /// The text or the note does not end in a newline.
    #[error("note does not end in a newline")]
    NoFinalNewline,
    /// More than [`MAX_NOTE_SIGNATURES`] lines.
    #[error("note has too many signatures")]
    TooManySignatures,
    /// A line after the text is not an em dash, a name and a base64 signature.
    #[error("malformed signature line")]
    SignatureLine,
    /// The name in a signature line.
    #[error("malformed name in a signature line")]
    Name(#[source] NameError),
}

impl Note {
    /// Puts signatures under a text.
    pub fn new(text: &str, signatures: Vec<NoteSignature>) -> Result<Self, NoteError> {
        if text.is_empty() || !text.ends_with('\n') {
            return Err(NoteError::NoFinalNewline);
        }
        check_text(text)?;
        if signatures.is_empty() {
            return Err(NoteError::NoSignatures);
        }
        if signatures.len() > MAX_NOTE_SIGNATURES {
            return Err(NoteError::TooManySignatures);
        }
        Ok(Self {
            text: text.to_owned(),
            signatures,
        })
    }

    /// Reads a note strictly, without verifying anything.
    pub fn parse(bytes: &[u8]) -> Result<Self, NoteError> {
        if bytes.len() > MAX_NOTE_BYTES {
            return Err(NoteError::TooLong);
        }
        let note = str::from_utf8(bytes).map_err(|_| NoteError::NotText)?;
        check_text(note)?;
        let note = note.strip_suffix('\n').ok_or(NoteError::NoFinalNewline)?;
        let (text, lines) = note.rsplit_once("\n\n").ok_or(NoteError::NoSignatures)?;
        if lines.split('\n').count() > MAX_NOTE_SIGNATURES {
            return Err(NoteError::TooManySignatures);
        }
        let signatures: Result<Vec<_>, _> = lines.split('\n').map(str::parse).collect();
        Self::new(&format!("{text}\n"), signatures?)
    }

    /// The note with those lines alone whose keys are called like the log that its text begins
    /// with: what the log signed, whoever cosigned it. Fails where no such line is there.
    pub fn of_log_alone(&self) -> Result<Self, NoteError> {
        let origin = self.text.split('\n').next().unwrap_or_default();
        let own = self.signatures.iter();
        let own = own.filter(|line| line.name().as_str() == origin);
        Self::new(&self.text, own.cloned().collect())
    }

    /// The note with more signature lines under those that it has.
    pub fn with(&self, more: &[NoteSignature]) -> Result<Self, NoteError> {
        let lines = [&self.signatures, more].concat();
        let note = Self::new(&self.text, lines)?;
        if note.to_string().len() > MAX_NOTE_BYTES {
            return Err(NoteError::TooLong);
        }
        Ok(note)
    }

    /// The signed text, final newline included.
    pub fn text(&self) -> &str {
        &self.text
    }

    /// The signature lines in order.
    pub fn signatures(&self) -> &[NoteSignature] {
        &self.signatures
    }
}

impl NoteSignature {
    /// A line for the key of that name and id.
    pub const fn new(name: KeyName, key_id: [u8; 4], signature: Vec<u8>) -> Self {
        Self {
            name,
            key_id,
            signature,
        }
    }

    /// The name of the key.
    pub const fn name(&self) -> &KeyName {
        &self.name
    }

    /// The four bytes that, with the name, say which key signed.
    pub const fn key_id(&self) -> [u8; 4] {
        self.key_id
    }

    /// The signature without the key id.
    pub fn signature(&self) -> &[u8] {
        &self.signature
    }
}

impl FromStr for NoteSignature {
    type Err = NoteError;

    fn from_str(line: &str) -> Result<Self, NoteError> {
        let rest = line
            .strip_prefix(SIGNATURE_PREFIX)
            .ok_or(NoteError::SignatureLine)?;
        let (name, signature) = rest.split_once(' ').ok_or(NoteError::SignatureLine)?;
        let bytes = decode_base64(signature).ok_or(NoteError::SignatureLine)?;
        match bytes.split_first_chunk::<4>() {
            Some((key_id, signature)) if !signature.is_empty() => Ok(Self {
                name: name.parse().map_err(NoteError::Name)?,
                key_id: *key_id,
                signature: signature.to_vec(),
            }),
            _ => Err(NoteError::SignatureLine),
        }
    }
}

impl fmt::Display for NoteSignature {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let bytes = [&self.key_id[..], &self.signature].concat();
        write!(
            f,
            "{SIGNATURE_PREFIX}{} {}",
            self.name,
            encode_base64(&bytes)
        )
    }
}

impl fmt::Display for Note {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        writeln!(f, "{}", self.text)?;
        self.signatures
            .iter()
            .try_for_each(|line| writeln!(f, "{line}"))
    }
}

fn check_text(text: &str) -> Result<(), NoteError> {
    let plain = text.bytes().all(|byte| byte >= 0x20 || byte == b'\n');
    plain.then_some(()).ok_or(NoteError::NotText)
}

#[cfg(test)]
mod tests {
    use super::*;

    const EXAMPLE: &str = "This is an example message.\n\n\u{2014} example.com/foo \
        Uw2QOkn8srV1yJGh2VYRlL1Tnagv1YEq6TfXppzi2ONncAlTgK7Ztg1ERYNZXsYjOBH3mFXmRKuwHjG1Yu72IneyaQM=\n";

    #[test]
    fn reads_the_example_of_the_specification() {
        let note = Note::parse(EXAMPLE.as_bytes()).unwrap();
        assert_eq!(note.text(), "This is an example message.\n");
        assert_eq!(note.signatures()[0].key_id(), [0x53, 0x0d, 0x90, 0x3a]);
        assert_eq!(note.to_string(), EXAMPLE);
    }

    #[test]
    fn what_the_log_signed_is_told_from_what_others_signed() {
        let line = |name: &str| NoteSignature::new(name.parse().unwrap(), [1; 4], vec![2; 64]);
        let own = Note::new("log\n0\nroot\n", vec![line("log"), line("log")]).unwrap();
        let more = own.with(&[line("w1"), line("w2")]).unwrap();
        assert_eq!(more.signatures().len(), 4);
        assert_eq!(more.of_log_alone().unwrap(), own);
        assert_eq!(own.of_log_alone().unwrap(), own);
        let others = Note::new("log\n0\nroot\n", vec![line("logs"), line("lo")]).unwrap();
        assert_eq!(others.of_log_alone(), Err(NoteError::NoSignatures));
        let many = vec![line("w"); MAX_NOTE_SIGNATURES];
        assert_eq!(own.with(&many), Err(NoteError::TooManySignatures));
    }

    #[test]
    fn splits_at_the_last_empty_line() {
        let note = Note::parse(EXAMPLE.replace("message.", "a\n\nb.").as_bytes()).unwrap();
        assert_eq!(note.text(), "This is an example a\n\nb.\n");
    }

    #[test]
    fn refuses_malformed_notes() {
        let line = EXAMPLE.rsplit_once("\n\n").unwrap().1;
        let many = format!("t\n\n{}", line.repeat(MAX_NOTE_SIGNATURES + 1));
        let sixteen = format!("t\n\n{}", line.repeat(16));
        assert_eq!(
            Note::parse(sixteen.as_bytes()).unwrap().signatures().len(),
            16
        );
        for (bad, error) in [
            (String::new(), NoteError::NoFinalNewline),
            ("text\n".into(), NoteError::NoSignatures),
            ("text\n\n".into(), NoteError::NoSignatures),
            ("text\n\n\n".into(), NoteError::SignatureLine),
            (
                EXAMPLE.trim_end_matches('\n').into(),
                NoteError::NoFinalNewline,
            ),
            (EXAMPLE.replace('\n', "\r\n"), NoteError::NotText),
            (EXAMPLE.replace("example m", "\tm"), NoteError::NotText),
            (EXAMPLE.replace('\u{2014}', "-"), NoteError::SignatureLine),
            (
                EXAMPLE.replace("\u{2014} ", "\u{2014}"),
                NoteError::SignatureLine,
            ),
            (EXAMPLE.replace("yaQM=", "yaQM"), NoteError::SignatureLine),
            (EXAMPLE.replace("yaQM=", "yaQN="), NoteError::SignatureLine),
            (EXAMPLE.replace("yaQM=", "yaQM= "), NoteError::SignatureLine),
            (EXAMPLE.replace("/foo", "/f+o"), NoteError::Name(NameError)),
            (
                EXAMPLE.replace("/foo", "/f\u{a0}o"),
                NoteError::Name(NameError),
            ),
            (
                "t\n\n\u{2014} name Uw2QOg==\n".into(),
                NoteError::SignatureLine,
            ),
            (format!("{EXAMPLE}more\n"), NoteError::SignatureLine),
            (format!("{EXAMPLE}more"), NoteError::NoFinalNewline),
            (many, NoteError::TooManySignatures),
            ("x".repeat(MAX_NOTE_BYTES + 1), NoteError::TooLong),
        ] {
            assert_eq!(Note::parse(bad.as_bytes()), Err(error), "{bad:?}");
        }
        assert_eq!(Note::parse(b"\xff\n\n"), Err(NoteError::NotText));
    }
}
