//! Searches for leaks of private content: sends unique words (canaries) through every engine, provider and failure. They
//! may occur only in answers.
//!
//! Searches the log of all crates at level `TRACE` (including HTTP and TLS), the text and `Debug` form of every error,
//! panic messages, and every file that the library wrote. Stored conversations may be in their own file, until they are purged.

use std::io::Write;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex};

use nearside::chat::{
    ChatMessage, ChatRequest, ChatStream, Chunk, ContentPart, ConversationSettings, ConversationTurn, MessageRole,
    MessageState, OutputFormat, RequestLimits, RoutingMode, SamplingOptions, ToolDefinition,
};
use nearside::engine::remote::Secret;
use nearside::engine::{ReplyStep, ScriptedReply};
use nearside::route::{ConsentPolicy, RoutingPolicy};
use nearside::{Config, ErrorKind, Nearside};
use nearside_tests::models;
use nearside_tests::provider::{Dialect, Provider, Scenario, WireFormat, documented_errors};
use nearside_tests::remote::settings;

/// Prefix of every canary.
const CANARY: &str = "zyxcanary";
const KEY: &str = "sk-zyxcanarykey";

/// Log lines of every level and panic messages.
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

/// The errors and the number of answers; no error may contain a canary.
#[derive(Default)]
struct Outcomes {
    errors: Vec<String>,
    answers: usize,
}

impl Outcomes {
    async fn ask(&mut self, nearside: &Nearside, request: ChatRequest) {
        self.read(nearside.chat(request)).await;
    }

