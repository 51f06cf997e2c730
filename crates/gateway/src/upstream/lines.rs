use tokio::io::{AsyncBufRead, AsyncBufReadExt as _};

/// What a child's output held next.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Line {
    /// A line, without its end.
    Text(Vec<u8>),
    /// More than `limit` bytes without an end.
    TooLong,
    /// Nothing more.
    End,
}

/// Reads the next line of at most `limit` bytes. What stands after the last line end is no line.
pub(super) async fn next_line<R: AsyncBufRead + Unpin>(
    reader: &mut R,
    limit: usize,
) -> std::io::Result<Line> {
    let mut line = Vec::new();
    loop {
        let buffered = reader.fill_buf().await?;
        if buffered.is_empty() {
            return Ok(Line::End);
        }
        let end = buffered.iter().position(|byte| *byte == b'\n');
        let taken = end.unwrap_or(buffered.len());
        if line.len() + taken > limit {
            return Ok(Line::TooLong);
        }
        line.extend(buffered.iter().take(taken));
        reader.consume(taken + usize::from(end.is_some()));
        if end.is_some() {
            if line.last() == Some(&b'\r') {
                line.pop();
            }
            return Ok(Line::Text(line));
        }
    }
}

/// `message` as one line: line ends between its tokens become spaces, since inside JSON strings
/// they cannot stand.
pub(super) fn framed(message: &str) -> Vec<u8> {
    let mut line: Vec<u8> = message
        .bytes()
        .map(|byte| match byte {
            b'\n' | b'\r' => b' ',
            other => other,
        })
        .collect();
    line.push(b'\n');
    line
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn reads_lines_within_the_limit() {
        let mut reader: &[u8] = b"one\r\n\ntwelve bytes\nrest";
        let text = |text: &str| Line::Text(text.as_bytes().to_vec());
        assert_eq!(next_line(&mut reader, 12).await.unwrap(), text("one"));
        assert_eq!(next_line(&mut reader, 12).await.unwrap(), text(""));
        assert_eq!(
            next_line(&mut reader, 12).await.unwrap(),
            text("twelve bytes")
        );
        assert_eq!(next_line(&mut reader, 12).await.unwrap(), Line::End);
        let mut reader: &[u8] = b"thirteen bytes\n";
        assert_eq!(next_line(&mut reader, 12).await.unwrap(), Line::TooLong);
    }

    #[test]
    fn a_message_is_one_line() {
        assert_eq!(framed("{\r\n\"a\\n\":1\n}"), b"{  \"a\\n\":1 }\n");
    }
}
