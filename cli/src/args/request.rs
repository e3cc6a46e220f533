//! The flags that build a request, shared by `chat`, `route` and `cost`.

use clap::Args;
use nearside::Config;
use nearside::chat::{
    ChatMessage, ChatRequest, ContentPart, ConversationSettings, OutputFormat, ReasoningMode, RequestLimits,
    RoutingMode, SamplingOptions, Sensitivity,
};
use nearside::model::ModelRef;

use super::image::read_image;
use super::tools::read_tools;
use super::values::{
    CacheArg, EffortArg, ModeArg, PresetArg, ReasoningDisplay, SensitivityArg, parse_seconds, parse_usd,
};
use crate::error::CliError;
use crate::input::{read_on_thread, read_text};
use crate::interrupt::Interrupt;

/// Arguments of a request, without its prompt.
#[derive(Debug, Args)]
pub(crate) struct RequestArgs {
    /// Model: an installed one, or a file [default: the best target that can answer]
    #[arg(value_name = "REF", value_parser = ModelRef::parse, conflicts_with = "model")]
    reference: Option<ModelRef>,
    /// System prompt for the whole conversation
    #[arg(long, value_name = "TEXT")]
    system: Option<String>,
    /// Show or hide the model's reasoning [default: show on a terminal, else hide]
    #[arg(long, value_name = "WHETHER")]
    pub(crate) reasoning: Option<ReasoningDisplay>,
    /// Reasoning effort of a model that supports it [default: the model's own]
    #[arg(long, value_name = "HOW")]
    reasoning_effort: Option<EffortArg>,
    /// Answer in JSON that matches the JSON Schema in this file
    #[arg(long, value_name = "FILE", value_hint = clap::ValueHint::FilePath)]
    json_schema: Option<String>,
    /// Send this image with the prompt: PNG, JPEG, WebP or GIF, at most 20 MB; may be given several times
    #[arg(long, value_name = "FILE", value_hint = clap::ValueHint::FilePath)]
    image: Vec<String>,
    /// Let the model call the tools in this file: a JSON array of `name`, `description` and `parameters`, a JSON Schema
    #[arg(long, value_name = "FILE", value_hint = clap::ValueHint::FilePath)]
    tools: Option<String>,
    #[command(flatten)]
    routing: RoutingArgs,
    #[command(flatten)]
    sampling: SamplingArgs,
    #[command(flatten)]
    engine: EngineArgs,
}

/// Which targets may answer, and at what cost.
#[derive(Debug, Args)]
#[command(next_help_heading = "Routing")]
struct RoutingArgs {
    /// Whether content may leave this device, and which side is tried first [default: prefer-on-device]
    #[arg(long, value_name = "MODE")]
    mode: Option<ModeArg>,
    /// Provider, by the name it was set up with; no other target answers
    #[arg(long, value_name = "NAME")]
    provider: Option<String>,
    /// Model: an installed one or, with `--provider`, the provider's id of one
    #[arg(long, value_name = "ID")]
    model: Option<String>,
    /// How private the content is [default: personal]
    #[arg(long, value_name = "HOW")]
    sensitivity: Option<SensitivityArg>,
    /// Consent in advance to sending the content to a remote target
    #[arg(short, long)]
    yes: bool,
    /// Maximum cost in US dollars, in addition to the caps of the policy
    #[arg(long, value_name = "USD", value_parser = parse_usd, allow_negative_numbers = true)]
    max_usd: Option<f64>,
    /// Time limit of the whole answer
    #[arg(long, value_name = "SECONDS", value_parser = parse_seconds, allow_negative_numbers = true)]
    deadline: Option<u64>,
    /// Let the provider search the web, if it can; its data policy does not cover the search queries
    #[arg(long)]
    web_search: bool,
}

/// How the next token is picked.
#[derive(Debug, Args)]
#[command(next_help_heading = "Sampling")]
struct SamplingArgs {
    /// Preset, whose values depend on the model (`nearside presets` shows them); the flags below override them
    #[arg(long, value_name = "PRESET")]
    preset: Option<PresetArg>,
    /// 0 always picks the likeliest token, 0.7 is balanced, 1 is creative [default: the model's own]
    #[arg(long, value_name = "T", allow_negative_numbers = true)]
    temperature: Option<f32>,
    /// Only the likeliest tokens that together have this probability
    #[arg(long, value_name = "P", allow_negative_numbers = true)]
    top_p: Option<f32>,
    /// Only the K likeliest tokens; 0 means all
    #[arg(long, value_name = "K")]
    top_k: Option<u32>,
    /// Only tokens at least this likely, relative to the likeliest
    #[arg(long, value_name = "P", allow_negative_numbers = true)]
    min_p: Option<f32>,
    /// Random seed: the same seed gives the same answer
    #[arg(long, value_name = "N")]
    seed: Option<u32>,
    /// End the answer after this many tokens
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(u32).range(1..))]
    max_tokens: Option<u32>,
    /// End the answer before this text; may be given several times
    #[arg(long, value_name = "TEXT")]
    stop: Vec<String>,
}

