"""Revocation: what is named, where it is looked up, who signs that it is, who learns of it and when."""

from __future__ import annotations

from .edits import Mutant, always, instead, mutant, never, skip

D = "crates/delegation/src/"
SIGNER = "crates/signer/src/"
SERVER = "crates/server/src/"
G = "crates/gateway/src/enforcement/"
SETS = "delegation/tests/tokens/revocations.rs::"
RULES = "signer/tests/rules.rs::"
SNAPSHOTS = "signer/tests/rules/snapshots.rs::"
PLANE = "gateway/tests/enforcement/revoking.rs::"
WAITING = "gateway/tests/enforcement/waiting.rs::"
ADOPTING = "gateway/tests/enforcement/adopting.rs::"

SET = D + "revocation/set.rs"
REVOCABLE = D + "revocation/revocable.rs"
VERIFIED = D + "chain/verified.rs"
VERIFY = D + "chain/verify.rs"
READING = D + "chain/reading.rs"
SNAPSHOT = SIGNER + "rules/snapshot.rs"
ROOT = SIGNER + "rules/root.rs"
SNAPSHOTS = G + "snapshots.rs"
HEARD = "crates/evidence/src/verify/heard.rs"
LATER = "evidence/tests/evidence/revoked.rs::"
WITHDRAWN = SERVER + "withdrawn.rs"

ENDED = SETS + "every_kind_ends_the_chain_at_the_link_that_names_it"
ROOTED = SETS + "sessions_and_people_end_what_is_rooted_in_them"
# The kind, where it is looked up, the rows and tests of that, and those of a gateway.
KINDS = (
    ("token", "self.has_token(jti)", "(self.has_token(jti), RevocationKind::Token)", "D08", ENDED,
     "D08", "a_revoked_root_ends_its_session"),
    ("key", "self.has_key(key)", "(self.has_key(key), RevocationKind::Key)", "D08", ENDED,
     "D08", "a_revoked_holder_of_the_root_ends_the_session"),
    ("session", "self.has_session(sid)", "(self.has_session(sid), RevocationKind::Session)", "D23 H05", ROOTED,
     "D23 O03", "a_revoked_session_or_mission_ends"),
    ("mission", "self.has_mission(mission)", "(self.has_mission(mission), RevocationKind::Mission)", "D23 H05 O03", ENDED,
     "D23 O03", "a_revoked_session_or_mission_ends"),
    ("person", "self.has_person(person)", "(self.has_person(person), RevocationKind::Person)", "D23 H05", ROOTED,
     "D23", "a_departed_person_leaves_nothing_behind"),
    ("instance", "self.since(RevocationKind::Instance, instance).is_some()", None, "D08 H05", ENDED,
     "H05", "a_revoked_worker_leaves_and_the_others_go_on"),
    ("agent", "self.has_agent(agent)", None, "D08", SETS + "an_agent_takes_all_its_instances_along",
     "D08", "a_revoked_holder_of_the_root_ends_the_session"),
)

RECHECKED = instead(VERIFIED, "pub fn recheck(&self, standing: &Standing<'_>) -> Result<(), Refusal> {",
                    "pub fn recheck(&self, standing: &Standing<'_>) -> Result<(), Refusal> {\n        if MUT {\n            return Ok(());\n        }")
FORGOTTEN = instead(SNAPSHOTS, "self.chains.forget();", "if !MUT { self.chains.forget(); }")
TOUCHED = instead(G + "tasks.rs", "let touched = in_force.and_then(|in_force| self.touched(&mut live, &in_force));",
                  "let touched = in_force.and_then(|in_force| self.touched(&mut live, &in_force)).filter(|_| !MUT);")

