//! The core can be understood, and built, without a network: its manifest asks for nothing that speaks to one.

use std::fs;

use super::root;

/// Crates that wait or speak to the outside.
const FORBIDDEN: [&str; 10] = [
    "tokio",
    "reqwest",
    "hyper",
    "axum",
    "futures",
    "kube-client",
    "kube-runtime",
    "gix",
    "backon",
    "governor",
];

/// What a manifest asks for as a dependency of the crate itself, with the rest of its line.
fn dependencies(manifest: &str) -> Vec<(String, String)> {
    let mut inside = false;
    let mut found = Vec::new();
    for line in manifest.lines().map(str::trim) {
        if let Some(section) = line.strip_prefix('[') {
            let section = section.trim_end_matches(']');
            let (table, name) = section.split_once('.').unwrap_or((section, ""));
            inside = section == "dependencies";
            if table == "dependencies" && !name.is_empty() {
                found.push((name.to_owned(), String::new()));
            }
        } else if let Some((key, value)) = line.split_once('=').filter(|_| inside && !line.starts_with('#')) {
            let key = key.trim().split('.').next().unwrap_or_default();
            found.push((key.to_owned(), value.trim().to_owned()));
        }
    }
    found
}

fn broken(manifest: &str) -> Vec<String> {
    let found = dependencies(manifest).into_iter().filter_map(|(name, rest)| {
        let client = name == "kube"
            && ["client", "runtime", "ws", "oauth"]
                .iter()
                .any(|part| rest.contains(part));
        let renamed = FORBIDDEN
            .iter()
            .any(|forbidden| rest.contains(&format!("\"{forbidden}\"")));
        (FORBIDDEN.contains(&name.as_str()) || client || renamed).then_some(name)
    });
    found.collect()
}

#[test]
fn the_core_asks_for_nothing_that_speaks_to_a_network() {
    let manifest = fs::read_to_string(root().join("core/Cargo.toml")).unwrap();
    assert!(dependencies(&manifest).iter().any(|(name, _)| name == "kube"));
    assert_eq!(broken(&manifest), Vec::<String>::new());
    // What the core inherits must not bring a client along either.
    let workspace = fs::read_to_string(root().join("Cargo.toml")).unwrap();
    let line = workspace
        .lines()
        .find(|line| line.starts_with("kube = ") && line.contains("version"));
    assert!(
        line.is_some_and(|line| line.contains("default-features = false") && !line.contains("features = ["))
    );
}

#[test]
fn a_dependency_on_a_network_is_caught() {
    for manifest in [
        "[dependencies]\ntokio = \"1\"",
        "[dependencies]\ntokio.workspace = true",
        "[dependencies.reqwest]\nversion = \"1\"",
        "[dependencies]\nkube = { workspace = true, features = [\"derive\", \"client\"] }",
        "[dependencies]\nasync-io = { package = \"tokio\", version = \"1\" }",
    ] {
        assert!(!broken(manifest).is_empty(), "{manifest}");
    }
    for manifest in [
        "[dependencies]\nkube = { workspace = true, features = [\"derive\"] }\n[dev-dependencies]\ntokio = \"1\"",
        "[dependencies]\n# tokio = \"1\"\nserde.workspace = true",
    ] {
        assert_eq!(broken(manifest), Vec::<String>::new());
    }
}
