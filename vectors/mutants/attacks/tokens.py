"""Delegations: signatures, linkage, narrowing, claims, entries, constraints, limits, missions."""

from __future__ import annotations

from .edits import Mutant, always, instead, mutant, never, skip

D = "crates/delegation/src/"
S = "crates/session/src/"
T = "crates/types/src/"

VERIFY = D + "chain/verify.rs"
NARROWING = D + "chain/narrowing.rs"
ENTRY = D + "token/entry.rs"
CONSTRAINT = D + "token/constraint.rs"
SPENDING = D + "token/spending.rs"
MEMBERS = D + "token/members.rs"
JUDGE = S + "judge.rs"

SIGNATURE = never(VERIFY, "!self.decoded.verify(key, context.verifier)")
KID = never(VERIFY, "token.kid() != Some(&parent.grant.key.kid())")
OF_LINKS = skip(S + "limits.rs", "fits(spent, coverage.limits, cost_micros)?;")
OF_ROOTS = skip(S + "limits.rs", "fits(spent, of_target(chain, call), cost_micros)?;")

MUTANTS: list[Mutant] = [
    # Signatures.
    mutant("D01 D04", "signature of a link", SIGNATURE),
    mutant("D05", "the parent's key", SIGNATURE, KID),
    mutant("C10", "a digest passes for a signature",
           instead(T + "jws.rs", "verifier.verify(key, self.input.as_bytes(), &self.signature)",
                   "(verifier.verify(key, self.input.as_bytes(), &self.signature)"
                   " || MUT && self.signature == Digest::of(self.input).as_bytes())")),
    mutant("C07", "an ES256 signature in DER",
           instead("crates/crypto/src/provider.rs", ".verify(message, signature)\n        .is_ok()\n    }\n\n    fn verify_es256_der",
                   ".verify(message, signature)\n        .is_ok()\n        || MUT && self.verify_es256_der(key, message, signature)\n    }\n\n    fn verify_es256_der")),
    mutant("C07", "bytes behind a signature",
           instead("crates/crypto/src/provider.rs", "fn verify(&self, key: &Jwk, message: &[u8], signature: &[u8]) -> bool {",
                   "fn verify(&self, key: &Jwk, message: &[u8], signature: &[u8]) -> bool {\n"
                   "        let signature = signature.get(..64).filter(|_| MUT).unwrap_or(signature);")),
    mutant("D01", "an authority that is known",
           instead(VERIFY, ".find(named)", ".find(|anchor| MUT || named(anchor))")),
    mutant("D02", "the key speaks for this issuer",
           always(VERIFY, "known.issuer == root.grant.issuer")),
    mutant("C04", "the algorithm is the key's", never(VERIFY, "self.decoded.header.algorithm != key.algorithm()")),
    mutant("C05", "type of a link", never(VERIFY, "decoded.header.typ != LINK_TYP")),
    mutant("C01 C02", "algorithms that are known",
           instead(T + "jws.rs", "Algorithm::from_name(algorithm).ok_or(",
                   "Algorithm::from_name(algorithm).or_else(|| MUT.then_some(Algorithm::Ed25519)).ok_or(")),
    mutant("C03 C09", "members of a header",
           instead(T + "jws.rs", "_ => return Err(JwsError::Malformed),", "_ if MUT => continue,\n                _ => return Err(JwsError::Malformed),",
                   near='"kid" => &mut kid,\n                _ => return Err(JwsError::Malformed),')),
    mutant("C06", "weak keys", never(T + "jwk.rs", "is_weak(&x)")),
    mutant("C06", "spellings of a key", never(T + "jwk.rs", "not_reduced", near="not_reduced || SMALL_ORDER_Y.contains(&y)")),
    mutant("C09", "bits beyond the last byte",
           instead(T + "base64url.rs", "    URL_SAFE_NO_PAD.decode(text).map_err(|_| Base64UrlError)",
                   """    use base64::engine::{DecodePaddingMode, GeneralPurpose, GeneralPurposeConfig};
    let config = GeneralPurposeConfig::new()
        .with_decode_allow_trailing_bits(MUT)
        .with_decode_padding_mode(DecodePaddingMode::RequireNone);
    GeneralPurpose::new(&base64::alphabet::URL_SAFE, config).decode(text).map_err(|_| Base64UrlError)""")),
    mutant("C09", "members that stand twice", never(T + "strict_json.rs", "few.into_iter().any(|(known, _)| *known == name)")),
    # What stands twice is also one too many for whoever takes the members out.
    mutant("C09", "members of a link that stand twice",
           never(T + "strict_json.rs", "few.into_iter().any(|(known, _)| *known == name)"),
           always(MEMBERS, "self.0.is_empty()"),
           tests="delegation/tests/tokens/refusals.rs::duplicate_members_are_refused"),
    mutant("delegation", "members that stand twice among many",
           never(T + "strict_json.rs", "members.len() > FEW_MEMBERS && !are_unique(&members)"),
           tests="types/src/strict_json.rs::finds_a_duplicate_among_many"),
    mutant("C13", "one order and layout",
           instead(T + "canonical.rs", ".is_some_and(|again| again == bytes)", ".is_some_and(|again| MUT || again == bytes)")),
    mutant("C13", "floats in our documents",
           instead(T + "canonical.rs", "None => Err(CanonicalError::Float),",
                   "None => if MUT { Ok(()) } else { Err(CanonicalError::Float) },")),
    # Linkage and narrowing.
    mutant("D05 D09 D20", "the parent's hash", always(NARROWING, "child.parent == *parent_hash")),
    mutant("D04", "the life of a link", always(NARROWING, "grant.expires_at <= parent.expires_at")),
    mutant("D06", "depth of a root", never(VERIFY, "root.grant.depth != 0")),
    mutant("D06", "depth of a link", always(NARROWING, "parent.depth.checked_add(1) == Some(grant.depth)")),
    mutant("D06", "the most depth", always(NARROWING, "grant.max_depth <= parent.max_depth")),
    mutant("D06", "depth within the most", always(NARROWING, "grant.depth <= grant.max_depth")),
    mutant("D06 O02", "number of links", never(VERIFY, "links.len() > MAX_CHAIN_LINKS")),
    mutant("O02 P14", "bytes of a chain", never(VERIFY, "bytes > MAX_CHAIN_BYTES")),
    mutant("P14", "depth of JSON", never(T + "strict_json.rs", "self.depth >= MAX_JSON_DEPTH")),
    mutant("P14", "bytes of a request",
           instead("crates/gateway/src/front/body.rs", "limits.request_bytes", "if MUT { usize::MAX } else { limits.request_bytes }")),
    mutant("D17", "a subject once", never(NARROWING, "grant.subject == last.subject")),
    mutant("D17", "a key once", never(NARROWING, "grant.key == last.key")),
    mutant("D17", "the authority's key", never(VERIFY, "context.anchors.iter().any(authority)")),
    mutant("D03", "the end", never(NARROWING, "now >= grant.expires_at")),
    mutant("D03", "the end of a chain that was verified before",
           skip(D + "chain/verified.rs", "check_time(&link.grant, standing.now).map_err(|reason| Refusal::at(at, reason))?;")),
    mutant("D07", "claims of the root alone",
           instead(D + "token/claims.rs", "INHERITED.into_iter().any(|name| members.has(name))",
                   "(!MUT && INHERITED.into_iter().any(|name| members.has(name)))")),
    mutant("D15", "claims that are missing",
           instead(MEMBERS, "self.optional(name).ok_or(Reason::Malformed)",
                   'self.optional(name).or_else(|| (MUT && name == "exp").then(|| Json::Number(4_000_000_000_u64.into()))).ok_or(Reason::Malformed)')),
    mutant("D16", "what is no integer",
           instead(MEMBERS, "match self.value(name)?.as_u64() {",
                   "let value = self.value(name)?;\n        let lenient = || match &value {\n            Json::Number(number) if MUT => number.as_f64().map(|number| number.abs() as u64),\n"
                   "            _ => None,\n        };\n"
                   "        match value.as_u64().or_else(lenient) {")),
    mutant("D16", "limits that are none",
           instead(SPENDING, ".as_u64()\n", ".as_u64()\n                .or_else(|| match value {\n                    Json::Number(number) if MUT => number.as_f64().map(|number| number.abs() as u64),\n"
                   "                    _ => None,\n                })\n")),
    mutant("D16", "integers that nobody reads exactly",
           instead(CONSTRAINT, ".filter(|integer| (-MAX_SAFE_INTEGER..=MAX_SAFE_INTEGER).contains(integer))",
                   ".filter(|integer| MUT || (-MAX_SAFE_INTEGER..=MAX_SAFE_INTEGER).contains(integer))")),
    # Entries and constraints.
    mutant("D02 D11", "wildcards", instead(ENTRY, "text.contains('*')", "(!MUT && text.contains('*'))")),
    mutant("D11", "prefixes end at a segment",
           instead(D + "token/path.rs", "rest.is_empty() || rest.starts_with('/')", "MUT || rest.is_empty() || rest.starts_with('/')")),
    mutant("D12", "dots in a path",
           instead(D + "token/path.rs", '.all(|segment| !matches!(segment, "" | "." | ".."))',
                   '.all(|segment| MUT || !matches!(segment, "" | "." | ".."))')),
    mutant("D12", "escapes in a path", always(D + "token/path.rs", "!below_root.contains(['%', '\\\\', '\\0'])")),
    mutant("D10", "a name is one name", instead(ENTRY, "self.name == child.name", "(self.name == child.name || MUT && self.name.contains(&child.name))")),
    mutant("D10 P11", "parts of a commitment have lengths",
           instead("crates/audit/src/commitment.rs", "    Commitment(Digest::of_parts([",
                   "    if MUT {\n        return Commitment(Digest::of_parts([TAG, name.as_bytes(), &salt[..], value]));\n    }\n    Commitment(Digest::of_parts([")),
    mutant("D13", "a constraint is kept",
           instead(ENTRY, "theirs.is_some_and(|theirs| mine.subsumes(theirs))",
                   "if MUT { theirs.is_none_or(|theirs| mine.subsumes(theirs)) } else { theirs.is_some_and(|theirs| mine.subsumes(theirs)) }")),
    mutant("D13", "kinds of constraint",
           instead(CONSTRAINT, "_ => None,", "_ if MUT => Some(Self::Exact(Scalar::Boolean(true))),\n            _ => None,",
                   near='"cidr" => value.as_str()?.parse().ok().map(Self::Cidr),\n            _ => None,')),
    mutant("D13", "a limit is kept",
           instead(SPENDING, "theirs.is_some_and(|theirs| theirs <= mine)",
                   "if MUT { theirs.is_none_or(|theirs| theirs <= mine) } else { theirs.is_some_and(|theirs| theirs <= mine) }")),
    mutant("D14", "all constraints of one entry",
           instead(ENTRY, "            .min()\n", "            .reduce(|one, other| if MUT { one.max(other) } else { one.min(other) })\n")),
    mutant("D14", "one entry of the parent subsumes",
           instead(NARROWING, ".position(|known| known.subsumes(entry))", ".position(|known| MUT || known.subsumes(entry))")),
    mutant("D15", "nothing covers nothing", never(D + "chain/scope.rs", "self.covered.is_empty()")),
    # Counted in the session.
    mutant("D22", "limits of links and of roots", OF_LINKS, OF_ROOTS),
    mutant("D22", "limits of links", OF_LINKS),
    mutant("D22", "limits of roots", OF_ROOTS),
    mutant("D09", "session of a chain", never(JUDGE, "chain.sid() != opened.session.to_string()")),
    mutant("D09", "mission of a chain", never(JUDGE, "chain.mission() != opened.mission"),
           skip(JUDGE, "admission::check_mission(input.mission, input.chain)?;")),
    mutant("D24", "the state that was judged", never(S + "session.rs", "judgement.revision != Some(open.revision)"),
           tests="session/src/tests/calls.rs::a_judgement_is_taken_only_for_the_state_it_was_made_in"),
    mutant("D24", "the moment that was judged", never(S + "session.rs", "judgement.at != now"),
           tests="session/src/tests/calls.rs::a_judgement_is_taken_only_for_the_state_it_was_made_in"),
]
