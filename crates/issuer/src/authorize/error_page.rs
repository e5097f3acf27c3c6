//! The page for a request that cannot be sent back to its client: what is wrong, why, what to do.

use axum::http::{HeaderValue, StatusCode, header};
use axum::response::{Html, IntoResponse, Response};
use model::Code;

/// The page. Plain HTML: no script, no style of others, no word of the request that is not escaped.
pub(crate) fn page(code: Code, detail: &str, asked: Option<&str>) -> Response {
    let row = code.row();
    let (title, cause, fix) = row.map_or(("error", "", ""), |row| (row.title, row.cause, row.fix));
    let advice = asked
        .and_then(advice)
        .map(|(client, what)| format!("<h2>In {}</h2><p>{}</p>", escape(client), escape(what)));
    let body = format!(
        "<!doctype html><html lang=\"en\"><head><meta charset=\"utf-8\"><meta name=\"viewport\" \
         content=\"width=device-width, initial-scale=1\"><title>{title} · Portunus</title><style>{STYLE}</style></head>\
         <body><main><h1>Sign-in cannot begin</h1><p class=\"code\">{code} · {title}</p><p><strong>{detail}.</strong></p>\
         <h2>Why</h2><p>{cause}</p><h2>What to do</h2><p>{fix}</p>{advice}</main></body></html>",
        title = escape(title),
        detail = escape(detail.trim_end_matches('.')),
        cause = escape(cause),
        fix = escape(fix),
        advice = advice.unwrap_or_default(),
    );
    let status = if code == Code::ISSUING_UNAVAILABLE {
        StatusCode::SERVICE_UNAVAILABLE
    } else if code == Code::CLIENT_LIMIT {
        StatusCode::TOO_MANY_REQUESTS
    } else {
        StatusCode::BAD_REQUEST
    };
    let mut response = (status, Html(body)).into_response();
    response.headers_mut().insert(header::CONTENT_SECURITY_POLICY, HeaderValue::from_static(POLICY));
    response
}

/// What to do in the client that probably asked, told by the redirect URI. A guess, for people only.
fn advice(redirect_uri: &str) -> Option<(&'static str, &'static str)> {
    const CLIENTS: &[(&str, &str, &str)] = &[
        (
            "cursor://",
            "Cursor",
            "Settings → Tools & MCP: log out of this server, or remove it and add it again.",
        ),
        (
            "https://vscode.dev/",
            "VS Code",
            "Run “Authentication: Remove Dynamic Authentication Providers”, then start the server again.",
        ),
        (
            "http://127.0.0.1:33418",
            "VS Code",
            "Run “Authentication: Remove Dynamic Authentication Providers”, then start the server again.",
        ),
        (
            "vscode",
            "VS Code",
            "Run “Authentication: Remove Dynamic Authentication Providers”, then start the server again.",
        ),
        ("https://claude.ai/", "Claude", "Settings → Connectors: remove the connector and add it again."),
        ("https://claude.com/", "Claude", "Settings → Connectors: remove the connector and add it again."),
        (
            "https://chatgpt.com/",
            "ChatGPT",
            "Settings → Connectors: delete the connector and create it again.",
        ),
        (
            "http://localhost:6274/",
            "MCP Inspector",
            "Open “Auth Settings”, press “Clear OAuth State”, and connect again.",
        ),
        ("http://localhost:3334/", "mcp-remote", "Delete the folder ~/.mcp-auth and start the client again."),
        (
            "http://localhost",
            "Claude Code, or another program on this computer",
            "In Claude Code: /mcp, choose the server, “Clear authentication”, and sign in again. Elsewhere: remove the server and add it again.",
        ),
        ("http://127.0.0.1", "the program on this computer", "Remove the server there and add it again."),
    ];
    let found = CLIENTS.iter().find(|(start, _, _)| redirect_uri.starts_with(start))?;
    Some((found.1, found.2))
}

/// Text as HTML text or attribute.
pub(crate) fn escape(text: &str) -> String {
    let mut out = String::with_capacity(text.len() + 16);
    for c in text.chars() {
        match c {
            '&' => out.push_str("&amp;"),
            '<' => out.push_str("&lt;"),
            '>' => out.push_str("&gt;"),
            '"' => out.push_str("&quot;"),
            '\'' => out.push_str("&#39;"),
            c => out.push(c),
        }
    }
    out
}

const STYLE: &str = "body{font:16px/1.5 system-ui,sans-serif;margin:0;background:#f6f7f9;color:#1a1d21}\
main{max-width:38rem;margin:10vh auto;padding:2rem;background:#fff;border-radius:12px}\
h1{font-size:1.5rem;margin-top:0}h2{font-size:1rem;margin-bottom:0}.code{color:#57606a}p{margin-top:.25rem}";
/// Nothing but the one style of the page itself.
const POLICY: &str = "default-src 'none'; style-src 'unsafe-inline'; frame-ancestors 'none'; base-uri 'none'; form-action 'none'";

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn nothing_of_a_request_is_markup() {
        let page = page(Code::CLIENT_UNKNOWN, "<script>alert(1)</script>", Some("cursor://x"));
        assert_eq!(page.status(), 400);
        let bytes = axum::body::to_bytes(page.into_body(), 1 << 20).await.unwrap();
        let text = String::from_utf8(bytes.to_vec()).unwrap();
        assert!(
            !text.contains("<script") && text.contains("&lt;script&gt;alert(1)") && text.contains("PTN-2006")
        );
        assert!(text.contains("In Cursor"));
    }
}
