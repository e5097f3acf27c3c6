//! Conversations: tools are called whose server asks its client, which answers as the work says. The result has, by
//! journey, how the call ended and what was asked.

// The newer revision deprecates sampling and roots; servers ask for them all the same.
#![allow(deprecated, reason = "SEP-2577")]

use std::sync::{Mutex, PoisonError};
use std::time::Duration;

use anyhow::Context as _;
use rmcp::model::{
    ClientCapabilities, ClientConfig, CreateMessageRequestParams, CreateMessageResult, ElicitRequestParams,
    ElicitResult, Implementation, ListRootsResult,
};
use rmcp::serde::Serialize;
use rmcp::serde::de::DeserializeOwned;
use rmcp::service::RequestContext;
use rmcp::{ClientHandler, ErrorData, RoleClient};
use serde_json::{Value, json};

use crate::{Client, call, outcome, version};

/// What a connection declares, and its answers.
pub(crate) struct Answers {
    declares: ClientCapabilities,
    turn: Mutex<Turn>,
}

/// One journey.
#[derive(Default)]
struct Turn {
    answer: Value,
    asked: Vec<Value>,
}

impl Answers {
    /// Those of a client that declares `declares`, as JSON.
    pub(crate) fn new(declares: &Value) -> anyhow::Result<Self> {
        let declares = serde_json::from_value(declares.clone()).context("reading the capabilities")?;
        Ok(Self { declares, turn: Mutex::default() })
    }

    /// Begins a journey; gives what was asked in the one before.
    fn begin(&self, answer: Value) -> Vec<Value> {
        let mut turn = self.turn.lock().unwrap_or_else(PoisonError::into_inner);
        std::mem::replace(&mut *turn, Turn { answer, asked: Vec::new() }).asked
    }

    fn give<T: DeserializeOwned>(&self, method: &str, params: impl Serialize) -> Result<T, ErrorData> {
        let broken = |error: serde_json::Error| ErrorData::internal_error(error.to_string(), None);
        let params = serde_json::to_value(params).map_err(broken)?;
        let mut turn = self.turn.lock().unwrap_or_else(PoisonError::into_inner);
        let [message, mode, url] = ["message", "mode", "url"].map(|key| params.get(key).cloned());
        turn.asked.push(json!({"method": method, "message": message, "mode": mode, "url": url}));
        serde_json::from_value(turn.answer.clone()).map_err(broken)
    }
}

impl ClientHandler for Answers {
    fn get_info(&self) -> ClientConfig {
        ClientConfig::new(self.declares.clone(), Implementation::new("interop-rmcp", "1"))
    }

    async fn create_elicitation(
        &self,
        params: ElicitRequestParams,
        _: RequestContext<RoleClient>,
    ) -> Result<ElicitResult, ErrorData> {
        self.give("elicitation/create", params)
    }

    async fn create_message(
        &self,
        params: CreateMessageRequestParams,
        _: RequestContext<RoleClient>,
    ) -> Result<CreateMessageResult, ErrorData> {
        self.give("sampling/createMessage", params)
    }

    async fn list_roots(&self, _: RequestContext<RoleClient>) -> Result<ListRootsResult, ErrorData> {
        self.give("roots/list", json!({}))
    }
}

/// Makes the journeys of one connection.
pub(crate) async fn converse(client: &Client, work: &Value, connection: &Value) -> anyhow::Result<Value> {
    let patience = work.get("patience").and_then(Value::as_u64).context("no patience")?;
    let journeys = connection.get("journeys").and_then(Value::as_array).context("no journeys")?;
    let mut ended = serde_json::Map::new();
    for journey in journeys {
        client.service().begin(journey.get("answer").cloned().unwrap_or_default());
        let end =
            tokio::time::timeout(Duration::from_millis(patience), call(client, journey.get("call"))).await;
        let mut end = end.map_or_else(|_| json!({"code": null, "error": "it did not end"}), outcome);
        let asked = client.service().begin(Value::Null);
        if let Some(end) = end.as_object_mut() {
            end.insert("asked".into(), asked.into());
        }
        ended.insert(journey.get("name").and_then(Value::as_str).unwrap_or_default().to_owned(), end);
    }
    Ok(json!({"version": version(client), "journeys": ended}))
}
