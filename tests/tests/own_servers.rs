//! The user's own servers: which of their models are forwarded to others, stated prices, and the network that they need.

use std::sync::Arc;

use nearside::chat::{ChatRequest, Chunk, ConversationSettings, CostSource, MessageRole, RoutingMode, Sensitivity};
use nearside::device::{Connectivity, Host};
use nearside::engine::remote::{ModelPrice, ProviderKind, ProviderSettings, Secret, TokenPrice};
use nearside::route::RoutingPolicy;
use nearside::state::SpendingGroup;
use nearside::{Config, ErrorReason, Nearside};
use nearside_tests::device::open_policy;
use nearside_tests::network::NetworkHost;
use nearside_tests::provider::{Dialect, Provider, Scenario, WireFormat};
use nearside_tests::remote::{CollectedAnswer, KEY, collect_answer, question, settings};

struct Home {
    nearside: Nearside,
    host: Arc<NetworkHost>,
    folder: tempfile::TempDir,
}

impl Home {
    /// Opens a library with these providers and the default policy.
    async fn new(providers: impl IntoIterator<Item = ProviderSettings>) -> Self {
        let folder = tempfile::tempdir().expect("a folder");
        let host = NetworkHost::new(Connectivity::default());
        let config = Config::new(folder.path().to_string_lossy());
        let nearside = Nearside::with_host(config, Arc::clone(&host) as Arc<dyn Host>).expect("the library opens");
        for settings in providers {
            nearside.set_key(&settings.name, Secret::new(KEY));
            nearside.add_provider(settings).await.expect("set up");
        }
        Self { nearside, host, folder }
    }

    /// Ends the library and opens it again.
    fn restarted(self) -> Self {
        let Self { nearside, host, folder } = self;
        drop(nearside);
        let config = Config::new(folder.path().to_string_lossy());
        let nearside = Nearside::with_host(config, Arc::clone(&host) as Arc<dyn Host>).expect("the library opens");
        Self { nearside, host, folder }
    }

    async fn set_policy(&self, policy: RoutingPolicy) {
        self.nearside.set_policy(policy).await.expect("kept");
    }

    fn set_network(&self, network: Connectivity) {
        self.host.set(network);
    }

    /// Asks for personal content to be sent.
    async fn ask(&self, provider: &str, model: Option<&str>) -> CollectedAnswer {
        let request = ChatRequest {
            mode: RoutingMode::OnlyInCloud,
            sensitivity: Sensitivity::Personal,
            provider: Some(provider.to_owned()),
            model: model.map(str::to_owned),
            ..question()
        };
        collect_answer(&self.nearside.chat(request)).await
    }
}

/// Settings with a model, so that none has to be chosen from a list.
fn configured(provider: &Provider) -> ProviderSettings {
    ProviderSettings {
        model: Some(provider.dialect().model().to_owned()),
        ..settings(provider.dialect(), &provider.url())
    }
}

fn asked_for_tags(provider: &Provider) -> bool {
    provider.requests().iter().any(|request| request.path == "/api/tags")
}

#[tokio::test]
async fn a_compatible_server_that_is_ollama_says_which_models_it_forwards() {
    let own = "Qwen/Qwen3-8B";
    let server = Provider::builder(Dialect::Compatible)
        .forwarded("glm-5")
        .forwarded("library/kimi:latest")
        .model("gpt-oss:120b-cloud")
        .start()
        .expect("a port");
    let home = Home::new([configured(&server)]).await;
    let models = home
        .nearside
        .provider_models("compatible".into())
        .await
        .expect("a list");
    assert!(asked_for_tags(&server));
    let mut forwarded: Vec<_> = models
        .iter()
        .filter(|model| model.proxied)
        .map(|model| &*model.id)
        .collect();
    forwarded.sort_unstable();
    assert_eq!(forwarded, ["glm-5", "gpt-oss:120b-cloud", "library/kimi:latest"]);
    for model in forwarded {
        let answer = home.ask("compatible", Some(model)).await;
        assert_eq!(answer.error().reason(), ErrorReason::PolicyForbids, "{model}");
    }
    assert!(server.chats().is_empty(), "nothing was sent");
    home.ask("compatible", Some(own)).await.done();
    assert_eq!(server.chats().len(), 1, "its own model is the user's");
    // Where unknown terms are allowed, consent is what is missing.
    home.set_policy(RoutingPolicy {
        allow_retention: true,
        allow_training: true,
        ..RoutingPolicy::default()
    })
    .await;
    let answer = home.ask("compatible", Some("glm-5")).await;
    assert_eq!(answer.error().reason(), ErrorReason::ConsentRequired);

    // A third party is not asked for what only Ollama has.
    let other = Provider::builder(Dialect::Compatible)
        .forwarded("glm-5")
        .start()
        .expect("a port");
    let rented = ProviderSettings {
        own_server: Some(false),
        ..configured(&other)
    };
    let home = Home::new([rented]).await;
    home.nearside
        .provider_models("compatible".into())
        .await
        .expect("a list");
    assert!(!asked_for_tags(&other));
}

