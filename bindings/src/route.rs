//! Who may answer, and what it costs: `core/src/route`.

use nearside::ErrorKind;
use nearside::chat::{DataPolicy, Route, Skipped, Target};
use nearside::route::{Consent, CostRow, Decision, Policy, Question, SpendBy, SpendRow, Spent};

/// What the app and its person allow.
#[uniffi::remote(Record)]
pub struct Policy {
    /// What receipts call this policy; change it with the policy.
    pub version: String,
    /// Countries in which words may be processed, as ISO 3166 codes, or `EU`. Empty: any, unknown ones too.
    #[uniffi(default)]
    pub regions: Vec<String>,
    /// Places that may keep words are allowed.
    #[uniffi(default = false)]
    pub allow_retention: bool,
    /// Places that may train on words are allowed.
    #[uniffi(default = false)]
    pub allow_training: bool,
    /// Only these providers, by name. Empty: all that are set up.
    #[uniffi(default)]
    pub providers: Vec<String>,
    /// Never these providers; for one that passes requests on, also never those behind it.
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
    /// Goes elsewhere over a connection that costs by the byte, too.
    #[uniffi(default = true)]
    pub allow_metered: bool,
    /// A place that is expected to be much slower loses to an allowed one that is fast.
    #[uniffi(default = false)]
    pub prefer_fast: bool,
}

/// Whether the person is asked before personal words leave the device.
#[uniffi::remote(Enum)]
pub enum Consent {
    /// Each time.
    Ask,
    /// No: they agreed once and for all.
    Given,
    /// No: they refused once and for all.
    Refused,
}

/// What the router says.
#[uniffi::remote(Enum)]
pub enum Decision {
    /// This place answers.
    Go { route: Route },
    /// This place would answer if the person agreed.
    Ask { question: Question },
    /// No place may, can or should: the rule that left none, and the error that a chat would end with.
    Nowhere {
        rule: String,
        kind: ErrorKind,
        detail: String,
        skipped: Vec<Skipped>,
    },
}

/// What to ask the person before words leave the device. Their yes is the request's `consent`, set to `target`.
#[uniffi::remote(Record)]
pub struct Question {
    /// Where it would go.
    pub target: Target,
    /// What happens to the words there.
    pub data_policy: DataPolicy,
    /// US dollars that it would cost at most. Unset: no price is known.
    pub cost_usd: Option<f64>,
    /// Why not here.
    pub reason: String,
    /// The question in words.
    pub text: String,
    /// The route that a yes would take.
    pub route: Route,
}

/// What a request would cost at one place, in US dollars. Unset: no price is known.
#[uniffi::remote(Record)]
pub struct CostRow {
    /// The place.
    pub target: Target,
    /// Whether it could be asked now. The others are shown for what they cost, under the name of their kind.
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
    /// US dollars that are reserved besides: for answers under way, and for those whose end nobody saw.
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
