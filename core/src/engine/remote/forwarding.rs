//! Asks a self-hosted server which of its models it forwards to another host.
//!
//! Only Ollama's own API says so; its compatible list does not. Any self-hosted server may be an Ollama server behind its
//! compatible API, whatever its kind in the settings, so all are asked. Without an answer the caller must assume the worst.
//!
//! A list is valid for a day, and a model may be created anew within it as an alias of one that is forwarded. Therefore an
//! own Ollama server is asked about exactly this model once more before content is sent to it, unless it said within the
//! last minute that it runs the model itself.

use std::time::Duration;

use futures_util::{StreamExt, stream};
use reqwest::Method;
use serde_json::{Value, json};
use tokio::time::{Instant, timeout, timeout_at};

use super::Connection;
use super::dialect::ProviderKind;
use super::error::AttemptError;
use super::http::{ProviderClient, is_own_server};
use super::learned::StatementTime;
use super::list_request::{LIST_TIMEOUT, ListResponse, fetch_body, list_context};
use super::model_entry::is_forwarded;
use super::provider::{ProviderSettings, RemoteModel, Secret};
use super::reader::ResponseReader;
use crate::chat::DataPolicy;
use crate::engine::SentMark;
use crate::error::{Error, ErrorReason, Result};

/// Returns whether a server must say which models it forwards before content is sent to it: the user's own, by its
/// address or by a statement. The terms of others do not depend on it.
pub fn must_state_forwarding(settings: &ProviderSettings) -> bool {
    let is_stated = settings.data_policy.as_ref().is_some_and(DataPolicy::is_own);
    !settings.kind.is_hosted() && (is_stated || is_own_server(settings))
}

/// Creates the error of a model that its list shows as one of the server itself, and that the server forwards now.
pub fn forwarded_now(provider: &str, model: &str) -> Error {
    Error::of(
        ErrorReason::PolicyForbids,
        format!(
            "`{provider}` forwards `{model}` to another host now, so nothing was sent; choose a model that the server runs \
             itself, or send the request again under a policy that allows it"
        ),
    )
}

/// What an Ollama server says of its models.
#[derive(Debug, Default)]
pub(super) struct StatedHosts {
    /// Names of the models that it forwards.
    pub(super) forwarded: Vec<String>,
    /// Names of the models that it runs itself, as it said of each alone.
    pub(super) own: Vec<String>,
}

/// Returns which models the server forwards; `None` if it is no Ollama server.
///
/// # Errors
/// `Network`, `Unauthorized`, `Provider`: the server did not say.
pub(super) async fn fetch_forwarded(
    http: &ProviderClient,
    settings: &ProviderSettings,
    secret: &Secret,
) -> Result<Option<StatedHosts>> {
    let context = list_context(http, settings, secret);
    let request = http.request_beside_v1(Method::GET, "api/tags", secret)?;
    let response = fetch_body(&context, http, request.timeout(TAGS_TIMEOUT)).await?;
    if response.denies_endpoint() {
        return Ok(None);
    }
    let list = response.into_json(&context)?;
    let Some(entries) = list["models"].as_array() else {
        return Err(AttemptError::from_other_text(&context, &list.to_string()).error);
    };
    let (forwarded, others): (Vec<_>, Vec<_>) = entries.iter().partition(|entry| is_forwarded(entry));
    let names = |entries: Vec<&Value>| -> Vec<String> {
        let named = entries.into_iter();
        named
            .filter_map(|entry| entry["model"].as_str().or(entry["name"].as_str()))
            .map(str::to_owned)
            .collect()
    };
    let mut hosts = StatedHosts {
        forwarded: names(forwarded),
        own: vec![],
    };
    // llama-server has its one list at this address, too.
    if hosts.forwarded.is_empty() && list.get("object").is_some() {
        return Ok(None);
    }
    // Some releases say it only of each model alone. A failure is found out at the moment of sending.
    let others = names(others);
    let shown = timeout(TAGS_TIMEOUT, show_models(http, settings, secret, others.clone())).await;
    for (name, shown) in others.into_iter().zip(shown.unwrap_or_default()) {
        match shown {
            Some(shown) if is_forwarded(&shown) => hosts.forwarded.push(name),
            Some(_) => hosts.own.push(name),
            None => {}
        }
    }
    Ok(Some(hosts))
}

/// Marks the models of a list that the server forwards.
pub(super) fn mark_forwarded(models: &mut [RemoteModel], forwarded: &[String]) {
    for model in models {
        let is_same = |name: &String| RemoteModel::is_named(ProviderKind::Ollama, name, &model.id);
        model.proxied |= forwarded.iter().any(is_same);
    }
}

