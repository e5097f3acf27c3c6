//! Token exchange: for whom agents act, and how far.

use super::*;

#[tokio::test]
async fn an_exchange_makes_the_agent_the_actor_and_no_more() {
    for world in worlds().await {
        let everybody =
            Change { may_act_for: MayActFor::Tenant, scopes: vec!["mcp:call".into()], ..change() };
        let bot = bot(&world, everybody).await;
        let (access, _) = world.tokens().await;
        let person = claims(&access);
        world.pass(10);
        let answer = bot.exchange(&world, &access, &[]).await;
        let got = claims_of(&answer);
        assert_eq!(answer.json()["issued_token_type"], ACCESS);
        let id = bot.agent.id.as_str();
        for (name, value) in [
            ("sub", json!("usr_alice")),
            ("act", json!({"sub": id})),
            ("agent_id", json!(id)),
            ("client_id", json!(id)),
            ("scope", json!("mcp:call")),
            ("aud", json!(MCP)),
            ("roles", json!(["dev"])),
            ("groups", json!(["staff"])),
            ("grant_id", person["grant_id"].clone()),
            ("sid", person["sid"].clone()),
            ("exp", person["exp"].clone()),
        ] {
            assert_eq!(got[name], value, "{name}");
        }
        assert!(answer.json().get("refresh_token").is_none());
        // Narrower, never wider: of the endpoint, of the scopes of either.
        assert_eq!(claims_of(&bot.exchange(&world, &access, &[("resource", GIT)]).await)["aud"], GIT);
        for (pairs, error) in [
            (&[("scope", "mcp:read")][..], "invalid_scope"),
            (&[("scope", "more")], "invalid_scope"),
            (&[("resource", "https://gw.test/servers/none/mcp")], "invalid_target"),
            (&[("subject_token_type", "urn:ietf:params:oauth:token-type:id_token")], "invalid_request"),
            (&[("subject_token", "nonsense")], "invalid_request"),
            (
                &[("requested_token_type", "urn:ietf:params:oauth:token-type:refresh_token")],
                "invalid_request",
            ),
            (&[("actor_token", "x")], "invalid_request"),
        ] {
            assert_eq!(bot.exchange(&world, &access, pairs).await.error(), error, "{pairs:?}");
        }
        assert_eq!(bot.exchange(&world, &access, &[("audience", GIT)]).await.error(), "invalid_target");
        let narrow = bot.exchange(&world, &access, &[("resource", GIT)]).await;
        let wider = bot.exchange(&world, &token(&narrow), &[]).await;
        assert_ne!(wider.status, StatusCode::OK, "an endpoint of one server leads to no other");
        // An agent's own token is no person's; a person's that has ended is none.
        let own = token(&bot.own(&world, &[]).await);
        assert_eq!(bot.exchange(&world, &own, &[]).await.error(), "invalid_request");
        world.pass(400);
        assert_eq!(bot.exchange(&world, &access, &[]).await.error(), "invalid_request");
        assert!(!world.record().contains(&access));
    }
}

