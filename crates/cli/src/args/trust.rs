use std::path::PathBuf;

use chancery_types::Digest;
use chancery_types::id::PersonId;
use clap::{Args, Subcommand};

use super::{DataArgs, DepartArgs, InviteArgs};

#[derive(Debug, Args)]
pub(crate) struct TrustArgs {
    #[command(flatten)]
    pub(crate) data: DataArgs,
    #[command(subcommand)]
    pub(crate) command: TrustCommand,
}

#[derive(Debug, Subcommand)]
pub(crate) enum TrustCommand {
    /// Shows the trust document in force.
    Show,
    /// Copies the trust document into a file, for verifiers.
    Export {
        /// The file to write.
        file: PathBuf,
    },
    /// Enrols a person: principal and approver.
    Enrol(EnrolArgs),
    /// Prints a fresh one-time code, waits for somebody who makes a passkey at the console with it, and puts
    /// it into the trust document, signed with the root keys of the data folder.
    Invite(InviteArgs),
    /// Writes the keys of the logs as a policy file, for the witnesses that cosign them.
    Logs,
    /// Names the witnesses that cosign the logs, or that nobody does. Heeded from the next start on.
    Witness(TrustWitnessArgs),
    /// Changes what the document names. Signed with the root keys of the data folder and put in force, or
    /// written into a file for the holders of root keys to sign.
    Change(TrustChangeArgs),
    /// Makes a root key in a file of mode 0600, and says its public half, for `change --add-root`.
    Key {
        /// The file to make.
        file: PathBuf,
    },
    /// Adds the signature of a root key to a document in a file, and says what the document changes.
    Sign {
        /// The file that `change --out` wrote.
        file: PathBuf,
        /// The root key, in a file of mode 0600.
        #[arg(long, value_name = "FILE")]
        key: PathBuf,
        /// The document in force, to compare with.
        #[arg(long, value_name = "FILE")]
        since: Option<PathBuf>,
    },
    /// Puts a document in force that enough root keys have signed.
    Install {
        /// The file.
        file: PathBuf,
    },
    /// Lists everything that rests on a person who leaves, and ends all of it at once.
    Depart(DepartArgs),
}

#[derive(Debug, Args)]
pub(crate) struct TrustWitnessArgs {
    /// The policy file: `witness` lines with addresses, `group` lines and a `quorum`.
    #[arg(required_unless_present = "none", conflicts_with = "none")]
    pub(crate) policy: Option<PathBuf>,
    /// Checkpoints that too few cosigned are withheld, not published as unwitnessed.
    #[arg(long, conflicts_with = "none")]
    pub(crate) withhold: bool,
    /// Nobody is asked any more.
    #[arg(long)]
    pub(crate) none: bool,
}

#[derive(Debug, Args)]
pub(crate) struct EnrolArgs {
    /// The one-time code that `up` printed.
    #[arg(long)]
    pub(crate) code: String,
    /// The file for the person's software authenticator, made with mode 0600.
    #[arg(long, value_name = "FILE")]
    pub(crate) authenticator: PathBuf,
    /// The authenticator stands in for a person in a demonstration; every output says so.
    #[arg(long)]
    pub(crate) stand_in: bool,
}

#[derive(Debug, Args)]
pub(crate) struct TrustChangeArgs {
    /// A certificate, in PEM, that becomes a root of X.509-SVIDs. May be repeated.
    #[arg(long, value_name = "FILE")]
    pub(crate) add_x509: Vec<PathBuf>,
    /// A prepared authority: jwt or wit, or its id. May be repeated.
    #[arg(long, value_name = "KIND_OR_ID")]
    pub(crate) add_authority: Vec<String>,
    /// An authority that is believed no more: the id of one of jwt or wit, the digest of a root of
    /// x509. May be repeated.
    #[arg(long, value_name = "ID")]
    pub(crate) remove_authority: Vec<Digest>,
    /// The public half of a root key, as `trust key` wrote it. May be repeated.
    #[arg(long, value_name = "FILE")]
    pub(crate) add_root: Vec<PathBuf>,
    /// A root key that signs no more, by its key id. May be repeated.
    #[arg(long, value_name = "KID")]
    pub(crate) remove_root: Vec<String>,
    /// How many root keys must sign.
    #[arg(long, value_name = "COUNT")]
    pub(crate) threshold: Option<u32>,
    /// A policy signer, whose key it is and its public half, as `trust key` wrote it. May be repeated.
    #[arg(long, value_name = "PERSON=FILE")]
    pub(crate) add_policy_signer: Vec<PolicySignerFile>,
    /// Whose the key of a policy signer is that the document names already, by its key id. May be
    /// repeated.
    #[arg(long, value_name = "PERSON=KID")]
    pub(crate) policy_signer_of: Vec<PolicySignerKey>,
    /// A policy signer that signs no more, by its key id. May be repeated.
    #[arg(long, value_name = "KID")]
    pub(crate) remove_policy_signer: Vec<String>,
    /// How many distinct people must have signed a policy bundle, from now on.
    #[arg(long, value_name = "COUNT", value_parser = clap::value_parser!(u32).range(1..))]
    pub(crate) policy_quorum: Option<u32>,
    /// Writes the document into a file, for others to sign; nothing is put in force.
    #[arg(long, value_name = "FILE")]
    pub(crate) out: Option<PathBuf>,
    /// Also where what is taken out signs or is about to.
    #[arg(long)]
    pub(crate) force: bool,
}

/// A person, and the file with the public half of their key.
#[derive(Debug, Clone)]
pub(crate) struct PolicySignerFile {
    pub(crate) person: PersonId,
    pub(crate) file: PathBuf,
}

/// A person, and the id of their key.
#[derive(Debug, Clone)]
pub(crate) struct PolicySignerKey {
    pub(crate) person: PersonId,
    pub(crate) kid: String,
}

/// What stands before and behind the first equals sign.
fn pair(text: &str) -> Result<(PersonId, &str), String> {
    let (person, rest) = text
        .split_once('=')
        .ok_or("write PERSON=VALUE, with a person's id as `trust show` has it")?;
    let person = person
        .parse()
        .map_err(|error| format!("{person:?} is no person's id: {error}"))?;
    match rest.is_empty() {
        true => Err("nothing stands behind the equals sign".to_owned()),
        false => Ok((person, rest)),
    }
}

impl std::str::FromStr for PolicySignerFile {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        pair(text).map(|(person, file)| Self {
            person,
            file: file.into(),
        })
    }
}

impl std::str::FromStr for PolicySignerKey {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        pair(text).map(|(person, kid)| Self {
            person,
            kid: kid.to_owned(),
        })
    }
}
