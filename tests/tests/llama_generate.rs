//! Generation in the safe layer with a real model.

use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::mpsc;
use std::time::{Duration, Instant};

use nearside_llama::{
    Context, ContextParams, Decoded, Grammar, LlamaError, LoadMode, Model, ModelParams, Sampler, SamplerParams, Token,
    json_schema_to_grammar,
};
use nearside_tests::models;

/// `llama-completion -m smollm2.gguf -p "$PROMPT" -n 32 --temp 0 -no-cnv -t 2 --no-warmup` of llama.cpp build 11669, run
/// with its AVX2 kernels, writes this after the prompt.
#[test]
fn greedy_text_is_llama_cpps_own() {
    let model = load(LoadMode::Repacked);
    for threads in [1, 2] {
        let params = ContextParams {
            threads,
            ..ContextParams::default()
        };
        let mut context = Context::new(&model, &params).unwrap();
        let text = continue_prompt(&mut context, &prompt(&model), &greedy());
        assert_eq!(text, LLAMA_CPP_OUTPUT, "{threads} threads");
    }
}

#[test]
fn a_mapped_model_writes_the_same() {
    let model = load(LoadMode::Mapped);
    let mut context = context(&model);
    let text = continue_prompt(&mut context, &prompt(&model), &greedy());
    assert_eq!(text, LLAMA_CPP_OUTPUT);
}

#[test]
fn an_abort_in_a_long_prompt_is_quick_and_harmless() {
    let model = load(LoadMode::Repacked);
    let mut context = context(&model);
    let long = model
        .tokenize(&"The tide comes and the tide goes. ".repeat(400), true, false)
        .unwrap();
    let abort = AtomicBool::new(false);
    let (third, started) = mpsc::channel();
    let aborting = &abort;
    let (outcome, late, batch) = std::thread::scope(|scope| {
        let aborter = scope.spawn(move || {
            let batch: Duration = started.recv().unwrap();
            // So this is during one.
            std::thread::sleep(batch / 4);
            aborting.store(true, Ordering::Relaxed);
            Instant::now()
        });
        let mut outcome = Decoded::Whole;
        let begun = Instant::now();
        let mut batch = Duration::MAX;
        for (number, piece) in long.chunks(512).enumerate() {
            if number == 2 {
                batch = begun.elapsed() / 2;
                third.send(batch).unwrap();
            }
            outcome = context.decode(piece, false, &abort).unwrap();
            if outcome != Decoded::Whole {
                break;
            }
        }
        let end = Instant::now();
        (outcome, end.duration_since(aborter.join().unwrap()), batch)
    });
    assert!(matches!(outcome, Decoded::Aborted { .. }), "{outcome:?}");
    // The abort comes between two operations of a batch, not at its end; compared with batches of the same run.
    assert!(late < batch / 2, "the abort took {late:?}, a whole batch {batch:?}");
    let position = context.position();
    assert!(
        position >= 1024 && position.is_multiple_of(512),
        "a cut batch left something behind: {position}"
    );

    abort.store(false, Ordering::Relaxed);
    assert_eq!(context.trim(0), 0);
    assert_eq!(context.position(), 0);
    let text = continue_prompt(&mut context, &prompt(&model), &greedy());
    assert_eq!(text, LLAMA_CPP_OUTPUT);
}

#[test]
fn an_abort_that_came_before_costs_nothing() {
    let model = load(LoadMode::Repacked);
    let mut context = context(&model);
    let decoded = context.decode(&prompt(&model), true, &AtomicBool::new(true));
    assert_eq!(decoded.unwrap(), Decoded::Aborted { kept: 0 });
    assert_eq!(context.position(), 0);
}

#[test]
fn a_trimmed_context_continues_as_if_nothing_had_followed() {
    let model = load(LoadMode::Repacked);
    let mut context = context(&model);
    let prompt = prompt(&model);
    let go_on = AtomicBool::new(false);
    context.decode(&prompt, false, &go_on).unwrap();
    let more = model.tokenize(" of the wind, and", false, false).unwrap();
    context.decode(&more, false, &go_on).unwrap();
    let (last, most) = prompt.split_last().unwrap();
    assert_eq!(context.trim(u32::try_from(most.len()).unwrap()) as usize, most.len());
    assert_eq!(context.position() as usize, most.len());
    assert_eq!(continue_prompt(&mut context, &[*last], &greedy()), LLAMA_CPP_OUTPUT);

    context.clear();
    assert_eq!(context.position(), 0);
    assert_eq!(continue_prompt(&mut context, &prompt, &greedy()), LLAMA_CPP_OUTPUT);
}

