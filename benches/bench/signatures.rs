//! Chains and proofs beside the bare signatures that they rest on.

use anyhow::ensure;
use chancery_crypto::{AwsLc, SigningKey};
use chancery_delegation::{Call, Target};
use chancery_types::{Algorithm, SignatureVerifier as _};
use serde_json::{Value, json};

use crate::chains::{Parties, SERVER, TOOL, instance, verify};
use crate::options::Options;
use crate::report::{Report, Row, Section};
use crate::sample::{Subject, interleave};

const LONG: usize = 3;

pub(crate) fn measure(options: &Options, report: &mut Report) -> anyhow::Result<()> {
    let parties = Parties::new(LONG)?;
    let (one, three) = (parties.chain(1)?, parties.chain(LONG)?);
    let verified = parties.verify(&three)?;
    let args = json!({"path": "/reports/2026/march.csv"});
    let Value::Object(args) = args else {
        anyhow::bail!("arguments are an object")
    };
    let call = Call {
        server: SERVER,
        target: Target::Tool(TOOL),
        args: &args,
    };
    let proof = parties.proof(LONG - 1, &verified, call)?;
    let peer = instance(LONG - 1)?;
    // As long as a link's signing input.
    let message = one.concat().into_bytes();
    let raw = |algorithm| -> anyhow::Result<Subject<'_>> {
        let key = SigningKey::generate(algorithm)?;
        let (signature, message) = (key.sign(&message)?, &message);
        Ok(Box::new(move || {
            ensure!(AwsLc.verify(key.public(), message, &signature));
            Ok(())
        }))
    };
    let mut subjects: Vec<Subject<'_>> = vec![
        raw(Algorithm::Ed25519)?,
        raw(Algorithm::Es256)?,
        Box::new(|| parties.verify(&one).map(drop)),
        Box::new(|| parties.verify(&three).map(drop)),
        Box::new(|| verify(&proof, &verified, &peer, call).map(drop)),
        Box::new(|| parties.proof(LONG - 1, &verified, call).map(drop)),
    ];
    let measured = interleave(options.arithmetic(), &mut subjects)?;
    let [ed25519, es256, chain_1, chain_3, proof, sign] = measured.as_slice() else {
        anyhow::bail!("a measurement is missing")
    };
    let mut section = Section::new("chains and proofs (Ed25519)");
    section.row(Row::alone("raw Ed25519 verify", ed25519));
    section.row(Row::alone("raw ES256 verify", es256));
    let row = |name, time, links: u8| {
        let floor = format!("{links} x raw Ed25519");
        Row::beside(name, time, floor, &ed25519.times(f64::from(links)))
    };
    section.row(row("verify_chain, 1 link", chain_1, 1));
    section.row(row("verify_chain, 3 links", chain_3, 3));
    section.row(row("verify_proof", proof, 1));
    section.row(Row::alone("a proof made by the holder", sign));
    section.remark(format!(
        "{} bytes are verified raw: a root of {} bytes, a chain of {} bytes",
        message.len(),
        one.concat().len(),
        three.concat().len()
    ));
    report.push(section);
    Ok(())
}