/// How a local model is run.
#[derive(Debug, Args)]
#[command(next_help_heading = "Local engine")]
struct EngineArgs {
    /// Fixed context size in tokens [default: 4096, which grows with the conversation up to the length that the model was
    /// trained with]
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(u32).range(1..))]
    context: Option<u32>,
    /// Storage of the KV cache [default: f16]
    #[arg(long, value_name = "TYPE")]
    cache: Option<CacheArg>,
    /// Compute threads [default: the performance cores available to this process]
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(u32).range(1..))]
    threads: Option<u32>,
    /// Layers that the GPU computes, 0 for none [default: all, where this build uses a GPU]
    #[arg(long, value_name = "N")]
    gpu_layers: Option<u32>,
}

impl RequestArgs {
    /// Returns what a new conversation keeps of these flags for its later turns.
    pub(crate) fn to_settings(&self) -> ConversationSettings {
        ConversationSettings {
            system: self.system.clone(),
            model: self.named_model(),
            provider: self.routing.provider.clone(),
            preset: self.sampling.preset.map(|preset| preset.0),
        }
    }

    fn named_model(&self) -> Option<String> {
        (self.routing.model.clone()).or(self.reference.as_ref().map(ModelRef::to_string))
    }

    /// Builds the request, without a prompt yet. Fails if the JSON schema or the tools cannot be read.
    pub(crate) async fn to_request(&self, interrupt: &mut Interrupt) -> Result<ChatRequest, CliError> {
        let (routing, sampling) = (&self.routing, &self.sampling);
        let tools = match self.tools.clone() {
            Some(file) => read_on_thread(interrupt, move || read_tools(&file)).await?,
            None => vec![],
        };
        Ok(ChatRequest {
            messages: self.system.iter().map(ChatMessage::system).collect(),
            model: self.named_model(),
            provider: routing.provider.clone(),
            mode: routing.mode.map(|mode| mode.0).unwrap_or_default(),
            sensitivity: routing.sensitivity.map(|sensitivity| sensitivity.0).unwrap_or_default(),
            sampling: SamplingOptions {
                preset: sampling.preset.map(|preset| preset.0),
                temperature: sampling.temperature,
                top_p: sampling.top_p,
                top_k: sampling.top_k,
                min_p: sampling.min_p,
                seed: sampling.seed,
                stop: sampling.stop.clone(),
                ..SamplingOptions::default()
            },
            reasoning: (self.reasoning_effort)
                .map(|effort| ReasoningMode::Effort { effort: effort.0 })
                .unwrap_or_default(),
            output: self.output_format(interrupt).await?,
            tools,
            limits: RequestLimits {
                max_tokens: sampling.max_tokens,
                max_usd: routing.max_usd,
                deadline_ms: routing.deadline,
                ..RequestLimits::default()
            },
            web_search: routing.web_search,
            ..ChatRequest::default()
        })
    }

    /// Reads the images that are sent with the prompt.
    ///
    /// # Errors
    /// `InvalidRequest` for a file that is no image; `Storage`.
    pub(crate) fn read_images(&self) -> Result<Vec<ContentPart>, CliError> {
        self.image.iter().map(|file| read_image(file)).collect()
    }

    /// Returns the provider that is named.
    pub(crate) fn provider(&self) -> Option<&str> {
        self.routing.provider.as_deref()
    }

    /// Whether content may leave this device at all.
    pub(crate) fn allows_remote(&self) -> bool {
        let stays = matches!(self.routing.mode, Some(ModeArg(RoutingMode::OnlyOnDevice)));
        !stays && !matches!(self.routing.sensitivity, Some(SensitivityArg(Sensitivity::Sensitive)))
    }

    /// Whether the user consented in advance.
    pub(crate) fn has_consent(&self) -> bool {
        self.routing.yes
    }

    /// Returns `config` with the values of these flags.
    pub(crate) fn apply_to(&self, config: Config) -> Config {
        Config {
            context: self.engine.context,
            cache_type: self.engine.cache.map(|cache| cache.0),
            threads: self.engine.threads,
            gpu_layers: self.engine.gpu_layers,
            ..config
        }
    }

    async fn output_format(&self, interrupt: &mut Interrupt) -> Result<OutputFormat, CliError> {
        let Some(file) = self.json_schema.clone() else {
            return Ok(OutputFormat::Text);
        };
        let schema = read_on_thread(interrupt, move || read_text(&file, "read the schema")).await?;
        Ok(OutputFormat::JsonSchema { schema })
    }
}
