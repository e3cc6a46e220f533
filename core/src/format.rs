//! Numbers as users read them: bytes in decimal units, and US dollars with two significant digits or more.

/// Rounding of [`format_dollars`].
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Rounding {
    /// To the nearest value.
    Nearest,
    /// Up: for a cost.
    Up,
    /// Down: for a cap and the rest of it.
    Down,
}

/// Formats bytes in decimal units, as disks and hubs count: `512 B`, `98.4 MB`.
pub fn format_bytes(bytes: u64) -> String {
    const UNITS: [&str; 5] = ["kB", "MB", "GB", "TB", "PB"];
    if bytes < 1000 {
        return format!("{bytes} B");
    }
    let mut value = bytes as f64 / 1e3;
    let mut unit = 0;
    // 999.95 would be printed as 1000.0: use the next unit.
    while value >= 999.95 && unit + 1 < UNITS.len() {
        value /= 1e3;
        unit += 1;
    }
    format!("{value:.1} {}", UNITS[unit])
}

/// Formats US dollars with two significant digits, but at least cents: `$0`, `$0.00042`, `$1.25`. NaN and negative
/// amounts are `$0`, infinity is `any sum`.
pub fn format_dollars(usd: f64, rounding: Rounding) -> String {
    if !usd.is_finite() || usd <= 0.0 {
        return if usd == f64::INFINITY { "any sum" } else { "$0" }.to_owned();
    }
    let decimals = (1.0 - usd.log10().floor()).clamp(2.0, 12.0);
    let scale = 10_f64.powf(decimals);
    let usd = match rounding {
        Rounding::Nearest => usd,
        Rounding::Up => (usd * scale * (1.0 - ROUNDING_ERROR)).ceil() / scale,
        Rounding::Down => (usd * scale * (1.0 + ROUNDING_ERROR)).floor() / scale,
    };
    let decimals = decimals as usize;
    format!("${usd:.decimals$}")
}

/// Relative error that binary fractions add to a sum such as 1 - 0.9.
const ROUNDING_ERROR: f64 = 1e-9;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn bytes_have_decimal_units() {
        let sizes = [0, 999, 1000, 98_362_432, 999_949_999, 999_999_999, u64::MAX];
        let texts = ["0 B", "999 B", "1.0 kB", "98.4 MB", "999.9 MB", "1.0 GB", "18446.7 PB"];
        assert_eq!(sizes.map(format_bytes), texts);
    }

    #[test]
    fn dollars_keep_two_digits_and_are_rounded_as_asked() {
        for (usd, nearest, up, down) in [
            (0.414, "$0.41", "$0.42", "$0.41"),
            (0.1, "$0.10", "$0.10", "$0.10"),
            (1.0 - 0.9, "$0.10", "$0.10", "$0.10"),
            (0.000_42, "$0.00042", "$0.00042", "$0.00042"),
            (0.00214, "$0.0021", "$0.0022", "$0.0021"),
            (3e-9, "$0.0000000030", "$0.0000000030", "$0.0000000030"),
            (12.345, "$12.35", "$12.35", "$12.34"),
            (1234.5, "$1234.50", "$1234.50", "$1234.50"),
            (0.0, "$0", "$0", "$0"),
            (1e-30, "$0.000000000000", "$0.000000000001", "$0.000000000000"),
            (f64::NAN, "$0", "$0", "$0"),
            (f64::INFINITY, "any sum", "any sum", "any sum"),
        ] {
            let texts = [Rounding::Nearest, Rounding::Up, Rounding::Down].map(|rounding| format_dollars(usd, rounding));
            assert_eq!(texts, [nearest, up, down], "{usd}");
        }
    }
}
