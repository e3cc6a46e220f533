//! The model lists of providers: when one is fetched, how long a request waits for it, and what its absence or its failure
//! does to a decision.

use std::time::{Duration, Instant};

use nearside::chat::{
    ChatRequest, ConversationSettings, MessageState, RouteRule, RoutingMode, Sensitivity, StopReason, TokenUsage,
};
use nearside::device::Connectivity;
use nearside::engine::remote::{ProviderKind, ProviderSettings, Secret};
use nearside::route::{ConsentPolicy, RouteDecision, RoutingPolicy};
use nearside::{AppEvent, Config, ErrorReason, Nearside};
use nearside_tests::device::open_policy;
use nearside_tests::gguf::Layout;
use nearside_tests::models;
use nearside_tests::network::NetworkHost;
use nearside_tests::provider::{Dialect, Provider, WireFormat};
use nearside_tests::remote::{CollectedAnswer, KEY, collect_answer, question, settings};

struct Phone {
    nearside: Nearside,
    folder: tempfile::TempDir,
}

impl Phone {
    async fn new(policy: RoutingPolicy, network: Connectivity, providers: &[ProviderSettings]) -> Self {
        let folder = tempfile::tempdir().expect("a folder");
        let nearside = open(&folder, network);
        nearside.set_policy(policy).await.expect("kept");
        for settings in providers {
            nearside.add_provider(settings.clone()).await.expect("set up");
            nearside.set_key(&settings.name, Secret::new(KEY));
        }
        Self { nearside, folder }
    }

    /// Ends the library and opens it again.
    fn restarted(self) -> Self {
        let Self { nearside, folder } = self;
        drop(nearside);
        Self {
            nearside: open(&folder, Connectivity::Unknown),
            folder,
        }
    }

    async fn ask(&self, request: ChatRequest) -> CollectedAnswer {
        collect_answer(&self.nearside.chat(request)).await
    }
}

fn open(folder: &tempfile::TempDir, network: Connectivity) -> Nearside {
    let config = Config {
        context: Some(512),
        ..Config::new(folder.path().to_string_lossy())
    };
    Nearside::with_host(config, NetworkHost::new(network)).expect("the library opens")
}

fn in_cloud() -> ChatRequest {
    ChatRequest {
        mode: RoutingMode::OnlyInCloud,
        sensitivity: Sensitivity::Public,
        ..question()
    }
}

/// The settings of a server whose kind is stated otherwise.
fn as_kind(kind: ProviderKind, provider: &Provider) -> ProviderSettings {
    ProviderSettings {
        base_url: Some(provider.url()),
        ..ProviderSettings::new("own", kind)
    }
}

fn paths(provider: &Provider) -> Vec<String> {
    provider.requests().into_iter().map(|request| request.path).collect()
}

#[tokio::test]
async fn no_model_that_a_server_forwards_is_sent_anything_unasked_whatever_the_kind_of_the_server() {
    let ollama = || Provider::builder(Dialect::Compatible).forwarded("mine:latest");
    let personal = ChatRequest {
        sensitivity: Sensitivity::Personal,
        provider: Some("own".into()),
        ..in_cloud()
    };
    for kind in [ProviderKind::Compatible, ProviderKind::LlamaServer] {
        for has_list in [false, true] {
            for tags in [None, Some(500), Some(401), Some(403), Some(429), Some(200)] {
                let server = match tags {
                    Some(status) => ollama().fails("/api/tags", status),
                    None => ollama(),
                };
                let server = server.start().expect("a port");
                for model in ["mine:latest", "mine", "MINE:Latest", "library/mine"] {
                    for default in [false, true] {
                        let settings = ProviderSettings {
                            model: default.then(|| model.to_owned()),
                            ..as_kind(kind, &server)
                        };
                        let phone = Phone::new(RoutingPolicy::default(), Connectivity::Unknown, &[settings]).await;
                        if has_list {
                            phone.nearside.provider_models("own".into()).await.expect("a list");
                        }
                        let request = ChatRequest {
                            model: (!default).then(|| model.to_owned()),
                            ..personal.clone()
                        };
                        let answer = phone.ask(request).await;
                        let case = format!("{kind:?}, list {has_list}, tags {tags:?}, {model}, default {default}");
                        let sent = server.chats();
                        let forwarded = sent.iter().any(|chat| {
                            chat["model"]
                                .as_str()
                                .is_some_and(|model| model.to_lowercase().contains("mine"))
                        });
                        assert!(!forwarded, "{case}");
                        if tags.is_some() {
                            assert!(answer.end.is_err(), "nothing is known of any model: {case}");
                        }
                    }
                }
            }
        }
    }
}

