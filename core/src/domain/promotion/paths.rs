//! Which files a pattern means. Our own thirty lines and no glob crate: those give `!` and `{}` meanings of their own,
//! and a pattern here can excuse a machine from review.

/// Whether a path matches: `?` is one character and `*` any number of them within a folder, `**` as a whole segment any
/// number of folders.
pub fn matches(pattern: &str, path: &str) -> bool {
    let pattern: Vec<&str> = pattern.split('/').collect();
    let path: Vec<&str> = path.split('/').collect();
    walk(&pattern, &path)
}

fn walk(pattern: &[&str], path: &[&str]) -> bool {
    match pattern.split_first() {
        None => path.is_empty(),
        Some((&"**", rest)) => {
            // A trailing `**` means what is inside, not the folder's own name.
            (!rest.is_empty() || !path.is_empty()) && (0..=path.len()).any(|skip| walk(rest, &path[skip..]))
        }
        Some((segment, rest)) => path
            .split_first()
            .is_some_and(|(name, below)| fits(segment.as_bytes(), name.as_bytes()) && walk(rest, below)),
    }
}

fn fits(segment: &[u8], name: &[u8]) -> bool {
    match segment.split_first() {
        None => name.is_empty(),
        Some((b'*', rest)) => (0..=name.len()).any(|skip| fits(rest, &name[skip..])),
        Some((b'?', rest)) => name.split_first().is_some_and(|(_, name)| fits(rest, name)),
        Some((letter, rest)) => name
            .split_first()
            .is_some_and(|(first, name)| first == letter && fits(rest, name)),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_star_stays_within_a_folder_and_two_do_not() {
        for (pattern, path, expected) in [
            ("requirements*.txt", "requirements-dev.txt", true),
            ("requirements*.txt", "sub/requirements.txt", false),
            ("models/fraud/**", "models/fraud/a/b.py", true),
            ("models/fraud/**", "models/fraud", false),
            ("models/fraud/**", "models/fraudulent.py", false),
            ("**/*.txt", "a/b/c.txt", true),
            ("**/*.txt", "c.txt", true),
            ("**", "anything/at/all", true),
            ("jobs/*", "jobs/train.yml", true),
            ("jobs/*", "jobs/sub/train.yml", false),
            ("jobs/?.yml", "jobs/a.yml", true),
            ("!jobs/*", "models/a.py", false),
            ("{a,b}", "a", false),
            ("", "a", false),
        ] {
            assert_eq!(matches(pattern, path), expected, "{pattern} {path}");
        }
    }
}
