//! Routing through the public API, between a real local model and local providers: target, costs, fallbacks and failures.

use std::time::Duration;

use nearside::chat::{
    ChatRequest, ChatStream, Chunk, CostSource, Receipt, RequestLimits, RouteRule, RouteTarget, RoutingMode,
    Sensitivity, StopReason,
};
use nearside::engine::remote::Secret;
use nearside::route::{ConsentPolicy, RouteDecision, RoutingPolicy};
use nearside::state::SpendingGroup;
use nearside::{Config, Error, ErrorKind, ErrorReason, Nearside};
use nearside_tests::device::open_policy;
use nearside_tests::models;
use nearside_tests::provider::{Dialect, Provider, Scenario, WireFormat};
use nearside_tests::remote::{KEY, question, settings};

/// A device without models and with configured providers.
struct Device {
    nearside: Nearside,
    _folder: tempfile::TempDir,
}

impl Device {
    async fn new(providers: &[&Provider], policy: RoutingPolicy) -> Self {
        let folder = tempfile::tempdir().expect("a folder");
        let config = Config {
            context: Some(512),
            ..Config::new(folder.path().to_string_lossy())
        };
        let nearside = Nearside::new(config).expect("the library opens");
        for provider in providers {
            let dialect = provider.dialect();
            let mut settings = settings(dialect, &provider.url());
            settings.model = Some(dialect.model().to_owned());
            nearside.add_provider(settings).await.expect("set up");
            nearside.set_key(dialect.name(), Secret::new(KEY));
        }
        nearside.set_policy(policy).await.expect("kept");
        Self {
            nearside,
            _folder: folder,
        }
    }

    async fn with_model(self) -> Self {
        let path = models::path("smollm2.gguf").to_string_lossy().into_owned();
        self.nearside.import(path).await.expect("imported");
        self
    }

    async fn ask(&self, request: ChatRequest) -> StreamResult {
        read(&self.nearside.chat(request)).await
    }
}

/// The collected content of a stream.
struct StreamResult {
    targets: Vec<RouteTarget>,
    text: String,
    end: Result<(StopReason, Receipt), Error>,
}

async fn read(stream: &ChatStream) -> StreamResult {
    let mut result = StreamResult {
        targets: vec![],
        text: String::new(),
        end: Err(Error::internal("no end")),
    };
    loop {
        let batch = tokio::time::timeout(Duration::from_secs(60), stream.next_batch()).await;
        match batch.expect("the stream continues or ends") {
            Ok(batch) if batch.is_empty() => return result,
            Ok(batch) => batch.into_iter().for_each(|chunk| match chunk {
                Chunk::Started { route } => result.targets.push(route.target),
                Chunk::Text { text } => result.text += &text,
                Chunk::Done { summary } => result.end = Ok((summary.stop, summary.receipt)),
                _ => {}
            }),
            Err(error) => {
                result.end = Err(error);
                return result;
            }
        }
    }
}

fn short(mode: RoutingMode) -> ChatRequest {
    ChatRequest {
        mode,
        limits: RequestLimits {
            max_tokens: Some(8),
            ..RequestLimits::default()
        },
        ..question()
    }
}

fn remote(dialect: Dialect) -> RouteTarget {
    RouteTarget::Remote {
        provider: dialect.name().into(),
        model: dialect.model().into(),
    }
}

#[tokio::test]
async fn with_no_model_on_the_device_a_provider_answers_and_the_receipt_is_complete() {
    let provider = Provider::start(Dialect::OpenRouter);
    let device = Device::new(&[&provider], open_policy()).await;
    let result = device.ask(short(RoutingMode::PreferOnDevice)).await;
    let (stop, receipt) = result.end.expect("an answer");
    assert_eq!(
        (stop, result.targets),
        (StopReason::End, vec![remote(Dialect::OpenRouter)])
    );
    assert_eq!(
        (receipt.policy.as_str(), receipt.cost_source),
        ("test-1", CostSource::Provider)
    );
    assert!(receipt.cost_usd > 0.0 && receipt.served_by.is_some(), "{receipt:?}");
    assert!(
        !receipt.data_policy.as_of.is_empty(),
        "terms have a day: {:?}",
        receipt.data_policy
    );
    let rows = device
        .nearside
        .spending(SpendingGroup::Provider)
        .await
        .expect("a report");
    assert_eq!((rows[0].key.as_str(), rows[0].requests), ("openrouter", 1));
    assert!((rows[0].usd - receipt.cost_usd).abs() < 1e-9, "{rows:?}");
}

