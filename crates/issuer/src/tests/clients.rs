//! How clients prove who they are.

use super::*;

pub(super) const TYPE: &str = "urn:ietf:params:oauth:client-assertion-type:jwt-bearer";

/// The claims of a good assertion.
pub(super) fn assertion(id: &str, world: &World, jti: &str) -> Value {
    let now = world.clock.now().seconds();
    json!({"iss": id, "sub": id, "aud": HERE, "iat": now, "exp": now + 60, "jti": jti})
}

/// Asks for tokens with an assertion and a refresh token that does not exist: `invalid_grant` says that the client was
/// proven.
pub(super) async fn ask(world: &World, assertion: &str) -> Answer {
    let pairs = [
        ("grant_type", "refresh_token"),
        ("client_assertion_type", TYPE),
        ("client_assertion", assertion),
        ("refresh_token", "rt_none"),
    ];
    world.form("/oauth/token", &pairs).await
}

async fn signing_world(world: World) -> (World, Signer) {
    let signer = Signer::new();
    world.configure(|config| {
        let known = config.clients.get_mut("cli").unwrap();
        (known.method, known.keys) = (Method::PrivateKeyJwt, Keys::Inline(Arc::new(signer.jwks("k1"))));
    });
    (world, signer)
}

#[tokio::test]
async fn an_assertion_proves_a_client_once_here_and_now() {
    for world in World::each().await {
        let (world, signer) = signing_world(world).await;
        let header = json!({"alg": "ES256", "kid": "k1", "typ": "JWT"});
        let base = assertion("cli", &world, "0");
        let now = world.clock.now().seconds();
        let good = [
            json!({}),
            json!({"aud": format!("{HERE}/oauth/token")}),
            json!({"aud": [HERE]}),
            json!({"exp": now + 300}),
            json!({"iat": null}),
        ];
        for (at, change) in good.iter().enumerate() {
            let claims = with(&with(&base, change), &json!({"jti": format!("g{at}")}));
            let answer = ask(&world, &signer.sign(&header, &claims)).await;
            assert_eq!(answer.error(), "invalid_grant", "{change}: {}", answer.text());
        }
        let bad = [
            json!({"iss": "other"}),
            json!({"sub": "other"}),
            json!({"iss": null}),
            json!({"aud": "https://gw.test/"}),
            json!({"aud": "https://gw.test/mcp"}),
            json!({"aud": "https://other.test"}),
            json!({"aud": [HERE, "https://other.test"]}),
            json!({"aud": []}),
            json!({"aud": null}),
            json!({"exp": now - 60}),
            json!({"exp": now + 400}),
            json!({"exp": null}),
            json!({"exp": "soon"}),
            json!({"iat": now + 120}),
            json!({"nbf": now + 120}),
            json!({"jti": null}),
            json!({"jti": ""}),
            json!({"jti": "g0"}),
        ];
        for (at, change) in bad.iter().enumerate() {
            let claims = with(&with(&base, &json!({"jti": format!("b{at}")})), change);
            assert_eq!(
                ask(&world, &signer.sign(&header, &claims)).await.error(),
                "invalid_client",
                "{change}"
            );
            world.pass(3);
        }
        for (at, header) in [
            json!({"alg": "ES256", "kid": "k1", "typ": "at+jwt"}),
            json!({"alg": "ES256", "kid": "k1", "typ": "oauth-id-jag+jwt"}),
            json!({"alg": "none", "kid": "k1"}),
            json!({"alg": "HS256", "kid": "k1"}),
            json!({"alg": "RS256", "kid": "k1"}),
            json!({"alg": "ES256", "kid": "k2"}),
            json!({"alg": "ES256", "kid": "k1", "crit": ["x"], "x": 1}),
            json!({"alg": "ES256", "kid": "k1", "jwk": signer.jwks("k1")["keys"][0]}),
        ]
        .iter()
        .enumerate()
        {
            let claims = assertion("cli", &world, &format!("h{at}"));
            assert_eq!(
                ask(&world, &signer.sign(header, &claims)).await.error(),
                "invalid_client",
                "{header}"
            );
        }
        let forged = Signer::new().sign(&header, &assertion("cli", &world, "f"));
        assert_eq!(ask(&world, &forged).await.error(), "invalid_client");
        assert_eq!(ask(&world, "a.b.c").await.error(), "invalid_client");
    }
}

