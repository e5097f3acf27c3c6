use super::*;
use crate::AuthnError;
use crate::claims::numeric_date;
use model::{Clock, FixedClock, Timestamp};
use serde_json::json;
use std::sync::Arc;
use std::time::Duration;
use testdb::TestDb;

const ISSUER: &str = "https://idp.test";
const NOW: i64 = 1_795_219_200;

fn claims(changes: serde_json::Value) -> serde_json::Map<String, serde_json::Value> {
    let mut claims = json!({
        "iss": ISSUER, "sub": "alice", "aud": "https://gw.test/mcp", "azp": "cli", "tid": "t-1",
        "iat": NOW, "exp": NOW + 300, "scp": "mcp:read mcp:call",
    });
    let members = claims.as_object_mut().unwrap();
    for (name, value) in changes.as_object().unwrap() {
        if value.is_null() {
            members.remove(name);
        } else {
            members.insert(name.clone(), value.clone());
        }
    }
    members.clone()
}

fn sample(name: &str, changes: serde_json::Value) -> Sample {
    let claims = claims(changes);
    Sample { name: name.into(), claims, header: None, opaque: false, resource: None, at: None, fails: None }
}

/// A contract whose samples do what they have to.
fn document() -> Document {
    let mut document = Document::of(ISSUER);
    document.samples.good = vec![sample("alice", json!({}))];
    document.samples.bad = vec![sample("no tenant", json!({ "tid": null }))];
    document
}

fn key() -> ContractKey {
    ContractKey { issuer: ISSUER.into(), resource: None }
}

/// The claims for which one is refused under a change of the document.
fn refused(change: &str, claims_change: serde_json::Value) -> Vec<&'static str> {
    let mut value = serde_json::to_value(document()).unwrap();
    let change: serde_json::Value = serde_saphyr::from_str(change).unwrap();
    for (name, part) in change.as_object().unwrap() {
        value[name] = part.clone();
    }
    let contract = Contract::compile(&serde_json::from_value(value).unwrap(), 1).unwrap();
    let claims = claims(claims_change);
    let form = Form::Signed { token_type: Some("at+jwt"), algorithm: "ES256" };
    let resource = crate::Resource::new("https://gw.test/mcp", vec![], vec![], vec![]).unwrap();
    let now = numeric_date(&json!(NOW + 1)).unwrap();
    let (report, _) = contract.report(&Presented { claims: &claims, form }, Some(&resource), now);
    report.clauses.iter().filter(|clause| clause.error.is_some()).map(|clause| clause.claim).collect()
}

