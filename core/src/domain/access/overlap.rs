//! Whether two ref patterns of Gerrit can match one ref.

/// Whether some ref matches both patterns. Patterns are exact (`refs/heads/x`), prefixes (`refs/heads/*`), or
/// regular expressions (`^refs/heads/(a|b)$`); of an expression only its literal start is compared, so that a doubt
/// counts as an overlap.
pub fn ref_patterns_overlap(a: &str, b: &str) -> bool {
    let ((a, a_open), (b, b_open)) = (literal(a), literal(b));
    match (a_open, b_open) {
        (true, true) => a.starts_with(&b) || b.starts_with(&a),
        (true, false) => b.starts_with(&a),
        (false, true) => a.starts_with(&b),
        (false, false) => a == b,
    }
}

/// The part that is certain, and whether anything may follow.
fn literal(pattern: &str) -> (String, bool) {
    if let Some(expression) = pattern.strip_prefix('^') {
        let end = expression
            .find(['(', '[', '.', '*', '+', '?', '|', '\\', '{', '$'])
            .unwrap_or(expression.len());
        // A quantifier may make the last literal character optional.
        let optional = expression[end..].starts_with(['*', '?', '{']);
        let end = if optional {
            expression[..end].char_indices().last().map_or(0, |(at, _)| at)
        } else {
            end
        };
        // An alternative at the top level may start differently altogether.
        let end = if expression.contains('|') && !expression.contains('(') {
            0
        } else {
            end
        };
        return (
            expression[..end].to_owned(),
            expression.get(end..) != Some("$") && end < expression.len(),
        );
    }
    if let Some(at) = pattern.find("${") {
        return (pattern[..at].to_owned(), true);
    }
    match pattern.strip_suffix('*') {
        Some(prefix) => (prefix.to_owned(), true),
        None => (pattern.to_owned(), false),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_doubt_counts_as_an_overlap() {
        for (a, b, expected) in [
            ("refs/heads/prod", "refs/heads/prod", true),
            ("refs/heads/prod", "refs/heads/main", false),
            ("refs/heads/*", "refs/heads/prod", true),
            ("refs/*", "refs/meta/config", true),
            ("refs/heads/*", "refs/meta/config", false),
            ("refs/heads/env/*", "refs/heads/*", true),
            ("^refs/heads/(dev|prod)$", "refs/heads/prod", true),
            ("^refs/heads/(dev|prod)$", "refs/tags/v1", false),
            ("^refs/heads/prod$", "refs/heads/prod", true),
            ("^refs/heads/pr.*", "refs/heads/prod", true),
            ("refs/heads/users/${username}/*", "refs/heads/users/ada/x", true),
        ] {
            assert_eq!(ref_patterns_overlap(a, b), expected, "{a} {b}");
            assert_eq!(ref_patterns_overlap(b, a), expected, "{b} {a}");
        }
    }
}
