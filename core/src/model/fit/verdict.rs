//! Fit report for any reference: a file, an installed model, or a model on the hub.

use std::path::Path;

use super::{FitOptions, FitReport, fit_file};
use crate::device::{self, DeviceSnapshot};
use crate::error::Result;
use crate::model::download::head::fetch_head;
use crate::model::gguf::Head;
use crate::model::hub::Hub;
use crate::model::reference::ModelRef;
use crate::model::store::{Store, blocking};

/// Computes the fit report. For a model that is not on this device it fetches the head, once.
pub(crate) async fn fit_reference(
    hub: &Hub,
    store: &Store,
    reference: &ModelRef,
    options: &FitOptions,
) -> Result<FitReport> {
    reference.validate()?;
    let (known, wanted, requested) = (store.clone(), reference.clone(), options.clone());
    let here = blocking(move || {
        let path = match (&wanted, known.find(&wanted)?) {
            (_, Some(model)) => model.path,
            (ModelRef::Path { path }, None) => path.clone(),
            _ => return Ok(None),
        };
        fit_path(path.as_ref(), &requested, &device::snapshot()?).map(Some)
    })
    .await?;
    let report = match here {
        Some(report) => report,
        None => fit_remote(hub, store, reference, options).await?,
    };
    Ok(FitReport {
        model: reference.to_string(),
        ..report
    })
}

/// Computes the fit report of a local file. Blocks.
pub(crate) fn fit_path(path: &Path, options: &FitOptions, snapshot: &DeviceSnapshot) -> Result<FitReport> {
    let head = Head::read_file(path)?;
    let size = path
        .metadata()
        .map_err(|cause| crate::Error::file(path, "read", &cause))?
        .len();
    fit_file(path, &head, size, options, snapshot)
}

async fn fit_remote(hub: &Hub, store: &Store, reference: &ModelRef, options: &FitOptions) -> Result<FitReport> {
    let remote = hub.resolve(reference).await?;
    let (head, network_bytes) = fetch_head(hub, store, &remote).await?;
    let (store, options) = (store.clone(), options.clone());
    blocking(move || {
        let beginning = store.partial_path(&remote);
        let report = fit_file(&beginning, &head, remote.size_bytes, &options, &device::snapshot()?)?;
        Ok(FitReport {
            network_bytes,
            ..report
        })
    })
    .await
}
