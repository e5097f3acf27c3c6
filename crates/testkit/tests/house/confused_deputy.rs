//! Confused deputies: a client that would like a code for somebody who never heard of it (MCP, security best practices,
//! CD-1 to CD-5; T4).

use super::signing_in::{APP, House, house, house_with};
use serde_json::{Value, json};
use testkit::{Browser, Reply, parameter};

/// A client registers itself: its id.
async fn register(house: &House, redirect: &str) -> String {
    let body = json!({
        "client_name": "The App", "redirect_uris": [redirect], "token_endpoint_auth_method": "none",
        "application_type": "web", "grant_types": ["authorization_code"], "response_types": ["code"],
    })
    .to_string();
    let text = format!(
        "POST /oauth/register HTTP/1.1\r\nhost: {}\r\nconnection: close\r\ncontent-type: application/json\r\n\
         content-length: {}\r\n\r\n{body}",
        house.gateway.address(),
        body.len()
    );
    let reply = testkit::raw(house.gateway.address(), text.as_bytes()).await;
    assert_eq!(reply.status, 201, "{}", reply.text());
    reply.json()["client_id"].as_str().unwrap().to_owned()
}

/// Goes on with a client's request as a browser with a session does: the page, or where it is sent.
async fn goes_on(house: &House, browser: &Browser, client: &str, redirect: &str) -> Reply {
    let at = house.begin(browser, client, redirect, "").await;
    let consent = browser.get(&at).await.location();
    browser.get(&consent).await
}

#[tokio::test]
async fn a_client_that_registered_itself_redirects_nobody_unseen() {
    let house = house().await;
    let evil = "https://evil.example/cb";
    let client = register(&house, evil).await;
    // A request with a fault, and one whose person may not be asked anything.
    for more in ["&prompt=create", "&prompt=none"] {
        let browser = house.browser();
        let begun = house.request(&browser, &client, evil, more).await;
        let page = if begun.status == 303 { browser.get(&begun.location()).await } else { begun };
        assert_eq!(page.status, 400, "{more}: {}", page.text());
        assert!(page.text().contains("Back to the client") && page.text().contains("evil.example"));
        // The operator's own client is sent back as the RFC says.
        let begun = house.begin(&browser, "app", APP, more).await;
        let back = if begun.starts_with(APP) { begun } else { browser.get(&begun).await.location() };
        assert!(back.starts_with(APP) && parameter(&back, "error").is_some(), "{back}");
    }
}

#[tokio::test]
async fn a_malicious_client_gets_no_code_without_a_page_although_there_is_a_session_and_a_consent_for_another()
 {
    let house = house().await;
    let browser = house.browser();
    house.token(&browser).await;
    let evil = "https://evil.example/cb";
    // It has the same name as the client that Alice allowed.
    let client = register(&house, evil).await;
    let page = goes_on(&house, &browser, &client, evil).await;
    assert_eq!(page.status, 200, "{}", page.text());
    assert!(page.headers.get("location").is_none());
    assert!(page.text().contains("evil.example") && page.text().contains("Nobody has checked"));
    // Alice says no, and the client is told so.
    let (form, tx) = (page.field("form"), page.field("tx"));
    let fields = [("form", form.as_str()), ("tx", tx.as_str()), ("decision", "deny")];
    let location = browser.post("/consent", &fields).await.location();
    assert!(location.starts_with(evil) && parameter(&location, "code").is_none());
    assert_eq!(parameter(&location, "error").as_deref(), Some("access_denied"));
    assert_eq!(house.events("consent_refused").await.len(), 1);
    // The client she allowed goes on as before.
    let reply = goes_on(&house, &browser, "app", APP).await;
    assert!(parameter(&reply.location(), "code").is_some());
}

#[tokio::test]
async fn consent_is_asked_again_where_the_code_would_go_elsewhere() {
    let house = house().await;
    let browser = house.browser();
    house.token(&browser).await;
    let elsewhere = "https://elsewhere.example/cb";
    let page = goes_on(&house, &browser, "app", elsewhere).await;
    assert_eq!(page.status, 200, "{}", page.text());
    assert!(page.text().contains("has changed since") && page.text().contains("elsewhere.example"));
    let location = house.allow(&browser, &page).await;
    assert!(location.starts_with(elsewhere) && parameter(&location, "code").is_some());
    // That is what is allowed now.
    assert_eq!(goes_on(&house, &browser, "app", APP).await.status, 200);
}

