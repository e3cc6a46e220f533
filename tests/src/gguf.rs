//! Makes damaged models from the head of a real one.
//!
//! A GGUF file is a header (magic, version, counts), the metadata, the list of tensors, padding, and the weights. llama.cpp
//! plans a load from everything but the weights, so a damaged file is the patched head, extended to the full size by a
//! hole.

#![allow(clippy::expect_used, reason = "part of tests, though it is not under `cfg(test)`")]

use std::fs::File;
use std::io::{Read as _, Write as _};
use std::ops::Range;
use std::path::Path;

/// The head of a GGUF file and the offsets of its values.
#[derive(Clone)]
pub struct ModelHead {
    bytes: Vec<u8>,
    file_size: u64,
    values: Vec<(String, u32, Range<usize>)>,
    tensors: Range<usize>,
}

impl ModelHead {
    /// Reads the head of the valid model at `path`.
    ///
    /// # Panics
    /// If the model is not valid.
    #[must_use]
    pub fn read(path: &Path) -> Self {
        let file = File::open(path).expect("the model");
        let file_size = file.metadata().expect("its size").len();
        let mut bytes = Vec::new();
        (&file).take(16 << 20).read_to_end(&mut bytes).expect("its head");
        let mut at = Cursor { bytes: &bytes, at: 8 };
        let (tensors, pairs) = (at.u64(), at.u64());
        let values = (0..pairs)
            .map(|_| {
                let key = at.text();
                let kind = at.u32();
                let start = at.at;
                at.skip(kind);
                (key, kind, start..at.at)
            })
            .collect();
        let start = at.at;
        for _ in 0..tensors {
            at.text();
            let dimensions = at.u32() as usize;
            at.at += dimensions * 8 + 4 + 8;
        }
        let tensors = start..at.at;
        let data = tensors.end.next_multiple_of(32);
        bytes.truncate(data);
        bytes.resize(data, 0);
        Self {
            bytes,
            file_size,
            values,
            tensors,
        }
    }

    /// Returns the metadata keys with their type numbers.
    pub fn keys(&self) -> impl Iterator<Item = (&str, u32)> {
        self.values.iter().map(|(key, kind, _)| (key.as_str(), *kind))
    }

    /// Returns the byte range of the tensor list.
    #[must_use]
    pub fn tensors(&self) -> Range<usize> {
        self.tensors.clone()
    }

    /// Returns the byte range of the value of `key`.
    ///
    /// # Panics
    /// If the model has no such key.
    #[must_use]
    pub fn value(&self, key: &str) -> Range<usize> {
        let found = self.values.iter().find(|(name, ..)| name == key);
        found.unwrap_or_else(|| panic!("no `{key}`")).2.clone()
    }

    /// Returns a copy with the bytes from `at` on replaced.
    #[must_use]
    pub fn patched(&self, at: usize, bytes: &[u8]) -> Self {
        let mut head = self.clone();
        head.bytes[at..at + bytes.len()].copy_from_slice(bytes);
        head
    }

    /// Returns the bytes of the head.
    #[must_use]
    pub fn bytes(&self) -> &[u8] {
        &self.bytes
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
}

struct Cursor<'a> {
    bytes: &'a [u8],
    at: usize,
}

impl Cursor<'_> {
    fn u32(&mut self) -> u32 {
        self.at += 4;
        u32::from_le_bytes(self.bytes[self.at - 4..self.at].try_into().expect("four bytes"))
    }

    fn u64(&mut self) -> u64 {
        self.at += 8;
        u64::from_le_bytes(self.bytes[self.at - 8..self.at].try_into().expect("eight bytes"))
    }

    fn text(&mut self) -> String {
        let length = usize::try_from(self.u64()).expect("a length");
        self.at += length;
        String::from_utf8_lossy(&self.bytes[self.at - length..self.at]).into_owned()
    }

    fn skip(&mut self, kind: u32) {
        match kind {
            0 | 1 | 7 => self.at += 1,
            2 | 3 => self.at += 2,
            4..=6 => self.at += 4,
            8 => drop(self.text()),
            9 => {
                let kind = self.u32();
                for _ in 0..self.u64() {
                    self.skip(kind);
                }
            }
            10..=12 => self.at += 8,
            _ => panic!("unknown type {kind}"),
        }
    }
}
