//! What an answer may cost and what it is booked for: caps, stated prices, answers that break off, searches, this device.

use std::net::TcpListener;
use std::time::Duration;

use nearside::chat::{ChatRequest, Chunk, CostSource, RequestLimits, RoutingMode, Sensitivity, StopReason};
use nearside::engine::remote::{ModelPrice, ProviderSettings, TokenPrice};
use nearside::route::{ConsentPolicy, RouteDecision, RoutingPolicy};
use nearside::state::{SpendingGroup, SpendingRow};
use nearside::{ErrorKind, ErrorReason};
use nearside_tests::device::{Device, DeviceAnswer, open_policy};
use nearside_tests::provider::{Dialect, Provider, Scenario, WireFormat};
use nearside_tests::remote::{question, settings};
use serde_json::{Value, json};

fn in_cloud() -> ChatRequest {
    ChatRequest {
        mode: RoutingMode::OnlyInCloud,
        ..question()
    }
}

fn limited(limits: RequestLimits) -> ChatRequest {
    ChatRequest { limits, ..in_cloud() }
}

fn capped(max_usd_day: f64) -> RoutingPolicy {
    RoutingPolicy {
        max_usd_day: Some(max_usd_day),
        ..open_policy()
    }
}

async fn rows(device: &Device, by: SpendingGroup) -> Vec<SpendingRow> {
    device.nearside.spending(by).await.expect("a report")
}

async fn spent_today(device: &Device) -> f64 {
    device.nearside.spent().await.expect("a sum").day
}

#[tokio::test]
async fn a_cap_that_pays_for_a_long_answer_does_not_shorten_it() {
    let provider = Provider::start(Dialect::DeepSeek);
    let device = Device::new(512).await.with_providers(&[&provider]).await;
    device.set_policy(capped(5.0)).await;
    provider.play(Scenario::Many { tokens: 9_000 });
    let answer = device.ask(in_cloud()).await;
    assert_eq!(answer.done().stop, StopReason::End);
    assert!(
        answer.done().usage.completion_tokens >= 9_000,
        "{:?}",
        answer.done().usage
    );
    let limit = provider.chats()[0]["max_tokens"].as_u64();
    assert!(limit.is_none_or(|limit| limit >= 9_000), "{limit:?}");
}

#[tokio::test]
async fn a_cap_is_the_limit_where_the_money_ends_and_the_answer_says_so() {
    let provider = Provider::builder(Dialect::OpenRouter).start().expect("a provider");
    let device = Device::new(512).await.with_providers(&[&provider]).await;
    device
        .nearside
        .provider_models(Dialect::OpenRouter.name().into())
        .await
        .expect("listed");
    // 2.5 dollars a million: this pays for some 6,000 tokens.
    let tight = RoutingPolicy {
        max_usd_request: Some(0.015),
        ..open_policy()
    };
    device.set_policy(tight).await;
    provider.play(Scenario::FinishReason {
        text: "The moon and".into(),
        reason: "length".into(),
    });
    let answer = device.ask(in_cloud()).await;
    let limit = provider.chats()[0]["max_completion_tokens"]
        .as_u64()
        .expect("the limit is sent");
    assert!((5_000..6_000).contains(&limit), "{limit}");
    assert_eq!(answer.done().stop, StopReason::CostLimit);
    // The app's own limit is its own.
    provider.play(Scenario::FinishReason {
        text: "The moon and".into(),
        reason: "length".into(),
    });
    let limits = RequestLimits {
        max_tokens: Some(10),
        ..RequestLimits::default()
    };
    let answer = device.ask(limited(limits)).await;
    assert_eq!(answer.done().stop, StopReason::MaxTokens);
    assert_eq!(provider.chats()[1]["max_completion_tokens"], 10);
}

