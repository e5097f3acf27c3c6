//! An identity provider on loopback that signs whatever it is asked to.

mod key;
mod sign_in;
mod token;

pub use key::Key;
pub use token::Token;

use bytes::Bytes;
use http::{Response, StatusCode, header};
use http_body_util::{BodyExt as _, Full};
use hyper_util::rt::TokioIo;
use model::Clock;
use serde_json::{Value, json};
use std::convert::Infallible;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};
use tokio::net::TcpListener;

/// A running provider; gone when dropped.
pub struct FakeIdp {
    url: String,
    house: Arc<House>,
    clock: Arc<dyn Clock>,
    serving: tokio::task::JoinHandle<()>,
}

struct House {
    url: String,
    /// The issuer that its metadata names.
    named: Mutex<String>,
    keys: Mutex<Vec<Key>>,
    down: AtomicBool,
    key_fetches: AtomicUsize,
    generation: AtomicUsize,
    clock: Arc<dyn Clock>,
    /// What it does when somebody signs in.
    door: Mutex<sign_in::Door>,
}

impl FakeIdp {
    /// A provider with one key of each kind, whose tokens are made at the time of `clock`.
    pub async fn start(clock: Arc<dyn Clock>) -> Self {
        let listener = TcpListener::bind(("127.0.0.1", 0)).await.unwrap();
        let url = format!("http://{}", listener.local_addr().unwrap());
        let house = Arc::new(House {
            url: url.clone(),
            named: Mutex::new(url.clone()),
            keys: Mutex::new(Key::one_of_each(1)),
            down: AtomicBool::new(false),
            key_fetches: AtomicUsize::new(0),
            generation: AtomicUsize::new(1),
            clock: Arc::clone(&clock),
            door: Mutex::default(),
        });
        let serving = tokio::spawn(serve(listener, Arc::clone(&house)));
        Self { url, house, clock, serving }
    }

    /// The `iss` of its tokens.
    pub fn issuer(&self) -> &str {
        &self.url
    }

    /// The published key that signs with `algorithm` (`ES256`, `RS256`, `EdDSA`).
    pub fn key(&self, algorithm: &str) -> Key {
        self.house.keys.lock().unwrap().iter().find(|key| key.algorithm() == algorithm).unwrap().clone()
    }

    /// A good ES256 token of `user` for `audience`, to be changed before it is signed.
    pub fn token(&self, user: &str, audience: &str) -> Token {
        Token::new(self.key("ES256"), &self.url, user, audience, self.clock.now())
    }

    /// Replaces every key: what was signed before no longer verifies once the keys are fetched again.
    pub fn rotate(&self) {
        let generation = self.house.generation.fetch_add(1, Ordering::SeqCst) + 1;
        *self.house.keys.lock().unwrap() = Key::one_of_each(generation);
    }

    /// Answers 503 from now on, or no longer.
    pub fn down(&self, down: bool) {
        self.house.down.store(down, Ordering::SeqCst);
    }

    /// Its metadata names another issuer from now on.
    pub fn names_itself(&self, issuer: &str) {
        issuer.clone_into(&mut self.house.named.lock().unwrap());
    }

    /// How often its keys were fetched.
    pub fn key_fetches(&self) -> usize {
        self.house.key_fetches.load(Ordering::SeqCst)
    }
}

impl Drop for FakeIdp {
    fn drop(&mut self) {
        self.serving.abort();
    }
}

async fn serve(listener: TcpListener, house: Arc<House>) {
    loop {
        let Ok((stream, _)) = listener.accept().await else { return };
        let house = Arc::clone(&house);
        let service = hyper::service::service_fn(move |request: http::Request<hyper::body::Incoming>| {
            let house = Arc::clone(&house);
            async move {
                let (head, body) = request.into_parts();
                let body = body.collect().await.map(http_body_util::Collected::to_bytes).unwrap_or_default();
                Ok::<_, Infallible>(house.respond(&head, &body))
            }
        });
        tokio::spawn(
            hyper::server::conn::http1::Builder::new().serve_connection(TokioIo::new(stream), service),
        );
    }
}

impl House {
    fn respond(&self, head: &http::request::Parts, body: &[u8]) -> Response<Full<Bytes>> {
        let path = head.uri.path();
        if self.down.load(Ordering::SeqCst) {
            return reply(StatusCode::SERVICE_UNAVAILABLE, &json!({"error": "temporarily_unavailable"}));
        }
        match path {
            "/.well-known/openid-configuration" | "/.well-known/oauth-authorization-server" => reply(
                StatusCode::OK,
                &self.metadata(json!({
                    "issuer": *self.named.lock().unwrap(),
                    "jwks_uri": format!("{}/jwks", self.url),
                    "authorization_endpoint": format!("{}/authorize", self.url),
                    "token_endpoint": format!("{}/token", self.url),
                    "response_types_supported": ["code"],
                    "subject_types_supported": ["public"],
                    "id_token_signing_alg_values_supported": ["ES256", "RS256", "EdDSA"],
                    "code_challenge_methods_supported": ["S256"],
                    "userinfo_endpoint": format!("{}/userinfo", self.url),
                })),
            ),
            "/authorize" => self.authorize(head.uri.query().unwrap_or_default()),
            "/token" => self.redeem(body),
            "/userinfo" => reply(StatusCode::OK, &self.userinfo()),
            "/jwks" => {
                self.key_fetches.fetch_add(1, Ordering::SeqCst);
                let keys: Vec<Value> = self.keys.lock().unwrap().iter().map(Key::public).collect();
                reply(StatusCode::OK, &json!({"keys": keys}))
            }
            _ => reply(StatusCode::NOT_FOUND, &json!({})),
        }
    }
}

fn reply(status: StatusCode, body: &Value) -> Response<Full<Bytes>> {
    Response::builder()
        .status(status)
        .header(header::CONTENT_TYPE, "application/json")
        .body(Full::new(Bytes::from(body.to_string())))
        .unwrap()
}
