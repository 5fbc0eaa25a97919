//! Names are the field's own. A thing that is called after nothing it does has not been thought about.

use syn::visit::{self, Visit};

use super::{Source, hold, sources};

const EMPTY: [&str; 6] = ["Manager", "Helper", "Helpers", "Util", "Utils", "Service"];
/// Words that the vendors' own terms put behind one of those.
const TERMS: [&str; 5] = ["Credential", "Principal", "Principals", "Account", "User"];

/// The words of a name in either case.
fn words(name: &str) -> Vec<String> {
    let mut words: Vec<String> = Vec::new();
    for part in name.split('_') {
        let mut fresh = true;
        for c in part.chars() {
            if fresh || c.is_uppercase() {
                words.push(c.to_uppercase().collect());
            } else if let Some(word) = words.last_mut() {
                word.push(c);
            }
            fresh = false;
        }
    }
    words
}

fn is_empty(name: &str) -> bool {
    let words = words(name);
    words.iter().enumerate().any(|(at, word)| {
        let next = words.get(at + 1).map_or("", String::as_str);
        // AWS calls its store of secrets so.
        let secrets_manager = word == "Manager" && at > 0 && words[at - 1] == "Secrets";
        EMPTY.contains(&word.as_str()) && !(word == "Service" && TERMS.contains(&next)) && !secrets_manager
    })
}

#[derive(Default)]
struct Names(Vec<String>);

impl<'ast> Visit<'ast> for Names {
    fn visit_item(&mut self, item: &'ast syn::Item) {
        let name = match item {
            syn::Item::Struct(item) => Some(&item.ident),
            syn::Item::Enum(item) => Some(&item.ident),
            syn::Item::Trait(item) => Some(&item.ident),
            syn::Item::Type(item) => Some(&item.ident),
            syn::Item::Mod(item) => Some(&item.ident),
            syn::Item::Union(item) => Some(&item.ident),
            _ => None,
        };
        self.0.extend(name.map(ToString::to_string));
        visit::visit_item(self, item);
    }
}

fn broken(source: &Source) -> Vec<String> {
    let mut names = Names::default();
    names.visit_file(&source.syntax());
    let file = source.path.trim_end_matches(".rs").split('/').map(Into::into);
    let mut broken: Vec<_> = names
        .0
        .into_iter()
        .chain(file)
        .filter(|name| is_empty(name))
        .map(|name| format!("{}: {name}", source.path))
        .collect();
    broken.dedup();
    broken
}

#[test]
fn nothing_is_a_manager_helper_util_or_service() {
    let all = ["src", "core", "sim", "tests"].into_iter().flat_map(sources);
    hold(all.flat_map(|source| broken(&source)).collect(), &[]);
}

#[test]
fn an_empty_name_is_caught_and_a_vendors_term_is_not() {
    let caught = |path, text| !broken(&Source::new(path, text)).is_empty();
    for text in [
        "struct GroupManager;",
        "enum Utils {}",
        "mod http_helper {}",
        "fn f() { trait Service {} }",
        "type AccessService = ();",
    ] {
        assert!(caught("src/a.rs", text), "{text}");
    }
    assert!(caught("src/cli/utils.rs", ""));
    for text in [
        "struct ServicePrincipalRole;",
        "struct ServiceAccountRef;",
        "enum Issuer { ServiceUser }",
        "mod service_credential {}",
    ] {
        assert!(!caught("src/a.rs", text), "{text}");
    }
}
