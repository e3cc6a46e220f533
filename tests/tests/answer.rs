//! How a decision is carried out: fallbacks and the error that is told, deadlines, tool loops.

use std::time::{Duration, Instant};

use nearside::chat::{
    ChatMessage, ChatRequest, Chunk, ContentPart, ConversationSettings, MessageRole, RequestLimits, RoutingMode,
    ToolDefinition,
};
use nearside::engine::remote::ProviderSettings;
use nearside::{Error, ErrorKind, ErrorReason};
use nearside_tests::device::{Device, DeviceAnswer, remote_target};
use nearside_tests::provider::{Dialect, Provider, Scenario, WireFormat};
use nearside_tests::remote::{question, settings};
use serde_json::json;

fn in_cloud() -> ChatRequest {
    ChatRequest {
        mode: RoutingMode::OnlyInCloud,
        ..question()
    }
}

fn refused(status: u16) -> Scenario {
    Scenario::Refused {
        status,
        body: json!({}),
        retry_after: None,
    }
}

#[tokio::test]
async fn if_all_targets_fail_the_error_is_the_first_ones_and_names_the_later_ones() {
    let (one, other) = (
        Provider::start(Dialect::Compatible),
        Provider::start(Dialect::LlamaServer),
    );
    let device = Device::new(512).await.with_providers(&[&one, &other]).await;
    for provider in ["compatible", "llama-server"] {
        let list = device.nearside.provider_models(provider.into()).await;
        list.expect("an own server is no fallback before it was asked for its list");
    }
    one.otherwise(refused(401));
    other.otherwise(refused(401));
    let first = device.ask(in_cloud()).await.targets().swap_remove(0);
    let (first, later) = match first == remote_target(Dialect::Compatible) {
        true => (&one, &other),
        false => (&other, &one),
    };
    later.otherwise(refused(400));
    let answer = device.ask(in_cloud()).await;
    let error = answer.error();
    assert_eq!(error.kind(), ErrorKind::Unauthorized, "the first one's: {error}");
    assert_eq!(answer.routes.len(), 2);
    let text = error.to_string();
    let second = answer.routes[1].target.to_string();
    assert!(text.contains(&format!("`{}`", first.dialect().name())), "{text}");
    assert!(text.contains(&format!("`{second}`")), "it names the later one: {text}");
    assert!(text.find(first.dialect().name()) < text.find(&second), "{text}");
}

#[tokio::test]
async fn each_start_names_the_fallbacks_that_are_left_and_the_estimate_of_its_own_target() {
    let (paid, own) = (Provider::start(Dialect::DeepSeek), Provider::start(Dialect::Compatible));
    let device = Device::new(512).await.with_providers(&[&paid, &own]).await;
    let list = device.nearside.provider_models("compatible".into()).await;
    list.expect("an own server is no fallback before it was asked for its list");
    paid.otherwise(refused(500));
    own.otherwise(Scenario::plain("Twice."));
    let answer = device.ask(in_cloud()).await;
    let [first, second] = &answer.routes[..] else {
        panic!("two targets: {:?}", answer.targets())
    };
    assert_eq!(first.target, remote_target(Dialect::DeepSeek));
    assert_eq!(first.then, [remote_target(Dialect::Compatible)]);
    assert!(first.expected.cost_usd.is_some_and(|usd| usd > 0.0));
    assert_eq!(second.then, []);
    assert_eq!(second.expected.cost_usd, Some(0.0), "an own server is free");
    assert_eq!(answer.done().receipt.expected, second.expected);
}

