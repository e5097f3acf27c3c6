//! JSON numbers as exact Cedar numbers: a value that does not fit is refused, never rounded.

/// `digits × 10^exponent`, without leading or trailing zeros; zero has no digits.
struct Exact<'a> {
    negative: bool,
    integer: &'a [u8],
    fraction: &'a [u8],
    /// Power of ten of the last digit of `fraction`.
    exponent: i64,
}

/// The integer `text` (RFC 8259 number) stands for, if it is one within 64 bits; `5.0` and `5e2` are.
pub(crate) fn long(text: &str) -> Option<i64> {
    scaled(text, 0)
}

/// The number `text` stands for in ten-thousandths, if it has at most four decimals and fits Cedar's decimal.
pub(crate) fn decimal(text: &str) -> Option<i64> {
    scaled(text, 4)
}

/// A decimal of ten-thousandths as Cedar writes it.
pub(crate) fn decimal_text(ten_thousandths: i64) -> String {
    let sign = if ten_thousandths < 0 { "-" } else { "" };
    let magnitude = ten_thousandths.unsigned_abs();
    format!("{sign}{}.{:04}", magnitude / 10_000, magnitude % 10_000)
}

fn scaled(text: &str, places: i64) -> Option<i64> {
    let number = read(text.as_bytes())?;
    let digits = number.integer.iter().chain(number.fraction);
    let significant = digits.clone().copied().skip_while(|digit| *digit == b'0').count();
    if significant == 0 {
        return Some(0);
    }
    let trailing = digits.clone().rev().take_while(|digit| **digit == b'0').count();
    let kept = significant.checked_sub(trailing)?;
    let power = number.exponent.checked_add(i64::try_from(trailing).ok()?)?.checked_add(places)?;
    // 19 digits hold every 64-bit integer; more cannot fit, and fewer places than needed are not exact.
    if power < 0 || i64::try_from(kept).ok()?.checked_add(power)? > 19 {
        return None;
    }
    let mut value: i128 = 0;
    for digit in digits.skip_while(|digit| **digit == b'0').take(kept) {
        value = value.checked_mul(10)?.checked_add(i128::from(digit.checked_sub(b'0')?))?;
    }
    value = value.checked_mul(10_i128.checked_pow(u32::try_from(power).ok()?)?)?;
    i64::try_from(if number.negative { -value } else { value }).ok()
}

fn read(text: &[u8]) -> Option<Exact<'_>> {
    let (negative, text) = match text.strip_prefix(b"-") {
        Some(rest) => (true, rest),
        None => (false, text),
    };
    let (mantissa, exponent) = match text.iter().position(|byte| matches!(byte, b'e' | b'E')) {
        Some(at) => (text.get(..at)?, power(text.get(at.checked_add(1)?..)?)?),
        None => (text, 0),
    };
    let (integer, fraction) = match mantissa.iter().position(|byte| *byte == b'.') {
        Some(at) => (mantissa.get(..at)?, mantissa.get(at.checked_add(1)?..)?),
        None => (mantissa, &[][..]),
    };
    let plain = |digits: &[u8]| digits.iter().all(u8::is_ascii_digit);
    if integer.is_empty() || !plain(integer) || !plain(fraction) {
        return None;
    }
    Some(Exact {
        negative,
        integer,
        fraction,
        exponent: exponent.checked_sub(i64::try_from(fraction.len()).ok()?)?,
    })
}

/// An exponent; one too large to hold is far too large for any number here.
fn power(text: &[u8]) -> Option<i64> {
    let (negative, digits) = match text {
        [b'-', digits @ ..] => (true, digits),
        [b'+', digits @ ..] | digits => (false, digits),
    };
    if digits.is_empty() || !digits.iter().all(u8::is_ascii_digit) {
        return None;
    }
    let magnitude = digits
        .iter()
        .fold(0_i64, |sum, digit| {
            sum.saturating_mul(10).saturating_add(i64::from(digit.saturating_sub(b'0')))
        })
        .min(1_000_000_000_000);
    Some(if negative { -magnitude } else { magnitude })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn integers_are_exact_or_refused() {
        for (text, expect) in [
            ("0", Some(0)),
            ("-0", Some(0)),
            ("5", Some(5)),
            ("5.0", Some(5)),
            ("5e2", Some(500)),
            ("1.5e1", Some(15)),
            ("500e-2", Some(5)),
            ("0.00", Some(0)),
            ("0e999999999999999999999", Some(0)),
            ("9223372036854775807", Some(i64::MAX)),
            ("-9223372036854775808", Some(i64::MIN)),
            ("9223372036854775808", None),
            ("5.5", None),
            ("1e19", None),
            ("1e999999999999999999999", None),
            ("1e-999999999999999999999", None),
            ("", None),
            ("-", None),
            ("1e", None),
        ] {
            assert_eq!(long(text), expect, "{text}");
        }
    }

    #[test]
    fn decimals_have_four_places_or_are_refused() {
        for (text, expect) in [
            ("1", Some("1.0000")),
            ("-1.25", Some("-1.2500")),
            ("0.0001", Some("0.0001")),
            ("-0.0001", Some("-0.0001")),
            ("1.00010", Some("1.0001")),
            ("922337203685477.5807", Some("922337203685477.5807")),
            ("-922337203685477.5808", Some("-922337203685477.5808")),
            ("922337203685477.5808", None),
            ("0.00001", None),
            ("1e300", None),
            ("123456789e-4", Some("12345.6789")),
        ] {
            assert_eq!(decimal(text).map(decimal_text).as_deref(), expect, "{text}");
        }
    }

    proptest::proptest! {
        #[test]
        fn every_integer_survives(value: i64, zeros in 0_usize..4) {
            proptest::prop_assert_eq!(long(&value.to_string()), Some(value));
            let padded = format!("{value}.{}", "0".repeat(zeros + 1));
            proptest::prop_assert_eq!(long(&padded), Some(value));
            proptest::prop_assert_eq!(decimal(&decimal_text(value)), Some(value));
        }
    }
}
