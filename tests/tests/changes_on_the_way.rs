//! A policy or a provider that changes while a request is on its way, in this process or in another.

use std::time::Duration;

use nearside::chat::{ChatRequest, ChatStream, RoutingMode, Sensitivity};
use nearside::device::Connectivity;
use nearside::engine::remote::{ProviderSettings, Secret};
use nearside::route::{ConsentPolicy, RoutingPolicy};
use nearside::{Config, ErrorKind, ErrorReason, Nearside};
use nearside_tests::device::open_policy;
use nearside_tests::network::NetworkHost;
use nearside_tests::provider::{Dialect, Provider, Scenario, WireFormat};
use nearside_tests::remote::{KEY, collect_answer, question, settings};
use serde_json::json;

fn open(folder: &tempfile::TempDir) -> Nearside {
    Nearside::new(Config::new(folder.path().to_string_lossy())).expect("the library opens")
}

fn configured(provider: &Provider) -> ProviderSettings {
    ProviderSettings {
        model: Some(provider.dialect().model().to_owned()),
        ..settings(provider.dialect(), &provider.url())
    }
}

async fn add(nearside: &Nearside, settings: ProviderSettings) {
    let name = settings.name.clone();
    nearside.add_provider(settings).await.expect("set up");
    nearside.set_key(&name, Secret::new(KEY));
}

fn in_cloud(nearside: &Nearside) -> ChatStream {
    nearside.chat(ChatRequest {
        mode: RoutingMode::OnlyInCloud,
        sensitivity: Sensitivity::Personal,
        ..question()
    })
}

/// Waits until a provider got so many chat requests.
async fn wait_for_chats(provider: &Provider, count: usize) {
    for _ in 0..3_000 {
        if provider.chats().len() >= count {
            return;
        }
        tokio::time::sleep(Duration::from_millis(10)).await;
    }
    panic!("{} chats after half a minute", provider.chats().len());
}

/// Policies that forbid this provider to a request that the open policy lets go there.
fn tighter(provider: &str) -> [RoutingPolicy; 4] {
    [
        RoutingPolicy {
            never: vec![provider.to_owned()],
            ..open_policy()
        },
        RoutingPolicy {
            regions: vec!["EU".into()],
            ..open_policy()
        },
        RoutingPolicy {
            consent: ConsentPolicy::Refused,
            ..open_policy()
        },
        RoutingPolicy {
            consent: ConsentPolicy::Ask,
            ..open_policy()
        },
    ]
}

#[tokio::test]
async fn a_policy_that_is_tightened_while_a_target_is_tried_holds_for_its_fallback() {
    for elsewhere in [false, true] {
        for policy in tighter("openai") {
            let (first, second) = (Provider::start(Dialect::Groq), Provider::start(Dialect::OpenAi));
            first.play(Scenario::Delayed {
                ms: 2_000,
                then: Box::new(Scenario::Refused {
                    status: 400,
                    body: json!({ "error": { "message": "no" } }),
                    retry_after: None,
                }),
            });
            let folder = tempfile::tempdir().expect("a folder");
            let (nearside, other) = (open(&folder), open(&folder));
            for provider in [&first, &second] {
                add(&nearside, configured(provider)).await;
                let listed = nearside.provider_models(provider.dialect().name().into()).await;
                listed.expect("a list");
            }
            nearside.set_policy(open_policy()).await.expect("kept");
            let request = ChatRequest {
                mode: RoutingMode::OnlyInCloud,
                ..question()
            };
            let decided = nearside
                .route(request)
                .await
                .expect("a decision")
                .into_route()
                .expect("a route");
            assert_eq!(decided.target.provider(), Some("groq"));
            assert_eq!(decided.then.len(), 1, "the other is the fallback");

            let stream = in_cloud(&nearside);
            wait_for_chats(&first, 1).await;
            let process = if elsewhere { &other } else { &nearside };
            process.set_policy(policy.clone()).await.expect("kept");
            let answer = collect_answer(&stream).await;
            assert!(answer.end.is_err(), "{policy:?}");
            assert!(second.chats().is_empty(), "in another process {elsewhere}: {policy:?}");
            assert_eq!(first.chats().len(), 1);
        }
    }
}

#[tokio::test]
async fn a_policy_that_is_tightened_while_a_list_is_fetched_holds_for_the_answer() {
    for policy in tighter("groq") {
        // Without a list it has no model to ask.
        let provider = Provider::builder(Dialect::Groq)
            .latency(Duration::from_millis(1_500))
            .start()
            .expect("a port");
        let folder = tempfile::tempdir().expect("a folder");
        let nearside = open(&folder);
        nearside.set_policy(open_policy()).await.expect("kept");
        let unnamed = ProviderSettings {
            model: Some("only-the-list-has-it".into()),
            ..settings(Dialect::Groq, &provider.url())
        };
        add(&nearside, unnamed).await;
        let stream = nearside.chat(ChatRequest {
            mode: RoutingMode::OnlyInCloud,
            model: Some(Dialect::Groq.model().to_owned()),
            ..question()
        });
        let listed = provider.wait_for_requests(1, Duration::from_secs(30));
        assert!(listed, "its list is asked for");
        nearside.set_policy(policy.clone()).await.expect("kept");
        assert!(collect_answer(&stream).await.end.is_err(), "{policy:?}");
        assert!(provider.chats().is_empty(), "{policy:?}");
    }
}

