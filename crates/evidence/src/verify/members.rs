//! Instances: their tokens and manifests, and what the server's log says of both.

use std::collections::BTreeMap;

use chancery_audit::{Credential, CredentialForm, Event, Isolation, Label, SessionJoin};
use chancery_delegation::{ManifestContext, VerifiedManifest, verify_manifest};
use chancery_identity::{AttestationLevel, VerifiedWit, verify_wit};
use chancery_session::Member;
use chancery_types::{Digest, Timestamp, causes};

use super::case::{Case, Desk, FRESH_SECONDS, GRACE_SECONDS};
use super::roll::Logged;
use crate::report::{Axis, NoteValue, Place};
use crate::{Catalog, ObjectKind, object_path};

/// The tokens and manifests among the objects.
#[derive(Debug, Default)]
pub(crate) struct Members {
    tokens: Vec<VerifiedWit>,
    envelopes: Vec<(Digest, Vec<u8>)>,
    pub(crate) manifests: BTreeMap<Digest, VerifiedManifest>,
    pub(crate) expires: BTreeMap<Label, Timestamp>,
}

impl Members {
    /// Reads all tokens and manifests; who signed them is verified here, whether they are in force
    /// when they are used.
    pub(crate) fn read(case: &Case<'_>, desk: &mut Desk<'_>) -> Self {
        let mut members = Self::default();
        for (digest, bytes) in desk.objects.of_kind(ObjectKind::Wit) {
            let place = Place::File(object_path(digest));
            let text = std::str::from_utf8(bytes).unwrap_or_default();
            let verified = case
                .tokens
                .as_ref()
                .map(|keys| verify_wit(text, keys, Timestamp::from_micros(0), case.verifier));
            match verified {
                Some(Ok(token)) => members.tokens.push(token),
                Some(Err(error)) => {
                    desk.found
                        .add(Axis::Authenticity, place, "token_refused", causes(&error));
                }
                None => {
                    let text = "names no trust domain";
                    desk.found
                        .add(Axis::Authenticity, Place::Trust, "trust_domain", text);
                }
            }
        }
        let envelopes = desk.objects.of_kind(ObjectKind::Manifest).into_iter();
        members.envelopes = envelopes
            .map(|(digest, bytes)| (digest, bytes.to_vec()))
            .collect();
        members
    }

    /// The manifest whose signed bytes have that digest, verified at that time.
    fn manifest(
        &mut self,
        case: &Case<'_>,
        desk: &mut Desk<'_>,
        digest: Digest,
        at: Timestamp,
        place: &Place,
    ) -> Option<VerifiedManifest> {
        let context = ManifestContext {
            now: at,
            issuers: &case.issuers,
            revoked: &|_| false,
            verifier: case.verifier,
        };
        let mut why = None;
        for (object, envelope) in &self.envelopes {
            match verify_manifest(envelope, &context) {
                Ok(manifest) if manifest.payload_digest() == digest => {
                    desk.objects.take(*object, ObjectKind::Manifest);
                    self.manifests.insert(digest, manifest.clone());
                    return Some(manifest);
                }
                Ok(_) => {}
                Err(error) => why = Some((*object, causes(&error))),
            }
        }
        let text = match why {
            Some((object, why)) => format!("{}: {why}", object_path(object)),
            None => format!("no manifest of {digest} is among the objects"),
        };
        desk.found
            .add(Axis::Identity, place.clone(), "manifest_refused", text);
        None
    }

    /// Who an instance is by its token and manifest: every reading that they admit.
    pub(crate) fn find(
        &mut self,
        case: &Case<'_>,
        desk: &mut Desk<'_>,
        join: &SessionJoin,
        catalog: Option<&Catalog>,
        at: &Logged,
    ) -> Vec<Member> {
        let place = case.place(at);
        let now = at.entry.at;
        let Some(manifest) = self.manifest(case, desk, join.manifest, now, &place) else {
            return Vec::new();
        };
        for artifact in manifest.unproven() {
            desk.found.note(
                NoteValue::Unproven,
                format!("{} of {}", artifact, join.agent),
            );
        }
        let root = catalog.and_then(|catalog| catalog.root().ok());
        let mut found = Vec::new();
        let mut why = "no token of this instance and agent key is among the objects".to_owned();
        for token in &self.tokens {
            let own = join.instance == *token.spiffe_id().as_str()
                && token.agent_key().thumbprint() == join.agent_key;
            if !own {
                continue;
            }
            desk.objects.take(token.digest(), ObjectKind::Wit);
            match Member::new(token, &manifest, root) {
                _ if now >= token.expires() => why = "the token has expired".to_owned(),
                Err(error) => why = causes(&error),
                Ok(member) => {
                    check_issued(case, desk, token, &manifest, at);
                    found.push(member);
                }
            }
        }
        if found.is_empty() {
            desk.found.add(Axis::Identity, place, "token_missing", why);
        }
        found
    }

