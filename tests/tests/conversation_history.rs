//! The history of a conversation, fitted to each target at the moment it is asked.

use std::time::{Duration, Instant};

use nearside::chat::{
    ChatMessage, ChatRequest, ConversationSettings, MessageRole, RequestLimits, RouteTarget, RoutingMode,
    SamplingOptions, StopReason, ToolDefinition,
};
use nearside::route::estimate;
use nearside::{Conversations, ErrorReason};
use nearside_tests::device::{Device, DeviceAnswer, remote_target};
use nearside_tests::provider::{Dialect, Provider, Scenario};
use serde_json::Value;

const LOCAL_CONTEXT: u32 = 4096;
/// The default limit of the library; the model itself was trained for more.
const OLLAMA_CONTEXT: u32 = 32_768;

fn turn(number: usize, words: usize) -> String {
    format!(
        "Turn {number}: {}",
        "tell me about the sea and its tides. ".repeat(words)
    )
}

fn say(text: String) -> ChatRequest {
    ChatRequest {
        limits: RequestLimits {
            max_tokens: Some(4),
            ..RequestLimits::default()
        },
        sampling: SamplingOptions {
            temperature: Some(0.0),
            ..SamplingOptions::default()
        },
        ..ChatRequest::new(vec![ChatMessage::user(text)])
    }
}

fn at(target: &RouteTarget, text: String) -> ChatRequest {
    let mut request = say(text);
    match target {
        RouteTarget::Remote { provider, model } => {
            request.mode = RoutingMode::OnlyInCloud;
            (request.provider, request.model) = (Some(provider.clone()), Some(model.clone()));
        }
        _ => request.mode = RoutingMode::OnlyOnDevice,
    }
    request
}

fn last_messages(provider: &Provider) -> Vec<Value> {
    let chats = provider.chats();
    let messages = chats.last().expect("a chat")["messages"].as_array();
    messages.expect("messages").clone()
}

/// Estimates the tokens of messages as a provider got them.
fn tokens(messages: &[Value]) -> (u32, u32) {
    let text = |message: &Value| ChatMessage::user(message["content"].as_str().expect("text"));
    let request = ChatRequest::new(messages.iter().map(text).collect());
    let prompt = estimate::tokens(&request).0;
    (prompt.likely, prompt.high)
}

async fn begin(conversations: &Conversations) -> u64 {
    let settings = ConversationSettings {
        system: Some("You answer in one short sentence.".into()),
        ..ConversationSettings::default()
    };
    conversations.create(settings).await.expect("created").id
}

