//! Lists hold what their reader could use, and nothing else; they are nobody else's.

use super::bed::{SHARED, UP, bed, bed_with};
use serde_json::json;
use testkit::{Era, FakeIdp, FakeUpstream, Setup, clock, tool};

const ROLES: &str = r#"
@id("see") permit (principal, action == Action::"discover:up", resource);
@id("readers") permit (principal, action == Action::"up/echo", resource) when { principal.roles.contains("reader") };
@id("writers") permit (principal, action == Action::"up/write", resource) when { principal.roles.contains("writer") };
@id("small") forbid (principal, action == Action::"up/write", resource)
  when { context.args has amount && context.args.amount > 10 };
"#;

#[tokio::test]
async fn a_list_holds_what_some_arguments_could_permit() {
    let bed = bed_with(|setup| setup.without_policies().policy("roles", ROLES)).await;
    let good = bed.gateway.token(&bed.idp, "alice", UP);
    for (roles, expect) in [
        (json!(["reader"]), vec!["echo"]),
        (json!(["writer"]), vec!["write"]),
        (json!(["reader", "writer"]), vec!["echo", "write"]),
        (json!([]), vec![]),
    ] {
        let caller = bed.gateway.with_token(UP, &good.clone().claim("roles", roles.clone()));
        assert_eq!(caller.tools().await, expect, "{roles}");
    }
}

#[tokio::test]
async fn lists_leave_private_and_uncacheable() {
    let bed = bed().await;
    for method in
        ["tools/list", "prompts/list", "resources/list", "resources/templates/list", "server/discover"]
    {
        let result = bed.caller("alice").ask(method, json!({})).await.result();
        assert_eq!(
            (&result["cacheScope"], &result["ttlMs"]),
            (&json!("private"), &json!(0)),
            "{method}: {result}"
        );
        assert_eq!(result["resultType"], "complete", "{method}");
    }
}

#[tokio::test]
async fn a_resource_leaves_private_and_uncacheable() {
    let idp = FakeIdp::start(clock()).await;
    for era in [Era::Stateless, Era::Session] {
        let up = FakeUpstream::of(&[era]).await;
        let gateway = Setup::trusting(&idp).server("up", &up).start().await;
        let caller = gateway.caller(&idp, "alice", UP);
        let result = caller.ask("resources/read", json!({"uri": "fake://note"})).await.result();
        assert_eq!(result["contents"][0]["text"], "a note", "{era:?}: {result}");
        assert_eq!(
            (&result["cacheScope"], &result["ttlMs"]),
            (&json!("private"), &json!(0)),
            "{era:?}: {result}"
        );
    }
}

#[tokio::test]
async fn a_list_is_in_one_order_and_its_pages_make_it_whole() {
    let idp = FakeIdp::start(clock()).await;
    let (first, second) = (FakeUpstream::start().await, FakeUpstream::start().await);
    first.changed((0..7).rev().map(|number| tool(&format!("t{number}"))).collect());
    let setup = Setup::trusting(&idp).server("zeta", &first).server("alpha", &second);
    let gateway = setup.set(&["limits", "page_items"], json!(4)).start().await;
    let caller = gateway.caller(&idp, "alice", SHARED);
    let (mut names, mut cursor) = (Vec::new(), None::<String>);
    loop {
        let params = cursor.as_ref().map_or_else(|| json!({}), |cursor| json!({"cursor": cursor}));
        let result = caller.ask("tools/list", params).await.result();
        let page = result["tools"].as_array().unwrap().clone();
        assert!(page.len() <= 4);
        names.extend(page.iter().map(|tool| tool["name"].as_str().unwrap().to_owned()));
        match result["nextCursor"].as_str() {
            Some(next) => cursor = Some(next.to_owned()),
            None => break,
        }
    }
    let mut expected = vec!["alpha__echo".to_owned(), "alpha__write".to_owned()];
    expected.extend((0..7).map(|number| format!("zeta__t{number}")));
    assert_eq!(names, expected);
    let forged = caller.ask("tools/list", json!({"cursor": "forged"})).await;
    assert_eq!(forged.error_code(), -32602, "{}", forged.text());
}

