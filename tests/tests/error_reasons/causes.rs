//! The true causes: real sockets, real files, and a library that is closed, each until its error.

use std::sync::Arc;
use std::time::Duration;

use nearside::chat::{ChatMessage, ChatRequest, RequestLimits, RoutingMode};
use nearside::device::{Connectivity, DeviceFacts, Host};
use nearside::engine::remote::{ProviderSettings, Secret};
use nearside::model::{FitOptions, ModelRef};
use nearside::route::{ConsentPolicy, RouteDecision, RoutingPolicy};
use nearside::{Config, Error, ErrorReason, Nearside};
use nearside_tests::fixtures::TestDevice;
use nearside_tests::hub::{Fault, Host as HubHost, Hub, Refusal};
use nearside_tests::models;
use nearside_tests::network::NetworkHost;
use nearside_tests::provider::{Dialect, Provider, Scenario, WireFormat};
use nearside_tests::remote::{KEY, collect_answer, settings};
use serde_json::json;

use ErrorReason as R;

const REPO: &str = "org/repo";
const REFERENCE: &str = "hf:org/repo/model.gguf";
const TOKEN: &str = "hf_canary";

/// Plays all causes. Returns the expected reason and the error of each.
pub(crate) async fn play_all() -> Vec<(ErrorReason, Error)> {
    let mut played = hub_refusals().await;
    played.extend(transfers().await);
    played.push((R::LocalNetworkDenied, local_network().await));
    played.extend(providers().await);
    played.extend(this_device().await);
    played
}

/// The hub refuses: each status through `fit`.
async fn hub_refusals() -> Vec<(ErrorReason, Error)> {
    let refuse = |status: u16| Refusal::status(status);
    let cases = [
        (R::KeyMissing, None, None),
        (R::TermsNotAccepted, Some("hf_without_terms"), None),
        (R::KeyRejected, Some(TOKEN), Some(refuse(401))),
        (R::KeyForbidden, Some(TOKEN), Some(refuse(403))),
        (R::RateLimited, Some(TOKEN), Some(refuse(429).with("Retry-After", "7"))),
        (
            R::UnknownModel,
            Some(TOKEN),
            Some(refuse(404).with("X-Error-Code", "RepoNotFound")),
        ),
    ];
    let mut played = vec![];
    for (reason, token, refusal) in cases {
        let hub = hub();
        if let Some(refusal) = refusal {
            hub.add_fault(Fault::Refuse(HubHost::Hub, refusal));
        }
        let (nearside, _folder) = library(&hub.url());
        if let Some(token) = token {
            nearside.set_hub_token(Secret::new(token)).expect("a token");
        }
        let error = fit(&nearside).await;
        match reason {
            R::KeyMissing | R::TermsNotAccepted => {
                let page = format!("{}/{REPO}", hub.url());
                assert_eq!(
                    error.help_url(),
                    Some(page.as_str()),
                    "the page is on the hub that was asked"
                );
            }
            R::RateLimited => assert_eq!(error.retry_after_ms(), Some(7_000)),
            _ => assert_eq!(error.help_url(), None),
        }
        assert!(!format!("{error:?}").contains("hf_"), "{error:?}");
        played.push((reason, error));
    }
    played
}

/// Transfers that break, stall or bring the wrong bytes; a server that is not there or has no capacity.
async fn transfers() -> Vec<(ErrorReason, Error)> {
    let mut played = vec![];
    for (reason, fault, times) in [
        (R::Damaged, Fault::WrongByteAt(40_000), 1),
        (R::Interrupted, Fault::CutAfter(0), 20),
        (R::NoResponse, Fault::StallAfter(0), 20),
        (R::ProviderFault, Fault::WebPage, 1),
        (R::Overloaded, Fault::Refuse(HubHost::Hub, Refusal::status(503)), 20),
    ] {
        let hub = hub();
        for _ in 0..times {
            hub.add_fault(fault.clone());
        }
        let device = TestDevice::with_token(&hub, TOKEN);
        played.push((reason, device.download(REFERENCE).await.expect_err("a fault")));
    }
    let gone = {
        let hub = hub();
        hub.url()
    };
    let device = TestDevice::connect(&gone, None);
    played.push((R::Unreachable, device.download(REFERENCE).await.expect_err("no server")));

    let folder = tempfile::tempdir().expect("a folder");
    let config = Config {
        hub: Some(gone),
        ..Config::new(folder.path().to_string_lossy())
    };
    let nearside = Nearside::with_host(config, NetworkHost::new(Connectivity::Offline)).expect("it opens");
    played.push((R::Offline, fit(&nearside).await));
    let stream = nearside.download(reference());
    played.push((R::Offline, stream.next_batch().await.expect_err("offline")));
    played
}

