//! The translation of one call between the client's era and the server's, both ways.
//!
//! Within one era nothing but ids, progress tokens and the reserved `_meta` keys is touched; between eras
//! `protocol::bridge` says what becomes what. What a newer server asks of an older client is left as it is: `relay` holds
//! that conversation. Any other call that would need one across eras is refused.

use super::fault::{Sent, UpstreamError};
use super::{Outbound, Shared, envelope};
use bytes::Bytes;
use protocol::meta::LogLevel;
use protocol::{Edit, Era, Id, Members, Message, Method, Notification, Outcome, Raw, Request, Response};
use protocol::{RpcError, Version, bridge, frame, reply, view};

/// Both ends of one call.
pub(super) struct Dialect {
    /// What the client speaks.
    pub(super) client: Version,
    /// What the server is spoken to in.
    pub(super) server: Version,
    pub(super) method: Method,
    /// The id of the request upstream, and its progress token.
    pub(super) id: i64,
    /// The client's progress token.
    token: Option<Id>,
    log_level: Option<LogLevel>,
    /// Whether requests of the server may reach the client.
    asks: bool,
    /// The server's own `serverInfo`, for results that must carry it.
    server_info: Option<Raw>,
}

/// What to do with a message of the server.
pub(super) enum Heard {
    /// It is for the client, in the client's era.
    Notification(Notification),
    /// A question to the client, as the server asks it (session era).
    Request(Request),
    /// The answer, in the client's era.
    Final(Outcome),
    /// It belongs to the client session, not to the call.
    Unsolicited(Notification),
    /// It is answered by the gateway itself.
    Reply(Bytes),
    /// It is nobody's.
    Nothing,
}

impl Dialect {
    /// # Errors
    /// Unbridged, when the method does not exist in the server's era.
    pub(super) fn new(
        shared: &Shared,
        out: &Outbound,
        server: Version,
        server_info: Option<Raw>,
        asks: bool,
    ) -> Result<Self, UpstreamError> {
        if !out.method.in_era(server.era()) {
            return Err(UpstreamError::unbridged(format!(
                "{} does not exist in {}, which is what the server speaks",
                out.method.name(),
                server.as_str()
            )));
        }
        Ok(Self {
            client: out.version,
            server,
            method: out.method,
            id: shared.fresh_id(),
            token: out.progress.clone(),
            log_level: out.log_level,
            asks: asks && out.can_be_asked(),
            server_info,
        })
    }

    /// Whether an older server may ask a newer client something in the middle of this call.
    pub(super) fn asks_newer(&self) -> bool {
        self.asks && self.client.era() == Era::Stateless && self.server.era() == Era::Session
    }

    /// The same call goes on for a later request of its client, with a progress token of its own.
    pub(super) fn next_leg(&mut self, token: Option<Id>) {
        self.token = token;
    }

    /// The request as it goes to the server: fresh id, fresh progress token, the server's era.
    pub(super) fn request(&self, out: &Outbound) -> Bytes {
        let mut params = out.params.as_ref();
        let retry = params.filter(|params| {
            let across = self.client.era() == Era::Stateless && self.server.era() == Era::Session;
            across && (params.contains("inputResponses") || params.contains("requestState"))
        });
        let plain = retry.and_then(|params| bridge::retry_to_session(params).members());
        params = plain.as_ref().or(params);
        if self.server.era() == Era::Stateless {
            let told = envelope::Told {
                version: self.server,
                capabilities: &out.capabilities(),
                info: out.client_info.as_ref(),
                log_level: out.log_level,
                progress: self.token.is_some(),
            };
            return envelope::stateless(self.id, self.method, params, &told);
        }
        // The client's own token, or none: neither reaches the server.
        let meta = params.and_then(|params| params.object("_meta"));
        let stale = meta.is_some_and(|meta| meta.contains("progressToken"));
        let fresh = self.token.as_ref().map(|_| Id::Number(self.id));
        let plain = bridge::params_to_session(params);
        let params = if fresh.is_none() && !stale {
            plain
        } else {
            bridge::with_progress_token(plain.as_ref().and_then(Raw::members).as_ref(), fresh.as_ref())
        };
        frame::request(&Id::Number(self.id), self.method.name(), params.as_ref())
    }

    /// Sorts a message that arrived for this call.
    ///
    /// # Errors
    /// Failed, when the message cannot be an answer to this call, or breaks its era.
    pub(super) fn hear(&self, message: Message) -> Result<Heard, UpstreamError> {
        match message {
            Message::Response(response) => self.answer(response).map(Heard::Final),
            Message::Notification(notification) => Ok(self.told(notification)),
            Message::Request(request) => self.asked(request),
        }
    }

