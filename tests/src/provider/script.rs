//! A scene made ready to be played to one request: which bytes, when, and how the connection ends.

use std::time::Duration;

use serde_json::{Value, json};

use super::completions::{self, Events};
use super::dialect::Dialect;
use super::errors;
use super::ollama;
use super::reply::Reply;
use super::scene::Scene;

/// What is sent for one request.
#[derive(Debug)]
pub(super) struct Script {
    /// Nothing: not even a status is sent.
    pub(super) head: Option<Head>,
    /// When, counted from the request, and what. In order.
    pub(super) sends: Vec<(Duration, Vec<u8>)>,
    pub(super) end: End,
}

/// A status and the headers that matter.
#[derive(Debug)]
pub(super) struct Head {
    pub(super) status: u16,
    pub(super) headers: Vec<(String, String)>,
}

/// How an answer ends.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum End {
    /// As HTTP wants it; the connection may carry another request.
    Whole,
    /// The connection closes in the middle of the body.
    Cut,
    /// The sending half closes in the middle of the body; then the client is waited for.
    HalfClosed,
    /// The connection is reset.
    Reset,
    /// Nothing more, until the client leaves.
    Silence,
    /// These bytes again and again, until the client leaves.
    Again(Vec<u8>, Duration),
}

impl Script {
    /// What the dialect sends for this request when the scene is played.
    pub(super) fn new(dialect: Dialect, scene: &Scene, request: &Value) -> Self {
        if let Scene::Delayed { ms, then } = scene {
            let mut script = Self::new(dialect, then, request);
            script.delay(Duration::from_millis(*ms));
            return script;
        }
        let streams = dialect.streams(request);
        let kind = if streams { dialect.stream_type() } else { JSON };
        let reply = Reply::of(dialect, scene, request);
        let Events { said, end: closing } = events(dialect, &reply, request);
        let broken = |end: End| Self::of(kind, said.clone(), end);
        match scene {
            Scene::Refused {
                status,
                body,
                retry_after,
            } => Self::refusal(*status, body, *retry_after),
            Scene::MidStreamError {
                status, code_is_a_word, ..
            } => mid_stream_error(dialect, &reply, said, *status, *code_is_a_word, streams),
            Scene::NeverFirstByte => Self {
                head: None,
                sends: Vec::new(),
                end: End::Silence,
            },
            Scene::KeepAlivesForever { every_ms } => {
                let again = End::Again(alive(dialect, streams), Duration::from_millis(*every_ms));
                Self::of(kind, Vec::new(), again)
            }
            Scene::Stall { .. } => broken(End::Silence),
            Scene::Truncated { .. } => broken(End::Cut),
            Scene::Unfinished { .. } => broken(End::Whole),
            Scene::HalfClosed { .. } => broken(End::HalfClosed),
            Scene::Reset { .. } => broken(End::Reset),
            Scene::WrongContentType => Self::of("text/html", vec![WEB_PAGE.to_vec()], End::Whole),
            Scene::Garbage => Self::of(kind, garbage(dialect, streams), End::Whole),
            Scene::BrokenJson { .. } => {
                let mut sends = said.clone();
                let bad = if streams && dialect != Dialect::Ollama {
                    "data: {\"id\":\n\n"
                } else {
                    "{\"id\":\n"
                };
                sends.push(bad.as_bytes().to_vec());
                Self::of(kind, sends, End::Whole)
            }
            Scene::KeepAlives { count, every_ms, .. } => {
                let every = Duration::from_millis(*every_ms);
                let alive = (0..*count).map(|n| (every * n, alive(dialect, streams)));
                let answer = said.into_iter().chain(closing).map(|event| (every * *count, event));
                Self {
                    sends: alive.chain(answer).collect(),
                    ..Self::of(kind, Vec::new(), End::Whole)
                }
            }
            Scene::Slow { per_second, .. } => {
                let due = |n: usize| Duration::from_secs_f64(n as f64 / per_second.max(0.001));
                let sends = said.into_iter().chain(closing).enumerate();
                Self {
                    sends: sends.map(|(n, event)| (due(n), event)).collect(),
                    ..Self::of(kind, Vec::new(), End::Whole)
                }
            }
            _ => Self::of(kind, said.into_iter().chain(closing).collect(), End::Whole),
        }
    }

