//! States of conversations on the disk: a conversation goes on after a restart without being read again, and no file has
//! anything of one that is not stored, or no more.

#![allow(clippy::expect_used, reason = "a step that fails is a test that fails")]

use std::time::{Duration, Instant};

use nearside::AppEvent;
use nearside_tests::models;
use nearside_tests::phone::{Answer, Phone, story};
use nearside_tests::tiny_models::TinyShape;

const CANARY: &str = "zyx canary qwv";

/// The first token needs a fraction of what reading the conversation takes, and says the same. Ratios are printed.
#[tokio::test(flavor = "multi_thread")]
async fn after_a_restart_a_conversation_of_a_real_model_goes_on_without_being_read_again() {
    let list: String = (0..190).map(|n| format!("Item {n} is a boat. ")).collect();
    let first = format!("This is a list. {list} Say in one word what the items are.");
    let question = "Now answer in one short sentence: what would you do with one of them in the summer?";
    let mut texts = Vec::new();
    let mut first_token_ms = Vec::new();
    for (restarts, saved_state_bytes) in [(true, None), (false, None), (true, Some(0))] {
        let phone = Phone {
            saved_state_bytes,
            // Other tests may run beside it.
            threads: Some(1),
            ..Phone::with_model(models::path("smollm2.gguf"), 4096)
        };
        let mut nearside = phone.open();
        let id = phone.create(&nearside.conversations()).await;
        let told = phone.say(&nearside.conversations(), id, &first).await;
        assert!(told.prompt() >= 1500, "{}", told.prompt());
        if restarts {
            let begun = Instant::now();
            nearside.shut_down().await.expect("ended");
            let bytes: u64 = phone
                .states()
                .iter()
                .map(|path| path.metadata().expect("a file").len())
                .sum();
            println!("{bytes} bytes stored, closed in {} ms", begun.elapsed().as_millis());
            assert_eq!(bytes > 0, saved_state_bytes.is_none());
            nearside = phone.open();
            // Else the load would be a part of the figure.
            let warm_up = phone.ask("Hello.", 1);
            Answer::gather(nearside.chat(warm_up)).await;
        }
        let answer = phone.say(&nearside.conversations(), id, question).await;
        match saved_state_bytes {
            None => assert!(
                answer.cached() >= told.prompt(),
                "{} of {}",
                answer.cached(),
                told.prompt()
            ),
            Some(_) => assert!(answer.cached() < 100, "{}", answer.cached()),
        }
        println!(
            "restarts: {restarts}, stored: {saved_state_bytes:?}: {} of {} tokens cached, first token after {:.0} ms",
            answer.cached(),
            answer.prompt(),
            answer.summary.timings.first_token_ms
        );
        first_token_ms.push(answer.summary.timings.first_token_ms);
        texts.push(answer.text);
    }
    println!(
        "after a restart: {:.3} of a cold prefill",
        first_token_ms[0] / first_token_ms[2]
    );
    assert_eq!(texts[0], texts[1], "as without the restart");
}

