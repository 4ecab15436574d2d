//! As which agent, and where, `ctalk wtt` calls.

use std::fs;

use super::Place;
use crate::support::stderr;

#[test]
fn the_settings_of_wtts_own_clients_are_read() {
    let place = Place::with(&["alice"]);
    let url = place.service.url();
    let settings = format!(
        "# WTT\nWTT_AGENT_ID={}\nexport WTT_AGENT_TOKEN=\"{}\"\nWTT_API_URL='{}/'\n",
        place.id("alice"),
        place.token("alice"),
        url.trim_start_matches("wtt+"),
    );
    fs::write(place.sandbox.path(".env"), settings).unwrap();
    let run = |args: &[&str]| {
        let command = place.sandbox.command("alice").arg("wtt").args(args);
        let command = command.current_dir(place.sandbox.path("")).stdin("");
        place.sandbox.finish(command)
    };
    let output = run(&["bind"]).success();
    assert!(stderr(&output).contains(".env"), "{}", stderr(&output));
    assert!(!stderr(&output).contains(&place.token("alice")));
}

#[test]
fn a_token_goes_nowhere_but_where_it_was_given_for() {
    let place = Place::with(&["alice"]);
    fs::write(
        place.sandbox.path(".env"),
        "WTT_API_URL=http://127.0.0.1:9\n",
    )
    .unwrap();
    let command = place
        .command("alice", &["bind"])
        .current_dir(place.sandbox.path(""));
    place.sandbox.finish(command).success();
    let command = place.command("alice", &["bind"]);
    let refused = command.env("WTT_API_URL", "http://wtt.example");
    let refused = place.sandbox.finish(refused).code(2);
    assert!(stderr(&refused).contains("TLS"), "{}", stderr(&refused));
}

#[test]
fn without_an_agent_it_is_said_how_to_get_one() {
    let place = Place::with(&["alice"]);
    let refused = place.sandbox.run("alice", &["wtt", "list"]).code(2);
    assert!(
        stderr(&refused).contains("ctalk register"),
        "{}",
        stderr(&refused)
    );
    let half = place.command("alice", &["list"]).env("WTT_AGENT_TOKEN", "");
    place.sandbox.finish(half).code(2);
}
