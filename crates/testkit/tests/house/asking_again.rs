//! Who is asked again, and who is not: what a client wants of the person who signs in (`prompt`), and what they allowed.

use super::signing_in::{APP, house};
use model::Clock as _;
use serde_json::json;
use std::time::Duration;
use testkit::parameter;

#[tokio::test]
async fn who_is_signed_in_is_not_asked_again_for_the_same() {
    let house = house().await;
    let browser = house.browser();
    house.token(&browser).await;
    // Session and consent are there: straight back to the client.
    let at = house.begin(&browser, "app", APP, "").await;
    let consent = browser.get(&at).await.location();
    let location = browser.get(&consent).await.location();
    assert!(location.starts_with(APP) && parameter(&location, "code").is_some(), "{location}");
    // The client wants it asked, or wants the person to sign in anew.
    let at = house.begin(&browser, "app", APP, "&prompt=consent").await;
    assert_eq!(browser.get(&browser.get(&at).await.location()).await.status, 200);
    house.time.advance(Duration::from_secs(5));
    let at = house.begin(&browser, "app", APP, "&prompt=login").await;
    let page = browser.get(&at).await;
    assert!(page.text().contains("Continue with Acme ID"), "{}", page.text());
    let back = house.leave(&browser, &page).await;
    house.time.advance(Duration::from_secs(1));
    let entered = browser.get(&back).await;
    assert!(browser.get(&entered.location()).await.location().starts_with(APP));
    // Nobody may be asked anything.
    let stranger = house.browser();
    let at = house.begin(&stranger, "app", APP, "&prompt=none").await;
    let location = stranger.get(&at).await.location();
    assert_eq!(parameter(&location, "error").as_deref(), Some("login_required"), "{location}");
}

#[tokio::test]
async fn a_sign_in_of_long_ago_is_none_that_was_asked_for_again() {
    let house = house().await;
    let browser = house.browser();
    house.token(&browser).await;
    house.time.advance(Duration::from_secs(600));
    let long_ago = house.time.now().seconds() - 600;
    let at = house.begin(&browser, "app", APP, "&prompt=login").await;
    // The wish never reached the provider, or it does not care.
    house.idp.vouches("auth_time", json!(long_ago));
    let page = browser.get(&at).await;
    let back = house.leave(&browser, &page).await;
    let refused = browser.get(&back).await;
    assert!(refused.text().contains("PTN-2022"), "{}", refused.text());
    let said = house.events("sign_in_refused").await;
    assert!(said.last().unwrap()["detail"].as_str().unwrap().contains("sign in again"), "{said:?}");
    // Nor by a sign-in beside it, of which nobody asked that.
    let other = house.browser();
    let asked = house.begin(&other, "app", APP, "&prompt=login").await;
    let aside = house.leave(&other, &other.get("/sign-in").await).await;
    assert_eq!(other.get(&aside).await.location(), "/connections");
    assert_eq!(other.get(&asked.replace("/sign-in?", "/consent?")).await.location(), asked);
    let page = other.get(&asked).await;
    assert!(page.text().contains("Continue with Acme ID"), "{}", page.text());
    // It does now.
    house.idp.vouches_plainly();
    let back = house.leave(&browser, &browser.get(&at).await).await;
    let entered = browser.get(&back).await;
    assert!(browser.get(&entered.location()).await.location().starts_with(APP));
    // Where nobody asked for it, a session at the provider is good.
    house.idp.vouches("auth_time", json!(long_ago));
    house.token(&house.browser()).await;
}

#[tokio::test]
async fn the_provider_is_told_what_the_client_wants_and_what_the_code_is_bound_to() {
    let house = house().await;
    let asked = async |more: &str| {
        let browser = house.browser();
        let at = house.begin(&browser, "app", APP, more).await;
        let page = browser.get(&at).await;
        house.depart(&browser, &page).await
    };
    let plain = asked("").await;
    assert_eq!(parameter(&plain, "code_challenge_method").as_deref(), Some("S256"), "{plain}");
    assert_eq!(parameter(&plain, "code_challenge").unwrap().len(), 43);
    assert_eq!((parameter(&plain, "prompt"), parameter(&plain, "max_age")), (None, None));
    let again = asked("&prompt=login").await;
    let said = ["prompt", "max_age"].map(|name| parameter(&again, name));
    assert_eq!(said, [Some("login".to_owned()), Some("0".to_owned())]);
}

#[tokio::test]
async fn nobody_passes_by_what_a_client_asked_of_the_person() {
    let house = house().await;
    let browser = house.browser();
    house.token(&browser).await;
    house.time.advance(Duration::from_secs(5));
    // Straight to the consent page, although the person was to sign in anew.
    let at = house.begin(&browser, "app", APP, "&prompt=login").await;
    let consent = at.replace("/sign-in?", "/consent?");
    assert_eq!(browser.get(&consent).await.location(), at);
    // A page would be needed, and may not be shown.
    let elsewhere = "https://elsewhere.example/cb";
    let at = house.begin(&browser, "app", elsewhere, "&prompt=none").await;
    let location = browser.get(&browser.get(&at).await.location()).await.location();
    assert!(location.starts_with(elsewhere), "{location}");
    assert_eq!(parameter(&location, "error").as_deref(), Some("consent_required"));
}
