//! The patterns of `reach`.

use super::overlap::expression_within;

/// Whether `*` patterns match: `*` stands for any characters, `/` included.
pub(crate) fn matches(pattern: &str, text: &str) -> bool {
    let mut parts = pattern.split('*');
    let first = parts.next().unwrap_or_default();
    let Some(mut rest) = text.strip_prefix(first) else {
        return false;
    };
    let parts: Vec<_> = parts.collect();
    let Some((last, middle)) = parts.split_last() else {
        return rest.is_empty();
    };
    for part in middle {
        match rest.find(part) {
            Some(at) => rest = &rest[at + part.len()..],
            None => return false,
        }
    }
    rest.len() >= last.len() && rest.ends_with(last)
}

pub(crate) fn any(patterns: Option<&Vec<String>>, text: &str) -> bool {
    patterns
        .into_iter()
        .flatten()
        .any(|pattern| matches(pattern, text))
}

/// Whether a ref, a prefix or an expression is within reach.
pub(super) fn refs(patterns: Option<&Vec<String>>, ref_name: &str) -> bool {
    if !ref_name.starts_with('^') {
        return any(patterns, ref_name);
    }
    patterns
        .into_iter()
        .flatten()
        .any(|pattern| expression_within(ref_name, pattern))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_star_matches_any_characters() {
        for (pattern, text, expected) in [
            ("ml-*", "ml-fraud", true),
            ("ml-*", "xml-fraud", false),
            ("ml/*/prod", "ml/a/b/prod", true),
            ("*", "", true),
            ("a*a", "a", false),
            ("a*b*c", "a-b-b-c", true),
            ("exact", "exact", true),
            ("exact", "exactly", false),
            ("refs/heads/*", "refs/heads/*", true),
        ] {
            assert_eq!(matches(pattern, text), expected, "{pattern} {text}");
        }
    }
}
