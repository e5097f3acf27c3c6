//! Server-sent events (WHATWG HTML §9.2), read in pieces of any size and within a bound, and written.

use bytes::{Bytes, BytesMut};

/// One event.
#[derive(Clone, PartialEq, Eq, Debug, Default)]
pub struct Event {
    /// `event`, if given. MCP uses none, or `message`.
    pub event: Option<Box<str>>,
    /// `id`, if given and without NUL.
    pub id: Option<Box<str>>,
    /// The `data` lines, joined by line feeds. A single line is a slice of what was pushed, not a copy of it.
    pub data: Bytes,
    /// `retry` in milliseconds, if given in digits.
    pub retry: Option<u64>,
}

/// A stream is not one we read.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum SseError {
    /// An event, or a line of one, is too long.
    #[error("event over {limit} bytes")]
    TooLarge {
        /// Bytes.
        limit: usize,
    },
    /// `event` or `id` is not UTF-8.
    #[error("event field is not UTF-8")]
    NotUtf8,
}

/// Reads a stream. Holds at most one event and what was pushed since.
#[derive(Debug)]
pub struct Decoder {
    buffer: BytesMut,
    /// How much of the buffer is known to hold no line end.
    searched: usize,
    /// The last line ended in CR: a line feed right after it belongs to it.
    after_return: bool,
    /// Nothing was read yet: a byte order mark may come.
    fresh: bool,
    event: Event,
    lines: Vec<Bytes>,
    /// Bytes of the lines of the event under way, comments included.
    size: usize,
    limit: usize,
}

impl Decoder {
    /// `limit`: the most bytes of one event with all its lines.
    pub fn new(limit: usize) -> Self {
        Self {
            buffer: BytesMut::new(),
            searched: 0,
            after_return: false,
            fresh: true,
            event: Event::default(),
            lines: Vec::new(),
            size: 0,
            limit,
        }
    }

    /// Takes what arrived. Call [`Self::next_event`] until it gives `None` before the next push.
    pub fn push(&mut self, chunk: &[u8]) {
        self.buffer.extend_from_slice(chunk);
    }

    /// The next whole event; `None` until more is pushed. An event that the stream's end cut off is dropped, as
    /// the specification has it.
    pub fn next_event(&mut self) -> Result<Option<Event>, SseError> {
        while let Some(line) = self.line()? {
            if line.is_empty() {
                self.size = 0;
                if let Some(event) = self.dispatch() {
                    return Ok(Some(event));
                }
                continue;
            }
            self.size = self.size.saturating_add(line.len());
            if self.size > self.limit {
                return Err(SseError::TooLarge { limit: self.limit });
            }
            self.field(&line)?;
        }
        if self.size.saturating_add(self.buffer.len()) > self.limit {
            return Err(SseError::TooLarge { limit: self.limit });
        }
        Ok(None)
    }

    fn line(&mut self) -> Result<Option<Bytes>, SseError> {
        if self.after_return && !self.buffer.is_empty() {
            self.after_return = false;
            if self.buffer.first() == Some(&b'\n') {
                bytes::Buf::advance(&mut self.buffer, 1);
            }
        }
        if self.fresh {
            const MARK: &[u8] = b"\xEF\xBB\xBF";
            if self.buffer.len() < MARK.len() && MARK.starts_with(&self.buffer) {
                return Ok(None);
            }
            if self.buffer.starts_with(MARK) {
                bytes::Buf::advance(&mut self.buffer, MARK.len());
            }
            self.fresh = false;
        }
        let rest = self.buffer.get(self.searched..).unwrap_or_default();
        let Some(found) = memchr::memchr2(b'\n', b'\r', rest) else {
            self.searched = self.buffer.len();
            return Ok(None);
        };
        let end = self.searched + found;
        self.searched = 0;
        if end > self.limit {
            return Err(SseError::TooLarge { limit: self.limit });
        }
        let line = self.buffer.split_to(end).freeze();
        self.after_return = self.buffer.first() == Some(&b'\r');
        bytes::Buf::advance(&mut self.buffer, 1);
        Ok(Some(line))
    }

    fn field(&mut self, line: &Bytes) -> Result<(), SseError> {
        let colon = memchr::memchr(b':', line);
        let name = line.get(..colon.unwrap_or(line.len())).unwrap_or_default();
        let mut start = colon.map_or(line.len(), |colon| colon + 1);
        if line.get(start) == Some(&b' ') {
            start += 1;
        }
        match name {
            b"data" => self.lines.push(line.slice(start..)),
            b"event" => self.event.event = Some(text(line.get(start..))?),
            b"id" => {
                let id = text(line.get(start..))?;
                if !id.contains('\0') {
                    self.event.id = Some(id);
                }
            }
            b"retry" => {
                let digits = line.get(start..).unwrap_or_default();
                if !digits.is_empty() && digits.iter().all(u8::is_ascii_digit) {
                    self.event.retry = std::str::from_utf8(digits).ok().and_then(|text| text.parse().ok());
                }
            }
            // A comment, or a field nobody knows.
            _ => {}
        }
        Ok(())
    }

