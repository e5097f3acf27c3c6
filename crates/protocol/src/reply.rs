//! The bytes of replies, and the error codes of JSON-RPC and MCP with their HTTP statuses.
//!
//! Codes of our own lie outside -32768…-32000 (2026-07-28, basic "Error Codes").

use crate::frame::Id;
use crate::raw::{Raw, write_string};
use bytes::Bytes;
use http::StatusCode;

/// The text is not JSON.
pub const PARSE_ERROR: i64 = -32700;
/// The JSON is not one message.
pub const INVALID_REQUEST: i64 = -32600;
/// There is no such method here.
pub const METHOD_NOT_FOUND: i64 = -32601;
/// The params are wrong, or name nothing that exists for this caller.
pub const INVALID_PARAMS: i64 = -32602;
/// The receiver failed.
pub const INTERNAL_ERROR: i64 = -32603;
/// Headers and body disagree (2026-07-28).
pub const HEADER_MISMATCH: i64 = -32020;
/// The call needs a capability that the client did not declare (2026-07-28).
pub const MISSING_CLIENT_CAPABILITY: i64 = -32021;
/// The version is not spoken here (2026-07-28).
pub const UNSUPPORTED_VERSION: i64 = -32022;
/// No such resource, until 2025-11-25; must not be sent in 2026-07-28.
pub const RESOURCE_NOT_FOUND: i64 = -32002;
/// The user must visit a URL first, in 2025-11-25 only.
pub const URL_ELICITATION_REQUIRED: i64 = -32042;

/// A result for the request `id`; `result` is one JSON object.
pub fn result(id: &Id, result: &[u8]) -> Bytes {
    let mut out = Vec::with_capacity(result.len() + 64);
    out.extend_from_slice(b"{\"jsonrpc\":\"2.0\",\"id\":");
    id.write(&mut out);
    out.extend_from_slice(b",\"result\":");
    out.extend_from_slice(result);
    out.push(b'}');
    Bytes::from(out)
}

/// An error for the request `id`, or without one where it could not be read; `data` is one JSON value.
pub fn error(id: Option<&Id>, code: i64, message: &str, data: Option<&[u8]>) -> Bytes {
    let object = error_object(code, message, data);
    let mut out = Vec::with_capacity(object.as_bytes().len() + 64);
    out.extend_from_slice(b"{\"jsonrpc\":\"2.0\",");
    if let Some(id) = id {
        out.extend_from_slice(b"\"id\":");
        id.write(&mut out);
        out.push(b',');
    }
    out.extend_from_slice(b"\"error\":");
    out.extend_from_slice(object.as_bytes());
    out.push(b'}');
    Bytes::from(out)
}

/// An `error` object passed on for the request `id`.
pub fn passed_error(id: &Id, object: &Raw) -> Bytes {
    let mut out = Vec::with_capacity(object.as_bytes().len() + 64);
    out.extend_from_slice(b"{\"jsonrpc\":\"2.0\",\"id\":");
    id.write(&mut out);
    out.extend_from_slice(b",\"error\":");
    out.extend_from_slice(object.as_bytes());
    out.push(b'}');
    Bytes::from(out)
}

fn error_object(code: i64, message: &str, data: Option<&[u8]>) -> Raw {
    let mut out = Vec::with_capacity(message.len() + data.map_or(0, <[u8]>::len) + 48);
    out.extend_from_slice(b"{\"code\":");
    out.extend_from_slice(itoa::Buffer::new().format(code).as_bytes());
    out.extend_from_slice(b",\"message\":");
    write_string(message, &mut out);
    if let Some(data) = data {
        out.extend_from_slice(b",\"data\":");
        out.extend_from_slice(data);
    }
    out.push(b'}');
    Raw::checked(Bytes::from(out))
}

/// A `tools/call` result that failed in a way the model may read (server/tools "Error Handling").
pub fn tool_error(text: &str) -> Raw {
    let mut out = b"{\"content\":[{\"type\":\"text\",\"text\":".to_vec();
    write_string(text, &mut out);
    out.extend_from_slice(b"}],\"isError\":true}");
    Raw::checked(Bytes::from(out))
}

/// The HTTP status of an error in the stateless era (streamable HTTP "Protocol Version Header", "Server
/// Validation"; basic "General fields"). A JSON-RPC error that the method itself gave goes out as 200.
pub fn status(code: i64) -> StatusCode {
    match code {
        METHOD_NOT_FOUND => StatusCode::NOT_FOUND,
        PARSE_ERROR
        | INVALID_REQUEST
        | INVALID_PARAMS
        | HEADER_MISMATCH
        | MISSING_CLIENT_CAPABILITY
        | UNSUPPORTED_VERSION => StatusCode::BAD_REQUEST,
        INTERNAL_ERROR => StatusCode::INTERNAL_SERVER_ERROR,
        _ => StatusCode::OK,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::frame::{Bounds, Message, Outcome, decode};

    const BOUNDS: Bounds = Bounds { bytes: 4096, depth: 8, items: 64 };

    #[test]
    fn replies_are_frames() {
        let id = Id::Text("a\"\n\u{1}é".into());
        let Ok(Message::Response(reply)) = decode(result(&id, b"{\"x\":1}"), &BOUNDS) else { panic!() };
        assert_eq!(reply.id, Some(id.clone()));
        let bytes = error(None, PARSE_ERROR, "not \"JSON\"\t", Some(b"[1]"));
        let Ok(Message::Response(reply)) = decode(bytes, &BOUNDS) else { panic!() };
        let Outcome::Error(error) = reply.outcome else { panic!() };
        assert_eq!((reply.id, error.code, error.message.as_ref()), (None, PARSE_ERROR, "not \"JSON\"\t"));
        let Ok(Message::Response(reply)) = decode(passed_error(&id, &error.raw), &BOUNDS) else { panic!() };
        assert_eq!(reply.id, Some(id));
    }

    #[test]
    fn unknown_methods_are_not_found_and_protocol_faults_bad_requests() {
        assert_eq!(status(METHOD_NOT_FOUND), 404);
        for code in
            [PARSE_ERROR, INVALID_REQUEST, HEADER_MISMATCH, MISSING_CLIENT_CAPABILITY, UNSUPPORTED_VERSION]
        {
            assert_eq!(status(code), 400, "{code}");
        }
        assert_eq!(status(1), 200);
    }
}
