//! Groups that are too many for a token: asked for at a directory that the operator names, all of them or none.

mod hold;

pub(crate) use hold::Hold;

use crate::opaque::SecretSource;
use crate::strict;
use bytes::Bytes;
use http::header::{ACCEPT, AUTHORIZATION, HeaderValue};
use http::{Request, StatusCode, Uri};
use model::{Clock, Timestamp};
use moka::future::Cache;
use net::egress::{Client, Destination, Rule};
use serde_json::Value;
use std::collections::HashMap;
use std::sync::Arc;
use std::time::Duration;

/// A directory of groups.
#[derive(Clone, Debug)]
pub struct GroupDirectory {
    /// What contracts call it.
    pub name: String,
    /// Where to ask; `{user}` in it becomes the user.
    pub url: String,
    /// Which addresses that may have.
    pub rule: Rule,
    /// The value of `Authorization`, if it wants one.
    pub authorization: Option<Arc<dyn SecretSource>>,
    /// The JSON pointer to the list in its answer; empty: the answer is the list's own mapping, which is refused.
    pub list: String,
    /// The member of each item that holds the group; none: the items are texts.
    pub member: Option<String>,
    /// The JSON pointer to what says that there is more than this page. Then nobody is let in by half of their groups.
    pub more: Option<String>,
}

/// Asks directories, and remembers.
#[derive(Default)]
pub(crate) struct Directories(HashMap<String, Directory>);

struct Directory {
    config: GroupDirectory,
    destination: Destination,
    egress: Client,
    clock: Arc<dyn Clock>,
    answers: Cache<Arc<str>, Found>,
}

#[derive(Clone)]
struct Found {
    groups: Option<Arc<[Arc<str>]>>,
    until: Timestamp,
}

impl Directories {
    /// Checks them. The faults name the directory.
    pub(crate) fn new(
        configs: &[GroupDirectory],
        egress: &Client,
        clock: &Arc<dyn Clock>,
    ) -> Result<Self, Vec<(String, String)>> {
        let mut faults = Vec::new();
        let mut all = HashMap::new();
        for config in configs {
            // The braces are no part of a URL before they are filled.
            let uri = config.url.replace(USER, "user").parse::<Uri>().map_err(|_| "not a URL".to_owned());
            let destination =
                uri.and_then(|uri| egress.destination(&uri, config.rule).map_err(|error| error.to_string()));
            match destination {
                Err(reason) => faults.push((config.name.clone(), reason)),
                Ok(_) if !config.url.contains(USER) => {
                    faults.push((config.name.clone(), format!("its URL has no {USER}")));
                }
                Ok(_) if !config.list.starts_with('/') => {
                    faults.push((config.name.clone(), "`list` is no JSON pointer".to_owned()));
                }
                Ok(destination) => {
                    let answers = Cache::builder().max_capacity(MOST_ANSWERS).time_to_live(KEPT).build();
                    let (config, egress, clock) = (config.clone(), egress.clone(), Arc::clone(clock));
                    let name = config.name.clone();
                    all.insert(name, Directory { config, destination, egress, clock, answers });
                }
            }
        }
        if faults.is_empty() { Ok(Self(all)) } else { Err(faults) }
    }

    /// The groups of a user, as a directory says or said a moment ago, and until when that is believed: for longer than
    /// `ahead`. `None` when it cannot be asked, or nobody configured it.
    pub(crate) async fn groups(
        &self,
        directory: &str,
        user: &Arc<str>,
        ahead: Duration,
    ) -> Option<(Vec<Arc<str>>, Timestamp)> {
        let Some(directory) = self.0.get(directory) else {
            tracing::error!(directory, "a contract names a directory of groups that is not configured");
            return None;
        };
        let now = directory.clock.now();
        let held = directory.answers.get(user).await.filter(|held| held.until > now);
        let entry = directory.answers.entry(Arc::clone(user));
        // One that is asked before its time and does not answer leaves what it said before as it is.
        let ask = async { directory.ask(user).await.or(held) };
        let then = now.after(ahead);
        let found = entry.or_insert_with_if(ask, |held| held.until <= then).await.into_value();
        found.groups.map(|groups| (groups.to_vec(), found.until))
    }
}

