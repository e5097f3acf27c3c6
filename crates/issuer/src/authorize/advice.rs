//! What to do in a client whose request cannot be sent back to it.

/// What to do in the client that probably asked, told by the redirect URI. A guess, for people only.
pub(super) fn advice(redirect_uri: &str) -> Option<(&'static str, &'static str)> {
    const CLIENTS: &[(&str, &str, &str)] = &[
        (
            "cursor://",
            "Cursor",
            "Settings → Tools & MCP: log out of this server, or remove it and add it again.",
        ),
        (
            "https://vscode.dev/",
            "VS Code",
            "Run “Authentication: Remove Dynamic Authentication Providers”, then start the server again.",
        ),
        (
            "http://127.0.0.1:33418",
            "VS Code",
            "Run “Authentication: Remove Dynamic Authentication Providers”, then start the server again.",
        ),
        (
            "vscode",
            "VS Code",
            "Run “Authentication: Remove Dynamic Authentication Providers”, then start the server again.",
        ),
        ("https://claude.ai/", "Claude", "Settings → Connectors: remove the connector and add it again."),
        ("https://claude.com/", "Claude", "Settings → Connectors: remove the connector and add it again."),
        (
            "https://chatgpt.com/",
            "ChatGPT",
            "Settings → Connectors: delete the connector and create it again.",
        ),
        (
            "http://localhost:6274/",
            "MCP Inspector",
            "Open “Auth Settings”, press “Clear OAuth State”, and connect again.",
        ),
        ("http://localhost:3334/", "mcp-remote", "Delete the folder ~/.mcp-auth and start the client again."),
        (
            "http://localhost",
            "Claude Code, or another program on this computer",
            "In Claude Code: /mcp, choose the server, “Clear authentication”, and sign in again. Elsewhere: remove the server and add it again.",
        ),
        ("http://127.0.0.1", "the program on this computer", "Remove the server there and add it again."),
    ];
    let found = CLIENTS.iter().find(|(start, _, _)| redirect_uri.starts_with(start))?;
    Some((found.1, found.2))
}
