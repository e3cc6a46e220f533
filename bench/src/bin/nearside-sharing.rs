//! `nearside-sharing`: measures what answers share. Two models that answer at once on the same cores, each against itself
//! alone; an answer and a long prompt beside a process that keeps one core busy; an answer beside one that is not read; three
//! conversations in turn on one model, each turn's prefill against that of the first turn; and a conversation that goes on after
//! a restart, against reading it. Prints medians.
//!
//!   nearside-sharing MODEL [--rounds N] [--threads N] [--part PART]...

use std::io::{Read, Write};
use std::path::Path;
use std::process::{Child, Command, ExitCode, Stdio};
use std::time::Instant;

use clap::{Parser, ValueEnum};
use nearside::chat::{AnswerSummary, ChatMessage, ChatRequest, ChatStream, Chunk, ConversationSettings, RequestLimits};
use nearside::{Config, Nearside};

/// Measures what answers share.
#[derive(Debug, Parser)]
struct SharingArgs {
    /// The model's file.
    #[arg(required_unless_present = "burn")]
    model: Option<String>,
    /// Interleaved pairs, and turns of each conversation.
    #[arg(long, default_value_t = 5)]
    rounds: usize,
    /// Compute threads.
    #[arg(long)]
    threads: Option<u32>,
    /// Parts to measure; all if none is named.
    #[arg(long, value_enum)]
    part: Vec<Part>,
    /// Keeps one core busy until its input ends, and measures nothing.
    #[arg(long, hide = true)]
    burn: bool,
}

/// With what an answer shares the machine.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
enum Part {
    /// Another model of this process.
    Model,
    /// Another process.
    Process,
    /// An answer of the same model that is not read.
    Unread,
    /// Other conversations with the same model.
    Conversations,
    /// An earlier run of the library.
    Restart,
}

type Fallible<T> = Result<T, Box<dyn std::error::Error>>;

fn main() -> ExitCode {
    let arguments = SharingArgs::parse();
    if arguments.burn {
        burn();
        return ExitCode::SUCCESS;
    }
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build();
    let measured = runtime
        .map_err(Into::into)
        .and_then(|runtime| runtime.block_on(measure(&arguments)));
    match measured {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            let _ = writeln!(std::io::stderr(), "error: {error}");
            ExitCode::FAILURE
        }
    }
}

/// Computes until the input ends, which it does with the process that started this one.
fn burn() {
    std::thread::spawn(|| {
        let _ = std::io::stdin().read(&mut [0]);
        std::process::exit(0);
    });
    let mut number = 1_u64;
    loop {
        number = std::hint::black_box(number.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1));
    }
}

/// A process that keeps one core busy. Ends when it is dropped.
struct BusyProcess(Child);

impl BusyProcess {
    fn start() -> Fallible<Self> {
        let program = std::env::current_exe()?;
        let child = Command::new(program).arg("--burn").stdin(Stdio::piped()).spawn()?;
        Ok(Self(child))
    }
}

