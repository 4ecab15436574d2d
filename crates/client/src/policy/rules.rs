//! What the policy's tables say together about one sender: for each key the most specific table
//! that has it.

use core::fmt;

use jiff::Timestamp;

use crate::text::escaped;

/// Most characters of foreign text that a violation quotes.
const QUOTED: usize = 64;

/// One table of the policy.
#[derive(Clone, Debug, Default)]
pub(super) struct Table {
    /// Its heading in the file.
    pub(super) name: String,
    pub(super) types: Option<Vec<String>>,
    pub(super) topics: Option<Vec<Topic>>,
    pub(super) max_size: Option<u64>,
    pub(super) per_minute: Option<u32>,
    pub(super) turns: Option<u32>,
    pub(super) until: Option<Timestamp>,
    pub(super) handlers: Option<Vec<String>>,
}

/// Which topics are meant.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Topic {
    Exact(String),
    Prefix(String),
}

impl Topic {
    /// Whether this topic is meant; to have none is only allowed where every topic is.
    fn is_met_by(&self, topic: Option<&str>) -> bool {
        match (self, topic) {
            (Self::Exact(wanted), Some(topic)) => wanted == topic,
            (Self::Prefix(prefix), Some(topic)) => topic.starts_with(prefix),
            (Self::Exact(_), None) => false,
            (Self::Prefix(prefix), None) => prefix.is_empty(),
        }
    }
}

/// The rules for one sender.
#[derive(Clone, Copy, Debug)]
pub struct Rules<'p> {
    /// The most specific first.
    tables: [Option<&'p Table>; 2],
}

/// What rules look at.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Facts<'a> {
    pub(crate) message_type: &'a str,
    pub(crate) topic: Option<&'a str>,
    /// Bytes of the payload.
    pub(crate) size: usize,
    /// When it came, in milliseconds since the Unix epoch.
    pub(crate) arrived: i64,
    /// The name of the handler that it is for.
    pub(crate) handler: Option<&'a str>,
}

/// A rule that a message breaks.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("`{key}` of {table} in the policy: {why}")]
pub struct Violation {
    key: &'static str,
    table: String,
    why: String,
}

/// How much of something a sender may hand over, and which table says so.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Limit {
    pub(crate) most: u32,
    table: String,
}

/// The limits of a sender that take counting.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Limits {
    pub(crate) per_minute: Option<Limit>,
    pub(crate) turns: Option<Limit>,
}

impl<'p> Rules<'p> {
    pub(super) const fn new(own: Option<&'p Table>, default: &'p Table) -> Self {
        Self {
            tables: [own, Some(default)],
        }
    }

    /// Holds a message against the rules that look at nothing else.
    pub(crate) fn check(&self, facts: &Facts<'_>) -> Result<(), Violation> {
        let broken = |key, table: &Table, why| Violation {
            key,
            table: table.name.clone(),
            why,
        };
        if let Some((until, table)) = self.find(|table| table.until)
            && facts.arrived > until.as_millisecond()
        {
            return Err(broken("until", table, format!("that was until {until}")));
        }
        if let Some((types, table)) = self.find(|table| table.types.as_deref())
            && !types.iter().any(|word| word == facts.message_type)
        {
            let why = format!("it has no {}", quoted(facts.message_type));
            return Err(broken("types", table, why));
        }
        if let Some((topics, table)) = self.find(|table| table.topics.as_deref())
            && !topics.iter().any(|topic| topic.is_met_by(facts.topic))
        {
            let why = match facts.topic {
                Some(topic) => format!("it has no {}", quoted(topic)),
                None => "the message has no topic".to_owned(),
            };
            return Err(broken("topics", table, why));
        }
        if let Some((most, table)) = self.find(|table| table.max_size)
            && facts.size as u64 > most
        {
            let why = format!("{} bytes are more than {most}", facts.size);
            return Err(broken("max-size", table, why));
        }
        if let Some(name) = facts.handler
            && let Some((handlers, table)) = self.find(|table| table.handlers.as_deref())
            && !handlers.iter().any(|handler| handler == name)
        {
            let why = format!("it has no {}", quoted(name));
            return Err(broken("handlers", table, why));
        }
        Ok(())
    }

    /// The limits that take counting, if there are any.
    pub(crate) fn limits(&self) -> Option<Limits> {
        let limit = |(most, table): (u32, &Table)| Limit {
            most,
            table: table.name.clone(),
        };
        let limits = Limits {
            per_minute: self.find(|table| table.per_minute).map(limit),
            turns: self.find(|table| table.turns).map(limit),
        };
        (limits.per_minute.is_some() || limits.turns.is_some()).then_some(limits)
    }

