//! What identity costs a call, measured in process: one line of JSON.

use anyhow::Context as _;
use clap::Parser as _;
use std::io::Write as _;

#[derive(clap::Parser)]
struct Arguments {
    /// How often each is done.
    #[arg(long, default_value_t = 20_000)]
    times: u32,
}

#[tokio::main(flavor = "current_thread")]
async fn main() -> anyhow::Result<()> {
    let arguments = Arguments::parse();
    let measured = bench::identity::measure(arguments.times).await?;
    let line = serde_json::to_string(&measured)?;
    writeln!(std::io::stdout(), "{line}").context("failed to print")
}
