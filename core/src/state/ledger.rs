//! The cost of answers, and the rest of the caps. Stored in [`State`], so that all processes of an app share the caps.
//!
//! ```text
//! reserve   before anything is sent: the maximum cost of the answer, if the caps allow it
//! settle    after the answer: its cost; on the disk before `Done` is sent
//! release   if nothing was sent, or nothing is charged
//! record    an answer that is free: counted, never in the way of `Done`
//! ```
//!
//! Checking the caps and reserving is one transaction: two processes cannot both reserve the last cent. An entry that
//! is never settled, because its process was killed, keeps counting with its whole reservation: the provider may have
//! charged it; reports list it separately. An answer belongs to the day (in UTC) of its reservation.
//!
//! Amounts are whole nano-dollars. The cheapest tokens cost less than a micro-dollar each (0.003 dollars a million is 3
//! nano-dollars a token), and sums of whole numbers are exact: a cap of ten cents allows ten answers of a cent.

use std::sync::Arc;
use std::time::SystemTime;

use rusqlite::{Transaction, params};
use serde::{Deserialize, Serialize};

use super::database::TxError;
use super::{State, seconds};
use crate::chat::{CostSource, MAX_USD, RouteTarget, TokenUsage, is_amount};
use crate::error::{Error, ErrorReason, Result};
use crate::format::{Rounding, format_dollars};
use crate::route::{RoutingPolicy, SpendingTotals};

/// The ledger of costs. Cheap to clone.
#[derive(Debug, Clone)]
pub struct Ledger {
    state: Arc<State>,
}

/// The id of an entry.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct EntryId(i64);

/// A reservation for one answer.
#[derive(Debug, Clone, PartialEq)]
pub struct Reservation<'a> {
    /// The target of the request.
    pub target: &'a RouteTarget,
    /// Purpose of the request, as text of the app.
    pub purpose: &'a str,
    /// Maximum cost in US dollars.
    pub usd: f64,
    /// The caps that it must fit into.
    pub caps: Caps,
    /// The current time; the reservation counts in its day and month.
    pub now: SystemTime,
}

impl<'a> Reservation<'a> {
    /// Creates one for an answer that costs nothing.
    pub(crate) fn free(target: &'a RouteTarget, purpose: &'a str, now: SystemTime) -> Self {
        Self {
            target,
            purpose,
            usd: 0.0,
            caps: Caps::default(),
            now,
        }
    }
}

/// Cost caps in US dollars. Unset: no limit.
#[derive(Debug, Clone, Copy, Default, PartialEq)]
pub struct Caps {
    /// Of one request.
    pub request: Option<f64>,
    /// Of one day, in UTC.
    pub day: Option<f64>,
    /// Of one month, in UTC.
    pub month: Option<f64>,
}

/// Rest of the caps in US dollars. Unset: no limit.
#[derive(Debug, Clone, Copy, Default, PartialEq, Serialize, Deserialize)]
pub struct Left {
    /// Today, in UTC.
    pub day: Option<f64>,
    /// This month, in UTC.
    pub month: Option<f64>,
}

/// Grouping of a report.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum SpendingGroup {
    /// `2026-11-22`, in UTC.
    Day,
    /// `smollm2-135m`, or `deepseek/deepseek-r1 at openrouter`.
    Model,
    /// The provider's name; `device` for models on this device.
    Provider,
    /// Purpose of the requests.
    Purpose,
}

/// A row of a report.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct SpendingRow {
    /// The day, model, provider or purpose.
    pub key: String,
    /// Number of answers, free and unsettled ones included.
    pub requests: u64,
    /// Settled cost in US dollars.
    pub usd: f64,
    /// US dollars still reserved: active answers, and answers whose end was not recorded. Caps include them.
    pub usd_unsettled: f64,
    /// Tokens of the prompts.
    pub prompt_tokens: u64,
    /// Tokens generated.
    pub completion_tokens: u64,
}

