//! Conversations: persistence, versions, prompt history and search.

#![allow(clippy::expect_used, reason = "a step that fails is a test that fails")]

use std::fs;
use std::path::Path;

use nearside::chat::{
    ChatMessage, ChatRequest, ChatStream, Chunk, ConversationSettings, ExportFormat, MessageRole, MessageState,
    RequestLimits, SamplingOptions, SamplingPreset, StopReason, StoredMessage,
};
use nearside::engine::{ReplyStep, ScriptedReply};
use nearside::{Config, Conversations, Error, ErrorKind, Nearside};
use nearside_tests::models;

fn text(text: &str) -> ReplyStep {
    ReplyStep::Text { text: text.into() }
}

fn thought(text: &str) -> ReplyStep {
    ReplyStep::Reasoning { text: text.into() }
}

fn scripted(directory: &Path, steps: Vec<ReplyStep>) -> (Nearside, Conversations) {
    let script = ScriptedReply {
        steps,
        chunk_delay_ms: 0,
    };
    let nearside = Nearside::scripted(Config::new(directory.to_string_lossy()), script).expect("the library opens");
    let conversations = nearside.conversations();
    (nearside, conversations)
}

fn say(words: &str) -> ChatRequest {
    ChatRequest::new(vec![ChatMessage::user(words)])
}

/// Reads an answer to its end and returns its text and stop reason.
async fn gather(stream: ChatStream) -> Result<(String, StopReason), Error> {
    let (mut answer, mut stop) = (String::new(), None);
    loop {
        let batch = stream.next_batch().await?;
        if batch.is_empty() {
            return Ok((answer, stop.expect("an answer ends with `Done`")));
        }
        for chunk in batch {
            match chunk {
                Chunk::Text { text } => answer.push_str(&text),
                Chunk::Done { summary } => stop = Some(summary.stop),
                _ => {}
            }
        }
    }
}

/// Opens the library in a new folder, and its conversations, for answers of these steps.
fn fresh(steps: Vec<ReplyStep>) -> (tempfile::TempDir, Nearside, Conversations) {
    let folder = tempfile::tempdir().expect("a folder");
    let (nearside, conversations) = scripted(folder.path(), steps);
    (folder, nearside, conversations)
}

/// Returns the text and the stop reason of an answer, which must succeed.
async fn answered(stream: ChatStream) -> (String, StopReason) {
    gather(stream).await.expect("answered")
}

async fn rename(conversations: &Conversations, id: u64, title: &str) {
    conversations.rename(id, Some(title.into())).await.expect("renamed");
}

async fn begun(conversations: &Conversations) -> u64 {
    let created = conversations.create(ConversationSettings::default()).await;
    created.expect("created").id
}

/// Returns roles and texts of the selected branch.
async fn shown(conversations: &Conversations, id: u64) -> Vec<(MessageRole, String)> {
    let messages = conversations.open(id).await.expect("it opens").messages.into_iter();
    messages.map(|message| (message.role, message.text)).collect()
}

fn words(pairs: &[(MessageRole, &str)]) -> Vec<(MessageRole, String)> {
    pairs.iter().map(|(role, text)| (*role, (*text).to_owned())).collect()
}

#[tokio::test]
async fn an_answer_is_kept_with_its_reasoning_apart_and_its_receipt_and_is_there_after_a_restart() {
    let steps = vec![thought("the moon"), text("Because of the moon.")];
    let (folder, nearside, conversations) = fresh(steps);
    let id = begun(&conversations).await;
    let answer = answered(conversations.send(id, say("Why do the tides\ncome twice?"))).await;
    assert_eq!(answer, ("Because of the moon.".to_owned(), StopReason::End));
    drop((conversations, nearside));

    let (_nearside, conversations) = scripted(folder.path(), vec![]);
    let listed = conversations.list(None, 0).await.expect("listed");
    assert_eq!(listed.len(), 1);
    assert_eq!(listed[0].title, "Why do the tides come twice?");
    assert_eq!(listed[0].preview, "Because of the moon.");
    assert_eq!(listed[0].messages, 2);
    let conversation = conversations.open(id).await.expect("it opens");
    let [question, answer] = &conversation.messages[..] else {
        panic!("two messages")
    };
    let roles = (question.role, answer.role);
    assert_eq!(roles, (MessageRole::User, MessageRole::Assistant));
    assert_eq!(answer.reasoning, "the moon");
    assert_eq!(answer.state, MessageState::Done { stop: StopReason::End });
    assert!(answer.receipt.is_some() && answer.usage.is_some() && answer.timings.is_some());
    assert_eq!(question.receipt, None);
}

