//! The files of a folder, read before anything is done.

use std::fs;
use std::io::Read as _;
use std::os::unix::fs::OpenOptionsExt as _;
use std::path::{Path, PathBuf};

use chancery_api::Problem;
use chancery_identity::registration::{MAX_FILE_BYTES, RegistrationFile};
use nix::fcntl::OFlag;

/// The most bytes of a signed manifest.
const MAX_MANIFEST_BYTES: usize = 1 << 20;

/// A registration, and the manifest that it names.
pub(super) struct Found {
    /// The file, as it is named in messages.
    pub(super) file: String,
    pub(super) registration: RegistrationFile,
    pub(super) text: String,
    pub(super) envelope: Vec<u8>,
}

/// What is wrong with a file.
pub(super) struct Fault {
    /// File, line, member, and what is wrong.
    pub(super) said: String,
    pub(super) remedy: String,
}

impl Fault {
    /// What a file says reaches terminals and logs without its control characters.
    fn new(said: String, remedy: &str) -> Self {
        Self {
            said: plain(&said),
            remedy: plain(remedy),
        }
    }

    /// What the server refuses about a file.
    pub(super) fn of_server(file: &str, text: &str, problem: &Problem) -> Self {
        let Problem {
            reason, message, ..
        } = problem;
        let member = match reason.as_str() {
            "dns_names" => "dns_names",
            "federates_with" => "federates_with",
            "may_spawn" => "may_spawn",
            "svid_lifetime" if message.contains("jwt_svid_seconds") => "jwt_svid_seconds",
            "svid_lifetime" => "x509_svid_seconds",
            _ => "manifest",
        };
        let line = line_of(text, member);
        let remedy = problem.remedy.as_deref();
        Self::new(
            format!("{file}:{line}: {member}: {message} ({reason})"),
            remedy.unwrap_or(
                "mend the file, or sign another manifest with `chancery agent manifest`",
            ),
        )
    }

    /// A second file of one agent.
    pub(super) fn twice(file: &str, first: &str, agent_id: &str) -> Self {
        Self::new(
            format!("{file}:1: manifest: it registers {agent_id}, as {first} does"),
            "keep one of the two files",
        )
    }
}

/// Every registration directly in the folder, by the names of the files; all that is wrong where
/// something is.
pub(super) fn read(dir: &Path) -> Result<Vec<Found>, Vec<Fault>> {
    let folder = fs::canonicalize(dir).and_then(|folder| Ok((names(&folder)?, folder)));
    let (names, folder) = folder.map_err(|error| {
        let said = format!("{}: {error}", dir.display());
        vec![Fault::new(
            said,
            "name the folder that the registrations are in",
        )]
    })?;
    let (mut found, mut faults) = (Vec::new(), Vec::new());
    for path in names {
        let name = path.file_name().map(|name| name.to_string_lossy());
        let file = dir.join(&*name.unwrap_or_default()).display().to_string();
        match one(&folder, &path, &file) {
            Ok(one) => found.push(one),
            Err(fault) => faults.push(fault),
        }
    }
    match faults.is_empty() {
        true => Ok(found),
        false => Err(faults),
    }
}

fn names(folder: &Path) -> std::io::Result<Vec<PathBuf>> {
    let mut names = Vec::new();
    for entry in fs::read_dir(folder)? {
        let path = entry?.path();
        if path
            .extension()
            .is_some_and(|extension| extension == "json")
        {
            names.push(path);
        }
    }
    names.sort();
    Ok(names)
}

fn one(folder: &Path, path: &Path, file: &str) -> Result<Found, Fault> {
    let text = inside(folder, path, MAX_FILE_BYTES).map_err(|why| {
        Fault::new(
            format!("{file}:1: {why}"),
            "keep a plain file in the folder itself",
        )
    })?;
    let registration = RegistrationFile::parse(&text)
        .map_err(|error| Fault::new(format!("{file}:{error}"), error.remedy))?;
    let text = String::from_utf8_lossy(&text).into_owned();
    let manifest = folder.join(registration.manifest());
    let envelope = inside(folder, &manifest, MAX_MANIFEST_BYTES).map_err(|why| {
        let (line, name) = (line_of(&text, "manifest"), registration.manifest());
        Fault::new(
            format!("{file}:{line}: manifest: {name}: {why}"),
            "put the signed manifest that the file names into its folder",
        )
    })?;
    Ok(Found {
        file: file.to_owned(),
        registration,
        text,
        envelope,
    })
}

/// The line that a member begins at.
fn line_of(text: &str, member: &str) -> usize {
    let quoted = format!("\"{member}\"");
    let line = text.lines().position(|line| line.contains(&quoted));
    line.map_or(1, |before| before + 1)
}

fn plain(text: &str) -> String {
    let mut plain = String::with_capacity(text.len());
    for letter in text.chars() {
        match letter.is_control() || is_directional(letter) {
            true => plain.extend(letter.escape_unicode()),
            false => plain.push(letter),
        }
    }
    plain
}

/// What makes a terminal show a line in another order than it is in.
fn is_directional(letter: char) -> bool {
    matches!(letter, '\u{200e}' | '\u{200f}' | '\u{202a}'..='\u{202e}' | '\u{2066}'..='\u{2069}')
}

/// The content of a file whose real place is in the folder, wherever links on the way lead.
fn inside(folder: &Path, path: &Path, most: usize) -> Result<Vec<u8>, String> {
    let real = fs::canonicalize(path).map_err(|error| error.to_string())?;
    if !real.starts_with(folder) {
        return Err("it is a link that leads out of the folder".to_owned());
    }
    // Neither a link that stands there by now, nor a pipe that nobody writes to.
    let opened = fs::OpenOptions::new()
        .read(true)
        .custom_flags((OFlag::O_NOFOLLOW | OFlag::O_NONBLOCK).bits())
        .open(real);
    let opened = opened.and_then(|file| Ok((file.metadata()?.is_file(), file)));
    let (is_file, file) = opened.map_err(|error| error.to_string())?;
    if !is_file {
        return Err("it is no file".to_owned());
    }
    let mut content = Vec::new();
    let read = file.take(most as u64 + 1).read_to_end(&mut content);
    read.map_err(|error| error.to_string())?;
    match content.len() <= most {
        true => Ok(content),
        false => Err(format!("it has more than {most} bytes")),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_a_file_says_does_not_steer_a_terminal() {
        let fault = Fault::new("a.json:1: \u{1b}]0;x\u{7}\u{202e}né".to_owned(), "\r");
        assert_eq!(fault.said, "a.json:1: \\u{1b}]0;x\\u{7}\\u{202e}né");
        assert_eq!(fault.remedy, "\\u{d}");
    }

    #[test]
    fn a_pipe_is_no_file_and_nobody_waits_for_it() {
        let folder = tempfile::tempdir().unwrap();
        let folder = folder.path().canonicalize().unwrap();
        let pipe = folder.join("a.json");
        nix::unistd::mkfifo(&pipe, nix::sys::stat::Mode::S_IRWXU).unwrap();
        assert_eq!(inside(&folder, &pipe, 9).unwrap_err(), "it is no file");
        let link = folder.join("b.json");
        std::os::unix::fs::symlink("/etc/hostname", &link).unwrap();
        assert!(inside(&folder, &link, 9).is_err());
    }
}
