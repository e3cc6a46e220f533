//! `kill -9` in the middle of a streamed answer, fifty times: the conversation opens, holds all but at most the last
//! second, and goes on.

#![cfg(unix)]
#![allow(clippy::expect_used, reason = "a step that fails is a test that fails")]

use std::io::{BufRead, BufReader};
use std::path::Path;
use std::process::{Command, Stdio};
use std::thread;
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use nearside::chat::{ChatRequest, Chunk, ConversationSettings, Limits, MessageState};
use nearside::{Config, Nearside};
use nearside_tests::{models, small};

const KILLS: u64 = 50;
/// Most lives must end in the middle of an answer, or the test would show little.
const IN_THE_MIDDLE: u64 = 40;

/// What a life said: the words with their moments, and whether it came to its end.
#[derive(Default)]
struct Said {
    words: Vec<(u128, String)>,
    done: bool,
    killed_at: u128,
}

fn now_ms() -> u128 {
    SystemTime::now()
        .duration_since(UNIX_EPOCH)
        .expect("after 1970")
        .as_millis()
}

/// Lets a process answer, and kills it some moments after its first words.
fn live_and_die(directory: &Path, model: &str, conversation: u64, moments: u64) -> Said {
    let mut child = Command::new(env!("CARGO_BIN_EXE_nearside-teller"))
        .args(["--directory".as_ref(), directory.as_os_str()])
        .args(["--model", model, "--conversation", &conversation.to_string()])
        .args([
            "--say",
            "Tell me a very long story about a lighthouse keeper and the sea, in many chapters.",
        ])
        .stdin(Stdio::null())
        .stdout(Stdio::piped())
        .spawn()
        .expect("the program starts");
    let mut lines = BufReader::new(child.stdout.take().expect("a pipe")).lines();
    let mut said = Said::default();
    let hear = |said: &mut Said, line: String| match line.splitn(3, ' ').collect::<Vec<_>>()[..] {
        ["text", at, words] => said.words.push((
            at.parse().expect("a moment"),
            serde_json::from_str(words).expect("words"),
        )),
        ["done"] => said.done = true,
        ["started"] => {}
        _ => panic!("a line that is none: {line}"),
    };
    while said.words.is_empty() {
        hear(
            &mut said,
            lines.next().expect("it answers before it ends").expect("a line"),
        );
    }
    // The moment itself is what is tested: no signal could choose it.
    thread::sleep(Duration::from_millis(moments));
    said.killed_at = now_ms();
    child.kill().expect("killed");
    child.wait().expect("gone");
    for line in lines {
        // The last line may be half a line.
        let line = line.expect("a line");
        if line.starts_with("text") && serde_json::from_str::<String>(line.splitn(3, ' ').nth(2).unwrap_or("")).is_err()
        {
            continue;
        }
        hear(&mut said, line);
    }
    said
}

#[test]
fn a_kill_in_the_middle_of_an_answer_loses_at_most_a_second_and_the_conversation_goes_on() {
    let folder = tempfile::tempdir().expect("a folder");
    let model = models::path("smollm2.gguf").to_string_lossy().into_owned();
    let open = || Nearside::new(Config::new(folder.path().to_string_lossy())).expect("the library opens");
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()
        .expect("a runtime");
    let mut noise = small::noise(5);
    let (mut middle, mut worst) = (0, Duration::ZERO);
    for life in 0..KILLS {
        let nearside = open();
        let conversations = nearside.conversations().expect("they open");
        let settings = ConversationSettings {
            model: Some(model.clone()),
            ..ConversationSettings::default()
        };
        let id = runtime.block_on(conversations.create(settings)).expect("created").id;
        drop((conversations, nearside));

        let moments = u64::from(noise.next().unwrap_or_default()) * 6;
        let said = live_and_die(folder.path(), &model, id, moments);

        let nearside = open();
        let conversations = nearside.conversations().expect("they open after a kill");
        let opened = runtime.block_on(conversations.open(id)).expect("it opens after a kill");
        assert_eq!(opened.messages.len(), 2, "life {life}");
        let kept = &opened.messages[1];
        let heard: String = said.words.iter().map(|(_, words)| words.as_str()).collect();
        assert!(
            heard.starts_with(&kept.text) || kept.text.starts_with(&heard),
            "life {life}: other words are kept"
        );
        if said.done {
            assert_eq!(
                kept.text, heard,
                "life {life}: an answer that was told to its end is whole"
            );
            continue;
        }
        assert!(
            matches!(kept.state, MessageState::Interrupted | MessageState::Done { .. }),
            "life {life}"
        );
        middle += 1;
        // The oldest word that was told and is not kept.
        let mut length = 0;
        let lost = said.words.iter().find(|(_, words)| {
            length += words.len();
            length > kept.text.len()
        });
        if let Some((at, _)) = lost {
            let age = Duration::from_millis(u64::try_from(said.killed_at.saturating_sub(*at)).unwrap_or(u64::MAX));
            worst = worst.max(age);
            assert!(
                age <= Duration::from_secs(1),
                "life {life} lost words that were {age:?} old"
            );
        }

        let rest = ChatRequest {
            limits: Limits {
                max_tokens: Some(4),
                ..Limits::default()
            },
            ..ChatRequest::default()
        };
        let more = runtime.block_on(async {
            let stream = conversations.resume(id, rest);
            let (mut more, mut done) = (String::new(), false);
            loop {
                let batch = stream.next_batch().await.expect("it goes on");
                if batch.is_empty() {
                    assert!(done, "life {life}: the answer ends");
                    return more;
                }
                for chunk in batch {
                    match chunk {
                        Chunk::Text { text } => more.push_str(&text),
                        Chunk::Done { .. } => done = true,
                        _ => {}
                    }
                }
            }
        });
        let whole = runtime.block_on(conversations.open(id)).expect("it opens");
        assert_eq!(whole.messages[1].text, format!("{}{more}", kept.text), "life {life}");
        assert!(matches!(whole.messages[1].state, MessageState::Done { .. }));
    }
    println!("{KILLS} kills, {middle} in the middle of an answer; the oldest word lost was {worst:?} old");
    assert!(
        middle >= IN_THE_MIDDLE,
        "only {middle} lives ended in the middle of an answer"
    );
    let nearside = open();
    let listed = runtime
        .block_on(nearside.conversations().expect("they open").list(None, 0))
        .expect("listed");
    assert_eq!(listed.len() as u64, KILLS);
}
