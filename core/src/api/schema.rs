//! Shapes of strings and rules over several fields, shared by the kinds.
//!
//! What a pattern can say is a pattern, because it costs the API server nothing; what spans fields, or deserves a
//! sentence, is a CEL rule. Bounds are part of both: the API server prices a rule by the longest list and string it
//! could meet, and refuses the CRD when that is too much.

use kube::core::Rule;
use schemars::{Schema, SchemaGenerator, json_schema};
use serde_json::{Value, json};

use super::permissions::PERMISSIONS;

/// Namespaces named in one tenant entry, patterns in one key of `reach`.
pub const PATTERNS: u32 = 256;
/// Tenant entries of a connection.
pub const TENANTS: u32 = 64;
/// Member entries of a binding.
pub const MEMBERS: u32 = 1_000;
/// Rights on refs in one Gerrit.
pub const ACCESS_ROWS: u32 = 64;
/// Objects in one workspace.
pub const OBJECTS: u32 = 256;
/// Grants in Unity Catalog.
pub const GRANTS: u32 = 256;
/// Gerrit servers of one binding.
pub const GERRITS: u32 = 8;
/// Workspaces of one binding: the price of finding an object that is named twice grows with it.
pub const WORKSPACES: u32 = 8;
/// Rows a status can hold: inventory, pins.
pub const STATUS_ROWS: u32 = 4_096;

/// One line: no control characters, which would forge lines in logs, commit messages and terminals.
const LINE: &str = r"^[^\x00-\x1f\x7f-\x9f]+$";
/// One line that neither begins nor ends with a blank, so that two names never look the same.
const NAME: &str = r"^[^\x00-\x20\x7f-\xa0]([^\x00-\x1f\x7f-\x9f]*[^\x00-\x20\x7f-\xa0])?$";
const UUID: &str = "^[0-9a-fA-F]{8}-[0-9a-fA-F]{4}-[0-9a-fA-F]{4}-[0-9a-fA-F]{4}-[0-9a-fA-F]{12}$";

pub(super) fn string(min: u32, max: u32, pattern: &str) -> Schema {
    json_schema!({"type": "string", "minLength": min, "maxLength": max, "pattern": pattern})
}

/// One line of that length.
pub(super) fn line(min: u32, max: u32) -> Schema {
    string(min, max, LINE)
}

