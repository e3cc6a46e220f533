//! Environment variables. The library reads none; this program reads them here only.

use std::env::VarError;

use nearside::Error;

use crate::error::CliError;

/// Returns the flag's value or, without one, the variable's.
pub(crate) fn flag_or_variable(flag: &Option<String>, name: &str) -> Result<Option<String>, CliError> {
    match flag {
        Some(value) => Ok(Some(value.clone())),
        None => read_variable(name),
    }
}

/// Returns a non-empty environment variable. An unreadable one is an error: ignoring it would put models in an
/// unexpected place. Its value is never in an error text, since it may be a token.
pub(crate) fn read_variable(name: &str) -> Result<Option<String>, CliError> {
    match std::env::var(name) {
        Ok(value) => Ok(Some(value.trim().to_owned()).filter(|value| !value.is_empty())),
        Err(VarError::NotPresent) => Ok(None),
        Err(VarError::NotUnicode(_)) => {
            let error = Error::invalid_request(format!("`{name}` is not UTF-8 text"));
            Err(CliError::with_help(error, "set it again, or unset it"))
        }
    }
}
