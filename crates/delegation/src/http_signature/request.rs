use super::HttpRefusal;

/// A request as a signature sees it.
#[derive(Debug, Clone, Copy)]
pub struct HttpRequest<'a> {
    /// The method, in its own case.
    pub method: &'a str,
    /// The request target as it was sent: in origin form, path and query.
    pub target: &'a str,
    /// The header fields in the order in which they came, names in any case.
    pub fields: &'a [(&'a str, &'a str)],
    /// The whole body.
    pub body: &'a [u8],
}

impl<'a> HttpRequest<'a> {
    /// The value of a field, without blanks around it. Refuses one that came twice: a signature
    /// says which values it covers, not which line of them somebody reads.
    pub(super) fn field(&self, name: &str) -> Result<Option<&'a str>, HttpRefusal> {
        let mut found = self
            .fields
            .iter()
            .filter(|(known, _)| known.eq_ignore_ascii_case(name));
        let Some((_, value)) = found.next() else {
            return Ok(None);
        };
        if found.next().is_some() {
            return Err(HttpRefusal::DuplicateField);
        }
        let value = value.trim_matches([' ', '\t']);
        // A line end in a value would write lines of the signature base.
        if value.bytes().any(|byte| byte.is_ascii_control()) {
            return Err(HttpRefusal::Malformed);
        }
        Ok(Some(value))
    }

    pub(super) fn has(&self, name: &str) -> bool {
        self.fields
            .iter()
            .any(|(known, _)| known.eq_ignore_ascii_case(name))
    }
}
