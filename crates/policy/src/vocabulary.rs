//! The names of Cedar entities, made once.

use cedar_policy::{EntityId, EntityTypeName, EntityUid, ParseErrors};

use crate::{BundleError, Kind, Target};

pub(crate) const READ_RESOURCE: &str = "read_resource";
pub(crate) const GET_PROMPT: &str = "get_prompt";

/// The entity types of the namespace.
#[derive(Debug, Clone)]
pub(crate) struct Vocabulary {
    action: EntityTypeName,
    pub(crate) instance: EntityTypeName,
    pub(crate) agent: EntityTypeName,
    pub(crate) server: EntityTypeName,
    pub(crate) tool: EntityTypeName,
    resource: EntityTypeName,
    prompt: EntityTypeName,
}

impl Vocabulary {
    pub(crate) fn new() -> Result<Self, BundleError> {
        let name = |local: &str| {
            format!("Chancery::{local}")
                .parse()
                .map_err(|error: ParseErrors| BundleError::engine(error))
        };
        Ok(Self {
            action: name("Action")?,
            instance: name("Instance")?,
            agent: name("Agent")?,
            server: name("Server")?,
            tool: name("Tool")?,
            resource: name("Resource")?,
            prompt: name("Prompt")?,
        })
    }

    pub(crate) const fn resource_type(&self, kind: Kind) -> &EntityTypeName {
        match kind {
            Kind::Tool => &self.tool,
            Kind::Resource => &self.resource,
            Kind::Prompt => &self.prompt,
        }
    }

    pub(crate) fn action_uid(&self, target: &Target<'_>) -> EntityUid {
        match target.kind {
            Kind::Tool => uid(&self.action, qualified(target)),
            Kind::Resource => uid(&self.action, READ_RESOURCE),
            Kind::Prompt => uid(&self.action, GET_PROMPT),
        }
    }

    pub(crate) fn resource_uid(&self, target: &Target<'_>) -> EntityUid {
        uid(self.resource_type(target.kind), qualified(target))
    }

    pub(crate) fn server_uid(&self, server: &str) -> EntityUid {
        uid(&self.server, server)
    }
}

pub(crate) fn uid(kind: &EntityTypeName, id: impl AsRef<str>) -> EntityUid {
    EntityUid::from_type_name_and_id(kind.clone(), EntityId::new(id))
}

pub(crate) fn qualified(target: &Target<'_>) -> String {
    format!("{}/{}", target.server, target.name)
}
