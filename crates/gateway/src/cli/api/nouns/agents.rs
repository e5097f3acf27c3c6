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
        /// Who answers for it from now on, by id: an active person of its tenant.
        #[arg(long)]
        owner: Option<String>,
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
    /// It may use all servers that policy permits, whatever was said before.
    #[arg(long, conflicts_with = "servers")]
    all_servers: bool,
    /// A scope its tokens may have; repeat for more.
    #[arg(long = "scope")]
    scopes: Vec<String>,
    /// For whom it may act without that person's consent: nobody, owner, groups or tenant.
    #[arg(long)]
    may_act_for: Option<String>,
    /// A group for whose people it may act; repeat for more. Says `--may-act-for groups` by itself.
    #[arg(long = "group", required_if_eq("may_act_for", "groups"))]
    groups: Vec<String>,
    /// The most actors in a chain, itself included. Says anew how far acting for somebody goes, scopes included.
    #[arg(long)]
    delegation_depth: Option<u8>,
    /// A scope it may have while it acts for somebody; repeat for more. Default: its own.
    #[arg(long = "delegation-scope", requires = "delegation_depth")]
    delegation_scopes: Vec<String>,
    /// When it ends (2027-01-01T00:00:00Z).
    #[arg(long)]
    expires: Option<String>,
    /// It does not end by itself, whatever was said before.
    #[arg(long, conflicts_with = "expires")]
    never_expires: bool,
}

impl Said {
    fn body(&self) -> Result<Map<String, Value>, Failure> {
        let mut body = Map::new();
        let mut put =
            |name: &str, value: Option<Value>| body.extend(value.map(|value| (name.to_owned(), value)));
        put("trust", self.trust.as_deref().map(Value::from));
        put("servers", some(&self.servers).or(self.all_servers.then_some(Value::Null)));
        put("scopes", some(&self.scopes));
        put("may_act_for", self.may_act_for()?);
        put("delegation", self.delegation_depth.map(|depth| self.delegation(depth)));
        let end = self.expires.as_deref().map(moment).transpose()?;
        put("expires_at", end.or(self.never_expires.then_some(Value::Null)));
        Ok(body)
    }

    fn may_act_for(&self) -> Result<Option<Value>, Failure> {
        match self.may_act_for.as_deref() {
            None | Some("groups") => {
                Ok(some(&self.groups).map(|groups| json!({"who": "groups", "groups": groups})))
            }
            Some(who) if self.groups.is_empty() => Ok(Some(json!({"who": who}))),
            Some(who) => Err(Failure::Usage(format!("--group is of `--may-act-for groups`, not of {who}"))),
        }
    }

    /// The gateway takes it as a whole.
    fn delegation(&self, depth: u8) -> Value {
        match some(&self.delegation_scopes) {
            None => json!({"depth": depth}),
            Some(scopes) => json!({"depth": depth, "scopes": scopes}),
        }
    }
}

/// A list, if anything of it was said.
fn some(items: &[String]) -> Option<Value> {
    (!items.is_empty()).then(|| json!(items))
}

fn moment(text: &str) -> Result<Value, Failure> {
    let at = text.parse::<jiff::Timestamp>();
    at.map(|at| at.as_millisecond().into())
        .map_err(|_| Failure::Usage(format!("{text:?} is no moment such as 2027-01-01T00:00:00Z")))
}

impl Agents {
    pub(super) fn run(&self, out: &mut Out) -> Result<(), Failure> {
        ask(&self.place, self.verb.asks()?, out)
    }
}

impl AgentsVerb {
    fn asks(&self) -> Result<Verb, Failure> {
        let at = |agent: &str| format!("/agents/{}", encoded(agent));
        let said = |name: &str, value: Option<&str>| value.map(|value| (name.to_owned(), Value::from(value)));
        Ok(match self {
            Self::List { tenant } => Verb::list("/agents", COLUMNS).asking("tenant", tenant.as_deref()),
            Self::Show { agent } => Verb::row(at(agent)),
            Self::Create { name, owner, said: other, tenant } => {
                let mut body = other.body()?;
                body.extend(said("name", Some(name)));
                body.extend(said("owner", Some(owner)));
                body.extend(said("tenant", tenant.as_deref()));
                Verb::create("/agents", body.into())
            }
            Self::Change { agent, name, owner, said: other } => {
                let mut body = other.body()?;
                body.extend(said("name", name.as_deref()));
                body.extend(said("owner", owner.as_deref()));
                Verb::change(at(agent), body.into())
            }
            Self::Disable { agent } => Verb::act(format!("{}/disable", at(agent)), "disabled"),
            Self::Enable { agent } => Verb::act(format!("{}/enable", at(agent)), "enabled"),
        })
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
        /// From when on it is good (2027-01-01T00:00:00Z). Default: now.
        #[arg(long)]
        not_before: Option<String>,
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
        ask(&self.place, self.verb.asks()?, out)
    }
}

