//! The error type. Flat: a case or an exception per variant, with the core's text as its message. An exception carries
//! no figures; an app gets those (such as missing bytes) from `fit`.

pub(crate) type NearsideError = nearside::Error;
pub(crate) use nearside::{ErrorKind, ErrorReason};
pub(crate) type Result<T, E = NearsideError> = std::result::Result<T, E>;

/// An error, by what the app can do about it. The message describes the cause and a remedy.
#[uniffi::remote(Error)]
#[uniffi(flat_error)]
pub enum NearsideError {
    /// The model is not on this device: download or import it.
    NotInstalled { detail: String },
    /// The model does not fit into memory: use a smaller one, or a smaller context.
    TooLarge { detail: String },
    /// The disk is full, or a file could not be read or written.
    Storage { detail: String },
    /// The network failed or is missing: retry later. Downloaded data is kept.
    Network { detail: String },
    /// The hub or provider returned an invalid response: a fault on its side.
    Provider { detail: String },
    /// A key or token is missing, invalid, or lacks permission.
    Unauthorized { detail: String },
    /// Too many requests: wait, then retry. The text says how long if the server did.
    RateLimited { detail: String },
    /// A file is damaged or of another kind than declared: remove it and download it again.
    Corrupt { detail: String },
    /// This build, device or model does not support the request.
    Unsupported { detail: String },
    /// The request is invalid: fix it.
    InvalidRequest { detail: String },
    /// A policy forbids it: change the policy or the request.
    Blocked { detail: String },
    /// The resource is in use: retry later.
    Busy { detail: String },
    /// A bug in this library: please report it.
    Internal { detail: String },
}

/// The cases of `NearsideError` without their text.
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
    /// A file is damaged: remove it, and download it again if it is a model.
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
    /// Something on this device is in use (a model, a conversation, a download, a file): wait.
    Busy,
    /// The library was closed while it worked: nothing to do.
    Closed,
    /// A bug in this library: please report it.
    Bug,
}
