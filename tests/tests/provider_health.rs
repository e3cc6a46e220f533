//! What earlier failures, missing lists and missing keys do to a decision: who is asked, how often, and how long it waits.

use std::sync::Arc;
use std::time::{Duration, Instant};

use nearside::chat::{ChatRequest, RouteTarget, RoutingMode, Sensitivity};
use nearside::device::{Connectivity, Host};
use nearside::engine::remote::{ProviderSettings, Secret};
use nearside::route::RoutingPolicy;
use nearside::{AppEvent, Config, ErrorReason, Nearside};
use nearside_tests::device::open_policy;
use nearside_tests::models;
use nearside_tests::network::NetworkHost;
use nearside_tests::provider::{Dialect, Provider, Scenario, WireFormat};
use nearside_tests::remote::{CollectedAnswer, KEY, collect_answer, question, settings};
use serde_json::json;

struct Phone {
    nearside: Nearside,
    host: Arc<NetworkHost>,
    _folder: tempfile::TempDir,
}

impl Phone {
    async fn new(providers: &[ProviderSettings]) -> Self {
        let folder = tempfile::tempdir().expect("a folder");
        let host = NetworkHost::new(Connectivity::default());
        let config = Config {
            context: Some(512),
            ..Config::new(folder.path().to_string_lossy())
        };
        let nearside = Nearside::with_host(config, Arc::clone(&host) as Arc<dyn Host>).expect("the library opens");
        nearside.set_policy(open_policy()).await.expect("kept");
        for settings in providers {
            nearside.set_key(&settings.name, Secret::new(KEY));
            nearside.add_provider(settings.clone()).await.expect("set up");
        }
        Self {
            nearside,
            host,
            _folder: folder,
        }
    }

    async fn with_model(self) -> Self {
        let path = models::path("smollm2.gguf").to_string_lossy().into_owned();
        self.nearside.import(path).await.expect("imported");
        let here = self.ask(RoutingMode::OnlyOnDevice).await;
        here.done();
        self
    }

    async fn ask(&self, mode: RoutingMode) -> CollectedAnswer {
        let mut request = ChatRequest {
            mode,
            sensitivity: Sensitivity::Public,
            ..question()
        };
        request.limits.max_tokens = Some(4);
        collect_answer(&self.nearside.chat(request)).await
    }
}

/// Settings with a configured model, so that no list is needed for a first answer.
fn configured(provider: &Provider) -> ProviderSettings {
    ProviderSettings {
        model: Some(provider.dialect().model().to_owned()),
        ..settings(provider.dialect(), &provider.url())
    }
}

fn fault() -> Scenario {
    Scenario::Refused {
        status: 500,
        body: json!({ "error": { "message": "Internal Server Error" } }),
        retry_after: None,
    }
}

#[tokio::test]
async fn a_request_counts_once_in_a_circuit_and_a_new_situation_closes_it() {
    let provider = Provider::builder(Dialect::Groq)
        .otherwise(fault())
        .start()
        .expect("a port");
    let phone = Phone::new(&[configured(&provider)]).await;
    phone.nearside.provider_models("groq".into()).await.expect("a list");
    let reason = async || phone.ask(RoutingMode::OnlyInCloud).await.error().reason();
    let open_circuit = async || {
        for _ in 0..3 {
            assert_eq!(
                reason().await,
                ErrorReason::ProviderFault,
                "each has several attempts and counts once"
            );
        }
        assert_eq!(reason().await, ErrorReason::CircuitOpen);
    };
    open_circuit().await;
    phone.nearside.notify(AppEvent::Foreground);
    open_circuit().await;
    phone.host.set(Connectivity::Unmetered);
    open_circuit().await;
    phone.nearside.set_key("groq", Secret::new(KEY));
    assert_eq!(reason().await, ErrorReason::ProviderFault);
    let resting = phone.nearside.providers().await.expect("statuses");
    assert_eq!(resting[0].resting_seconds, 0);
}

#[tokio::test]
async fn a_deadline_of_the_caller_says_nothing_of_the_provider() {
    let slow = Scenario::Delayed {
        ms: 5_000,
        then: Box::new(Scenario::plain("Late.")),
    };
    let provider = Provider::builder(Dialect::Groq)
        .otherwise(slow)
        .start()
        .expect("a port");
    let phone = Phone::new(&[configured(&provider)]).await;
    phone.nearside.provider_models("groq".into()).await.expect("a list");
    for _ in 0..5 {
        let mut request = ChatRequest {
            mode: RoutingMode::OnlyInCloud,
            ..question()
        };
        request.limits.deadline_ms = Some(150);
        let answer = collect_answer(&phone.nearside.chat(request)).await;
        assert_eq!(
            answer.error().reason(),
            ErrorReason::DeadlineExceeded,
            "{}",
            answer.error()
        );
    }
    provider.otherwise(Scenario::plain("In time."));
    assert_eq!(phone.ask(RoutingMode::OnlyInCloud).await.text, "In time.");
}

