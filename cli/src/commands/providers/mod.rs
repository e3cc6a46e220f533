//! `nearside providers`: those who answer elsewhere. What is kept of them is their settings, a key that only its owner
//! may read, and their model list. No key is ever printed.

mod add;
mod ls;
mod models;
mod rm;

use clap::{Args, Subcommand};

use crate::failure::Failure;
use crate::session::Session;

/// What `providers` takes.
#[derive(Debug, Args)]
#[command(after_long_help = EXAMPLE)]
pub(crate) struct Providers {
    #[command(subcommand)]
    what: What,
}

#[derive(Debug, Subcommand)]
enum What {
    /// List them: whether they can be reached, and what happens to words there
    Ls(ls::Ls),
    /// Set one up, or anew under the same name
    Add(add::Add),
    /// Forget one, with its key
    Rm(rm::Rm),
    /// List the models of one, with what they cost
    Models(models::Models),
}

pub(crate) async fn run(arguments: Providers, session: &mut Session<'_>) -> Result<(), Failure> {
    match arguments.what {
        What::Ls(arguments) => ls::run(arguments, session).await,
        What::Add(arguments) => add::run(arguments, session).await,
        What::Rm(arguments) => rm::run(arguments, session).await,
        What::Models(arguments) => models::run(arguments, session).await,
    }
}

const EXAMPLE: &str = "\
Example:
  nearside providers add openrouter
  nearside providers add groq --key-file ~/groq.key
  nearside providers add studio --kind ollama --base-url http://192.168.1.5:11434 --allow-http
  nearside providers ls
  nearside providers models groq

Setting one up sends nothing: what may go there is up to `nearside policy`, `--mode` and your yes.";
