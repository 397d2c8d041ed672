//! Spoils inputs: octets, words, lines and halves of two. A few are wrong in one place, most in some.
use std::ops::Range;
use std::path::Path;

use crate::sim::chance::Chance;

/// Makes new inputs from good ones.
pub(super) struct Mutator {
    chance: Chance,
    corpus: Vec<Vec<u8>>,
    words: Vec<Vec<u8>>,
}

/// Longer ones take longer and find nothing more.
const MAX_OCTETS: usize = 32 * 1024;

/// Octets that mean something where numbers, lengths and texts are read.
const ODD: [u8; 12] = [
    0, 1, 0x3f, 0x40, 0x7f, 0x80, 0xc0, 0xff, b'\n', b'"', b'{', b'-',
];

const NUMBERS: [&str; 9] = [
    "0",
    "-1",
    "1",
    "255",
    "65536",
    "4294967296",
    "9223372036854775808",
    "18446744073709551616",
    "1e309",
];

impl Mutator {
    pub(super) fn new(seed: u64, corpus: Vec<Vec<u8>>, words: Vec<Vec<u8>>) -> Mutator {
        Mutator {
            chance: Chance::of(seed),
            corpus,
            words,
        }
    }

    /// The next input.
    pub(super) fn next(&mut self) -> Vec<u8> {
        let mut input = self.any();
        for _ in 0..=self.below(4) {
            self.spoil(&mut input);
        }
        input.truncate(MAX_OCTETS);
        input
    }

    fn spoil(&mut self, input: &mut Vec<u8>) {
        match self.below(12) {
            0 => self.flip(input),
            1 => self.set(input),
            2 => {
                let word = self.word();
                let at = self.below(input.len() + 1);
                input.splice(at..at, word);
            }
            3 | 4 => {
                let token = self.token(input);
                let word = self.word();
                input.splice(token, word);
            }
            5 => {
                let token = self.token(input);
                let other = self.any();
                let theirs = self.token(&other);
                input.splice(token, other[theirs].to_vec());
            }
            6 => {
                let range = self.range(input);
                input.drain(range);
            }
            7 => self.repeat(input),
            8 => {
                let line = self.line(input);
                input.drain(line);
            }
            9 => {
                let line = self.line(input);
                let moved: Vec<u8> = input[line].to_vec();
                let at = self.line(input).start;
                input.splice(at..at, moved);
            }
            10 => {
                let other = self.any();
                let theirs = self.line(&other);
                let at = self.line(input).start;
                input.splice(at..at, other[theirs].to_vec());
            }
            _ => {
                let other = self.any();
                input.truncate(self.below(input.len() + 1));
                input.extend_from_slice(&other[self.below(other.len() + 1)..]);
            }
        }
    }

    fn flip(&mut self, input: &mut [u8]) {
        let bit = self.below(8);
        let at = self.below(input.len());
        if let Some(octet) = input.get_mut(at) {
            *octet ^= 1 << bit;
        }
    }

    fn set(&mut self, input: &mut [u8]) {
        let odd = ODD[self.below(ODD.len())];
        let at = self.below(input.len());
        if let Some(octet) = input.get_mut(at) {
            *octet = odd;
        }
    }

    fn repeat(&mut self, input: &mut Vec<u8>) {
        let range = self.range(input);
        let often = 1 << self.below(8);
        let repeated = input[range.clone()].repeat(often);
        input.splice(range.end..range.end, repeated);
    }

    fn any(&mut self) -> Vec<u8> {
        self.chance
            .of_these(&self.corpus)
            .cloned()
            .unwrap_or_default()
    }

    fn word(&mut self) -> Vec<u8> {
        if self.chance.one_in(4) {
            return NUMBERS[self.below(NUMBERS.len())].into();
        }
        self.chance
            .of_these(&self.words)
            .cloned()
            .unwrap_or_default()
    }

    /// A few octets, seldom many.
    fn range(&mut self, input: &[u8]) -> Range<usize> {
        let most = if self.chance.one_in(4) {
            input.len()
        } else {
            16
        };
        let start = self.below(input.len() + 1);
        let length = self.below(most + 1);
        start..(start + length).min(input.len())
    }

    /// A run of letters and digits.
    fn token(&mut self, input: &[u8]) -> Range<usize> {
        let at = self.below(input.len() + 1);
        let is_part = |octet: &u8| octet.is_ascii_alphanumeric() || matches!(octet, b'_' | b'.');
        let before = input[..at].iter().rev().take_while(|octet| is_part(octet));
        let after = input[at..].iter().take_while(|octet| is_part(octet));
        at - before.count()..at + after.count()
    }

    /// A line with its end.
    fn line(&mut self, input: &[u8]) -> Range<usize> {
        let at = self.below(input.len() + 1);
        let before = input[..at]
            .iter()
            .rev()
            .take_while(|octet| **octet != b'\n');
        let after = input[at..].iter().position(|octet| *octet == b'\n');
        at - before.count()..after.map_or(input.len(), |end| at + end + 1)
    }

    fn below(&mut self, bound: usize) -> usize {
        usize::try_from(self.chance.below(bound as u64)).unwrap_or_default()
    }
}

/// The words of a format, as libFuzzer's dictionaries have them: `"…"` a line, with `\\`, `\"` and
/// `\xNN`.
pub(super) fn words(file: &Path) -> Vec<Vec<u8>> {
    let text = std::fs::read_to_string(file).unwrap();
    let quoted = |line: &str| Some(line.strip_prefix('"')?.strip_suffix('"')?.to_owned());
    text.lines()
        .filter_map(quoted)
        .map(|word| plain(&word))
        .collect()
}

fn plain(word: &str) -> Vec<u8> {
    let mut plain = Vec::new();
    let mut octets = word.bytes();
    while let Some(octet) = octets.next() {
        let escaped = if octet == b'\\' { octets.next() } else { None };
        match escaped {
            Some(b'x') => {
                let digits: String = octets.by_ref().take(2).map(char::from).collect();
                plain.push(u8::from_str_radix(&digits, 16).unwrap());
            }
            Some(other) => plain.push(other),
            None => plain.push(octet),
        }
    }
    plain
}

#[test]
fn the_same_seed_spoils_in_the_same_way_and_a_neighbour_does_not() {
    let corpus = || vec![b"a = 1\nb = 2\n".to_vec(), b"[table]\n".to_vec()];
    let made = |seed| {
        let mut mutator = Mutator::new(seed, corpus(), vec![b"word".to_vec()]);
        (0..50).map(|_| mutator.next()).collect::<Vec<_>>()
    };
    assert_eq!(made(1), made(1));
    assert_ne!(made(1), made(2));
    assert!(made(3).iter().any(|input| !corpus().contains(input)));
}

#[test]
fn words_are_written_as_libfuzzer_has_them() {
    assert_eq!(plain(r#"a\x0a\\\""#), b"a\n\\\"");
}
