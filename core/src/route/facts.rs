//! Input of a routing decision, gathered beforehand, so that the decision itself needs no I/O.

use serde::{Deserialize, Serialize};

use crate::chat::{DataPolicy, RouteTarget, RoutingMode, Sensitivity};
use crate::device::DeviceFacts;
use crate::engine::remote::{ModelCapabilities, ProviderKind, RemoteModel};
use crate::error::{Error, ErrorKind, ErrorReason};
use crate::model::FitVerdict;

/// Requirements of the request.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
#[serde(default)]
pub struct Needs {
    /// Whether content may leave the device, and which side is preferred.
    pub mode: RoutingMode,
    /// How private the content is.
    pub sensitivity: Sensitivity,
    /// The requested model.
    pub model: Option<String>,
    /// The requested provider.
    pub provider: Option<String>,
    /// Tokens of the prompt.
    pub prompt: TokenRange,
    /// Tokens of the part of the prompt that a target must be sent, if the rest of a conversation may be omitted. Unset:
    /// all of it.
    pub required_prompt: Option<TokenRange>,
    /// Tokens of the answer.
    pub completion: TokenRange,
    /// Required capabilities besides text; `reasoning` is a wish and rejects no candidate.
    pub abilities: ModelCapabilities,
    /// The request's own limit of the answer in tokens.
    pub max_tokens: Option<u32>,
    /// Cost cap of the request in US dollars.
    pub max_usd: Option<f64>,
    /// The target that the user consented to.
    pub consent: Option<RouteTarget>,
    /// The target of the tool loop that the request continues; no other may answer.
    pub pinned: Option<RouteTarget>,
}

/// Bounds of a token count.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct TokenRange {
    /// Minimum.
    pub low: u32,
    /// Most likely.
    pub likely: u32,
    /// Maximum; cost caps use it.
    pub high: u32,
}

/// Candidates, device state and spending at the moment of a decision.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
#[serde(default)]
pub struct Facts {
    /// The installed models.
    pub locals: Vec<LocalCandidate>,
    /// The models of the configured providers.
    pub remotes: Vec<RemoteCandidate>,
    /// The device.
    pub device: DeviceFacts,
    /// Amounts spent so far.
    pub spent: SpendingTotals,
    /// Today in UTC, as `2026-11-22`, to detect retired models.
    pub today: String,
}

/// US dollars spent, reservations of active answers included.
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
    /// Whether it fits into the memory that is free now, or why it cannot answer at all.
    pub verdict: Result<FitVerdict, CandidateError>,
    /// Context size in tokens that it would be loaded with.
    pub context: u32,
    /// Its capabilities.
    pub abilities: ModelCapabilities,
    /// Quality on the scale of `data/providers.json`: for a local model, billions of parameters.
    pub quality: f64,
    /// Rates measured on this device.
    pub speed: Speed,
}

/// Why a candidate cannot answer.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct CandidateError {
    /// The kind of the error.
    pub kind: ErrorKind,
    /// Its reason.
    pub reason: ErrorReason,
    /// Its text: the cause and a remedy.
    pub detail: String,
    /// Milliseconds until a retry can succeed. Unset: unknown.
    pub retry_after_ms: Option<u64>,
}

/// A model of a provider, or a provider of which no model is known.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct RemoteCandidate {
    /// The provider's name.
    pub provider: String,
    /// The provider's kind.
    pub kind: ProviderKind,
    /// The model: context, capabilities, price, day of retirement. What is unset there is not published, and rejects
    /// no candidate but for a price under a cap. An empty id: no model of the provider is known, and its list says why.
    pub model: RemoteModel,
    /// A credential is stored, or none is needed.
    pub has_key: bool,
    /// Milliseconds for which the provider is not asked after repeated failures. Unset: it may be asked.
    #[serde(default)]
    pub cooldown_ms: Option<u64>,
    /// It runs on an own server on this device or in a private network: it is reached without the internet.
    #[serde(default)]
    pub is_nearby: bool,
    /// Its server is in the local network, not on this device, whichever way the model takes from there.
    #[serde(default)]
    pub needs_local_network: bool,
    /// It is the provider's default model.
    pub is_default: bool,
    /// What the provider's list says of it.
    #[serde(default)]
    pub listing: ModelListing,
    /// Region, retention and training of the content.
    pub data_policy: DataPolicy,
    /// Quality; 0 if unknown.
    pub quality: f64,
    /// Rates measured from this device.
    pub speed: Speed,
}

/// What the list of an own server, which also says which models it forwards to others, says of a model.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum ModelListing {
    /// It is listed, or the list does not matter.
    #[default]
    Known,
    /// The list is missing or too old to say.
    Unverified {
        /// Why the list could not be fetched. Unset: it was not fetched.
        error: Option<CandidateError>,
    },
    /// A new list lacks it. Without a model: the list has none that chats.
    Unlisted,
}

/// Measured rates, weighted towards the newest. Unset: never measured.
#[derive(Debug, Clone, Copy, Default, PartialEq, Serialize, Deserialize)]
pub struct Speed {
    /// Prefill: prompt tokens a second; local models only.
    pub prompt_tokens_per_second: Option<f64>,
    /// Decoding: tokens a second.
    pub tokens_per_second: Option<f64>,
    /// Milliseconds to the first token without prefill: network, queue, loading.
    pub first_token_ms: Option<f64>,
}

impl RemoteCandidate {
    /// Returns whether it is a model, and not a provider of which no model is known.
    pub fn has_model(&self) -> bool {
        !self.model.id.is_empty()
    }
}

impl From<&Error> for CandidateError {
    fn from(error: &Error) -> Self {
        Self {
            kind: error.kind(),
            reason: error.reason(),
            detail: error.to_string(),
            retry_after_ms: error.retry_after_ms(),
        }
    }
}

impl RouteTarget {
    /// Returns the target of a local candidate.
    pub(crate) fn of_local(candidate: &LocalCandidate) -> Self {
        Self::Local {
            model: candidate.model.clone(),
        }
    }

    /// Returns the target of a remote candidate.
    pub(crate) fn of_remote(candidate: &RemoteCandidate) -> Self {
        Self::Remote {
            provider: candidate.provider.clone(),
            model: candidate.model.id.clone(),
        }
    }
}
