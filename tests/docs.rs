//! What the user guide says is so: its YAML is accepted, its links lead somewhere, its commands and make targets exist,
//! and every reason, field, level, metric and value that people meet is explained.
//!
//! Each check answers with complaints, so that the last test can hold it to texts that are wrong on purpose.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]

#[path = "crds/offline.rs"]
mod offline;

use std::collections::BTreeSet;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

use lockstep_core::api::objects::ObjectAccess;
use lockstep_core::api::{CANCEL, CHANGED_BY, GROUP, HOST, REQUESTED_AT, RETRY, crd};
use lockstep_core::domain::access::catalog;
use offline::Judge;
use serde::Deserialize as _;
use serde_json::{Value, json};

/// A page by its path below the repository.
struct Page {
    path: PathBuf,
    text: String,
}

/// A fenced block.
struct Block {
    language: String,
    text: String,
}

fn root() -> PathBuf {
    PathBuf::from(env!("CARGO_MANIFEST_DIR"))
}

fn read(path: &str) -> String {
    fs::read_to_string(root().join(path)).unwrap_or_else(|error| panic!("{path}: {error}"))
}

/// README.md and docs/*.md.
fn pages() -> Vec<Page> {
    let mut paths = vec![PathBuf::from("README.md")];
    for entry in fs::read_dir(root().join("docs")).unwrap() {
        let path = entry.unwrap().path();
        if path.extension().is_some_and(|extension| extension == "md") {
            paths.push(path.strip_prefix(root()).unwrap().to_owned());
        }
    }
    paths.sort();
    let page = |path: PathBuf| Page {
        text: fs::read_to_string(root().join(&path)).unwrap(),
        path,
    };
    paths.into_iter().map(page).collect()
}

fn page(path: &str, text: &str) -> Page {
    Page {
        path: path.into(),
        text: text.into(),
    }
}

/// Fenced blocks, and the text outside them.
fn split(text: &str) -> (Vec<Block>, String) {
    let (mut blocks, mut prose) = (Vec::new(), String::new());
    let mut open: Option<(usize, Block)> = None;
    for line in text.lines() {
        let fence = line.trim_start().strip_prefix("```");
        match (&mut open, fence) {
            (None, Some(language)) => {
                let indent = line.len() - line.trim_start().len();
                let block = Block {
                    language: language.trim().to_owned(),
                    text: String::new(),
                };
                open = Some((indent, block));
            }
            (Some(_), Some(_)) => blocks.extend(open.take().map(|(_, block)| block)),
            (Some((indent, block)), None) => {
                block.text += line.get(*indent..).unwrap_or_default();
                block.text.push('\n');
            }
            (None, None) => {
                prose += line;
                prose.push('\n');
            }
        }
    }
    assert!(open.is_none(), "a block is never closed");
    (blocks, prose)
}

/// Code spans of prose.
fn spans(prose: &str) -> impl Iterator<Item = &str> {
    prose.lines().flat_map(|line| line.split('`').skip(1).step_by(2))
}

/// Rows of tables as trimmed cells, with the heading they stand under.
fn rows(text: &str) -> Vec<(String, Vec<String>)> {
    let (mut heading, mut rows) = (String::new(), Vec::new());
    for line in split(text).1.lines() {
        if let Some(title) = line.strip_prefix('#') {
            title.trim_start_matches('#').trim().clone_into(&mut heading);
        } else if let Some(cells) = line.strip_prefix('|').and_then(|line| line.strip_suffix('|')) {
            let cells = cells.split('|').map(|cell| cell.trim().to_owned()).collect();
            rows.push((heading.clone(), cells));
        }
    }
    rows
}

fn schema(kind: &str) -> Option<Value> {
    let crd = crd::all().into_iter().find(|crd| crd.spec.names.kind == kind)?;
    let schema = crd.spec.versions[0]
        .schema
        .as_ref()?
        .open_api_v3_schema
        .as_ref()?;
    Some(serde_json::to_value(schema).unwrap())
}

