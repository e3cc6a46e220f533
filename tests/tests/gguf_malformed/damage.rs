//! The damages: every one a small change to the head of a real model.

use crate::layout::{Layout, u32_at, u64_at};

/// One damaged file.
#[derive(Debug, Clone)]
pub(crate) struct Damage {
    pub(crate) what: String,
    /// What replaces what: where it starts, how many bytes go, and those that come.
    pub(crate) edits: Vec<(usize, usize, Vec<u8>)>,
    /// The file ends here.
    pub(crate) cut: Option<usize>,
}

impl Damage {
    fn edit(what: impl Into<String>, at: usize, bytes: Vec<u8>) -> Self {
        let length = bytes.len();
        Self {
            what: what.into(),
            edits: vec![(at, length, bytes)],
            cut: None,
        }
    }

    fn cut(at: usize) -> Self {
        Self {
            what: format!("cut at {at}"),
            edits: Vec::new(),
            cut: Some(at),
        }
    }

    /// The damaged head, and the size that the whole file then has.
    pub(crate) fn apply(&self, layout: &Layout) -> (Vec<u8>, u64) {
        let mut bytes = layout.bytes.clone();
        let mut edits = self.edits.clone();
        edits.sort_by_key(|(at, ..)| std::cmp::Reverse(*at));
        for (at, length, new) in edits {
            bytes.splice(at..at + length, new);
        }
        let grown = bytes.len() as i64 - layout.bytes.len() as i64;
        let mut size = layout.file_size.saturating_add_signed(grown);
        if let Some(cut) = self.cut {
            bytes.truncate(cut);
            size = cut as u64;
        }
        (bytes, size)
    }
}

/// All damages of a model.
pub(crate) fn all(layout: &Layout) -> Vec<Damage> {
    let mut damages = Vec::new();
    cuts(layout, &mut damages);
    header(layout, &mut damages);
    keys(layout, &mut damages);
    tensors(layout, &mut damages);
    hyperparameters(layout, &mut damages);
    vocabulary(layout, &mut damages);
    architectures(layout, &mut damages);
    noise(layout, &mut damages);
    damages
}

fn cuts(layout: &Layout, out: &mut Vec<Damage>) {
    let boundaries = layout.keys.iter().map(|key| key.whole.end);
    let tensors = layout.tensors.iter().map(|tensor| tensor.start);
    let mut random = Random(1);
    let anywhere = std::iter::repeat_with(|| random.below(layout.bytes.len())).take(100);
    let ends = [0, 1, 4, 7, 8, 16, 23, 24, layout.bytes.len() - 1, layout.bytes.len()];
    out.extend(
        ends.into_iter()
            .chain(boundaries)
            .chain(tensors)
            .chain(anywhere)
            .map(Damage::cut),
    );
}

fn header(_: &Layout, out: &mut Vec<Damage>) {
    for version in extremes_32(3) {
        out.push(Damage::edit(
            format!("version {version}"),
            4,
            version.to_le_bytes().to_vec(),
        ));
    }
    for count in extremes_64(272) {
        out.push(Damage::edit(
            format!("{count} tensors"),
            8,
            count.to_le_bytes().to_vec(),
        ));
        out.push(Damage::edit(format!("{count} keys"), 16, count.to_le_bytes().to_vec()));
    }
}

