//! Estimates of an answer before it is generated: tokens, cost, time.
//!
//! Token counts are bounds, computed from the characters of the request alone, because each model has its own tokenizer
//! and most are not installed. The weights per character were set so that counts of two real vocabularies lie inside:
//! SmolLM2's (49 k, English) and that of DeepSeek R1's Qwen distillations (152 k, many languages), over prose, code,
//! JSON, digits, Base64 and a dozen scripts; `tests/tests/route_properties.rs` checks this. English prose has about 4.8
//! characters a token in both, Chinese 1.4 in one and 0.5 in the other. Outside ASCII the upper bound holds for any
//! byte-level vocabulary; in ASCII, only invented lower-case words can exceed it.
//!
//! Costs assume no cache. A price that is negative or not finite is unknown: some lists write -1 for "it depends".
//! Times are estimated from measured rates only.

use super::facts::{Needs, RemoteCandidate, Speed, TokenRange};
use crate::chat::history;
use crate::chat::{ChatMessage, ChatRequest, ContentPart, OutputFormat, ReasoningMode, RouteEstimate};
use crate::engine::remote::{RemoteModel, TokenPrice};

/// Estimates the tokens of the prompt and of the answer, in this order.
///
/// The prompt has all messages, the template's text around each, images, tools, schema, and pages that a web search may
/// add. The answer has at most `limits.max_tokens`; if that is unset, 4,096 and the reasoning budget, or 8,192 with
/// reasoning without a budget. That bound holds only if it is sent to the target as its limit.
pub fn tokens(request: &ChatRequest) -> (TokenRange, TokenRange) {
    let mut prompt = TEMPLATE;
    for message in &request.messages {
        prompt = plus(prompt, message_tokens(message));
    }
    if !request.tools.is_empty() {
        prompt = plus(prompt, TOOLS);
    }
    for tool in &request.tools {
        prompt = plus(prompt, PER_TOOL);
        for text in [&tool.name, &tool.description, &tool.parameters] {
            prompt = plus(prompt, text_tokens(text));
        }
    }
    if let OutputFormat::JsonSchema { schema } = &request.output {
        // A grammar adds no tokens; a schema in the prompt adds its whole length.
        let schema = text_tokens(schema);
        prompt = plus(prompt, TokenRange { low: 0, ..schema });
    }
    if request.web_search {
        prompt = plus(prompt, WEB_SEARCH);
    }
    (prompt, answer_tokens(request))
}

/// Estimates the tokens that a message adds to the prompt.
pub(crate) fn message_tokens(message: &ChatMessage) -> TokenRange {
    let parts = message.parts.iter().map(part_tokens);
    parts.fold(PER_MESSAGE, plus)
}

/// Estimates the tokens of the part of the prompt that cannot be omitted. `None` if nothing may be.
pub(crate) fn required(request: &ChatRequest, kept_turns: Option<u32>) -> Option<TokenRange> {
    let omittable = history::omittable(&request.messages, kept_turns?);
    Some(tokens(&request.with_messages(history::without(&request.messages, &omittable))).0)
}

/// Bounds of the tokens of an answer at one model.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub(crate) struct AnswerBound {
    /// Tokens that must be possible: the request's limit, or a long answer.
    pub(crate) needed: u32,
    /// Tokens that are possible at most, as far as is known.
    pub(crate) most: u32,
    /// The model accepts `most` as its limit: the request states it, or the model's maximum is known.
    pub(crate) is_known: bool,
}

/// Returns the bounds of an answer: the request's limit, else the model's own, else the rest of its context.
pub(crate) fn answer_bound(
    limit: Option<u32>,
    completion: TokenRange,
    prompt: TokenRange,
    model: &RemoteModel,
) -> AnswerBound {
    if let Some(limit) = limit {
        return AnswerBound {
            needed: limit,
            most: limit,
            is_known: true,
        };
    }
    let room = model
        .context
        .map_or(MAX_ANSWER, |context| context.saturating_sub(prompt.low));
    let most = model.max_output.unwrap_or(MAX_ANSWER).min(room.max(1));
    AnswerBound {
        needed: completion.high.min(most),
        most,
        is_known: model.max_output.is_some(),
    }
}

