//! Enterprise-managed authorization: assertions of a tenant's provider (T17).

use super::agents::{bot, change, stranger, token};
use super::site::Site;
use super::*;
use crate::AgentRules;
use crate::agent::{Change, Delegation};
use crate::sign_in::{ClientAuth, Overage, Profile, ProviderConfig, TenantConfig};
use net::egress::Rule;

const GRANT: &str = "urn:ietf:params:oauth:grant-type:jwt-bearer";

/// A world whose tenant trusts a provider, which has this key.
pub(super) struct Enterprise {
    pub(super) world: World,
    pub(super) idp: Site,
    signer: Signer,
}

impl Enterprise {
    pub(super) async fn of(world: World) -> Self {
        let (idp, signer) = (Site::open().await, Signer::new());
        let metadata = json!({
            "issuer": idp.origin, "jwks_uri": idp.url("/jwks"), "authorization_endpoint": idp.url("/authorize"),
            "token_endpoint": idp.url("/token"),
        });
        idp.put("/.well-known/openid-configuration", (200, None, metadata.to_string()));
        idp.put("/jwks", (200, None, signer.jwks("idp-1").to_string()));
        let provider = provider(&idp.origin);
        let acme = TenantConfig {
            name: "acme".into(),
            display_name: "Acme".into(),
            providers: vec![Arc::new(provider)],
            local_accounts: false,
        };
        world.configure(|config| {
            config.tenants = vec![Arc::new(acme)];
            let rules = AgentRules { identity_assertions: vec!["corp".into()], ..AgentRules::default() };
            config.agents.insert("acme".into(), rules);
        });
        Self { world, idp, signer }
    }

    fn claims(&self, jti: &str) -> Value {
        let now = self.world.clock.now().seconds();
        json!({
            "iss": self.idp.origin, "sub": "alice@corp", "aud": HERE, "client_id": "shop", "resource": MCP,
            "scope": "mcp:read other", "iat": now, "exp": now + 300, "jti": jti,
        })
    }

    fn sign(&self, claims: &Value) -> String {
        self.signer.sign(&json!({"alg": "ES256", "kid": "idp-1", "typ": "oauth-id-jag+jwt"}), claims)
    }

    /// The provider says that somebody has signed out.
    pub(super) async fn log_out(&self, jti: &str, whom: &Value) -> Answer {
        let now = self.world.clock.now().seconds();
        let claims = json!({
            "iss": self.idp.origin, "aud": "portunus", "iat": now, "exp": now + 120, "jti": jti,
            "events": {"http://schemas.openid.net/event/backchannel-logout": {}},
        });
        let header = json!({"alg": "ES256", "kid": "idp-1", "typ": "logout+jwt"});
        let token = self.signer.sign(&header, &with(&claims, whom));
        self.world.form("/backchannel-logout/acme/corp", &[("logout_token", &token)]).await
    }

    async fn ask(&self, assertion: &str, more: &[(&str, &str)]) -> Answer {
        ask(&self.world.issuer, assertion, more).await
    }
}

/// A provider of that issuer, on this machine.
pub(super) fn provider(issuer: &str) -> ProviderConfig {
    ProviderConfig {
        name: "corp".into(),
        display_name: "Corp".into(),
        issuer: issuer.to_owned(),
        discovery_url: None,
        profile: Profile::named("generic").unwrap(),
        client_id: "portunus".into(),
        client_auth: ClientAuth::None,
        scopes: Vec::new(),
        roles: Vec::new(),
        groups: Vec::new(),
        role_map: BTreeMap::new(),
        default_roles: vec!["reader".into()],
        directory: None,
        overage: Overage::Deny,
        recheck: None,
        pkce: true,
        userinfo: false,
        algorithms: vec![authn::Algorithm::Es256],
        skew: Duration::from_secs(30),
        rule: Rule::LOOPBACK,
    }
}

async fn ask(issuer: &Arc<Issuer>, assertion: &str, more: &[(&str, &str)]) -> Answer {
    let mut pairs = vec![
        ("grant_type", GRANT),
        ("assertion", assertion),
        ("client_id", "shop"),
        ("client_secret", "s3cret+/: x"),
    ];
    pairs.retain(|(name, _)| !more.iter().any(|(other, _)| other == name));
    pairs.extend(more);
    form(issuer, "/oauth/token", &pairs).await
}

