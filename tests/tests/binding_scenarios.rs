//! Compares the names of the Kotlin and the Swift tests, so that no scenario is missing in one language. Reads the sources,
//! so it needs neither language.

use std::collections::BTreeSet;
use std::fs;
use std::path::Path;

#[test]
fn kotlin_and_swift_play_the_same_scenarios() {
    let kotlin = scenarios("kotlin/src/test", "kt", "fun ");
    let swift = scenarios("swift/Tests", "swift", "func ");
    assert!(
        kotlin.len() >= 15,
        "only {} scenarios found: is the search broken?",
        kotlin.len()
    );

    let missing: Vec<_> = kotlin.symmetric_difference(&swift).collect();
    assert!(missing.is_empty(), "in one language only: {missing:?}");
}

/// Returns the names of the `@Test` functions in all files below this folder of `bindings/`.
fn scenarios(folder: &str, extension: &str, keyword: &str) -> BTreeSet<String> {
    let mut found = BTreeSet::new();
    let mut folders = vec![Path::new(env!("CARGO_MANIFEST_DIR")).join("../bindings").join(folder)];
    while let Some(folder) = folders.pop() {
        for entry in fs::read_dir(&folder).expect("the folder of tests is there") {
            let path = entry.expect("it can be listed").path();
            if path.is_dir() {
                folders.push(path);
            } else if path.extension().is_some_and(|found| found == extension) {
                found.extend(names(&fs::read_to_string(&path).expect("sources are text"), keyword));
            }
        }
    }
    found
}

/// Finds the function name after each `@Test`, skipping other attributes between them.
fn names(source: &str, keyword: &str) -> Vec<String> {
    let name = |after: &str| {
        let declared = after.split_once(keyword).expect("a function follows `@Test`").1;
        declared.split('(').next().unwrap_or_default().to_owned()
    };
    source.split("@Test").skip(1).map(name).collect()
}

#[test]
fn a_name_is_found_behind_the_annotation_on_its_own_line_or_the_same() {
    assert_eq!(names("@Test\n    fun aName() = scenario {", "fun "), ["aName"]);
    assert_eq!(
        names("@Test(.timeLimit(.minutes(1))) func aName() {", "func "),
        ["aName"]
    );
    assert!(names("fun notATest() {}", "fun ").is_empty());
}
