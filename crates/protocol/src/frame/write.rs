//! Messages of ours.

use super::Id;
use crate::raw::{Raw, write_string};
use bytes::Bytes;

/// The bytes of a request. One line only if `params` is: see [`one_line`].
pub fn request(id: &Id, method: &str, params: Option<&Raw>) -> Bytes {
    let mut out = open(method, params);
    out.extend_from_slice(b",\"id\":");
    id.write(&mut out);
    close(out, params)
}

/// The bytes of a notification.
pub fn notification(method: &str, params: Option<&Raw>) -> Bytes {
    close(open(method, params), params)
}

/// The same message without line breaks, for the stdio transport. In checked JSON a raw line break can only be
/// whitespace, so each becomes a space and nothing else changes.
pub fn one_line(message: Bytes) -> Bytes {
    if memchr::memchr2(b'\n', b'\r', &message).is_none() {
        return message;
    }
    message.iter().map(|byte| if matches!(byte, b'\n' | b'\r') { b' ' } else { *byte }).collect()
}

fn open(method: &str, params: Option<&Raw>) -> Vec<u8> {
    let length = params.map_or(0, |params| params.as_bytes().len());
    let mut out = Vec::with_capacity(length + method.len() + 80);
    out.extend_from_slice(b"{\"jsonrpc\":\"2.0\",\"method\":");
    write_string(method, &mut out);
    out
}

fn close(mut out: Vec<u8>, params: Option<&Raw>) -> Bytes {
    if let Some(params) = params {
        out.extend_from_slice(b",\"params\":");
        out.extend_from_slice(params.as_bytes());
    }
    out.push(b'}');
    Bytes::from(out)
}
