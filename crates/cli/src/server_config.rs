//! The server's configuration in the data folder.

use std::net::SocketAddr;
use std::path::{Path, PathBuf};

use anyhow::Context as _;
use chancery_crypto::replace_private_file;
use chancery_identity::Incubating;
use chancery_identity::incubating::{BROKER_API_REVISION, WIT_SVID_REVISION};
use chancery_server::{ConsoleCertificate, ConsoleConfig, SvidLifetime};
use chancery_store::PostgresAddress;
use chancery_types::id::InstanceId;
use serde::{Deserialize, Serialize};

use crate::args::ConsoleArgs;

/// What `up` was told about the server. A data folder without the file has what nobody said.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct ServerFile {
    /// How long the SVIDs of instances live.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    svid_lifetime_seconds: Option<u64>,
    /// Where nodes on other hosts are listened to; nowhere where nothing is said.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) nodes: Option<SocketAddr>,
    /// Where the address of the PostgreSQL database stands; a file of the data folder holds the tables
    /// where there is none.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    database: Option<DatabaseFile>,
    /// The revision of the incubating WIT-SVID specifications that was opted in to.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    wit_svid: Option<String>,
    /// The revision of the incubating Broker API that was opted in to.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    broker_api: Option<String>,
    /// Where the console is served; nowhere where nothing is said.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) console: Option<ConsoleFile>,
}

/// Where the console is served, and how people reach it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct ConsoleFile {
    pub(crate) listen: SocketAddr,
    pub(crate) origin: String,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    files: Option<ConsoleFiles>,
}

#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct ConsoleFiles {
    certificate: PathBuf,
    key: PathBuf,
}

impl ConsoleFile {
    /// What `up` was told; nothing where no console was asked for.
    pub(crate) fn told(args: &ConsoleArgs) -> anyhow::Result<Option<Self>> {
        let Some(listen) = args.listen else {
            return Ok(None);
        };
        let absolute =
            |path: &PathBuf| std::path::absolute(path).with_context(|| path.display().to_string());
        let files = match (&args.certificate, &args.key) {
            (Some(certificate), Some(key)) => Some(ConsoleFiles {
                certificate: absolute(certificate)?,
                key: absolute(key)?,
            }),
            _ => None,
        };
        let own = || format!("http://localhost:{}", listen.port());
        let origin = args.origin.as_ref();
        Ok(Some(Self {
            listen,
            origin: origin.map_or_else(own, ToString::to_string),
            files,
        }))
    }

    /// As the server takes it.
    pub(crate) fn config(&self) -> anyhow::Result<ConsoleConfig> {
        Ok(ConsoleConfig {
            listen: self.listen,
            origin: self.origin.parse().with_context(|| self.origin.clone())?,
            certificate: self.files.clone().map(|files| ConsoleCertificate {
                certificate: files.certificate,
                key: files.key,
            }),
        })
    }
}

/// The database that a data folder belongs to.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct DatabaseFile {
    /// The file with its address.
    pub(crate) address_file: PathBuf,
    /// The name that the tables know this data folder by.
    pub(crate) deployment: String,
}

impl ServerFile {
    pub(crate) fn read(path: &Path) -> anyhow::Result<Self> {
        match std::fs::read(path) {
            Ok(text) => serde_json::from_slice(&text).with_context(|| path.display().to_string()),
            Err(error) if error.kind() == std::io::ErrorKind::NotFound => Ok(Self::default()),
            Err(error) => Err(error).context(path.display().to_string()),
        }
    }

    pub(crate) fn write(&self, path: &Path) -> anyhow::Result<()> {
        Ok(replace_private_file(
            path,
            &serde_json::to_vec_pretty(self)?,
        )?)
    }

    pub(crate) const fn set_svid_lifetime(&mut self, lifetime: SvidLifetime) {
        self.svid_lifetime_seconds = Some(lifetime.seconds());
    }

    /// The database, where there is one.
    pub(crate) const fn database(&self) -> Option<&DatabaseFile> {
        self.database.as_ref()
    }

