/// Why the console answers nothing, beside what passkeys are refused for.
pub const CONSOLE_REASONS: &[(&str, &str)] = &[
    (
        "not_signed_in",
        "nobody is signed in with this browser, or the visit is over",
    ),
    (
        "not_an_approver",
        "the trust document does not name this person as an approver",
    ),
    (
        "not_yours",
        "the trust document names the passkey for somebody else, or what is to be revoked rests on \
         somebody else's consent",
    ),
    (
        "foreign_page",
        "the request comes from another page than the console's own; open the console at its own address",
    ),
    (
        "form_token",
        "the form was not made for this visit; load the page again",
    ),
    (
        "malformed",
        "the request is not what a page of the console sends",
    ),
    (
        "challenge_unknown",
        "the page is not one of this server's; load it again",
    ),
    (
        "challenge_expired",
        "the page is older than five minutes; load it again",
    ),
    (
        "challenge_reused",
        "the page was answered before; load it again",
    ),
    (
        "too_many_attempts",
        "an address may fail twenty times a minute to sign in or to enrol; wait a minute",
    ),
    (
        "too_many_visits",
        "as many people are signed in as there may be; wait until a visit ends",
    ),
    (
        "invitation_unknown",
        "nobody waits for this one-time code: take the one that was printed last, while `up` or `trust \
         invite` runs",
    ),
    (
        "invitation_unanswered",
        "whoever invited did not put the passkey into the trust document; ask them what it said",
    ),
    ("invitations_full", "too many invitations are open at once"),
    (
        "approval_other_person",
        "the mission names another person as its approver",
    ),
    (
        "approval_mismatch",
        "the signed statement is about something else than what waits",
    ),
    (
        "approval_expired",
        "the question or the signed statement is over; the client repeats the call to ask again",
    ),
    (
        "approval_withdrawn",
        "the session or the instance of the question has gone",
    ),
    ("approval_answered", "somebody answered the question before"),
    ("approval_unknown", "there is no such question"),
];
