//! Stored contracts on the way of a token.

use super::*;
use crate::contract::{ContractKey, ContractRow, Document, Standing, Status};
use crate::{Difference, Watch};

/// Rows as the database would hold them.
fn rows(contracts: &[(i64, Status, Document)]) -> Vec<ContractRow> {
    let row = |(version, status, document): &(i64, Status, Document)| ContractRow {
        key: ContractKey { issuer: document.issuer.clone(), resource: document.resource.clone() },
        version: *version,
        status: *status,
        document: serde_json::to_string(document).unwrap(),
        created_at: Timestamp(0),
        created_by: "ann".into(),
        changed_at: Timestamp(0),
        changed_by: "ann".into(),
        enforced_at: None,
    };
    contracts.iter().map(row).collect()
}

impl World {
    pub(super) fn contract(&self, yaml: &str) -> Document {
        Document::parse(&format!("issuer: {}\n{yaml}", self.idp.issuer)).unwrap()
    }

    pub(super) fn enforce(&self, contracts: &[(i64, Status, Document)]) {
        let standing = Standing::of(&rows(contracts), &self.authn.standing());
        assert!(standing.unreadable().is_empty(), "{:?}", standing.unreadable());
        self.authn.enforce(standing);
    }
}

const ENTRA: &str = "
types: [JWT, at+jwt]
principal:
  user: { from: [oid] }
  client: { from: [azp] }
  tenant: { from: [tid], map: { 11-22: acme } }
  roles: { from: [roles], map: { Portunus.Admin: [admin, dev] } }
require:
  ver: { equals: '2.0' }
  tid: { equals: '11-22' }
audience: { resource: false, also: ['api://portunus'] }
";

fn entra(world: &World, changes: Value) -> Value {
    let claims = json!({
        "oid": "o-1", "tid": "11-22", "azp": "web", "ver": "2.0", "scp": "mcp:call", "aud": "api://portunus",
        "roles": ["Portunus.Admin", "Other"], "client_id": null, "tenant_id": null, "scope": null,
    });
    with(with(world.claims(), claims), changes)
}

#[tokio::test]
async fn a_stored_contract_takes_the_place_of_the_configuration() {
    let key = Signer::new("k1", Algorithm::Es256);
    let world = World::new(&[&key]).await;
    let (plain, token) = (key.sign(&world.claims()), key.sign(&entra(&world, json!({}))));
    let verified = world.present(&plain).await.unwrap();
    assert!(world.present(&token).await.is_err());
    world.enforce(&[(1, Status::Enforced, world.contract(ENTRA))]);
    let who = world.present(&token).await.unwrap().principal;
    assert_eq!((who.user.as_ref(), who.client.as_ref(), who.tenant.as_ref()), ("o-1", "web", "acme"));
    assert_eq!(who.roles.iter().map(AsRef::as_ref).collect::<Vec<_>>(), ["admin", "dev"]);
    assert_eq!(who.scopes.iter().map(AsRef::as_ref).collect::<Vec<_>>(), ["mcp:call"]);
    // What was remembered is judged anew, and an open stream is told.
    assert_eq!(world.present(&plain).await.err(), Some(AuthnError::WrongAudience));
    assert_eq!(world.authn.recheck(&verified), Err(AuthnError::RulesChanged));
    // And back.
    world.enforce(&[]);
    world.present(&plain).await.unwrap();
    world.authn.recheck(&verified).unwrap();
}

