//! The response to one request: its bytes, their times, and how the connection ends.

use std::time::Duration;

use serde_json::{Value, json};

use super::completions::{self, StreamEvents};
use super::dialect::{Dialect, WireFormat};
use super::errors;
use super::ollama;
use super::quirks::{self, QuirkResponse};
use super::reply::Reply;
use super::scenario::Scenario;

/// The response to one request.
#[derive(Debug)]
pub(super) struct ResponseScript {
    /// `None`: not even a status line is sent.
    pub(super) head: Option<ResponseHead>,
    /// Times, counted from the request, and bytes, in order.
    pub(super) sends: Vec<(Duration, Vec<u8>)>,
    pub(super) end: ConnectionEnd,
}

/// The status and the specific headers.
#[derive(Debug)]
pub(super) struct ResponseHead {
    pub(super) status: u16,
    pub(super) headers: Vec<(String, String)>,
}

/// How a response ends.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum ConnectionEnd {
    /// A regular end; the connection can carry another request.
    Whole,
    /// The connection closes within the body.
    Truncated,
    /// The sending half closes within the body; then the provider waits for the client to close.
    HalfClosed,
    /// The connection is reset.
    Reset,
    /// Silence until the client disconnects.
    Silence,
    /// These bytes repeatedly, until the client disconnects.
    Repeat(Vec<u8>, Duration),
}

impl ResponseScript {
    /// Builds the dialect's response to this request in this scenario.
    pub(super) fn new(dialect: Dialect, scenario: &Scenario, request: &Value) -> Self {
        if let Scenario::Delayed { ms, then } = scenario {
            let mut script = Self::new(dialect, then, request);
            script.delay(Duration::from_millis(*ms));
            return script;
        }
        let streams = dialect.streams(request);
        let kind = if streams { dialect.stream_type() } else { JSON };
        let reply = Reply::of(dialect, scenario, request);
        if let Scenario::Quirk { quirk, .. } = scenario
            && streams
            && quirk.applies_to(dialect)
        {
            return match quirks::respond(dialect, *quirk, &reply, request) {
                QuirkResponse::Body(kind, sends) => Self::ok(kind, sends, ConnectionEnd::Whole),
                QuirkResponse::Redirect(location) => Self::redirect(307, location),
            };
        }
        let StreamEvents { content, closing } = events(dialect, &reply, request);
        let broken = |end: ConnectionEnd| Self::ok(kind, content.clone(), end);
        match scenario {
            Scenario::Refused {
                status,
                body,
                retry_after,
            } => Self::refusal(*status, body, *retry_after),
            Scenario::MidStreamError {
                status, code_is_text, ..
            } => mid_stream_error(dialect, &reply, content, *status, *code_is_text, streams),
            Scenario::NeverFirstByte => Self {
                head: None,
                sends: Vec::new(),
                end: ConnectionEnd::Silence,
            },
            Scenario::KeepAlivesForever { every_ms } => {
                let again = ConnectionEnd::Repeat(keep_alive(dialect, streams), Duration::from_millis(*every_ms));
                Self::ok(kind, Vec::new(), again)
            }
            Scenario::Stall { .. } => broken(ConnectionEnd::Silence),
            Scenario::Truncated { .. } => broken(ConnectionEnd::Truncated),
            Scenario::Unfinished { .. } => broken(ConnectionEnd::Whole),
            Scenario::HalfClosed { .. } => broken(ConnectionEnd::HalfClosed),
            Scenario::Reset { .. } => broken(ConnectionEnd::Reset),
            Scenario::WrongContentType => Self::ok("text/html", vec![WEB_PAGE.to_vec()], ConnectionEnd::Whole),
            Scenario::Garbage => Self::ok(kind, garbage(dialect, streams), ConnectionEnd::Whole),
            Scenario::BrokenJson { .. } => {
                let mut sends = content.clone();
                let bad = if streams && dialect != Dialect::Ollama {
                    "data: {\"id\":\n\n"
                } else {
                    "{\"id\":\n"
                };
                sends.push(bad.as_bytes().to_vec());
                Self::ok(kind, sends, ConnectionEnd::Whole)
            }
            Scenario::KeepAlives { count, every_ms, .. } => {
                let every = Duration::from_millis(*every_ms);
                let alive = (0..*count).map(|n| (every * n, keep_alive(dialect, streams)));
                let answer = content.into_iter().chain(closing).map(|event| (every * *count, event));
                Self {
                    sends: alive.chain(answer).collect(),
                    ..Self::ok(kind, Vec::new(), ConnectionEnd::Whole)
                }
            }
            Scenario::UnopenedThink { thoughts, pause_ms, .. } => {
                let is_thought = |event: &[u8]| String::from_utf8_lossy(event).contains(thoughts.as_str());
                let begin = content.iter().position(|event| is_thought(event)).unwrap_or_default();
                let due = |at: usize| Duration::from_millis(if at > begin { *pause_ms } else { 0 });
                let sends = content.into_iter().chain(closing).enumerate();
                Self {
                    sends: sends.map(|(at, event)| (due(at), event)).collect(),
                    ..Self::ok(kind, Vec::new(), ConnectionEnd::Whole)
                }
            }
            Scenario::Slow { per_second, .. } => {
                let due = |n: usize| Duration::from_secs_f64(n as f64 / per_second.max(0.001));
                let sends = content.into_iter().chain(closing).enumerate();
                Self {
                    sends: sends.map(|(n, event)| (due(n), event)).collect(),
                    ..Self::ok(kind, Vec::new(), ConnectionEnd::Whole)
                }
            }
            _ => Self::ok(kind, content.into_iter().chain(closing).collect(), ConnectionEnd::Whole),
        }
    }

