//! Measurements: the speed of a target, and the memory that a local model needs.

use std::collections::HashMap;

use rusqlite::params;

use super::State;
use crate::chat::RouteTarget;
use crate::error::{Error, Result};
use crate::route::Speed;

impl State {
    /// Adds the rates of one answer, weighted with `NEWEST`; an invalid rate (unset, not finite or not above 0) changes
    /// nothing. Ignored for a provider that is not configured, and for a script.
    ///
    /// # Errors
    /// [`Error::Storage`] or [`Error::Busy`] of the file.
    pub fn record_speed(&self, target: &RouteTarget, speed: Speed) -> Result<()> {
        let provider = match target {
            RouteTarget::Local { .. } => None,
            RouteTarget::Remote { provider, .. } => Some(provider),
            RouteTarget::Scripted => return Ok(()),
        };
        let key = serde_json::to_string(target).map_err(|e| Error::internal(format!("a target has no JSON: {e}")))?;
        let measured = |rate: Option<f64>| rate.filter(|rate| rate.is_finite() && *rate > 0.0);
        self.write_cache(|file| {
            // The sum is NULL where either side is.
            file.execute(
                "INSERT INTO speed AS old SELECT ?1, ?2, ?3, ?4, ?5
                 WHERE ?2 IS NULL OR EXISTS (SELECT 1 FROM provider WHERE name = ?2)
                 ON CONFLICT (target) DO UPDATE SET
                 prompt_tokens_per_second = coalesce(
                     (1 - ?6) * old.prompt_tokens_per_second + ?6 * excluded.prompt_tokens_per_second,
                     excluded.prompt_tokens_per_second, old.prompt_tokens_per_second),
                 tokens_per_second = coalesce(
                     (1 - ?6) * old.tokens_per_second + ?6 * excluded.tokens_per_second,
                     excluded.tokens_per_second, old.tokens_per_second),
                 first_token_ms = coalesce(
                     (1 - ?6) * old.first_token_ms + ?6 * excluded.first_token_ms,
                     excluded.first_token_ms, old.first_token_ms)",
                params![
                    key,
                    provider,
                    measured(speed.prompt_tokens_per_second),
                    measured(speed.tokens_per_second),
                    measured(speed.first_token_ms),
                    NEWEST
                ],
            )?;
            Ok(())
        })
    }

    /// Returns the speed of each target that has answered.
    ///
    /// # Errors
    /// Those of the file.
    pub fn speeds(&self) -> Result<HashMap<RouteTarget, Speed>> {
        let rows: Vec<(String, Speed)> = self.read(|file| {
            file.prepare("SELECT target, prompt_tokens_per_second, tokens_per_second, first_token_ms FROM speed")?
                .query_map([], |row| {
                    let speed = Speed {
                        prompt_tokens_per_second: row.get(1)?,
                        tokens_per_second: row.get(2)?,
                        first_token_ms: row.get(3)?,
                    };
                    Ok((row.get(0)?, speed))
                })?
                .collect()
        })?;
        let readable = rows.into_iter();
        Ok(readable
            .filter_map(|(target, speed)| Some((serde_json::from_str(&target).ok()?, speed)))
            .collect())
    }

    /// Stores numbers about the memory that something needs, such as the parts of a model's, in one transaction. The
    /// caller chooses the keys.
    ///
    /// # Errors
    /// Those of the file.
    pub fn remember_needs(&self, needs: &[(String, u64)]) -> Result<()> {
        self.write_cache(|file| {
            let mut insert = file.prepare(
                "INSERT INTO need (key, bytes) VALUES (?1, ?2) ON CONFLICT (key) DO UPDATE SET bytes = excluded.bytes",
            )?;
            for (key, bytes) in needs {
                insert.execute(params![key, i64::try_from(*bytes).unwrap_or(i64::MAX)])?;
            }
            Ok(())
        })
    }

    /// Returns everything that [`State::remember_needs`] stored, with one statement.
    ///
    /// # Errors
    /// Those of the file.
    pub fn needs(&self) -> Result<HashMap<String, u64>> {
        let rows: Vec<(String, i64)> = self.read(|file| {
            file.prepare("SELECT key, bytes FROM need")?
                .query_map([], |row| Ok((row.get(0)?, row.get(1)?)))?
                .collect()
        })?;
        let readable = rows.into_iter();
        Ok(readable
            .filter_map(|(key, bytes)| Some((key, u64::try_from(bytes).ok()?)))
            .collect())
    }
}

/// Weight of the newest measurement in the average: one outlier does not dominate, ten do.
const NEWEST: f64 = 0.3;
