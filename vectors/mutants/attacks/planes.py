"""At the gateway and around it: missions, the operator's rules, policies, calls that waited, what surrounds a message,
the sandbox, and what the tests over the sources hold."""

from __future__ import annotations

from .edits import Mutant, always, instead, mutant, never, skip

D = "crates/delegation/src/"
S = "crates/session/src/"
G = "crates/gateway/src/"
E = G + "enforcement/"
CASES = "session/src/tests/missions.rs::"
MISSIONS = "gateway/tests/enforcement/missions.rs::"
FORGED = "gateway/tests/enforcement/forged_policy.rs::"
WAITING = "gateway/tests/enforcement/waiting.rs::"
SOURCES = "delegation/tests/fixtures/sources.rs::"
RULEBOOK = D + "rules/mod.rs"
LISTED = "delegation/src/rules/tests.rs::each_rule_has_its_reason"
JUDGED = "session/src/tests/rules.rs::a_chain_that_breaks_a_rule_is_denied_with_its_reason"
JUDGE = S + "judge.rs"
ADMISSION = S + "admission.rs"
REPLAYED = "crates/evidence/src/verify/revocations.rs"
SHIM = "crates/node/src/sandbox/shim/calls.rs"

NOT_AGAIN = instead(E + "calls.rs", "Settled::Answered => self.examine_again(peer, material, examined).await,",
                    "Settled::Answered if MUT => Ok(examined),\n                Settled::Answered => self.examine_again(peer, material, examined).await,")
SAME_POLICY = never(E + "calls.rs", "current.trust.digest() != before.trust.digest() || policy(&current) != policy(before)")

TOLD = '.env_clear()\n            .envs(std::env::var_os("MUTANT").map(|on| ("MUTANT", on)))'

