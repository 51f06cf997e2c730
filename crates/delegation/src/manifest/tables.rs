use super::schema::Shape::{
    Artifacts, Boolean, Hash, Instant, Integer, List, Object, Spiffe, Text, Uuid7, Word,
};
use super::schema::{Member, Shape, optional, required};

const MAX: i64 = (1 << 53) - 1;
const TEXTS: Shape = List(&Text);
const ARTIFACT_NAMES: &[&str] = &[
    "system_prompt",
    "policy_bundle",
    "tool_manifest",
    "model_identity",
    "rag_corpus",
    "memory_baseline",
    "decision_trace",
    "supply_chain",
];

/// The payload of a version 0.2 envelope: the manifest without its unsigned members.
pub(super) const MANIFEST: Shape = Object(&[
    optional(
        "@context",
        Word(&["https://manifest.agentrust-io.com/v0.2/context.json"]),
    ),
    optional("@type", Word(&["AgentManifest"])),
    required("manifest_id", Uuid7),
    optional("previous_manifest_id", Uuid7),
    required("agent_id", Spiffe),
    optional("agent_instance_id", Uuid7),
    required("version", Word(&["0.2"])),
    optional("min_verifier_version", Text),
    required("issued_at", Instant),
    required("expires_at", Instant),
    required("issuer", Spiffe),
    optional("crypto_profile", Word(&["standard", "post-quantum"])),
    optional("profile", Word(&["composition-only"])),
    optional("unbound_artifacts", List(&Word(ARTIFACT_NAMES))),
    optional(
        "source_bundle",
        Object(&[
            required("format", Word(&["agent-plugins-1.0.0"])),
            required("digest", Hash),
        ]),
    ),
    required("artifacts", Artifacts(ARTIFACTS)),
    optional("delegation_chain", List(&HOP)),
    optional("hitl_record", Object(HITL)),
    optional("prior_transparency_log_entry", LOG_ENTRY),
    optional(
        "log_retention",
        Object(&[
            required("minimum_retention_days", Integer(1, MAX)),
            optional("regulatory_retention_override", Text),
            required("retention_enforced_by", Text),
        ]),
    ),
    optional(
        "data_scope",
        Object(&[
            optional("personal_data_categories", TEXTS),
            optional("legal_basis", TEXTS),
            required("automated_decision_making", Boolean),
            optional("dpia_reference", Text),
        ]),
    ),
    optional(
        "operational_lifecycle",
        Object(&[
            required("expected_lifetime_days", Integer(1, MAX)),
            optional("planned_maintenance_schedule", Text),
            optional("update_policy", Text),
            optional("reissuance_triggers", TEXTS),
        ]),
    ),
    optional("intent", Object(&[required("statement", Text)])),
]);

const ARTIFACTS: &[Member] = &[
    optional("system_prompt", Object(SYSTEM_PROMPT)),
    optional("policy_bundle", Object(POLICY_BUNDLE)),
    optional("tool_manifest", Object(TOOL_MANIFEST)),
    optional("model_identity", Object(MODEL_IDENTITY)),
    optional("rag_corpus", Object(RAG_CORPUS)),
    optional("memory_baseline", Object(MEMORY_BASELINE)),
    optional("decision_trace", Object(DECISION_TRACE)),
    optional("supply_chain", Object(SUPPLY_CHAIN)),
];

const SYSTEM_PROMPT: &[Member] = &[
    required("hash", Hash),
    optional("hash_algorithm", Word(&["SHA-256"])),
    required("version", Text),
    required(
        "classification",
        Word(&["public", "internal", "confidential", "restricted"]),
    ),
    optional("language", Text),
    optional("safety_level", Text),
    optional(
        "assurance_test",
        Object(&[
            required("suite_id", Text),
            required("suite_version", Text),
            required("harness_version", Text),
            required("result", Word(&["passed", "flagged", "not-assessed"])),
            optional("assessed_at", Instant),
            optional("scenario_count", Integer(0, MAX)),
            optional("evidence_uri", Text),
            optional("evidence_digest", Hash),
            optional("assessed_by", Text),
        ]),
    ),
    required("bound_at", Instant),
];

const POLICY_BUNDLE: &[Member] = &[
    required("hash", Hash),
    required(
        "policy_language",
        Word(&["cedar", "rego", "yaml-agt", "composite"]),
    ),
    required("version", Text),
    required(
        "enforcement_mode",
        Word(&["enforce", "advisory", "audit-only"]),
    ),
    optional("scope", TEXTS),
    optional("agt_version", Text),
    required("bound_at", Instant),
];

const TOOL_MANIFEST: &[Member] = &[
    required("catalog_hash", Hash),
    required(
        "tools",
        List(&Object(&[
            required("tool_id", Text),
            required("tool_name", Text),
            required("endpoint_id", Text),
            required("schema_hash", Hash),
            required("description_hash", Hash),
            required("version", Text),
            optional("permission_scope", Text),
            optional("egress_destinations", TEXTS),
        ])),
    ),
    optional("allow_dynamic_registration", Boolean),
    required(
        "rug_pull_policy",
        Word(&["deny-and-alert", "deny-and-hold", "require-reapproval"]),
    ),
    required("bound_at", Instant),
];