#[tokio::test]
async fn a_deadline_has_one_face_wherever_it_passes_and_no_other_target_is_tried_after_it() {
    let (slow, other) = (Provider::start(Dialect::DeepSeek), Provider::start(Dialect::Compatible));
    let device = Device::new(512).await.with_providers(&[&slow, &other]).await;
    let request = ChatRequest {
        limits: RequestLimits {
            deadline_ms: Some(400),
            ..RequestLimits::default()
        },
        ..in_cloud()
    };
    let mut texts = Vec::new();
    for scenario in [
        Scenario::NeverFirstByte,
        Scenario::KeepAlivesForever { every_ms: 20 },
        Scenario::Stall {
            text: "The moon".into(),
            provider: None,
        },
    ] {
        slow.play(scenario.clone());
        let begun = Instant::now();
        let answer = device.ask(request.clone()).await;
        let error = answer.error();
        assert_eq!(error.reason(), ErrorReason::DeadlineExceeded, "{scenario:?}: {error}");
        assert!(begun.elapsed() < Duration::from_secs(10), "{scenario:?}");
        texts.push((error.kind(), error.to_string().split(';').next().map(str::to_owned)));
        assert_eq!(answer.targets(), [remote_target(Dialect::DeepSeek)], "{scenario:?}");
    }
    assert!(texts.windows(2).all(|pair| pair[0] == pair[1]), "{texts:?}");
    assert!(other.chats().is_empty());
}

#[tokio::test]
async fn the_time_that_is_left_is_carried_to_the_next_target() {
    let (broken, slow) = (Provider::start(Dialect::DeepSeek), Provider::start(Dialect::Compatible));
    let device = Device::new(512).await.with_providers(&[&broken, &slow]).await;
    let list = device.nearside.provider_models("compatible".into()).await;
    list.expect("an own server is no fallback before it was asked for its list");
    broken.play(Scenario::Delayed {
        ms: 300,
        then: Box::new(refused(401)),
    });
    slow.play(Scenario::NeverFirstByte);
    let request = ChatRequest {
        limits: RequestLimits {
            deadline_ms: Some(900),
            ..RequestLimits::default()
        },
        ..in_cloud()
    };
    let begun = Instant::now();
    let answer = device.ask(request).await;
    assert_eq!(answer.targets().len(), 2);
    assert_eq!(answer.error().reason(), ErrorReason::DeadlineExceeded);
    let elapsed = begun.elapsed();
    assert!(
        (800..5000).contains(&elapsed.as_millis()),
        "one deadline for both: {elapsed:?}"
    );
}

fn tides(provider: Option<Dialect>) -> ChatRequest {
    ChatRequest {
        provider: provider.map(|dialect| dialect.name().to_owned()),
        tools: vec![ToolDefinition {
            name: "tides".into(),
            description: "The tides.".into(),
            parameters: "{}".into(),
        }],
        ..in_cloud()
    }
}

fn call(id: &str) -> Scenario {
    Scenario::ToolCall {
        id: id.into(),
        name: "tides".into(),
        arguments: "{}".into(),
        thoughts: String::new(),
    }
}

fn result_of(id: &str) -> ChatMessage {
    ChatMessage {
        role: MessageRole::Tool,
        parts: vec![ContentPart::ToolResult {
            id: id.into(),
            name: "tides".into(),
            content: "06:00".into(),
        }],
    }
}

#[tokio::test]
async fn a_tool_loop_is_its_conversations_own_and_survives_a_restart() {
    let (one, other) = (
        Provider::start(Dialect::Compatible),
        Provider::start(Dialect::LlamaServer),
    );
    let providers = [&one, &other];
    let device = Device::new(512).await.with_providers(&providers).await;
    let conversations = device.nearside.conversations();
    let mut ids = Vec::new();
    // Both models call their first call `call_1`.
    for provider in providers {
        provider.play(call("call_1"));
        let id = conversations
            .create(ConversationSettings::default())
            .await
            .expect("created")
            .id;
        let asked = conversations.send(id, tides(Some(provider.dialect())));
        let answer = DeviceAnswer::read(&asked).await;
        assert_eq!(answer.calls.len(), 1, "{:?}", answer.end);
        ids.push(id);
    }
    let result = ChatRequest {
        messages: vec![result_of("call_1")],
        ..tides(None)
    };
    let route = conversations
        .route(ids[0], result.clone(), nearside::chat::ConversationTurn::Next)
        .await
        .expect("a decision");
    assert!(format!("{route:?}").contains(Dialect::Compatible.name()));
    let answer = DeviceAnswer::read(&conversations.send(ids[0], result.clone())).await;
    assert_eq!(
        answer.targets(),
        [remote_target(Dialect::Compatible)],
        "{:?}",
        answer.end
    );

    drop(conversations);
    let device = device.restarted(&providers);
    let conversations = device.nearside.conversations();
    let answer = DeviceAnswer::read(&conversations.send(ids[1], result)).await;
    assert_eq!(
        answer.targets(),
        [remote_target(Dialect::LlamaServer)],
        "{:?}",
        answer.end
    );
}

