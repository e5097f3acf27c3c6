//! A legacy login on loopback: it knows its opaque tokens, and says what they mean to whoever proves to be its client
//! (RFC 7662).

use bytes::Bytes;
use http::{Response, StatusCode, header};
use http_body_util::{BodyExt as _, Full};
use hyper_util::rt::TokioIo;
use serde_json::{Value, json};
use std::collections::BTreeMap;
use std::convert::Infallible;
use std::sync::{Arc, Mutex};
use tokio::net::TcpListener;

/// A running login; gone when dropped.
pub struct FakeLogin {
    url: String,
    state: Arc<Mutex<State>>,
    serving: tokio::task::JoinHandle<()>,
}

#[derive(Default)]
struct State {
    tokens: BTreeMap<String, Value>,
    down: bool,
    asked: Vec<String>,
}

impl FakeLogin {
    /// The client that may ask, and its secret.
    pub const CLIENT: (&'static str, &'static str) = ("gateway", "s3cret");

    /// Starts it, knowing no token.
    pub async fn start() -> Self {
        let listener = TcpListener::bind(("127.0.0.1", 0)).await.unwrap();
        let url = format!("http://{}", listener.local_addr().unwrap());
        let state: Arc<Mutex<State>> = Arc::default();
        let serving = tokio::spawn(serve(listener, Arc::clone(&state)));
        Self { url, state, serving }
    }

    /// Its name as an issuer.
    pub fn issuer(&self) -> &str {
        &self.url
    }

    /// Where it is asked.
    pub fn introspection(&self) -> String {
        format!("{}/introspect", self.url)
    }

    /// Knows a token from now on, and what it means.
    pub fn knows(&self, token: &str, meaning: Value) {
        self.state.lock().unwrap().tokens.insert(token.to_owned(), meaning);
    }

    /// Knows it no longer.
    pub fn forgets(&self, token: &str) {
        self.state.lock().unwrap().tokens.remove(token);
    }

    /// Answers 503 from now on, or no longer.
    pub fn down(&self, down: bool) {
        self.state.lock().unwrap().down = down;
    }

    /// What it was asked, body by body.
    pub fn asked(&self) -> Vec<String> {
        self.state.lock().unwrap().asked.clone()
    }
}

impl Drop for FakeLogin {
    fn drop(&mut self) {
        self.serving.abort();
    }
}

async fn serve(listener: TcpListener, state: Arc<Mutex<State>>) {
    loop {
        let Ok((stream, _)) = listener.accept().await else { return };
        let state = Arc::clone(&state);
        let service = hyper::service::service_fn(move |request: http::Request<hyper::body::Incoming>| {
            let state = Arc::clone(&state);
            async move {
                let (head, body) = request.into_parts();
                let body = body.collect().await.unwrap().to_bytes();
                let body = String::from_utf8_lossy(&body).into_owned();
                let credential = head.headers.get(header::AUTHORIZATION).cloned();
                Ok::<_, Infallible>(state.lock().unwrap().answer(credential.as_ref(), body))
            }
        });
        tokio::spawn(
            hyper::server::conn::http1::Builder::new().serve_connection(TokioIo::new(stream), service),
        );
    }
}

impl State {
    fn answer(&mut self, credential: Option<&http::HeaderValue>, body: String) -> Response<Full<Bytes>> {
        use base64::Engine as _;
        let (id, secret) = FakeLogin::CLIENT;
        let wanted =
            format!("Basic {}", base64::engine::general_purpose::STANDARD.encode(format!("{id}:{secret}")));
        let token =
            body.split('&').find_map(|pair| pair.strip_prefix("token=")).unwrap_or_default().to_owned();
        self.asked.push(body);
        let (status, answer) = if self.down {
            (StatusCode::SERVICE_UNAVAILABLE, json!({}))
        } else if credential.is_none_or(|given| given != wanted.as_str()) {
            (StatusCode::UNAUTHORIZED, json!({"error": "invalid_client"}))
        } else {
            (StatusCode::OK, self.tokens.get(&token).cloned().unwrap_or_else(|| json!({"active": false})))
        };
        Response::builder()
            .status(status)
            .header(header::CONTENT_TYPE, "application/json")
            .body(Full::new(Bytes::from(answer.to_string())))
            .unwrap()
    }
}
