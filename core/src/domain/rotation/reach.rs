//! Who may write how far into a store. Without an entry nobody may; what `reach` does not name is out of reach.

use std::collections::BTreeMap;

use crate::api::condition::Reason;
use crate::api::credential_store::StoreTenant;
use crate::domain::access::patterns::any;
use crate::domain::access::reach::{Refusal, selects};

/// Whether a namespace may write to a path. `store`: what people call the store.
pub fn may_write(
    tenants: Option<&Vec<StoreTenant>>,
    namespace: &str,
    labels: Option<&BTreeMap<String, String>>,
    store: &str,
    path: &str,
) -> Result<(), Refusal> {
    let entries = tenants.into_iter().flatten();
    let entries: Vec<&StoreTenant> = entries
        .filter(|tenant| selects(&tenant.namespaces, namespace, labels))
        .collect();
    if entries.is_empty() {
        return Err(Refusal {
            reason: Reason::NotAllowed,
            message: format!("{store} has no tenant entry for namespace {namespace}: ask its owner"),
        });
    }
    let reaches = |tenant: &&StoreTenant| {
        let paths = tenant.reach.as_ref().and_then(|reach| reach.paths.as_ref());
        any(paths, path)
    };
    if entries.iter().any(reaches) {
        return Ok(());
    }
    Err(Refusal {
        reason: Reason::OutOfReach,
        message: format!("path {path:?} is outside the reach.paths of {store} for namespace {namespace}"),
    })
}

#[cfg(test)]
mod tests {
    use serde_json::{Value, json};

    use super::*;

    fn ask(tenants: &Value, path: &str) -> Option<Reason> {
        let tenants: Vec<StoreTenant> = serde_json::from_value(tenants.clone()).unwrap();
        let asked = may_write(Some(&tenants), "ml-fraud", None, "CredentialStore ml/vault", path);
        asked.err().map(|refusal| refusal.reason)
    }

    #[test]
    fn nobody_writes_without_an_entry_and_nowhere_without_reach() {
        let here = json!({"names": ["ml-fraud"]});
        assert_eq!(ask(&json!([]), "ml/fraud/dbx"), Some(Reason::NotAllowed));
        let elsewhere = json!([{"namespaces": {"names": ["other"]}, "reach": {"paths": ["*"]}}]);
        assert_eq!(ask(&elsewhere, "ml/fraud/dbx"), Some(Reason::NotAllowed));
        assert_eq!(
            ask(&json!([{"namespaces": here}]), "ml/fraud/dbx"),
            Some(Reason::OutOfReach)
        );
        let tenants = json!([{"namespaces": here, "reach": {"paths": ["ml/fraud/*"]}}]);
        assert_eq!(ask(&tenants, "ml/fraud/dbx"), None);
        assert_eq!(ask(&tenants, "ml/other"), Some(Reason::OutOfReach));
    }
}