#[test]
fn what_a_contract_requires_is_required() {
    let none: [&str; 0] = [];
    for (contract, change, expect) in [
        ("{}", json!({}), none.as_slice()),
        ("require: { tid: { equals: t-1 } }", json!({}), &[]),
        ("require: { tid: { equals: t-1 } }", json!({ "tid": "t-2" }), &["tid"]),
        ("require: { tid: { equals: t-1 } }", json!({ "tid": ["t-1"] }), &["tid", "tenant_id"]),
        ("require: { ver: { equals: 2 } }", json!({ "ver": "2" }), &["ver"]),
        ("require: { ver: { one_of: ['1.0', '2.0'] } }", json!({ "ver": "2.0" }), &[]),
        ("require: { ver: { one_of: ['1.0', '2.0'] } }", json!({ "ver": "3.0" }), &["ver"]),
        ("require: { email: { type: string } }", json!({}), &["email"]),
        ("require: { email: { type: string, optional: true } }", json!({}), &[]),
        ("require: { email: { type: string, optional: true } }", json!({ "email": 1 }), &["email"]),
        ("require: { email: { pattern: '[a-z]+@acme[.]test' } }", json!({ "email": "a@acme.test" }), &[]),
        // From start to end: neither a part nor a line of it.
        (
            "require: { email: { pattern: '[a-z]+@acme[.]test' } }",
            json!({ "email": "a@acme.test.evil" }),
            &["email"],
        ),
        ("require: { email: { pattern: 'a|b' } }", json!({ "email": "ab" }), &["email"]),
        ("require: { email: { pattern: '[a-z]+' } }", json!({ "email": "a\nb" }), &["email"]),
        ("require: { amr: { pattern: 'mfa|pwd' } }", json!({ "amr": ["mfa", "pwd"] }), &[]),
        ("require: { amr: { pattern: 'mfa|pwd' } }", json!({ "amr": ["mfa", "sms"] }), &["amr"]),
        ("require: { amr: { contains: mfa } }", json!({ "amr": ["pwd", "mfa"] }), &[]),
        ("require: { amr: { contains: mfa } }", json!({ "amr": ["pwd"] }), &["amr"]),
        ("require: { scp: { contains: 'mcp:call' } }", json!({}), &[]),
        ("require: { scp: { contains: 'mcp' } }", json!({}), &["scp"]),
        ("require: { act: { absent: true } }", json!({}), &[]),
        ("require: { act: { absent: true } }", json!({ "act": { "sub": "x" } }), &["act"]),
        (
            "require: { '/realm_access/roles': { type: strings } }",
            json!({ "realm_access": { "roles": ["a"] } }),
            &[],
        ),
        (
            "require: { realm_access.roles: { type: strings } }",
            json!({ "realm_access": { "roles": [1] } }),
            &["realm_access.roles", "roles"],
        ),
        ("require: { n: { type: integer } }", json!({ "n": 1.5 }), &["n"]),
        ("require: { n: { type: boolean } }", json!({ "n": "true" }), &["n"]),
        ("types: [JWT]", json!({}), &["typ"]),
        ("{}", json!({ "token_use": "access" }), &[]),
        // Ory Hydra's introspection says it so.
        ("{}", json!({ "token_use": "access_token" }), &[]),
        ("{}", json!({ "token_use": "refresh_token" }), &["token"]),
        ("{}", json!({ "token_use": "id" }), &["token"]),
        ("algorithms: [RS256]", json!({}), &["alg"]),
        ("max_lifetime_seconds: 299", json!({}), &["exp"]),
        ("audience: { also: ['api://x'] }", json!({ "aud": "api://x" }), &[]),
        ("audience: { resource: false, also: ['api://x'] }", json!({}), &["aud"]),
        ("{}", json!({ "aud": ["a", "https://gw.test/mcp"] }), &[]),
        ("{}", json!({ "aud": "https://gw.test/mcp/" }), &["aud"]),
        ("{}", json!({ "iat": NOW + 62 }), &["iat"]),
        ("{ skew_seconds: 60 }", json!({ "iat": NOW + 60 }), &[]),
        ("{}", json!({ "tid": null, "sub": null }), &["sub", "sub", "tenant_id"]),
    ] {
        assert_eq!(refused(contract, change.clone()), expect, "{contract} {change}");
    }
}

