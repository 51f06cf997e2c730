use std::collections::{BTreeMap, BTreeSet};
use std::sync::{Arc, PoisonError, RwLock};

use chancery_delegation::access_token::{Audience, EXCHANGE_SERVER};
use chancery_delegation::{CatalogTool, catalog_root};
use chancery_identity::TrustDomain;
use chancery_policy::Annotations;
use chancery_types::{Digest, to_canonical, to_jcs};
use serde::Serialize;
use serde_json::Value;

use crate::envelope::ambiguous;
use crate::server_name::{ServerName, ServerNameError};
use crate::upstream::{SurveyError, Upstreams};

/// All tools of all configured servers, as they are pinned now.
#[derive(Debug)]
pub(crate) struct Catalog {
    tools: BTreeMap<(String, String), Tool>,
    /// The Merkle root over the tools: what a manifest binds.
    pub(crate) root: Digest,
    /// The canonical JSON of the catalog, annotations included.
    pub(crate) bytes: Vec<u8>,
    /// Its digest: what a session is opened with.
    pub(crate) digest: Digest,
}

/// One pinned tool.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub(crate) struct Tool {
    tool_id: String,
    server: String,
    name: String,
    schema_hash: Digest,
    description_hash: Digest,
    /// The digest of the whole entry's RFC 8785 form, title, output schema and what else a model is
    /// shown among it.
    entry_hash: Digest,
    read_only: bool,
    destructive: bool,
    /// The only arguments that the tool has, where its schema admits no others.
    #[serde(skip_serializing_if = "Option::is_none")]
    arguments: Option<BTreeSet<String>>,
    /// The arguments that its schema names.
    #[serde(skip)]
    properties: BTreeSet<String>,
}

/// What is said of a tool under these names and no others that differ by case: some readers would
/// take those for them.
const MEMBERS: &[&str] = &[
    "name",
    "title",
    "description",
    "inputSchema",
    "outputSchema",
    "annotations",
    "icons",
    "_meta",
];
const HINTS: &[&str] = &[
    "title",
    "readOnlyHint",
    "destructiveHint",
    "idempotentHint",
    "openWorldHint",
];

/// How a tool is executed: revisions of the protocol differ about it, and no model is shown it.
const UNPINNED: &str = "execution";

#[derive(Serialize)]
struct Document<'a> {
    format: &'static str,
    tools: Vec<&'a Tool>,
}

