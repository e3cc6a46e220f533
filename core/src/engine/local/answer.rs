//! One answer, from request to `Done`.

use std::time::{Duration, Instant};

use nearside_llama::{Prompt, Rendered, Sampler, Token};

use super::load::{self, LoadError, Loaded, told};
use super::reply::{Ended, Reply};
use super::session::Ran;
use super::text::StopWords;
use super::{LocalSettings, prompt, sampling};
use crate::chat::{AnswerSummary, ChatRequest, Chunk, Output, Reasoning, SamplingUsed, StopReason, Timings, Usage};
use crate::engine::Job;
use crate::error::{Error, Result};
use crate::stream::Sink;

/// Runs the job. Always finishes the sink, with `Done` or an error.
pub(super) fn answer(settings: &LocalSettings, loaded: &mut Option<Loaded>, job: Job) {
    let Job {
        request,
        route,
        sink,
        asked,
    } = job;
    let mut told = Told::default();
    let last = match answer_into(settings, loaded, request, &sink, asked, &mut told) {
        Ok(stop) => {
            let mut receipt = route.receipt_on_device();
            receipt.sampling = told.sampling;
            Ok(Chunk::Done {
                summary: AnswerSummary {
                    stop,
                    usage: told.usage,
                    timings: told.timings,
                    receipt,
                },
            })
        }
        Err(error) => Err(error),
    };
    sink.finish(last);
}

/// Statistics for `Done`, updated during generation so that a cancelled answer reports partial values.
#[derive(Debug, Default)]
struct Told {
    usage: Usage,
    timings: Timings,
    sampling: SamplingUsed,
}

fn answer_into(
    settings: &LocalSettings,
    loaded: &mut Option<Loaded>,
    mut request: ChatRequest,
    sink: &Sink<Chunk>,
    asked: Instant,
    told_: &mut Told,
) -> Result<StopReason> {
    if sink.cancel().is_raised() {
        return Ok(StopReason::Cancelled);
    }
    let (loaded, load_ms) = match load::ensure(settings, loaded, sink.cancel()) {
        Ok(ready) => ready,
        Err(LoadError::Cancelled) => return Ok(StopReason::Cancelled),
        Err(LoadError::Failed(error)) => return Err(error),
    };
    told_.timings.load_ms = load_ms;

    let settled = sampling::settle(&mut request, &settings.id, &loaded.model);
    let rendered = render(loaded, &request)?;
    let tokens = tokens_of(loaded, &rendered.prompt, &request)?;
    let params = rendered.constrain(sampling::resolve(&request.sampling, &loaded.model));
    told_.sampling = SamplingUsed {
        temperature: Some(params.temperature),
        top_p: Some(params.top_p),
        ..settled
    };
    let mut sampler = Sampler::new(&loaded.model, &params).map_err(told)?;
    sampler.observe(&tokens).map_err(told)?;

    let cached = loaded.session.keep_common(&tokens);
    told_.usage.prompt_tokens = tokens.len() as u32;
    told_.usage.cached_tokens = cached;
    let begun = Instant::now();
    if loaded.session.run(&tokens[cached as usize..], sink.cancel().flag())? == Ran::Cancelled {
        return Ok(StopReason::Cancelled);
    }
    told_.timings.prompt_tokens_per_second = rate(tokens.len() as u32 - cached, begun.elapsed());

    let stops = StopWords::new(&rendered.stops, &request.sampling.stop);
    let reply = Reply::new(rendered.parser().map_err(told)?, stops);
    let preserved = loaded.model.single_tokens(&rendered.preserved_tokens).map_err(told)?;
    let writing = Writing {
        loaded,
        sampler: &mut sampler,
        reply,
        preserved,
        sink,
        asked,
    };
    writing.write(request.limits.max_tokens, told_)
}

