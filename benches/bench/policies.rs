//! Decisions of policy bundles that differ in size only, beside engines that have no index.

use std::collections::BTreeSet;
use std::fmt::Write as _;
use std::num::NonZeroUsize;
use std::time::Instant;

use anyhow::{Context as _, ensure};
use cedar_policy::{Authorizer, Context, Decision, Entities, EntityUid, PolicySet, Schema};
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
const SIZES: [usize; 4] = [10, 100, 1_000, 10_000];

pub(crate) fn measure(options: &Options, report: &mut Report) -> anyhow::Result<()> {
    let (mut bundles, mut wholes, mut engines) = (Vec::new(), Vec::new(), Vec::new());
    let mut loading = Vec::new();
    for size in SIZES {
        let files = files(size)?;
        let begin = Instant::now();
        let bundle = Bundle::load(&files)?;
        let took = begin.elapsed();
        ensure!(bundle.policy_ids().count() == size);
        loading.push(format!("{size}: {}", time(took.as_nanos() as f64)));
        bundles.push(bundle);
        wholes.push(Whole::new(&files)?);
        engines.push(rego(size)?);
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
    let mut subjects: Vec<Subject<'_>> = Vec::new();
    for bundle in &bundles {
        let request = &request;
        subjects.push(Box::new(move || {
            ensure!(bundle.decide(request).cause == Cause::Permit);
            Ok(())
        }));
    }
    for whole in &wholes {
        subjects.push(Box::new(|| whole.decide()));
    }
    for engine in &mut engines {
        subjects.push(Box::new(|| {
            engine.set_input(regorus::Value::from_json_str(REGO_INPUT)?);
            let decision = engine.eval_rule("data.sized.decision".to_owned())?;
            ensure!(decision == regorus::Value::from(true));
            Ok(())
        }));
    }
    let measured = interleave(options.arithmetic(), &mut subjects)?;
    let mut section = Section::new("policy decisions");
    let (ours, others) = measured.split_at_checked(SIZES.len()).unwrap_or_default();
    let Some(smallest) = ours.first() else {
        anyhow::bail!("a measurement is missing")
    };
    for (size, series) in SIZES.iter().zip(ours) {
        let name = format!("Bundle::decide, {size} policies");
        section.row(match *size {
            FOR_ONE_TOOL => Row::alone(name, series),
            _ => Row::beside(name, series, "10 policies", smallest),
        });
    }
    let names = ["Cedar, the whole set", "regorus"];
    for (name, series) in names.iter().zip(others.chunks(SIZES.len())) {
        for ((size, series), ours) in SIZES.iter().zip(series).zip(ours) {
            section.row(Row::beside(
                format!("{name}, {size} policies"),
                series,
                "Bundle::decide",
                ours,
            ));
        }
    }
    section.remark(format!(
        "{FOR_ONE_TOOL} policies speak of the tool that is asked about, in every size; loaded once: {}",
        loading.join(", ")
    ));
    section.remark(
        "Bundle::decide builds entities and typed context of each request, Cedar and regorus are handed \
         them: Cedar its finished request, regorus its input as JSON",
    );
    report.push(section);
    Ok(())
}

/// Cedar by itself: all policies in one set, entities and request built once.
struct Whole {
    policies: PolicySet,
    request: cedar_policy::Request,
    entities: Entities,
}

impl Whole {
    fn new(files: &Files) -> anyhow::Result<Self> {
        let text = |path: &str| -> anyhow::Result<&str> {
            let bytes = files.get(path).context("a file of the bundle")?;
            Ok(std::str::from_utf8(bytes)?)
        };
        let schema = Schema::from_cedarschema_str(text("schema.cedarschema")?)?.0;
        let instance = format!("{AGENT}/instance/1");
        let entities = json!([
            {"uid": {"type": "Chancery::Instance", "id": instance}, "attrs": {
                "agent": AGENT, "principal": "person-1", "mission": "mission-1", "depth": 1,
                "attestation_level": 1, "isolated": true, "asserted": false,
            }, "parents": [{"type": "Chancery::Agent", "id": AGENT}]},
            {"uid": {"type": "Chancery::Tool", "id": "s/t0"}, "attrs": {
                "server": "s", "name": "t0", "read_only": false, "destructive": false,
            }, "parents": [{"type": "Chancery::Server", "id": "s"}]},
        ]);
        let context = json!({
            "args": {"amount": 900},
            "session": {
                "calls": 0, "cost_micros": 0, "denied": 0, "escalated": 0, "minutes": 0,
                "rows": 0, "resources": 0, "trust": 0, "tainted": false,
            },
            "now": {"__extn": {"fn": "datetime", "arg": "2027-01-15T08:00:00Z"}},
        });
        let action: EntityUid = "Chancery::Action::\"s/t0\"".parse()?;
        let context = Context::from_json_value(context, Some((&schema, &action)))?;
        Ok(Self {
            policies: text("policies.cedar")?.parse()?,
            request: cedar_policy::Request::new(
                format!("Chancery::Instance::\"{instance}\"").parse()?,
                action,
                "Chancery::Tool::\"s/t0\"".parse()?,
                context,
                Some(&schema),
            )?,
            entities: Entities::from_json_value(entities, Some(&schema))?,
        })
    }

    fn decide(&self) -> anyhow::Result<()> {
        let answer = Authorizer::new().is_authorized(&self.request, &self.policies, &self.entities);
        ensure!(answer.decision() == Decision::Allow);
        Ok(())
    }
}

/// What the same policies see of the same call.
const REGO_INPUT: &str =
    r#"{"action": "s/t0", "args": {"amount": 900}, "principal": {"depth": 1}}"#;

/// The same policies as rules of Rego: allowed where one allows and none denies.
fn rego(size: usize) -> anyhow::Result<regorus::Engine> {
    let mut text = "package sized\n\ndecision if {\n  allow\n  not deny\n}\n".to_owned();
    for tool in 0..size / FOR_ONE_TOOL {
        let action = format!("input.action == \"s/t{tool}\"");
        writeln!(
            text,
            "allow if {{\n  {action}\n  input.args.amount <= 1000\n}}"
        )?;
        for more in 1..FOR_ONE_TOOL {
            let amount = more * 1_000;
            writeln!(
                text,
                "deny if {{\n  {action}\n  input.args.amount > {amount}\n  input.principal.depth < {more}\n}}"
            )?;
        }
    }
    let mut engine = regorus::Engine::new();
    // Ten thousand rules are more than the file that it takes unasked.
    engine.set_policy_length_config(regorus::PolicyLengthConfig {
        max_file_bytes: const { NonZeroUsize::new(16 << 20).unwrap() },
        max_lines: const { NonZeroUsize::new(1_000_000).unwrap() },
        ..regorus::PolicyLengthConfig::default()
    });
    engine.add_policy("sized.rego".to_owned(), text)?;
    Ok(engine)
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
