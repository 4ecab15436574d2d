//! `ctalk opendialogue` and `ctalk bridge`, at a stand-in for an OpenDialogue relay.

#[allow(dead_code, reason = "the library's tests need more of it")]
#[path = "../../../client/tests/client/opendialogue/stand_in/mod.rs"]
mod stand_in;

use std::{
    io::{Read, Write},
    net::TcpStream,
    sync::mpsc,
};

use axum::{Router, routing::post};
use rustix::process::Signal;
use serde_json::{Value, json};
use snapbox::str;
use tokio::{net::TcpListener, runtime::Runtime};

use self::stand_in::StandIn;
use crate::support::{PATIENCE, Sandbox, text};

/// Alice and bob at the relay, whose ids are 10000000 and 10000001.
struct Scene {
    sandbox: Sandbox,
    relay: StandIn,
    runtime: Runtime,
}

impl Scene {
    fn new() -> Self {
        let runtime = Runtime::new().unwrap();
        let scene = Self {
            sandbox: Sandbox::new(),
            relay: runtime.block_on(StandIn::start()),
            runtime,
        };
        for name in ["alice", "bob"] {
            let keygen = ["keygen", "--name", name, "--key-store", "plain"];
            scene.sandbox.run(name, &keygen).success();
            let url = scene.relay.url();
            let register = ["register", "--relay", &url];
            scene.sandbox.run(name, &register).success();
        }
        scene
    }

    fn fingerprint(&self, name: &str) -> String {
        let me = self.sandbox.json(name, &["whoami"]);
        text(&me[0]["fingerprint"]).to_owned()
    }

    /// Has alice and bob know each other.
    fn introduce(&self) {
        let fingerprints = [self.fingerprint("alice"), self.fingerprint("bob")];
        let add = ["opendialogue", "add"];
        let bob = [&add[..], &["10000000", &fingerprints[0]]].concat();
        self.sandbox.run("bob", &bob).success();
        let alice = [&add[..], &["10000001", &fingerprints[1]]].concat();
        self.sandbox.run("alice", &alice).success();
    }
}

