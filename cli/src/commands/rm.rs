//! `nearside rm`: removes an installed model. A person at a terminal is asked; a script meant it.

use clap::Args;
use nearside::model::ModelRef;

use crate::bytes::human;
use crate::failure::Failure;
use crate::output::{good, plain};
use crate::person;
use crate::session::Session;

/// What `rm` takes.
#[derive(Debug, Args)]
#[command(after_long_help = EXAMPLE)]
pub(crate) struct Rm {
    /// The model, as `nearside ls` names it, or the reference it came from
    #[arg(value_name = "REF", value_parser = ModelRef::parse)]
    reference: ModelRef,
    /// Do not ask
    #[arg(short, long)]
    yes: bool,
}

pub(crate) async fn run(arguments: Rm, session: &mut Session<'_>) -> Result<(), Failure> {
    let nearside = session.open()?;
    let asks = person::is_there(session.output) && !arguments.yes && !session.output.json();
    if asks && !person::agrees(&format!("remove `{}`?", arguments.reference))? {
        session.output.note(&[plain("nothing was removed")]);
        return Ok(());
    }
    let model = session.interrupt.or(nearside.remove(arguments.reference)).await?;
    if session.output.json() {
        return session.output.object(&model);
    }
    let rest = format!(" {}, {} are free again", model.id, human(model.size_bytes));
    session.output.line(&[good("removed"), plain(rest)])
}

const EXAMPLE: &str = "\
Example:
  nearside rm smollm2-135m-instruct.q4_1
  nearside rm --yes smollm2-135m-instruct.q4_1";
