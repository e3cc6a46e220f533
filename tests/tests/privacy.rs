//! Words that nobody else writes, sent through the library with every log line kept: none of them may come back
//! anywhere but in the answer.

use std::io::Write;
use std::sync::{Arc, Mutex};

use nearside::chat::{ChatRequest, Chunk, Limits, Message, Part, Role, Sampling};
use nearside::{Config, Nearside};
use nearside_tests::models;

/// Everything that was logged, at every level.
#[derive(Clone, Default)]
struct Log(Arc<Mutex<Vec<u8>>>);

impl Write for Log {
    fn write(&mut self, bytes: &[u8]) -> std::io::Result<usize> {
        self.0.lock().expect("no panic holds it").extend_from_slice(bytes);
        Ok(bytes.len())
    }

    fn flush(&mut self) -> std::io::Result<()> {
        Ok(())
    }
}

const CANARIES: [&str; 4] = ["zyxprompt", "zyxsystem", "zyxstop", "zyxtool"];

fn request(words: &str) -> ChatRequest {
    ChatRequest {
        model: Some(models::path("smollm2.gguf").to_string_lossy().into_owned()),
        sampling: Sampling {
            temperature: Some(0.0),
            stop: vec!["zyxstop".into()],
            ..Sampling::default()
        },
        limits: Limits { max_tokens: Some(12) },
        ..ChatRequest::new(vec![
            Message::system("zyxsystem"),
            Message::user(format!("Say zyxprompt. {words}")),
        ])
    }
}

/// The answer's text, or the error's.
async fn answer(nearside: &Nearside, request: ChatRequest) -> Result<String, String> {
    let stream = nearside.chat(request);
    let mut text = String::new();
    loop {
        let batch = stream.next_batch().await.map_err(|error| error.to_string())?;
        if batch.is_empty() {
            return Ok(text);
        }
        for chunk in batch {
            if let Chunk::Text { text: words } = chunk {
                text.push_str(&words);
            }
        }
    }
}

#[tokio::test]
async fn no_prompt_or_answer_is_in_any_log_or_error() {
    let log = Log::default();
    let writer = log.clone();
    let subscriber = tracing_subscriber::fmt()
        .with_max_level(tracing::Level::TRACE)
        .with_ansi(false)
        .with_writer(move || writer.clone())
        .finish();
    tracing::subscriber::set_global_default(subscriber).expect("the only subscriber of this program");

    let folder = tempfile::tempdir().expect("a folder");
    let config = Config {
        context: Some(256),
        ..Config::new(folder.path().to_string_lossy())
    };
    let nearside = Nearside::new(config).expect("the library opens");
    let said = answer(&nearside, request("")).await.expect("an answer");

    let mut errors = Vec::new();
    errors.push(
        answer(&nearside, request(&"zyxprompt ".repeat(300)))
            .await
            .expect_err("too long"),
    );
    let broken = Part::ToolCall {
        id: "1".into(),
        name: "zyxtool".into(),
        arguments: "{zyxtool".into(),
    };
    let mut tools = request("");
    tools.messages.push(Message {
        role: Role::Assistant,
        parts: vec![broken],
    });
    errors.push(answer(&nearside, tools).await.expect_err("broken arguments"));
    nearside.unload().await.expect("unloads");
    drop(nearside);

    let logged = String::from_utf8(log.0.lock().expect("no panic holds it").clone()).expect("text");
    assert!(logged.contains("model loaded"), "the log was kept: {logged}");
    for place in errors.iter().chain([&logged]) {
        for canary in CANARIES {
            assert!(!place.contains(canary), "`{canary}` is in: {place}");
        }
    }
    let beginning: String = said.chars().take(20).collect();
    assert!(
        beginning.is_empty() || !logged.contains(&beginning),
        "the answer is in the log"
    );
    for entry in walk(folder.path()) {
        let bytes = std::fs::read(&entry).expect("a file");
        let text = String::from_utf8_lossy(&bytes);
        assert!(
            CANARIES.iter().all(|canary| !text.contains(canary)),
            "{}",
            entry.display()
        );
    }
}

fn walk(folder: &std::path::Path) -> Vec<std::path::PathBuf> {
    let mut found = Vec::new();
    for entry in std::fs::read_dir(folder).expect("a folder").flatten() {
        let path = entry.path();
        if path.is_dir() {
            found.extend(walk(&path))
        } else {
            found.push(path)
        }
    }
    found
}
