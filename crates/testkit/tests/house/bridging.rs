//! Conversations between the eras (MCP 2026-07-28, basic/patterns/mrtr). An older client in front of a newer server is
//! asked on the stream of its call, and the call goes on with the answers. A newer client in front of an older server
//! gets the question as `input_required`, and its retry goes on with the call that waits.

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
async fn a_server_that_asks_a_newer_client_for_ever_is_given_up() {
    // Of either era: the newer one asks whenever it is called, the older one after each answer.
    let question = json!({
        "resultType": "input_required",
        "inputRequests": {"question": {"method": "elicitation/create", "params": name_form()}},
    });
    let forever = Act::AskAgain("elicitation/create".to_owned(), name_form());
    for (era, act) in [(Era::Stateless, Act::Answer(question)), (Era::Session, forever)] {
        let idp = FakeIdp::start(clock()).await;
        let up = FakeUpstream::of(&[era]).await.with("ask", act);
        let bed = Bed { gateway: Setup::trusting(&idp).server("up", &up).start().await, idp, up };
        let caller = newer(&bed, "alice");
        let mut reply = caller.call("ask", json!({"text": "a"})).await;
        let mut times = 0;
        while reply.result()["resultType"] == "input_required" {
            times += 1;
            reply = retry(&caller, "a", &reply.result()["requestState"], accepted("n")).await;
        }
        assert_eq!(times, 10, "{era:?}");
        // The newer server has failed; the older one was told that nobody can be asked, and ended by itself.
        let ended =
            if era == Era::Stateless { code(&reply) == "PTN-4002" } else { reply.content() == "null" };
        assert!(ended, "{}", reply.text());
    }
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

/// A server of the older era only, whose tool `ask` asks for a name in the middle of its work.
async fn older_server(change: impl FnOnce(Setup) -> Setup) -> Bed {
    let (idp, act) = (FakeIdp::start(clock()).await, Act::Ask("elicitation/create".to_owned(), name_form()));
    let up = FakeUpstream::of(&[Era::Session]).await.with("ask", act);
    let gateway = change(Setup::trusting(&idp).server("up", &up)).start().await;
    Bed { idp, up, gateway }
}

fn name_form() -> Value {
    form(json!({"name": {"type": "string"}}))
}

/// A newer client that answers forms.
fn newer(bed: &Bed, user: &str) -> Caller {
    bed.caller(user).capable_of(json!({"elicitation": {}}))
}

/// The retry of a call of `ask` with what the caller answers.
async fn retry(caller: &Caller, text: &str, state: &Value, answers: Value) -> testkit::Reply {
    let params = json!({
        "name": "ask", "arguments": {"text": text}, "requestState": state, "inputResponses": answers,
    });
    caller.ask("tools/call", params).await
}

fn accepted(name: &str) -> Value {
    json!({"question": {"action": "accept", "content": {"name": name}}})
}

#[tokio::test]
async fn a_newer_client_answers_what_an_older_server_asks() {
    let bed = older_server(|setup| setup).await;
    let caller = newer(&bed, "alice");
    let first = caller.call("ask", json!({"text": "a"})).await.result();
    assert_eq!(first["resultType"], "input_required", "{first}");
    let question = &first["inputRequests"]["question"];
    assert_eq!(
        (&question["method"], &question["params"]["message"]),
        (&json!("elicitation/create"), &json!("[up] which?"))
    );
    assert!(bed.gateway.admin("/metrics").await.text().contains("portunus_calls_parked 1"));
    let last = retry(&caller, "a", &first["requestState"], accepted("n")).await;
    assert_eq!(last.result()["resultType"], "complete", "{}", last.text());
    assert_eq!(serde_json::from_str::<Value>(&last.content()).unwrap(), accepted("n")["question"]);
    // One call at the server, one call of two legs on record, and the client's own capabilities told.
    assert_eq!(bed.up.calls().len(), 1);
    let record = bed.gateway.record_of("ask");
    let ended: Vec<Value> = record.iter().map(|leg| leg.outcome.clone().unwrap()["status"].clone()).collect();
    assert_eq!(ended, [json!("input_required"), json!("ok")]);
    assert_eq!(record[0].leaf["call"], record[1].leaf["call"]);
    let told = bed.up.seen().into_iter().filter_map(|seen| serde_json::from_slice::<Value>(&seen.body).ok());
    let told: Vec<Value> = told.filter(|body| body["method"] == "initialize").collect();
    assert!(told.iter().any(|body| body["params"]["capabilities"] == json!({"elicitation": {}})), "{told:?}");
    assert!(bed.gateway.admin("/metrics").await.text().contains("portunus_calls_parked 0"));
}

#[tokio::test]
async fn a_waiting_call_is_its_callers_and_goes_on_once() {
    let bed = older_server(|setup| setup).await;
    let alice = newer(&bed, "alice");
    let state = alice.call("ask", json!({"text": "a"})).await.result()["requestState"].clone();
    let mallory = newer(&bed, "mallory");
    for (name, reply) in [
        ("somebody else's", retry(&mallory, "a", &state, accepted("forged")).await),
        ("of other arguments", retry(&alice, "b", &state, accepted("forged")).await),
        ("made up", retry(&alice, "a", &json!("made up"), accepted("forged")).await),
    ] {
        assert_eq!(code(&reply), "PTN-1013", "{name}: {}", reply.text());
    }
    let last = retry(&alice, "a", &state, accepted("hers")).await;
    assert!(last.content().contains("hers"), "{}", last.text());
    let replay = retry(&alice, "a", &state, accepted("again")).await;
    assert_eq!((replay.status, code(&replay).as_str()), (400, "PTN-1013"));
    assert_eq!(bed.up.calls().len(), 1);
}

#[tokio::test]
async fn a_question_that_was_not_answered_is_asked_again() {
    let bed = older_server(|setup| setup).await;
    let caller = newer(&bed, "alice");
    let first = caller.call("ask", json!({"text": "a"})).await.result();
    let second =
        retry(&caller, "a", &first["requestState"], json!({"other": {"action": "accept"}})).await.result();
    assert_eq!(second["inputRequests"], first["inputRequests"]);
    // The first state has been used.
    assert_eq!(code(&retry(&caller, "a", &first["requestState"], accepted("n")).await), "PTN-1013");
    let last = retry(&caller, "a", &second["requestState"], accepted("n")).await;
    assert!(last.is_success(), "{}", last.text());
}

#[tokio::test]
async fn an_older_servers_question_is_declined_for_a_client_that_did_not_declare_it() {
    let bed = older_server(|setup| setup).await;
    let caller = bed.caller("alice").capable_of(json!({"sampling": {}}));
    let reply = caller.call("ask", json!({"text": "a"})).await;
    // The server was told that nobody can be asked, and its tool said what it makes of that.
    assert!(reply.is_success() && reply.content() == "null", "{}", reply.text());
}

#[tokio::test]
async fn a_call_that_nobody_takes_up_again_is_cancelled_and_on_record() {
    let bed = older_server(|setup| setup.set(&["limits", "question_timeout"], json!("300ms"))).await;
    let caller = newer(&bed, "alice");
    let first = caller.call("ask", json!({"text": "a"})).await.result();
    let denial = eventually("the end of the call", || {
        let record = bed.gateway.record();
        std::future::ready(record.into_iter().find(|found| found.leaf["kind"] == "denial"))
    })
    .await;
    assert_eq!(
        (denial.leaf["status"].as_str(), denial.leaf["code"].as_str()),
        (Some("timed_out"), Some("PTN-1014"))
    );
    assert_eq!(denial.leaf["call"], bed.gateway.record_of("ask").remove(0).leaf["call"]);
    eventually("the server to be told", || {
        let told = bed
            .up
            .seen()
            .iter()
            .any(|seen| String::from_utf8_lossy(&seen.body).contains("notifications/cancelled"));
        std::future::ready(told.then_some(()))
    })
    .await;
    let late = retry(&caller, "a", &first["requestState"], accepted("late")).await;
    assert_eq!(code(&late), "PTN-1013", "{}", late.text());
    bed.bystander_is_served().await;
}

#[tokio::test]
async fn the_retry_of_a_waiting_call_is_judged_anew() {
    let bed = older_server(|setup| setup).await;
    let caller = newer(&bed, "alice");
    let first = caller.call("ask", json!({"text": "a"})).await.result();
    bed.gateway.write_policy("closed", "@id(\"closed\") forbid (principal, action == Action::\"up/ask\", resource) when { context.args has text };");
    bed.gateway.reload().await.unwrap();
    let denied = retry(&caller, "a", &first["requestState"], accepted("n")).await;
    assert!(denied.is_tool_error() && code(&denied) == "PTN-3001", "{}", denied.text());
}

#[tokio::test]
async fn an_older_client_follows_a_resource_of_a_newer_server() {
    let bed = asking("roots/list", json!({})).await;
    let caller = older(&bed, "alice").await;
    let mut stream = caller.stream(caller.listening()).await;
    let about = |uri: &str| json!({"uri": uri});
    let subscribed = caller.ask("resources/subscribe", about("fake://note")).await;
    assert_eq!(subscribed.result(), json!({}), "{}", subscribed.text());
    bed.up.updated("fake://other");
    bed.up.updated("fake://note");
    let told = stream.next().await.unwrap();
    assert_eq!(
        (&told["method"], &told["params"]),
        (&json!("notifications/resources/updated"), &json!({"uri": "fake://note"}))
    );
    // The server sees a stream for it, and its end.
    let listens = || {
        let seen = bed.up.seen();
        let wanted = |seen: &testkit::Seen| {
            String::from_utf8_lossy(&seen.body).contains("resourceSubscriptions\":[\"fake://note\"]")
        };
        seen.iter().filter(|seen| wanted(seen)).count()
    };
    assert_eq!(listens(), 1);
    let ended = caller.ask("resources/unsubscribe", about("fake://note")).await;
    assert_eq!(ended.result(), json!({}), "{}", ended.text());
    bed.up.updated("fake://note");
    caller.ask("resources/subscribe", about("fake://note")).await;
    bed.up.updated("fake://note");
    assert_eq!(stream.next().await.unwrap()["params"]["uri"], "fake://note");
    assert_eq!(listens(), 2);
    let calls =
        bed.gateway.record().into_iter().filter(|found| found.leaf["method"] == "resources/subscribe");
    assert!(calls.clone().count() == 2 && calls.clone().all(|call| call.outcome.unwrap()["status"] == "ok"));
    // What nobody may read, nobody follows.
    bed.gateway.write_policy(
        "closed",
        "@id(\"closed\") forbid (principal, action == Action::\"resource:up\", resource);",
    );
    bed.gateway.reload().await.unwrap();
    let refused = caller.ask("resources/subscribe", about("fake://more")).await;
    assert!(refused.error_code() != 0, "{}", refused.text());
}

#[tokio::test]
async fn pages_that_an_older_server_wants_visited_are_asked_for() {
    let pages =
        json!([{"mode": "url", "elicitationId": "e1", "message": "sign in", "url": "https://a.example/"}]);
    let (idp, act) = (FakeIdp::start(clock()).await, Act::Pages(pages));
    let up = FakeUpstream::of(&[Era::Session]).await.with("ask", act.clone());
    let bed = Bed { gateway: Setup::trusting(&idp).server("up", &up).start().await, idp, up };
    let visitor = bed.caller("alice").capable_of(json!({"elicitation": {"url": {}}}));
    let first = visitor.call("ask", json!({"text": "a"})).await.result();
    let page = json!({"mode": "url", "message": "[up] sign in", "url": "https://a.example/"});
    assert_eq!(
        first["inputRequests"]["page-1"],
        json!({"method": "elicitation/create", "params": page}),
        "{first}"
    );
    let last = retry(&visitor, "a", &first["requestState"], json!({"page-1": {"action": "accept"}})).await;
    assert!(last.is_success() && last.content().contains("\"text\":\"a\""), "{}", last.text());
    // An older server knows neither answers nor state.
    let sent = bed.up.calls().pop().unwrap();
    assert!(
        sent["params"].get("inputResponses").is_none() && sent["params"].get("requestState").is_none(),
        "{sent}"
    );
    // Who visits no pages learns what is missing.
    bed.up.acts("ask", act);
    let reply = newer(&bed, "bob").call("ask", json!({"text": "a"})).await;
    assert_eq!((reply.status, reply.error_code()), (400, -32021), "{}", reply.text());
    assert_eq!(reply.error()["data"]["requiredCapabilities"], json!({"elicitation": {"url": {}}}));
}

#[tokio::test]
async fn where_several_servers_are_shown_questions_bear_their_servers_names() {
    let idp = FakeIdp::start(clock()).await;
    let act = Act::Ask("elicitation/create".to_owned(), name_form());
    let old = FakeUpstream::of(&[Era::Session]).await.with("ask", act.clone());
    let new = FakeUpstream::of(&[Era::Stateless]).await.with("ask", act);
    let gateway = Setup::trusting(&idp).server("old", &old).server("new", &new).start().await;
    let shared = |user: &str| gateway.caller(&idp, user, "/mcp").capable_of(json!({"elicitation": {}}));
    let answered = json!({"action": "accept", "content": {"name": "n"}});
    for (tool, key) in [("old__ask", "old__question"), ("new__ask", "new__question-1")] {
        let caller = shared("alice");
        let first = caller.call(tool, json!({"text": "a"})).await.result();
        let keys: Vec<_> = first["inputRequests"].as_object().unwrap().keys().collect();
        assert_eq!(keys, [key]);
        let retry = async |key: &str, state: &Value| {
            let params = json!({
                "name": tool, "arguments": {"text": "a"}, "requestState": state, "inputResponses": {key: answered},
            });
            caller.ask("tools/call", params).await
        };
        // Another server's answer is no answer: it is asked again.
        let again = retry("other__question", &first["requestState"]).await.result();
        assert_eq!(again["inputRequests"].as_object().unwrap().keys().collect::<Vec<_>>(), [key], "{again}");
        if tool == "new__ask" {
            assert_eq!(new.calls().pop().unwrap()["params"]["inputResponses"], json!({}));
        }
        let last = retry(key, &again["requestState"]).await;
        assert_eq!(serde_json::from_str::<Value>(&last.content()).unwrap(), answered, "{}", last.text());
    }
    // The server is asked under its own keys; an older client sees none.
    let answers = new.calls().pop().unwrap()["params"]["inputResponses"].clone();
    assert_eq!(answers, json!({"question-1": answered}));
    let older = shared("bob").open().await;
    let call = older.request("tools/call", json!({"name": "new__ask", "arguments": {"text": "a"}}));
    let mut stream = older.stream(call).await;
    let question = stream.next().await.unwrap();
    assert_eq!(answer(&older, &question, answered.clone()).await, 202);
    let last = stream.next().await.unwrap();
    assert_eq!(last["result"]["content"][0]["text"].as_str(), Some(answered.to_string().as_str()));
}

#[tokio::test]
async fn a_call_that_waits_when_the_gateway_ends_is_cancelled_and_on_record() {
    let mut bed = older_server(|setup| setup).await;
    let first = newer(&bed, "alice").call("ask", json!({"text": "a"})).await.result();
    assert_eq!(first["resultType"], "input_required", "{first}");
    bed.gateway.shutdown().await;
    let record = bed.gateway.record();
    let denial = record.iter().find(|found| found.leaf["kind"] == "denial").unwrap();
    assert_eq!(
        (denial.leaf["status"].as_str(), denial.leaf["code"].as_str()),
        (Some("cancelled"), Some("PTN-1014"))
    );
    let seen = bed.up.seen();
    let told =
        seen.iter().any(|seen| String::from_utf8_lossy(&seen.body).contains("notifications/cancelled"));
    assert!(told, "the server was not told");
}