#[test]
fn every_fault_of_a_contract_is_told_and_unknown_keys_are_faults() {
    for (text, at) in [
        ("issuer: ''", "issuer"),
        ("{ issuer: a, resource: 'https://gw.test/mcp/' }", "resource"),
        ("{ issuer: a, types: [] }", "types"),
        ("{ issuer: a, algorithms: [] }", "algorithms"),
        ("{ issuer: a, skew_seconds: 61 }", "skew_seconds"),
        ("{ issuer: a, max_lifetime_seconds: 0 }", "max_lifetime_seconds"),
        ("{ issuer: a, max_lifetime_seconds: 86401 }", "max_lifetime_seconds"),
        ("{ issuer: a, audience: { resource: false } }", "audience"),
        ("{ issuer: a, audience: { also: [''] } }", "audience.also"),
        ("{ issuer: a, principal: { user: { from: [] } } }", "principal.user.from"),
        ("{ issuer: a, principal: { tenant: { from: [] } } }", "principal.tenant.from"),
        ("{ issuer: a, principal: { tenant: { fixed: x, map: { a: b } } } }", "principal.tenant.map"),
        ("{ issuer: a, principal: { roles: { unmapped: refuse } } }", "principal.roles.unmapped"),
        ("{ issuer: a, principal: { roles: { from: [], required: true } } }", "principal.roles.required"),
        ("{ issuer: a, require: { tid: { pattern: '(' } } }", "require.tid.pattern"),
        ("{ issuer: a, require: { tid: { pattern: 'a)|(b' } } }", "require.tid.pattern"),
        ("{ issuer: a, require: { tid: { pattern: '(\\w{500}){500}' } } }", "require.tid.pattern"),
        ("{ issuer: a, require: { tid: { pattern: '(a)\\1' } } }", "require.tid.pattern"),
        ("{ issuer: a, require: { tid: { equals: [a] } } }", "require.tid.equals"),
        ("{ issuer: a, require: { tid: { absent: true, type: string } } }", "require.tid.absent"),
        ("{ issuer: a, require: { tid: { optional: true } } }", "require.tid"),
        ("{ issuer: a, nonce_allowed: true }", "nonce_allowed"),
        ("{ issuer: a, nonce_allowed: true, require: { azp: { equals: x } } }", "nonce_allowed"),
        (
            "{ issuer: a, nonce_allowed: true, require: { typ: { equals: Bearer, optional: true } } }",
            "nonce_allowed",
        ),
        ("{ issuer: a, nonce_allowed: true, require: { typ: { type: string } } }", "nonce_allowed"),
        ("{ issuer: a, nonce_allowed: true, require: { typ: { equals: ID } } }", "nonce_allowed"),
        ("{ issuer: a, require: { '': { type: string } } }", "(claims)"),
        ("{ issuer: a, samples: { good: [{ name: a, claims: {} }, { name: a, claims: {} }] } }", "samples"),
    ] {
        let faults = Contract::compile(&Document::parse(text).unwrap(), 1).err().expect(text);
        assert!(faults.iter().any(|fault| fault.at == at), "{text}: {faults:?}");
    }
    for unknown in [
        "{ issuer: a, required_claims: [tid] }",
        "{ issuer: a, require: { tid: { matches: x } } }",
        "{ issuer: a, require: { tid: { type: uuid } } }",
        "{ issuer: a, principal: { team: { from: [x] } } }",
        "{ issuer: a, algorithms: [HS256] }",
        "{ issuer: a, algorithms: [none] }",
        "{ issuer: a, opaque: { may_omit: [aud] } }",
        "{ issuer: a, principal: { groups_overage: none } }",
        "{ issuer: a, issuer: b }",
        "{}",
    ] {
        assert!(Document::parse(unknown).is_err(), "{unknown}");
    }
}

#[test]
fn a_pattern_takes_linear_time() {
    let mut document = document();
    let rule = Requirement { pattern: Some("(a*)*b".into()), ..Requirement::default() };
    document.require.insert("x".into(), rule);
    let contract = Contract::compile(&document, 1).unwrap();
    let claims = claims(json!({ "x": "a".repeat(500) }));
    // A backtracking engine would be at this for longer than the universe lasts.
    assert_eq!(contract.required[0].check(&claims), Err(AuthnError::ClaimRefused("x")));
}

#[test]
fn the_schema_accepts_what_the_reader_accepts() {
    let schema = Document::schema();
    assert_eq!(schema["additionalProperties"], false);
    assert!(schema["properties"]["principal"]["properties"]["groups_overage"].is_object(), "{schema}");
}

