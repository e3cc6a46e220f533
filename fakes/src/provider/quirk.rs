//! Shapes of answers and errors that servers in the field send beside the documented ones, from public bug reports of other
//! clients.

use serde::{Deserialize, Serialize};
use serde_json::json;

use super::dialect::Dialect;

/// A shape of the field.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Quirk {
    /// An `error:` line after the text, then the end marker: llama.cpp's server.
    ErrorLine,
    /// An `error:` line in place of an answer.
    ErrorLineFirst,
    /// An event named `error` whose data is a bare error object.
    ErrorEvent,
    /// JSON of an error between the events, without `data:`.
    BareError,
    /// The same, over several lines.
    BareErrorPretty,
    /// An error with its type beside it: text-generation-inference.
    ErrorType,
    /// An error without a wrapper: vLLM, FastChat.
    ErrorObject,
    /// Empty error fields in good chunks.
    EmptyErrors,
    /// A byte order mark before the first event.
    ByteOrderMark,
    /// Events without data, as keep-alives.
    EmptyData,
    /// `null` as data.
    NullData,
    /// Lines that end with a carriage return only.
    CarriageReturns,
    /// The halves of an emoji in two chunks, as escapes.
    HalfEmoji,
    /// Two calls, both with index 0.
    CallsAllZero,
    /// Two calls without index and without ids, one in each chunk.
    CallsWithoutIndex,
    /// A refusal in a field of its own.
    Refusal,
    /// The same without usage.
    RefusalWithoutUsage,
    /// Events labelled as JSON.
    EventsAsJson,
    /// One JSON answer labelled as events.
    JsonAsEvents,
    /// Reasoning with a closing tag only, because the template wrote the opening one.
    ClosingTag,
    /// A redirect of the whole API to another address.
    Redirect,
    /// A redirect to a sign-in page.
    SignInRedirect,
    /// Text in Latin-1.
    NotUtf8,
}

impl Quirk {
    /// All quirks.
    pub const ALL: [Self; 23] = [
        Self::ErrorLine,
        Self::ErrorLineFirst,
        Self::ErrorEvent,
        Self::BareError,
        Self::BareErrorPretty,
        Self::ErrorType,
        Self::ErrorObject,
        Self::EmptyErrors,
        Self::ByteOrderMark,
        Self::EmptyData,
        Self::NullData,
        Self::CarriageReturns,
        Self::HalfEmoji,
        Self::CallsAllZero,
        Self::CallsWithoutIndex,
        Self::Refusal,
        Self::RefusalWithoutUsage,
        Self::EventsAsJson,
        Self::JsonAsEvents,
        Self::ClosingTag,
        Self::Redirect,
        Self::SignInRedirect,
        Self::NotUtf8,
    ];

    /// Returns the quirk of this name, such as `error_line`.
    pub fn from_name(name: &str) -> Option<Self> {
        serde_json::from_value(json!(name)).ok()
    }

    /// Returns whether the dialect has events, chunks or fields in which this shape can occur.
    pub fn applies_to(self, dialect: Dialect) -> bool {
        let of_events = matches!(
            self,
            Self::ErrorLine
                | Self::ErrorLineFirst
                | Self::ErrorEvent
                | Self::BareError
                | Self::BareErrorPretty
                | Self::EmptyData
                | Self::Refusal
                | Self::RefusalWithoutUsage
                | Self::EventsAsJson
                | Self::JsonAsEvents
        );
        dialect != Dialect::Ollama || !of_events
    }
}
