//! Codes: redeemed once, by whoever began, within a minute.

use super::*;

#[tokio::test]
async fn a_code_becomes_tokens_that_say_who_and_for_what() {
    for world in World::each().await {
        let code = world.code(&[]).await;
        let answer = world.redeem(&code).await;
        assert_eq!(answer.headers["cache-control"], "no-store");
        let json = answer.json();
        assert_eq!((&json["token_type"], &json["expires_in"]), (&json!("Bearer"), &json!(300)));
        assert_eq!(json["scope"], "mcp:call mcp:read");
        let (access, refresh) = answer.tokens();
        let header: Value =
            serde_json::from_slice(&URL_SAFE_NO_PAD.decode(access.split('.').next().unwrap()).unwrap())
                .unwrap();
        assert_eq!((&header["typ"], &header["alg"]), (&json!("at+jwt"), &json!("ES256")));
        let claims = claims(&access);
        for (name, value) in [
            ("iss", json!(HERE)),
            ("sub", json!("usr_alice")),
            ("aud", json!(MCP)),
            ("client_id", json!("cli")),
            ("tenant_id", json!("acme")),
            ("roles", json!(["dev"])),
            ("groups", json!(["staff"])),
            ("scope", json!("mcp:call mcp:read")),
            ("sid", json!("ses_1")),
            ("exp", json!(1_800_000_300)),
            ("iat", json!(1_800_000_000)),
        ] {
            assert_eq!(claims[name], value, "{name}");
        }
        assert!(claims["jti"].as_str().unwrap().starts_with("tok_"));
        assert!(claims["grant_id"].as_str().unwrap().starts_with("grt_"));
        // Nothing of it is in the rows or on record.
        let record = world.record();
        assert!(record.contains("token_issued") && record.contains(claims["jti"].as_str().unwrap()));
        for secret in [&code, &refresh, &access] {
            assert!(!record.contains(secret.as_str()));
        }
    }
}

#[tokio::test]
async fn a_token_has_no_more_scopes_than_its_person_agreed_to() {
    let world = World::new().await;
    let begun = world.authorize(&[]).await;
    let tx = begun.location().strip_prefix("/sign-in?tx=").unwrap();
    let less = Approval { scopes: vec!["mcp:read".into()], ..alice(world.clock.now()) };
    let back = finish(&world.issuer, tx, Decision::Approved(less)).await.unwrap();
    let answer = world.redeem(&parameter(&back, "code").unwrap()).await;
    assert_eq!(answer.json()["scope"], "mcp:read");
    let renewed = world.refresh(&answer.tokens().1).await;
    assert_eq!(renewed.json()["scope"], "mcp:read");
}

#[tokio::test]
async fn fifty_redemptions_of_one_code_give_one_grant() {
    for world in World::each().await {
        let other = world.replica().await;
        let code = world.code(&[]).await;
        let race = (0..50).map(|at| {
            let (issuer, code) = (Arc::clone(if at % 2 == 0 { &world.issuer } else { &other }), code.clone());
            tokio::spawn(async move { redeem(&issuer, &code).await })
        });
        let mut won = 0;
        for task in race.collect::<Vec<_>>() {
            let answer = task.await.unwrap();
            match answer.status.as_u16() {
                200 => won += 1,
                status => assert_eq!((status, answer.error().as_str()), (400, "invalid_grant")),
            }
        }
        assert_eq!((won, world.count("grants").await, world.count("refresh_tokens").await), (1, 1, 1));
    }
}

#[tokio::test]
async fn a_second_redemption_ends_what_came_of_the_first() {
    for world in World::each().await {
        let code = world.code(&[]).await;
        let (_, token) = world.redeem(&code).await.tokens();
        assert_eq!(world.redeem(&code).await.error(), "invalid_grant");
        assert_eq!(world.refresh(&token).await.error(), "invalid_grant");
        let revoked =
            authn::revocations::revocations(&world.test.db, None, world.clock.now(), 10).await.unwrap();
        assert_eq!((revoked.len(), revoked[0].kind), (1, authn::revocations::Kind::Grant));
    }
}

