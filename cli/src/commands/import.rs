//! `nearside import`: takes a GGUF file that is already here into the store, so that it has a name and is listed.

use clap::Args;

use crate::bytes::human;
use crate::failure::Failure;
use crate::output::{dim, good, plain};
use crate::session::Session;

/// What `import` takes.
#[derive(Debug, Args)]
#[command(after_long_help = EXAMPLE)]
pub(crate) struct Import {
    /// The GGUF file
    #[arg(value_name = "FILE", value_hint = clap::ValueHint::FilePath)]
    file: String,
}

pub(crate) async fn run(arguments: Import, session: &mut Session<'_>) -> Result<(), Failure> {
    let nearside = session.open()?;
    let model = session.interrupt.or(nearside.import(arguments.file)).await?;
    if session.output.json() {
        return session.output.object(&model);
    }
    let rest = format!(" {}  {}", model.id, human(model.size_bytes));
    session.output.line(&[good("imported"), plain(rest)])?;
    session.output.line(&[dim(format!("  {}", model.path))])?;
    session.output.line(&[dim(format!("  sha256 {}", model.sha256))])
}

const EXAMPLE: &str = "\
Example:
  nearside import ~/Downloads/SmolLM2-135M-Instruct.Q4_1.gguf

The file stays where it is. Where the file system can, the copy takes no space of its own.";
