//! Stored states: the KV caches of conversations, in files, so that the first answer after a restart does not read its
//! conversation again.
//!
//! A state is of a conversation that is in the file of conversations at the moment of writing, and of no other: it is
//! deleted with it. The files are their owner's alone. All together take at most a limit; the least recently used go first.
//! A file that is damaged, of another version or of another file of conversations is deleted, never used. One that does not
//! begin as a state does was not written here: it is neither used nor deleted. Nothing here fails: where nothing can be
//! written, nothing is stored, and the log says so.
//!
//! Names are never used twice, so that a file that was read once is known. Writers of all processes take turns under a lock,
//! which a deletion takes too: a state that is being written is complete, and seen, when it is deleted.

use std::collections::HashSet;
use std::fs::{self, File};
use std::io::{ErrorKind, Read};
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex};
use std::time::SystemTime;

use nearside_llama::Token;

use super::state_file::{CheckpointEntry, MAGIC, StateBody, StateHeader, StateKey, StateReadError, hash_known};
use crate::model::store::{Lock, sync_directory, unique_suffix};
use crate::private_files::{create_private_directory, new_private_file};
use crate::sync::lock;

/// The file of conversations, as the states need it.
pub trait ConversationIndex: Send + Sync + std::fmt::Debug {
    /// Returns the identity of the file. Unset: it cannot be written, so that nothing is stored.
    fn identity(&self) -> Option<u32>;

    /// Returns whether it has this conversation, not deleted. Unset: it cannot be read now.
    fn has_conversation(&self, conversation: u64) -> Option<bool>;
}

/// The stored states of one directory.
#[derive(Debug)]
pub struct StateFiles {
    directory: PathBuf,
    /// Bytes that all may take. Unset: a share of the disk.
    limit: Option<u64>,
    index: Arc<dyn ConversationIndex>,
    known: Mutex<KnownFiles>,
}

/// The files that were read once.
#[derive(Debug, Default)]
struct KnownFiles {
    states: Vec<StoredState>,
    /// Not written here.
    foreign: HashSet<PathBuf>,
}

/// A state that was read once.
#[derive(Debug, Clone)]
pub(super) struct StoredState {
    path: PathBuf,
    pub(super) header: Arc<StateHeader>,
}

/// A state to store.
#[derive(Debug)]
pub(super) struct NewState<'a> {
    pub(super) conversation: u64,
    pub(super) key: StateKey,
    pub(super) tokens: &'a [Token],
    pub(super) cache: &'a [u8],
    /// Shortest first: the number of tokens, and the content.
    pub(super) checkpoints: Vec<(u32, &'a [u8])>,
}

impl StateFiles {
    /// Describes the directory; reads nothing. `limit`: bytes that all states may take, 0 for none; unset: 5 % of what is free,
    /// at most 2 GiB.
    pub fn new(directory: PathBuf, limit: Option<u64>, index: Arc<dyn ConversationIndex>) -> Self {
        Self {
            directory,
            limit,
            index,
            known: Mutex::default(),
        }
    }

    /// Deletes the states of one conversation.
    pub fn remove_conversation(&self, conversation: u64) {
        self.remove_where(|header| header.conversation == conversation);
    }

    /// Deletes the states of conversations that are gone.
    pub fn remove_gone(&self) {
        let is_gone = |header: &StateHeader| self.index.has_conversation(header.conversation) == Some(false);
        self.remove_where(|header| self.limit == Some(0) || is_gone(header));
    }

    /// Deletes the states of a model with this SHA-256.
    pub fn remove_model(&self, sha256: &str) {
        let model = hash_known(sha256);
        self.remove_where(|header| header.key.model == model);
    }

