//! What the gateway asks a stateless server over HTTP for itself: how it describes itself, and what one of
//! its tools looks like now.

use super::door::{Door, Reply, refused};
use super::era::{self, Eras, Probed};
use super::fault::UpstreamError;
use super::link::stateless_request;
use super::session::refuses_era;
use super::{Outbound, Shared};
use http::{HeaderMap, HeaderValue};
use protocol::header::{self, HeaderParam, MCP_METHOD, MCP_PROTOCOL_VERSION};
use protocol::view::Page;
use protocol::{Edit, Id, Members, Message, Method, Outcome, Raw, Version};

/// Asks for the stateless description, and remembers what the answer says of the eras. Nothing: the
/// server is to be spoken to in the other era.
pub(super) async fn discover(
    shared: &Shared,
    eras: &Eras,
    door: &Door,
    out: &Outbound,
) -> Result<Option<Members>, UpstreamError> {
    match ask(shared, door, out, Method::ServerDiscover, None).await? {
        Ok(document) => {
            let probed = era::described(&document);
            eras.note_probe(&probed);
            Ok(matches!(probed, Probed::Stateless { .. }).then_some(document))
        }
        Err(probed) => {
            eras.note_probe(&probed);
            if matches!(probed, Probed::Stateless { .. }) {
                return Err(UpstreamError::failed("it refused server/discover"));
            }
            Ok(None)
        }
    }
}

/// The annotations of the called tool as the server lists it now (2026-07-28, client behavior).
pub(super) async fn fresh_headers(shared: &Shared, door: &Door, out: &Outbound) -> Option<Vec<HeaderParam>> {
    let called = out.params.as_ref()?.text("name")?.into_owned();
    let mut cursor: Option<Box<str>> = None;
    for _ in 0..FRESH_PAGES {
        let mut edit = Edit::new();
        if let Some(cursor) = &cursor {
            edit.set(&["cursor"], Raw::of_str(cursor));
        }
        let params = edit.apply(&Members::empty()).members();
        let result = ask(shared, door, out, Method::ToolsList, params.as_ref()).await.ok()?.ok()?;
        let page = Page::of(&result, "tools").ok()?;
        for tool in page.items.iter().filter_map(Members::of) {
            if tool.text("name").as_deref() == Some(called.as_str()) {
                return header::params_of(&tool.get("inputSchema")?).ok();
            }
        }
        cursor = Some(page.next_cursor?);
    }
    None
}

/// A stateless request of the gateway's own, answered in one piece. The inner error: what the refusal says
/// of the server's eras.
async fn ask(
    shared: &Shared,
    door: &Door,
    out: &Outbound,
    method: Method,
    params: Option<&Members>,
) -> Result<Result<Members, Probed>, UpstreamError> {
    let id = shared.fresh_id();
    let body = stateless_request(id, method, params, out);
    let mut headers = HeaderMap::with_capacity(8);
    headers.insert(&MCP_PROTOCOL_VERSION, HeaderValue::from_static(Version::V2026_07_28.as_str()));
    headers.insert(&MCP_METHOD, HeaderValue::from_static(method.name()));
    out.beside(Some(method), &mut headers)?;
    let message = match door.post(headers, body, false).await? {
        Reply::Json(_, bytes) => door.decode(bytes)?,
        Reply::Stream(_, mut events) => loop {
            let data = events.next().await?;
            let data = data.ok_or_else(|| UpstreamError::failed("it ended the stream without an answer"))?;
            if let message @ Message::Response(_) = door.decode(data)? {
                tokio::spawn(events.drain());
                break message;
            }
        },
        Reply::Accepted => return Ok(Err(Probed::Session)),
        Reply::Refused(status, body) => match door.decode(body) {
            // Whose id it bears says nothing here: servers that do not read the request make one up.
            Ok(Message::Response(response)) if refuses_era(status) => {
                return Ok(Err(match response.outcome {
                    Outcome::Error(error) => era::refused(&error),
                    Outcome::Result(_) => Probed::Session,
                }));
            }
            _ if refuses_era(status) => return Ok(Err(Probed::Session)),
            _ => return Err(refused(status)),
        },
    };
    let Message::Response(response) = message else {
        return Err(UpstreamError::failed("its answer is no response"));
    };
    if response.id.as_ref().is_some_and(|answered| *answered != Id::Number(id)) {
        return Err(UpstreamError::failed("it answered with an id that was not asked"));
    }
    Ok(match response.outcome {
        Outcome::Result(result) => Ok(result),
        Outcome::Error(error) => Err(era::refused(&error)),
    })
}

/// Pages read to find the present definition of one tool.
const FRESH_PAGES: usize = 50;
