use chancery_crypto::{KeyError, SigningKey};
use chancery_evidence::trust_record::{
    Appraisal, AppraisalStatus, BuildProvenance, Confirmation, ConfirmationKey, EnforcementMode,
    Model, Platform, Policy, Profile, Reference, Runtime, ToolTranscript, TrustRecord,
    TrustRecordError,
};
use chancery_journal::Published;
use chancery_session::Session;
use chancery_types::{Digest, Timestamp, base64url};

use super::live::Live;

/// Why a session has no Trust Record.
#[derive(Debug, thiserror::Error)]
pub(crate) enum RecordError {
    #[error("the session has not ended, or nobody joined it")]
    NotEnded,
    #[error("records are signed with an Ed25519 key")]
    Key,
    #[error("the record key does not sign")]
    Sign(#[from] KeyError),
    #[error("the record has no canonical form")]
    Record(#[from] TrustRecordError),
}

/// Makes and signs the Trust Record of an ended session: what nobody proved it says is unproven.
pub(crate) fn trust_record(
    live: &Live,
    gateway: &str,
    published: &Published,
    key: &SigningKey,
    now: Timestamp,
) -> Result<Vec<u8>, RecordError> {
    let Session::Ended(ended) = live.session() else {
        return Err(RecordError::NotEnded);
    };
    let opened = &ended.opened.entry;
    let (Some(root), Some(evidence)) = (&live.memory.root, ended.entry.evidence) else {
        return Err(RecordError::NotEnded);
    };
    let opener = live
        .dossier
        .members
        .get(&opened.instance)
        .ok_or(RecordError::NotEnded)?;
    let version = live.dossier.policies.get(&opened.policy.to_string());
    let reference = |rel: &str, id: String, digest| Reference {
        rel: rel.to_owned(),
        id,
        resolver: gateway.to_owned(),
        digest,
    };
    let unenforced = ended.entry.counts.unenforced.unwrap_or_default();
    let origin = published.checkpoint.origin.to_string();
    let mut record = TrustRecord {
        eat_profile: Profile::V02,
        iat: now.as_seconds(),
        subject: root.holder.to_string(),
        model: Model {
            provider: "none".to_owned(),
            model_id: "deterministic".to_owned(),
        },
        runtime: Runtime {
            platform: Platform::SoftwareOnly,
            measurement: opener.code,
        },
        policy: Policy {
            bundle_hash: opened.policy,
            enforcement_mode: EnforcementMode::of(unenforced),
            version: version
                .map(|policy| policy.version)
                .unwrap_or_default()
                .to_string(),
        },
        data_class: "unclassified".to_owned(),
        build_provenance: BuildProvenance {
            slsa_level: 0,
            digest: opener.code,
        },
        appraisal: Appraisal {
            status: AppraisalStatus::None,
            verifier: gateway.to_owned(),
        },
        cnf: Confirmation {
            jwk: ConfirmationKey::of(key.public()).ok_or(RecordError::Key)?,
        },
        tool_transcript: ToolTranscript {
            hash: Digest::of(&live.memory.transcript),
            call_count: live.memory.decisions,
            gap_count: live.memory.gaps,
            unenforced_count: unenforced,
        },
        references: vec![
            reference(
                "agent-manifest",
                opener.manifest_id.clone(),
                opened.manifest,
            ),
            reference("evidence-index", opened.session.to_string(), evidence),
            reference(
                "log-checkpoint",
                origin.clone(),
                Digest::of(&published.note),
            ),
            reference("delegation-root", root.jti.to_string(), root.digest),
        ],
        transparency: format!("https://{origin}"),
        signature: None,
    };
    let signature = key.sign(&record.signing_input()?)?;
    record.signature = Some(base64url::encode(signature));
    Ok(record.to_bytes()?)
}
