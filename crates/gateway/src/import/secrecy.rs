//! Telling secrets from plain values, by name and by shape. Whatever is taken for a secret here leaves the
//! configuration; a plain value taken for one is merely kept in a file of its own, so doubt counts as a secret
//! where that costs nothing.

mod shape;

pub(super) use shape::looks_secret;

/// Whether a variable of this name and value is a secret.
pub(super) fn is_secret(name: &str, value: &str) -> bool {
    if value.trim().is_empty() || is_switch(value) {
        return false;
    }
    let is_number = value.bytes().all(|b| b.is_ascii_digit());
    let words = words(name);
    let has = |list: &[&str]| words.iter().any(|word| list.contains(&word.as_str()));
    let is_place = words.last().is_some_and(|last| PLACES.contains(&last.as_str()));
    let counts = is_number && has(MEASURES);
    let by_name = named_secret(name) && !counts && !(is_place && looks_like_path(value));
    by_name || looks_secret(value) || is_uuid(value)
}

/// Whether a name alone says that its value is a secret: a variable, a header or a flag.
pub(super) fn named_secret(name: &str) -> bool {
    let words = words(name);
    let whole: String = words.concat();
    if ["pwd", "oldpwd", "sshauthsock"].contains(&whole.as_str()) {
        return false;
    }
    words.iter().any(|word| SECRETS.contains(&word.as_str()))
        || TAILS.iter().any(|tail| words.iter().any(|word| word.len() > tail.len() && word.ends_with(tail)))
}

/// Whether a flag or a `NAME=` of the command line carries a secret in `value`.
pub(super) fn is_secret_argument(name: &str, value: &str) -> bool {
    let is_place = words(name).last().is_some_and(|last| PLACES.contains(&last.as_str()));
    named_secret(name) && !is_place && is_secret(name, value)
}

/// `true`, `none` and the like: settings, whatever their name.
fn is_switch(value: &str) -> bool {
    let value = value.trim().to_ascii_lowercase();
    SWITCHES.contains(&value.as_str())
}

fn looks_like_path(value: &str) -> bool {
    ["/", "./", "../", "~/"].iter().any(|start| value.starts_with(start))
}

fn is_uuid(value: &str) -> bool {
    let groups: Vec<&str> = value.trim().split('-').collect();
    groups.iter().map(|group| group.len()).eq([8, 4, 4, 4, 12])
        && groups.iter().all(|group| group.bytes().all(|b| b.is_ascii_hexdigit()))
}

/// `GITHUB_TOKEN`, `githubToken` and `--github-token` are the same two words.
fn words(name: &str) -> Vec<String> {
    let mut words = vec![String::new()];
    let mut after_small = false;
    for c in name.chars() {
        let begins = c.is_ascii_uppercase() && after_small;
        if begins || !c.is_ascii_alphanumeric() {
            words.push(String::new());
        }
        if let (true, Some(word)) = (c.is_ascii_alphanumeric(), words.last_mut()) {
            word.push(c.to_ascii_lowercase());
        }
        after_small = c.is_ascii_lowercase() || c.is_ascii_digit();
    }
    words.retain(|word| !word.is_empty());
    words
}

/// Words that name secrets.
const SECRETS: &[&str] = &[
    "token",
    "tokens",
    "key",
    "keys",
    "secret",
    "secrets",
    "password",
    "passwords",
    "passwd",
    "passphrase",
    "pass",
    "pwd",
    "pw",
    "credential",
    "credentials",
    "creds",
    "cred",
    "pat",
    "auth",
    "authorization",
    "oauth",
    "bearer",
    "jwt",
    "cookie",
    "cookies",
    "dsn",
    "private",
    "pin",
    "otp",
    "totp",
    "mnemonic",
    "seed",
    "signature",
    "sig",
    "session",
    "login",
    "accesstoken",
];
/// Ends of words that name secrets: `apikey`, `authtoken`, `clientsecret`.
const TAILS: &[&str] = &["token", "key", "secret", "password", "passwd", "credentials", "auth"];
/// A name that ends so and a value that is a path: where something is, not what it is.
const PLACES: &[&str] = &["file", "path", "dir", "directory", "folder", "home", "sock", "socket"];
/// Next to a number: how many tokens, not which.
const MEASURES: &[&str] = &[
    "max", "min", "limit", "limits", "count", "size", "length", "len", "ttl", "timeout", "expiry", "expires",
    "port", "retries", "budget", "window", "interval", "seconds", "ms",
];
const SWITCHES: &[&str] =
    &["true", "false", "yes", "no", "on", "off", "0", "1", "none", "null", "enabled", "disabled", "auto"];

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn variables_are_secret_by_their_name() {
        for (name, value) in [
            ("GITHUB_PERSONAL_ACCESS_TOKEN", "x"),
            ("apiKey", "x"),
            ("APIKEY", "x"),
            ("OPENAI_API_KEY", "changeme"),
            ("AZURE_PAT", "x"),
            ("Authorization", "x"),
            ("AUTH", "me:you"),
            ("DB_PWD", "x"),
            ("SMTP_PASS", "12345678"),
            ("clientSecret", "x"),
            ("AWS_ACCESS_KEY_ID", "x"),
            ("GOOGLE_CREDENTIALS", "{\"type\": \"service_account\"}"),
            ("SLACK_TOKENS", "4096"),
        ] {
            assert!(is_secret(name, value), "{name}={value}");
        }
    }

    #[test]
    fn settings_stay_plain() {
        for (name, value) in [
            ("LOG_LEVEL", "debug"),
            ("PATH", "/usr/local/bin:/usr/bin:/bin"),
            ("PWD", "/srv/work"),
            ("NODE_ENV", "production"),
            ("API_TOKEN", ""),
            ("USE_AUTH", "true"),
            ("AUTH", "none"),
            ("MAX_TOKENS", "4096"),
            ("TOKEN_TTL", "3600"),
            ("GOOGLE_APPLICATION_CREDENTIALS_FILE", "/srv/key.json"),
            ("SSH_KEY_PATH", "~/.ssh/id_ed25519"),
            ("KEYBOARD", "us"),
            ("COMPATIBILITY", "strict"),
            ("DATABASE_URL", "postgresql://db.example.org/shop"),
            ("BASE_URL", "https://api.example.org/v2?region=eu"),
            ("REGION", "eu-central-1"),
        ] {
            assert!(!is_secret(name, value), "{name}={value}");
        }
    }

    #[test]
    fn any_variable_may_hold_something_of_a_secrets_shape() {
        for value in ["postgresql://shop:hunter2@db.example.org/shop", "9b2f0f5e-7d1c-4a6b-8e21-0c5d6f7a8b90"]
        {
            assert!(is_secret("WHATEVER", value), "{value}");
        }
    }
}
