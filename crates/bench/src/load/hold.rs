//! What stands in the way while others are measured: calls that never end and streams that stay open.

use super::connection::Connection;
use super::template;
use anyhow::Context as _;
use std::net::SocketAddr;

/// What to hold open.
#[derive(Clone, Debug)]
pub struct Hold {
    /// Who is called.
    pub address: SocketAddr,
    /// Paths of the endpoints, used in turn.
    pub paths: Vec<String>,
    /// One access token per path.
    pub tokens: Vec<String>,
    /// Calls that the server behind never answers.
    pub calls: usize,
    /// `subscriptions/listen` streams.
    pub streams: usize,
}

/// Opens everything, says so through `ready`, and holds it until something closes.
///
/// # Errors
/// When something could not be opened or was closed by the other side.
pub async fn hold(hold: Hold, ready: impl FnOnce() -> anyhow::Result<()>) -> anyhow::Result<()> {
    let mut held = tokio::task::JoinSet::new();
    for number in 0..hold.streams {
        let mut connection = Connection::open(hold.address).await?;
        let request = request(
            &hold,
            number,
            "subscriptions/listen",
            "",
            r#""notifications":{"toolsListChanged":true}"#,
        )?;
        connection.begin(&request, b"subscriptions/acknowledged").await.context("a stream was refused")?;
        held.spawn(connection.drain());
    }
    for number in 0..hold.calls {
        let mut connection = Connection::open(hold.address).await?;
        let params = r#""name":"tool_hang","arguments":{}"#;
        connection.send(&request(&hold, number, "tools/call", "Mcp-Name: tool_hang\r\n", params)?).await?;
        held.spawn(connection.drain());
    }
    ready()?;
    match held.join_next().await {
        Some(ended) => ended?.and_then(|()| anyhow::bail!("a held connection was closed")),
        None => Ok(()),
    }
}

fn request(hold: &Hold, number: usize, method: &str, headers: &str, params: &str) -> anyhow::Result<Vec<u8>> {
    let place = number % hold.paths.len().max(1);
    let path = hold.paths.get(place).context("no path")?;
    let token = hold.tokens.get(place).context("no token for a path")?;
    let body = format!(
        r#"{{"jsonrpc":"2.0","id":{number},"method":"{method}","params":{{{params},"_meta":{{"io.modelcontextprotocol/protocolVersion":"2026-07-28","io.modelcontextprotocol/clientCapabilities":{{}}}}}}}}"#
    );
    Ok(format!(
        "{}Authorization: Bearer {token}\r\nMCP-Protocol-Version: 2026-07-28\r\nMcp-Method: {method}\r\n{headers}Content-Length: {}\r\n\r\n{body}",
        template::head(path),
        body.len()
    )
    .into_bytes())
}
