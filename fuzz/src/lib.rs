//! What is fuzzed: one function for each target, and the list of them.
//!
//! A function takes any bytes, asserts what its parser guarantees, and says whether the parser took
//! them. `fuzz_targets/` hands the functions to libFuzzer; the workspace's suite hands them the
//! corpus and mutations of it (`cargo nextest run -p chancery-benches`). With coverage, for as long as
//! one likes, in seconds: `scripts/fuzz 60 types_jws`. What is found there
//! becomes a test beside the code.

#[cfg(feature = "whole")]
mod attestation;
#[cfg(feature = "whole")]
mod audit;
mod delegation;
#[cfg(feature = "whole")]
mod evidence;
#[cfg(feature = "whole")]
mod gateway;
mod handshake;
#[cfg(feature = "whole")]
mod identity;
#[cfg(feature = "whole")]
mod journal;
#[cfg(feature = "whole")]
mod node;
#[cfg(feature = "whole")]
mod policy;
#[cfg(feature = "whole")]
mod recorder;
#[cfg(feature = "whole")]
mod sections;
#[cfg(feature = "whole")]
mod session;
#[cfg(feature = "whole")]
mod tlog;
mod types;
mod world;

/// One target.
#[derive(Debug, Clone, Copy)]
pub struct Target {
    /// Its name, and that of its folder in `corpus/`.
    pub name: &'static str,
    /// What is run with every input; whether the input was taken. Panics where a guarantee does
    /// not hold.
    pub run: fn(&[u8]) -> bool,
    /// How many mutated inputs the suite tries: fewer where one takes longer.
    pub inputs: u32,
}

const fn target(name: &'static str, run: fn(&[u8]) -> bool, inputs: u32) -> Target {
    Target { name, run, inputs }
}

