//! From arguments to listening sockets.

use std::io::{self, IsTerminal, Write};
use std::path::Path;
use std::sync::Arc;

use axum::Router;
use axum::body::{Body, to_bytes};
use axum::extract::{ConnectInfo, Request};
use axum::http::Response;
use serde_json::json;
use tokio::net::TcpListener;

use crate::args::Serve;
use crate::catalog;
use crate::control::{self, seed};
use crate::dispatch::{Face, Incoming, dispatch};
use crate::error::{ApiError, Dialect};
use crate::listen::{Door, Peer};
use crate::response::Outgoing;
use crate::runs::execute;
use crate::settings::Settings;
use crate::state::admissions::Assignment;
use crate::state::credentials::Bearer;
use crate::state::hidden::Hidden;
use crate::state::{Scope, State, User};
use crate::world::{Boot, World, now_ms};

/// Larger bodies are refused unread; the largest the vendor takes is an import of 10 MB in base64.
const MAX_BODY: usize = 64 * 1024 * 1024;

#[derive(Debug, thiserror::Error)]
pub enum ServeError {
    #[error("cannot listen on {address}: {source}")]
    Listen { address: String, source: io::Error },
    #[error("cannot read {path}: {source}")]
    Read { path: String, source: io::Error },
    #[error("{path} is not a seed: {reason}")]
    Seed { path: String, reason: String },
    #[error("{path} holds no usable certificate: {source}")]
    Certificate { path: String, source: reqwest::Error },
    #[error("cannot build an HTTP client: {0}")]
    Client(reqwest::Error),
    #[error("--execute runs programs for whoever can reach it, and so wants a loopback address, not {0}")]
    Exposed(String),
    #[error("stopped: {0}")]
    Stopped(io::Error),
}

fn read(path: &Path) -> Result<Vec<u8>, ServeError> {
    std::fs::read(path).map_err(|source| ServeError::Read {
        path: path.display().to_string(),
        source,
    })
}

/// The world before anybody has changed anything: one administrator, whose tokens open both planes.
fn first_state(args: &Serve) -> Result<State, ServeError> {
    let now = now_ms();
    let mut ids = vec![args.workspace_id];
    ids.extend(args.workspaces.iter().map(|workspace| workspace.id));
    let mut state = State::empty(&args.account_id, &args.metastore_id, &ids, &now.to_string());
    let admin = state.new_id();
    let name = args.admin.to_lowercase();
    state.directory.insert_user(User {
        id: admin,
        user_name: name.clone(),
        display_name: "Administrator".to_owned(),
        emails: vec![json!({"type": "work", "value": name, "primary": true})],
        active: true,
        roles: ["account_admin".to_owned()].into(),
        ..User::default()
    });
    let mut tokens = vec![
        (args.workspace_token.clone(), Scope::Workspace(args.workspace_id)),
        (args.account_token.clone(), Scope::Account),
    ];
    for workspace in &args.workspaces {
        tokens.push((workspace.token.clone(), Scope::Workspace(workspace.id)));
    }
    for (token, scope) in tokens {
        if let Scope::Workspace(id) = scope {
            state.assign(id, admin, Assignment::Admin);
        }
        state
            .credentials
            .bearers
            .insert(Hidden::new(token), Bearer::lasting(admin, scope));
    }
    if let Some(kind) = catalog::kinds::by_name("METASTORE") {
        let id = state.metastore_id.clone();
        catalog::seed(&mut state, kind, &id, &name, &serde_json::Map::new(), now);
    }
    if let Some(path) = &args.seed {
        let wrong = |reason: String| ServeError::Seed {
            path: path.display().to_string(),
            reason,
        };
        let seed: seed::Seed =
            serde_json::from_slice(&read(path)?).map_err(|error| wrong(error.to_string()))?;
        seed::apply(&mut state, &seed, now).map_err(|error| wrong(error.message))?;
    }
    Ok(state)
}

fn is_loopback(listener: &TcpListener) -> bool {
    listener
        .local_addr()
        .is_ok_and(|address| address.ip().is_loopback())
}

fn client(args: &Serve) -> Result<reqwest::Client, ServeError> {
    let mut builder = reqwest::Client::builder()
        .timeout(std::time::Duration::from_secs(10))
        .no_proxy();
    if let Some(path) = &args.ca_file {
        let certificates = reqwest::Certificate::from_pem_bundle(&read(path)?).map_err(|source| {
            ServeError::Certificate {
                path: path.display().to_string(),
                source,
            }
        })?;
        builder = builder.tls_certs_merge(certificates);
    }
    builder.build().map_err(ServeError::Client)
}