#[tokio::test]
async fn an_assertion_of_the_tenants_provider_gives_a_token_and_nobody_is_asked() {
    for world in World::each().await {
        let house = Enterprise::of(world).await;
        let assertion = house.sign(&house.claims("a"));
        let answer = house.ask(&assertion, &[("scope", "mcp:read mcp:call")]).await;
        assert_eq!(answer.status, StatusCode::OK, "{}", answer.text());
        assert!(answer.json().get("refresh_token").is_none());
        let got = claims(answer.json()["access_token"].as_str().unwrap());
        // The intersection of what was asked, given and there.
        for (name, value) in
            [("scope", "mcp:read"), ("aud", MCP), ("client_id", "shop"), ("tenant_id", "acme")]
        {
            assert_eq!(got[name], value, "{name}");
        }
        assert_eq!(got["roles"], json!(["reader"]));
        let person =
            house.world.issuer.people.known_as("acme", &house.idp.origin, "alice@corp").await.unwrap();
        assert_eq!(got["sub"], person.unwrap().id);
        let again = house.ask(&house.sign(&house.claims("b")), &[]).await.json();
        assert_eq!(claims(again["access_token"].as_str().unwrap())["sub"], got["sub"]);
        let both = house.sign(&with(&house.claims("d"), &json!({"scope": "mcp:read mcp:call"})));
        assert_eq!(house.ask(&both, &[("scope", "mcp:call")]).await.json()["scope"], "mcp:call");
        let metadata = house.world.get("/.well-known/oauth-authorization-server").await.json();
        let profile = "urn:ietf:params:oauth:grant-profile:id-jag";
        assert_eq!(metadata["authorization_grant_profiles_supported"], json!([profile]));
        assert!(!house.world.record().contains(&assertion));
        // A person who was disabled is not let in by it.
        let id = got["sub"].as_str().unwrap();
        house.world.issuer.people.set_active(id, false).await.unwrap();
        assert_eq!(house.ask(&house.sign(&house.claims("c")), &[]).await.error(), "invalid_grant");
    }
}

#[tokio::test]
async fn an_assertion_finds_the_person_by_the_claim_that_a_sign_in_does() {
    for world in World::each().await {
        let house = Enterprise::of(world).await;
        let entra =
            ProviderConfig { profile: Profile::named("entra").unwrap(), ..provider(&house.idp.origin) };
        house.world.configure(|config| {
            let acme =
                TenantConfig { providers: vec![Arc::new(entra)], ..TenantConfig::clone(&config.tenants[0]) };
            config.tenants = vec![Arc::new(acme)];
        });
        let with_oid = |jti: &str| house.sign(&with(&house.claims(jti), &json!({"oid": "o-1"})));
        let issued = house.ask(&with_oid("a"), &[]).await.json();
        let token = issued["access_token"].as_str().unwrap();
        let got = claims(token);
        // So does a logout.
        assert_eq!(house.log_out("l1", &json!({"sub": "alice@corp", "oid": "o-1"})).await.status, 200);
        let asked = [("client_id", "shop"), ("client_secret", "s3cret+/: x"), ("token", token)];
        assert_eq!(house.world.form("/oauth/introspect", &asked).await.json()["active"], false);
        let people = &house.world.issuer.people;
        let person = people.known_as("acme", &house.idp.origin, "o-1").await.unwrap().unwrap();
        assert_eq!(got["sub"], person.id);
        people.set_active(&person.id, false).await.unwrap();
        assert_eq!(house.ask(&with_oid("b"), &[]).await.error(), "invalid_grant");
        assert_eq!(
            house.ask(&house.sign(&house.claims("c")), &[]).await.error(),
            "invalid_grant",
            "no `oid`"
        );
        assert_eq!(people.list("acme", "", 10).await.unwrap().len(), 2, "alice and this one");
    }
}

