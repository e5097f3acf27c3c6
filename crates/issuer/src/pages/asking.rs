//! The client behind a request, as pages show it and as consent weighs it.

use super::Fault;
use super::sign_in::CLOCKS;
use crate::Issuer;
use crate::authorize::{self, Transaction};
use crate::client::{self, Client, Kind};
use crate::consent::Asked;
use crate::session::Session;
use model::Code;

/// A client's request.
pub(super) struct Asking {
    pub(super) transaction: Transaction,
    pub(super) client: Client,
}

impl Client {
    /// Whether somebody stands for the client being what it says.
    pub(crate) fn is_vouched(&self) -> bool {
        matches!(self.kind, Kind::Configured | Kind::Agent)
    }

    /// Where the client comes from, in a sentence.
    pub(crate) fn origin(&self) -> String {
        match self.kind {
            Kind::Configured => "Your administrator has set this client up.".to_owned(),
            Kind::Agent => "This is an agent of your organisation's registry.".to_owned(),
            Kind::Document => format!(
                "This client is described by {}. Nobody has checked that it is what it calls itself: trust it as far as \
                 you trust that site.",
                client::shown_host(&self.id)
            ),
            Kind::Registered => {
                "This client registered itself. Nobody has checked that it is what it calls itself."
                    .to_owned()
            }
        }
    }
}

impl Asking {
    /// The request of that id, which stays open.
    pub(super) async fn of(issuer: &Issuer, id: &str) -> Result<Self, Fault> {
        let transaction = authorize::look(issuer, id).await?.ok_or(Fault::of(Code::REQUEST_GONE))?;
        let client = client::find(issuer, &transaction.client).await?;
        Ok(Self { transaction, client })
    }

    /// Whether somebody is signed in as freshly as the client wants. SECURITY: a session that was opened since, by a sign-in
    /// at the provider of before, is none that was asked for
    /// (test: `a_sign_in_of_long_ago_is_none_that_was_asked_for_again`).
    pub(super) fn takes(&self, session: &Session) -> bool {
        let (again, since) = (self.transaction.sign_in_again, self.transaction.created_at);
        !again || (session.opened_at >= since && session.auth_time.after(CLOCKS) >= since)
    }

    /// What consent is about.
    pub(super) fn asked(&self) -> Asked {
        let redirect = &self.transaction.redirect_uri;
        Asked {
            client: self.transaction.client.clone(),
            client_name: self.client.name.clone(),
            resource: self.transaction.resource.clone(),
            scopes: self.transaction.scopes.clone(),
            redirect_host: client::shown_host(redirect).to_owned(),
            // A link of an app's own kind can be taken by another app as a port can by another program.
            is_local: self.is_loopback() || client::is_private_use(redirect),
            metadata_hash: self.client.digest.to_string(),
            is_approved: self.client.trusted,
        }
    }

    pub(super) fn is_loopback(&self) -> bool {
        client::is_loopback_redirect(&self.transaction.redirect_uri)
    }

    /// Sources of a content security policy where the answer to a form may lead: the client's redirect and what it
    /// redirects to in turn. Never plain http to another machine.
    pub(super) fn leads_to(&self) -> String {
        let redirect = &self.transaction.redirect_uri;
        let loopback = "http://127.0.0.1:* http://localhost:*";
        match redirect.split_once(':').map(|(scheme, _)| scheme) {
            // An address in brackets is no source of a policy.
            Some("http") if redirect.starts_with("http://[") => "https: http:".to_owned(),
            Some(scheme) if client::is_private_use(redirect) => format!("https: {scheme}:"),
            _ => format!("https: {loopback}"),
        }
    }
}
