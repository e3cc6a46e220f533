//! Sends one chat request to a provider, streams the response, and retries transient failures until the first visible
//! chunk.
//!
//! # Timeouts
//! Connecting, the first byte, the first data, silence between data and the whole answer have separate limits
//! ([`Timeouts`]). Comments and blank lines are connection keep-alives and reset no timeout. Time spent waiting for a
//! slow consumer does not count.

use std::time::Duration;

use bytes::Bytes;
use futures_util::{Stream as Bodies, StreamExt};
use reqwest::header::CONTENT_TYPE;
use tokio::time::{Instant, timeout_at};

use super::delta::{self, Said};
use super::dialect;
use super::failure::{Failure, Who};
use super::frames::{Frames, Framing};
use super::writer::Writer;
use super::{Connection, body};
use crate::chat::{AnswerSummary, Chunk, Limits, Part, Recommended, StopReason};
use crate::engine::{Job, presets};
use crate::error::{Error, Result};
use crate::net::retry::{RetryPolicy, retry_after};
use crate::stream::Sink;

/// Timeouts and retries of one chat request.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Timeouts {
    /// From sending the request to the response headers.
    pub first_byte: Duration,
    /// From sending the request to the first data event; keep-alives do not count.
    pub first_data: Duration,
    /// Idle timeout between two data events.
    pub idle: Duration,
    /// From the request to the end of the answer, unless the request sets a deadline.
    pub total: Duration,
    /// From the finish reason to the end of the stream; usage may arrive in between.
    pub trailing: Duration,
    /// Attempts, and the delays between them.
    pub retry: RetryPolicy,
    /// Longest `Retry-After` that is honoured; a longer one fails the request at once.
    pub max_retry_after: Duration,
}

impl Default for Timeouts {
    /// A model of the size of R1 may take a minute to begin when it is busy, and half an hour to think.
    fn default() -> Self {
        Self {
            first_byte: Duration::from_secs(60),
            first_data: Duration::from_secs(120),
            idle: Duration::from_secs(60),
            total: Duration::from_secs(1800),
            trailing: Duration::from_secs(5),
            retry: RetryPolicy {
                attempts: 3,
                initial_backoff: Duration::from_millis(500),
            },
            max_retry_after: Duration::from_secs(10),
        }
    }
}

/// Runs the job. Always finishes the sink, with `Done` or an error.
pub(super) async fn answer(connection: &Connection, mut job: Job) {
    let sampling = presets::settle(&mut job.request, &[&connection.model.id], Recommended::default());
    let mut writer = Writer::new(connection.settings.kind);
    let cancel = job.sink.cancel().clone();
    let ended = tokio::select! {
        biased;
        () = cancel.wait() => Ok(StopReason::Cancelled),
        ended = attempts(connection, &job, &mut writer) => ended,
    };
    // The connection is closed by now, whichever of the two it was.
    let Job {
        request,
        route,
        sink,
        asked,
    } = job;
    let last = ended.map(|stop| {
        let prompt_bytes = prompt_bytes(&request.messages);
        let (usage, _) = writer.usage(prompt_bytes);
        let own = connection.data_policy.is_own();
        let (cost, source) = writer.cost(prompt_bytes, connection.model.price.as_ref(), own);
        let mut receipt = route.receipt(cost, source, connection.data_policy.clone());
        let dialect = dialect::of(connection.settings.kind);
        receipt.billed_in_full = matches!(stop, StopReason::Cancelled | StopReason::CostLimit)
            && !own
            && (dialect.bills_cancelled || writer.upstream_bills_cancelled());
        if request.web_search {
            receipt.data_policy.note = NOT_COVERED.to_owned();
        }
        let timings = writer.timings(asked, usage.completion_tokens);
        receipt.served_by = writer.served_by.take();
        receipt.sampling = sampling;
        Chunk::Done {
            summary: AnswerSummary {
                stop,
                usage,
                timings,
                receipt,
            },
        }
    });
    sink.finish(last);
}

