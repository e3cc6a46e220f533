//! Keeps the model lists of providers: fetches each by one flight at a time, and remembers failures for a minute.

use std::sync::Arc;
use std::time::{Duration, Instant, SystemTime};

use futures_util::FutureExt;
use serde_json::Value;

use super::inner::join_result;
use super::model_list::ListFetch;
use super::{Inner, blocking, lock};
use crate::chat::DataPolicy;
use crate::engine::remote::{
    self, FetchedModels, Forwarding, LearnedFacts, ListedModels, ProviderKind, ProviderSettings, RemoteModel,
    StatementTime, Upstreams,
};
use crate::error::{Error, ErrorReason, Result};
use crate::route::{NetworkPath, check_contact, privacy};

/// Fetches and stores a provider's model list, and an aggregator's document about its upstreams. Joins a fetch that is
/// already under way. Runs to its end even if no caller waits any more.
pub(super) fn fetch_list(inner: &Arc<Inner>, name: &str) -> ListFetch {
    inner.with_provider(name, |runtime| match runtime.list.running() {
        Some(fetch) => fetch,
        None => {
            let task = inner.handle.spawn(fetch_and_store(Arc::clone(inner), name.to_owned()));
            let id = task.id();
            let fetch = async move { join_result(task.await) }.boxed().shared();
            runtime.list.fetch = Some((id, fetch.clone()));
            fetch
        }
    })
}

async fn fetch_and_store(inner: Arc<Inner>, name: String) -> Result<Arc<ListedModels>> {
    let fetched = fetch(&inner, &name).await;
    let error = match &fetched {
        Ok(fetched) => fetched.error.clone(),
        Err(error) => Some(error.clone()),
    };
    let failure = error.clone().map(|error| (Instant::now(), error));
    // Here and not where it is awaited: a fetch in the background is awaited by no caller.
    inner.with_provider(&name, |runtime| runtime.list.end_fetch(tokio::task::try_id(), failure));
    match fetched?.listed {
        Some(listed) => Ok(listed),
        None => Err(error.unwrap_or_else(|| Error::internal("a list is missing without a reason; please report this"))),
    }
}

/// What a fetch stored.
struct Fetched {
    /// The list; unset if it failed.
    listed: Option<Arc<ListedModels>>,
    /// Why the list, or a part of it, is missing.
    error: Option<Error>,
}

async fn fetch(inner: &Arc<Inner>, name: &str) -> Result<Fetched> {
    let wanted = name.to_owned();
    let (settings, http, secret, today) = blocking(inner, move |inner| {
        let settings = inner.provider(&wanted)?;
        let (http, secret) = (inner.http(&settings)?, inner.secret(&settings).unwrap_or_default());
        Ok((settings, http, secret, inner.state.day(inner.clock.now())?))
    })
    .await?;
    let asked_at = StatementTime::now();
    let fetched = remote::fetch_models(&http, &settings, &secret, &today).await;
    let FetchedModels { listed, own, error } = fetched;
    let mut error = error.map(|failed| inner.explain_own_server(&settings, failed));
    let Some(mut listed) = listed else {
        return Ok(Fetched { listed: None, error });
    };
    // Another server's document would say where the upstreams of OpenRouter compute.
    let upstreams = match has_upstreams(&settings) {
        true => remote::openrouter_providers(&http, &settings, &secret)
            .await
            .map_err(|failed| error = Some(failed))
            .ok(),
        false => None,
    };
    blocking(inner, move |inner| {
        let now = inner.clock.now();
        if inner.provider(&settings.name)? != settings {
            let text = format!(
                "`{}` was set up anew while its list was fetched; try again",
                settings.name
            );
            return Err(Error::busy(text));
        }
        // A server that denies to have a list has none to show.
        let is_denied = error.is_some() && listed.models.is_empty() && listed.forwarding == Forwarding::Never;
        // Reads what was stored with the list before.
        keep_forwarded(settings.kind, &mut listed, &inner.list_of(&settings)?.0);
        listed.unopened = inner.learned(&settings.name).unopened();
        inner.state.save_models(&settings.name, &listed, now)?;
        if let Some(document) = &upstreams {
            inner.state.save_setting(UPSTREAMS, document)?;
        }
        let listed = Arc::new(listed);
        inner.with_provider(&settings.name, |runtime| {
            runtime.list.listed = Some((Arc::clone(&listed), now));
            runtime.list.learned.note_new_list();
            own.iter()
                .for_each(|id| runtime.list.learned.note_host(id, true, asked_at));
            if let Some(document) = upstreams {
                runtime.list.upstreams = Some(Some(Arc::new(document)));
            }
        });
        Ok(Fetched {
            listed: (!is_denied).then_some(listed),
            error,
        })
    })
    .await
}

