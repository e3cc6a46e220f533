//! Tokenizes rendered prompts. The next turn of a conversation tokenizes only what is new in it.
//!
//! A prompt is cut before the control words that the template writes, such as `<|im_start|>`, where its tokens do not depend on
//! each other. The tokens of the pieces of the last prompts are remembered, by hashes of their texts, until a conversation is
//! deleted, memory is short, or the model is unloaded: tokens are text.

use std::collections::{HashMap, VecDeque};
use std::hash::{BuildHasher, RandomState};
use std::sync::{Arc, Mutex};

use nearside_llama::{LlamaError, Model, Token};

use super::control_words::ControlWords;
use crate::sync::lock;

/// The tokens of the last prompts of a loaded model.
#[derive(Debug, Default)]
pub(super) struct PromptTokens {
    memory: Mutex<RecentPieces>,
    hasher: RandomState,
}

#[derive(Debug, Default)]
struct RecentPieces {
    cut_words: Arc<[String]>,
    /// Those of the last request at the end.
    recent: VecDeque<Pieces>,
}

/// The pieces of all prompts that were tried for one request.
type Pieces = HashMap<u64, Arc<[Token]>>;

impl PromptTokens {
    /// Begins with a model, and knows no prompt yet.
    pub(super) fn restart(&self, model: &Model) {
        let cut_words = model.cut_words().into();
        *lock(&self.memory) = RecentPieces {
            cut_words,
            recent: VecDeque::new(),
        };
    }

    /// Forgets all prompts, also that of a request under way.
    pub(super) fn clear(&self) {
        lock(&self.memory).recent.clear();
    }

    /// Returns whether it knows no prompt.
    #[cfg(test)]
    pub(super) fn is_empty(&self) -> bool {
        lock(&self.memory).recent.is_empty()
    }

    /// Begins a request, for which several prompts may be tried.
    pub(super) fn begin_request(&self) {
        let recent = &mut lock(&self.memory).recent;
        recent.push_back(Pieces::new());
        if recent.len() > MAX_REQUESTS {
            recent.pop_front();
        }
    }

    /// Returns the tokens of a rendered prompt, as [`ControlWords::tokenize`] does for the whole.
    pub(super) fn tokenize(&self, model: &Model, words: &ControlWords, prompt: &str) -> Result<Vec<Token>, LlamaError> {
        let cut_words = Arc::clone(&lock(&self.memory).cut_words);
        let mut tokens = Vec::new();
        for (at, piece) in split(prompt, &cut_words).enumerate() {
            let is_start = at == 0;
            let key = self.hasher.hash_one((is_start, piece));
            let find = |memory: &RecentPieces| memory.recent.iter().rev().find_map(|pieces| pieces.get(&key)).cloned();
            let known = find(&lock(&self.memory));
            let known = match known {
                Some(known) => known,
                None => words.tokenize(model, piece, is_start)?.into(),
            };
            tokens.extend_from_slice(&known);
            if let Some(own) = lock(&self.memory).recent.back_mut() {
                own.insert(key, known);
            }
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

/// Requests whose pieces are known: more than conversations are usually active in turn, with the requests for their titles.
const MAX_REQUESTS: usize = 4;

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