/// Every length, type, count and number of every key.
fn keys(layout: &Layout, out: &mut Vec<Damage>) {
    let bytes = &layout.bytes;
    for key in &layout.keys {
        let name = &key.name;
        for length in extremes_64(u64_at(bytes, key.whole.start)) {
            out.push(Damage::edit(
                format!("{name}: name of {length}"),
                key.whole.start,
                length.to_le_bytes().to_vec(),
            ));
        }
        for kind in (0..=13)
            .chain([u32::MAX, i32::MAX as u32])
            .filter(|kind| *kind != key.kind)
        {
            out.push(Damage::edit(
                format!("{name}: type {kind}"),
                key.kind_at,
                kind.to_le_bytes().to_vec(),
            ));
        }
        let at = key.value.start;
        match key.kind {
            8 => {
                for length in extremes_64(u64_at(bytes, at)) {
                    out.push(Damage::edit(
                        format!("{name}: {length} long"),
                        at,
                        length.to_le_bytes().to_vec(),
                    ));
                }
            }
            9 => {
                for kind in (0..=13).chain([u32::MAX]).filter(|kind| *kind != u32_at(bytes, at)) {
                    out.push(Damage::edit(
                        format!("{name}: elements of {kind}"),
                        at,
                        kind.to_le_bytes().to_vec(),
                    ));
                }
                for count in extremes_64(u64_at(bytes, at + 4)) {
                    out.push(Damage::edit(
                        format!("{name}: {count} elements"),
                        at + 4,
                        count.to_le_bytes().to_vec(),
                    ));
                }
            }
            7 => out.extend([2, 255].map(|byte| Damage::edit(format!("{name}: bool {byte}"), at, vec![byte]))),
            6 => {
                for number in [0.0, -1.0, 1e-38, f32::MAX, f32::INFINITY, f32::NAN] {
                    out.push(Damage::edit(
                        format!("{name}: {number}"),
                        at,
                        number.to_le_bytes().to_vec(),
                    ));
                }
            }
            4 | 5 => {
                for number in extremes_32(u32_at(bytes, at)) {
                    out.push(Damage::edit(
                        format!("{name}: {number}"),
                        at,
                        number.to_le_bytes().to_vec(),
                    ));
                }
            }
            _ => {}
        }
        let mut twice = Damage::edit(
            format!("{name} twice"),
            16,
            (layout.keys.len() as u64 + 1).to_le_bytes().to_vec(),
        );
        if key.whole.len() < 10_000 {
            twice.edits.push((key.whole.end, 0, bytes[key.whole.clone()].to_vec()));
            out.push(twice);
        }
        let fewer = (layout.keys.len() as u64 - 1).to_le_bytes().to_vec();
        let mut without = Damage::edit(format!("without {name}"), 16, fewer);
        without.edits.push((key.whole.start, key.whole.len(), Vec::new()));
        out.push(without);
    }
}

/// Every field of some tensors: the first, the last, and some between.
fn tensors(layout: &Layout, out: &mut Vec<Damage>) {
    let bytes = &layout.bytes;
    let last = layout.tensors.len() - 1;
    for place in [0, 1, 2, 3, 5, 8, last / 2, last - 1, last] {
        let tensor = &layout.tensors[place];
        let mut edit = |what: String, at, bytes| out.push(Damage::edit(format!("tensor {place}: {what}"), at, bytes));
        for length in extremes_64(u64_at(bytes, tensor.start)).into_iter().chain([63, 64, 65]) {
            edit(format!("name of {length}"), tensor.start, length.to_le_bytes().to_vec());
        }
        for count in extremes_32(tensor.dimensions).into_iter().chain([4, 5]) {
            edit(
                format!("{count} dimensions"),
                tensor.dimensions_at,
                count.to_le_bytes().to_vec(),
            );
        }
        for dimension in 0..tensor.dimensions as usize {
            let at = tensor.dimensions_at + 4 + 8 * dimension;
            for length in extremes_64(u64_at(bytes, at))
                .into_iter()
                .chain([256, 1 << 32, 1 << 40, 1 << 61])
            {
                edit(
                    format!("dimension {dimension} is {length}"),
                    at,
                    length.to_le_bytes().to_vec(),
                );
            }
        }
        for kind in (0..=44).chain([255, 256, i32::MAX as u32, 1 << 31, u32::MAX]) {
            edit(format!("type {kind}"), tensor.kind_at(), kind.to_le_bytes().to_vec());
        }
        for offset in extremes_64(u64_at(bytes, tensor.kind_at() + 4))
            .into_iter()
            .chain([32, layout.file_size])
        {
            edit(
                format!("offset {offset}"),
                tensor.kind_at() + 4,
                offset.to_le_bytes().to_vec(),
            );
        }
    }
}

