//! One entry of a client's file, in whichever of the clients' ways it is written.

use super::json::{Json, Text};
use super::remote;

/// What an entry says.
pub(super) struct Draft {
    /// How the client reaches the server.
    pub(super) reach: Reach,
    /// What a person should know about the conversion.
    pub(super) notes: Vec<String>,
}

/// How the client reaches a server.
pub(super) enum Reach {
    Http { url: Text, headers: Pairs },
    Stdio(Child),
}

/// A child process, as the client starts it.
pub(super) struct Child {
    pub(super) command: Text,
    pub(super) args: Vec<Text>,
    pub(super) env: Pairs,
    pub(super) cwd: Option<Text>,
}

/// Names and values, in the order of the file.
pub(super) type Pairs = Vec<(String, Text)>;

/// An entry that is not taken over.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Left {
    /// The client does not use it either.
    Disabled,
    /// It cannot be taken over as it is: why, and what to do about it. Never a value of the entry.
    Refused { why: String, fix: String },
}

impl Left {
    pub(super) fn because(why: impl Into<String>, fix: impl Into<String>) -> Self {
        Self::Refused { why: why.into(), fix: fix.into() }
    }
}

/// Reads an entry.
///
/// # Errors
/// Why it is left out.
pub(super) fn read(entry: Json) -> Result<Draft, Left> {
    let Json::Map(members) = entry else {
        return Err(Left::because("the entry is no JSON object", "an object with `command` or `url`"));
    };
    let mut fields = Fields::default();
    for (key, value) in members {
        fields.take(key, value)?;
    }
    if fields.disabled {
        return Err(Left::Disabled);
    }
    let mut notes = Vec::new();
    if !fields.unknown.is_empty() {
        notes.push(format!("not taken over: {}", fields.unknown.join(", ")));
    }
    let transport = fields.transport()?;
    let reach = match (transport, fields.command, fields.url) {
        (Transport::Stdio, Some(command), _) => {
            let child = Child { command, args: fields.args, env: fields.env, cwd: fields.cwd };
            remote::unwrapped(child, &mut notes)?
        }
        (Transport::Http, _, Some(url)) => Reach::Http { url, headers: fields.headers },
        (Transport::Stdio, None, _) => {
            return Err(Left::because("`command` is missing", "the program to run"));
        }
        (Transport::Http, _, None) => return Err(Left::because("`url` is missing", "the server's address")),
    };
    Ok(Draft { reach, notes })
}

#[derive(Clone, Copy)]
enum Transport {
    Stdio,
    /// Streamable HTTP or HTTP+SSE: the gateway finds out which.
    Http,
}

#[derive(Default)]
struct Fields {
    command: Option<Text>,
    args: Vec<Text>,
    env: Pairs,
    cwd: Option<Text>,
    url: Option<Text>,
    headers: Pairs,
    kind: Option<String>,
    disabled: bool,
    unknown: Vec<String>,
}

impl Fields {
    fn take(&mut self, key: String, value: Json) -> Result<(), Left> {
        if matches!(value, Json::Null) {
            return Ok(());
        }
        match key.as_str() {
            "command" => self.command = Some(text(&key, value)?),
            "args" => self.args = list(&key, value)?,
            "env" => self.env = pairs(&key, value)?,
            "cwd" => self.cwd = Some(text(&key, value)?),
            "url" | "httpUrl" | "serverUrl" if self.url.is_some() => {
                return Err(Left::because("more than one address", "one of `url`, `httpUrl`, `serverUrl`"));
            }
            "url" | "httpUrl" | "serverUrl" => self.url = Some(text(&key, value)?),
            "headers" => self.headers = pairs(&key, value)?,
            "type" | "transport" | "transportType" => self.kind = Some(text(&key, value)?.to_string()),
            "disabled" => self.disabled |= matches!(value, Json::Bool(true)),
            "enabled" => self.disabled |= matches!(value, Json::Bool(false)),
            _ => self.unknown.push(key),
        }
        Ok(())
    }

    fn transport(&self) -> Result<Transport, Left> {
        let kind: Option<String> = self.kind.as_ref().map(|kind| {
            kind.chars().filter(char::is_ascii_alphanumeric).collect::<String>().to_ascii_lowercase()
        });
        match (kind.as_deref(), &self.command, &self.url) {
            (Some("stdio" | "local"), ..) => Ok(Transport::Stdio),
            (Some("http" | "streamablehttp" | "remote" | "sse"), ..) => Ok(Transport::Http),
            (Some(_), ..) => Err(Left::because("an unknown `type`", "stdio, http, streamable-http, sse")),
            (None, Some(_), Some(_)) => {
                Err(Left::because("both `command` and an address", "one of them, or a `type`"))
            }
            (None, Some(_), None) => Ok(Transport::Stdio),
            (None, None, Some(_)) => Ok(Transport::Http),
            (None, None, None) => Err(Left::because("neither `command` nor `url`", "one of them")),
        }
    }
}

fn text(key: &str, value: Json) -> Result<Text, Left> {
    match value {
        Json::Text(text) => Ok(text),
        _ => Err(Left::because(format!("`{key}` is no text"), "text in quotes")),
    }
}

fn list(key: &str, value: Json) -> Result<Vec<Text>, Left> {
    let wrong = || Left::because(format!("`{key}` is no list of texts"), "a list of texts");
    let Json::List(items) = value else { return Err(wrong()) };
    items.into_iter().map(|item| item.into_scalar().ok_or_else(wrong)).collect()
}

fn pairs(key: &str, value: Json) -> Result<Pairs, Left> {
    let wrong = || Left::because(format!("`{key}` is no object of texts"), "an object of names and texts");
    let Json::Map(members) = value else { return Err(wrong()) };
    if members.len() > PAIRS {
        return Err(Left::because(format!("`{key}` holds more than {PAIRS} names"), "fewer"));
    }
    let kept = members.into_iter().filter(|(_, value)| !matches!(value, Json::Null));
    kept.map(|(name, value)| Ok((name, value.into_scalar().ok_or_else(wrong)?))).collect()
}

/// How many headers or variables an entry may have.
const PAIRS: usize = 256;
