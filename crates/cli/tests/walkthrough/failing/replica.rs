//! A second PostgreSQL that follows the first one, and takes its place.

use std::os::unix::fs::{PermissionsExt as _, chown};
use std::process::Child;
use std::time::Duration;

use sqlx::{Connection as _, PgConnection};

use crate::postgres::{Postgres, command, place, serve};

/// It has whatever the primary has acknowledged: the primary waits for it.
pub(crate) struct Replica {
    folder: tempfile::TempDir,
    process: Child,
}

impl Replica {
    /// Copies a running primary and follows it; from then on the primary acknowledges nothing that the
    /// replica does not have on its disk. `address` is of a database there.
    pub(crate) async fn of(primary: &Postgres, address: &str) -> Self {
        let folder = tempfile::Builder::new()
            .prefix("chancery-pg")
            .tempdir_in(place())
            .unwrap();
        std::fs::set_permissions(folder.path(), std::fs::Permissions::from_mode(0o700)).unwrap();
        let (programs, user) = (&primary.programs, primary.user.as_ref());
        if let Some(user) = user {
            let (uid, gid) = (user.uid.as_raw(), user.gid.as_raw());
            chown(folder.path(), Some(uid), Some(gid)).unwrap();
        }
        // Debian names some of its programs elsewhere as well, this one not.
        let real = std::fs::canonicalize(programs.join("initdb")).unwrap();
        let copied = command(real.parent().unwrap(), "pg_basebackup", user, folder.path())
            .args([
                "--username=chancery",
                "--write-recovery-conf",
                "--wal-method=stream",
            ])
            .args(["--checkpoint=fast", "--no-sync", "--host"])
            .arg(primary.folder.path())
            .arg("--pgdata")
            .arg(folder.path().join("data"))
            .output()
            .unwrap();
        let said = String::from_utf8_lossy(&copied.stderr);
        assert!(copied.status.success(), "pg_basebackup: {said}");
        let process = serve(programs, user, folder.path());
        let replica = Self { folder, process };
        let mut admin = PgConnection::connect(address).await.unwrap();
        let follow = "ALTER SYSTEM SET synchronous_standby_names = '*'";
        sqlx::query(follow).execute(&mut admin).await.unwrap();
        let reload = sqlx::query("SELECT pg_reload_conf()");
        reload.execute(&mut admin).await.unwrap();
        let state =
            "SELECT CAST(count(*) AS BIGINT) FROM pg_stat_replication WHERE sync_state = 'sync'";
        for _ in 0..1_200 {
            let following: i64 = sqlx::query_scalar(state)
                .fetch_one(&mut admin)
                .await
                .unwrap();
            if following == 1 {
                return replica;
            }
            tokio::time::sleep(Duration::from_millis(50)).await;
        }
        let log = std::fs::read_to_string(replica.folder.path().join("log"));
        panic!("the replica does not follow: {log:?}");
    }

    /// The address of a database that the primary has at `address`.
    pub(crate) fn address(&self, address: &str) -> String {
        let folder = self.folder.path().display().to_string().replace('/', "%2F");
        let (_, name) = address.rsplit_once('/').unwrap();
        format!("postgres://chancery@{folder}/{name}")
    }

    /// Makes it the primary.
    pub(crate) async fn promote(&self, address: &str) {
        let mut admin = PgConnection::connect(&self.address(address)).await.unwrap();
        let promote = sqlx::query_scalar("SELECT pg_promote()");
        let promoted: bool = promote.fetch_one(&mut admin).await.unwrap();
        assert!(promoted);
    }
}

impl Drop for Replica {
    fn drop(&mut self) {
        let _gone = self.process.kill();
        let _reaped = self.process.wait();
    }
}
