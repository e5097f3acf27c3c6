//! A value as YAML text, in the hand of the examples: what is short stands on one line.

use serde_json::{Map, Value};

/// What a new entry of the configuration is made of.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Yaml {
    /// A scalar that is text, whatever it looks like.
    Text(String),
    /// `true`.
    Yes,
    /// A list of texts.
    List(Vec<String>),
    /// A mapping, in this order.
    Map(Vec<(String, Yaml)>),
}

impl Yaml {
    /// The value as JSON: what the text must be read as.
    pub(crate) fn to_json(&self) -> Value {
        match self {
            Self::Text(text) => text.as_str().into(),
            Self::Yes => true.into(),
            Self::List(items) => items.iter().map(String::as_str).collect(),
            Self::Map(members) => members
                .iter()
                .map(|(key, value)| (key.clone(), value.to_json()))
                .collect::<Map<_, _>>()
                .into(),
        }
    }

    /// `key: value`, `indent` spaces from the left, in lines that end with `newline`.
    pub(crate) fn entry(&self, key: &str, indent: Indent, newline: &str) -> String {
        let margin = " ".repeat(indent.margin);
        let short = self.flow();
        let nests = |value: &Self| matches!(value, Self::Map(members) if members.iter().any(|(_, v)| matches!(v, Self::Map(_))));
        match self {
            Self::Map(members)
                if !members.is_empty()
                    && (nests(self) || margin.len() + key.len() + short.len() > LINE_CHARS) =>
            {
                let below = Indent { margin: indent.margin + indent.step, ..indent };
                let lines: String =
                    members.iter().map(|(name, value)| value.entry(name, below, newline)).collect();
                format!("{margin}{}:{newline}{lines}", scalar(key))
            }
            _ => format!("{margin}{}: {short}{newline}", scalar(key)),
        }
    }

    /// The value on one line.
    fn flow(&self) -> String {
        match self {
            Self::Text(text) => scalar(text),
            Self::Yes => "true".to_owned(),
            Self::List(items) => {
                format!("[{}]", items.iter().map(|item| scalar(item)).collect::<Vec<_>>().join(", "))
            }
            Self::Map(members) if members.is_empty() => "{}".to_owned(),
            Self::Map(members) => {
                let members: Vec<String> =
                    members.iter().map(|(key, value)| format!("{}: {}", scalar(key), value.flow())).collect();
                format!("{{ {} }}", members.join(", "))
            }
        }
    }
}

/// How far entries stand from the left, and how much further what is below them.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Indent {
    /// Spaces before the entry.
    pub(crate) margin: usize,
    /// Spaces more for each level below.
    pub(crate) step: usize,
}

/// Text as a YAML scalar: plain if nobody could take it for anything else, in double quotes otherwise.
fn scalar(text: &str) -> String {
    let starts_well = text.starts_with(|c: char| c.is_ascii_alphabetic() || c == '/' || c == '_');
    let plain = |c: char| c.is_ascii_alphanumeric() || "_-./+@:=~".contains(c);
    let is_word = WORDS.contains(&text.to_ascii_lowercase().as_str());
    if starts_well && text.chars().all(plain) && !text.ends_with(':') && !is_word {
        return text.to_owned();
    }
    let mut quoted = String::from('"');
    for c in text.chars() {
        match c {
            '"' => quoted.push_str("\\\""),
            '\\' => quoted.push_str("\\\\"),
            '\n' => quoted.push_str("\\n"),
            '\t' => quoted.push_str("\\t"),
            c if c.is_control() || matches!(c, '\u{2028}' | '\u{2029}' | '\u{feff}') => {
                quoted.push_str(&format!("\\u{:04x}", u32::from(c)));
            }
            c => quoted.push(c),
        }
    }
    quoted.push('"');
    quoted
}

/// What some reader of YAML takes for a boolean or for nothing.
const WORDS: &[&str] = &["true", "false", "yes", "no", "on", "off", "y", "n", "null"];
/// How long a line of an entry may be before it is written as a block.
const LINE_CHARS: usize = 96;

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn text(text: &str) -> Yaml {
        Yaml::Text(text.to_owned())
    }

    fn map(members: &[(&str, Yaml)]) -> Yaml {
        Yaml::Map(members.iter().map(|(key, value)| ((*key).to_owned(), value.clone())).collect())
    }

    const TWO: Indent = Indent { margin: 2, step: 2 };

    #[test]
    fn an_entry_is_written_as_a_person_would() {
        let args = Yaml::List(vec!["-y".to_owned(), "@scope/server@1.2.3".to_owned()]);
        let token = map(&[("prefix", text("Bearer ")), ("from_file", text("secrets/a.TOKEN"))]);
        let stdio = map(&[("command", text("npx")), ("args", args), ("env", map(&[("TOKEN", token)]))]);
        let written = map(&[("stdio", stdio)]).entry("a", TWO, "\n");
        let expected = r#"  a:
    stdio:
      command: npx
      args: ["-y", "@scope/server@1.2.3"]
      env:
        TOKEN: { prefix: "Bearer ", from_file: secrets/a.TOKEN }
"#;
        assert_eq!(written, expected);
        let http = map(&[("url", text("https://a.example.org/mcp")), ("allow_loopback", Yaml::Yes)]);
        let written = map(&[("http", http)]).entry("b", TWO, "\n");
        assert_eq!(written, "  b:\n    http: { url: https://a.example.org/mcp, allow_loopback: true }\n");
    }

    proptest! {
        #[test]
        fn whatever_is_written_is_read_as_what_it_was(key in ".{0,12}", value in ".{0,40}", items in prop::collection::vec("\\PC{0,9}|[ -~]{0,9}|yes|null|1e3|0x1f|~|<<|- a|a: b|a #b|[\\t\\r\\n\u{85}\u{2028}\u{feff}]{0,3}", 0..4)) {
            let entry = map(&[(&key, map(&[("value", text(&value))])), ("the list", Yaml::List(items))]);
            for newline in ["\n", "\r\n"] {
                let written = format!("servers:{newline}{}", entry.entry("a", TWO, newline));
                let read: Value = serde_saphyr::from_str(&written).unwrap();
                prop_assert_eq!(&read["servers"]["a"], &entry.to_json(), "{}", written);
            }
        }
    }
}