#[tokio::test]
async fn two_answers_at_once_share_a_cap_that_neither_fits_whole() {
    let provider = Provider::start(Dialect::DeepSeek);
    let device = Device::new(512).await.with_providers(&[&provider]).await;
    // 1.2 dollars a million for the answer: some 16,000 tokens.
    device.set_policy(capped(0.02)).await;
    for _ in 0..2 {
        provider.play(Scenario::Delayed {
            ms: 300,
            then: Box::new(Scenario::plain("Twice.")),
        });
    }
    let (one, other) = tokio::join!(device.ask(in_cloud()), device.ask(in_cloud()));
    for answer in [one, other] {
        assert_eq!(answer.done().stop, StopReason::End);
    }
    assert!(spent_today(&device).await < 0.001, "both were settled");
}

fn priced(prices: Vec<ModelPrice>, url: &str) -> ProviderSettings {
    ProviderSettings {
        model: Some("gpt-4.1-mini".into()),
        prices,
        ..settings(Dialect::OpenAi, url)
    }
}

fn price(usd_in: f64, usd_out: f64) -> TokenPrice {
    TokenPrice {
        usd_in,
        usd_out,
        as_of: "2026-11-28".into(),
        ..TokenPrice::default()
    }
}

#[tokio::test]
async fn a_price_that_the_app_states_holds_under_a_cap_and_in_the_receipt() {
    let provider = Provider::start(Dialect::OpenAi);
    let device = Device::new(512).await;
    device.set_policy(capped(1.0)).await;
    device.add(priced(vec![], &provider.url())).await;
    let answer = device.ask(in_cloud()).await;
    assert_eq!(answer.error().kind(), ErrorKind::Blocked, "no price is known");

    let all = ModelPrice {
        model: None,
        price: price(1.0, 10.0),
    };
    let own = ModelPrice {
        model: Some("gpt-4.1-mini".into()),
        price: price(2.0, 20.0),
    };
    for (prices, usd_out) in [(vec![all.clone()], 10.0), (vec![all, own], 20.0)] {
        device.add(priced(prices, &provider.url())).await;
        let answer = device.ask(in_cloud()).await;
        let done = answer.done();
        let usage = done.usage;
        let usd_in = usd_out / 10.0;
        let expected = (f64::from(usage.prompt_tokens) * usd_in + f64::from(usage.completion_tokens) * usd_out) / 1e6;
        assert!((done.receipt.cost_usd - expected).abs() < 1e-9, "{:?}", done.receipt);
        assert_eq!(done.receipt.cost_source, CostSource::Computed);
    }
    let nonsense = ModelPrice {
        model: None,
        price: price(-1.0, 1.0),
    };
    let refused = device
        .nearside
        .add_provider(priced(vec![nonsense], &provider.url()))
        .await;
    assert_eq!(refused.expect_err("no price").kind(), ErrorKind::InvalidRequest);
    // Stored with the provider.
    let stored = device.nearside.providers().await.expect("listed");
    assert_eq!(stored[0].settings.prices.len(), 2);
}

#[tokio::test]
async fn settings_of_the_last_release_have_no_prices() {
    let stored = json!({ "name": "work", "kind": "openai" });
    let settings: ProviderSettings = serde_json::from_value(stored).expect("it is read");
    assert!(settings.prices.is_empty());
}

#[tokio::test]
async fn an_answer_that_is_billed_in_full_is_booked_in_full_when_it_is_cancelled() {
    let provider = Provider::start(Dialect::Groq);
    let device = Device::new(512).await.with_providers(&[&provider]).await;
    provider.play(Scenario::Slow {
        tokens: 10_000,
        per_second: 200.0,
    });
    let limits = RequestLimits {
        max_tokens: Some(8_000),
        ..RequestLimits::default()
    };
    let stream = device.nearside.chat(limited(limits));
    let mut has_text = false;
    while !has_text {
        let batch = stream.next_batch().await.expect("no error");
        has_text = batch.iter().any(|chunk| matches!(chunk, Chunk::Text { .. }));
    }
    stream.cancel();
    let answer = DeviceAnswer::read(&stream).await;
    let receipt = &answer.done().receipt;
    assert!(receipt.billed_in_full);
    // At least 0.5 dollars a million.
    assert!(receipt.cost_usd > 8_000.0 * 0.5 / 1e6, "{receipt:?}");
    assert!((spent_today(&device).await - receipt.cost_usd).abs() < 1e-8);
}

