//! The demo's MCP servers: small, in process, on loopback, spoken to like any other server. Each speaks
//! both eras of MCP over streamable HTTP.

use super::tools::Shop;
use super::trust::Trust;
use bytes::Bytes;
use http::{HeaderMap, Method, Request, Response, StatusCode, header};
use hyper::body::Incoming;
use net::Body;
use serde_json::{Value, json};

/// Answers one request; the path is the name of the server.
pub(super) async fn route(shops: &[Shop], trust: &Trust, request: Request<Incoming>) -> Response<Body> {
    let name = request.uri().path().trim_start_matches('/');
    match shops.iter().find(|shop| shop.name == name) {
        Some(shop) => answer(shop, trust, request).await,
        None => reply(StatusCode::NOT_FOUND, None),
    }
}

async fn answer(shop: &Shop, trust: &Trust, request: Request<Incoming>) -> Response<Body> {
    let (head, body) = request.into_parts();
    if head.method != Method::POST {
        return reply(StatusCode::METHOD_NOT_ALLOWED, None);
    }
    let Ok(body) = net::collect(body, REQUEST_BYTES).await else {
        return reply(StatusCode::PAYLOAD_TOO_LARGE, None);
    };
    let Ok(message) = serde_json::from_slice::<Value>(&body) else {
        return reply(StatusCode::BAD_REQUEST, Some(error(&Value::Null, -32700, "not JSON")));
    };
    let Some(id) = message.get("id") else {
        return reply(StatusCode::ACCEPTED, None);
    };
    let method = message.get("method").and_then(Value::as_str).unwrap_or_default();
    let params = message.get("params").unwrap_or(&Value::Null);
    let stateless = is_stateless(&head.headers);
    let mut caller = None;
    if shop.trusts() && method == "tools/call" {
        caller = trust.caller(&head.headers).await;
        if caller.is_none() {
            return reply(StatusCode::UNAUTHORIZED, None);
        }
    }
    match result(shop, method, params, stateless) {
        Some(mut result) => {
            if let (Some(caller), Some(Value::String(text))) =
                (&caller, result.pointer_mut("/content/0/text"))
            {
                text.push_str(", as asked by ");
                text.push_str(caller);
            }
            if let (true, Some(object)) = (stateless, result.as_object_mut()) {
                object.insert("resultType".to_owned(), "complete".into());
                if method != "tools/call" {
                    object.insert("ttlMs".to_owned(), 0.into());
                    object.insert("cacheScope".to_owned(), "private".into());
                }
            }
            let id = shop.answers_as(params, id);
            reply(StatusCode::OK, Some(json!({"jsonrpc": "2.0", "id": id, "result": result})))
        }
        None => {
            let status = if stateless { StatusCode::NOT_FOUND } else { StatusCode::OK };
            reply(status, Some(error(id, -32601, "method not found")))
        }
    }
}

fn result(shop: &Shop, method: &str, params: &Value, stateless: bool) -> Option<Value> {
    let info = json!({"name": format!("demo-{}", shop.name), "version": env!("CARGO_PKG_VERSION")});
    let capabilities = json!({"tools": {}});
    match (method, stateless) {
        ("server/discover", true) => Some(json!({
            "supportedVersions": [STATELESS], "capabilities": capabilities,
            "_meta": {"io.modelcontextprotocol/serverInfo": info},
        })),
        ("initialize", false) => {
            let asked = params.get("protocolVersion").and_then(Value::as_str).unwrap_or_default();
            let version = SESSION.iter().find(|version| **version == asked).unwrap_or(&SESSION[0]);
            Some(json!({"protocolVersion": version, "capabilities": capabilities, "serverInfo": info}))
        }
        ("ping", false) => Some(json!({})),
        ("tools/list", _) => Some(json!({"tools": shop.definitions()})),
        ("tools/call", _) => {
            let name = params.get("name").and_then(Value::as_str).unwrap_or_default();
            Some(shop.call(name, params.get("arguments").unwrap_or(&Value::Null)))
        }
        _ => None,
    }
}

fn is_stateless(headers: &HeaderMap) -> bool {
    headers.get("mcp-protocol-version").is_some_and(|version| version.as_bytes() == STATELESS.as_bytes())
}

fn error(id: &Value, code: i32, message: &str) -> Value {
    json!({"jsonrpc": "2.0", "id": id, "error": {"code": code, "message": message}})
}

fn reply(status: StatusCode, body: Option<Value>) -> Response<Body> {
    let body = body.map_or_else(Bytes::new, |value| value.to_string().into());
    let mut response = Response::new(Body::full(body));
    *response.status_mut() = status;
    response.headers_mut().insert(header::CONTENT_TYPE, header::HeaderValue::from_static("application/json"));
    response
}

const REQUEST_BYTES: usize = 1 << 20;
const STATELESS: &str = "2026-07-28";
const SESSION: [&str; 3] = ["2025-11-25", "2025-06-18", "2025-03-26"];