#[tokio::test]
async fn whoever_signs_out_at_their_provider_keeps_no_token_of_no_grant() {
    for world in World::each().await {
        let house = Enterprise::of(world).await;
        let issued = house.ask(&house.sign(&house.claims("a")), &[]).await.json();
        let token = issued["access_token"].as_str().unwrap();
        let asked = [("client_id", "shop"), ("client_secret", "s3cret+/: x"), ("token", token)];
        let ask = async || house.world.form("/oauth/introspect", &asked).await.json()["active"].clone();
        house.world.pass(3);
        assert_eq!(ask().await, true);
        assert_eq!(house.log_out("l1", &json!({"sub": "alice@corp"})).await.status, 200);
        assert_eq!(ask().await, false);
    }
}

#[tokio::test]
async fn an_id_jag_is_taken_once() {
    for world in World::each().await {
        let house = Enterprise::of(world).await;
        let assertion = house.sign(&house.claims("a"));
        let other = house.world.replica().await;
        other.reload(Config::clone(&house.world.issuer.config()));
        let (one, two, three) = tokio::join!(
            house.ask(&assertion, &[]),
            ask(&other, &assertion, &[]),
            ask(&other, &assertion, &[])
        );
        let answers = [one, two, three];
        assert_eq!(answers.iter().filter(|answer| answer.status == StatusCode::OK).count(), 1);
        assert_eq!(answers.iter().filter(|answer| answer.error() == "invalid_grant").count(), 2);
    }
}

#[tokio::test]
async fn an_assertion_that_is_not_all_it_must_be_is_refused() {
    for world in World::each().await {
        let house = Enterprise::of(world).await;
        let now = house.world.clock.now().seconds();
        let changes = [
            ("for another client", json!({"client_id": "cli"})),
            ("for no client", json!({"client_id": null})),
            ("for another authorization server", json!({"aud": "https://other.test"})),
            ("for this one with a slash", json!({"aud": "https://gw.test/"})),
            ("for two", json!({"aud": [HERE, "https://other.test"]})),
            ("for none", json!({"aud": null})),
            ("for a resource that is none of ours", json!({"resource": "https://other.test/mcp"})),
            ("for no resource", json!({"resource": null})),
            ("for several resources", json!({"resource": [MCP, "https://gw.test/servers/git/mcp"]})),
            ("of another provider", json!({"iss": "https://idp.other"})),
            ("without a subject", json!({"sub": null})),
            ("without an end", json!({"exp": null})),
            ("that has ended", json!({"exp": now - 60})),
            ("that lives for an hour", json!({"exp": now + 3600})),
            ("without a beginning", json!({"iat": null})),
            ("of the future", json!({"iat": now + 120})),
            ("without an id", json!({"jti": null})),
            ("bound to a key", json!({"cnf": {"jkt": "x"}})),
        ];
        for (at, (name, change)) in changes.iter().enumerate() {
            let claims = with(&with(&house.claims("x"), &json!({"jti": format!("x{at}")})), change);
            let answer = house.ask(&house.sign(&claims), &[]).await;
            assert_eq!(answer.error(), "invalid_grant", "{name}: {}", answer.text());
            house.world.pass(0);
        }
        let good = house.claims("h");
        for (name, header) in [
            ("an access token", json!({"alg": "ES256", "kid": "idp-1", "typ": "at+jwt"})),
            ("an ID token", json!({"alg": "ES256", "kid": "idp-1", "typ": "JWT"})),
            ("of no type", json!({"alg": "ES256", "kid": "idp-1"})),
            ("of no algorithm", json!({"alg": "none", "kid": "idp-1", "typ": "oauth-id-jag+jwt"})),
            ("of an unknown key", json!({"alg": "ES256", "kid": "idp-2", "typ": "oauth-id-jag+jwt"})),
        ] {
            let answer = house.ask(&house.signer.sign(&header, &good), &[]).await;
            assert_eq!(answer.error(), "invalid_grant", "{name}: {}", answer.text());
        }
        let header = json!({"alg": "ES256", "kid": "idp-1", "typ": "oauth-id-jag+jwt"});
        assert_eq!(house.ask(&Signer::new().sign(&header, &good), &[]).await.error(), "invalid_grant");
        // The pair: the resource that is asked for is the one that it names.
        let git = [("resource", "https://gw.test/servers/git/mcp")];
        assert_eq!(house.ask(&house.sign(&house.claims("p")), &git).await.error(), "invalid_grant");
        // Nobody but the proven client.
        let public = [("client_id", "cli"), ("client_secret", "")];
        let theirs = with(&house.claims("q"), &json!({"client_id": "cli"}));
        assert_eq!(house.ask(&house.sign(&theirs), &public).await.error(), "invalid_client");
        let wrong = [("client_secret", "wrong")];
        assert_eq!(house.ask(&house.sign(&house.claims("r")), &wrong).await.error(), "invalid_client");
        // A provider whose assertions the tenant does not take.
        house.world.configure(|config| config.agents.clear());
        assert_eq!(house.ask(&house.sign(&house.claims("s")), &[]).await.error(), "invalid_grant");
    }
}

