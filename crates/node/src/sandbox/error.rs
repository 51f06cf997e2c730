use std::path::PathBuf;

use serde::{Deserialize, Serialize};

/// Why a command was not started.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum SandboxError {
    /// The specification cannot be carried out.
    #[error("{field}: {problem}")]
    Spec {
        /// The field of the specification.
        field: &'static str,
        /// What is wrong.
        problem: SpecProblem,
    },
    /// A path cannot be shown at a place that the sandbox itself fills.
    #[error(
        "{field}: {}: the sandbox has its own /, /tmp, /work, and all below /proc, /dev and \
         /run/chancery; name a file or folder elsewhere",
        path.display()
    )]
    Reserved {
        /// The field of the specification.
        field: &'static str,
        /// The place inside.
        path: PathBuf,
    },
    /// A path of the host cannot be used.
    #[error("{field}: {}: {source}", path.display())]
    Path {
        /// The field of the specification.
        field: &'static str,
        /// The path.
        path: PathBuf,
        /// What the system said.
        source: std::io::Error,
    },
    /// Every user of the range is taken.
    #[error("no free user in {first}..{last}; end a running launch or widen the range")]
    NoUid {
        /// The first user.
        first: u32,
        /// The last user.
        last: u32,
    },
    /// The shim could not be started or spoken with.
    #[error("the sandbox shim: {0}")]
    Shim(#[source] std::io::Error),
    /// The shim ended without a word.
    #[error("the sandbox shim ended early; is {0} a hidden subcommand of this program?")]
    Silent(&'static str),
    /// This system does not let us make namespaces.
    #[error(
        "cannot isolate: {stage}: {problem}; allow user namespaces (sysctl \
         user.max_user_namespaces above 0, kernel.unprivileged_userns_clone=1, \
         kernel.apparmor_restrict_unprivileged_userns=0; in a container also an unmasked /proc), \
         or allow running unisolated"
    )]
    Unavailable {
        /// What was tried.
        stage: Stage,
        /// What the system said.
        problem: String,
    },
    /// A step of building the sandbox failed.
    #[error("cannot isolate: {stage}: {problem}")]
    Failed {
        /// What was tried.
        stage: Stage,
        /// What the system said.
        problem: String,
    },
    /// The command could not be executed.
    #[error("cannot start the command: {0}")]
    Command(String),
}

/// Why a field of the specification is refused.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum SpecProblem {
    /// There is no command.
    #[error("names no command")]
    Empty,
    /// Not a place inside.
    #[error("not an absolute path without . and ..")]
    NotInside,
    /// Not one path component.
    #[error("not a file name")]
    NotName,
    /// Not a socket.
    #[error("not a Unix socket")]
    NotSocket,
    /// Not a folder.
    #[error("not a folder")]
    NotFolder,
    /// A name or value with a zero byte, or a name with an equals sign.
    #[error("not an environment")]
    NotEnvironment,
    /// The range holds root, or the user that stands for nobody, or nothing.
    #[error("not a range of users from 1000 on, without 65534 and 65535")]
    NotUids,
    /// The range is not wholly mapped in the user namespace of the launcher.
    #[error("not a range that this user namespace maps; name one of /proc/self/uid_map")]
    NotMapped,
    /// The specification is larger than the shim reads.
    #[error("too large together with the other fields")]
    TooLarge,
}

/// A step of building the sandbox.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, thiserror::Error)]
#[serde(rename_all = "kebab-case")]
pub enum Stage {
    /// The shim found itself with threads or without its channel.
    #[error("starting the shim")]
    Start,
    /// Leaving the host's namespaces.
    #[error("making namespaces")]
    Namespaces,
    /// Mapping the user into its namespace.
    #[error("mapping the user")]
    Identity,
    /// Building the root.
    #[error("building the root")]
    Root,
    /// Mounting an own `/proc`.
    #[error("mounting /proc")]
    Proc,
    /// Forbidding further namespaces.
    #[error("forbidding further namespaces")]
    Limits,
    /// Giving up capabilities.
    #[error("dropping capabilities")]
    Capabilities,
    /// Refusing system calls.
    #[error("refusing system calls")]
    SystemCalls,
    /// Applying Landlock.
    #[error("applying Landlock")]
    Landlock,
    /// Executing the command.
    #[error("executing the command")]
    Command,
}

impl Stage {
    /// Whether a failure here means that the system forbids what a sandbox needs.
    pub(super) fn is_ability(self) -> bool {
        matches!(
            self,
            Stage::Namespaces | Stage::Identity | Stage::Proc | Stage::Limits
        )
    }
}
