//! SHA-256 of a file while it is still growing.
//!
//! A dedicated thread reads the bytes that were on disk at the start (a resumed download), then appended bytes from the
//! page cache. Neither the network nor the disk waits for the hash, and the bytes on disk are hashed, not the received ones.

use std::fs::File;
use std::io::Read;
use std::path::{Path, PathBuf};
use std::sync::mpsc;

use sha2::{Digest, Sha256};
use tokio::sync::oneshot;

use crate::error::{Error, Result};

/// Hashes one growing file. Stops at once when dropped.
#[derive(Debug)]
pub(crate) struct Hasher {
    commands: mpsc::Sender<HashCommand>,
}

#[derive(Debug)]
enum HashCommand {
    /// The file has grown to this many bytes.
    Grown(u64),
    /// The file is complete: send the hash here.
    Finish(oneshot::Sender<Result<String>>),
}

impl Hasher {
    /// Starts with the first `length` bytes of the file.
    ///
    /// # Errors
    /// [`Error::Storage`] if the file cannot be opened.
    pub(crate) fn follow(path: &Path, length: u64) -> Result<Self> {
        let file = File::open(path).map_err(|e| Error::file(path, "read", &e))?;
        let (commands, queue) = mpsc::channel();
        let path = path.to_owned();
        let work = move || hash_growing_file(&path, file, length, &queue);
        std::thread::Builder::new()
            .name("nearside-hash".to_owned())
            .spawn(work)
            .map_err(|cause| Error::thread_limit(&cause))?;
        Ok(Self { commands })
    }

    /// Reports that the file has grown to `length` bytes.
    pub(crate) fn extend_to(&self, length: u64) {
        // `finalize` returns the error of a thread that failed.
        let _ = self.commands.send(HashCommand::Grown(length));
    }

    /// Returns the hash up to the last reported length, in lower-case hex.
    pub(crate) async fn finalize(self) -> Result<String> {
        let (reply, answer) = oneshot::channel();
        let _ = self.commands.send(HashCommand::Finish(reply));
        answer
            .await
            .unwrap_or_else(|_| Err(Error::internal("the hash of a file was lost")))
    }

    /// Hashes the first `length` bytes of a file. Blocks.
    pub(crate) fn hash_file(path: &Path, length: u64) -> Result<String> {
        let file = File::open(path).map_err(|e| Error::file(path, "read", &e))?;
        let mut state = DigestState::new(path.to_owned(), file);
        while state.done < length {
            state.read_block(length)?;
        }
        Ok(state.into_hex())
    }
}

struct DigestState {
    path: PathBuf,
    file: File,
    sha: Sha256,
    done: u64,
    block: Vec<u8>,
}

impl DigestState {
    fn new(path: PathBuf, file: File) -> Self {
        Self {
            path,
            file,
            sha: Sha256::new(),
            done: 0,
            block: vec![0; BLOCK],
        }
    }

    /// Hashes up to one block, up to `target`.
    fn read_block(&mut self, target: u64) -> Result<()> {
        let want = usize::try_from(target - self.done).unwrap_or(BLOCK).min(BLOCK);
        let failed = |e| Error::file(&self.path, "read", &e);
        let got = self.file.read(&mut self.block[..want]).map_err(failed)?;
        if got == 0 {
            return Err(Error::storage(format!(
                "`{}` became shorter while it was read; try again",
                self.path.display()
            )));
        }
        self.sha.update(&self.block[..got]);
        self.done += got as u64;
        Ok(())
    }

    fn into_hex(self) -> String {
        to_hex(&self.sha.finalize())
    }
}

/// Formats bytes as lower-case hex.
pub(crate) fn to_hex(bytes: &[u8]) -> String {
    use std::fmt::Write;
    bytes.iter().fold(String::new(), |mut text, byte| {
        let _ = write!(text, "{byte:02x}");
        text
    })
}

fn hash_growing_file(path: &Path, file: File, length: u64, queue: &mpsc::Receiver<HashCommand>) {
    let mut state = DigestState::new(path.to_owned(), file);
    let mut target = length;
    let mut reply = None;
    let mut failed = None;
    loop {
        let behind = state.done < target && failed.is_none();
        let command = match behind || reply.is_some() {
            true => queue.try_recv(),
            false => queue.recv().map_err(|_| mpsc::TryRecvError::Disconnected),
        };
        match command {
            Ok(HashCommand::Grown(length)) => target = length,
            Ok(HashCommand::Finish(sender)) => reply = Some(sender),
            Err(mpsc::TryRecvError::Disconnected) if reply.is_none() => return,
            Err(_) if behind => failed = state.read_block(target).err(),
            Err(_) => break,
        }
        if reply.as_ref().is_some_and(oneshot::Sender::is_closed) {
            return;
        }
    }
    if let Some(reply) = reply {
        let _ = reply.send(failed.map_or_else(|| Ok(state.into_hex()), Err));
    }
}

/// Bytes to hash between two checks of the queue.
const BLOCK: usize = 1 << 20;

#[cfg(test)]
mod tests {
    use std::io::Write;

    use super::*;

    #[tokio::test]
    async fn the_hash_of_a_growing_file_is_that_of_the_whole() {
        let mut file = tempfile::NamedTempFile::new().expect("a file");
        let bytes: Vec<u8> = (0..3_000_000_u32).flat_map(u32::to_le_bytes).collect();
        file.write_all(&bytes[..5_000_000]).expect("written");
        let hasher = Hasher::follow(file.path(), 5_000_000).expect("a hasher");
        for end in [5_000_001, 9_000_000, bytes.len()] {
            let held = file.as_file().metadata().expect("its length").len() as usize;
            file.write_all(&bytes[held..end]).expect("written");
            hasher.extend_to(end as u64);
        }
        let whole = Hasher::hash_file(file.path(), bytes.len() as u64).expect("a hash");
        assert_eq!(hasher.finalize().await, Ok(whole.clone()));
        assert_eq!(whole, to_hex(&Sha256::digest(&bytes)));
    }

    #[tokio::test]
    async fn a_file_that_became_shorter_is_an_error_and_not_a_hang() {
        let file = tempfile::NamedTempFile::new().expect("a file");
        let hasher = Hasher::follow(file.path(), 10).expect("a hasher");
        assert!(hasher.finalize().await.is_err());
    }
}
