//! Damages: small changes to the head of a real model.

use nearside_tests::gguf::{Layout, u32_at, u64_at};

use crate::nonsense;

/// One damaged file.
#[derive(Debug, Clone)]
pub(crate) struct Damage {
    pub(crate) what: String,
    /// Offset, number of removed bytes, and inserted bytes.
    pub(crate) edits: Vec<(usize, usize, Vec<u8>)>,
    /// Size to which the file is truncated.
    pub(crate) cut: Option<usize>,
}

impl Damage {
    pub(crate) fn edit(what: impl Into<String>, at: usize, bytes: impl Into<Vec<u8>>) -> Self {
        let bytes = bytes.into();
        let length = bytes.len();
        Self {
            what: what.into(),
            edits: vec![(at, length, bytes)],
            cut: None,
        }
    }

    fn cut(at: usize) -> Self {
        Self {
            what: format!("cut at {at}"),
            edits: Vec::new(),
            cut: Some(at),
        }
    }

    /// Returns the damaged head and the resulting size of the whole file.
    pub(crate) fn apply(&self, layout: &Layout) -> (Vec<u8>, u64) {
        let mut bytes = layout.bytes.clone();
        let mut edits = self.edits.clone();
        edits.sort_by_key(|(at, ..)| std::cmp::Reverse(*at));
        for (at, length, new) in edits {
            bytes.splice(at..at + length, new);
        }
        let grown = bytes.len() as i64 - layout.bytes.len() as i64;
        let mut size = layout.file_size.saturating_add_signed(grown);
        if let Some(cut) = self.cut {
            bytes.truncate(cut);
            size = cut as u64;
        }
        (bytes, size)
    }
}

/// Returns all damages of a model.
pub(crate) fn all(layout: &Layout) -> Vec<Damage> {
    let mut damages = Vec::new();
    cuts(layout, &mut damages);
    header(layout, &mut damages);
    keys(layout, &mut damages);
    tensors(layout, &mut damages);
    nonsense::hyperparameters(layout, &mut damages);
    nonsense::vocabulary(layout, &mut damages);
    nonsense::architectures(layout, &mut damages);
    noise(layout, &mut damages);
    damages
}

fn cuts(layout: &Layout, out: &mut Vec<Damage>) {
    let boundaries = layout.keys.iter().map(|key| key.whole.end);
    let tensors = layout.tensors.iter().map(|tensor| tensor.start);
    let mut random = Random(1);
    let anywhere = std::iter::repeat_with(|| random.below(layout.bytes.len())).take(100);
    let ends = [0, 1, 4, 7, 8, 16, 23, 24, layout.bytes.len() - 1, layout.bytes.len()];
    let all = ends.into_iter().chain(boundaries).chain(tensors).chain(anywhere);
    out.extend(all.map(Damage::cut));
}

fn header(_: &Layout, out: &mut Vec<Damage>) {
    for version in extremes_32(3) {
        out.push(Damage::edit(format!("version {version}"), 4, version.to_le_bytes()));
    }
    for count in extremes_64(272) {
        out.push(Damage::edit(format!("{count} tensors"), 8, count.to_le_bytes()));
        out.push(Damage::edit(format!("{count} keys"), 16, count.to_le_bytes()));
    }
}

/// Damages every length, type, count and number of every key.
fn keys(layout: &Layout, out: &mut Vec<Damage>) {
    let bytes = &layout.bytes;
    for key in &layout.keys {
        let name = &key.name;
        for length in extremes_64(u64_at(bytes, key.whole.start)) {
            out.push(Damage::edit(
                format!("{name}: name of {length}"),
                key.whole.start,
                length.to_le_bytes(),
            ));
        }
        for kind in (0..=13)
            .chain([u32::MAX, i32::MAX as u32])
            .filter(|kind| *kind != key.kind)
        {
            out.push(Damage::edit(
                format!("{name}: type {kind}"),
                key.kind_at,
                kind.to_le_bytes(),
            ));
        }
        let at = key.value.start;
        match key.kind {
            8 => {
                for length in extremes_64(u64_at(bytes, at)) {
                    out.push(Damage::edit(format!("{name}: {length} long"), at, length.to_le_bytes()));
                }
            }
            9 => {
                for kind in (0..=13).chain([u32::MAX]).filter(|kind| *kind != u32_at(bytes, at)) {
                    out.push(Damage::edit(
                        format!("{name}: elements of {kind}"),
                        at,
                        kind.to_le_bytes(),
                    ));
                }
                for count in extremes_64(u64_at(bytes, at + 4)) {
                    out.push(Damage::edit(
                        format!("{name}: {count} elements"),
                        at + 4,
                        count.to_le_bytes(),
                    ));
                }
            }
            7 => out.extend([2, 255].map(|byte| Damage::edit(format!("{name}: bool {byte}"), at, vec![byte]))),
            6 => {
                for number in [0.0, -1.0, 1e-38, f32::MAX, f32::INFINITY, f32::NAN] {
                    out.push(Damage::edit(format!("{name}: {number}"), at, number.to_le_bytes()));
                }
            }
            4 | 5 => {
                for number in extremes_32(u32_at(bytes, at)) {
                    out.push(Damage::edit(format!("{name}: {number}"), at, number.to_le_bytes()));
                }
            }
            _ => {}
        }
        let more = (layout.keys.len() as u64 + 1).to_le_bytes();
        let mut twice = Damage::edit(format!("{name} twice"), 16, more);
        if key.whole.len() < 10_000 {
            twice.edits.push((key.whole.end, 0, bytes[key.whole.clone()].to_vec()));
            out.push(twice);
        }
        let fewer = (layout.keys.len() as u64 - 1).to_le_bytes();
        let mut without = Damage::edit(format!("without {name}"), 16, fewer);
        without.edits.push((key.whole.start, key.whole.len(), Vec::new()));
        out.push(without);
    }
}

