//! Checks that the tokenizer's lists are consistent.
//!
//! llama.cpp asserts that no token appears twice; a tokenizer that adds a begin-of-text token without having one ends the
//! process at the first prompt. The id of a special token beyond the vocabulary it replaces by its default, with a
//! warning, and types and scores beyond it it ignores: so does this check.

use std::collections::HashSet;

use super::cursor::{CursorError, corrupt, unsupported};
use super::metadata::{Element, Metadata, Value};

/// Sizes of a vocabulary.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Vocabulary {
    pub(super) tokens: u64,
    pub(super) merges: u64,
}

/// Checks the tokenizer and returns its sizes. A model without one passes: llama.cpp supports some.
pub(super) fn check_vocabulary(metadata: &Metadata<'_>) -> Result<Vocabulary, CursorError> {
    let tokens = count_tokens(metadata)?;
    check_token_list(metadata, "tokenizer.ggml.scores", &[Element::F32, Element::I32], tokens)?;
    check_token_list(metadata, "tokenizer.ggml.token_type", &[Element::I32], tokens)?;
    let merges = count_merges(metadata)?;
    check_character_map(metadata)?;
    for key in SPECIAL_TOKENS {
        check_special_token(metadata, key)?;
    }
    for (flag, key) in [
        ("tokenizer.ggml.add_bos_token", "tokenizer.ggml.bos_token_id"),
        ("tokenizer.ggml.add_eos_token", "tokenizer.ggml.eos_token_id"),
    ] {
        // Without the key llama.cpp uses the tokenizer's default id, which is below 200 for every type.
        let in_vocabulary = matches!(metadata.value(key), Some(Value::Integer(id)) if id < i128::from(tokens));
        if metadata.bool(flag) == Some(true) && !in_vocabulary && tokens < 200 {
            return corrupt(format!(
                "`{flag}` is set, but `{key}` is missing or beyond the {tokens} tokens"
            ));
        }
    }
    Ok(Vocabulary { tokens, merges })
}

fn count_tokens(metadata: &Metadata<'_>) -> Result<u64, CursorError> {
    const KEY: &str = "tokenizer.ggml.tokens";
    let tokens = match metadata.value(KEY) {
        None => return Ok(0),
        Some(Value::Array(tokens)) if tokens.element == Element::Text && tokens.count > 0 => tokens,
        Some(_) => return corrupt(format!("`{KEY}` is not a list of texts")),
    };
    let mut seen = HashSet::new();
    let mut empty = Vec::new();
    for (id, token) in tokens.texts().enumerate() {
        if token.is_empty() {
            empty.push(id);
        } else if token.len() > MAX_TOKEN_LENGTH {
            return corrupt(format!("token {id} is {} bytes long", token.len()));
        } else if !seen.insert(token) {
            return twice(id);
        }
    }
    // llama.cpp gives an empty token this name, which must then be unique as well.
    for id in empty {
        if seen.contains(format!("[EMPTY_{id}]").as_bytes()) {
            return twice(id);
        }
    }
    Ok(tokens.count)
}

/// Returns the error for a token that appears twice. The file is as its author made it, so another download is no remedy.
fn twice<T>(id: usize) -> Result<T, CursorError> {
    unsupported(format!(
        "token {id} appears twice in the vocabulary, a mistake of the program that made the file; take another file of \
         this model"
    ))
}

fn check_token_list(metadata: &Metadata<'_>, key: &str, elements: &[Element], tokens: u64) -> Result<(), CursorError> {
    let Some(value) = metadata.value(key) else {
        return Ok(());
    };
    let list = match value {
        Value::Array(list) if elements.contains(&list.element) => list,
        _ => return corrupt(format!("`{key}` is not a list of numbers of the right type")),
    };
    if list.count < tokens {
        return corrupt(format!("`{key}` has {} elements for {tokens} tokens", list.count));
    }
    // Tokenizers sort by score, and NaN has no order.
    if list.floats().any(f32::is_nan) {
        return corrupt(format!("an element of `{key}` is not a number"));
    }
    Ok(())
}

fn count_merges(metadata: &Metadata<'_>) -> Result<u64, CursorError> {
    const KEY: &str = "tokenizer.ggml.merges";
    match metadata.value(KEY) {
        None => Ok(0),
        Some(Value::Array(merges)) if merges.element == Element::Text || merges.count == 0 => Ok(merges.count),
        Some(_) => corrupt(format!("`{KEY}` is not a list of texts")),
    }
}

/// Checks the normaliser of a T5 tokenizer: a 32-bit length, a table of that many bytes, then texts.
fn check_character_map(metadata: &Metadata<'_>) -> Result<(), CursorError> {
    const KEY: &str = "tokenizer.ggml.precompiled_charsmap";
    let map = match metadata.value(KEY) {
        None => return Ok(()),
        Some(Value::Array(map)) if matches!(map.element, Element::I8 | Element::U8) => map,
        Some(_) => return corrupt(format!("`{KEY}` is not a list of bytes")),
    };
    let mut length = 0_u64;
    for (index, byte) in map.integers().take(4).enumerate() {
        length |= ((byte & 0xff) as u64) << (8 * index);
    }
    if map.count < 4 || !length.is_multiple_of(4) || length + 4 >= map.count {
        return corrupt(format!(
            "`{KEY}` says that its table has {length} bytes, of {} in all",
            map.count
        ));
    }
    Ok(())
}

/// Checks the type only: llama.cpp replaces an id beyond the vocabulary. Converters write 2³²-1, which is -1, for "none".
fn check_special_token(metadata: &Metadata<'_>, key: &str) -> Result<(), CursorError> {
    match metadata.value(key) {
        None => Ok(()),
        Some(Value::Integer(id)) if u32::try_from(id).is_ok() || i32::try_from(id).is_ok() => Ok(()),
        Some(Value::Integer(id)) => corrupt(format!("`{key}` is {id}, which is no token")),
        Some(_) => corrupt(format!("`{key}` is not a number")),
    }
}

/// The longest real tokens are a few hundred bytes: runs of spaces or dashes.
const MAX_TOKEN_LENGTH: usize = 65_535;

const SPECIAL_TOKENS: &[&str] = &[
    "tokenizer.ggml.bos_token_id",
    "tokenizer.ggml.eos_token_id",
    "tokenizer.ggml.eot_token_id",
    "tokenizer.ggml.eom_token_id",
    "tokenizer.ggml.unknown_token_id",
    "tokenizer.ggml.seperator_token_id",
    "tokenizer.ggml.padding_token_id",
    "tokenizer.ggml.cls_token_id",
    "tokenizer.ggml.mask_token_id",
    "tokenizer.ggml.fim_pre_token_id",
    "tokenizer.ggml.fim_suf_token_id",
    "tokenizer.ggml.fim_mid_token_id",
    "tokenizer.ggml.fim_pad_token_id",
    "tokenizer.ggml.fim_rep_token_id",
    "tokenizer.ggml.fim_sep_token_id",
];
