//! What machines call things, in words.

use model::Timestamp;

/// A resource in words: what it reaches.
pub(crate) fn place(issuer: &str, resource: &str) -> String {
    let path = resource.strip_prefix(issuer).unwrap_or(resource);
    let named = |prefix: &str| path.strip_prefix(prefix)?.strip_suffix("/mcp");
    if path == "/mcp" {
        "every server behind this gateway".to_owned()
    } else if let Some(name) = named("/servers/") {
        format!("the server {name}")
    } else if let Some(name) = named("/toolsets/") {
        format!("the toolset {name}")
    } else if path.starts_with("/api/") {
        "the administration of this gateway".to_owned()
    } else {
        resource.to_owned()
    }
}

/// A scope in words: its own, with the marks between them made spaces.
pub(super) fn scope(name: &str) -> String {
    let words: String = name.chars().map(|c| if ":._-/".contains(c) { ' ' } else { c }).collect();
    let mut words = format!("use “{}”", words.trim());
    if let Some(first) = words.get_mut(..1) {
        first.make_ascii_uppercase();
    }
    words
}

/// A moment, to the minute.
pub(super) fn moment(at: Timestamp) -> String {
    let text = at.to_string();
    let (day, time) = text.split_once('T').unwrap_or((&text, ""));
    format!("{day} {} UTC", time.get(..5).unwrap_or_default())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn resources_and_scopes_are_said_in_words() {
        let place = |path: &str| place("https://gw.example", &format!("https://gw.example{path}"));
        assert_eq!(place("/mcp"), "every server behind this gateway");
        assert_eq!(place("/servers/git/mcp"), "the server git");
        assert_eq!(place("/toolsets/ops/mcp"), "the toolset ops");
        assert_eq!(place("/api/v1"), "the administration of this gateway");
        assert_eq!(scope("files:read"), "Use “files read”");
        assert_eq!(moment(Timestamp(0)), "1970-01-01 00:00 UTC");
    }
}
