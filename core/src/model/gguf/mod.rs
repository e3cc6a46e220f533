//! Parses the head of a GGUF file: metadata, tokenizer and tensor list, everything before the weights.
//!
//! llama.cpp trusts the files that it loads: some values end the process by an assertion, others make it allocate
//! memory for any declared count. An app must survive any downloaded file, so this parser runs first, and llama.cpp
//! gets only files that passed.
//!
//! - No I/O: [`parse_head`] takes the start of a file and returns how many more bytes it needs.
//! - Every length, count, offset and product is checked against the file's size before it is used. Allocations depend
//!   on available bytes, never on a declared count; the vocabulary is not copied.
//! - Damage is [`ErrorKind::Corrupt`](crate::ErrorKind); a valid file that this build cannot use (another version, a
//!   part of a split model, an unknown tensor type) is [`ErrorKind::Unsupported`](crate::ErrorKind).
//!
//! The format: <https://github.com/ggml-org/ggml/blob/master/docs/gguf.md>. Where llama.cpp is stricter (tensors
//! without gaps, unique tokens, at most 512 blocks), so is this parser.

use std::fs::File;
use std::io::Read;
use std::path::Path;

use crate::chat::Recommended;
use crate::error::{Error, Result};

mod checks;
mod cursor;
mod metadata;
mod quantization;
mod template;
mod tensors;
mod vocabulary;

pub(crate) use cursor::MAX_HEAD_BYTES;
use cursor::{Cursor, CursorError, corrupt, unsupported};
use metadata::Metadata;
use tensors::Tensors;

/// Result of [`parse_head`].
#[derive(Debug, Clone, PartialEq)]
pub enum ParseOutcome {
    /// The head is complete and valid.
    Complete(Box<Head>),
    /// More bytes are needed.
    Incomplete {
        /// Bytes needed for the next step, from the start of the file: more than were given, and at most the file's
        /// size. The next call may need more again.
        at_least: u64,
    },
}

/// The contents of a model file's head that the library needs.
#[derive(Debug, Clone, PartialEq)]
pub struct Head {
    /// The GGUF version, 2 or 3.
    pub version: u32,
    /// `general.architecture`, such as `llama` or `qwen2`.
    pub architecture: String,
    /// `general.name`; empty if missing.
    pub name: String,
    /// Context that the model was trained with, in tokens.
    pub context_length: u32,
    /// The context size in tokens up to which llama.cpp rotates keys by the model's short factors, and beyond it by its long
    /// ones. Unset: by the same factors in every context.
    pub short_rope_context: Option<u32>,
    /// Transformer blocks (layers).
    pub block_count: u32,
    /// Width of the model.
    pub embedding_length: u32,
    /// Quantization, such as `Q4_K_M`: from `general.file_type`, else the tensor type with the most bytes.
    pub quantization: String,
    /// Number of values in all tensors.
    pub parameters: u64,
    /// Tensors in the file.
    pub tensor_count: u64,
    /// Tokens in the vocabulary.
    pub token_count: u64,
    /// Merges of a byte-pair tokenizer; 0 for the other kinds.
    pub merge_count: u64,
    /// Whether the file contains a chat template.
    pub has_chat_template: bool,
    /// Whether a chat template of the file uses the tools of a request.
    pub renders_tools: bool,
    /// Sampling values that the file recommends.
    pub recommended: Recommended,
    /// Offset of the weights in bytes, which is the length of the head.
    pub data_offset: u64,
    /// End of the last tensor in bytes: a shorter file is truncated.
    pub needed_size: u64,
}

/// Parses the head of a GGUF file from `bytes`, the start of a file of `file_size` bytes.
///
/// # Errors
/// `Corrupt` for a file that is not GGUF, is damaged, or describes an impossible model. `Unsupported` for a valid file
/// that this build cannot run. The text names the key or tensor; the caller adds the file.
pub fn parse_head(bytes: &[u8], file_size: u64) -> Result<ParseOutcome> {
    match read_head(bytes, file_size) {
        Ok(head) => Ok(ParseOutcome::Complete(Box::new(head))),
        Err(CursorError::Incomplete { at_least }) => Ok(ParseOutcome::Incomplete { at_least }),
        Err(CursorError::Failed(error)) => Err(error),
    }
}

