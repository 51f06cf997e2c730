//! The file behind a process.

use std::ffi::OsStr;
use std::fs::{self, File};
use std::io;
use std::os::unix::fs::{FileExt as _, MetadataExt as _};
use std::path::{Path, PathBuf};
use std::sync::Arc;

use chancery_types::Digest;
use serde::{Deserialize, Serialize};
use tokio::sync::Mutex;

use crate::process::{Process, ProcessError};
use crate::reads::Reads;
use crate::stamp::Stamp;

/// Names of interpreters, loaders and multi-call programs, without version numbers.
const INTERPRETERS: [&str; 37] = [
    "ash", "awk", "bash", "beam", "bun", "busybox", "csh", "dash", "deno", "dotnet", "elixir",
    "erl", "fish", "gawk", "gjs", "guile", "java", "julia", "ksh", "lua", "luajit", "mawk", "mono",
    "node", "nodejs", "perl", "php", "pwsh", "pypy", "python", "qjs", "ruby", "sh", "tclsh",
    "toybox", "wasmtime", "zsh",
];

/// The file that a process executes, as the node measured it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Executable {
    digest: Digest,
    interpreter: bool,
    /// Whether the kernel runs the file itself, so that a process that executes it shows it; absent
    /// where an earlier node measured the file, and held to be so then.
    #[serde(skip_serializing_if = "Option::is_none", default)]
    native: Option<bool>,
    /// In bytes; absent where an earlier node measured the file.
    #[serde(skip_serializing_if = "Option::is_none", default)]
    size: Option<u64>,
}

/// What a process executed when it was asked about last, and who reads what it executes. Held while a file
/// is read, so that nobody has a second one read meanwhile.
#[derive(Debug, Clone, Default)]
pub(crate) struct LastSeen {
    seen: Arc<Mutex<Option<Seen>>>,
    reads: Arc<Reads>,
}

/// A file, and whether it is the one that it is to be.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Seen {
    stamp: Stamp,
    same: bool,
}

impl LastSeen {
    /// Nothing yet.
    pub(crate) fn new(reads: &Arc<Reads>) -> Self {
        Self {
            seen: Arc::default(),
            reads: Arc::clone(reads),
        }
    }
}

impl Executable {
    /// Reads the file behind a process and sees to it that the process executes it still; what it executes
    /// is looked at from then on without another read, as long as it stays the same file.
    pub(crate) async fn of(
        process: &Process,
        reads: &Arc<Reads>,
    ) -> Result<(Self, LastSeen), ProcessError> {
        let (pid, reads) = (process.pid(), Arc::clone(reads));
        let measured = tokio::task::spawn_blocking(move || {
            let (executable, seen) = Self::measure(pid, &reads)?;
            let seen = Arc::new(Mutex::new(seen));
            Ok((executable, LastSeen { seen, reads }))
        });
        let measured = measured
            .await
            .map_err(|error| ProcessError::Kernel(error.into()))?;
        process.while_alive(measured?).ok_or(ProcessError::Gone)
    }

    /// The same for a process of which this was measured before, where it executes that still; none where
    /// it is to be measured anew.
    pub(crate) async fn again(&self, process: &Process, last: &LastSeen) -> Option<Self> {
        let shown = !self.interpreter && self.native == Some(true);
        if !shown || !self.is_executed_by(process, last).await {
            return None;
        }
        // It may bear another name than then.
        let name = fs::read_link(format!("/proc/{}/exe", process.pid())).ok()?;
        let interpreter = name.file_name().is_none_or(is_interpreter);
        process.while_alive(self.clone()).filter(|_| !interpreter)
    }

    /// Reads a file that a process is about to execute.
    pub(crate) async fn at(path: PathBuf) -> Result<Self, ProcessError> {
        let measured = tokio::task::spawn_blocking(move || {
            let file = File::open(&path)?;
            let digest = Digest::of_reader(&file)?;
            let interpreter = path.file_name().is_none_or(is_interpreter);
            Ok::<_, io::Error>(Self {
                digest,
                interpreter,
                native: Some(is_native(&file)?),
                size: Some(file.metadata()?.size()),
            })
        });
        let measured = measured
            .await
            .map_err(|error| ProcessError::Kernel(error.into()))?;
        measured.map_err(ProcessError::Kernel)
    }

