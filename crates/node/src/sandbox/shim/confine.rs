//! What the command's ancestors give up for it, for good.

use landlock::{
    ABI, Access as _, AccessFs, AccessNet, BitFlags, LandlockStatus, PathBeneath, PathFd, Ruleset,
    RulesetAttr as _, RulesetCreated, RulesetCreatedAttr as _, RulesetError, RulesetStatus, Scope,
};
use nix::sys::prctl::set_no_new_privs;
use rustix::io::Errno;
use rustix::thread::{
    CapabilitySet, CapabilitySets, capabilities, capability_is_in_bounding_set,
    clear_ambient_capability_set, configure_capability_in_ambient_set,
    remove_capability_from_bounding_set, set_capabilities,
};

use super::Failure;
use crate::sandbox::error::Stage;
use crate::sandbox::plan::{Access, Entry, Plan};
use crate::sandbox::spec::{Network, Placement, SocketBind};
use crate::sandbox::wire::Landlock;

/// The newest version whose rules we know.
const NEWEST: ABI = ABI::V9;

/// Empties every capability set and forbids gaining any by executing a file.
pub(super) fn drop_capabilities() -> Result<(), Failure> {
    set_no_new_privs().map_err(Stage::Capabilities.at("no_new_privs"))?;
    for bit in 0..64 {
        let capability = CapabilitySet::from_bits_retain(1 << bit);
        match capability_is_in_bounding_set(capability) {
            Ok(true) => remove_capability_from_bounding_set(capability)
                .map_err(Stage::Capabilities.at("bounding set"))?,
            Ok(false) => {}
            Err(Errno::INVAL) => break,
            Err(error) => return Err(Stage::Capabilities.at("bounding set")(error)),
        }
    }
    clear_ambient_capability_set().map_err(Stage::Capabilities.at("ambient set"))?;
    let none = CapabilitySets {
        effective: CapabilitySet::empty(),
        permitted: CapabilitySet::empty(),
        inheritable: CapabilitySet::empty(),
    };
    set_capabilities(None, none).map_err(Stage::Capabilities.at("capset"))?;
    let left = capabilities(None).map_err(Stage::Capabilities.at("capget"))?;
    match left == none {
        true => Ok(()),
        false => Err(Stage::Capabilities.failed("some are left")),
    }
}

/// Lets the next program keep what this process may do in the user namespace that it has made:
/// executing a file takes it from everyone but user 0, who is not mapped.
pub(super) fn hand_down_capabilities() -> Result<(), Failure> {
    let mut held = capabilities(None).map_err(Stage::Capabilities.at("capget"))?;
    held.inheritable = held.permitted;
    set_capabilities(None, held).map_err(Stage::Capabilities.at("capset"))?;
    for bit in 0..64 {
        let capability = CapabilitySet::from_bits_retain(1 << bit);
        if held.permitted.contains(capability) {
            configure_capability_in_ambient_set(capability, true)
                .map_err(Stage::Capabilities.at("ambient set"))?;
        }
    }
    Ok(())
}

/// Restricts this process and all that descend from it to the files, sockets and signals of the
/// sandbox once more, by a means that no namespace can undo.
pub(super) fn landlock(plan: &Plan) -> Result<Landlock, Failure> {
    let status = rules(plan)
        .and_then(RulesetCreated::restrict_self)
        .map_err(Stage::Landlock.at("rules"))?;
    match (status.landlock, status.ruleset) {
        (LandlockStatus::NotEnabled | LandlockStatus::NotImplemented, _) => Ok(Landlock::Absent),
        (_, RulesetStatus::FullyEnforced) => Ok(Landlock::Full),
        (LandlockStatus::Available { effective_abi, .. }, RulesetStatus::PartiallyEnforced) => {
            Ok(Landlock::Version(version(effective_abi)))
        }
        _ => Err(Stage::Landlock.failed("the kernel has it, but it does not hold")),
    }
}

fn rules(plan: &Plan) -> Result<RulesetCreated, RulesetError> {
    let read = AccessFs::from_read(NEWEST);
    let write = AccessFs::from_all(NEWEST)
        & !(AccessFs::MakeChar | AccessFs::MakeBlock | AccessFs::IoctlDev);
    let device = AccessFs::ReadFile | AccessFs::WriteFile | AccessFs::Truncate;
    let mut ruleset = Ruleset::default()
        .handle_access(AccessFs::from_all(NEWEST))?
        .scope(Scope::from_all(NEWEST))?;
    if plan.network == Network::None {
        ruleset = ruleset.handle_access(AccessNet::from_all(NEWEST))?;
    }
    let mut created = ruleset.create()?;
    created = allow(created, "/proc", AccessFs::ReadFile | AccessFs::ReadDir)?;
    created = allow(created, "/etc", AccessFs::ReadFile | AccessFs::ReadDir)?;
    created = allow(created, "/dev", AccessFs::ReadDir.into())?;
    created = allow(created, "/", AccessFs::ReadDir.into())?;
    created = allow(created, Placement::WORK, write)?;
    for entry in &plan.entries {
        let rights = match entry {
            Entry::Memory { .. } => write,
            Entry::Bind { access, .. } => match access {
                Access::Read => read,
                Access::Write => write,
                Access::Device => device,
                Access::Socket => AccessFs::ReadFile | AccessFs::WriteFile | AccessFs::ResolveUnix,
            },
            Entry::File { .. } | Entry::Link { .. } => continue,
        };
        created = allow(created, entry.inside(), rights)?;
    }
    allow(created, SocketBind::FOLDER, AccessFs::ReadDir.into())
}

fn allow(
    ruleset: RulesetCreated,
    path: impl AsRef<std::path::Path>,
    rights: BitFlags<AccessFs>,
) -> Result<RulesetCreated, RulesetError> {
    let path = path.as_ref();
    let rights = match path.is_dir() {
        true => rights,
        false => rights & AccessFs::from_file(NEWEST),
    };
    match PathFd::new(path) {
        Ok(descriptor) => ruleset.add_rule(PathBeneath::new(descriptor, rights)),
        // What cannot be opened cannot be allowed, and stays forbidden.
        Err(_) => Ok(ruleset),
    }
}

fn version(abi: ABI) -> u8 {
    match abi {
        ABI::V1 => 1,
        ABI::V2 => 2,
        ABI::V3 => 3,
        ABI::V4 => 4,
        ABI::V5 => 5,
        ABI::V6 => 6,
        ABI::V7 => 7,
        ABI::V8 => 8,
        ABI::V9 => 9,
        _ => 0,
    }
}
