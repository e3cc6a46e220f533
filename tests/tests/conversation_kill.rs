//! `kill -9` during a streamed answer, fifty times: the conversation opens, contains all but at most the last second, and
//! can be resumed.

#![cfg(unix)]
#![allow(clippy::expect_used, reason = "a step that fails is a test that fails")]

use std::io::{BufRead, BufReader};
use std::path::Path;
use std::process::{Command, Stdio};
use std::thread;
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use nearside::chat::{ChatRequest, Chunk, ConversationSettings, MessageState, RequestLimits};
use nearside::{Config, Nearside};
use nearside_tests::{models, tiny_models};

const KILLS: u64 = 50;
/// Minimum number of kills during an answer, so that the test is meaningful.
const MIN_INTERRUPTED: u64 = 40;

/// The output of one process: texts with their times, and whether the answer ended.
#[derive(Default)]
struct ConversationRun {
    texts: Vec<(u128, String)>,
    done: bool,
    killed_at: u128,
}

fn now_ms() -> u128 {
    SystemTime::now()
        .duration_since(UNIX_EPOCH)
        .expect("after 1970")
        .as_millis()
}

/// Starts a process that answers, and kills it `delay_ms` after its first text.
fn run_and_kill(directory: &Path, model: &str, conversation: u64, delay_ms: u64) -> ConversationRun {
    let mut child = Command::new(env!("CARGO_BIN_EXE_nearside-conversation-writer"))
        .args(["--directory".as_ref(), directory.as_os_str()])
        .args(["--model", model, "--conversation", &conversation.to_string()])
        .args([
            "--prompt",
            "Tell me a very long story about a lighthouse keeper and the sea, in many chapters.",
        ])
        .stdin(Stdio::null())
        .stdout(Stdio::piped())
        .spawn()
        .expect("the program starts");
    let mut lines = BufReader::new(child.stdout.take().expect("a pipe")).lines();
    let mut run = ConversationRun::default();
    let parse_line = |run: &mut ConversationRun, line: String| match line.splitn(3, ' ').collect::<Vec<_>>()[..] {
        ["text", at, text] => run.texts.push((
            at.parse().expect("a moment"),
            serde_json::from_str(text).expect("a text"),
        )),
        ["done"] => run.done = true,
        ["started"] => {}
        _ => panic!("unexpected line: {line}"),
    };
    while run.texts.is_empty() {
        parse_line(
            &mut run,
            lines.next().expect("it answers before it ends").expect("a line"),
        );
    }
    // The random time of the kill is the point of the test, so no signal can replace the sleep.
    thread::sleep(Duration::from_millis(delay_ms));
    run.killed_at = now_ms();
    child.kill().expect("killed");
    child.wait().expect("gone");
    for line in lines {
        // The last line may be incomplete.
        let line = line.expect("a line");
        if line.starts_with("text") && serde_json::from_str::<String>(line.splitn(3, ' ').nth(2).unwrap_or("")).is_err()
        {
            continue;
        }
        parse_line(&mut run, line);
    }
    run
}

#[test]
fn a_kill_during_an_answer_loses_at_most_a_second_and_the_conversation_goes_on() {
    let folder = tempfile::tempdir().expect("a folder");
    let model = models::path("smollm2.gguf").to_string_lossy().into_owned();
    let open = || Nearside::new(Config::new(folder.path().to_string_lossy())).expect("the library opens");
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()
        .expect("a runtime");
    let mut noise = tiny_models::noise(5);
    let (mut interrupted, mut worst) = (0, Duration::ZERO);
    for round in 0..KILLS {
        let nearside = open();
        let conversations = nearside.conversations();
        let settings = ConversationSettings {
            model: Some(model.clone()),
            ..ConversationSettings::default()
        };
        let id = runtime.block_on(conversations.create(settings)).expect("created").id;
        drop((conversations, nearside));

        let delay_ms = u64::from(noise.next().unwrap_or_default()) * 6;
        let run = run_and_kill(folder.path(), &model, id, delay_ms);

        let nearside = open();
        let conversations = nearside.conversations();
        let opened = runtime.block_on(conversations.open(id)).expect("it opens after a kill");
        assert_eq!(opened.messages.len(), 2, "round {round}");
        let kept = &opened.messages[1];
        let sent: String = run.texts.iter().map(|(_, text)| text.as_str()).collect();
        assert!(
            sent.starts_with(&kept.text) || kept.text.starts_with(&sent),
            "round {round}: another text is stored"
        );
        if run.done {
            assert_eq!(kept.text, sent, "round {round}: a finished answer is complete");
            continue;
        }
        assert!(
            matches!(kept.state, MessageState::Interrupted | MessageState::Done { .. }),
            "round {round}"
        );
        interrupted += 1;
        // The oldest text that was sent and is not stored.
        let mut length = 0;
        let lost = run.texts.iter().find(|(_, text)| {
            length += text.len();
            length > kept.text.len()
        });
        if let Some((at, _)) = lost {
            let age = Duration::from_millis(u64::try_from(run.killed_at.saturating_sub(*at)).unwrap_or(u64::MAX));
            worst = worst.max(age);
            assert!(
                age <= Duration::from_secs(1),
                "round {round} lost text that was {age:?} old"
            );
        }

        let rest = ChatRequest {
            limits: RequestLimits {
                max_tokens: Some(4),
                ..RequestLimits::default()
            },
            ..ChatRequest::default()
        };
        let more = runtime.block_on(async {
            let stream = conversations.resume(id, rest);
            let (mut more, mut done) = (String::new(), false);
            loop {
                let batch = stream.next_batch().await.expect("it goes on");
                if batch.is_empty() {
                    assert!(done, "round {round}: the answer ends");
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
        assert_eq!(whole.messages[1].text, format!("{}{more}", kept.text), "round {round}");
        assert!(matches!(whole.messages[1].state, MessageState::Done { .. }));
    }
    println!("{KILLS} kills, {interrupted} during an answer; the oldest lost text was {worst:?} old");
    assert!(
        interrupted >= MIN_INTERRUPTED,
        "only {interrupted} kills came during an answer"
    );
    let nearside = open();
    let listed = runtime
        .block_on(nearside.conversations().list(None, 0))
        .expect("listed");
    assert_eq!(listed.len() as u64, KILLS);
}
