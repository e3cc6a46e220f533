//! The routing table: each row of `route_table/table.txt` describes a situation and the decision: target, deciding rule,
//! fallbacks, and skipped candidates by rule. A row fails if anything differs, also if it omits a candidate.
//!
//! The file explains its notation. A run reports every failing row by its line.

#[path = "route_table/read.rs"]
mod read;

use std::collections::BTreeMap;

use nearside::chat::{Route, RouteRule, RouteTarget, SkippedTarget};
use nearside::route::{RouteDecision, choose};

use read::{Row, Situation};

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
    // A row of the table is one decision: no target was tried yet.
    for rule in RouteRule::ALL
        .into_iter()
        .filter(|rule| *rule != RouteRule::PreviousFailed)
    {
        let skips = rows.iter().any(|row| row.skipped.contains(&format!("{rule}:")));
        assert!(skips || rule == RouteRule::NoCandidates, "{rule} rejects no candidate");
        let decides = rows.iter().any(|row| row.rule == rule.id());
        assert!(decides, "{rule} decides nothing");
    }
}

/// Returns the differences between a row and the decision, if there are any.
fn mismatch(row: &Row) -> Option<String> {
    let Situation {
        needs, facts, policy, ..
    } = &row.situation;
    let decision = choose(needs, facts, policy);
    let (found, texts) = columns(&row.situation, &decision);
    let wanted = [&row.outcome, &row.rule, &row.then, &row.skipped];
    let names = ["outcome", "rule", "then", "skipped"];
    let differ: Vec<_> = names
        .iter()
        .zip(wanted.into_iter().zip(&found))
        .filter(|(_, (wanted, found))| wanted != found)
        .map(|(name, (wanted, found))| format!("{name} is `{found}`, not `{wanted}`"))
        .chain((!texts.contains(&row.says)).then(|| format!("`{}` does not occur in:\n{texts}", row.says)))
        .collect();
    (!differ.is_empty()).then(|| format!("line {}: {}: {}", row.line, row.when, differ.join("; ")))
}

/// Formats a decision as a row, and joins its texts.
fn columns(situation: &Situation, decision: &RouteDecision) -> ([String; 4], String) {
    let of_route = |word: &str, route: &Route| {
        [
            format!("{word} {}", situation.name_of(&route.target)),
            route.rule.to_string(),
            list(route.then.iter().map(|target| situation.name_of(target))),
            by_rule(situation, &route.skipped),
        ]
    };
    let (found, skipped, mut texts) = match decision {
        RouteDecision::Route { route } => (of_route("go", route), &route.skipped, vec![&route.reason]),
        RouteDecision::NeedsConsent { question } => {
            assert_eq!(
                question.target, question.route.target,
                "the consent request names its route"
            );
            let texts = vec![&question.text, &question.reason];
            (of_route("ask", &question.route), &question.route.skipped, texts)
        }
        RouteDecision::NoRoute {
            rule,
            kind,
            detail,
            skipped,
            ..
        } => {
            let kind = serde_json::to_value(kind).unwrap();
            let outcome = format!("no {}", kind.as_str().unwrap());
            (
                [outcome, rule.to_string(), "-".into(), by_rule(situation, skipped)],
                skipped,
                vec![detail],
            )
        }
    };
    texts.extend(skipped.iter().map(|skipped| &skipped.reason));
    let texts = texts.into_iter().map(|text| format!("{text}\n")).collect();
    (found, texts)
}

/// Formats as `able: a b; fits: c`, with sorted names per rule.
fn by_rule(situation: &Situation, skipped: &[SkippedTarget]) -> String {
    let mut rules = BTreeMap::<&str, Vec<String>>::new();
    for SkippedTarget { target, rule, .. } in skipped {
        rules.entry(rule.id()).or_default().push(situation.name_of(target));
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

impl Situation {
    fn name_of(&self, target: &RouteTarget) -> String {
        let found = self.names.iter().find(|(_, named)| *named == target);
        found.map_or_else(|| format!("<{target}>"), |(name, _)| name.clone())
    }
}
