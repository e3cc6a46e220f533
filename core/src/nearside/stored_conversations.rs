//! The file of conversations, opened on first use; it tells the stored states which conversations there are.

use std::path::PathBuf;
use std::sync::{Arc, Mutex};

use crate::clock::Clock;
use crate::engine::local::ConversationIndex;
use crate::error::{ErrorKind, Result};
use crate::state::Archive;
use crate::sync::lock;

/// The stored conversations of one data directory.
#[derive(Debug)]
pub(super) struct StoredConversations {
    /// Unset: the conversations are in memory, and end with the library.
    directory: Option<PathBuf>,
    clock: Clock,
    archive: Mutex<Option<Arc<Archive>>>,
}

impl StoredConversations {
    /// Describes the file in this directory, or conversations in memory; opens nothing.
    pub(super) fn new(directory: Option<PathBuf>, clock: Clock) -> Self {
        Self {
            directory,
            clock,
            archive: Mutex::default(),
        }
    }

    /// Returns the archive, and whether this call opened it. Opening erases conversations that were deleted more than an hour
    /// before.
    pub(super) fn get(&self) -> Result<(Arc<Archive>, bool)> {
        let mut open = lock(&self.archive);
        if let Some(archive) = &*open {
            return Ok((Arc::clone(archive), false));
        }
        let archive = match &self.directory {
            Some(directory) => Archive::open_in(directory)?,
            None => Archive::in_memory()?,
        };
        let archive = Arc::new(archive.with_clock(self.clock.clone()));
        match archive.purge(UNDO_MS) {
            // Another process reads or writes: a later start, or the end of this one, does it.
            Err(error) if error.kind() == ErrorKind::Busy => tracing::debug!("deleted conversations are erased later"),
            purged => purged?,
        }
        Ok((Arc::clone(open.insert(archive)), true))
    }

    /// Returns the archive if it is open.
    pub(super) fn opened(&self) -> Option<Arc<Archive>> {
        lock(&self.archive).clone()
    }
}

impl ConversationIndex for StoredConversations {
    fn identity(&self) -> Option<u32> {
        let (archive, _) = self.get().ok()?;
        archive.identity().ok()?
    }

    fn has_conversation(&self, conversation: u64) -> Option<bool> {
        let (archive, _) = self.get().ok()?;
        archive.has_conversation(conversation).ok()
    }
}

/// How long a deletion can be undone by an app that does not purge.
const UNDO_MS: i64 = 60 * 60 * 1000;
