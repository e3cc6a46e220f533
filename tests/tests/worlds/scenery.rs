//! The worlds: a device, its host, its model and its providers, as they are in life.

use std::sync::Arc;
use std::time::{Duration, Instant};

use nearside::chat::{ChatRequest, RequestLimits, RouteRule, RouteTarget, RoutingMode, Sensitivity};
use nearside::device::{DeviceFacts, Host};
use nearside::engine::remote::Secret;
use nearside::{AppEvent, Config, Nearside};
use nearside_tests::models;
use nearside_tests::provider::{Dialect, Provider, Scenario};
use nearside_tests::remote::{KEY, collect_answer, question, settings};

pub(crate) const MODES: [RoutingMode; 4] = [
    RoutingMode::OnlyOnDevice,
    RoutingMode::PreferOnDevice,
    RoutingMode::PreferInCloud,
    RoutingMode::OnlyInCloud,
];
pub(crate) const SENSITIVITIES: [Sensitivity; 3] = [Sensitivity::Public, Sensitivity::Personal, Sensitivity::Sensitive];

/// A device with its surroundings.
pub(crate) struct World {
    pub(crate) name: &'static str,
    pub(crate) about: &'static str,
    pub(crate) nearside: Nearside,
    providers: Vec<Provider>,
    seen: std::sync::Mutex<usize>,
    _folder: tempfile::TempDir,
}

/// A phone that has 2 GB left for the app.
#[derive(Debug)]
struct FullPhone;

impl Host for FullPhone {
    fn facts(&self) -> DeviceFacts {
        DeviceFacts {
            memory_available: Some(2_000_000_000),
            ..DeviceFacts::default()
        }
    }
}

impl World {
    /// Opens a device with SmolLM2 and these providers, which it knows under the names of their dialects.
    pub(crate) async fn with(
        name: &'static str,
        about: &'static str,
        providers: &[&Provider],
        default: Option<&str>,
    ) -> Self {
        Self::on(
            Arc::new(nearside::device::NoHost),
            "smollm2.gguf",
            name,
            about,
            providers,
            default,
        )
        .await
    }

    async fn on(
        host: Arc<dyn Host>,
        model: &str,
        name: &'static str,
        about: &'static str,
        providers: &[&Provider],
        default: Option<&str>,
    ) -> Self {
        let folder = tempfile::tempdir().expect("a folder");
        let config = Config {
            context: Some(512),
            ..Config::new(folder.path().to_string_lossy())
        };
        let nearside = Nearside::with_host(config, host).expect("the library opens");
        let path = models::path(model).to_string_lossy().into_owned();
        nearside.import(path).await.expect("imported");
        for provider in providers {
            let mut settings = settings(provider.dialect(), &provider.url());
            settings.model = default.map(str::to_owned);
            nearside.add_provider(settings).await.expect("set up");
            nearside.set_key(provider.dialect().name(), Secret::new(KEY));
        }
        Self {
            name,
            about,
            nearside,
            providers: vec![],
            seen: std::sync::Mutex::default(),
            _folder: folder,
        }
    }

    fn holding(mut self, providers: Vec<Provider>) -> Self {
        self.providers = providers;
        self
    }

