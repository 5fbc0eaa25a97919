//! Forms with a file part, as the vendor's SDK uploads workspace files, read into the fields that the same endpoint
//! takes as JSON.

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use serde_json::{Map, Value, json};

/// Fields of a `multipart/form-data` body: texts as they are, parts with a file name in base64. `None` if it is no
/// such body.
pub fn fields(content_type: &str, body: &[u8]) -> Option<Value> {
    let boundary = content_type
        .split(';')
        .find_map(|part| part.trim().strip_prefix("boundary="))?
        .trim_matches('"');
    let mark = format!("\r\n--{boundary}");
    let start = format!("--{boundary}");
    let mut rest = body.strip_prefix(start.as_bytes())?;
    let mut fields = Map::new();
    while let Some(part) = rest.strip_prefix(b"\r\n") {
        let end = position(part, mark.as_bytes())?;
        let (name, value) = one(&part[..end])?;
        fields.insert(name, value);
        rest = &part[end + mark.len()..];
    }
    rest.starts_with(b"--").then_some(Value::Object(fields))
}

fn position(text: &[u8], wanted: &[u8]) -> Option<usize> {
    text.windows(wanted.len()).position(|window| window == wanted)
}

fn one(part: &[u8]) -> Option<(String, Value)> {
    let blank = position(part, b"\r\n\r\n")?;
    let head = std::str::from_utf8(&part[..blank]).ok()?;
    let content = &part[blank + 4..];
    let name = quoted(head, " name=\"")?;
    let value = if quoted(head, "filename=\"").is_some() {
        json!(STANDARD.encode(content))
    } else {
        json!(std::str::from_utf8(content).ok()?)
    };
    Some((name, value))
}

fn quoted(head: &str, before: &str) -> Option<String> {
    let (_, rest) = head.split_once(before)?;
    Some(rest.split_once('"')?.0.to_owned())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn texts_and_files_are_told_apart() {
        let body = b"--b\r\nContent-Disposition: form-data; name=\"path\"\r\n\r\n/a\r\n\
--b\r\nContent-Disposition: form-data; name=\"content\"; filename=\"content\"\r\n\r\nx\r\ny\r\n--b--\r\n";
        let fields = fields("multipart/form-data; boundary=b", body);
        assert_eq!(
            fields,
            Some(json!({"path": "/a", "content": STANDARD.encode("x\r\ny")}))
        );
    }

    #[test]
    fn a_form_that_stops_short_is_no_form() {
        assert_eq!(fields("multipart/form-data; boundary=b", b"--b\r\n"), None);
        assert_eq!(fields("application/json", b"{}"), None);
    }
}
