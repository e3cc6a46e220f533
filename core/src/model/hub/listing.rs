//! Selects a file from a repository's listing.
//!
//! The selection is that of llama.cpp's `-hf`: a label must be followed by `.` or `-` in the name; without a label
//! Q4_K_M comes first, then Q8_0, then the first file. Projectors, importance matrices and draft heads, which also end
//! in `.gguf`, are never selected by label or default.

use serde::Deserialize;

use crate::error::{Error, ErrorReason, Result};
use crate::model::HubFile;
use crate::model::reference::is_sha256;

/// An entry of `GET /api/models/{repo}/tree/{revision}`.
#[derive(Debug, Clone, Deserialize)]
pub(crate) struct TreeEntry {
    #[serde(rename = "type")]
    kind: String,
    /// From the root of the repository.
    pub(crate) path: String,
    #[serde(default)]
    size: u64,
    lfs: Option<Lfs>,
}

/// Large-file data of an entry. Its `oid` is the SHA-256 of the content; the entry's own `oid` is git's.
#[derive(Debug, Clone, Deserialize)]
struct Lfs {
    oid: String,
    size: Option<u64>,
}

impl TreeEntry {
    /// Returns the size of the content in bytes.
    pub(crate) fn size(&self) -> u64 {
        self.lfs.as_ref().and_then(|lfs| lfs.size).unwrap_or(self.size)
    }

    /// Returns the SHA-256 of the content, if the hub has one.
    pub(crate) fn sha256(&self) -> Option<String> {
        let hash = self.lfs.as_ref()?.oid.to_ascii_lowercase();
        let hash = hash.strip_prefix("sha256:").unwrap_or(&hash);
        is_sha256(hash).then(|| hash.to_owned())
    }
}

/// Selects a file. Fails with the available names if none matches, or for a part of a split model.
pub(crate) fn select_file<'a>(repo: &str, entries: &'a [TreeEntry], file: &HubFile) -> Result<&'a TreeEntry> {
    let files = || entries.iter().filter(|entry| entry.kind == "file");
    let models = || files().filter(|entry| is_model(&entry.path));
    if models().next().is_none() {
        let holds = list_names(files().map(|entry| entry.path.as_str()));
        return Err(Error::of(
            ErrorReason::UnknownModel,
            format!("repository `{repo}` holds no GGUF model, only {holds}; look for a GGUF conversion of it"),
        ));
    }
    let labelled = |label: &str| models().find(|entry| has_label(&entry.path, label));
    let found = match file {
        HubFile::Path { path } => files().find(|entry| entry.path == *path),
        HubFile::Quantization { label } => labelled(label),
        HubFile::Default => labelled("Q4_K_M")
            .or_else(|| labelled("Q8_0"))
            .or_else(|| models().next()),
    };
    let Some(found) = found else {
        let holds = list_names(models().map(|entry| entry.path.as_str()));
        let requested = match file {
            HubFile::Path { path } => path,
            HubFile::Quantization { label } => label,
            HubFile::Default => "",
        };
        return Err(Error::of(
            ErrorReason::UnknownModel,
            format!("repository `{repo}` has nothing named `{requested}`; it has {holds}"),
        ));
    };
    if is_part(&found.path) {
        return Err(Error::unsupported(format!(
            "`{}` is one part of a split model, which is not supported; take a model in one file",
            found.path
        )));
    }
    Ok(found)
}

/// Returns whether `path` contains `label` as a whole word, as in `model-Q4_K_M.gguf` or `Q8_0/model.gguf`.
pub(crate) fn has_label(path: &str, label: &str) -> bool {
    let (path, label) = (path.to_ascii_lowercase(), label.to_ascii_lowercase());
    path.match_indices(&label).any(|(at, _)| {
        let before = path[..at].chars().next_back();
        let after = path[at + label.len()..].chars().next();
        !before.is_some_and(|c| c.is_ascii_alphanumeric() || c == '_') && matches!(after, Some('.' | '-' | '/'))
    })
}

fn is_model(path: &str) -> bool {
    let path = path.to_ascii_lowercase();
    let name = path.rsplit('/').next().unwrap_or_default();
    name.ends_with(".gguf") && !AUXILIARY_MARKERS.iter().any(|word| name.contains(word))
}

