//! Fit verdicts, compared with real models and llama.cpp's real loads.

use std::fs::{self, File};
use std::io::{Read as _, Write as _};
use std::path::Path;
use std::process::Command;
use std::time::{Duration, Instant};

use nearside::device::{self, DeviceFacts};
use nearside::model::fit::fit_file;
use nearside::model::gguf::Head;
use nearside::model::{CacheType, FitOptions, FitReport, FitVerdict, LoadPlan, MemoryBudget};
use nearside::{ErrorKind, Result};
use nearside_tests::models;

/// A budget of much memory, so that the verdict does not depend on other processes.
fn budget() -> MemoryBudget {
    MemoryBudget {
        bytes: 64_000_000_000,
        source: "test".into(),
    }
}

fn threads() -> u32 {
    device::snapshot(&DeviceFacts::default()).expect("a snapshot").threads
}

fn fit(path: &Path, options: &FitOptions) -> Result<FitReport> {
    let head = Head::read_file(path)?;
    let size = path.metadata().expect("a file").len();
    fit_file(path, &head, size, options, &budget(), threads())
}

fn with_budget(bytes: u64) -> FitOptions {
    FitOptions {
        budget_bytes: Some(bytes),
        ..FitOptions::default()
    }
}

#[test]
fn a_7b_is_judged_to_the_byte_in_two_seconds_and_150_megabytes() {
    const CHILD: &str = "NEARSIDE_TEST_CHILD";
    // In a separate process, so that its peak memory can be measured. Other tests may run at the same time, so the best
    // of three runs is the duration.
    if std::env::var_os(CHILD).is_none() {
        let mut outputs = String::new();
        let done = (0..3).any(|_| {
            let child = Command::new(std::env::current_exe().expect("this program"))
                .args([
                    "--exact",
                    "a_7b_is_judged_to_the_byte_in_two_seconds_and_150_megabytes",
                    "--nocapture",
                ])
                .env(CHILD, "1")
                .output()
                .expect("a child");
            outputs += &String::from_utf8_lossy(&child.stdout);
            outputs += &String::from_utf8_lossy(&child.stderr);
            child.status.success()
        });
        println!("{outputs}");
        assert!(done, "{outputs}");
        return;
    }
    let began = Instant::now();
    let report = fit(&models::path("r1-7b.gguf"), &FitOptions::default()).expect("a verdict");
    let took = began.elapsed();
    let peak = device::peak_resident_bytes();
    println!("{} ms, {} MB: {:?}", took.as_millis(), peak / 1_000_000, report.need);
    assert_eq!(report.need.weights, 4_677_120_000);
    assert_eq!(report.need.cache, 234_881_024);
    assert_eq!((report.context, report.context_length), (4096, 131_072));
    assert_eq!(
        (report.architecture.as_str(), report.quantization.as_str()),
        ("qwen2", "Q4_K_M")
    );
    assert_eq!((report.verdict, report.load), (FitVerdict::Fits, LoadPlan::Repacked));
    assert_eq!((report.evictable, report.suggestions.len()), (0, 0));
    assert!(took < Duration::from_secs(2), "{took:?}");
    assert!(peak < 150_000_000, "{peak}");
}

#[test]
fn the_cache_is_llama_cpps_own_number_for_every_context_and_type() {
    let path = models::path("r1-7b.gguf");
    for (context, cache_type, expected) in [
        (4096, CacheType::F16, 234_881_024),
        (32_768, CacheType::F16, 1_879_048_192),
        (32_768, CacheType::Q8_0, 998_244_352),
    ] {
        let options = FitOptions {
            context: Some(context),
            cache_type: Some(cache_type),
            ..FitOptions::default()
        };
        let report = fit(&path, &options).expect("a verdict");
        assert_eq!(report.need.cache, expected, "{context} {cache_type:?}");
    }
}

#[test]
fn the_demos_model_fits_this_machine() {
    let path = models::path("smollm2.gguf");
    let head = Head::read_file(&path).expect("sound");
    let snapshot = device::snapshot(&DeviceFacts::default()).expect("a snapshot");
    let free = MemoryBudget {
        bytes: snapshot.memory_available,
        source: snapshot.memory_source,
    };
    let report = fit_file(&path, &head, 98_362_432, &FitOptions::default(), &free, threads()).expect("a verdict");
    assert_eq!(
        (report.verdict, report.load),
        (FitVerdict::Fits, LoadPlan::Repacked),
        "{}",
        report.reason
    );
    assert_eq!(report.quantization, "Q4_1");
    assert!(report.need.total < 300_000_000, "{:?}", report.need);
}

