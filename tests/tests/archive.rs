//! The archive of conversations beside an answer: messages that an app puts in, questions about a turn, erasing while another
//! process reads, conversations in memory, and opening without waiting.

#![allow(clippy::expect_used, reason = "a step that fails is a test that fails")]

use std::fs;
use std::path::Path;
use std::time::Duration;

use nearside::chat::{
    ChatMessage, ChatRequest, ChatStream, Chunk, ContentPart, ConversationSettings, ConversationTurn, ExportFormat,
    MessageRole, MessageState, StopReason,
};
use nearside::engine::{ReplyStep, ScriptedReply};
use nearside::{Config, Conversations, ErrorKind, ErrorReason, Nearside};
use nearside_tests::images::png;
use rusqlite::Connection;

fn scripted(directory: &Path) -> (Nearside, Conversations) {
    let script = ScriptedReply {
        steps: vec![ReplyStep::Text {
            text: "an answer".into(),
        }],
        chunk_delay_ms: 0,
    };
    let nearside = Nearside::scripted(Config::new(directory.to_string_lossy()), script).expect("the library opens");
    let conversations = nearside.conversations();
    (nearside, conversations)
}

fn fresh() -> (tempfile::TempDir, Nearside, Conversations) {
    let folder = tempfile::tempdir().expect("a folder");
    let (nearside, conversations) = scripted(folder.path());
    (folder, nearside, conversations)
}

fn say(words: &str) -> ChatRequest {
    ChatRequest::new(vec![ChatMessage::user(words)])
}

async fn created(conversations: &Conversations) -> u64 {
    let created = conversations.create(ConversationSettings::default()).await;
    created.expect("created").id
}

async fn finish(stream: ChatStream) -> Vec<Chunk> {
    let mut chunks = Vec::new();
    loop {
        let batch = stream.next_batch().await.expect("chunks");
        if batch.is_empty() {
            return chunks;
        }
        chunks.extend(batch);
    }
}

/// Returns the files in a directory that contain this word.
fn files_with(word: &str, directory: &Path) -> Vec<String> {
    let entries = fs::read_dir(directory).expect("a directory").flatten();
    let files = entries.filter(|entry| entry.path().is_file());
    let holds = |bytes: Vec<u8>| bytes.windows(word.len()).any(|window| window == word.as_bytes());
    files
        .filter(|entry| fs::read(entry.path()).is_ok_and(holds))
        .map(|entry| entry.file_name().to_string_lossy().into_owned())
        .collect()
}

#[tokio::test]
async fn messages_that_an_app_puts_in_are_complete_whatever_their_role() {
    let (_folder, _nearside, conversations) = fresh();
    let id = created(&conversations).await;
    let call = ChatMessage {
        role: MessageRole::Assistant,
        parts: vec![ContentPart::ToolCall {
            id: "1".into(),
            name: "look".into(),
            arguments: "{}".into(),
        }],
    };
    let result = ChatMessage {
        role: MessageRole::Tool,
        parts: vec![ContentPart::ToolResult {
            id: "1".into(),
            name: "look".into(),
            content: "a moon".into(),
        }],
    };
    let request = ChatRequest::new(vec![
        ChatMessage::assistant("Welcome!"),
        ChatMessage::user("An example?"),
        ChatMessage::assistant("One of them."),
        ChatMessage::user("Look."),
        call,
        result,
        ChatMessage::user("Go on."),
    ]);
    finish(conversations.send(id, request)).await;
    let end = |stop| MessageState::Done { stop };
    let mut expected = vec![end(StopReason::End); 8];
    expected[4] = end(StopReason::ToolCall);
    let messages = conversations.open(id).await.expect("it opens").messages;
    let states: Vec<_> = messages.iter().map(|message| message.state.clone()).collect();
    assert_eq!(states, expected);
    let page = conversations.export(id, ExportFormat::Markdown).await.expect("written");
    assert!(!page.contains("interrupted"), "{page}");
}