MUTANTS: list[Mutant] = [
    # The set.
    *(mutant(f"{rows} revocation", f"a {kind} that is revoked", never(SET, found, near), tests=tests)
      for kind, found, near, rows, tests, _, _ in KINDS),
    *(mutant(f"{rows} revocation", f"a {kind} that is revoked, at a gateway", never(SET, found, near), tests=PLANE + test)
      for kind, found, near, _, _, rows, test in KINDS),
    mutant("D08", "links below the root", skip(VERIFY, "check_link_revoked(at, &chain.leaf().grant, context.revoked)?;"), tests=ENDED),
    mutant("D08", "the root's link", skip(VERIFY, "check_link_revoked(0, &chain.first.grant, context.revoked)?;"), tests=ENDED),
    mutant("D23", "what a root names", skip(VERIFY, "check_root_revoked(&chain.root, context.revoked)?;"), tests=f"{ENDED} {ROOTED}"),
    mutant("H05", "links of a chain that was verified before", skip(VERIFIED, "check_link_revoked(at, &link.grant, standing.revoked)?;"), tests=ENDED),
    mutant("H05", "the root of a chain that was verified before", skip(VERIFIED, "check_root_revoked(&self.root, standing.revoked)?;"), tests=f"{ENDED} {ROOTED}"),
    mutant("D08 D23 H05 O03", "the epoch of a chain that was verified before", never(VERIFIED, "self.root.epoch != standing.epoch"),
           tests=SETS + "the_epoch_ends_every_older_chain"),
    mutant("D23 O03", "the epoch, at a gateway", never(VERIFIED, "self.root.epoch != standing.epoch"),
           always(VERIFY, "chain.epoch() == context.epoch"), TOUCHED,
           tests=PLANE + "a_higher_epoch_ends_everything_before_it_and_nothing_after"),
    mutant("H05", "what was verified is asked again", RECHECKED, FORGOTTEN, TOUCHED,
           tests=PLANE + "a_revoked_worker_leaves_and_the_others_go_on"),
    mutant("D23 O03", "a session that has ended",
           instead("crates/session/src/session.rs", "                Ok((Some(end), effects)) => {",
                   "                Ok((Some(_), effects)) if MUT => Ok((Self::Open(open), effects)),\n                Ok((Some(end), effects)) => {"),
           tests="session/src/tests/calls.rs::an_ended_session_denies"),
    *(
        mutant("revocation", f"identifiers of a {kind}", always(REVOCABLE, condition), tests=SETS + "identifiers_have_one_spelling")
        for kind, condition in (
            ("token", "is_id(id)"), ("session", "is::<SessionId>(id)"), ("agent", "is::<AgentId>(id)"),
            ("instance", "is::<SpiffeId>(id)"), ("person", "is::<PersonId>(id)"),
        )
    ),
    mutant("revocation", "how many there are", never(SET, "known.is_none() && self.len() >= MAX_REVOCATIONS"), tests=SETS + "a_set_is_bounded"),
    mutant("revocation", "how many are read", never(SET, "all.len() > MAX_REVOCATIONS"), tests=SETS + "a_set_is_bounded"),
    mutant("revocation", "their order", always(SET, "all.is_sorted_by(|one, next| one.what < next.what)"),
           tests=SETS + "a_set_is_written_one_way_and_read_strictly"),
    mutant("revocation", "the later one counts", instead(SET, "known.max(revocation.at)", "if MUT { revocation.at } else { known.max(revocation.at) }"),
           tests=SETS + "a_lift_names_the_very_revocation"),
    mutant("revocation", "a lift names the very one", never(SET, "self.since(kind, id) != Some(revocation.at)"),
           tests=SETS + "a_lift_names_the_very_revocation"),
    mutant("revocation", "what ends within the hour",
           instead(REVOCABLE, "pub const fn matters", "pub fn matters"),
           instead(REVOCABLE, "now.as_micros() < self.at.plus_seconds(KEPT_SECONDS).as_micros()",
                   "!MUT && now.as_micros() < self.at.plus_seconds(KEPT_SECONDS).as_micros()"),
           tests=SETS + "only_what_ends_within_the_hour_is_dropped"),
    mutant("revocation", "what an epoch ends",
           instead(REVOCABLE, "pub const fn dies_with_epoch", "pub fn dies_with_epoch"),
           instead(REVOCABLE, "        matches!(\n            self.what.kind,\n            RevocationKind::Token | RevocationKind::Session\n        )",
                   "        MUT || matches!(\n            self.what.kind,\n            RevocationKind::Token | RevocationKind::Session\n        )"),
           tests=SETS + "only_what_ends_within_the_hour_is_dropped"),
    mutant("revocation", "a link whose parent is gone",
           instead(READING, "(Ok(()), Some(_)) => LinkStanding::ParentGone,", "(Ok(()), Some(_)) if !MUT => LinkStanding::ParentGone,\n            (Ok(()), Some(_)) => LinkStanding::Stands,"),
           tests=SETS + "each_link_is_told_where_it_stands"),
    mutant("revocation", "nothing is said of what nobody made",
           instead(READING, "let broken = verify_chain(links, &made).err();", "let broken = verify_chain(links, &made).err().filter(|_| !MUT);"),
           tests=SETS + "nothing_stands_that_nobody_made"),
    # The signer.
    mutant("revocation signer", "no earlier epoch", never(SNAPSHOT, "snapshot.epoch < self.epoch"),
           tests=SNAPSHOTS + "a_server_can_neither_unrevoke_nor_lower_the_epoch"),
    mutant("revocation signer", "nothing is dropped", instead(SNAPSHOT, "!is_over && since", "!MUT && !is_over && since"),
           tests=SNAPSHOTS + "a_server_can_neither_unrevoke_nor_lower_the_epoch"),
    mutant("revocation signer", "nothing becomes older",
           instead(SNAPSHOT, ".is_none_or(|since| since < one.at)", ".is_none_or(|since| !MUT && since < one.at)"),
           tests=SNAPSHOTS + "a_server_can_neither_unrevoke_nor_lower_the_epoch"),
    mutant("revocation signer", "what outlives an epoch", instead(SNAPSHOT, "(next_epoch && one.dies_with_epoch())", "(next_epoch && (MUT || one.dies_with_epoch()))"),
           tests=SNAPSHOTS + "a_server_can_neither_unrevoke_nor_lower_the_epoch"),
    mutant("revocation signer", "the ratchet outlives a restart",
           instead(SNAPSHOT, "replace_private_file(&self.held_path, &bytes).map_err(|error| internal(&error))?;",
                   "if !MUT { replace_private_file(&self.held_path, &bytes).map_err(|error| internal(&error))?; }"),
           tests=SNAPSHOTS + "a_server_can_neither_unrevoke_nor_lower_the_epoch"),
    mutant("revocation signer", "what still matters", always(SNAPSHOT, "!one.matters(snapshot.issued_at)"),
           tests=SNAPSHOTS + "what_cannot_matter_any_more_may_go"),
    mutant("revocation signer", "sequences", never(SNAPSHOT, "snapshot.sequence <= self.highest"), tests=SNAPSHOTS + "snapshots_only_go_forward"),
    mutant("revocation signer", "the moment of a snapshot", skip(SNAPSHOT, "check_now(snapshot.issued_at, now)?;"), tests=SNAPSHOTS + "snapshots_only_go_forward"),
    mutant("revocation signer", "one spelling of a snapshot", never(SNAPSHOT, "!canonical::is_canonical(bytes)"), tests=SNAPSHOTS + "snapshots_only_go_forward"),
    *(
        mutant("revocation signer", name, never(SNAPSHOT, condition), tests=SNAPSHOTS + "a_server_cannot_take_what_is_to_come")
        for name, condition in (
            ("sequences to come", "snapshot.sequence > now.plus_seconds(MAX_SKEW_SECONDS).as_micros()"),
            ("epochs to come", "snapshot.epoch.saturating_sub(self.epoch) > MAX_EPOCHS"),
            ("revocations to come", "(snapshot.revoked.iter()).any(|one| one.at > snapshot.issued_at)"),
        )
    ),
    mutant("revocation signer", "signatures of a lift", skip("crates/api/src/lift.rs", "trust.verify_threshold(&input, &self.signatures, verifier)?;"),
           tests=SNAPSHOTS + "a_revocation_is_lifted_by_the_root_keys_alone"),
    mutant("revocation signer", "the trust domain of a lift", never("crates/api/src/lift.rs", "self.lift.trust_domain != trust.trust_domain"),
           tests=SNAPSHOTS + "a_revocation_is_lifted_by_the_root_keys_alone"),
    *(
        mutant("revocation signer", f"no root for a {kind} that is revoked", never(ROOT, condition), tests=SNAPSHOTS + "nothing_is_signed_for_what_is_revoked")
        for kind, condition in (
            ("token", "set.has_token(&draft.terms.jti)"), ("session", "set.has_session(&draft.sid)"),
            ("mission", "set.has_mission(&draft.mission)"), ("person", "set.has_person(&draft.person.subject)"),
        )
    ),
    mutant("revocation signer", "no root of an earlier epoch", never(ROOT, "draft.epoch < held.epoch"), tests=SNAPSHOTS + "nothing_is_signed_for_what_is_revoked"),
    mutant("revocation signer", "no root for an instance that is revoked", skip(ROOT, "check_instance(held, &draft.terms.subject)?;"),
           tests=SNAPSHOTS + "nothing_is_signed_for_what_is_revoked"),
    mutant("revocation signer", "no root for a key that is revoked", skip(ROOT, "check_key(held, &draft.terms.key)?;"),
           tests=SNAPSHOTS + "nothing_is_signed_for_what_is_revoked"),
    mutant("revocation signer", "no certificate for what is revoked", skip(SIGNER + "rules/x509.rs", "check_instance(held, &spiffe_id)?;"),
           tests=SNAPSHOTS + "nothing_is_signed_for_what_is_revoked"),
    mutant("revocation signer", "no token for an instance that is revoked", skip(SIGNER + "rules/wit.rs", "check_instance(held, &claims.sub)?;"),
           tests=SNAPSHOTS + "nothing_is_signed_for_what_is_revoked"),
    mutant("revocation signer", "no token for a key that is revoked", skip(SIGNER + "rules/wit.rs", "check_key(held, &claims.cnf.jwk)?;"),
           tests=SNAPSHOTS + "nothing_is_signed_for_what_is_revoked"),
    # The server.
    mutant("revocation server", "what its log has",
           instead(WITHDRAWN, "state.take(&entry.event, entry.at);", "if !MUT { state.take(&entry.event, entry.at); }"),
           tests=PLANE + "what_is_revoked_outlives_a_restart_of_the_server"),
    mutant("revocation server", "whoever waits is told",
           instead(SERVER + "snapshots.rs", "        self.changed();\n        match sequence {", "        if !MUT {\n            self.changed();\n        }\n        match sequence {"),
           instead(WITHDRAWN, "= withdrawn.standing.clone();\n        self.changed();", "= withdrawn.standing.clone();\n        if !MUT {\n            self.changed();\n        }"),
           tests=PLANE + "whoever_waits_for_a_snapshot_is_told_at_once"),
    mutant("revocation server", "who knows what is outdated", never(WITHDRAWN, "sequence <= self.outdated"), tests=PLANE + "whoever_waits_for_a_snapshot_is_told_at_once"),
    mutant("revocation server", "who knows what another server told", never(WITHDRAWN, "sequence > self.taken_sequence()"),
           tests=PLANE + "whoever_waits_for_a_snapshot_is_told_at_once"),
    mutant("revocation server", "no instance of an agent that is revoked",
           skip(SERVER + "endpoints/instances.rs", "server.check_instance(agent_id.as_str())?;"),
           instead(SERVER + "endpoints/agents.rs", "&|name| revoked.has_agent(name)", "&|name| !MUT && revoked.has_agent(name)"),
           tests=PLANE + "only_the_root_keys_lift_a_revocation"),
    mutant("revocation server", "no root in a person that is revoked",
           skip(SERVER + "endpoints/roots.rs", "server.check_person(&wanted.person.subject)?;"),
           tests=PLANE + "a_departed_person_leaves_nothing_behind"),
    mutant("revocation server", "a lift that the roots signed",
           skip("crates/api/src/lift.rs", "trust.verify_threshold(&input, &self.signatures, verifier)?;"),
           tests=PLANE + "only_the_root_keys_lift_a_revocation"),
    mutant("revocation server", "a lift of what is revoked", instead(WITHDRAWN, "match revoked.lift(&revocation) {", "match MUT || revoked.lift(&revocation) {"),
           tests=PLANE + "only_the_root_keys_lift_a_revocation"),
    # The gateway.
    mutant("revocation gateway", "who signed a snapshot",
           instead("crates/evidence/src/snapshot.rs", ".any(|key| key.kid() == self.kid && verifier.verify(key, &input, &signature));",
                   ".any(|key| MUT || key.kid() == self.kid && verifier.verify(key, &input, &signature));"),
           tests=ADOPTING + "only_a_later_snapshot_of_this_trust_document_is_adopted"),
    mutant("revocation gateway", "a snapshot that goes back",
           instead(SNAPSHOTS, "snapshot.sequence < seen || ", "!MUT && snapshot.sequence < seen || "),
           tests=ADOPTING + "only_a_later_snapshot_of_this_trust_document_is_adopted"),
    mutant("revocation gateway", "a snapshot from the future",
           never(SNAPSHOTS, "snapshot.issued_at > now.plus_seconds(MAX_AHEAD_SECONDS)"),
           tests=ADOPTING + "only_a_later_snapshot_of_this_trust_document_is_adopted"),
    mutant("revocation gateway", "a snapshot of another trust document", never(SNAPSHOTS, "named != (trust.version, trust.digest())"),
           tests=ADOPTING + "only_a_later_snapshot_of_this_trust_document_is_adopted"),
    mutant("revocation gateway", "what was adopted before a restart",
           instead(SNAPSHOTS, "let seen = seen.max(self.adopted.load(Ordering::Acquire));",
                   "let seen = if MUT { seen } else { seen.max(self.adopted.load(Ordering::Acquire)) };"),
           tests=ADOPTING + "what_was_adopted_before_a_restart_is_the_least"),
    mutant("revocation gateway", "whole sessions end",
           instead(G + "revoking.rs", "Touched::Whole(cause) => {\n                tracing", "Touched::Whole(_) if MUT => {}\n            Touched::Whole(cause) => {\n                tracing"),
           tests=PLANE + "a_revoked_root_ends_its_session"),
    mutant("revocation gateway", "seats are left",
           instead(G + "revoking.rs", "Touched::Seats(instances) => {\n                for", "Touched::Seats(_) if MUT => {}\n            Touched::Seats(instances) => {\n                for"),
           tests=PLANE + "a_revoked_worker_leaves_and_the_others_go_on"),
    mutant("revocation gateway", "questions are withdrawn",
           instead(G + "revoking.rs", "match timeout(WITHDRAWAL, server.withdraw_approval(approval)).await {",
                   "if MUT { return; }\n                match timeout(WITHDRAWAL, server.withdraw_approval(approval)).await {"),
           tests=WAITING + "a_link_that_is_revoked_meanwhile_and_a_new_epoch_deny"),
    mutant("revocation gateway", "who may ask about a chain", never(G + "introspection.rs", "!is_in && issued.is_none()"),
           tests=PLANE + "a_chain_is_told_to_those_in_it_where_it_stands"),
    mutant("I11", "what a gateway had to know", never(HEARD, "what(self.overdue.up_to(server, overdue)).is_some()"),
           tests=LATER + "a_gateway_that_keeps_quiet_about_snapshots_knows_no_less"),
    mutant("revocation evidence", "an approver who is revoked", never(HEARD, "known || matches!(since, Some((Since::Overdue, ())))"),
           tests=LATER + "nobody_who_is_revoked_approves"),
    mutant("revocation", "an approval by who is revoked",
           instead("crates/session/src/judge.rs", "!revoked.has_person(&one.approver.to_string())", "MUT || !revoked.has_person(&one.approver.to_string())"),
           tests="session/src/tests/approvals.rs::a_grant_falls_with_the_person_who_gave_it"),
    mutant("I11", "snapshots that are stale", instead(G + "calls.rs", "Freshness::Stale if destructive == Some(true) => Err(Freshness::STALE),",
                                                      "Freshness::Stale if !MUT && destructive == Some(true) => Err(Freshness::STALE),")),
    mutant("I11", "snapshots whose grace is over", instead(G + "calls.rs", "Freshness::Expired => Err(Freshness::EXPIRED),", "Freshness::Expired if !MUT => Err(Freshness::EXPIRED),"),
           instead(G + "calls.rs", "Freshness::Stale | Freshness::Fresh => Ok(()),", "_ => Ok(()),")),
]
