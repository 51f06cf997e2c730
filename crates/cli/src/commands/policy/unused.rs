//! `chancery policy unused`: what a bundle grants and recorded calls never used.

use std::collections::BTreeMap;

use chancery_policy::{Effect, Place};
use chancery_types::Digest;
use serde::Serialize;

use super::{load, recorded};
use crate::args::{Format, PolicyUnusedArgs};
use crate::deployment::read_trust;
use crate::output;

/// What became of a bundle's policies over recorded calls.
#[derive(Debug, Serialize)]
struct Used {
    policy: Digest,
    /// Recorded calls that policy was asked about.
    asked: u64,
    /// How many of them each policy determines.
    determines: BTreeMap<String, u64>,
    /// The permits and asks that determine none.
    unused: Vec<Unused>,
}

/// A permit or an ask that nobody used.
#[derive(Debug, Serialize)]
struct Unused {
    id: String,
    effect: Effect,
    place: Place,
    #[serde(skip_serializing_if = "Option::is_none")]
    reason: Option<String>,
}

pub(super) fn run(format: Format, args: &PolicyUnusedArgs) -> anyhow::Result<()> {
    let bundle = load(&args.folder)?;
    let trust = read_trust(&args.trust)?;
    let (mut asked, mut determines) = (0, BTreeMap::<String, u64>::new());
    for evidence in &args.evidence {
        for one in recorded(evidence, &trust)?.asked {
            asked += 1;
            for id in bundle.decide(&one.question.request()).determining {
                *determines.entry(id).or_default() += 1;
            }
        }
    }
    let grants = bundle
        .effects()
        .filter(|(id, effect)| *effect != Effect::Forbid && !determines.contains_key(*id));
    let unused = grants.map(|(id, effect)| Unused {
        id: id.to_owned(),
        effect,
        place: bundle.place(id),
        reason: bundle.reason(id).map(str::to_owned),
    });
    let used = Used {
        policy: bundle.digest(),
        asked,
        unused: unused.collect(),
        determines,
    };
    output::result(format, &used, || used.shown())
}

impl Used {
    fn shown(&self) -> String {
        if self.unused.is_empty() {
            return format!(
                "{} calls; every permit and ask determined one of them",
                self.asked
            );
        }
        let rows = self.unused.iter().map(|one| {
            [
                one.id.clone(),
                one.effect.name().to_owned(),
                one.place.to_string(),
                one.reason.clone().unwrap_or_default(),
            ]
        });
        let table = output::table(["granted and not used", "effect", "place", "reason"], rows);
        format!("{} calls\n{table}", self.asked)
    }
}
