//! The model lists of providers: when one is fetched, how long a request waits for it, and what its absence or its failure
//! does to a decision.

use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

use nearside::chat::{ChatRequest, RoutingMode, Sensitivity};
use nearside::device::{Connectivity, DeviceFacts, Host};
use nearside::engine::remote::{ProviderKind, ProviderSettings, Secret};
use nearside::route::RoutingPolicy;
use nearside::{Config, ErrorReason, Nearside};
use nearside_tests::device::open_policy;
use nearside_tests::provider::{Dialect, Provider, WireFormat};
use nearside_tests::remote::{CollectedAnswer, KEY, collect_answer, question, settings};

/// A host whose network a test sets.
#[derive(Debug, Default)]
struct Traveller(Mutex<Connectivity>);

impl Host for Traveller {
    fn facts(&self) -> DeviceFacts {
        DeviceFacts {
            network: *self.0.lock().expect("not poisoned"),
            ..DeviceFacts::default()
        }
    }
}

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
    let host = Arc::new(Traveller(Mutex::new(network)));
    Nearside::with_host(config, host).expect("the library opens")
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
