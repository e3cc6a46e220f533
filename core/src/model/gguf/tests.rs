//! The parser against small files built here; the real heads and 2,000 damaged ones are in the tests crate.

use super::*;
use crate::error::ErrorKind;

/// A sound little file, in parts that a test can change.
struct Sample {
    keys: Vec<(String, Vec<u8>)>,
    tensors: Vec<Vec<u8>>,
    data: u64,
}

fn text(text: &str) -> Vec<u8> {
    [&(text.len() as u64).to_le_bytes()[..], text.as_bytes()].concat()
}

fn text_value(value: &str) -> Vec<u8> {
    [&8_u32.to_le_bytes()[..], &text(value)].concat()
}

fn number_value(value: u32) -> Vec<u8> {
    [4_u32.to_le_bytes(), value.to_le_bytes()].concat()
}

fn texts_value(values: &[&str]) -> Vec<u8> {
    let mut bytes = [&9_u32.to_le_bytes()[..], &8_u32.to_le_bytes()].concat();
    bytes.extend((values.len() as u64).to_le_bytes());
    values.iter().for_each(|value| bytes.extend(text(value)));
    bytes
}

fn tensor(name: &str, shape: &[u64], kind: u32, offset: u64) -> Vec<u8> {
    let mut bytes = text(name);
    bytes.extend((shape.len() as u32).to_le_bytes());
    shape.iter().for_each(|length| bytes.extend(length.to_le_bytes()));
    bytes.extend(kind.to_le_bytes());
    bytes.extend(offset.to_le_bytes());
    bytes
}

impl Sample {
    fn new() -> Self {
        let keys = [
            ("general.architecture", text_value("llama")),
            ("general.name", text_value("Sample")),
            ("llama.context_length", number_value(2048)),
            ("llama.block_count", number_value(2)),
            ("llama.embedding_length", number_value(64)),
            ("llama.attention.head_count", number_value(4)),
            ("llama.attention.head_count_kv", number_value(2)),
            ("tokenizer.ggml.tokens", texts_value(&["a", "b", ""])),
        ];
        Self {
            keys: keys.into_iter().map(|(key, value)| (key.to_owned(), value)).collect(),
            tensors: vec![
                tensor("token_embd.weight", &[64, 3], 8, 0),
                tensor("output_norm.weight", &[64], 0, 224),
            ],
            data: 224 + 256,
        }
    }

    fn with(mut self, key: &str, value: Vec<u8>) -> Self {
        self.keys.retain(|(existing, _)| existing != key);
        self.keys.push((key.to_owned(), value));
        self
    }

    fn bytes(&self) -> Vec<u8> {
        let mut bytes = b"GGUF\x03\0\0\0".to_vec();
        bytes.extend((self.tensors.len() as u64).to_le_bytes());
        bytes.extend((self.keys.len() as u64).to_le_bytes());
        for (key, value) in &self.keys {
            bytes.extend(text(key));
            bytes.extend(value);
        }
        self.tensors.iter().for_each(|tensor| bytes.extend(tensor));
        let start = (bytes.len() as u64).next_multiple_of(32);
        bytes.resize((start + self.data) as usize, 0);
        bytes
    }

    fn parse(&self) -> Result<Head> {
        parse_whole(&self.bytes())
    }
}

fn parse_whole(bytes: &[u8]) -> Result<Head> {
    match parse_head(bytes, bytes.len() as u64)? {
        ParseOutcome::Complete(head) => Ok(*head),
        ParseOutcome::Incomplete { at_least } => panic!("asked for {at_least} of {} bytes", bytes.len()),
    }
}

#[test]
fn a_sound_file_is_described() {
    let sample = Sample::new();
    let head = sample.parse().expect("sound");
    assert_eq!((head.architecture.as_str(), head.name.as_str()), ("llama", "Sample"));
    assert_eq!(
        (head.context_length, head.block_count, head.embedding_length),
        (2048, 2, 64)
    );
    assert_eq!((head.token_count, head.merge_count, head.tensor_count), (3, 0, 2));
    assert_eq!(head.parameters, 64 * 3 + 64);
    assert_eq!(head.quantization, "F32", "256 of 460 bytes");
    assert_eq!(head.needed_size, sample.bytes().len() as u64);
    assert_eq!(head.data_offset % 32, 0);
}

