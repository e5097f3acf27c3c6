//! From a plan to the credential itself, at the last moment before the call is sent.

use crate::mint::{Minted, Minter, SignError, Whose};
use crate::plan::Parts;
use crate::{Assertion, Plan, Reference, ReferenceError};
use http::{HeaderMap, HeaderName, HeaderValue};
use model::Secret;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;
use zeroize::Zeroizing;

/// What a call carries to its server. It has no `Debug`, no `Clone` and no text: it is applied or lent.
#[derive(Default)]
pub struct Credential {
    headers: Vec<(HeaderName, Arc<Secret>)>,
    environment: Vec<(String, Arc<Secret>)>,
    identity: Option<Identity>,
}

/// What mints the tokens of one call, or of one session.
struct Identity {
    assertion: Arc<Assertion>,
    mint: Mint,
    /// Whether it is of the call itself, or of what is sent beside it.
    own: bool,
    /// The first token, until it is sent, and the method it is for.
    ready: Mutex<Option<(Minted, Option<Box<str>>)>>,
    shown: Arc<Shown>,
}

/// What a plan that says who calls needs besides.
#[derive(Clone)]
pub struct Mint {
    /// The house's minter.
    pub minter: Arc<Minter>,
    /// Who calls.
    pub whose: Whose,
}

/// Which token a call carried last, for the record: never the token.
#[derive(Default)]
pub struct Shown(Mutex<Option<Carried>>);

/// A token by what names it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Carried {
    /// The key that signed it.
    pub kid: Arc<str>,
    /// Its id.
    pub jti: Box<str>,
}

impl Shown {
    /// The last one; none where none was minted.
    pub fn last(&self) -> Option<Carried> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }

    fn now(&self, minted: &Minted) {
        let carried = Carried { kid: Arc::clone(&minted.kid), jti: minted.jti.clone() };
        *self.0.lock().unwrap_or_else(PoisonError::into_inner) = Some(carried);
    }
}

