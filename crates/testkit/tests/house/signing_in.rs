//! People sign in at their own provider, through our authorization server, and call a tool.

use super::bed::UP;
use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use model::{Digest, FixedClock};
use serde_json::{Value, json};
use std::sync::Arc;
use std::time::Duration;
use testkit::{
    Browser, Caller, FakeIdp, FakeUpstream, Reply, Setup, TestGateway, clock, eventually, parameter, path_of,
    tool,
};

/// A gateway that signs people in at a provider, with a server behind it.
pub(super) struct House {
    pub(super) idp: FakeIdp,
    pub(super) up: FakeUpstream,
    pub(super) gateway: TestGateway,
    pub(super) time: Arc<FixedClock>,
}

/// The verifier of every request of these tests.
const VERIFIER: &str = "a-verifier-of-forty-three-characters-or-more";
pub(super) const APP: &str = "https://app.example/cb";

pub(super) fn provider(idp: &FakeIdp) -> Value {
    json!({
        "name": "main", "display_name": "Acme ID", "issuer": idp.issuer(), "client_id": "portunus",
        "allow_loopback": true,
    })
}

pub(super) async fn house() -> House {
    house_with(|setup, _| setup).await
}

pub(super) async fn house_with(change: impl FnOnce(Setup, &FakeIdp) -> Setup) -> House {
    let time = Arc::new(FixedClock::at(clock().now()));
    let idp = FakeIdp::start(Arc::<FixedClock>::clone(&time)).await;
    let up = FakeUpstream::start().await;
    up.changed(vec![tool("echo")]);
    let server = json!({
        "tenants": {"acme": {"display_name": "Acme", "providers": [provider(&idp)]}},
        "clients": {
            "app": {"name": "The App", "redirect_uris": [APP, "https://elsewhere.example/cb"]},
            "cli": {"name": "A program", "redirect_uris": ["http://127.0.0.1/cb"], "trusted": true},
            "house": {"name": "Ours", "redirect_uris": ["https://ours.example/cb"], "trusted": true},
        },
    });
    let setup = Setup::trusting(&idp).server("up", &up).set(&["authorization_server"], server);
    let setup = change(setup.clock(Arc::<FixedClock>::clone(&time)), &idp);
    idp.signs_in("alice");
    House { gateway: setup.start().await, idp, up, time }
}

impl House {
    pub(super) fn browser(&self) -> Browser {
        Browser::new(self.gateway.address())
    }

    /// A client sends a browser to us; where the browser is sent on.
    pub(super) async fn begin(&self, browser: &Browser, client: &str, redirect: &str, more: &str) -> String {
        self.request(browser, client, redirect, more).await.location()
    }

    /// A client sends a browser to us; what the browser gets.
    pub(super) async fn request(&self, browser: &Browser, client: &str, redirect: &str, more: &str) -> Reply {
        let challenge = URL_SAFE_NO_PAD.encode(Digest::of(VERIFIER.as_bytes()).0);
        let mut query = form_urlencoded::Serializer::new(String::new());
        query.extend_pairs([
            ("response_type", "code"),
            ("client_id", client),
            ("redirect_uri", redirect),
            ("code_challenge", &challenge),
            ("code_challenge_method", "S256"),
            ("resource", &self.gateway.resource(UP)),
            ("state", "the clients own"),
        ]);
        browser.get(&format!("/oauth/authorize?{}{more}", query.finish())).await
    }

    /// A person presses the provider's button on a sign-in page: where the provider sends the browser back to.
    pub(super) async fn leave(&self, browser: &Browser, page: &Reply) -> String {
        path_of(&self.idp.visit(&self.depart(browser, page).await).await)
    }

    /// A person presses the provider's button on a sign-in page: where the browser is sent.
    pub(super) async fn depart(&self, browser: &Browser, page: &Reply) -> String {
        let fields = ["form", "next", "tenant", "provider"].map(|name| (name, page.field(name)));
        let fields: Vec<(&str, &str)> = fields.iter().map(|(name, value)| (*name, value.as_str())).collect();
        let left = browser.post("/sign-in/go", &fields).await;
        assert_eq!(left.status, 303, "{}", left.text());
        left.location()
    }

