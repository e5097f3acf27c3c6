//! Typed views of the params and results that the house cares about. A view reads; what is sent on is the
//! bytes themselves, or an [`crate::Edit`] of them.

mod result;

pub use result::{InputRequired, Page, ResultType, is_error, result_type};

use crate::frame::Id;
use crate::meta::LogLevel;
use crate::object::Members;
use crate::raw::{Kind, Raw};
use crate::reply;

/// Params, or a result, are not what the method wants: -32602 towards a client.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("{field} must be {wanted}")]
pub struct ViewError {
    /// Which member.
    pub field: &'static str,
    /// What it must be.
    pub wanted: &'static str,
}

impl ViewError {
    /// -32602.
    pub const fn rpc_code(&self) -> i64 {
        reply::INVALID_PARAMS
    }
}

type Params<'a> = Option<&'a Members>;

/// `tools/call`
#[derive(Clone, Debug)]
pub struct ToolCall {
    /// The tool.
    pub name: Box<str>,
    /// An object; `{}` if absent.
    pub arguments: Raw,
    /// Echoed from an earlier `input_required` (2026-07-28, basic/patterns/mrtr): untrusted when it comes back.
    pub request_state: Option<Box<str>>,
    /// Answers by the keys of the `inputRequests` of then.
    pub input_responses: Option<Raw>,
}

/// `prompts/get`
#[derive(Clone, Debug)]
pub struct PromptGet {
    /// The prompt.
    pub name: Box<str>,
    /// An object; `{}` if absent.
    pub arguments: Raw,
    /// As for a tool.
    pub request_state: Option<Box<str>>,
    /// As for a tool.
    pub input_responses: Option<Raw>,
}

/// `resources/read`, `resources/subscribe`, `resources/unsubscribe`, `notifications/resources/updated`
#[derive(Clone, Debug)]
pub struct ResourceRef {
    /// The resource.
    pub uri: Box<str>,
    /// As for a tool.
    pub request_state: Option<Box<str>>,
    /// As for a tool.
    pub input_responses: Option<Raw>,
}

/// `completion/complete`
#[derive(Clone, Debug)]
pub struct Completion {
    /// What is being completed.
    pub reference: CompletionRef,
    /// `{name, value}`
    pub argument: Raw,
}

/// What a completion is for.
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum CompletionRef {
    /// A prompt, by name.
    Prompt(Box<str>),
    /// A resource or template, by URI or URI template.
    Resource(Box<str>),
}

/// `initialize`
#[derive(Clone, Debug)]
pub struct Initialize {
    /// The version the client wants; may be one nobody knows.
    pub version: Box<str>,
    /// What the client can do.
    pub capabilities: Members,
    /// Self-reported.
    pub client_info: Raw,
}

/// `subscriptions/listen`: which changes are wanted, or were granted.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Listen {
    /// `toolsListChanged`
    pub tools: bool,
    /// `promptsListChanged`
    pub prompts: bool,
    /// `resourcesListChanged`
    pub resources: bool,
    /// `resourceSubscriptions`
    pub uris: Vec<Box<str>>,
}

/// `notifications/cancelled`
#[derive(Clone, Debug)]
pub struct Cancelled {
    /// The sender's own request.
    pub request: Id,
    /// For people.
    pub reason: Option<Box<str>>,
}

impl ToolCall {
    /// Reads the params.
    pub fn of(params: Params<'_>) -> Result<Self, ViewError> {
        let (request_state, input_responses) = retry(params)?;
        Ok(Self {
            name: text(params, "name")?,
            arguments: arguments(params)?,
            request_state,
            input_responses,
        })
    }
}

impl PromptGet {
    /// Reads the params.
    pub fn of(params: Params<'_>) -> Result<Self, ViewError> {
        let (request_state, input_responses) = retry(params)?;
        Ok(Self {
            name: text(params, "name")?,
            arguments: arguments(params)?,
            request_state,
            input_responses,
        })
    }
}

impl ResourceRef {
    /// Reads the params.
    pub fn of(params: Params<'_>) -> Result<Self, ViewError> {
        let (request_state, input_responses) = retry(params)?;
        Ok(Self { uri: text(params, "uri")?, request_state, input_responses })
    }
}

impl Completion {
    /// Reads the params.
    pub fn of(params: Params<'_>) -> Result<Self, ViewError> {
        let reference = object(params, "ref")?;
        let member = |field, key| reference.text(key).map(Into::into).ok_or(wrong(field, STRING));
        let reference = match reference.text("type").as_deref() {
            Some("ref/prompt") => CompletionRef::Prompt(member("ref.name", "name")?),
            Some("ref/resource") => CompletionRef::Resource(member("ref.uri", "uri")?),
            _ => return Err(wrong("ref.type", "ref/prompt or ref/resource")),
        };
        let argument = object(params, "argument")?;
        if argument.text("name").is_none() || argument.text("value").is_none() {
            return Err(wrong("argument", "an object with the strings name and value"));
        }
        Ok(Self { reference, argument: argument.raw().clone() })
    }
}