#[tokio::test]
async fn a_price_that_is_stated_for_an_own_server_is_charged_and_capped() {
    let server = Provider::start(Dialect::LlamaServer);
    let priced = ProviderSettings {
        prices: vec![ModelPrice {
            model: None,
            price: TokenPrice {
                usd_in: 1.0,
                usd_out: 10.0,
                as_of: "2026-11-28".into(),
                ..TokenPrice::default()
            },
        }],
        ..configured(&server)
    };
    let home = Home::new([priced]).await;
    let answer = home.ask("llama-server", None).await;
    let done = answer.done();
    let tokens = (
        f64::from(done.usage.prompt_tokens),
        f64::from(done.usage.completion_tokens),
    );
    let expected = (tokens.0 * 1.0 + tokens.1 * 10.0) / 1e6;
    assert!(
        expected > 0.0 && (done.receipt.cost_usd - expected).abs() < 1e-9,
        "{:?}",
        done.receipt
    );
    assert_eq!(done.receipt.cost_source, CostSource::Computed);
    let rows = home.nearside.spending(SpendingGroup::Provider).await.expect("a report");
    assert_eq!((rows[0].key.as_str(), rows[0].requests), ("llama-server", 1));
    assert!(
        (rows[0].usd - expected).abs() < 1e-9 && rows[0].usd_unsettled == 0.0,
        "{rows:?}"
    );

    home.set_policy(RoutingPolicy {
        max_usd_day: Some(expected),
        ..RoutingPolicy::default()
    })
    .await;
    let answer = home.ask("llama-server", None).await;
    assert_eq!(answer.error().reason(), ErrorReason::CostCap, "{}", answer.error());
    assert_eq!(server.chats().len(), 1);
}

#[tokio::test]
async fn offline_no_third_party_is_asked_for_its_models_and_an_own_server_nearby_is() {
    let (groq, own) = (Provider::start(Dialect::Groq), Provider::start(Dialect::LlamaServer));
    let far = ProviderSettings {
        base_url: Some("https://203.0.113.5/v1".into()),
        own_server: Some(true),
        ..ProviderSettings::new("far", Dialect::Compatible)
    };
    let home = Home::new([settings(Dialect::Groq, &groq.url()), configured(&own), far]).await;
    home.set_network(Connectivity::Offline);
    for name in ["groq", "far"] {
        let error = home.nearside.provider_models(name.into()).await.expect_err("offline");
        assert_eq!(error.reason(), ErrorReason::Offline, "{name}: {error}");
    }
    assert_eq!(groq.connections(), 0);
    let models = home
        .nearside
        .provider_models("llama-server".into())
        .await
        .expect("a list");
    assert_eq!(models.len(), 1);
    home.set_network(Connectivity::Metered);
    home.set_policy(RoutingPolicy {
        allow_metered: false,
        ..open_policy()
    })
    .await;
    let error = home.nearside.provider_models("groq".into()).await.expect_err("metered");
    assert_eq!(error.reason(), ErrorReason::PolicyForbids, "{error}");
    assert_eq!(groq.connections(), 0);
    home.set_network(Connectivity::Unmetered);
    home.nearside
        .provider_models("groq".into())
        .await
        .expect("online again");
}

