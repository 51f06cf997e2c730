//! `chancery token`.

use std::io::Read as _;
use std::path::Path;
use std::process::ExitCode;

use anyhow::Context as _;
use chancery_agent::{DpopRequest, ExchangeRequest};
use chancery_api::oauth::{jwks, metadata};
use chancery_types::limits::MAX_JWS_BYTES;
use serde_json::{Value, json};

use super::connect::bridge;
use super::delegate::grant;
use crate::args::{ExchangeArgs, Format, KeysArgs, MetadataArgs, ProofArgs, TokenCommand};
use crate::output;

pub(super) async fn run(format: Format, command: TokenCommand) -> anyhow::Result<ExitCode> {
    match command {
        TokenCommand::Exchange(args) => exchange(format, args).await?,
        TokenCommand::Proof(args) => proof(format, args).await?,
        TokenCommand::Keys(args) => show(format, &keys(&args)?)?,
        TokenCommand::Metadata(args) => show(format, &described(&args)?)?,
    }
    Ok(ExitCode::SUCCESS)
}

async fn exchange(format: Format, args: ExchangeArgs) -> anyhow::Result<()> {
    let details = args.allow.iter().map(|text| grant(text));
    let details: Vec<_> = details.collect::<anyhow::Result<_>>()?;
    let request = ExchangeRequest {
        audience: args.audience,
        authorization_details: (!details.is_empty()).then_some(details),
        step: args.step,
    };
    let issued = bridge()?.exchange(&request).await?;
    output::result(format, &issued, || issued.access_token.clone())?;
    Ok(())
}

async fn proof(format: Format, args: ProofArgs) -> anyhow::Result<()> {
    let request = DpopRequest {
        method: args.method,
        url: args.url,
        access_token: token(&args.token)?,
        nonce: args.nonce,
    };
    let proof = bridge()?.prove_dpop(&request).await?;
    output::result(format, &json!({"dpop": proof}), || proof.clone())?;
    Ok(())
}

/// A token is a secret of sorts: from a file or standard input, never an argument.
fn token(file: &Path) -> anyhow::Result<String> {
    let shown = || file.display().to_string();
    let (mut text, most) = (String::new(), MAX_JWS_BYTES as u64 + 2);
    let read = super::open(file, most)?.read_to_string(&mut text);
    read.with_context(shown)?;
    Ok(text.trim().to_owned())
}

fn keys(args: &KeysArgs) -> anyhow::Result<Value> {
    let trust = super::layout(&args.data)?.trust()?;
    Ok(jwks(&trust.access_token_authorities))
}

fn described(args: &MetadataArgs) -> anyhow::Result<Value> {
    let trust = super::layout(&args.data)?.trust()?;
    let authority = trust.access_token_authorities.first();
    let authority = authority.context("the trust document names no authority for access tokens")?;
    Ok(metadata(authority, args.gateway.trim_end_matches('/')))
}

/// These documents are JSON for people too.
fn show(format: Format, document: &Value) -> anyhow::Result<()> {
    let text = serde_json::to_string_pretty(document)?;
    output::result(format, document, || text.clone())?;
    Ok(())
}
