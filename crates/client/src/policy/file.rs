//! The policy's file: TOML, of which every key is known and every value checked.

use std::{collections::BTreeMap, fmt, num::NonZeroU32};

use ctalk_core::envelope::Kind;
use jiff::{Timestamp, civil::Date, tz::TimeZone};
use serde::{Deserialize, Deserializer, de::Error as _};
use toml::{Spanned, value::Datetime};

use super::{
    Policy, Strangers,
    rules::{Table, Topic},
};

#[derive(Deserialize)]
#[serde(rename_all = "kebab-case", deny_unknown_fields)]
struct PolicyFile {
    strangers: Option<Spanned<StrangersWord>>,
    #[serde(default)]
    allow_list: bool,
    #[serde(default)]
    default: TableFile,
    #[serde(default)]
    stranger: TableFile,
    #[serde(default)]
    contact: BTreeMap<Spanned<String>, TableFile>,
}

/// What `strangers` says.
#[derive(Clone, Copy)]
struct StrangersWord(Strangers);

impl<'de> Deserialize<'de> for StrangersWord {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        match String::deserialize(deserializer)?.as_str() {
            "accept" => Ok(Self(Strangers::Accept)),
            "hold" => Ok(Self(Strangers::Hold)),
            "refuse" => Ok(Self(Strangers::Refuse)),
            other => Err(D::Error::custom(format!(
                "`{other}` is none of `accept`, `hold` and `refuse`"
            ))),
        }
    }
}

#[derive(Default, Deserialize)]
#[serde(rename_all = "kebab-case", deny_unknown_fields)]
struct TableFile {
    types: Option<Vec<TypeWord>>,
    topics: Option<Vec<TopicPattern>>,
    max_size: Option<u64>,
    per_minute: Option<NonZeroU32>,
    turns: Option<NonZeroU32>,
    until: Option<Until>,
    handlers: Option<Vec<String>>,
}

/// The types of what is handed over; the others are for ctalk itself.
const TYPES: [Kind; 4] = [
    Kind::Request,
    Kind::Response,
    Kind::Notification,
    Kind::Receipt,
];

/// A message type that exists.
struct TypeWord(String);

impl<'de> Deserialize<'de> for TypeWord {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let word = String::deserialize(deserializer)?;
        if TYPES.iter().any(|kind| kind.as_str() == word) {
            return Ok(Self(word));
        }
        let known = TYPES.map(Kind::as_str).join("`, `");
        Err(D::Error::custom(format!(
            "`{word}` is no message type; there are `{known}`"
        )))
    }
}

/// A topic, or with a trailing `*` all that begin so.
struct TopicPattern(Topic);

impl<'de> Deserialize<'de> for TopicPattern {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let text = String::deserialize(deserializer)?;
        let (text, is_prefix) = match text.strip_suffix('*') {
            Some(prefix) => (prefix.to_owned(), true),
            None => (text, false),
        };
        if text.contains('*') {
            return Err(D::Error::custom("`*` can only be the end of a topic"));
        }
        Ok(Self(if is_prefix {
            Topic::Prefix(text)
        } else {
            Topic::Exact(text)
        }))
    }
}

/// A time with its offset, or a date, which counts to its end in UTC.
struct Until(Timestamp);

impl<'de> Deserialize<'de> for Until {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        #[derive(Deserialize)]
        #[serde(untagged)]
        enum Written {
            Bare(Datetime),
            Quoted(String),
        }
        let text = match Written::deserialize(deserializer) {
            Ok(Written::Bare(datetime)) => datetime.to_string(),
            Ok(Written::Quoted(text)) => text,
            Err(_) => return Err(D::Error::custom(NO_TIME)),
        };
        let time = text.parse().ok().or_else(|| end_of(&text));
        time.map(Self).ok_or_else(|| D::Error::custom(NO_TIME))
    }
}

const NO_TIME: &str = "no date such as 2027-01-31 and no time such as 2027-01-31T12:00:00Z";

fn end_of(date: &str) -> Option<Timestamp> {
    // A date and nothing else: jiff reads the date of a time without an offset too.
    let date = (date.len() == 10).then(|| date.parse::<Date>().ok())??;
    let end = date.at(23, 59, 59, 999_999_999);
    Some(end.to_zoned(TimeZone::UTC).ok()?.timestamp())
}

/// Reads a policy, or says what is wrong with it, with its line.
pub(super) fn read(text: &str) -> Result<Policy, String> {
    let at = |offset: usize, why: &dyn fmt::Display| {
        let before = text.bytes().take(offset);
        let line = 1 + before.filter(|byte| *byte == b'\n').count();
        format!("line {line}: {why}")
    };
    let file: PolicyFile = toml::from_str(text).map_err(|error| match error.span() {
        Some(span) => at(span.start, &error.message()),
        None => error.message().to_owned(),
    })?;
    let strangers = match (&file.strangers, file.allow_list) {
        (Some(word), true) if word.get_ref().0 == Strangers::Accept => {
            let why = "`strangers = \"accept\"` contradicts `allow-list = true`";
            return Err(at(word.span().start, &why));
        }
        (None, true) => Strangers::Hold,
        (None, false) => Strangers::default(),
        (Some(word), _) => word.get_ref().0,
    };
    let mut contacts = BTreeMap::new();
    for (name, table) in file.contact {
        let table = table.named(&format!("[contact.{}]", name.get_ref()));
        if contacts
            .insert(name.get_ref().to_ascii_lowercase(), table)
            .is_some()
        {
            let why = format!("the contact `{}` is in the policy twice", name.get_ref());
            return Err(at(name.span().start, &why));
        }
    }
    Ok(Policy {
        strangers,
        allow_list: file.allow_list,
        default: file.default.named("[default]"),
        stranger_table: file.stranger.named("[stranger]"),
        contacts,
    })
}