#[tokio::test]
async fn consent_is_asked_again_once_it_has_expired_and_when_more_is_wanted() {
    let house = house_with(|setup, _| setup.set(&["scopes"], json!(["mcp", "files:write"]))).await;
    let browser = house.browser();
    let at = house.begin(&browser, "app", APP, "&scope=mcp").await;
    let page = house.sign_in(&browser, &at).await;
    assert!(page.text().contains("<code>mcp</code>") && !page.text().contains("files:write"));
    house.allow(&browser, &page).await;
    let at = house.begin(&browser, "app", APP, "&scope=mcp").await;
    let consent = browser.get(&at).await.location();
    assert!(browser.get(&consent).await.location().starts_with(APP));
    let at = house.begin(&browser, "app", APP, "&scope=mcp%20files:write").await;
    let page = browser.get(&browser.get(&at).await.location()).await;
    assert!(page.status == 200 && page.text().contains("now it wants more"), "{}", page.text());
}

#[tokio::test]
async fn a_program_on_this_machine_is_always_asked_about() {
    let native = json!({"name": "An app", "redirect_uris": ["com.example.app:/cb"], "trusted": true});
    let house =
        house_with(|setup, _| setup.set(&["authorization_server", "clients", "native"], native)).await;
    let browser = house.browser();
    house.token(&browser).await;
    // Although the operator trusts it, and although it was allowed before; an app on it likewise.
    for _ in 0..2 {
        let page = goes_on(&house, &browser, "native", "com.example.app:/cb").await;
        assert_eq!(page.status, 200, "{}", page.text());
        assert!(house.allow(&browser, &page).await.starts_with("com.example.app:/cb?"));

        let page = goes_on(&house, &browser, "cli", "http://127.0.0.1:4567/cb").await;
        assert_eq!(page.status, 200, "{}", page.text());
        assert!(page.text().contains("program on this computer"));
        assert!(page.text().contains("127.0.0.1:4567"));
        let location = house.allow(&browser, &page).await;
        assert!(location.starts_with("http://127.0.0.1:4567/cb?"), "{location}");
    }
    // One that the operator trusts at an address of its own is not.
    let reply = goes_on(&house, &browser, "house", "https://ours.example/cb").await;
    assert!(reply.location().starts_with("https://ours.example/cb"));
}

#[tokio::test]
async fn a_consent_without_its_token_or_from_another_site_is_refused() {
    let house = house().await;
    let browser = house.browser();
    let at = house.begin(&browser, "app", APP, "").await;
    let page = house.sign_in(&browser, &at).await;
    let (form, tx) = (page.field("form"), page.field("tx"));
    let good = [("form", form.as_str()), ("tx", tx.as_str()), ("decision", "allow")];
    let forged = [("form", "AAAA"), ("tx", tx.as_str()), ("decision", "allow")];
    let bare = [("tx", tx.as_str()), ("decision", "allow")];
    let refused = |reply: Reply| {
        assert_eq!(reply.status, 403, "{}", reply.text());
        assert!(reply.text().contains("PTN-2030") && reply.headers.get("location").is_none());
    };
    refused(browser.post("/consent", &forged).await);
    refused(browser.post("/consent", &bare).await);
    refused(browser.post_from(Some("https://evil.example"), "/consent", &good).await);
    refused(browser.post_from(Some("null"), "/consent", &good).await);
    // In another browser, signed in or not, the form is none of its own.
    refused(house.browser().post("/consent", &good).await);
    house.idp.signs_in("bob");
    let bob = house.browser();
    house.sign_in(&bob, "/sign-in?next=%2Fconnections").await;
    refused(bob.post("/consent", &good).await);
    assert!(house.events("consent_given").await.is_empty());
    let location = browser.post("/consent", &good).await.location();
    assert!(parameter(&location, "code").is_some());
}

#[tokio::test]
async fn a_consent_form_of_one_request_does_not_answer_another() {
    let house = house().await;
    let browser = house.browser();
    let at = house.begin(&browser, "app", APP, "").await;
    let page = house.sign_in(&browser, &at).await;
    let evil = "https://evil.example/cb";
    let client = register(&house, evil).await;
    let other = goes_on(&house, &browser, &client, evil).await;
    let (form, tx) = (page.field("form"), other.field("tx"));
    let fields = [("form", form.as_str()), ("tx", tx.as_str()), ("decision", "allow")];
    assert_eq!(browser.post("/consent", &fields).await.status, 403);
}

#[tokio::test]
async fn a_state_without_its_cookie_or_in_another_browser_is_refused() {
    let house = house().await;
    let victim = house.browser();
    // Mallory begins, and has Alice's browser end it: she would be signed in as Mallory.
    let mallory = house.browser();
    let page = mallory.get("/sign-in").await;
    let back = house.leave(&mallory, &page).await;
    let refused = victim.get(&back).await;
    assert!(refused.text().contains("PTN-2021"), "{}", refused.text());
    // Alice has left too, so that there is a cookie, of another state.
    let page = victim.get("/sign-in").await;
    let own = house.leave(&victim, &page).await;
    let refused = victim.get(&back).await;
    assert!(refused.text().contains("PTN-2021"), "{}", refused.text());
    assert!(victim.cookie("portunus-session").is_none());
    // Her own works, once.
    let cookie = victim.cookie("portunus-departure").unwrap();
    assert_eq!(victim.get(&own).await.status, 303);
    victim.keep("portunus-departure", Some(&cookie));
    assert!(victim.get(&own).await.text().contains("PTN-2021"));
    assert_eq!(house.events("sign_in_refused").await.len(), 3);
}