    /// Notes what an instance rests on, and until when.
    pub(crate) fn joined(&mut self, desk: &mut Desk<'_>, join: &SessionJoin) {
        self.expires.insert(join.instance.clone(), join.expires);
        if join.isolation == Isolation::Unisolated {
            desk.found
                .note(NoteValue::Unisolated, join.instance.to_string());
        }
        let software = [AttestationLevel::Process, AttestationLevel::Launch];
        if software
            .iter()
            .any(|level| join.attestation_level == *level.name())
        {
            let about = format!(
                "attestation of {}: {}",
                join.instance, join.attestation_level
            );
            desk.found.note(NoteValue::SoftwareOnly, about);
        }
    }
}

/// Whether what was issued is that token: its id, its key and its end.
pub(crate) fn is_token(credential: &Credential, token: &VerifiedWit) -> bool {
    let claims = token.claims();
    credential.id == claims.jti
        && credential.key == claims.cnf.jwk.thumbprint()
        && credential.expires == token.expires()
}

/// The server's log has the token, the certificate and the manifest, before they were used.
fn check_issued(
    case: &Case<'_>,
    desk: &mut Desk<'_>,
    token: &VerifiedWit,
    manifest: &VerifiedManifest,
    at: &Logged,
) {
    let claims = token.claims();
    let place = case.place(at);
    let issued = case
        .server
        .entries
        .iter()
        .filter(|logged| case.is_before(logged, at));
    let (mut with_token, mut with_svid, mut registered) = (false, false, false);
    for logged in issued {
        match &logged.entry.event {
            Event::IdentityIssue(issue) if issue.instance == *claims.sub.as_str() => {
                let bound = issue.manifest == claims.manifest_digest
                    && issue.attestation_level == *claims.attestation_level.name()
                    && issue.isolation.name() == claims.isolation.to_string();
                for credential in &issue.credentials {
                    match credential.form {
                        CredentialForm::X509Svid => with_svid |= bound,
                        CredentialForm::Wit if credential.id == claims.jti => {
                            let same = bound && is_token(credential, token);
                            with_token |= same;
                            let place = case.server.place(logged);
                            let text = "differs from the token that was presented";
                            let axis = Axis::Identity;
                            desk.found
                                .require(same, axis, &place, "issue_differs", text);
                        }
                        // No session is joined by a bearer token, nor by a workload's own SVID.
                        CredentialForm::Wit | CredentialForm::JwtSvid | CredentialForm::WitSvid => {
                        }
                    }
                }
            }
            Event::ManifestRegister(register) if register.manifest == manifest.payload_digest() => {
                let same = register.agent == *manifest.agent_id().as_str()
                    && register.issuer == manifest.key_id()
                    && register.prompt == manifest.system_prompt()
                    && register.tools == manifest.catalog_hash()
                    && register.policy == manifest.policy_bundle();
                let in_force = manifest.issued_at() <= logged.entry.at
                    && logged.entry.at < manifest.expires_at();
                registered |= same && in_force;
                let place = case.server.place(logged);
                let text = "differs from the manifest that was presented, or it was not in force";
                let holds = same && in_force;
                desk.found
                    .require(holds, Axis::Identity, &place, "register_differs", text);
            }
            _ => {}
        }
    }
    let mut require = |holds, reason, text| {
        desk.found
            .require(holds, Axis::Identity, &place, reason, text);
    };
    require(
        with_token,
        "token_not_enrolled",
        "the server's log has not issued the token before",
    );
    let text = "the server's log has issued no certificate to the instance before";
    require(with_svid, "certificate_not_enrolled", text);
    let text = "the server's log has not registered the manifest before";
    require(registered, "manifest_not_enrolled", text);
}

/// An instance does nothing after its end was enrolled, or its credential is over.
pub(crate) fn check_alive(
    case: &Case<'_>,
    desk: &mut Desk<'_>,
    members: &Members,
    instance: &Label,
    at: &Logged,
) {
    let place = case.place(at);
    let over = members
        .expires
        .get(instance)
        .is_some_and(|expires| at.entry.at >= *expires);
    let text = "the instance's credential was over";
    desk.found
        .require(!over, Axis::Freshness, &place, "credential_expired", text);
    for logged in &case.server.entries {
        let Event::IdentityEnd(end) = &logged.entry.event else {
            continue;
        };
        let after = at.entry.at.micros_since(logged.entry.at);
        if end.instance != *instance || !end.credentials.is_empty() || after == 0 {
            continue;
        }
        if after > GRACE_SECONDS * 1_000_000 {
            let text = "the instance had ended long before";
            desk.found
                .add(Axis::Revocation, place.clone(), "acted_after_end", text);
        } else if after > FRESH_SECONDS * 1_000_000 {
            let about = format!("{instance} at {place}");
            desk.found.note(NoteValue::LateWithdrawal, about);
        }
    }
}
