//! Where a browser goes on to once somebody is signed in: a client's request, or a page of ours. Nowhere else, so a
//! link to the sign-in page leads nobody astray.

use crate::Form;

/// Where.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Next {
    /// A client's request, by its id.
    Transaction(String),
    /// A person's own page.
    Connections,
    /// The page of devices, with the code that was typed.
    Device(Option<String>),
}

impl Next {
    /// From the parameters `tx` and `next`; the person's own page if there are none. `None` for anything else.
    pub(crate) fn of(form: &Form) -> Option<Self> {
        match (form.get("tx"), form.get("next")) {
            (Some(id), None) => Self::parse(&format!("tx={id}")),
            (None, Some(next)) => Self::parse(next),
            (None, None) => Some(Self::Connections),
            (Some(_), Some(_)) => None,
        }
    }

    /// From its text.
    pub(crate) fn parse(text: &str) -> Option<Self> {
        let plain = |text: &str, most: usize| {
            (1..=most).contains(&text.len())
                && text.bytes().all(|byte| byte.is_ascii_alphanumeric() || byte == b'-' || byte == b'_')
        };
        if let Some(id) = text.strip_prefix("tx=") {
            return plain(id, 128).then(|| Self::Transaction(id.to_owned()));
        }
        match text {
            "/connections" => Some(Self::Connections),
            "/device" => Some(Self::Device(None)),
            _ => {
                let code = text.strip_prefix("/device?user_code=")?;
                plain(code, 32).then(|| Self::Device(Some(code.to_owned())))
            }
        }
    }

    /// Its text.
    pub(crate) fn text(&self) -> String {
        match self {
            Self::Transaction(id) => format!("tx={id}"),
            _ => self.path(),
        }
    }

    /// Where the browser goes.
    pub(crate) fn path(&self) -> String {
        match self {
            Self::Transaction(id) => format!("/consent?tx={id}"),
            Self::Connections => "/connections".to_owned(),
            Self::Device(None) => "/device".to_owned(),
            Self::Device(Some(code)) => format!("/device?user_code={code}"),
        }
    }

    /// The query of the sign-in page that leads there.
    pub(crate) fn query(&self) -> String {
        match self {
            Self::Transaction(id) => format!("tx={id}"),
            _ => form_urlencoded::Serializer::new(String::new()).append_pair("next", &self.path()).finish(),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn nobody_is_led_elsewhere() {
        for text in ["tx=tx_Ab-1", "/connections", "/device", "/device?user_code=ABCD-EFGH"] {
            let next = Next::parse(text).unwrap();
            assert_eq!(next.text(), text);
            assert_eq!(Next::of(&Form::parse(next.query().as_bytes()).unwrap()), Some(next));
        }
        for text in [
            "https://evil.example",
            "//evil.example",
            "/\\evil.example",
            "/connections/../x",
            "/device?user_code=",
            "/device?user_code=a&x",
            "tx=",
            "tx=a%20b",
            "javascript:alert(1)",
            "",
        ] {
            assert_eq!(Next::parse(text), None, "{text}");
        }
        assert_eq!(Next::of(&Form::parse(b"").unwrap()), Some(Next::Connections));
        assert_eq!(Next::of(&Form::parse(b"tx=a&next=/device").unwrap()), None);
    }
}
