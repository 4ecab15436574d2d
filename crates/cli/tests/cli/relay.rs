//! `ctalk relay` as an operator runs it.

use std::{
    io::{Read, Write},
    net::TcpStream,
    os::unix::fs::PermissionsExt,
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
pub(crate) fn request(address: &str, line: &str, key: &str, body: &str) -> (u16, String) {
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

/// Every setting that `ctalk relay --print-config --json` shows: its value and where it comes from.
fn settings(command: &mut Command) -> Value {
    let output = command.args(["--print-config", "--json"]).output().unwrap();
    assert!(
        output.status.success() && output.stderr.is_empty(),
        "{output:?}"
    );
    serde_json::from_slice(&output.stdout).unwrap()
}

#[test]
fn the_command_line_comes_before_the_environment_and_that_before_the_file() {
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("relay.toml");
    std::fs::write(folder.path().join("key"), format!("{MARK}-in-a-file")).unwrap();
    let key_file = format!("@{}", folder.path().join("key").display());
    // Key, and its value in the file, in the environment, on the command line and by default.
    let rows = [
        ("data", "in-file", "in-variable", "on-line", None),
        (
            "listen",
            "127.0.0.1:1",
            "127.0.0.1:2",
            "127.0.0.1:3",
            Some("127.0.0.1:8787"),
        ),
        (
            "address-header",
            "x-forwarded-for",
            "x-real-ip",
            "cf-connecting-ip",
            None,
        ),
        ("admin-view", "off", "on", "off", Some("on")),
        ("max-bytes", "1", "off", "3", Some("1073741824")),
        ("max-messages", "1", "2", "off", Some("100000")),
        ("registration-limit", "1/1s", "off", "3/60s", Some("20/60s")),
        ("audit", "posted", "automatic", "off", Some("off")),
        ("log-format", "json", "text", "json", Some("text")),
        ("log-level", "error", "warn", "debug", Some("info")),
        ("max-connections", "1", "2", "3", Some("16384")),
        ("max-connections-per-address", "1", "2", "3", Some("8192")),
        (
            "monitoring",
            "127.0.0.1:1",
            "127.0.0.1:2",
            "127.0.0.1:3",
            Some("off"),
        ),
        ("rate-limit", "1/1s", "2/2s", "off", Some("10/10s")),
        ("tls-certificate", "a.pem", "b.pem", "off", Some("off")),
        ("tls-key", "a.key", "b.key", "off", Some("off")),
        (
            "webhook-networks",
            "10.1.0.0/16,::1/128",
            "10.2.0.0/16",
            "127.0.0.0/8",
            Some("none"),
        ),
    ];
    let lines = rows.map(|(key, in_file, ..)| format!("{key} = \"{in_file}\"\n"));
    std::fs::write(
        &file,
        lines.concat() + &format!("admin-key = \"{key_file}\""),
    )
    .unwrap();
    let with_file = || {
        let mut command = ctalk();
        command.arg("relay").arg("--config").arg(&file);
        command
    };
    let from = file.display().to_string();
    for (key, in_file, in_variable, on_line, by_default) in rows {
        let show = |command: &mut Command| settings(command)[key].clone();
        let shown = show(&mut with_file());
        assert_eq!(shown, json!({"value": in_file, "from": from}));
        let variable = format!("CTALK_RELAY_{}", key.replace('-', "_").to_uppercase());
        let shown = show(with_file().env(&variable, in_variable));
        assert_eq!(shown, json!({"value": in_variable, "from": variable}));
        let option = format!("--{key}");
        let shown = show(
            with_file()
                .env(&variable, in_variable)
                .args([&option, on_line]),
        );
        assert_eq!(shown, json!({"value": on_line, "from": "command line"}));
        if let Some(by_default) = by_default {
            let shown = show(ctalk().args(["relay", "--data", "d"]));
            assert_eq!(shown, json!({"value": by_default, "from": "default"}));
        }
    }
    let admin_key = |command: &mut Command| settings(command)["admin-key"].clone();
    let shown = admin_key(&mut with_file());
    assert_eq!(shown, json!({"value": key_file, "from": from}));
    // A secret is never shown.
    let shown = admin_key(with_file().env("ADMIN_KEY", MARK));
    assert_eq!(shown, json!({"from": "ADMIN_KEY"}));
    let shown = admin_key(
        with_file()
            .env("ADMIN_KEY", "x")
            .args(["--admin-key", MARK]),
    );
    assert_eq!(shown, json!({"from": "command line"}));
    // The file may be named in the environment, and what is printed is a file of settings again.
    let named = ctalk()
        .args(["relay", "--print-config"])
        .env("CTALK_RELAY_CONFIG", &file)
        .output()
        .unwrap();
    std::fs::write(folder.path().join("again.toml"), &named.stdout).unwrap();
    let mut again = ctalk();
    again
        .arg("relay")
        .arg("--config")
        .arg(folder.path().join("again.toml"));
    let again = settings(&mut again);
    for (key, in_file, ..) in rows {
        assert_eq!(again[key]["value"], in_file, "{key}");
    }
    assert_eq!(again["admin-key"]["value"], key_file);
}

#[test]
fn a_relay_runs_with_the_settings_of_its_file() {
    let folder = tempfile::tempdir().unwrap();
    std::fs::write(folder.path().join("key"), format!("{MARK}-admin-key\n")).unwrap();
    let text = format!(
        "listen = \"127.0.0.1:0\"\ndata = {:?}\nadmin-key = {:?}\nrate-limit = \"1/3600s\"\nlog-level = \"error\"\naudit = \"posted\"\n\
         admin-view = \"off\"\nmax-messages = \"0\"\nregistration-limit = \"1/3600s\"\n",
        folder.path().join("data"),
        format!("@{}", folder.path().join("key").display()),
    );
    std::fs::write(folder.path().join("relay.toml"), text).unwrap();
    let mut command = ctalk();
    command
        .args(["relay", "--config"])
        .arg(folder.path().join("relay.toml"));
    let relay = Running::new(None, &mut command);
    let address = address(&relay);
    let key = register(&address, "alice");
    // As below, one of the limit's windows may end in between.
    let statuses = [(); 3].map(|()| request(&address, "POST /register", "", "{}").0);
    assert!(statuses.contains(&429), "{statuses:?}");
    let view = request(&address, "GET /messages", &format!("{MARK}-admin-key"), "");
    assert_eq!(view.0, 403, "{view:?}");
    let quota = request(&address, "GET /agents/alice/quota", &key, "").1;
    let quota: Value = serde_json::from_str(&quota).unwrap();
    assert_eq!(quota["maxMessages"], 0);
    let message = json!({"to": "nobody", "type": "request", "encrypted": false, "payload": 1});
    let send = || request(&address, "POST /messages", &key, &message.to_string()).0;
    // The limit's windows are hours of the clock, and one of them may end between two sends.
    let statuses = [send(), send(), send()];
    assert!(
        statuses.contains(&201) && statuses.contains(&429),
        "{statuses:?}"
    );
    let entry = json!({"messageId": "m", "direction": "sent", "from": "a", "to": "b",
        "payload": 1, "ts": "2026-03-21T10:11:12.345Z"});
    let audited = request(&address, "POST /audit", &key, &entry.to_string());
    assert_eq!(audited, (201, "{\"ok\":true}".to_owned()));
    relay.signal(Signal::TERM);
    let (_, _, log) = relay.end();
    assert!(log.is_empty(), "{log:?}");
}

#[test]
fn settings_that_cannot_be_are_refused_by_file_and_key_without_showing_what_may_be_secret() {
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("relay.toml");
    for (text, complaint) in [
        (
            "data = \"d\"\nlisen = \"recognisable\"",
            "there is no setting \"lisen\"",
        ),
        (
            "[relay]\ndata = \"recognisable\"",
            "there is no setting \"relay\"",
        ),
        (
            "data = \"d\"\nrate-limit = 10",
            "`rate-limit` must be a text",
        ),
        (
            "data = \"d\"\nrate-limit = \"fast\"",
            "`rate-limit` must be N/SECONDSs",
        ),
        (
            "data = \"d\"\nmax-messages = \"many\"",
            "`max-messages` must be a whole number, or off",
        ),
        (
            "data = \"d\"\nadmin-view = \"no\"",
            "`admin-view` must be on or off",
        ),
        (
            "data = \"d\"\naddress-header = \"a b\"",
            "`address-header` must be a header's name",
        ),
        (
            "data = \"d\"\nlisten = \"here\"",
            "`listen` must be ADDRESS:PORT",
        ),
        (
            "data = \"d\"\nlog-level = \"loud\"",
            "`log-level` must be error, warn",
        ),
        (
            "data = \"d\"\nadmin-key = \"recognisable\"",
            "`admin-key` must be @ and",
        ),
        (
            "data = \"d\"\nadmin-key = recognisable",
            "line 2 is not TOML",
        ),
        ("data = \"d", "line 1 is not TOML"),
    ] {
        std::fs::write(&file, text).unwrap();
        let mut command = ctalk();
        command.args(["relay", "--print-config", "--config"]);
        let output = command.arg(&file).output().unwrap();
        let stderr = String::from_utf8(output.stderr).unwrap();
        assert_eq!(output.status.code(), Some(2), "{stderr}");
        assert!(
            stderr.contains("relay.toml: ") && stderr.contains(complaint) && !stderr.contains(MARK),
            "{stderr}"
        );
    }
    let mut command = ctalk();
    command
        .args(["relay", "--print-config", "--data", "d"])
        .env("CTALK_RELAY_LISTEN", "here");
    let stderr = String::from_utf8(command.output().unwrap().stderr).unwrap();
    assert!(
        stderr.contains("CTALK_RELAY_LISTEN must be ADDRESS:PORT"),
        "{stderr}"
    );
    let output = ctalk().arg("relay").output().unwrap();
    let stderr = String::from_utf8(output.stderr).unwrap();
    assert!(
        stderr.contains("needs a folder") && stderr.contains("CTALK_RELAY_DATA"),
        "{stderr}"
    );
}

#[test]
fn a_relay_that_runs_is_backed_up_into_a_folder_from_which_another_one_goes_on() {
    let folder = tempfile::tempdir().unwrap();
    let mut command = relay(folder.path());
    let running = Running::new(None, command.args(["--monitoring", "127.0.0.1:0"]));
    let first = address(&running);
    let monitoring = running.line();
    let monitoring = monitoring.strip_prefix("monitoring on http://").unwrap();
    let key = register(&first, "alice");
    let message = json!({"to": "alice", "type": "request", "encrypted": false, "payload": MARK});
    let (sent, _) = request(&first, "POST /messages", &key, &message.to_string());
    assert_eq!(sent, 201);
    let (status, metrics) = request(monitoring, "GET /metrics", "none", "");
    assert_eq!(status, 200);
    assert!(
        metrics.contains("ctalk_relay_stored_messages 1"),
        "{metrics}"
    );
    let restored = folder.path().join("restored");
    std::fs::create_dir_all(restored.join("data")).unwrap();
    let backup = |target: &Path| {
        let mut command = ctalk();
        command.args(["--json", "relay", "backup", "--data"]);
        command.arg(folder.path().join("data")).arg(target);
        command.output().unwrap()
    };
    let target = restored.join("data/relay.db");
    let made = backup(&target);
    let told: Value = serde_json::from_slice(&made.stdout).unwrap();
    let expected = json!({"backup": target, "agents": 1, "messages": 1,
        "bytes": target.metadata().unwrap().len()});
    assert_eq!((made.status.code(), told), (Some(0), expected));
    let refused = backup(&target);
    assert_eq!(refused.status.code(), Some(2), "{refused:?}");
    let second = Running::new(None, &mut relay(&restored));
    let (status, page) = request(&address(&second), "GET /messages", &key, "");
    assert!(status == 200 && page.contains(MARK), "{page}");
    for relay in [running, second] {
        relay.signal(Signal::TERM);
        relay.end();
    }
}

#[test]
fn clients_reach_a_relay_over_tls_when_they_trust_its_certificate() {
    let folder = tempfile::tempdir().unwrap();
    let names = ["localhost".to_owned()];
    let made = rcgen::generate_simple_self_signed(names).unwrap();
    let certificate = folder.path().join("certificate.pem");
    let key = folder.path().join("key.pem");
    std::fs::write(&certificate, made.cert.pem()).unwrap();
    std::fs::write(&key, made.signing_key.serialize_pem()).unwrap();
    std::fs::set_permissions(&key, PermissionsExt::from_mode(0o600)).unwrap();
    let mut command = relay(folder.path());
    command.arg("--tls-certificate").arg(&certificate);
    let half = command.output().unwrap();
    let complaint = String::from_utf8(half.stderr).unwrap();
    assert_eq!(half.status.code(), Some(2), "{complaint}");
    assert!(
        complaint.contains("set both tls-certificate and tls-key"),
        "{complaint}"
    );
    let running = Running::new(None, command.arg("--tls-key").arg(&key));
    let line = running.line();
    let port = line
        .strip_prefix("listening on https://127.0.0.1:")
        .unwrap();
    let health = |roots: &Path| {
        let mut command = ctalk();
        command.args(["--json", "health", "--relay"]);
        command
            .arg(format!("https://localhost:{port}"))
            .env("SSL_CERT_FILE", roots);
        command.output().unwrap()
    };
    let trusting = health(&certificate);
    assert_eq!(trusting.status.code(), Some(0), "{trusting:?}");
    let other = rcgen::generate_simple_self_signed(["localhost".to_owned()]).unwrap();
    let stranger = folder.path().join("stranger.pem");
    std::fs::write(&stranger, other.cert.pem()).unwrap();
    let wary = health(&stranger);
    assert_ne!(wary.status.code(), Some(0), "{wary:?}");
    running.signal(Signal::TERM);
    running.end();
}

#[test]
fn why_a_relay_cannot_start_is_said_once() {
    let folder = tempfile::tempdir().unwrap();
    let taken = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    let refused = ctalk()
        .args(["relay", "--data"])
        .arg(folder.path().join("data"))
        .arg("--listen")
        .arg(taken.local_addr().unwrap().to_string())
        .output()
        .unwrap();
    assert_eq!(refused.status.code(), Some(2));
    let told = String::from_utf8(refused.stderr).unwrap();
    assert_eq!(told.matches("in use").count(), 1, "{told}");
}
