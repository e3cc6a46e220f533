//! What an error of a provider means: kind, reason and remedy by its machine-readable code, by known phrases of its text,
//! and by the status. The text itself is never repeated.
//!
//! The codes follow the providers' documentation; the phrases are those of servers that send no code (Ollama, vLLM, TGI,
//! LM Studio, Gemini's compatible interface).

use std::time::Duration;

use serde_json::Value;

use super::dialect::{ProviderKind, dialect_for};
use crate::error::{ErrorKind, ErrorReason};

/// The provider and model that error messages name.
#[derive(Debug, Clone, Copy)]
pub(super) struct RequestContext<'a> {
    pub(super) provider: &'a str,
    pub(super) kind: ProviderKind,
    /// Empty for requests that are no chats.
    pub(super) model: &'a str,
    /// Host of the base address.
    pub(super) host: &'a str,
    /// Host and port of the proxy that requests go through.
    pub(super) proxy: Option<&'a str>,
    /// A credential was sent.
    pub(super) has_key: bool,
    /// The request constrains the upstreams of an aggregator.
    pub(super) is_constrained: bool,
}

/// The meaning of an error.
#[derive(Debug, PartialEq)]
pub(super) struct Meaning {
    pub(super) kind: ErrorKind,
    pub(super) reason: ErrorReason,
    pub(super) remedy: String,
}

/// Returns the meaning of an error with this status.
pub(super) fn of_error(
    context: &RequestContext<'_>,
    status: u16,
    value: &Value,
    retry_after: Option<Duration>,
) -> Meaning {
    let model = context.model;
    let code = find_code(value).unwrap_or_default();
    let text = find_text(value);
    let error = inner_error(value);
    let cause = match cause_of(context, status, &code, &text, error, retry_after) {
        // A request for a list names no model: its path is unknown.
        Cause::UnknownModel | Cause::UnknownPath | Cause::Retired if model.is_empty() => Cause::WrongAddress,
        cause => cause,
    };
    let (kind, reason, remedy) = match cause {
        Cause::ContextExceeded => (
            ErrorKind::InvalidRequest,
            ErrorReason::ContextExceeded,
            "the conversation is longer than the model's context; send fewer messages".to_owned(),
        ),
        Cause::RequestTooLarge => (
            ErrorKind::InvalidRequest,
            ErrorReason::ContextExceeded,
            "the request is too large; send fewer or shorter messages".to_owned(),
        ),
        Cause::MinuteTooSmall => (
            ErrorKind::InvalidRequest,
            ErrorReason::ContextExceeded,
            "the request is larger than what the account may send in a minute; send fewer or shorter messages"
                .to_owned(),
        ),
        Cause::NoCredit => (
            ErrorKind::Unauthorized,
            ErrorReason::NoCredit,
            "the account has no credit left; add some at the provider".to_owned(),
        ),
        Cause::KeyMissing => (
            ErrorKind::Unauthorized,
            ErrorReason::KeyMissing,
            format!("it needs a key; set one for `{}`", context.provider),
        ),
        Cause::KeyRejected => (
            ErrorKind::Unauthorized,
            ErrorReason::KeyRejected,
            format!("the key is wrong or expired; set a new one for `{}`", context.provider),
        ),
        Cause::KeyForbidden => (
            ErrorKind::Unauthorized,
            ErrorReason::KeyForbidden,
            "the key lacks the permission; use another key or another model".to_owned(),
        ),
        Cause::Suspended => (
            ErrorKind::Unauthorized,
            ErrorReason::KeyForbidden,
            "the account or the deployment is suspended; see the provider's own page".to_owned(),
        ),
        Cause::TermsNotAccepted => (
            ErrorKind::Unauthorized,
            ErrorReason::TermsNotAccepted,
            format!("the terms of `{model}` must be accepted first; accept them on the provider's page"),
        ),
        Cause::Region => (
            ErrorKind::Blocked,
            ErrorReason::Unsupported,
            "it is not offered in this region; choose another provider or model".to_owned(),
        ),
        Cause::Filtered => (
            ErrorKind::Blocked,
            ErrorReason::ContentFiltered,
            "its content filter rejected the request; change the text".to_owned(),
        ),
        Cause::PolicyForbids => (
            ErrorKind::Blocked,
            ErrorReason::PolicyForbids,
            format!(
                "no upstream offers `{model}` under the policy's terms, regions and prices; choose another model, or \
                 change the policy"
            ),
        ),
        Cause::Retired => (
            ErrorKind::Unsupported,
            ErrorReason::UnknownModel,
            format!("`{model}` is not offered any more; choose another"),
        ),
        Cause::UnknownModel => (
            ErrorKind::Unsupported,
            ErrorReason::UnknownModel,
            format!("it has no model `{model}`; choose another"),
        ),
        Cause::UnknownPath => (
            ErrorKind::Unsupported,
            ErrorReason::UnknownModel,
            format!("it has no model `{model}`, or its address is wrong; choose another model, or check the address"),
        ),
        Cause::WrongAddress => (
            ErrorKind::Provider,
            ErrorReason::Unreachable,
            format!(
                "its address or its kind is wrong, because no list of models is there; check both, the address looks like \
                 `{}`",
                usual_address(context.kind)
            ),
        ),
        Cause::Unsupported => (
            ErrorKind::Unsupported,
            ErrorReason::Unsupported,
            format!("`{model}` cannot do what the request needs; choose another model"),
        ),
        Cause::NoMemory => (
            ErrorKind::TooLarge,
            ErrorReason::ModelTooLarge,
            format!("`{model}` does not fit into the memory of that server; choose a smaller model"),
        ),
        Cause::RateLimited => (
            ErrorKind::RateLimited,
            ErrorReason::RateLimited,
            match retry_after {
                Some(after) => format!("too many requests; try again in {} s", after.as_secs().max(1)),
                None => "too many requests; try again in a moment".to_owned(),
            },
        ),
        Cause::Overloaded => (
            ErrorKind::Busy,
            ErrorReason::Overloaded,
            "it is overloaded, or still loading the model; try again in a moment".to_owned(),
        ),
        Cause::TooSlow => (
            ErrorKind::Provider,
            ErrorReason::NoResponse,
            "it took too long; try again".to_owned(),
        ),
        Cause::ProxyRefuses => (
            ErrorKind::Network,
            ErrorReason::Unreachable,
            "the proxy wants a user name and password; check the proxy's address".to_owned(),
        ),
        Cause::NetworkSignIn => (
            ErrorKind::Network,
            ErrorReason::Unreachable,
            "this network wants a sign-in first; open a web page in a browser".to_owned(),
        ),
        Cause::Invalid => (
            ErrorKind::InvalidRequest,
            ErrorReason::InvalidParameter,
            "it does not accept this request; try another model or fewer options".to_owned(),
        ),
        Cause::Fault => (
            ErrorKind::Provider,
            ErrorReason::ProviderFault,
            "an internal error of the provider; try again".to_owned(),
        ),
    };
    Meaning { kind, reason, remedy }
}

