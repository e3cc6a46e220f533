//! Compares the core with the bindings: every public function of the objects an app holds is declared in the bindings, and
//! those that stream have their short name in both hand-written halves. The samples use only the two packages' public
//! names, in one file each. Reads the sources, so it needs neither language.

use std::collections::BTreeSet;
use std::fs;
use std::path::{Path, PathBuf};

/// The objects an app holds.
const OBJECTS: [&str; 2] = ["Nearside", "Conversations"];

/// Functions that return a stream. In the generated bindings they start with `start_`; the hand-written halves restore
/// the name.
const STREAMS: [&str; 9] = [
    "adjustments",
    "chat",
    "continue_remotely",
    "download",
    "load",
    "send",
    "edit",
    "regenerate",
    "resume",
];

fn root() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("..")
}

/// Returns the public functions of `impl OBJECT {` in a source.
fn methods(source: &str, object: &str) -> BTreeSet<String> {
    let mut found = BTreeSet::new();
    for block in source.split(&format!("\nimpl {object} {{\n")).skip(1) {
        let block = block.split("\n}\n").next().unwrap_or_default();
        // `scripted` and similar ones are for tests and behind a feature in both.
        for line in block.lines() {
            let declared = line
                .strip_prefix("    pub ")
                .map(|rest| rest.trim_start_matches("async "));
            if let Some(rest) = declared.and_then(|rest| rest.strip_prefix("fn ")) {
                found.insert(rest.split(['(', '<']).next().unwrap_or_default().to_owned());
            }
        }
    }
    found
}

/// Converts `start_chat` to camel case.
fn camel(name: &str) -> String {
    let mut parts = name.split('_');
    let mut camel = parts.next().unwrap_or_default().to_owned();
    for part in parts {
        let (first, rest) = part.split_at(1);
        camel.push_str(&first.to_uppercase());
        camel.push_str(rest);
    }
    camel
}

/// Returns every source with this extension below a folder.
fn sources(folder: &str, ending: &str) -> Vec<(PathBuf, String)> {
    let mut found = Vec::new();
    let mut folders = vec![root().join(folder)];
    while let Some(folder) = folders.pop() {
        let entries = fs::read_dir(&folder).unwrap_or_else(|cause| panic!("{}: {cause}", folder.display()));
        for entry in entries {
            let path = entry.expect("it can be listed").path();
            let name = path.file_name().unwrap_or_default().to_string_lossy().into_owned();
            if path.is_dir() && !name.starts_with('.') && !name.ends_with("Generated") && name != "build" {
                folders.push(path);
            } else if name.ends_with(ending) {
                let text = fs::read_to_string(&path).expect("sources are text");
                found.push((path, text));
            }
        }
    }
    found
}

#[test]
fn every_public_function_of_the_core_is_in_swift_and_in_kotlin() {
    let mut missing = Vec::new();
    let kotlin: String = sources("bindings/kotlin/src/main", ".kt")
        .into_iter()
        .map(|(_, text)| text)
        .collect();
    let swift: String = sources("bindings/swift/Sources/NearsideKit", ".swift")
        .into_iter()
        .map(|(_, text)| text)
        .collect();
    let mut counted = 0;
    let (core, bindings) = (sources("core/src/nearside", ".rs"), sources("bindings/src", ".rs"));
    let all_methods = |sources: &[(PathBuf, String)], object| -> BTreeSet<String> {
        sources.iter().flat_map(|(_, text)| methods(text, object)).collect()
    };
    for object in OBJECTS {
        let declared = all_methods(&bindings, object);
        for name in all_methods(&core, object) {
            // Behind the feature `testing`; the bindings have what apps need of them.
            if ["scripted", "database_calls", "open_for_tests"].contains(&name.as_str()) {
                continue;
            }
            counted += 1;
            let started = format!("start_{name}");
            if !declared.contains(&name) && !declared.contains(&started) {
                missing.push(format!("{object}::{name} is not in the bindings"));
            }
        }
        for name in declared.iter().filter_map(|name| name.strip_prefix("start_")) {
            assert!(
                STREAMS.contains(&name),
                "`start_{name}`: is it a stream? then name it here"
            );
            let short = camel(name);
            if !kotlin.contains(&format!("fun {object}.{short}(")) {
                missing.push(format!("Kotlin has no {object}.{short}"));
            }
            if !swift.contains(&format!("public func {short}(")) {
                missing.push(format!("Swift has no {object}.{short}"));
            }
        }
    }
    assert!(counted >= 45, "only {counted} functions found: is the search broken?");
    assert!(missing.is_empty(), "{missing:#?}");
}

