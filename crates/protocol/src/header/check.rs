//! Comparing headers with the body, and building them from it (streamable HTTP "Server Validation").

use super::sentinel::{decode, encode};
use super::{HeaderParam, MCP_METHOD, MCP_NAME, MCP_PARAM, MCP_PROTOCOL_VERSION};
use crate::object::Members;
use crate::raw::{Kind, Raw};
use crate::reply;
use http::{HeaderMap, HeaderName, HeaderValue};
use std::borrow::Cow;

/// Headers and body disagree: -32020, and 400.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("header {header} {fault}")]
pub struct HeaderMismatch {
    /// Which one.
    pub header: HeaderName,
    /// How.
    pub fault: &'static str,
}

impl HeaderMismatch {
    /// -32020.
    pub const fn rpc_code(&self) -> i64 {
        reply::HEADER_MISMATCH
    }
}

/// Compares the standard headers with the body of a stateless request: each there once, and equal. `name` is
/// `params.name` or `params.uri` of the methods that need `Mcp-Name` (`tools/call`, `prompts/get`,
/// `resources/read`).
pub fn check_standard(
    headers: &HeaderMap,
    version: &str,
    method: &str,
    name: Option<&str>,
) -> Result<(), HeaderMismatch> {
    for (header, body, coded) in [
        (&MCP_PROTOCOL_VERSION, Some(version), false),
        (&MCP_METHOD, Some(method), false),
        (&MCP_NAME, name, true),
    ] {
        let Some(body) = body else { continue };
        let value = single(headers, header)?.ok_or_else(|| mismatch(header, "is missing"))?;
        let text = if coded { decode(value) } else { value.to_str().ok().map(Cow::Borrowed) };
        let text = text.ok_or_else(|| mismatch(header, "cannot be decoded"))?;
        if text != body {
            return Err(mismatch(header, "differs from the body"));
        }
    }
    Ok(())
}

/// Compares `Mcp-Param-*` with the arguments of a call: each annotated argument that is there and not null has
/// its header once, others have none, and no header of the family comes twice.
pub fn check_params(
    headers: &HeaderMap,
    params: &[HeaderParam],
    arguments: &Raw,
) -> Result<(), HeaderMismatch> {
    for name in headers.keys().filter(|name| name.as_str().starts_with(MCP_PARAM)) {
        single(headers, name)?;
    }
    if params.is_empty() {
        return Ok(());
    }
    let arguments = Members::of(arguments);
    for param in params {
        let value = single(headers, &param.header)?;
        let argument = argument(arguments.as_ref(), &param.path);
        match (value, argument) {
            (None, None) => {}
            (Some(_), None) => return Err(mismatch(&param.header, "mirrors an argument that is not there")),
            (None, Some(_)) => return Err(mismatch(&param.header, "is missing")),
            (Some(value), Some(argument)) => {
                let text = decode(value).ok_or_else(|| mismatch(&param.header, "cannot be decoded"))?;
                if !agrees(&text, &argument) {
                    return Err(mismatch(&param.header, "differs from the body"));
                }
            }
        }
    }
    Ok(())
}

/// The `Mcp-Param-*` headers that no annotation of the tool knows; an intermediary forwards them as they are.
pub fn unknown_params<'a>(
    headers: &'a HeaderMap,
    params: &'a [HeaderParam],
) -> impl Iterator<Item = (&'a HeaderName, &'a HeaderValue)> {
    headers.iter().filter(|(name, _)| {
        name.as_str().starts_with(MCP_PARAM) && params.iter().all(|param| param.header != *name)
    })
}

