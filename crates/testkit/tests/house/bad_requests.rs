//! Requests that are not what they should be: each gets a clear error, a record, and harms nobody else.

use super::bed::{Bed, UP, bed, bed_of, bed_with, code, served};
use bytes::Bytes;
use http::Request;
use serde_json::{Value, json};
use testkit::{Caller, FakeUpstream, Reply, tool};

/// A proper call whose body is then replaced by this text.
async fn said(caller: &Caller, text: impl Into<Bytes>) -> Reply {
    let mut request = caller.request("tools/call", json!({"name": "echo", "arguments": {}}));
    *request.body_mut() = text.into();
    caller.send(request).await
}

/// The reply is this error, the denial is on record with its code, and a bystander noticed nothing.
async fn refused(bed: &Bed, reply: &Reply, status: u16, rpc: i64, expected: &str) {
    assert_eq!((reply.status, reply.error_code()), (status, rpc), "{}", reply.text());
    assert!(!reply.error()["message"].as_str().unwrap().is_empty());
    assert_eq!(code(reply), expected);
    let denial = bed.denial();
    assert_eq!(
        (&denial["code"], &denial["caller"]["user"]),
        (&json!(expected), &json!("mallory")),
        "{denial}"
    );
    assert!(bed.up.calls().is_empty(), "something was sent");
    bed.bystander_is_served().await;
}

async fn is_malformed(text: impl Into<Bytes>, rpc: i64) {
    let bed = bed().await;
    let reply = said(&bed.caller("mallory"), text).await;
    refused(&bed, &reply, 400, rpc, "PTN-1001").await;
}

