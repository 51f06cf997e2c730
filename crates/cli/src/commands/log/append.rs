//! `chancery log append`.

use std::io::{BufRead as _, BufReader, Read as _};
use std::path::Path;
use std::process::ExitCode;
use std::time::Duration;

use anyhow::Context as _;
use chancery_api::append::{
    AppendClient, AppendError, AppendOptions, AppendTarget, Level, SubmittedEntry,
};
use chancery_audit::Content;
use serde::Serialize;
use tokio::sync::mpsc;

use super::write::now;
use crate::args::{AppendArgs, Format, Until};
use crate::commands::open;
use crate::output;
use crate::svid_files::SvidFiles;

/// The log is out of reach.
const UNREACHABLE: u8 = 3;

/// Entries whose acknowledgement is waited for.
const WAITING: usize = 4_096;

#[derive(Serialize)]
struct Told {
    origin: String,
    producer: String,
    entries: Vec<Entry>,
}

#[derive(Serialize)]
struct Entry {
    sequence: u64,
    index: u64,
    /// The size of a checkpoint that covers it.
    #[serde(skip_serializing_if = "Option::is_none")]
    covered: Option<u64>,
}

pub(super) async fn run(format: Format, args: AppendArgs) -> anyhow::Result<ExitCode> {
    let told = match append(&args).await {
        Ok(told) => told,
        Err(error) => {
            let unreachable = matches!(
                error.downcast_ref::<AppendError>(),
                Some(AppendError::Unreachable { .. })
            );
            if !unreachable {
                return Err(error);
            }
            output::say(format_args!("error: {}", output::causes(&error)));
            return Ok(ExitCode::from(UNREACHABLE));
        }
    };
    output::result(format, &told, || text(&told))?;
    Ok(ExitCode::SUCCESS)
}

async fn append(args: &AppendArgs) -> anyhow::Result<Told> {
    let options = AppendOptions {
        target: target(args)?,
        level: match args.until {
            Until::Durable => Level::Durable,
            Until::Published => Level::Published,
            Until::Witnessed => Level::Witnessed,
        },
        origin: args.origin.clone(),
        first: args.first,
        patience: Duration::from_secs(args.patience),
    };
    let client = AppendClient::connect(options).await?;
    let mut told = Told {
        origin: client.origin().to_owned(),
        producer: client.producer().to_owned(),
        entries: Vec::new(),
    };
    let (contents, mut read) = mpsc::channel(WAITING);
    let (file, whole) = (args.file.clone(), args.whole);
    let reading = tokio::task::spawn_blocking(move || read_entries(&file, whole, &contents));
    let (submitted, mut waiting) = mpsc::channel::<SubmittedEntry>(WAITING);
    let submitting = async move {
        while let Some(content) = read.recv().await {
            let entry = client.submit(content).await?;
            if submitted.send(entry).await.is_err() {
                break;
            }
        }
        anyhow::Ok(())
    };
    let acknowledging = async {
        while let Some(entry) = waiting.recv().await {
            let appended = entry.acknowledged().await?;
            told.entries.push(Entry {
                sequence: appended.sequence,
                index: appended.index,
                covered: (appended.covered > 0).then_some(appended.covered),
            });
        }
        anyhow::Ok(())
    };
    let (submitted, acknowledged) = tokio::join!(submitting, acknowledging);
    acknowledged?;
    submitted?;
    reading.await??;
    Ok(told)
}

fn target(args: &AppendArgs) -> anyhow::Result<AppendTarget> {
    if let (Some(socket), Some(producer)) = (args.socket.clone(), args.name.clone()) {
        return Ok(AppendTarget::Owner { socket, producer });
    }
    let (Some(server), Some(expected)) = (args.to.clone(), args.expect.clone()) else {
        anyhow::bail!("name the log: --socket and --name, or --to and --expect");
    };
    let files = SvidFiles::of(&args.svid, expected.trust_domain());
    let files = files.context("--to needs --svid, --key and --bundle")?;
    let (_, identity) = files.follow(now)?;
    Ok(AppendTarget::Tls {
        server,
        identity,
        expected,
    })
}

/// Reads what is to be appended, until nobody takes it any more.
fn read_entries(file: &Path, whole: bool, contents: &mpsc::Sender<Vec<u8>>) -> anyhow::Result<()> {
    let mut input = BufReader::new(open(file, u64::MAX)?);
    for line in 1_u64.. {
        let mut content = Vec::new();
        let most = Content::MAX_BYTES as u64 + 2;
        let mut limited = (&mut input).take(most);
        let read = match whole {
            true => limited.read_to_end(&mut content)?,
            false => limited.read_until(b'\n', &mut content)?,
        };
        if read == 0 && (line > 1 || !whole) {
            break;
        }
        if !whole && content.last() == Some(&b'\n') {
            content.pop();
        }
        anyhow::ensure!(
            Content::is_size(content.len()),
            "{}: line {line}: an entry has 1 to {} bytes; nothing behind the line before it was sent",
            file.display(),
            Content::MAX_BYTES
        );
        if contents.blocking_send(content).is_err() || whole {
            break;
        }
    }
    Ok(())
}

fn text(told: &Told) -> String {
    let (Some(first), Some(last)) = (told.entries.first(), told.entries.last()) else {
        return format!("{}: nothing was appended", told.origin);
    };
    let covered = match last.covered {
        Some(size) => format!("under a checkpoint of {size} entries"),
        None => "durable".to_owned(),
    };
    format!(
        "{}: {} entries of {}, sequences {} to {}, indices {} to {}, {covered}",
        told.origin,
        told.entries.len(),
        told.producer,
        first.sequence,
        last.sequence,
        first.index,
        last.index
    )
}