/// Returns an address that a provider of this kind may have.
fn usual_address(kind: ProviderKind) -> &'static str {
    match dialect_for(kind).base {
        "" => EXAMPLE_ADDRESS,
        base => base,
    }
}

/// Returns the status that an error object states, else the one that its code or text corresponds to.
pub(super) fn stated_status(value: &Value) -> u16 {
    let error = inner_error(value);
    let stated = [error, value].into_iter().find_map(|place| {
        [
            "code",
            "http_status",
            "status_code",
            "status",
            "statusCode",
            "error_code",
        ]
        .into_iter()
        .find_map(|name| place[name].as_u64().or_else(|| place[name].as_str()?.parse().ok()))
        .and_then(|status| u16::try_from(status).ok())
        .filter(|status| (400..600).contains(status))
    });
    stated.unwrap_or_else(
        || match phrase_cause(&find_code(value).unwrap_or_default(), &find_text(value)) {
            Some(Cause::RateLimited) => 429,
            Some(Cause::NoCredit) => 402,
            Some(Cause::KeyRejected | Cause::KeyMissing) => 401,
            Some(Cause::KeyForbidden | Cause::Region | Cause::TermsNotAccepted) => 403,
            Some(Cause::UnknownModel | Cause::Retired | Cause::PolicyForbids) => 404,
            Some(Cause::Overloaded) => 503,
            Some(Cause::TooSlow) => 504,
            Some(Cause::NoMemory) => 500,
            Some(Cause::Fault) | None => 502,
            Some(_) => 400,
        },
    )
}