#[tokio::test]
async fn silence_after_sending_is_booked_and_a_refusal_is_not() {
    let provider = Provider::start(Dialect::DeepSeek);
    let device = Device::new(512).await.with_providers(&[&provider]).await;
    provider.play(Scenario::Refused {
        status: 400,
        body: Value::Null,
        retry_after: None,
    });
    assert!(device.ask(in_cloud()).await.end.is_err());
    assert!(
        rows(&device, SpendingGroup::Provider).await.is_empty(),
        "a refusal costs nothing"
    );

    provider.play(Scenario::NeverFirstByte);
    let limits = RequestLimits {
        deadline_ms: Some(2_000),
        ..RequestLimits::default()
    };
    let answer = device.ask(limited(limits)).await;
    assert_eq!(answer.error().reason(), ErrorReason::DeadlineExceeded);
    let rows = rows(&device, SpendingGroup::Provider).await;
    assert!(
        rows.len() == 1 && rows[0].usd > 0.0 && rows[0].usd_unsettled == 0.0,
        "{rows:?}"
    );
    assert!(rows[0].prompt_tokens > 0, "{rows:?}");
}

#[tokio::test]
async fn an_answer_that_breaks_off_at_an_upstream_that_bills_in_full_is_booked_in_full() {
    let provider = Provider::start(Dialect::OpenRouter);
    let device = Device::new(512).await.with_providers(&[&provider]).await;
    let mut booked = vec![];
    for upstream in ["DeepInfra", "Groq"] {
        provider.play(Scenario::Stall {
            text: "The moon".into(),
            provider: Some(upstream.into()),
        });
        let limits = RequestLimits {
            deadline_ms: Some(500),
            max_tokens: Some(8_000),
            ..RequestLimits::default()
        };
        let before = spent_today(&device).await;
        let answer = device.ask(limited(limits)).await;
        assert_eq!(answer.error().reason(), ErrorReason::DeadlineExceeded);
        booked.push(spent_today(&device).await - before);
    }
    // At least half a dollar a million, for 8,000 tokens.
    assert!(booked[0] < 0.002 && booked[1] > 0.004, "{booked:?}");
}

#[tokio::test]
async fn a_try_that_may_have_been_billed_is_booked_though_the_next_one_is_refused() {
    let provider = Provider::start(Dialect::DeepSeek);
    let device = Device::new(512).await.with_providers(&[&provider]).await;
    provider.play(Scenario::Truncated { text: String::new() });
    provider.play(Scenario::refused(Dialect::DeepSeek, "authentication_fails").expect("it is documented"));
    let answer = device.ask(in_cloud()).await;
    assert_eq!(answer.error().reason(), ErrorReason::KeyRejected);
    assert_eq!(provider.chats().len(), 2);
    assert!(spent_today(&device).await > 0.0);
}

#[tokio::test]
async fn reasoning_that_no_provider_shows_is_booked_for_the_time_that_it_had() {
    let provider = Provider::start(Dialect::OpenAi);
    let device = Device::new(512).await;
    let settings = ProviderSettings {
        model: Some("gpt-5.2".into()),
        prices: vec![ModelPrice {
            model: None,
            price: price(1.0, 10.0),
        }],
        ..settings(Dialect::OpenAi, &provider.url())
    };
    device.add(settings).await;
    provider.play(Scenario::NeverFirstByte);
    let limits = RequestLimits {
        deadline_ms: Some(1_000),
        ..RequestLimits::default()
    };
    device.ask(limited(limits)).await.error();
    let rows = rows(&device, SpendingGroup::Provider).await;
    assert!(rows[0].completion_tokens >= 300, "{rows:?}");
    assert!(rows[0].usd >= 300.0 * 10.0 / 1e6, "{rows:?}");
}

