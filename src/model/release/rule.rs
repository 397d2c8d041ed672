//! The names of keep-tags: one rule writes them and reads them.
use std::fmt;
use std::str::FromStr;

use jiff::Timestamp;
use jiff::tz::TimeZone;

/// What a fleet's owner gets who writes none.
const DEFAULT: &str = "release-v{version}.{month}.{day}.{n}";

/// As long as a tag may be (OCI distribution specification 1.1).
const TAG: usize = 128;

/// A rule must not be longer: what stands for its places needs room, a version some of it.
const LONGEST: usize = 80;

/// So many characters a rule begins with that no place stands for: what people and programs name
/// themselves begins otherwise.
const FIRST: usize = 3;

/// What stands for the version of an image that does not tell one.
const NO_VERSION: &str = "0";

/// A rule for names of tags. What it writes it reads back to the same, and it reads nothing that it
/// would not write: cleaning up finds its own tags and no others.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct TagRule {
    parts: Vec<Part>,
}

#[derive(Clone, Debug, PartialEq, Eq)]
enum Part {
    Literal(String),
    Place(Place),
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Place {
    Version,
    Year,
    Month,
    Day,
    N,
}

/// What a name says; `None`: its rule has no place for it.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct TagName {
    version: Option<String>,
    year: Option<u32>,
    month: Option<u32>,
    day: Option<u32>,
    n: Option<u32>,
}

/// Why a text is no rule.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum RuleError {
    #[error("does not begin with a word of its own, of {FIRST} characters or more")]
    Beginning,
    #[error("lacks {{n}}, which tells two tags of one day apart")]
    NoNumber,
    #[error("has {{{0}}} twice")]
    Twice(&'static str),
    #[error("knows no {{{0}}}")]
    Unknown(String),
    #[error("has a {{ without its }}")]
    Open,
    #[error("has {0:?}, which no tag may hold")]
    Character(char),
    #[error("does not say where {0} ends and {1} begins")]
    Unparted(&'static str, &'static str),
    #[error("has a digit beside {{{0}}}, which is digits itself")]
    Digit(&'static str),
    #[error("is longer than {LONGEST} characters")]
    Long,
}

impl RuleError {
    /// What a person writes instead.
    pub fn cure(&self) -> &'static str {
        match self {
            RuleError::Beginning => {
                "begin with a word of your own, a letter or a digit first: \"release-{n}\""
            }
            RuleError::NoNumber => "end it with \".{n}\"",
            RuleError::Twice(_) => "write each of them once",
            RuleError::Unknown(_) | RuleError::Open => {
                "the places are {version}, {year}, {month}, {day} and {n}"
            }
            RuleError::Character(_) => "a tag holds a-z A-Z 0-9 _ . and -",
            RuleError::Unparted(..) => "write a . or a - between them",
            RuleError::Digit(_) => "write a letter, a . or a - between them",
            RuleError::Long => "shorten it: a tag has at most 128 characters",
        }
    }
}

impl TagRule {
    /// The name of the `n`th tag that is put on that day on an image of that version.
    pub fn name(&self, version: Option<&str>, at: Timestamp, n: u32) -> String {
        let day = at.to_zoned(TimeZone::UTC).date();
        let number = |number: i16| u32::try_from(number).unwrap_or_default();
        let has = |place| self.parts.contains(&Part::Place(place));
        let mut named = TagName {
            version: None,
            year: has(Place::Year).then(|| number(day.year())),
            month: has(Place::Month).then(|| number(day.month().into())),
            day: has(Place::Day).then(|| number(day.day().into())),
            n: Some(n),
        };
        if has(Place::Version) {
            let room = TAG.saturating_sub(self.text(&named).len()).max(1);
            named.version = Some(sane(version, room));
        }
        self.text(&named)
    }

