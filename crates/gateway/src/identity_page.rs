//! `/identity`: for owners of servers, how to verify who calls. Nothing here is secret. Works without scripts, and
//! loads nothing.

use askama::Template;
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use http::{HeaderValue, Method, Response, StatusCode, header};
use model::Digest;
use net::Body;

/// Where it is.
pub(crate) const PATH: &str = "/identity";

#[derive(Template)]
#[template(path = "identity.html")]
struct Page<'a> {
    issuer: &'a str,
    style: &'static str,
    claims: &'static [(&'static str, &'static str)],
    snippets: &'static [Snippet],
}

struct Snippet {
    title: &'static str,
    text: &'static str,
}

/// The page, as `issuer` is called.
pub(crate) fn answer(issuer: &str, method: &Method) -> Response<Body> {
    if method != Method::GET && method != Method::HEAD {
        let mut refused = Response::new(Body::full("GET only\n"));
        *refused.status_mut() = StatusCode::METHOD_NOT_ALLOWED;
        refused.headers_mut().insert(header::ALLOW, HeaderValue::from_static("GET, HEAD"));
        return refused;
    }
    let page = Page { issuer, style: STYLE, claims: CLAIMS, snippets: SNIPPETS };
    let Ok(text) = page.render() else {
        let mut failed = Response::new(Body::full("the page cannot be shown\n"));
        *failed.status_mut() = StatusCode::INTERNAL_SERVER_ERROR;
        return failed;
    };
    let mut response = Response::new(Body::full(text));
    let headers = response.headers_mut();
    for (name, value) in [
        (header::CONTENT_TYPE, "text/html; charset=utf-8"),
        (header::CACHE_CONTROL, "no-cache"),
        (header::X_CONTENT_TYPE_OPTIONS, "nosniff"),
        (header::X_FRAME_OPTIONS, "DENY"),
        (header::REFERRER_POLICY, "no-referrer"),
    ] {
        headers.insert(name, HeaderValue::from_static(value));
    }
    // SECURITY: nothing but this style is loaded or run: `the_page_for_owners_of_servers_loads_and_runs_nothing`.
    let style = STANDARD.encode(Digest::of(STYLE.as_bytes()).0);
    let policy = format!(
        "default-src 'none'; style-src 'sha256-{style}'; base-uri 'none'; form-action 'none'; frame-ancestors 'none'"
    );
    if let Ok(policy) = HeaderValue::from_str(&policy) {
        headers.insert(header::CONTENT_SECURITY_POLICY, policy);
    }
    response
}

/// Every claim there can be, in the order in which they are written.
const CLAIMS: &[(&str, &str)] = &[
    ("iss", "The issuer above."),
    ("aud", "The one server this token is for."),
    (
        "sub",
        "The person, or the agent that calls for itself; “service” when the gateway asks for itself what the server offers.",
    ),
    (
        "sub_id",
        "The same with the issuer that knows it: {format: \"iss_sub\", iss, sub} (RFC 9493). Two issuers may know the same sub.",
    ),
    ("tenant_id", "The organisation the caller belongs to."),
    ("roles", "The caller's roles, possibly none."),
    ("groups", "The caller's groups, where identity.groups is on."),
    ("client_id", "The OAuth client the person uses."),
    ("act", "The agent that acts for the person: {sub}, and within it who acted before, as act (RFC 8693)."),
    ("scope", "The scopes of the caller's own token, separated by spaces."),
    ("jti", "The token's id, different for every request, and on record at the gateway."),
    ("txn", "The call, as it is on record at the gateway; only on the request of a call itself."),
    (
        "tool",
        "The tool that is called, or prompt or resource in its place; only on the request of a call itself.",
    ),
    ("method", "The JSON-RPC method of the request; none for notifications, answers, GET and DELETE."),
    (
        "request_digest",
        "SHA-256 of the canonical form (RFC 8785) of what was judged, in hexadecimal; only on the request of a call itself, unless identity.request_digest is off.",
    ),
    ("iat", "When it was signed, five seconds back."),
    ("exp", "When it ends: 60 seconds after iat, or identity.lifetime."),
];

/// The very files that the tests run against.
const SNIPPETS: &[Snippet] = &[
    Snippet { title: "Node (jose)", text: include_str!("../../../examples/verifiers/node.mjs") },
    Snippet { title: "Python (PyJWT)", text: include_str!("../../../examples/verifiers/python.py") },
    Snippet { title: "Go (golang-jwt)", text: include_str!("../../../examples/verifiers/go.go") },
    Snippet { title: "Rust (jsonwebtoken)", text: include_str!("../../../examples/verifiers/rust.txt") },
    Snippet { title: "Envoy", text: include_str!("../../../examples/verifiers/envoy.yaml") },
    Snippet { title: "nginx", text: include_str!("../../../examples/verifiers/nginx.conf") },
];

/// No asset, no font: what the reader's machine has, light or dark as the reader likes it.
const STYLE: &str = "
:root { color-scheme: light dark; --ink: #1c2430; --page: #fbfbf9; --line: #d5d8dd; --faint: #eef0f2; --link: #0b5394; }
@media (prefers-color-scheme: dark) { :root { --ink: #e6e9ee; --page: #14181d; --line: #3a424d; --faint: #1f252c; --link: #8ec1ff; } }
body { margin: 0; background: var(--page); color: var(--ink); font: 1rem/1.6 system-ui, sans-serif; }
main { max-width: 52rem; margin: 0 auto; padding: 2.5rem 1.25rem 5rem; }
h1 { font-size: 2rem; line-height: 1.2; margin: 0 0 .5rem; }
h2 { font-size: 1.25rem; margin: 2.5rem 0 .75rem; }
a { color: var(--link); }
.lead { font-size: 1.1rem; }
code, pre { font: .9em/1.5 ui-monospace, monospace; }
pre { margin: 0; padding: 1rem; overflow-x: auto; background: var(--faint); border-top: 1px solid var(--line); }
dl { display: grid; grid-template-columns: max-content 1fr; gap: .5rem 1.25rem; margin: 1.5rem 0; }
dt { font-weight: 600; } dd { margin: 0; overflow-wrap: anywhere; }
table { border-collapse: collapse; width: 100%; }
th, td { text-align: left; vertical-align: top; padding: .5rem .75rem .5rem 0; border-top: 1px solid var(--line); }
thead th { border-top: 0; }
details { border: 1px solid var(--line); border-radius: .5rem; margin: .75rem 0; overflow: hidden; }
summary { cursor: pointer; padding: .75rem 1rem; font-weight: 600; }
@media (max-width: 32rem) { dl { grid-template-columns: 1fr; gap: 0; } dd { margin-bottom: .75rem; } }
";
