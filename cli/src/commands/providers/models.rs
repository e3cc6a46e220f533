//! `nearside providers models`: what a provider offers, as a table or as `{"models": […]}`.

use clap::Args;
use nearside::engine::remote::{Abilities, RemoteModel};
use serde::Serialize;

use crate::failure::Failure;
use crate::money::perhaps;
use crate::output::plain;
use crate::session::Session;

/// What `providers models` takes.
#[derive(Debug, Args)]
#[command(after_long_help = EXAMPLE)]
pub(crate) struct Models {
    /// The provider, as `nearside providers ls` names it
    name: String,
}

#[derive(Debug, Serialize)]
struct Listing {
    models: Vec<RemoteModel>,
}

pub(crate) async fn run(arguments: Models, session: &mut Session<'_>) -> Result<(), Failure> {
    let nearside = session.open_with_keys()?;
    let models = session.interrupt.or(nearside.provider_models(arguments.name)).await?;
    if session.output.json() {
        return session.output.object(&Listing { models });
    }
    if models.is_empty() {
        session.output.note(&[plain("it offers no models")]);
        return Ok(());
    }
    let rows: Vec<Vec<String>> = models.iter().map(row).collect();
    session.output.table(&HEADINGS, &[1, 2, 3], &rows)
}

fn row(model: &RemoteModel) -> Vec<String> {
    let price = model.price.as_ref();
    vec![
        model.id.clone(),
        model
            .context
            .map_or_else(|| "?".to_owned(), |tokens| tokens.to_string()),
        perhaps(price.map(|price| price.usd_in)),
        perhaps(price.map(|price| price.usd_out)),
        model.abilities.as_ref().map_or_else(|| "?".to_owned(), can),
        model.retires.clone().unwrap_or_default(),
    ]
}

fn can(abilities: &Abilities) -> String {
    let all = [
        (abilities.tools, "tools"),
        (abilities.images, "images"),
        (abilities.json_schema, "json"),
        (abilities.reasoning, "reasoning"),
        (abilities.web_search, "web"),
    ];
    let can = all.into_iter().filter(|(can, _)| *can).map(|(_, what)| what);
    can.collect::<Vec<_>>().join(" ")
}

const HEADINGS: [&str; 6] = ["ID", "CONTEXT", "$/M IN", "$/M OUT", "CAN", "RETIRES"];

const EXAMPLE: &str = "\
Example:
  nearside providers models groq
  nearside providers models openrouter --json | jq -r '.models[] | select(.abilities.reasoning) | .id'

Prices are US dollars for a million tokens; `?` is what nobody publishes. RETIRES is the day a model is switched off.";
