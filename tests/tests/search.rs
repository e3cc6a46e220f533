//! Search of conversations in every script, and the index of an earlier release, which is made anew at its first opening,
//! whole or not at all.

#![allow(clippy::expect_used, reason = "a step that fails is a test that fails")]

use std::path::Path;
use std::process::{Command, Stdio};
use std::time::{Duration, Instant};

use nearside::chat::{ChatMessage, ConversationSettings, SearchHit, Sensitivity};
use nearside::state::{Archive, Turn};
use nearside::{Config, Nearside};
use nearside_tests::old_library;
use rusqlite::{Connection, params};

/// Creates a conversation of these messages; returns its id.
fn store(archive: &Archive, messages: Vec<ChatMessage>) -> u64 {
    let id = archive.create(&ConversationSettings::default()).expect("created").id;
    let turn = Turn::Next(messages);
    archive.begin(id, &turn, Sensitivity::default()).expect("stored");
    id
}

/// Writes a hit as text, its matches in brackets.
fn marked(hit: &SearchHit) -> String {
    let parts = hit.snippet.iter().map(|part| match part.matched {
        true => format!("[{}]", part.text),
        false => part.text.clone(),
    });
    parts.collect()
}

#[test]
fn parts_of_texts_without_spaces_and_words_beside_emoji_are_found_and_marked() {
    let folder = tempfile::tempdir().expect("a folder");
    let archives = [
        Archive::open_in(folder.path()).expect("it opens"),
        Archive::in_memory().expect("memory"),
    ];
    for archive in &archives {
        for (text, queries) in [
            (
                "我昨天去了东京塔看风景。",
                &[
                    ("塔", "我昨天去了东京[塔]看风景。"),
                    ("东京", "我昨天去了[东京]塔看风景。"),
                    ("京塔看", "我昨天去了东[京塔看]风景。"),
                    ("风景 东京", "我昨天去了[东京]塔看[风景]。"),
                ][..],
            ),
            (
                "新しいｽﾏﾎとiPhoneを買いました",
                &[
                    ("買", "新しいｽﾏﾎとiPhoneを[買]いました"),
                    ("スマホ", "新しい[ｽﾏﾎ]とiPhoneを買いました"),
                    ("iphoneを", "新しいｽﾏﾎと[iPhoneを]買いました"),
                    ("iph", "新しいｽﾏﾎと[iPhone]を買いました"),
                ],
            ),
            (
                "เมื่อวานฉันกินข้าวผัดกุ้ง",
                &[("ข้าว", "เมื่อวานฉันกิน[ข้าว]ผัดกุ้ง"), ("กิน", "เมื่อวานฉัน[กิน]ข้าวผัดกุ้ง")],
            ),
            (
                "한국어를 배워요",
                &[("한국", "[한국어를] 배워요"), ("배워요", "한국어를 [배워요]")],
            ),
            (
                "🤖hello👍world",
                &[("hello", "🤖[hello]👍world"), ("wor", "🤖hello👍[world]")],
            ),
            ("Горячий чай", &[("чай", "Горячий [чай]"), ("горячии", "[Горячий] чай")]),
            ("हिन्दी सीखना", &[("हिन्दी", "[हिन्दी] सीखना")]),
        ] {
            let id = store(archive, vec![ChatMessage::user(text)]);
            for (query, expected) in queries {
                let hits = archive.search(query, 9).expect("searched");
                assert_eq!(hits.len(), 1, "`{query}` in `{text}`");
                assert_eq!(
                    (hits[0].conversation.id, marked(&hits[0]).as_str()),
                    (id, *expected),
                    "`{query}`"
                );
            }
            archive.rename(id, Some(text)).expect("renamed");
            let hits = archive.search(queries[0].0, 9).expect("searched");
            assert_eq!((hits.len(), hits[0].message), (1, None), "the title of `{text}`");
        }
        for query in ["京东", "塔东", "ก้ว", "국한", "🤖", "。"] {
            assert!(archive.search(query, 9).expect("searched").is_empty(), "`{query}`");
        }
    }
}