    /// A person signs in for a client's request: where they land.
    pub(super) async fn sign_in(&self, browser: &Browser, at: &str) -> Reply {
        let page = browser.get(at).await;
        assert_eq!(page.status, 200, "{}", page.text());
        let back = self.leave(browser, &page).await;
        let entered = browser.get(&back).await;
        assert_eq!(entered.status, 303, "{}", entered.text());
        browser.get(&entered.location()).await
    }

    /// A person allows what a consent page asks: where the browser is sent.
    pub(super) async fn allow(&self, browser: &Browser, page: &Reply) -> String {
        assert_eq!(page.status, 200, "{}", page.text());
        let (form, tx) = (page.field("form"), page.field("tx"));
        let fields = [("form", form.as_str()), ("tx", tx.as_str()), ("decision", "allow")];
        browser.post("/consent", &fields).await.location()
    }

    /// A client redeems what it got: the token endpoint's answer.
    pub(super) async fn redeem(&self, client: &str, redirect: &str, location: &str) -> Reply {
        let code = parameter(location, "code").unwrap_or_else(|| panic!("no code: {location}"));
        let resource = self.gateway.resource(UP);
        let fields = [
            ("grant_type", "authorization_code"),
            ("client_id", client),
            ("redirect_uri", redirect),
            ("code", &code),
            ("code_verifier", VERIFIER),
            ("resource", &resource),
        ];
        self.browser().post("/oauth/token", &fields).await
    }

    /// The whole way: a person, a client, a token.
    pub(super) async fn token(&self, browser: &Browser) -> Value {
        let at = self.begin(browser, "app", APP, "").await;
        let page = self.sign_in(browser, &at).await;
        // Whoever allowed the client before is not asked again.
        let location = if page.status == 303 { page.location() } else { self.allow(browser, &page).await };
        let answer = self.redeem("app", APP, &location).await;
        assert_eq!(answer.status, 200, "{}", answer.text());
        answer.json()
    }

    pub(super) fn caller(&self, token: &Value) -> Caller {
        let token = token["access_token"].as_str().unwrap().to_owned();
        Caller::new(self.gateway.address(), UP, Some(token))
    }

    /// Events of that kind on record.
    pub(super) async fn events(&self, what: &str) -> Vec<Value> {
        // The record has a thread of its own, which writes a moment after the answer.
        let written = async || {
            let health: Value = self.gateway.admin("/readyz").await.json();
            (health["checks"]["record"]["queued"] == 0).then_some(())
        };
        eventually("the record to be written", written).await;
        let record = self.gateway.record().into_iter().map(|found| found.leaf);
        record.filter(|leaf| leaf["what"] == what).collect()
    }

    /// Fails to sign in: the page.
    async fn fails(&self, code: &str) -> Reply {
        let browser = self.browser();
        let page = browser.get("/sign-in").await;
        let back = self.leave(&browser, &page).await;
        let fault = browser.get(&back).await;
        assert!(fault.text().contains(code), "{}", fault.text());
        assert!(browser.cookie("portunus-session").is_none());
        let refused = self.events("sign_in_refused").await;
        assert_eq!(refused.last().unwrap()["code"], code, "{refused:?}");
        fault
    }
}

