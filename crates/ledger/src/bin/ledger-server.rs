//! The ledger as a program of its own: `ledger-server load DB FOLDER` or `ledger-server serve DB`.

use std::error::Error;
use std::ffi::OsString;
use std::io::Write as _;
use std::path::Path;
use std::process::ExitCode;

#[tokio::main(flavor = "current_thread")]
async fn main() -> ExitCode {
    let arguments = std::env::args_os().skip(1).collect::<Vec<_>>();
    match run(&arguments).await {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            // Nobody is left to tell when standard error is closed.
            let _ = writeln!(std::io::stderr(), "ledger-server: {error}");
            ExitCode::FAILURE
        }
    }
}

async fn run(arguments: &[OsString]) -> Result<(), Box<dyn Error>> {
    match arguments {
        [command, db, folder] if command == "load" => {
            Ok(chancery_ledger::load(Path::new(db), Path::new(folder)).await?)
        }
        [command, db] if command == "serve" => Ok(chancery_ledger::serve(Path::new(db)).await?),
        _ => Err("usage: ledger-server load DB FOLDER | ledger-server serve DB".into()),
    }
}