/// A server in the local network, which the system lets the app not use.
async fn local_network() -> Error {
    let folder = tempfile::tempdir().expect("a folder");
    let nearside =
        Nearside::with_host(Config::new(folder.path().to_string_lossy()), Arc::new(ShutHost)).expect("it opens");
    let server = ProviderSettings {
        allow_http: true,
        model: Some("qwen3".to_owned()),
        ..settings(Dialect::Ollama, "http://192.168.7.9:11434")
    };
    nearside.add_provider(server).await.expect("set up");
    let request = ChatRequest {
        mode: RoutingMode::OnlyInCloud,
        ..hello()
    };
    let answer = collect_answer(&nearside.chat(request.clone())).await;
    let refused = answer.end.expect_err("it is not asked");

    // A name tells nothing; a server that is not reached may be there.
    let named = ProviderSettings {
        allow_http: true,
        model: Some("qwen3".to_owned()),
        ..settings(Dialect::Ollama, "http://nas.invalid:11434")
    };
    nearside.add_provider(named).await.expect("set up");
    let consented = RoutingPolicy {
        consent: ConsentPolicy::Given,
        allow_retention: true,
        allow_training: true,
        ..RoutingPolicy::default()
    };
    nearside.set_policy(consented).await.expect("kept");
    let unreached = collect_answer(&nearside.chat(request))
        .await
        .end
        .expect_err("no such server");
    assert_eq!(unreached.reason(), R::LocalNetworkDenied, "{unreached:?}");
    refused
}

/// A host whose user does not let the app use the local network.
#[derive(Debug)]
struct ShutHost;

impl Host for ShutHost {
    fn facts(&self) -> DeviceFacts {
        DeviceFacts {
            network: Connectivity::Unmetered,
            local_network_allowed: Some(false),
            ..DeviceFacts::default()
        }
    }
}

/// The policy and the request exclude a provider; it breaks off in the middle of an answer.
async fn providers() -> Vec<(ErrorReason, Error)> {
    let provider = Provider::start(Dialect::Groq);
    let (nearside, _folder) = library("http://127.0.0.1:9");
    let mut settings = settings(Dialect::Groq, &provider.url());
    settings.model = Some(Dialect::Groq.model().to_owned());
    nearside.add_provider(settings).await.expect("set up");
    let policy = RoutingPolicy {
        allow_retention: true,
        allow_training: true,
        consent: ConsentPolicy::Given,
        ..RoutingPolicy::default()
    };
    let cloud = ChatRequest {
        mode: RoutingMode::OnlyInCloud,
        ..hello()
    };
    let with_cap = |usd| ChatRequest {
        limits: RequestLimits {
            max_usd: Some(usd),
            ..RequestLimits::default()
        },
        ..cloud.clone()
    };
    let mut played = vec![];
    let ask = async |reason, policy: RoutingPolicy, request: ChatRequest| {
        nearside.set_policy(policy).await.expect("kept");
        let answer = collect_answer(&nearside.chat(request.clone())).await;
        let error = answer.end.expect_err("it is refused");
        if provider.chats().is_empty()
            && let Ok(RouteDecision::NoRoute { kind, reason, .. }) = nearside.route(request).await
        {
            assert_eq!(
                (kind, reason),
                (error.kind(), error.reason()),
                "a decision says what a chat ends with"
            );
        }
        (reason, error)
    };
    played.push(ask(R::KeyMissing, policy.clone(), cloud.clone()).await);
    nearside.set_key(Dialect::Groq.name(), Secret::new(KEY));
    let unasked = RoutingPolicy {
        consent: ConsentPolicy::Ask,
        ..policy.clone()
    };
    played.push(ask(R::ConsentRequired, unasked, cloud.clone()).await);
    let never = RoutingPolicy {
        never: vec![Dialect::Groq.name().to_owned()],
        ..policy.clone()
    };
    played.push(ask(R::PolicyForbids, never, cloud.clone()).await);
    played.push(ask(R::CostCap, policy.clone(), with_cap(1e-9)).await);
    assert!(provider.chats().is_empty(), "nothing was sent");
    provider.play(Scenario::Truncated {
        text: "The moon and".into(),
    });
    played.push(ask(R::Interrupted, policy.clone(), cloud.clone()).await);
    let refused = |status, code: &str| Scenario::Refused {
        status,
        body: json!({"error": {"code": code, "message": "no"}}),
        retry_after: None,
    };
    provider.play(refused(402, "payment_required"));
    played.push(ask(R::NoCredit, policy.clone(), cloud.clone()).await);
    provider.play(refused(400, "content_filter"));
    played.push(ask(R::ContentFiltered, policy.clone(), cloud.clone()).await);
    let mut hurried = cloud.clone();
    hurried.limits.deadline_ms = Some(300);
    provider.play(Scenario::Stall {
        text: "The".into(),
        provider: None,
    });
    played.push(ask(R::DeadlineExceeded, policy.clone(), hurried).await);
    provider.otherwise(refused(500, "internal_error"));
    for _ in 0..10 {
        let (_, error) = ask(R::CircuitOpen, policy.clone(), cloud.clone()).await;
        if error.reason() == R::CircuitOpen {
            played.push((R::CircuitOpen, error));
            break;
        }
    }
    played
}

