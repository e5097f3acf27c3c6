//! Detector `forms`: a server that asks a person for a secret in a form, which MCP forbids (2025-11-25 and
//! 2026-07-28, elicitation: servers must not request sensitive information in form mode). What a person types there
//! reaches the server, the client and its model.

use crate::Finding;
use protocol::Members;

/// The name of this detector.
const DETECTOR: &str = "forms";

/// Looks at the fields of a form: their names, titles and formats. Other modes have no fields.
pub(crate) fn check(params: &Members) -> Result<(), Finding> {
    let fields = params.object("requestedSchema").and_then(|schema| schema.object("properties"));
    for (name, field) in fields.iter().flat_map(Members::iter) {
        let field = Members::of(&field);
        let text = |key| field.as_ref().and_then(|field| field.text(key));
        let secret = text("format").is_some_and(|format| format == "password")
            || asks_for_a_secret(&name)
            || text("title").is_some_and(|title| asks_for_a_secret(&title));
        if secret {
            let name: String = name.chars().take(64).collect();
            let pointer =
                format!("/requestedSchema/properties/{}", name.replace('~', "~0").replace('/', "~1"));
            let message = "a form that asks for a secret".to_owned();
            return Err(Finding { detector: DETECTOR, pointer, message });
        }
    }
    Ok(())
}

/// Whether the words of a name or title are those of a secret.
fn asks_for_a_secret(text: &str) -> bool {
    let words = words(text);
    let pair = |first: &str, second: &str| {
        words.windows(2).any(|pair| matches!(pair, [a, b] if a == first && b == second))
            || words.iter().any(|word| word.strip_prefix(first) == Some(second))
    };
    words.iter().any(|word| SECRETS.contains(&word.as_str()))
        || PAIRS.iter().any(|(first, second)| pair(first, second))
}

/// The words of `apiKey`, `API_KEY` and `Api key`, in lower case.
fn words(text: &str) -> Vec<String> {
    let mut words = vec![String::new()];
    let mut before_lower = false;
    for character in text.chars().take(256) {
        let begins = character.is_uppercase() && before_lower;
        before_lower = character.is_lowercase();
        if !character.is_alphanumeric() || begins {
            words.push(String::new());
        }
        if let Some(word) = words.last_mut().filter(|_| character.is_alphanumeric()) {
            word.extend(character.to_lowercase());
        }
    }
    words.retain(|word| !word.is_empty());
    words
}

const SECRETS: [&str; 16] = [
    "password",
    "passwd",
    "passphrase",
    "passcode",
    "pwd",
    "secret",
    "secrets",
    "token",
    "credential",
    "credentials",
    "otp",
    "totp",
    "cvv",
    "cvc",
    "ssn",
    "mnemonic",
];

const PAIRS: [(&str, &str); 11] = [
    ("api", "key"),
    ("access", "key"),
    ("private", "key"),
    ("signing", "key"),
    ("card", "number"),
    ("credit", "card"),
    ("security", "code"),
    ("pin", "code"),
    ("recovery", "code"),
    ("backup", "code"),
    ("seed", "phrase"),
];

#[cfg(test)]
mod tests {
    use super::*;
    use protocol::Raw;
    use serde_json::{Value, json};

    fn form(fields: &Value) -> Members {
        let params = json!({"message": "m", "requestedSchema": {"type": "object", "properties": fields}});
        Raw::of_value(&params).members().unwrap()
    }

    #[test]
    fn a_form_that_asks_for_a_secret_is_found() {
        for name in [
            "password",
            "apiKey",
            "API_KEY",
            "api-key",
            "apikey",
            "githubToken",
            "client_secret",
            "cvv",
            "creditCard",
            "Private Key",
            "recoveryCode",
            "seed_phrase",
        ] {
            let finding = check(&form(&json!({"user": {"type": "string"}, name: {"type": "string"}})));
            assert_eq!(finding.unwrap_err().pointer, format!("/requestedSchema/properties/{name}"));
        }
        assert!(check(&form(&json!({"a": {"type": "string", "title": "Your password"}}))).is_err());
        assert!(check(&form(&json!({"a": {"type": "string", "format": "password"}}))).is_err());
    }

    #[test]
    fn other_forms_pass() {
        for name in [
            "username",
            "email",
            "tokenizer",
            "keyboard",
            "card",
            "code",
            "key",
            "passenger",
            "secretary",
            "pin",
        ] {
            assert_eq!(
                check(&form(&json!({name: {"type": "string", "title": "Which one"}}))),
                Ok(()),
                "{name}"
            );
        }
        let page =
            Raw::of_value(&json!({"mode": "url", "message": "m", "url": "https://a.example/password"}));
        assert_eq!(check(&page.members().unwrap()), Ok(()));
    }
}
