//! The objects of the permissions API and the securables of Unity Catalog, as bindings name them.
//!
//! A vendor's type is one optional field here and one row in [`crate::domain::access::catalog`].

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

/// An object by name or by id; by name it is looked up once and pinned.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct ByName {
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub name: Option<String>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub id: Option<String>,
}

/// An object by workspace path or by id; by path it is looked up once and pinned.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct ByPath {
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub path: Option<String>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub id: Option<String>,
}

/// One object and the level the binding's group gets on it. Exactly one of the type keys.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct ObjectAccess {
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub job: Option<ByName>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub pipeline: Option<ByName>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub cluster: Option<ByName>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub cluster_policy: Option<ByName>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub instance_pool: Option<ByName>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub warehouse: Option<ByName>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub serving_endpoint: Option<ByName>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub registered_model: Option<ByName>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub dashboard: Option<ByName>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub dbsql_dashboard: Option<ByName>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub query: Option<ByName>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub alert: Option<ByName>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub alert_v2: Option<ByName>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub vector_search_endpoint: Option<ByName>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub app: Option<ByName>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub database_instance: Option<ByName>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub database_project: Option<ByName>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub genie_space: Option<ByName>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub knowledge_assistant: Option<ByName>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub supervisor_agent: Option<ByName>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub directory: Option<ByPath>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub notebook: Option<ByPath>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub file: Option<ByPath>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub repo: Option<ByPath>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub experiment: Option<ByPath>,
    /// `tokens` or `passwords`: who may use them.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub authorization: Option<String>,
    /// Permission level as the vendor spells it, for example `CAN_MANAGE_RUN`.
    pub level: String,
    /// What happens to direct entries of others on the same object; unset: they are reported.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub foreign: Option<super::access_binding::Foreign>,
}

/// How an [`ObjectAccess`] names its object.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum ObjectName {
    /// By name or path.
    Name(String),
    /// By id.
    Id(String),
}

impl ObjectAccess {
    /// The type as the permissions API spells it in paths, and the name; `None` unless exactly one key is set.
    pub fn object(&self) -> Option<(&'static str, ObjectName)> {
        let Self {
            job,
            pipeline,
            cluster,
            cluster_policy,
            instance_pool,
            warehouse,
            serving_endpoint,
            registered_model,
            dashboard,
            dbsql_dashboard,
            query,
            alert,
            alert_v2,
            vector_search_endpoint,
            app,
            database_instance,
            database_project,
            genie_space,
            knowledge_assistant,
            supervisor_agent,
            directory,
            notebook,
            file,
            repo,
            experiment,
            authorization,
            level: _,
            foreign: _,
        } = self;
        let named = |n: &Option<ByName>| n.as_ref().map(|n| (n.name.clone(), n.id.clone()));
        let pathed = |p: &Option<ByPath>| p.as_ref().map(|p| (p.path.clone(), p.id.clone()));
        let keys = [
            ("jobs", named(job)),
            ("pipelines", named(pipeline)),
            ("clusters", named(cluster)),
            ("cluster-policies", named(cluster_policy)),
            ("instance-pools", named(instance_pool)),
            ("sql/warehouses", named(warehouse)),
            ("serving-endpoints", named(serving_endpoint)),
            ("registered-models", named(registered_model)),
            ("dashboards", named(dashboard)),
            ("dbsql-dashboards", named(dbsql_dashboard)),
            ("sql/queries", named(query)),
            ("sql/alerts", named(alert)),
            ("alertsv2", named(alert_v2)),
            ("vector-search-endpoints", named(vector_search_endpoint)),
            ("apps", named(app)),
            ("database-instances", named(database_instance)),
            ("database-projects", named(database_project)),
            ("genie", named(genie_space)),
            ("knowledge-assistants", named(knowledge_assistant)),
            ("supervisor-agents", named(supervisor_agent)),
            ("directories", pathed(directory)),
            ("notebooks", pathed(notebook)),
            ("files", pathed(file)),
            ("repos", pathed(repo)),
            ("experiments", pathed(experiment)),
            (
                "authorization",
                authorization.clone().map(|word| (None, Some(word))),
            ),
        ];
        let mut set = keys
            .into_iter()
            .filter_map(|(kind, name)| name.map(|name| (kind, name)));
        let (kind, name) = set.next()?;
        if set.next().is_some() {
            return None;
        }
        match name {
            (Some(name), None) => Some((kind, ObjectName::Name(name))),
            (None, Some(id)) => Some((kind, ObjectName::Id(id))),
            _ => None,
        }
    }
}

/// Privileges on one securable. Exactly one of the type keys, with the full name.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct SecurableGrant {
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub catalog: Option<String>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub schema: Option<String>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub table: Option<String>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub volume: Option<String>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub function: Option<String>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub model: Option<String>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub metastore: Option<String>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub external_location: Option<String>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub storage_credential: Option<String>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub credential: Option<String>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub connection: Option<String>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub share: Option<String>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub recipient: Option<String>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub provider: Option<String>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub pipeline: Option<String>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub clean_room: Option<String>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub external_metadata: Option<String>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub staging_table: Option<String>,
    /// Privileges as the vendor spells them, for example `USE_SCHEMA`.
    pub privileges: Vec<String>,
    /// What happens to direct grants of others on the same securable; unset: they are reported.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub foreign: Option<super::access_binding::Foreign>,
}

impl SecurableGrant {
    /// The securable type as the grants API spells it (a registered model is a `function` there) and the full
    /// name; `None` unless exactly one key is set.
    pub fn securable(&self) -> Option<(&'static str, &str)> {
        let Self {
            catalog,
            schema,
            table,
            volume,
            function,
            model,
            metastore,
            external_location,
            storage_credential,
            credential,
            connection,
            share,
            recipient,
            provider,
            pipeline,
            clean_room,
            external_metadata,
            staging_table,
            privileges: _,
            foreign: _,
        } = self;
        let keys = [
            ("catalog", catalog),
            ("schema", schema),
            ("table", table),
            ("volume", volume),
            ("function", function),
            ("function", model),
            ("metastore", metastore),
            ("external_location", external_location),
            ("storage_credential", storage_credential),
            ("credential", credential),
            ("connection", connection),
            ("share", share),
            ("recipient", recipient),
            ("provider", provider),
            ("pipeline", pipeline),
            ("clean_room", clean_room),
            ("external_metadata", external_metadata),
            ("staging_table", staging_table),
        ];
        let mut set = keys
            .into_iter()
            .filter_map(|(kind, name)| name.as_deref().map(|name| (kind, name)));
        set.next().filter(|_| set.next().is_none())
    }
}