#[tokio::test]
async fn broken_json_is_a_parse_error() {
    is_malformed(r#"{"jsonrpc":"2.0","id":1,"method":"tools/call","#, -32700).await;
}

#[tokio::test]
async fn text_that_is_not_utf8_is_a_parse_error() {
    is_malformed(&b"{\"jsonrpc\":\"2.0\",\"id\":1,\"method\":\"tools/\xff\"}"[..], -32700).await;
}

#[tokio::test]
async fn a_batch_is_refused() {
    is_malformed(r#"[{"jsonrpc":"2.0","id":1,"method":"ping"}]"#, -32600).await;
}

#[tokio::test]
async fn a_key_that_stands_twice_is_refused() {
    is_malformed(
        r#"{"jsonrpc":"2.0","id":1,"method":"tools/list","method":"tools/call","params":{}}"#,
        -32600,
    )
    .await;
}

#[tokio::test]
async fn a_key_that_stands_twice_deep_inside_is_refused() {
    let arguments = r#"{"text":"a","options":{"level":1,"level":9}}"#;
    let text = format!(
        r#"{{"jsonrpc":"2.0","id":1,"method":"tools/call","params":{{"name":"echo","arguments":{arguments}}}}}"#
    );
    is_malformed(text, -32600).await;
}

#[tokio::test]
async fn a_key_that_stands_twice_by_an_escape_is_refused() {
    let text =
        r#"{"jsonrpc":"2.0","id":1,"method":"tools/call","params":{"name":"echo","n\u0061me":"write"}}"#;
    is_malformed(text, -32600).await;
}

#[tokio::test]
async fn an_id_that_is_neither_text_nor_integer_is_refused() {
    for id in ["null", "1.5", "1e3", "true", "[1]", "{}"] {
        let text = format!(r#"{{"jsonrpc":"2.0","id":{id},"method":"tools/list"}}"#);
        is_malformed(text, -32600).await;
    }
}

#[tokio::test]
async fn another_version_of_json_rpc_is_refused() {
    is_malformed(r#"{"jsonrpc":"1.0","id":1,"method":"tools/list"}"#, -32600).await;
}

#[tokio::test]
async fn a_request_that_is_too_deep_is_refused() {
    let bed = bed().await;
    let nested = format!("{}1{}", "[".repeat(500), "]".repeat(500));
    let text = format!(
        r#"{{"jsonrpc":"2.0","id":1,"method":"tools/call","params":{{"name":"echo","arguments":{{"text":{nested}}}}}}}"#
    );
    let reply = said(&bed.caller("mallory"), text).await;
    refused(&bed, &reply, 400, -32600, "PTN-1002").await;
}

#[tokio::test]
async fn a_request_with_too_many_values_is_refused() {
    let bed = bed_with(|setup| setup.set(&["limits", "json_items"], json!(1000))).await;
    let many = format!("[{}1]", "1,".repeat(1000));
    let text = format!(
        r#"{{"jsonrpc":"2.0","id":1,"method":"tools/call","params":{{"name":"echo","arguments":{{"text":{many}}}}}}}"#
    );
    let reply = said(&bed.caller("mallory"), text).await;
    refused(&bed, &reply, 400, -32600, "PTN-1002").await;
}

#[tokio::test]
async fn arguments_over_a_bound_of_their_own_are_refused() {
    for (bound, most) in [("argument_bytes", 60), ("string_bytes", 40)] {
        let bed = bed_with(|setup| setup.set(&["limits", bound], json!(format!("{most}B")))).await;
        let reply = bed.caller("mallory").call("echo", json!({"text": "x".repeat(most + 1)})).await;
        refused(&bed, &reply, 400, -32602, "PTN-1002").await;
        assert!(bed.up.calls().iter().all(|call| !call.to_string().contains("xxx")), "{bound}");
    }
}

#[tokio::test]
async fn an_unknown_method_is_a_404() {
    let bed = bed().await;
    let reply = bed.caller("mallory").ask("tools/erase", json!({})).await;
    refused(&bed, &reply, 404, -32601, "PTN-1007").await;
}

/// A call with one header other than it should be.
async fn mismatched(change: impl FnOnce(&mut Request<Bytes>)) {
    let bed = bed().await;
    let caller = bed.caller("mallory");
    let mut request = caller.request("tools/call", json!({"name": "echo", "arguments": {"text": "a"}}));
    change(&mut request);
    let reply = caller.send(request).await;
    refused(&bed, &reply, 400, -32020, "PTN-1004").await;
}

#[tokio::test]
async fn a_method_header_that_differs_from_the_body_is_refused() {
    mismatched(|request| drop(request.headers_mut().insert("mcp-method", "tools/list".parse().unwrap())))
        .await;
}

#[tokio::test]
async fn a_name_header_that_differs_from_the_body_is_refused() {
    mismatched(|request| drop(request.headers_mut().insert("mcp-name", "write".parse().unwrap()))).await;
}

#[tokio::test]
async fn a_name_header_that_differs_once_decoded_is_refused() {
    // "write" in the base64 form.
    mismatched(|request| {
        drop(request.headers_mut().insert("mcp-name", "=?base64?d3JpdGU=?=".parse().unwrap()))
    })
    .await;
}

#[tokio::test]
async fn a_missing_name_header_is_refused() {
    mismatched(|request| drop(request.headers_mut().remove("mcp-name"))).await;
}

#[tokio::test]
async fn a_repeated_name_header_is_refused() {
    mismatched(|request| {
        request.headers_mut().append("mcp-name", "echo".parse().unwrap());
    })
    .await;
}

#[tokio::test]
async fn a_version_header_that_differs_from_the_body_is_refused() {
    mismatched(|request| {
        drop(request.headers_mut().insert("mcp-protocol-version", "2025-11-25".parse().unwrap()))
    })
    .await;
}

#[tokio::test]
async fn a_param_header_that_differs_from_its_argument_is_refused() {
    for headers in [&["us"][..], &[], &["eu", "eu"]] {
        let up = FakeUpstream::start().await;
        let mut mirrored = tool("echo");
        mirrored["inputSchema"]["properties"]["text"]["x-mcp-header"] = json!("Region");
        up.changed(vec![mirrored]);
        let bed = bed_of(up, |setup| setup).await;
        let caller = bed.caller("mallory");
        let request = |headers: &[&str]| {
            let call = json!({"name": "echo", "arguments": {"text": "eu"}});
            let mut request = caller.request("tools/call", call);
            for value in headers {
                request.headers_mut().append("mcp-param-region", value.parse().unwrap());
            }
            request
        };
        let reply = caller.send(request(headers)).await;
        assert_eq!((reply.status, reply.error_code()), (400, -32020), "{headers:?}: {}", reply.text());
        assert_eq!((code(&reply).as_str(), &bed.denial()["code"]), ("PTN-1004", &json!("PTN-1004")));
        assert!(bed.up.calls().is_empty(), "something was sent");
        served(&caller.send(request(&["eu"])).await, "eu");
    }
}

#[tokio::test]
async fn an_encoded_name_header_is_accepted() {
    let bed = bed().await;
    let caller = bed.caller("alice");
    let mut request = caller.request("tools/call", json!({"name": "echo", "arguments": {"text": "a"}}));
    request.headers_mut().insert("mcp-name", "=?base64?ZWNobw==?=".parse().unwrap());
    served(&caller.send(request).await, "a");
}

#[tokio::test]
async fn a_version_nobody_speaks_is_refused_with_those_we_do() {
    let bed = bed().await;
    let caller = bed.caller("mallory");
    let mut message = caller.message("tools/list", json!({}));
    message["params"]["_meta"]["io.modelcontextprotocol/protocolVersion"] = json!("2099-01-01");
    let mut request = caller.post(&message);
    request.headers_mut().insert("mcp-protocol-version", "2099-01-01".parse().unwrap());
    let reply = caller.send(request).await;
    assert!(reply.error()["data"]["supported"].as_array().unwrap().contains(&json!("2026-07-28")));
    refused(&bed, &reply, 400, -32022, "PTN-1005").await;
}

#[tokio::test]
async fn a_stateless_request_without_its_metadata_is_refused() {
    let bed = bed().await;
    let caller = bed.caller("mallory");
    let mut message = caller.message("tools/list", json!({}));
    message["params"].as_object_mut().unwrap().remove("_meta");
    let reply = caller.send(caller.post(&message)).await;
    refused(&bed, &reply, 400, -32602, "PTN-1001").await;
}

#[tokio::test]
async fn methods_of_the_other_era_are_unknown() {
    let bed = bed().await;
    let stateless = bed.caller("alice");
    for method in ["ping", "logging/setLevel", "resources/subscribe"] {
        let reply = stateless.ask(method, json!({"level": "info", "uri": "fake://note"})).await;
        assert_eq!((reply.status, reply.error_code()), (404, -32601), "{method}: {}", reply.text());
    }
    let session = bed.caller("alice").open().await;
    for method in ["server/discover", "subscriptions/listen"] {
        let reply = session.ask(method, json!({"notifications": {}})).await;
        assert_eq!((reply.status, reply.error_code()), (200, -32601), "{method}: {}", reply.text());
    }
    bed.bystander_is_served().await;
}

#[tokio::test]
async fn an_older_request_without_a_session_is_refused() {
    let bed = bed().await;
    let caller = bed.caller("mallory");
    let mut message = caller.message("tools/list", json!({}));
    message["params"].as_object_mut().unwrap().remove("_meta");
    let mut request = caller.post(&message);
    for name in ["mcp-protocol-version", "mcp-method"] {
        request.headers_mut().remove(name);
    }
    let reply = caller.send(request).await;
    refused(&bed, &reply, 400, -32600, "PTN-1006").await;
}

#[tokio::test]
async fn a_name_that_is_no_text_is_refused() {
    let bed = bed().await;
    let caller = bed.caller("mallory");
    let mut request = caller.request("tools/call", json!({"name": 7, "arguments": {}}));
    request.headers_mut().insert("mcp-name", "7".parse().unwrap());
    let reply = caller.send(request).await;
    assert_eq!(reply.error_code(), -32602, "{}", reply.text());
    assert!(bed.up.calls().is_empty());
    bed.bystander_is_served().await;
}

#[tokio::test]
async fn a_number_beyond_exactness_is_refused() {
    let forbids = r#"@id("small") forbid (principal, action == Action::"up/write", resource)
        when { context.args has amount && context.args.amount > 10 };"#;
    let bed = bed_with(|setup| setup.policy("small", forbids)).await;
    let caller = bed.caller("mallory");
    for amount in ["18446744073709551616", "1e400", "9.5", "11.00000000000000001"] {
        let text = caller.message("tools/call", json!({"name": "write", "arguments": {"amount": "AMOUNT"}}));
        let mut request = caller.post(&text);
        *request.body_mut() = text.to_string().replace("\"AMOUNT\"", amount).into();
        let reply = caller.send(request).await;
        assert!(!reply.is_success(), "{amount}: {}", reply.text());
    }
    assert!(bed.up.calls().is_empty());
    bed.bystander_is_served().await;
}

#[tokio::test]
async fn a_number_without_an_exact_value_is_refused_though_no_policy_reads_it() {
    let bed = bed().await;
    let caller = bed.caller("mallory");
    for amount in ["9007199254740993", "1e400", "0.10000000000000000001"] {
        let text = caller.message("tools/call", json!({"name": "echo", "arguments": {"amount": "AMOUNT"}}));
        let mut request = caller.post(&text);
        *request.body_mut() = text.to_string().replace("\"AMOUNT\"", amount).into();
        let reply = caller.send(request).await;
        assert_eq!((reply.error_code(), code(&reply).as_str()), (-32602, "PTN-1001"), "{}", reply.text());
    }
    assert!(bed.up.calls().is_empty());
}

#[tokio::test]
async fn what_was_judged_is_what_is_sent() {
    let bed = bed().await;
    let caller = bed.caller("alice");
    // Spaces, escapes, unknown members and a way to write a number must arrive byte for byte.
    let arguments = r#"{ "text" : "\u00e9\/", "unknown": {"b":1,"a":[1.0,  2]}, "long":0.1 }"#;
    let template = caller.message("tools/call", json!({"name": "echo", "arguments": "ARGUMENTS"}));
    let mut request = caller.post(&template);
    *request.body_mut() = template.to_string().replace("\"ARGUMENTS\"", arguments).into();
    let reply = caller.send(request).await;
    assert!(reply.is_success(), "{}", reply.text());
    let seen = bed.up.seen();
    let sent = seen.iter().find(|seen| seen.body.windows(10).any(|part| part == b"tools/call")).unwrap();
    let body = String::from_utf8(sent.body.to_vec()).unwrap();
    assert!(body.contains(arguments), "{body}");
}

#[tokio::test]
async fn the_path_decides_the_endpoint_and_nothing_else_does() {
    let bed = bed().await;
    let caller = bed.caller("alice");
    for path in ["/", "/mcp/", "/servers/down/mcp", "/servers/up/mcp/", "/servers/UP/mcp", "//servers/up/mcp"]
    {
        let mut request = caller.request("tools/list", json!({}));
        *request.uri_mut() = path.parse().unwrap();
        let reply = caller.send(request).await;
        assert_eq!(reply.status, 404, "{path}: {}", reply.text());
        assert_eq!(reply.json()["error"]["data"]["code"].as_str().unwrap_or("PTN-1012"), "PTN-1012");
    }
    let reply: Value = caller.ask("tools/list", json!({})).await.result();
    assert!(reply["tools"].is_array(), "{UP}");
}

#[tokio::test]
async fn another_scheme_than_bearer_brings_no_token_and_is_told_where_to_get_one() {
    let bed = bed().await;
    let caller = bed.caller("alice");
    for (header, status, error) in [
        ("Basic YWxpY2U6c2VjcmV0", 401, None),
        ("Negotiate YTpi", 401, None),
        ("Bearer a b", 400, Some("invalid_request")),
        ("Bearer", 400, Some("invalid_request")),
    ] {
        let mut request = caller.request("tools/list", json!({}));
        request.headers_mut().insert(http::header::AUTHORIZATION, header.parse().unwrap());
        let reply = caller.send(request).await;
        assert_eq!((reply.status, code(&reply).as_str()), (status, "PTN-2001"), "{header}: {}", reply.text());
        let challenge = reply.headers["www-authenticate"].to_str().unwrap();
        assert!(challenge.starts_with("Bearer ") && challenge.contains("resource_metadata="), "{challenge}");
        // RFC 6750 §3.1: no error where there was no token.
        let said = error.map(|error| challenge.contains(&format!("error=\"{error}\"")));
        assert_eq!(said, error.map(|_| true), "{header}: {challenge}");
        assert_eq!(challenge.contains("error="), error.is_some(), "{header}: {challenge}");
    }
    bed.bystander_is_served().await;
}
