use super::*;
use crate::method::Method;
use serde_json::{Value, json};

fn members(value: Value) -> Members {
    Raw::of_value(&value).members().unwrap()
}

#[test]
fn a_tool_call_without_arguments_has_none() {
    let call = ToolCall::of(Some(&members(json!({"name": "a"})))).unwrap();
    assert_eq!((call.name.as_ref(), call.arguments.as_json(), call.request_state), ("a", "{}", None));
    let retried =
        members(json!({"name": "a", "arguments": {"x": 1}, "requestState": "s", "inputResponses": {}}));
    let call = ToolCall::of(Some(&retried)).unwrap();
    assert_eq!(call.request_state.as_deref(), Some("s"));
    assert_eq!(call.arguments.as_json(), r#"{"x":1}"#);
}

#[test]
fn params_of_the_wrong_form_are_refused() {
    assert_eq!(ToolCall::of(None).unwrap_err(), wrong("name", STRING));
    for params in [
        json!({}),
        json!({"name": 1}),
        json!({"name": "a", "arguments": null}),
        json!({"name": "a", "arguments": []}),
        json!({"name": "a", "requestState": 1}),
        json!({"name": "a", "inputResponses": []}),
    ] {
        assert!(ToolCall::of(Some(&members(params.clone()))).is_err(), "{params}");
        assert!(PromptGet::of(Some(&members(params.clone()))).is_err(), "{params}");
    }
    assert!(ResourceRef::of(Some(&members(json!({"uri": 5})))).is_err());
    assert!(Cancelled::of(Some(&members(json!({"requestId": 1.5})))).is_err());
    assert!(level(Some(&members(json!({"level": "x"})))).is_err());
    assert!(cursor(Some(&members(json!({"cursor": 1})))).is_err());
    assert_eq!(cursor(None), Ok(None));
    assert!(Initialize::of(Some(&members(json!({"protocolVersion": "a", "capabilities": {}})))).is_err());
}

#[test]
fn completions_name_a_prompt_or_a_template() {
    let of = |value| Completion::of(Some(&members(value)));
    let argument = json!({"name": "a", "value": "b"});
    let prompt =
        of(json!({"ref": {"type": "ref/prompt", "name": "p"}, "argument": argument.clone()})).unwrap();
    assert_eq!(prompt.reference, CompletionRef::Prompt("p".into()));
    let template =
        of(json!({"ref": {"type": "ref/resource", "uri": "u:{x}"}, "argument": argument})).unwrap();
    assert_eq!(template.reference, CompletionRef::Resource("u:{x}".into()));
    assert!(
        of(json!({"ref": {"type": "ref/tool", "name": "p"}, "argument": {"name": "a", "value": ""}}))
            .is_err()
    );
    assert!(of(json!({"ref": {"type": "ref/prompt", "name": "p"}, "argument": {"name": "a"}})).is_err());
}

#[test]
fn a_listen_filter_survives_its_bytes() {
    let wanted = Listen { tools: true, prompts: false, resources: true, uris: vec!["a:b".into()] };
    let params = members(json!({"notifications": wanted.to_raw().to_value().unwrap()}));
    assert_eq!(Listen::of(Some(&params)), Ok(wanted));
    assert!(Listen::of(Some(&members(json!({"notifications": {"toolsListChanged": 1}})))).is_err());
    assert!(Listen::of(None).is_err());
}

#[test]
fn results_are_told_apart() {
    assert_eq!(result_type(&members(json!({}))), Ok(ResultType::Complete));
    assert_eq!(result_type(&members(json!({"resultType": "task"}))), Ok(ResultType::Other("task".into())));
    assert!(result_type(&members(json!({"resultType": 1}))).is_err());
    let asks = json!({"inputRequests": {"a": {"method": "elicitation/create", "params": {}}, "b": {"method": "roots/list"}}});
    let asked = InputRequired::of(&members(asks)).unwrap();
    assert_eq!(
        asked.methods().collect::<Vec<_>>(),
        [Some(Method::ElicitationCreate), Some(Method::RootsList)]
    );
    for bad in
        [json!({}), json!({"requestState": 1}), json!({"inputRequests": {"a": {"method": "tools/call"}}})]
    {
        assert!(InputRequired::of(&members(bad.clone())).is_err(), "{bad}");
    }
}

#[test]
fn a_page_keeps_its_items_as_they_came() {
    let raw = crate::Raw::parse(
        bytes::Bytes::from_static(
            b"{\"tools\":[ {\"name\" : \"a\"}, {\"name\":\"b\"} ],\"nextCursor\":\"n\"}",
        ),
        &crate::Bounds { bytes: 999, depth: 9, items: 99 },
    );
    let page = Page::of(&raw.unwrap().members().unwrap(), "tools").unwrap();
    assert_eq!(
        page.items.iter().map(Raw::as_json).collect::<Vec<_>>(),
        ["{\"name\" : \"a\"}", "{\"name\":\"b\"}"]
    );
    assert_eq!(page.next_cursor.as_deref(), Some("n"));
    assert!(Page::of(&members(json!({"tools": {}})), "tools").is_err());
    assert!(
        Page::of(&members(json!({"tools": [], "nextCursor": null})), "tools").unwrap().next_cursor.is_none()
    );
}
