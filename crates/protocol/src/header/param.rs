//! `x-mcp-header`: which arguments of a tool are mirrored (streamable HTTP "Schema Extension").

use super::MCP_PARAM;
use crate::object::Members;
use crate::raw::{Kind, Raw};
use http::HeaderName;

/// One annotated property of a tool's input schema.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct HeaderParam {
    /// `mcp-param-…`
    pub header: HeaderName,
    /// The property's path from the arguments.
    pub path: Box<[Box<str>]>,
}

/// An annotation breaks the rules: the tool must not be listed.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("x-mcp-header at {pointer:?} {reason}")]
pub struct HeaderParamError {
    /// JSON pointer of the annotated schema within the input schema (RFC 6901).
    pub pointer: String,
    /// What is wrong.
    pub reason: &'static str,
}

const ANNOTATION: &str = "x-mcp-header";

/// The annotated properties of an input schema, in the order they stand in.
///
/// An annotation counts only where a chain of `properties` leads to it; anywhere else it makes the tool invalid,
/// as do a type other than string, integer or boolean, a name that is no header token, and a name used twice.
pub fn params_of(input_schema: &Raw) -> Result<Vec<HeaderParam>, HeaderParamError> {
    let mut found = Vec::new();
    // Most schemas have none: one search instead of a walk. An escaped key still has its unescaped letters
    // only if nothing is escaped, so a backslash means walking.
    let text = input_schema.as_bytes();
    if memchr::memmem::find(text, ANNOTATION.as_bytes()).is_some() || memchr::memchr(b'\\', text).is_some() {
        walk(input_schema, &mut Path::default(), Some(&mut Vec::new()), &mut found)?;
    }
    Ok(found)
}

/// Where the walk is, as a JSON pointer.
#[derive(Default)]
struct Path(String);

impl Path {
    fn within<T>(&mut self, key: &str, inner: impl FnOnce(&mut Self) -> T) -> T {
        let length = self.0.len();
        self.0.push('/');
        self.0.push_str(&key.replace('~', "~0").replace('/', "~1"));
        let out = inner(self);
        self.0.truncate(length);
        out
    }

    fn refuse<T>(&self, reason: &'static str) -> Result<T, HeaderParamError> {
        Err(HeaderParamError { pointer: self.0.clone(), reason })
    }
}

type Found = Vec<HeaderParam>;

/// Visits a schema. `chain`: the property names so far, or `None` once something other than `properties` was
/// passed. Depth is bounded by the strict pass that the schema has been through.
fn walk(
    schema: &Raw,
    path: &mut Path,
    chain: Option<&mut Vec<Box<str>>>,
    found: &mut Found,
) -> Result<(), HeaderParamError> {
    if schema.kind() == Kind::Array {
        let elements = schema.elements().unwrap_or_default();
        return elements.iter().enumerate().try_for_each(|(index, one)| {
            path.within(&index.to_string(), |path| walk(one, path, None, found))
        });
    }
    let Some(members) = schema.members() else { return Ok(()) };
    let mut chain = chain;
    if let Some(name) = members.get(ANNOTATION) {
        let param = annotated(&members, &name, path, chain.as_deref())?;
        if found.iter().any(|other| other.header == param.header) {
            return path.refuse("has a name that another property has");
        }
        found.push(param);
    }
    for (key, value) in members.iter() {
        match key.as_ref() {
            // Data, not schemas: what looks like an annotation in there is none.
            ANNOTATION | "default" | "const" | "enum" | "examples" => {}
            "properties" | "patternProperties" | "$defs" | "definitions" | "dependentSchemas" => {
                // Keys are names here: a property called x-mcp-header is not an annotation.
                let Some(properties) = value.members() else { continue };
                let chains = key == "properties";
                path.within(&key, |path| {
                    properties.iter().try_for_each(|(name, schema)| {
                        path.within(&name, |path| match chain.as_deref_mut().filter(|_| chains) {
                            Some(chain) => {
                                chain.push(name.as_ref().into());
                                let done = walk(&schema, path, Some(chain), found);
                                chain.pop();
                                done
                            }
                            None => walk(&schema, path, None, found),
                        })
                    })
                })?;
            }
            _ if matches!(value.kind(), Kind::Object | Kind::Array) => {
                path.within(&key, |path| walk(&value, path, None, found))?;
            }
            _ => {}
        }
    }
    Ok(())
}

fn annotated(
    schema: &Members,
    name: &Raw,
    path: &Path,
    chain: Option<&Vec<Box<str>>>,
) -> Result<HeaderParam, HeaderParamError> {
    let Some(chain) = chain.filter(|chain| !chain.is_empty()) else {
        return path.refuse("is not reached by properties alone");
    };
    let Some(name) = name.to_str() else { return path.refuse("is not a string") };
    if name.is_empty() {
        return path.refuse("is empty");
    }
    if !matches!(schema.text("type").as_deref(), Some("string" | "integer" | "boolean")) {
        return path.refuse("is on a property whose type is not string, integer or boolean");
    }
    match HeaderName::from_bytes(format!("{MCP_PARAM}{name}").as_bytes()) {
        Ok(header) => Ok(HeaderParam { header, path: chain.as_slice().into() }),
        Err(_) => path.refuse("is not a header field name"),
    }
}
