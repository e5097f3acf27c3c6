//! The server itself.

use super::act::Act;
use super::body::Outgoing;
use super::{House, Seen};
use crate::client::Era;
use bytes::Bytes;
use http::{Method, Request, Response, StatusCode, header};
use http_body_util::BodyExt as _;
use hyper::body::Incoming;
use hyper_util::rt::TokioIo;
use serde_json::{Value, json};
use std::io;
use std::sync::Arc;
use std::sync::atomic::Ordering;
use tokio::net::TcpListener;
use tokio::sync::{broadcast, mpsc};

pub(super) async fn serve(listener: TcpListener, house: Arc<House>) {
    // Ends with the server: its connections end with it.
    let mut connections = tokio::task::JoinSet::new();
    loop {
        let Ok((stream, _)) = listener.accept().await else { return };
        let house = Arc::clone(&house);
        let service = hyper::service::service_fn(move |request| {
            let house = Arc::clone(&house);
            async move { house.respond(request).await }
        });
        connections.spawn(
            hyper::server::conn::http1::Builder::new().serve_connection(TokioIo::new(stream), service),
        );
    }
}

/// Counts a request that is dropped before it is answered.
struct Pending<'a>(&'a House, bool);

/// Counts a stream while it is open.
struct Listening(Arc<House>);

impl Listening {
    fn new(house: &Arc<House>) -> Self {
        house.streams.fetch_add(1, Ordering::SeqCst);
        Self(Arc::clone(house))
    }
}

impl Drop for Listening {
    fn drop(&mut self) {
        self.0.streams.fetch_sub(1, Ordering::SeqCst);
    }
}

impl Drop for Pending<'_> {
    fn drop(&mut self) {
        if !self.1 {
            self.0.abandoned.fetch_add(1, Ordering::SeqCst);
        }
    }
}

impl House {
    async fn respond(self: Arc<Self>, request: Request<Incoming>) -> io::Result<Response<Outgoing>> {
        let (head, body) = request.into_parts();
        let body = body.collect().await.map_err(io::Error::other)?.to_bytes();
        let seen = Seen { method: head.method.clone(), headers: head.headers.clone(), body: body.clone() };
        if !self.forgets.load(Ordering::SeqCst) {
            self.seen.lock().unwrap().push(seen);
        }
        let session = head.headers.get("mcp-session-id").map(|id| id.to_str().unwrap().to_owned());
        if session.as_ref().is_some_and(|id| !self.sessions.lock().unwrap().contains(id)) {
            return Ok(status(404));
        }
        match head.method {
            Method::POST => {}
            Method::GET if self.eras.contains(&Era::Session) => return Ok(self.listen(session, None)),
            Method::DELETE => {
                if let Some(id) = session {
                    self.sessions.lock().unwrap().remove(&id);
                }
                return Ok(status(200));
            }
            _ => return Ok(status(405)),
        }
        let Ok(message) = serde_json::from_slice::<Value>(&body) else { return Ok(status(400)) };
        if message.get("method").is_none() {
            // An answer to a question of ours.
            drop(self.answers.send((session, message)));
            return Ok(status(202));
        }
        if message.get("id").is_none() {
            return Ok(status(202));
        }
        let stateless = message["params"]["_meta"].get("io.modelcontextprotocol/protocolVersion").is_some();
        let era = if stateless { Era::Stateless } else { Era::Session };
        if !self.eras.contains(&era) {
            return Ok(match era {
                Era::Session => with_status(
                    400,
                    &json!({"jsonrpc": "2.0", "id": message["id"], "error": {"code": -32022, "message": "unsupported protocol version", "data": {"supported": ["2026-07-28"], "requested": "2025-11-25"}}}),
                ),
                Era::Stateless => with_status(
                    400,
                    &json!({"jsonrpc": "2.0", "id": null, "error": {"code": -32000, "message": "Bad Request: no session"}}),
                ),
            });
        }
        let mut pending = Pending(&self, false);
        let reply = self.answer(era, session, &message).await;
        pending.1 = true;
        reply
    }

