//! Key files of providers, in the data directory: `keys/NAME` holds a key, `keys/NAME.env` the name of a variable that
//! holds one. Only their owner may read them (files 0600, directory 0700), writes are atomic, and this program never
//! prints a key.

use std::fs::{self, DirBuilder, File};
use std::io::{ErrorKind, Read, Write};
use std::path::{Path, PathBuf};

use nearside::engine::remote::Secret;
use nearside::{Error, ErrorReason, Nearside};

use crate::env::read_variable;
use crate::error::CliError;

/// Directory of key files.
#[derive(Debug)]
pub(crate) struct KeyFiles {
    directory: PathBuf,
}

/// Source of a provider's key.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum KeySource {
    /// A key file.
    File(PathBuf),
    /// An environment variable.
    Variable(String),
    /// There is none.
    None,
}

impl KeyFiles {
    /// Returns the key files of this data directory. Reads nothing.
    pub(crate) fn in_directory(data: &Path) -> Self {
        Self {
            directory: data.join("keys"),
        }
    }

    /// Loads every stored key into the library.
    ///
    /// # Errors
    /// `Unauthorized` for a file that others may read; `Storage`.
    pub(crate) fn load_into(&self, nearside: &Nearside) -> Result<(), CliError> {
        let entries = match fs::read_dir(&self.directory) {
            Ok(entries) => entries,
            // Another user's directory: its models can be used, its keys cannot.
            Err(cause) if matches!(cause.kind(), ErrorKind::NotFound | ErrorKind::PermissionDenied) => return Ok(()),
            Err(cause) => return Err(Error::file(&self.directory, "list", &cause).into()),
        };
        for entry in entries {
            let entry = entry.map_err(|cause| Error::file(&self.directory, "list", &cause))?;
            let file = entry.file_name();
            let Some(file) = file.to_str() else { continue };
            // Temporary files have no valid provider name.
            let Ok(provider) = parse_provider_name(file.strip_suffix(VARIABLE_SUFFIX).unwrap_or(file)) else {
                continue;
            };
            let key = match self.source(&provider)? {
                KeySource::File(path) => Some(read_key(&path)?),
                KeySource::Variable(variable) => read_variable(&variable)?,
                KeySource::None => None,
            };
            if let Some(key) = key {
                nearside.set_key(&provider, Secret::new(key));
            }
        }
        Ok(())
    }

    /// Returns the source of this provider's key; `None` for names that are no valid file name.
    pub(crate) fn source(&self, provider: &str) -> Result<KeySource, CliError> {
        let Ok(provider) = parse_provider_name(provider) else {
            return Ok(KeySource::None);
        };
        let variable = self.variable_file(&provider);
        match fs::read_to_string(&variable) {
            Ok(text) => return Ok(KeySource::Variable(text.trim().to_owned())),
            Err(cause) if cause.kind() == ErrorKind::NotFound => {}
            Err(cause) => return Err(Error::file(&variable, "read", &cause).into()),
        }
        let key = self.directory.join(&provider);
        Ok(key.exists().then_some(key).map_or(KeySource::None, KeySource::File))
    }

    /// Stores this key, replacing the previous one. Returns its file.
    pub(crate) fn store_key(&self, provider: &str, key: &str) -> Result<PathBuf, CliError> {
        let file = self.directory.join(provider);
        self.write_atomic(&file, key)?;
        remove_file(&self.variable_file(provider))?;
        Ok(file)
    }

    /// Stores the name of a variable, replacing the previous key.
    pub(crate) fn store_variable(&self, provider: &str, variable: &str) -> Result<(), CliError> {
        self.write_atomic(&self.variable_file(provider), variable)?;
        remove_file(&self.directory.join(provider))
    }

    /// Removes the key of this provider, if there is one.
    pub(crate) fn remove_key(&self, provider: &str) -> Result<(), CliError> {
        let Ok(provider) = parse_provider_name(provider) else {
            return Ok(());
        };
        remove_file(&self.variable_file(&provider))?;
        remove_file(&self.directory.join(provider))
    }

    fn variable_file(&self, provider: &str) -> PathBuf {
        self.directory.join(format!("{provider}{VARIABLE_SUFFIX}"))
    }

    fn write_atomic(&self, file: &Path, text: &str) -> Result<(), CliError> {
        let map_error = |cause| Error::file(file, "write", &cause);
        create_private_directory(&self.directory).map_err(|cause| Error::file(&self.directory, "make", &cause))?;
        // Created with mode 0600, whatever the umask.
        let mut temporary = tempfile::NamedTempFile::new_in(&self.directory).map_err(map_error)?;
        temporary.write_all(text.as_bytes()).map_err(map_error)?;
        temporary.as_file().sync_all().map_err(map_error)?;
        temporary.persist(file).map_err(|cause| map_error(cause.error))?;
        Ok(())
    }
}

/// Parses a provider name, which must be a file name on any system: lower-case letters, digits, `-`, `_` and `.`, a
/// letter or digit first. (On a case-insensitive file system `Groq` must not get the key of `groq`.)
pub(crate) fn parse_provider_name(text: &str) -> Result<String, String> {
    let is_alphanumeric = |c: char| c.is_ascii_lowercase() || c.is_ascii_digit();
    let is_valid = text.starts_with(is_alphanumeric)
        && text.chars().all(|c| is_alphanumeric(c) || "-_.".contains(c))
        && !text.ends_with(VARIABLE_SUFFIX)
        && text.len() <= 64;
    match is_valid {
        true => Ok(text.to_owned()),
        false => Err(
            "a name consists of lower-case letters, digits, `-`, `_` and `.`, such as `openrouter` or `my-server`"
                .into(),
        ),
    }
}

