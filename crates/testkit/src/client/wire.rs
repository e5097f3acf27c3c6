//! Bytes on a connection.

use super::reply::{Connection, Reply, Stream};
use bytes::Bytes;
use http::{HeaderMap, HeaderName, HeaderValue, Request};
use http_body_util::{BodyExt as _, Full};
use hyper::client::conn::http1::SendRequest;
use hyper_util::rt::TokioIo;
use std::net::SocketAddr;
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::TcpStream;

use crate::patience::soon;

pub(super) async fn send(address: SocketAddr, request: Request<Bytes>) -> Stream {
    let stream = TcpStream::connect(address).await.unwrap();
    let (mut sender, connection) = hyper::client::conn::http1::handshake(TokioIo::new(stream)).await.unwrap();
    let connection = Connection(tokio::spawn(async move { connection.await.unwrap_or_default() }));
    let response = sender.send_request(request.map(Full::new)).await.unwrap();
    Stream::new(response, connection)
}

/// A connection that is used again and again.
pub struct Kept {
    sender: SendRequest<Full<Bytes>>,
    _connection: Connection,
}

impl Kept {
    /// Connects.
    pub async fn open(address: SocketAddr) -> Self {
        let stream = TcpStream::connect(address).await.unwrap();
        stream.set_nodelay(true).unwrap();
        let (sender, connection) = hyper::client::conn::http1::handshake(TokioIo::new(stream)).await.unwrap();
        let connection = Connection(tokio::spawn(async move { connection.await.unwrap_or_default() }));
        Self { sender, _connection: connection }
    }

    /// Sends a request and reads all of its answer.
    pub async fn send(&mut self, request: Request<Bytes>) -> Reply {
        soon("an answer", async {
            self.sender.ready().await.unwrap();
            let response = self.sender.send_request(request.map(Full::new)).await.unwrap();
            let (head, body) = response.into_parts();
            let body = body.collect().await.unwrap().to_bytes();
            Reply { status: head.status.as_u16(), headers: head.headers, body }
        })
        .await
    }
}

/// A request as HTTP/1.1 text, on a connection that ends with it.
pub(super) fn text(request: &Request<Bytes>) -> Vec<u8> {
    let mut text = format!("{} {} HTTP/1.1\r\n", request.method(), request.uri()).into_bytes();
    for (name, value) in request.headers() {
        text.extend_from_slice(name.as_str().as_bytes());
        text.extend_from_slice(b": ");
        text.extend_from_slice(value.as_bytes());
        text.extend_from_slice(b"\r\n");
    }
    text.extend_from_slice(
        format!("content-length: {}\r\nconnection: close\r\n\r\n", request.body().len()).as_bytes(),
    );
    text.extend_from_slice(request.body());
    text
}

/// A bare connection; dropping it closes it.
pub struct Line(TcpStream);

impl Line {
    /// Connects.
    pub async fn open(address: SocketAddr) -> Self {
        Self(TcpStream::connect(address).await.unwrap())
    }

    /// Writes some bytes. The other side may have closed already.
    pub async fn write(&mut self, bytes: &[u8]) {
        drop(self.0.write_all(bytes).await);
    }

    /// Says that nothing more will be written.
    pub async fn end(&mut self) {
        drop(self.0.shutdown().await);
    }

    /// Reads until the other side closes, and takes that for a response; status 0 if it is none.
    pub async fn reply(&mut self) -> Reply {
        let mut text = Vec::new();
        // A reset after the response does not take the response back.
        drop(soon("the end of a connection", self.0.read_to_end(&mut text)).await);
        parse(&text)
    }
}

/// Sends these bytes, whatever they are, and reads what comes back until the connection is closed.
pub async fn raw(address: SocketAddr, bytes: &[u8]) -> Reply {
    let mut line = Line::open(address).await;
    line.write(bytes).await;
    line.reply().await
}

fn parse(text: &[u8]) -> Reply {
    let end = text.windows(4).position(|four| four == b"\r\n\r\n").map_or(text.len(), |end| end + 4);
    let (head, body) = text.split_at(end);
    let head = String::from_utf8_lossy(head).into_owned();
    let mut headers = HeaderMap::new();
    for (name, value) in head.lines().skip(1).filter_map(|line| line.split_once(':')) {
        headers.append(name.parse::<HeaderName>().unwrap(), HeaderValue::from_str(value.trim()).unwrap());
    }
    let status = head.get(9..12).and_then(|code| code.parse().ok()).unwrap_or(0);
    let chunked = headers.get("transfer-encoding").is_some_and(|value| value == "chunked");
    Reply { status, headers, body: if chunked { unchunk(body) } else { Bytes::copy_from_slice(body) } }
}

fn unchunk(mut body: &[u8]) -> Bytes {
    let mut whole = Vec::new();
    while let Some(line) = body.windows(2).position(|pair| pair == b"\r\n") {
        let size = std::str::from_utf8(&body[..line])
            .ok()
            .and_then(|hex| usize::from_str_radix(hex.trim(), 16).ok());
        let Some(size @ 1..) = size else { break };
        let start = line + 2;
        whole.extend_from_slice(&body[start..(start + size).min(body.len())]);
        body = &body[(start + size + 2).min(body.len())..];
    }
    whole.into()
}
