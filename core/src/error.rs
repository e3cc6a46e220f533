//! The one error type of the library.
//!
//! A variant is something a caller can *do*: sign in, free memory, wait, report a bug. The text says what happened and
//! what helps: lower-case, the thing in backticks, no final period. It reaches Swift and Kotlin word for word, where
//! each variant is a case or an exception of its own. No text ever holds a prompt, a reply or a key.

use serde::{Deserialize, Serialize};

/// The result of everything that can fail here.
pub type Result<T, E = Error> = std::result::Result<T, E>;

macro_rules! errors {
    ($($(#[$doc:meta])* $variant:ident $make:ident,)*) => {
        /// What went wrong, by what the caller can do about it. Every variant carries its whole text in `detail`.
        #[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
        pub enum Error {
            $($(#[$doc])* #[error("{detail}")] $variant {
                /// What happened, and the remedy.
                detail: String,
            },)*
        }

        /// The variants of [`Error`] without their text, for code that branches, counts or scripts.
        #[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
        #[serde(rename_all = "snake_case")]
        pub enum ErrorKind {
            $($(#[$doc])* $variant,)*
        }

        impl Error {
            /// An error of this kind with this text.
            pub fn new(kind: ErrorKind, detail: impl Into<String>) -> Self {
                let detail = detail.into();
                match kind { $(ErrorKind::$variant => Self::$variant { detail },)* }
            }

            /// Which variant this is.
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
    /// The model does not fit the memory there is: take a smaller one, or a smaller context.
    TooLarge too_large,
    /// The disk is full, or a file could not be read or written.
    Storage storage,
    /// The network failed or is missing: try again, or later. What was downloaded is kept.
    Network network,
    /// The hub or provider returned an invalid response: a fault on its side.
    Provider provider,
    /// A key or a token is missing, wrong, or lacks the right.
    Unauthorized unauthorized,
    /// Too many requests: wait, then try again. The text says how long where the other side said so.
    RateLimited rate_limited,
    /// A file is damaged or is not what it claims to be: remove it and download it again.
    Corrupt corrupt,
    /// This build, device or model cannot do what was asked.
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
    /// A file operation failed: names the path and turns "no space left" into a remedy.
    pub fn file(path: &std::path::Path, what: &str, cause: &std::io::Error) -> Self {
        let path = path.display();
        match cause.kind() {
            std::io::ErrorKind::StorageFull => Self::storage(format!(
                "could not {what} `{path}`: the disk is full; free some space and try again"
            )),
            _ => Self::storage(format!("could not {what} `{path}`: {cause}")),
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
