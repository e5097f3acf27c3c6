//! What is on record of the API: every change before it happens and as it ended, every refusal of somebody who is known.

use crate::admin::Rooms;
use crate::answer::About;
use crate::caller::Caller;
use crate::problem::Problem;
use axum::response::{IntoResponse as _, Response};
use ledger::{Event, Leaf, What};
use model::{CallId, Code, Principal};

/// Kind and id of what the path names.
type Named<'a> = Option<&'a (String, String)>;

/// Puts the intent to change something on record, synced.
///
/// # Errors
/// 503: nothing may be changed then.
pub(crate) async fn intended(
    rooms: &Rooms,
    caller: &Caller,
    operation: &str,
    about: Named<'_>,
) -> Result<(), Problem> {
    let event = Event { about: named(about), ..base(What::AdminIntended, caller, operation) };
    let unavailable = |error| Problem::of(Code::RECORD_UNAVAILABLE).because(error);
    let mut ticket =
        rooms.parts.audit.append(rooms.parts.clock.now(), &Leaf::Event(event)).map_err(unavailable)?;
    ticket.durable().await.map_err(unavailable)
}

/// Puts on record how it ended, before its caller learns so.
pub(crate) async fn ended(
    rooms: &Rooms,
    caller: &Caller,
    operation: &str,
    about: Named<'_>,
    response: Response,
) -> Response {
    let problem = response.extensions().get::<Problem>();
    let what = if problem.is_some() { What::AdminRefused } else { What::AdminChanged };
    let created = response.extensions().get::<About>();
    let created = created.map(|made| ledger::About { kind: made.kind.into(), id: made.id.as_str().into() });
    let event = Event {
        about: created.or_else(|| named(about)),
        code: problem.map(|problem| problem.code),
        ..base(what, caller, operation)
    };
    let appended = rooms.parts.audit.append(rooms.parts.clock.now(), &Leaf::Event(event));
    let written = match appended {
        Ok(mut ticket) => ticket.written().await,
        Err(error) => Err(error),
    };
    match written {
        Err(error) if response.status().is_success() => {
            Problem::of(Code::RECORD_OUTCOME).because(error).into_response()
        }
        // A refused change changed nothing; its intent is on record.
        Ok(()) | Err(_) => response,
    }
}

/// Puts on record what happened, by its own kind of event, beside the operation's.
///
/// # Errors
/// 503: it happened, and is not on record but for its intent.
pub(crate) async fn happened(
    rooms: &Rooms,
    caller: &Caller,
    what: What,
    (kind, id): (&str, &str),
    detail: &str,
) -> Result<(), Problem> {
    let about = Some(ledger::About { kind: kind.into(), id: id.into() });
    let event = Event { about, name: None, detail: Some(detail.into()), ..base(what, caller, "") };
    let lost = |error| Problem::of(Code::RECORD_OUTCOME).because(error);
    let mut ticket = rooms.parts.audit.append(rooms.parts.clock.now(), &Leaf::Event(event)).map_err(lost)?;
    ticket.written().await.map_err(lost)
}

/// Puts on record that somebody who is known may not do this.
pub(crate) fn refused(
    rooms: &Rooms,
    who: &Principal,
    reference: CallId,
    operation: &str,
    about: Named<'_>,
    code: Code,
) {
    let event = Event {
        tenant: Some((&*who.tenant).into()),
        by: Some((&*who.user).into()),
        about: named(about),
        name: Some(operation.into()),
        code: Some(code),
        detail: Some(reference.to_string().into()),
        ..Event::of(What::AdminRefused)
    };
    // Nothing happened that would have to be refused for want of a record.
    drop(rooms.parts.audit.append(rooms.parts.clock.now(), &Leaf::Event(event)));
}

fn named<'a>(about: Named<'a>) -> Option<ledger::About<'a>> {
    about.map(|(kind, id)| ledger::About { kind: kind.as_str().into(), id: id.as_str().into() })
}

fn base<'a>(what: What, caller: &'a Caller, operation: &'a str) -> Event<'a> {
    let who = &caller.principal;
    // Who acts: the agent for its person, as `agent for person`.
    let by = match &who.agent {
        Some(agent) if *agent != who.user => format!("{agent} for {}", who.user).into(),
        _ => (&*who.user).into(),
    };
    Event {
        tenant: Some((&*who.tenant).into()),
        by: Some(by),
        name: Some(operation.into()),
        detail: Some(caller.reference.to_string().into()),
        ..Event::of(what)
    }
}
