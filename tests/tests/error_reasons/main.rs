//! Every reason of an error: what a person is told, and a true cause that leads to it.
//!
//! `table.txt` is the readable table: the reason, its usual kind, the sentences of both samples, and the library's text of
//! one true cause. It is generated; with
//! `NEARSIDE_WRITE_TABLE=1` the test writes it instead of comparing it.

mod causes;
mod table;

use std::collections::{BTreeMap, BTreeSet};
use std::path::Path;

use nearside::ErrorReason;

#[tokio::test]
async fn every_reason_is_reached_by_its_true_cause_and_the_table_is_what_both_samples_show() {
    let (mut texts, mut wrong) = (BTreeMap::new(), vec![]);
    for (expected, error) in causes::play_all().await {
        if error.reason() != expected {
            wrong.push(format!("{} expected: {error:?}", expected.id()));
        }
        let text = table::without_figures(&error.to_string());
        if let Some(word) = table::technical_word(&text) {
            wrong.push(format!("{} says `{word}`: {text}", expected.id()));
        }
        texts.entry(expected).or_insert(text);
    }
    assert!(wrong.is_empty(), "{wrong:#?}");
    let reached: Vec<_> = ErrorReason::ALL
        .iter()
        .filter(|reason| texts.contains_key(reason))
        .collect();
    assert_eq!(reached.len(), ErrorReason::ALL.len(), "{reached:?}");

    let file = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/error_reasons/table.txt");
    let written = table::render(&texts);
    if std::env::var_os("NEARSIDE_WRITE_TABLE").is_some() {
        std::fs::write(&file, &written).expect("the table is written");
    }
    let kept = std::fs::read_to_string(&file).unwrap_or_default();
    assert!(
        kept == written,
        "table.txt is not up to date: run this test with NEARSIDE_WRITE_TABLE=1"
    );
}

#[test]
fn the_samples_have_the_same_sentences_and_each_is_one_of_its_own() {
    for language in ["en", "ru"] {
        let mut seen = BTreeSet::new();
        for reason in ErrorReason::ALL {
            let (ios, android) = (table::ios(*reason, language), table::android(*reason, language));
            assert_eq!(ios, android, "{}", reason.id());
            assert!(seen.insert(android), "two reasons have the sentence of {}", reason.id());
        }
    }
}
