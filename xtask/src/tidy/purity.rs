//! Keeps clocks, randomness, sockets, files and async runtimes out of the pure crates.

use super::floors::Package;

/// The crates that a relying party needs, and nothing of which may reach the outside.
const PURE: &[&str] = &[
    "types",
    "identity",
    "policy",
    "tlog",
    "audit",
    "attestation",
    "delegation",
    "session",
    "evidence",
];

/// What the pure crates may stand on. A list of what is allowed: an I/O crate that nobody has
/// heard of yet is refused as well.
const ALLOWED: &[&str] = &[
    "askama",
    "base64",
    "cedar-policy",
    "ciborium",
    "coset",
    "miette",
    "rustls-pki-types",
    "rustls-webpki",
    "serde",
    "serde_json",
    "serde_json_canonicalizer",
    "serde_path_to_error",
    "sfv",
    "sha2",
    "subtle",
    "thiserror",
    "tpm2-protocol",
    "x509-parser",
    "zeroize",
];

/// Findings about the dependencies and the lint configuration of the pure crates.
pub(crate) fn check(packages: &[Package]) -> anyhow::Result<Vec<String>> {
    let mut findings = Vec::new();
    for package in packages {
        let Some(name) = package.name.strip_prefix("chancery-") else {
            continue;
        };
        let manifest = super::read(&package.folder.join("Cargo.toml"))?;
        if !manifest.contains("[lints]\nworkspace = true") {
            findings.push(format!(
                "crates/{name}/Cargo.toml: [lints] workspace = true is missing"
            ));
        }
        if !PURE.contains(&name) {
            continue;
        }
        for dependency in &package.dependencies {
            let pure = dependency
                .strip_prefix("chancery-")
                .is_some_and(|d| PURE.contains(&d));
            if !pure && !ALLOWED.contains(&dependency.as_str()) {
                findings.push(format!(
                    "crates/{name}/Cargo.toml: {dependency} is not for a pure crate; pass what it does as an argument"
                ));
            }
        }
        let lints = package.folder.join("clippy.toml");
        if !super::read(&lints)?.contains("std::time::SystemTime::now") {
            findings.push(format!(
                "crates/{name}/clippy.toml: disallowed-methods are missing"
            ));
        }
    }
    Ok(findings)
}
