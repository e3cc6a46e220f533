//! A model of an own server that its list shows as one of the server itself, and that the server forwards by now: nothing
//! is sent unasked.

use std::time::{Duration, Instant};

use nearside::chat::{ChatRequest, ChatStream, RoutingMode, Sensitivity, StopReason};
use nearside::engine::remote::{ModelPrice, ProviderKind, ProviderSettings, Secret, TokenPrice};
use nearside::route::{RouteDecision, RoutingPolicy};
use nearside::{Config, ErrorReason, Nearside};
use nearside_tests::provider::{Dialect, Provider, ProviderBuilder, WireFormat};
use nearside_tests::remote::{CollectedAnswer, KEY, collect_answer, question};

/// A library that knows the list of an own server from before its start.
struct Home {
    nearside: Nearside,
    folder: tempfile::TempDir,
}

impl Home {
    /// Sets these providers up, reads their lists, and starts the library anew.
    async fn new(providers: &[ProviderSettings]) -> Self {
        let folder = tempfile::tempdir().expect("a folder");
        let nearside = open(&folder);
        for settings in providers {
            nearside.add_provider(settings.clone()).await.expect("set up");
            nearside.set_key(&settings.name, Secret::new(KEY));
            let listed = nearside.provider_models(settings.name.clone()).await;
            listed.expect("a list");
        }
        Self { nearside, folder }.restarted()
    }

    /// Starts the library anew: the list stays, and that the server said it a moment ago is forgotten.
    fn restarted(self) -> Self {
        let Self { nearside, folder } = self;
        drop(nearside);
        let nearside = open(&folder);
        Self { nearside, folder }
    }

    async fn set_policy(&self, policy: RoutingPolicy) {
        self.nearside.set_policy(policy).await.expect("kept");
    }

    fn chat(&self, request: ChatRequest) -> ChatStream {
        self.nearside.chat(request)
    }

    async fn ask(&self, request: ChatRequest) -> CollectedAnswer {
        collect_answer(&self.chat(request)).await
    }
}

fn open(folder: &tempfile::TempDir) -> Nearside {
    Nearside::new(Config::new(folder.path().to_string_lossy())).expect("the library opens")
}

fn personal() -> ChatRequest {
    ChatRequest {
        mode: RoutingMode::OnlyInCloud,
        sensitivity: Sensitivity::Personal,
        ..question()
    }
}

/// A request for one model of the own server.
fn personal_to(model: &str) -> ChatRequest {
    ChatRequest {
        provider: Some("own".into()),
        model: Some(model.to_owned()),
        ..personal()
    }
}

/// The kinds under which an Ollama server may be set up, with a server for each.
fn ollama_servers() -> [(ProviderKind, ProviderBuilder); 3] {
    let compatible = || Provider::builder(Dialect::Compatible).through_ollama();
    [
        (ProviderKind::Ollama, Provider::builder(Dialect::Ollama)),
        (ProviderKind::Compatible, compatible()),
        (ProviderKind::LlamaServer, compatible()),
    ]
}

/// Settings with a model, so that it is clear which one is asked for.
fn own(kind: ProviderKind, server: &Provider) -> ProviderSettings {
    ProviderSettings {
        base_url: Some(server.url()),
        model: Some(server.dialect().model().to_owned()),
        ..ProviderSettings::new("own", kind)
    }
}

fn descriptions(server: &Provider) -> usize {
    let requests = server.requests();
    requests
        .iter()
        .filter(|request| request.path.ends_with("/api/show"))
        .count()
}

#[tokio::test]
async fn a_model_that_the_server_runs_itself_again_is_asked_again() {
    let server = Provider::builder(Dialect::Ollama).start().expect("a port");
    let model = server.dialect().model();
    let home = Home::new(&[own(ProviderKind::Ollama, &server)]).await;
    server.forward(model);
    let refused = home.ask(personal_to(model)).await;
    assert_eq!(refused.error().reason(), ErrorReason::PolicyForbids);
    server.run_itself(model);
    // A list is not fetched again within five seconds.
    tokio::time::sleep(Duration::from_secs(6)).await;
    home.ask(personal_to(model)).await.done();
    assert_eq!(server.chats().len(), 1);
}

