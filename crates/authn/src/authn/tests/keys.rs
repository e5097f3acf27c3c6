//! Keys that come, go and cannot be reached.

use super::*;

#[tokio::test]
async fn a_rotated_key_is_picked_up_within_one_request() {
    let (old, new) = (Signer::new("k1", Algorithm::Es256), Signer::new("k2", Algorithm::EdDsa));
    let world = World::new(&[&old]).await;
    world.present(&old.sign(&world.claims())).await.unwrap();
    assert_eq!(world.idp.key_requests(), 1);
    world.idp.publish(&[&old, &new]);
    world.advance(10);
    world.present(&new.sign(&world.claims())).await.unwrap();
    world.present(&old.sign(&world.claims())).await.unwrap();
    assert_eq!(world.idp.key_requests(), 2);
}

#[tokio::test]
async fn a_removed_key_verifies_nothing_not_even_from_memory() {
    let (old, new) = (Signer::new("k1", Algorithm::Es256), Signer::new("k2", Algorithm::Es256));
    let world = World::new(&[&old]).await;
    let token = old.sign(&world.claims());
    world.present(&token).await.unwrap();
    world.idp.publish(&[&new]);
    world.advance(10);
    world.present(&new.sign(&world.claims())).await.unwrap();
    assert_eq!(world.present(&token).await.err(), Some(AuthnError::UnknownKey));
}

#[tokio::test]
async fn a_key_replaced_under_its_id_verifies_nothing() {
    let (old, new) = (Signer::new("k1", Algorithm::Es256), Signer::new("k1", Algorithm::Es256));
    let world = World::new(&[&old]).await;
    let token = old.sign(&world.claims());
    world.present(&token).await.unwrap();
    world.idp.publish(&[&new]);
    world.advance(600);
    for fetch in world.authn.tend() {
        fetch.await;
    }
    let fresh = json!({ "exp": NOW + 900 });
    assert!(world.present(&old.sign(&with(world.claims(), fresh.clone()))).await.is_err());
    world.present(&new.sign(&with(world.claims(), fresh))).await.unwrap();
}

#[tokio::test]
async fn a_storm_of_unknown_keys_makes_one_request() {
    let key = Signer::new("k1", Algorithm::Es256);
    let world = World::new(&[&key]).await;
    world.present(&key.sign(&world.claims())).await.unwrap();
    world.advance(10);
    let payload = world.claims().to_string();
    let storm = |from: usize| {
        let tokens: Vec<_> = (from..from + 50)
            .map(|n| {
                let header = json!({ "alg": "ES256", "kid": format!("x{n}"), "typ": "at+jwt" });
                key.sign_raw(&header.to_string(), &payload)
            })
            .collect();
        let world = &world;
        async move {
            let mut waiting = Vec::new();
            for token in tokens {
                let (authn, resource) = (Arc::clone(&world.authn), world.resource.clone());
                waiting.push(tokio::spawn(async move {
                    let mut headers = HeaderMap::new();
                    headers.insert(AUTHORIZATION, format!("Bearer {token}").parse().unwrap());
                    authn.authenticate(&headers, &Uri::from_static("/"), &resource).await.err()
                }));
            }
            for refused in waiting {
                assert_eq!(refused.await.unwrap(), Some(AuthnError::UnknownKey.into()));
            }
        }
    };
    storm(0).await;
    storm(100).await;
    assert_eq!(world.idp.key_requests(), 2);
    world.advance(10);
    storm(200).await;
    assert_eq!(world.idp.key_requests(), 3);
    world.present(&key.sign(&world.claims())).await.unwrap();
}

