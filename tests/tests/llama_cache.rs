//! The cache of a context on full, sliding-window and hybrid models: capacities, aborts, and failed computations.

use std::sync::atomic::AtomicBool;
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

use nearside_llama::{
    AbortSignal, Context, ContextParams, Decoded, KvCacheType, LlamaError, Model, Sampler, SavedCache, TILE_TOKENS,
    Token, common_prefix,
};
use nearside_tests::likelihood::{BATCH, Turn, context_of, decode, greedy, load, load_bytes, story, tokens};
use nearside_tests::tiny_models::{self, SLIDING_WINDOW_TOKENS, TinyShape};
use tracing::span;

#[test]
fn contexts_of_any_size_take_prompts_up_to_their_capacity() {
    for shape in TinyShape::ALL {
        let model = load(shape);
        for (size, capacity) in [(1, 256), (100, 256), (255, 256), (257, 512), (300, 512), (511, 512)] {
            let params = ContextParams {
                context: size,
                threads: 1,
                ..ContextParams::default()
            };
            let mut context = Context::new(&model, &params).unwrap();
            assert_eq!((context.capacity(), context.batch()), (capacity, capacity), "{size}");
            for length in [1, size, size + 1, capacity - 1, capacity] {
                context.clear();
                let decoded = context.decode(&vec![300; length as usize], true, &AtomicBool::new(false));
                assert_eq!(decoded, Ok(Decoded::Whole), "{shape:?}: {length} tokens in {size}");
                assert_eq!(context.position(), length);
            }
            let more = context.decode(&[300], true, &AtomicBool::new(false));
            assert!(matches!(more, Err(LlamaError::Input(_))), "{shape:?}: {size} is full");
            context.clear();
            let longer = context.decode(&vec![300; capacity as usize + 1], true, &AtomicBool::new(false));
            assert!(
                matches!(longer, Err(LlamaError::Input(_))),
                "{shape:?}: more than a batch in {size}"
            );
        }
    }
}

#[test]
fn a_turn_after_an_abort_in_the_prompt_is_like_one_after_nothing() {
    for shape in TinyShape::ALL {
        let model = load(shape);
        let prompt = tokens(&model, &story(24));
        let cold = Turn::of(&mut context(&model), &model, &prompt);
        let mut aborts = Aborts::default();
        while aborts.go_on() {
            let mut context = context(&model);
            let cut = 2 * BATCH as usize;
            decode(&mut context, &prompt[..cut], false);
            let batch = &prompt[cut..cut + BATCH as usize];
            if aborts.cut(&mut context, shape, batch) {
                let turn = Turn::of(&mut context, &model, &prompt);
                assert_eq!(turn, cold, "{shape:?}");
                // The same batches.
                assert_eq!(turn.likelihood.to_bits(), cold.likelihood.to_bits(), "{shape:?}");
            }
        }
        aborts.assert_enough(shape);
    }
}

#[test]
fn a_turn_after_an_abort_in_the_answer_is_like_one_after_nothing() {
    for shape in TinyShape::ALL {
        let model = load(shape);
        let prompt = tokens(&model, &story(24));
        let (first, rest) = prompt.split_at(prompt.len() - 40);
        let cold = Turn::of(&mut context(&model), &model, &prompt);
        let mut aborts = Aborts::default();
        while aborts.go_on() {
            let mut context = context(&model);
            decode(&mut context, first, true);
            for token in &rest[..20] {
                decode(&mut context, &[*token], true);
            }
            if aborts.cut(&mut context, shape, &rest[20..21]) {
                assert_eq!(Turn::of(&mut context, &model, &prompt), cold, "{shape:?}");
            }
        }
        aborts.assert_enough(shape);
    }
}

/// Else the comparisons of the other tests would prove nothing.
#[test]
fn one_other_token_in_the_cache_makes_another_turn() {
    for shape in TinyShape::ALL {
        let model = load(shape);
        let prompt = tokens(&model, &story(24));
        let cold = Turn::of(&mut context(&model), &model, &prompt);
        for at in [prompt.len() - 2, prompt.len() - 20, prompt.len() - 400] {
            let mut other = prompt.clone();
            other[at] += 1;
            let turn = Turn::of(&mut context(&model), &model, &other);
            assert_ne!(turn, cold, "{shape:?} with another token at {at}");
        }
    }
}

