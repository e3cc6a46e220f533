//! Shortens the history of a conversation to the context of the target that is asked. Pure: the caller counts the tokens,
//! exactly where it has the tokenizer, else by an estimate.
//!
//! Whole turns are omitted, oldest first, in steps: the prompt then keeps the same start for many turns, and the KV cache
//! and a provider's prompt cache stay valid. System prompts at the start and the last turns are kept: if they alone are
//! too long, the target rejects them and names the sizes.
//!
//! Two counts are kept apart. Whether a part fits is decided by the tokens of that part alone, summed from the newest turn
//! backwards: an error of the count grows with the prompt, never with the conversation. Where to cut is decided by sizes
//! summed from the start of the conversation, which neither a new turn nor another target changes.
//!
//! The prompt holds at least half of the available space, or not one more turn fits.

use std::ops::Range;

use super::message::{ChatMessage, ContentPart, MessageRole};

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

/// Returns the oldest messages to omit, so that `available` tokens hold the rest. `needed` is called for each turn that may
/// be kept, from the newest backwards: it adds the messages of that range to the part that is kept, and returns the tokens
/// of that part with all that is never omitted. It is called until that exceeds `available`.
///
/// # Errors
/// The first one of `needed`.
pub(crate) fn omit<E>(
    messages: &[ChatMessage],
    kept_turns: u32,
    available: u64,
    mut needed: impl FnMut(Range<usize>) -> Result<u64, E>,
) -> Result<Range<usize>, E> {
    let whole = omittable(messages, kept_turns);
    let mut cuts = vec![Cut {
        at: whole.end,
        needed: 0,
    }];
    for turn in turns(messages, &whole).into_iter().rev() {
        let at = turn.start;
        let needed = needed(turn)?;
        if needed > available {
            return Ok(whole.start..stable_cut(messages, whole.start, &cuts, available));
        }
        cuts.push(Cut { at, needed });
    }
    Ok(whole.start..whole.start)
}

/// A place where the prompt may start: the tokens from it on are not too many.
struct Cut {
    at: usize,
    needed: u64,
}

/// Returns where the prompt starts: the first of these cuts at or behind a multiple of the step. The step is halved until
/// half of the available space is used; the last of the cuts keeps all that fits.
fn stable_cut(messages: &[ChatMessage], start: usize, cuts: &[Cut], available: u64) -> usize {
    let (mut at, mut position) = (start, 0);
    // Oldest first.
    let positions = cuts.iter().rev().map(|cut| {
        position += messages[at..cut.at].iter().map(size_of).sum::<u64>();
        at = cut.at;
        (position, cut)
    });
    let positions: Vec<_> = positions.collect();
    let oldest = positions.first().map_or(0, |(position, _)| *position);
    let mut step = available * STEP_EIGHTHS / 8;
    while step > 1 {
        let multiple = oldest.div_ceil(step) * step;
        let next = positions.iter().find(|(position, _)| *position >= multiple);
        if let Some((_, cut)) = next.filter(|(_, cut)| cut.needed >= available / 2) {
            return cut.at;
        }
        step /= 2;
    }
    cuts.last().map_or(start, |cut| cut.at)
}

/// Returns the size of a message, about as its tokens in English.
fn size_of(message: &ChatMessage) -> u64 {
    let parts = message.parts.iter().map(|part| match part {
        ContentPart::Image { .. } => IMAGE_BYTES,
        ContentPart::Text { text } | ContentPart::Reasoning { text } => text.len() as u64,
        ContentPart::ToolCall { name, arguments, .. } => (name.len() + arguments.len()) as u64,
        ContentPart::ToolResult { name, content, .. } => (name.len() + content.len()) as u64,
    });
    (MESSAGE_BYTES + parts.sum::<u64>()) / BYTES_PER_TOKEN
}

