//! SeaweedFS, an S3 server that others wrote, unmodified; `scripts/s3-server` installs it into the
//! build folder. It keeps what it has acknowledged in files, so that it can be killed.

use std::net::TcpListener;
use std::path::PathBuf;
use std::process::{Child, Command, Stdio};
use std::sync::Arc;
use std::time::{Duration, Instant};

use chancery_crypto::random_bytes;
use object_store::aws::{AmazonS3, AmazonS3Builder};
use object_store::path::Path as Key;
use object_store::{ClientOptions, ObjectStoreExt as _, RetryConfig};

const BUCKET: &str = "logs";

/// The server with a folder and ports of its own; killed when it is dropped.
pub(crate) struct S3Server {
    program: PathBuf,
    ports: [u16; 8],
    folder: tempfile::TempDir,
    process: Option<Child>,
}

impl S3Server {
    /// Nothing, said aloud, where there is no server on this machine.
    pub(crate) fn start() -> Option<Self> {
        let this = std::env::current_exe().unwrap();
        let program = this.ancestors().nth(3).unwrap().join("s3-server/bin/weed");
        if !program.exists() {
            println!("skipped: there is no S3 server here; run scripts/s3-server");
            return None;
        }
        // Held together, so that no port is given twice.
        let free = [(); 8].map(|()| free_port());
        let mut server = Self {
            program,
            ports: free.map(|port| port.local_addr().unwrap().port()),
            folder: tempfile::tempdir().unwrap(),
            process: None,
        };
        server.begin();
        server.wait();
        Some(server)
    }

    /// Starts the process, which answers a few seconds later.
    pub(crate) fn begin(&mut self) {
        let folder = self.folder.path().display().to_string();
        let [
            master,
            master_rpc,
            volume,
            volume_rpc,
            filer,
            filer_rpc,
            s3,
            s3_rpc,
        ] = self.ports;
        let process = Command::new(&self.program)
            .args([
                "server",
                "-filer",
                "-s3",
                "-s3.port.iceberg=0",
                "-s3.port.lance=0",
            ])
            .args(["-ip=127.0.0.1", "-ip.bind=127.0.0.1"])
            .args(["-master.volumeSizeLimitMB=64", "-volume.max=20"])
            // Alone, a master that was killed elects itself again at once.
            .args([
                "-master.electionTimeout=1s",
                "-master.heartbeatInterval=100ms",
            ])
            .arg(format!("-dir={folder}"))
            .arg(format!("-s3.localSocket={folder}/s3.sock"))
            .arg(format!("-filer.localSocket={folder}/filer.sock"))
            .arg(format!("-master.port={master}"))
            .arg(format!("-master.port.grpc={master_rpc}"))
            .arg(format!("-volume.port={volume}"))
            .arg(format!("-volume.port.grpc={volume_rpc}"))
            .arg(format!("-filer.port={filer}"))
            .arg(format!("-filer.port.grpc={filer_rpc}"))
            .arg(format!("-s3.port={s3}"))
            .arg(format!("-s3.port.grpc={s3_rpc}"))
            .envs(self.environment())
            .env("HOME", &folder)
            .current_dir(&folder)
            .stdout(Stdio::null())
            .stderr(Stdio::null())
            .spawn();
        self.process = Some(process.unwrap());
    }

    /// Kills the process as a power cut of its machine would, but for what its kernel holds.
    pub(crate) fn kill(&mut self) {
        if let Some(mut process) = self.process.take() {
            process.kill().unwrap();
            process.wait().unwrap();
        }
    }

    /// Waits until the store takes objects.
    pub(crate) fn wait(&mut self) {
        let runtime = tokio::runtime::Builder::new_current_thread()
            .enable_all()
            .build()
            .unwrap();
        let store = self.store();
        let deadline = Instant::now() + Duration::from_secs(60);
        loop {
            let key = Key::from("is-there");
            let put = runtime.block_on(store.put(&key, "yes".into()));
            match put {
                Ok(_) => return,
                Err(error) => assert!(Instant::now() < deadline, "no S3 server: {error}"),
            }
            let process = self.process.as_mut();
            if process.is_some_and(|process| process.try_wait().unwrap().is_some()) {
                // Somebody else had a port of its own for a moment.
                self.begin();
            }
            std::thread::sleep(Duration::from_millis(100));
        }
    }

    /// What a client is told of it.
    pub(crate) fn environment(&self) -> [(&'static str, String); 5] {
        let [.., s3, _] = self.ports;
        [
            ("AWS_ENDPOINT", format!("http://127.0.0.1:{s3}")),
            ("AWS_ALLOW_HTTP", "true".to_owned()),
            ("AWS_REGION", "us-east-1".to_owned()),
            ("AWS_ACCESS_KEY_ID", "log-writer".to_owned()),
            ("AWS_SECRET_ACCESS_KEY", "log-writer-secret".to_owned()),
        ]
    }

    /// A client.
    pub(crate) fn store(&self) -> Arc<AmazonS3> {
        let mut client = AmazonS3Builder::new();
        for (name, value) in self.environment() {
            client = client.with_config(name.to_lowercase().parse().unwrap(), value);
        }
        Arc::new(build(client))
    }
}

/// A port that no outgoing connection is given while the server is away.
fn free_port() -> TcpListener {
    loop {
        let port = 10_000 + u16::from_be_bytes(random_bytes().unwrap()) % 20_000;
        if let Ok(free) = TcpListener::bind(("127.0.0.1", port)) {
            return free;
        }
    }
}

/// The client that the environment describes, as a child process has it.
pub(crate) fn store_of_environment() -> Arc<AmazonS3> {
    Arc::new(build(AmazonS3Builder::from_env()))
}

fn build(client: AmazonS3Builder) -> AmazonS3 {
    let options = ClientOptions::new()
        .with_allow_http(true)
        .with_timeout(Duration::from_secs(5))
        .with_connect_timeout(Duration::from_secs(1));
    let retry = RetryConfig {
        max_retries: 0,
        ..RetryConfig::default()
    };
    client
        .with_bucket_name(BUCKET)
        .with_client_options(options)
        .with_retry(retry)
        .build()
        .unwrap()
}

impl Drop for S3Server {
    fn drop(&mut self) {
        self.kill();
    }
}