    /// The event that a blank line ends. One without data is none, but its `id` and `retry` are news for a
    /// client that resumes, so it is given with empty data if it has either.
    fn dispatch(&mut self) -> Option<Event> {
        let mut event = std::mem::take(&mut self.event);
        match self.lines.as_mut_slice() {
            [] if event.id.is_none() && event.retry.is_none() => return None,
            [] => {}
            [only] => event.data = std::mem::take(only),
            lines => event.data = lines.join(&b"\n"[..]).into(),
        }
        self.lines.clear();
        Some(event)
    }
}

/// The bytes of one event. Line ends in `data` become further `data` lines, which the other side joins by line
/// feeds: in JSON only whitespace can change.
pub fn event(data: &[u8], id: Option<&str>) -> Bytes {
    let mut out = Vec::with_capacity(data.len() + id.map_or(0, str::len) + 24);
    if let Some(id) = id {
        out.extend_from_slice(b"id: ");
        out.extend(id.bytes().filter(|byte| !matches!(byte, b'\n' | b'\r' | 0)));
        out.push(b'\n');
    }
    let mut rest = data;
    loop {
        out.extend_from_slice(b"data: ");
        let Some(end) = memchr::memchr2(b'\n', b'\r', rest) else {
            out.extend_from_slice(rest);
            break;
        };
        let (line, tail) = rest.split_at_checked(end).unwrap_or((rest, &[]));
        out.extend_from_slice(line);
        out.push(b'\n');
        rest = tail.strip_prefix(b"\r\n").or_else(|| tail.get(1..)).unwrap_or_default();
    }
    out.extend_from_slice(b"\n\n");
    Bytes::from(out)
}

/// A comment: keeps a quiet stream open (2026-07-28, streamable HTTP "Receiving Messages").
pub const KEEP_ALIVE: &[u8] = b":\n\n";

fn text(value: Option<&[u8]>) -> Result<Box<str>, SseError> {
    std::str::from_utf8(value.unwrap_or_default()).map(Into::into).map_err(|_| SseError::NotUtf8)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(chunks: &[&[u8]], limit: usize) -> Result<Vec<Event>, SseError> {
        let mut decoder = Decoder::new(limit);
        let mut events = Vec::new();
        for chunk in chunks {
            decoder.push(chunk);
            while let Some(event) = decoder.next_event()? {
                events.push(event);
            }
        }
        Ok(events)
    }

    fn data(stream: &str) -> Vec<String> {
        let events = read(&[stream.as_bytes()], 1000).unwrap();
        events.iter().map(|event| String::from_utf8(event.data.to_vec()).unwrap()).collect()
    }

    #[test]
    fn events_are_read_as_the_specification_has_it() {
        let table: &[(&str, &[&str])] = &[
            ("data: a\n\n", &["a"]),
            ("data:a\r\n\r\ndata:  b\r\r", &["a", " b"]),
            ("data\n\ndata\ndata\n\ndata:", &["", "\n"]),
            ("\u{feff}data: a\n\n", &["a"]),
            (":comment\n\n: x\ndata: a\nunknown: b\n\n", &["a"]),
            ("event: x\n\ndata: a\n\n", &["a"]),
            ("data: a\ndata: b\n\ndata: cut off\n", &["a\nb"]),
            ("data: YHOO\ndata: +2\ndata: 10\n\n", &["YHOO\n+2\n10"]),
        ];
        for (stream, expect) in table {
            assert_eq!(data(stream), *expect, "{stream:?}");
        }
    }

    #[test]
    fn fields_are_read() {
        let stream =
            b"id: 7\nevent: message\nretry: 250\ndata: {}\n\nid: a\0b\nretry: 1x\ndata:\n\nid: 9\n\n";
        let events = read(&[stream], 1000).unwrap();
        assert_eq!((events[0].id.as_deref(), events[0].event.as_deref()), (Some("7"), Some("message")));
        assert_eq!(events[0].retry, Some(250));
        assert_eq!((events[1].id.as_deref(), events[1].retry), (None, None));
        assert_eq!((events[2].id.as_deref(), events[2].data.len()), (Some("9"), 0));
        assert_eq!(read(&[b"id: \xff\n\n"], 1000), Err(SseError::NotUtf8));
    }

    #[test]
    fn an_endless_event_is_refused() {
        let line = [b'x'; 100];
        assert_eq!(read(&[&line], 99), Err(SseError::TooLarge { limit: 99 }));
        assert_eq!(read(&[b"data: 1234567890\n\n"], 15), Err(SseError::TooLarge { limit: 15 }));
        let lines: Vec<&[u8]> = std::iter::repeat_n(&b"data: a\n"[..], 20).collect();
        assert_eq!(read(&lines, 99), Err(SseError::TooLarge { limit: 99 }));
        let comments: Vec<&[u8]> = std::iter::repeat_n(&b":a\n\n"[..], 200).collect();
        assert_eq!(read(&comments, 99), Ok(Vec::new()));
    }

    #[test]
    fn what_is_written_is_read_again() {
        for text in ["", "{}", "a\nb", "a\r\nb\rc\n", "\n\n"] {
            let bytes = event(text.as_bytes(), Some("i\nd"));
            let events = read(&[KEEP_ALIVE, &bytes], 1000).unwrap();
            assert_eq!(events.len(), 1);
            assert_eq!(events[0].data, text.replace("\r\n", "\n").replace('\r', "\n"), "{text:?}");
            assert_eq!(events[0].id.as_deref(), Some("id"));
        }
    }
}