/// Returns the maximum cost of the web searches of one answer in US dollars. Unset: it searches, at an unknown price.
pub(crate) fn search_usd(price: Option<&TokenPrice>, web_search: bool) -> Option<f64> {
    if !web_search {
        return Some(0.0);
    }
    let usd = price?.usd_search?;
    (usd.is_finite() && usd >= 0.0).then_some(f64::from(MAX_SEARCHES) * usd)
}

fn answer_tokens(request: &ChatRequest) -> TokenRange {
    let (likely, high) = match request.reasoning {
        ReasoningMode::Auto | ReasoningMode::Off => (LIKELY_ANSWER, LONGEST_ANSWER),
        ReasoningMode::On | ReasoningMode::Effort { .. } => (2 * LIKELY_ANSWER, 2 * LONGEST_ANSWER),
        ReasoningMode::Budget { tokens } => (
            LIKELY_ANSWER.saturating_add(tokens),
            LONGEST_ANSWER.saturating_add(tokens),
        ),
    };
    let high = request.limits.max_tokens.unwrap_or(high);
    TokenRange {
        low: high.min(1),
        likely: high.min(likely),
        high,
    }
}

fn part_tokens(part: &ContentPart) -> TokenRange {
    match part {
        ContentPart::Text { text } => text_tokens(text),
        ContentPart::Image { .. } => IMAGE,
        // Most templates drop it.
        ContentPart::Reasoning { text } => TokenRange {
            low: 0,
            likely: 0,
            ..text_tokens(text)
        },
        ContentPart::ToolCall { id, name, arguments } => plus(
            PER_TOOL,
            plus(text_tokens(id), plus(text_tokens(name), text_tokens(arguments))),
        ),
        ContentPart::ToolResult { id, name, content } => plus(
            PER_TOOL,
            plus(text_tokens(id), plus(text_tokens(name), text_tokens(content))),
        ),
    }
}

/// Estimates the tokens of a text.
fn text_tokens(text: &str) -> TokenRange {
    let mut sums = [0_u64; 3];
    let mut before = ' ';
    for character in text.chars() {
        for (sum, milli) in sums.iter_mut().zip(milli_tokens(before, character)) {
            *sum += milli;
        }
        before = character;
    }
    let [low, likely, high] = sums.map(|sum| u32::try_from(sum.div_ceil(1000)).unwrap_or(u32::MAX));
    TokenRange { low, likely, high }
}

/// Returns the thousandths of a token that a character adds after another: minimum, likely, maximum.
fn milli_tokens(before: char, character: char) -> [u64; 3] {
    let bytes = 1000 * character.len_utf8() as u64;
    match character {
        // The letters of a word, unlike those of `kB8xQ`.
        'a'..='z' if before.is_ascii_lowercase() || before.is_ascii_whitespace() => [120, 220, 450],
        'a'..='z' | 'A'..='Z' => [120, 300, 1000],
        // A space belongs to the word after it, but not to a number.
        ' ' if before == ' ' => [0, 20, 100],
        ' ' if before.is_ascii_digit() => [0, 500, 1000],
        ' ' => [0, 20, 300],
        '0'..='9' => [300, 700, 1000],
        '\0'..='\u{7f}' => [50, 700, 1000],
        // Latin with accents, Greek, Cyrillic, Hebrew, Arabic.
        '\u{80}'..='\u{7ff}' => [150, 500, bytes],
        // Chinese, Japanese, Korean.
        '\u{2e80}'..='\u{9fff}' | '\u{ac00}'..='\u{d7af}' | '\u{f900}'..='\u{ffef}' => [400, 1000, bytes],
        '\u{800}'..='\u{ffff}' => [200, 1000, bytes],
        // Emoji and rare characters.
        _ => [200, 2000, bytes],
    }
}

/// Adds two estimates.
pub(crate) fn plus(a: TokenRange, b: TokenRange) -> TokenRange {
    TokenRange {
        low: a.low.saturating_add(b.low),
        likely: a.likely.saturating_add(b.likely),
        high: a.high.saturating_add(b.high),
    }
}

