//! `recv --save`: what becomes a file, under which name, and what does not.

use std::{
    fs,
    os::unix::fs::{PermissionsExt, symlink},
    path::Path,
    sync::Arc,
};

use ctalk::{
    Content, Draft, Profile,
    clock::SystemClock,
    keystore::{Keystore, Kind, PassphraseSource},
};
use serde_json::{Value, json};
use snapbox::str;

use crate::support::{Sandbox, names_in, on_a_terminal, shell, stderr, text};

/// Sends bob files under names that no file here can have.
fn send_named(sandbox: &Sandbox, files: impl IntoIterator<Item = (String, Content)>) {
    let profile = Profile::open(&sandbox.profile("alice")).unwrap();
    let (keystore, secrets) =
        Keystore::open(profile.folder(), Kind::Plain, PassphraseSource::None).unwrap();
    let clock = Arc::new(SystemClock);
    let url = sandbox.relay.url();
    let mut alice = ctalk::client(&profile, keystore, &secrets, &url, None, clock).unwrap();
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()
        .unwrap();
    for (name, content) in files {
        let mut draft = Draft::new(content);
        draft.name = Some(name);
        let sent = runtime.block_on(alice.send(&["bob".to_owned()], &draft));
        sent.unwrap().remove(0).unwrap();
    }
}

/// An empty folder of the sandbox.
fn folder(sandbox: &Sandbox) -> String {
    fs::create_dir(sandbox.path("saved")).unwrap();
    sandbox.path("saved").display().to_string()
}

fn content_of(path: &Value) -> Vec<u8> {
    fs::read(text(path)).unwrap()
}