impl Ledger {
    /// Creates a ledger in this state.
    pub fn new(state: Arc<State>) -> Self {
        Self { state }
    }

    /// Reserves the maximum cost of an answer, before anything is sent.
    ///
    /// # Errors
    /// [`Error::Blocked`] with the amounts if it does not fit the caps; [`Error::InvalidRequest`] for an invalid one;
    /// those of the file.
    pub fn reserve(&self, reservation: &Reservation<'_>) -> Result<EntryId> {
        Ok(self.reserve_up_to(reservation, reservation.usd)?.0)
    }

    /// Reserves like [`Self::reserve`], and more than the reservation's amount, up to `most_usd`, as far as the caps allow.
    /// Returns the amount. If `most_usd` does not fit, half of the rest of a day or a month is left to other answers.
    ///
    /// # Errors
    /// As [`Self::reserve`].
    pub fn reserve_up_to(&self, reservation: &Reservation<'_>, most_usd: f64) -> Result<(EntryId, f64)> {
        let Reservation {
            target, purpose, usd, ..
        } = *reservation;
        if !is_amount(usd) {
            return Err(Error::invalid_request(format!(
                "{usd} US dollars cannot be reserved for one answer; give 0 to {MAX_USD}"
            )));
        }
        let (least, most) = (nanos(usd), nanos(most_usd));
        let now = seconds(reservation.now);
        let (provider, model) = target_columns(target);
        self.state.try_write_relaxed(|file| {
            let reserved = check_caps(file, &reservation.caps, least, now)?.grant(least, most);
            file.prepare_cached(
                "INSERT INTO ledger (at, provider, model, purpose, reserved) VALUES (?1, ?2, ?3, ?4, ?5)",
            )?
            .execute(params![now, provider, model, purpose, reserved])?;
            Ok((EntryId(file.last_insert_rowid()), self::usd(reserved)))
        })
    }