#[test]
fn the_examples_do_what_their_samples_say() {
    let folder = concat!(env!("CARGO_MANIFEST_DIR"), "/../../examples/contracts");
    let mut seen = 0;
    for entry in std::fs::read_dir(folder).unwrap() {
        let path = entry.unwrap().path();
        let document = Document::parse(&std::fs::read_to_string(&path).unwrap());
        let document = document.unwrap_or_else(|error| panic!("{}: {error}", path.display()));
        let contract = Contract::compile(&document, 1).unwrap();
        assert_eq!(contract.try_samples(&document), [], "{}", path.display());
        seen += 1;
    }
    assert_eq!(seen, 5);
}

#[test]
fn samples_have_to_do_what_they_say() {
    let tried = |change: &dyn Fn(&mut Document)| {
        let mut document = document();
        change(&mut document);
        let contract = Contract::compile(&document, 1).unwrap();
        contract.try_samples(&document).iter().map(ToString::to_string).collect::<Vec<_>>().join("; ")
    };
    assert_eq!(tried(&|_| {}), "");
    assert!(tried(&|document| document.samples.good.clear()).contains("no good sample"));
    assert!(tried(&|document| document.samples.bad.clear()).contains("no bad sample"));
    let bad =
        |changes, fails: Option<&str>| Sample { fails: fails.map(Into::into), ..sample("bad", changes) };
    for (sample, what) in [
        (bad(json!({}), None), "it has to fail, and passes"),
        (bad(json!({ "tid": null }), Some("tenant_id")), ""),
        (bad(json!({ "tid": null }), Some("aud")), "has to fail for aud, and fails for tenant_id"),
        (bad(json!({ "aud": "https://other.test/x", "tid": null }), Some("tenant_id")), ""),
        (Sample { resource: Some("https://gw.test/other".into()), ..bad(json!({}), Some("aud")) }, ""),
        (
            Sample {
                header: Some(TokenHeader { typ: Some("none".into()), alg: None }),
                ..bad(json!({}), Some("typ"))
            },
            "",
        ),
        (Sample { at: Some(NOW + 400), ..bad(json!({}), Some("exp")) }, ""),
        (Sample { resource: Some("nonsense".into()), ..bad(json!({}), None) }, "cannot name a resource"),
    ] {
        let said = tried(&|document| document.samples.bad = vec![sample.clone()]);
        assert!(if what.is_empty() { said.is_empty() } else { said.contains(what) }, "{said} {what}");
    }
    // Where a token without a type is accepted, a sample is one unless it says otherwise.
    assert_eq!(tried(&|document| document.types = vec!["none".into()]), "");
    let typed = |typ: &str| {
        let header = Some(TokenHeader { typ: Some(typ.into()), alg: None });
        tried(&|document| {
            document.types = vec!["none".into()];
            document.samples.good[0].header = header.clone();
        })
    };
    assert_eq!(typed("none"), "");
    assert!(typed("at+jwt").contains("fails for typ"), "{}", typed("at+jwt"));
    // What is said of a sample has none of its values.
    let said = tried(&|document| document.samples.good[0].claims["tid"] = json!(["secret-value"]));
    assert!(said.contains("tenant_id") && !said.contains("secret-value"), "{said}");
}

fn repository(db: storage::Db) -> (Contracts, Arc<FixedClock>) {
    let clock = Arc::new(FixedClock::at(Timestamp(1_000_000)));
    (Contracts::new(db, Arc::clone(&clock) as Arc<dyn Clock>), clock)
}

async fn standing(contracts: &Contracts) -> Vec<(i64, Status)> {
    contracts.standing().await.unwrap().iter().map(|row| (row.version, row.status)).collect()
}