#[test]
fn a_seed_repeats_itself() {
    let model = load(LoadMode::Repacked);
    let mut context = context(&model);
    let warm = SamplerParams {
        temperature: 1.0,
        seed: 7,
        ..SamplerParams::default()
    };
    let first = continue_prompt(&mut context, &prompt(&model), &warm);
    context.clear();
    assert_eq!(continue_prompt(&mut context, &prompt(&model), &warm), first);
    context.clear();
    let other = SamplerParams { seed: 8, ..warm };
    assert_ne!(continue_prompt(&mut context, &prompt(&model), &other), first);
}

#[test]
fn a_grammar_is_followed() {
    let model = load(LoadMode::Repacked);
    let mut context = context(&model);
    let schema = r#"{"type": "object", "properties": {"moon": {"type": "boolean"}}, "required": ["moon"]}"#;
    let gbnf = json_schema_to_grammar(schema).unwrap();
    let params = SamplerParams {
        grammar: Some(Grammar::new(gbnf)),
        ..greedy()
    };
    let text = continue_prompt(&mut context, &prompt(&model), &params);
    let json: serde_json::Value = serde_json::from_str(text.trim()).unwrap();
    assert!(json["moon"].is_boolean(), "{text}");
}

#[test]
fn input_without_meaning_is_an_error_and_changes_nothing() {
    let model = load(LoadMode::Repacked);
    let params = ContextParams {
        context: 512,
        batch: 64,
        threads: 1,
        ..ContextParams::default()
    };
    let mut context = Context::new(&model, &params).unwrap();
    let mut sampler = Sampler::new(&model, &greedy()).unwrap();
    let go_on = AtomicBool::new(false);
    let sampled = context.sample(&mut sampler);
    assert!(matches!(sampled, Err(LlamaError::Input(_))), "nothing was decoded");
    let unknown = Token::try_from(model.vocab_size()).unwrap();
    for tokens in [&[][..], &[1; 65], &[-1], &[Token::MAX], &[unknown]] {
        let decoded = context.decode(tokens, true, &go_on);
        assert!(matches!(decoded, Err(LlamaError::Input(_))), "{} tokens", tokens.len());
    }
    assert_eq!(context.position(), 0);
    for _ in 0..context.capacity() / 64 {
        context.decode(&[1; 64], false, &go_on).unwrap();
    }
    let decoded = context.decode(&[1], true, &go_on);
    assert!(matches!(decoded, Err(LlamaError::Input(_))), "the context is full");
    assert_eq!(context.position(), context.capacity());
    let sampled = context.sample(&mut sampler);
    assert!(matches!(sampled, Err(LlamaError::Input(_))), "no logits were requested");

    let other = load(LoadMode::Repacked);
    let mut foreign = Sampler::new(&other, &greedy()).unwrap();
    let sampled = context.sample(&mut foreign);
    assert!(
        matches!(sampled, Err(LlamaError::Input(_))),
        "a sampler of another model"
    );
    let mut nothing = Vec::new();
    model.push_piece(Token::MAX, true, &mut nothing);
    assert!(nothing.is_empty() && !model.is_end(Token::MAX) && !model.is_end(-1));
}

#[test]
fn text_survives_the_tokenizer() {
    let model = load(LoadMode::Repacked);
    let texts = [
        "",
        "Grüße 🌊 — 潮汐\n\n\t",
        "\0a\0",
        &"a".repeat(50_000),
        &" ".repeat(50_000),
        &"é1".repeat(20_000),
    ];
    for text in texts {
        let tokens = model.tokenize(text, false, false).unwrap();
        let mut bytes = Vec::new();
        for token in tokens {
            model.push_piece(token, true, &mut bytes);
        }
        assert!(bytes == text.as_bytes(), "{:.20} came back changed", text);
    }
    let plain = model.tokenize("<|im_end|>", false, false).unwrap();
    let control = model.tokenize("<|im_end|>", false, true).unwrap();
    assert!(plain.len() > 1 && control.len() == 1 && model.is_end(control[0]));
    let single = model.single_tokens(&["<|im_end|>".to_owned(), "two words".to_owned()]);
    assert_eq!(single.unwrap(), control);
}

