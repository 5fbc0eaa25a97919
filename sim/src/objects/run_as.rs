//! Who a job or a run acts as, and who may decide that.

use serde_json::Value;

use crate::call::{Call, only};
use crate::error::ApiError;
use crate::rule_sets;
use crate::state::{Scope, State};

/// The principal that `run_as` means, if it is given and the caller may choose it. What is already set may be sent
/// again by whoever manages the job; that this needs no right on the principal is UNCONFIRMED.
pub fn allowed(
    call: &Call,
    state: &State,
    wanted: Option<&Value>,
    current: Option<&Value>,
) -> Result<Option<u64>, ApiError> {
    let Some(fields) = wanted.filter(|wanted| !wanted.is_null()) else {
        return Ok(None);
    };
    let fields = fields
        .as_object()
        .ok_or_else(|| ApiError::malformed("run_as must be an object"))?;
    only(fields, &["user_name", "service_principal_name", "group_name"])?;
    let workspace = call.workspace();
    let text = |name: &str| fields.get(name).and_then(Value::as_str);
    let (id, may) = match (
        text("user_name"),
        text("service_principal_name"),
        text("group_name"),
    ) {
        (Some(name), None, None) => {
            let id = state.directory.user_named(name).map(|user| user.id);
            // Only admins may name another user than themselves [GO service/jobs/model.go JobRunAs].
            let may = id == Some(call.caller) || state.directory.is_workspace_admin(workspace, call.caller);
            (id, may)
        }
        (None, Some(app), None) => {
            let id = state.directory.application(app).map(|sp| sp.id);
            (
                id,
                id == Some(call.caller) || rule_sets::may_use(state, call.caller, app),
            )
        }
        (None, None, Some(_)) => {
            return Err(ApiError::invalid("This simulator runs nothing as a group"));
        }
        _ => {
            return Err(ApiError::invalid(
                "Exactly one of run_as.user_name and run_as.service_principal_name must be given",
            ));
        }
    };
    let name = fields.values().find_map(Value::as_str).unwrap_or_default();
    let id = id
        .filter(|id| state.directory.sees(Scope::Workspace(workspace), *id))
        .ok_or_else(|| ApiError::invalid(format!("The run_as principal {name} does not exist")))?;
    if may || wanted == current {
        return Ok(Some(id));
    }
    let caller = crate::identity::name(state, call.caller);
    Err(ApiError::denied(format!(
        "User {caller} does not have the servicePrincipal.user role on, or is not, the run_as principal {name}"
    )))
}
