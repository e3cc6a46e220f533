//! Tokenizes rendered prompts. The next turn of a conversation tokenizes only what is new in it.
//!
//! A prompt is cut before the control words that the template writes, such as `<|im_start|>`, where its tokens do not depend on
//! each other. The tokens of the pieces of the last prompts are remembered, by hashes of their texts.

use std::collections::{HashMap, VecDeque};
use std::hash::{BuildHasher, RandomState};
use std::sync::Arc;

use nearside_llama::{LlamaError, Model, Token};

use super::control_words::ControlWords;

/// The tokens of the last prompts of a loaded model.
#[derive(Debug)]
pub(super) struct PromptTokens {
    cut_words: Vec<String>,
    /// The last prompt at the end.
    recent: VecDeque<Pieces>,
    hasher: RandomState,
}

/// The pieces of a prompt.
type Pieces = HashMap<u64, Arc<[Token]>>;

impl PromptTokens {
    /// Knows no prompt yet.
    pub(super) fn new(model: &Model) -> Self {
        Self {
            cut_words: model.cut_words(),
            recent: VecDeque::new(),
            hasher: RandomState::new(),
        }
    }

    /// Returns the tokens of a rendered prompt, as [`ControlWords::tokenize`] does for the whole.
    pub(super) fn tokenize(
        &mut self,
        model: &Model,
        words: &ControlWords,
        prompt: &str,
    ) -> Result<Vec<Token>, LlamaError> {
        let mut tokens = Vec::new();
        let mut pieces = Pieces::new();
        for (at, piece) in split(prompt, &self.cut_words).enumerate() {
            let is_start = at == 0;
            let key = self.hasher.hash_one((is_start, piece));
            let known = self.recent.iter().rev().find_map(|pieces| pieces.get(&key)).cloned();
            let known = match known {
                Some(known) => known,
                None => words.tokenize(model, piece, is_start)?.into(),
            };
            tokens.extend_from_slice(&known);
            pieces.insert(key, known);
        }
        self.recent.push_back(pieces);
        if self.recent.len() > MAX_PROMPTS {
            self.recent.pop_front();
        }
        Ok(tokens)
    }
}

/// Cuts a prompt before each of the words.
fn split<'p>(prompt: &'p str, words: &[String]) -> impl Iterator<Item = &'p str> {
    let each = words.iter().flat_map(|word| prompt.match_indices(word.as_str()));
    let mut cuts: Vec<usize> = each.map(|(at, _)| at).collect();
    cuts.sort_unstable();
    let ends: Vec<usize> = cuts.iter().copied().chain([prompt.len()]).collect();
    let starts = [0].into_iter().chain(cuts);
    starts.zip(ends).map(|(start, end)| &prompt[start..end])
}

/// Prompts whose pieces are known: more than conversations are usually active in turn, with the requests for their titles.
const MAX_PROMPTS: usize = 4;

#[cfg(test)]
mod tests {
    use super::split;

    #[test]
    fn a_prompt_is_cut_before_each_word_and_nothing_is_lost() {
        let words = ["<|im_start|>", "<|im_end|>"].map(str::to_owned);
        for (prompt, pieces) in [
            ("", vec![""]),
            ("no word", vec!["no word"]),
            ("<|im_start|>user", vec!["", "<|im_start|>user"]),
            (
                "a<|im_start|>b<|im_end|>\n<|im_start|>c",
                vec!["a", "<|im_start|>b", "<|im_end|>\n", "<|im_start|>c"],
            ),
        ] {
            assert_eq!(split(prompt, &words).collect::<Vec<_>>(), pieces);
        }
    }
}