#[tokio::test]
async fn a_list_that_hangs_delays_nothing_and_is_asked_for_once() {
    let home = Provider::builder(Dialect::Ollama).list_hangs().start().expect("a port");
    let groq = Provider::start(Dialect::Groq);
    let at_home = settings(Dialect::Ollama, &home.url());
    let phone = Phone::new(&[at_home.clone(), configured(&groq)]).await;
    phone.nearside.provider_models("groq".into()).await.expect("a list");
    for _ in 0..5 {
        let begun = Instant::now();
        let answer = phone.ask(RoutingMode::PreferInCloud).await;
        assert_eq!(answer.done().receipt.target.provider(), Some("groq"));
        println!("another provider answers after {:?}", begun.elapsed());
    }
    assert_eq!(home.requests().len(), 1, "one flight: {:?}", home.requests());

    let alone = Provider::builder(Dialect::Ollama).list_hangs().start().expect("a port");
    let phone = Phone::new(&[settings(Dialect::Ollama, &alone.url())])
        .await
        .with_model()
        .await;
    for _ in 0..5 {
        let begun = Instant::now();
        let answer = phone.ask(RoutingMode::PreferInCloud).await;
        assert!(matches!(answer.done().receipt.target, RouteTarget::Local { .. }));
        println!("the device answers after {:?}", begun.elapsed());
    }
    assert_eq!(alone.requests().len(), 1);
}

#[tokio::test]
async fn a_list_that_came_in_the_background_is_fetched_anew_when_it_is_asked_for() {
    let provider = Provider::start(Dialect::Groq);
    let phone = Phone::new(&[configured(&provider)]).await;
    let lists = || {
        let requests = provider.requests();
        requests.iter().filter(|request| request.method == "GET").count()
    };
    phone.ask(RoutingMode::OnlyInCloud).await.done();
    assert!(
        provider.wait_for_requests(2, Duration::from_secs(5)),
        "the answer and the list"
    );
    assert_eq!(lists(), 1);
    for fetched in 2..=3 {
        let begun = Instant::now();
        // The fetch before ends a moment after its answer arrived; until then it is joined.
        while lists() < fetched {
            assert!(begun.elapsed() < Duration::from_secs(30), "the first fetch never ends");
            phone.nearside.provider_models("groq".into()).await.expect("a list");
        }
        assert_eq!(lists(), fetched);
    }
}

#[tokio::test]
async fn a_list_that_fails_is_not_asked_for_again_within_a_minute() {
    let provider = Provider::builder(Dialect::Ollama).start().expect("a port");
    let at_home = settings(Dialect::Ollama, &provider.url());
    drop(provider);
    let phone = Phone::new(&[at_home]).await.with_model().await;
    for round in 0..5 {
        let begun = Instant::now();
        let answer = phone.ask(RoutingMode::PreferInCloud).await;
        answer.done();
        println!("round {round}: answered after {:?}", begun.elapsed());
    }
}

#[tokio::test]
async fn who_is_forbidden_or_has_no_key_is_not_contacted_at_all() {
    let never = Provider::start(Dialect::Groq);
    let keyless = Provider::start(Dialect::OpenRouter);
    let own = Provider::start(Dialect::LlamaServer);
    let phone = Phone::new(&[
        settings(Dialect::Groq, &never.url()),
        settings(Dialect::OpenRouter, &keyless.url()),
        settings(Dialect::LlamaServer, &own.url()),
    ])
    .await;
    phone.nearside.set_key("openrouter", Secret::default());
    let policy = RoutingPolicy {
        never: vec!["groq".into()],
        ..phone.nearside.policy()
    };
    phone.nearside.set_policy(policy).await.expect("kept");
    for mode in [
        RoutingMode::PreferInCloud,
        RoutingMode::PreferOnDevice,
        RoutingMode::OnlyInCloud,
    ] {
        let answer = phone.ask(mode).await;
        assert_eq!(answer.done().receipt.target.provider(), Some("llama-server"));
    }
    tokio::time::sleep(Duration::from_millis(300)).await;
    assert_eq!(never.connections() + keyless.connections(), 0);
}

#[tokio::test]
async fn a_decision_costs_no_read_per_candidate_and_the_first_byte_comes_soon() {
    let mut reads = vec![];
    for count in [1, 400] {
        let provider = Provider::builder(Dialect::OpenRouter)
            .many_models(count)
            .start()
            .expect("a port");
        let phone = Phone::new(&[settings(Dialect::OpenRouter, &provider.url())]).await;
        phone
            .nearside
            .provider_models("openrouter".into())
            .await
            .expect("a list");
        phone.ask(RoutingMode::OnlyInCloud).await.done();
        let request = ChatRequest {
            mode: RoutingMode::OnlyInCloud,
            sensitivity: Sensitivity::Public,
            ..question()
        };
        // The answer before records its speed in the background: the least of some decisions is a decision's own.
        let mut least = u64::MAX;
        for _ in 0..8 {
            let before = phone.nearside.database_calls();
            phone.nearside.route(request.clone()).await.expect("a decision");
            least = least.min(phone.nearside.database_calls() - before);
        }
        reads.push(least);
        let mut micros = vec![];
        for _ in 0..60 {
            let begun = Instant::now();
            let stream = phone.nearside.chat(request.clone());
            // `Started`, then the first chunk of the provider.
            stream.next_batch().await.expect("started");
            stream.next_batch().await.expect("a chunk");
            micros.push(begun.elapsed().as_micros());
            while !stream.next_batch().await.expect("more").is_empty() {}
        }
        micros.sort_unstable();
        println!(
            "{count} models: {} database calls, first byte p50 {} us, p90 {} us",
            reads[reads.len() - 1],
            micros[30],
            micros[54]
        );
    }
    assert_eq!(reads[0], reads[1], "database calls of a decision");
    assert!(reads[1] <= 8, "{reads:?}");
}