    async fn answer(
        self: &Arc<Self>,
        era: Era,
        session: Option<String>,
        message: &Value,
    ) -> io::Result<Response<Outgoing>> {
        let (id, params) = (&message["id"], &message["params"]);
        let result = match message["method"].as_str().unwrap_or_default() {
            "tools/call" => return self.call(era, session, id, params).await,
            "subscriptions/listen" => {
                return Ok(self.listen(None, Some((id.clone(), params["notifications"].clone()))));
            }
            "initialize" => json!({
                "protocolVersion": params["protocolVersion"], "capabilities": capabilities(),
                "serverInfo": {"name": "fake", "version": "1"},
            }),
            "server/discover" => json!({"supportedVersions": ["2026-07-28"], "capabilities": capabilities()}),
            "tools/list" => json!({"tools": self.listed(era, session.as_deref(), params)}),
            "prompts/list" => {
                json!({"prompts": [{"name": "greet", "arguments": [{"name": "who", "required": true}]}]})
            }
            "prompts/get" => {
                json!({"messages": [{"role": "user", "content": {"type": "text", "text": format!("hello {}", params["arguments"]["who"])}}]})
            }
            "resources/list" => json!({"resources": [{"uri": "fake://note", "name": "note"}]}),
            "resources/templates/list" => {
                json!({"resourceTemplates": [{"uriTemplate": "fake://{id}", "name": "any"}]})
            }
            "resources/read" => json!({"contents": [{"uri": params["uri"], "text": "a note"}]}),
            "completion/complete" => json!({"completion": {"values": ["world"], "hasMore": false}}),
            "ping" | "logging/setLevel" | "resources/subscribe" | "resources/unsubscribe" => json!({}),
            method => {
                let error = json!({"jsonrpc": "2.0", "id": id, "error": {"code": -32601, "message": format!("no {method}")}});
                return Ok(with_status(if era == Era::Stateless { 404 } else { 200 }, &error));
            }
        };
        let mut reply = with_status(200, &success(era, id, result));
        if message["method"] == "initialize" {
            let session = format!("fake-{}", self.begun.fetch_add(1, Ordering::SeqCst));
            self.sessions.lock().unwrap().insert(session.clone());
            reply.headers_mut().insert("mcp-session-id", session.parse().unwrap());
            if declares(&params["capabilities"]) {
                self.askable.lock().unwrap().push(session);
            }
        }
        Ok(reply)
    }

    fn listed(&self, era: Era, session: Option<&str>, params: &Value) -> Vec<Value> {
        let mut tools = self.tools.lock().unwrap().clone();
        let askable = match era {
            Era::Stateless => declares(&params["_meta"]["io.modelcontextprotocol/clientCapabilities"]),
            Era::Session => self.askable.lock().unwrap().iter().any(|id| Some(id.as_str()) == session),
        };
        if askable {
            tools.extend(self.shy.lock().unwrap().iter().cloned());
        }
        tools
    }

    async fn call(
        &self,
        era: Era,
        session: Option<String>,
        id: &Value,
        params: &Value,
    ) -> io::Result<Response<Outgoing>> {
        let name = params["name"].as_str().unwrap_or_default();
        let act = self.acts.lock().unwrap().get(name).cloned().unwrap_or_default();
        let text = |text: String| success(era, id, json!({"content": [{"type": "text", "text": text}]}));
        let reply = match act {
            Act::Echo => text(params["arguments"].to_string()),
            Act::Answer(result) => success(era, id, result),
            Act::Fail(code, message) => {
                json!({"jsonrpc": "2.0", "id": id, "error": {"code": code, "message": message}})
            }
            Act::Pages(pages) => {
                self.acts.lock().unwrap().insert(name.to_owned(), Act::Echo);
                json!({"jsonrpc": "2.0", "id": id, "error": {
                    "code": -32042, "message": "visit these first", "data": {"elicitations": pages},
                }})
            }
            Act::Hang => return std::future::pending().await,
            Act::Hold => {
                self.held.fetch_add(1, Ordering::SeqCst);
                let mut gate = self.gate.subscribe();
                gate.wait_for(|open| *open).await.map_err(io::Error::other)?;
                text(params["arguments"].to_string())
            }
            Act::Close => return Err(io::Error::other("closed on purpose")),
            Act::CloseMidStream => {
                let (pieces, body) = mpsc::channel(2);
                let half = Bytes::from_static(b"data: {\"jsonrpc\":\"2.0\",\"id\":");
                drop(pieces.send(Ok(half)).await);
                drop(pieces.send(Err(io::Error::other("broken on purpose"))).await);
                return Ok(stream(Outgoing::Pieces(body)));
            }
            Act::Garbage(content_type, body) => {
                return Ok(typed(200, content_type, Outgoing::Whole(Some(body))));
            }
            Act::WrongId => {
                let other = json!("somebody-elses");
                success(era, &other, json!({"content": [{"type": "text", "text": "not yours"}]}))
            }
            Act::EndlessStream => {
                let piece = event(
                    &json!({"jsonrpc": "2.0", "method": "notifications/message", "params": {"level": "info", "data": "more"}}),
                );
                return Ok(stream(Outgoing::Again(piece, usize::MAX)));
            }
            Act::Huge(bytes) => return Ok(huge(id, bytes)),
            Act::Progress(count) => return Ok(progress(era, id, params, count)),
            Act::Ask(method, question) if era == Era::Stateless => {
                let answer = &params["inputResponses"]["question-1"];
                let known = params["requestState"] == "the-servers-own-state";
                match (answer, known) {
                    (Value::Null, _) => success(era, id, asked(&method, &question)),
                    (answer, true) => text(answer.to_string()),
                    (_, false) => {
                        json!({"jsonrpc": "2.0", "id": id, "error": {"code": -32602, "message": "whose state is that?"}})
                    }
                }
            }
            Act::Ask(method, question) => return Ok(self.ask(session, id, &method, &question, false)),
            Act::AskAgain(method, question) => return Ok(self.ask(session, id, &method, &question, true)),
            Act::AskAndWithdraw(method, question) => {
                let withdraw = |asked: &str| {
                    let params = json!({"requestId": asked});
                    event(&json!({"jsonrpc": "2.0", "method": "notifications/cancelled", "params": params}))
                };
                let asked = json!({"jsonrpc": "2.0", "id": "mine", "method": method, "params": question});
                let all =
                    [event(&asked), withdraw("ptn-1"), withdraw("mine"), event(&text("done".to_owned()))];
                return Ok(stream(Outgoing::Whole(Some(all.concat().into()))));
            }
            Act::AskAside(method, question) => text(self.ask_aside(session, id, &method, &question).await),
            Act::Status(code) => return Ok(status(code)),
        };
        Ok(with_status(200, &reply))
    }

