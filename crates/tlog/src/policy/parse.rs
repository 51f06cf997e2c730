use std::collections::{BTreeMap, BTreeSet};

use super::{LogPolicy, MAX_POLICY_BYTES, MAX_POLICY_MEMBERS, Node, PolicyLog, PolicyWitness};
use crate::text::decimal;
use crate::{SignatureKind, VerifierKey, VerifierKeyError};

/// The name that says that no witness is asked for.
const NONE: &[u8] = b"none";

/// Why octets are not a policy: the line, counted from 1, and what is wrong with it. Line 0 is the
/// file as a whole.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("line {line} of the log policy")]
pub struct PolicyError {
    /// The line.
    pub line: usize,
    /// What is wrong with it.
    pub source: PolicyProblem,
}

/// What is wrong with a line of a policy, or with the whole.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum PolicyProblem {
    /// More than [`MAX_POLICY_BYTES`].
    #[error("the policy is longer than {MAX_POLICY_BYTES} bytes")]
    TooLong,
    /// The last line does not end in a newline.
    #[error("the last line does not end in a newline")]
    NoFinalNewline,
    /// A control character other than tab and newline.
    #[error("a control character; only tab and newline are allowed")]
    Control,
    /// The first word is not `log`, `witness`, `group` or `quorum`.
    #[error("expected a line that begins with log, witness, group or quorum")]
    Keyword,
    /// More or fewer words than the line takes.
    #[error("expected `{0}`")]
    Words(&'static str),
    /// The verifier key.
    #[error("not a verifier key")]
    Key(#[source] VerifierKeyError),
    /// A key of a type that this line does not take.
    #[error("a key of type {found} in a {line} line; it takes {takes}")]
    KeyType {
        /// The keyword of the line.
        line: &'static str,
        /// The type of the key.
        found: SignatureKind,
        /// The types that it takes.
        takes: &'static str,
    },
    /// The same public key in another line, whatever it is called there.
    #[error("the same public key as in line {0}")]
    DuplicateKey(usize),
    /// More than [`MAX_POLICY_MEMBERS`] lines of one kind.
    #[error("more than {MAX_POLICY_MEMBERS} {0} lines")]
    TooMany(&'static str),
    /// A name that was given to a witness or a group before.
    #[error("the name is that of line {0}; witnesses and groups share their names")]
    DuplicateName(usize),
    /// The name `none` is nobody's.
    #[error("`none` is no name of a witness, a group or a member")]
    ReservedName,
    /// A member or quorum that no line before defines.
    #[error("names a witness or group that no line before defines")]
    UnknownName,
    /// A name that is a member of a group already.
    #[error("a name that is a member of a group already; each counts in one way only")]
    MemberTwice,
    /// Not `all`, `any` or a decimal from 1 to the number of members.
    #[error("expected all, any or a number from 1 to the number of members")]
    Threshold,
    /// A second quorum line.
    #[error("a second quorum line; the first is line {0}")]
    SecondQuorum(usize),
    /// No quorum line.
    #[error("no quorum line; write `quorum none` where no witness is asked for")]
    NoQuorum,
}

#[derive(Default)]
struct Parser<'a> {
    logs: Vec<PolicyLog>,
    witnesses: Vec<PolicyWitness>,
    nodes: Vec<Node>,
    groups: usize,
    /// The line and the node of each name.
    names: BTreeMap<&'a [u8], (usize, usize)>,
    members: BTreeSet<usize>,
    /// The line of each public key: of logs and of witnesses.
    log_keys: BTreeMap<Vec<u8>, usize>,
    witness_keys: BTreeMap<Vec<u8>, usize>,
    /// The line of the quorum and its node.
    quorum: Option<(usize, Option<usize>)>,
}

impl LogPolicy {
    /// Reads a policy strictly. Besides what C2SP tlog-policy refuses, a key that is a log's and a
    /// witness's at once is refused: a log that cosigns itself is witnessed by nobody.
    pub fn parse(bytes: &[u8]) -> Result<Self, PolicyError> {
        let at = |line| move |source| PolicyError { line, source };
        if bytes.len() > MAX_POLICY_BYTES {
            return Err(at(0)(PolicyProblem::TooLong));
        }
        let lines = match bytes.strip_suffix(b"\n") {
            Some(lines) => lines,
            None if bytes.is_empty() => return Err(at(0)(PolicyProblem::NoQuorum)),
            None => return Err(at(0)(PolicyProblem::NoFinalNewline)),
        };
        let mut parser = Parser::default();
        for (number, line) in (1..).zip(lines.split(|byte| *byte == b'\n')) {
            parser.line(number, line).map_err(at(number))?;
        }
        let (_, quorum) = parser
            .quorum
            .ok_or_else(|| at(0)(PolicyProblem::NoQuorum))?;
        Ok(Self {
            logs: parser.logs,
            witnesses: parser.witnesses,
            nodes: parser.nodes,
            quorum,
        })
    }
}

impl<'a> Parser<'a> {
    fn line(&mut self, number: usize, line: &'a [u8]) -> Result<(), PolicyProblem> {
        if line
            .iter()
            .any(|byte| matches!(byte, 0..0x20 | 0x7f) && *byte != b'\t')
        {
            return Err(PolicyProblem::Control);
        }
        let words: Vec<&[u8]> = line
            .split(|byte| matches!(byte, b' ' | b'\t'))
            .filter(|word| !word.is_empty())
            .collect();
        match words.as_slice() {
            [] => Ok(()),
            [first, ..] if first.starts_with(b"#") => Ok(()),
            [b"log", words @ ..] => self.log(number, words),
            [b"witness", words @ ..] => self.witness(number, words),
            [b"group", words @ ..] => self.group(number, words),
            [b"quorum", words @ ..] => self.quorum(number, words),
            _ => Err(PolicyProblem::Keyword),
        }
    }

    fn log(&mut self, number: usize, words: &[&'a [u8]]) -> Result<(), PolicyProblem> {
        let (key, url) = match *words {
            [key] => (key, None),
            [key, url] => (key, Some(url.to_vec())),
            _ => return Err(PolicyProblem::Words("log <vkey> [<url>]")),
        };
        let key = verifier_key(key)?;
        if key.kind() == SignatureKind::Cosignature {
            return Err(PolicyProblem::KeyType {
                line: "log",
                found: key.kind(),
                takes: "Ed25519 (0x01) and ML-DSA-44 (0x06)",
            });
        }
        fresh(&self.witness_keys, &key)?;
        if self.logs.len() == MAX_POLICY_MEMBERS {
            return Err(PolicyProblem::TooMany("log"));
        }
        take(&mut self.log_keys, &key, number)?;
        self.logs.push(PolicyLog { key, url });
        Ok(())
    }

    fn witness(&mut self, number: usize, words: &[&'a [u8]]) -> Result<(), PolicyProblem> {
        let (name, key, url) = match *words {
            [name, key] => (name, key, None),
            [name, key, url] => (name, key, Some(url.to_vec())),
            _ => return Err(PolicyProblem::Words("witness <name> <vkey> [<url>]")),
        };
        let key = verifier_key(key)?;
        if key.kind() == SignatureKind::Ed25519 {
            return Err(PolicyProblem::KeyType {
                line: "witness",
                found: key.kind(),
                takes: "Ed25519 cosignatures (0x04) and ML-DSA-44 (0x06)",
            });
        }
        fresh(&self.log_keys, &key)?;
        if self.witnesses.len() == MAX_POLICY_MEMBERS {
            return Err(PolicyProblem::TooMany("witness"));
        }
        take(&mut self.witness_keys, &key, number)?;
        self.name(number, name)?;
        self.nodes.push(Node::Witness(self.witnesses.len()));
        self.witnesses.push(PolicyWitness {
            name: name.to_vec(),
            key,
            url,
        });
        Ok(())
    }

    fn group(&mut self, number: usize, words: &[&'a [u8]]) -> Result<(), PolicyProblem> {
        let [name, threshold, members @ ..] = words else {
            return Err(PolicyProblem::Words("group <name> all|any|<k> <name>..."));
        };
        if members.is_empty() {
            return Err(PolicyProblem::Words("group <name> all|any|<k> <name>..."));
        }
        if self.groups == MAX_POLICY_MEMBERS {
            return Err(PolicyProblem::TooMany("group"));
        }
        let least = match *threshold {
            b"all" => members.len(),
            b"any" => 1,
            number => str::from_utf8(number)
                .ok()
                .and_then(decimal)
                .and_then(|number| usize::try_from(number).ok())
                .filter(|number| (1..=members.len()).contains(number))
                .ok_or(PolicyProblem::Threshold)?,
        };
        let mut nodes = Vec::with_capacity(members.len());
        for member in members {
            if *member == NONE {
                return Err(PolicyProblem::ReservedName);
            }
            let (_, node) = *self.names.get(member).ok_or(PolicyProblem::UnknownName)?;
            if !self.members.insert(node) {
                return Err(PolicyProblem::MemberTwice);
            }
            nodes.push(node);
        }
        self.name(number, name)?;
        self.groups += 1;
        self.nodes.push(Node::Group {
            least,
            members: nodes,
        });
        Ok(())
    }

    fn quorum(&mut self, number: usize, words: &[&'a [u8]]) -> Result<(), PolicyProblem> {
        let [name] = words else {
            return Err(PolicyProblem::Words("quorum <name>|none"));
        };
        if let Some((line, _)) = self.quorum {
            return Err(PolicyProblem::SecondQuorum(line));
        }
        let node = match self.names.get(name) {
            _ if *name == NONE => None,
            Some((_, node)) => Some(*node),
            None => return Err(PolicyProblem::UnknownName),
        };
        self.quorum = Some((number, node));
        Ok(())
    }

    /// Gives the next node its name.
    fn name(&mut self, number: usize, name: &'a [u8]) -> Result<(), PolicyProblem> {
        if name == NONE {
            return Err(PolicyProblem::ReservedName);
        }
        if let Some((line, _)) = self.names.get(name) {
            return Err(PolicyProblem::DuplicateName(*line));
        }
        self.names.insert(name, (number, self.nodes.len()));
        Ok(())
    }
}

fn verifier_key(word: &[u8]) -> Result<VerifierKey, PolicyProblem> {
    let word = str::from_utf8(word).map_err(|_| PolicyProblem::Key(VerifierKeyError::Shape))?;
    word.parse().map_err(PolicyProblem::Key)
}

fn fresh(known: &BTreeMap<Vec<u8>, usize>, key: &VerifierKey) -> Result<(), PolicyProblem> {
    match known.get(&key.key().public_bytes()) {
        Some(line) => Err(PolicyProblem::DuplicateKey(*line)),
        None => Ok(()),
    }
}

fn take(
    known: &mut BTreeMap<Vec<u8>, usize>,
    key: &VerifierKey,
    number: usize,
) -> Result<(), PolicyProblem> {
    fresh(known, key)?;
    known.insert(key.key().public_bytes(), number);
    Ok(())
}
