//! Cursors of merged lists. A list is ordered by server and name, so a cursor is the last item given: it stays
//! right when items come and go, and needs no memory. Opaque to clients; whoever forges one sees another part
//! of the same filtered list.

use crate::method::Method;
use base64::Engine;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use model::ServerName;

/// A place in a merged list.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Cursor {
    /// The list it belongs to.
    pub list: Method,
    /// The server of the last item given.
    pub server: ServerName,
    /// The name of that item at its server.
    pub name: String,
}

/// The longest cursor read, in bytes.
const LONGEST: usize = 64 << 10;

impl Cursor {
    /// Its text.
    pub fn mint(&self) -> String {
        URL_SAFE_NO_PAD.encode(format!("1\n{}\n{}\n{}", self.list.name(), self.server, self.name))
    }

    /// Reads a text that was minted for `list`; `None` (-32602) for any other.
    pub fn parse(text: &str, list: Method) -> Option<Self> {
        if text.len() > LONGEST {
            return None;
        }
        let plain = String::from_utf8(URL_SAFE_NO_PAD.decode(text).ok()?).ok()?;
        let mut parts = plain.splitn(4, '\n');
        if parts.next()? != "1" || parts.next()? != list.name() {
            return None;
        }
        let server = ServerName::new(parts.next()?).ok()?;
        Some(Self { list, server, name: parts.next()?.to_owned() })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_cursor_is_good_for_its_own_list() {
        let cursor = Cursor {
            list: Method::ToolsList,
            server: ServerName::new("git").unwrap(),
            name: "a\nb é".to_owned(),
        };
        let text = cursor.mint();
        assert_eq!(Cursor::parse(&text, Method::ToolsList), Some(cursor));
        assert_eq!(Cursor::parse(&text, Method::PromptsList), None);
        for bad in ["", "x", "MQ", &"a".repeat(70_000), &format!("A{text}")] {
            assert_eq!(Cursor::parse(bad, Method::ToolsList), None, "{bad}");
        }
    }
}
