//! Evidence as files by their path: what a folder holds, without a folder.

use std::collections::BTreeMap;

/// The files of one session's evidence, by path with `/` between its parts.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Files(BTreeMap<String, Vec<u8>>);

impl Files {
    /// Without files.
    pub fn new() -> Self {
        Self::default()
    }

    /// Adds a file.
    pub fn insert(&mut self, path: impl Into<String>, content: Vec<u8>) {
        self.0.insert(path.into(), content);
    }

    /// The content of a file.
    pub fn get(&self, path: &str) -> Option<&[u8]> {
        self.0.get(path).map(Vec::as_slice)
    }

    /// All paths, sorted.
    pub fn paths(&self) -> impl Iterator<Item = &str> {
        self.0.keys().map(String::as_str)
    }

    /// All files, sorted by path.
    pub fn iter(&self) -> impl Iterator<Item = (&str, &[u8])> {
        self.0
            .iter()
            .map(|(path, content)| (path.as_str(), content.as_slice()))
    }
}

impl FromIterator<(String, Vec<u8>)> for Files {
    fn from_iter<I: IntoIterator<Item = (String, Vec<u8>)>>(files: I) -> Self {
        Self(files.into_iter().collect())
    }
}

/// The index of the objects: what a session's end entry names.
pub const INDEX_PATH: &str = "index.json";

/// The session's Trust Record.
pub const TRUST_RECORD_PATH: &str = "trust-record.json";

/// The path of an object of that digest.
pub fn object_path(digest: chancery_types::Digest) -> String {
    format!("objects/{}", digest.to_hex())
}
