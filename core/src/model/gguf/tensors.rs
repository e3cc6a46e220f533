//! The tensor list: names, shapes, types and offsets, checked so that every tensor lies inside the file.
//!
//! As in llama.cpp, tensors must be in the order of the list, each directly after the padded previous one.

use std::collections::{BTreeMap, HashMap};

use super::cursor::{Cursor, CursorError, corrupt, sanitize, unsupported};
use super::quantization::{TensorType, mixture_name, was_removed};

/// The tensors of a file: shapes by name, and totals.
#[derive(Debug)]
pub(super) struct Tensors<'a> {
    shapes: HashMap<&'a str, [u64; MAX_DIMENSIONS]>,
    bytes_by_type: BTreeMap<&'static str, u64>,
    /// Number of values in all tensors.
    pub(super) parameters: u64,
    /// Offset of the weights in bytes.
    pub(super) data_offset: u64,
    /// End of the last tensor in bytes from the start of the file.
    pub(super) end: u64,
}

struct Tensor<'a> {
    name: &'a str,
    shape: [u64; MAX_DIMENSIONS],
    kind: TensorType,
    elements: u64,
    bytes: u64,
    offset: u64,
}

impl<'a> Tensors<'a> {
    /// Reads `count` tensor descriptions, and checks them against each other and the size of the file.
    pub(super) fn from_cursor(cursor: &mut Cursor<'a>, count: u64, alignment: u64) -> Result<Self, CursorError> {
        if count == 0 {
            return unsupported("it holds no weights, only a vocabulary or a description; take a whole model");
        }
        cursor.require(count * MIN_TENSOR_SIZE)?;
        let mut tensors = Self {
            shapes: HashMap::new(),
            bytes_by_type: BTreeMap::new(),
            parameters: 0,
            data_offset: 0,
            end: 0,
        };
        let mut expected_offset = 0_u64;
        let mut data_length = 0_u64;
        for _ in 0..count {
            let tensor = read_tensor(cursor)?;
            let name = sanitize(tensor.name.as_bytes());
            if tensor.offset != expected_offset {
                return corrupt(format!(
                    "tensor `{name}` lies at byte {} of the weights, and should at {expected_offset}",
                    tensor.offset
                ));
            }
            // The file's size bounds every sum below, long before u64 overflows.
            data_length = match expected_offset.checked_add(tensor.bytes) {
                Some(end) if end <= cursor.file_size() => end,
                _ => return truncated(cursor, &name),
            };
            expected_offset = data_length.next_multiple_of(alignment);
            tensors.parameters = tensors.parameters.saturating_add(tensor.elements);
            *tensors.bytes_by_type.entry(tensor.kind.name).or_default() += tensor.bytes;
            if tensors.shapes.insert(tensor.name, tensor.shape).is_some() {
                return corrupt(format!("tensor `{name}` appears twice"));
            }
        }
        tensors.data_offset = cursor.position().next_multiple_of(alignment);
        tensors.end = tensors.data_offset + data_length;
        if tensors.end > cursor.file_size() {
            return corrupt(format!("it is cut: {} bytes of {}", cursor.file_size(), tensors.end));
        }
        Ok(tensors)
    }

    /// Returns the lengths of a tensor's dimensions, rows first; missing dimensions are 1.
    pub(super) fn shape(&self, name: &str) -> Option<[u64; MAX_DIMENSIONS]> {
        self.shapes.get(name).copied()
    }

    /// Returns the usual name of the file's quantization: the declared mixture, else the type with the most bytes.
    pub(super) fn quantization_label(&self, file_type: Option<i128>) -> String {
        let declared = file_type.and_then(mixture_name);
        declared.unwrap_or_else(|| self.dominant_type()).to_owned()
    }

    /// Returns the type with the most bytes.
    fn dominant_type(&self) -> &'static str {
        let most = self.bytes_by_type.iter().max_by_key(|(_, bytes)| **bytes);
        most.map_or("unknown", |(name, _)| name)
    }
}

