//! Standing consents: how many roots rest on each, counted where nobody but the signer writes.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use chancery_api::Problem;
use chancery_api::signer::ConsentCount;
use chancery_crypto::{read_private_file, replace_private_file};
use chancery_delegation::StandingStatement;
use chancery_types::id::ConsentId;
use chancery_types::{Digest, parse_strict, to_canonical};
use serde::{Deserialize, Serialize};

/// Most standing consents that are counted. None is forgotten: it would be counted anew.
const MOST: usize = 10_000;

/// The count of every standing consent that was ever used, kept on disk. It only rises: a number is
/// taken before the root that carries it is signed, and never given twice.
#[derive(Debug)]
pub(crate) struct StandingRatchet {
    path: PathBuf,
    counts: BTreeMap<ConsentId, Counted>,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct Counted {
    /// What the id stands for: another statement under the same id has no count.
    statement: Digest,
    uses: u64,
}

impl StandingRatchet {
    pub(crate) fn open(folder: &Path) -> std::io::Result<Self> {
        let path = folder.join("consents.ratchet");
        // What is there and cannot be read stops the signer: a lost count would be counted anew.
        let counts = if path.try_exists()? {
            read(&path).map_err(|problem| {
                let text = format!("{}: {problem}; restore the file", path.display());
                std::io::Error::new(std::io::ErrorKind::InvalidData, text)
            })?
        } else {
            BTreeMap::new()
        };
        Ok(Self { path, counts })
    }

    pub(crate) fn count(&self, id: ConsentId) -> ConsentCount {
        let known = self.counts.get(&id);
        ConsentCount {
            uses: known.map_or(0, |known| known.uses),
        }
    }

    /// Takes the next use, which must be `number` and not beyond the last one: durable when this
    /// returns.
    pub(crate) fn take(
        &mut self,
        statement: &StandingStatement,
        number: u64,
    ) -> Result<(), Problem> {
        let internal = |error: &(dyn std::error::Error + 'static)| {
            Problem::internal("consents.ratchet", error)
        };
        let id = statement.id;
        let digest = statement.challenge().map_err(|error| internal(&error))?;
        let known = self.counts.get(&id);
        if known.is_some_and(|known| known.statement != digest) {
            let text = format!("another statement was signed under {id}");
            return Err(Problem::conflict("consent_differs", text)
                .with_remedy("sign a new standing consent; each has an id of its own"));
        }
        if known.is_none() && self.counts.len() >= MOST {
            let text = format!("{MOST} standing consents are counted");
            return Err(Problem::conflict("too_many_consents", text));
        }
        let uses = known.map_or(0, |known| known.uses);
        if uses >= statement.max_uses {
            let text = format!("{id} was used {uses} times, as often as the person let it");
            return Err(Problem::forbidden("consent_used_up", text)
                .with_remedy("the person signs a new one: chancery consent new"));
        }
        if uses.checked_add(1) != Some(number) {
            let text = format!("{id} was used {uses} times; use {number} is not the next one");
            return Err(Problem::conflict("consent_number", text));
        }
        let mut next = self.counts.clone();
        next.insert(
            id,
            Counted {
                statement: digest,
                uses: number,
            },
        );
        let bytes = to_canonical(&next).map_err(|error| internal(&error))?;
        replace_private_file(&self.path, &bytes).map_err(|error| internal(&error))?;
        self.counts = next;
        Ok(())
    }
}

fn read(path: &Path) -> Result<BTreeMap<ConsentId, Counted>, String> {
    let bytes = read_private_file(path).map_err(|error| error.to_string())?;
    let value = parse_strict(bytes.expose()).map_err(|error| error.to_string())?;
    serde_json::from_value(value).map_err(|error| error.to_string())
}

#[cfg(test)]
mod tests {
    use chancery_delegation::StandingForm;
    use chancery_types::Timestamp;
    use chancery_types::id::PersonId;