#[tokio::test]
async fn an_edit_and_another_answer_add_versions_and_lose_nothing() {
    let (_folder, _nearside, conversations) = fresh(vec![text("so")]);
    let id = begun(&conversations).await;
    for question in ["one", "two"] {
        answered(conversations.send(id, say(question))).await;
    }
    let before = conversations.open(id).await.expect("it opens");
    let (first, last) = (before.messages[0].id, before.messages[3].id);

    answered(conversations.regenerate(id, last, ChatRequest::default())).await;
    let again = conversations.open(id).await.expect("it opens");
    assert_eq!(again.messages.len(), 4);
    assert_eq!(again.messages[3].versions.len(), 2);
    assert_eq!(again.messages[3].versions[0], last);

    answered(conversations.edit(id, first, say("uno"))).await;
    assert_eq!(
        shown(&conversations, id).await,
        words(&[(MessageRole::User, "uno"), (MessageRole::Assistant, "so")])
    );
    assert_eq!(conversations.list(None, 0).await.expect("listed")[0].title, "uno");

    let back = conversations.choose(id, last).await.expect("chosen");
    assert_eq!(back.messages[0].text, "one");
    assert_eq!(back.messages[3].id, last);
    assert_eq!(back.summary.messages, 4);
    assert_eq!(back.messages[0].versions.len(), 2);

    for (message, why) in [(last, "edited"), (9999, "no conversation or message")] {
        let refused = gather(conversations.edit(id, message, say("x"))).await.expect_err(why);
        assert_eq!(refused.kind(), ErrorKind::InvalidRequest);
        assert!(refused.to_string().contains(why), "{refused}");
    }
    let left = shown(&conversations, id).await.len();
    assert_eq!(left, 4, "what was refused left nothing");
}

#[tokio::test]
async fn one_answer_at_a_time_and_a_cancelled_one_keeps_its_words_and_goes_on() {
    let (folder, nearside, conversations) = fresh(vec![text("half an answer"), ReplyStep::Stall]);
    let id = begun(&conversations).await;
    let stream = conversations.send(id, say("begin"));
    let mut said = String::new();
    while said != "half an answer" {
        for chunk in stream.next_batch().await.expect("chunks") {
            if let Chunk::Text { text } = chunk {
                said.push_str(&text);
            }
        }
    }
    let busy = gather(conversations.send(id, say("more"))).await;
    let busy = busy.expect_err("one at a time");
    assert_eq!(busy.kind(), ErrorKind::Busy);
    let open = conversations.open(id).await.expect("it opens");
    let states: Vec<_> = open.messages.iter().map(|message| &message.state).collect();
    assert_eq!(states.last(), Some(&&MessageState::Writing));
    stream.cancel();
    let (_, stop) = gather(stream).await.expect("ended");
    assert_eq!(stop, StopReason::Cancelled);
    drop((conversations, nearside));

    let (_nearside, conversations) = scripted(folder.path(), vec![text(", and the rest")]);
    let (rest, _) = answered(conversations.resume(id, ChatRequest::default())).await;
    assert_eq!(rest, ", and the rest");
    let whole = [
        (MessageRole::User, "begin"),
        (MessageRole::Assistant, "half an answer, and the rest"),
    ];
    assert_eq!(shown(&conversations, id).await, words(&whole));
}

#[tokio::test]
async fn a_stream_that_is_dropped_leaves_what_came_and_a_failure_says_what_failed() {
    let fail = ReplyStep::Fail {
        kind: ErrorKind::Network,
        detail: "the line is dead".into(),
    };
    let (_folder, _nearside, conversations) = fresh(vec![text("a word"), fail]);
    let id = begun(&conversations).await;
    let failed = gather(conversations.send(id, say("go"))).await.expect_err("it fails");
    assert_eq!(failed.kind(), ErrorKind::Network);
    let open = conversations.open(id).await.expect("it opens");
    let last = open.messages.last().expect("an answer");
    assert_eq!(last.text, "a word");
    assert!(matches!(&last.state, MessageState::Failed { error, .. } if error.contains("the line is dead")));

    // Invalid turns are rejected before anything is written.
    let mut wrong = say("never");
    wrong.sampling.temperature = Some(9.0);
    let refused = gather(conversations.send(id, wrong)).await.expect_err("out of range");
    assert_eq!(refused.kind(), ErrorKind::InvalidRequest);
    assert_eq!(shown(&conversations, id).await.len(), 2);
    let unknown = gather(conversations.send(77, say("hello"))).await;
    let unknown = unknown.expect_err("no such conversation");
    assert!(unknown.to_string().contains("`77`"), "{unknown}");
}