#[tokio::test]
async fn an_agent_acts_by_may_act_or_rule_or_consent() {
    for world in worlds().await {
        let nobody = bot(&world, change()).await;
        let id = nobody.agent.id.clone();
        let (access, _) = world.tokens().await;
        assert_eq!(nobody.exchange(&world, &access, &[]).await.error(), "invalid_request");
        // A rule of the agent.
        for (rule, good) in [
            (MayActFor::Owner, true),
            (MayActFor::Groups { groups: vec!["staff".into()] }, true),
            (MayActFor::Groups { groups: vec!["others".into()] }, false),
            (MayActFor::Tenant, true),
            (MayActFor::Nobody, false),
        ] {
            let with_rule = Change { may_act_for: rule.clone(), ..change() };
            world.issuer.agents().change(&id, &with_rule, "operator").await.unwrap();
            let answer = nobody.exchange(&world, &access, &[]).await;
            assert_eq!(answer.status == StatusCode::OK, good, "{rule:?}: {}", answer.text());
        }
        person(&world, "usr_carol", "acme").await;
        let of_carol = Change { may_act_for: MayActFor::Owner, ..change() };
        let new = NewAgent { tenant: "acme".into(), owner: "usr_carol".into(), change: of_carol };
        let of_carol = with_key(&world, world.issuer.agents().register(&new).await.unwrap()).await;
        assert_eq!(of_carol.exchange(&world, &access, &[]).await.error(), "invalid_request");
        // The person's consent, for one resource and these scopes.
        let consents = world.issuer.agent_consents();
        consents.give("usr_alice", &id, MCP, &["mcp:read".into()]).await.unwrap();
        assert_eq!(claims_of(&nobody.exchange(&world, &access, &[]).await)["scope"], "mcp:read");
        assert_eq!(nobody.exchange(&world, &access, &[("resource", GIT)]).await.error(), "invalid_request");
        let another = bot(&world, change()).await;
        assert_eq!(another.exchange(&world, &access, &[]).await.error(), "invalid_request");
        assert!(consents.withdraw("usr_alice", &id).await.unwrap());
        assert_eq!(nobody.exchange(&world, &access, &[]).await.error(), "invalid_request");
        consents.give("usr_bob", &id, MCP, &["mcp:read".into()]).await.unwrap();
        assert_eq!(
            nobody.exchange(&world, &access, &[]).await.error(),
            "invalid_request",
            "another person's"
        );
        // What the token says decides alone.
        let other = bot(&world, Change { may_act_for: MayActFor::Tenant, ..change() }).await;
        let chosen = with(&claims(&access), &json!({"may_act": {"sub": id}}));
        let chosen = world.issuer.keys.sign("at+jwt", chosen.to_string().as_bytes()).unwrap().token;
        token(&nobody.exchange(&world, &chosen, &[]).await);
        assert_eq!(other.exchange(&world, &chosen, &[]).await.error(), "invalid_request");
        token(&other.exchange(&world, &access, &[]).await);
        let elsewhere = json!({"may_act": {"sub": id, "iss": "https://other.test"}});
        let elsewhere = with(&claims(&access), &elsewhere).to_string();
        let elsewhere = world.issuer.keys.sign("at+jwt", elsewhere.as_bytes()).unwrap().token;
        assert_eq!(nobody.exchange(&world, &elsewhere, &[]).await.error(), "invalid_request");
        // A consent is for thirty days.
        consents.give("usr_alice", &id, MCP, &["mcp:read".into()]).await.unwrap();
        world.pass(30 * 86_400);
        let (access, _) = world.tokens().await;
        assert_eq!(nobody.exchange(&world, &access, &[]).await.error(), "invalid_request");
    }
}

#[tokio::test]
async fn an_agent_acts_where_it_is_registered_and_nowhere_else() {
    for world in worlds().await {
        let limited =
            Change { servers: Some(vec!["mail".into()]), may_act_for: MayActFor::Tenant, ..change() };
        let bot = bot(&world, limited).await;
        let (access, _) = world.tokens().await;
        assert_eq!(bot.exchange(&world, &access, &[("resource", GIT)]).await.error(), "invalid_target");
        assert_eq!(bot.own(&world, &[("resource", GIT)]).await.error(), "invalid_target");
        token(&bot.exchange(&world, &access, &[]).await);
        // A person's token for one server leads to no other.
        let code = world.code(&[("resource", GIT)]).await;
        let pairs = [
            ("grant_type", "authorization_code"),
            ("client_id", "cli"),
            ("code", code.as_str()),
            ("code_verifier", VERIFIER),
        ];
        let (narrow, _) = world.form("/oauth/token", &pairs).await.tokens();
        assert_eq!(bot.exchange(&world, &narrow, &[]).await.error(), "invalid_target");
    }
}