/// What a fragment needs besides itself.
fn rest_of(kind: &str) -> Value {
    let secret = json!({"secretRef": {"name": "x"}});
    match kind {
        "GerritConnection" => json!({"url": "https://g.example.com", "auth": {"basic": secret}}),
        "PromotionPolicy" => json!({
            "gerrit": {"connectionRef": {"name": "x"}, "project": "x"},
            "gate": {"approval": {"label": "A", "group": "x"}, "verification": {"label": "B", "group": "x"}},
            "steps": [{"name": "x", "job": {"name": "x"}}],
            "environments": [{
                "name": "x", "branch": "x", "databricks": {"connectionRef": {"name": "x"}},
                "runAs": {"applicationId": "00000000-0000-4000-8000-000000000000"},
            }],
        }),
        "DatabricksConnection" => json!({"host": "https://d.example.com", "auth": {"oauthSecret": secret}}),
        _ => json!({}),
    }
}

fn parse(text: &str) -> Result<Vec<Value>, String> {
    serde_yaml_ng::Deserializer::from_str(text)
        .map(|document| Value::deserialize(document).map_err(|error| error.to_string()))
        .collect()
}

/// Every YAML block is an object, a fragment of a spec, or values of the chart, and is accepted as such.
fn wrong_yaml(page: &Page) -> Vec<String> {
    let values = &parse(&read("charts/lockstep/values.yaml")).unwrap()[0];
    let mut wrong = Vec::new();
    for Block { text, .. } in split(&page.text)
        .0
        .into_iter()
        .filter(|block| block.language == "yaml")
    {
        let at = format!(
            "{}: {:?}",
            page.path.display(),
            text.lines().next().unwrap_or_default()
        );
        let first = text.lines().next().unwrap_or_default();
        let fragment = first
            .strip_prefix("# spec of an ")
            .or_else(|| first.strip_prefix("# spec of a "));
        let objects = match parse(&text) {
            Ok(objects) => objects,
            Err(error) => {
                wrong.push(format!("{at}: {error}"));
                continue;
            }
        };
        for object in objects {
            let found = if first == "# values of the chart" {
                unknown_values(&object, values, "")
            } else if let Some(kind) = fragment {
                let mut spec = rest_of(kind);
                spec.as_object_mut()
                    .unwrap()
                    .extend(object.as_object().cloned().unwrap_or_default());
                judge(kind, "example", &spec)
            } else {
                whole(&object)
            };
            wrong.extend(found.into_iter().map(|why| format!("{at}: {why}")));
        }
    }
    wrong
}

fn judge(kind: &str, name: &str, spec: &Value) -> Vec<String> {
    match schema(kind) {
        Some(schema) => Judge::default().object(&schema, name, spec, None),
        None => vec![format!("there is no kind {kind}")],
    }
}

fn whole(object: &Value) -> Vec<String> {
    let kind = object["kind"].as_str().unwrap_or_default();
    let mut wrong = Vec::new();
    for field in ["apiVersion", "kind"] {
        if object[field].as_str().is_none() {
            wrong.push(format!("says neither {field} nor whose spec it is"));
        }
    }
    let annotations = object["metadata"]["annotations"]
        .as_object()
        .into_iter()
        .flatten();
    for (key, _) in annotations.filter(|(key, _)| key.starts_with(GROUP)) {
        if ![HOST, REQUESTED_AT, CHANGED_BY, CANCEL, RETRY].contains(&key.as_str()) {
            wrong.push(format!("nobody reads the annotation {key}"));
        }
    }
    let group = object["apiVersion"].as_str().unwrap_or_default();
    if group.starts_with(GROUP) {
        if group != format!("{GROUP}/{}", lockstep_core::api::VERSION) {
            wrong.push(format!("there is no version {group}"));
        }
        for field in ["name", "namespace"] {
            if object["metadata"][field].as_str().is_none() {
                wrong.push(format!("has no {field}"));
            }
        }
        let name = object["metadata"]["name"].as_str().unwrap_or_default();
        wrong.extend(judge(kind, name, &object["spec"]));
        wrong.extend(does_not_parse(kind, object));
    }
    wrong
}

