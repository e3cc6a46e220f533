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
        let named = [("bos_token", self.bos_text()), ("eos_token", self.eos_text())];
        select_cut_words(&self.special_words(), &template, &named)
    }

    /// Returns the words that the tokenizer looks for before everything else, with their attributes.
    fn special_words(&self) -> Vec<SpecialWord> {
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

/// A word that the tokenizer looks for, with its attributes.
type SpecialWord = (String, sys::llama_token_attr);

/// Selects the cut words of a template, which writes the words of `named` by these names too. None where there is too much to
/// compare: the file of a hostile model decides all sizes, and no cut word is always right.
fn select_cut_words(specials: &[SpecialWord], template: &str, named: &[(&str, String)]) -> Vec<String> {
    if template.len().saturating_mul(specials.len()) > MAX_SEARCHED_BYTES {
        return Vec::new();
    }
    let is_written = |word: &str| {
        let is_named = |(name, text): &(&str, String)| text == word && template.contains(name);
        template.contains(word) || named.iter().any(is_named)
    };
    let written = specials.iter().filter(|(word, attributes)| {
        // A word that takes the spaces before it changes the piece that ends there.
        attributes & sys::LLAMA_TOKEN_ATTR_CONTROL != 0
            && attributes & sys::LLAMA_TOKEN_ATTR_LSTRIP == 0
            && word.len() <= MAX_CUT_WORD_BYTES
            && is_written(word)
    });
    let written: Vec<_> = written.map(|(word, _)| word).collect();
    let compared: usize = specials.iter().map(|(word, _)| word.len()).sum();
    if written.len() > MAX_CUT_WORDS || compared.saturating_mul(written.len()) > MAX_COMPARED_BYTES {
        return Vec::new();
    }
    let is_hidden = |word: &str| specials.iter().any(|(other, _)| hides(other, word));
    written.into_iter().filter(|word| !is_hidden(word)).cloned().collect()
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

/// The most that is searched for written words at a load. Models in use stay below a tenth of it.
const MAX_SEARCHED_BYTES: usize = 1_000_000_000;
/// The most bytes of special words that the written words are compared with. Models in use stay below a fifth of it.
const MAX_COMPARED_BYTES: usize = 10_000_000;
/// Templates write some twenty. Each prompt is searched for each.
const MAX_CUT_WORDS: usize = 100;
/// Longer than any in use. Comparing one byte with a word takes at most as many steps as the word has bytes.
const MAX_CUT_WORD_BYTES: usize = 64;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_longer_word_that_holds_or_overlaps_a_word_hides_it() {
        for other in ["<<s>>", "</s><s", "x<s>", "s>>>", "<s><s>"] {
            assert!(hides(other, "<s>"), "{other}");
        }
        for other in ["<s>", "</s>", "[INST]", "<", "<s", "long and other"] {
            assert!(!hides(other, "<s>"), "{other}");
        }
    }

    fn control(words: impl IntoIterator<Item = String>) -> Vec<SpecialWord> {
        words
            .into_iter()
            .map(|word| (word, sys::LLAMA_TOKEN_ATTR_CONTROL))
            .collect()
    }

    #[test]
    fn words_that_a_template_writes_are_cut_words_unless_others_hide_them() {
        let specials = control(["<s>", "</s>", "<x>", "<<x>>", "<not-written>"].map(str::to_owned));
        let named = [("bos_token", "<s>".to_owned())];
        let cuts = select_cut_words(&specials, "{{ bos_token }}</s><x><<x>>", &named);
        assert_eq!(cuts, ["<s>", "</s>", "<<x>>"]);
    }

    /// Comparing each of them with all others would take minutes.
    #[test]
    fn more_words_than_any_model_has_give_no_cut_words() {
        let short: Vec<_> = (0..1000).map(|at| format!("<{at}>")).collect();
        let long = (0..1000).map(|at| format!("[{at}{}]", "<<".repeat(5000)));
        let template = short.concat();
        let few = control(short[..50].iter().cloned());
        assert_eq!(select_cut_words(&few, &template, &[]).len(), 50);
        let many = control(short.iter().cloned());
        assert!(select_cut_words(&many, &template, &[]).is_empty());
        let few_and_long = control(short[..50].iter().cloned().chain(long.clone()));
        assert!(select_cut_words(&few_and_long, &template, &[]).is_empty());
        let all = control(short.iter().cloned().chain(long));
        assert!(select_cut_words(&all, &template, &[]).is_empty());
        let one_long = "a".repeat(MAX_CUT_WORD_BYTES + 1);
        assert!(select_cut_words(&control([one_long.clone()]), &one_long, &[]).is_empty());
    }
}
