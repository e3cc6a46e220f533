//! Tiny models: valid GGUF files whose weights are noise.
//!
//! Those of [`model`] have any size; they can be listed, verified, hashed and moved, but not run. Those of [`runnable`]
//! have one megabyte and the cache of a real architecture. They write noise, but their own: it depends on every token.

use sha2::{Digest, Sha256};

/// The architectures of [`runnable`] models, which differ in their cache.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum TinyShape {
    /// Llama's: full attention.
    Full,
    /// Gemma 3's: two layers of three see [`SLIDING_WINDOW_TOKENS`] only.
    SlidingWindow,
    /// LFM2's: short convolutions, whose state cannot go back, between layers of full attention.
    Hybrid,
    /// Phi 3's rotations: full attention with other factors in a context of more than [`SHORT_ROPE_TOKENS`].
    TwoRopes,
    /// Grok's: full attention, for which llama.cpp turns flash attention off.
    NoFlash,
}

impl TinyShape {
    /// The shapes whose caches differ.
    pub const ALL: [Self; 3] = [Self::Full, Self::SlidingWindow, Self::Hybrid];

    /// Returns the architecture, as files name it.
    #[must_use]
    pub fn architecture(self) -> &'static str {
        match self {
            Self::Full | Self::TwoRopes => "llama",
            Self::SlidingWindow => "gemma3",
            Self::Hybrid => "lfm2",
            Self::NoFlash => "grok",
        }
    }
}

/// Builds a model that llama.cpp loads and runs. Each printable character of ASCII is one token, and so is each byte of
/// others. Greedy text is printable and never ends by itself.
///
/// With `nan`, the logits of all texts with this character are NaN.
///
/// # Panics
/// If `nan` is no printable character.
#[must_use]
pub fn runnable(shape: TinyShape, nan: Option<char>) -> Vec<u8> {
    runnable_with(shape, nan, CHAT_TEMPLATE)
}

/// Builds a model like [`runnable`] whose chat template renders the tools of a request.
#[must_use]
pub fn with_tools() -> Vec<u8> {
    let tools = "{% for tool in tools %}(tool) {{ tool | tojson }}\n{% endfor %}";
    runnable_with(TinyShape::Full, None, &format!("{tools}{CHAT_TEMPLATE}"))
}

/// Builds a model like [`runnable`] with another chat template.
#[must_use]
pub fn with_chat_template(template: &str) -> Vec<u8> {
    runnable_with(TinyShape::Full, None, template)
}

