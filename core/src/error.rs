//! The one error type of the library: kind, reason, text.
//!
//! The kind (a variant) is the family. The [`ErrorReason`] is what an app acts on and translates: ask for consent, open a
//! page, offer a smaller model. The text is for a person: lower-case, the cause and the remedy, names in backticks, no
//! final period, no command and no identifier. All three reach Swift and Kotlin unchanged. No text contains a prompt, an
//! answer or a key.

use std::time::Duration;

use serde::{Deserialize, Serialize};

/// The result of fallible calls.
pub type Result<T, E = Error> = std::result::Result<T, E>;

macro_rules! errors {
    ($($(#[$doc:meta])* $variant:ident $make:ident $reason:ident,)*) => {
        /// An error, by family. Each variant has the same fields.
        #[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
        pub enum Error {
            $($(#[$doc])* #[error("{detail}")] $variant {
                /// The cause and a remedy.
                detail: String,
                /// What an app can do about it.
                reason: ErrorReason,
                /// Milliseconds until a retry can succeed. Unset: unknown.
                retry_after_ms: Option<u64>,
                /// Address of a page where the user removes the cause, such as the terms of a model.
                help_url: Option<String>,
            },)*
        }

        /// The variants of [`Error`] without their fields.
        #[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
        #[serde(rename_all = "snake_case")]
        pub enum ErrorKind {
            $($(#[$doc])* $variant,)*
        }

        impl ErrorKind {
            /// All kinds.
            pub const ALL: &[Self] = &[$(Self::$variant,)*];

            /// Returns the reason of an error of this kind that states no other.
            pub fn usual_reason(self) -> ErrorReason {
                match self { $(Self::$variant => ErrorReason::$reason,)* }
            }
        }

        impl Error {
            /// Creates an error of this kind with this text and the kind's usual reason.
            pub fn new(kind: ErrorKind, detail: impl Into<String>) -> Self {
                let (detail, reason, retry_after_ms, help_url) = (detail.into(), kind.usual_reason(), None, None);
                match kind {
                    $(ErrorKind::$variant => Self::$variant { detail, reason, retry_after_ms, help_url },)*
                }
            }

            /// Returns its variant.
            pub fn kind(&self) -> ErrorKind {
                match self { $(Self::$variant { .. } => ErrorKind::$variant,)* }
            }

            /// Returns its reason.
            pub fn reason(&self) -> ErrorReason {
                match self { $(Self::$variant { reason, .. } => *reason,)* }
            }

            /// Returns its text.
            pub fn detail(&self) -> &str {
                match self { $(Self::$variant { detail, .. } => detail,)* }
            }

            /// Returns the milliseconds until a retry can succeed, if known.
            pub fn retry_after_ms(&self) -> Option<u64> {
                match self { $(Self::$variant { retry_after_ms, .. } => *retry_after_ms,)* }
            }

            /// Returns the address of a page that helps, if known.
            pub fn help_url(&self) -> Option<&str> {
                match self { $(Self::$variant { help_url, .. } => help_url.as_deref(),)* }
            }

            /// Sets the reason.
            #[must_use]
            pub fn because(mut self, cause: ErrorReason) -> Self {
                match &mut self { $(Self::$variant { reason, .. } => *reason = cause,)* }
                self
            }

            /// Sets the time until a retry can succeed.
            #[must_use]
            pub fn with_retry_after(mut self, after: Option<Duration>) -> Self {
                let after = after.map(|after| u64::try_from(after.as_millis()).unwrap_or(u64::MAX));
                match &mut self { $(Self::$variant { retry_after_ms, .. } => *retry_after_ms = after,)* }
                self
            }

            /// Sets the address of a page that helps.
            #[must_use]
            pub fn with_help_url(mut self, url: impl Into<String>) -> Self {
                let url = Some(url.into());
                match &mut self { $(Self::$variant { help_url, .. } => *help_url = url,)* }
                self
            }

            /// Replaces the text.
            #[must_use]
            pub fn with_detail(mut self, text: impl Into<String>) -> Self {
                let text = text.into();
                match &mut self { $(Self::$variant { detail, .. } => *detail = text,)* }
                self
            }

            $(
                $(#[$doc])*
                pub fn $make(detail: impl Into<String>) -> Self {
                    Self::new(ErrorKind::$variant, detail)
                }
            )*
        }
    };
}

errors! {
    /// The model is not on this device: download or import it.
    NotInstalled not_installed ModelNotInstalled,
    /// The model does not fit into memory: use a smaller one, or a smaller context.
    TooLarge too_large ModelTooLarge,
    /// The disk is full, or a file could not be read or written.
    Storage storage StorageFailed,
    /// The network failed or is missing: retry later. Downloaded data is kept.
    Network network Unreachable,
    /// The hub or provider returned an invalid response: a fault on its side.
    Provider provider ProviderFault,
    /// A key or token is missing, invalid, or lacks permission.
    Unauthorized unauthorized KeyRejected,
    /// Too many requests: wait, then retry. The text says how long if the server did.
    RateLimited rate_limited RateLimited,
    /// A file is damaged or of another kind than declared: remove it and download it again.
    Corrupt corrupt Damaged,
    /// This build, device or model does not support the request.
    Unsupported unsupported Unsupported,
    /// The request is invalid: fix it.
    InvalidRequest invalid_request InvalidParameter,
    /// A policy forbids it: change the policy or the request.
    Blocked blocked PolicyForbids,
    /// The resource is in use, or was closed: retry later.
    Busy busy Busy,
    /// A bug in this library, or in the app's host: please report it.
    Internal internal Bug,
}

macro_rules! reasons {
    ($($(#[$doc:meta])* $variant:ident $kind:ident $id:literal,)*) => {
        /// Why a call failed, as far as an app does something different about it. Its id, as JSON shows it, is stable.
        #[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
        pub enum ErrorReason {
            $($(#[$doc])* #[serde(rename = $id)] $variant,)*
        }

        impl ErrorReason {
            /// All reasons.
            pub const ALL: &[Self] = &[$(Self::$variant,)*];

            /// Returns its id.
            pub fn id(self) -> &'static str {
                match self { $(Self::$variant => $id,)* }
            }

            /// Returns the kind of most errors with this reason.
            pub fn usual_kind(self) -> ErrorKind {
                match self { $(Self::$variant => ErrorKind::$kind,)* }
            }
        }
    };
}

reasons! {
    /// The user has not consented to this target yet: ask.
    ConsentRequired Blocked "consent_required",
    /// The routing policy, or the request's mode or sensitivity, excludes every target: change it or the request.
    PolicyForbids Blocked "policy_forbids",
    /// The answer could cost more than a cap leaves: shorten it, or raise the cap.
    CostCap Blocked "cost_cap",
    /// The provider's content filter rejected the request: change its text.
    ContentFiltered Blocked "content_filtered",
    /// A key or token is needed and none is set: ask for it.
    KeyMissing Unauthorized "key_missing",
    /// The key or token is wrong or expired: ask for a new one.
    KeyRejected Unauthorized "key_rejected",
    /// The key is valid, and its account may not do this: use another account.
    KeyForbidden Unauthorized "key_forbidden",
    /// The account has no credit left: add some at the provider.
    NoCredit Unauthorized "no_credit",
    /// The terms of a model must be accepted first: open the page that the error names.
    TermsNotAccepted Unauthorized "terms_not_accepted",
    /// The device has no connection: wait for one.
    Offline Network "offline",
    /// The server cannot be reached: check its address and the network.
    Unreachable Network "unreachable",
    /// The app may not use the local network, where the server is: ask the user for that permission.
    LocalNetworkDenied Network "local_network_denied",
    /// The server was reached and did not answer in time: retry.
    NoResponse Network "no_response",
    /// The connection broke off in the middle: continue or retry.
    Interrupted Network "interrupted",
    /// The deadline of the request passed: allow more time.
    DeadlineExceeded Busy "deadline_exceeded",
    /// The server returned an invalid response: retry, or use another.
    ProviderFault Provider "provider_fault",
    /// The conversation is longer than the context: start a new one, or send less.
    ContextExceeded InvalidRequest "context_exceeded",
    /// No such model is offered there: choose another.
    UnknownModel InvalidRequest "unknown_model",
    /// There is no such conversation, message or provider: refresh the list.
    NotFound InvalidRequest "not_found",
    /// A parameter of the request is invalid: fix it.
    InvalidParameter InvalidRequest "invalid_parameter",
    /// The model is not on this device: download it.
    ModelNotInstalled NotInstalled "model_not_installed",
    /// The model does not fit into memory: use a smaller one, or a smaller context.
    ModelTooLarge TooLarge "model_too_large",
    /// This build, device or model cannot do what the request needs: choose another model.
    Unsupported Unsupported "unsupported",
    /// The disk is full: free some space.
    DiskFull Storage "disk_full",
    /// The file or directory may not be read or written: change its permissions.
    AccessDenied Storage "access_denied",
    /// A file is damaged: download it again if it is a model. One that the library keeps conversations or settings in is
    /// never removed: restore a copy of it, or move it away, which loses what is in it.
    Damaged Corrupt "damaged",
    /// The data was written by a newer version of the library: update the app.
    NewerVersion Storage "newer_version",
    /// A file could not be read or written for another cause: retry.
    StorageFailed Storage "storage_failed",
    /// Too many requests: wait.
    RateLimited RateLimited "rate_limited",
    /// The provider failed repeatedly and is not asked for a while: wait, or use another.
    CircuitOpen Busy "circuit_open",
    /// The server has no capacity at the moment: wait, or use another.
    Overloaded Busy "overloaded",
    /// A model, a conversation, a download or a file on this device is in use: wait.
    Busy Busy "busy",
    /// The library was closed while it worked: open it again to retry.
    Closed Busy "closed",
    /// A bug in this library, or in the app's host: please report it.
    Bug Internal "bug",
}

impl Error {
    /// Creates an error with this reason and text, of the reason's usual kind.
    pub fn of(reason: ErrorReason, detail: impl Into<String>) -> Self {
        Self::new(reason.usual_kind(), detail).because(reason)
    }

    /// Creates the error of a request whose own deadline passed: the same wherever it is noticed.
    pub(crate) fn deadline_exceeded() -> Self {
        Self::of(
            ErrorReason::DeadlineExceeded,
            "the answer was not complete within its deadline; allow more time, or ask for a shorter answer",
        )
    }

    /// Creates the error of work that ended without a result: a panic is a bug, an abort means that the library was
    /// closed. The text of a panic is not repeated, because it may contain content.
    pub(crate) fn unfinished(panicked: bool) -> Self {
        match panicked {
            true => Self::internal("the library failed in the middle of its work; this is a bug, please report it"),
            false => Self::of(
                ErrorReason::Closed,
                "the library was closed before the work was done; open it and try again",
            ),
        }
    }

    /// Creates the error of a thread that the system does not start.
    pub(crate) fn thread_limit(cause: &std::io::Error) -> Self {
        Self::busy(format!(
            "the system starts no more threads for this program ({cause}): it or its container limits them; close other \
             programs, or raise that limit"
        ))
        .because(ErrorReason::Overloaded)
    }

    /// Creates the error of a failed file operation: names the path, and the remedy if the disk is full.
    pub fn file(path: &std::path::Path, action: &str, cause: &std::io::Error) -> Self {
        let path = path.display();
        match cause.kind() {
            std::io::ErrorKind::StorageFull | std::io::ErrorKind::QuotaExceeded => Self::storage(format!(
                "could not {action} `{path}`: the disk is full; free some space and try again"
            ))
            .because(ErrorReason::DiskFull),
            std::io::ErrorKind::PermissionDenied | std::io::ErrorKind::ReadOnlyFilesystem => Self::storage(format!(
                "could not {action} `{path}`: {cause}; change the permissions of the file or its directory"
            ))
            .because(ErrorReason::AccessDenied),
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

    #[test]
    fn a_reason_a_time_and_a_page_travel_with_the_error() {
        let error = Error::unauthorized("accept the terms")
            .because(ErrorReason::TermsNotAccepted)
            .with_retry_after(Some(Duration::from_secs(2)))
            .with_help_url("https://example.org/terms");
        assert_eq!(
            (error.reason(), error.retry_after_ms(), error.help_url()),
            (
                ErrorReason::TermsNotAccepted,
                Some(2_000),
                Some("https://example.org/terms")
            )
        );
        assert_eq!(Error::network("x").reason(), ErrorReason::Unreachable);
    }

    #[test]
    fn a_kind_and_its_usual_reason_belong_together() {
        for kind in ErrorKind::ALL {
            assert_eq!(kind.usual_reason().usual_kind(), *kind);
            assert_eq!(Error::new(*kind, "x").reason(), kind.usual_reason());
        }
        let closed = Error::of(ErrorReason::Closed, "the library was closed");
        assert_eq!((closed.kind(), closed.reason()), (ErrorKind::Busy, ErrorReason::Closed));
        assert_eq!(closed.detail(), "the library was closed");
    }

    #[test]
    fn ids_are_unique_and_those_of_the_json() {
        let ids: std::collections::BTreeSet<_> = ErrorReason::ALL.iter().map(|reason| reason.id()).collect();
        assert_eq!(ids.len(), ErrorReason::ALL.len());
        for reason in ErrorReason::ALL {
            let json = serde_json::to_value(reason).expect("json");
            assert_eq!(json, reason.id());
        }
    }
}
