//! The floor as a program; see `bench::floor`.

use anyhow::Context as _;
use bench::floor::{Config, serve};
use clap::Parser as _;
use std::net::SocketAddr;
use std::path::PathBuf;
use std::sync::Arc;

// The gateway's own allocator, so that the difference is the gateway.
#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;

#[derive(clap::Parser)]
struct Arguments {
    #[arg(long)]
    listen: SocketAddr,
    /// The MCP server to forward to, with its path.
    #[arg(long)]
    upstream: http::Uri,
    /// A file of the tokens that are let in, one per line.
    #[arg(long)]
    tokens: PathBuf,
    /// Where the record goes.
    #[arg(long)]
    record: PathBuf,
}

fn main() -> anyhow::Result<()> {
    let arguments = Arguments::parse();
    let tokens = std::fs::read_to_string(&arguments.tokens).context("failed to read the tokens")?;
    let config = Config {
        listen: arguments.listen,
        upstream: arguments.upstream,
        tokens: tokens.lines().map(str::to_owned).collect(),
        record: arguments.record,
    };
    // The gateway's own choice: one thread does everything if there is one core.
    let mut runtime = match std::thread::available_parallelism()?.get() {
        1 => tokio::runtime::Builder::new_current_thread(),
        _ => tokio::runtime::Builder::new_multi_thread(),
    };
    runtime.enable_all().build()?.block_on(async {
        let stop = async {
            tokio::signal::ctrl_c().await.unwrap_or_default();
        };
        serve(config, Arc::new(model::SystemClock::default()), Arc::new(model::SystemDice), stop).await
    })
}