/// Reads the key in this file and trims white space.
///
/// # Errors
/// `Unauthorized` for a file that others may read, or that holds no key; `Storage`.
pub(crate) fn read_key(path: &Path) -> Result<String, CliError> {
    let map_error = |cause| Error::file(path, "read the key", &cause);
    let file = File::open(path).map_err(map_error)?;
    let metadata = file.metadata().map_err(map_error)?;
    if metadata.is_file() && is_readable_by_others(&metadata) {
        let path = path.display();
        let text = format!("others may read the key file `{path}`, so it is not used");
        let error = Error::unauthorized(text).because(ErrorReason::AccessDenied);
        return Err(CliError::with_help(
            error,
            format!("`chmod 600 {path}` restricts it to you"),
        ));
    }
    let mut text = String::new();
    match file.take(MAX_KEY_BYTES).read_to_string(&mut text) {
        Ok(_) => validate_key(&text, &format!("`{}`", path.display())),
        Err(cause) if cause.kind() == ErrorKind::InvalidData => validate_key("", &format!("`{}`", path.display())),
        Err(cause) => Err(map_error(cause).into()),
    }
}

/// Returns the key in this text, trimmed. The error names `source` and never shows the text.
pub(crate) fn validate_key(text: &str, source: &str) -> Result<String, CliError> {
    let key = text.trim();
    if key.is_empty() || !key.chars().all(|c| c.is_ascii_graphic()) {
        return Err(CliError::with_help(
            Error::unauthorized(format!("{source} holds no key")),
            "a key is one line of printable ASCII characters without spaces",
        ));
    }
    Ok(key.to_owned())
}

fn remove_file(file: &Path) -> Result<(), CliError> {
    match fs::remove_file(file) {
        Err(cause) if cause.kind() != ErrorKind::NotFound => Err(Error::file(file, "remove", &cause).into()),
        _ => Ok(()),
    }
}

#[cfg(unix)]
fn create_private_directory(directory: &Path) -> std::io::Result<()> {
    use std::os::unix::fs::{DirBuilderExt, PermissionsExt};

    DirBuilder::new().recursive(true).mode(0o700).create(directory)?;
    // It may exist with other permissions.
    fs::set_permissions(directory, fs::Permissions::from_mode(0o700))
}

#[cfg(not(unix))]
fn create_private_directory(directory: &Path) -> std::io::Result<()> {
    DirBuilder::new().recursive(true).create(directory)
}

#[cfg(unix)]
fn is_readable_by_others(metadata: &fs::Metadata) -> bool {
    use std::os::unix::fs::PermissionsExt;

    metadata.permissions().mode() & 0o077 != 0
}

/// Returns false: on Windows files inherit the access rights of the user's own directory.
#[cfg(not(unix))]
fn is_readable_by_others(_: &fs::Metadata) -> bool {
    false
}

/// Suffix of a file that holds the name of a variable.
const VARIABLE_SUFFIX: &str = ".env";
/// Maximum length of a key file; keys have tens of bytes.
const MAX_KEY_BYTES: u64 = 16 << 10;

#[cfg(test)]
mod tests {
    use super::*;
    use crate::error::HelpContext;

    #[test]
    fn a_provider_name_is_a_file_name_on_any_system() {
        for valid in ["groq", "my-server", "llama-server", "a.b_2", "0"] {
            assert_eq!(parse_provider_name(valid).as_deref(), Ok(valid));
        }
        let dots = ["", ".", "..", ".x", "groq.env"];
        let characters = ["a/b", "a\\b", "c:", "Groq", "a b", "é", &"x".repeat(65)];
        for wrong in dots.into_iter().chain(characters) {
            assert!(parse_provider_name(wrong).is_err(), "{wrong}");
        }
    }

    #[test]
    fn the_last_stored_key_counts_and_a_removed_key_is_gone() {
        let data = tempfile::tempdir().expect("a directory");
        let keys = KeyFiles::in_directory(data.path());
        assert_eq!(keys.source("groq").expect("nothing"), KeySource::None);
        let file = keys.store_key("groq", "sk-1").expect("stored");
        assert_eq!(keys.source("groq").expect("a file"), KeySource::File(file.clone()));
        assert_eq!(read_key(&file).expect("a key"), "sk-1");
        keys.store_variable("groq", "GROQ_KEY").expect("stored");
        let variable = KeySource::Variable("GROQ_KEY".into());
        assert_eq!(keys.source("groq").expect("a name"), variable);
        assert!(!file.exists());
        keys.remove_key("groq").expect("removed");
        keys.remove_key("groq").expect("nothing to remove");
        assert_eq!(keys.source("groq").expect("nothing"), KeySource::None);
    }

    #[test]
    fn an_invalid_key_is_rejected_without_being_shown() {
        for text in ["", " \n", "two lines\nzyx", "zyx zyx", "zyx\u{7}"] {
            let error = validate_key(text, "the terminal").expect_err("no key");
            let (message, help) = error.message_and_help(&HelpContext::default()).expect("an error");
            assert!(!message.contains("zyx") && !help.contains("zyx"), "{message}; {help}");
        }
        assert_eq!(validate_key(" sk-1\n", "the terminal").expect("a key"), "sk-1");
    }
}