#[tokio::test]
async fn somebody_signs_in_at_their_provider_and_calls_a_tool() {
    let house = house().await;
    let browser = house.browser();
    let at = house.begin(&browser, "app", APP, "").await;
    let page = browser.get(&at).await;
    assert!(page.text().contains("The App") && page.text().contains("Continue with Acme ID"));
    // CD-4: nothing binds a state before somebody decided to leave.
    assert!(browser.cookie("portunus-departure").is_none());
    let consent = house.sign_in(&browser, &at).await;
    assert!(browser.cookie("portunus-departure").is_none(), "used up");
    for named in ["The App", "app.example", "the server up", "alice Liddell"] {
        assert!(consent.text().contains(named), "{named}: {}", consent.text());
    }
    let location = house.allow(&browser, &consent).await;
    assert!(location.starts_with(APP));
    assert_eq!(parameter(&location, "state").as_deref(), Some("the clients own"));
    assert_eq!(parameter(&location, "iss"), Some(house.gateway.resource("")));
    let token = house.redeem("app", APP, &location).await.json();
    let reply = house.caller(&token).call("echo", json!({"text": "in"})).await;
    assert!(reply.is_success(), "{}", reply.text());
    // The record names the person by an id of ours, and nobody by e-mail.
    let signed_in = house.events("signed_in").await;
    assert!(signed_in[0]["by"].as_str().unwrap().starts_with("usr_"), "{signed_in:?}");
    assert_eq!(house.events("consent_given").await[0]["about"], json!({"kind": "client", "id": "app"}));
    assert_eq!(house.up.calls().len(), 1);
    let call = &house.gateway.record_of("echo")[0];
    assert_eq!(call.leaf["caller"]["user"], signed_in[0]["by"]);
    assert_eq!(call.leaf["caller"]["tenant"], "acme");
    // Neither cookies nor what came from the provider are anywhere in the data folder, and no address but the row's.
    let heap = String::from_utf8_lossy(&house.gateway.data()).into_owned();
    let cookie = browser.cookie("portunus-session").unwrap();
    for secret in [cookie.as_str(), "at-of-the-provider"] {
        assert!(!heap.contains(secret), "{secret}");
    }
}

#[tokio::test]
async fn a_session_idles_out() {
    let house = house().await;
    let browser = house.browser();
    house.token(&browser).await;
    assert_eq!(browser.get("/connections").await.status, 200);
    house.time.advance(Duration::from_secs(3601));
    assert!(browser.get("/connections").await.location().starts_with("/sign-in"));
}

#[tokio::test]
async fn a_provider_that_is_down_is_a_clear_page_and_tokens_go_on() {
    let house = house().await;
    let token = house.token(&house.browser()).await;
    house.idp.down(true);
    // Long enough for what is remembered of the provider to be looked at again, and short enough to stay good.
    house.time.advance(Duration::from_secs(200));
    let browser = house.browser();
    let page = browser.get("/sign-in").await;
    let back = house.leave_to_nowhere(&browser, &page).await;
    assert_eq!(back.status, 503, "{}", back.text());
    assert!(back.text().contains("PTN-2025") && back.text().contains("What to do"));
    assert_eq!(house.events("sign_in_refused").await.last().unwrap()["code"], "PTN-2025");
    let reply = house.caller(&token).call("echo", json!({"text": "still"})).await;
    assert!(reply.is_success(), "{}", reply.text());
    house.idp.down(false);
    house.token(&house.browser()).await;
}

impl House {
    /// A person presses the button of a provider that does not answer, now or when they come back.
    async fn leave_to_nowhere(&self, browser: &Browser, page: &Reply) -> Reply {
        let fields = ["form", "next", "tenant", "provider"].map(|name| (name, page.field(name)));
        let fields: Vec<(&str, &str)> = fields.iter().map(|(name, value)| (*name, value.as_str())).collect();
        let left = browser.post("/sign-in/go", &fields).await;
        if left.status != 303 {
            return left;
        }
        // The metadata was remembered; the code cannot be redeemed.
        let state = parameter(&left.location(), "state").unwrap();
        browser.get(&format!("/sign-in/callback?state={state}&code=x")).await
    }
}

#[tokio::test]
async fn a_provider_that_rotates_its_keys_is_followed_within_one_sign_in() {
    let house = house().await;
    house.token(&house.browser()).await;
    house.idp.rotate();
    house.time.advance(Duration::from_secs(11));
    house.token(&house.browser()).await;
}

