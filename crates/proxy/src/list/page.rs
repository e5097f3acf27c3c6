//! Pages of a list and their bytes.

use crate::catalog::Item;
use protocol::cursor::Cursor;
use protocol::{Edit, Method, Raw};
use serde_json::{Map, Value};
use std::sync::Arc;

/// One page, and where the next one begins.
pub(super) struct Page<'a> {
    items: &'a [Arc<Item>],
    next: Option<Cursor>,
}

/// The page after `cursor`: items keep their order, so a page is found again after the list has changed.
pub(super) fn cut<'a>(
    items: &'a [Arc<Item>],
    cursor: Option<&Cursor>,
    most: usize,
    list: Method,
) -> Page<'a> {
    let start = match cursor {
        Some(cursor) => items.partition_point(|item| {
            (item.server.as_str(), &*item.name) <= (cursor.server.as_str(), cursor.name.as_str())
        }),
        None => 0,
    };
    let rest = items.get(start..).unwrap_or_default();
    let (page, more) = rest.split_at_checked(most).unwrap_or((rest, &[]));
    let next = page.last().filter(|_| !more.is_empty()).map(|last| Cursor {
        list,
        server: last.server.clone(),
        name: last.name.to_string(),
    });
    Page { items: page, next }
}

/// The result of a list request: definitions as their servers wrote them, but for the name where the endpoint
/// shows another.
pub(super) fn write(
    page: &Page<'_>,
    method: Method,
    shared: bool,
    stateless: bool,
    meta: Map<String, Value>,
) -> Vec<u8> {
    let named = matches!(method, Method::ToolsList | Method::PromptsList);
    let definition = |item: &Arc<Item>| match item.definition.members() {
        Some(members) if shared && named => {
            Edit::new().set(&["name"], Raw::of_str(&item.public_name)).apply(&members)
        }
        _ => item.definition.clone(),
    };
    let size: usize = page.items.iter().map(|item| item.definition.as_bytes().len() + 64).sum();
    let mut out = Vec::with_capacity(size + 256);
    out.extend_from_slice(b"{\"");
    out.extend_from_slice(method.row().items.unwrap_or("items").as_bytes());
    out.extend_from_slice(b"\":[");
    for (at, item) in page.items.iter().enumerate() {
        if at > 0 {
            out.push(b',');
        }
        out.extend_from_slice(definition(item).as_bytes());
    }
    out.push(b']');
    if let Some(next) = &page.next {
        out.extend_from_slice(b",\"nextCursor\":");
        out.extend_from_slice(Value::String(next.mint()).to_string().as_bytes());
    }
    if stateless {
        // SECURITY: a view is nobody else's and is never cached (K7): `lists_leave_private_and_uncacheable`.
        out.extend_from_slice(br#","resultType":"complete","ttlMs":0,"cacheScope":"private""#);
    }
    if !meta.is_empty() {
        out.extend_from_slice(b",\"_meta\":");
        out.extend_from_slice(Value::Object(meta).to_string().as_bytes());
    }
    out.push(b'}');
    out
}