async fn attempts(connection: &Connection, job: &Job, writer: &mut Writer) -> Result<StopReason> {
    let settings = &connection.settings;
    let body = body::body(
        settings.kind,
        &settings.name,
        &job.request,
        &connection.model,
        &connection.upstreams,
    )?;
    let body = Bytes::from(body.to_string());
    let timeouts = &connection.timeouts;
    let total = job
        .request
        .limits
        .deadline_ms
        .map_or(timeouts.total, Duration::from_millis);
    // `asked` is when the app asked: what was spent on other places before counts.
    let end = Instant::from_std(job.asked) + total;
    for attempt in 1.. {
        if let Some(rest) = connection.circuit.open_for(std::time::Instant::now()) {
            return Err(Error::busy(format!(
                "`{}` failed again and again and is left alone for {} s",
                settings.name,
                rest.as_secs().max(1)
            )));
        }
        let failure = match once(connection, job, body.clone(), end, writer).await {
            Ok(stop) => {
                connection.circuit.succeeded();
                return Ok(stop);
            }
            Err(failure) => failure,
        };
        if failure.transient {
            connection.circuit.failed(std::time::Instant::now());
        } else {
            connection.circuit.succeeded();
        }
        let rest = failure.retry_after.unwrap_or_else(|| timeouts.retry.backoff(attempt));
        let again = failure.transient
            && !writer.visible
            && attempt < timeouts.retry.attempts
            && rest <= timeouts.max_retry_after
            && Instant::now() + rest < end;
        if !again {
            return Err(failure.error);
        }
        tracing::debug!(provider = settings.name, attempt, "asking again");
        tokio::time::sleep(rest).await;
        *writer = Writer::new(settings.kind);
    }
    Err(Error::internal("an answer without an attempt; please report this"))
}

async fn once(
    connection: &Connection,
    job: &Job,
    body: Bytes,
    end: Instant,
    writer: &mut Writer,
) -> Result<StopReason, Failure> {
    let settings = &connection.settings;
    let who = connection.who();
    let sent = Instant::now();
    let request = connection
        .http
        .request(
            reqwest::Method::POST,
            dialect::of(settings.kind).chat,
            &connection.secret,
        )
        .map_err(Failure::fatal)?
        .header(CONTENT_TYPE, "application/json")
        .body(body);
    let first_byte = end.min(sent + connection.timeouts.first_byte);
    let response = timeout_at(first_byte, request.send())
        .await
        .map_err(|_| silent(&who, "did not answer"))?
        .map_err(|cause| unreachable(&who, &cause))?;
    let status = response.status();
    let kind = response.headers().get(CONTENT_TYPE).and_then(|kind| kind.to_str().ok());
    let kind = kind.unwrap_or_default().to_ascii_lowercase();
    if !status.is_success() {
        let rest = retry_after(response.headers());
        let told = timeout_at(first_byte, beginning(response)).await.unwrap_or_default();
        return Err(Failure::refused(&who, status.as_u16(), &told, rest));
    }
    if kind.starts_with("text/html") {
        return Err(Failure::fatal(Error::provider(format!(
            "`{}` answered with a web page; check its address",
            settings.name
        ))));
    }
    let framing = match dialect::of(settings.kind).framing {
        // A server that does not stream answers with one JSON value.
        Framing::Events if kind.starts_with("application/json") => Framing::Lines,
        framing => framing,
    };
    let reading = Reading {
        who,
        framing,
        sent,
        end,
        timeouts: &connection.timeouts,
        limits: &job.request.limits,
        prompt_bytes: prompt_bytes(&job.request.messages),
        connection,
    };
    let whole = framing == Framing::Lines && dialect::of(settings.kind).framing == Framing::Events;
    let bodies = response.bytes_stream().map(|piece| piece.map_err(|_| ()));
    if whole {
        reading.whole(bodies, writer, &job.sink).await
    } else {
        reading.stream(bodies, writer, &job.sink).await
    }
}