/// Returns the cost of this many tokens in US dollars. Unset: the price is unknown or invalid. The user's own server is
/// free if it states no price.
pub(super) fn cost(candidate: &RemoteCandidate, prompt: u32, completion: u32) -> Option<f64> {
    match &candidate.model.price {
        None => candidate.data_policy.is_own().then_some(0.0),
        Some(price) => price_of(price, prompt, completion),
    }
}

/// Returns the maximum cost of an answer that is long enough, in US dollars: its prompt, the tokens that must be possible,
/// its searches. Unset: one of these prices is unknown or invalid.
pub(super) fn worst_usd(candidate: &RemoteCandidate, needs: &Needs) -> Option<f64> {
    let model = &candidate.model;
    let completion = needs.completion.high.min(model.max_output.unwrap_or(u32::MAX));
    let tokens = cost(candidate, fitted_prompt(candidate, needs).high, completion)?;
    Some(tokens + search_usd(model.price.as_ref(), needs.abilities.web_search)?)
}

/// Returns the cost of the longest answer that the candidate can give, in US dollars. Unset: a price is unknown or invalid.
pub(super) fn most_usd(candidate: &RemoteCandidate, needs: &Needs) -> Option<f64> {
    let (model, prompt) = (&candidate.model, fitted_prompt(candidate, needs));
    let most = answer_bound(needs.max_tokens, needs.completion, prompt, model).most;
    let tokens = cost(candidate, prompt.high, most)?;
    Some(tokens + search_usd(model.price.as_ref(), needs.abilities.web_search)?)
}

/// Returns the tokens of the prompt as the candidate gets it: of a conversation no more than its context holds.
fn fitted_prompt(candidate: &RemoteCandidate, needs: &Needs) -> TokenRange {
    let most = match needs.required_prompt {
        Some(_) => candidate.model.context.unwrap_or(u32::MAX),
        None => u32::MAX,
    };
    let TokenRange { low, likely, high } = needs.prompt;
    TokenRange {
        low: low.min(most),
        likely: likely.min(most),
        high: high.min(most),
    }
}

fn price_of(price: &TokenPrice, prompt: u32, completion: u32) -> Option<f64> {
    let parts = [price.usd_in, price.usd_out, price.usd_request];
    if parts.iter().any(|usd| !usd.is_finite() || *usd < 0.0) {
        return None;
    }
    let tokens = f64::from(prompt) * price.usd_in + f64::from(completion) * price.usd_out;
    Some(price.usd_request + tokens / 1e6).filter(|usd| usd.is_finite())
}

/// Estimates the time and cost of a local answer: free, and the first token waits for loading and prefill only.
pub(super) fn expected_here(speed: &Speed, needs: &Needs) -> RouteEstimate {
    let prefill = measured(speed.prompt_tokens_per_second).map(|rate| 1e3 * f64::from(needs.prompt.likely) / rate);
    let wait = speed
        .first_token_ms
        .filter(|ms| ms.is_finite() && *ms > 0.0)
        .unwrap_or(0.0);
    expected(prefill.map(|ms| ms + wait), speed, needs, Some(0.0))
}

/// Estimates the time and cost of a remote answer.
pub(super) fn expected_there(candidate: &RemoteCandidate, needs: &Needs) -> RouteEstimate {
    let cost = cost(
        candidate,
        fitted_prompt(candidate, needs).likely,
        needs.completion.likely,
    );
    let first = candidate.speed.first_token_ms.filter(|ms| *ms >= 0.0);
    expected(first, &candidate.speed, needs, cost)
}

fn expected(first_token_ms: Option<f64>, speed: &Speed, needs: &Needs, cost_usd: Option<f64>) -> RouteEstimate {
    let first_token_ms = first_token_ms.filter(|ms| ms.is_finite());
    let decode = measured(speed.tokens_per_second).map(|rate| 1e3 * f64::from(needs.completion.likely) / rate);
    let total_ms = first_token_ms.zip(decode).map(|(first, decode)| first + decode);
    RouteEstimate {
        first_token_ms,
        total_ms: total_ms.filter(|ms| ms.is_finite()),
        cost_usd,
    }
}