#[tokio::test]
async fn an_own_server_nearby_answers_offline_and_over_a_metered_connection() {
    // The list of an Ollama server, which says what it forwards, is needed as well.
    let (groq, own) = (Provider::start(Dialect::Groq), Provider::start(Dialect::Ollama));
    for network in [Connectivity::Offline, Connectivity::Metered] {
        let home = Home::new([configured(&groq), configured(&own)]).await;
        home.set_policy(RoutingPolicy {
            allow_metered: false,
            ..open_policy()
        })
        .await;
        home.set_network(network);
        let before = groq.connections();
        home.ask("ollama", None).await.done();
        let expected = match network {
            Connectivity::Offline => ErrorReason::Offline,
            _ => ErrorReason::PolicyForbids,
        };
        assert_eq!(home.ask("groq", None).await.error().reason(), expected, "{network:?}");
        assert_eq!(groq.connections(), before, "not even its list was fetched");
    }
}

#[tokio::test]
async fn an_answer_that_says_that_another_host_gave_it_is_the_last_one_under_the_policy_of_own_servers() {
    for dialect in [Dialect::Ollama, Dialect::Compatible, Dialect::LlamaServer] {
        let provider = Provider::start(dialect);
        let home = Home::new([configured(&provider)]).await;
        let ask = async || home.ask(dialect.name(), Some(dialect.model())).await;
        let plain = ask().await;
        assert!(plain.done().receipt.data_policy.is_own(), "{dialect:?}");
        provider.play(Scenario::ServedBy {
            provider: String::new(),
            model: Some("glm-5:cloud".into()),
            text: "From far away.".into(),
        });
        let forwarded = ask().await;
        let terms = &forwarded.done().receipt.data_policy;
        assert!(
            !terms.is_own() && terms.retained && !terms.note.is_empty(),
            "{dialect:?}: {terms:?}"
        );
        let refused = ask().await;
        let reason = refused.error().reason();
        assert!(
            matches!(reason, ErrorReason::PolicyForbids | ErrorReason::ConsentRequired),
            "{dialect:?}: {reason:?}"
        );
        assert_eq!(provider.chats().len(), 2, "{dialect:?}");
    }
}

/// The server has no way to say it but with an answer, so a new list takes nothing back.
#[tokio::test]
async fn an_answer_of_another_host_counts_after_the_next_list_too() {
    for dialect in [Dialect::Compatible, Dialect::LlamaServer] {
        let provider = Provider::start(dialect);
        let home = Home::new([configured(&provider)]).await;
        provider.play(Scenario::ServedBy {
            provider: String::new(),
            model: Some("glm-5:cloud".into()),
            text: "From far away.".into(),
        });
        home.ask(dialect.name(), Some(dialect.model())).await.done();
        let listed = home.nearside.provider_models(dialect.name().into()).await;
        assert!(listed.expect("a list").iter().all(|model| model.proxied), "{dialect:?}");
        let refused = home.ask(dialect.name(), Some(dialect.model())).await;
        assert_eq!(refused.error().reason(), ErrorReason::PolicyForbids, "{dialect:?}");
        assert_eq!(provider.chats().len(), 1, "{dialect:?}");
    }
}

#[tokio::test]
async fn an_address_with_a_wrong_path_is_named_as_the_cause_and_no_model_without_a_name_is() {
    for kind in ProviderKind::ALL {
        let provider = Provider::start(kind);
        for (path, model) in [("/wrong", None), ("/wrong", Some(kind.model())), ("", None)] {
            // The address of an Ollama server has no path.
            let is_right = path == kind.base_path();
            let settings = ProviderSettings {
                base_url: Some(format!("{}{path}", provider.origin())),
                model: model.map(str::to_owned),
                ..settings(kind, &provider.url())
            };
            // The fake servers have a list beside these paths, too.
            if is_right || kind == ProviderKind::DeepSeek && path.is_empty() {
                continue;
            }
            let home = Home::new([settings]).await;
            home.set_policy(open_policy()).await;
            let listed = home.nearside.provider_models(kind.name().into()).await;
            let listed = listed.expect_err("a wrong path");
            assert_eq!(listed.reason(), ErrorReason::Unreachable, "{kind:?} {path}: {listed}");
            let answer = home.ask(kind.name(), None).await;
            let names_address = |text: &str| text.contains("address") && !text.contains("``");
            let text = listed.to_string();
            assert!(names_address(&text), "{kind:?} {path} {model:?}: {text}");
            // A hosted service has the default model of the table: its own answer is told.
            let text = answer.error().to_string();
            assert!(
                kind.is_hosted() || names_address(&text),
                "{kind:?} {path} {model:?}: {text}"
            );
        }
    }
}

