//! A table of layouts: what is there, and what is there then. `+` marks the lines that are new.

use super::*;
use proptest::prelude::*;

fn entry(name: &str) -> (String, Yaml) {
    let url = Yaml::Map(vec![("url".to_owned(), Yaml::Text("https://a.example.org/mcp".to_owned()))]);
    (name.to_owned(), Yaml::Map(vec![("http".to_owned(), url)]))
}

/// Checks one layout: without the lines that begin with `+` it is the old one, with them the new one.
fn check(layout: &str) {
    let old: String = layout.split_inclusive('\n').filter(|line| !line.starts_with('+')).collect();
    let new: String =
        layout.split_inclusive('\n').map(|line| line.strip_prefix('+').unwrap_or(line)).collect();
    assert_eq!(servers(&old, &[entry("new")]).unwrap(), new, "from\n{old}");
    if old.is_empty() {
        return;
    }
    let windows = servers(&old.replace('\n', "\r\n"), &[entry("new")]).unwrap();
    assert_eq!(windows, new.replace('\n', "\r\n"));
}

#[test]
fn entries_go_below_the_last_one_and_nothing_else_moves() {
    for layout in [
        // The section is the last one, its entry ends in a comment of its own.
        "servers:\n  a:\n    stdio:\n      command: x\n      # of a\n+  new:\n+    http: { url: https://a.example.org/mcp }\n",
        // Comments and air before the next section are that section's.
        "servers: # ours\n  a:\n    stdio: { command: x } # here\n  # b: soon\n+  new:\n+    http: { url: https://a.example.org/mcp }\n\n# What follows.\nlog: { level: warn }\n",
        // Deeper margins are kept.
        "servers:\n    a:\n        stdio: { command: x }\n+    new:\n+        http: { url: https://a.example.org/mcp }\nlog: {}\n",
        // A quoted key, a block text that looks like a key, an anchor.
        "\"servers\":\n  a: &a\n    stdio:\n      command: x\n      args:\n        - |\n          log: 1\n          # no comment\n+  new:\n+    http: { url: https://a.example.org/mcp }\nlog: {}\n",
        // The whole file stands to the right.
        "  version: 1\n  servers:\n    a: { stdio: { command: x } }\n+    new:\n+      http: { url: https://a.example.org/mcp }\n  log: {}\n",
        // No section yet.
        "version: 1 # first\n+\n+servers:\n+  new:\n+    http: { url: https://a.example.org/mcp }\n",
        "+servers:\n+  new:\n+    http: { url: https://a.example.org/mcp }\n",
        // A marker at the start.
        "---\nversion: 1\nservers:\n  a: { stdio: { command: x } }\n+  new:\n+    http: { url: https://a.example.org/mcp }\n",
    ] {
        check(layout);
    }
}

#[test]
fn an_empty_section_is_opened() {
    let expected = "  new:\n    http: { url: https://a.example.org/mcp }\n";
    for (old, new) in [
        ("servers:\nlog: {}\n", "servers:\nNEWlog: {}\n"),
        ("servers: {}\nlog: {}\n", "servers:\nNEWlog: {}\n"),
        ("servers: { } # none yet\n# The log.\nlog: {}\n", "servers: # none yet\nNEW# The log.\nlog: {}\n"),
        ("servers: ~", "servers:\nNEW"),
        ("version: 1\nservers: null", "version: 1\nservers:\nNEW"),
        ("version: 1", "version: 1\n\nservers:\nNEW"),
        ("# Only a remark.", "# Only a remark.\n\nservers:\nNEW"),
    ] {
        assert_eq!(servers(old, &[entry("new")]).unwrap(), new.replace("NEW", expected), "from\n{old}");
    }
}

#[test]
fn what_cannot_be_added_to_is_refused_with_its_line() {
    let refused = |text: &str| servers(text, &[entry("new")]).err().unwrap().to_string();
    for (text, said) in [
        ("version: 1\nservers: { a: { stdio: { command: x } } }\n", "line 2: `servers` is written in braces"),
        (
            "version: 1\nservers: {\n  a: { stdio: { command: x } } }\n",
            "line 2: `servers` is written in braces",
        ),
        ("{\"version\": 1, \"servers\": {}}", "line 1: `servers` is written in braces"),
        ("version: 1\n...\n", "its layout"),
        ("base: &s {}\nservers: *s\n", "its layout"),
        // The text that keeps its empty lines would lose them to the next entry.
        ("servers:\n  a:\n    stdio:\n      command: |+\n        x\n\nlog: {}\n", "its layout"),
        ("version: [", "it cannot be read"),
        ("- a\n", "it cannot be read"),
        ("servers: [a]\n", "it cannot be read"),
        ("a: 1\na: 2\n", "it cannot be read"),
    ] {
        assert!(refused(text).contains(said), "{text}: {}", refused(text));
    }
    let taken = servers("servers:\n  a: { stdio: { command: x } }\n", &[entry("a")]);
    assert!(matches!(taken, Err(InsertError::Layout)));
}

proptest! {
    /// Whatever the pieces of a file are: it is refused, or means what it meant and the new server.
    #[test]
    fn nothing_is_ever_lost(pieces in prop::collection::vec(prop::sample::select(PIECES), 0..9)) {
        let old = pieces.concat();
        let before = crate::config::document(&old);
        if let Ok(new) = servers(&old, &[entry("new"), entry("two")]) {
            let mut document = crate::config::document(&new).unwrap();
            let added = document["servers"].as_object_mut().unwrap();
            prop_assert_eq!(added.remove("new").unwrap(), entry("new").1.to_json());
            prop_assert_eq!(added.remove("two").unwrap(), entry("two").1.to_json());
            let empty = added.is_empty();
            let mut before = before.unwrap();
            if before.is_null() { before = Value::Object(Map::new()); }
            if empty {
                document.as_object_mut().unwrap().remove("servers");
                if let Some(members) = before.as_object_mut() { members.remove("servers"); }
            }
            prop_assert_eq!(document, before);
            // Every line that was there and said something is still there, in its order.
            let mut lines = new.lines();
            for line in old.lines().filter(|line| !line.trim_start().starts_with("servers:")) {
                prop_assert!(lines.any(|kept| kept == line), "{line:?} is gone from\n{new}");
            }
        }
    }
}

const PIECES: &[&str] = &[
    "version: 1\n",
    "servers:\n",
    "servers: {}\n",
    "servers: # x\n",
    "  a:\n",
    "    stdio: { command: x }\n",
    "    stdio:\n",
    "      command: |\n",
    "        servers:\n",
    "          b: 1\n",
    "\n",
    "# servers:\n",
    "  # b\n",
    "log: {}\n",
    "  level: warn\n",
    "---\n",
    "...\n",
    "text: >+\n",
    "  c: &c { http: { url: u } }\n",
    "  d: *c\n",
    "  ? e\n",
    "  : {}\n",
    "\t",
    "servers: null # y",
    "x: 'servers:\n",
    "  '\n",
];
