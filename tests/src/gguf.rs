//! Offsets of all fields in the head of a valid GGUF file, so that each field can be damaged separately.
//!
//! A GGUF file is a header (magic, version, counts), the metadata, the list of tensors, padding, and the weights. llama.cpp
//! plans a load from everything but the weights, so a damaged file is the patched head, extended to the full size by a
//! hole. Does not use the library's parser on purpose: its bugs must not be hidden here.

#![allow(clippy::expect_used, reason = "part of tests, though it is not under `cfg(test)`")]

use std::fs::File;
use std::io::{Read as _, Write as _};
use std::ops::Range;
use std::path::Path;

use crate::models;

/// The head of a real model with the offsets of its fields.
#[derive(Debug, Clone)]
pub struct Layout {
    /// Everything before the weights.
    pub bytes: Vec<u8>,
    /// The size of the whole file.
    pub file_size: u64,
    /// The metadata.
    pub keys: Vec<Key>,
    /// The list of tensors.
    pub tensors: Vec<Tensor>,
}

/// A key and its value.
#[derive(Debug, Clone)]
pub struct Key {
    /// The name.
    pub name: String,
    /// The type number.
    pub kind: u32,
    /// From the length of the name to the end of the value.
    pub whole: Range<usize>,
    /// The four bytes of the type.
    pub kind_at: usize,
    /// The value, with the lengths and types inside it.
    pub value: Range<usize>,
}

/// A tensor's description.
#[derive(Debug, Clone)]
pub struct Tensor {
    /// Offset of the name, with its length.
    pub start: usize,
    /// Offset of the number of dimensions; the dimensions, the type and the offset follow.
    pub dimensions_at: usize,
    /// The number of dimensions.
    pub dimensions: u32,
}

impl Tensor {
    /// Returns the offset of the type.
    pub fn kind_at(&self) -> usize {
        self.dimensions_at + 4 + 8 * self.dimensions as usize
    }
}

impl Layout {
    /// Reads the head of the valid model at `path`.
    ///
    /// # Panics
    /// If the model is not valid.
    #[must_use]
    pub fn read(path: &Path) -> Self {
        let file = File::open(path).expect("the model");
        let file_size = file.metadata().expect("its size").len();
        let mut bytes = Vec::new();
        file.take(16 << 20).read_to_end(&mut bytes).expect("its head");
        let (tensor_count, key_count) = (u64_at(&bytes, 8), u64_at(&bytes, 16));
        let mut at = 24;
        let mut keys = Vec::new();
        for _ in 0..key_count {
            let start = at;
            let name = text_at(&bytes, at);
            let kind_at = at + 8 + name.len();
            let kind = u32_at(&bytes, kind_at);
            at = value_end(&bytes, kind_at + 4, kind);
            keys.push(Key {
                name,
                kind,
                whole: start..at,
                kind_at,
                value: kind_at + 4..at,
            });
        }
        let mut tensors = Vec::new();
        for _ in 0..tensor_count {
            let dimensions_at = at + 8 + text_at(&bytes, at).len();
            let dimensions = u32_at(&bytes, dimensions_at);
            tensors.push(Tensor {
                start: at,
                dimensions_at,
                dimensions,
            });
            at = dimensions_at + 4 + 8 * dimensions as usize + 4 + 8;
        }
        bytes.truncate(at.next_multiple_of(32));
        Self {
            bytes,
            file_size,
            keys,
            tensors,
        }
    }

    /// Returns the key of this name.
    pub fn key(&self, name: &str) -> Option<&Key> {
        self.keys.iter().find(|key| key.name == name)
    }

    /// Returns the architecture.
    pub fn architecture(&self) -> String {
        let key = self.key("general.architecture").expect("an architecture");
        text_at(&self.bytes, key.value.start)
    }

    /// Returns the byte range of the tensor list.
    pub fn tensor_range(&self) -> Range<usize> {
        self.tensors[0].start..self.tensors[self.tensors.len() - 1].kind_at() + 4 + 8
    }

    /// Returns a copy with the bytes from `at` on replaced.
    #[must_use]
    pub fn patched(&self, at: usize, bytes: &[u8]) -> Self {
        let mut head = self.clone();
        head.bytes[at..at + bytes.len()].copy_from_slice(bytes);
        head
    }

    /// Writes the head as a file of the model's full size.
    ///
    /// # Panics
    /// If writing fails.
    pub fn write(&self, path: &Path) {
        let mut file = File::create(path).expect("a file");
        file.write_all(&self.bytes).expect("its head");
        file.set_len(self.file_size).expect("its size");
    }

    /// Returns the ranges of the texts of a list, without their lengths.
    pub fn texts(&self, name: &str) -> Vec<Range<usize>> {
        let value = &self.key(name).expect("a list").value;
        let mut at = value.start + 12;
        let mut texts = Vec::new();
        while at < value.end {
            let end = at + 8 + u64_at(&self.bytes, at) as usize;
            texts.push(at + 8..end);
            at = end;
        }
        texts
    }
}

/// Copies SmolLM2 with another chat template, which must not be longer than its own.
///
/// # Panics
/// If the template is too long, or the folder cannot be written.
pub fn with_chat_template(folder: &Path, template: &str) -> std::path::PathBuf {
    let whole = Layout::read(&models::path("smollm2.gguf"));
    let key = whole.key("tokenizer.chat_template").expect("a template");
    let length = key.value.len() - 8;
    let space = length.checked_sub(template.len() + "{##}".len()).expect("it fits");
    let text = format!("{template}{{#{}#}}", " ".repeat(space));
    let path = folder.join("thinking.gguf");
    std::fs::copy(models::path("smollm2.gguf"), &path).expect("a copy");
    let patched = whole.patched(key.value.start + 8, text.as_bytes());
    let file = std::fs::OpenOptions::new().write(true).open(&path).expect("a file");
    std::os::unix::fs::FileExt::write_all_at(&file, &patched.bytes, 0).expect("written");
    path
}

/// Reads a number of four bytes.
pub fn u32_at(bytes: &[u8], at: usize) -> u32 {
    u32::from_le_bytes(bytes[at..at + 4].try_into().expect("four bytes"))
}

/// Reads a number of eight bytes.
pub fn u64_at(bytes: &[u8], at: usize) -> u64 {
    u64::from_le_bytes(bytes[at..at + 8].try_into().expect("eight bytes"))
}

fn text_at(bytes: &[u8], at: usize) -> String {
    let length = u64_at(bytes, at) as usize;
    String::from_utf8(bytes[at + 8..][..length].to_vec()).expect("UTF-8")
}

fn value_end(bytes: &[u8], at: usize, kind: u32) -> usize {
    match kind {
        0 | 1 | 7 => at + 1,
        2 | 3 => at + 2,
        4..=6 => at + 4,
        10..=12 => at + 8,
        8 => at + 8 + u64_at(bytes, at) as usize,
        9 => {
            let (element, count) = (u32_at(bytes, at), u64_at(bytes, at + 4));
            (0..count).fold(at + 12, |at, _| value_end(bytes, at, element))
        }
        _ => panic!("a sound file has no type {kind}"),
    }
}