#[tokio::test]
async fn the_device_answers_where_it_can_and_is_the_fallback_of_a_failing_provider() {
    let provider = Provider::start(Dialect::Compatible);
    let device = Device::new(&[&provider], open_policy()).await.with_model().await;
    let result = device.ask(short(RoutingMode::PreferOnDevice)).await;
    assert!(
        matches!(&result.targets[..], [RouteTarget::Local { .. }]),
        "{:?}",
        result.targets
    );
    assert!(provider.chats().is_empty(), "the provider got no request");

    provider.otherwise(
        Scenario::refused(Dialect::Compatible, "overloaded").unwrap_or(Scenario::Refused {
            status: 503,
            body: serde_json::json!({ "error": { "message": "busy" } }),
            retry_after: None,
        }),
    );
    let result = device.ask(short(RoutingMode::PreferInCloud)).await;
    let (_, receipt) = result.end.expect("the device answers");
    assert!(
        matches!(
            &result.targets[..],
            [RouteTarget::Remote { .. }, RouteTarget::Local { .. }]
        ),
        "{:?}",
        result.targets
    );
    let failed: Vec<_> = receipt
        .skipped
        .iter()
        .filter(|skipped| skipped.rule == RouteRule::PreviousFailed)
        .collect();
    assert_eq!((failed.len(), &failed[0].target), (1, &remote(Dialect::Compatible)));
    assert_eq!(receipt.cost_usd, 0.0);
    device.nearside.unload(None).await.expect("unloads");
}

#[tokio::test]
async fn what_must_stay_here_goes_nowhere_else() {
    let provider = Provider::start(Dialect::Compatible);
    let device = Device::new(&[&provider], open_policy()).await;
    let sensitive = ChatRequest {
        sensitivity: Sensitivity::Sensitive,
        ..short(RoutingMode::PreferInCloud)
    };
    for request in [sensitive, short(RoutingMode::OnlyOnDevice)] {
        let result = device.ask(request).await;
        let error = result.end.expect_err("no target may answer");
        assert!(
            matches!(error.kind(), ErrorKind::Blocked | ErrorKind::NotInstalled),
            "{error}"
        );
    }
    assert!(provider.requests().is_empty(), "not even a model list was requested");
}

#[tokio::test]
async fn the_user_is_asked_first_and_consent_holds_for_that_target() {
    let provider = Provider::start(Dialect::Fireworks);
    let policy = RoutingPolicy {
        consent: ConsentPolicy::Ask,
        ..open_policy()
    };
    let device = Device::new(&[&provider], policy).await;
    let result = device.ask(short(RoutingMode::PreferOnDevice)).await;
    assert_eq!(result.end.expect_err("not agreed").kind(), ErrorKind::Blocked);
    assert!(provider.chats().is_empty());
    let decision = device
        .nearside
        .route(short(RoutingMode::PreferOnDevice))
        .await
        .expect("a decision");
    let RouteDecision::NeedsConsent { question } = decision else {
        panic!("{decision:?}")
    };
    assert_eq!(question.target, remote(Dialect::Fireworks));
    let agreed = ChatRequest {
        consent: Some(question.target),
        ..short(RoutingMode::PreferOnDevice)
    };
    assert!(device.ask(agreed).await.end.is_ok());
    assert_eq!(provider.chats().len(), 1);
}