#[tokio::test]
async fn a_cancel_before_anything_was_sent_costs_nothing() {
    // It accepts connections and never begins TLS.
    let silent = TcpListener::bind("127.0.0.1:0").expect("a port");
    let url = format!("https://{}", silent.local_addr().expect("an address"));
    let device = Device::new(512).await;
    device.add(settings(Dialect::DeepSeek, &url)).await;
    let stream = device.nearside.chat(ChatRequest {
        model: Some("deepseek-flash".into()),
        provider: Some(Dialect::DeepSeek.name().into()),
        ..in_cloud()
    });
    let batch = stream.next_batch().await.expect("it starts");
    assert!(matches!(batch[0], Chunk::Started { .. }));
    tokio::time::sleep(Duration::from_millis(200)).await;
    assert!(spent_today(&device).await > 0.0, "it is reserved");
    stream.cancel();
    let answer = DeviceAnswer::read(&stream).await;
    let done = answer.done();
    assert_eq!((done.stop, done.receipt.cost_usd), (StopReason::Cancelled, 0.0));
    assert_eq!(done.usage.prompt_tokens, 0);
    assert!(
        rows(&device, SpendingGroup::Provider).await.is_empty(),
        "nothing is booked"
    );
}

#[tokio::test]
async fn searches_are_in_the_reservation_where_their_price_is_known() {
    let provider = Provider::start(Dialect::OpenRouter);
    let device = Device::new(512).await.with_providers(&[&provider]).await;
    let limits = RequestLimits {
        max_tokens: Some(10),
        max_usd: Some(0.03),
        ..RequestLimits::default()
    };
    let plain = limited(limits);
    let searching = ChatRequest {
        web_search: true,
        ..plain.clone()
    };
    device.ask(plain).await.done();
    let answer = device.ask(searching.clone()).await;
    assert_eq!(answer.error().reason(), ErrorReason::CostCap, "{:?}", answer.error());
    let enough = ChatRequest {
        limits: RequestLimits {
            max_usd: Some(0.1),
            ..searching.limits.clone()
        },
        ..searching
    };
    device.ask(enough.clone()).await.done();

    // The searches of an answer that broke off are not counted.
    let before = spent_today(&device).await;
    provider.play(Scenario::Stall {
        text: "The tides".into(),
        provider: None,
    });
    let late = ChatRequest {
        limits: RequestLimits {
            deadline_ms: Some(500),
            ..enough.limits.clone()
        },
        ..enough
    };
    device.ask(late).await.error();
    assert!(spent_today(&device).await - before > 0.02);
}

#[tokio::test]
async fn a_search_whose_price_is_unknown_is_too_much_under_a_cap() {
    let provider = Provider::start(Dialect::DeepSeek);
    let device = Device::new(512).await.with_providers(&[&provider]).await;
    let searching = ChatRequest {
        web_search: true,
        ..in_cloud()
    };
    device.ask(searching.clone()).await.done();
    device.set_policy(capped(5.0)).await;
    device.ask(in_cloud()).await.done();
    let answer = device.ask(searching).await;
    assert_eq!(answer.error().reason(), ErrorReason::CostCap, "{:?}", answer.error());
}

