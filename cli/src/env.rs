//! Environment variables. The library reads none; this program reads them here only.

use std::env::VarError;

use nearside::{Error, NetworkConfig};

use crate::error::CliError;

/// Returns the flag's value or, without one, the variable's.
pub(crate) fn flag_or_variable(flag: &Option<String>, name: &str) -> Result<Option<String>, CliError> {
    match flag {
        Some(value) => Ok(Some(value.clone())),
        None => read_variable(name),
    }
}

/// Returns the network settings of the usual variables: `HTTPS_PROXY`, else `ALL_PROXY`, and `NO_PROXY`, each also in lower
/// case, which takes precedence.
pub(crate) fn network_config() -> Result<NetworkConfig, CliError> {
    let read = |names: &[&str]| -> Result<Option<String>, CliError> {
        for name in names {
            if let Some(value) = read_variable(name)? {
                return Ok(Some(value));
            }
        }
        Ok(None)
    };
    Ok(NetworkConfig {
        proxy: read(&["https_proxy", "HTTPS_PROXY", "all_proxy", "ALL_PROXY"])?,
        no_proxy: read(&["no_proxy", "NO_PROXY"])?,
        ..NetworkConfig::default()
    })
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