#[test]
fn less_and_less_memory_makes_it_tight_and_then_too_large_and_suggestions_hold() {
    let path = models::path("r1-7b.gguf");
    let full = fit(&path, &FitOptions::default()).expect("a verdict").need.total;
    let verdict = |budget| fit(&path, &with_budget(budget)).expect("a verdict").verdict;
    assert_eq!(verdict(full), FitVerdict::Fits);
    assert_eq!(verdict(full - 1), FitVerdict::Tight);
    assert_eq!(verdict(1), FitVerdict::TooLarge);

    let mut checked = 0;
    // Just too little, too little for the weights in memory, and less than three quarters of them and the cache.
    for budget in [full - 1, full - 150_000_000, full - 1_180_000_000, full - 1_300_000_000] {
        let report = fit(&path, &with_budget(budget)).expect("a verdict");
        assert_ne!(report.verdict, FitVerdict::Fits);
        assert_eq!(report.load, LoadPlan::Mapped);
        assert!(report.suggestions.len() <= 3);
        let contexts: Vec<_> = report.suggestions.iter().map(|suggestion| suggestion.context).collect();
        assert!(
            contexts.is_sorted_by(|a, b| a >= b),
            "the smallest change first: {contexts:?}"
        );
        for suggestion in &report.suggestions {
            let options = FitOptions {
                context: Some(suggestion.context),
                cache_type: Some(suggestion.cache_type),
                budget_bytes: Some(budget),
                ..FitOptions::default()
            };
            let again = fit(&path, &options).expect("a verdict");
            assert_eq!(
                (again.need.total, again.load),
                (suggestion.total, suggestion.load),
                "{}",
                suggestion.text
            );
            let better = [FitVerdict::Fits, FitVerdict::Tight, FitVerdict::TooLarge];
            let rank = |verdict| better.iter().position(|other| *other == verdict);
            assert!(rank(again.verdict) < rank(report.verdict), "{}", suggestion.text);
            checked += 1;
        }
        println!(
            "{budget}: {:?}: {} {:#?}",
            report.verdict, report.reason, report.suggestions
        );
    }
    assert!(checked >= 4, "{checked}");
}

#[test]
fn the_head_alone_is_enough_and_nothing_is_left_behind() {
    let folder = tempfile::tempdir().expect("a folder");
    let whole = models::path("smollm2.gguf");
    let head = Head::read_file(&whole).expect("sound");
    let beginning = folder.path().join("smollm2.partial");
    let mut bytes = Vec::new();
    let source = File::open(&whole).expect("the model");
    source.take(head.data_offset).read_to_end(&mut bytes).expect("its head");
    File::create(&beginning)
        .expect("a file")
        .write_all(&bytes)
        .expect("its head");

    let judge = |options: &FitOptions| fit_file(&beginning, &head, 98_362_432, options, &budget(), threads());
    let report = judge(&FitOptions::default()).expect("a verdict");
    assert_eq!(
        report.need,
        fit(&whole, &FitOptions::default()).expect("a verdict").need
    );
    let zero = FitOptions {
        context: Some(0),
        ..FitOptions::default()
    };
    assert_eq!(judge(&zero).expect_err("no context").kind(), ErrorKind::InvalidRequest);

    // llama.cpp rejects a head whose bytes changed since it was read.
    fs::write(&beginning, vec![0; bytes.len()]).expect("a file");
    assert_eq!(
        judge(&FitOptions::default()).expect_err("zeros").kind(),
        ErrorKind::Corrupt
    );
    fs::write(&beginning, &bytes[..1000]).expect("a file");
    assert_eq!(
        judge(&FitOptions::default()).expect_err("cut").kind(),
        ErrorKind::Corrupt
    );
    let left: Vec<_> = fs::read_dir(folder.path()).expect("the folder").flatten().collect();
    assert_eq!(left.len(), 1, "{left:?}");
}

#[test]
fn a_context_beyond_the_training_is_lowered_and_said() {
    let options = FitOptions {
        context: Some(1_000_000),
        ..FitOptions::default()
    };
    let report = fit(&models::path("smollm2.gguf"), &options).expect("a verdict");
    assert_eq!((report.context, report.context_length), (8192, 8192));
    let note = report.note.expect("a note");
    assert!(note.contains("8192") && note.contains("1000000"), "{note}");
}
