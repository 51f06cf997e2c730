//! Chains, proofs, what people sign, and manifests.

use std::sync::LazyLock;

use chancery_delegation::access_token::{
    AccessTokenContext, access_token_prefix, verify_access_token,
};
use chancery_delegation::webauthn::{
    AuthenticatorData, ClientData, Registration, verify_registration,
};
use chancery_delegation::{
    ApprovalStatement, Assertion, BoundedReplayMemory, Call, ChainContext, ChainRules, ChainTip,
    ConsentArtefact, Credential, Entry, IssuerKey, LinkStanding, ManifestContext, Mission,
    PersonDraft, ProofContext, Reason, RevocationSet, RootDraft, Standing, StandingReason,
    StandingStatement, StandingUse, Target, Terms, TrustAnchor, VerifiedChain, arguments_digest,
    authenticate_manifest, authorise, examine_chain, read_arguments, seal_manifest_payload,
    verify_approval, verify_assertion, verify_chain, verify_manifest, verify_proof,
};
use chancery_identity::trust::AccessTokenAuthority;
use chancery_types::id::InstanceId;
use chancery_types::jws::{Header, assemble, signing_input};
use chancery_types::limits::MAX_CHAIN_LINKS;
use chancery_types::{
    Digest, Jwk, base64url, parse_strict, parse_strict_with_floats, to_canonical,
};
use serde_json::{Map, Value};

use crate::world::{CHAIN, Credulous, EPOCH, GATEWAY, NOW, trust};

/// The links of a chain, joined by commas.
pub(crate) fn chain(input: &[u8]) -> bool {
    str::from_utf8(input).is_ok_and(|text| {
        let links: Vec<_> = text.trim_end().split(',').collect();
        is_chain(&links)
    })
}

/// The claims of a chain's links, one in each line, under headers and parents that fit: what
/// stands behind the signatures.
pub(crate) fn claims(input: &[u8]) -> bool {
    if let Ok(draft) = RootDraft::from_claims(input) {
        let written = draft.to_claims().ok();
        assert_eq!(written.as_deref().map(str::as_bytes), Some(input));
        assert!(draft.challenge().is_ok());
    }
    let Ok(text) = str::from_utf8(input) else {
        return false;
    };
    let mut signer = anchors().first().map(|anchor| anchor.key);
    let mut parent: Option<Digest> = None;
    let mut links = Vec::new();
    for line in text.lines().take(MAX_CHAIN_LINKS + 1) {
        let (Some(key), Ok(Value::Object(mut claims))) = (signer, parse_strict(line.as_bytes()))
        else {
            return false;
        };
        if let Some(parent) = parent {
            claims.insert("par_hash".to_owned(), parent.to_base64url().into());
        }
        let holder = claims.get("cnf").and_then(|cnf| cnf.get("jwk"));
        signer = holder.and_then(|key| serde_json::from_value::<Jwk>(key.clone()).ok());
        let header = Header {
            algorithm: key.algorithm(),
            typ: "adt+jwt".to_owned(),
            kid: Some(key.kid()),
        };
        let input = signing_input(&header, Value::Object(claims).to_string().as_bytes());
        parent = Some(Digest::of(&input));
        links.push(assemble(&input, &[0; 64]));
    }
    let links: Vec<_> = links.iter().map(String::as_str).collect();
    is_chain(&links)
}

/// The claims of a proof for a call with the chain that is known, and the call's arguments in a
/// second line. A proof is taken once.
pub(crate) fn proof(input: &[u8]) -> bool {
    let (first, second) = match input.iter().position(|byte| *byte == b'\n') {
        Some(at) => input.split_at(at),
        None => (input, &b"{}"[..]),
    };
    let Some(chain) = KNOWN.as_ref() else {
        return false;
    };
    let args = match parse_strict_with_floats(second) {
        Ok(Value::Object(args)) => args,
        _ => Map::new(),
    };
    let header = Header {
        algorithm: chain.leaf_key().algorithm(),
        typ: "adt-pop+jwt".to_owned(),
        kid: None,
    };
    let signed = assemble(&signing_input(&header, first), &[0; 64]);
    let raw = String::from_utf8_lossy(first);
    let context = ProofContext {
        now: NOW,
        audience: GATEWAY,
        verifier: &Credulous,
        started_at: NOW.minus_seconds(1_000_000),
        peer: chain.leaf_subject(),
        call: Call {
            server: "fs",
            target: Target::Tool("read"),
            args: &args,
        },
    };
    let mut taken = false;
    for token in [signed.as_str(), &raw] {
        let mut replay = BoundedReplayMemory::new(4, 4);
        let mut verify = || verify_proof(Some(token), chain, &context, &mut replay);
        if verify().is_ok() {
            let again = verify().map_err(|refusal| refusal.reason);
            assert_eq!(again.map(drop), Err(Reason::Replay));
            taken = true;
        }
    }
    taken
}