#[tokio::test]
async fn a_refusal_names_the_claim_and_never_its_value() {
    let key = Signer::new("k1", Algorithm::Es256);
    let world = World::new(&[&key]).await;
    world.enforce(&[(1, Status::Enforced, world.contract(ENTRA))]);
    use AuthnError as E;
    for (changes, expect, named) in [
        (json!({ "tid": "canary" }), E::ClaimRefused("tid"), "tid"),
        (json!({ "tid": null }), E::BadClaim("tid"), "tid"),
        (json!({ "ver": "canary" }), E::ClaimRefused("ver"), "ver"),
        (json!({ "oid": ["canary"] }), E::BadClaim("oid"), "oid"),
        (json!({ "azp": null }), E::BadClaim("azp"), "azp"),
        (json!({ "roles": { "canary": 1 } }), E::BadClaim("roles"), "roles"),
        (json!({ "aud": "canary" }), E::WrongAudience, "audience"),
        (json!({ "aud": RESOURCE }), E::WrongAudience, "audience"),
        (json!({ "exp": NOW + 4000 }), E::LivesTooLong, "lives"),
        (json!({ "iat": NOW + 40 }), E::NotYet, "valid"),
    ] {
        let refused = world.present(&key.sign(&entra(&world, changes.clone()))).await.err();
        assert_eq!(refused, Some(expect), "{changes}");
        let challenge = crate::challenge(expect, &world.resource).unwrap();
        let challenge = challenge.to_str().unwrap();
        assert!(challenge.contains("error=\"invalid_token\"") && challenge.contains(named), "{challenge}");
        assert!(!challenge.contains("canary"), "{challenge}");
        assert_eq!(expect.status(), 401);
    }
}

#[tokio::test]
async fn a_resources_own_contract_comes_before_the_one_of_all() {
    let key = Signer::new("k1", Algorithm::Es256);
    let world = World::new(&[&key]).await;
    let own = world.contract(&format!("resource: {RESOURCE}\nrequire: {{ roles: {{ contains: admin }} }}"));
    let all = world.contract("require: { roles: { contains: dev } }");
    world.enforce(&[(1, Status::Enforced, all), (1, Status::Enforced, own)]);
    let other = Resource::new("https://gw.test/mcp", vec![], vec![], vec![]).unwrap();
    let token = |roles: &str| {
        key.sign(&with(world.claims(), json!({ "roles": [roles], "aud": [RESOURCE, "https://gw.test/mcp"] })))
    };
    assert_eq!(world.present(&token("dev")).await.err(), Some(AuthnError::ClaimRefused("roles")));
    world.present(&token("admin")).await.unwrap();
    world.present_at(&token("dev"), &other).await.unwrap();
    assert_eq!(
        world.present_at(&token("admin"), &other).await.err(),
        Some(AuthnError::ClaimRefused("roles"))
    );
}

#[tokio::test]
async fn groups_that_are_elsewhere_are_never_none() {
    let key = Signer::new("k1", Algorithm::Es256);
    let world = World::new(&[&key]).await;
    world.enforce(&[(1, Status::Enforced, world.contract("description: defaults"))]);
    let elsewhere = json!({ "_claim_names": { "groups": "src1" },
        "_claim_sources": { "src1": { "endpoint": "https://graph.test/x" } } });
    for changes in
        [elsewhere.clone(), with(elsewhere, json!({ "groups": ["few"] })), json!({ "hasgroups": true })]
    {
        let token = key.sign(&with(world.claims(), changes.clone()));
        assert_eq!(world.present(&token).await.err(), Some(AuthnError::BadClaim("groups")), "{changes}");
    }
    let nonsense = key.sign(&with(world.claims(), json!({ "_claim_names": "groups" })));
    assert!(matches!(world.present(&nonsense).await, Err(AuthnError::BadClaim(_))));
    // Some other claim that is elsewhere takes nothing from anybody.
    let photo = json!({ "_claim_names": { "photo": "src1" }, "groups": ["few"] });
    assert_eq!(
        world.present(&key.sign(&with(world.claims(), photo))).await.unwrap().principal.groups.len(),
        1
    );
}

#[tokio::test]
async fn groups_that_are_elsewhere_are_never_none_however_their_claim_is_written() {
    let key = Signer::new("k1", Algorithm::Es256);
    let world = World::new(&[&key]).await;
    let names = |name: &str| json!({ "_claim_names": { name: "src1" } });
    for (from, changes) in [
        ("/groups", names("groups")),
        ("/groups", json!({ "hasgroups": true })),
        ("/groups, wids", json!({ "hasgroups": true, "wids": ["w-1"] })),
        ("wids, groups", json!({ "hasgroups": true, "wids": ["w-1"] })),
        ("groups", json!({ "hasgroups": true, "groups": ["few"] })),
        // The claim that holds them is elsewhere as a whole.
        ("realm_access.groups", names("realm_access")),
        ("/realm_access/groups", names("realm_access")),
        ("/a~1b/groups", names("a/b")),
        ("https://acme.test/groups", names("https://acme.test/groups")),
    ] {
        let contract = world.contract(&format!("principal: {{ groups: {{ from: [{from}] }} }}"));
        world.enforce(&[(1, Status::Enforced, contract)]);
        let refused = world.present(&key.sign(&with(world.claims(), changes.clone()))).await.err();
        assert!(matches!(refused, Some(AuthnError::BadClaim(_))), "{from}: {changes}: {refused:?}");
    }
    // What says that there are none of them elsewhere is no reason to refuse, nor what another claim is.
    for changes in [json!({ "hasgroups": false }), names("groupies"), names("group")] {
        world.enforce(&[(1, Status::Enforced, world.contract("principal: { groups: { from: [/groups] } }"))]);
        world.present(&key.sign(&with(world.claims(), changes))).await.unwrap();
    }
}

