use chancery_journal::{ContentError, KeyId, Keyring, Subject};
use chancery_types::base64url;
use serde_json::Value;

use crate::{Store, StoreError};

/// How a sealed document begins. What begins otherwise is none: rows in clear are sealed when a data
/// folder of version 1 is opened.
const SEALED: &str = "sealed:";

/// What a row holds of a subject.
#[derive(Debug, Clone, PartialEq)]
pub enum Kept {
    /// The value.
    Value(Value),
    /// Nothing any more: its subject was erased, as that entry of the server's log says.
    Erased {
        /// The index of the entry.
        entry: u64,
    },
}

impl Kept {
    /// The value, where it is still there.
    pub fn value(self) -> Option<Value> {
        match self {
            Self::Value(value) => Some(value),
            Self::Erased { .. } => None,
        }
    }
}

/// Whether a document is sealed.
pub(crate) fn is_sealed(text: &str) -> bool {
    text.starts_with(SEALED)
}

/// How the documents begin that are sealed under a key.
pub(crate) fn prefix(key: KeyId) -> String {
    format!("{SEALED}{key}:")
}

/// Between which two texts all documents lie that are sealed under a key: from the first on, before
/// the second. Texts are compared byte by byte.
pub(crate) fn range(key: KeyId) -> (String, String) {
    let next = char::from(b':' + 1);
    (prefix(key), format!("{SEALED}{key}{next}"))
}

impl Store {
    /// Seals a document for a row of a table: it opens in that row alone.
    pub(crate) fn seal(
        &self,
        subject: &Subject,
        table: &str,
        row: &str,
        document: &Value,
    ) -> Result<String, StoreError> {
        let sealed =
            self.keys
                .seal(subject, &place(table, row), document.to_string().as_bytes())?;
        let key = Keyring::key_of_value(&sealed)?;
        Ok(format!("{}{}", prefix(key), base64url::encode(sealed)))
    }

    /// Opens the document of a row.
    pub(crate) fn unseal(
        &self,
        table: &'static str,
        row: &str,
        text: &str,
    ) -> Result<Kept, StoreError> {
        let (_, text) = text
            .strip_prefix(SEALED)
            .and_then(|rest| rest.split_once(':'))
            .ok_or_else(|| StoreError::row(table, ContentError::NotSealed))?;
        let sealed = base64url::decode(text).map_err(|error| StoreError::row(table, error))?;
        match self.keys.open_value(&place(table, row), &sealed) {
            Ok(value) => serde_json::from_slice(value.expose())
                .map(Kept::Value)
                .map_err(|error| StoreError::row(table, error)),
            Err(ContentError::Erased { entry }) => Ok(Kept::Erased { entry }),
            Err(error) => Err(StoreError::row(table, error)),
        }
    }

    /// The documents of rows that were not erased.
    pub(crate) fn values(
        &self,
        table: &'static str,
        rows: &[(String, String)],
    ) -> Result<Vec<Value>, StoreError> {
        let kept = rows.iter().map(|(row, text)| self.unseal(table, row, text));
        kept.filter_map(|kept| kept.map(Kept::value).transpose())
            .collect()
    }
}

fn place(table: &str, row: &str) -> Vec<u8> {
    format!("{table} {row}").into_bytes()
}
