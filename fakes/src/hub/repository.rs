//! The repositories that the hub serves: files with their size and SHA-256.

use std::fs::File;
use std::io::{self, Read, Seek, SeekFrom};
use std::path::PathBuf;

use serde_json::{Value, json};
use sha2::{Digest, Sha256};

/// The content of a served file.
#[derive(Debug)]
pub(super) enum Content {
    File(PathBuf),
    Bytes(Vec<u8>),
}

/// A served file.
#[derive(Debug)]
pub(super) struct ServedFile {
    pub(super) repo: String,
    pub(super) name: String,
    pub(super) size: u64,
    pub(super) sha256: String,
    content: Content,
}

/// All served files and the tokens of gated repositories.
#[derive(Debug)]
pub(super) struct Repositories {
    files: Vec<ServedFile>,
    tokens: Vec<(String, String)>,
    page: usize,
}

/// The commit of every branch.
pub(super) const COMMIT: &str = "0123456789abcdef0123456789abcdef01234567";

impl Repositories {
    pub(super) fn new(
        files: Vec<(String, String, Content)>,
        tokens: Vec<(String, String)>,
        page: Option<usize>,
    ) -> io::Result<Self> {
        let files = files
            .into_iter()
            .map(|(repo, name, content)| ServedFile::new(repo, name, content));
        Ok(Self {
            files: files.collect::<io::Result<_>>()?,
            tokens,
            page: page.unwrap_or(1000),
        })
    }

    pub(super) fn file(&self, repo: &str, name: &str) -> Option<&ServedFile> {
        self.files.iter().find(|file| file.repo == repo && file.name == name)
    }

    pub(super) fn has(&self, repo: &str) -> bool {
        self.files.iter().any(|file| file.repo == repo)
    }

    /// Returns the token that a gated repository requires.
    pub(super) fn token(&self, repo: &str) -> Option<&str> {
        self.tokens
            .iter()
            .find(|(of, _)| of == repo)
            .map(|(_, token)| token.as_str())
    }

    /// Returns a page of the listing in the tree API's format, and whether more pages follow.
    pub(super) fn tree(&self, repo: &str, page: usize) -> (Value, bool) {
        let files: Vec<&ServedFile> = self.files.iter().filter(|file| file.repo == repo).collect();
        let shown = files.iter().skip(page * self.page).take(self.page).map(|file| {
            json!({
                "type": "file", "path": file.name, "size": file.size, "oid": &COMMIT[..40],
                "lfs": { "oid": file.sha256, "size": file.size, "pointerSize": 134 },
            })
        });
        (Value::Array(shown.collect()), files.len() > (page + 1) * self.page)
    }
}

impl ServedFile {
    fn new(repo: String, name: String, content: Content) -> io::Result<Self> {
        let mut hash = Sha256::new();
        let size = match &content {
            Content::Bytes(bytes) => {
                hash.update(bytes);
                bytes.len() as u64
            }
            Content::File(path) => hash_file(path, &mut hash)?,
        };
        let sha256 = hash.finalize().iter().map(|byte| format!("{byte:02x}")).collect();
        Ok(Self {
            repo,
            name,
            size,
            sha256,
            content,
        })
    }

    /// Reads at an offset. Returns fewer bytes only at the end of the file.
    pub(super) fn read_at(&self, offset: u64, buffer: &mut [u8]) -> io::Result<usize> {
        match &self.content {
            Content::Bytes(bytes) => {
                let rest = &bytes[(offset as usize).min(bytes.len())..];
                let count = rest.len().min(buffer.len());
                buffer[..count].copy_from_slice(&rest[..count]);
                Ok(count)
            }
            Content::File(path) => {
                let mut file = File::open(path)?;
                file.seek(SeekFrom::Start(offset))?;
                let mut filled = 0;
                while filled < buffer.len() {
                    match file.read(&mut buffer[filled..])? {
                        0 => break,
                        count => filled += count,
                    }
                }
                Ok(filled)
            }
        }
    }
}

/// Hashes a file. Over [`MAX_HASHED_BYTES`], as for a sparse stand-in for a model, hashes size and name instead: the content
/// would take a minute, and no test downloads it completely.
fn hash_file(path: &PathBuf, hash: &mut Sha256) -> io::Result<u64> {
    let mut file = File::open(path)?;
    let size = file.metadata()?.len();
    if size > MAX_HASHED_BYTES {
        hash.update(path.as_os_str().as_encoded_bytes());
        hash.update(size.to_le_bytes());
    } else {
        io::copy(&mut file, &mut HashWriter(hash))?;
    }
    Ok(size)
}

struct HashWriter<'a>(&'a mut Sha256);

impl io::Write for HashWriter<'_> {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.0.update(bytes);
        Ok(bytes.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

const MAX_HASHED_BYTES: u64 = 2_000_000_000;