    /// What a name says; `None`: this rule would not have made it.
    pub fn read(&self, tag: &str) -> Option<TagName> {
        let mut named = TagName::default();
        let at = self.parts.iter();
        let at = at.take_while(|part| **part != Part::Place(Place::Version));
        let at = at.count();
        let mut rest = tag;
        for part in &self.parts[..at] {
            rest = from_left(part, rest, &mut named)?;
        }
        let after = self.parts.get(at + 1..).unwrap_or_default();
        for part in after.iter().rev() {
            rest = from_right(part, rest, &mut named)?;
        }
        if at < self.parts.len() {
            if sane(Some(rest), TAG) != rest {
                return None;
            }
            named.version = Some(rest.to_owned());
        } else if !rest.is_empty() {
            return None;
        }
        let is_date = |number: Option<u32>, of: std::ops::RangeInclusive<u32>| {
            number.is_none_or(|number| of.contains(&number))
        };
        let is_day = is_date(named.month, 1..=12) && is_date(named.day, 1..=31);
        let is_ours = is_day && is_date(named.year, 1970..=9999) && named.n? > 0;
        // What was read is written again: leading zeros and the like are nothing of ours.
        (is_ours && self.text(&named) == tag && tag.len() <= TAG).then_some(named)
    }

    fn text(&self, named: &TagName) -> String {
        let number = |number: Option<u32>| number.map_or(String::new(), |it| it.to_string());
        let part = |part: &Part| match part {
            Part::Literal(text) => text.clone(),
            Part::Place(Place::Version) => named.version.clone().unwrap_or_default(),
            Part::Place(Place::Year) => number(named.year),
            Part::Place(Place::Month) => number(named.month),
            Part::Place(Place::Day) => number(named.day),
            Part::Place(Place::N) => number(named.n),
        };
        self.parts.iter().map(part).collect()
    }
}

/// As an image may tell it, as a tag may hold it: `v2.4.1+build 7` is `2.4.1-build-7`. The `v` that
/// some write before the number goes: whoever wants one has it in the rule.
fn sane(told: Option<&str>, room: usize) -> String {
    let told = told.unwrap_or_default();
    let bare = told.strip_prefix(['v', 'V']).unwrap_or(told);
    let bare = match bare.starts_with(|c: char| c.is_ascii_digit()) {
        true => bare,
        false => told,
    };
    let held = |c: char| match c {
        'a'..='z' | 'A'..='Z' | '0'..='9' | '_' | '.' | '-' => c,
        _ => '-',
    };
    let text: String = bare.chars().map(held).take(room).collect();
    match text.is_empty() {
        true => NO_VERSION.to_owned(),
        false => text,
    }
}

fn from_left<'a>(part: &Part, text: &'a str, named: &mut TagName) -> Option<&'a str> {
    let place = match part {
        Part::Literal(literal) => return text.strip_prefix(literal.as_str()),
        Part::Place(place) => *place,
    };
    let is_digit = |b: &u8| b.is_ascii_digit();
    let digits = text.bytes().take_while(is_digit).count();
    let (number, rest) = text.split_at(digits);
    *named.number(place)? = Some(number.parse().ok()?);
    Some(rest)
}

fn from_right<'a>(part: &Part, text: &'a str, named: &mut TagName) -> Option<&'a str> {
    let place = match part {
        Part::Literal(literal) => return text.strip_suffix(literal.as_str()),
        Part::Place(place) => *place,
    };
    let is_digit = |b: &u8| b.is_ascii_digit();
    let digits = text.bytes().rev().take_while(is_digit).count();
    let (rest, number) = text.split_at(text.len() - digits);
    *named.number(place)? = Some(number.parse().ok()?);
    Some(rest)
}

impl TagName {
    fn number(&mut self, place: Place) -> Option<&mut Option<u32>> {
        match place {
            Place::Version => None,
            Place::Year => Some(&mut self.year),
            Place::Month => Some(&mut self.month),
            Place::Day => Some(&mut self.day),
            Place::N => Some(&mut self.n),
        }
    }
}

impl Place {
    const ALL: [Place; 5] = [
        Place::Version,
        Place::Year,
        Place::Month,
        Place::Day,
        Place::N,
    ];

    fn word(self) -> &'static str {
        match self {
            Place::Version => "version",
            Place::Year => "year",
            Place::Month => "month",
            Place::Day => "day",
            Place::N => "n",
        }
    }
}

impl FromStr for TagRule {
    type Err = RuleError;

