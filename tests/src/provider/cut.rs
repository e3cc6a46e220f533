//! Where the bytes of an answer are cut, and the dice that decide: the same seed always gives the same cuts.

/// Where an answer is cut into HTTP chunks and TCP writes.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub enum Cut {
    /// One write for each event.
    #[default]
    Whole,
    /// A chunk and a write for every byte.
    EveryByte,
    /// At places that this seed gives: inside characters, escapes, numbers, line ends and HTTP's own framing.
    Random(u64),
}

/// A small generator of numbers (SplitMix64): quick, seedable, and good enough to choose faults.
#[derive(Debug, Clone)]
pub(super) struct Dice(u64);

/// Cuts bytes, and remembers where its dice stand.
#[derive(Debug)]
pub(super) struct Cutter {
    cut: Cut,
    dice: Dice,
}

impl Dice {
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

    /// A number below `end`, which is not 0.
    pub(super) fn below(&mut self, end: u64) -> u64 {
        self.next() % end
    }

    /// One to so many words, some of more than one byte a letter.
    pub(super) fn words(&mut self, most: u64) -> String {
        let count = 1 + self.below(most);
        let words: Vec<_> = (0..count)
            .map(|_| WORDS[self.below(WORDS.len() as u64) as usize])
            .collect();
        words.join(" ")
    }
}

impl Cutter {
    pub(super) const fn new(cut: Cut) -> Self {
        let seed = match cut {
            Cut::Random(seed) => seed,
            Cut::Whole | Cut::EveryByte => 0,
        };
        Self {
            cut,
            dice: Dice::new(seed),
        }
    }

    /// The pieces of these bytes, in order, none of them empty.
    pub(super) fn pieces<'bytes>(&mut self, mut bytes: &'bytes [u8]) -> Vec<&'bytes [u8]> {
        let mut pieces = Vec::new();
        while !bytes.is_empty() {
            let length = match self.cut {
                Cut::Whole => bytes.len(),
                Cut::EveryByte => 1,
                Cut::Random(_) => {
                    // Mostly small pieces, sometimes one that holds several events' worth.
                    let most = [2, 9, 60, 400][self.dice.below(4) as usize];
                    (1 + self.dice.below(most) as usize).min(bytes.len())
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
    fn pieces_put_together_are_the_bytes_and_a_seed_cuts_the_same_way_twice() {
        let bytes: Vec<u8> = (0..=255).cycle().take(5000).collect();
        for cut in [Cut::Whole, Cut::EveryByte, Cut::Random(7), Cut::Random(8)] {
            let pieces = Cutter::new(cut).pieces(&bytes);
            assert_eq!(pieces.concat(), bytes);
            assert_eq!(pieces, Cutter::new(cut).pieces(&bytes));
        }
        assert_ne!(
            Cutter::new(Cut::Random(7)).pieces(&bytes),
            Cutter::new(Cut::Random(8)).pieces(&bytes)
        );
    }
}