#[tokio::test]
async fn a_token_without_a_type_passes_where_none_is_accepted_and_nowhere_else() {
    let key = Signer::new("k1", Algorithm::Es256);
    let signed = |world: &World, token_type: Value, changes: Value| {
        let header = with(json!({ "alg": "ES256", "kid": "k1" }), json!({ "typ": token_type }));
        key.sign_raw(&header.to_string(), &with(world.claims(), changes).to_string())
    };
    let world = World::new(&[&key]).await;
    let untyped = signed(&world, Value::Null, json!({}));
    assert_eq!(world.present(&untyped).await.err(), Some(AuthnError::WrongType));
    world.enforce(&[(1, Status::Enforced, world.contract("types: [none]"))]);
    world.present(&untyped).await.unwrap();
    // The word is no type: a token that has it has one.
    for given in ["at+jwt", "JWT", "none", "NONE", "application/none", ""] {
        let refused = world.present(&signed(&world, json!(given), json!({}))).await.err();
        assert_eq!(refused, Some(AuthnError::WrongType), "{given}");
    }
    // The marks of other kinds of token count all the more.
    for mark in [
        json!({ "nonce": "n" }),
        json!({ "at_hash": "h" }),
        json!({ "c_hash": "h" }),
        json!({ "events": {} }),
        json!({ "token_use": "id" }),
        json!({ "typ": "ID" }),
        json!({ "typ": "Refresh" }),
    ] {
        let refused = world.present(&signed(&world, Value::Null, mark.clone())).await.err();
        assert_eq!(refused, Some(AuthnError::NotAccessToken), "{mark}");
    }
    // The configuration says it likewise.
    let types = |config: &mut Config| config.issuers[0].token_types = vec!["at+jwt".into(), "none".into()];
    let world = World::with(&[&key], types).await;
    world.present(&signed(&world, Value::Null, json!({}))).await.unwrap();
    world.present(&signed(&world, json!("at+jwt"), json!({}))).await.unwrap();
    let refused = world.present(&signed(&world, json!("JWT"), json!({}))).await.err();
    assert_eq!(refused, Some(AuthnError::WrongType));
}

#[tokio::test]
async fn a_nonce_is_let_pass_where_the_contract_says_so_and_asks_for_a_mark_instead() {
    let key = Signer::new("k1", Algorithm::Es256);
    let world = World::new(&[&key]).await;
    let token = |changes: Value| key.sign(&with(with(world.claims(), json!({ "nonce": "n" })), changes));
    let bearer = token(json!({ "typ": "Bearer" }));
    // To require the mark is not yet to allow the nonce.
    world.enforce(&[(1, Status::Enforced, world.contract("require: { typ: { equals: Bearer } }"))]);
    assert_eq!(world.present(&bearer).await.err(), Some(AuthnError::NotAccessToken));
    let contract = world.contract("nonce_allowed: true\nrequire: { typ: { equals: Bearer } }");
    world.enforce(&[(1, Status::Enforced, contract)]);
    world.present(&bearer).await.unwrap();
    for (changes, expect) in [
        (json!({}), AuthnError::BadClaim("typ")),
        (json!({ "typ": "ID" }), AuthnError::NotAccessToken),
        (json!({ "typ": "Bearer", "at_hash": "h" }), AuthnError::NotAccessToken),
        (json!({ "typ": "Bearer", "token_use": "id" }), AuthnError::NotAccessToken),
    ] {
        assert_eq!(world.present(&token(changes.clone())).await.err(), Some(expect), "{changes}");
    }
}

