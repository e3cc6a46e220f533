//! Finds the start of a marker at the end of streamed text.

/// Returns the length in bytes of the longest suffix of `text` that is a proper prefix of `marker`.
pub(super) fn partial_suffix_len(text: &[u8], marker: &[u8]) -> usize {
    (1..marker.len().min(text.len() + 1))
        .rev()
        .find(|&length| text.ends_with(&marker[..length]))
        .unwrap_or(0)
}