#[tokio::test]
async fn a_cap_holds_before_sending_and_while_it_streams() {
    let provider = Provider::start(Dialect::DeepSeek);
    let device = Device::new(
        &[&provider],
        RoutingPolicy {
            max_usd_request: Some(1e-7),
            ..open_policy()
        },
    )
    .await;
    let result = device.ask(short(RoutingMode::OnlyInCloud)).await;
    assert_eq!(result.end.expect_err("too dear").kind(), ErrorKind::Blocked);
    assert!(provider.chats().is_empty());

    device
        .nearside
        .set_policy(RoutingPolicy {
            max_usd_request: Some(0.001),
            ..open_policy()
        })
        .await
        .expect("kept");
    // The provider ignores the token limit.
    provider.play(Scenario::Slow {
        tokens: 100_000,
        per_second: 20_000.0,
    });
    let result = device.ask(short(RoutingMode::OnlyInCloud)).await;
    let (stop, receipt) = result.end.expect("an end");
    assert_eq!(stop, StopReason::CostLimit);
    assert!(receipt.cost_usd < 0.001, "{receipt:?}");
    assert_eq!(provider.chats()[0]["max_tokens"], 8, "the provider got the limit");
    assert!(
        provider.wait_for_closed_early(1, Duration::from_secs(5)),
        "it was stopped"
    );
    let spent = device.nearside.spent().await.expect("a sum");
    assert!((spent.day - receipt.cost_usd).abs() < 1e-9, "{spent:?}");
}

#[tokio::test]
async fn an_interrupted_answer_offers_to_continue_remotely() {
    let (broken, sound) = (
        Provider::start(Dialect::Fireworks),
        Provider::start(Dialect::Compatible),
    );
    let device = Device::new(&[&broken, &sound], open_policy()).await;
    broken.play(Scenario::Truncated {
        text: "The moon and".into(),
    });
    let request = ChatRequest {
        provider: Some("fireworks".into()),
        ..short(RoutingMode::OnlyInCloud)
    };
    let result = device.ask(request.clone()).await;
    assert_eq!(result.text, "The moon and");
    let error = result.end.expect_err("the connection is lost");
    assert!(
        error.kind() == ErrorKind::Network && error.reason() == ErrorReason::Interrupted,
        "{error}"
    );
    assert!(sound.chats().is_empty(), "no fallback after visible text");

    sound.play(Scenario::plain(" the sun."));
    let remote_request = ChatRequest {
        provider: Some("compatible".into()),
        ..request
    };
    let result = read(&device.nearside.continue_remotely(remote_request, result.text)).await;
    assert_eq!((result.text.as_str(), result.end.is_ok()), (" the sun.", true));
    assert!(
        sound.chats()[0].to_string().contains("The moon and"),
        "the partial answer is sent along"
    );
}

#[tokio::test]
async fn a_cancelled_answer_costs_what_was_generated_and_says_if_it_is_billed_in_full() {
    let provider = Provider::start(Dialect::Groq);
    let device = Device::new(&[&provider], open_policy()).await;
    provider.play(Scenario::Slow {
        tokens: 10_000,
        per_second: 200.0,
    });
    let stream = device.nearside.chat(ChatRequest {
        mode: RoutingMode::OnlyInCloud,
        ..question()
    });
    while !stream
        .next_batch()
        .await
        .expect("no error")
        .iter()
        .any(|chunk| matches!(chunk, Chunk::Text { .. }))
    {}
    stream.cancel();
    let (stop, receipt) = read(&stream).await.end.expect("an end");
    assert_eq!(
        (stop, receipt.cost_source),
        (StopReason::Cancelled, CostSource::Estimated)
    );
    assert!(receipt.billed_in_full && receipt.cost_usd > 0.0, "{receipt:?}");
    assert!(provider.wait_for_closed_early(1, Duration::from_secs(5)));
}

#[tokio::test]
async fn a_tool_loop_stays_where_it_began() {
    use nearside::chat::{ChatMessage, ContentPart, MessageRole, ToolDefinition};
    let (one, other) = (
        Provider::start(Dialect::Compatible),
        Provider::start(Dialect::LlamaServer),
    );
    let device = Device::new(&[&one, &other], open_policy()).await;
    let call = |id: &str| Scenario::ToolCall {
        id: id.into(),
        name: "tides".into(),
        arguments: "{}".into(),
        thoughts: String::new(),
    };
    other.play(call("call_1"));
    let mut request = short(RoutingMode::OnlyInCloud);
    request.provider = Some("llama-server".into());
    request.tools = vec![ToolDefinition {
        name: "tides".into(),
        description: "The tides.".into(),
        parameters: "{}".into(),
    }];
    let result = device.ask(request.clone()).await;
    let id = "call_1".to_owned();
    assert!(result.end.is_ok());
    // The second turn names no provider, and both are equally good.
    request.provider = None;
    request.messages.push(ChatMessage {
        role: MessageRole::Assistant,
        parts: vec![ContentPart::ToolCall {
            id: id.clone(),
            name: "tides".into(),
            arguments: "{}".into(),
        }],
    });
    request.messages.push(ChatMessage {
        role: MessageRole::Tool,
        parts: vec![ContentPart::ToolResult {
            id,
            name: "tides".into(),
            content: "06:00".into(),
        }],
    });
    let result = device.ask(request).await;
    assert_eq!(result.targets, [remote(Dialect::LlamaServer)]);
    assert!(one.chats().is_empty());
}