#[tokio::test]
async fn a_contract_goes_from_draft_over_shadow_to_enforced_and_back() {
    for test in TestDb::each().await {
        let (contracts, clock) = repository(test.db.clone());
        for version in 1..=3 {
            let row = contracts.draft(&document(), "ann").await.unwrap();
            assert_eq!((row.version, row.status, row.created_by.as_str()), (version, Status::Draft, "ann"));
        }
        assert_eq!(standing(&contracts).await, []);
        for version in 1..=3 {
            clock.advance(Duration::from_secs(60));
            contracts.shadow(&key(), version, "ann").await.unwrap();
            clock.advance(Duration::from_secs(60));
            contracts.enforce(&key(), version, "ben").await.unwrap();
            assert_eq!(standing(&contracts).await, [(version, Status::Enforced)]);
        }
        let fourth = contracts.draft(&document(), "ann").await.unwrap();
        contracts.shadow(&key(), fourth.version, "ann").await.unwrap();
        assert_eq!(standing(&contracts).await, [(3, Status::Enforced), (4, Status::Shadow)]);
        // Never enforced, so there is nothing to go back to.
        assert!(matches!(
            contracts.rollback(&key(), Some(4), "ben").await,
            Err(ContractError::Status("shadow"))
        ));
        assert!(matches!(contracts.rollback(&key(), Some(9), "ben").await, Err(ContractError::Unknown)));
        for back in [2, 1] {
            clock.advance(Duration::from_secs(60));
            let row = contracts.rollback(&key(), None, "ben").await.unwrap().unwrap();
            assert_eq!((row.version, row.changed_by.as_str()), (back, "ben"));
        }
        assert!(contracts.rollback(&key(), None, "ben").await.unwrap().is_none());
        assert_eq!(standing(&contracts).await, [(4, Status::Shadow)]);
        assert!(matches!(contracts.rollback(&key(), None, "ben").await, Err(ContractError::Unknown)));
        assert_eq!(contracts.rollback(&key(), Some(3), "ben").await.unwrap().unwrap().version, 3);
        assert!(contracts.rollback(&key(), Some(0), "ben").await.unwrap().is_none());
        let ended = contracts.end_shadow(&key(), "ben").await.unwrap();
        assert_eq!((ended.version, ended.status, ended.changed_by.as_str()), (4, Status::Retired, "ben"));
        assert!(matches!(contracts.end_shadow(&key(), "ben").await, Err(ContractError::Unknown)));
        assert_eq!(standing(&contracts).await, []);
        assert_eq!(contracts.list(10).await.unwrap().len(), 4);
        assert_eq!(contracts.get(&key(), 2).await.unwrap().unwrap().parsed().unwrap(), document());
        // Another resource of the same issuer is another contract.
        let mut other = document();
        other.resource = Some("https://gw.test/mcp".into());
        assert_eq!(contracts.draft(&other, "ann").await.unwrap().version, 1);
    }
}

#[tokio::test]
async fn a_contract_is_not_published_unless_its_samples_do_what_they_have_to() {
    for test in TestDb::each().await {
        let (contracts, _) = repository(test.db.clone());
        let mut bad = document();
        bad.samples.bad.clear();
        let version = contracts.draft(&bad, "ann").await.unwrap().version;
        for refused in [
            contracts.enforce(&key(), version, "ann").await.err(),
            contracts.shadow(&key(), version, "ann").await.err(),
        ] {
            let Some(ContractError::Samples(faults)) = refused else { panic!("{refused:?}") };
            assert_eq!(faults.len(), 1);
        }
        assert_eq!(standing(&contracts).await, []);
        bad.types.clear();
        assert!(matches!(contracts.draft(&bad, "ann").await, Err(ContractError::Faults(_))));
        assert!(matches!(contracts.enforce(&key(), 7, "ann").await, Err(ContractError::Unknown)));
    }
}

