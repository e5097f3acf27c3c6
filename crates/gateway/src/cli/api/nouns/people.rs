//! `portunus people`, `accounts`, `sessions`, `consents`, `clients` and `tenants`.

use crate::cli::api::client::encoded;
use crate::cli::api::{Place, Verb, ask};
use crate::cli::exit::Failure;
use crate::cli::out::Out;
use serde_json::{Map, Value, json};

macro_rules! noun {
    ($(#[$doc:meta])* $name:ident, $verb:ident) => {
        $(#[$doc])*
        #[derive(Debug, clap::Args)]
        pub(crate) struct $name {
            #[command(flatten)]
            place: Place,
            #[command(subcommand)]
            verb: $verb,
        }

        impl $name {
            pub(super) fn run(&self, out: &mut Out) -> Result<(), Failure> {
                ask(&self.place, self.verb.asked(), out)
            }
        }
    };
}

noun!(
    /// People.
    People, PeopleVerb
);
noun!(
    /// Local accounts.
    Accounts, AccountsVerb
);
noun!(
    /// Sessions of browsers.
    Sessions, SessionsVerb
);
noun!(
    /// Consents.
    Consents, ConsentsVerb
);
noun!(
    /// OAuth clients.
    Clients, ClientsVerb
);
noun!(
    /// Tenants.
    Tenants, TenantsVerb
);

#[derive(Debug, clap::Subcommand)]
enum PeopleVerb {
    /// Lists a tenant's people.
    List {
        /// The tenant. Default: your own.
        #[arg(long)]
        tenant: Option<String>,
    },
    /// Shows one.
    Show {
        /// Their id.
        person: String,
    },
    /// Says what the person of a local account is. What is not named stays.
    Change {
        /// Their id.
        person: String,
        /// For display.
        #[arg(long)]
        name: Option<String>,
        /// A role; repeat for more. All of them at once.
        #[arg(long = "role")]
        roles: Vec<String>,
        /// A group; repeat for more. All of them at once.
        #[arg(long = "group")]
        groups: Vec<String>,
    },
    /// Disables one: sessions, grants and tokens end within a second, their agents stop.
    Disable {
        /// Their id.
        person: String,
    },
    /// Lets a disabled one in again.
    Enable {
        /// Their id.
        person: String,
    },
}

impl PeopleVerb {
    fn asked(&self) -> Verb {
        let at = |person: &str| format!("/people/{}", encoded(person));
        match self {
            Self::List { tenant } => Verb::list("/people", PEOPLE).asking("tenant", tenant.as_deref()),
            Self::Show { person } => Verb::row(at(person)),
            Self::Change { person, name, roles, groups } => {
                let mut body = Map::new();
                body.extend(name.as_deref().map(|name| ("name".to_owned(), Value::from(name))));
                body.extend((!roles.is_empty()).then(|| ("roles".to_owned(), json!(roles))));
                body.extend((!groups.is_empty()).then(|| ("groups".to_owned(), json!(groups))));
                Verb::change(at(person), body.into())
            }
            Self::Disable { person } => Verb::act(format!("{}/disable", at(person)), "disabled"),
            Self::Enable { person } => Verb::act(format!("{}/enable", at(person)), "enabled"),
        }
    }
}

const PEOPLE: &[(&str, &str)] = &[
    ("PERSON", "id"),
    ("NAME", "name"),
    ("ACTIVE", "active"),
    ("ROLES", "roles"),
    ("GROUPS", "groups"),
    ("LAST SIGN-IN", "last_sign_in_at"),
];

#[derive(Debug, clap::Subcommand)]
enum AccountsVerb {
    /// Lists a tenant's local accounts.
    List {
        /// The tenant. Default: your own.
        #[arg(long)]
        tenant: Option<String>,
    },
    /// Makes one. The link that sets its password is shown once.
    Create {
        /// What is typed to sign in.
        account: String,
        /// The tenant. Default: your own.
        #[arg(long)]
        tenant: Option<String>,
        /// For display.
        #[arg(long)]
        name: Option<String>,
        /// A role; repeat for more.
        #[arg(long = "role")]
        roles: Vec<String>,
        /// A group; repeat for more.
        #[arg(long = "group")]
        groups: Vec<String>,
    },
    /// Makes another link that sets an account's password.
    Reset {
        /// The person's id.
        person: String,
    },
}

impl AccountsVerb {
    fn asked(&self) -> Verb {
        match self {
            Self::List { tenant } => Verb::list("/accounts", ACCOUNTS).asking("tenant", tenant.as_deref()),
            Self::Create { account, tenant, name, roles, groups } => {
                let mut body = json!({"account": account, "roles": roles, "groups": groups});
                if let Some(members) = body.as_object_mut() {
                    members.extend(tenant.as_deref().map(|tenant| ("tenant".to_owned(), tenant.into())));
                    members.extend(name.as_deref().map(|name| ("name".to_owned(), name.into())));
                }
                Verb::create("/accounts", body)
            }
            Self::Reset { person } => Verb::post(format!("/accounts/{}/reset", encoded(person))),
        }
    }
}

const ACCOUNTS: &[(&str, &str)] =
    &[("ACCOUNT", "account"), ("PERSON", "user"), ("TENANT", "tenant"), ("PASSWORD SET", "password_set_at")];

#[derive(Debug, clap::Subcommand)]
enum SessionsVerb {
    /// Lists a person's open sessions; your own without one.
    List {
        /// The person's id.
        person: Option<String>,
    },
    /// Ends one, and with it every token that came from it.
    End {
        /// Its id.
        session: String,
        /// It is your own, which needs no role.
        #[arg(long)]
        mine: bool,
    },
}

impl SessionsVerb {
    fn asked(&self) -> Verb {
        match self {
            Self::List { person: None } => Verb::list("/me/sessions", SESSIONS),
            Self::List { person: Some(person) } => {
                Verb::list(format!("/people/{}/sessions", encoded(person)), SESSIONS)
            }
            Self::End { session, mine } => {
                let whose = if *mine { "/me" } else { "" };
                Verb::end(format!("{whose}/sessions/{}", encoded(session)), "ended")
            }
        }
    }
}

const SESSIONS: &[(&str, &str)] = &[
    ("SESSION", "id"),
    ("PERSON", "user"),
    ("BY", "issuer"),
    ("SIGNED IN", "authenticated_at"),
    ("HOW", "amr"),
    ("EXPIRES", "expires_at"),
];

#[derive(Debug, clap::Subcommand)]
enum ConsentsVerb {
    /// Lists a person's consents; your own without one.
    List {
        /// The person's id.
        person: Option<String>,
    },
    /// Withdraws one: the grants made by it are revoked.
    Revoke {
        /// Its id.
        consent: String,
        /// The person's id. Default: yourself.
        #[arg(long)]
        person: Option<String>,
    },
    /// Lists the agents that a person lets act for them; that you let act without one.
    Agents {
        /// The person's id.
        person: Option<String>,
    },
    /// Takes back that an agent may act: the grants made by it are revoked.
    RevokeAgent {
        /// The agent's id.
        agent: String,
        /// The person's id. Default: yourself.
        #[arg(long)]
        person: Option<String>,
    },
}

impl ConsentsVerb {
    fn asked(&self) -> Verb {
        let whose = |person: Option<&str>, what: &str| match person {
            None => format!("/me/{what}"),
            Some(person) => format!("/people/{}/{what}", encoded(person)),
        };
        let of = |person| whose(person, "consents");
        let agents_of = |person| whose(person, "agent-consents");
        match self {
            Self::List { person } => Verb::list(of(person.as_deref()), CONSENTS),
            Self::Revoke { consent, person } => {
                Verb::end(format!("{}/{}", of(person.as_deref()), encoded(consent)), "withdrawn")
            }
            Self::Agents { person } => Verb::list(agents_of(person.as_deref()), AGENTS),
            Self::RevokeAgent { agent, person } => {
                Verb::end(format!("{}/{}", agents_of(person.as_deref()), encoded(agent)), "withdrawn")
            }
        }
    }
}

const CONSENTS: &[(&str, &str)] = &[
    ("CONSENT", "id"),
    ("CLIENT", "client_name"),
    ("RESOURCE", "resource"),
    ("SCOPES", "scopes"),
    ("GIVEN", "created_at"),
    ("LAST USED", "last_used_at"),
];

const AGENTS: &[(&str, &str)] = &[("AGENT", "agent"), ("NAME", "name"), ("WHERE", "places")];

#[derive(Debug, clap::Subcommand)]
enum ClientsVerb {
    /// Lists configured clients, and those that people let do something.
    List {
        /// Only as seen in this tenant.
        #[arg(long)]
        tenant: Option<String>,
    },
    /// Blocks one for everybody: its tokens are refused within a second.
    Block {
        /// Its id.
        client: String,
        /// Why, for the record.
        #[arg(long, default_value = "")]
        reason: String,
    },
    /// Lets a blocked one begin again.
    Unblock {
        /// Its id.
        client: String,
        /// Why, for the record.
        #[arg(long, default_value = "")]
        reason: String,
    },
}

impl ClientsVerb {
    fn asked(&self) -> Verb {
        let body = |client: &str, reason: &str| json!({"client": client, "reason": reason});
        match self {
            Self::List { tenant } => Verb::list("/clients", CLIENTS).asking("tenant", tenant.as_deref()),
            Self::Block { client, reason } => {
                Verb::act("/clients/block", "blocked").sending(body(client, reason))
            }
            Self::Unblock { client, reason } => {
                Verb::act("/clients/unblock", "not blocked any more").sending(body(client, reason))
            }
        }
    }
}

const CLIENTS: &[(&str, &str)] = &[
    ("CLIENT", "id"),
    ("KIND", "kind"),
    ("NAME", "name"),
    ("GRANTS", "grants"),
    ("LAST USED", "last_used_at"),
    ("BLOCKED", "blocked"),
];

#[derive(Debug, clap::Subcommand)]
enum TenantsVerb {
    /// Lists the tenants within reach and their providers, as the configuration says.
    List,
}

impl TenantsVerb {
    fn asked(&self) -> Verb {
        match self {
            Self::List => Verb::list("/tenants", TENANTS),
        }
    }
}

const TENANTS: &[(&str, &str)] = &[
    ("TENANT", "name"),
    ("NAME", "display_name"),
    ("LOCAL ACCOUNTS", "local_accounts"),
    ("PROVIDERS", "providers"),
];
