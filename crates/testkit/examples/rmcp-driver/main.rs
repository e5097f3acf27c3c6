//! The interop driver of rmcp: list, call, two denied calls, one cancelled call; or conversations. Like
//! `interop/drivers/*`.
//!
//! The work comes as JSON in the first argument; the last line printed is the result as JSON.

mod answers;

use std::io::{BufRead as _, Write as _};

use answers::Answers;
use anyhow::Context as _;
use rmcp::model::{CallToolRequestParams, CallToolResult, ProtocolVersion};
use rmcp::service::{ClientLifecycleMode, ClientServiceExt as _, RoleClient, RunningService, ServiceError};
use rmcp::transport::StreamableHttpClientTransport;
use rmcp::transport::streamable_http_client::StreamableHttpClientTransportConfig;
use serde_json::{Value, json};

/// A connected client.
type Client = RunningService<RoleClient, Answers>;

#[tokio::main(flavor = "current_thread")]
async fn main() -> anyhow::Result<()> {
    let work: Value = serde_json::from_str(&std::env::args().nth(1).context("no work")?)?;
    match work.get("connections").and_then(Value::as_array) {
        Some(connections) => {
            let mut seen = Vec::new();
            for connection in connections {
                let declares = connection.get("declares").context("nothing declared")?;
                let client = connect(&work, Answers::new(declares)?).await?;
                seen.push(answers::converse(&client, &work, connection).await?);
                client.cancel().await?;
            }
            say(&seen.into())
        }
        None => {
            let client = connect(&work, Answers::new(&json!({}))?).await?;
            let seen = drive(&client, &work).await?;
            client.cancel().await?;
            say(&seen)
        }
    }
}

async fn connect(work: &Value, answers: Answers) -> anyhow::Result<Client> {
    let url = work.get("url").and_then(Value::as_str).context("no url")?;
    let mut config = StreamableHttpClientTransportConfig::with_uri(url);
    if let Some(token) = work.get("token").and_then(Value::as_str) {
        config = config.auth_header(token);
    }
    let lifecycle = match work.get("mode").and_then(Value::as_str) {
        Some("legacy") => ClientLifecycleMode::Initialize,
        Some("pinned") => {
            ClientLifecycleMode::Discover { preferred_versions: vec![ProtocolVersion::V_2026_07_28] }
        }
        _ => ClientLifecycleMode::Auto {
            preferred_versions: vec![ProtocolVersion::V_2026_07_28],
            legacy_version: Some(ProtocolVersion::V_2025_11_25),
        },
    };
    let transport = StreamableHttpClientTransport::from_config(config);
    Ok(answers.serve_with_lifecycle(transport, lifecycle).await?)
}

async fn drive(client: &Client, work: &Value) -> anyhow::Result<Value> {
    let mut seen = json!({"version": version(client), "tools": list(client).await?});
    let mut keep = |key: &str, value: Value| {
        if let Some(seen) = seen.as_object_mut() {
            seen.insert(key.into(), value);
        }
    };
    for step in ["call", "deniedTool", "deniedArgument"] {
        keep(step, outcome(call(client, work.get(step)).await));
    }
    say(&json!({"phase": "cancel"}))?;
    word().await?;
    // rmcp cancels a request whose future is dropped.
    let cancelled = tokio::select! {
        answered = call(client, work.get("slow")) => outcome(answered),
        told = word() => told.map(|()| json!({"code": null, "error": "cancelled"}))?,
    };
    keep("cancelled", cancelled);
    // The connection survives; and what was sent last has left before it closes.
    keep("after", list(client).await?);
    Ok(seen)
}

fn version(client: &Client) -> Option<String> {
    client.peer_info().map(|info| info.protocol_version.to_string())
}

async fn list(client: &Client) -> Result<Value, ServiceError> {
    Ok(client.list_all_tools().await?.into_iter().map(|tool| tool.name).collect())
}

async fn call(client: &Client, call: Option<&Value>) -> Result<CallToolResult, ServiceError> {
    let part = |key: &str| call.and_then(|call| call.get(key));
    let name = part("name").and_then(Value::as_str).unwrap_or_default().to_owned();
    let arguments = part("arguments").and_then(Value::as_object).cloned().unwrap_or_default();
    client.call_tool(CallToolRequestParams::new(name).with_arguments(arguments)).await
}

/// A result as text, or an error as code and message.
fn outcome(result: Result<CallToolResult, ServiceError>) -> Value {
    match result {
        Ok(result) => {
            let text: String = result
                .content
                .iter()
                .filter_map(|part| part.as_text())
                .map(|part| part.text.as_str())
                .collect();
            json!({"isError": result.is_error.unwrap_or_default(), "text": text})
        }
        Err(ServiceError::McpError(error)) => json!({"code": error.code.0, "error": error.message}),
        Err(error) => json!({"code": null, "error": error.to_string()}),
    }
}

/// Waits for a word of the runner.
async fn word() -> anyhow::Result<()> {
    tokio::task::spawn_blocking(|| std::io::stdin().lock().read_line(&mut String::new())).await??;
    Ok(())
}

fn say(line: &Value) -> anyhow::Result<()> {
    let mut out = std::io::stdout().lock();
    writeln!(out, "{line}")?;
    Ok(out.flush()?)
}
