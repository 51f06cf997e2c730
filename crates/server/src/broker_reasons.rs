/// Why nobody is admitted as a broker, or a broker is issued nothing, and why a workload is handed no
/// WIT-SVID.
pub const BROKER_REASONS: &[(&str, &str)] = &[
    (
        "broker_api_off",
        "this deployment serves no brokers; start `chancery up` with --broker-api",
    ),
    (
        "broker_denied",
        "nobody admitted the broker, or not for this workload; see `chancery broker list`",
    ),
    (
        "broker",
        "a broker is a workload of the deployment's own trust domain",
    ),
    ("broker_unknown", "there is no such broker to remove"),
    (
        "broker_full",
        "there are as many brokers as there may be; remove one that is not needed",
    ),
    (
        "wit_svid_off",
        "this deployment issues no WIT-SVIDs; start `chancery up` with --wit-svid",
    ),
    (
        "agent_key",
        "the key is the instance's agent key, or the instance has another one, or the key is that of a WIT-SVID",
    ),
];
