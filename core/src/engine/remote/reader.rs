//! Reads the response of one attempt: body chunks become frames, frames become chunks.

use std::time::Duration;

use bytes::Bytes;
use futures_util::{FutureExt, Stream as Bodies, StreamExt};
use tokio::time::{Instant, timeout_at};

use super::Connection;
use super::assembler::{AnswerAssembler, connection_lost};
use super::delta::{Delta, EventParser};
use super::error::AttemptError;
use super::frames::{Frame, FrameError, Frames};
use crate::chat::{Chunk, RequestLimits, StopReason};
use crate::error::{Error, ErrorReason, Result};
use crate::stream::StreamSender;

/// Reads one response.
pub(super) struct ResponseReader<'a> {
    pub(super) sent: Instant,
    pub(super) end: Instant,
    pub(super) limits: &'a RequestLimits,
    pub(super) prompt_bytes: u64,
    pub(super) connection: &'a Connection,
}

/// Progress of reading a body.
struct ReadState<'a> {
    frames: Frames,
    parser: EventParser,
    assembler: &'a mut AnswerAssembler,
    found: Vec<Frame>,
    chunks: Vec<Chunk>,
    /// The burst of the first words was waited for.
    is_gathered: bool,
    /// The body cannot be split any further.
    broken: Option<FrameError>,
}

/// An item of a body; `None` is its end.
type BodyItem = Option<Result<Bytes, ()>>;

impl ReadState<'_> {
    fn push(&mut self, piece: &[u8]) {
        if self.broken.is_none() {
            self.broken = self.frames.push(piece, &mut self.found).err();
        }
    }

    /// Reads what has arrived already, so that it is handled together. Returns an item that ends the body.
    fn read_ahead(&mut self, bodies: &mut (impl Bodies<Item = Result<Bytes, ()>> + Unpin)) -> Option<BodyItem> {
        let mut read_bytes = 0;
        while read_bytes < MAX_READ_BYTES {
            match bodies.next().now_or_never() {
                Some(Some(Ok(piece))) => {
                    read_bytes += piece.len().max(1);
                    self.push(&piece);
                }
                item => return item,
            }
        }
        None
    }
}

