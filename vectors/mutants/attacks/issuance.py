"""What is issued, to whom, by whom: certificates, tokens, roots, manifests, the trust document."""

from __future__ import annotations

from .edits import Mutant, always, instead, mutant, never, skip

D = "crates/delegation/src/"
I = "crates/identity/src/"
N = "crates/node/src/"
SIGNER = "crates/signer/src/"
SERVER = "crates/server/src/"
GATEWAY = "crates/gateway/src/"
RULES = "signer/tests/rules.rs::"
TRUSTED = "identity/src/x509_svid/tests.rs::trusts_only_the_bundle_of_the_leafs_trust_domain"
BOUND = "gateway/tests/enforcement/presentations.rs::manifests_bind_policy_and_tools_exactly"

WIT = I + "wit.rs"
KEY_PROOF = I + "key_proof.rs"
PROFILE = I + "x509_profile.rs"
SVID = I + "x509_svid.rs"
SIGNED = I + "trust/signed.rs"
STORE = GATEWAY + "enforcement/trust_store.rs"
ROOT = SIGNER + "rules/root.rs"
CONSENT = D + "consent.rs"
ASSERTION = D + "webauthn/assertion.rs"

PROOF_BY_KEY = never(KEY_PROOF, "!jws.verify(key, verifier)")
PROOF_OF_KEY = never(KEY_PROOF, "kid.is_none_or(|kid| kid != key.kid()) || claims.jkt != key.kid()")