    fn from_str(text: &str) -> Result<TagRule, RuleError> {
        let parts = parted(text)?;
        let beginning = match parts.first() {
            Some(Part::Literal(beginning)) => beginning.as_str(),
            Some(Part::Place(_)) | None => "",
        };
        if beginning.len() < FIRST || beginning.starts_with(['.', '-']) {
            return Err(RuleError::Beginning);
        }
        for place in Place::ALL {
            let is_it = |part: &&Part| **part == Part::Place(place);
            if parts.iter().filter(is_it).count() > 1 {
                return Err(RuleError::Twice(place.word()));
            }
        }
        if !parts.contains(&Part::Place(Place::N)) {
            return Err(RuleError::NoNumber);
        }
        for pair in parts.windows(2) {
            check_neighbours(pair)?;
        }
        if text.len() > LONGEST {
            return Err(RuleError::Long);
        }
        Ok(TagRule { parts })
    }
}

fn parted(text: &str) -> Result<Vec<Part>, RuleError> {
    let mut parts = Vec::new();
    let mut rest = text;
    while !rest.is_empty() {
        let Some(inner) = rest.strip_prefix('{') else {
            let end = rest.find('{').unwrap_or(rest.len());
            let (literal, after) = rest.split_at(end);
            let held = |c: &char| c.is_ascii_alphanumeric() || matches!(c, '_' | '.' | '-');
            if let Some(other) = literal.chars().find(|c| !held(c)) {
                return Err(RuleError::Character(other));
            }
            parts.push(Part::Literal(literal.to_owned()));
            rest = after;
            continue;
        };
        let (word, after) = inner.split_once('}').ok_or(RuleError::Open)?;
        let place = Place::ALL.into_iter().find(|place| place.word() == word);
        let unknown = || RuleError::Unknown(word.chars().take(LONGEST).collect());
        parts.push(Part::Place(place.ok_or_else(unknown)?));
        rest = after;
    }
    Ok(parts)
}

/// A number ends where its digits do, and a version where what follows it begins.
fn check_neighbours(pair: &[Part]) -> Result<(), RuleError> {
    let digit = |c: char| c.is_ascii_digit();
    match pair {
        [Part::Place(first), Part::Place(second)] => {
            Err(RuleError::Unparted(first.word(), second.word()))
        }
        [Part::Literal(text), Part::Place(place)] if *place != Place::Version => {
            match text.ends_with(digit) {
                true => Err(RuleError::Digit(place.word())),
                false => Ok(()),
            }
        }
        [Part::Place(place), Part::Literal(text)] if *place != Place::Version => {
            match text.starts_with(digit) {
                true => Err(RuleError::Digit(place.word())),
                false => Ok(()),
            }
        }
        _ => Ok(()),
    }
}

impl Default for TagRule {
    fn default() -> TagRule {
        DEFAULT.parse().expect("the usual rule is one")
    }
}

impl fmt::Display for TagRule {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.parts.iter().try_for_each(|part| match part {
            Part::Literal(text) => f.write_str(text),
            Part::Place(place) => write!(f, "{{{}}}", place.word()),
        })
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;
    use crate::model::id::Channel;

    const DAY: &str = "2026-11-23T03:00:00Z";

    #[test]
    fn names_hold_the_version_the_day_and_the_number() {
        let rule = TagRule::default();
        let name = |version| rule.name(version, at(DAY), 1);
        assert_eq!(name(Some("2.4.1")), "release-v2.4.1.11.23.1");
        assert_eq!(name(Some("v2.4.1")), "release-v2.4.1.11.23.1");
        assert_eq!(
            name(Some("2.4.1+build 7")),
            "release-v2.4.1-build-7.11.23.1"
        );
        assert_eq!(name(Some("vanilla")), "release-vvanilla.11.23.1");
        assert_eq!(name(Some("")), "release-v0.11.23.1");
        assert_eq!(name(None), "release-v0.11.23.1");
        assert_eq!(name(Some(&"9".repeat(300))).len(), TAG);
        let other: TagRule = "kept-{year}-{month}-{day}-{n}".parse().unwrap();
        let early = at("2026-03-05T23:59:59Z");
        assert_eq!(other.name(None, early, 12), "kept-2026-3-5-12");
    }

