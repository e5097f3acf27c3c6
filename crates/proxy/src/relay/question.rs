//! What servers may ask of clients.

use protocol::{Members, Raw};

/// Whether a client with these capabilities answers this method (MCP: sampling, elicitation, roots).
pub(crate) fn is_welcome(capabilities: &Raw, method: &str) -> bool {
    let capability = match method {
        "elicitation/create" => "elicitation",
        "sampling/createMessage" => "sampling",
        "roots/list" => "roots",
        _ => return false,
    };
    Members::of(capabilities).is_some_and(|declared| declared.contains(capability))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_client_is_asked_only_what_it_declared() {
        let declared = Raw::of_value(&serde_json::json!({"elicitation": {}}));
        assert!(is_welcome(&declared, "elicitation/create"));
        assert!(!is_welcome(&declared, "sampling/createMessage"));
        assert!(!is_welcome(&declared, "tools/call"));
    }
}
