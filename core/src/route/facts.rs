//! Everything that a decision rests on, gathered beforehand, so that deciding itself asks nothing and no one.

use serde::{Deserialize, Serialize};

use crate::chat::{DataPolicy, RouteTarget, RoutingMode, Sensitivity};
use crate::device::DeviceFacts;
use crate::engine::remote::{ModelCapabilities, TokenPrice};
use crate::model::FitVerdict;

/// What the request needs.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
#[serde(default)]
pub struct Needs {
    /// Whether the words may leave, and which place is tried first.
    pub mode: RoutingMode,
    /// How private the words are.
    pub sensitivity: Sensitivity,
    /// The model that was named.
    pub model: Option<String>,
    /// The provider that was named.
    pub provider: Option<String>,
    /// Tokens of the prompt.
    pub prompt: TokenRange,
    /// Tokens of the answer.
    pub completion: TokenRange,
    /// Required capabilities besides text; `reasoning` is a wish and rejects no candidate.
    pub abilities: ModelCapabilities,
    /// US dollars that the request may cost at most.
    pub max_usd: Option<f64>,
    /// The place that the person agreed to.
    pub consent: Option<RouteTarget>,
    /// Where a tool loop began: it stays there.
    pub pinned: Option<RouteTarget>,
}

/// A count of tokens that is known only between bounds.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct TokenRange {
    /// At least.
    pub low: u32,
    /// Most likely.
    pub likely: u32,
    /// At most; what caps reckon with.
    pub high: u32,
}

/// The context as it is at the moment of a decision.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
#[serde(default)]
pub struct Facts {
    /// The installed models.
    pub locals: Vec<LocalCandidate>,
    /// The models of the providers that are set up.
    pub remotes: Vec<RemoteCandidate>,
    /// The device.
    pub device: DeviceFacts,
    /// What was spent already.
    pub spent: SpendingTotals,
    /// Today in UTC, as `2026-11-22`: for models that are switched off.
    pub today: String,
}

/// US dollars that were spent, what is reserved for answers under way included.
#[derive(Debug, Clone, Copy, Default, PartialEq, Serialize, Deserialize)]
pub struct SpendingTotals {
    /// Today, in UTC.
    pub day: f64,
    /// This month, in UTC.
    pub month: f64,
}

/// A model on this device.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct LocalCandidate {
    /// Its id, or the path of its file.
    pub model: String,
    /// Whether it fits the memory that there is now.
    pub verdict: FitVerdict,
    /// Tokens of context that it would be loaded with.
    pub context: u32,
    /// What it can do.
    pub abilities: ModelCapabilities,
    /// How good it is, on the scale of `data/providers.json`: for a local model its billions of parameters.
    pub quality: f64,
    /// What was measured here.
    pub speed: Speed,
}

/// A model of a provider.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct RemoteCandidate {
    /// The provider's name.
    pub provider: String,
    /// What it calls the model.
    pub model: String,
    /// A credential is there, or none is needed.
    pub has_key: bool,
    /// It failed again and again just now, and is left alone for a while.
    pub circuit_open: bool,
    /// It is the provider's model of choice where a request names none.
    pub is_default: bool,
    /// Tokens of context. Unset: not published, taken as enough.
    pub context: Option<u32>,
    /// What it can do. Unset: not published, taken as "perhaps".
    pub abilities: Option<ModelCapabilities>,
    /// What it costs. Unset: not known.
    pub price: Option<TokenPrice>,
    /// The day it is switched off, as `2026-12-31`.
    pub retires: Option<String>,
    /// What happens to words there.
    pub data_policy: DataPolicy,
    /// How good it is; 0 where nothing is known.
    pub quality: f64,
    /// What was measured from here.
    pub speed: Speed,
}

/// Rates that were seen, newest counting most. Unset: never measured.
#[derive(Debug, Clone, Copy, Default, PartialEq, Serialize, Deserialize)]
pub struct Speed {
    /// Prefill: prompt tokens a second; local models only.
    pub prompt_tokens_per_second: Option<f64>,
    /// Decoding: tokens a second.
    pub tokens_per_second: Option<f64>,
    /// Milliseconds to the first token beside prefill: the network, the queue, loading.
    pub first_token_ms: Option<f64>,
}

impl RouteTarget {
    /// The target that this local candidate is.
    pub(crate) fn of_local(candidate: &LocalCandidate) -> Self {
        Self::Local {
            model: candidate.model.clone(),
        }
    }

    /// The target that this remote candidate is.
    pub(crate) fn of_remote(candidate: &RemoteCandidate) -> Self {
        Self::Remote {
            provider: candidate.provider.clone(),
            model: candidate.model.clone(),
        }
    }
}
