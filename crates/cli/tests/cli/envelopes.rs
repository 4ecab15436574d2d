//! Cards and envelopes: `card`, `seal`, `open`, `verify` and `inspect`.

use std::fs;

use rustix::process::Signal;
use serde_json::Value;
use snapbox::{cmd::OutputAssert, str};

use crate::support::{Running, Sandbox, lines, names_in, on_a_terminal, shell, stderr, text};

/// A sandbox whose agents have no relay, with the card of each in a file of its name.
fn agents(names: &[&str]) -> Sandbox {
    let sandbox = Sandbox::new();
    for name in names {
        sandbox
            .run(name, &["keygen", "--name", name, "--key-store", "plain"])
            .success();
        let card = sandbox.run(name, &["card"]).success();
        sandbox.file(name, stdout(&card));
    }
    sandbox
}

fn stdout(output: &OutputAssert) -> Vec<u8> {
    output.get_output().stdout.clone()
}

fn path(sandbox: &Sandbox, name: &str) -> String {
    sandbox.path(name).display().to_string()
}

fn with_input(sandbox: &Sandbox, profile: &str, args: &[&str], input: &[u8]) -> OutputAssert {
    sandbox.finish(sandbox.command(profile).args(args).stdin(input.to_vec()))
}

/// Seals to a recipient's card.
fn seal(sandbox: &Sandbox, from: &str, to: &str, options: &[&str], content: &[u8]) -> Vec<u8> {
    let card = path(sandbox, to);
    let args = [&["seal", "--to", &card], options].concat();
    stdout(&with_input(sandbox, from, &args, content).success())
}

#[test]
fn a_card_stays_the_same_and_is_stored_before_it_is_shown() {
    let sandbox = agents(&["alice"]);
    let shown = fs::read(sandbox.path("alice")).unwrap();
    sandbox
        .run("alice", &["card"])
        .success()
        .stdout_eq(String::from_utf8(shown.clone()).unwrap());
    let card = &sandbox.json("alice", &["card"])[0];
    assert_eq!(text(&card["card"]).as_bytes(), shown.trim_ascii_end());
    assert_eq!(card["name"], "alice");
    let stored = fs::read_to_string(sandbox.profile("alice").join("keys.plain.json")).unwrap();
    assert!(stored.contains(text(&card["card"])));
    sandbox.run("alice", &["card", "--qr", "--json"]).code(2);
    let code = sandbox.run("alice", &["card", "--qr"]).success();
    let code = String::from_utf8(stdout(&code)).unwrap();
    assert!(code.lines().count() > 60 && code.contains('\u{2584}'));
}

#[test]
fn what_is_sealed_opens_for_the_recipient_and_for_nobody_else() {
    let sandbox = agents(&["alice", "bob", "carol"]);
    let from = path(&sandbox, "alice");
    let content: Vec<u8> = (0..=255).cycle().take(2_500_000).collect();
    for options in [&[][..], &["--armor"]] {
        let sealed = seal(&sandbox, "alice", "bob", options, &content);
        let opened = with_input(&sandbox, "bob", &["open", "--from", &from], &sealed).success();
        assert!(stdout(&opened) == content);
        let args = ["open", "--any-sender"];
        let refused = with_input(&sandbox, "carol", &args, &sealed).code(4);
        assert!(stdout(&refused).is_empty());
    }
}

#[test]
fn several_recipients_share_an_envelope_and_the_sender_may_be_one() {
    let sandbox = agents(&["alice", "bob"]);
    let (alice, bob) = (path(&sandbox, "alice"), path(&sandbox, "bob"));
    let args = ["seal", "--to", &alice, "--to", &bob];
    let sealed = stdout(&with_input(&sandbox, "alice", &args, b"to us").success());
    for name in ["alice", "bob"] {
        let opened = with_input(&sandbox, name, &["open", "--from", &alice], &sealed);
        opened.success().stdout_eq("to us");
    }
}