    /// Chooses a database for a data folder that has no tables yet, or says anew where its address
    /// stands.
    pub(crate) fn set_database(&mut self, file: &Path, tables: &Path) -> anyhow::Result<()> {
        let address_file = std::path::absolute(file).context(file.display().to_string())?;
        PostgresAddress::read(&address_file)?;
        if let Some(known) = &mut self.database {
            known.address_file = address_file;
            return Ok(());
        }
        anyhow::ensure!(
            !tables.exists(),
            "{}: this data folder has its tables there; a database is chosen when a data folder is \
             made, so leave --database out or choose another --data folder",
            tables.display()
        );
        let deployment: InstanceId = chancery_crypto::random_id()?;
        self.database = Some(DatabaseFile {
            address_file,
            deployment: deployment.to_string(),
        });
        Ok(())
    }

    pub(crate) fn svid_lifetime(&self) -> anyhow::Result<SvidLifetime> {
        match self.svid_lifetime_seconds {
            Some(seconds) => SvidLifetime::from_seconds(seconds).context("svid_lifetime_seconds"),
            None => Ok(SvidLifetime::default()),
        }
    }

    /// Opts in to WIT-SVIDs of the revision that this program implements, or out.
    pub(crate) fn set_wit_svid(&mut self, on: bool) {
        self.wit_svid = on.then(|| WIT_SVID_REVISION.to_owned());
    }

    /// The revision of the WIT-SVID specifications that is served; none where nobody opted in.
    pub(crate) fn wit_svid(&self) -> Option<&str> {
        self.wit_svid.as_deref()
    }

    /// Opts in to the Broker API of the revision that this program implements, or out.
    pub(crate) fn set_broker_api(&mut self, on: bool) {
        self.broker_api = on.then(|| BROKER_API_REVISION.to_owned());
    }

    /// The revision of the Broker API that is served; none where nobody opted in.
    pub(crate) fn broker_api(&self) -> Option<&str> {
        self.broker_api.as_deref()
    }

    /// Which incubating specifications were opted in to: of the revision that this program implements
    /// and of no other one, since an incubating document may change.
    pub(crate) fn incubating(&self) -> anyhow::Result<Incubating> {
        let mut incubating = Incubating::NONE;
        if is_served("wit-svid", self.wit_svid(), WIT_SVID_REVISION)? {
            incubating = incubating.with_wit_svid();
        }
        if is_served("broker-api", self.broker_api(), BROKER_API_REVISION)? {
            incubating = incubating.with_broker_api();
        }
        Ok(incubating)
    }
}

fn is_served(name: &str, known: Option<&str>, implemented: &str) -> anyhow::Result<bool> {
    if let Some(other) = known.filter(|known| *known != implemented) {
        anyhow::bail!(
            "{name}: revision {other} was opted in to, and this program implements {implemented}; \
             start `chancery up` with --{name} to opt in to that one, or with --no-{name}"
        );
    }
    Ok(known.is_some())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_was_said_is_remembered_and_held() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("config.json");
        let mut file = ServerFile::read(&path).unwrap();
        assert_eq!(file.svid_lifetime().unwrap(), SvidLifetime::default());
        file.set_svid_lifetime("60".parse().unwrap());
        file.write(&path).unwrap();
        let known = ServerFile::read(&path).unwrap();
        assert_eq!(known.svid_lifetime().unwrap().seconds(), 60);
        assert_eq!(known.incubating().unwrap(), Incubating::NONE);
        file.set_wit_svid(true);
        assert_eq!(file.incubating().unwrap(), Incubating::WIT_SVID);
        file.wit_svid = Some("another".into());
        assert!(file.incubating().is_err());
        file.set_wit_svid(false);
        file.set_broker_api(true);
        assert!(file.incubating().unwrap().broker_api());
        file.broker_api = Some("another".into());
        assert!(file.incubating().is_err());
        file.set_broker_api(false);
        assert_eq!(file.incubating().unwrap(), Incubating::NONE);
        for bad in [
            "",
            "{",
            r#"{"more":1}"#,
            r#"{"svid_lifetime_seconds":"60"}"#,
        ] {
            std::fs::write(&path, bad).unwrap();
            assert!(ServerFile::read(&path).is_err(), "{bad}");
        }
        std::fs::write(&path, r#"{"svid_lifetime_seconds":9}"#).unwrap();
        assert!(ServerFile::read(&path).unwrap().svid_lifetime().is_err());
    }
}
