//! `ctalk relay` as an operator runs it.

use std::{
    io::{Read, Write},
    net::TcpStream,
    path::Path,
    process::Command,
};

use rustix::process::Signal;
use serde_json::{Value, json};

use crate::support::{Running, ctalk};

/// In every secret that these tests put into a request.
const MARK: &str = "recognisable";
const KEY: &str = "B6N8vBQgk8i3VdwbEOhstCY3StFqqFPtC9/AsrhtHHw=";

/// The command that runs a relay on a free port.
fn relay(folder: &Path) -> Command {
    let mut command = ctalk();
    command
        .args(["relay", "--listen", "127.0.0.1:0", "--data"])
        .arg(folder.join("data"))
        .env("ADMIN_KEY", format!("{MARK}-admin-key"));
    command
}

/// Where a relay listens that was just started.
fn address(relay: &Running<'_>) -> String {
    let line = relay.line();
    line.strip_prefix("listening on http://")
        .unwrap()
        .to_owned()
}

/// The status and body of the answer to one request.
fn request(address: &str, line: &str, key: &str, body: &str) -> (u16, String) {
    let mut stream = TcpStream::connect(address).unwrap();
    write!(
        stream,
        "{line} HTTP/1.1\r\nHost: {address}\r\nAuthorization: Bearer {key}\r\n\
         Content-Length: {}\r\nConnection: close\r\n\r\n{body}",
        body.len()
    )
    .unwrap();
    let mut answer = String::new();
    stream.read_to_string(&mut answer).unwrap();
    let status = answer.split(' ').nth(1).unwrap().parse().unwrap();
    let (_, body) = answer.split_once("\r\n\r\n").unwrap();
    (status, body.to_owned())
}

/// Registers `name` and returns its key.
fn register(address: &str, name: &str) -> String {
    let body = json!({"name": name, "owner": MARK, "publicKey": KEY, "signingKey": KEY});
    let admin_key = format!("{MARK}-admin-key");
    let (status, answer) = request(address, "POST /agents", &admin_key, &body.to_string());
    assert_eq!(status, 201, "{answer}");
    let answer: Value = serde_json::from_str(&answer).unwrap();
    answer["apiKey"].as_str().unwrap().to_owned()
}

#[test]
fn the_log_tells_of_every_request_and_failure_and_holds_no_key_payload_or_query() {
    let folder = tempfile::tempdir().unwrap();
    let mut command = relay(folder.path());
    command.args(["--log-level", "debug", "--log-format", "json"]);
    let relay = Running::new(None, &mut command);
    let address = address(&relay);
    let key = register(&address, "alice");
    let message = json!({"to": "alice", "type": "request", "encrypted": false, "payload": MARK,
        "topic": MARK, "nonce": MARK});
    let send = |line: &str, key: &str| request(&address, line, key, &message.to_string()).0;
    assert_eq!(send(&format!("POST /messages?query={MARK}"), &key), 201);
    let list = format!("GET /messages?topic={MARK}");
    assert_eq!(request(&address, &list, &key, "").0, 200);
    assert_eq!(send("POST /messages", &format!("{MARK}-wrong-key")), 401);
    let delete = format!("DELETE /messages/{MARK}");
    assert_eq!(request(&address, &delete, &key, "").0, 404);
    assert_eq!(request(&address, &format!("GET /{MARK}"), &key, "").0, 404);
    let made_up = MARK.to_uppercase();
    assert_eq!(
        request(&address, &format!("{made_up} /messages"), &key, "").0,
        404
    );
    // Now the database refuses messages.
    rusqlite::Connection::open(folder.path().join("data/relay.db"))
        .unwrap()
        .execute_batch(
            "CREATE TRIGGER full BEFORE INSERT ON messages BEGIN SELECT RAISE(ABORT, 'no room'); END",
        )
        .unwrap();
    assert_eq!(send("POST /messages", &key), 500);
    relay.signal(Signal::TERM);
    let (status, _, log) = relay.end();
    assert_eq!(status.code(), Some(0));
    for line in &log {
        let shown = line.to_lowercase();
        assert!(!shown.contains(MARK) && !line.contains(&key), "{line}");
    }
    let log: Vec<Value> = log
        .iter()
        .map(|line| serde_json::from_str(line).unwrap())
        .collect();
    let answered: Vec<_> = log
        .iter()
        .filter(|line| line["message"] == "answered")
        .map(|line| {
            assert!(
                line["duration_us"].is_u64() && line["level"] == "DEBUG",
                "{line}"
            );
            let span = &line["span"];
            (
                &span["method"],
                &span["route"],
                &span["agent"],
                &line["status"],
            )
        })
        .map(|(method, route, agent, status)| json!([method, route, agent, status]))
        .collect();
    let expected = [
        json!(["POST", "/agents", null, 201]),
        json!(["POST", "/messages", "alice", 201]),
        json!(["GET", "/messages", "alice", 200]),
        json!(["POST", "/messages", null, 401]),
        json!(["DELETE", "/messages/{id}", "alice", 404]),
        json!(["GET", "unknown", null, 404]),
        json!(["other", "/messages", null, 404]),
        json!(["POST", "/messages", "alice", 500]),
    ];
    assert_eq!(answered, expected);
    let find = |message: &str| {
        let found = log.iter().find(|line| line["message"] == message);
        found.unwrap_or_else(|| panic!("{message}: {log:?}"))
    };
    assert_eq!(find("brought the database up to date")["level"], "INFO");
    assert_eq!(find("started")["address"], address);
    assert_eq!(find("stopped")["level"], "INFO");
    let refused = find("requests without a valid key were refused");
    assert_eq!(
        (&refused["level"], &refused["requests"]),
        (&json!("WARN"), &json!(1))
    );
    let failed = find("the store failed a request");
    assert_eq!(
        (&failed["level"], &failed["span"]["route"]),
        (&json!("ERROR"), &json!("/messages"))
    );
    assert!(
        failed["error"].as_str().unwrap().contains("no room"),
        "{failed}"
    );
}

#[test]
fn a_relay_that_is_to_be_quiet_logs_nothing_while_all_is_well() {
    let folder = tempfile::tempdir().unwrap();
    let relay = Running::new(None, relay(folder.path()).arg("--quiet"));
    let address = address(&relay);
    assert_eq!(request(&address, "GET /agents", "wrong-key", "").0, 401);
    relay.signal(Signal::TERM);
    let (_, _, log) = relay.end();
    assert!(log.is_empty(), "{log:?}");
}
