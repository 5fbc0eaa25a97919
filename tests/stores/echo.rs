//! A server that answers everything with a status and with what it was asked, headers and all: the worst that a store
//! can do with what it is sent.

use std::sync::{Arc, Mutex};

use axum::Router;
use axum::body::Bytes;
use axum::extract::State;
use axum::http::{HeaderMap, Method, StatusCode, Uri};

pub struct Echo {
    pub url: String,
    answers: Answers,
}

/// What was asked: method, path, namespace, and the token.
pub type Asked = (String, String, Option<String>, Option<String>);

#[derive(Clone)]
struct Answers {
    answer: Arc<dyn Fn(&str) -> Option<(u16, String)> + Send + Sync>,
    asked: Arc<Mutex<Vec<Asked>>>,
}

impl Echo {
    /// `answer`: what is said to a path instead of everything that was sent.
    pub async fn start(answer: impl Fn(&str) -> Option<(u16, String)> + Send + Sync + 'static) -> Self {
        let answers = Answers {
            answer: Arc::new(answer),
            asked: Arc::default(),
        };
        let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
        let url = format!("http://{}", listener.local_addr().unwrap());
        let router = Router::new().fallback(echo).with_state(answers.clone());
        tokio::spawn(async move { axum::serve(listener, router).await });
        Self { url, answers }
    }

    pub fn asked(&self) -> Vec<Asked> {
        self.answers.asked.lock().unwrap().clone()
    }
}

async fn echo(
    State(answers): State<Answers>,
    method: Method,
    uri: Uri,
    headers: HeaderMap,
    body: Bytes,
) -> (StatusCode, String) {
    let text = |name: &str| headers.get(name).map(|value| value.to_str().unwrap().to_owned());
    answers.asked.lock().unwrap().push((
        method.to_string(),
        uri.path().to_owned(),
        text("x-vault-namespace"),
        text("authorization"),
    ));
    let (status, said) = (answers.answer)(uri.path()).unwrap_or((200, String::new()));
    let said = if said.is_empty() {
        format!("{headers:?} {}", String::from_utf8_lossy(&body))
    } else {
        said
    };
    (StatusCode::from_u16(status).unwrap(), said)
}
