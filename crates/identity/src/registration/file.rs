use std::collections::BTreeSet;
use std::fmt;

use serde::{Deserialize, Serialize};
use serde_path_to_error::{Deserializer, Track};

use super::{DnsName, Hint, MAX_DNS_NAMES, MaySpawn, RegistrationTerms, SvidSeconds};
use crate::{AttestationLevel, Isolation, TrustDomain};

/// The most bytes of a file.
pub const MAX_FILE_BYTES: usize = 64 << 10;

/// The most bytes of a manifest's path.
const MAX_PATH_BYTES: usize = 1_024;

/// One agent's registration as a file: a JSON object, each member of which stands once and is known.
/// It is in the form that version control shows well:
///
/// ```json
/// {
///   "manifest": "books.manifest",
///   "federates_with": ["partner.example"],
///   "may_spawn": {"agents": ["spiffe://example.org/agent/worker"], "at_once": 20, "outlive": false},
///   "dns_names": ["books.agents.example.com"],
///   "hint": "internal",
///   "x509_svid_seconds": 300,
///   "jwt_svid_seconds": 60,
///   "isolation": "isolated",
///   "attestation_level": "software-only/launch"
/// }
/// ```
///
/// `manifest` alone must be there: a relative path that does not leave the file's folder.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct RegistrationFile {
    manifest: String,
    /// The foreign trust domains whose bundles its instances are handed.
    pub federates_with: BTreeSet<TrustDomain>,
    /// What its instances may start; nothing where it is absent.
    pub may_spawn: Option<MaySpawn>,
    /// What its instances are issued, and what is required of them.
    pub terms: RegistrationTerms,
}

/// Why bytes are no registration: where, which member, what, and what helps.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct RegistrationFileError {
    /// The line, from one on.
    pub line: usize,
    /// The column, from one on; 0 where the whole line is meant.
    pub column: usize,
    /// The member, where it is one.
    pub field: Option<String>,
    /// What is wrong.
    pub problem: String,
    /// What helps.
    pub remedy: &'static str,
}

#[derive(Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct Document {
    manifest: String,
    #[serde(default, skip_serializing_if = "BTreeSet::is_empty")]
    federates_with: BTreeSet<TrustDomain>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    may_spawn: Option<MaySpawn>,
    #[serde(default, skip_serializing_if = "BTreeSet::is_empty")]
    dns_names: BTreeSet<DnsName>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    hint: Option<Hint>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    x509_svid_seconds: Option<SvidSeconds>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    jwt_svid_seconds: Option<SvidSeconds>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    isolation: Option<Isolation>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    attestation_level: Option<AttestationLevel>,
}

const SEE: &str = "docs/how-to/keep-registrations-in-git.md lists the members and their values";

impl RegistrationFile {
    /// A registration of that manifest.
    pub fn new(
        manifest: &str,
        federates_with: BTreeSet<TrustDomain>,
        may_spawn: Option<MaySpawn>,
        terms: RegistrationTerms,
    ) -> Result<Self, RegistrationFileError> {
        check_path(manifest)?;
        Ok(Self {
            manifest: manifest.to_owned(),
            federates_with,
            may_spawn,
            terms,
        })
    }

    /// Reads a file.
    pub fn parse(bytes: &[u8]) -> Result<Self, RegistrationFileError> {
        if bytes.len() > MAX_FILE_BYTES {
            return Err(whole(
                format!("a registration has {MAX_FILE_BYTES} bytes at most"),
                SEE,
            ));
        }
        let document = read(bytes)?;
        if document.dns_names.len() > MAX_DNS_NAMES {
            return Err(RegistrationFileError {
                field: Some("dns_names".to_owned()),
                ..whole(
                    format!("an agent has {MAX_DNS_NAMES} dns names at most"),
                    "take out those that nobody asks for",
                )
            });
        }
        let terms = RegistrationTerms {
            dns_names: document.dns_names,
            hint: document.hint,
            x509_svid_seconds: document.x509_svid_seconds,
            jwt_svid_seconds: document.jwt_svid_seconds,
            isolation: document.isolation,
            attestation_level: document.attestation_level,
        };
        let (manifest, federates_with) = (&document.manifest, document.federates_with);
        Self::new(manifest, federates_with, document.may_spawn, terms)
    }

    /// The signed manifest's file, relative to the folder of this one.
    pub fn manifest(&self) -> &str {
        &self.manifest
    }

