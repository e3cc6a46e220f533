//! Costs that no provider states: web searches that it does not count, and attempts without an answer before a retry that
//! brought it. The receipt says how much of its cost may not be charged.

use std::io::Read;
use std::net::TcpListener;

use nearside::ErrorReason;
use nearside::chat::{AnswerSummary, ChatRequest, CostSource, RequestLimits, RoutingMode};
use nearside::engine::remote::{ModelPrice, ProviderSettings, TokenPrice};
use nearside::state::SpendingGroup;
use nearside_tests::device::Device;
use nearside_tests::provider::{Dialect, Provider, Scenario};
use nearside_tests::remote::{question, settings};

fn in_cloud() -> ChatRequest {
    ChatRequest {
        mode: RoutingMode::OnlyInCloud,
        ..question()
    }
}

fn searching() -> ChatRequest {
    ChatRequest {
        web_search: true,
        ..in_cloud()
    }
}

/// Plays an answer that cites this many pages, without these fields of its usage.
fn play_search(provider: &Provider, pages: usize, unreported: &[&str]) {
    provider.play(Scenario::WebSearch {
        text: "Twice a day.".into(),
        citations: (0..pages)
            .map(|page| (format!("https://example.org/{page}"), "Tides".into()))
            .collect(),
        unreported: unreported.iter().map(|name| (*name).to_owned()).collect(),
    });
}

async fn spent_today(device: &Device) -> f64 {
    device.nearside.spent().await.expect("a sum").day
}

/// Returns the dollars of an answer beyond those of its tokens.
fn beyond_tokens(done: &AnswerSummary) -> f64 {
    let usage = done.usage;
    let fresh = f64::from(usage.prompt_tokens - usage.cached_tokens);
    let tokens = fresh * 0.7 + f64::from(usage.cached_tokens) * 0.35 + f64::from(usage.completion_tokens) * 2.5;
    done.receipt.cost_usd - tokens / 1e6
}

#[tokio::test]
async fn searches_are_booked_as_counted_or_as_cited_and_as_the_maximum_only_if_nothing_says_how_many() {
    let provider = Provider::start(Dialect::OpenRouter);
    let device = Device::new(512).await.with_providers(&[&provider]).await;
    for (pages, unreported, searches, source, doubt) in [
        (3, vec![], 0.0, CostSource::Provider, 0.0),
        (3, vec!["cost"], 1.0, CostSource::Computed, 0.0),
        (3, vec!["cost", "server_tool_use"], 1.0, CostSource::Estimated, 0.0),
        (6, vec!["cost", "server_tool_use"], 2.0, CostSource::Estimated, 0.0),
        // Never more than was reserved.
        (40, vec!["cost", "server_tool_use"], 3.0, CostSource::Estimated, 0.0),
        (0, vec!["cost"], 3.0, CostSource::Estimated, 3.0),
    ] {
        let case = format!("{pages} pages without {unreported:?}");
        play_search(&provider, pages, &unreported);
        let before = spent_today(&device).await;
        let answer = device.ask(searching()).await;
        let done = answer.done();
        let beyond = beyond_tokens(done);
        assert!(
            (beyond - searches * 0.02).abs() < 1e-4,
            "{case}: {beyond} in {:?}",
            done.receipt
        );
        assert_eq!(done.receipt.cost_source, source, "{case}");
        assert!(
            (done.receipt.unconfirmed_usd - doubt * 0.02).abs() < 1e-9,
            "{case}: {:?}",
            done.receipt
        );
        let booked = spent_today(&device).await - before;
        assert!((booked - done.receipt.cost_usd).abs() < 1e-8, "{case}: {booked}");
    }
}

