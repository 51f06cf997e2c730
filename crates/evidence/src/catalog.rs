//! The tool catalog that a session was opened with, as gateways store it.

use std::collections::BTreeSet;

use chancery_delegation::{CatalogError, CatalogTool, catalog_root};
use chancery_policy::Annotations;
use chancery_types::{Digest, parse_strict, to_canonical};
use serde::{Deserialize, Serialize};

/// All tools of all servers of a gateway, pinned: canonical JSON, named by its digest.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Catalog {
    /// The format.
    pub format: CatalogFormat,
    /// The tools.
    pub tools: Vec<PinnedTool>,
}

/// The one format.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub enum CatalogFormat {
    /// Version 1.
    #[serde(rename = "chancery/catalog/v1")]
    V1,
}

/// One pinned tool.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct PinnedTool {
    /// Its identifier, unique in the catalog.
    pub tool_id: String,
    /// Its server.
    pub server: String,
    /// Its name at the server.
    pub name: String,
    /// The digest of its input schema's RFC 8785 form.
    pub schema_hash: Digest,
    /// The digest of its description.
    pub description_hash: Digest,
    /// The digest of all that its server says of it, in RFC 8785 form, but how it is executed. Catalogs
    /// of earlier versions have none.
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub entry_hash: Option<Digest>,
    /// Whether it says that it changes nothing.
    pub read_only: bool,
    /// Whether it may destroy something.
    pub destructive: bool,
    /// The only arguments that it has, where its schema admits no others.
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub arguments: Option<BTreeSet<String>>,
}

impl Catalog {
    /// Reads a catalog; its bytes must be the canonical form.
    pub fn parse(bytes: &[u8]) -> Option<Self> {
        let catalog: Self = serde_json::from_value(parse_strict(bytes).ok()?).ok()?;
        (to_canonical(&catalog).ok()? == bytes).then_some(catalog)
    }

    /// The Merkle root over the tools: what a manifest binds.
    pub fn root(&self) -> Result<Digest, CatalogError> {
        let leaves: Vec<_> = self
            .tools
            .iter()
            .map(|tool| CatalogTool {
                tool_id: tool.tool_id.clone(),
                schema_hash: tool.schema_hash,
                description_hash: tool.description_hash,
            })
            .collect();
        catalog_root(&leaves)
    }

    /// A tool by its server and name.
    pub fn tool(&self, server: &str, name: &str) -> Option<&PinnedTool> {
        self.tools
            .iter()
            .find(|tool| tool.server == server && tool.name == name)
    }
}

impl PinnedTool {
    /// What policy sees of it.
    pub const fn annotations(&self) -> Annotations {
        Annotations {
            read_only: self.read_only,
            destructive: self.destructive,
        }
    }

    /// Whether the tool's schema admits an argument of this name.
    pub fn admits(&self, argument: &str) -> bool {
        self.arguments
            .as_ref()
            .is_none_or(|names| names.contains(argument))
    }
}
