//! `nearside conversations`: lists, shows, searches, exports and removes the conversations that `chat` stores.
//!
//! With `--json` one object: `{"conversations": […]}`, one conversation with its messages, `{"hits": […]}`, `{"removed": ID}`.

use clap::{Args, Subcommand, ValueEnum};
use nearside::chat::{ConversationSummary, ExportFormat, SearchHit, StoredMessage};
use nearside::{Conversations, Error, ErrorReason, Nearside};
use serde::Serialize;

use crate::error::CliError;
use crate::format::format_time;
use crate::output::{bold, good, plain};
use crate::prompt;
use crate::session::CliSession;

#[derive(Debug, Args)]
#[command(after_long_help = EXAMPLES)]
pub(crate) struct ConversationsArgs {
    #[command(subcommand)]
    action: ConversationsAction,
}

#[derive(Debug, Subcommand)]
enum ConversationsAction {
    /// List the conversations, the newest first
    List,
    /// Show the messages of a conversation
    Show(IdArgs),
    /// Search the titles and messages for all of these words, the last one as the start of a word
    Search(SearchArgs),
    /// Print a conversation as Markdown, or as JSON with pictures and receipts
    Export(ExportArgs),
    /// Erase a conversation
    Rm(RemoveArgs),
}

#[derive(Debug, Args)]
struct IdArgs {
    /// Id, as `nearside conversations list` shows it
    #[arg(value_name = "ID")]
    id: u64,
}

#[derive(Debug, Args)]
struct SearchArgs {
    /// Words to search for
    #[arg(value_name = "TEXT", required = true, num_args = 1..)]
    text: Vec<String>,
}

