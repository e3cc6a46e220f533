//! What can go wrong, by what a caller can do about it.
//!
//! The texts come from llama.cpp or from us, say what was refused, and never hold a word of a prompt or a reply.

/// A failure of this crate. The texts are for people: lower-case, without a full stop.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum Error {
    /// The model file cannot be loaded: absent, cut, damaged, or of a kind llama.cpp does not know.
    #[error("cannot load the model: {0}")]
    Load(String),
    /// No context could be made: too little memory, or parameters that the model does not allow.
    #[error("cannot make a context: {0}")]
    Context(String),
    /// The model failed to compute; the context should be thrown away.
    #[error("cannot decode: {0}")]
    Decode(String),
    /// The chat template is wrong or refuses the messages, or a reply does not have the shape it asks for.
    #[error("chat template: {0}")]
    Template(String),
    /// A grammar or schema is wrong, or a reply left it.
    #[error("grammar: {0}")]
    Grammar(String),
    /// The caller passed something that has no meaning here.
    #[error("invalid input: {0}")]
    Input(String),
    /// The caller's own progress callback asked to stop.
    #[error("cancelled")]
    Cancelled,
    /// This processor or this kind of model is not supported.
    #[error("unsupported: {0}")]
    Unsupported(String),
}
