//! Splits the bytes of an answer, reproducibly by a seed.

/// How an answer is split into HTTP chunks and TCP writes.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub enum Chunking {
    /// One write for each event.
    #[default]
    Whole,
    /// A chunk and a write for every byte.
    EveryByte,
    /// At random positions by this seed, also within characters, escapes, numbers, line ends and HTTP framing.
    Random(u64),
}

/// A random number generator (SplitMix64): fast, seedable, and good enough to choose faults.
#[derive(Debug, Clone)]
pub(super) struct SeededRng(u64);

/// Splits bytes; successive calls continue the random sequence.
#[derive(Debug)]
pub(super) struct Chunker {
    chunking: Chunking,
    rng: SeededRng,
}

impl SeededRng {
    pub(super) const fn new(seed: u64) -> Self {
        Self(seed)
    }

    pub(super) fn next(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9E37_79B9_7F4A_7C15);
        let mut mixed = self.0;
        mixed = (mixed ^ (mixed >> 30)).wrapping_mul(0xBF58_476D_1CE4_E5B9);
        mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94D0_49BB_1331_11EB);
        mixed ^ (mixed >> 31)
    }

    /// Returns a number below `end`, which must not be 0.
    pub(super) fn below(&mut self, end: u64) -> u64 {
        self.next() % end
    }

    /// Returns 1 to `most` words, some with multi-byte characters.
    pub(super) fn words(&mut self, most: u64) -> String {
        let count = 1 + self.below(most);
        let words: Vec<_> = (0..count)
            .map(|_| WORDS[self.below(WORDS.len() as u64) as usize])
            .collect();
        words.join(" ")
    }
}

impl Chunker {
    pub(super) const fn new(chunking: Chunking) -> Self {
        let seed = match chunking {
            Chunking::Random(seed) => seed,
            Chunking::Whole | Chunking::EveryByte => 0,
        };
        Self {
            chunking,
            rng: SeededRng::new(seed),
        }
    }

    /// Splits the bytes into non-empty pieces.
    pub(super) fn pieces<'bytes>(&mut self, mut bytes: &'bytes [u8]) -> Vec<&'bytes [u8]> {
        let mut pieces = Vec::new();
        while !bytes.is_empty() {
            let length = match self.chunking {
                Chunking::Whole => bytes.len(),
                Chunking::EveryByte => 1,
                Chunking::Random(_) => {
                    // Mostly small pieces, sometimes one of several events.
                    let most = [2, 9, 60, 400][self.rng.below(4) as usize];
                    (1 + self.rng.below(most) as usize).min(bytes.len())
                }
            };
            let (piece, rest) = bytes.split_at(length);
            pieces.push(piece);
            bytes = rest;
        }
        pieces
    }
}

const WORDS: [&str; 16] = [
    "tide",
    "moon",
    "because",
    "the",
    "naïve",
    "größe",
    "月",
    "潮汐",
    "🌊",
    "\"quoted\"",
    "back\\slash",
    "a\nline",
    "data:",
    "[DONE]",
    "{brace}",
    "1.5e3",
];

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn pieces_put_together_are_the_bytes_and_a_seed_splits_the_same_way_twice() {
        let bytes: Vec<u8> = (0..=255).cycle().take(5000).collect();
        for chunking in [
            Chunking::Whole,
            Chunking::EveryByte,
            Chunking::Random(7),
            Chunking::Random(8),
        ] {
            let pieces = Chunker::new(chunking).pieces(&bytes);
            assert_eq!(pieces.concat(), bytes);
            assert_eq!(pieces, Chunker::new(chunking).pieces(&bytes));
        }
        assert_ne!(
            Chunker::new(Chunking::Random(7)).pieces(&bytes),
            Chunker::new(Chunking::Random(8)).pieces(&bytes)
        );
    }
}
