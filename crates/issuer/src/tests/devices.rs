//! Devices that cannot redirect: codes, the page, and what comes of it.

use super::agents::{bot, change, person, stranger, token};
use super::*;
use crate::agent::{Change, Delegation};
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
        Self::of_person(world, "usr_alice").await
    }

    async fn of_person(world: &World, user: &str) -> Self {
        let opening = Opening { user: user.into(), tenant: "acme".into(), ..Opening::default() };
        let (_, secret) = world.issuer.sessions().open(&opening).await.unwrap();
        Self { cookie: format!("__Host-portunus-session={secret}") }
    }

    async fn get(&self, world: &World, path: &str) -> Answer {
        send(&world.issuer, Request::get(path).header("cookie", &self.cookie), "").await
    }

    async fn post(&self, world: &World, pairs: &[(&str, &str)]) -> Answer {
        self.post_from(world, "192.0.2.1", pairs).await
    }

    async fn post_from(&self, world: &World, address: &str, pairs: &[(&str, &str)]) -> Answer {
        let body = form_urlencoded::Serializer::new(String::new()).extend_pairs(pairs).finish();
        let request = Request::post("/device")
            .header("cookie", &self.cookie)
            .header("origin", HERE)
            .header("content-type", "application/x-www-form-urlencoded");
        send_from(&world.issuer, address, request, &body).await
    }

    /// Enters a code, as the page lets it.
    async fn enter(&self, world: &World, code: &str) -> Answer {
        self.enter_from(world, "192.0.2.1", code).await
    }

    async fn enter_from(&self, world: &World, address: &str, code: &str) -> Answer {
        let page = self.get(world, "/device").await.text();
        self.post_from(world, address, &[("form", &hidden(&page)), ("user_code", code)]).await
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
        for form in [foreign.as_str(), "", "nonsense"] {
            let answer = alice.post(&world, &[("form", form), ("user_code", &one)]).await;
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

#[tokio::test]
async fn neither_many_addresses_nor_many_people_try_more_codes_than_one() {
    for world in worlds().await {
        person(&world, "usr_carol", "acme").await;
        let (alice, carol) = (Browser::of(&world).await, Browser::of_person(&world, "usr_carol").await);
        for at in 0..10 {
            let page = alice.enter_from(&world, &format!("198.51.100.{at}"), "BBBBB-BBBBB").await;
            assert!(page.text().contains("No device waits"), "{}", page.text());
        }
        assert!(alice.enter_from(&world, "198.51.100.99", "BBBBB-BBBBB").await.text().contains("PTN-2041"));
        for at in 0..10 {
            let id = format!("usr_{at}");
            person(&world, &id, "acme").await;
            let page = Browser::of_person(&world, &id).await.enter(&world, "BBBBB-BBBBB").await;
            assert!(page.text().contains("No device waits"), "{}", page.text());
        }
        assert!(carol.enter(&world, "BBBBB-BBBBB").await.text().contains("PTN-2041"));
    }
}

#[tokio::test]
async fn codes_are_not_guessed_by_deciding() {
    for world in worlds().await {
        let alice = Browser::of(&world).await;
        let (device, user) = begin(&world).await;
        let plain = user.replace('-', "");
        // What whoever holds the cookie can make of it.
        let (_, cookie) = alice.cookie.split_once('=').unwrap();
        let made = crate::pages::form_token(cookie, &format!("device {plain}"));
        let pairs = [("form", made.as_str()), ("user_code", &plain), ("decision", "allow")];
        assert!(alice.post(&world, &pairs).await.text().contains("PTN-2030"));
        assert_eq!(poll(&world, &device).await.error(), "authorization_pending");
    }
}

#[tokio::test]
async fn a_code_is_decided_about_once_and_in_time() {
    for world in worlds().await {
        let alice = Browser::of(&world).await;
        let (device, user) = begin(&world).await;
        let plain = user.replace('-', "");
        let form = hidden(&alice.enter(&world, &user).await.text());
        let decide = async |decision: &str| {
            alice.post(&world, &[("form", &form), ("user_code", &plain), ("decision", decision)]).await.text()
        };
        assert!(decide("allow").await.contains("signed in"));
        assert!(decide("deny").await.contains("PTN-2041"));
        assert_eq!(poll(&world, &device).await.status, StatusCode::OK);
        let (_, user) = begin(&world).await;
        let form = hidden(&alice.enter(&world, &user).await.text());
        world.pass(600);
        let plain = user.replace('-', "");
        for decision in ["allow", "deny"] {
            let pairs = [("form", form.as_str()), ("user_code", &plain), ("decision", decision)];
            assert!(alice.post(&world, &pairs).await.text().contains("PTN-2041"), "{decision}");
        }
        assert!(alice.enter(&world, &user).await.text().contains("No device waits"));
    }
}

#[tokio::test]
async fn a_page_says_that_the_device_is_where_the_person_is_only_if_it_is() {
    let world = worlds().await.remove(0);
    let alice = Browser::of(&world).await;
    let (_, user) = begin(&world).await;
    let here = "the address that you come from";
    assert!(alice.enter(&world, &user).await.text().contains(here));
    let elsewhere = alice.enter_from(&world, "198.51.100.7", &user).await.text();
    assert!(elsewhere.contains("192.0.2.1") && !elsewhere.contains(here), "{elsewhere}");
    assert!(elsewhere.contains("only if the same code is on a device that you hold"), "{elsewhere}");
}

#[tokio::test]
async fn an_address_begins_so_many_device_codes_and_no_more() {
    let world = worlds().await.remove(0);
    for _ in 0..20 {
        begin(&world).await;
    }
    let pairs = [("client_id", "cli"), ("resource", MCP)];
    assert_eq!(world.form("/oauth/device", &pairs).await.error(), "slow_down");
    world.pass(60);
    begin(&world).await;
}

#[tokio::test]
async fn a_person_who_was_disabled_since_signs_no_device_in() {
    for world in worlds().await {
        let alice = Browser::of(&world).await;
        let (device, user) = begin(&world).await;
        alice.decide(&world, &user, "allow").await;
        world.issuer.people.set_active("usr_alice", false).await.unwrap();
        assert_eq!(poll(&world, &device).await.error(), "access_denied");
    }
}

#[tokio::test]
async fn an_agent_that_a_person_approves_acts_for_them_within_its_bounds() {
    for world in worlds().await {
        let bounds = Change {
            servers: Some(vec!["mail".into()]),
            delegation: Delegation { depth: 1, scopes: Some(vec!["mcp:read".into()]) },
            ..change()
        };
        let agent = bot(&world, bounds).await;
        let id = agent.agent.id.as_str();
        for (pairs, error) in [
            ([("resource", "https://gw.test/servers/git/mcp"), ("scope", "")], "invalid_target"),
            ([("resource", MCP), ("scope", "mcp:call")], "invalid_scope"),
        ] {
            assert_eq!(agent.send(&world, "/oauth/device", &pairs).await.error(), error, "{pairs:?}");
        }
        let begun = agent.send(&world, "/oauth/device", &[("resource", MCP)]).await.json();
        let (device, user) = (begun["device_code"].as_str().unwrap(), begun["user_code"].as_str().unwrap());
        Browser::of(&world).await.decide(&world, user, "allow").await;
        let answer = agent.ask(&world, &[("grant_type", GRANT), ("device_code", device)]).await;
        let got = claims(&token(&answer));
        assert_eq!(
            (&got["sub"], &got["act"], &got["scope"]),
            (&json!("usr_alice"), &json!({"sub": id}), &json!("mcp:read"))
        );
        assert!(answer.json().get("refresh_token").is_none());
        let consent = world.issuer.agent_consents().find("usr_alice", id, MCP).await.unwrap();
        assert_eq!(consent, Some(vec!["mcp:read".to_owned()]));
        // Until the person takes it back.
        assert!(world.issuer.withdraw_from_agent("acme", "usr_alice", id, "usr_alice").await.unwrap());
        let grant = crate::grant::find(&world.issuer, got["grant_id"].as_str().unwrap()).await.unwrap();
        assert!(grant.unwrap().revoked_at.is_some());
    }
}

#[tokio::test]
async fn an_agent_of_another_tenant_or_one_that_was_stopped_is_not_approved() {
    for world in worlds().await {
        let (own, foreign) = (bot(&world, change()).await, stranger(&world, change()).await);
        for (agent, stops) in [(&foreign, false), (&own, true)] {
            let begun = agent.send(&world, "/oauth/device", &[("resource", MCP)]).await.json();
            let user = begun["user_code"].as_str().unwrap();
            if stops {
                world.issuer.agents().set_active(&agent.agent.id, false, "operator").await.unwrap();
            }
            let refused = Browser::of(&world).await.decide(&world, user, "allow").await;
            assert!(refused.text().contains("PTN-2041"), "{}", refused.text());
            let consent = world.issuer.agent_consents().find("usr_alice", &agent.agent.id, MCP).await;
            assert_eq!(consent.unwrap(), None);
        }
    }
}

#[tokio::test]
async fn what_ends_while_a_device_is_under_way_ends_it() {
    use authn::revocations::{Kind, Revocation, revoke};
    for world in worlds().await {
        let alice = Browser::of(&world).await;
        for row in [
            Revocation::new(Kind::User, "usr_alice", "operator")
                .issued_before(world.clock.now().after(Duration::from_secs(8))),
            Revocation::new(Kind::Client, "cli", "operator"),
        ] {
            let (device, user) = begin(&world).await;
            alice.decide(&world, &user, "allow").await;
            world.pass(8);
            revoke(&world.test.db, &row, world.clock.now()).await.unwrap();
            let refused = poll(&world, &device).await;
            assert_ne!(refused.status, StatusCode::OK, "{row:?}: {}", refused.text());
            authn::revocations::lift(&world.test.db, &row, world.clock.now()).await.unwrap();
        }
        // Taken back from an agent in between.
        let agent = bot(&world, change()).await;
        let begun = agent.send(&world, "/oauth/device", &[("resource", MCP)]).await.json();
        alice.decide(&world, begun["user_code"].as_str().unwrap(), "allow").await;
        let id = agent.agent.id.as_str();
        assert!(world.issuer.withdraw_from_agent("acme", "usr_alice", id, "usr_alice").await.unwrap());
        let pairs = [("grant_type", GRANT), ("device_code", begun["device_code"].as_str().unwrap())];
        assert_eq!(agent.ask(&world, &pairs).await.error(), "access_denied");
        let all =
            crate::grant::Filter { tenant: "acme".into(), agent: Some(id.into()), ..Default::default() };
        assert!(crate::grant::list(&world.issuer, &all, 10).await.unwrap().is_empty());
        // Signed out in between.
        let (device, user) = begin(&world).await;
        alice.decide(&world, &user, "allow").await;
        let sessions = world.issuer.sessions();
        for session in sessions.of_user("usr_alice").await.unwrap() {
            let why = crate::grant::Why { by: "usr_alice", reason: "signed out" };
            world.issuer.end_session(&session, why).await.unwrap();
        }
        assert_eq!(poll(&world, &device).await.error(), "access_denied");
    }
}

#[tokio::test]
async fn a_device_of_an_agent_that_was_narrowed_since_gets_what_is_left() {
    for world in worlds().await {
        let agent = bot(&world, change()).await;
        let id = agent.agent.id.clone();
        let alice = Browser::of(&world).await;
        let begun = async || {
            let begun = agent.send(&world, "/oauth/device", &[("resource", MCP)]).await.json();
            alice.decide(&world, begun["user_code"].as_str().unwrap(), "allow").await;
            begun["device_code"].as_str().unwrap().to_owned()
        };
        let (one, two) = (begun().await, begun().await);
        world.pass(3);
        let scopes = vec!["mcp:read".to_owned()];
        let less = Change { scopes: scopes.clone(), ..change() };
        world.issuer.agents().change(&id, &less, "operator").await.unwrap();
        world.pass(3);
        let answer = agent.ask(&world, &[("grant_type", GRANT), ("device_code", &one)]).await;
        assert_eq!(claims(&token(&answer))["scope"], "mcp:read");
        let none = Change { servers: Some(Vec::new()), scopes, ..change() };
        world.issuer.agents().change(&id, &none, "operator").await.unwrap();
        let refused = agent.ask(&world, &[("grant_type", GRANT), ("device_code", &two)]).await;
        assert_eq!(refused.error(), "invalid_target", "{}", refused.text());
    }
}

#[tokio::test]
async fn a_client_that_did_not_register_for_the_device_flow_does_not_get_it() {
    let world = worlds().await.remove(0);
    let register = async |grants: Value| {
        let document = json!({
            "client_name": "Portunus", "redirect_uris": ["https://evil.test/cb"], "grant_types": grants,
        });
        let request = Request::post("/oauth/register").header("content-type", "application/json");
        send(&world.issuer, request, &document.to_string()).await.json()
    };
    let begin = async |registered: &Value| {
        let id = registered["client_id"].as_str().unwrap();
        world.form("/oauth/device", &[("client_id", id), ("resource", MCP)]).await
    };
    let plain = register(json!(["authorization_code"])).await;
    assert_eq!(plain["grant_types"], json!(["authorization_code", "refresh_token"]));
    assert_eq!(begin(&plain).await.error(), "unauthorized_client");
    let waiting = register(json!(["authorization_code", GRANT])).await;
    assert_eq!(waiting["grant_types"], json!(["authorization_code", "refresh_token", GRANT]));
    let begun = begin(&waiting).await;
    // Whoever is asked is told who it is that nobody has checked.
    let alice = Browser::of(&world).await;
    let page = alice.enter(&world, begun.json()["user_code"].as_str().unwrap()).await.text();
    assert!(page.contains("This client registered itself"), "{page}");
}
