//! `nearside providers ls`: lists the providers, whether they are reachable, and their data policies with day and source;
//! with `--json` as `{"providers": […]}`.

use std::time::Duration;

use clap::Args;
use futures_util::future::join_all;
use nearside::chat::DataPolicy;
use nearside::engine::remote::ProviderKind;
use nearside::{Nearside, ProviderStatus};
use serde::Serialize;

use crate::error::CliError;
use crate::format::format_data_policy;
use crate::keys::KeySource;
use crate::output::{Printer, bad, bold, dim, good, plain};
use crate::session::CliSession;

#[derive(Debug, Args)]
#[command(after_long_help = EXAMPLES)]
pub(crate) struct ListProvidersArgs {
    /// Offline: show cached data only
    #[arg(long)]
    offline: bool,
}

#[derive(Debug, Serialize)]
struct ProviderListing {
    providers: Vec<ListedProvider>,
}

/// A listed provider.
#[derive(Debug, Serialize)]
pub(super) struct ListedProvider {
    name: String,
    kind: ProviderKind,
    base_url: String,
    /// Model of requests that name none.
    model: Option<String>,
    /// Whether a key is available, or none is needed.
    has_key: bool,
    /// Source of the key: `file`, `variable` or `none`.
    key: &'static str,
    /// Path of the file, or name of the variable.
    key_from: Option<String>,
    /// `None` if the provider was not contacted.
    reachable: Option<bool>,
    /// Why the provider could not be reached.
    problem: Option<String>,
    /// Number of models in its list.
    models: u32,
    data_policy: DataPolicy,
}

/// Contacts the providers, unless offline, and prints them.
pub(crate) async fn list_providers(args: ListProvidersArgs, session: &mut CliSession) -> Result<(), CliError> {
    let nearside = session.open_with_keys()?;
    let mut statuses = session.interrupt.race(nearside.providers()).await?;
    let mut checks: Vec<Option<Reachability>> = vec![None; statuses.len()];
    if !args.offline {
        let all = join_all(statuses.iter().map(|one| check_provider(&nearside, &one.settings.name)));
        let all = async { Ok::<_, CliError>(all.await) };
        checks = session.interrupt.race(all).await?.into_iter().map(Some).collect();
        // The checks have updated the model lists, and with them the statuses.
        statuses = session.interrupt.race(nearside.providers()).await?;
    }
    let keys = session.keys()?;
    let providers = statuses.into_iter().zip(checks).map(|(status, check)| {
        let source = keys.source(&status.settings.name)?;
        Ok(ListedProvider::new(status, &source, check))
    });
    let providers = providers.collect::<Result<Vec<_>, CliError>>()?;
    if session.output.is_json() {
        return session.output.print_json(&ProviderListing { providers });
    }
    if providers.is_empty() {
        let text = "no provider is set up; `nearside providers add NAME` sets one up";
        session.output.print_note(&[plain(text)]);
    }
    for one in providers {
        let details = format!("  {} at {}", one.kind.name(), one.base_url);
        session.output.print_line(&[bold(one.name.as_str()), dim(details)])?;
        one.print_details(&mut session.output)?;
    }
    Ok(())
}

/// Success, or why the provider could not be reached.
type Reachability = Result<(), String>;

/// Requests the model list of a provider.
async fn check_provider(nearside: &Nearside, name: &str) -> Reachability {
    match tokio::time::timeout(LIST_TIMEOUT, nearside.provider_models(name.to_owned())).await {
        Ok(Ok(_)) => Ok(()),
        Ok(Err(error)) => Err(error.to_string()),
        Err(_) => Err(format!("no response within {} s", LIST_TIMEOUT.as_secs())),
    }
}

impl ListedProvider {
    pub(super) fn new(status: ProviderStatus, source: &KeySource, check: Option<Reachability>) -> Self {
        let (key, key_from) = match source {
            KeySource::File(path) => ("file", Some(path.display().to_string())),
            KeySource::Variable(name) => ("variable", Some(name.clone())),
            KeySource::None => ("none", None),
        };
        Self {
            name: status.settings.name,
            kind: status.settings.kind,
            base_url: status.base_url,
            model: status.default_model,
            has_key: status.has_key,
            key,
            key_from,
            reachable: check.as_ref().map(Result::is_ok),
            problem: check.and_then(Result::err),
            models: status.models,
            data_policy: status.data_policy,
        }
    }

    /// Prints the lines below the provider's name.
    pub(super) fn print_details(&self, output: &mut Printer) -> Result<(), CliError> {
        let key = match (self.key, &self.key_from) {
            ("file", Some(path)) => format!("stored in {path}"),
            (_, Some(variable)) if self.has_key => format!("in the variable {variable}"),
            (_, Some(variable)) => format!("missing: the variable {variable} is not set"),
            _ if self.has_key => "none needed".to_owned(),
            _ => format!("missing: `nearside providers add {}` asks for it", self.name),
        };
        output.print_line(&[dim("  key    "), plain(key)])?;
        match (self.reachable, &self.problem) {
            (Some(true), _) => output.print_line(&[dim("  state  "), good("reachable")])?,
            (_, Some(why)) => {
                output.print_line(&[dim("  state  "), bad("not reachable"), plain(format!(": {why}"))])?
            }
            _ => {}
        }
        let model = match &self.model {
            Some(model) => format!("{model} by default; {} are listed", self.models),
            None => format!("unknown; `nearside providers models {}` fetches the list", self.name),
        };
        output.print_line(&[dim("  model  "), plain(model)])?;
        output.print_line(&[dim("  data   "), plain(format_data_policy(&self.data_policy))])?;
        for more in [&self.data_policy.note, &self.data_policy.source] {
            if !more.is_empty() {
                output.print_line(&[dim(format!("         {more}"))])?;
            }
        }
        Ok(())
    }
}

/// Longer than a reachable provider takes for its list.
const LIST_TIMEOUT: Duration = Duration::from_secs(5);

const EXAMPLES: &str = "\
Example:
  nearside providers ls
  nearside providers ls --offline --json | jq -r '.providers[].name'

The model list of each provider is requested, and nothing else. Data policies are those under the current routing
policy, as published on the named day and page.";
