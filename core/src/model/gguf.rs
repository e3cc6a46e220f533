//! The head of a GGUF file: the shape of its reader, until the reader is here.

use std::path::Path;

use crate::error::{Error, Result};

/// What [`parse`] made of the bytes.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Parsed {
    /// The whole head was there.
    Whole(Box<Head>),
    /// The head goes on behind these bytes.
    More {
        /// Bytes from the start of the file that are needed to come further.
        at_least: u64,
    },
}

/// What the library needs to know from the head of a model file.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Head {
    /// Such as `llama`.
    pub architecture: String,
    /// In tokens.
    pub context_length: u32,
    /// Such as `Q4_K_M`.
    pub quantization: String,
    /// Where the weights begin, in bytes.
    pub data_offset: u64,
}

/// Reads the head from the beginning of a file.
///
/// # Errors
/// Always, for now.
pub fn parse(_bytes: &[u8], _file_size: u64) -> Result<Parsed> {
    Err(Error::unsupported("this build cannot read GGUF yet"))
}

impl Head {
    /// Reads the head of the file at `path`.
    ///
    /// # Errors
    /// Always, for now.
    pub fn read_file(_path: &Path) -> Result<Self> {
        Err(Error::unsupported("this build cannot read GGUF yet"))
    }
}
