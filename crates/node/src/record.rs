//! What a node keeps of its launches on disk: no key, only what finds the processes again.

use std::fs::{self, DirBuilder};
use std::io;
use std::os::unix::fs::DirBuilderExt as _;
use std::path::{Path, PathBuf};

use chancery_crypto::replace_private_file;
use chancery_identity::{InstanceSpiffeId, Isolation};
use chancery_types::Timestamp;
use chancery_types::id::LaunchId;
use serde::{Deserialize, Serialize};

use crate::EndReason;
use crate::executable::Executable;
use crate::procfs::{PidNamespace, boot_id};

/// A launch as a later run of the node finds it. Good within one run of the machine: process ids
/// and start times mean nothing after it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct LaunchRecord {
    pub(crate) boot: String,
    pub(crate) launch: LaunchId,
    pub(crate) instance: InstanceSpiffeId,
    pub(crate) isolation: Isolation,
    pub(crate) executable: Executable,
    pub(crate) uid: u32,
    pub(crate) started: Timestamp,
    pub(crate) bridge: ProcessRecord,
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub(crate) init: Option<ProcessRecord>,
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub(crate) namespace: Option<PidNamespace>,
    /// Set before anybody hears of the end, so that a launch that ended never begins again.
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub(crate) ended: Option<EndReason>,
    /// The instance that started it.
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub(crate) parent: Option<InstanceSpiffeId>,
    /// Whether it goes on when that one has ended.
    #[serde(skip_serializing_if = "std::ops::Not::not", default)]
    pub(crate) outlive: bool,
    /// When it is to end in any case.
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub(crate) until: Option<Timestamp>,
}

/// A process: no other one of the same run of the machine has this id and this start time.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct ProcessRecord {
    pub(crate) pid: i32,
    /// In clock ticks since the machine started.
    pub(crate) start_time: u64,
}

/// The folder of the records, one file for each launch.
#[derive(Debug)]
pub(crate) struct LaunchRecords {
    folder: PathBuf,
    boot: String,
}

impl LaunchRecords {
    /// The records in a folder, which is made where it is missing, for its owner alone.
    pub(crate) fn open(folder: &Path) -> io::Result<Self> {
        DirBuilder::new()
            .recursive(true)
            .mode(0o700)
            .create(folder)?;
        Ok(Self {
            folder: folder.to_owned(),
            boot: boot_id()?,
        })
    }

    /// The present run of the machine.
    pub(crate) fn boot(&self) -> &str {
        &self.boot
    }

    /// Writes a record, or writes it anew: whole, or not at all.
    pub(crate) fn put(&self, record: &LaunchRecord) -> io::Result<()> {
        let bytes = serde_json::to_vec(record)?;
        replace_private_file(&self.path(record.launch), &bytes).map_err(io::Error::other)
    }

    /// Forgets a launch whose end was heard.
    pub(crate) fn remove(&self, launch: LaunchId) -> io::Result<()> {
        match fs::remove_file(self.path(launch)) {
            Err(error) if error.kind() != io::ErrorKind::NotFound => Err(error),
            _ => Ok(()),
        }
    }

    /// All records. A file that is none is named and left where it is.
    pub(crate) fn all(&self) -> io::Result<Vec<LaunchRecord>> {
        let mut records = Vec::new();
        for entry in fs::read_dir(&self.folder)? {
            let path = entry?.path();
            if path.extension().is_none_or(|name| name != "json") {
                continue;
            }
            match serde_json::from_slice::<LaunchRecord>(&fs::read(&path)?) {
                Ok(record) if path == self.path(record.launch) => records.push(record),
                Ok(_) => {
                    tracing::error!(path = %path.display(), "names another launch; left alone");
                }
                Err(error) => {
                    tracing::error!(path = %path.display(), %error, "no launch record; left alone");
                }
            }
        }
        Ok(records)
    }

    fn path(&self, launch: LaunchId) -> PathBuf {
        self.folder.join(format!("{launch}.json"))
    }
}

#[cfg(test)]
mod tests {
    use std::os::unix::fs::PermissionsExt as _;

    use chancery_crypto::random_id;

    use super::*;

    fn record(records: &LaunchRecords) -> LaunchRecord {
        let agent: chancery_identity::AgentId = "spiffe://td/agent/a".parse().unwrap();
        let executable = serde_json::json!({
            "digest": chancery_types::Digest::of("x"), "interpreter": false
        });
        LaunchRecord {
            boot: records.boot().to_owned(),
            launch: random_id().unwrap(),
            instance: agent.instance(random_id().unwrap()),
            isolation: Isolation::Unisolated,
            executable: serde_json::from_value(executable).unwrap(),
            uid: 7,
            started: Timestamp::from_seconds(1),
            bridge: ProcessRecord {
                pid: 1,
                start_time: 2,
            },
            init: None,
            namespace: PidNamespace::own().ok(),
            ended: None,
            parent: None,
            outlive: false,
            until: None,
        }
    }

    #[test]
    fn a_record_is_its_owners_and_is_read_as_it_was_written() {
        let folder = tempfile::tempdir().unwrap();
        let records = LaunchRecords::open(&folder.path().join("launches")).unwrap();
        let mut one = record(&records);
        records.put(&one).unwrap();
        one.ended = Some(EndReason::Withdrawn);
        records.put(&one).unwrap();
        assert_eq!(records.all().unwrap(), [one.clone()]);
        let mode = |path: &Path| fs::metadata(path).unwrap().permissions().mode() & 0o777;
        assert_eq!(mode(&records.folder), 0o700);
        assert_eq!(mode(&records.path(one.launch)), 0o600);
        records.remove(one.launch).unwrap();
        records.remove(one.launch).unwrap();
        assert_eq!(records.all().unwrap(), []);
    }

    #[test]
    fn what_is_no_record_is_left_alone() {
        let folder = tempfile::tempdir().unwrap();
        let records = LaunchRecords::open(folder.path()).unwrap();
        let one = record(&records);
        let text = serde_json::to_string(&one).unwrap();
        let path = records.path(one.launch);
        for bad in [
            "",
            "{}",
            text.trim_start_matches('{'),
            &text.replacen('{', r#"{"more":1,"#, 1),
        ] {
            fs::write(&path, bad).unwrap();
            assert_eq!(records.all().unwrap(), [], "{bad}");
        }
        // The record of another launch.
        fs::write(folder.path().join("x.json"), &text).unwrap();
        assert_eq!(records.all().unwrap(), []);
        assert!(path.exists());
    }
}
