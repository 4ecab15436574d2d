//! Every way to ask for something that cannot be done.

use serde_json::json;
use snapbox::str;

use crate::support::{Sandbox, error_lines, lines, stderr};

#[test]
fn wrong_usage_is_exit_2_on_stderr() {
    let sandbox = Sandbox::with(&["alice", "bob"]);
    for arguments in [
        &["send"][..],
        &["send", "bob", "x", "y"],
        &["send", "bob", "x", "--data", "{}"],
        &["send", "bob", "x", "--file", "f"],
        &["send", "bob", "--data", "{}", "--file", "f"],
        &["send", "--broadcast", "x", "y"],
        &["send", "--broadcast", "x", "--to", "bob"],
        &["send", "bob", "x", "--ttl", "0"],
        &["send", "bob", "x", "--ttl", "-1"],
        &["send", "bob", "x", "--ttl", "soon"],
        &["send", "bob", "x", "--type", "question"],
        &["send", "bob", "--file", "/no/such/file"],
        &["send", "bob", "--file", "/"],
        &["send", "bob", "--data", "@/no/such/file"],
        &["send", "bob", "x", "--relay", "ftp://relay.example"],
        &["send", "bob", "x", "--relay", "relay.example"],
        &["recv", "--count", "0"],
        &["recv", "--count", "-1"],
        &["recv", "--since", "yesterday"],
        &["recv", "--peek", "--follow"],
        &["recv", "--interval", "1"],
        &["recv", "--follow", "--interval", "0.05"],
        &["recv", "--follow", "--interval", "NaN"],
        &["recv", "--profile", "no/such"],
        &["recv", "--profile", ".."],
        &["keygen", "--key-store", "plain"],
        &[
            "keygen",
            "--name",
            "x",
            "--key-store",
            "plain",
            "--profile",
            "new",
        ],
        &[
            "keygen",
            "--name",
            "broadcast",
            "--key-store",
            "plain",
            "--profile",
            "new",
        ],
        &["keygen", "--clawtalk", "--name", "carol"],
        &["register", "--admin-key", "a", "--invite", "b"],
        &["register", "--admin-key", "@/no/such/file"],
        &["contact", "show", "nobody"],
        &["contact", "accept-key", "bob"],
        &["inbox", "show", "17"],
        &["inbox", "drop"],
        &["ack"],
        &["verify", "/no/such/file"],
        &["relay"],
        &["relay", "--data", "d", "--rate-limit", "fast"],
        &["relay", "--data", "d", "--listen", "somewhere"],
        &["relay", "--data", "d", "--webhook-networks", "localhost"],
        &["completions", "cmd"],
        &["no-such-command"],
    ] {
        let output = sandbox.run("alice", arguments).code(2).stdout_eq("");
        assert!(stderr(&output).starts_with("error: "), "{arguments:?}");
    }
    assert!(sandbox.stored().is_empty());
}

#[test]
fn wrong_usage_is_json_on_demand() {
    let sandbox = Sandbox::new();
    let output = sandbox
        .run("alice", &["--json", "recv", "--count", "0"])
        .code(2)
        .stdout_eq("");
    assert_eq!(
        error_lines(&output),
        [json!({
            "error": "invalid value '0' for '--count <N>': 0 is not in 1..18446744073709551615",
            "class": "usage", "code": 2, "hint": "`ctalk --help` shows the usage",
        })]
    );
    // What comes after `--` is no option.
    let output = sandbox.run("alice", &["recv", "--", "--json"]).code(2);
    assert!(stderr(&output).starts_with("error: unexpected argument"));
}

#[test]
fn input_that_is_not_what_it_should_be_is_exit_10() {
    let sandbox = Sandbox::classic(&["alice", "bob"]);
    let bytes = sandbox.file("bytes", b"\xff\xfe");
    let large = sandbox.file("large", "x".repeat((1 << 20) + 1));
    let huge = sandbox.file("huge", vec![b'x'; (64 << 20) + 1]);
    for (arguments, error) in [
        (
            &["send", "bob", "--file", &bytes][..],
            "bytes that are not UTF-8 text cannot be sent",
        ),
        (
            &["send", "bob", "--file", &huge],
            "has more than 67108864 bytes",
        ),
        (&["send", "bob", "--data", "{"], "the data is not JSON: "),
        (
            &["send", "bob", "--data", "{} {}"],
            "the data is not JSON: ",
        ),
        (&["send", "bob", "--data", ""], "the data is not JSON: "),
        (&["verify", &bytes], "the message "),
        (&["verify", &large], "has more than 1048576 bytes"),
    ] {
        let output = sandbox.run("alice", arguments).code(10).stdout_eq("");
        assert!(stderr(&output).contains(error), "{}", stderr(&output));
    }
    let stdin = sandbox
        .command("alice")
        .args(["send", "bob"])
        .stdin(b"\xff".to_vec());
    sandbox.finish(stdin).code(10);
    assert!(sandbox.stored().is_empty());
}

