//! A person with a browser, for the self-test: they sign in as anybody would, page by page and button by button, and the
//! client they talk to gets its token at the end. And an agent, which gets one to act for them.

use super::DemoError;
use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use bytes::Bytes;
use http::{Method, Request, Response, StatusCode, Uri, header};
use model::{Dice as _, Digest, SystemDice};
use net::egress::{self, Answer, Rule};
use serde_json::Value;
use std::collections::BTreeMap;

/// The browser of one person, and the one client in it.
pub(super) struct Visitor {
    egress: egress::Client,
    base: String,
    cookies: BTreeMap<String, String>,
}

/// A page, or where the browser is sent.
struct Page {
    status: StatusCode,
    location: Option<String>,
    text: String,
}

impl Visitor {
    /// A fresh browser for the gateway at `base`.
    pub(super) fn new(base: &str) -> Result<Self, DemoError> {
        let egress = egress::Client::new(&egress::Config::default()).map_err(call)?;
        Ok(Self { egress, base: base.to_owned(), cookies: BTreeMap::new() })
    }

    /// Signs `account` in, agrees to what `client` may do, and gives the client's access token for `resource`.
    ///
    /// # Errors
    /// [`DemoError::Call`] with the page at which it stopped.
    pub(super) async fn sign_in(
        &mut self,
        client: &str,
        (account, password): (&str, &str),
        resource: &str,
    ) -> Result<String, DemoError> {
        let verifier = URL_SAFE_NO_PAD.encode(SystemDice.bytes::<32>());
        let challenge = URL_SAFE_NO_PAD.encode(Digest::of(verifier.as_bytes()).0);
        let asked = form(&[
            ("client_id", client),
            ("response_type", "code"),
            ("redirect_uri", CALLBACK),
            ("resource", resource),
            ("code_challenge", &challenge),
            ("code_challenge_method", "S256"),
        ]);
        let begun = self.get(&format!("/oauth/authorize?{asked}")).await?;
        let sign_in = self.get(begun.leads_to("/sign-in")?).await?;
        let typed = [("account", account), ("password", password)];
        let filled = sign_in.filled(&["form", "next", "tenant"], &typed)?;
        let signed_in = self.submit("/sign-in", filled).await?;
        let consent = self.get(signed_in.leads_to("/consent")?).await?;
        let agreed = consent.filled(&["form", "tx"], &[("decision", "allow")])?;
        let back = self.submit("/consent", agreed).await?;
        let code = back.leads_to(CALLBACK)?.split(['?', '&']).find_map(|pair| pair.strip_prefix("code="));
        let code = code.ok_or_else(|| DemoError::Call("the sign-in ended without a code".to_owned()))?;
        let shown = form(&[
            ("grant_type", "authorization_code"),
            ("client_id", client),
            ("code", code),
            ("code_verifier", &verifier),
            ("redirect_uri", CALLBACK),
        ]);
        self.submit("/oauth/token", shown).await?.member("access_token")
    }

    /// The token with which an agent acts for whoever `person` is a token of (RFC 8693).
    ///
    /// # Errors
    /// [`DemoError::Call`]
    pub(super) async fn on_behalf(
        &mut self,
        (agent, secret): (&str, &str),
        person: &str,
        resource: &str,
    ) -> Result<String, DemoError> {
        let asked = form(&[
            ("grant_type", "urn:ietf:params:oauth:grant-type:token-exchange"),
            ("client_id", agent),
            ("client_secret", secret),
            ("subject_token", person),
            ("subject_token_type", "urn:ietf:params:oauth:token-type:access_token"),
            ("resource", resource),
        ]);
        self.submit("/oauth/token", asked).await?.member("access_token")
    }

    async fn get(&mut self, path: &str) -> Result<Page, DemoError> {
        self.go(Method::GET, path, None).await
    }

    async fn submit(&mut self, path: &str, form: String) -> Result<Page, DemoError> {
        self.go(Method::POST, path, Some(form)).await
    }

