//! An entry of a secret scope: its fields under `<path>.<field>`, and whose it is under `<path>.lockstep`, which comes
//! first and goes last. A scope keeps no versions and knows no condition on a write: the version is made of when its
//! keys were last written, and is compared right before a write. Between the two somebody else may still write; the
//! next reading shows it.

use std::collections::BTreeMap;
use std::sync::Arc;

use async_trait::async_trait;
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use lockstep_core::domain::ports::{SystemError, SystemErrorKind};
use lockstep_core::domain::rotation::ports::stores::{Contents, Entry, Owned, Owner, Store};
use lockstep_core::domain::rotation::value::{Fields, Value};
use reqwest::Method;
use secrecy::{ExposeSecret as _, SecretString};
use serde::{Deserialize, Serialize};
use serde_json::json;
use sha2::{Digest as _, Sha256};

use super::super::limits::Family;
use super::super::plane::{Plane, Response};
use super::super::system::Inner;
use super::secrets::secret;
use crate::clients::http::{Call, Effect};

const SCOPES: &str = "/api/2.0/secrets/scopes/list";
const LIST: &str = "/api/2.0/secrets/list";
const GET: &str = "/api/2.0/secrets/get";
const PUT: &str = "/api/2.0/secrets/put";
const DELETE: &str = "/api/2.0/secrets/delete";

/// The field that says whose an entry is.
const MARK: &str = "lockstep";
/// Longest key (Databricks REST, secrets).
const LONGEST_KEY: usize = 128;
/// Longest value in bytes (Databricks REST, secrets).
const LONGEST_VALUE: usize = 128 * 1024;

/// When each field of the entry was last written, the mark among them: milliseconds since the epoch.
type Written = BTreeMap<String, i64>;

#[derive(Deserialize)]
struct Keys {
    /// Missing where there is none.
    #[serde(default)]
    secrets: Vec<Key>,
}

#[derive(Deserialize)]
struct Key {
    key: String,
    #[serde(default)]
    last_updated_timestamp: i64,
}

#[derive(Deserialize)]
struct Kept {
    /// Base64.
    #[serde(default, deserialize_with = "secret")]
    value: SecretString,
}

#[derive(Deserialize)]
struct Scopes {
    /// Missing where there is none.
    #[serde(default)]
    scopes: Vec<Scope>,
}

#[derive(Deserialize)]
struct Scope {
    name: String,
    #[serde(default)]
    backend_type: String,
}

#[derive(Serialize, Deserialize)]
struct Mark {
    uid: String,
    name: String,
}

pub(super) struct ScopeEntry {
    inner: Arc<Inner>,
    scope: String,
    path: String,
    address: String,
}

fn is_plain(name: &str) -> bool {
    !name.is_empty()
        && name
            .bytes()
            .all(|byte| byte.is_ascii_alphanumeric() || b"-_.".contains(&byte))
}

/// Whether a scope could hold a field of this name: with no dot but one in front, as files of tools have it, so that no
/// entry's field is another entry's path.
fn is_field(name: &str) -> bool {
    let name = name.strip_prefix('.').unwrap_or(name);
    is_plain(name) && !name.contains('.')
}

/// What a write must find unchanged; empty: nothing is there.
fn version(written: &Written) -> String {
    if written.is_empty() {
        return String::new();
    }
    let rows: Vec<String> = written
        .iter()
        .map(|(field, at)| format!("{field}@{at}"))
        .collect();
    hex::encode(&Sha256::digest(rows.join("\n"))[..16])
}

/// What a refusal means, with what to do where that is known.
fn refused(scope: &str, response: &Response) -> SystemError {
    let error = response.error();
    let advice = match (&error.kind, response.refusal.code.as_str()) {
        (SystemErrorKind::NotFound, _) => format!("secret scope {scope} is not there: create it"),
        (SystemErrorKind::Forbidden, _) => {
            format!("the identity needs WRITE, and to read back READ, on secret scope {scope}")
        }
        (SystemErrorKind::Refused, "BAD_REQUEST") => format!(
            "secret scope {scope} takes no such call: one over an Azure Key Vault is written in the vault, and some \
             workspaces let no value be read outside of a notebook"
        ),
        (SystemErrorKind::Refused, "RESOURCE_LIMIT_EXCEEDED") => {
            format!("secret scope {scope} holds as many secrets as it can")
        }
        _ => return error,
    };
    response.refused(error.kind, &advice)
}

async fn send(plane: &Plane, scope: &str, call: Call) -> Result<Response, SystemError> {
    let response = plane.send(call).await?;
    if response.answer.status.is_success() {
        Ok(response)
    } else {
        Err(refused(scope, &response))
    }
}

