//! Sends one chat request to a provider, and retries transient failures until the model generated something: that is
//! billed, so it is not asked for twice.

use std::time::Duration;

use bytes::Bytes;
use futures_util::{Stream as Bodies, StreamExt};
use reqwest::header::{CONTENT_TYPE, LOCATION};
use tokio::time::{Instant, timeout_at};

use super::assembler::AnswerAssembler;
use super::dialect::dialect_for;
use super::error::{AttemptError, Health};
use super::forwarding::check_host;
use super::learned::StatementTime;
use super::reader::ResponseReader;
use super::sent_body::SentBody;
use super::{Connection, body};
use crate::chat::{AnswerSummary, Chunk, ContentPart, CostSource, DataPolicy, Recommended, StopReason};
use crate::engine::{Job, SentMark, presets};
use crate::error::{Error, ErrorReason, Result};
use crate::net::retry::retry_after;

/// Runs the job. Always finishes the sink, with `Done` or an error.
pub(super) async fn answer(connection: &Connection, mut job: Job) {
    let sampling = presets::resolve(&mut job.request, &[&connection.model.id], Recommended::default());
    let mut assembler = connection.new_assembler(&job.request);
    if connection.charges() && dialect_for(connection.settings.kind).bills_cancelled {
        job.sent.note_billed_in_full();
    }
    let cancel = job.sink.cancel().clone();
    let ended = tokio::select! {
        biased;
        () = cancel.cancelled() => Ok(StopReason::Cancelled),
        ended = run_with_retries(connection, &job, &mut assembler) => ended,
    };
    // The connection is closed in both cases.
    note_upstream(&job, &assembler);
    let is_forwarded = assembler.forwarded && connection.data_policy.is_own();
    if is_forwarded {
        job.sent.note_forwarded();
        let learned = &connection.learned;
        learned.note_host(&connection.model.id, false, StatementTime::now());
    }
    note_begin(connection, &job, &assembler, ended.as_ref().ok());
    let Job {
        request,
        route,
        sink,
        requested_at,
        sent,
        ..
    } = job;
    let last = ended.map(|stop| {
        let prompt_bytes = prompt_bytes(&request.messages);
        // Nothing was sent before a cancel: nothing was used.
        let prompt_bytes = if sent.is_set() { prompt_bytes } else { 0 };
        let (usage, _) = assembler.usage(prompt_bytes);
        if assembler.has_prompt_count() {
            sent.note_prompt_counted();
        }
        sent.note_searches(assembler.searches());
        let (cost, source) = match &connection.model.price {
            Some(_) if !sent.is_set() && connection.charges() => (0.0, CostSource::Estimated),
            price => assembler.cost(prompt_bytes, price.as_ref(), connection.charges()),
        };
        let mut receipt = route.receipt(cost, source, connection.data_policy.clone());
        receipt.billed_in_full =
            matches!(stop, StopReason::Cancelled | StopReason::CostLimit) && sent.is_set() && sent.is_billed_in_full();
        if is_forwarded {
            receipt.data_policy = DataPolicy {
                note: FORWARDED_NOTE.to_owned(),
                ..DataPolicy::unknown()
            };
        }
        if request.web_search {
            receipt.data_policy.note = WEB_SEARCH_NOTE.to_owned();
        }
        let timings = assembler.timings(requested_at, usage.completion_tokens);
        receipt.served_by = assembler.served_by.take();
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

/// Notes whether the answer began inside a block of reasoning, for later ones of the model. Only one that came to its end
/// shows that it did not.
fn note_begin(connection: &Connection, job: &Job, assembler: &AnswerAssembler, stop: Option<&StopReason>) {
    let began_inside = assembler.began_inside();
    if began_inside || matches!(stop, Some(StopReason::End | StopReason::ToolCall)) {
        let learned = &connection.learned;
        if learned.note_begins_inside(&connection.model.id, &job.request.reasoning, began_inside) {
            job.sent.note_learned();
        }
    }
    if assembler.shown_reasoning_bytes() > 0 {
        job.sent.note_shown_reasoning();
    }
}

async fn run_with_retries(connection: &Connection, job: &Job, assembler: &mut AnswerAssembler) -> Result<StopReason> {
    let settings = &connection.settings;
    let body = body::serialize(&body::build_body(connection, &job.request)?)?;
    let timeouts = &connection.timeouts;
    // Both count from the time of the request: time spent on earlier targets counts.
    let deadline = job.request.limits.deadline(job.requested_at);
    let end = deadline.unwrap_or(job.requested_at + timeouts.total).into();
    if Instant::now() >= end {
        return Err(Error::deadline_exceeded());
    }
    if let Some(rest) = connection.circuit.remaining_cooldown(std::time::Instant::now()) {
        let text = format!(
            "`{}` failed repeatedly; try again in {} s",
            settings.name,
            rest.as_secs().max(1)
        );
        let error = Error::busy(text).because(ErrorReason::CircuitOpen);
        return Err(error.with_retry_after(Some(rest)));
    }
    for tries in 1.. {
        let began = Instant::now();
        let failure = match attempt(connection, job, body.clone(), end, assembler).await {
            Ok(stop) => {
                connection.circuit.record_success();
                return Ok(stop);
            }
            Err(failure) => failure,
        };
        // A provider that answers with an error charges nothing; one that says nothing may.
        let may_charge = matches!(
            failure.error.reason(),
            ErrorReason::NoResponse | ErrorReason::Interrupted | ErrorReason::DeadlineExceeded
        );
        job.sent.set(may_charge && job.sent.is_set());
        note_upstream(job, assembler);
        // The reservation of a cap pays for one request: for the prompt once, and for one answer.
        let may_be_billed = job.sent.is_set() || job.sent.is_billed_in_full();
        let is_paid = job.request.limits.max_usd.is_some() && connection.charges() && may_be_billed;
        let delay = failure.retry_after.unwrap_or_else(|| timeouts.retry.backoff(tries));
        let retry = failure.transient
            && !assembler.has_generated()
            && !is_paid
            && tries < timeouts.retry.attempts
            && delay <= timeouts.max_retry_after
            && Instant::now() + delay < end;
        if !retry {
            // Once for the request, whatever its number of attempts.
            match failure.health {
                Health::Good => connection.circuit.record_success(),
                Health::Bad => connection.circuit.record_failure(std::time::Instant::now()),
                Health::Unknown => {}
            }
            return Err(failure.error);
        }
        tracing::debug!(provider = settings.name, tries, "retrying");
        job.sent.end_attempt(began.elapsed());
        tokio::time::sleep(delay).await;
        *assembler = connection.new_assembler(&job.request);
    }
    Err(Error::internal("an answer without an attempt; please report this"))
}

/// Notes how the upstream that answered bills. It may have been named before the answer broke off.
fn note_upstream(job: &Job, assembler: &AnswerAssembler) {
    if assembler.upstream_bills_cancelled() {
        job.sent.note_billed_in_full();
    }
}

async fn attempt(
    connection: &Connection,
    job: &Job,
    body: Bytes,
    end: Instant,
    assembler: &mut AnswerAssembler,
) -> Result<StopReason, AttemptError> {
    let settings = &connection.settings;
    let context = connection.request_context();
    let dialect = dialect_for(settings.kind);
    let begin_reader = |sent| ResponseReader {
        sent,
        end,
        limits: &job.request.limits,
        prompt_bytes: prompt_bytes(&job.request.messages),
        connection,
    };
    check_host(connection, &begin_reader(Instant::now()), &job.sent).await?;
    let sent = Instant::now();
    let reader = begin_reader(sent);
    let request = connection
        .http
        .request(reqwest::Method::POST, dialect.chat, &connection.secret)
        .map_err(AttemptError::permanent)?
        .header(CONTENT_TYPE, "application/json")
        .body(reqwest::Body::wrap(SentBody::new(body, &job.sent)));
    let first_byte = end.min(sent + connection.timeouts.first_byte);
    let response = timeout_at(first_byte, request.send())
        .await
        .map_err(|_| reader.timeout_error("did not answer"))?
        .map_err(|cause| explain_lost(AttemptError::from_connection(&context, &cause), &job.sent))?;
    let status = response.status();
    if status.is_redirection() {
        let location = response
            .headers()
            .get(LOCATION)
            .and_then(|location| location.to_str().ok());
        let from = connection.http.url(dialect.chat);
        return Err(AttemptError::from_redirect(&context, &from, dialect.chat, location));
    }
    if !status.is_success() {
        let after = retry_after(response.headers());
        let body = timeout_at(first_byte, read_error_body(response))
            .await
            .unwrap_or_default();
        connection.http.keep_error_body(&body);
        return Err(AttemptError::from_response(&context, status.as_u16(), &body, after));
    }
    let mut bodies = response.bytes_stream().map(|piece| piece.map_err(|_| ()));
    let stop = reader.read_answer(&mut bodies, assembler, &job.sink).await?;
    if stop != StopReason::CostLimit {
        tokio::spawn(drain(bodies));
    }
    Ok(stop)
}

/// Returns the error of a request without a response. If its content had left, the provider was reached, and may charge it.
fn explain_lost(failure: AttemptError, sent: &SentMark) -> AttemptError {
    match sent.is_set() {
        true => AttemptError {
            error: failure.error.because(ErrorReason::NoResponse),
            ..failure
        },
        false => failure,
    }
}

/// Reads the rest of a complete answer's body, so that the connection can carry the next request. Bounded, because a
/// provider may leave it open.
async fn drain(mut rest: impl Bodies<Item = Result<Bytes, ()>> + Unpin) {
    let mut left = MAX_DRAINED_BYTES;
    let read = async {
        while let Some(Ok(piece)) = rest.next().await
            && left > piece.len()
        {
            left -= piece.len();
        }
    };
    // Past the limits the connection closes.
    let _ = tokio::time::timeout(DRAIN_TIMEOUT, read).await;
}

/// Reads the start of an error body, enough to find its error code.
async fn read_error_body(mut response: reqwest::Response) -> Vec<u8> {
    let mut start = Vec::new();
    while start.len() < MAX_ERROR_BODY_BYTES
        && let Ok(Some(piece)) = response.chunk().await
    {
        start.extend_from_slice(&piece);
    }
    start
}

/// Returns the size of the prompt in bytes, for an estimate of its tokens.
fn prompt_bytes(messages: &[crate::chat::ChatMessage]) -> u64 {
    let part_bytes = |part: &ContentPart| match part {
        ContentPart::Text { text } | ContentPart::Reasoning { text } => text.len(),
        ContentPart::Image { .. } => IMAGE_PROMPT_BYTES,
        ContentPart::ToolCall { arguments, .. } => arguments.len(),
        ContentPart::ToolResult { content, .. } => content.len(),
    };
    messages
        .iter()
        .flat_map(|message| &message.parts)
        .map(|part| part_bytes(part) as u64)
        .sum()
}

const FORWARDED_NOTE: &str = "the server passed the content on to another host, which its list of models did not say";
const WEB_SEARCH_NOTE: &str = "web search was used: its queries are not covered by this data policy";
const MAX_ERROR_BODY_BYTES: usize = 64 << 10;
const MAX_DRAINED_BYTES: usize = 64 << 10;
const DRAIN_TIMEOUT: Duration = Duration::from_secs(1);
/// About 800 tokens, a typical charge for an image.
const IMAGE_PROMPT_BYTES: usize = 3_200;
