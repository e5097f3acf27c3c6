//! `portunus admin token`: an operator's token for whoever can read the key files, for ten minutes and on record.

use super::ConfigFile;
use super::exit::Failure;
use super::out::Out;
use crate::config;
use crate::identity::Identity;
use model::{Clock, Dice, SystemClock, SystemDice};
use std::sync::Arc;

/// What is done with the gateway's own files, beside a running gateway or without one.
#[derive(Debug, clap::Subcommand)]
pub(super) enum Command {
    /// Prints an operator's token for the admin API, good for ten minutes. Its making is on record.
    Token(ConfigFile),
}

pub(super) fn run(command: &Command, out: &mut Out) -> Result<(), Failure> {
    let Command::Token(file) = command;
    let settings = config::load(&file.config)?;
    let refused = |text: &str| Failure::Found(text.to_owned());
    let Some(api) = &settings.admin_api else {
        return Err(refused("the configuration has no section `admin_api`"));
    };
    if settings.authorization_server.is_none() {
        return Err(refused("without `authorization_server` the gateway takes no token of its own keys"));
    }
    if settings.listen.public_url.is_none() && settings.listen.address.port() == 0 {
        return Err(refused(
            "the listener takes a free port: name its `listen.public_url`, for which the token is made",
        ));
    }
    let public_url = settings.public_url(settings.listen.address);
    let (clock, dice): (Arc<dyn Clock>, Arc<dyn Dice>) =
        (Arc::new(SystemClock::default()), Arc::new(SystemDice));
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
    let token = runtime.block_on(async {
        let opened = Identity::open(&settings, &clock, &dice).await.map_err(crate::StartError::from)?;
        let identity = opened.ok_or_else(|| refused("the configuration has no database"))?;
        let maker = format!("uid {} on {}", rustix::process::getuid().as_raw(), host());
        let minted =
            admin::mint(&identity.db, &identity.keys, api, &public_url, &maker, (&*clock, &*dice)).await;
        let minted = minted.map_err(|error| Failure::Found(format!("no token: {error}")));
        identity.db.close().await;
        minted
    })?;
    Ok(out.line(token)?)
}

fn host() -> String {
    rustix::system::uname().nodename().to_string_lossy().into_owned()
}