/// What apps' tests use is in every build. Without its name in the script that patches the generated code it would be public in
/// every app.
#[test]
fn what_is_for_the_tests_of_apps_is_hidden_from_apps_in_both_languages() {
    let script = fs::read_to_string(root().join("scripts/patch-bindings.py")).expect("the script is there");
    let (kotlin, swift) = script.split_once("TEST_ONLY = (").expect("it has a list for Swift");
    let mut names = BTreeSet::new();
    for (_, text) in sources("bindings/src/testing", ".rs") {
        for line in text.lines() {
            let declared = ["pub(crate) fn ", "pub struct ", "pub enum "]
                .iter()
                .find_map(|start| line.strip_prefix(start));
            let name = declared.and_then(|rest| rest.split(|c: char| !c.is_alphanumeric() && c != '_').next());
            names.extend(name.filter(|name| !["app_setup"].contains(name)).map(camel));
        }
    }
    assert!(names.len() >= 14, "only {names:?} found: is the search broken?");
    // The list for Swift has the common beginning of types once.
    let in_swift =
        |name: &str| swift.contains(name) || name.strip_prefix("Test").is_some_and(|rest| swift.contains(rest));
    let missing: Vec<_> = names
        .iter()
        .filter(|name| !kotlin.contains(name.as_str()) || !in_swift(name))
        .collect();
    assert!(
        missing.is_empty(),
        "scripts/patch-bindings.py does not name {missing:?}"
    );
}

/// The files of each sample that call the library and map its types and errors, and the one that opens it on a phone.
const IOS_CALLERS: [&str; 3] = ["NearsideBrain.swift", "NearsideErrors.swift", "NearsideTypes.swift"];
const ANDROID_CALLERS: [&str; 4] = [
    "NearsideBrain.kt",
    "NearsideErrors.kt",
    "NearsideTypes.kt",
    "AndroidBrain.kt",
];

#[test]
fn the_samples_speak_to_the_library_in_few_files_and_use_only_what_is_public() {
    let mut wrong = Vec::new();
    let name = |path: &Path| path.file_name().unwrap_or_default().to_string_lossy().into_owned();
    let mut speakers = 0;
    for (path, text) in sources("ios-sample/Sources", ".swift") {
        let imports = text
            .lines()
            .map(str::trim)
            .filter_map(|line| line.strip_prefix("import Nearside"));
        for rest in imports {
            let known = IOS_CALLERS.contains(&name(&path).as_str());
            speakers += 1;
            // `NearsideFFI` is internal to the package.
            if rest != "Kit" || !known {
                wrong.push(format!("{}: import Nearside{rest}", path.display()));
            }
        }
        if text.contains("@testable") || text.contains("NearsideFFI") {
            wrong.push(format!("{}: what is not public", path.display()));
        }
    }
    for folder in [
        "android-sample/src/main",
        "android-sample/src/android",
        "android-sample/src/desktop",
    ] {
        for (path, text) in sources(folder, ".kt") {
            let imports = text
                .lines()
                .filter_map(|line| line.strip_prefix("import org.nearside."));
            let foreign: Vec<_> = imports.filter(|rest| !rest.starts_with("sample.")).collect();
            let known = ANDROID_CALLERS.contains(&name(&path).as_str());
            speakers += usize::from(!foreign.is_empty());
            if !foreign.is_empty() && !known {
                wrong.push(format!("{}: {foreign:?}", path.display()));
            }
            // UniFFI's own helpers are public by accident.
            if foreign
                .iter()
                .any(|rest| rest.starts_with("Uniffi") || rest.starts_with("FfiConverter"))
            {
                wrong.push(format!("{}: {foreign:?}", path.display()));
            }
        }
    }
    assert!(
        speakers >= 2,
        "neither sample speaks to the library: is the search broken?"
    );
    assert!(wrong.is_empty(), "{wrong:#?}");
}

#[test]
fn a_method_is_found_in_its_object_only() {
    let source = "\nimpl A {\n    pub fn one(&self) {}\n    pub async fn two<T>(&self) {}\n    fn three() {}\n}\n\nimpl B {\n    pub fn four() {}\n}\n";
    assert_eq!(methods(source, "A").into_iter().collect::<Vec<_>>(), ["one", "two"]);
    assert_eq!(camel("continue_remotely"), "continueRemotely");
}
