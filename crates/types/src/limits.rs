//! Limits that hold everywhere, checked before anything is allocated for what they bound.

/// Deepest nesting of a JSON document that is read or written.
pub const MAX_JSON_DEPTH: usize = 64;

/// The largest integer that every JSON reader represents exactly (RFC 7493, section 2.2), and the
/// largest that has a canonical form (RFC 8785).
pub const MAX_SAFE_INTEGER: u64 = (1 << 53) - 1;

/// Largest entry of a log (C2SP tlog-tiles: entries carry a 16-bit length).
pub const MAX_LOG_ENTRY_BYTES: usize = 65_535;

/// Most links of a delegation chain, root included.
pub const MAX_CHAIN_LINKS: usize = 8;

/// Most bytes of a delegation chain: its links joined by commas.
pub const MAX_CHAIN_BYTES: usize = 16_384;

/// Most bytes of one compact JWS that is read.
pub const MAX_JWS_BYTES: usize = 16_384;

/// Most revocations that are in force at one time.
pub const MAX_REVOCATIONS: usize = 8_192;

/// Longest life of the root of a delegation chain, in seconds; no link outlives its root.
pub const MAX_ROOT_SECONDS: u64 = 3_600;
