//! The names of servers: clients take any text, the gateway `[a-z0-9-]{1,32}`.

use model::ServerName;

/// The name a server gets here. `None` if nothing of it can be kept.
pub(super) fn name(written: &str) -> Option<ServerName> {
    let mut name = String::new();
    for c in written.chars() {
        let c = c.to_ascii_lowercase();
        if c.is_ascii_lowercase() || c.is_ascii_digit() {
            name.push(c);
        } else if !name.is_empty() && !name.ends_with('-') {
            name.push('-');
        }
    }
    name.truncate(NAME_BYTES);
    ServerName::new(name.trim_end_matches('-')).ok()
}

/// The longest name.
const NAME_BYTES: usize = 32;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_keep_what_they_can() {
        for (written, kept) in [
            ("github", Some("github")),
            ("GitHub Copilot", Some("github-copilot")),
            ("io.github.someone/tool_2", Some("io-github-someone-tool-2")),
            ("--a--b--", Some("a-b")),
            ("Überblick", Some("berblick")),
            ("a-name-of-exactly-thirty-one-ch-and-more", Some("a-name-of-exactly-thirty-one-ch")),
            ("数据", None),
            ("_", None),
            ("", None),
        ] {
            assert_eq!(name(written).as_ref().map(ServerName::as_str), kept, "{written}");
        }
    }
}