macro_rules! strings {
    ($($(#[$doc:meta])* $name:ident: $min:literal..=$max:literal, $pattern:expr;)*) => {
        $($(#[$doc])* pub fn $name(_: &mut SchemaGenerator) -> Schema { string($min, $max, $pattern) })*
    };
}

strings! {
    /// Name of an object of Kubernetes.
    object_name: 1..=253, "^[a-z0-9]([-a-z0-9.]*[a-z0-9])?$";
    /// Name of a namespace.
    namespace: 1..=63, "^[a-z0-9]([-a-z0-9]*[a-z0-9])?$";
    /// Key inside a Secret.
    secret_key: 1..=253, "^[-._a-zA-Z0-9]+$";
    /// Kubernetes' name for an object's life.
    uid: 1..=64, "^[-a-zA-Z0-9]+$";
    /// A name that people give, in either system.
    name: 1..=255, NAME;
    /// A user name.
    user: 1..=254, NAME;
    /// A sentence that people write.
    sentence: 1..=1024, LINE;
    /// An e-mail address, as far as both systems agree on one.
    email: 3..=254, r"^[^@\x00-\x20\x7f-\xa0]+@[^@\x00-\x20\x7f-\xa0]+$";
    /// Application ids, account ids.
    uuid: 36..=36, UUID;
    /// A pattern in `reach`.
    reach: 1..=256, LINE;
    /// A project of Gerrit. The characters are those that Gerrit refuses in project names.
    project: 1..=255, r#"^[^/\x00-\x1f\x7f-\x9f\\?%*:<>|$~"]+(/[^/\x00-\x1f\x7f-\x9f\\?%*:<>|$~"]+)*$"#;
    /// A ref, a prefix of refs ending in `/*`, or a regular expression of refs.
    ref_pattern: 6..=255, r"^(refs/[^\x00-\x20\x7f-\xa0\\?\[~^:]+|\^refs/[^\x00-\x20\x7f-\xa0]+)$";
    /// A label as Gerrit spells it.
    label: 1..=128, "^[A-Za-z][A-Za-z0-9-]*$";
    /// A word in capitals: permission levels, privileges.
    capitals: 1..=64, "^[A-Z][A-Z0-9_]*$";
    /// An entitlement.
    entitlement: 1..=64, "^[a-z][a-z0-9-]*$";
    /// A role on a service principal.
    role: 7..=128, r"^roles/[A-Za-z][A-Za-z.]*$";
    /// An id that Databricks made.
    id: 1..=128, "^[A-Za-z0-9][A-Za-z0-9._-]*$";
    /// The name of an object in a workspace; longer ones are named by id.
    short_name: 1..=256, NAME;
    /// A workspace path; longer ones are named by id.
    path: 2..=256, r"^(/[^/\x00-\x1f\x7f-\x9f]+)+$";
    /// Full name of a securable; three parts of 255 at most.
    securable: 1..=767, NAME;
    /// Digest of a plan.
    digest: 71..=71, "^sha256:[0-9a-f]{64}$";
}

/// Standing in a workspace.
pub fn workspace_permission(_: &mut SchemaGenerator) -> Schema {
    json_schema!({"type": "string", "maxLength": 5, "enum": ["USER", "ADMIN"]})
}

/// A permission, in Gerrit's own spelling alone: Gerrit takes `Owner` for `owner`, so whoever judges it must not see
/// two. What begins with `label` is a rule of its own.
pub fn permission(_: &mut SchemaGenerator) -> Schema {
    let known: Vec<String> = PERMISSIONS.iter().map(|name| format!("'{name}'")).collect();
    let message = format!(
        "must be a permission in Gerrit's spelling, one of {}",
        PERMISSIONS.join(", ")
    );
    let rule = format!("self.startsWith('label') || self in [{}]", known.join(", "));
    with_rules(string(1, 64, "^[A-Za-z][A-Za-z-]*$"), &[(rule, &message)])
}

/// The two things whose use can be granted in a workspace.
pub fn authorization(_: &mut SchemaGenerator) -> Schema {
    json_schema!({"type": "string", "maxLength": 9, "enum": ["tokens", "passwords"]})
}

/// Kinds whose plans can be approved.
pub fn planned_kind(_: &mut SchemaGenerator) -> Schema {
    json_schema!({"type": "string", "maxLength": 63, "enum": ["AccessBinding", "PromotionPolicy", "Promotion"]})
}

fn list(max: u32, min: u32, items: &Schema) -> Schema {
    json_schema!({"type": "array", "minItems": min, "maxItems": max, "items": items})
}

/// Patterns in one key of `reach`; an empty list reaches nothing.
pub fn patterns(g: &mut SchemaGenerator) -> Schema {
    list(PATTERNS, 0, &reach(g))
}

/// Namespaces of one tenant entry.
pub fn namespaces(g: &mut SchemaGenerator) -> Schema {
    list(PATTERNS, 0, &namespace(g))
}

/// Accounts of one human.
pub fn accounts(g: &mut SchemaGenerator) -> Schema {
    list(16, 1, &user(g))
}

/// Privileges on one securable.
pub fn privileges(g: &mut SchemaGenerator) -> Schema {
    list(64, 1, &capitals(g))
}

/// Entitlements in one workspace.
pub fn entitlements(g: &mut SchemaGenerator) -> Schema {
    list(16, 0, &entitlement(g))
}

/// Labels of namespaces. An empty map would match every namespace, which nobody writes on purpose.
pub fn match_labels(_: &mut SchemaGenerator) -> Schema {
    json_schema!({
        "type": "object",
        "minProperties": 1,
        "maxProperties": 16,
        "additionalProperties": {"type": "string", "maxLength": 63, "pattern": "^([A-Za-z0-9]([-A-Za-z0-9_.]*[A-Za-z0-9])?)?$"},
    })
}

pub(super) fn with_rules(mut schema: Schema, rules: &[(String, &str)]) -> Schema {
    let rules: Vec<Value> = rules
        .iter()
        .map(|(rule, message)| json!({"rule": rule, "message": message}))
        .collect();
    schema.insert("x-kubernetes-validations".into(), rules.into());
    schema
}

/// Base URL of an outside system: where credentials go.
///
/// Link-local addresses are where clouds serve credentials of the machine. Numbers that are no dotted address
/// (`0xa9fea9fe`, `2852039166`, `169.254.43518`) and addresses in disguise (`::ffff:169.254.169.254`) are read as
/// addresses by some URL parsers, so they are refused whatever they mean. The rules match the whole text, because
/// the API server knows no bound for the parts that its URL functions return and so prices them beyond its budget.
fn base_url() -> Vec<(String, &'static str)> {
    let octet = "(25[0-5]|2[0-4][0-9]|1[0-9][0-9]|[1-9]?[0-9])";
    let end = "(:[0-9]*)?(/|$)";
    vec![
        (
            r"isURL(self) && self.matches('^(https://[^/]|http://(127[.]0[.]0[.]1|localhost|\\[::1\\])(:[0-9]*)?(/|$))')".into(),
            "must be an https:// URL; plain http:// serves only 127.0.0.1, localhost and [::1]",
        ),
        (
            r"self.matches('^[!-~]*$') && !self.matches('[@?#%\\\\]')".into(),
            "must be plain ASCII without user or password, query, fragment or escapes; credentials belong into the Secret that auth names",
        ),
        (
            r"!self.matches('^[A-Za-z]+://(169[.]254[.][0-9.]*(:[0-9]*)?(/|$)|\\[[Ff][Ee][89AaBb])')".into(),
            "must not be a link-local address",
        ),
        (
            format!(
                r"!self.matches('^[A-Za-z]+://([^/:\\[]*[.])?(0[xX][0-9a-fA-F]*|[0-9]+)[.]?{end}') || self.matches('^[A-Za-z]+://({octet}[.]){{3}}{octet}{end}')"
            ),
            "must name its host by a DNS name, or by an IP address in the usual notation",
        ),
        (
            r"!self.matches('^[A-Za-z]+://\\[') || self.matches('^[A-Za-z]+://\\[[0-9A-Fa-f:]+\\]') && !self.matches('[:0][Ff][Ff][Ff][Ff]:')".into(),
            "must not dress up an IPv4 address as an IPv6 address",
        ),
    ]
}

/// Base URL that may have a path, and never changes: status and inventory speak of the system behind it.
pub fn immutable_url(_: &mut SchemaGenerator) -> Schema {
    let mut rules = base_url();
    rules.push((
        "self == oldSelf".into(),
        "is immutable: another system is another connection",
    ));
    with_rules(
        json_schema!({"type": "string", "minLength": 8, "maxLength": 255}),
        &rules,
    )
}

const HOST_ONLY: &str = "!isURL(self) || url(self).getEscapedPath() in ['', '/']";
const NO_PATH: &str = "must end with the host name or port: Databricks has no path before /api";

/// Host of a workspace as a URL without a path; never changes.
pub fn immutable_host(_: &mut SchemaGenerator) -> Schema {
    let mut rules = base_url();
    rules.push((HOST_ONLY.into(), NO_PATH));
    rules.push((
        "self == oldSelf".into(),
        "is immutable: another workspace is another connection",
    ));
    with_rules(
        json_schema!({"type": "string", "minLength": 8, "maxLength": 255}),
        &rules,
    )
}

/// Host of the account console as a URL without a path.
pub fn host(_: &mut SchemaGenerator) -> Schema {
    let mut rules = base_url();
    rules.push((HOST_ONLY.into(), NO_PATH));
    with_rules(
        json_schema!({"type": "string", "minLength": 8, "maxLength": 255}),
        &rules,
    )
}

/// Base URL that may have a path.
pub fn url(_: &mut SchemaGenerator) -> Schema {
    with_rules(
        json_schema!({"type": "string", "minLength": 8, "maxLength": 255}),
        &base_url(),
    )
}

/// A duration between two bounds. CEL's own `duration()` knows no days, hence the sum.
pub(super) fn between(least: u32, most: u32, message: &str) -> Schema {
    let units = [("d", 86_400), ("h", 3_600), ("m", 60), ("s", 1)];
    let seconds: Vec<String> = units
        .iter()
        .map(|(unit, seconds)| {
            format!("(self.contains('{unit}') ? int(self.find('[0-9]+{unit}').replace('{unit}', '')) * {seconds} : 0)")
        })
        .collect();
    let seconds = seconds.join(" + ");
    // A string that is no duration is the pattern's to refuse; a second message about it would only confuse.
    let shape = "self.matches('^([0-9]+d)?([0-9]+h)?([0-9]+m)?([0-9]+s)?$')";
    with_rules(
        super::text::duration(),
        &[(
            format!("!{shape} || ({seconds} >= {least} && {seconds} <= {most})"),
            message,
        )],
    )
}

/// How often drift is looked for.
pub fn interval(_: &mut SchemaGenerator) -> Schema {
    between(10, 86_400, "must lie between 10s and 24h")
}

/// How often merges are asked for.
pub fn poll(_: &mut SchemaGenerator) -> Schema {
    between(1, 3_600, "must lie between 1s and 1h")
}

/// How long one request may take.
pub fn timeout(_: &mut SchemaGenerator) -> Schema {
    between(1, 600, "must lie between 1s and 10m")
}

/// CEL spells field names that are reserved words with underscores around them.
pub fn field(of: &str, key: &str) -> String {
    if matches!(key, "function" | "namespace") {
        format!("{of}.__{key}__")
    } else {
        format!("{of}.{key}")
    }
}

/// Exactly one of these fields, and a message that names them.
pub fn exactly_one(keys: &[&str]) -> Rule {
    let (rule, message) = exactly_one_texts(keys);
    Rule::new(rule).message(message.as_str())
}

/// The same for unions that are enums here: JSON for `#[schemars(extend(…))]`.
pub fn union(keys: &[&str]) -> Value {
    let (rule, message) = exactly_one_texts(keys);
    json!([{"rule": rule, "message": message}])
}

fn exactly_one_texts(keys: &[&str]) -> (String, String) {
    let (rule, message);
    if let [one] = keys {
        rule = format!("has({})", field("self", one));
        message = format!("{one} must be set");
    } else if let [one, other] = keys {
        rule = format!("has({}) != has({})", field("self", one), field("self", other));
        message = format!("exactly one of {one} and {other} must be set");
    } else {
        let set: Vec<String> = keys
            .iter()
            .map(|key| format!("has({})", field("self", key)))
            .collect();
        rule = format!("[{}].exists_one(set, set)", set.join(", "));
        message = format!("exactly one of {} must be set", keys.join(", "));
    }
    (rule, message)
}

/// Refuses lists that hold two items with one key; `key` is CEL over `o`.
///
/// Comparing every key with every other is stopped by the API server at a cost of 1,000,000 for one rule and of
/// 10,000,000 for one object (seen on 1.37), with a message that helps nobody. So what would come near is let
/// through, some hundred rows with long names, and refused by the plan, which compares what names mean anyway.
pub fn distinct(key: &str, message: &str) -> Rule {
    // The keys are made once and bound by a list of one: `cel.bind` is younger than the clusters we serve.
    Rule::new(format!(
        "[self.map(o, {key})].all(keys, keys.size() * (keys.size() * 60 + keys.join('').size()) > {COMPARISONS} || keys.all(a, keys.exists_one(b, a == b)))"
    ))
    .message(message)
}

/// Tenths of the API server's unit that one list may cost: about six for a pair, and a tenth for each character.
const COMPARISONS: u32 = 7_000_000;
