//! `portunus contract`: tries a token against a contract, and brings contracts into the database of the configuration. A
//! running gateway follows within a second.

mod check;
mod print;

use super::ConfigFile;
use super::exit::Failure;
use super::out::Out;
use crate::config::{self, Settings};
use authn::Contracts;
use authn::contract::{ContractError, ContractKey, ContractRow, Document};
use clap::Subcommand;
use model::SystemClock;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use storage::Db;

#[derive(Debug, Subcommand)]
pub(super) enum Command {
    /// Says which clauses of its contract a token meets and which it does not, by the names of claims only.
    Check(check::Arguments),
    /// Writes a contract's next version, used for nothing yet.
    Draft(DraftArguments),
    /// Evaluates a version beside the enforced one; what differs is logged and counted.
    Shadow(PublishArguments),
    /// Takes the version in shadow out of it.
    EndShadow(EndShadowArguments),
    /// Enforces a version. Its samples have to pass and fail as they say.
    Publish(PublishArguments),
    /// Goes back to an earlier version, or to what the configuration says.
    Rollback(RollbackArguments),
    /// Every version of every contract.
    List(ListArguments),
    /// One version's document.
    Show(ShowArguments),
    /// Prints the JSON schema of a contract.
    Schema,
}

#[derive(Debug, clap::Args)]
pub(super) struct DraftArguments {
    #[command(flatten)]
    file: ConfigFile,
    /// The contract, YAML or JSON.
    contract: PathBuf,
}

#[derive(Debug, clap::Args)]
pub(super) struct PublishArguments {
    #[command(flatten)]
    file: ConfigFile,
    /// The contract, YAML or JSON; it becomes the next version. Or name a stored one.
    contract: Option<PathBuf>,
    #[command(flatten)]
    key: KeyArguments,
    /// The stored version.
    #[arg(long, requires = "issuer", conflicts_with = "contract")]
    version: Option<i64>,
}

#[derive(Debug, clap::Args)]
pub(super) struct KeyArguments {
    /// The issuer.
    #[arg(long)]
    issuer: Option<String>,
    /// The one resource the contract is about. Default: all of them.
    #[arg(long, requires = "issuer")]
    resource: Option<String>,
}

#[derive(Debug, clap::Args)]
pub(super) struct EndShadowArguments {
    #[command(flatten)]
    file: ConfigFile,
    #[command(flatten)]
    key: KeyArguments,
}

#[derive(Debug, clap::Args)]
pub(super) struct RollbackArguments {
    #[command(flatten)]
    file: ConfigFile,
    #[command(flatten)]
    key: KeyArguments,
    /// The version to go back to; 0 is what the configuration says. Default: the one enforced before.
    #[arg(long)]
    to: Option<i64>,
}

#[derive(Debug, clap::Args)]
pub(super) struct ListArguments {
    #[command(flatten)]
    file: ConfigFile,
    /// Print JSON.
    #[arg(long)]
    json: bool,
}

#[derive(Debug, clap::Args)]
pub(super) struct ShowArguments {
    #[command(flatten)]
    file: ConfigFile,
    #[command(flatten)]
    key: KeyArguments,
    /// The version. Default: the one enforced, or else the newest.
    #[arg(long)]
    version: Option<i64>,
}

impl KeyArguments {
    fn key(&self) -> Result<ContractKey, Failure> {
        let issuer =
            self.issuer.clone().ok_or_else(|| Failure::Usage("--issuer says whose contract".into()))?;
        Ok(ContractKey { issuer, resource: self.resource.clone() })
    }
}