impl Inner {
    /// Returns a provider's model list as last fetched, and when; empty and `None` if it never was.
    pub(super) fn list_of(&self, settings: &ProviderSettings) -> Result<(Arc<ListedModels>, Option<SystemTime>)> {
        let name = &settings.name;
        let cached = self.with_provider(name, |runtime| runtime.list.listed.clone());
        if let Some((listed, fetched)) = cached {
            return Ok((listed, Some(fetched)));
        }
        let Some((mut listed, fetched)) = self.state.models(name)? else {
            return Ok((Arc::default(), None));
        };
        // An earlier release may have stored the list, and knew fewer names of forwarded models.
        for model in &mut listed.models {
            model.proxied |= RemoteModel::is_proxied_id(settings.kind, &model.id);
        }
        if settings.kind == ProviderKind::Ollama {
            listed.forwarding = Forwarding::Marked;
        }
        let listed = Arc::new(listed);
        self.with_provider(name, |runtime| {
            runtime.list.learned.restore_unopened(&listed.unopened);
            runtime.list.listed = Some((Arc::clone(&listed), fetched));
        });
        Ok((listed, Some(fetched)))
    }

    /// Returns whether a provider's list, fetched then, is missing, over a day old or contradicted by its server since.
    pub(super) fn is_list_outdated(&self, name: &str, fetched: Option<SystemTime>) -> bool {
        is_older(fetched, LIST_MAX_AGE, self.clock.now()) || self.learned(name).contradicts_list()
    }

    /// Returns the facts about a provider's models that requests taught.
    pub(super) fn learned(&self, name: &str) -> Arc<LearnedFacts> {
        self.with_provider(name, |runtime| Arc::clone(&runtime.list.learned))
    }

    /// Marks a model of one's own server in its list as one that the server passes on to another host, as an answer said.
    pub(super) fn note_forwarded(&self, settings: &ProviderSettings, id: &str) -> Result<()> {
        // Without a list nothing is sent to the server before it was asked for one.
        self.change_list(settings, |listed| {
            match listed.models.iter_mut().find(|model| model.id == id) {
                Some(model) => model.proxied = true,
                None => listed.models.push(RemoteModel {
                    proxied: true,
                    ..RemoteModel::unlisted(settings.kind, id)
                }),
            }
        })
    }

    /// Stores with the list of a provider what answers taught of its models. Without a list it is kept in memory.
    pub(super) fn save_learned(&self, settings: &ProviderSettings) -> Result<()> {
        let unopened = self.learned(&settings.name).unopened();
        self.change_list(settings, |listed| listed.unopened = unopened)
    }

    /// Changes the list of a provider, if it has one. It stays as old as it is.
    fn change_list(&self, settings: &ProviderSettings, change: impl FnOnce(&mut ListedModels)) -> Result<()> {
        self.list_of(settings)?;
        // In one step, so that of two changes none is lost.
        let changed = self.with_provider(&settings.name, |runtime| {
            let (listed, fetched) = runtime.list.listed.as_mut()?;
            change(Arc::make_mut(listed));
            Some((Arc::clone(listed), *fetched))
        });
        match changed {
            Some((listed, fetched)) => self.state.save_models(&settings.name, &listed, fetched),
            None => Ok(()),
        }
    }

    /// Remembers that a list could not be had in time, if its fetch is still under way. One that succeeds later makes up
    /// for it.
    pub(super) fn note_list_failure(&self, name: &str) {
        self.with_provider(name, |runtime| {
            if runtime.list.running().is_some() {
                let text =
                    format!("`{name}` has not sent its list of models in time; check whether it is busy, or try again");
                let error = Error::of(ErrorReason::NoResponse, text);
                runtime.list.failure = Some((Instant::now(), error));
            }
        });
    }

    /// Returns when the last fetch of a list failed, or a part of it, and why.
    pub(super) fn list_failure(&self, name: &str) -> Option<(Instant, Error)> {
        self.with_provider(name, |runtime| runtime.list.failure.clone())
    }

    /// Returns the providers whose list is missing or outdated and may be fetched now.
    pub(super) fn stale_lists(&self) -> Result<Vec<String>> {
        let mut stale = Vec::new();
        for settings in self.stored_providers()? {
            let (_, fetched) = self.list_of(&settings)?;
            if self.is_list_outdated(&settings.name, fetched) && self.may_fetch(&settings)? {
                stale.push(settings.name);
            }
        }
        Ok(stale)
    }

