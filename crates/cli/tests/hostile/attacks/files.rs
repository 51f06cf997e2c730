//! Keys and tables.

use std::fs::{self, File};
use std::io::Read as _;
use std::os::unix::fs::FileTypeExt as _;
use std::path::{Path, PathBuf};

use super::attempts;
use crate::orders::{Attempt, Orders, Outcome};

pub(crate) fn all(orders: &Orders) -> Vec<Attempt> {
    let mut made = attempts(
        "read a secret file",
        orders.files.iter().map(|path| (shown(path), read(path))),
    );
    made.extend(attempts(
        "list the data folder",
        [(shown(&orders.data), Outcome::of(fs::read_dir(&orders.data)))],
    ));
    made.extend(attempts("write into the data folder", [planted(orders)]));
    made.extend(attempts(
        "read shared memory",
        [(shown(&orders.shared_memory), read(&orders.shared_memory))],
    ));
    made.extend(attempts("read a secret by another root", roots(orders)));
    made
}

/// Looks for anything that is not the attacker's own: only where it cannot find the host's.
pub(crate) fn searches(orders: &Orders) -> Vec<Attempt> {
    let mut found = Vec::new();
    let mut sockets = Vec::new();
    walk(Path::new("/"), &mut |path, kind| {
        let same = |secret: &PathBuf| secret.file_name() == path.file_name();
        if kind.is_file() && orders.files.iter().any(same) {
            found.push(shown(path));
        }
        if kind.is_socket() {
            sockets.push(shown(path));
        }
    });
    sockets.sort();
    sockets.retain(|path| {
        !["/run/chancery/bridge.sock", "/run/chancery/workload.sock"].contains(&path.as_str())
    });
    let nothing = |found: Vec<String>| match found.is_empty() {
        true => Outcome::Refused("nothing there".to_owned()),
        false => Outcome::Succeeded(found.join(", ")),
    };
    let mut made = attempts(
        "search for secret files",
        [("/".to_owned(), nothing(found))],
    );
    made.extend(attempts(
        "search for sockets",
        [("/".to_owned(), nothing(sockets))],
    ));
    made
}

fn planted(orders: &Orders) -> (String, Outcome) {
    let path = orders.data.join("planted");
    let outcome = Outcome::of(fs::write(&path, "x"));
    // As a control it was written.
    let _ = fs::remove_file(&path);
    (shown(&path), outcome)
}

fn roots(orders: &Orders) -> Vec<(String, Outcome)> {
    let secret = orders.files[0].strip_prefix("/").unwrap();
    let mut roots: Vec<_> = [
        "/proc/1/root",
        "/proc/self/root/../..",
        "/proc/self/cwd/../../..",
    ]
    .map(PathBuf::from)
    .into();
    for pid in orders.processes.values() {
        roots.extend(["root", "cwd/../../../../.."].map(|at| format!("/proc/{pid}/{at}").into()));
    }
    roots
        .into_iter()
        .map(|root| (shown(&root), read(&root.join(secret))))
        .collect()
}

pub(crate) fn read(path: &Path) -> Outcome {
    Outcome::of(File::open(path).and_then(|mut file| file.read(&mut [0; 64])))
}

pub(crate) fn shown(path: &Path) -> String {
    path.display().to_string()
}

fn walk(folder: &Path, see: &mut impl FnMut(&Path, fs::FileType)) {
    let passed = ["/proc", "/usr", "/sys", "/lib", "/lib64", "/bin", "/sbin"];
    if passed.iter().any(|own| folder == Path::new(own)) {
        return;
    }
    for entry in fs::read_dir(folder).into_iter().flatten().flatten() {
        let (path, Ok(kind)) = (entry.path(), entry.file_type()) else {
            continue;
        };
        see(&path, kind);
        if kind.is_dir() {
            walk(&path, see);
        }
    }
}