#[tokio::test]
async fn a_state_is_too_old_after_ten_minutes() {
    let house = house().await;
    let browser = house.browser();
    let page = browser.get("/sign-in").await;
    let back = house.leave(&browser, &page).await;
    house.time.advance(std::time::Duration::from_secs(600));
    assert!(browser.get(&back).await.text().contains("PTN-2021"));
}

#[tokio::test]
async fn a_sign_in_form_of_another_browser_is_refused() {
    let house = house().await;
    let (browser, other) = (house.browser(), house.browser());
    let page = other.get("/sign-in").await;
    browser.get("/sign-in").await;
    let fields = ["form", "next", "tenant", "provider"].map(|name| (name, page.field(name)));
    let fields: Vec<(&str, &str)> = fields.iter().map(|(name, value)| (*name, value.as_str())).collect();
    assert_eq!(browser.post("/sign-in/go", &fields).await.status, 403);
    let bare = house.browser().post("/sign-in/go", &fields).await;
    assert_eq!(bare.status, 403);
    assert_eq!(other.post_from(Some("https://evil.example"), "/sign-in/go", &fields).await.status, 403);
    assert_eq!(other.post("/sign-in/go", &fields).await.status, 303);
}

#[tokio::test]
async fn every_page_forbids_frames_and_scripts() {
    let house = house().await;
    let browser = house.browser();
    let at = house.begin(&browser, "app", APP, "").await;
    let sign_in = browser.get(&at).await;
    let consent = house.sign_in(&browser, &at).await;
    let mut pages: Vec<(&str, Reply)> = vec![("sign-in", sign_in), ("consent", consent)];
    for path in
        ["/connections", "/sign-out", "/sign-in/password?link=x", "/sign-in/callback", "/consent?tx=x"]
    {
        pages.push((path, browser.get(path).await));
    }
    for (name, page) in &pages {
        let header = |name: &str| page.headers[name].to_str().unwrap().to_owned();
        let policy = header("content-security-policy");
        for part in ["default-src 'none'", "frame-ancestors 'none'", "base-uri 'none'", "form-action 'self'"]
        {
            assert!(policy.contains(part), "{name}: {policy}");
        }
        assert!(!policy.contains("unsafe"), "{name}: {policy}");
        assert_eq!(header("x-frame-options"), "DENY", "{name}");
        assert_eq!(header("cache-control"), "no-store", "{name}");
        let html = page.text().to_ascii_lowercase();
        for forbidden in ["<script", " style=", "<style", "javascript:", " onclick"] {
            assert!(!html.contains(forbidden), "{name}: {forbidden}");
        }
        // One stylesheet, at an address that is its content's.
        let style = html.split("href=\"/assets/").nth(1).unwrap().split('"').next().unwrap();
        let sheet = browser.get(&format!("/assets/{style}")).await;
        assert_eq!(
            (sheet.status, header_of(&sheet, "content-type")),
            (200, "text/css; charset=utf-8".into())
        );
    }
    assert_eq!(browser.get("/assets/other.css").await.status, 404);
}

fn header_of(reply: &Reply, name: &str) -> String {
    reply.headers.get(name).map(|value| value.to_str().unwrap().to_owned()).unwrap_or_default()
}

#[tokio::test]
async fn nothing_that_a_client_says_is_markup() {
    let house = house().await;
    let browser = house.browser();
    house.token(&browser).await;
    let body: Value = json!({
        "client_name": "<img src=x onerror=alert(1)>", "redirect_uris": ["https://evil.example/cb"],
        "token_endpoint_auth_method": "none", "application_type": "web",
    });
    let text = body.to_string();
    let request = format!(
        "POST /oauth/register HTTP/1.1\r\nhost: {}\r\nconnection: close\r\ncontent-type: application/json\r\n\
         content-length: {}\r\n\r\n{text}",
        house.gateway.address(),
        text.len()
    );
    let reply = testkit::raw(house.gateway.address(), request.as_bytes()).await;
    if reply.status == 201 {
        let client = reply.json()["client_id"].as_str().unwrap().to_owned();
        let page = goes_on(&house, &browser, &client, "https://evil.example/cb").await;
        assert!(!page.text().contains("<img"), "{}", page.text());
    }
}
