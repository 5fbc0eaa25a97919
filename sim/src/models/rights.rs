//! Who may do what with a model. Everything wants USE on the catalog and the schema as well.

use crate::call::Call;
use crate::catalog::kinds::{Kind, by_name};
use crate::catalog::rights::{is_metastore_admin, owns, privileged, uses};
use crate::catalog::{find, is_model};
use crate::error::ApiError;
use crate::state::{Securable, State};

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Act {
    /// Read a version: the owner, or EXECUTE.
    Read,
    /// Set an alias: the owner alone. That MANAGE is enough is UNCONFIRMED, so it is not.
    Alias,
    /// Make, change or delete a version: the owner, or MANAGE.
    Change,
    /// The owner, or APPLY_TAG [GO service/catalog/interface.go].
    Tag,
}

/// Models are securables of the type FUNCTION [GO service/catalog/interface.go RegisteredModelsService].
pub fn kind() -> Result<&'static Kind, ApiError> {
    by_name("FUNCTION").ok_or_else(|| ApiError::missing("no such kind"))
}

pub fn model<'a>(state: &'a State, full_name: &str) -> Result<&'a Securable, ApiError> {
    find(state, kind()?, full_name)
        .ok()
        .filter(|securable| is_model(securable))
        .ok_or_else(|| ApiError::missing(format!("Registered Model '{full_name}' does not exist.")))
}

/// The model, if the caller may do this with it.
pub fn allowed<'a>(
    call: &Call,
    state: &'a State,
    full_name: &str,
    act: Act,
) -> Result<&'a Securable, ApiError> {
    let securable = model(state, full_name)?;
    holds(state, call.caller, securable, act)?;
    Ok(securable)
}

pub fn holds(state: &State, caller: u64, securable: &Securable, act: Act) -> Result<(), ApiError> {
    if is_metastore_admin(state, caller) {
        return Ok(());
    }
    let (wanted, word): (&[&str], &str) = match act {
        Act::Read => (&["EXECUTE", "MANAGE"], "EXECUTE"),
        Act::Alias => (&[], "OWNERSHIP"),
        Act::Change => (&["MANAGE"], "OWNERSHIP or MANAGE"),
        Act::Tag => (&["APPLY_TAG", "MANAGE"], "APPLY TAG"),
    };
    let kind = kind()?;
    let has = owns(state, caller, securable)
        || (!wanted.is_empty() && privileged(state, caller, kind, securable, wanted));
    let name = &securable.full_name;
    if !has {
        return Err(ApiError::denied(format!(
            "User does not have {word} on Routine or Model '{name}'."
        )));
    }
    if !uses(state, caller, name) {
        return Err(ApiError::denied(format!(
            "User does not have USE CATALOG and USE SCHEMA on the parents of '{name}'."
        )));
    }
    Ok(())
}
