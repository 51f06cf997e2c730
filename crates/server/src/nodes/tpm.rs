//! Hosts that join by their TPM: who admits one, what it must open, and what it must quote.

use std::sync::PoisonError;
use std::sync::atomic::Ordering;
use std::time::{Duration, Instant};

use chancery_api::Problem;
use chancery_api::server::{AdmitNodeTpm, ChallengeTpm, NodeTpmView, TpmChallenge, TpmProof};
use chancery_attestation::tpm::{
    AttestationKey, EndorsementKey, PcrSelection, PcrValues, SECRET_BYTES, SignedQuote,
    make_credential, verify_quote,
};
use chancery_audit::{Label, NodeJoin, NodeProof};
use chancery_crypto::{AwsLc, TPM_MAKER_ALGORITHMS, random_bytes};
use chancery_identity::{
    ProvenEndorsement, ProvenNodeKey, tpm_qualifying_data, verify_endorsement_certificate,
};
use chancery_store::NodeTpmRow;
use chancery_types::id::NodeId;
use chancery_types::{Digest, Secret, SvidKeyMaterial, Timestamp, base64url};
use http::StatusCode;

use super::admission::Admitted;
use super::listener::NodeConnection;
use crate::Server;
use crate::endpoints::{label, random, stored};

/// How long a TPM has for its answer; its connection is a stranger's and ends by then too.
const ANSWER: Duration = Duration::from_secs(30);

/// Most TPMs that are admitted one by one.
const MAX_TPMS: usize = 65_536;

/// What a TPM was asked on one connection. There is one for each connection at most, and it is taken
/// away by the first answer, whatever that is.
#[derive(Debug)]
pub(crate) struct Asked {
    endorsement: EndorsementKey,
    attestation: AttestationKey,
    certificate: Option<Vec<u8>>,
    secret: Secret,
    nonce: [u8; 32],
    registers: PcrSelection,
    at: Instant,
}

/// Who vouches for a TPM, and for which values of its registers.
struct Vouched {
    pcrs: PcrValues,
    maker: Option<ProvenEndorsement>,
}

impl Server {
    /// Takes in one TPM: its host may join.
    pub(crate) async fn admit_node_tpm(
        &self,
        request: &AdmitNodeTpm,
    ) -> Result<NodeTpmView, Problem> {
        let known = self.store.node_tpms().await.map_err(stored)?;
        if known.len() >= MAX_TPMS && known.iter().all(|one| one.tpm != request.tpm) {
            return Err(Problem::conflict(
                "node_tpms_full",
                "as many tpms are admitted as may be; admit their makers instead",
            ));
        }
        let log_index = self
            .enrol(admission(request.tpm, true, &request.pcrs))
            .await?;
        let row = NodeTpmRow {
            tpm: request.tpm,
            pcrs: written(&request.pcrs)?,
            log_index,
        };
        self.store.put_node_tpm(&row).await.map_err(stored)?;
        Ok(NodeTpmView {
            tpm: request.tpm,
            pcrs: request.pcrs.clone(),
            log_index,
        })
    }

    /// Takes a TPM out: its host joins no more. One that joined stays.
    pub(crate) async fn remove_node_tpm(&self, tpm: Digest) -> Result<(), Problem> {
        let known = self.node_tpms().await?;
        if known.iter().all(|one| one.tpm != tpm) {
            return Err(
                Problem::not_found("node_tpm", format!("the tpm {tpm} admits no host"))
                    .with_remedy("chancery node list"),
            );
        }
        self.enrol(admission(tpm, false, &PcrValues::default()))
            .await?;
        let removed = self.store.remove_node_tpm(tpm).await;
        removed.map(drop).map_err(stored)
    }

    pub(super) async fn node_tpms(&self) -> Result<Vec<NodeTpmView>, Problem> {
        let rows = self.store.node_tpms().await.map_err(stored)?.into_iter();
        let read = rows.map(|row| {
            Ok(NodeTpmView {
                tpm: row.tpm,
                pcrs: read(&row.pcrs)?,
                log_index: row.log_index,
            })
        });
        read.collect()
    }

