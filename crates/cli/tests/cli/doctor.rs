//! `ctalk doctor`.

use std::{fs, os::unix::fs::PermissionsExt};

use ctalk_relay::{Clock, SystemClock, testing::TestRelay};
use serde_json::Value;
use snapbox::str;

use crate::support::{Sandbox, lines, text};

/// What the doctor found about alice, as (check, finding, hint), with its exit code.
fn findings(sandbox: &Sandbox, options: &[&str]) -> (i32, Vec<(String, String, String)>) {
    let output = sandbox.run("alice", &[&["doctor", "--json"], options].concat());
    let code = output.get_output().status.code().unwrap();
    let found = lines(&output)
        .iter()
        .filter(|line| line["ok"] == false)
        .map(|line: &Value| {
            let of = |member: &str| text(&line[member]).to_owned();
            (of("check"), of("finding"), of("hint"))
        })
        .collect();
    (code, found)
}

fn only(sandbox: &Sandbox, check: &str, finding: &str, hint: &str, code: i32) {
    let (exit, found) = findings(sandbox, &[]);
    let [(its_check, its_finding, its_hint)] = &found[..] else {
        panic!("{found:?}");
    };
    assert_eq!((its_check.as_str(), exit), (check, code));
    assert!(its_finding.contains(finding), "{its_finding}");
    assert!(its_hint.contains(hint), "{its_hint}");
}

