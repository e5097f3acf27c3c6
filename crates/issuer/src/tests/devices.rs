//! Devices that cannot redirect: codes, the page, and what comes of it.

use super::*;
use crate::session::Opening;
use crate::sign_in::TenantConfig;

const GRANT: &str = "urn:ietf:params:oauth:grant-type:device_code";

/// Alice in her browser.
struct Browser {
    cookie: String,
}

async fn worlds() -> Vec<World> {
    let worlds = World::each().await;
    for world in &worlds {
        let acme = TenantConfig {
            name: "acme".into(),
            display_name: "Acme".into(),
            providers: Vec::new(),
            local_accounts: true,
        };
        world.configure(|config| config.tenants = vec![Arc::new(acme)]);
    }
    worlds
}

impl Browser {
    async fn of(world: &World) -> Self {
        let opening = Opening { user: "usr_alice".into(), tenant: "acme".into(), ..Opening::default() };
        let (_, secret) = world.issuer.sessions().open(&opening).await.unwrap();
        Self { cookie: format!("__Host-portunus-session={secret}") }
    }

    async fn get(&self, world: &World, path: &str) -> Answer {
        send(&world.issuer, Request::get(path).header("cookie", &self.cookie), "").await
    }

    async fn post(&self, world: &World, pairs: &[(&str, &str)]) -> Answer {
        let body = form_urlencoded::Serializer::new(String::new()).extend_pairs(pairs).finish();
        let request = Request::post("/device")
            .header("cookie", &self.cookie)
            .header("origin", HERE)
            .header("content-type", "application/x-www-form-urlencoded");
        send(&world.issuer, request, &body).await
    }

    /// Enters a code, as the page lets it.
    async fn enter(&self, world: &World, code: &str) -> Answer {
        let page = self.get(world, "/device").await.text();
        self.post(world, &[("form", &hidden(&page)), ("user_code", code)]).await
    }

    async fn decide(&self, world: &World, code: &str, decision: &str) -> Answer {
        let page = self.enter(world, code).await.text();
        let plain = code.replace('-', "");
        self.post(world, &[("form", &hidden(&page)), ("user_code", &plain), ("decision", decision)]).await
    }
}

/// The token of the page's form.
fn hidden(page: &str) -> String {
    let (_, rest) = page.split_once("name=\"form\" value=\"").unwrap_or_else(|| panic!("{page}"));
    rest.split('"').next().unwrap().to_owned()
}

async fn begin(world: &World) -> (String, String) {
    let pairs = [("client_id", "cli"), ("resource", MCP), ("scope", "mcp:read")];
    let answer = world.form("/oauth/device", &pairs).await;
    assert_eq!(answer.status, StatusCode::OK, "{}", answer.text());
    let json = answer.json();
    assert_eq!(json["verification_uri"], "https://gw.test/device");
    assert_eq!((&json["expires_in"], &json["interval"]), (&json!(600), &json!(5)));
    let text = |name: &str| json[name].as_str().unwrap().to_owned();
    assert!(text("verification_uri_complete").ends_with(&text("user_code")));
    (text("device_code"), text("user_code"))
}

async fn poll(world: &World, device_code: &str) -> Answer {
    world
        .form("/oauth/token", &[("grant_type", GRANT), ("device_code", device_code), ("client_id", "cli")])
        .await
}

#[tokio::test]
async fn a_device_waits_until_its_person_has_decided() {
    for world in worlds().await {
        let alice = Browser::of(&world).await;
        let (device, user) = begin(&world).await;
        assert_eq!(poll(&world, &device).await.error(), "authorization_pending");
        world.pass(5);
        let page = alice.enter(&world, &user.to_lowercase()).await.text();
        for shown in ["Client", "192.0.2.1", "mcp:read", "every server"] {
            assert!(page.contains(shown), "{shown}: {page}");
        }
        let done = alice.decide(&world, &user, "allow").await;
        assert!(done.text().contains("signed in"), "{}", done.text());
        world.pass(5);
        let answer = poll(&world, &device).await;
        let (access, refresh_token) = answer.tokens();
        let got = claims(&access);
        assert_eq!(
            (&got["sub"], &got["scope"], &got["aud"]),
            (&json!("usr_alice"), &json!("mcp:read"), &json!(MCP))
        );
        assert!(got["grant_id"].is_string() && got["sid"].is_string());
        assert_eq!(refresh(&world.issuer, &refresh_token).await.status, StatusCode::OK);
        // Once.
        world.pass(5);
        assert_eq!(poll(&world, &device).await.error(), "invalid_grant");
        let record = world.record();
        assert!(!record.contains(&device) && !record.contains(&user), "no code is on record");
    }
}

