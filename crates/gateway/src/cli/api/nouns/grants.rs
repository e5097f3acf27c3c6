//! `portunus grants`.

use crate::cli::api::client::encoded;
use crate::cli::api::{Place, Verb, ask};
use crate::cli::exit::Failure;
use crate::cli::out::Out;

/// Grants.
#[derive(Debug, clap::Args)]
pub(crate) struct Grants {
    #[command(flatten)]
    place: Place,
    /// Only your own, which needs no role.
    #[arg(long, global = true)]
    mine: bool,
    #[command(subcommand)]
    verb: GrantsVerb,
}

#[derive(Debug, clap::Subcommand)]
enum GrantsVerb {
    /// Lists those that are good, the newest first.
    List {
        /// The tenant. Default: your own.
        #[arg(long)]
        tenant: Option<String>,
        /// Only of this person.
        #[arg(long)]
        user: Option<String>,
        /// Only to this client.
        #[arg(long)]
        client: Option<String>,
    },
    /// Revokes one: every token under it is refused within a second.
    Revoke {
        /// Its id.
        grant: String,
    },
}

impl Grants {
    pub(super) fn run(&self, out: &mut Out) -> Result<(), Failure> {
        let at = if self.mine { "/me/grants" } else { "/grants" };
        let verb = match &self.verb {
            GrantsVerb::List { tenant, user, client } => Verb::list(at, COLUMNS)
                .asking("tenant", tenant.as_deref())
                .asking("user", user.as_deref())
                .asking("client", client.as_deref()),
            GrantsVerb::Revoke { grant } => Verb::end(format!("{at}/{}", encoded(grant)), "revoked"),
        };
        ask(&self.place, verb, out)
    }
}

const COLUMNS: &[(&str, &str)] = &[
    ("GRANT", "id"),
    ("USER", "user"),
    ("AGENT", "agent"),
    ("CLIENT", "client"),
    ("RESOURCE", "resource"),
    ("SCOPES", "scopes"),
    ("GIVEN", "created_at"),
    ("LAST USED", "used_at"),
    ("EXPIRES", "expires_at"),
];