#[tokio::test]
async fn an_edit_another_answer_and_a_resumed_one_are_estimated_and_decided_on_their_own_history() {
    let (_folder, _nearside, conversations) = fresh();
    let id = created(&conversations).await;
    finish(conversations.send(id, say("short"))).await;
    finish(conversations.send(id, say(&"a long question about the sea ".repeat(200)))).await;
    let messages = conversations.open(id).await.expect("it opens").messages;
    let (first, first_answer, last_answer) = (messages[0].id, messages[1].id, messages[3].id);
    let prompt_usd = async |request: ChatRequest, turn| -> f64 {
        let rows = conversations.cost(id, request, turn).await.expect("estimated");
        let row = rows
            .into_iter()
            .find(|row| row.usd_in > Some(0.0))
            .expect("a row with a price");
        row.usd_in.expect("a price")
    };
    let next = prompt_usd(say("and?"), ConversationTurn::Next).await;
    let edit = prompt_usd(say("short"), ConversationTurn::Edit { message: first }).await;
    let again = prompt_usd(
        ChatRequest::default(),
        ConversationTurn::Regenerate { message: first_answer },
    )
    .await;
    let long_again = prompt_usd(
        ChatRequest::default(),
        ConversationTurn::Regenerate { message: last_answer },
    )
    .await;
    let resumed = prompt_usd(ChatRequest::default(), ConversationTurn::Resume).await;
    assert_eq!(edit, again, "the same one message");
    assert!(edit * 20.0 < long_again, "{edit} {long_again}");
    assert!(long_again < next, "{long_again} {next}");
    assert!(long_again < resumed, "{long_again} {resumed}");

    let unknown = ConversationTurn::Edit { message: 9999 };
    let error = conversations
        .route(id, say("x"), unknown)
        .await
        .expect_err("no such message");
    assert_eq!(
        (error.kind(), error.reason()),
        (ErrorKind::InvalidRequest, ErrorReason::NotFound)
    );
    let answer = ConversationTurn::Edit { message: first_answer };
    let error = conversations
        .route(id, say("x"), answer)
        .await
        .expect_err("not a question");
    assert!(error.to_string().contains("only a user message"), "{error}");
    assert_eq!(
        conversations.open(id).await.expect("it opens").messages,
        messages,
        "nothing was stored"
    );
}

#[tokio::test]
async fn what_another_reader_keeps_of_a_purge_is_told_and_goes_with_the_next() {
    let (folder, _nearside, conversations) = fresh();
    let lose = created(&conversations).await;
    finish(conversations.send(lose, say("qwertyplant question"))).await;
    let reader = Connection::open(folder.path().join("conversations.db")).expect("opened");
    reader
        .execute_batch("BEGIN; SELECT count(*) FROM message;")
        .expect("a snapshot");
    conversations.delete(lose).await.expect("deleted");
    let busy = conversations.purge().await.expect_err("a reader needs the log");
    assert_eq!(busy.kind(), ErrorKind::Busy, "{busy}");
    assert!(
        !files_with("qwertyplant", folder.path()).is_empty(),
        "it is still there"
    );
    assert!(conversations.list(None, 0).await.expect("listed").is_empty());

    // Also where nothing is left to purge.
    reader.execute_batch("COMMIT").expect("ended");
    conversations.purge().await.expect("purged");
    assert_eq!(files_with("qwertyplant", folder.path()), [""; 0]);
}

#[tokio::test]
async fn what_a_purge_could_not_erase_goes_at_the_next_start() {
    let (folder, nearside, conversations) = fresh();
    let lose = created(&conversations).await;
    finish(conversations.send(lose, say("qwertyplant question"))).await;
    let reader = Connection::open(folder.path().join("conversations.db")).expect("opened");
    reader
        .execute_batch("BEGIN; SELECT count(*) FROM message;")
        .expect("a snapshot");
    conversations.delete(lose).await.expect("deleted");
    conversations.purge().await.expect_err("a reader needs the log");
    nearside.shut_down().await.expect("closed");
    drop((conversations, nearside));
    assert!(
        !files_with("qwertyplant", folder.path()).is_empty(),
        "it is still there"
    );
    reader.execute_batch("COMMIT").expect("ended");

    let (_nearside, conversations) = scripted(folder.path());
    assert!(conversations.list(None, 0).await.expect("listed").is_empty());
    assert_eq!(files_with("qwertyplant", folder.path()), [""; 0]);
}

