//! `nearside-turn`: measures how soon the next turn of a conversation begins. The first token of an answer to a question of 30
//! tokens, after a conversation of 6,000 tokens and at turn 8 of a normal one, from the request to the first text, against
//! llama-server with its prompt cache: the same messages and template, greedy, with the same threads and context. The two
//! alternate, and each goes on from its own answers. Prints medians, and ends with an error if one of them did not use its cache.
//!
//!   nearside-turn MODEL [--alone] [--pairs N] [--conversations N] [--tokens N] [--threads N] [--part PART]...

use std::io::Write;
use std::process::ExitCode;
use std::time::Instant;

use clap::{Parser, ValueEnum};
use nearside::chat::{ChatMessage, ChatRequest, Chunk, ContentPart, MessageRole};
use nearside::{Config, Nearside};
use nearside_tests::llama_server::LlamaServer;
use nearside_tests::request::greedy;
use serde_json::{Value, json};

/// Measures how soon the next turn of a conversation begins.
#[derive(Debug, Parser)]
struct TurnArgs {
    /// The model's file.
    model: String,
    /// Measures Nearside alone.
    #[arg(long)]
    alone: bool,
    /// Measured questions after each long conversation, and normal conversations.
    #[arg(long, default_value_t = 5)]
    pairs: usize,
    /// Long conversations, each of which is read once without a cache.
    #[arg(long, default_value_t = 2)]
    conversations: usize,
    /// Tokens of a long conversation, about.
    #[arg(long, default_value_t = 6000)]
    tokens: usize,
    /// Compute threads of both. Unset: as many as the system runs at once.
    #[arg(long)]
    threads: Option<u32>,
    /// Parts to measure; all if none is named.
    #[arg(long, value_enum)]
    part: Vec<Part>,
}

/// After what the next question is asked.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
enum Part {
    /// A long conversation.
    Long,
    /// Seven turns.
    Eighth,
}

type Fallible<T> = Result<T, Box<dyn std::error::Error>>;

fn main() -> ExitCode {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build();
    let measured = runtime
        .map_err(Into::into)
        .and_then(|runtime| runtime.block_on(measure(&TurnArgs::parse())));
    match measured {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            let _ = writeln!(std::io::stderr(), "error: {error}");
            ExitCode::FAILURE
        }
    }
}

async fn measure(arguments: &TurnArgs) -> Fallible<()> {
    let folder = tempfile::tempdir()?;
    let cores = || std::thread::available_parallelism().map_or(1, |count| count.get() as u32);
    let threads = arguments.threads.unwrap_or_else(cores);
    let config = Config {
        context: Some(CONTEXT),
        threads: Some(threads),
        ..Config::new(folder.path().to_string_lossy())
    };
    let mut sides = vec![Side::Nearside(Box::new(Nearside::new(config)?))];
    if !arguments.alone {
        sides.push(Side::Server(LlamaServer::start(
            arguments.model.as_ref(),
            CONTEXT,
            threads,
        )));
    }
    let bench = TurnBench {
        sides,
        model: arguments.model.clone(),
    };
    // Loads the model of the library, and warms up both.
    bench.ask_all(0, &vec![vec![ChatMessage::user("Hello.")]; 2], 8).await?;
    for part in Part::value_variants() {
        if !arguments.part.is_empty() && !arguments.part.contains(part) {
            continue;
        }
        match part {
            Part::Long => bench.measure_long(arguments).await?,
            Part::Eighth => bench.measure_eighth(arguments.pairs).await?,
        }
    }
    Ok(())
}

/// One of the two that are compared.
enum Side {
    Nearside(Box<Nearside>),
    Server(LlamaServer),
}

/// The beginning of an answer, and what it took.
#[derive(Debug, Clone, Default)]
struct FirstToken {
    text: String,
    /// Milliseconds from the request to the first text.
    ms: f64,
    cached_tokens: u32,
    read_tokens: u32,
    /// Milliseconds for computing the tokens that were read.
    read_ms: f64,
}

/// The answers of one side.
#[derive(Debug, Clone, Default)]
struct Measured {
    cold: Vec<f64>,
    warm: Vec<FirstToken>,
}

struct TurnBench {
    sides: Vec<Side>,
    model: String,
}