#[tokio::test]
async fn the_last_good_keys_serve_for_a_day() {
    let key = Signer::new("k1", Algorithm::Es256);
    let world = World::new(&[&key]).await;
    world.present(&key.sign(&world.claims())).await.unwrap();
    world.idp.down(true);
    let at = |seconds: i64| key.sign(&with(world.claims(), json!({ "iat": NOW, "exp": NOW + seconds })));
    world.advance(24 * 3600);
    for fetch in world.authn.tend() {
        fetch.await;
    }
    let token = at(24 * 3600);
    world.present(&token).await.unwrap();
    assert_eq!(world.authn.keys_in_force(), [(world.idp.issuer.clone(), 1)]);
    world.advance(1);
    assert_eq!(world.present(&token).await.err(), Some(AuthnError::IssuerUnavailable));
    assert_eq!(world.authn.keys_in_force(), [(world.idp.issuer.clone(), 0)]);
    // And it comes back by itself.
    world.idp.down(false);
    world.advance(1);
    world.present(&token).await.unwrap();
}

#[tokio::test]
async fn an_issuer_that_was_never_reached_is_unavailable() {
    let key = Signer::new("k1", Algorithm::Es256);
    let world = World::new(&[&key]).await;
    world.idp.down(true);
    let token = key.sign(&world.claims());
    assert_eq!(world.present(&token).await.err(), Some(AuthnError::IssuerUnavailable));
    assert_eq!(AuthnError::IssuerUnavailable.status(), 503);
    world.idp.down(false);
    world.advance(1);
    world.present(&token).await.unwrap();
}

#[tokio::test]
async fn metadata_of_another_issuer_is_not_used() {
    let key = Signer::new("k1", Algorithm::Es256);
    let world = World::new(&[&key]).await;
    let issuer = world.idp.issuer.clone();
    world.idp.pretend(&issuer.replace("/tenant", "/other"));
    assert_eq!(world.present(&key.sign(&world.claims())).await.err(), Some(AuthnError::IssuerUnavailable));
    assert_eq!(world.idp.key_requests(), 0);
}

#[tokio::test]
async fn keys_may_be_at_a_configured_url() {
    let key = Signer::new("k1", Algorithm::Es256);
    let world = World::with(&[&key], |config| {
        let issuer = &mut config.issuers[0];
        issuer.keys = KeySource::JwksUri(issuer.issuer.replace("/tenant", "/keys"));
    })
    .await;
    world.idp.pretend("https://nobody.test");
    world.present(&key.sign(&world.claims())).await.unwrap();
}

#[tokio::test]
async fn a_caller_who_goes_away_does_not_stop_the_fetch() {
    let (old, new) = (Signer::new("k1", Algorithm::Es256), Signer::new("k2", Algorithm::Es256));
    let world = World::new(&[&old]).await;
    world.present(&old.sign(&world.claims())).await.unwrap();
    world.idp.publish(&[&new]);
    world.advance(10);
    let token = new.sign(&world.claims());
    // Polled once, which starts the fetch, and dropped.
    let mut waiting = Box::pin(world.present(&token));
    let mut cx = std::task::Context::from_waker(std::task::Waker::noop());
    assert!(waiting.as_mut().poll(&mut cx).is_pending());
    drop(waiting);
    world.present(&token).await.unwrap();
    assert_eq!(world.idp.key_requests(), 2);
}

#[tokio::test]
async fn an_issuer_at_a_private_address_is_not_asked() {
    let key = Signer::new("k1", Algorithm::Es256);
    let idp = Idp::start(&[&key]).await;
    let issuer = IssuerConfig::new(idp.issuer.replace("127.0.0.1", "localhost"));
    let clock = Arc::new(FixedClock::at(Timestamp::from_seconds(NOW)));
    let egress = Client::new(&net::egress::Config::default()).unwrap();
    let config = Config { issuers: vec![issuer], ..Config::default() };
    let authn = Authn::new(config, egress, clock).unwrap();
    for fetch in authn.tend() {
        fetch.await;
    }
    assert_eq!(authn.keys_in_force()[0].1, 0);
    assert_eq!(idp.key_requests(), 0);
}
