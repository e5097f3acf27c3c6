//! API keys: the bearer tokens of agents.

use super::*;

/// Shows a key at an endpoint.
async fn show(world: &World, key: &str, at: &str) -> Result<authn::Verified, AuthnError> {
    let mut headers = HeaderMap::new();
    headers.insert(header::AUTHORIZATION, HeaderValue::try_from(format!("Bearer {key}")).unwrap());
    let resource = Resource::new(at, vec![], vec![], vec![]).unwrap();
    let uri = Uri::from_static("/mcp");
    world.issuer.authn.authenticate(&headers, &uri, &resource).await.map_err(|rejection| rejection.error)
}

#[tokio::test]
async fn an_api_key_is_an_agents_bearer_token_until_it_is_stopped() {
    for world in worlds().await {
        let (db, clock) = (world.test.db.clone(), Arc::clone(&world.clock) as Arc<dyn model::Clock>);
        world.issuer.authn.recognize(Arc::new(ApiKeys::new(HERE, db, clock, Arc::new(SystemDice))));
        let limited = Change { servers: Some(vec!["git".into()]), ..change() };
        let agent = register(&world, limited).await;
        let credentials = world.issuer.agent_credentials();
        let new = NewCredential::ApiKey { scopes: Some(vec!["mcp:read".into(), "more".into()]) };
        let end = world.clock.now().after(Duration::from_secs(100));
        let fresh = credentials.add(&agent.id, &new, None, Some(end), false).await.unwrap();
        let key = fresh.secret.unwrap();
        assert!(key.starts_with("ptk_"));
        let verified = show(&world, &key, MCP).await.unwrap();
        let principal = &verified.principal;
        assert_eq!((&*principal.user, &*principal.tenant), (agent.id.as_str(), "acme"));
        assert_eq!(principal.scopes, ["mcp:read".into()]);
        assert_eq!(principal.registered.as_ref().unwrap().servers.as_ref().unwrap().len(), 1);
        assert_eq!(verified.expires_at, end);
        assert!(show(&world, &key, GIT).await.is_ok());
        assert!(show(&world, &key, "https://gw.test/servers/mail/mcp").await.is_err());
        assert!(show(&world, "ptk_another", MCP).await.is_err());
        // A key is no subject of an exchange, and no client's secret.
        let pairs = [
            ("grant_type", "client_credentials"),
            ("resource", MCP),
            ("client_id", agent.id.as_str()),
            ("client_secret", key.as_str()),
        ];
        assert_eq!(world.form("/oauth/token", &pairs).await.error(), "invalid_client");
        world.issuer.agents().set_active(&agent.id, false, "operator").await.unwrap();
        assert!(show(&world, &key, MCP).await.is_err());
        world.issuer.agents().set_active(&agent.id, true, "operator").await.unwrap();
        assert!(show(&world, &key, MCP).await.is_ok());
        world.pass(100);
        assert!(show(&world, &key, MCP).await.is_err());
        let other = credentials.add(&agent.id, &new, None, None, false).await.unwrap();
        let key = other.secret.unwrap();
        assert!(show(&world, &key, MCP).await.is_ok());
        credentials.revoke(&agent.id, &other.credential.id, "operator").await.unwrap();
        assert!(show(&world, &key, MCP).await.is_err());
    }
}
