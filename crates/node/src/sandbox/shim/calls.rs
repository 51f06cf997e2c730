//! What the command may not even ask of the kernel.

use std::collections::BTreeMap;

use nix::libc::{SYS_add_key, SYS_keyctl, SYS_request_key};
use seccompiler::{BpfProgram, SeccompAction, SeccompFilter, TargetArch, apply_filter};

use super::Failure;
use crate::sandbox::error::Stage;

/// Marks the numbers of the x32 system calls of an x86-64 kernel, which are the same calls.
const X32: i64 = 0x4000_0000;

/// Refuses the system calls of key rings. No namespace stands before the session key ring: whoever
/// inherits it possesses its keys, and the launcher's session may hold keys of its user. A program
/// of another architecture is ended at its first call.
///
/// It takes no_new_privs or a capability, and holds for all that descend from this process.
pub(super) fn refuse_key_rings() -> Result<(), Failure> {
    let refused = [SYS_add_key, SYS_request_key, SYS_keyctl];
    let rules: BTreeMap<_, _> = refused
        .into_iter()
        .flat_map(|call| [call, call | X32])
        .map(|call| (call, Vec::new()))
        .collect();
    let architecture = TargetArch::try_from(std::env::consts::ARCH)
        .map_err(Stage::SystemCalls.at("architecture"))?;
    let filter = SeccompFilter::new(
        rules,
        SeccompAction::Allow,
        SeccompAction::Errno(nix::libc::EPERM.unsigned_abs()),
        architecture,
    );
    let program: BpfProgram = filter
        .and_then(TryInto::try_into)
        .map_err(Stage::SystemCalls.at("filter"))?;
    apply_filter(&program).map_err(Stage::SystemCalls.at("seccomp"))
}
