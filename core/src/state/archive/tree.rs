//! Inserts turns into the message tree of a conversation, and tracks its selected branch.

use std::collections::{HashMap, HashSet};

use rusqlite::{OptionalExtension, Transaction, params};

use super::nodes::{Node, branch, nodes};
use super::{AnswerDraft, Archive, MAX_PREVIEW_CHARS, TxError, json, key, reading, summary, unknown};
use crate::chat::{
    ChatMessage, ContentPart, ConversationSettings, ImageBytes, MessageRole, MessageState, RouteTarget, Sensitivity,
    StopReason, StoredMessage, excerpt, prompt_history, prompt_messages, tool_loop_target,
};
use crate::error::{Error, Result};

/// A change to a conversation that requests an answer.
#[derive(Debug, Clone)]
pub enum Turn {
    /// New messages, after the end of the selected branch.
    Next(Vec<ChatMessage>),
    /// A new version of a user message.
    Edit {
        /// Id of the user message.
        message: u64,
        /// The new messages.
        with: Vec<ChatMessage>,
    },
    /// A new version of an answer.
    Regenerate {
        /// Id of the answer.
        message: u64,
    },
    /// Continues the last answer.
    Resume,
}

/// An inserted answer that is not generated yet.
#[derive(Debug, Clone)]
pub struct PendingAnswer {
    /// Its id.
    pub answer: u64,
    /// Prompt messages: the branch before it and the new messages, without the system prompt of `settings`.
    pub history: Vec<ChatMessage>,
    /// Its content so far, if it is resumed.
    pub progress: AnswerDraft,
    /// Whether it is resumed and was broken off: the model did not end it.
    pub is_broken_off: bool,
    /// Settings of the conversation.
    pub settings: ConversationSettings,
    /// The target of the tool loop that the new messages continue.
    pub tool_target: Option<RouteTarget>,
    /// The strictest sensitivity of the messages before the answer: it holds for every request that has them.
    pub sensitivity: Sensitivity,
}

impl Archive {
    /// Inserts the messages of a turn with their sensitivity, and an empty answer after them; for `Resume`, reopens the last
    /// answer.
    ///
    /// # Errors
    /// `InvalidRequest` if there is no such conversation or message, or nothing to resume; `Storage`, `Busy`.
    pub fn begin(&self, conversation: u64, turn: &Turn, sensitivity: Sensitivity) -> Result<PendingAnswer> {
        let now = self.now_ms();
        self.0.try_write(|file| {
            let id = key(conversation)?;
            let settings = summary(file, id)?.settings;
            let nodes = nodes(file, id)?;
            if let Turn::Resume = turn {
                let pending = last_answer(file, id, &branch(&nodes), settings)?;
                file.execute("UPDATE message SET state = NULL WHERE id = ?1", [key(pending.answer)?])?;
                return Ok(pending);
            }
            let (before, new) = resolve_turn(file, &nodes, turn)?;
            let mut path = ancestry(&nodes, before);
            select_branch(file, id, &nodes, &path)?;
            let mut last = before;
            for message in new {
                let next = insert(file, id, last, message, Some((&end_of(message), sensitivity)), now)?;
                path.push(next);
                last = Some(next);
            }
            let stored = reading::messages(file, &path)?;
            let tool_target = tool_loop_target(&stored, last_parts(&stored));
            let history = prompt_messages(&stored);
            if history.is_empty() {
                return Err(Error::invalid_request("the request has no messages; a chat needs at least one").into());
            }
            let answer = insert(
                file,
                id,
                last,
                &ChatMessage {
                    role: MessageRole::Assistant,
                    parts: vec![],
                },
                None,
                now,
            )?;
            path.push(answer);
            refresh_summary(file, id, &path, now)?;
            Ok(PendingAnswer {
                sensitivity: strictest(file, id, &path)?,
                answer: answer.unsigned_abs(),
                history,
                progress: AnswerDraft::default(),
                is_broken_off: false,
                settings,
                tool_target,
            })
        })
    }

    /// Returns the answer that [`Self::begin`] would begin for this turn, without storing anything: its id is 0, unless it is
    /// resumed.
    ///
    /// # Errors
    /// As [`Self::begin`].
    pub fn preview(&self, conversation: u64, turn: &Turn) -> Result<PendingAnswer> {
        self.0.try_read(|file| {
            let id = key(conversation)?;
            let settings = summary(file, id)?.settings;
            let nodes = nodes(file, id)?;
            if let Turn::Resume = turn {
                return last_answer(file, id, &branch(&nodes), settings);
            }
            let (before, new) = resolve_turn(file, &nodes, turn)?;
            let path = ancestry(&nodes, before);
            let stored = reading::messages(file, &path)?;
            let last = new.last().map_or(last_parts(&stored), |message| &message.parts[..]);
            let tool_target = tool_loop_target(&stored, last);
            let history = prompt_history(&stored, new);
            Ok(PendingAnswer {
                sensitivity: strictest(file, id, &path)?,
                answer: 0,
                history,
                progress: AnswerDraft::default(),
                is_broken_off: false,
                tool_target,
                settings,
            })
        })
    }

