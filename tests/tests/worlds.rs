//! Routing in worlds of life's size, through the public API with real sockets and a real model: a provider that lists
//! 400 models, one that lists them and then fails, one whose list hangs, an Ollama server with embedding and cloud
//! models, a phone with little memory left.
//!
//! In each world all modes and sensitivities are asked, under the default policy and under an open one. The outcomes are
//! compared with `worlds/outcomes.txt`, which is for reading; a mismatch prints the whole table as it should be written.
//! What must not be sent is also counted at the servers themselves.

#[path = "worlds/scenery.rs"]
mod scenery;

use nearside::chat::{ChatRequest, Chunk, RouteTarget, RoutingMode, Sensitivity};
use nearside::route::RoutingPolicy;
use nearside::{ErrorReason, Nearside};
use nearside_tests::device::open_policy;
use nearside_tests::provider::{Dialect, Provider};
use nearside_tests::remote::{collect_answer, question};

use scenery::{MODES, SENSITIVITIES, World, short};

const OUTCOMES: &str = include_str!("worlds/outcomes.txt");

#[tokio::test]
async fn every_world_ends_as_the_table_says() {
    let mut table = String::new();
    for world in World::all().await {
        table += &format!("\n{}: {}\n", world.name, world.about);
        for (name, policy) in [("default", RoutingPolicy::default()), ("open", open_policy())] {
            world.nearside.set_policy(policy).await.expect("kept");
            for sensitivity in SENSITIVITIES {
                for mode in MODES {
                    world.begin().await;
                    let outcome = world.outcome(mode, sensitivity).await;
                    table += &format!(
                        "  {name:7} {:9} {:14} {outcome}\n",
                        scenery::word(&sensitivity),
                        scenery::word(&mode)
                    );
                    if sensitivity == Sensitivity::Sensitive || mode == RoutingMode::OnlyOnDevice {
                        assert_eq!(world.requests(), 0, "{}: {outcome}", world.name);
                    }
                }
            }
        }
    }
    let body = |text: &str| {
        text.lines()
            .filter(|line| !line.starts_with('#'))
            .map(str::trim_end)
            .collect::<Vec<_>>()
            .join("\n")
    };
    assert!(body(OUTCOMES).trim() == table.trim(), "the table should be:\n{table}");
}

#[tokio::test]
async fn no_cloud_model_of_an_own_server_is_sent_anything_unasked() {
    let ollama = || {
        Provider::builder(Dialect::Ollama)
            .forwarded("mine:latest")
            .model("glm-5:cloud")
    };
    for model in [
        "gpt-oss:120b-cloud",
        "glm-5:cloud",
        "GLM-5:Cloud",
        "library/glm-5:cloud",
        "deepseek-v3.1:671b-cloud",
        "mine:latest",
        "mine",
        "MINE:Latest",
        "library/mine",
    ] {
        // Listed or not, with a list or without one, named or the default of the settings.
        let listed = match model.to_lowercase().contains("mine") {
            true => ollama(),
            false => ollama().model(model),
        };
        let listed = listed.start().expect("a port");
        let unlisted = Provider::builder(Dialect::Ollama).start().expect("a port");
        for (case, provider) in [("listed", &listed), ("unlisted", &unlisted)] {
            // The server has no such model: nothing can be forwarded.
            let is_alias = model.to_lowercase().contains("mine");
            if !is_alias || case == "listed" {
                refuses_to_forward(case, provider, model, true).await;
            }
        }
    }
    for model in ["glm-5:cloud", "mine:latest"] {
        let hanging = ollama().list_hangs().start().expect("a port");
        refuses_to_forward("no list", &hanging, model, false).await;
    }
}