#[tokio::test]
async fn a_model_is_found_by_its_name_alone_where_some_provider_lists_it() {
    let provider = Provider::start(Dialect::Compatible);
    let device = Device::new(&[&provider], open_policy()).await;
    let named = |model: &str| ChatRequest {
        model: Some(model.to_owned()),
        ..short(RoutingMode::PreferOnDevice)
    };
    let result = device.ask(named(Dialect::Compatible.model())).await;
    assert_eq!(
        (result.targets, result.end.is_ok()),
        (vec![remote(Dialect::Compatible)], true)
    );
    let error = device
        .ask(named("unknown-model"))
        .await
        .end
        .expect_err("no provider lists it");
    assert_eq!(error.kind(), ErrorKind::NotInstalled, "{error}");
}

#[tokio::test]
async fn costs_of_local_and_remote_targets_are_listed_cheapest_first() {
    let provider = Provider::start(Dialect::OpenRouter);
    let device = Device::new(&[&provider], open_policy()).await.with_model().await;
    let rows = device.nearside.cost(question()).await.expect("rows");
    assert!(matches!(rows[0].target, RouteTarget::Local { .. }), "{:?}", rows[0]);
    assert_eq!(rows[0].usd_total, Some(0.0));
    let totals: Vec<f64> = rows.iter().filter_map(|row| row.usd_total).collect();
    assert!(totals.is_sorted() && totals.len() > 4, "{totals:?}");
    assert!(
        rows.iter()
            .filter(|row| row.target.is_remote())
            .all(|row| !row.as_of.is_empty())
    );
    assert!(provider.requests().is_empty(), "a comparison sends no request");
}

#[tokio::test]
async fn an_answer_from_a_provider_that_was_excluded_is_an_error() {
    let provider = Provider::start(Dialect::OpenRouter);
    let device = Device::new(
        &[&provider],
        RoutingPolicy {
            never: vec!["DeepSeek".into()],
            ..open_policy()
        },
    )
    .await;
    provider.otherwise(Scenario::ServedBy {
        provider: "DeepSeek".into(),
        model: None,
        text: "Hello".into(),
    });
    let result = device.ask(short(RoutingMode::OnlyInCloud)).await;
    let error = result.end.expect_err("excluded");
    assert_eq!(
        (error.kind(), result.text.as_str()),
        (ErrorKind::Blocked, ""),
        "{error}"
    );
    assert_eq!(provider.chats()[0]["provider"]["ignore"][0], "deepseek");
}

#[tokio::test]
async fn a_key_comes_by_signing_in_and_is_never_printed() {
    let provider = Provider::start(Dialect::OpenRouter);
    let device = Device::new(&[&provider], open_policy()).await;
    let name = "openrouter".to_owned();
    let sign_in = device
        .nearside
        .sign_in(name.clone(), Some("http://localhost:3000/cb".into()))
        .await;
    let sign_in = std::sync::Arc::new(sign_in.expect("begun"));
    let challenge = sign_in
        .url()
        .split("code_challenge=")
        .nth(1)
        .and_then(|rest| rest.split('&').next());
    let code = provider.sign_in(challenge.expect("a challenge"));
    let key = device
        .nearside
        .finish_sign_in(name.clone(), sign_in.clone(), code.clone())
        .await
        .expect("a key");
    assert_eq!(format!("{key:?}"), "Secret(…)");
    let again = device
        .nearside
        .finish_sign_in(name, sign_in, code)
        .await
        .expect_err("a code holds once");
    assert_eq!(again.kind(), ErrorKind::Unauthorized);
}
