//! Nothing a client sends makes the relay fail.

use ctalk_relay::testing::TestRelay;
use proptest::prelude::*;
use serde_json::{Value, json};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;

use crate::support::{Api, message, register, text};

#[tokio::test]
async fn deep_json_huge_numbers_and_doubled_members_are_no_server_errors() {
    let relay = TestRelay::start().await;
    let api = Api::of(&relay);
    let alice = register(&relay, "alice");
    let with = |member: &str| {
        format!(
            "{{\"to\":\"alice\",\"type\":\"request\",\"encrypted\":false,\"payload\":0,{member}}}"
        )
    };
    let nested = |depth| "[".repeat(depth) + &"]".repeat(depth);
    let deep = nested(30_000);
    for (body, status) in [
        (with(&format!("\"payload\":{deep}")), 400),
        (with(&format!("\"encrypted\":{deep}")), 400),
        (with(&format!("\"payload\":{}", nested(125))), 400),
        (with(&format!("\"payload\":{}", nested(124))), 201),
        (with("\"payload\":[\"[{\\\"[{\\\\\"]"), 201),
        (with(&format!("\"colour\":{deep}")), 201),
        (with(&format!("\"to\":{deep}")), 400),
        (with(&format!("\"topic\":{deep}")), 400),
        (with(&format!("\"ttl\":{deep}")), 400),
        (deep.clone(), 400),
        ("[".repeat(60_000), 400),
        ("{\"a\":".repeat(10_000), 400),
        (with("\"payload\":1e999999"), 400),
        (with("\"payload\":{\"n\":-1e999999}"), 400),
        (with("\"payload\":1.7e308"), 201),
        (with("\"type\":{\"request\":null}"), 400),
        (with("\"ttl\":1e999999"), 400),
        (with("\"ttl\":-0"), 400),
        (with("\"ttl\":1e-300"), 201),
        (with("\"payload\":1,\"payload\":2"), 201),
        (with("\"topic\":\"\\ud800\""), 400),
        (with("\"correlationId\":\"\\ud800\""), 201),
        (with("\"topic\":\"\\u0000\""), 201),
        (with("\"\\ud800\":1"), 201),
    ] {
        let start: String = body.chars().take(120).collect();
        let answer = api
            .call("POST", "/messages", Some(&alice), Some(body))
            .await;
        assert_eq!(answer.status, status, "{start}");
    }
    let newest = api.get("/messages?limit=100", &alice).await;
    assert_eq!(newest.status, 200);
    // The one lone surrogate apart, an ordinary parser reads the page, nesting and all.
    let parsed: Result<Value, _> = serde_json::from_str(&newest.text.replace("\\ud800", ""));
    assert!(parsed.is_ok(), "{parsed:?}");
    assert!(
        newest.text.contains("\"payload\":2,"),
        "the last of two members counts"
    );
    assert!(newest.text.contains("\"correlationId\":\"\\ud800\""));
    assert_eq!(api.get("/channels", &alice).await.ok(200), json!(["\u{0}"]));
}

#[tokio::test]
async fn a_body_that_is_no_utf8_is_400() {
    let relay = TestRelay::start().await;
    let alice = register(&relay, "alice");
    let mut body = message("alice", json!("hi")).to_string().into_bytes();
    let at = body.iter().position(|byte| *byte == b'h').unwrap();
    body[at] = 0xff;
    let mut request = format!(
        "POST /messages HTTP/1.1\r\nHost: x\r\nConnection: close\r\nAuthorization: Bearer {alice}\r\n\
         Content-Length: {}\r\n\r\n",
        body.len()
    )
    .into_bytes();
    request.extend(body);
    let answer = raw(&relay, &request).await;
    assert!(answer.starts_with("HTTP/1.1 400 "), "{answer}");
    assert!(answer.contains("BAD_REQUEST"), "{answer}");
}

/// Sends bytes as they are and reads until the relay closes.
async fn raw(relay: &TestRelay, request: &[u8]) -> String {
    let address = relay.url().strip_prefix("http://").unwrap().to_owned();
    let mut stream = TcpStream::connect(address).await.unwrap();
    // The relay may close before it has read everything.
    let _ = stream.write_all(request).await;
    let mut answer = Vec::new();
    let _ = stream.read_to_end(&mut answer).await;
    String::from_utf8_lossy(&answer).into_owned()
}

