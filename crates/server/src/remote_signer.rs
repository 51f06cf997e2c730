//! The server's log key, which the signer holds.

use chancery_api::signer::{SignCheckpoint, SignerClient};
use chancery_journal::{CheckpointSigner, SignError};
use chancery_tlog::{Checkpoint, NoteSignature, Origin, TreeHash};
use chancery_types::base64url;
use tokio::runtime::Handle;

/// Has checkpoints signed by the signer process. Used from the journal's own threads, never from a
/// task of the runtime.
#[derive(Debug)]
pub struct RemoteSigner {
    origin: Origin,
    client: SignerClient,
    runtime: Handle,
}

impl RemoteSigner {
    /// A signer of that origin's checkpoints, asked on `runtime`.
    pub const fn new(origin: Origin, client: SignerClient, runtime: Handle) -> Self {
        Self {
            origin,
            client,
            runtime,
        }
    }
}

impl CheckpointSigner for RemoteSigner {
    fn origin(&self) -> &Origin {
        &self.origin
    }

    fn last_signed(&self) -> Result<Option<Checkpoint>, SignError> {
        let last = self
            .runtime
            .block_on(self.client.last_checkpoint())
            .map_err(unavailable)?;
        last.text
            .map(|text| text.parse().map_err(SignError::Text))
            .transpose()
    }

    fn sign(
        &self,
        note_text: &str,
        consistency: &[TreeHash],
    ) -> Result<Vec<NoteSignature>, SignError> {
        let request = SignCheckpoint {
            text: note_text.to_owned(),
            consistency: consistency
                .iter()
                .map(|hash| base64url::encode(hash.as_bytes()))
                .collect(),
        };
        let signed = self
            .runtime
            .block_on(self.client.checkpoint(&request))
            .map_err(unavailable)?;
        signed
            .signatures
            .iter()
            .map(|one| {
                let key_id = base64url::decode_array(&one.key_id).map_err(unavailable)?;
                let signature = base64url::decode(&one.signature).map_err(unavailable)?;
                Ok(NoteSignature::new(
                    self.origin.key_name().clone(),
                    key_id,
                    signature,
                ))
            })
            .collect()
    }
}

fn unavailable(error: impl std::error::Error + Send + Sync + 'static) -> SignError {
    SignError::Unavailable(Box::new(error))
}
