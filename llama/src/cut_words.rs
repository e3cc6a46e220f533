//! Control words at which a prompt may be cut into pieces that are tokenized one by one.

#![allow(unsafe_code)]

use std::ffi::CStr;

use llama_cpp_sys_2 as sys;

use crate::{Model, Token};

impl Model {
    /// Returns those control words of the chat template before which a prompt may be cut: the pieces, each of which but the first
    /// begins with such a word and is tokenized without `add_special`, have the tokens of the whole. None where the
    /// tokenizer may carry anything from one piece to the next.
    pub fn cut_words(&self) -> Vec<String> {
        let tokenizer = self.meta("tokenizer.ggml.model").unwrap_or_default();
        // SAFETY: the vocabulary lives as long as the model.
        let adds_end =
            unsafe { sys::llama_vocab_get_add_eos(self.vocab()) || sys::llama_vocab_get_add_sep(self.vocab()) };
        if adds_end || !matches!(tokenizer.as_str(), "llama" | "gpt2") {
            return Vec::new();
        }
        let template = self.meta("tokenizer.chat_template").unwrap_or_default();
        let specials = self.special_words();
        if template.len().saturating_mul(specials.len()) > MAX_COMPARED_BYTES {
            return Vec::new();
        }
        let named = [("bos_token", self.bos_text()), ("eos_token", self.eos_text())];
        let is_written = |word: &str| {
            let is_named = |(name, text): &(&str, String)| text == word && template.contains(name);
            template.contains(word) || named.iter().any(is_named)
        };
        let is_cut = |(word, attributes): &&(String, sys::llama_token_attr)| {
            // A word that takes the spaces before it changes the piece that ends there.
            attributes & sys::LLAMA_TOKEN_ATTR_CONTROL != 0
                && attributes & sys::LLAMA_TOKEN_ATTR_LSTRIP == 0
                && is_written(word)
                && !specials.iter().any(|(other, _)| hides(other, word))
        };
        specials.iter().filter(is_cut).map(|(word, _)| word.clone()).collect()
    }

    /// Returns the words that the tokenizer looks for before everything else, with their attributes.
    fn special_words(&self) -> Vec<(String, sys::llama_token_attr)> {
        let kinds = sys::LLAMA_TOKEN_ATTR_CONTROL | sys::LLAMA_TOKEN_ATTR_USER_DEFINED | sys::LLAMA_TOKEN_ATTR_UNKNOWN;
        let all = 0..Token::try_from(self.vocab_size()).unwrap_or_default();
        let words = all.filter_map(|token| {
            // SAFETY: the vocabulary lives as long as the model, the token is within it, and its text is terminated.
            let (attributes, text) = unsafe {
                let text = sys::llama_vocab_get_text(self.vocab(), token);
                (
                    sys::llama_vocab_get_attr(self.vocab(), token),
                    (!text.is_null()).then(|| CStr::from_ptr(text)),
                )
            };
            let text = text.filter(|text| attributes & kinds != 0 && !text.is_empty())?;
            Some((text.to_string_lossy().into_owned(), attributes))
        });
        words.collect()
    }
}

/// Returns whether a text can hold `word` without its token, because `other` is found there first: the tokenizer looks for
/// longer words first.
fn hides(other: &str, word: &str) -> bool {
    let (other, word) = (other.as_bytes(), word.as_bytes());
    if other == word || other.len() < word.len() {
        return false;
    }
    let contains = || other.windows(word.len()).any(|part| part == word);
    contains() || (1..word.len()).any(|at| other.ends_with(&word[..at]) || other.starts_with(&word[at..]))
}

/// The most that is compared at a load. Models in use stay below a hundredth of it; the file of a hostile one decides both sizes.
const MAX_COMPARED_BYTES: usize = 1_000_000_000;

#[cfg(test)]
mod tests {
    use super::hides;

    #[test]
    fn a_longer_word_that_holds_or_overlaps_a_word_hides_it() {
        for other in ["<<s>>", "</s><s", "x<s>", "s>>>", "<s><s>"] {
            assert!(hides(other, "<s>"), "{other}");
        }
        for other in ["<s>", "</s>", "[INST]", "<", "<s", "long and other"] {
            assert!(!hides(other, "<s>"), "{other}");
        }
    }
}