#[tokio::test(flavor = "multi_thread")]
async fn conversations_of_every_shape_go_on_after_a_restart_also_from_an_edited_question() {
    for shape in TinyShape::ALL {
        let phone = Phone::tiny(shape);
        let mut texts = Vec::new();
        for restarts in [true, false] {
            let mut nearside = phone.open();
            let conversations = nearside.conversations();
            let ids = [phone.create(&conversations).await, phone.create(&conversations).await];
            let mut prompts = Vec::new();
            // The context holds the second one, and a copy the first one.
            for (id, name) in ids.iter().zip(["One", "Two"]) {
                phone.say(&conversations, *id, &format!("{name} {}", story(900))).await;
                prompts.push(phone.say(&conversations, *id, "Go on.").await.prompt());
            }
            if restarts {
                nearside.shut_down().await.expect("ended");
                assert_eq!(phone.states().len(), 2, "{shape:?}");
                nearside = phone.open();
            }
            let conversations = nearside.conversations();
            for (id, prompt) in ids.iter().zip(&prompts) {
                let answer = phone.say(&conversations, *id, "And then?").await;
                let read = answer.prompt() - answer.cached();
                assert!(
                    answer.cached() >= *prompt && read < 60,
                    "{shape:?}: {read} of {}",
                    answer.prompt()
                );
                texts.push(answer.text);
            }
            if restarts {
                // From what was stored before: the second question in other words.
                nearside.shut_down().await.expect("ended");
                let nearside = phone.open();
                let conversations = nearside.conversations();
                let messages = conversations.open(ids[0]).await.expect("it opens").messages;
                let edited = phone.ask("Say it in other words, please.", 16);
                let answer = Answer::gather(conversations.edit(ids[0], messages[4].id, edited)).await;
                let read = answer.prompt() - answer.cached();
                assert!(read < 90, "{shape:?}: {read} of {}", answer.prompt());
                for id in ids {
                    conversations.delete(id).await.expect("deleted");
                }
                conversations.purge().await.expect("purged");
                assert!(phone.states().is_empty(), "{shape:?}");
            }
        }
        // The ring of a sliding window begins elsewhere, and sums are in another order.
        let compared = if shape == TinyShape::SlidingWindow { 4 } else { 16 };
        let compared: Vec<_> = texts.iter().map(|text| &text[..compared]).collect();
        assert_eq!(compared[..2], compared[2..], "{shape:?}: as without the restart");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn only_states_of_stored_conversations_reach_the_disk_and_none_is_left_of_a_deleted_one() {
    let phone = Phone::tiny(TinyShape::Full);
    let nearside = phone.open();
    let canary = format!("{CANARY} {}", story(600));
    Answer::gather(nearside.chat(phone.ask(&canary, 16))).await;
    let temporary = nearside.temporary_conversations().expect("memory");
    let id = phone.create(&temporary).await;
    phone.say(&temporary, id, &canary).await;
    nearside.unload(None).await.expect("unloaded");
    assert!(phone.states().is_empty());

    // A request outside of a conversation that goes on from its content: only what the conversation has is stored.
    let conversations = nearside.conversations();
    let id = phone.create(&conversations).await;
    let kept = format!("kept {}", story(700));
    phone.say(&conversations, id, &kept).await;
    Answer::gather(nearside.chat(phone.ask(&format!("{kept} {CANARY}"), 16))).await;
    nearside.unload(None).await.expect("unloaded");
    assert_eq!(phone.states().len(), 1);
    assert!(!phone.has_tokens_of(CANARY) && phone.has_tokens_of("item 007 is here"));
    conversations.delete(id).await.expect("deleted");
    assert!(phone.states().is_empty());

    for deleted_at in ["loaded", "copied", "unloaded"] {
        let id = phone.create(&conversations).await;
        phone.say(&conversations, id, &canary).await;
        match deleted_at {
            "loaded" => {}
            "copied" => drop(Answer::gather(nearside.chat(phone.ask(&story(300), 4))).await),
            _ => {
                nearside.unload(None).await.expect("unloaded");
                assert!(phone.has_tokens_of(CANARY), "else the search proves nothing");
            }
        }
        conversations.delete(id).await.expect("deleted");
        nearside.unload(None).await.expect("unloaded");
        assert!(!phone.has_tokens_of(CANARY), "{deleted_at}");
        conversations.purge().await.expect("purged");
        assert!(phone.states().is_empty(), "{deleted_at}");
    }
    nearside.shut_down().await.expect("ended");
    assert!(phone.states().is_empty());
}

#[tokio::test(flavor = "multi_thread")]
async fn the_cache_of_a_deleted_conversation_serves_no_request() {
    for shape in TinyShape::ALL {
        let phone = Phone::tiny(shape);
        let nearside = phone.open();
        let conversations = nearside.conversations();
        let asked = format!("{CANARY} {}", story(600));
        let ask_again = || Answer::gather(nearside.chat(phone.ask(&asked, 4)));
        let id = phone.create(&conversations).await;
        phone.say(&conversations, id, &asked).await;
        assert!(
            ask_again().await.cached() > 500,
            "{shape:?}: else the rest proves nothing"
        );
        conversations.delete(id).await.expect("deleted");
        assert_eq!(ask_again().await.cached(), 0, "{shape:?}");
        // What was asked outside of it is not the conversation's.
        assert!(ask_again().await.cached() > 500, "{shape:?}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_request_for_the_title_of_a_deleted_conversation_leaves_nothing() {
    for shape in TinyShape::ALL {
        let phone = Phone::tiny(shape);
        let nearside = phone.open();
        let conversations = nearside.conversations();
        let (other, id) = (phone.create(&conversations).await, phone.create(&conversations).await);
        let asked = format!("{CANARY} {}", story(600));
        phone.say(&conversations, id, &asked).await;
        phone.say(&conversations, other, "Another one.").await;
        let title = || Answer::gather(nearside.chat(phone.ask(&format!("A title for: {asked}"), 4)));
        title().await;
        assert!(title().await.cached() > 500, "{shape:?}: else the rest proves nothing");
        conversations.delete(id).await.expect("deleted");
        let cached = title().await.cached();
        assert!(cached < 100, "{shape:?}: {cached}");
        assert!(title().await.cached() > 500, "{shape:?}: asked after the deletion");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_deletion_takes_only_what_followed_the_conversation_that_stays() {
    for shape in TinyShape::ALL {
        let phone = Phone::tiny(shape);
        let nearside = phone.open();
        let conversations = nearside.conversations();
        let (stays, deleted) = (phone.create(&conversations).await, phone.create(&conversations).await);
        phone.say(&conversations, stays, &story(600)).await;
        // It shares the beginning, and goes on with another text.
        Answer::gather(nearside.chat(phone.ask(&format!("{} {CANARY}", story(600)), 4))).await;
        conversations.delete(deleted).await.expect("deleted");
        let next = phone.say(&conversations, stays, "And then?").await;
        assert!(next.cached() > 500, "{shape:?}: {}", next.cached());
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_request_that_waited_while_a_conversation_was_deleted_leaves_nothing() {
    for shape in TinyShape::ALL {
        let phone = Phone::tiny(shape);
        let nearside = phone.open();
        let conversations = nearside.conversations();
        let id = phone.create(&conversations).await;
        let asked = format!("{CANARY} {}", story(600));
        let title = || nearside.chat(phone.ask(&format!("A title for: {asked}"), 4));
        phone.say(&conversations, id, &asked).await;
        let first = nearside.chat(phone.ask(&story(2000), 200));
        let waiting = title();
        conversations.delete(id).await.expect("deleted");
        Answer::gather(first).await;
        Answer::gather(waiting).await;
        let cached = Answer::gather(title()).await.cached();
        assert!(cached < 100, "{shape:?}: {cached}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_conversation_that_another_process_deleted_leaves_no_state() {
    let phone = Phone::tiny(TinyShape::Full);
    let (one, other) = (phone.open(), phone.open());
    let conversations = one.conversations();
    let ids = [phone.create(&conversations).await, phone.create(&conversations).await];
    for id in ids {
        phone
            .say(&conversations, id, &format!("{id} {CANARY} {}", story(600)))
            .await;
    }
    other.conversations().delete(ids[1]).await.expect("deleted");
    one.shut_down().await.expect("ended");
    assert_eq!(phone.states().len(), 1, "the first one's");
    // Where the file of conversations is replaced, the ids are those of others.
    drop((one, conversations));
    other.conversations().delete(ids[0]).await.expect("deleted");
    assert!(phone.states().is_empty());
}

#[tokio::test(flavor = "multi_thread")]
async fn a_new_file_of_conversations_has_no_state_of_the_old_one() {
    let phone = Phone::tiny(TinyShape::Full);
    let nearside = phone.open();
    let id = phone.create(&nearside.conversations()).await;
    phone
        .say(&nearside.conversations(), id, &format!("{CANARY} {}", story(600)))
        .await;
    nearside.shut_down().await.expect("ended");
    drop(nearside);
    assert_eq!(phone.states().len(), 1);
    for suffix in ["", "-wal", "-shm"] {
        let _ = std::fs::remove_file(phone.directory().join(format!("conversations.db{suffix}")));
    }
    let nearside = phone.open();
    assert_eq!(phone.create(&nearside.conversations()).await, id, "the same id");
    assert!(phone.states().is_empty());
}

#[tokio::test(flavor = "multi_thread")]
async fn background_and_memory_warnings_store_what_they_free() {
    let phone = Phone::tiny(TinyShape::Full);
    for (event, is_busy) in [
        (AppEvent::Background, false),
        (AppEvent::MemoryLow, true),
        (AppEvent::MemoryCritical, false),
    ] {
        let nearside = phone.open();
        let conversations = nearside.conversations();
        let id = phone.create(&conversations).await;
        let first = phone.say(&conversations, id, &story(900)).await;
        // The copy is freed while another answer uses the context.
        let running = is_busy.then(|| nearside.chat(phone.ask("Count.", 3000)));
        if let Some(running) = &running {
            assert!(!running.next_batch().await.expect("a start").is_empty());
        }
        let begun = Instant::now();
        while phone.states().is_empty() {
            // Again, because the answer before it may have just ended.
            nearside.notify(event);
            assert!(begun.elapsed() < Duration::from_secs(20), "{event:?}");
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
        drop(running);
        let answer = phone.say(&conversations, id, "Go on.").await;
        assert!(answer.cached() >= first.prompt(), "{event:?}: {}", answer.cached());
        conversations.delete(id).await.expect("deleted");
        assert!(phone.states().is_empty());
        nearside.shut_down().await.expect("ended");
    }
}