#[tokio::test]
async fn a_server_that_forwards_nothing_is_asked_once_and_its_list_keeps_the_answer() {
    for (dialect, status) in [
        (Dialect::Compatible, None),
        (Dialect::LlamaServer, None),
        (Dialect::Compatible, Some(405)),
        (Dialect::Compatible, Some(501)),
    ] {
        let mut server = Provider::builder(dialect);
        if let Some(status) = status {
            server = server.fails("/api/tags", status);
        }
        let server = server.start().expect("a port");
        let settings = as_kind(dialect, &server);
        let phone = Phone::new(RoutingPolicy::default(), Connectivity::Unknown, &[settings]).await;
        let personal = ChatRequest {
            sensitivity: Sensitivity::Personal,
            ..in_cloud()
        };
        phone.ask(personal.clone()).await.done();
        let tags = || paths(&server).iter().filter(|path| path.ends_with("/api/tags")).count();
        assert_eq!(tags(), 1, "{dialect:?}: {:?}", paths(&server));
        let phone = phone.restarted();
        let before = server.requests().len();
        phone.ask(personal).await.done();
        assert_eq!(
            server.requests().len(),
            before + 1,
            "the chat alone: {:?}",
            paths(&server)
        );
    }
}

#[tokio::test]
async fn a_list_is_asked_for_only_where_the_network_may_be_used() {
    let hosted = Provider::start(Dialect::OpenRouter);
    let policy = RoutingPolicy {
        allow_metered: false,
        ..open_policy()
    };
    let at_home = settings(Dialect::OpenRouter, &hosted.url());
    for (network, reason) in [
        (Connectivity::Metered, ErrorReason::PolicyForbids),
        (Connectivity::Offline, ErrorReason::Offline),
    ] {
        let phone = Phone::new(policy.clone(), network, std::slice::from_ref(&at_home)).await;
        assert_eq!(phone.ask(in_cloud()).await.error().reason(), reason);
        assert_eq!(hosted.connections(), 0, "{network:?}: {:?}", paths(&hosted));

        // A server on this machine is reached without the internet.
        let own = Provider::start(Dialect::Ollama);
        let phone = Phone::new(policy.clone(), network, &[settings(Dialect::Ollama, &own.url())]).await;
        let answer = phone.ask(in_cloud()).await;
        assert_eq!(answer.done().receipt.target.provider(), Some("ollama"), "{network:?}");
    }
}

#[tokio::test]
async fn a_server_whose_list_fails_is_the_reason_that_is_told() {
    let locked = Provider::builder(Dialect::LlamaServer)
        .key("right")
        .start()
        .expect("a port");
    let gone = Provider::start(Dialect::Ollama).url();
    let down = settings(Dialect::Ollama, &gone);
    let busy = Provider::builder(Dialect::Compatible)
        .fails("/models", 503)
        .start()
        .expect("a port");
    for (settings, reason) in [
        (settings(Dialect::LlamaServer, &locked.url()), ErrorReason::KeyRejected),
        (down, ErrorReason::Unreachable),
        (settings(Dialect::Compatible, &busy.url()), ErrorReason::Overloaded),
    ] {
        let name = settings.name.clone();
        let phone = Phone::new(open_policy(), Connectivity::Unknown, &[settings]).await;
        let by_name = ChatRequest {
            provider: Some(name.clone()),
            ..in_cloud()
        };
        let by_model = ChatRequest {
            model: Some("any".into()),
            ..by_name.clone()
        };
        // The first waits for the list, the later ones know.
        for request in [in_cloud(), in_cloud(), by_name, by_model] {
            let answer = phone.ask(request).await;
            let error = answer.error();
            assert_eq!(error.reason(), reason, "{error}");
            let text = error.to_string();
            assert!(
                text.contains(&format!("`{name}`")) && !text.contains("no provider"),
                "{text}"
            );
        }
    }
}

#[tokio::test]
async fn a_server_without_a_model_that_chats_says_so() {
    let server = Provider::builder(Dialect::Ollama)
        .without_models()
        .model("all-minilm:latest")
        .start()
        .expect("a port");
    let own = settings(Dialect::Ollama, &server.url());
    let phone = Phone::new(open_policy(), Connectivity::Unknown, &[own]).await;
    let answer = phone.ask(in_cloud()).await;
    let error = answer.error();
    assert_eq!(error.reason(), ErrorReason::UnknownModel, "{error}");
    assert!(error.to_string().contains("`ollama`"), "{error}");
    let costs = phone.nearside.cost(in_cloud()).await.expect("costs");
    assert!(costs.iter().all(|row| row.target.to_string() != "ollama"));
}

