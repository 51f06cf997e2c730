//! Isolation of a launched process, without privileged help and without unsafe code.
//!
//! A [`Launcher`] starts this same program again as a single-threaded shim ([`shim_main`]), because
//! namespaces can only be left before there are threads. The shim unshares user, mount, pid, ipc,
//! uts, cgroup and, unless asked otherwise, network namespaces, and starts a second shim, which is
//! pid 1 of the new ones. That one builds a root of read-only binds, gives up every privilege, and
//! waits: [`Held`] tells its pid, so that the launch can be registered before a single instruction
//! of the command has run. [`Held::go`] starts the command.
//!
//! What the command cannot do, by more than one means each: see files that were not bound, see or
//! signal other processes, trace anybody's memory, reach the network, mount, make namespaces, use
//! the launcher's key rings, or gain privileges. What this does not do: bound its memory, processor
//! time or number of processes, and filter system calls other than those of key rings.
//!
//! INVARIANT: the command never outlives its launcher. The first shim dies with the launcher's
//! thread, pid 1 dies with the first shim, and with pid 1 the kernel ends every process of the
//! namespace.

mod error;
mod launch;
mod plan;
mod running;
mod shim;
mod spec;
mod uid;
mod wire;

pub use error::{SandboxError, Stage};
pub use launch::Launcher;
pub use running::{Exit, Held, Running};
pub use shim::shim_main;
pub use spec::{Bind, Network, Placement, SocketBind, Spec, Stdio, Work};
pub use uid::UidRange;
pub use wire::{Confinement, Isolation, Landlock};
