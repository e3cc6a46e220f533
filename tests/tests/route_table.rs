//! The routing table: each row of `route_table/table.txt` says who answers in some situation, by which rule, who comes
//! then and who is skipped by which rule. All of it must be so, and nothing more: a candidate that a row does not mention
//! fails it.
//!
//! The file explains its own notation. Every row that fails is told by its line, so that one run shows them all.

#[path = "route_table/read.rs"]
mod read;

use std::collections::BTreeMap;

use nearside::chat::{Route, Skipped, Target};
use nearside::route::{Decision, choose};

use read::{Row, Scene};

const TABLE: &str = include_str!("route_table/table.txt");

#[test]
fn every_row_of_the_table_is_decided_as_it_says() {
    let rows = read::rows(TABLE);
    let wrong: Vec<_> = rows.iter().filter_map(mismatch).collect();
    println!("{} rows, {} wrong", rows.len(), wrong.len());
    assert!(wrong.is_empty(), "\n{}", wrong.join("\n"));
    assert!(rows.len() >= 300, "{} rows", rows.len());
}

#[test]
fn every_rule_decides_and_skips_in_some_row() {
    let rows = read::rows(TABLE);
    for rule in [
        "asked",
        "stay-here",
        "mode",
        "able",
        "allowed",
        "reachable",
        "affordable",
        "fits",
        "preferred",
    ] {
        assert!(
            rows.iter().any(|row| row.skipped.contains(&format!("{rule}:"))),
            "{rule} skips nobody"
        );
    }
    for rule in [
        "asked",
        "stay-here",
        "mode",
        "able",
        "allowed",
        "reachable",
        "affordable",
        "fits",
        "preferred",
        "candidates",
    ] {
        assert!(rows.iter().any(|row| row.rule == rule), "{rule} decides nothing");
    }
}

/// What is wrong with a row; nothing where all is as it says.
fn mismatch(row: &Row) -> Option<String> {
    let Scene {
        needs, facts, policy, ..
    } = &row.scene;
    let decision = choose(needs, facts, policy);
    let (found, texts) = columns(&row.scene, &decision);
    let wanted = [&row.outcome, &row.rule, &row.then, &row.skipped];
    let names = ["outcome", "rule", "then", "skipped"];
    let differ: Vec<_> = names
        .iter()
        .zip(wanted.into_iter().zip(&found))
        .filter(|(_, (wanted, found))| wanted != found)
        .map(|(name, (wanted, found))| format!("{name} is `{found}`, not `{wanted}`"))
        .chain((!texts.contains(&row.says)).then(|| format!("`{}` is not said in:\n{texts}", row.says)))
        .collect();
    (!differ.is_empty()).then(|| format!("line {}: {}: {}", row.line, row.when, differ.join("; ")))
}

/// A decision as the table writes it, and everything that it says.
fn columns(scene: &Scene, decision: &Decision) -> ([String; 4], String) {
    let of_route = |word: &str, route: &Route| {
        [
            format!("{word} {}", scene.name_of(&route.target)),
            route.rule.clone(),
            list(route.then.iter().map(|target| scene.name_of(target))),
            by_rule(scene, &route.skipped),
        ]
    };
    let (found, skipped, mut texts) = match decision {
        Decision::Go { route } => (of_route("go", route), &route.skipped, vec![&route.reason]),
        Decision::Ask { question } => {
            assert_eq!(
                question.target, question.route.target,
                "the question is about its route"
            );
            let texts = vec![&question.text, &question.reason];
            (of_route("ask", &question.route), &question.route.skipped, texts)
        }
        Decision::Nowhere {
            rule,
            kind,
            detail,
            skipped,
        } => {
            let kind = serde_json::to_value(kind).unwrap();
            let outcome = format!("no {}", kind.as_str().unwrap());
            (
                [outcome, rule.clone(), "-".into(), by_rule(scene, skipped)],
                skipped,
                vec![detail],
            )
        }
    };
    texts.extend(skipped.iter().map(|skipped| &skipped.reason));
    let texts = texts.into_iter().map(|text| format!("{text}\n")).collect();
    (found, texts)
}

/// `able: a b; fits: c`, the names of each rule sorted.
fn by_rule(scene: &Scene, skipped: &[Skipped]) -> String {
    let mut rules = BTreeMap::<&str, Vec<String>>::new();
    for Skipped { target, rule, .. } in skipped {
        rules.entry(rule).or_default().push(scene.name_of(target));
    }
    let groups: Vec<_> = rules
        .into_iter()
        .map(|(rule, mut names)| {
            names.sort();
            format!("{rule}: {}", names.join(" "))
        })
        .collect();
    read::sorted_groups(&groups.join("; "))
}

fn list(names: impl Iterator<Item = String>) -> String {
    let names: Vec<_> = names.collect();
    if names.is_empty() {
        "-".to_owned()
    } else {
        names.join(" ")
    }
}

impl Scene {
    fn name_of(&self, target: &Target) -> String {
        let found = self.names.iter().find(|(_, named)| *named == target);
        found.map_or_else(|| format!("<{target}>"), |(name, _)| name.clone())
    }
}