    /// Selects the branch that goes through this message.
    ///
    /// # Errors
    /// `InvalidRequest` if there is none of that id; `Storage`, `Busy`.
    pub fn select_version(&self, conversation: u64, message: u64) -> Result<()> {
        let now = self.now_ms();
        self.0.try_write(|file| {
            let (id, message) = (key(conversation)?, key(message)?);
            let before = nodes(file, id)?;
            if !before.iter().any(|node| node.id == message) {
                return Err(unknown(message.unsigned_abs()).into());
            }
            select_branch(file, id, &before, &ancestry(&before, Some(message)))?;
            refresh_summary(file, id, &branch(&nodes(file, id)?), now)
        })
    }
}

/// Resolves a turn to the parent of its first message and the messages to insert. Fails for an unknown message.
fn resolve_turn<'a>(
    file: &Transaction<'_>,
    nodes: &[Node],
    turn: &'a Turn,
) -> Result<(Option<i64>, &'a [ChatMessage]), TxError> {
    let (message, role, new): (u64, MessageRole, &[ChatMessage]) = match turn {
        Turn::Next(new) => return Ok((branch(nodes).last().copied(), new)),
        Turn::Edit { message, with } => (*message, MessageRole::User, with),
        Turn::Regenerate { message } => (*message, MessageRole::Assistant, &[]),
        Turn::Resume => return Err(Error::internal("a resumed answer is not inserted").into()),
    };
    let at = key(message)?;
    let node = nodes
        .iter()
        .find(|node| node.id == at)
        .ok_or_else(|| unknown(message))?;
    let stored: Vec<StoredMessage> = reading::messages(file, &[node.id])?;
    match stored.first() {
        Some(stored) if stored.role == role => Ok((node.before, new)),
        _ => Err(Error::invalid_request(match role {
            MessageRole::User => "only a user message can be edited; regenerate an answer instead",
            _ => "only an answer can be regenerated; edit a user message instead",
        })
        .into()),
    }
}

/// Returns the last answer as one to be continued.
fn last_answer(
    file: &Transaction<'_>,
    conversation: i64,
    path: &[i64],
    settings: ConversationSettings,
) -> Result<PendingAnswer, TxError> {
    let nothing = || Error::invalid_request("there is no answer to resume; send a message");
    let mut messages = reading::messages(file, path)?;
    let last = messages
        .pop()
        .filter(|last| last.role == MessageRole::Assistant)
        .ok_or_else(nothing)?;
    Ok(PendingAnswer {
        sensitivity: strictest(file, conversation, path)?,
        answer: last.id,
        tool_target: tool_loop_target(&messages, last_parts(&messages)),
        history: prompt_messages(&messages),
        is_broken_off: is_broken_off(&last.state),
        progress: AnswerDraft {
            text: last.text,
            reasoning: last.reasoning,
            reasoning_ms: last.reasoning_ms,
            parts: last.parts,
            citations: last.citations,
            omitted_messages: last.omitted_messages,
        },
        settings,
    })
}

/// Returns whether the model did not end an answer in this state itself.
fn is_broken_off(state: &MessageState) -> bool {
    let MessageState::Done { stop } = state else {
        return true;
    };
    matches!(
        stop,
        StopReason::MaxTokens | StopReason::ContextFull | StopReason::Cancelled
    )
}

/// Returns the strictest sensitivity of the messages on this path. Those of earlier releases have none, and do not count.
fn strictest(file: &Transaction<'_>, conversation: i64, path: &[i64]) -> Result<Sensitivity, TxError> {
    let stored: Vec<(i64, String)> = file
        .prepare_cached("SELECT id, sensitivity FROM message WHERE conversation = ?1 AND sensitivity IS NOT NULL")?
        .query_map([conversation], |row| Ok((row.get(0)?, row.get(1)?)))?
        .collect::<rusqlite::Result<_>>()?;
    let path: HashSet<i64> = path.iter().copied().collect();
    // What a newer release wrote and this one cannot read counts as the strictest.
    let read = |text: &String| serde_json::from_str(text).unwrap_or(Sensitivity::Sensitive);
    Ok(stored
        .iter()
        .filter(|(id, _)| path.contains(id))
        .map(|(_, text)| read(text))
        .max()
        .unwrap_or(Sensitivity::Public))
}

