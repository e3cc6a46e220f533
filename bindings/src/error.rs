//! The error type. Flat: a case or an exception per variant, with the core's text as its message. An exception carries
//! no figures; an app gets those (such as missing bytes) from `fit`.

pub(crate) type NearsideError = nearside::Error;
pub(crate) use nearside::ErrorKind;
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
