//! Portunus as its own authorization server: what it issues it takes, what it did not issue it does not.

use super::authority::{Authority, FORM, REDIRECT, begin, get, post, redeem};
use super::bed::{Bed, SHARED, UP, bed, bed_with, code, served};
use super::killed::{portunus, ready};
use super::revocation::storage_of;
use serde_json::{Value, json};
use std::net::SocketAddr;
use std::process::Stdio;
use std::time::Duration;
use storage::{on, sqlx};
use testdb::TestDb;
use testkit::{Caller, FakeIdp, FakeUpstream, Key, Setup, Token, clock, eventually, free_address};

fn issuing(setup: Setup) -> Setup {
    let client = json!({"name": "Command line", "redirect_uris": [REDIRECT]});
    setup.set(&["authorization_server"], json!({"clients": {"cli": client}}))
}

async fn issuing_bed() -> (Bed, Authority) {
    let bed = bed_with(issuing).await;
    let url = format!("http://{}", bed.gateway.address());
    let authority = Authority::beside(bed.gateway.data_dir(), &url).await;
    (bed, authority)
}

fn with(mut claims: Value, name: &str, value: Value) -> Value {
    match value {
        Value::Null => drop(claims.as_object_mut().unwrap().remove(name)),
        value => claims[name] = value,
    }
    claims
}

#[tokio::test]
async fn a_client_registers_signs_in_calls_refreshes_and_gives_back() {
    let (bed, authority) = issuing_bed().await;
    let address = bed.gateway.address();
    let refused = Caller::new(address, UP, None).call("echo", json!({"text": "x"})).await;
    let challenge = refused.headers["www-authenticate"].to_str().unwrap().to_owned();
    let prm = challenge.split("resource_metadata=\"").nth(1).unwrap().split('"').next().unwrap();
    let prm = get(address, prm.strip_prefix(&format!("http://{address}")).unwrap()).await.json();
    let server = prm["authorization_servers"][0].as_str().unwrap();
    assert_eq!(server, format!("http://{address}"), "ours comes first");
    let metadata = get(address, "/.well-known/oauth-authorization-server").await.json();
    assert_eq!(metadata["issuer"], server);

    let registration = json!({"client_name": "Tester", "redirect_uris": ["http://127.0.0.1/callback"]});
    let registered = post(address, "/oauth/register", "application/json", &registration.to_string()).await;
    assert_eq!(registered.status, 201, "{}", registered.text());
    let client = registered.json()["client_id"].as_str().unwrap().to_owned();
    let resource = prm["resource"].as_str().unwrap();
    let code = authority.approve(&begin(address, &client, resource).await).await;
    let tokens = redeem(address, &client, &code).await.json();
    let text =
        |tokens: &Value, name: &str| tokens[name].as_str().unwrap_or_else(|| panic!("{tokens}")).to_owned();
    let caller = |tokens: &Value| Caller::new(address, UP, Some(text(tokens, "access_token")));
    served(&caller(&tokens).call("echo", json!({"text": "hello"})).await, "hello");
    // One endpoint's token is good at that endpoint.
    let elsewhere = Caller::new(address, SHARED, Some(text(&tokens, "access_token")));
    assert_eq!(elsewhere.call("up__echo", json!({"text": "x"})).await.status, 401);

    let again = format!(
        "grant_type=refresh_token&client_id={client}&refresh_token={}",
        text(&tokens, "refresh_token")
    );
    let renewed = post(address, "/oauth/token", FORM, &again).await.json();
    served(&caller(&renewed).call("echo", json!({"text": "again"})).await, "again");

    let back = format!("client_id={client}&token={}", text(&renewed, "refresh_token"));
    assert_eq!(post(address, "/oauth/revoke", FORM, &back).await.status, 200);
    for tokens in [&tokens, &renewed] {
        eventually("a token of a revoked grant refused", || async {
            (caller(tokens).call("echo", json!({"text": "x"})).await.status == 401).then_some(())
        })
        .await;
    }
    let record = bed.gateway.record();
    let call = record.iter().find(|found| found.leaf["target"]["name"] == "echo").unwrap();
    assert_eq!(
        (&call.leaf["caller"]["user"], &call.leaf["caller"]["tenant"]),
        (&json!("usr_alice"), &json!("acme"))
    );
    assert!(record.iter().any(|found| found.leaf["what"] == "token_issued"));
}