/// Every target.
pub const TARGETS: &[Target] = &[
    target("types_strict_json", types::strict_json, 20_000),
    target("types_canonical", types::canonical, 20_000),
    target("types_jws", types::jws, 20_000),
    target("types_words", types::words, 20_000),
    #[cfg(feature = "whole")]
    target("tlog_note", tlog::note, 10_000),
    #[cfg(feature = "whole")]
    target("tlog_checkpoint", tlog::checkpoint, 5_000),
    #[cfg(feature = "whole")]
    target("tlog_tile_path", tlog::tile_path, 20_000),
    #[cfg(feature = "whole")]
    target("tlog_bundle", tlog::bundle, 10_000),
    #[cfg(feature = "whole")]
    target("tlog_proof", tlog::proof, 10_000),
    #[cfg(feature = "whole")]
    target("tlog_vkey", tlog::vkey, 10_000),
    #[cfg(feature = "whole")]
    target("tlog_policy", tlog::policy, 10_000),
    #[cfg(feature = "whole")]
    target("tlog_add_checkpoint", tlog::add_checkpoint, 10_000),
    #[cfg(feature = "whole")]
    target("tlog_witness_answer", tlog::witness_answer, 10_000),
    #[cfg(feature = "whole")]
    target("tlog_seen_log", tlog::seen_log, 10_000),
    #[cfg(feature = "whole")]
    target("tlog_index_proof", tlog::index_proof, 10_000),
    #[cfg(feature = "whole")]
    target("tlog_served", tlog::served, 500),
    #[cfg(feature = "whole")]
    target("journal_frame", journal::frame, 20_000),
    #[cfg(feature = "whole")]
    target("journal_record", journal::record, 20_000),
    #[cfg(feature = "whole")]
    target("identity_spiffe_id", identity::spiffe_id, 20_000),
    #[cfg(feature = "whole")]
    target("attestation_tpm", attestation::tpm, 10_000),
    #[cfg(feature = "whole")]
    target("identity_x509", identity::x509, 5_000),
    #[cfg(feature = "whole")]
    target("identity_wit", identity::wit, 10_000),
    #[cfg(feature = "whole")]
    target("identity_jwt_svid", identity::jwt_svid, 10_000),
    #[cfg(feature = "whole")]
    target("identity_bundle", identity::bundle, 5_000),
    #[cfg(feature = "whole")]
    target("identity_trust", identity::trust_document, 2_000),
    #[cfg(feature = "whole")]
    target("identity_registration", identity::registration, 10_000),
    target("delegation_chain", delegation::chain, 4_000),
    target("delegation_claims", delegation::claims, 4_000),
    target("delegation_proof", delegation::proof, 10_000),
    target("delegation_handshake", handshake::message, 10_000),
    target("delegation_http_signature", handshake::http, 10_000),
    target("delegation_entry", delegation::entry, 10_000),
    target("delegation_arguments", delegation::arguments, 20_000),
    target("delegation_access_token", delegation::access_token, 10_000),
    target("delegation_revocations", delegation::revocations, 10_000),
    target("delegation_mission", delegation::mission, 10_000),
    target("delegation_standing", delegation::standing, 10_000),
    target("delegation_rules", delegation::rules, 10_000),
    target("delegation_assertion", delegation::assertion, 10_000),
    target("delegation_registration", delegation::registration, 10_000),
    target("delegation_approval", delegation::approval, 10_000),
    target("delegation_manifest", delegation::manifest, 2_000),
    target("delegation_envelope", delegation::envelope, 5_000),
    #[cfg(feature = "whole")]
    target("audit_entry", audit::entry, 10_000),
    #[cfg(feature = "whole")]
    target("audit_disclosure", audit::disclosure, 10_000),
    #[cfg(feature = "whole")]
    target("policy_index", policy::index, 10_000),
    #[cfg(feature = "whole")]
    target("policy_bundle", policy::bundle, 200),
    #[cfg(feature = "whole")]
    target("policy_table", policy::table, 10_000),
    #[cfg(feature = "whole")]
    target("session_rules", session::rules, 10_000),
    #[cfg(feature = "whole")]
    target("gateway_client", gateway::client, 20_000),
    #[cfg(feature = "whole")]
    target("gateway_server", gateway::server, 20_000),
    #[cfg(feature = "whole")]
    target("gateway_presentation", gateway::presentation, 4_000),
    #[cfg(feature = "whole")]
    target("gateway_exchange", gateway::exchange, 20_000),
    #[cfg(feature = "whole")]
    target("gateway_snapshot", gateway::snapshot, 4_000),
    #[cfg(feature = "whole")]
    target("node_frames", node::frames, 10_000),
    #[cfg(feature = "whole")]
    target("node_requests", node::requests, 20_000),
    #[cfg(feature = "whole")]
    target("node_roster", node::roster, 20_000),
    #[cfg(feature = "whole")]
    target("recorder_request", recorder::request, 20_000),
    #[cfg(feature = "whole")]
    target("recorder_memory", recorder::memory, 10_000),
    #[cfg(feature = "whole")]
    target("evidence_files", evidence::files, 60),
    #[cfg(feature = "whole")]
    target("evidence_archive", evidence::archive, 20_000),
    #[cfg(feature = "whole")]
    target("evidence_erased", evidence::erased, 10_000),
    #[cfg(feature = "whole")]
    target("evidence_index", evidence::index, 10_000),
    #[cfg(feature = "whole")]
    target("evidence_seen_index", evidence::seen_index, 5_000),
    #[cfg(feature = "whole")]
    target("evidence_catalog", evidence::catalog, 10_000),
    #[cfg(feature = "whole")]
    target("evidence_trust_record", evidence::trust_record, 5_000),
];

/// Runs the target of that name: what `fuzz_targets/` calls.
pub fn run(name: &str, input: &[u8]) {
    let target = TARGETS.iter().find(|target| target.name == name);
    let taken = target.map(|target| (target.run)(input));
    assert!(taken.is_some(), "{name} is no target");
}
