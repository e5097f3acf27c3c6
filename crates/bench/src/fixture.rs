//! The fixture: an MCP server of both eras that the conformance suite and the tests call.
//!
//! In come HTTP requests on `/mcp` (or lines on standard input), out go the answers that the official
//! conformance suite expects of a server (`npm @modelcontextprotocol/conformance`). It is written on hyper and
//! `serde_json` alone and shares no line with `protocol`, so that the two check each other. With `--bench` or
//! `--servers` its answers cost next to nothing instead. Nothing here is hardened: loopback only.
//!
//! Specified in <https://modelcontextprotocol.io/specification/2026-07-28> (stateless) and
//! <https://modelcontextprotocol.io/specification/2025-11-25> (session).

mod call;
mod completions;
mod crowd;
mod events;
mod http;
mod input;
mod methods;
mod prompts;
mod resources;
mod session;
mod state;
mod stateless;
mod stdio;
#[cfg(test)]
mod tests;
mod tools;

use std::net::SocketAddr;
use std::sync::Arc;

use anyhow::Context as _;
use serde_json::{Value, json};
use tokio::net::TcpListener;

use crowd::Crowd;
use state::House;

/// Which eras the fixture speaks.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Default, clap::ValueEnum)]
pub enum Eras {
    /// Both, on one endpoint.
    #[default]
    Both,
    /// 2025-11-25 and older: `initialize` and a session.
    Session,
    /// 2026-07-28 only.
    Stateless,
}

impl Eras {
    fn session(self) -> bool {
        self != Self::Stateless
    }

    fn stateless(self) -> bool {
        self != Self::Session
    }
}

/// What the fixture plays, from its command line.
#[derive(Clone, Debug, clap::Parser)]
#[command(name = "fixture", about = "An MCP server to test against; never for anything else.")]
pub struct Options {
    /// Where to listen. Port 0 picks a free one; the URL is the first line on standard output.
    #[arg(long, default_value = "127.0.0.1:0")]
    pub address: SocketAddr,
    /// Which eras to speak.
    #[arg(long, value_enum, default_value_t)]
    pub era: Eras,
    /// Speak on standard input and output instead of HTTP.
    #[arg(long, conflicts_with_all = ["bench", "servers"])]
    pub stdio: bool,
    /// Answer instantly as one server with cheap tools, on `/mcp`.
    #[arg(long)]
    pub bench: bool,
    /// Answer instantly as this many servers, on `/s/<n>/mcp`.
    #[arg(long)]
    pub servers: Option<usize>,
    /// Tools of each cheap server.
    #[arg(long, default_value_t = 40)]
    pub tools: usize,
}

/// Serves until the process is told to stop, or until standard input ends with `--stdio`.
///
/// # Errors
/// When the address cannot be bound or standard input cannot be read.
pub async fn run(options: Options) -> anyhow::Result<()> {
    if options.stdio {
        return stdio::serve(House::new(options.era)?).await;
    }
    let listener = TcpListener::bind(options.address).await.context("binding the fixture's address")?;
    let address = listener.local_addr().context("reading the bound address")?;
    announce(&format!("http://{address}/mcp"))?;
    if options.bench || options.servers.is_some() {
        let crowd = Arc::new(Crowd::new(options.servers.unwrap_or(0), options.tools));
        return http::accept(listener, move |request| crowd.clone().answer(request)).await;
    }
    serve(listener, options.era).await
}

/// Serves on a listener that is already bound; never returns while the listener works.
///
/// # Errors
/// When the listener fails.
pub async fn serve(listener: TcpListener, eras: Eras) -> anyhow::Result<()> {
    let house = House::new(eras)?;
    http::accept(listener, move |request| http::answer(house.clone(), request)).await
}

/// Prints one line on standard output.
fn announce(line: &str) -> anyhow::Result<()> {
    use std::io::Write as _;
    let mut out = std::io::stdout().lock();
    writeln!(out, "{line}").and_then(|()| out.flush()).context("writing to standard output")
}

/// The newest revision, the only stateless one.
const STATELESS: &str = "2026-07-28";
/// The session revisions, newest first.
const SESSION: [&str; 3] = ["2025-11-25", "2025-06-18", "2025-03-26"];

/// Prefix of the protocol's own `_meta` keys.
const META: &str = "io.modelcontextprotocol/";

fn server_info() -> Value {
    json!({"name": "portunus-fixture", "version": env!("CARGO_PKG_VERSION")})
}

fn capabilities(stateless: bool) -> Value {
    let mut all = json!({
        "tools": {"listChanged": true},
        "prompts": {"listChanged": true},
        "resources": {"listChanged": true, "subscribe": true},
        "completions": {},
    });
    if let (false, Some(all)) = (stateless, all.as_object_mut()) {
        all.insert("logging".into(), json!({}));
    }
    all
}
