//! `/oauth/authorize`, parameter by parameter.

use super::*;

#[tokio::test]
async fn a_request_becomes_a_transaction_and_ends_in_a_code() {
    for world in World::each().await {
        let begun = world.authorize(&[("scope", "mcp:read offline_access unknown")]).await;
        assert_eq!(begun.status, 303);
        let tx = begun.location().strip_prefix("/sign-in?tx=").unwrap().to_owned();
        let kept = crate::authorize::look(&world.issuer, &tx).await.unwrap().unwrap();
        assert_eq!((kept.scopes.as_slice(), kept.resource.as_str()), (&["mcp:read".to_owned()][..], MCP));
        assert_eq!(kept.state.as_deref(), Some("a b&c"));
        let back = finish(&world.issuer, &tx, Decision::Approved(alice(world.clock.now()))).await.unwrap();
        assert!(back.starts_with(&format!("{LOOPBACK}?code=code_")), "{back}");
        assert_eq!(parameter(&back, "iss").as_deref(), Some(HERE));
        assert_eq!(parameter(&back, "state").as_deref(), Some("a b&c"));
        // Once.
        let again = finish(&world.issuer, &tx, Decision::Approved(alice(world.clock.now()))).await;
        assert!(matches!(again, Err(crate::authorize::FinishError::Gone)));
    }
}

#[tokio::test]
async fn a_transaction_lasts_ten_minutes() {
    let world = World::new().await;
    let begun = world.authorize(&[]).await;
    let tx = begun.location().strip_prefix("/sign-in?tx=").unwrap();
    world.pass(600);
    assert_eq!(crate::authorize::look(&world.issuer, tx).await.unwrap(), None);
    let late = finish(&world.issuer, tx, Decision::Approved(alice(world.clock.now()))).await;
    assert!(matches!(late, Err(crate::authorize::FinishError::Gone)));
}

#[tokio::test]
async fn a_refusal_goes_back_with_state_and_iss() {
    let world = World::new().await;
    let begun =
        world.authorize(&[("client_id", "shop"), ("redirect_uri", "https://shop.example/cb?keep=1")]).await;
    let tx = begun.location().strip_prefix("/sign-in?tx=").unwrap();
    let no = crate::OauthError::new("access_denied", model::Code::OAUTH_REQUEST, "the person said no");
    let back = finish(&world.issuer, tx, Decision::Refused(no)).await.unwrap();
    assert!(back.starts_with("https://shop.example/cb?keep=1&error=access_denied"), "{back}");
    assert_eq!(parameter(&back, "iss").as_deref(), Some(HERE));
    assert_eq!(parameter(&back, "state").as_deref(), Some("a b&c"));
    assert_eq!(world.count("authorization_codes").await, 0);
}

#[tokio::test]
async fn nobody_is_sent_to_an_address_that_was_not_registered() {
    let world = World::new().await;
    for (change, code) in [
        (&[("client_id", "")][..], "PTN-2005"),
        (&[("client_id", "nobody")], "PTN-2006"),
        (&[("client_id", "dyn_forged")], "PTN-2006"),
        (&[("redirect_uri", "")], "PTN-2005"),
        (&[("redirect_uri", "https://evil.example/cb")], "PTN-2007"),
        (&[("redirect_uri", "https://cli.example/cb/")], "PTN-2007"),
        (&[("redirect_uri", "http://127.0.0.1:5000@evil.example/callback")], "PTN-2007"),
        (&[("redirect_uri", "http://localhost:5000/callback")], "PTN-2007"),
        // Wrong in another way too: still a page.
        (&[("redirect_uri", "https://evil.example/cb"), ("response_type", "token")], "PTN-2007"),
    ] {
        let page = world.authorize(change).await;
        assert_eq!((page.status, page.location()), (StatusCode::BAD_REQUEST, ""), "{change:?}");
        assert!(page.text().contains(code), "{change:?}: {}", page.text());
        assert_eq!(page.headers["x-frame-options"], "DENY");
        assert!(page.headers["content-security-policy"].to_str().unwrap().contains("frame-ancestors 'none'"));
    }
    let twice =
        world.get(&format!("/oauth/authorize?{}&redirect_uri=https%3A%2F%2Fevil.example", query(&[]))).await;
    assert_eq!((twice.status, twice.location()), (StatusCode::BAD_REQUEST, ""));
    assert_eq!(world.count("authorize_transactions").await, 0);
}

