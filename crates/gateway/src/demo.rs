//! A whole gateway on loopback, in one process: four people who sign in, a client and an agent, four MCP servers (one of
//! them misbehaves), real policies, a real record. Every call takes the way it would in production: real HTTP, real
//! tokens, real decisions.

mod caller;
mod folder;
mod people;
mod real;
mod selftest;
mod server;
mod snippets;
mod staff;
mod tools;
mod trust;
mod visitor;

pub(crate) use real::RealServers;
pub(crate) use selftest::Step;
pub(crate) use snippets::snippets;

use crate::aside::Answer;
use crate::compose::{Gateway, Options};
use crate::{StartError, aside, config};
use futures_util::FutureExt as _;
use model::Limits;
use net::listen::{self, Listener};
use people::PEOPLE;
use staff::Staff;
use std::net::{Ipv4Addr, SocketAddr};
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;
use tokio::task::JoinHandle;
use tools::Shop;
use trust::Trust;

/// The demo failed.
#[derive(Debug, thiserror::Error)]
pub(crate) enum DemoError {
    /// The gateway did not start.
    #[error(transparent)]
    Start(#[from] StartError),
    /// A file, a socket or the terminal.
    #[error("{what}")]
    Io {
        /// What was being done.
        what: String,
        /// Why it failed.
        #[source]
        source: std::io::Error,
    },
    /// The demo's people could not be registered.
    #[error("register the demo's people: {0}")]
    Staff(String),
    /// A real server is not installed.
    #[error("{0}")]
    NotInstalled(String),
    /// The gateway did not become ready.
    #[error("the gateway did not become ready: {0}")]
    NotReady(String),
    /// A call of the self-test could not be made.
    #[error("a call of the self-test failed: {0}")]
    Call(String),
}

/// A running demo.
pub(crate) struct Demo {
    gateway: Gateway,
    staff: Staff,
    folder: PathBuf,
    config: PathBuf,
    real: bool,
    tasks: Vec<JoinHandle<listen::Drained>>,
}

impl Demo {
    /// Starts everything, with its data in `folder`.
    ///
    /// # Errors
    /// [`DemoError`]
    pub(crate) async fn start(
        folder: &Path,
        port: u16,
        real: Option<&RealServers>,
    ) -> Result<Self, DemoError> {
        let (listener, shops_address) = bind().await?;
        let shops: Arc<[Shop]> = Shop::all().into();
        let trust = Arc::new(Trust::default());
        let trusted = Arc::clone(&trust);
        let answer: Answer = Arc::new(move |request| {
            let (shops, trust) = (Arc::clone(&shops), Arc::clone(&trusted));
            async move { server::route(&shops, &trust, request).await }.boxed()
        });
        let tasks = vec![tokio::spawn(aside::serve(listener, answer, std::future::pending().boxed()))];

        let config = folder::furnish(folder, free_or_any(port).await, shops_address, real)?;
        let settings = config::load(&config).map_err(StartError::from)?;
        crate::telemetry::start(&settings.log);
        let gateway = Gateway::start_with(&config, settings, Options::default()).await?;
        trust.tell(gateway.public_url(), &format!("http://{shops_address}/payments"));
        gateway.ready(READY).await.map_err(|health| DemoError::NotReady(health.to_json().to_string()))?;
        let issuer = gateway.issuer().ok_or_else(|| DemoError::Staff("nobody signs in here".to_owned()))?;
        let staff = staff::hire(issuer).await?;
        Ok(Self { gateway, staff, folder: folder.to_owned(), config, real: real.is_some(), tasks })
    }

    /// The URL of the shared endpoint.
    pub(crate) fn url(&self) -> String {
        format!("{}/mcp", self.gateway.public_url())
    }

    /// The gateway's own URL, where people sign in.
    pub(crate) fn base(&self) -> &str {
        self.gateway.public_url()
    }

    /// Where health and metrics are served.
    pub(crate) fn admin(&self) -> SocketAddr {
        self.gateway.admin_address()
    }

    /// Where the demo keeps its data.
    pub(crate) fn folder(&self) -> &Path {
        &self.folder
    }

    /// The configuration file the demo runs on.
    pub(crate) fn config(&self) -> &Path {
        &self.config
    }

    /// The people: what they type to sign in, and their roles.
    pub(crate) fn people(&self) -> Vec<(&'static str, String)> {
        PEOPLE.iter().map(|person| (person.user, person.roles.join(", "))).collect()
    }

    /// Everybody's password.
    pub(crate) fn password(&self) -> &str {
        &self.staff.password
    }

    /// Makes the calls that show what the gateway does.
    ///
    /// # Errors
    /// [`DemoError::Call`] when a call could not be made at all; what came out otherwise is in the steps.
    pub(crate) async fn self_test(&self) -> Result<Vec<Step>, DemoError> {
        selftest::run(self).await
    }

    /// The running gateway.
    #[cfg(test)]
    pub(crate) fn gateway(&self) -> &Gateway {
        &self.gateway
    }

    /// The running gateway, to be driven by its lifecycle.
    pub(crate) fn into_gateway(self) -> (Gateway, impl Drop) {
        let Self { gateway, tasks, .. } = self;
        (gateway, Others(tasks))
    }
}

/// The demo's other listeners; they end with the value.
struct Others(Vec<JoinHandle<listen::Drained>>);

impl Drop for Others {
    fn drop(&mut self) {
        self.0.iter().for_each(JoinHandle::abort);
    }
}

async fn bind() -> Result<(Listener, SocketAddr), DemoError> {
    let failed = |source| DemoError::Io { what: "listen on loopback".to_owned(), source };
    let address = SocketAddr::from((Ipv4Addr::LOCALHOST, 0));
    let listener =
        Listener::bind(listen::Config::new(address, &Limits::default()), None).await.map_err(failed)?;
    let address = listener.address().map_err(failed)?;
    Ok((listener, address))
}

/// The port if nobody has it, else 0 for any.
async fn free_or_any(port: u16) -> u16 {
    let address = SocketAddr::from((Ipv4Addr::LOCALHOST, port));
    match Listener::bind(listen::Config::new(address, &Limits::default()), None).await {
        Ok(_) => port,
        Err(_) => 0,
    }
}

/// How long the first discovery and the issuer's keys may take.
const READY: Duration = Duration::from_secs(60);

#[cfg(test)]
mod tests;
