//! The life of one request: gate, route, fault, identity, limits, strictness, handler, journal, gate again, answer.

use std::sync::Arc;
use std::time::Duration;

use axum::body::Bytes;
use axum::http::{HeaderMap, Method, Uri};
use serde_json::Value;

use crate::call::{Call, only};
use crate::control::faults::Action;
use crate::control::journal::Entry;
use crate::error::{ApiError, Dialect};
use crate::identity;
use crate::listen::Scissors;
use crate::multipart;
use crate::oauth::token;
use crate::objects::shape;
use crate::response::{self, Outgoing};
use crate::route::{Answer, Found, Handler, Params, Plane, Reply, Route};
use crate::routes::canonical;
use crate::settings::{Settings, milliseconds};
use crate::state::{Scope, State};
use crate::world::{Gate, World, lock, rfc3339};

/// One request, read whole.
#[derive(Debug)]
pub struct Incoming {
    pub method: Method,
    pub uri: Uri,
    pub headers: HeaderMap,
    pub body: Bytes,
    pub face: Face,
    pub scissors: Scissors,
}

/// What a listening socket stands for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Face {
    pub workspace: u64,
    /// Takes tokens of its own workspace only; the main socket takes any and lets the token choose.
    pub strict: bool,
}

impl Incoming {
    pub fn header(&self, name: &str) -> Option<&str> {
        self.headers.get(name).and_then(|value| value.to_str().ok())
    }

    fn base(&self) -> String {
        format!("http://{}", self.header("host").unwrap_or("localhost"))
    }

    fn query(&self) -> Vec<(String, String)> {
        url::form_urlencoded::parse(self.uri.query().unwrap_or_default().as_bytes())
            .into_owned()
            .collect()
    }
}

struct Verdict {
    answer: Answer,
    identity: String,
    plane: String,
    effect: bool,
}

pub async fn dispatch(world: &Arc<World>, incoming: Incoming) -> Outgoing {
    // A shut gate holds requests before their effect too: "after write N" must mean that N+1 never happened.
    world.pass_gate().await;
    world.tick();
    let settings = world.settings();
    let path = canonical(incoming.uri.path());
    let method = incoming.method.as_str().to_owned();
    let found = world.table.find(&method, &path);
    let (template, dialect, write) = match &found {
        Found::Route(route, _) => (route.template, route.dialect(), route.is_write()),
        _ => (
            "(unknown)",
            if path.contains("/scim/v2/") {
                Dialect::Scim
            } else {
                Dialect::Standard
            },
            false,
        ),
    };
    let fault = lock(&world.faults).pick(&method, template, &path);
    if let Some(Action::Delay { ms }) = fault {
        tokio::time::sleep(Duration::from_millis(ms)).await;
    }
    let (mut outgoing, verdict) = match fault
        .as_ref()
        .and_then(|action| response::before(action, dialect))
    {
        Some(outgoing) => (
            outgoing,
            Verdict {
                answer: Ok(Reply::empty()),
                identity: String::new(),
                plane: String::new(),
                effect: false,
            },
        ),
        None => {
            let verdict = match found {
                Found::Route(route, params) => routed(world, &incoming, &settings, route, params).await,
                Found::OtherVerbs(verbs) => unrouted(ApiError::new(
                    405,
                    "METHOD_NOT_ALLOWED",
                    format!(
                        "{method} is not allowed for {path}; allowed: {}",
                        verbs.join(", ")
                    ),
                )),
                Found::Nothing => unrouted(ApiError::new(
                    404,
                    "ENDPOINT_NOT_FOUND",
                    format!("No API found for '{method} {path}'"),
                )),
            };
            (response::render(&verdict.answer, dialect), verdict)
        }
    };
    if let Some(action) = &fault {
        response::after(action, &mut outgoing, dialect);
    }
    let entry = Entry {
        seq: 0,
        time: rfc3339(world.now()),
        plane: verdict.plane,
        method,
        path,
        query: incoming.uri.query().unwrap_or_default().to_owned(),
        route: template.to_owned(),
        identity: verdict.identity,
        status: outgoing.status,
        write,
        effect: verdict.effect,
        fault: fault.as_ref().map(Action::name),
        request_bytes: incoming.body.len(),
        response_bytes: outgoing.body.len(),
        user_agent: incoming.header("user-agent").unwrap_or_default().to_owned(),
    };
    let seq = lock(&world.journal).push(entry);
    world.journaled.send_replace(seq);
    if outgoing.cut {
        incoming.scissors.cut();
    }
    world.pass_gate().await;
    outgoing.date_offset = settings.clock_offset;
    outgoing
}

fn unrouted(error: ApiError) -> Verdict {
    Verdict {
        answer: Err(error),
        identity: String::new(),
        plane: String::new(),
        effect: false,
    }
}

