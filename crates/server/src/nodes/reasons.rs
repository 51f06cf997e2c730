/// Why a node is not admitted, or not answered.
pub const NODE_REASONS: &[(&str, &str)] = &[
    (
        "join_refused",
        "what admits a node was not accepted: a token that is unknown, used or over, a certificate that is not of an admitted authority, or a TPM that nobody vouches for, that did not open its credential or whose quote is not the one that was asked for; the server's log says which",
    ),
    (
        "join_rate",
        "an address asked to join too often; wait a minute",
    ),
    (
        "node_proof",
        "the proof of possession is not of this key on this connection",
    ),
    (
        "node_certificate",
        "the connection shows no X.509-SVID; only a join is answered without one",
    ),
    (
        "not_a_node",
        "the X.509-SVID is of no node: an instance's, for example",
    ),
    (
        "node_svid_expired",
        "the connection's X.509-SVID has expired; renew it in time, or join again",
    ),
    ("node_unknown", "no node of that name joined here"),
    (
        "node_evicted",
        "the node was put out; it is not let in again under this name",
    ),
    ("other_node", "the instance is not on this node"),
    (
        "node_broker",
        "an issuance through a broker, which the nodes of other hosts have none of",
    ),
    (
        "node_instances",
        "the node has as many instances as it may, of those that run and those of the last hour; wait until some are older",
    ),
    (
        "node_rate",
        "the node asks for more issuances a minute than it may; wait a minute",
    ),
    (
        "node_untrusted",
        "the connection's X.509-SVID leads to no authority that is trusted now; join again",
    ),
    (
        "node_token_lifetime",
        "a token admits a node for 10 seconds to a day",
    ),
    (
        "node_tokens_full",
        "there are as many unused tokens as there may be; wait until some are over",
    ),
    (
        "node_tpms_full",
        "there are as many admitted TPMs as there may be; admit their makers instead",
    ),
    ("node_tpm", "no TPM of that digest is admitted"),
    (
        "node_authority",
        "the certificate is no certificate of an authority, or of none that is valid",
    ),
];
