//! How a message gets to a server whose words all come on one stream: through a child's stdin, or by POST beside an event
//! stream.

use super::call::Refusal;
use super::pair::Pair;
use bytes::Bytes;
use futures_util::FutureExt as _;
use futures_util::future::BoxFuture;
use http::HeaderMap;
use protocol::frame;
use std::sync::{Arc, Weak};
use tokio::sync::mpsc;

/// The way, as long as the link lives.
pub(super) enum Way {
    Pipes(mpsc::Sender<Bytes>),
    Pair(Arc<Pair>),
}

/// The way back for an answer to the server's own question. Keeps nothing alive.
#[derive(Clone)]
pub(super) enum Back {
    Pipes(mpsc::WeakSender<Bytes>),
    Pair(Weak<Pair>),
}

/// A message on its way: ready when the server has taken it, or has refused it.
pub(super) type Going = BoxFuture<'static, Result<(), Refusal>>;

impl Way {
    /// Sends a request. Its answer may come while it is still going: some servers work before they take.
    ///
    /// # Errors
    /// Nothing, when the link is gone.
    pub(super) async fn send(&self, message: Bytes, headers: HeaderMap) -> Option<Going> {
        match self {
            Self::Pipes(out) => {
                out.send(frame::one_line(message)).await.ok()?;
                Some(std::future::ready(Ok(())).boxed())
            }
            Self::Pair(pair) => {
                let pair = Arc::clone(pair);
                Some(async move { pair.post(headers, message).await }.boxed())
            }
        }
    }

    /// Sends a notification or a response, if there is room, without waiting for it.
    pub(super) fn say(&self, message: Bytes) {
        match self {
            Self::Pipes(out) => {
                if out.try_send(frame::one_line(message)).is_err() {
                    tracing::debug!("a child does not read; a message to it is lost");
                }
            }
            Self::Pair(pair) => pair.send_later(message),
        }
    }
}

impl Back {
    /// Sends an answer without waiting for it.
    pub(super) fn say(&self, message: Bytes) {
        let way = match self {
            Self::Pipes(out) => out.upgrade().map(Way::Pipes),
            Self::Pair(pair) => pair.upgrade().map(Way::Pair),
        };
        if let Some(way) = way {
            way.say(message);
        }
    }
}