/// Returns whether code or text name a cause.
pub(super) fn is_recognized(value: &Value) -> bool {
    phrase_cause(&find_code(value).unwrap_or_default(), &find_text(value)).is_some()
}

/// Returns the delay that the body states.
pub(super) fn stated_delay(value: &Value) -> Option<Duration> {
    let error = inner_error(value);
    let places = [
        &error["availability"]["retry_after"],
        &error["metadata"]["retry_after_seconds"],
        &error["retry_after"],
        &value["retry_after"],
    ];
    let seconds = places
        .into_iter()
        .find_map(|place| place.as_f64().or_else(|| place.as_str()?.parse().ok()))?;
    Duration::try_from_secs_f64(seconds).ok()
}

/// Returns whether the body says that a retry can help.
pub(super) fn stated_retryable(value: &Value) -> Option<bool> {
    inner_error(value)["availability"]["retryable"].as_bool()
}

/// Returns the page on which terms are accepted, if the text has one of the provider's own site: an address of another
/// site is not passed on, because the text is not ours.
pub(super) fn terms_page(context: &RequestContext<'_>, value: &Value) -> Option<String> {
    let site = |host: &str| {
        let mut labels: Vec<&str> = host.rsplit('.').take(2).collect();
        labels.reverse();
        labels.join(".")
    };
    let mut pages = Vec::new();
    each_text(value, &mut |text| {
        let words = text.split(|c: char| c.is_whitespace() || matches!(c, '"' | '\'' | '<' | '>' | '(' | ')' | '`'));
        pages.extend(
            words
                .filter(|word| word.starts_with("https://"))
                .map(|word| word.trim_end_matches(['.', ',']).to_owned()),
        );
    });
    pages.into_iter().find(|page| {
        let url = url::Url::parse(page).ok();
        url.is_some_and(|url| url.host_str().is_some_and(|host| site(host) == site(context.host)))
    })
}

/// Causes that are told apart.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Cause {
    ContextExceeded,
    RequestTooLarge,
    MinuteTooSmall,
    NoCredit,
    KeyMissing,
    KeyRejected,
    KeyForbidden,
    Suspended,
    TermsNotAccepted,
    Region,
    Filtered,
    PolicyForbids,
    Retired,
    UnknownModel,
    UnknownPath,
    WrongAddress,
    Unsupported,
    NoMemory,
    RateLimited,
    Overloaded,
    TooSlow,
    ProxyRefuses,
    NetworkSignIn,
    Invalid,
    Fault,
}

fn cause_of(
    context: &RequestContext<'_>,
    status: u16,
    code: &str,
    text: &str,
    error: &Value,
    retry_after: Option<Duration>,
) -> Cause {
    let found = phrase_cause(code, text).filter(|cause| *cause != Cause::Invalid);
    let is_chat = !context.model.is_empty();
    match (status, found) {
        // Groq: more tokens than the account's limit per minute.
        (413, Some(Cause::RateLimited)) => Cause::MinuteTooSmall,
        // Gemini's text says so of its limits per minute, too.
        (429, Some(Cause::NoCredit)) if retry_after.is_some() && code_cause(code).is_none() => Cause::RateLimited,
        (429, Some(Cause::NoCredit)) => Cause::NoCredit,
        (429, Some(cause @ (Cause::KeyForbidden | Cause::TermsNotAccepted))) => cause,
        (429, _) => Cause::RateLimited,
        (401, Some(cause @ (Cause::NoCredit | Cause::Region | Cause::TermsNotAccepted))) => cause,
        (401, Some(Cause::KeyMissing)) => Cause::KeyMissing,
        (401, _) if !context.has_key => Cause::KeyMissing,
        (401, _) => Cause::KeyRejected,
        (402, _) => Cause::NoCredit,
        (404, Some(Cause::PolicyForbids)) if !context.is_constrained => Cause::UnknownModel,
        (404 | 405, None) if is_chat && context.kind == ProviderKind::OpenRouter => Cause::UnknownModel,
        (_, Some(cause)) => cause,
        (403, None) if error["metadata"]["reasons"].is_array() || error["metadata"]["patterns"].is_array() => {
            Cause::Filtered
        }
        (403, None) if !context.has_key && context.kind.is_hosted() => Cause::KeyMissing,
        (403, None) => Cause::KeyForbidden,
        (404 | 405, None) => Cause::UnknownPath,
        (407, None) => Cause::ProxyRefuses,
        (408 | 504 | 524, None) => Cause::TooSlow,
        (410, None) => Cause::Retired,
        (412, None) => Cause::Suspended,
        (413, None) => Cause::RequestTooLarge,
        (451, None) => Cause::Region,
        (498 | 503 | 529, None) => Cause::Overloaded,
        (501, None) => Cause::Unsupported,
        (511, None) => Cause::NetworkSignIn,
        (400..=499, None) => Cause::Invalid,
        (_, None) => Cause::Fault,
    }
}