impl CredentialsVerb {
    fn asks(&self) -> Result<Verb, Failure> {
        let of = |agent: &str| format!("/agents/{}/credentials", encoded(agent));
        Ok(match self {
            Self::List { agent } => Verb::list(of(agent), CREDENTIALS),
            Self::Add { agent, proof, scopes, not_before, expires } => {
                let mut body = proof.body()?;
                if let Some(members) = body.as_object_mut() {
                    members.extend(some(scopes).map(|scopes| ("scopes".to_owned(), scopes)));
                    for (name, text) in [("not_before", not_before), ("expires_at", expires)] {
                        let at = text.as_deref().map(moment).transpose()?;
                        members.extend(at.map(|at| (name.to_owned(), at)));
                    }
                }
                Verb::create(of(agent), body)
            }
            Self::Revoke { agent, credential } => {
                Verb::end(format!("{}/{}", of(agent), encoded(credential)), "revoked")
            }
        })
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

#[cfg(test)]
mod tests {
    use super::*;
    use clap::Parser as _;

    #[derive(Debug, clap::Parser)]
    enum Line {
        Agents(Agents),
        Credentials(Credentials),
    }

    /// What a command line sends; `None` if it is refused here already.
    fn tried(line: &str) -> Option<Value> {
        let parsed = Line::try_parse_from(["portunus"].into_iter().chain(line.split(' '))).ok()?;
        let verb = match parsed {
            Line::Agents(agents) => agents.verb.asks(),
            Line::Credentials(credentials) => credentials.verb.asks(),
        };
        verb.ok()?.body
    }

    fn sends(line: &str) -> Value {
        tried(line).unwrap_or_else(|| panic!("{line} is refused"))
    }

    #[test]
    fn everything_that_the_api_takes_of_an_agent_can_be_said() {
        for (said, body) in [
            ("--owner usr_2", json!({"owner": "usr_2"})),
            ("--may-act-for owner", json!({"may_act_for": {"who": "owner"}})),
            (
                "--may-act-for groups --group eng --group ops",
                json!({"may_act_for": {"who": "groups", "groups": ["eng", "ops"]}}),
            ),
            ("--group eng", json!({"may_act_for": {"who": "groups", "groups": ["eng"]}})),
            ("--delegation-depth 2", json!({"delegation": {"depth": 2}})),
            (
                "--delegation-depth 1 --delegation-scope mcp",
                json!({"delegation": {"depth": 1, "scopes": ["mcp"]}}),
            ),
            ("--server git --server mail", json!({"servers": ["git", "mail"]})),
            ("--all-servers", json!({"servers": null})),
            ("--never-expires", json!({"expires_at": null})),
            ("--expires 2027-01-01T00:00:00Z", json!({"expires_at": 1_798_761_600_000_i64})),
        ] {
            assert_eq!(sends(&format!("agents change agt_1 {said}")), body, "{said}");
        }
        let made = sends("agents create --name Robot --owner usr_1 --group eng");
        let groups = json!({"who": "groups", "groups": ["eng"]});
        assert_eq!(made, json!({"name": "Robot", "owner": "usr_1", "may_act_for": groups}));
        for contradiction in [
            "--all-servers --server git",
            "--never-expires --expires 2027-01-01T00:00:00Z",
            "--may-act-for groups",
            "--may-act-for owner --group eng",
            "--delegation-scope mcp",
        ] {
            assert_eq!(tried(&format!("agents change agt_1 {contradiction}")), None, "{contradiction}");
        }
    }

    #[test]
    fn a_credential_begins_and_ends_when_it_is_said_to() {
        let line = "--not-before 2026-12-01T00:00:00Z --expires 2027-01-01T00:00:00Z";
        assert_eq!(
            sends(&format!("credentials add agt_1 --api-key {line}")),
            json!({
                "make": "api_key", "not_before": 1_796_083_200_000_i64, "expires_at": 1_798_761_600_000_i64,
            })
        );
    }
}
