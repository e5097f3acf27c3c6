//! `portunus revocations`.

use crate::cli::api::{Place, Verb, ask};
use crate::cli::exit::Failure;
use crate::cli::out::Out;

/// What is revoked.
#[derive(Debug, clap::Args)]
pub(crate) struct Revocations {
    #[command(flatten)]
    place: Place,
    #[command(subcommand)]
    verb: RevocationsVerb,
}

#[derive(Debug, clap::Subcommand)]
enum RevocationsVerb {
    /// Lists what is revoked and not over, the newest first.
    List {
        /// Only this kind.
        #[arg(long)]
        kind: Option<String>,
        /// Only of this tenant.
        #[arg(long)]
        tenant: Option<String>,
    },
    /// Takes one back. What had ended by then does not come back.
    Lift {
        /// Its number.
        revocation: u64,
    },
    /// Says how fresh the knowledge of the replica that answers is.
    Status,
}

impl Revocations {
    pub(super) fn run(&self, out: &mut Out) -> Result<(), Failure> {
        let verb = match &self.verb {
            RevocationsVerb::List { kind, tenant } => Verb::list("/revocations", COLUMNS)
                .asking("kind", kind.as_deref())
                .asking("tenant", tenant.as_deref()),
            RevocationsVerb::Lift { revocation } => Verb::end(format!("/revocations/{revocation}"), "lifted"),
            RevocationsVerb::Status => Verb::row("/revocation-view"),
        };
        ask(&self.place, verb, out)
    }
}

const COLUMNS: &[(&str, &str)] = &[
    ("NUMBER", "number"),
    ("KIND", "kind"),
    ("ID", "id"),
    ("TENANT", "tenant"),
    ("ISSUED BEFORE", "issued_before"),
    ("UNTIL", "expires_at"),
    ("BY", "by"),
    ("AT", "created_at"),
    ("REASON", "reason"),
];