#[test]
fn a_healthy_profile_has_no_findings() {
    let sandbox = Sandbox::with(&["alice", "bob"]);
    sandbox.run("alice", &["send", "bob", "x"]).success();
    sandbox
        .run("alice", &["doctor"])
        .success()
        .stdout_eq(str![[r#"
ok       profile
ok       permissions
ok       key-store
ok       store
ok       card
ok       outbox
ok       relay
ok       clock
ok       directory
ok       receivers

"#]])
        .stderr_eq("");
}

#[test]
fn a_profile_without_a_relay_is_looked_at_alone() {
    let sandbox = Sandbox::new();
    sandbox
        .run(
            "alice",
            &["keygen", "--name", "alice", "--key-store", "plain"],
        )
        .success();
    sandbox.run("alice", &["card"]).success();
    sandbox
        .run("alice", &["doctor"])
        .success()
        .stderr_eq("no relay is known, so nothing about one was checked\n");
}

#[test]
fn no_profile_is_a_finding() {
    let sandbox = Sandbox::new();
    only(
        &sandbox,
        "profile",
        "there is no identity",
        "ctalk keygen",
        8,
    );
}

#[test]
fn files_that_others_can_read_are_found_with_the_command_that_closes_them() {
    let sandbox = Sandbox::with(&["alice", "bob"]);
    sandbox.run("alice", &["send", "bob", "x"]).success();
    let open = |name: &str, mode: u32| {
        let path = sandbox.profile("alice").join(name);
        fs::set_permissions(path, fs::Permissions::from_mode(mode)).unwrap();
    };
    for (name, mode, closed) in [
        ("store.sqlite", 0o644, 0o600),
        ("keys.plain.json", 0o640, 0o600),
        ("profile.toml", 0o604, 0o600),
        ("", 0o755, 0o700),
    ] {
        open(name, mode);
        let hint = format!("chmod {closed:o} ");
        only(&sandbox, "permissions", name, &hint, 8);
        open(name, closed);
    }
    assert_eq!(findings(&sandbox, &[]).0, 0);
}

#[test]
fn a_key_store_that_does_not_open_is_a_finding_and_the_rest_is_looked_at() {
    let sandbox = Sandbox::with(&["alice"]);
    let keys = sandbox.profile("alice").join("keys.plain.json");
    let whole = fs::read(&keys).unwrap();
    fs::write(&keys, "{}").unwrap();
    only(&sandbox, "key-store", "is damaged", "backup", 8);
    fs::write(&keys, whole).unwrap();

    let passphrase = sandbox.file("passphrase", "right");
    let wrong = sandbox.file("wrong", "wrong");
    let passwd = ["passwd", "--key-store", "file", "--new-passphrase-file"];
    sandbox
        .run("alice", &[&passwd[..], &[&passphrase]].concat())
        .success();
    let (code, found) = findings(&sandbox, &["--passphrase-file", &wrong]);
    assert_eq!(code, 8);
    assert_eq!(found[0].0, "key-store");
    assert!(found[0].2.contains("--passphrase-file"), "{found:?}");
    assert_eq!(findings(&sandbox, &["--passphrase-file", &passphrase]).0, 0);
}

#[test]
fn a_damaged_or_newer_store_is_a_finding() {
    let sandbox = Sandbox::with(&["alice", "bob"]);
    sandbox.run("alice", &["send", "bob", "x"]).success();
    let path = sandbox.profile("alice").join("store.sqlite");
    let whole = fs::read(&path).unwrap();
    // SQLite's own place for the version that migrations count.
    let mut newer = whole.clone();
    newer[60..64].copy_from_slice(&1000_u32.to_be_bytes());
    fs::write(&path, newer).unwrap();
    only(&sandbox, "store", "has version 1000", "newer ctalk", 8);
    let mut damaged = whole.clone();
    for byte in &mut damaged[4096..] {
        *byte = 0xa5;
    }
    fs::write(&path, damaged).unwrap();
    only(&sandbox, "store", "store.sqlite", "move it away", 8);
    fs::write(
        &path,
        "this is no SQLite file at all, and long enough to be sure",
    )
    .unwrap();
    only(&sandbox, "store", "not a database", "move it away", 8);
    fs::write(&path, whole).unwrap();
    assert_eq!(findings(&sandbox, &[]).0, 0);
}

#[test]
fn a_relay_that_does_not_answer_is_a_finding() {
    let mut sandbox = Sandbox::with(&["alice"]);
    sandbox.relay.stop();
    only(&sandbox, "relay", "cannot reach", "ctalk health", 6);
}

#[test]
fn a_clock_that_is_far_from_the_relays_is_a_finding() {
    for (ahead, side) in [(6 * 60, "behind"), (-6 * 60, "ahead of")] {
        let sandbox = Sandbox::around(TestRelay::builder().clock(Shifted(ahead * 1000)));
        sandbox.add("alice");
        let (code, found) = findings(&sandbox, &[]);
        let clock: Vec<_> = found.iter().filter(|found| found.0 == "clock").collect();
        assert_eq!((code, clock.len()), (8, 1), "{found:?}");
        assert!(clock[0].1.contains(side), "{found:?}");
        assert!(clock[0].2.contains("set this machine's clock"), "{found:?}");
    }
    let sandbox = Sandbox::around(TestRelay::builder().clock(Shifted(4 * 60 * 1000)));
    sandbox.add("alice");
    assert_eq!(findings(&sandbox, &[]).0, 0);
}

#[test]
fn what_the_directory_shows_for_me_is_compared_with_what_i_have() {
    let sandbox = Sandbox::with(&["alice"]);
    let mine = sandbox.relay.agent_capabilities("alice");
    sandbox.relay.set_agent_capabilities("alice", &[]);
    let publish = "ctalk card --publish";
    only(&sandbox, "directory", "shows no key card", publish, 7);
    sandbox.run("alice", &["card", "--publish"]).success();
    assert_eq!(findings(&sandbox, &[]).0, 0);
    assert_eq!(sandbox.relay.agent_capabilities("alice"), mine);

    let (public_key, signing_key) = sandbox.foreign_keys();
    sandbox
        .relay
        .set_agent_keys("alice", &public_key, &signing_key);
    sandbox.relay.set_agent_capabilities("alice", &[]);
    only(
        &sandbox,
        "directory",
        "shows other keys than mine",
        publish,
        5,
    );
}

#[test]
fn a_second_machine_with_this_identity_is_noticed() {
    let sandbox = Sandbox::with(&["alice"]);
    let passphrase = sandbox.file("passphrase", "x");
    let file = sandbox.path("export").display().to_string();
    let args = ["--export-passphrase-file", &passphrase];
    sandbox
        .run("alice", &[&["export", "-o", &file][..], &args].concat())
        .success();
    let import = ["import", &file, "--key-store", "plain"];
    sandbox
        .run("second", &[&import[..], &args].concat())
        .success();
    sandbox.run("second", &["card", "--publish"]).success();
    only(&sandbox, "receivers", "another machine", "unsupported", 8);
    // The one that published last has nothing to complain about.
    sandbox.run("second", &["doctor"]).success();
}

/// A relay's clock that is wrong by some milliseconds.
struct Shifted(i64);

impl Clock for Shifted {
    fn now_ms(&self) -> i64 {
        SystemClock.now_ms() + self.0
    }
}