    /// Returns the worlds of the table.
    pub(crate) async fn all() -> Vec<Self> {
        let many = |dialect| Provider::builder(dialect).many_models(400);
        let start = |builder: nearside_tests::provider::ProviderBuilder| builder.start().expect("a port");
        let refused = Scenario::Refused {
            status: 500,
            body: serde_json::json!({ "error": { "code": 500, "message": "Internal Server Error" } }),
            retry_after: None,
        };
        let mut worlds = vec![];

        let provider = start(many(Dialect::OpenRouter));
        let world = Self::with(
            "400 models",
            "OpenRouter lists 400 models; SmolLM2 is installed",
            &[&provider],
            None,
        )
        .await;
        worlds.push(world.holding(vec![provider]));

        let provider = start(many(Dialect::OpenRouter).otherwise(refused));
        let world = Self::with(
            "lists, then fails",
            "the same, and every chat ends in a fault of the provider",
            &[&provider],
            None,
        )
        .await;
        worlds.push(world.holding(vec![provider]));

        let provider = start(Provider::builder(Dialect::Ollama).list_hangs());
        let other = start(many(Dialect::OpenRouter));
        let world = Self::with(
            "hanging list",
            "the list of an own Ollama server never comes; OpenRouter lists 400 models",
            &[&provider, &other],
            None,
        )
        .await;
        worlds.push(world.holding(vec![provider, other]));

        let provider = start(
            Provider::builder(Dialect::Ollama)
                .without_models()
                .model("all-minilm:latest")
                .model("glm-5:cloud")
                .model("gpt-oss:120b-cloud")
                .forwarded("assistant:latest")
                .model("qwen3:8b")
                .model("tiny:latest"),
        );
        let world = Self::with(
            "ollama",
            "an own Ollama server with an embedding model, three that it forwards, and two that chat",
            &[&provider],
            None,
        )
        .await;
        worlds.push(world.holding(vec![provider]));

        let provider = start(many(Dialect::OpenRouter));
        let world = Self::on(
            Arc::new(FullPhone),
            "r1-7b.gguf",
            "full phone",
            "2 GB are left for the app, a 4.7 GB model is installed; OpenRouter lists 400 models",
            &[&provider],
            None,
        )
        .await;
        worlds.push(world.holding(vec![provider]));

        for world in &worlds {
            for provider in &world.providers {
                // A list that hangs fails here.
                let list = world.nearside.provider_models(provider.dialect().name().into());
                let _ = tokio::time::timeout(Duration::from_secs(2), list).await;
            }
        }
        worlds
    }

    /// Forgets earlier failures and requests.
    pub(crate) async fn begin(&self) {
        self.nearside.notify(AppEvent::Foreground);
        // The fetch of a list that an earlier request began in the background may still be on its way.
        let (begun, mut quiet) = (Instant::now(), 0);
        while quiet < 3 && begun.elapsed() < Duration::from_secs(30) {
            let before = self.received();
            tokio::time::sleep(Duration::from_millis(50)).await;
            quiet = if self.received() == before { quiet + 1 } else { 0 };
        }
        *self.seen.lock().expect("not poisoned") = self.received();
    }

    /// Returns the number of requests of any kind since [`Self::begin`].
    pub(crate) fn requests(&self) -> usize {
        self.received() - *self.seen.lock().expect("not poisoned")
    }

    fn received(&self) -> usize {
        self.providers.iter().map(|provider| provider.requests().len()).sum()
    }

    /// Asks, and describes how it ended.
    pub(crate) async fn outcome(&self, mode: RoutingMode, sensitivity: Sensitivity) -> String {
        let answer = collect_answer(&self.nearside.chat(short(mode, sensitivity))).await;
        match &answer.end {
            Ok(summary) => {
                let receipt = &summary.receipt;
                let failed = receipt
                    .skipped
                    .iter()
                    .filter(|one| one.rule == RouteRule::PreviousFailed);
                let failed: Vec<_> = failed.map(|one| one.target.to_string()).collect();
                let after = if failed.is_empty() {
                    String::new()
                } else {
                    format!(", after {}", failed.join(", "))
                };
                match &receipt.target {
                    RouteTarget::Local { .. } => format!("this device{after}"),
                    target => format!("{target}{after}"),
                }
            }
            Err(error) => format!("{}: {error}", error.reason().id()),
        }
    }
}

/// Returns a request for a few tokens.
pub(crate) fn short(mode: RoutingMode, sensitivity: Sensitivity) -> ChatRequest {
    ChatRequest {
        mode,
        sensitivity,
        limits: RequestLimits {
            max_tokens: Some(4),
            ..RequestLimits::default()
        },
        ..question()
    }
}

/// Returns the JSON word of a value.
pub(crate) fn word(value: &impl serde::Serialize) -> String {
    let json = serde_json::to_value(value).expect("json");
    json.as_str().unwrap_or_default().to_owned()
}