/// The schema is one reading of an object, serde another.
fn does_not_parse(kind: &str, object: &Value) -> Option<String> {
    use lockstep_core::api::{
        AccessBinding, ChangeFreeze, DatabricksConnection, GerritConnection, PlanApproval, Promotion,
        PromotionPolicy,
    };
    fn as_kind<K: serde::de::DeserializeOwned>(object: &Value) -> Option<String> {
        let parsed = serde_json::from_value::<K>(object.clone());
        parsed.err().map(|error| error.to_string())
    }
    match kind {
        "AccessBinding" => as_kind::<AccessBinding>(object),
        "GerritConnection" => as_kind::<GerritConnection>(object),
        "DatabricksConnection" => as_kind::<DatabricksConnection>(object),
        "PlanApproval" => as_kind::<PlanApproval>(object),
        "PromotionPolicy" => as_kind::<PromotionPolicy>(object),
        "Promotion" => as_kind::<Promotion>(object),
        "ChangeFreeze" => as_kind::<ChangeFreeze>(object),
        _ => Some(format!("there is no kind {kind}")),
    }
}

fn unknown_values(found: &Value, known: &Value, at: &str) -> Vec<String> {
    let Some(fields) = found.as_object() else {
        return Vec::new();
    };
    let unknown = fields.iter().flat_map(|(name, value)| match known.get(name) {
        Some(known) => unknown_values(value, known, &format!("{at}{name}.")),
        None => vec![format!("the chart has no value {at}{name}")],
    });
    unknown.collect()
}

/// GitHub's anchor of a heading.
fn anchor(heading: &str) -> String {
    let words = heading.trim_start_matches('#').trim().to_lowercase();
    words
        .chars()
        .filter(|c| c.is_alphanumeric() || matches!(c, ' ' | '-' | '_'))
        .map(|c| if c == ' ' { '-' } else { c })
        .collect()
}

/// Every relative link leads to a file, and to a heading where it names one.
fn wrong_links(page: &Page) -> Vec<String> {
    let prose = split(&page.text).1;
    let mut wrong = Vec::new();
    for link in prose
        .split("](")
        .skip(1)
        .filter_map(|rest| Some(rest.split_once(')')?.0))
    {
        if link.contains("://") {
            continue;
        }
        let (file, heading) = link.split_once('#').unwrap_or((link, ""));
        let target = if file.is_empty() {
            root().join(&page.path)
        } else {
            root()
                .join(page.path.parent().unwrap_or(Path::new("")))
                .join(file)
        };
        let found = target.exists()
            && (heading.is_empty()
                || split(&fs::read_to_string(&target).unwrap_or_default())
                    .1
                    .lines()
                    .any(|line| line.starts_with('#') && anchor(line) == heading));
        if !found {
            wrong.push(format!("{}: nothing is at {link}", page.path.display()));
        }
    }
    wrong
}

/// Lines that a page tells people to type: after `$ ` in console blocks, continued lines joined.
fn typed(page: &Page) -> Vec<String> {
    let blocks = split(&page.text).0;
    let console = blocks.iter().filter(|block| block.language == "console");
    let joined = console.map(|block| block.text.replace("\\\n", " "));
    joined
        .flat_map(|text| {
            text.lines()
                .filter_map(|line| line.strip_prefix("$ ").map(ToOwned::to_owned))
                .collect::<Vec<_>>()
        })
        .collect()
}

