//! What the library gives to the tests of apps: a clock that stands, data in memory, a script in a file, and a model of one
//! megabyte. The bindings hand all of it to Swift and Kotlin.

use nearside::chat::{ChatRequest, ConversationSettings, RequestLimits, RoutingMode, StopReason};
use nearside::clock::Clock;
use nearside::engine::remote::Secret;
use nearside::engine::{ReplyStep, ScriptedReply};
use nearside::route::RoutingPolicy;
use nearside::{Config, ErrorKind, ErrorReason, Nearside, TestSetup};
use nearside_tests::device::open_policy;
use nearside_tests::provider::{Dialect, Provider, WireFormat};
use nearside_tests::remote::{KEY, collect_answer, question, settings};
use nearside_tests::tiny_models::{TinyShape, runnable};

/// 31 March 2026, 23:59:59 in UTC.
const LAST_SECOND_OF_MARCH: u64 = 1_775_001_599_000;

#[tokio::test]
async fn caps_and_spending_follow_a_clock_that_a_test_moves() {
    let provider = Provider::start(Dialect::DeepSeek);
    let (folder, clock) = (
        tempfile::tempdir().expect("a folder"),
        Clock::standing_at(LAST_SECOND_OF_MARCH),
    );
    let setup = TestSetup {
        clock: clock.clone(),
        ..TestSetup::default()
    };
    let nearside = Nearside::for_tests(Config::new(folder.path().to_string_lossy()), setup).expect("it opens");
    let mut server = settings(Dialect::DeepSeek, &provider.url());
    server.model = Some(Dialect::DeepSeek.model().to_owned());
    nearside.add_provider(server).await.expect("set up");
    nearside.set_key(Dialect::DeepSeek.name(), Secret::new(KEY));
    let ask = async || {
        let request = ChatRequest {
            mode: RoutingMode::OnlyInCloud,
            limits: RequestLimits {
                max_tokens: Some(50),
                ..RequestLimits::default()
            },
            ..question()
        };
        collect_answer(&nearside.chat(request)).await
    };
    nearside.set_policy(open_policy()).await.expect("kept");
    assert!(ask().await.end.is_ok());
    let spent = nearside.spent().await.expect("a sum");
    assert!(spent.day > 0.0 && spent.day == spent.month, "{spent:?}");

    // Nothing is left of the day.
    let capped = RoutingPolicy {
        max_usd_day: Some(spent.day),
        ..open_policy()
    };
    nearside.set_policy(capped).await.expect("kept");
    let refused = ask().await.end.expect_err("the cap is reached");
    assert_eq!(refused.reason(), ErrorReason::CostCap);

    // One second later it is April.
    clock.set(LAST_SECOND_OF_MARCH + 1000);
    let fresh = nearside.spent().await.expect("a sum");
    assert_eq!((fresh.day, fresh.month), (0.0, 0.0));
    let raised = RoutingPolicy {
        max_usd_day: Some(1.0),
        ..open_policy()
    };
    nearside.set_policy(raised).await.expect("kept");
    assert!(ask().await.end.is_ok());
}

#[tokio::test]
async fn conversations_are_dated_by_the_clock_of_a_test() {
    let folder = tempfile::tempdir().expect("a folder");
    let setup = TestSetup {
        clock: Clock::standing_at(LAST_SECOND_OF_MARCH),
        ..TestSetup::default()
    };
    let nearside = Nearside::for_tests(Config::new(folder.path().to_string_lossy()), setup).expect("it opens");
    let conversation = nearside.conversations().create(ConversationSettings::default()).await;
    assert_eq!(conversation.expect("created").created_at_ms, LAST_SECOND_OF_MARCH);
}

#[tokio::test]
async fn data_in_memory_leaves_no_database() {
    let folder = tempfile::tempdir().expect("a folder");
    let reply = ScriptedReply {
        steps: vec![ReplyStep::Text {
            text: "Because of the moon.".into(),
        }],
        chunk_delay_ms: 0,
    };
    let setup = TestSetup {
        in_memory: true,
        ..TestSetup::playing(reply)
    };
    let nearside = Nearside::for_tests(Config::new(folder.path().to_string_lossy()), setup).expect("it opens");
    nearside.set_policy(open_policy()).await.expect("kept");
    let conversations = nearside.conversations();
    let id = conversations
        .create(ConversationSettings::default())
        .await
        .expect("created")
        .id;
    let answer = collect_answer(&conversations.send(id, question())).await;
    assert_eq!(answer.text, "Because of the moon.");
    let stored = conversations.open(id).await.expect("it is there");
    assert_eq!(stored.messages.len(), 2);
    nearside.shut_down().await.expect("closed");
    let files = std::fs::read_dir(folder.path()).expect("the folder is there");
    let left: Vec<_> = files
        .filter_map(|entry| Some(entry.ok()?.file_name().to_string_lossy().into_owned()))
        .filter(|name| name.contains(".db"))
        .collect();
    assert!(left.is_empty(), "{left:?}");
}

#[test]
fn a_script_is_read_from_json_and_a_faulty_one_names_its_place_only() {
    let text = r#"{"steps": [{"type": "reasoning", "text": "Hm."}, {"type": "text", "text": "Twice."},
                   {"type": "fail_because", "reason": "offline", "detail": "gone"}], "chunk_delay_ms": 5}"#;
    let script = ScriptedReply::from_json(text).expect("a script");
    assert_eq!((script.steps.len(), script.chunk_delay_ms), (3, 5));
    assert!(
        ScriptedReply::from_json("{}")
            .expect("an empty script")
            .steps
            .is_empty()
    );
    for wrong in ["", r#"{"steps": [{"type": "secret-step"}]}"#, r#"{"step": []}"#] {
        let error = ScriptedReply::from_json(wrong).expect_err("no script");
        assert_eq!(error.kind(), ErrorKind::InvalidRequest);
        assert!(!error.detail().contains("secret"), "{error}");
    }
}

#[tokio::test]
async fn a_model_of_one_megabyte_really_answers() {
    let folder = tempfile::tempdir().expect("a folder");
    let file = folder.path().join("tiny.gguf");
    let bytes = runnable(TinyShape::Full, None);
    assert!(bytes.len() < 2_000_000, "{}", bytes.len());
    std::fs::write(&file, bytes).expect("written");
    let nearside = Nearside::new(Config::new(folder.path().join("data").to_string_lossy())).expect("it opens");
    let installed = nearside
        .import(file.to_string_lossy().into_owned())
        .await
        .expect("imported");
    let request = ChatRequest {
        model: Some(installed.id),
        limits: RequestLimits {
            max_tokens: Some(8),
            ..RequestLimits::default()
        },
        ..question()
    };
    let answer = collect_answer(&nearside.chat(request)).await;
    let done = answer.end.expect("it ends");
    assert_eq!((done.usage.completion_tokens, done.stop), (8, StopReason::MaxTokens));
}
