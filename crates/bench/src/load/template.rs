//! One request, composed once and written many times with another token and serial.

use serde::{Deserialize, Serialize};

/// Which of the two eras of MCP a client speaks.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, clap::ValueEnum)]
#[serde(rename_all = "lowercase")]
pub enum Era {
    /// 2026-07-28: everything in each request.
    Stateless,
    /// 2025-11-25: a session that was opened first.
    Session,
}

/// What is asked over and over.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Work {
    /// `tools/call` of this tool, with arguments that never repeat.
    Call(String),
    /// `tools/list`, one page.
    List,
}

/// The bytes of a request around its token and its serials.
pub(super) struct Template {
    head: String,
    after_token: String,
    /// Between the pieces stands the serial.
    body: Vec<String>,
}

impl Template {
    pub(super) fn new(path: &str, work: &Work, era: Era, session: Option<&str>) -> Self {
        let meta = match era {
            Era::Stateless => concat!(
                r#""_meta":{"io.modelcontextprotocol/protocolVersion":"2026-07-28","#,
                r#""io.modelcontextprotocol/clientInfo":{"name":"bench","version":"1.0.0"},"#,
                r#""io.modelcontextprotocol/clientCapabilities":{}}"#
            ),
            Era::Session => "",
        };
        let comma = if meta.is_empty() { "" } else { "," };
        let (method, params) = match work {
            Work::Call(tool) => (
                "tools/call",
                format!(
                    r#"{{"name":"{tool}","arguments":{{"text":"q-{SERIAL}","region":"eu","path":"/data/{SERIAL}","limit":10,"options":{{"nested":{{"priority":3,"tag":"bench"}}}}}}{comma}{meta}}}"#
                ),
            ),
            Work::List => ("tools/list", format!("{{{meta}}}")),
        };
        let body = format!(r#"{{"jsonrpc":"2.0","id":{SERIAL},"method":"{method}","params":{params}}}"#);
        let pieces: Vec<String> = body.split(SERIAL).map(str::to_owned).collect();
        let length = pieces.iter().map(String::len).sum::<usize>() + (pieces.len() - 1) * DIGITS;
        let mut after_token = String::from("\r\n");
        match (era, session) {
            (Era::Stateless, _) => {
                after_token.push_str("MCP-Protocol-Version: 2026-07-28\r\nMcp-Method: ");
                after_token.push_str(method);
                if let Work::Call(tool) = work {
                    after_token.push_str("\r\nMcp-Name: ");
                    after_token.push_str(tool);
                }
            }
            (Era::Session, session) => {
                after_token.push_str("MCP-Protocol-Version: 2025-11-25\r\nMcp-Session-Id: ");
                after_token.push_str(session.unwrap_or_default());
            }
        }
        after_token.push_str(&format!("\r\nContent-Length: {length}\r\n\r\n"));
        let head = format!("{}Authorization: Bearer ", head(path));
        Self { head, after_token, body: pieces }
    }

    /// Writes one request into `out`, replacing what was there. `serial` has ten digits.
    pub(super) fn write(&self, out: &mut Vec<u8>, token: &str, serial: u64) {
        out.clear();
        out.extend_from_slice(self.head.as_bytes());
        out.extend_from_slice(token.as_bytes());
        out.extend_from_slice(self.after_token.as_bytes());
        let digits = digits(serial);
        for (place, piece) in self.body.iter().enumerate() {
            if place > 0 {
                out.extend_from_slice(&digits);
            }
            out.extend_from_slice(piece.as_bytes());
        }
    }
}

/// The request line and the headers that never change.
pub(super) fn head(path: &str) -> String {
    format!(
        "POST {path} HTTP/1.1\r\nHost: localhost\r\nContent-Type: application/json\r\nAccept: application/json, text/event-stream\r\n"
    )
}

/// The last ten decimal digits of `serial`.
pub(super) fn digits(mut serial: u64) -> [u8; DIGITS] {
    let mut out = [b'0'; DIGITS];
    for slot in out.iter_mut().rev() {
        *slot = b'0' + u8::try_from(serial % 10).unwrap_or(0);
        serial /= 10;
    }
    out
}

const SERIAL: &str = "\u{1}";
const DIGITS: usize = 10;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_declared_length_is_the_length() {
        for (work, era) in [
            (Work::Call("tool_00".into()), Era::Stateless),
            (Work::Call("tool_00".into()), Era::Session),
            (Work::List, Era::Stateless),
            (Work::List, Era::Session),
        ] {
            let mut out = Vec::new();
            Template::new("/mcp", &work, era, Some("s")).write(&mut out, "token", 1_234_567_890);
            let text = String::from_utf8(out).unwrap();
            let (head, body) = text.split_once("\r\n\r\n").unwrap();
            assert!(head.ends_with(&format!("Content-Length: {}", body.len())), "{text}");
            let body: serde_json::Value = serde_json::from_str(body).unwrap();
            assert_eq!(body.get("id").unwrap(), 1_234_567_890);
        }
    }
}
