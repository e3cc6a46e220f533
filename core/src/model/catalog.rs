//! Recommended models for phones, from small to large: a dated list in `data/catalog.json`.
//!
//! Not a limit: any reference can be fitted and downloaded. Sizes are those of the hub on the day of the list; verdicts
//! and downloads use the hub's current ones.

use std::sync::LazyLock;

use serde::{Deserialize, Serialize};

use super::ModelRef;

/// A recommended model.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct CatalogEntry {
    /// Short id, such as `smollm2-360m`.
    pub id: String,
    /// Reference to download it by.
    pub model: ModelRef,
    /// Name for display.
    pub name: String,
    /// Organisation that made it.
    pub maker: String,
    /// Number of parameters.
    pub parameters: u64,
    /// Quantization of the weights, such as `Q4_K_M`.
    pub quantization: String,
    /// Approximate size of the download in bytes.
    pub size_bytes: u64,
    /// License: an SPDX name, or the name of the maker's own terms.
    pub license: String,
    /// Whether it reasons before it answers.
    pub reasoning: bool,
    /// Purpose, in one line.
    pub note: String,
    /// Day of this entry, as `2026-11-22`.
    pub as_of: String,
}

/// Returns all entries, from small to large.
pub fn catalog() -> Vec<CatalogEntry> {
    CATALOG.clone()
}

/// An entry of the file.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct CatalogRow {
    id: String,
    reference: String,
    name: String,
    maker: String,
    parameters: u64,
    quantization: String,
    size_bytes: u64,
    license: String,
    reasoning: bool,
    note: String,
}

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct CatalogFile {
    as_of: String,
    models: Vec<CatalogRow>,
}

fn parse_catalog(text: &str) -> serde_json::Result<Vec<CatalogEntry>> {
    let CatalogFile { as_of, models } = serde_json::from_str(text)?;
    let entry = |row: CatalogRow| {
        Some(CatalogEntry {
            id: row.id,
            model: ModelRef::parse(&row.reference).ok()?,
            name: row.name,
            maker: row.maker,
            parameters: row.parameters,
            quantization: row.quantization,
            size_bytes: row.size_bytes,
            license: row.license,
            reasoning: row.reasoning,
            note: row.note,
            as_of: as_of.clone(),
        })
    };
    Ok(models.into_iter().filter_map(entry).collect())
}

// A test parses the same text, so a mistake fails the build and not an app.
static CATALOG: LazyLock<Vec<CatalogEntry>> =
    LazyLock::new(|| parse_catalog(include_str!("../../data/catalog.json")).unwrap_or_default());

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_entry_can_be_read_and_they_grow() {
        let text = include_str!("../../data/catalog.json");
        let entries = parse_catalog(text).expect("valid");
        assert_eq!(entries.len(), text.matches("\"id\":").count(), "a reference is none");
        assert!(entries.is_sorted_by_key(|entry| entry.size_bytes));
        for entry in entries {
            // Between two and nine bits for a parameter.
            let bits = entry.size_bytes * 8 / entry.parameters;
            assert!((2..=10).contains(&bits), "{}: {bits} bits", entry.id);
        }
    }
}