#[test]
fn loading_can_be_cancelled_and_survives_a_panic() {
    let path = models::path("smollm2.gguf");
    let mut calls = 0;
    let cancelled = Model::load(&path, &ModelParams::default(), &mut |_| {
        calls += 1;
        calls < 3
    });
    assert!(matches!(cancelled, Err(LlamaError::Cancelled)), "{cancelled:?}");
    assert_eq!(calls, 3);
    let panicked = catch_unwind(AssertUnwindSafe(|| {
        let _ = Model::load(&path, &ModelParams::default(), &mut |_| panic!("from the caller"));
    }));
    assert_eq!(panicked.unwrap_err().downcast_ref::<&str>(), Some(&"from the caller"));
    let mut last = 0.0;
    Model::load(&path, &ModelParams::default(), &mut |done| {
        assert!((last..=1.0).contains(&done));
        last = done;
        true
    })
    .unwrap();
    assert!((last - 1.0).abs() < f32::EPSILON);
}

#[test]
fn contexts_of_one_model_work_side_by_side() {
    let model = load(LoadMode::Repacked);
    std::thread::scope(|scope| {
        let threads: Vec<_> = (0..3)
            .map(|_| scope.spawn(|| continue_prompt(&mut context(&model), &prompt(&model), &greedy())))
            .collect();
        for thread in threads {
            assert_eq!(thread.join().unwrap(), LLAMA_CPP_OUTPUT);
        }
    });
}

#[test]
fn the_model_says_what_it_is() {
    let model = load(LoadMode::Repacked);
    assert_eq!(model.meta("general.architecture").as_deref(), Some("llama"));
    assert_eq!(model.meta("no.such.key"), None);
    assert_eq!((model.context_train(), model.vocab_size()), (8192, 49_152));
    assert_eq!(model.parameters(), 134_515_008);
    assert_eq!(model.bos_text(), "<|im_start|>");
    assert_eq!(model.eos_text(), "<|im_end|>");
    assert!(model.description().contains("Q4_1"), "{}", model.description());
    assert!(nearside_llama::version().contains("ggml"));
    nearside_llama::check_cpu().unwrap();
}

fn load(load_mode: LoadMode) -> Model {
    let params = ModelParams {
        load_mode,
        ..ModelParams::default()
    };
    Model::load(&models::path("smollm2.gguf"), &params, &mut |_| true).unwrap()
}

/// One thread: ggml's threads wait for each other by spinning, and tests that run side by side would starve each other.
fn context(model: &Model) -> Context {
    let params = ContextParams {
        threads: 1,
        ..ContextParams::default()
    };
    Context::new(model, &params).unwrap()
}

fn prompt(model: &Model) -> Vec<Token> {
    let tokens = model.tokenize("The tides come twice a day because", true, false);
    tokens.unwrap()
}

fn greedy() -> SamplerParams {
    SamplerParams {
        temperature: 0.0,
        ..SamplerParams::default()
    }
}

/// Generates at most 32 tokens after `prompt`.
fn continue_prompt(context: &mut Context, prompt: &[Token], params: &SamplerParams) -> String {
    let mut sampler = Sampler::new(context.model(), params).unwrap();
    let go_on = AtomicBool::new(false);
    assert_eq!(context.decode(prompt, true, &go_on).unwrap(), Decoded::Whole);
    let mut text = Vec::new();
    for _ in 0..32 {
        let token = context.sample(&mut sampler).unwrap();
        if context.model().is_end(token) {
            break;
        }
        context.model().push_piece(token, false, &mut text);
        context.decode(&[token], true, &go_on).unwrap();
    }
    String::from_utf8_lossy(&text).into_owned()
}

const LLAMA_CPP_OUTPUT: &str = " the moon is a celestial body that is always moving. The tides are caused by the \
    gravitational pull of the moon. The moon is a celestial body that is orbiting";
