//! What the authorization server says: of itself, and of tokens.

use super::*;
use authn::revocations::{Kind, Revocation, revoke};

fn secret<'a>(more: &[(&'a str, &'a str)]) -> Vec<(&'a str, &'a str)> {
    [("client_id", "shop"), ("client_secret", "s3cret+/: x")].iter().chain(more).copied().collect()
}

#[tokio::test]
async fn the_metadata_says_what_there_is_and_nothing_else() {
    let world = World::new().await;
    let answer = world.get(crate::metadata::PATH).await;
    assert_eq!(answer.headers["access-control-allow-origin"], "*");
    let document = answer.json();
    assert_eq!(document["issuer"], HERE);
    assert_eq!(document["code_challenge_methods_supported"], json!(["S256"]));
    assert_eq!(document["response_types_supported"], json!(["code"]));
    assert_eq!(document["authorization_response_iss_parameter_supported"], true);
    assert_eq!(document["client_id_metadata_document_supported"], true);
    // RS-7: not a word of offline_access.
    assert_eq!(document["scopes_supported"], json!(["mcp:call", "mcp:read"]));
    // Every endpoint is there, and every grant type is known to the one for tokens.
    for (name, url) in document.as_object().unwrap().iter().filter(|(name, _)| name.ends_with("_endpoint")) {
        let path = url.as_str().unwrap().strip_prefix(HERE).unwrap();
        assert!(crate::answers(path), "{name}");
        assert_ne!(world.get(path).await.status, 404, "{name}");
    }
    for grant in document["grant_types_supported"].as_array().unwrap() {
        let pairs = [("grant_type", grant.as_str().unwrap()), ("client_id", "cli")];
        assert_ne!(world.form("/oauth/token", &pairs).await.error(), "unsupported_grant_type", "{grant}");
    }
    assert!(world.get("/oauth/else").await.status == 404);
}

#[tokio::test]
async fn a_client_in_a_browser_may_ask() {
    let world = World::new().await;
    for path in ["/oauth/token", "/oauth/register", "/oauth/revoke", crate::metadata::PATH] {
        let asked =
            send(&world.issuer, Request::options(path).header("origin", "https://app.example"), "").await;
        assert_eq!(asked.status, 204, "{path}");
        assert_eq!(asked.headers["access-control-allow-origin"], "*", "{path}");
        assert!(!asked.headers.contains_key("access-control-allow-credentials"), "{path}");
    }
    let page =
        send(&world.issuer, Request::get("/oauth/authorize").header("origin", "https://app.example"), "")
            .await;
    assert!(
        !page.headers.contains_key("access-control-allow-origin"),
        "people's pages are not read by scripts"
    );
}

#[tokio::test]
async fn introspection_answers_only_those_whom_a_token_concerns() {
    for world in World::each().await {
        let (access, token) = world.tokens().await;
        let ask = |pairs: Vec<(&'static str, &'static str)>, token: &str| {
            let (issuer, token) = (Arc::clone(&world.issuer), token.to_owned());
            async move {
                let pairs: Vec<_> = pairs.into_iter().chain([("token", token.as_str())]).collect();
                form(&issuer, "/oauth/introspect", &pairs).await
            }
        };
        let shop = vec![("client_id", "shop"), ("client_secret", "s3cret+/: x")];
        let told = ask(shop.clone(), &access).await.json();
        assert_eq!(
            (&told["active"], &told["sub"], &told["aud"]),
            (&json!(true), &json!("usr_alice"), &json!(MCP))
        );
        // A public client could be anybody, and a secret has to be right.
        assert_eq!(ask(vec![("client_id", "cli")], &access).await.status, 401);
        assert_eq!(ask(vec![("client_id", "shop"), ("client_secret", "x")], &access).await.status, 401);
        let inactive = json!({"active": false});
        assert_eq!(ask(shop.clone(), &token).await.json(), inactive, "another client's refresh token");
        assert_eq!(ask(shop.clone(), "x").await.json(), inactive);
        world.configure(|config| config.clients.get_mut("shop").unwrap().introspects.clear());
        assert_eq!(ask(shop.clone(), &access).await.json(), inactive, "another resource's token");
        world.configure(|config| config.clients.get_mut("shop").unwrap().introspects.push(MCP.into()));

        // Forged, of another type, and at its end.
        let mut parts: Vec<&str> = access.split('.').collect();
        let signature = parts.pop().unwrap();
        let bent = format!("{}.{}", parts.join("."), signature.chars().rev().collect::<String>());
        assert_eq!(ask(shop.clone(), &bent).await.json(), inactive);
        let more = with(&claims(&access), &json!({"scope": "mcp:call mcp:read more"})).to_string();
        let more = [parts[0], &URL_SAFE_NO_PAD.encode(more), signature].join(".");
        assert_eq!(ask(shop.clone(), &more).await.json(), inactive);
        let payload = claims(&access).to_string();
        let other_type = world.issuer.keys.sign("JWT", payload.as_bytes()).unwrap().token;
        assert_eq!(ask(shop.clone(), &other_type).await.json(), inactive);
        let elsewhere = with(&claims(&access), &json!({"iss": "https://other.test"})).to_string();
        let elsewhere = world.issuer.keys.sign("at+jwt", elsewhere.as_bytes()).unwrap().token;
        assert_eq!(ask(shop.clone(), &elsewhere).await.json(), inactive);
        world.form("/oauth/revoke", &[("client_id", "cli"), ("token", &token)]).await;
        assert_eq!(ask(shop.clone(), &access).await.json(), inactive, "its grant is revoked");
        let (access, _) = world.tokens().await;
        assert_eq!(ask(shop.clone(), &access).await.json()["active"], true);
        let id = claims(&access)["jti"].as_str().unwrap().to_owned();
        for (of, active) in [("https://other.test", true), (HERE, false)] {
            let row = Revocation::new(Kind::Token, &id, "operator").of_issuer(of);
            revoke(&world.test.db, &row, world.clock.now()).await.unwrap();
            assert_eq!(ask(shop.clone(), &access).await.json()["active"], active, "{of}");
        }
        let (access, _) = world.tokens().await;
        world.pass(300);
        assert_eq!(ask(shop, &access).await.json(), inactive);
    }
}