impl Drop for BusyProcess {
    fn drop(&mut self) {
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

async fn measure(arguments: &SharingArgs) -> Fallible<()> {
    let folder = tempfile::tempdir()?;
    let config = Config {
        context: Some(4096),
        threads: arguments.threads,
        ..Config::new(folder.path().to_string_lossy())
    };
    let bench = SharingBench {
        nearside: Nearside::new(config)?,
        model: arguments.model.clone().unwrap_or_default(),
        rounds: arguments.rounds,
    };
    // The first answer loads the model.
    bench.ask(STORY, 1).await?;
    for part in Part::value_variants() {
        if !arguments.part.is_empty() && !arguments.part.contains(part) {
            continue;
        }
        match part {
            // Another path is another engine.
            Part::Model => bench.measure_two_at_once(&folder.path().join("twin.gguf")).await?,
            Part::Process => bench.measure_beside_process().await?,
            Part::Unread => bench.measure_beside_unread().await?,
            Part::Conversations => bench.measure_conversations().await?,
            Part::Restart => bench.measure_restart(arguments.threads).await?,
        }
    }
    Ok(())
}

struct SharingBench {
    nearside: Nearside,
    model: String,
    rounds: usize,
}

impl SharingBench {
    async fn measure_two_at_once(&self, twin: &Path) -> Fallible<()> {
        std::fs::copy(&self.model, twin)?;
        let twin = twin.to_string_lossy().into_owned();
        let story = || vec![ChatMessage::user(STORY)];
        finish(&self.start(&twin, story(), 1)).await?;
        let (mut alone, mut first, mut second) = (vec![], vec![], vec![]);
        for _ in 0..self.rounds {
            alone.push(self.ask(STORY, 128).await?.timings.tokens_per_second);
            let streams = [&self.model, &twin].map(|model| self.start(model, story(), 128));
            let (one, other) = tokio::try_join!(finish(&streams[0]), finish(&streams[1]))?;
            first.push(one.timings.tokens_per_second);
            second.push(other.timings.tokens_per_second);
        }
        print("two at once", &alone, &first)?;
        print("the other one", &alone, &second)
    }

    async fn measure_beside_process(&self) -> Fallible<()> {
        let [mut alone, mut beside] = [Speeds::default(), Speeds::default()];
        for round in 0..self.rounds {
            self.measure_speeds(2 * round, &mut alone).await?;
            let _busy = BusyProcess::start()?;
            self.measure_speeds(2 * round + 1, &mut beside).await?;
        }
        print("decoding beside a busy process", &alone.decode, &beside.decode)?;
        print("prefill beside a busy process", &alone.prefill, &beside.prefill)
    }

    async fn measure_speeds(&self, number: usize, speeds: &mut Speeds) -> Fallible<()> {
        // No two prompts have the same beginning.
        let list = (0..180).map(|n| format!("item {n} of {number} is here; "));
        let text = format!("{number}: {}", list.collect::<String>());
        let summary = self.ask(&text, 1).await?;
        speeds.prefill.push(summary.timings.prompt_tokens_per_second);
        speeds
            .decode
            .push(self.ask(STORY, 128).await?.timings.tokens_per_second);
        Ok(())
    }

    async fn measure_beside_unread(&self) -> Fallible<()> {
        let (mut alone, mut beside) = (vec![], vec![]);
        for _ in 0..self.rounds {
            alone.push(self.ask(STORY, 128).await?.timings.tokens_per_second);
            let _unread = self.start(&self.model, vec![ChatMessage::user(STORY)], 512);
            beside.push(self.ask(STORY, 128).await?.timings.tokens_per_second);
        }
        print("decoding beside an unread answer", &alone, &beside)
    }

    async fn measure_conversations(&self) -> Fallible<()> {
        let text: String = (0..150).map(|n| format!("item {n} is here; ")).collect();
        let mut all =
            ["one", "two", "three"].map(|name| vec![ChatMessage::user(format!("This is list {name}: {text}"))]);
        let (mut cold, mut warm) = (vec![], vec![]);
        for round in 0..=self.rounds {
            for messages in &mut all {
                let summary = finish(&self.start(&self.model, messages.clone(), 16)).await?;
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

    /// A conversation of 1,800 tokens, the end of the library, and a question of 30 tokens to the next library object.
    async fn measure_restart(&self, threads: Option<u32>) -> Fallible<()> {
        let folder = tempfile::tempdir()?;
        let open = || {
            Nearside::new(Config {
                context: Some(4096),
                threads,
                ..Config::new(folder.path().to_string_lossy())
            })
        };
        let list: String = (0..200).map(|n| format!("Item {n} is a boat. ")).collect();
        let question = "Now answer in one short sentence: what would you do with one of them in the summer?";
        let (mut cold, mut warm, mut end_ms, mut bytes) = (vec![], vec![], vec![], 0);
        for round in 0..self.rounds {
            let nearside = open()?;
            let request = |text: &str, max_tokens| request(&self.model, vec![ChatMessage::user(text)], max_tokens);
            // Loads the model.
            finish(&nearside.chat(request("Hello.", 1))).await?;
            let conversations = nearside.conversations();
            let id = conversations.create(ConversationSettings::default()).await?.id;
            let first = request(&format!("List {round}. {list}"), 16);
            cold.push(finish(&conversations.send(id, first)).await?.timings.first_token_ms);
            let ending = Instant::now();
            nearside.shut_down().await?;
            end_ms.push(ending.elapsed().as_secs_f64() * 1000.0);
            bytes = std::fs::read_dir(folder.path().join("states"))?
                .filter_map(|entry| entry.ok()?.metadata().ok())
                .map(|file| file.len())
                .sum();
            drop(nearside);

            let nearside = open()?;
            finish(&nearside.chat(request("Hello.", 1))).await?;
            let answer = finish(&nearside.conversations().send(id, request(question, 16))).await?;
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

    /// Asks and waits for the end.
    async fn ask(&self, text: &str, max_tokens: u32) -> Fallible<AnswerSummary> {
        finish(&self.start(&self.model, vec![ChatMessage::user(text)], max_tokens)).await
    }

    fn start(&self, model: &str, messages: Vec<ChatMessage>, max_tokens: u32) -> ChatStream {
        self.nearside.chat(request(model, messages, max_tokens))
    }
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

/// Tokens per second of several answers.
#[derive(Debug, Default)]
struct Speeds {
    prefill: Vec<f64>,
    decode: Vec<f64>,
}

async fn finish(stream: &ChatStream) -> Fallible<AnswerSummary> {
    loop {
        let batch = stream.next_batch().await?;
        match batch.into_iter().last() {
            Some(Chunk::Done { summary }) => return Ok(summary),
            Some(_) => {}
            None => return Err("an answer without an end".into()),
        }
    }
}

fn print(name: &str, alone: &[f64], shared: &[f64]) -> Fallible<()> {
    let (alone, shared) = (median(alone), median(shared));
    writeln!(
        std::io::stdout(),
        "{name}: {shared:.1} tokens/s, {alone:.1} alone ({:.2})",
        shared / alone
    )?;
    Ok(())
}

fn median(values: &[f64]) -> f64 {
    let mut sorted = values.to_vec();
    sorted.sort_by(f64::total_cmp);
    sorted.get(sorted.len() / 2).copied().unwrap_or_default()
}

const STORY: &str = "Tell a long story about the sea.";
