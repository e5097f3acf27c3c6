//! One HTTP/1.1 connection, with one request under way at a time.

use super::template::{self, digits};
use anyhow::{Context as _, bail};
use memchr::memmem;
use std::net::SocketAddr;
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::TcpStream;

/// An open connection and the bytes of the last response.
pub(super) struct Connection {
    stream: TcpStream,
    buffer: Vec<u8>,
}

/// One response, borrowed from its connection. A chunked body still has its chunk sizes in it.
pub(super) struct Response<'a> {
    status: u16,
    head: &'a [u8],
    body: &'a [u8],
}

impl Connection {
    pub(super) async fn open(address: SocketAddr) -> anyhow::Result<Self> {
        #[allow(clippy::disallowed_methods, reason = "the load generator is no part of the gateway")]
        let stream = TcpStream::connect(address).await?;
        stream.set_nodelay(true)?;
        Ok(Self { stream, buffer: Vec::with_capacity(16 << 10) })
    }

    /// Sends a whole request and reads its whole response.
    pub(super) async fn exchange(&mut self, request: &[u8]) -> anyhow::Result<Response<'_>> {
        self.stream.write_all(request).await?;
        self.buffer.clear();
        let (head, end) = loop {
            if self.stream.read_buf(&mut self.buffer).await? == 0 {
                bail!("the connection was closed");
            }
            if let Some(found) = whole(&self.buffer)? {
                break found;
            }
        };
        let (head, body) =
            self.buffer.get(..end).unwrap_or_default().split_at_checked(head).unwrap_or_default();
        let status =
            head.get(9..12).and_then(|code| std::str::from_utf8(code).ok()?.parse().ok()).unwrap_or(0);
        Ok(Response { status, head, body })
    }

    /// Sends a request and returns once the head of its response, and `marker`, have come; the rest may never come.
    pub(super) async fn begin(&mut self, request: &[u8], marker: &[u8]) -> anyhow::Result<()> {
        self.stream.write_all(request).await?;
        self.buffer.clear();
        while memmem::find(&self.buffer, marker).is_none() {
            if self.stream.read_buf(&mut self.buffer).await? == 0 {
                bail!("closed after {:?}", String::from_utf8_lossy(&self.buffer));
            }
        }
        Ok(())
    }

    /// Sends a request without waiting for anything.
    pub(super) async fn send(&mut self, request: &[u8]) -> anyhow::Result<()> {
        Ok(self.stream.write_all(request).await?)
    }

    /// Reads and forgets until the other side closes.
    pub(super) async fn drain(mut self) -> anyhow::Result<()> {
        while self.stream.read_buf(&mut self.buffer).await? != 0 {
            self.buffer.clear();
        }
        Ok(())
    }

    /// Opens a 2025-11-25 session and returns its id, empty if the server needs none.
    pub(super) async fn initialize(&mut self, path: &str, token: &str) -> anyhow::Result<String> {
        let post = |body: &str, session: &str| {
            format!(
                "{}Authorization: Bearer {token}\r\n{session}Content-Length: {}\r\n\r\n{body}",
                template::head(path),
                body.len()
            )
        };
        let opening = post(
            r#"{"jsonrpc":"2.0","id":1,"method":"initialize","params":{"protocolVersion":"2025-11-25","capabilities":{},"clientInfo":{"name":"bench","version":"1.0.0"}}}"#,
            "",
        );
        let response = self.exchange(opening.as_bytes()).await?;
        if response.status != 200 {
            bail!("initialize: {}", response.text());
        }
        let session = header(response.head, "mcp-session-id").unwrap_or_default().to_owned();
        let opened = post(
            r#"{"jsonrpc":"2.0","method":"notifications/initialized"}"#,
            &format!("Mcp-Session-Id: {session}\r\nMCP-Protocol-Version: 2025-11-25\r\n"),
        );
        let response = self.exchange(opened.as_bytes()).await?;
        if response.status / 100 != 2 {
            bail!("notifications/initialized: {}", response.text());
        }
        Ok(session)
    }

    /// Ends a session, as a client that leaves does; a server may not know how.
    pub(super) async fn leave(&mut self, path: &str, token: &str, session: &str) -> anyhow::Result<()> {
        let request = format!(
            "DELETE {path} HTTP/1.1\r\nHost: localhost\r\nAuthorization: Bearer {token}\r\nMcp-Session-Id: {session}\r\nMCP-Protocol-Version: 2025-11-25\r\nContent-Length: 0\r\n\r\n"
        );
        self.exchange(request.as_bytes()).await?;
        Ok(())
    }
}

impl Response<'_> {
    /// Whether this is the result asked for under `serial`.
    pub(super) fn check(&self, serial: u64) -> Result<(), String> {
        let good = self.status == 200
            && memmem::find(self.body, &digits(serial)).is_some()
            && memmem::find(self.body, br#""result""#).is_some()
            && memmem::find(self.body, br#""isError":true"#).is_none();
        if good { Ok(()) } else { Err(self.text()) }
    }

    pub(super) fn text(&self) -> String {
        let (head, body) = (String::from_utf8_lossy(self.head), String::from_utf8_lossy(self.body));
        head.chars().chain(body.chars()).take(800).collect()
    }
}

/// Where the head and the response end, once all of it is there.
fn whole(buffer: &[u8]) -> anyhow::Result<Option<(usize, usize)>> {
    let Some(head) = memmem::find(buffer, b"\r\n\r\n").map(|place| place + 4) else { return Ok(None) };
    let lines = buffer.get(..head).unwrap_or_default();
    if let Some(length) = header(lines, "content-length") {
        let end = head + length.parse::<usize>().context("an unreadable content-length")?;
        return Ok((buffer.len() >= end).then_some((head, end)));
    }
    if header(lines, "transfer-encoding").is_none() {
        // 202 and 204 have no body.
        return Ok(Some((head, head)));
    }
    // Nothing follows the last chunk, since one request is under way at a time.
    Ok(buffer.ends_with(b"\r\n0\r\n\r\n").then_some((head, buffer.len())))
}

fn header<'a>(head: &'a [u8], name: &str) -> Option<&'a str> {
    head.split(|byte| *byte == b'\n').find_map(|line| {
        let line = std::str::from_utf8(line).ok()?;
        let (key, value) = line.split_once(':')?;
        key.eq_ignore_ascii_case(name).then(|| value.trim())
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_response_is_whole_when_its_last_byte_came() {
        for (buffer, expect) in [
            ("HTTP/1.1 200 OK\r\ncontent-length: 2\r\n", None),
            ("HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\n{", None),
            ("HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\n{}", Some((38, 40))),
            ("HTTP/1.1 202 Accepted\r\n\r\n", Some((25, 25))),
            ("HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\n2\r\n{}\r\n0\r\n\r\n", Some((47, 59))),
        ] {
            assert_eq!(whole(buffer.as_bytes()).unwrap(), expect, "{buffer}");
        }
    }
}
