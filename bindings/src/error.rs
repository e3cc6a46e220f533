//! The error type. Each variant has the same fields: the text, the reason, and what helps. `message` in Kotlin and
//! `description` in Swift are the text alone (scripts/patch-bindings.py); an app gets figures such as missing bytes from
//! `fit`.

pub(crate) type NearsideError = nearside::Error;
pub(crate) use nearside::{ErrorKind, ErrorReason};
pub(crate) type Result<T, E = NearsideError> = std::result::Result<T, E>;

/// An error, by family. `reason` tells what an app can do; `detail` describes the cause and a remedy for the user.
#[uniffi::remote(Error)]
pub enum NearsideError {
    /// The model is not on this device: download or import it.
    NotInstalled {
        detail: String,
        reason: ErrorReason,
        retry_after_ms: Option<u64>,
        help_url: Option<String>,
    },
    /// The model does not fit into memory: use a smaller one, or a smaller context.
    TooLarge {
        detail: String,
        reason: ErrorReason,
        retry_after_ms: Option<u64>,
        help_url: Option<String>,
    },
    /// The disk is full, or a file could not be read or written.
    Storage {
        detail: String,
        reason: ErrorReason,
        retry_after_ms: Option<u64>,
        help_url: Option<String>,
    },
    /// The network failed or is missing: retry later. Downloaded data is kept.
    Network {
        detail: String,
        reason: ErrorReason,
        retry_after_ms: Option<u64>,
        help_url: Option<String>,
    },
    /// The hub or provider returned an invalid response: a fault on its side.
    Provider {
        detail: String,
        reason: ErrorReason,
        retry_after_ms: Option<u64>,
        help_url: Option<String>,
    },
    /// A key or token is missing, invalid, or lacks permission.
    Unauthorized {
        detail: String,
        reason: ErrorReason,
        retry_after_ms: Option<u64>,
        help_url: Option<String>,
    },
    /// Too many requests: wait, then retry. The text says how long if the server did.
    RateLimited {
        detail: String,
        reason: ErrorReason,
        retry_after_ms: Option<u64>,
        help_url: Option<String>,
    },
    /// A file is damaged or of another kind than declared: remove it and download it again.
    Corrupt {
        detail: String,
        reason: ErrorReason,
        retry_after_ms: Option<u64>,
        help_url: Option<String>,
    },
    /// This build, device or model does not support the request.
    Unsupported {
        detail: String,
        reason: ErrorReason,
        retry_after_ms: Option<u64>,
        help_url: Option<String>,
    },
    /// The request is invalid: fix it.
    InvalidRequest {
        detail: String,
        reason: ErrorReason,
        retry_after_ms: Option<u64>,
        help_url: Option<String>,
    },
    /// A policy forbids it: change the policy or the request.
    Blocked {
        detail: String,
        reason: ErrorReason,
        retry_after_ms: Option<u64>,
        help_url: Option<String>,
    },
    /// The resource is in use, or was closed: retry later.
    Busy {
        detail: String,
        reason: ErrorReason,
        retry_after_ms: Option<u64>,
        help_url: Option<String>,
    },
    /// A bug in this library, or in the app's host: please report it.
    Internal {
        detail: String,
        reason: ErrorReason,
        retry_after_ms: Option<u64>,
        help_url: Option<String>,
    },
}

/// The cases of `NearsideError` without their fields.
#[uniffi::remote(Enum)]
pub enum ErrorKind {
    NotInstalled,
    TooLarge,
    Storage,
    Network,
    Provider,
    Unauthorized,
    RateLimited,
    Corrupt,
    Unsupported,
    InvalidRequest,
    Blocked,
    Busy,
    Internal,
}

/// Why a call failed, as far as an app does something different about it.
#[uniffi::remote(Enum)]
pub enum ErrorReason {
    /// The user has not consented to this target yet: ask.
    ConsentRequired,
    /// The routing policy, or the request's mode or sensitivity, excludes every target: change it or the request.
    PolicyForbids,
    /// The answer could cost more than a cap leaves: shorten it, or raise the cap.
    CostCap,
    /// The provider's content filter rejected the request: change its text.
    ContentFiltered,
    /// A key or token is needed and none is set: ask for it.
    KeyMissing,
    /// The key or token is wrong or expired: ask for a new one.
    KeyRejected,
    /// The key is valid, and its account may not do this: use another account.
    KeyForbidden,
    /// The account has no credit left: add some at the provider.
    NoCredit,
    /// The terms of a model must be accepted first: open the page that the error names.
    TermsNotAccepted,
    /// The device has no connection: wait for one.
    Offline,
    /// The server cannot be reached: check its address and the network.
    Unreachable,
    /// The app may not use the local network, where the server is: ask the user for that permission.
    LocalNetworkDenied,
    /// The server was reached and did not answer in time: retry.
    NoResponse,
    /// The connection broke off in the middle: continue or retry.
    Interrupted,
    /// The deadline of the request passed: allow more time.
    DeadlineExceeded,
    /// The server returned an invalid response: retry, or use another.
    ProviderFault,
    /// The conversation is longer than the context: start a new one, or send less.
    ContextExceeded,
    /// No such model is offered there: choose another.
    UnknownModel,
    /// There is no such conversation, message or provider: refresh the list.
    NotFound,
    /// A parameter of the request is invalid: fix it.
    InvalidParameter,
    /// The model is not on this device: download it.
    ModelNotInstalled,
    /// The model does not fit into memory: use a smaller one, or a smaller context.
    ModelTooLarge,
    /// This build, device or model cannot do what the request needs: choose another model.
    Unsupported,
    /// The disk is full: free some space.
    DiskFull,
    /// The file or directory may not be read or written: change its permissions.
    AccessDenied,
    /// A file is damaged: download it again if it is a model. One with conversations or settings is never removed: restore a
    /// copy of it, or move it away, which loses what is in it.
    Damaged,
    /// The data was written by a newer version of the library: update the app.
    NewerVersion,
    /// A file could not be read or written for another cause: retry.
    StorageFailed,
    /// Too many requests: wait.
    RateLimited,
    /// The provider failed repeatedly and is not asked for a while: wait, or use another.
    CircuitOpen,
    /// The server has no capacity at the moment: wait, or use another.
    Overloaded,
    /// A model, a conversation, a download or a file on this device is in use: wait.
    Busy,
    /// The library was closed while it worked: open it again to retry.
    Closed,
    /// A bug in this library, or in the app's host: please report it.
    Bug,
}

/// An error of the app's own host: thrown by it, or made of whatever it throws.
#[derive(Debug, thiserror::Error, uniffi::Error)]
pub enum HostError {
    /// The host could not report the facts.
    #[error("{detail}")]
    Failed {
        /// Its own text.
        detail: String,
    },
}

impl From<uniffi::UnexpectedUniFFICallbackError> for HostError {
    fn from(thrown: uniffi::UnexpectedUniFFICallbackError) -> Self {
        // Kotlin sends the whole stack trace; its first line has the class and the text.
        let detail = thrown.reason.lines().next().unwrap_or_default().to_owned();
        Self::Failed { detail }
    }
}
