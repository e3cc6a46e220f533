//! US dollars as people read them: two figures at least, of however small a sum.

/// `$0`, `$0.00042`, `$1.25`.
pub(crate) fn dollars(usd: f64) -> String {
    if usd.is_nan() || usd <= 0.0 {
        return "$0".to_owned();
    }
    // As many places as two figures take; at least cents.
    let places = (1.0 - usd.log10().floor()).clamp(2.0, 12.0) as usize;
    format!("${usd:.places$}")
}

/// Like [`dollars`]; `?` if unknown.
pub(crate) fn perhaps(usd: Option<f64>) -> String {
    usd.map_or_else(|| "?".to_owned(), dollars)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_sum_keeps_two_figures_however_small() {
        for (usd, shown) in [
            (0.0, "$0"),
            (f64::NAN, "$0"),
            (12.345, "$12.35"),
            (1.0, "$1.00"),
            (0.25, "$0.25"),
            (0.042, "$0.042"),
            (0.000_42, "$0.00042"),
            (3e-9, "$0.0000000030"),
        ] {
            assert_eq!(dollars(usd), shown);
        }
        assert_eq!(perhaps(None), "?");
    }
}
