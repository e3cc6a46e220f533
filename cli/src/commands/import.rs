//! `nearside import`: adds a local GGUF file to the store, so that it has a name and is listed.

use clap::Args;
use nearside::model::InstalledModel;

use crate::error::CliError;
use crate::format::format_bytes;
use crate::output::{Printer, dim, good, plain};
use crate::session::CliSession;

#[derive(Debug, Args)]
#[command(after_long_help = EXAMPLES)]
pub(crate) struct ImportArgs {
    /// GGUF file
    #[arg(value_name = "FILE", value_hint = clap::ValueHint::FilePath)]
    file: String,
}

/// Imports the file and prints the installed model.
pub(crate) async fn import_file(args: ImportArgs, session: &mut CliSession) -> Result<(), CliError> {
    let nearside = session.open_library()?;
    let model = session.interrupt.race(nearside.import(args.file)).await?;
    if session.output.is_json() {
        return session.output.print_json(&model);
    }
    print_installed("imported", &model, &mut session.output)
}

/// Prints what happened to a model, with its id, size, path and hash.
pub(super) fn print_installed(event: &str, model: &InstalledModel, output: &mut Printer) -> Result<(), CliError> {
    let details = format!(" {}  {}", model.id, format_bytes(model.size_bytes));
    output.print_line(&[good(event), plain(details)])?;
    output.print_line(&[dim(format!("  {}", model.path))])?;
    output.print_line(&[dim(format!("  sha256 {}", model.sha256))])
}

const EXAMPLES: &str = "\
Example:
  nearside import ~/Downloads/SmolLM2-135M-Instruct.Q4_1.gguf

The original file is kept. On file systems that support it the copy takes no extra space.";
