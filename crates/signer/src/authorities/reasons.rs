/// Why an authority does not sign, or does not go a step.
pub const AUTHORITY_REASONS: &[(&str, &str)] = &[
    (
        "authority",
        "no authority of that kind signs here, or the trust document names neither it nor its root",
    ),
    ("authority_unknown", "there is no authority of that id"),
    (
        "authority_prepared",
        "one of that kind is prepared already; activate it or revoke it",
    ),
    (
        "authority_full",
        "the signer keeps as many authorities as it can; revoke old ones, or have them live longer",
    ),
    (
        "authority_state",
        "the authority is not in the state that the step begins at; what was old never signs again",
    ),
    (
        "authority_active",
        "the authority is the one that signs; have another one sign first",
    ),
    (
        "authority_certificate",
        "the certificate is not of the authority's key, or leads to no root of the trust document",
    ),
    (
        "authority_root",
        "the root that the signer has authorities certified by does not answer, or refuses",
    ),
    (
        "authority_unnamed",
        "the trust document names neither the authority nor its root; have root keys sign one that does",
    ),
    (
        "authority_early",
        "the trust document names the authority, and not everybody has had the time to hear of it; wait, or say --now",
    ),
    (
        "authority_held",
        "instances or services still rest on what the authority signed; taint it and wait, or say --force",
    ),
    (
        "authority_rolled_back",
        "the signer holds an earlier state of its authorities than the server has seen; take back the signer's newest folder",
    ),
];