    fn measure(pid: i32, reads: &Reads) -> Result<(Self, Option<Seen>), ProcessError> {
        let path = format!("/proc/{pid}/exe");
        let file = File::open(&path).map_err(ProcessError::Kernel)?;
        let name = fs::read_link(&path).map_err(ProcessError::Kernel)?;
        let stamp = Stamp::from(file.metadata().map_err(ProcessError::Kernel)?);
        let (lasts, tells) = (stamp.lasts(&file), stamp.tells_of_others(&file));
        let read = reads.read(&file, stamp).map_err(ProcessError::Kernel)?;
        let after = fs::metadata(&path).map_err(ProcessError::Kernel)?;
        if Stamp::from(after) != stamp {
            return Err(ProcessError::Contradiction);
        }
        if tells {
            reads.note(stamp, read);
        }
        let executable = Self {
            digest: read.digest,
            interpreter: name.file_name().is_none_or(is_interpreter),
            native: Some(is_native(&file).map_err(ProcessError::Kernel)?),
            size: Some(stamp.size),
        };
        Ok((executable, lasts.then_some(Seen { stamp, same: true })))
    }

    /// Whether the process executes this file now, or one of the same content. Of a script or an
    /// interpreter a process shows nothing that could be compared: whatever it executes is taken.
    /// Where the file cannot be read the answer is no. A file is read only when it is another one than
    /// at `last`, or was changed, and has the size that was measured; one at a time, whoever gives up
    /// waiting meanwhile. What was seen of one process is believed of another one for a moment, where the
    /// stamp of the file tells of others.
    pub(crate) async fn is_executed_by(&self, process: &Process, last: &LastSeen) -> bool {
        if self.interpreter || self.native == Some(false) {
            return true;
        }
        let reads = Arc::clone(&last.reads);
        let mut last = Arc::clone(&last.seen).lock_owned().await;
        let path = PathBuf::from(format!("/proc/{}/exe", process.pid()));
        let now = fs::metadata(&path).map(Stamp::from).ok();
        let known = last.filter(|seen| now == Some(seen.stamp));
        let known = known.or_else(|| self.noted(&path, now?, &reads));
        let same = match known {
            Some(seen) => {
                *last = Some(seen);
                seen.same
            }
            None => {
                let expected = self.clone();
                let look = tokio::task::spawn_blocking(move || {
                    let looked = expected.look(&path, &reads).ok();
                    *last = looked.and_then(|(seen, lasts)| lasts.then_some(seen));
                    looked.is_some_and(|(seen, _)| seen.same)
                });
                look.await.unwrap_or(false)
            }
        };
        same && process.is_alive()
    }

    /// Whether it is this file, by what was noted of a file with that stamp a moment ago.
    fn noted(&self, path: &Path, stamp: Stamp, reads: &Reads) -> Option<Seen> {
        let read = reads.noted(stamp)?;
        // It executed the file before that was asked, and does still.
        let now = fs::metadata(path).map(Stamp::from).ok()?;
        let same = read.digest == self.digest;
        (now == stamp).then_some(Seen { stamp, same })
    }

    /// Whether it is this file, and whether that is so as long as the file has its stamp.
    fn look(&self, path: &Path, reads: &Reads) -> io::Result<(Seen, bool)> {
        let file = File::open(path)?;
        let stamp = Stamp::from(file.metadata()?);
        let (lasts, tells) = (stamp.lasts(&file), stamp.tells_of_others(&file));
        // A file of another size is not read.
        let of_size = self.size.is_none_or(|size| size == stamp.size);
        let read = of_size.then(|| reads.read(&file, stamp)).transpose()?;
        // What was read for several is what this one executes all along.
        if Stamp::from(fs::metadata(path)?) != stamp {
            return Err(io::Error::other("the process executes another file by now"));
        }
        if let Some(read) = read.filter(|_| tells) {
            reads.note(stamp, read);
        }
        let same = read.is_some_and(|read| read.digest == self.digest);
        Ok((Seen { stamp, same }, lasts))
    }

    /// The digest of the file, whatever it is.
    pub const fn digest(&self) -> Digest {
        self.digest
    }

    /// Whether the file runs what others wrote, so that it says nothing about the agent.
    pub const fn is_interpreter(&self) -> bool {
        self.interpreter
    }