/// The commands of a shell line as words: quotes hold words together, comments and redirections are left out.
fn commands(line: &str) -> Vec<Vec<String>> {
    let mut commands = vec![Vec::new()];
    let mut rest = line.trim_start();
    while let Some(first) = rest.chars().next() {
        let (word, after) = match first {
            '#' => break,
            '|' | ';' | '&' => {
                commands.push(Vec::new());
                rest = rest.trim_start_matches(['|', ';', '&', ' ']);
                continue;
            }
            '\'' | '"' => rest[1..].split_once(first).unwrap_or((&rest[1..], "")),
            _ => rest.split_at(rest.find([' ', '|', ';']).unwrap_or(rest.len())),
        };
        rest = after.trim_start();
        if word.starts_with(['>', '<']) {
            // The file that follows is no argument.
            rest = rest.split_once(' ').map_or("", |(_, rest)| rest);
        } else {
            commands.last_mut().unwrap().push(word.to_owned());
        }
    }
    commands
}

/// `lockstep` understands the arguments: `--help` after them makes it stop there.
fn understood(arguments: &[String]) -> bool {
    let output = Command::new(env!("CARGO_BIN_EXE_lockstep"))
        .args(arguments)
        .arg("--help")
        .output()
        .unwrap();
    output.status.code() == Some(0)
}

/// Every `lockstep` command that is typed or spoken of can be parsed.
fn wrong_commands(page: &Page) -> Vec<String> {
    let mut tried: BTreeSet<Vec<String>> = BTreeSet::new();
    for command in typed(page).iter().flat_map(|line| commands(line)) {
        let words: Vec<&str> = command.iter().map(String::as_str).collect();
        match words[..] {
            ["lockstep", ..] => {
                tried.insert(command[1..].to_vec());
            }
            ["kubectl", "lockstep", ..] => {
                tried.insert(command[2..].to_vec());
            }
            _ => {}
        }
    }
    // In prose only the command itself: what follows may be an object's name or a placeholder.
    for span in spans(&split(&page.text).1) {
        let spoken = span
            .strip_prefix("kubectl ")
            .unwrap_or(span)
            .strip_prefix("lockstep ");
        let words = spoken.into_iter().flat_map(str::split_whitespace);
        let plain: Vec<String> = words
            .take(1)
            .filter(|word| word.chars().all(|c| c.is_ascii_lowercase()))
            .map(ToOwned::to_owned)
            .collect();
        if !plain.is_empty() {
            tried.insert(plain);
        }
    }
    let wrong = tried.into_iter().filter(|arguments| !understood(arguments));
    wrong
        .map(|arguments| format!("{}: lockstep {}", page.path.display(), arguments.join(" ")))
        .collect()
}

/// Every make target that is typed or spoken of exists.
fn wrong_targets(page: &Page) -> Vec<String> {
    let makefile = read("Makefile");
    let typed = typed(page);
    let prose = split(&page.text).1;
    let named = typed
        .iter()
        .flat_map(|line| commands(line))
        .chain(spans(&prose).flat_map(commands))
        .filter(|words| words.first().is_some_and(|word| word == "make"))
        .flat_map(|words| words.into_iter().skip(1).collect::<Vec<_>>())
        .filter(|word| !word.contains('='));
    named
        .filter(|target| {
            !makefile
                .lines()
                .any(|line| line.starts_with(&format!("{target}:")))
        })
        .map(|target| format!("{}: make has no target {target}", page.path.display()))
        .collect()
}

fn sources(directory: &Path, found: &mut Vec<String>) {
    for entry in fs::read_dir(directory).unwrap() {
        let path = entry.unwrap().path();
        if path.is_dir() {
            sources(&path, found);
        } else if path.extension().is_some_and(|extension| extension == "rs")
            && path.file_name().is_some_and(|name| name != "condition.rs")
        {
            let text = fs::read_to_string(&path).unwrap();
            found.push(text.split("#[cfg(test)]").next().unwrap_or_default().to_owned());
        }
    }
}