/// Requests, files, and the library itself.
async fn this_device() -> Vec<(ErrorReason, Error)> {
    let (nearside, folder) = library("http://127.0.0.1:9");
    let chat = async |request| collect_answer(&nearside.chat(request)).await.end.expect_err("an error");
    let mut played = vec![
        (R::InvalidParameter, chat(ChatRequest::new(vec![])).await),
        (
            R::ModelNotInstalled,
            chat(ChatRequest {
                model: Some("missing".into()),
                ..hello()
            })
            .await,
        ),
    ];
    let path = |name: &str| folder.path().join(name).to_string_lossy().into_owned();
    std::fs::write(path("junk.gguf"), "this is no model").expect("a file");
    played.push((R::Damaged, nearside.import(path("junk.gguf")).await.expect_err("junk")));
    let mut other = b"GGUF".to_vec();
    other.extend_from_slice(&99_u32.to_le_bytes());
    other.resize(64, 0);
    std::fs::write(path("other.gguf"), other).expect("a file");
    played.push((
        R::Unsupported,
        nearside.import(path("other.gguf")).await.expect_err("a later format"),
    ));
    let below = Config::new(path("junk.gguf/below-a-file"));
    played.push((R::StorageFailed, Nearside::new(below).expect_err("no folder")));
    // The system refuses these even to root.
    let system = if cfg!(target_os = "linux") {
        "/sys/nearside"
    } else {
        "/System/nearside"
    };
    played.push((
        R::AccessDenied,
        Nearside::new(Config::new(system)).expect_err("not writable"),
    ));
    if cfg!(target_os = "linux") {
        let full = std::path::Path::new("/dev/full");
        let cause = std::fs::write(full, "x").expect_err("it is always full");
        played.push((R::DiskFull, Error::file(full, "write", &cause)));
    }

    let chats = nearside.conversations();
    played.push((R::NotFound, chats.open(77).await.expect_err("no such conversation")));
    played.push((R::NewerVersion, open_newer()));

    // Two answers in one conversation.
    let hub = hub_with_rate(200_000);
    let model = models::path("smollm2.gguf").to_string_lossy().into_owned();
    let chats = nearside.conversations();
    let id = chats.create(Default::default()).await.expect("a conversation").id;
    let request = ChatRequest {
        model: Some(model),
        ..hello()
    };
    let mut long = request.clone();
    long.messages = vec![ChatMessage::user("The tides come twice a day. ".repeat(500))];
    played.push((R::ContextExceeded, chat(long).await));
    let first = chats.send(id, request.clone());
    first.next_batch().await.expect("it starts");
    let second = collect_answer(&chats.send(id, request)).await;
    played.push((R::Busy, second.end.expect_err("an answer is active")));
    first.cancel();
    collect_answer(&first).await;

    // The library is closed in the middle of a download.
    let (closing, _other) = library(&hub.url());
    closing.set_hub_token(Secret::new(TOKEN)).expect("a token");
    let stream = closing.download(reference());
    stream.next_batch().await.expect("it is resolved");
    drop(closing);
    let closed = loop {
        match tokio::time::timeout(Duration::from_secs(30), stream.next_batch()).await {
            Ok(Ok(events)) => assert!(!events.is_empty(), "it ended without an error"),
            Ok(Err(error)) => break error,
            Err(_) => panic!("the stream does not end"),
        }
    };
    played.push((R::Closed, closed));

    let folder = tempfile::tempdir().expect("a folder");
    let small = Nearside::with_host(Config::new(folder.path().to_string_lossy()), Arc::new(SmallHost)).expect("open");
    let model = models::path("smollm2.gguf").to_string_lossy().into_owned();
    let request = ChatRequest {
        model: Some(model),
        ..hello()
    };
    let error = collect_answer(&small.chat(request)).await.end.expect_err("no memory");
    played.push((R::ModelTooLarge, error));

    let folder = tempfile::tempdir().expect("a folder");
    let broken = Nearside::with_host(Config::new(folder.path().to_string_lossy()), Arc::new(BrokenHost)).expect("open");
    let error = collect_answer(&broken.chat(hello()))
        .await
        .end
        .expect_err("the host fails");
    assert!(error.to_string().contains("no battery service"), "{error}");
    played.push((R::Bug, error));
    played
}

