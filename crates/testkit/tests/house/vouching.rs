//! Providers are asked again, when clients refresh, whether they still vouch for their people.

use super::signing_in::{APP, House, house_with, provider};
use serde_json::{Value, json};
use std::time::Duration;
use testkit::{Browser, FakeIdp, Reply, Setup};

/// Past the quarter of an hour for which a provider is believed.
const LATER: Duration = Duration::from_secs(16 * 60);

fn asked_again(setup: Setup, idp: &FakeIdp) -> Setup {
    let mut provider = provider(idp);
    provider["recheck"] = json!({});
    setup.set(&["authorization_server", "tenants", "acme", "providers"], json!([provider]))
}

async fn house() -> House {
    house_with(asked_again).await
}

impl House {
    async fn refresh(&self, token: &Value) -> Reply {
        let token = token["refresh_token"].as_str().unwrap();
        let fields = [("grant_type", "refresh_token"), ("client_id", "app"), ("refresh_token", token)];
        self.browser().post("/oauth/token", &fields).await
    }

    /// A refresh that is let through: the next tokens.
    async fn refreshed(&self, token: &Value) -> Value {
        let answer = self.refresh(token).await;
        assert_eq!(answer.status, 200, "{}", answer.text());
        answer.json()
    }

    async fn is_signed_in(&self, browser: &Browser) -> bool {
        browser.get("/connections").await.status == 200
    }
}

#[tokio::test]
async fn whoever_their_provider_no_longer_vouches_for_is_out() {
    let house = house().await;
    let browser = house.browser();
    let (token, other) = (house.token(&browser).await, house.token(&house.browser()).await);
    // Believed for a while, and then asked: once, since what it said holds for everything of the person.
    let token = house.refreshed(&token).await;
    assert_eq!(house.idp.asked_again(), 0);
    house.time.advance(LATER);
    let (token, other) = (house.refreshed(&token).await, house.refreshed(&other).await);
    assert_eq!(house.idp.asked_again(), 1);
    house.time.advance(LATER);
    let (token, other) = (house.refreshed(&token).await, house.refreshed(&other).await);
    assert_eq!(house.idp.asked_again(), 2, "with the token that it gave the last time");
    // Removed there.
    house.idp.says_no(Some("invalid_grant"));
    let token = house.refreshed(&token).await;
    house.time.advance(LATER);
    assert!(
        house.caller(&token).call("echo", json!({"text": "x"})).await.text().contains("PTN-2002"),
        "expired"
    );
    let refused = house.refresh(&token).await;
    assert_eq!((refused.status, &refused.json()["error"]), (400, &json!("invalid_grant")));
    assert!(refused.text().contains("does not vouch"), "{}", refused.text());
    // All of it, and for good: no other client goes on, and nobody is signed in.
    assert!(!house.is_signed_in(&browser).await);
    house.idp.says_no(None);
    for token in [&token, &other] {
        assert_eq!(house.refresh(token).await.json()["error"], "invalid_grant");
    }
    let said = house.events("signed_out").await;
    assert!(
        said.iter().any(|event| event["detail"].as_str().unwrap().contains("does not vouch")),
        "{said:?}"
    );
    // Whoever is let in there again signs in.
    house.time.advance(Duration::from_secs(3));
    let token = house.token(&house.browser()).await;
    house.refreshed(&token).await;
}

#[tokio::test]
async fn what_a_provider_says_when_it_is_asked_again_is_what_tokens_say() {
    let house = house().await;
    let token = house.token(&house.browser()).await;
    house.idp.vouches("roles", json!(["admin"]));
    house.idp.vouches("groups", json!(["others"]));
    house.time.advance(LATER);
    let token = house.refreshed(&token).await;
    let payload = token["access_token"].as_str().unwrap().split('.').nth(1).unwrap().to_owned();
    use base64::Engine as _;
    let payload = base64::engine::general_purpose::URL_SAFE_NO_PAD.decode(payload).unwrap();
    let claims: Value = serde_json::from_slice(&payload).unwrap();
    assert_eq!((&claims["roles"], &claims["groups"]), (&json!(["admin"]), &json!(["others"])));
    // The provider's token is in no file.
    let heap = String::from_utf8_lossy(&house.gateway.data()).into_owned();
    assert!(!heap.contains("rt-of-the-provider"));
}

