use std::sync::{Mutex, PoisonError};

use chancery_api::Problem;
use chancery_api::tls::TlsIdentity;

use crate::Server;
use crate::own_svid::{OwnSvid, Renewal};

/// What the node listener presents and believes; replaced while it serves.
#[derive(Debug)]
pub(super) struct Presented {
    pub(super) identity: TlsIdentity,
    current: Mutex<Current>,
}

#[derive(Debug, Clone)]
struct Current {
    renewal: Renewal,
    trust_version: u64,
}

impl Presented {
    pub(super) async fn issue(server: &Server) -> Result<Self, Problem> {
        let trust_version = server.trust().version;
        let issued = OwnSvid::issue(server, None).await?;
        let identity = TlsIdentity::new(issued.chain, &issued.key, issued.bundle)
            .map_err(|error| Problem::internal("svid", &error))?;
        Ok(Self {
            identity,
            current: Mutex::new(Current {
                renewal: issued.renewal,
                trust_version,
            }),
        })
    }

    /// Takes another one where it is due or other authorities are in force. One that cannot be had is
    /// told, and the last one stays.
    pub(super) async fn renew(&self, server: &Server) {
        let current = self.current().clone();
        let trust_version = server.trust().version;
        if trust_version == current.trust_version && !current.renewal.is_due(server).await {
            return;
        }
        let replaced = match OwnSvid::issue(server, None).await {
            Ok(next) => {
                let replaced = self.identity.replace(next.chain, &next.key, next.bundle);
                replaced
                    .map(|()| next.renewal)
                    .map_err(|error| error.to_string())
            }
            Err(problem) => Err(problem.to_string()),
        };
        match replaced {
            Ok(renewal) => {
                *self.current() = Current {
                    renewal,
                    trust_version,
                };
            }
            Err(error) => tracing::warn!(error, "the node listener keeps its certificate"),
        }
    }

    fn current(&self) -> std::sync::MutexGuard<'_, Current> {
        self.current.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