#[test]
fn an_unknown_sender_is_exit_5_unless_anybody_will_do() {
    let sandbox = agents(&["alice", "bob", "carol"]);
    let sealed = seal(&sandbox, "alice", "bob", &[], b"hello");
    let envelope = sandbox.file("sealed", &sealed);
    let out = path(&sandbox, "out");
    for arguments in [&["open", "-o", &out, &envelope][..], &["verify", &envelope]] {
        let refused = sandbox.run("bob", arguments).code(5).stdout_eq("");
        let fingerprint = &sandbox.json("alice", &["card"])[0]["fingerprint"];
        let groups = stderr(&refused).replace(' ', "");
        assert!(groups.contains(text(fingerprint)), "{groups}");
        assert!(stderr(&refused).contains("hint: "));
    }
    let carol = path(&sandbox, "carol");
    for command in ["open", "verify"] {
        let arguments = [command, "--from", &carol, &envelope];
        let refused = sandbox.run("bob", &arguments).code(5).stdout_eq("");
        assert!(stderr(&refused).contains(", not from "));
    }
    assert!(!sandbox.path("out").exists());
    let opened = sandbox.run("bob", &["open", "--any-sender", &envelope]);
    let opened = opened.success().stdout_eq("hello");
    assert!(stderr(&opened).contains("warning: --any-sender"));
    let both = ["open", "--any-sender", "--from", &carol, &envelope];
    sandbox.run("bob", &both).code(2);
}

#[test]
fn metadata_is_json_on_stderr_and_content_on_stdout() {
    let sandbox = agents(&["alice", "bob"]);
    let (alice, bob) = (path(&sandbox, "alice"), path(&sandbox, "bob"));
    let file = sandbox.file("story.txt", "once");
    let args = ["--json", "seal", "--to", &bob, "--ttl", "60", &file];
    let sealed = sandbox.run("alice", &args).success();
    let made: Value = serde_json::from_str(&stderr(&sealed)).unwrap();
    let envelope = sandbox.file("sealed", stdout(&sealed));
    let args = ["--json", "open", "--from", &alice, &envelope];
    let opened = sandbox.run("bob", &args).success().stdout_eq("once");
    let seen: Value = serde_json::from_str(&stderr(&opened)).unwrap();
    for field in ["id", "created", "expires", "recipients", "bytes"] {
        assert_eq!(made[field], seen[field], "{field}");
    }
    assert_eq!(seen["name"], "story.txt");
    assert_eq!(seen["trust"], "named");
    assert_eq!(seen["type"], "notification");
    let verified = &sandbox.json("bob", &["verify", "--from", &alice, &envelope])[0];
    let inspected = &sandbox.json("nobody", &["inspect", &envelope])[0];
    for field in ["id", "created", "expires", "recipients"] {
        assert_eq!(verified[field], seen[field], "{field}");
        assert_eq!(inspected[field], seen[field], "{field}");
    }
    assert_eq!(inspected["claimedSender"], seen["fingerprint"]);
}

#[test]
fn an_output_file_is_complete_or_not_there_and_never_overwritten() {
    let sandbox = agents(&["alice", "bob"]);
    let (bob, out) = (path(&sandbox, "bob"), path(&sandbox, "results/out"));
    fs::create_dir(sandbox.path("results")).unwrap();
    let content = vec![7; 3_000_000];
    let seal_to = |out: &str| {
        let args = ["seal", "--to", &bob, "-o", out];
        with_input(&sandbox, "alice", &args, &content)
    };
    seal_to(&out).success().stdout_eq("");
    let sealed = fs::read(&out).unwrap();
    seal_to(&out).code(2);
    assert!(fs::read(&out).unwrap() == sealed);
    seal_to(&path(&sandbox, "no/such/folder")).code(2);

    let opened = path(&sandbox, "results/opened");
    let args = ["open", "--any-sender", "-o", &opened];
    let damaged = [&sealed[..sealed.len() - 1], &[!sealed[sealed.len() - 1]]].concat();
    with_input(&sandbox, "bob", &args, &damaged).code(3);
    with_input(&sandbox, "bob", &args, &sealed[..2_000_000]).code(3);
    assert_eq!(names_in(&sandbox.path("results")), ["out"]);
    with_input(&sandbox, "bob", &args, &sealed).success();
    assert!(fs::read(&opened).unwrap() == content);
    assert_eq!(names_in(&sandbox.path("results")), ["opened", "out"]);
}

