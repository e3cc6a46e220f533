//! The configured providers and their model lists. Credentials are not stored here.

use std::time::SystemTime;

use rusqlite::{OptionalExtension, params};
use serde::Deserialize;

use super::{State, from_unix_seconds, seconds};
use crate::engine::remote::{Forwarding, ListedModels, ProviderSettings, RemoteModel};
use crate::error::{Error, Result};

impl State {
    /// Stores a provider, or replaces the one of that name. If its kind or address changed, its model list and speeds
    /// are deleted: they are another server's.
    ///
    /// # Errors
    /// [`Error::Storage`] or [`Error::Busy`] of the file, as for every method here.
    pub fn save_provider(&self, settings: &ProviderSettings) -> Result<()> {
        let json = json_of(settings)?;
        self.write(|file| {
            let before: Option<String> = file
                .query_row(
                    "SELECT settings FROM provider WHERE name = ?1",
                    [&settings.name],
                    |row| row.get(0),
                )
                .optional()?;
            let before = before.and_then(|json| serde_json::from_str::<ProviderSettings>(&json).ok());
            if before.is_none_or(|before| before.kind != settings.kind || before.base_url != settings.base_url) {
                file.execute("DELETE FROM provider WHERE name = ?1", [&settings.name])?;
            }
            file.execute(
                "INSERT INTO provider (name, settings) VALUES (?1, ?2)
                 ON CONFLICT (name) DO UPDATE SET settings = excluded.settings",
                params![settings.name, json],
            )?;
            Ok(())
        })
    }

    /// Returns the configured providers, sorted by name, without those that another version stored unreadably.
    ///
    /// # Errors
    /// Those of the file.
    pub fn providers(&self) -> Result<Vec<ProviderSettings>> {
        let rows: Vec<(String, String)> = self.read(|file| {
            file.prepare("SELECT name, settings FROM provider ORDER BY name")?
                .query_map([], |row| Ok((row.get(0)?, row.get(1)?)))?
                .collect()
        })?;
        let readable = rows.into_iter().filter_map(|(name, json)| {
            serde_json::from_str(&json)
                .inspect_err(|_| tracing::warn!(name, "the settings of this provider are of another version"))
                .ok()
        });
        Ok(readable.collect())
    }

    /// Deletes a provider, its model list and its speeds. Its costs stay in the ledger. Returns whether the provider
    /// was stored.
    ///
    /// # Errors
    /// Those of the file.
    pub fn remove_provider(&self, name: &str) -> Result<bool> {
        self.write(|file| Ok(file.execute("DELETE FROM provider WHERE name = ?1", [name])? > 0))
    }

    /// Replaces the model list of a provider. Does nothing if it is not configured: it may have been removed while the
    /// list was fetched.
    ///
    /// # Errors
    /// Those of the file.
    pub fn save_models(&self, provider: &str, listed: &ListedModels, now: SystemTime) -> Result<()> {
        let json = json_of(listed)?;
        self.write_cache(|file| {
            file.execute(
                "INSERT INTO model_list (provider, models, fetched_at)
                 SELECT name, ?2, ?3 FROM provider WHERE name = ?1
                 ON CONFLICT (provider) DO UPDATE SET models = excluded.models, fetched_at = excluded.fetched_at",
                params![provider, json, seconds(now)],
            )?;
            Ok(())
        })
    }

    /// Returns a provider's model list and the time of its fetch; `None` without one that this version can read.
    ///
    /// # Errors
    /// Those of the file.
    pub fn models(&self, provider: &str) -> Result<Option<(ListedModels, SystemTime)>> {
        let row: Option<(String, i64)> = self.read(|file| {
            file.query_row(
                "SELECT models, fetched_at FROM model_list WHERE provider = ?1",
                [provider],
                |row| Ok((row.get(0)?, row.get(1)?)),
            )
            .optional()
        })?;
        let stored = row.and_then(|(json, at)| Some((serde_json::from_str(&json).ok()?, from_unix_seconds(at))));
        Ok(stored.map(|(list, at): (StoredList, _)| (list.into_listed(), at)))
    }
}

/// A stored model list.
#[derive(Deserialize)]
#[serde(untagged)]
enum StoredList {
    /// As an earlier release stored it.
    Models(Vec<RemoteModel>),
    Listed(ListedModels),
}

impl StoredList {
    fn into_listed(self) -> ListedModels {
        match self {
            Self::Listed(listed) => listed,
            Self::Models(models) => ListedModels {
                models,
                forwarding: Forwarding::NotAsked,
                unopened: vec![],
            },
        }
    }
}

fn json_of(value: &impl serde::Serialize) -> Result<String> {
    serde_json::to_string(value).map_err(|cause| Error::internal(format!("a value has no JSON: {cause}")))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_list_of_an_earlier_release_does_not_say_what_is_forwarded() {
        let read = |json: &str| serde_json::from_str::<StoredList>(json).expect("a list").into_listed();
        let model =
            r#"{"id":"a","name":"a","context":null,"max_output":null,"abilities":null,"price":null,"retires":null}"#;
        for (models, count) in [
            (String::new(), 0),
            (model.to_owned(), 1),
            (format!("{model},{model}"), 2),
        ] {
            let old = read(&format!("[{models}]"));
            assert_eq!((old.models.len(), old.forwarding), (count, Forwarding::NotAsked));
            let listed = ListedModels {
                forwarding: Forwarding::Never,
                ..old
            };
            assert_eq!(read(&json_of(&listed).expect("json")), listed);
        }
    }
}