async fn keys(plane: &Plane, scope: &str) -> Result<Vec<Key>, SystemError> {
    let call = Call::get(LIST, LIST, Family::Other.name()).query("scope", scope);
    let Keys { secrets } = send(plane, scope, call).await?.answer.json()?;
    Ok(secrets)
}

pub(super) async fn probe(plane: &Plane, scope: &str) -> Result<(), SystemError> {
    keys(plane, scope).await?;
    let Scopes { scopes } = plane
        .read(Call::get(SCOPES, SCOPES, Family::Other.name()))
        .await?;
    let vault = |found: &Scope| found.name == scope && found.backend_type == "AZURE_KEYVAULT";
    if !scopes.iter().any(vault) {
        return Ok(());
    }
    let message = format!(
        "secret scope {scope} is one over an Azure Key Vault, which is written in the vault and not through Databricks"
    );
    Err(plane.error(SystemErrorKind::Refused, message))
}

impl ScopeEntry {
    pub fn new(inner: Arc<Inner>, scope: &str, path: &str, address: String) -> Result<Self, SystemError> {
        if !is_plain(path) || path.ends_with('.') || path.len() + MARK.len() >= LONGEST_KEY {
            let message = format!(
                "{path:?} cannot be a path in a secret scope: letters, digits and - _ . make the names of keys there, \
                 {LONGEST_KEY} characters with the field, and no dot ends a path"
            );
            return Err(inner.workspace.plane.error(SystemErrorKind::Refused, message));
        }
        Ok(Self {
            inner,
            scope: scope.to_owned(),
            path: path.to_owned(),
            address,
        })
    }

    fn plane(&self) -> &Plane {
        &self.inner.workspace.plane
    }

    fn key(&self, field: &str) -> String {
        format!("{}.{field}", self.path)
    }

    async fn send(&self, call: Call) -> Result<Response, SystemError> {
        send(self.plane(), &self.scope, call).await
    }

    /// Which fields there are. A scope that does not exist is an error: it may be hidden.
    async fn written(&self) -> Result<Written, SystemError> {
        let secrets = keys(self.plane(), &self.scope).await?;
        let begin = self.key("");
        let field = |row: Key| {
            let field = row.key.strip_prefix(&begin)?;
            // Of an entry whose path goes on from ours.
            is_field(field).then(|| (field.to_owned(), row.last_updated_timestamp))
        };
        Ok(secrets.into_iter().filter_map(field).collect())
    }

    /// The value under a field; `None`: it is gone meanwhile.
    async fn value(&self, field: &str) -> Result<Option<Value>, SystemError> {
        let call = Call::get(GET, GET, Family::Other.name())
            .query("scope", &self.scope)
            .query("key", self.key(field))
            .mute();
        let response = self.plane().send(call).await?;
        if response.proves_absence() {
            return Ok(None);
        }
        if !response.answer.status.is_success() {
            return Err(refused(&self.scope, &response));
        }
        let Kept { value } = response.answer.json()?;
        let text = STANDARD
            .decode(value.expose_secret())
            .ok()
            .and_then(|bytes| String::from_utf8(bytes).ok());
        let text = text.ok_or_else(|| {
            let message = format!("{}: a value that is no text", self.key(field));
            self.plane().error(SystemErrorKind::BadAnswer, message)
        })?;
        Ok(Some(Value::new(text)))
    }

    /// Whose the entry is, as far as its mark tells.
    fn owned(&self, mark: Option<&Value>) -> Owned {
        let mark = mark.and_then(|mark| serde_json::from_str::<Mark>(mark.expose()).ok());
        match mark {
            Some(Mark { uid, name }) => Owned::By(Owner { uid, name }),
            None => Owned::Foreign(format!(
                "keys {} of secret scope {}, without {}",
                self.key("*"),
                self.scope,
                self.key(MARK)
            )),
        }
    }

    async fn put(&self, field: &str, value: &str) -> Result<(), SystemError> {
        let call = Call::new(Method::POST, PUT, PUT, Family::Other.name(), Effect::Repeatable)
            .json(&json!({"scope": self.scope, "key": self.key(field), "string_value": value}))
            .mute();
        self.send(call).await.map(drop)
    }

    async fn delete(&self, field: &str) -> Result<(), SystemError> {
        let call = Call::new(
            Method::POST,
            DELETE,
            DELETE,
            Family::Other.name(),
            Effect::Repeatable,
        )
        .json(&json!({"scope": self.scope, "key": self.key(field)}));
        let response = self.plane().send(call).await?;
        if response.answer.status.is_success() || response.proves_absence() {
            return Ok(());
        }
        Err(refused(&self.scope, &response))
    }

