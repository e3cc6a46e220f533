//! Validates the hyperparameters of a model.
//!
//! llama.cpp asserts some of these, divides by others and sizes its memory by the rest. The bounds are about ten times
//! those of the largest known model, and hold for every architecture. Keys that only some architectures need are left
//! to llama.cpp, which returns an error for a missing key or a tensor of the wrong shape.

use super::cursor::{CursorError, corrupt, sanitize, unsupported};
use super::metadata::{Metadata, Value};
use super::tensors::Tensors;

/// The hyperparameters that the other checks depend on.
#[derive(Debug)]
pub(super) struct Hyperparameters<'a> {
    pub(super) architecture: &'a str,
    pub(super) context_length: u32,
    pub(super) block_count: u32,
    pub(super) embedding_length: u32,
}

/// The keys of one architecture.
struct ArchitectureKeys<'m, 'a> {
    metadata: &'m Metadata<'a>,
    architecture: &'a str,
}

/// Validates the hyperparameters in the metadata and returns the basic ones.
pub(super) fn check_hyperparameters<'a>(metadata: &Metadata<'a>) -> Result<Hyperparameters<'a>, CursorError> {
    let architecture = read_architecture(metadata)?;
    let keys = ArchitectureKeys { metadata, architecture };
    let model = Hyperparameters {
        architecture,
        context_length: keys.required_integer("context_length", MAX_CONTEXT)?,
        block_count: keys.required_integer("block_count", MAX_BLOCKS)?,
        embedding_length: keys.required_integer("embedding_length", MAX_WIDTH)?,
    };
    keys.check_heads(&model)?;
    keys.check_experts()?;
    keys.check_floats()?;
    for (name, min, max) in BOUNDS {
        keys.check_range(name, (*min).into(), (*max).into())?;
    }
    Ok(model)
}

impl Hyperparameters<'_> {
    /// Checks the tensors that every text model has against the hyperparameters.
    pub(super) fn check_tensors(&self, tensors: &Tensors<'_>) -> Result<(), CursorError> {
        // A vocoder's embedding is as wide as its features.
        if self.architecture == "wavtokenizer-dec" {
            return Ok(());
        }
        let width = u64::from(self.embedding_length);
        match tensors.shape("token_embd.weight") {
            Some(shape) if shape[0] != width => corrupt(format!(
                "tensor `token_embd.weight` is {} wide, and `{}.embedding_length` is {width}",
                shape[0], self.architecture
            )),
            _ => Ok(()),
        }
    }

    /// Returns the largest context for which llama.cpp takes the short factors, where the model has short and long ones
    /// (`llama_model::get_rope_factors`).
    pub(super) fn short_rope_context(&self, metadata: &Metadata<'_>, tensors: &Tensors<'_>) -> Option<u32> {
        let has = |name| tensors.shape(name).is_some();
        let differ = has("rope_factors_long.weight") || has("rope_factors_short.weight");
        let key = format!("{}.rope.scaling.original_context_length", self.architecture);
        let original = metadata.integer(&key).and_then(|tokens| u32::try_from(tokens).ok());
        let most = original.unwrap_or(self.context_length);
        (differ && !has("rope_freqs.weight") && most > 0).then_some(most)
    }
}

impl ArchitectureKeys<'_, '_> {
    fn full_key(&self, name: &str) -> String {
        format!("{}.{name}", self.architecture)
    }

    /// Returns a required number, from 1 to `max`.
    fn required_integer(&self, name: &str, max: u32) -> Result<u32, CursorError> {
        let key = self.full_key(name);
        match self.metadata.value(&key) {
            Some(Value::Integer(value)) => match u32::try_from(value) {
                Ok(value) if (1..=max).contains(&value) => Ok(value),
                _ => corrupt(format!("`{key}` is {value}, and 1 to {max} is possible")),
            },
            Some(_) => corrupt(format!("`{key}` is not a whole number")),
            None => corrupt(format!("`{key}` is missing")),
        }
    }

    /// Returns the values of a key with one number for all blocks or a list with one per block; `None` if absent.
    fn block_values(&self, name: &str) -> Result<Option<Vec<i128>>, CursorError> {
        let key = self.full_key(name);
        match self.metadata.value(&key) {
            None => Ok(None),
            Some(Value::Integer(value)) => Ok(Some(vec![value])),
            Some(Value::Array(list)) if list.count <= MAX_BLOCKS.into() => {
                let values: Vec<_> = list.integers().collect();
                if values.len() as u64 != list.count {
                    return corrupt(format!("`{key}` is not a list of whole numbers"));
                }
                Ok(Some(values))
            }
            Some(_) => corrupt(format!(
                "`{key}` is neither a whole number nor a list with one for each block"
            )),
        }
    }