#[derive(Default)]
struct Seen(std::sync::Mutex<Vec<(i64, i64, &'static str, &'static str)>>);

impl Watch for Seen {
    fn shadow_differs(&self, d: &Difference<'_>) {
        self.0.lock().unwrap().push((d.enforced, d.shadow, d.claim, d.does));
    }
}

#[tokio::test]
async fn a_contract_in_shadow_is_heard_and_not_obeyed() {
    let key = Signer::new("k1", Algorithm::Es256);
    let world = World::new(&[&key]).await;
    let seen = Arc::new(Seen::default());
    world.authn.watched_by(Arc::clone(&seen) as Arc<dyn Watch>);
    let heard = || std::mem::take(&mut *seen.0.lock().unwrap());
    let shadow = world.contract(
        "types: [at+jwt, JWT]\nrequire: { mfa: { equals: true } }\nprincipal: { tenant: { map: { acme: a-1 } } }",
    );
    world.enforce(&[(7, Status::Shadow, shadow)]);
    // It would refuse this one, and does not.
    let token = key.sign(&world.claims());
    assert_eq!(&*world.present(&token).await.unwrap().principal.tenant, "acme");
    assert_eq!(heard(), [(0, 7, "mfa", "refuses")]);
    // From memory: it is not judged again.
    world.present(&token).await.unwrap();
    assert_eq!(heard(), []);
    // It would understand it otherwise.
    let token = key.sign(&with(world.claims(), json!({ "mfa": true })));
    assert_eq!(&*world.present(&token).await.unwrap().principal.tenant, "acme");
    assert_eq!(heard(), [(0, 7, "tenant", "maps")]);
    // It would accept what is refused, and it stays refused.
    let header = json!({ "alg": "ES256", "kid": "k1", "typ": "JWT" }).to_string();
    let token = key.sign_raw(&header, &with(world.claims(), json!({ "mfa": true })).to_string());
    assert_eq!(world.present(&token).await.err(), Some(AuthnError::WrongType));
    assert_eq!(heard(), [(0, 7, "typ", "accepts")]);
    // Nobody makes it speak with a token that its issuer did not sign.
    let forged = Signer::new("k1", Algorithm::Es256).sign_raw(&header, &world.claims().to_string());
    assert_eq!(world.present(&forged).await.err(), Some(AuthnError::BadSignature));
    assert_eq!(heard(), []);
}

#[tokio::test]
async fn a_contract_of_fewer_algorithms_refuses_the_others() {
    let (es, rs) = (Signer::new("es", Algorithm::Es256), Signer::new("rs", Algorithm::Rs256));
    let world = World::new(&[&es, &rs]).await;
    world.enforce(&[(1, Status::Enforced, world.contract("algorithms: [ES256]"))]);
    world.present(&es.sign(&world.claims())).await.unwrap();
    assert_eq!(world.present(&rs.sign(&world.claims())).await.err(), Some(AuthnError::WrongAlgorithm));
}

/// Prints what a remembered token costs: `cargo test --release -p authn -- --ignored --nocapture a_remembered`.
#[tokio::test]
#[ignore = "a measurement"]
async fn a_remembered_token_costs_nanoseconds() {
    let key = Signer::new("k1", Algorithm::Es256);
    let world = World::new(&[&key]).await;
    world.enforce(&[(1, Status::Enforced, world.contract("require: { roles: { contains: dev } }"))]);
    let mut headers = HeaderMap::new();
    headers.insert(AUTHORIZATION, format!("Bearer {}", key.sign(&world.claims())).parse().unwrap());
    let uri = Uri::from_static("/servers/git/mcp");
    const ROUNDS: u32 = 100_000;
    for round in 0..3 {
        #[allow(clippy::disallowed_methods, reason = "a measurement")]
        let begun = std::time::Instant::now();
        for _ in 0..ROUNDS {
            world.authn.authenticate(&headers, &uri, &world.resource).await.unwrap();
        }
        println!("round {round}: {} ns", begun.elapsed().as_nanos() / u128::from(ROUNDS));
    }
}
