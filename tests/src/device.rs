//! The library in a folder of its own, with local providers set up, and the content of its answers.

use std::time::Duration;

use nearside::chat::{AnswerSummary, ChatRequest, ChatStream, Chunk, Route, RouteTarget};
use nearside::engine::remote::{ProviderSettings, Secret};
use nearside::route::{ConsentPolicy, RoutingPolicy};
use nearside::{Config, Error, Nearside};

use crate::models;
use crate::provider::{Dialect, Provider, WireFormat};
use crate::remote::{KEY, settings};

/// A device: the library and its folder.
#[derive(Debug)]
pub struct Device {
    /// The library.
    pub nearside: Nearside,
    folder: tempfile::TempDir,
    config: Config,
}

impl Device {
    /// Opens the library in a new folder, under a policy that allows every provider.
    pub async fn new(context: u32) -> Self {
        let folder = tempfile::tempdir().expect("a folder");
        let config = Config {
            context: Some(context),
            ..Config::new(folder.path().to_string_lossy())
        };
        let nearside = Nearside::new(config.clone()).expect("the library opens");
        nearside.set_policy(open_policy()).await.expect("kept");
        Self {
            nearside,
            folder,
            config,
        }
    }

    /// Sets these providers up, each with the model that its dialect is tested with.
    pub async fn with_providers(self, providers: &[&Provider]) -> Self {
        for provider in providers {
            let mut settings = settings(provider.dialect(), &provider.url());
            settings.model = Some(provider.dialect().model().to_owned());
            self.add(settings).await;
        }
        self
    }

    /// Sets a provider up.
    pub async fn add(&self, settings: ProviderSettings) {
        let name = settings.name.clone();
        self.nearside.add_provider(settings).await.expect("set up");
        self.nearside.set_key(&name, Secret::new(KEY));
    }

    /// Installs SmolLM2.
    pub async fn with_model(self) -> Self {
        let path = models::path("smollm2.gguf").to_string_lossy().into_owned();
        self.nearside.import(path).await.expect("imported");
        self
    }

    /// Sets the policy.
    pub async fn set_policy(&self, policy: RoutingPolicy) {
        self.nearside.set_policy(policy).await.expect("kept");
    }

    /// Ends the library and opens it again in the same folder. Keys are set again for these providers.
    pub async fn restarted(self, providers: &[&Provider]) -> Self {
        let Self {
            nearside,
            folder,
            config,
        } = self;
        drop(nearside);
        let nearside = Nearside::new(config.clone()).expect("the library opens");
        for provider in providers {
            nearside.set_key(provider.dialect().name(), Secret::new(KEY));
        }
        Self {
            nearside,
            folder,
            config,
        }
    }

    /// Sends a request and reads its answer.
    pub async fn ask(&self, request: ChatRequest) -> DeviceAnswer {
        DeviceAnswer::read(&self.nearside.chat(request)).await
    }
}

/// The content of an answer's stream.
#[derive(Debug)]
pub struct DeviceAnswer {
    /// The routes that `Started` named, in order.
    pub routes: Vec<Route>,
    /// All text.
    pub text: String,
    /// Id, name and arguments of each call.
    pub calls: Vec<(String, String, String)>,
    /// The fields of `Done`, or the error.
    pub end: Result<AnswerSummary, Error>,
}

impl DeviceAnswer {
    /// Reads a stream to its end.
    pub async fn read(stream: &ChatStream) -> Self {
        let mut answer = Self {
            routes: vec![],
            text: String::new(),
            calls: vec![],
            end: Err(Error::internal("no end")),
        };
        loop {
            let batch = tokio::time::timeout(Duration::from_secs(300), stream.next_batch()).await;
            match batch.expect("the stream continues or ends") {
                Ok(batch) if batch.is_empty() => return answer,
                Ok(batch) => batch.into_iter().for_each(|chunk| answer.add(chunk)),
                Err(error) => {
                    answer.end = Err(error);
                    return answer;
                }
            }
        }
    }

    fn add(&mut self, chunk: Chunk) {
        match chunk {
            Chunk::Started { route } => self.routes.push(route),
            Chunk::Text { text } => self.text += &text,
            Chunk::ToolCall { id, name, arguments } => self.calls.push((id, name, arguments)),
            Chunk::Done { summary } => self.end = Ok(summary),
            Chunk::Reasoning { .. } | Chunk::Citation { .. } => {}
        }
    }

    /// Returns the targets that were tried, in order.
    pub fn targets(&self) -> Vec<RouteTarget> {
        self.routes.iter().map(|route| route.target.clone()).collect()
    }

    /// Returns the fields of `Done`; panics if the answer failed.
    pub fn done(&self) -> &AnswerSummary {
        self.end.as_ref().expect("the answer succeeded")
    }

    /// Returns the error; panics if the answer succeeded.
    pub fn error(&self) -> &Error {
        self.end.as_ref().expect_err("the answer failed")
    }
}

/// Returns a policy that allows every provider without a question.
pub fn open_policy() -> RoutingPolicy {
    RoutingPolicy {
        version: "test-1".into(),
        allow_retention: true,
        allow_training: true,
        consent: ConsentPolicy::Given,
        ..RoutingPolicy::default()
    }
}

/// Returns the target of a dialect's own model.
pub fn remote_target(dialect: Dialect) -> RouteTarget {
    RouteTarget::Remote {
        provider: dialect.name().into(),
        model: dialect.model().into(),
    }
}