impl Head {
    /// Reads and parses the head of the file at `path`.
    ///
    /// # Errors
    /// Those of [`parse_head`], with the path; `Storage` if the file cannot be read.
    pub fn read_file(path: &Path) -> Result<Self> {
        let failed = |cause: std::io::Error| Error::file(path, "read", &cause);
        // Before it is opened: a pipe without a writer would block for ever.
        if !path.metadata().map_err(failed)?.is_file() {
            return Err(Error::invalid_request(format!("`{}` is not a file", path.display())));
        }
        let mut file = File::open(path).map_err(failed)?;
        let file_size = file.metadata().map_err(failed)?.len();
        let mut bytes = Vec::new();
        let mut wanted = FIRST_READ_BYTES;
        loop {
            let wanted_now = wanted.min(file_size);
            let missing = wanted_now.saturating_sub(bytes.len() as u64);
            let got = file.by_ref().take(missing).read_to_end(&mut bytes).map_err(failed)?;
            if (got as u64) < missing {
                return Err(Error::storage(format!(
                    "could not read `{}`: it became shorter meanwhile; try again",
                    path.display()
                )));
            }
            match parse_head(&bytes, file_size) {
                Ok(ParseOutcome::Complete(head)) => return Ok(*head),
                // Doubling keeps the number of attempts small; `MAX_HEAD_BYTES` ends it.
                Ok(ParseOutcome::Incomplete { at_least }) => wanted = at_least.max(2 * wanted_now),
                Err(error) => {
                    let text = format!("could not use `{}`: {error}", path.display());
                    return Err(error.with_detail(text));
                }
            }
        }
    }
}

fn read_head(bytes: &[u8], file_size: u64) -> Result<Head, CursorError> {
    let mut cursor = Cursor::new(bytes, file_size);
    let version = read_version(&mut cursor)?;
    let tensor_count = cursor.count("tensors", MAX_TENSORS)?;
    let key_count = cursor.count("keys", MAX_KEYS)?;
    let metadata = Metadata::from_cursor(&mut cursor, key_count)?;
    // Before the tensors, so that a file of another kind is rejected early.
    let model = checks::check_hyperparameters(&metadata)?;
    let alignment = metadata.alignment()?;
    let tensors = Tensors::from_cursor(&mut cursor, tensor_count, alignment)?;
    model.check_tensors(&tensors)?;
    let vocabulary = vocabulary::check_vocabulary(&metadata)?;

    Ok(Head {
        version,
        architecture: model.architecture.to_owned(),
        name: metadata.text("general.name").unwrap_or_default(),
        context_length: model.context_length,
        short_rope_context: model.short_rope_context(&metadata, &tensors),
        block_count: model.block_count,
        embedding_length: model.embedding_length,
        quantization: tensors.quantization_label(metadata.integer("general.file_type")),
        parameters: tensors.parameters,
        tensor_count,
        token_count: vocabulary.tokens,
        merge_count: vocabulary.merges,
        has_chat_template: metadata.text("tokenizer.chat_template").is_some(),
        renders_tools: TEMPLATE_KEYS
            .iter()
            .filter_map(|key| metadata.text(key))
            .any(|template| template::uses_variable(&template, "tools")),
        recommended: Recommended {
            temperature: metadata.number("general.sampling.temp"),
            top_p: metadata.number("general.sampling.top_p"),
        },
        data_offset: tensors.data_offset,
        needed_size: tensors.end,
    })
}

fn read_version(cursor: &mut Cursor<'_>) -> Result<u32, CursorError> {
    let magic = cursor.take(4)?;
    if magic != b"GGUF" {
        return corrupt("it does not begin with `GGUF`, so it is not a model file of this kind");
    }
    match cursor.u32()? {
        version @ (2 | 3) => Ok(version),
        0 => corrupt("its GGUF version is 0"),
        1 => unsupported("GGUF version 1 is no longer supported; take a newer file of the same model"),
        version if version & 0xffff == 0 => {
            unsupported("it was written for big-endian machines; take the usual, little-endian file")
        }
        version => unsupported(format!(
            "GGUF version {version} is newer than this build knows (3); update the app"
        )),
    }
}

/// The keys of the chat templates that llama.cpp uses: the usual one, and the one for requests with tools.
pub(crate) const TEMPLATE_KEYS: [&str; 2] = ["tokenizer.chat_template", "tokenizer.chat_template.tool_use"];
/// Bytes that [`Head::read_file`] reads first: the whole head of models with up to 100,000 tokens.
const FIRST_READ_BYTES: u64 = 4 << 20;
/// Models have some dozens of keys; the hub's own reader allows as many as this.
const MAX_KEYS: u64 = 100_000;
/// The largest models have about 2,000 tensors.
const MAX_TENSORS: u64 = 100_000;

#[cfg(test)]
mod tests;
