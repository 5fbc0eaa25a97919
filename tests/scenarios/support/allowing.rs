//! What the connections of a team whose changes are reviewed let it do, and how they hear of merges.

use serde_json::{Value, json};

use super::changes::Reviewed;

impl Reviewed {
    /// Connections that let the team promote as well.
    pub(super) async fn allow(&self) {
        self.reach_catalog(&format!("{}*", self.prefix)).await;
    }

    /// The same with models in this catalog.
    pub async fn reach_catalog(&self, catalog: &str) {
        let own = format!("{}*", self.prefix);
        let (namespaces, uses) = (json!({"names": [self.prefix]}), json!(["Access", "Promotion"]));
        self.hear(json!({"poll": "1s"})).await;
        let databricks = json!({
            "tenants": [{
                "namespaces": namespaces, "uses": uses,
                "reach": {
                    "jobs": [own], "paths": [format!("/Workspace/{}/*", self.prefix)], "servingEndpoints": [own],
                    "catalogs": [catalog], "servicePrincipals": [self.runner],
                },
                "promotion": {
                    "projects": [own], "minApprovals": 1, "approverGroups": [self.leads()],
                    "requireVerification": true,
                },
            }],
        });
        self.connect_databricks("prod", databricks).await;
    }

    /// How the connection to Gerrit hears of what merges.
    pub async fn hear(&self, events: Value) {
        let own = format!("{}*", self.prefix);
        let gerrit = json!({
            "events": events,
            "tenants": [{"namespaces": {"names": [self.prefix]}, "uses": ["Access", "Promotion"], "reach": {
                "projects": [own], "refs": ["refs/heads/*"], "groups": [own],
            }}],
        });
        self.connect_gerrit("gerrit", gerrit).await;
    }
}
