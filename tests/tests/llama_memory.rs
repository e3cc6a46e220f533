//! Memory predictions of a probe, compared with real loads.

use nearside_llama::{
    Context, ContextParams, KvCacheType, LlamaError, LoadMode, MemoryPart, Model, ModelParams, Probe,
};
use nearside_tests::models;

#[test]
fn a_probe_foretells_the_load_to_the_byte() {
    let path = models::path("smollm2.gguf");
    for mode in [LoadMode::Repacked, LoadMode::Mapped] {
        let params = ModelParams {
            load_mode: mode,
            ..ModelParams::default()
        };
        let probe = Probe::from_file(&path, &params).unwrap();
        let model = Model::load(&path, &params, &mut |_| true).unwrap();
        for context in [1024, 8192] {
            for cache in [KvCacheType::F16, KvCacheType::Q8_0] {
                let params = ContextParams {
                    context,
                    cache,
                    threads: 2,
                    ..ContextParams::default()
                };
                let foretold = probe.memory(&params).unwrap();
                let taken = Context::new(&model, &params).unwrap().memory().unwrap();
                match mode {
                    LoadMode::Repacked => assert_eq!(foretold, taken),
                    // A mapped file counts as another kind of buffer, and by pages.
                    LoadMode::Mapped => {
                        assert_eq!(sum(&foretold, |part| part.cache), sum(&taken, |part| part.cache));
                        assert_eq!(sum(&foretold, |part| part.compute), sum(&taken, |part| part.compute));
                    }
                }
            }
        }
        assert_eq!(probe.context_train(), model.context_train());
        assert_eq!(probe.vocab_size(), model.vocab_size());
        assert_eq!(probe.size(), model.size());
    }
}

#[test]
fn the_head_of_a_7b_is_enough_to_know_its_need() {
    let probe = Probe::from_file(&models::path("r1-7b.gguf"), &ModelParams::default()).unwrap();
    let need = |context, cache| {
        let params = ContextParams {
            context,
            cache,
            ..ContextParams::default()
        };
        probe.memory(&params).unwrap()
    };
    let usual = need(4096, KvCacheType::F16);
    assert_eq!(sum(&usual, |part| part.weights), 4_677_120_000);
    assert_eq!(sum(&usual, |part| part.cache), 234_881_024);
    let long = need(32_768, KvCacheType::Q8_0);
    assert_eq!(sum(&long, |part| part.cache), 998_244_352);
    assert_eq!(probe.context_train(), 131_072);
    assert_eq!(probe.vocab_size(), 152_064);
    assert_eq!(probe.meta("general.architecture").as_deref(), Some("qwen2"));
}

#[test]
fn a_context_that_makes_no_sense_is_an_error() {
    let probe = Probe::from_file(&models::path("smollm2.gguf"), &ModelParams::default()).unwrap();
    let ContextParams {
        context,
        batch,
        threads,
        ..
    } = ContextParams::default();
    for (context, batch, threads) in [
        (0, batch, threads),
        (u32::MAX, batch, threads),
        (context, 0, threads),
        (context, u32::MAX, threads),
        (context, batch, 0),
        (context, batch, 100_000),
    ] {
        let params = ContextParams {
            context,
            batch,
            threads,
            ..ContextParams::default()
        };
        assert!(matches!(probe.memory(&params), Err(LlamaError::Input(_))), "{params:?}");
    }
}

/// Reads `/proc`, because no allocator reports the memory of C++.
#[cfg(target_os = "linux")]
#[test]
fn probing_again_and_again_does_not_grow() {
    let path = models::path("smollm2.gguf");
    let once = || {
        let probe = Probe::from_file(&path, &ModelParams::default()).unwrap();
        probe.memory(&ContextParams::default()).unwrap();
    };
    (0..20).for_each(|_| once());
    let before = resident();
    (0..200).for_each(|_| once());
    let grown = resident().saturating_sub(before);
    // One leaked vocabulary would be some 10 MB; 200 of them, 2 GB.
    assert!(grown < 24 << 20, "200 probes left {grown} bytes behind");
}

#[cfg(target_os = "linux")]
fn resident() -> u64 {
    let status = std::fs::read_to_string("/proc/self/status").unwrap();
    let line = status.lines().find_map(|line| line.strip_prefix("VmRSS:")).unwrap();
    line.trim().trim_end_matches(" kB").parse::<u64>().unwrap() * 1024
}

fn sum(parts: &[MemoryPart], of: impl Fn(&MemoryPart) -> u64) -> u64 {
    parts.iter().map(of).sum()
}
