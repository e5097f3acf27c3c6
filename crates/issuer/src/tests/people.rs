//! People at our own pages: a password, the link that sets it, and the way out.

use super::agents::{bot, change};
use super::id_jag::provider;
use super::site::Site;
use super::*;
use crate::person::{Initial, NewAccount};
use crate::session::Opening;
use crate::sign_in::{Returned, SignInError, TenantConfig};
use std::cell::RefCell;

const PASSWORD: &str = "wonderland is near";

/// A browser and its cookies.
#[derive(Default)]
struct Browser(RefCell<BTreeMap<String, String>>);

impl Browser {
    /// One in which somebody is signed in.
    async fn of(world: &World, user: &str, tenant: &str) -> Self {
        let opening = Opening { user: user.into(), tenant: tenant.into(), ..Opening::default() };
        let (_, secret) = world.issuer.sessions().open(&opening).await.unwrap();
        Self(RefCell::new(BTreeMap::from([(SESSION.to_owned(), secret)])))
    }

    async fn send(&self, world: &World, request: http::request::Builder, body: &str) -> Answer {
        let pair = |(name, value): (&String, &String)| format!("{name}={value}");
        let cookies = self.0.borrow().iter().map(pair).collect::<Vec<_>>().join("; ");
        let answer = send(&world.issuer, request.header("cookie", cookies), body).await;
        for cookie in answer.headers.get_all("set-cookie") {
            let pair = cookie.to_str().unwrap().split(';').next().unwrap();
            let (name, value) = pair.split_once('=').unwrap();
            self.0.borrow_mut().insert(name.to_owned(), value.to_owned());
        }
        self.0.borrow_mut().retain(|_, value| !value.is_empty());
        answer
    }

    async fn get(&self, world: &World, path: &str) -> Answer {
        self.send(world, Request::get(path), "").await
    }

    async fn post(&self, world: &World, path: &str, pairs: &[(&str, &str)]) -> Answer {
        let body = form_urlencoded::Serializer::new(String::new()).extend_pairs(pairs).finish();
        let request = Request::post(path)
            .header("origin", HERE)
            .header("content-type", "application/x-www-form-urlencoded");
        self.send(world, request, &body).await
    }

    /// Sends name and password in the form of the sign-in page of acme.
    async fn sign_in(&self, world: &World, tenant: &str) -> Answer {
        let form = hidden(&self.get(world, "/sign-in?tenant=acme").await);
        let pairs = [
            ("form", form.as_str()),
            ("next", "/connections"),
            ("tenant", tenant),
            ("account", "hatter"),
            ("password", PASSWORD),
        ];
        self.post(world, "/sign-in", &pairs).await
    }

    async fn is_signed_in(&self, world: &World) -> bool {
        self.get(world, "/connections").await.status == StatusCode::OK
    }

    fn session(&self) -> Option<String> {
        self.0.borrow().get(SESSION).cloned()
    }
}

/// The token of a page's form.
fn hidden(page: &Answer) -> String {
    let text = page.text();
    let (_, rest) = text.split_once("name=\"form\" value=\"").unwrap_or_else(|| panic!("{text}"));
    rest.split('"').next().unwrap().to_owned()
}

fn tenant(name: &str, local_accounts: bool) -> Arc<TenantConfig> {
    let display_name = name.to_owned();
    Arc::new(TenantConfig { name: name.into(), display_name, providers: Vec::new(), local_accounts })
}

async fn world() -> World {
    let world = World::new().await;
    world.configure(|config| config.tenants = vec![tenant("acme", true), tenant("globex", false)]);
    world
}

/// The hatter, whose account has a password in `tenant`; the person's id.
async fn hatter(world: &World, tenant: &str) -> String {
    let new = NewAccount { tenant: tenant.into(), account: "hatter".into(), ..NewAccount::default() };
    let password = Initial::Password(Arc::new(Secret::new(PASSWORD.as_bytes().to_vec())));
    world.issuer.accounts.create(&new, password).await.unwrap().user
}

#[tokio::test]
async fn a_sign_in_takes_the_place_of_the_session_that_was_there() {
    let world = world().await;
    hatter(&world, "acme").await;
    let (alice, browser) = (Browser::of(&world, "usr_alice", "acme").await, Browser::default());
    let form = hidden(&browser.get(&world, "/sign-in?tenant=acme").await);
    browser.0.borrow_mut().extend(alice.0.borrow().clone());
    let pairs = [
        ("form", form.as_str()),
        ("next", "/connections"),
        ("tenant", "acme"),
        ("account", "hatter"),
        ("password", PASSWORD),
    ];
    assert_eq!(browser.post(&world, "/sign-in", &pairs).await.location(), "/connections");
    assert!(browser.session().is_some() && browser.session() != alice.session());
    assert!(browser.is_signed_in(&world).await && !alice.is_signed_in(&world).await);
}

