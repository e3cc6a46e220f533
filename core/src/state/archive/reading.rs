//! Loads conversations.

use std::collections::HashMap;

use rusqlite::{Transaction, params};

use super::nodes::{Node, branch, nodes};
use super::{AnswerOutcome, Archive, TxError, key, summary};
use crate::chat::{ContentPart, Conversation, MessageRole, MessageState, StoredMessage};
use crate::error::{Error, ErrorReason, Result};

impl Archive {
    /// Returns the selected branch. An answer without a state is [`MessageState::Interrupted`]; the caller corrects
    /// it if the answer is still active.
    ///
    /// # Errors
    /// `InvalidRequest` if there is none of that id; `Storage`.
    pub fn load_conversation(&self, conversation: u64) -> Result<Conversation> {
        self.0.try_read(|file| {
            let id = key(conversation)?;
            let summary = summary(file, id)?;
            let nodes = nodes(file, id)?;
            let mut messages = messages(file, &branch(&nodes))?;
            let versions = versions(&nodes);
            for message in &mut messages {
                let own = || vec![message.id];
                message.versions = versions.get(&message.id).cloned().unwrap_or_else(own);
            }
            Ok(Conversation { summary, messages })
        })
    }
}

/// Returns these messages, in this order, without their versions.
pub(super) fn messages(file: &Transaction<'_>, path: &[i64]) -> Result<Vec<StoredMessage>, TxError> {
    let mut statement = file.prepare_cached(
        "SELECT id, role, text, reasoning, reasoning_ms, parts, citations, created_at, state, told, left_out
         FROM message WHERE id = ?1",
    )?;
    let mut found = Vec::with_capacity(path.len());
    for id in path {
        let row = statement.query_row([id], |row| {
            Ok((
                StoredMessage {
                    id: row.get::<_, i64>(0)?.unsigned_abs(),
                    role: MessageRole::User,
                    text: row.get(2)?,
                    reasoning: row.get(3)?,
                    reasoning_ms: row.get::<_, i64>(4)?.unsigned_abs(),
                    parts: vec![],
                    citations: vec![],
                    created_at_ms: row.get::<_, i64>(7)?.unsigned_abs(),
                    state: MessageState::Interrupted,
                    receipt: None,
                    usage: None,
                    timings: None,
                    omitted_messages: row.get(10)?,
                    versions: vec![],
                },
                row.get::<_, String>(1)?,
                row.get::<_, String>(5)?,
                row.get::<_, String>(6)?,
                row.get::<_, Option<String>>(8)?,
                row.get::<_, Option<String>>(9)?,
            ))
        });
        let (mut message, role, parts, citations, state, outcome) = row?;
        message.role = parse_stored(&role)?;
        message.parts = parse_stored(&parts)?;
        message.citations = parse_stored(&citations)?;
        if let Some(state) = state {
            message.state = parse_stored(&state)?;
        }
        // A receipt of a newer library may be unreadable here; the message stays readable without it.
        if let Some(AnswerOutcome {
            receipt,
            usage,
            timings,
        }) = outcome.and_then(|outcome| serde_json::from_str(&outcome).ok())
        {
            (message.receipt, message.usage, message.timings) = (Some(receipt), Some(usage), Some(timings));
        }
        pictures(file, *id, &mut message.parts)?;
        found.push(message);
    }
    Ok(found)
}

/// Loads the bytes of images into their parts.
fn pictures(file: &Transaction<'_>, message: i64, parts: &mut [ContentPart]) -> Result<(), TxError> {
    let mut index = 0_i64;
    for part in parts {
        if let ContentPart::Image { data, .. } = part {
            *data = file
                .prepare_cached("SELECT data FROM picture WHERE message = ?1 AND place = ?2")?
                .query_row(params![message, index], |row| row.get::<_, Vec<u8>>(0))?
                .into();
            index += 1;
        }
    }
    Ok(())
}

/// Returns the versions of each message that has more than one.
fn versions(nodes: &[Node]) -> HashMap<u64, Vec<u64>> {
    let mut siblings: HashMap<Option<i64>, Vec<u64>> = HashMap::with_capacity(nodes.len());
    for node in nodes {
        siblings.entry(node.before).or_default().push(node.id.unsigned_abs());
    }
    let several = siblings.into_values().filter(|ids| ids.len() > 1);
    several
        .flat_map(|ids| ids.clone().into_iter().map(move |id| (id, ids.clone())))
        .collect()
}

fn parse_stored<T: serde::de::DeserializeOwned>(text: &str) -> Result<T, TxError> {
    serde_json::from_str(text).map_err(|_| {
        Error::storage("a message was written by a newer version of this library, or is damaged; update the app")
            .because(ErrorReason::NewerVersion)
            .into()
    })
}