/// Reasons that some code gives.
fn reasons_given() -> BTreeSet<String> {
    let all = read("core/src/api/condition.rs");
    let (_, body) = all.split_once("pub enum Reason {").unwrap();
    let (body, _) = body.split_once('}').unwrap();
    let mut code = Vec::new();
    for directory in ["src", "core/src"] {
        sources(&root().join(directory), &mut code);
    }
    let used: BTreeSet<&str> = code
        .iter()
        .flat_map(|text| text.split("Reason::").skip(1))
        .filter_map(|rest| rest.split(|c: char| !c.is_alphanumeric()).next())
        .collect();
    let names = body
        .lines()
        .map(|line| line.trim().trim_end_matches(','))
        .filter(|line| !line.is_empty() && !line.starts_with("//"));
    names
        .filter(|reason| used.contains(reason))
        .map(ToOwned::to_owned)
        .collect()
}

/// Words that the first cells of tables explain whose header cell is `header`.
fn explained(pages: &[Page], header: &str) -> BTreeSet<String> {
    let mut words = BTreeSet::new();
    for page in pages {
        let mut within = false;
        for (_, cells) in rows(&page.text) {
            // A table begins where its header is followed by dashes; headers of other tables end this one.
            if cells[0] == header {
                within = true;
            } else if !cells[0].starts_with('`') && !cells[0].starts_with('-') {
                within = false;
            } else if within {
                words.extend(spans(&cells[0]).map(ToOwned::to_owned));
            }
        }
    }
    words
}

/// Fields of all specs, with the kind they belong to.
fn fields(schema: &Value, at: &str, found: &mut BTreeSet<(String, String)>) {
    for (name, property) in schema["properties"].as_object().into_iter().flatten() {
        found.insert((at.to_owned(), name.clone()));
        fields(property, &format!("{at}.{name}"), found);
    }
    if schema["items"].is_object() {
        fields(&schema["items"], at, found);
    }
}

fn no(wrong: Vec<String>) {
    assert!(wrong.is_empty(), "{wrong:#?}");
}

#[test]
fn every_yaml_block_is_accepted() {
    let pages = pages();
    let blocks = pages.iter().flat_map(|page| split(&page.text).0);
    assert!(blocks.filter(|block| block.language == "yaml").count() > 10);
    no(pages.iter().flat_map(wrong_yaml).collect());
}

#[test]
fn every_link_leads_somewhere() {
    no(pages().iter().flat_map(wrong_links).collect());
}

#[test]
fn every_picture_is_shown_and_drawn_for_light_and_dark() {
    let pages = pages();
    for entry in fs::read_dir(root().join("docs/pictures")).unwrap() {
        let path = entry.unwrap().path();
        let name = path.file_name().unwrap().to_str().unwrap().to_owned();
        let shown = format!("](pictures/{name})");
        assert!(
            pages.iter().any(|page| page.text.contains(&shown)),
            "{name} is nowhere shown"
        );
        let drawn = fs::read_to_string(&path).unwrap();
        for part in ["prefers-color-scheme:dark", "<title", "<desc"] {
            assert!(drawn.contains(part), "{name} has no {part}");
        }
    }
}

#[test]
fn every_command_is_understood() {
    no(pages().iter().flat_map(wrong_commands).collect());
}

/// Subcommands as `lockstep --help` lists them.
fn subcommands() -> Vec<String> {
    let output = Command::new(env!("CARGO_BIN_EXE_lockstep"))
        .arg("--help")
        .output()
        .unwrap();
    let help = String::from_utf8(output.stdout).unwrap();
    let (_, rest) = help.split_once("Commands:\n").unwrap();
    rest.lines()
        .take_while(|line| !line.is_empty())
        .filter_map(|line| line.split_whitespace().next())
        .filter(|name| *name != "help")
        .map(ToOwned::to_owned)
        .collect()
}

