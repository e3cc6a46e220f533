//! The library's engine for a provider, pointed at a recorded one: connection, question, and the answer read to its end.

use std::sync::Arc;
use std::time::{Duration, Instant};

use nearside::Error;
use nearside::RetryPolicy;
use nearside::chat::{
    ChatRequest, ChatStream, Chunk, CostSource, DataPolicy, Message, Receipt, Route, StopReason, Target, Usage,
};
use nearside::engine::remote::{
    CircuitBreaker, Connection, Price, ProviderClient, ProviderKind, ProviderSettings, RemoteEngine, RemoteModel,
    Secret, Timeouts, Upstreams,
};
use nearside::engine::{Engine, Job};
use nearside::stream::Stream;
use tokio::runtime::Handle;

use crate::provider::{Dialect, Provider};

/// The library's word for a dialect.
pub fn kind(dialect: Dialect) -> ProviderKind {
    ProviderKind::from_name(&dialect.name().replace('_', "-")).expect("both know the same providers")
}

/// A provider as an app would set it up.
pub fn settings(dialect: Dialect, url: &str) -> ProviderSettings {
    ProviderSettings {
        name: dialect.name().to_owned(),
        kind: kind(dialect),
        base_url: Some(url.to_owned()),
        model: None,
        allow_http: false,
        data_policy: None,
        pins: vec![],
        root_certificate: None,
    }
}

/// A connection to the provider at this address, impatient, and with a price where somebody would send a bill.
pub fn connection(dialect: Dialect, url: &str) -> Connection {
    let settings = settings(dialect, url);
    let hosted = settings.kind.is_hosted();
    Connection {
        http: ProviderClient::new(&settings).expect("a client"),
        secret: Secret::new(if hosted { KEY } else { "" }),
        model: RemoteModel {
            id: dialect.model().to_owned(),
            price: Some(if hosted { PRICE } else { Price::default() }),
            ..RemoteModel::default()
        },
        upstreams: Upstreams::default(),
        data_policy: if hosted {
            DataPolicy::unknown()
        } else {
            DataPolicy::own_server()
        },
        circuit: Arc::new(CircuitBreaker::default()),
        timeouts: TIMEOUTS,
        settings,
    }
}

/// A connection to a running recorded provider.
pub fn connected(provider: &Provider) -> Connection {
    connection(provider.dialect(), &provider.url())
}

/// Asks; the answer comes on the stream.
pub fn start(connection: Connection, request: ChatRequest) -> ChatStream {
    let (stream, sink) = Stream::new();
    let target = Target::Remote {
        provider: connection.settings.name.clone(),
        model: connection.model.id.clone(),
    };
    RemoteEngine::new(connection, Handle::current()).answer(Job {
        request,
        route: Route::to(target, "asked", "a test asks"),
        sink,
        requested_at: Instant::now(),
    });
    stream
}

/// An answer, read to its end.
#[derive(Debug, Clone, PartialEq)]
pub struct Answer {
    /// All reasoning, joined.
    pub reasoning: String,
    /// All text, joined.
    pub text: String,
    /// Id, name and arguments of each call.
    pub calls: Vec<(String, String, String)>,
    /// Address and title of each citation.
    pub citations: Vec<(String, String)>,
    /// The last word.
    pub end: Result<End, Error>,
}

/// What `Done` said.
#[derive(Debug, Clone, PartialEq)]
pub struct End {
    /// Why it ended.
    pub stop: StopReason,
    /// Tokens.
    pub usage: Usage,
    /// The receipt.
    pub receipt: Receipt,
}

impl Answer {
    /// Puts chunks together; the end is still open.
    pub fn of(chunks: Vec<Chunk>) -> Self {
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
                Chunk::Done {
                    stop, usage, receipt, ..
                } => answer.end = Ok(End { stop, usage, receipt }),
            }
        }
        answer
    }

    /// How it ended well.
    pub fn done(&self) -> &End {
        self.end.as_ref().expect("the answer ended well")
    }

    /// How it ended badly.
    pub fn error(&self) -> &Error {
        self.end.as_ref().expect_err("the answer ended with an error")
    }
}

/// Reads a stream to its end, which must come.
pub async fn read(stream: &ChatStream) -> Answer {
    let mut chunks = Vec::new();
    let failed = loop {
        let batch = tokio::time::timeout(Duration::from_secs(60), stream.next_batch()).await;
        match batch.expect("a stream goes on or ends") {
            Ok(batch) if batch.is_empty() => break None,
            Ok(batch) => chunks.extend(batch),
            Err(error) => break Some(error),
        }
    };
    let mut answer = Answer::of(chunks);
    if let Some(error) = failed {
        answer.end = Err(error);
    }
    answer
}

/// Asks and reads to the end.
pub async fn ask(connection: Connection, request: ChatRequest) -> Answer {
    read(&start(connection, request)).await
}

/// A plain question.
pub fn question() -> ChatRequest {
    ChatRequest::new(vec![Message::user("Why do the tides come twice a day?")])
}

/// How a cost must be known at this provider after a whole answer.
pub fn cost_source(dialect: Dialect) -> CostSource {
    match dialect {
        Dialect::OpenRouter => CostSource::Provider,
        _ if kind(dialect).is_hosted() => CostSource::Computed,
        _ => CostSource::Free,
    }
}

/// The credential that the recorded providers want, where they want one.
pub const KEY: &str = "sk-test-zyxkey";

/// Short, so that a fault costs milliseconds.
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

/// R1's, more or less.
pub const PRICE: Price = Price {
    usd_in: 0.7,
    usd_out: 2.5,
    usd_cached: None,
    usd_request: 0.0,
    as_of: String::new(),
};