async fn routed(
    world: &Arc<World>,
    incoming: &Incoming,
    settings: &Settings,
    route: &'static Route,
    params: Params,
) -> Verdict {
    let mut verdict = unrouted(ApiError::new(500, "INTERNAL_ERROR", ""));
    let call = match prepare(world, incoming, settings, route, params, &mut verdict) {
        Ok(call) => call,
        Err(error) => {
            verdict.answer = Err(error);
            return verdict;
        }
    };
    verdict.answer = match route.handler {
        Handler::Token => token::answer(world, &call).await,
        Handler::Read(handler) => match world.stale().filter(|_| route.plane != Plane::Open) {
            Some(old) => handler(&call, &old),
            None => handler(&call, &world.state()),
        },
        Handler::Object(operation, shape) if !operation.is_write() => match world.stale() {
            Some(old) => shape::read(&call, &old, operation, shape),
            None => shape::read(&call, &world.state(), operation, shape),
        },
        Handler::Object(operation, shape) => {
            write(world, |state| shape::write(&call, state, operation, shape)).await
        }
        Handler::Write(handler) => write(world, |state| handler(&call, state)).await,
    };
    verdict.effect = route.is_write() && verdict.answer.is_ok();
    verdict
}

/// Runs a write and counts it in one breath: two writes under way at once must not both pass a gate that the first
/// of them shuts.
async fn write(world: &World, change: impl FnOnce(&mut State) -> Answer) -> Answer {
    loop {
        world.pass_gate().await;
        let mut state = world.state_mut();
        if *world.gate.borrow() == Gate::Shut {
            continue;
        }
        let answer = change(&mut state);
        if answer.is_ok() {
            world.count_write();
        }
        return answer;
    }
}

/// Everything that can be refused before the handler is asked.
fn prepare(
    world: &World,
    incoming: &Incoming,
    settings: &Settings,
    route: &Route,
    params: Params,
    verdict: &mut Verdict,
) -> Result<Call, ApiError> {
    let mut call = Call {
        params,
        query: incoming.query(),
        body: Value::Null,
        deletes: route.method == "DELETE",
        form: Vec::new(),
        basic: identity::basic(incoming),
        scope: if route.plane == Plane::Account {
            Scope::Account
        } else {
            Scope::Workspace(incoming.face.workspace)
        },
        face: incoming.face.workspace,
        caller: 0,
        base: incoming.base(),
        now: world.now(),
        pace: milliseconds(settings.task_seconds),
        credential_lag: milliseconds(settings.credential_lag),
        execute: world.executes(),
        raw: Bytes::new(),
        empty_pages: settings.empty_pages,
        group_list_members: settings.group_list_members,
        automatic_identity: settings.automatic_identity,
    };
    if route.plane == Plane::Open {
        call.form = url::form_urlencoded::parse(&incoming.body).into_owned().collect();
        "open".clone_into(&mut verdict.plane);
        return Ok(call);
    }
    verdict.plane = call.scope.to_string();
    let state = world.state();
    let caller = identity::authenticate(incoming, &state, route.plane, call.now)?;
    (call.caller, call.scope) = (caller.principal, caller.scope);
    verdict.plane = call.scope.to_string();
    verdict.identity = identity::name(&state, call.caller);
    if route.plane == Plane::Account
        && call.params.contains_key("account")
        && call.param("account") != state.account_id
    {
        return Err(ApiError::new(
            404,
            "NOT_FOUND",
            format!("Account {} not found", call.param("account")),
        ));
    }
    throttle(world, settings, route, &call)?;
    identity::authorize(&state, route, &call)?;
    drop(state);
    if let Some((name, _)) = call
        .query
        .iter()
        .find(|(name, _)| !route.query.contains(&name.as_str()))
    {
        return Err(ApiError::malformed(format!(
            "Could not parse request object: unknown query parameter '{name}'"
        )));
    }
    let kind = incoming.header("content-type").unwrap_or_default();
    if route.raw {
        call.raw = incoming.body.clone();
    } else if kind.starts_with("multipart/form-data") {
        call.body = multipart::fields(kind, &incoming.body)
            .ok_or_else(|| ApiError::malformed("The body is not a valid form"))?;
    } else if !incoming.body.is_empty() && matches!(route.method, "POST" | "PUT" | "PATCH" | "DELETE") {
        call.body = serde_json::from_slice(&incoming.body).map_err(|error| {
            ApiError::malformed(format!("Invalid JSON given in the body of the request - {error}"))
        })?;
    }
    if let (Some(known), Value::Object(object)) = (route.body, &call.body) {
        only(object, &[known, route.shared].concat())?;
    }
    Ok(call)
}

fn throttle(world: &World, settings: &Settings, route: &Route, call: &Call) -> Result<(), ApiError> {
    if route.dialect() == Dialect::Scim
        && settings.scim_throttle_every > 0
        && world.scim_requests().is_multiple_of(settings.scim_throttle_every)
    {
        // Seen by the Go SDK [GO config/api_client.go]: throttling dressed as an internal error.
        return Err(ApiError::new(
            500,
            "INTERNAL_ERROR",
            "REQUEST_LIMIT_EXCEEDED: too many SCIM requests",
        )
        .standard());
    }
    let Some(family) = route.family.filter(|_| settings.limits) else {
        return Ok(());
    };
    lock(&world.buckets)
        .take(call.scope, family, crate::world::now_ms())
        .map_err(|seconds| ApiError {
            retry_after: Some(seconds),
            always_standard: true,
            ..ApiError::new(
                429,
                "RESOURCE_EXHAUSTED",
                format!("Rate limit of {} exceeded", family.name()),
            )
        })
}
