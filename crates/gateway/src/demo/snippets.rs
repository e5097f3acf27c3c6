//! Ready-made configuration of clients.

use serde_json::json;

/// How to connect: a client's name, and what to type or paste. Every one of them opens a browser to sign in.
pub(crate) fn snippets(url: &str, base: &str) -> Vec<(&'static str, String)> {
    vec![
        ("Claude Code", format!("claude mcp add --transport http portunus {url}   # then /mcp, to sign in")),
        ("Cursor (.cursor/mcp.json)", json!({"mcpServers": {"portunus": {"url": url}}}).to_string()),
        (
            "VS Code (.vscode/mcp.json)",
            json!({"servers": {"portunus": {"type": "http", "url": url}}}).to_string(),
        ),
        (
            "MCP Inspector",
            format!(
                "portunus login --gateway {base} --resource {url}\n    npx @modelcontextprotocol/inspector --cli {url} --transport http --method tools/list \\\n      --header \"Authorization: Bearer $(portunus token --gateway {base} --resource {url})\""
            ),
        ),
    ]
}