/// Numbers that no model has, also under keys that this one does not need.
fn hyperparameters(layout: &Layout, out: &mut Vec<Damage>) {
    let architecture = layout.architecture();
    let names = [
        "block_count",
        "embedding_length",
        "context_length",
        "feed_forward_length",
        "vocab_size",
        "attention.head_count",
        "attention.head_count_kv",
        "attention.key_length",
        "attention.value_length",
        "attention.key_length_swa",
        "attention.value_length_swa",
        "attention.key_length_mla",
        "attention.sliding_window",
        "attention.kv_lora_rank",
        "rope.dimension_count",
        "rope.dimension_count_swa",
        "rope.scaling.original_context_length",
        "expert_count",
        "expert_used_count",
        "expert_group_count",
        "nextn_predict_layers",
        "embedding_length_out",
        "pooling_type",
        "tensor_data_layout",
        "ssm.conv_kernel",
        "classifier.pooling_type",
    ];
    for name in names {
        let key = format!("{architecture}.{name}");
        for value in [
            0,
            1,
            2,
            3,
            7,
            513,
            65_537,
            1 << 20,
            1 << 30,
            i32::MAX as u32,
            1 << 31,
            4_000_000_000,
            u32::MAX,
        ] {
            out.push(set(layout, &[(&key, number(value))], format!("{name} = {value}")));
        }
        out.push(set(layout, &[(&key, numbers(&[]))], format!("{name} = []")));
        out.push(set(layout, &[(&key, numbers(&[0; 30]))], format!("{name} = 30 zeros")));
        out.push(set(
            layout,
            &[(&key, numbers(&[u32::MAX; 600]))],
            format!("{name} = 600 large ones"),
        ));
        out.push(set(layout, &[(&key, text("8"))], format!("{name} = text")));
    }
    let full = |name: &str| format!("{architecture}.{name}");
    for (experts, used) in [
        (8, 2),
        (8, 0),
        (8, 9),
        (1025, 2),
        (u32::MAX, 1),
        (u32::MAX, u32::MAX),
        (1, 1),
    ] {
        let keys = [
            (&*full("expert_count"), number(experts)),
            (&*full("expert_used_count"), number(used)),
        ];
        out.push(set(layout, &keys, format!("{used} of {experts} experts")));
    }
    for (heads, kv) in [
        (1, 1),
        (3, 2),
        (4, 3),
        (27, 9),
        (4096, 4096),
        (64, 0),
        (0, 0),
        (0, 8),
        (18, 6),
        (36, 12),
    ] {
        let keys = [
            (&*full("attention.head_count"), number(heads)),
            (&*full("attention.head_count_kv"), number(kv)),
        ];
        out.push(set(layout, &keys, format!("{heads} heads, {kv} for keys")));
    }
    for kind in ["", "none", "linear", "yarn", "longrope", "nonsense"] {
        let key = full("rope.scaling.type");
        out.push(set(layout, &[(&key, text(kind))], format!("rope scaling `{kind}`")));
    }
    for alignment in [0, 1, 8, 16, 31, 33, 64, 4096, 1 << 16, 1 << 17, 1 << 31, u32::MAX] {
        out.push(set(
            layout,
            &[("general.alignment", number(alignment))],
            format!("alignment {alignment}"),
        ));
    }
    for parts in [1_u16, 2, 65_535] {
        let value = [&2_u32.to_le_bytes()[..], &parts.to_le_bytes()].concat();
        out.push(set(layout, &[("split.count", value)], format!("{parts} parts")));
    }
}