impl TableFile {
    fn named(self, name: &str) -> Table {
        let words = |words: Vec<TypeWord>| words.into_iter().map(|word| word.0).collect();
        let topics = |topics: Vec<TopicPattern>| topics.into_iter().map(|topic| topic.0).collect();
        Table {
            name: name.to_owned(),
            types: self.types.map(words),
            topics: self.topics.map(topics),
            max_size: self.max_size,
            per_minute: self.per_minute.map(NonZeroU32::get),
            turns: self.turns.map(NonZeroU32::get),
            until: self.until.map(|until| until.0),
            handlers: self.handlers,
        }
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::{super::Policy, read};

    fn refused(text: &str, line: usize, why: &str) {
        let error = read(text).expect_err(text);
        assert!(error.contains(&format!("line {line}")), "{text}: {error}");
        assert!(error.contains(why), "{text}: {error}");
    }

    #[test]
    fn what_is_unknown_or_of_a_wrong_type_is_refused_with_its_line() {
        for (text, line, why) in [
            ("\nstranger-danger = true", 2, "unknown field"),
            ("strangers = 'hold'\nstrangers = 'hold'", 2, "duplicate key"),
            ("strangers = 'maybe'", 1, "`maybe` is none of"),
            ("strangers = 3", 1, "expected a string"),
            ("\n\nallow-list = 'yes'", 3, "expected a boolean"),
            ("[contact.alice]\nsize = 3", 2, "unknown field `size`"),
            ("[default]\n[strangers]", 2, "expected a string"),
            ("[stranger]\nmax-size = -1", 2, "integer `-1`"),
            ("[stranger]\nmax-size = '1'", 2, "expected u64"),
            ("[stranger]\nper-minute = 0", 2, "nonzero u32"),
            ("[stranger]\nturns = 4294967296", 2, "nonzero u32"),
            ("[default]\n\ntypes = ['ping']", 3, "no message type"),
            ("[default]\ntypes = 'request'", 2, "expected a sequence"),
            ("[default]\ntopics = ['a*b']", 2, "only be the end"),
            (
                "[default]\nuntil = 2027-01-31T12:00:00",
                2,
                "no date such as",
            ),
            ("[default]\nuntil = 12:00:00", 2, "no date such as"),
            ("[default]\nuntil = 'soon'", 2, "no date such as"),
            ("[default]\nuntil = 7", 2, "no date such as"),
            ("contact = 5", 1, "expected a map"),
            ("[contact]\nalice = 5", 2, "expected struct"),
            ("[contact.bob]\n[contact.Bob]", 1, "twice"),
            ("allow-list = true\nstrangers = 'accept'", 2, "contradicts"),
            ("[default", 1, ""),
        ] {
            refused(text, line, why);
        }
    }

    #[test]
    fn a_policy_that_says_nothing_is_the_default() {
        for text in ["", "# nothing\n", "allow-list = false", "[contact.alice]"] {
            read(text).unwrap();
        }
        assert_eq!(
            format!("{:?}", read("").unwrap().strangers),
            format!("{:?}", Policy::default().strangers)
        );
    }

    /// Text made of the words that policies are made of, so that many of them parse.
    fn lines() -> impl Strategy<Value = String> {
        let word = prop::sample::select(vec![
            "strangers = \"hold\"\n",
            "allow-list = true\n",
            "[default]\n",
            "[stranger]\n",
            "[contact.alice]\n",
            "[contact.\"\\u0000 é\"]\n",
            "types = [\"request\"]\n",
            "topics = [\"a*\", \"\"]\n",
            "max-size = 9223372036854775807\n",
            "per-minute = 1\n",
            "turns = 4294967295\n",
            "until = 2027-01-31\n",
            "until = 9999-12-31T23:59:60Z\n",
            "until = 0000-01-01T00:00:00-23:59\n",
            "handlers = []\n",
            "[[contact]]\n",
            "contact.x.turns = {}\n",
        ]);
        prop::collection::vec(word, 0..8).prop_map(|words| words.concat())
    }

    proptest! {
        #[test]
        fn no_text_makes_the_parser_panic(text in any::<String>(), words in lines(), cut in 0_usize..64) {
            let _ = read(&text);
            let _ = read(&words);
            let _ = read(&format!("{words}{text}"));
            let cut = words.chars().take(cut).collect::<String>();
            let _ = read(&cut);
        }
    }
}
