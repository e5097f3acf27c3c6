//! The verbs on the admin API: `portunus <noun> <verb>`, each one a request and a table.
//!
//! A noun's file says for every verb what is sent ([`Verb`]) and what of the answer is shown; everything else is here, once.

mod client;
mod nouns;

use super::exit::Failure;
use super::out::Out;
use client::{Api, Reply};
use http::Method;
use serde_json::{Map, Value};
use std::path::PathBuf;

pub(super) use nouns::Noun;

/// Which gateway, as whom, and how the answer is shown.
#[derive(Debug, clap::Args)]
pub(super) struct Place {
    /// The gateway, as clients call it: `https://mcp.example.org`. Default: PORTUNUS_GATEWAY, else the one in use at this machine.
    #[arg(long, global = true, value_name = "URL", env = "PORTUNUS_GATEWAY")]
    gateway: Option<String>,
    /// A file with the token. Default: PORTUNUS_TOKEN, else what `portunus login` keeps.
    #[arg(long, global = true, value_name = "FILE")]
    token_file: Option<PathBuf>,
    /// A PEM file of certificate authorities to trust beside Mozilla's.
    #[arg(long, global = true, value_name = "FILE")]
    ca_file: Option<PathBuf>,
    /// Print JSON.
    #[arg(long, global = true)]
    json: bool,
}