#[test]
fn an_edited_turn_is_like_one_after_nothing() {
    for shape in TinyShape::ALL {
        let model = load(shape);
        let prompt = tokens(&model, &story(24));
        let end = prompt.len() as u32;
        let cold = Turn::of(&mut context(&model), &model, &prompt);
        for shared in [1, SLIDING_WINDOW_TOKENS / 2, end / 2, end - 8] {
            let mut context = context(&model);
            let mut other = prompt.clone();
            other[shared as usize..].reverse();
            decode(&mut context, &other, true);
            let kept = context.trim(common_prefix(context.held_tokens(), &prompt));
            let expected = match shape {
                TinyShape::Full | TinyShape::TwoRopes | TinyShape::NoFlash => shared..=prompt.len() as u32 - 1,
                TinyShape::SlidingWindow => 0..=prompt.len() as u32 - 1,
                TinyShape::Hybrid => 0..=0,
            };
            assert!(expected.contains(&kept), "{shape:?}: {kept} of {shared}");
            assert_eq!(context.position(), kept);
            assert_eq!(Turn::of(&mut context, &model, &prompt), cold, "{shape:?} from {shared}");
        }
    }
}

/// Another conversation uses the context between the copy and its return.
#[test]
fn a_restored_cache_is_like_the_one_that_was_copied() {
    for shape in TinyShape::ALL {
        let model = load(shape);
        let prompt = tokens(&model, &story(24));
        let (first, _) = prompt.split_at(prompt.len() - 40);
        let mut context = context(&model);
        decode(&mut context, first, true);
        let saved = context.save(u64::MAX).unwrap();
        assert_eq!(saved.tokens(), first);
        assert_eq!(context.saved_bytes(), saved.bytes(), "{shape:?}: foretold");
        assert!(context.save(saved.bytes() - 1).is_none(), "{shape:?}: over the limit");
        let unbroken = Turn::of(&mut context, &model, &prompt);
        context.clear();
        decode(&mut context, &tokens(&model, "Quite another matter."), true);

        assert_eq!(context.restore(&saved), first.len() as u32, "{shape:?}");
        assert_eq!(context.held_tokens(), first);
        assert_same_bits(&Turn::of(&mut context, &model, &prompt), &unbroken, shape);

        // As after a restart: from a file, with the model loaded anew. A part of it is no content.
        let content = saved.content().to_vec();
        let model = load(shape);
        let mut context = self::context(&model);
        for length in [0, 3, 40, content.len() / 3, content.len() - 1] {
            let cut = SavedCache::from_parts(&model, first.to_vec(), content[..length].to_vec());
            assert_eq!(context.restore(&cut), 0, "{shape:?}: {length}");
        }
        let rebuilt = SavedCache::from_parts(&model, first.to_vec(), content);
        assert_eq!(context.restore(&rebuilt), first.len() as u32, "{shape:?}");
        let again = Turn::of(&mut context, &model, &prompt);
        assert_same_bits(&again, &unbroken, shape);
        assert_eq!(
            again,
            Turn::of(&mut self::context(&model), &model, &prompt),
            "{shape:?}: cold"
        );
    }
}

#[test]
fn a_turn_from_a_checkpoint_is_like_one_that_never_went_on() {
    for shape in TinyShape::ALL {
        let model = load(shape);
        let prompt = tokens(&model, &story(24));
        for shared in [SLIDING_WINDOW_TOKENS / 2, 300, prompt.len() as u32 - 8] {
            let (first, rest) = prompt.split_at(shared as usize);
            let mut unbroken = context(&model);
            decode(&mut unbroken, first, false);
            let unbroken = Turn::of(&mut unbroken, &model, &prompt);

            let mut context = context(&model);
            decode(&mut context, first, false);
            let checkpoint = context.save_checkpoint(u64::MAX);
            assert_eq!(checkpoint.is_none(), shape == TinyShape::Full, "{shape:?}");
            let Some(checkpoint) = checkpoint else { continue };
            let other: Vec<_> = rest.iter().rev().chain(&prompt[..200]).copied().collect();
            decode(&mut context, &other, true);
            assert_eq!(context.restore_checkpoint(&checkpoint), shared, "{shape:?}");
            assert_eq!(context.held_tokens(), first);
            assert_same_bits(&Turn::of(&mut context, &model, &prompt), &unbroken, shape);

            // A cache without these tokens is not mixed with the checkpoint.
            context.clear();
            decode(&mut context, &prompt[1..500], false);
            assert_eq!(context.restore_checkpoint(&checkpoint), 0, "{shape:?}");
            assert_eq!(context.position(), 0);
        }
    }
}

/// Both read the prompt in the same batches, so even the last bit is the same; but the ring of a sliding window begins
/// elsewhere, and sums are in another order.
fn assert_same_bits(turn: &Turn, unbroken: &Turn, shape: TinyShape) {
    assert_eq!(turn, unbroken, "{shape:?}");
    if shape != TinyShape::SlidingWindow {
        assert_eq!(turn.likelihood.to_bits(), unbroken.likelihood.to_bits(), "{shape:?}");
    }
}