    /// Checks that every number under this key is from `min` to `max`; an absent key passes.
    fn check_range(&self, name: &str, min: i128, max: i128) -> Result<(), CursorError> {
        for value in self.block_values(name)?.unwrap_or_default() {
            if !(min..=max).contains(&value) {
                return corrupt(format!(
                    "`{}` is {value}, and {min} to {max} is possible",
                    self.full_key(name)
                ));
            }
        }
        Ok(())
    }

    /// Checks the attention heads. A block with 0 heads has no attention, as in recurrent models.
    fn check_heads(&self, model: &Hyperparameters<'_>) -> Result<(), CursorError> {
        self.check_range("attention.head_count", 0, MAX_HEADS)?;
        self.check_range("attention.head_count_kv", 0, MAX_HEADS)?;
        // If heads differ between blocks, there is no single size to compare the rest with.
        let heads = match self.block_values("attention.head_count")?.as_deref() {
            Some([heads]) if *heads > 0 => *heads,
            _ => return Ok(()),
        };
        let kv_heads = self.block_values("attention.head_count_kv")?.unwrap_or_default();
        // Query heads share key heads in equal groups; llama.cpp's matrix products assert it.
        if let Some(kv_heads) = kv_heads.iter().find(|kv| **kv > 0 && heads % **kv != 0) {
            return corrupt(format!(
                "`{}` is {heads}, not a multiple of {kv_heads}, the heads for keys",
                self.full_key("attention.head_count")
            ));
        }
        let key_length = match self.block_values("attention.key_length")?.as_deref() {
            None => i128::from(model.embedding_length) / heads,
            Some([length]) => *length,
            Some(_) => return Ok(()),
        };
        if key_length < 1 {
            return corrupt(format!(
                "{heads} attention heads do not fit a width of {}",
                model.embedding_length
            ));
        }
        // Rotary positions turn pairs of numbers inside a head.
        let rotated = self.full_key("rope.dimension_count");
        match self.metadata.integer(&rotated) {
            Some(count) if count % 2 != 0 || count > key_length => {
                corrupt(format!("`{rotated}` is {count}, and a head is {key_length} wide"))
            }
            _ => Ok(()),
        }
    }

    /// Checks the floats, which affect every computed value. A norm's epsilon must keep the operand of a square root
    /// non-negative: llama.cpp asserts that during computation, where it cannot be caught.
    fn check_floats(&self) -> Result<(), CursorError> {
        let own = self.full_key("");
        for (key, value) in self.metadata.iter().filter(|(key, _)| key.starts_with(&own)) {
            let sound = match value {
                Value::Float(value) if key.ends_with("epsilon") => (0.0..=1.0).contains(&value),
                Value::Float(value) => !value.is_nan(),
                _ => true,
            };
            if !sound {
                return corrupt(format!("`{}` is no possible number", sanitize(key.as_bytes())));
            }
        }
        Ok(())
    }

    /// Checks the numbers of experts. A mixture of experts uses at least one of them.
    fn check_experts(&self) -> Result<(), CursorError> {
        self.check_range("expert_count", 0, MAX_EXPERTS)?;
        let count = self.metadata.integer(&self.full_key("expert_count")).unwrap_or(0);
        // Dense models of this family declare a single expert.
        if count <= 1 && self.architecture.starts_with("hunyuan") {
            return Ok(());
        }
        self.check_range("expert_used_count", 0, count)?;
        let used = self.block_values("expert_used_count")?.unwrap_or_default();
        if count > 0 && !used.iter().any(|used| *used > 0) {
            return corrupt(format!(
                "`{}` is 0 for {count} experts",
                self.full_key("expert_used_count")
            ));
        }
        let groups = self.metadata.integer(&self.full_key("expert_group_count")).unwrap_or(0);
        let groups_used = self
            .metadata
            .integer(&self.full_key("expert_group_used_count"))
            .unwrap_or(0);
        let sound = match groups {
            0 => true,
            1 => count > 1,
            _ => groups > 0 && groups < count && count % groups == 0 && (1..groups).contains(&groups_used),
        };
        if !sound {
            return corrupt(format!(
                "`{}` is {groups} for {count} experts",
                self.full_key("expert_group_count")
            ));
        }
        Ok(())
    }
}

