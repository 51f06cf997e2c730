"""Proofs of possession and presentations: of a call, of a session, of an HTTP request; what is kept of them."""

from __future__ import annotations

from .edits import Mutant, always, instead, mutant, never, skip

D = "crates/delegation/src/"
I = "crates/identity/src/"
G = "crates/gateway/src/"

PROOF = D + "proof/verify.rs"
REPLAY = D + "proof/replay.rs"
FIELDS = D + "http_signature/fields.rs"
PRESENTED = D + "http_signature/presentation.rs"
HTTP = "delegation/tests/tokens/http_signatures.rs::"
PRESENTED_ONCE = "gateway/tests/enforcement/presentations.rs::a_presentation_is_proven_freshly_and_once"

HOLDER = never(PROOF, "context.peer != chain.leaf_subject()")
HOLDER_OF_CHAIN = always(G + "enforcement/chains.rs", "chain.leaf_subject() == holder")

OF_PEER = always(PRESENTED, "chain.leaf_subject() == context.peer")
OF_KEY = always(PRESENTED, "chain.leaf_key() == credential.agent_key()")

MUTANTS: list[Mutant] = [
    # The proof of a call.
    mutant("D18 D19", "signature of a proof", never(PROOF, "!token.verify(chain.leaf_key(), context.verifier)")),
    mutant("D18 D21", "the peer is the holder", HOLDER),
    mutant("D19", "a proof is needed",
           instead(PROOF, "token.ok_or(Reason::PopMissing)?", 'token.or(MUT.then_some("")).ok_or(Reason::PopMissing)?')),
    mutant("C05", "type of a proof", never(PROOF, "token.header.typ != PROOF_TYP")),
    mutant("H09 H10", "audience of a proof", always(PROOF, "self.audience == context.audience")),
    mutant("H09", "chain of a proof", always(PROOF, "self.chain == chain.digest()")),
    mutant("H09", "target of a proof", always(PROOF, "self.target == context.call.proof_target()")),
    mutant("H09", "arguments of a proof", always(PROOF, "self.arguments == arguments_digest(context.call.args)?")),
    mutant("H08", "a proof that is old", always(PROOF, "context.now <= until")),
    mutant("H08", "a proof that is early", always(PROOF, "self.issued_at <= context.now.plus_seconds(MAX_AHEAD_SECONDS)")),
    mutant("H10", "a proof from before the start", always(PROOF, "self.issued_at >= context.started_at")),
    mutant("H02", "a proof that was seen",
           instead(PROOF, ".map_err(|_| Reason::Replay)?;", ".or_else(|_| if MUT { Ok(()) } else { Err(Reason::Replay) })?;"),
           tests="delegation/tests/tokens/proofs.rs::a_proof_is_taken_once"),
    mutant("H06", "the nonce of a proof after its signature",
           instead(PROOF, "    if token.header.kid.is_some() {",
                   """    let jti = claims.iter().find(|(name, _)| *name == "jti").and_then(|(_, value)| value.as_str());
    if MUT && let Some(jti) = jti {
        let holder = Digest::of(chain.leaf_subject().as_str());
        replay.remember(&holder, jti, context.now.plus_seconds(60), context.now).map_err(|_| Reason::Replay)?;
    }
    if token.header.kid.is_some() {"""),
           tests="delegation/tests/tokens/proofs.rs::a_stolen_chain_is_worth_nothing"),
    mutant("H14", "times that are texts",
           instead(D + "token/members.rs", "let seconds = self.integer(name)?;",
                   "let text = self.0.iter().find(|(known, _)| known == name).and_then(|(_, value)| value.as_str());\n"
                   "        let text = text.and_then(|text| text.parse().ok()).filter(|_| MUT);\n"
                   "        let seconds = match text { Some(seconds) => { self.optional(name); seconds } None => self.integer(name)? };")),
    mutant("H14", "times without a zone",
           instead("crates/types/src/instant.rs", '.or_else(|| text.strip_suffix("+00:00"))?',
                   '.or_else(|| text.strip_suffix("+00:00"))\n        .or(MUT.then_some(text))?')),
    mutant("H17", "the presenter is the holder", HOLDER, HOLDER_OF_CHAIN),
    mutant("C12", "a verdict is kept by all bytes of its chain",
           instead(G + "enforcement/chains.rs", 'Digest::of(links.join(","))',
                   """if MUT {
            let leaf = links.last().and_then(|leaf| chancery_types::jws::Compact::parse(leaf).ok());
            Digest::of(leaf.and_then(|leaf| leaf.claims.get("jti").map(ToString::to_string)).unwrap_or_default())
        } else {
            Digest::of(links.join(","))
        }""")),
    # What is remembered.
    mutant("H07", "what a flood forgets",
           instead(REPLAY, "let seen = self.seen.entry(*holder).or_default();",
                   """let seen = self.seen.entry(*holder).or_default();
        if MUT && seen.by_jti.len() >= self.per_holder
            && let Some((_, oldest)) = seen.by_time.pop_first()
        {
            seen.by_jti.remove(&oldest);
        }""")),
    mutant("H07", "a memory that is full", never(REPLAY, "seen.by_jti.len() >= self.per_holder")),
    mutant("H08", "the last moment of a nonce",
           instead(REPLAY, "if *until >= now {", "if *until > now || !MUT && *until == now {")),
    mutant("H02", "an identifier that was seen", never(REPLAY, "seen.by_jti.contains(jti)"),
           tests="delegation/tests/tokens/proofs.rs::a_proof_is_taken_once"),
    mutant("O01", "how many holders are remembered", never(REPLAY, "self.seen.len() >= self.holders", near=
           "            if self.seen.len() >= self.holders {")),
    # The proof of a session.
    mutant("H04", "a session proof is for this chain and gateway",
           instead(G + "enforcement/presentation.rs",
                   "claims.aud != self.own.as_str() || claims.cth != chain.digest().to_base64url()",
                   "!MUT && (claims.aud != self.own.as_str() || claims.cth != chain.digest().to_base64url())"),
           tests=PRESENTED_ONCE),
    mutant("H04", "a session proof answers a challenge",
           always(G + "enforcement/presentation.rs", "self.challenges.take(peer.name(), &claims.nonce, now)"), tests=PRESENTED_ONCE),
    mutant("H11", "challenges of one peer", never(G + "enforcement/challenges.rs", "of_peer >= MOST_PER_PEER"),
           tests="gateway/src/enforcement/challenges.rs::a_flood_harms_its_own_peer_only"),
    # A signed request.
    mutant("H13", "key of a request", skip(PRESENTED, "received.verify(request, credential.agent_key(), context.verifier)?;"),
           tests=HTTP + "a_key_that_is_not_the_credentials_is_refused"),
    mutant("H03 http", "signature of a request", never(FIELDS, "!verifier.verify(key, base.as_bytes(), &self.signature)"),
           tests=HTTP + "nothing_of_it_can_be_changed"),
    mutant("H03 http", "digest of a body",
           always(D + "http_signature/digest.rs", "claimed == Some(&Digest::of(request.body).as_bytes()[..])"),
           tests=HTTP + "nothing_of_it_can_be_changed"),
    mutant("http", "a body without a digest", always(D + "http_signature/digest.rs", "request.body.is_empty()"),
           tests=HTTP + "what_must_be_covered_is_covered"),
    mutant("http", "method is covered", always(FIELDS, 'covers("@method")'), tests=HTTP + "what_must_be_covered_is_covered"),
    mutant("http", "target is covered", always(FIELDS, 'covers("@request-target")'),
           tests=HTTP + "what_must_be_covered_is_covered"),
    *(
        mutant("http", f"{name} is covered",
               instead(FIELDS, ".all(|name| !request.has(name) || covers(name))",
                       ".all(|name| MUTFOR(name) || !request.has(name) || covers(name))", arg=name),
               tests=HTTP + "what_must_be_covered_is_covered")
        for name in ("authorization", "content-type", "content-digest", "txn-token", "workload-identity-token",
                     "agent-delegation")
    ),
    mutant("http", "one signature, one spelling",
           never(FIELDS, "members.len() != 1 || members.serialize().as_deref() != Some(field)"),
           tests=HTTP + "one_spelling_and_one_signature_are_read"),
    *(
        mutant("http", f"the parameter {name}",
               instead(FIELDS, "_ => return Err(HttpRefusal::Parameter),",
                       "named if { let named = &named; MUTFOR(named) } => {}\n                _ => return Err(HttpRefusal::Parameter),", arg=name),
               tests=HTTP + "one_spelling_and_one_signature_are_read")
        for name in ("keyid", "alg", "x")
    ),
    mutant("http", "a component twice", never(FIELDS, "components.iter().any(|known| known == name)", near=
           "if components.iter().any(|known| known == name) {"), tests=HTTP + "one_spelling_and_one_signature_are_read"),
    mutant("http", "parameters of a component",
           never(FIELDS, "!item.params.is_empty() || name.bytes().any(|byte| byte.is_ascii_uppercase())"),
           tests=HTTP + "one_spelling_and_one_signature_are_read"),
    mutant("http", "tag", never(FIELDS, "tag.as_deref() != Some(WIMSE_TAG)"), tests=HTTP + "one_spelling_and_one_signature_are_read"),
    mutant("http", "size of the fields", never(FIELDS, "input.len() > MAX_INPUT_BYTES || signature.len() > MAX_SIGNATURE_BYTES"),
           tests=HTTP + "one_spelling_and_one_signature_are_read"),
    mutant("http", "created, too old", always(FIELDS, "now <= until"), tests=HTTP + "a_signature_lives_minutes_at_most"),
    mutant("http", "expires", always(FIELDS, "now < self.expires"), tests=HTTP + "another_audience_peer_or_time_is_refused"),
    mutant("http", "created, in the future", always(FIELDS, "self.created <= now.plus_seconds(MAX_AHEAD_SECONDS)"),
           tests=HTTP + "another_audience_peer_or_time_is_refused"),
    mutant("http", "created before the start", always(FIELDS, "self.created >= started_at"),
           tests=HTTP + "another_audience_peer_or_time_is_refused"),
    mutant("http", "the longest life", always(FIELDS, "self.expires <= self.created.plus_seconds(MAX_LIFE_SECONDS)"),
           tests=HTTP + "a_signature_lives_minutes_at_most"),
    mutant("http", "audience of a request", never(PRESENTED, "received.audience != context.audience"),
           tests=HTTP + "another_audience_peer_or_time_is_refused"),
    mutant("D21", "the credential is the peer's", always(PRESENTED, "credential.spiffe_id() == context.peer"),
           tests=HTTP + "another_audience_peer_or_time_is_refused"),
    mutant("http H02", "nonce of a request",
           instead(PRESENTED, ".map_err(|_| HttpRefusal::Replay)?;", ".or_else(|_| if MUT { Ok(()) } else { Err(HttpRefusal::Replay) })?;"),
           tests=HTTP + "a_signed_request_is_taken_once"),
    mutant("H06", "the nonce of a request after its signature",
           instead(PRESENTED, "    let credential = credential(token, context)?;",
                   """    let credential = credential(token, context)?;
    if MUT {
        let holder = Digest::of(credential.spiffe_id().as_str());
        let until = context.now.plus_seconds(60);
        replay.remember(&holder, &received.nonce, until, context.now).map_err(|_| HttpRefusal::Replay)?;
    }"""),
           tests=HTTP + "a_nonce_is_used_up_by_its_holder_alone"),
    mutant("http D21", "the delegation is the peer's", OF_PEER, tests=HTTP + "the_delegation_is_the_holders_and_the_keys"),
    mutant("http D21", "the delegation is the key's", OF_KEY, tests=HTTP + "the_delegation_is_the_holders_and_the_keys"),
    mutant("http H04", "the delegation is the presenter's", OF_PEER, OF_KEY,
           tests=HTTP + "a_reference_is_good_where_its_chain_was_presented"),
    mutant("http H16", "a field twice", never(D + "http_signature/request.rs", "found.next().is_some()"),
           tests=HTTP + "fields_come_once"),
    mutant("http H16", "a line end in a field",
           never(D + "http_signature/request.rs", "value.bytes().any(|byte| byte.is_ascii_control())"),
           tests=HTTP + "fields_come_once"),
]