/// Adds this many messages, as the earlier release did: by its own triggers.
fn add_messages(directory: &Path, count: u32) {
    let mut file = Connection::open(directory.join("conversations.db")).expect("the conversations");
    let all = file.transaction().expect("a transaction");
    for number in 0..count {
        let text = format!("第{number}次去东京塔看风景 🤖tower{number}");
        all.execute(
            "INSERT INTO message (conversation, before, shown, role, text, created_at, state)
             VALUES (3, 1000000, 0, '\"user\"', ?1, 0, '{\"type\":\"done\",\"stop\":\"end\"}')",
            params![text],
        )
        .expect("a row");
    }
    all.commit().expect("written");
}

fn version(directory: &Path) -> i64 {
    let file = Connection::open(directory.join("conversations.db")).expect("the conversations");
    let check: String = file
        .query_row("PRAGMA quick_check", [], |row| row.get(0))
        .expect("checked");
    assert_eq!(check, "ok");
    file.query_row("PRAGMA user_version", [], |row| row.get(0))
        .expect("a version")
}

#[tokio::test]
async fn the_index_of_an_earlier_release_is_made_anew_whole_or_not_at_all() {
    let folder = tempfile::tempdir().expect("a folder");
    let directory = folder.path().join("library");
    old_library::write(&directory);
    add_messages(&directory, 30_000);
    assert_eq!(version(&directory), 1);

    let mut kills = 0;
    for delay_ms in [1, 20, 60, 150, 300] {
        let mut child = Command::new(env!("CARGO_BIN_EXE_nearside-archive"))
            .args(["--directory".as_ref(), directory.as_os_str()])
            .args(["--conversations", "1", "--times", "0"])
            .stdout(Stdio::null())
            .stderr(Stdio::null())
            .spawn()
            .expect("the program starts");
        std::thread::sleep(Duration::from_millis(delay_ms));
        if child.try_wait().expect("a state").is_none() {
            child.kill().expect("killed");
            kills += 1;
        }
        child.wait().expect("gone");
        assert!([1, 4].contains(&version(&directory)), "a step between");
    }
    assert!(kills > 0, "none was at work");
    let nearside = Nearside::new(Config::new(directory.to_string_lossy())).expect("the library opens");
    let conversations = nearside.conversations();
    let begun = Instant::now();
    for (query, found) in [
        ("东京", 1),
        ("塔", 1),
        ("tower29999", 1),
        ("lighthouse", 1),
        ("京东", 0),
    ] {
        let hits = conversations.search(query.to_owned(), 9).await.expect("searched");
        assert_eq!(hits.len(), found, "`{query}` after {:?}", begun.elapsed());
    }
    drop((conversations, nearside));
    assert_eq!(version(&directory), 4);
    old_library::assert_complete(&directory, &directory).await;
}

/// Putting a long conversation in at once costs as many steps as it has messages.
#[test]
fn a_long_conversation_is_put_in_at_once_without_delay() {
    let measure = |turns: usize| {
        let archive = Archive::in_memory().expect("memory");
        let messages = (0..turns).flat_map(|turn| {
            [
                ChatMessage::user(format!("question {turn}")),
                ChatMessage::assistant(format!("answer {turn}")),
            ]
        });
        let messages = messages.chain([ChatMessage::user("and now?")]).collect();
        let begun = Instant::now();
        store(&archive, messages);
        begun.elapsed()
    };
    measure(100);
    let short = (0..3).map(|_| measure(500)).min().expect("a time");
    let long = (0..2).map(|_| measure(5_000)).min().expect("a time");
    println!("500 turns in {short:?}, 5,000 in {long:?}");
    assert!(long < short * 35, "500 turns in {short:?}, 5,000 in {long:?}");
}

#[test]
fn deleted_conversations_hide_no_others_from_a_search() {
    let archive = Archive::in_memory().expect("memory");
    for number in 0..60 {
        let id = archive.create(&ConversationSettings::default()).expect("created").id;
        archive.rename(id, Some("Tides")).expect("renamed");
        if number >= 5 {
            archive.delete(id).expect("deleted");
        }
    }
    assert_eq!(archive.search("tides", 50).expect("hits").len(), 5);
    assert_eq!(archive.search("tides", 3).expect("hits").len(), 3);
}
