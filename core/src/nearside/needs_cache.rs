//! Remembers the measured memory needs of models: read from `state.db` in one statement, then kept in memory.
//!
//! A need belongs to the content of a file (SHA-256 and size), the parameters of the engine and the build of llama.cpp,
//! never to a path: on iOS each update of the app moves all of them. The needs of a file that is not installed, whose
//! hash is unknown, are kept for this run only.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, OnceLock};

use sha2::{Digest, Sha256};

use super::local_model::LocalModel;
use super::lock;
use crate::error::{Error, ErrorKind, Result};
use crate::model::CacheType;
use crate::model::fit::{EngineParams, LoadOrder, ModelNeeds};
use crate::state::State;

/// The remembered needs.
#[derive(Debug)]
pub(super) struct NeedsCache {
    state: Arc<State>,
    /// Read on first use.
    known: Mutex<Option<HashMap<String, ModelNeeds>>>,
    /// Errors of files that cannot be measured, for this run.
    failed: Mutex<HashMap<String, Error>>,
}

impl NeedsCache {
    pub(super) fn new(state: Arc<State>) -> Self {
        Self {
            state,
            known: Mutex::new(None),
            failed: Mutex::default(),
        }
    }

    /// Compares the remembered needs of a model with a budget; `None` if they must be measured for it.
    pub(super) fn order(&self, model: &LocalModel, params: EngineParams, budget: u64) -> Result<Option<LoadOrder>> {
        let known = self.find(&need_key(model, params))?;
        Ok(known.and_then(|needs| needs.order(params, budget)))
    }

    /// Measures the needs of a model for a budget, remembers them, and compares them. Blocks for up to half a second. A
    /// file that is damaged or cannot be used is not looked at again in this run.
    pub(super) fn measure(&self, model: &LocalModel, params: EngineParams, budget: u64) -> Result<LoadOrder> {
        let key = need_key(model, params);
        if let Some(error) = lock(&self.failed).get(&key) {
            return Err(error.clone());
        }
        let measured = ModelNeeds::measure(&model.path, params, self.find(&key)?, budget);
        let needs = measured.inspect_err(|error| {
            if matches!(error.kind(), ErrorKind::Corrupt | ErrorKind::Unsupported) {
                lock(&self.failed).insert(key.clone(), error.clone());
            }
        })?;
        if let Some(known) = &mut *lock(&self.known) {
            known.insert(key.clone(), needs);
        }
        if !model.sha256.is_empty() {
            let numbers = needs.to_numbers().into_iter();
            let rows: Vec<_> = numbers
                .map(|(part, number)| (format!("{key} {part}"), number))
                .collect();
            if let Err(error) = self.state.remember_needs(&rows) {
                // It is measured again after the next start.
                tracing::warn!(kind = ?error.kind(), "the memory need of a model could not be recorded");
            }
        }
        needs
            .order(params, budget)
            .ok_or_else(|| Error::internal("a measured need without a plan; please report this"))
    }

    fn find(&self, key: &str) -> Result<Option<ModelNeeds>> {
        if let Some(known) = &*lock(&self.known) {
            return Ok(known.get(key).copied());
        }
        // Not under the lock: the file may be busy.
        let read = group(&self.state.needs()?);
        let mut known = lock(&self.known);
        Ok(known.get_or_insert(read).get(key).copied())
    }
}

/// Groups stored rows, `KEY PART` to number, by model. Rows of earlier versions are ignored.
fn group(rows: &HashMap<String, u64>) -> HashMap<String, ModelNeeds> {
    let keys = rows.keys().filter_map(|row| row.strip_suffix(" context"));
    let needs = keys.filter_map(|key| {
        let needs = ModelNeeds::from_numbers(|part| rows.get(&format!("{key} {part}")).copied())?;
        Some((key.to_owned(), needs))
    });
    needs.collect()
}

/// Returns the key of a model's needs.
fn need_key(model: &LocalModel, params: EngineParams) -> String {
    let file = match model.sha256.is_empty() {
        false => model.sha256.clone(),
        // Replaced files are told apart by the time of their last change.
        true => {
            let modified = model.path.metadata().and_then(|file| file.modified()).ok();
            let at = modified.and_then(|at| at.duration_since(std::time::UNIX_EPOCH).ok());
            format!("{}@{}", model.path.display(), at.unwrap_or_default().as_nanos())
        }
    };
    let cache = match params.cache_type {
        CacheType::F16 => "f16",
        CacheType::Q8_0 => "q8_0",
    };
    let EngineParams {
        context,
        threads,
        gpu_layers,
        ..
    } = params;
    let size = model.size_bytes;
    format!("{file} {size} {context} {cache} {threads} {gpu_layers} {}", build_id())
}

/// Returns an id of this build of llama.cpp, with the processor features that it uses.
fn build_id() -> &'static str {
    static ID: OnceLock<String> = OnceLock::new();
    ID.get_or_init(|| {
        let digest = Sha256::digest(nearside_llama::version().as_bytes());
        digest.iter().take(6).map(|byte| format!("{byte:02x}")).collect()
    })
}
