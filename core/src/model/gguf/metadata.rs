//! The keys and values of a GGUF file, borrowed from its bytes.
//!
//! Arrays are not copied: of a vocabulary with 262,144 tokens only offset and length are stored. Construction visits
//! every byte, so later access cannot fail.

use std::collections::HashMap;

use super::cursor::{Cursor, CursorError, corrupt, sanitize, unsupported};

/// The keys of a file with their values.
#[derive(Debug)]
pub(super) struct Metadata<'a> {
    values: HashMap<&'a str, Value<'a>>,
}

/// One value. Integers of all widths are one variant; llama.cpp is stricter where it needs to be.
#[derive(Debug, Clone, Copy)]
pub(super) enum Value<'a> {
    Integer(i128),
    Float(f64),
    Bool(bool),
    Text(&'a [u8]),
    Array(Array<'a>),
}

/// A list of values of one type.
#[derive(Debug, Clone, Copy)]
pub(super) struct Array<'a> {
    pub(super) element: Element,
    pub(super) count: u64,
    bytes: &'a [u8],
}

/// Type of a value or of the elements of an array.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Element {
    U8,
    I8,
    U16,
    I16,
    U32,
    I32,
    F32,
    Bool,
    Text,
    U64,
    I64,
    F64,
}

impl<'a> Metadata<'a> {
    /// Reads `count` keys and their values.
    pub(super) fn from_cursor(cursor: &mut Cursor<'a>, count: u64) -> Result<Self, CursorError> {
        cursor.require(count * MIN_KEY_SIZE)?;
        let mut values = HashMap::new();
        for _ in 0..count {
            let bytes = cursor.string(MAX_KEY_LENGTH)?;
            let key = match std::str::from_utf8(bytes) {
                Ok(key) if !key.is_empty() && !key.contains('\0') => key,
                _ => return corrupt(format!("`{}` is no name of a key", sanitize(bytes))),
            };
            let value = read_value(cursor, key)?;
            if values.insert(key, value).is_some() {
                return corrupt(format!("key `{}` appears twice", sanitize(bytes)));
            }
        }
        Ok(Self { values })
    }

    /// Returns all keys with their values, in no particular order.
    pub(super) fn iter(&self) -> impl Iterator<Item = (&'a str, Value<'a>)> {
        self.values.iter().map(|(key, value)| (*key, *value))
    }

    pub(super) fn value(&self, key: &str) -> Option<Value<'a>> {
        self.values.get(key).copied()
    }

    /// Returns an integer of any width.
    pub(super) fn integer(&self, key: &str) -> Option<i128> {
        match self.value(key)? {
            Value::Integer(integer) => Some(integer),
            _ => None,
        }
    }

    /// Returns a finite float.
    pub(super) fn number(&self, key: &str) -> Option<f32> {
        match self.value(key)? {
            Value::Float(number) => Some(number as f32).filter(|number| number.is_finite()),
            _ => None,
        }
    }

    pub(super) fn bool(&self, key: &str) -> Option<bool> {
        match self.value(key)? {
            Value::Bool(value) => Some(value),
            _ => None,
        }
    }

    /// Returns a text if it is UTF-8.
    pub(super) fn text(&self, key: &str) -> Option<String> {
        match self.value(key)? {
            Value::Text(bytes) => String::from_utf8(bytes.to_vec()).ok(),
            _ => None,
        }
    }

    /// Returns the alignment of tensor offsets in bytes.
    pub(super) fn alignment(&self) -> Result<u64, CursorError> {
        const KEY: &str = "general.alignment";
        match self.value(KEY) {
            None => Ok(DEFAULT_ALIGNMENT),
            Some(Value::Integer(value)) => match u64::try_from(value) {
                Ok(value) if value.is_power_of_two() && value <= MAX_ALIGNMENT => {
                    if value < DEFAULT_ALIGNMENT {
                        // llama.cpp asserts that a mapped tensor lies at a multiple of 32.
                        return unsupported(format!("its tensors are aligned to {value} bytes, and 32 are needed"));
                    }
                    Ok(value)
                }
                _ => corrupt(format!("`{KEY}` is {value}, not a power of two up to {MAX_ALIGNMENT}")),
            },
            Some(_) => corrupt(format!("`{KEY}` is not a number")),
        }
    }
}

impl<'a> Array<'a> {
    /// Returns the elements of an array of texts; none for other types.
    pub(super) fn texts(&self) -> impl Iterator<Item = &'a [u8]> + use<'a> {
        let mut rest = if self.element == Element::Text { self.bytes } else { &[] };
        std::iter::from_fn(move || {
            let (length, after) = rest.split_first_chunk::<8>()?;
            let (text, after) = after.split_at_checked(usize::try_from(u64::from_le_bytes(*length)).ok()?)?;
            rest = after;
            Some(text)
        })
    }

    /// Returns the elements of an array of integers or bools; none for other types.
    pub(super) fn integers(&self) -> impl Iterator<Item = i128> + use<'a> {
        let element = self.element;
        self.bytes
            .chunks_exact(element.size().unwrap_or(1) as usize)
            .map_while(move |bytes| element.decode_integer(bytes))
    }

    /// Returns the elements of an array of 32-bit floats; none for other types.
    pub(super) fn floats(&self) -> impl Iterator<Item = f32> + use<'a> {
        let bytes = if self.element == Element::F32 { self.bytes } else { &[] };
        bytes
            .chunks_exact(4)
            .filter_map(|bytes| Some(f32::from_le_bytes(bytes.try_into().ok()?)))
    }
}