#[tokio::test]
async fn unknown_members_of_definitions_survive() {
    let bed = bed().await;
    let mut odd = tool("odd");
    odd["x-unknown"] = json!({"b": [1.0, null], "a": "é"});
    odd["inputSchema"]["$defs"] = json!({"deep": {"$anchor": "here"}});
    bed.up.changed(vec![odd.clone()]);
    let caller = bed.caller("alice");
    let listed = testkit::eventually("the new tool", || async {
        caller.ask("tools/list", json!({})).await.result()["tools"]
            .as_array()
            .unwrap()
            .iter()
            .find(|tool| tool["name"] == "odd")
            .cloned()
    })
    .await;
    assert_eq!(listed, odd);
}

#[tokio::test]
async fn every_pair_of_eras_lists_and_calls() {
    let idp = FakeIdp::start(clock()).await;
    for server in [vec![Era::Stateless], vec![Era::Session], vec![Era::Stateless, Era::Session]] {
        let up = FakeUpstream::of(&server).await;
        let gateway = Setup::trusting(&idp).server("up", &up).start().await;
        for client in [Era::Stateless, Era::Session] {
            let mut caller = gateway.caller(&idp, "alice", UP);
            if client == Era::Session {
                caller = caller.open().await;
            }
            assert_eq!(caller.tools().await, ["echo", "write"], "{client:?} to {server:?}");
            let reply = caller.call("echo", json!({"text": "across"})).await;
            assert!(
                reply.is_success() && reply.content().contains("across"),
                "{client:?} to {server:?}: {}",
                reply.text()
            );
            let stamped = reply.result().get("resultType").is_some();
            assert_eq!(stamped, client == Era::Stateless, "{client:?} to {server:?}: {}", reply.text());
        }
    }
}

#[tokio::test]
async fn news_of_a_changed_list_reach_who_listens() {
    let bed = bed().await;
    let stateless = bed.caller("alice");
    let listen =
        stateless.request("subscriptions/listen", json!({"notifications": {"toolsListChanged": true}}));
    let mut stream = stateless.stream(listen).await;
    assert_eq!(stream.next().await.unwrap()["method"], "notifications/subscriptions/acknowledged");
    let older = bed.caller("bob").open().await;
    let mut get = older.stream(older.listening()).await;
    assert_eq!(get.status, 200);
    bed.up.changed(vec![tool("echo"), tool("write"), tool("third")]);
    assert_eq!(stream.next().await.unwrap()["method"], "notifications/tools/list_changed");
    assert_eq!(get.next().await.unwrap()["method"], "notifications/tools/list_changed");
    assert!(stateless.tools().await.contains(&"third".to_owned()));
    bed.bystander_is_served().await;
}

#[tokio::test]
async fn a_follower_hears_of_its_own_resource_only() {
    let bed = bed().await;
    let caller = bed.caller("alice");
    let wanted = json!({"notifications": {"resourceSubscriptions": ["fake://note"]}});
    let mut stream = caller.stream(caller.request("subscriptions/listen", wanted)).await;
    assert_eq!(stream.next().await.unwrap()["method"], "notifications/subscriptions/acknowledged");
    // The server of the tests keeps others' news to itself: one that names nothing stands for one of another.
    bed.up.says(json!({"jsonrpc": "2.0", "method": "notifications/resources/updated", "params": {}}));
    bed.up.updated("fake://note");
    assert_eq!(stream.next().await.unwrap()["params"]["uri"], "fake://note");
}

#[tokio::test]
async fn a_tool_with_an_invalid_header_annotation_is_dropped_with_a_reason() {
    let bed = bed().await;
    let mut bad = tool("bad");
    bad["inputSchema"]["properties"]["text"]["x-mcp-header"] = json!("not a header name!");
    bed.up.changed(vec![bad, tool("good")]);
    let caller = bed.caller("alice");
    let names = testkit::eventually("the new tool", || async {
        let names = caller.tools().await;
        names.contains(&"good".to_owned()).then_some(names)
    })
    .await;
    assert_eq!(names, ["good"]);
    let event = bed.gateway.record().into_iter().find(|found| found.leaf["what"] == "tool_dropped").unwrap();
    assert_eq!(event.leaf["name"], "bad");
    assert!(event.leaf["detail"].as_str().is_some_and(|detail| !detail.is_empty()));
}
