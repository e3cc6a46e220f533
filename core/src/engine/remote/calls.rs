//! Joins the fragments of tool calls.
//!
//! Fragments name their call by index, by id, by both or by neither, and some servers number all calls 0. Therefore a
//! fragment with another id, or with a name after a complete call, begins a new call.

use super::error::AttemptError;
use super::json::without_halves;
use crate::engine::is_json_object;
use crate::error::{Error, Result};

/// The tool calls of one answer, in their order.
#[derive(Debug, Default)]
pub(super) struct PartialCalls {
    calls: Vec<PartialCall>,
}

#[derive(Debug, Default)]
struct PartialCall {
    index: u64,
    id: String,
    name: String,
    arguments: String,
}

impl PartialCalls {
    /// Adds a fragment.
    ///
    /// # Errors
    /// `Provider` for too many or too large calls.
    pub(super) fn add(&mut self, index: u64, id: Option<String>, name: Option<String>, arguments: &str) -> Result<()> {
        let at = self.find(index, id.as_deref(), name.as_deref(), arguments);
        if at.is_none() && self.calls.len() == MAX_CALLS {
            return Err(Error::provider(format!(
                "the answer calls over {MAX_CALLS} tools at once; rejected"
            )));
        }
        let at = at.unwrap_or_else(|| {
            self.calls.push(PartialCall {
                index,
                ..PartialCall::default()
            });
            self.calls.len() - 1
        });
        let call = &mut self.calls[at];
        // Some providers repeat id and name with every fragment.
        if let Some(id) = id.filter(|_| call.id.is_empty()) {
            call.id = id;
        }
        if let Some(name) = name.filter(|_| call.name.is_empty()) {
            call.name = name;
        }
        // Some repeat the whole call in the last event.
        if call.arguments != arguments || !is_json_object(arguments) {
            call.arguments.push_str(arguments);
        }
        match call.arguments.len() > MAX_CALL_BYTES {
            true => Err(Error::provider("a tool call in the answer is over 16 MB; rejected")),
            false => Ok(()),
        }
    }

    /// Returns whether there is none.
    pub(super) fn is_empty(&self) -> bool {
        self.calls.is_empty()
    }

    /// Returns id, name and arguments of each call. A call without an id, or with that of another, gets a unique one.
    ///
    /// # Errors
    /// `Provider` for a call without a name, or with arguments that are not a JSON object.
    pub(super) fn finish(self, provider: &str) -> Result<Vec<(String, String, String)>, AttemptError> {
        let mut finished: Vec<(String, String, String)> = Vec::new();
        for call in self.calls {
            let mut arguments = call.arguments;
            if arguments.trim().is_empty() {
                arguments = "{}".to_owned();
            }
            if !is_json_object(&arguments) {
                arguments = without_halves(&arguments).unwrap_or(arguments);
            }
            if !is_json_object(&arguments) || call.name.is_empty() {
                // Not retried: the tokens were generated, and are billed.
                return Err(AttemptError::permanent(Error::provider(format!(
                    "the model at `{provider}` called a tool with arguments that are not a JSON object; try again, or use \
                     another model"
                ))));
            }
            let is_taken = |id: &str| finished.iter().any(|(other, ..)| other == id);
            let mut id = call.id;
            while id.is_empty() || is_taken(&id) {
                id = crate::engine::unique_call_id();
            }
            finished.push((id, call.name, arguments));
        }
        Ok(finished)
    }

    /// Returns the call that a fragment continues; `None` if it begins a new one.
    fn find(&self, index: u64, id: Option<&str>, name: Option<&str>, arguments: &str) -> Option<usize> {
        let with_index = |call: &PartialCall| call.index == index;
        if let Some(id) = id
            && let Some(at) = self.calls.iter().rposition(|call| call.id == id && with_index(call))
        {
            return Some(at);
        }
        let at = self.calls.iter().rposition(with_index)?;
        let call = &self.calls[at];
        let is_complete = is_json_object(&call.arguments);
        let repeats = call.arguments == arguments && name.is_none_or(|name| name == call.name);
        let is_new = match (id, name) {
            // Another id; a fragment without a name may have been given a new id by mistake, while its call is incomplete.
            (Some(id), name) if !call.id.is_empty() && id != call.id => name.is_some() || is_complete,
            (Some(_), _) => false,
            (None, Some(name)) if name != call.name && !call.name.is_empty() => true,
            (None, Some(_)) => is_complete && (!repeats || call.id.is_empty()),
            (None, None) => false,
        };
        (!is_new).then_some(at)
    }
}