/// Returns the turns of these messages.
fn turns(messages: &[ChatMessage], whole: &Range<usize>) -> Vec<Range<usize>> {
    let mut turns = Vec::new();
    let mut start = whole.start;
    while start < whole.end {
        let end = next_turn(messages, start, whole.end);
        turns.push(start..end);
        start = end;
    }
    turns
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

/// Size of a step in eighths of the available space: one step leaves half of it used, even if the target counts a third
/// more tokens than the sizes say.
const STEP_EIGHTHS: u64 = 3;
const BYTES_PER_TOKEN: u64 = 4;
/// Size of the text that templates put around a message.
const MESSAGE_BYTES: u64 = 20;
/// Size that an image counts as.
const IMAGE_BYTES: u64 = 3_000;

#[cfg(test)]
mod tests {
    use std::convert::Infallible;

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

    /// Omits with a count of `tokens` for each message and `fixed` for the system prompt, the last turn and the template.
    fn omit_by(
        messages: &[ChatMessage],
        available: u64,
        fixed: u64,
        tokens: impl Fn(&ChatMessage) -> u64,
    ) -> Range<usize> {
        let mut sum = fixed;
        let omitted = omit(messages, 1, available, |turn| {
            sum += messages[turn].iter().map(&tokens).sum::<u64>();
            Ok::<_, Infallible>(sum)
        });
        omitted.unwrap_or_else(|error| match error {})
    }

    #[test]
    fn whole_turns_are_omitted_oldest_first_and_the_system_prompt_and_the_last_turn_stay() {
        let messages = turns(10);
        let omitted = omit_by(&messages, 100, 20, |_| 10);
        assert!(omitted.start == 1 && omitted.end % 2 == 1, "{omitted:?}");
        let kept = 20 + 10 * (21 - omitted.end as u64);
        assert!((50..=100).contains(&kept), "{omitted:?}");
        let rest = without(&messages, &omitted);
        assert_eq!((rest.first(), rest.last()), (messages.first(), messages.last()));
        assert_eq!(rest[1].role, MessageRole::User);
        assert!(omit_by(&messages, 220, 20, |_| 10).is_empty());
        assert_eq!(omit_by(&messages, 1, 20, |_| 10), 1..21);
        assert_eq!(omit_by(&messages, 0, 20, |_| 10), 1..21);
    }

    #[test]
    fn whatever_the_length_and_the_count_half_of_the_space_is_used_or_not_one_more_turn_fits() {
        let uneven = |message: &ChatMessage| match message.parts.first() {
            Some(ContentPart::Text { text }) => 7 + text.len() as u64 * 31 % 97,
            _ => 0,
        };
        let counts: [&dyn Fn(&ChatMessage) -> u64; 5] = [&|_| 3, &|_| 9, &|_| 40, &|_| 700, &uneven];
        for count in [20, 100, 200, 400, 1_000, 5_000] {
            let messages = long_turns(count);
            for available in [200, 1_023, 8_092] {
                for tokens in counts {
                    let omitted = omit_by(&messages, available, 60, tokens);
                    let kept = |from: usize| 60 + messages[from..2 * count].iter().map(tokens).sum::<u64>();
                    let needed = kept(omitted.end);
                    let at = format!("{count} turns, {available} available: {omitted:?}, {needed}");
                    assert!(needed <= available || omitted.end == 2 * count, "{at}");
                    let one_more = omitted.end.checked_sub(2).map_or(u64::MAX, kept);
                    assert!(
                        omitted.is_empty() || needed >= available / 2 || one_more > available,
                        "{at}"
                    );
                }
            }
        }
    }

    #[test]
    fn only_the_turns_that_may_be_kept_are_counted() {
        let messages = long_turns(5_000);
        let counted = std::cell::Cell::new(0);
        let tokens = |_: &ChatMessage| {
            counted.set(counted.get() + 1);
            30
        };
        omit_by(&messages, 1_023, 60, tokens);
        assert!(counted.get() <= 34, "{counted:?}");
    }

    #[test]
    fn the_omitted_part_stays_the_same_for_many_turns() {
        // Counts below, at and above the estimate.
        for tokens in [30, 40, 50] {
            let ends: Vec<_> = (1_000..1_200)
                .map(|count| omit_by(&long_turns(count), 2_000, 60, |_| tokens).end)
                .collect();
            let changes = ends.windows(2).filter(|pair| pair[0] != pair[1]).count();
            // 200 turns are 400 messages, a step is 750 tokens.
            assert!(
                ends.is_sorted() && changes <= 40,
                "{tokens}: {changes} changes in {ends:?}"
            );
        }
    }

    #[test]
    fn a_count_that_varies_a_little_from_turn_to_turn_moves_the_cut_rarely() {
        let ends: Vec<_> = (1_000..1_200)
            .map(|count| {
                let fixed = 60 + count as u64 * 7 % 11;
                omit_by(&long_turns(count), 2_000, fixed, |_| 40).end
            })
            .collect();
        let changes = ends.windows(2).filter(|pair| pair[0] != pair[1]).count();
        assert!(changes <= 30, "{changes} changes in {ends:?}");
    }

    /// Turns of about 80 tokens, without a system prompt.
    fn long_turns(count: usize) -> Vec<ChatMessage> {
        let text = "why do the tides come twice a day here? ".repeat(4);
        let turn = |n| {
            [
                ChatMessage::user(format!("question {n}: {text}")),
                ChatMessage::assistant(format!("answer {n}: {text}")),
            ]
        };
        let mut messages: Vec<_> = (0..count).flat_map(turn).collect();
        messages.push(ChatMessage::user("last"));
        messages
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
