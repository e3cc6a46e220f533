//! Maps errors of llama.cpp.

use crate::error::Error;

/// Maps a llama.cpp error to [`Error`].
pub(super) fn map_llama_error(error: nearside_llama::LlamaError) -> Error {
    use nearside_llama::LlamaError as E;
    let text = error.to_string();
    match error {
        E::Load(_) => Error::corrupt(format!("{text}; remove the model and download it again")),
        E::Unsupported(_) => Error::unsupported(text),
        E::Template(_) | E::Grammar(_) | E::Input(_) => Error::invalid_request(text),
        E::Context(_) => Error::too_large(format!("{text}; try a smaller context")),
        E::Decode(_) | E::Cancelled => Error::internal(text),
    }
}
