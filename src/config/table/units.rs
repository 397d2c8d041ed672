//! Durations, sizes and shares as people write them.
use std::time::Duration;

/// The longest duration that a configuration may hold. Longer ones are slips: no wait of a
/// rotation outlives the next night by a week.
const MAX_DURATION: Duration = Duration::from_secs(7 * 24 * 60 * 60);

/// `30s`, `5m`, `1h30m`, `250ms`. The error says what is wrong, a fragment after the text.
pub(crate) fn parse_duration(text: &str) -> Result<Duration, String> {
    if text.parse::<f64>().is_ok() {
        return Err("lacks its unit".to_owned());
    }
    let Ok(signed) = text.parse::<jiff::SignedDuration>() else {
        return Err("is no duration".to_owned());
    };
    let Ok(duration) = Duration::try_from(signed) else {
        return Err("is negative".to_owned());
    };
    if duration > MAX_DURATION {
        return Err("is longer than 7 days".to_owned());
    }
    Ok(duration)
}

/// `1MiB`, `512KiB`, `100kB`, `0B`: bytes, binary units by powers of 1024, others of 1000.
pub(crate) fn parse_bytes(text: &str) -> Result<u64, String> {
    let digits = text
        .find(|c: char| !c.is_ascii_digit())
        .unwrap_or(text.len());
    let (number, unit) = text.split_at(digits);
    let Ok(number) = number.parse::<u64>() else {
        return Err("is no size".to_owned());
    };
    let factor: u64 = match unit.trim_start() {
        "B" => 1,
        "kB" | "KB" => 1_000,
        "MB" => 1_000_000,
        "GB" => 1_000_000_000,
        "KiB" => 1 << 10,
        "MiB" => 1 << 20,
        "GiB" => 1 << 30,
        "" => return Err("lacks its unit".to_owned()),
        _ => return Err("is no size".to_owned()),
    };
    number
        .checked_mul(factor)
        .ok_or_else(|| "is too large".to_owned())
}

/// `5%` → 0.05.
pub(crate) fn parse_share(text: &str) -> Result<f64, String> {
    let number = text.strip_suffix('%').map(|number| number.trim().parse());
    match number {
        Some(Ok(percent)) if (0.0..=100.0).contains(&percent) => Ok(percent / 100.0),
        Some(Ok(_)) => Err("is not between 0% and 100%".to_owned()),
        Some(Err(_)) | None => Err("is no share".to_owned()),
    }
}

/// The shortest way to write a duration: `5m`, `1m30s`.
pub(crate) fn show(duration: Duration) -> String {
    match jiff::SignedDuration::try_from(duration) {
        Ok(signed) => format!("{signed:#}").replace(' ', ""),
        Err(_) => format!("{}s", duration.as_secs()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn durations_are_a_number_with_a_unit() {
        let parse = |text| parse_duration(text).map(|d| d.as_millis());
        assert_eq!(parse("30s"), Ok(30_000));
        assert_eq!(parse("1h30m"), Ok(5_400_000));
        assert_eq!(parse("250ms"), Ok(250));
        assert_eq!(parse("0s"), Ok(0));
        assert_eq!(parse("30"), Err("lacks its unit".into()));
        assert_eq!(parse("-5s"), Err("is negative".into()));
        assert_eq!(parse("soon"), Err("is no duration".into()));
        assert_eq!(parse("200h"), Err("is longer than 7 days".into()));
        assert_eq!(parse(""), Err("is no duration".into()));
    }

    #[test]
    fn sizes_tell_binary_units_from_decimal_ones() {
        assert_eq!(parse_bytes("1MiB"), Ok(1_048_576));
        assert_eq!(parse_bytes("64 KiB"), Ok(65_536));
        assert_eq!(parse_bytes("1MB"), Ok(1_000_000));
        assert_eq!(parse_bytes("0B"), Ok(0));
        assert_eq!(parse_bytes("1024"), Err("lacks its unit".into()));
        assert_eq!(parse_bytes("MiB"), Err("is no size".into()));
        assert_eq!(parse_bytes("99999999999GiB"), Err("is too large".into()));
    }

    #[test]
    fn shares_are_percentages() {
        assert_eq!(parse_share("5%"), Ok(0.05));
        assert_eq!(parse_share("0.05"), Err("is no share".into()));
        assert_eq!(
            parse_share("NaN%"),
            Err("is not between 0% and 100%".into())
        );
        assert_eq!(
            parse_share("101%"),
            Err("is not between 0% and 100%".into())
        );
    }

    #[test]
    fn durations_are_shown_as_they_are_written() {
        assert_eq!(show(Duration::from_secs(300)), "5m");
        assert_eq!(show(Duration::from_secs(90)), "1m30s");
    }
}
