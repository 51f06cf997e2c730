//! What no design can go below on this machine: the arithmetic of a certificate, and the disk.

use std::time::{Duration, Instant};

use chancery_crypto::{AwsLc, SigningKey};
use chancery_types::{Algorithm, SignatureVerifier as _};

use crate::appends::Floor;
use crate::options::Options;
use crate::sample::quantile;

/// As many bytes as a certificate signs, about.
const TO_BE_SIGNED: usize = 400;

/// As many bytes as one entry of the log takes on the disk.
const FRAME: usize = 4_096;

/// So long is each of them measured.
const TURN: Duration = Duration::from_secs(1);

/// The arithmetic on one core, in nanoseconds.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Arithmetic {
    /// Making a P-256 key.
    pub(crate) key: f64,
    /// Signing with one.
    pub(crate) signature: f64,
    /// Verifying what was signed.
    pub(crate) verification: f64,
}

impl Arithmetic {
    /// By this program's own crypto library, one thread.
    pub(crate) fn measure() -> anyhow::Result<Self> {
        let authority = SigningKey::generate(Algorithm::Es256)?;
        let message = [7; TO_BE_SIGNED];
        let signature = authority.sign(&message)?;
        Ok(Self {
            key: each(|| {
                drop(SigningKey::generate(Algorithm::Es256)?);
                Ok(())
            })?,
            signature: each(|| {
                drop(authority.sign_der(&message)?);
                Ok(())
            })?,
            verification: each(|| {
                anyhow::ensure!(AwsLc.verify(authority.public(), &message, &signature));
                Ok(())
            })?,
        })
    }
}

fn each(mut work: impl FnMut() -> anyhow::Result<()>) -> anyhow::Result<f64> {
    let (begun, mut count) = (Instant::now(), 0_u32);
    while begun.elapsed() < TURN / 4 {
        work()?;
        count += 1;
    }
    Ok(begun.elapsed().as_nanos() as f64 / f64::from(count))
}

/// How many keys are made and signatures are put on something in a second, by all cores at once.
pub(crate) fn keys_and_signatures() -> anyhow::Result<f64> {
    let cores = std::thread::available_parallelism()?.get();
    let turns = (0..cores).map(|_| {
        std::thread::spawn(|| -> anyhow::Result<u32> {
            let authority = SigningKey::generate(Algorithm::Es256)?;
            let message = [7; TO_BE_SIGNED];
            let (begun, mut count) = (Instant::now(), 0);
            while begun.elapsed() < TURN {
                drop(SigningKey::generate(Algorithm::Es256)?);
                drop(authority.sign_der(&message)?);
                count += 1;
            }
            Ok(count)
        })
    });
    let mut all = 0;
    for turn in turns.collect::<Vec<_>>() {
        let count = turn
            .join()
            .map_err(|_| anyhow::anyhow!("a thread ended"))??;
        all += count;
    }
    Ok(f64::from(all) / TURN.as_secs_f64())
}

/// The median of one write that is synced, in nanoseconds.
pub(crate) fn sync(options: &Options) -> anyhow::Result<f64> {
    let folder = tempfile::tempdir_in(&options.folder)?;
    let mut floor = Floor::new(&folder.path().join("floor"))?;
    let times = floor.syncs(FRAME)?;
    let nanos: Vec<_> = times.iter().map(|time| time.as_nanos() as f64).collect();
    Ok(quantile(&nanos, 0.5))
}