/// Returns whether the name ends in `-00001-of-00003.gguf`.
fn is_part(path: &str) -> bool {
    let number = |text: &str| text.len() == 5 && text.bytes().all(|b| b.is_ascii_digit());
    let stem = path.get(..path.len().saturating_sub(5)).unwrap_or_default();
    let Some((front, count)) = stem.rsplit_once("-of-") else {
        return false;
    };
    number(count) && front.rsplit_once('-').is_some_and(|(_, part)| number(part))
}

fn list_names<'a>(paths: impl Iterator<Item = &'a str>) -> String {
    let mut paths: Vec<String> = paths.map(|path| format!("`{}`", path.escape_debug())).collect();
    if paths.is_empty() {
        return "nothing".to_owned();
    }
    let more = paths.len().saturating_sub(MAX_LISTED_NAMES);
    paths.truncate(MAX_LISTED_NAMES);
    match more {
        0 => paths.join(", "),
        _ => format!("{} and {more} more", paths.join(", ")),
    }
}

/// Name parts of GGUF files that are not models by themselves.
const AUXILIARY_MARKERS: &[&str] = &["mmproj", "imatrix", "mtp-", "eagle3-", "dflash-", "dspark-"];

/// Maximum number of names in an error.
const MAX_LISTED_NAMES: usize = 8;

#[cfg(test)]
mod tests {
    use super::*;
    use crate::error::ErrorKind::{InvalidRequest, Unsupported};

    fn entries(paths: &[&str]) -> Vec<TreeEntry> {
        let entry = |path: &&str| TreeEntry {
            kind: "file".to_owned(),
            path: (*path).to_owned(),
            size: 1,
            lfs: None,
        };
        paths.iter().map(entry).collect()
    }

    #[test]
    fn the_file_that_is_meant_is_chosen() {
        let quant = |label: &str| HubFile::Quantization {
            label: label.to_owned(),
        };
        let all = [
            "mmproj-Q4_K_M.gguf",
            "m-IQ4_XS.gguf",
            "m-Q4_K_M.gguf",
            "m-Q4_K_S.gguf",
            "m-Q8_0.gguf",
            "readme.md",
        ];
        let table: &[(&[&str], HubFile, &str)] = &[
            (&all, HubFile::Default, "m-Q4_K_M.gguf"),
            (&["a-F16.gguf", "a.q8_0.gguf"], HubFile::Default, "a.q8_0.gguf"),
            (&["imatrix.gguf", "a.gguf", "b.gguf"], HubFile::Default, "a.gguf"),
            (&all, quant("q4_k_s"), "m-Q4_K_S.gguf"),
            (&["m-IQ4_NL.gguf", "m-Q4_NL.gguf"], quant("Q4_NL"), "m-Q4_NL.gguf"),
            (&["m-UD-Q4_K_XL.gguf"], quant("Q4_K_XL"), "m-UD-Q4_K_XL.gguf"),
            (&["Q8_0/m.gguf"], quant("Q8_0"), "Q8_0/m.gguf"),
            (
                &all,
                HubFile::Path {
                    path: "mmproj-Q4_K_M.gguf".to_owned(),
                },
                "mmproj-Q4_K_M.gguf",
            ),
        ];
        for (paths, file, expected) in table {
            let entries = entries(paths);
            assert_eq!(
                select_file("o/r", &entries, file).map(|e| e.path.as_str()),
                Ok(*expected),
                "{file:?}"
            );
        }
    }

    #[test]
    fn what_cannot_be_chosen_is_explained() {
        let quant = HubFile::Quantization {
            label: "Q4_K".to_owned(),
        };
        let table: &[(&[&str], &HubFile, _, &str)] = &[
            (
                &["config.json", "mmproj-a.gguf"],
                &HubFile::Default,
                InvalidRequest,
                "`config.json`",
            ),
            (&["m-Q4_K_M.gguf"], &quant, InvalidRequest, "`m-Q4_K_M.gguf`"),
            (
                &["m-Q4_K_M-00001-of-00002.gguf"],
                &HubFile::Default,
                Unsupported,
                "split",
            ),
            (&[], &HubFile::Default, InvalidRequest, "nothing"),
        ];
        for (paths, file, kind, words) in table {
            let error = select_file("o/r", &entries(paths), file).expect_err("refused");
            assert_eq!(error.kind(), *kind, "{error}");
            assert!(error.to_string().contains(words), "{error}");
        }
    }
}
