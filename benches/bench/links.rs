//! Chains link by link, cold and with a proof, beside the same number of bare signatures.

use anyhow::{Context as _, ensure};
use chancery_crypto::{AwsLc, SigningKey};
use chancery_delegation::{Call, RevocationSet, Standing, Target, authorise};
use chancery_types::{Algorithm, SignatureVerifier as _};
use serde_json::{Map, Value};

use crate::chains::{NOW, Parties, SERVER, TOOL, instance, verify};
use crate::options::Options;
use crate::report::{Report, Row, Section};
use crate::sample::{Series, Subject, interleave};

/// A root and as many links below it.
const MOST: usize = 5;

/// What the goal adds to the signatures: five microseconds.
const ALLOWANCE_NANOS: f64 = 5_000.0;

pub(crate) fn measure(options: &Options, report: &mut Report) -> anyhow::Result<()> {
    let parties = Parties::new(MOST)?;
    let chains = (1..=MOST).map(|links| parties.chain(links));
    let chains = chains.collect::<anyhow::Result<Vec<_>>>()?;
    let args = Map::from_iter([("path".to_owned(), Value::from("/reports/2026/march.csv"))]);
    let call = Call {
        server: SERVER,
        target: Target::Tool(TOOL),
        args: &args,
    };
    // A root and three links: what the goal with a proof is stated for.
    let holder = 3;
    let deep = chains.get(holder).context("a chain is missing")?;
    let verified = parties.verify(deep)?;
    let proof = parties.proof(holder, &verified, call)?;
    let peer = instance(holder)?;
    let key = SigningKey::generate(Algorithm::Ed25519)?;
    // As long as a link's signing input.
    let root = chains.first().context("a chain is missing")?;
    let message = root.concat().into_bytes();
    let signature = key.sign(&message)?;
    let standing = Standing {
        now: NOW,
        epoch: 1,
        revoked: RevocationSet::none(),
    };
    let mut subjects: Vec<Subject<'_>> = vec![Box::new(|| {
        ensure!(AwsLc.verify(key.public(), &message, &signature));
        Ok(())
    })];
    for chain in &chains {
        let parties = &parties;
        subjects.push(Box::new(move || {
            let verified = parties.verify(chain)?;
            ensure!(authorise(&verified, &call).covered().is_ok());
            Ok(())
        }));
    }
    subjects.push(Box::new(|| {
        let chain = parties.verify(deep)?;
        verify(&proof, &chain, &peer, call)?;
        ensure!(authorise(&chain, &call).covered().is_ok());
        Ok(())
    }));
    subjects.push(Box::new(|| {
        verified
            .recheck(&standing)
            .map_err(|refusal| anyhow::anyhow!("{}", refusal.reason))?;
        verify(&proof, &verified, &peer, call)?;
        ensure!(authorise(&verified, &call).covered().is_ok());
        Ok(())
    }));
    let measured = interleave(options.arithmetic(), &mut subjects)?;
    let [raw, cold @ .., proven, warm] = measured.as_slice() else {
        anyhow::bail!("a measurement is missing")
    };
    let mut section = Section::new("chains link by link (Ed25519), with scope");
    section.row(Row::alone("raw Ed25519 verify", raw));
    let mut row = |name: String, time: &Series, signatures: usize| {
        let floor = raw.times(signatures as f64);
        section.row(Row::beside(
            name,
            time,
            format!("{signatures} x raw"),
            &floor,
        ));
    };
    for (links, time) in (1..).zip(cold) {
        row(format!("cold, {}", shape(links)), time, links);
    }
    row(format!("cold with proof, {}", shape(4)), proven, 5);
    row("warm: recheck, proof, scope".to_owned(), warm, 1);
    for (links, time) in (1..).zip(cold) {
        let goal = raw
            .times(1.2 * links as f64)
            .with(raw, |goal, _| goal + ALLOWANCE_NANOS);
        section.remark(verdict(&shape(links), time, &goal, "1.2 n x raw + 5 us"));
    }
    section.remark(verdict("warm", warm, &raw.times(1.3), "1.3 x raw"));
    let bytes: Vec<usize> = chains.iter().map(|chain| chain.join(",").len()).collect();
    section.remark(format!(
        "bytes of a chain of 1 to {MOST} links: {bytes:?}; of the proof: {}; {} bytes are verified raw",
        proof.len(),
        message.len()
    ));
    report.push(section);
    Ok(())
}

fn shape(links: usize) -> String {
    match links {
        1 => "root".to_owned(),
        links => format!("root + {}", links - 1),
    }
}

/// Whether the goal is met, by the median of the rounds' own ratios.
fn verdict(name: &str, time: &Series, goal: &Series, said: &str) -> String {
    let ratio = time.with(goal, |time, goal| time / goal).median();
    let word = if ratio <= 1.0 { "met" } else { "missed" };
    format!("{name}: goal {said} {word}: {ratio:.2} of it")
}
