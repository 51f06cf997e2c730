//! Snapshots: only forward, and only of now.

use std::fs::File;
use std::io::Write as _;
use std::path::{Path, PathBuf};

use chancery_api::Problem;
use chancery_api::signer::{SignSnapshot, SignedSnapshot};
use chancery_api::snapshot::Snapshot;
use chancery_types::{Timestamp, base64url, canonical, parse_strict};

use super::check_now;
use crate::SignerKeys;

/// The highest sequence that was signed, kept on disk.
#[derive(Debug)]
pub(crate) struct SnapshotRatchet {
    path: PathBuf,
    highest: u64,
}

impl SnapshotRatchet {
    pub(crate) fn open(folder: &Path) -> std::io::Result<Self> {
        let path = folder.join("snapshot.ratchet");
        let highest = match std::fs::read_to_string(&path) {
            Ok(text) => text.trim().parse().map_err(|_| {
                std::io::Error::new(
                    std::io::ErrorKind::InvalidData,
                    format!("{}: not a number; restore the file", path.display()),
                )
            })?,
            Err(error) if error.kind() == std::io::ErrorKind::NotFound => 0,
            Err(error) => return Err(error),
        };
        Ok(Self { path, highest })
    }

    pub(crate) fn sign(
        &mut self,
        keys: &SignerKeys,
        request: &SignSnapshot,
        now: Timestamp,
    ) -> Result<SignedSnapshot, Problem> {
        let malformed = || Problem::bad_request("snapshot", "not a snapshot in canonical form");
        let bytes = request.snapshot.as_bytes();
        if !canonical::is_canonical(bytes) {
            return Err(malformed());
        }
        let value = parse_strict(bytes).map_err(|_| malformed())?;
        let snapshot: Snapshot = serde_json::from_value(value).map_err(|_| malformed())?;
        check_now(snapshot.issued_at, now)?;
        if snapshot.sequence <= self.highest {
            return Err(Problem::conflict(
                "ratchet",
                "a later snapshot was signed already",
            ));
        }
        let input = snapshot.signing_input().map_err(|_| malformed())?;
        self.advance(snapshot.sequence)
            .map_err(|error| Problem::internal("ratchet", &error))?;
        let signature = keys
            .snapshot
            .sign(&input)
            .map_err(|error| Problem::internal("sign", &error))?;
        Ok(SignedSnapshot {
            kid: keys.snapshot.public().kid(),
            signature: base64url::encode(signature),
        })
    }

    /// Raises the ratchet on disk before the signature leaves. Losing the last steps with the power
    /// costs nothing: the server continues above what its own table holds.
    fn advance(&mut self, sequence: u64) -> std::io::Result<()> {
        let next = self.path.with_extension("next");
        let mut file = File::create(&next)?;
        writeln!(file, "{sequence}")?;
        std::fs::rename(&next, &self.path)?;
        self.highest = sequence;
        Ok(())
    }
}