    /// Records an answer that cost nothing, such as one of this device. Like a reservation it survives a kill of the
    /// process at once, without waiting for the disk.
    ///
    /// # Errors
    /// Those of the file.
    pub fn record_free(&self, answer: &Reservation<'_>, usage: &TokenUsage) -> Result<()> {
        let (provider, model) = target_columns(answer.target);
        self.state.try_write_relaxed(|file| {
            file.prepare_cached(
                "INSERT INTO ledger (at, provider, model, purpose, reserved, charged, source, prompt_tokens,
                 cached_tokens, completion_tokens, reasoning_tokens) VALUES (?1, ?2, ?3, ?4, 0, 0, 'free', ?5, ?6, ?7, ?8)",
            )?
            .execute(params![
                seconds(answer.now),
                provider,
                model,
                answer.purpose,
                usage.prompt_tokens,
                usage.cached_tokens,
                usage.completion_tokens,
                usage.reasoning_tokens
            ])?;
            Ok(())
        })
    }

    /// Replaces the reservation by the cost of the answer. On the disk when it returns: send `Done` after that.
    ///
    /// # Errors
    /// [`Error::Internal`] if the entry was settled or released before; those of the file. The reservation then stays.
    pub fn settle(&self, entry: EntryId, usd: f64, usage: &TokenUsage, source: CostSource) -> Result<()> {
        let source = match source {
            CostSource::Free => "free",
            CostSource::Provider => "provider",
            CostSource::Computed => "computed",
            CostSource::Estimated => "estimated",
            CostSource::Unknown => "unknown",
        };
        self.close_entry(entry, |file| {
            file.execute(
                "UPDATE ledger SET charged = ?2, source = ?3, prompt_tokens = ?4, cached_tokens = ?5,
                 completion_tokens = ?6, reasoning_tokens = ?7 WHERE id = ?1 AND charged IS NULL",
                params![
                    entry.0,
                    nanos(usd),
                    source,
                    usage.prompt_tokens,
                    usage.cached_tokens,
                    usage.completion_tokens,
                    usage.reasoning_tokens
                ],
            )
        })
    }

    /// Deletes a reservation: nothing was sent, or nothing is charged.
    ///
    /// # Errors
    /// As [`Ledger::settle`].
    pub fn release(&self, entry: EntryId) -> Result<()> {
        self.close_entry(entry, |file| {
            file.execute("DELETE FROM ledger WHERE id = ?1 AND charged IS NULL", [entry.0])
        })
    }

    /// Returns the amounts spent on the day and in the month of `now`, open reservations included.
    ///
    /// # Errors
    /// Those of the file.
    pub fn spent(&self, now: SystemTime) -> Result<SpendingTotals> {
        let now = seconds(now);
        let (day, month) = self.state.read(|file| counted(file, now))?;
        Ok(SpendingTotals {
            day: usd(day),
            month: usd(month),
        })
    }

    /// Returns the rest of the policy's caps on the day and in the month of `now`; never below 0.
    ///
    /// # Errors
    /// Those of the file.
    pub fn left(&self, policy: &RoutingPolicy, now: SystemTime) -> Result<Left> {
        let now = seconds(now);
        let (day, month) = self.state.read(|file| counted(file, now))?;
        let left = |cap: Option<f64>, spent: i64| cap.map(|cap| usd((nanos(cap) - spent).max(0)));
        Ok(Left {
            day: left(policy.max_usd_day, day),
            month: left(policy.max_usd_month, month),
        })
    }

    /// Sums up the costs from `since` on and before `until`. Days are in order, other groups by cost, highest first.
    ///
    /// # Errors
    /// Those of the file.
    pub fn report(
        &self,
        since: Option<SystemTime>,
        until: Option<SystemTime>,
        by: SpendingGroup,
    ) -> Result<Vec<SpendingRow>> {
        let key = match by {
            SpendingGroup::Day => "date(at, 'unixepoch')",
            SpendingGroup::Model => "iif(provider IS NULL, model, model || ' at ' || provider)",
            SpendingGroup::Provider => "coalesce(provider, 'device')",
            SpendingGroup::Purpose => "purpose",
        };
        let order = match by {
            SpendingGroup::Day => "key",
            SpendingGroup::Model | SpendingGroup::Provider | SpendingGroup::Purpose => {
                "total(coalesce(charged, reserved)) DESC, key"
            }
        };
        let query = format!(
            "SELECT {key} AS key, count(*), coalesce(sum(charged), 0),
             coalesce(sum(reserved) FILTER (WHERE charged IS NULL), 0), sum(prompt_tokens), sum(completion_tokens)
             FROM ledger WHERE at >= ?1 AND at < ?2 GROUP BY key ORDER BY {order}"
        );
        let range = (since.map_or(i64::MIN, seconds), until.map_or(i64::MAX, seconds));
        self.state.read(|file| {
            file.prepare(&query)?
                .query_map(range, |row| {
                    let count = |at| row.get::<_, i64>(at).map(i64::unsigned_abs);
                    Ok(SpendingRow {
                        key: row.get(0)?,
                        requests: count(1)?,
                        usd: usd(row.get(2)?),
                        usd_unsettled: usd(row.get(3)?),
                        prompt_tokens: count(4)?,
                        completion_tokens: count(5)?,
                    })
                })?
                .collect()
        })
    }

    fn close_entry(
        &self,
        entry: EntryId,
        work: impl FnOnce(&Transaction<'_>) -> rusqlite::Result<usize>,
    ) -> Result<()> {
        match self.state.write(work)? {
            0 => Err(Error::internal(format!("ledger entry {} is not open", entry.0))),
            _ => Ok(()),
        }
    }
}

