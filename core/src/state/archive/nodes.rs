//! The message tree of a conversation as rows: which message follows which, and which branch is selected.

use std::collections::HashMap;

use rusqlite::Transaction;

/// A message in the tree.
#[derive(Debug, Clone, Copy)]
pub(super) struct Node {
    pub(super) id: i64,
    pub(super) before: Option<i64>,
    pub(super) shown: bool,
}

pub(super) fn nodes(file: &Transaction<'_>, conversation: i64) -> rusqlite::Result<Vec<Node>> {
    file.prepare_cached("SELECT id, before, shown FROM message WHERE conversation = ?1 ORDER BY id")?
        .query_map([conversation], |row| {
            Ok(Node {
                id: row.get(0)?,
                before: row.get(1)?,
                shown: row.get(2)?,
            })
        })?
        .collect()
}

/// Returns the ids of the selected branch, oldest first.
pub(super) fn branch(nodes: &[Node]) -> Vec<i64> {
    let mut next: HashMap<Option<i64>, Node> = HashMap::with_capacity(nodes.len());
    for node in nodes {
        let selected = next.entry(node.before).or_insert(*node);
        // Of siblings the selected one, or else the newest.
        if node.shown || !selected.shown {
            *selected = *node;
        }
    }
    let mut path = Vec::with_capacity(next.len());
    let mut at = None;
    // Removes each node, so that a cycle in a damaged tree ends, too.
    while let Some(node) = next.remove(&at) {
        path.push(node.id);
        at = Some(node.id);
    }
    path
}
