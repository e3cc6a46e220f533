//! Environment variables. The library reads none; this program reads them here only.

use std::env::VarError;

use nearside::{Error, NetworkConfig};

use crate::error::{CliError, ProxyFault};

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
    let value = |found: Option<(&str, String)>| found.map(|(_, value)| value);
    Ok(NetworkConfig {
        proxy: value(first_variable(&PROXY_VARIABLES)?),
        no_proxy: value(first_variable(&["no_proxy", "NO_PROXY"])?),
        ..NetworkConfig::default()
    })
}

/// Returns the variable that holds the proxy, if its value is the address of none.
pub(crate) fn proxy_fault() -> Option<ProxyFault> {
    // One that cannot be read is reported where it is used.
    let (variable, value) = first_variable(&PROXY_VARIABLES).ok()??;
    let network = NetworkConfig {
        proxy: Some(value),
        ..NetworkConfig::default()
    };
    let error = network.check_proxy().err()?;
    Some(ProxyFault { variable, error })
}

/// Returns the first of these variables that is set, and its value.
fn first_variable(names: &[&'static str]) -> Result<Option<(&'static str, String)>, CliError> {
    for name in names {
        if let Some(value) = read_variable(name)? {
            return Ok(Some((name, value)));
        }
    }
    Ok(None)
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

/// Variables of the proxy, the first that is set counts.
const PROXY_VARIABLES: [&str; 4] = ["https_proxy", "HTTPS_PROXY", "all_proxy", "ALL_PROXY"];
