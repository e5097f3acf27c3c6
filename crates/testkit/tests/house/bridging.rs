//! An older client in front of a newer server: what the server asks by `input_required` is asked on the stream of the
//! client's call, and the call goes on with the answers (MCP 2026-07-28, basic/patterns/mrtr).

use super::bed::{Bed, UP, code};
use serde_json::{Value, json};
use testkit::{Act, Caller, Era, FakeIdp, FakeUpstream, Setup, Stream, clock, eventually};

/// A server of the newer era only, whose tool `ask` asks something before it answers.
async fn asking(method: &str, params: Value) -> Bed {
    let idp = FakeIdp::start(clock()).await;
    let up = FakeUpstream::of(&[Era::Stateless]).await.with("ask", Act::Ask(method.to_owned(), params));
    let gateway = Setup::trusting(&idp).server("up", &up).start().await;
    Bed { idp, up, gateway }
}

/// An older client that answers anything.
async fn older(bed: &Bed, user: &str) -> Caller {
    let everything = json!({"elicitation": {"form": {}, "url": {}}, "sampling": {}, "roots": {}});
    bed.gateway.caller(&bed.idp, user, UP).capable_of(everything).open().await
}

/// Calls `ask` and hears the first question: the stream of the call, and the question.
async fn asked(caller: &Caller) -> (Stream, Value) {
    let call = caller.request("tools/call", json!({"name": "ask", "arguments": {"text": "a"}}));
    let mut stream = caller.stream(call).await;
    let question = stream.next().await.unwrap();
    (stream, question)
}

/// Answers a question; the status of that.
async fn answer(caller: &Caller, question: &Value, result: Value) -> u16 {
    let message = json!({"jsonrpc": "2.0", "id": question["id"], "result": result});
    caller.send(caller.post(&message)).await.status
}

fn form(fields: Value) -> Value {
    json!({"message": "which?", "requestedSchema": {"type": "object", "properties": fields}})
}

#[tokio::test]
async fn an_older_client_answers_what_a_newer_server_asks() {
    for (method, params, result) in [
        (
            "elicitation/create",
            form(json!({"name": {"type": "string"}})),
            json!({"action": "accept", "content": {"name": "n"}}),
        ),
        (
            "sampling/createMessage",
            json!({"messages": [], "maxTokens": 1}),
            json!({"role": "assistant", "model": "m", "content": {"type": "text", "text": "t"}}),
        ),
        ("roots/list", json!({}), json!({"roots": [{"uri": "file:///a"}]})),
    ] {
        let bed = asking(method, params).await;
        let caller = older(&bed, "alice").await;
        let (mut stream, question) = asked(&caller).await;
        assert_eq!(question["method"], method);
        assert_eq!(answer(&caller, &question, result.clone()).await, 202);
        let last = stream.next().await.unwrap();
        let text = last["result"]["content"][0]["text"].as_str().unwrap_or_else(|| panic!("{last}"));
        assert_eq!(serde_json::from_str::<Value>(text).unwrap(), result);
        assert!(last["result"].get("resultType").is_none() && stream.next().await.is_none(), "{last}");
        // Two legs upstream, each with an id of its own and the server's own state; one call on record.
        let legs = bed.up.calls();
        assert_eq!(legs.len(), 2);
        assert!(legs[0]["id"] != legs[1]["id"] && legs[0]["params"].get("requestState").is_none());
        assert_eq!(legs[1]["params"]["requestState"], "the-servers-own-state");
        let declared = &legs[0]["params"]["_meta"]["io.modelcontextprotocol/clientCapabilities"];
        assert_eq!(declared, &json!({"elicitation": {"form": {}, "url": {}}, "sampling": {}, "roots": {}}));
        let record = bed.gateway.record_of("ask");
        let ended: Vec<Value> =
            record.iter().map(|leg| leg.outcome.clone().unwrap()["status"].clone()).collect();
        assert_eq!(ended, [json!("input_required"), json!("ok")]);
        assert_eq!(record[0].leaf["call"], record[1].leaf["call"]);
    }
}

#[tokio::test]
async fn the_asking_server_is_named_and_a_page_has_an_id() {
    let bed = asking(
        "elicitation/create",
        json!({"mode": "url", "message": "sign in", "url": "https://a.example/"}),
    )
    .await;
    let (_stream, question) = asked(&older(&bed, "alice").await).await;
    assert_eq!(question["params"]["message"], "[up] sign in");
    assert!(
        question["params"]["elicitationId"].as_str().is_some_and(|id| id.starts_with("ptn-")),
        "{question}"
    );
}

#[tokio::test]
async fn a_form_that_asks_for_a_secret_is_not_put_to_the_client() {
    let bed = asking("elicitation/create", form(json!({"apiKey": {"type": "string"}}))).await;
    let caller = older(&bed, "alice").await;
    let reply = caller.call("ask", json!({"text": "a"})).await;
    assert!(reply.messages().iter().all(|message| message.get("method").is_none()), "{}", reply.text());
    assert_eq!(code(&reply), "PTN-4002");
    let outcome = bed.call_on_record("ask").outcome.unwrap();
    assert!(outcome["reason"].as_str().unwrap().starts_with("forms: "), "{outcome}");
}

