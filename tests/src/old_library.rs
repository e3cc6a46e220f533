//! A library's directory as the release before the data directory left it, and what is in it.
//!
//! `fixtures/library-d08a960` was written by the program of that commit: two providers, a policy and 161 settled answers in
//! `state.db`; three conversations in `conversations.db`, the last messages only in its write-ahead log, because the process
//! was killed while it wrote an answer; an installed model.

use std::path::{Path, PathBuf};

use nearside::chat::MessageState;
use nearside::state::SpendingGroup;
use nearside::{Config, Nearside};
use rusqlite::{Connection, params};

/// Copies the directory to `to`, which must not exist.
pub fn write(to: &Path) {
    copy(&fixture(), to);
}

/// Adds a picture of about this many bytes, so that the conversations take several steps to copy.
pub fn enlarge(directory: &Path, bytes: usize) {
    let file = Connection::open(directory.join("conversations.db")).expect("the conversations");
    let picture: Vec<u8> = crate::tiny_models::noise(9).take(bytes).collect();
    let added = file.execute(
        "INSERT INTO picture (message, place, data) VALUES (13, 0, ?1)",
        params![picture],
    );
    added.expect("added");
}

/// Asserts that everything is there, with the models in `directory` and the rest in `data`.
pub async fn assert_complete(directory: &Path, data: &Path) {
    let nearside = Nearside::new(Config {
        data_directory: Some(data.to_string_lossy().into_owned()),
        ..Config::new(directory.to_string_lossy())
    });
    let nearside = nearside.expect("the library opens");
    let models = nearside.models().await.expect("listed");
    assert_eq!(
        models.iter().map(|model| model.id.as_str()).collect::<Vec<_>>(),
        ["small-model"]
    );
    let providers = nearside.providers().await.expect("listed").into_iter();
    let providers: Vec<_> = providers
        .map(|provider| (provider.settings.name, provider.settings.model))
        .collect();
    let expected = [("groq", "openai/gpt-oss-20b"), ("home", "llama3.2")];
    assert_eq!(
        providers,
        expected.map(|(name, model)| (name.to_owned(), Some(model.to_owned())))
    );
    let policy = nearside.policy();
    assert_eq!((policy.version.as_str(), policy.max_usd_day), ("old-1", Some(0.5)));
    assert_eq!(policy.regions, ["EU", "US"]);
    let spending = nearside.spending(SpendingGroup::Provider).await.expect("read");
    let requests: u64 = spending.iter().map(|row| row.requests).sum();
    let usd: f64 = spending.iter().map(|row| row.usd).sum();
    assert_eq!((requests, (usd * 1e9).round()), (161, 399_966_933.0));

    let conversations = nearside.conversations();
    let listed = conversations.list(None, 0).await.expect("listed");
    assert_eq!(listed.len(), 3);
    let answered = conversations.open(1).await.expect("it opens");
    assert_eq!(answered.messages.len(), 6);
    assert_eq!(answered.messages[5].text, "Lucky, please.");
    assert!(answered.messages[5].receipt.is_some(), "with its receipt");
    let killed = conversations.open(2).await.expect("it opens");
    assert_eq!(killed.messages[5].state, MessageState::Interrupted);
    assert_eq!(killed.messages[5].text.len(), 93, "what was in the log");
    let hits = conversations
        .search("lighthouse".to_owned(), 9)
        .await
        .expect("searched");
    assert_eq!(hits.len(), 1);
}

fn fixture() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("fixtures/library-d08a960")
}

fn copy(from: &Path, to: &Path) {
    std::fs::create_dir_all(to).expect("a directory");
    for entry in std::fs::read_dir(from).expect("a directory").flatten() {
        let (path, target) = (entry.path(), to.join(entry.file_name()));
        if path.is_dir() {
            copy(&path, &target);
        } else {
            std::fs::copy(&path, &target).expect("copied");
        }
    }
}