    fn answer(&self, response: Response) -> Result<Outcome, UpstreamError> {
        match response.id {
            Some(Id::Number(id)) if id == self.id => {}
            Some(_) => return Err(UpstreamError::failed("it answered with an id that was not asked")),
            None if matches!(response.outcome, Outcome::Error(_)) => {}
            None => return Err(UpstreamError::failed("it answered without an id")),
        }
        let unbridged = |error: bridge::BridgeError| {
            UpstreamError::unbridged("its answer has no form in the client's era")
                .with_sent(Sent::Unknown)
                .because(error)
        };
        match (self.server.era(), self.client.era(), response.outcome) {
            (Era::Session, Era::Stateless, Outcome::Result(result)) => {
                object(bridge::result_to_stateless(self.method, &result, self.server_info.as_ref()))
                    .map(Outcome::Result)
            }
            // A question to an older client: `relay` holds the conversation.
            (Era::Stateless, Era::Session, Outcome::Result(result)) if asks(&result) => {
                Ok(Outcome::Result(result))
            }
            (Era::Stateless, Era::Session, Outcome::Result(result)) => {
                object(bridge::result_to_session(self.method, &result).map_err(unbridged)?)
                    .map(Outcome::Result)
            }
            // Pages to visit: `relay` asks for them.
            (Era::Session, Era::Stateless, Outcome::Error(error))
                if bridge::pages_to_stateless(&error).is_some() =>
            {
                Ok(Outcome::Error(error))
            }
            (Era::Session, Era::Stateless, Outcome::Error(error)) => {
                rpc_error(bridge::error_to_stateless(&error)).map(Outcome::Error)
            }
            (Era::Stateless, Era::Session, Outcome::Error(error)) => {
                rpc_error(bridge::error_to_session(self.method, &error)).map(Outcome::Error)
            }
            (_, _, outcome) => Ok(outcome),
        }
    }

    fn told(&self, notification: Notification) -> Heard {
        let method = notification.method.known();
        match method {
            Some(Method::Progress) => self.progressed(notification),
            Some(Method::Message) if !self.wants(&notification) => Heard::Nothing,
            Some(
                Method::ToolsListChanged
                | Method::PromptsListChanged
                | Method::ResourcesListChanged
                | Method::ResourcesUpdated
                | Method::ElicitationComplete,
            ) if self.server.era() == Era::Session => Heard::Unsolicited(notification),
            // Withdraws a question of the server; nobody was asked across eras.
            Some(Method::Cancelled) if self.server.era() != self.client.era() => Heard::Nothing,
            _ => Heard::Notification(notification),
        }
    }

    /// Whether a log message is loud enough. A stateless client hears none unless its request asked for them.
    fn wants(&self, message: &Notification) -> bool {
        match (self.log_level, view::level(message.params.as_ref())) {
            (Some(wanted), Ok(level)) => level >= wanted,
            (Some(_), Err(_)) => true,
            (None, _) => self.client.era() == Era::Session,
        }
    }

    fn progressed(&self, notification: Notification) -> Heard {
        let Some((token, params)) = self.token.as_ref().zip(notification.params.as_ref()) else {
            return Heard::Nothing;
        };
        if params.get("progressToken").and_then(|token| token.to_i64()) != Some(self.id) {
            return Heard::Nothing;
        }
        let params = Edit::new().set(&["progressToken"], token.to_raw()).apply(params);
        let bytes = frame::notification(Method::Progress.name(), Some(&params));
        Heard::Notification(Notification { params: Members::of(&params), bytes, ..notification })
    }

    fn asked(&self, request: Request) -> Result<Heard, UpstreamError> {
        if self.server.era() == Era::Stateless {
            return Err(UpstreamError::failed("it sent a request, which 2026-07-28 forbids"));
        }
        Ok(match own_answer(&request) {
            Some(reply) => Heard::Reply(reply),
            None if self.asks => Heard::Request(request),
            None => Heard::Reply(refusal(&request)),
        })
    }
}

fn asks(result: &Members) -> bool {
    matches!(view::result_type(result), Ok(view::ResultType::InputRequired))
}

/// The gateway's own answer to a server's `ping`.
pub(super) fn own_answer(request: &Request) -> Option<Bytes> {
    (request.method.known() == Some(Method::Ping)).then(|| reply::result(&request.id, b"{}"))
}

/// The answer to a request that no client will see.
pub(super) fn refusal(request: &Request) -> Bytes {
    let text = "this client answers no such request";
    reply::error(Some(&request.id), reply::METHOD_NOT_FOUND, text, None)
}

fn object(raw: Raw) -> Result<Members, UpstreamError> {
    Members::of(&raw).ok_or_else(|| UpstreamError::internal("a translated result is no object"))
}

fn rpc_error(raw: Raw) -> Result<RpcError, UpstreamError> {
    let fault = || UpstreamError::internal("a translated error is no error");
    let members = Members::of(&raw).ok_or_else(fault)?;
    let code = members.get("code").and_then(|code| code.to_i64()).ok_or_else(fault)?;
    let message = members.text("message").ok_or_else(fault)?.into();
    Ok(RpcError { code, message, data: members.get("data"), raw: raw.clone() })
}
