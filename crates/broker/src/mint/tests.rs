use super::*;
use crate::{AttachError, Mint, Plan, Strategy, attach};
use http::header::AUTHORIZATION;
use http::{HeaderMap, HeaderName, HeaderValue};
use model::{FixedClock, SeededDice};
use serde_json::{Value, json};
use std::sync::Mutex;

/// Signs by writing the claims down.
#[derive(Default)]
struct Scribe {
    broken: Mutex<bool>,
}

impl Sign for Scribe {
    fn sign(&self, typ: &str, claims: &[u8]) -> Result<Signed, SignError> {
        if *self.broken.lock().unwrap() {
            return Err(SignError("no signing key is active".into()));
        }
        let token = format!("{typ}.{}.x", URL_SAFE_NO_PAD.encode(claims));
        Ok(Signed { kid: "k1".into(), token })
    }
}

struct World {
    clock: Arc<FixedClock>,
    scribe: Arc<Scribe>,
    minter: Arc<Minter>,
}

const NOW: i64 = 1_800_000_000;

impl World {
    fn new() -> Self {
        let clock = Arc::new(FixedClock::at(Timestamp::from_seconds(NOW)));
        let scribe = Arc::new(Scribe::default());
        let minter = Minter::new(
            "https://gw.test",
            Arc::<Scribe>::clone(&scribe),
            Arc::<FixedClock>::clone(&clock),
            Arc::new(SeededDice::new(1)),
        );
        Self { clock, scribe, minter: Arc::new(minter) }
    }

    fn mint(&self, whose: Whose) -> Option<Mint> {
        Some(Mint { minter: Arc::clone(&self.minter), whose })
    }
}

fn assertion(header: HeaderName) -> Assertion {
    Assertion {
        audience: "https://crm.test/mcp".into(),
        header,
        lifetime: Duration::from_secs(60),
        request_digest: true,
        groups: false,
    }
}

fn whose() -> Whose {
    let principal = Principal {
        user: "alice".into(),
        client: "cli".into(),
        agent: Some("agt_1".into()),
        actors: vec!["agt_0".into()],
        tenant: "acme".into(),
        roles: vec!["dev".into()],
        groups: vec!["g".into()],
        scopes: vec!["a".into(), "b".into()],
        issuer: "https://idp.test".into(),
        registered: None,
    };
    let asked = Asked {
        id: CallId::new(Timestamp::from_seconds(NOW), &SeededDice::new(2)),
        item: Some((Kind::Tool, "refund".into())),
        digest: Some(Digest::of(b"{}")),
    };
    Whose {
        principal: Arc::new(principal),
        until: Some(Timestamp::from_seconds(NOW + 100)),
        call: Some(asked),
    }
}

fn claims(headers: &HeaderMap, name: &HeaderName) -> Value {
    let value = headers.get(name).unwrap();
    assert!(value.is_sensitive());
    let text = value.to_str().unwrap();
    let token = if *name == AUTHORIZATION { text.strip_prefix("Bearer ").unwrap() } else { text };
    let payload = token.strip_prefix("at+jwt.").unwrap().strip_suffix(".x").unwrap();
    serde_json::from_slice(&URL_SAFE_NO_PAD.decode(payload).unwrap()).unwrap()
}

#[test]
fn a_token_says_who_calls_what_for_a_minute() {
    let world = World::new();
    let plan = Plan::none().asserting(assertion(AUTHORIZATION)).unwrap();
    assert_eq!((plan.strategy(), plan.account()), (Strategy::GatewayJwt, ""));
    assert_eq!(plan.audience(), Some("https://crm.test/mcp"));
    let credential = attach(&plan, Some("tools/call"), world.mint(whose())).unwrap();
    let mut headers = HeaderMap::new();
    headers.append(AUTHORIZATION, HeaderValue::from_static("Bearer the-callers-own"));
    headers.append(AUTHORIZATION, HeaderValue::from_static("Bearer another"));
    credential.apply(Some("tools/call"), &mut headers).unwrap();
    assert_eq!(headers.get_all(AUTHORIZATION).iter().count(), 1);
    let said = claims(&headers, &AUTHORIZATION);
    let carried = credential.shown().unwrap().last().unwrap();
    assert_eq!(said["jti"], json!(carried.jti));
    let call = whose().call.unwrap().id.to_string();
    assert_eq!(
        said,
        json!({
            "iss": "https://gw.test", "aud": "https://crm.test/mcp", "sub": "alice",
            "sub_id": {"format": "iss_sub", "iss": "https://idp.test", "sub": "alice"},
            "tenant_id": "acme", "roles": ["dev"], "client_id": "cli",
            "act": {"sub": "agt_1", "act": {"sub": "agt_0"}}, "scope": "a b",
            "jti": carried.jti, "txn": call, "tool": "refund", "method": "tools/call",
            "request_digest": Digest::of(b"{}").to_string(), "iat": NOW - 5, "exp": NOW + 55,
        })
    );
}