    /// Returns whether a provider may be asked for its list now: the network and the policy allow it, it has its key, it is
    /// not paused after failures, and its list did not fail within the last minute.
    pub(super) fn may_fetch(&self, settings: &ProviderSettings) -> Result<bool> {
        let failure = self.list_failure(&settings.name);
        if failure.is_some_and(|(at, _)| at.elapsed() < FAILURE_MEMORY)
            || !self.has_key(settings)
            || self.cooldown(&settings.name).is_some()
            || !self.allows_network(settings)
        {
            return Ok(false);
        }
        let (_, terms) = self.terms_of(settings)?;
        let mut policy = self.policy();
        if has_upstreams(settings) && settings.data_policy.is_none() {
            // Its regions follow from the document that is fetched with the list.
            policy.regions.clear();
        }
        Ok(privacy::check_terms(&policy, settings, &terms).is_ok())
    }

    /// Returns whether the policy names regions, and the document that says which upstreams stay within them is missing.
    pub(super) fn lacks_regions(&self, settings: &ProviderSettings) -> Result<bool> {
        let is_needed = has_upstreams(settings) && !self.policy().regions.is_empty();
        Ok(is_needed && self.upstreams_document(&settings.name)?.is_none())
    }

    /// Returns whether the network, when the host was last asked, and the policy allow a provider to be contacted.
    fn allows_network(&self, settings: &ProviderSettings) -> bool {
        let facts = *lock(&self.last_facts);
        let path = NetworkPath::to(settings, &RemoteModel::default());
        check_contact(&facts, &self.policy(), path, &settings.name).is_ok()
    }

    /// Returns what the current routing policy makes of a provider as a whole: the constraints on an aggregator's
    /// upstreams, and the data policy of a model that the provider runs itself.
    pub(super) fn terms_of(&self, settings: &ProviderSettings) -> Result<(Upstreams, DataPolicy)> {
        let own = privacy::terms(settings, &RemoteModel::default());
        if settings.kind != ProviderKind::OpenRouter {
            return Ok((Upstreams::default(), own));
        }
        let document = self.upstreams_document(&settings.name)?;
        let (upstreams, terms) = privacy::upstreams(&self.policy(), document.as_deref());
        let is_stated = settings.data_policy.is_some();
        let terms = if has_upstreams(settings) && !is_stated {
            terms
        } else {
            own
        };
        Ok((upstreams, terms))
    }

    fn upstreams_document(&self, name: &str) -> Result<Option<Arc<Value>>> {
        if let Some(document) = self.with_provider(name, |runtime| runtime.list.upstreams.clone()) {
            return Ok(document);
        }
        let document: Option<Value> = self.state.setting(UPSTREAMS)?;
        let document = document.map(Arc::new);
        self.with_provider(name, |runtime| runtime.list.upstreams = Some(document.clone()));
        Ok(document)
    }
}

/// Marks the models again that an answer showed to be forwarded, if both lists are of a server that cannot say so: the new list
/// is no statement about them.
fn keep_forwarded(kind: ProviderKind, listed: &mut ListedModels, before: &ListedModels) {
    if listed.forwarding != Forwarding::Never || before.forwarding != Forwarding::Never {
        return;
    }
    // Those that their name shows to be forwarded are marked already.
    let is_shown_by_answer = |model: &&RemoteModel| model.proxied && !RemoteModel::is_proxied_id(kind, &model.id);
    for earlier in before.models.iter().filter(is_shown_by_answer) {
        match listed.models.iter_mut().find(|model| model.id == earlier.id) {
            Some(model) => model.proxied = true,
            None => listed.models.push(earlier.clone()),
        }
    }
}

/// Returns whether a provider is OpenRouter at one of its own addresses, whose document lists its upstreams.
fn has_upstreams(settings: &ProviderSettings) -> bool {
    let usual = ProviderSettings {
        data_policy: None,
        ..settings.clone()
    };
    settings.kind == ProviderKind::OpenRouter
        && privacy::terms(&usual, &RemoteModel::default()) != DataPolicy::unknown()
}

/// Returns whether a list is missing or older than this now.
pub(super) fn is_older(fetched: Option<SystemTime>, age: Duration, now: SystemTime) -> bool {
    // A clock that was set back makes it young.
    fetched.is_none_or(|fetched| now.duration_since(fetched).unwrap_or_default() > age)
}

/// A model list is valid for a day, because prices and shutdowns are dated to the day.
const LIST_MAX_AGE: Duration = Duration::from_secs(24 * 3600);
/// How long a provider is not asked again for a list that failed.
const FAILURE_MEMORY: Duration = Duration::from_secs(60);
/// How recent a list must be to say that the server lacks a model: the user may have added it a moment ago.
pub(super) const LIST_RECENT: Duration = Duration::from_secs(5);
const UPSTREAMS: &str = "openrouter providers";
