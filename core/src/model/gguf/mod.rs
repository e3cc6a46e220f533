//! The head of a GGUF file: metadata, tokenizer and tensor list, everything before the weights.
//!
//! llama.cpp reads GGUF too, but trusts it: some values end the process by an assertion, some make it allocate whatever
//! a count claims. An app must survive any downloaded file, so this parser runs first and llama.cpp only sees files
//! that passed.
//!
//! - Bytes in, no I/O: [`parse_head`] takes the beginning of a file, however it was fetched, and says how much more it wants.
//! - Every length, count, offset and product is checked against the file's size before it is used. Nothing is
//!   allocated by what a count claims, only by bytes that are there; the vocabulary is walked, never copied.
//! - Damage is [`ErrorKind::Corrupt`](crate::ErrorKind); a sound file that this build can't use (another version, a
//!   part of a split model, an unknown tensor type) is [`ErrorKind::Unsupported`](crate::ErrorKind).
//!
//! The format: <https://github.com/ggml-org/ggml/blob/master/docs/gguf.md>. Where llama.cpp is stricter than the text
//! (tensors without gaps, unique tokens, at most 512 blocks), so is this.

use std::fs::File;
use std::io::Read;
use std::path::Path;

use crate::chat::Recommended;
use crate::error::{Error, Result};

mod checks;
mod cursor;
mod metadata;
mod quantization;
mod tensors;
mod vocabulary;

pub(crate) use cursor::MAX_HEAD_BYTES;
use cursor::{Cursor, CursorError, corrupt, unsupported};
use metadata::Metadata;
use tensors::Tensors;

/// Result of [`parse_head`].
#[derive(Debug, Clone, PartialEq)]
pub enum ParseOutcome {
    /// The whole head was there, and it is sound.
    Complete(Box<Head>),
    /// The head goes on behind these bytes.
    Incomplete {
        /// How many bytes from the start of the file are needed to come further: more than were given, and never more
        /// than the file has. The next call may ask again.
        at_least: u64,
    },
}

/// What the library needs to know from the head of a model file.
#[derive(Debug, Clone, PartialEq)]
pub struct Head {
    /// The GGUF version, 2 or 3.
    pub version: u32,
    /// `general.architecture`, such as `llama` or `qwen2`.
    pub architecture: String,
    /// `general.name`; empty where the file has none.
    pub name: String,
    /// The longest context that the model was trained with, in tokens.
    pub context_length: u32,
    /// Transformer blocks (layers).
    pub block_count: u32,
    /// The width of the model.
    pub embedding_length: u32,
    /// How the weights are stored, such as `Q4_K_M`: from `general.file_type`, else the type that holds most bytes.
    pub quantization: String,
    /// Numbers in all tensors together.
    pub parameters: u64,
    /// Tensors in the file.
    pub tensor_count: u64,
    /// Tokens in the vocabulary.
    pub token_count: u64,
    /// Merges of a byte-pair tokenizer; 0 for the other kinds.
    pub merge_count: u64,
    /// Whether the file brings a chat template.
    pub has_chat_template: bool,
    /// How its maker recommends to sample it, where the file says so.
    pub recommended: Recommended,
    /// Where the weights begin, in bytes from the start of the file. The head is everything before.
    pub data_offset: u64,
    /// Where the last tensor ends: a file shorter than this is cut.
    pub needed_size: u64,
}

/// Reads the head of a GGUF file from `bytes`, the beginning of a file of `file_size` bytes.
///
/// # Errors
/// `Corrupt` for a file that is not GGUF, is damaged, or describes a model that can't be. `Unsupported` for a sound
/// file that this build can't run. The text names the key or tensor, not the file: the caller knows that better.
pub fn parse_head(bytes: &[u8], file_size: u64) -> Result<ParseOutcome> {
    match read_head(bytes, file_size) {
        Ok(head) => Ok(ParseOutcome::Complete(Box::new(head))),
        Err(CursorError::Incomplete { at_least }) => Ok(ParseOutcome::Incomplete { at_least }),
        Err(CursorError::Failed(error)) => Err(error),
    }
}

impl Head {
    /// Reads the head of the file at `path`, and no more of the file than that.
    ///
    /// # Errors
    /// Those of [`parse_head`], with the path before them; `Storage` if the file can't be read.
    pub fn read_file(path: &Path) -> Result<Self> {
        let failed = |cause: std::io::Error| Error::file(path, "read", &cause);
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
                // Doubling keeps the number of attempts small; the limit on heads ends it.
                Ok(ParseOutcome::Incomplete { at_least }) => wanted = at_least.max(2 * wanted_now),
                Err(error) => {
                    return Err(Error::new(
                        error.kind(),
                        format!("could not use `{}`: {error}", path.display()),
                    ));
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
    // Before the tensors: a file of another kind is refused by its first bytes.
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
        block_count: model.block_count,
        embedding_length: model.embedding_length,
        quantization: tensors.quantization_label(metadata.integer("general.file_type")),
        parameters: tensors.parameters,
        tensor_count,
        token_count: vocabulary.tokens,
        merge_count: vocabulary.merges,
        has_chat_template: metadata.text("tokenizer.chat_template").is_some(),
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
        1 => unsupported("GGUF version 1 is no longer read by anyone; take a newer file of the same model"),
        version if version & 0xffff == 0 => {
            unsupported("it was written for big-endian machines; take the usual, little-endian file")
        }
        version => unsupported(format!(
            "GGUF version {version} is newer than this build knows (3); update the app"
        )),
    }
}

/// Bytes that [`Head::read_file`] reads first: the whole head of models with up to 100,000 tokens.
const FIRST_READ_BYTES: u64 = 4 << 20;
/// Models have some dozens of keys; the hub's own reader allows as many as this.
const MAX_KEYS: u64 = 100_000;
/// The largest models have about 2,000 tensors.
const MAX_TENSORS: u64 = 100_000;

#[cfg(test)]
mod tests;
