//! Programs and servers that handle messages.

use std::{
    fs::{self, OpenOptions},
    io::{BufRead, BufReader, Read, Write},
    net::TcpListener,
    sync::mpsc,
    thread,
};

use rustix::process::Signal;
use serde_json::{Value, json};

use crate::support::{
    PATIENCE, Running, Sandbox, hears_hangup, lines, shell, std_shell, stderr, text,
};

/// Alice and bob, and a message from her in his inbox at the relay.
fn with_message(content: &str) -> Sandbox {
    let sandbox = Sandbox::with(&["alice", "bob"]);
    sandbox.run("alice", &["send", "bob", content]).success();
    sandbox
}

fn states(sandbox: &Sandbox, profile: &str, state: &str) -> Vec<Value> {
    sandbox.json(profile, &["inbox", "list", "--state", state])
}

#[test]
fn a_handler_gets_the_payload_and_the_sender_once() {
    let sandbox = with_message("$(echo no) `no`; \"a b\"");
    let exec = [
        "recv",
        "--exec",
        r#"sh -c 'cat; echo " $CTALK_FROM $CTALK_TRUST $CTALK_ATTEMPT"'"#,
    ];
    sandbox
        .run("bob", &exec)
        .success()
        .stdout_eq("$(echo no) `no`; \"a b\" alice pinned 1\n");
    sandbox.run("bob", &exec).success().stdout_eq("");
}

#[test]
fn bytes_with_nuls_arrive_as_they_are() {
    let sandbox = Sandbox::with(&["alice", "bob"]);
    let bytes = [&[0, 255, 10, 0][..], &[0; 20_000], b"end"].concat();
    let file = sandbox.file("bytes", &bytes);
    sandbox
        .run("alice", &["send", "bob", "--file", &file])
        .success();
    let output = sandbox.run("bob", &["recv", "--exec", "cat"]).success();
    assert_eq!(output.get_output().stdout, bytes);
}

#[test]
fn in_json_each_handled_message_is_a_line_with_what_its_handler_said() {
    let sandbox = with_message("hello");
    let line = sandbox
        .json("bob", &["recv", "--exec", "tr a-z A-Z"])
        .remove(0);
    assert_eq!(line["from"], "alice");
    assert_eq!(line["attempt"], 1);
    assert_eq!(line["output"], "HELLO");
    assert_eq!(text(&line["id"]).len(), 32);
    sandbox.run("alice", &["send", "bob", "x"]).success();
    let exec = ["recv", "--exec", r"printf '\377\000'"];
    let line = sandbox.json("bob", &exec).remove(0);
    assert_eq!(line["output"], json!({"base64": "/wA="}));
}

