//! Reads the sentences of the samples and renders the table.

use std::collections::BTreeMap;
use std::fmt::Write as _;
use std::fs;
use std::path::Path;
use std::sync::LazyLock;

use nearside::ErrorReason;
use serde_json::Value;

/// Renders the table, one reason a paragraph, with the library's text of one cause each.
pub(crate) fn render(texts: &BTreeMap<ErrorReason, String>) -> String {
    let mut table = HEAD.to_owned();
    for reason in ErrorReason::ALL {
        let kind = serde_json::to_value(reason.usual_kind()).expect("json");
        let kind = kind.as_str().expect("a text").to_owned();
        let (english, russian) = (android(*reason, "en"), android(*reason, "ru"));
        write!(table, "\n{} ({kind})\n  en  {english}\n  ru  {russian}\n", reason.id()).expect("a text");
        writeln!(table, "  own {}", texts[reason]).expect("a text");
    }
    table
}

/// Returns a text whose numbers and paths do not depend on the run.
pub(crate) fn without_figures(text: &str) -> String {
    let quoted = text.split('`').enumerate().map(|(number, part)| match part {
        path if number % 2 == 1 && path.starts_with('/') => "PATH",
        part => part,
    });
    let text = quoted.collect::<Vec<_>>().join("`");
    let mut plain = String::new();
    for character in text.chars() {
        match character {
            '0'..='9' if plain.ends_with('9') => {}
            '0'..='9' => plain.push('9'),
            other => plain.push(other),
        }
    }
    plain
}

/// Returns a word that no person should read: a flag, a command, an identifier.
pub(crate) fn technical_word(text: &str) -> Option<&str> {
    let is_technical = |word: &&str| {
        let word = word.trim_matches(|character: char| !character.is_alphanumeric() && character != '-');
        let inner = word.trim_matches('-');
        word.starts_with("--") || inner.contains('_') || inner.contains("::") || inner == "nearside"
    };
    text.split_whitespace().find(is_technical)
}

/// Returns the sentence that the iOS sample shows.
pub(crate) fn ios(reason: ErrorReason, language: &str) -> String {
    let text = &CATALOGUE["strings"][key(reason)]["localizations"][language]["stringUnit"]["value"];
    text.as_str()
        .unwrap_or_else(|| panic!("no {language} text for {}", reason.id()))
        .to_owned()
}

/// Returns the sentence that the Android sample shows.
pub(crate) fn android(reason: ErrorReason, language: &str) -> String {
    let file = format!("android-sample/src/main/resources/strings/{language}.properties");
    let texts = fs::read_to_string(root(&file)).expect("the texts");
    let start = format!("{}=", key(reason));
    let line = texts.lines().find_map(|line| line.strip_prefix(&start));
    line.unwrap_or_else(|| panic!("no {language} text for {}", reason.id()))
        .to_owned()
}

/// Returns the key of the sentence in both samples: `failureKeyMissing`.
fn key(reason: ErrorReason) -> String {
    format!("failure{reason:?}")
}

fn root(path: &str) -> std::path::PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("..").join(path)
}

static CATALOGUE: LazyLock<Value> = LazyLock::new(|| {
    let text = fs::read_to_string(root("ios-sample/App/Localizable.xcstrings")).expect("the catalogue");
    serde_json::from_str(&text).expect("it is JSON")
});

const HEAD: &str = "\
# The reasons of errors: id, usual kind, the sentence that both samples show in English and Russian, and the library's
# own text of one cause (a 9 stands for a number). Generated from the code and the samples:
# tests/tests/error_reasons/main.rs.
";
