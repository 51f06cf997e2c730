//! Biscuits of as many blocks as our chains have links, with the same scope and the same call.
//!
//! They are not the same thing: a biscuit is borne by whoever has it, its blocks name nobody, and
//! nothing here proves possession. What is compared is what a verifier does before it says yes.

use std::time::Duration;

use anyhow::ensure;
use biscuit_auth::AuthorizerLimits;
use biscuit_auth::builder::{AuthorizerBuilder, BiscuitBuilder, BlockBuilder};
use biscuit_auth::{Biscuit, KeyPair, PublicKey};
use chancery_delegation::{Call, Target, authorise};
use serde_json::{Map, Value};

use crate::chains::{Parties, SERVER, TOOL};
use crate::options::Options;
use crate::report::{Report, Row, Section};
use crate::sample::{Subject, interleave};

/// A root and as many blocks below it, by their number.
const SHAPES: [usize; 3] = [1, 2, 4];

const PATH: &str = "/reports/2026/march.csv";

pub(crate) fn measure(options: &Options, report: &mut Report) -> anyhow::Result<()> {
    let parties = Parties::new(4)?;
    let root = KeyPair::new();
    let mut chains = Vec::new();
    let mut biscuits = Vec::new();
    for links in SHAPES {
        chains.push(parties.chain(links)?);
        biscuits.push(biscuit(&root, links)?);
    }
    let args = Map::from_iter([("path".to_owned(), Value::from(PATH))]);
    let call = Call {
        server: SERVER,
        target: Target::Tool(TOOL),
        args: &args,
    };
    let public = root.public();
    let mut subjects: Vec<Subject<'_>> = Vec::new();
    for (chain, biscuit) in chains.iter().zip(&biscuits) {
        let parties = &parties;
        subjects.push(Box::new(move || {
            let chain = parties.verify(chain)?;
            ensure!(authorise(&chain, &call).covered().is_ok());
            Ok(())
        }));
        subjects.push(Box::new(move || permits(biscuit, public)));
    }
    let measured = interleave(options.arithmetic(), &mut subjects)?;
    let mut section = Section::new("beside biscuit-auth 6");
    for (links, pair) in SHAPES.into_iter().zip(measured.chunks(2)) {
        let [ours, theirs] = pair else {
            anyhow::bail!("a measurement is missing")
        };
        let name = format!("biscuit, root + {}", links - 1);
        section.row(Row::alone(name.clone(), theirs));
        let own = format!("chain, root + {}", links - 1);
        section.row(Row::beside(own, ours, name, theirs));
    }
    let bytes = |sizes: Vec<usize>| format!("{sizes:?}");
    section.remark(format!(
        "bytes of chains: {}; of biscuits in base64: {}",
        bytes(chains.iter().map(|chain| chain.join(",").len()).collect()),
        bytes(
            biscuits
                .iter()
                .map(|biscuit| biscuit.len().div_ceil(3) * 4)
                .collect()
        ),
    ));
    section.remark("a biscuit's blocks name no holder; a chain's links do, and carry its key");
    report.push(section);
    Ok(())
}

/// A token that was narrowed as often as a chain has links below its root.
fn biscuit(root: &KeyPair, links: usize) -> anyhow::Result<Vec<u8>> {
    let code = format!(
        r#"right("{SERVER}", "{TOOL}", "/reports"); check if time($t), $t < 2030-01-01T00:00:00Z;"#
    );
    let mut token = BiscuitBuilder::new().code(code)?.build(root)?;
    for _ in 1..links {
        let block = format!(
            r#"check if operation("{SERVER}", "{TOOL}"), path($p), $p.starts_with("/reports/");
               check if time($t), $t < 2030-01-01T00:00:00Z;"#
        );
        token = token.append(BlockBuilder::new().code(block)?)?;
    }
    Ok(token.to_vec()?)
}

fn permits(token: &[u8], root: PublicKey) -> anyhow::Result<()> {
    let token = Biscuit::from(token, root)?;
    let code = format!(
        r#"operation("{SERVER}", "{TOOL}"); path("{PATH}"); time(2027-01-15T08:00:00Z);
           allow if right("{SERVER}", "{TOOL}", $prefix), path($p), $p.starts_with($prefix);"#
    );
    // Its limit of a millisecond is passed where another process gets the processor in between.
    let limits = AuthorizerLimits {
        max_time: Duration::from_secs(1),
        ..AuthorizerLimits::default()
    };
    let authorizer = AuthorizerBuilder::new().code(code)?.set_limits(limits);
    authorizer.build(&token)?.authorize()?;
    Ok(())
}
