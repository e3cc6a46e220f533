//! Installs a verified partial atomically.
//!
//! The record is written into a directory under `staging/`, the verified file is renamed into it, and the directory is
//! renamed into `models/`. After a kill before the first rename, the file is still a partial. After a kill between the
//! two, the next open completes the install, because only verified files get there.

use std::fs;
use std::path::{Path, PathBuf};

use super::files::{sync_directory, unique_suffix};
use super::partial::{Partial, remove_file};
use super::record::{InstalledModel, Record};
use super::{MODELS, STAGING, Store};
use crate::error::{Error, Result};
use crate::model::ModelRef;
use crate::model::gguf::Head;

/// Verified facts about a file to be installed.
#[derive(Debug)]
pub(crate) struct Verified {
    /// File name, as given by the network or the user.
    pub(crate) name: String,
    /// SHA-256 of the file.
    pub(crate) sha256: String,
    /// Parsed head.
    pub(crate) head: Head,
    /// Exact reference or path it came from.
    pub(crate) source: String,
    /// Commit of the repository.
    pub(crate) commit: Option<String>,
}

impl Store {
    /// Installs a verified partial. If a model with the same hash is installed, that is returned and the partial deleted.
    pub(crate) fn install(
        &self,
        partial: Partial,
        verified: &Verified,
        reference: Option<&ModelRef>,
    ) -> Result<InstalledModel> {
        partial.sync()?;
        let _index_lock = self.lock_index();
        let same = |(_, record): &&(PathBuf, Record)| record.sha256 == verified.sha256;
        if let Some((at, mut record)) = self.records()?.iter().find(same).cloned() {
            if reference.is_some_and(|reference| record.add_reference(reference)) {
                record.write(&at)?;
            }
            let lock = partial.paths.lock.clone();
            partial.discard()?;
            remove_file(&lock)?;
            return Ok(record.to_installed(&at));
        }
        let file = safe_file_name(&verified.name);
        let mut record = Record {
            sha256: verified.sha256.clone(),
            size_bytes: partial.len(),
            quantization: verified.head.quantization.clone(),
            architecture: verified.head.architecture.clone(),
            context_length: verified.head.context_length,
            source: verified.source.clone(),
            commit: verified.commit.clone(),
            references: Vec::new(),
            file,
        };
        if let Some(reference) = reference {
            record.add_reference(reference);
        }

        for (damaged, _) in self.damaged_records()?.iter().filter(same) {
            self.discard(damaged)?;
        }
        let stage = self.subdirectory(STAGING).join(&partial.paths.key);
        if stage.exists() {
            fs::remove_dir_all(&stage).map_err(|e| Error::file(&stage, "empty", &e))?;
        }
        fs::create_dir_all(&stage).map_err(|e| Error::file(&stage, "create", &e))?;
        record.write(&stage)?;
        let staged = stage.join(&record.file);
        fs::rename(partial.path(), &staged).map_err(|e| Error::file(&staged, "create", &e))?;
        sync_directory(&stage)?;
        let at = self.move_to_models(&stage, &record)?;
        remove_file(&partial.paths.manifest)?;
        remove_file(&partial.paths.lock)?;
        Ok(record.to_installed(&at))
    }

    /// Completes installs that a kill interrupted. Unknown files and directories, such as those that a file manager leaves
    /// everywhere, stay as they are. Tries all, and returns the first error. The caller has locked the store.
    pub(super) fn recover_staging(&self) -> Result<()> {
        let directory = self.subdirectory(STAGING);
        let entries = fs::read_dir(&directory).map_err(|e| Error::file(&directory, "list", &e))?;
        let stages = entries.filter_map(|entry| Some(entry.ok()?.path()));
        let recover = |stage: PathBuf| {
            let known = |record: &Record| {
                self.records()
                    .is_ok_and(|all| all.iter().any(|r| r.1.sha256 == record.sha256))
            };
            match Record::load(&stage).filter(|record| !known(record)) {
                Some(record) => self.move_to_models(&stage, &record).map(drop),
                None if Record::is_unfinished_install(&stage) => {
                    fs::remove_dir_all(&stage).map_err(|e| Error::file(&stage, "remove", &e))
                }
                None => Ok(()),
            }
        };
        stages.map(recover).fold(Ok(()), Result::and)
    }

    fn move_to_models(&self, stage: &Path, record: &Record) -> Result<PathBuf> {
        let directory = self.subdirectory(MODELS);
        let id = model_id(&record.file);
        let suffix = record.sha256.get(..8).unwrap_or_default();
        let suffix = [String::new(), format!("-{suffix}"), format!("-{}", unique_suffix())];
        let mut free = suffix.iter().map(|suffix| directory.join(format!("{id}{suffix}")));
        let at = free.find(|at| !at.exists());
        let at = at.ok_or_else(|| Error::storage(format!("`{}` already contains `{id}`", directory.display())))?;
        fs::rename(stage, &at).map_err(|e| Error::file(&at, "create", &e))?;
        sync_directory(&directory)?;
        Ok(at)
    }
}

/// Returns the id of a model: its file's name without the extension, in lower case.
fn model_id(file: &str) -> String {
    let stem = &file[..file.len() - EXTENSION.len()];
    stem.to_ascii_lowercase()
}

/// Makes a safe file name from an untrusted one.
fn safe_file_name(name: &str) -> String {
    let name = name.rsplit(['/', '\\']).next().unwrap_or_default();
    let ends = name.len() >= EXTENSION.len() && name.is_char_boundary(name.len() - EXTENSION.len());
    let (stem, ending) = if ends {
        name.split_at(name.len() - EXTENSION.len())
    } else {
        (name, "")
    };
    let stem = if ending.eq_ignore_ascii_case(EXTENSION) {
        stem
    } else {
        name
    };
    let plain = |c: char| match c {
        c if c.is_ascii_alphanumeric() || matches!(c, '.' | '_' | '-') => c,
        _ => '-',
    };
    let stem: String = stem.chars().map(plain).take(MAX_NAME_CHARS).collect();
    let stem = stem.trim_matches(['.', '-']);
    let stem = if stem.is_empty() { "model" } else { stem };
    format!("{stem}{EXTENSION}")
}

const EXTENSION: &str = ".gguf";

/// Maximum characters of a name, so that with a suffix it is a valid id.
const MAX_NAME_CHARS: usize = 96;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn no_name_from_outside_leaves_its_directory() {
        let table = [
            ("SmolLM2-135M-Instruct-Q4_1.gguf", "SmolLM2-135M-Instruct-Q4_1.gguf"),
            ("../../etc/passwd", "passwd.gguf"),
            ("C:\\x\\m.GGUF", "m.gguf"),
            ("..", "model.gguf"),
            ("", "model.gguf"),
            (".gguf", "model.gguf"),
            (".hidden.gguf", "hidden.gguf"),
            ("a\0b c\n.gguf", "a-b-c.gguf"),
            ("größe.gguf", "gr--e.gguf"),
            ("ü", "model.gguf"),
        ];
        for (name, expected) in table {
            assert_eq!(safe_file_name(name), expected, "{name:?}");
        }
        let long = safe_file_name(&"x".repeat(5000));
        assert_eq!(long.len(), MAX_NAME_CHARS + EXTENSION.len());
        assert!(ModelRef::parse(&model_id(&long)).is_ok());
    }
}