fn runnable_with(shape: TinyShape, nan: Option<char>, template: &str) -> Vec<u8> {
    let arch = shape.architecture();
    let mut file = GgufWriter::default();
    file.text("general.architecture", arch);
    file.text("general.name", "Tiny");
    file.u32("general.file_type", 0);
    for (key, value) in [
        ("context_length", 32_768),
        ("block_count", LAYERS),
        ("embedding_length", WIDTH),
        ("feed_forward_length", HIDDEN),
        ("attention.head_count", HEADS),
        ("attention.key_length", HEAD_WIDTH),
        ("attention.value_length", HEAD_WIDTH),
        ("rope.dimension_count", HEAD_WIDTH),
    ] {
        file.u32(&format!("{arch}.{key}"), value as u32);
    }
    file.f32(&format!("{arch}.attention.layer_norm_rms_epsilon"), 1e-5);
    let is_attention = |layer: u64| shape != TinyShape::Hybrid || matches!(layer, 2 | 4);
    let kv_heads = format!("{arch}.attention.head_count_kv");
    match shape {
        TinyShape::Full => file.u32(&kv_heads, KV_HEADS as u32),
        TinyShape::TwoRopes => {
            file.u32(&kv_heads, KV_HEADS as u32);
            file.text("llama.rope.scaling.type", "longrope");
            file.u32("llama.rope.scaling.original_context_length", SHORT_ROPE_TOKENS);
        }
        TinyShape::SlidingWindow => {
            file.u32(&kv_heads, KV_HEADS as u32);
            file.u32("gemma3.attention.sliding_window", SLIDING_WINDOW_TOKENS);
            file.u32("gemma3.attention.sliding_window_pattern", 3);
        }
        TinyShape::Hybrid => {
            let heads = (0..LAYERS).map(|layer| if is_attention(layer) { KV_HEADS as u32 } else { 0 });
            file.u32_list(&kv_heads, &heads.collect::<Vec<_>>());
            file.u32("lfm2.shortconv.l_cache", CONVOLUTION as u32);
        }
        TinyShape::NoFlash => {
            file.u32(&kv_heads, KV_HEADS as u32);
            file.u32("grok.expert_count", EXPERTS as u32);
            file.u32("grok.expert_used_count", 1);
        }
    }
    let first_plain = write_vocabulary(&mut file, template);

    let tokens = first_plain + PRINTABLE;
    file.random("token_embd.weight", &[WIDTH, tokens]);
    if let Some(nan) = nan {
        assert!(('!'..='~').contains(&nan), "{nan:?} has no token");
        file.fill_row_of_last(first_plain + (u64::from(nan) - u64::from('!')), f32::NAN);
    }
    file.random("output.weight", &[WIDTH, tokens]);
    // Control tokens and bytes have the logit 0, and the largest of the others is greater.
    (0..first_plain).for_each(|row| file.fill_row_of_last(row, 0.0));
    let norm = match shape {
        TinyShape::Hybrid => "token_embd_norm.weight",
        _ => "output_norm.weight",
    };
    file.ones(norm, WIDTH);
    if shape == TinyShape::TwoRopes {
        file.constant("rope_factors_short.weight", HEAD_WIDTH / 2, 1.0);
        file.constant("rope_factors_long.weight", HEAD_WIDTH / 2, 8.0);
    }
    for layer in 0..LAYERS {
        write_layer(&mut file, layer, shape, is_attention(layer));
    }
    file.finish()
}

/// Writes 3 control tokens, 256 bytes and [`PRINTABLE`] characters; returns the id of the first character.
fn write_vocabulary(file: &mut GgufWriter, template: &str) -> u64 {
    let control = ["<unk>", "<s>", "</s>"].map(str::to_owned);
    let bytes = (0..=255).map(|byte: u8| format!("<0x{byte:02X}>"));
    // The last one is SentencePiece's space.
    let plain = ('!'..='~').chain(['\u{2581}']).map(String::from);
    let first_plain = 3 + 256;
    let tokens: Vec<_> = control.into_iter().chain(bytes).chain(plain).collect();
    let kinds: Vec<_> = (0..tokens.len() as u64)
        .map(|id| match id {
            0 => 2,
            1 | 2 => 3,
            _ if id < first_plain => 6,
            _ => 1,
        })
        .collect();
    file.text("tokenizer.ggml.model", "llama");
    file.text_list("tokenizer.ggml.tokens", &tokens);
    file.f32_list("tokenizer.ggml.scores", &vec![0.0; tokens.len()]);
    file.u32_list("tokenizer.ggml.token_type", &kinds);
    file.u32("tokenizer.ggml.unknown_token_id", 0);
    file.u32("tokenizer.ggml.bos_token_id", 1);
    file.u32("tokenizer.ggml.eos_token_id", 2);
    file.text("tokenizer.chat_template", template);
    first_plain
}