#[test]
fn an_interrupted_run_leaves_nothing_behind() {
    let sandbox = agents(&["alice", "bob"]);
    fs::create_dir(sandbox.path("results")).unwrap();
    let out = path(&sandbox, "results/out");
    let fifo = path(&sandbox, "fifo");
    let made = std::process::Command::new("mkfifo").arg(&fifo).status();
    assert!(made.unwrap().success());
    let bob = path(&sandbox, "bob");
    let mut command = sandbox.std_command("alice");
    command.args(["seal", "--to", &bob, "-o", &out, &fifo]);
    let running = Running::new(Some(&sandbox), &mut command);
    // Opening it for writing returns once the other side reads.
    let writer = fs::OpenOptions::new().write(true).open(&fifo).unwrap();
    while names_in(&sandbox.path("results")).is_empty() {
        std::thread::yield_now();
    }
    running.signal(Signal::INT);
    let (status, _, _) = running.end();
    drop(writer);
    assert_eq!(status.code(), Some(130));
    assert!(names_in(&sandbox.path("results")).is_empty());
}

#[test]
fn bad_envelopes_have_their_own_exit_codes() {
    let sandbox = agents(&["alice", "bob"]);
    let sealed = seal(&sandbox, "alice", "bob", &[], b"hello");
    let line = seal(&sandbox, "alice", "bob", &["--armor"], b"hello");
    let line = String::from_utf8(line).unwrap();
    let card = fs::read(sandbox.path("alice")).unwrap();
    let mut newer = sealed.clone();
    newer[6] = 3;
    let mut other_kind = sealed.clone();
    other_kind[5] = b'z';
    let concatenated = [&sealed[..], &sealed].concat();
    let (left, right) = line.split_at(800);
    let quoted = format!("> {line}");
    let alice = path(&sandbox, "alice");
    let cases: [(&[u8], i32, &str); 10] = [
        (b"", 10, "cut off"),
        (b"no envelope at all", 10, "cut off"),
        (&[b'x'; 5000], 10, "this is no envelope"),
        (&newer, 10, "update ctalk"),
        (&other_kind, 10, "unknown kind"),
        (&concatenated, 3, "was not signed like this"),
        (&card, 10, "a key card"),
        (quoted.as_bytes(), 10, "remove everything around"),
        (&format!("{left}\n{right}").into_bytes(), 10, "is damaged"),
        (&format!("{line}{line}").into_bytes(), 10, "is damaged"),
    ];
    for (input, code, says) in cases {
        for command in [&["open", "--any-sender"][..], &["verify", "--from", &alice]] {
            let refused = with_input(&sandbox, "bob", command, input).code(code);
            assert!(stdout(&refused).is_empty());
            assert!(stderr(&refused).contains(says), "{}", stderr(&refused));
        }
        with_input(&sandbox, "bob", &["verify"], input).code(code);
    }
    with_input(&sandbox, "bob", &["open", "--any-sender"], line.as_bytes())
        .success()
        .stdout_eq("hello");
}

#[test]
fn recipients_that_cannot_be_sealed_to_are_refused() {
    let sandbox = agents(&["alice", "bob"]);
    let bob = path(&sandbox, "bob");
    let line = fs::read_to_string(&bob).unwrap();
    let newer = sandbox.file("newer", line.replacen("Y3RhbGtjAg", "Y3RhbGtjAw", 1));
    let quoted = sandbox.file("quoted", format!("> {line}"));
    let cut = sandbox.file("cut", &line[..900]);
    let content = sandbox.file("content", "x");
    for (to, code) in [
        (&[&bob[..], &bob][..], 2),
        (&["bob"], 2),
        (&["nobody"], 2),
        (&["/no/such/card"], 2),
        (&["-", "-"], 2),
        (&[&newer], 10),
        (&[&quoted], 10),
        (&[&cut], 10),
        (&["ctalk-card:"], 10),
        (&[], 2),
    ] {
        let mut args = vec!["seal"];
        for to in to {
            args.extend(["--to", to]);
        }
        args.push(&content);
        sandbox.run("alice", &args).code(code).stdout_eq("");
    }
    // The bare name of a file is a contact's name, whatever lies in the folder.
    let mut command = sandbox.command("alice");
    command = command.current_dir(sandbox.folder.path());
    let args = ["seal", "--to", "bob", &content];
    sandbox.finish(command.args(args)).code(2).stdout_eq("");
    let both = ["seal", "--to", "-"];
    with_input(&sandbox, "alice", &both, line.as_bytes()).code(2);
    let from_stdin = ["seal", "--to", "-", &content];
    with_input(&sandbox, "alice", &from_stdin, line.as_bytes()).success();
    let text = ["seal", "--to", line.trim_end(), &content];
    sandbox.run("alice", &text).success();
}

