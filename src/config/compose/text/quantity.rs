//! Amounts as Compose writes them: durations, sizes, processors, file modes.
use std::time::Duration;

/// What a duration looks like, for error texts.
pub(crate) const DURATION: &str = "a duration such as \"1m30s\"";
/// What a size looks like, for error texts.
pub(crate) const BYTES: &str = "a size such as \"64m\" or \"1gb\"";
/// What an amount of processors looks like, for error texts.
pub(crate) const CPUS: &str = "a number of processors such as \"0.5\"";
/// What a file mode looks like, for error texts.
pub(crate) const MODE: &str = "an octal file mode such as 0440";

/// `1h5m30s20ms`, each number whole or with a fraction; `0` needs no unit.
pub(crate) fn duration(text: &str) -> Option<Duration> {
    if text == "0" {
        return Some(Duration::ZERO);
    }
    if text.is_empty() {
        return None;
    }
    let mut rest = text;
    let mut nanos = 0_u128;
    while !rest.is_empty() {
        let (number, after) = split_number(rest);
        let unit_length = after
            .find(|c: char| c.is_ascii_digit() || c == '.')
            .unwrap_or(after.len());
        let (unit, after) = after.split_at(unit_length);
        nanos = nanos.checked_add(scaled(number, nanos_of(unit)?)?)?;
        rest = after;
    }
    // The engine keeps durations as signed nanoseconds.
    i64::try_from(nanos).ok()?;
    Some(Duration::from_nanos(u64::try_from(nanos).ok()?))
}

fn nanos_of(unit: &str) -> Option<u128> {
    let nanos = match unit {
        "ns" => 1,
        "us" | "µs" | "μs" => 1_000,
        "ms" => 1_000_000,
        "s" => 1_000_000_000,
        "m" => 60_000_000_000,
        "h" => 3_600_000_000_000,
        "d" => 86_400_000_000_000,
        "w" => 604_800_000_000_000,
        _ => return None,
    };
    Some(nanos)
}

/// `2b`, `64k`, `64kb`, `64KiB`, `1.5g`: powers of 1024, as Docker counts; without a unit, bytes.
pub(crate) fn bytes(text: &str) -> Option<u64> {
    let (number, unit) = split_number(text);
    let unit = unit.strip_prefix(' ').unwrap_or(unit).to_ascii_lowercase();
    let power = match unit.as_str() {
        "" | "b" => 0,
        "k" | "kb" | "kib" => 1,
        "m" | "mb" | "mib" => 2,
        "g" | "gb" | "gib" => 3,
        "t" | "tb" | "tib" => 4,
        "p" | "pb" | "pib" => 5,
        _ => return None,
    };
    let bytes = u64::try_from(scaled(number, 1024_u128.pow(power))?).ok()?;
    // The engine keeps sizes as signed numbers.
    i64::try_from(bytes).ok()?;
    Some(bytes)
}

/// `0.5` processors, in billionths.
pub(crate) fn nano_cpus(text: &str) -> Option<u64> {
    let cpus = u64::try_from(scaled(text, 1_000_000_000)?).ok()?;
    i64::try_from(cpus).ok()?;
    Some(cpus)
}

/// `0440` and `0o440`. Without the zero it is refused: YAML reads 440 as a decimal number, which
/// is the mode 0670.
pub(crate) fn mode(text: &str) -> Option<u32> {
    let digits = text.strip_prefix("0o").or_else(|| text.strip_prefix('0'))?;
    let mode = if digits.is_empty() {
        0
    } else {
        u32::from_str_radix(digits, 8).ok()?
    };
    (mode <= 0o7777 && digits.bytes().all(|b| b.is_ascii_digit())).then_some(mode)
}

fn split_number(text: &str) -> (&str, &str) {
    let length = text
        .find(|c: char| !c.is_ascii_digit() && c != '.')
        .unwrap_or(text.len());
    text.split_at(length)
}

/// `number` × `unit`, cut to a whole number; decimal throughout, so that nothing is rounded twice.
fn scaled(number: &str, unit: u128) -> Option<u128> {
    let (whole, fraction) = number.split_once('.').unwrap_or((number, ""));
    let is_digits = |digits: &str| digits.bytes().all(|b| b.is_ascii_digit());
    if whole.len() + fraction.len() == 0 || whole.len() > 20 || fraction.len() > 15 {
        return None;
    }
    if !is_digits(whole) || !is_digits(fraction) {
        return None;
    }
    let number_of = |digits: &str| {
        if digits.is_empty() {
            Some(0)
        } else {
            digits.parse().ok()
        }
    };
    let whole: u128 = number_of(whole)?;
    let parts: u128 = number_of(fraction)?;
    let divisor = 10_u128.pow(u32::try_from(fraction.len()).ok()?);
    whole
        .checked_mul(unit)?
        .checked_add(parts.checked_mul(unit)? / divisor)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn durations_are_read_as_compose_does() {
        let good = [
            ("10s", 10_000_000_000),
            ("1m30s", 90_000_000_000),
            ("1h5m30s20ms", 3_930_020_000_000),
            ("1.5s", 1_500_000_000),
            ("2us", 2_000),
            ("1d", 86_400_000_000_000),
            ("0", 0),
        ];
        for (text, nanos) in good {
            assert_eq!(duration(text), Some(Duration::from_nanos(nanos)), "{text}");
        }
        for text in [
            "",
            "10",
            "s",
            "1x",
            "-1s",
            "1s ",
            "1..5s",
            "99999999999999999999h",
            "é",
        ] {
            assert_eq!(duration(text), None, "{text}");
        }
    }

    #[test]
    fn sizes_are_powers_of_1024() {
        let good = [
            ("64", 64),
            ("2b", 2),
            ("64m", 64 << 20),
            ("64MB", 64 << 20),
            ("1gb", 1 << 30),
            ("1.5G", 3 << 29),
            ("512 KiB", 512 << 10),
        ];
        for (text, size) in good {
            assert_eq!(bytes(text), Some(size), "{text}");
        }
        for text in ["", "m", "-1", "1x", "1  g", "9999999999p", "1e3", "1.2.3"] {
            assert_eq!(bytes(text), None, "{text}");
        }
    }

    #[test]
    fn processors_are_billionths_and_modes_octal() {
        assert_eq!(nano_cpus("0.5"), Some(500_000_000));
        assert_eq!(nano_cpus("2"), Some(2_000_000_000));
        assert_eq!(nano_cpus(".25"), Some(250_000_000));
        assert_eq!(nano_cpus("0,5"), None);
        assert_eq!(mode("0440"), Some(0o440));
        assert_eq!(mode("0o755"), Some(0o755));
        assert_eq!(mode("0"), Some(0));
        for text in ["440", "0888", "0o", "", "0+44", "077777"] {
            assert_eq!(mode(text).filter(|_| text != "0o"), None, "{text}");
        }
    }
}
