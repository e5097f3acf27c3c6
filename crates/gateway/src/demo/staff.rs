//! Puts the demo's people and its agent into the gateway's registry, as an administrator would.

use super::DemoError;
use super::people::{NIGHTLY, PEOPLE, TENANT};
use issuer::Issuer;
use issuer::agent::{Change, Delegation, MayActFor, NewAgent, NewCredential, Trust};
use issuer::person::{Initial, NewAccount};
use model::{Dice as _, Secret, SystemDice};
use std::collections::BTreeMap;
use std::sync::Arc;

/// Who is registered, and how they prove who they are.
pub(super) struct Staff {
    /// The ids of the people, by account.
    pub(super) people: BTreeMap<String, String>,
    /// Everybody's password, which is another one at each start.
    pub(super) password: String,
    /// The unattended agent: its id and its secret.
    pub(super) agent: (String, String),
}

/// Registers whoever is not there yet, and gives everybody a new password or secret.
///
/// # Errors
/// [`DemoError::Staff`]
pub(super) async fn hire(issuer: &Issuer) -> Result<Staff, DemoError> {
    let password = format!("demo-{:012x}", u64::from_be_bytes(SystemDice.bytes::<8>()) >> 16);
    let secret = Arc::new(Secret::new(password.clone().into_bytes()));
    let known = issuer.accounts.list(TENANT, "", MANY).await.map_err(failed)?;
    let mut people: BTreeMap<String, String> =
        known.into_iter().map(|account| (account.account, account.user)).collect();
    for person in &PEOPLE {
        if let Some(user) = people.get(person.user) {
            issuer.accounts.set(user, &secret).await.map_err(failed)?;
            continue;
        }
        let texts = |texts: &[&str]| texts.iter().map(|text| (*text).to_owned()).collect();
        let account = NewAccount {
            tenant: TENANT.to_owned(),
            account: person.user.to_owned(),
            name: person.name.to_owned(),
            email: None,
            roles: texts(person.roles),
            groups: texts(person.groups),
        };
        let made = issuer.accounts.create(&account, Initial::Password(Arc::clone(&secret))).await;
        people.insert(person.user.to_owned(), made.map_err(failed)?.user);
    }
    let owner = people.get(OWNER).cloned().unwrap_or_default();
    Ok(Staff { agent: agent(issuer, owner).await?, people, password })
}

async fn agent(issuer: &Issuer, owner: String) -> Result<(String, String), DemoError> {
    let (agents, credentials) = (issuer.agents(), issuer.agent_credentials());
    let known = agents.list(TENANT, "", MANY).await.map_err(failed)?;
    let id = match known.into_iter().find(|agent| agent.name == NIGHTLY) {
        Some(agent) => agent.id,
        None => {
            let change = Change {
                name: NIGHTLY.to_owned(),
                trust: Trust::Low,
                servers: None,
                scopes: Vec::new(),
                may_act_for: MayActFor::Tenant,
                delegation: Delegation::default(),
                expires_at: None,
            };
            let new = NewAgent { tenant: TENANT.to_owned(), owner, change };
            agents.register(&new).await.map_err(failed)?.id
        }
    };
    for old in credentials.good(&id).await.map_err(failed)? {
        credentials.revoke(&id, &old.id, "demo").await.map_err(failed)?;
    }
    let fresh = credentials.add(&id, &NewCredential::Secret, None, None, true).await.map_err(failed)?;
    Ok((id, fresh.secret.unwrap_or_default()))
}

fn failed(error: impl std::fmt::Display) -> DemoError {
    DemoError::Staff(error.to_string())
}

/// The person who answers for the agent.
const OWNER: &str = "dee";
/// More rows than the demo has.
const MANY: u32 = 200;
