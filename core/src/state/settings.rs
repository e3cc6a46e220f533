//! Single values that outlive a run, such as the policy.

use rusqlite::{OptionalExtension, Transaction, params};
use serde::Serialize;
use serde::de::DeserializeOwned;

use super::State;
use crate::error::{Error, ErrorReason, Result};
use crate::route::RoutingPolicy;

impl State {
    /// Stores the policy.
    ///
    /// # Errors
    /// [`Error::Storage`] or [`Error::Busy`] of the file.
    pub fn save_policy(&self, policy: &RoutingPolicy) -> Result<()> {
        let json = json_of("policy", policy)?;
        self.write(|file| upsert(file, "policy", &json))
    }

    /// Stores the policy if the stored one is still `before`, in one step. Returns whether it was stored.
    ///
    /// # Errors
    /// Those of [`Self::save_policy`] and [`Self::policy`].
    pub fn replace_policy(&self, before: &RoutingPolicy, policy: &RoutingPolicy) -> Result<bool> {
        let json = json_of("policy", policy)?;
        self.write(|file| {
            let stored = read_text(file, "policy")?;
            let is_same = parse_policy(stored.as_deref()).as_ref() == Some(before);
            if is_same {
                upsert(file, "policy", &json)?;
            }
            Ok(is_same)
        })
    }

    /// Returns the stored policy.
    ///
    /// # Errors
    /// [`Error::Storage`] also if it cannot be read: the default instead could allow what it forbids.
    pub fn policy(&self) -> Result<Option<RoutingPolicy>> {
        self.setting("policy")
    }

    /// Stores a value that can be fetched again, as JSON under a key. Does nothing in a directory that cannot be written.
    ///
    /// # Errors
    /// Those of the file; [`Error::Internal`] for a value that has no JSON.
    pub fn save_setting(&self, key: &str, value: &impl Serialize) -> Result<()> {
        let json = json_of(key, value)?;
        self.write_cache(|file| upsert(file, key, &json))
    }

    /// Returns the value under a key.
    ///
    /// # Errors
    /// Those of the file; [`Error::Storage`] if it is not of this type.
    pub fn setting<T: DeserializeOwned>(&self, key: &str) -> Result<Option<T>> {
        let Some(json) = self.read(|file| read_text(file, key))? else {
            return Ok(None);
        };
        serde_json::from_str(&json).map(Some).map_err(|_| {
            Error::storage(format!(
                "the setting `{key}` in `{}` is of another version of this library; save it again",
                self.0.path().display()
            ))
            .because(ErrorReason::NewerVersion)
        })
    }
}

fn json_of(key: &str, value: &impl Serialize) -> Result<String> {
    serde_json::to_string(value).map_err(|cause| Error::internal(format!("the setting `{key}` has no JSON: {cause}")))
}

/// Returns the policy of a stored text, the default without one; `None` if it cannot be understood.
fn parse_policy(text: Option<&str>) -> Option<RoutingPolicy> {
    text.map_or_else(
        || Some(RoutingPolicy::default()),
        |text| serde_json::from_str(text).ok(),
    )
}

fn read_text(file: &Transaction<'_>, key: &str) -> rusqlite::Result<Option<String>> {
    file.query_row("SELECT value FROM setting WHERE key = ?1", [key], |row| row.get(0))
        .optional()
}

fn upsert(file: &Transaction<'_>, key: &str, json: &str) -> rusqlite::Result<()> {
    file.execute(
        "INSERT INTO setting (key, value) VALUES (?1, ?2) ON CONFLICT (key) DO UPDATE SET value = excluded.value",
        params![key, json],
    )?;
    Ok(())
}
