//! Gerrit's REST protocol: login, the prefix before JSON, and which calls may be repeated.

use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use lockstep_core::domain::ports::{SystemError, SystemErrorKind};
use reqwest::header::{ACCEPT, CONTENT_TYPE, HeaderName, HeaderValue};
use reqwest::{Method, StatusCode};
use secrecy::{ExposeSecret as _, SecretString};
use serde::Serialize;
use serde::de::DeserializeOwned;

use super::names::segment;
use super::wire::{AccountInfo, GroupInfo, ProjectAccess};
use crate::clients::http::{Answer, Call, Effect, Http};

/// What stands before all JSON, against its inclusion as a script.
const MAGIC: &[u8] = b")]}'";
pub(super) const READ: &str = "read";
pub(super) const WRITE: &str = "write";

/// The client of one server.
pub(super) struct Rest {
    pub http: Arc<Http>,
    auth: HeaderValue,
}

fn basic(http: &Http, username: &str, password: &SecretString) -> Result<HeaderValue, SystemError> {
    let pair = STANDARD.encode(format!("{username}:{}", password.expose_secret()));
    let mut auth = HeaderValue::try_from(format!("Basic {pair}"))
        .map_err(|_| http.error(SystemErrorKind::Unauthorized, "the credential cannot be sent"))?;
    auth.set_sensitive(true);
    Ok(auth)
}

impl Rest {
    pub fn new(http: Arc<Http>, username: &str, password: &SecretString) -> Result<Self, SystemError> {
        let auth = basic(&http, username, password)?;
        Ok(Self { http, auth })
    }

    /// Whom the server takes somebody with another credential for; `None`: it does not let them in.
    pub async fn lets_in(
        &self,
        username: &str,
        password: &SecretString,
    ) -> Result<Option<AccountInfo>, SystemError> {
        let call = Call::get("/a/accounts/self", "a/accounts/self", READ)
            .auth(basic(&self.http, username, password)?)
            .header(ACCEPT, HeaderValue::from_static("application/json"));
        let answer = self.http.send(call).await?;
        if answer.status == StatusCode::UNAUTHORIZED {
            return Ok(None);
        }
        parse(&answer.success()?).map(Some)
    }

    async fn send(&self, call: Call) -> Result<Answer, SystemError> {
        // Compact output; without it Gerrit indents.
        let accept = HeaderValue::from_static("application/json");
        self.http
            .send(call.auth(self.auth.clone()).header(ACCEPT, accept))
            .await
    }

    /// A read whose status the caller judges.
    pub async fn ask(
        &self,
        route: &'static str,
        path: String,
        query: &[(&str, String)],
    ) -> Result<Answer, SystemError> {
        let mut call = Call::get(route, path, READ);
        for (key, value) in query {
            call = call.query(*key, value.as_str());
        }
        self.send(call).await
    }

    /// A read that must succeed.
    pub async fn get<T: DeserializeOwned>(
        &self,
        route: &'static str,
        path: String,
        query: &[(&str, String)],
    ) -> Result<T, SystemError> {
        let answer = self.ask(route, path, query).await?.success()?;
        parse(&answer)
    }

    /// A read that may find nothing.
    async fn find<T: DeserializeOwned>(
        &self,
        route: &'static str,
        path: String,
    ) -> Result<Option<T>, SystemError> {
        let answer = self.ask(route, path, &[]).await?;
        if answer.status == StatusCode::NOT_FOUND {
            return Ok(None);
        }
        parse(&answer.success()?).map(Some)
    }

    /// A write whose status the caller judges.
    pub async fn write(
        &self,
        method: Method,
        route: &'static str,
        path: String,
        effect: Effect,
        body: Option<&(impl Serialize + Sync)>,
    ) -> Result<Answer, SystemError> {
        let mut call = Call::new(method, route, path, WRITE, effect);
        if let Some(body) = body {
            call = call.json(body);
        }
        self.send(call).await
    }

    /// Puts a text under a path. The caller judges the status.
    pub async fn put_text(
        &self,
        route: &'static str,
        path: String,
        text: &str,
    ) -> Result<Answer, SystemError> {
        let call = Call::new(Method::PUT, route, path, WRITE, Effect::Repeatable)
            .bytes(text.as_bytes().to_vec())
            .header(
                CONTENT_TYPE,
                HeaderValue::from_static("text/plain; charset=UTF-8"),
            );
        self.send(call).await
    }

    /// What git answers to a fetch, written to a file: it may be larger than memory.
    pub async fn upload_pack(
        &self,
        project: &str,
        request: Vec<u8>,
        into: &Path,
        patience: Duration,
    ) -> Result<(), SystemError> {
        // Git's own paths are not encoded as a whole.
        let project: Vec<String> = project.split('/').map(segment).collect();
        let path = format!("a/{}/git-upload-pack", project.join("/"));
        let header = HeaderValue::from_static;
        let call = Call::new(
            Method::POST,
            "/a/{project}/git-upload-pack",
            path,
            READ,
            Effect::Read,
        )
        .bytes(request)
        .spool(into, patience)
        .auth(self.auth.clone())
        .header(CONTENT_TYPE, header("application/x-git-upload-pack-request"))
        .header(ACCEPT, header("application/x-git-upload-pack-result"))
        .header(HeaderName::from_static("git-protocol"), header("version=2"));
        self.http.send(call).await?.success().map(drop)
    }

    /// Whom we are logged in as.
    pub async fn whoami(&self) -> Result<AccountInfo, SystemError> {
        self.get("/a/accounts/self", "a/accounts/self".into(), &[]).await
    }

    /// A group with members and includes. `None`: missing or invisible.
    pub async fn group(&self, uuid: &str) -> Result<Option<GroupInfo>, SystemError> {
        let path = format!("a/groups/{}/detail", segment(uuid));
        self.find("/a/groups/{uuid}/detail", path).await
    }

    /// A project's own rights. `None`: missing or invisible.
    pub async fn access(&self, project: &str) -> Result<Option<ProjectAccess>, SystemError> {
        let path = format!("a/projects/{}/access", segment(project));
        self.find("/a/projects/{project}/access", path).await
    }
}

/// The JSON behind the prefix.
pub(super) fn parse<T: DeserializeOwned>(answer: &Answer) -> Result<T, SystemError> {
    let text = answer.body.strip_prefix(MAGIC).unwrap_or(&answer.body);
    answer.json_from(text)
}