#[test]
fn every_request_has_a_token_of_its_own_and_one_beside_the_call_says_only_who() {
    let world = World::new();
    let own = HeaderName::from_static("x-portunus-identity");
    let spec = Assertion { groups: true, request_digest: false, ..assertion(own.clone()) };
    let plan = Plan::none().asserting(spec).unwrap();
    let credential = attach(&plan, Some("tools/call"), world.mint(whose())).unwrap();
    let token = |credential: &crate::Credential, method| {
        let mut headers = HeaderMap::new();
        credential.apply(method, &mut headers).unwrap();
        claims(&headers, &own)
    };
    let (first, again) = (token(&credential, Some("tools/call")), token(&credential, Some("tools/call")));
    assert_ne!(first["jti"], again["jti"]);
    assert_eq!(credential.shown().unwrap().last().unwrap().jti.as_ref(), again["jti"].as_str().unwrap());
    assert_eq!((&first["groups"], first.get("request_digest")), (&json!(["g"]), None));
    let beside = credential.aside();
    let opened = token(&beside, Some("initialize"));
    for claim in ["txn", "tool", "request_digest"] {
        assert_eq!(opened.get(claim), None, "{claim}");
    }
    assert_eq!((&opened["sub"], &opened["method"]), (&json!("alice"), &json!("initialize")));
    assert_eq!(token(&beside, None).get("method"), None);
    // The record knows the call's own token still.
    assert_eq!(credential.shown().unwrap().last().unwrap().jti.as_ref(), again["jti"].as_str().unwrap());
}

#[test]
fn an_agent_that_calls_for_itself_acts_for_nobody() {
    let world = World::new();
    let alone = Principal { agent: Some("alice".into()), actors: Vec::new(), ..(*whose().principal).clone() };
    let minted = world.minter.mint(&assertion(AUTHORIZATION), &alone, None, None).unwrap();
    assert!(!minted.token.contains(&URL_SAFE_NO_PAD.encode("\"act\"")));
    let mut headers = HeaderMap::new();
    let plan = Plan::none().asserting(assertion(AUTHORIZATION)).unwrap();
    let whose = Whose { principal: Arc::new(alone), ..whose() };
    attach(&plan, None, world.mint(whose)).unwrap().apply(None, &mut headers).unwrap();
    assert_eq!(claims(&headers, &AUTHORIZATION).get("act"), None);
}

#[test]
fn a_token_that_has_waited_is_minted_anew() {
    let world = World::new();
    let plan = Plan::none().asserting(assertion(AUTHORIZATION)).unwrap();
    let credential = attach(&plan, Some("tools/call"), world.mint(whose())).unwrap();
    world.clock.advance(Duration::from_secs(30));
    let mut headers = HeaderMap::new();
    credential.apply(Some("tools/call"), &mut headers).unwrap();
    assert_eq!(claims(&headers, &AUTHORIZATION)["exp"], json!(NOW + 85));
}

#[test]
fn without_a_key_to_sign_with_nothing_is_sent() {
    let world = World::new();
    let plan = Plan::none().asserting(assertion(AUTHORIZATION)).unwrap();
    assert!(matches!(attach(&plan, None, None).err(), Some(AttachError::Unsigned(_))));
    let credential = attach(&plan, Some("tools/call"), world.mint(whose())).unwrap();
    *world.scribe.broken.lock().unwrap() = true;
    assert!(matches!(attach(&plan, None, world.mint(whose())).err(), Some(AttachError::Unsigned(_))));
    let mut headers = HeaderMap::new();
    headers.insert(AUTHORIZATION, HeaderValue::from_static("Bearer the-callers-own"));
    assert!(credential.aside().apply(None, &mut headers).is_err());
    assert!(headers.is_empty(), "and what stood there is gone");
}

#[test]
fn nothing_is_said_for_a_caller_who_has_gone_but_the_end() {
    let world = World::new();
    let plan = Plan::none().asserting(assertion(AUTHORIZATION)).unwrap();
    let beside = attach(&plan, None, world.mint(whose())).unwrap().aside();
    world.clock.advance(Duration::from_secs(99));
    beside.apply(None, &mut HeaderMap::new()).unwrap();
    world.clock.advance(Duration::from_secs(1));
    assert!(matches!(beside.apply(None, &mut HeaderMap::new()), Err(AttachError::Over)));
    beside.apply_to_end(&mut HeaderMap::new()).unwrap();
}

#[test]
fn an_identity_shares_its_header_with_nothing() {
    let reference = || crate::Reference::variable("TOKEN");
    let plan = Plan::headers("bot", vec![(AUTHORIZATION, reference())]).unwrap();
    assert!(plan.clone().asserting(assertion(AUTHORIZATION)).is_err());
    plan.asserting(assertion(HeaderName::from_static("x-portunus-identity"))).unwrap();
    for taken in ["mcp-param-who", "traceparent", "last-event-id", "content-type"] {
        assert!(Plan::none().asserting(assertion(HeaderName::from_static(taken))).is_err(), "{taken}");
    }
    let child = Plan::environment("bot", vec![("TOKEN".into(), reference())]).unwrap();
    assert_eq!(child.asserting(assertion(AUTHORIZATION)).err(), Some(crate::PlanError::NoHeaders));
}