#[test]
fn a_copy_of_another_model_or_for_a_larger_context_is_not_restored() {
    for shape in TinyShape::ALL {
        let (model, twin) = (load(shape), load(shape));
        let prompt = tokens(&model, &story(24));
        let mut source = context(&model);
        decode(&mut source, &prompt, true);
        let saved = source.save(u64::MAX).unwrap();
        let small = ContextParams {
            context: 256,
            threads: 1,
            ..ContextParams::default()
        };
        for mut context in [context(&twin), Context::new(&model, &small).unwrap()] {
            decode(&mut context, &prompt[..20], false);
            assert_eq!(context.restore(&saved), 0, "{shape:?}");
            assert_eq!(context.position(), 0);
            decode(&mut context, &prompt[..100], true);
        }
    }
}

#[test]
fn an_abort_logs_no_error() {
    let model = load(TinyShape::Full);
    let prompt = tokens(&model, &story(24));
    let log = Log::default();
    let lines = Arc::clone(&log.0);
    tracing::subscriber::with_default(log, || {
        let mut aborts = Aborts::default();
        while aborts.go_on() {
            aborts.cut(&mut context(&model), TinyShape::Full, &prompt[..BATCH as usize]);
        }
        aborts.assert_enough(TinyShape::Full);
    });
    assert_eq!(*lines.lock().unwrap(), Vec::<String>::new());
}

/// A K cache of q8_0 consists of blocks of 32 values, and the heads of tiny models have 16.
#[test]
fn a_cache_type_that_the_model_does_not_allow_is_no_lack_of_memory() {
    let params = ContextParams {
        cache: KvCacheType::Q8_0,
        threads: 1,
        ..ContextParams::default()
    };
    let error = Context::new(&load(TinyShape::Full), &params).unwrap_err();
    assert!(matches!(error, LlamaError::ContextParams(_)), "{error:?}");
}

/// Tiles are a part of flash attention, which llama.cpp turns off for some models.
#[test]
fn tokens_are_read_again_only_where_attention_is_computed_in_tiles() {
    let (common, prompt) = (3000, 3000 + TILE_TOKENS - 1);
    for (shape, cache, kept) in [
        (TinyShape::Full, KvCacheType::F16, prompt - TILE_TOKENS),
        (TinyShape::Full, KvCacheType::Q8_0, common),
        (TinyShape::NoFlash, KvCacheType::F16, common),
    ] {
        let model = load(shape);
        let params = ContextParams {
            cache,
            threads: 1,
            ..ContextParams::default()
        };
        let context = match Context::new(&model, &params) {
            Ok(context) => context,
            // The heads of the tiny model are no multiple of 32.
            Err(LlamaError::ContextParams(_)) if cache == KvCacheType::Q8_0 => continue,
            Err(error) => panic!("{shape:?}: {error}"),
        };
        assert!(context.can_trim_anywhere());
        assert_eq!(context.worth_keeping(common, prompt), kept, "{shape:?}, {cache:?}");
    }
}

#[test]
fn a_context_is_useless_once_a_logit_was_no_number() {
    let model = load_bytes(&tiny_models::runnable(TinyShape::Full, Some('~')));
    let mut context = context(&model);
    let mut sampler = Sampler::new(&model, &greedy()).unwrap();
    decode(&mut context, &tokens(&model, "all is well"), true);
    context.sample(&mut sampler).unwrap();
    decode(&mut context, &tokens(&model, "~"), true);
    let sampled = context.sample(&mut sampler);
    assert!(matches!(sampled, Err(LlamaError::NotANumber)), "{sampled:?}");
    assert_eq!(context.position(), 0);
    let decoded = context.decode(&tokens(&model, "again"), true, &AtomicBool::new(false));
    assert!(matches!(decoded, Err(LlamaError::Decode(_))), "{decoded:?}");
}

