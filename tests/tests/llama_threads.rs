//! The compute threads of a context between two computations. The only test of this file, so that nothing else in its
//! process computes meanwhile.

#![cfg(target_os = "linux")]

use std::sync::atomic::AtomicBool;
use std::time::Duration;

use nearside_llama::{Context, ContextParams, Decoded, Model, ModelParams};
use nearside_tests::tiny_models::{self, TinyShape};
use nix::sys::resource::{UsageWho, getrusage};

#[test]
fn paused_threads_use_no_processor() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("tiny.gguf");
    std::fs::write(&path, tiny_models::runnable(TinyShape::Full, None)).unwrap();
    let model = Model::load(&path, &ModelParams::default(), &mut |_| true).unwrap();
    let params = ContextParams {
        threads: 2,
        ..ContextParams::default()
    };
    let mut context = Context::new(&model, &params).unwrap();
    if context.threads() < 2 {
        eprintln!("one core: a pool has no thread that could spin");
        return;
    }
    for _ in 0..2 {
        let paused = processor_time_after_decoding(&mut context, true);
        let spinning = processor_time_after_decoding(&mut context, false);
        assert!(paused * 4 < spinning, "{paused:?} and {spinning:?}");
    }
}

/// Returns the processor time that the process uses within 300 ms after a computation.
fn processor_time_after_decoding(context: &mut Context, pause: bool) -> Duration {
    let tokens = context.model().tokenize("all is well", false, false).unwrap();
    // A context begins with fewer threads; one alone has no other that could spin.
    let uses_all = (0..MAX_DECODES).any(|_| {
        context.clear();
        let decoded = context.decode(&tokens, true, &AtomicBool::new(false));
        assert_eq!(decoded, Ok(Decoded::Whole));
        context.last_threads() == context.threads()
    });
    assert!(uses_all, "never all threads in {MAX_DECODES} computations");
    if pause {
        context.pause_threads();
    }
    let before = processor_time();
    std::thread::sleep(Duration::from_millis(300));
    processor_time() - before
}

fn processor_time() -> Duration {
    let usage = getrusage(UsageWho::RUSAGE_SELF).unwrap();
    let time = usage.user_time() + usage.system_time();
    Duration::from_micros(u64::try_from(time.tv_sec() * 1_000_000 + time.tv_usec()).unwrap())
}

/// Many more than it takes to find out that all threads are fastest, also while other processes compute.
const MAX_DECODES: usize = 100_000;