#[tokio::test]
async fn what_is_deleted_comes_back_until_it_is_purged_and_then_no_byte_of_it_is_left() {
    let (folder, _nearside, conversations) = fresh(vec![text("zanzibarolla answered")]);
    let (keep, lose) = (begun(&conversations).await, begun(&conversations).await);
    answered(conversations.send(keep, say("a plain question"))).await;
    answered(conversations.send(lose, say("qwertyplant question"))).await;
    rename(&conversations, lose, "mirabellion").await;

    conversations.delete(lose).await.expect("deleted");
    assert_eq!(conversations.list(None, 0).await.expect("listed").len(), 1);
    let found = async || {
        conversations
            .search("qwertyplant".into(), 10)
            .await
            .expect("searched")
            .len()
    };
    assert_eq!(found().await, 0);
    conversations.restore(lose).await.expect("restored");
    assert_eq!(found().await, 1);
    conversations.delete(lose).await.expect("deleted");
    conversations.purge().await.expect("purged");
    let gone = conversations.restore(lose).await.expect_err("gone");
    assert_eq!(gone.kind(), ErrorKind::InvalidRequest);
    let entries = fs::read_dir(folder.path()).expect("files").flatten();
    for entry in entries.filter(|entry| entry.path().is_file()) {
        let bytes = fs::read(entry.path()).expect("read");
        for word in ["qwertyplant", "mirabellion"] {
            let found = bytes.windows(word.len()).any(|window| window == word.as_bytes());
            assert!(!found, "`{word}` is still in {}", entry.path().display());
        }
    }
    assert_eq!(shown(&conversations, keep).await.len(), 2);
}

#[tokio::test]
async fn words_are_found_whole_or_as_they_are_typed_in_any_script_and_titles_come_first() {
    let (_folder, _nearside, conversations) = fresh(vec![text("Прилив приходит дважды. Naïve café.")]);
    let (older, newer) = (begun(&conversations).await, begun(&conversations).await);
    answered(conversations.send(older, say("the lighthouse keeper"))).await;
    answered(conversations.send(newer, say("a boat"))).await;
    rename(&conversations, older, "Boats and tides").await;

    let found = async |query: &str| -> Vec<(u64, bool)> {
        let hits = conversations.search(query.to_owned(), 10).await.expect("searched");
        hits.iter()
            .map(|hit| (hit.conversation.id, hit.message.is_some()))
            .collect()
    };
    assert_eq!(found("boat").await, [(older, false), (newer, true)], "a title first");
    assert_eq!(found("lightho").await, [(older, true)], "by its beginning");
    assert_eq!(found("keeper lighthouse").await, [(older, true)], "in any order");
    assert_eq!(
        found("прилив дваж").await,
        [(newer, true), (older, true)],
        "the newest first"
    );
    assert_eq!(found("cafe").await.len(), 2, "without accents");
    assert!(found("boat lighthouse nothing").await.is_empty());
    assert!(found("\" OR 1 *").await.is_empty());
    assert!(found("").await.is_empty());
    let hit = &conversations.search("lighthouse".into(), 1).await.expect("searched")[0];
    let matched = hit.snippet.iter().filter(|part| part.matched);
    let matched: String = matched.map(|part| part.text.as_str()).collect();
    assert_eq!(matched, "lighthouse");
}

