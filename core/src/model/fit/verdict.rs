//! Fit report for any reference: a file, an installed model, or a model on the hub.

use std::path::Path;
use std::sync::Arc;

use super::{FitOptions, FitReport, MemoryBudget, fit_file};
use crate::error::Result;
use crate::model::download::head::fetch_head;
use crate::model::gguf::Head;
use crate::model::hub::Hub;
use crate::model::reference::ModelRef;
use crate::model::store::{Store, blocking};

/// Returns the budget of the model at this path (unset: it is not on this device), and the threads that would compute.
pub(crate) type BudgetFor = dyn Fn(Option<&Path>) -> Result<(MemoryBudget, u32)> + Send + Sync;

/// Computes the fit report. For a model that is not on this device it fetches the head, once.
pub(crate) async fn fit_reference(
    hub: &Hub,
    store: &Store,
    reference: &ModelRef,
    options: &FitOptions,
    budget_for: &Arc<BudgetFor>,
) -> Result<FitReport> {
    reference.validate()?;
    let (known, wanted, requested, budget) = (
        store.clone(),
        reference.clone(),
        options.clone(),
        Arc::clone(budget_for),
    );
    let here = blocking(move || {
        let path = match (&wanted, known.find(&wanted)?) {
            (_, Some(model)) => model.path,
            (ModelRef::Path { path }, None) => path.clone(),
            _ => return Ok(None),
        };
        let (budget, threads) = budget(Some(path.as_ref()))?;
        fit_path(path.as_ref(), &requested, &budget, threads).map(Some)
    })
    .await?;
    let report = match here {
        Some(report) => report,
        None => fit_remote(hub, store, reference, options, budget_for).await?,
    };
    Ok(FitReport {
        model: reference.to_string(),
        ..report
    })
}

/// Computes the fit report of a local file. Blocks.
pub(crate) fn fit_path(path: &Path, options: &FitOptions, budget: &MemoryBudget, threads: u32) -> Result<FitReport> {
    let head = Head::read_file(path)?;
    let size = path
        .metadata()
        .map_err(|cause| crate::Error::file(path, "read", &cause))?
        .len();
    fit_file(path, &head, size, options, budget, threads)
}

async fn fit_remote(
    hub: &Hub,
    store: &Store,
    reference: &ModelRef,
    options: &FitOptions,
    budget_for: &Arc<BudgetFor>,
) -> Result<FitReport> {
    let remote = hub.resolve(reference).await?;
    let (head, network_bytes) = fetch_head(hub, store, &remote).await?;
    let (store, options, budget_for) = (store.clone(), options.clone(), Arc::clone(budget_for));
    blocking(move || {
        let beginning = store.partial_path(&remote);
        let (budget, threads) = budget_for(None)?;
        let report = fit_file(&beginning, &head, remote.size_bytes, &options, &budget, threads)?;
        Ok(FitReport {
            network_bytes,
            ..report
        })
    })
    .await
}
