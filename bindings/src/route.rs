//! Who may answer, and what it costs: `core/src/route`.

use nearside::ErrorKind;
use nearside::chat::{DataPolicy, Route, RouteRule, Skipped, Target};
use nearside::route::{Consent, CostRow, Decision, Policy, Question, Spent};
use nearside::state::{SpendBy, SpendRow};

/// The routing policy of the app and its user.
#[uniffi::remote(Record)]
pub struct Policy {
    /// Version shown in receipts; change it together with the policy.
    pub version: String,
    /// Countries where content may be processed, as ISO 3166 codes, or `EU`. Empty: any, including unknown ones.
    #[uniffi(default)]
    pub regions: Vec<String>,
    /// Allows targets that retain content.
    #[uniffi(default = false)]
    pub allow_retention: bool,
    /// Allows targets that train on content.
    #[uniffi(default = false)]
    pub allow_training: bool,
    /// Only these providers, by name. Empty: all that are set up.
    #[uniffi(default)]
    pub providers: Vec<String>,
    /// Excluded providers; for an aggregator, also excluded upstreams.
    #[uniffi(default)]
    pub never: Vec<String>,
    /// Whether the person is asked before personal words leave the device.
    pub consent: Consent,
    /// US dollars that one request may cost.
    #[uniffi(default)]
    pub max_usd_request: Option<f64>,
    /// US dollars of one day, in UTC.
    #[uniffi(default)]
    pub max_usd_day: Option<f64>,
    /// US dollars of one month, in UTC.
    #[uniffi(default)]
    pub max_usd_month: Option<f64>,
    /// Allows remote targets on a metered connection.
    #[uniffi(default = true)]
    pub allow_metered: bool,
    /// Prefers a much faster allowed target over a slow first choice.
    #[uniffi(default = false)]
    pub prefer_fast: bool,
}

/// Whether the person is asked before personal words leave the device.
#[uniffi::remote(Enum)]
pub enum Consent {
    /// Each time.
    Ask,
    /// Not asked: consent was given for good.
    Given,
    /// Not asked: consent was refused for good.
    Refused,
}

/// A routing decision.
#[uniffi::remote(Enum)]
pub enum Decision {
    /// This target answers.
    Route { route: Route },
    /// This target needs the user's consent.
    NeedsConsent { question: Question },
    /// No target can answer: the rule that rejected the closest candidate, and the error that a chat would return.
    NoRoute {
        rule: RouteRule,
        kind: ErrorKind,
        detail: String,
        skipped: Vec<Skipped>,
    },
}

/// A consent request. If the user agrees, set the request's `consent` to `target`.
#[uniffi::remote(Record)]
pub struct Question {
    /// The target that would answer.
    pub target: Target,
    /// Its data policy.
    pub data_policy: DataPolicy,
    /// Maximum cost in US dollars. Unset if the price is unknown.
    pub cost_usd: Option<f64>,
    /// Why it is not answered on the device.
    pub reason: String,
    /// The question in words.
    pub text: String,
    /// The route after consent.
    pub route: Route,
}

/// What a request would cost at one place, in US dollars. Unset: no price is known.
#[uniffi::remote(Record)]
pub struct CostRow {
    /// The place.
    pub target: Target,
    /// Whether the provider is configured. Others are listed for comparison, under the name of their kind.
    pub set_up: bool,
    /// The prompt, as long as it most likely is.
    pub usd_in: Option<f64>,
    /// The answer, as long as it most likely gets.
    pub usd_out: Option<f64>,
    /// Both, and what the place takes for each request.
    pub usd_total: Option<f64>,
    /// The total if prompt and answer are as short as they can be.
    pub usd_least: Option<f64>,
    /// The total if they are as long as they can be.
    pub usd_most: Option<f64>,
    /// The day of the price; empty where nothing is charged or known.
    pub as_of: String,
}

/// What a report sums up by.
#[uniffi::remote(Enum)]
pub enum SpendBy {
    /// As `2026-11-22`, in UTC.
    Day,
    Model,
    Provider,
    /// What the requests were for.
    Purpose,
}

/// A line of a report.
#[uniffi::remote(Record)]
pub struct SpendRow {
    /// The day, model, provider or purpose.
    pub key: String,
    /// How many answers.
    pub requests: u64,
    /// US dollars that answers cost.
    pub usd: f64,
    /// US dollars still reserved: for active answers, and for answers whose end was never recorded.
    pub usd_unsettled: f64,
    /// Tokens of the prompts.
    pub prompt_tokens: u64,
    /// Tokens generated.
    pub completion_tokens: u64,
}

/// US dollars that were spent, what is reserved included.
#[uniffi::remote(Record)]
pub struct Spent {
    /// Today, in UTC.
    pub day: f64,
    /// This month, in UTC.
    pub month: f64,
}