#[tokio::test]
async fn of_many_that_show_one_assertion_one_is_the_first() {
    for world in World::each().await {
        let (world, signer) = signing_world(world).await;
        let token = signer.sign(&json!({"alg": "ES256", "kid": "k1"}), &assertion("cli", &world, "once"));
        let world = Arc::new(world);
        let race = (0..20).map(|_| {
            let (world, token) = (Arc::clone(&world), token.clone());
            tokio::spawn(async move { ask(&world, &token).await.error() })
        });
        let mut first = 0;
        for task in race.collect::<Vec<_>>() {
            first += usize::from(task.await.unwrap() == "invalid_grant");
        }
        assert_eq!(first, 1);
    }
}

#[tokio::test]
async fn a_secret_comes_in_one_place_and_is_the_right_one() {
    let world = World::new().await;
    let encoded = base64::engine::general_purpose::STANDARD.encode("shop:s3cret%2B%2F%3A+x");
    let ask = |header: Option<String>, pairs: Vec<(&'static str, &'static str)>| {
        let issuer = Arc::clone(&world.issuer);
        async move {
            let pairs: Vec<_> = pairs
                .into_iter()
                .chain([("grant_type", "refresh_token"), ("refresh_token", "rt_none")])
                .collect();
            let body = form_urlencoded::Serializer::new(String::new()).extend_pairs(pairs).finish();
            let mut request =
                Request::post("/oauth/token").header("content-type", "application/x-www-form-urlencoded");
            if let Some(header) = header {
                request = request.header("authorization", header);
            }
            send(&issuer, request, &body).await
        }
    };
    let good = "s3cret+/: x";
    assert_eq!(ask(Some(format!("Basic {encoded}")), vec![]).await.error(), "invalid_grant");
    assert_eq!(
        ask(None, vec![("client_id", "shop"), ("client_secret", good)]).await.error(),
        "invalid_grant"
    );
    let twice =
        ask(Some(format!("Basic {encoded}")), vec![("client_id", "shop"), ("client_secret", good)]).await;
    assert_eq!(twice.error(), "invalid_request");
    for (header, pairs) in [
        (None, vec![("client_id", "shop")]),
        (None, vec![("client_id", "shop"), ("client_secret", "wrong")]),
        (None, vec![("client_id", "cli"), ("client_secret", good)]),
        (Some(format!("Basic {encoded}")), vec![("client_id", "cli")]),
        (Some("Basic !".to_owned()), vec![]),
        (Some("Bearer x".to_owned()), vec![("client_id", "cli")]),
    ] {
        let refused = ask(header.clone(), pairs.clone()).await;
        assert_eq!(
            (refused.status.as_u16(), refused.error().as_str()),
            (401, "invalid_client"),
            "{header:?} {pairs:?}"
        );
        assert!(refused.headers.contains_key("www-authenticate"));
    }
}

#[tokio::test]
async fn a_secret_in_the_header_is_taken_encoded_or_as_it_stands() {
    let world = World::new().await;
    world
        .configure(|config| config.clients.get_mut("shop").unwrap().secret = Some(Digest::of(b"ab+c==&%41")));
    let ask = async |secret: &str| {
        let header = base64::engine::general_purpose::STANDARD.encode(format!("shop:{secret}"));
        let request = Request::post("/oauth/token")
            .header("authorization", format!("Basic {header}"))
            .header("content-type", "application/x-www-form-urlencoded");
        send(&world.issuer, request, "grant_type=refresh_token").await.error()
    };
    assert_eq!(ask("ab+c==&%41").await, "invalid_request", "proven; no refresh token");
    assert_eq!(ask("ab%2Bc%3D%3D%26%2541").await, "invalid_request");
    for wrong in ["ab c==&A", "ab+c==&A", "ab+c", ""] {
        assert_eq!(ask(wrong).await, "invalid_client", "{wrong}");
    }
}

