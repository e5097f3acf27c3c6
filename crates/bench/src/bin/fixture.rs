//! The fixture server as a program; see `bench::fixture`.

use clap::Parser as _;

// One thread: in the bench the fixture shares a core with the load generator.
#[tokio::main(flavor = "current_thread")]
async fn main() -> anyhow::Result<()> {
    bench::fixture::run(bench::fixture::Options::parse()).await
}
