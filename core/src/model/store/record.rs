//! The record of an installed model, `model.json`.

use std::fs;
use std::path::Path;

use serde::{Deserialize, Serialize};
use sha2::{Digest, Sha256};

use super::files::write_atomic;
use crate::error::{Error, Result};
use crate::model::ModelRef;
use crate::model::hash::to_hex;

/// An installed model.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct InstalledModel {
    /// Id in the store: the file's name in lower case without its extension.
    pub id: String,
    /// Path of the file.
    pub path: String,
    /// SHA-256 of the file, 64 lower-case hex digits.
    pub sha256: String,
    /// Size of the file in bytes.
    pub size_bytes: u64,
    /// Quantization of the weights, such as `Q4_K_M`.
    pub quantization: String,
    /// Architecture, such as `llama` or `qwen2`.
    pub architecture: String,
    /// Context that it was trained with, in tokens.
    pub context_length: u32,
    /// Exact reference or path it came from.
    pub source: String,
}

/// `model.json`: [`InstalledModel`] without id and path, which follow from its location.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub(super) struct Record {
    pub(super) file: String,
    pub(super) sha256: String,
    pub(super) size_bytes: u64,
    pub(super) quantization: String,
    pub(super) architecture: String,
    pub(super) context_length: u32,
    pub(super) source: String,
    /// Commit of the repository.
    #[serde(default)]
    pub(super) commit: Option<String>,
    /// References that were resolved to it.
    #[serde(default, rename = "asked")]
    pub(super) references: Vec<String>,
}

impl Record {
    /// Loads the record of this directory. Returns `None` unless the file exists and has its size.
    pub(super) fn load(at: &Path) -> Option<Self> {
        Self::parse(at).filter(|record| record.is_complete(at))
    }

    /// Parses the record of this directory, whether or not its file is complete.
    pub(super) fn parse(at: &Path) -> Option<Self> {
        let record: Self = serde_json::from_slice(&fs::read(at.join(RECORD_FILE)).ok()?).ok()?;
        let plain = Path::new(&record.file)
            .file_name()
            .is_some_and(|name| name == record.file.as_str());
        (plain && at.file_name()?.to_str().is_some()).then_some(record)
    }

    /// Returns whether the file exists and has its size.
    pub(super) fn is_complete(&self, at: &Path) -> bool {
        fs::metadata(at.join(&self.file)).is_ok_and(|file| file.is_file() && file.len() == self.size_bytes)
    }

    /// Returns whether this directory holds only what an install writes, and what file managers leave in any directory.
    pub(super) fn is_unfinished_install(at: &Path) -> bool {
        let is_ours = |name: &str| {
            let litter = name.starts_with('.') || LITTER.contains(&name);
            litter || name == RECORD_FILE || name == RECORD_DRAFT || name.ends_with(".gguf")
        };
        let hidden = at
            .file_name()
            .is_none_or(|name| name.to_string_lossy().starts_with('.'));
        let Ok(mut entries) = fs::read_dir(at) else {
            return false;
        };
        !hidden && entries.all(|entry| entry.is_ok_and(|entry| entry.file_name().to_str().is_some_and(is_ours)))
    }

    pub(super) fn write(&self, at: &Path) -> Result<()> {
        let text = serde_json::to_vec_pretty(self)
            .map_err(|cause| Error::internal(format!("could not write `{RECORD_FILE}`: {cause}")))?;
        write_atomic(&at.join(RECORD_FILE), &text)
    }

    /// Adds `reference` to the known references. Returns whether it was new.
    pub(super) fn add_reference(&mut self, reference: &ModelRef) -> bool {
        let text = reference_key(reference);
        let new = text != self.source && !self.references.contains(&text);
        if new {
            self.references.push(text);
        }
        new
    }

    /// Returns whether `reference` was resolved to this model before.
    pub(super) fn has_reference(&self, reference: &ModelRef) -> bool {
        let text = reference_key(reference);
        text == self.source || self.references.contains(&text)
    }

    pub(super) fn id<'a>(&self, at: &'a Path) -> &'a str {
        at.file_name().and_then(|name| name.to_str()).unwrap_or_default()
    }

    pub(super) fn to_installed(&self, at: &Path) -> InstalledModel {
        InstalledModel {
            id: self.id(at).to_owned(),
            path: at.join(&self.file).to_string_lossy().into_owned(),
            sha256: self.sha256.clone(),
            size_bytes: self.size_bytes,
            quantization: self.quantization.clone(),
            architecture: self.architecture.clone(),
            context_length: self.context_length,
            source: self.source.clone(),
        }
    }
}

/// Returns the stored form of a reference. The query of an address may contain a key, so only its hash is stored.
fn reference_key(reference: &ModelRef) -> String {
    let text = reference.to_string();
    match reference {
        ModelRef::Url { url, .. } if url.contains('?') => format!("sha256:{}", to_hex(&Sha256::digest(text))),
        _ => text,
    }
}

const RECORD_FILE: &str = "model.json";
/// Temporary file of an atomic write of the record.
const RECORD_DRAFT: &str = "model.draft";
/// Files that Windows leaves in directories; those of other systems begin with a dot.
const LITTER: [&str; 2] = ["Thumbs.db", "desktop.ini"];
