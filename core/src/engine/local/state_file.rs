//! The format of a stored state: the KV cache of one conversation, as a file.
//!
//! ```text
//! magic, version                             12 bytes; numbers are little-endian
//! archive, conversation, model, parameters   to whom it belongs, and what can use it
//! counts and lengths                         of the tokens, the cache, the checkpoints
//! tokens                                     4 bytes each
//! SHA-256 of all above
//! cache, checkpoints                         as llama.cpp wrote them
//! SHA-256 of the first one and of them
//! ```
//!
//! The first part is read alone to choose a file. A file is used only if its length is what the first part says, and both
//! hashes are right; nothing is allocated before the length of the file covers it. The hashes find damage, not forgery.

use std::io::{self, ErrorKind, Read, Write};

use nearside_llama::Token;
use sha2::{Digest, Sha256};

/// What a stored state is of.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct StateHeader {
    /// The file of conversations that has the conversation.
    pub(super) archive: u32,
    pub(super) conversation: u64,
    pub(super) key: StateKey,
    /// The tokens that the cache holds.
    pub(super) tokens: Vec<Token>,
    /// Bytes of the cache.
    pub(super) cache_bytes: u64,
    /// Shortest first.
    pub(super) checkpoints: Vec<CheckpointEntry>,
}

/// Model and parameters that a state is for: no other context can use it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct StateKey {
    /// Hash of what identifies the model's file.
    pub(super) model: [u8; HASH_BYTES],
    /// Hash of llama.cpp's version and of the parameters that shape the cache.
    pub(super) params: [u8; HASH_BYTES],
}

/// Length of one checkpoint.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct CheckpointEntry {
    /// The number of tokens up to it.
    pub(super) tokens: u32,
    pub(super) bytes: u64,
}

/// The content of a stored state.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct StateBody {
    pub(super) cache: Vec<u8>,
    pub(super) checkpoints: Vec<Vec<u8>>,
}

/// Why a state was not read.
#[derive(Debug)]
pub(super) enum StateReadError {
    /// It is damaged, incomplete, or none of this version: it is of no use any more.
    Invalid,
    /// The system did not let it be read now, or has too little memory for it.
    Unreadable,
    /// The job that needed it was stopped.
    Stopped,
}

impl StateHeader {
    /// Returns the bytes of the whole file; `None` if they exceed a `u64`.
    pub(super) fn file_bytes(&self) -> Option<u64> {
        let listed = self.checkpoints.len() as u64 * CHECKPOINT_BYTES + self.tokens.len() as u64 * TOKEN_BYTES;
        let hashes = 2 * HASH_BYTES as u64;
        self.body_bytes()?.checked_add(FIXED_BYTES as u64 + listed + hashes)
    }

    /// Returns the bytes of cache and checkpoints.
    pub(super) fn body_bytes(&self) -> Option<u64> {
        let mut each = self.checkpoints.iter().map(|checkpoint| checkpoint.bytes);
        each.try_fold(self.cache_bytes, u64::checked_add)
    }

    /// Reads the first part of a file of this length.
    pub(super) fn read_header(file: &mut impl Read, length: u64) -> Result<Self, StateReadError> {
        let mut fixed = [0; FIXED_BYTES];
        file.read_exact(&mut fixed)?;
        let mut fields = Fields(&fixed);
        if fields.take() != Some(MAGIC) || fields.number() != Some(VERSION) {
            return Err(StateReadError::Invalid);
        }
        let header = (|| {
            let archive = fields.number()?;
            let conversation = u64::from_le_bytes(fields.take()?);
            let key = StateKey {
                model: fields.take()?,
                params: fields.take()?,
            };
            let tokens = fields.number()?;
            let checkpoints = fields.number()?;
            let cache_bytes = u64::from_le_bytes(fields.take()?);
            Some((archive, conversation, key, tokens, checkpoints, cache_bytes))
        })();
        let (archive, conversation, key, tokens, checkpoints, cache_bytes) = header.ok_or(StateReadError::Invalid)?;
        let listed = u64::from(checkpoints) * CHECKPOINT_BYTES + u64::from(tokens) * TOKEN_BYTES;
        if listed.saturating_add(cache_bytes) > length {
            return Err(StateReadError::Invalid);
        }
        let mut listed = zeroed(listed)?;
        file.read_exact(&mut listed)?;
        let mut hash = [0; HASH_BYTES];
        file.read_exact(&mut hash)?;
        if hash != first_hash(&fixed, &listed) {
            return Err(StateReadError::Invalid);
        }
        let mut fields = Fields(&listed);
        let checkpoints = (0..checkpoints).map(|_| {
            Some(CheckpointEntry {
                tokens: fields.number()?,
                bytes: u64::from_le_bytes(fields.take()?),
            })
        });
        let checkpoints: Option<Vec<_>> = checkpoints.collect();
        let tokens: Option<Vec<_>> = (0..tokens)
            .map(|_| Some(Token::from_le_bytes(fields.take()?)))
            .collect();
        let header = Self {
            archive,
            conversation,
            key,
            tokens: tokens.ok_or(StateReadError::Invalid)?,
            cache_bytes,
            checkpoints: checkpoints.ok_or(StateReadError::Invalid)?,
        };
        let is_within = |checkpoint: &CheckpointEntry| checkpoint.tokens as usize <= header.tokens.len();
        match header.file_bytes() == Some(length) && header.checkpoints.iter().all(is_within) {
            true => Ok(header),
            false => Err(StateReadError::Invalid),
        }
    }