#[tokio::test]
async fn id_tokens_that_are_not_the_answer_to_our_request_sign_nobody_in() {
    let house = house().await;
    let now = house.time.as_ref();
    let seconds = model::Clock::now(now).seconds();
    for (name, value) in [
        ("nonce", json!("another")),
        ("nonce", Value::Null),
        ("aud", json!("another")),
        ("iss", json!("https://elsewhere.example")),
        ("azp", json!("another")),
        // Clocks that differ by more than the skew, either way.
        ("iat", json!(seconds + 120)),
        ("exp", json!(seconds - 60)),
        ("events", json!({})),
    ] {
        house.idp.vouches_plainly();
        house.idp.vouches(name, value);
        house.fails("PTN-2022").await;
    }
    house.idp.vouches_plainly();
    house.idp.vouches("iat", json!(seconds + 20));
    house.token(&house.browser()).await;
    house.idp.vouches("_claim_names", json!({"groups": "src"}));
    house.fails("PTN-2024").await;
}

#[tokio::test]
async fn id_tokens_of_an_algorithm_that_was_not_agreed_sign_nobody_in() {
    let house = house_with(|setup, idp| {
        let mut provider = provider(idp);
        provider["algorithms"] = json!(["RS256"]);
        setup.set(&["authorization_server", "tenants", "acme", "providers"], json!([provider]))
    })
    .await;
    house.fails("PTN-2025").await;
}

#[tokio::test]
async fn metadata_of_another_issuer_signs_nobody_in() {
    let house = house().await;
    house.idp.names_itself("https://elsewhere.example");
    let browser = house.browser();
    let page = browser.get("/sign-in").await;
    let refused = house.leave_to_nowhere(&browser, &page).await;
    assert!(refused.text().contains("PTN-2025"), "{}", refused.text());
    let detail = house.events("sign_in_refused").await[0]["detail"].as_str().unwrap().to_owned();
    assert!(detail.contains("elsewhere.example"), "{detail}");
}

#[tokio::test]
async fn a_response_of_another_issuer_is_refused() {
    let house = house().await;
    house.idp.answers_as(Some("https://elsewhere.example"));
    // Not even its error is shown.
    house.idp.refuses(Some("access_denied"));
    let page = house.fails("PTN-2022").await;
    assert!(!page.text().contains("access_denied"));
    house.idp.answers_as(None);
    assert!(house.fails("PTN-2023").await.text().contains("access_denied"));
    house.idp.refuses(None);
    house.idp.answers_as(Some(house.idp.issuer()));
    house.token(&house.browser()).await;
    // Advertised, and then missing.
    house.idp.says_of_itself("authorization_response_iss_parameter_supported", json!(true));
    house.idp.answers_as(None);
    house.time.advance(Duration::from_secs(601));
    house.fails("PTN-2022").await;
}

#[tokio::test]
async fn userinfo_about_somebody_else_is_refused() {
    let house = house_with(|setup, idp| {
        let mut provider = provider(idp);
        provider["userinfo"] = json!(true);
        setup.set(&["authorization_server", "tenants", "acme", "providers"], json!([provider]))
    })
    .await;
    house.idp.vouches("roles", Value::Null);
    house.idp.tells("roles", json!(["reader"]));
    let token = house.token(&house.browser()).await;
    assert!(house.caller(&token).call("echo", json!({"text": "in"})).await.is_success());
    house.idp.tells("sub", json!("mallory"));
    house.fails("PTN-2022").await;
}

#[tokio::test]
async fn a_provider_cannot_make_the_gateway_fetch_from_inside() {
    for (name, address) in [
        ("token_endpoint", "http://169.254.169.254/token"),
        ("token_endpoint", "http://10.0.0.1/token"),
        ("jwks_uri", "http://[::ffff:169.254.169.254]/jwks"),
        ("jwks_uri", "http://192.168.0.1/jwks"),
    ] {
        let house = house().await;
        house.idp.says_of_itself(name, json!(address));
        house.fails("PTN-2025").await;
        let detail = house.events("sign_in_refused").await[0]["detail"].as_str().unwrap().to_owned();
        assert!(detail.contains("may not be fetched"), "{name}: {detail}");
    }
}