/// Why there is no catalog.
#[derive(Debug, thiserror::Error)]
pub(crate) enum CatalogError {
    #[error(transparent)]
    Survey(#[from] SurveyError),
    #[error("server {0} lists a tool without a name or schema, or one twice")]
    Tool(ServerName),
    #[error(transparent)]
    Server(#[from] ServerNameError),
    #[error("the catalog has no canonical form")]
    Canonical(#[from] chancery_types::CanonicalError),
}

impl Tool {
    /// Reads a tool as its server lists it. Hints that are absent are what the protocol says they
    /// then are: not read-only, destructive. None of what cannot be pinned, among it what has several
    /// readings.
    fn read(trust_domain: &TrustDomain, server: &ServerName, listed: &Value) -> Option<Self> {
        let hints = listed.get("annotations");
        if is_ambiguous(listed, MEMBERS) || hints.is_some_and(|hints| is_ambiguous(hints, HINTS)) {
            return None;
        }
        let name = listed
            .get("name")?
            .as_str()
            .filter(|name| !name.is_empty())?;
        let schema = listed
            .get("inputSchema")
            .filter(|schema| schema.is_object())?;
        let description = match listed.get("description") {
            Some(text) => text.as_str()?,
            None => "",
        };
        let tool_id = format!("spiffe://{trust_domain}/tool/{server}/{name}");
        let leaf = CatalogTool::of(&tool_id, schema, description).ok()?;
        let hint = |name: &str| listed.pointer(&format!("/annotations/{name}"))?.as_bool();
        let read_only = hint("readOnlyHint").unwrap_or(false);
        let closed = schema.get("additionalProperties") == Some(&Value::Bool(false));
        let properties = schema.get("properties").and_then(Value::as_object);
        let properties: BTreeSet<String> = properties
            .into_iter()
            .flat_map(|properties| properties.keys().cloned())
            .collect();
        Some(Self {
            tool_id: leaf.tool_id,
            server: server.to_string(),
            name: name.to_owned(),
            schema_hash: leaf.schema_hash,
            description_hash: leaf.description_hash,
            entry_hash: entry_hash(listed)?,
            read_only,
            destructive: !read_only && hint("destructiveHint").unwrap_or(true),
            arguments: closed.then(|| properties.clone()),
            properties,
        })
    }

    pub(crate) const fn annotations(&self) -> Annotations {
        Annotations {
            read_only: self.read_only,
            destructive: self.destructive,
        }
    }

    /// Whether the tool's schema admits an argument of this name.
    pub(crate) fn admits(&self, argument: &str) -> bool {
        self.arguments
            .as_ref()
            .is_none_or(|names| names.contains(argument))
    }

    /// The arguments that its schema names.
    pub(crate) fn properties(&self) -> impl Iterator<Item = &str> {
        self.properties.iter().map(String::as_str)
    }
}

/// The digest of a listed tool, but for what is not pinned.
fn entry_hash(listed: &Value) -> Option<Digest> {
    let mut entry = listed.as_object()?.clone();
    entry.remove(UNPINNED);
    Some(Digest::of(to_jcs(&Value::Object(entry)).ok()?))
}

fn is_ambiguous(object: &Value, known: &[&str]) -> bool {
    let members = object.as_object();
    let names = members.into_iter().flat_map(|members| members.keys());
    ambiguous(names.map(String::as_str), known)
}

impl Catalog {
    fn new(tools: BTreeMap<(String, String), Tool>) -> Result<Self, CatalogError> {
        let leaves: Vec<_> = tools
            .values()
            .map(|tool| CatalogTool {
                tool_id: tool.tool_id.clone(),
                schema_hash: tool.schema_hash,
                description_hash: tool.description_hash,
            })
            .collect();
        // Names are unique for each server, so identifiers are; an empty one has no server.
        let root = catalog_root(&leaves).unwrap_or(Digest::of(b""));
        let document = Document {
            format: "chancery/catalog/v1",
            tools: tools.values().collect(),
        };
        let bytes = to_canonical(&document)?;
        Ok(Self {
            root,
            digest: Digest::of(&bytes),
            bytes,
            tools,
        })
    }

    pub(crate) fn tool(&self, server: &str, name: &str) -> Option<&Tool> {
        self.tools.get(&(server.to_owned(), name.to_owned()))
    }

    /// Whether a listed tool is, to the letter, the one of that name that is pinned.
    pub(crate) fn is_pinned(&self, server: &ServerName, listed: &str) -> bool {
        let Ok(listed) = serde_json::from_str::<Value>(listed) else {
            return false;
        };
        let name = listed.get("name").and_then(Value::as_str);
        let pinned = name.and_then(|name| self.tool(server.as_str(), name));
        // Not said by the digest: a variant of what is not pinned.
        pinned.is_some_and(|pinned| {
            !is_ambiguous(&listed, MEMBERS) && entry_hash(&listed) == Some(pinned.entry_hash)
        })
    }

    /// Asks every configured server, and lists the exchanges that there are.
    pub(crate) async fn survey(
        upstreams: &Upstreams,
        audiences: &BTreeMap<Audience, BTreeSet<String>>,
        trust_domain: &TrustDomain,
    ) -> Result<Self, CatalogError> {
        let mut tools = BTreeMap::new();
        let exchange: ServerName = EXCHANGE_SERVER.parse()?;
        for (audience, servers) in audiences {
            let listed = audience.to_tool(servers.iter().map(String::as_str));
            let tool = Tool::read(trust_domain, &exchange, &listed)
                .ok_or_else(|| CatalogError::Tool(exchange.clone()))?;
            tools.insert((tool.server.clone(), tool.name.clone()), tool);
        }
        for server in upstreams.names() {
            for listed in upstreams.survey(server).await? {
                let tool = Tool::read(trust_domain, server, &listed)
                    .ok_or_else(|| CatalogError::Tool(server.clone()))?;
                let place = (tool.server.clone(), tool.name.clone());
                if tools.insert(place, tool).is_some() {
                    return Err(CatalogError::Tool(server.clone()));
                }
            }
        }
        Self::new(tools)
    }
}

/// The catalog that is pinned now, and which announcement of a change it already knows of.
#[derive(Debug, Default)]
pub(crate) struct PinnedCatalog(RwLock<Option<(u64, Arc<Catalog>)>>);

impl PinnedCatalog {
    /// The catalog, unless a server has announced a change since it was pinned.
    pub(crate) fn current(&self, announced: u64) -> Option<Arc<Catalog>> {
        let pinned = self.0.read().unwrap_or_else(PoisonError::into_inner);
        let (known, catalog) = pinned.as_ref()?;
        (*known == announced).then(|| Arc::clone(catalog))
    }

    pub(crate) fn pin(&self, announced: u64, catalog: Catalog) {
        let mut pinned = self.0.write().unwrap_or_else(PoisonError::into_inner);
        *pinned = Some((announced, Arc::new(catalog)));
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn read(listed: &Value) -> Option<Tool> {
        Tool::read(
            &"t.example".parse().unwrap(),
            &"fs".parse().unwrap(),
            listed,
        )
    }

    #[test]
    fn hints_that_are_absent_are_the_worse_ones() {
        let tool = read(&json!({"name": "a", "inputSchema": {"type": "object"}})).unwrap();
        assert_eq!(
            tool.annotations(),
            Annotations {
                read_only: false,
                destructive: true
            }
        );
        assert!(tool.admits("anything"));
        let hints = json!({"readOnlyHint": true, "destructiveHint": true});
        let tool = read(&json!({"name": "a", "inputSchema": {}, "annotations": hints})).unwrap();
        assert_eq!(
            tool.annotations(),
            Annotations {
                read_only: true,
                destructive: false
            }
        );
        let schema = json!({"properties": {"x": {}}, "additionalProperties": false});
        let tool = read(&json!({"name": "a", "inputSchema": schema})).unwrap();
        assert!(tool.admits("x") && !tool.admits("X") && !tool.admits("y"));
    }

    #[test]
    fn what_cannot_be_pinned_is_refused() {
        for bad in [
            json!({}),
            json!({"name": "a"}),
            json!({"name": "", "inputSchema": {}}),
            json!({"name": 1, "inputSchema": {}}),
            json!({"name": "a", "inputSchema": []}),
            json!({"name": "a", "inputSchema": {}, "description": 7}),
            json!({"name": "a", "inputSchema": {}, "Description": "x"}),
            json!({"name": "a", "inputSchema": {}, "title": "x", "TITLE": "y"}),
            json!({"name": "a", "inputSchema": {}, "annotations": {"ReadOnlyHint": true}}),
        ] {
            assert_eq!(read(&bad), None, "{bad}");
        }
    }

    #[test]
    fn every_change_of_a_tool_is_another_catalog() {
        let catalog = |listed: &Value| {
            let tool = read(listed).unwrap();
            Catalog::new(BTreeMap::from([(
                (tool.server.clone(), tool.name.clone()),
                tool,
            )]))
            .unwrap()
        };
        let before = catalog(&json!({"name": "a", "inputSchema": {}}));
        let hinted = json!({"name": "a", "inputSchema": {}, "annotations": {"readOnlyHint": true}});
        assert_eq!(before.root, catalog(&hinted).root);
        assert_ne!(before.digest, catalog(&hinted).digest);
        let described = json!({"name": "a", "inputSchema": {}, "description": "x"});
        assert_ne!(before.root, catalog(&described).root);
        let titled = json!({"name": "a", "inputSchema": {}, "title": "x"});
        assert_ne!(before.digest, catalog(&titled).digest);
        let executed = json!({"name": "a", "inputSchema": {}, "execution": {"taskSupport": "x"}});
        assert_eq!(before.digest, catalog(&executed).digest);
        let pinned = PinnedCatalog::default();
        assert!(pinned.current(0).is_none());
        pinned.pin(0, before);
        assert!(pinned.current(0).is_some() && pinned.current(1).is_none());
    }
}
