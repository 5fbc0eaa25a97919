//! Whether two ref patterns of Gerrit can match one ref, and whether a pattern of `reach` holds all that one matches.

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

/// Whether an expression stays within a pattern of `reach`: the very same text, or one whose every match begins with
/// what stands before the pattern's final `*`. Comparing the text alone would let `^refs/heads/(a)|refs/meta/config`
/// pass for a branch.
pub(super) fn expression_within(expression: &str, pattern: &str) -> bool {
    if pattern == expression {
        return true;
    }
    let Some(prefix) = pattern.strip_suffix('*') else {
        return false;
    };
    let prefix = prefix.strip_prefix('^').unwrap_or(prefix);
    !prefix.contains('*') && literal(expression).0.starts_with(prefix)
}

/// The part that is certain, and whether anything may follow.
fn literal(pattern: &str) -> (String, bool) {
    if let Some(expression) = pattern.strip_prefix('^') {
        if alternatives_at_the_top(expression) {
            return (String::new(), true);
        }
        let end = expression
            .find(['(', ')', '[', '.', '*', '+', '?', '|', '\\', '{', '$', '^'])
            .unwrap_or(expression.len());
        // A quantifier may make the last literal character optional.
        let optional = expression[end..].starts_with(['*', '?', '{']);
        let end = if optional {
            expression[..end].char_indices().last().map_or(0, |(at, _)| at)
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

/// Whether a `|` may stand outside all parentheses: Gerrit matches a ref against the whole expression, so each of its
/// alternatives starts anew. Where escapes, sets of characters or flags make the parentheses hard to pair, it may.
fn alternatives_at_the_top(expression: &str) -> bool {
    let plain = !expression.contains(['\\', '[']) && !expression.replace("(?:", "(").contains("(?");
    let mut depth = 0_i32;
    for c in expression.chars() {
        match c {
            '|' if depth < 1 || !plain => return true,
            '(' => depth += 1,
            // One that closes nothing is no expression, and so nothing that can be told.
            ')' => depth -= 1,
            _ => {}
        }
    }
    false
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

    #[test]
    fn an_alternative_outside_parentheses_may_match_anything() {
        for (pattern, expected) in [
            ("^refs/heads/(a)|refs/meta/config", true),
            ("^refs/heads/a|refs/meta/config", true),
            ("^refs/heads/(a|b)|refs/meta/(config)", true),
            ("^refs/heads/((a|b)|c)", false),
            ("^refs/heads/(?:a|b)$", false),
            // A parenthesis in a set or behind a backslash opens nothing.
            ("^refs/heads/[(]|refs/meta/config", true),
            (r"^refs/heads/\(|refs/meta/config", true),
            (r"^refs/heads/\Q(\E|refs/meta/config", true),
            ("^refs/heads/(?x)#(|refs/meta/config", true),
            ("^refs/heads/a)(|refs/meta/config", true),
        ] {
            assert_eq!(
                ref_patterns_overlap(pattern, "refs/meta/config"),
                expected,
                "{pattern}"
            );
        }
    }

    #[test]
    fn an_expression_is_within_reach_by_its_literal_start() {
        for (expression, pattern, expected) in [
            ("^refs/heads/sandbox/.*", "refs/heads/*", true),
            ("^refs/heads/(a|b)$", "^refs/heads/*", true),
            ("^refs/heads/(a|b)$", "^refs/heads/(a|b)$", true),
            ("^refs/heads/(a|b)$", "*", true),
            ("^refs/heads/(a)|refs/meta/config", "^refs/heads/*", false),
            ("^refs/heads/(a)|refs/meta/config", "*", true),
            ("^refs/heads/.*", "refs/heads/prod", false),
            ("^refs/(heads/x|meta/config)", "^refs/*heads/*", false),
            ("^refs/head.*", "refs/heads/*", false),
        ] {
            assert_eq!(
                expression_within(expression, pattern),
                expected,
                "{expression} {pattern}"
            );
        }
    }
}