/// Returns the state of a message that the app puts in: complete, whatever its role.
fn end_of(message: &ChatMessage) -> MessageState {
    let is_call = |part: &ContentPart| matches!(part, ContentPart::ToolCall { .. });
    let calls = message.role == MessageRole::Assistant && message.parts.iter().any(is_call);
    let stop = if calls { StopReason::ToolCall } else { StopReason::End };
    MessageState::Done { stop }
}

/// Inserts a message and selects it among its siblings. Without state and sensitivity it is an answer that is still
/// generated.
fn insert(
    file: &Transaction<'_>,
    conversation: i64,
    before: Option<i64>,
    message: &ChatMessage,
    state: Option<(&MessageState, Sensitivity)>,
    now: i64,
) -> Result<i64, TxError> {
    file.prepare_cached("UPDATE message SET shown = 0 WHERE conversation = ?1 AND before IS ?2 AND shown = 1")?
        .execute(params![conversation, before])?;
    let (mut text, mut reasoning) = (String::new(), String::new());
    let (mut parts, mut pictures) = (Vec::new(), Vec::new());
    for part in &message.parts {
        match part {
            ContentPart::Text { text: more } => join(&mut text, more),
            ContentPart::Reasoning { text: more } => join(&mut reasoning, more),
            ContentPart::Image { media_type, data } => {
                pictures.push(data.as_ref());
                parts.push(ContentPart::Image {
                    media_type: media_type.clone(),
                    data: ImageBytes::default(),
                });
            }
            other => parts.push(other.clone()),
        }
    }
    let (state, sensitivity) = state.unzip();
    let (state, sensitivity) = (
        state.map(json).transpose()?,
        sensitivity.as_ref().map(json).transpose()?,
    );
    file.prepare_cached(
        "INSERT INTO message (conversation, before, shown, role, text, reasoning, parts, created_at, state,
                              sensitivity)
         VALUES (?1, ?2, 1, ?3, ?4, ?5, ?6, ?7, ?8, ?9)",
    )?
    .execute(params![
        conversation,
        before,
        json(&message.role)?,
        text,
        reasoning,
        json(&parts)?,
        now,
        state,
        sensitivity
    ])?;
    let id = file.last_insert_rowid();
    for (index, data) in (0_i64..).zip(pictures) {
        file.prepare_cached("INSERT INTO picture (message, place, data) VALUES (?1, ?2, ?3)")?
            .execute(params![id, index, data])?;
    }
    Ok(id)
}

/// Updates the summary row (title, preview, count) from the selected branch.
fn refresh_summary(file: &Transaction<'_>, conversation: i64, path: &[i64], now: i64) -> Result<(), TxError> {
    let text = |id: Option<&i64>| -> rusqlite::Result<String> {
        let Some(id) = id else { return Ok(String::new()) };
        let found = file
            .prepare_cached("SELECT text FROM message WHERE id = ?1")?
            .query_row([id], |row| row.get(0))
            .optional()?;
        Ok(found.unwrap_or_default())
    };
    let mut preview = String::new();
    for id in path.iter().rev() {
        preview = excerpt(&text(Some(id))?, MAX_PREVIEW_CHARS);
        if !preview.is_empty() {
            break;
        }
    }
    let opening = excerpt(&text(path.first())?, MAX_OPENING_CHARS);
    file.prepare_cached(
        "UPDATE conversation SET messages = ?2, preview = ?3, opening = ?4, updated_at = ?5 WHERE id = ?1",
    )?
    .execute(params![conversation, path.len() as i64, preview, opening, now])?;
    Ok(())
}

/// Returns the ids from the first message to this one.
fn ancestry(nodes: &[Node], last: Option<i64>) -> Vec<i64> {
    let mut before: HashMap<i64, Option<i64>> = nodes.iter().map(|node| (node.id, node.before)).collect();
    let mut path = Vec::new();
    let mut at = last;
    while let Some(id) = at {
        path.push(id);
        at = before.remove(&id).flatten();
    }
    path.reverse();
    path
}

/// Selects these nodes among their siblings.
fn select_branch(file: &Transaction<'_>, conversation: i64, nodes: &[Node], path: &[i64]) -> Result<(), TxError> {
    let path: HashSet<i64> = path.iter().copied().collect();
    for node in nodes.iter().filter(|node| !node.shown && path.contains(&node.id)) {
        file.prepare_cached("UPDATE message SET shown = (id = ?3) WHERE conversation = ?1 AND before IS ?2")?
            .execute(params![conversation, node.before, node.id])?;
    }
    Ok(())
}

fn last_parts(messages: &[StoredMessage]) -> &[ContentPart] {
    messages.last().map_or(&[], |message| &message.parts)
}

fn join(text: &mut String, more: &str) {
    if !text.is_empty() {
        text.push_str("\n\n");
    }
    text.push_str(more);
}

/// Maximum characters of a generated title.
const MAX_OPENING_CHARS: usize = 60;