#[tokio::test]
async fn a_client_may_spell_its_words_as_it_did_when_it_began() {
    let world = World::new().await;
    let scope = "openid mcp:read offline_access unknown:word";
    let shouted = "HTTPS://GW.test/mcp";
    let code = world.code(&[("scope", scope), ("resource", shouted)]).await;
    let usual = [("client_id", "cli"), ("resource", shouted), ("scope", scope)];
    let ask = async |more: &[(&str, &str)]| {
        let pairs: Vec<_> = usual.iter().chain(more).copied().collect();
        world.form("/oauth/token", &pairs).await
    };
    let redeem = [("grant_type", "authorization_code"), ("code", code.as_str()), ("code_verifier", VERIFIER)];
    let answer = ask(&redeem).await;
    assert_eq!(answer.json()["scope"], "mcp:read", "{}", answer.text());
    let (_, token) = answer.tokens();
    let renewed = ask(&[("grant_type", "refresh_token"), ("refresh_token", &token)]).await;
    assert_eq!(renewed.json()["scope"], "mcp:read", "{}", renewed.text());
    let device = [("client_id", "cli"), ("resource", shouted), ("scope", "openid mcp:read offline_access")];
    assert_eq!(world.form("/oauth/device", &device).await.status, StatusCode::OK);
}

#[tokio::test]
async fn one_address_does_not_keep_the_documents_of_others_out() {
    let world = World::new().await;
    world.configure(|config| config.documents = loopback_documents());
    let begin = async |address: &str, id: &str| {
        let path = format!("/oauth/authorize?{}", query(&[("client_id", id)]));
        send_from(&world.issuer, address, Request::get(path), "").await.text()
    };
    for at in 0..30 {
        let page = begin("192.0.2.1", &format!("http://127.0.0.1:1/{at}")).await;
        assert!(page.contains("PTN-2011"), "{page}");
    }
    let limited = begin("192.0.2.1", "http://127.0.0.1:1/more").await;
    assert!(limited.contains("PTN-2017"), "{limited}");
    let known = begin("192.0.2.1", "http://127.0.0.1:1/0").await;
    assert!(known.contains("PTN-2011"), "asked for before: {known}");
    let pairs = [("grant_type", "refresh_token"), ("client_id", "http://127.0.0.1:1/more")];
    assert_eq!(world.form("/oauth/token", &pairs).await.status, 429);
    assert!(begin("198.51.100.7", "http://127.0.0.1:1/other").await.contains("PTN-2011"));
}

#[tokio::test]
async fn proofs_of_a_client_cannot_be_tried_for_ever() {
    let world = World::new().await;
    // What is guessed of clients that are not there uses nothing up.
    for at in 0..30 {
        for _ in 0..30 {
            let id = format!("nobody-{at}");
            let pairs = [("grant_type", "refresh_token"), ("client_id", &*id), ("client_secret", "guess")];
            assert_eq!(world.form("/oauth/token", &pairs).await.status, 401);
        }
    }
    let guess = [("grant_type", "refresh_token"), ("client_id", "shop"), ("client_secret", "guess")];
    for _ in 0..30 {
        assert_eq!(world.form("/oauth/token", &guess).await.status, 401);
    }
    let right = [("grant_type", "refresh_token"), ("client_id", "shop"), ("client_secret", "s3cret+/: x")];
    assert_eq!(world.form("/oauth/token", &right).await.status, 429);
    // Nor what is guessed of clients that have no secret; and nobody else is kept out by it: neither other clients of that address nor this one from another.
    let (code, usual) = (world.code(&[]).await, ("grant_type", "refresh_token"));
    world.redeem(&code).await.tokens();
    world.configure(|config| {
        let shop = config.clients["shop"].clone();
        config.clients.insert("mill".to_owned(), shop);
    });
    let mill = [usual, ("client_id", "mill"), ("client_secret", "s3cret+/: x")];
    assert_eq!(world.form("/oauth/token", &mill).await.error(), "invalid_request");
    let body = form_urlencoded::Serializer::new(String::new()).extend_pairs(&right).finish();
    let request = Request::post("/oauth/token").header("content-type", "application/x-www-form-urlencoded");
    assert_eq!(send_from(&world.issuer, "198.51.100.7", request, &body).await.error(), "invalid_request");
    for _ in 0..40 {
        let nobody = world.form("/oauth/token", &[usual, ("client_id", "nobody")]).await;
        assert_eq!(nobody.status, 401, "never too many: nothing is guessed at");
    }
    world.pass(60);
    assert_eq!(
        world.form("/oauth/token", &right).await.error(),
        "invalid_request",
        "proven; no refresh token"
    );
}
