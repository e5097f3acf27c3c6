//! `portunus keys`: at a gateway that is named, or in the database of a configuration.

use super::local_keys;
use crate::cli::api::client::encoded;
use crate::cli::api::{Place, Verb, ask};
use crate::cli::exit::Failure;
use crate::cli::out::Out;
use std::path::PathBuf;

/// Lists, rotates and revokes the keys that sign the gateway's tokens.
#[derive(Debug, clap::Args)]
pub(crate) struct Keys {
    #[command(flatten)]
    place: Place,
    /// The configuration whose database is meant where no gateway is named. A running gateway follows within a second.
    #[arg(long, short, global = true, value_name = "FILE", default_value = "portunus.yaml")]
    config: PathBuf,
    #[command(subcommand)]
    verb: KeysVerb,
}

#[derive(Debug, clap::Subcommand)]
pub(super) enum KeysVerb {
    /// Every key there is or was, the newest first.
    List,
    /// The next key signs from now on, and another one is published to follow it.
    Rotate {
        /// Even if the next key was published so lately that some may not know it yet.
        #[arg(long)]
        force: bool,
    },
    /// Takes a key out of use at once, and with it every token that it signed. If it was the one that signs, the next one does.
    Revoke {
        /// Its id.
        key: String,
    },
}

impl Keys {
    pub(super) fn run(&self, out: &mut Out) -> Result<(), Failure> {
        if self.place.gateway.is_none() {
            return local_keys::run(&self.verb, &self.config, self.place.json, out);
        }
        let verb = match &self.verb {
            KeysVerb::List => Verb::list("/keys", COLUMNS),
            KeysVerb::Rotate { force } => {
                Verb::act("/keys/rotate", "the next key signs").asking("force", force.then_some("true"))
            }
            KeysVerb::Revoke { key } => Verb::act(format!("/keys/{}/revoke", encoded(key)), "revoked"),
        };
        ask(&self.place, verb, out)
    }
}

const COLUMNS: &[(&str, &str)] = &[
    ("KEY", "id"),
    ("STATE", "state"),
    ("PUBLISHED", "created_at"),
    ("SIGNS SINCE", "activated_at"),
    ("SIGNED UNTIL", "retired_at"),
    ("GONE SINCE", "ended_at"),
];