    async fn go(&mut self, method: Method, path: &str, form: Option<String>) -> Result<Page, DemoError> {
        let path = path.strip_prefix(self.base.as_str()).unwrap_or(path);
        let url: Uri = format!("{}{path}", self.base).parse().map_err(call)?;
        let destination = self.egress.destination(&url, Rule::LOOPBACK).map_err(call)?;
        let cookies: Vec<String> =
            self.cookies.iter().map(|(name, value)| format!("{name}={value}")).collect();
        let mut request =
            Request::builder().method(method).uri(&url).header(header::COOKIE, cookies.join("; "));
        // What a browser says of a form on our own page.
        request = request.header(header::ORIGIN, &self.base).header("sec-fetch-site", "same-origin");
        if form.is_some() {
            request = request.header(header::CONTENT_TYPE, "application/x-www-form-urlencoded");
        }
        let body = Bytes::from(form.unwrap_or_default());
        let reply = self.egress.send(&destination, request.body(body).map_err(call)?).await.map_err(call)?;
        self.take(reply).await
    }

    async fn take(&mut self, reply: Response<Answer>) -> Result<Page, DemoError> {
        for cookie in reply.headers().get_all(header::SET_COOKIE) {
            let pair = cookie.to_str().unwrap_or_default().split(';').next().unwrap_or_default();
            if let Some((name, value)) = pair.split_once('=') {
                self.cookies.insert(name.to_owned(), value.to_owned());
            }
        }
        let location = reply.headers().get(header::LOCATION).and_then(|place| place.to_str().ok());
        let (location, status) = (location.map(str::to_owned), reply.status());
        let body = net::collect(reply.into_body(), PAGE_BYTES).await.map_err(call)?;
        Ok(Page { status, location, text: String::from_utf8_lossy(&body).into_owned() })
    }
}

impl Page {
    /// Where the browser is sent, which should begin like this.
    fn leads_to(&self, start: &str) -> Result<&str, DemoError> {
        let leads = self.location.as_deref().filter(|place| {
            place.starts_with(start) || place.split_once("://").is_some_and(|(_, rest)| rest.contains(start))
        });
        leads.ok_or_else(|| self.stopped(&format!("it does not lead to {start}")))
    }

    /// The page's form: its hidden fields, and what a person types.
    fn filled(&self, hidden: &[&'static str], typed: &[(&str, &str)]) -> Result<String, DemoError> {
        let mut fields = Vec::new();
        for name in hidden {
            let start = format!("name=\"{name}\" value=\"");
            let value = self.text.split_once(&start).and_then(|(_, rest)| rest.split_once('"'));
            let (value, _) = value.ok_or_else(|| self.stopped(&format!("its form has no {name}")))?;
            fields.push((*name, value.replace("&amp;", "&").replace("&#38;", "&")));
        }
        fields.extend(typed.iter().map(|(name, value)| (*name, (*value).to_owned())));
        let fields: Vec<(&str, &str)> = fields.iter().map(|(name, value)| (*name, value.as_str())).collect();
        Ok(form(&fields))
    }

    /// A member of a JSON answer.
    fn member(&self, name: &str) -> Result<String, DemoError> {
        let answer: Value = serde_json::from_str(&self.text).unwrap_or_default();
        let member = answer.get(name).and_then(Value::as_str).map(str::to_owned);
        member.ok_or_else(|| self.stopped(&format!("it has no {name}")))
    }

    fn stopped(&self, why: &str) -> DemoError {
        let text: String = self.text.chars().take(600).collect();
        DemoError::Call(format!("signing in stopped at a page ({}): {why}: {text}", self.status))
    }
}

fn form(fields: &[(&str, &str)]) -> String {
    form_urlencoded::Serializer::new(String::new()).extend_pairs(fields).finish()
}

fn call(error: impl std::fmt::Display) -> DemoError {
    DemoError::Call(error.to_string())
}

/// Where the client would listen. Nobody goes there: the code is read on the way.
const CALLBACK: &str = "http://127.0.0.1:9/callback";
const PAGE_BYTES: usize = 1 << 20;
