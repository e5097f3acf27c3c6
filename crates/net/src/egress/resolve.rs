//! What addresses a name has.

use futures_util::FutureExt as _;
use futures_util::future::BoxFuture;
use std::io;
use std::net::SocketAddr;

/// Looks names up. What it answers is judged by whoever asked, each time.
pub trait Resolve: Send + Sync {
    /// The addresses of `host`, each with `port`; none is an answer too.
    ///
    /// # Errors
    /// The name could not be looked up.
    fn resolve<'a>(&'a self, host: &'a str, port: u16) -> BoxFuture<'a, io::Result<Vec<SocketAddr>>>;
}

/// The operating system (`getaddrinfo`), off the runtime's threads.
pub(super) struct System;

impl Resolve for System {
    fn resolve<'a>(&'a self, host: &'a str, port: u16) -> BoxFuture<'a, io::Result<Vec<SocketAddr>>> {
        async move { Ok(tokio::net::lookup_host((host, port)).await?.collect()) }.boxed()
    }
}