const MAX_CALLS: usize = 128;
const MAX_CALL_BYTES: usize = 16 << 20;

#[cfg(test)]
mod tests {
    use super::*;

    type Fragment = (u64, &'static str, &'static str, &'static str);

    fn join(fragments: &[Fragment]) -> Vec<(String, String, String)> {
        let mut calls = PartialCalls::default();
        let given = |text: &str| Some(text.to_owned()).filter(|text| !text.is_empty());
        for (index, id, name, arguments) in fragments {
            calls.add(*index, given(id), given(name), arguments).expect("small");
        }
        calls.finish("p").expect("whole calls")
    }

    #[test]
    fn fragments_are_joined_and_calls_kept_apart_however_they_are_numbered() {
        let cases: [(&str, &[Fragment]); 10] = [
            (
                "by index",
                &[
                    (0, "a", "f", "{\"n\""),
                    (1, "b", "f", ""),
                    (0, "", "", ":1}"),
                    (1, "", "", "{\"n\":2}"),
                ],
            ),
            (
                "all 0, by id",
                &[(0, "a", "f", "{\"n\":1}"), (0, "b", "f", "{\"n\":2}")],
            ),
            (
                "all 0, ids with each",
                &[
                    (0, "a", "f", "{\"n\""),
                    (0, "b", "f", "{\"n\""),
                    (0, "a", "", ":1}"),
                    (0, "b", "", ":2}"),
                ],
            ),
            (
                "all 0, fragments",
                &[
                    (0, "a", "f", ""),
                    (0, "", "", "{\"n\":1}"),
                    (0, "b", "f", ""),
                    (0, "", "", "{\"n\":2}"),
                ],
            ),
            ("no ids, whole", &[(0, "", "f", "{\"n\":1}"), (0, "", "f", "{\"n\":2}")]),
            (
                "no ids, fragments",
                &[(0, "", "f", "{\"n\""), (0, "", "", ":1}"), (0, "", "f", "{\"n\":2}")],
            ),
            (
                "id and name repeated",
                &[
                    (0, "a", "f", "{\"n\""),
                    (0, "a", "f", ":1}"),
                    (1, "b", "f", "{\"n\""),
                    (1, "b", "f", ":2}"),
                ],
            ),
            (
                "name repeated",
                &[(0, "", "f", "{\"n\""), (0, "", "f", ":1}"), (1, "", "f", "{\"n\":2}")],
            ),
            (
                "a new id with each fragment",
                &[
                    (0, "a", "f", ""),
                    (0, "x", "", "{\"n\""),
                    (0, "y", "", ":1}"),
                    (1, "b", "f", "{\"n\":2}"),
                ],
            ),
            (
                "whole call repeated",
                &[
                    (0, "a", "f", "{\"n\":1}"),
                    (0, "a", "f", "{\"n\":1}"),
                    (1, "b", "f", "{\"n\":2}"),
                ],
            ),
        ];
        for (about, fragments) in cases {
            let calls = join(fragments);
            let arguments: Vec<_> = calls
                .iter()
                .map(|(_, name, arguments)| (name.as_str(), arguments.as_str()))
                .collect();
            assert_eq!(arguments, [("f", "{\"n\":1}"), ("f", "{\"n\":2}")], "{about}");
            assert_ne!(calls[0].0, calls[1].0, "{about}");
        }
    }

    #[test]
    fn two_equal_calls_without_ids_are_two() {
        assert_eq!(join(&[(0, "", "f", "{}"), (0, "", "f", "{}")]).len(), 2);
        assert_eq!(join(&[(0, "", "f", ""), (0, "", "g", "")]).len(), 2);
        assert_eq!(join(&[(0, "x", "f", "{}"), (1, "x", "f", "{}")]).len(), 2);
    }

    #[test]
    fn a_lost_half_of_a_character_in_arguments_is_replaced() {
        let calls = join(&[(0, "a", "f", r#"{"a":"\ud83d"}"#)]);
        assert_eq!(calls[0].2, "{\"a\":\"\u{FFFD}\"}");
    }
}
