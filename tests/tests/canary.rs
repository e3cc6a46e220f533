//! Words that nobody else writes, sent through every engine, every provider and every failure, with every log line of
//! every crate kept: none of them may come back anywhere but in the answer.
//!
//! Looked through are the log at its most talkative (the HTTP and TLS libraries included), the text and the `Debug` form
//! of every error, panic messages, and every file that the library wrote.

use std::io::Write;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex};

use nearside::chat::{ChatRequest, Chunk, Limits, Message, Mode, Output, Part, Role, Sampling, Tool};
use nearside::engine::remote::Secret;
use nearside::engine::{Script, ScriptStep};
use nearside::route::{Consent, Policy};
use nearside::{Config, ErrorKind, Nearside};
use nearside_tests::models;
use nearside_tests::provider::{Dialect, Provider, Scene, documented_errors};
use nearside_tests::remote::settings;

/// Every canary begins with this.
const CANARY: &str = "zyxcanary";
const KEY: &str = "sk-zyxcanarykey";

/// Everything that was logged or panicked, at every level.
#[derive(Clone, Default)]
struct Log(Arc<Mutex<Vec<u8>>>);

impl Log {
    fn text(&self) -> String {
        String::from_utf8_lossy(&self.0.lock().expect("no panic holds it")).into_owned()
    }
}

impl Write for Log {
    fn write(&mut self, bytes: &[u8]) -> std::io::Result<usize> {
        self.0.lock().expect("no panic holds it").extend_from_slice(bytes);
        Ok(bytes.len())
    }

    fn flush(&mut self) -> std::io::Result<()> {
        Ok(())
    }
}

/// What was told, and where it must not hold a canary.
#[derive(Default)]
struct Told {
    errors: Vec<String>,
    answers: usize,
}

impl Told {
    async fn ask(&mut self, nearside: &Nearside, request: ChatRequest) {
        let stream = nearside.chat(request);
        loop {
            match stream.next_batch().await {
                Ok(batch) if batch.is_empty() => return,
                Ok(batch) => self.answers += batch.iter().filter(|chunk| matches!(chunk, Chunk::Done { .. })).count(),
                Err(error) => {
                    assert_ne!(error.kind(), ErrorKind::Internal, "{error}");
                    return self.errors.push(format!("{error} {error:?}"));
                }
            }
        }
    }
}

fn canary(name: &str) -> String {
    format!("{CANARY}{name}")
}