    /// Writes a whole file. The slices have the lengths that the header states. Fails as `Interrupted` once `is_stopped` returns
    /// true, within some milliseconds.
    pub(super) fn write(
        &self,
        file: &mut impl Write,
        cache: &[u8],
        checkpoints: &[&[u8]],
        is_stopped: &dyn Fn() -> bool,
    ) -> io::Result<()> {
        let (fixed, listed) = self.encode();
        let first = first_hash(&fixed, &listed);
        for part in [&fixed[..], &listed, &first] {
            file.write_all(part)?;
        }
        let mut hash = Sha256::new_with_prefix(first);
        for part in std::iter::once(&cache).chain(checkpoints) {
            for block in part.chunks(BLOCK_BYTES) {
                if is_stopped() {
                    return Err(ErrorKind::Interrupted.into());
                }
                hash.update(block);
                file.write_all(block)?;
            }
        }
        file.write_all(&hash.finalize())
    }

    /// Reads the content of a file whose first part is this one, from its beginning. Stops early once `is_stopped` returns
    /// true, within some milliseconds.
    pub(super) fn read_body(
        &self,
        file: &mut impl Read,
        length: u64,
        is_stopped: &dyn Fn() -> bool,
    ) -> Result<StateBody, StateReadError> {
        // The name may belong to another file by now.
        if Self::read_header(file, length)? != *self {
            return Err(StateReadError::Invalid);
        }
        let (fixed, listed) = self.encode();
        let mut hash = Sha256::new_with_prefix(first_hash(&fixed, &listed));
        let mut part = |bytes: u64| {
            let mut content = zeroed(bytes)?;
            for block in content.chunks_mut(BLOCK_BYTES) {
                if is_stopped() {
                    return Err(StateReadError::Stopped);
                }
                file.read_exact(block)?;
                hash.update(block);
            }
            Ok(content)
        };
        let cache = part(self.cache_bytes)?;
        let checkpoints: Result<_, _> = self.checkpoints.iter().map(|one| part(one.bytes)).collect();
        let body = StateBody {
            cache,
            checkpoints: checkpoints?,
        };
        let mut last = [0; HASH_BYTES];
        file.read_exact(&mut last)?;
        match last == *hash.finalize() {
            true => Ok(body),
            false => Err(StateReadError::Invalid),
        }
    }

    fn encode(&self) -> (Vec<u8>, Vec<u8>) {
        let fixed = [
            &MAGIC[..],
            &VERSION.to_le_bytes(),
            &self.archive.to_le_bytes(),
            &self.conversation.to_le_bytes(),
            &self.key.model,
            &self.key.params,
            &(self.tokens.len() as u32).to_le_bytes(),
            &(self.checkpoints.len() as u32).to_le_bytes(),
            &self.cache_bytes.to_le_bytes(),
        ];
        let mut listed = Vec::new();
        for checkpoint in &self.checkpoints {
            listed.extend_from_slice(&checkpoint.tokens.to_le_bytes());
            listed.extend_from_slice(&checkpoint.bytes.to_le_bytes());
        }
        listed.extend(self.tokens.iter().flat_map(|token| token.to_le_bytes()));
        (fixed.concat(), listed)
    }
}

/// Bytes that are not parsed yet.
struct Fields<'a>(&'a [u8]);

impl Fields<'_> {
    fn take<const N: usize>(&mut self) -> Option<[u8; N]> {
        let (field, rest) = self.0.split_first_chunk()?;
        self.0 = rest;
        Some(*field)
    }

    fn number(&mut self) -> Option<u32> {
        self.take().map(u32::from_le_bytes)
    }
}

impl From<io::Error> for StateReadError {
    fn from(cause: io::Error) -> Self {
        match cause.kind() {
            ErrorKind::UnexpectedEof => Self::Invalid,
            _ => Self::Unreadable,
        }
    }
}

/// Returns what identifies a model whose SHA-256 is known.
pub(super) fn hash_known(sha256: &str) -> [u8; HASH_BYTES] {
    Sha256::digest(format!("sha256 {sha256}")).into()
}

fn first_hash(fixed: &[u8], listed: &[u8]) -> [u8; HASH_BYTES] {
    Sha256::new_with_prefix(fixed).chain_update(listed).finalize().into()
}

