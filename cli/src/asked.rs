//! The flags that build a request, shared by `chat`, `route` and `cost`.

use clap::{Args, ValueEnum};
use nearside::chat::{ChatRequest, Effort, Limits, Message, Mode, Output, Preset, Reasoning, Sampling, Sensitivity};
use nearside::model::ModelRef;
use nearside::{Config, Error};

use crate::arguments::Cache;
use crate::failure::Failure;
use crate::input;
use crate::session::Session;

/// Everything about a request but its question.
#[derive(Debug, Args)]
pub(crate) struct Asked {
    /// The model: an installed one, or a file [default: the best place that may answer]
    #[arg(value_name = "REF", value_parser = ModelRef::parse, conflicts_with = "model")]
    reference: Option<ModelRef>,
    /// Instructions for the whole conversation
    #[arg(long, value_name = "TEXT")]
    system: Option<String>,
    /// Show or hide what the model thinks before it answers [default: show on a terminal, else hide]
    #[arg(long, value_name = "WHETHER")]
    pub(crate) reasoning: Option<Thoughts>,
    /// How hard a model that can think does so before it answers [default: as the model is made]
    #[arg(long, value_name = "HOW")]
    reasoning_effort: Option<HowHard>,
    /// Answer in JSON of the shape that this file holds, as a JSON Schema
    #[arg(long, value_name = "FILE", value_hint = clap::ValueHint::FilePath)]
    json_schema: Option<String>,
    #[command(flatten)]
    going: Going,
    #[command(flatten)]
    picking: Picking,
    #[command(flatten)]
    running: Running,
}

/// Where the words may go, and what that may cost.
#[derive(Debug, Args)]
#[command(next_help_heading = "Who answers")]
struct Going {
    /// Whether the words may leave this machine, and what is tried first [default: prefer-on-device]
    #[arg(long, value_name = "MODE")]
    mode: Option<Where>,
    /// This provider, by the name it was set up with; it comes first if the policy allows it
    #[arg(long, value_name = "NAME")]
    provider: Option<String>,
    /// This model: an installed one, or, with `--provider`, what the provider calls it
    #[arg(long, value_name = "ID")]
    model: Option<String>,
    /// How private the words are [default: personal]
    #[arg(long, value_name = "HOW")]
    sensitivity: Option<Privacy>,
    /// Agree beforehand to what would be asked: that the words go elsewhere
    #[arg(short, long)]
    yes: bool,
    /// What this may cost at most, in US dollars, below the caps of the policy
    #[arg(long, value_name = "USD", value_parser = usd, allow_negative_numbers = true)]
    max_usd: Option<f64>,
    /// When the answer must be over
    #[arg(long, value_name = "SECONDS", value_parser = milliseconds, allow_negative_numbers = true)]
    deadline: Option<u64>,
    /// Let the provider search the web, where it can; its terms do not cover what is searched for
    #[arg(long)]
    web_search: bool,
}

/// How the next token is picked.
#[derive(Debug, Args)]
#[command(next_help_heading = "How words are picked")]
struct Picking {
    /// In one word; what it means is the model's own matter, and the flags below come before it
    #[arg(long, value_name = "PRESET")]
    preset: Option<Freedom>,
    /// 0 always takes the likeliest word, 0.7 is balanced, 1 is creative [default: the model's own]
    #[arg(long, value_name = "T", allow_negative_numbers = true)]
    temperature: Option<f32>,
    /// Only the likeliest words that together have this probability
    #[arg(long, value_name = "P", allow_negative_numbers = true)]
    top_p: Option<f32>,
    /// Only the K likeliest words; 0 means all
    #[arg(long, value_name = "K")]
    top_k: Option<u32>,
    /// Only words at least this likely, relative to the likeliest
    #[arg(long, value_name = "P", allow_negative_numbers = true)]
    min_p: Option<f32>,
    /// The same seed gives the same answer
    #[arg(long, value_name = "N")]
    seed: Option<u32>,
    /// End the answer after this many tokens
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(u32).range(1..))]
    max_tokens: Option<u32>,
    /// End the answer before this text; may be given several times
    #[arg(long, value_name = "TEXT")]
    stop: Vec<String>,
}

/// How a model on this machine is run.
#[derive(Debug, Args)]
#[command(next_help_heading = "How the model is run")]
struct Running {
    /// Tokens that the model looks at, at most [default: 4096, at most what it was trained with]
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(u32).range(1..))]
    context: Option<u32>,
    /// How the keys and values of the context are stored [default: f16]
    #[arg(long, value_name = "TYPE")]
    cache: Option<Cache>,
    /// Threads that compute [default: the performance cores this process may use]
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(u32).range(1..))]
    threads: Option<u32>,
}

/// Whether a person wants to see how the model came to its answer.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub(crate) enum Thoughts {
    /// Above the answer, dimmed
    Show,
    /// Only that it thinks, and how long
    Hide,
}

/// `--mode`.
#[derive(Debug, Clone, Copy, ValueEnum)]
enum Where {
    /// Here or not at all: no connection is opened
    OnlyOnDevice,
    /// Here if it can be done here, else elsewhere
    PreferOnDevice,
    /// Elsewhere if the policy allows it, else here
    PreferInCloud,
    /// Elsewhere or not at all
    OnlyInCloud,
}

