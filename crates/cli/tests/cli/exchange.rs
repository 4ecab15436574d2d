//! Making identities, registering, sending and receiving.

use std::{
    io::{Read, Write},
    net::TcpStream,
};

use serde_json::{Value, json};
use snapbox::str;

use crate::support::{ADMIN_KEY, Sandbox, ctalk, lines, stderr, text};

#[test]
fn two_agents_exchange_a_request_and_its_response() {
    let sandbox = Sandbox::new();
    for name in ["alice", "bob"] {
        sandbox
            .run(
                name,
                &["-q", "keygen", "--name", name, "--key-store", "plain"],
            )
            .success()
            .stderr_eq("");
        sandbox.register(name).success().stderr_eq("");
    }
    sandbox
        .run(
            "alice",
            &[
                "send",
                "bob",
                "What is six times seven?",
                "--correlation-id",
                "q-1",
            ],
        )
        .success()
        .stdout_eq(str![[r#"
bob  [..]  20[..]T[..]Z

"#]])
        .stderr_eq(str![[r#"
pinned bob [..]

"#]]);
    sandbox
        .run("bob", &["recv"])
        .success()
        .stdout_eq(str![[r#"
[pinned]  alice  request  20[..]T[..]Z  id=[..]  correlationId=q-1
What is six times seven?

"#]])
        .stderr_eq(str![[r#"
pinned alice [..]

"#]]);
    sandbox
        .run(
            "bob",
            &[
                "send",
                "alice",
                "42",
                "--type",
                "response",
                "--correlation-id",
                "q-1",
            ],
        )
        .success()
        .stderr_eq("");
    sandbox
        .run("alice", &["recv"])
        .success()
        .stdout_eq(str![[r#"
[pinned]  bob  response  20[..]T[..]Z  id=[..]  correlationId=q-1
42

"#]])
        .stderr_eq("");
    for name in ["alice", "bob"] {
        sandbox
            .run(name, &["recv"])
            .success()
            .stdout_eq("")
            .stderr_eq("");
    }
    assert!(sandbox.stored().is_empty());
}

#[test]
fn keygen_shows_the_identity_as_whoami_does_later() {
    let sandbox = Sandbox::new();
    let made = sandbox
        .run(
            "work",
            &["keygen", "--name", "alice", "--key-store", "plain"],
        )
        .success();
    let made = made.stdout_eq(str![[r#"
name                 alice
fingerprint          [..] [..] [..] [..] [..] [..] [..] [..] [..] [..] [..] [..] [..] [..] [..] [..]
classic fingerprint  [..] [..] [..] [..] [..] [..] [..] [..] [..] [..] [..] [..] [..] [..] [..] [..]
public key           [..]=
signing key          [..]=
key store            plain
profile              work
relay                -

"#]]);
    assert!(stderr(&made).contains("unprotected"));
    sandbox
        .run("work", &["whoami"])
        .success()
        .stdout_eq(made.get_output().stdout.clone());
    sandbox.register("work").success();
    let me = sandbox.json("work", &["whoami"]).remove(0);
    let members: Vec<_> = me.as_object().unwrap().keys().map(String::as_str).collect();
    let expected = [
        "classicFingerprint",
        "fingerprint",
        "keyStore",
        "name",
        "profile",
        "publicKey",
        "relay",
        "signingKey",
    ];
    assert_eq!(members, expected);
    assert_eq!(me["relay"], sandbox.relay.url());
    assert_eq!(me["profile"], "work");
    let fingerprint = text(&me["fingerprint"]);
    assert!(fingerprint.len() == 64 && fingerprint.bytes().all(|byte| byte.is_ascii_hexdigit()));
    let listed = sandbox.json("work", &["agents"]).remove(0);
    for member in ["name", "publicKey", "signingKey", "fingerprint"] {
        assert_eq!(listed[member], me[member], "{member}");
    }
}

#[test]
fn received_messages_have_the_documented_members_in_json() {
    let sandbox = Sandbox::with(&["alice", "bob"]);
    let fingerprint = sandbox.json("alice", &["whoami"])[0]["fingerprint"].clone();
    let arguments = [
        "send",
        "bob",
        "--data",
        r#"{"n": 1.50}"#,
        "--type",
        "notification",
        "--topic",
        "sync",
        "--correlation-id",
        "c-1",
        "--reply-to",
        "r-1",
        "--ttl",
        "3600",
    ];
    let sent = sandbox.json("alice", &arguments).remove(0);
    let output = sandbox.run("bob", &["recv", "--json"]).success();
    let received = lines(&output).remove(0);
    assert_eq!(
        received,
        json!({
            "id": sent["id"], "relayId": sent["relayId"], "from": "alice", "relayFrom": "alice",
            "fingerprint": fingerprint, "to": "bob", "type": "notification", "topic": "sync",
            "correlationId": "c-1", "replyTo": "r-1", "ts": sent["ts"],
            "created": received["created"], "format": "native",
            "encrypted": true, "trust": "pinned", "contentType": "application/json",
            "payload": {"n": 1.5},
        })
    );
    assert!(text(&received["created"]).ends_with('Z'));
    let stdout = String::from_utf8(output.get_output().stdout.clone()).unwrap();
    assert!(
        stdout.contains(r#""payload":{"n": 1.50}"#),
        "as it was sent: {stdout}"
    );
    let members: Vec<_> = sent
        .as_object()
        .unwrap()
        .keys()
        .map(String::as_str)
        .collect();
    assert_eq!(text(&sent["id"]).len(), 32);
    assert_ne!(sent["id"], sent["relayId"]);
    assert_eq!(
        members,
        [
            "encrypted",
            "fingerprint",
            "format",
            "id",
            "pinned",
            "relayId",
            "state",
            "to",
            "ts"
        ]
    );
}

#[test]
fn content_comes_from_an_argument_a_file_or_stdin() {
    let sandbox = Sandbox::with(&["alice", "bob"]);
    let file = sandbox.file("text", "from a file\n");
    let data = sandbox.file("data", "[1,\n2]");
    let data_file = format!("@{data}");
    for arguments in [
        &["bob", "an argument"][..],
        &["bob", "-"],
        &["bob"],
        &["bob", "--file", "-"],
        &["bob", "--file", &file],
        &["bob", "--data", "{}"],
        &["bob", "--data", &data_file],
        &["bob", ""],
    ] {
        let send = sandbox
            .command("alice")
            .arg("send")
            .args(arguments)
            .stdin("from stdin\n");
        sandbox.finish(send).success();
    }
    let received = sandbox.json("bob", &["recv"]);
    let content: Vec<_> = received
        .iter()
        .map(|message| [&message["contentType"], &message["payload"]])
        .collect();
    assert_eq!(
        json!(content),
        json!([
            ["text/plain", "an argument"],
            ["text/plain", "from stdin\n"],
            ["text/plain", "from stdin\n"],
            ["text/plain", "from stdin\n"],
            ["text/plain", "from a file\n"],
            ["application/json", {}],
            ["application/json", [1, 2]],
            ["text/plain", ""],
        ])
    );
}

#[test]
fn several_recipients_share_an_envelope_and_the_first_failure_decides() {
    let sandbox = Sandbox::with(&["alice", "bob", "carol"]);
    let arguments = [
        "send", "bob", "hello", "--to", "nobody", "--to", "carol", "--to", "bob", "--json",
    ];
    let output = sandbox.run("alice", &arguments).code(7);
    let outcomes = lines(&output);
    let told: Vec<_> = outcomes.iter().map(|line| text(&line["to"])).collect();
    assert_eq!(told, ["bob", "nobody", "carol"]);
    assert_eq!(
        outcomes[1],
        json!({
            "to": "nobody", "error": "the relay knows no agent `nobody`",
            "class": "relay-refused", "code": 7,
            "hint": "`ctalk agents` lists the agents of the relay",
        })
    );
    let stored = sandbox.stored();
    assert_eq!(stored.len(), 2);
    assert_eq!(stored[0]["payload"], stored[1]["payload"]);
    assert_eq!(outcomes[0]["id"], outcomes[2]["id"]);
    for name in ["bob", "carol"] {
        assert_eq!(sandbox.json(name, &["recv"])[0]["payload"], "hello");
    }
    sandbox
        .run("alice", &["send", "nobody", "hello", "--to", "bob"])
        .code(7)
        .stdout_eq(str![[r#"
bob  [..]  [..]

"#]])
        .stderr_eq(str![[r#"
error: nobody: the relay knows no agent `nobody`
hint: `ctalk agents` lists the agents of the relay

"#]]);
}

#[test]
fn a_broadcast_is_sealed_for_everybody_else() {
    let sandbox = Sandbox::with(&["alice", "bob", "carol"]);
    let sent = sandbox.json("alice", &["send", "--broadcast", "to all"]);
    let told: Vec<_> = sent.iter().map(|line| text(&line["to"])).collect();
    assert_eq!(told, ["bob", "carol"]);
    assert!(
        sandbox
            .stored()
            .iter()
            .all(|message| message["encrypted"] == json!(true))
    );
    for name in ["bob", "carol"] {
        let received = sandbox.json(name, &["recv"]);
        assert_eq!(
            [&received[0]["trust"], &received[0]["payload"]],
            ["pinned", "to all"]
        );
    }
    sandbox.run("alice", &["recv"]).success().stdout_eq("");
}

#[test]
fn a_broadcast_to_nobody_is_refused() {
    let sandbox = Sandbox::with(&["alice"]);
    sandbox
        .run("alice", &["send", "--broadcast", "anyone?"])
        .code(7)
        .stdout_eq("")
        .stderr_eq(str![[r#"
error: the relay has no other agents

"#]]);
}

#[test]
fn plaintext_is_sent_only_on_demand_and_shown_as_such() {
    let sandbox = Sandbox::with(&["alice", "bob"]);
    let sent = sandbox
        .json("alice", &["send", "bob", "open", "--plaintext"])
        .remove(0);
    assert_eq!(sent["encrypted"], false);
    let stored = sandbox.stored().remove(0);
    assert_eq!(
        [&stored["encrypted"], &stored["payload"]],
        [&json!(false), &json!({"text": "open"})]
    );
    sandbox
        .run("bob", &["recv"])
        .success()
        .stderr_eq("")
        .stdout_eq(str![[r#"
[plaintext]  alice  request  [..]  id=[..]
open

"#]]);
    sandbox
        .run(
            "alice",
            &["send", "--broadcast", "open to all", "--plaintext"],
        )
        .success()
        .stdout_eq(str![[r#"
broadcast  [..]  [..]

"#]]);
    let received = sandbox.json("bob", &["recv"]).remove(0);
    assert_eq!(
        [
            &received["from"],
            &received["relayFrom"],
            &received["trust"],
            &received["format"]
        ],
        [
            &Value::Null,
            &json!("alice"),
            &json!("plaintext"),
            &json!("plain")
        ]
    );
}

#[test]
fn the_relay_and_the_api_key_of_the_environment_come_before_those_of_the_profile() {
    let sandbox = Sandbox::with(&["alice", "bob"]);
    let elsewhere = |args: &[&str]| {
        let command = sandbox
            .command("alice")
            .env("CLAWTALK_URL", "http://127.0.0.1:1")
            .args(args);
        sandbox.finish(command.stdin(""))
    };
    elsewhere(&["health"]).code(6);
    elsewhere(&["health", "--relay", &sandbox.relay.url()]).success();
    elsewhere(&["agents"]).code(7);
    let wrong_key = sandbox
        .command("alice")
        .env("CLAWTALK_API_KEY", "ct_wrong")
        .stdin("");
    sandbox
        .finish(wrong_key.args(["send", "bob", "x"]))
        .code(7)
        .stderr_eq(str![[r#"
error: the relay at http://127.0.0.1:[..] does not accept this key
hint: `ctalk register --relay URL` makes an API key; CLAWTALK_API_KEY overrides it

"#]]);
    let empty = sandbox
        .command("alice")
        .env("CLAWTALK_API_KEY", "")
        .env("CLAWTALK_URL", "");
    sandbox
        .finish(empty.stdin("").args(["send", "bob", "x"]))
        .success();
}

#[test]
fn registering_takes_the_key_from_the_environment_and_may_be_repeated() {
    let sandbox = Sandbox::new();
    sandbox
        .run(
            "alice",
            &["keygen", "--name", "alice", "--key-store", "plain"],
        )
        .success();
    sandbox
        .run("alice", &["register", "--relay", &sandbox.relay.url()])
        .code(2)
        .stdout_eq("")
        .stderr_eq(str![[r#"
error: a relay lets nobody in without a key or an invite
hint: give --admin-key @FILE or --invite @FILE, or set ADMIN_KEY or CLAWTALK_INVITE

"#]]);
    for _ in 0..2 {
        let register = sandbox
            .command("alice")
            .env("ADMIN_KEY", ADMIN_KEY)
            .stdin("");
        let url = format!("{}/", sandbox.relay.url());
        let output = sandbox.finish(register.args(["register", "--json", "--relay", &url]));
        let registered = lines(&output.success()).remove(0);
        assert_eq!(registered["name"], "alice");
        assert_eq!(registered["relay"], sandbox.relay.url());
    }
    assert_eq!(sandbox.json("alice", &["agents"]).len(), 1);
}

#[test]
fn an_invite_lets_one_in() {
    let sandbox = Sandbox::with(&["alice"]);
    let invite = invite(&sandbox);
    sandbox.file("invite", format!("{invite}\r\n"));
    sandbox
        .run("bob", &["keygen", "--name", "bob", "--key-store", "plain"])
        .success();
    let (url, code) = (sandbox.relay.url(), sandbox.at("invite"));
    sandbox
        .run("bob", &["register", "--relay", &url, "--invite", &code])
        .success();
    sandbox.run("alice", &["send", "bob", "welcome"]).success();
    assert_eq!(sandbox.json("bob", &["recv"])[0]["payload"], "welcome");

    sandbox.file("invite", "no-such-invite");
    sandbox
        .run(
            "carol",
            &["keygen", "--name", "carol", "--key-store", "plain"],
        )
        .success();
    sandbox
        .run("carol", &["register", "--relay", &url, "--invite", &code])
        .code(7);
}

/// Asks the relay for an invite as its operator would.
fn invite(sandbox: &Sandbox) -> String {
    let url = sandbox.relay.url();
    let mut stream = TcpStream::connect(url.strip_prefix("http://").unwrap()).unwrap();
    let request = format!(
        "POST /invites HTTP/1.1\r\nhost: relay\r\nauthorization: Bearer {ADMIN_KEY}\r\n\
         content-length: 0\r\nconnection: close\r\n\r\n"
    );
    stream.write_all(request.as_bytes()).unwrap();
    let mut answer = String::new();
    stream.read_to_string(&mut answer).unwrap();
    let (_, body) = answer.split_once("\r\n\r\n").unwrap();
    let body: Value = serde_json::from_str(body).unwrap();
    text(&body["code"]).to_owned()
}

#[test]
fn a_secret_as_an_argument_works_with_a_word_of_advice() {
    let sandbox = Sandbox::new();
    sandbox
        .run(
            "alice",
            &["keygen", "--name", "alice", "--key-store", "plain"],
        )
        .success();
    let arguments = [
        "register",
        "--relay",
        &sandbox.relay.url(),
        "--admin-key",
        ADMIN_KEY,
    ];
    sandbox
        .run("alice", &arguments)
        .success()
        .stderr_eq(str![[r#"
hint: other users can read arguments: give --admin-key as @FILE, or set ADMIN_KEY

"#]]);
}

#[test]
fn channels_are_the_topics_that_the_relay_was_shown() {
    let sandbox = Sandbox::with(&["alice", "bob"]);
    let send = |topic: &str, option: &[&str]| {
        let arguments = ["send", "bob", "x", "--topic", topic];
        sandbox
            .run("alice", &[&arguments, option].concat())
            .success();
    };
    send("secret", &[]);
    assert!(sandbox.json("bob", &["channels"]).is_empty());
    for topic in ["sync", "build", "sync"] {
        send(topic, &["--public-topic"]);
    }
    let mut topics = sandbox.json("bob", &["channels"]);
    topics.sort_by_key(|topic| topic.to_string());
    assert_eq!(
        topics,
        [json!({"topic": "build"}), json!({"topic": "sync"})]
    );
    let received = sandbox.json("bob", &["recv"]);
    let inside: Vec<_> = received.iter().map(|message| &message["topic"]).collect();
    assert_eq!(inside, ["secret", "sync", "build", "sync"]);
    for name in ["alice", "bob"] {
        sandbox.run(name, &["channels"]).success().stdout_eq("");
    }
    sandbox
        .run("alice", &["send", "bob", "x", "--public-topic"])
        .code(2);
}

#[test]
fn health_needs_no_identity() {
    let sandbox = Sandbox::new();
    let url = sandbox.relay.url();
    sandbox
        .run("nobody", &["health", "--relay", &url])
        .success()
        .stderr_eq("")
        .stdout_eq(str![[r#"
ok, 0 agents, 20[..]Z

"#]]);
    assert_eq!(
        sandbox.json("nobody", &["health", "--relay", &url])[0]["status"],
        "ok"
    );
}

#[test]
fn acknowledging_deletes_at_the_relay_and_says_what_was_not_there() {
    let sandbox = Sandbox::with(&["alice", "bob"]);
    let send = |content: &str| sandbox.json("alice", &["send", "bob", content]).remove(0);
    let (first, second) = (send("unread"), send("unread too"));
    // The envelope's id, and the relay's.
    let (id, relay_id) = (text(&first["id"]), text(&second["relayId"]));
    for id in [id, relay_id] {
        sandbox.run("alice", &["ack", id]).code(7);
    }
    assert_eq!(sandbox.stored().len(), 2);
    let output = sandbox
        .run("bob", &["ack", "no-such-id", id, relay_id, "--json"])
        .code(7);
    assert_eq!(
        lines(&output),
        [
            json!({"id": "no-such-id", "deleted": false}),
            json!({"id": id, "deleted": true}),
            json!({"id": relay_id, "deleted": true})
        ]
    );
    assert!(stderr(&output).contains("the relay holds no message `no-such-id`"));
    assert!(sandbox.stored().is_empty());
    sandbox.run("bob", &["recv"]).success().stdout_eq("");
}

#[test]
fn quiet_and_verbose_change_only_stderr() {
    let sandbox = Sandbox::with(&["alice", "bob"]);
    sandbox
        .run("alice", &["send", "bob", "x", "-q"])
        .success()
        .stderr_eq("");
    let output = sandbox.run("bob", &["recv", "-v"]).success();
    for word in ["profile folder: ", "relay: http://", "key store: plain"] {
        assert!(stderr(&output).contains(word), "{word}");
    }
    sandbox
        .run("bob", &["send", "nobody", "x", "-q"])
        .code(7)
        .stderr_eq(str![[r#"
error: the relay knows no agent `nobody`

"#]]);
    sandbox.run("bob", &["recv", "-q", "-v"]).code(2);
}

#[test]
fn version_and_help_go_to_stdout() {
    let version = ctalk().arg("--version").output().unwrap();
    assert_eq!(
        version.stdout,
        format!("ctalk {}\n", env!("CARGO_PKG_VERSION")).as_bytes()
    );
    let help = ctalk().args(["send", "--help"]).output().unwrap();
    assert!(help.status.success() && help.stderr.is_empty() && !help.stdout.is_empty());
    let nothing = ctalk().output().unwrap();
    assert_eq!(nothing.status.code(), Some(2));
    assert!(nothing.stdout.is_empty() && !nothing.stderr.is_empty());
}