    fn find<T>(&self, key: impl Fn(&'p Table) -> Option<T>) -> Option<(T, &'p Table)> {
        let mut tables = self.tables.iter().copied().flatten();
        tables.find_map(|table| Some((key(table)?, table)))
    }
}

impl Limits {
    /// Whether one more may be handed over, after so many in this minute and in this conversation.
    pub(crate) fn check(&self, handed: u32, turns: Option<u32>) -> Result<(), Violation> {
        let broken = |key, limit: &Limit, what| {
            Err(Violation {
                key,
                table: limit.table.clone(),
                why: format!("{} {what}", limit.most),
            })
        };
        match (&self.per_minute, &self.turns, turns) {
            (Some(limit), _, _) if handed >= limit.most => {
                broken("per-minute", limit, "in a minute were handed over")
            }
            (_, Some(limit), Some(turns)) if turns >= limit.most => {
                broken("turns", limit, "in this conversation were handed over")
            }
            _ => Ok(()),
        }
    }
}

fn quoted(text: &str) -> impl fmt::Display {
    let text: String = text.chars().take(QUOTED).collect();
    format!("`{}`", escaped(&text))
}

#[cfg(test)]
mod tests {
    use super::{super::Policy, Facts};

    const FACTS: Facts<'static> = Facts {
        message_type: "request",
        topic: Some("ops/db"),
        size: 10,
        arrived: 1_800_000_000_000,
        handler: None,
    };

    /// The rule that a stranger's message breaks.
    fn broken(policy: &str, facts: Facts<'_>) -> Option<String> {
        let policy = Policy::parse(policy).unwrap();
        let outcome = policy.rules(None).check(&facts);
        outcome.err().map(|violation| violation.to_string())
    }

    #[test]
    fn sizes_are_counted_to_the_byte() {
        assert_eq!(broken("[default]\nmax-size = 10", FACTS), None);
        assert_eq!(
            broken("[default]\nmax-size = 9", FACTS).unwrap(),
            "`max-size` of [default] in the policy: 10 bytes are more than 9"
        );
        let empty = Facts { size: 0, ..FACTS };
        assert_eq!(broken("[default]\nmax-size = 0", empty), None);
    }

    #[test]
    fn a_sender_reaches_only_the_handlers_that_its_rules_name() {
        let named = |handler| Facts {
            handler: Some(handler),
            ..FACTS
        };
        let policy = "[default]\nhandlers = ['build', 'test']";
        assert_eq!(broken(policy, named("test")), None);
        assert_eq!(
            broken(policy, named("deploy")).unwrap(),
            "`handlers` of [default] in the policy: it has no `deploy`"
        );
        assert!(broken("[default]\nhandlers = []", named("test")).is_some());
        assert_eq!(broken("", named("deploy")), None);
        // Whoever reads is no handler.
        assert_eq!(broken(policy, FACTS), None);
    }

    #[test]
    fn topics_are_exact_unless_they_end_in_a_star() {
        let bare = Facts {
            topic: None,
            ..FACTS
        };
        for (topics, with, without) in [
            ("['ops/db']", true, false),
            ("['ops']", false, false),
            ("['OPS/DB']", false, false),
            ("['ops*']", true, false),
            ("['ops/db*']", true, false),
            ("['ops/db/*']", false, false),
            ("['x', 'ops/*']", true, false),
            ("['*']", true, true),
            ("[]", false, false),
        ] {
            let policy = format!("[default]\ntopics = {topics}");
            assert_eq!(broken(&policy, FACTS).is_none(), with, "{topics}");
            assert_eq!(broken(&policy, bare).is_none(), without, "{topics}");
        }
    }

    #[test]
    fn a_date_counts_to_its_end_and_a_time_to_the_millisecond() {
        // 1,800,000,000 is 2027-01-15T08:00:00Z.
        let late = Facts {
            arrived: FACTS.arrived + 1,
            ..FACTS
        };
        for (until, now, later) in [
            ("2027-01-15", true, true),
            ("'2027-01-15'", true, true),
            ("2027-01-14", false, false),
            ("2027-01-15T08:00:00Z", true, false),
            ("'2027-01-15T09:00:00+01:00'", true, false),
            ("2027-01-15 07:59:59.999Z", false, false),
        ] {
            let policy = format!("[stranger]\nuntil = {until}");
            assert_eq!(broken(&policy, FACTS).is_none(), now, "{until}");
            assert_eq!(broken(&policy, late).is_none(), later, "{until}");
        }
    }

    #[test]
    fn the_most_specific_table_wins_for_each_key() {
        let policy = "[default]\ntypes = ['response']\nmax-size = 5\n[stranger]\nmax-size = 100";
        let why = broken(policy, FACTS).unwrap();
        assert!(why.starts_with("`types` of [default]"), "{why}");
        let response = Facts {
            message_type: "response",
            ..FACTS
        };
        assert_eq!(broken(policy, response), None);
    }

    #[test]
    fn foreign_text_in_a_violation_is_short_and_escaped() {
        let topic = format!("\u{202e}\n{}", "x".repeat(1000));
        let facts = Facts {
            topic: Some(&topic),
            ..FACTS
        };
        let why = broken("[default]\ntopics = ['a']", facts).unwrap();
        assert!(
            why.len() < 160 && !why.contains(['\n', '\u{202e}']),
            "{why}"
        );
    }
}
