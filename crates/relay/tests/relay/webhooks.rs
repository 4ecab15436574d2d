//! What is posted to webhooks, when, how often, and where never.

use std::time::Duration;

use ctalk_relay::testing::TestRelay;
use ctalk_relay::{ManualClock, Networks};
use ctalk_wire::WebhookSecret;
use serde_json::{Value, json};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpListener;

use crate::support::{Api, message, register, text};
use crate::target::{Post, Reply, Target, set_webhook, webhook_when};

const NOON: i64 = 1_774_094_400_000;
const HOUR: Duration = Duration::from_secs(3600);
/// The longest pause between two attempts.
const LONGEST_PAUSE: Duration = Duration::from_secs(300);

fn is_signed(post: &Post, secret: &str) -> bool {
    let secret: WebhookSecret = secret.parse().unwrap();
    let timestamp = post.header("webhook-timestamp").parse().unwrap();
    let (id, signature) = (post.header("webhook-id"), post.header("webhook-signature"));
    secret.verifies(signature, id, timestamp, &post.body)
}

/// A relay at noon, the keys of alice and bob, and where bob's webhook leads, which takes nothing.
async fn failing(status: u16) -> (ManualClock, TestRelay, [String; 2], Target) {
    let clock = ManualClock::new(NOON);
    let relay = TestRelay::builder().clock(clock.clone()).start().await;
    let keys = ["alice", "bob"].map(|name| register(&relay, name));
    let target = Target::start(Reply::Status(status)).await;
    set_webhook(&Api::of(&relay), "bob", &keys[1], &target.url).await;
    (clock, relay, keys, target)
}

#[tokio::test]
async fn posts_are_signed_with_the_secret_that_was_shown_when_the_webhook_was_set() {
    let relay = TestRelay::builder()
        .clock(ManualClock::new(NOON))
        .start()
        .await;
    let api = Api::of(&relay);
    let alice = register(&relay, "alice");
    let mut target = Target::start(Reply::Status(200)).await;
    let body = json!({
        "name": "bob", "owner": "o", "webhookUrl": target.url,
        "publicKey": crate::support::KEY, "signingKey": crate::support::KEY,
    });
    let made = api.post("/agents", relay.admin_key(), body).await.ok(201);
    let (bob, first) = (text(&made["apiKey"]), text(&made["webhookSecret"]));
    let (id, _) = api.send(&alice, "bob", json!(1)).await;
    let post = target.next().await;
    assert!(is_signed(&post, &first));
    assert_eq!(post.header("webhook-id"), id);
    assert_eq!(post.header("webhook-timestamp"), (NOON / 1000).to_string());
    assert!(post.header("user-agent").starts_with("ctalk-relay/"));
    // Setting the same URL again changes nothing, another one makes another secret.
    let same = api.patch("/agents/bob", &bob, json!({"webhookUrl": target.url}));
    assert_eq!(same.await.ok(200), json!({"name": "bob", "updated": true}));
    let hook = format!("{}/other", target.url);
    let second = set_webhook(&api, "bob", &bob, &hook).await;
    api.send(&alice, "bob", json!(2)).await;
    let post = target.next().await;
    assert!(is_signed(&post, &second) && !is_signed(&post, &first));
}

#[tokio::test]
async fn a_secret_is_replaced_by_its_agent_and_the_admin_and_shown_to_nobody_else() {
    let relay = TestRelay::start().await;
    let api = Api::of(&relay);
    let (alice, bob) = (register(&relay, "alice"), register(&relay, "bob"));
    let mut target = Target::start(Reply::Status(200)).await;
    let mut former = set_webhook(&api, "bob", &bob, &target.url).await;
    let path = "/agents/bob/webhook-secret";
    for key in [&bob, relay.admin_key()] {
        let made = api.call("POST", path, Some(key), None).await.ok(201);
        assert_eq!(made["name"], "bob");
        let secret = text(&made["webhookSecret"]);
        api.send(&alice, "bob", json!(1)).await;
        let post = target.next().await;
        assert!(is_signed(&post, &secret) && !is_signed(&post, &former));
        former = secret;
    }
    let foreign = api.call("POST", path, Some(&alice), None).await;
    foreign.error(403, "FORBIDDEN");
    let none = api.call("POST", "/agents/alice/webhook-secret", Some(&alice), None);
    none.await.error(404, "NOT_FOUND");
    for path in ["/webhooks", "/agents", "/agents/bob"] {
        let shown = api.get(path, &bob).await;
        assert!(!shown.text.contains("whsec_"), "{shown:?}");
    }
}