    async fn read(&mut self, stream: ChatStream) {
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
    let call = ContentPart::ToolCall {
        id: "1".into(),
        name: canary("tool"),
        arguments: format!(r#"{{"a":"{}"}}"#, canary("arguments")),
    };
    let result = ContentPart::ToolResult {
        id: "1".into(),
        name: canary("tool"),
        content: canary("result"),
    };
    ChatRequest {
        sampling: SamplingOptions {
            temperature: Some(0.0),
            stop: vec![canary("stop")],
            ..SamplingOptions::default()
        },
        limits: RequestLimits {
            max_tokens: Some(12),
            ..RequestLimits::default()
        },
        tools: vec![ToolDefinition {
            name: canary("tool"),
            description: canary("description"),
            parameters: r#"{"type":"object"}"#.into(),
        }],
        ..ChatRequest::new(vec![
            ChatMessage::system(canary("system")),
            ChatMessage::user(format!("Say {}.", canary("prompt"))),
            ChatMessage {
                role: MessageRole::Assistant,
                parts: vec![
                    ContentPart::Reasoning {
                        text: canary("earlier"),
                    },
                    call,
                ],
            },
            ChatMessage {
                role: MessageRole::Tool,
                parts: vec![result],
            },
        ])
    }
}

/// Returns requests that fail before they are sent.
fn invalid_requests() -> Vec<ChatRequest> {
    let mut arguments = request();
    arguments.messages[2].parts[1] = ContentPart::ToolCall {
        id: "1".into(),
        name: canary("tool"),
        arguments: format!("{{{}", canary("broken")),
    };
    let mut schema = request();
    schema.output = OutputFormat::JsonSchema {
        schema: format!("{{{}", canary("schema")),
    };
    let mut parameters = request();
    parameters.tools[0].name = "tool".into();
    parameters.tools[0].parameters = canary("parameters");
    let long = ChatRequest::new(vec![ChatMessage::user(format!("{} ", canary("long")).repeat(400))]);
    vec![arguments, schema, parameters, long]
}

async fn on_the_device(folder: &Path, outcomes: &mut Outcomes) {
    let file = folder.join(canary("file.gguf"));
    std::os::unix::fs::symlink(models::path("smollm2.gguf"), &file).expect("a link");
    let config = Config {
        context: Some(512),
        ..Config::new(folder.join("device").to_string_lossy())
    };
    let nearside = Nearside::new(config).expect("the library opens");
    // Its template shows it no tools: requests with them are rejected before it is loaded.
    let mut without_tools = [vec![request()], invalid_requests()].concat();
    without_tools.iter_mut().for_each(|request| request.tools.clear());
    for one in [vec![request()], invalid_requests(), without_tools].concat() {
        let here = ChatRequest {
            model: Some(file.to_string_lossy().into_owned()),
            mode: RoutingMode::OnlyOnDevice,
            ..one
        };
        outcomes.ask(&nearside, here).await;
    }
    nearside.unload(None).await.expect("unloads");
}

async fn from_a_script(folder: &Path, outcomes: &mut Outcomes) {
    let steps = vec![
        ReplyStep::Reasoning {
            text: canary("thought"),
        },
        ReplyStep::Text { text: canary("text") },
    ];
    let script = ScriptedReply {
        steps,
        chunk_delay_ms: 0,
    };
    let config = Config::new(folder.join("scripted").to_string_lossy());
    let nearside = Nearside::scripted(config, script).expect("the library opens");
    outcomes.ask(&nearside, request()).await;
}

/// Sends canaries through stored and temporary conversations, and purges the former.
async fn in_conversations(folder: &Path, outcomes: &mut Outcomes) {
    let data = folder.join("chats-data");
    let config = Config {
        data_directory: Some(data.to_string_lossy().into_owned()),
        ..Config::new(folder.join("chats").to_string_lossy())
    };
    let nearside = Nearside::new(config).expect("the library opens");
    let policy = RoutingPolicy {
        allow_retention: true,
        allow_training: true,
        consent: ConsentPolicy::Given,
        ..RoutingPolicy::default()
    };
    nearside.set_policy(policy).await.expect("stored");
    let dialect = Dialect::Groq;
    let provider = Provider::builder(dialect).key(KEY).start().expect("a provider");
    let mut settings = settings(dialect, &provider.url());
    settings.model = Some(dialect.model().to_owned());
    nearside.add_provider(settings).await.expect("set up");
    nearside.set_key(dialect.name(), Secret::new(KEY));
    let ask = |name: &str| ChatRequest {
        mode: RoutingMode::OnlyInCloud,
        ..ChatRequest::new(vec![ChatMessage::user(canary(name))])
    };
    let temporary = nearside.temporary_conversations().expect("memory");
    for (conversations, is_stored) in [(temporary, false), (nearside.conversations(), true)] {
        let settings = ConversationSettings {
            system: Some(canary("instructions")),
            ..ConversationSettings::default()
        };
        let id = conversations.create(settings).await.expect("created").id;
        conversations.rename(id, Some(canary("title"))).await.expect("renamed");
        for scenario in [
            Scenario::plain(&canary("reply")),
            Scenario::Truncated { text: canary("cut") },
            Scenario::Garbage,
        ] {
            provider.otherwise(scenario);
            outcomes.read(conversations.send(id, ask("question"))).await;
        }
        provider.otherwise(Scenario::plain(&canary("again")));
        let messages = conversations.open(id).await.expect("it opens").messages;
        outcomes
            .read(conversations.edit(id, messages[0].id, ask("edited")))
            .await;
        outcomes
            .read(conversations.regenerate(id, messages[1].id, ask("")))
            .await;
        conversations.search(canary("question"), 9).await.expect("searched");
        let turn = ConversationTurn::Edit {
            message: messages[0].id,
        };
        conversations.route(id, ask("edited"), turn).await.expect("decided");
        for message in &messages {
            outcomes.errors.extend(match &message.state {
                MessageState::Failed { error, .. } => Some(error.clone()),
                _ => None,
            });
        }
        let holding = files_with_a_canary(folder);
        let is_theirs = |path: &PathBuf| {
            let name = path.file_name().unwrap_or_default().to_string_lossy().into_owned();
            path.parent() == Some(&data) && name.starts_with("conversations.db")
        };
        assert_eq!(holding.is_empty(), !is_stored, "{holding:?}");
        assert!(holding.iter().all(is_theirs), "{holding:?}");
        conversations.delete(id).await.expect("deleted");
        conversations.purge().await.expect("purged");
    }
    nearside.shut_down().await.expect("ended");
}

async fn at_every_provider(folder: &Path, outcomes: &mut Outcomes) {
    for dialect in Dialect::ALL {
        let provider = Provider::builder(dialect).key(KEY).start().expect("a provider");
        let config = Config::new(folder.join(dialect.name()).to_string_lossy());
        let nearside = Nearside::new(config).expect("the library opens");
        let policy = RoutingPolicy {
            allow_retention: true,
            allow_training: true,
            consent: ConsentPolicy::Given,
            ..RoutingPolicy::default()
        };
        nearside.set_policy(policy).await.expect("kept");
        let text = || canary("reply");
        let mut scenarios = vec![
            Scenario::plain(&text()),
            Scenario::Reasoning {
                thoughts: canary("thought"),
                text: text(),
            },
            Scenario::InlineThink {
                thoughts: canary("thought"),
                text: text(),
            },
            Scenario::ToolCall {
                id: "2".into(),
                name: canary("tool"),
                arguments: format!(r#"{{"b":"{}"}}"#, canary("called")),
                thoughts: String::new(),
            },
            Scenario::MidStreamError {
                text: text(),
                status: 503,
                code_is_text: false,
            },
            Scenario::Truncated { text: text() },
            Scenario::Unfinished { text: text() },
            Scenario::BrokenJson { text: text() },
            Scenario::Reset { text: text() },
            Scenario::WrongContentType,
            Scenario::Garbage,
        ];
        scenarios.extend(documented_errors(dialect).into_iter().map(|error| {
            // The provider quotes the request in its error.
            let body = error
                .body
                .to_string()
                .replace("\"message\":\"", &format!("\"message\":\"{} ", canary("quoted")));
            Scenario::Refused {
                status: error.status,
                body: serde_json::from_str(&body).unwrap_or(error.body),
                retry_after: Some(3600),
            }
        }));
        for scenario in scenarios {
            // Set up again each time, which closes a circuit that three failures opened.
            let mut settings = settings(dialect, &provider.url());
            settings.model = Some(dialect.model().to_owned());
            nearside.add_provider(settings).await.expect("set up");
            nearside.set_key(dialect.name(), Secret::new(KEY));
            provider.otherwise(scenario);
            let remote = ChatRequest {
                mode: RoutingMode::OnlyInCloud,
                ..request()
            };
            outcomes.ask(&nearside, remote).await;
        }
        nearside.set_key(dialect.name(), Secret::new("sk-zyxcanaryanother"));
        outcomes
            .ask(
                &nearside,
                ChatRequest {
                    mode: RoutingMode::OnlyInCloud,
                    ..request()
                },
            )
            .await;
        let listed = nearside.provider_models(dialect.name().to_owned()).await;
        outcomes.errors.push(format!("{:?}", listed.err()));
        outcomes.errors.push(format!("{:?}", nearside.providers().await));
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
    let mut outcomes = Outcomes::default();
    on_the_device(folder.path(), &mut outcomes).await;
    from_a_script(folder.path(), &mut outcomes).await;
    in_conversations(folder.path(), &mut outcomes).await;
    at_every_provider(folder.path(), &mut outcomes).await;

    let logged = log.text();
    assert!(
        logged.contains("model loaded") && logged.contains("hyper"),
        "the log was kept, of all crates"
    );
    assert!(
        outcomes.answers > 20 && outcomes.errors.len() > 100,
        "{} answers, {} errors",
        outcomes.answers,
        outcomes.errors.len()
    );
    println!(
        "{} answers, {} errors, {} KB of log",
        outcomes.answers,
        outcomes.errors.len(),
        logged.len() / 1000
    );
    for line in logged.lines().chain(outcomes.errors.iter().map(String::as_str)) {
        assert!(
            !line.contains(CANARY) || names_only_the_file(line),
            "a canary is in: {line}"
        );
    }
    assert_eq!(files_with_a_canary(folder.path()), Vec::<PathBuf>::new());
}

/// Returns the files that contain a canary, but for the path of the model file.
fn files_with_a_canary(folder: &Path) -> Vec<PathBuf> {
    let holds = |path: &PathBuf| {
        let bytes = std::fs::read(path).expect("a file");
        let found = bytes.windows(CANARY.len()).any(|window| window == CANARY.as_bytes());
        found && !names_only_the_file_in(&bytes)
    };
    files(folder).into_iter().filter(holds).collect()
}

/// Returns whether the only canary is the path of the model file, which the app chose and errors and logs may name.
fn names_only_the_file(line: &str) -> bool {
    !line.replace("zyxcanaryfile.gguf", "").contains(CANARY)
}

fn names_only_the_file_in(bytes: &[u8]) -> bool {
    names_only_the_file(&String::from_utf8_lossy(bytes))
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
