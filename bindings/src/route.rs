//! Routing and costs: `core/src/route`.

use nearside::chat::{DataPolicy, Route, RouteRule, RouteTarget, SkippedTarget};
use nearside::route::{ConsentPolicy, ConsentRequest, CostRow, RouteDecision, RoutingPolicy, SpendingTotals};
use nearside::state::{SpendingGroup, SpendingRow};
use nearside::{ErrorKind, ErrorReason};

/// The routing policy of the app and its user.
#[uniffi::remote(Record)]
pub struct RoutingPolicy {
    /// Version shown in receipts; change it together with the policy.
    pub version: String,
    /// Countries where content may be processed, as ISO 3166 codes, or `EU`; others are refused. Empty: any, including
    /// unknown ones. The user's own devices and servers are always allowed.
    #[uniffi(default)]
    pub regions: Vec<String>,
    /// Allows targets that retain content.
    #[uniffi(default = false)]
    pub allow_retention: bool,
    /// Allows targets that train on content.
    #[uniffi(default = false)]
    pub allow_training: bool,
    /// Allowed providers, by exact name, not by kind. Empty: all configured ones.
    #[uniffi(default)]
    pub providers: Vec<String>,
    /// Excluded providers, by name or by kind in any case; for an aggregator, also excluded upstreams.
    #[uniffi(default)]
    pub never: Vec<String>,
    /// Whether personal content needs the user's consent before it is sent to a third party.
    pub consent: ConsentPolicy,
    /// Maximum US dollars per request.
    #[uniffi(default)]
    pub max_usd_request: Option<f64>,
    /// Maximum US dollars per day, in UTC.
    #[uniffi(default)]
    pub max_usd_day: Option<f64>,
    /// Maximum US dollars per month, in UTC.
    #[uniffi(default)]
    pub max_usd_month: Option<f64>,
    /// Allows remote targets on a metered connection. Own servers on this device or in a private network are always
    /// allowed.
    #[uniffi(default = true)]
    pub allow_metered: bool,
    /// Prefers a much faster allowed target over a slow first choice.
    #[uniffi(default = false)]
    pub prefer_fast: bool,
}

/// Whether personal content needs the user's consent before it is sent to a third party.
#[uniffi::remote(Enum)]
pub enum ConsentPolicy {
    /// Consent is needed for each request.
    Ask,
    /// The user consented permanently.
    Given,
    /// The user refused permanently.
    Refused,
}

/// A routing decision.
#[uniffi::remote(Enum)]
pub enum RouteDecision {
    /// This target answers.
    Route { route: Route },
    /// This target needs the user's consent.
    NeedsConsent { question: ConsentRequest },
    /// No target can answer: the rule that rejected the closest candidate, and the error that a chat would return.
    NoRoute {
        rule: RouteRule,
        kind: ErrorKind,
        reason: ErrorReason,
        detail: String,
        skipped: Vec<SkippedTarget>,
        retry_after_ms: Option<u64>,
    },
}

/// A consent request. If the user agrees, set the request's `consent` to `target`.
#[uniffi::remote(Record)]
pub struct ConsentRequest {
    /// The target that would answer.
    pub target: RouteTarget,
    /// Its data policy.
    pub data_policy: DataPolicy,
    /// Maximum cost in US dollars: of the longest answer that the model can give, as far as the caps pay for it. The likely
    /// cost is in the route's `expected`. Unset if a price is unknown.
    pub cost_usd: Option<f64>,
    /// The reason for this target.
    pub reason: String,
    /// The whole request as text, to show to the user.
    pub text: String,
    /// The route after consent.
    pub route: Route,
}

/// Estimated cost of a request at one target, in US dollars. Unset if the price is unknown.
#[uniffi::remote(Record)]
pub struct CostRow {
    /// The target.
    pub target: RouteTarget,
    /// Whether the provider is configured and has its credential. Others are listed for comparison, under their kind.
    pub set_up: bool,
    /// Cost of the prompt at its estimated length, none of it cached.
    pub usd_in: Option<f64>,
    /// Cost of the answer at its estimated length, including reasoning.
    pub usd_out: Option<f64>,
    /// Total, including the provider's fee per request.
    pub usd_total: Option<f64>,
    /// Total for the shortest possible prompt and answer.
    pub usd_least: Option<f64>,
    /// Total for the longest possible prompt and answer.
    pub usd_most: Option<f64>,
    /// Date of the price, as `2026-10-31`; empty if there is none.
    pub as_of: String,
}

/// Grouping of a spending report.
#[uniffi::remote(Enum)]
pub enum SpendingGroup {
    /// By day in UTC, as `2026-11-22`.
    Day,
    Model,
    Provider,
    /// By the `purpose` of the requests.
    Purpose,
}

/// A row of a spending report.
#[uniffi::remote(Record)]
pub struct SpendingRow {
    /// The day, model, provider or purpose.
    pub key: String,
    /// Number of answers, including free and unsettled ones.
    pub requests: u64,
    /// US dollars spent on answers.
    pub usd: f64,
    /// US dollars still reserved: for active answers, and for answers whose end was never recorded.
    pub usd_unsettled: f64,
    /// Tokens of the prompts.
    pub prompt_tokens: u64,
    /// Generated tokens.
    pub completion_tokens: u64,
}

/// Spending in US dollars, including reservations of active answers.
#[uniffi::remote(Record)]
pub struct SpendingTotals {
    /// Today, in UTC.
    pub day: f64,
    /// This month, in UTC.
    pub month: f64,
}
