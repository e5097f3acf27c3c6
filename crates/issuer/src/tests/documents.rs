//! Clients whose id is the URL of their document.

use super::site::Site;
use super::*;

async fn world_and_site() -> (World, Site, String) {
    let world = World::new().await;
    world.configure(|config| config.documents = loopback_documents());
    let site = Site::open().await;
    let id = site.url("/client.json");
    site.put("/client.json", page(&id, &json!({})));
    (world, site, id)
}

fn page(id: &str, change: &Value) -> (u16, Option<(&'static str, String)>, String) {
    let document = json!({
        "client_id": id, "client_name": "Site", "redirect_uris": ["http://localhost/callback"],
        "token_endpoint_auth_method": "none",
    });
    (200, Some(("cache-control", "max-age=100".to_owned())), with(&document, change).to_string())
}

async fn begin(world: &World, id: &str) -> Answer {
    world.authorize(&[("client_id", id), ("redirect_uri", "http://localhost:61234/callback")]).await
}

#[tokio::test]
async fn a_document_makes_a_client() {
    let (world, _site, id) = world_and_site().await;
    let code = world.code(&[("client_id", &id), ("redirect_uri", "http://localhost:61234/callback")]).await;
    let pairs = [
        ("grant_type", "authorization_code"),
        ("client_id", id.as_str()),
        ("code", &code),
        ("code_verifier", VERIFIER),
    ];
    assert_eq!(claims(&world.form("/oauth/token", &pairs).await.tokens().0)["client_id"], id);
    assert_eq!(world.authorize(&[("client_id", &id)]).await.status, 400, "another redirect URI");
}

#[tokio::test]
async fn a_document_that_is_not_what_it_must_be_makes_none() {
    let (world, site, _) = world_and_site().await;
    let bad = [
        ("/other-id", page(&site.url("/client.json"), &json!({}))),
        ("/secret", page(&site.url("/secret"), &json!({"client_secret": "x"}))),
        ("/moved", (302, Some(("location", site.url("/client.json"))), String::new())),
        ("/created", (201, None, page(&site.url("/created"), &json!({})).2)),
        ("/text", (200, None, "hello".to_owned())),
        (
            "/twice",
            (200, None, page(&site.url("/twice"), &json!({})).2.replacen('{', "{\"client_id\":\"x\",", 1)),
        ),
        ("/large", page(&site.url("/large"), &json!({"x": "x".repeat(70_000)}))),
    ];
    for (path, page) in bad {
        site.put(path, page);
        let refused = begin(&world, &site.url(path)).await;
        assert_eq!(refused.status, 400, "{path}");
        assert!(refused.text().contains("PTN-2011"), "{path}: {}", refused.text());
    }
}

#[tokio::test]
async fn a_document_on_an_inner_address_is_never_fetched() {
    let (world, site, id) = world_and_site().await;
    // The site is up and its document is good: only the rule is another one.
    world.configure(|config| config.documents = Some(Documents::default()));
    assert_eq!(begin(&world, &id).await.status, 400);
    let port = site.origin.rsplit(':').next().unwrap();
    for host in
        ["localhost", "127.0.0.1", "[::1]", "169.254.169.254", "10.0.0.1", "[::ffff:127.0.0.1]", "2130706433"]
    {
        let id = format!("https://{host}:{port}/client.json");
        let refused = begin(&world, &id).await;
        assert_eq!(refused.status, 400, "{id}");
        // Not merely unreachable: nobody tried.
        assert!(refused.text().contains("not one that may be fetched"), "{id}: {}", refused.text());
    }
    assert_eq!(site.asked(), 0);
}

#[tokio::test]
async fn documents_are_kept_as_long_as_they_say_and_a_day_when_nobody_answers() {
    let (world, site, id) = world_and_site().await;
    for _ in 0..3 {
        assert_eq!(begin(&world, &id).await.status, 303);
    }
    assert_eq!(site.asked(), 1);
    world.pass(100);
    assert_eq!(begin(&world, &id).await.status, 303);
    assert_eq!(site.asked(), 2);
    // Away: the last good one serves, and the site is not asked at every turn.
    site.put("/client.json", (503, None, String::new()));
    world.pass(100);
    for _ in 0..3 {
        assert_eq!(begin(&world, &id).await.status, 303);
    }
    assert_eq!(site.asked(), 3);
    site.close();
    world.pass(86_400 - 101);
    assert_eq!(begin(&world, &id).await.status, 303);
    world.pass(10);
    assert_eq!(begin(&world, &id).await.status, 400, "a day is over");
}

#[tokio::test]
async fn a_document_that_is_taken_back_or_changed_is_no_longer_good() {
    let (world, site, id) = world_and_site().await;
    let before = crate::client::find(&world.issuer, &id).await.unwrap().digest;
    world.pass(100);
    site.put(
        "/client.json",
        page(&id, &json!({"redirect_uris": ["http://localhost/callback", "https://x.example/"]})),
    );
    let after = crate::client::find(&world.issuer, &id).await.unwrap().digest;
    assert_ne!(before, after, "consent was for another document");
    world.pass(100);
    site.put("/client.json", (404, None, String::new()));
    assert_eq!(begin(&world, &id).await.status, 400);
}

#[tokio::test]
async fn an_operator_may_name_the_hosts_of_documents_or_take_none() {
    let (world, _site, id) = world_and_site().await;
    let only = |hosts: &[&str]| {
        Some(Documents {
            allowed_hosts: Some(hosts.iter().map(ToString::to_string).collect()),
            danger_allow_loopback: true,
        })
    };
    world.configure(|config| config.documents = only(&["app.example"]));
    assert_eq!(begin(&world, &id).await.status, 400);
    world.configure(|config| config.documents = only(&["127.0.0.1"]));
    assert_eq!(begin(&world, &id).await.status, 303);
    world.configure(|config| config.documents = None);
    assert_eq!(begin(&world, &id).await.status, 400);
    assert_eq!(world.get(crate::metadata::PATH).await.json()["client_id_metadata_document_supported"], false);
}

#[tokio::test]
async fn keys_of_a_document_are_fetched_and_fetched_again_for_a_new_one() {
    let (world, site, id) = world_and_site().await;
    let (old, new) = (Signer::new(), Signer::new());
    let keys = |set: Value| (200, None, set.to_string());
    site.put("/jwks.json", keys(old.jwks("k1")));
    world.configure(|config| {
        let known = config.clients.get_mut("cli").unwrap();
        (known.method, known.keys) = (Method::PrivateKeyJwt, Keys::At(site.url("/jwks.json")));
    });
    let _ = id;
    let prove = |signer: &Signer, kid: &str, jti: &str| {
        let claims = clients::assertion("cli", &world, jti);
        signer.sign(&json!({"alg": "ES256", "kid": kid}), &claims)
    };
    assert_eq!(clients::ask(&world, &prove(&old, "k1", "1")).await.error(), "invalid_grant", "proven");
    site.put("/jwks.json", keys(new.jwks("k2")));
    world.pass(10);
    assert_eq!(clients::ask(&world, &prove(&new, "k2", "2")).await.error(), "invalid_grant", "proven");
    assert_eq!(clients::ask(&world, &prove(&old, "k1", "3")).await.error(), "invalid_client");
    let asked = site.asked();
    for at in 0..5 {
        let unknown = prove(&old, &format!("spray{at}"), &format!("s{at}"));
        assert_eq!(clients::ask(&world, &unknown).await.error(), "invalid_client");
    }
    assert_eq!(site.asked(), asked, "unknown ids do not make us ask at every turn");
}
