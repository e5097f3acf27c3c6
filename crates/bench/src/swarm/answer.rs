//! What a simulated server says to one message.

use bytes::Bytes;
use serde::Deserialize;
use serde_json::value::RawValue;

/// What becomes of one POST.
pub(super) enum Answer {
    /// A JSON-RPC result.
    Json(Bytes),
    /// The same, with which a session begins.
    Session(Bytes),
    /// The first event of a stream that then stays open.
    Stream(Bytes),
    /// A notification was heard.
    Accepted,
    /// A JSON-RPC error for a method there is not.
    Unknown(Bytes),
    /// Not a message.
    Malformed,
    /// Nothing, ever.
    Never,
}

#[derive(Deserialize)]
struct Message<'a> {
    #[serde(borrow)]
    id: Option<&'a RawValue>,
    method: &'a str,
    #[serde(borrow)]
    params: Option<Params<'a>>,
}

#[derive(Deserialize)]
struct Params<'a> {
    #[serde(borrow)]
    arguments: Option<Arguments<'a>>,
    #[serde(borrow, rename = "_meta")]
    meta: Option<&'a RawValue>,
    #[serde(borrow)]
    notifications: Option<&'a RawValue>,
    #[serde(borrow, rename = "protocolVersion")]
    version: Option<&'a str>,
}

#[derive(Deserialize)]
struct Arguments<'a> {
    query: Option<&'a str>,
}

/// The answer to `body`, of whichever era the message is.
pub(super) fn to(body: &[u8], tools: &Bytes) -> Answer {
    let Ok(message) = serde_json::from_slice::<Message<'_>>(body) else { return Answer::Malformed };
    let Some(id) = message.id.map(RawValue::get) else { return Answer::Accepted };
    let params = message.params.as_ref();
    let stateless = params
        .and_then(|params| params.meta)
        .is_some_and(|meta| meta.get().contains("io.modelcontextprotocol/protocolVersion"));
    match message.method {
        "tools/call" => {
            let query = params
                .and_then(|params| params.arguments.as_ref())
                .and_then(|arguments| arguments.query)
                .unwrap_or_default();
            if query.starts_with("hang") {
                return Answer::Never;
            }
            let kind = if stateless { r#""resultType":"complete","# } else { "" };
            Answer::Json(result(id, &format!(
                r#"{{{kind}"content":[{{"type":"text","text":"found {query}"}}],"isError":false}}"#
            )))
        }
        "tools/list" => {
            let list = String::from_utf8_lossy(tools);
            let kind = if stateless { COMPLETE } else { "" };
            Answer::Json(result(id, &format!(r#"{{{kind}"tools":{list}}}"#)))
        }
        "server/discover" => Answer::Json(result(id, &format!(
            r#"{{{COMPLETE}"supportedVersions":["2026-07-28"],"capabilities":{{"tools":{{"listChanged":true}}}},"_meta":{{"io.modelcontextprotocol/serverInfo":{SERVER}}}}}"#
        ))),
        "initialize" => {
            let version = params.and_then(|params| params.version).unwrap_or("2025-11-25");
            Answer::Session(result(id, &format!(
                r#"{{"protocolVersion":"{version}","capabilities":{{"tools":{{"listChanged":true}}}},"serverInfo":{SERVER}}}"#
            )))
        }
        "ping" => Answer::Json(result(id, "{}")),
        "subscriptions/listen" => {
            let wanted = params.and_then(|params| params.notifications).map_or("{}", RawValue::get);
            Answer::Stream(Bytes::from(format!(
                "data: {{\"jsonrpc\":\"2.0\",\"method\":\"notifications/subscriptions/acknowledged\",\"params\":{{\"notifications\":{wanted},\"_meta\":{{\"io.modelcontextprotocol/subscriptionId\":{id}}}}}}}\n\n"
            )))
        }
        _ => Answer::Unknown(Bytes::from(format!(
            r#"{{"jsonrpc":"2.0","id":{id},"error":{{"code":-32601,"message":"method not found"}}}}"#
        ))),
    }
}

/// The `tools` array of a list: `count` tools of one schema, with a nested argument.
pub(super) fn tool_list(count: u32) -> Bytes {
    let tools: Vec<serde_json::Value> = (0..count)
        .map(|number| {
            serde_json::json!({
                "name": format!("tool_{number:02}"),
                "description": "Finds documents by a query, below a path, and returns at most so many of them.",
                "inputSchema": {
                    "type": "object",
                    "properties": {
                        "query": {"type": "string"},
                        "limit": {"type": "integer"},
                        "filter": {
                            "type": "object",
                            "properties": {
                                "path": {"type": "string"},
                                "tags": {"type": "array", "items": {"type": "string"}},
                            },
                            "required": ["path"],
                        },
                    },
                    "required": ["query", "limit", "filter"],
                },
            })
        })
        .collect();
    Bytes::from(serde_json::Value::from(tools).to_string())
}

fn result(id: &str, result: &str) -> Bytes {
    Bytes::from([r#"{"jsonrpc":"2.0","id":"#, id, r#","result":"#, result, "}"].concat())
}

const COMPLETE: &str = r#""resultType":"complete","ttlMs":60000,"cacheScope":"private","#;
const SERVER: &str = r#"{"name":"swarm","version":"1.0.0"}"#;

#[cfg(test)]
mod tests {
    use super::*;

    fn json(body: &str) -> serde_json::Value {
        match to(body.as_bytes(), &tool_list(2)) {
            Answer::Json(bytes) | Answer::Session(bytes) | Answer::Unknown(bytes) => {
                serde_json::from_slice(&bytes).unwrap()
            }
            _ => serde_json::Value::Null,
        }
    }

    #[test]
    fn each_era_is_answered_in_kind() {
        let old = json(r#"{"jsonrpc":"2.0","id":1,"method":"tools/call","params":{"name":"tool_00","arguments":{"query":"a"}}}"#);
        assert_eq!(old.pointer("/result/content/0/text").unwrap(), "found a");
        assert_eq!(old.pointer("/result/resultType"), None);
        let new = json(
            r#"{"jsonrpc":"2.0","id":"x","method":"tools/list","params":{"_meta":{"io.modelcontextprotocol/protocolVersion":"2026-07-28"}}}"#,
        );
        assert_eq!(new.pointer("/result/resultType").unwrap(), "complete");
        assert_eq!(new.pointer("/result/tools/1/name").unwrap(), "tool_01");
    }

    #[test]
    fn a_query_that_hangs_is_never_answered() {
        let call = r#"{"jsonrpc":"2.0","id":1,"method":"tools/call","params":{"name":"tool_00","arguments":{"query":"hang 7"}}}"#;
        assert!(matches!(to(call.as_bytes(), &Bytes::new()), Answer::Never));
    }
}
