use serde_json::{Map, Value};

/// A call as it is judged: where, what and with which arguments.
#[derive(Debug, Clone, Copy)]
pub struct Call<'a> {
    /// The MCP server's name at the gateway.
    pub server: &'a str,
    /// What is called there.
    pub target: Target<'a>,
    /// The arguments; empty where the method has none.
    pub args: &'a Map<String, Value>,
}

/// What a call is directed at. A method that has no target here is denied.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Target<'a> {
    /// `tools/call` of the tool with that name.
    Tool(&'a str),
    /// `resources/read` of the resource with that URI.
    Resource(&'a str),
    /// `prompts/get` of the prompt with that name.
    Prompt(&'a str),
}

impl<'a> Target<'a> {
    /// The name or URI.
    pub const fn name(self) -> &'a str {
        match self {
            Self::Tool(name) | Self::Resource(name) | Self::Prompt(name) => name,
        }
    }

    /// The `type` of the entries that can cover this.
    pub const fn kind(self) -> &'static str {
        match self {
            Self::Tool(_) => "mcp_tool",
            Self::Resource(_) => "mcp_resource",
            Self::Prompt(_) => "mcp_prompt",
        }
    }
}

impl Call<'_> {
    /// The `tool` claim of a proof for this call: server and tool. For what is not a tool the type
    /// is a third element, so that a proof for one is never a proof for the other.
    pub(crate) fn proof_target(&self) -> Value {
        let mut target = vec![self.server, self.target.name()];
        if !matches!(self.target, Target::Tool(_)) {
            target.push(self.target.kind());
        }
        Value::from(target)
    }
}