    /// The file's text, which is read as the same registration.
    pub fn to_text(&self) -> Result<String, serde_json::Error> {
        let terms = self.terms.clone();
        let document = Document {
            manifest: self.manifest.clone(),
            federates_with: self.federates_with.clone(),
            may_spawn: self.may_spawn.clone(),
            dns_names: terms.dns_names,
            hint: terms.hint,
            x509_svid_seconds: terms.x509_svid_seconds,
            jwt_svid_seconds: terms.jwt_svid_seconds,
            isolation: terms.isolation,
            attestation_level: terms.attestation_level,
        };
        Ok(serde_json::to_string_pretty(&document)? + "\n")
    }
}

fn read(bytes: &[u8]) -> Result<Document, RegistrationFileError> {
    // A derived reader takes an array of the members as well.
    if bytes.trim_ascii_start().first() == Some(&b'[') {
        return Err(whole("a registration is an object".to_owned(), SEE));
    }
    let mut json = serde_json::Deserializer::from_slice(bytes);
    let mut track = Track::new();
    let read = Document::deserialize(Deserializer::new(&mut json, &mut track));
    let field = track.path().to_string();
    let read = read.and_then(|document| json.end().map(|()| document));
    read.map_err(|error| {
        let line = line_of(bytes, &error, field != ".");
        RegistrationFileError {
            line,
            column: if line == error.line() {
                error.column()
            } else {
                0
            },
            field: (field != ".").then_some(field),
            problem: plain(&error.to_string()),
            remedy: SEE,
        }
    })
}

/// The line of an error. One of the last member is found behind the line that closes the object.
fn line_of(bytes: &[u8], error: &serde_json::Error, is_of_member: bool) -> usize {
    let lines: Vec<&[u8]> = bytes.split(|byte| *byte == b'\n').collect();
    let closes = |line: usize| {
        let text = line.checked_sub(1).and_then(|place| lines.get(place));
        text.is_some_and(|text| text.iter().all(|byte| b" \t\r]}".contains(byte)))
    };
    let mut line = error.line().max(1);
    while error.is_data() && is_of_member && line > 1 && closes(line) {
        line -= 1;
    }
    line
}

/// The message without its place, which is told apart.
fn plain(message: &str) -> String {
    let place = message.rfind(" at line ");
    let said = place.and_then(|place| message.get(..place));
    said.unwrap_or(message).to_owned()
}

fn whole(problem: String, remedy: &'static str) -> RegistrationFileError {
    RegistrationFileError {
        line: 1,
        column: 0,
        field: None,
        problem,
        remedy,
    }
}

/// Refuses a path that could name anything outside of the file's folder.
fn check_path(path: &str) -> Result<(), RegistrationFileError> {
    let is_part = |part: &str| !matches!(part, "" | "." | "..");
    let is_plain = |byte: char| byte != '\\' && !byte.is_control();
    let fits = !path.is_empty() && path.len() <= MAX_PATH_BYTES;
    if fits && path.chars().all(is_plain) && path.split('/').all(is_part) {
        return Ok(());
    }
    Err(RegistrationFileError {
        field: Some("manifest".to_owned()),
        ..whole(
            "the manifest's path is not a relative one below the file's folder".to_owned(),
            "put the signed manifest beside the file, and name it without `..` or a leading `/`",
        )
    })
}

impl fmt::Display for RegistrationFileError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}:", self.line)?;
        if self.column > 0 {
            write!(f, "{}:", self.column)?;
        }
        if let Some(field) = &self.field {
            write!(f, " {field}:")?;
        }
        write!(f, " {}", self.problem)
    }
}

impl std::error::Error for RegistrationFileError {}

#[cfg(test)]
mod tests {
    use super::*;

