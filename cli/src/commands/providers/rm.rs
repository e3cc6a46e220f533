//! `nearside providers rm`: removes a provider and its key, after a confirmation. Its spending is kept in the ledger.

use clap::Args;
use serde::Serialize;

use crate::error::CliError;
use crate::output::{good, plain};
use crate::prompt;
use crate::session::CliSession;

#[derive(Debug, Args)]
#[command(after_long_help = EXAMPLES)]
pub(crate) struct RemoveProviderArgs {
    /// Provider, as `nearside providers ls` names it
    name: String,
    /// Do not ask for confirmation; without a terminal it is required
    #[arg(short, long)]
    yes: bool,
}

impl RemoveProviderArgs {
    /// Returns the name of the provider.
    pub(super) fn name(&self) -> &str {
        &self.name
    }
}

#[derive(Debug, Serialize)]
struct RemovedProvider {
    name: String,
}

/// Removes the key, then the provider.
pub(crate) async fn remove_provider(args: RemoveProviderArgs, session: &mut CliSession) -> Result<(), CliError> {
    let name = args.name;
    let nearside = session.open_library()?;
    let all = session.interrupt.race(nearside.providers()).await?;
    let exists = all.iter().any(|one| one.settings.name == name);
    if !exists && !args.yes {
        // Tells that there is none, instead of asking.
        session.interrupt.race(nearside.remove_provider(name.clone())).await?;
    }
    if !prompt::confirm_removal(&format!("remove `{name}` and its key?"), args.yes, &mut session.output)? {
        return Ok(());
    }
    // Remove the key first: a kill in between must not leave an orphaned key.
    session.keys()?.remove_key(&name)?;
    session.interrupt.race(nearside.remove_provider(name.clone())).await?;
    if session.output.is_json() {
        return session.output.print_json(&RemovedProvider { name });
    }
    let details = format!(" {name}; its spending stays in `nearside cost --spent`");
    session.output.print_line(&[good("removed"), plain(details)])
}

const EXAMPLES: &str = "\
Example:
  nearside providers rm groq

Its key and its model list are removed as well. A key stays valid until it is revoked at the provider.";
