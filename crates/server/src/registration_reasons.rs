/// Why an agent is not registered or retired, or an instance of it is not opened or issued anything.
pub const REGISTRATION_REASONS: &[(&str, &str)] = &[
    (
        "agent_unknown",
        "no agent of this name is registered; see `chancery agent list`",
    ),
    (
        "manifest",
        "the signed manifest is not one, was signed by nobody whom the trust document names, or is not in force; sign one with `chancery agent manifest`",
    ),
    (
        "manifest_expired",
        "the manifest is over; make, sign and register a new one",
    ),
    (
        "code_mismatch",
        "the program is not the one that the manifest names",
    ),
    (
        "registration_changed",
        "the registration is another one than the change was made for; look at it (`chancery agent show`) or plan again",
    ),
    (
        "registration_owner",
        "the registration belongs to the files of somebody else, or was made by hand; change it there, retire it first, or take it over (`chancery apply --adopt`)",
    ),
    (
        "retirement_unfinished",
        "the agent was retired, and instances of it are not revoked yet; retire it once more, then register it",
    ),
    (
        "retirement_too_many",
        "more instances of the agent can hold something than are revoked at once; revoke the agent, end them, and retire it an hour later",
    ),
    (
        "dns_names",
        "the DNS names are too many, or of somebody who has none: only the SVID of an instance has any",
    ),
    (
        "svid_lifetime",
        "the registration asks for SVIDs that live longer than this deployment issues them (`chancery up --svid-lifetime`; five minutes at most for tokens)",
    ),
    (
        "isolation_required",
        "the registration requires instances with namespaces of their own; start this one isolated",
    ),
    (
        "attestation_required",
        "less vouches for the instance than its registration requires; start it where more does",
    ),
];
