//! A server of a few lines that misbehaves as told.

use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};

use reqwest::Url;
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::{TcpListener, TcpStream};

/// What the server does with one request.
#[derive(Clone)]
pub enum Reply {
    Text(String),
    /// Says this and hangs up.
    Torn(&'static str),
    /// Reads the request and hangs up.
    Drop,
    /// Reads the request and says nothing.
    Silence,
    /// An answer of so many bytes.
    Huge(usize),
}

pub fn reply(status: &str, headers: &str, body: &str) -> Reply {
    Reply::Text(format!(
        "HTTP/1.1 {status}\r\nContent-Length: {}\r\n{headers}\r\n{body}",
        body.len()
    ))
}

pub fn ok(body: &str) -> Reply {
    reply("200 OK", "Content-Type: application/json\r\n", body)
}

/// Plays the replies in turn, the last one forever.
pub struct Server {
    pub url: Url,
    seen: Arc<Mutex<Vec<String>>>,
}

impl Server {
    pub async fn start(replies: Vec<Reply>) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let url = format!("http://{}/base/", listener.local_addr().unwrap());
        let seen = Arc::new(Mutex::new(Vec::new()));
        let (log, turn) = (Arc::clone(&seen), Arc::new(AtomicUsize::new(0)));
        tokio::spawn(async move {
            while let Ok((socket, _)) = listener.accept().await {
                let (log, turn, replies) = (Arc::clone(&log), Arc::clone(&turn), replies.clone());
                tokio::spawn(async move { converse(socket, &log, &turn, &replies).await });
            }
        });
        Self {
            url: url.parse().unwrap(),
            seen,
        }
    }

    pub fn count(&self) -> usize {
        self.seen.lock().unwrap().len()
    }

    pub fn first(&self) -> String {
        self.seen.lock().unwrap()[0].clone()
    }
}

async fn converse(mut socket: TcpStream, log: &Mutex<Vec<String>>, turn: &AtomicUsize, replies: &[Reply]) {
    let mut text = Vec::new();
    loop {
        let mut buffer = [0; 4096];
        while !complete(&text) {
            match socket.read(&mut buffer).await {
                Ok(0) | Err(_) => return,
                Ok(length) => text.extend_from_slice(&buffer[..length]),
            }
        }
        log.lock()
            .unwrap()
            .push(String::from_utf8_lossy(&text).into_owned());
        text.clear();
        let turn = turn.fetch_add(1, Ordering::SeqCst).min(replies.len() - 1);
        match &replies[turn] {
            Reply::Text(answer) => socket.write_all(answer.as_bytes()).await.unwrap(),
            Reply::Torn(text) => return socket.write_all(text.as_bytes()).await.unwrap(),
            Reply::Drop => return,
            Reply::Silence => std::future::pending().await,
            Reply::Huge(length) => {
                let head = format!("HTTP/1.1 200 OK\r\nContent-Length: {length}\r\n\r\n");
                socket.write_all(head.as_bytes()).await.unwrap();
                // The client hangs up half way, which is the point.
                let _ = socket.write_all(&vec![b'x'; *length]).await;
            }
        }
    }
}

fn complete(text: &[u8]) -> bool {
    let text = String::from_utf8_lossy(text);
    let Some((head, body)) = text.split_once("\r\n\r\n") else {
        return false;
    };
    let length = head
        .lines()
        .find_map(|line| line.to_lowercase().strip_prefix("content-length: ")?.parse().ok());
    body.len() >= length.unwrap_or(0)
}
