//! The objects of the permissions API and the securables of Unity Catalog, as bindings name them.
//!
//! A vendor's type is one optional field here and one row in [`crate::domain::access::catalog`].

use kube::KubeSchema;
use serde::{Deserialize, Serialize};

use super::{object_rules, schema};

/// An object by name or by id; by name it is looked up once and pinned.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize, KubeSchema)]
#[serde(rename_all = "camelCase")]
#[x_kube(validation = schema::exactly_one(&["name", "id"]))]
pub struct ByName {
    /// Its name, where exactly one object has it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(schema_with = "schema::short_name")]
    pub name: Option<String>,
    /// Its id.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(schema_with = "schema::id")]
    pub id: Option<String>,
}

/// An object by workspace path or by id; by path it is looked up once and pinned.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize, KubeSchema)]
#[serde(rename_all = "camelCase")]
#[x_kube(validation = schema::exactly_one(&["path", "id"]))]
pub struct ByPath {
    /// Its path in the workspace.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(schema_with = "schema::path")]
    #[x_kube(validation = Rule::new("!self.matches('/[.][.]?(/|$)')").message("must hold no . or .. between slashes"))]
    pub path: Option<String>,
    /// Its id.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(schema_with = "schema::id")]
    pub id: Option<String>,
}

/// One object and the level the binding's group gets on it. Exactly one of the type keys.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, KubeSchema)]
#[serde(rename_all = "camelCase")]
#[x_kube(validation = object_rules::one_object())]
pub struct ObjectAccess {
    /// A job.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub job: Option<ByName>,
    /// A pipeline.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub pipeline: Option<ByName>,
    /// A cluster.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub cluster: Option<ByName>,
    /// A cluster policy.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub cluster_policy: Option<ByName>,
    /// An instance pool.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub instance_pool: Option<ByName>,
    /// A SQL warehouse.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub warehouse: Option<ByName>,
    /// A model serving endpoint.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub serving_endpoint: Option<ByName>,
    /// A registered model of the workspace registry; models of Unity Catalog stand in `catalog.grants`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub registered_model: Option<ByName>,
    /// A dashboard.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub dashboard: Option<ByName>,
    /// A legacy SQL dashboard.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub dbsql_dashboard: Option<ByName>,
    /// A SQL query.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub query: Option<ByName>,
    /// A legacy SQL alert.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub alert: Option<ByName>,
    /// A SQL alert.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub alert_v2: Option<ByName>,
    /// A vector search endpoint.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub vector_search_endpoint: Option<ByName>,
    /// An app.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub app: Option<ByName>,
    /// A database instance.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub database_instance: Option<ByName>,
    /// A database project.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub database_project: Option<ByName>,
    /// A Genie space.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub genie_space: Option<ByName>,
    /// A knowledge assistant.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub knowledge_assistant: Option<ByName>,
    /// A supervisor agent.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub supervisor_agent: Option<ByName>,
    /// A directory of the workspace.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub directory: Option<ByPath>,
    /// A notebook.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub notebook: Option<ByPath>,
    /// A file of the workspace.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub file: Option<ByPath>,
    /// A Git folder.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub repo: Option<ByPath>,
    /// An MLflow experiment.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub experiment: Option<ByPath>,
    /// `tokens` or `passwords`: who may use them.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(schema_with = "schema::authorization")]
    pub authorization: Option<String>,
    /// Permission level as the vendor spells it, for example `CAN_MANAGE_RUN`.
    #[schemars(schema_with = "schema::capitals")]
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
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, KubeSchema)]
#[serde(rename_all = "camelCase")]
#[x_kube(validation = object_rules::one_securable())]
pub struct SecurableGrant {
    /// A catalog.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(schema_with = "schema::securable")]
    pub catalog: Option<String>,
    /// A schema, as `catalog.schema`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(schema_with = "schema::securable")]
    pub schema: Option<String>,
    /// A table or view, as `catalog.schema.table`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(schema_with = "schema::securable")]
    pub table: Option<String>,
    /// A volume, as `catalog.schema.volume`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(schema_with = "schema::securable")]
    pub volume: Option<String>,
    /// A function, as `catalog.schema.function`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(schema_with = "schema::securable")]
    pub function: Option<String>,
    /// A registered model, as `catalog.schema.model`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(schema_with = "schema::securable")]
    pub model: Option<String>,
    /// A metastore, by id.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(schema_with = "schema::securable")]
    pub metastore: Option<String>,
    /// An external location.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(schema_with = "schema::securable")]
    pub external_location: Option<String>,
    /// A storage credential.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(schema_with = "schema::securable")]
    pub storage_credential: Option<String>,
    /// A service credential.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(schema_with = "schema::securable")]
    pub credential: Option<String>,
    /// A connection of Lakehouse Federation.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(schema_with = "schema::securable")]
    pub connection: Option<String>,
    /// A share of Delta Sharing.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(schema_with = "schema::securable")]
    pub share: Option<String>,
    /// A recipient of Delta Sharing.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(schema_with = "schema::securable")]
    pub recipient: Option<String>,
    /// A provider of Delta Sharing.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(schema_with = "schema::securable")]
    pub provider: Option<String>,
    /// A pipeline, by id.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(schema_with = "schema::securable")]
    pub pipeline: Option<String>,
    /// A clean room.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(schema_with = "schema::securable")]
    pub clean_room: Option<String>,
    /// An external metadata object.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(schema_with = "schema::securable")]
    pub external_metadata: Option<String>,
    /// A staging table, by id.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(schema_with = "schema::securable")]
    pub staging_table: Option<String>,
    /// Privileges as the vendor spells them, for example `USE_SCHEMA`.
    #[schemars(schema_with = "schema::privileges")]
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
