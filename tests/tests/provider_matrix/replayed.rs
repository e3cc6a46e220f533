//! Replays without a socket: bytes split at every position, and ten minutes in simulated time.

use std::time::Duration;

use bytes::Bytes;
use futures_util::stream;
use nearside::chat::ChatRequest;
use nearside::engine::remote::{Connection, Replayed, Timeouts, replay};
use nearside::{ErrorKind, chat::Chunk};
use nearside_tests::provider::{Dialect, Quirk, Scenario, WireFormat, wire};
use nearside_tests::remote::{connection, question};
use serde_json::json;

use super::{Outcome, holds, same};

fn offline(dialect: Dialect) -> Connection {
    Connection {
        timeouts: Timeouts::default(),
        ..connection(dialect, "http://127.0.0.1:9")
    }
}

fn run<T>(work: impl Future<Output = T>) -> T {
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_time()
        .start_paused(true)
        .build();
    runtime.expect("a runtime").block_on(work)
}

pub(super) fn ten_minutes_of_keep_alives(dialect: Dialect) -> Outcome {
    run(async {
        let begun = tokio::time::Instant::now();
        let keep_alive = Bytes::from_static(dialect.keep_alive().as_bytes());
        let flood = stream::unfold(0_u32, |n| {
            let piece = keep_alive.clone();
            async move {
                tokio::time::sleep(Duration::from_millis(100)).await;
                (n < 6_000).then_some((piece, n + 1))
            }
        });
        let replayed = replay(&offline(dialect), &question(), flood).await;
        same(
            "kind",
            replayed.stop.map_err(|error| error.kind()),
            Err(ErrorKind::Network),
        )?;
        same("chunks", replayed.chunks.len(), 0)?;
        let waited = begun.elapsed();
        let patience = Timeouts::default().first_data;
        holds(
            &format!("keep-alives do not reset timeouts: {waited:?}"),
            waited <= patience + Duration::from_secs(1),
        )
    })
}

pub(super) fn split_at_every_byte(dialect: Dialect) -> Outcome {
    let (text, thoughts) = ("Twice: «é» 🌊".to_owned(), "hm ü".to_owned());
    let scenarios = [
        Scenario::Reasoning {
            thoughts: thoughts.clone(),
            text: text.clone(),
        },
        Scenario::InlineThink {
            thoughts: thoughts.clone(),
            text: text.clone(),
        },
        Scenario::ToolCall {
            id: "call_1".into(),
            name: "tides".into(),
            arguments: r#"{"é":1}"#.into(),
            thoughts,
        },
        Scenario::WebSearch {
            text: text.clone(),
            citations: vec![("https://e.org/".into(), "é".into())],
            unreported: vec![],
        },
        Scenario::MidStreamError {
            text: text.clone(),
            status: 503,
            code_is_text: false,
        },
        Scenario::Unfinished { text },
    ];
    let request = ChatRequest {
        web_search: true,
        ..question()
    };
    let connection = offline(dialect);
    let body = json!({ "model": dialect.model(), "stream": true, "messages": [{ "role": "user", "content": "?" }] });
    same_at_every_byte(&connection, &request, &body, scenarios)
}

pub(super) fn shapes_split_at_every_byte(dialect: Dialect) -> Outcome {
    let mut connection = offline(dialect);
    // Reasoning with a closing tag only is recognized where it is likely, at any byte.
    connection.model.id = "deepseek-r1".into();
    let body = json!({ "model": "deepseek-r1", "stream": true, "messages": [{ "role": "user", "content": "?" }] });
    let applies = |quirk: &Quirk| quirk.applies_to(dialect) && (*quirk != Quirk::ClosingTag || !dialect.is_hosted());
    let scenarios = Quirk::ALL.into_iter().filter(applies).map(|quirk| Scenario::Quirk {
        quirk,
        text: "é 🌊".into(),
    });
    same_at_every_byte(&connection, &question(), &body, scenarios)
}

fn same_at_every_byte(
    connection: &Connection,
    request: &ChatRequest,
    body: &serde_json::Value,
    scenarios: impl IntoIterator<Item = Scenario>,
) -> Outcome {
    for scenario in scenarios {
        let bytes = Bytes::from(wire(connection.settings.kind, &scenario, body));
        let whole = joined(run(replay(connection, request, stream::iter([bytes.clone()]))));
        for at in 1..bytes.len() {
            let pieces = [bytes.slice(..at), bytes.slice(at..)];
            let split = joined(run(replay(connection, request, stream::iter(pieces))));
            same(&format!("{scenario:?} split at {at}"), &split, &whole)?;
        }
        let pieces = bytes.chunks(1).map(Bytes::copy_from_slice).collect::<Vec<_>>();
        let split = joined(run(replay(connection, request, stream::iter(pieces))));
        same(&format!("{scenario:?} byte by byte"), &split, &whole)?;
    }
    Ok(())
}

/// Joins neighbouring chunks of one kind, so that the result does not depend on the splits.
fn joined(mut replayed: Replayed) -> Replayed {
    let mut chunks: Vec<Chunk> = Vec::new();
    for chunk in replayed.chunks {
        match (chunks.last_mut(), &chunk) {
            (Some(Chunk::Text { text }), Chunk::Text { text: more })
            | (Some(Chunk::Reasoning { text }), Chunk::Reasoning { text: more }) => text.push_str(more),
            // A call without an id gets a random one.
            (_, Chunk::ToolCall { name, arguments, .. }) => chunks.push(Chunk::ToolCall {
                id: String::new(),
                name: name.clone(),
                arguments: arguments.clone(),
            }),
            _ => chunks.push(chunk),
        }
    }
    replayed.chunks = chunks;
    replayed
}
