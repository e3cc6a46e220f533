//! Local models: resolves references to files.

use std::path::Path;
use std::sync::Arc;

use super::Inner;
use super::local_model::LocalModel;
use crate::error::{Error, Result};
use crate::model::{BudgetFor, FitOptions, ModelRef};

impl Inner {
    /// Resolves a reference to a file on this device.
    pub(super) fn resolve_local(&self, reference: &ModelRef) -> Result<LocalModel> {
        if let ModelRef::Path { path } = reference {
            let file = Path::new(path).metadata().ok().filter(std::fs::Metadata::is_file);
            let file = file.ok_or_else(|| {
                Error::not_installed(format!("there is no file `{path}`; give the path of a GGUF file"))
            })?;
            return Ok(LocalModel {
                id: path.clone(),
                path: path.into(),
                sha256: String::new(),
                size_bytes: file.len(),
                context_length: None,
            });
        }
        let found = self.store.find(reference)?;
        found.map(LocalModel::from).ok_or_else(|| not_installed(reference))
    }

    /// Returns the options of a fit check with what is configured in place of unset ones: a context may be set for the model.
    pub(super) fn fit_options(&self, reference: &ModelRef, options: FitOptions) -> FitOptions {
        let local = self.resolve_local(reference).ok();
        let id = local.as_ref().map(|local| local.id.as_str());
        self.local_models.fit_options(id, options)
    }

    /// Returns the source of memory budgets for fit checks.
    pub(super) fn budget_source(&self) -> Arc<BudgetFor> {
        let models = Arc::clone(&self.local_models);
        Arc::new(move |path| models.budget_for(path))
    }
}

pub(super) fn not_installed(model: &ModelRef) -> Error {
    Error::not_installed(format!("model `{model}` is not installed; download it first"))
}
