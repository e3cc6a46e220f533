//! What must not leave with a later request, another address, an older list, or through a proxy.

use std::net::TcpListener;
use std::time::{Duration, SystemTime};

use nearside::chat::{ChatMessage, ChatRequest, ConversationSettings, RoutingMode, Sensitivity};
use nearside::engine::remote::{ListedModels, ProviderKind, ProviderSettings, RemoteModel, Secret};
use nearside::state::State;
use nearside::{Config, ErrorReason, Nearside, NetworkConfig};
use nearside_tests::device::open_policy;
use nearside_tests::provider::{Dialect, Provider, WireFormat};
use nearside_tests::remote::{KEY, collect_answer, question, settings};

fn open(folder: &tempfile::TempDir) -> Nearside {
    Nearside::new(Config::new(folder.path().to_string_lossy())).expect("the library opens")
}

fn in_cloud(sensitivity: Sensitivity) -> ChatRequest {
    ChatRequest {
        mode: RoutingMode::OnlyInCloud,
        sensitivity,
        ..question()
    }
}

#[tokio::test]
async fn a_list_of_an_earlier_release_makes_no_forwarded_model_ones_own() {
    for dialect in [Dialect::Ollama, Dialect::Compatible] {
        let provider = Provider::builder(dialect).model("glm-5:cloud").start().expect("a port");
        let folder = tempfile::tempdir().expect("a folder");
        let configured = settings(dialect, &provider.url());
        open(&folder).add_provider(configured.clone()).await.expect("set up");
        let listed = ListedModels {
            models: vec![RemoteModel {
                id: "glm-5:cloud".into(),
                ..RemoteModel::default()
            }],
            ..ListedModels::default()
        };
        let state = State::open_in(folder.path()).expect("opened");
        state
            .save_models(&configured.name, &listed, SystemTime::now())
            .expect("kept");
        drop(state);
        let request = ChatRequest {
            provider: Some(configured.name),
            model: Some("glm-5:cloud".into()),
            ..in_cloud(Sensitivity::Personal)
        };
        let answer = collect_answer(&open(&folder).chat(request)).await;
        assert_eq!(
            answer.error().reason(),
            ErrorReason::PolicyForbids,
            "{}",
            answer.error()
        );
        assert!(provider.chats().is_empty());
    }
}

#[tokio::test]
async fn a_sensitive_turn_keeps_its_conversation_on_the_device() {
    let provider = Provider::start(Dialect::LlamaServer);
    let folder = tempfile::tempdir().expect("a folder");
    let nearside = open(&folder);
    let mut configured = settings(Dialect::LlamaServer, &provider.url());
    configured.model = Some(Dialect::LlamaServer.model().to_owned());
    nearside.add_provider(configured).await.expect("set up");
    nearside.set_policy(open_policy()).await.expect("kept");
    let conversations = nearside.conversations();
    let id = conversations
        .create(ConversationSettings::default())
        .await
        .expect("created")
        .id;
    let turn = |text: &str, sensitivity| ChatRequest {
        messages: vec![ChatMessage::user(text)],
        ..in_cloud(sensitivity)
    };
    let reason = async |text, sensitivity| {
        let answer = collect_answer(&conversations.send(id, turn(text, sensitivity))).await;
        answer.end.err().map(|error| error.reason())
    };
    assert_eq!(reason("the weather", Sensitivity::Public).await, None);
    assert_eq!(
        reason("my diagnosis", Sensitivity::Sensitive).await,
        Some(ErrorReason::PolicyForbids)
    );
    assert_eq!(
        reason("the weather again", Sensitivity::Public).await,
        Some(ErrorReason::PolicyForbids)
    );
    assert_eq!(provider.chats().len(), 1, "the first turn alone");
    let other = conversations
        .create(ConversationSettings::default())
        .await
        .expect("created")
        .id;
    let answer = collect_answer(&conversations.send(other, turn("elsewhere", Sensitivity::Public))).await;
    answer.done();
}

#[tokio::test]
async fn a_key_stays_with_the_server_that_it_was_set_for() {
    let folder = tempfile::tempdir().expect("a folder");
    let nearside = open(&folder);
    let at = |url: &str| settings(Dialect::Groq, url);
    nearside
        .add_provider(at("https://one.example/v1"))
        .await
        .expect("set up");
    nearside.set_key("groq", Secret::new(KEY));
    let has_key = async || nearside.providers().await.expect("statuses")[0].has_key;
    let mut renamed = at("https://one.example/v1");
    renamed.model = Some("m".into());
    nearside.add_provider(renamed).await.expect("set up");
    assert!(has_key().await, "the same server");
    let mut elsewhere = settings(Dialect::OpenAi, "https://one.example:443/openai/v1");
    elsewhere.name = "groq".into();
    nearside.add_provider(elsewhere).await.expect("set up");
    assert!(has_key().await, "the same server, whatever its kind and path");
    let origin = nearside.providers().await.expect("statuses")[0].origin.clone();
    assert_eq!(origin, "https://one.example");
    nearside
        .add_provider(at("https://two.example/v1"))
        .await
        .expect("set up");
    assert!(!has_key().await, "another server");
}

#[tokio::test]
async fn terms_of_a_service_are_not_those_of_another_address() {
    let folder = tempfile::tempdir().expect("a folder");
    let nearside = open(&folder);
    let proxy = ProviderSettings {
        base_url: Some("https://proxy.example/api/v1".into()),
        ..ProviderSettings::new("mine", ProviderKind::OpenRouter)
    };
    nearside.add_provider(proxy).await.expect("set up");
    let usual = ProviderSettings::new("openrouter", ProviderKind::OpenRouter);
    nearside.add_provider(usual).await.expect("set up");
    let statuses = nearside.providers().await.expect("statuses");
    assert!(statuses[0].data_policy.retained && statuses[0].data_policy.trained_on);
    assert!(!statuses[1].data_policy.retained && !statuses[1].data_policy.trained_on);
}

#[tokio::test]
async fn what_goes_to_a_private_network_passes_no_proxy() {
    let proxy = TcpListener::bind("127.0.0.1:0").expect("a port");
    proxy.set_nonblocking(true).expect("set");
    let folder = tempfile::tempdir().expect("a folder");
    let config = Config {
        network: NetworkConfig {
            proxy: Some(format!("http://{}", proxy.local_addr().expect("an address"))),
            ..NetworkConfig::default()
        },
        ..Config::new(folder.path().to_string_lossy())
    };
    let nearside = Nearside::new(config).expect("the library opens");
    let home = ProviderSettings {
        base_url: Some("http://192.168.77.9:9/v1".into()),
        allow_http: true,
        model: Some("m".into()),
        ..ProviderSettings::new("home", ProviderKind::Compatible)
    };
    nearside.add_provider(home).await.expect("set up");
    let mut request = in_cloud(Sensitivity::Personal);
    request.limits.deadline_ms = Some(500);
    let answer = collect_answer(&nearside.chat(request)).await;
    assert!(answer.end.is_err());
    tokio::time::sleep(Duration::from_millis(100)).await;
    assert!(proxy.accept().is_err(), "the proxy was asked");
}