    #[test]
    fn wrong_rules_are_told_with_their_cure() {
        let why = |text: &str| {
            let error = text.parse::<TagRule>().unwrap_err();
            assert!(!error.cure().is_empty());
            error.to_string()
        };
        insta::assert_snapshot!(
            [
                "",
                "v{n}",
                "{version}-{n}",
                "-release-{n}",
                "release-{version}",
                "release-{n}-{n}",
                "release-{n}-{hour}",
                "release-{n",
                "release/{n}",
                "release-{month}{day}-{n}",
                "release-{version}{n}",
                "release-2{n}",
                "release-{n}0",
                &format!("release-{}{{n}}", "x".repeat(80)),
            ]
            .map(|text| format!("{:?} {}", text.chars().take(26).collect::<String>(), why(text)))
            .join("\n"),
            @r#"
            "" does not begin with a word of its own, of 3 characters or more
            "v{n}" does not begin with a word of its own, of 3 characters or more
            "{version}-{n}" does not begin with a word of its own, of 3 characters or more
            "-release-{n}" does not begin with a word of its own, of 3 characters or more
            "release-{version}" lacks {n}, which tells two tags of one day apart
            "release-{n}-{n}" has {n} twice
            "release-{n}-{hour}" knows no {hour}
            "release-{n" has a { without its }
            "release/{n}" has '/', which no tag may hold
            "release-{month}{day}-{n}" does not say where month ends and day begins
            "release-{version}{n}" does not say where version ends and n begins
            "release-2{n}" has a digit beside {n}, which is digits itself
            "release-{n}0" has a digit beside {n}, which is digits itself
            "release-xxxxxxxxxxxxxxxxxx" is longer than 80 characters
            "#
        );
    }

    #[test]
    fn tags_of_others_are_not_read() {
        let rule = TagRule::default();
        assert!(rule.read("release-v2.4.1.11.23.1").is_some());
        for other in [
            "master",
            "release-v",
            "release-v2.4.1",
            "release-v.11.23.1",
            "release-v2.4.1.11.23.0",
            "release-v2.4.1.11.23.01",
            "release-v2.4.1.13.23.1",
            "release-v2.4.1.11.32.1",
            "release-v2.4.1.11.23.1-rc",
            "release-v2.4.1.11.23.99999999999",
            "my-release-v2.4.1.11.23.1",
            "release-vv2.4.1.11.23.1",
        ] {
            assert_eq!(rule.read(other), None, "{other}");
        }
    }

    proptest! {
        #[test]
        fn what_a_rule_writes_it_reads_and_what_it_reads_it_writes(
            rule in rules(),
            version in proptest::option::of(".{0,200}"),
            seconds in 0_i64..200_000_000_000,
            n in 1_u32..,
        ) {
            let at = Timestamp::from_second(seconds).unwrap();
            let name = rule.name(version.as_deref(), at, n);
            prop_assert!(name.parse::<Channel>().is_ok(), "{name}");
            let named = rule.read(&name);
            prop_assert!(named.is_some(), "{rule}: {name}");
            let named = named.unwrap();
            prop_assert_eq!(named.n, Some(n));
            prop_assert_eq!(rule.text(&named), name.as_str());
            // Another number is another name, and another day too where the rule has it.
            prop_assert_ne!(rule.name(version.as_deref(), at, (n ^ 1) | 2), name);
        }

        #[test]
        fn nothing_is_read_that_is_not_written_so(rule in rules(), tag in "[a-z0-9._-]{0,40}") {
            if let Some(named) = rule.read(&tag) {
                prop_assert_eq!(rule.text(&named), tag);
            }
        }

        #[test]
        fn any_text_is_a_rule_or_told_why_not(text in "\\PC{0,60}|[rel{}nvyd0.-]{0,30}") {
            if let Ok(rule) = text.parse::<TagRule>() {
                prop_assert_eq!(rule.to_string(), text);
                rule.name(Some("1.2"), at(DAY), u32::MAX);
            }
        }
    }

    fn rules() -> impl Strategy<Value = TagRule> {
        proptest::sample::select(vec![
            DEFAULT,
            "release-{n}",
            "kept.{n}.of.{version}",
            "r_l{year}-{month}-{day}.{version}.{n}x",
            "web-{version}-{n}",
            "abc{version}1-x{n}",
        ])
        .prop_map(|rule| rule.parse().unwrap())
    }

    fn at(text: &str) -> Timestamp {
        text.parse().unwrap()
    }
}
