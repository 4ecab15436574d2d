//! Pictures of the pages, which `cargo xtask screenshots` keeps in `docs/images`.

use std::path::PathBuf;
use std::time::Duration;

use axum::Router;
use axum::http::StatusCode;
use ctalk_relay::ManualClock;
use ctalk_relay::testing::TestRelay;
use serde_json::{Value, json};
use tokio::net::TcpListener;

use crate::browser::browse;
use crate::support::{get, http, post, register, send};

const NAMES: [&str; 6] = ["atlas", "birch", "cedar", "delta", "ember", "fjord"];

/// Has what these agents get posted, of the first to what takes it and of the second to where no webhook may lead.
async fn set_webhooks(relay: &TestRelay, takes: (&str, &str), refused: (&str, &str)) {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let target = format!("http://{}", listener.local_addr().unwrap());
    let taking = Router::new().fallback(async || StatusCode::NO_CONTENT);
    tokio::spawn(async { axum::serve(listener, taking).await });
    for ((name, key), url) in [(takes, target.as_str()), (refused, "http://10.1.2.3")] {
        let patch = http().patch(format!("{}/agents/{name}", relay.url()));
        let patch = patch.bearer_auth(key).json(&json!({"webhookUrl": url}));
        patch.send().await.unwrap().error_for_status().unwrap();
    }
}

/// Waits until what was taken is all that can be.
async fn until_posted(relay: &TestRelay) {
    loop {
        let shown = get(relay, "/webhooks", relay.admin_key()).await;
        let shown: Value = shown.json().await.unwrap();
        let mut webhooks = shown["webhooks"].as_array().unwrap().iter();
        if webhooks.any(|it| it["queued"] == 0) {
            return;
        }
    }
}

/// Passes time and sends a few messages.
async fn pass_time(relay: &TestRelay, clock: &ManualClock, keys: &[String], number: usize) {
    let topics = ["sync", "task", "alert", "review", ""];
    for message in 0..(number * number * 7 + number * 3) % 23 % 8 {
        let turn = number * 5 + message;
        let (from, to) = (turn * 7 % 4, (turn * 3 + 1) % 5);
        let payload = "c2VhbGVk".repeat(20 + turn * 13 % 150);
        let topic = topics[turn * 3 % 5];
        if turn.is_multiple_of(11) {
            let plain = json!({
                "to": NAMES[to], "type": "notification", "encrypted": false, "topic": topic,
                "payload": {"text": "done"},
            });
            post(relay, "/messages", &keys[from], plain).await;
        } else {
            send(relay, &keys[from], NAMES[to], topic, &payload).await;
        }
    }
    clock.advance(Duration::from_secs(10));
}

#[tokio::test]
#[ignore = "writes files; `cargo xtask screenshots` runs it"]
async fn pictures_of_the_pages() {
    let folder = PathBuf::from(std::env::var_os("CTALK_SCREENSHOTS").unwrap());
    let clock = ManualClock::new(1_774_094_400_000);
    let relay = TestRelay::builder().clock(clock.clone()).start().await;
    let keys = NAMES.map(|name| register(&relay, name));
    set_webhooks(&relay, ("ember", &keys[4]), ("birch", &keys[1])).await;
    clock.advance(Duration::from_secs(3600));
    browse(async |tab| {
        for width in [390, 1280] {
            for scheme in ["light", "dark"] {
                for page in ["landing", "signup", "monitor"] {
                    tab.show_on(width, 844, scheme).await;
                    let path = if page == "landing" { "" } else { page };
                    tab.open(&format!("{}/{path}", relay.url())).await;
                    if page == "landing" {
                        tab.until_text("#health", "Running").await;
                    }
                    if page == "monitor" {
                        tab.click("#key").await;
                        tab.keys(format!("{}\u{e007}", relay.admin_key())).await;
                        tab.until_text("#connection", "Live").await;
                        // The page's own seconds, at the speed of the relay's clock.
                        for number in 0..45 {
                            pass_time(&relay, &clock, &keys, number).await;
                            tab.value("refreshHealth(current).then(() => noteWatching(true))")
                                .await;
                        }
                        until_posted(&relay).await;
                        tab.value("refreshTables(current).then(drawChart)").await;
                        tab.value("document.activeElement.blur(), scrollTo(0, 0)")
                            .await;
                    }
                    let height = tab.value("document.documentElement.scrollHeight").await;
                    let height = height.as_u64().unwrap().try_into().unwrap();
                    tab.show_on(width, height, scheme).await;
                    let name = format!("{page}-{width}-{scheme}.png");
                    tab.screenshot(&folder.join(name)).await;
                }
            }
        }
    })
    .await;
}
