//! What goes wrong below MCP: media types, hosts, sizes, dribbles, clients that leave.

use super::bed::{UP, bed, bed_where, bed_with, code, served};
use serde_json::json;
use testkit::{Act, Line, eventually, raw};

#[tokio::test]
async fn another_content_type_is_a_415() {
    let bed = bed().await;
    let caller = bed.caller("alice");
    for kind in [None, Some("text/plain"), Some("application/json-seq"), Some("multipart/form-data")] {
        let mut request = caller.request("tools/list", json!({}));
        request.headers_mut().remove("content-type");
        if let Some(kind) = kind {
            request.headers_mut().insert("content-type", kind.parse().unwrap());
        }
        let reply = caller.send(request).await;
        assert_eq!((reply.status, code(&reply).as_str()), (415, "PTN-1003"), "{kind:?}");
    }
    bed.bystander_is_served().await;
}

#[tokio::test]
async fn a_client_that_cannot_read_the_answer_is_told_so() {
    let bed = bed().await;
    let caller = bed.caller("alice");
    let mut request = caller.request("tools/list", json!({}));
    request.headers_mut().insert("accept", "text/html".parse().unwrap());
    let reply = caller.send(request).await;
    assert_eq!((reply.status, code(&reply).as_str()), (406, "PTN-1003"));
    bed.bystander_is_served().await;
}

#[tokio::test]
async fn a_foreign_host_or_origin_is_refused() {
    let bed = bed().await;
    let caller = bed.caller("alice");
    for (name, value) in [
        ("host", "evil.example"),
        ("host", "localhost.evil.example"),
        ("origin", "https://evil.example"),
        ("origin", "null"),
        ("origin", "http://localhost.evil.example"),
    ] {
        let mut request = caller.request("tools/list", json!({}));
        request.headers_mut().insert(name, value.parse().unwrap());
        let reply = caller.send(request).await;
        assert_eq!((reply.status, code(&reply).as_str()), (403, "PTN-1009"), "{name}: {value}");
    }
    let mut welcome = caller.request("tools/list", json!({}));
    welcome.headers_mut().insert("origin", "http://localhost:5173".parse().unwrap());
    assert_eq!(caller.send(welcome).await.status, 200);
    bed.bystander_is_served().await;
}

#[tokio::test]
async fn an_oversized_body_is_a_413_before_it_is_read() {
    let bed = bed_with(|setup| setup.set(&["limits", "request_bytes"], json!("64KiB"))).await;
    let caller = bed.caller("alice");
    let big =
        caller.request("tools/call", json!({"name": "echo", "arguments": {"text": "x".repeat(100 << 10)}}));
    let reply = caller.begin(big).await.reply().await;
    assert_eq!((reply.status, code(&reply).as_str()), (413, "PTN-1002"), "{}", reply.text());
    // The same without a length that gives it away.
    let token = bed.gateway.token(&bed.idp, "alice", UP).sign();
    let mut line = Line::open(bed.gateway.address()).await;
    let head = format!(
        "POST {UP} HTTP/1.1\r\nhost: localhost\r\nauthorization: Bearer {token}\r\ncontent-type: application/json\r\naccept: application/json, text/event-stream\r\ntransfer-encoding: chunked\r\nconnection: close\r\n\r\n"
    );
    line.write(head.as_bytes()).await;
    let chunk = [b"4000\r\n".as_slice(), &[b'x'; 0x4000], b"\r\n"].concat();
    for _ in 0..8 {
        line.write(&chunk).await;
    }
    let reply = line.reply().await;
    assert_eq!((reply.status, code(&reply).as_str()), (413, "PTN-1002"), "{}", reply.text());
    assert!(bed.up.calls().is_empty());
    bed.bystander_is_served().await;
}

#[tokio::test]
async fn a_head_without_end_is_refused() {
    let bed = bed().await;
    let head = format!("POST {UP} HTTP/1.1\r\nhost: localhost\r\nx: {}\r\n\r\n", "y".repeat(200 << 10));
    let reply = raw(bed.gateway.address(), head.as_bytes()).await;
    assert!(matches!(reply.status, 0 | 400 | 431), "{}", reply.text());
    bed.bystander_is_served().await;
}