#[test]
fn every_subcommand_has_a_section_and_no_other() {
    let commands = subcommands();
    assert!(commands.len() > 5, "{commands:?}");
    let text = read("docs/cli.md");
    let sections: BTreeSet<String> = split(&text)
        .1
        .lines()
        .filter_map(|line| line.strip_prefix("## "))
        .map(ToOwned::to_owned)
        .collect();
    assert_eq!(sections, commands.into_iter().collect());
    for section in &sections {
        let told = rows(&text)
            .into_iter()
            .any(|(_, cells)| cells[0] == format!("[`{section}`](#{section})"));
        assert!(told, "the table of commands leaves out {section}");
    }
}

#[test]
fn every_make_target_exists() {
    no(pages().iter().flat_map(wrong_targets).collect());
}

#[test]
fn every_reason_that_is_given_is_explained_and_no_other() {
    let (given, explained) = (reasons_given(), explained(&pages(), "reason"));
    assert!(given.len() > 30, "{given:?}");
    let unexplained: Vec<_> = given.difference(&explained).collect();
    assert!(unexplained.is_empty(), "in no table of reasons: {unexplained:?}");
    let never: Vec<_> = explained.difference(&given).collect();
    assert!(never.is_empty(), "explained, but never given: {never:?}");
}

#[test]
fn every_field_is_spoken_of() {
    let text: String = pages().into_iter().map(|page| page.text).collect();
    let words: BTreeSet<&str> = text.split(|c: char| !c.is_alphanumeric()).collect();
    let mut all = BTreeSet::new();
    for kind in crd::all().into_iter().map(|crd| crd.spec.names.kind) {
        fields(&schema(&kind).unwrap()["properties"]["spec"], &kind, &mut all);
    }
    assert!(all.len() > 100);
    // Below what has no effect yet nothing is explained.
    let missing: Vec<_> = all
        .iter()
        .filter(|(at, name)| !words.contains(name.as_str()) && !at.contains(".promotion"))
        .filter(|(at, _)| !at.contains(".events") && !at.contains(".audit"))
        .collect();
    assert!(missing.is_empty(), "{missing:#?}");
}

#[test]
fn every_level_of_every_object_type_stands_in_the_table() {
    let mut told = BTreeSet::new();
    for (_, cells) in rows(&read("docs/access-binding.md")) {
        let [keys, levels, reach] = &cells[..] else {
            continue;
        };
        let levels: Vec<&str> = spans(levels).collect();
        if !levels.first().is_some_and(|level| level.starts_with("CAN_")) {
            continue;
        }
        let keys: Vec<&str> = spans(keys)
            .filter(|key| !["tokens", "passwords"].contains(key))
            .collect();
        for key in keys {
            let named = ["name", "path"].into_iter().find_map(|by| {
                let name = if key == "authorization" {
                    json!("tokens")
                } else {
                    json!({by: "x"})
                };
                serde_json::from_value::<ObjectAccess>(json!({key: name, "level": levels[0]}))
                    .ok()?
                    .object()
            });
            let (path, _) = named.unwrap_or_else(|| panic!("no key {key}"));
            let row = catalog::object_type(path).unwrap();
            assert_eq!(row.levels, levels, "{key}");
            assert_eq!(spans(reach).collect::<Vec<_>>(), [row.reach], "{key}");
            told.insert(path);
        }
    }
    let all: BTreeSet<&str> = catalog::OBJECT_TYPES.iter().map(|row| row.path).collect();
    assert_eq!(told, all);
}

#[test]
fn every_metric_is_explained() {
    let mut code = Vec::new();
    sources(&root().join("src"), &mut code);
    let registered: BTreeSet<&str> = code
        .iter()
        .flat_map(|text| text.split("registry.register").skip(1))
        .filter_map(|rest| rest.split('"').nth(1))
        .collect();
    assert!(registered.len() > 10, "{registered:?}");
    let told = explained(&pages(), "metric");
    for name in registered {
        // Units and `_total` are appended when they are served.
        assert!(
            told.iter().any(|told| told.starts_with(name)),
            "{name} is not explained"
        );
    }
}