#[tokio::test]
async fn answers_of_this_device_are_counted_even_if_the_library_is_closed_at_once() {
    let device = Device::new(512).await.with_model().await;
    let request = ChatRequest {
        mode: RoutingMode::OnlyOnDevice,
        purpose: Some("test".into()),
        ..limited(RequestLimits {
            max_tokens: Some(4),
            ..RequestLimits::default()
        })
    };
    device.ask(request.clone()).await.done();
    device.ask(request).await.done();
    let device = device.restarted(&[]);
    let mut rows = rows(&device, SpendingGroup::Provider).await;
    // The library that was closed ends in the background.
    for _ in 0..500 {
        if rows.first().is_some_and(|row| row.requests == 2) {
            break;
        }
        tokio::time::sleep(Duration::from_millis(20)).await;
        rows = self::rows(&device, SpendingGroup::Provider).await;
    }
    assert_eq!(
        (rows[0].key.as_str(), rows[0].requests, rows[0].usd),
        ("device", 2, 0.0)
    );
    assert!(rows[0].prompt_tokens > 0 && rows[0].completion_tokens > 0, "{rows:?}");
    assert_eq!(self::rows(&device, SpendingGroup::Purpose).await[0].key, "test");
}

fn named(name: &str, provider: &Provider, usd_out: f64) -> ProviderSettings {
    ProviderSettings {
        name: name.into(),
        model: Some(provider.dialect().model().into()),
        prices: vec![ModelPrice {
            model: None,
            price: price(0.0, usd_out),
        }],
        ..settings(provider.dialect(), &provider.url())
    }
}

#[tokio::test]
async fn the_cap_of_a_request_holds_for_all_its_attempts_together() {
    let (first, second) = (Provider::start(Dialect::Groq), Provider::start(Dialect::Groq));
    // It bills in full what breaks off.
    first.otherwise(Scenario::Truncated { text: String::new() });
    let device = Device::new(512).await;
    device.add(named("a", &first, 100.0)).await;
    device.add(named("b", &second, 100.0)).await;
    let limits = RequestLimits {
        max_usd: Some(0.5),
        ..RequestLimits::default()
    };
    let answer = device.ask(limited(limits)).await;
    assert_eq!(answer.targets()[0].provider(), Some("a"));
    let spent = spent_today(&device).await;
    assert!(spent > 0.4 && spent <= 0.5, "{spent}");
    assert_eq!(second.chats().len(), 0, "nothing is left for it");
    assert_eq!(answer.error().reason(), ErrorReason::Interrupted);
}

#[tokio::test]
async fn a_cap_stops_an_own_server_that_has_a_price() {
    let provider = Provider::start(Dialect::LlamaServer);
    provider.play(Scenario::Many { tokens: 30_000 });
    let device = Device::new(512).await;
    device.add(named("own", &provider, 100.0)).await;
    let limits = RequestLimits {
        max_usd: Some(0.9),
        ..RequestLimits::default()
    };
    let answer = device.ask(limited(limits)).await;
    let done = answer.done();
    assert_eq!(done.stop, StopReason::CostLimit);
    assert!(done.receipt.cost_usd < 0.95, "{}", done.receipt.cost_usd);
}

#[tokio::test]
async fn no_answer_costs_more_than_the_question_for_consent_said() {
    let provider = Provider::start(Dialect::Groq);
    let device = Device::new(512).await;
    device.add(named("groq", &provider, 100.0)).await;
    let policy = RoutingPolicy {
        consent: ConsentPolicy::Ask,
        ..open_policy()
    };
    device.set_policy(policy).await;
    let request = ChatRequest {
        sensitivity: Sensitivity::Personal,
        ..in_cloud()
    };
    let decision = device.nearside.route(request.clone()).await.expect("a decision");
    let RouteDecision::NeedsConsent { question } = decision else {
        panic!("{decision:?}")
    };
    let most = question.cost_usd.expect("the price is known");
    assert!(
        question.text.contains(" for about $") && question.text.contains(", at most $"),
        "{}",
        question.text
    );
    provider.play(Scenario::Many { tokens: 30_000 });
    let agreed = ChatRequest {
        consent: Some(question.target),
        ..request
    };
    let cost = device.ask(agreed).await.done().receipt.cost_usd;
    assert!(cost >= 3.0 && cost <= most, "{cost} of {most}");
}