/// Allocates a buffer. A phone may refuse this much memory, which must not end the process.
fn zeroed(bytes: u64) -> Result<Vec<u8>, StateReadError> {
    let bytes = usize::try_from(bytes).map_err(|_| StateReadError::Invalid)?;
    let mut buffer = Vec::new();
    buffer
        .try_reserve_exact(bytes)
        .map_err(|_| StateReadError::Unreadable)?;
    buffer.resize(bytes, 0);
    Ok(buffer)
}

pub(super) const HASH_BYTES: usize = 32;
pub(super) const MAGIC: [u8; 8] = *b"nearside";
const VERSION: u32 = 1;
const FIXED_BYTES: usize = 8 + 4 + 4 + 8 + 2 * HASH_BYTES + 4 + 4 + 8;
const TOKEN_BYTES: u64 = size_of::<Token>() as u64;
const CHECKPOINT_BYTES: u64 = 12;
/// Bytes between two looks at the stop signal: hashed in at most four milliseconds.
const BLOCK_BYTES: usize = 1 << 20;

#[cfg(test)]
mod tests {
    use super::*;

    fn example() -> (StateHeader, StateBody, Vec<u8>) {
        let body = StateBody {
            cache: (0..200).collect(),
            checkpoints: vec![vec![7; 30], vec![9; 50]],
        };
        let header = StateHeader {
            archive: 1,
            conversation: 2,
            key: StateKey {
                model: [3; HASH_BYTES],
                params: [4; HASH_BYTES],
            },
            tokens: vec![5, 6, 7, 8],
            cache_bytes: 200,
            checkpoints: vec![
                CheckpointEntry { tokens: 2, bytes: 30 },
                CheckpointEntry { tokens: 4, bytes: 50 },
            ],
        };
        let mut bytes = Vec::new();
        let parts: Vec<_> = body.checkpoints.iter().map(Vec::as_slice).collect();
        header
            .write(&mut bytes, &body.cache, &parts, &|| false)
            .expect("written");
        assert_eq!(header.file_bytes(), Some(bytes.len() as u64));
        (header, body, bytes)
    }

    fn read_whole(header: &StateHeader, bytes: &[u8]) -> Result<StateBody, StateReadError> {
        header.read_body(&mut &bytes[..], bytes.len() as u64, &|| false)
    }

    #[test]
    fn a_state_is_read_as_it_was_written() {
        let (header, body, bytes) = example();
        let read = StateHeader::read_header(&mut &bytes[..], bytes.len() as u64).expect("valid");
        assert_eq!(read, header);
        assert_eq!(read_whole(&header, &bytes).expect("valid"), body);
    }

    /// Every bit of every byte: magic, lengths, tokens, hashes, cache, checkpoints.
    #[test]
    fn a_state_with_any_bit_changed_is_invalid() {
        let (header, _, bytes) = example();
        for at in 0..bytes.len() {
            for bit in 0..8 {
                let mut damaged = bytes.clone();
                damaged[at] ^= 1 << bit;
                let read = read_whole(&header, &damaged);
                assert!(matches!(read, Err(StateReadError::Invalid)), "{at}: {read:?}");
            }
        }
    }

    #[test]
    fn a_state_that_is_cut_or_goes_on_is_invalid() {
        let (header, _, bytes) = example();
        for length in 0..bytes.len() {
            let cut = &bytes[..length];
            let read = StateHeader::read_header(&mut &cut[..], length as u64);
            assert!(matches!(read, Err(StateReadError::Invalid)), "{length}: {read:?}");
            let read = read_whole(&header, cut);
            assert!(matches!(read, Err(StateReadError::Invalid)), "{length}: {read:?}");
        }
        let longer = [&bytes[..], &[0]].concat();
        assert!(StateHeader::read_header(&mut &longer[..], longer.len() as u64).is_err());
    }

    /// The lengths come before the hash that confirms them: they must not be believed.
    #[test]
    fn no_length_makes_the_reader_allocate_more_than_the_file_has() {
        let (_, _, bytes) = example();
        for at in FIXED_BYTES - 16..FIXED_BYTES {
            let mut forged = bytes.clone();
            forged[at] = 0xff;
            let read = StateHeader::read_header(&mut &forged[..], forged.len() as u64);
            assert!(matches!(read, Err(StateReadError::Invalid)), "{at}: {read:?}");
        }
        // With a hash that is right.
        let (mut header, body, _) = example();
        header.checkpoints[0].bytes = u64::MAX;
        let mut forged = Vec::new();
        header.write(&mut forged, &body.cache, &[], &|| false).expect("written");
        assert!(StateHeader::read_header(&mut &forged[..], forged.len() as u64).is_err());
        header.cache_bytes = u64::MAX - 1;
        assert_eq!(header.file_bytes(), None);
    }

    #[test]
    fn a_stop_ends_the_reading() {
        let (header, _, bytes) = example();
        let read = header.read_body(&mut &bytes[..], bytes.len() as u64, &|| true);
        assert!(matches!(read, Err(StateReadError::Stopped)), "{read:?}");
    }
}