#[tokio::test]
async fn three_hundred_turns_at_three_contexts_send_each_what_it_can_hold() {
    let (ollama, large) = (Provider::start(Dialect::Ollama), Provider::start(Dialect::DeepSeek));
    for provider in [&ollama, &large] {
        provider.otherwise(Scenario::plain("Twice a day, because the earth turns under the moon."));
    }
    let device = Device::new(LOCAL_CONTEXT).await.with_model().await;
    let device = device.with_providers(&[&ollama, &large]).await;
    for dialect in [Dialect::Ollama, Dialect::DeepSeek] {
        device
            .nearside
            .provider_models(dialect.name().into())
            .await
            .expect("listed");
    }
    let conversations = device.nearside.conversations();
    let id = begin(&conversations).await;
    let local = RouteTarget::Local {
        model: device.nearside.models().await.expect("listed")[0].id.clone(),
    };
    let (mut local_seen, mut ollama_omitted) = (Vec::new(), Vec::new());
    for number in 0..300 {
        // Fewer here, because a prompt of thousands of tokens takes seconds without a graphics processor.
        let target = match number % 5 {
            _ if number % 100 == 0 => local.clone(),
            0 | 1 | 3 => remote_target(Dialect::Ollama),
            _ => remote_target(Dialect::DeepSeek),
        };
        // The large one gets most of the text, so that the others have to do without.
        let words = if number % 5 == 4 { 75 } else { 4 };
        let answer = DeviceAnswer::read(&conversations.send(id, at(&target, turn(number, words)))).await;
        assert!(answer.end.is_ok(), "turn {number} at {target}: {:?}", answer.end);
        assert_eq!(answer.targets().last(), Some(&target), "turn {number}");
        let done = answer.done();
        let started = answer.routes.last().expect("a start");
        let omitted = started.omitted_messages;
        assert_eq!(done.receipt.omitted_messages, omitted, "the receipt says the same");
        let sent_before = 2 * number as u32;
        match &target {
            RouteTarget::Local { .. } => {
                let prompt = done.usage.prompt_tokens;
                assert!(prompt + 4 <= LOCAL_CONTEXT, "turn {number}: {prompt}");
                local_seen.push((omitted, prompt, done.usage.cached_tokens));
            }
            RouteTarget::Remote { provider, .. } if provider == Dialect::Ollama.name() => {
                let messages = last_messages(&ollama);
                let (likely, high) = tokens(&messages);
                assert!(likely + 4 <= OLLAMA_CONTEXT, "turn {number}: {likely}");
                // System prompt, history and question.
                assert_eq!(messages.len() as u32, 2 + sent_before - omitted, "turn {number}");
                assert_eq!(messages[0]["role"], "system");
                if omitted > 0 {
                    // Half of the space by any of the counts, which are at most this one.
                    let least = (OLLAMA_CONTEXT - 4) / 2;
                    assert!(high >= least, "turn {number}: no less than it could hold: {high}");
                }
                ollama_omitted.push(omitted);
            }
            _ => {
                assert_eq!(omitted, 0, "turn {number}: the large context holds everything");
                assert_eq!(last_messages(&large).len() as u32, 2 + sent_before);
            }
        }
    }
    let last = ollama_omitted.last().copied().unwrap_or_default();
    assert!(
        ollama_omitted[0] == 0 && last > 0 && ollama_omitted.is_sorted(),
        "{ollama_omitted:?}"
    );
    let (omitted, ..) = local_seen[local_seen.len() - 1];
    assert!(local_seen[0].0 == 0 && omitted > last, "{local_seen:?}");
    let available = f64::from(LOCAL_CONTEXT - 4);
    for (omitted, prompt, _) in &local_seen {
        // Half of the space, unless one more turn does not fit: the largest have 680 tokens.
        let least = if *omitted == 0 { 0.0 } else { available / 2.0 };
        assert!(
            f64::from(*prompt) >= least,
            "no less than it could hold: {local_seen:?}"
        );
    }
    let open = conversations.open(id).await.expect("it opens");
    assert_eq!(open.messages.len(), 600, "all of it is kept");
    let stored: Vec<_> = open
        .messages
        .iter()
        .skip(1)
        .step_by(2)
        .map(|message| message.omitted_messages)
        .collect();
    assert_eq!(stored[200], omitted, "stored with the message");
}

/// Returns the messages of a long conversation.
fn long_history(turns: usize) -> Vec<ChatMessage> {
    let question = "why do the tides come twice a day here? ".repeat(3);
    let answer = "the earth turns under the moon and the sea follows. ".repeat(3);
    let turn = |number| {
        [
            ChatMessage::user(format!("question {number}: {question}")),
            ChatMessage::assistant(format!("answer {number}: {answer}")),
        ]
    };
    let turns = (0..turns).flat_map(turn);
    turns.chain([ChatMessage::user("and now?")]).collect()
}

