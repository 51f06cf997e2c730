/// Reads the data of server-sent events out of a stream of bytes. Comments, names, ids and retry
/// times are not ours.
#[derive(Debug, Default)]
pub(super) struct Events {
    line: Vec<u8>,
    data: Vec<u8>,
    has_data: bool,
    /// The byte before was a carriage return: a line feed now belongs to it.
    after_return: bool,
}

/// An event is longer than is read.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct TooLong;

impl Events {
    /// Takes bytes; hands every event that they complete to `found`.
    pub(super) fn feed(
        &mut self,
        bytes: &[u8],
        most: usize,
        mut found: impl FnMut(Vec<u8>),
    ) -> Result<(), TooLong> {
        for byte in bytes {
            let follows_return = std::mem::replace(&mut self.after_return, *byte == b'\r');
            match byte {
                b'\n' if follows_return => {}
                b'\n' | b'\r' => {
                    if let Some(event) = self.end_line() {
                        found(event);
                    }
                }
                other => self.line.push(*other),
            }
            if self.line.len().saturating_add(self.data.len()) > most {
                return Err(TooLong);
            }
        }
        Ok(())
    }

    fn end_line(&mut self) -> Option<Vec<u8>> {
        let line = std::mem::take(&mut self.line);
        if line.is_empty() {
            let had = std::mem::take(&mut self.has_data);
            let data = std::mem::take(&mut self.data);
            return had.then_some(data);
        }
        let value = match line.strip_prefix(b"data") {
            Some([]) => Some(&[][..]),
            Some([b':', b' ', value @ ..] | [b':', value @ ..]) => Some(value),
            _ => None,
        };
        if let Some(value) = value {
            if self.has_data {
                self.data.push(b'\n');
            }
            self.has_data = true;
            self.data.extend_from_slice(value);
        }
        None
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(chunks: &[&str]) -> Vec<String> {
        let mut events = Events::default();
        let mut found = Vec::new();
        for chunk in chunks {
            events
                .feed(chunk.as_bytes(), 64, |event| {
                    found.push(String::from_utf8(event).unwrap())
                })
                .unwrap();
        }
        found
    }

    #[test]
    fn reads_data_however_it_is_cut() {
        let text =
            ": alive\n\nevent: message\ndata: {\"a\":1}\n\ndata:b\r\ndata\r\ndata:  c\r\n\r\n";
        let expected = ["{\"a\":1}".to_owned(), "b\n\n c".to_owned()];
        assert_eq!(read(&[text]), expected);
        for at in 0..text.len() {
            let (one, two) = text.split_at(at);
            assert_eq!(read(&[one, two]), expected, "{at}");
        }
    }

    #[test]
    fn an_event_without_its_end_is_none() {
        for text in [
            "data: a",
            "data: a\n",
            "database: a\n\n",
            ":data: a\n\n",
            "\n\n\n",
        ] {
            assert!(read(&[text]).is_empty(), "{text:?}");
        }
    }

    #[test]
    fn an_event_that_is_too_long_is_refused() {
        let mut events = Events::default();
        let long = format!("data: {}", "a".repeat(64));
        assert_eq!(events.feed(long.as_bytes(), 64, |_| ()), Err(TooLong));
    }
}