#[tokio::test]
async fn a_provider_that_cannot_be_asked_is_believed_for_a_while() {
    let house = house().await;
    let mut token = house.token(&house.browser()).await;
    house.idp.down(true);
    for minutes in [20, 20, 15] {
        house.time.advance(Duration::from_secs(minutes * 60));
        token = house.refreshed(&token).await;
    }
    house.time.advance(Duration::from_secs(6 * 60));
    let refused = house.refresh(&token).await;
    assert_eq!((refused.status, &refused.json()["error"]), (503, &json!("temporarily_unavailable")));
    // It is back, and nothing is lost.
    house.idp.down(false);
    house.time.advance(Duration::from_secs(31));
    let token = house.refreshed(&token).await;
    // A word about us is none about the person.
    house.idp.says_no(Some("invalid_client"));
    house.time.advance(LATER);
    house.refreshed(&token).await;
}

#[tokio::test]
async fn a_provider_that_vouches_for_another_ends_what_was_there() {
    let house = house().await;
    let token = house.token(&house.browser()).await;
    house.idp.signs_in("mallory");
    house.time.advance(LATER);
    assert_eq!(house.refresh(&token).await.json()["error"], "invalid_grant");
    house.idp.signs_in("alice");
    assert_eq!(house.refresh(&token).await.json()["error"], "invalid_grant");
}

#[tokio::test]
async fn a_provider_that_gives_nothing_to_ask_it_with_is_believed_for_the_grace() {
    // It is not asked for a refresh token, and gives none.
    let house = house_with(|setup, idp| {
        let mut provider = provider(idp);
        provider["recheck"] = json!({"every": "1m", "grace": "30m"});
        provider["profile"] = json!("google");
        provider["directory"] = json!("acme.example");
        setup.set(&["authorization_server", "tenants", "acme", "providers"], json!([provider]))
    })
    .await;
    house.idp.vouches("hd", json!("acme.example"));
    let browser = house.browser();
    let at = house.begin(&browser, "app", APP, "").await;
    let left = house.depart(&browser, &browser.get(&at).await).await;
    assert_eq!(testkit::parameter(&left, "access_type").as_deref(), Some("offline"), "{left}");
    assert_eq!(testkit::parameter(&left, "prompt").as_deref(), Some("consent"), "{left}");
    let token = house.token(&browser).await;
    house.time.advance(Duration::from_secs(20 * 60));
    let token = house.refreshed(&token).await;
    house.time.advance(Duration::from_secs(11 * 60));
    let refused = house.refresh(&token).await;
    assert_eq!(refused.json()["error"], "invalid_grant", "{}", refused.text());
    assert_eq!(house.idp.asked_again(), 0);
}

#[tokio::test]
async fn of_many_refreshes_at_once_one_asks_the_provider() {
    let house = house().await;
    let mut tokens = Vec::new();
    for _ in 0..8 {
        tokens.push(house.token(&house.browser()).await);
    }
    // Past the grace, so that all of them have to know.
    house.time.advance(Duration::from_secs(2 * 3600));
    let all = futures_util::future::join_all(tokens.iter().map(|token| house.refresh(token))).await;
    for answer in all {
        assert_eq!(answer.status, 200, "{}", answer.text());
    }
    assert_eq!(house.idp.asked_again(), 1);
}

#[tokio::test]
async fn nobody_goes_on_by_new_codes_whom_their_provider_does_not_vouch_for() {
    let house = house().await;
    let browser = house.browser();
    house.token(&browser).await;
    house.time.advance(LATER);
    house.idp.says_no(Some("invalid_grant"));
    // Signed in and allowed before: it would have been a code at once.
    let at = house.begin(&browser, "app", APP, "").await;
    let page = browser.get(&at).await;
    assert!(page.text().contains("Continue with Acme ID"), "{} {}", page.location(), page.text());
    assert_eq!(house.idp.asked_again(), 1);
}

#[tokio::test]
async fn whoever_is_nobody_by_now_can_still_end_what_they_have() {
    let house = house_with(|setup, idp| {
        let mut provider = provider(idp);
        provider["recheck"] = json!({"every": "5m", "grace": "20m"});
        setup.set(&["authorization_server", "tenants", "acme", "providers"], json!([provider]))
    })
    .await;
    let (browser, other) = (house.browser(), house.browser());
    let token = house.token(&browser).await;
    house.idp.down(true);
    house.time.advance(Duration::from_secs(21 * 60));
    assert_eq!(browser.get(&house.begin(&browser, "app", APP, "").await).await.status, 200, "signs in again");
    let page = browser.get("/connections").await;
    assert!(page.text().contains("The App"), "{}", page.text());
    let form = browser.get("/sign-out").await.field("form");
    assert_eq!(browser.post("/sign-out", &[("form", &form)]).await.status, 303);
    house.idp.down(false);
    house.time.advance(Duration::from_secs(31));
    // Whoever signs in elsewhere brings nothing of it back.
    house.token(&other).await;
    assert!(!house.is_signed_in(&browser).await);
    assert_eq!(house.refresh(&token).await.json()["error"], "invalid_grant");
}
