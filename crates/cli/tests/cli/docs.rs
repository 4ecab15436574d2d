//! docs/CLI.md says what the binary does.

use std::{fs, path::Path};

use ctalk::{Class, Reason};

use crate::support::ctalk;

fn page() -> String {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../docs/CLI.md");
    fs::read_to_string(path).unwrap()
}

/// The part of the page under a heading, up to the next one of the same level.
fn section<'p>(page: &'p str, heading: &str) -> &'p str {
    let (_, rest) = page
        .split_once(&format!("\n{heading}\n"))
        .expect("the heading");
    rest.split("\n## ").next().unwrap()
}

/// The cells of a section's table rows, without back quotes.
fn rows(section: &str) -> Vec<Vec<String>> {
    let rows = section.lines().filter_map(|line| line.strip_prefix("| "));
    rows.map(|row| {
        row.split(" | ")
            .map(|cell| cell.trim_matches(['`', ' ', '|']).to_owned())
            .collect()
    })
    .collect()
}

#[test]
fn the_table_of_exit_codes_is_complete_and_right() {
    let page = page();
    let mut codes = rows(section(&page, "## Exit codes")).into_iter().skip(2);
    let ok = codes.next().unwrap();
    assert_eq!(&ok[..2], ["0", "ok"]);
    let codes: Vec<_> = codes.map(|row| (row[0].clone(), row[1].clone())).collect();
    let expected = Class::ALL.map(|class| (class.code().to_string(), class.as_str().to_owned()));
    assert_eq!(codes, expected);
}

#[test]
fn the_table_of_reasons_is_complete_and_right() {
    let page = page();
    let (_, inbox) = page.split_once("\n### ctalk inbox\n").unwrap();
    let inbox = inbox.split("\n### ").next().unwrap();
    let reasons = rows(inbox).into_iter().skip(2);
    let reasons: Vec<_> = reasons
        .map(|row| (row[0].clone(), row[2].clone()))
        .collect();
    let words = |reason: Reason| {
        (
            reason.as_str().to_owned(),
            reason.class().as_str().to_owned(),
        )
    };
    assert_eq!(reasons, Reason::ALL.map(words));
}

#[test]
fn every_command_has_a_section() {
    let help = ctalk().arg("--help").output().unwrap();
    let help = String::from_utf8(help.stdout).unwrap();
    let (_, commands) = help.split_once("Commands:\n").unwrap();
    let page = page();
    let commands: Vec<_> = commands
        .lines()
        .take_while(|line| !line.is_empty())
        // Further lines of what is said of a command stand further in.
        .filter(|line| !line.starts_with("   "))
        .filter_map(|line| line.split_whitespace().next())
        .collect();
    assert!(commands.len() > 10);
    for command in commands {
        assert!(
            page.contains(&format!("\n### ctalk {command}\n")),
            "{command}"
        );
    }
}

#[test]
fn no_example_puts_a_secret_into_an_argument() {
    for line in page().lines().filter(|line| line.starts_with("$ ")) {
        for option in ["--admin-key ", "--invite "] {
            let given = line.split_once(option).map(|(_, value)| value);
            assert!(given.is_none_or(|value| value.starts_with('@')), "{line}");
        }
    }
}