pub async fn serve(args: &Serve) -> Result<(), ServeError> {
    // The first caller decides for the process; a second one changes nothing.
    let _ = rustls::crypto::ring::default_provider().install_default();
    let mut settings = Settings {
        lag: args.lag,
        task_seconds: args.task_seconds,
        ..Settings::default()
    };
    for quirk in &args.quirk {
        settings.turn_on(*quirk);
    }
    let world = Arc::new(World::new(
        Boot {
            state: first_state(args)?,
            settings,
        },
        client(args)?,
    ));
    let mut rows = vec![(
        args.workspace_id,
        args.listen,
        args.workspace_token.clone(),
        false,
    )];
    rows.extend(
        args.workspaces
            .iter()
            .map(|one| (one.id, one.listen, one.token.clone(), true)),
    );
    let mut doors = Vec::new();
    for (id, address, token, strict) in rows {
        let wrong = |source| ServeError::Listen {
            address: address.to_string(),
            source,
        };
        let listener = TcpListener::bind(address).await.map_err(wrong)?;
        let url = format!("http://{}", listener.local_addr().map_err(wrong)?);
        doors.push((
            Face {
                workspace: id,
                strict,
            },
            listener,
            url,
            token,
        ));
    }
    if args.execute {
        if let Some((_, listener, ..)) = doors.iter().find(|(_, listener, ..)| !is_loopback(listener)) {
            return Err(ServeError::Exposed(format!("{:?}", listener.local_addr())));
        }
        let addresses = doors
            .iter()
            .map(|(face, _, url, _)| (face.workspace, url.clone()));
        // Set once: nothing else sets it.
        let _ = world.addresses.set(addresses.collect());
        tokio::spawn(execute::attend(Arc::clone(&world), args.python.clone()));
    }
    greet(args, &doors);
    let mut servers = Vec::new();
    for (face, listener, ..) in doors {
        let world = Arc::clone(&world);
        let app = Router::new().fallback(move |peer: ConnectInfo<Peer>, request: Request| {
            let world = Arc::clone(&world);
            async move { answer(&world, face, peer.0, request).await }
        });
        let server = axum::serve(Door(listener), app.into_make_service_with_connect_info::<Peer>());
        servers.push(tokio::spawn(async move { server.await }));
    }
    tokio::select! {
        () = interrupted() => Ok(()),
        (ended, ..) = futures::future::select_all(servers) => {
            ended.map_err(io::Error::other).and_then(|result| result).map_err(ServeError::Stopped)
        }
    }
}

async fn interrupted() {
    let Ok(mut terminate) = tokio::signal::unix::signal(tokio::signal::unix::SignalKind::terminate()) else {
        return std::future::pending().await;
    };
    tokio::select! {
        _ = tokio::signal::ctrl_c() => {}
        _ = terminate.recv() => {}
    }
}

async fn answer(world: &Arc<World>, face: Face, peer: Peer, request: Request) -> Response<Body> {
    let (parts, body) = request.into_parts();
    let Ok(body) = to_bytes(body, MAX_BODY).await else {
        let error = ApiError::new(
            413,
            "MAX_REQUEST_SIZE_EXCEEDED",
            "The request body is too large or incomplete",
        );
        return Outgoing::json(413, &error.body(Dialect::Standard)).into_response();
    };
    let incoming = Incoming {
        method: parts.method,
        uri: parts.uri,
        headers: parts.headers,
        body,
        face,
        scissors: peer.scissors,
    };
    if incoming.uri.path().starts_with("/_sim/") {
        control::answer(world, &incoming).await.into_response()
    } else {
        dispatch(world, incoming).await.into_response()
    }
}

/// Says where to find what: a table for people, a line of JSON for programs.
fn greet(args: &Serve, doors: &[(Face, TcpListener, String, String)]) {
    let mut out = io::stdout().lock();
    let main = doors.first().map_or("", |(_, _, url, _)| url);
    if args.json || !out.is_terminal() {
        let workspaces: Vec<_> = doors
            .iter()
            .map(
                |(face, _, url, token)| json!({"id": face.workspace.to_string(), "url": url, "token": token}),
            )
            .collect();
        let line = json!({"url": main, "control": format!("{main}/_sim/"), "workspaces": workspaces,
            "account": {"id": args.account_id, "url": main, "token": args.account_token}});
        let _ = writeln!(out, "{line}");
    } else {
        let _ = writeln!(
            out,
            "\ndatabricks-sim is ready. Ctrl-C stops it; nothing is kept.\n"
        );
        let _ = writeln!(out, "  {:<10} {:<38} {:<28} token", "plane", "id", "url");
        for (face, _, url, token) in doors {
            let _ = writeln!(
                out,
                "  {:<10} {:<38} {url:<28} {token}",
                "workspace", face.workspace
            );
        }
        let _ = writeln!(
            out,
            "  {:<10} {:<38} {main:<28} {}",
            "account", args.account_id, args.account_token
        );
        let _ = writeln!(out, "  {:<10} {:<38} {main}/_sim/\n", "control", "");
    }
    // A greeting that cannot be written must not stop the server.
    let _ = out.flush();
}

/// Every endpoint, one per line.
pub fn print_routes() {
    let mut rows: Vec<String> = crate::routes::table()
        .routes()
        .map(|route| format!("{:<7} {}", route.method, route.template))
        .collect();
    rows.sort_by(|left, right| left[8..].cmp(&right[8..]).then(left.cmp(right)));
    let mut out = io::stdout().lock();
    for row in rows {
        if writeln!(out, "{row}").is_err() {
            return;
        }
    }
}
