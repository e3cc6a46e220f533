//! Every reason of an error: what a person is told, and a true cause that leads to it.
//!
//! `table.txt` is the readable table: the reason, its usual kind, and the sentences of both samples. It is generated; with
//! `NEARSIDE_WRITE_TABLE=1` the test writes it instead of comparing it.

mod causes;
mod table;

use std::collections::BTreeSet;
use std::path::Path;

use nearside::ErrorReason;

#[tokio::test]
async fn every_reason_is_reached_by_its_true_cause() {
    let mut reached = BTreeSet::new();
    let mut wrong = vec![];
    for (expected, error) in causes::play_all().await {
        reached.insert(expected);
        if error.reason() != expected {
            wrong.push(format!("{} expected: {error:?}", expected.id()));
        }
    }
    assert!(wrong.is_empty(), "{wrong:#?}");
    let all: BTreeSet<_> = ErrorReason::ALL.iter().copied().collect();
    assert_eq!(reached, all);
}

#[test]
fn the_table_of_reasons_is_what_both_samples_show() {
    let file = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/error_reasons/table.txt");
    let written = table::render();
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