impl TurnBench {
    async fn measure_long(&self, arguments: &TurnArgs) -> Fallible<()> {
        let mut measured = vec![Measured::default(); self.sides.len()];
        for number in 0..arguments.conversations {
            let mut conversations = vec![long_conversation(number, arguments.tokens); self.sides.len()];
            for round in 0..=arguments.pairs + 1 {
                let first = self.ask_all(round, &conversations, 16).await?;
                for (at, first) in first.into_iter().enumerate() {
                    let messages = &mut conversations[at];
                    messages.push(ChatMessage::assistant(first.text.clone()));
                    messages.push(ChatMessage::user(QUESTIONS[(number + round) % QUESTIONS.len()]));
                    match round {
                        0 => measured[at].cold.push(first.ms),
                        // The first question warms up.
                        1 => {}
                        _ => measured[at].warm.push(first),
                    }
                }
            }
        }
        report("a long conversation", &measured)
    }

    async fn measure_eighth(&self, pairs: usize) -> Fallible<()> {
        let mut measured = vec![Measured::default(); self.sides.len()];
        for pair in 0..=pairs {
            let opening = ChatMessage::user(format!("This is talk {pair}. {}", QUESTIONS[0]));
            let mut conversations = vec![vec![opening]; self.sides.len()];
            for turn in 1..=8 {
                let first = self.ask_all(pair, &conversations, 64).await?;
                for (at, first) in first.into_iter().enumerate() {
                    conversations[at].push(ChatMessage::assistant(first.text.clone()));
                    conversations[at].push(ChatMessage::user(QUESTIONS[turn % QUESTIONS.len()]));
                    // The first conversation warms up.
                    if turn == 8 && pair > 0 {
                        measured[at].warm.push(first);
                    }
                }
            }
            for (at, messages) in conversations.iter_mut().enumerate().filter(|_| pair > 0) {
                // The eighth question again, after another beginning: nothing of it is in a cache.
                messages.truncate(messages.len() - 2);
                messages.insert(0, ChatMessage::system(format!("You are helper {pair}.")));
                measured[at].cold.push(self.ask(at, messages, 1).await?.ms);
            }
        }
        report("turn 8", &measured)
    }

    /// Asks each side for its conversation. Another one is the first with each round.
    async fn ask_all(&self, round: usize, all: &[Vec<ChatMessage>], max_tokens: u32) -> Fallible<Vec<FirstToken>> {
        let mut answers = vec![FirstToken::default(); self.sides.len()];
        for step in 0..self.sides.len() {
            let at = (round + step) % self.sides.len();
            answers[at] = self.ask(at, &all[at], max_tokens).await?;
        }
        Ok(answers)
    }

    async fn ask(&self, side: usize, messages: &[ChatMessage], max_tokens: u32) -> Fallible<FirstToken> {
        match &self.sides[side] {
            Side::Nearside(nearside) => {
                ask_nearside(nearside, greedy(self.model.as_ref(), messages.to_vec(), max_tokens)).await
            }
            Side::Server(server) => {
                let answer = server.chat(&to_openai(messages), max_tokens)?;
                Ok(FirstToken {
                    text: answer.text,
                    ms: answer.first_token_ms,
                    cached_tokens: answer.cached_tokens,
                    read_tokens: answer.read_tokens,
                    read_ms: answer.read_ms,
                })
            }
        }
    }
}

async fn ask_nearside(nearside: &Nearside, request: ChatRequest) -> Fallible<FirstToken> {
    let begun = Instant::now();
    let stream = nearside.chat(request);
    let mut first = FirstToken::default();
    loop {
        let batch = stream.next_batch().await?;
        if batch.is_empty() {
            return Err("an answer without an end".into());
        }
        for chunk in batch {
            match chunk {
                Chunk::Text { text } => {
                    if first.text.is_empty() {
                        first.ms = begun.elapsed().as_secs_f64() * 1000.0;
                    }
                    first.text.push_str(&text);
                }
                Chunk::Done { summary } => {
                    first.cached_tokens = summary.usage.cached_tokens;
                    first.read_tokens = summary.usage.prompt_tokens - summary.usage.cached_tokens;
                    first.read_ms = 1000.0 * f64::from(first.read_tokens) / summary.timings.prompt_tokens_per_second;
                    return Ok(first);
                }
                _ => {}
            }
        }
    }
}