impl Caps {
    /// Returns the policy's caps, with the request's own if that is lower.
    pub fn from_policy(policy: &RoutingPolicy, max_usd: Option<f64>) -> Self {
        let request = match (policy.max_usd_request, max_usd) {
            (Some(policy), Some(own)) => Some(policy.min(own)),
            (policy, own) => policy.or(own),
        };
        Self {
            request,
            day: policy.max_usd_day,
            month: policy.max_usd_month,
        }
    }
}

/// Nano-dollars that the caps leave.
struct Room {
    /// To this request alone.
    own: i64,
    /// To all answers of the day and the month.
    shared: i64,
}

impl Room {
    /// Returns the amount to reserve; `least` is within the caps.
    fn grant(&self, least: i64, most: i64) -> i64 {
        let most = most.max(least);
        if most <= self.own.min(self.shared) {
            return most;
        }
        least.max(most.min(self.own).min(self.shared / 2))
    }
}

/// Rejects an amount that exceeds a cap, and returns the room that the caps leave.
fn check_caps(file: &Transaction<'_>, caps: &Caps, nanos_requested: i64, now: i64) -> Result<Room, TxError> {
    let (day, month) = counted(file, now)?;
    let limits = [
        (caps.request, 0, "one request", "shorten the request or raise its limit"),
        (caps.day, day, "a day", "wait for tomorrow (UTC) or raise the limit"),
        (
            caps.month,
            month,
            "a month",
            "wait for the next month (UTC) or raise the limit",
        ),
    ];
    for (cap, spent, period, remedy) in limits {
        let Some(cap) = cap else { continue };
        if spent.saturating_add(nanos_requested) > nanos(cap) {
            let text = format!(
                "this answer can cost {} and {} of the {} for {period} are spent or reserved; {remedy}",
                format_dollars(usd(nanos_requested), Rounding::Up),
                format_dollars(usd(spent), Rounding::Up),
                format_dollars(usd(nanos(cap)), Rounding::Down),
            );
            return Err(TxError::Rejected(Error::blocked(text).because(ErrorReason::CostCap)));
        }
    }
    let left = |cap: Option<f64>, spent: i64| cap.map_or(i64::MAX, |cap| (nanos(cap) - spent).max(0));
    Ok(Room {
        own: left(caps.request, 0),
        shared: left(caps.day, day).min(left(caps.month, month)),
    })
}

/// Returns the nano-dollars that count on the day and in the month of `now`.
fn counted(file: &Transaction<'_>, now: i64) -> rusqlite::Result<(i64, i64)> {
    let since = |start: &str, length: &str| {
        file.query_row(
            "SELECT coalesce(sum(coalesce(charged, reserved)), 0) FROM ledger
             WHERE at >= unixepoch(?1, 'unixepoch', ?2) AND at < unixepoch(?1, 'unixepoch', ?2, ?3)",
            params![now, start, length],
            |row| row.get(0),
        )
    };
    Ok((since("start of day", "+1 day")?, since("start of month", "+1 month")?))
}

fn target_columns(target: &RouteTarget) -> (Option<&str>, &str) {
    match target {
        RouteTarget::Local { model } => (None, model),
        RouteTarget::Remote { provider, model } => (Some(provider), model),
        RouteTarget::Scripted => (None, "script"),
    }
}

/// Rounds to the nearest nano-dollar, limited to `MAX_USD`, so that no sum of rows overflows.
fn nanos(usd: f64) -> i64 {
    // The cast converts NaN to 0.
    (usd.clamp(0.0, MAX_USD) * NANOS_PER_USD).round() as i64
}

fn usd(nanos: i64) -> f64 {
    nanos as f64 / NANOS_PER_USD
}

const NANOS_PER_USD: f64 = 1e9;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_no_amount_is_nothing() {
        for usd in [f64::NAN, -1.0, f64::NEG_INFINITY] {
            assert_eq!(nanos(usd), 0);
        }
        assert_eq!(nanos(f64::INFINITY), nanos(MAX_USD));
        assert_eq!(nanos(0.07), 70_000_000);
    }
}
