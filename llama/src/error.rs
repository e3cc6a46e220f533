//! Errors, grouped by what a caller can do about them.
//!
//! The texts come from llama.cpp or from this crate, name the cause, and never contain any of a prompt or a reply.

/// An error of this crate. The texts are lower-case sentences without a full stop, fit to show to a user.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum LlamaError {
    /// The model file cannot be loaded: missing, truncated, damaged, or of a kind that llama.cpp does not support.
    #[error("cannot load the model: {0}")]
    Load(String),
    /// The model could not be loaded, because there is too little memory.
    #[error("there is not enough memory to load the model: {0}")]
    LoadMemory(String),
    /// The context could not be created, because there is too little memory.
    #[error("cannot create a context: {0}")]
    Context(String),
    /// The context could not be created, because the model does not allow its parameters, such as the type of the cache.
    #[error("the model does not allow such a context: {0}")]
    ContextParams(String),
    /// The system does not start this many threads for a context: it or its container is at a limit.
    #[error("cannot start {0} threads")]
    Threads(u32),
    /// The computation failed; discard the context.
    #[error("cannot decode: {0}")]
    Decode(String),
    /// The computation gave no numbers, as damaged weights make it; discard the context.
    #[error("the model computed a value that is not a number")]
    NotANumber,
    /// The chat template is invalid or raises an error for the messages, or a reply lacks the format that it requires.
    #[error("chat template: {0}")]
    Template(String),
    /// No chat template can run now, because of others. Nothing is wrong with this one, or with the system.
    #[error("cannot run the chat template now: {0}")]
    TemplateBusy(String),
    /// A grammar or schema is invalid, or no token can continue the reply under it.
    #[error("grammar: {0}")]
    Grammar(String),
    /// An argument is invalid.
    #[error("invalid input: {0}")]
    Input(String),
    /// The caller's progress callback returned `false`.
    #[error("cancelled")]
    Cancelled,
    /// This processor or this kind of model is not supported.
    #[error("unsupported: {0}")]
    Unsupported(String),
}

/// Returns `reason`, or a general text if llama.cpp gave none.
pub(crate) fn ensure_reason(reason: String) -> String {
    if reason.is_empty() {
        return "llama.cpp failed without a reason".to_owned();
    }
    reason
}

/// Returns the error of a model that llama.cpp did not load, by its reason: memory, or the file.
pub(crate) fn load_error(reason: String) -> LlamaError {
    // Also in `std::bad_alloc`.
    if reason.contains("alloc") || reason.contains("out of memory") {
        LlamaError::LoadMemory(reason)
    } else {
        LlamaError::Load(ensure_reason(reason))
    }
}

/// Returns the error of a context that llama.cpp did not create, by its reason: memory, or parameters.
pub(crate) fn context_error(reason: String) -> LlamaError {
    let is_memory = ["alloc", "memory", "buffer"].iter().any(|word| reason.contains(word));
    if is_memory {
        LlamaError::Context(reason)
    } else {
        LlamaError::ContextParams(reason)
    }
}