    /// Fields that a scope could not hold, before anything is sent.
    fn judge(&self, fields: &Fields) -> Result<(), SystemError> {
        let fault = |field: &str, value: &Value| {
            if field == MARK {
                Some("it is the one that says whose the entry is".to_owned())
            } else if !is_field(field) {
                Some(
                    "letters, digits, - and _ make the names of fields in a secret scope, after one dot"
                        .to_owned(),
                )
            } else if self.key(field).len() > LONGEST_KEY {
                Some(format!(
                    "with its path it is longer than {LONGEST_KEY} characters"
                ))
            } else if value.expose().len() > LONGEST_VALUE {
                Some(format!("its value is longer than {LONGEST_VALUE} bytes"))
            } else {
                None
            }
        };
        let found = fields
            .iter()
            .find_map(|(field, value)| Some((field, fault(field, value)?)));
        match found {
            None => Ok(()),
            Some((field, fault)) => {
                let message = format!(
                    "field {field:?} cannot be kept in secret scope {}: {fault}",
                    self.scope
                );
                Err(self.plane().error(SystemErrorKind::Refused, message))
            }
        }
    }

    fn demand(&self, written: &Written, version_wanted: &str) -> Result<(), SystemError> {
        if version(written) == version_wanted {
            return Ok(());
        }
        let message = format!(
            "{} was written by somebody else meanwhile, or the list of secret scope {} lags",
            self.key("*"),
            self.scope
        );
        Err(self.plane().error(SystemErrorKind::Stale, message))
    }

    async fn replace(&self, entry: &Entry<'_>, written: &Written) -> Result<(), SystemError> {
        let Owner { uid, name } = entry.owner;
        let mark = serde_json::to_string(&Mark {
            uid: uid.clone(),
            name: name.clone(),
        });
        let mark = mark.map_err(|error| self.plane().error(SystemErrorKind::Refused, error.to_string()))?;
        self.put(MARK, &mark).await?;
        for (field, value) in entry.fields {
            self.put(field, value.expose())
                .await
                .map_err(SystemError::partly)?;
        }
        for field in written
            .keys()
            .filter(|field| *field != MARK && !entry.fields.contains_key(*field))
        {
            self.delete(field).await.map_err(SystemError::partly)?;
        }
        Ok(())
    }
}

#[async_trait]
impl Store for ScopeEntry {
    fn address(&self) -> &str {
        &self.address
    }

    async fn read(&self) -> Result<Contents, SystemError> {
        // Values are read after the list: what is newer than its version makes a later write stale, not wrong.
        let mut written = self.written().await?;
        if written.is_empty() {
            return Ok(Contents::absent());
        }
        let version = version(&written);
        let mark = if written.remove(MARK).is_some() {
            self.value(MARK).await?
        } else {
            None
        };
        let owned = self.owned(mark.as_ref());
        let mut fields = Fields::new();
        // What is not ours is nobody's business here.
        if matches!(owned, Owned::By(_)) {
            for field in written.into_keys() {
                if let Some(value) = self.value(&field).await? {
                    fields.insert(field, value);
                }
            }
        }
        Ok(Contents {
            owned,
            version,
            fields,
            previous: Fields::new(),
        })
    }

    async fn write(&self, entry: &Entry<'_>, version: &str) -> Result<(), SystemError> {
        self.judge(entry.fields)?;
        let written = self.written().await?;
        self.demand(&written, version)?;
        self.replace(entry, &written).await
    }

    async fn remove(&self, version: &str) -> Result<(), SystemError> {
        let written = self.written().await?;
        if written.is_empty() {
            return Ok(());
        }
        self.demand(&written, version)?;
        let (last, first): (Vec<_>, Vec<_>) = written.into_keys().partition(|field| field == MARK);
        for (at, field) in first.iter().chain(&last).enumerate() {
            let gone = self.delete(field).await;
            gone.map_err(|error| if at > 0 { error.partly() } else { error })?;
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_version_changes_with_every_write_and_is_empty_where_nothing_is() {
        let of =
            |rows: &[(&str, i64)]| version(&rows.iter().map(|(field, at)| ((*field).into(), *at)).collect());
        assert_eq!(of(&[]), "");
        let one = of(&[("id", 1), ("secret", 1)]);
        assert_eq!(one, of(&[("secret", 1), ("id", 1)]));
        for other in [
            of(&[("id", 1), ("secret", 2)]),
            of(&[("id", 1)]),
            of(&[("id", 1), ("other", 1)]),
        ] {
            assert_ne!(one, other);
        }
    }
}