#[tokio::test]
async fn whoever_races_there_is_one_of_each_number_and_one_enforced() {
    for test in TestDb::each().await {
        let (contracts, _) = repository(test.db.clone());
        let (other, _) = repository(test.again().await);
        let draft = |contracts: &Contracts| {
            let contracts = contracts.clone();
            tokio::spawn(async move { contracts.draft(&document(), "x").await.unwrap().version })
        };
        let mut versions = Vec::new();
        for task in [&contracts, &other, &contracts, &other].map(draft) {
            versions.push(task.await.unwrap());
        }
        versions.sort_unstable();
        assert_eq!(versions, [1, 2, 3, 4]);
        let enforce = |(contracts, version): (&Contracts, i64)| {
            let contracts = contracts.clone();
            tokio::spawn(async move { contracts.enforce(&key(), version, "x").await.is_ok() })
        };
        let mut won = 0;
        for task in [(&contracts, 1), (&other, 2), (&contracts, 3), (&other, 4)].map(enforce) {
            won += usize::from(task.await.unwrap());
        }
        assert!(won >= 1);
        assert_eq!(standing(&contracts).await.len(), 1);
    }
}

#[tokio::test]
async fn a_change_is_heard_by_other_replicas() {
    for test in TestDb::each().await {
        let (here, _) = repository(test.db.clone());
        // SQLite is one process: its notices are heard in it.
        let there = if test.db.kind() == "sqlite" { test.db.clone() } else { test.again().await };
        let (there, _) = repository(there);
        let mut notices = there.notices().await.unwrap();
        here.draft(&document(), "ann").await.unwrap();
        here.enforce(&key(), 1, "ann").await.unwrap();
        tokio::time::timeout(Duration::from_secs(5), notices.next()).await.unwrap().unwrap();
        assert_eq!(standing(&there).await, [(1, Status::Enforced)]);
    }
}

#[test]
fn no_stored_contract_is_about_our_own_tokens() {
    let row = ContractRow {
        key: key(),
        version: 1,
        status: Status::Enforced,
        document: serde_json::to_string(&document()).unwrap(),
        created_at: Timestamp(0),
        created_by: String::new(),
        changed_at: Timestamp(0),
        changed_by: String::new(),
        enforced_at: None,
    };
    let standing = Standing::of(&[row], &Standing::default());
    let mut implicit = Contract::of(&crate::IssuerConfig::new(ISSUER), OpaqueRule::default());
    let resource = crate::Resource::new("https://gw.test/mcp", vec![], vec![], vec![]).unwrap();
    implicit.own = true;
    assert_eq!(standing.rules(&Arc::new(implicit), &resource).unwrap().enforced.version(), 0);
}

#[test]
fn what_cannot_be_read_leaves_what_was_in_force_or_lets_nobody_in() {
    let row = |version, document: &str, status| ContractRow {
        key: key(),
        version,
        status,
        document: document.into(),
        created_at: Timestamp(0),
        created_by: String::new(),
        changed_at: Timestamp(0),
        changed_by: String::new(),
        enforced_at: None,
    };
    let good = serde_json::to_string(&document()).unwrap();
    let newer = r#"{"issuer":"https://idp.test","quantum":true}"#;
    let implicit = Arc::new(Contract::of(&crate::IssuerConfig::new(ISSUER), OpaqueRule::default()));
    let resource = crate::Resource::new("https://gw.test/mcp", vec![], vec![], vec![]).unwrap();
    let version =
        |standing: &Standing| standing.rules(&implicit, &resource).map(|rules| rules.enforced.version());
    let none = Standing::default();
    assert_eq!(version(&none), Ok(0));
    let first = Standing::of(&[row(1, &good, Status::Enforced)], &none);
    assert_eq!(version(&first), Ok(1));
    let second = Standing::of(&[row(2, newer, Status::Enforced)], &first);
    assert_eq!((version(&second), second.unreadable().len()), (Ok(1), 1));
    let third = Standing::of(&[row(2, newer, Status::Enforced)], &none);
    assert_eq!(version(&third), Err(AuthnError::ContractUnreadable));
    assert_eq!(AuthnError::ContractUnreadable.status(), 503);
    let gone = Standing::of(&[], &third);
    assert_eq!(version(&gone), Ok(0));
}
