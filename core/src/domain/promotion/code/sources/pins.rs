//! When a path lies where it must, and when a requirement means one thing only.

/// Whether this is an address such as `dbfs:/x` rather than a path.
pub(super) fn has_scheme(text: &str) -> bool {
    text.split_once(':').is_some_and(|(scheme, rest)| {
        rest.starts_with('/') && scheme.chars().all(|c| c.is_ascii_alphanumeric())
    })
}

/// An absolute path without `.`, `..`, doubled slashes and `/Workspace`, which means the same; `None`: it leaves the
/// root, or has no fixed meaning.
pub(super) fn normal(path: &str) -> Option<String> {
    // `{{job.parameters.x}}` is filled in when the run starts, by whoever starts it.
    if !path.starts_with('/') || path.contains("{{") {
        return None;
    }
    let mut parts: Vec<&str> = Vec::new();
    for part in path.split('/') {
        match part {
            "" | "." => {}
            ".." => {
                parts.pop()?;
            }
            part => parts.push(part),
        }
    }
    let spelled = parts.first() == Some(&"Workspace");
    Some(format!("/{}", parts[usize::from(spelled)..].join("/")))
}

pub(super) fn inside(path: &str, directory: Option<&str>) -> bool {
    let (Some(path), Some(directory)) = (normal(path), directory.and_then(normal)) else {
        return false;
    };
    path == directory || path.starts_with(&format!("{directory}/"))
}

/// `name[extras]==1.2.3`, or an address with its digest; a marker may follow.
pub(super) fn is_pinned(requirement: &str) -> bool {
    let text = requirement.split(';').next().unwrap_or_default().trim();
    if let Some((_, address)) = text.split_once('@') {
        return address.contains("#sha256=");
    }
    let Some((name, version)) = text.split_once("==") else {
        return false;
    };
    let version = version.trim_start_matches('=').trim();
    let plain = |c: char| c.is_ascii_alphanumeric() || matches!(c, '.' | '_' | '-' | '[' | ']' | ',');
    let exact = |c: char| c.is_ascii_alphanumeric() || matches!(c, '.' | '_' | '-' | '+' | '!');
    let name = name.trim();
    !name.is_empty() && name.chars().all(plain) && !version.is_empty() && version.chars().all(exact)
}

/// `group:artifact:version` with one exact version.
pub(super) fn is_exact(coordinates: &str) -> bool {
    let parts: Vec<&str> = coordinates.split(':').collect();
    let moving = |part: &str| part.is_empty() || part.contains(['[', ']', '(', ')', ',', '+']);
    let version = parts.last().copied().unwrap_or_default();
    parts.len() >= 3
        && !parts.iter().any(|part| moving(part))
        && !version.ends_with("SNAPSHOT")
        && !matches!(version, "LATEST" | "RELEASE")
}