    /// A stream of what is new: the GET stream, or that of a `subscriptions/listen` request.
    fn listen(
        self: &Arc<Self>,
        session: Option<String>,
        listen: Option<(Value, Value)>,
    ) -> Response<Outgoing> {
        let (pieces, body) = mpsc::channel(64);
        let mut news = self.news.subscribe();
        let listening = Listening::new(self);
        tokio::spawn(async move {
            let _listening = listening;
            if let Some((id, wanted)) = &listen {
                let acknowledged = json!({
                    "jsonrpc": "2.0", "method": "notifications/subscriptions/acknowledged",
                    "params": {"notifications": wanted, "_meta": {"io.modelcontextprotocol/subscriptionId": id}},
                });
                drop(pieces.send(Ok(event(&acknowledged))).await);
            }
            loop {
                let (whose, mut message) = tokio::select! {
                    news = news.recv() => match news { Ok(news) => news, Err(_) => return },
                    () = pieces.closed() => return,
                };
                if whose.is_some() && whose != session {
                    continue;
                }
                if let Some((id, wanted)) = &listen {
                    let followed = wanted["resourceSubscriptions"].as_array().cloned().unwrap_or_default();
                    let uri = &message["params"]["uri"];
                    if !uri.is_null() && !followed.contains(uri) {
                        continue;
                    }
                    message["params"]["_meta"] = json!({"io.modelcontextprotocol/subscriptionId": id});
                }
                drop(pieces.send(Ok(event(&message))).await);
            }
        });
        stream(Outgoing::Pieces(body))
    }

    /// Asks on the stream of unsolicited messages; the answer as text.
    async fn ask_aside(&self, session: Option<String>, id: &Value, method: &str, params: &Value) -> String {
        let mut answers = self.answers.subscribe();
        let asked = format!("aside-{id}");
        let question = json!({"jsonrpc": "2.0", "id": asked, "method": method, "params": params});
        drop(self.news.send((session.clone(), question)));
        let answer = answer_to(&asked, session.as_ref(), &mut answers).await;
        answer.map_or_else(|| "nobody answered".to_owned(), |answer| answer["result"].to_string())
    }