    const WHOLE: &str = r#"{
  "manifest": "manifests/books.manifest",
  "federates_with": [
    "partner.example"
  ],
  "dns_names": [
    "a.example.com",
    "b.example.com"
  ],
  "hint": "internal",
  "x509_svid_seconds": 300,
  "jwt_svid_seconds": 60,
  "isolation": "isolated",
  "attestation_level": "software-only/launch"
}
"#;

    fn refused(text: &str) -> RegistrationFileError {
        RegistrationFile::parse(text.as_bytes()).unwrap_err()
    }

    #[test]
    fn a_file_is_read_and_written_again_as_it_was() {
        let file = RegistrationFile::parse(WHOLE.as_bytes()).unwrap();
        assert_eq!(file.manifest(), "manifests/books.manifest");
        assert_eq!(file.terms.dns_names.len(), 2);
        assert_eq!(file.to_text().unwrap(), WHOLE);
        let least = RegistrationFile::parse(br#"{"manifest":"m"}"#).unwrap();
        assert!(least.terms.is_empty() && least.federates_with.is_empty());
        assert_eq!(least.to_text().unwrap(), "{\n  \"manifest\": \"m\"\n}\n");
    }

    #[test]
    fn what_may_be_started_is_a_set_that_is_written_in_one_order() {
        let text = |agents: &str| {
            format!(
                r#"{{"manifest":"m","may_spawn":{{"agents":[{agents}],"at_once":3,"outlive":true}}}}"#
            )
        };
        let read = |agents| RegistrationFile::parse(text(agents).as_bytes()).unwrap();
        let one = read(r#""spiffe://td/agent/b","spiffe://td/agent/a","spiffe://td/agent/b""#);
        let other = read(r#""spiffe://td/agent/a","spiffe://td/agent/b""#);
        assert_eq!(one, other);
        let written = one.to_text().unwrap();
        assert_eq!(written, other.to_text().unwrap());
        assert_eq!(RegistrationFile::parse(written.as_bytes()).unwrap(), one);
        for (bad, field) in [
            (
                r#"{"manifest":"m","may_spawn":{"agents":["worker"],"at_once":3}}"#,
                "may_spawn.agents[0]",
            ),
            (r#"{"manifest":"m","may_spawn":{"agents":[]}}"#, "may_spawn"),
            (
                r#"{"manifest":"m","may_spawn":{"agents":[],"at_once":-1}}"#,
                "may_spawn.at_once",
            ),
            (
                r#"{"manifest":"m","may_spawn":{"agents":[],"at_once":1,"outlives":true}}"#,
                "may_spawn.outlives",
            ),
        ] {
            assert_eq!(refused(bad).field.as_deref(), Some(field), "{bad}");
        }
    }

    #[test]
    fn an_error_names_line_member_and_what_is_wrong() {
        for (from, to, line, field, words) in [
            ("\"hint\"", "\"hnt\"", 10, "hnt", "unknown field"),
            ("\"internal\"", "\"\"", 10, "hint", "1 to 1024 bytes"),
            ("\"internal\"", "7", 10, "hint", "expected a string"),
            (
                "\"b.example.com\"",
                "\"*.example.com\"",
                8,
                "dns_names[1]",
                "wildcard",
            ),
            ("300", "3601", 11, "x509_svid_seconds", "3600 seconds"),
            ("60,", "\"60\",", 12, "jwt_svid_seconds", "invalid type"),
            (
                "\"isolated\"",
                "\"locked\"",
                13,
                "isolation",
                "unknown variant",
            ),
            (
                "software-only/launch",
                "launch",
                14,
                "attestation_level",
                "expected one of",
            ),
            (
                "\"partner.example\"",
                "\"Partner\"",
                5,
                "federates_with[0]",
                "trust domain",
            ),
        ] {
            let error = refused(&WHOLE.replacen(from, to, 1));
            assert_eq!(error.line, line, "{error}");
            assert_eq!(error.field.as_deref(), Some(field), "{error}");
            assert!(error.problem.contains(words), "{error}");
            assert!(!error.problem.contains("at line"), "{error}");
        }
        for (text, words) in [
            ("", "EOF"),
            ("{}", "missing field `manifest`"),
            ("[]", "is an object"),
            (" [\"m\"]", "is an object"),
            ("null", "invalid type"),
            (r#"{"manifest":"m"} x"#, "trailing"),
            (r#"{"manifest":"m","manifest":"n"}"#, "duplicate field"),
            (
                r#"{"manifest":"m","hint":"a","hint":"a"}"#,
                "duplicate field",
            ),
            ("{\"manifest\":\"\u{1}\"}", "control"),
        ] {
            let error = refused(text);
            assert!(error.problem.contains(words), "{text}: {error}");
            assert_eq!(error.line, 1, "{text}");
        }
        assert!(RegistrationFile::parse(b"{\"manifest\":\"\xff\"}").is_err());
        let long = " ".repeat(MAX_FILE_BYTES + 1);
        assert!(refused(&long).problem.contains("bytes at most"));
    }

    #[test]
    fn a_manifest_is_below_the_files_folder() {
        let long = "m".repeat(MAX_PATH_BYTES + 1);
        for bad in [
            "",
            "/etc/passwd",
            "..",
            "../m",
            "a/../../m",
            "a/..",
            "./m",
            "a//m",
            "m/",
            "a\\m",
            "C:\\m",
            "a\u{0}m",
            "a\nm",
            &long,
        ] {
            let text = serde_json::json!({ "manifest": bad }).to_string();
            let error = refused(&text);
            assert_eq!(error.field.as_deref(), Some("manifest"), "{bad:?}");
            assert!(error.problem.contains("relative"), "{bad:?}: {error}");
        }
        for good in ["m", "a/b.manifest", "..m", "a/...", "é"] {
            let text = serde_json::json!({ "manifest": good }).to_string();
            assert_eq!(
                RegistrationFile::parse(text.as_bytes()).unwrap().manifest(),
                good
            );
        }
    }
}
