//! `ctalk webhook` and `ctalk listen`: relay, webhook, listener and handler as real processes.

use std::{
    fs,
    io::{Read, Write},
    net::TcpStream,
    time::{SystemTime, UNIX_EPOCH},
};

use ctalk::wire::WebhookSecret;
use rustix::process::Signal;
use serde_json::{Value, json};

use crate::support::{PATIENCE, Running, Sandbox, stderr, text};

/// Bob's listener, which asks the relay when it is told to and hardly ever besides.
struct Listening<'s> {
    sandbox: &'s Sandbox,
    process: Running<'s>,
    address: String,
}

impl<'s> Listening<'s> {
    /// Has the relay post nowhere at first.
    fn start(sandbox: &'s Sandbox, more: &[&str]) -> Self {
        let nowhere = ["webhook", "set", "http://127.0.0.1:1/"];
        sandbox.run("bob", &nowhere).success();
        let listen = ["listen", "--port", "0", "--interval", "1h"];
        let process = sandbox.start("bob", &[&listen, more].concat());
        let talk = process.talk();
        let address = talk
            .strip_prefix("listening on http://")
            .unwrap()
            .to_owned();
        Self {
            sandbox,
            process,
            address,
        }
    }

    /// Has the relay post to it.
    fn connect(&self) {
        let url = format!("http://{}/hook", self.address);
        self.sandbox.run("bob", &["webhook", "set", &url]).success();
    }

    /// The status of the answer to a post with these headers.
    fn post(&self, headers: &str, body: &str) -> u16 {
        let length = body.len();
        self.say(&format!(
            "POST /hook HTTP/1.1\r\nhost: x\r\n{headers}content-length: {length}\r\n\r\n{body}"
        ))
    }

    fn say(&self, request: &str) -> u16 {
        let mut stream = TcpStream::connect(&self.address).unwrap();
        stream.set_read_timeout(Some(PATIENCE)).unwrap();
        // It may answer and hang up before all of it was sent.
        let _ = stream.write_all(request.as_bytes());
        let mut answer = [0; 12];
        stream.read_exact(&mut answer).unwrap();
        str::from_utf8(&answer[9..]).unwrap().parse().unwrap()
    }
}

fn secret(sandbox: &Sandbox) -> WebhookSecret {
    let keys = fs::read(sandbox.profile("bob").join("keys.plain.json")).unwrap();
    let keys: Value = serde_json::from_slice(&keys).unwrap();
    let secret = &keys["webhookSecrets"][sandbox.relay.url()];
    text(secret).parse().unwrap()
}

fn now() -> i64 {
    let now = SystemTime::now().duration_since(UNIX_EPOCH).unwrap();
    i64::try_from(now.as_secs()).unwrap()
}

fn headers(secret: &WebhookSecret, id: &str, timestamp: i64, body: &str) -> String {
    let signature = secret.sign(id, timestamp, body.as_bytes());
    format!(
        "webhook-id: {id}\r\nwebhook-timestamp: {timestamp}\r\nwebhook-signature: {signature}\r\n"
    )
}

#[test]
fn what_comes_is_printed_as_soon_as_the_relay_posts_it() {
    let sandbox = Sandbox::with(&["alice", "bob"]);
    sandbox.run("alice", &["send", "bob", "before"]).success();
    let bob = Listening::start(&sandbox, &["--json"]);
    let payload = || {
        let line: Value = serde_json::from_str(&bob.process.line()).unwrap();
        assert_eq!(line["from"], "alice");
        line["payload"].clone()
    };
    // It asks once to begin with.
    assert_eq!(payload(), "before");
    bob.connect();
    for number in 0..3 {
        let number = number.to_string();
        sandbox.run("alice", &["send", "bob", &number]).success();
        assert_eq!(payload(), number.as_str());
    }
    let shown = sandbox.json("bob", &["webhook", "show"]).remove(0);
    assert_eq!(shown["url"], format!("http://{}/hook", bob.address));
    assert!(sandbox.stored().is_empty());
    bob.process.signal(Signal::TERM);
    let (status, rest, _) = bob.process.end();
    assert!(status.success() && rest.is_empty(), "{status} {rest:?}");
}

#[test]
fn handlers_run_on_what_the_relay_posts_and_their_answers_go_back() {
    let sandbox = Sandbox::with(&["alice", "bob"]);
    let bob = Listening::start(&sandbox, &["--exec", "tr a-z A-Z", "--reply"]);
    bob.connect();
    let call = ["call", "bob", "hello", "--timeout", "60s"];
    let answer = sandbox.run("alice", &call).success();
    let answer = String::from_utf8_lossy(&answer.get_output().stdout).into_owned();
    assert!(answer.contains("HELLO"), "{answer}");
}

