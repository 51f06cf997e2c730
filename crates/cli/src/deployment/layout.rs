use std::fs::DirBuilder;
use std::os::unix::fs::DirBuilderExt as _;
use std::path::{Path, PathBuf};

use anyhow::{Context as _, bail, ensure};
use chancery_api::server::ServerClient;
use chancery_crypto::{AwsLc, create_private_file};
use chancery_gateway::ENROLLED_CHECKPOINT;
use chancery_identity::trust::{SignedTrust, VerifiedTrust};

use super::Part;

/// The content of the file `version` of a data folder.
pub(crate) const VERSION: &str = "chancery data folder 1\n";

/// The content of the file `version` in the folder of a node that joined from another host.
const NODE_VERSION: &str = "chancery node folder 1\n";

/// Longest path of a Unix socket that the kernel takes, the final zero left out.
const MAX_SOCKET_BYTES: usize = 107;

/// Where things stand in a data folder. The folder and everything in it is its owner's alone.
#[derive(Debug, Clone)]
pub(crate) struct Layout {
    data: PathBuf,
}

impl Layout {
    /// The layout of a data folder that exists, of this version.
    pub(crate) fn open(data: &Path) -> anyhow::Result<Self> {
        let layout = Self::at(data)?;
        let version = layout.data.join("version");
        match std::fs::read_to_string(&version) {
            Ok(found) if found == VERSION => Ok(layout),
            Ok(found) if found == NODE_VERSION => bail!(
                "{}: the folder of a node that joined a deployment on another host; run this command there",
                data.display()
            ),
            Ok(found) => bail!(
                "{}: the data folder is of another version ({:?}, this program reads {:?}); use the \
                 program that made it, or another --data folder",
                version.display(),
                found.trim_end(),
                VERSION.trim_end()
            ),
            Err(error) if error.kind() == std::io::ErrorKind::NotFound => bail!(
                "{}: not a data folder of Chancery; make one with `chancery up --data {}`",
                data.display(),
                data.display()
            ),
            Err(error) => Err(error).context(version.display().to_string()),
        }
    }

    /// The layout of a data folder, or of the folder of a node that joined from this host.
    pub(crate) fn open_host(data: &Path) -> anyhow::Result<Self> {
        let layout = Self::at(data)?;
        let version = std::fs::read_to_string(layout.data.join("version"));
        match version {
            Ok(found) if found == NODE_VERSION => Ok(layout),
            _ => Self::open(data),
        }
    }

    /// The folder of a node that joins from this host; made where it does not exist.
    pub(crate) fn node_side(data: &Path) -> anyhow::Result<Self> {
        let layout = Self::at(data)?;
        let version = layout.data.join("version");
        match std::fs::read_to_string(&version) {
            Ok(found) if found == NODE_VERSION => return Ok(layout),
            Ok(_) => bail!(
                "{}: the data folder of a deployment, which has a node already; choose another --data folder",
                data.display()
            ),
            Err(error) if error.kind() != std::io::ErrorKind::NotFound => {
                return Err(error).context(version.display().to_string());
            }
            Err(_) => {}
        }
        let occupied = std::fs::read_dir(&layout.data).is_ok_and(|mut all| all.next().is_some());
        ensure!(
            !occupied,
            "{}: not empty and not the folder of a node; choose another --data folder",
            data.display()
        );
        let workload = layout.run().join("workload");
        for folder in [&layout.data, &layout.run(), &workload] {
            let made = DirBuilder::new().mode(0o700).create(folder);
            match made {
                Err(error) if error.kind() != std::io::ErrorKind::AlreadyExists => {
                    return Err(error).context(folder.display().to_string());
                }
                _ => {}
            }
        }
        create_private_file(&version, NODE_VERSION.as_bytes())?;
        Ok(layout)
    }

    /// The layout of a data folder that may not exist yet.
    pub(crate) fn at(data: &Path) -> anyhow::Result<Self> {
        let data = std::path::absolute(data).context(data.display().to_string())?;
        let layout = Self { data };
        let longest = layout.workload_socket();
        ensure!(
            longest.as_os_str().len() <= MAX_SOCKET_BYTES,
            "{}: longer than a Unix socket's path may be ({MAX_SOCKET_BYTES} bytes); choose a shorter \
             --data folder",
            longest.display()
        );
        Ok(layout)
    }

    pub(crate) fn data(&self) -> &Path {
        &self.data
    }