    /// Stores a state in place of older ones of the same conversation. Does nothing if the conversation is gone, a stored state
    /// has nearly all of it, or it takes more than a state may. Gives up once `is_stopped` returns true. Returns whether a file
    /// was written.
    pub(super) fn store(&self, state: &NewState<'_>, is_stopped: &dyn Fn() -> bool) -> bool {
        if self.limit == Some(0) || state.tokens.len() < MIN_STORED_TOKENS {
            return false;
        }
        let Some(header) = self.header_of(state) else {
            return false;
        };
        let Some(bytes) = header.file_bytes().filter(|bytes| *bytes <= self.max_state_bytes()) else {
            return false;
        };
        if let Err(cause) = create_private_directory(&self.directory) {
            tracing::warn!(kind = ?cause.kind(), "no states of conversations are stored: their directory cannot be created");
            return false;
        }
        let _turn = self.lock_directory();
        self.remove_drafts();
        let (older, others): (Vec<_>, Vec<_>) = self
            .list()
            .into_iter()
            .partition(|old| is_replaced(&old.header, &header));
        let is_near = |old: &&StoredState| state.tokens.len() - old.header.tokens.len() < MIN_NEW_TOKENS;
        // A request outside of the conversation may have cut it.
        let longer = others.iter().find(|other| is_replaced(&header, &other.header));
        if let Some(old) = older.iter().find(is_near).or(longer) {
            old.touch();
            return false;
        }
        if !self.make_room(bytes, &older) {
            return false;
        }
        let path = self.directory.join(format!("{}.{EXTENSION}", unique_suffix()));
        if let Err(cause) = write_durably(&path, &header, state, is_stopped) {
            match cause.kind() {
                ErrorKind::Interrupted => {
                    tracing::debug!("the state of a conversation is given up: its memory is needed")
                }
                kind => tracing::warn!(?kind, "the state of a conversation is not stored"),
            }
            return false;
        }
        // It may have been deleted meanwhile, by a process that waits for no lock.
        if self.index.has_conversation(state.conversation) != Some(true) {
            delete(&path);
            return false;
        }
        older.iter().for_each(StoredState::delete);
        lock(&self.known).states.push(StoredState {
            path,
            header: Arc::new(header),
        });
        true
    }

    /// Returns the states that a context with this key can use.
    pub(super) fn candidates(&self, key: &StateKey) -> Vec<StoredState> {
        if self.limit == Some(0) {
            return vec![];
        }
        let mut found = self.list();
        found.retain(|state| state.header.key == *key);
        found
    }

    /// Reads a state. Deletes it if it is damaged.
    pub(super) fn read_body(&self, state: &StoredState, is_stopped: &dyn Fn() -> bool) -> Option<StateBody> {
        let read = || {
            let (mut file, length) = open_state(&state.path)?;
            state.header.read_body(&mut file, length, is_stopped)
        };
        match read() {
            Ok(body) => {
                state.touch();
                Some(body)
            }
            Err(StateReadError::Stopped) => None,
            Err(StateReadError::Invalid) => {
                // It was a state when it was seen first.
                tracing::warn!("a stored state of a conversation is damaged, and is deleted");
                delete(&state.path);
                None
            }
            Err(cause) => {
                tracing::debug!(?cause, "a stored state of a conversation is not used");
                None
            }
        }
    }

    fn header_of(&self, state: &NewState<'_>) -> Option<StateHeader> {
        let archive = self.index.identity()?;
        let checkpoints = state.checkpoints.iter().map(|(tokens, content)| CheckpointEntry {
            tokens: *tokens,
            bytes: content.len() as u64,
        });
        let is_present = self.index.has_conversation(state.conversation) == Some(true);
        is_present.then(|| StateHeader {
            archive,
            conversation: state.conversation,
            key: state.key,
            tokens: state.tokens.to_vec(),
            cache_bytes: state.cache.len() as u64,
            checkpoints: checkpoints.collect(),
        })
    }

