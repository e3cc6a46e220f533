//! Tiny models: valid GGUF files of any size whose weights are noise. They can be listed, verified, hashed and moved,
//! but not run.

use sha2::{Digest, Sha256};

/// Builds a model with about this many bytes of weights. Each seed gives different weights.
pub fn model(weights: usize, seed: u64) -> Vec<u8> {
    let rows = (weights as u64).div_ceil(ROW_BYTES).max(1);
    let mut bytes = b"GGUF\x03\0\0\0".to_vec();
    number(&mut bytes, 2);
    number(&mut bytes, 8);
    text_key(&mut bytes, "general.architecture", "llama");
    text_key(&mut bytes, "general.name", "Small");
    for (name, value) in [
        ("llama.context_length", 2048_u32),
        ("llama.block_count", 1),
        ("llama.embedding_length", 64),
        ("llama.attention.head_count", 4),
        ("general.file_type", 0),
    ] {
        text(&mut bytes, name);
        bytes.extend(4_u32.to_le_bytes());
        bytes.extend(value.to_le_bytes());
    }
    text(&mut bytes, "tokenizer.ggml.tokens");
    bytes.extend(9_u32.to_le_bytes());
    bytes.extend(8_u32.to_le_bytes());
    number(&mut bytes, 3);
    for token in ["a", "b", "c"] {
        text(&mut bytes, token);
    }
    tensor(&mut bytes, "token_embd.weight", 3, 0);
    tensor(&mut bytes, "output_norm.weight", rows, 3 * ROW_BYTES);
    bytes.resize(bytes.len().next_multiple_of(32), 0);
    let noise = noise(seed).take(((3 + rows) * ROW_BYTES) as usize);
    bytes.extend(noise);
    bytes
}

/// Returns the SHA-256 as lower-case hex, as the hub writes it.
pub fn sha256(bytes: &[u8]) -> String {
    Sha256::digest(bytes).iter().map(|byte| format!("{byte:02x}")).collect()
}

/// Returns an endless pseudo-random byte sequence (xorshift), reproducible by its seed.
pub fn noise(seed: u64) -> impl Iterator<Item = u8> {
    let mut state = seed.wrapping_mul(0x9E37_79B9_7F4A_7C15) | 1;
    std::iter::repeat_with(move || {
        state ^= state << 13;
        state ^= state >> 7;
        state ^= state << 17;
        (state >> 32) as u8
    })
}

fn number(bytes: &mut Vec<u8>, number: u64) {
    bytes.extend(number.to_le_bytes());
}

fn text(bytes: &mut Vec<u8>, text: &str) {
    number(bytes, text.len() as u64);
    bytes.extend(text.as_bytes());
}

fn text_key(bytes: &mut Vec<u8>, name: &str, value: &str) {
    text(bytes, name);
    bytes.extend(8_u32.to_le_bytes());
    text(bytes, value);
}

fn tensor(bytes: &mut Vec<u8>, name: &str, rows: u64, offset: u64) {
    text(bytes, name);
    bytes.extend(2_u32.to_le_bytes());
    number(bytes, 64);
    number(bytes, rows);
    bytes.extend(0_u32.to_le_bytes());
    number(bytes, offset);
}

/// Size of a row of 64 `f32` weights.
const ROW_BYTES: u64 = 256;