/// Asks for the model by name, and with it as the default: it is refused or asked about, and never sent anything.
async fn refuses_to_forward(case: &str, provider: &Provider, model: &str, has_list: bool) {
    for default in [false, true] {
        let world = World::with("ollama", "", &[provider], default.then_some(model)).await;
        if has_list {
            let listed = world.nearside.provider_models("ollama".into()).await;
            assert!(!listed.expect("a list").is_empty());
        }
        for sensitivity in SENSITIVITIES {
            let request = ChatRequest {
                provider: (!default).then(|| "ollama".to_owned()),
                model: (!default).then(|| model.to_owned()),
                mode: RoutingMode::OnlyInCloud,
                sensitivity,
                ..question()
            };
            let answer = collect_answer(&world.nearside.chat(request)).await;
            let sent = provider.chats();
            let forwarded = sent.iter().find(|body| {
                let name = body["model"].as_str().unwrap_or_default().to_lowercase();
                name.contains("cloud") || name.contains("mine")
            });
            assert!(
                forwarded.is_none(),
                "{model} {case} {default} {sensitivity:?}: {forwarded:?}"
            );
            let refusals = [
                ErrorReason::PolicyForbids,
                ErrorReason::ConsentRequired,
                ErrorReason::Unreachable,
                ErrorReason::NoResponse,
                ErrorReason::UnknownModel,
            ];
            match &answer.end {
                // With a forwarded model as the default, another of the server's own may answer.
                Ok(_) => assert!(default, "{model} {case} {sensitivity:?}"),
                Err(error) => assert!(refusals.contains(&error.reason()), "{model} {case}: {error}"),
            }
        }
    }
}

#[tokio::test]
async fn among_400_models_the_route_and_the_receipt_stay_small() {
    let provider = Provider::builder(Dialect::OpenRouter)
        .many_models(400)
        .start()
        .expect("a port");
    let world = World::with("one of 400", "", &[&provider], None).await;
    world.nearside.set_policy(open_policy()).await.expect("kept");
    world
        .nearside
        .provider_models("openrouter".into())
        .await
        .expect("a list");
    let stream = world
        .nearside
        .chat(short(RoutingMode::PreferInCloud, Sensitivity::Public));
    let mut sizes = vec![];
    while let Ok(batch) = stream.next_batch().await {
        if batch.is_empty() {
            break;
        }
        for chunk in batch {
            match chunk {
                Chunk::Started { route } => {
                    assert!(route.skipped.len() <= 8 && !route.skipped_more.is_empty());
                    sizes.push(serde_json::to_string(&route).expect("json").len());
                }
                Chunk::Done { summary } => sizes.push(serde_json::to_string(&summary.receipt).expect("json").len()),
                _ => {}
            }
        }
    }
    println!("started {} bytes, receipt {} bytes", sizes[0], sizes[1]);
    assert!(sizes.len() == 2 && sizes.iter().all(|size| *size < 3_000), "{sizes:?}");
    // The whole list is there on request.
    let decision = world
        .nearside
        .route(short(RoutingMode::PreferInCloud, Sensitivity::Public))
        .await;
    let nearside::route::RouteDecision::Route { route } = decision.expect("a decision") else {
        panic!("no route");
    };
    assert!(route.skipped.len() > 390);
}

#[tokio::test]
async fn a_failing_provider_with_many_models_leaves_the_answer_to_the_device() {
    let provider = Provider::builder(Dialect::OpenRouter)
        .many_models(400)
        .start()
        .expect("a port");
    let world = World::with("gone", "", &[&provider], None).await;
    world.nearside.set_policy(open_policy()).await.expect("kept");
    world
        .nearside
        .provider_models("openrouter".into())
        .await
        .expect("a list");
    warm(&world.nearside).await;
    drop(provider);
    let begun = std::time::Instant::now();
    let answer = collect_answer(
        &world
            .nearside
            .chat(short(RoutingMode::PreferInCloud, Sensitivity::Public)),
    )
    .await;
    let summary = answer.done();
    println!("answered after {:?}", begun.elapsed());
    assert!(matches!(summary.receipt.target, RouteTarget::Local { .. }));
    let failed: Vec<_> = summary
        .receipt
        .skipped
        .iter()
        .filter(|one| one.rule == nearside::chat::RouteRule::PreviousFailed)
        .collect();
    assert_eq!(failed.len(), 1, "one model of it was tried: {failed:?}");
    assert!(failed[0].reason.contains("cannot be reached"), "{}", failed[0].reason);
}

async fn warm(nearside: &Nearside) {
    let here = short(RoutingMode::OnlyOnDevice, Sensitivity::Public);
    collect_answer(&nearside.chat(here)).await.done();
}