#[tokio::test]
async fn an_agent_gets_no_more_by_an_assertion_than_it_is_registered_for() {
    for world in World::each().await {
        let house = Enterprise::of(world).await;
        let bounds = Change {
            servers: Some(vec!["mail".into()]),
            delegation: Delegation { depth: 1, scopes: Some(vec!["mcp:read".into()]) },
            ..change()
        };
        let agent = bot(&house.world, bounds).await;
        let ask = async |jti: &str, resource: &str| {
            let bounds = json!({
                "client_id": agent.agent.id, "scope": "mcp:read mcp:call", "resource": resource,
            });
            let assertion = house.sign(&with(&house.claims(jti), &bounds));
            agent.ask(&house.world, &[("grant_type", GRANT), ("assertion", &assertion)]).await
        };
        let got = claims(&token(&ask("a", MCP).await));
        assert_eq!((&got["scope"], &got["act"]["sub"]), (&json!("mcp:read"), &json!(agent.agent.id)));
        assert_eq!(ask("b", "https://gw.test/servers/git/mcp").await.error(), "invalid_grant");
    }
}

#[tokio::test]
async fn an_assertion_is_of_one_tenant_and_for_that_tenant_alone() {
    for world in World::each().await {
        let house = Enterprise::of(world).await;
        let foreign = stranger(&house.world, change()).await;
        let theirs = with(&house.claims("a"), &json!({"client_id": foreign.agent.id}));
        let pairs = [("grant_type", GRANT), ("assertion", &house.sign(&theirs))];
        assert_eq!(foreign.ask(&house.world, &pairs).await.error(), "invalid_grant");
        // Nobody says which of two tenants is meant that have one provider.
        house.world.configure(|config| {
            let twin = TenantConfig { name: "twin".into(), ..TenantConfig::clone(&config.tenants[0]) };
            config.tenants.push(Arc::new(twin));
            let rules = config.agents["acme"].clone();
            config.agents.insert("twin".into(), rules);
        });
        assert_eq!(house.ask(&house.sign(&house.claims("b")), &[]).await.error(), "invalid_grant");
        house.world.configure(|config| drop(config.tenants.pop()));
        assert_eq!(house.ask(&house.sign(&house.claims("c")), &[]).await.status, StatusCode::OK);
    }
}

#[tokio::test]
async fn an_assertion_about_a_member_of_another_organisation_is_refused() {
    let house = Enterprise::of(World::new().await).await;
    let of_many = ProviderConfig {
        profile: Profile::named("google").unwrap(),
        directory: Some("corp.example".into()),
        ..provider(&house.idp.origin)
    };
    house.world.configure(|config| {
        let acme = TenantConfig::clone(&config.tenants[0]);
        config.tenants = vec![Arc::new(TenantConfig { providers: vec![Arc::new(of_many)], ..acme })];
    });
    for (at, organisation, good) in
        [("a", json!("corp.example"), true), ("b", json!("evil.example"), false), ("c", Value::Null, false)]
    {
        let claims = with(&house.claims(at), &json!({"hd": organisation}));
        let answer = house.ask(&house.sign(&claims), &[]).await;
        assert_eq!(answer.status == StatusCode::OK, good, "{organisation}: {}", answer.text());
    }
}
