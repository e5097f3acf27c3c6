//! What went wrong, as a page: code, cause, fix.

use super::reply::page;
use crate::OauthError;
use crate::client::FindError;
use crate::ending::EndError;
use crate::person::{AccountError, PersonError};
use crate::sign_in::SignInError;
use askama::Template;
use axum::http::StatusCode;
use axum::response::{IntoResponse, Response};
use model::{Code, CodeRow};
use storage::StorageError;
use vault::VaultError;

/// A page that says what went wrong.
#[derive(Debug)]
pub(crate) struct Fault {
    pub(crate) code: Code,
    /// What is known beyond the code's own row, and may be told.
    detail: Option<String>,
    onward: Option<(String, &'static str)>,
}

#[derive(Template)]
#[template(path = "fault.html")]
struct Page<'a> {
    title: &'a str,
    code: String,
    cause: &'a str,
    fix: &'a str,
    detail: Option<&'a str>,
    onward: Option<(&'a str, &'a str)>,
}

impl Fault {
    pub(crate) const fn of(code: Code) -> Self {
        Self { code, detail: None, onward: None }
    }

    /// With a sentence more.
    pub(crate) fn saying(self, detail: impl Into<String>) -> Self {
        Self { detail: Some(detail.into()), ..self }
    }

    /// With a link that leads on.
    pub(crate) fn onward(self, to: impl Into<String>, words: &'static str) -> Self {
        Self { onward: Some((to.into(), words)), ..self }
    }

    const fn status(&self) -> StatusCode {
        match self.code {
            Code::SIGN_IN_PROVIDER_DOWN | Code::SIGN_IN_UNAVAILABLE | Code::ISSUING_UNAVAILABLE => {
                StatusCode::SERVICE_UNAVAILABLE
            }
            Code::SIGN_IN_UNTRUSTED => StatusCode::BAD_GATEWAY,
            Code::SIGN_IN_REFUSED | Code::SIGN_IN_CLAIMS | Code::SIGN_IN_DISABLED | Code::FORM_REFUSED => {
                StatusCode::FORBIDDEN
            }
            Code::SIGN_IN_WRONG => StatusCode::UNAUTHORIZED,
            Code::SIGN_IN_WAIT | Code::CLIENT_LIMIT => StatusCode::TOO_MANY_REQUESTS,
            Code::NO_SUCH_PAGE | Code::SIGN_IN_NO_PROVIDER => StatusCode::NOT_FOUND,
            _ => StatusCode::BAD_REQUEST,
        }
    }
}

impl IntoResponse for Fault {
    fn into_response(self) -> Response {
        let unknown = CodeRow { code: self.code, title: "something went wrong", cause: "", fix: "" };
        let row = self.code.row().unwrap_or(&unknown);
        let mut title = row.title.to_owned();
        if let Some(first) = title.get_mut(..1) {
            first.make_ascii_uppercase();
        }
        let onward = self.onward.as_ref().map(|(to, words)| (to.as_str(), *words));
        let shown = Page {
            title: &title,
            code: self.code.to_string(),
            cause: row.cause,
            fix: row.fix,
            detail: self.detail.as_deref(),
            onward,
        };
        page(&shown, self.status(), "")
    }
}

impl From<StorageError> for Fault {
    fn from(error: StorageError) -> Self {
        tracing::error!(error = &error as &dyn std::error::Error, "the pages' rows");
        Self::of(Code::SIGN_IN_UNAVAILABLE)
    }
}

impl From<VaultError> for Fault {
    fn from(error: VaultError) -> Self {
        tracing::error!(error = &error as &dyn std::error::Error, "what a provider gave cannot be kept");
        Self::of(Code::SIGN_IN_UNAVAILABLE)
    }
}

impl From<EndError> for Fault {
    fn from(error: EndError) -> Self {
        match error {
            EndError::Storage(error) => error.into(),
            EndError::Record => Self::of(Code::SIGN_IN_UNAVAILABLE),
        }
    }
}

/// What the rest of the room says to clients, said to a person.
impl From<OauthError> for Fault {
    fn from(error: OauthError) -> Self {
        let code =
            if error.code == Code::ISSUING_UNAVAILABLE { Code::SIGN_IN_UNAVAILABLE } else { error.code };
        Self::of(code)
    }
}

impl From<FindError> for Fault {
    fn from(error: FindError) -> Self {
        let fault = Self::of(error.code());
        match error {
            FindError::Storage(error) => error.into(),
            FindError::Document(_) => fault.saying(format!("{error}.")),
            FindError::Unknown | FindError::Revoked => fault,
        }
    }
}

impl From<PersonError> for Fault {
    fn from(error: PersonError) -> Self {
        match error {
            PersonError::Disabled => Self::of(Code::SIGN_IN_DISABLED),
            PersonError::Unknown => Self::of(Code::SIGN_IN_WRONG),
            PersonError::Storage(error) => error.into(),
        }
    }
}

impl From<&SignInError> for Fault {
    fn from(error: &SignInError) -> Self {
        let fault = Self::of(error.code());
        match error {
            // The provider's own word, which is a word and no sentence.
            SignInError::Said(word) => fault.saying(format!("The provider says: {word}.")),
            _ => fault,
        }
    }
}

/// The code of what went wrong with an account.
pub(super) const fn account_code(error: &AccountError) -> Code {
    match error {
        AccountError::Wait(_) => Code::SIGN_IN_WAIT,
        AccountError::Disabled => Code::SIGN_IN_DISABLED,
        AccountError::Link => Code::LINK_GONE,
        AccountError::Storage(_) | AccountError::Password(crate::person::PasswordError::Busy) => {
            Code::SIGN_IN_UNAVAILABLE
        }
        AccountError::Wrong
        | AccountError::Name
        | AccountError::Taken
        | AccountError::Unknown
        | AccountError::Password(_) => Code::SIGN_IN_WRONG,
    }
}