#[test]
fn a_beginning_asks_for_more_until_the_head_is_whole() {
    let bytes = Sample::new().bytes();
    let size = bytes.len() as u64;
    let head = parse_whole(&bytes).expect("sound");
    for length in 0..bytes.len() {
        match parse_head(&bytes[..length], size).expect("nothing is wrong with it") {
            ParseOutcome::Complete(part) => {
                assert_eq!(*part, head);
                assert!(length as u64 + 32 > head.data_offset, "whole after {length} bytes");
            }
            ParseOutcome::Incomplete { at_least } => {
                assert!(at_least > length as u64 && at_least <= head.data_offset);
            }
        }
    }
}

#[test]
fn a_file_that_ends_too_soon_is_damaged() {
    let bytes = Sample::new().bytes();
    for length in 0..bytes.len() {
        let error = parse_head(&bytes[..length], length as u64).expect_err("cut");
        assert_eq!(error.kind(), ErrorKind::Corrupt, "{length}: {error}");
    }
}

#[test]
fn each_kind_of_damage_is_named() {
    let value_of_type = |kind: u32| [&kind.to_le_bytes()[..], &[0; 16]].concat();
    let huge_list = [&9_u32.to_le_bytes()[..], &4_u32.to_le_bytes(), &u64::MAX.to_le_bytes()].concat();
    let nested_list = [&9_u32.to_le_bytes()[..], &9_u32.to_le_bytes(), &1_u64.to_le_bytes()].concat();
    let fraction = |value: f32| [6_u32.to_le_bytes(), value.to_le_bytes()].concat();
    for (sample, named) in [
        (
            Sample::new().with("llama.rope.freq_base", fraction(f32::NAN)),
            "rope.freq_base",
        ),
        (
            Sample::new().with("llama.attention.layer_norm_rms_epsilon", fraction(-1.0)),
            "epsilon",
        ),
        (Sample::new().with("x", value_of_type(13)), "unknown type 13"),
        (Sample::new().with("x", huge_list), "elements in `x`"),
        (Sample::new().with("x", nested_list), "unknown type 9"),
        (
            Sample::new().with("general.alignment", number_value(48)),
            "power of two",
        ),
        (
            Sample::new().with("llama.block_count", number_value(4_000_000_000)),
            "llama.block_count",
        ),
        (
            Sample::new().with("llama.attention.head_count", number_value(3)),
            "multiple of 2",
        ),
        (
            Sample::new().with("llama.embedding_length", number_value(65)),
            "token_embd.weight",
        ),
        (
            Sample::new().with("llama.rope.dimension_count", number_value(15)),
            "rope.dimension_count",
        ),
        (
            Sample::new().with("llama.expert_count", number_value(8)),
            "expert_used_count",
        ),
        (
            Sample::new().with("tokenizer.ggml.bos_token_id", texts_value(&["a"])),
            "bos_token_id",
        ),
        (
            Sample::new().with("tokenizer.ggml.token_type", texts_value(&["a"])),
            "token_type",
        ),
    ] {
        let error = sample.parse().expect_err(named);
        assert_eq!(error.kind(), ErrorKind::Corrupt, "{error}");
        assert!(error.to_string().contains(named), "{named}: {error}");
    }
    for (tensors, named) in [
        (vec![tensor("a", &[64, u64::MAX / 64 + 2], 0, 0)], "impossible shape"),
        (vec![tensor("a", &[0], 0, 0)], "impossible shape"),
        (vec![tensor("a", &[1; 5], 0, 0)], "5 dimensions"),
        (vec![tensor("a", &[33], 8, 0)], "multiple of 32"),
        (vec![tensor("a", &[32], 0, 32)], "lies at byte 32"),
        (vec![tensor("a", &[1 << 40], 0, 0)], "behind the end"),
        (vec![tensor("a", &[8], 0, 0), tensor("a", &[8], 0, 32)], "appears twice"),
        (vec![tensor("a", &[8], 0xffff_ffff, 0)], "impossible type"),
        (vec![tensor(&"n".repeat(64), &[8], 0, 0)], "64 bytes"),
    ] {
        let error = Sample {
            tensors,
            ..Sample::new()
        }
        .parse()
        .expect_err(named);
        assert_eq!(error.kind(), ErrorKind::Corrupt, "{error}");
        assert!(error.to_string().contains(named), "{named}: {error}");
    }
    let sound = Sample::new();
    let mut twice = Sample::new();
    twice.keys.push(sound.keys[0].clone());
    assert!(twice.parse().expect_err("twice").to_string().contains("appears twice"));
}

