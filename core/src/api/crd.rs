//! The CRDs of all kinds, polished for the API server.

use k8s_openapi::apiextensions_apiserver::pkg::apis::apiextensions::v1::{
    CustomResourceColumnDefinition, CustomResourceDefinition, JSONSchemaProps, JSONSchemaPropsOrArray,
    JSONSchemaPropsOrBool,
};
use kube::CustomResourceExt;

use super::{
    AccessBinding, ChangeFreeze, CredentialStore, DatabricksConnection, GerritConnection, PlanApproval,
    Promotion, PromotionPolicy, ServiceCredential,
};

/// Every kind's CRD, in the order a newcomer meets them.
pub fn all() -> Vec<CustomResourceDefinition> {
    [
        GerritConnection::crd(),
        DatabricksConnection::crd(),
        AccessBinding::crd(),
        PromotionPolicy::crd(),
        Promotion::crd(),
        CredentialStore::crd(),
        ServiceCredential::crd(),
        PlanApproval::crd(),
        ChangeFreeze::crd(),
    ]
    .map(polish)
    .into()
}

/// What `kubectl get` shows between Reason and Age: kind, header, type, path, priority (1: with `-o wide`).
const COLUMNS: &[(&str, &str, &str, &str, i32)] = &[
    ("GerritConnection", "URL", "string", ".spec.url", 0),
    ("GerritConnection", "Version", "string", ".status.version", 0),
    (
        "GerritConnection",
        "Account",
        "string",
        ".status.account.username",
        1,
    ),
    ("DatabricksConnection", "Host", "string", ".spec.host", 0),
    (
        "DatabricksConnection",
        "Workspace",
        "string",
        ".status.workspaceId",
        0,
    ),
    ("DatabricksConnection", "Cloud", "string", ".status.cloud", 1),
    (
        "DatabricksConnection",
        "Identity",
        "string",
        ".status.identity.name",
        1,
    ),
    ("AccessBinding", "Mode", "string", ".spec.mode", 0),
    (
        "AccessBinding",
        "People",
        "integer",
        ".status.members.resolved",
        0,
    ),
    ("AccessBinding", "Changes", "integer", ".status.plan.changes", 0),
    (
        "AccessBinding",
        "Gerrit",
        "string",
        ".spec.gerrit[*].group.name",
        1,
    ),
    (
        "AccessBinding",
        "Databricks",
        "string",
        ".spec.databricks.account.group.name",
        1,
    ),
    ("PromotionPolicy", "Mode", "string", ".spec.mode", 0),
    ("PromotionPolicy", "Project", "string", ".spec.gerrit.project", 0),
    (
        "PromotionPolicy",
        "Environments",
        "string",
        ".spec.environments[*].name",
        0,
    ),
    ("PromotionPolicy", "Next", "string", ".status.nextAction", 0),
    (
        "PromotionPolicy",
        "Current",
        "string",
        ".status.environments[*].current.revision",
        1,
    ),
    ("Promotion", "Environment", "string", ".spec.environment", 0),
    ("Promotion", "Change", "integer", ".status.change", 0),
    ("Promotion", "Phase", "string", ".status.phase", 0),
    ("Promotion", "Next", "string", ".status.nextAction", 0),
    ("Promotion", "Policy", "string", ".spec.policyRef.name", 1),
    ("Promotion", "Revision", "string", ".status.revision", 1),
    ("Promotion", "Ended", "date", ".status.endedAt", 1),
    ("CredentialStore", "Vault", "string", ".spec.vault.address", 0),
    (
        "CredentialStore",
        "Scope",
        "string",
        ".spec.databricksSecretScope.scope",
        0,
    ),
    (
        "CredentialStore",
        "Region",
        "string",
        ".spec.awsSecretsManager.region",
        0,
    ),
    ("ServiceCredential", "Mode", "string", ".spec.mode", 0),
    ("ServiceCredential", "Current", "integer", ".status.current", 0),
    ("ServiceCredential", "Minted", "date", ".status.mintedAt", 0),
    ("ServiceCredential", "Next", "string", ".status.nextRotation", 0),
    ("ServiceCredential", "Expires", "string", ".status.expiresAt", 1),
    ("ServiceCredential", "Issuer", "string", ".status.issuer", 1),
    ("ChangeFreeze", "Until", "string", ".spec.until", 0),
    ("ChangeFreeze", "Kinds", "string", ".spec.kinds", 0),
    ("ChangeFreeze", "Why", "string", ".spec.reason", 0),
    ("PlanApproval", "Kind", "string", ".spec.planRef.kind", 0),
    ("PlanApproval", "Of", "string", ".spec.planRef.name", 0),
    ("PlanApproval", "Approver", "string", ".spec.approver", 0),
    ("PlanApproval", "Used", "date", ".status.usedAt", 0),
    ("PlanApproval", "Digest", "string", ".spec.digest", 1),
];