/// The headers of a stateless request upstream, from the body that is sent.
///
/// Fails if an annotated argument is neither text, nor a boolean, nor an integer that every double holds
/// (±2⁵³−1): such a call cannot be mirrored, so it must not be sent.
pub fn build(
    version: &str,
    method: &str,
    name: Option<&str>,
    params: &[HeaderParam],
    arguments: Option<&Raw>,
) -> Result<Vec<(HeaderName, HeaderValue)>, HeaderMismatch> {
    let mut out = Vec::with_capacity(3 + params.len());
    out.push((MCP_PROTOCOL_VERSION.clone(), encode(version)));
    out.push((MCP_METHOD.clone(), encode(method)));
    if let Some(name) = name {
        out.push((MCP_NAME.clone(), encode(name)));
    }
    if params.is_empty() {
        return Ok(out);
    }
    let arguments = arguments.and_then(Members::of);
    for param in params {
        let Some(argument) = argument(arguments.as_ref(), &param.path) else { continue };
        let text =
            mirrored(&argument).ok_or_else(|| mismatch(&param.header, "cannot mirror its argument"))?;
        out.push((param.header.clone(), encode(&text)));
    }
    Ok(out)
}

fn single<'a>(headers: &'a HeaderMap, name: &HeaderName) -> Result<Option<&'a HeaderValue>, HeaderMismatch> {
    let mut values = headers.get_all(name).iter();
    let first = values.next();
    if values.next().is_some() {
        return Err(mismatch(name, "comes twice"));
    }
    Ok(first)
}

/// The argument at a path of properties; null is as if absent.
fn argument(arguments: Option<&Members>, path: &[Box<str>]) -> Option<Raw> {
    let (first, rest) = path.split_first()?;
    let mut value = arguments?.get(first)?;
    for key in rest {
        value = Members::of(&value)?.get(key)?;
    }
    (value.kind() != Kind::Null).then_some(value)
}

/// Text as it is, booleans as words, integers in decimal.
fn mirrored(argument: &Raw) -> Option<Cow<'_, str>> {
    match argument.kind() {
        Kind::String => argument.to_str(),
        Kind::Bool => Some(Cow::Borrowed(argument.as_json())),
        Kind::Number => integer(argument.as_json()).map(|number| Cow::Owned(number.to_string())),
        Kind::Object | Kind::Array | Kind::Null => None,
    }
}

fn agrees(text: &str, argument: &Raw) -> bool {
    match argument.kind() {
        // `42.0` and `42` are the same integer.
        Kind::Number => integer(argument.as_json()).is_some_and(|number| integer(text) == Some(number)),
        Kind::String | Kind::Bool => mirrored(argument).is_some_and(|expect| expect == text),
        Kind::Object | Kind::Array | Kind::Null => false,
    }
}

/// A JSON number that is an integer within ±2⁵³−1, whatever its notation.
fn integer(text: &str) -> Option<i64> {
    const LARGEST: i64 = (1 << 53) - 1;
    let exact = match text.parse::<i64>() {
        Ok(number) if !text.starts_with('+') => number,
        _ => decimal(text)?,
    };
    (-LARGEST..=LARGEST).contains(&exact).then_some(exact)
}

/// Reads `-12.50e1` exactly, if it is an integer of at most nineteen digits.
fn decimal(text: &str) -> Option<i64> {
    let (negative, rest) = text.strip_prefix('-').map_or((false, text), |rest| (true, rest));
    let (mantissa, exponent) = rest.split_once(['e', 'E']).unwrap_or((rest, "0"));
    let (whole, fraction) = mantissa.split_once('.').unwrap_or((mantissa, ""));
    let digits = format!("{whole}{fraction}");
    let numeric = |text: &str| !text.is_empty() && text.bytes().all(|byte| byte.is_ascii_digit());
    if !numeric(&digits) || whole.is_empty() || mantissa.ends_with('.') {
        return None;
    }
    let significant = digits.trim_end_matches('0');
    let dropped = i64::try_from(digits.len() - significant.len()).ok()?;
    let fraction = i64::try_from(fraction.len()).ok()?;
    let exponent = exponent.parse::<i64>().ok()?.checked_sub(fraction)?.checked_add(dropped)?;
    let significant = significant.trim_start_matches('0');
    if significant.is_empty() {
        return Some(0);
    }
    let power = 10_i64.checked_pow(u32::try_from(exponent).ok()?)?;
    let number = significant.parse::<i64>().ok()?.checked_mul(power)?;
    Some(if negative { -number } else { number })
}

fn mismatch(header: &HeaderName, fault: &'static str) -> HeaderMismatch {
    HeaderMismatch { header: header.clone(), fault }
}