/// Opens a library whose state has the format of a later version: SQLite keeps it in bytes 60 to 63 of the file.
fn open_newer() -> Error {
    let (nearside, folder) = library("http://127.0.0.1:9");
    drop(nearside);
    let (file, log) = (folder.path().join("state.db"), folder.path().join("state.db-wal"));
    for _ in 0..500 {
        if !log.exists() {
            break;
        }
        std::thread::sleep(Duration::from_millis(10));
    }
    let mut bytes = std::fs::read(&file).expect("the state");
    bytes[60..64].copy_from_slice(&9_999_u32.to_be_bytes());
    std::fs::write(&file, bytes).expect("a later format");
    Nearside::new(Config::new(folder.path().to_string_lossy())).expect_err("a later version")
}

fn hello() -> ChatRequest {
    ChatRequest::new(vec![ChatMessage::user("Hello!")])
}

fn reference() -> ModelRef {
    ModelRef::parse(REFERENCE).expect("a reference")
}

async fn fit(nearside: &Nearside) -> Error {
    let fitted = nearside.fit(reference(), FitOptions::default()).await;
    fitted.expect_err("an error")
}

fn hub() -> Hub {
    hub_with_rate(u64::MAX)
}

fn hub_with_rate(bytes_per_second: u64) -> Hub {
    let builder = Hub::builder().file_as(REPO, "model.gguf", &models::path("smollm2.gguf"));
    let builder = builder.gated(REPO, TOKEN);
    match bytes_per_second {
        u64::MAX => builder.start(),
        rate => builder.rate(rate).start(),
    }
    .expect("a hub")
}

/// Opens a library without models.
fn library(hub: &str) -> (Nearside, tempfile::TempDir) {
    let folder = tempfile::tempdir().expect("a folder");
    let config = Config {
        hub: Some(hub.to_owned()),
        context: Some(512),
        ..Config::new(folder.path().to_string_lossy())
    };
    (Nearside::new(config).expect("the library opens"), folder)
}

/// A host that reports a megabyte of memory.
#[derive(Debug)]
struct SmallHost;

impl Host for SmallHost {
    fn facts(&self) -> DeviceFacts {
        DeviceFacts {
            memory_available: Some(1_000_000),
            ..DeviceFacts::default()
        }
    }
}

/// A host of an app that fails.
#[derive(Debug)]
struct BrokenHost;

impl Host for BrokenHost {
    fn facts(&self) -> DeviceFacts {
        panic!("no battery service")
    }
}
