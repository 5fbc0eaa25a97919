//! Keeps secrets out of what people read. Whatever a system answers is trimmed and searched for what looks like a
//! credential, because systems echo what they were sent.

/// Longest text of an answer that is shown.
const LONGEST: usize = 300;
const MASK: &str = "[redacted]";
/// Beginnings of tokens: Databricks PATs and OAuth secrets, and anything that begins like JSON in base64 (JWTs).
const PREFIXES: &[&str] = &["dapi", "dkea", "dose", "eyj"];
/// Names whose values are secrets, wherever they stand before `:` or `=`.
const NAMES: &[&str] = &[
    "access_token",
    "assertion",
    "authorization",
    "client_assertion",
    "client_secret",
    "http_password",
    "id_token",
    "password",
    "private_key",
    "refresh_token",
    "secret",
    "subject_token",
    "token",
    "token_value",
];
/// What stands before a credential in a header.
const SCHEMES: &[&str] = &["basic", "bearer"];

/// An answer's text for people: at most 300 characters on one line, without anything that looks like a credential
/// and without these very secrets.
pub fn show(text: &str, secrets: &[&str]) -> String {
    let mut text = text.to_owned();
    for secret in secrets.iter().filter(|secret| secret.len() >= 4) {
        text = text.replace(secret, MASK);
    }
    trim(&mask(&text))
}

/// At most 300 characters on one line.
fn trim(text: &str) -> String {
    let line = text
        .split(|c: char| c.is_whitespace() || c.is_control())
        .filter(|word| !word.is_empty())
        .collect::<Vec<_>>()
        .join(" ");
    match line.char_indices().nth(LONGEST) {
        None => line,
        Some((end, _)) => format!("{}…", &line[..end]),
    }
}

fn is_word(c: char) -> bool {
    c.is_alphanumeric() || "._~+/=-%".contains(c)
}

/// Replaces words that look like credentials, or stand where one is expected.
fn mask(text: &str) -> String {
    let mut out = String::with_capacity(text.len());
    // What the next word would be: `token` and then `:` makes it a secret.
    let (mut named, mut expected) = (false, false);
    let mut rest = text;
    while let Some(first) = rest.chars().next() {
        let end = rest.find(|c| is_word(c) != is_word(first)).unwrap_or(rest.len());
        let (piece, tail) = rest.split_at(end);
        rest = tail;
        if !is_word(first) {
            expected |= named && piece.contains(':');
            named = false;
            out.push_str(piece);
            continue;
        }
        // In forms and query strings name and value are one word: `client_secret=abc`.
        let (name, value) = piece.split_once('=').unwrap_or((piece, ""));
        let lower = name.to_lowercase();
        let is_name = NAMES.contains(&lower.as_str());
        if SCHEMES.contains(&lower.as_str()) && value.is_empty() {
            // Keep the word itself; the credential follows. `Basic realm=` is a challenge, not a credential.
            expected = true;
            out.push_str(piece);
        } else if is_name && !value.is_empty() {
            out.push_str(name);
            out.push('=');
            out.push_str(MASK);
            expected = false;
        } else if expected || looks_secret(&lower) || looks_secret(&value.to_lowercase()) {
            out.push_str(MASK);
            expected = false;
        } else {
            named = is_name;
            out.push_str(piece);
        }
    }
    out
}

fn looks_secret(lower: &str) -> bool {
    lower.len() >= 16 && PREFIXES.iter().any(|prefix| lower.starts_with(prefix))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn credentials_are_masked_wherever_they_stand() {
        for text in [
            "invalid token dapi0123456789abcdef0123",
            "Authorization: Bearer s3cr3t-value",
            "sent Basic YWRtaW46c2VjcmV0s3cr3t-value==",
            r#"{"client_secret": "s3cr3t-value", "x": 1}"#,
            r#"{"token":"s3cr3t-value"}"#,
            "grant_type=client_credentials&client_secret=s3cr3t-value&scope=all-apis",
            "jwt eyJhbGciOiJSUzI1NiJ9.s3cr3t-value.sig was refused",
            "password: s3cr3t-value",
            "the planted s3cr3t-value itself",
        ] {
            let shown = show(text, &["s3cr3t-value"]);
            let alone = show(text, &[]);
            assert!(!shown.contains("s3cr3t"), "{shown}");
            assert!(!shown.contains("dapi0"), "{shown}");
            assert!(text.starts_with("the planted") || alone.contains(MASK), "{alone}");
            assert!(
                text.starts_with("the planted") || !alone.contains("s3cr3t"),
                "{alone}"
            );
        }
    }

    #[test]
    fn ordinary_answers_stay_as_they_are() {
        for text in [
            "Group \"ml-fraud\" already exists",
            "modify account not permitted",
            "Token ID must match in URL and input",
            r#"{"error_code":"RESOURCE_DOES_NOT_EXIST","message":"Job 77 does not exist."}"#,
        ] {
            assert_eq!(show(text, &[]), text);
        }
    }

    #[test]
    fn answers_are_one_short_line() {
        let shown = show(&format!("a\nb\u{7}{}", "ü".repeat(1000)), &[]);
        assert!(shown.starts_with("a b ü"));
        assert_eq!(shown.chars().count(), LONGEST + 1);
    }
}
