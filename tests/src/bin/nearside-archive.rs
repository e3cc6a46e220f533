//! `nearside-archive`: measures list, search and open on ten thousand conversations of two hundred messages.
//!
//! Fills `conversations.db`, a conversation in each call, then measures the calls of an app. The first call opens the file,
//! and migrates one of an earlier release.
//! Word frequencies follow Zipf's law, so that there are common and rare words. Prints a line per figure: median and
//! slowest.

#![allow(clippy::expect_used, reason = "a measurement that fails must fail at once")]

use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use clap::Parser;
use nearside::chat::{ChatMessage, ConversationSettings, Sensitivity};
use nearside::state::{AnswerDraft, Archive, Turn};
use nearside::{Config, Conversations, Nearside};

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
    /// Fills it with Chinese, which has no spaces between words.
    #[arg(long)]
    chinese: bool,
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
    let opened = Instant::now();
    let is_empty = conversations.list(Some(1), 0).await.expect("listed").is_empty();
    println!("opened in {:.0} ms", opened.elapsed().as_secs_f64() * 1000.0);
    if is_empty {
        let begun = Instant::now();
        fill(&directory, &args);
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

    let chinese = [
        ("search, one common character", "七"),
        ("search, two characters", "一丁"),
        ("search, four characters", "一丁一丁"),
        ("search, nothing", "龍龍"),
    ];
    let spaced = [
        ("search, the commonest word", "w1"),
        ("search, two common words", "w1 w2"),
        ("search, a rare word", "w17111"),
        ("search, the beginning of a word", "w1711"),
        ("search, one letter", "w"),
        ("search, nothing", "zebra"),
    ];
    let queries = if args.chinese { &chinese[..] } else { &spaced[..] };
    for (name, query) in queries {
        let mut figures = Vec::new();
        for _ in 0..times {
            let begun = Instant::now();
            conversations.search((*query).to_owned(), 50).await.expect("searched");
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

fn fill(directory: &Path, args: &ArchiveArgs) {
    let archive = Archive::open_in(directory).expect("the archive opens");
    let mut words = WordGenerator { state: 1, args };
    for _ in 0..args.conversations {
        let conversation = archive.create(&ConversationSettings::default()).expect("created").id;
        let message = |at: u32, text| match at % 2 {
            0 => ChatMessage::user(text),
            _ => ChatMessage::assistant(text),
        };
        let messages = (0..args.messages.saturating_sub(1)).map(|at| message(at, words.sentence()));
        let turn = Turn::Next(messages.collect());
        let pending = archive
            .begin(conversation, &turn, Sensitivity::default())
            .expect("stored");
        let last = AnswerDraft {
            text: words.sentence(),
            ..AnswerDraft::default()
        };
        archive.save(pending.answer, &last).expect("saved");
    }
}

/// Reproducible random words: a linear congruential generator (Knuth's MMIX constants).
struct WordGenerator<'a> {
    state: u64,
    args: &'a ArchiveArgs,
}

impl WordGenerator<'_> {
    fn sentence(&mut self) -> String {
        let words: Vec<String> = (0..MESSAGE_WORDS).map(|_| self.word()).collect();
        words.join(if self.args.chinese { "" } else { " " })
    }

    /// A word, or two ideographs of one of the same number of words.
    fn word(&mut self) -> String {
        let rank = self.rank();
        if !self.args.chinese {
            return format!("w{rank}");
        }
        let ideograph = |number: u32| char::from_u32(0x4e00 + number % 3_000).unwrap_or('一');
        [ideograph(rank), ideograph(rank * 7 + 1)].iter().collect()
    }

    /// Draws the rank of a word: the n-th is 1/n as frequent as the first.
    fn rank(&mut self) -> u32 {
        self.state = self
            .state
            .wrapping_mul(6_364_136_223_846_793_005)
            .wrapping_add(1_442_695_040_888_963_407);
        let even = (self.state >> 11) as f64 / (1_u64 << 53) as f64;
        VOCABULARY.powf(even) as u32
    }
}