#[tokio::test]
async fn what_is_not_taken_is_posted_again_after_growing_pauses_with_the_same_id() {
    let clock = ManualClock::new(NOON);
    let relay = TestRelay::builder().clock(clock.clone()).start().await;
    let api = Api::of(&relay);
    let (alice, bob) = (register(&relay, "alice"), register(&relay, "bob"));
    let mut target = Target::start(Reply::Status(503)).await;
    let secret = set_webhook(&api, "bob", &bob, &target.url).await;
    let (id, _) = api.send(&alice, "bob", json!(1)).await;
    let mut now = NOON;
    for pause in [0, 5, 10, 20, 40, 80, 160, 300, 300] {
        if pause > 0 {
            let failed = json!({"ts": iso(now), "reason": "answer", "status": 503});
            webhook_when(&api, &bob, |shown| shown["lastFailure"] == failed).await;
            clock.advance(Duration::from_millis(pause * 1000 - 1));
            // The clock is looked at meanwhile.
            for _ in 0..50 {
                api.get("/webhooks", &bob).await.ok(200);
            }
            target.assert_quiet();
            clock.advance(Duration::from_millis(1));
            now += i64::try_from(pause).unwrap() * 1000;
        }
        let post = target.next().await;
        assert_eq!(post.header("webhook-id"), id);
        assert_eq!(post.header("webhook-timestamp"), (now / 1000).to_string());
        assert!(is_signed(&post, &secret));
    }
    target.answer(Reply::Status(200));
    webhook_when(&api, &bob, |shown| shown["lastFailure"]["ts"] == iso(now)).await;
    clock.advance(LONGEST_PAUSE);
    target.next().await;
    let shown = webhook_when(&api, &bob, |shown| shown["queued"] == 0).await;
    assert_eq!(
        (&shown["delivered"], &shown["failed"]),
        (&json!(1), &json!(0))
    );
    // What comes now waits no more.
    api.send(&alice, "bob", json!(2)).await;
    target.next().await;
}

fn iso(ms: i64) -> String {
    format!("{:.3}", jiff::Timestamp::from_millisecond(ms).unwrap())
}

#[tokio::test]
async fn what_nobody_takes_is_given_up_after_24_hours() {
    let (clock, relay, [alice, bob], mut target) = failing(410).await;
    let api = Api::of(&relay);
    api.send(&alice, "bob", json!(1)).await;
    for hour in 0..24 {
        target.next().await;
        let failed_at = iso(NOON + hour * 3_600_000);
        let shown = webhook_when(&api, &bob, |shown| shown["lastFailure"]["ts"] == failed_at);
        let shown = shown.await;
        assert_eq!((&shown["queued"], &shown["failed"]), (&json!(1), &json!(0)));
        clock.advance(HOUR);
    }
    target.next().await;
    let shown = webhook_when(&api, &bob, |shown| shown["queued"] == 0).await;
    assert_eq!(
        (&shown["delivered"], &shown["failed"]),
        (&json!(0), &json!(1))
    );
    // The message itself stays, and what comes later is posted.
    assert_eq!(api.messages("/messages", &bob).await.len(), 1);
    api.send(&alice, "bob", json!(2)).await;
    clock.advance(LONGEST_PAUSE);
    assert_eq!(target.next().await.json()["payload"], 2);
    target.assert_quiet();
}

#[tokio::test]
async fn one_message_that_is_never_taken_holds_up_no_other() {
    let (clock, relay, [alice, bob], mut target) = failing(500).await;
    let api = Api::of(&relay);
    api.send(&alice, "bob", json!("poison")).await;
    assert_eq!(target.next().await.json()["payload"], "poison");
    for number in 0..3 {
        api.send(&alice, "bob", json!(number)).await;
    }
    webhook_when(&api, &bob, |shown| shown["lastFailure"]["status"] == 500).await;
    target.answer(Reply::Status(200));
    clock.advance(Duration::from_millis(5000));
    let mut taken = Vec::new();
    for _ in 0..4 {
        taken.push(target.next().await.json()["payload"].clone());
    }
    // Those that were never tried come first, in their order.
    assert_eq!(taken, [json!(0), json!(1), json!(2), json!("poison")]);
}

