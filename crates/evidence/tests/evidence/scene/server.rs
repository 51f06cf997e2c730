//! What the server enrols before any session.

use chancery_attestation::{Evidence, LaunchEvidence};
use chancery_audit::*;
use chancery_identity::AttestationLevel;
use chancery_types::Digest;
use chancery_types::id::LaunchId;

use super::documents::CODE;
use super::{AGENT, Builder, at, id};

impl Builder {
    /// What the server enrols before any session.
    pub(super) fn prepare(&mut self) {
        let (now, trust) = (at(0), &self.trust);
        let signers = vec![self.signers.root.public().thumbprint()];
        let (version, document) = (trust.version, trust.digest());
        self.server.append(
            now,
            TrustChange {
                version,
                document,
                signers,
                previous: None,
            }
            .into(),
        );
        let publish = PolicyPublish {
            name: Label::or_digest("p"),
            version: 1,
            policy: self.bundle.digest(),
            signer: self.signers.policy.public().thumbprint(),
            statement: Digest::of("statement"),
            previous: None,
            cosigners: None,
        };
        self.server.append(now, publish.into());
        let register = ManifestRegister {
            agent: Label::or_digest(AGENT),
            manifest: self.manifest.payload_digest(),
            issuer: self.manifest.key_id(),
            expires: Some(self.manifest.expires_at()),
            prompt: self.manifest.system_prompt(),
            tools: self.manifest.catalog_hash(),
            policy: self.manifest.policy_bundle(),
            code: self.manifest.container_image(),
            federates_with: None,
            may_spawn: None,
            spawn_at_once: None,
            spawn_outlive: None,
            dns_names: None,
            hint: None,
            x509_svid_seconds: None,
            jwt_svid_seconds: None,
            requires_isolation: None,
            requires_attestation: None,
            owner: None,
        };
        self.server.append(now, register.into());
        for number in 0..self.holders.len() {
            let holder = &self.holders[number];
            let tls = (
                CredentialForm::X509Svid,
                id(number as u8 + 50),
                Digest::of("spki"),
            );
            let wit = (
                CredentialForm::Wit,
                holder.wit_id,
                holder.key.public().thumbprint(),
            );
            for (form, id, key) in [tls, wit] {
                let expires = at(3_000);
                let issue = IdentityIssue {
                    agent: Label::or_digest(AGENT),
                    instance: self.label(number),
                    credentials: vec![chancery_audit::Credential {
                        form,
                        id,
                        key,
                        expires,
                    }],
                    manifest: self.manifest.payload_digest(),
                    attestation_level: Label::or_digest(AttestationLevel::Launch.name()),
                    isolation: Isolation::Isolated,
                    evidence: attested(number).digest().unwrap(),
                    executable: Digest::of(CODE),
                    node: Label::or_digest("spiffe://example.org/service/node"),
                    renewal: false,
                    expires,
                    launch: attested(number).launch(),
                    operator: None,
                    broker: None,
                    dns_names: None,
                };
                self.server.append(at(1), issue.into());
            }
        }
    }
}

/// What was attested of a holder.
pub(crate) fn attested(holder: usize) -> Evidence {
    Evidence::Launch(LaunchEvidence {
        launch: LaunchId::from_random([holder as u8; 16]),
        isolation: chancery_identity::Isolation::Isolated,
        executable: Digest::of(CODE),
        uid: 1_000,
    })
}