/// An entry that is read is written and read the same, and covers itself.
pub(crate) fn entry(input: &[u8]) -> bool {
    let Some(Ok(entry)) = parse_strict(input).ok().map(|value| Entry::parse(&value)) else {
        return false;
    };
    assert_eq!(Entry::parse(&entry.to_json()).as_ref(), Ok(&entry));
    assert!(entry.subsumes(&entry), "{}", entry.to_json());
    true
}

/// The arguments of a call: what is kept reads back as itself, and has one digest.
pub(crate) fn arguments(input: &[u8]) -> bool {
    let Some(Ok((args, kept))) = str::from_utf8(input).ok().map(read_arguments) else {
        return false;
    };
    assert_eq!(arguments_digest(&args), Ok(Digest::of(&kept)));
    let again = str::from_utf8(&kept).ok().map(read_arguments);
    assert_eq!(again, Some(Ok((args, kept))));
    true
}

/// A mission that is read is named by its bytes, and answers every call in one way.
pub(crate) fn mission(input: &[u8]) -> bool {
    let Ok(mission) = Mission::parse(input.to_vec()) else {
        return false;
    };
    assert_eq!(mission.digest(), Digest::of(input));
    let args = Map::from_iter([("path".to_owned(), Value::from("/a"))]);
    for step in mission.steps() {
        assert_eq!(mission.step(step.id()), Some(step));
        for entry in step.means() {
            let call = Call {
                server: entry.server(),
                target: entry.target(),
                args: &args,
            };
            assert_eq!(
                mission.served(Some(step.id()), &call).is_ok(),
                step.lists(&call)
            );
            if let Some(only) = mission.only_step_for(&call) {
                assert!(only.lists(&call));
            }
        }
    }
    for (place, entry) in mission.forbidden().iter().enumerate() {
        let call = Call {
            server: entry.server(),
            target: entry.target(),
            args: &Map::new(),
        };
        assert!(mission.forbids(&call).contains(&place));
    }
    true
}

/// A consent that is read is what would be written. A standing one covers no root that is none of its
/// uses, and of a root with exactly its terms the uses that it lets and no further one.
pub(crate) fn standing(input: &[u8]) -> bool {
    let Ok(artefact) = ConsentArtefact::parse(input) else {
        return false;
    };
    let written = artefact.to_bytes().ok();
    let again = written.as_deref().map(ConsentArtefact::parse);
    assert_eq!(again.and_then(Result::ok).as_ref(), Some(&artefact));
    let ConsentArtefact::Standing(signed) = &artefact else {
        return false;
    };
    let statement = &signed.statement;
    assert!(statement.challenge().is_ok());
    if statement.check().is_err() {
        return false;
    }
    let Some(chain) = KNOWN.as_ref() else {
        return true;
    };
    let none = statement.covers(&chain.root_terms());
    assert_eq!(none, Err(StandingReason::Other));
    let Some(mut draft) = use_of(statement, chain.leaf_key()) else {
        return true;
    };
    for number in [1, statement.max_uses] {
        draft.person.standing = Some(StandingUse {
            consent: statement.id,
            number,
        });
        assert_eq!(draft.check_standing(statement), Ok(()));
    }
    draft.person.standing = Some(StandingUse {
        consent: statement.id,
        number: statement.max_uses + 1,
    });
    let beyond = draft.check_standing(statement);
    assert_eq!(beyond, Err(StandingReason::UsedUp));
    true
}

/// A root with exactly the terms of a standing consent, where its time lets one begin.
fn use_of(statement: &StandingStatement, key: &Jwk) -> Option<RootDraft> {
    let instance = statement.agent.instance(InstanceId::from_random([1; 16]));
    let begin = statement.signed_at;
    let longest = begin.plus_seconds(statement.max_seconds);
    Some(RootDraft {
        issuer: statement.issuer.clone(),
        terms: Terms {
            subject: instance.to_string().parse().ok()?,
            key: *key,
            audience: Some(vec![statement.gateway.clone()]),
            issued_at: begin,
            not_before: begin,
            expires_at: longest.min(statement.expires_at),
            jti: "del_1".to_owned(),
            max_depth: statement.max_depth,
            entries: statement.read_entries().ok()?,
            forbid: Vec::new(),
            ask: Vec::new(),
        },
        sid: "ses_1".to_owned(),
        epoch: statement.epoch,
        person: PersonDraft {
            issuer: statement.issuer.clone(),
            subject: statement.person.to_string(),
            acr: "phr".to_owned(),
            authenticated_at: statement.signed_at,
            standing: None,
        },
        mission: statement.mission,
    })
}