#[test]
fn a_file_arrives_as_it_was_sent_and_the_line_says_where() {
    let sandbox = Sandbox::with(&["alice", "bob"]);
    let folder = folder(&sandbox);
    let bytes: Vec<u8> = (0..=255).cycle().take(20_000).collect();
    let file = sandbox.file("report.pdf", &bytes);
    let send = ["send", "bob", "--file", &file];
    sandbox.run("alice", &send).success();
    let recv = ["recv", "--save", &folder];
    sandbox.run("bob", &recv).success().stdout_eq(str![[r#"
[pinned]  alice  request  20[..]Z  id=[..]  name=report.pdf
saved as [..]/saved/report.pdf

"#]]);
    assert_eq!(fs::read(sandbox.path("saved/report.pdf")).unwrap(), bytes);

    sandbox.run("alice", &send).success();
    let received = sandbox.json("bob", &recv).remove(0);
    assert_eq!(content_of(&received["savedAs"]), bytes);
    let members: Vec<_> = received.as_object().unwrap().keys().collect();
    assert!(!members.contains(&&"payload".to_owned()), "{members:?}");
    assert_eq!(
        [
            &received["name"],
            &received["contentType"],
            &received["from"]
        ],
        ["report.pdf", "application/octet-stream", "alice"]
    );
    assert!(sandbox.json("bob", &recv).is_empty());
}

#[test]
fn files_are_what_has_a_name_or_is_bytes() {
    let sandbox = Sandbox::with(&["alice", "bob"]);
    let folder = folder(&sandbox);
    let file = sandbox.file("story.txt", "once\n");
    let bytes = sandbox.command("alice").args(["send", "bob", "-"]);
    sandbox.finish(bytes.stdin(b"\xff\x00".to_vec())).success();
    for content in [&["plain"][..], &["--data", "[1]"], &["--file", &file]] {
        sandbox
            .run("alice", &[&["send", "bob"], content].concat())
            .success();
    }
    let received = sandbox.json("bob", &["recv", "--save", &folder]);
    let nameless = format!("message-{}", text(&received[0]["id"]));
    assert_eq!(content_of(&received[0]["savedAs"]), b"\xff\x00");
    assert_eq!(received[1]["payload"], "plain");
    assert_eq!(received[2]["payload"], json!([1]));
    assert_eq!(content_of(&received[3]["savedAs"]), b"once\n");
    assert_eq!(names_in(Path::new(&folder)), [&nameless, "story.txt"]);
}

#[test]
fn without_a_folder_a_named_text_is_printed() {
    let sandbox = Sandbox::with(&["alice", "bob"]);
    let file = sandbox.file("story.txt", "once");
    sandbox
        .run("alice", &["send", "bob", "--file", &file])
        .success();
    sandbox.run("bob", &["recv"]).success().stdout_eq(str![[r#"
[pinned]  alice  request  20[..]Z  id=[..]  name=story.txt
once

"#]]);
}

#[test]
fn hostile_names_become_harmless_ones_in_the_folder() {
    let sandbox = Sandbox::with(&["alice", "bob"]);
    let folder = folder(&sandbox);
    let long = format!("{}.pdf", "x".repeat(251));
    let cut = format!("{}.pdf", "x".repeat(196));
    let names = [
        ("../../etc/passwd", "passwd"),
        ("/etc/passwd", "passwd-1"),
        ("..\\..\\win.ini", "win.ini"),
        ("-rf", "rf"),
        (".bashrc", "bashrc"),
        ("a\u{202e}b", "ab"),
        ("a\nb\0", "ab-1"),
        (&long, &cut),
        ("..", "message-"),
        ("\u{200b}/", "message-"),
    ];
    send_named(
        &sandbox,
        names.map(|(name, _)| (name.to_owned(), Content::Bytes(name.into()))),
    );
    let received = sandbox.json("bob", &["recv", "--save", &folder]);
    assert_eq!(received.len(), names.len());
    let mut expected = Vec::new();
    for ((name, kept), line) in names.into_iter().zip(&received) {
        let kept = if kept == "message-" {
            format!("message-{}", text(&line["id"]))
        } else {
            kept.to_owned()
        };
        assert_eq!(line["name"], name);
        assert_eq!(line["savedAs"], format!("{folder}/{kept}"), "{name:?}");
        assert_eq!(content_of(&line["savedAs"]), name.as_bytes());
        expected.push(kept);
    }
    expected.sort();
    assert_eq!(names_in(Path::new(&folder)), expected);
}

#[test]
fn what_a_terminal_shows_of_a_saved_file_cannot_be_forged() {
    let sandbox = Sandbox::with(&["alice", "bob"]);
    let folder = folder(&sandbox);
    let name = "\u{1b}]0;x\u{7}\nsaved as b";
    send_named(&sandbox, [(name.to_owned(), Content::Text("1".to_owned()))]);
    sandbox
        .run("alice", &["send", "bob", "x\nsaved as c"])
        .success();
    let shown = on_a_terminal(&sandbox, "bob", &format!("recv --save {folder}"), false, "");
    assert!(!shown.contains(['\u{1b}', '\u{7}']), "{shown:?}");
    let saved: Vec<_> = shown
        .lines()
        .filter(|line| line.starts_with("saved as "))
        .collect();
    assert_eq!(saved, [format!("saved as {folder}/]0;xsaved as b")]);
}

#[test]
fn nothing_is_overwritten_or_followed() {
    let sandbox = Sandbox::with(&["alice", "bob"]);
    let folder = folder(&sandbox);
    fs::write(sandbox.path("saved/a.txt"), "mine").unwrap();
    symlink(sandbox.path("elsewhere"), sandbox.path("saved/b.txt")).unwrap();
    let file = |name: &str, content: &str| (name.to_owned(), Content::Text(content.to_owned()));
    let files = [file("a.txt", "1"), file("a.txt", "2"), file("b.txt", "3")];
    send_named(&sandbox, files);
    sandbox.run("bob", &["recv", "--save", &folder]).success();
    for (name, content) in [
        ("a.txt", "mine"),
        ("a-1.txt", "1"),
        ("a-2.txt", "2"),
        ("b-1.txt", "3"),
    ] {
        let path = sandbox.path("saved").join(name);
        assert_eq!(fs::read_to_string(path).unwrap(), content, "{name}");
    }
    assert!(!sandbox.path("elsewhere").exists());
    assert_eq!(names_in(Path::new(&folder)).len(), 5);
}

#[test]
fn a_file_has_the_mode_that_the_umask_leaves() {
    let sandbox = Sandbox::with(&["alice", "bob"]);
    let folder = folder(&sandbox);
    let file = sandbox.file("run.sh", "#!/bin/sh\n");
    sandbox
        .run("alice", &["send", "bob", "--file", &file])
        .success();
    let masked = r#"umask 027; exec "$@""#;
    let recv = shell(&sandbox, "bob", masked, &["recv", "--save", &folder]);
    sandbox.finish(recv.stdin("")).success();
    let mode = fs::metadata(sandbox.path("saved/run.sh"))
        .unwrap()
        .permissions()
        .mode();
    assert_eq!(mode & 0o7777, 0o640);
}

#[test]
fn a_message_whose_file_cannot_be_saved_is_handed_over_again() {
    let sandbox = Sandbox::with(&["alice", "bob"]);
    let folder = folder(&sandbox);
    let file = sandbox.file("story.txt", "precious");
    sandbox
        .run("alice", &["send", "bob", "--file", &file])
        .success();
    // A folder in which nobody makes files.
    let output = sandbox.run("bob", &["recv", "--save", "/proc"]).code(2);
    let talk = stderr(&output);
    assert!(
        talk.contains("error: cannot save a file in /proc: "),
        "{talk}"
    );
    assert!(
        talk.contains("hint: its message stays in the inbox"),
        "{talk}"
    );
    assert!(output.get_output().stdout.is_empty() && !talk.contains("precious"));
    let received = sandbox.json("bob", &["recv", "--save", &folder]).remove(0);
    assert_eq!(content_of(&received["savedAs"]), b"precious");
    assert!(sandbox.json("bob", &["recv", "--save", &folder]).is_empty());
}

#[test]
fn a_folder_that_is_not_there_is_refused_before_anything_is_taken() {
    let sandbox = Sandbox::with(&["alice", "bob"]);
    sandbox.run("alice", &["send", "bob", "x"]).success();
    let (missing, file) = (sandbox.path("none"), sandbox.file("file", ""));
    for folder in [missing.display().to_string(), file] {
        let output = sandbox.run("bob", &["recv", "--save", &folder]).code(2);
        let talk = stderr(&output);
        assert!(
            talk.contains("hint: --save takes a folder that exists"),
            "{talk}"
        );
    }
    let peek = ["recv", "--peek", "--save", "."];
    sandbox.run("bob", &peek).code(2);
    assert_eq!(sandbox.stored().len(), 1);
    assert!(!missing.exists());
}

#[test]
fn what_nobody_signed_never_becomes_a_file() {
    let sandbox = Sandbox::with(&["alice", "bob"]);
    let folder = folder(&sandbox);
    let plain = ["send", "bob", "x", "--plaintext"];
    sandbox.run("alice", &plain).success();
    let mut message = sandbox.stored().remove(0);
    message["id"] = json!("forged");
    message["name"] = json!("forged.txt");
    message["contentType"] = json!("application/octet-stream");
    message["payload"] = json!({"base64": "AAAA"});
    sandbox.relay.inject("bob", &message.to_string());
    let received = sandbox.json("bob", &["recv", "--save", &folder]);
    assert_eq!(received[0]["payload"], "x");
    assert_eq!(received[1]["payload"], json!({"base64": "AAAA"}));
    assert_eq!(names_in(Path::new(&folder)), [""; 0]);
}

#[test]
fn a_deeply_nested_file_blocks_nothing() {
    let sandbox = Sandbox::with(&["alice", "bob"]);
    let folder = folder(&sandbox);
    let deep = format!("{}{}", "[".repeat(127), "]".repeat(127));
    let content = Content::from_json(deep.clone()).unwrap();
    send_named(&sandbox, [("deep.json".to_owned(), content)]);
    let received = sandbox.json("bob", &["recv", "--save", &folder]).remove(0);
    assert_eq!(content_of(&received["savedAs"]), deep.as_bytes());
    assert_eq!(received["contentType"], "application/json");
}
