//! From a plan to the credential itself, at the last moment before the call is sent.

use crate::plan::Parts;
use crate::{Plan, Reference, ReferenceError};
use http::{HeaderMap, HeaderName, HeaderValue};
use model::Secret;
use std::sync::Arc;

/// What a call carries to its server. It has no `Debug`, no `Clone` and no text: it is applied or lent.
#[derive(Default)]
pub struct Credential {
    headers: Vec<(HeaderName, Arc<Secret>)>,
    environment: Vec<(String, Arc<Secret>)>,
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
}

/// Fetches the credential of a plan. A file reference costs one `stat`, and a read when it changed.
///
/// # Errors
/// [`AttachError`], naming the reference and never its value. There is no fallback.
pub fn attach(plan: &Plan) -> Result<Credential, AttachError> {
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
    /// Sets the headers of a request, replacing those of the same name. The values are marked sensitive, so
    /// that they neither print nor enter a compression table.
    pub fn apply(&self, headers: &mut HeaderMap) {
        for (name, secret) in &self.headers {
            // `attach` has checked that it is one.
            if let Ok(mut value) = secret.lend(HeaderValue::from_bytes) {
                value.set_sensitive(true);
                headers.insert(name.clone(), value);
            }
        }
    }

    /// Lends each variable, name and value, for the environment of a child.
    pub fn lend_environment(&self, mut lend: impl FnMut(&str, &[u8])) {
        for (name, secret) in &self.environment {
            secret.lend(|value| lend(name, value));
        }
    }
}

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
        attach(&plan).unwrap().apply(&mut headers);
        assert_eq!(headers.get_all(AUTHORIZATION).iter().collect::<Vec<_>>(), ["Bearer s3cret"]);
        assert!(!format!("{headers:?} {plan:?}").contains("s3cret"));
    }

    #[test]
    fn variables_are_lent_to_the_child() {
        let (_folder, reference) = file("s3cret");
        let plan = Plan::environment("bot", vec![("TOKEN".into(), reference)]).unwrap();
        let mut seen = Vec::new();
        attach(&plan).unwrap().lend_environment(|name, value| seen.push((name.to_owned(), value.to_vec())));
        assert_eq!(seen, [("TOKEN".to_owned(), b"s3cret".to_vec())]);
    }

    #[test]
    fn a_credential_that_cannot_be_had_is_an_error_without_its_value() {
        let (folder, reference) = file("s3c\nret");
        let plan = Plan::headers("bot", vec![(AUTHORIZATION, reference)]).unwrap();
        let error = attach(&plan).err().unwrap();
        assert!(matches!(error, AttachError::NotAHeader(_)) && !format!("{error} {error:?}").contains("s3c"));
        let missing = Reference::file(&folder.path().join("none"));
        let plan = Plan::environment("bot", vec![("TOKEN".into(), missing)]).unwrap();
        assert!(matches!(attach(&plan).err().unwrap(), AttachError::Reference(_)));
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