#[tokio::test]
async fn a_port_of_a_loopback_address_does_not_matter() {
    let world = World::new().await;
    let begun = world.authorize(&[("redirect_uri", "http://127.0.0.1:61000/callback")]).await;
    let tx = begun.location().strip_prefix("/sign-in?tx=").unwrap();
    let back = finish(&world.issuer, tx, Decision::Approved(alice(world.clock.now()))).await.unwrap();
    assert!(back.starts_with("http://127.0.0.1:61000/callback?code="), "{back}");
}

#[tokio::test]
async fn a_client_hears_what_is_wrong_with_its_request() {
    let world = World::new().await;
    let long = "x".repeat(4097);
    for (change, error) in [
        (&[("response_type", "")][..], "invalid_request"),
        (&[("response_type", "token")], "unsupported_response_type"),
        (&[("response_type", "code id_token")], "unsupported_response_type"),
        (&[("response_mode", "fragment")], "invalid_request"),
        (&[("request", "a.b.c")], "request_not_supported"),
        (&[("request_uri", "https://cli.example/r")], "request_uri_not_supported"),
        (&[("code_challenge", "")], "invalid_request"),
        (&[("code_challenge", "short")], "invalid_request"),
        (&[("code_challenge_method", "")], "invalid_request"),
        (&[("code_challenge_method", "plain")], "invalid_request"),
        (&[("resource", "")], "invalid_target"),
        (&[("resource", "https://gw.test/other")], "invalid_target"),
        (&[("resource", "https://gw.test/mcp/")], "invalid_target"),
        (&[("resource", "https://gw.test/MCP")], "invalid_target"),
        (&[("resource", "https://evil.example/mcp")], "invalid_target"),
        (&[("scope", "unknown")], "invalid_scope"),
        (&[("prompt", "none login")], "invalid_request"),
        (&[("prompt", "create")], "invalid_request"),
        (&[("state", long.as_str())], "invalid_request"),
    ] {
        let back = world.authorize(change).await;
        assert_eq!(back.status, 303, "{change:?}: {}", back.text());
        assert!(back.location().starts_with(LOOPBACK), "{change:?}");
        assert_eq!(parameter(back.location(), "error").as_deref(), Some(error), "{change:?}");
        assert_eq!(parameter(back.location(), "iss").as_deref(), Some(HERE), "{change:?}");
        let state = (!change.iter().any(|(name, _)| *name == "state")).then_some("a b&c");
        assert_eq!(parameter(back.location(), "state").as_deref(), state, "{change:?}");
        assert_eq!(parameter(back.location(), "code"), None);
    }
    assert_eq!(world.count("authorize_transactions").await, 0);
}

#[tokio::test]
async fn a_resource_may_be_left_out_only_where_there_is_one() {
    let world = World::new().await;
    let code = world.code(&[("resource", "HTTPS://GW.test/mcp")]).await;
    assert_eq!(claims(&world.redeem(&code).await.tokens().0)["aud"], MCP);
    world.configure(|config| config.resources.truncate(1));
    let code = world.code(&[("resource", "")]).await;
    assert_eq!(claims(&world.redeem(&code).await.tokens().0)["aud"], MCP);
}

#[tokio::test]
async fn a_client_with_a_bound_gets_no_more_scopes_than_that() {
    let world = World::new().await;
    world.configure(|config| {
        config.clients.get_mut("cli").unwrap().scopes = Some(vec!["mcp:read".into(), "else".into()]);
    });
    let code = world.code(&[("scope", "mcp:call mcp:read")]).await;
    assert_eq!(world.redeem(&code).await.json()["scope"], "mcp:read");
    let refused = world.authorize(&[("scope", "mcp:call")]).await;
    assert_eq!(parameter(refused.location(), "error").as_deref(), Some("invalid_scope"));
}

#[tokio::test]
async fn strangers_cannot_fill_the_record() {
    let world = World::new().await;
    for _ in 0..60 {
        world.authorize(&[("client_id", "nobody")]).await;
    }
    assert_eq!(world.record().matches("sign_in_refused").count(), 20);
}

#[tokio::test]
async fn an_address_begins_so_many_sign_ins_and_no_more() {
    let world = World::new().await;
    for _ in 0..600 {
        world.authorize(&[("redirect_uri", "")]).await;
    }
    assert_eq!(world.authorize(&[]).await.status, 429);
    assert_eq!(world.count("authorize_transactions").await, 0);
    world.pass(60);
    assert_eq!(world.authorize(&[]).await.status, 303);
}
