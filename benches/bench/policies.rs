//! Decisions of policy bundles that differ in size only.

use std::collections::BTreeSet;
use std::fmt::Write as _;
use std::time::Instant;

use anyhow::ensure;
use chancery_policy::{
    Annotations, Bundle, Cause, Files, Index, Kind, Principal, Request, SessionFacts, Target,
    schema_text,
};
use serde_json::json;

use crate::chains::{AGENT, NOW};
use crate::options::Options;
use crate::report::{Report, Row, Section, time};
use crate::sample::{Subject, interleave};

/// Policies about one tool; a larger bundle has more tools.
const FOR_ONE_TOOL: usize = 10;
const SIZES: [usize; 3] = [10, 1_000, 10_000];

pub(crate) fn measure(options: &Options, report: &mut Report) -> anyhow::Result<()> {
    let mut bundles = Vec::new();
    let mut loading = Vec::new();
    for size in SIZES {
        let files = files(size)?;
        let begin = Instant::now();
        let bundle = Bundle::load(&files)?;
        let took = begin.elapsed();
        ensure!(bundle.policy_ids().count() == size);
        loading.push(format!("{size}: {}", time(took.as_nanos() as f64)));
        bundles.push(bundle);
    }
    let (arguments, grants) = (json!({"amount": 900}), BTreeSet::new());
    let instance = format!("{AGENT}/instance/1");
    let request = Request {
        principal: Principal {
            instance: &instance,
            agent: AGENT,
            principal: "person-1",
            mission: "mission-1",
            depth: 1,
            attestation_level: 1,
            isolated: true,
            asserted: false,
        },
        target: Target {
            kind: Kind::Tool,
            server: "s",
            name: "t0",
        },
        annotations: Annotations::default(),
        arguments: &arguments,
        session: SessionFacts::default(),
        now: NOW,
        grants: &grants,
    };
    let subject = |bundle| -> Subject<'_> {
        let (bundle, request): (&Bundle, _) = (bundle, &request);
        Box::new(move || {
            ensure!(bundle.decide(request).cause == Cause::Permit);
            Ok(())
        })
    };
    let mut subjects: Vec<_> = bundles.iter().map(subject).collect();
    let measured = interleave(options.arithmetic(), &mut subjects)?;
    let mut section = Section::new("policy decisions");
    let Some(smallest) = measured.first() else {
        anyhow::bail!("a measurement is missing")
    };
    for (size, series) in SIZES.iter().zip(&measured) {
        let name = format!("Bundle::decide, {size} policies");
        section.row(match *size {
            FOR_ONE_TOOL => Row::alone(name, series),
            _ => Row::beside(name, series, "10 policies", smallest),
        });
    }
    section.remark(format!(
        "{FOR_ONE_TOOL} policies speak of the tool that is asked about, in every size; loaded once: {}",
        loading.join(", ")
    ));
    report.push(section);
    Ok(())
}

/// A bundle of `size` policies: one permit and nine forbids that do not match, for each tool.
fn files(size: usize) -> anyhow::Result<Files> {
    let mut text = String::new();
    let mut tools = serde_json::Map::new();
    for tool in 0..size / FOR_ONE_TOOL {
        tools.insert(format!("s/t{tool}"), json!({"args": {"amount": "long"}}));
        let action = format!("action == Chancery::Action::\"s/t{tool}\"");
        writeln!(
            text,
            "@id(\"p{tool}\") permit (principal, {action}, resource) when {{ context.args.amount <= 1000 }};"
        )?;
        for more in 1..FOR_ONE_TOOL {
            writeln!(
                text,
                "@id(\"f{tool}-{more}\") forbid (principal, {action}, resource) when {{ context.args.amount > {} && principal.depth < {more} }};",
                more * 1_000
            )?;
        }
    }
    let index = json!({"name": "sized", "version": 1, "tools": tools});
    let mut files = Files::from([
        ("bundle.json".to_owned(), index.to_string().into_bytes()),
        ("policies.cedar".to_owned(), text.into_bytes()),
    ]);
    let schema = schema_text(&Index::parse(&files)?);
    files.insert("schema.cedarschema".to_owned(), schema.into_bytes());
    Ok(files)
}
