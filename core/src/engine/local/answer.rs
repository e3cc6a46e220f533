//! Generates one answer, from request to `Done`.

use std::sync::Arc;
use std::time::{Duration, Instant};

use nearside_llama::{Sampler, Token};

use super::control_words::ControlWords;
use super::error::{AnswerError, map_llama_error, no_memory};
use super::fitted::{FittedPrompt, Fitting};
use super::load::{LazyModel, ReadyModel};
use super::reply::{ReplyAssembler, ReplyEnd};
use super::saved_caches::Wanted;
use super::session::DecodeOutcome;
use super::stop::StopConditions;
use super::text::StopWords;
use super::{prompt, sampling, schema};
use crate::chat::{
    AnswerSummary, AppliedSampling, CacheMiss, ChatRequest, Chunk, ReasoningMode, Route, StopReason, Timings,
    TokenUsage,
};
use crate::engine::{BegunAnswer, Job, JobConversation};
use crate::error::{Error, Result};
use crate::stream::StreamSender;

/// Runs the job. Returns its sink with the last item, `Done` or an error, which the caller sends when the engine is free.
pub(super) fn run_job(model: &mut LazyModel, job: Job, stop: &StopConditions) -> (StreamSender<Chunk>, Result<Chunk>) {
    let Job {
        request,
        kept_turns,
        conversation,
        mut route,
        sink,
        requested_at,
        begun,
        ..
    } = job;
    let mut stats = AnswerStats::default();
    let asked = Asked {
        request,
        kept_turns,
        conversation,
        begun,
        requested_at,
        stop,
    };
    let last = match generate(model, asked, &mut route, &sink, &mut stats) {
        Ok(stop) => {
            let mut summary = AnswerSummary::on_device(stop, &route);
            (summary.usage, summary.timings) = (stats.usage, stats.timings);
            summary.receipt.sampling = stats.sampling;
            summary.receipt.cache_miss = stats.cache_miss;
            Ok(Chunk::Done { summary })
        }
        Err(AnswerError::Failed(error)) => Err(error),
        Err(AnswerError::Stopped) => Err(Error::internal("a stop is no error; this is a bug, please report it")),
        Err(AnswerError::ModelUnusable(error)) => {
            model.mark_unusable(&error);
            Err(error)
        }
    };
    (sink, last)
}

/// Checks everything that can be wrong with a request, before gigabytes are loaded for it.
pub(super) fn check_request(request: &ChatRequest) -> Result<()> {
    schema::prepare(request)?;
    prompt::messages_json(&request.messages, &ControlWords::default())?;
    Ok(())
}

/// A request, how much of its history must stay, and what ends it.
struct Asked<'a> {
    request: ChatRequest,
    kept_turns: Option<u32>,
    conversation: Option<JobConversation>,
    begun: Option<BegunAnswer>,
    requested_at: Instant,
    stop: &'a StopConditions,
}

/// Statistics for `Done`, updated during generation so that a cancelled answer reports partial values.
#[derive(Debug, Default)]
struct AnswerStats {
    usage: TokenUsage,
    timings: Timings,
    sampling: AppliedSampling,
    cache_miss: Option<CacheMiss>,
}

fn generate(
    model: &mut LazyModel,
    asked: Asked<'_>,
    route: &mut Route,
    sink: &StreamSender<Chunk>,
    stats: &mut AnswerStats,
) -> Result<StopReason, AnswerError> {
    let stop = asked.stop;
    let id = model.settings.id.clone();
    if stop.is_raised() {
        return stopped(stop);
    }
    let constraints = schema::prepare(&asked.request)?;
    let prompt_tokens = model.prompt_tokens();
    let (loaded, load_ms) = model.loaded(true)?;
    // A job that came while the model was loading waited for less than all of it.
    stats.timings.load_ms = load_ms.min(asked.requested_at.elapsed().as_secs_f64() * 1000.0);

    prompt_tokens.begin_request();
    let mut capacity = loaded.session.reachable_capacity(asked.request.limits.context);
    let fitted = loop {
        let fitting = Fitting {
            loaded,
            prompt_tokens: &prompt_tokens,
            id: &id,
            constraints: &constraints,
            whole: &asked.request,
            begun: None,
            capacity,
            stop,
        };
        let fitted = fitting
            .fit_begun(asked.kept_turns, asked.begun.as_ref())
            .and_then(|fitted| Ok((fitting.prompt_end(&fitted)?, fitted)));
        let Ok((_, prompt)) = &fitted else { break fitted };
        let (tokens, max_tokens) = (prompt.tokens.len(), prompt.request.limits.max_tokens);
        loaded.session.set_capacity(tokens, max_tokens, capacity);
        let size = loaded.session.make_room(tokens);
        if size as usize > tokens {
            break fitted;
        }
        // The memory went elsewhere meanwhile.
        capacity = size;
    };
    let (end, fitted) = match fitted {
        Err(AnswerError::Stopped) => return stopped(stop),
        fitted => fitted?,
    };
    let FittedPrompt {
        request,
        applied,
        rendered,
        tokens,
        omitted_messages,
        is_continued,
    } = fitted;
    if route.omitted_messages != omitted_messages {
        route.omitted_messages = omitted_messages;
        sink.send_merged(Chunk::Started { route: route.clone() });
    }
    let mut params = rendered.constrain(sampling::sampler_params(&request.sampling, &loaded.model));
    if let (ReasoningMode::Budget { tokens }, Some(_)) = (request.reasoning, &params.thinking) {
        params.thinking_budget = Some(tokens);
    }
    stats.sampling = AppliedSampling {
        temperature: Some(params.temperature),
        top_p: Some(params.top_p),
        ..applied
    };
    let mut sampler = Sampler::new(&loaded.model, &params).map_err(map_llama_error)?;
    sampler.observe(&tokens).map_err(map_llama_error)?;

    let cached = loaded.session.reuse_prefix(&Wanted {
        prompt: &tokens,
        conversation: asked.conversation,
        requested_at: asked.requested_at,
        is_stopped: &|| stop.is_raised(),
    });
    stats.usage.prompt_tokens = tokens.len() as u32;
    stats.usage.cached_tokens = cached;
    let changed = loaded.recent.note(&asked.request);
    stats.cache_miss = changed.filter(|_| cached < tokens.len() as u32 / 2);
    loaded.session.begin_job();
    let begun = Instant::now();
    let outcome = loaded.session.prefill(&tokens[cached as usize..], end, stop.signal())?;
    match outcome {
        DecodeOutcome::Complete => {}
        DecodeOutcome::Stopped => return stopped(stop),
        DecodeOutcome::NoMemory => return Err(no_memory(tokens.len(), "shorten the conversation").into()),
    }
    let prefill = begun.elapsed().saturating_sub(loaded.session.take_waited());
    stats.timings.prompt_tokens_per_second = tokens_per_second(tokens.len() as u32 - cached, prefill);

    let stops = StopWords::new(&rendered.stops, &request.sampling.stop);
    let mut reply = ReplyAssembler::new(&rendered, stops, Arc::clone(&loaded.control_words))?;
    if let Some(begun) = asked.begun.filter(|_| is_continued) {
        reply.set_begun(&begun.reasoning, &begun.text);
    }
    let preserved = loaded.model.single_tokens(&rendered.preserved_tokens);
    let preserved = preserved.map_err(map_llama_error)?;
    let decode_loop = DecodeLoop {
        loaded,
        sampler: &mut sampler,
        reply,
        preserved,
        sink,
        stop,
        requested_at: asked.requested_at,
    };
    Ok(decode_loop.generate_reply(request.limits.max_tokens, stats)?)
}

