use chancery_api::BoundClient;
use chancery_api::server::{ChallengeTpm, JoinMeans, TpmChallenge, TpmProof};
use chancery_identity::{NodeChannel, tpm_qualifying_data};
use chancery_types::{Jwk, base64url};

use super::{OwnTpm, TpmAddress, TpmError, TpmKeyKind};
use crate::JoinError;

const CHALLENGE: &str = "/v1/node/tpm";

/// Opens the TPM, which takes a while where it has to make its keys.
pub(crate) async fn open(address: TpmAddress, kind: TpmKeyKind) -> Result<OwnTpm, JoinError> {
    blocking(move || OwnTpm::open(&address, kind)).await
}

/// What this host's TPM shows on that connection for that key.
pub(crate) async fn shown(
    bound: &mut BoundClient,
    tpm: OwnTpm,
    key: Jwk,
) -> Result<JoinMeans, JoinError> {
    let request = ChallengeTpm {
        endorsement_key: base64url::encode(tpm.endorsement_key()),
        certificate: tpm.certificate().map(base64url::encode),
        attestation_key: base64url::encode(tpm.attestation_key()),
    };
    let challenge: TpmChallenge = bound.post(CHALLENGE, &request).await?;
    let channel = bound.channel();
    let proof = blocking(move || answer(tpm, &challenge, channel, &key)).await?;
    Ok(JoinMeans::Tpm(proof))
}

fn answer(
    mut tpm: OwnTpm,
    challenge: &TpmChallenge,
    channel: NodeChannel,
    key: &Jwk,
) -> Result<TpmProof, TpmError> {
    let bytes = |text: &str| {
        let bytes = base64url::decode(text);
        bytes.map_err(|error| TpmError::Answer(error.into()))
    };
    let nonce: Result<[u8; 32], _> = bytes(&challenge.nonce)?.try_into();
    let nonce = nonce.map_err(|_| TpmError::Answer("a nonce of another length".into()))?;
    let secret = tpm.activate(
        &bytes(&challenge.credential)?,
        &bytes(&challenge.encrypted_secret)?,
    )?;
    let qualifying = tpm_qualifying_data(channel, key, &nonce, secret.expose());
    let answer = tpm.quote(&challenge.registers, qualifying)?;
    Ok(TpmProof {
        secret: base64url::encode(secret.expose()),
        quote: base64url::encode(answer.quote),
        signature: base64url::encode(answer.signature),
        pcrs: answer.pcrs,
    })
}

async fn blocking<T: Send + 'static>(
    work: impl FnOnce() -> Result<T, TpmError> + Send + 'static,
) -> Result<T, JoinError> {
    let done = tokio::task::spawn_blocking(work).await;
    let done = done.map_err(|error| TpmError::Answer(error.into()))?;
    done.map_err(JoinError::from)
}
