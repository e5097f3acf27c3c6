//! Listeners beside the one for clients: admin, and those of the demo. They share one compiled server, since
//! nobody waits for them and code is memory.

use futures_util::future::BoxFuture;
use http::{Request, Response};
use hyper::body::Incoming;
use net::Body;
use net::listen::{Drained, Listener};
use std::sync::Arc;

/// Answers one request.
pub(crate) type Answer = Arc<dyn Fn(Request<Incoming>) -> BoxFuture<'static, Response<Body>> + Send + Sync>;

/// Serves until `stop`.
pub(crate) async fn serve(listener: Listener, answer: Answer, stop: BoxFuture<'static, ()>) -> Drained {
    listener.serve(move |request, _| answer(request), stop).await
}
