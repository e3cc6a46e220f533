//! The state that the handle of an engine and its thread share.

use std::sync::Arc;

use super::prompt_tokens::PromptTokens;
use super::residency::Residency;
use super::run_signal::RunSignal;
use super::saved_caches::SavedCaches;
use super::settings::LocalSettings;
use super::use_count::UseCount;

/// What the handle of an engine and its thread share, besides the queue.
#[derive(Debug, Clone)]
pub(super) struct EngineShared {
    pub(super) uses: Arc<UseCount>,
    pub(super) saved: SavedCaches,
    pub(super) prompt_tokens: Arc<PromptTokens>,
    pub(super) signal: Arc<RunSignal>,
    pub(super) residency: Arc<Residency>,
}

impl EngineShared {
    /// Starts without a model in memory.
    pub(super) fn new(settings: &LocalSettings) -> Self {
        Self {
            uses: Arc::new(UseCount::new()),
            saved: SavedCaches::default(),
            prompt_tokens: Arc::default(),
            signal: Arc::default(),
            residency: Arc::new(Residency::new(settings.clone())),
        }
    }
}