    /// Builds a response with this status and a JSON body.
    pub(super) fn refusal(status: u16, body: &Value, retry_after: Option<u64>) -> Self {
        let mut script = Self::ok(JSON, vec![body.to_string().into_bytes()], ConnectionEnd::Whole);
        if let Some(head) = &mut script.head {
            head.status = status;
            head.headers
                .extend(retry_after.map(|seconds| ("retry-after".to_owned(), seconds.to_string())));
        }
        script
    }

    /// Builds a redirect to this address.
    pub(super) fn redirect(status: u16, location: String) -> Self {
        Self {
            head: Some(ResponseHead {
                status,
                headers: vec![("location".to_owned(), location)],
            }),
            sends: Vec::new(),
            end: ConnectionEnd::Whole,
        }
    }

    /// Builds a plain text response.
    pub(super) fn text(text: &str) -> Self {
        Self::ok(
            "text/plain; charset=utf-8",
            vec![text.as_bytes().to_vec()],
            ConnectionEnd::Whole,
        )
    }

    /// Delays the whole response, including its head.
    pub(super) fn delay(&mut self, by: Duration) {
        if by.is_zero() {
            return;
        }
        // The head is sent with the first of these.
        self.sends.insert(0, (Duration::ZERO, Vec::new()));
        for (at, _) in &mut self.sends {
            *at += by;
        }
    }

    /// Returns the body, with endless repetitions limited to 64.
    pub(super) fn into_body(self) -> Vec<u8> {
        let mut body: Vec<u8> = self.sends.into_iter().flat_map(|(_, bytes)| bytes).collect();
        if let ConnectionEnd::Repeat(bytes, _) = self.end {
            body.extend(bytes.repeat(64));
        }
        body
    }

    fn ok(kind: &str, sends: Vec<Vec<u8>>, end: ConnectionEnd) -> Self {
        Self {
            head: Some(ResponseHead {
                status: 200,
                headers: vec![("content-type".to_owned(), kind.to_owned())],
            }),
            sends: sends.into_iter().map(|bytes| (Duration::ZERO, bytes)).collect(),
            end,
        }
    }
}

/// Encodes a complete answer: as a stream, or in two halves so that it can be truncated.
fn events(dialect: Dialect, reply: &Reply, request: &Value) -> StreamEvents {
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
    StreamEvents {
        content: vec![first],
        closing: vec![second],
    }
}

fn mid_stream_error(
    dialect: Dialect,
    reply: &Reply,
    mut content: Vec<Vec<u8>>,
    status: u16,
    code_is_text: bool,
    streams: bool,
) -> ResponseScript {
    if streams {
        content.push(match dialect {
            Dialect::Ollama => ollama::line(&errors::error_body(dialect, status)),
            _ => completions::mid_stream_error(dialect, reply, status, code_is_text),
        });
        return ResponseScript::ok(dialect.stream_type(), content, ConnectionEnd::Whole);
    }
    if dialect != Dialect::OpenRouter {
        return ResponseScript::refusal(status, &errors::error_body(dialect, status), None);
    }
    // Status 200, the partial answer, and the error beside it.
    let mut answer = completions::whole(dialect, reply);
    answer["choices"][0]["finish_reason"] = json!("error");
    answer["choices"][0]["error"] = errors::error_body(dialect, status)["error"].take();
    ResponseScript::ok(JSON, vec![answer.to_string().into_bytes()], ConnectionEnd::Whole)
}

fn keep_alive(dialect: Dialect, streams: bool) -> Vec<u8> {
    // Before a JSON body only blank lines can keep the connection alive, as DeepSeek does.
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
