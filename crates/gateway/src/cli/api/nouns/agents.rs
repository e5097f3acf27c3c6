//! `portunus agents` and `portunus credentials`.

use crate::cli::api::client::encoded;
use crate::cli::api::{Place, Verb, ask, document};
use crate::cli::exit::Failure;
use crate::cli::out::Out;
use serde_json::{Map, Value, json};
use std::path::PathBuf;

/// Agents.
#[derive(Debug, clap::Args)]
pub(crate) struct Agents {
    #[command(flatten)]
    place: Place,
    #[command(subcommand)]
    verb: AgentsVerb,
}

#[derive(Debug, clap::Subcommand)]
enum AgentsVerb {
    /// Lists a tenant's agents.
    List {
        /// The tenant. Default: your own.
        #[arg(long)]
        tenant: Option<String>,
    },
    /// Shows one.
    Show {
        /// Its id.
        agent: String,
    },
    /// Registers one.
    Create {
        /// What people are shown.
        #[arg(long)]
        name: String,
        /// The person who answers for it, by id.
        #[arg(long)]
        owner: String,
        #[command(flatten)]
        said: Said,
        /// Its tenant. Default: your own.
        #[arg(long)]
        tenant: Option<String>,
    },
    /// Changes one. What is not named stays.
    Change {
        /// Its id.
        agent: String,
        /// What people are shown.
        #[arg(long)]
        name: Option<String>,
        #[command(flatten)]
        said: Said,
    },
    /// Stops one: every token that it holds is refused within a second.
    Disable {
        /// Its id.
        agent: String,
    },
    /// Lets a stopped one go on.
    Enable {
        /// Its id.
        agent: String,
    },
}

/// What may be said of an agent.
#[derive(Debug, clap::Args)]
struct Said {
    /// low, medium or high.
    #[arg(long)]
    trust: Option<String>,
    /// A server it may use; repeat for more. Default: all that policy permits.
    #[arg(long = "server")]
    servers: Vec<String>,
    /// A scope its tokens may have; repeat for more.
    #[arg(long = "scope")]
    scopes: Vec<String>,
    /// For whom it may act without that person's consent: nobody, owner or tenant.
    #[arg(long)]
    may_act_for: Option<String>,
    /// When it ends (2027-01-01T00:00:00Z).
    #[arg(long)]
    expires: Option<String>,
}

impl Said {
    fn body(&self) -> Result<Map<String, Value>, Failure> {
        let mut body = Map::new();
        let mut put =
            |name: &str, value: Option<Value>| body.extend(value.map(|value| (name.to_owned(), value)));
        put("trust", self.trust.as_deref().map(Value::from));
        put("servers", (!self.servers.is_empty()).then(|| json!(self.servers)));
        put("scopes", (!self.scopes.is_empty()).then(|| json!(self.scopes)));
        put("may_act_for", self.may_act_for.as_deref().map(|who| json!({"who": who})));
        put("expires_at", self.expires.as_deref().map(moment).transpose()?);
        Ok(body)
    }
}

fn moment(text: &str) -> Result<Value, Failure> {
    let at = text.parse::<jiff::Timestamp>();
    at.map(|at| at.as_millisecond().into())
        .map_err(|_| Failure::Usage(format!("{text:?} is no moment such as 2027-01-01T00:00:00Z")))
}

impl Agents {
    pub(super) fn run(&self, out: &mut Out) -> Result<(), Failure> {
        let at = |agent: &str| format!("/agents/{}", encoded(agent));
        let verb = match &self.verb {
            AgentsVerb::List { tenant } => Verb::list("/agents", COLUMNS).asking("tenant", tenant.as_deref()),
            AgentsVerb::Show { agent } => Verb::row(at(agent)),
            AgentsVerb::Create { name, owner, said, tenant } => {
                let mut body = said.body()?;
                body.insert("name".to_owned(), name.as_str().into());
                body.insert("owner".to_owned(), owner.as_str().into());
                body.extend(tenant.as_deref().map(|tenant| ("tenant".to_owned(), tenant.into())));
                Verb::create("/agents", body.into())
            }
            AgentsVerb::Change { agent, name, said } => {
                let mut body = said.body()?;
                body.extend(name.as_deref().map(|name| ("name".to_owned(), name.into())));
                Verb::change(at(agent), body.into())
            }
            AgentsVerb::Disable { agent } => Verb::act(format!("{}/disable", at(agent)), "disabled"),
            AgentsVerb::Enable { agent } => Verb::act(format!("{}/enable", at(agent)), "enabled"),
        };
        ask(&self.place, verb, out)
    }
}

