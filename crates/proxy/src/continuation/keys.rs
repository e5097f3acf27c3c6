//! The keys of questions where several servers are shown: each begins with its server's name, as the names of tools do.

use crate::config::Endpoint;
use model::ServerName;
use protocol::{Edit, Members, Raw};

/// The questions of an `input_required` result under the keys that this endpoint shows; nothing where they stay.
pub(super) fn shown(endpoint: &Endpoint, server: &ServerName, result: &Members) -> Option<Raw> {
    renamed(endpoint, result.object("inputRequests")?, |key| Some(format!("{server}__{key}")))
}

/// The answers of a retry under the server's own keys, without those that bear another's name; nothing where they stay.
pub(crate) fn own(endpoint: &Endpoint, server: &ServerName, params: &Members) -> Option<Raw> {
    let prefix = format!("{server}__");
    renamed(endpoint, params.object("inputResponses")?, |key| key.strip_prefix(&prefix).map(str::to_owned))
}

fn renamed(endpoint: &Endpoint, object: Members, name: impl Fn(&str) -> Option<String>) -> Option<Raw> {
    if matches!(endpoint, Endpoint::Server(_)) {
        return None;
    }
    let named = object.iter().filter_map(|(key, value)| name(&key).map(|key| (key, value)));
    let named: Vec<_> = named.collect();
    let mut edit = Edit::new();
    for (key, value) in &named {
        edit.set(&[key.as_str()], value.clone());
    }
    Some(edit.apply(&Members::empty()))
}
