//! The demo's payments server trusts the gateway: it refuses a call unless the gateway says who calls, and knows the person
//! and not a bot (docs/identity-downstream.md). As any server would, it is told the issuer and its own name, and fetches
//! the keys.

use authn::Algorithm;
use authn::jose::{Jws, KeySet};
use bytes::Bytes;
use http::{HeaderMap, Request, Uri, header};
use model::{Clock as _, SystemClock};
use net::egress::{self, Rule};
use serde_json::{Map, Value};
use std::sync::OnceLock;

/// What the server was told.
#[derive(Default)]
pub(super) struct Trust {
    told: OnceLock<(String, String)>,
}

impl Trust {
    /// From now on it believes `issuer` about calls of `audience`.
    pub(super) fn tell(&self, issuer: &str, audience: &str) {
        // It is told once.
        drop(self.told.set((issuer.to_owned(), audience.to_owned())));
    }

    /// Who calls; nothing where nobody says so.
    pub(super) async fn caller(&self, headers: &HeaderMap) -> Option<String> {
        let (issuer, audience) = self.told.get()?;
        let token = headers.get(header::AUTHORIZATION)?.as_bytes().strip_prefix(b"Bearer ")?;
        let jws = Jws::parse(token).ok()?;
        let keys = keys(issuer).await?;
        keys.find(jws.kid.as_deref())?.verify(&jws.algorithm, jws.signed, &jws.signature).ok()?;
        let says = |name: &str| jws.claims.get(name).and_then(Value::as_str);
        let ends = jws.claims.get("exp")?.as_i64()?;
        let good = jws.token_type.as_deref() == Some("at+jwt")
            && says("iss") == Some(issuer)
            && says("aud") == Some(audience)
            && SystemClock::default().now().seconds() < ends;
        let person = says("sub").filter(|_| good)?;
        // Who acts for the person, or else what the person talks to.
        let agent = jws.claims.get("act").and_then(|act| act.get("sub")?.as_str()).or(says("client_id"));
        Some(agent.map_or_else(|| person.to_owned(), |agent| format!("{person} through {agent}")))
    }
}

async fn keys(issuer: &str) -> Option<KeySet> {
    let url: Uri = format!("{issuer}/.well-known/jwks.json").parse().ok()?;
    let client = egress::Client::new(&egress::Config::default()).ok()?;
    let destination = client.destination(&url, Rule::LOOPBACK).ok()?;
    let request = Request::get(url.path()).body(Bytes::new()).ok()?;
    let reply = client.send(&destination, request).await.ok()?;
    let body = net::collect(reply.into_body(), KEYS_BYTES).await.ok()?;
    let document: Map<String, Value> = serde_json::from_slice(&body).ok()?;
    KeySet::parse(&document, &[Algorithm::Es256])
}

const KEYS_BYTES: usize = 64 << 10;