/// Rules that are read hold for the chain that is known in the same way each time, and defaults keep
/// within the most.
pub(crate) fn rules(input: &[u8]) -> bool {
    let Ok(rules) = ChainRules::parse(input) else {
        return false;
    };
    for lifetimes in [rules.root(), rules.link()] {
        let seconds = lifetimes.by_default(1_800);
        assert!(lifetimes.max_seconds.is_none_or(|most| seconds <= most));
    }
    if let Some(chain) = KNOWN.as_ref() {
        let whole = rules.check_chain(chain);
        let first = chain
            .links()
            .find_map(|link| rules.check_grant(link.grant()).err());
        assert_eq!(whole.err().map(|breach| breach.reason), first);
    }
    true
}

/// What an authenticator gives.
pub(crate) fn assertion(input: &[u8]) -> bool {
    let _ = AuthenticatorData::parse(input);
    let _ = ClientData::parse(input);
    let Ok(assertion) = Assertion::parse(input) else {
        return false;
    };
    let written = assertion.to_bytes().ok();
    let again = written.as_deref().map(Assertion::parse);
    assert_eq!(again.and_then(Result::ok).as_ref(), Some(&assertion));
    let challenge = Digest::of(b"no statement");
    // Nobody finds client data with the challenge of another statement.
    let credential = credential(&assertion.credential_id);
    if let Some(credential) = &credential {
        assert!(verify_assertion(&assertion, &challenge, credential, &Credulous).is_err());
    }
    credential.is_some()
}

/// What an authenticator gives when a credential is made.
pub(crate) fn registration(input: &[u8]) -> bool {
    let made = AuthenticatorData::parse_registration(input);
    assert!(made.is_err() || AuthenticatorData::parse(input).is_err());
    let client = ClientData::parse_registration(input);
    assert!(client.is_err() || ClientData::parse(input).is_err());
    let Ok(registration) = Registration::parse(input) else {
        return made.is_ok() || client.is_ok();
    };
    let written = serde_json::to_vec(&registration).ok();
    let again = written.as_deref().map(Registration::parse);
    assert_eq!(again.and_then(Result::ok).as_ref(), Some(&registration));
    let challenge = Digest::of(b"no page");
    let (rp_id, origin) = ("localhost", "http://localhost:8445");
    // Nobody finds client data with the challenge of another page.
    assert!(verify_registration(&registration, &challenge, rp_id, origin, &Credulous).is_err());
    true
}

/// A statement that is read is what would be written; the second line is an assertion.
pub(crate) fn approval(input: &[u8]) -> bool {
    let (first, second) = match input.iter().position(|byte| *byte == b'\n') {
        Some(at) => input.split_at(at),
        None => (input, &b""[..]),
    };
    let Ok(statement) = ApprovalStatement::parse(first) else {
        return false;
    };
    assert_eq!(statement.to_bytes().ok().as_deref(), Some(first));
    if let Ok(assertion) = Assertion::parse(second)
        && let Some(credential) = credential(&assertion.credential_id)
    {
        let _ = verify_approval(statement, &assertion, &credential, NOW, &Credulous);
    }
    true
}

/// What is revoked, as snapshots hold it: one writing, and nothing that it names twice.
pub(crate) fn revocations(input: &[u8]) -> bool {
    let Ok(value) = parse_strict(input) else {
        return false;
    };
    let Ok(set) = serde_json::from_value::<RevocationSet>(value.clone()) else {
        return false;
    };
    let written = to_canonical(&set).ok();
    let again = to_canonical(&value).ok();
    assert!(written.is_some() && written == again);
    let mut built = RevocationSet::default();
    for one in set.iter() {
        assert!(set.since(one.what.kind(), one.what.id()) == Some(one.at));
        assert!(built.revoke(&one).is_ok());
    }
    assert!(built == set && set.iter().count() == set.len());
    true
}

/// The payload of a manifest, sealed as it is.
pub(crate) fn manifest(input: &[u8]) -> bool {
    let issuers = issuers();
    let Some(issuer) = issuers.first() else {
        return false;
    };
    let sign = |_: &[u8]| Ok::<_, std::fmt::Error>(vec![0; 64]);
    let sealed = seal_manifest_payload(input.to_vec(), &issuer.key, &sign);
    sealed.is_ok_and(|sealed| envelope(&sealed))
}

