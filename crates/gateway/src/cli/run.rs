//! `portunus run`.

use super::ConfigFile;
use super::exit::Failure;
use crate::compose::{Gateway, Options};
use crate::lifecycle::{Signals, live};
use crate::{config, telemetry};
use tokio::runtime::{Builder, Runtime};

#[derive(Debug, clap::Args)]
pub(super) struct Arguments {
    #[command(flatten)]
    file: ConfigFile,
}

pub(super) fn run(arguments: &Arguments) -> Result<(), Failure> {
    let settings = config::load(&arguments.file.config)?;
    telemetry::start(&settings.log);
    runtime(settings.workers)?.block_on(async {
        let signals = Signals::catch()?;
        let gateway = Gateway::start_with(&arguments.file.config, settings, Options::default()).await?;
        live(gateway, signals).await;
        Ok(())
    })
}

/// The runtime of a gateway: one thread does everything if there is one core or one worker.
pub(super) fn runtime(workers: Option<u16>) -> std::io::Result<Runtime> {
    let cores = || std::thread::available_parallelism().map_or(1, usize::from);
    match workers.map_or_else(cores, usize::from) {
        1 => Builder::new_current_thread().enable_all().build(),
        many => Builder::new_multi_thread().worker_threads(many).enable_all().build(),
    }
}