#[tokio::test]
async fn a_question_that_the_client_did_not_declare_is_not_asked() {
    let bed = asking("sampling/createMessage", json!({"messages": []})).await;
    let caller = bed.caller("alice").capable_of(json!({"elicitation": {}})).open().await;
    let reply = caller.call("ask", json!({"text": "a"})).await;
    assert!(reply.messages().iter().all(|message| message.get("method").is_none()), "{}", reply.text());
    assert_eq!(code(&reply), "PTN-4002");
}

#[tokio::test]
async fn nobody_else_answers_for_the_caller() {
    let bed = asking("elicitation/create", form(json!({"name": {"type": "string"}}))).await;
    let (alice, mallory) = (older(&bed, "alice").await, older(&bed, "mallory").await);
    let (mut stream, question) = asked(&alice).await;
    let (mut other, others) = asked(&mallory).await;
    // Session by session, so that even equal ids mean different questions.
    let forged = json!({"action": "accept", "content": {"name": "forged"}});
    assert_eq!(answer(&mallory, &json!({"id": "ptn-999"}), forged.clone()).await, 400);
    assert_eq!(answer(&mallory, &others, forged).await, 202);
    assert!(other.next().await.unwrap().to_string().contains("forged"));
    assert_eq!(
        answer(&alice, &question, json!({"action": "accept", "content": {"name": "hers"}})).await,
        202
    );
    let last = stream.next().await.unwrap().to_string();
    assert!(last.contains("hers") && !last.contains("forged"), "{last}");
    // Once answered, it is answered.
    assert_eq!(answer(&alice, &question, json!({"action": "decline"})).await, 400);
}

#[tokio::test]
async fn a_server_that_asks_for_ever_is_given_up() {
    let bed = asking("sampling/createMessage", json!({"messages": []})).await;
    let caller = older(&bed, "alice").await;
    let (mut stream, mut question) = asked(&caller).await;
    let mut times = 0;
    let last = loop {
        times += 1;
        let refusal = json!({"jsonrpc": "2.0", "id": question["id"], "error": {"code": -1, "message": "no"}});
        assert_eq!(caller.send(caller.post(&refusal)).await.status, 202);
        let next = stream.next().await.unwrap();
        if next.get("method").is_none() {
            break next;
        }
        question = next;
    };
    assert_eq!((times, last["error"]["data"]["code"].as_str()), (10, Some("PTN-4002")), "{last}");
    assert_eq!(bed.up.calls().len(), 11);
}

#[tokio::test]
async fn a_call_withdrawn_while_its_caller_is_asked_is_on_record() {
    let bed = asking("elicitation/create", form(json!({"name": {"type": "string"}}))).await;
    let caller = older(&bed, "alice").await;
    let call = caller.message("tools/call", json!({"name": "ask", "arguments": {"text": "a"}}));
    let mut stream = caller.stream(caller.post(&call)).await;
    let question = stream.next().await.unwrap();
    let withdrawal =
        json!({"jsonrpc": "2.0", "method": "notifications/cancelled", "params": {"requestId": call["id"]}});
    assert_eq!(caller.send(caller.post(&withdrawal)).await.status, 202);
    let denial = eventually("the record of it", || {
        let record = bed.gateway.record();
        std::future::ready(record.into_iter().find(|found| found.leaf["kind"] == "denial"))
    })
    .await;
    assert_eq!(
        (denial.leaf["status"].as_str(), denial.leaf["code"].as_str()),
        (Some("cancelled"), Some("PTN-1014"))
    );
    let first = bed.gateway.record_of("ask").remove(0);
    assert_eq!(denial.leaf["call"], first.leaf["call"]);
    assert_eq!(answer(&caller, &question, json!({"action": "decline"})).await, 400);
    assert_eq!(bed.up.calls().len(), 1);
}

#[tokio::test]
async fn the_second_leg_is_judged_anew() {
    let bed = asking("elicitation/create", form(json!({"name": {"type": "string"}}))).await;
    let caller = older(&bed, "alice").await;
    let (mut stream, question) = asked(&caller).await;
    bed.gateway.write_policy("closed", "@id(\"closed\") forbid (principal, action == Action::\"up/ask\", resource) when { context.args has text };");
    bed.gateway.reload().await.unwrap();
    assert_eq!(answer(&caller, &question, json!({"action": "accept", "content": {"name": "n"}})).await, 202);
    let last = stream.next().await.unwrap();
    assert!(last["result"]["isError"] == true && last.to_string().contains("PTN-3001"), "{last}");
    assert_eq!(bed.up.calls().len(), 1);
}
