//! Sections `issuers[].introspection` and `group_directories`: whom the gateway asks about tokens and people.

use super::check::{At, Check};
use super::server::{SecretSection, Surroundings};
use authn::contract::Omittable;
use authn::{ClientAuth, GroupDirectory, OpaqueConfig, OpaqueRule, SecretSource};
use broker::Reference;
use model::Secret;
use net::egress::Rule;
use schemars::JsonSchema;
use serde::Deserialize;
use std::collections::BTreeMap;
use std::sync::Arc;

/// Opaque tokens of the issuer: how they are told apart, and where to ask what they mean (RFC 7662).
#[derive(Clone, Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub(super) struct IntrospectionSection {
    /// Where to ask. Addresses as `allow_loopback` and `allow_private` of the issuer say.
    pub(super) url: String,
    /// Whether all of its tokens are opaque, so that it has no keys. Default: it signs tokens, too.
    #[serde(default)]
    pub(super) only: bool,
    /// How its opaque tokens begin. Default: anyhow.
    #[serde(default)]
    prefix: String,
    /// The paths of the endpoints at which they are presented, such as `/servers/git/mcp`. Default: all. No token may
    /// fit two issuers.
    #[serde(default)]
    endpoints: Vec<String>,
    /// The gateway's client id there.
    client_id: String,
    /// Its secret there, by reference, for `client_secret_basic`.
    client_secret: Option<SecretSection>,
    /// Its private key, by reference, for `private_key_jwt` instead: PKCS #8 in PEM (P-256, Ed25519 or RSA).
    private_key: Option<SecretSection>,
    /// The `kid` that the issuer knows that key by.
    key_id: Option<String>,
    /// `aud` of the assertion that the key signs. Default: the issuer.
    assertion_audience: Option<String>,
    /// What its answers may leave out, though tokens must have it: iss, exp. Default: nothing.
    #[serde(default)]
    may_omit: Vec<Omits>,
    /// For answers without `aud`: the endpoints that a client's tokens are for, by client id and canonical URL.
    #[serde(default)]
    clients: BTreeMap<String, Vec<String>>,
}

/// What an answer may leave out.
#[derive(Clone, Copy, Debug, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
#[schemars(inline)]
enum Omits {
    /// The issuer is the one that was asked.
    Iss,
    /// The token is good for 30 seconds.
    Exp,
}

impl IntrospectionSection {
    pub(super) fn check(
        self,
        issuer: &str,
        rule: Rule,
        around: &Surroundings<'_>,
        at: &At,
        check: &mut Check,
    ) -> Option<OpaqueConfig> {
        super::issuer::url(&self.url, rule, &at.key("url"), check);
        for (index, path) in self.endpoints.iter().enumerate() {
            if !path.starts_with('/') {
                check.fault(
                    &at.key("endpoints").index(index),
                    "not an endpoint's path",
                    "such as /servers/git/mcp",
                );
            }
        }
        let client_id = self.client_id;
        let client = match (self.client_secret, self.private_key) {
            (Some(section), None) => {
                let secret = secret(&section, around, &at.key("client_secret"), check)?;
                ClientAuth::Basic { client_id, secret }
            }
            (None, Some(section)) => ClientAuth::PrivateKey {
                client_id,
                key_id: self.key_id,
                key: secret(&section, around, &at.key("private_key"), check)?,
                audience: self.assertion_audience.unwrap_or_else(|| issuer.to_owned()),
            },
            _ => {
                check.fault(at, "not one way to say who asks", "exactly one of client_secret, private_key");
                return None;
            }
        };
        let may_omit = self.may_omit.iter().map(|omits| match omits {
            Omits::Iss => Omittable::Iss,
            Omits::Exp => Omittable::Exp,
        });
        Some(OpaqueConfig {
            issuer: issuer.to_owned(),
            prefix: self.prefix,
            endpoints: self.endpoints,
            introspection: self.url,
            rule,
            client,
            contract: OpaqueRule { may_omit: may_omit.collect(), clients: self.clients },
        })
    }
}

/// Where groups are looked up that are too many for a token (`groups_overage` of a token contract).
#[derive(Clone, Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub(super) struct GroupDirectorySection {
    /// Where to ask; `{user}` in it becomes the user.
    url: String,
    /// The value of the `Authorization` header, by reference.
    authorization: Option<SecretSection>,
    /// The JSON pointer to the list in its answer, such as `/value`.
    list: String,
    /// The member of each item that holds the group. Default: the items are texts.
    member: Option<String>,
    /// The JSON pointer to what is there when the answer is only a page of several; then the token is refused.
    more: Option<String>,
    /// Whether it may be on a loopback address, and then over plain HTTP (development).
    #[serde(default)]
    allow_loopback: bool,
    /// Whether it may be on a private address.
    #[serde(default)]
    allow_private: bool,
}

/// The checked directories.
pub(super) fn directories(
    sections: BTreeMap<String, GroupDirectorySection>,
    around: &Surroundings<'_>,
    at: &At,
    check: &mut Check,
) -> Vec<GroupDirectory> {
    let mut directories = Vec::new();
    for (name, section) in sections {
        let here = at.key(&name);
        let rule = Rule { allow_loopback: section.allow_loopback, allow_private: section.allow_private };
        super::issuer::url(&section.url.replace("{user}", "user"), rule, &here.key("url"), check);
        if !section.url.contains("{user}") {
            check.fault(&here.key("url"), "it asks about nobody", "an address with {user} in it");
        }
        for (key, pointer) in [("list", Some(&section.list)), ("more", section.more.as_ref())] {
            if pointer.is_some_and(|pointer| !pointer.starts_with('/')) {
                check.fault(&here.key(key), "not a JSON pointer", "such as /value");
            }
        }
        let authorization =
            section.authorization.map(|found| secret(&found, around, &here.key("authorization"), check));
        if let Some(authorization) = authorization.map_or(Some(None), |found| found.map(Some)) {
            let (url, list, member, more) = (section.url, section.list, section.member, section.more);
            directories.push(GroupDirectory { name, url, rule, authorization, list, member, more });
        }
    }
    directories
}

/// A secret that can be read now, and is read again when it is needed.
fn secret(
    section: &SecretSection,
    around: &Surroundings<'_>,
    at: &At,
    check: &mut Check,
) -> Option<Arc<dyn SecretSource>> {
    let kept = Kept(section.reference(around, at, check)?);
    if let Err(why) = kept.read() {
        check.absent(at, why, "a secret that can be read");
    }
    Some(Arc::new(kept))
}

/// A reference lent to the room that needs it.
#[derive(Debug)]
struct Kept(Reference);

impl SecretSource for Kept {
    fn read(&self) -> Result<Arc<Secret>, String> {
        self.0.read().map_err(|error| error.to_string())
    }
}
