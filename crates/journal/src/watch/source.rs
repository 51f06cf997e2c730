use std::fs::File;
use std::io::{self, Read as _};
use std::path::{Path, PathBuf};

use chancery_tlog::{MAX_NOTE_BYTES, TILE_WIDTH, TileKind, TilePath};
use http::StatusCode;

use super::client::LogClient;

/// Largest bundle: 256 entries of 65,535 bytes, each behind its length.
const MAX_BUNDLE_BYTES: usize = TILE_WIDTH as usize * (65_535 + 2);

/// Where a log is read: the URL that its files stand below, or a folder with the same files.
#[derive(Debug)]
pub struct LogSource(Kind);

#[derive(Debug)]
enum Kind {
    Folder(PathBuf),
    Url(Box<LogClient>),
}

/// Why a log cannot be read.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum SourceError {
    /// Not a URL of a log.
    #[error("{url}: {problem}")]
    Url {
        /// What was given.
        url: String,
        /// What is wrong with it, and the remedy.
        problem: &'static str,
    },
    /// There is no such folder.
    #[error("{}: neither a folder nor a URL that begins with http://", path.display())]
    NoFolder {
        /// The folder.
        path: PathBuf,
    },
    /// A file cannot be read.
    #[error("{}: {source}", path.display())]
    File {
        /// The file.
        path: PathBuf,
        /// What the system said.
        source: io::Error,
    },
    /// The server cannot be reached or broke off.
    #[error("{url}: the server cannot be reached, or broke off")]
    Unreachable {
        /// What was asked for.
        url: String,
        /// What was seen.
        source: Box<dyn std::error::Error + Send + Sync>,
    },
    /// The server was silent for too long.
    #[error("{url}: the server does not answer")]
    Silent {
        /// What was asked for.
        url: String,
    },
    /// The server answers too slowly.
    #[error("{url}: the server did not send the file within {seconds} seconds")]
    Slow {
        /// What was asked for.
        url: String,
        /// How long it had.
        seconds: u64,
    },
    /// The server answered with neither the file nor that there is none.
    #[error("{url}: the server answered {status}")]
    Status {
        /// What was asked for.
        url: String,
        /// The answer.
        status: StatusCode,
    },
}

impl LogSource {
    /// The log at `place`: a URL where it begins like one, else a folder that is there.
    pub fn open(place: &str) -> Result<Self, SourceError> {
        if place.contains("://") {
            return LogClient::new(place).map(|client| Self(Kind::Url(Box::new(client))));
        }
        let path = PathBuf::from(place);
        if !path.is_dir() {
            return Err(SourceError::NoFolder { path });
        }
        Ok(Self(Kind::Folder(path)))
    }

    /// The bytes of the checkpoint; none where there is none.
    pub async fn checkpoint(&self) -> Result<Option<Vec<u8>>, SourceError> {
        self.read("checkpoint", MAX_NOTE_BYTES).await
    }

    /// The bytes of a tile or bundle of exactly that path; none where there is none.
    pub async fn tile(&self, path: &TilePath) -> Result<Option<Vec<u8>>, SourceError> {
        let most = match path.kind() {
            TileKind::Entries => MAX_BUNDLE_BYTES,
            TileKind::Hashes(_) => usize::from(TILE_WIDTH) * 32,
        };
        self.read(&path.to_string(), most).await
    }

    /// At most one byte more than the largest that it can be, which shows that it is too large.
    async fn read(&self, name: &str, most: usize) -> Result<Option<Vec<u8>>, SourceError> {
        match &self.0 {
            Kind::Folder(folder) => read_file(&folder.join(name), most),
            Kind::Url(client) => client.get(name, most).await,
        }
    }
}

fn read_file(path: &Path, most: usize) -> Result<Option<Vec<u8>>, SourceError> {
    let failed = |source| SourceError::File {
        path: path.to_owned(),
        source,
    };
    let file = match File::open(path) {
        Ok(file) => file,
        Err(error) if is_absent(&error) => return Ok(None),
        Err(error) => return Err(failed(error)),
    };
    let mut bytes = Vec::new();
    let limit = most as u64 + 1;
    file.take(limit).read_to_end(&mut bytes).map_err(failed)?;
    Ok(Some(bytes))
}

/// Whether no file stands there: neither it nor a folder on the way.
fn is_absent(error: &io::Error) -> bool {
    matches!(
        error.kind(),
        io::ErrorKind::NotFound | io::ErrorKind::NotADirectory
    )
}