/// Returns the cause that a code, else a phrase of the text, names.
fn phrase_cause(code: &str, text: &str) -> Option<Cause> {
    let by_code = code_cause(code);
    let by_text = || {
        PHRASES
            .iter()
            .find(|(_, phrases)| phrases.iter().any(|phrase| text.contains(phrase)))
    };
    // A code that only says that the request is invalid leaves the cause to the text.
    let exact = by_code.filter(|cause| *cause != Cause::Invalid);
    exact.or_else(|| by_text().map(|(cause, _)| *cause)).or(by_code)
}

/// Returns the cause that a code names.
fn code_cause(code: &str) -> Option<Cause> {
    let row = CODES.iter().find(|(_, codes)| codes.contains(&code));
    row.map(|(cause, _)| *cause)
}

/// Returns the machine-readable code of an error, in lower case.
fn find_code(value: &Value) -> Option<String> {
    let error = inner_error(value);
    let places = [
        &error["availability"]["code"],
        &error["metadata"]["error_type"],
        &error["error_type"],
        &error["code"],
        &error["type"],
        &error["status"],
        &value["error_type"],
        &value["code"],
        &value["type"],
    ];
    let codes: Vec<String> = places
        .into_iter()
        .filter_map(Value::as_str)
        .filter(|code| code.len() <= 64)
        .map(str::to_ascii_lowercase)
        .collect();
    // A general type may stand before the code that says more.
    let known = |code: &&String| code_cause(code).is_some();
    codes.iter().find(known).or(codes.first()).cloned()
}

/// Returns the start of all texts of an error in lower case, to search for phrases.
fn find_text(value: &Value) -> String {
    let mut all = String::new();
    each_text(value, &mut |text| {
        if all.len() < MAX_TEXT_BYTES {
            all.extend(text.chars().take(MAX_TEXT_BYTES).map(|c| c.to_ascii_lowercase()));
            all.push('\n');
        }
    });
    all
}

fn each_text(value: &Value, work: &mut impl FnMut(&str)) {
    match value {
        Value::String(text) => work(text),
        Value::Array(list) => list.iter().for_each(|one| each_text(one, work)),
        Value::Object(fields) => fields.values().for_each(|one| each_text(one, work)),
        _ => {}
    }
}

/// Returns the error object: most servers wrap it in `error`, some in a list or in an event.
fn inner_error(value: &Value) -> &Value {
    let first = value.get(0).unwrap_or(value);
    match first.get("error").filter(|error| error.is_object()) {
        Some(error) => error,
        None => first.get("errors").and_then(|errors| errors.get(0)).unwrap_or(first),
    }
}

