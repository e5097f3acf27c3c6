use super::*;
use serde_json::{Value, json};

fn members(value: Value) -> Members {
    Raw::of_value(&value).members().unwrap()
}

fn value(raw: &Raw) -> Value {
    raw.to_value().unwrap()
}

fn error(value: Value) -> RpcError {
    RpcError::of(Raw::of_value(&value)).unwrap()
}

#[test]
fn a_request_gains_and_loses_its_metadata() {
    let (capabilities, info) = (Raw::empty_object(), Raw::of_value(&json!({"name": "c"})));
    let facts = ClientFacts {
        version: Version::LATEST,
        capabilities: &capabilities,
        info: Some(&info),
        log_level: Some(LogLevel::Info),
    };
    let params =
        members(json!({"name": "a", "_meta": {"x": 1, "baggage": "secret", PROTOCOL_VERSION: "old"}}));
    let there = params_to_stateless(Some(&params), &facts);
    let expect = json!({"name": "a", "_meta": {
        "x": 1, PROTOCOL_VERSION: "2026-07-28", CLIENT_CAPABILITIES: {}, CLIENT_INFO: {"name": "c"}, LOG_LEVEL: "info",
    }});
    assert_eq!(value(&there), expect);
    let back = params_to_session(there.members().as_ref()).unwrap();
    assert_eq!(value(&back), json!({"name": "a", "_meta": {"x": 1}}));
    assert_eq!(value(&params_to_stateless(None, &facts)).as_object().unwrap().len(), 1);
    let bare = params_to_stateless(None, &facts).members();
    assert_eq!(params_to_session(bare.as_ref()).unwrap().as_json(), "{}");
    assert_eq!(params_to_session(None), None);
}

#[test]
fn what_a_session_request_holds_of_its_own_is_untouched() {
    let text = "{ \"name\":\"a\" ,\"_meta\" : { \"progressToken\":1, \"k\":1.0 } }";
    let bounds = crate::Bounds { bytes: 999, depth: 9, items: 99 };
    let raw = Raw::parse(bytes::Bytes::from_static(text.as_bytes()), &bounds).unwrap();
    assert_eq!(params_to_session(raw.members().as_ref()), Some(raw.clone()));
    let fresh = with_progress_token(raw.members().as_ref(), Some(&Id::Number(77))).unwrap();
    assert_eq!(fresh.as_json(), text.replace("\"progressToken\":1", "\"progressToken\":77"));
    let none = with_progress_token(raw.members().as_ref(), None).unwrap();
    assert_eq!(none.as_json(), "{ \"name\":\"a\" ,\"_meta\" : { \"k\":1.0 } }");
    assert_eq!(with_progress_token(None, None), None);
}

#[test]
fn results_cross_both_ways() {
    let page = members(json!({"tools": [{"name": "a"}], "resultType": "input_required", "_meta": {"k": 1}}));
    let info = Raw::of_value(&json!({"name": "s", "version": "1"}));
    let there = result_to_stateless(Method::ToolsList, &page, Some(&info));
    let expect = json!({
        "tools": [{"name": "a"}], "resultType": "complete", "ttlMs": 0, "cacheScope": "private",
        "_meta": {"k": 1, SERVER_INFO: {"name": "s", "version": "1"}},
    });
    assert_eq!(value(&there), expect);
    let back = result_to_session(Method::ToolsList, &there.members().unwrap()).unwrap();
    assert_eq!(value(&back), json!({"tools": [{"name": "a"}], "_meta": {"k": 1}}));
    let call = result_to_stateless(Method::ToolsCall, &members(json!({"content": [], "ttlMs": 5})), None);
    assert_eq!(value(&call), json!({"content": [], "ttlMs": 5, "resultType": "complete"}));
}

#[test]
fn what_needs_a_conversation_is_no_result() {
    let asks = members(json!({"resultType": "input_required", "requestState": "x"}));
    assert_eq!(result_to_session(Method::ToolsCall, &asks), Err(BridgeError::Conversation("input")));
    let task = members(json!({"resultType": "task"}));
    assert_eq!(result_to_session(Method::ToolsCall, &task), Err(BridgeError::ResultType("task".into())));
}

#[test]
fn pages_to_visit_are_asked_for() {
    let pages =
        json!([{"mode": "url", "elicitationId": "e", "url": "https://a.example/", "message": "m", "x": 1}]);
    let visit = error(json!({"code": -32042, "message": "m", "data": {"elicitations": pages}}));
    let page = json!({"mode": "url", "url": "https://a.example/", "message": "m", "x": 1});
    let expect = json!({
        "resultType": "input_required",
        "inputRequests": {"page-1": {"method": "elicitation/create", "params": page}},
    });
    assert_eq!(value(&pages_to_stateless(&visit).unwrap()), expect);
    let told = value(&error_to_stateless(&visit));
    assert_eq!(
        (&told["code"], &told["data"]["requiredCapabilities"]),
        (&json!(-32021), &json!({"elicitation": {"url": {}}}))
    );
    for other in [
        json!({"code": -32042, "message": "m", "data": {"elicitations": []}}),
        json!({"code": -32042, "message": "m"}),
        json!({"code": -32000, "message": "m", "data": {"elicitations": pages}}),
    ] {
        assert_eq!(pages_to_stateless(&error(other.clone())), None, "{other}");
    }
    let retry = members(json!({"name": "a", "inputResponses": {}, "requestState": "s", "y": 1}));
    assert_eq!(value(&retry_to_session(&retry)), json!({"name": "a", "y": 1}));
}

#[test]
fn nothing_leaves_for_a_shared_cache() {
    let read =
        members(json!({"contents": [], "resultType": "complete", "ttlMs": 9000, "cacheScope": "public"}));
    let left = private(Method::ResourcesRead, &read);
    assert_eq!(
        value(&left),
        json!({"contents": [], "resultType": "complete", "ttlMs": 0, "cacheScope": "private"})
    );
    let call = members(json!({"content": [], "resultType": "input_required", "requestState": "x"}));
    assert_eq!(private(Method::ToolsCall, &call), *call.raw());
    assert_eq!(value(&private(Method::ToolsCall, &members(json!({})))), json!({"resultType": "complete"}));
}

#[test]
fn error_codes_keep_their_meaning() {
    let there = |code: i64| {
        let raw = error_to_stateless(&error(json!({"code": code, "message": "m", "data": {"uri": "u"}})));
        value(&raw)["code"].as_i64().unwrap()
    };
    for (code, expect) in
        [(-32002, -32602), (-32021, -32603), (-32099, -32603), (-32601, -32601), (7, 7), (-32000, -32000)]
    {
        assert_eq!(there(code), expect, "{code}");
    }
    let back = |method, code: i64, data: Value| {
        value(&error_to_session(method, &error(json!({"code": code, "message": "m", "data": data}))))
    };
    let missing = back(Method::ResourcesRead, -32602, json!({"uri": "u"}));
    assert_eq!(missing, json!({"code": -32002, "message": "m", "data": {"uri": "u"}}));
    assert_eq!(back(Method::ResourcesRead, -32602, json!({}))["code"], -32602);
    assert_eq!(back(Method::ToolsCall, -32602, json!({"uri": "u"}))["code"], -32602);
    assert_eq!(back(Method::ToolsCall, -32020, json!(1))["code"], -32603);
}
