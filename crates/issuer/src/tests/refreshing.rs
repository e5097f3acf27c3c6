//! Refresh tokens: rotated, forgiven for half a minute, never twice after.

use super::*;

#[tokio::test]
async fn a_refresh_token_is_rotated() {
    for world in World::each().await {
        let (access, first) = world.tokens().await;
        world.pass(200);
        let (renewed, second) = world.refresh(&first).await.tokens();
        assert_ne!(first, second);
        let (before, after) = (claims(&access), claims(&renewed));
        assert_eq!(before["grant_id"], after["grant_id"]);
        assert_ne!(before["jti"], after["jti"]);
        assert_eq!(after["exp"], 1_800_000_500);
        world.pass(200);
        world.refresh(&second).await.tokens();
    }
}

#[tokio::test]
async fn a_refresh_token_that_comes_again_at_once_yields_the_same_successor() {
    for world in World::each().await {
        let other = world.replica().await;
        let (_, first) = world.tokens().await;
        let race = (0..50).map(|at| {
            let (issuer, first) =
                (Arc::clone(if at % 2 == 0 { &world.issuer } else { &other }), first.clone());
            tokio::spawn(async move { refresh(&issuer, &first).await.tokens().1 })
        });
        let mut successors = std::collections::BTreeSet::new();
        for task in race.collect::<Vec<_>>() {
            successors.insert(task.await.unwrap());
        }
        assert_eq!((successors.len(), world.count("refresh_tokens").await), (1, 2));
        world.pass(29);
        assert_eq!(world.refresh(&first).await.tokens().1, successors.pop_first().unwrap());
    }
}

#[tokio::test]
async fn a_refresh_token_that_comes_again_later_ends_the_grant() {
    for world in World::each().await {
        let (access, first) = world.tokens().await;
        let (_, second) = world.refresh(&first).await.tokens();
        world.pass(30);
        let reused = world.refresh(&first).await;
        assert_eq!(reused.error(), "invalid_grant");
        assert!(reused.text().contains("PTN-2015"));
        assert_eq!(world.refresh(&second).await.error(), "invalid_grant");
        let grant = claims(&access)["grant_id"].as_str().unwrap().to_owned();
        let revoked =
            authn::revocations::revocations(&world.test.db, None, world.clock.now(), 10).await.unwrap();
        assert_eq!((revoked.len(), revoked[0].id.as_str()), (1, grant.as_str()));
        assert!(world.record().contains("refresh_reused"));
    }
}

#[tokio::test]
async fn another_client_cannot_use_a_refresh_token_nor_end_its_grant() {
    let world = World::new().await;
    let (_, first) = world.tokens().await;
    let theirs = [("grant_type", "refresh_token"), ("client_id", "other"), ("refresh_token", &first)];
    assert_eq!(world.form("/oauth/token", &theirs).await.error(), "invalid_grant");
    let (_, second) = world.refresh(&first).await.tokens();
    world.pass(60);
    // Not even by reuse, and not within the grace.
    assert_eq!(world.form("/oauth/token", &theirs).await.error(), "invalid_grant");
    let (_, third) = world.refresh(&second).await.tokens();
    let theirs = [("grant_type", "refresh_token"), ("client_id", "other"), ("refresh_token", &second)];
    assert_eq!(world.form("/oauth/token", &theirs).await.error(), "invalid_grant");
    world.refresh(&third).await.tokens();
}

#[tokio::test]
async fn a_refresh_token_ends_when_it_is_not_used_and_a_grant_in_any_case() {
    let world = World::new().await;
    let (_, first) = world.tokens().await;
    world.pass(30 * 86_400);
    assert_eq!(world.refresh(&first).await.error(), "invalid_grant");

    let (_, mut token) = world.tokens().await;
    for _ in 0..3 {
        world.pass(29 * 86_400);
        token = world.refresh(&token).await.tokens().1;
    }
    world.pass(3 * 86_400 - 100);
    let (access, token) = world.refresh(&token).await.tokens();
    let claims = claims(&access);
    assert_eq!(
        claims["exp"].as_i64().unwrap() - claims["iat"].as_i64().unwrap(),
        100,
        "no longer than the grant"
    );
    world.pass(100);
    assert_eq!(world.refresh(&token).await.error(), "invalid_grant");
}