MUTANTS: list[Mutant] = [
    # The mission.
    mutant("mission", "forbidden means", never(JUDGE, "!forbidden.is_empty()"),
           tests=CASES + "a_means_that_the_mission_forbids_is_denied_whatever_chain_and_policy_say"),
    mutant("mission", "means that cannot be judged", instead(D + "token/entry.rs", "self.judge(call) != Judgement::Fails", "if MUT { self.judge(call) == Judgement::Holds } else { self.judge(call) != Judgement::Fails }"),
           tests="delegation/src/mission/tests.rs::a_prohibition_that_cannot_be_judged_applies"),
    mutant("mission", "a step that lists the means", instead(JUDGE, "asked.extend(unserved.err().map(Unserved::label));", "asked.extend(unserved.err().filter(|_| !MUT).map(Unserved::label));"),
           tests=CASES + "a_step_that_does_not_list_the_means_is_put_before_a_person_and_passes_once_approved"),
    mutant("mission", "conditions to stop", skip(JUDGE, "check_progress(open, input)?;"), tests=CASES + "a_stop_condition_stops_every_further_call"),
    mutant("mission", "the mission of the chain", never(ADMISSION, "chain.mission() != mission.digest()"),
           tests=CASES + "no_root_outlives_its_mission_and_no_other_mission_is_served"),
    mutant("mission", "the end of the mission", never(ADMISSION, "chain.root().expires_at() > mission.expires()"),
           tests=CASES + "no_root_outlives_its_mission_and_no_other_mission_is_served"),
    mutant("mission", "the end of the mission, of a further root", skip(JUDGE, "admission::check_mission(input.mission, input.chain)?;"),
           tests=CASES + "a_further_root_is_held_to_the_missions_end_too"),
    mutant("mission", "calls of the budget", instead(ADMISSION, "least(opening.budgets.max_calls, mission.budget().calls)", "least(opening.budgets.max_calls, if MUT { u64::MAX } else { mission.budget().calls })"),
           tests=CASES + "the_budget_of_the_mission_is_counted_by_the_session"),
    mutant("mission", "cost of the budget", instead(ADMISSION, "            mission.budget().cost_micros,", "            if MUT { u64::MAX } else { mission.budget().cost_micros },"),
           tests=CASES + "the_budget_of_the_mission_is_counted_by_the_session"),
    mutant("mission", "time of the budget", instead(ADMISSION, "now.plus_seconds(mission.budget().seconds)", "now.plus_seconds(if MUT { u64::from(u32::MAX) } else { mission.budget().seconds })"),
           tests=CASES + "the_budget_of_the_mission_is_counted_by_the_session"),
    mutant("mission", "the mission's approver",
           instead(S + "state/fold.rs", "approver.is_some_and(|approver| approver != grant.approver)", "approver.is_some_and(|approver| !MUT && approver != grant.approver)"),
           tests=CASES + "only_the_missions_approver_answers"),
    mutant("mission", "an opinion against the call", instead(JUDGE, "Some(OpinionVerdict::Deny) => return Err(Reason::Opinion),", "Some(OpinionVerdict::Deny) if !MUT => return Err(Reason::Opinion),\n        Some(OpinionVerdict::Deny) => {}"),
           tests=CASES + "an_opinion_is_recorded_and_never_raises"),
    mutant("mission", "the mission that was presented", never(E + "presentation.rs", "Digest::of(&bytes) != chain.mission()"),
           tests="gateway/tests/enforcement/presentations.rs::every_part_of_a_presentation_is_held_against_the_others"),
    mutant("mission", "means that a mission forbids, at a gateway", never(JUDGE, "!forbidden.is_empty()"), tests=MISSIONS + "a_mission_forbids_asks_and_is_replayed_from_its_bytes"),
    mutant("mission", "an opinion, at a gateway", instead(JUDGE, "Some(OpinionVerdict::Deny) => return Err(Reason::Opinion),", "Some(OpinionVerdict::Deny) if !MUT => return Err(Reason::Opinion),\n        Some(OpinionVerdict::Deny) => {}"),
           tests=MISSIONS + "an_opinion_only_lowers_and_never_leaves_the_gateway"),
    mutant("mission", "the end of a mission that is drafted for", never("crates/server/src/endpoints/roots.rs", "now.plus_seconds(lifetime) > mission.expires()"),
           tests=MISSIONS + "a_mission_that_is_over_or_none_roots_nothing"),
    # The operator's rules.
    *(
        mutant("rules", name, always(RULEBOOK, condition), tests=f"{LISTED} {JUDGED}")
        for name, condition in (
            ("lifetimes", "within(lifetimes.max_seconds, lives)"),
            ("depth", "within(self.max_depth, grant.max_depth)"),
            ("agents", "self.agents.admit(|pattern| pattern.covers(&grant.subject))"),
            ("keys", "self.keys.admit(|key| *key == thumbprint)"),
        )
    ),
    mutant("rules", "trust domains", instead(RULEBOOK, ".admit(|domain| domain == grant.subject.trust_domain())", ".admit(|domain| MUT || domain == grant.subject.trust_domain())"),
           tests=f"{LISTED} {JUDGED}"),
    mutant("rules", "levels of attestation", instead(RULEBOOK, "Some(least) if level < least => Err(RuleReason::Attestation),", "Some(least) if !MUT && level < least => Err(RuleReason::Attestation),"),
           tests=f"{LISTED} {JUDGED}"),
    mutant("rules", "the earlier of two beginnings", instead(RULEBOOK, "grant.not_before.min(grant.issued_at)", "if MUT { grant.not_before } else { grant.not_before.min(grant.issued_at) }"),
           tests="delegation/src/rules/tests.rs::roots_and_links_have_lifetimes_of_their_own_and_no_word_of_the_maker_shortens_one"),
    mutant("rules", "who is blocked", instead(D + "rules/lists.rs", "!self.block.iter().any(&is) && ", "(MUT || !self.block.iter().any(&is)) && "), tests=LISTED),
    mutant("rules", "segments of an agent's name", always(D + "rules/lists.rs", "rest.is_empty() || rest.starts_with('/')"), tests=LISTED),
    mutant("rules", "rules of a root that is drafted", skip("crates/server/src/endpoints/roots.rs", "check_rules(server, &draft, instance)?;", near="    check_rules(server, &draft, instance)?;\n    Ok(draft)"),
           tests="gateway/tests/enforcement/rules.rs::rules_hold_when_a_root_is_drafted_a_session_joined_and_a_call_made "
                 "gateway/tests/enforcement/rules.rs::too_little_attestation_roots_nothing"),
    mutant("rules H04", "rules of who joins", skip(E + "presentation.rs", "rules.check_chain(&chain)?;"),
           tests="gateway/tests/enforcement/rules.rs::rules_hold_when_a_root_is_drafted_a_session_joined_and_a_call_made"),
    mutant("rules H04", "rules of every call", instead(JUDGE, "        .map_err(Reason::Rules)?;", "        .or_else(|reason| if MUT { Ok(()) } else { Err(reason) })\n        .map_err(Reason::Rules)?;"),
           tests=JUDGED),
    # Policies.
    *(
        mutant("policy", name, edit, tests=FORGED + "what_no_policy_signer_signed_is_never_in_force")
        for name, edit in (
            ("who signed a policy", instead(E + "snapshots.rs", "trust.check_policy_signers(signed.signers(&trust.policy_signers, &AwsLc))", "if MUT { Ok(()) } else { trust.check_policy_signers(signed.signers(&trust.policy_signers, &AwsLc)) }")),
            ("the policy that was named", never(E + "snapshots.rs", "bundle.digest() != digest")),
            ("versions of a policy", instead(E + "latest_policy.rs", "Some(latest) if version < latest.version", "Some(latest) if !MUT && version < latest.version")),
        )
    ),
    mutant("policy", "who signed the first policy", instead(E + "snapshots.rs", "trust.check_policy_signers(signed.signers(&trust.policy_signers, &AwsLc))", "if MUT { Ok(()) } else { trust.check_policy_signers(signed.signers(&trust.policy_signers, &AwsLc)) }"),
           tests=FORGED + "a_gateway_does_not_begin_with_what_no_policy_signer_signed"),
    # Calls that waited, and what changed meanwhile.
    mutant("D24", "the policy of the next call",
           instead(E + "snapshots.rs", "same.filter(|policy| policy.bundle.digest() == snapshot.policy_digest)", "same.filter(|policy| MUT || policy.bundle.digest() == snapshot.policy_digest)"),
           tests="gateway/tests/enforcement/outage.rs::a_new_policy_governs_the_next_call"),
    mutant("D24 waiting", "a call that waited is examined again", NOT_AGAIN, SAME_POLICY, tests=WAITING + "a_policy_that_changes_meanwhile_decides"),
    mutant("D24 waiting", "the consent of a call that waited", NOT_AGAIN, SAME_POLICY, tests=WAITING + "a_principal_who_is_taken_out_meanwhile_grants_nothing"),
    mutant("waiting", "what is in force when it is decided", NOT_AGAIN, tests=WAITING + "a_policy_that_changes_meanwhile_decides"),
    mutant("waiting", "who may approve when the answer comes",
           instead(E + "approvals.rs", ".filter(|(person, _)| person.roles.contains(&Role::Approver))", ".filter(|(person, _)| MUT || person.roles.contains(&Role::Approver))"),
           tests=WAITING + "a_trust_document_that_changes_meanwhile_decides"),
    # Around a message.
    mutant("H15", "the method of a header", instead(G + "front/headers.rs", "Some(header) if header != method => return", "Some(header) if !MUT && header != method => return")),
    mutant("H15", "names of the gateway", instead(G + "front/hosts.rs", "host.is_some_and(|host| self.knows(host))", "host.is_some_and(|host| MUT || self.knows(host))")),
    mutant("H15", "origins of pages", instead(G + "front/hosts.rs", ".is_ok_and(|origin| self.origins", ".is_ok_and(|origin| MUT || self.origins")),
    mutant("H15 H16", "a header twice",
           instead(G + "front/headers.rs", "(Some(value), None) => value", "(Some(value), second) if MUT || second.is_none() => value"),
           tests="gateway/tests/transport/refusals.rs::headers_must_say_what_the_body_says"),
    mutant("H16", "a member twice", never(G + "json/guard.rs", "!seen.insert(name)")),
    mutant("H16", "a credential in its place alone",
           instead(G + "envelope/parse.rs",
                   'let Some(member) = params.into_iter().find(|member| member.name == "_meta") else {\n        return Ok(None);\n    };',
                   """let within = params.iter().find(|member| member.name == "arguments").map(|member| member.value.clone());
    let Some(member) = params.into_iter().find(|member| member.name == "_meta") else {
        return within.filter(|_| MUT).map_or(Ok(None), |within| meta(text, &within));
    };"""),
           tests="gateway/src/envelope/tests.rs::a_credential_elsewhere_is_not_one"),
    # The sandbox.
    # Its first process is told which mutant is on, and nothing else.
    *(
        mutant("sandbox", f"the system call {call}", instead(SHIM, "let refused = [SYS_add_key, SYS_request_key, SYS_keyctl];",
                   """let refused = [(SYS_add_key, "add_key"), (SYS_request_key, "request_key"), (SYS_keyctl, "keyctl")];
    let refused = refused.map(|(call, named)| {
        let named = &named;
        match MUTFOR(named) {
            true if call == SYS_keyctl => SYS_add_key,
            true => SYS_keyctl,
            false => call,
        }
    });""", arg=call),
               instead("crates/node/src/sandbox/launch.rs", ".env_clear()", TOLD), instead("crates/node/src/sandbox/shim/namespaces.rs", ".env_clear()", TOLD),
               tests="node/tests/sandbox/hostile.rs::every_attempt_fails")
        for call in ("add_key", "request_key", "keyctl")
    ),
    mutant("sandbox", "system calls of key rings", instead(SHIM, "    apply_filter(&program).map_err", "    if MUT {\n        return Ok(());\n    }\n    apply_filter(&program).map_err"),
           instead("crates/node/src/sandbox/launch.rs", ".env_clear()", TOLD), instead("crates/node/src/sandbox/shim/namespaces.rs", ".env_clear()", TOLD),
           tests="node/tests/sandbox/hostile.rs::every_attempt_fails"),
    # What the tests over the sources hold.
    mutant("C11", "a nonce compared byte by byte",
           instead("crates/identity/src/key_proof.rs", "!Digest::of(&claims.nonce).ct_eq(&Digest::of(nonce))", "claims.nonce != nonce"), text=True),
    mutant("C11", "a one-time code compared byte by byte",
           instead("crates/cli/src/deployment/init.rs", "expected.ct_eq(given.as_bytes())", "expected.expose() == given.as_bytes()"), text=True),
    mutant("C11", "digests compared byte by byte",
           instead("crates/types/src/digest.rs", "self.0.ct_eq(&other.0).into()", "self.0 == other.0"), text=True),
    mutant("C11", "secrets that can be compared",
           instead("crates/types/src/secret.rs", "#[derive(Clone)]\npub struct Secret", "#[derive(Clone, PartialEq)]\npub struct Secret"), text=True),
    mutant("C11", "channels compared byte by byte",
           instead("crates/delegation/src/handshake/peer.rs", "self.0.ct_eq(&other.0)", "self.0 == other.0"), text=True),
    mutant("C08", "a library that verifies batches", instead("crates/crypto/Cargo.toml", "aws-lc-rs.workspace = true", 'aws-lc-rs.workspace = true\ned25519-dalek = { version = "2", features = ["batch"] }'), text=True),
    mutant("C08", "a batch", instead("crates/crypto/src/provider.rs", "impl SignatureVerifier for AwsLc {", "fn verify_batch() {}\n\nimpl SignatureVerifier for AwsLc {"), text=True),
    mutant("I10", "a client that follows addresses", instead("crates/gateway/Cargo.toml", "[dependencies]", "[dependencies]\nreqwest.workspace = true"), text=True),
    mutant("I10", "a connection to an address out of a document",
           instead("crates/delegation/src/consent.rs", "    let digest = Digest::of(artefact);", '    let _ = std::net::TcpStream::connect(chain.authority());\n    let digest = Digest::of(artefact);'), text=True),
    # What a stranger replays.
    *(
        mutant("revocation evidence", name, *edits, tests="evidence/tests/evidence/revoked.rs::" + test)
        for name, edits, test in (
            ("the order of snapshots", [always(REPLAYED, "adopt.sequence > last")], "snapshots_only_go_forward"),
            ("the epoch of a snapshot", [always(REPLAYED, "state.epoch == adopt.epoch")], "a_snapshot_holds_what_the_servers_log_has"),
            ("the revocations of a snapshot", [always(REPLAYED, "state.revoked.len() as u64 == adopt.revoked"),
                                               always(REPLAYED, "digest == adopt.revocations")], "a_snapshot_holds_what_the_servers_log_has"),
            ("the cause of an end", [always(REPLAYED, "found.is_some()")], "a_session_ends_as_revoked_only_by_what_governed"),
        )
    ),
    mutant("C15 policy", "who signed a policy that is replayed", always("crates/evidence/src/verify/policies.rs", "!signers.is_empty()"),
           tests="evidence/tests/evidence/tampered.rs::keys_that_the_trust_document_does_not_name_sign_nothing"),
]