/// Returns the rate if it is usable: finite and above 0.
pub(super) fn measured(rate: Option<f64>) -> Option<f64> {
    rate.filter(|rate| rate.is_finite() && *rate > 0.0)
}

/// The start of the answer, and the default system message of some templates.
const TEMPLATE: TokenRange = range(1, 8, 48);

/// A message's role and markers.
const PER_MESSAGE: TokenRange = range(2, 5, 10);

/// A template's instructions for tools.
const TOOLS: TokenRange = range(10, 150, 500);

/// The markup around a tool, a call or a result.
const PER_TOOL: TokenRange = range(2, 15, 50);

/// An image: from one tile at low detail up to the largest that providers accept.
const IMAGE: TokenRange = range(85, 765, 1700);

/// Pages that a search may add to the prompt; no provider guarantees a bound.
const WEB_SEARCH: TokenRange = range(0, 2_500, 12_000);

/// Tokens of a typical answer.
const LIKELY_ANSWER: u32 = 500;

/// Tokens of a long answer: what must be possible if the request sets no limit.
const LONGEST_ANSWER: u32 = 4_096;

/// Tokens of the longest answer of a model that publishes neither its maximum nor its context.
const MAX_ANSWER: u32 = 131_072;

/// Searches of one answer that are reserved; models rarely search more often.
const MAX_SEARCHES: u32 = 3;

const fn range(low: u32, likely: u32, high: u32) -> TokenRange {
    TokenRange { low, likely, high }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::chat::{ChatMessage, RequestLimits, ToolDefinition};

    fn request(text: &str) -> ChatRequest {
        ChatRequest::new(vec![ChatMessage::user(text)])
    }

    #[test]
    fn bounds_are_in_order_whatever_is_said() {
        for text in [
            "",
            "a",
            "Hello, world!",
            "1234567890",
            "潮汐",
            "😀\u{0}",
            "naïve\n\n\tkB8xQ==",
        ] {
            let (prompt, answer) = tokens(&request(text));
            for range in [prompt, answer] {
                assert!(
                    range.low <= range.likely && range.likely <= range.high,
                    "{text}: {range:?}"
                );
            }
        }
    }

    #[test]
    fn whatever_is_added_to_a_request_raises_its_upper_bound() {
        let plain = tokens(&request("hello")).0;
        let with = |change: fn(&mut ChatRequest)| {
            let mut request = request("hello");
            change(&mut request);
            tokens(&request).0
        };
        for richer in [
            with(|r| r.messages.push(ChatMessage::assistant("hello"))),
            with(|r| {
                r.messages[0].parts.push(ContentPart::Image {
                    media_type: "image/png".into(),
                    data: vec![].into(),
                })
            }),
            with(|r| {
                r.tools.push(ToolDefinition {
                    name: "weather".into(),
                    description: "tells the weather".into(),
                    parameters: "{}".into(),
                })
            }),
            with(|r| r.output = OutputFormat::JsonSchema { schema: "{}".into() }),
            with(|r| r.web_search = true),
        ] {
            assert!(richer.high > plain.high, "{richer:?}");
        }
    }

    #[test]
    fn an_answer_keeps_to_its_limit_and_thinking_makes_it_longer() {
        let answer = |max_tokens, reasoning| {
            let limits = RequestLimits {
                max_tokens,
                ..RequestLimits::default()
            };
            let request = ChatRequest {
                limits,
                reasoning,
                ..request("hello")
            };
            tokens(&request).1
        };
        assert_eq!(answer(None, ReasoningMode::Off), range(1, 500, 4096));
        assert_eq!(answer(None, ReasoningMode::On), range(1, 1000, 8192));
        assert_eq!(answer(None, ReasoningMode::Budget { tokens: 300 }), range(1, 800, 4396));
        assert_eq!(answer(Some(700), ReasoningMode::On), range(1, 700, 700));
        assert_eq!(answer(Some(0), ReasoningMode::Auto), range(0, 0, 0));
        assert_eq!(
            answer(None, ReasoningMode::Budget { tokens: u32::MAX }),
            range(1, u32::MAX, u32::MAX)
        );
    }
}