#[tokio::test]
async fn any_number_of_targets_that_do_not_answer_keep_no_other_waiting() {
    let relay = TestRelay::start().await;
    let api = Api::of(&relay);
    let (alice, bob) = (register(&relay, "alice"), register(&relay, "bob"));
    let mut target = Target::start(Reply::Status(204)).await;
    set_webhook(&api, "bob", &bob, &target.url).await;
    api.send(&alice, "bob", json!("first")).await;
    target.next().await;
    webhook_when(&api, &bob, |shown| shown["delivered"] == 1).await;
    let mut hanging = Target::start(Reply::Nothing).await;
    // More than the relay posts to at once.
    for number in 0..300 {
        let name = format!("hanging-{number}");
        let key = register(&relay, &name);
        set_webhook(&api, &name, &key, &hanging.url).await;
    }
    let mut body = message("broadcast", json!("all"));
    body["type"] = json!("notification");
    api.post("/messages", &alice, body).await.ok(201);
    for _ in 0..128 {
        hanging.next().await;
    }
    assert_eq!(target.next().await.json()["payload"], "all");
    for number in 0..10 {
        api.send(&alice, "bob", json!(number)).await;
        assert_eq!(target.next().await.json()["payload"], number);
    }
    let all = api.get("/webhooks", relay.admin_key()).await.ok(200);
    assert_eq!(all["total"], 301);
    let all = all["webhooks"].as_array().unwrap();
    let failed = all.iter().filter(|shown| !shown["lastFailure"].is_null());
    assert_eq!(
        failed.count(),
        0,
        "all this was before the first of them was given up"
    );
}

#[tokio::test]
async fn a_redirect_is_a_failure_and_is_not_followed() {
    let relay = TestRelay::start().await;
    let api = Api::of(&relay);
    let (alice, bob) = (register(&relay, "alice"), register(&relay, "bob"));
    let mut elsewhere = Target::start(Reply::Status(200)).await;
    let mut target = Target::start(Reply::Redirect(elsewhere.url.clone())).await;
    set_webhook(&api, "bob", &bob, &target.url).await;
    api.send(&alice, "bob", json!(1)).await;
    target.next().await;
    let shown = webhook_when(&api, &bob, |shown| !shown["lastFailure"].is_null()).await;
    assert_eq!(shown["lastFailure"]["status"], 307);
    elsewhere.assert_quiet();
}

#[tokio::test]
async fn nothing_is_posted_to_addresses_that_the_operator_does_not_allow() {
    let relay = TestRelay::builder()
        .webhook_networks(Networks::NONE)
        .start()
        .await;
    let api = Api::of(&relay);
    let (alice, bob) = (register(&relay, "alice"), register(&relay, "bob"));
    let mut target = Target::start(Reply::Status(200)).await;
    let port = target.url.rsplit(':').next().unwrap();
    for host in [
        "127.0.0.1",
        "127.1",
        "2130706433",
        "0x7f000001",
        "017700000001",
        "[::1]",
        "[::ffff:127.0.0.1]",
        "[::ffff:7f00:1]",
        // Names are judged by what they lead to.
        "localhost",
        "LOCALHOST",
        "0.0.0.0",
        "169.254.169.254",
    ] {
        set_webhook(&api, "bob", &bob, &format!("http://{host}:{port}/")).await;
        api.send(&alice, "bob", json!(1)).await;
        let shown = webhook_when(&api, &bob, |shown| !shown["lastFailure"].is_null()).await;
        assert_eq!(shown["lastFailure"]["reason"], "refused", "{host}");
    }
    target.assert_quiet();
}

