use chancery_delegation::StandingReason;
use chancery_session::Reason;

/// The gateway's own reason codes, with what to say to people. Codes of chains, proofs and the
/// session machine are those of `delegation` and `session` and stand beside these.
pub const REASONS: &[(&str, &str)] = &[
    (
        "already_joined",
        "the instance joined this session before; an instance joins once",
    ),
    (
        "ambiguous_argument",
        "an argument is named like one of the tool's but for case; spell it as the schema does",
    ),
    (
        "approval_denied",
        "a person denied this action in this session",
    ),
    (
        "approval_expired",
        "nobody answered in time; repeat the call to ask again",
    ),
    (
        "approval_invalid",
        "the relayed answer is not a person's answer to this question",
    ),
    (
        "catalog_mismatch",
        "the manifest binds another tool catalog than the servers list now; review the tools and sign a new manifest",
    ),
    (
        "catalog_unavailable",
        "the tools of a configured server are not known; see the gateway's log",
    ),
    (
        "certificate_invalid",
        "the certificate has expired or is of another trust domain; connect again with a current X.509-SVID",
    ),
    (
        "chain_not_yours",
        "nothing is said of a chain to somebody who is not in it",
    ),
    (
        "challenge_unknown",
        "the proof's nonce is not open; ask POST /v1/challenges for one and use it within a minute",
    ),
    (
        "clock_stepped_back",
        "the gateway's clock stands before what it logged; set the machine's clock",
    ),
    ("consent_agent", StandingReason::Agent.said()),
    ("consent_depth", StandingReason::Depth.said()),
    ("consent_epoch", StandingReason::Epoch.said()),
    ("consent_expired", StandingReason::Expired.said()),
    ("consent_gateway", StandingReason::Gateway.said()),
    (
        "consent_invalid",
        "the consent is not the person's assertion over this root, nor a standing one that it names",
    ),
    ("consent_lifetime", StandingReason::Lifetime.said()),
    (
        "consent_missing",
        "the root's consent was never presented; join the session with it first",
    ),
    ("consent_mission", StandingReason::Mission.said()),
    ("consent_other", StandingReason::Other.said()),
    ("consent_person", StandingReason::Person.said()),
    ("consent_scope", StandingReason::Scope.said()),
    ("consent_used_up", StandingReason::UsedUp.said()),
    (
        "credential_expired",
        "the credential that the instance joined with has expired",
    ),
    (
        "delegation_missing",
        "the call carries no delegation chain; it is expected in _meta under io.chancery/delegation",
    ),
    (
        "delegation_reference_unknown",
        "the call refers to a delegation that this instance has not presented in this session since the gateway started; repeat the call with the chain in full",
    ),
    (
        "end_not_yours",
        "a session is ended by the instance that holds its root",
    ),
    (
        "erased",
        "the person on whose behalf this is was erased; nothing is decided for them any more",
    ),
    (
        "exchange_actor",
        "no actor_token is taken: the actors are the holders of the chain",
    ),
    (
        "exchange_details",
        "a token carries only entries of the chain's leaf, of servers that the audience is configured for, without limits, that no forbid or ask of the chain touches",
    ),
    (
        "exchange_form",
        "the exchange is application/x-www-form-urlencoded with grant_type, subject_token, subject_token_type, one audience, client_assertion and client_assertion_type, each once",
    ),
    (
        "exchange_grant_type",
        "the one grant type is urn:ietf:params:oauth:grant-type:token-exchange",
    ),
    (
        "exchange_refused",
        "the signer or the server refused the access token",
    ),
    (
        "exchange_scope",
        "there are no scopes; narrow with authorization_details",
    ),
    (
        "exchange_target",
        "name exactly one audience, an absolute URI without query, fragment and escapes",
    ),
    (
        "exchange_token_type",
        "a delegation chain (urn:io.chancery:oauth:token-type:adt-chain) is exchanged for an access token and for nothing else",
    ),
    (
        "exchange_unavailable",
        "access tokens are not signed: the control plane is away, or the trust document names no authority for them",
    ),
    (
        "log_unavailable",
        "the gateway's log takes no entries; nothing is forwarded",
    ),
    (
        "manifest_mismatch",
        "the manifest is another agent's, or not the one that the token names",
    ),
    (
        "manifest_refused",
        "the manifest does not verify; see the gateway's log",
    ),
    (
        "method_not_governed",
        "the method is not one that the gateway decides or admits",
    ),
    (
        "mission_expiry",
        "the root would outlive the mission; delegate for a shorter time",
    ),
    (
        "mission_forbid",
        "the mission forbids this; what determined it names which entry of its forbid list",
    ),
    (
        "mission_invalid",
        "the mission is not a mission document; see the gateway's log, and try `chancery mission check`",
    ),
    (
        "mission_mismatch",
        "the mission document is not the one that the root names",
    ),
    (
        "mission_stopped",
        "the mission has come to one of its stop conditions; nothing more is allowed in this session",
    ),
    (
        "mission_unavailable",
        "the gateway has no bytes of the session's mission any more; nothing is decided",
    ),
    (
        "not_joined",
        "the instance is in no open session; open or join one first",
    ),
    (
        "object_store",
        "evidence could not be stored; nothing is forwarded",
    ),
    (
        "opinion",
        "the opinion that came with the call is against it",
    ),
    (
        "policy_mismatch",
        "the manifest binds another policy bundle than is in force; sign a new manifest",
    ),
    (
        "principal_mismatch",
        "the disclosure is not of the person at the root",
    ),
    ("random_unavailable", "the system's random source failed"),
    (
        "rules_agent",
        "the operator's rules do not admit a holder of the chain",
    ),
    (
        "rules_attestation",
        "the operator's rules demand a stronger attestation",
    ),
    ("rules_depth", "the operator's rules permit fewer links"),
    (
        "rules_key",
        "the operator's rules do not admit the key of a holder",
    ),
    (
        "rules_lifetime",
        "the operator's rules let a delegation live less long",
    ),
    (
        "rules_trust_domain",
        "the operator's rules do not admit the trust domain of a holder",
    ),
    (
        "session_ambiguous",
        "the instance is in several sessions; send the delegation chain along",
    ),
    ("session_ending", "the session is ending"),
    (
        "session_exists",
        "the session was opened before; a root opens one session",
    ),
    ("session_unknown", "the gateway has no such session"),
    (
        "snapshot_expired",
        "nothing is known of revocations and policy for longer than the grace; start the server",
    ),
    (
        "snapshot_missing",
        "the gateway has no policy yet; start the server",
    ),
    (
        "snapshot_stale",
        "nothing is known of revocations and policy for more than ten seconds; start the server",
    ),
    (
        "token_in_call",
        "an access token stands in what would be forwarded; it is for its audience alone",
    ),
    (
        "too_many_challenges",
        "too many nonces are open; use or wait for those",
    ),
    (
        "too_many_questions",
        "as many actions of this session wait for a person as may; wait for the answers",
    ),
    (
        "ungoverned_parameter",
        "the call carries parameters that no delegation covers",
    ),
    ("unknown_argument", "the tool's schema has no such argument"),
    (
        "wit_refused",
        "the credential of the agent key does not verify; ask the node for a current one",
    ),
];

