//! Simulated MCP servers and a token issuer on one port.

use bench::swarm::{Size, serve};
use clap::Parser as _;
use std::net::SocketAddr;
use std::sync::Arc;

#[derive(clap::Parser)]
struct Arguments {
    /// Where to listen.
    #[arg(long)]
    listen: SocketAddr,
    /// How many servers to be.
    #[arg(long, default_value_t = 1)]
    servers: u32,
    /// How many tools each has.
    #[arg(long, default_value_t = 40)]
    tools: u32,
}

#[tokio::main(flavor = "current_thread")]
async fn main() -> anyhow::Result<()> {
    let arguments = Arguments::parse();
    let size = Size { servers: arguments.servers, tools: arguments.tools };
    serve(arguments.listen, size, Arc::new(model::SystemClock::default())).await
}