#[tokio::test]
async fn a_server_that_has_no_list_at_all_answers_with_the_model_of_its_settings() {
    let server = Provider::builder(Dialect::Compatible)
        .fails("/models", 404)
        .start()
        .expect("a port");
    let own = ProviderSettings {
        model: Some(Dialect::Compatible.model().to_owned()),
        ..settings(Dialect::Compatible, &server.url())
    };
    let phone = Phone::new(RoutingPolicy::default(), Connectivity::Unknown, &[own]).await;
    phone
        .nearside
        .provider_models("compatible".into())
        .await
        .expect_err("there is no list");
    phone.ask(in_cloud()).await.done();
}

#[tokio::test]
async fn a_policy_of_regions_fetches_where_the_upstreams_compute() {
    let server = Provider::start(Dialect::OpenRouter);
    let at_home = settings(Dialect::OpenRouter, &server.url());
    let policy = |region: &str| RoutingPolicy {
        regions: vec![region.into()],
        ..open_policy()
    };
    let phone = Phone::new(policy("US"), Connectivity::Unknown, std::slice::from_ref(&at_home)).await;
    let answer = phone.ask(in_cloud()).await;
    assert_eq!(answer.done().receipt.data_policy.region, "US");

    // None of them computes there: the document is not fetched again for every request.
    let phone = Phone::new(policy("JP"), Connectivity::Unknown, &[at_home]).await;
    let before = server.requests().len();
    for _ in 0..3 {
        assert_eq!(phone.ask(in_cloud()).await.error().reason(), ErrorReason::PolicyForbids);
    }
    assert_eq!(server.requests().len() - before, 2, "{:?}", paths(&server));
    assert!(server.chats().len() == 1);
}

#[tokio::test]
async fn a_document_of_upstreams_that_failed_is_asked_for_again_and_the_list_is_kept() {
    let server = Provider::builder(Dialect::OpenRouter)
        .fails("/providers", 500)
        .start()
        .expect("a port");
    let policy = RoutingPolicy {
        regions: vec!["US".into()],
        ..open_policy()
    };
    let at_home = settings(Dialect::OpenRouter, &server.url());
    let phone = Phone::new(policy, Connectivity::Unknown, &[at_home]).await;
    let list = phone.nearside.provider_models("openrouter".into()).await;
    assert!(!list.expect("the list itself").is_empty());
    let documents = || {
        paths(&server)
            .iter()
            .filter(|path| path.ends_with("/providers"))
            .count()
    };
    assert_eq!(documents(), 1);
    for _ in 0..2 {
        phone.ask(in_cloud()).await.error();
        assert_eq!(documents(), 1, "not within a minute");
    }
    phone.nearside.notify(AppEvent::Foreground);
    phone.ask(in_cloud()).await.error();
    assert_eq!(documents(), 2);
    assert!(server.chats().is_empty());
}

#[tokio::test]
async fn a_deadline_ends_the_wait_for_a_list_and_says_nothing_of_the_server() {
    let server = Provider::builder(Dialect::Ollama).list_hangs().start().expect("a port");
    let own = settings(Dialect::Ollama, &server.url());
    let phone = Phone::new(open_policy(), Connectivity::Unknown, &[own]).await;
    let mut request = in_cloud();
    request.limits.deadline_ms = Some(500);
    for _ in 0..2 {
        let begun = Instant::now();
        let answer = phone.ask(request.clone()).await;
        let error = answer.error();
        assert_eq!(error.reason(), ErrorReason::DeadlineExceeded, "{error}");
        assert!(begun.elapsed() < Duration::from_secs(4), "{:?}", begun.elapsed());
    }
    let begun = Instant::now();
    phone.nearside.route(request).await.expect("a decision");
    assert!(begun.elapsed() < Duration::from_secs(4), "{:?}", begun.elapsed());
}

