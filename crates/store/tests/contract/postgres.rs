//! A PostgreSQL server of a test's own, as Debian has it.

use std::os::unix::fs::{PermissionsExt as _, chown};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::time::Duration;

use nix::unistd::{User, geteuid};
use sqlx::postgres::PgConnectOptions;
use sqlx::{ConnectOptions as _, Connection as _};

/// Whom the server runs as where the test is root, which PostgreSQL refuses to be.
const USERS: [&str; 2] = ["postgres", "nobody"];

/// The server, its folder, its process.
pub(crate) struct Postgres {
    pub(crate) folder: tempfile::TempDir,
    pub(crate) programs: PathBuf,
    pub(crate) user: Option<User>,
    process: Child,
    databases: u32,
}

impl Postgres {
    /// Makes a cluster and starts it; none, said aloud, where there is no PostgreSQL.
    pub(crate) async fn start() -> Option<Self> {
        let Some(programs) = programs() else {
            eprintln!("skipped: there is no PostgreSQL here; scripts/postgres installs it");
            return None;
        };
        let folder = tempfile::Builder::new()
            .prefix("chancery-pg")
            .tempdir_in(place())
            .unwrap();
        std::fs::set_permissions(folder.path(), std::fs::Permissions::from_mode(0o700)).unwrap();
        let mut users = USERS
            .iter()
            .filter_map(|name| User::from_name(name).unwrap());
        let user = geteuid().is_root().then(|| users.next()).flatten();
        if let Some(user) = &user {
            let (uid, gid) = (user.uid.as_raw(), user.gid.as_raw());
            chown(folder.path(), Some(uid), Some(gid)).unwrap();
        }
        let made = command(&programs, "initdb", user.as_ref(), folder.path())
            .args([
                "--auth=trust",
                "--username=chancery",
                "--no-sync",
                "--encoding=UTF8",
            ])
            .args(["--locale=C.UTF-8", "--pgdata"])
            .arg(folder.path().join("data"))
            .output()
            .unwrap();
        let said = String::from_utf8_lossy(&made.stderr);
        assert!(made.status.success(), "initdb: {said}");
        let process = serve(&programs, user.as_ref(), folder.path());
        let mut server = Self {
            folder,
            programs,
            user,
            process,
            databases: 0,
        };
        server.wait().await;
        Some(server)
    }

    /// The address of a database that nobody else has.
    pub(crate) async fn database(&mut self) -> String {
        self.databases += 1;
        let name = format!("contract_{}", self.databases);
        let mut admin = self.options("postgres").connect().await.unwrap();
        let create = sqlx::AssertSqlSafe(format!("CREATE DATABASE {name}"));
        sqlx::query(create).execute(&mut admin).await.unwrap();
        admin.close().await.unwrap();
        let folder = self.folder.path().display().to_string().replace('/', "%2F");
        format!("postgres://chancery@{folder}/{name}")
    }

    /// Kills the server and starts it again.
    pub(crate) async fn kill_and_restart(&mut self) {
        self.kill();
        // What a killed server leaves tells the next one that it runs.
        self.process = serve(&self.programs, self.user.as_ref(), self.folder.path());
        self.wait().await;
    }

    /// Kills the server: what serves one connection ends with it.
    pub(crate) fn kill(&mut self) {
        self.process.kill().unwrap();
        self.process.wait().unwrap();
    }

    fn options(&self, database: &str) -> PgConnectOptions {
        PgConnectOptions::new_without_pgpass()
            .socket(self.folder.path())
            .username("chancery")
            .database(database)
    }

    async fn wait(&mut self) {
        for _ in 0..2_400 {
            // While processes of a killed server still end, the next one does not start.
            if self.process.try_wait().unwrap().is_some() {
                self.process = serve(&self.programs, self.user.as_ref(), self.folder.path());
            }
            if let Ok(connection) = self.options("postgres").connect().await {
                connection.close().await.unwrap();
                return;
            }
            tokio::time::sleep(Duration::from_millis(50)).await;
        }
        let log = std::fs::read_to_string(self.folder.path().join("log")).unwrap_or_default();
        panic!("PostgreSQL does not start: {log}");
    }
}

impl Drop for Postgres {
    fn drop(&mut self) {
        let _gone = self.process.kill();
        let _reaped = self.process.wait();
    }
}

/// Where the cluster stands: in memory where there is room, since what is killed here is processes, and
/// those lose nothing that they wrote.
pub(crate) fn place() -> PathBuf {
    let memory = PathBuf::from("/dev/shm");
    let room = nix::sys::statvfs::statvfs(&memory)
        .is_ok_and(|of| of.blocks_available() * of.fragment_size() > 1 << 30);
    if room { memory } else { std::env::temp_dir() }
}

fn programs() -> Option<PathBuf> {
    let paths = std::env::var_os("PATH").unwrap_or_default();
    let mut folders: Vec<_> = std::env::split_paths(&paths).collect();
    let debian = std::fs::read_dir("/usr/lib/postgresql");
    let mut versions: Vec<_> = debian
        .into_iter()
        .flatten()
        .filter_map(|entry| Some(entry.ok()?.path().join("bin")))
        .collect();
    versions.sort();
    folders.extend(versions.into_iter().rev());
    folders
        .into_iter()
        .find(|folder| folder.join("initdb").is_file())
}

/// A program of the server that ends with the test, as a user that may run it.
pub(crate) fn command(programs: &Path, name: &str, user: Option<&User>, folder: &Path) -> Command {
    let mut command = Command::new("setpriv");
    command.args(["--pdeathsig", "KILL"]);
    if let Some(user) = user {
        command.arg(format!("--reuid={}", user.uid));
        command.arg(format!("--regid={}", user.gid));
        command.arg("--clear-groups");
    }
    command.arg(programs.join(name));
    command.current_dir(folder);
    command
        .env_clear()
        .env("PATH", "/usr/bin:/bin")
        .env("LC_ALL", "C.UTF-8");
    command
}

pub(crate) fn serve(programs: &Path, user: Option<&User>, folder: &Path) -> Child {
    let log = std::fs::File::options()
        .create(true)
        .append(true)
        .open(folder.join("log"))
        .unwrap();
    command(programs, "postgres", user, folder)
        .arg("-D")
        .arg(folder.join("data"))
        .arg("-k")
        .arg(folder)
        .args(["-c", "listen_addresses="])
        // After a kill it fsyncs its whole folder; one call for the file system is as safe.
        .args(["-c", "recovery_init_sync_method=syncfs"])
        .stdin(Stdio::null())
        .stdout(log.try_clone().unwrap())
        .stderr(log)
        .spawn()
        .unwrap()
}
