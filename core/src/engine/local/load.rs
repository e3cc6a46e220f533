//! Loads a model: parses the GGUF head with our own parser, asks llama.cpp for the memory it needs, and loads with the
//! plan that the fit verdict chose.

use std::time::Instant;

use nearside_llama::{ChatTemplate, Model, ModelParams};

use super::error::map_llama_error;
use super::session::DecodeSession;
use super::settings::LocalSettings;
use crate::device;
use crate::error::{Error, Result};
use crate::model::{self, FitOptions, FitReport, FitVerdict};
use crate::stream::CancelToken;

/// A model in memory, with the session that holds its KV cache.
#[derive(Debug)]
pub(super) struct LoadedModel {
    pub(super) model: Model,
    pub(super) template: ChatTemplate,
    pub(super) session: DecodeSession,
    /// The fit report from before the load.
    pub(super) fit: FitReport,
}

/// Why a load ended without a model.
#[derive(Debug)]
pub(super) enum LoadError {
    /// The caller cancelled.
    Cancelled,
    /// An error.
    Failed(Error),
}

impl From<Error> for LoadError {
    fn from(error: Error) -> Self {
        Self::Failed(error)
    }
}

/// Loads the model if necessary. Also returns the load time in milliseconds; 0 if it was already loaded.
pub(super) fn ensure_loaded<'a>(
    settings: &LocalSettings,
    loaded: &'a mut Option<LoadedModel>,
    cancel: &CancelToken,
) -> Result<(&'a mut LoadedModel, f64), LoadError> {
    let mut load_ms = 0.0;
    if loaded.is_none() {
        let begun = Instant::now();
        *loaded = Some(load_model(settings, cancel)?);
        load_ms = begun.elapsed().as_secs_f64() * 1000.0;
    }
    match loaded {
        Some(loaded) => Ok((loaded, load_ms)),
        None => Err(Error::internal("a model that was just loaded is not there").into()),
    }
}

fn load_model(settings: &LocalSettings, cancel: &CancelToken) -> Result<LoadedModel, LoadError> {
    let options = FitOptions {
        context: settings.context,
        cache_type: settings.cache_type,
        budget_bytes: None,
    };
    let snapshot = device::snapshot()?;
    let fit = model::fit_path(&settings.path, &options, &snapshot)?;
    if fit.verdict == FitVerdict::TooLarge {
        return Err(Error::too_large(describe_too_large(&fit)).into());
    }
    let params = ModelParams {
        load_mode: fit.load.into(),
        gpu_layers: -1,
    };
    let model = match Model::load(&settings.path, &params, &mut |_| !cancel.is_cancelled()) {
        Ok(model) => model,
        Err(nearside_llama::LlamaError::Cancelled) => return Err(LoadError::Cancelled),
        Err(error) => return Err(map_llama_error(error).into()),
    };
    let template = ChatTemplate::from_model(&model).map_err(map_llama_error)?;
    let threads = settings.threads.unwrap_or(snapshot.threads);
    let session = DecodeSession::new(&model, fit.context, fit.cache_type, threads)?;
    tracing::info!(model = settings.id, context = fit.context, plan = ?fit.load, threads, "model loaded");
    Ok(LoadedModel {
        model,
        template,
        session,
        fit,
    })
}

/// Returns the reason of the verdict and a remedy.
fn describe_too_large(fit: &FitReport) -> String {
    match fit.suggestions.first() {
        Some(suggestion) => format!("{}; {}", fit.reason, suggestion.text),
        None => format!("{}; use a smaller model", fit.reason),
    }
}