impl Initialize {
    /// Reads the params.
    pub fn of(params: Params<'_>) -> Result<Self, ViewError> {
        let client_info = object(params, "clientInfo")?.raw().clone();
        Ok(Self {
            version: text(params, "protocolVersion")?,
            capabilities: object(params, "capabilities")?,
            client_info,
        })
    }
}

impl Listen {
    /// Reads `notifications` of the params, of a request or of its acknowledgement.
    pub fn of(params: Params<'_>) -> Result<Self, ViewError> {
        let filter = object(params, "notifications")?;
        let flag = |field| match filter.get(field) {
            Some(raw) => raw.to_bool().ok_or(wrong(field, "a boolean")),
            None => Ok(false),
        };
        let uris = wrong("resourceSubscriptions", "an array of strings");
        let uris = match filter.get("resourceSubscriptions") {
            Some(raw) => raw
                .elements()
                .and_then(|uris| uris.iter().map(|uri| uri.to_str().map(Into::into)).collect())
                .ok_or(uris)?,
            None => Vec::new(),
        };
        Ok(Self {
            tools: flag("toolsListChanged")?,
            prompts: flag("promptsListChanged")?,
            resources: flag("resourcesListChanged")?,
            uris,
        })
    }

    /// The filter with only what is wanted.
    pub fn to_raw(&self) -> Raw {
        let mut filter = serde_json::Map::new();
        let flags = [
            ("toolsListChanged", self.tools),
            ("promptsListChanged", self.prompts),
            ("resourcesListChanged", self.resources),
        ];
        filter
            .extend(flags.into_iter().filter(|flag| flag.1).map(|(key, flag)| (key.to_owned(), flag.into())));
        if !self.uris.is_empty() {
            let uris = self.uris.iter().map(|uri| uri.as_ref().into()).collect::<Vec<serde_json::Value>>();
            filter.insert("resourceSubscriptions".to_owned(), uris.into());
        }
        Raw::of_value(&filter.into())
    }
}

impl Cancelled {
    /// Reads the params.
    pub fn of(params: Params<'_>) -> Result<Self, ViewError> {
        Ok(Self { request: id(params, "requestId")?, reason: optional_text(params, "reason")? })
    }
}

/// The `level` of `logging/setLevel` and `notifications/message`.
pub fn level(params: Params<'_>) -> Result<LogLevel, ViewError> {
    LogLevel::parse(&text(params, "level")?).ok_or(wrong("level", "a log level"))
}

/// The `cursor` of a list request.
pub fn cursor(params: Params<'_>) -> Result<Option<Box<str>>, ViewError> {
    optional_text(params, "cursor")
}

const STRING: &str = "a string";
const OBJECT: &str = "an object";

const fn wrong(field: &'static str, wanted: &'static str) -> ViewError {
    ViewError { field, wanted }
}

fn text(params: Params<'_>, field: &'static str) -> Result<Box<str>, ViewError> {
    params.and_then(|params| params.text(field)).map(Into::into).ok_or(wrong(field, STRING))
}

fn optional_text(params: Params<'_>, field: &'static str) -> Result<Option<Box<str>>, ViewError> {
    match params {
        Some(members) if members.contains(field) => text(params, field).map(Some),
        _ => Ok(None),
    }
}

fn retry(params: Params<'_>) -> Result<(Option<Box<str>>, Option<Raw>), ViewError> {
    let responses = params.and_then(|params| params.get("inputResponses"));
    if responses.as_ref().is_some_and(|raw| raw.kind() != Kind::Object) {
        return Err(wrong("inputResponses", OBJECT));
    }
    Ok((optional_text(params, "requestState")?, responses))
}

fn object(params: Params<'_>, field: &'static str) -> Result<Members, ViewError> {
    params.and_then(|params| params.object(field)).ok_or(wrong(field, OBJECT))
}

fn arguments(params: Params<'_>) -> Result<Raw, ViewError> {
    match params.and_then(|params| params.get("arguments")) {
        Some(raw) if raw.kind() == Kind::Object => Ok(raw),
        Some(_) => Err(wrong("arguments", OBJECT)),
        None => Ok(Raw::empty_object()),
    }
}

fn id(params: Params<'_>, field: &'static str) -> Result<Id, ViewError> {
    let raw = params.and_then(|params| params.get(field));
    raw.as_ref().and_then(Id::of).ok_or(wrong(field, "a string or an integer"))
}

#[cfg(test)]
mod tests;