const MODEL_IDENTITY: &[Member] = &[
    required("provider", Text),
    required("model_id", Text),
    required("version", Text),
    optional("capability_level", Text),
    optional("safety_alignment_version", Text),
    optional("quantization", Text),
    required(
        "deployment_type",
        Word(&["api", "local", "confidential-inference", "third-party-api"]),
    ),
    optional("model_hash", Hash),
    required(
        "model_attestation_type",
        Word(&["hash-bound", "provider-asserted"]),
    ),
    required("bound_at", Instant),
];

const RAG_CORPUS: &[Member] = &[
    required("corpus_id", Text),
    required("merkle_root", Hash),
    required("document_count", Integer(0, MAX)),
    required("ingestion_policy_hash", Hash),
    required("vector_store", Text),
    required("embedding_model", Text),
    required("last_updated", Instant),
    required(
        "poisoning_scan",
        Object(&[
            optional("scanner_version", Text),
            optional("scanned_at", Instant),
            required("result", Word(&["clean", "flagged", "not-scanned"])),
        ]),
    ),
    required("bound_at", Instant),
];

const MEMORY_BASELINE: &[Member] = &[
    required("baseline_id", Uuid7),
    optional("snapshot_hash", Hash),
    required(
        "memory_type",
        Word(&["none", "session", "persistent", "shared"]),
    ),
    required("store", Text),
    required("approved_at", Instant),
    optional("ttl_seconds", Integer(3_600, 7_776_000)),
    required(
        "drift_policy",
        Word(&["deny-on-drift", "alert-on-drift", "log-only"]),
    ),
    optional("shared_memory_owner", Text),
    optional("check_interval_seconds", Integer(1, MAX)),
    required("bound_at", Instant),
];

const DECISION_TRACE: &[Member] = &[
    required("trace_type", Word(&["hash-chained", "merkle-log"])),
    required("audit_chain_root", Hash),
    required("audit_chain_uri", Text),
    required("signing_key_id", Text),
    required("audit_key_sealed", Boolean),
    required("first_entry_at", Instant),
    required("last_entry_at", Instant),
    optional("entry_count", Integer(0, MAX)),
    required("bound_at", Instant),
];

const SBOM: Shape = Object(&[
    required("format", Word(&["cyclonedx", "spdx"])),
    required("schema_version", Text),
    required("document_id", Text),
    required("sbom_hash", Hash),
    required("sbom_uri", Text),
]);

const SUPPLY_CHAIN: &[Member] = &[
    required("container_image_digest", Hash),
    optional("base_image_digest", Hash),
    optional(
        "slsa_provenance",
        Object(&[
            required("builder_id", Text),
            required("subject_digest", Hash),
            required("provenance_uri", Text),
            optional("rekor_entry_id", Text),
            optional("declared_level", Integer(0, 4)),
        ]),
    ),
    optional("sbom", SBOM),
    optional(
        "mcp_servers",
        List(&Object(&[
            required("server_id", Text),
            required("image_digest", Hash),
            required("slsa_level", Integer(1, 4)),
            optional("phase2_attested", Boolean),
            optional("sbom", SBOM),
        ])),
    ),
    required("bound_at", Instant),
];

const HOP: Shape = Object(&[
    required("hop", Integer(0, MAX)),
    required("principal_type", Word(&["human", "system", "agent"])),
    required("principal_id", Text),
    required("delegated_at", Instant),
    required(
        "scope_grant",
        Object(&[
            optional("tools", TEXTS),
            optional("data_classifications", TEXTS),
            optional("max_delegation_depth", Integer(0, MAX)),
            optional("ttl_seconds", Integer(0, MAX)),
            optional("constraints", TEXTS),
        ]),
    ),
    required("delegation_signature", Text),
    optional("principal_manifest_id", Uuid7),
    optional("principal_attestation_hash", Hash),
]);

/// Approvals are not signed and so not part of the payload; an empty list may stand for them.
const HITL: &[Member] = &[
    required("required", Boolean),
    optional("approvals", List(&Object(&[]))),
    optional(
        "escalation_policy",
        Object(&[
            optional("trigger", Text),
            optional("escalation_target", Text),
            required("timeout_action", Word(&["deny", "suspend", "alert"])),
        ]),
    ),
    optional(
        "hitl_runtime",
        Object(&[
            optional("interrupt_endpoint", Text),
            optional(
                "override_mechanism",
                Word(&["kill-signal", "suspend-and-hold", "require-confirmation"]),
            ),
            optional("monitoring_endpoint", Text),
            optional("automation_bias_disclosure", Text),
        ]),
    ),
];

const LOG_ENTRY: Shape = Object(&[
    required("log_id", Text),
    required("log_index", Integer(0, MAX)),
    required("entry_uuid", Text),
    required("integrated_time", Integer(0, MAX)),
    required(
        "inclusion_proof",
        Object(&[
            required("checkpoint", Text),
            required("hashes", TEXTS),
            required("tree_size", Integer(1, MAX)),
        ]),
    ),
]);
