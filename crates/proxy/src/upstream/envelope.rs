//! The bytes of a stateless request, written in one go: this is on every call's path.
//!
//! The params' members and the foreign members of `_meta` are copied byte for byte; what 2026-07-28 reserves
//! (basic/index, `_meta`) says what the gateway says, whatever stood there. `baggage` ends at this boundary.

use bytes::Bytes;
use protocol::meta::{CLIENT_CAPABILITIES, CLIENT_INFO, LOG_LEVEL, LogLevel, PROTOCOL_VERSION};
use protocol::{Members, Method, Raw, Version};

/// What the server is told in `_meta`.
pub(super) struct Told<'a> {
    pub(super) version: Version,
    pub(super) capabilities: &'a Raw,
    pub(super) info: Option<&'a Raw>,
    pub(super) log_level: Option<LogLevel>,
    /// Whether the request wants progress; its token is its id.
    pub(super) progress: bool,
}

/// The request.
pub(super) fn stateless(id: i64, method: Method, params: Option<&Members>, told: &Told<'_>) -> Bytes {
    let size = params.map_or(0, |params| params.raw().as_bytes().len())
        + told.capabilities.as_bytes().len()
        + told.info.map_or(0, |info| info.as_bytes().len());
    let mut out = Vec::with_capacity(size + FIXED);
    let mut digits = itoa::Buffer::new();
    let id = digits.format(id).as_bytes();
    put(&mut out, &[br#"{"jsonrpc":"2.0","id":"#, id, br#","method":""#, method.name().as_bytes()]);
    out.extend_from_slice(br#"","params":{"#);
    for (key, written) in params.into_iter().flat_map(Members::written) {
        if key != "_meta" {
            put(&mut out, &[written, b","]);
        }
    }
    out.extend_from_slice(br#""_meta":{"#);
    let meta = params.and_then(|params| params.object("_meta"));
    for (key, written) in meta.iter().flat_map(Members::written) {
        if !OURS.contains(&&*key) {
            put(&mut out, &[written, b","]);
        }
    }
    if let Some(info) = told.info {
        member(&mut out, CLIENT_INFO, info.as_bytes());
    }
    if let Some(level) = told.log_level {
        put(&mut out, &[b"\"", LOG_LEVEL.as_bytes(), b"\":\"", level.as_str().as_bytes(), b"\","]);
    }
    if told.progress {
        member(&mut out, PROGRESS_TOKEN, id);
    }
    member(&mut out, CLIENT_CAPABILITIES, told.capabilities.as_bytes());
    put(
        &mut out,
        &[b"\"", PROTOCOL_VERSION.as_bytes(), b"\":\"", told.version.as_str().as_bytes(), b"\"}}}"],
    );
    Bytes::from(out)
}

/// `"key":value,` for a key without anything to escape.
fn member(out: &mut Vec<u8>, key: &str, value: &[u8]) {
    put(out, &[b"\"", key.as_bytes(), b"\":", value, b","]);
}

fn put(out: &mut Vec<u8>, parts: &[&[u8]]) {
    for part in parts {
        out.extend_from_slice(part);
    }
}

const PROGRESS_TOKEN: &str = "progressToken";

/// Members of `_meta` that the gateway writes, or leaves out.
const OURS: [&str; 6] =
    [PROTOCOL_VERSION, CLIENT_CAPABILITIES, CLIENT_INFO, LOG_LEVEL, PROGRESS_TOKEN, "baggage"];

/// Room for what is the same in every request.
const FIXED: usize = 320;

#[cfg(test)]
mod tests {
    use super::*;
    use crate::upstream::tests::raw;

    fn written(params: Option<&str>, progress: bool) -> String {
        let told = Told {
            version: Version::V2026_07_28,
            capabilities: &raw(r#"{"roots":{}}"#),
            info: Some(&raw(r#"{"name":"c"}"#)),
            log_level: Some(LogLevel::Info),
            progress,
        };
        let params = params.map(|params| raw(params).members().unwrap());
        let bytes = stateless(7, Method::ToolsCall, params.as_ref(), &told);
        let bounds = protocol::Bounds { bytes: 1 << 16, depth: 32, items: 1000 };
        protocol::decode(bytes.clone(), &bounds).unwrap();
        String::from_utf8(bytes.to_vec()).unwrap()
    }

    #[test]
    fn what_is_foreign_is_copied_and_what_is_ours_is_said_once() {
        let meta = r#""io.modelcontextprotocol/clientInfo":{"name":"c"},"io.modelcontextprotocol/logLevel":"info","io.modelcontextprotocol/clientCapabilities":{"roots":{}},"io.modelcontextprotocol/protocolVersion":"2026-07-28""#;
        let head = r#"{"jsonrpc":"2.0","id":7,"method":"tools/call","params":"#;
        assert_eq!(written(None, false), format!(r#"{head}{{"_meta":{{{meta}}}}}}}"#));
        // Down to the spaces between key and value.
        let params = r#"{ "name" : "x","_meta":{"io.modelcontextprotocol/clientCapabilities":{"sampling":{}},"a\"b":[1.0 , 2],"progressToken":"t","baggage":"secret"},"arguments":{"é": 1e2}}"#;
        let expect = format!(
            r#"{head}{{"name" : "x","arguments":{{"é": 1e2}},"_meta":{{"a\"b":[1.0 , 2],{meta}}}}}}}"#
        );
        assert_eq!(written(Some(params), false), expect);
        assert!(written(Some(params), true).contains(r#""progressToken":7,"#));
    }
}