/// `--sensitivity`.
#[derive(Debug, Clone, Copy, ValueEnum)]
enum Privacy {
    /// Nothing in it is private: it may go wherever the policy allows, unasked
    Public,
    /// It goes elsewhere only where the policy allows and you agreed
    Personal,
    /// It never leaves this machine
    Sensitive,
}

/// `--preset`.
#[derive(Debug, Clone, Copy, ValueEnum)]
enum Freedom {
    /// The likeliest words: facts, code, translations
    Precise,
    /// As most people want it most of the time
    Balanced,
    /// Unlikely words as well: stories, ideas
    Creative,
}

/// `--reasoning-effort`.
#[derive(Debug, Clone, Copy, ValueEnum)]
enum HowHard {
    /// A little
    Low,
    /// As usual
    Medium,
    /// A lot
    High,
}

impl Asked {
    /// The request, without a question yet.
    ///
    /// # Errors
    /// A schema that cannot be read.
    pub(crate) fn request(&self) -> Result<ChatRequest, Failure> {
        let (going, picking) = (&self.going, &self.picking);
        Ok(ChatRequest {
            messages: self.system.iter().map(Message::system).collect(),
            model: going.model.clone().or(self.reference.as_ref().map(ModelRef::to_string)),
            provider: going.provider.clone(),
            mode: going.mode.map(Mode::from).unwrap_or_default(),
            sensitivity: going.sensitivity.map(Sensitivity::from).unwrap_or_default(),
            sampling: Sampling {
                preset: picking.preset.map(Preset::from),
                temperature: picking.temperature,
                top_p: picking.top_p,
                top_k: picking.top_k,
                min_p: picking.min_p,
                seed: picking.seed,
                stop: picking.stop.clone(),
                ..Sampling::default()
            },
            reasoning: self.reasoning_effort.map(Reasoning::from).unwrap_or_default(),
            output: self.output()?,
            limits: Limits {
                max_tokens: picking.max_tokens,
                max_usd: going.max_usd,
                deadline_ms: going.deadline,
            },
            web_search: going.web_search,
            ..ChatRequest::default()
        })
    }

    /// The request with this question; `-` reads it from standard input.
    pub(crate) async fn question(&self, text: &str, session: &mut Session<'_>) -> Result<ChatRequest, Failure> {
        let mut request = self.request()?;
        request.messages.push(Message::user(match text {
            "-" => input::whole(&mut session.interrupt).await?,
            _ => text.to_owned(),
        }));
        Ok(request)
    }

    /// Whether the words may leave this machine at all.
    pub(crate) fn may_leave(&self) -> bool {
        let stays = matches!(self.going.mode, Some(Where::OnlyOnDevice));
        !stays && !matches!(self.going.sensitivity, Some(Privacy::Sensitive))
    }

    /// Whether the person agreed beforehand.
    pub(crate) fn agreed(&self) -> bool {
        self.going.yes
    }

    /// The library's settings, with what these flags say of them.
    pub(crate) fn config(&self, usual: Config) -> Config {
        Config {
            context: self.running.context,
            cache_type: self.running.cache.map(|cache| cache.0),
            threads: self.running.threads,
            ..usual
        }
    }

    fn output(&self) -> Result<Output, Failure> {
        let Some(file) = &self.json_schema else {
            return Ok(Output::Text);
        };
        match std::fs::read_to_string(file) {
            Ok(schema) => Ok(Output::JsonSchema { schema }),
            Err(cause) => Err(Error::file(file.as_ref(), "read the schema", &cause).into()),
        }
    }
}

impl From<Where> for Mode {
    fn from(mode: Where) -> Self {
        match mode {
            Where::OnlyOnDevice => Self::OnlyOnDevice,
            Where::PreferOnDevice => Self::PreferOnDevice,
            Where::PreferInCloud => Self::PreferInCloud,
            Where::OnlyInCloud => Self::OnlyInCloud,
        }
    }
}

impl From<Privacy> for Sensitivity {
    fn from(privacy: Privacy) -> Self {
        match privacy {
            Privacy::Public => Self::Public,
            Privacy::Personal => Self::Personal,
            Privacy::Sensitive => Self::Sensitive,
        }
    }
}

impl From<Freedom> for Preset {
    fn from(freedom: Freedom) -> Self {
        match freedom {
            Freedom::Precise => Self::Precise,
            Freedom::Balanced => Self::Balanced,
            Freedom::Creative => Self::Creative,
        }
    }
}

impl From<HowHard> for Reasoning {
    fn from(how: HowHard) -> Self {
        let effort = match how {
            HowHard::Low => Effort::Low,
            HowHard::Medium => Effort::Medium,
            HowHard::High => Effort::High,
        };
        Self::Effort { effort }
    }
}

/// Reads `0.05` or `$0.05`.
///
/// # Errors
/// A text for the person who wrote it.
pub(crate) fn usd(text: &str) -> Result<f64, String> {
    match text.trim().trim_start_matches('$').parse() {
        Ok(usd) if (0.0..f64::INFINITY).contains(&usd) => Ok(usd),
        _ => Err(format!("`{text}` is no sum of US dollars, such as `0.05`")),
    }
}

fn milliseconds(text: &str) -> Result<u64, String> {
    match text.trim().parse::<f64>() {
        Ok(seconds) if (0.001..=1e9).contains(&seconds) => Ok((seconds * 1e3) as u64),
        _ => Err(format!("`{text}` is no number of seconds, such as `30` or `0.5`")),
    }
}
