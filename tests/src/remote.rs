//! Runs the library's remote engine against a local provider and collects its answer.

use std::sync::Arc;
use std::time::{Duration, Instant};

use nearside::Error;
use nearside::RetryPolicy;
use nearside::chat::{
    AnswerSummary, ChatMessage, ChatRequest, ChatStream, Chunk, CostSource, DataPolicy, Route, RouteRule, RouteTarget,
};
use nearside::engine::remote::{
    CircuitBreaker, Connection, ProviderClient, ProviderSettings, RemoteEngine, RemoteModel, Secret, Timeouts,
    TokenPrice, Upstreams,
};
use nearside::engine::{Engine, Job, SentMark};
use nearside::stream::Stream;
use tokio::runtime::Handle;

use crate::provider::{Dialect, Provider, WireFormat};

/// Returns the settings with which an app would add this provider.
pub fn settings(dialect: Dialect, url: &str) -> ProviderSettings {
    ProviderSettings {
        base_url: Some(url.to_owned()),
        ..ProviderSettings::new(dialect.name(), dialect)
    }
}

/// Builds a connection to the provider at this address, with short timeouts, and with a price if it is hosted.
pub fn connection(dialect: Dialect, url: &str) -> Connection {
    let settings = settings(dialect, url);
    let hosted = settings.kind.is_hosted();
    Connection {
        http: ProviderClient::new(&settings).expect("a client"),
        secret: Secret::new(if hosted { KEY } else { "" }),
        model: RemoteModel {
            id: dialect.model().to_owned(),
            price: Some(if hosted { PRICE } else { TokenPrice::default() }),
            ..RemoteModel::default()
        },
        needed_tokens: NEEDED_TOKENS,
        upstreams: Upstreams::default(),
        data_policy: if hosted {
            DataPolicy::unknown()
        } else {
            DataPolicy::own_server()
        },
        circuit: Arc::new(CircuitBreaker::default()),
        learned: Arc::default(),
        must_check_host: false,
        timeouts: TIMEOUTS,
        settings,
    }
}

/// Builds a connection to a running local provider.
pub fn connected(provider: &Provider) -> Connection {
    connection(provider.dialect(), &provider.url())
}

/// Starts a chat and returns its stream.
pub fn start_chat(connection: Connection, request: ChatRequest) -> ChatStream {
    start_chat_with_mark(connection, request, SentMark::default())
}

/// Starts a chat that sets this mark, and returns its stream.
pub fn start_chat_with_mark(connection: Connection, request: ChatRequest, sent: SentMark) -> ChatStream {
    let (stream, sink) = Stream::new();
    let target = RouteTarget::Remote {
        provider: connection.settings.name.clone(),
        model: connection.model.id.clone(),
    };
    RemoteEngine::new(connection, Handle::current()).answer(Job {
        request,
        route: Route::to(target, RouteRule::RequestedTarget, "a test asks"),
        sink,
        requested_at: Instant::now(),
        kept_turns: None,
        conversation: None,
        sent,
        begun: None,
    });
    stream
}

/// An answer whose stream was read to its end.
#[derive(Debug, Clone, PartialEq)]
pub struct CollectedAnswer {
    /// All reasoning, joined.
    pub reasoning: String,
    /// All text, joined.
    pub text: String,
    /// Id, name and arguments of each call.
    pub calls: Vec<(String, String, String)>,
    /// Address and title of each citation.
    pub citations: Vec<(String, String)>,
    /// The fields of `Done`, or the error.
    pub end: Result<AnswerSummary, Error>,
}

impl CollectedAnswer {
    /// Joins chunks. Without a `Done`, `end` is an error.
    pub fn from_chunks(chunks: Vec<Chunk>) -> Self {
        let mut answer = Self {
            reasoning: String::new(),
            text: String::new(),
            calls: vec![],
            citations: vec![],
            end: Err(Error::internal("the stream has not ended")),
        };
        for chunk in chunks {
            match chunk {
                Chunk::Started { .. } => {}
                Chunk::Reasoning { text } => answer.reasoning += &text,
                Chunk::Text { text } => answer.text += &text,
                Chunk::ToolCall { id, name, arguments } => answer.calls.push((id, name, arguments)),
                Chunk::Citation { url, title } => answer.citations.push((url, title)),
                Chunk::Done { summary } => answer.end = Ok(summary),
            }
        }
        answer
    }

    /// Returns the fields of `Done`; panics if the answer failed.
    pub fn done(&self) -> &AnswerSummary {
        self.end.as_ref().expect("the answer succeeded")
    }

    /// Returns the error; panics if the answer succeeded.
    pub fn error(&self) -> &Error {
        self.end.as_ref().expect_err("the answer ended with an error")
    }
}

/// Reads a stream to its end. Panics if an item takes longer than 60 s.
pub async fn collect_answer(stream: &ChatStream) -> CollectedAnswer {
    let mut chunks = Vec::new();
    let failed = loop {
        let batch = tokio::time::timeout(Duration::from_secs(60), stream.next_batch()).await;
        match batch.expect("the stream continues or ends") {
            Ok(batch) if batch.is_empty() => break None,
            Ok(batch) => chunks.extend(batch),
            Err(error) => break Some(error),
        }
    };
    let mut answer = CollectedAnswer::from_chunks(chunks);
    if let Some(error) = failed {
        answer.end = Err(error);
    }
    answer
}

/// Runs a chat and collects its answer.
pub async fn chat_to_end(connection: Connection, request: ChatRequest) -> CollectedAnswer {
    collect_answer(&start_chat(connection, request)).await
}

/// Returns a simple request.
pub fn question() -> ChatRequest {
    ChatRequest::new(vec![ChatMessage::user("Why do the tides come twice a day?")])
}

/// Returns the cost source that a complete answer of this provider must have.
pub fn cost_source(dialect: Dialect) -> CostSource {
    match dialect {
        Dialect::OpenRouter => CostSource::Provider,
        _ if dialect.is_hosted() => CostSource::Computed,
        _ => CostSource::Free,
    }
}

/// The API key that the local providers accept.
pub const KEY: &str = "sk-test-zyxkey";

/// Short timeouts, so that a fault costs milliseconds.
pub const TIMEOUTS: Timeouts = Timeouts {
    first_byte: Duration::from_millis(400),
    first_data: Duration::from_millis(600),
    idle: Duration::from_millis(400),
    total: Duration::from_secs(20),
    trailing: Duration::from_millis(200),
    retry: RetryPolicy {
        attempts: 3,
        initial_backoff: Duration::from_millis(5),
    },
    max_retry_after: Duration::from_millis(50),
};

/// Tokens that a connection of these tests is prepared for.
pub const NEEDED_TOKENS: u32 = 5_000;

/// About the price of DeepSeek R1.
pub const PRICE: TokenPrice = TokenPrice {
    usd_in: 0.7,
    usd_out: 2.5,
    usd_cached: None,
    usd_request: 0.0,
    usd_search: None,
    as_of: String::new(),
};
