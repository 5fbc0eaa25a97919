//! Shapes and rules of the kinds that promote: bounds of their lists, patterns of their strings, and the rules that
//! span a whole list of steps or environments.

use kube::core::Rule;
use schemars::{Schema, SchemaGenerator, json_schema};

use super::schema::{between, distinct, line, name, string, with_rules};

/// Environments of one policy.
pub const ENVIRONMENTS: u32 = 16;
/// Steps of one environment.
pub const STEPS: u32 = 16;
/// Windows of one list.
pub const WINDOWS: u32 = 16;
/// Patterns of paths in one list.
pub const PATHS: u32 = 64;
/// Environments that one environment requires.
pub const REQUIRES: u32 = 8;
/// Accounts of trusted automation in one policy.
pub const AUTOMATIONS: u32 = 16;
/// Groups of agents, and footers that say agent.
pub const AGENTS: u32 = 16;
/// Commits that a status shows one by one.
pub const COMMITS: u32 = 50;
/// Accepted commits of an environment that a status shows.
pub const ACCEPTED: u32 = 100;
/// Changes whose evidence a status shows.
pub const EVIDENCE: u32 = 20;
/// Findings that a status shows.
pub const FINDINGS: u32 = 64;
/// Unexplained occurrences that a status shows for one environment.
pub const OCCURRENCES: u32 = 20;

/// Names that become parts of another object's name, between dots.
const PART: &str = "^[a-z0-9]([-a-z0-9]*[a-z0-9])?$";

/// Name of an environment.
pub fn environment(_: &mut SchemaGenerator) -> Schema {
    string(1, 40, PART)
}

/// Name of a step.
pub fn step_name(_: &mut SchemaGenerator) -> Schema {
    string(1, 40, PART)
}

/// Short name of a branch, by git's rules for refs as far as a pattern can say them.
pub fn branch(_: &mut SchemaGenerator) -> Schema {
    with_rules(
        string(1, 200, r"^[^/.\x00-\x20\x7f-\xa0\\?*\[~^:][^\x00-\x20\x7f-\xa0\\?*\[~^:]*$"),
        &[
            (
                "!self.startsWith('refs/')".into(),
                "must be the branch's short name: write prod for refs/heads/prod",
            ),
            (
                "!self.contains('..') && !self.contains('//') && !self.endsWith('/') && !self.endsWith('.') && !self.endsWith('.lock')".into(),
                "must be a name that git allows: no .. or // in it, no /, . or .lock at its end",
            ),
        ],
    )
}

/// A commit's SHA, in full.
pub fn commit(_: &mut SchemaGenerator) -> Schema {
    string(40, 40, "^[0-9a-f]{40}$")
}

/// A pattern of paths in the tree.
pub fn tree_pattern(_: &mut SchemaGenerator) -> Schema {
    string(1, 256, r"^[^/!\x00-\x1f\x7f-\x9f][^\x00-\x1f\x7f-\x9f]*$")
}

/// Patterns of paths in the tree.
pub fn tree_patterns(g: &mut SchemaGenerator) -> Schema {
    let items = tree_pattern(g);
    json_schema!({"type": "array", "minItems": 1, "maxItems": PATHS, "items": items})
}

/// A file of the tree.
pub fn tree_path(_: &mut SchemaGenerator) -> Schema {
    with_rules(
        string(1, 256, r"^[^/\x00-\x1f\x7f-\x9f]+(/[^/\x00-\x1f\x7f-\x9f]+)*$"),
        &[(
            "!self.matches('(^|/)[.][.]?(/|$)')".into(),
            "must be a path from the root of the tree without . or .. between slashes",
        )],
    )
}

/// Where files are put.
pub fn workspace_directory(_: &mut SchemaGenerator) -> Schema {
    with_rules(
        string(1, 256, r"^[^\x00-\x1f\x7f-\x9f]+$"),
        &[
            (
                "self.startsWith('/Workspace/') && !self.endsWith('/')".into(),
                "must be a directory below /Workspace, written from there and without a slash at its end",
            ),
            (
                "!self.matches('//|/[.][.]?(/|$)')".into(),
                "must hold no empty part, . or .. between slashes",
            ),
            (
                "self.contains('${revision}')".into(),
                "must hold ${revision}, so that every revision has a directory of its own",
            ),
        ],
    )
}

/// A text that may hold expressions.
pub fn expression(_: &mut SchemaGenerator) -> Schema {
    line(1, 767)
}