#[tokio::test]
async fn what_a_person_let_devices_and_agents_do_is_listed_and_ended() {
    for world in World::each().await {
        world.configure(|config| config.tenants = vec![tenant("acme", true)]);
        let agent = bot(&world, change()).await;
        let id = agent.agent.id.as_str();
        world.issuer.agent_consents().give("usr_alice", id, MCP, &["mcp:read".into()]).await.unwrap();
        let (access, refresh) = world.tokens().await;
        let grant = claims(&access)["grant_id"].as_str().unwrap().to_owned();
        let alice = Browser::of(&world, "usr_alice", "acme").await;
        let page = alice.get(&world, "/connections").await;
        for shown in ["Builder", id, "mcp:read", grant.as_str(), "Client"] {
            assert!(page.text().contains(shown), "{shown}: {}", page.text());
        }
        let form = hidden(&page);
        let end = async |field: &'static str, id: &str| {
            let pairs = [("form", form.as_str()), (field, id)];
            assert_eq!(alice.post(&world, "/connections", &pairs).await.location(), "/connections?gone=1");
        };
        // Not what is another's.
        let new = NewAccount { tenant: "acme".into(), account: "hatter".into(), ..NewAccount::default() };
        let password = Initial::Password(Arc::new(Secret::new(PASSWORD.as_bytes().to_vec())));
        let hatter = world.issuer.accounts.create(&new, password).await.unwrap().user;
        let theirs = Browser::of(&world, &hatter, "acme").await;
        let form_of_hatter = hidden(&theirs.get(&world, "/sign-out").await);
        assert!(!form_of_hatter.is_empty());
        let empty = theirs.get(&world, "/connections").await;
        assert!(empty.text().contains("There are none"), "{}", empty.text());
        let foreign = crate::pages::form_token(&theirs.session().unwrap(), "connections");
        for (field, id) in [("grant", grant.as_str()), ("agent", id)] {
            theirs.post(&world, "/connections", &[("form", &foreign), (field, id)]).await;
        }
        let refresh = world.refresh(&refresh).await.tokens().1;
        assert!(world.issuer.agent_consents().find("usr_alice", id, MCP).await.unwrap().is_some());
        // One's own.
        end("grant", &grant).await;
        assert_eq!(world.refresh(&refresh).await.error(), "invalid_grant");
        end("agent", id).await;
        assert!(world.issuer.agent_consents().find("usr_alice", id, MCP).await.unwrap().is_none());
        assert!(alice.get(&world, "/connections").await.text().contains("There are none"));
        assert_eq!(world.record().matches("consent_withdrawn").count(), 1);
    }
}

#[tokio::test]
async fn what_another_tenant_revokes_ends_nobodys_session_here() {
    use authn::revocations::{Kind, Revocation, revoke};
    let world = world().await;
    let alice = Browser::of(&world, "usr_alice", "acme").await;
    for (tenant, stays) in [("globex", true), ("acme", false)] {
        let row = Revocation::new(Kind::User, "usr_alice", "operator").of_tenant(tenant);
        revoke(&world.test.db, &row, world.clock.now()).await.unwrap();
        assert_eq!(alice.is_signed_in(&world).await, stays, "{tenant}");
    }
}

#[tokio::test]
async fn a_tenant_without_local_accounts_takes_no_password() {
    let world = world().await;
    hatter(&world, "globex").await;
    let browser = Browser::default();
    let refused = browser.sign_in(&world, "globex").await;
    assert_eq!((refused.status.as_u16(), browser.session()), (404, None), "{}", refused.text());
    world.configure(|config| config.tenants[1] = tenant("globex", true));
    assert_eq!(browser.sign_in(&world, "globex").await.location(), "/connections");
    // Nor does a tenant that is no longer there have anybody.
    assert!(browser.is_signed_in(&world).await);
    world.configure(|config| drop(config.tenants.pop()));
    assert!(!browser.is_signed_in(&world).await);
}