#[tokio::test]
async fn a_policy_that_another_process_sets_holds_from_the_next_request_on() {
    let provider = Provider::start(Dialect::Groq);
    let folder = tempfile::tempdir().expect("a folder");
    let (server, other) = (open(&folder), open(&folder));
    server.set_policy(open_policy()).await.expect("kept");
    add(&server, configured(&provider)).await;
    collect_answer(&in_cloud(&server)).await.done();
    for policy in tighter("groq") {
        other.set_policy(policy.clone()).await.expect("kept");
        let answer = collect_answer(&in_cloud(&server)).await;
        let expected = match policy.consent {
            ConsentPolicy::Ask => ErrorReason::ConsentRequired,
            _ => ErrorReason::PolicyForbids,
        };
        assert_eq!(answer.error().reason(), expected, "{policy:?}");
        assert_eq!(server.policy(), policy, "the one that the request was decided by");
    }
    assert_eq!(provider.chats().len(), 1);
    other.set_policy(open_policy()).await.expect("kept");
    collect_answer(&in_cloud(&server)).await.done();
    // One that is set here is in force at once.
    server.set_policy(RoutingPolicy::default()).await.expect("kept");
    assert_eq!(server.policy(), RoutingPolicy::default());
}

#[tokio::test]
async fn a_model_list_is_never_that_of_the_address_before() {
    let before = Provider::builder(Dialect::Compatible)
        .model("gone")
        .start()
        .expect("a port");
    let after = Provider::builder(Dialect::Compatible)
        .without_models()
        .model("arrived")
        .start()
        .expect("a port");
    let at = |provider: &Provider| settings(Dialect::Compatible, &provider.url());
    for elsewhere in [false, true] {
        let folder = tempfile::tempdir().expect("a folder");
        let (nearside, other) = (open(&folder), open(&folder));
        let models = async || nearside.providers().await.expect("statuses")[0].models;
        add(&nearside, at(&before)).await;
        nearside.provider_models("compatible".into()).await.expect("a list");
        assert_eq!(models().await, 2);
        let process = if elsewhere { &other } else { &nearside };
        process.add_provider(at(&after)).await.expect("moved");
        assert_eq!(models().await, 0, "in another process {elsewhere}");
        let listed = nearside.provider_models("compatible".into()).await.expect("a list");
        assert_eq!(listed.iter().map(|model| &*model.id).collect::<Vec<_>>(), ["arrived"]);
        drop((nearside, other));
        let statuses = open(&folder).providers().await.expect("statuses");
        assert_eq!(statuses[0].default_model.as_deref(), Some("arrived"), "as it is stored");
    }
}

#[tokio::test]
async fn a_list_that_was_on_its_way_when_the_address_changed_is_not_kept() {
    let before = Provider::builder(Dialect::Compatible)
        .latency(Duration::from_millis(1_500))
        .start()
        .expect("a port");
    let after = Provider::start(Dialect::Compatible);
    let folder = tempfile::tempdir().expect("a folder");
    let nearside = open(&folder);
    add(&nearside, settings(Dialect::Compatible, &before.url())).await;
    let (fetched, _before) = tokio::join!(nearside.provider_models("compatible".into()), async {
        let asked = tokio::task::spawn_blocking(move || {
            let asked = before.wait_for_requests(1, Duration::from_secs(30));
            (asked, before)
        });
        let (asked, before) = asked.await.expect("no panic");
        assert!(asked);
        let moved = nearside.add_provider(settings(Dialect::Compatible, &after.url())).await;
        moved.expect("moved");
        before
    });
    assert_eq!(fetched.expect_err("of another server").kind(), ErrorKind::Busy);
    assert_eq!(nearside.providers().await.expect("statuses")[0].models, 0);
}

#[tokio::test]
async fn a_key_does_not_follow_a_provider_that_another_process_moves() {
    let (before, after) = (Provider::start(Dialect::Groq), Provider::start(Dialect::Groq));
    let folder = tempfile::tempdir().expect("a folder");
    let (server, other) = (open(&folder), open(&folder));
    server.set_policy(open_policy()).await.expect("kept");
    add(&server, configured(&before)).await;
    collect_answer(&in_cloud(&server)).await.done();
    other.add_provider(configured(&after)).await.expect("moved");
    let answer = collect_answer(&in_cloud(&server)).await;
    assert_eq!(answer.error().reason(), ErrorReason::KeyMissing, "{}", answer.error());
    assert_eq!(after.connections(), 0);
    server.set_key("groq", Secret::new(KEY));
    collect_answer(&in_cloud(&server)).await.done();
    assert_eq!((before.chats().len(), after.chats().len()), (1, 1));
}

#[tokio::test]
async fn a_connection_that_becomes_metered_while_a_target_is_tried_is_not_used_for_its_fallback() {
    for (network, word) in [(Connectivity::Metered, "metered"), (Connectivity::Offline, "offline")] {
        let (first, second) = (Provider::start(Dialect::Groq), Provider::start(Dialect::OpenAi));
        first.play(Scenario::Delayed {
            ms: 1_000,
            then: Box::new(Scenario::Refused {
                status: 400,
                body: json!({ "error": { "message": "no" } }),
                retry_after: None,
            }),
        });
        let folder = tempfile::tempdir().expect("a folder");
        let host = NetworkHost::new(Connectivity::Unmetered);
        let config = Config::new(folder.path().to_string_lossy());
        let nearside = Nearside::with_host(config, host.clone()).expect("the library opens");
        for provider in [&first, &second] {
            add(&nearside, configured(provider)).await;
            let listed = nearside.provider_models(provider.dialect().name().into()).await;
            listed.expect("a list");
        }
        let policy = RoutingPolicy {
            allow_metered: false,
            ..open_policy()
        };
        nearside.set_policy(policy).await.expect("kept");
        let stream = in_cloud(&nearside);
        wait_for_chats(&first, 1).await;
        host.set(network);
        let answer = collect_answer(&stream).await;
        let error = answer.error().to_string();
        assert!(error.contains(word), "{network:?}: {error}");
        assert!(second.chats().is_empty(), "{network:?}");
    }
}