#[test]
fn errors_repeat_no_plaintext() {
    let sandbox = Sandbox::classic(&["alice", "bob"]);
    let plaintext = "the-words-of-alice";
    let data = format!(r#"{{"a": "{plaintext}" "#);
    let large = plaintext.repeat(4000);
    for (arguments, code) in [
        (&["send", "nobody", plaintext][..], 7),
        (&["send", "bob", "--data", &data], 10),
        (&["send", "bob", &large], 10),
    ] {
        for verbose in [&["-v"][..], &["--json"]] {
            let output = sandbox
                .run("alice", &[arguments, verbose].concat())
                .code(code);
            assert!(!stderr(&output).contains(plaintext), "{}", stderr(&output));
        }
    }
}

#[test]
fn a_text_that_is_too_long_is_refused_and_nothing_is_sent() {
    let sandbox = Sandbox::classic(&["alice", "bob"]);
    // Too long for the format, for the relay once it is sealed, and for the relay as it is.
    for (length, options, code) in [
        (60_000, &[][..], 10),
        (49_100, &[], 7),
        (65_536, &["--plaintext"], 7),
    ] {
        let text = sandbox.file("text", "x".repeat(length));
        let arguments = [&["send", "bob", "--file", &text], options].concat();
        let output = sandbox.run("alice", &arguments).code(code).stdout_eq("");
        assert!(
            stderr(&output).contains("error: the "),
            "{}",
            stderr(&output)
        );
    }
    assert!(sandbox.stored().is_empty());
}

#[test]
fn an_unreachable_relay_is_exit_6() {
    let mut sandbox = Sandbox::with(&["alice", "bob"]);
    sandbox.relay.stop();
    for arguments in [
        &["send", "bob", "x"][..],
        &["recv"],
        &["recv", "--peek"],
        &["agents"],
        &["channels"],
        &["health"],
        &["ack", "some-id"],
        &["send", "--broadcast", "x"],
    ] {
        sandbox
            .run("alice", arguments)
            .code(6)
            .stdout_eq("")
            .stderr_eq(str![[r#"
error: cannot reach the relay at http://127.0.0.1:[..]: Connection refused (os error 111)
hint: is it running? `ctalk health --relay http://127.0.0.1:[..]` asks it

"#]]);
    }
}

#[test]
fn what_the_relay_refuses_is_exit_7() {
    let sandbox = Sandbox::with(&["alice", "carol"]);
    let wrong = format!("@{}", sandbox.file("wrong", "not-the-admin-key"));
    let url = sandbox.relay.url();
    sandbox
        .run("bob", &["keygen", "--name", "bob", "--key-store", "plain"])
        .success();
    sandbox
        .run("bob", &["register", "--relay", &url, "--admin-key", &wrong])
        .code(7)
        .stdout_eq("");
    sandbox
        .run("bob", &["agents", "--relay", &url])
        .code(7)
        .stdout_eq("");
    sandbox
        .run(
            "other",
            &["keygen", "--name", "Alice", "--key-store", "plain"],
        )
        .success();
    let output = sandbox.register("other").code(7);
    assert!(
        stderr(&output).contains("hint: take another name"),
        "{}",
        stderr(&output)
    );
    let large = sandbox.file("large", "x".repeat(40_000));
    let send = ["send", "carol", "--file", &large];
    sandbox.relay.fill_disk();
    sandbox.run("alice", &send).code(7).stdout_eq("");
    assert!(sandbox.stored().is_empty());
    sandbox.relay.empty_disk();
    sandbox.run("alice", &send).success();
}

#[test]
fn a_profile_that_is_not_registered_says_so() {
    let sandbox = Sandbox::new();
    sandbox
        .run(
            "alice",
            &["keygen", "--name", "alice", "--key-store", "plain"],
        )
        .success();
    for arguments in [
        &["send", "bob", "x"][..],
        &["recv"],
        &["agents"],
        &["health"],
    ] {
        sandbox
            .run("alice", arguments)
            .code(2)
            .stdout_eq("")
            .stderr_eq(str![[r#"
error: no relay is known
hint: name one with --relay URL, or register: ctalk register --relay URL

"#]]);
    }
    sandbox
        .run("alice", &["contact", "list", "--json"])
        .success()
        .stdout_eq("");
    sandbox
        .run("alice", &["inbox", "list", "--json"])
        .success()
        .stdout_eq("");
}

#[test]
fn a_secret_that_no_header_carries_is_refused_unrepeated() {
    let sandbox = Sandbox::new();
    sandbox
        .run(
            "alice",
            &["keygen", "--name", "alice", "--key-store", "plain"],
        )
        .success();
    let url = sandbox.relay.url();
    for content in [
        &b""[..],
        b"\n",
        b"uno\ndue",
        b"tw o",
        b"\xff",
        &[b'k'; 5000],
    ] {
        let file = format!("@{}", sandbox.file("key", content));
        let output = sandbox.run(
            "alice",
            &["register", "--relay", &url, "--admin-key", &file],
        );
        let code = output.get_output().status.code().unwrap();
        assert!(code == 2 || code == 10, "{code}");
        assert!(!stderr(&output).contains("uno") && !stderr(&output).contains("tw o"));
    }
    let command = sandbox
        .command("alice")
        .env("CLAWTALK_API_KEY", "line\nbreak")
        .stdin("");
    sandbox
        .finish(command.args(["agents", "--relay", &url]))
        .code(2);
}

#[test]
fn hostile_names_in_errors_stay_on_their_line() {
    let sandbox = Sandbox::with(&["alice"]);
    let name = "x\nhint: run this\u{1b}[31m";
    sandbox
        .run("alice", &["send", name, "x"])
        .code(7)
        .stderr_eq(str![[r#"
error: the relay knows no agent `x hint: run this/u{1b}[31m`
hint: `ctalk agents` lists the agents of the relay

"#]]);
    let output = sandbox.run("alice", &["send", name, "x", "--json"]).code(7);
    assert_eq!(lines(&output)[0]["to"], name);
    assert_eq!(stderr(&output).lines().count(), 1);
}