fn write_layer(file: &mut GgufWriter, layer: u64, shape: TinyShape, is_attention: bool) {
    let name = |part: &str| format!("blk.{layer}.{part}.weight");
    file.ones(&name("attn_norm"), WIDTH);
    if is_attention {
        // Sharp attention whose result weighs as much as the token itself: else the text depends on the last tokens only.
        let is_plain = matches!(shape, TinyShape::Full | TinyShape::TwoRopes);
        let gain = if is_plain { SHARPNESS } else { 1.0 };
        file.random_scaled(&name("attn_q"), &[WIDTH, HEADS * HEAD_WIDTH], gain);
        file.random_scaled(&name("attn_k"), &[WIDTH, KV_HEADS * HEAD_WIDTH], gain);
        file.random(&name("attn_v"), &[WIDTH, KV_HEADS * HEAD_WIDTH]);
        file.random_scaled(&name("attn_output"), &[HEADS * HEAD_WIDTH, WIDTH], 2.0);
        if matches!(shape, TinyShape::SlidingWindow | TinyShape::Hybrid) {
            file.constant(&name("attn_q_norm"), HEAD_WIDTH, SHARPNESS);
            file.constant(&name("attn_k_norm"), HEAD_WIDTH, SHARPNESS);
        }
    } else {
        file.random(&name("shortconv.conv"), &[CONVOLUTION, WIDTH]);
        file.random(&name("shortconv.in_proj"), &[WIDTH, 3 * WIDTH]);
        file.random(&name("shortconv.out_proj"), &[WIDTH, WIDTH]);
    }
    file.ones(&name("ffn_norm"), WIDTH);
    if shape == TinyShape::NoFlash {
        file.ones(&name("attn_output_norm"), WIDTH);
        file.random(&name("ffn_gate_inp"), &[WIDTH, EXPERTS]);
        file.random(&name("ffn_gate_exps"), &[WIDTH, HIDDEN, EXPERTS]);
        file.random(&name("ffn_up_exps"), &[WIDTH, HIDDEN, EXPERTS]);
        file.random(&name("ffn_down_exps"), &[HIDDEN, WIDTH, EXPERTS]);
        file.ones(&name("layer_output_norm"), WIDTH);
        return;
    }
    file.random(&name("ffn_gate"), &[WIDTH, HIDDEN]);
    file.random(&name("ffn_up"), &[WIDTH, HIDDEN]);
    file.random(&name("ffn_down"), &[HIDDEN, WIDTH]);
    if shape == TinyShape::SlidingWindow {
        file.ones(&name("post_attention_norm"), WIDTH);
        file.ones(&name("post_ffw_norm"), WIDTH);
    }
}

/// Writes a GGUF file with tensors of `f32`.
struct GgufWriter {
    keys: Vec<u8>,
    key_count: u64,
    tensors: Vec<u8>,
    tensor_count: u64,
    weights: Vec<u8>,
    /// Offset of the last tensor, and the bytes of its rows.
    last: (usize, usize),
    noise: Box<dyn Iterator<Item = u8>>,
}

impl Default for GgufWriter {
    fn default() -> Self {
        Self {
            keys: Vec::new(),
            key_count: 0,
            tensors: Vec::new(),
            tensor_count: 0,
            weights: Vec::new(),
            last: (0, 0),
            noise: Box::new(noise(11)),
        }
    }
}

impl GgufWriter {
    fn key(&mut self, name: &str, kind: u32) {
        text(&mut self.keys, name);
        self.keys.extend(kind.to_le_bytes());
        self.key_count += 1;
    }

    fn list(&mut self, name: &str, kind: u32, count: usize) {
        self.key(name, 9);
        self.keys.extend(kind.to_le_bytes());
        number(&mut self.keys, count as u64);
    }

    fn u32(&mut self, name: &str, value: u32) {
        self.key(name, 4);
        self.keys.extend(value.to_le_bytes());
    }

    fn f32(&mut self, name: &str, value: f32) {
        self.key(name, 6);
        self.keys.extend(value.to_le_bytes());
    }

    fn text(&mut self, name: &str, value: &str) {
        self.key(name, 8);
        text(&mut self.keys, value);
    }

    fn u32_list(&mut self, name: &str, values: &[u32]) {
        // As `i32`, which llama.cpp requires of the kinds of tokens.
        self.list(name, 5, values.len());
        self.keys.extend(values.iter().flat_map(|value| value.to_le_bytes()));
    }

