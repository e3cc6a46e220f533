//! Splits text into the tokens of the search index. The only place that decides which characters form a word.
//!
//! A token is a word of a script that separates words by spaces, or one character of a script that does not (Chinese,
//! Japanese, Thai, Lao, Khmer, Burmese and their relatives). A run of such characters is searched as a phrase, so that any
//! part of it is found, from one character on. All other characters, such as emoji and punctuation, separate tokens.
//!
//! Tokens are folded: compatibility forms (full-width letters, half-width kana, ligatures) become the usual ones, letters
//! lower case, and marks above and below letters are removed. Voicing marks of kana and the signs of Indic and Thai
//! scripts stay, because they make another letter.

use icu_normalizer::properties::CanonicalCombiningClassMapBorrowed;
use icu_normalizer::{ComposingNormalizerBorrowed, DecomposingNormalizerBorrowed};

/// A token of a text.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Token {
    /// Its first byte.
    pub(super) from: usize,
    /// The byte after its last.
    pub(super) to: usize,
    /// Whether it directly follows the token before it.
    pub(super) is_joined: bool,
    /// Whether it is a single character of a script without spaces.
    pub(super) is_character: bool,
}

impl Token {
    /// Returns the token as the index has it; empty if nothing of it is left.
    pub(super) fn fold(&self, text: &str) -> String {
        let token = &text[self.from..self.to];
        if token.is_ascii() {
            return token.to_ascii_lowercase();
        }
        let mut folded = String::with_capacity(token.len());
        // An ASCII character that is no letter or digit would separate tokens in the index.
        let is_indexed = |c: &char| c.is_alphanumeric() || (!c.is_ascii() && !c.is_whitespace());
        if self.is_character {
            let composed = ComposingNormalizerBorrowed::new_nfkc().normalize_iter(token.chars());
            folded.extend(composed.filter(is_indexed));
        } else {
            let decomposed = DecomposingNormalizerBorrowed::new_nfkd().normalize_iter(token.chars());
            let lower = decomposed.flat_map(char::to_lowercase).flat_map(fold_case);
            folded.extend(lower.filter(|c| !is_removed(*c)).filter(is_indexed));
        }
        folded
    }
}

/// Returns the tokens of a text, in order.
pub(super) fn tokens(text: &str) -> impl Iterator<Item = Token> {
    let mut rest = text.char_indices().peekable();
    let mut end = None;
    std::iter::from_fn(move || {
        let (from, first) = rest.by_ref().find(|(_, c)| c.is_alphanumeric() || is_unspaced(*c))?;
        let is_character = is_unspaced(first);
        let continues = |c: char| match is_character {
            true => is_voicing(c),
            false => !is_unspaced(c) && (c.is_alphanumeric() || is_mark(c)),
        };
        while rest.next_if(|(_, c)| continues(*c)).is_some() {}
        let to = rest.peek().map_or(text.len(), |(at, _)| *at);
        let is_joined = end == Some(from);
        end = Some(to);
        Some(Token {
            from,
            to,
            is_joined,
            is_character,
        })
    })
}

/// Returns the folded tokens of a text, separated by spaces: the content of the index.
pub(super) fn index_text(text: &str) -> String {
    let mut indexed = String::with_capacity(text.len());
    for token in tokens(text) {
        let folded = token.fold(text);
        if !folded.is_empty() {
            indexed.push_str(&folded);
            indexed.push(' ');
        }
    }
    indexed
}

/// Returns the usual form of a lower-case letter that has several: a final sigma, a sharp s.
fn fold_case(c: char) -> impl Iterator<Item = char> {
    let (first, second) = match c {
        'ß' => ('s', Some('s')),
        'ς' => ('σ', None),
        other => (other, None),
    };
    std::iter::once(first).chain(second)
}

/// Returns whether a character belongs to a script that is written without spaces between words, including the vowel signs
/// and tone marks of such scripts, and excluding their punctuation.
fn is_unspaced(c: char) -> bool {
    UNSPACED.iter().any(|(first, last)| (*first..=*last).contains(&c)) && (c.is_alphanumeric() || is_mark(c))
}

/// Returns whether a character continues a word without being a letter: an accent, a vowel sign, a virama.
fn is_mark(c: char) -> bool {
    !c.is_ascii() && (COMBINING.get_u8(c) != 0 || is_removed(c))
}