    /// Returns all valid states, and deletes those that are of no use any more. Reads only files that it does not know.
    fn list(&self) -> Vec<StoredState> {
        let paths = self.paths(EXTENSION);
        let mut known = lock(&self.known);
        known.states.retain(|state| paths.contains(&state.path));
        known.foreign.retain(|path| paths.contains(path));
        if known.states.len() + known.foreign.len() == paths.len() {
            return known.states.clone();
        }
        // Without it nothing is known of the conversations: nothing is used, and nothing is deleted.
        let Some(identity) = self.index.identity() else {
            return vec![];
        };
        for path in paths {
            if known.foreign.contains(&path) || known.states.iter().any(|state| state.path == path) {
                continue;
            }
            match self.check_file(&path) {
                Ok(header) if header.archive == identity => match self.index.has_conversation(header.conversation) {
                    Some(true) => known.states.push(StoredState {
                        path,
                        header: Arc::new(header),
                    }),
                    Some(false) => delete(&path),
                    None => {}
                },
                Ok(_) => delete(&path),
                Err(StateReadError::Invalid) if is_state(&path) => {
                    tracing::warn!("a stored state of a conversation is damaged or of another version, and is deleted");
                    delete(&path);
                }
                Err(StateReadError::Invalid) => {
                    known.foreign.insert(path);
                }
                Err(_) => {}
            }
        }
        known.states.clone()
    }

    fn check_file(&self, path: &Path) -> Result<StateHeader, StateReadError> {
        let (mut file, length) = open_state(path)?;
        if length > self.max_state_bytes() {
            return Err(StateReadError::Invalid);
        }
        StateHeader::read_header(&mut file, length)
    }

    fn remove_where(&self, is_gone: impl Fn(&StateHeader) -> bool) {
        if !self.directory.exists() {
            return;
        }
        let _turn = self.lock_directory();
        self.remove_drafts();
        for state in self.list() {
            if is_gone(&state.header) {
                state.delete();
            }
        }
    }

    /// Deletes the least recently used states until this many bytes more are within the limit, first those in `older`.
    fn make_room(&self, bytes: u64, older: &[StoredState]) -> bool {
        let mut all: Vec<_> = self.list().into_iter().map(|state| (state.used_at(), state)).collect();
        all.sort_by_key(|(used_at, state)| (!older.iter().any(|old| old.path == state.path), *used_at));
        let mut used: u64 = all.iter().filter_map(|(_, state)| state.header.file_bytes()).sum();
        let limit = self.limit_beside(used);
        let mut count = all.len();
        for (_, state) in all {
            if used.saturating_add(bytes) <= limit && count < MAX_FILES {
                return true;
            }
            state.delete();
            used -= state.header.file_bytes().unwrap_or_default().min(used);
            count -= 1;
        }
        bytes <= limit
    }

    /// Returns the bytes that all states may take, where they take `used` now.
    fn limit_beside(&self, used: u64) -> u64 {
        self.limit.unwrap_or_else(|| {
            let free = fs4::available_space(&self.directory).unwrap_or_default();
            (free.saturating_add(used) / DISK_SHARE).min(MAX_TOTAL_BYTES)
        })
    }

    fn max_state_bytes(&self) -> u64 {
        self.limit.unwrap_or(u64::MAX).min(MAX_STATE_BYTES)
    }

    fn lock_directory(&self) -> Lock {
        Lock::acquire(&self.directory.join("lock"))
    }

    /// Deletes what a killed process left. Under the lock no other writes.
    fn remove_drafts(&self) {
        let drafts = self.paths(DRAFT);
        let own = drafts.iter().filter(|path| is_draft(path));
        own.for_each(|path| delete(path));
    }

    fn paths(&self, extension: &str) -> Vec<PathBuf> {
        let entries = fs::read_dir(&self.directory).into_iter().flatten().flatten();
        let paths = entries.map(|entry| entry.path());
        paths
            .filter(|path| path.extension().is_some_and(|own| own == extension))
            .collect()
    }
}

impl StoredState {
    /// Records that it is used now.
    fn touch(&self) {
        let opened = File::options().append(true).open(&self.path);
        // Where it cannot be written, another one may be deleted before it.
        let _ = opened.and_then(|file| file.set_modified(SystemTime::now()));
    }

    fn used_at(&self) -> SystemTime {
        let modified = self.path.metadata().and_then(|file| file.modified());
        modified.unwrap_or(SystemTime::UNIX_EPOCH)
    }