    fn f32_list(&mut self, name: &str, values: &[f32]) {
        self.list(name, 6, values.len());
        self.keys.extend(values.iter().flat_map(|value| value.to_le_bytes()));
    }

    fn text_list(&mut self, name: &str, values: &[String]) {
        self.list(name, 8, values.len());
        values.iter().for_each(|value| text(&mut self.keys, value));
    }

    /// Adds a matrix of noise that keeps the scale of its input, or several of them.
    fn random(&mut self, name: &str, dimensions: &[u64]) {
        self.random_scaled(name, dimensions, 1.0);
    }

    /// Adds a matrix of noise that multiplies the scale of its input by `gain`.
    fn random_scaled(&mut self, name: &str, dimensions: &[u64], gain: f32) {
        let scale = gain * (3.0 / dimensions[0] as f32).sqrt();
        let count: u64 = dimensions.iter().product();
        let values: Vec<_> = (0..count)
            .map(|_| {
                let pair = [0; 2].map(|_| self.noise.next().unwrap_or_default());
                scale * f32::from(i16::from_le_bytes(pair)) / 32_768.0
            })
            .collect();
        self.tensor(name, dimensions, &values);
    }

    fn ones(&mut self, name: &str, count: u64) {
        self.constant(name, count, 1.0);
    }

    fn constant(&mut self, name: &str, count: u64, value: f32) {
        self.tensor(name, &[count], &vec![value; count as usize]);
    }

    fn tensor(&mut self, name: &str, dimensions: &[u64], values: &[f32]) {
        text(&mut self.tensors, name);
        self.tensors.extend((dimensions.len() as u32).to_le_bytes());
        dimensions.iter().for_each(|count| number(&mut self.tensors, *count));
        self.tensors.extend(0_u32.to_le_bytes());
        number(&mut self.tensors, self.weights.len() as u64);
        self.tensor_count += 1;
        self.last = (self.weights.len(), 4 * dimensions[0] as usize);
        self.weights.extend(values.iter().flat_map(|value| value.to_le_bytes()));
        self.weights.resize(self.weights.len().next_multiple_of(32), 0);
    }

    fn fill_row_of_last(&mut self, row: u64, value: f32) {
        let (start, row_bytes) = self.last;
        let row = &mut self.weights[start + row as usize * row_bytes..][..row_bytes];
        row.chunks_mut(4)
            .for_each(|number| number.copy_from_slice(&value.to_le_bytes()));
    }

    fn finish(self) -> Vec<u8> {
        let mut bytes = b"GGUF\x03\0\0\0".to_vec();
        number(&mut bytes, self.tensor_count);
        number(&mut bytes, self.key_count);
        bytes.extend(self.keys);
        bytes.extend(self.tensors);
        bytes.resize(bytes.len().next_multiple_of(32), 0);
        bytes.extend(self.weights);
        bytes
    }
}

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
/// The largest context in which [`TinyShape::TwoRopes`] takes its short factors.
pub const SHORT_ROPE_TOKENS: u32 = 4096;
/// Tokens that the sliding layers of [`TinyShape::SlidingWindow`] see.
pub const SLIDING_WINDOW_TOKENS: u32 = 32;
const LAYERS: u64 = 6;
const WIDTH: u64 = 64;
const HIDDEN: u64 = 128;
const HEADS: u64 = 4;
const KV_HEADS: u64 = 2;
const HEAD_WIDTH: u64 = 16;
/// Factor of queries and keys.
const SHARPNESS: f32 = 3.0;
/// Experts of [`TinyShape::NoFlash`].
const EXPERTS: u64 = 2;
/// Tokens that a short convolution sees.
const CONVOLUTION: u64 = 3;
/// The printable characters of ASCII, with the space.
const PRINTABLE: u64 = 95;
const CHAT_TEMPLATE: &str = "{% for message in messages %}({{ message.role }}) {{ message.content }}\n{% endfor %}\
    {% if add_generation_prompt %}(assistant) {% endif %}";
