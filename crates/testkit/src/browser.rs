//! What a person's browser does: keeps cookies, fills in forms, follows nothing by itself.

use crate::client::{Reply, raw};
use std::collections::BTreeMap;
use std::net::SocketAddr;
use std::sync::Mutex;

/// A browser at one gateway.
pub struct Browser {
    address: SocketAddr,
    cookies: Mutex<BTreeMap<String, String>>,
}

impl Browser {
    /// A fresh one.
    pub fn new(address: SocketAddr) -> Self {
        Self { address, cookies: Mutex::default() }
    }

    /// Opens a page by its path.
    pub async fn get(&self, path: &str) -> Reply {
        self.send("GET", path, None, "").await
    }

    /// Sends a form as one of our own pages does.
    pub async fn post(&self, path: &str, fields: &[(&str, &str)]) -> Reply {
        let origin = format!("http://{}", self.address);
        self.post_from(Some(&origin), path, fields).await
    }

    /// Sends a form that stands on another page.
    pub async fn post_from(&self, origin: Option<&str>, path: &str, fields: &[(&str, &str)]) -> Reply {
        let mut form = form_urlencoded::Serializer::new(String::new());
        form.extend_pairs(fields);
        let body = form.finish();
        self.send("POST", path, origin, &body).await
    }

    /// The value of a cookie.
    pub fn cookie(&self, name: &str) -> Option<String> {
        self.cookies.lock().unwrap().get(name).cloned()
    }

    /// The values of all cookies.
    pub fn cookies(&self) -> Vec<String> {
        self.cookies.lock().unwrap().values().cloned().collect()
    }

    /// Puts a cookie there, or takes it away.
    pub fn keep(&self, name: &str, value: Option<&str>) {
        let mut cookies = self.cookies.lock().unwrap();
        match value {
            Some(value) => cookies.insert(name.to_owned(), value.to_owned()),
            None => cookies.remove(name),
        };
    }

    async fn send(&self, method: &str, path: &str, origin: Option<&str>, body: &str) -> Reply {
        let cookies: Vec<String> =
            self.cookies.lock().unwrap().iter().map(|(name, value)| format!("{name}={value}")).collect();
        let mut text = format!("{method} {path} HTTP/1.1\r\nhost: {}\r\nconnection: close\r\n", self.address);
        if !cookies.is_empty() {
            text += &format!("cookie: {}\r\n", cookies.join("; "));
        }
        if let Some(origin) = origin {
            text += &format!("origin: {origin}\r\n");
        }
        if method == "POST" {
            text += "content-type: application/x-www-form-urlencoded\r\n";
        }
        text += &format!("content-length: {}\r\n\r\n{body}", body.len());
        let reply = raw(self.address, text.as_bytes()).await;
        for cookie in reply.headers.get_all("set-cookie") {
            let pair = cookie.to_str().unwrap().split(';').next().unwrap();
            let (name, value) = pair.split_once('=').unwrap();
            self.keep(name, Some(value).filter(|value| !value.is_empty()));
        }
        reply
    }
}

impl Reply {
    /// Where a browser is sent, as path and query if that is the gateway itself.
    pub fn location(&self) -> String {
        let location = self.headers.get("location").unwrap_or_else(|| panic!("no redirect: {}", self.text()));
        location.to_str().unwrap().to_owned()
    }

    /// The value of a page's first input of that name.
    pub fn field(&self, name: &str) -> String {
        let text = self.text();
        let mark = format!("name=\"{name}\" value=\"");
        let (_, rest) = text.split_once(&mark).unwrap_or_else(|| panic!("no field {name}: {text}"));
        rest.split('"').next().unwrap().to_owned()
    }
}

/// A parameter of a URL's query.
pub fn parameter(url: &str, name: &str) -> Option<String> {
    let query = url.split_once('?')?.1;
    form_urlencoded::parse(query.as_bytes())
        .find(|(known, _)| known == name)
        .map(|(_, value)| value.into_owned())
}

/// Path and query of a URL.
pub fn path_of(url: &str) -> String {
    match url.split_once("://") {
        Some((_, rest)) => rest.split_once('/').map_or("/".to_owned(), |(_, path)| format!("/{path}")),
        None => url.to_owned(),
    }
}
