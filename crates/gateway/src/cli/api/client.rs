//! One request to the admin API.

use super::Place;
use crate::cli::exit::Failure;
use crate::environment;
use crate::login::{self, Logins};
use bytes::Bytes;
use http::{Method, Request, StatusCode, Uri, header};
use net::egress::{self, Rule};
use serde_json::Value;
use std::fmt::Write as _;
use std::path::Path;
use std::time::Duration;
use zeroize::Zeroizing;

/// A gateway and a token for its API.
pub(super) struct Api {
    client: egress::Client,
    destination: egress::Destination,
    base: String,
    token: Zeroizing<String>,
}

/// What came back, when it was no problem.
pub(super) struct Reply {
    /// The JSON; null where there is none.
    pub(super) body: Value,
    /// The row's tag.
    pub(super) tag: Option<String>,
}

impl Api {
    /// The gateway and the token that a command line names.
    pub(super) async fn at(place: &Place) -> Result<Self, Failure> {
        let gateway = place.gateway.as_deref().ok_or_else(|| {
            Failure::Usage("no gateway: name it with --gateway URL or in PORTUNUS_GATEWAY".to_owned())
        })?;
        let base = gateway.trim_end_matches('/').to_owned();
        let usage = |error: &dyn std::fmt::Display| Failure::Usage(format!("--gateway {base}: {error}"));
        let url: Uri = base.parse().map_err(|error: http::uri::InvalidUri| usage(&error))?;
        let config = egress::Config { extra_ca_file: place.ca_file.clone(), ..egress::Config::default() };
        let client = egress::Client::new(&config).map_err(|error| usage(&error))?;
        // Whoever runs the command says where the gateway is.
        let rule = Rule { allow_loopback: true, allow_private: true };
        let destination = client.destination(&url, rule).map_err(|error| usage(&error))?;
        let token = match &place.token_file {
            Some(path) => read(path)?,
            None => match environment::token() {
                Some(token) => token,
                None => signed_in(&base).await?,
            },
        };
        Ok(Self { client, destination, base, token })
    }

    /// Sends one request.
    ///
    /// # Errors
    /// The gateway cannot be reached, or answers with a problem, which is repeated with its fix.
    pub(super) async fn send(
        &self,
        method: &Method,
        path: &str,
        query: &[(&str, String)],
        body: Option<&Value>,
        tag: Option<&str>,
    ) -> Result<Reply, Failure> {
        let mut uri = format!("{}/api/v1{path}", self.base);
        for (index, (name, value)) in query.iter().enumerate() {
            let joint = if index == 0 { '?' } else { '&' };
            // Writing to a string does not fail.
            let _ = write!(uri, "{joint}{name}={}", encoded(value));
        }
        let mut request = Request::builder()
            .method(method)
            .uri(&uri)
            .header(header::AUTHORIZATION, format!("Bearer {}", self.token.trim()))
            .header(header::ACCEPT, "application/json");
        if body.is_some() {
            request = request.header(header::CONTENT_TYPE, "application/json");
        }
        if let Some(tag) = tag {
            request = request.header(header::IF_MATCH, tag);
        }
        let body = body.map_or_else(Bytes::new, |body| Bytes::from(body.to_string()));
        let request = request.body(body).map_err(|error| Failure::Usage(format!("{uri}: {error}")))?;
        let unreachable = |error: &dyn std::error::Error| {
            let why = error.source().map_or_else(|| error.to_string(), ToString::to_string);
            Failure::Server(format!("{} cannot be reached: {why}", self.base))
        };
        let answer = async {
            let reply =
                self.client.send(&self.destination, request).await.map_err(|error| unreachable(&error))?;
            let (head, body) = reply.into_parts();
            let body = net::collect(body, ANSWER_BYTES).await.map_err(|error| unreachable(&error))?;
            Ok::<_, Failure>((head, body))
        };
        let late =
            |_| Failure::Server(format!("{} did not answer within {}s", self.base, PATIENCE.as_secs()));
        let (head, body) = tokio::time::timeout(PATIENCE, answer).await.map_err(late)??;
        let json: Value = serde_json::from_slice(&body).unwrap_or_default();
        if !head.status.is_success() {
            return Err(refused(head.status, &json));
        }
        let tag = head.headers.get(header::ETAG).and_then(|tag| tag.to_str().ok()).map(str::to_owned);
        Ok(Reply { body: json, tag })
    }
}

/// A problem (RFC 9457) in the words of the API: what happened, what to do, and where it is on record.
fn refused(status: StatusCode, problem: &Value) -> Failure {
    let of = |member: &str| problem.get(member).and_then(Value::as_str).unwrap_or_default();
    let mut text = match of("code") {
        "" => format!(
            "the gateway answers {status}, not as the admin API does: is there an `admin_api` section?"
        ),
        code => format!("{} {code}: {}", status.as_u16(), of("detail")),
    };
    for (what, member) in [("fix", "fix"), ("reference", "reference")] {
        if !of(member).is_empty() {
            let _ = write!(text, "\n  {what}: {}", of(member));
        }
    }
    match status {
        StatusCode::UNAUTHORIZED | StatusCode::FORBIDDEN => Failure::Identity(text),
        _ => Failure::Found(text),
    }
}

/// The token of whoever signed in at this gateway, fresh if the last one has ended.
async fn signed_in(gateway: &str) -> Result<Zeroizing<String>, Failure> {
    let gateway = login::origin(gateway)?;
    let token = Logins::own()?.access_token(&gateway, &format!("{gateway}/api/v1")).await?;
    Ok(Zeroizing::new(token))
}

fn read(path: &Path) -> Result<Zeroizing<String>, Failure> {
    let text = std::fs::read_to_string(path)
        .map_err(|error| Failure::Usage(format!("--token-file {}: {error}", path.display())))?;
    Ok(Zeroizing::new(text.trim().to_owned()))
}

/// Text as one segment of a path or one value of a query (RFC 3986 §2.3: what is not unreserved is encoded).
pub(super) fn encoded(text: &str) -> String {
    let mut out = String::with_capacity(text.len());
    for byte in text.bytes() {
        if byte.is_ascii_alphanumeric() || matches!(byte, b'-' | b'.' | b'_' | b'~') {
            out.push(char::from(byte));
        } else {
            let _ = write!(out, "%{byte:02X}");
        }
    }
    out
}

/// The largest answer.
const ANSWER_BYTES: usize = 8 << 20;
/// How long the gateway may take.
const PATIENCE: Duration = Duration::from_secs(30);

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    #[test]
    fn a_problem_is_repeated_with_its_fix() {
        let problem = json!({"code": "PTN-2120", "detail": "no", "fix": "ask", "reference": "call_1"});
        let failure = refused(StatusCode::FORBIDDEN, &problem);
        assert_eq!(failure.to_string(), "403 PTN-2120: no\n  fix: ask\n  reference: call_1");
        assert_eq!(failure.code(), 7);
        assert!(refused(StatusCode::NOT_FOUND, &Value::Null).to_string().contains("admin_api"));
    }

    #[test]
    fn ids_stay_one_segment() {
        assert_eq!(encoded("https://a.test/x y?"), "https%3A%2F%2Fa.test%2Fx%20y%3F");
    }
}