/// Reads one streamed response.
pub(super) struct Reading<'a> {
    pub(super) who: Who<'a>,
    pub(super) framing: Framing,
    pub(super) sent: Instant,
    pub(super) end: Instant,
    pub(super) timeouts: &'a Timeouts,
    pub(super) limits: &'a Limits,
    pub(super) prompt_bytes: u64,
    pub(super) connection: &'a Connection,
}

impl Reading<'_> {
    /// Reads events until the answer is complete. An event may span several body chunks.
    pub(super) async fn stream(
        &self,
        bodies: impl Bodies<Item = Result<Bytes, ()>>,
        writer: &mut Writer,
        sink: &Sink<Chunk>,
    ) -> Result<StopReason, Failure> {
        let mut bodies = std::pin::pin!(bodies);
        let mut frames = Frames::new(self.framing);
        let (mut events, mut chunks) = (Vec::new(), Vec::new());
        let mut deadline = self.end.min(self.sent + self.timeouts.first_data);
        while !writer.is_over() {
            let piece = match timeout_at(deadline, bodies.next()).await {
                Ok(Some(Ok(piece))) => piece,
                // The connection broke after the finish reason: the answer is complete.
                Ok(Some(Err(()))) if writer.is_finished() => break,
                Ok(Some(Err(()))) => return Err(broken(&self.who)),
                Ok(None) => {
                    frames.finish(&mut events).map_err(Failure::fatal)?;
                    self.take(&mut events, &mut chunks, writer, sink).await?;
                    break;
                }
                Err(_) if writer.is_finished() => break,
                Err(_) if Instant::now() >= self.end => {
                    return Err(Failure::fatal(Error::provider(format!(
                        "the answer of `{}` was not done within its deadline",
                        self.who.provider
                    ))));
                }
                Err(_) => return Err(silent(&self.who, "sent keep-alives at most, and nothing of an answer")),
            };
            frames.push(&piece, &mut events).map_err(Failure::fatal)?;
            if events.is_empty() {
                continue;
            }
            if let Some(stop) = self.take(&mut events, &mut chunks, writer, sink).await? {
                return Ok(stop);
            }
            let rest = if writer.is_finished() {
                self.timeouts.trailing
            } else {
                self.timeouts.idle
            };
            deadline = self.end.min(Instant::now() + rest);
        }
        let stop = writer.finish(&self.who, &mut chunks)?;
        self.hand_over(&mut chunks, writer, sink).await?;
        Ok(stop)
    }

    /// Reads an answer that comes in one piece, behind any number of blank lines.
    async fn whole(
        &self,
        bodies: impl Bodies<Item = Result<Bytes, ()>>,
        writer: &mut Writer,
        sink: &Sink<Chunk>,
    ) -> Result<StopReason, Failure> {
        let mut bodies = std::pin::pin!(bodies);
        let deadline = self.end.min(self.sent + self.timeouts.first_data);
        let mut all = Vec::new();
        loop {
            match timeout_at(deadline, bodies.next()).await {
                Ok(Some(Ok(piece))) if all.len() + piece.len() <= LONGEST_WHOLE => all.extend_from_slice(&piece),
                Ok(Some(Ok(_))) => return Err(Failure::fatal(Error::provider("the answer is over 32 MB; refused"))),
                Ok(Some(Err(()))) => return Err(broken(&self.who)),
                Ok(None) => break,
                Err(_) => return Err(silent(&self.who, "did not finish its answer")),
            }
        }
        let text = String::from_utf8(all).map_err(|_| broken(&self.who))?;
        let (mut events, mut chunks) = (vec![text], Vec::new());
        self.take(&mut events, &mut chunks, writer, sink).await?;
        let stop = writer.finish(&self.who, &mut chunks)?;
        self.hand_over(&mut chunks, writer, sink).await?;
        Ok(stop)
    }

    /// Processes events. Returns a stop reason if the answer must end now.
    async fn take(
        &self,
        events: &mut Vec<String>,
        chunks: &mut Vec<Chunk>,
        writer: &mut Writer,
        sink: &Sink<Chunk>,
    ) -> Result<Option<StopReason>, Failure> {
        let mut said = Vec::new();
        let mut failed = None;
        for event in events.drain(..) {
            // Deliver events that precede an error in the same read.
            failed = delta::read(&self.who, &event, &mut said).err();
            if failed.is_some() {
                break;
            }
        }
        for word in said {
            if let Said::ServedBy(upstream) = &word {
                self.connection.upstreams.check(upstream).map_err(Failure::fatal)?;
            }
            writer
                .take(word, std::time::Instant::now(), chunks)
                .map_err(Failure::fatal)?;
        }
        self.hand_over(chunks, writer, sink).await?;
        if let Some(failure) = failed {
            return Err(failure);
        }
        let cap = self.limits.max_usd.filter(|_| !writer.is_finished());
        let price = self.connection.model.price.as_ref();
        let spent = cap.map(|_| {
            writer
                .cost(self.prompt_bytes, price, self.connection.data_policy.is_own())
                .0
        });
        Ok((spent > cap).then_some(StopReason::CostLimit))
    }

    async fn hand_over(&self, chunks: &mut Vec<Chunk>, writer: &mut Writer, sink: &Sink<Chunk>) -> Result<(), Failure> {
        for chunk in chunks.drain(..) {
            writer.visible = true;
            if !sink.send(chunk).await {
                // Cancelled: the `select!` in `answer` is about to drop this future.
                sink.cancel().wait().await;
            }
        }
        Ok(())
    }
}