#[tokio::test]
async fn what_waits_is_posted_after_a_restart() {
    let clock = ManualClock::new(NOON);
    let mut relay = TestRelay::builder().clock(clock.clone()).start().await;
    let api = Api::of(&relay);
    let (alice, bob) = (register(&relay, "alice"), register(&relay, "bob"));
    let mut target = Target::start(Reply::Status(500)).await;
    let secret = set_webhook(&api, "bob", &bob, &target.url).await;
    for number in 0..3 {
        api.send(&alice, "bob", json!(number)).await;
    }
    target.next().await;
    webhook_when(&api, &bob, |shown| shown["lastFailure"]["status"] == 500).await;
    target.answer(Reply::Status(200));
    relay.restart();
    // What was tried before still waits for its time.
    for number in [1, 2] {
        let post = target.next().await;
        assert_eq!(post.json()["payload"], number);
        assert!(is_signed(&post, &secret));
    }
    webhook_when(&api, &bob, |shown| shown["queued"] == 1).await;
    target.assert_quiet();
    clock.advance(Duration::from_secs(5));
    assert_eq!(target.next().await.json()["payload"], 0);
    webhook_when(&api, &bob, |shown| shown["queued"] == 0).await;
}

#[tokio::test]
async fn another_url_a_removal_a_revocation_and_a_deletion_cancel_what_waits() {
    let clock = ManualClock::new(NOON);
    let relay = TestRelay::builder().clock(clock.clone()).start().await;
    let api = Api::of(&relay);
    let admin = relay.admin_key();
    let alice = register(&relay, "alice");
    let key = register(&relay, "sentinel");
    let mut sentinel = Target::start(Reply::Status(200)).await;
    set_webhook(&api, "sentinel", &key, &sentinel.url).await;
    for way in ["url", "removal", "revocation", "deletion"] {
        let bob = register(&relay, way);
        let mut target = Target::start(Reply::Status(500)).await;
        set_webhook(&api, way, &bob, &target.url).await;
        api.send(&alice, way, json!("old")).await;
        target.next().await;
        webhook_when(&api, &bob, |shown| shown["lastFailure"]["status"] == 500).await;
        target.answer(Reply::Status(200));
        let path = format!("/agents/{way}");
        let hook = format!("{}/new", target.url);
        match way {
            "url" => drop(set_webhook(&api, way, &bob, &hook).await),
            "removal" => {
                let removed = api.patch(&path, &bob, json!({"webhookUrl": ""})).await;
                removed.ok(200);
            }
            "revocation" => {
                let revoked = api.delete(&format!("{path}/key"), admin).await;
                revoked.ok(200);
            }
            _ => drop(api.delete(&path, &bob).await.ok(200)),
        }
        if way == "url" {
            // And nothing of the pauses for the former one is left.
            api.send(&alice, way, json!("new")).await;
            let post = target.next().await;
            assert_eq!(
                (post.path.as_str(), &post.json()["payload"]),
                ("/new", &json!("new"))
            );
        } else {
            let all = api.get("/webhooks", admin).await.text;
            assert!(!all.contains(way), "{all}");
        }
        clock.advance(LONGEST_PAUSE);
        api.send(&alice, "sentinel", json!(1)).await;
        sentinel.next().await;
        target.assert_quiet();
    }
}

#[tokio::test]
async fn what_its_recipient_deleted_is_not_posted_any_more() {
    let (clock, relay, [alice, bob], mut target) = failing(500).await;
    let api = Api::of(&relay);
    let (id, _) = api.send(&alice, "bob", json!(1)).await;
    target.next().await;
    webhook_when(&api, &bob, |shown| shown["lastFailure"]["status"] == 500).await;
    target.answer(Reply::Status(200));
    api.delete(&format!("/messages/{id}"), &bob).await;
    api.send(&alice, "bob", json!(2)).await;
    clock.advance(LONGEST_PAUSE);
    assert_eq!(target.next().await.json()["payload"], 2);
    let shown = webhook_when(&api, &bob, |shown| shown["delivered"] == 1).await;
    assert_eq!((&shown["queued"], &shown["failed"]), (&json!(0), &json!(0)));
    target.assert_quiet();
}