fn to_openai(messages: &[ChatMessage]) -> Value {
    let each = messages.iter().map(|message| {
        let role = match message.role {
            MessageRole::System => "system",
            MessageRole::Assistant => "assistant",
            _ => "user",
        };
        let texts = message.parts.iter().filter_map(|part| match part {
            ContentPart::Text { text } => Some(text.as_str()),
            _ => None,
        });
        json!({ "role": role, "content": texts.collect::<String>() })
    });
    each.collect()
}

/// Returns a conversation of about so many tokens, which ends with a question.
fn long_conversation(number: usize, tokens: usize) -> Vec<ChatMessage> {
    let day = |day: usize| {
        let (place, goods) = (PLACES[day % PLACES.len()], GOODS[day / 2 % GOODS.len()]);
        format!(
            "On day {day} a boat from {place} brought {} loads of {goods}, and left in the evening with the tide. ",
            day * 7 % 90
        )
    };
    let mut messages = vec![ChatMessage::user(format!(
        "Let us keep log {number} of the harbour. What came first?"
    ))];
    for pair in 0..tokens / TOKENS_PER_PAIR {
        messages.push(ChatMessage::assistant(
            (0..4).map(|part| day(4 * pair + part)).collect::<String>(),
        ));
        messages.push(ChatMessage::user(format!(
            "I wrote this down as page {pair}. What came in the days after these, and from where?"
        )));
    }
    messages
}

fn report(name: &str, measured: &[Measured]) -> Fallible<()> {
    let median_of = |side: &Measured, value: fn(&FirstToken) -> f64| median(side.warm.iter().map(value).collect());
    for side in measured {
        if let Some(missed) = side
            .warm
            .iter()
            .find(|first| first.cached_tokens < 3 * first.read_tokens)
        {
            return Err(format!("{} tokens were read again", missed.read_tokens).into());
        }
    }
    let mut lines = String::new();
    for (side, name) in measured.iter().zip(["nearside", "llama-server"]) {
        let (ms, read_ms) = (
            median_of(side, |first| first.ms),
            median_of(side, |first| first.read_ms),
        );
        let cold = median(side.cold.clone());
        lines += &format!(
            "  {name:<12} first token {ms:7.1} ms, {:4.1} % of {cold:.0} ms for all of it without a cache; {:.0} tokens read in {read_ms:.1} ms, \
             {:.0} cached\n",
            100.0 * ms / cold,
            median_of(side, |first| f64::from(first.read_tokens)),
            median_of(side, |first| f64::from(first.cached_tokens)),
        );
    }
    if let [ours, theirs] = measured {
        let ratio = median_of(ours, |first| first.ms) / median_of(theirs, |first| first.ms);
        let pairs = ours.warm.iter().zip(&theirs.warm);
        let same = pairs.filter(|(ours, theirs)| ours.text == theirs.text).count();
        lines += &format!(
            "  ratio {ratio:.2}; the same text in {same} of {} answers\n",
            ours.warm.len()
        );
    }
    write!(std::io::stdout(), "a question after {name}:\n{lines}")?;
    Ok(())
}

fn median(mut values: Vec<f64>) -> f64 {
    values.sort_by(f64::total_cmp);
    values.get(values.len() / 2).copied().unwrap_or_default()
}

/// The context that SmolLM2 was trained for.
const CONTEXT: u32 = 8192;
/// Tokens of an answer of four days and its question in SmolLM2's vocabulary, with the marks around them.
const TOKENS_PER_PAIR: usize = 150;
const PLACES: [&str; 5] = [
    "the north",
    "the islands",
    "the other shore",
    "the river",
    "the old town",
];
const GOODS: [&str; 7] = ["salt", "timber", "wool", "apples", "paper", "iron", "glass"];
/// Of about 30 tokens each.
const QUESTIONS: [&str; 8] = [
    "Now tell me in one or two short sentences what a person could do in a small harbour town on a quiet and rainy day in autumn.",
    "Which of these things would you do first if you had only one hour before the last boat leaves, and why this one and no other?",
    "How would you explain the way from the harbour to the market to a visitor who has never been in this town and reads no maps?",
    "What should somebody bring along for such a day, if it may rain in the morning and the sun may shine in the afternoon again?",
    "Please name two things that a child of seven years would like about it, and one thing that would be too long or too dull.",
    "What would change about your answer if the visit were in the middle of the winter, with snow on the roofs and ice on the water?",
    "Could you say the same again, but for a reader who is in a great hurry and wants to know only the most important part of it?",
    "And what would you ask the people who live there, if you could ask each of them only one question before you have to leave?",
];