/// Values by name: variables of an environment, parameters of a job.
pub fn values(_: &mut SchemaGenerator) -> Schema {
    json_schema!({
        "type": "object",
        "maxProperties": 64,
        "additionalProperties": {"type": "string", "minLength": 1, "maxLength": 1024, "pattern": r"^[^\x00-\x1f\x7f-\x9f]+$"},
    })
}

/// Values by name that may be empty.
pub fn parameters(_: &mut SchemaGenerator) -> Schema {
    json_schema!({
        "type": "object",
        "maxProperties": 64,
        "additionalProperties": {"type": "string", "maxLength": 1024, "pattern": r"^[^\x00-\x1f\x7f-\x9f]*$"},
    })
}

/// What a step left for the next ones, long values left out.
pub fn outputs(_: &mut SchemaGenerator) -> Schema {
    json_schema!({
        "type": "object",
        "maxProperties": 32,
        "additionalProperties": {"type": "string", "maxLength": 1024},
    })
}

/// A value of the operator's own that people need not read; its size is held by whoever writes it.
pub fn preserved(_: &mut SchemaGenerator) -> Schema {
    json_schema!({"type": "object", "x-kubernetes-preserve-unknown-fields": true})
}

/// Five fields of cron. Nicknames as @daily and Quartz signs mean different things to different programs.
pub fn cron(_: &mut SchemaGenerator) -> Schema {
    with_rules(
        string(9, 128, "^[0-9A-Za-z*,/ -]+$"),
        &[(
            "self.matches('^[^ ]+( +[^ ]+){4}$')".into(),
            "must have five fields: minute, hour, day of month, month, day of week",
        )],
    )
}

/// How long a window stays open.
pub fn window_length(_: &mut SchemaGenerator) -> Schema {
    between(1, 31 * 86_400, "must lie between 1s and 31d")
}

/// How long one try of a step may take.
pub fn step_timeout(_: &mut SchemaGenerator) -> Schema {
    between(1, 7 * 86_400, "must lie between 1s and 7d")
}

/// How long an upstream success must have stood.
pub fn soak(_: &mut SchemaGenerator) -> Schema {
    between(0, 90 * 86_400, "must be at most 90d")
}

/// An IANA time zone.
pub fn time_zone(_: &mut SchemaGenerator) -> Schema {
    string(1, 64, "^[A-Za-z][A-Za-z0-9_+-]*(/[A-Za-z0-9_+-]+)*$")
}

/// A key of a commit message's last paragraph.
pub fn footer(_: &mut SchemaGenerator) -> Schema {
    string(1, 64, "^[A-Za-z][A-Za-z0-9-]*$")
}

/// Keys of footers.
pub fn footers(g: &mut SchemaGenerator) -> Schema {
    let items = footer(g);
    json_schema!({"type": "array", "maxItems": AGENTS, "items": items})
}

/// Names of submit requirements.
pub fn requirements(g: &mut SchemaGenerator) -> Schema {
    let items = name(g);
    json_schema!({"type": "array", "maxItems": 16, "items": items})
}

/// Name of a registered model's alias.
pub fn alias(_: &mut SchemaGenerator) -> Schema {
    string(1, 255, "^[A-Za-z0-9_][A-Za-z0-9_-]*$")
}

/// No two steps of one name.
pub fn distinct_steps() -> Rule {
    distinct("o.name", "a step's name may stand once only")
}

/// A version comes from a step that stands earlier and has one to give.
pub fn earlier_versions() -> Rule {
    let of = |kind: &str, field: &str| {
        format!(
            "(!has(s.{kind}) || names.indexOf(s.{kind}.{field}.fromStep) < names.indexOf(s.name) && self.exists(o, o.name == s.{kind}.{field}.fromStep && (has(o.modelAlias) || has(o.job) && (!has(o.job.run) || o.job.run))))"
        )
    };
    Rule::new(format!(
        "[self.map(o, o.name)].all(names, self.all(s, {} && {}))",
        of("modelAlias", "version"),
        of("servingEndpoint", "entityVersion"),
    ))
    .message("fromStep must name an earlier step that yields a version: a job that is run, or a modelAlias")
}

/// No two environments of one name.
pub fn distinct_environments() -> Rule {
    distinct("o.name", "an environment's name may stand once only")
}

/// No branch for two environments: what merges there goes to one place.
pub fn distinct_branches() -> Rule {
    distinct(
        "o.branch",
        "a branch may belong to one environment only: give each environment a branch of its own",
    )
}

/// Required environments are others of the same policy.
pub fn known_requires() -> Rule {
    Rule::new(
        "self.all(e, !has(e.requires) || e.requires.all(r, r.environment != e.name && self.exists(o, o.name == r.environment)))",
    )
    .message("requires must name other environments of this policy")
}