    /// Offline keys: the trust root, the X.509 root, the policy and manifest signers.
    pub(crate) fn root(&self) -> PathBuf {
        self.data.join("root")
    }

    pub(crate) fn signer(&self) -> PathBuf {
        self.data.join("signer")
    }

    pub(crate) fn signer_log_key(&self) -> PathBuf {
        self.signer().join("log-key")
    }

    pub(crate) fn server(&self) -> PathBuf {
        self.data.join("server")
    }

    pub(crate) fn server_log(&self) -> PathBuf {
        self.server().join("log")
    }

    pub(crate) fn server_config(&self) -> PathBuf {
        self.server().join("config.json")
    }

    /// The keys that seal what the server keeps of people.
    pub(crate) fn server_keys(&self) -> PathBuf {
        self.server().join("keys")
    }

    pub(crate) fn database(&self) -> PathBuf {
        self.server().join("chancery.db")
    }

    /// Held by the one server that works in this data folder.
    pub(crate) fn server_lock(&self) -> PathBuf {
        self.server().join("lock")
    }

    /// What this data folder remembers of the database that has its tables.
    pub(crate) fn noted_place(&self) -> PathBuf {
        self.server().join("database.place")
    }

    /// Where the bundle is served.
    pub(crate) fn bundle_config(&self) -> PathBuf {
        self.server().join("bundle.json")
    }

    pub(crate) fn gateway(&self) -> PathBuf {
        self.data.join("gateway")
    }

    pub(crate) fn gateway_log(&self) -> PathBuf {
        self.gateway().join("log")
    }

    pub(crate) fn gateway_log_key(&self) -> PathBuf {
        self.gateway().join("log-key")
    }

    /// The last checkpoint of the gateway's log that the server enrolled.
    pub(crate) fn gateway_checkpoint(&self) -> PathBuf {
        self.gateway().join(ENROLLED_CHECKPOINT)
    }

    pub(crate) fn gateway_config(&self) -> PathBuf {
        self.gateway().join("config.json")
    }

    /// The trust document in force, for the parts of this deployment.
    pub(crate) fn trust_file(&self) -> PathBuf {
        self.data.join("trust.json")
    }

    /// The newest trust document that the gateway has seen.
    pub(crate) fn gateway_trust_file(&self) -> PathBuf {
        self.gateway().join("trust.json")
    }

    fn run(&self) -> PathBuf {
        self.data.join("run")
    }

    pub(crate) fn signer_socket(&self) -> PathBuf {
        self.run().join("signer.sock")
    }

    pub(crate) fn server_socket(&self) -> PathBuf {
        self.run().join("server.sock")
    }

    /// Where the operator speaks to the gateway.
    pub(crate) fn gateway_socket(&self) -> PathBuf {
        self.run().join("gateway.sock")
    }

    pub(crate) fn node_socket(&self) -> PathBuf {
        self.run().join("node.sock")
    }

    pub(crate) fn workload_socket(&self) -> PathBuf {
        self.run().join("workload").join("workload.sock")
    }

    pub(crate) fn broker_socket(&self) -> PathBuf {
        self.run().join("workload").join("broker.sock")
    }

    /// Where a part shows its metrics.
    pub(crate) fn metrics_socket(&self, part: Part) -> PathBuf {
        self.run().join(format!("{part}.metrics.sock"))
    }

    /// What the node notes of its launches.
    pub(crate) fn launches(&self) -> PathBuf {
        self.run().join("launches")
    }

    /// Every folder, parents first.
    pub(crate) fn folders(&self) -> [PathBuf; 7] {
        [
            self.data.clone(),
            self.root(),
            self.signer(),
            self.server(),
            self.gateway(),
            self.run(),
            self.run().join("workload"),
        ]
    }

    /// The trust document in force.
    pub(crate) fn trust(&self) -> anyhow::Result<VerifiedTrust> {
        read_trust(&self.trust_file())
    }

    /// A client of the server.
    pub(crate) fn server_client(&self) -> ServerClient {
        ServerClient::new(self.server_socket())
    }
}

/// Reads and verifies a trust document.
pub(crate) fn read_trust(path: &Path) -> anyhow::Result<VerifiedTrust> {
    let shown = || path.display().to_string();
    let bytes = std::fs::read(path).with_context(shown)?;
    let signed = SignedTrust::parse(&bytes).with_context(shown)?;
    signed.verify(&AwsLc).with_context(shown)
}