    use super::*;

    fn statement(id: u8, max_uses: u64) -> StandingStatement {
        StandingStatement {
            standing: StandingForm::V1,
            id: ConsentId::from_random([id; 16]),
            issuer: "https://example.org/authority".to_owned(),
            person: PersonId::from_random([1; 16]),
            signed_at: Timestamp::from_seconds(1),
            epoch: 1,
            mission: Digest::of("mission"),
            agent: "spiffe://example.org/agent/clerk".parse().unwrap(),
            gateway: "spiffe://example.org/service/gateway".to_owned(),
            entries: Vec::new(),
            max_uses,
            max_seconds: 60,
            max_depth: 0,
            expires_at: Timestamp::from_seconds(9),
        }
    }

    fn reason(taken: Result<(), Problem>) -> Result<(), String> {
        taken.map_err(|problem| problem.reason)
    }

    fn refused(code: &str) -> Result<(), String> {
        Err(code.to_owned())
    }

    #[test]
    fn a_count_outlives_the_process_and_never_goes_back() {
        let folder = tempfile::tempdir().unwrap();
        let known = statement(1, 3);
        let open = || StandingRatchet::open(folder.path()).unwrap();
        let mut ratchet = open();
        assert_eq!(reason(ratchet.take(&known, 2)), refused("consent_number"));
        assert_eq!(reason(ratchet.take(&known, 1)), Ok(()));
        for number in [0, 1, 3, u64::MAX] {
            let taken = reason(ratchet.take(&known, number));
            assert_eq!(taken, refused("consent_number"), "{number}");
        }
        // As after a kill: what was taken is there, whether its root was signed or not.
        let mut ratchet = open();
        assert_eq!(ratchet.count(known.id).uses, 1);
        assert_eq!(reason(ratchet.take(&known, 1)), refused("consent_number"));
        assert_eq!(reason(ratchet.take(&known, 2)), Ok(()));
        // Another consent is counted apart.
        assert_eq!(reason(ratchet.take(&statement(2, 1), 1)), Ok(()));
        assert_eq!(reason(ratchet.take(&known, 3)), Ok(()));
        let mut ratchet = open();
        assert_eq!(reason(ratchet.take(&known, 4)), refused("consent_used_up"));
        assert_eq!(ratchet.count(known.id).uses, 3);
    }

    #[test]
    fn an_id_stands_for_one_statement() {
        let folder = tempfile::tempdir().unwrap();
        let mut ratchet = StandingRatchet::open(folder.path()).unwrap();
        assert_eq!(reason(ratchet.take(&statement(1, 1), 1)), Ok(()));
        // The same id with more uses is no way to go on.
        let taken = reason(ratchet.take(&statement(1, 9), 2));
        assert_eq!(taken, refused("consent_differs"));
    }

    #[test]
    fn a_number_that_cannot_be_kept_is_not_given() {
        let folder = tempfile::tempdir().unwrap();
        let mut ratchet = StandingRatchet::open(folder.path()).unwrap();
        std::fs::create_dir(folder.path().join("consents.ratchet")).unwrap();
        let taken = reason(ratchet.take(&statement(1, 1), 1));
        assert!(taken.is_err(), "{taken:?}");
        assert_eq!(ratchet.count(statement(1, 1).id).uses, 0);
    }

    #[test]
    fn a_ratchet_that_cannot_be_read_stops_the_signer() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("consents.ratchet");
        let id = statement(1, 1).id;
        for bad in [
            String::new(),
            "{".to_owned(),
            r#"{"a":1}"#.to_owned(),
            format!(r#"{{"{id}":{{"uses":1}}}}"#),
            r#"{"cns_1":{"statement":"sha256:00","uses":1}}"#.to_owned(),
        ] {
            replace_private_file(&path, bad.as_bytes()).unwrap();
            assert!(StandingRatchet::open(folder.path()).is_err(), "{bad}");
        }
    }
}