impl Element {
    fn from_id(id: u32) -> Option<Self> {
        Some(match id {
            0 => Self::U8,
            1 => Self::I8,
            2 => Self::U16,
            3 => Self::I16,
            4 => Self::U32,
            5 => Self::I32,
            6 => Self::F32,
            7 => Self::Bool,
            8 => Self::Text,
            10 => Self::U64,
            11 => Self::I64,
            12 => Self::F64,
            _ => return None,
        })
    }

    /// Returns the size of one element in bytes; `None` for texts.
    fn size(self) -> Option<u64> {
        match self {
            Self::U8 | Self::I8 | Self::Bool => Some(1),
            Self::U16 | Self::I16 => Some(2),
            Self::U32 | Self::I32 | Self::F32 => Some(4),
            Self::U64 | Self::I64 | Self::F64 => Some(8),
            Self::Text => None,
        }
    }

    fn decode_integer(self, bytes: &[u8]) -> Option<i128> {
        Some(match self {
            Self::U8 | Self::Bool => u8::from_le_bytes(bytes.try_into().ok()?).into(),
            Self::I8 => i8::from_le_bytes(bytes.try_into().ok()?).into(),
            Self::U16 => u16::from_le_bytes(bytes.try_into().ok()?).into(),
            Self::I16 => i16::from_le_bytes(bytes.try_into().ok()?).into(),
            Self::U32 => u32::from_le_bytes(bytes.try_into().ok()?).into(),
            Self::I32 => i32::from_le_bytes(bytes.try_into().ok()?).into(),
            Self::U64 => u64::from_le_bytes(bytes.try_into().ok()?).into(),
            Self::I64 => i64::from_le_bytes(bytes.try_into().ok()?).into(),
            Self::F32 | Self::F64 | Self::Text => return None,
        })
    }
}

fn read_value<'a>(cursor: &mut Cursor<'a>, key: &str) -> Result<Value<'a>, CursorError> {
    let id = cursor.u32()?;
    if id == ARRAY {
        return read_array(cursor, key).map(Value::Array);
    }
    let Some(element) = Element::from_id(id) else {
        return corrupt(format!("key `{}` has the unknown type {id}", sanitize(key.as_bytes())));
    };
    let Some(size) = element.size() else {
        return cursor.string(MAX_STRING_LENGTH).map(Value::Text);
    };
    let bytes = cursor.take(size)?;
    Ok(match (element, bytes) {
        (Element::Bool, [0]) => Value::Bool(false),
        (Element::Bool, [1]) => Value::Bool(true),
        (Element::Bool, _) => return corrupt(format!("`{}` is neither true nor false", sanitize(key.as_bytes()))),
        (Element::F32, [a, b, c, d]) => Value::Float(f32::from_le_bytes([*a, *b, *c, *d]).into()),
        (Element::F64, bytes) => Value::Float(bytes.try_into().map_or(f64::NAN, f64::from_le_bytes)),
        (element, bytes) => Value::Integer(element.decode_integer(bytes).unwrap_or(-1)),
    })
}

fn read_array<'a>(cursor: &mut Cursor<'a>, key: &str) -> Result<Array<'a>, CursorError> {
    let id = cursor.u32()?;
    let Some(element) = Element::from_id(id) else {
        return corrupt(format!(
            "the list `{}` has elements of the unknown type {id}",
            sanitize(key.as_bytes())
        ));
    };
    let limit = if element == Element::Text {
        MAX_TEXTS
    } else {
        MAX_NUMBERS
    };
    let count = cursor.count(&format!("elements in `{}`", sanitize(key.as_bytes())), limit)?;
    let bytes = match element.size() {
        Some(size) => cursor.take(count * size)?,
        None => {
            // A text takes at least its 8-byte length, so one `require` covers a valid list and detects a false count at once.
            cursor.require(count * 8)?;
            let mut ahead = cursor.clone();
            for done in 0..count {
                ahead.require((count - done) * 8)?;
                ahead.string(MAX_STRING_LENGTH)?;
            }
            cursor.take(ahead.position() - cursor.position())?
        }
    };
    if element == Element::Bool && bytes.iter().any(|byte| *byte > 1) {
        return corrupt(format!(
            "an element of `{}` is neither true nor false",
            sanitize(key.as_bytes())
        ));
    }
    Ok(Array { element, count, bytes })
}

/// The type number of a list.
const ARRAY: u32 = 9;
/// Length, one letter, type, one byte.
const MIN_KEY_SIZE: u64 = 8 + 1 + 4 + 1;
/// The format's own limit.
const MAX_KEY_LENGTH: u64 = 65_535;
/// The longest texts are chat templates, of some 100 KB; the hub's own reader allows as much as this.
const MAX_STRING_LENGTH: u64 = 10_000_000;
/// Four times the largest known vocabulary; its merges are at most twice its tokens.
const MAX_TEXTS: u64 = 1 << 20;
/// The longest list of numbers is the character map of a T5 tokenizer, of some 300,000 bytes.
const MAX_NUMBERS: u64 = 1 << 22;
/// Default of the format; also the minimum that llama.cpp can map.
const DEFAULT_ALIGNMENT: u64 = 32;
const MAX_ALIGNMENT: u64 = 1 << 16;