fn render(loaded: &Loaded, request: &ChatRequest) -> Result<Rendered> {
    let messages = prompt::messages_json(&request.messages)?;
    let tools = prompt::tools_json(&request.tools);
    let json_schema = match &request.output {
        Output::Text => None,
        Output::Json => Some(r#"{"type":"object"}"#),
        Output::JsonSchema { schema } => Some(schema.as_str()),
    };
    let asked = Prompt {
        messages_json: &messages,
        tools_json: tools.as_deref(),
        json_schema,
        grammar: None,
        thinking: request.reasoning != Reasoning::Off,
        continue_final: false,
    };
    loaded.template.render(&asked).map_err(told)
}

fn tokens_of(loaded: &Loaded, prompt: &str, request: &ChatRequest) -> Result<Vec<Token>> {
    let tokens = loaded.model.tokenize(prompt, true, true).map_err(told)?;
    if tokens.is_empty() {
        return Err(Error::invalid_request("the messages are empty; say something"));
    }
    let capacity = loaded.session.capacity();
    if tokens.len() >= capacity as usize {
        let (needed, messages) = (tokens.len() + 1, request.messages.len());
        return Err(Error::invalid_request(format!(
            "the {messages} messages need {needed} tokens and the context holds {capacity}; raise `context` or send fewer"
        )));
    }
    Ok(tokens)
}

/// The decode loop and what it needs.
struct Writing<'a> {
    loaded: &'a mut Loaded,
    sampler: &'a mut Sampler,
    reply: Reply,
    preserved: Vec<Token>,
    sink: &'a Sink<Chunk>,
    asked: Instant,
}

impl Writing<'_> {
    fn write(mut self, max_tokens: Option<u32>, told_: &mut Told) -> Result<StopReason> {
        let mut chunks = Vec::new();
        let mut first: Option<Instant> = None;
        let stop = loop {
            if self.sink.cancel().is_raised() {
                break StopReason::Cancelled;
            }
            let token = self.loaded.session.sample(self.sampler)?;
            let begun = *first.get_or_insert_with(|| {
                told_.timings.first_token_ms = self.asked.elapsed().as_secs_f64() * 1000.0;
                Instant::now()
            });
            told_.timings.tokens_per_second = rate(told_.usage.completion_tokens, begun.elapsed());
            if self.loaded.model.is_end(token) {
                break StopReason::End;
            }
            told_.usage.completion_tokens += 1;
            let special = self.preserved.contains(&token);
            let model = &self.loaded.model;
            let ended = self
                .reply
                .push(|bytes| model.push_piece(token, special, bytes), &mut chunks);
            if !chunks.drain(..).all(|chunk| self.sink.send_blocking(chunk)) {
                break StopReason::Cancelled;
            }
            match ended {
                Some(Ended::Turn) => break StopReason::End,
                Some(Ended::StopSequence) => break StopReason::StopSequence,
                None => {}
            }
            if max_tokens.is_some_and(|most| told_.usage.completion_tokens >= most) {
                break StopReason::MaxTokens;
            }
            if self.loaded.session.is_full() {
                break StopReason::ContextFull;
            }
            if self.loaded.session.run(&[token], self.sink.cancel().flag())? == Ran::Cancelled {
                break StopReason::Cancelled;
            }
        };
        let called = self.reply.finish(&mut chunks);
        told_.usage.reasoning_tokens = self.reply.reasoning_tokens();
        let stop = if called && stop == StopReason::End {
            StopReason::ToolCall
        } else {
            stop
        };
        // After a cancel the reader wants the end, not the rest.
        if stop != StopReason::Cancelled && !chunks.drain(..).all(|chunk| self.sink.send_blocking(chunk)) {
            return Ok(StopReason::Cancelled);
        }
        Ok(stop)
    }
}

/// Tokens a second; 0 where nothing was measured.
pub(super) fn rate(tokens: u32, time: Duration) -> f64 {
    let seconds = time.as_secs_f64();
    if tokens == 0 || seconds <= 0.0 {
        0.0
    } else {
        f64::from(tokens) / seconds
    }
}