#[tokio::test]
async fn a_password_is_set_from_the_page_of_its_link_and_ends_what_was_before_it() {
    let world = world().await;
    let user = hatter(&world, "acme").await;
    let begun = world.authorize(&[]).await;
    let tx = begun.location().strip_prefix("/sign-in?tx=").unwrap();
    let approval = Approval { user: user.clone(), ..alice(world.clock.now()) };
    let back = finish(&world.issuer, tx, Decision::Approved(approval)).await.unwrap();
    let (_, granted) = world.redeem(&parameter(&back, "code").unwrap()).await.tokens();
    let (_, of_alice) = world.tokens().await;
    // Under way, from a session that another took the place of.
    let opening = Opening { user: user.clone(), tenant: "acme".into(), ..Opening::default() };
    let (closed, _) = world.issuer.sessions().open(&opening).await.unwrap();
    world.issuer.sessions().close(&closed.id).await.unwrap();
    let begun = world.authorize(&[]).await;
    let tx = begun.location().strip_prefix("/sign-in?tx=").unwrap();
    let approval = Approval { user: user.clone(), session: closed.id, ..alice(world.clock.now()) };
    let back = finish(&world.issuer, tx, Decision::Approved(approval)).await.unwrap();
    let under_way = parameter(&back, "code").unwrap();
    let older = world.issuer.accounts.link(&user).await.unwrap();
    let link = world.issuer.accounts.link(&user).await.unwrap();
    let (browser, other) = (Browser::default(), Browser::of(&world, &user, "acme").await);
    let gone = browser.get(&world, &format!("/sign-in/password?link={older}")).await;
    assert!(gone.text().contains("PTN-2032"), "{}", gone.text());
    let path = format!("/sign-in/password?link={link}");
    let foreign = hidden(&other.get(&world, &path).await);
    let form = hidden(&browser.get(&world, &path).await);
    let set = async |form: &str| {
        let password = "down the rabbit hole";
        let pairs = [("form", form), ("link", &link), ("password", password), ("again", password)];
        browser.post(&world, "/sign-in/password", &pairs).await
    };
    for bad in [foreign.as_str(), ""] {
        let refused = set(bad).await;
        assert!(refused.text().contains("PTN-2030"), "{}", refused.text());
    }
    assert!(other.is_signed_in(&world).await);
    assert_eq!(set(&form).await.status, StatusCode::OK);
    assert!(!other.is_signed_in(&world).await);
    assert_eq!(world.refresh(&granted).await.error(), "invalid_grant");
    assert_eq!(world.redeem(&under_way).await.error(), "invalid_grant");
    world.refresh(&of_alice).await.tokens();
    assert!(set(&form).await.text().contains("PTN-2032"));
}

#[tokio::test]
async fn whoever_knew_the_password_before_is_out_whatever_goes_on_meanwhile() {
    // Signs somebody in with the password of before, at the last moment.
    const MEANWHILE: &str = "CREATE TRIGGER meanwhile BEFORE UPDATE OF password ON local_accounts BEGIN
        INSERT INTO browser_sessions (digest, id, user_id, tenant, auth_time, amr, created_at, seen_at, expires_at)
            VALUES ('d', 'ses_meanwhile', NEW.user_id, 'acme', 0, '[]', 0, 0, 9000000000000); END";
    let world = world().await;
    let user = hatter(&world, "acme").await;
    let run = async |text: &'static str| {
        on!(world.test.db, pool => sqlx::query(text).execute(pool).await.map(drop)).unwrap();
    };
    let link = world.issuer.accounts.link(&user).await.unwrap();
    let browser = Browser::default();
    let form = hidden(&browser.get(&world, &format!("/sign-in/password?link={link}")).await);
    let set = async || {
        let password = "down the rabbit hole";
        let pairs = [("form", form.as_str()), ("link", &link), ("password", password), ("again", password)];
        browser.post(&world, "/sign-in/password", &pairs).await
    };
    // What cannot be ended uses no link up.
    run("ALTER TABLE grants RENAME TO away").await;
    assert_ne!(set().await.status, StatusCode::OK);
    run("ALTER TABLE away RENAME TO grants").await;
    run(MEANWHILE).await;
    let done = set().await;
    assert_eq!(done.status, StatusCode::OK, "{}", done.text());
    assert!(world.issuer.sessions().by_id("ses_meanwhile").await.unwrap().is_none());
}

#[tokio::test]
async fn nobody_is_signed_out_by_a_form_that_is_not_their_own() {
    let world = world().await;
    let user = hatter(&world, "acme").await;
    let (alice, hatter) =
        (Browser::of(&world, "usr_alice", "acme").await, Browser::of(&world, &user, "acme").await);
    let foreign = hidden(&hatter.get(&world, "/sign-out").await);
    for form in [foreign.as_str(), ""] {
        let refused = alice.post(&world, "/sign-out", &[("form", form)]).await;
        assert!(refused.text().contains("PTN-2030"), "{}", refused.text());
    }
    let before = Browser(RefCell::new(alice.0.borrow().clone()));
    assert!(alice.is_signed_in(&world).await);
    let form = hidden(&alice.get(&world, "/sign-out").await);
    assert_eq!(alice.post(&world, "/sign-out", &[("form", &form)]).await.location(), "/sign-out");
    assert!(alice.session().is_none() && !before.is_signed_in(&world).await);
}

