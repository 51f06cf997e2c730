use chancery_crypto::AwsLc;
use chancery_delegation::webauthn::{AuthenticatorDataError, ClientDataError};
use chancery_delegation::{
    AssertionError, BoundedReplayMemory, Call, ChainContext, ChainRules, ConsentError, Constraint,
    Credential, Entry, Judgement, ProofContext, Reason, Refusal, ReplayMemory, Restriction,
    Revocable, Revocation, RevocationSet, RuleBreach, RuleReason, Target, TrustAnchor,
    VerifiedChain, arguments_digest, authorise, read_arguments, verify_chain, verify_consent,
    verify_proof,
};
use chancery_identity::SpiffeId;
use chancery_types::{
    Digest, Jwk, RevocationKind, SignatureVerifier as _, Timestamp, base64url, parse_strict,
    parse_strict_with_floats, to_jcs,
};
use serde_json::{Map, Value, json};

use crate::{documents, requests};

/// What a verifier says of a vector, in the words of the vectors.
pub(crate) type Verdict = Map<String, Value>;

/// The verdict on a vector of a file; `None` where the file is of no format of vectors.
pub(crate) fn judge(file: &Value, vector: &Value) -> Option<Verdict> {
    let verdict = match file["format"].as_str()? {
        "adt-vectors/1" => judge_chain(&file["context"], vector),
        "chancery-key-vectors/1" => judge_key(vector),
        "chancery-constraint-vectors/1" => json!({"expect": judge_constraint(vector)}),
        "chancery-canonical-vectors/1" => judge_canonical(vector),
        "chancery-revocation-vectors/1" => documents::judge_revocations(vector),
        "chancery-rules-vectors/1" => documents::judge_rules(vector),
        "chancery-request-vectors/1" => requests::judge(&file["context"], vector),
        _ => return None,
    };
    verdict.as_object().cloned()
}

/// The members of the verdict that are not what the vector states.
pub(crate) fn differing(verdict: &Verdict, vector: &Value) -> Vec<&'static str> {
    const STATED: [&str; 13] = [
        "expect",
        "reason",
        "cause",
        "link",
        "revoked",
        "flaw",
        "covered",
        "forbidden",
        "asked",
        "is",
        "digest",
        "root_seconds",
        "link_seconds",
    ];
    let differs = |name: &&str| {
        let stated = vector.get(name);
        stated.is_some_and(|stated| verdict.get(*name).unwrap_or(&Value::Null) != stated)
    };
    STATED.into_iter().filter(differs).collect()
}

/// Why a chain, its consent, its proof or its call is refused.
enum Refused {
    Chain(Refusal),
    Level(RuleReason),
    Rules(RuleBreach),
    Consent(ConsentError),
}

impl<R: Into<Refusal>> From<R> for Refused {
    fn from(refusal: R) -> Self {
        Self::Chain(refusal.into())
    }
}

/// Judges a chain, and where they are there the rules, its consent, its proof and its call.
pub(crate) fn judge_chain(defaults: &Value, vector: &Value) -> Value {
    let mut verdict = json!({"expect": "accept", "reason": null, "link": null});
    let refused = match judge_presentation(defaults, vector, &mut verdict) {
        Ok(()) => return verdict,
        Err(refused) => refused,
    };
    verdict["expect"] = json!("reject");
    match refused {
        Refused::Chain(refusal) => {
            verdict["reason"] = json!(refusal.reason.code());
            verdict["link"] = json!(refusal.link);
            if let Some(kind) = refusal.revoked {
                verdict["revoked"] = json!(kind);
            }
        }
        Refused::Level(reason) => verdict["reason"] = json!(reason.code()),
        Refused::Rules(breach) => {
            verdict["reason"] = json!(breach.reason.code());
            verdict["link"] = json!(breach.link);
        }
        Refused::Consent(error) => {
            verdict["reason"] = json!("consent_invalid");
            verdict["flaw"] = json!(flaw(&error));
        }
    }
    verdict
}

