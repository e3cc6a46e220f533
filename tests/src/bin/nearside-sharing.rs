//! `nearside-sharing`: measures what answers share. Two models that answer at once on the same cores, each against itself
//! alone; three conversations in turn on one model, each turn's prefill against that of the first turn; and a conversation that
//! goes on after a restart, against reading it. Prints medians.
//!
//!   nearside-sharing MODEL [--rounds N] [--threads N]

use std::io::Write;
use std::path::Path;
use std::process::ExitCode;
use std::time::Instant;

use clap::Parser;
use nearside::chat::{AnswerSummary, ChatMessage, ChatRequest, ChatStream, Chunk, ConversationSettings, RequestLimits};
use nearside::{Config, Nearside};

/// Measures what answers share.
#[derive(Debug, Parser)]
struct SharingArgs {
    /// The model's file.
    model: String,
    /// Interleaved pairs, and turns of each conversation.
    #[arg(long, default_value_t = 5)]
    rounds: usize,
    /// Compute threads.
    #[arg(long)]
    threads: Option<u32>,
}

type Fallible<T> = Result<T, Box<dyn std::error::Error>>;

fn main() -> ExitCode {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build();
    let measured = runtime
        .map_err(Into::into)
        .and_then(|runtime| runtime.block_on(measure(&SharingArgs::parse())));
    match measured {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            let _ = writeln!(std::io::stderr(), "error: {error}");
            ExitCode::FAILURE
        }
    }
}

async fn measure(arguments: &SharingArgs) -> Fallible<()> {
    let folder = tempfile::tempdir()?;
    let config = Config {
        context: Some(4096),
        threads: arguments.threads,
        ..Config::new(folder.path().to_string_lossy())
    };
    let nearside = Nearside::new(config)?;
    // Another path is another engine.
    let twin = folder.path().join("twin.gguf");
    std::fs::copy(&arguments.model, &twin)?;
    measure_two_at_once(&nearside, arguments, &twin).await?;
    measure_conversations(&nearside, arguments).await?;
    measure_restart(arguments).await
}

/// A conversation of 1,800 tokens, the end of the library, and a question of 30 tokens to the next library object.
async fn measure_restart(arguments: &SharingArgs) -> Fallible<()> {
    let folder = tempfile::tempdir()?;
    let open = || {
        Nearside::new(Config {
            context: Some(4096),
            threads: arguments.threads,
            ..Config::new(folder.path().to_string_lossy())
        })
    };
    let list: String = (0..200).map(|n| format!("Item {n} is a boat. ")).collect();
    let question = "Now answer in one short sentence: what would you do with one of them in the summer?";
    let (mut cold, mut warm, mut end_ms, mut bytes) = (vec![], vec![], vec![], 0);
    for round in 0..arguments.rounds {
        let nearside = open()?;
        // Loads the model.
        ask(&nearside, &arguments.model, vec![ChatMessage::user("Hello.")], 1).await?;
        let conversations = nearside.conversations();
        let id = conversations.create(ConversationSettings::default()).await?.id;
        let first = request(
            &arguments.model,
            vec![ChatMessage::user(format!("List {round}. {list}"))],
            16,
        );
        cold.push(read(&conversations.send(id, first)).await?.timings.first_token_ms);
        let ending = Instant::now();
        nearside.shut_down().await?;
        end_ms.push(ending.elapsed().as_secs_f64() * 1000.0);
        bytes = std::fs::read_dir(folder.path().join("states"))?
            .filter_map(|entry| entry.ok()?.metadata().ok())
            .map(|file| file.len())
            .sum();
        drop(nearside);

        let nearside = open()?;
        ask(&nearside, &arguments.model, vec![ChatMessage::user("Hello.")], 1).await?;
        let next = request(&arguments.model, vec![ChatMessage::user(question)], 16);
        let answer = read(&nearside.conversations().send(id, next)).await?;
        if answer.usage.cached_tokens < 1000 {
            return Err("the conversation was read again".into());
        }
        warm.push(answer.timings.first_token_ms);
        nearside.conversations().delete(id).await?;
        nearside.shut_down().await?;
    }
    let [cold, warm, end_ms] = [cold, warm, end_ms].map(|values| median(&values));
    writeln!(
        std::io::stdout(),
        "after a restart: first token after {warm:.0} ms, {cold:.0} ms for a cold prefill ({:.3}); stored {:.0} MB in {end_ms:.0} ms",
        warm / cold,
        bytes as f64 / 1e6
    )?;
    Ok(())
}