const COLUMNS: &[(&str, &str)] = &[
    ("AGENT", "id"),
    ("NAME", "name"),
    ("OWNER", "owner"),
    ("STATUS", "status"),
    ("TRUST", "trust"),
    ("SERVERS", "servers"),
    ("SCOPES", "scopes"),
    ("EXPIRES", "expires_at"),
    ("LAST USED", "last_used_at"),
];

/// Credentials.
#[derive(Debug, clap::Args)]
pub(crate) struct Credentials {
    #[command(flatten)]
    place: Place,
    #[command(subcommand)]
    verb: CredentialsVerb,
}

#[derive(Debug, clap::Subcommand)]
enum CredentialsVerb {
    /// Lists an agent's, revoked ones included.
    List {
        /// The agent's id.
        agent: String,
    },
    /// Adds one. A secret or API key that is made is shown once.
    Add {
        /// The agent's id.
        agent: String,
        #[command(flatten)]
        proof: Proof,
        /// A scope of the API key; repeat for more. Default: all of its agent's.
        #[arg(long = "scope", requires = "api_key")]
        scopes: Vec<String>,
        /// Until when it is good (2027-01-01T00:00:00Z).
        #[arg(long)]
        expires: Option<String>,
    },
    /// Revokes one, and with it every token that its agent holds.
    Revoke {
        /// The agent's id.
        agent: String,
        /// Its id.
        credential: String,
    },
}

#[derive(Debug, clap::Args)]
#[group(required = true, multiple = false)]
struct Proof {
    /// A file with its public key (a JSON Web Key).
    #[arg(long, value_name = "FILE")]
    jwk: Option<PathBuf>,
    /// The SHA-256 of its certificate, in hexadecimal.
    #[arg(long, value_name = "SHA-256")]
    certificate: Option<String>,
    /// The DNS name in its certificate.
    #[arg(long, value_name = "NAME")]
    san_dns: Option<String>,
    /// The URI in its certificate.
    #[arg(long, value_name = "URI")]
    san_uri: Option<String>,
    /// Its SPIFFE id.
    #[arg(long, value_name = "ID")]
    spiffe: Option<String>,
    /// A client secret, made by the gateway where the tenant allows it.
    #[arg(long)]
    secret: bool,
    /// An API key, made by the gateway.
    #[arg(long)]
    api_key: bool,
}

impl Proof {
    fn body(&self) -> Result<Value, Failure> {
        if let Some(file) = &self.jwk {
            return Ok(json!({"proof": {"jwk": document(file)?}}));
        }
        let named = [
            ("certificate", &self.certificate),
            ("san_dns", &self.san_dns),
            ("san_uri", &self.san_uri),
            ("spiffe", &self.spiffe),
        ];
        for (kind, value) in named {
            if let Some(value) = value {
                return Ok(json!({"proof": {kind: value}}));
            }
        }
        Ok(json!({"make": if self.secret { "secret" } else { "api_key" }}))
    }
}

impl Credentials {
    pub(super) fn run(&self, out: &mut Out) -> Result<(), Failure> {
        let of = |agent: &str| format!("/agents/{}/credentials", encoded(agent));
        let verb = match &self.verb {
            CredentialsVerb::List { agent } => Verb::list(of(agent), CREDENTIALS),
            CredentialsVerb::Add { agent, proof, scopes, expires } => {
                let mut body = proof.body()?;
                if let Some(members) = body.as_object_mut() {
                    members.extend((!scopes.is_empty()).then(|| ("scopes".to_owned(), json!(scopes))));
                    let until = expires.as_deref().map(moment).transpose()?;
                    members.extend(until.map(|until| ("expires_at".to_owned(), until)));
                }
                Verb::create(of(agent), body)
            }
            CredentialsVerb::Revoke { agent, credential } => {
                Verb::end(format!("{}/{}", of(agent), encoded(credential)), "revoked")
            }
        };
        ask(&self.place, verb, out)
    }
}

const CREDENTIALS: &[(&str, &str)] = &[
    ("CREDENTIAL", "id"),
    ("KIND", "kind"),
    ("SCOPES", "scopes"),
    ("ADDED", "created_at"),
    ("EXPIRES", "expires_at"),
    ("REVOKED", "revoked_at"),
    ("LAST USED", "last_used_at"),
];
