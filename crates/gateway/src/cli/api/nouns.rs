//! The nouns: what is sent for each verb, and what is shown.

mod agents;
mod contracts;
mod grants;
mod keys;
mod local_keys;
mod people;
mod revocations;

use crate::cli::exit::Failure;
use crate::cli::out::Out;
use clap::Subcommand;

/// A noun and its verb.
#[derive(Debug, Subcommand)]
pub(crate) enum Noun {
    /// Lists, changes, disables and enables people.
    People(people::People),
    /// Makes local accounts and links that set their passwords.
    Accounts(people::Accounts),
    /// Lists and ends sessions of browsers.
    Sessions(people::Sessions),
    /// Lists and withdraws consents.
    Consents(people::Consents),
    /// Lists, blocks and unblocks OAuth clients.
    Clients(people::Clients),
    /// Lists tenants and their providers.
    Tenants(people::Tenants),
    /// Registers, changes and stops agents.
    Agents(agents::Agents),
    /// Adds, lists and revokes the credentials of agents.
    Credentials(agents::Credentials),
    /// Token contracts at a gateway; `portunus contract` is for files and the gateway's own database.
    Contracts(contracts::Contracts),
    /// Lists and revokes what people and agents let clients do.
    Grants(grants::Grants),
    /// Lists, rotates and revokes the keys that sign the gateway's tokens.
    Keys(keys::Keys),
    /// Lists what is revoked at a gateway, and takes it back.
    Revocations(revocations::Revocations),
}

impl Noun {
    pub(crate) fn run(&self, out: &mut Out) -> Result<(), Failure> {
        match self {
            Self::People(people) => people.run(out),
            Self::Accounts(accounts) => accounts.run(out),
            Self::Sessions(sessions) => sessions.run(out),
            Self::Consents(consents) => consents.run(out),
            Self::Clients(clients) => clients.run(out),
            Self::Tenants(tenants) => tenants.run(out),
            Self::Agents(agents) => agents.run(out),
            Self::Credentials(credentials) => credentials.run(out),
            Self::Contracts(contracts) => contracts.run(out),
            Self::Grants(grants) => grants.run(out),
            Self::Keys(keys) => keys.run(out),
            Self::Revocations(revocations) => revocations.run(out),
        }
    }
}
