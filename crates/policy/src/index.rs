//! `bundle.json`: the name and version of a bundle and the tools that it speaks of.

use std::collections::BTreeMap;

use chancery_types::{parse_strict, to_canonical};
use serde::Deserialize;

use crate::tool::{Argument, CostUnit, Tool};
use crate::{ArgType, BundleError, Files, Place, files};

/// The file that names the bundle and its tools.
pub const BUNDLE_FILE: &str = "bundle.json";

/// The file that types what policies see.
pub const SCHEMA_FILE: &str = "schema.cedarschema";

/// The file of the rules for delegations, which are nothing to policies: it travels in the bundle and
/// is read by those who know of delegations.
pub const DELEGATION_FILE: &str = "delegation.json";

/// The file of the rules for sessions, which travels in the bundle in the same way.
pub const SESSION_FILE: &str = "session.json";

/// The content of `bundle.json`:
///
/// ```json
/// {"name": "payments", "version": 3, "tools": {"bank/pay": {
///   "args": {"amount": "long", "memo": "string?"}, "clear": ["amount"],
///   "cost_arg": "amount", "cost_unit": "cents"}}}
/// ```
///
/// An argument is `long`, `string` or `bool`; a question mark behind it says that a call may leave
/// it out. `cost_unit` is `micros` where it is not given.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Index {
    name: String,
    version: u64,
    tools: BTreeMap<String, Tool>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Document {
    name: String,
    version: u64,
    tools: BTreeMap<String, ToolDocument>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct ToolDocument {
    #[serde(default)]
    args: BTreeMap<String, String>,
    #[serde(default)]
    clear: Vec<String>,
    cost_arg: Option<String>,
    cost_unit: Option<Unit>,
}

#[derive(Deserialize, Clone, Copy)]
#[serde(rename_all = "lowercase")]
enum Unit {
    Micros,
    Cents,
}

impl Index {
    /// Reads and checks `bundle.json`.
    pub fn parse(files: &Files) -> Result<Self, BundleError> {
        let text = files::text(files, BUNDLE_FILE)?;
        let value = parse_strict(text.as_bytes()).map_err(|error| refused(error.to_string()))?;
        to_canonical(&value).map_err(|error| refused(error.to_string()))?;
        let document: Document =
            serde_json::from_value(value).map_err(|error| refused(error.to_string()))?;
        if !is_name(&document.name, 128, b"._-") {
            return Err(refused(
                "name: use 1 to 128 letters, digits, dots, dashes and underscores".to_owned(),
            ));
        }
        let tools = document
            .tools
            .into_iter()
            .map(|(name, tool)| {
                check_tool_name(&name)?;
                let tool = tool.check(&name)?;
                Ok((name, tool))
            })
            .collect::<Result<_, BundleError>>()?;
        Ok(Self {
            name: document.name,
            version: document.version,
            tools,
        })
    }

    /// The name of the bundle.
    pub fn name(&self) -> &str {
        &self.name
    }

    /// Its version; a later one is larger.
    pub const fn version(&self) -> u64 {
        self.version
    }

    /// The tools by `server/tool`.
    pub const fn tools(&self) -> &BTreeMap<String, Tool> {
        &self.tools
    }
}

impl ToolDocument {
    fn check(self, tool: &str) -> Result<Tool, BundleError> {
        let problem = |text: String| refused(format!("tools.{tool}: {text}"));
        let mut args = BTreeMap::new();
        for (name, text) in self.args {
            let plain = name.len() <= 128
                && !name.is_empty()
                && name
                    .bytes()
                    .all(|byte| byte.is_ascii_graphic() && !b"\"\\".contains(&byte));
            let argument = Argument::parse(&text).filter(|_| plain).ok_or_else(|| {
                problem(format!(
                    "args.{name}: use a plain name, and long, string or bool, with ? when it may be absent"
                ))
            })?;
            args.insert(name, argument);
        }
        for name in &self.clear {
            if !args.contains_key(name) {
                return Err(problem(format!(
                    "clear: {name:?} is not one of its args: declare it"
                )));
            }
        }
        let cost = match (self.cost_arg, self.cost_unit) {
            (None, None) => None,
            (None, Some(_)) => {
                return Err(problem("cost_unit without cost_arg: add it".to_owned()));
            }
            (Some(name), unit) => {
                let required_long = args
                    .get(&name)
                    .is_some_and(|arg| arg.kind() == ArgType::Long && !arg.is_optional());
                if !required_long {
                    return Err(problem(format!(
                        "cost_arg: {name:?} is not one of its args of type long: declare it"
                    )));
                }
                let unit = match unit {
                    None | Some(Unit::Micros) => CostUnit::Micros,
                    Some(Unit::Cents) => CostUnit::Cents,
                };
                Some((name, unit))
            }
        };
        Ok(Tool {
            args,
            clear: self.clear,
            cost,
        })
    }
}

fn check_tool_name(name: &str) -> Result<(), BundleError> {
    name.split_once('/')
        .filter(|(server, tool)| is_name(server, 64, b"._-") && is_name(tool, 128, b"._-/:"))
        .map(|_| ())
        .ok_or_else(|| {
            refused(format!(
                "tools.{name}: write server/tool in letters, digits, dots, dashes and underscores"
            ))
        })
}

fn is_name(text: &str, most: usize, others: &[u8]) -> bool {
    (1..=most).contains(&text.len())
        && text
            .bytes()
            .all(|byte| byte.is_ascii_alphanumeric() || others.contains(&byte))
}

fn refused(problem: String) -> BundleError {
    BundleError::Index {
        place: Place::file(BUNDLE_FILE),
        problem,
    }
}
