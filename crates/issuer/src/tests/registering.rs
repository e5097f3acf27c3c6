//! Dynamic registration: stateless, honest about what was registered, bounded.

use super::*;

async fn register(world: &World, document: &Value) -> Answer {
    let request = Request::post("/oauth/register").header("content-type", "application/json");
    send(&world.issuer, request, &document.to_string()).await
}

fn usual() -> Value {
    json!({"client_name": "Code", "redirect_uris": ["http://localhost:3000/callback"]})
}

#[tokio::test]
async fn a_registration_is_its_id_on_every_replica() {
    for world in World::each().await {
        let answer = register(&world, &usual()).await;
        assert_eq!(answer.status, 201);
        let json = answer.json();
        assert_eq!(
            (&json["application_type"], &json["token_endpoint_auth_method"], &json["client_secret"]),
            (&json!("native"), &json!("none"), &Value::Null)
        );
        let id = json["client_id"].as_str().unwrap();
        let client = crate::client::find(&*world.replica().await, id).await.unwrap();
        assert_eq!((client.name.as_str(), client.redirect_uris.len()), ("Code", 1));
        let code = world.code(&[("client_id", id), ("redirect_uri", "http://localhost:4000/callback")]).await;
        let pairs = [
            ("grant_type", "authorization_code"),
            ("client_id", id),
            ("code", &code),
            ("code_verifier", VERIFIER),
        ];
        let (_, token) = world.form("/oauth/token", &pairs).await.tokens();
        let pairs = [("grant_type", "refresh_token"), ("client_id", id), ("refresh_token", &token)];
        world.form("/oauth/token", &pairs).await.tokens();
        assert!(world.record().contains("client_registered"));

        let again = register(&world, &usual()).await.json();
        assert_ne!(again["client_id"], json["client_id"], "two installations are two clients");
    }
}

#[tokio::test]
async fn an_id_that_was_bent_or_made_elsewhere_is_no_client() {
    let world = World::new().await;
    let id = register(&world, &usual()).await.json()["client_id"].as_str().unwrap().to_owned();
    for at in (4..id.len()).step_by(7) {
        let mut bent = id.clone().into_bytes();
        bent[at] = if bent[at] == b'A' { b'B' } else { b'A' };
        let bent = String::from_utf8(bent).unwrap();
        assert!(crate::client::find(&world.issuer, &bent).await.is_err(), "byte {at}");
    }
    world.configure(|config| config.issuer = "https://elsewhere.test".into());
    assert!(crate::client::find(&world.issuer, &id).await.is_err(), "another authorization server's");
}

#[tokio::test]
async fn a_registration_keeps_the_rules_of_its_kind() {
    let world = World::new().await;
    for (change, native) in [
        (json!({"redirect_uris": ["https://app.example/cb"]}), false),
        (json!({"redirect_uris": ["cursor://anysphere.cursor-mcp/oauth/callback"]}), true),
        (json!({"redirect_uris": ["https://vscode.dev/redirect", "http://127.0.0.1:33418"]}), true),
        (json!({"redirect_uris": ["https://app.example/cb"], "application_type": "native"}), true),
        (json!({"token_endpoint_auth_method": "client_secret_post", "scope": "x", "contacts": ["a"]}), true),
        (json!({"client_name": null}), true),
    ] {
        let answer = register(&world, &with(&usual(), &change)).await;
        assert_eq!(answer.status, 201, "{change}: {}", answer.text());
        let json = answer.json();
        assert_eq!(json["application_type"], if native { "native" } else { "web" }, "{change}");
        assert_eq!(json["token_endpoint_auth_method"], "none");
    }
    let signed =
        json!({"token_endpoint_auth_method": "private_key_jwt", "jwks_uri": "https://app.example/jwks"});
    let json = register(&world, &with(&usual(), &signed)).await.json();
    assert_eq!(
        (&json["token_endpoint_auth_method"], &json["jwks_uri"]),
        (&json!("private_key_jwt"), &signed["jwks_uri"])
    );
    let long = "x".repeat(400);
    for (change, error) in [
        (json!({"redirect_uris": null}), "invalid_redirect_uri"),
        (json!({"redirect_uris": []}), "invalid_redirect_uri"),
        (json!({"redirect_uris": ["http://app.example/cb"]}), "invalid_redirect_uri"),
        (json!({"redirect_uris": ["javascript:alert(1)"]}), "invalid_redirect_uri"),
        (json!({"redirect_uris": ["https://app.example/cb#x"]}), "invalid_redirect_uri"),
        (json!({"application_type": "web"}), "invalid_redirect_uri"),
        (json!({"application_type": "web", "redirect_uris": ["cursor://x/y"]}), "invalid_redirect_uri"),
        (json!({"application_type": "toaster"}), "invalid_client_metadata"),
        (json!({"grant_types": ["client_credentials"]}), "invalid_client_metadata"),
        (json!({"response_types": ["token"]}), "invalid_client_metadata"),
        (json!({"token_endpoint_auth_method": "tls_client_auth"}), "invalid_client_metadata"),
        (json!({"token_endpoint_auth_method": "private_key_jwt"}), "invalid_client_metadata"),
        (json!({"client_name": "a\u{202e}b"}), "invalid_client_metadata"),
        (json!({"redirect_uris": [format!("https://app.example/{long}")]}), "invalid_client_metadata"),
    ] {
        let refused = register(&world, &with(&usual(), &change)).await;
        assert_eq!((refused.status.as_u16(), refused.error().as_str()), (400, error), "{change}");
    }
    let request = Request::post("/oauth/register").header("content-type", "application/json");
    let twice = r#"{"redirect_uris":["https://a.example/"],"redirect_uris":["https://b.example/"]}"#;
    assert_eq!(send(&world.issuer, request, twice).await.error(), "invalid_client_metadata");
}

#[tokio::test]
async fn registration_is_bounded_and_may_be_off() {
    let world = World::new().await;
    world.configure(|config| config.registration = Some(crate::Registration { per_minute: 2 }));
    for status in [201, 201, 429] {
        assert_eq!(register(&world, &usual()).await.status, status);
    }
    world.pass(60);
    assert_eq!(register(&world, &usual()).await.status, 201);
    world.configure(|config| config.registration = None);
    assert_eq!(register(&world, &usual()).await.status, 403);
    assert!(world.get(crate::metadata::PATH).await.json().get("registration_endpoint").is_none());
}

#[tokio::test]
async fn a_revoked_client_is_no_client_any_more() {
    for world in World::each().await {
        let id = register(&world, &usual()).await.json()["client_id"].as_str().unwrap().to_owned();
        let row = authn::revocations::Revocation::new(authn::revocations::Kind::Client, &id, "operator");
        authn::revocations::revoke(&world.test.db, &row, world.clock.now()).await.unwrap();
        let refused = crate::client::find(&world.issuer, &id).await;
        assert!(matches!(refused, Err(crate::client::FindError::Revoked)));
        assert_eq!(world.authorize(&[("client_id", &id)]).await.status, 400);
    }
}
