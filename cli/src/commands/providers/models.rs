//! `nearside providers models`: lists the models of a provider, as a table or as `{"models": […]}`.

use clap::Args;
use nearside::engine::remote::{ModelCapabilities, RemoteModel};
use serde::Serialize;

use crate::error::CliError;
use crate::format::dollars_or_unknown;
use crate::output::plain;
use crate::session::CliSession;

#[derive(Debug, Args)]
#[command(after_long_help = EXAMPLES)]
pub(crate) struct ProviderModelsArgs {
    /// Provider, as `nearside providers ls` names it
    name: String,
}

impl ProviderModelsArgs {
    /// Returns the name of the provider.
    pub(super) fn name(&self) -> &str {
        &self.name
    }
}

#[derive(Debug, Serialize)]
struct ProviderModelListing {
    models: Vec<RemoteModel>,
}

/// Prints the models of the provider.
pub(crate) async fn list_provider_models(args: ProviderModelsArgs, session: &mut CliSession) -> Result<(), CliError> {
    let nearside = session.open_with_keys()?;
    let models = session.interrupt.race(nearside.provider_models(args.name)).await?;
    if session.output.is_json() {
        return session.output.print_json(&ProviderModelListing { models });
    }
    if models.is_empty() {
        session.output.print_note(&[plain("the provider lists no models")]);
        return Ok(());
    }
    let rows: Vec<Vec<String>> = models.iter().map(model_row).collect();
    session.output.print_table(&HEADINGS, &[1, 2, 3], &rows)
}

fn model_row(model: &RemoteModel) -> Vec<String> {
    let price = model.price.as_ref();
    let context = model.context.map(|tokens| tokens.to_string());
    let abilities = match model.can_chat() {
        true => model.abilities.as_ref().map(format_abilities),
        false => Some("no chats".to_owned()),
    };
    let unknown = || "?".to_owned();
    vec![
        model.id.clone(),
        context.unwrap_or_else(unknown),
        dollars_or_unknown(price.map(|price| price.usd_in)),
        dollars_or_unknown(price.map(|price| price.usd_out)),
        abilities.unwrap_or_else(unknown),
        model.retires.clone().unwrap_or_default(),
    ]
}

fn format_abilities(abilities: &ModelCapabilities) -> String {
    let all = [
        (abilities.tools, "tools"),
        (abilities.images, "images"),
        (abilities.json_schema, "json"),
        (abilities.reasoning, "reasoning"),
        (abilities.web_search, "web"),
    ];
    let names = all.into_iter().filter(|(has, _)| *has).map(|(_, name)| name);
    names.collect::<Vec<_>>().join(" ")
}

const HEADINGS: [&str; 6] = ["ID", "CONTEXT", "$/M IN", "$/M OUT", "CAN", "RETIRES"];

const EXAMPLES: &str = "\
Example:
  nearside providers models groq
  nearside providers models openrouter --json | jq -r '.models[] | select(.abilities.reasoning) | .id'

Prices are US dollars per million tokens; `?` is unknown. RETIRES is the day on which a model is switched off.";