#[tokio::test]
async fn a_model_that_is_created_anew_as_an_alias_gets_nothing_unasked_whatever_the_kind_of_its_server() {
    for (kind, server) in ollama_servers() {
        let server = server.start().expect("a port");
        let ask = || personal_to(server.dialect().model());
        let home = Home::new(&[own(kind, &server)]).await;
        home.ask(ask()).await.done();
        assert_eq!(server.chats().len(), 1, "{kind:?}");
        let home = home.restarted();
        server.forward(server.dialect().model());
        for _ in 0..2 {
            let answer = home.ask(ask()).await;
            let error = answer.error();
            assert_eq!(error.reason(), ErrorReason::PolicyForbids, "{kind:?}: {error}");
        }
        assert_eq!(server.chats().len(), 1, "{kind:?}: nothing more was sent");
        if kind == ProviderKind::Ollama {
            let answer = home.ask(personal()).await;
            let target = answer.done().receipt.target.to_string();
            assert_eq!(
                target, "tiny:latest at own",
                "a request for any model gets one of the server itself"
            );
        }
        let listed = home.nearside.provider_models("own".into()).await.expect("a list");
        let alias = listed.iter().find(|model| model.id == server.dialect().model());
        assert!(alias.is_some_and(|model| model.proxied), "{kind:?}");
    }
}

#[tokio::test]
async fn the_user_is_asked_where_the_policy_allows_unknown_terms() {
    let server = Provider::start(Dialect::Ollama);
    let home = Home::new(&[own(ProviderKind::Ollama, &server)]).await;
    home.set_policy(RoutingPolicy {
        allow_retention: true,
        allow_training: true,
        ..RoutingPolicy::default()
    })
    .await;
    server.forward(Dialect::Ollama.model());
    let answer = home.ask(personal_to(Dialect::Ollama.model())).await;
    assert_eq!(
        answer.error().reason(),
        ErrorReason::ConsentRequired,
        "{}",
        answer.error()
    );
    assert!(server.chats().is_empty());
    let decision = home
        .nearside
        .route(personal_to(Dialect::Ollama.model()))
        .await
        .expect("a decision");
    let RouteDecision::NeedsConsent { question } = decision else {
        panic!("{decision:?}");
    };
    let agreed = ChatRequest {
        consent: Some(question.target),
        ..personal_to(Dialect::Ollama.model())
    };
    let answer = home.ask(agreed).await;
    assert!(!answer.done().receipt.data_policy.is_own());
    assert_eq!(server.chats().len(), 1);
}

#[tokio::test]
async fn the_next_target_answers_in_place_of_a_server_that_forwards_or_does_not_say() {
    for (one, two) in ollama_servers().into_iter().zip(ollama_servers()) {
        let kind = one.0;
        let servers = [one, two].map(|(_, server)| server.start().expect("a port"));
        let named = |at: usize| ProviderSettings {
            name: format!("own-{at}"),
            ..own(kind, &servers[at])
        };
        let mut home = Home::new(&[named(0), named(1)]).await;
        for forwards in [false, true] {
            home = home.restarted();
            let route = home.nearside.route(personal()).await.expect("a decision").into_route();
            let route = route.expect("a route");
            let first = usize::from(route.target.provider() == Some("own-1"));
            let chats = || servers.each_ref().map(|server| server.chats().len());
            let before = chats();
            match forwards {
                true => servers[first].forward(servers[first].dialect().model()),
                false => servers[first].fail("/api/show", 500),
            }
            let answer = home.ask(personal()).await;
            let receipt = &answer.done().receipt;
            assert_ne!(receipt.target, route.target, "{kind:?}, forwards {forwards}");
            assert!(receipt.data_policy.is_own());
            let after = chats();
            assert_eq!(after[first], before[first], "{kind:?}, forwards {forwards}");
            assert_eq!(after[1 - first], before[1 - first] + 1, "{kind:?}, forwards {forwards}");
            servers[first].repair();
        }
    }
}

#[tokio::test]
async fn a_server_that_does_not_say_where_it_runs_the_model_gets_nothing() {
    for (kind, server) in ollama_servers() {
        let server = server.start().expect("a port");
        let priced = ProviderSettings {
            prices: vec![ModelPrice {
                model: None,
                price: TokenPrice {
                    usd_out: 10.0,
                    ..TokenPrice::default()
                },
            }],
            ..own(kind, &server)
        };
        let home = Home::new(&[priced]).await;
        for status in [Some(500), Some(401), Some(403), Some(200), None] {
            // The wait is the same for every kind.
            if status.is_none() && kind != ProviderKind::Ollama {
                continue;
            }
            match status {
                Some(status) => server.fail("/api/show", status),
                None => server.silence("/api/show"),
            }
            let begun = Instant::now();
            let answer = home.ask(personal()).await;
            let error = answer.error().to_string();
            assert!(error.contains("nothing was sent"), "{kind:?} {status:?}: {error}");
            assert!(begun.elapsed() < Duration::from_secs(20), "{:?}", begun.elapsed());
            assert!(server.chats().is_empty(), "{kind:?} {status:?}");
            home.nearside.set_key("own", Secret::new(KEY));
            server.repair();
        }
        let spent = home.nearside.spent().await.expect("totals");
        assert_eq!(spent.day, 0.0, "nothing stays reserved");
        home.ask(personal()).await.done();
        assert_eq!(server.chats().len(), 1, "{kind:?}");
    }
}

