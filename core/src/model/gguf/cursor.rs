//! Reads little-endian values from the start of a file that may not be complete yet.
//!
//! Reading stops if more bytes of the file are needed ([`CursorError::Incomplete`]), if the file itself ends (damage),
//! or if the head exceeds its limit (damage). [`Cursor::require`] distinguishes the three.

use crate::error::Error;

/// Reason why reading stopped before the end of the head.
#[derive(Debug)]
pub(super) enum CursorError {
    /// More bytes of the file are needed.
    Incomplete {
        /// Bytes needed, from the start of the file.
        at_least: u64,
    },
    /// The file is damaged or unsupported.
    Failed(Error),
}

/// A reading position in the start of a file.
#[derive(Debug, Clone)]
pub(super) struct Cursor<'a> {
    bytes: &'a [u8],
    at: usize,
    file_size: u64,
}

impl<'a> Cursor<'a> {
    pub(super) fn new(bytes: &'a [u8], file_size: u64) -> Self {
        // A caller may pass more bytes than the file should have; ignore those beyond its end.
        let end = usize::try_from(file_size).map_or(bytes.len(), |size| size.min(bytes.len()));
        Self {
            bytes: &bytes[..end],
            at: 0,
            file_size,
        }
    }

    /// Returns the position in bytes from the start of the file.
    pub(super) fn position(&self) -> u64 {
        self.at as u64
    }

    /// Returns the size of the whole file in bytes.
    pub(super) fn file_size(&self) -> u64 {
        self.file_size
    }

    /// Checks that `length` more bytes are available, without consuming them.
    pub(super) fn require(&self, length: u64) -> Result<(), CursorError> {
        let Some(end) = self.position().checked_add(length).filter(|end| *end <= self.file_size) else {
            return corrupt(format!("it ends at byte {} in the middle of its head", self.file_size));
        };
        if end > MAX_HEAD_BYTES {
            return corrupt(format!("its head claims to be over {} bytes long", MAX_HEAD_BYTES));
        }
        if end > self.bytes.len() as u64 {
            return Err(CursorError::Incomplete { at_least: end });
        }
        Ok(())
    }

    /// Returns the next `length` bytes.
    pub(super) fn take(&mut self, length: u64) -> Result<&'a [u8], CursorError> {
        self.require(length)?;
        // In bounds, and fits usize: `require` compared it with the length of a slice.
        let taken = &self.bytes[self.at..][..length as usize];
        self.at += taken.len();
        Ok(taken)
    }

    pub(super) fn u32(&mut self) -> Result<u32, CursorError> {
        Ok(u32::from_le_bytes(self.array()?))
    }

    pub(super) fn u64(&mut self) -> Result<u64, CursorError> {
        Ok(u64::from_le_bytes(self.array()?))
    }

    /// Reads a length of at most `limit`, and returns that many bytes.
    pub(super) fn string(&mut self, limit: u64) -> Result<&'a [u8], CursorError> {
        let length = self.u64()?;
        if length > limit {
            return corrupt(format!(
                "a text in its head claims {length} bytes, and {limit} are allowed"
            ));
        }
        self.take(length)
    }

    /// Reads a count and checks it against a limit. `what` names the counted items in the error.
    pub(super) fn count(&mut self, what: &str, limit: u64) -> Result<u64, CursorError> {
        let count = self.u64()?;
        if count > limit {
            return corrupt(format!("it claims {count} {what}, and {limit} are allowed"));
        }
        Ok(count)
    }

    fn array<const N: usize>(&mut self) -> Result<[u8; N], CursorError> {
        let mut array = [0; N];
        array.copy_from_slice(self.take(N as u64)?);
        Ok(array)
    }
}

impl From<Error> for CursorError {
    fn from(error: Error) -> Self {
        Self::Failed(error)
    }
}

/// Returns the error for a damaged file, with the remedy.
pub(super) fn corrupt<T>(what: impl AsRef<str>) -> Result<T, CursorError> {
    Err(CursorError::Failed(Error::corrupt(format!(
        "the GGUF file is damaged: {}; download it again, or take another file",
        what.as_ref()
    ))))
}

/// Returns the error for a valid file that cannot be used; `what` names the remedy.
pub(super) fn unsupported<T>(what: impl AsRef<str>) -> Result<T, CursorError> {
    Err(CursorError::Failed(Error::unsupported(format!(
        "the GGUF file can't be used: {}",
        what.as_ref()
    ))))
}

/// Sanitizes text from a file for an error message: at most 64 bytes, no control characters.
pub(super) fn sanitize(bytes: &[u8]) -> String {
    let text = String::from_utf8_lossy(&bytes[..bytes.len().min(64)]);
    text.chars()
        .map(|c| if c.is_control() { '\u{fffd}' } else { c })
        .collect()
}

/// Maximum length of a head. A vocabulary of 262,144 tokens with its merges takes 16 MB.
pub(crate) const MAX_HEAD_BYTES: u64 = 64 << 20;