#[tokio::test]
async fn whoever_left_for_another_provider_of_that_name_does_not_arrive() {
    let (world, one, two) = (World::new().await, Site::open().await, Site::open().await);
    let at = |site: &Site| {
        let metadata = json!({
            "issuer": site.origin, "jwks_uri": site.url("/jwks"), "token_endpoint": site.url("/token"),
            "authorization_endpoint": site.url("/authorize"),
        });
        site.put("/.well-known/openid-configuration", (200, None, metadata.to_string()));
        let providers = vec![Arc::new(provider(&site.origin))];
        Arc::new(TenantConfig { providers, ..TenantConfig::clone(&tenant("acme", false)) })
    };
    world.configure(|config| config.tenants = vec![at(&one)]);
    let left = world.issuer.desk().federation.leave("acme", "corp", "next", false).await.unwrap();
    world.configure(|config| config.tenants = vec![at(&two)]);
    let state = parameter(&left.url, "state").unwrap();
    let returned = Returned { state, code: Some("code".into()), ..Returned::default() };
    let refused = world.issuer.desk().federation.back(&returned, Some(&left.cookie)).await.unwrap_err();
    assert!(matches!(refused.0, SignInError::Issuer), "{refused:?}");
}

#[tokio::test]
async fn a_client_that_says_something_else_of_itself_is_asked_about_again() {
    let (world, site) = (world().await, Site::open().await);
    world.configure(|config| config.documents = loopback_documents());
    let (id, redirect) = (site.url("/client.json"), "https://app.example/cb");
    let says = |name: &str| {
        let document = json!({"client_id": id, "client_name": name, "redirect_uris": [redirect]});
        let fresh = Some(("cache-control", "max-age=60".to_owned()));
        site.put("/client.json", (200, fresh, document.to_string()));
    };
    says("App");
    let alice = Browser::of(&world, "usr_alice", "acme").await;
    let begin = async || {
        let begun = world.authorize(&[("client_id", &id), ("redirect_uri", redirect)]).await;
        let tx = begun.location().strip_prefix("/sign-in?tx=").unwrap().to_owned();
        (alice.get(&world, &format!("/consent?tx={tx}")).await, tx)
    };
    let (page, tx) = begin().await;
    let form = hidden(&page);
    let pairs = [("form", form.as_str()), ("tx", &tx), ("decision", "allow")];
    assert!(alice.post(&world, "/consent", &pairs).await.location().starts_with(redirect));
    assert!(begin().await.0.location().starts_with(redirect));
    says("Your bank");
    world.pass(60);
    let page = begin().await.0.text();
    assert!(page.contains("Your bank") && page.contains("has changed since"), "{page}");
}

#[tokio::test]
async fn a_consent_that_is_taken_back_ends_the_codes_that_came_of_it() {
    let world = world().await;
    let (alice, redirect) = (Browser::of(&world, "usr_alice", "acme").await, "https://cli.example/cb");
    let begin = async || {
        let begun = world.authorize(&[("redirect_uri", redirect)]).await;
        let tx = begun.location().strip_prefix("/sign-in?tx=").unwrap().to_owned();
        (alice.get(&world, &format!("/consent?tx={tx}")).await, tx)
    };
    let (page, tx) = begin().await;
    let form = hidden(&page);
    let pairs = [("form", form.as_str()), ("tx", &tx), ("decision", "allow")];
    let asked = alice.post(&world, "/consent", &pairs).await;
    let unasked = begin().await.0;
    for consent in world.issuer.consents().of_user("usr_alice").await.unwrap() {
        world.issuer.withdraw("usr_alice", &consent.id, "usr_alice").await.unwrap().unwrap();
    }
    for back in [asked, unasked] {
        let code = parameter(back.location(), "code").unwrap();
        let pairs = [
            ("grant_type", "authorization_code"),
            ("client_id", "cli"),
            ("code", &code),
            ("code_verifier", VERIFIER),
        ];
        assert_eq!(world.form("/oauth/token", &pairs).await.error(), "invalid_grant");
    }
}

const SESSION: &str = "__Host-portunus-session";
