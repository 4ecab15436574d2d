//! The demonstration, completions and man pages.

use snapbox::{cmd::Command, str};

use crate::support::{ctalk, lines, names_in};

#[test]
fn the_demo_shows_what_the_relay_stored_and_what_was_read() {
    let folder = tempfile::tempdir().unwrap();
    let mut command = ctalk();
    command.arg("demo").env("TMPDIR", folder.path());
    Command::from_std(command)
        .assert()
        .success()
        .stderr_eq("")
        .stdout_eq(str![[r#"
alice asks bob
               what the relay stored              what bob read
from           alice                              alice (pinned)
to             bob                                bob
type           notification                       request
correlationId                                     demo-1
payload        ctalk2:[..]…  What is six times seven?

bob answers alice
               what the relay stored              what alice read
from           bob                                bob (pinned)
to             alice                              alice
type           notification                       response
correlationId                                     demo-1
payload        ctalk2:[..]…  Forty-two.

the relay changes one character of a sealed message from alice to bob
alice sent           ctalk2:[..]…
the relay delivered  ctalk2:[..]…
bob refused it       not-verified: [..]

"#]]);
    assert!(
        names_in(folder.path()).is_empty(),
        "it leaves nothing behind"
    );
}

#[test]
fn the_demo_has_a_summary_in_json() {
    let mut command = ctalk();
    command.args(["demo", "--json"]);
    let summary = lines(&Command::from_std(command).assert().success()).remove(0);
    for (step, text) in [
        ("request", "What is six times seven?"),
        ("response", "Forty-two."),
    ] {
        let exchanged = &summary[step];
        assert_eq!(exchanged["read"]["payload"], text);
        assert_eq!(exchanged["read"]["trust"], "pinned");
        assert_eq!(exchanged["read"]["correlationId"], "demo-1");
        let stored = exchanged["stored"].to_string();
        assert!(!stored.contains(text) && !stored.contains("demo-1"));
    }
    let tampered = &summary["tampered"];
    assert_eq!(tampered["refused"]["reason"], "not-verified");
    let [sent, delivered] =
        ["sent", "delivered"].map(|member| tampered[member]["payload"].as_str());
    let pairs = sent.unwrap().chars().zip(delivered.unwrap().chars());
    assert_eq!(
        pairs.filter(|(sent, delivered)| sent != delivered).count(),
        1
    );
}

#[test]
fn the_demo_without_a_place_for_its_files_fails_cleanly() {
    let mut command = ctalk();
    command.arg("demo").env("TMPDIR", "/no/such/folder");
    let output = Command::from_std(command).assert().code(1).stdout_eq("");
    output.stderr_eq(str![[r#"
error: cannot make a temporary folder: No such file or directory (os error 2) at path "/no/such/folder/[..]"

"#]]);
}

#[test]
fn every_shell_gets_its_completions() {
    for shell in ["bash", "elvish", "fish", "powershell", "zsh"] {
        let output = ctalk().args(["completions", shell]).output().unwrap();
        let script = String::from_utf8(output.stdout).unwrap();
        assert!(
            output.status.success() && script.contains("correlation-id"),
            "{shell}"
        );
    }
}

#[test]
fn every_command_gets_a_man_page() {
    let folder = tempfile::tempdir().unwrap();
    let out = folder.path().join("man");
    let status = ctalk().args(["man", "--out"]).arg(&out).status().unwrap();
    assert!(status.success());
    let pages = names_in(&out);
    for page in [
        "ctalk.1",
        "ctalk-send.1",
        "ctalk-recv.1",
        "ctalk-contact-accept-key.1",
    ] {
        assert!(pages.iter().any(|name| name == page), "{page} in {pages:?}");
    }
    let file = folder.path().join("file");
    std::fs::write(&file, "").unwrap();
    let output = ctalk().args(["man", "--out"]).arg(&file).output().unwrap();
    assert_eq!(output.status.code(), Some(1));
}
