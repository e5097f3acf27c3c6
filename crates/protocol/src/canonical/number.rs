//! Numbers as ECMAScript writes them (RFC 8785 §3.2.2.3, ECMA-262 Number::toString).

use super::CanonicalError;

/// Writes the canonical form of a JSON number.
pub(super) fn write(text: &str, out: &mut Vec<u8>) -> Result<(), CanonicalError> {
    // Integers of up to fifteen digits are their own form, but for -0.
    let digits = text.strip_prefix('-').unwrap_or(text);
    if digits.len() <= 15 && digits.bytes().all(|byte| byte.is_ascii_digit()) && text != "-0" {
        out.extend_from_slice(text.as_bytes());
        return Ok(());
    }
    let error = || CanonicalError { number: text.into() };
    let number: f64 = text.parse().map_err(|_| error())?;
    if !number.is_finite() {
        return Err(error());
    }
    let written = Decimal::parse(text).ok_or_else(error)?;
    // The shortest digits that read back as the same double, an even last digit between two as near: what
    // ECMAScript asks for, and serde_json prints; Rust's own formatting breaks such ties the other way.
    let shortest = serde_json::to_string(&number).map_err(|_| error())?;
    let form = Decimal::parse(&shortest).ok_or_else(error)?;
    if written != form {
        return Err(error());
    }
    form.write(out);
    Ok(())
}

/// ±0.d₁d₂…dₙ × 10^point, with d₁ and dₙ not zero; zero has no digits.
#[derive(PartialEq, Eq)]
struct Decimal {
    negative: bool,
    digits: String,
    point: i64,
}

impl Decimal {
    fn parse(text: &str) -> Option<Self> {
        let (negative, rest) = text.strip_prefix('-').map_or((false, text), |rest| (true, rest));
        let (mantissa, exponent) = rest.split_once(['e', 'E']).unwrap_or((rest, "0"));
        let (whole, fraction) = mantissa.split_once('.').unwrap_or((mantissa, ""));
        let all = format!("{whole}{fraction}");
        let leading = all.len() - all.trim_start_matches('0').len();
        let digits = all.trim_matches('0').to_owned();
        if digits.is_empty() {
            return Some(Self { negative: false, digits, point: 0 });
        }
        // An exponent beyond 64 bits belongs to a number that no double holds.
        let exponent: i64 = exponent.parse().ok()?;
        let shift = i64::try_from(whole.len()).ok()?.checked_sub(i64::try_from(leading).ok()?)?;
        Some(Self { negative, digits, point: exponent.checked_add(shift)? })
    }

    fn write(&self, out: &mut Vec<u8>) {
        if self.digits.is_empty() {
            out.push(b'0');
            return;
        }
        if self.negative {
            out.push(b'-');
        }
        let digits = self.digits.as_str();
        let count = i64::try_from(digits.len()).unwrap_or(i64::MAX);
        let zeros = |count: i64| std::iter::repeat_n(b'0', usize::try_from(count).unwrap_or(0));
        match self.point {
            point if count <= point && point <= 21 => {
                out.extend_from_slice(digits.as_bytes());
                out.extend(zeros(point - count));
            }
            point @ 1..=21 => {
                let (whole, fraction) =
                    digits.split_at_checked(usize::try_from(point).unwrap_or(0)).unwrap_or((digits, ""));
                out.extend_from_slice(whole.as_bytes());
                out.push(b'.');
                out.extend_from_slice(fraction.as_bytes());
            }
            point @ -5..=0 => {
                out.extend_from_slice(b"0.");
                out.extend(zeros(-point));
                out.extend_from_slice(digits.as_bytes());
            }
            point => {
                let (first, rest) = digits.split_at_checked(1).unwrap_or((digits, ""));
                out.extend_from_slice(first.as_bytes());
                if !rest.is_empty() {
                    out.push(b'.');
                    out.extend_from_slice(rest.as_bytes());
                }
                let exponent = point - 1;
                out.push(b'e');
                out.push(if exponent < 0 { b'-' } else { b'+' });
                out.extend_from_slice(exponent.unsigned_abs().to_string().as_bytes());
            }
        }
    }
}