    /// The digest of the agent's code, where the file is that: never an interpreter's.
    pub fn code_digest(&self) -> Option<Digest> {
        (!self.interpreter).then_some(self.digest)
    }
}

/// Whether a file is in the format of programs that the kernel runs without an interpreter's name.
fn is_native(file: &File) -> io::Result<bool> {
    let mut start = [0; 4];
    let read = file.read_at(&mut start, 0)?;
    Ok(read == start.len() && start == *b"\x7fELF")
}

/// By its name: `python3.11` is `python`, and what is not text is anything.
fn is_interpreter(name: &OsStr) -> bool {
    let Some(name) = name.to_str() else {
        return true;
    };
    let name = name.strip_suffix(" (deleted)").unwrap_or(name);
    let plain = name.trim_end_matches(|c: char| c.is_ascii_digit() || matches!(c, '.' | '-'));
    name.starts_with("ld-") || name.starts_with("ld.so") || INTERPRETERS.contains(&plain)
}

#[cfg(test)]
mod tests {
    use std::os::unix::fs::PermissionsExt as _;

    use futures_util::FutureExt as _;

    use super::*;

    #[test]
    fn interpreters_are_known_by_name() {
        for name in [
            "python",
            "python3",
            "python3.11",
            "node",
            "node20",
            "bash",
            "ld-linux-x86-64.so.2",
            "busybox",
            "python3.11 (deleted)",
            "perl5.36.0",
            "lua5.4",
        ] {
            assert!(is_interpreter(OsStr::new(name)), "{name}");
        }
        for name in [
            "chancery",
            "agent",
            "nodeagent",
            "bashful",
            "sleep",
            "python-agent",
        ] {
            assert!(!is_interpreter(OsStr::new(name)), "{name}");
        }
    }

    #[tokio::test]
    async fn an_interpreter_is_nobodys_code() {
        for (program, interpreter) in [("sleep", false), ("sh", true)] {
            let mut child = std::process::Command::new(program)
                .args(if interpreter {
                    vec!["-c", "read x; :"]
                } else {
                    vec!["60"]
                })
                .stdin(std::process::Stdio::piped())
                .spawn()
                .unwrap();
            let pid = i32::try_from(child.id()).unwrap();
            let process = Process::open(pid).unwrap();
            let file = fs::read(format!("/proc/{pid}/exe")).unwrap();
            let (executable, _) = Executable::of(&process, &Arc::default()).await.unwrap();
            child.kill().unwrap();
            child.wait().unwrap();
            assert_eq!(executable.digest(), Digest::of(file));
            assert_eq!(executable.is_interpreter(), interpreter);
            assert_eq!(executable.code_digest().is_none(), interpreter);
            assert!(Executable::of(&process, &Arc::default()).await.is_err());
        }
    }

    /// A folder where changes are seen: beside this program.
    fn on_disk() -> tempfile::TempDir {
        let program = std::env::current_exe().unwrap();
        tempfile::tempdir_in(program.parent().unwrap()).unwrap()
    }

    /// A program that sleeps, with something behind its end.
    fn sleeper(path: &Path, more: &[u8]) -> (std::process::Child, Process) {
        let mut program = fs::read("/bin/sleep").unwrap();
        program.extend(more);
        fs::write(path, program).unwrap();
        fs::set_permissions(path, fs::Permissions::from_mode(0o755)).unwrap();
        run(path)
    }

    fn run(path: &Path) -> (std::process::Child, Process) {
        let child = std::process::Command::new(path).arg("60").spawn().unwrap();
        let process = Process::open(i32::try_from(child.id()).unwrap()).unwrap();
        (child, process)
    }

    fn end(children: impl IntoIterator<Item = std::process::Child>) {
        for mut child in children {
            child.kill().unwrap();
            child.wait().unwrap();
        }
    }

    #[tokio::test]
    async fn a_file_of_another_size_is_not_read() {
        let folder = tempfile::tempdir().unwrap();
        let (one, process) = sleeper(&folder.path().join("one"), b"");
        let (executable, _) = Executable::of(&process, &Arc::default()).await.unwrap();
        // To read a tebibyte takes longer than this test may.
        let path = folder.path().join("huge");
        fs::copy("/bin/sleep", &path).unwrap();
        let file = fs::OpenOptions::new().write(true).open(&path).unwrap();
        file.set_len(1 << 40).unwrap();
        drop(file);
        let (huge, other) = run(&path);
        let last = LastSeen::default();
        assert!(!executable.is_executed_by(&other, &last).await);
        assert!(executable.is_executed_by(&process, &last).await);
        end([one, huge]);
    }

