//! Damages that leave a valid file and an invalid model: implausible numbers, lists of different lengths, and the tensors
//! of one architecture under the name of another.

use nearside_tests::gguf::Layout;

use crate::damage::Damage;

/// Sets implausible numbers, also for keys that this model does not need.
pub(crate) fn hyperparameters(layout: &Layout, out: &mut Vec<Damage>) {
    let architecture = layout.architecture();
    let names = "block_count embedding_length context_length feed_forward_length vocab_size attention.head_count \
        attention.head_count_kv attention.key_length attention.value_length attention.key_length_swa \
        attention.value_length_swa attention.key_length_mla attention.sliding_window attention.kv_lora_rank \
        rope.dimension_count rope.dimension_count_swa rope.scaling.original_context_length expert_count \
        expert_used_count expert_group_count nextn_predict_layers embedding_length_out pooling_type \
        tensor_data_layout ssm.conv_kernel classifier.pooling_type";
    for name in names.split(' ') {
        let key = format!("{architecture}.{name}");
        let small = [0, 1, 2, 3, 7, 513, 65_537, 1 << 20, 1 << 30];
        let large = [i32::MAX as u32, 1 << 31, 4_000_000_000, u32::MAX];
        for value in small.into_iter().chain(large) {
            set(layout, out, &[(&key, number(value))], format!("{name} = {value}"));
        }
        set(layout, out, &[(&key, numbers(&[]))], format!("{name} = []"));
        set(layout, out, &[(&key, numbers(&[0; 30]))], format!("{name} = 30 zeros"));
        let large = numbers(&[u32::MAX; 600]);
        set(layout, out, &[(&key, large)], format!("{name} = 600 large ones"));
        set(layout, out, &[(&key, text("8"))], format!("{name} = text"));
    }
    let full = |name: &str| format!("{architecture}.{name}");
    let few = [(1, 1), (8, 2), (8, 0), (8, 9)];
    let many = [(1025, 2), (u32::MAX, 1), (u32::MAX, u32::MAX)];
    let (expert_count, expert_used_count) = (full("expert_count"), full("expert_used_count"));
    for (experts, used) in few.into_iter().chain(many) {
        let keys = [(&*expert_count, number(experts)), (&*expert_used_count, number(used))];
        set(layout, out, &keys, format!("{used} of {experts} experts"));
    }
    let plausible = [(1, 1), (3, 2), (4, 3), (27, 9), (18, 6), (36, 12)];
    let absurd = [(4096, 4096), (64, 0), (0, 0), (0, 8)];
    let (head_count, head_count_kv) = (full("attention.head_count"), full("attention.head_count_kv"));
    for (heads, kv) in plausible.into_iter().chain(absurd) {
        let keys = [(&*head_count, number(heads)), (&*head_count_kv, number(kv))];
        set(layout, out, &keys, format!("{heads} heads, {kv} for keys"));
    }
    for kind in ["", "none", "linear", "yarn", "longrope", "nonsense"] {
        let key = full("rope.scaling.type");
        set(layout, out, &[(&key, text(kind))], format!("rope scaling `{kind}`"));
    }
    for alignment in [0, 1, 8, 16, 31, 33, 64, 4096, 1 << 16, 1 << 17, 1 << 31, u32::MAX] {
        let keys = [("general.alignment", number(alignment))];
        set(layout, out, &keys, format!("alignment {alignment}"));
    }
    for parts in [1_u16, 2, 65_535] {
        let value = [&2_u32.to_le_bytes()[..], &parts.to_le_bytes()].concat();
        set(layout, out, &[("split.count", value)], format!("{parts} parts"));
    }
}