/// What to say to people about a code, where the code stands beside it.
pub(crate) fn said(code: &str) -> &'static str {
    let known = REASONS.iter().find(|(known, _)| *known == code);
    let own = || {
        let mut own = Reason::OWN.into_iter();
        own.find(|reason| reason.code() == code).map(Reason::said)
    };
    let of_chain = || code.parse().ok().map(chancery_delegation::Reason::said);
    let said = known.map(|(_, text)| *text);
    said.or_else(own).or_else(of_chain).unwrap_or("refused")
}

/// What to say to MCP clients: those that know nothing of us show the message alone, so that the
/// code is part of it.
pub(crate) fn said_with_code(code: &str) -> String {
    format!("{} ({code})", said(code))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_code_is_said() {
        for reason in StandingReason::ALL {
            assert_eq!(said(reason.code()), reason.said());
        }
        let chain = chancery_delegation::Reason::ALL.map(chancery_delegation::Reason::code);
        for code in chain.into_iter().chain(Reason::OWN.map(Reason::code)) {
            assert_ne!(said(code), "refused", "{code}");
        }
        assert_eq!(said("no_such_code"), "refused");
    }

    #[test]
    fn codes_are_sorted_and_none_stands_twice() {
        assert!(REASONS.is_sorted_by(|(one, _), (next, _)| one < next));
    }
}