MUTANTS: list[Mutant] = [
    # Certificates.
    mutant("H01", "a peer that is refused",
           instead(GATEWAY + "front/connection.rs", "            Err(refusal) => {\n                tracing::info!(address = %self.address, %refusal, \"peer refused\");",
                   "            Err(_) if MUT => Some(Arc::new(Peer::new(\"spiffe://test/a\".into(), certificates, self.address))),\n"
                   "            Err(refusal) => {\n                tracing::info!(address = %self.address, %refusal, \"peer refused\");"),
           tests="gateway/tests/transport/refusals.rs::without_a_name_there_is_no_connection"),
    mutant("H01 I08", "the trust domain of a leaf", never(SVID, "spiffe_id.trust_domain() != bundle.trust_domain()"), tests=TRUSTED),
    mutant("H01 I08", "the path to an authority", skip(SVID, "verify_path(leaf, intermediates, bundle, now, algorithms)?;"), tests=TRUSTED),
    mutant("I08", "several names",
           instead(PROFILE, "_ => Err(ProfileError::SeveralUriSans),",
                   "[uri, ..] if MUT => uri.parse().map(Some).map_err(ProfileError::BadSpiffeId),\n            _ => Err(ProfileError::SeveralUriSans),")),
    mutant("I08", "a name without a workload", never(PROFILE, "id.path().is_empty()", near="        if id.path().is_empty() {")),
    mutant("I08", "certificates of others", never(SIGNER + "rules/x509.rs", "!ours || !named")),
    mutant("I09", "a bundle for its own domain",
           instead(I + "x509_bundle.rs", "self.0.get(id.trust_domain())",
                   "self.0.get(id.trust_domain()).or_else(|| self.0.values().next().filter(|_| MUT))")),
    mutant("I12", "the life of a certificate",
           never(SIGNER + "rules/x509.rs", "!(1..=MAX_LIFETIME_SECONDS).contains(&request.lifetime_seconds)"),
           tests=RULES + "an_svid_lives_an_hour_at_most_and_begins_now"),
    mutant("I12", "the moment of issuance", never(SIGNER + "rules/mod.rs", "skew > MAX_SKEW_SECONDS * 1_000_000"),
           tests=RULES + "an_svid_lives_an_hour_at_most_and_begins_now"),
    mutant("I12", "the end of a session", never(GATEWAY + "enforcement/tasks.rs", "now >= expires"),
           tests="gateway/tests/enforcement/ending.rs::sessions_end_by_themselves_when_nobody_is_left_or_their_time_is_over"),
    # Tokens and keys.
    mutant("H13", "signature of a credential", never(WIT, "!jws.verify(key, verifier)")),
    mutant("C05", "type of a credential", never(WIT, "jws.header.typ != WIT_TYP"),
           tests="identity/src/wit/tests.rs::refuses_other_headers_and_signers"),
    mutant("C05", "type of a key's proof", never(KEY_PROOF, "jws.header.typ != KEY_PROOF_TYP")),
    mutant("H13", "signature of a key's proof", PROOF_BY_KEY),
    mutant("I03", "a key that its holder proved", PROOF_BY_KEY, PROOF_OF_KEY),
    mutant("I02", "the challenge of a key's proof",
           never(KEY_PROOF, "!Digest::of(&claims.nonce).ct_eq(&Digest::of(nonce))")),
    mutant("I03", "one key for an instance",
           instead(N + "workload/agent_api.rs", "bound.is_some_and(|bound| bound != *key.jwk())", "bound.is_some_and(|bound| !MUT && bound != *key.jwk())")),
    mutant("I03", "an instance of the agent that was asked for", never(N + "launches.rs", "*instance.agent() != facts.agent")),
    mutant("I02", "a launch that covers the caller",
           instead(N + "launch.rs", "first.is_some_and(|launch| launch.has_caller(caller))", "first.is_some_and(|launch| MUT || launch.has_caller(caller))")),
    mutant("I04", "the owner's socket",
           always("crates/api/src/listener.rs", "peer.uid() == Uid::effective().as_raw()")),
    mutant("I06", "the length of an id",
           instead("crates/types/src/id.rs", ".filter(|digits| digits.len() == DIGITS)", ".filter(|digits| MUT || digits.len() == DIGITS)")),
    # Roots.
    mutant("I01 I05", "the person's signature",
           instead(ROOT, "            verify_assertion(assertion, &challenge, &credential, &AwsLc)\n                .map_err(|error| refused(&error.to_string()))?;",
                   "            let verified = verify_assertion(assertion, &challenge, &credential, &AwsLc);\n"
                   "            if !MUT {\n                verified.map_err(|error| refused(&error.to_string()))?;\n            }")),
    mutant("I01", "the person whose credential it is", never(ROOT, "person.id.to_string() != draft.person.subject")),
    mutant("issuance", "a principal", never(ROOT, "!person.roles.contains(&Role::Principal)"), tests=RULES + "an_approver_is_no_principal"),
    *(
        mutant("issuance", name, never(ROOT, condition), tests=RULES + "a_root_stays_within_the_authority")
        for name, condition in (
            ("issuer of a root", "draft.issuer != authority.issuer"),
            ("issuer of a root's person", "draft.person.issuer != authority.issuer"),
            ("life of a root", "lifetime > MAX_LIFETIME_SECONDS"),
            ("holder of a root", "draft.terms.subject.trust_domain().as_str() != trust.trust_domain"),
        )
    ),
    mutant("issuance", "moment of a root", skip(ROOT, "check_now(draft.terms.issued_at, now)?;"),
           tests=RULES + "a_root_stays_within_the_authority"),
    mutant("issuance mission", "mission of a root", never(ROOT, "Digest::of(&bytes) != draft.mission"),
           tests=RULES + "a_root_is_for_a_mission_that_it_does_not_outlive"),
    mutant("issuance mission", "end of a root's mission", never(ROOT, "draft.terms.expires_at > mission.expires()"),
           tests=RULES + "a_root_is_for_a_mission_that_it_does_not_outlive"),
    mutant("issuance", "holder of a token", never(SIGNER + "rules/mod.rs", "!instance.is_ok_and(|instance| instance.trust_domain() == trust_domain)"),
           tests=RULES + "a_token_is_for_an_own_instance_and_a_day_at_most"),
    *(
        mutant("issuance", name, never(SIGNER + "rules/wit.rs", condition), tests=RULES + "a_token_is_for_an_own_instance_and_a_day_at_most")
        for name, condition in (
            ("life of a token", "claims.exp.saturating_sub(claims.iat) > MAX_LIFETIME_SECONDS"),
            ("spelling of a token", "!canonical::is_canonical(request.claims.as_bytes())"),
        )
    ),
    mutant("I05", "a root to the authority itself", never(D + "draft/root.rs", "self.terms.key == *key")),
    mutant("I05", "a root to no key", never(D + "draft/terms.rs", "!verifier.is_valid_key(&self.key)")),
    mutant("I01", "the consent that the root names", never(CONSENT, "!digest.ct_eq(&chain.principal().consent)")),
    mutant("I01", "the statement that was consented to", always(ASSERTION, "client.challenge.ct_eq(challenge)")),
    mutant("I01", "the signature of a consent", instead(ASSERTION, "require(signed, AssertionError::Signature)?;", "require(MUT || signed, AssertionError::Signature)?;")),
    mutant("I01", "where a consent was given", always(ASSERTION, "client.origin == credential.origin")),
    # Manifests and code.
    mutant("I07", "the policy of a manifest", never(GATEWAY + "enforcement/presentation.rs", "manifest.policy_bundle() != Some(in_force.policy.bundle.digest())"),
           never("crates/session/src/admission.rs", "member.policy.is_some_and(|bound| bound != opening.policy)"), tests=BOUND),
    mutant("I07", "the tools of a manifest", never(GATEWAY + "enforcement/presentation.rs", "manifest.catalog_hash() != Some(catalog.root)"), tests=BOUND),
    mutant("I07", "the manifest of a credential", never("crates/session/src/member.rs", "claims.manifest_digest != manifest.payload_digest()"), tests=BOUND),
    mutant("I07", "the code of a manifest", always(SERVER + "endpoints/agents.rs", "reviewed.ct_eq(&evidence.executable())"),
           tests="cli/tests/walkthrough/refusals.rs::wrong_input_to_a_deployment_is_named_with_what_helps"),
    # The trust document.
    mutant("C15", "a version that is not newer", never(SIGNED, "next.trust.version <= self.version")),
    mutant("C15", "the roots before", skip(SIGNED, 'next.check(&self.roots, self.threshold, "the roots before", verifier)?;')),
    mutant("C15", "the version that was seen before a restart", never(STORE, "last.version > current.version")),
    mutant("C15", "two documents of one version", never(STORE, "last.version == current.version && last.digest() != current.digest()")),
    mutant("C15", "the keys of a record",
           instead("crates/evidence/src/trust_record/signed.rs", ".find(|key| ConfirmationKey::of(key).as_ref() == Some(&record.cnf.jwk))\n            .ok_or(TrustRecordError::UntrustedKey)?;\n        if !verifier.verify(key, &record.signing_input()?, &signature) {",
                   ".find(|key| MUT || ConfirmationKey::of(key).as_ref() == Some(&record.cnf.jwk))\n            .ok_or(TrustRecordError::UntrustedKey)?;\n        if !MUT && !verifier.verify(key, &record.signing_input()?, &signature) {")),
    mutant("C14", "the last note beside its keys",
           never("crates/journal/src/local_signer.rs", "ed25519.exists() || ml_dsa_44.exists()")),
    mutant("C14", "the keys that signed the last note",
           instead("crates/journal/src/local_signer.rs", "Some(note) => signer.remember(&note)?,",
                   "Some(note) => { let remembered = signer.remember(&note); if !MUT { remembered?; } }")),
    mutant("C14", "a key that others may read", never("crates/crypto/src/key_file.rs", "mode & 0o077 != 0")),
]