#[test]
fn posts_that_are_forged_stale_replayed_or_garbage_fetch_nothing() {
    let sandbox = Sandbox::with(&["alice", "bob"]);
    let bob = Listening::start(&sandbox, &["--exec", "sh -c 'cat; echo'"]);
    let secret = secret(&sandbox);
    let other = WebhookSecret::from_bytes([7; 32]).unwrap();
    let good = |id: &str| headers(&secret, id, now(), "{}");
    // The first look was for nothing.
    let first = good("first");
    sandbox.run("alice", &["send", "bob", "first"]).success();
    assert_eq!(bob.post(&first, "{}"), 204);
    assert_eq!(bob.process.line(), "first");
    sandbox.run("alice", &["send", "bob", "second"]).success();
    let long = "x".repeat(300_000);
    let far = "y".repeat(20_000);
    for (headers, body, status) in [
        (first.as_str(), "{}", 409),
        (&headers(&other, "a", now(), "{}"), "{}", 401),
        (&good("b"), "{ }", 401),
        (
            &good("c").replace("webhook-id: c", "webhook-id: d"),
            "{}",
            401,
        ),
        (&good("e").replace("v1,", "v2,"), "{}", 401),
        (&headers(&secret, "f", now() - 600, "{}"), "{}", 401),
        (&headers(&secret, "g", now() + 600, "{}"), "{}", 401),
        (&good("h").replace("webhook-id", "x-webhook-id"), "{}", 400),
        (&good("i").repeat(2), "{}", 400),
        ("", "{}", 400),
        (
            "webhook-id: j\r\nwebhook-timestamp: 1e9\r\nwebhook-signature: v1,\r\n",
            "",
            400,
        ),
        (&headers(&secret, "k", now(), &long), &long, 413),
    ] {
        assert_eq!(bob.post(headers, body), status, "{headers}");
    }
    assert_eq!(bob.say("GET /hook HTTP/1.1\r\nhost: x\r\n\r\n"), 405);
    assert_eq!(bob.say("junk\r\n\r\n"), 400);
    assert_eq!(
        bob.say(&format!("POST / HTTP/1.1\r\nx: {far}\r\n\r\n")),
        431
    );
    // What breaks off, and connections that say nothing.
    let mut broken = TcpStream::connect(&bob.address).unwrap();
    let cut = format!(
        "POST / HTTP/1.1\r\nhost: x\r\n{}content-length: 9\r\n\r\n{{",
        good("l")
    );
    broken.write_all(cut.as_bytes()).unwrap();
    drop(broken);
    let silent: Vec<_> = (0..40)
        .map(|_| TcpStream::connect(&bob.address).unwrap())
        .collect();
    // Far longer than it takes to ask the relay.
    for _ in 0..20 {
        sandbox.run("bob", &["health"]).success();
    }
    let waiting = sandbox.stored();
    assert_eq!(waiting.len(), 1, "nothing was fetched: {waiting:?}");
    assert_eq!(bob.post(&good("m"), "{}"), 204);
    assert_eq!(bob.process.line(), "second");
    drop(silent);
}

#[test]
fn a_secret_that_is_replaced_while_a_listener_runs_counts_at_once() {
    let sandbox = Sandbox::with(&["alice", "bob"]);
    let bob = Listening::start(&sandbox, &["--exec", "sh -c 'cat; echo'"]);
    bob.connect();
    let former = secret(&sandbox);
    sandbox.run("bob", &["webhook", "rotate"]).success();
    let new = secret(&sandbox);
    assert_ne!(former.as_bytes(), new.as_bytes());
    sandbox.run("alice", &["send", "bob", "x"]).success();
    assert_eq!(bob.process.line(), "x");
    let body = headers(&former, "a", now(), "{}");
    assert_eq!(bob.post(&body, "{}"), 401);
    let mut talk = std::iter::repeat_with(|| bob.process.talk());
    let told = talk.find(|line| line.contains("refused a post")).unwrap();
    assert!(told.contains("webhook secret"), "{told}");
    // The profile's other commands show where it leads, and never the secret.
    let shown = sandbox.run("bob", &["webhook", "show"]).success();
    let shown = String::from_utf8_lossy(&shown.get_output().stdout).into_owned();
    assert!(
        shown.contains("/hook") && shown.contains("queued"),
        "{shown}"
    );
}

#[test]
fn without_a_webhook_nothing_is_listened_for() {
    let sandbox = Sandbox::with(&["bob"]);
    let none = || {
        let shown = sandbox.json("bob", &["webhook", "show"]);
        assert_eq!(shown, [json!({})]);
        let refused = sandbox.run("bob", &["listen", "--port", "0"]).code(2);
        assert!(stderr(&refused).contains("ctalk webhook set"));
    };
    none();
    let rotate = sandbox.run("bob", &["webhook", "rotate"]).failure();
    assert!(
        stderr(&rotate).contains("no webhook"),
        "{}",
        stderr(&rotate)
    );
    sandbox.run("bob", &["webhook", "set", "junk"]).failure();
    none();
    let set = ["webhook", "set", "http://127.0.0.1:1/"];
    sandbox.run("bob", &set).success();
    let former = secret(&sandbox);
    // The same again changes nothing.
    sandbox.run("bob", &set).success();
    assert_eq!(secret(&sandbox).as_bytes(), former.as_bytes());
    let taken = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    let port = taken.local_addr().unwrap().port().to_string();
    let refused = sandbox.run("bob", &["listen", "--port", &port]).code(2);
    assert!(stderr(&refused).contains("cannot listen on"));
    sandbox.run("bob", &["webhook", "clear"]).success();
    none();
}