fn vocabulary(layout: &Layout, out: &mut Vec<Damage>) {
    for model in [
        "",
        "llama",
        "bert",
        "t5",
        "rwkv",
        "plamo2",
        "none",
        "no_vocab",
        "whitespace",
        "hybriddna",
        "\u{0}",
    ] {
        out.push(set(
            layout,
            &[("tokenizer.ggml.model", text(model))],
            format!("tokenizer `{model:?}`"),
        ));
    }
    for pre in ["", "default", "llama3", "gpt-4o", "kimi-k2", "nonsense"] {
        out.push(set(
            layout,
            &[("tokenizer.ggml.pre", text(pre))],
            format!("pre-tokenizer `{pre}`"),
        ));
    }
    for size in [0, 1, 49_151, u32::MAX] {
        let vocab_size = format!("{}.vocab_size", layout.architecture());
        let keys = [("tokenizer.ggml.model", text("none")), (&*vocab_size, number(size))];
        out.push(set(layout, &keys, format!("no tokenizer and {size} tokens")));
    }
    for key in [
        "scores",
        "token_type",
        "precompiled_charsmap",
        "suppress_tokens",
        "added_tokens",
    ] {
        let key = format!("tokenizer.ggml.{key}");
        for list in [numbers(&[]), numbers(&[1; 3]), bytes_list(&[255; 64]), text("x")] {
            out.push(set(layout, &[(&key, list)], format!("another `{key}`")));
        }
    }
    for id in ["bos", "eos", "eot", "padding", "unknown", "seperator", "mask"] {
        for value in [0, 49_151, 49_152, 152_064, i32::MAX as u32, 1 << 31, u32::MAX - 1] {
            let key = format!("tokenizer.ggml.{id}_token_id");
            out.push(set(layout, &[(&key, number(value))], format!("{id} = {value}")));
        }
    }
    let tokens = layout.texts("tokenizer.ggml.tokens");
    for (name, byte) in [
        ("a NUL", 0_u8),
        ("no UTF-8", 0xff),
        ("half a character", 0xc4),
        ("a newline", b'\n'),
    ] {
        for token in [&tokens[0], &tokens[1000], &tokens[tokens.len() - 1]] {
            out.push(Damage::edit(
                format!("token of {name}"),
                token.start,
                vec![byte; token.len()],
            ));
        }
    }
    // Two tokens of the same length made equal.
    for first in [10, 300, 5_000] {
        let twin = tokens[first + 1..]
            .iter()
            .find(|token| token.len() == tokens[first].len());
        let copy = layout.bytes[tokens[first].clone()].to_vec();
        out.push(Damage::edit(
            "a token twice",
            twin.expect("one of this length").start,
            copy,
        ));
    }
    let merges = layout.texts("tokenizer.ggml.merges");
    for byte in [0_u8, 0xff, b' ', b'x'] {
        let merge = &merges[7];
        out.push(Damage::edit(
            format!("merge of {byte}"),
            merge.start,
            vec![byte; merge.len()],
        ));
    }
}

/// The same numbers under the name of another architecture: tensors are missing or have the wrong shape.
fn architectures(layout: &Layout, out: &mut Vec<Damage>) {
    let own = layout.architecture();
    let names = "llama llama4 deci falcon grok gpt2 gptj gptneox mpt baichuan starcoder refact bert modern-bert nomic-bert \
        jina-bert-v2 bloom stablelm qwen qwen2 qwen2moe qwen2vl qwen3 qwen3moe qwen3next phi2 phi3 phimoe plamo plamo2 codeshell \
        orion internlm2 minicpm minicpm3 gemma gemma2 gemma3 gemma3n gemma4 gemma-embedding starcoder2 mamba mamba2 jamba \
        falcon-h1 xverse command-r cohere2 dbrx olmo olmo2 olmoe openelm arctic deepseek deepseek2 chatglm glm4 glm4moe \
        bitnet t5 t5encoder jais nemotron nemotron_h exaone exaone4 rwkv6 rwkv6qwen2 rwkv7 arwkv7 granite granitemoe \
        granitehybrid chameleon wavtokenizer-dec plm bailingmoe bailingmoe2 dots1 arcee afmoe ernie4_5 ernie4_5-moe \
        hunyuan-moe hunyuan-dense smollm3 gpt-oss lfm2 lfm2moe dream smallthinker llada llada-moe seed_oss grovemoe apertus \
        minimax-m2 cogvlm pangu-embedded mistral3 clip nonsense ";
    for name in names
        .split_whitespace()
        .filter(|name| *name != own)
        .chain(["", "a/b", "%s%n"])
    {
        let mut edits = Vec::new();
        for key in &layout.keys {
            if key.name == "general.architecture" {
                edits.push((key.value.start, key.value.len(), length_and(name)));
            } else if let Some(rest) = key.name.strip_prefix(&format!("{own}.")) {
                edits.push((
                    key.whole.start,
                    8 + key.name.len(),
                    length_and(&format!("{name}.{rest}")),
                ));
            }
        }
        // Keep the tensors where they are in the file's alignment.
        out.push(Damage {
            what: format!("architecture `{name}`"),
            edits,
            cut: None,
        });
    }
}

