//! Lists: one decision per item (may any arguments be permitted?), the visible items in a fixed order, pages.
//!
//! A caller's view is kept per principal attributes, policy serial and catalog revision: the same caller asking
//! again costs a copy. A server that is missing is named with its reason, in `_meta` and on record; it never
//! hides the others.

mod page;
mod views;

pub(crate) use views::Views;

use crate::admit::Call;
use crate::catalog::State;
use crate::config::Endpoint;
use crate::house::House;
use crate::local;
use crate::record;
use crate::reply::{self, Reply};
use crate::stop::{Refusal, Stop};
use crate::trail::Stage;
use model::{Code, ErrorKind};
use protocol::Era;
use protocol::cursor::Cursor;
use protocol::view;
use serde_json::{Map, Value, json};
use std::sync::Arc;

/// Answers a list request.
pub(crate) async fn answer(house: &House, mut call: Box<Call>) -> Result<Reply, Stop> {
    let cursor = match view::cursor(call.params.as_ref()) {
        Ok(None) => None,
        Ok(Some(text)) => match Cursor::parse(&text, call.method) {
            Some(cursor) => Some(cursor),
            None => {
                return Err(Stop::refused(call.trail, Refusal::params("the cursor is not one of this list")));
            }
        },
        Err(error) => return Err(Stop::refused(call.trail, Refusal::params(error.to_string()))),
    };
    let limits = &call.state.config.limits;
    house.catalog.ready(limits.discovery_timeout).await;
    let (Some(principal), Some(key)) = (call.trail.principal.clone(), call.trail.key) else {
        return Err(Stop::fault(call.trail, ErrorKind::Internal, Code::INTERNAL, "the caller is not known"));
    };
    let snapshot = house.catalog.snapshot();
    let rules = house.rules.current();
    call.trail.revision = Some(rules.revision.digest());
    let missing: Vec<_> = local::views(&snapshot, &call.trail.endpoint, &call)
        .iter()
        .filter_map(|view| match &view.state {
            State::Missing { code, reason } => Some((view.name.clone(), *code, Arc::clone(reason))),
            State::Ready => None,
        })
        .collect();
    let wanted =
        views::Wanted { principal: &principal, key, endpoint: &call.trail.endpoint, method: call.method };
    let items = house.views.of(&wanted, &rules, &snapshot, &call.state);
    call.trail.mark(house, Stage::Authorize);
    let shared = !matches!(call.trail.endpoint, Endpoint::Server(_));
    let page = page::cut(&items, cursor.as_ref(), limits.page_items, call.method);
    let mut meta = Map::new();
    if !missing.is_empty() {
        let rows: Vec<Value> = missing
            .iter()
            .map(|(server, code, reason)| json!({"server": server.as_str(), "code": code.to_string(), "reason": &**reason}))
            .collect();
        meta.insert("portunus/missing".to_owned(), Value::Array(rows));
    }
    let stateless = call.client.version.era() == Era::Stateless;
    let body = page::write(&page, call.method, shared, stateless, meta);
    record::local(house, call.trail, body.len()).await?;
    Ok(reply::result(&call.id, &body))
}