fn judge_presentation(
    defaults: &Value,
    vector: &Value,
    verdict: &mut Value,
) -> Result<(), Refused> {
    let context = |name: &str| {
        let own = vector["context"].get(name);
        own.unwrap_or(&defaults[name])
    };
    let revoked = revoked(&context);
    let links = strings(&vector["chain"]);
    let links: Vec<_> = links.iter().map(String::as_str).collect();
    let now = Timestamp::from_seconds(context("now").as_u64().unwrap());
    let audience = context("audience").as_str().unwrap();
    let chain = verify_chain(
        &links,
        &ChainContext {
            now,
            audience,
            anchors: &anchors(&context),
            epoch: context("current_epoch").as_u64().unwrap(),
            revoked: &revoked,
            verifier: &AwsLc,
        },
    )?;
    if let Some(rules) = vector.get("rules") {
        judge_rules(&chain, rules.as_str().unwrap(), vector["level"].as_str())?;
    }
    if let Some(consent) = vector.get("consent") {
        judge_consent(&chain, consent)?;
    }
    let Some(request) = vector.get("request").filter(|request| !request.is_null()) else {
        return Ok(());
    };
    let args = arguments(request)?;
    let call = Call {
        server: request["server"].as_str().unwrap(),
        target: target(request),
        args: &args,
    };
    let peer = vector["peer_spiffe_id"].as_str().unwrap_or_default();
    let peer: SpiffeId = peer.parse().map_err(|_| Reason::HolderMismatch)?;
    let mut replay = BoundedReplayMemory::new(64, 64);
    for seen in strings(context("seen_nonces")) {
        let holder = Digest::of(chain.leaf_subject().as_str());
        replay
            .remember(&holder, &seen, now.plus_seconds(60), now)
            .unwrap();
    }
    let started_at = context("started_at").as_u64();
    let proof = ProofContext {
        now,
        audience,
        verifier: &AwsLc,
        started_at: started_at.map_or(now.minus_seconds(3_600), Timestamp::from_seconds),
        peer: &peer,
        call,
    };
    verify_proof(vector["pop"].as_str(), &chain, &proof, &mut replay)?;
    judge_call(&chain, &call, verdict)
}

fn judge_rules(chain: &VerifiedChain, rules: &str, level: Option<&str>) -> Result<(), Refused> {
    let rules = ChainRules::parse(rules.as_bytes()).unwrap();
    if let Some(level) = level {
        let level = level.parse().unwrap();
        rules.check_level(level).map_err(Refused::Level)?;
    }
    rules.check_chain(chain).map_err(Refused::Rules)
}

fn judge_call(chain: &VerifiedChain, call: &Call<'_>, verdict: &mut Value) -> Result<(), Refused> {
    let scope = authorise(chain, call);
    let covered = scope.covered().unwrap_or_default().iter();
    let list = |found: &[Restriction]| {
        let found = found.iter().map(|found| json!([found.link, found.entry]));
        found.collect::<Value>()
    };
    verdict["covered"] = covered.map(|at| json!([at.link, at.entry])).collect();
    verdict["forbidden"] = list(scope.forbidden());
    verdict["asked"] = list(scope.asked());
    scope.covered()?;
    if scope.forbidden().is_empty() {
        Ok(())
    } else {
        Err(Reason::NotInScope.into())
    }
}

fn judge_consent(chain: &VerifiedChain, consent: &Value) -> Result<(), Refused> {
    let known = &consent["credential"];
    let text = |name: &str| known[name].as_str().unwrap();
    let last = known["last_counter"].as_u64();
    let key: Jwk = serde_json::from_value(known["jwk"].clone()).unwrap();
    let credential = Credential {
        credential_id: text("credential_id"),
        key: &key,
        rp_id: text("rp_id"),
        origin: text("origin"),
        last_counter: last.map(|last| last.try_into().unwrap()),
    };
    let artefact = base64url::decode(consent["artefact"].as_str().unwrap()).unwrap();
    verify_consent(chain, &artefact, &credential, &AwsLc)
        .map(drop)
        .map_err(Refused::Consent)
}

fn flaw(error: &ConsentError) -> &'static str {
    let error = match error {
        ConsentError::Artefact => return "artefact",
        ConsentError::Canonical(_) => return "canonical",
        ConsentError::Kind => return "kind",
        ConsentError::Statement(_) => return "statement",
        ConsentError::Uncovered(reason) => return reason.code(),
        ConsentError::Assertion(error) => error,
    };
    match error {
        AssertionError::Malformed => "malformed",
        AssertionError::Credential => "credential",
        AssertionError::ClientData(ClientDataError::Malformed) => "client_data",
        AssertionError::ClientData(ClientDataError::Type) => "type",
        AssertionError::ClientData(ClientDataError::CrossOrigin) => "cross_origin",
        AssertionError::AuthenticatorData(error) => match error {
            AuthenticatorDataError::Malformed => "authenticator_data",
            AuthenticatorDataError::UserNotPresent => "user_not_present",
            AuthenticatorDataError::UserNotVerified => "user_not_verified",
        },
        AssertionError::Challenge => "challenge",
        AssertionError::Origin => "origin",
        AssertionError::RelyingParty => "relying_party",
        AssertionError::Signature => "signature",
        AssertionError::Counter => "counter",
    }
}