fn read_architecture<'a>(metadata: &Metadata<'a>) -> Result<&'a str, CursorError> {
    const KEY: &str = "general.architecture";
    let name = match metadata.value(KEY) {
        Some(Value::Text(name)) => name,
        Some(_) => return corrupt(format!("`{KEY}` is not a text")),
        None => return corrupt(format!("`{KEY}` is missing")),
    };
    let plausible = |c: u8| c.is_ascii_alphanumeric() || b"-_.".contains(&c);
    let architecture = match std::str::from_utf8(name) {
        Ok(name) if (1..=64).contains(&name.len()) && name.bytes().all(plausible) => name,
        _ => return corrupt(format!("`{}` is no name of an architecture", sanitize(name))),
    };
    if metadata.integer("split.count").is_some_and(|parts| parts > 1) {
        return unsupported("it is one part of a model in several files; take one that is whole");
    }
    match metadata.text("general.type").as_deref() {
        Some("adapter") => return unsupported("it is an adapter, which only changes another model"),
        Some("imatrix") => return unsupported("it holds statistics for quantizing, not a model"),
        Some("vocab") => return unsupported("it holds a vocabulary only, not a model"),
        _ => {}
    }
    match architecture {
        "clip" => unsupported("it is the vision or audio part of another model, not a language model"),
        "imatrix" => unsupported("it holds statistics for quantizing, not a model"),
        _ => Ok(architecture),
    }
}

/// The longest context that any model declares is ten million tokens.
const MAX_CONTEXT: u32 = 1 << 28;
/// llama.cpp's own limit.
const MAX_BLOCKS: u32 = 512;
const MAX_WIDTH: u32 = 1 << 18;
const MAX_HEADS: i128 = 4096;
const MAX_HEAD_LENGTH: u32 = 8192;
/// llama.cpp's own limit.
const MAX_EXPERTS: i128 = 1024;

/// Keys with their minimum and maximum. A minimum of 1 guards a division or a subtraction.
const BOUNDS: &[(&str, u32, u32)] = &[
    ("vocab_size", 0, 1 << 20),
    ("feed_forward_length", 0, 1 << 22),
    ("expert_feed_forward_length", 0, 1 << 22),
    ("expert_shared_feed_forward_length", 0, 1 << 22),
    ("embedding_length_out", 0, MAX_WIDTH),
    ("embedding_length_per_layer_input", 0, MAX_WIDTH),
    ("features_length", 0, MAX_WIDTH),
    ("nextn_predict_layers", 0, MAX_BLOCKS),
    ("leading_dense_block_count", 0, MAX_BLOCKS),
    ("decoder_block_count", 0, MAX_BLOCKS),
    ("attention.shared_kv_layers", 0, MAX_BLOCKS),
    ("attention.key_length", 1, MAX_HEAD_LENGTH),
    ("attention.value_length", 1, MAX_HEAD_LENGTH),
    ("attention.key_length_swa", 1, MAX_HEAD_LENGTH),
    ("attention.value_length_swa", 1, MAX_HEAD_LENGTH),
    ("attention.key_length_mla", 1, MAX_HEAD_LENGTH),
    ("attention.value_length_mla", 1, MAX_HEAD_LENGTH),
    ("attention.kv_lora_rank", 0, MAX_WIDTH),
    ("attention.q_lora_rank", 0, MAX_WIDTH),
    ("attention.sliding_window", 0, i32::MAX as u32),
    ("rope.dimension_count", 0, MAX_HEAD_LENGTH),
    ("rope.dimension_count_swa", 0, MAX_HEAD_LENGTH),
    ("ssm.conv_kernel", 1, 4096),
    ("ssm.inner_size", 0, MAX_WIDTH),
    ("ssm.state_size", 0, MAX_WIDTH),
    ("ssm.time_step_rank", 0, MAX_WIDTH),
    ("ssm.group_count", 0, MAX_WIDTH),
    ("shortconv.l_cache", 1, 4096),
    ("wkv.head_size", 1, MAX_WIDTH),
    ("token_shift_count", 0, 4096),
    ("posnet.block_count", 0, MAX_BLOCKS),
    ("convnext.block_count", 0, MAX_BLOCKS),
    ("posnet.embedding_length", 0, MAX_WIDTH),
    ("convnext.embedding_length", 0, MAX_WIDTH),
];