/// What a verb does.
pub(super) struct Verb {
    /// How.
    method: Method,
    /// Where below `/api/v1`, its ids already encoded.
    path: String,
    /// Parameters.
    query: Vec<(&'static str, String)>,
    /// What is sent.
    body: Option<Value>,
    /// Whether the row is read first and its tag sent along.
    tagged: bool,
    /// What of the answer is shown.
    shown: Shown,
}

/// What of an answer is shown to a person.
#[derive(Clone, Copy)]
enum Shown {
    /// A list, page after page, by these columns: head, and member of the row.
    List(&'static [(&'static str, &'static str)]),
    /// A row, one member a line.
    Row,
    /// One sentence: it is done.
    Done(&'static str),
}

impl Verb {
    fn list(path: impl Into<String>, columns: &'static [(&'static str, &'static str)]) -> Self {
        Self { shown: Shown::List(columns), ..Self::row(path) }
    }

    fn row(path: impl Into<String>) -> Self {
        Self {
            method: Method::GET,
            path: path.into(),
            query: Vec::new(),
            body: None,
            tagged: false,
            shown: Shown::Row,
        }
    }

    fn create(path: impl Into<String>, body: Value) -> Self {
        Self { method: Method::POST, body: Some(body), ..Self::row(path) }
    }

    fn change(path: impl Into<String>, body: Value) -> Self {
        Self { method: Method::PATCH, body: Some(body), tagged: true, ..Self::row(path) }
    }

    fn act(path: impl Into<String>, done: &'static str) -> Self {
        Self { method: Method::POST, shown: Shown::Done(done), ..Self::row(path) }
    }

    fn post(path: impl Into<String>) -> Self {
        Self { method: Method::POST, ..Self::row(path) }
    }

    fn sending(self, body: Value) -> Self {
        Self { body: Some(body), ..self }
    }

    fn end(path: impl Into<String>, done: &'static str) -> Self {
        Self { method: Method::DELETE, shown: Shown::Done(done), ..Self::row(path) }
    }

    fn asking(mut self, name: &'static str, value: Option<&str>) -> Self {
        self.query.extend(value.map(|value| (name, value.to_owned())));
        self
    }
}

impl Place {
    /// Whether a gateway is named.
    pub(super) fn is_named(&self) -> bool {
        self.gateway.is_some()
    }
}

/// Revokes at a gateway.
pub(super) fn revoke(place: &Place, body: Value, out: &mut Out) -> Result<(), Failure> {
    ask(place, Verb::create("/revocations", body), out)
}

/// A JSON document in a file.
fn document(file: &std::path::Path) -> Result<Value, Failure> {
    let text = std::fs::read(file)?;
    serde_json::from_slice(&text).map_err(|error| Failure::Usage(format!("{}: {error}", file.display())))
}

/// Asks one thing of a gateway and shows its answer.
fn ask(place: &Place, verb: Verb, out: &mut Out) -> Result<(), Failure> {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
    runtime.block_on(async {
        let api = Api::at(place).await?;
        match verb.shown {
            Shown::List(columns) => list(&api, verb, columns, place.json, out).await,
            Shown::Row | Shown::Done(_) => one(&api, verb, place.json, out).await,
        }
    })
}

/// Every page of a list.
async fn list(
    api: &Api,
    verb: Verb,
    columns: &[(&str, &str)],
    json: bool,
    out: &mut Out,
) -> Result<(), Failure> {
    let mut rows = Vec::new();
    let mut cursor: Option<String> = None;
    loop {
        let mut query = verb.query.clone();
        query.push(("limit", "200".to_owned()));
        query.extend(cursor.take().map(|cursor| ("cursor", cursor)));
        let mut page = api.send(&verb.method, &verb.path, &query, None, None).await?.body;
        if let Some(Value::Array(items)) = page.get_mut("items").map(Value::take) {
            rows.extend(items);
        }
        match page.get("next").and_then(Value::as_str) {
            Some(next) if rows.len() < MOST_ROWS => cursor = Some(next.to_owned()),
            Some(_) => {
                out.remark(format!("the first {} of more", rows.len()))?;
                break;
            }
            None => break,
        }
    }
    if json {
        return Ok(out.json(&Value::Array(rows))?);
    }
    let head: Vec<&str> = columns.iter().map(|(head, _)| *head).collect();
    let cells = |row: &Value| columns.iter().map(|(_, member)| cell(member, row.get(*member))).collect();
    Ok(out.table(&head, &rows.iter().map(cells).collect::<Vec<Vec<String>>>())?)
}

async fn one(api: &Api, verb: Verb, json: bool, out: &mut Out) -> Result<(), Failure> {
    let mut tag = None;
    if verb.tagged {
        tag = api.send(&Method::GET, &verb.path, &[], None, None).await?.tag;
    }
    let Reply { body, .. } =
        api.send(&verb.method, &verb.path, &verb.query, verb.body.as_ref(), tag.as_deref()).await?;
    match (verb.shown, &body) {
        (_, Value::Null) if json => Ok(()),
        (_, body) if json => Ok(out.json(body)?),
        (Shown::Done(done), _) => Ok(out.line(done)?),
        (_, Value::Object(members)) => lines(members, out),
        (_, body) => Ok(out.json(body)?),
    }
}

/// One member a line, names as wide as the widest.
fn lines(members: &Map<String, Value>, out: &mut Out) -> Result<(), Failure> {
    let width = members.keys().map(String::len).max().unwrap_or(0);
    for (name, value) in members {
        out.line(format!("{name:<width$}  {}", cell(name, Some(value))))?;
    }
    Ok(())
}

/// A value as a person reads it. Members whose name ends in `_at` or `_before` are moments, in milliseconds.
fn cell(name: &str, value: Option<&Value>) -> String {
    match value {
        None | Some(Value::Null) => "-".to_owned(),
        Some(Value::String(text)) => text.clone(),
        Some(Value::Array(items)) if items.is_empty() => "-".to_owned(),
        Some(Value::Array(items)) if items.iter().all(|item| !item.is_object()) => {
            items.iter().map(|item| cell("", Some(item))).collect::<Vec<_>>().join(" ")
        }
        Some(Value::Number(number)) if name.ends_with("_at") || name.ends_with("_before") => number
            .as_i64()
            .and_then(|at| jiff::Timestamp::from_millisecond(at).ok())
            .map_or_else(|| number.to_string(), |at| at.to_string()),
        Some(other) => other.to_string(),
    }
}

/// The most rows a command fetches.
const MOST_ROWS: usize = 10_000;

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    #[test]
    fn cells_are_for_people() {
        for (name, value, shown) in [
            ("id", json!("a"), "a"),
            ("roles", json!(["a", "b"]), "a b"),
            ("roles", json!([]), "-"),
            ("ended_at", json!(null), "-"),
            ("made_at", json!(1000), "1970-01-01T00:00:01Z"),
            ("version", json!(3), "3"),
            ("rule", json!({"a": 1}), r#"{"a":1}"#),
        ] {
            assert_eq!(cell(name, Some(&value)), shown);
        }
    }
}