/// What is revoked.
pub(crate) fn revoked<'a>(context: &impl Fn(&str) -> &'a Value) -> RevocationSet {
    let mut revoked = match context("revoked") {
        Value::Null => RevocationSet::default(),
        set => serde_json::from_value(set.clone()).unwrap(),
    };
    for jti in strings(context("revoked_jti")) {
        let what = Revocable::new(RevocationKind::Token, &jti).unwrap();
        let at = Timestamp::from_seconds(0);
        revoked.revoke(&Revocation { what, at }).unwrap();
    }
    revoked
}

/// The authorities that are believed.
pub(crate) fn anchors<'a>(context: &impl Fn(&str) -> &'a Value) -> Vec<TrustAnchor> {
    let key = |key: &Value| serde_json::from_value(key.clone()).unwrap();
    let issuer = |issuer: &Value| issuer.as_str().unwrap().to_owned();
    if let Some(anchors) = context("anchors").as_array() {
        let anchors = anchors.iter().map(|anchor| TrustAnchor {
            issuer: issuer(&anchor["issuer"]),
            key: key(&anchor["jwk"]),
        });
        return anchors.collect();
    }
    let keys = context("trust_anchors").as_array().unwrap().iter();
    keys.map(|one| TrustAnchor {
        issuer: issuer(context("authority")),
        key: key(one),
    })
    .collect()
}

fn target(request: &Value) -> Target<'_> {
    let named = |name: &str| request.get(name).and_then(Value::as_str);
    if let Some(tool) = named("tool") {
        Target::Tool(tool)
    } else if let Some(uri) = named("uri") {
        Target::Resource(uri)
    } else {
        Target::Prompt(named("prompt").unwrap())
    }
}

fn arguments(request: &Value) -> Result<Map<String, Value>, Reason> {
    if let Some(text) = request.get("args_json") {
        return read_arguments(text.as_str().unwrap()).map(|(args, _)| args);
    }
    let args = request.get("args").and_then(Value::as_object);
    Ok(args.cloned().unwrap_or_default())
}

/// The texts of a list.
pub(crate) fn strings(value: &Value) -> Vec<String> {
    let items = value.as_array().into_iter().flatten();
    items
        .map(|item| item.as_str().unwrap().to_owned())
        .collect()
}

fn judge_key(vector: &Value) -> Value {
    let key = parse_strict(vector["jwk"].as_str().unwrap().as_bytes()).ok();
    let key = key.and_then(|key| serde_json::from_value::<Jwk>(key).ok());
    match key.filter(|key| AwsLc.is_valid_key(key)) {
        Some(key) => json!({"expect": "accept", "is": key.kid()}),
        None => json!({"expect": Reason::BadKey.code()}),
    }
}

fn judge_constraint(vector: &Value) -> &'static str {
    let read = |constraint: &Value| -> Result<Constraint, Reason> {
        let entry = json!({
            "type": "mcp_tool", "server": "s", "tool": "t", "args": {"a": constraint}
        });
        Entry::parse(&entry).map(|entry| entry.args()["a"].clone())
    };
    let constraint = match read(&vector["constraint"]) {
        Ok(constraint) => constraint,
        Err(reason) => return reason.code(),
    };
    if let Some(child) = vector.get("child") {
        return match read(child) {
            Ok(child) if constraint.subsumes(&child) => "accept",
            Ok(_) => Reason::ScopeEscalation.code(),
            Err(reason) => reason.code(),
        };
    }
    match constraint.judge(vector.get("value")) {
        Judgement::Holds => "holds",
        Judgement::Fails => "fails",
        Judgement::Unclear => "unclear",
    }
}

fn judge_canonical(vector: &Value) -> Value {
    let refused = json!({"expect": Reason::Malformed.code()});
    let Ok(value) = parse_strict_with_floats(vector["json"].as_str().unwrap().as_bytes()) else {
        return refused;
    };
    let wrapped = Map::from_iter([("a".to_owned(), value.clone())]);
    if arguments_digest(&wrapped).is_err() {
        return refused;
    }
    let form = to_jcs(&value).unwrap();
    let digest = chancery_types::Digest::of(&form).to_base64url();
    json!({"expect": "accept", "is": String::from_utf8(form).unwrap(), "digest": digest})
}
