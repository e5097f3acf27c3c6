//! What servers may ask of clients, and how it is put to them, whichever era asks and whichever answers.

use crate::admit::clip;
use crate::house::State;
use crate::inspect;
use bytes::Bytes;
use model::ServerName;
use protocol::view::Cancelled;
use protocol::{Edit, Id, Members, Method, Notification, Raw, frame};

/// Why a client is not asked. Read by operators and, without more, by the server that asked.
#[derive(Debug, PartialEq, Eq, thiserror::Error)]
pub(crate) enum Unasked {
    /// Not a question, or one that the client did not say it answers.
    #[error("it asked {0:?}, which the client did not declare")]
    Undeclared(String),
    /// The guard stopped it.
    #[error(transparent)]
    Found(#[from] guard::Finding),
}

/// A question as it is put to its client: declared by it, within bounds, without a form for secrets, and with the
/// name of the server that asks in front of its message (MCP, elicitation: clients show which server asks).
///
/// # Errors
/// [`Unasked`].
pub(crate) fn fit(
    state: &State,
    server: &ServerName,
    capabilities: &Raw,
    method: &str,
    params: Option<&Members>,
) -> Result<Option<Raw>, Unasked> {
    // SECURITY: a client is asked only what it declared, on whatever stream:
    // `a_question_that_the_client_did_not_declare_is_not_asked`.
    let asked = Method::parse(method).filter(|method| declares(capabilities, *method, params));
    let asked = asked.ok_or_else(|| Unasked::Undeclared(clip(method)))?;
    let Some(params) = params else { return Ok(None) };
    inspect::answer(state, params.raw())?;
    // SECURITY: a form is no place for a secret: `a_form_that_asks_for_a_secret_is_not_put_to_the_client`.
    guard::question(asked, params)?;
    Ok(Some(match params.text("message").filter(|_| asked == Method::ElicitationCreate) {
        Some(message) => {
            let named = Raw::of_str(&format!("[{server}] {message}"));
            Edit::new().set(&["message"], named).apply(params)
        }
        None => params.raw().clone(),
    }))
}

/// The server's withdrawal of a question, under the id by which its client knows that question. Nothing, if it is none of
/// those that it put: a server withdraws no other's.
pub(crate) fn withdrawn(told: &Notification, shown: impl FnOnce(&Id) -> Option<Id>) -> Option<(Id, Bytes)> {
    let params = told.params.as_ref()?;
    // SECURITY: ids of ours are easily guessed: `a_server_withdraws_its_own_questions_and_no_others`.
    let shown = shown(&Cancelled::of(Some(params)).ok()?.request)?;
    let params = Edit::new().set(&["requestId"], shown.to_raw()).apply(params);
    let bytes = frame::notification(Method::Cancelled.name(), Some(&params));
    Some((shown, bytes))
}

/// Whether a client with these capabilities answers this question (MCP, elicitation, sampling, roots): a page to visit
/// and tools in sampling are declared apart.
fn declares(capabilities: &Raw, method: Method, params: Option<&Members>) -> bool {
    let Some(declared) = Members::of(capabilities) else { return false };
    let below = |capability: &str, part: &str| {
        declared.object(capability).is_some_and(|declared| declared.contains(part))
    };
    let has = |key: &str| params.is_some_and(|params| params.contains(key));
    match method {
        Method::ElicitationCreate => match params.and_then(|params| params.text("mode")).as_deref() {
            Some("url") => below("elicitation", "url"),
            // A client that declares pages only answers no forms; one that declares neither answers forms.
            Some("form") | None => {
                declared.contains("elicitation")
                    && (below("elicitation", "form") || !below("elicitation", "url"))
            }
            Some(_) => false,
        },
        Method::SamplingCreateMessage => {
            declared.contains("sampling")
                && (below("sampling", "tools") || !(has("tools") || has("toolChoice")))
        }
        Method::RootsList => declared.contains("roots"),
        _ => false,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::{Value, json};

    fn declared(capabilities: Value, method: Method, params: Value) -> bool {
        declares(&Raw::of_value(&capabilities), method, Raw::of_value(&params).members().as_ref())
    }

    #[test]
    fn a_client_is_asked_only_what_it_declared() {
        let form = json!({"message": "m"});
        let page = json!({"message": "m", "mode": "url"});
        let (ask, sample) = (Method::ElicitationCreate, Method::SamplingCreateMessage);
        for (capabilities, method, params, expect) in [
            (json!({"elicitation": {}}), ask, form.clone(), true),
            (json!({"elicitation": {}}), ask, page.clone(), false),
            (json!({"elicitation": {"url": {}}}), ask, page, true),
            (json!({"elicitation": {"url": {}}}), ask, form.clone(), false),
            (json!({"elicitation": {"form": {}, "url": {}}}), ask, form.clone(), true),
            (json!({"elicitation": {}}), ask, json!({"mode": "new"}), false),
            (json!({"sampling": {}}), ask, form, false),
            (json!({"sampling": {}}), sample, json!({"messages": []}), true),
            (json!({"sampling": {}}), sample, json!({"tools": []}), false),
            (json!({"sampling": {"tools": {}}}), sample, json!({"tools": []}), true),
            (json!({"roots": {}}), Method::RootsList, json!({}), true),
            (json!({"elicitation": {}}), Method::ToolsCall, json!({}), false),
        ] {
            assert_eq!(
                declared(capabilities.clone(), method, params.clone()),
                expect,
                "{capabilities} {params}"
            );
        }
    }
}
