//! What an answer will take, before it is asked for: tokens, money, time.
//!
//! Tokens are told between bounds, from the characters of the request alone, since every model has a tokenizer of its
//! own and most of them are not here. The weights per character were set so that what two real vocabularies count lies
//! inside: SmolLM2's (49 k, English) and DeepSeek R1's Qwen distillations' (152 k, many languages), over prose, code,
//! JSON, digits, Base64 and a dozen scripts; `tests/tests/route_properties.rs` counts again. English prose has about 4.8
//! characters a token in both, Chinese 1.4 in one and 0.5 in the other. Outside ASCII the upper bound holds for any
//! byte-level vocabulary; of ASCII, only invented lower-case words can break it.
//!
//! Money is reckoned without any cache, and a price that is negative or no number is none: some lists write -1 for "it
//! depends". Time is told only where it was measured.

use super::facts::{Needs, RemoteCandidate, Speed, TokenRange};
use crate::chat::{ChatMessage, ChatRequest, ContentPart, OutputFormat, ReasoningMode, RouteEstimate};
use crate::engine::remote::TokenPrice;

/// How many tokens the request and its answer will have: the prompt's first, then the answer's.
///
/// The prompt's are those of all messages, with what a template writes around each, its pictures, tools and schema, and
/// what a web search may add. The answer's are at most `limits.max_tokens`; where that is unset, 4,096 and what is set
/// aside for thinking. That bound holds only if the place is told it.
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
        for words in [&tool.name, &tool.description, &tool.parameters] {
            prompt = plus(prompt, text_tokens(words));
        }
    }
    if let OutputFormat::JsonSchema { schema } = &request.output {
        // A grammar costs nothing, a schema in the prompt its whole length.
        let schema = text_tokens(schema);
        prompt = plus(prompt, TokenRange { low: 0, ..schema });
    }
    if request.web_search {
        prompt = plus(prompt, WEB_SEARCH);
    }
    (prompt, answer_tokens(request))
}

/// How many tokens a message adds to the prompt.
pub(crate) fn message_tokens(message: &ChatMessage) -> TokenRange {
    let parts = message.parts.iter().map(part_tokens);
    parts.fold(PER_MESSAGE, plus)
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

/// How many tokens some words are.
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

/// Thousandths of a token that a character adds after another: at least, most likely, at most.
fn milli_tokens(before: char, character: char) -> [u64; 3] {
    let bytes = 1000 * character.len_utf8() as u64;
    match character {
        // The letters of a word; those of `kB8xQ` stand alone.
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

fn plus(a: TokenRange, b: TokenRange) -> TokenRange {
    TokenRange {
        low: a.low.saturating_add(b.low),
        likely: a.likely.saturating_add(b.likely),
        high: a.high.saturating_add(b.high),
    }
}

/// US dollars for this many tokens there. Unset: the price is not known, or is no price. A machine of the person's own
/// is free where it names no price.
pub(super) fn cost(candidate: &RemoteCandidate, prompt: u32, completion: u32) -> Option<f64> {
    match &candidate.price {
        None => candidate.data_policy.is_own().then_some(0.0),
        Some(price) => price_of(price, prompt, completion),
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

/// What is expected of a local model: nothing is sent, so nothing waits but for loading and prefill.
pub(super) fn expected_here(speed: &Speed, needs: &Needs) -> RouteEstimate {
    let prefill = measured(speed.prompt_tokens_per_second).map(|rate| 1e3 * f64::from(needs.prompt.likely) / rate);
    let wait = speed
        .first_token_ms
        .filter(|ms| ms.is_finite() && *ms > 0.0)
        .unwrap_or(0.0);
    expected(prefill.map(|ms| ms + wait), speed, needs, Some(0.0))
}

/// What is expected of a remote model.
pub(super) fn expected_there(candidate: &RemoteCandidate, needs: &Needs) -> RouteEstimate {
    let cost = cost(candidate, needs.prompt.likely, needs.completion.likely);
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

/// A rate that can be reckoned with.
pub(super) fn measured(rate: Option<f64>) -> Option<f64> {
    rate.filter(|rate| rate.is_finite() && *rate > 0.0)
}

/// What begins the answer, and what some templates say where there is no system message.
const TEMPLATE: TokenRange = range(1, 8, 48);

/// A message's role and its marks.
const PER_MESSAGE: TokenRange = range(2, 5, 10);

/// How a template explains what tools are.
const TOOLS: TokenRange = range(10, 150, 500);

/// The frame around a tool, a call or a result.
const PER_TOOL: TokenRange = range(2, 15, 50);

/// A picture: from one tile at low detail up to the largest that the services take.
const IMAGE: TokenRange = range(85, 765, 1700);

/// What pages a search may put into the prompt; no provider promises a bound.
const WEB_SEARCH: TokenRange = range(0, 2_500, 12_000);

/// A usual answer.
const LIKELY_ANSWER: u32 = 500;

/// The longest answer where the request sets no limit.
const LONGEST_ANSWER: u32 = 4_096;

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
            "Hello, context!",
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
                    data: vec![],
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
