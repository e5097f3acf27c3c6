//! The client's file: `mcpServers` as most clients write it, or `servers` and `inputs` as VS Code does, with
//! comments and trailing commas. It is read, and never written.

use super::json::Json;
use std::collections::BTreeMap;
use std::io::Read as _;
use std::path::{Path, PathBuf};
use zeroize::Zeroizing;

/// What a client's file says.
pub(crate) struct Source {
    /// Who writes such files.
    pub(crate) dialect: Dialect,
    /// The servers, in the order of the file.
    pub(super) entries: Vec<(String, Json)>,
    /// What the client asks its person for: descriptions by id.
    pub(super) inputs: BTreeMap<String, String>,
}

/// The two shapes of such files.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Dialect {
    /// `mcpServers`: Claude, Cursor, Windsurf, Cline, Gemini.
    McpServers,
    /// `servers`: VS Code.
    Servers,
}

impl Dialect {
    /// The key of the servers.
    pub(crate) fn key(self) -> &'static str {
        match self {
            Self::McpServers => "mcpServers",
            Self::Servers => "servers",
        }
    }
}

/// A client's file cannot be used. Names places in it, never values.
#[derive(Debug, thiserror::Error)]
pub(crate) enum SourceError {
    /// It cannot be read.
    #[error("cannot read {}", path.display())]
    Read {
        /// The file.
        path: PathBuf,
        /// Why.
        #[source]
        source: std::io::Error,
    },
    /// Not a file, too large, or of another shape.
    #[error("{}: {what}; accepted: {ACCEPTED}", path.display())]
    Shape {
        /// The file.
        path: PathBuf,
        /// What is wrong.
        what: String,
    },
}

/// Reads a client's file.
///
/// # Errors
/// [`SourceError`].
pub(crate) fn read(path: &Path) -> Result<Source, SourceError> {
    let shape = |what: &str| SourceError::Shape { path: path.to_owned(), what: what.to_owned() };
    let text = bytes(path)?;
    parse(text).map_err(|what| shape(&what))
}

fn bytes(path: &Path) -> Result<Zeroizing<Vec<u8>>, SourceError> {
    let io = |source| SourceError::Read { path: path.to_owned(), source };
    let shape = |what: &str| SourceError::Shape { path: path.to_owned(), what: what.to_owned() };
    let meta = std::fs::metadata(path).map_err(io)?;
    if meta.is_dir() {
        return Err(shape("a folder"));
    }
    let too_large = format!("larger than {} MiB", SOURCE_BYTES >> 20);
    if meta.len() > SOURCE_BYTES {
        return Err(shape(&too_large));
    }
    // Sized once: a vector that grows leaves copies behind.
    let mut text = Zeroizing::new(Vec::with_capacity(usize::try_from(meta.len()).unwrap_or(0) + 1));
    let file = std::fs::File::open(path).map_err(io)?;
    file.take(SOURCE_BYTES + 1).read_to_end(&mut text).map_err(io)?;
    if u64::try_from(text.len()).is_ok_and(|len| len > SOURCE_BYTES) {
        return Err(shape(&too_large));
    }
    Ok(text)
}

/// Reads the text of a client's file.
///
/// # Errors
/// What is wrong with it.
pub(super) fn parse(mut text: Zeroizing<Vec<u8>>) -> Result<Source, String> {
    if let Some(mark @ [_, _, _]) = text.get_mut(..3).filter(|mark| **mark == *"\u{feff}".as_bytes()) {
        mark.fill(b' ');
    }
    if text.trim_ascii().is_empty() {
        return Err("an empty file".to_owned());
    }
    let written = text.clone();
    json_strip_comments::strip_slice(&mut text).map_err(|_| {
        let (line, column) = stray(&written, &text);
        format!("no JSON: a / that begins no comment at line {line} column {column}")
    })?;
    let json = Json::parse(&text).map_err(|error| format!("no JSON: {error}"))?;
    let Json::Map(members) = json else { return Err("no JSON object".to_owned()) };
    let (mut found, mut inputs) = (Vec::new(), BTreeMap::new());
    for (key, value) in members {
        match key.as_str() {
            "mcpServers" => found.push((Dialect::McpServers, value)),
            "servers" => found.push((Dialect::Servers, value)),
            "inputs" => inputs = descriptions(value),
            _ => {}
        }
    }
    if found.len() > 1 {
        return Err("both `mcpServers` and `servers`".to_owned());
    }
    let (dialect, servers) = found.pop().ok_or("neither `mcpServers` nor `servers` in it")?;
    let Json::Map(entries) = servers else {
        return Err(format!("`{}` is no object", dialect.key()));
    };
    if entries.len() > ENTRIES {
        return Err(format!("more than {ENTRIES} servers"));
    }
    Ok(Source { dialect, entries, inputs })
}

/// Line and column of the last slash that was taken away: the one that began no comment.
fn stray(written: &[u8], stripped: &[u8]) -> (usize, usize) {
    let taken = |(old, new): (&u8, &u8)| *old == b'/' && *new == b' ';
    let at = written.iter().zip(stripped).rposition(taken).unwrap_or(0);
    let before = written.get(..at).unwrap_or_default();
    let column = before.iter().rev().take_while(|byte| **byte != b'\n').count() + 1;
    (before.iter().filter(|byte| **byte == b'\n').count() + 1, column)
}