async fn measure_two_at_once(nearside: &Nearside, arguments: &SharingArgs, twin: &Path) -> Fallible<()> {
    let twin = twin.to_string_lossy().into_owned();
    let question = || vec![ChatMessage::user("Tell a long story about the sea.")];
    let (mut alone, mut first, mut second) = (vec![], vec![], vec![]);
    for _ in 0..=arguments.rounds {
        alone.push(rate(&ask(nearside, &arguments.model, question(), 128).await?));
        let (one, other) = tokio::try_join!(
            ask(nearside, &arguments.model, question(), 128),
            ask(nearside, &twin, question(), 128)
        )?;
        first.push(rate(&one));
        second.push(rate(&other));
    }
    // The first pair loads the models.
    let [alone, first, second] = [alone, first, second].map(|rates| median(&rates[1..]));
    writeln!(
        std::io::stdout(),
        "two at once: {alone:.1} tokens/s alone, {first:.1} and {second:.1} beside each other ({:.2} and {:.2} of alone)",
        first / alone,
        second / alone
    )?;
    Ok(())
}

async fn measure_conversations(nearside: &Nearside, arguments: &SharingArgs) -> Fallible<()> {
    let text: String = (0..150).map(|n| format!("item {n} is here; ")).collect();
    let mut all = ["one", "two", "three"].map(|name| vec![ChatMessage::user(format!("This is list {name}: {text}"))]);
    let (mut cold, mut warm) = (vec![], vec![]);
    for round in 0..=arguments.rounds {
        for messages in &mut all {
            let summary = ask(nearside, &arguments.model, messages.clone(), 16).await?;
            let ms = summary.timings.first_token_ms;
            if round == 0 {
                cold.push(ms)
            } else {
                warm.push(ms)
            }
            messages.push(ChatMessage::assistant("It is a list."));
            messages.push(ChatMessage::user("How long is it?"));
        }
    }
    let (cold, warm) = (median(&cold), median(&warm));
    writeln!(
        std::io::stdout(),
        "three conversations in turn: first token after {cold:.0} ms in the first round, {warm:.0} ms later ({:.3})",
        warm / cold
    )?;
    Ok(())
}

async fn ask(nearside: &Nearside, model: &str, messages: Vec<ChatMessage>, max_tokens: u32) -> Fallible<AnswerSummary> {
    read(&nearside.chat(request(model, messages, max_tokens))).await
}

fn request(model: &str, messages: Vec<ChatMessage>, max_tokens: u32) -> ChatRequest {
    ChatRequest {
        model: Some(model.to_owned()),
        limits: RequestLimits {
            max_tokens: Some(max_tokens),
            ..RequestLimits::default()
        },
        ..ChatRequest::new(messages)
    }
}

async fn read(stream: &ChatStream) -> Fallible<AnswerSummary> {
    loop {
        let batch = stream.next_batch().await?;
        match batch.into_iter().last() {
            Some(Chunk::Done { summary }) => return Ok(summary),
            Some(_) => {}
            None => return Err("an answer without an end".into()),
        }
    }
}

fn rate(summary: &AnswerSummary) -> f64 {
    summary.timings.tokens_per_second
}

fn median(values: &[f64]) -> f64 {
    let mut sorted = values.to_vec();
    sorted.sort_by(f64::total_cmp);
    sorted.get(sorted.len() / 2).copied().unwrap_or_default()
}