#[tokio::test]
async fn a_server_is_asked_about_a_model_once_a_minute_and_not_after_it_was_listed() {
    for (kind, server) in ollama_servers() {
        let server = server.start().expect("a port");
        let home = Home::new(&[own(kind, &server)]).await;
        let listed = descriptions(&server);
        for _ in 0..5 {
            home.ask(personal()).await.done();
        }
        assert_eq!(descriptions(&server), listed + 1, "{kind:?}");
        let home = home.restarted();
        home.nearside.provider_models("own".into()).await.expect("a list");
        let listed = descriptions(&server);
        home.ask(personal()).await.done();
        assert_eq!(descriptions(&server), listed, "{kind:?}: the list said so a moment ago");
    }
}

#[tokio::test]
async fn only_a_description_says_that_a_model_is_forwarded_and_it_counts_for_every_kind() {
    for (kind, server) in ollama_servers() {
        let server = server.forwarded_unlisted("mine:latest").start().expect("a port");
        let settings = ProviderSettings {
            model: Some("mine:latest".into()),
            ..own(kind, &server)
        };
        // The list came while the descriptions could not be had, or with them.
        for has_descriptions in [false, true] {
            if !has_descriptions {
                server.fail("/api/show", 500);
            }
            let home = Home::new(std::slice::from_ref(&settings)).await;
            server.repair();
            let listed = home.nearside.providers().await.expect("statuses");
            assert_eq!(listed[0].data_policy.is_own(), !has_descriptions, "{kind:?}");
            let answer = home.ask(personal_to("mine:latest")).await;
            assert_eq!(answer.error().reason(), ErrorReason::PolicyForbids, "{kind:?}");
            assert!(server.chats().is_empty(), "{kind:?}");
        }
    }
}

#[tokio::test]
async fn a_server_that_contradicts_its_list_is_asked_for_a_new_one() {
    // The model was removed there.
    let server = Provider::start(Dialect::Ollama);
    let home = Home::new(&[own(ProviderKind::Ollama, &server)]).await;
    server.remove_model(Dialect::Ollama.model());
    let removed = || personal_to(Dialect::Ollama.model());
    for _ in 0..2 {
        let answer = home.ask(removed()).await;
        assert_eq!(answer.error().reason(), ErrorReason::UnknownModel, "{}", answer.error());
    }
    assert!(server.chats().is_empty());

    // Another server has taken its place, which forwards nothing and does not know the question.
    let server = Provider::builder(Dialect::Compatible)
        .through_ollama()
        .start()
        .expect("a port");
    let home = Home::new(&[own(ProviderKind::Compatible, &server)]).await;
    server.fail("/api/show", 404);
    server.fail("/api/tags", 404);
    let answer = home.ask(personal()).await;
    let error = answer.error().to_string();
    assert!(
        error.contains("does not describe its models") && server.chats().is_empty(),
        "{error}"
    );
    home.ask(personal()).await.done();
    assert_eq!(server.chats().len(), 1);
}

#[tokio::test]
async fn a_cancel_and_a_deadline_end_the_question_where_a_model_runs() {
    let server = Provider::start(Dialect::Ollama);
    let home = Home::new(&[own(ProviderKind::Ollama, &server)]).await;
    server.silence("/api/show");
    let asked = server.requests().len();
    let mut request = personal();
    request.limits.deadline_ms = Some(500);
    let begun = Instant::now();
    let answer = home.ask(request).await;
    assert_eq!(
        answer.error().reason(),
        ErrorReason::DeadlineExceeded,
        "{}",
        answer.error()
    );
    assert!(begun.elapsed() < Duration::from_millis(1_900), "{:?}", begun.elapsed());

    let stream = home.chat(personal());
    assert!(server.wait_for_requests(asked + 2, Duration::from_secs(5)), "it asks");
    let begun = Instant::now();
    stream.cancel();
    assert_eq!(collect_answer(&stream).await.done().stop, StopReason::Cancelled);
    assert!(begun.elapsed() < Duration::from_millis(1_900), "{:?}", begun.elapsed());
    assert!(server.chats().is_empty());
}