    /// Until a change of the file would be seen.
    async fn until_it_lasts(path: &Path) {
        let file = File::open(path).unwrap();
        while !Stamp::from(file.metadata().unwrap()).lasts(&file) {
            tokio::time::sleep(std::time::Duration::from_millis(20)).await;
        }
    }

    #[tokio::test]
    async fn a_file_that_was_just_changed_is_read_again() {
        let folder = on_disk();
        let path = folder.path().join("one");
        let (one, process) = sleeper(&path, b"1");
        let (executable, last) = Executable::of(&process, &Arc::default()).await.unwrap();
        assert!(last.seen.lock().await.is_none());
        assert!(executable.is_executed_by(&process, &last).await);
        assert!(last.seen.lock().await.is_none());
        until_it_lasts(&path).await;
        assert!(executable.is_executed_by(&process, &last).await);
        assert!(last.seen.lock().await.is_some());
        end([one]);
    }

    #[tokio::test]
    async fn what_was_measured_of_a_process_is_not_read_again_for_the_next_agent() {
        let folder = on_disk();
        let path = folder.path().join("one");
        let (one, process) = sleeper(&path, b"1");
        until_it_lasts(&path).await;
        let (executable, last) = Executable::of(&process, &Arc::default()).await.unwrap();
        assert!(last.seen.lock().await.is_some_and(|seen| seen.same));
        assert_eq!(
            executable.again(&process, &last).await,
            Some(executable.clone())
        );
        // It is believed as long as the process executes it, and under a name that says nothing else.
        let (two, other) = sleeper(&folder.path().join("two"), b"2");
        assert_eq!(executable.again(&other, &last).await, None);
        fs::rename(&path, folder.path().join("python3")).unwrap();
        assert_eq!(executable.again(&process, &last).await, None);
        end([one, two]);
        assert_eq!(executable.again(&process, &last).await, None);
    }

    #[tokio::test]
    async fn what_was_just_read_serves_another_process_where_the_file_system_tells() {
        let folder = on_disk();
        let path = folder.path().join("one");
        let (one, process) = sleeper(&path, b"1");
        let (two, other) = run(&path);
        let (file, reads) = (File::open(&path).unwrap(), Arc::new(Reads::default()));
        let stamp = Stamp::from(file.metadata().unwrap());
        // Right after a change nothing tells.
        let (executable, _) = Executable::of(&process, &reads).await.unwrap();
        assert!(stamp.tells_of_others(&file) || reads.noted(stamp).is_none());
        until_it_lasts(&path).await;
        let shared = loop {
            Executable::of(&process, &reads).await.unwrap();
            let noted = reads.noted(stamp);
            // On a busy machine a second may be over before that is asked.
            if noted.is_some() || !stamp.tells_of_others(&file) {
                break noted;
            }
        };
        assert!(shared.is_none_or(|read| read.digest == executable.digest));
        assert!(
            executable
                .is_executed_by(&other, &LastSeen::new(&reads))
                .await
        );
        // What was noted of this file says nothing of another one.
        let (three, changed) = sleeper(&folder.path().join("two"), b"2");
        let last = LastSeen::new(&reads);
        assert!(!executable.is_executed_by(&changed, &last).await);
        end([one, two, three]);
    }

    #[tokio::test]
    async fn where_changes_are_not_seen_every_process_has_its_program_read() {
        let folder = tempfile::tempdir_in("/dev/shm").unwrap();
        let path = folder.path().join("one");
        let (one, process) = sleeper(&path, b"1");
        let reads = Arc::new(Reads::default());
        let (executable, _) = Executable::of(&process, &reads).await.unwrap();
        let last = LastSeen::new(&reads);
        assert!(executable.is_executed_by(&process, &last).await);
        assert!(
            reads
                .noted(Stamp::from(fs::metadata(&path).unwrap()))
                .is_none()
        );
        end([one]);
    }