/// Returns whether a mark is not indexed: accents, the points of Hebrew and Arabic, and invisible characters.
fn is_removed(c: char) -> bool {
    REMOVED.iter().any(|(first, last)| (*first..=*last).contains(&c))
}

/// Returns whether a mark makes another letter of the kana before it.
fn is_voicing(c: char) -> bool {
    matches!(c, '\u{3099}' | '\u{309a}' | '\u{ff9e}' | '\u{ff9f}')
}

const COMBINING: CanonicalCombiningClassMapBorrowed<'static> = CanonicalCombiningClassMapBorrowed::new();

/// Blocks of the scripts without spaces.
const UNSPACED: [(char, char); 15] = [
    // Thai and Lao.
    ('\u{e00}', '\u{eff}'),
    // Burmese.
    ('\u{1000}', '\u{109f}'),
    // Khmer.
    ('\u{1780}', '\u{17ff}'),
    // Tai Le, New Tai Lue, Khmer symbols.
    ('\u{1950}', '\u{19ff}'),
    // Tai Tham.
    ('\u{1a20}', '\u{1aaf}'),
    // Iteration mark, closing mark and zero of Chinese and Japanese.
    ('\u{3005}', '\u{3007}'),
    // Kana, bopomofo and their extensions; not Hangul, whose words have spaces between them.
    ('\u{3021}', '\u{312f}'),
    ('\u{31a0}', '\u{31ff}'),
    // Ideographs.
    ('\u{3400}', '\u{4dbf}'),
    ('\u{4e00}', '\u{9fff}'),
    // Javanese, and extensions of Burmese.
    ('\u{a980}', '\u{a9ff}'),
    // Extensions of Burmese, Tai Viet.
    ('\u{aa60}', '\u{aadf}'),
    // Compatibility ideographs.
    ('\u{f900}', '\u{faff}'),
    // Half-width kana.
    ('\u{ff66}', '\u{ff9f}'),
    // Historic kana and rarer ideographs.
    ('\u{1b000}', '\u{3ffff}'),
];

const REMOVED: [(char, char); 10] = [
    ('\u{ad}', '\u{ad}'),
    ('\u{300}', '\u{36f}'),
    ('\u{591}', '\u{5bd}'),
    ('\u{5bf}', '\u{5c7}'),
    ('\u{640}', '\u{640}'),
    ('\u{64b}', '\u{65f}'),
    ('\u{670}', '\u{670}'),
    ('\u{200c}', '\u{200d}'),
    ('\u{20d0}', '\u{20ff}'),
    ('\u{fe00}', '\u{fe0f}'),
];

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn words_are_split_at_spaces_and_scripts_without_spaces_at_each_character() {
        for (text, indexed) in [
            ("Why tides?", "why tides "),
            ("Naïve CAFÉ", "naive cafe "),
            ("东京塔tower2", "东 京 塔 tower2 "),
            ("ไปกินข้าว", "ไ ป ก ิ น ข ้ า ว "),
            ("🤖hello 👩\u{200d}🚀world 1\u{fe0f}\u{20e3}", "hello world 1 "),
            ("がか\u{3099}ガｶﾞ", "が が ガ ガ "),
            ("ＡＢＣ ﬁt ½", "abc fit 1⁄2 "),
            ("हिन्दी में", "हिन्दी में "),
            ("Straße STRASSE", "strasse strasse "),
            ("ΣΊΣΥΦΟΣ σίσυφος", "σισυφοσ σισυφοσ "),
            ("СЪЁМКА чай", "съемка чаи "),
            ("كِتَاب", "كتاب "),
            ("。、！ ", ""),
            ("\u{301}\u{fe0f}", ""),
        ] {
            assert_eq!(index_text(text), indexed, "`{text}`");
        }
    }

    #[test]
    fn tokens_end_at_the_borders_of_characters_and_know_their_neighbours() {
        let text = "a東b 京";
        let found: Vec<(&str, bool)> = tokens(text).map(|t| (&text[t.from..t.to], t.is_joined)).collect();
        assert_eq!(found, [("a", false), ("東", true), ("b", true), ("京", false)]);
        let jamo = "한국";
        assert_eq!(
            index_text(jamo).chars().count(),
            7,
            "Hangul is decomposed, as a query of a part of it is"
        );
    }
}