    /// Makes a credential that the TPM alone can open, and that only while it holds the attestation
    /// key. A TPM that nobody vouches for is asked nothing.
    pub(crate) async fn challenge_tpm(
        &self,
        connection: &NodeConnection,
        request: &ChallengeTpm,
    ) -> Result<TpmChallenge, Problem> {
        let counted = !connection.challenged.swap(true, Ordering::Relaxed)
            && self.nodes.attempts.take(connection.address, Instant::now());
        if !counted {
            return Err(Problem::new(
                StatusCode::TOO_MANY_REQUESTS,
                "join_rate",
                "too many joins are asked for",
            ));
        }
        connection.counted.store(true, Ordering::Relaxed);
        let bytes = |text: &str| base64url::decode(text).map_err(|error| refused(&error));
        let endorsement = EndorsementKey::parse(&bytes(&request.endorsement_key)?);
        let endorsement = endorsement.map_err(|error| refused(&error))?;
        let attestation = AttestationKey::parse(&bytes(&request.attestation_key)?, &AwsLc);
        let attestation = attestation.map_err(|error| refused(&error))?;
        let certificate = request.certificate.as_deref().map(bytes).transpose()?;
        self.nodes.check(node_of(&endorsement))?;
        let now = self.now()?;
        let vouched = self.vouched(&endorsement, certificate.as_deref(), now);
        let registers = vouched.await?.pcrs.quoted();
        let secret = random_bytes::<SECRET_BYTES>().map_err(random)?;
        let seed = random_bytes::<SECRET_BYTES>().map_err(random)?;
        let nonce = random_bytes::<32>().map_err(random)?;
        let credential = make_credential(&endorsement, &attestation, &secret, &seed, &AwsLc);
        let credential = credential.map_err(|error| refused(&error))?;
        let challenge = TpmChallenge {
            credential: base64url::encode(&credential.blob),
            encrypted_secret: base64url::encode(&credential.encrypted_secret),
            nonce: base64url::encode(nonce),
            registers: registers.clone(),
        };
        let asked = Asked {
            endorsement,
            attestation,
            certificate,
            secret: Secret::new(secret.to_vec()),
            nonce,
            registers,
            at: Instant::now(),
        };
        *connection
            .tpm
            .lock()
            .unwrap_or_else(PoisonError::into_inner) = Some(asked);
        Ok(challenge)
    }

    /// Judges what the TPM answered on the same connection. The node's name follows from its
    /// endorsement key.
    pub(super) async fn by_tpm(
        &self,
        connection: &NodeConnection,
        key: &ProvenNodeKey,
        proof: &TpmProof,
        now: Timestamp,
    ) -> Result<Admitted, Problem> {
        let asked = connection
            .tpm
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .take()
            .filter(|asked| asked.at.elapsed() < ANSWER);
        let asked = asked.ok_or_else(|| refused(&"nothing was asked of it, or long ago"))?;
        let bytes = |text: &str| base64url::decode(text).map_err(|error| refused(&error));
        if !asked.secret.ct_eq(&bytes(&proof.secret)?) {
            return Err(refused(
                &"the credential was not opened: the attestation key is not in this tpm",
            ));
        }
        let quote = SignedQuote {
            attested: bytes(&proof.quote)?,
            signature: bytes(&proof.signature)?,
            pcrs: proof.pcrs.clone(),
        };
        let bound = tpm_qualifying_data(
            connection.channel,
            key.jwk(),
            &asked.nonce,
            asked.secret.expose(),
        );
        let quote = verify_quote(&quote, &asked.attestation, &asked.registers, bound, &AwsLc);
        let quote = quote.map_err(|error| refused(&error))?;
        // Again: whoever vouched may have taken it back meanwhile.
        let vouched = self.vouched(&asked.endorsement, asked.certificate.as_deref(), now);
        let vouched = vouched.await?;
        if let Some(register) = vouched.pcrs.differs_in(quote.pcrs()) {
            return Err(refused(&format_args!(
                "register {register} holds another value than the operator gave"
            )));
        }
        let evidence = quote.evidence(&asked.endorsement);
        let node = node_of(&asked.endorsement);
        let maker = vouched.maker.as_ref();
        let description = maker.map(ProvenEndorsement::description);
        Ok(Admitted {
            node,
            level: NodeProof::Tpm.name(),
            event: NodeJoin {
                node: label(self.node_spiffe_id(node)?.as_str())?,
                proof: NodeProof::Tpm,
                key: key.jwk().thumbprint(),
                token: None,
                certificate: maker.map(ProvenEndorsement::fingerprint),
                authority: maker.map(ProvenEndorsement::authority),
                subject: description.map(Label::or_digest),
                names: None,
                tpm: Some(evidence.endorsement_key),
                attestation_key: Some(evidence.attestation_key),
                pcrs: Some(labels(&evidence.pcrs)),
                resets: Some(evidence.resets.into()),
            },
            subject: description.map(str::to_owned),
            tpm: Some(
                serde_json::to_string(&evidence)
                    .map_err(|error| Problem::internal("tpm", &error))?,
            ),
        })
    }