#[test]
fn a_sound_file_that_can_not_be_used_is_unsupported() {
    let version = |version: u32| {
        let mut bytes = Sample::new().bytes();
        bytes[4..8].copy_from_slice(&version.to_le_bytes());
        parse_whole(&bytes)
    };
    let of_type = |kind| {
        let tensors = vec![tensor("a", &[256], kind, 0)];
        Sample {
            tensors,
            ..Sample::new()
        }
        .parse()
    };
    for (result, named) in [
        (version(1), "version 1"),
        (version(4), "update the app"),
        (version(3 << 24), "big-endian"),
        (of_type(4), "type 4"),
        (of_type(99), "update the app"),
        (
            Sample {
                tensors: vec![tensor("output_norm.weight", &[32], 8, 0)],
                ..Sample::new()
            }
            .parse(),
            "stored as Q8_0",
        ),
        (
            Sample {
                tensors: vec![tensor("output.weight", &[64, 2], 25, 0)],
                ..Sample::new()
            }
            .parse(),
            "stored as I16",
        ),
        (Sample::new().with("split.count", number_value(3)).parse(), "one part"),
        (
            Sample::new().with("general.type", text_value("adapter")).parse(),
            "adapter",
        ),
        (
            Sample {
                tensors: vec![],
                ..Sample::new()
            }
            .parse(),
            "no weights",
        ),
    ] {
        let error = result.expect_err(named);
        assert_eq!(error.kind(), ErrorKind::Unsupported, "{error}");
        assert!(error.to_string().contains(named), "{named}: {error}");
    }
}

#[test]
fn architectures_may_be_unlike_llama() {
    let numbers = |values: &[u32]| {
        let mut bytes = [&9_u32.to_le_bytes()[..], &4_u32.to_le_bytes()].concat();
        bytes.extend((values.len() as u64).to_le_bytes());
        values.iter().for_each(|value| bytes.extend(value.to_le_bytes()));
        bytes
    };
    for sample in [
        // Recurrent: no attention.
        Sample::new()
            .with("llama.attention.head_count", number_value(0))
            .with("llama.attention.head_count_kv", number_value(0)),
        // Hybrid: attention in some blocks.
        Sample::new().with("llama.attention.head_count_kv", numbers(&[0, 2])),
        // Heads that are not a part of the width, and a mixture of experts.
        Sample::new()
            .with("llama.attention.key_length", number_value(128))
            .with("llama.rope.dimension_count", number_value(128))
            .with("llama.expert_count", number_value(128))
            .with("llama.expert_used_count", number_value(8)),
        // "No such token".
        Sample::new().with("tokenizer.ggml.bos_token_id", number_value(u32::MAX)),
    ] {
        sample.parse().expect("a real model may look like this");
    }
    let quantized = Sample::new().with("general.file_type", number_value(15));
    assert_eq!(quantized.parse().expect("sound").quantization, "Q4_K_M");
}

#[test]
fn a_token_twice_is_the_files_fault_and_no_damage() {
    for (tokens, named) in [
        (&["a", "a"], "token 1 appears twice"),
        (&["", "[EMPTY_0]"], "token 0 appears twice"),
    ] {
        let error = Sample::new()
            .with("tokenizer.ggml.tokens", texts_value(tokens))
            .parse()
            .expect_err(named);
        assert_eq!(error.kind(), ErrorKind::Unsupported, "{error}");
        let text = error.to_string();
        assert!(text.contains(named) && text.contains("another file"), "{text}");
        assert!(!text.contains("again"), "another download is no remedy: {text}");
    }
}

#[test]
fn special_tokens_and_types_beyond_the_vocabulary_are_ignored_as_in_llama_cpp() {
    let types = |count: u64| {
        let mut bytes = [&9_u32.to_le_bytes()[..], &5_u32.to_le_bytes(), &count.to_le_bytes()].concat();
        bytes.resize(bytes.len() + 4 * count as usize, 1);
        bytes
    };
    for (key, value) in [
        ("tokenizer.ggml.padding_token_id", number_value(3)),
        ("tokenizer.ggml.eos_token_id", number_value(151_643)),
        ("tokenizer.ggml.bos_token_id", number_value(u32::MAX - 1)),
        ("tokenizer.ggml.token_type", types(5)),
    ] {
        Sample::new().with(key, value).parse().expect(key);
    }
    let error = Sample::new().with("tokenizer.ggml.token_type", types(2)).parse();
    assert_eq!(error.expect_err("too few").kind(), ErrorKind::Corrupt);
    // A begin-of-text token that is added and does not exist ends the process.
    let mut added = Sample::new().with("tokenizer.ggml.bos_token_id", number_value(3));
    added.keys.push((
        "tokenizer.ggml.add_bos_token".into(),
        [&7_u32.to_le_bytes()[..], &[1]].concat(),
    ));
    assert_eq!(added.parse().expect_err("no such token").kind(), ErrorKind::Corrupt);
}