#[tokio::test]
async fn a_confidential_client_may_ask_about_its_own_refresh_token() {
    let world = World::new().await;
    let redirect = "https://shop.example/cb?keep=1";
    let code = world.code(&[("client_id", "shop"), ("redirect_uri", redirect)]).await;
    let pairs = secret(&[("grant_type", "authorization_code"), ("code", &code), ("code_verifier", VERIFIER)]);
    let (_, token) = world.form("/oauth/token", &pairs).await.tokens();
    let told = world.form("/oauth/introspect", &secret(&[("token", &token)])).await.json();
    assert_eq!((&told["active"], &told["token_type"]), (&json!(true), &json!("refresh_token")));
    let row = Revocation::new(Kind::User, "usr_alice", "operator");
    revoke(&world.test.db, &row, world.clock.now()).await.unwrap();
    let told = world.form("/oauth/introspect", &secret(&[("token", &token)])).await.json();
    assert_eq!(told, json!({"active": false}), "its person is revoked");
    authn::revocations::lift(&world.test.db, &row, world.clock.now()).await.unwrap();
    let told = world.form("/oauth/introspect", &secret(&[("token", &token)])).await.json();
    assert_eq!(told["active"], true);
    world.pass(30 * 86_400);
    let told = world.form("/oauth/introspect", &secret(&[("token", &token)])).await.json();
    assert_eq!(told, json!({"active": false}));
}

#[tokio::test]
async fn a_client_gives_its_tokens_back_and_nobody_elses() {
    for world in World::each().await {
        let revoke = |client: &'static str, token: &str| {
            let (issuer, token) = (Arc::clone(&world.issuer), token.to_owned());
            async move { form(&issuer, "/oauth/revoke", &[("client_id", client), ("token", &token)]).await }
        };
        let rows = || authn::revocations::revocations(&world.test.db, None, world.clock.now(), 10);
        let (access, token) = world.tokens().await;
        for foreign in [&access, &token] {
            assert_eq!(revoke("other", foreign).await.status, 200, "and nothing is learned");
        }
        assert_eq!(revoke("cli", "unknown").await.status, 200);
        assert_eq!(rows().await.unwrap().len(), 0);
        let (_, token) = world.refresh(&token).await.tokens();

        assert_eq!(revoke("cli", &token).await.status, 200);
        assert_eq!(rows().await.unwrap().len(), 1);
        assert_eq!(world.refresh(&token).await.error(), "invalid_grant");

        let (access, token) = world.tokens().await;
        assert_eq!(revoke("cli", &access).await.status, 200);
        assert_eq!(world.refresh(&token).await.error(), "invalid_grant");
        assert_eq!(rows().await.unwrap().len(), 2);
        assert_eq!(
            world.form("/oauth/revoke", &[("client_id", "shop"), ("token", &access)]).await.status,
            401
        );
        assert_eq!(world.form("/oauth/revoke", &[("client_id", "cli")]).await.error(), "invalid_request");
    }
}

#[tokio::test]
async fn grants_are_listed_and_revoked_together() {
    for world in World::each().await {
        world.tokens().await;
        let (_, token) = world.tokens().await;
        let mut filter = crate::grant::Filter { tenant: "acme".into(), ..crate::grant::Filter::default() };
        assert_eq!(crate::grant::list(&world.issuer, &filter, 10).await.unwrap().len(), 2);
        let elsewhere = crate::grant::Filter { tenant: "globex".into(), ..filter.clone() };
        assert_eq!(crate::grant::list(&world.issuer, &elsewhere, 10).await.unwrap().len(), 0);
        let why = crate::grant::Why { by: "usr_alice", reason: "consent withdrawn" };
        filter.user = Some("usr_bob".into());
        assert_eq!(crate::grant::revoke_all(&world.issuer, &filter, why).await.unwrap(), 0);
        filter = crate::grant::Filter {
            user: Some("usr_alice".into()),
            client: Some("cli".into()),
            resource: Some(MCP.into()),
            session: Some("ses_1".into()),
            ..filter
        };
        assert_eq!(crate::grant::revoke_all(&world.issuer, &filter, why).await.unwrap(), 2);
        assert_eq!(world.refresh(&token).await.error(), "invalid_grant");
    }
}