#[tokio::test]
async fn what_is_not_http_is_closed() {
    let bed = bed().await;
    for bytes in
        [&b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03"[..], b"SSH-2.0-x\r\n\r\n", b"\r\n\r\n\r\n\0\0\0\0"]
    {
        let mut line = Line::open(bed.gateway.address()).await;
        line.write(bytes).await;
        line.end().await;
        let reply = line.reply().await;
        assert!(matches!(reply.status, 0 | 400), "{}", reply.text());
    }
    bed.bystander_is_served().await;
}

#[tokio::test]
async fn two_lengths_are_refused() {
    let bed = bed().await;
    for lengths in [
        "content-length: 2\r\ncontent-length: 4\r\n",
        "content-length: 2\r\ntransfer-encoding: chunked\r\n",
        "transfer-encoding: gzip\r\n",
    ] {
        let text = format!(
            "POST {UP} HTTP/1.1\r\nhost: localhost\r\ncontent-type: application/json\r\naccept: */*\r\n{lengths}connection: close\r\n\r\n{{}}\r\n\r\n"
        );
        let mut line = Line::open(bed.gateway.address()).await;
        line.write(text.as_bytes()).await;
        line.end().await;
        let reply = line.reply().await;
        assert!(matches!(reply.status, 0 | 400 | 401), "{lengths}: {}", reply.text());
    }
    assert!(bed.up.calls().is_empty());
    bed.bystander_is_served().await;
}

#[tokio::test]
async fn a_dribbled_head_is_cut_off() {
    let bed = bed_with(|setup| setup.set(&["limits", "head_timeout"], json!("200ms"))).await;
    let mut line = Line::open(bed.gateway.address()).await;
    line.write(format!("POST {UP} HTTP/1.1\r\nhost: loc").as_bytes()).await;
    bed.bystander_is_served().await;
    let reply = line.reply().await;
    assert!(matches!(reply.status, 0 | 408), "{}", reply.text());
    bed.bystander_is_served().await;
}

#[tokio::test]
async fn a_dribbled_body_is_a_408() {
    let bed = bed_with(|setup| setup.set(&["limits", "body_timeout"], json!("200ms"))).await;
    let token = bed.gateway.token(&bed.idp, "alice", UP).sign();
    let mut line = Line::open(bed.gateway.address()).await;
    let head = format!(
        "POST {UP} HTTP/1.1\r\nhost: localhost\r\nauthorization: Bearer {token}\r\ncontent-type: application/json\r\naccept: */*\r\ncontent-length: 1000\r\nconnection: close\r\n\r\n{{\"jsonrpc\""
    );
    line.write(head.as_bytes()).await;
    bed.bystander_is_served().await;
    let reply = line.reply().await;
    assert_eq!(reply.status, 408, "{}", reply.text());
    bed.bystander_is_served().await;
}

#[tokio::test]
async fn an_abandoned_stateless_call_is_cancelled_and_on_record() {
    let bed = bed_where("slow", Act::Hang, |setup| setup).await;
    let caller = bed.caller("alice");
    let line = caller.begin(caller.request("tools/call", json!({"name": "slow", "arguments": {}}))).await;
    bed.up.call_of("slow").await;
    bed.bystander_is_served().await;
    drop(line);
    bed.up.abandoned(1).await;
    let outcome = eventually("the outcome", || {
        let found = bed.gateway.record_of("slow").pop().and_then(|found| found.outcome);
        std::future::ready(found)
    })
    .await;
    assert_eq!(
        (&outcome["status"], &outcome["attempt"]),
        (&json!("cancelled"), &json!("unknown")),
        "{outcome}"
    );
    bed.bystander_is_served().await;
}

#[tokio::test]
async fn one_principals_calls_leave_room_for_the_others() {
    let bed =
        bed_where("hold", Act::Hold, |setup| setup.set(&["limits", "calls_per_principal"], json!(1))).await;
    let alice = bed.caller("alice");
    let held = alice.call("hold", json!({"text": "held"}));
    let beside = async {
        bed.up.holding(1).await;
        let over = alice.call("echo", json!({"text": "one more"})).await;
        assert_eq!((over.status, code(&over).as_str()), (503, "PTN-1011"), "{}", over.text());
        assert!(over.headers.contains_key("retry-after"));
        bed.bystander_is_served().await;
        bed.up.release();
    };
    let (reply, ()) = tokio::join!(held, beside);
    served(&reply, "held");
    served(&alice.call("echo", json!({"text": "room again"})).await, "room again");
    assert!(!bed.up.calls().iter().any(|call| call["params"]["arguments"]["text"] == "one more"));
}

#[tokio::test]
async fn one_principals_streams_leave_room_for_the_others() {
    let bed = bed_with(|setup| setup.set(&["limits", "streams_per_principal"], json!(1))).await;
    let wanted = json!({"notifications": {"toolsListChanged": true}});
    let (alice, bob) = (bed.caller("alice"), bed.caller("bob"));
    let first = alice.stream(alice.request("subscriptions/listen", wanted.clone())).await;
    assert_eq!(first.status, 200);
    let over = alice.send(alice.request("subscriptions/listen", wanted.clone())).await;
    assert_eq!((over.status, code(&over).as_str()), (503, "PTN-1011"), "{}", over.text());
    assert_eq!(bob.stream(bob.request("subscriptions/listen", wanted)).await.status, 200);
}

#[tokio::test]
async fn all_streams_together_are_bounded() {
    let bed = bed_with(|setup| setup.set(&["limits", "streams"], json!(1))).await;
    let wanted = json!({"notifications": {"toolsListChanged": true}});
    let (alice, bob) = (bed.caller("alice"), bed.caller("bob"));
    let first = alice.stream(alice.request("subscriptions/listen", wanted.clone())).await;
    let over = bob.send(bob.request("subscriptions/listen", wanted)).await;
    assert_eq!((first.status, over.status, code(&over).as_str()), (200, 503, "PTN-1011"));
}

#[tokio::test]
async fn faults_at_the_edge_are_counted_on_record() {
    let mut bed = bed().await;
    let caller = bed.caller("alice");
    let mut request = caller.request("tools/list", json!({}));
    request.headers_mut().insert("host", "evil.example".parse().unwrap());
    for _ in 0..3 {
        let again = caller.stream(request.clone()).await.whole().await;
        assert_eq!(again.status, 403);
    }
    bed.gateway.shutdown().await;
    let rows: Vec<_> = bed
        .gateway
        .record()
        .into_iter()
        .filter(|found| found.leaf["kind"] == "authn_failures")
        .flat_map(|found| found.leaf["failures"].as_array().unwrap().clone())
        .collect();
    let counted: u64 =
        rows.iter().filter(|row| row["code"] == "PTN-1009").map(|row| row["count"].as_u64().unwrap()).sum();
    assert_eq!(counted, 3, "{rows:?}");
}