#[tokio::test]
async fn pins_come_first_and_settings_and_titles_stay() {
    let (_folder, _nearside, conversations) = fresh(vec![text("ok")]);
    let settings = ConversationSettings {
        system: Some("be brief".into()),
        preset: Some(SamplingPreset::Creative),
        ..ConversationSettings::default()
    };
    let first = conversations.create(settings.clone()).await.expect("created");
    assert_eq!(first.settings, settings);
    let second = begun(&conversations).await;
    answered(conversations.send(second, say("newer"))).await;
    let order = async || -> Vec<u64> {
        let listed = conversations.list(None, 0).await.expect("listed");
        listed.iter().map(|line| line.id).collect()
    };
    assert_eq!(order().await, [second, first.id]);
    conversations.set_pinned(first.id, true).await.expect("pinned");
    assert_eq!(order().await, [first.id, second]);
    rename(&conversations, second, "  A name  ").await;
    assert_eq!(conversations.list(Some(1), 1).await.expect("listed")[0].title, "A name");
    conversations.rename(second, None).await.expect("renamed");
    assert_eq!(conversations.list(Some(1), 1).await.expect("listed")[0].title, "newer");
}

#[tokio::test]
async fn a_conversation_is_written_out_for_people_and_for_programs() {
    let (_folder, _nearside, conversations) = fresh(vec![thought("let me see"), text("Twice a day.")]);
    let id = begun(&conversations).await;
    answered(conversations.send(id, say("How often?"))).await;
    let page = conversations.export(id, ExportFormat::Markdown).await.expect("written");
    assert!(
        page.starts_with("# How often?\n\n## You\n\nHow often?\n\n## Answer\n\n> let me see\n\nTwice a day.\n"),
        "{page}"
    );
    let json = conversations.export(id, ExportFormat::Json).await.expect("written");
    let json: serde_json::Value = serde_json::from_str(&json).expect("it is JSON");
    assert_eq!(json["messages"][1]["text"], "Twice a day.");
    assert_eq!(json["messages"][1]["state"]["type"], "done");
}

#[tokio::test]
async fn a_real_model_gets_the_history_without_what_its_context_cannot_hold() {
    let folder = tempfile::tempdir().expect("a folder");
    let config = Config {
        context: Some(512),
        ..Config::new(folder.path().to_string_lossy())
    };
    let nearside = Nearside::new(config).expect("the library opens");
    let conversations = nearside.conversations();
    let settings = ConversationSettings {
        model: Some(models::path("smollm2.gguf").to_string_lossy().into_owned()),
        system: Some("You answer in one short sentence.".into()),
        preset: Some(SamplingPreset::Precise),
        ..ConversationSettings::default()
    };
    let id = conversations.create(settings).await.expect("created").id;
    let ask = |words: String| ChatRequest {
        limits: RequestLimits {
            max_tokens: Some(12),
            ..RequestLimits::default()
        },
        sampling: SamplingOptions {
            seed: Some(1),
            ..SamplingOptions::default()
        },
        ..ChatRequest::new(vec![ChatMessage::user(words)])
    };
    for turn in 0..12 {
        let words = format!("Turn {turn}: {}", "tell me about the sea and its tides. ".repeat(5));
        answered(conversations.send(id, ask(words))).await;
    }
    let open = conversations.open(id).await.expect("it opens");
    assert_eq!(open.messages.len(), 24, "all of it is kept");
    let answers: Vec<_> = open
        .messages
        .iter()
        .filter(|message| message.role == MessageRole::Assistant)
        .collect();
    assert_eq!(answers[0].omitted_messages, 0);
    let last = answers.last().expect("answers");
    assert!(
        last.omitted_messages > 0 && last.omitted_messages % 2 == 0,
        "whole turns: {}",
        last.omitted_messages
    );
    // User message, answer and system prompt: the model got the history.
    let seen: Vec<u32> = answers
        .iter()
        .filter_map(|answer| answer.usage.map(|usage| usage.prompt_tokens))
        .collect();
    assert!(seen[1] > seen[0], "{seen:?}");
    assert!(seen.iter().all(|tokens| *tokens < 512), "{seen:?}");
    // Messages are omitted in large steps, so that most turns reuse the KV cache.
    let cached = |answer: &&&StoredMessage| {
        answer
            .usage
            .is_some_and(|usage| usage.cached_tokens * 2 > usage.prompt_tokens)
    };
    assert!(answers.iter().filter(cached).count() >= 6, "the cache is of use");
    let sampling = &last.receipt.as_ref().expect("a receipt").sampling;
    assert_eq!(sampling.preset, Some(SamplingPreset::Precise));
    assert_eq!(sampling.temperature, Some(0.0));
}