impl Found {
    fn or(self, held: Option<Self>) -> Self {
        match (&self.groups, held) {
            (None, Some(held)) => held,
            _ => self,
        }
    }
}

impl Directory {
    async fn ask(&self, user: &str) -> Found {
        let asked = tokio::time::timeout(TIMEOUT, self.exchange(user)).await;
        match asked.unwrap_or_else(|_| Err(format!("no answer within {TIMEOUT:?}"))) {
            Ok(groups) => Found { groups: Some(groups.into()), until: self.clock.now().after(KEPT) },
            Err(why) => {
                tracing::warn!(directory = %self.config.name, error = %why, "a directory of groups cannot be asked");
                Found { groups: None, until: Timestamp(i64::MIN) }
            }
        }
    }

    async fn exchange(&self, user: &str) -> Result<Vec<Arc<str>>, String> {
        let url = self.config.url.replace(USER, &escaped(user));
        let mut request = Request::new(Bytes::new());
        *request.uri_mut() = url.parse().map_err(|_| "the user makes no URL".to_owned())?;
        request.headers_mut().insert(ACCEPT, HeaderValue::from_static("application/json"));
        if let Some(source) = &self.config.authorization {
            let value = source.read()?.lend(HeaderValue::from_bytes);
            let mut value = value.map_err(|_| "the credential is no header".to_owned())?;
            value.set_sensitive(true);
            request.headers_mut().insert(AUTHORIZATION, value);
        }
        let answer = self.egress.send(&self.destination, request).await.map_err(|error| error.detail())?;
        if answer.status() != StatusCode::OK {
            return Err(format!("it answered {}", answer.status()));
        }
        let body = net::collect(answer.into_body(), ANSWER_BYTES).await.map_err(|error| error.to_string())?;
        let members = strict::object(&body).ok_or("its answer is not one strict JSON object")?;
        self.read(&Value::Object(members))
    }

    fn read(&self, answer: &Value) -> Result<Vec<Arc<str>>, String> {
        let more = self.config.more.as_deref().and_then(|more| answer.pointer(more));
        if more.is_some_and(|more| !more.is_null()) {
            return Err("its answer is only the first page".to_owned());
        }
        let list = answer.pointer(&self.config.list).and_then(Value::as_array);
        let list = list.ok_or("its answer has no list where it should be")?;
        if list.len() > crate::claims::LIST_ITEMS {
            return Err("its answer names too many groups".to_owned());
        }
        let group = |item: &Value| {
            let text = self.config.member.as_deref().map_or(Some(item), |member| item.get(member));
            text.and_then(crate::claims::text).map(Arc::from)
        };
        let mut groups: Vec<Arc<str>> =
            list.iter().map(group).collect::<Option<_>>().ok_or("its answer holds what is no group")?;
        groups.sort_unstable();
        groups.dedup();
        Ok(groups)
    }
}

/// A user as one segment of a path, or one value of a query: everything but unreserved characters is escaped.
fn escaped(text: &str) -> String {
    let mut out = String::with_capacity(text.len());
    for byte in text.bytes() {
        if byte.is_ascii_alphanumeric() || matches!(byte, b'-' | b'_' | b'~') {
            out.push(char::from(byte));
        } else {
            out.push_str(&format!("%{byte:02X}"));
        }
    }
    out
}

/// What becomes the user.
const USER: &str = "{user}";
/// How long groups are believed.
const KEPT: Duration = Duration::from_secs(60);
/// For one question.
const TIMEOUT: Duration = Duration::from_secs(5);
/// The longest answer, in bytes.
const ANSWER_BYTES: usize = 512 << 10;
/// The most users remembered.
const MOST_ANSWERS: u64 = 10_000;
