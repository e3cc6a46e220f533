//! `nearside providers rm`: forgets a provider with its key. What was spent there stays in the books.

use clap::Args;
use serde::Serialize;

use crate::failure::Failure;
use crate::output::{good, plain};
use crate::session::Session;

/// What `providers rm` takes.
#[derive(Debug, Args)]
#[command(after_long_help = EXAMPLE)]
pub(crate) struct Rm {
    /// The provider, as `nearside providers ls` names it
    name: String,
}

#[derive(Debug, Serialize)]
struct Removed {
    name: String,
}

pub(crate) async fn run(arguments: Rm, session: &mut Session<'_>) -> Result<(), Failure> {
    let name = arguments.name;
    let nearside = session.open()?;
    // Remove the key first: a kill in between must not leave an orphaned key.
    session.keys()?.forget(&name)?;
    session.interrupt.or(nearside.remove_provider(name.clone())).await?;
    if session.output.json() {
        return session.output.object(&Removed { name });
    }
    let rest = format!(" {name}; what was spent there stays in `nearside cost --spent`");
    session.output.line(&[good("removed"), plain(rest)])
}

const EXAMPLE: &str = "\
Example:
  nearside providers rm groq

Its key and its model list go, too. A key stays valid until it is revoked at the provider.";