#[tokio::test]
async fn temporary_conversations_are_like_others_and_no_file_has_them() {
    let (folder, nearside, stored) = fresh();
    let kept = created(&stored).await;
    let temporary = nearside.temporary_conversations().expect("memory");
    let id = created(&temporary).await;
    let other = created(&nearside.temporary_conversations().expect("memory")).await;
    assert!(kept < id && id != other, "{kept} {id} {other}");
    finish(temporary.send(id, say("qwertyplant question"))).await;
    finish(temporary.send(id, say("and more"))).await;
    assert_eq!(temporary.open(id).await.expect("it opens").messages.len(), 4);
    assert_eq!(temporary.search("qwerty".into(), 9).await.expect("searched").len(), 1);
    assert_eq!(files_with("qwertyplant", folder.path()), [""; 0]);
    assert_eq!(stored.list(None, 0).await.expect("listed").len(), 1);
    assert!(stored.open(id).await.is_err(), "another archive");
    drop(temporary);
    let again = nearside.temporary_conversations().expect("memory");
    assert!(again.list(None, 0).await.expect("listed").is_empty());
}

#[tokio::test]
async fn an_image_is_exported_as_base64() {
    let (_folder, _nearside, conversations) = fresh();
    let id = created(&conversations).await;
    let mut request = say("What is this?");
    request.messages[0].parts.push(ContentPart::Image {
        media_type: "image/png".into(),
        data: png(64, 48, b"\x89\xff").into(),
    });
    finish(conversations.send(id, request)).await;
    let json = conversations.export(id, ExportFormat::Json).await.expect("written");
    let json: serde_json::Value = serde_json::from_str(&json).expect("it is JSON");
    let data = json["messages"][0]["parts"][0]["data"].as_str().expect("a text");
    assert!(data.starts_with("iVBORw0KGgoAAAANSUhEUgAAAEAAAAAw"), "{data}");
    let stored = &conversations.open(id).await.expect("it opens").messages[0];
    assert!(matches!(&stored.parts[0], ContentPart::Image { data, .. } if **data == png(64, 48, b"\x89\xff")));
}

#[tokio::test]
async fn the_thread_that_opens_waits_for_no_file() {
    let (folder, nearside, conversations) = fresh();
    created(&conversations).await;
    drop((conversations, nearside));
    let locked = |file: &str| {
        let connection = Connection::open(folder.path().join(file)).expect("opened");
        connection.execute_batch("BEGIN IMMEDIATE").expect("locked");
        connection
    };
    // This runtime has one thread: a call that waited on it, five seconds long, would also stop the clock of the timeout.
    let within = |ms| Duration::from_millis(ms);
    let (nearside, _) = scripted(folder.path());
    let writer = locked("conversations.db");
    let begun = std::time::Instant::now();
    let conversations = nearside.conversations();
    assert!(begun.elapsed() < within(4_000), "{:?}", begun.elapsed());
    let waiting = tokio::time::timeout(within(300), conversations.list(None, 0)).await;
    assert!(waiting.is_err(), "the first use waits for the file");
    assert!(
        begun.elapsed() < within(4_000),
        "and the thread does not: {:?}",
        begun.elapsed()
    );
    drop(writer);
    assert_eq!(conversations.list(None, 0).await.expect("listed").len(), 1);
    drop((conversations, nearside));

    // A file of the first version, which must be migrated.
    let state = Connection::open(folder.path().join("state.db")).expect("opened");
    state
        .execute_batch(
            "PRAGMA user_version = 0; DROP TABLE setting; DROP TABLE ledger; DROP TABLE need; \
        DROP TABLE speed; DROP TABLE model_list; DROP TABLE provider;",
        )
        .expect("emptied");
    drop(state);
    let writer = locked("state.db");
    let open = Nearside::open(Config::new(folder.path().to_string_lossy()), None);
    tokio::pin!(open);
    let begun = std::time::Instant::now();
    assert!(
        tokio::time::timeout(within(300), &mut open).await.is_err(),
        "it waits for the file"
    );
    assert!(
        begun.elapsed() < within(4_000),
        "and the thread does not: {:?}",
        begun.elapsed()
    );
    drop(writer);
    open.await.expect("the library opens");
}

#[cfg(unix)]
#[tokio::test]
async fn conversations_of_an_earlier_release_become_their_owners_alone() {
    use std::os::unix::fs::PermissionsExt;
    let (folder, nearside, conversations) = fresh();
    created(&conversations).await;
    drop((conversations, nearside));
    let path = |suffix: &str| folder.path().join(format!("conversations.db{suffix}"));
    fs::set_permissions(path(""), fs::Permissions::from_mode(0o644)).expect("set");
    let (_nearside, conversations) = scripted(folder.path());
    created(&conversations).await;
    for suffix in ["", "-wal", "-shm"] {
        let mode = fs::metadata(path(suffix)).expect("a file").permissions().mode();
        assert_eq!(mode & 0o777, 0o600, "`{suffix}`");
    }
}