pub(super) fn run(command: &Command, out: &mut Out) -> Result<(), Failure> {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
    runtime.block_on(async {
        match command {
            Command::Check(arguments) => check::run(arguments, out).await,
            Command::Schema => Ok(out.json(&Document::schema())?),
            Command::Draft(arguments) => {
                let (contracts, settings) = open(&arguments.file.config).await?;
                let row = draft(&contracts, &settings, &arguments.contract).await?;
                print::rows(&[row], out)
            }
            Command::Shadow(arguments) => publish(arguments, true, out).await,
            Command::EndShadow(arguments) => {
                let (contracts, _) = open(&arguments.file.config).await?;
                let ended = contracts.end_shadow(&arguments.key.key()?, BY).await.map_err(failure)?;
                print::rows(&[ended], out)
            }
            Command::Publish(arguments) => publish(arguments, false, out).await,
            Command::Rollback(arguments) => {
                let (contracts, _) = open(&arguments.file.config).await?;
                let key = arguments.key.key()?;
                match contracts.rollback(&key, arguments.to, BY).await.map_err(failure)? {
                    Some(row) => print::rows(&[row], out),
                    None => Ok(out.line("none is enforced: the configuration is")?),
                }
            }
            Command::List(arguments) => {
                let (contracts, _) = open(&arguments.file.config).await?;
                let rows = contracts.list(MOST).await.map_err(failure)?;
                if arguments.json { Ok(out.json(&serde_json::json!(rows))?) } else { print::rows(&rows, out) }
            }
            Command::Show(arguments) => {
                let (contracts, _) = open(&arguments.file.config).await?;
                let rows = contracts.of(&arguments.key.key()?).await.map_err(failure)?;
                print::document(&rows, arguments.version, out)
            }
        }
    })
}

async fn publish(arguments: &PublishArguments, shadow: bool, out: &mut Out) -> Result<(), Failure> {
    let (contracts, settings) = open(&arguments.file.config).await?;
    let (key, version) = match (&arguments.contract, arguments.version) {
        (Some(path), None) => {
            // Before it becomes a row: what cannot be published is not worth a number.
            print::samples(&read(path)?, out)?;
            let row = draft(&contracts, &settings, path).await?;
            (row.key, row.version)
        }
        (None, Some(version)) => (arguments.key.key()?, version),
        _ => return Err(Failure::Usage("name a file, or --issuer and --version of a stored one".into())),
    };
    let put = match shadow {
        true => contracts.shadow(&key, version, BY).await,
        false => contracts.enforce(&key, version, BY).await,
    };
    print::rows(&[put.map_err(failure)?], out)
}

async fn draft(contracts: &Contracts, settings: &Settings, path: &Path) -> Result<ContractRow, Failure> {
    let document = read(path)?;
    if !settings.issuers.iter().any(|issuer| issuer.issuer == document.issuer) {
        return Err(Failure::Policy(format!(
            "{:?} is not one of the configured `issuers`: where its keys are is said there",
            document.issuer
        )));
    }
    contracts.draft(&document, BY).await.map_err(failure)
}

/// A contract from a file.
fn read(path: &Path) -> Result<Document, Failure> {
    let text = std::fs::read_to_string(path)?;
    Document::parse(&text).map_err(|error| Failure::Policy(format!("{}: {error}", path.display())))
}

async fn open(file: &Path) -> Result<(Contracts, Settings), Failure> {
    let settings = config::load(file)?;
    let Some(config) = &settings.storage else {
        return Err(Failure::Usage("this configuration has no database: add a section `storage`".into()));
    };
    let db =
        Db::open(config).await.map_err(|error| Failure::Start(crate::IdentityError::from(error).into()))?;
    Ok((Contracts::new(db, Arc::new(SystemClock::default())), settings))
}

/// The exit code says whether the contract or the database is at fault.
fn failure(error: ContractError) -> Failure {
    match error {
        ContractError::Storage(error) => Failure::Start(crate::IdentityError::from(error).into()),
        ContractError::Faults(_) | ContractError::Samples(_) | ContractError::Unreadable(_) => {
            Failure::Policy(error.to_string())
        }
        ContractError::Unknown | ContractError::Status(_) => Failure::Found(error.to_string()),
    }
}

/// Whoever has the command line of the gateway's machine.
const BY: &str = "operator";
/// The most rows that are listed.
const MOST: u32 = 10_000;