    /// Writes a file through a mapping that it had before, when it is told to; nothing of the file
    /// but its content changes.
    const THROUGH_A_MAPPING: &str = "
import mmap, os, sys
file = os.open(sys.argv[1], os.O_RDWR)
pages = mmap.mmap(file, 0)
pages[-1:] = b'1'
print(flush=True)
sys.stdin.readline()
pages[-1:] = b'2'
pages.close()
os.close(file)
";

    #[tokio::test]
    async fn what_is_written_through_a_mapping_is_seen() {
        use std::io::{BufRead as _, BufReader, Write as _};
        let folder = on_disk();
        let path = folder.path().join("agent");
        let mut program = fs::read("/bin/sleep").unwrap();
        program.push(b'1');
        fs::write(&path, &program).unwrap();
        fs::set_permissions(&path, fs::Permissions::from_mode(0o755)).unwrap();
        let mut writer = std::process::Command::new("python3")
            .args(["-c", THROUGH_A_MAPPING])
            .arg(&path)
            .stdin(std::process::Stdio::piped())
            .stdout(std::process::Stdio::piped())
            .spawn()
            .unwrap();
        let mut mapped = String::new();
        let output = writer.stdout.take().unwrap();
        BufReader::new(output).read_line(&mut mapped).unwrap();
        until_it_lasts(&path).await;
        let stamp = |path: &Path| Stamp::from(fs::metadata(path).unwrap());
        let before = stamp(&path);
        let reviewed = Executable::at(path.clone()).await.unwrap();
        assert_eq!(reviewed.digest(), Digest::of(&program));
        // As long as somebody could write through it, it is not executed.
        let busy = std::process::Command::new(&path).arg("60").spawn();
        assert_eq!(busy.unwrap_err().kind(), io::ErrorKind::ExecutableFileBusy);
        writer.stdin.take().unwrap().write_all(b"\n").unwrap();
        assert!(writer.wait().unwrap().success());
        assert_eq!(stamp(&path), before);
        *program.last_mut().unwrap() = b'2';
        let other = Executable::at(path.clone()).await.unwrap();
        assert_eq!(other.digest(), Digest::of(&program));
        let (child, process) = run(&path);
        assert!(
            !reviewed
                .is_executed_by(&process, &LastSeen::default())
                .await
        );
        let (now, _) = Executable::of(&process, &Arc::default()).await.unwrap();
        assert_eq!(now.digest(), Digest::of(&program));
        end([child]);
    }

    #[tokio::test]
    async fn a_file_is_read_once_whether_it_is_the_same_or_not() {
        let folder = on_disk();
        let (one, process) = sleeper(&folder.path().join("one"), b"1");
        let (two, other) = sleeper(&folder.path().join("two"), b"2");
        until_it_lasts(&folder.path().join("two")).await;
        let (executable, _) = Executable::of(&process, &Arc::default()).await.unwrap();
        for (process, same) in [(&process, true), (&other, false)] {
            let last = LastSeen::default();
            for _ in 0..2 {
                assert_eq!(executable.is_executed_by(process, &last).await, same);
            }
            // What was seen is believed as long as the file is as it was.
            let seen = last.seen.lock().await.unwrap();
            assert_eq!(seen.same, same);
            *last.seen.lock().await = Some(Seen {
                same: !same,
                ..seen
            });
            assert_eq!(executable.is_executed_by(process, &last).await, !same);
        }
        // Of another file it says nothing.
        let last = LastSeen::default();
        assert!(executable.is_executed_by(&process, &last).await);
        assert!(!executable.is_executed_by(&other, &last).await);
        assert!(executable.is_executed_by(&process, &last).await);
        end([one, two]);
        assert!(!executable.is_executed_by(&process, &last).await);
    }

    #[tokio::test]
    async fn a_file_is_read_to_its_end_once_though_nobody_waits() {
        let folder = on_disk();
        let (one, process) = sleeper(&folder.path().join("one"), b"");
        until_it_lasts(&folder.path().join("one")).await;
        let (executable, _) = Executable::of(&process, &Arc::default()).await.unwrap();
        let last = LastSeen::default();
        let reading = last.seen.lock().await;
        let waiting = executable.is_executed_by(&process, &last);
        assert!(waiting.now_or_never().is_none());
        drop(reading);
        // Gives up at once, and what was begun goes on.
        let _ = executable.is_executed_by(&process, &last).now_or_never();
        assert!(last.seen.lock().await.is_some_and(|seen| seen.same));
        end([one]);
    }
}
