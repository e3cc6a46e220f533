//! `nearside-archive`: measures list, search and open on ten thousand conversations of two hundred messages.
//!
//! Fills `conversations.db` by SQL in one transaction (its triggers build the index), then measures the calls of an app.
//! Word frequencies follow Zipf's law, so that there are common and rare words. Prints a line per figure: median and
//! slowest.

#![allow(clippy::expect_used, reason = "a measurement that fails must fail at once")]

use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use clap::Parser;
use nearside::{Config, Conversations, Nearside};
use rusqlite::{Connection, params};

/// Measures a large archive of conversations.
#[derive(Parser)]
struct ArchiveArgs {
    /// Number of conversations.
    #[arg(long, default_value_t = 10_000)]
    conversations: u32,
    /// Messages per conversation.
    #[arg(long, default_value_t = 200)]
    messages: u32,
    /// Directory that keeps the archive for the next run. Unset: a temporary one.
    #[arg(long)]
    directory: Option<PathBuf>,
    /// Measurements per figure.
    #[arg(long, default_value_t = 20)]
    times: u32,
}

/// Words per message.
const MESSAGE_WORDS: u32 = 12;
/// Number of different words.
const VOCABULARY: f64 = 20_000.0;

#[tokio::main(flavor = "current_thread")]
async fn main() {
    let args = ArchiveArgs::parse();
    let temporary = tempfile::tempdir().expect("a folder");
    let directory = args.directory.clone().unwrap_or_else(|| temporary.path().to_owned());
    let nearside = Nearside::new(Config::new(directory.to_string_lossy())).expect("the library opens");
    let conversations = nearside.conversations();
    if conversations.list(Some(1), 0).await.expect("listed").is_empty() {
        let begun = Instant::now();
        fill(&directory.join("conversations.db"), &args);
        println!("written in {:.0} s", begun.elapsed().as_secs_f64());
    }
    let bytes = std::fs::metadata(directory.join("conversations.db"))
        .expect("the file")
        .len();
    println!(
        "{} conversations of {} messages, {} MB",
        args.conversations,
        args.messages,
        bytes / 1_000_000
    );
    measure(&conversations, &args).await;
}

async fn measure(conversations: &Conversations, args: &ArchiveArgs) {
    let times = args.times;
    let mut figures = Vec::new();
    for _ in 0..times {
        let begun = Instant::now();
        let listed = conversations.list(None, 0).await.expect("listed");
        figures.push(begun.elapsed());
        assert!(listed.len() as u32 >= args.conversations);
    }
    print_figure("list, all", figures, 50);

    for (name, query) in [
        ("search, the commonest word", "w1"),
        ("search, two common words", "w1 w2"),
        ("search, a rare word", "w17111"),
        ("search, the beginning of a word", "w1711"),
        ("search, one letter", "w"),
        ("search, nothing", "zebra"),
    ] {
        let mut figures = Vec::new();
        for _ in 0..times {
            let begun = Instant::now();
            conversations.search(query.to_owned(), 50).await.expect("searched");
            figures.push(begun.elapsed());
        }
        print_figure(name, figures, 100);
    }

    let mut figures = Vec::new();
    for n in 0..times {
        let id = u64::from(3 + n * (args.conversations / times.max(1)));
        let begun = Instant::now();
        let open = conversations.open(id).await.expect("it opens");
        figures.push(begun.elapsed());
        assert_eq!(open.messages.len() as u32, args.messages);
    }
    print_figure("open", figures, 20);
}

fn print_figure(name: &str, mut figures: Vec<Duration>, aim_ms: u64) {
    figures.sort();
    let ms = |time: Option<&Duration>| time.copied().unwrap_or_default().as_secs_f64() * 1000.0;
    let (median, slowest) = (ms(figures.get(figures.len() / 2)), ms(figures.last()));
    println!("{name:32} {median:8.2} ms, slowest {slowest:8.2} ms (aim: under {aim_ms})");
}

fn fill(path: &Path, args: &ArchiveArgs) {
    let mut file = Connection::open(path).expect("the file");
    let all = file.transaction().expect("a transaction");
    {
        let mut line = all
            .prepare(
                "INSERT INTO conversation (opening, preview, created_at, updated_at, messages, settings)
                 VALUES (?1, ?1, ?2, ?2, ?3, '{\"system\":null,\"model\":null,\"provider\":null,\"preset\":null}')",
            )
            .expect("a statement");
        let mut message = all
            .prepare(
                "INSERT INTO message (conversation, before, shown, role, text, created_at, state)
                 VALUES (?1, ?2, 1, ?3, ?4, ?5, '{\"type\":\"done\",\"stop\":\"end\"}')",
            )
            .expect("a statement");
        let mut words = WordGenerator(1);
        for n in 0..args.conversations {
            let at = i64::from(n) * 1000;
            line.execute(params![words.sentence(), at, args.messages])
                .expect("a row");
            let conversation = all.last_insert_rowid();
            let mut before: Option<i64> = None;
            for turn in 0..args.messages {
                let role = if turn % 2 == 0 { "\"user\"" } else { "\"assistant\"" };
                message
                    .execute(params![conversation, before, role, words.sentence(), at])
                    .expect("a row");
                before = Some(all.last_insert_rowid());
            }
        }
    }
    all.commit().expect("written");
}

/// Reproducible random words: a linear congruential generator (Knuth's MMIX constants).
struct WordGenerator(u64);

impl WordGenerator {
    fn sentence(&mut self) -> String {
        let words: Vec<String> = (0..MESSAGE_WORDS).map(|_| format!("w{}", self.rank())).collect();
        words.join(" ")
    }

    /// Draws the rank of a word: the n-th is 1/n as frequent as the first.
    fn rank(&mut self) -> u32 {
        self.0 = self
            .0
            .wrapping_mul(6_364_136_223_846_793_005)
            .wrapping_add(1_442_695_040_888_963_407);
        let even = (self.0 >> 11) as f64 / (1_u64 << 53) as f64;
        VOCABULARY.powf(even) as u32
    }
}