#[tokio::test]
async fn tokens_of_our_own_are_taken_and_forged_ones_are_not() {
    let (bed, authority) = issuing_bed().await;
    let address = bed.gateway.address();
    let call = |token: String| async move {
        Caller::new(address, UP, Some(token)).call("echo", json!({"text": "x"})).await
    };
    let good = authority.claims(UP);
    served(&call(authority.sign(&good)).await, "x");

    let now = clock().now().seconds();
    let resource = good["aud"].as_str().unwrap().to_owned();
    for (name, value) in [
        ("aud", json!([resource])),
        ("aud", json!([resource, "https://elsewhere.example"])),
        ("aud", json!(format!("{resource}/"))),
        ("aud", json!(resource.to_uppercase())),
        ("aud", json!(bed.gateway.resource(SHARED))),
        ("aud", json!(format!("http://{address}"))),
        ("aud", Value::Null),
        ("iss", json!(format!("http://{address}/"))),
        ("iss", json!(bed.idp.issuer())),
        ("iss", Value::Null),
        ("sub", Value::Null),
        ("client_id", Value::Null),
        ("tenant_id", Value::Null),
        ("iat", Value::Null),
        ("iat", json!(now + 60)),
        ("exp", Value::Null),
        ("exp", json!(now - 10)),
        ("exp", json!(now + 7200)),
        ("exp", json!(now + 10 * 365 * 86_400)),
        ("jti", Value::Null),
        ("nbf", json!(now + 60)),
        ("nonce", json!("n")),
        ("events", json!({})),
        ("cnf", json!({"jkt": "x"})),
    ] {
        let reply = call(authority.sign(&with(good.clone(), name, value.clone()))).await;
        assert_eq!(reply.status, 401, "{name}: {value}");
        assert_eq!(code(&reply), "PTN-2002", "{name}: {value}");
    }
    // Signed by us, for another purpose.
    for kind in ["JWT", "logout+jwt", "oauth-id-jag+jwt", "secevent+jwt", "client-authentication+jwt"] {
        let token = authority.keys.sign(kind, good.to_string().as_bytes()).unwrap().token;
        assert_eq!(call(token).await.status, 401, "{kind}");
    }
    // Signed by others, under our name and our key's id.
    let jwks = get(address, "/.well-known/jwks.json").await.json();
    let active = authority.keys.sign("at+jwt", b"{}").unwrap().kid;
    let public = jwks["keys"].as_array().unwrap().iter().find(|key| key["kid"] == *active).unwrap().clone();
    let forged = |key: Key| {
        let base = bed.gateway.token(&bed.idp, "alice", UP).by(key);
        good.as_object().unwrap().iter().fold(base, |token, (name, value)| token.claim(name, value.clone()))
    };
    let stranger = forged(Key::es256(&active)).header("typ", "at+jwt");
    let secret = public.to_string().into_bytes();
    let rows: [(&str, String); 6] = [
        ("another key under our id", stranger.sign()),
        ("an unknown key", forged(Key::es256("nobody")).sign()),
        ("algorithm none", stranger.clone().header("alg", "none").unsigned()),
        ("an HMAC with the public key", stranger.clone().header("alg", "HS256").hmac(&secret)),
        ("a key it brings along", stranger.clone().header("jwk", public.clone()).sign()),
        ("without a key's id", Token::without_header(stranger.clone(), "kid").sign()),
    ];
    for (name, token) in rows {
        assert_eq!(call(token).await.status, 401, "{name}");
    }
    // Our keys do not speak for another issuer, and another's key not for us.
    let theirs = with(good.clone(), "iss", json!(bed.idp.issuer()));
    assert_eq!(call(authority.sign(&theirs)).await.status, 401);
    served(&call(authority.sign(&good)).await, "x");
    bed.bystander_is_served().await;
}

#[tokio::test]
async fn a_new_key_is_known_at_once_and_a_revoked_one_no_more() {
    let (bed, authority) = issuing_bed().await;
    let caller = |token: &str| Caller::new(bed.gateway.address(), UP, Some(token.to_owned()));
    let old = authority.sign(&authority.claims(UP));
    served(&caller(&old).call("echo", json!({"text": "x"})).await, "x");
    // The key that is made now signs now: the gateway has not read the rows since.
    authority.keys.rotate().await.unwrap();
    authority.keys.rotate().await.unwrap();
    let new = authority.sign(&authority.claims(UP));
    served(&caller(&new).call("echo", json!({"text": "new"})).await, "new");
    served(&caller(&old).call("echo", json!({"text": "old"})).await, "old");
    let header = old.split('.').next().unwrap();
    let header = base64::Engine::decode(&base64::engine::general_purpose::URL_SAFE_NO_PAD, header).unwrap();
    let header: Value = serde_json::from_slice(&header).unwrap();
    authority.keys.revoke(header["kid"].as_str().unwrap()).await.unwrap();
    eventually("a token of a revoked key refused", || async {
        (caller(&old).call("echo", json!({"text": "x"})).await.status == 401).then_some(())
    })
    .await;
    served(&caller(&new).call("echo", json!({"text": "still"})).await, "still");
}

#[tokio::test]
async fn without_its_section_there_is_no_authorization_server() {
    let bed = bed().await;
    let address = bed.gateway.address();
    for path in [
        "/.well-known/oauth-authorization-server",
        "/oauth/authorize",
        "/oauth/token",
        "/.well-known/jwks.json",
    ] {
        assert_eq!(get(address, path).await.status, 404, "{path}");
    }
    let prm = get(address, &format!("/.well-known/oauth-protected-resource{UP}")).await.json();
    assert_eq!(prm["authorization_servers"], json!([bed.idp.issuer()]));
}