#[tokio::test]
async fn the_address_of_an_ollama_server_may_end_in_the_path_of_an_api() {
    let provider = Provider::start(Dialect::Ollama);
    for path in ["", "/", "/v1", "/v1/", "/api"] {
        let settings = ProviderSettings {
            base_url: Some(format!("{}{path}", provider.origin())),
            ..configured(&provider)
        };
        let home = Home::new([settings]).await;
        home.ask("ollama", None).await.done();
        let status = home.nearside.providers().await.expect("statuses");
        assert_eq!(status[0].base_url, format!("{}/", provider.origin()), "{path}");
    }
}

#[tokio::test]
async fn an_answer_that_turns_out_to_begin_inside_a_thought_is_stored_apart_and_the_next_one_shown_apart() {
    let provider = Provider::start(Dialect::Compatible);
    provider.otherwise(Scenario::UnopenedThink {
        thoughts: "The moon pulls.".into(),
        text: "Twice a day.".into(),
        pause_ms: 100,
    });
    let home = Home::new([configured(&provider)]).await;
    home.nearside
        .provider_models("compatible".into())
        .await
        .expect("a list");
    let conversations = home.nearside.conversations();
    let begun = conversations.create(ConversationSettings::default()).await;
    let id = begun.expect("created").id;
    let request = || ChatRequest {
        mode: RoutingMode::OnlyInCloud,
        ..question()
    };
    let first = collect_answer(&conversations.send(id, request())).await;
    assert!(first.done().usage.completion_tokens > 0);
    assert_eq!(
        first.text, "The moon pulls.</think>\n\nTwice a day.",
        "nothing is taken back"
    );
    let second = collect_answer(&conversations.send(id, request())).await;
    assert_eq!((&*second.reasoning, &*second.text), ("The moon pulls.", "Twice a day."));
    let stored = conversations.open(id).await.expect("opened").messages;
    let answers: Vec<_> = stored
        .iter()
        .filter(|message| message.role == MessageRole::Assistant)
        .collect();
    assert_eq!(answers.len(), 2);
    for answer in answers {
        assert_eq!((&*answer.reasoning, &*answer.text), ("The moon pulls.", "Twice a day."));
    }
    let sent = provider.chats();
    assert!(!sent[1].to_string().contains("think>"), "{}", sent[1]);

    drop(conversations);
    let home = home.restarted();
    let third = home.ask("compatible", None).await;
    assert_eq!((&*third.reasoning, &*third.text), ("The moon pulls.", "Twice a day."));
    home.nearside
        .provider_models("compatible".into())
        .await
        .expect("a list");
    let home = home.restarted();
    let fourth = home.ask("compatible", None).await;
    assert_eq!(fourth.text, "Twice a day.", "a new list keeps it");

    // A model that does so no longer is not held back for ever.
    provider.otherwise(Scenario::plain("No thought."));
    assert_eq!(home.ask("compatible", None).await.text, "No thought.");
    provider.play(Scenario::Slow {
        tokens: 3,
        per_second: 5.0,
    });
    let stream = home.nearside.chat(request());
    let mut batches = 0;
    loop {
        let batch = stream.next_batch().await.expect("more");
        batches += usize::from(batch.iter().any(|chunk| matches!(chunk, Chunk::Text { .. })));
        if batch.is_empty() {
            break;
        }
    }
    assert!(batches > 1, "shown as it arrives");
}
