//! `nearside rm`: removes an installed model. Asks for confirmation on a terminal only.

use clap::Args;
use nearside::model::ModelRef;

use crate::error::CliError;
use crate::format::format_bytes;
use crate::output::{good, plain};
use crate::prompt;
use crate::session::CliSession;

#[derive(Debug, Args)]
#[command(after_long_help = EXAMPLES)]
pub(crate) struct RmArgs {
    /// Model, as `nearside ls` names it, or the reference it came from
    #[arg(value_name = "REF", value_parser = ModelRef::parse)]
    reference: ModelRef,
    /// Do not ask for confirmation
    #[arg(short, long)]
    yes: bool,
}

/// Removes the model, after a confirmation.
pub(crate) async fn remove_model(args: RmArgs, session: &mut CliSession) -> Result<(), CliError> {
    let nearside = session.open_library()?;
    let needs_confirmation = prompt::is_interactive(&session.output) && !args.yes && !session.output.is_json();
    if needs_confirmation && !prompt::confirm(&format!("remove `{}`?", args.reference))? {
        session.output.print_note(&[plain("nothing was removed")]);
        return Ok(());
    }
    let model = session.interrupt.race(nearside.remove(args.reference)).await?;
    if session.output.is_json() {
        return session.output.print_json(&model);
    }
    let details = format!(" {}, {} freed", model.id, format_bytes(model.size_bytes));
    session.output.print_line(&[good("removed"), plain(details)])
}

const EXAMPLES: &str = "\
Example:
  nearside rm smollm2-135m-instruct.q4_1
  nearside rm --yes smollm2-135m-instruct.q4_1";
