//! New policies and configurations take over without anybody being dropped; bad ones do not.

use super::bed::{UP, bed, bed_where, served};
use serde_json::json;
use testkit::{Act, FakeUpstream, tool};

const NO_WRITES: &str = r#"@id("no-writes") forbid (principal, action == Action::"up/write", resource) when { context.args has text };"#;

#[tokio::test]
async fn a_new_policy_counts_from_the_reload_on_and_calls_in_flight_go_on() {
    let bed = bed_where("slow", Act::Hold, |setup| setup).await;
    let caller = bed.caller("alice");
    let slow = bed.caller("bob");
    let held = slow.call("slow", json!({"text": "in flight"}));
    let reload = async {
        bed.up.holding(1).await;
        served(&caller.call("write", json!({"text": "allowed"})).await, "allowed");
        bed.gateway.write_policy("no-writes", NO_WRITES);
        bed.gateway.reload().await.unwrap();
        assert!(caller.call("write", json!({"text": "forbidden"})).await.is_tool_error());
        bed.up.release();
    };
    let (held, ()) = tokio::join!(held, reload);
    served(&held, "in flight");
    assert!(bed.gateway.record().iter().any(|found| found.leaf["what"] == "policy_loaded"));
}

#[tokio::test]
async fn a_bad_policy_keeps_the_old_one_and_says_where_it_is_wrong() {
    let bed = bed().await;
    bed.gateway.write_policy("no-writes", NO_WRITES);
    bed.gateway.reload().await.unwrap();
    let caller = bed.caller("alice");
    for (name, text) in [
        ("syntax", "@id(\"x\") permit (principal, action, resource) when {\n  principal.roles.contains( };"),
        ("type", "@id(\"y\") forbid (principal, action, resource)\nwhen { principal.tenant > 3 };"),
    ] {
        bed.gateway.write_policy("bad", text);
        let refused = bed.gateway.reload().await.unwrap_err().to_string();
        assert!(refused.contains("bad.cedar") && refused.contains('2'), "{name}: {refused}");
        assert!(
            caller.call("write", json!({"text": "a"})).await.is_tool_error(),
            "{name}: the old policy holds"
        );
        bed.bystander_is_served().await;
    }
    assert!(bed.gateway.record().iter().any(|found| found.leaf["what"] == "policy_refused"));
}

#[tokio::test]
async fn a_bad_configuration_keeps_the_old_one_and_names_every_fault() {
    let bed = bed().await;
    bed.gateway
        .write_config_text("version: 1\nlisten: {adress: x}\nservers: {UP: {}}\nlimits: {json_depth: 0}\n");
    let refused = bed.gateway.reload().await.unwrap_err().to_string();
    for fault in ["adress", "UP", "json_depth"] {
        assert!(refused.contains(fault), "{fault}: {refused}");
    }
    bed.bystander_is_served().await;
    assert!(bed.gateway.record().iter().any(|found| found.leaf["what"] == "config_refused"));
}

#[tokio::test]
async fn servers_come_and_go_and_the_others_do_not_notice() {
    let mut bed = bed_where("slow", Act::Hold, |setup| setup).await;
    let second = FakeUpstream::start().await;
    let url = second.url().to_owned();
    bed.gateway.write_config(|config| {
        config["servers"]["second"] = json!({"http": {"url": url, "allow_loopback": true}});
    });
    let slow = bed.caller("bob");
    let held = slow.call("slow", json!({"text": "in flight"}));
    let reload = async {
        bed.up.holding(1).await;
        bed.gateway.reload().await.unwrap();
        let caller = bed.gateway.caller(&bed.idp, "alice", "/servers/second/mcp");
        let reply = testkit::eventually("the new server", || async {
            let reply = caller.call("echo", json!({"text": "new"})).await;
            reply.is_success().then_some(reply)
        });
        served(&reply.await, "new");
        bed.up.release();
    };
    let (held, ()) = tokio::join!(held, reload);
    served(&held, "in flight");
    bed.gateway.write_config(|config| drop(config["servers"].as_object_mut().unwrap().remove("second")));
    bed.gateway.reload().await.unwrap();
    let gone = bed.gateway.caller(&bed.idp, "alice", "/servers/second/mcp").call("echo", json!({})).await;
    assert_eq!(gone.status, 404, "{}", gone.text());
    bed.bystander_is_served().await;
}

#[tokio::test]
async fn a_drain_lets_open_calls_finish_ends_streams_and_takes_no_more() {
    let mut bed = bed_where("slow", Act::Hold, |setup| setup).await;
    let address = bed.gateway.address();
    let (slow, listener) = (bed.caller("alice"), bed.caller("bob"));
    let listen =
        listener.request("subscriptions/listen", json!({"notifications": {"toolsListChanged": true}}));
    let mut stream = listener.stream(listen).await;
    assert!(stream.next().await.is_some());
    let gateway = bed.gateway.take();
    let held = slow.call("slow", json!({"text": "in flight"}));
    let drain = async {
        bed.up.holding(1).await;
        let ending = tokio::spawn(gateway.shutdown());
        // The stream ends in order: its result, then its end.
        while let Some(message) = stream.next().await {
            assert!(message["error"].is_null(), "{message}");
        }
        let refused = testkit::eventually("a closed door", || async {
            tokio::net::TcpStream::connect(address).await.is_err().then_some(())
        });
        refused.await;
        bed.up.release();
        ending.await.unwrap();
    };
    let (held, ()) = tokio::join!(held, drain);
    served(&held, "in flight");
    let record = bed.gateway.record();
    let call = record.iter().find(|found| found.leaf["target"]["name"] == "slow").unwrap();
    assert_eq!(call.outcome.as_ref().unwrap()["status"], "ok");
    assert_eq!(record.last().unwrap().leaf["what"], "stopped", "{:?}", record.last());
}

#[tokio::test]
async fn a_tool_that_appears_is_judged_by_policies_that_were_there_before() {
    let early = r#"@id("early") forbid (principal, action == Action::"up/late", resource)
        when { context.args has amount && context.args.amount > 10 };"#;
    let bed = super::bed::bed_with(|setup| setup.policy("early", early)).await;
    let caller = bed.caller("alice");
    bed.up.changed(vec![tool("echo"), tool("late")]);
    testkit::eventually("the new tool", || async {
        caller.tools().await.contains(&"late".to_owned()).then_some(())
    })
    .await;
    served(&caller.call("late", json!({"amount": 10})).await, "10");
    assert!(caller.call("late", json!({"amount": 11})).await.is_tool_error());
    assert_eq!(bed.gateway.caller(&bed.idp, "alice", UP).tools().await, ["echo", "late"]);
}