fn request() -> ChatRequest {
    let call = Part::ToolCall {
        id: "1".into(),
        name: canary("tool"),
        arguments: format!(r#"{{"a":"{}"}}"#, canary("arguments")),
    };
    let result = Part::ToolResult {
        id: "1".into(),
        name: canary("tool"),
        content: canary("result"),
    };
    ChatRequest {
        sampling: Sampling {
            temperature: Some(0.0),
            stop: vec![canary("stop")],
            ..Sampling::default()
        },
        limits: Limits {
            max_tokens: Some(12),
            ..Limits::default()
        },
        tools: vec![Tool {
            name: canary("tool"),
            description: canary("description"),
            parameters: r#"{"type":"object"}"#.into(),
        }],
        ..ChatRequest::new(vec![
            Message::system(canary("system")),
            Message::user(format!("Say {}.", canary("prompt"))),
            Message {
                role: Role::Assistant,
                parts: vec![
                    Part::Reasoning {
                        text: canary("earlier"),
                    },
                    call,
                ],
            },
            Message {
                role: Role::Tool,
                parts: vec![result],
            },
        ])
    }
}

/// Requests that fail before anybody is asked.
fn broken() -> Vec<ChatRequest> {
    let mut arguments = request();
    arguments.messages[2].parts[1] = Part::ToolCall {
        id: "1".into(),
        name: canary("tool"),
        arguments: format!("{{{}", canary("broken")),
    };
    let mut schema = request();
    schema.output = Output::JsonSchema {
        schema: format!("{{{}", canary("schema")),
    };
    let mut parameters = request();
    parameters.tools[0].name = "tool".into();
    parameters.tools[0].parameters = canary("parameters");
    let long = ChatRequest::new(vec![Message::user(format!("{} ", canary("long")).repeat(400))]);
    vec![arguments, schema, parameters, long]
}

async fn on_the_device(folder: &Path, told: &mut Told) {
    let file = folder.join(canary("file.gguf"));
    std::os::unix::fs::symlink(models::path("smollm2.gguf"), &file).expect("a link");
    let config = Config {
        context: Some(512),
        ..Config::new(folder.join("device").to_string_lossy())
    };
    let nearside = Nearside::new(config).expect("the library opens");
    for one in [vec![request()], broken()].concat() {
        let here = ChatRequest {
            model: Some(file.to_string_lossy().into_owned()),
            mode: Mode::OnlyOnDevice,
            ..one
        };
        told.ask(&nearside, here).await;
    }
    nearside.unload().await.expect("unloads");
}

async fn from_a_script(folder: &Path, told: &mut Told) {
    let steps = vec![
        ScriptStep::Reasoning {
            text: canary("thought"),
        },
        ScriptStep::Text { text: canary("said") },
    ];
    let script = Script {
        steps,
        chunk_delay_ms: 0,
    };
    let config = Config::new(folder.join("scripted").to_string_lossy());
    let nearside = Nearside::scripted(config, script).expect("the library opens");
    told.ask(&nearside, request()).await;
}

async fn at_every_provider(folder: &Path, told: &mut Told) {
    for dialect in Dialect::ALL {
        let provider = Provider::builder(dialect).key(KEY).start().expect("a provider");
        let config = Config::new(folder.join(dialect.name()).to_string_lossy());
        let nearside = Nearside::new(config).expect("the library opens");
        let policy = Policy {
            allow_retention: true,
            allow_training: true,
            consent: Consent::Given,
            ..Policy::default()
        };
        nearside.set_policy(policy).await.expect("kept");
        let said = || canary("reply");
        let mut scenes = vec![
            Scene::plain(&said()),
            Scene::Reasoning {
                thoughts: canary("thought"),
                text: said(),
            },
            Scene::InlineThink {
                thoughts: canary("thought"),
                text: said(),
            },
            Scene::ToolCall {
                id: "2".into(),
                name: canary("tool"),
                arguments: format!(r#"{{"b":"{}"}}"#, canary("called")),
                thoughts: String::new(),
            },
            Scene::MidStreamError {
                text: said(),
                status: 503,
                code_is_a_word: false,
            },
            Scene::Truncated { text: said() },
            Scene::Unfinished { text: said() },
            Scene::BrokenJson { text: said() },
            Scene::Reset { text: said() },
            Scene::WrongContentType,
            Scene::Garbage,
        ];
        scenes.extend(documented_errors(dialect).into_iter().map(|error| {
            // A provider that quotes what it was asked, wherever it can.
            let body = error
                .body
                .to_string()
                .replace("\"message\":\"", &format!("\"message\":\"{} ", canary("quoted")));
            Scene::Refused {
                status: error.status,
                body: serde_json::from_str(&body).unwrap_or(error.body),
                retry_after: Some(3600),
            }
        }));
        for scene in scenes {
            // Set up anew each time, so that a circuit which three failures opened is closed again.
            let mut settings = settings(dialect, &provider.url());
            settings.model = Some(dialect.model().to_owned());
            nearside.add_provider(settings).await.expect("set up");
            nearside.set_key(dialect.name(), Secret::new(KEY));
            provider.otherwise(scene);
            let elsewhere = ChatRequest {
                mode: Mode::OnlyInCloud,
                ..request()
            };
            told.ask(&nearside, elsewhere).await;
        }
        nearside.set_key(dialect.name(), Secret::new("sk-zyxcanaryanother"));
        told.ask(
            &nearside,
            ChatRequest {
                mode: Mode::OnlyInCloud,
                ..request()
            },
        )
        .await;
        let listed = nearside.provider_models(dialect.name().to_owned()).await;
        told.errors.push(format!("{:?}", listed.err()));
        told.errors.push(format!("{:?}", nearside.providers().await));
        assert!(
            provider.chats()[0].to_string().contains(CANARY),
            "the canaries were sent"
        );
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn no_prompt_answer_or_key_is_in_any_log_error_or_file() {
    let log = Log::default();
    let (writer, panics) = (log.clone(), log.clone());
    let subscriber = tracing_subscriber::fmt()
        .with_max_level(tracing::Level::TRACE)
        .with_ansi(false)
        .with_writer(move || writer.clone());
    subscriber.init();
    let usual = std::panic::take_hook();
    std::panic::set_hook(Box::new(move |panic| {
        let _ = writeln!(panics.clone(), "{panic}");
        usual(panic);
    }));

    let folder = tempfile::tempdir().expect("a folder");
    let mut told = Told::default();
    on_the_device(folder.path(), &mut told).await;
    from_a_script(folder.path(), &mut told).await;
    at_every_provider(folder.path(), &mut told).await;

    let logged = log.text();
    assert!(
        logged.contains("model loaded") && logged.contains("hyper"),
        "the log was kept, of all crates"
    );
    assert!(
        told.answers > 20 && told.errors.len() > 100,
        "{} answers, {} errors",
        told.answers,
        told.errors.len()
    );
    println!(
        "{} answers, {} errors, {} KB of log",
        told.answers,
        told.errors.len(),
        logged.len() / 1000
    );
    for line in logged.lines().chain(told.errors.iter().map(String::as_str)) {
        assert!(!line.contains(CANARY) || is_the_file(line), "a canary is in: {line}");
    }
    for path in files(folder.path()) {
        let bytes = std::fs::read(&path).expect("a file");
        let found = bytes.windows(CANARY.len()).any(|window| window == CANARY.as_bytes());
        assert!(
            !found || is_the_state_of_a_file(&bytes),
            "a canary is in {}",
            path.display()
        );
    }
}

/// The path of a model's file is the app's own, and the one thing that errors and logs may name.
fn is_the_file(line: &str) -> bool {
    !line.replace("zyxcanaryfile.gguf", "").contains(CANARY)
}

fn is_the_state_of_a_file(bytes: &[u8]) -> bool {
    is_the_file(&String::from_utf8_lossy(bytes))
}

fn files(folder: &Path) -> Vec<PathBuf> {
    let mut found = Vec::new();
    for entry in std::fs::read_dir(folder).expect("a folder").flatten() {
        let path = entry.path();
        if entry.file_type().is_ok_and(|kind| kind.is_dir()) {
            found.extend(files(&path));
        } else if !path.is_symlink() {
            found.push(path);
        }
    }
    found
}
