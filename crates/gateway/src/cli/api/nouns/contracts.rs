//! `portunus contracts`.

use crate::cli::api::{Place, Verb, ask, document};
use crate::cli::exit::Failure;
use crate::cli::out::Out;
use serde_json::json;
use std::path::PathBuf;

/// Token contracts at a gateway.
#[derive(Debug, clap::Args)]
pub(crate) struct Contracts {
    #[command(flatten)]
    place: Place,
    #[command(subcommand)]
    verb: ContractsVerb,
}

#[derive(Debug, clap::Args)]
struct Key {
    /// The issuer.
    #[arg(long)]
    issuer: String,
    /// The one resource the contract is about. Default: all of them.
    #[arg(long)]
    resource: Option<String>,
}

#[derive(Debug, clap::Subcommand)]
enum ContractsVerb {
    /// Every version of every contract.
    List,
    /// One version, with its document.
    Show {
        #[command(flatten)]
        key: Key,
        /// The version.
        #[arg(long)]
        version: i64,
    },
    /// Writes a contract's next version, used for nothing yet.
    Draft {
        /// The contract, JSON.
        contract: PathBuf,
    },
    /// Evaluates a version beside the enforced one.
    Shadow {
        #[command(flatten)]
        key: Key,
        /// The version.
        #[arg(long)]
        version: i64,
    },
    /// Takes the version in shadow out of it.
    EndShadow {
        #[command(flatten)]
        key: Key,
    },
    /// Enforces a version. Its samples have to pass and fail as they say.
    Enforce {
        #[command(flatten)]
        key: Key,
        /// The version.
        #[arg(long)]
        version: i64,
    },
    /// Goes back to an earlier version, or to what the configuration says.
    Rollback {
        #[command(flatten)]
        key: Key,
        /// The version to go back to; 0 is what the configuration says. Default: the one enforced before.
        #[arg(long)]
        to: Option<i64>,
    },
}

impl Contracts {
    pub(super) fn run(&self, out: &mut Out) -> Result<(), Failure> {
        let version = |key: &Key, version: Option<i64>| {
            let mut body = json!({"issuer": key.issuer});
            if let Some(members) = body.as_object_mut() {
                members
                    .extend(key.resource.as_ref().map(|resource| ("resource".to_owned(), json!(resource))));
                members.extend(version.map(|version| ("version".to_owned(), json!(version))));
            }
            body
        };
        let verb = match &self.verb {
            ContractsVerb::List => Verb::list("/contracts", COLUMNS),
            ContractsVerb::Show { key, version } => Verb::row("/contracts/version")
                .asking("issuer", Some(&key.issuer))
                .asking("resource", key.resource.as_deref())
                .asking("version", Some(&version.to_string())),
            ContractsVerb::Draft { contract } => Verb::create("/contracts", document(contract)?),
            ContractsVerb::Shadow { key, version: number } => {
                Verb::create("/contracts/shadow", version(key, Some(*number)))
            }
            ContractsVerb::EndShadow { key } => Verb::create("/contracts/shadow/end", version(key, None)),
            ContractsVerb::Enforce { key, version: number } => {
                Verb::create("/contracts/enforce", version(key, Some(*number)))
            }
            ContractsVerb::Rollback { key, to } => Verb::create("/contracts/rollback", version(key, *to)),
        };
        ask(&self.place, verb, out)
    }
}

const COLUMNS: &[(&str, &str)] = &[
    ("ISSUER", "issuer"),
    ("RESOURCE", "resource"),
    ("VERSION", "version"),
    ("STATUS", "status"),
    ("WRITTEN", "created_at"),
    ("BY", "created_by"),
    ("ENFORCED", "enforced_at"),
];