#[tokio::test]
async fn a_conversation_of_any_length_fills_the_context_of_this_device() {
    const CONTEXT: u32 = 1024;
    let large = Provider::start(Dialect::DeepSeek);
    large.otherwise(Scenario::plain("Now as well."));
    let device = Device::new(CONTEXT).await.with_model().await;
    let device = device.with_providers(&[&large]).await;
    let conversations = device.nearside.conversations();
    let local = RouteTarget::Local { model: String::new() };
    for turns in [20, 100, 200, 400, 1_000] {
        let id = begin(&conversations).await;
        let mut history = at(&remote_target(Dialect::DeepSeek), String::new());
        history.messages = long_history(turns);
        DeviceAnswer::read(&conversations.send(id, history)).await.done();
        let mut before = None;
        for _ in 0..3 {
            let mut request = at(&local, "Go on.".into());
            request.limits.max_tokens = Some(1);
            let answer = DeviceAnswer::read(&conversations.send(id, request)).await;
            let done = answer.done();
            let (prompt, omitted) = (done.usage.prompt_tokens, done.receipt.omitted_messages);
            let seen = format!(
                "{turns} turns: {prompt} of {CONTEXT}, {omitted} omitted, {:?} before",
                before
            );
            assert!(prompt < CONTEXT, "{seen}");
            // The last token of the context is the answer's.
            assert!(prompt >= (CONTEXT - 1) / 2, "no less than it could hold: {seen}");
            if before == Some(omitted) {
                assert!(done.usage.cached_tokens > prompt / 2, "the same start: {seen}");
            }
            before = Some(omitted);
        }
    }
}

#[tokio::test]
async fn a_very_long_conversation_starts_as_soon_as_a_short_one_and_can_be_stopped() {
    let large = Provider::start(Dialect::DeepSeek);
    let device = Device::new(4096).await.with_model().await;
    let device = device.with_providers(&[&large]).await;
    let conversations = device.nearside.conversations();
    let local = RouteTarget::Local { model: String::new() };
    // Loads the model.
    device.ask(at(&local, "Hello.".into())).await.done();
    let id = begin(&conversations).await;
    let mut history = at(&remote_target(Dialect::DeepSeek), String::new());
    history.messages = long_history(5_000);
    DeviceAnswer::read(&conversations.send(id, history)).await.done();
    let started = Instant::now();
    let stream = conversations.send(id, at(&local, "Go on.".into()));
    stream.next_batch().await.expect("a start");
    stream.cancel();
    let answer = DeviceAnswer::read(&stream).await;
    assert_eq!(answer.done().stop, StopReason::Cancelled);
    // Rendering and counting all of it takes more than that.
    assert!(started.elapsed() < Duration::from_secs(3), "{:?}", started.elapsed());
    let mut late = at(&local, "Go on.".into());
    late.limits.deadline_ms = Some(1_000);
    let started = Instant::now();
    let answer = DeviceAnswer::read(&conversations.send(id, late)).await;
    assert_eq!(answer.error().reason(), ErrorReason::DeadlineExceeded);
    assert!(started.elapsed() < Duration::from_secs(4), "{:?}", started.elapsed());
    // The same outside of a conversation, where nothing is omitted.
    let mut whole = at(&local, String::new());
    whole.messages = long_history(5_000);
    let started = Instant::now();
    let answer = device.ask(whole).await;
    assert_eq!(answer.error().reason(), ErrorReason::ContextExceeded);
    assert!(started.elapsed() < Duration::from_secs(3), "{:?}", started.elapsed());
}

#[tokio::test]
async fn a_call_that_was_not_run_does_not_end_the_conversation() {
    for dialect in Dialect::ALL {
        let provider = Provider::start(dialect);
        provider.play(Scenario::ToolCall {
            id: "call_1".into(),
            name: "weather".into(),
            arguments: "{\"city\":\"Brest\"}".into(),
            thoughts: String::new(),
        });
        let device = Device::new(512).await.with_providers(&[&provider]).await;
        let conversations = device.nearside.conversations();
        let id = begin(&conversations).await;
        let mut request = at(&remote_target(dialect), "How is the weather?".into());
        request.tools = vec![ToolDefinition {
            name: "weather".into(),
            description: "tells the weather".into(),
            parameters: "{\"type\":\"object\"}".into(),
        }];
        let answer = DeviceAnswer::read(&conversations.send(id, request.clone())).await;
        assert_eq!(answer.done().stop, StopReason::ToolCall, "{dialect:?}");
        for text in ["Never mind.", "And now?"] {
            request.messages = vec![ChatMessage::user(text)];
            let answer = DeviceAnswer::read(&conversations.send(id, request.clone())).await;
            assert!(answer.end.is_ok(), "{dialect:?}: {:?}", answer.end);
        }
        let mut roles: Vec<_> = last_messages(&provider)
            .iter()
            .map(|message| message["role"].clone())
            .collect();
        // Some models get the system prompt in the user's first message.
        roles.retain(|role| role != "system");
        assert_eq!(roles, ["user", "assistant", "tool", "user", "assistant", "user"]);
        let stored = conversations.open(id).await.expect("it opens").messages;
        assert!(stored.iter().all(|message| message.role != MessageRole::Tool));
    }
}