#[test]
fn lists_are_shown_and_changed() {
    let scene = Scene::new();
    let run = |args: &[&str]| {
        scene
            .sandbox
            .run("bob", &[&["opendialogue"], args].concat())
    };
    run(&["block", "10000000", "--reason", "too loud"]).success();
    run(&["block"]).success().stdout_eq(str![[r#"
AGENT     REASON
10000000  too loud

"#]]);
    run(&["unblock", "10000000"]).success();
    run(&["allow", "10000000"]).success();
    run(&["mode", "allowed"]).success();
    let shown = scene.sandbox.json("bob", &["opendialogue", "allow"]);
    let allowed = json!({"isEnabled": true, "agents": [{"agent": "10000000", "createdAt": 1}]});
    assert_eq!(shown, [allowed]);
    run(&["disallow", "10000000"]).success();
    run(&["mode", "all"]).success();
    let shown = scene.sandbox.json("bob", &["opendialogue", "allow"]);
    assert_eq!(shown, [json!({"isEnabled": false, "agents": []})]);
    assert!(
        scene
            .sandbox
            .json("bob", &["opendialogue", "block"])
            .is_empty()
    );
    run(&["block", "nobody"]).code(2);
    run(&["agent", "99999999"]).code(7);
}

#[test]
fn an_agent_is_added_by_the_fingerprint_that_its_owner_told_and_written_to() {
    let scene = Scene::new();
    let fingerprint = scene.fingerprint("alice");
    let shown = scene
        .sandbox
        .json("bob", &["opendialogue", "agent", "10000000"]);
    assert_eq!(shown[0]["name"], "alice");
    assert_eq!(shown[0]["fingerprint"], *fingerprint);
    let other = scene.fingerprint("bob");
    let add = |fingerprint: &str| {
        let add = ["opendialogue", "add", "10000000", fingerprint];
        scene.sandbox.run("bob", &add)
    };
    add(&other).code(5);
    assert!(scene.sandbox.json("bob", &["contact", "list"]).is_empty());
    add(&fingerprint).success();
    let contacts = scene.sandbox.json("bob", &["contact", "list"]);
    assert_eq!(contacts[0]["standing"], "verified");
    scene
        .sandbox
        .run("bob", &["send", "alice", "hello"])
        .success();
    let history = scene
        .sandbox
        .json("bob", &["opendialogue", "history", "alice"]);
    assert_eq!(history[0]["from"], "10000001");
    assert!(text(&history[0]["content"]).starts_with("ctalk2:"));
    let add = ["opendialogue", "add", "10000001", &other];
    scene.sandbox.run("alice", &add).success();
    let received = scene.sandbox.json("alice", &["recv"]);
    assert_eq!(received[0]["payload"], "hello");
}

/// What the bridge answers.
fn ask(address: &str, request: &str) -> (u16, Value) {
    let mut stream = TcpStream::connect(address).unwrap();
    stream.set_read_timeout(Some(PATIENCE)).unwrap();
    stream.write_all(request.as_bytes()).unwrap();
    let mut answer = String::new();
    stream.read_to_string(&mut answer).unwrap();
    let (head, body) = answer.split_once("\r\n\r\n").unwrap();
    (
        head[9..12].parse().unwrap(),
        serde_json::from_str(body).unwrap(),
    )
}

fn send(address: &str, headers: &str, body: &str) -> (u16, Value) {
    let length = body.len();
    let request = format!(
        "POST /send HTTP/1.1\r\nhost: {address}\r\n{headers}connection: close\r\n\
         content-length: {length}\r\n\r\n{body}"
    );
    ask(address, &request)
}

#[test]
fn the_bridge_speaks_the_plugins_api_and_seals_where_the_peer_can_read_it() {
    let scene = Scene::new();
    scene.introduce();
    let (posted, posts) = mpsc::channel();
    let gateway = scene.runtime.block_on(async {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = listener.local_addr().unwrap();
        let hook = post(async move |body: String| {
            posted.send(body).unwrap();
        });
        let router = Router::new().route("/hooks/agent", hook);
        tokio::spawn(async { axum::serve(listener, router).await });
        format!("http://{address}/hooks/agent")
    });
    let header = format!("Authorization: Bearer {}", scene.sandbox.at("token"));
    scene.sandbox.file("token", "a-token");
    let bridge = scene.sandbox.start(
        "alice",
        &[
            "bridge",
            "opendialogue",
            "--port",
            "0",
            "--preset",
            "openclaw",
            "--post",
            &gateway,
            "--header",
            &header,
        ],
    );
    let talk = bridge.talk();
    let address = talk.strip_prefix("listening on http://").unwrap();
    let sent = send(
        address,
        "",
        r#"{"to":"10000001","content":"hello","conversation_id":"x"}"#,
    );
    assert_eq!(sent, (202, json!({"ok": true})));
    let (status, refused) = send(address, "", r#"{"to":"10000001","content":""}"#);
    assert!(status == 400 && refused["error"].is_string(), "{refused}");
    let (status, _) = send(
        address,
        "origin: https://page.example\r\n",
        r#"{"to":"1","content":"x"}"#,
    );
    assert_eq!(status, 403);
    // A name leads to nobody, lest words for its owner go in the clear.
    let (status, _) = send(address, "", r#"{"to":"bob","content":"hello"}"#);
    assert!(status >= 400, "{status}");
    // It leaves in an envelope.
    while scene.relay.waiting("10000001") == 0 {
        std::thread::yield_now();
    }
    let taken = scene.relay.taken();
    assert!(
        text(&taken[0]["content"]).starts_with("ctalk2:"),
        "{taken:?}"
    );
    let received = scene.sandbox.json("bob", &["recv"]);
    assert_eq!(received[0]["payload"], "hello");
    // What comes is posted to the hook.
    scene
        .sandbox
        .run("bob", &["send", "alice", "and back"])
        .success();
    let hook: Value = serde_json::from_str(&posts.recv_timeout(PATIENCE).unwrap()).unwrap();
    assert!(text(&hook["message"]).ends_with("and back"), "{hook}");
    let request = format!("GET /status HTTP/1.1\r\nhost: {address}\r\nconnection: close\r\n\r\n");
    let (code, status) = ask(address, &request);
    assert_eq!(code, 200);
    assert_eq!(status["agent_id"], "10000000");
    assert_eq!(
        (&status["connected"], &status["gateway_ready"]),
        (&json!(true), &json!(true))
    );
    assert_eq!(status["server_url"], scene.relay.url());
    bridge.signal(Signal::TERM);
    let (ended, ..) = bridge.end();
    assert!(ended.success());
}