/// Bytes that are simply wrong, as a bad disk leaves them; half of them where the numbers are.
fn noise(layout: &Layout, out: &mut Vec<Damage>) {
    let mut random = Random(2);
    for round in 0..300 {
        let most = if round % 2 == 0 { 1500 } else { layout.bytes.len() - 8 };
        let at = 24 + random.below(most - 24);
        let bytes = (0..1 + random.below(8)).map(|_| random.below(256) as u8).collect();
        out.push(Damage::edit(format!("noise at {at}"), at, bytes));
    }
}

/// The model with these keys set, changed where it has them and added where not.
fn set(layout: &Layout, keys: &[(&str, Vec<u8>)], what: String) -> Damage {
    let mut edits = Vec::new();
    let mut added = Vec::new();
    let mut count = layout.keys.len() as u64;
    for (name, value) in keys {
        match layout.key(name) {
            Some(key) => edits.push((key.kind_at, 4 + key.value.len(), value.clone())),
            None => {
                added.extend([length_and(name), value.clone()].concat());
                count += 1;
            }
        }
    }
    edits.push((layout.keys.last().expect("keys").whole.end, 0, added));
    edits.push((16, 8, count.to_le_bytes().to_vec()));
    Damage { what, edits, cut: None }
}

fn length_and(text: &str) -> Vec<u8> {
    [&(text.len() as u64).to_le_bytes()[..], text.as_bytes()].concat()
}

fn number(value: u32) -> Vec<u8> {
    [4_u32.to_le_bytes(), value.to_le_bytes()].concat()
}

fn numbers(values: &[u32]) -> Vec<u8> {
    let head = [
        &9_u32.to_le_bytes()[..],
        &5_u32.to_le_bytes(),
        &(values.len() as u64).to_le_bytes(),
    ]
    .concat();
    values
        .iter()
        .fold(head, |bytes, value| [&bytes[..], &value.to_le_bytes()].concat())
}

fn bytes_list(values: &[u8]) -> Vec<u8> {
    let length = (values.len() as u64).to_le_bytes();
    [&9_u32.to_le_bytes()[..], &0_u32.to_le_bytes(), &length, values].concat()
}

fn text(value: &str) -> Vec<u8> {
    [&8_u32.to_le_bytes()[..], &length_and(value)].concat()
}

fn extremes_32(sound: u32) -> Vec<u32> {
    let all = [
        0,
        1,
        u32::MAX,
        i32::MAX as u32,
        1 << 31,
        sound.wrapping_add(1),
        sound.wrapping_sub(1),
        sound.wrapping_mul(2),
    ];
    all.into_iter().filter(|value| *value != sound).collect()
}

fn extremes_64(sound: u64) -> Vec<u64> {
    let near = [sound.wrapping_add(1), sound.wrapping_sub(1), sound.wrapping_mul(2)];
    let far = [
        0,
        1,
        u64::MAX,
        i64::MAX as u64,
        1 << 63,
        u64::from(u32::MAX),
        1 << 32,
        1_000_000,
    ];
    near.into_iter().chain(far).filter(|value| *value != sound).collect()
}

/// The same damages in every run (xorshift).
struct Random(u64);

impl Random {
    fn below(&mut self, limit: usize) -> usize {
        self.0 ^= self.0 << 13;
        self.0 ^= self.0 >> 7;
        self.0 ^= self.0 << 17;
        (self.0 % limit as u64) as usize
    }
}
