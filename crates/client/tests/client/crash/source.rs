//! That no durable write is forgotten.

use std::{collections::BTreeSet, fs, path::Path};

use super::STORIES;

/// Writes that only ever become durable with another one.
const WITHIN: [&str; 9] = [
    "answer-call",
    "answer-repeated",
    "claim",
    "count",
    "exhaust",
    "record-answer",
    "record-call",
    "set-minute-back",
    "settle",
];

/// Writes that no delivery comes to, and who does.
const OUTSIDE: [(&str, &str); 9] = [
    ("change-standing", "the user, who blocks and verifies"),
    ("end", "a pairing"),
    ("import-contacts", "the user, with a list of contacts"),
    ("remove-contact", "the user"),
    ("rename-contact", "the user"),
    ("replace-keys", "the user, who accepts changed keys"),
    ("set-learned", "the user, who accepts keys, and a pairing"),
    ("set-notes", "the user"),
    ("set-published", "registration and rotation"),
];

/// The names that are given to `write` and `batch` in what the library is made of.
fn names(folder: &Path, found: &mut BTreeSet<String>) {
    for entry in fs::read_dir(folder).unwrap() {
        let path = entry.unwrap().path();
        if path.is_dir() {
            names(&path, found);
            continue;
        }
        let source = fs::read_to_string(&path).unwrap();
        let code = source.split("#[cfg(test)]\nmod tests").next().unwrap();
        for call in [".write(", ".batch("] {
            for after in code.split(call).skip(1) {
                if let Some(text) = after.trim_start().strip_prefix('"') {
                    found.extend(text.split('"').next().map(str::to_owned));
                }
            }
        }
    }
}

#[test]
fn every_durable_write_of_the_source_is_in_a_story_or_no_part_of_delivery() {
    let mut found = BTreeSet::new();
    let source = Path::new(env!("CARGO_MANIFEST_DIR")).join("src");
    names(&source, &mut found);
    // Of a part of the store's own tests, which is a file.
    found.remove("test");
    let told = STORIES.iter().flat_map(|story| story.writes());
    let outside = OUTSIDE.iter().map(|(name, _)| name);
    let mut known = BTreeSet::new();
    for name in WITHIN.iter().chain(outside) {
        assert!(
            known.insert((*name).to_owned()),
            "{name} stands there twice"
        );
    }
    for name in told {
        assert!(
            !WITHIN.contains(name) && OUTSIDE.iter().all(|(other, _)| other != name),
            "{name} is in a story and elsewhere"
        );
        known.insert((*name).to_owned());
    }
    let untold: Vec<_> = found.difference(&known).collect();
    assert!(untold.is_empty(), "no story comes to {untold:?}");
    let gone: Vec<_> = known.difference(&found).collect();
    assert!(gone.is_empty(), "the source has no {gone:?}");
}
