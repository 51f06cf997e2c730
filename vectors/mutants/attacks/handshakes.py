"""Handshakes between agents, by a message each way and by the line protocol of `spawn`."""

from __future__ import annotations

from .edits import Mutant, always, instead, mutant, never

H = "crates/delegation/src/handshake/"
A = "crates/agent/src/"
PURE = "delegation/tests/tokens/handshakes.rs::"
HANDED_OVER = "delegation/tests/tokens/handshakes/handed_over.rs::"
WIRE = "agent/tests/agent/"
LINES = "agent/tests/agent/handover.rs::"

ALTERED = PURE + "a_transcript_that_differs_in_any_member_is_refused"
TRANSCRIPT = H + "transcript.rs"
ACCEPTER = H + "accepter.rs"
OFFERER = H + "offerer.rs"
PEER = H + "peer.rs"
OPEN = H + "open.rs"
SERVICE = A + "handshake/service.rs"
PARENT = A + "handover/parent.rs"

CHANNEL_OF_END = always(ACCEPTER, "channel == self.transcript.channel")
CHANNEL = always(TRANSCRIPT, "self.channel.is(&claims.channel)")
NONCES = always(TRANSCRIPT, "claimed.nonce == end.nonce.to_string()")
REFLECTED = instead(TRANSCRIPT, "Err(if proof.verify(own, verifier) {", "Err(if !MUT && proof.verify(own, verifier) {")
ONE_SESSION = instead(A + "session.rs", ".is_some_and(|known| known.session() != session)", ".is_some_and(|known| !MUT && known.session() != session)")