#[tokio::test]
async fn what_the_grant_stood_on_is_looked_at_again() {
    let world = World::new().await;
    let ask = |token: &str, more: (&'static str, &'static str)| {
        let pairs = [("grant_type", "refresh_token"), ("client_id", "cli"), ("refresh_token", token), more]
            .map(|(name, value)| (name.to_owned(), value.to_owned()));
        let issuer = Arc::clone(&world.issuer);
        async move {
            let pairs: Vec<_> = pairs.iter().map(|(name, value)| (name.as_str(), value.as_str())).collect();
            form(&issuer, "/oauth/token", &pairs).await
        }
    };
    let (_, token) = world.tokens().await;
    assert_eq!(ask(&token, ("resource", "https://gw.test/servers/git/mcp")).await.error(), "invalid_target");
    let code = world.code(&[("scope", "mcp:read")]).await;
    let (_, less) = world.redeem(&code).await.tokens();
    for more in ["mcp:call mcp:read", "mcp:raed"] {
        assert_eq!(ask(&less, ("scope", more)).await.error(), "invalid_scope", "{more}");
    }
    let narrow = ask(&token, ("scope", "mcp:read")).await;
    assert_eq!(narrow.json()["scope"], "mcp:read");
    let (_, token) = narrow.tokens();
    assert_eq!(
        world.refresh(&token).await.json()["scope"],
        "mcp:call mcp:read",
        "narrowed once, not for good"
    );

    // The operator takes a scope of the client, then one of all, then the client, then the endpoint away.
    let (_, token) = world.tokens().await;
    world.configure(|config| config.clients.get_mut("cli").unwrap().scopes = Some(vec!["mcp:call".into()]));
    let answer = world.refresh(&token).await;
    assert_eq!(answer.json()["scope"], "mcp:call");
    let (_, token) = answer.tokens();
    world.configure(|config| config.clients.get_mut("cli").unwrap().scopes = None);
    world.configure(|config| config.resources[0].scopes = vec!["mcp:read".into()]);
    let answer = world.refresh(&token).await;
    assert_eq!(answer.json()["scope"], "mcp:read");
    let (_, token) = answer.tokens();
    let clients = world.issuer.config().clients.clone();
    world.configure(|config| drop(config.clients.remove("cli")));
    assert_eq!(world.refresh(&token).await.error(), "invalid_client");
    world.configure(|config| config.clients = clients);
    world.configure(|config| drop(config.resources.remove(0)));
    assert_eq!(world.refresh(&token).await.error(), "invalid_grant");
}

#[tokio::test]
async fn nothing_that_opens_a_door_is_in_the_rows() {
    let world = World::new().await;
    let code = world.code(&[]).await;
    let (_, token) = world.tokens().await;
    let (_, successor) = world.refresh(&token).await.tokens();
    let begun = world.authorize(&[]).await;
    let tx = begun.location().strip_prefix("/sign-in?tx=").unwrap();
    let storage::Place::Sqlite(path) = &world.test.config.place else { panic!("SQLite") };
    let mut rows = std::fs::read(path).unwrap();
    rows.extend(std::fs::read(path.with_extension("db-wal")).unwrap());
    for secret in [code.as_str(), token.as_str(), successor.as_str(), tx, VERIFIER] {
        assert!(!rows.windows(secret.len()).any(|window| window == secret.as_bytes()), "{secret}");
    }
}

#[tokio::test]
async fn what_was_revoked_since_is_not_refreshed() {
    use authn::revocations::{Kind, Revocation, lift, revoke};
    for world in World::each().await {
        for (kind, id) in [(Kind::User, "usr_alice"), (Kind::Session, "ses_1"), (Kind::Client, "cli")] {
            let code = world.code(&[]).await;
            let (access, token) = world.tokens().await;
            let ask = async || {
                let pairs =
                    [("client_id", "shop"), ("client_secret", "s3cret+/: x"), ("token", access.as_str())];
                world.form("/oauth/introspect", &pairs).await.json()["active"].clone()
            };
            assert_eq!(ask().await, true);
            // Of another tenant, or before this grant: somebody else's business.
            let elsewhere = Revocation::new(kind, id, "operator").of_tenant("globex");
            revoke(&world.test.db, &elsewhere, world.clock.now()).await.unwrap();
            let before =
                Revocation::new(kind, id, "operator").issued_before(Timestamp(world.clock.now().0 - 5000));
            revoke(&world.test.db, &before, world.clock.now()).await.unwrap();
            let (_, token) = world.refresh(&token).await.tokens();

            let row = Revocation::new(kind, id, "operator");
            revoke(&world.test.db, &row, world.clock.now()).await.unwrap();
            let refused = world.refresh(&token).await.error();
            assert!(["invalid_grant", "invalid_client"].contains(&refused.as_str()), "{kind:?}: {refused}");
            let refused = world.redeem(&code).await.error();
            assert!(["invalid_grant", "invalid_client"].contains(&refused.as_str()), "{kind:?}: {refused}");
            assert_eq!(ask().await, false, "{kind:?}");
            for row in [row, elsewhere] {
                assert!(lift(&world.test.db, &row, world.clock.now()).await.unwrap());
            }
            world.refresh(&token).await.tokens();
        }
    }
}

#[tokio::test]
async fn a_refresh_reads_the_person_anew() {
    for world in World::each().await {
        let (_, token) = world.tokens().await;
        let people = &world.issuer.people;
        people.change("usr_alice", "Alice", None, &["reader".to_owned()], &[]).await.unwrap();
        let (access, token) = world.refresh(&token).await.tokens();
        assert_eq!((&claims(&access)["roles"], &claims(&access)["groups"]), (&json!(["reader"]), &json!([])));
        people.set_active("usr_alice", false).await.unwrap();
        assert_eq!(world.refresh(&token).await.error(), "invalid_grant");
        people.set_active("usr_alice", true).await.unwrap();
        world.refresh(&token).await.tokens();
    }
}
