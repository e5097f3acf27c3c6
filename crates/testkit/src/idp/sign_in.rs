//! The provider's own door: whoever comes to its authorization endpoint is signed in there already, and comes back with a
//! code at once.

use super::{FakeIdp, House, Key, Token, reply};
use aws_lc_rs::digest::{SHA256, digest};
use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use bytes::Bytes;
use http::{Response, StatusCode, header};
use http_body_util::Full;
use serde_json::{Map, Value, json};
use std::collections::HashMap;

/// What it does when somebody signs in.
#[derive(Default)]
pub(super) struct Door {
    person: String,
    /// Claims of the next ID tokens; `null` takes one away.
    claims: Map<String, Value>,
    userinfo: Map<String, Value>,
    metadata: Map<String, Value>,
    /// The `iss` of its responses.
    iss: Option<String>,
    error: Option<String>,
    /// Open codes, and what was asked with them.
    codes: HashMap<String, HashMap<String, String>>,
    /// Refresh tokens that are good, and what was asked with the codes they came from.
    kept: HashMap<String, HashMap<String, String>>,
    /// What it says to refresh tokens.
    no: Option<String>,
    /// How often it was asked again.
    asked_again: usize,
    count: usize,
}

impl FakeIdp {
    /// Whoever comes from now on is this person.
    pub fn signs_in(&self, person: &str) {
        self.house.door.lock().unwrap().person = person.to_owned();
    }

    /// A claim of its ID tokens from now on; null takes it away.
    pub fn vouches(&self, name: &str, value: Value) {
        self.house.door.lock().unwrap().claims.insert(name.to_owned(), value);
    }

    /// Its ID tokens are as they were at first.
    pub fn vouches_plainly(&self) {
        self.house.door.lock().unwrap().claims.clear();
    }

    /// A member of its userinfo from now on.
    pub fn tells(&self, name: &str, value: Value) {
        self.house.door.lock().unwrap().userinfo.insert(name.to_owned(), value);
    }

    /// A member of its metadata from now on.
    pub fn says_of_itself(&self, name: &str, value: Value) {
        self.house.door.lock().unwrap().metadata.insert(name.to_owned(), value);
    }

    /// Its responses carry this `iss` from now on.
    pub fn answers_as(&self, issuer: Option<&str>) {
        self.house.door.lock().unwrap().iss = issuer.map(str::to_owned);
    }

    /// Nobody gets in from now on.
    pub fn refuses(&self, error: Option<&str>) {
        self.house.door.lock().unwrap().error = error.map(str::to_owned);
    }

    /// Whoever asks again hears this word from now on.
    pub fn says_no(&self, word: Option<&str>) {
        self.house.door.lock().unwrap().no = word.map(str::to_owned);
    }

    /// How often it was asked again.
    pub fn asked_again(&self) -> usize {
        self.house.door.lock().unwrap().asked_again
    }

    /// What a browser does that is sent to its authorization endpoint: where it is sent back to.
    pub async fn visit(&self, url: &str) -> String {
        let rest = url.strip_prefix(&self.url).unwrap_or_else(|| panic!("not this provider's: {url}"));
        let address = self.url.strip_prefix("http://").unwrap();
        let request = format!("GET {rest} HTTP/1.1\r\nhost: {address}\r\nconnection: close\r\n\r\n");
        crate::client::raw(address.parse().unwrap(), request.as_bytes()).await.location()
    }

    /// A good logout token for a client, to be changed before it is signed.
    pub fn logout_token(&self, client: &str, subject: &str) -> Token {
        let token = Token::new(self.key("ES256"), &self.url, subject, client, self.clock.now());
        let now = self.clock.now().seconds();
        ["roles", "groups", "scope", "tenant", "client_id"]
            .iter()
            .fold(token, |token, name| token.without(name))
            .header("typ", "logout+jwt")
            .claim("exp", now + 100)
            .claim("events", json!({"http://schemas.openid.net/event/backchannel-logout": {}}))
    }
}

impl House {
    pub(super) fn metadata(&self, mut document: Value) -> Value {
        for (name, value) in &self.door.lock().unwrap().metadata {
            document[name.as_str()] = value.clone();
        }
        document
    }