#[tokio::test]
async fn an_actor_token_narrows_and_is_the_agents_own() {
    for world in worlds().await {
        let all = Change {
            may_act_for: MayActFor::Tenant,
            delegation: Delegation { depth: 2, scopes: None },
            ..change()
        };
        let (bot, other) = (bot(&world, all.clone()).await, bot(&world, all).await);
        let (access, _) = world.tokens().await;
        let with_actor = async |actor: &str, resource: &str| {
            let by = [("actor_token", actor), ("actor_token_type", ACCESS), ("resource", resource)];
            bot.exchange(&world, &access, &by).await
        };
        token(&with_actor(&token(&bot.own(&world, &[]).await), MCP).await);
        let foreign = token(&other.own(&world, &[]).await);
        assert_eq!(with_actor(&foreign, MCP).await.error(), "invalid_request");
        let narrow = token(&bot.own(&world, &[("resource", GIT)]).await);
        assert_eq!(with_actor(&narrow, MCP).await.error(), "invalid_target");
        token(&with_actor(&narrow, GIT).await);
        assert_eq!(
            bot.exchange(&world, &token(&bot.own(&world, &[]).await), &[]).await.error(),
            "invalid_request"
        );
        // Its own, but for somebody who acts by it.
        let acting = json!({"act": {"sub": bot.agent.id, "act": {"sub": other.agent.id}}});
        let acting = with(&claims(&token(&bot.own(&world, &[]).await)), &acting).to_string();
        let acting = world.issuer.keys.sign("at+jwt", acting.as_bytes()).unwrap().token;
        assert_eq!(with_actor(&acting, MCP).await.error(), "invalid_request");
        let elsewhere =
            with(&claims(&token(&bot.own(&world, &[]).await)), &json!({"iss": "https://other.test"}));
        let elsewhere = world.issuer.keys.sign("at+jwt", elsewhere.to_string().as_bytes()).unwrap().token;
        assert_eq!(with_actor(&elsewhere, MCP).await.error(), "invalid_request");
    }
}

#[tokio::test]
async fn a_bound_token_of_a_person_is_exchanged_over_its_own_connection_alone() {
    for world in worlds().await {
        let agent = register(&world, Change { may_act_for: MayActFor::Tenant, ..change() }).await;
        let (mine, other) =
            (certificate(&[], &["urn:a:1"], false, false), certificate(&[], &["urn:a:1"], false, false));
        for shown in [&mine, &other] {
            let proof = NewCredential::Proof(Proof::Certificate(shown.digest.to_string()));
            world.issuer.agent_credentials().add(&agent.id, &proof, None, None, false).await.unwrap();
        }
        let (access, _) = world.tokens().await;
        let bound = json!({"cnf": {"x5t#S256": URL_SAFE_NO_PAD.encode(mine.digest.0)}});
        let bound = with(&claims(&access), &bound).to_string();
        let bound = world.issuer.keys.sign("at+jwt", bound.as_bytes()).unwrap().token;
        let pairs = [
            ("grant_type", EXCHANGE),
            ("resource", MCP),
            ("client_id", agent.id.as_str()),
            ("subject_token", bound.as_str()),
            ("subject_token_type", ACCESS),
        ];
        assert_eq!(post_over(&world, &pairs, Some(other)).await.error(), "invalid_request");
        token(&post_over(&world, &pairs, Some(mine)).await);
    }
}

#[tokio::test]
async fn the_chain_of_actors_is_kept_and_bounded() {
    for world in worlds().await {
        let all = Change { may_act_for: MayActFor::Tenant, ..change() };
        let deep = Change {
            delegation: Delegation { depth: 2, scopes: Some(vec!["mcp:read".into()]) },
            ..all.clone()
        };
        let (first, shallow, second) =
            (bot(&world, all.clone()).await, bot(&world, all).await, bot(&world, deep).await);
        let (access, _) = world.tokens().await;
        let one = token(&first.exchange(&world, &access, &[]).await);
        assert_eq!(shallow.exchange(&world, &one, &[]).await.error(), "invalid_request");
        let two = claims_of(&second.exchange(&world, &one, &[]).await);
        let (a, b) = (first.agent.id.as_str(), second.agent.id.as_str());
        assert_eq!(two["act"], json!({"sub": b, "act": {"sub": a}}));
        assert_eq!((&two["sub"], &two["scope"]), (&json!("usr_alice"), &json!("mcp:read")));
        // Who acts is who asks.
        let own = token(&first.own(&world, &[("scope", "mcp:read")]).await);
        let by = [("actor_token", own.as_str()), ("actor_token_type", ACCESS)];
        assert_eq!(claims_of(&first.exchange(&world, &access, &by).await)["scope"], "mcp:read");
        assert_eq!(shallow.exchange(&world, &access, &by).await.error(), "invalid_request");
    }
}

#[tokio::test]
async fn an_agent_of_another_tenant_acts_for_nobody() {
    for world in worlds().await {
        let all = Change { may_act_for: MayActFor::Tenant, ..change() };
        let stranger = stranger(&world, all).await;
        let (access, _) = world.tokens().await;
        assert_eq!(stranger.exchange(&world, &access, &[]).await.error(), "invalid_request");
        token(&stranger.own(&world, &[]).await);
    }
}