#[tokio::test]
async fn junk_on_the_connection_and_floods_of_headers_end_that_connection_only() {
    let relay = TestRelay::start().await;
    let api = Api::of(&relay);
    let flood = format!(
        "GET /health HTTP/1.1\r\n{}",
        "X-Flood: y\r\n".repeat(10_000)
    );
    let long = format!(
        "GET /health HTTP/1.1\r\nX-Long: {}\r\n\r\n",
        "y".repeat(1_000_000)
    );
    let uri = format!("GET /{} HTTP/1.1\r\n\r\n", "y".repeat(1_000_000));
    for junk in [
        b"\x16\x03\x01junk\r\n\r\n".as_slice(),
        flood.as_bytes(),
        long.as_bytes(),
        uri.as_bytes(),
    ] {
        let answer = raw(&relay, junk).await;
        assert!(
            answer.is_empty() || answer.starts_with("HTTP/1.1 4"),
            "{answer}"
        );
    }
    api.get("/health", "").await.ok(200);
}

#[tokio::test]
async fn a_body_of_megabytes_is_answered_although_it_is_not_kept() {
    let relay = TestRelay::start().await;
    let api = Api::of(&relay);
    let alice = register(&relay, "alice");
    let body = "x".repeat(3 << 20);
    for _ in 0..3 {
        let answer = api
            .call("POST", "/messages", Some(&alice), Some(body.clone()))
            .await;
        answer.error(400, "PAYLOAD_TOO_LARGE");
        let answer = api
            .call("POST", "/messages", Some("ct_no"), Some(body.clone()))
            .await;
        answer.error(401, "UNAUTHORIZED");
    }
}

#[tokio::test]
async fn a_hostile_relay_can_be_played() {
    let relay = TestRelay::start().await;
    let api = Api::of(&relay);
    let alice = register(&relay, "alice");
    let raws = [
        "{\"id\":\"x\",\"payload\":\"\\ud800\"}",
        "42",
        "\"junk\"",
        "{}",
        "{\"id\":\"x\"}",
    ];
    for raw in raws {
        relay.inject("alice", raw);
    }
    let page = api.get("/messages?sort=asc", &alice).await;
    assert!(page.text.contains(&raws.join(",")), "{}", page.text);
    assert_eq!(relay.stored(), raws);
    assert_eq!(api.delete("/messages/x", &alice).await.status, 204);
    assert_eq!(relay.stored().len(), 4);
    relay.set_agent_keys("alice", "not base64", "");
    let record = api.agent(&alice, "alice").await;
    assert_eq!(
        (&record["publicKey"], &record["signingKey"]),
        (&json!("not base64"), &json!(""))
    );
}

#[tokio::test]
async fn reference_paging_offers_what_the_reference_snapshot_offers() {
    let relay = TestRelay::builder().reference_paging(true).start().await;
    let api = Api::of(&relay);
    let alice = register(&relay, "alice");
    let empty = api.get("/messages", &alice).await.ok(200);
    assert_eq!(empty, json!({"messages": []}));
    let mut times = Vec::new();
    for number in 0..3 {
        times.push(api.send(&alice, "alice", json!(number)).await.1);
    }
    let path = format!("/messages?sort=asc&channel=x&after={}&limit=2", times[2]);
    let page = api.get(&path, &alice).await.ok(200);
    let payloads: Vec<_> = page["messages"]
        .as_array()
        .unwrap()
        .iter()
        .map(|m| &m["payload"])
        .collect();
    assert_eq!(payloads, [2, 1]);
    assert_eq!(page["cursor"], times[1]);
    assert_eq!(page.as_object().unwrap().len(), 2);
    let path = format!("/messages?since={}", times[1]);
    assert_eq!(api.messages(&path, &alice).await.len(), 1);
}

#[tokio::test]
async fn a_broken_database_is_told_by_health_and_by_500() {
    let relay = TestRelay::start().await;
    let api = Api::of(&relay);
    let alice = register(&relay, "alice");
    rusqlite::Connection::open(relay.folder().join("relay.db"))
        .unwrap()
        .execute_batch("ALTER TABLE agents RENAME TO elsewhere")
        .unwrap();
    let health = api.get("/health", "").await.ok(200);
    assert_eq!(health["status"], "degraded");
    assert!(health["agents"].is_string());
    let answer = api.get("/agents", &alice).await;
    answer.error(500, "INTERNAL_ERROR");
    assert!(!answer.text.contains("elsewhere") && !answer.text.contains("agents"));
}

/// Any JSON value, small.
fn any_json() -> impl Strategy<Value = Value> {
    let leaf = prop_oneof![
        Just(Value::Null),
        any::<bool>().prop_map(Value::from),
        any::<f64>().prop_map(Value::from),
        any::<i64>().prop_map(Value::from),
        ".{0,12}".prop_map(Value::from),
        Just(json!("alice")),
        Just(json!("request")),
        Just(json!("broadcast")),
    ];
    leaf.prop_recursive(3, 12, 4, |inner| {
        prop_oneof![
            prop::collection::vec(inner.clone(), 0..4).prop_map(Value::from),
            prop::collection::hash_map("[a-z]{1,4}", inner, 0..4)
                .prop_map(|members| Value::Object(members.into_iter().collect())),
        ]
    })
}