    /// The operator, who named this TPM, or else its maker, whom the operator named. Where both did, what
    /// was said of this TPM counts alone.
    async fn vouched(
        &self,
        endorsement: &EndorsementKey,
        certificate: Option<&[u8]>,
        now: Timestamp,
    ) -> Result<Vouched, Problem> {
        // One row, however many there are: a stranger asks.
        let named = self.store.node_tpm(endorsement.digest()).await;
        if let Some(one) = named.map_err(stored)? {
            return Ok(Vouched {
                pcrs: read(&one.pcrs)?,
                maker: None,
            });
        }
        let unknown = || {
            let tpm = endorsement.digest();
            refused(&format_args!("nobody vouches for the tpm {tpm}"))
        };
        let certificate = certificate.ok_or_else(unknown)?;
        // Many TPMs hold a certificate over a key of either kind. By both, one host would be two nodes,
        // and come back as the other when the one was put out.
        if !matches!(endorsement.key().material(), SvidKeyMaterial::Rsa { .. }) {
            return Err(refused(&"a maker vouches for a tpm by its rsa key alone"));
        }
        let makers = self.node_authorities().await?.into_iter();
        let makers: Vec<_> = makers.filter(|one| one.tpms).collect();
        let authorities: Vec<_> = makers.iter().map(|one| one.authority.clone()).collect();
        let proven = verify_endorsement_certificate(
            certificate,
            endorsement.key(),
            &authorities,
            now,
            TPM_MAKER_ALGORITHMS,
        );
        let proven = proven.map_err(|error| refused(&error))?;
        let maker = makers
            .into_iter()
            .find(|one| one.authority.fingerprint() == proven.authority());
        Ok(Vouched {
            pcrs: maker.ok_or_else(unknown)?.pcrs,
            maker: Some(proven),
        })
    }
}

/// The node of a TPM: the first bits of its endorsement key's digest.
fn node_of(endorsement: &EndorsementKey) -> NodeId {
    let mut bits = [0; 16];
    let digest = endorsement.digest();
    bits.iter_mut()
        .zip(digest.as_bytes())
        .for_each(|(bit, byte)| *bit = *byte);
    NodeId::from_random(bits)
}

fn refused(cause: &dyn std::fmt::Display) -> Problem {
    tracing::warn!("a node is not admitted by its tpm: {cause}");
    Problem::forbidden(
        "join_refused",
        "what was shown admits no node; the server's log says why",
    )
    .with_remedy(
        "`chancery node tpm` on the host says which tpm it is; `chancery node admit-tpm` admits it",
    )
}

fn admission(tpm: Digest, admitted: bool, pcrs: &PcrValues) -> chancery_audit::NodeTpm {
    chancery_audit::NodeTpm {
        tpm,
        admitted,
        pcrs: (!pcrs.is_empty()).then(|| labels(pcrs)),
    }
}

/// The registers as they are enrolled.
pub(super) fn labels(pcrs: &PcrValues) -> Vec<Label> {
    let shown = |(register, value): (u8, Digest)| format!("{register}={}", value.to_hex());
    pcrs.iter()
        .map(|one| Label::or_digest(&shown(one)))
        .collect()
}

/// The registers as they are stored.
pub(super) fn written(pcrs: &PcrValues) -> Result<String, Problem> {
    serde_json::to_string(pcrs).map_err(|error| Problem::internal("tpm", &error))
}

/// The registers as they were stored.
pub(super) fn read(text: &str) -> Result<PcrValues, Problem> {
    serde_json::from_str(text).map_err(|error| Problem::internal("store", &error))
}
