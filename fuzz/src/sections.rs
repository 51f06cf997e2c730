//! Several files in one input, as text.

use chancery_types::base64url;

const HEAD: &[u8] = b"=== ";

/// Splits an input into files. A line `=== PATH` begins one, which ends with the line break in
/// front of the next; behind `=== PATH base64url` stands a line of base64url.
pub(crate) fn sections(input: &[u8]) -> Vec<(String, Vec<u8>)> {
    let mut files: Vec<(String, Vec<u8>)> = Vec::new();
    for line in input.split_inclusive(|byte| *byte == b'\n') {
        match line.strip_prefix(HEAD) {
            Some(path) => {
                let path = String::from_utf8_lossy(path.trim_ascii_end());
                files.push((path.into_owned(), Vec::new()));
            }
            None => {
                if let Some((_, content)) = files.last_mut() {
                    content.extend_from_slice(line);
                }
            }
        }
    }
    files.into_iter().map(finished).collect()
}

fn finished((path, mut content): (String, Vec<u8>)) -> (String, Vec<u8>) {
    if content.last() == Some(&b'\n') {
        content.pop();
    }
    let Some(name) = path.strip_suffix(" base64url") else {
        return (path, content);
    };
    let text = String::from_utf8_lossy(&content);
    let decoded = base64url::decode(&text).unwrap_or_default();
    (name.to_owned(), decoded)
}
