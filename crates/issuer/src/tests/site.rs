//! A web site that publishes documents, over a real socket.

use http::{Request, Response};
use hyper::body::Incoming;
use net::Body;
use net::listen::{Config, Listener};
use std::collections::HashMap;
use std::sync::{Arc, Mutex};

/// What a path answers: status, a header, a body.
type Page = (u16, Option<(&'static str, String)>, String);

/// A site; it ends when it is dropped.
pub(super) struct Site {
    pub(super) origin: String,
    pages: Arc<Mutex<HashMap<String, Page>>>,
    asked: Arc<Mutex<HashMap<String, u32>>>,
    pause: Arc<Mutex<std::time::Duration>>,
    serving: tokio::task::JoinHandle<()>,
}

impl Site {
    pub(super) async fn open() -> Self {
        let limits = model::Limits::default();
        let config = Config::new("127.0.0.1:0".parse().unwrap(), &limits);
        let listener = Listener::bind(config, None).await.unwrap();
        let origin = format!("http://{}", listener.address().unwrap());
        let pages: Arc<Mutex<HashMap<String, Page>>> = Arc::default();
        let asked: Arc<Mutex<HashMap<String, u32>>> = Arc::default();
        let (shown, count) = (Arc::clone(&pages), Arc::clone(&asked));
        let pause: Arc<Mutex<std::time::Duration>> = Arc::default();
        let before = Arc::clone(&pause);
        let answer = move |request: Request<Incoming>, _| {
            *count.lock().unwrap().entry(request.uri().path().to_owned()).or_default() += 1;
            let pause = *before.lock().unwrap();
            let page = shown.lock().unwrap().get(request.uri().path()).cloned();
            let (status, header, body) = page.unwrap_or((404, None, String::new()));
            let mut response = Response::builder().status(status);
            if let Some((name, value)) = header {
                response = response.header(name, value);
            }
            let response = response.body(Body::full(body)).unwrap();
            async move {
                tokio::time::sleep(pause).await;
                response
            }
        };
        let serving = tokio::spawn(async move {
            listener.serve(answer, std::future::pending::<()>()).await;
        });
        Self { origin, pages, asked, pause, serving }
    }

    pub(super) fn url(&self, path: &str) -> String {
        format!("{}{path}", self.origin)
    }

    pub(super) fn put(&self, path: &str, page: (u16, Option<(&'static str, String)>, String)) {
        self.pages.lock().unwrap().insert(path.to_owned(), page);
    }

    /// From now on it takes so long to answer.
    pub(super) fn pauses(&self, pause: std::time::Duration) {
        *self.pause.lock().unwrap() = pause;
    }

    pub(super) fn asked(&self) -> u32 {
        self.asked.lock().unwrap().values().sum()
    }

    /// How often a path was asked for.
    pub(super) fn asked_for(&self, path: &str) -> u32 {
        self.asked.lock().unwrap().get(path).copied().unwrap_or_default()
    }

    /// From now on nobody answers.
    pub(super) fn close(&self) {
        self.serving.abort();
    }
}

impl Drop for Site {
    fn drop(&mut self) {
        self.serving.abort();
    }
}
