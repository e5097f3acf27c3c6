//! Tokens that only one client certificate may present (RFC 8705 §3), and what strangers say of agents.

use super::*;
use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;

const CERTIFICATE: Digest = Digest([7; 32]);

async fn present(world: &World, token: &str, certificate: Option<Digest>) -> Result<Verified, AuthnError> {
    let mut headers = HeaderMap::new();
    headers.insert(AUTHORIZATION, format!("Bearer {token}").parse().unwrap());
    let uri = Uri::from_static("/servers/git/mcp");
    let presented = world.authn.authenticate_over(&headers, &uri, &world.resource, certificate).await;
    presented.map_err(|rejection| rejection.error)
}

#[tokio::test]
async fn a_bound_token_is_refused_without_its_certificate() {
    let key = Signer::new("k1", Algorithm::Es256);
    let world = World::new(&[&key]).await;
    let thumbprint = URL_SAFE_NO_PAD.encode(CERTIFICATE.0);
    let token = key.sign(&with(world.claims(), json!({"cnf": {"x5t#S256": thumbprint}})));
    // Before it is remembered, and from memory.
    for _ in 0..2 {
        assert_eq!(present(&world, &token, None).await.unwrap_err(), AuthnError::OtherCertificate);
        let other = Some(Digest([8; 32]));
        assert_eq!(present(&world, &token, other).await.unwrap_err(), AuthnError::OtherCertificate);
        let verified = present(&world, &token, Some(CERTIFICATE)).await.unwrap();
        assert_eq!(verified.bound_to, Some(CERTIFICATE));
    }
    // One that is not bound does not mind.
    let plain = key.sign(&world.claims());
    assert!(present(&world, &plain, Some(CERTIFICATE)).await.is_ok());
    for (confirmation, error) in [
        (json!({"x5t#S256": thumbprint, "jkt": "x"}), AuthnError::SenderBound),
        (json!({"x5t#S256": "short"}), AuthnError::BadClaim("cnf")),
        (json!({"x5t#S256": 7}), AuthnError::SenderBound),
        (json!({}), AuthnError::SenderBound),
        (json!("x"), AuthnError::BadClaim("cnf")),
    ] {
        let token = key.sign(&with(world.claims(), json!({"cnf": confirmation})));
        assert_eq!(present(&world, &token, Some(CERTIFICATE)).await.unwrap_err(), error, "{confirmation}");
    }
}

#[tokio::test]
async fn another_issuer_does_not_say_what_our_registry_holds() {
    let key = Signer::new("k1", Algorithm::Es256);
    let claims = json!({"agent_trust": "low", "agent_servers": ["mail", "git"]});
    let stranger = World::new(&[&key]).await;
    let token = key.sign(&with(stranger.claims(), claims));
    assert_eq!(stranger.present(&token).await.unwrap().principal.registered, None);
}
