//! Reads the response of one attempt: body chunks become events, events become chunks.

use bytes::Bytes;
use futures_util::{Stream as Bodies, StreamExt};
use tokio::time::{Instant, timeout_at};

use super::Connection;
use super::assembler::AnswerAssembler;
use super::delta::{self, Delta};
use super::error::AttemptError;
use super::frames::{Frames, Framing};
use crate::chat::{Chunk, RequestLimits, StopReason};
use crate::error::{Error, ErrorReason, Result};
use crate::stream::StreamSender;

/// Reads one streamed response.
pub(super) struct ResponseReader<'a> {
    pub(super) framing: Framing,
    pub(super) sent: Instant,
    pub(super) end: Instant,
    pub(super) limits: &'a RequestLimits,
    pub(super) prompt_bytes: u64,
    pub(super) connection: &'a Connection,
}

impl ResponseReader<'_> {
    /// Reads events until the answer is complete. An event may span several body chunks.
    pub(super) async fn read_stream(
        &self,
        bodies: impl Bodies<Item = Result<Bytes, ()>>,
        assembler: &mut AnswerAssembler,
        sink: &StreamSender<Chunk>,
    ) -> Result<StopReason, AttemptError> {
        let mut bodies = std::pin::pin!(bodies);
        let mut frames = Frames::new(self.framing);
        let (mut events, mut chunks) = (Vec::new(), Vec::new());
        let mut deadline = self.end.min(self.sent + self.connection.timeouts.first_data);
        while !assembler.is_over() {
            let piece = match timeout_at(deadline, bodies.next()).await {
                Ok(Some(Ok(piece))) => piece,
                // The connection broke after the finish reason: the answer is complete.
                Ok(Some(Err(()))) if assembler.is_finished() => break,
                Ok(Some(Err(()))) => return Err(connection_lost(self.connection)),
                Ok(None) => {
                    frames.end_body(&mut events).map_err(AttemptError::permanent)?;
                    self.handle_events(&mut events, &mut chunks, assembler, sink).await?;
                    break;
                }
                Err(_) if assembler.is_finished() => break,
                Err(_) if Instant::now() >= self.end => {
                    return Err(AttemptError::permanent(Error::provider(format!(
                        "the answer of `{}` was not complete within its deadline",
                        self.connection.settings.name
                    ))));
                }
                Err(_) => {
                    return Err(timeout_error(self.connection, "sent no data of an answer"));
                }
            };
            frames.push(&piece, &mut events).map_err(AttemptError::permanent)?;
            if events.is_empty() {
                continue;
            }
            if let Some(stop) = self.handle_events(&mut events, &mut chunks, assembler, sink).await? {
                return Ok(stop);
            }
            let timeouts = &self.connection.timeouts;
            let timeout = if assembler.is_finished() {
                timeouts.trailing
            } else {
                timeouts.idle
            };
            deadline = self.end.min(Instant::now() + timeout);
        }
        let stop = assembler.end_answer(&self.connection.settings.name, &mut chunks)?;
        send_chunks(&mut chunks, assembler, sink).await;
        Ok(stop)
    }

    /// Reads an answer in one JSON value, after any number of blank lines.
    pub(super) async fn read_whole(
        &self,
        bodies: impl Bodies<Item = Result<Bytes, ()>>,
        assembler: &mut AnswerAssembler,
        sink: &StreamSender<Chunk>,
    ) -> Result<StopReason, AttemptError> {
        let mut bodies = std::pin::pin!(bodies);
        let deadline = self.end.min(self.sent + self.connection.timeouts.first_data);
        let mut all = Vec::new();
        loop {
            match timeout_at(deadline, bodies.next()).await {
                Ok(Some(Ok(piece))) if all.len() + piece.len() <= MAX_RESPONSE_BYTES => all.extend_from_slice(&piece),
                Ok(Some(Ok(_))) => {
                    let error = Error::provider("the response is over 32 MB; rejected");
                    return Err(AttemptError::permanent(error));
                }
                Ok(Some(Err(()))) => return Err(connection_lost(self.connection)),
                Ok(None) => break,
                Err(_) => return Err(timeout_error(self.connection, "did not finish its answer")),
            }
        }
        let text = String::from_utf8(all).map_err(|_| connection_lost(self.connection))?;
        let (mut events, mut chunks) = (vec![text], Vec::new());
        self.handle_events(&mut events, &mut chunks, assembler, sink).await?;
        let stop = assembler.end_answer(&self.connection.settings.name, &mut chunks)?;
        send_chunks(&mut chunks, assembler, sink).await;
        Ok(stop)
    }

    /// Processes events. Returns a stop reason if the answer must end now.
    async fn handle_events(
        &self,
        events: &mut Vec<String>,
        chunks: &mut Vec<Chunk>,
        assembler: &mut AnswerAssembler,
        sink: &StreamSender<Chunk>,
    ) -> Result<Option<StopReason>, AttemptError> {
        let context = self.connection.request_context();
        let (mut deltas, mut failed) = (Vec::new(), None);
        for event in events.drain(..) {
            // Deliver events that precede an error in the same read.
            failed = delta::parse_event(&context, &event, &mut deltas).err();
            if failed.is_some() {
                break;
            }
        }
        for delta in deltas {
            if let Delta::ServedBy(upstream) = &delta {
                let upstreams = &self.connection.upstreams;
                upstreams.check_served_by(upstream).map_err(AttemptError::permanent)?;
            }
            assembler
                .apply(delta, std::time::Instant::now(), chunks)
                .map_err(AttemptError::permanent)?;
        }
        send_chunks(chunks, assembler, sink).await;
        if let Some(failure) = failed {
            return Err(failure);
        }
        let cap = self.limits.max_usd.filter(|_| !assembler.is_finished());
        let (price, own) = (
            self.connection.model.price.as_ref(),
            self.connection.data_policy.is_own(),
        );
        let spent = cap.map(|_| assembler.cost(self.prompt_bytes, price, own).0);
        Ok((spent > cap).then_some(StopReason::CostLimit))
    }
}

async fn send_chunks(chunks: &mut Vec<Chunk>, assembler: &mut AnswerAssembler, sink: &StreamSender<Chunk>) {
    for chunk in chunks.drain(..) {
        assembler.visible = true;
        if !sink.send(chunk).await {
            // Cancelled: the `select!` in `answer` is about to drop this future.
            sink.cancel().cancelled().await;
        }
    }
}

pub(super) fn timeout_error(connection: &Connection, what: &str) -> AttemptError {
    AttemptError::transient(
        Error::network(format!(
            "`{}` {what} in time; try again or use another model",
            connection.settings.name
        ))
        .because(ErrorReason::NoResponse),
    )
}

fn connection_lost(connection: &Connection) -> AttemptError {
    AttemptError::transient(
        Error::network(format!(
            "the connection to `{}` was lost during the answer; try again",
            connection.settings.name
        ))
        .because(ErrorReason::Interrupted),
    )
}

/// Maximum size of a response that comes in one piece.
const MAX_RESPONSE_BYTES: usize = 32 << 20;