#[tokio::test]
async fn a_device_that_is_denied_expired_or_anothers_gets_nothing() {
    for world in worlds().await {
        let alice = Browser::of(&world).await;
        let (device, user) = begin(&world).await;
        alice.decide(&world, &user, "deny").await;
        let other = [("grant_type", GRANT), ("device_code", device.as_str()), ("client_id", "other")];
        assert_eq!(world.form("/oauth/token", &other).await.error(), "invalid_grant");
        assert_eq!(poll(&world, &device).await.error(), "access_denied");
        // Who asks too often waits longer and longer.
        let (device, _) = begin(&world).await;
        assert_eq!(poll(&world, &device).await.error(), "authorization_pending");
        world.pass(4);
        assert_eq!(poll(&world, &device).await.error(), "slow_down");
        world.pass(6);
        assert_eq!(poll(&world, &device).await.error(), "slow_down");
        world.pass(15);
        assert_eq!(poll(&world, &device).await.error(), "authorization_pending");
        world.pass(600);
        assert_eq!(poll(&world, &device).await.error(), "expired_token");
        assert_eq!(poll(&world, "dev_nothing").await.error(), "invalid_grant");
    }
}

#[tokio::test]
async fn a_device_code_gives_one_token() {
    for world in worlds().await {
        let alice = Browser::of(&world).await;
        let (device, user) = begin(&world).await;
        alice.decide(&world, &user, "allow").await;
        let other = world.replica().await;
        let pairs = [("grant_type", GRANT), ("device_code", device.as_str()), ("client_id", "cli")];
        let (one, two, three) = tokio::join!(
            form(&world.issuer, "/oauth/token", &pairs),
            form(&other, "/oauth/token", &pairs),
            form(&other, "/oauth/token", &pairs)
        );
        let good = [one, two, three].iter().filter(|answer| answer.status == StatusCode::OK).count();
        assert_eq!(good, 1);
    }
}

#[tokio::test]
async fn codes_cannot_be_guessed_at_will() {
    for world in worlds().await {
        let alice = Browser::of(&world).await;
        let (_, user) = begin(&world).await;
        for _ in 0..10 {
            let page = alice.enter(&world, "BBBBB-BBBBB").await;
            assert!(page.text().contains("No device waits"), "{}", page.text());
        }
        // Now the right one does not help either, until the window has passed.
        let refused = alice.enter(&world, &user).await;
        assert!(refused.text().contains("PTN-2041"), "{}", refused.text());
        let bob = Browser::of(&world).await;
        assert!(
            bob.enter(&world, &user).await.text().contains("PTN-2041"),
            "another session, the same person"
        );
        world.pass(601);
        let (_, user) = begin(&world).await;
        assert!(alice.enter(&world, &user).await.text().contains("Who asks"));
    }
}

#[tokio::test]
async fn a_device_is_not_approved_without_the_forms_own_token() {
    for world in worlds().await {
        let alice = Browser::of(&world).await;
        let (first, one) = begin(&world).await;
        let (_, two) = begin(&world).await;
        let (one, two) = (one.replace('-', ""), two.replace('-', ""));
        let page = alice.enter(&world, &two).await.text();
        // The form of another code, of the page before, of another site, of nobody.
        let foreign = hidden(&page);
        let before = hidden(&alice.get(&world, "/device").await.text());
        for form in [foreign.as_str(), before.as_str(), "", "nonsense"] {
            let answer =
                alice.post(&world, &[("form", form), ("user_code", &one), ("decision", "allow")]).await;
            assert!(answer.text().contains("PTN-2030"), "{form}: {}", answer.text());
        }
        let right = hidden(&alice.enter(&world, &one).await.text());
        let pairs = [("form", right.as_str()), ("user_code", one.as_str()), ("decision", "allow")];
        let body = form_urlencoded::Serializer::new(String::new()).extend_pairs(pairs).finish();
        let request =
            Request::post("/device").header("cookie", &alice.cookie).header("origin", "https://evil.test");
        assert!(send(&world.issuer, request, &body).await.text().contains("PTN-2030"));
        let nobody = Request::post("/device").header("origin", HERE);
        assert!(send(&world.issuer, nobody, &body).await.location().starts_with("/sign-in?"));
        let stranger = world.get("/device?user_code=BBBBB-BBBBB").await;
        assert!(stranger.location().starts_with("/sign-in?next="), "{}", stranger.location());
        assert_eq!(poll(&world, &first).await.error(), "authorization_pending");
        let page = alice.get(&world, "/device").await;
        assert_eq!(page.headers["x-frame-options"], "DENY");
    }
}