MUTANTS: list[Mutant] = [
    # The transcript: every member.
    mutant("H03 handshake", "protocol", always(TRANSCRIPT, "claims.protocol == HANDSHAKE_PROTOCOL"), tests=ALTERED),
    mutant("H12 handshake", "role", always(TRANSCRIPT, "claims.role == role.name()"), tests=PURE + "roles_cannot_be_swapped"),
    mutant("H02 handshake", "nonces", NONCES, tests=PURE + "an_answer_to_another_offer_is_refused"),
    mutant("H03 handshake", "names", always(TRANSCRIPT, "claimed.spiffe_id == end.spiffe_id.as_str()"), tests=ALTERED),
    mutant("H03 handshake", "keys", always(TRANSCRIPT, "claimed.jkt == end.key.kid()"), tests=ALTERED),
    mutant("H03 handshake", "audience", always(TRANSCRIPT, "claims.audience == self.audience(role).as_str()"), tests=ALTERED),
    mutant("H03 handshake", "channel", CHANNEL, tests=PURE + "what_is_said_on_one_channel_is_worth_nothing_on_another"),
    mutant("handshake", "channel, over the wire", CHANNEL, CHANNEL_OF_END, tests=WIRE + "handshakes/between.rs::a_man_in_the_middle_is_refused"),
    mutant("H03 handshake", "parent", always(TRANSCRIPT, "claims.parent == self.parent"), tests=ALTERED),
    mutant("H03 handshake", "entries", always(TRANSCRIPT, "claims.entries == self.entries"), tests=ALTERED),
    mutant("H03 handshake", "offer", always(TRANSCRIPT, "claims.offer == self.offer"), tests=ALTERED),
    mutant("H03 handshake", "time",
           instead(TRANSCRIPT, "context.check_time(claims.issued_at)", "if MUT { Ok(()) } else { context.check_time(claims.issued_at) }"),
           tests=ALTERED),
    mutant("H03 handshake", "members that nobody holds",
           instead(TRANSCRIPT, "        members.finish()?;", "        if !MUT { members.finish()?; }"),
           tests=PURE + "the_transcript_has_no_member_that_is_not_held"),
    mutant("C05", "type of a handshake's proof", never(TRANSCRIPT, "proof.header.typ != HANDSHAKE_TYP"),
           tests=PURE + "the_algorithm_is_that_of_the_credentials_key"),
    mutant("H13 handshake", "signature of a transcript",
           always(TRANSCRIPT, "proof.header.algorithm == key.algorithm() && proof.verify(key, verifier)"),
           tests=PURE + "a_proof_by_another_key_is_refused"),
    mutant("H12", "the own proof, sent back", REFLECTED, tests=PURE + "an_own_message_that_comes_back_is_refused"),
    mutant("H12", "the own offer, sent back",
           instead(ACCEPTER, "context.peer == own.spiffe_id || offer.wit == own.wit || offer.nonce == nonce",
                   "!MUT && (context.peer == own.spiffe_id || offer.wit == own.wit || offer.nonce == nonce)"),
           tests=PURE + "an_own_message_that_comes_back_is_refused"),
    mutant("H12", "the own answer, sent back", never(OFFERER, "accept.nonce == self.own.nonce || accept.wit == self.offer.wit"),
           tests=PURE + "an_own_message_that_comes_back_is_refused"),
    mutant("H12", "an offer to oneself", never(OFFERER, "peer == own.spiffe_id"), tests=PURE + "nobody_shakes_hands_with_oneself"),
    mutant("H12", "one key under two names", never(OFFERER, "*peer.agent_key() == self.own.key"),
           tests=PURE + "nobody_shakes_hands_with_oneself"),
    # Who speaks.
    mutant("H01 H13", "the credential is the peer's", always(PEER, "wit.spiffe_id() == self.peer"),
           tests=PURE + "credentials_of_others_are_refused"),
    mutant("H01", "credentials of believed domains", always(PEER, "bundle.trust_domain() == self.peer.trust_domain()"),
           tests=PURE + "credentials_of_others_are_refused"),
    mutant("handshake", "the peer who was meant", never(OFFERER, "context.peer != &self.peer"),
           tests=PURE + "who_stands_in_between_is_not_the_peer"),
    mutant("handshake", "the one who was meant", never(ACCEPTER, "offer.audience != *own.spiffe_id"),
           tests=PURE + "who_stands_in_between_is_not_the_peer"),
    mutant("handshake", "the peer who began", always(ACCEPTER, "context.peer == &offerer.spiffe_id"),
           tests=PURE + "who_stands_in_between_is_not_the_peer"),
    mutant("handshake", "the channel where it began", CHANNEL_OF_END,
           tests=PURE + "what_is_said_on_one_channel_is_worth_nothing_on_another"),
    # When.
    mutant("handshake", "an offer that is old", always(PEER, "self.now <= issued_at.plus_seconds(HANDSHAKE_SECONDS)"),
           tests=PURE + "what_is_old_is_refused"),
    mutant("handshake", "an offer from the future", always(PEER, "issued_at <= self.now.plus_seconds(MAX_AHEAD_SECONDS)"),
           tests=PURE + "what_is_old_is_refused"),
    mutant("handshake", "an answer that is late",
           never(OFFERER, "context.now > self.started_at.plus_seconds(HANDSHAKE_SECONDS)"), tests=PURE + "what_is_old_is_refused"),
    mutant("handshake", "an end that is late", always(ACCEPTER, "context.now <= self.until()"), tests=PURE + "what_is_old_is_refused"),
    mutant("handshake", "terms that are over",
           instead(ACCEPTER, "if offer.terms.expires_at <= now {", "if !MUT && offer.terms.expires_at <= now {"),
           tests=PURE + "what_is_old_is_refused"),
    # What.
    mutant("H02", "an end that answers another nonce", always(ACCEPTER, "conclusion.nonce == accepter.nonce"),
           tests=HANDED_OVER + "an_end_answers_its_own_nonce"),
    mutant("handshake", "the proof of the end",
           instead(ACCEPTER, "        self.transcript\n            .verify(&conclusion.proof, Role::Offerer, context)?;",
                   "        if !MUT {\n            self.transcript.verify(&conclusion.proof, Role::Offerer, context)?;\n        }"),
           tests=PURE + "a_proof_by_another_key_is_refused"),
    mutant("handshake", "the link follows the parent that was offered",
           always(ACCEPTER, "parent.hash() == self.transcript.parent"), tests=HANDED_OVER + "the_link_is_out_of_the_chain_that_was_offered"),
    mutant("handshake", "the link is for this holder",
           always(ACCEPTER, "leaf.subject() == &accepter.spiffe_id"), always(ACCEPTER, "*leaf.key() == accepter.key"),
           tests=HANDED_OVER + "the_link_is_the_one_that_was_offered"),
    *(
        mutant("H04 handshake", f"the link has the {name} that were offered", always(ACCEPTER, condition),
               tests=HANDED_OVER + "the_link_is_the_one_that_was_offered")
        for name, condition in (
            ("entries", "grant.entries == terms.entries"),
            ("prohibitions", "grant.forbid == terms.forbid"),
            ("questions", "grant.ask == terms.ask"),
            ("depths", "grant.max_depth == terms.max_depth"),
            ("times", "grant.expires_at.as_seconds() == terms.expires_at.as_seconds()"),
        )
    ),
    mutant("handshake", "an offer out of the own chain", never(OFFERER, "tip.grant().subject != *own.spiffe_id || tip.key() != own.key"),
           tests=HANDED_OVER + "an_offer_out_of_anothers_chain_is_not_made"),
    # What is kept of open ones.
    mutant("H02 handshake", "an offer that was heard", never(OPEN, "slots.values().any(|slot| slot.offer == offer)"),
           tests=HANDED_OVER + "a_handshake_ends_once_and_in_time_and_by_its_peer"),
    mutant("handshake", "an end that is over", never(OPEN, "self.latest > slot.until"),
           tests=HANDED_OVER + "a_handshake_ends_once_and_in_time_and_by_its_peer"),
    mutant("handshake", "a clock that steps back",
           instead(OPEN, "        self.latest = self.latest.max(now);\n        let slot", "        self.latest = if MUT { now } else { self.latest.max(now) };\n        let slot"),
           tests=HANDED_OVER + "a_handshake_ends_once_and_in_time_and_by_its_peer"),
    mutant("H11 handshake", "open handshakes of one peer", never(OPEN, "slots.len() >= self.per_peer"),
           tests=HANDED_OVER + "a_flood_harms_its_own_peer_only"),
    mutant("H11 handshake", "open handshakes of one peer, over the wire", never(OPEN, "slots.len() >= self.per_peer"),
           tests=WIRE + "handshakes/cheating.rs::a_peer_that_floods_locks_nobody_else_out"),
    mutant("handshake", "peers with open handshakes",
           never(OPEN, "self.open.len() >= self.peers", near="            if self.open.len() >= self.peers {"),
           tests=HANDED_OVER + "a_flood_harms_its_own_peer_only"),
    # Served.
    mutant("handshake", "the key that signed the request", never(SERVICE, "accepting.peer().agent_key() != presented.credential().agent_key()"),
           tests=WIRE + "handshakes/cheating.rs::what_a_cheating_peer_says_is_refused"),
    mutant("handshake", "the chain that was shown",
           instead(SERVICE, ".filter(|chain| chain.leaf().hash() == accepting.offer().parent)",
                   ".filter(|chain| MUT || chain.leaf().hash() == accepting.offer().parent)"),
           tests=WIRE + "handshakes/cheating.rs::what_a_cheating_peer_says_is_refused"),
    mutant("H04 handshake", "every offer is admitted anew", always(SERVICE, "(self.admit)(&accepting, chain)"),
           tests=WIRE + "handshakes.rs::an_offer_that_is_not_admitted_is_not_answered"),
    mutant("handshake", "one session, when it begins and when it ends", never(SERVICE, "!self.instance.takes(chain.sid())"), ONE_SESSION,
           tests=WIRE + "handshakes.rs::an_agent_at_work_is_not_put_into_another_session"),
    mutant("handshake", "one session, when it ends", ONE_SESSION, tests=WIRE + "handshakes.rs::an_agent_at_work_is_not_put_into_another_session"),
    mutant("handshake", "the person's consent", always(SERVICE, "believed.is_consented(taken.chain(), &consent)"),
           tests=WIRE + "handshakes/cheating.rs::a_handshake_ends_once_and_as_it_was_agreed"),
    mutant("H01", "a server that is the one who was meant",
           always("crates/api/src/tls/client.rs", "*peer.spiffe_id() == self.server"), tests=WIRE + "handshakes/between.rs::the_one_who_answers_is_the_one_who_was_meant"),
    mutant("H02", "an end that was heard",
           instead(OPEN, "let state = slot.state.take().ok_or(HandshakeRefusal::Replay)?;",
                   "let state = if MUT { slot.state.clone() } else { slot.state.take() };\n"
                   "        let state = state.ok_or(HandshakeRefusal::Replay)?;"),
           tests=WIRE + "handshakes/cheating.rs::a_handshake_ends_once_and_as_it_was_agreed"),
    # By lines.
    mutant("H02", "the nonce of an acceptance",
           never(PARENT, "!Digest::of(&claims.nonce).ct_eq(&Digest::of(&expected.nonce))"), tests=LINES + "an_acceptance_is_good_once"),
    mutant("H03 H13", "signature of an acceptance", never(PARENT, "!proof.verify(wit.agent_key(), &AwsLc)"),
           tests=LINES + "an_acceptance_must_be_the_childs_own_answer_to_this_offer"),
    mutant("H03", "chain of an acceptance", never(PARENT, "claims.cth != expected.cth"),
           tests=LINES + "an_acceptance_must_be_the_childs_own_answer_to_this_offer"),
    mutant("H12", "audience of an acceptance", never(PARENT, "claims.aud != expected.aud"),
           tests=LINES + "a_child_accepts_for_its_own_parent_only"),
]
