//! docs/CLI.md says what the binary does.

use std::{fs, path::Path};

use ctalk::Class;

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

#[test]
fn the_table_of_exit_codes_is_complete_and_right() {
    let page = page();
    let rows = section(&page, "## Exit codes")
        .lines()
        .filter(|line| line.starts_with("| "));
    let codes: Vec<(String, String)> = rows
        .filter_map(|row| {
            let mut cells = row.split('|').map(str::trim).skip(1);
            let code = cells.next()?;
            code.parse::<u8>().ok()?;
            Some((code.to_owned(), cells.next()?.trim_matches('`').to_owned()))
        })
        .collect();
    let ok = ("0".to_owned(), "ok".to_owned());
    let classes = Class::ALL
        .iter()
        .map(|class| (class.code().to_string(), class.as_str().to_owned()));
    assert_eq!(
        codes,
        std::iter::once(ok).chain(classes).collect::<Vec<_>>()
    );
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
