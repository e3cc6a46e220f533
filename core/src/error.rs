//! The one error type of the library.
//!
//! A variant corresponds to an action of the caller: sign in, free memory, wait, report a bug. The text names the cause
//! and the remedy: lower-case, names in backticks, no final period. It reaches Swift and Kotlin unchanged, where each
//! variant is a case or an exception of its own. No text contains a prompt, an answer or a key.

use serde::{Deserialize, Serialize};

/// The result of fallible calls.
pub type Result<T, E = Error> = std::result::Result<T, E>;

macro_rules! errors {
    ($($(#[$doc:meta])* $variant:ident $make:ident,)*) => {
        /// An error, by what the app can do about it. Each variant holds its whole text in `detail`.
        #[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
        pub enum Error {
            $($(#[$doc])* #[error("{detail}")] $variant {
                /// The cause and a remedy.
                detail: String,
            },)*
        }

        /// The variants of [`Error`] without their text.
        #[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
        #[serde(rename_all = "snake_case")]
        pub enum ErrorKind {
            $($(#[$doc])* $variant,)*
        }

        impl Error {
            /// Creates an error of this kind with this text.
            pub fn new(kind: ErrorKind, detail: impl Into<String>) -> Self {
                let detail = detail.into();
                match kind { $(ErrorKind::$variant => Self::$variant { detail },)* }
            }

            /// Returns its variant.
            pub fn kind(&self) -> ErrorKind {
                match self { $(Self::$variant { .. } => ErrorKind::$variant,)* }
            }

            $(
                $(#[$doc])*
                pub fn $make(detail: impl Into<String>) -> Self {
                    Self::$variant { detail: detail.into() }
                }
            )*
        }
    };
}

errors! {
    /// The model is not on this device: download or import it.
    NotInstalled not_installed,
    /// The model does not fit into memory: use a smaller one, or a smaller context.
    TooLarge too_large,
    /// The disk is full, or a file could not be read or written.
    Storage storage,
    /// The network failed or is missing: retry later. Downloaded data is kept.
    Network network,
    /// The hub or provider returned an invalid response: a fault on its side.
    Provider provider,
    /// A key or token is missing, invalid, or lacks permission.
    Unauthorized unauthorized,
    /// Too many requests: wait, then retry. The text says how long if the server did.
    RateLimited rate_limited,
    /// A file is damaged or of another kind than declared: remove it and download it again.
    Corrupt corrupt,
    /// This build, device or model does not support the request.
    Unsupported unsupported,
    /// The request is invalid: fix it.
    InvalidRequest invalid_request,
    /// A policy forbids it: change the policy or the request.
    Blocked blocked,
    /// The resource is in use: retry later.
    Busy busy,
    /// A bug in this library: please report it.
    Internal internal,
}

impl Error {
    /// Creates the error of a failed file operation: names the path, and the remedy if the disk is full.
    pub fn file(path: &std::path::Path, action: &str, cause: &std::io::Error) -> Self {
        let path = path.display();
        match cause.kind() {
            std::io::ErrorKind::StorageFull => Self::storage(format!(
                "could not {action} `{path}`: the disk is full; free some space and try again"
            )),
            _ => Self::storage(format!("could not {action} `{path}`: {cause}")),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_error_is_its_own_text_and_knows_its_kind() {
        let error = Error::new(ErrorKind::NotInstalled, "model `a` is not installed; download it first");
        assert_eq!(error.to_string(), "model `a` is not installed; download it first");
        assert_eq!(error.kind(), ErrorKind::NotInstalled);
        assert_eq!(
            error,
            Error::not_installed("model `a` is not installed; download it first")
        );
    }
}
