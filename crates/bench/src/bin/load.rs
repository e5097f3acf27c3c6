//! Loads one address for a while and says what it saw in one line of JSON; holds calls and streams open; issues tokens.

use anyhow::Context as _;
use bench::issuer;
use bench::load::{self, Burst, Era, Hold, Work};
use clap::{Parser as _, Subcommand};
use std::io::Write as _;
use std::net::SocketAddr;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

#[derive(clap::Parser)]
struct Arguments {
    #[command(subcommand)]
    command: Command,
}

#[derive(Subcommand)]
enum Command {
    /// One burst of load.
    Run(Run),
    /// Calls that never end and streams that stay open, until killed.
    Hold(Holding),
    /// An issuer of access tokens, until killed.
    Issuer {
        #[arg(long)]
        listen: SocketAddr,
    },
}

#[derive(clap::Args)]
struct Run {
    #[arg(long)]
    address: SocketAddr,
    #[arg(long)]
    path: String,
    /// The tool to call; without it, `tools/list` is asked.
    #[arg(long)]
    tool: Option<String>,
    #[arg(long, value_enum, default_value = "stateless")]
    era: Era,
    #[arg(long, default_value_t = 1)]
    connections: u32,
    #[arg(long, default_value_t = 300)]
    warm_up_ms: u64,
    #[arg(long, default_value_t = 2000)]
    span_ms: u64,
    /// A file of access tokens, one per line, used in turn.
    #[arg(long)]
    tokens: PathBuf,
    /// Processes whose CPU and memory are read.
    #[arg(long)]
    watch: Vec<u32>,
}

#[derive(clap::Args)]
struct Holding {
    #[arg(long)]
    address: SocketAddr,
    /// A file with one line per endpoint: its path, a space, a token for it.
    #[arg(long)]
    endpoints: PathBuf,
    #[arg(long)]
    calls: usize,
    #[arg(long)]
    streams: usize,
}

#[tokio::main(flavor = "current_thread")]
async fn main() -> anyhow::Result<()> {
    match Arguments::parse().command {
        Command::Run(run) => {
            let report = load::run(burst(run)?).await?;
            say(&serde_json::to_string(&report)?)
        }
        Command::Hold(holding) => load::hold(hold(holding)?, || say("ready")).await,
        Command::Issuer { listen } => issuer::serve(listen, Arc::new(model::SystemClock::default())).await,
    }
}

fn burst(run: Run) -> anyhow::Result<Burst> {
    let tokens = std::fs::read_to_string(&run.tokens).context("failed to read the tokens")?;
    Ok(Burst {
        address: run.address,
        path: run.path,
        work: run.tool.map_or(Work::List, Work::Call),
        era: run.era,
        connections: run.connections,
        warm_up: Duration::from_millis(run.warm_up_ms),
        span: Duration::from_millis(run.span_ms),
        tokens: Arc::new(tokens.lines().map(str::to_owned).collect()),
        watch: run.watch,
    })
}

fn hold(holding: Holding) -> anyhow::Result<Hold> {
    let endpoints = std::fs::read_to_string(&holding.endpoints).context("failed to read the endpoints")?;
    let (paths, tokens) = endpoints
        .lines()
        .filter_map(|line| line.split_once(' '))
        .map(|(path, token)| (path.to_owned(), token.to_owned()))
        .unzip();
    Ok(Hold { address: holding.address, paths, tokens, calls: holding.calls, streams: holding.streams })
}

fn say(line: &str) -> anyhow::Result<()> {
    let mut out = std::io::stdout().lock();
    writeln!(out, "{line}")?;
    Ok(out.flush()?)
}
