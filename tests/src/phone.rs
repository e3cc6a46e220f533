//! A directory that library objects open one after another, as the app on a phone that is started again, and what its models
//! answer.

#![allow(clippy::expect_used, reason = "part of tests, though it is not under `cfg(test)`")]

use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicU32, Ordering};

use nearside::chat::{AnswerSummary, ChatMessage, ChatRequest, ChatStream, Chunk, ConversationSettings};
use nearside::{Config, Conversations, Nearside};
use nearside_llama::{Model, ModelParams};

use crate::request::greedy;
use crate::tiny_models::{self, TinyShape};

/// A directory that outlives the library objects that open it, and the model's file.
#[derive(Debug)]
pub struct Phone {
    /// Everything is in it.
    pub folder: Arc<tempfile::TempDir>,
    /// The library's directory in it.
    pub name: String,
    /// The model's file.
    pub model: PathBuf,
    /// Context length in tokens.
    pub context: u32,
    /// Compute threads. Unset: as the library decides.
    pub threads: Option<u32>,
    /// As in [`Config`].
    pub saved_state_bytes: Option<u64>,
}

impl Phone {
    /// Creates an empty directory for this model.
    ///
    /// # Panics
    /// Without a folder.
    #[must_use]
    pub fn with_model(model: PathBuf, context: u32) -> Self {
        Self {
            folder: Arc::new(tempfile::tempdir().expect("a folder")),
            name: "library".into(),
            model,
            context,
            threads: None,
            saved_state_bytes: None,
        }
    }

    /// Creates an empty directory for a tiny model.
    ///
    /// # Panics
    /// Without a folder.
    #[must_use]
    pub fn tiny(shape: TinyShape) -> Self {
        let phone = Self::with_model(PathBuf::new(), 4096);
        let model = phone.folder.path().join("tiny.gguf");
        std::fs::write(&model, tiny_models::runnable(shape, None)).expect("a file");
        // It computes in moments, and other tests may run beside it.
        Self {
            model,
            threads: Some(1),
            ..phone
        }
    }

    /// Returns the library's directory.
    #[must_use]
    pub fn directory(&self) -> PathBuf {
        self.folder.path().join(&self.name)
    }

    /// Copies the directory as it is.
    ///
    /// # Panics
    /// If a file cannot be copied.
    #[must_use]
    pub fn copy(&self) -> Self {
        let copied = COPIES.fetch_add(1, Ordering::Relaxed);
        let copy = Self {
            name: format!("copy {copied}"),
            folder: Arc::clone(&self.folder),
            model: self.model.clone(),
            ..*self
        };
        copy_directory(&self.directory(), &copy.directory());
        copy
    }

    /// Opens the library.
    ///
    /// # Panics
    /// If it does not open.
    #[must_use]
    pub fn open(&self) -> Nearside {
        let config = Config {
            context: Some(self.context),
            threads: self.threads,
            saved_state_bytes: self.saved_state_bytes,
            ..Config::new(self.directory().to_string_lossy())
        };
        Nearside::new(config).expect("the library opens")
    }

    /// Returns a request with a greedy answer.
    #[must_use]
    pub fn ask(&self, text: &str, max_tokens: u32) -> ChatRequest {
        greedy(&self.model, vec![ChatMessage::user(text)], max_tokens)
    }

    /// Creates a conversation.
    ///
    /// # Panics
    /// If it cannot be stored.
    pub async fn create(&self, conversations: &Conversations) -> u64 {
        let created = conversations.create(ConversationSettings::default()).await;
        created.expect("created").id
    }

    /// Asks in a conversation, for 16 tokens.
    ///
    /// # Panics
    /// If there is no answer.
    pub async fn say(&self, conversations: &Conversations, id: u64, text: &str) -> Answer {
        Answer::gather(conversations.send(id, self.ask(text, 16))).await
    }

    /// Returns the files among the stored states whose names end like this.
    ///
    /// # Panics
    /// If the directory cannot be read.
    #[must_use]
    pub fn files(&self, extension: &str) -> Vec<PathBuf> {
        let entries = std::fs::read_dir(self.directory().join("states"));
        let paths = entries
            .into_iter()
            .flatten()
            .map(|entry| entry.expect("an entry").path());
        paths
            .filter(|path| path.extension().is_some_and(|own| own == extension))
            .collect()
    }

    /// Returns the stored states.
    ///
    /// # Panics
    /// If the directory cannot be read.
    #[must_use]
    pub fn states(&self) -> Vec<PathBuf> {
        self.files("state")
    }

    /// Returns whether a file of states has this text, as its tokens or as itself.
    ///
    /// # Panics
    /// If the model cannot be loaded, or a file not be read.
    #[must_use]
    pub fn has_tokens_of(&self, text: &str) -> bool {
        let model = Model::load(&self.model, &ModelParams::default(), &mut |_| true).expect("a model");
        let tokens = model.tokenize(text, false, false).expect("tokens");
        // The first one may be a space that the tokenizer adds.
        let tokens: Vec<u8> = tokens[1..].iter().flat_map(|token| token.to_le_bytes()).collect();
        let everything = [self.files("state"), self.files("draft")].concat();
        everything.iter().any(|path| {
            let bytes = std::fs::read(path).expect("a file");
            let has = |part: &[u8]| bytes.windows(part.len()).any(|window| window == part);
            has(&tokens) || has(text.as_bytes())
        })
    }
}

static COPIES: AtomicU32 = AtomicU32::new(0);

fn copy_directory(from: &Path, to: &Path) {
    std::fs::create_dir(to).expect("created");
    for entry in std::fs::read_dir(from).expect("a directory") {
        let entry = entry.expect("an entry");
        let to = to.join(entry.file_name());
        match entry.file_type().expect("a type").is_dir() {
            true => copy_directory(&entry.path(), &to),
            false => drop(std::fs::copy(entry.path(), to).expect("copied")),
        }
    }
}

/// An answer and its end.
#[derive(Debug)]
pub struct Answer {
    /// Its text.
    pub text: String,
    /// Its end.
    pub summary: AnswerSummary,
}

impl Answer {
    /// Reads an answer to its end.
    ///
    /// # Panics
    /// If there is none.
    pub async fn gather(stream: ChatStream) -> Self {
        let mut text = String::new();
        loop {
            for chunk in stream.next_batch().await.expect("chunks") {
                match chunk {
                    Chunk::Text { text: more } => text.push_str(&more),
                    Chunk::Done { summary } => return Self { text, summary },
                    _ => {}
                }
            }
        }
    }

    /// Returns the tokens of the prompt.
    #[must_use]
    pub fn prompt(&self) -> u32 {
        self.summary.usage.prompt_tokens
    }

    /// Returns the tokens of the prompt that were not read again.
    #[must_use]
    pub fn cached(&self) -> u32 {
        self.summary.usage.cached_tokens
    }
}

/// Returns a text of this length; each character is a token of a tiny model.
#[must_use]
pub fn story(length: usize) -> String {
    let text: String = (0..length / 16 + 1).map(|n| format!("item {n:03} is here")).collect();
    text.chars().take(length).collect()
}
