//! The one error. Flat: a case or an exception per variant, and the core's own text as its message. What an app needs
//! in order to decide (how many bytes are missing, say) it asks for with `fit`, not out of an exception.

pub(crate) type NearsideError = nearside::Error;
pub(crate) use nearside::ErrorKind;

/// What went wrong, by what the app can do about it. The message says what happened and what helps.
#[uniffi::remote(Error)]
#[uniffi(flat_error)]
pub enum NearsideError {
    /// The model is not on this device: download or import it.
    NotInstalled { detail: String },
    /// The model does not fit the memory there is: take a smaller one, or a smaller context.
    TooLarge { detail: String },
    /// The disk is full, or a file could not be read or written.
    Storage { detail: String },
    /// The network failed or is missing: try again, or later. What was downloaded is kept.
    Network { detail: String },
    /// The hub or provider returned an invalid response: a fault on its side.
    Provider { detail: String },
    /// A key or a token is missing, wrong, or lacks the right.
    Unauthorized { detail: String },
    /// Too many requests: wait, then try again. The text says how long where the other side said so.
    RateLimited { detail: String },
    /// A file is damaged or is not what it claims to be: remove it and download it again.
    Corrupt { detail: String },
    /// This build, device or model cannot do what was asked.
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

/// The cases of `NearsideError` without their text: what a script fails with.
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