#[tokio::test]
async fn an_attempt_without_an_answer_is_booked_with_the_retry_that_brought_it() {
    let provider = Provider::start(Dialect::DeepSeek);
    let device = Device::new(512).await.with_providers(&[&provider]).await;
    let sure = device.ask(in_cloud()).await;
    let sure = sure.done();
    assert_eq!(
        (sure.receipt.cost_source, sure.receipt.unconfirmed_usd),
        (CostSource::Computed, 0.0)
    );

    let before = spent_today(&device).await;
    provider.play(Scenario::Truncated { text: String::new() });
    let answer = device.ask(in_cloud()).await;
    let receipt = &answer.done().receipt;
    assert_eq!(provider.chats().len(), 3);
    assert_eq!(receipt.cost_source, CostSource::Estimated);
    assert!(receipt.unconfirmed_usd > 0.0, "{receipt:?}");
    let rest = receipt.cost_usd - receipt.unconfirmed_usd;
    assert!((rest - sure.receipt.cost_usd).abs() < 1e-9, "{receipt:?}");
    assert!(
        (spent_today(&device).await - before - receipt.cost_usd).abs() < 1e-8,
        "{receipt:?}"
    );

    // A refusal is not charged, so the retry after it costs no more.
    provider.play(
        Scenario::refused(Dialect::DeepSeek, "server_overloaded").unwrap_or(Scenario::Refused {
            status: 503,
            body: serde_json::Value::Null,
            retry_after: None,
        }),
    );
    let answer = device.ask(in_cloud()).await;
    assert_eq!(provider.chats().len(), 5);
    assert_eq!(answer.done().receipt.unconfirmed_usd, 0.0);
    let rows = device
        .nearside
        .spending(SpendingGroup::Provider)
        .await
        .expect("a report");
    assert_eq!(
        (rows.len(), rows[0].requests),
        (1, 3),
        "an answer is one entry: {rows:?}"
    );
}

#[tokio::test]
async fn every_attempt_that_may_have_been_billed_is_booked_if_none_brings_an_answer() {
    let provider = Provider::start(Dialect::DeepSeek);
    let device = Device::new(512).await.with_providers(&[&provider]).await;
    provider.play(Scenario::Truncated { text: String::new() });
    provider.play(Scenario::refused(Dialect::DeepSeek, "authentication_fails").expect("it is documented"));
    device.ask(in_cloud()).await.error();
    let once = spent_today(&device).await;
    for _ in 0..8 {
        provider.play(Scenario::Truncated { text: String::new() });
    }
    device.ask(in_cloud()).await.error();
    let attempts = (provider.chats().len() - 2) as f64;
    let booked = spent_today(&device).await - once;
    assert!(
        attempts > 1.0 && (booked - attempts * once).abs() < once / 10.0,
        "{attempts}: {booked}, {once}"
    );
}

/// Settings with a price that makes prompts dear.
fn dear(url: &str) -> ProviderSettings {
    let price = TokenPrice {
        usd_in: 1000.0,
        usd_out: 1.0,
        as_of: "2026-11-29".into(),
        ..TokenPrice::default()
    };
    ProviderSettings {
        model: Some("deepseek-flash".into()),
        prices: vec![ModelPrice { model: None, price }],
        ..settings(Dialect::DeepSeek, url)
    }
}

#[tokio::test]
async fn the_cap_of_a_request_holds_for_its_retries_too() {
    let provider = Provider::start(Dialect::DeepSeek);
    let device = Device::new(512).await;
    device.add(dear(&provider.url())).await;
    let request = |max_usd| ChatRequest {
        limits: RequestLimits {
            max_tokens: Some(1),
            max_usd,
            ..RequestLimits::default()
        },
        ..in_cloud()
    };
    provider.play(Scenario::Truncated { text: String::new() });
    provider.play(Scenario::refused(Dialect::DeepSeek, "authentication_fails").expect("it is documented"));
    device.ask(request(None)).await.error();
    let once = spent_today(&device).await;
    for _ in 0..2 {
        provider.play(Scenario::Truncated { text: String::new() });
    }
    let cap = once * 1.05;
    let answer = device.ask(request(Some(cap))).await;
    let spent = spent_today(&device).await - once;
    assert!(spent > 0.0 && spent <= cap, "{spent} of {cap}: {:?}", answer.end);
}

#[tokio::test]
async fn a_request_without_a_response_is_booked_once_its_content_has_left() {
    let listener = TcpListener::bind("127.0.0.1:0").expect("a port");
    let url = format!("http://{}", listener.local_addr().expect("an address"));
    std::thread::spawn(move || {
        for mut connection in listener.incoming().map_while(Result::ok) {
            let (mut request, mut part) = (Vec::new(), [0; 4096]);
            // The body of a chat request ends with an object.
            while let Ok(length @ 1..) = connection.read(&mut part) {
                request.extend_from_slice(&part[..length]);
                if request.ends_with(b"}") || request.starts_with(b"GET") {
                    break;
                }
            }
        }
    });
    let device = Device::new(512).await;
    device.add(dear(&url)).await;
    let answer = device.ask(in_cloud()).await;
    assert_eq!(answer.error().reason(), ErrorReason::NoResponse, "{}", answer.error());
    assert!(spent_today(&device).await > 0.0, "it may have been answered");
}
