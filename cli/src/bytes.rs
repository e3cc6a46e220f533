//! Sizes as people read and write them. Decimal when shown (1 GB is 1,000,000,000 bytes, as disks and hubs count);
//! both decimal and binary units when read.

/// `98.4 MB`.
pub(crate) fn human(bytes: u64) -> String {
    const UNITS: [&str; 5] = ["kB", "MB", "GB", "TB", "PB"];
    if bytes < 1000 {
        return format!("{bytes} B");
    }
    let mut value = bytes as f64 / 1e3;
    let mut unit = 0;
    // 999.95 would be shown as 1000.0: that belongs to the next unit.
    while value >= 999.95 && unit + 1 < UNITS.len() {
        value /= 1e3;
        unit += 1;
    }
    format!("{value:.1} {}", UNITS[unit])
}

/// Reads `4000000000`, `4GB`, `4 GiB` or `1.5g`; a bare letter is decimal.
///
/// # Errors
/// A text for the person who wrote it.
pub(crate) fn parse(text: &str) -> Result<u64, String> {
    let refused = || format!("`{text}` is no size; write bytes, or a unit as in `4GB` or `4GiB`");
    let text = text.trim();
    let digits = text
        .find(|c: char| !c.is_ascii_digit() && c != '.')
        .unwrap_or(text.len());
    let (number, unit) = text.split_at(digits);
    let scale: u64 = match unit.trim().to_ascii_lowercase().as_str() {
        "" | "b" => 1,
        "k" | "kb" => 1000,
        "m" | "mb" => 1000_u64.pow(2),
        "g" | "gb" => 1000_u64.pow(3),
        "t" | "tb" => 1000_u64.pow(4),
        "kib" => 1 << 10,
        "mib" => 1 << 20,
        "gib" => 1 << 30,
        "tib" => 1 << 40,
        _ => return Err(refused()),
    };
    if let Ok(whole) = number.parse::<u64>() {
        return whole.checked_mul(scale).ok_or_else(refused);
    }
    // Only a number with a fraction comes here; it has no sign, and its size is checked below.
    let bytes = number.parse::<f64>().map_err(|_| refused())? * scale as f64;
    if bytes.is_finite() && bytes < u64::MAX as f64 {
        Ok(bytes as u64)
    } else {
        Err(refused())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn sizes_are_shown_in_decimal_units() {
        for (bytes, shown) in [
            (0, "0 B"),
            (999, "999 B"),
            (1000, "1.0 kB"),
            (98_362_432, "98.4 MB"),
            (999_949_999, "999.9 MB"),
            (999_999_999, "1.0 GB"),
            (4_683_073_248, "4.7 GB"),
            (u64::MAX, "18446.7 PB"),
        ] {
            assert_eq!(human(bytes), shown);
        }
    }

    #[test]
    fn sizes_are_read_in_both_kinds_of_unit() {
        for (text, bytes) in [
            ("4000000000", 4_000_000_000),
            ("4GB", 4_000_000_000),
            ("4 GiB", 4 << 30),
            ("1.5g", 1_500_000_000),
            ("0", 0),
            ("512MiB", 512 << 20),
        ] {
            assert_eq!(parse(text), Ok(bytes), "{text}");
        }
        for text in ["", "GB", "-1", "4 parsecs", "1.2.3", "99999999999TB", "1e3", "inf"] {
            assert!(parse(text).is_err(), "{text}");
        }
    }
}