/// Damages every field of some tensors: the first, the last, and some between.
fn tensors(layout: &Layout, out: &mut Vec<Damage>) {
    let bytes = &layout.bytes;
    let last = layout.tensors.len() - 1;
    for index in [0, 1, 2, 3, 5, 8, last / 2, last - 1, last] {
        let tensor = &layout.tensors[index];
        let mut edit =
            |what: String, at, bytes: &[u8]| out.push(Damage::edit(format!("tensor {index}: {what}"), at, bytes));
        for length in extremes_64(u64_at(bytes, tensor.start)).into_iter().chain([63, 64, 65]) {
            edit(format!("name of {length}"), tensor.start, &length.to_le_bytes());
        }
        for count in extremes_32(tensor.dimensions).into_iter().chain([4, 5]) {
            edit(
                format!("{count} dimensions"),
                tensor.dimensions_at,
                &count.to_le_bytes(),
            );
        }
        for dimension in 0..tensor.dimensions as usize {
            let at = tensor.dimensions_at + 4 + 8 * dimension;
            for length in extremes_64(u64_at(bytes, at))
                .into_iter()
                .chain([256, 1 << 32, 1 << 40, 1 << 61])
            {
                edit(format!("dimension {dimension} is {length}"), at, &length.to_le_bytes());
            }
        }
        for kind in (0..=44).chain([255, 256, i32::MAX as u32, 1 << 31, u32::MAX]) {
            edit(format!("type {kind}"), tensor.kind_at(), &kind.to_le_bytes());
        }
        for offset in extremes_64(u64_at(bytes, tensor.kind_at() + 4))
            .into_iter()
            .chain([32, layout.file_size])
        {
            edit(format!("offset {offset}"), tensor.kind_at() + 4, &offset.to_le_bytes());
        }
    }
}

/// Damages random bytes, as a bad disk does; half of them in numbers.
fn noise(layout: &Layout, out: &mut Vec<Damage>) {
    let mut random = Random(2);
    for round in 0..300 {
        let most = if round % 2 == 0 { 1500 } else { layout.bytes.len() - 8 };
        let at = 24 + random.below(most - 24);
        let bytes: Vec<u8> = (0..1 + random.below(8)).map(|_| random.below(256) as u8).collect();
        out.push(Damage::edit(format!("noise at {at}"), at, bytes));
    }
}

fn extremes_32(sound: u32) -> Vec<u32> {
    let near = [sound.wrapping_add(1), sound.wrapping_sub(1), sound.wrapping_mul(2)];
    let far = [0, 1, u32::MAX, i32::MAX as u32, 1 << 31];
    far.into_iter().chain(near).filter(|value| *value != sound).collect()
}

fn extremes_64(sound: u64) -> Vec<u64> {
    let near = [sound.wrapping_add(1), sound.wrapping_sub(1), sound.wrapping_mul(2)];
    let far = [0, 1, u64::MAX, i64::MAX as u64, 1 << 63];
    let middle = [u64::from(u32::MAX), 1 << 32, 1_000_000];
    let all = near.into_iter().chain(far).chain(middle);
    all.filter(|value| *value != sound).collect()
}

/// Reproducible random numbers (xorshift).
struct Random(u64);

impl Random {
    fn below(&mut self, limit: usize) -> usize {
        self.0 ^= self.0 << 13;
        self.0 ^= self.0 >> 7;
        self.0 ^= self.0 << 17;
        (self.0 % limit as u64) as usize
    }
}