#[rustfmt::skip]
const CODES: &[(Cause, &[&str])] = &[
    (Cause::ContextExceeded, &["context_length_exceeded", "exceed_context_size_error", "max_tokens_exceeded",
        "token_limit_exceeded", "string_too_long", "context_window_exceeded", "prompt_too_long", "input_too_long"]),
    (Cause::NoCredit, &["insufficient_quota", "insufficient_balance", "insufficient_credits", "insufficient_funds",
        "payment_required", "credit_balance_too_low", "billing_hard_limit_reached", "billing_not_active",
        "no_credits", "exceeded_current_quota_error", "account_deactivated_billing"]),
    (Cause::KeyRejected, &["invalid_api_key", "incorrect_api_key", "invalid_authentication", "token_expired"]),
    (Cause::TermsNotAccepted, &["model_terms_required", "terms_not_accepted", "gated_repo", "gated"]),
    (Cause::Region, &["unsupported_country_region_territory", "region_restricted", "unsupported_country"]),
    (Cause::Filtered, &["content_policy_violation", "refusal", "content_filter", "moderation_blocked",
        "content_moderation", "responsibleaipolicyviolation", "data_inspection_failed"]),
    (Cause::PolicyForbids, &["privacy_restricted", "constraint_filtered", "no_endpoints"]),
    (Cause::Retired, &["model_deprecated", "free_variant_ended", "model_decommissioned", "model_retired"]),
    (Cause::UnknownModel, &["model_not_found", "invalid_model", "unknown_model", "model_not_available",
        "model_unavailable_upstream"]),
    (Cause::KeyForbidden, &["permission_denied", "permission_error", "permissions_error",
        "model_permission_blocked_org", "access_denied", "model_access_denied"]),
    (Cause::RateLimited, &["rate_limit_exceeded", "rate_limit_error", "rate_limit_reached", "too_many_requests",
        "requests_rate_limited", "capacity_exhausted", "engine_overloaded_error"]),
    (Cause::Overloaded, &["provider_overloaded", "overloaded_error", "unavailable_error", "overloaded",
        "server_is_overloaded", "slow_down", "service_unavailable", "service_unavailable_error",
        "temporarily_unavailable", "capacity_exceeded", "flex_tier_capacity_exceeded"]),
    (Cause::TooSlow, &["timeout", "request_timeout", "deadline_exceeded"]),
    (Cause::Unsupported, &["not_supported_error"]),
    (Cause::Invalid, &["invalid_request_error", "invalid_request", "unsupported_parameter", "unsupported_value",
        "invalid_value", "validation", "badrequesterror", "unprocessable"]),
];

/// Phrases in lower case. The first that matches decides.
#[rustfmt::skip]
const PHRASES: &[(Cause, &[&str])] = &[
    (Cause::NoMemory, &["more system memory", "out of memory", "insufficient memory", "not enough memory"]),
    (Cause::ContextExceeded, &["maximum context length", "context length", "context size", "context window",
        "context_length", "prompt is too long", "input is too long", "too many tokens", "maximum number of tokens",
        "reduce the length of the messages", "exceeds the maximum number of input tokens", "longer than the model"]),
    (Cause::NoCredit, &["insufficient_quota", "insufficient balance", "insufficient credit", "insufficient funds",
        "exceeded your current quota", "credit balance is too low", "out of credits", "no credits",
        "requires more credits", "billing hard limit"]),
    (Cause::TermsNotAccepted, &["accept the terms", "terms acceptance", "accept the license", "agree to the license",
        "is gated", "gated repo", "gated model"]),
    (Cause::Region, &["country, region, or territory not supported", "user location is not supported",
        "not available in your region", "not available in your country", "not supported in your country"]),
    (Cause::Filtered, &["content management policy", "safety system", "content policy", "was flagged",
        "content moderation", "prohibited content"]),
    (Cause::Unsupported, &["does not support", "support tool use", "support image input", "not multimodal",
        "is not a chat model", "only supported in v1/completions"]),
    (Cause::PolicyForbids, &["no endpoints found", "no endpoints for", "no allowed providers", "data policy",
        "guardrail restrictions"]),
    (Cause::KeyMissing, &["no api key", "missing api key", "didn't provide an api key", "did not provide an api key",
        "no auth credentials", "missing authentication", "api key is required", "no cookie auth"]),
    (Cause::KeyRejected, &["invalid api key", "incorrect api key", "api key not valid", "api key expired",
        "invalid token", "user not found", "unauthorized"]),
    (Cause::Retired, &["has been decommissioned", "has been deprecated", "no longer available", "was retired"]),
    (Cause::UnknownModel, &["model not found", "model not exist", "try pulling it first", "not a valid model",
        "model does not exist", "does not exist", "no such model", "unknown model", "model_not_found"]),
    (Cause::KeyForbidden, &["requires a subscription", "upgrade for access", "do not have access to"]),
    (Cause::RateLimited, &["rate limit", "too many requests", "resource_exhausted", "usage limit"]),
    (Cause::Overloaded, &["overloaded", "server busy", "loading model", "model is loading", "over capacity",
        "is currently loading", "temporarily unavailable", "model is overloaded"]),
    (Cause::TooSlow, &["timed out", "request timeout"]),
];

/// An address of a kind that has no usual one.
pub(super) const EXAMPLE_ADDRESS: &str = "https://llm.example.org/v1";
const MAX_TEXT_BYTES: usize = 4_000;