#[test]
fn no_body_and_no_query_makes_a_server_error() {
    let relay = TestRelay::start_blocking();
    let api = Api::of(&relay);
    let alice = register(&relay, "alice");
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()
        .unwrap();
    const MEMBERS: [&str; 17] = [
        "to",
        "type",
        "encrypted",
        "payload",
        "topic",
        "correlationId",
        "replyTo",
        "nonce",
        "signature",
        "ttl",
        "name",
        "owner",
        "publicKey",
        "capabilities",
        "webhookUrl",
        "maxUses",
        "invite",
    ];
    let body = prop::collection::hash_map(prop::sample::select(&MEMBERS[..]), any_json(), 0..10);
    let route = prop::sample::select(vec![
        ("POST", "/messages"),
        ("PATCH", "/agents/alice"),
        ("POST", "/agents"),
        ("POST", "/invites"),
        ("POST", "/register"),
    ]);
    let query = "[a-z0-9=&%+:.-]{0,40}";
    proptest!(ProptestConfig::with_cases(300), |(route in route, body in body, query in query)| {
        let (method, path) = route;
        let key = if path == "/messages" || method == "PATCH" { &alice } else { relay.admin_key() };
        let body: serde_json::Map<_, _> = body.into_iter().map(|(k, v)| (k.to_owned(), v)).collect();
        let body = Value::Object(body).to_string();
        let answer = runtime.block_on(api.call(method, path, Some(key), Some(body)));
        prop_assert!(answer.status < 500, "{:?}", answer);
        let path = format!("/messages?{query}");
        let answer = runtime.block_on(api.get(&path, &alice));
        prop_assert_eq!(answer.status, 200, "{:?}", answer);
    });
}

/// One step of the property below.
#[derive(Clone, Debug)]
enum Step {
    Send { to: Vec<usize> },
    Delete { inbox: usize, at: usize },
    Clock { by: i64 },
}

#[test]
fn paging_forwards_visits_every_message_once_whatever_is_sent_deleted_and_however_time_runs() {
    const NAMES: [&str; 3] = ["alice", "bob", "carol"];
    let step = prop_oneof![
        4 => prop::collection::vec(0..3_usize, 1..4).prop_map(|to| Step::Send { to }),
        1 => (0..3_usize, 0..20_usize).prop_map(|(inbox, at)| Step::Delete { inbox, at }),
        1 => (-5_i64..5).prop_map(|by| Step::Clock { by }),
    ];
    let steps = prop::collection::vec(step, 1..40);
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()
        .unwrap();
    proptest!(ProptestConfig::with_cases(12), |(steps in steps, limit in 1..5_usize)| {
        let clock = ctalk_relay::ManualClock::new(1_774_094_400_000);
        let relay = TestRelay::builder().clock(clock.clone()).start_blocking();
        let api = Api::of(&relay);
        let keys = NAMES.map(|name| register(&relay, name));
        // What each inbox must hold, by arrival.
        let mut expected: [Vec<String>; 3] = Default::default();
        let mut newest: [String; 3] = Default::default();
        for step in steps {
            match step {
                Step::Send { to } => {
                    let mut body = message("", json!(0));
                    body["to"] = to.iter().map(|at| NAMES[*at]).collect();
                    let sent = runtime.block_on(api.post("/messages", &keys[0], body)).ok(201);
                    let ts = text(&sent["ts"]);
                    let mut once = to.clone();
                    once.sort_unstable();
                    once.dedup();
                    for inbox in once {
                        prop_assert!(ts > newest[inbox]);
                        newest[inbox] = ts.clone();
                        expected[inbox].push(text(&sent["id"]));
                    }
                }
                Step::Delete { inbox, at } if at < expected[inbox].len() => {
                    let id = expected[inbox].remove(at);
                    let gone = runtime.block_on(api.delete(&format!("/messages/{id}"), &keys[inbox]));
                    prop_assert_eq!(gone.status, 204);
                }
                Step::Delete { .. } => {}
                Step::Clock { by } => clock.set(ctalk_relay::Clock::now_ms(&clock) + by),
            }
        }
        for (key, expected) in keys.iter().zip(expected) {
            let mut got = Vec::new();
            let mut after = String::new();
            loop {
                let path = format!("/messages?sort=asc&limit={limit}&after={after}");
                let page = runtime.block_on(api.get(&path, key)).ok(200);
                let messages = page["messages"].as_array().unwrap();
                got.extend(messages.iter().map(|message| text(&message["id"])));
                if messages.len() < limit {
                    break;
                }
                after = text(&page["newestTs"]);
            }
            prop_assert_eq!(got, expected);
        }
    });
}