pub(crate) fn vocabulary(layout: &Layout, out: &mut Vec<Damage>) {
    let models = "llama bert t5 rwkv plamo2 none no_vocab whitespace hybriddna".split(' ');
    for model in models.chain(["", "\u{0}"]) {
        let keys = [("tokenizer.ggml.model", text(model))];
        set(layout, out, &keys, format!("tokenizer `{model:?}`"));
    }
    for pre in ["", "default", "llama3", "gpt-4o", "kimi-k2", "nonsense"] {
        let keys = [("tokenizer.ggml.pre", text(pre))];
        set(layout, out, &keys, format!("pre-tokenizer `{pre}`"));
    }
    for size in [0, 1, 49_151, u32::MAX] {
        let vocab_size = format!("{}.vocab_size", layout.architecture());
        let keys = [("tokenizer.ggml.model", text("none")), (&*vocab_size, number(size))];
        set(layout, out, &keys, format!("no tokenizer and {size} tokens"));
    }
    for key in "scores token_type precompiled_charsmap suppress_tokens added_tokens".split(' ') {
        let key = format!("tokenizer.ggml.{key}");
        for list in [numbers(&[]), numbers(&[1; 3]), bytes_list(&[255; 64]), text("x")] {
            set(layout, out, &[(&key, list)], format!("another `{key}`"));
        }
    }
    for id in ["bos", "eos", "eot", "padding", "unknown", "seperator", "mask"] {
        for value in [0, 49_151, 49_152, 152_064, i32::MAX as u32, 1 << 31, u32::MAX - 1] {
            let key = format!("tokenizer.ggml.{id}_token_id");
            set(layout, out, &[(&key, number(value))], format!("{id} = {value}"));
        }
    }
    let tokens = layout.texts("tokenizer.ggml.tokens");
    for (name, byte) in [
        ("a NUL", 0_u8),
        ("no UTF-8", 0xff),
        ("half a character", 0xc4),
        ("a newline", b'\n'),
    ] {
        for token in [0, 1000.min(tokens.len() / 2), tokens.len() - 1].map(|at| &tokens[at]) {
            let bytes = vec![byte; token.len()];
            out.push(Damage::edit(format!("token of {name}"), token.start, bytes));
        }
    }
    // Make two tokens of the same length equal.
    for first in [10, 300, 5_000].into_iter().filter(|first| first + 1 < tokens.len()) {
        let mut later = tokens[first + 1..].iter();
        let twin = later.find(|token| token.len() == tokens[first].len());
        let Some(twin) = twin else { continue };
        let copy = layout.bytes[tokens[first].clone()].to_vec();
        out.push(Damage::edit("a token twice", twin.start, copy));
    }
    if layout.key("tokenizer.ggml.merges").is_none() {
        return;
    }
    let merges = layout.texts("tokenizer.ggml.merges");
    let merge = &merges[7];
    for byte in [0_u8, 0xff, b' ', b'x'] {
        let bytes = vec![byte; merge.len()];
        out.push(Damage::edit(format!("merge of {byte}"), merge.start, bytes));
    }
}

/// Renames the architecture: tensors are then missing or have the wrong shape.
pub(crate) fn architectures(layout: &Layout, out: &mut Vec<Damage>) {
    let own = layout.architecture();
    let names = "llama llama4 deci falcon grok gpt2 gptj gptneox mpt baichuan starcoder refact bert modern-bert nomic-bert \
        jina-bert-v2 bloom stablelm qwen qwen2 qwen2moe qwen2vl qwen3 qwen3moe qwen3next phi2 phi3 phimoe plamo plamo2 codeshell \
        orion internlm2 minicpm minicpm3 gemma gemma2 gemma3 gemma3n gemma4 gemma-embedding starcoder2 mamba mamba2 jamba \
        falcon-h1 xverse command-r cohere2 dbrx olmo olmo2 olmoe openelm arctic deepseek deepseek2 chatglm glm4 glm4moe \
        bitnet t5 t5encoder jais nemotron nemotron_h exaone exaone4 rwkv6 rwkv6qwen2 rwkv7 arwkv7 granite granitemoe \
        granitehybrid chameleon wavtokenizer-dec plm bailingmoe bailingmoe2 dots1 arcee afmoe ernie4_5 ernie4_5-moe \
        hunyuan-moe hunyuan-dense smollm3 gpt-oss lfm2 lfm2moe dream smallthinker llada llada-moe seed_oss grovemoe apertus \
        minimax-m2 cogvlm pangu-embedded mistral3 clip nonsense ";
    let others = names.split_whitespace().filter(|name| *name != own);
    for name in others.chain(["", "a/b", "%s%n"]) {
        let mut edits = Vec::new();
        for key in &layout.keys {
            if key.name == "general.architecture" {
                edits.push((key.value.start, key.value.len(), length_and(name)));
            } else if let Some(rest) = key.name.strip_prefix(&format!("{own}.")) {
                let renamed = length_and(&format!("{name}.{rest}"));
                edits.push((key.whole.start, 8 + key.name.len(), renamed));
            }
        }
        out.push(Damage {
            what: format!("architecture `{name}`"),
            edits,
            cut: None,
        });
    }
}

/// Adds a damage that sets these keys, replacing existing values.
fn set(layout: &Layout, out: &mut Vec<Damage>, keys: &[(&str, Vec<u8>)], what: String) {
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
    out.push(Damage { what, edits, cut: None });
}

fn length_and(text: &str) -> Vec<u8> {
    [&(text.len() as u64).to_le_bytes()[..], text.as_bytes()].concat()
}

fn number(value: u32) -> Vec<u8> {
    [4_u32.to_le_bytes(), value.to_le_bytes()].concat()
}

fn numbers(values: &[u32]) -> Vec<u8> {
    let bytes: Vec<u8> = values.iter().flat_map(|value| value.to_le_bytes()).collect();
    list(5, values.len(), &bytes)
}

/// Encodes a list of `length` elements of this type.
fn list(kind: u32, length: usize, values: &[u8]) -> Vec<u8> {
    let length = (length as u64).to_le_bytes();
    [&9_u32.to_le_bytes()[..], &kind.to_le_bytes(), &length, values].concat()
}

fn bytes_list(values: &[u8]) -> Vec<u8> {
    list(0, values.len(), values)
}

fn text(value: &str) -> Vec<u8> {
    [&8_u32.to_le_bytes()[..], &length_and(value)].concat()
}