#[tokio::test]
async fn clients_and_lifetimes_change_with_a_reload() {
    let (mut bed, authority) = issuing_bed().await;
    let address = bed.gateway.address();
    let tokens = async |authority: &Authority| {
        let sign_in = begin(address, "cli", &format!("http://{address}{UP}")).await;
        redeem(address, "cli", &authority.approve(&sign_in).await).await
    };
    assert_eq!(tokens(&authority).await.json()["expires_in"], 300);
    bed.gateway.write_config(|config| config["authorization_server"]["access_token_lifetime"] = json!("60s"));
    bed.gateway.reload().await.unwrap();
    assert_eq!(tokens(&authority).await.json()["expires_in"], 60);
    bed.gateway.write_config(|config| config["authorization_server"]["clients"] = json!({}));
    bed.gateway.reload().await.unwrap();
    let gone =
        get(address, "/oauth/authorize?client_id=cli&redirect_uri=http://127.0.0.1:5000/callback").await;
    assert_eq!((gone.status, code(&gone).as_str()), (400, "PTN-2006"));
    let refused = {
        bed.gateway
            .write_config(|config| config["authorization_server"]["access_token_lifetime"] = json!("9s"));
        bed.gateway.reload().await
    };
    assert!(refused.is_err(), "a lifetime out of range");
}

#[tokio::test]
async fn a_gateway_killed_while_it_redeems_leaves_a_code_redeemed_once_or_not_at_all() {
    for test in TestDb::each().await {
        killed_while_it_redeems(&test).await;
    }
}

async fn killed_while_it_redeems(test: &TestDb) {
    let files = tempfile::tempdir().unwrap();
    let storage = storage_of(test, files.path(), None);
    let (idp, up) = (FakeIdp::start(clock()).await, FakeUpstream::start().await);
    let (address, admin) = (free_address(), free_address());
    let setup = issuing(Setup::trusting(&idp).server("up", &up)).set(&["storage"], storage);
    let (config, folder) =
        setup.set(&["listen", "address"], json!(address)).set(&["admin", "address"], json!(admin)).write();
    let start = || {
        tokio::process::Command::new(portunus())
            .args(["run", "--config"])
            .arg(&config)
            .stdout(Stdio::null())
            .stderr(Stdio::null())
            .kill_on_drop(true)
            .spawn()
            .unwrap()
    };
    let socket: SocketAddr = address.parse().unwrap();
    let mut child = start();
    ready(&admin).await;
    let (data, url) = (folder.path().join("data"), format!("http://{address}"));
    let authority = Authority::of(test.again().await, &data, &url).await;
    for round in 0..6_u64 {
        let sign_in = begin(socket, "cli", &format!("http://{address}{UP}")).await;
        let code = authority.approve(&sign_in).await;
        let race: Vec<_> = (0..8)
            .map(|_| {
                let code = code.clone();
                tokio::spawn(async move { redeem(socket, "cli", &code).await.status == 200 })
            })
            .collect();
        // Somewhere between the first byte and the last answer.
        tokio::time::sleep(Duration::from_millis(round * 3)).await;
        child.kill().await.unwrap();
        let mut answered = 0;
        for task in race {
            // A connection that was cut is a failed task.
            answered += usize::from(task.await.unwrap_or(false));
        }
        assert!(answered <= 1, "{answered} answers for one code");
        let digest = model::Digest::of(code.as_bytes()).to_string();
        let count = async |text: &'static str| -> i64 {
            on!(authority.db, pool => sqlx::query_scalar(text).bind(&digest).fetch_one(pool).await).unwrap()
        };
        let open = count("SELECT COUNT(*) FROM authorization_codes WHERE digest = $1").await;
        let grants = count("SELECT COUNT(*) FROM grants WHERE code = $1").await;
        let tokens = count(
            "SELECT COUNT(*) FROM refresh_tokens WHERE grant_id IN (SELECT id FROM grants WHERE code = $1)",
        )
        .await;
        assert_eq!(open + grants, 1, "round {round}: redeemed or not, and nothing in between");
        assert_eq!(tokens, grants, "round {round}");
        child = start();
        ready(&admin).await;
        let after = redeem(socket, "cli", &code).await;
        assert_eq!(after.status == 200, open == 1, "round {round}: {}", after.text());
    }
}

#[tokio::test]
async fn nobody_signs_in_at_a_foreign_host() {
    let (bed, _authority) = issuing_bed().await;
    let address = bed.gateway.address();
    for path in ["/oauth/authorize", "/sign-in", "/consent", "/.well-known/oauth-authorization-server"] {
        let request = format!(
            "GET {path} HTTP/1.1\r\nhost: evil.example:{}\r\nconnection: close\r\n\r\n",
            address.port()
        );
        let refused = testkit::raw(address, request.as_bytes()).await;
        assert_eq!((refused.status, code(&refused).as_str()), (403, "PTN-1009"), "{path}");
    }
    assert_eq!(get(address, "/.well-known/oauth-authorization-server").await.status, 200);
}