fn columns(kind: &str) -> Vec<CustomResourceColumnDefinition> {
    let column = |name: &str, type_: &str, path: &str, priority| CustomResourceColumnDefinition {
        name: name.into(),
        type_: type_.into(),
        json_path: path.into(),
        priority: (priority > 0).then_some(priority),
        ..Default::default()
    };
    // By type, never by index: the order of conditions is nobody's promise.
    let ready = |field: &str| format!(".status.conditions[?(@.type=='Ready')].{field}");
    let mut columns = vec![
        column("Ready", "string", &ready("status"), 0),
        column("Reason", "string", &ready("reason"), 0),
    ];
    for (of, name, type_, path, priority) in COLUMNS {
        if *of == kind {
            columns.push(column(name, type_, path, *priority));
        }
    }
    columns.push(column("Message", "string", &ready("message"), 1));
    columns.push(column("Age", "date", ".metadata.creationTimestamp", 0));
    columns
}

fn polish(mut crd: CustomResourceDefinition) -> CustomResourceDefinition {
    for version in &mut crd.spec.versions {
        version.additional_printer_columns = Some(columns(&crd.spec.names.kind));
        if let Some(schema) = version
            .schema
            .as_mut()
            .and_then(|s| s.open_api_v3_schema.as_mut())
        {
            walk(schema, "");
        }
    }
    crd
}

/// Takes away what the derive adds and the API server or its users trip over, below the field `name`.
fn walk(schema: &mut JSONSchemaProps, name: &str) {
    // An explicit null of a field that is not nullable is pruned, which is what Option means.
    schema.nullable = None;
    if let Some(values) = &mut schema.enum_ {
        values.retain(|value| !value.0.is_null());
    }
    // The API server warns about formats it does not know.
    if schema
        .format
        .as_deref()
        .is_some_and(|format| format.starts_with("uint"))
    {
        schema.format = None;
    }
    // Alternatives stay structural only where no rule says the same: its message names them, while a failed
    // alternative is reported as a missing field and keeps the rules from being looked at.
    if schema.x_kubernetes_validations.is_some() {
        schema.one_of = None;
    }
    if name == "conditions" {
        schema.x_kubernetes_list_type = Some("map".into());
        schema.x_kubernetes_list_map_keys = Some(vec!["type".into()]);
        schema.max_items.get_or_insert(16);
    }
    for (name, property) in schema.properties.iter_mut().flatten() {
        walk(property, name);
    }
    match &mut schema.items {
        Some(JSONSchemaPropsOrArray::Schema(items)) => walk(items, ""),
        Some(JSONSchemaPropsOrArray::Schemas(items)) => items.iter_mut().for_each(|item| walk(item, "")),
        None => {}
    }
    if let Some(JSONSchemaPropsOrBool::Schema(values)) = &mut schema.additional_properties {
        walk(values, "");
    }
}