/// A credential could not be had, so the call is not sent.
#[derive(Debug, thiserror::Error)]
pub enum AttachError {
    /// Its secret could not be read.
    #[error("the credential is not available: {0}")]
    Reference(#[source] ReferenceError),
    /// The secret holds bytes that a header cannot.
    #[error("what {0} holds cannot be sent in a header")]
    NotAHeader(String),
    /// The secret holds a zero byte, which no environment can.
    #[error("what {0} holds cannot be put into an environment")]
    NotAVariable(String),
    /// The caller's identity could not be signed.
    #[error("the caller's identity could not be signed: {0}")]
    Unsigned(#[source] SignError),
    /// The caller's token has expired, and something was to be sent for it still.
    #[error("the caller is not known to be there any more")]
    Over,
}

/// Fetches the credential of a plan: a file reference costs one `stat`, and a read when it changed; a token is minted for
/// `method`, the method of the call. `mint` is needed by plans that say who calls ([`Plan::assertion`]).
///
/// # Errors
/// [`AttachError`], naming the reference and never its value. There is no fallback.
pub fn attach(plan: &Plan, method: Option<&str>, mint: Option<Mint>) -> Result<Credential, AttachError> {
    let mut credential = secrets(plan)?;
    if let Some(assertion) = plan.assertion() {
        // SECURITY: nothing else is shown instead: `without_a_key_to_sign_with_nothing_is_sent`.
        let mint =
            mint.ok_or_else(|| AttachError::Unsigned(SignError("there are no signing keys".into())))?;
        let identity = Identity {
            assertion: Arc::clone(assertion),
            mint,
            own: true,
            ready: Mutex::new(None),
            shown: Arc::default(),
        };
        let first = identity.mint(method)?;
        identity.shown.now(&first);
        identity.keep(first, method);
        credential.identity = Some(identity);
    }
    Ok(credential)
}

/// What a plan keeps by reference.
pub(crate) fn secrets(plan: &Plan) -> Result<Credential, AttachError> {
    let mut credential = Credential::default();
    match plan.parts() {
        Parts::None => {}
        Parts::Headers(headers) => {
            for (name, reference) in headers.iter() {
                let secret = read(reference)?;
                if secret.lend(HeaderValue::from_bytes).is_err() {
                    return Err(AttachError::NotAHeader(reference.to_string()));
                }
                credential.headers.push((name.clone(), secret));
            }
        }
        Parts::Environment(variables) => {
            for (name, reference) in variables.iter() {
                let secret = read(reference)?;
                if secret.lend(|bytes| bytes.contains(&0)) {
                    return Err(AttachError::NotAVariable(reference.to_string()));
                }
                credential.environment.push((name.clone(), secret));
            }
        }
    }
    Ok(credential)
}

fn read(reference: &Reference) -> Result<Arc<Secret>, AttachError> {
    reference.read().map_err(AttachError::Reference)
}

impl Credential {
    /// Sets the headers of one request, replacing those of the same name, with a token of its own. The values are marked
    /// sensitive, so that they neither print nor enter a compression table. `method` is that of the JSON-RPC request;
    /// none for notifications, answers, and requests without a message.
    ///
    /// # Errors
    /// [`AttachError::Unsigned`], [`AttachError::Over`]: the request must not be sent.
    pub fn apply(&self, method: Option<&str>, headers: &mut HeaderMap) -> Result<(), AttachError> {
        self.put(method, headers, true)
    }

    /// The same for the request that ends what was opened for the caller: it may come after the caller has gone.
    ///
    /// # Errors
    /// [`AttachError::Unsigned`].
    pub fn apply_to_end(&self, headers: &mut HeaderMap) -> Result<(), AttachError> {
        self.put(None, headers, false)
    }

    fn put(&self, method: Option<&str>, headers: &mut HeaderMap, bounded: bool) -> Result<(), AttachError> {
        for (name, secret) in &self.headers {
            // `attach` has checked that it is one.
            if let Ok(mut value) = secret.lend(HeaderValue::from_bytes) {
                value.set_sensitive(true);
                headers.insert(name.clone(), value);
            }
        }
        let Some(identity) = &self.identity else { return Ok(()) };
        // Whatever happens, what stood there does not go out.
        headers.remove(&identity.assertion.header);
        if bounded && !identity.own && identity.is_over() {
            return Err(AttachError::Over);
        }
        let value = identity.value(method)?;
        headers.insert(identity.assertion.header.clone(), value);
        Ok(())
    }

    /// For what is sent beside the call and after it, for the same caller: it says who, and not what.
    #[must_use]
    pub fn aside(&self) -> Self {
        let identity = self.identity.as_ref().map(|identity| Identity {
            assertion: Arc::clone(&identity.assertion),
            mint: identity.mint.clone(),
            own: false,
            ready: Mutex::new(None),
            shown: Arc::default(),
        });
        Self { headers: self.headers.clone(), environment: self.environment.clone(), identity }
    }

    /// Which token the call carries, as it becomes known; none where it carries none.
    pub fn shown(&self) -> Option<Arc<Shown>> {
        self.identity.as_ref().map(|identity| Arc::clone(&identity.shown))
    }

    /// Lends each variable, name and value, for the environment of a child.
    pub fn lend_environment(&self, mut lend: impl FnMut(&str, &[u8])) {
        for (name, secret) in &self.environment {
            secret.lend(|value| lend(name, value));
        }
    }
}

impl Identity {
    fn mint(&self, method: Option<&str>) -> Result<Minted, AttachError> {
        let whose = &self.mint.whose;
        let asked = whose.call.as_ref().filter(|_| self.own);
        let minted = self.mint.minter.mint(&self.assertion, &whose.principal, asked, method);
        minted.map_err(AttachError::Unsigned)
    }

    fn keep(&self, minted: Minted, method: Option<&str>) {
        let mut ready = self.ready.lock().unwrap_or_else(PoisonError::into_inner);
        *ready = Some((minted, method.map(Into::into)));
    }

    /// The token of one request, as its header's value: the one that was minted for it, unless that has waited.
    fn value(&self, method: Option<&str>) -> Result<HeaderValue, AttachError> {
        let ready = self.ready.lock().unwrap_or_else(PoisonError::into_inner).take();
        let now = self.mint.minter.now();
        let fits = |(minted, of): &(Minted, Option<Box<str>>)| {
            of.as_deref() == method && now.since(minted.at) <= WAITED
        };
        let minted = match ready.filter(fits) {
            Some((minted, _)) => minted,
            None => self.mint(method)?,
        };
        self.shown.now(&minted);
        let text = Zeroizing::new(format!("{}{}", self.assertion.prefix(), minted.token));
        let unfit = |_| AttachError::Unsigned(SignError("the token fits no header".into()));
        let mut value = HeaderValue::from_str(&text).map_err(unfit)?;
        value.set_sensitive(true);
        Ok(value)
    }

    fn is_over(&self) -> bool {
        self.mint.whose.until.is_some_and(|until| until <= self.mint.minter.now())
    }
}

/// How long a token may wait before it is sent.
const WAITED: Duration = Duration::from_secs(5);

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{PlanError, Strategy};
    use http::header::{AUTHORIZATION, HOST};

    fn file(content: &str) -> (tempfile::TempDir, Reference) {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("token");
        std::fs::write(&path, content).unwrap();
        let reference = Reference::file(&path);
        (folder, reference)
    }

    #[test]
    fn headers_replace_what_is_there_and_do_not_print() {
        let (_folder, reference) = file("s3cret\n");
        let plan = Plan::headers("bot", vec![(AUTHORIZATION, reference.with_prefix("Bearer "))]).unwrap();
        assert_eq!((plan.strategy(), plan.account()), (Strategy::Header, "bot"));
        let mut headers = HeaderMap::new();
        headers.insert(AUTHORIZATION, HeaderValue::from_static("Bearer the-callers-own"));
        attach(&plan, None, None).unwrap().apply(None, &mut headers).unwrap();
        assert_eq!(headers.get_all(AUTHORIZATION).iter().collect::<Vec<_>>(), ["Bearer s3cret"]);
        assert!(!format!("{headers:?} {plan:?}").contains("s3cret"));
    }

    #[test]
    fn variables_are_lent_to_the_child() {
        let (_folder, reference) = file("s3cret");
        let plan = Plan::environment("bot", vec![("TOKEN".into(), reference)]).unwrap();
        let mut seen = Vec::new();
        attach(&plan, None, None)
            .unwrap()
            .lend_environment(|name, value| seen.push((name.to_owned(), value.to_vec())));
        assert_eq!(seen, [("TOKEN".to_owned(), b"s3cret".to_vec())]);
    }

    #[test]
    fn a_credential_that_cannot_be_had_is_an_error_without_its_value() {
        let (folder, reference) = file("s3c\nret");
        let plan = Plan::headers("bot", vec![(AUTHORIZATION, reference)]).unwrap();
        let error = attach(&plan, None, None).err().unwrap();
        assert!(matches!(error, AttachError::NotAHeader(_)) && !format!("{error} {error:?}").contains("s3c"));
        let missing = Reference::file(&folder.path().join("none"));
        let plan = Plan::environment("bot", vec![("TOKEN".into(), missing)]).unwrap();
        assert!(matches!(attach(&plan, None, None).err().unwrap(), AttachError::Reference(_)));
    }

    #[test]
    fn a_plan_cannot_touch_the_protocols_own_headers() {
        let reference = || Reference::variable("TOKEN");
        for name in [HOST, HeaderName::from_static("mcp-method"), HeaderName::from_static("content-length")] {
            let plan = Plan::headers("", vec![(name.clone(), reference())]);
            assert_eq!(plan.err(), Some(PlanError::ProtocolHeader(name)));
        }
        let twice = vec![(AUTHORIZATION, reference()), (AUTHORIZATION, reference())];
        assert!(matches!(Plan::headers("", twice), Err(PlanError::Twice(_))));
        for bad in ["", "A=B", "A\0"] {
            assert!(Plan::environment("", vec![(bad.into(), reference())]).is_err(), "{bad:?}");
        }
    }
}
