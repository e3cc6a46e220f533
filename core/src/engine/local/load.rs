//! Loads a model as the plan that it is given says: load mode, context, cache type, threads.

use std::sync::Arc;
use std::time::Instant;

use nearside_llama::{ChatTemplate, LlamaError, Model};

use super::control_words::ControlWords;
use super::engine_states::EngineStates;
use super::error::{map_llama_error, template_error};
use super::governor::Governor;
use super::load_job::{WEIGHTS_PART, part_of};
use super::prompt_tokens::PromptTokens;
use super::recent_prompts::RecentPrompts;
use super::residency::Held;
use super::saved_caches::SavedCaches;
use super::session::DecodeSession;
use super::settings::{LoadOutcome, LoadPlanner, LocalSettings};
use super::shared::EngineShared;
use crate::error::{Error, Result};
use crate::model::fit::{LoadOrder, model_params, no_template};

/// A model in memory, with the session that holds its KV cache.
#[derive(Debug)]
pub(super) struct ReadyModel {
    pub(super) model: Model,
    pub(super) template: ChatTemplate,
    pub(super) control_words: Arc<ControlWords>,
    pub(super) recent: RecentPrompts,
    pub(super) session: DecodeSession,
    /// The plan that it was loaded with.
    pub(super) order: LoadOrder,
}

/// A model that is loaded on demand.
#[derive(Debug)]
pub(super) struct LazyModel {
    pub(super) settings: LocalSettings,
    planner: Arc<dyn LoadPlanner>,
    loaded: Option<ReadyModel>,
    /// Duration of the load, until a job reports it.
    load_ms: f64,
    shared: EngineShared,
}

/// Why a load ended without a model.
#[derive(Debug)]
pub(super) enum LoadError {
    /// No job waits for the model any more.
    Unwanted,
    /// An error.
    Failed(Error),
}

impl From<Error> for LoadError {
    fn from(error: Error) -> Self {
        Self::Failed(error)
    }
}

impl LazyModel {
    /// Creates it without loading.
    pub(super) fn new(settings: LocalSettings, planner: Arc<dyn LoadPlanner>, shared: EngineShared) -> Self {
        Self {
            settings,
            planner,
            loaded: None,
            load_ms: 0.0,
            shared,
        }
    }

    /// Returns whether the model is loaded.
    pub(super) fn is_loaded(&self) -> bool {
        self.loaded.is_some()
    }

    /// Loads the model, unless `is_wanted` returns false meanwhile: then nothing is loaded. It is called with the fraction
    /// of the load that is done.
    ///
    /// `for_chat`: refuses a model without a chat template, before it is loaded.
    pub(super) fn load(&mut self, for_chat: bool, is_wanted: &dyn Fn(f64) -> bool) -> Result<(), LoadError> {
        let begun = Instant::now();
        if !is_wanted(0.0) {
            return Err(LoadError::Unwanted);
        }
        let order = self.planner.plan_load(for_chat)?;
        let governor = Governor::new(Arc::clone(&self.planner), &self.shared);
        let loaded = load_model(&self.settings, order, &self.shared.saved, governor, is_wanted);
        self.planner.load_ended(match &loaded {
            Ok(_) => LoadOutcome::Loaded,
            Err(LoadError::Unwanted) => LoadOutcome::Unloaded,
            Err(LoadError::Failed(error)) => LoadOutcome::Failed(error.clone()),
        });
        let loaded = self.loaded.insert(loaded?);
        self.shared.prompt_tokens.restart(&loaded.model);
        self.shared.residency.set(Some(Held {
            order: loaded.order,
            threads: loaded.session.threads(),
        }));
        self.load_ms = begun.elapsed().as_secs_f64() * 1000.0;
        Ok(())
    }

    /// Returns the loaded model, and the milliseconds that the load took; 0 from the second call on.
    ///
    /// # Errors
    /// `Unsupported` for a chat with a model without a chat template.
    pub(super) fn loaded(&mut self, for_chat: bool) -> Result<(&mut ReadyModel, f64)> {
        if for_chat {
            self.check_for_chat()?;
        }
        match &mut self.loaded {
            Some(loaded) => Ok((loaded, std::mem::take(&mut self.load_ms))),
            None => Err(Error::internal("a model that was just loaded is not there")),
        }
    }

    /// Returns the tokens of the last prompts.
    pub(super) fn prompt_tokens(&self) -> Arc<PromptTokens> {
        Arc::clone(&self.shared.prompt_tokens)
    }

    /// Reports the load to no job: it was done before the next one came.
    pub(super) fn forget_load_time(&mut self) {
        self.load_ms = 0.0;
    }

