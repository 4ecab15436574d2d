//! Processes that run until they are told to end.

use std::{net::TcpListener, sync::mpsc, thread};

use rustix::process::Signal;

use crate::support::{PATIENCE, Running, Sandbox, ctalk, hears_hangup, std_shell};

#[test]
fn the_relay_says_where_it_listens_and_ends_cleanly_on_both_signals() {
    let folder = tempfile::tempdir().unwrap();
    let mut keys = Vec::new();
    for signal in [Signal::TERM, Signal::INT] {
        let mut command = ctalk();
        command
            .args(["relay", "--listen", "127.0.0.1:0", "--data"])
            .arg(folder.path().join("data"));
        let relay = Running::new(None, &mut command);
        let line = relay.line();
        let url = line.strip_prefix("listening on ").unwrap();
        let health = ctalk().args(["health", "--relay", url]).output().unwrap();
        assert_eq!(health.status.code(), Some(0));
        let talk = relay.talk();
        relay.signal(signal);
        let (status, stdout, stderr) = relay.end();
        assert_eq!((status.code(), stdout.len()), (Some(0), 0));
        assert!(
            stderr.iter().all(|line| line.contains(" INFO ")),
            "{stderr:?}"
        );
        let key = std::fs::read_to_string(folder.path().join("data/admin.key")).unwrap();
        assert!(
            talk.ends_with("data/admin.key") && !talk.contains(key.trim()),
            "{talk}"
        );
        keys.push((talk.starts_with("admin key made in"), key));
    }
    assert!(keys[0].0 && !keys[1].0);
    assert_eq!(keys[0].1, keys[1].1);
}

#[test]
fn an_address_in_use_and_a_folder_in_use_are_told_apart() {
    let folder = tempfile::tempdir().unwrap();
    let run = |listen: &str, data: &str| {
        let mut command = ctalk();
        command
            .args(["relay", "--listen", listen, "--data"])
            .arg(folder.path().join(data));
        command.env("ADMIN_KEY", "some-admin-key");
        command
    };
    let relay = Running::new(None, run("127.0.0.1:0", "one").arg("--json"));
    let ready: serde_json::Value = serde_json::from_str(&relay.line()).unwrap();
    let address = ready["listening"]
        .as_str()
        .unwrap()
        .strip_prefix("http://")
        .unwrap();
    let taken = run(address, "two").output().unwrap();
    assert_eq!(taken.status.code(), Some(2));
    let in_use = run("127.0.0.1:0", "one").output().unwrap();
    assert_eq!(in_use.status.code(), Some(8));
    for output in [taken, in_use] {
        let stderr = String::from_utf8(output.stderr).unwrap();
        assert!(
            output.stdout.is_empty() && stderr.starts_with("error: "),
            "{stderr}"
        );
    }
}

#[test]
fn a_follower_prints_what_comes_and_commits_it_before_it_is_interrupted() {
    let sandbox = Sandbox::with(&["alice", "bob"]);
    for (signal, code) in [
        (Signal::INT, 130),
        (Signal::TERM, 0),
        (Signal::HUP, 0),
        (Signal::QUIT, 0),
    ] {
        if signal == Signal::HUP && !hears_hangup() {
            continue;
        }
        let follower = sandbox.start("bob", &["recv", "--follow", "--interval", "0.1", "--json"]);
        sandbox.run("alice", &["send", "bob", "one"]).success();
        assert!(follower.line().contains(r#""payload":"one""#));
        sandbox.run("alice", &["send", "bob", "two"]).success();
        assert!(follower.line().contains(r#""payload":"two""#));
        follower.signal(signal);
        let (status, stdout, _) = follower.end();
        assert_eq!((status.code(), stdout.len()), (Some(code), 0));
        assert!(sandbox.json("bob", &["recv"]).is_empty());
    }
}

#[test]
fn a_follower_that_is_to_outlive_its_terminal_does() {
    let sandbox = Sandbox::with(&["alice", "bob"]);
    // As `nohup` does it.
    let nohup = r#"trap "" HUP; exec "$@""#;
    let recv = ["recv", "--follow", "--interval", "0.1", "--json"];
    let mut command = std_shell(&sandbox, "bob", nohup, &recv);
    let follower = Running::new(Some(&sandbox), &mut command);
    for content in ["one", "two"] {
        sandbox.run("alice", &["send", "bob", content]).success();
        assert!(follower.line().contains(content));
        follower.signal(Signal::HUP);
    }
    follower.signal(Signal::TERM);
    assert_eq!(follower.end().0.code(), Some(0));
}

#[test]
fn a_follower_outlives_an_outage_of_the_relay() {
    let mut sandbox = Sandbox::with(&["alice", "bob"]);
    sandbox.run("bob", &["recv"]).success();
    let mut command = sandbox.std_command("bob");
    command.args(["recv", "--follow", "--interval", "0.1", "--json"]);
    let follower = Running::new(None, &mut command);
    sandbox.run("alice", &["send", "bob", "before"]).success();
    assert!(follower.line().contains("before"));
    assert!(follower.talk().starts_with("pinned alice"));
    sandbox.relay.stop();
    let warning = follower.talk();
    assert!(
        warning.starts_with("warning: ") && warning.ends_with("trying on"),
        "{warning}"
    );
    sandbox.relay.restart();
    assert_eq!(follower.talk(), "the relay answers again");
    sandbox.run("alice", &["send", "bob", "after"]).success();
    assert!(follower.line().contains("after"));
    follower.signal(Signal::TERM);
    let (status, _, stderr) = follower.end();
    assert_eq!((status.code(), stderr.len()), (Some(0), 0));
}

#[test]
fn a_follower_ends_when_its_key_is_refused() {
    let sandbox = Sandbox::with(&["bob"]);
    let mut command = sandbox.std_command("bob");
    command
        .args(["recv", "--follow", "--interval", "0.1"])
        .env("CLAWTALK_API_KEY", "ct_wrong");
    let (status, _, stderr) = Running::new(Some(&sandbox), &mut command).end();
    assert_eq!(status.code(), Some(7));
    assert!(stderr[0].contains("does not accept this key"));
}

#[test]
fn ctrl_c_ends_a_run_that_waits_for_the_relay_with_130() {
    // Accepts connections and never answers.
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let url = format!("http://{}", listener.local_addr().unwrap());
    let (connected, connection) = mpsc::channel();
    thread::spawn(move || connected.send(listener.accept().unwrap()));
    let waiting = Running::new(None, ctalk().args(["health", "--relay", &url]));
    let _connection = connection.recv_timeout(PATIENCE).unwrap();
    waiting.signal(Signal::INT);
    let (status, stdout, stderr) = waiting.end();
    assert_eq!((status.code(), stdout.len()), (Some(130), 0));
    assert_eq!(stderr, ["error: interrupted"]);
}
