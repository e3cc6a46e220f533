//! Tools and models on this device: a model whose chat template shows it no tools is rejected before it is loaded.

use nearside::chat::{ChatMessage, ChatRequest, RouteRule, RouteTarget, RoutingMode, ToolDefinition};
use nearside::route::RouteDecision;
use nearside::{Config, ErrorKind, Nearside};
use nearside_tests::tiny_models::{self, TinyShape};

fn tides() -> ChatRequest {
    let mut request = ChatRequest::new(vec![ChatMessage::user("When is high tide?")]);
    request.mode = RoutingMode::OnlyOnDevice;
    request.tools = vec![ToolDefinition {
        name: "tides".into(),
        description: "The tides.".into(),
        parameters: "{\"type\":\"object\"}".into(),
    }];
    request
}

fn local(model: &str) -> RouteTarget {
    RouteTarget::Local { model: model.into() }
}

async fn install(nearside: &Nearside, name: &str, bytes: Vec<u8>) -> String {
    let folder = tempfile::tempdir().expect("a folder");
    let path = folder.path().join(name);
    std::fs::write(&path, bytes).expect("a file");
    let model = nearside.import(path.to_string_lossy().into_owned()).await;
    model.expect("imported").id
}

#[tokio::test]
async fn a_model_without_a_place_for_tools_in_its_template_is_told_beforehand() {
    let folder = tempfile::tempdir().expect("a folder");
    let nearside = Nearside::new(Config::new(folder.path().to_string_lossy())).expect("the library opens");
    let plain = install(
        &nearside,
        "plain.gguf",
        tiny_models::runnable(TinyShape::SlidingWindow, None),
    )
    .await;
    let alone = nearside.route(tides()).await.expect("a decision");
    let RouteDecision::NoRoute { rule, kind, .. } = alone else {
        panic!("{alone:?}")
    };
    assert_eq!((rule, kind), (RouteRule::Capability, ErrorKind::Unsupported));
    let error = nearside.chat(tides()).next_batch().await.expect_err("no model can");
    assert!(error.to_string().contains("tools"), "{error}");

    let able = install(&nearside, "able.gguf", tiny_models::with_tools()).await;
    let decision = nearside.route(tides()).await.expect("a decision");
    let RouteDecision::Route { route } = decision else {
        panic!("{decision:?}")
    };
    assert_eq!(route.target, local(&able));
    let skipped = route.skipped.iter().find(|skipped| skipped.target == local(&plain));
    let skipped = skipped.expect("it is named");
    assert_eq!(skipped.rule, RouteRule::Capability);
    assert!(skipped.reason.contains("tools"), "{}", skipped.reason);

    // Without tools both can answer.
    let mut without = tides();
    without.tools.clear();
    let decision = nearside.route(without).await.expect("a decision");
    let RouteDecision::Route { route } = decision else {
        panic!("{decision:?}")
    };
    assert!(
        route
            .skipped
            .iter()
            .all(|skipped| skipped.rule != RouteRule::Capability),
        "{route:?}"
    );
}