#[test]
fn a_life_is_at_most_30_days_and_said_on_stderr() {
    let sandbox = agents(&["alice", "bob"]);
    let bob = path(&sandbox, "bob");
    for (ttl, code) in [("0", 2), ("2592000", 0), ("2592001", 2), ("soon", 2)] {
        let args = ["seal", "--to", &bob, "--ttl", ttl];
        with_input(&sandbox, "alice", &args, b"x").code(code);
    }
    with_input(&sandbox, "alice", &["seal", "--to", &bob], b"x")
        .success()
        .stderr_eq(str![[r#"
recipients can open it until [..]Z

"#]]);
}

#[test]
fn bytes_are_not_written_to_a_terminal_and_content_cannot_steer_it() {
    let sandbox = agents(&["alice", "bob"]);
    let bob = path(&sandbox, "bob");
    let script = format!(
        r#"script --quiet --return --command "$(printf '%s ' "$@") seal --to {bob} /dev/null" /dev/null"#
    );
    let refused = shell(&sandbox, "alice", &script, &[]);
    let refused = sandbox.finish(refused).code(2);
    let shown = String::from_utf8(stdout(&refused)).unwrap();
    assert!(shown.contains("--armor"), "{shown}");

    let content = b"one\n\x1b[2Jtwo\t\xff three";
    let sealed = seal(&sandbox, "alice", "bob", &[], content);
    let envelope = sandbox.file("sealed", sealed);
    let args = format!("open --quiet --any-sender {envelope}");
    let shown = on_a_terminal(&sandbox, "bob", &args, false, "");
    assert_eq!(shown, "one\n\\u{1b}[2Jtwo\t\u{fffd} three");
}

#[test]
fn a_pipe_that_closes_early_ends_the_run() {
    let sandbox = agents(&["alice", "bob"]);
    let content = sandbox.file("content", vec![1; 9_000_000]);
    let bob = path(&sandbox, "bob");
    let script = r#"{ "$@"; echo $? >&2; } | head -c 1000 >/dev/null"#;
    let output = sandbox.finish(shell(
        &sandbox,
        "alice",
        script,
        &["--quiet", "seal", "--to", &bob, &content],
    ));
    assert!(stderr(&output).contains("cannot write the output"));
    assert_eq!(stderr(&output).lines().last(), Some("1"));
}

#[test]
fn a_message_in_json_is_still_verified_as_one() {
    let sandbox = agents(&["alice"]);
    let json = br#" {"id": "1"}"#;
    let refused = with_input(&sandbox, "alice", &["verify"], json).code(10);
    assert!(!stderr(&refused).contains("envelope"));
    let card = path(&sandbox, "alice");
    with_input(&sandbox, "alice", &["verify", "--from", &card], json).code(10);
    assert!(lines(&sandbox.run("alice", &["contact", "list", "--json"])).is_empty());
}

#[test]
fn verify_takes_an_envelope_as_the_relay_gives_it() {
    let sandbox = Sandbox::with(&["alice", "bob"]);
    sandbox.run("alice", &["send", "bob", "sealed"]).success();
    sandbox.run("bob", &["contact", "add", "alice"]).success();
    let raw = sandbox.relay.stored().remove(0);
    let file = sandbox.file("message", &raw);
    let verified = sandbox.json("bob", &["verify", &file]).remove(0);
    assert_eq!([&verified["from"], &verified["trust"]], ["alice", "pinned"]);
    let altered = sandbox.file(
        "altered",
        raw.replacen("ctalk2:Y3RhbGtl", "ctalk2:Y3RhbGtm", 1),
    );
    sandbox.run("bob", &["verify", &altered]).code(10);
}