    pub(super) fn authorize(&self, query: &str) -> Response<Full<Bytes>> {
        let asked: HashMap<String, String> = form_urlencoded::parse(query.as_bytes()).into_owned().collect();
        let mut door = self.door.lock().unwrap();
        let mut back = form_urlencoded::Serializer::new(String::new());
        back.append_pair("state", &asked["state"]);
        back.extend_pairs(door.iss.as_ref().map(|iss| ("iss", iss)));
        match &door.error {
            Some(error) => drop(back.append_pair("error", error)),
            None => {
                let code = format!("code-{}", door.count);
                back.append_pair("code", &code);
                door.count += 1;
                door.codes.insert(code, asked.clone());
            }
        }
        let to = format!("{}?{}", asked["redirect_uri"], back.finish());
        Response::builder()
            .status(StatusCode::SEE_OTHER)
            .header(header::LOCATION, to)
            .body(Full::default())
            .unwrap()
    }

    pub(super) fn redeem(&self, body: &[u8]) -> Response<Full<Bytes>> {
        let form: HashMap<String, String> = form_urlencoded::parse(body).into_owned().collect();
        let mut door = self.door.lock().unwrap();
        let refused = |error: &str| reply(StatusCode::BAD_REQUEST, &json!({"error": error}));
        if let Some(token) = form.get("refresh_token") {
            door.asked_again += 1;
            if let Some(word) = &door.no {
                return refused(word);
            }
            let Some(mut asked) = door.kept.remove(token) else { return refused("invalid_grant") };
            // OpenID Connect Core §12.2.
            asked.remove("nonce");
            return self.tokens(&mut door, asked);
        }
        let Some(asked) = door.codes.remove(&form["code"]) else { return refused("invalid_grant") };
        if let Some(challenge) = asked.get("code_challenge") {
            let verifier = form.get("code_verifier").map(String::as_bytes).unwrap_or_default();
            if *challenge != URL_SAFE_NO_PAD.encode(digest(&SHA256, verifier)) {
                return refused("invalid_grant");
            }
        }
        self.tokens(&mut door, asked)
    }

    fn tokens(&self, door: &mut Door, asked: HashMap<String, String>) -> Response<Full<Bytes>> {
        let now = self.clock.now().seconds();
        let key = self.keys.lock().unwrap().iter().find(|key| key.algorithm() == "ES256").unwrap().clone();
        let mut claims = json!({
            "iss": self.url, "sub": door.person, "aud": asked["client_id"],
            "iat": now, "exp": now + 300, "auth_time": now, "sid": format!("at-idp-{}", door.person),
            "name": format!("{} Liddell", door.person), "email": format!("{}@acme.example", door.person),
            "roles": ["reader"], "groups": ["staff"],
        });
        if let Some(nonce) = asked.get("nonce") {
            claims["nonce"] = nonce.as_str().into();
        }
        let id_token = id_token(key, claims, &door.claims);
        let mut answer =
            json!({"access_token": "at-of-the-provider", "token_type": "Bearer", "id_token": id_token});
        if asked["scope"].split(' ').any(|scope| scope == "offline_access") {
            let token = format!("rt-of-the-provider-{}", door.count);
            door.count += 1;
            answer["refresh_token"] = token.as_str().into();
            door.kept.insert(token, asked);
        }
        reply(StatusCode::OK, &answer)
    }

    pub(super) fn userinfo(&self) -> Value {
        let door = self.door.lock().unwrap();
        let mut told = json!({"sub": door.person});
        for (name, value) in &door.userinfo {
            told[name.as_str()] = value.clone();
        }
        told
    }
}

fn id_token(key: Key, claims: Value, changed: &Map<String, Value>) -> String {
    let mut claims = claims;
    for (name, value) in changed {
        claims[name.as_str()] = value.clone();
        if value.is_null() {
            claims.as_object_mut().unwrap().remove(name);
        }
    }
    let blank = Token::new(key, "", "", "", model::Timestamp(0)).header("typ", "JWT");
    blank.sign_claims(&claims.to_string())
}
