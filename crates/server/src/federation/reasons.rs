/// Why a relation does not begin, a bundle is not fetched, or not taken.
pub const FEDERATION_REASONS: &[(&str, &str)] = &[
    (
        "federation_own_domain",
        "a trust domain does not federate with itself",
    ),
    (
        "federation_exists",
        "there is a relation to this trust domain already; remove it first",
    ),
    (
        "federation_unknown",
        "there is no relation to this trust domain, or it ended meanwhile",
    ),
    (
        "federation_full",
        "there are as many relations as there may be",
    ),
    (
        "federation_no_bundle",
        "an endpoint of `https_spiffe` that serves its own trust domain needs a first bundle; pass the partner's with --bundle",
    ),
    (
        "federation_roots",
        "the authorities of the Web that were passed are none, or are passed for `https_spiffe`",
    ),
    (
        "endpoint_unreachable",
        "nobody answers at the endpoint; the bundle that is known stays in force and the fetch is made again",
    ),
    (
        "endpoint_silent",
        "the endpoint did not answer in time; the bundle that is known stays in force and the fetch is made again",
    ),
    (
        "endpoint_host",
        "the host of the endpoint's URL is no name of a server",
    ),
    (
        "endpoint_no_roots",
        "this machine has no authorities of the Web; install ca-certificates or pass --web-roots",
    ),
    ("endpoint_tls_config", "TLS cannot be configured"),
    (
        "endpoint_tls",
        "the endpoint does not speak TLS 1.2 or 1.3; plain HTTP, for example",
    ),
    (
        "endpoint_no_bundle",
        "no bundle is known of the trust domain that the endpoint's SPIFFE ID is of; federate with that one as well",
    ),
    (
        "endpoint_svid",
        "the endpoint's certificate is no valid X.509-SVID of its trust domain: expired, for example, or of an unknown authority",
    ),
    (
        "endpoint_workload",
        "the endpoint has an X.509-SVID of another workload than the configured one",
    ),
    (
        "endpoint_certificate_time",
        "the endpoint's web certificate has expired or is not valid yet",
    ),
    (
        "endpoint_certificate_name",
        "the endpoint's web certificate is for another host than the URL's",
    ),
    (
        "endpoint_certificate_untrusted",
        "no authority of the Web that is trusted signed the endpoint's certificate",
    ),
    (
        "endpoint_certificate",
        "the endpoint's web certificate is not acceptable",
    ),
    ("endpoint_http", "the endpoint does not speak HTTP"),
    (
        "endpoint_status",
        "the endpoint answers something else than a bundle",
    ),
    (
        "endpoint_redirection",
        "the endpoint redirects to what could not be configured: a relative URL, or one that is not https",
    ),
    (
        "endpoint_redirection_inside",
        "an endpoint of the Internet redirects to an address of this machine or of a private network",
    ),
    ("endpoint_redirections", "the endpoint redirects too often"),
    (
        "bundle_too_long",
        "the bundle is longer than 1 MiB, as it was fetched or passed or as it is stored",
    ),
    (
        "bundles_full",
        "the bundles of all relations together would be longer than 8 MiB; remove one that is not needed",
    ),
    (
        "bundle_malformed",
        "what was fetched or passed is no bundle document",
    ),
    (
        "bundle_rollback",
        "the bundle has a lower sequence than the one that is known",
    ),
    (
        "bundle_same_sequence",
        "the bundle has other keys under the sequence that is known",
    ),
    (
        "bundle_no_sequence",
        "the bundle has no sequence, and the one that is known has",
    ),
    (
        "bundle_wrong_domain",
        "the bundle is of another trust domain, or holds an authority of one",
    ),
    (
        "bundle_own_key",
        "the bundle holds a key of one's own trust domain",
    ),
];
