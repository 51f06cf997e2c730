use std::io;

use tokio::io::{AsyncBufReadExt as _, AsyncRead, BufReader};

/// Reads lines of UTF-8, none longer than it is told.
#[derive(Debug)]
pub(crate) struct Lines<R> {
    reader: BufReader<R>,
    /// What was read of a line that is not complete. Kept here so that a read that is given up
    /// loses nothing.
    begun: Vec<u8>,
}

/// Why there is no line.
#[derive(Debug, thiserror::Error)]
pub(crate) enum LineError {
    #[error("a line is too long")]
    TooLong,
    #[error("a line is not UTF-8")]
    NotText,
    #[error("the connection broke")]
    Broken(#[from] io::Error),
}

impl<R: AsyncRead + Unpin> Lines<R> {
    pub(crate) fn new(reader: R) -> Self {
        Self {
            reader: BufReader::new(reader),
            begun: Vec::new(),
        }
    }

    /// The next line without its end; `None` at the end. What follows the last line end counts as a
    /// line when it is not empty. May be given up at any time.
    pub(crate) async fn next(&mut self, most: usize) -> Result<Option<String>, LineError> {
        loop {
            let read = self.reader.fill_buf().await?;
            let end = read.iter().position(|byte| *byte == b'\n');
            let (taken, consumed) = match end {
                Some(end) => (read.get(..end), end.saturating_add(1)),
                None => (Some(read), read.len()),
            };
            let taken = taken.unwrap_or_default();
            if self.begun.len().saturating_add(taken.len()) > most {
                return Err(LineError::TooLong);
            }
            self.begun.extend_from_slice(taken);
            self.reader.consume(consumed);
            if end.is_none() && consumed > 0 {
                continue;
            }
            let mut line = std::mem::take(&mut self.begun);
            if end.is_none() && line.is_empty() {
                return Ok(None);
            }
            if line.last() == Some(&b'\r') {
                line.pop();
            }
            return String::from_utf8(line)
                .map(Some)
                .map_err(|_| LineError::NotText);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    async fn all(text: &[u8]) -> Result<Vec<String>, LineError> {
        let mut lines = Lines::new(text);
        let mut found = Vec::new();
        while let Some(line) = lines.next(4).await? {
            found.push(line);
        }
        Ok(found)
    }

    #[tokio::test]
    async fn reads_lines_up_to_the_limit() {
        assert_eq!(
            all(b"ab\r\n\nabcd\ncd").await.unwrap(),
            ["ab", "", "abcd", "cd"]
        );
        assert!(all(b"").await.unwrap().is_empty());
    }

    #[tokio::test]
    async fn refuses_what_is_too_long_or_no_text() {
        assert!(matches!(all(b"abcde\n").await, Err(LineError::TooLong)));
        assert!(matches!(all(b"abcde").await, Err(LineError::TooLong)));
        assert!(matches!(all(b"\xff\n").await, Err(LineError::NotText)));
    }
}
