//! What bindings declare, in fewer words than YAML: all of it within reach, on the things that exist outside.

use std::collections::{BTreeMap, BTreeSet};

use lockstep_core::api::access_binding::{AccessBindingSpec, Membership};
use lockstep_core::api::connection::Use;
use lockstep_core::domain::access::declared::{ConnectionFacts, Declared, declare};
use lockstep_core::domain::access::reach::Tenancy;
use lockstep_core::domain::plan::Problem;
use lockstep_core::domain::ports::{ConnectionKey, ConnectionKind};
use serde_json::{Value, json};

/// A group and how far its members are Lockstep's.
pub type Group = (&'static str, Membership);

/// One team. Rows are keyed as admission keys them, so that nothing stands twice.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Team {
    pub members: Option<BTreeSet<u8>>,
    pub gerrit: Option<Group>,
    /// By ref and permission: index into [`RULES`], and whether foreign rules go.
    pub rules: BTreeMap<(&'static str, usize), (usize, bool)>,
    pub account: Option<Group>,
    pub role: Option<&'static str>,
    /// By securable: its privileges, and whether foreign grants go.
    pub grants: BTreeMap<&'static str, (BTreeSet<&'static str>, bool)>,
    /// Instead of the account group, in the workspace.
    pub local: Option<Group>,
    pub permission: Option<&'static str>,
    pub entitlements: BTreeSet<&'static str>,
    /// By type: the level, and whether foreign entries go.
    pub objects: BTreeMap<&'static str, (&'static str, bool)>,
}

pub const REFS: [&str; 2] = ["refs/heads/*", "refs/heads/prod"];
pub const SECURABLES: [&str; 2] = ["c", "c.s"];
/// By permission: the rules to choose from.
pub const RULES: [&[&str]; 2] = [
    &["-1..1", "-2..2", "0..1", "-2..0"],
    &["ALLOW", "ALLOW force", "BLOCK"],
];
pub const ROLE_ON: &str = "aaaaaaaa-0000-0000-0000-000000000000";

fn group((name, membership): Group) -> Value {
    json!({"name": name, "membership": membership})
}

fn foreign(removes: bool) -> &'static str {
    if removes { "Remove" } else { "Report" }
}

fn rule((at, permission): (&str, usize), (choice, removes): (usize, bool)) -> Value {
    let mut row = json!({"project": "p", "ref": at, "foreign": foreign(removes)});
    let text = RULES[permission][choice];
    if let Some((min, max)) = text.split_once("..") {
        let number = |text: &str| text.parse::<i32>().unwrap();
        row["label"] = json!({"name": "Code-Review", "min": number(min), "max": number(max)});
    } else {
        let (action, force) = text
            .split_once(' ')
            .map_or((text, false), |(action, _)| (action, true));
        row["permission"] = json!("push");
        row["action"] = json!(action);
        row["force"] = json!(force);
    }
    row
}

impl Team {
    pub fn spec(&self) -> AccessBindingSpec {
        let dbx = json!({"name": "dbx"});
        let mut spec = json!({"mode": "Enforce"});
        if let Some(members) = &self.members {
            let members = members
                .iter()
                .map(|n| json!({"person": {"email": format!("P{n}@x")}}));
            spec["members"] = members.collect();
        }
        if let Some(gerrit) = self.gerrit {
            let access: Vec<_> = self.rules.iter().map(|(at, choice)| rule(*at, *choice)).collect();
            spec["gerrit"] =
                json!([{"connectionRef": {"name": "gerrit"}, "group": group(gerrit), "access": access}]);
        }
        if let Some(account) = self.account {
            let roles = self
                .role
                .map(|role| json!({"applicationId": ROLE_ON, "role": role}));
            spec["databricks"]["account"] = json!({
                "connectionRef": dbx,
                "group": group(account),
                "servicePrincipalRoles": Vec::from_iter(roles),
            });
            let grants = self.grants.iter().map(|(name, (privileges, removes))| {
                let kind = if name.contains('.') { "schema" } else { "catalog" };
                json!({kind: name, "privileges": privileges, "foreign": foreign(*removes)})
            });
            spec["databricks"]["catalog"] =
                json!({"connectionRef": dbx, "grants": grants.collect::<Vec<_>>()});
        }
        if self.account.or(self.local).is_some() {
            let objects = self.objects.iter().map(|(kind, (level, removes))| {
                let name = if *kind == "job" { "name" } else { "path" };
                json!({*kind: {name: "/train"}, "level": level, "foreign": foreign(*removes)})
            });
            let mut workspace = json!({
                "connectionRef": dbx,
                "permission": self.permission,
                "entitlements": self.entitlements,
                "objects": objects.collect::<Vec<_>>(),
            });
            if let Some(local) = self.local {
                workspace["group"] = group(local);
            }
            spec["databricks"]["workspaces"] = json!([workspace]);
        }
        serde_json::from_value(spec).unwrap()
    }

    /// The spec expanded, every connection usable.
    pub fn declare(&self) -> Declared {
        declare(&self.spec(), "ns", &|key| Ok(facts(key)))
    }

    /// The spec expanded while the connection of this kind cannot be used.
    pub fn declare_without(&self, kind: ConnectionKind) -> Declared {
        declare(&self.spec(), "ns", &|key| {
            if key.kind != kind {
                return Ok(facts(key));
            }
            Err(Problem {
                label: key.to_string(),
                reason: None,
                message: "it cannot be used".into(),
            })
        })
    }
}

pub fn facts(key: &ConnectionKey) -> ConnectionFacts {
    let tenants = |reach: &[&str]| {
        let reach: BTreeMap<_, _> = reach.iter().map(|key| (*key, ["*"])).collect();
        json!([{"namespaces": {"names": ["ns"]}, "uses": ["Access"], "reach": reach, "administrative": true}])
    };
    let is = |kind, text: &str| (key.kind == kind).then(|| text.to_owned());
    let databricks = |text| is(ConnectionKind::Databricks, text);
    let tenancy = match key.kind {
        ConnectionKind::Gerrit => Tenancy::gerrit(
            Some(&serde_json::from_value(tenants(&["projects", "refs", "groups"])).unwrap()),
            "ns",
            None,
            Use::Access,
        ),
        ConnectionKind::Databricks => Tenancy::databricks(
            Some(
                &serde_json::from_value(tenants(&[
                    "workspace",
                    "groups",
                    "jobs",
                    "paths",
                    "experiments",
                    "catalogs",
                    "servicePrincipals",
                ]))
                .unwrap(),
            ),
            "ns",
            None,
            Use::Access,
        ),
    };
    ConnectionFacts {
        gerrit: is(ConnectionKind::Gerrit, "g"),
        workspace: databricks("1"),
        account: databricks("acc"),
        metastore: databricks("m"),
        tenancy,
    }
}
