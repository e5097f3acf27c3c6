use super::loopback::Loopback;
use super::*;
use std::os::unix::fs::PermissionsExt as _;
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};

fn some_login(token: &str) -> Login {
    Login {
        client_id: "c".into(),
        token_endpoint: "https://gw.test/oauth/token".into(),
        revocation_endpoint: None,
        access_token: token.into(),
        expires_at: file::now() + 300,
        refresh_token: Some("r".into()),
        scope: "mcp".into(),
    }
}

#[tokio::test]
async fn logins_are_readable_by_their_owner_alone() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("deep").join("logins.json");
    let logins = Logins::at(path.clone());
    assert!(logins.all().unwrap().is_empty());
    logins.keep("https://gw.test", "https://gw.test/mcp", some_login("one")).unwrap();
    logins.keep("https://gw.test", "https://gw.test/api/v1", some_login("two")).unwrap();
    assert_eq!(std::fs::metadata(&path).unwrap().permissions().mode() & 0o777, 0o600);
    assert_eq!(std::fs::metadata(path.parent().unwrap()).unwrap().permissions().mode() & 0o777, 0o700);
    let token = logins.access_token("https://gw.test/", "https://gw.test/api/v1").await.unwrap();
    assert_eq!(token, "two");
    let missing = logins.access_token("https://other.test", "https://other.test/mcp").await;
    assert!(matches!(missing, Err(LoginError::NotSignedIn { .. })));
    // One that others may read is not used.
    std::fs::set_permissions(&path, std::fs::Permissions::from_mode(0o644)).unwrap();
    assert!(matches!(logins.all(), Err(LoginError::File { .. })));
    std::fs::set_permissions(&path, std::fs::Permissions::from_mode(0o600)).unwrap();
    assert_eq!(logins.forget("https://gw.test").unwrap().len(), 2);
    assert!(logins.all().unwrap().is_empty());
}

#[test]
fn a_login_is_by_tls_or_on_this_machine() {
    for (gateway, origin) in [
        ("https://gw.test", Some("https://gw.test")),
        ("https://gw.test:8443/mcp", Some("https://gw.test:8443")),
        ("http://127.0.0.1:7575", Some("http://127.0.0.1:7575")),
        ("http://gw.test", None),
        ("gw.test", None),
        ("ftp://gw.test", None),
    ] {
        assert_eq!(flow::origin(gateway).ok().as_deref(), origin, "{gateway}");
    }
}

#[allow(clippy::disallowed_methods, reason = "the browser of the test")]
async fn visit(loopback: &str, query: &str) -> String {
    let address = loopback.strip_prefix("http://").unwrap().split('/').next().unwrap();
    let mut stream = tokio::net::TcpStream::connect(address).await.unwrap();
    stream.write_all(format!("GET /callback?{query} HTTP/1.1\r\nhost: x\r\n\r\n").as_bytes()).await.unwrap();
    let mut answer = String::new();
    let _ = stream.read_to_string(&mut answer).await;
    answer
}

#[tokio::test]
async fn an_answer_with_another_state_or_issuer_is_not_taken() {
    let loopback = Loopback::open().await.unwrap();
    let uri = loopback.redirect_uri.clone();
    let browser = tokio::spawn(async move {
        for foreign in ["code=x&iss=https%3A%2F%2Fgw.test", "code=x&state=other", "state=s&state=s&code=x"] {
            assert!(visit(&uri, foreign).await.starts_with("HTTP/1.1 400"), "{foreign}");
        }
        visit(&uri, "code=right&state=s&iss=https%3A%2F%2Fgw.test").await
    });
    assert_eq!(loopback.code("s", "https://gw.test").await.unwrap(), "right");
    assert!(browser.await.unwrap().contains("You are signed in"));
    for (query, says) in [
        ("code=x&state=s&iss=https%3A%2F%2Fevil.test", "another authorization server"),
        ("code=x&state=s", "another authorization server"),
        ("error=access_denied&state=s&iss=https%3A%2F%2Fgw.test", "access_denied"),
    ] {
        let loopback = Loopback::open().await.unwrap();
        let uri = loopback.redirect_uri.clone();
        tokio::spawn(async move { visit(&uri, query).await });
        let error = loopback.code("s", "https://gw.test").await.unwrap_err();
        assert!(error.to_string().contains(says), "{error}");
    }
}