/// Takes the memory away while a batch is computed. In a process of its own, because the limit is the process's.
#[cfg(target_os = "linux")]
#[test]
fn no_memory_for_a_batch_or_a_context_is_an_error() {
    use nix::sys::resource::{Resource, getrlimit, setrlimit};
    const CHILD: &str = "NEARSIDE_TEST_NO_MEMORY";
    const NAME: &str = "no_memory_for_a_batch_or_a_context_is_an_error";
    if std::env::var_os(CHILD).is_none() {
        let test = std::env::current_exe().unwrap();
        let mut child = std::process::Command::new(test);
        let output = child.args(["--exact", NAME]).env(CHILD, "1").output().unwrap();
        let text = String::from_utf8_lossy(&output.stdout) + String::from_utf8_lossy(&output.stderr);
        assert!(output.status.success(), "{}: {text}", output.status);
        return;
    }
    let model = load(TinyShape::Full);
    let prompt = tokens(&model, &story(24))[..512].to_vec();
    let params = ContextParams {
        threads: 1,
        ..ContextParams::default()
    };
    let cold = Turn::of(&mut Context::new(&model, &params).unwrap(), &model, &prompt);
    let mut context = Context::new(&model, &params).unwrap();
    decode(&mut context, &prompt[..1], true);

    let (_, hard) = getrlimit(Resource::RLIMIT_AS).unwrap();
    setrlimit(Resource::RLIMIT_AS, 0, hard).unwrap();
    let taken = take_all_memory();
    let decoded = context.decode(&prompt[1..], true, &AtomicBool::new(false));
    let created = Context::new(&model, &params);
    drop(taken);
    setrlimit(Resource::RLIMIT_AS, hard, hard).unwrap();

    assert!(matches!(decoded, Err(LlamaError::Decode(_))), "{decoded:?}");
    assert!(matches!(created, Err(LlamaError::Context(_))), "{created:?}");
    assert_eq!(context.position(), 0);
    let decoded = context.decode(&prompt, true, &AtomicBool::new(false));
    assert!(matches!(decoded, Err(LlamaError::Decode(_))), "{decoded:?}");
    drop(context);
    let mut context = Context::new(&model, &params).unwrap();
    assert_eq!(Turn::of(&mut context, &model, &prompt), cold);
}

/// Takes what the allocator still has, but for pieces that are too small for a computation.
#[cfg(target_os = "linux")]
fn take_all_memory() -> Vec<Vec<u8>> {
    let mut taken = Vec::with_capacity(1 << 16);
    for size in [1 << 20, 1 << 16, 1 << 12] {
        while taken.len() < taken.capacity() {
            let mut piece = Vec::new();
            if piece.try_reserve_exact(size).is_err() {
                break;
            }
            taken.push(piece);
        }
    }
    taken
}

/// Aborts of one batch at moments that spread over its duration.
#[derive(Debug, Default)]
struct Aborts {
    tries: u32,
    hits: u32,
    whole: Duration,
}

impl Aborts {
    fn go_on(&self) -> bool {
        self.hits < 12 && self.tries < 400
    }

    /// Decodes `batch` and aborts it in the middle. Returns whether the abort was in time.
    fn cut(&mut self, context: &mut Context, shape: TinyShape, batch: &[Token]) -> bool {
        let before = context.position();
        if self.whole.is_zero() {
            let begun = Instant::now();
            decode(context, batch, false);
            self.whole = begun.elapsed();
            return false;
        }
        self.tries += 1;
        let begun = Instant::now();
        let signal = AbortSignal {
            flag: &AtomicBool::new(false),
            // Later moments of the batch with each try, and again from its start.
            deadline: Some(begun + self.whole.mul_f64(f64::from(self.tries % 8 + 1) / 10.0)),
        };
        let Decoded::Aborted { kept } = context.decode(batch, false, signal).unwrap() else {
            // It was faster than before.
            self.whole = begun.elapsed();
            return false;
        };
        assert_eq!(context.position(), kept);
        let known = if shape == TinyShape::Hybrid && before > 0 {
            0
        } else {
            before
        };
        // Nothing was computed yet if the thread was interrupted before the first operation.
        assert!(kept == known || kept == before, "{shape:?}: {kept} of {before}");
        self.hits += u32::from(kept == known);
        kept == known
    }

    fn assert_enough(&self, shape: TinyShape) {
        assert_eq!(self.hits, 12, "{shape:?}: too few aborts came in time: {self:?}");
    }
}

/// The warnings and errors of llama.cpp.
#[derive(Debug, Default)]
struct Log(Arc<Mutex<Vec<String>>>);

impl tracing::Subscriber for Log {
    fn enabled(&self, metadata: &tracing::Metadata<'_>) -> bool {
        metadata.target() == "llama.cpp" && *metadata.level() <= tracing::Level::WARN
    }

    fn new_span(&self, _: &span::Attributes<'_>) -> span::Id {
        span::Id::from_u64(1)
    }

    fn record(&self, _: &span::Id, _: &span::Record<'_>) {}

    fn record_follows_from(&self, _: &span::Id, _: &span::Id) {}

    fn event(&self, event: &tracing::Event<'_>) {
        self.0.lock().unwrap().push(format!("{event:?}"));
    }

    fn enter(&self, _: &span::Id) {}

    fn exit(&self, _: &span::Id) {}
}

fn context(model: &Model) -> Context {
    context_of(model, 2048)
}