#[tokio::test]
async fn calls_without_an_id_get_one_that_no_other_answer_has() {
    let provider = Provider::start(Dialect::Compatible);
    let device = Device::new(512).await.with_providers(&[&provider]).await;
    let mut ids = std::collections::BTreeSet::new();
    for _ in 0..3 {
        provider.play(call(""));
        let answer = device.ask(tides(None)).await;
        let (id, ..) = &answer.calls[0];
        assert!(id.len() > 12, "{id}");
        assert!(ids.insert(id.clone()), "{id} came twice");
    }
}

#[tokio::test]
async fn a_closed_library_ends_its_answers_and_the_last_item_is_the_only_one_after_a_cancel() {
    let provider = Provider::start(Dialect::Compatible);
    let device = Device::new(512).await.with_providers(&[&provider]).await;
    provider.play(Scenario::Slow {
        tokens: 100_000,
        per_second: 5_000.0,
    });
    let stream = device.nearside.chat(in_cloud());
    let mut started = false;
    while !started {
        let batch = stream.next_batch().await.expect("no error");
        started = batch.iter().any(|chunk| matches!(chunk, Chunk::Text { .. }));
    }
    stream.cancel();
    let answer = DeviceAnswer::read(&stream).await;
    assert!(answer.end.is_ok(), "{:?}", answer.end);
    provider.play(Scenario::Slow {
        tokens: 100_000,
        per_second: 5_000.0,
    });
    let stream = device.nearside.chat(in_cloud());
    stream.next_batch().await.expect("it starts");
    drop(device);
    let answer = DeviceAnswer::read(&stream).await;
    let ended: Result<_, Error> = answer.end;
    assert!(ended.is_ok(), "it ends as cancelled: {ended:?}");
}

#[tokio::test]
async fn a_provider_that_changed_while_another_was_tried_gets_neither_the_content_nor_a_new_key() {
    for moves in [true, false] {
        let slow = Provider::start(Dialect::DeepSeek);
        slow.otherwise(Scenario::Delayed {
            ms: 1_500,
            then: Box::new(refused(400)),
        });
        let (old, new) = (Provider::start(Dialect::Groq), Provider::start(Dialect::Groq));
        let device = Device::new(512).await;
        let named = |name: &str, provider: &Provider| ProviderSettings {
            name: name.into(),
            model: Some(provider.dialect().model().into()),
            // The other one comes first.
            own_server: Some(name == "first"),
            ..settings(provider.dialect(), &provider.url())
        };
        device.add(named("first", &slow)).await;
        device.add(named("second", &old)).await;
        let stream = device.nearside.chat(in_cloud());
        let changed = async {
            while slow.chats().is_empty() {
                tokio::time::sleep(Duration::from_millis(10)).await;
            }
            match moves {
                true => device.add(named("second", &new)).await,
                false => device.nearside.remove_provider("second".into()).await.expect("removed"),
            }
        };
        let (answer, ()) = tokio::join!(DeviceAnswer::read(&stream), changed);
        let error = answer.error().to_string();
        assert!(error.contains("set up anew or removed"), "{error}");
        assert_eq!((old.chats().len(), new.chats().len()), (0, 0), "moved: {moves}");
    }
}
