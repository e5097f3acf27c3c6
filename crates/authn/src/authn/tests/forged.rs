//! Tokens that must not pass, each refused for its own reason.

use super::*;

#[tokio::test]
async fn forged_tokens_are_refused() {
    let es = Signer::new("es", Algorithm::Es256);
    let rs = Signer::new("rs", Algorithm::Rs256);
    let ed = Signer::new("ed", Algorithm::EdDsa);
    let stranger = Signer::new("es", Algorithm::Es256);
    let world = World::new(&[&es, &rs, &ed]).await;
    let good = world.claims();
    let payload = good.to_string();
    let header =
        |fields: Value| with(json!({ "alg": "ES256", "kid": "es", "typ": "at+jwt" }), fields).to_string();
    let claims = |changes: Value| es.sign(&with(good.clone(), changes));
    let headed = |fields: Value| es.sign_raw(&header(fields), &payload);

    // HS256 with the public key as its secret, in each form that it is found in.
    let confused = |secret: &[u8], kid: &str| {
        let signed = format!("{}.{}", b64(header(json!({ "alg": "HS256", "kid": kid }))), b64(&payload));
        let key = aws_lc_rs::hmac::Key::new(aws_lc_rs::hmac::HMAC_SHA256, secret);
        format!("{signed}.{}", b64(aws_lc_rs::hmac::sign(&key, signed.as_bytes())))
    };
    let unsigned = format!("{}.{}.", b64(header(json!({ "alg": "none" }))), b64(&payload));
    let sound = es.sign(&good);
    let (signed, signature) = sound.rsplit_once('.').unwrap();
    let twice = |claim: &str| format!("{},{claim}}}", payload.strip_suffix('}').unwrap());

    use AuthnError as E;
    let table = [
        // Times.
        ("expired", claims(json!({ "exp": NOW - 31 })), E::Expired),
        ("no exp", claims(json!({ "exp": null })), E::BadClaim("exp")),
        ("exp as text", claims(json!({ "exp": "9999999999" })), E::BadClaim("exp")),
        ("exp below zero", claims(json!({ "exp": -1 })), E::BadClaim("exp")),
        ("exp beyond numbers", claims(json!({ "exp": 1e300 })), E::BadClaim("exp")),
        ("not yet", claims(json!({ "nbf": NOW + 31 })), E::NotYet),
        ("nbf as text", claims(json!({ "nbf": "0" })), E::BadClaim("nbf")),
        ("issued in the future", claims(json!({ "iat": NOW + 31 })), E::NotYet),
        ("ten years", claims(json!({ "exp": NOW + 315_360_000 })), E::LivesTooLong),
        ("ten years, undated", claims(json!({ "exp": NOW + 315_360_000, "iat": null })), E::LivesTooLong),
        // Audience.
        ("no aud", claims(json!({ "aud": null })), E::BadClaim("aud")),
        ("empty aud", claims(json!({ "aud": [] })), E::WrongAudience),
        ("other aud", claims(json!({ "aud": "https://other.test/mcp" })), E::WrongAudience),
        ("our other endpoint", claims(json!({ "aud": "https://gw.test/servers/web/mcp" })), E::WrongAudience),
        ("our origin", claims(json!({ "aud": "https://gw.test" })), E::WrongAudience),
        ("trailing slash", claims(json!({ "aud": format!("{RESOURCE}/") })), E::WrongAudience),
        ("other case", claims(json!({ "aud": RESOURCE.to_uppercase() })), E::WrongAudience),
        ("aud with a number", claims(json!({ "aud": [RESOURCE, 1] })), E::BadClaim("aud")),
        ("aud object", claims(json!({ "aud": { "0": RESOURCE } })), E::BadClaim("aud")),
        // Issuer.
        ("no iss", claims(json!({ "iss": null })), E::BadClaim("iss")),
        ("other iss", claims(json!({ "iss": "https://evil.test" })), E::UnknownIssuer),
        ("iss with a slash", claims(json!({ "iss": format!("{}/", world.idp.issuer) })), E::UnknownIssuer),
        ("iss list", claims(json!({ "iss": [world.idp.issuer] })), E::BadClaim("iss")),
        // Who.
        ("no sub", claims(json!({ "sub": null })), E::BadClaim("sub")),
        ("empty sub", claims(json!({ "sub": "" })), E::BadClaim("sub")),
        ("sub number", claims(json!({ "sub": 7 })), E::BadClaim("sub")),
        ("sub with a line break", claims(json!({ "sub": "alice\nbob" })), E::BadClaim("sub")),
        ("huge sub", claims(json!({ "sub": "a".repeat(513) })), E::BadClaim("sub")),
        ("no client", claims(json!({ "client_id": null })), E::BadClaim("client")),
        ("no tenant", claims(json!({ "tenant_id": null })), E::BadClaim("tenant")),
        ("empty tenant", claims(json!({ "tenant_id": "" })), E::BadClaim("tenant")),
        ("roles number", claims(json!({ "roles": 1 })), E::BadClaim("roles")),
        ("roles of numbers", claims(json!({ "roles": [1] })), E::BadClaim("roles")),
        (
            "too many roles",
            claims(
                json!({ "roles": vec!["r"; 1025].iter().enumerate().map(|(i, r)| format!("{r}{i}")).collect::<Vec<_>>() }),
            ),
            E::BadClaim("roles"),
        ),
        ("groups elsewhere", claims(json!({ "_claim_names": { "groups": "src1" } })), E::BadClaim("groups")),
        ("jti number", claims(json!({ "jti": 1 })), E::BadClaim("jti")),
        // Another kind of token.
        ("ID token by nonce", claims(json!({ "nonce": "n" })), E::NotAccessToken),
        ("ID token by at_hash", claims(json!({ "at_hash": "h" })), E::NotAccessToken),
        ("ID token by typ claim", claims(json!({ "typ": "ID" })), E::NotAccessToken),
        ("ID token by use", claims(json!({ "token_use": "id" })), E::NotAccessToken),
        ("logout token", claims(json!({ "events": {} })), E::NotAccessToken),
        ("refresh token", claims(json!({ "typ": "Refresh" })), E::NotAccessToken),
        ("ID token by type", headed(json!({ "typ": "JWT" })), E::WrongType),
        ("ID-JAG", headed(json!({ "typ": "oauth-id-jag+jwt" })), E::WrongType),
        ("logout token by type", headed(json!({ "typ": "logout+jwt" })), E::WrongType),
        ("no type", headed(json!({ "typ": null })), E::WrongType),
        ("bound to a key", claims(json!({ "cnf": { "jkt": "x" } })), E::SenderBound),
        // Keys and algorithms.
        ("none", unsigned.clone(), E::WrongAlgorithm),
        (
            "none, with a signature",
            es.sign_raw(&header(json!({ "alg": "none" })), &payload),
            E::WrongAlgorithm,
        ),
        ("HS256 with the EC key", confused(&es.public(), "es"), E::WrongAlgorithm),
        ("HS256 with the RSA key", confused(&rs.public(), "rs"), E::WrongAlgorithm),
        (
            "HS256 with the modulus",
            confused(rs.jwk()["n"].as_str().unwrap().as_bytes(), "rs"),
            E::WrongAlgorithm,
        ),
        ("HS256 with the Ed25519 key", confused(&ed.public(), "ed"), E::WrongAlgorithm),
        ("RS256 with an EC key", headed(json!({ "alg": "RS256" })), E::WrongAlgorithm),
        ("ES256 with an RSA key", headed(json!({ "kid": "rs" })), E::WrongAlgorithm),
        ("RSA signature, EC key", rs.sign_raw(&header(json!({})), &payload), E::BadSignature),
        ("EC signature, RSA key", headed(json!({ "alg": "RS256", "kid": "rs" })), E::BadSignature),
        ("EC signature, Ed25519 key", headed(json!({ "alg": "EdDSA", "kid": "ed" })), E::BadSignature),
        ("PS256", headed(json!({ "alg": "PS256", "kid": "rs" })), E::WrongAlgorithm),
        ("ES384", headed(json!({ "alg": "ES384" })), E::WrongAlgorithm),
        ("lower case", headed(json!({ "alg": "es256" })), E::WrongAlgorithm),
        ("a stranger's key of the same id", stranger.sign(&good), E::BadSignature),
        ("no kid among many keys", headed(json!({ "kid": null })), E::UnknownKey),
        ("unknown kid", headed(json!({ "kid": "nobody" })), E::UnknownKey),
        ("no signature", format!("{signed}."), E::BadSignature),
        ("half a signature", format!("{signed}.{}", signature.get(..44).unwrap()), E::BadSignature),
        // Headers that change the rules.
        ("crit", headed(json!({ "crit": ["exp"], "exp": 1 })), E::Malformed),
        ("unencoded payload", headed(json!({ "b64": false })), E::Malformed),
        ("compressed", headed(json!({ "zip": "DEF" })), E::Malformed),
        ("own key", headed(json!({ "jwk": stranger.jwk() })), E::Malformed),
        ("own key by URL", headed(json!({ "jku": "https://evil.test/keys" })), E::Malformed),
        ("own certificate by URL", headed(json!({ "x5u": "https://evil.test/cert" })), E::Malformed),
        ("kid number", headed(json!({ "kid": 1 })), E::Malformed),
        ("kid path", headed(json!({ "kid": "../../dev/null" })), E::UnknownKey),
        ("no alg", headed(json!({ "alg": null })), E::Malformed),
        // Form.
        ("twice sub", es.sign_raw(&header(json!({})), &twice(r#""sub":"root""#)), E::Malformed),
        ("twice aud, escaped", es.sign_raw(&header(json!({})), &twice(r#""\u0061ud":"x""#)), E::Malformed),
        (
            "twice deep inside",
            es.sign_raw(&header(json!({})), &twice(r#""x":[{"a":1,"a":2}]"#)),
            E::Malformed,
        ),
        (
            "twice alg",
            es.sign_raw(r#"{"alg":"none","alg":"ES256","kid":"es","typ":"at+jwt"}"#, &payload),
            E::Malformed,
        ),
        ("payload list", es.sign_raw(&header(json!({})), "[]"), E::Malformed),
        ("payload text", es.sign_raw(&header(json!({})), "hello"), E::Malformed),
        ("payload and more", es.sign_raw(&header(json!({})), &format!("{payload} 1")), E::Malformed),
        ("two parts", signed.to_owned(), E::Malformed),
        ("four parts", format!("{sound}.x"), E::Malformed),
        ("five parts", "a.b.c.d.e".to_owned(), E::Malformed),
        ("padding", format!("{sound}=="), E::Malformed),
        ("standard alphabet", format!("{signed}.+/+/"), E::Malformed),
        ("garbage", "garbage".to_owned(), E::Malformed),
        ("dots", "..".to_owned(), E::Malformed),
        ("huge", "a".repeat(17_000), E::TooLong),
    ];
    for (name, token, expect) in &table {
        let refused = world.present(token).await.err();
        assert_eq!(refused, Some(*expect), "{name}");
        assert!(crate::challenge(*expect, &world.resource).is_some(), "{name}");
    }
    // Not one of them was remembered, and the sound one still passes.
    world.present(&sound).await.unwrap();
    for (name, token, _) in &table {
        assert!(world.present(token).await.is_err(), "{name}");
    }
}

#[tokio::test]
async fn any_flipped_bit_is_found() {
    let key = Signer::new("k", Algorithm::Es256);
    let world = World::new(&[&key]).await;
    let sound = key.sign(&world.claims());
    world.present(&sound).await.unwrap();
    for at in 0..sound.len() {
        let mut bent = sound.clone().into_bytes();
        bent[at] = if bent[at] == b'A' { b'B' } else { b'A' };
        let bent = String::from_utf8(bent).unwrap();
        if bent != sound {
            assert!(world.present(&bent).await.is_err(), "byte {at}");
        }
    }
}

#[tokio::test]
async fn a_token_for_one_endpoint_is_not_one_for_another_even_from_memory() {
    let key = Signer::new("k", Algorithm::Es256);
    let world = World::new(&[&key]).await;
    let token = key.sign(&world.claims());
    world.present(&token).await.unwrap();
    let other = Resource::new("https://gw.test/mcp", vec![], vec![], vec![]).unwrap();
    assert_eq!(world.present_at(&token, &other).await.err(), Some(AuthnError::WrongAudience));
    let wider = Resource::new("https://gw.test/mcp", vec![RESOURCE.into()], vec![], vec![]).unwrap();
    world.present_at(&token, &wider).await.unwrap();
}

#[tokio::test]
async fn an_algorithm_that_is_not_configured_has_no_keys() {
    let key = Signer::new("k", Algorithm::Rs256);
    let es = Signer::new("es", Algorithm::Es256);
    let world =
        World::with(&[&key, &es], |config| config.issuers[0].algorithms = vec![Algorithm::Es256]).await;
    assert_eq!(world.present(&key.sign(&world.claims())).await.err(), Some(AuthnError::UnknownKey));
    world.present(&es.sign(&world.claims())).await.unwrap();
}

#[tokio::test]
async fn keys_of_two_issuers_with_one_id_are_told_apart() {
    let (ours, theirs) = (Signer::new("k", Algorithm::Es256), Signer::new("k", Algorithm::Es256));
    let other = Idp::start(&[&theirs]).await;
    let issuer = other.issuer.clone();
    let world = World::with(&[&ours], |config| {
        let mut second = config.issuers[0].clone();
        second.issuer = issuer;
        config.issuers.push(second);
    })
    .await;
    world.present(&ours.sign(&world.claims())).await.unwrap();
    world.present(&theirs.sign(&with(world.claims(), json!({ "iss": other.issuer })))).await.unwrap();
    assert_eq!(world.present(&theirs.sign(&world.claims())).await.err(), Some(AuthnError::BadSignature));
    let crossed = ours.sign(&with(world.claims(), json!({ "iss": other.issuer })));
    assert_eq!(world.present(&crossed).await.err(), Some(AuthnError::BadSignature));
}