    /// Asks on the stream of the call; what is answered comes back as text.
    fn ask(
        &self,
        session: Option<String>,
        id: &Value,
        method: &str,
        params: &Value,
        again: bool,
    ) -> Response<Outgoing> {
        let (pieces, body) = mpsc::channel(8);
        let mut answers = self.answers.subscribe();
        let (id, method, params) = (id.clone(), method.to_owned(), params.clone());
        tokio::spawn(async move {
            for time in 1.. {
                // Unique in its session (JSON-RPC 2.0 §4): several calls may ask at once.
                let asked = format!("question-{id}-{time}");
                let question = json!({"jsonrpc": "2.0", "id": asked, "method": method, "params": params});
                drop(pieces.send(Ok(event(&question))).await);
                let Some(answer) = answer_to(&asked, session.as_ref(), &mut answers).await else { return };
                if !again || answer["result"].is_null() {
                    let text = json!({"content": [{"type": "text", "text": answer["result"].to_string()}]});
                    drop(pieces.send(Ok(event(&success(Era::Session, &id, text)))).await);
                    return;
                }
            }
        });
        stream(Outgoing::Pieces(body))
    }
}

/// The client's answer to the question of this id in this session.
async fn answer_to(
    id: &str,
    session: Option<&String>,
    answers: &mut broadcast::Receiver<(Option<String>, Value)>,
) -> Option<Value> {
    loop {
        let (whose, answer) = answers.recv().await.ok()?;
        if whose.as_ref() == session && answer["id"] == id {
            return Some(answer);
        }
    }
}

fn declares(capabilities: &Value) -> bool {
    capabilities.as_object().is_some_and(|declared| !declared.is_empty())
}

fn asked(method: &str, params: &Value) -> Value {
    json!({
        "resultType": "input_required", "requestState": "the-servers-own-state",
        "inputRequests": {"question-1": {"method": method, "params": params}},
    })
}

fn progress(era: Era, id: &Value, params: &Value, count: u32) -> Response<Outgoing> {
    let token = &params["_meta"]["progressToken"];
    let steps = (1..=count).map(|step| {
        event(&json!({
            "jsonrpc": "2.0", "method": "notifications/progress",
            "params": {"progressToken": token, "progress": step, "total": count},
        }))
    });
    let done = event(&success(era, id, json!({"content": [{"type": "text", "text": "done"}]})));
    let all: Vec<u8> = steps.filter(|_| !token.is_null()).chain([done]).flatten().collect();
    stream(Outgoing::Whole(Some(all.into())))
}

fn huge(id: &Value, bytes: usize) -> Response<Outgoing> {
    let (pieces, body) = mpsc::channel(2);
    let id = id.clone();
    tokio::spawn(async move {
        let before = format!(
            r#"{{"jsonrpc":"2.0","id":{id},"result":{{"resultType":"complete","content":[{{"type":"text","text":""#
        );
        drop(pieces.send(Ok(before.into())).await);
        let piece = Bytes::from(vec![b'x'; 1 << 20]);
        for _ in 0..bytes.div_ceil(piece.len()) {
            if pieces.send(Ok(piece.clone())).await.is_err() {
                return;
            }
        }
        drop(pieces.send(Ok(Bytes::from_static(br#""}]}}"#))).await);
    });
    typed(200, "application/json", Outgoing::Pieces(body))
}

/// A result as the era wants it.
fn success(era: Era, id: &Value, mut result: Value) -> Value {
    if era == Era::Stateless {
        if result.get("resultType").is_none() {
            result["resultType"] = json!("complete");
        }
        result["_meta"] = json!({"io.modelcontextprotocol/serverInfo": {"name": "fake", "version": "1"}});
        // Nobody's but the caller's, whatever a server says.
        result["ttlMs"] = json!(60_000);
        result["cacheScope"] = json!("public");
    }
    json!({"jsonrpc": "2.0", "id": id, "result": result})
}

fn capabilities() -> Value {
    json!({
        "tools": {"listChanged": true}, "prompts": {"listChanged": true},
        "resources": {"listChanged": true, "subscribe": true}, "completions": {}, "logging": {},
    })
}

fn event(message: &Value) -> Bytes {
    Bytes::from(format!("data: {message}\n\n"))
}

fn stream(body: Outgoing) -> Response<Outgoing> {
    typed(200, "text/event-stream", body)
}

fn status(code: u16) -> Response<Outgoing> {
    typed(code, "text/plain", Outgoing::Whole(None))
}

fn with_status(code: u16, body: &Value) -> Response<Outgoing> {
    typed(code, "application/json", Outgoing::Whole(Some(body.to_string().into())))
}

fn typed(code: u16, content_type: &str, body: Outgoing) -> Response<Outgoing> {
    Response::builder()
        .status(StatusCode::from_u16(code).unwrap())
        .header(header::CONTENT_TYPE, content_type)
        .body(body)
        .unwrap()
}