/// Returns what an Ollama server says of each of these models; `None` where it says nothing.
pub(super) async fn show_models(
    http: &ProviderClient,
    settings: &ProviderSettings,
    secret: &Secret,
    names: Vec<String>,
) -> Vec<Option<Value>> {
    let context = &list_context(http, settings, secret);
    let show = |name: String| async move {
        let request = show_request(http, secret, &name).ok()?;
        let response = fetch_body(context, http, request.timeout(LIST_TIMEOUT)).await.ok()?;
        response.into_json(context).ok().filter(is_description)
    };
    stream::iter(names).map(show).buffered(4).collect().await
}

/// Makes sure that an own server runs the model itself before content is sent to it. Asks the server, unless it said so a
/// moment ago.
///
/// # Errors
/// `Blocked` if the server forwards the model now, which is noted in `sent`; others if it did not say.
pub(super) async fn check_host(
    connection: &Connection,
    reader: &ResponseReader<'_>,
    sent: &SentMark,
) -> Result<(), AttemptError> {
    let (model, learned) = (&connection.model.id, &connection.learned);
    if !connection.must_check_host || learned.is_surely_own(model) {
        return Ok(());
    }
    let asked_at = StatementTime::now();
    let shown = describe_model(connection, reader)
        .await
        .map_err(|failure| AttemptError {
            error: explain_unsent(&failure.error, model),
            ..failure
        })?;
    let is_own = !is_forwarded(&shown);
    learned.note_host(model, is_own, asked_at);
    if is_own {
        return Ok(());
    }
    sent.note_forwarded();
    Err(AttemptError::permanent(forwarded_now(&connection.settings.name, model)))
}

/// Asks an own Ollama server for its description of the model.
async fn describe_model(connection: &Connection, reader: &ResponseReader<'_>) -> Result<Value, AttemptError> {
    let (context, http) = (connection.request_context(), &connection.http);
    let request = show_request(http, &connection.secret, &connection.model.id).map_err(AttemptError::permanent)?;
    let until = reader.end.min(Instant::now() + CHECK_TIMEOUT);
    let response = timeout_at(until, fetch_body(&context, http, request))
        .await
        .map_err(|_| reader.timeout_error("did not describe the model"))??;
    let is_unknown = response.status == 404 && names_model(&response);
    if is_unknown || response.denies_endpoint() {
        connection.learned.note_contradiction();
    }
    if !is_unknown && response.denies_endpoint() {
        let text = format!(
            "`{}` does not describe its models, as an Ollama server does; let a server in front of it pass all requests on, or \
             set up the server's own address",
            context.provider
        );
        return Err(AttemptError::permanent(Error::provider(text)));
    }
    let shown = response.into_json(&context)?;
    match is_description(&shown) {
        true => Ok(shown),
        false => Err(AttemptError::from_other_text(&context, &shown.to_string())),
    }
}

fn show_request(http: &ProviderClient, secret: &Secret, model: &str) -> Result<reqwest::RequestBuilder> {
    let request = http.request_beside_v1(Method::POST, "api/show", secret)?;
    Ok(request.json(&json!({ "model": model })))
}

/// Returns whether this is Ollama's description of a model, and not the answer of a server that answers everything.
fn is_description(shown: &Value) -> bool {
    let fields = ["details", "model_info", "capabilities", "modelfile", "template"];
    is_forwarded(shown) || fields.into_iter().any(|field| shown.get(field).is_some())
}

/// Returns whether an error is about the model, and not about the path.
fn names_model(response: &ListResponse) -> bool {
    let body: Value = serde_json::from_slice(&response.body).unwrap_or_default();
    let text = body["error"].as_str().or(body["error"]["message"].as_str());
    text.is_some_and(|text| text.to_lowercase().contains("model"))
}

/// Returns the error of a server that did not say where it runs a model.
fn explain_unsent(error: &Error, model: &str) -> Error {
    let is_about_host = !matches!(
        error.reason(),
        ErrorReason::UnknownModel | ErrorReason::DeadlineExceeded
    );
    match is_about_host {
        true => error.clone().with_detail(format!(
            "{error}; nothing was sent, because the server did not say whether it forwards `{model}` to another host"
        )),
        false => error.clone(),
    }
}

/// Shorter than a decision waits for lists: the list itself is needed in time.
const TAGS_TIMEOUT: Duration = Duration::from_secs(5);
/// How long an answer waits until an own server says where it runs the model.
const CHECK_TIMEOUT: Duration = Duration::from_secs(2);
