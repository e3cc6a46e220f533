//! The keys of providers, kept beside the models: `keys/NAME` holds a key, `keys/NAME.env` the name of a variable that
//! holds one. Only their owner may read them (files 0600, folder 0700), they are written whole or not at all, and no key
//! is in any text that this program prints.

use std::fs::{self, DirBuilder, File};
use std::io::{ErrorKind, Read, Write};
use std::path::{Path, PathBuf};

use nearside::engine::remote::Secret;
use nearside::{Error, Nearside};

use crate::failure::Failure;
use crate::session::variable;

/// Where keys are kept.
#[derive(Debug)]
pub(crate) struct Keys {
    folder: PathBuf,
}

/// Where a provider's key comes from.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Source {
    /// A file of ours.
    File(PathBuf),
    /// An environment variable.
    Variable(String),
    /// Nowhere.
    None,
}

impl Keys {
    /// The keys in this data directory. Reads nothing.
    pub(crate) fn beside(data: &Path) -> Self {
        Self {
            folder: data.join("keys"),
        }
    }

    /// Loads every stored key into the library.
    ///
    /// # Errors
    /// `Unauthorized` for a file that others may read; `Storage`.
    pub(crate) fn give(&self, nearside: &Nearside) -> Result<(), Failure> {
        let entries = match fs::read_dir(&self.folder) {
            Ok(entries) => entries,
            Err(cause) if cause.kind() == ErrorKind::NotFound => return Ok(()),
            Err(cause) => return Err(Error::file(&self.folder, "list", &cause).into()),
        };
        for entry in entries {
            let entry = entry.map_err(|cause| Error::file(&self.folder, "list", &cause))?;
            let file = entry.file_name();
            let Some(file) = file.to_str() else { continue };
            // Whatever is half written has no name that a provider may have.
            let Ok(provider) = name(file.strip_suffix(VARIABLE).unwrap_or(file)) else {
                continue;
            };
            let key = match self.source(&provider)? {
                Source::File(path) => Some(read(&path)?),
                Source::Variable(variable_name) => variable(&variable_name)?,
                Source::None => None,
            };
            if let Some(key) = key {
                nearside.set_key(&provider, Secret::new(key));
            }
        }
        Ok(())
    }

    /// Where this provider's key comes from; names that could be no file have none.
    pub(crate) fn source(&self, provider: &str) -> Result<Source, Failure> {
        let Ok(provider) = name(provider) else {
            return Ok(Source::None);
        };
        let variable = self.variable_file(&provider);
        match fs::read_to_string(&variable) {
            Ok(text) => return Ok(Source::Variable(text.trim().to_owned())),
            Err(cause) if cause.kind() == ErrorKind::NotFound => {}
            Err(cause) => return Err(Error::file(&variable, "read", &cause).into()),
        }
        let key = self.folder.join(&provider);
        Ok(if key.exists() { Source::File(key) } else { Source::None })
    }

    /// Keeps this key, in place of whatever was kept; its file.
    pub(crate) fn keep(&self, provider: &str, key: &str) -> Result<PathBuf, Failure> {
        let file = self.folder.join(provider);
        self.write(&file, key)?;
        remove(&self.variable_file(provider))?;
        Ok(file)
    }

    /// Keeps the name of a variable, in place of whatever was kept.
    pub(crate) fn keep_variable(&self, provider: &str, variable: &str) -> Result<(), Failure> {
        self.write(&self.variable_file(provider), variable)?;
        remove(&self.folder.join(provider))
    }

    /// Forgets whatever was kept; nothing is no failure.
    pub(crate) fn forget(&self, provider: &str) -> Result<(), Failure> {
        let Ok(provider) = name(provider) else { return Ok(()) };
        remove(&self.variable_file(&provider))?;
        remove(&self.folder.join(provider))
    }

    fn variable_file(&self, provider: &str) -> PathBuf {
        self.folder.join(format!("{provider}{VARIABLE}"))
    }

    fn write(&self, file: &Path, text: &str) -> Result<(), Failure> {
        let failed = |cause| Error::file(file, "write", &cause);
        private_folder(&self.folder).map_err(|cause| Error::file(&self.folder, "make", &cause))?;
        // Made for its owner alone, whatever the umask says.
        let mut half = tempfile::NamedTempFile::new_in(&self.folder).map_err(failed)?;
        half.write_all(text.as_bytes()).map_err(failed)?;
        half.as_file().sync_all().map_err(failed)?;
        half.persist(file).map_err(|broken| failed(broken.error))?;
        Ok(())
    }
}

/// The name of a provider as a file name on any system: lower-case letters, digits, `-`, `_` and `.`, a letter or digit
/// first. (Where a system does not tell `Groq` from `groq`, one must not get the other's key.)
///
/// # Errors
/// A text for the person who wrote it.
pub(crate) fn name(text: &str) -> Result<String, String> {
    let plain = |c: char| c.is_ascii_lowercase() || c.is_ascii_digit();
    let sound = text.starts_with(plain)
        && text.chars().all(|c| plain(c) || "-_.".contains(c))
        && !text.ends_with(VARIABLE)
        && text.len() <= 64;
    match sound {
        true => Ok(text.to_owned()),
        false => {
            Err("a name is lower-case letters, digits, `-`, `_` and `.`, such as `openrouter` or `my-server`".into())
        }
    }
}

