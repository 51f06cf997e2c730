//! An authority and a row of holders, the chains between them and the proofs of the last.

use anyhow::Context as _;
use chancery_crypto::{AwsLc, SigningKey};
use chancery_delegation::{
    BoundedReplayMemory, Call, ChainContext, ChainTip, Entry, LinkDraft, Mission, PersonDraft,
    ProofContext, ProofDraft, RevocationSet, RootDraft, Terms, TrustAnchor, VerifiedChain,
    VerifiedProof, verify_chain, verify_proof,
};
use chancery_identity::SpiffeId;
use chancery_types::id::{InstanceId, SessionId};
use chancery_types::{Algorithm, Digest, Timestamp};
use serde_json::json;

pub(crate) const NOW: Timestamp = Timestamp::from_seconds(1_800_000_000);
pub(crate) const GATEWAY: &str = "spiffe://acme.example/service/gateway";
pub(crate) const AGENT: &str = "spiffe://acme.example/agent/clerk";
pub(crate) const SERVER: &str = "fs";
pub(crate) const TOOL: &str = "read";

/// The one step of the mission.
pub(crate) const STEP: &str = "read";

const ISSUER: &str = "https://acme.example/authority";
const EPOCH: u64 = 1;

/// The delegation authority and the holders below it, all with Ed25519 keys.
pub(crate) struct Parties {
    authority: SigningKey,
    holders: Vec<SigningKey>,
    anchors: Vec<TrustAnchor>,
}

impl Parties {
    pub(crate) fn new(holders: usize) -> anyhow::Result<Self> {
        let authority = SigningKey::generate(Algorithm::Ed25519)?;
        let holders = (0..holders).map(|_| SigningKey::generate(Algorithm::Ed25519));
        let anchors = vec![TrustAnchor {
            issuer: ISSUER.to_owned(),
            key: *authority.public(),
        }];
        Ok(Self {
            authority,
            holders: holders.collect::<Result<_, _>>()?,
            anchors,
        })
    }

    pub(crate) fn holder(&self, at: usize) -> anyhow::Result<&SigningKey> {
        self.holders.get(at).context("no such holder")
    }

    /// A chain of so many links, the root among them.
    pub(crate) fn chain(&self, links: usize) -> anyhow::Result<Vec<String>> {
        let root = RootDraft {
            issuer: ISSUER.to_owned(),
            terms: self.terms(0)?,
            sid: session().to_string(),
            epoch: EPOCH,
            person: PersonDraft {
                issuer: "https://idp.acme.example".to_owned(),
                subject: "person-1".to_owned(),
                acr: "passkey".to_owned(),
                authenticated_at: NOW.minus_seconds(600),
                standing: None,
            },
            mission: mission()?.digest(),
        };
        let key = &self.authority;
        let consent = Digest::of("consent");
        let root = root.sign(consent, key.public(), &AwsLc, &|bytes| key.sign(bytes))?;
        let mut chain = vec![root];
        for at in 1..links {
            let tip = ChainTip::read(&borrowed(&chain)).map_err(refused)?;
            let key = self.holder(at - 1)?;
            let terms = self.terms(at)?;
            let link = LinkDraft { terms }.sign(&tip, &AwsLc, &|bytes| key.sign(bytes))?;
            chain.push(link);
        }
        Ok(chain)
    }

    pub(crate) fn verify(&self, chain: &[String]) -> anyhow::Result<VerifiedChain> {
        let context = ChainContext {
            now: NOW,
            audience: GATEWAY,
            anchors: &self.anchors,
            epoch: EPOCH,
            revoked: RevocationSet::none(),
            verifier: &AwsLc,
        };
        verify_chain(&borrowed(chain), &context).map_err(refused)
    }

    /// The proof of the holder `at`, who holds `chain`.
    pub(crate) fn proof(
        &self,
        at: usize,
        chain: &VerifiedChain,
        call: Call<'_>,
    ) -> anyhow::Result<String> {
        let key = self.holder(at)?;
        let draft = ProofDraft {
            audience: GATEWAY,
            issued_at: NOW,
            jti: "pop_01",
            chain: chain.digest(),
            call,
            execution: None,
            step: Some(STEP),
        };
        Ok(draft.sign(key.public(), &|bytes| key.sign(bytes))?)
    }

    fn terms(&self, at: usize) -> anyhow::Result<Terms> {
        let entry = json!({
            "type": "mcp_tool", "server": SERVER, "tool": TOOL,
            "args": {"path": {"path_prefix": "/reports"}}
        });
        let seconds = 60 * at as u64;
        Ok(Terms {
            subject: instance(at)?,
            key: *self.holder(at)?.public(),
            audience: (at == 0).then(|| vec![GATEWAY.to_owned()]),
            issued_at: NOW.minus_seconds(60),
            not_before: NOW.minus_seconds(60),
            expires_at: NOW.plus_seconds(3_600 - seconds),
            jti: format!("del_{at}"),
            max_depth: 7,
            entries: vec![Entry::parse(&entry).map_err(|reason| refused(reason.into()))?],
            forbid: Vec::new(),
            ask: Vec::new(),
        })
    }
}

/// Verifies a proof of the holder `at`, remembered nowhere.
pub(crate) fn verify(
    proof: &str,
    chain: &VerifiedChain,
    peer: &SpiffeId,
    call: Call<'_>,
) -> anyhow::Result<VerifiedProof> {
    let context = ProofContext {
        now: NOW,
        audience: GATEWAY,
        verifier: &AwsLc,
        started_at: Timestamp::from_seconds(0),
        peer,
        call,
    };
    let mut replay = BoundedReplayMemory::new(1, 1);
    verify_proof(Some(proof), chain, &context, &mut replay).map_err(refused)
}

/// The mission that all chains are for.
pub(crate) fn mission() -> anyhow::Result<Mission> {
    Ok(Mission::parse(include_bytes!("mission.json").to_vec())?)
}

/// The session that all chains are for.
pub(crate) fn session() -> SessionId {
    SessionId::from_random([1; 16])
}

pub(crate) fn instance(at: usize) -> anyhow::Result<SpiffeId> {
    let id = InstanceId::from_random([u8::try_from(at)?; 16]);
    Ok(format!("{AGENT}/instance/{id}").parse()?)
}

pub(crate) fn borrowed(chain: &[String]) -> Vec<&str> {
    chain.iter().map(String::as_str).collect()
}

fn refused(refusal: chancery_delegation::Refusal) -> anyhow::Error {
    anyhow::anyhow!("refused: {}", refusal.reason)
}