#[tokio::test]
async fn a_cancel_ends_the_wait_for_a_list_as_it_ends_an_answer() {
    let server = Provider::builder(Dialect::Ollama).list_hangs().start().expect("a port");
    let own = settings(Dialect::Ollama, &server.url());
    let phone = Phone::new(open_policy(), Connectivity::Unknown, &[own]).await;
    let conversations = phone.nearside.conversations();
    let id = conversations
        .create(ConversationSettings::default())
        .await
        .expect("created")
        .id;
    let by_model = ChatRequest {
        model: Some("any".into()),
        ..in_cloud()
    };
    for stream in [
        phone.nearside.chat(in_cloud()),
        phone.nearside.chat(by_model),
        conversations.send(id, in_cloud()),
    ] {
        assert!(
            server.wait_for_requests(1, Duration::from_secs(5)),
            "it waits for the list"
        );
        let begun = Instant::now();
        stream.cancel();
        let answer = collect_answer(&stream).await;
        let done = answer.done();
        assert_eq!(done.stop, StopReason::Cancelled);
        assert_eq!((done.receipt.cost_usd, done.usage), (0.0, TokenUsage::default()));
        assert!(begun.elapsed() < Duration::from_secs(4), "{:?}", begun.elapsed());
    }
    let stored = conversations.open(id).await.expect("opened");
    let state = stored.messages.last().map(|message| message.state.clone());
    let cancelled = MessageState::Done {
        stop: StopReason::Cancelled,
    };
    assert_eq!(state, Some(cancelled));
}

#[tokio::test]
async fn a_question_for_consent_does_not_wait_for_the_list_of_another_server() {
    let hanging = Provider::builder(Dialect::Ollama).list_hangs().start().expect("a port");
    let third_party = Provider::start(Dialect::Compatible);
    let policy = RoutingPolicy {
        consent: ConsentPolicy::Ask,
        ..open_policy()
    };
    let providers = [
        settings(Dialect::Ollama, &hanging.url()),
        ProviderSettings {
            own_server: Some(false),
            ..settings(Dialect::Compatible, &third_party.url())
        },
    ];
    let phone = Phone::new(policy, Connectivity::Unknown, &providers).await;
    let begun = Instant::now();
    let personal = ChatRequest {
        sensitivity: Sensitivity::Personal,
        ..in_cloud()
    };
    let decision = phone.nearside.route(personal).await.expect("a decision");
    assert!(matches!(decision, RouteDecision::NeedsConsent { .. }), "{decision:?}");
    assert!(begun.elapsed() < Duration::from_secs(4), "{:?}", begun.elapsed());
}

#[tokio::test]
async fn the_end_of_the_library_does_not_wait_for_a_list() {
    let server = Provider::builder(Dialect::Ollama).list_hangs().start().expect("a port");
    let own = settings(Dialect::Ollama, &server.url());
    let phone = Phone::new(open_policy(), Connectivity::Unknown, &[own]).await;
    let stream = phone.nearside.chat(in_cloud());
    assert!(
        server.wait_for_requests(1, Duration::from_secs(5)),
        "it waits for the list"
    );
    let begun = Instant::now();
    phone.nearside.shut_down().await.expect("closed");
    assert!(begun.elapsed() < Duration::from_secs(4), "{:?}", begun.elapsed());
    assert_eq!(collect_answer(&stream).await.done().stop, StopReason::Cancelled);
}

#[tokio::test]
async fn a_model_of_this_device_that_cannot_chat_is_named_with_its_error() {
    let server = Provider::start(Dialect::LlamaServer);
    let own = settings(Dialect::LlamaServer, &server.url());
    let phone = Phone::new(open_policy(), Connectivity::Unknown, &[own]).await;
    let whole = Layout::read(&models::path("smollm2.gguf"));
    let key = b"tokenizer.chat_template";
    let at = whole.bytes.windows(key.len()).position(|bytes| bytes == key);
    let file = phone.folder.path().join("base.gguf");
    whole
        .patched(at.expect("a template"), b"tokenizer.chat_templatX")
        .write(&file);
    phone
        .nearside
        .import(file.to_string_lossy().into_owned())
        .await
        .expect("imported");
    phone
        .nearside
        .provider_models("llama-server".into())
        .await
        .expect("a list");
    for _ in 0..2 {
        let sensitive = ChatRequest {
            sensitivity: Sensitivity::Sensitive,
            ..question()
        };
        let answer = phone.ask(sensitive).await;
        let error = answer.error();
        assert_eq!(error.reason(), ErrorReason::Unsupported, "{error}");
        assert!(error.to_string().contains("`base`"), "{error}");
    }
    let public = ChatRequest {
        mode: RoutingMode::PreferOnDevice,
        ..in_cloud()
    };
    let answer = phone.ask(public).await;
    let receipt = &answer.done().receipt;
    assert_eq!(receipt.target.provider(), Some("llama-server"));
    assert_eq!(receipt.rule, RouteRule::Memory, "{}", receipt.reason);
    let base = receipt
        .skipped
        .iter()
        .find(|skipped| skipped.target.to_string() == "base");
    assert!(
        base.is_some_and(|base| base.reason.contains("chat template")),
        "{receipt:?}"
    );
}