    /// Checks that the loaded model has a chat template.
    ///
    /// # Errors
    /// `Unsupported` without one.
    pub(super) fn check_for_chat(&self) -> Result<()> {
        match &self.loaded {
            Some(loaded) if !loaded.order.has_template => Err(no_template(&self.settings.id)),
            _ => Ok(()),
        }
    }

    /// Makes the compute threads sleep until the next job.
    pub(super) fn pause_threads(&mut self) {
        if let Some(loaded) = &mut self.loaded {
            loaded.session.pause_threads();
        }
    }

    /// Records that the model turned out to be unusable: it is not loaded again, but its error is returned.
    pub(super) fn mark_unusable(&mut self, error: &Error) {
        self.drop_model();
        self.planner.load_ended(LoadOutcome::Failed(error.clone()));
    }

    /// Stores the states of conversations that are stored, and clears the cache. Takes about half a second for 100 MB.
    pub(super) fn store_states(&mut self) {
        if let Some(loaded) = &mut self.loaded {
            loaded.session.store_all();
        }
    }

    /// Overwrites the cache if it has a conversation that was deleted, and forgets the tokens of its prompts.
    pub(super) fn wipe_forgotten(&mut self) {
        if let Some(loaded) = &mut self.loaded
            && loaded.session.wipe_forgotten()
        {
            self.shared.prompt_tokens.clear();
        }
    }

    /// Frees the model.
    pub(super) fn unload(&mut self) {
        self.drop_model();
        self.planner.load_ended(LoadOutcome::Unloaded);
    }

    /// Frees the model with all that was derived from texts.
    fn drop_model(&mut self) {
        self.shared.residency.set(None);
        self.loaded = None;
        self.shared.saved.clear();
        self.shared.prompt_tokens.clear();
    }
}

impl Drop for LazyModel {
    /// Frees what the engine's handle shares, too: it may live on.
    fn drop(&mut self) {
        self.drop_model();
    }
}

fn load_model(
    settings: &LocalSettings,
    order: LoadOrder,
    saved: &SavedCaches,
    governor: Governor,
    is_wanted: &dyn Fn(f64) -> bool,
) -> Result<ReadyModel, LoadError> {
    let (begin, end) = WEIGHTS_PART;
    if !is_wanted(begin) {
        return Err(LoadError::Unwanted);
    }
    let params = model_params(order.load, order.gpu_layers);
    let model = match Model::load(&settings.path, &params, &mut |done| {
        is_wanted(part_of(WEIGHTS_PART, f64::from(done)))
    }) {
        Ok(model) => model,
        Err(LlamaError::Cancelled) => return Err(LoadError::Unwanted),
        Err(error) => return Err(map_llama_error(error).into()),
    };
    let template = match ChatTemplate::from_model_while(&model, &|| is_wanted(end)) {
        Ok(template) => template,
        Err(LlamaError::Cancelled) => return Err(LoadError::Unwanted),
        Err(error) => return Err(template_error(error).into()),
    };
    // Creating a context allocates its whole KV cache.
    if !is_wanted(end) {
        return Err(LoadError::Unwanted);
    }
    saved.restart(order.saved_bytes, EngineStates::new(settings, &order));
    let session = DecodeSession::new(&model, &order, saved.clone(), governor)?;
    let LoadOrder {
        context, load, threads, ..
    } = order;
    tracing::info!(model = settings.id, context, plan = ?load, threads, "model loaded");
    Ok(ReadyModel {
        control_words: Arc::new(ControlWords::new(&model)),
        recent: RecentPrompts::default(),
        model,
        template,
        session,
        order,
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Plans no load.
    #[derive(Debug)]
    struct NoPlanner;

    impl LoadPlanner for NoPlanner {
        fn plan_load(&self, _for_chat: bool) -> Result<LoadOrder> {
            Err(Error::internal("nothing is loaded"))
        }

        fn load_ended(&self, _outcome: LoadOutcome) {}
    }

    /// The tokens of a prompt are text.
    #[test]
    fn no_tokens_of_prompts_stay_without_their_model() {
        let settings = LocalSettings {
            path: "model.gguf".into(),
            id: "model".into(),
            sha256: String::new(),
            states: None,
        };
        let shared = EngineShared::new(&settings);
        let mut model = LazyModel::new(settings, Arc::new(NoPlanner), shared.clone());
        let ends: [fn(&mut LazyModel); 2] = [LazyModel::unload, |model| {
            model.mark_unusable(&Error::corrupt("damaged weights"));
        }];
        for end in ends {
            shared.prompt_tokens.begin_request();
            assert!(!shared.prompt_tokens.is_empty());
            end(&mut model);
            assert!(shared.prompt_tokens.is_empty());
        }
        shared.prompt_tokens.begin_request();
        drop(model);
        assert!(shared.prompt_tokens.is_empty());
    }
}