#[tokio::test]
async fn a_fallback_gets_the_history_cut_for_itself() {
    let (large, ollama) = (Provider::start(Dialect::DeepSeek), Provider::start(Dialect::Compatible));
    let device = Device::new(1024)
        .await
        .with_model()
        .await
        .with_providers(&[&large, &ollama])
        .await;
    let conversations = device.nearside.conversations();
    let id = begin(&conversations).await;
    let fill = remote_target(Dialect::DeepSeek);
    for number in 0..8 {
        DeviceAnswer::read(&conversations.send(id, at(&fill, turn(number, 40))))
            .await
            .done();
    }
    // Everything remote is down: this device answers, with what it can hold.
    for provider in [&large, &ollama] {
        provider.otherwise(Scenario::Refused {
            status: 401,
            body: Value::Null,
            retry_after: None,
        });
    }
    let request = ChatRequest {
        mode: RoutingMode::PreferInCloud,
        ..say("And at night?".into())
    };
    let answer = DeviceAnswer::read(&conversations.send(id, request)).await;
    let done = answer.done();
    let omitted: Vec<_> = answer.routes.iter().map(|route| route.omitted_messages).collect();
    assert!(
        matches!(done.receipt.target, RouteTarget::Local { .. }),
        "{:?}",
        answer.targets()
    );
    assert_eq!(omitted[0], 0, "the first one got everything: {omitted:?}");
    assert!(done.receipt.omitted_messages > 0, "{omitted:?}");
    assert_eq!(last_messages(&large).len(), 18);
}

#[tokio::test]
async fn a_request_outside_of_a_conversation_is_never_cut() {
    let device = Device::new(512).await.with_model().await;
    let messages = (0..20).flat_map(|number| [ChatMessage::user(turn(number, 10)), ChatMessage::assistant("Yes.")]);
    let mut request = ChatRequest {
        mode: RoutingMode::OnlyOnDevice,
        ..say("And at night?".into())
    };
    request.messages.splice(0..0, messages);
    let answer = device.ask(request).await;
    let error = answer.error();
    assert_eq!(error.reason(), ErrorReason::ContextExceeded, "{error}");
}

#[tokio::test]
async fn a_last_turn_that_is_too_long_by_itself_says_so() {
    let device = Device::new(512).await.with_model().await;
    let conversations = device.nearside.conversations();
    let id = begin(&conversations).await;
    let local = RouteTarget::Local { model: String::new() };
    DeviceAnswer::read(&conversations.send(id, at(&local, turn(0, 2))))
        .await
        .done();
    let answer = DeviceAnswer::read(&conversations.send(id, at(&local, turn(1, 80)))).await;
    let error = answer.error();
    assert_eq!(error.reason(), ErrorReason::ContextExceeded, "{error}");
}

#[tokio::test]
async fn a_target_that_calls_a_short_history_too_long_is_not_sent_the_same_again() {
    let provider = Provider::start(Dialect::Groq);
    let device = Device::new(512).await.with_providers(&[&provider]).await;
    let conversations = device.nearside.conversations();
    let id = begin(&conversations).await;
    let target = remote_target(Dialect::Groq);
    DeviceAnswer::read(&conversations.send(id, at(&target, turn(0, 2))))
        .await
        .done();
    provider.otherwise(Scenario::refused(Dialect::Groq, "context_length_exceeded").expect("it is documented"));
    let answer = DeviceAnswer::read(&conversations.send(id, at(&target, turn(1, 2)))).await;
    let error = answer.error();
    assert_eq!(error.reason(), ErrorReason::ContextExceeded, "{error}");
    assert_eq!(provider.chats().len(), 2, "one for each turn");
}
