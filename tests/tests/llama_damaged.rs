//! No model file ends the process: truncated files, absurd ones, and those that fail llama.cpp's own asserts.

use std::path::PathBuf;
use std::sync::atomic::AtomicBool;

use nearside_llama::{Context, ContextParams, LlamaError, Model, ModelParams, Probe};
use nearside_tests::gguf::Layout;
use nearside_tests::models;
use tempfile::TempDir;

#[test]
fn a_failed_assert_of_llama_cpp_is_an_error() {
    let message = nearside_llama::fail_an_assert();
    assert!(
        message.starts_with("ggml.c:") && message.contains("GGML_ASSERT"),
        "{message}"
    );
    // With a real file: llama.cpp asserts the number of layers.
    let damaged = Damaged::new();
    for layers in [0, 100_000, u32::MAX] {
        let error = damaged.probe_patched("llama.block_count", &layers.to_le_bytes());
        assert!(
            matches!(&error, Err(LlamaError::Load(reason)) if reason.contains("GGML_ASSERT")),
            "{layers}: {error:?}"
        );
    }
    // The failure does not affect the next call.
    damaged.probe(&damaged.head).unwrap();
}

#[test]
fn a_cut_file_is_an_error() {
    let damaged = Damaged::new();
    let whole = &damaged.head.bytes;
    for cut in [0, 3, 4, 8, 23, 24, 100, 1000, 100_000, whole.len() - 1, whole.len()] {
        std::fs::write(&damaged.file, &whole[..cut]).unwrap();
        let probed = Probe::from_file(&damaged.file, &ModelParams::default());
        assert!(matches!(probed, Err(LlamaError::Load(_))), "{cut} bytes");
        assert!(matches!(load(&damaged.file), Err(LlamaError::Load(_))), "{cut} bytes");
    }
    let absent = load(&damaged.file.with_file_name("absent.gguf"));
    assert!(matches!(absent, Err(LlamaError::Load(_))));
    assert!(matches!(load(&PathBuf::from("a\0b")), Err(LlamaError::Input(_))));
    assert!(load(damaged.file.parent().unwrap()).is_err(), "a folder");
}

#[test]
fn absurd_shapes_are_errors() {
    let damaged = Damaged::new();
    let keys = "embedding_length feed_forward_length attention.head_count attention.head_count_kv rope.dimension_count";
    for key in keys.split(' ').map(|name| format!("llama.{name}")) {
        for value in [0, 1, 7, 65_536, i32::MAX as u32, u32::MAX] {
            let error = damaged.probe_patched(&key, &value.to_le_bytes());
            assert!(
                matches!(
                    error,
                    Err(LlamaError::Load(_) | LlamaError::LoadMemory(_) | LlamaError::Context(_))
                ),
                "{key} = {value}: {error:?}"
            );
        }
    }
}

#[test]
fn numbers_that_only_computing_would_stumble_over_are_found_before() {
    let damaged = Damaged::new();
    let key = "llama.attention.layer_norm_rms_epsilon";
    for value in [-1.0, f32::NAN, f32::INFINITY] {
        let error = damaged.probe_patched(key, &value.to_le_bytes());
        assert!(
            matches!(&error, Err(LlamaError::Load(reason)) if reason.contains("epsilon")),
            "{value}: {error:?}"
        );
    }
}

#[test]
fn bytes_at_random_never_end_the_process() {
    let damaged = Damaged::new();
    let list = damaged.head.tensor_range();
    let mut random = 0x9e37_79b9_7f4a_7c15_u64;
    let mut next = |below: usize| {
        random ^= random << 13;
        random ^= random >> 7;
        random ^= random << 17;
        usize::try_from(random % below as u64).unwrap()
    };
    for round in 0..60 {
        let at = if round % 2 == 0 {
            list.start + next(list.len() - 8)
        } else {
            next(damaged.head.bytes.len() - 8)
        };
        let bytes = [0, u64::MAX, 1 << 40, next(usize::MAX) as u64][next(4)].to_le_bytes();
        // Damage to a word of the vocabulary is no error; the call only has to return.
        let _ = damaged.probe(&damaged.head.patched(at, &bytes));
    }
}

/// A tokenizer without its own splitter recurses once a character of a word (`viking` is one).
#[test]
fn an_endless_word_does_not_exhaust_the_stack() {
    let damaged = Damaged::new();
    let head = damaged.head.patched(damaged.at("tokenizer.ggml.pre") + 8, b"viking");
    let mut bytes = std::fs::read(models::path("smollm2.gguf")).unwrap();
    bytes[..head.bytes.len()].copy_from_slice(&head.bytes);
    std::fs::write(&damaged.file, bytes).unwrap();
    let model = load(&damaged.file).unwrap();
    for word in ["a", " ", "é", "潮"] {
        let tokens = model.tokenize(&word.repeat(40_000), false, false).unwrap();
        assert!(!tokens.is_empty());
    }
    let endless = model.tokenize(&"a".repeat(1 << 20), false, false);
    assert!(matches!(endless, Err(LlamaError::Input(_))));
    let params = ContextParams {
        context: 256,
        threads: 1,
        ..ContextParams::default()
    };
    let mut context = Context::new(&model, &params).unwrap();
    let tokens = model.tokenize("The tides", true, false).unwrap();
    context.decode(&tokens, true, &AtomicBool::new(false)).unwrap();
}

struct Damaged {
    head: Layout,
    file: PathBuf,
    _folder: TempDir,
}

impl Damaged {
    fn new() -> Self {
        let folder = tempfile::tempdir().unwrap();
        let file = folder.path().join("damaged.gguf");
        Self {
            head: Layout::read(&models::path("smollm2.gguf")),
            file,
            _folder: folder,
        }
    }

    fn at(&self, key: &str) -> usize {
        self.head.key(key).unwrap_or_else(|| panic!("no `{key}`")).value.start
    }

    fn probe_patched(&self, key: &str, bytes: &[u8]) -> Result<(), LlamaError> {
        self.probe(&self.head.patched(self.at(key), bytes))
    }

    fn probe(&self, head: &Layout) -> Result<(), LlamaError> {
        head.write(&self.file);
        let probe = Probe::from_file(&self.file, &ModelParams::default())?;
        probe.memory(&ContextParams {
            context: 1024,
            ..ContextParams::default()
        })?;
        Ok(())
    }
}

fn load(path: &std::path::Path) -> Result<Model, LlamaError> {
    Model::load(path, &ModelParams::default(), &mut |_| true)
}