/// What VS Code asks its person for, by id.
fn descriptions(inputs: Json) -> BTreeMap<String, String> {
    let Json::List(inputs) = inputs else { return BTreeMap::new() };
    let described = |input| {
        let Json::Map(members) = input else { return None };
        let mut texts: BTreeMap<String, String> = members
            .into_iter()
            .filter(|(key, _)| ["id", "description"].contains(&key.as_str()))
            .filter_map(|(key, value)| Some((key, value.into_scalar()?.to_string())))
            .collect();
        Some((texts.remove("id")?, texts.remove("description").unwrap_or_default()))
    };
    inputs.into_iter().filter_map(described).collect()
}

/// How large a client's file may be: one of Claude Code holds more than servers.
const SOURCE_BYTES: u64 = 8 << 20;
/// How many servers a client's file may name.
const ENTRIES: usize = 1000;
const ACCEPTED: &str = "a JSON file with `mcpServers` or `servers`, as a client keeps it (comments allowed)";

#[cfg(test)]
mod tests {
    use super::*;

    fn parsed(text: &str) -> Result<Source, String> {
        parse(Zeroizing::new(text.as_bytes().to_vec()))
    }

    #[test]
    fn both_dialects_are_read_with_comments_and_trailing_commas() {
        let text = "\u{feff}// Ours.\n{ /* two */ \"mcpServers\": { \"a//b\": { \"args\": [\"/* kept */\",], }, }, }";
        let source = parsed(text).unwrap_or_else(|error| panic!("{error}"));
        assert_eq!((source.dialect, source.entries.len()), (Dialect::McpServers, 1));
        assert_eq!(source.entries[0].0, "a//b");
        let text = r#"{"inputs": [{"id": "k", "type": "promptString", "description": "The key", "password": true}],
            "servers": {"z": {}, "a": {}}}"#;
        let source = parsed(text).unwrap_or_else(|error| panic!("{error}"));
        assert_eq!(source.entries.iter().map(|(name, _)| name.as_str()).collect::<Vec<_>>(), ["z", "a"]);
        assert_eq!(source.inputs["k"], "The key");
    }

    #[test]
    fn what_cannot_be_read_says_why_and_where() {
        let many: Vec<String> = (0..1001).map(|n| format!("\"{n}\": {{}}")).collect();
        let many = format!("{{\"mcpServers\": {{{}}}}}", many.join(","));
        let deep = format!("{{\"mcpServers\": {}", "[".repeat(100_000));
        for (text, said) in [
            ("", "an empty file"),
            (" \n\t", "an empty file"),
            ("{\n  \"mcpServers\": {\n    \"a\" {}\n  }\n}", "line 3 column 9"),
            ("{\n // x\n /* y\n */ \"mcpServers\": { \"a\": tru }}", "line 3 column 35"),
            ("{\"mcpServers\": {\"a\": {}, \n \"a\": {}}}", "the key \"a\" is there twice at line 2"),
            (
                "{\"mcpServers\": {\"a\": {\"env\": {\"K\": \"1\", \"K\": \"2\"}}}}",
                "the key \"K\" is there twice",
            ),
            ("{ // x\n\"mcpServers\": {} / }", "a / that begins no comment at line 2 column 18"),
            ("{\"mcpServers\": {} /* open", "line 1"),
            ("{\"mcpServers\": {}} {}", "trailing characters"),
            ("[]", "no JSON object"),
            ("{}", "neither `mcpServers` nor `servers`"),
            ("{\"mcpServers\": []}", "`mcpServers` is no object"),
            ("{\"mcpServers\": {}, \"servers\": {}}", "both"),
            ("{\"mcpServers\": {\"a\": \"\u{1}\"}}", "control character"),
            (&deep, "recursion limit"),
            (&many, "more than 1000 servers"),
        ] {
            let found = parsed(text).err().unwrap_or_else(|| panic!("read: {text}"));
            assert!(found.contains(said), "{found}");
        }
        let bytes = parse(Zeroizing::new(b"{\"mcpServers\": {\"a\": \"\xff\"}}".to_vec())).err().unwrap();
        assert!(bytes.contains("invalid unicode"), "{bytes}");
    }

    #[test]
    fn a_folder_a_missing_and_an_endless_file_are_refused() {
        let folder = tempfile::tempdir().unwrap();
        assert!(read(folder.path()).err().unwrap().to_string().contains("a folder"));
        let missing = read(&folder.path().join("none")).err().unwrap();
        assert!(matches!(missing, SourceError::Read { .. }));
        let large = folder.path().join("large");
        std::fs::write(&large, vec![b' '; 10 << 20]).unwrap();
        assert!(read(&large).err().unwrap().to_string().contains("larger than 8 MiB"));
        assert!(read(Path::new("/dev/zero")).err().unwrap().to_string().contains("larger than 8 MiB"));
    }
}
