//! Shortens the history of a conversation to the context of the target that is asked. Pure: the caller counts the tokens,
//! exactly where it has the tokenizer, else by an estimate.
//!
//! Whole turns are omitted, oldest first, in steps of half the available space: the prompt then keeps the same start for
//! many turns, and the KV cache and a provider's prompt cache stay valid. System prompts at the start and the last turns
//! are kept: if they alone are too long, the target rejects them and names the sizes.

use std::ops::Range;

use super::message::{ChatMessage, MessageRole};

/// Tokens available for the prompt in a context of this size. The rest is left for the answer: its limit, or a quarter,
/// and at most half.
pub(crate) fn prompt_space(context: u32, max_tokens: Option<u32>) -> u64 {
    let context = u64::from(context);
    let answer = max_tokens.map_or(context / 4, u64::from).min(context / 2);
    context - answer
}

/// Returns the messages that may be omitted: all turns but the last `kept_turns`, without system prompts at the start.
pub(crate) fn omittable(messages: &[ChatMessage], kept_turns: u32) -> Range<usize> {
    let start = messages
        .iter()
        .take_while(|message| message.role == MessageRole::System)
        .count();
    let turns = messages.iter().enumerate().rev();
    let mut starts = turns.filter(|(at, message)| *at > start && message.role == MessageRole::User);
    let end = starts.nth(kept_turns.max(1) as usize - 1);
    start..end.map_or(start, |(at, _)| at)
}

/// Returns the oldest messages to omit from a prompt of `needed` tokens, so that `available` hold the rest. `count`
/// returns the tokens of one message.
pub(crate) fn omit(
    messages: &[ChatMessage],
    kept_turns: u32,
    needed: u64,
    available: u64,
    count: impl Fn(&ChatMessage) -> u64,
) -> Range<usize> {
    let step = (available / 2).max(1);
    let excess = needed.saturating_sub(available).div_ceil(step) * step;
    let whole = omittable(messages, kept_turns);
    let mut omitted = whole.start..whole.start;
    let mut tokens = 0;
    while tokens < excess && omitted.end < whole.end {
        let turn = next_turn(messages, omitted.end, whole.end);
        tokens += messages[omitted.end..turn].iter().map(&count).sum::<u64>();
        omitted.end = turn;
    }
    omitted
}

/// Returns the end of the turn that starts at `start`.
pub(crate) fn next_turn(messages: &[ChatMessage], start: usize, end: usize) -> usize {
    let next = (start + 1..end).find(|at| messages[*at].role == MessageRole::User);
    next.unwrap_or(end)
}

/// Copies the messages without the omitted ones.
pub(crate) fn without(messages: &[ChatMessage], omitted: &Range<usize>) -> Vec<ChatMessage> {
    let (before, after) = (&messages[..omitted.start], &messages[omitted.end..]);
    before.iter().chain(after).cloned().collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn turns(count: usize) -> Vec<ChatMessage> {
        let turn = |n| {
            [
                ChatMessage::user(format!("q{n}")),
                ChatMessage::assistant(format!("a{n}")),
            ]
        };
        let mut messages = vec![ChatMessage::system("be brief")];
        messages.extend((0..count).flat_map(turn));
        messages.push(ChatMessage::user("last"));
        messages
    }

    #[test]
    fn whole_turns_are_omitted_oldest_first_and_the_system_prompt_and_the_last_turn_stay() {
        let messages = turns(10);
        let omitted = omit(&messages, 1, 220, 100, |_| 10);
        // 120 too many: three steps of 50 are 150, eight turns of 20.
        assert_eq!(omitted, 1..17);
        let rest = without(&messages, &omitted);
        assert_eq!(rest.first(), messages.first());
        assert_eq!(rest[1], ChatMessage::user("q8"));
        assert_eq!(rest.last(), messages.last());
        assert!(omit(&messages, 1, 100, 100, |_| 10).is_empty());
        assert_eq!(omit(&messages, 1, u64::from(u32::MAX), 1, |_| 10), 1..21);
    }

    #[test]
    fn the_omitted_part_stays_the_same_for_many_turns() {
        let mut ends = Vec::new();
        for count in 5..60 {
            let messages = turns(count);
            let needed = messages.len() as u64 * 10;
            ends.push(omit(&messages, 1, needed, 200, |_| 10).end);
        }
        let changes = ends.windows(2).filter(|pair| pair[0] != pair[1]).count();
        assert!(ends.is_sorted() && changes <= 12, "{ends:?}");
    }

    #[test]
    fn what_continues_an_answer_keeps_its_question() {
        let mut messages = turns(3);
        messages.push(ChatMessage::assistant("half an"));
        messages.push(ChatMessage::user("go on"));
        assert_eq!(omittable(&messages, 2), 1..7);
        assert_eq!(omittable(&messages[..1], 1), 1..1);
        assert_eq!(omittable(&[ChatMessage::user("only")], 1), 0..0);
        assert_eq!(omittable(&[], 1), 0..0);
    }
}
