//! The end, and the Trust Record.

use chancery_audit::*;
use chancery_delegation::VerifiedChain;
use chancery_evidence::trust_record as record;
use chancery_session::{Ending, Event as Step};
use chancery_types::id::SessionId;
use chancery_types::{Digest, base64url};

use super::{Builder, GATEWAY, START, Scene, id, make_index};

impl Builder {
    pub(super) fn finish(mut self, root: &VerifiedChain) -> Scene {
        let index = make_index(&self.objects);
        self.now = self.later(50);
        let evidence = Some(Digest::of(&index));
        self.step(Step::End(Ending {
            evidence,
            ..self.end.clone()
        }));
        let note = self.gateway.checkpoint(&self.signers.gateway);
        self.gateway.note = Some(note.clone());
        let enrol = CheckpointEnrol {
            log: self.gateway.origin.clone(),
            size: self.gateway.size(),
            root: self.gateway.root(),
            checkpoint: Digest::of(&note),
        };
        self.server.append(self.later(51), enrol.into());
        let record = self.record(root, &index, &note);
        let enrol = RecordEnrol {
            session: id(1),
            record: Digest::of(&record),
            signer: self.signers.record.public().thumbprint(),
            evidence: Digest::of(&index),
        };
        self.server.append(self.later(52), enrol.into());
        for holder in [0, 1] {
            let end = IdentityEnd {
                instance: self.label(holder),
                reason: Label::or_digest("exited"),
                credentials: Vec::new(),
                launch: None,
            };
            self.server.append(self.later(53), end.into());
        }
        Scene {
            signers: self.signers,
            trust: self.trust,
            gateway: self.gateway,
            server: self.server,
            objects: self.objects,
            index,
            record,
            keys: self.holders.into_iter().map(|holder| holder.key).collect(),
        }
    }

    pub(super) fn record(&self, root: &VerifiedChain, index: &[u8], note: &str) -> Vec<u8> {
        let leaves = self
            .gateway
            .parsed()
            .into_iter()
            .filter_map(|entry| match entry.event {
                Event::Decision(_) | Event::Outcome(_) => {
                    Some(leaf_hash(&entry.to_bytes().unwrap()))
                }
                _ => None,
            });
        let entries = self.gateway.parsed();
        let decided = entries
            .iter()
            .filter(|entry| matches!(entry.event, Event::Decision(_)));
        let decisions = decided.count() as u64;
        let unenforced = entries.iter().filter(|entry| match &entry.event {
            Event::Decision(decision) => {
                decision.outcome == Ruling::Allow && decision.unenforced.is_some()
            }
            _ => false,
        });
        let unenforced = unenforced.count() as u64;
        let reference = |rel: &str, id: String, digest| record::Reference {
            rel: rel.to_owned(),
            id,
            resolver: GATEWAY.to_owned(),
            digest,
        };
        let code = self.manifest.container_image().unwrap();
        let session: SessionId = id(1);
        let key = &self.signers.record;
        let mut made = record::TrustRecord {
            eat_profile: record::Profile::V02,
            iat: START + self.late + 51,
            subject: self.holders[0].name.to_string(),
            model: record::Model {
                provider: "none".into(),
                model_id: "deterministic".into(),
            },
            runtime: record::Runtime {
                platform: record::Platform::SoftwareOnly,
                measurement: code,
            },
            policy: record::Policy {
                bundle_hash: self.bundle.digest(),
                enforcement_mode: record::EnforcementMode::of(unenforced),
                version: "1".into(),
            },
            data_class: "unclassified".into(),
            build_provenance: record::BuildProvenance {
                slsa_level: 0,
                digest: code,
            },
            appraisal: record::Appraisal {
                status: record::AppraisalStatus::None,
                verifier: GATEWAY.into(),
            },
            cnf: record::Confirmation {
                jwk: record::ConfirmationKey::of(key.public()).unwrap(),
            },
            tool_transcript: record::ToolTranscript {
                hash: record::transcript_hash(leaves),
                call_count: decisions,
                gap_count: 0,
                unenforced_count: unenforced,
            },
            references: vec![
                reference(
                    "agent-manifest",
                    self.manifest.manifest_id().to_owned(),
                    self.manifest.payload_digest(),
                ),
                reference("evidence-index", session.to_string(), Digest::of(index)),
                reference(
                    "log-checkpoint",
                    self.gateway.origin.to_string(),
                    Digest::of(note),
                ),
                reference(
                    "delegation-root",
                    "root-1".to_owned(),
                    root.root().token_digest(),
                ),
            ],
            transparency: format!("https://{}", self.gateway.origin),
            signature: None,
        };
        let signature = key.sign(&made.signing_input().unwrap()).unwrap();
        made.signature = Some(base64url::encode(signature));
        made.to_bytes().unwrap()
    }
}