#[tokio::test]
async fn a_logout_at_the_provider_ends_sessions_tokens_and_grants() {
    let house = house().await;
    let browser = house.browser();
    let token = house.token(&browser).await;
    house.idp.signs_in("bob");
    let bob = house.browser();
    let bobs = house.token(&bob).await;
    let send = async |token: String| {
        house.browser().post_from(None, "/backchannel-logout/acme/main", &[("logout_token", &token)]).await
    };
    let good = house.idp.logout_token("portunus", "alice").claim("sid", "at-idp-alice");
    for bad in [
        good.clone().claim("aud", "another").sign(),
        good.clone().claim("nonce", "n").sign(),
        good.clone().without("events").sign(),
        good.clone().without("jti").sign(),
        good.clone().header("typ", "at+jwt").sign(),
        good.clone().by(testkit::Key::es256("unknown")).sign(),
        good.unsigned(),
    ] {
        let refused = send(bad).await;
        assert_eq!(refused.status, 400, "{}", refused.text());
    }
    assert_eq!(browser.get("/connections").await.status, 200);
    let good = good.sign();
    assert_eq!(send(good.clone()).await.status, 200);
    assert!(browser.get("/connections").await.location().starts_with("/sign-in"));
    let caller = house.caller(&token);
    let refused = || async {
        let reply = caller.call("echo", json!({})).await;
        (reply.status == 401).then_some(())
    };
    testkit::eventually("the revocation to be known", refused).await;
    let refresh = token["refresh_token"].as_str().unwrap_or_default();
    let fields = [("grant_type", "refresh_token"), ("client_id", "app"), ("refresh_token", refresh)];
    let again = house.browser().post("/oauth/token", &fields).await;
    assert_eq!(again.status, 400, "{}", again.text());
    // Nobody else is signed out, and a token works once.
    assert_eq!(bob.get("/connections").await.status, 200);
    assert!(house.caller(&bobs).call("echo", json!({"text": "bob"})).await.is_success());
    assert_eq!(send(good).await.status, 400);
    assert_eq!(house.events("signed_out").await.len(), 1);
}

#[tokio::test]
async fn a_person_disconnects_a_client_and_signs_out() {
    let house = house().await;
    let browser = house.browser();
    let token = house.token(&browser).await;
    let page = browser.get("/connections").await;
    assert!(page.text().contains("The App") && page.text().contains("the server up"));
    let (form, consent) = (page.field("form"), page.field("consent"));
    // Somebody else cannot.
    house.idp.signs_in("bob");
    let bob = house.browser();
    house.sign_in(&bob, "/sign-in?next=%2Fconnections").await;
    let stolen = bob.post("/connections", &[("form", &form), ("consent", &consent)]).await;
    assert_eq!(stolen.status, 403);
    let gone = browser.post("/connections", &[("form", &form), ("consent", &consent)]).await;
    let page = browser.get(&gone.location()).await;
    assert!(page.text().contains("Disconnected") && !page.text().contains("The App"));
    let refresh = token["refresh_token"].as_str().unwrap_or_default();
    let fields = [("grant_type", "refresh_token"), ("client_id", "app"), ("refresh_token", refresh)];
    assert_eq!(house.browser().post("/oauth/token", &fields).await.status, 400);
    assert_eq!(house.events("consent_withdrawn").await.len(), 1);
    let page = browser.get("/sign-out").await;
    let form = page.field("form");
    assert_eq!(
        browser.post_from(Some("https://evil.example"), "/sign-out", &[("form", &form)]).await.status,
        403
    );
    browser.post("/sign-out", &[("form", &form)]).await;
    assert!(browser.get("/connections").await.location().starts_with("/sign-in"));
    assert_eq!(house.events("signed_out").await.len(), 1);
}