impl ResponseReader<'_> {
    /// Reads frames until the answer is complete. A frame may span several body chunks.
    pub(super) async fn read_answer(
        &self,
        bodies: &mut (impl Bodies<Item = Result<Bytes, ()>> + Unpin),
        assembler: &mut AnswerAssembler,
        sink: &StreamSender<Chunk>,
    ) -> Result<StopReason, AttemptError> {
        let provider = &self.connection.settings.name;
        let mut state = ReadState {
            frames: Frames::default(),
            parser: EventParser::default(),
            assembler,
            found: Vec::new(),
            chunks: Vec::new(),
            is_gathered: false,
            broken: None,
        };
        let mut deadline = self.end.min(self.sent + self.connection.timeouts.first_data);
        let mut ahead = None;
        while !state.assembler.is_over() {
            let next = match ahead.take() {
                Some(item) => Ok(item),
                None => timeout_at(deadline, bodies.next()).await,
            };
            let piece = match next {
                Ok(Some(Ok(piece))) => piece,
                // The connection broke after the finish reason: the answer is complete.
                Ok(Some(Err(()))) if state.assembler.is_finished() => break,
                Ok(Some(Err(()))) => return Err(connection_lost(provider)),
                Ok(None) => {
                    let ended = state.frames.end_body(&mut state.found);
                    ended.map_err(|error| self.frame_error(error))?;
                    state.is_gathered = true;
                    self.handle_frames(&mut state, sink).await?;
                    break;
                }
                Err(_) if state.assembler.is_finished() => break,
                Err(_) => return Err(self.timeout_error("sent no data of an answer")),
            };
            state.push(&piece);
            ahead = state.read_ahead(bodies);
            if state.found.is_empty() && state.broken.is_none() {
                continue;
            }
            let was_gathered = state.is_gathered;
            let mut stop = self.handle_frames(&mut state, sink).await?;
            if state.is_gathered && !was_gathered {
                // The first words of the answer: the rest of their burst may tell reasoning from text. A longer wait would
                // hold text back.
                let begun = std::time::Instant::now();
                while ahead.is_none() && begun.elapsed() < BURST_TIMEOUT {
                    tokio::task::yield_now().await;
                    ahead = state.read_ahead(bodies);
                }
                stop = self.handle_frames(&mut state, sink).await?;
            }
            if let Some(stop) = stop {
                return Ok(stop);
            }
            if let Some(error) = state.broken {
                return Err(self.frame_error(error));
            }
            let timeouts = &self.connection.timeouts;
            let timeout = if state.assembler.is_finished() {
                timeouts.trailing
            } else {
                timeouts.idle
            };
            deadline = self.end.min(Instant::now() + timeout);
        }
        let mut rest = Vec::new();
        state.parser.end(&mut rest);
        self.apply(rest, &mut state)?;
        let ReadState {
            assembler, mut chunks, ..
        } = state;
        let stop = assembler.end_answer(provider, &mut chunks)?;
        send_chunks(&mut chunks, assembler, sink).await;
        Ok(stop)
    }

    /// Creates the error of a wait that ended: by the request's own deadline, or by a timeout.
    pub(super) fn timeout_error(&self, what: &str) -> AttemptError {
        let name = &self.connection.settings.name;
        if Instant::now() >= self.end && self.limits.deadline_ms.is_some() {
            return AttemptError::permanent(Error::deadline_exceeded());
        }
        let text = format!("`{name}` {what} in time; try again or use another model");
        AttemptError::transient(Error::network(text).because(ErrorReason::NoResponse))
    }

    fn frame_error(&self, error: FrameError) -> AttemptError {
        let name = &self.connection.settings.name;
        let text = match error {
            FrameError::TooLong => format!("`{name}` sent an event of over 16 MB; rejected"),
            FrameError::NotUtf8 => {
                format!("`{name}` sent text that is not in UTF-8; check its settings, or use another provider")
            }
        };
        AttemptError::permanent(Error::provider(text))
    }

    /// Processes frames. Returns a stop reason if the answer must end now.
    async fn handle_frames(
        &self,
        state: &mut ReadState<'_>,
        sink: &StreamSender<Chunk>,
    ) -> Result<Option<StopReason>, AttemptError> {
        let context = self.connection.request_context();
        let (mut deltas, mut failed) = (Vec::new(), None);
        for frame in state.found.drain(..) {
            // Deliver frames that precede an error in the same read.
            failed = state.parser.parse_frame(&context, &frame, &mut deltas).err();
            if failed.is_some() {
                let (Frame::Data(text) | Frame::Error(text) | Frame::Other(text)) = &frame;
                self.connection.http.keep_error_body(text.as_bytes());
                break;
            }
        }
        self.apply(deltas, state)?;
        if failed.is_none() && !state.is_gathered && state.assembler.is_undecided() {
            state.is_gathered = true;
            return Ok(None);
        }
        state.assembler.end_read(&mut state.chunks);
        send_chunks(&mut state.chunks, state.assembler, sink).await;
        if let Some(failure) = failed {
            return Err(failure);
        }
        let cap = self.limits.max_usd.filter(|_| !state.assembler.is_finished());
        let (price, charges) = (self.connection.model.price.as_ref(), self.connection.charges());
        let spent = cap.map(|_| state.assembler.cost(self.prompt_bytes, price, charges).0);
        Ok((spent > cap).then_some(StopReason::CostLimit))
    }

    fn apply(&self, deltas: Vec<Delta>, state: &mut ReadState<'_>) -> Result<(), AttemptError> {
        for delta in deltas {
            if let Delta::ServedBy(upstream) = &delta {
                let upstreams = &self.connection.upstreams;
                upstreams.check_served_by(upstream).map_err(AttemptError::permanent)?;
            }
            let now = std::time::Instant::now();
            let applied = state.assembler.apply(delta, now, &mut state.chunks);
            applied.map_err(AttemptError::permanent)?;
        }
        Ok(())
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

/// Longer than the pauses within a burst, and too short to notice.
const BURST_TIMEOUT: Duration = Duration::from_micros(500);
/// Bytes that are read together at most.
const MAX_READ_BYTES: usize = 256 << 10;