/// A sealed manifest. What verifies by the full schema is authentic too.
pub(crate) fn envelope(input: &[u8]) -> bool {
    let issuers = issuers();
    let context = ManifestContext {
        now: NOW,
        issuers: &issuers,
        revoked: &|_| false,
        verifier: &Credulous,
    };
    let authentic = authenticate_manifest(input, &context);
    let Ok(verified) = verify_manifest(input, &context) else {
        return false;
    };
    assert!(authentic.is_ok());
    assert!(verified.issued_at() <= NOW && NOW < verified.expires_at());
    true
}

fn is_chain(links: &[&str]) -> bool {
    let _ = ChainTip::read(links);
    let anchors = anchors();
    let verified = verify_chain(links, &context(&anchors));
    let examined = examine_chain(links, &context(&anchors));
    // Looking link by link comes to the same end.
    assert_eq!(examined.refusal.is_none(), verified.is_ok());
    let Ok(chain) = verified else {
        return false;
    };
    assert!(
        examined
            .links
            .iter()
            .all(|link| *link == LinkStanding::Stands)
    );
    assert_eq!(chain.digest(), Digest::of(links.join(",")));
    assert_eq!(chain.links().len(), links.len());
    let standing = Standing {
        now: NOW,
        epoch: EPOCH,
        revoked: RevocationSet::none(),
    };
    assert!(chain.recheck(&standing).is_ok());
    let args = Map::new();
    for entry in chain.leaf().entries() {
        let call = Call {
            server: entry.server(),
            target: entry.target(),
            args: &args,
        };
        let scope = authorise(&chain, &call);
        // What the leaf covers, every link above it covers.
        if let Ok(covered) = scope.covered() {
            assert!(covered.len() >= links.len());
        }
    }
    true
}

fn context(anchors: &[TrustAnchor]) -> ChainContext<'_> {
    ChainContext {
        now: NOW,
        audience: GATEWAY,
        anchors,
        epoch: EPOCH,
        revoked: RevocationSet::none(),
        verifier: &Credulous,
    }
}

static KNOWN: LazyLock<Option<VerifiedChain>> = LazyLock::new(|| {
    let links: Vec<_> = CHAIN.trim_end().split(',').collect();
    verify_chain(&links, &context(&anchors())).ok()
});

fn anchors() -> Vec<TrustAnchor> {
    let known = trust()
        .into_iter()
        .flat_map(|trust| &trust.delegation_authorities);
    let anchor = |known: &chancery_identity::trust::DelegationAuthority| TrustAnchor {
        issuer: known.issuer.clone(),
        key: known.key,
    };
    known.map(anchor).collect()
}

fn issuers() -> Vec<IssuerKey> {
    let known = trust()
        .into_iter()
        .flat_map(|trust| &trust.manifest_issuers);
    let issuer = |known: &chancery_identity::trust::ManifestIssuer| IssuerKey {
        issuer: known.issuer.clone(),
        key: known.key,
    };
    known.map(issuer).collect()
}

fn credential(id: &str) -> Option<Credential<'_>> {
    let (_, known) = trust()?.credential(id)?;
    Some(Credential {
        credential_id: &known.credential_id,
        key: &known.key,
        rp_id: &known.rp_id,
        origin: &known.origin,
        last_counter: None,
    })
}

/// What verifies is in force, for its audience, of a known authority, and names who acts.
pub(crate) fn access_token(input: &[u8]) -> bool {
    const AUDIENCE: &str = "https://api.example";
    let Some(trust) = trust() else {
        return false;
    };
    let authorities: Vec<_> = (trust.token_authorities.iter())
        .map(|key| AccessTokenAuthority {
            issuer: "https://acme.example/oauth".to_owned(),
            key: *key,
        })
        .collect();
    let context = AccessTokenContext {
        now: NOW,
        authorities: &authorities,
        audience: AUDIENCE,
        verifier: &Credulous,
    };
    let text = String::from_utf8_lossy(input);
    let mut tokens = vec![text.clone().into_owned()];
    // Claims alone, as an authority would sign them.
    if let Some(authority) = authorities.first() {
        let claims = base64url::encode(text.as_bytes());
        let head = access_token_prefix(&authority.key);
        tokens.push(assemble(&format!("{head}{claims}"), &[0; 64]));
    }
    let mut taken = false;
    for token in tokens {
        if let Ok(verified) = verify_access_token(&token, &context) {
            assert_eq!(verified.audience().as_str(), AUDIENCE);
            assert!(verified.issued_at() <= NOW && NOW < verified.expires_at());
            assert!(!verified.actors().is_empty());
            assert!(verified.expires_at() <= verified.issued_at().plus_seconds(300));
            taken = true;
        }
    }
    taken
}
