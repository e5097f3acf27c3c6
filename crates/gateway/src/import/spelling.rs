//! What clients fill in themselves: `${env:NAME}`, `${NAME}`, `$NAME`, `${input:id}` and their own variables.

/// What a text says.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Spelling<'a> {
    /// Only itself.
    Plain,
    /// All of it stands for a variable of the client's environment.
    Variable(&'a str),
    /// All of it stands for what the client asks its person.
    Input(&'a str),
    /// Something that only the client can fill in, or text around what it fills in.
    ///
    /// SECURITY: named only if it is one of the client's own variables, for anything else may be a piece of a
    /// secret (test: no_output_holds_a_secret).
    Unknown(&'static str),
}

/// Reads a text as clients do.
pub(super) fn spelling(text: &str) -> Spelling<'_> {
    let Some((before, rest)) = text.split_once("${") else {
        return match text.strip_prefix('$') {
            Some(name) if is_shouted(name) => Spelling::Variable(name),
            _ => Spelling::Plain,
        };
    };
    let Some((inner, after)) = rest.split_once('}') else { return Spelling::Plain };
    let own = OWN.iter().find(|own| **own == inner).copied();
    let whole = before.is_empty() && after.is_empty() && own.is_none();
    match inner.split_once(':') {
        Some(("env", name)) if whole && is_variable(name) => Spelling::Variable(name),
        Some(("input", id)) if whole && !id.is_empty() => Spelling::Input(id),
        None if whole && is_variable(inner) => Spelling::Variable(inner),
        _ => Spelling::Unknown(own.unwrap_or("...")),
    }
}

fn is_variable(name: &str) -> bool {
    name.starts_with(|c: char| c.is_ascii_alphabetic() || c == '_')
        && name.chars().all(|c| c.is_ascii_alphanumeric() || c == '_')
}

/// Passwords begin with a dollar too: the bare form counts in capitals only.
fn is_shouted(name: &str) -> bool {
    is_variable(name) && name.len() > 1 && !name.contains(|c: char| c.is_ascii_lowercase())
}

/// What VS Code and Cursor know by themselves.
const OWN: &[&str] = &[
    "workspaceFolder",
    "workspaceFolderBasename",
    "userHome",
    "pathSeparator",
    "cwd",
    "file",
    "fileBasename",
    "fileDirname",
    "relativeFile",
    "extensionPath",
];

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_a_client_fills_in_is_known_by_its_spelling() {
        for (text, expected) in [
            ("plain", Spelling::Plain),
            ("", Spelling::Plain),
            ("$5 and ${", Spelling::Plain),
            ("$ecret", Spelling::Plain),
            ("$API_KEY", Spelling::Variable("API_KEY")),
            ("${API_KEY}", Spelling::Variable("API_KEY")),
            ("${env:api_key}", Spelling::Variable("api_key")),
            ("${input:github-token}", Spelling::Input("github-token")),
            ("${workspaceFolder}", Spelling::Unknown("workspaceFolder")),
            ("${workspaceFolder}/data", Spelling::Unknown("workspaceFolder")),
            ("a${B}", Spelling::Unknown("...")),
            ("${A}${B}", Spelling::Unknown("...")),
            ("${command:pick}", Spelling::Unknown("...")),
            ("${KEY:-s3cret}", Spelling::Unknown("...")),
            ("${:x}", Spelling::Unknown("...")),
        ] {
            assert_eq!(spelling(text), expected, "{text}");
        }
    }
}