fn read_tensor<'a>(cursor: &mut Cursor<'a>) -> Result<Tensor<'a>, CursorError> {
    let bytes = cursor.string(MAX_NAME_LENGTH)?;
    let name = match std::str::from_utf8(bytes) {
        Ok(name) if !name.is_empty() && !name.contains('\0') => name,
        _ => return corrupt(format!("`{}` is no name of a tensor", sanitize(bytes))),
    };
    let dimensions = cursor.u32()? as usize;
    if !(1..=MAX_DIMENSIONS).contains(&dimensions) {
        return corrupt(format!("tensor `{}` has {dimensions} dimensions", sanitize(bytes)));
    }
    let mut shape = [1; MAX_DIMENSIONS];
    let mut elements = 1_u64;
    for length in &mut shape[..dimensions] {
        *length = cursor.u64()?;
        // llama.cpp multiplies lengths as i64.
        elements = match elements
            .checked_mul(*length)
            .filter(|product| *product <= i64::MAX as u64)
        {
            Some(product) if *length > 0 => product,
            _ => return corrupt(format!("tensor `{}` has an impossible shape", sanitize(bytes))),
        };
    }
    let kind = read_type(cursor, bytes)?;
    if shape[0] % kind.block != 0 {
        return corrupt(format!(
            "tensor `{}` has rows of {} numbers, not a multiple of {} as {} needs",
            sanitize(bytes),
            shape[0],
            kind.block,
            kind.name
        ));
    }
    check_use(name, dimensions, kind)?;
    let Some(size) = (elements / kind.block).checked_mul(kind.bytes) else {
        return corrupt(format!("tensor `{}` has an impossible size", sanitize(bytes)));
    };
    Ok(Tensor {
        name,
        shape,
        kind,
        elements,
        bytes: size,
        offset: cursor.u64()?,
    })
}

fn read_type(cursor: &mut Cursor<'_>, name: &[u8]) -> Result<TensorType, CursorError> {
    let id = cursor.u32()?;
    match TensorType::from_id(id) {
        Some(known) => Ok(known),
        None if was_removed(id) => unsupported(format!(
            "tensor `{}` is stored as type {id}, which is no longer supported; take a newer file of the same model",
            sanitize(name)
        )),
        // ggml adds a few types a year: a small number is probably one of them, a large one is noise.
        None if id < PLAUSIBLE_TYPES => unsupported(format!(
            "tensor `{}` is stored as type {id}, which this build does not know; update the app",
            sanitize(name)
        )),
        None => corrupt(format!("tensor `{}` has the impossible type {id}", sanitize(name))),
    }
}

/// Checks that a tensor of this name may have this type. llama.cpp asserts it during computation, where it cannot be
/// caught.
fn check_use(name: &str, dimensions: usize, kind: TensorType) -> Result<(), CursorError> {
    let added_or_scaled = dimensions == 1 && (name.ends_with(".bias") || name.ends_with("norm.weight"));
    let multiplied = dimensions > 1 && name.ends_with(".weight");
    let sound = match kind.name {
        "F32" => true,
        "F16" | "BF16" => !added_or_scaled,
        // Types of intermediate results, and plain numbers. Only tables of experts have those.
        "Q8_1" | "Q8_K" | "I8" | "I16" | "F64" => !(added_or_scaled || multiplied),
        "I32" | "I64" => !(added_or_scaled || multiplied && !name.contains("tid2eid")),
        _ => !added_or_scaled,
    };
    if !sound {
        return unsupported(format!(
            "tensor `{}` is stored as {}, which is not supported for this tensor",
            sanitize(name.as_bytes()),
            kind.name
        ));
    }
    Ok(())
}

fn truncated<T>(cursor: &Cursor<'_>, name: &str) -> Result<T, CursorError> {
    corrupt(format!(
        "tensor `{name}` ends behind the end of the file, which has {} bytes",
        cursor.file_size()
    ))
}

const MAX_DIMENSIONS: usize = 4;
/// ggml keeps names in 64 bytes, the last one being zero.
const MAX_NAME_LENGTH: u64 = 63;
/// Length, one letter, dimensions, one dimension, type, offset.
const MIN_TENSOR_SIZE: u64 = 8 + 1 + 4 + 8 + 4 + 8;
const PLAUSIBLE_TYPES: u32 = 256;