    /// Deletes the file.
    pub(super) fn delete(&self) {
        delete(&self.path);
    }
}

/// Opens a state, and returns its length. What is no file, such as a pipe that would never answer, is invalid.
fn open_state(path: &Path) -> Result<(File, u64), StateReadError> {
    if !fs::symlink_metadata(path)?.is_file() {
        return Err(StateReadError::Invalid);
    }
    let file = File::open(path)?;
    let length = file.metadata()?.len();
    Ok((file, length))
}

/// Returns whether a file is a state of any version: what is no file, or begins in another way, was not written here.
fn is_state(path: &Path) -> bool {
    read_first(path).is_some_and(|first| first == MAGIC)
}

/// Returns whether a file is a draft of a state. A killed writer may have written nothing, and a device without power may have
/// lost it.
fn is_draft(path: &Path) -> bool {
    let is_number = |part: &str| !part.is_empty() && part.bytes().all(|byte| byte.is_ascii_digit());
    let name = path.file_stem().and_then(|name| name.to_str());
    let is_own = name
        .and_then(|name| name.split_once('-'))
        .is_some_and(|(process, time)| is_number(process) && is_number(time));
    is_own && read_first(path).is_some_and(|first| MAGIC.starts_with(&first) || first.iter().all(|byte| *byte == 0))
}

/// Reads as many bytes as the magic has, or those that a shorter file has. `None` if it is no file, or cannot be read.
fn read_first(path: &Path) -> Option<Vec<u8>> {
    let (file, _) = open_state(path).ok()?;
    let mut first = Vec::new();
    file.take(MAGIC.len() as u64).read_to_end(&mut first).ok()?;
    Some(first)
}

/// Returns whether a state is an older one of the same conversation.
fn is_replaced(old: &StateHeader, new: &StateHeader) -> bool {
    old.conversation == new.conversation && old.key == new.key && new.tokens.starts_with(&old.tokens)
}

/// Writes a state to a draft, which is renamed once it is on the disk.
fn write_durably(
    path: &Path,
    header: &StateHeader,
    state: &NewState<'_>,
    is_stopped: &dyn Fn() -> bool,
) -> std::io::Result<()> {
    let draft = path.with_extension(DRAFT);
    let checkpoints: Vec<_> = state.checkpoints.iter().map(|(_, content)| *content).collect();
    let write = || {
        let mut file = new_private_file(&draft)?;
        header.write(&mut file, state.cache, &checkpoints, is_stopped)?;
        if is_stopped() {
            return Err(ErrorKind::Interrupted.into());
        }
        file.sync_all()?;
        fs::rename(&draft, path)
    };
    write().inspect_err(|_| delete(&draft))?;
    if let Some(directory) = path.parent() {
        // Without it the file may be missing after a loss of power, which a state may.
        let _ = sync_directory(directory);
    }
    Ok(())
}

/// Deletes a file. A failure is only logged; it is tried again when the directory is read next.
fn delete(path: &Path) {
    match fs::remove_file(path) {
        Err(cause) if cause.kind() != ErrorKind::NotFound => {
            tracing::debug!(kind = ?cause.kind(), "a stored state could not be deleted");
        }
        _ => {}
    }
}

const EXTENSION: &str = "state";
const DRAFT: &str = "draft";
/// Less is prefilled in a moment.
pub(super) const MIN_STORED_TOKENS: usize = 128;
/// A state that would add fewer tokens to a stored one is not worth the wear of the disk.
const MIN_NEW_TOKENS: usize = 64;
/// 4,000 tokens of a 7B with grouped attention. Takes a second or two to write.
const MAX_STATE_BYTES: u64 = 512 << 20;
const MAX_TOTAL_BYTES: u64 = 2 << 30;
/// All states take at most a twentieth of what would be free without them.
const DISK_SHARE: u64 = 20;
const MAX_FILES: usize = 64;

#[cfg(test)]
mod tests;
