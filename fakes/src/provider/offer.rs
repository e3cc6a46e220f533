//! The models that a server offers at present, and the paths at which it is out of order.

/// The models of a server, and the paths at which it is out of order.
#[derive(Debug, Clone, Default)]
pub(super) struct Offer {
    pub(super) models: Vec<String>,
    /// Whether a compatible server is an Ollama server that is used through its compatible API.
    pub(super) is_ollama: bool,
    /// Those of the models that an Ollama server forwards to another host.
    pub(super) forwarded: Vec<String>,
    /// Those that it forwards and of which only the description of each alone says so.
    pub(super) forwarded_unlisted: Vec<String>,
    /// Ends of paths that get an error of this status.
    pub(super) failing: Vec<(String, u16)>,
    /// Ends of paths that get no answer.
    pub(super) silent: Vec<String>,
}
