//! Runs the reader without a network, for tests that cut an answer at every byte or advance the clock.

use bytes::Bytes;
use futures_util::{Stream as Bodies, StreamExt};
use tokio::time::Instant;

use super::Connection;
use super::reader::ResponseReader;
use crate::chat::{ChatRequest, Chunk, CostSource, StopReason, TokenUsage};
use crate::error::Result;
use crate::stream::Stream;

/// Result of a replayed answer.
#[derive(Debug, Clone, PartialEq)]
pub struct Replayed {
    /// The chunks before `Done` or the error.
    pub chunks: Vec<Chunk>,
    /// The stop reason, or the error.
    pub stop: Result<StopReason>,
    /// Usage, reported or estimated.
    pub usage: TokenUsage,
    /// Cost in US dollars and its source.
    pub cost: (f64, CostSource),
}

/// Reads a response body that arrives in these pieces.
pub async fn replay(connection: &Connection, request: &ChatRequest, pieces: impl Bodies<Item = Bytes>) -> Replayed {
    let (stream, sink) = Stream::new();
    let mut assembler = connection.new_assembler(request);
    let now = Instant::now();
    let reader = ResponseReader {
        sent: now,
        end: now + connection.timeouts.total,
        limits: &request.limits,
        prompt_bytes: 0,
        connection,
    };
    let producer = async {
        let mut pieces = std::pin::pin!(pieces.map(Ok));
        let stop = reader.read_answer(&mut pieces, &mut assembler, &sink).await;
        sink.close();
        stop.map_err(|failure| failure.error)
    };
    let consumer = async {
        let mut chunks = Vec::new();
        while let Ok(batch) = stream.next_batch().await
            && !batch.is_empty()
        {
            chunks.extend(batch);
        }
        chunks
    };
    let (stop, chunks) = tokio::join!(producer, consumer);
    Replayed {
        chunks,
        stop,
        usage: assembler.usage(0).0,
        cost: assembler.cost(0, connection.model.price.as_ref(), connection.charges()),
    }
}
