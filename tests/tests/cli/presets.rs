//! `nearside presets`: the names, and the values for a model.

use super::program::{Program, smollm2};

#[test]
fn presets_are_listed_by_name_with_their_values() {
    let program = Program::new();
    let listing = program.run(["presets", "--json"]).object();
    let presets = listing["presets"].as_array().expect("a list");
    let values: Vec<_> = presets
        .iter()
        .map(|preset| {
            (
                preset["preset"].as_str().expect("a name"),
                preset["temperature"].as_f64(),
            )
        })
        .collect();
    assert_eq!(
        values.iter().map(|(name, _)| *name).collect::<Vec<_>>(),
        ["precise", "balanced", "creative"]
    );
    assert_eq!(values[0].1, Some(0.0));
    assert!(values[1].1 < values[2].1, "{values:?}");
    for preset in presets {
        assert!(
            preset["description"].as_str().is_some_and(|text| !text.is_empty()),
            "{preset}"
        );
        assert!(
            preset["reason"].as_str().is_some_and(|text| !text.is_empty()),
            "{preset}"
        );
    }
    let table = program.run(["presets"]).out;
    let help = program.run(["chat", "--help"]).out;
    for (name, _) in values {
        assert!(table.lines().any(|line| line.starts_with(name)), "{table}");
        assert!(help.contains(&format!("- {name}:")), "{help}");
    }
}

#[test]
fn presets_of_a_model_are_those_that_its_vendor_or_file_recommends() {
    let (program, id) = Program::with_model();
    let anywhere = program.run(["presets", "deepseek/deepseek-r1", "--provider", "openrouter", "--json"]);
    let precise = &anywhere.object()["presets"][0];
    assert_eq!(precise["temperature"], 0.5);
    assert!(
        precise["reason"].as_str().is_some_and(|text| text.contains("vendor")),
        "{precise}"
    );
    let (by_id, by_path) = (
        program.run(["presets", &id, "--json"]),
        program.run(["presets", &smollm2(), "--json"]),
    );
    assert_eq!(by_id.object(), by_path.object());
    assert_eq!(by_id.object()["presets"][0]["temperature"], 0.0);

    let missing = program.run(["presets", "nobody"]);
    assert!(missing.error().0.contains("`nobody`"), "{missing:?}");
    let unknown = program.run(["presets", "a-model", "--provider", "nobody"]);
    assert!(unknown.error().0.contains("`nobody`"), "{unknown:?}");
    let nameless = program.run(["presets", "--provider", "groq"]);
    assert_eq!((nameless.code, nameless.out.as_str()), (Some(2), ""), "{nameless:?}");
    let empty = program.run(["presets", ""]);
    assert_eq!(empty.code, Some(1), "{empty:?}");
}
