use super::*;

const BOUNDS: Bounds = Bounds { bytes: 1 << 20, depth: 16, items: 1000 };

fn read(text: &str) -> Result<Message, FrameError> {
    decode(Bytes::copy_from_slice(text.as_bytes()), &BOUNDS)
}

fn fault(text: &str) -> Fault {
    match read(text) {
        Ok(message) => panic!("{text} was read as {message:?}"),
        Err(error) => error.fault,
    }
}

#[test]
fn a_request_is_read_with_its_parts() {
    let text = r#" { "jsonrpc" : "2.0", "id":7, "method":"tools/call", "params": {"name":"a","arguments":{"x":1.0}} , "x":[] } "#;
    let Ok(Message::Request(request)) = read(text) else { panic!() };
    assert_eq!(request.id, Id::Number(7));
    assert_eq!(request.method, Called::Known(Method::ToolsCall));
    let params = request.params.unwrap();
    assert_eq!(params.raw().as_json(), r#"{"name":"a","arguments":{"x":1.0}}"#);
    assert_eq!(params.get("arguments").unwrap().as_json(), r#"{"x":1.0}"#);
    assert_eq!(params, Members::of(params.raw()).unwrap());
    assert_eq!(request.bytes, text);
}

#[test]
fn escaped_keys_mean_what_they_say() {
    let text =
        r#"{"jsonrpc":"2\u002e0","\u0069d":"\u0061","method":"tools\/list","p\u0061rams":{"\u006eame":"x"}}"#;
    let Ok(Message::Request(request)) = read(text) else { panic!() };
    assert_eq!(request.id, Id::Text("a".into()));
    assert_eq!(request.method.known(), Some(Method::ToolsList));
    assert_eq!(request.params.unwrap().text("name").as_deref(), Some("x"));
}

#[test]
fn responses_and_notifications_are_told_apart() {
    assert!(matches!(read(r#"{"jsonrpc":"2.0","method":"x"}"#), Ok(Message::Notification(_))));
    let Ok(Message::Response(response)) = read(r#"{"jsonrpc":"2.0","id":1,"result":{"a":2}}"#) else {
        panic!()
    };
    let Outcome::Result(result) = response.outcome else { panic!() };
    assert_eq!(result.get("a").unwrap().to_i64(), Some(2));
    for id in ["", r#""id":null,"#] {
        let text = format!(r#"{{"jsonrpc":"2.0",{id}"error":{{"code":-32700,"message":"m","data":1}}}}"#);
        let Ok(Message::Response(response)) = read(&text) else { panic!() };
        assert_eq!(response.id, None);
    }
}

#[test]
fn what_is_not_one_message_is_refused() {
    let table = [
        ("[]", Fault::Batch),
        (r#"[{"jsonrpc":"2.0","id":1,"method":"ping"}]"#, Fault::Batch),
        ("1", Fault::NotAnObject),
        (r#""x""#, Fault::NotAnObject),
        ("{}", Fault::Version),
        (r#"{"jsonrpc":"1.0","id":1,"method":"a"}"#, Fault::Version),
        (r#"{"jsonrpc":2.0,"id":1,"method":"a"}"#, Fault::Version),
        (r#"{"jsonrpc":"2.0","id":null,"method":"a"}"#, Fault::Id),
        (r#"{"jsonrpc":"2.0","id":1.0,"method":"a"}"#, Fault::Id),
        (r#"{"jsonrpc":"2.0","id":1e3,"method":"a"}"#, Fault::Id),
        (r#"{"jsonrpc":"2.0","id":9223372036854775808,"method":"a"}"#, Fault::Id),
        (r#"{"jsonrpc":"2.0","id":true,"method":"a"}"#, Fault::Id),
        (r#"{"jsonrpc":"2.0","id":[1],"method":"a"}"#, Fault::Id),
        (r#"{"jsonrpc":"2.0","id":1,"method":1}"#, Fault::Method),
        (r#"{"jsonrpc":"2.0","id":1,"method":null}"#, Fault::Method),
        (r#"{"jsonrpc":"2.0","id":1,"method":"a","params":[]}"#, Fault::Params),
        (r#"{"jsonrpc":"2.0","id":1,"method":"a","params":null}"#, Fault::Params),
        (r#"{"jsonrpc":"2.0","id":1}"#, Fault::Neither),
        (r#"{"jsonrpc":"2.0","id":1,"method":"a","result":{}}"#, Fault::Ambiguous),
        (r#"{"jsonrpc":"2.0","id":1,"method":"a","error":{"code":1,"message":""}}"#, Fault::Ambiguous),
        (r#"{"jsonrpc":"2.0","id":1,"result":{},"error":{"code":1,"message":""}}"#, Fault::Ambiguous),
        (r#"{"jsonrpc":"2.0","id":1,"result":{},"params":{}}"#, Fault::Ambiguous),
        (r#"{"jsonrpc":"2.0","id":1,"result":null}"#, Fault::Result),
        (r#"{"jsonrpc":"2.0","id":1,"result":[]}"#, Fault::Result),
        (r#"{"jsonrpc":"2.0","result":{}}"#, Fault::Id),
        (r#"{"jsonrpc":"2.0","id":null,"result":{}}"#, Fault::Id),
        (r#"{"jsonrpc":"2.0","id":1,"error":{"code":"1","message":""}}"#, Fault::Error),
        (r#"{"jsonrpc":"2.0","id":1,"error":{"code":1}}"#, Fault::Error),
        (r#"{"jsonrpc":"2.0","id":1,"error":"x"}"#, Fault::Error),
    ];
    for (text, expect) in table {
        assert_eq!(fault(text), expect, "{text}");
    }
}

#[test]
fn the_grammar_is_kept_to_the_letter() {
    let bad = [
        "",
        " ",
        "{",
        "}",
        "{\"a\"}",
        "{\"a\":}",
        "{\"a\":1,}",
        "{,}",
        "{a:1}",
        "{'a':1}",
        "{\"a\":1}x",
        "{\"a\":1}{}",
        "[1,]",
        "[1 2]",
        "[",
        "01",
        "-",
        "+1",
        ".5",
        "1.",
        "1e",
        "1e+",
        "0x1",
        "1_0",
        "NaN",
        "Infinity",
        "-Infinity",
        "tru",
        "True",
        "nul",
        "nulll",
        "\"",
        "\"\\x\"",
        "\"\\u12\"",
        "\"\\u12g4\"",
        "\"\\u+123\"",
        "\"\\ud800\"",
        "\"\\ud800\\n\"",
        "\"\\ud800\\u0041\"",
        "\"\\udc00\"",
        "\"\n\"",
        "\"\t\"",
        "\"\0\"",
        "\u{feff}{}",
        "/**/{}",
        "\u{a0}{}",
        "{\"a\":1,\"b\"}",
    ];
    for text in bad {
        assert!(matches!(fault(text), Fault::Syntax { .. }), "{text:?} gave {:?}", fault(text));
        let raw = Raw::parse(Bytes::copy_from_slice(text.as_bytes()), &BOUNDS);
        assert!(raw.is_err(), "{text:?}");
        assert_eq!(read(text).unwrap_err().rpc_code(), -32700);
    }
    let good = [
        "0",
        "-0",
        "10",
        "-1.5e+10",
        "1E2",
        "0.0",
        "null",
        "true",
        "\"\\ud83d\\ude00\"",
        "\"\\u0000\"",
        "\"\u{7f}\"",
        "[]",
        "[ ]",
        "{ }",
        " [1 , {\"a\" : [ ] } ]\r\n\t",
        "\"\\\"\\\\\\/\\b\\f\\n\\r\\t\"",
    ];
    for text in good {
        let raw = Raw::parse(Bytes::copy_from_slice(text.as_bytes()), &BOUNDS);
        assert_eq!(raw.unwrap().as_json(), text.trim(), "{text}");
        assert!(serde_json::from_str::<serde_json::Value>(text).is_ok(), "{text}");
    }
    let invalid = decode(Bytes::from_static(b"{\"a\":\"\xff\"}"), &BOUNDS).unwrap_err();
    assert_eq!(invalid.fault, Fault::NotUtf8 { at: 6 });
}

#[test]
fn a_repeated_key_is_found_at_any_level() {
    for text in [
        r#"{"jsonrpc":"2.0","id":1,"id":1,"method":"a"}"#,
        r#"{"jsonrpc":"2.0","id":1,"method":"a","params":{"x":{"y":[{"z":1,"z":1}]}}}"#,
        r#"{"jsonrpc":"2.0","id":1,"method":"a","params":{"name":"a","n\u0061me":"b"}}"#,
        r#"{"jsonrpc":"2.0","id":1,"method":"a","params":{"\u006eame":"a","n\u0061me":"b"}}"#,
        r#"{"jsonrpc":"2.0","id":1,"method":"a","params":{"":1,"b":{},"":2}}"#,
    ] {
        assert!(matches!(fault(text), Fault::DuplicateKey { .. }), "{text}");
        assert_eq!(read(text).unwrap_err().rpc_code(), -32600);
    }
    let many: Vec<_> = (0..40).map(|n| format!("\"k{n}\":{{\"k\":1}}")).collect();
    let text =
        |extra: &str| format!(r#"{{"jsonrpc":"2.0","method":"a","params":{{{}{extra}}}}}"#, many.join(","));
    assert!(read(&text("")).is_ok());
    assert!(matches!(fault(&text(",\"k\\u0031\":0")), Fault::DuplicateKey { .. }));
}

#[test]
fn bounds_are_exact() {
    let bounds = Bounds { bytes: 64, depth: 3, items: 6 };
    let read =
        |text: &str| decode(Bytes::copy_from_slice(text.as_bytes()), &bounds).map_err(|error| error.fault);
    // The object, jsonrpc, method, params, and two below: six values.
    assert!(read(r#"{"jsonrpc":"2.0","method":"a","params":{"a":1,"b":{}}}"#).is_ok());
    let wide = r#"{"jsonrpc":"2.0","method":"a","params":{"a":1,"b":1,"c":1}}"#;
    assert_eq!(read(wide).unwrap_err(), Fault::TooMany { limit: 6 });
    let deep = r#"{"jsonrpc":"2.0","method":"a","params":{"a":[[]]}}"#;
    assert_eq!(read(deep).unwrap_err(), Fault::TooDeep { limit: 3 });
    let long = format!("{}{}", r#"{"jsonrpc":"2.0","method":"a"}"#, " ".repeat(35));
    assert_eq!(read(&long).unwrap_err(), Fault::TooLarge { limit: 64 });
    assert!(read(long.get(..64).unwrap()).is_ok());
    let bounds = Bounds { bytes: 1 << 20, depth: usize::MAX, items: usize::MAX };
    let abyss = decode(Bytes::from("[".repeat(1 << 20)), &bounds).unwrap_err();
    assert_eq!(abyss.fault, Fault::TooDeep { limit: 512 });
    assert!(abyss.is_over_bound());
}

#[test]
fn the_id_is_given_back_where_it_could_be_read() {
    let id = |text: &str| read(text).unwrap_err().id;
    assert_eq!(id(r#"{"jsonrpc":"2.0","id":5,"method":1}"#), Some(Id::Number(5)));
    assert_eq!(
        id(r#"{"jsonrpc":"2.0","id":"x","method":"a","params":{"a":1,"a":2}}"#),
        Some(Id::Text("x".into()))
    );
    assert_eq!(id(r#"{"id":5,"method":"#), Some(Id::Number(5)));
    assert_eq!(id(r#"{"method":"a","params":[,"id":5}"#), None);
    assert_eq!(id(r#"{"jsonrpc":"2.0","id":1.5,"method":"a"}"#), None);
}

#[test]
fn messages_of_ours_are_frames_and_fit_one_line() {
    let params = Raw::parse(Bytes::from_static(b"{\n\"a\":\r\n1}"), &BOUNDS).unwrap();
    let bytes = one_line(request(&Id::Number(-3), "tools/call", Some(&params)));
    assert_eq!(bytes, r#"{"jsonrpc":"2.0","method":"tools/call","id":-3,"params":{ "a":  1}}"#);
    assert!(matches!(decode(bytes, &BOUNDS), Ok(Message::Request(_))));
    assert_eq!(notification("notifications/x", None), r#"{"jsonrpc":"2.0","method":"notifications/x"}"#);
}