#[tokio::test]
async fn a_code_is_good_for_its_client_its_request_and_one_minute() {
    let world = World::new().await;
    let usual = [
        ("grant_type", "authorization_code"),
        ("client_id", "cli"),
        ("code_verifier", VERIFIER),
        ("redirect_uri", LOOPBACK),
        ("resource", MCP),
    ];
    for (change, error) in [
        (("client_id", "other"), "invalid_grant"),
        (("code_verifier", "another-another-another-another-another-another"), "invalid_grant"),
        (("code_verifier", "short"), "invalid_grant"),
        (("redirect_uri", "http://127.0.0.1:5001/callback"), "invalid_grant"),
        (("resource", "https://gw.test/servers/git/mcp"), "invalid_target"),
    ] {
        let code = world.code(&[]).await;
        let mut pairs = BTreeMap::from(usual);
        pairs.extend([("code", code.as_str()), change]);
        let pairs: Vec<_> = pairs.into_iter().collect();
        assert_eq!(world.form("/oauth/token", &pairs).await.error(), error, "{change:?}");
        // It was in the wrong hands, and is used up.
        assert_eq!(world.redeem(&code).await.error(), "invalid_grant", "{change:?}");
    }
    // Too short to be a verifier, although it is the one of the request.
    let short = URL_SAFE_NO_PAD.encode(Digest::of(b"short").0);
    let code = world.code(&[("code_challenge", &short)]).await;
    let pairs: Vec<_> = usual.into_iter().chain([("code", code.as_str())]).collect();
    let pairs: Vec<_> = pairs
        .into_iter()
        .map(|(name, value)| (name, if name == "code_verifier" { "short" } else { value }))
        .collect();
    assert_eq!(world.form("/oauth/token", &pairs).await.error(), "invalid_grant");
    let code = world.code(&[]).await;
    world.pass(60);
    assert_eq!(world.redeem(&code).await.error(), "invalid_grant");
    assert_eq!(world.redeem("code_unknown").await.error(), "invalid_grant");
    assert_eq!(world.count("grants").await, 0);
    // At the last moment, and without what OAuth 2.1 no longer asks for.
    let code = world.code(&[]).await;
    world.pass(59);
    let pairs = [
        ("grant_type", "authorization_code"),
        ("client_id", "cli"),
        ("code", &code),
        ("code_verifier", VERIFIER),
    ];
    assert_eq!(world.form("/oauth/token", &pairs).await.status, 200);
}

#[tokio::test]
async fn requests_of_another_form_are_refused() {
    let world = World::new().await;
    let code = world.code(&[]).await;
    for (pairs, error) in [
        (&[][..], "invalid_request"),
        (&[("grant_type", "password"), ("client_id", "cli")], "unsupported_grant_type"),
        (&[("grant_type", "authorization_code")], "invalid_request"),
        (&[("grant_type", "authorization_code"), ("client_id", "cli")], "invalid_request"),
        (&[("grant_type", "authorization_code"), ("client_id", "cli"), ("code", &code)], "invalid_request"),
        (
            &[("grant_type", "authorization_code"), ("client_id", "cli"), ("client_id", "cli")],
            "invalid_request",
        ),
        (&[("grant_type", "refresh_token"), ("client_id", "cli")], "invalid_request"),
        (&[("grant_type", "refresh_token"), ("client_id", "nobody")], "invalid_client"),
    ] {
        assert_eq!(world.form("/oauth/token", pairs).await.error(), error, "{pairs:?}");
    }
    let json = Request::post("/oauth/token").header("content-type", "application/json");
    assert_eq!(send(&world.issuer, json, "{}").await.error(), "invalid_request");
    assert_eq!(send(&world.issuer, Request::get("/oauth/token"), "").await.status, 405);
    let large = format!("grant_type={}", "x".repeat(crate::BODY_BYTES));
    let large = send(&world.issuer, Request::post("/oauth/token"), &large).await;
    assert_eq!(large.status, 413);
    assert_eq!(world.redeem(&code).await.status, 200, "the code was not used up");
}

#[tokio::test]
async fn rows_that_have_ended_are_deleted() {
    for world in World::each().await {
        world.authorize(&[]).await;
        world.code(&[]).await;
        world.tokens().await;
        world.issuer.tend().await.unwrap();
        assert_eq!(
            (world.count("authorize_transactions").await, world.count("authorization_codes").await),
            (1, 1)
        );
        world.pass(600);
        world.issuer.tend().await.unwrap();
        assert_eq!(
            (world.count("authorize_transactions").await, world.count("authorization_codes").await),
            (0, 0)
        );
        assert_eq!((world.count("grants").await, world.count("refresh_tokens").await), (1, 1));
        world.pass(91 * 86_400);
        world.issuer.tend().await.unwrap();
        assert_eq!((world.count("grants").await, world.count("refresh_tokens").await), (0, 0));
    }
}