#[test]
fn every_value_that_is_named_is_one_of_the_chart() {
    let values = &parse(&read("charts/lockstep/values.yaml")).unwrap()[0];
    let named = explained(&pages(), "value");
    assert!(named.len() > 10, "{named:?}");
    for name in named {
        let pointer = format!("/{}", name.trim_end_matches(".*").replace('.', "/"));
        assert!(
            values.pointer(&pointer).is_some(),
            "the chart has no value {name}"
        );
    }
}

#[test]
fn what_is_wrong_is_noticed() {
    let yaml = |text: &str| wrong_yaml(&page("docs/x.md", &format!("```yaml\n{text}\n```\n")));
    let object = |spec: &str| {
        format!(
            "apiVersion: lockstep.dev/v1alpha1\nkind: AccessBinding\nmetadata: {{name: x, namespace: y}}\nspec: {spec}"
        )
    };
    assert!(yaml(&object("{mode: Enforce}")).is_empty());
    for wrong in [
        object("{mode: Force}"),
        object("{mod: Enforce}"),
        object("{interval: 1s}"),
        object("{databricks: {catalog: {connectionRef: {name: x}, grants: []}}}"),
        object("{}").replace("v1alpha1", "v1"),
        object("{}").replace("namespace: y", ""),
        "mode: Enforce".into(),
        "# spec of an AccessBinding\nmembers: [{person: {mail: a@x}}]".into(),
        "# spec of an AccessBinding\nmembers: [{}]".into(),
        "# spec of a GerritConnection\nurl: http://g.example.com".into(),
        "# values of the chart\nimage: {name: x}".into(),
        "apiVersion: v1\nkind: Secret\nmetadata: {annotations: {lockstep.dev/hosts: x}}".into(),
        "a: [".into(),
    ] {
        assert!(!yaml(&wrong).is_empty(), "accepted:\n{wrong}");
    }

    for (link, right) in [
        ("concepts.md", true),
        ("concepts.md#brakes", true),
        ("concepts.md#breaks", false),
        ("concept.md", false),
        ("#here", false),
        ("../README.md", true),
        ("pictures/none.svg", false),
    ] {
        let found = wrong_links(&page("docs/x.md", &format!("[a]({link})\n")));
        assert_eq!(found.is_empty(), right, "{link}");
    }

    for (typed, right) in [
        ("lockstep crds", true),
        ("lockstep crds --output json > crds.json", true),
        (
            "lockstep access who-can 'project/ml/fraud refs/heads/prod' # why",
            true,
        ),
        ("lockstep approve a/b --reason team moved away", false),
        ("echo x | lockstep plan -f - && lockstep dance", false),
        ("kubectl lockstep crds", true),
        ("lockstep dance", false),
        ("lockstep crds --colour", false),
        ("cat x | lockstep crds --output xml", false),
    ] {
        let found = wrong_commands(&page("docs/x.md", &format!("```console\n$ {typed}\n```\n")));
        assert_eq!(found.is_empty(), right, "{typed}");
    }
    assert!(!wrong_commands(&page("docs/x.md", "`lockstep dance` is none\n")).is_empty());
    assert!(!wrong_targets(&page("docs/x.md", "`make love`\n")).is_empty());
    assert!(wrong_targets(&page("docs/x.md", "`make up KUBECONFIG=FILE`\n")).is_empty());

    let told = explained(
        &[page(
            "docs/x.md",
            "| reason | a |\n| --- | --- |\n| `Ab` `C` | x |\n\n| other | b |\n| --- | --- |\n| `D` | x |\n",
        )],
        "reason",
    );
    assert_eq!(told, BTreeSet::from(["Ab".to_owned(), "C".to_owned()]));
}
