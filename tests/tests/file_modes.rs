//! Rights of the library's files on Unix: conversations, settings and spending are their owner's alone, models are not.

#![cfg(unix)]
#![allow(clippy::expect_used, reason = "a step that fails is a test that fails")]

use std::fs;
use std::os::unix::fs::PermissionsExt;
use std::path::Path;

use nearside::chat::{ChatMessage, ChatRequest, ConversationSettings, RequestLimits};
use nearside::state::move_data_with;
use nearside::{Config, Nearside};
use nearside_tests::old_library;
use nearside_tests::tiny_models::{self, TinyShape};

const FILES: [&str; 2] = ["state.db", "conversations.db"];

fn mode(path: &Path) -> u32 {
    fs::metadata(path).expect("a file").permissions().mode() & 0o777
}

fn set_mode(path: &Path, mode: u32) {
    fs::set_permissions(path, fs::Permissions::from_mode(mode)).expect("set");
}

fn open(directory: &Path, data: &Path) -> Nearside {
    let config = Config {
        data_directory: Some(data.to_string_lossy().into_owned()),
        ..Config::new(directory.to_string_lossy())
    };
    Nearside::new(config).expect("the library opens")
}

async fn write_something(nearside: &Nearside) {
    let settings = ConversationSettings::default();
    nearside.conversations().create(settings).await.expect("created");
    nearside.set_policy(Default::default()).await.expect("stored");
}

fn assert_private(data: &Path) {
    for file in FILES {
        for suffix in ["", "-wal", "-shm"] {
            let path = data.join(format!("{file}{suffix}"));
            assert_eq!(mode(&path), 0o600, "{}", path.display());
        }
    }
}

#[tokio::test]
async fn data_is_its_owners_alone_and_models_keep_the_usual_rights() {
    let folder = tempfile::tempdir().expect("a folder");
    let (directory, data) = (folder.path().join("library"), folder.path().join("app/data"));
    // As the umask of this process allows.
    let usual = folder.path().join("usual");
    fs::create_dir(&usual).expect("created");
    let nearside = open(&directory, &data);
    write_something(&nearside).await;
    assert_private(&data);
    assert_eq!((mode(&data), mode(&folder.path().join("app"))), (0o700, 0o700));
    let file = folder.path().join("tiny.gguf");
    fs::write(&file, tiny_models::model(1024, 1)).expect("a file");
    let model = nearside
        .import(file.to_string_lossy().into_owned())
        .await
        .expect("imported");
    let path = Path::new(&model.path);
    assert_eq!(mode(&directory), mode(&usual));
    assert_eq!(mode(path.parent().expect("a directory")), mode(&usual));
    assert_eq!(mode(path), mode(&file));
}

/// States are content, though they are beside the models, which are not backed up.
#[tokio::test(flavor = "multi_thread")]
async fn states_of_conversations_are_their_owners_alone() {
    let folder = tempfile::tempdir().expect("a folder");
    let (directory, data) = (folder.path().join("library"), folder.path().join("data"));
    let model = folder.path().join("tiny.gguf");
    fs::write(&model, tiny_models::runnable(TinyShape::Full, None)).expect("a file");
    let nearside = open(&directory, &data);
    let conversations = nearside.conversations();
    let created = conversations.create(ConversationSettings::default()).await;
    let stream = conversations.send(
        created.expect("created").id,
        ChatRequest {
            model: Some(model.to_string_lossy().into_owned()),
            limits: RequestLimits {
                max_tokens: Some(4),
                ..RequestLimits::default()
            },
            ..ChatRequest::new(vec![ChatMessage::user("a text ".repeat(40))])
        },
    );
    while !stream.next_batch().await.expect("chunks").is_empty() {}
    nearside.shut_down().await.expect("ended");
    let states = directory.join("states");
    assert_eq!(mode(&states), 0o700);
    let entries = fs::read_dir(&states).expect("a directory");
    let files: Vec<_> = entries.map(|entry| entry.expect("an entry").path()).collect();
    let is_state = |path: &Path| path.extension().is_some_and(|extension| extension == "state");
    let stored: Vec<_> = files.iter().filter(|path| is_state(path)).collect();
    assert_eq!(stored.len(), 1, "{files:?}");
    assert_eq!(mode(stored[0]), 0o600);
    assert!(!data.join("states").exists());
}

#[tokio::test]
async fn a_directory_that_exists_keeps_its_rights_and_files_of_an_earlier_release_lose_those_of_others() {
    let folder = tempfile::tempdir().expect("a folder");
    let directory = folder.path().join("library");
    old_library::write(&directory);
    set_mode(&directory, 0o755);
    for file in FILES {
        for suffix in ["", "-wal"] {
            let path = directory.join(format!("{file}{suffix}"));
            if path.exists() {
                set_mode(&path, 0o644);
            }
        }
    }
    let nearside = open(&directory, &directory);
    write_something(&nearside).await;
    assert_private(&directory);
    assert_eq!(mode(&directory), 0o755);
}

#[tokio::test]
async fn data_that_moves_to_another_file_system_is_private_from_its_first_byte() {
    let folder = tempfile::tempdir().expect("a folder");
    let (directory, data) = (folder.path().join("library"), folder.path().join("data"));
    old_library::write(&directory);
    for file in FILES {
        set_mode(&directory.join(file), 0o644);
    }
    let mut seen = 0;
    move_data_with(&directory, &data, true, &mut |_| {
        for entry in fs::read_dir(&data).into_iter().flatten().flatten() {
            if entry
                .path()
                .extension()
                .is_some_and(|extension| extension == "incoming")
            {
                assert_eq!(mode(&entry.path()), 0o600);
                seen += 1;
            }
        }
    })
    .expect("moved");
    assert!(seen > 0);
    assert_eq!(mode(&data), 0o700);
    for file in FILES {
        assert_eq!(mode(&data.join(file)), 0o600);
    }
}
