//! From a request to Cedar's entities and context. Nothing passes through JSON.

use std::collections::{HashMap, HashSet};

use cedar_policy::{Context, Entities, Entity, EntityUid, RestrictedExpression, Schema};
use serde_json::Value;

use crate::request::{Principal, SessionFacts};
use crate::tool::Tool;
use crate::vocabulary::{Vocabulary, uid};
use crate::{Annotations, ArgType, Kind, Request, Target};

/// The request does not have the shape that the bundle declares.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Unfit(pub(crate) String);

impl<E: std::error::Error> From<E> for Unfit {
    fn from(error: E) -> Self {
        Self(error.to_string())
    }
}

/// Builds the entities and the request of Cedar. `actions` are the entities of the action and of
/// the groups that it is in.
pub(crate) fn project(
    vocabulary: &Vocabulary,
    tool: Option<&Tool>,
    actions: &[Entity],
    schema: &Schema,
    request: &Request<'_>,
) -> Result<(cedar_policy::Request, Entities), Unfit> {
    let resource = resource(vocabulary, &request.target, request.annotations)?;
    let server = Entity::with_uid(vocabulary.server_uid(request.target.server));
    let [instance, agent] = principal(vocabulary, &request.principal)?;
    let (principal_uid, resource_uid) = (instance.uid(), resource.uid());
    let context = Context::from_pairs([
        ("args".to_owned(), arguments(tool, request.arguments)?),
        ("session".to_owned(), session(&request.session)?),
        ("now".to_owned(), datetime(request)?),
    ])?;
    let made = cedar_policy::Request::new(
        principal_uid,
        vocabulary.action_uid(&request.target),
        resource_uid,
        context,
        Some(schema),
    )?;
    let entities = [instance, agent, resource, server]
        .into_iter()
        .chain(actions.iter().cloned());
    Ok((made, Entities::from_entities(entities, None)?))
}

/// The instance and the agent that it is a run of.
pub(crate) fn principal(
    vocabulary: &Vocabulary,
    principal: &Principal<'_>,
) -> Result<[Entity; 2], Unfit> {
    let agent = uid(&vocabulary.agent, principal.agent);
    let attributes = [
        ("agent", string(principal.agent)),
        ("principal", string(principal.principal)),
        ("mission", string(principal.mission)),
        ("depth", long(principal.depth)),
        (
            "attestation_level",
            long(principal.attestation_level.into()),
        ),
        (
            "isolated",
            RestrictedExpression::new_bool(principal.isolated),
        ),
        (
            "asserted",
            RestrictedExpression::new_bool(principal.asserted),
        ),
    ];
    let instance = uid(&vocabulary.instance, principal.instance);
    Ok([
        entity(instance, attributes, Some(agent.clone()))?,
        Entity::with_uid(agent),
    ])
}

/// The tool, resource or prompt.
pub(crate) fn resource(
    vocabulary: &Vocabulary,
    target: &Target<'_>,
    annotations: Annotations,
) -> Result<Entity, Unfit> {
    if target.server.is_empty() || target.server.contains('/') {
        return Err(Unfit("a server name is empty or holds a slash".to_owned()));
    }
    let server = ("server", string(target.server));
    let own = vocabulary.resource_uid(target);
    let parent = Some(vocabulary.server_uid(target.server));
    match target.kind {
        Kind::Tool => entity(
            own,
            [
                server,
                ("name", string(target.name)),
                (
                    "read_only",
                    RestrictedExpression::new_bool(annotations.read_only),
                ),
                (
                    "destructive",
                    RestrictedExpression::new_bool(annotations.destructive),
                ),
            ],
            parent,
        ),
        Kind::Resource => entity(own, [server, ("uri", string(target.name))], parent),
        Kind::Prompt => entity(own, [server, ("name", string(target.name))], parent),
    }
}

fn entity<const N: usize>(
    own: EntityUid,
    attributes: [(&str, RestrictedExpression); N],
    parent: Option<EntityUid>,
) -> Result<Entity, Unfit> {
    let attributes: HashMap<String, RestrictedExpression> = attributes
        .into_iter()
        .map(|(name, value)| (name.to_owned(), value))
        .collect();
    Ok(Entity::new(
        own,
        attributes,
        parent.into_iter().collect::<HashSet<_>>(),
    )?)
}

fn arguments(tool: Option<&Tool>, arguments: &Value) -> Result<RestrictedExpression, Unfit> {
    let sent = match arguments {
        Value::Object(sent) => Some(sent),
        Value::Null => None,
        _ => return Err(Unfit("the arguments are not an object".to_owned())),
    };
    let mut fields = Vec::new();
    for (name, argument) in tool.into_iter().flat_map(Tool::args) {
        let Some(value) = sent.and_then(|sent| sent.get(name)) else {
            if argument.is_optional() {
                continue;
            }
            return Err(Unfit(format!("the argument {name:?} is absent")));
        };
        let projected = match argument.kind() {
            ArgType::Long => value.as_i64().map(RestrictedExpression::new_long),
            ArgType::String => value.as_str().map(string),
            ArgType::Bool => value.as_bool().map(RestrictedExpression::new_bool),
        };
        let projected =
            projected.ok_or_else(|| Unfit(format!("the argument {name:?} has another type")))?;
        fields.push((name.clone(), projected));
    }
    Ok(RestrictedExpression::new_record(fields)?)
}

fn session(facts: &SessionFacts) -> Result<RestrictedExpression, Unfit> {
    Ok(RestrictedExpression::new_record([
        ("calls".to_owned(), long(facts.calls)),
        ("cost_micros".to_owned(), long(facts.cost_micros)),
        ("denied".to_owned(), long(facts.denied)),
        ("escalated".to_owned(), long(facts.escalated)),
        ("minutes".to_owned(), long(facts.minutes)),
        ("rows".to_owned(), long(facts.rows)),
        ("resources".to_owned(), long(facts.resources)),
        ("trust".to_owned(), long(facts.trust)),
        (
            "tainted".to_owned(),
            RestrictedExpression::new_bool(facts.tainted),
        ),
    ])?)
}

fn datetime(request: &Request<'_>) -> Result<RestrictedExpression, Unfit> {
    // Cedar takes milliseconds, RFC 3339 with exactly three digits.
    let text = request.now.to_string();
    let text = text
        .get(..23)
        .filter(|_| text.len() == 27)
        .ok_or_else(|| Unfit("the time is beyond the year 9999".to_owned()))?;
    Ok(RestrictedExpression::new_datetime(format!("{text}Z")))
}

fn string(text: &str) -> RestrictedExpression {
    RestrictedExpression::new_string(text.to_owned())
}

fn long(number: u64) -> RestrictedExpression {
    RestrictedExpression::new_long(i64::try_from(number).unwrap_or(i64::MAX))
}
