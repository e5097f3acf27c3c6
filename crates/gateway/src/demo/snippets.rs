//! Ready-made configuration of clients.

use serde_json::json;

/// How to connect: a client's name, and what to type or paste.
pub(crate) fn snippets(url: &str, token: &str) -> Vec<(&'static str, String)> {
    let bearer = format!("Bearer {token}");
    let headers = json!({"Authorization": bearer});
    vec![
        (
            "Claude Code",
            format!("claude mcp add --transport http portunus {url} --header 'Authorization: {bearer}'"),
        ),
        (
            "Cursor (.cursor/mcp.json)",
            json!({"mcpServers": {"portunus": {"url": url, "headers": headers}}}).to_string(),
        ),
        (
            "VS Code (.vscode/mcp.json)",
            json!({"servers": {"portunus": {"type": "http", "url": url, "headers": headers}}}).to_string(),
        ),
        (
            "MCP Inspector",
            format!(
                "npx @modelcontextprotocol/inspector --cli {url} --transport http --header 'Authorization: {bearer}' --method tools/list"
            ),
        ),
    ]
}
