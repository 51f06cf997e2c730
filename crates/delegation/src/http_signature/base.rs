use super::{HttpRefusal, HttpRequest};

/// The signature base (RFC 9421 section 2.5): one line for each covered component, in the order in
/// which they are covered, and the parameters in the last.
pub(super) fn signature_base(
    request: &HttpRequest<'_>,
    components: &[String],
    parameters: &str,
) -> Result<String, HttpRefusal> {
    let mut base = String::new();
    for component in components {
        let value = match component.as_str() {
            "@method" => line(request.method)?,
            "@request-target" => line(request.target)?,
            name if name.starts_with('@') => return Err(HttpRefusal::Uncovered),
            name => request.field(name)?.ok_or(HttpRefusal::Uncovered)?,
        };
        base.push_str(&format!("\"{component}\": {value}\n"));
    }
    base.push_str(&format!("\"@signature-params\": {parameters}"));
    Ok(base)
}

/// A value that cannot end its line.
fn line(value: &str) -> Result<&str, HttpRefusal> {
    if value.is_empty() || value.bytes().any(|byte| !byte.is_ascii_graphic()) {
        Err(HttpRefusal::Malformed)
    } else {
        Ok(value)
    }
}
