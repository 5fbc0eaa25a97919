//! Words that outsiders see are spelled in one typed place each: condition types and reasons, annotations, finalizers.

use std::collections::BTreeSet;

use syn::visit::{self, Visit};
use syn::{Attribute, LitStr, Macro};

use super::{Source, hold, root, sources};

/// Where annotations, finalizers, types and reasons are spelled.
const TYPED: &str = "core/src/api/";
/// What begins like an annotation and is none: the group itself, and the name events are reported under.
const NO_ANNOTATIONS: [&str; 2] = ["lockstep.dev/", "lockstep.dev/controller"];

/// Types and reasons of conditions, read from where they are defined.
fn vocabulary() -> BTreeSet<String> {
    let path = "core/src/api/condition.rs";
    let text = std::fs::read_to_string(root().join(path)).unwrap();
    let file = Source::new(path, &text).syntax();
    let enums = file.items.iter().filter_map(|item| match item {
        syn::Item::Enum(item) => Some(item),
        _ => None,
    });
    enums
        .flat_map(|item| item.variants.iter().map(|variant| variant.ident.to_string()))
        .collect()
}

/// String literals of a file that is not a test, attributes and test modules left out.
#[derive(Default)]
struct Literals(Vec<String>);

fn is_for_tests(attributes: &[Attribute]) -> bool {
    let test = |attribute: &Attribute| {
        attribute.path().is_ident("test")
            || attribute.path().is_ident("cfg")
                && attribute
                    .parse_args::<syn::Ident>()
                    .is_ok_and(|word| word == "test")
    };
    attributes.iter().any(test)
}

impl<'ast> Visit<'ast> for Literals {
    fn visit_attribute(&mut self, _: &'ast Attribute) {}

    fn visit_item_mod(&mut self, item: &'ast syn::ItemMod) {
        if !is_for_tests(&item.attrs) {
            visit::visit_item_mod(self, item);
        }
    }

    fn visit_item_fn(&mut self, item: &'ast syn::ItemFn) {
        if !is_for_tests(&item.attrs) {
            visit::visit_item_fn(self, item);
        }
    }

    fn visit_lit_str(&mut self, literal: &'ast LitStr) {
        self.0.push(literal.value());
    }

    /// What a macro is given is not parsed; its literals stand between quotes.
    fn visit_macro(&mut self, item: &'ast Macro) {
        let text = item.tokens.to_string();
        self.0.extend(text.split('"').skip(1).step_by(2).map(Into::into));
    }
}

fn broken(source: &Source, vocabulary: &BTreeSet<String>) -> Vec<String> {
    if source.is_test() || source.path.starts_with(TYPED) {
        return Vec::new();
    }
    let mut literals = Literals::default();
    literals.visit_file(&source.syntax());
    let mut broken: Vec<_> = literals
        .0
        .iter()
        .filter_map(|literal| {
            let place = if vocabulary.contains(literal) {
                "core::api::condition"
            } else if literal.starts_with("lockstep.dev/") && !NO_ANNOTATIONS.contains(&literal.as_str()) {
                "core::api"
            } else {
                return None;
            };
            Some(format!("{}: {literal:?} is spelled in {place}", source.path))
        })
        .collect();
    broken.sort();
    broken.dedup();
    broken
}

#[test]
fn words_that_outsiders_see_are_spelled_once() {
    let vocabulary = vocabulary();
    assert!(
        vocabulary.contains("Ready") && vocabulary.contains("IdentityChanged"),
        "{vocabulary:?}"
    );
    let all = ["src", "core/src"].into_iter().flat_map(sources);
    hold(all.flat_map(|source| broken(&source, &vocabulary)).collect(), &[]);
}

#[test]
fn a_word_spelled_elsewhere_is_caught() {
    let caught = |path, text| !broken(&Source::new(path, text), &vocabulary()).is_empty();
    for text in [
        "const A: &str = \"lockstep.dev/rotate\";",
        "fn f(reason: &str) -> bool { reason == \"NotFound\" }",
        "fn f() { json!({\"reason\": \"NotFound\"}) }",
        "mod inner { const A: &str = \"Stalled\"; }",
    ] {
        assert!(caught("src/cli/a.rs", text), "{text}");
        assert!(!caught("core/src/api/a.rs", text), "{text}");
        assert!(!caught("src/cli/tests.rs", text), "{text}");
    }
    for text in [
        "/// NotFound, or `lockstep.dev/x`.\nstruct A;",
        "#[serde(rename = \"NotFound\")] struct A;",
        "#[cfg(test)] mod tests { const A: &str = \"NotFound\"; }",
        "#[test] fn f() { g(\"NotFound\") }",
        "const A: &str = \"NotFound, for example\";",
        "const A: &str = \"lockstep.dev/\";",
    ] {
        assert!(!caught("src/cli/a.rs", text), "{text}");
    }
}