/// Ends an answer early: as cancelled, or with an error after the deadline.
fn stopped(stop: &StopConditions) -> Result<StopReason, AnswerError> {
    match stop.cause() {
        Some(error) => Err(error.into()),
        None => Ok(stop.reason()),
    }
}

/// The decode loop and what it needs.
struct DecodeLoop<'a> {
    loaded: &'a mut ReadyModel,
    sampler: &'a mut Sampler,
    reply: ReplyAssembler,
    preserved: Vec<Token>,
    sink: &'a StreamSender<Chunk>,
    stop: &'a StopConditions,
    requested_at: Instant,
}

impl DecodeLoop<'_> {
    fn generate_reply(mut self, max_tokens: Option<u32>, stats: &mut AnswerStats) -> Result<StopReason> {
        let mut chunks = Vec::new();
        let mut first: Option<Instant> = None;
        // The time of the library, its reader and its pauses, which the speed of the model does not include.
        let mut others = Duration::ZERO;
        let stop = loop {
            if self.stop.is_raised() {
                break StopReason::Cancelled;
            }
            let token = self.loaded.session.sample(self.sampler)?;
            let begun = *first.get_or_insert_with(|| {
                stats.timings.first_token_ms = self.requested_at.elapsed().as_secs_f64() * 1000.0;
                Instant::now()
            });
            stats.timings.tokens_per_second =
                tokens_per_second(stats.usage.completion_tokens, begun.elapsed().saturating_sub(others));
            if self.loaded.model.is_end(token) {
                break StopReason::End;
            }
            stats.usage.completion_tokens += 1;
            let special = self.preserved.contains(&token);
            let model = &self.loaded.model;
            let ended = self
                .reply
                .push(|bytes| model.push_piece(token, special, bytes), &mut chunks);
            let sent_at = Instant::now();
            if !chunks.drain(..).all(|chunk| self.sink.send_merged(chunk)) {
                break StopReason::Cancelled;
            }
            others += sent_at.elapsed();
            match ended {
                Some(ReplyEnd::Turn) => break StopReason::End,
                Some(ReplyEnd::StopSequence) => break StopReason::StopSequence,
                None => {}
            }
            if max_tokens.is_some_and(|most| stats.usage.completion_tokens >= most) {
                break StopReason::MaxTokens;
            }
            if self.loaded.session.is_full() {
                break StopReason::ContextFull;
            }
            let outcome = self.loaded.session.decode(&[token], self.stop.signal())?;
            others += self.loaded.session.take_waited();
            match outcome {
                DecodeOutcome::Complete => {}
                DecodeOutcome::Stopped => break StopReason::Cancelled,
                DecodeOutcome::NoMemory => break StopReason::ContextFull,
            }
        };
        let called = self.reply.end_reply(stop != StopReason::End, &mut chunks);
        stats.usage.reasoning_tokens = self.reply.reasoning_tokens();
        let stop = if called && stop == StopReason::End {
            StopReason::ToolCall
        } else {
            stop
        };
        // Also after a cancel: what was withheld belongs to the answer.
        if !chunks.drain(..).all(|chunk| self.sink.send_last(chunk)) {
            return Ok(self.stop.reason());
        }
        match self.stop.cause() {
            Some(error) if stop == StopReason::Cancelled => Err(error),
            None if stop == StopReason::Cancelled => Ok(self.stop.reason()),
            _ => Ok(stop),
        }
    }
}

/// Returns tokens per second; 0 if nothing was measured.
pub(super) fn tokens_per_second(tokens: u32, time: Duration) -> f64 {
    let seconds = time.as_secs_f64();
    if tokens == 0 || seconds <= 0.0 {
        0.0
    } else {
        f64::from(tokens) / seconds
    }
}
