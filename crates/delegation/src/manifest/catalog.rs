use chancery_types::{CanonicalError, Digest, to_jcs};
use serde_json::Value;

/// A tool as a catalog names it: the leaf of the catalog's tree.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct CatalogTool {
    /// The tool's identifier, unique in its catalog.
    pub tool_id: String,
    /// The digest of the input schema's RFC 8785 form.
    pub schema_hash: Digest,
    /// The digest of the description in UTF-8.
    pub description_hash: Digest,
}

/// Why tools make no catalog.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum CatalogError {
    /// Two tools with one identifier.
    #[error("two tools are named {0}")]
    Duplicate(String),
    /// An identifier that could be read as part of a leaf's frame.
    #[error("a tool identifier is empty or holds a zero byte")]
    Identifier,
}

impl CatalogTool {
    /// The leaf of a tool as its server lists it.
    pub fn of(
        tool_id: &str,
        input_schema: &Value,
        description: &str,
    ) -> Result<Self, CanonicalError> {
        Ok(Self {
            tool_id: tool_id.to_owned(),
            schema_hash: Digest::of(to_jcs(input_schema)?),
            description_hash: Digest::of(description),
        })
    }

    fn leaf(&self) -> Digest {
        Digest::of_parts([
            &b"\0"[..],
            self.tool_id.as_bytes(),
            b"\0",
            self.schema_hash.as_bytes(),
            self.description_hash.as_bytes(),
        ])
    }
}

/// The RFC 9162 Merkle root over the tools, sorted by identifier: `catalog_hash`.
pub fn catalog_root(tools: &[CatalogTool]) -> Result<Digest, CatalogError> {
    let mut sorted: Vec<_> = tools.iter().collect();
    // UTF-8 sorts by code points.
    sorted.sort_by(|one, other| one.tool_id.cmp(&other.tool_id));
    for (one, next) in sorted.iter().zip(sorted.iter().skip(1)) {
        if one.tool_id == next.tool_id {
            return Err(CatalogError::Duplicate(one.tool_id.clone()));
        }
    }
    if sorted
        .iter()
        .any(|tool| tool.tool_id.is_empty() || tool.tool_id.contains('\0'))
    {
        return Err(CatalogError::Identifier);
    }
    let mut level: Vec<_> = sorted.into_iter().map(CatalogTool::leaf).collect();
    while level.len() > 1 {
        let pairs = level.chunks(2);
        level = pairs
            .map(|pair| match pair {
                [left, right] => {
                    Digest::of_parts([&b"\x01"[..], left.as_bytes(), right.as_bytes()])
                }
                // Promoting the odd node is RFC 9162's split at the largest power of two.
                alone => alone.first().copied().unwrap_or(Digest::of(b"")),
            })
            .collect();
    }
    Ok(level.first().copied().unwrap_or(Digest::of(b"")))
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn tool(id: &str) -> CatalogTool {
        CatalogTool::of(id, &json!({"type": "object"}), "does a thing").unwrap()
    }

    #[test]
    fn order_and_spelling_of_the_listing_do_not_matter() {
        let (a, b, c) = (tool("a"), tool("b"), tool("c"));
        let root = catalog_root(&[a.clone(), b.clone(), c.clone()]).unwrap();
        assert_eq!(catalog_root(&[c.clone(), a.clone(), b.clone()]), Ok(root));
        let node = |left: Digest, right: Digest| {
            Digest::of_parts([&[1][..], left.as_bytes(), right.as_bytes()])
        };
        assert_eq!(root, node(node(a.leaf(), b.leaf()), c.leaf()));
        assert_eq!(catalog_root(&[]), Ok(Digest::of("")));
        assert_eq!(catalog_root(std::slice::from_ref(&a)), Ok(a.leaf()));
    }

    #[test]
    fn every_change_of_a_tool_changes_the_root() {
        let root = catalog_root(&[tool("a"), tool("b")]).unwrap();
        for changed in [
            tool("c"),
            CatalogTool::of("b", &json!({"type": "string"}), "does a thing").unwrap(),
            CatalogTool::of("b", &json!({"type": "object"}), "does a thing.").unwrap(),
        ] {
            assert_ne!(catalog_root(&[tool("a"), changed]).unwrap(), root);
        }
        assert_ne!(catalog_root(&[tool("a")]).unwrap(), root);
    }

    #[test]
    fn refuses_ambiguous_catalogs() {
        assert_eq!(
            catalog_root(&[tool("a"), tool("a")]),
            Err(CatalogError::Duplicate("a".into()))
        );
        assert_eq!(catalog_root(&[tool("")]), Err(CatalogError::Identifier));
        assert_eq!(catalog_root(&[tool("a\0b")]), Err(CatalogError::Identifier));
    }
}