#[derive(Debug, Args)]
struct ExportArgs {
    #[command(flatten)]
    of: IdArgs,
    /// Format [default: markdown, with `--json` json]
    #[arg(long, value_name = "FORMAT")]
    format: Option<FormatArg>,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
enum FormatArg {
    /// Text for reading
    Markdown,
    /// Data for programs
    Json,
}

#[derive(Debug, Args)]
struct RemoveArgs {
    #[command(flatten)]
    of: IdArgs,
    /// Do not ask for confirmation; without a terminal it is required
    #[arg(short, long)]
    yes: bool,
}

/// A conversation in a list.
#[derive(Debug, Serialize)]
struct ConversationEntry {
    id: u64,
    title: String,
    updated: String,
    messages: u32,
}

#[derive(Debug, Serialize)]
struct ConversationListing {
    conversations: Vec<ConversationEntry>,
}

/// A conversation with its messages.
#[derive(Debug, Serialize)]
struct ShownConversation {
    id: u64,
    title: String,
    updated: String,
    messages: Vec<StoredMessage>,
}

#[derive(Debug, Serialize)]
struct SearchResult {
    hits: Vec<HitEntry>,
}

#[derive(Debug, Serialize)]
struct HitEntry {
    #[serde(flatten)]
    conversation: ConversationEntry,
    /// The message that matches; unset if the title does.
    message: Option<u64>,
    snippet: String,
}

#[derive(Debug, Serialize)]
struct Removed {
    removed: u64,
}

/// Does what the subcommand says.
pub(crate) async fn manage_conversations(args: ConversationsArgs, session: &mut CliSession) -> Result<(), CliError> {
    let nearside = session.open_library()?;
    let conversations = nearside.conversations();
    match args.action {
        ConversationsAction::List => list(&conversations, session).await,
        ConversationsAction::Show(args) => show(args.id, &conversations, session).await,
        ConversationsAction::Search(args) => search(args.text.join(" "), &conversations, session).await,
        ConversationsAction::Export(args) => export(&args, &conversations, session).await,
        ConversationsAction::Rm(args) => remove(&args, &conversations, &nearside, session).await,
    }
}

async fn list(conversations: &Conversations, session: &mut CliSession) -> Result<(), CliError> {
    let listed = session.interrupt.race(conversations.list(None, 0)).await?;
    let listed: Vec<ConversationEntry> = listed.into_iter().map(ConversationEntry::from).collect();
    if session.output.is_json() {
        return session
            .output
            .print_json(&ConversationListing { conversations: listed });
    }
    if listed.is_empty() {
        session
            .output
            .print_note(&[plain("there are no conversations; `nearside chat` begins one")]);
        return Ok(());
    }
    let rows: Vec<Vec<String>> = listed.into_iter().map(row).collect();
    session
        .output
        .print_table(&["ID", "MESSAGES", "UPDATED", "TITLE"], &[0, 1], &rows)
}

async fn show(id: u64, conversations: &Conversations, session: &mut CliSession) -> Result<(), CliError> {
    if !session.output.is_json() {
        let text = conversations.export(id, ExportFormat::Markdown);
        let text = session.interrupt.race(text).await;
        let text = text.map_err(|error| explain_unknown(id, error))?;
        return session.output.print_text(plain(text));
    }
    let found = session.interrupt.race(conversations.open(id)).await;
    let found = found.map_err(|error| explain_unknown(id, error))?;
    session.output.print_json(&ShownConversation {
        id,
        title: found.summary.title,
        updated: format_time(found.summary.updated_at_ms),
        messages: found.messages,
    })
}

async fn search(text: String, conversations: &Conversations, session: &mut CliSession) -> Result<(), CliError> {
    let hits = session.interrupt.race(conversations.search(text, MAX_HITS)).await?;
    if session.output.is_json() {
        let hits = hits.into_iter().map(HitEntry::from).collect();
        return session.output.print_json(&SearchResult { hits });
    }
    if hits.is_empty() {
        session.output.print_note(&[plain("nothing was found")]);
    }
    for hit in hits {
        let heading = format!("{}  {}", hit.conversation.id, hit.conversation.title);
        session.output.print_line(&[plain(heading)])?;
        let parts = hit.snippet.into_iter().map(|part| match part.matched {
            true => bold(part.text.replace('\n', " ")),
            false => plain(part.text.replace('\n', " ")),
        });
        let line: Vec<_> = std::iter::once(plain("  ")).chain(parts).collect();
        session.output.print_line(&line)?;
    }
    Ok(())
}

async fn export(args: &ExportArgs, conversations: &Conversations, session: &mut CliSession) -> Result<(), CliError> {
    let json = args
        .format
        .map_or(session.output.is_json(), |format| format == FormatArg::Json);
    let format = if json {
        ExportFormat::Json
    } else {
        ExportFormat::Markdown
    };
    let text = session.interrupt.race(conversations.export(args.of.id, format)).await;
    let text = text.map_err(|error| explain_unknown(args.of.id, error))?;
    session.output.print_text(plain(text.trim_end().to_owned() + "\n"))
}

async fn remove(
    args: &RemoveArgs,
    conversations: &Conversations,
    nearside: &Nearside,
    session: &mut CliSession,
) -> Result<(), CliError> {
    let id = args.of.id;
    let found = session.interrupt.race(conversations.open(id)).await;
    let title = found.map_err(|error| explain_unknown(id, error))?.summary.title;
    let question = format!("erase conversation {id}, `{title}`?");
    if !prompt::confirm_removal(&question, args.yes, &mut session.output)? {
        return Ok(());
    }
    session.interrupt.race(conversations.delete(id)).await?;
    session.interrupt.race(conversations.purge()).await?;
    session.shut_down(nearside).await;
    if session.output.is_json() {
        return session.output.print_json(&Removed { removed: id });
    }
    session
        .output
        .print_line(&[good("erased"), plain(format!(" conversation {id}, {title}"))])
}

/// Names the command that lists conversations in the error of one that is missing.
pub(crate) fn explain_unknown(id: u64, error: CliError) -> CliError {
    match error {
        CliError::Library(error) if error.reason() == ErrorReason::NotFound => {
            let error = Error::of(ErrorReason::NotFound, format!("there is no conversation {id}"));
            CliError::with_help(error, "`nearside conversations list` lists them")
        }
        other => other,
    }
}

fn row(entry: ConversationEntry) -> Vec<String> {
    vec![
        entry.id.to_string(),
        entry.messages.to_string(),
        // To the minute.
        entry.updated.get(..16).unwrap_or_default().replace('T', " "),
        entry.title,
    ]
}

impl From<ConversationSummary> for ConversationEntry {
    fn from(summary: ConversationSummary) -> Self {
        Self {
            id: summary.id,
            title: summary.title,
            updated: format_time(summary.updated_at_ms),
            messages: summary.messages,
        }
    }
}

impl From<SearchHit> for HitEntry {
    fn from(hit: SearchHit) -> Self {
        Self {
            conversation: hit.conversation.into(),
            message: hit.message,
            snippet: hit.snippet.into_iter().map(|part| part.text).collect(),
        }
    }
}

const MAX_HITS: u32 = 50;

const EXAMPLES: &str = "\
Example:
  nearside conversations list
  nearside conversations search tides
  nearside conversations show 12
  nearside conversations export 12 > tides.md
  nearside conversations rm 12
  nearside chat --conversation 12

Times are in UTC.";
