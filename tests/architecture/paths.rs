//! Every path a file names, resolved to where it leads.

use syn::visit::{self, Visit};
use syn::{ItemMod, ItemUse, Macro, UseTree};

use super::Source;

/// The module a file is, from the root of its crate: `src/clients/http/mod.rs` is `clients::http`.
pub fn module_of(path: &str) -> Vec<String> {
    let inside = path.split_once("src/").map_or(path, |(_, inside)| inside);
    let name = inside.trim_end_matches(".rs").trim_end_matches("/mod");
    match name {
        "lib" => Vec::new(),
        name => name.split('/').map(Into::into).collect(),
    }
}

/// What a file names.
#[derive(Default)]
pub struct Paths {
    module: Vec<String>,
    /// Inside the crate, from its root.
    pub inner: Vec<Vec<String>>,
    /// In other crates, or relative to what is in scope.
    pub outer: Vec<Vec<String>>,
}

/// Resolves all paths of a file, in `use` declarations, code and macros. `crate_name` is what the crate's own binary
/// calls it.
pub fn paths(source: &Source, crate_name: &str) -> Paths {
    let mut paths = Paths {
        module: module_of(&source.path),
        ..Paths::default()
    };
    let mut visitor = Visitor {
        paths: &mut paths,
        crate_name,
    };
    visitor.visit_file(&source.syntax());
    paths
}

struct Visitor<'a> {
    paths: &'a mut Paths,
    crate_name: &'a str,
}

impl Visitor<'_> {
    fn record(&mut self, segments: &[String]) {
        let mut rest = segments;
        let mut at = self.paths.module.clone();
        match rest.first().map(String::as_str) {
            Some("crate") => at.clear(),
            Some(name) if name == self.crate_name => at.clear(),
            Some("self") => {}
            Some("super") => {
                while rest.first().is_some_and(|segment| segment == "super") {
                    at.pop();
                    rest = &rest[1..];
                }
                at.extend(rest.iter().cloned());
                return self.paths.inner.push(at);
            }
            _ => return self.paths.outer.push(segments.to_vec()),
        }
        at.extend(rest[1..].iter().cloned());
        self.paths.inner.push(at);
    }

    fn record_tree(&mut self, before: &mut Vec<String>, tree: &UseTree) {
        match tree {
            UseTree::Path(path) => {
                before.push(path.ident.to_string());
                self.record_tree(before, &path.tree);
                before.pop();
            }
            UseTree::Name(name) => self.record_leaf(before, name.ident.to_string()),
            UseTree::Rename(rename) => self.record_leaf(before, rename.ident.to_string()),
            UseTree::Glob(_) => self.record(before),
            UseTree::Group(group) => {
                for tree in &group.items {
                    self.record_tree(before, tree);
                }
            }
        }
    }

    fn record_leaf(&mut self, before: &[String], name: String) {
        let leaf = (name != "self").then_some(name);
        let path: Vec<_> = before.iter().cloned().chain(leaf).collect();
        self.record(&path);
    }
}

impl<'ast> Visit<'ast> for Visitor<'_> {
    fn visit_item_use(&mut self, item: &'ast ItemUse) {
        self.record_tree(&mut Vec::new(), &item.tree);
    }

    fn visit_path(&mut self, path: &'ast syn::Path) {
        let segments: Vec<_> = path
            .segments
            .iter()
            .map(|segment| segment.ident.to_string())
            .collect();
        if segments.len() > 1 {
            self.record(&segments);
        }
        visit::visit_path(self, path);
    }

    /// What a macro is given is not parsed, but a path is recognised by its colons.
    fn visit_macro(&mut self, item: &'ast Macro) {
        let text = item.tokens.to_string().replace(" :: ", "::").replace(":: ", "::");
        for word in text.split(|c: char| !c.is_alphanumeric() && c != '_' && c != ':') {
            let segments: Vec<_> = word
                .split("::")
                .filter(|part| !part.is_empty())
                .map(Into::into)
                .collect();
            if segments.len() > 1 {
                self.record(&segments);
            }
        }
        visit::visit_macro(self, item);
    }

    fn visit_item_mod(&mut self, item: &'ast ItemMod) {
        if item.content.is_some() {
            self.paths.module.push(item.ident.to_string());
            visit::visit_item_mod(self, item);
            self.paths.module.pop();
        }
    }
}