    /// An answer of this status with a JSON body.
    pub(super) fn refusal(status: u16, body: &Value, retry_after: Option<u64>) -> Self {
        let mut script = Self::of(JSON, vec![body.to_string().into_bytes()], End::Whole);
        if let Some(head) = &mut script.head {
            head.status = status;
            head.headers
                .extend(retry_after.map(|seconds| ("retry-after".to_owned(), seconds.to_string())));
        }
        script
    }

    /// Plain text.
    pub(super) fn text(text: &str) -> Self {
        Self::of("text/plain; charset=utf-8", vec![text.as_bytes().to_vec()], End::Whole)
    }

    /// The same, so much later, the head included.
    pub(super) fn delay(&mut self, by: Duration) {
        if by.is_zero() {
            return;
        }
        // The head goes out with the first of these.
        self.sends.insert(0, (Duration::ZERO, Vec::new()));
        for (at, _) in &mut self.sends {
            *at += by;
        }
    }

    /// The body, without what repeats for ever.
    pub(super) fn into_body(self) -> Vec<u8> {
        let mut body: Vec<u8> = self.sends.into_iter().flat_map(|(_, bytes)| bytes).collect();
        if let End::Again(bytes, _) = self.end {
            body.extend(bytes.repeat(64));
        }
        body
    }

    fn of(kind: &str, sends: Vec<Vec<u8>>, end: End) -> Self {
        Self {
            head: Some(Head {
                status: 200,
                headers: vec![("content-type".to_owned(), kind.to_owned())],
            }),
            sends: sends.into_iter().map(|bytes| (Duration::ZERO, bytes)).collect(),
            end,
        }
    }
}

/// An answer whole: streamed, or in two halves so that it can break in the middle.
fn events(dialect: Dialect, reply: &Reply, request: &Value) -> Events {
    if dialect.streams(request) {
        return match dialect {
            Dialect::Ollama => ollama::stream(reply),
            _ => completions::stream(dialect, reply, request),
        };
    }
    let answer = match dialect {
        Dialect::Ollama => ollama::whole(reply),
        _ => completions::whole(dialect, reply),
    };
    let blank_lines = if dialect == Dialect::DeepSeek { "\n\n\n" } else { "" };
    let mut first = format!("{blank_lines}{answer}").into_bytes();
    let second = first.split_off(first.len() / 2);
    Events {
        said: vec![first],
        end: vec![second],
    }
}

fn mid_stream_error(
    dialect: Dialect,
    reply: &Reply,
    mut said: Vec<Vec<u8>>,
    status: u16,
    code_is_a_word: bool,
    streams: bool,
) -> Script {
    if streams {
        said.push(match dialect {
            Dialect::Ollama => ollama::line(&errors::error_body(dialect, status)),
            _ => completions::mid_stream_error(dialect, reply, status, code_is_a_word),
        });
        return Script::of(dialect.stream_type(), said, End::Whole);
    }
    if dialect != Dialect::OpenRouter {
        return Script::refusal(status, &errors::error_body(dialect, status), None);
    }
    // 200, what there is of the answer, and the error beside it.
    let mut answer = completions::whole(dialect, reply);
    answer["choices"][0]["finish_reason"] = json!("error");
    answer["choices"][0]["error"] = errors::error_body(dialect, status)["error"].take();
    Script::of(JSON, vec![answer.to_string().into_bytes()], End::Whole)
}

fn alive(dialect: Dialect, streams: bool) -> Vec<u8> {
    // A JSON body can only be kept waiting with blank lines, as DeepSeek does.
    if streams {
        dialect.keep_alive().as_bytes().to_vec()
    } else {
        b"\n".to_vec()
    }
}

fn garbage(dialect: Dialect, streams: bool) -> Vec<Vec<u8>> {
    let garbage = json!({ "choices": "none", "message": 7, "done": "perhaps", "usage": [1] });
    match (streams, dialect) {
        (true, Dialect::Ollama) => vec![ollama::line(&garbage)],
        (true, _) => vec![format!("data: {garbage}\n\ndata: [DONE]\n\n").into_bytes()],
        (false, _) => vec![garbage.to_string().into_bytes()],
    }
}

const JSON: &str = "application/json";
const WEB_PAGE: &[u8] = b"<!doctype html><title>Please sign in to this network</title>";
