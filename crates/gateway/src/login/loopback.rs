//! The loopback address that the browser comes back to (RFC 8252 §7.3): one answer is taken, and it must carry our state.

use super::LoginError;
use std::collections::HashMap;
use std::time::Duration;
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::{TcpListener, TcpStream};

/// A listener that waits for the browser.
pub(super) struct Loopback {
    listener: TcpListener,
    /// Where the browser is to come back to.
    pub(super) redirect_uri: String,
}

impl Loopback {
    pub(super) async fn open() -> Result<Self, LoginError> {
        let listener = TcpListener::bind(("127.0.0.1", 0)).await?;
        let redirect_uri = format!("http://127.0.0.1:{}{PATH}", listener.local_addr()?.port());
        Ok(Self { listener, redirect_uri })
    }

    /// The code that comes back. Requests without our state are answered and forgotten: anything on this machine may send
    /// them, and the right one is still to come.
    pub(super) async fn code(&self, state: &str, issuer: &str) -> Result<String, LoginError> {
        loop {
            let (mut stream, _) = self.listener.accept().await?;
            let Ok(Some(query)) = tokio::time::timeout(HEAD_PATIENCE, read(&mut stream)).await else {
                continue;
            };
            let mut answer: HashMap<String, String> = HashMap::new();
            let mut twice = false;
            for (name, value) in form_urlencoded::parse(query.as_bytes()) {
                twice |= answer.insert(name.into_owned(), value.into_owned()).is_some();
            }
            // SECURITY: the state binds the answer to this login; `iss` says whose it is (RFC 9207; test:
            // `an_answer_with_another_state_or_issuer_is_not_taken`).
            if twice || answer.get("state").map(String::as_str) != Some(state) {
                say(&mut stream, "400 Bad Request", "This is not the answer to this login.").await;
                continue;
            }
            if answer.get("iss").map(String::as_str) != Some(issuer) {
                say(&mut stream, "400 Bad Request", "This answer is of another gateway.").await;
                return Err(LoginError::Answer("it is of another authorization server".into()));
            }
            if let Some(code) = answer.remove("code") {
                say(&mut stream, "200 OK", "You are signed in. You can close this page.").await;
                return Ok(code);
            }
            say(&mut stream, "200 OK", "You are not signed in. You can close this page.").await;
            let word = answer.remove("error").unwrap_or_else(|| "no code came back".into());
            let why = answer.remove("error_description").map(|why| format!(" ({why})")).unwrap_or_default();
            return Err(LoginError::Refused(format!("{word}{why}")));
        }
    }
}

/// The query of a GET of our path.
async fn read(stream: &mut TcpStream) -> Option<String> {
    let mut head = Vec::new();
    while !head.windows(4).any(|four| four == b"\r\n\r\n") {
        let mut some = [0; 1024];
        let count = stream.read(&mut some).await.ok().filter(|count| *count > 0)?;
        head.extend_from_slice(some.get(..count)?);
        if head.len() > HEAD_BYTES {
            return None;
        }
    }
    let text = String::from_utf8(head).ok()?;
    let target = text.lines().next()?.strip_prefix("GET ")?.split(' ').next()?;
    let (path, query) = target.split_once('?')?;
    (path == PATH).then(|| query.to_owned())
}

async fn say(stream: &mut TcpStream, status: &str, text: &str) {
    let body = format!("<!doctype html><meta charset=utf-8><title>Portunus</title><p>{text}</p>");
    let answer = format!(
        "HTTP/1.1 {status}\r\ncontent-type: text/html; charset=utf-8\r\ncontent-length: {}\r\n\
         cache-control: no-store\r\ncontent-security-policy: default-src 'none'\r\nconnection: close\r\n\r\n{body}",
        body.len()
    );
    // The browser may be gone; the code is here all the same.
    let _ = stream.write_all(answer.as_bytes()).await;
    let _ = stream.shutdown().await;
}

const PATH: &str = "/callback";
const HEAD_PATIENCE: Duration = Duration::from_secs(5);
const HEAD_BYTES: usize = 16 << 10;
