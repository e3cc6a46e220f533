//! Maps errors of llama.cpp.

use nearside_llama::LlamaError;

use crate::error::{Error, ErrorReason};
use crate::model::fit::broken_template;

/// Maps a llama.cpp error to [`Error`].
pub(super) fn map_llama_error(error: LlamaError) -> Error {
    let text = error.to_string();
    match error {
        LlamaError::Load(_) => Error::corrupt(format!("{text}; remove the model and download it again")),
        LlamaError::LoadMemory(_) => Error::too_large(format!("{text}; close other apps, or use a smaller model")),
        LlamaError::Unsupported(_) => Error::unsupported(text),
        LlamaError::Template(_) | LlamaError::Input(_) => Error::invalid_request(text),
        LlamaError::Grammar(_) => Error::invalid_request(format!(
            "the model cannot be held to the required format ({text}); simplify the schema"
        )),
        LlamaError::Context(_) => Error::too_large(format!("{text}; try a smaller context")),
        LlamaError::ContextParams(_) => Error::unsupported(format!("{text}; take a cache of 16-bit floats")),
        LlamaError::Threads(_) => Error::busy(format!(
            "{text}: the system or a container limits how many this program may run; close other programs, or raise \
             that limit"
        ))
        .because(ErrorReason::Overloaded),
        LlamaError::TemplateBusy(_) => Error::busy(text).because(ErrorReason::Overloaded),
        LlamaError::NotANumber => Error::corrupt(format!(
            "{text}, as damaged weights make it; remove the model and download it again, or take another file"
        )),
        LlamaError::Decode(reason) if ["alloc", "memory"].iter().any(|word| reason.contains(word)) => {
            Error::too_large(format!("{text}; close other apps, or use a smaller model or context"))
        }
        // As a fault of a GPU or its driver.
        LlamaError::Decode(_) => Error::internal(format!("{text}; try again, or use another model")),
        LlamaError::Cancelled => Error::internal(text),
    }
}

/// Maps the error of a template that fails for any conversation: the file is at fault, not the request.
pub(super) fn template_error(error: LlamaError) -> Error {
    match error {
        LlamaError::Template(reason) => broken_template(&reason),
        other => map_llama_error(other),
    }
}

/// Returns the error of a model of which no token can continue an answer in its required format.
pub(super) fn no_token() -> Error {
    Error::unsupported(
        "the model has no token that continues the answer in the required format; simplify the schema, or use another \
         model",
    )
}

/// Returns the error of a context that was reduced and cannot be as large again.
pub(super) fn no_memory(tokens: usize, remedy: &str) -> Error {
    Error::too_large(format!(
        "there is no memory now for a context of {tokens} tokens; close other apps, or {remedy}"
    ))
}

/// Returns the error of a measurement that did not end.
pub(super) fn measurement_cancelled() -> Error {
    Error::busy("the model was unloaded during the measurement; measure again")
}

/// Why there is no answer.
#[derive(Debug)]
pub(super) enum AnswerError {
    /// This request failed.
    Failed(Error),
    /// The user cancelled, or the deadline passed.
    Stopped,
    /// Every request to this model would fail.
    ModelUnusable(Error),
}

impl From<Error> for AnswerError {
    fn from(error: Error) -> Self {
        Self::Failed(error)
    }
}