#[tokio::test]
async fn webhooks_are_shown_whole_to_their_agent_and_without_secrets_to_the_admin() {
    let relay = TestRelay::start().await;
    let api = Api::of(&relay);
    let (alice, bob) = (register(&relay, "alice"), register(&relay, "bob"));
    let url = "https://user:password@hooks.example.invalid:8443/path?token=1";
    set_webhook(&api, "bob", &bob, url).await;
    let shown = api.get("/webhooks", &bob).await.ok(200);
    let mut expected = json!({
        "agent": "bob", "target": "https://hooks.example.invalid:8443", "url": url,
        "queued": 0, "delivered": 0, "failed": 0, "skipped": 0,
    });
    assert_eq!(shown, json!({"webhooks": [expected], "total": 1}));
    let foreign = api.get("/webhooks", &alice).await.ok(200);
    assert_eq!(foreign, json!({"webhooks": [], "total": 0}));
    let all = api.get("/webhooks", relay.admin_key()).await.ok(200);
    expected.as_object_mut().unwrap().remove("url");
    assert_eq!(all, json!({"webhooks": [expected], "total": 1}));
    // Those that fail come first.
    register(&relay, "carol");
    let carol = json!({"webhookUrl": "http://127.0.0.1:1/"});
    api.patch("/agents/carol", relay.admin_key(), carol)
        .await
        .ok(200);
    api.send(&alice, "carol", json!(1)).await;
    let first = webhook_when(&api, relay.admin_key(), |shown| shown["agent"] == "carol").await;
    assert_eq!(first["lastFailure"]["reason"], "unreachable");
}

#[tokio::test]
async fn a_target_that_does_not_answer_fails_after_ten_seconds() {
    let relay = TestRelay::start().await;
    let api = Api::of(&relay);
    let (alice, bob) = (register(&relay, "alice"), register(&relay, "bob"));
    let target = Target::start(Reply::Nothing).await;
    set_webhook(&api, "bob", &bob, &target.url).await;
    api.send(&alice, "bob", json!(1)).await;
    let shown = webhook_when(&api, &bob, |shown| !shown["lastFailure"].is_null()).await;
    assert_eq!(shown["lastFailure"]["reason"], "timeout");
}

/// A server that reads a little and then says `answer`, again and again if it is to be endless.
async fn raw(answer: &'static [u8], endless: bool) -> String {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let url = format!("http://{}", listener.local_addr().unwrap());
    tokio::spawn(async move {
        while let Ok((mut stream, _)) = listener.accept().await {
            tokio::spawn(async move {
                let _ = stream.read(&mut [0; 1024]).await;
                while stream.write_all(answer).await.is_ok() && endless {}
            });
        }
    });
    url
}

#[tokio::test]
async fn answers_of_any_kind_end_an_attempt() {
    let relay = TestRelay::start().await;
    let api = Api::of(&relay);
    let (alice, bob) = (register(&relay, "alice"), register(&relay, "bob"));
    for (answer, endless, reason) in [
        (b"junk\r\n\r\n".as_slice(), false, "broken"),
        (b"", false, "broken"),
        (b"HTTP/1.1 200 OK\r\n", false, "broken"),
        (b"HTTP/1.1 999999 OK\r\n\r\n", false, "broken"),
        (
            b"x-filler: xxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxx\r\n",
            true,
            "broken",
        ),
    ] {
        let url = raw(answer, endless).await;
        set_webhook(&api, "bob", &bob, &url).await;
        api.send(&alice, "bob", json!(1)).await;
        let shown = webhook_when(&api, &bob, |shown| !shown["lastFailure"].is_null()).await;
        assert_eq!(
            shown["lastFailure"]["reason"],
            reason,
            "{:?}",
            str::from_utf8(answer)
        );
    }
    // TLS is tried, and what answers is none.
    let url = raw(b"junk\r\n\r\n", false).await.replace("http:", "https:");
    set_webhook(&api, "bob", &bob, &url).await;
    api.send(&alice, "bob", json!(1)).await;
    let shown = webhook_when(&api, &bob, |shown| !shown["lastFailure"].is_null()).await;
    assert_eq!(shown["lastFailure"]["reason"], "unreachable");
    // The status is what counts; of an endless body next to nothing is read.
    let chunk = b"HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\n".as_slice();
    let url = raw(chunk, false).await;
    set_webhook(&api, "bob", &bob, &url).await;
    api.send(&alice, "bob", json!(1)).await;
    webhook_when(&api, &bob, |shown: &Value| shown["delivered"] == 1).await;
}
