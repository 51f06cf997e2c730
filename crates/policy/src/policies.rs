//! The policies of a bundle: parsed, named, validated.

use std::collections::BTreeMap;
use std::error::Error;

use cedar_policy::{Effect, Policy, PolicyId, PolicySet, Schema, ValidationMode, Validator};
use miette::Diagnostic;

use crate::vocabulary::Vocabulary;
use crate::{BundleError, Files, Index, Place, files};

/// Most policies of a bundle.
pub const MAX_POLICIES: usize = 20_000;

/// The validated policies: rules (forbid and permit) and asks.
#[derive(Debug, Clone)]
pub(crate) struct Policies {
    pub(crate) rules: Vec<Policy>,
    pub(crate) asks: Vec<Policy>,
    pub(crate) reasons: BTreeMap<String, String>,
    /// Where each policy begins.
    pub(crate) places: BTreeMap<String, Place>,
}

/// Reads every policy file, in the order of their paths.
pub(crate) fn load(
    files: &Files,
    index: &Index,
    schema: &Schema,
    vocabulary: &Vocabulary,
) -> Result<Policies, BundleError> {
    let mut loaded = Policies {
        rules: Vec::new(),
        asks: Vec::new(),
        reasons: BTreeMap::new(),
        places: BTreeMap::new(),
    };
    for path in files.keys().filter(|path| files::is_policy(path)) {
        let text = files::text(files, path)?;
        for policy in parse(path, text)? {
            let place = policy_place(path, text, &policy);
            let named = name(&policy, &place)?;
            if loaded.places.len() >= MAX_POLICIES {
                return Err(BundleError::TooManyPolicies);
            }
            if let Some(other) = loaded.places.insert(named.id.clone(), place.clone()) {
                return Err(BundleError::DuplicateId {
                    place,
                    id: named.id,
                    other,
                });
            }
            let policy = policy.new_id(PolicyId::new(&named.id));
            check_tools(&policy, &named.id, &place, index, vocabulary)?;
            if let Some(reason) = named.reason {
                loaded.reasons.insert(named.id, reason);
            }
            if named.ask {
                loaded.asks.push(policy);
            } else {
                loaded.rules.push(policy);
            }
        }
    }
    validate(files, &loaded, schema)?;
    Ok(loaded)
}

fn parse(path: &str, text: &str) -> Result<Vec<Policy>, BundleError> {
    let set: PolicySet =
        text.parse()
            .map_err(|error: cedar_policy::ParseErrors| BundleError::Syntax {
                place: first_place(path, text, &error),
                problem: with_sources(&error),
            })?;
    if let Some(template) = set.templates().next() {
        let offset = template.as_ref().loc().map_or(0, |loc| loc.start());
        return Err(BundleError::Template(Place::at(path, text, offset)));
    }
    let mut policies: Vec<Policy> = set.policies().cloned().collect();
    policies.sort_by_key(offset);
    Ok(policies)
}

struct Named {
    id: String,
    ask: bool,
    reason: Option<String>,
}

fn name(policy: &Policy, place: &Place) -> Result<Named, BundleError> {
    let mut known: BTreeMap<&str, &str> = policy.annotations().collect();
    let id = known
        .remove("id")
        .ok_or_else(|| BundleError::NoId(place.clone()))?;
    if !is_id(id) {
        return Err(BundleError::BadId(place.clone()));
    }
    let ask = match (known.remove("effect"), policy.effect()) {
        (None, _) => false,
        (Some("ask"), Effect::Permit) => true,
        (Some(_), _) => return Err(BundleError::BadEffect(place.clone())),
    };
    let reason = known.remove("reason").map(str::to_owned);
    if let Some(name) = known.into_keys().next() {
        return Err(BundleError::UnknownAnnotation {
            place: place.clone(),
            name: name.to_owned(),
        });
    }
    Ok(Named {
        id: id.to_owned(),
        ask,
        reason,
    })
}

fn is_id(text: &str) -> bool {
    text.len() <= 128
        && text
            .bytes()
            .next()
            .is_some_and(|first| first.is_ascii_alphanumeric())
        && text
            .bytes()
            .all(|byte| byte.is_ascii_alphanumeric() || b"._-".contains(&byte))
}

/// A tool that is spelled wrong types well and never matches: a forbid on it would be no forbid.
fn check_tools(
    policy: &Policy,
    id: &str,
    place: &Place,
    index: &Index,
    vocabulary: &Vocabulary,
) -> Result<(), BundleError> {
    policy
        .entity_literals()
        .iter()
        .filter(|literal| literal.type_name() == &vocabulary.tool)
        .map(|literal| literal.id().unescaped())
        .find(|tool| !index.tools().contains_key(*tool))
        .map_or(Ok(()), |tool| {
            Err(BundleError::UnknownTool {
                place: place.clone(),
                id: id.to_owned(),
                tool: tool.to_owned(),
            })
        })
}

/// Strict validation; warnings (a policy that can never match, look-alike letters) refuse too.
fn validate(files: &Files, policies: &Policies, schema: &Schema) -> Result<(), BundleError> {
    let invalid = |id: &str, problem: String, diagnostic: Option<&dyn Diagnostic>| {
        let place = policies.places.get(id).map_or_else(
            || Place::file(id),
            |place| match (
                diagnostic.and_then(first_offset),
                files::text(files, place.path()),
            ) {
                (Some(offset), Ok(text)) => Place::at(place.path(), text, offset),
                _ => place.clone(),
            },
        );
        BundleError::Invalid {
            place,
            id: id.to_owned(),
            problem,
        }
    };
    let all = policies.rules.iter().chain(&policies.asks).cloned();
    let set = PolicySet::from_policies(all)
        .map_err(|error| invalid("policies", error.to_string(), None))?;
    let result = Validator::new(schema.clone()).validate(&set, ValidationMode::Strict);
    let mut found: Vec<BundleError> = result
        .validation_errors()
        .map(|error| invalid(error.policy_id().as_ref(), with_sources(error), Some(error)))
        .chain(result.validation_warnings().map(|warning| {
            invalid(
                warning.policy_id().as_ref(),
                with_sources(warning),
                Some(warning),
            )
        }))
        .collect();
    found.sort_by_key(ToString::to_string);
    found.into_iter().next().map_or(Ok(()), Err)
}

fn policy_place(path: &str, text: &str, policy: &Policy) -> Place {
    Place::at(path, text, offset(policy))
}

fn offset(policy: &Policy) -> usize {
    policy.as_ref().loc().map_or(0, |loc| loc.start())
}

/// The place of the first label of a diagnostic; the file when it has none.
pub(crate) fn first_place(path: &str, text: &str, diagnostic: &dyn Diagnostic) -> Place {
    first_offset(diagnostic).map_or_else(|| Place::file(path), |at| Place::at(path, text, at))
}

/// An error and its sources in one line.
pub(crate) fn with_sources(error: &dyn Error) -> String {
    let mut text = error.to_string();
    let mut next = error.source();
    while let Some(source) = next {
        let more = source.to_string();
        if !text.contains(&more) {
            text = format!("{text}: {more}");
        }
        next = source.source();
    }
    text
}

fn first_offset(diagnostic: &dyn Diagnostic) -> Option<usize> {
    diagnostic
        .labels()
        .and_then(|mut labels| labels.next())
        .map(|label| label.offset())
        .or_else(|| diagnostic.diagnostic_source().and_then(first_offset))
        .or_else(|| {
            let mut related = diagnostic.related()?;
            related.find_map(first_offset)
        })
}