#[test]
fn a_handler_may_have_the_whole_message_as_json() {
    let sandbox = Sandbox::with(&["alice", "bob"]);
    let send = ["send", "bob", "--data", r#"{"n": 1.50}"#, "--topic", "t"];
    sandbox.run("alice", &send).success();
    let output = sandbox
        .run("bob", &["recv", "--json-stdin", "--exec", "cat"])
        .success();
    let message = lines(&output).remove(0);
    assert_eq!(message["from"], "alice");
    assert_eq!(message["topic"], "t");
    assert_eq!(message["attempt"], 1);
    assert!(String::from_utf8_lossy(&output.get_output().stdout).contains("1.50"));
}

#[test]
fn a_handler_inherits_the_environment_without_secrets_and_without_an_outer_message() {
    let sandbox = with_message("x");
    let keys = fs::read(sandbox.profile("bob").join("keys.plain.json")).unwrap();
    let keys: Value = serde_json::from_slice(&keys).unwrap();
    let api_key = keys["apiKeys"]
        .as_object()
        .unwrap()
        .values()
        .next()
        .unwrap();
    let mut command = sandbox
        .command("bob")
        .env("CLAWTALK_API_KEY", text(api_key));
    let secrets = ["ADMIN_KEY", "CLAWTALK_INVITE", "OPENCLAW_HOOKS_TOKEN"];
    for name in secrets {
        command = command.env(name, "a-secret-of-the-test");
    }
    let command = command
        .env("CTALK_PASSPHRASE_FILE", "a-secret-of-the-test")
        .env("CTALK_TOPIC", "outer")
        .env("MY_OWN", "kept")
        .args([
            "recv",
            "--exec",
            "env",
            "--filter",
            "sh -c '! env | grep a-secret'",
        ]);
    let output = sandbox.finish(command).success();
    let environment = String::from_utf8_lossy(&output.get_output().stdout);
    assert!(environment.contains("MY_OWN=kept\n"), "{environment}");
    assert!(
        !environment.contains("a-secret-of-the-test"),
        "{environment}"
    );
    assert!(!environment.contains(text(api_key)), "the API key");
    assert!(!environment.contains("CTALK_TOPIC"), "{environment}");
}

#[test]
fn a_handler_that_fails_makes_a_dead_letter_which_can_be_tried_again() {
    let sandbox = with_message("x");
    let output = sandbox
        .run("bob", &["recv", "--shell", "--exec", "exit 3"])
        .code(9);
    let talk = stderr(&output);
    assert!(
        talk.contains("set aside: alice: handler: `/bin/sh` exited with 3"),
        "{talk}"
    );
    let dead = states(&sandbox, "bob", "dead").remove(0);
    assert_eq!(dead["reason"], "handler");
    sandbox
        .run("bob", &["recv", "--exec", "cat"])
        .success()
        .stdout_eq("");
    let number = dead["number"].to_string();
    sandbox.run("bob", &["inbox", "retry", &number]).success();
    sandbox
        .run(
            "bob",
            &["recv", "--shell", "--exec", "cat; echo $CTALK_ATTEMPT"],
        )
        .success()
        .stdout_eq("x1\n");
}

#[test]
fn a_handler_that_cannot_now_is_tried_again_and_told_which_attempt_it_is() {
    let sandbox = with_message("x");
    let exec = "test $CTALK_ATTEMPT = 3 && cat || exit 75";
    let follow = [
        "recv",
        "--follow",
        "--interval",
        "0.1",
        "--retry-after",
        "0.1",
        "--count",
        "3",
    ];
    let output = sandbox.run("bob", &[&follow[..], &["--shell", "--exec", exec]].concat());
    let output = output.success().stdout_eq("x");
    let talk = stderr(&output);
    assert!(talk.contains("exited with 75; attempt 3 follows"), "{talk}");
}

#[test]
fn talk_that_nobody_reads_stops_no_message() {
    let sandbox = Sandbox::with(&["alice", "bob"]);
    // More than a pipe holds.
    let name = "x".repeat(100);
    for number in 0..1000 {
        let junk = json!({"id": number.to_string(), "from": name, "to": "bob", "type": "request",
            "ts": "2026-01-01T00:00:00.000Z", "encrypted": true, "payload": "no"});
        sandbox.relay.inject("bob", &junk.to_string());
    }
    sandbox.run("alice", &["send", "bob", "hello"]).success();
    let pipe = sandbox.pipe("talk");
    let _unread = OpenOptions::new()
        .read(true)
        .write(true)
        .open(&pipe)
        .unwrap();
    let script = format!(r#"exec "$@" 2>'{pipe}'"#);
    let recv = ["recv", "--exec", "cat"];
    let running = Running::new(None, &mut std_shell(&sandbox, "bob", &script, &recv));
    assert_eq!(running.line(), "hello");
    assert_eq!(running.end().0.code(), Some(9));
}

#[test]
fn after_too_many_attempts_a_message_is_a_dead_letter() {
    let sandbox = with_message("x");
    let follow = [
        "recv",
        "--follow",
        "--interval",
        "0.1",
        "--retry-after",
        "0.1",
        "--count",
        "2",
    ];
    let exec = [
        "--max-attempts",
        "2",
        "--shell",
        "--exec",
        "echo $CTALK_ATTEMPT >&2; exit 75",
    ];
    let output = sandbox.run("bob", &[&follow[..], &exec].concat()).code(9);
    let talk = stderr(&output);
    assert!(talk.contains("\n1\n") && talk.contains("\n2\n"), "{talk}");
    assert!(talk.contains("set aside: alice: handler: "), "{talk}");
    assert_eq!(states(&sandbox, "bob", "dead").len(), 1);
}

#[test]
fn a_handler_that_hangs_is_ended_after_its_time() {
    let sandbox = with_message("x");
    let exec = [
        "recv",
        "--timeout",
        "0.2",
        "--max-attempts",
        "1",
        "--exec",
        "sleep 1000",
    ];
    let output = sandbox.run("bob", &exec).code(9);
    let talk = stderr(&output);
    assert!(talk.contains("did not end within 0.2 s"), "{talk}");
}

#[test]
fn a_flood_on_both_streams_passes() {
    let sandbox = with_message("x");
    let flood = "yes o | head -c 1000000; yes e | head -c 1000000 >&2";
    let output = sandbox
        .run("bob", &["recv", "--shell", "--exec", flood])
        .success();
    assert_eq!(output.get_output().stdout.len(), 1_000_000);
    // Whatever else is said, in lines of its own.
    let talk = stderr(&output);
    let flood = talk.lines().filter(|line| *line == "e").count();
    assert_eq!(
        flood,
        500_000,
        "{:?}",
        talk.lines().find(|line| *line != "e")
    );
}

#[test]
fn what_a_guard_refuses_is_quarantined() {
    let sandbox = with_message("now!");
    sandbox
        .run("alice", &["send", "bob", "now, please"])
        .success();
    let guarded = ["recv", "--filter", "grep -q please", "--exec", "cat"];
    let output = sandbox
        .run("bob", &guarded)
        .code(9)
        .stdout_eq("now, please");
    let talk = stderr(&output);
    assert!(
        talk.contains("set aside: alice: guard: `grep` refused it"),
        "{talk}"
    );
    assert_eq!(states(&sandbox, "bob", "quarantined")[0]["reason"], "guard");
}

#[test]
fn handlers_that_cannot_be_run_are_refused_before_anything_is_taken() {
    let sandbox = with_message("x");
    let refused: [&[&str]; 17] = [
        &["--exec", "no-such-program-anywhere"],
        &["--exec", "/etc/passwd"],
        &["--exec", "cat 'x"],
        &["--exec", ""],
        &["--exec", "cat", "--filter", "no-such-program-anywhere"],
        &["--post", "ftp://a/"],
        &["--post", "http://127.0.0.1:1/", "--header", "nothing"],
        &[
            "--post",
            "http://127.0.0.1:1/",
            "--header",
            "A: @/no/such/file",
        ],
        &["--preset", "openclaw"],
        &["--preset", "other"],
        &["--exec", "cat", "--post", "http://127.0.0.1:1/"],
        &["--exec", "cat", "--header", "A: b"],
        &["--exec", "cat", "--peek"],
        &["--shell"],
        &["--filter", "cat"],
        &["--exec", "cat", "--concurrency", "0"],
        &["--exec", "cat", "--max-attempts", "0"],
    ];
    for args in refused {
        sandbox
            .run("bob", &[&["recv"], args].concat())
            .code(2)
            .stdout_eq("");
    }
    assert_eq!(sandbox.stored().len(), 1);
    sandbox
        .run("bob", &["recv", "--exec", "cat"])
        .success()
        .stdout_eq("x");
}

#[test]
fn what_nobody_signed_is_held_and_runs_when_it_is_accepted() {
    let sandbox = Sandbox::classic(&["alice", "bob"]);
    sandbox
        .run("alice", &["send", "bob", "--plaintext", "x"])
        .success();
    let exec = [
        "recv",
        "--shell",
        "--exec",
        "cat; echo ${CTALK_FROM-unset} $CTALK_TRUST",
    ];
    let output = sandbox.run("bob", &exec).success().stdout_eq("");
    assert!(stderr(&output).contains("held: alice: "));
    sandbox.run("bob", &["inbox", "accept", "1"]).success();
    sandbox
        .run("bob", &exec)
        .success()
        .stdout_eq("xunset plaintext\n");
}

#[test]
fn as_many_handlers_run_at_once_as_are_allowed() {
    let sandbox = with_message("x");
    sandbox.add("carol");
    sandbox.run("carol", &["send", "bob", "y"]).success();
    let pipe = sandbox.pipe("pipe");
    // Each end of the pipe waits for the other one.
    let exec = format!("if [ $CTALK_FROM = alice ]; then cat {pipe}; else echo met > {pipe}; fi");
    sandbox
        .run(
            "bob",
            &["recv", "--concurrency", "2", "--shell", "--exec", &exec],
        )
        .success()
        .stdout_eq("met\n");
}

#[test]
fn a_second_signal_ends_running_handlers_and_their_message_comes_again() {
    let hangup = if hears_hangup() {
        Signal::HUP
    } else {
        Signal::INT
    };
    for signals in [[Signal::INT, Signal::TERM], [hangup, Signal::QUIT]] {
        let sandbox = with_message("x");
        let pipe = sandbox.pipe("pipe");
        let exec = format!("exec 3>{pipe}; sleep 1000 & echo run >&3; wait");
        let running = sandbox.start("bob", &["recv", "--follow", "--shell", "--exec", &exec]);
        let (send, receive) = mpsc::channel();
        thread::spawn(move || {
            let mut pipe = BufReader::new(fs::File::open(pipe).unwrap());
            let mut rest = String::new();
            pipe.read_line(&mut rest).unwrap();
            send.send(rest.clone()).unwrap();
            // Ends when the last process of the handler has.
            pipe.read_to_string(&mut rest).unwrap();
            send.send(rest).unwrap();
        });
        assert_eq!(receive.recv_timeout(PATIENCE).unwrap(), "run\n");
        for signal in signals {
            running.signal(signal);
        }
        let (status, ..) = running.end();
        assert_eq!(status.code(), Some(130), "{signals:?}");
        assert_eq!(receive.recv_timeout(PATIENCE).unwrap(), "run\n");
        sandbox
            .run("bob", &["recv", "--exec", "cat"])
            .success()
            .stdout_eq("x");
    }
}

/// Starts `ctalk` for bob with its stdout in a pipe that holds little, and opens that.
fn start_into_a_pipe<'s>(sandbox: &'s Sandbox, args: &[&str]) -> (Running<'s>, fs::File) {
    let pipe = sandbox.pipe("stdout");
    let mut command = std_shell(sandbox, "bob", r#"exec "$@" >"$STDOUT""#, args);
    let running = Running::new(Some(sandbox), command.env("STDOUT", &pipe));
    (running, fs::File::open(pipe).unwrap())
}

#[test]
fn a_reader_that_stands_still_keeps_no_other_message_waiting() {
    let sandbox = with_message("x");
    sandbox.add("carol");
    let notes = sandbox.pipe("notes");
    let exec = format!(
        "if [ $CTALK_FROM = alice ]; then yes | head -c 1000000; else echo met > {notes}; fi"
    );
    let recv = ["recv", "--follow", "--interval", "0.1"];
    let handle = ["--concurrency", "2", "--shell", "--exec", &exec];
    let (running, mut stdout) = start_into_a_pipe(&sandbox, &[&recv[..], &handle].concat());
    // There is more than a pipe holds, so that the rest is stuck now.
    stdout.read_exact(&mut [0]).unwrap();
    sandbox.run("carol", &["send", "bob", "y"]).success();
    let (send, receive) = mpsc::channel();
    thread::spawn(move || send.send(fs::read(notes).unwrap()));
    assert_eq!(receive.recv_timeout(PATIENCE).unwrap(), b"met\n");
    running.signal(Signal::TERM);
    let mut rest = Vec::new();
    stdout.read_to_end(&mut rest).unwrap();
    assert_eq!(rest.len(), 999_999);
    assert_eq!(running.end().0.code(), Some(0));
    assert!(states(&sandbox, "bob", "new").is_empty());
}

#[test]
fn a_reader_that_stands_still_does_not_keep_signals_from_being_heard() {
    let sandbox = Sandbox::with(&["alice", "bob"]);
    let send = sandbox.command("alice").args(["send", "bob", "-"]);
    sandbox.finish(send.stdin("x".repeat(200_000))).success();
    for args in [
        &["recv"][..],
        &["recv", "--json"],
        &["recv", "--json", "--exec", "cat"],
    ] {
        let (running, mut stdout) = start_into_a_pipe(&sandbox, args);
        stdout.read_exact(&mut [0]).unwrap();
        running.signal(Signal::INT);
        running.signal(Signal::TERM);
        assert_eq!(running.end().0.code(), Some(130), "{args:?}");
    }
    let message = sandbox.json("bob", &["recv"]).remove(0);
    assert_eq!(text(&message["payload"]).len(), 200_000);
}

#[test]
fn a_request_is_answered_once_with_what_its_handler_says_and_a_notification_is_not() {
    let sandbox = Sandbox::with(&["alice", "bob"]);
    let ask = |more: &[&str]| {
        let send = ["send", "bob", "six times seven", "--topic", "maths"];
        sandbox.json("alice", &[&send, more].concat()).remove(0)
    };
    let request = ask(&["--correlation-id", "q-1"]);
    ask(&["--type", "notification"]);
    let recv = ["recv", "--reply", "--exec", "tr a-z A-Z"];
    for _ in 0..2 {
        sandbox.run("bob", &recv).success().stdout_eq("");
    }
    let answers = sandbox.json("alice", &["recv"]);
    assert_eq!(answers.len(), 1, "{answers:?}");
    for (member, value) in [
        ("from", "bob"),
        ("trust", "pinned"),
        ("type", "response"),
        ("topic", "maths"),
        ("correlationId", "q-1"),
        ("replyTo", text(&request["id"])),
        ("contentType", "text/plain"),
        ("payload", "SIX TIMES SEVEN"),
    ] {
        assert_eq!(answers[0][member], value, "{member}");
    }
    // Nor is the response.
    sandbox
        .run("alice", &["send", "bob", "thanks", "--type", "response"])
        .success();
    sandbox.run("bob", &recv).success();
    ask(&[]);
    let recv = ["recv", "--reply", "--exec", r"printf '\377\000'"];
    sandbox.run("bob", &recv).success();
    let answers = sandbox.json("alice", &["recv"]);
    assert_eq!(answers.len(), 1, "{answers:?}");
    assert_eq!(answers[0]["contentType"], "application/octet-stream");
    assert_eq!(answers[0]["payload"], json!({"base64": "/wA="}));
}

#[test]
fn texts_are_cleaned_for_handlers_and_for_readers_who_ask_for_it() {
    let sandbox = with_message("pay\u{200b}\u{202e}load https://a.example/");
    let peek = sandbox.json("bob", &["recv", "--peek"]).remove(0);
    assert_eq!(
        peek["payload"],
        "pay\u{200b}\u{202e}load https://a.example/"
    );
    assert_eq!(peek.get("urls"), None);
    let exec = "cat; echo; echo $CTALK_SANITIZED $CTALK_URLS";
    sandbox
        .run("bob", &["recv", "--shell", "--exec", exec])
        .success()
        .stdout_eq("payload https://a.example/\n2 https://a.example/\n");

    sandbox
        .run("alice", &["send", "bob", "a\u{200b}b"])
        .success();
    sandbox
        .run("bob", &["recv", "--sanitize", "off", "--exec", "cat"])
        .success()
        .stdout_eq("a\u{200b}b");
    for (option, payload) in [(Some("--sanitize"), "ab"), (None, "a\u{200b}b")] {
        sandbox
            .run("alice", &["send", "bob", "a\u{200b}b"])
            .success();
        let args: Vec<_> = ["recv"].into_iter().chain(option).collect();
        let line = sandbox.json("bob", &args).remove(0);
        assert_eq!(line["payload"], payload);
        assert_eq!(line.get("sanitized").is_some(), option.is_some());
    }
}

/// A server on loopback that answers one request with a status; its address, and the request.
fn server(status: &'static str) -> (String, mpsc::Receiver<String>) {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let url = format!("http://{}", listener.local_addr().unwrap());
    let (send, receive) = mpsc::channel();
    thread::spawn(move || {
        let (stream, _) = listener.accept().unwrap();
        let mut reader = BufReader::new(stream.try_clone().unwrap());
        let (mut request, mut length) = (String::new(), 0);
        loop {
            let start = request.len();
            reader.read_line(&mut request).unwrap();
            let line = request[start..].to_ascii_lowercase();
            if let Some(value) = line.strip_prefix("content-length:") {
                length = value.trim().parse().unwrap();
            }
            if line == "\r\n" {
                break;
            }
        }
        let mut body = vec![0; length];
        reader.read_exact(&mut body).unwrap();
        request += str::from_utf8(&body).unwrap();
        let mut stream = stream;
        let answer =
            format!("HTTP/1.1 {status}\r\nContent-Length: 3\r\nConnection: close\r\n\r\nok\n");
        stream.write_all(answer.as_bytes()).unwrap();
        send.send(request).unwrap();
    });
    (url, receive)
}

#[test]
fn a_server_may_handle_messages_with_headers_from_files() {
    let sandbox = with_message("hello");
    sandbox.file("token", "a-token-of-the-test\n");
    let (url, request) = server("200 OK");
    let header = format!("Authorization: Bearer {}", sandbox.at("token"));
    let post = [
        "recv",
        "--post",
        &url,
        "--header",
        &header,
        "--header",
        "X-Own: a b",
    ];
    let output = sandbox.run("bob", &post).success().stdout_eq("ok\n");
    assert!(!stderr(&output).contains("hint:"));
    let request = request.recv_timeout(PATIENCE).unwrap();
    assert!(request.starts_with("POST / HTTP/1.1\r\n"), "{request}");
    assert!(
        request.contains("\r\nauthorization: Bearer a-token-of-the-test\r\n"),
        "{request}"
    );
    assert!(request.contains("\r\nx-own: a b\r\n"), "{request}");
    assert!(request.contains("\r\nctalk-from: alice\r\n"), "{request}");
    assert!(request.ends_with("\r\n\r\nhello"), "{request}");
}

#[test]
fn a_server_that_refuses_makes_a_dead_letter() {
    let sandbox = with_message("hello");
    let (url, _request) = server("403 Forbidden");
    let output = sandbox.run("bob", &["recv", "--post", &url]).code(9);
    let talk = stderr(&output);
    assert!(talk.contains("handler: the server answered 403"), "{talk}");
}

#[test]
fn openclaw_is_woken_with_its_token() {
    let sandbox = with_message("see https://a.example/");
    let (url, request) = server("202 Accepted");
    let url = format!("{url}/hooks/agent");
    let command = sandbox
        .command("bob")
        .env("OPENCLAW_HOOKS_TOKEN", "a-token-of-the-test");
    sandbox
        .finish(command.args(["recv", "--preset", "openclaw", "--post", &url]))
        .success();
    let request = request.recv_timeout(PATIENCE).unwrap();
    assert!(
        request.starts_with("POST /hooks/agent HTTP/1.1\r\n"),
        "{request}"
    );
    assert!(
        request.contains("\r\nauthorization: Bearer a-token-of-the-test\r\n"),
        "{request}"
    );
    let (_, body) = request.split_once("\r\n\r\n").unwrap();
    let body: Value = serde_json::from_str(body).unwrap();
    assert_eq!(body["name"], "ctalk");
    assert_eq!(body["wakeMode"], "now");
    assert_eq!(body["metadata"]["from"], "alice");
    assert_eq!(body["metadata"]["trust"], "pinned");
    assert_eq!(body["metadata"]["urls"], json!(["https://a.example/"]));
    assert!(text(&body["message"]).ends_with("\n\nsee https://a.example/"));
}

#[test]
fn a_disk_that_fills_up_while_handlers_run_loses_nothing_and_undoes_no_commit() {
    const MESSAGES: usize = 6;
    let sandbox = Sandbox::with(&["alice", "bob"]);
    for number in 0..MESSAGES {
        let send = ["send", "bob", &number.to_string()];
        sandbox.run("alice", &send).success();
    }
    // Pins alice and makes all tables.
    sandbox.run("bob", &["recv", "--peek"]).success();
    let effects = sandbox.path("effects");
    let handler = format!(
        "sh -c 'echo $(cat) $CTALK_ATTEMPT >> {}'",
        effects.display()
    );
    let exec = ["recv", "--exec", &handler];
    let mut failures = 0;
    for room in [0, 16, 64, 128, 256, 384, 512] {
        // No file may grow beyond so many blocks of 512 bytes.
        let script = format!(r#"trap "" XFSZ; ulimit -f {room}; exec "$@""#);
        let output = sandbox
            .finish(shell(&sandbox, "bob", &script, &exec).stdin(""))
            .get_output()
            .clone();
        match output.status.code() {
            Some(0) => {}
            Some(8) => failures += 1,
            _ => panic!("{output:?}"),
        }
    }
    assert!(failures > 0, "the disk was never full");
    // What was in hand when the disk was full comes back when its lease is over, as after a crash.
    let waiting: usize = ["new", "running"]
        .map(|state| states(&sandbox, "bob", state).len())
        .iter()
        .sum();
    assert!(waiting > 0);
    let count = waiting.to_string();
    let rest = ["recv", "--follow", "--count", &count, "--exec", &handler];
    sandbox.run("bob", &rest).success();
    let effects = fs::read_to_string(effects).unwrap();
    for number in 0..MESSAGES {
        let attempts: Vec<_> = effects
            .lines()
            .filter_map(|line| line.strip_prefix(&format!("{number} ")))
            .collect();
        let expected: Vec<_> = (1..=attempts.len())
            .map(|place| place.to_string())
            .collect();
        assert!(!attempts.is_empty() && attempts == expected, "{effects}");
    }
    assert!(effects.lines().count() <= MESSAGES + failures, "{effects}");
    for state in ["new", "running", "dead"] {
        assert!(states(&sandbox, "bob", state).is_empty());
    }
}