/// Reads the start of an error body, enough to find its error code.
async fn beginning(mut response: reqwest::Response) -> Vec<u8> {
    let mut told = Vec::new();
    while told.len() < LONGEST_REFUSAL
        && let Ok(Some(piece)) = response.chunk().await
    {
        told.extend_from_slice(&piece);
    }
    told
}

fn silent(who: &Who<'_>, what: &str) -> Failure {
    Failure::transient(Error::network(format!(
        "`{}` {what} for too long; try again, or elsewhere",
        who.provider
    )))
}

fn broken(who: &Who<'_>) -> Failure {
    Failure::transient(Error::network(format!(
        "the connection to `{}` broke off in the middle of the answer; try again",
        who.provider
    )))
}

fn unreachable(who: &Who<'_>, cause: &reqwest::Error) -> Failure {
    let provider = who.provider;
    let what = if cause.is_connect() {
        "cannot be reached"
    } else {
        "closed the connection without an answer"
    };
    // reqwest's own text names the address; the provider's name says enough.
    Failure::transient(Error::network(format!(
        "`{provider}` {what}; check the network and its address, or try again"
    )))
}

/// What an estimate of the prompt's tokens rests on.
fn prompt_bytes(messages: &[crate::chat::Message]) -> u64 {
    let of = |part: &Part| match part {
        Part::Text { text } | Part::Reasoning { text } => text.len(),
        Part::Image { .. } => IMAGE_BYTES,
        Part::ToolCall { arguments, .. } => arguments.len(),
        Part::ToolResult { content, .. } => content.len(),
    };
    messages
        .iter()
        .flat_map(|message| &message.parts)
        .map(|part| of(part) as u64)
        .sum()
}

const NOT_COVERED: &str = "the web was searched: what was searched for is not covered by these terms";
const LONGEST_REFUSAL: usize = 64 << 10;
const LONGEST_WHOLE: usize = 32 << 20;
/// About 800 tokens, in the middle of what models charge for a picture.
const IMAGE_BYTES: usize = 3_200;