/// The key in this file: one line of it, without spaces around.
///
/// # Errors
/// `Unauthorized` for a file that others may read, or that holds no key; `Storage`.
pub(crate) fn read(path: &Path) -> Result<String, Failure> {
    let failed = |cause| Error::file(path, "read the key", &cause);
    let file = File::open(path).map_err(failed)?;
    let about = file.metadata().map_err(failed)?;
    if about.is_file() && others_may_read(&about) {
        let shown = path.display();
        let text =
            format!("others may read the key file `{shown}`, so it is not used; `chmod 600 {shown}` makes it yours");
        return Err(Error::unauthorized(text).into());
    }
    let mut text = String::new();
    match file.take(LONGEST).read_to_string(&mut text) {
        Ok(_) => checked(&text, &format!("`{}`", path.display())),
        Err(cause) if cause.kind() == ErrorKind::InvalidData => checked("", &format!("`{}`", path.display())),
        Err(cause) => Err(failed(cause).into()),
    }
}

/// The key in this text, which came from there.
pub(crate) fn checked(text: &str, from: &str) -> Result<String, Failure> {
    let key = text.trim();
    if key.is_empty() || !key.chars().all(|c| c.is_ascii_graphic()) {
        let text = format!("{from} holds no key; a key is one line of letters, digits and signs, and nothing else");
        return Err(Error::unauthorized(text).into());
    }
    Ok(key.to_owned())
}

fn remove(file: &Path) -> Result<(), Failure> {
    match fs::remove_file(file) {
        Err(cause) if cause.kind() != ErrorKind::NotFound => Err(Error::file(file, "remove", &cause).into()),
        _ => Ok(()),
    }
}

#[cfg(unix)]
fn private_folder(folder: &Path) -> std::io::Result<()> {
    use std::os::unix::fs::{DirBuilderExt, PermissionsExt};

    DirBuilder::new().recursive(true).mode(0o700).create(folder)?;
    // It may have been there before.
    fs::set_permissions(folder, fs::Permissions::from_mode(0o700))
}

#[cfg(not(unix))]
fn private_folder(folder: &Path) -> std::io::Result<()> {
    DirBuilder::new().recursive(true).create(folder)
}

#[cfg(unix)]
fn others_may_read(about: &fs::Metadata) -> bool {
    use std::os::unix::fs::PermissionsExt;

    about.permissions().mode() & 0o077 != 0
}

/// On Windows the rights of the person's own folder hold for what is in it.
#[cfg(not(unix))]
fn others_may_read(_: &fs::Metadata) -> bool {
    false
}

/// What the name of a file ends with that holds the name of a variable.
const VARIABLE: &str = ".env";
/// Bytes of a key at most; keys have tens of them.
const LONGEST: u64 = 16 << 10;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_name_is_one_file_beside_the_others_on_any_system() {
        for sound in ["groq", "my-server", "llama-server", "a.b_2", "0"] {
            assert_eq!(name(sound).as_deref(), Ok(sound));
        }
        for wrong in [
            "",
            ".",
            "..",
            ".x",
            "a/b",
            "a\\b",
            "c:",
            "Groq",
            "a b",
            "groq.env",
            "é",
            &"x".repeat(65),
        ] {
            assert!(name(wrong).is_err(), "{wrong}");
        }
    }

    #[test]
    fn what_is_kept_last_counts_and_what_is_forgotten_is_gone() {
        let data = tempfile::tempdir().expect("a folder");
        let keys = Keys::beside(data.path());
        assert_eq!(keys.source("groq").expect("nothing"), Source::None);
        let file = keys.keep("groq", "sk-1").expect("kept");
        assert_eq!(keys.source("groq").expect("a file"), Source::File(file.clone()));
        assert_eq!(read(&file).expect("a key"), "sk-1");
        keys.keep_variable("groq", "GROQ_KEY").expect("kept");
        assert_eq!(
            keys.source("groq").expect("a name"),
            Source::Variable("GROQ_KEY".into())
        );
        assert!(!file.exists());
        keys.forget("groq").expect("forgotten");
        keys.forget("groq").expect("nothing to forget");
        assert_eq!(keys.source("groq").expect("nothing"), Source::None);
    }

    #[test]
    fn what_is_no_key_is_refused_without_being_shown() {
        for text in ["", " \n", "two lines\nzyx", "zyx zyx", "zyx\u{7}"] {
            let failure = checked(text, "the terminal").expect_err("no key");
            let (what, help) = failure.words().expect("an error");
            assert!(!what.contains("zyx") && !help.contains("zyx"), "{what}; {help}");
        }
        assert_eq!(checked(" sk-1\n", "the terminal").expect("a key"), "sk-1");
    }
}
