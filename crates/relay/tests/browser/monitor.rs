//! `/monitor`.

use ctalk_relay::testing::TestRelay;
use serde_json::json;

use crate::browser::{Tab, browse};
use crate::support::{post, register, send};

async fn connect(tab: &Tab, relay: &TestRelay, key: &str) {
    tab.open(&format!("{}/monitor", relay.url())).await;
    tab.click("#key").await;
    tab.keys(format!("{key}\u{e007}")).await;
    tab.until_text("#connection", "Live").await;
}

async fn assert_quiet(tab: &Tab) {
    let log = tab.complaints().await;
    assert!(log.is_empty(), "{log:?}");
}

#[tokio::test]
async fn a_message_is_shown_when_it_is_sent_without_its_payload() {
    let relay = TestRelay::start().await;
    let (alice, bob) = (register(&relay, "alice"), register(&relay, "bob"));
    send(&relay, &alice, "bob", "before", "c2VjcmV0LXBheWxvYWQ=").await;
    browse(async |tab| {
        connect(tab, &relay, relay.admin_key()).await;
        tab.until_text("#feed tbody", "before").await;
        for (key, to, topic) in [(&alice, "bob", "first"), (&bob, "alice", "second")] {
            send(&relay, key, to, topic, "c2VjcmV0LXBheWxvYWQ=").await;
            tab.until_text("#feed tbody tr:first-child", topic).await;
        }
        let row = tab.text("#feed tbody tr:first-child").await;
        for shown in ["bob", "alice", "request", "encrypted, signed", " B"] {
            assert!(row.contains(shown), "{shown} in {row}");
        }
        let page = tab.value("document.documentElement.outerHTML").await;
        assert!(
            !page.as_str().unwrap().contains("c2VjcmV0"),
            "a payload is shown"
        );
        tab.until("document.getElementById('chart').ariaLabel.includes(': 3,')")
            .await;
        tab.until_text("#per-minute", "3").await;

        tab.click("#pause").await;
        send(&relay, &alice, "bob", "third", "x").await;
        tab.until_text("#feed-note", "Paused; 1 came meanwhile")
            .await;
        assert!(!tab.text("#feed tbody").await.contains("third"));
        tab.click("#pause").await;
        tab.until_text("#feed tbody tr:first-child", "third").await;
        tab.click("#filter").await;
        tab.keys("SECOND").await;
        tab.until_text("#feed-note", "1 of 4 fit the filter").await;
        assert_quiet(tab).await;
    })
    .await;
}

#[tokio::test]
async fn an_agent_sees_its_own_messages_and_the_feed_keeps_a_bounded_number() {
    let relay = TestRelay::start().await;
    let (alice, bob) = (register(&relay, "alice"), register(&relay, "bob"));
    send(&relay, &alice, "bob", "for-bob", "x").await;
    browse(async |tab| {
        connect(tab, &relay, &alice).await;
        let topics: Vec<_> = (0..230).map(|number| format!("topic-{number}.")).collect();
        for topics in topics.chunks(100) {
            let messages: Vec<_> = topics
                .iter()
                .map(|topic| {
                    json!({
                        "to": "alice", "type": "request", "encrypted": true, "payload": "x",
                        "topic": topic,
                    })
                })
                .collect();
            let batch = json!({"messages": messages});
            post(&relay, "/messages/batch", &bob, batch).await;
        }
        tab.until_text("#feed tbody tr:first-child", "topic-229.")
            .await;
        let rows = tab
            .value("document.querySelectorAll('#feed tbody tr').length")
            .await;
        assert_eq!(rows, 200);
        let feed = tab.text("#feed tbody").await;
        assert!(
            feed.contains("topic-30.") && !feed.contains("topic-29."),
            "{feed}"
        );
        assert!(!feed.contains("for-bob"), "{feed}");
        tab.until_text("#agents", "bob").await;
        assert_quiet(tab).await;
    })
    .await;
}

#[tokio::test]
async fn an_operators_key_that_looks_like_an_agents_shows_everybodys_traffic() {
    let relay = TestRelay::builder().admin_key("ct_operator").start().await;
    let alice = register(&relay, "alice");
    browse(async |tab| {
        for (key, title) in [
            (relay.admin_key(), "Everybody's traffic"),
            (&alice, "One agent's traffic"),
        ] {
            connect(tab, &relay, key).await;
            assert_eq!(tab.text("#board-title").await, title);
            send(&relay, &alice, "alice", "topic", "x").await;
            tab.until_text("#feed tbody tr:first-child", "topic").await;
            tab.click("#forget").await;
        }
        assert_quiet(tab).await;
    })
    .await;
}

#[tokio::test]
async fn an_operator_who_may_not_see_messages_is_told_so_and_sees_who_is_there() {
    let relay = TestRelay::builder().admin_view(false).start().await;
    register(&relay, "alice");
    browse(async |tab| {
        tab.open(&format!("{}/monitor", relay.url())).await;
        tab.click("#key").await;
        tab.keys(format!("{}\u{e007}", relay.admin_key())).await;
        tab.until_text("#connection", "does not show messages to its operator")
            .await;
        tab.until_text("#agents", "alice").await;
        assert_quiet(tab).await;
    })
    .await;
}

#[tokio::test]
async fn an_interrupted_feed_says_so_and_goes_on_with_what_came_meanwhile() {
    let mut relay = TestRelay::start().await;
    let (alice, bob) = (register(&relay, "alice"), register(&relay, "bob"));
    browse(async |tab| {
        for key in [relay.admin_key().to_owned(), bob.clone()] {
            connect(tab, &relay, &key).await;
            send(&relay, &alice, "bob", "before", "x").await;
            tab.until_text("#feed tbody", "before").await;
            relay.stop();
            tab.until_text("#connection", "Interrupted").await;
            relay.restart();
            send(&relay, &alice, "bob", "meanwhile", "x").await;
            tab.until_text("#connection", "Live").await;
            tab.until_text("#feed tbody", "meanwhile").await;
            send(&relay, &alice, "bob", "after", "x").await;
            tab.until_text("#feed tbody", "after").await;
            let twice = "rows.length - new Set(rows.map(row => row.key)).size";
            assert_eq!(tab.value(twice).await, 0, "none is shown twice");
            tab.click("#forget").await;
        }
        // A key that ends, ends it.
        connect(tab, &relay, &bob).await;
        relay_forgets(&relay, "bob").await;
        tab.until_text("#problem", "does not know this key any more")
            .await;
        assert_eq!(
            tab.value("document.querySelectorAll('#feed tbody tr').length")
                .await,
            0
        );
        assert_quiet(tab).await;
    })
    .await;
}

async fn relay_forgets(relay: &TestRelay, name: &str) {
    let url = format!("{}/agents/{name}/key", relay.url());
    let revoked = crate::support::http()
        .delete(url)
        .bearer_auth(relay.admin_key());
    assert_eq!(revoked.send().await.unwrap().status(), 200);
}

#[tokio::test]
async fn webhooks_are_shown_with_what_fails_and_said_to_be_missing_where_there_are_none() {
    let relay = TestRelay::start().await;
    let used = json!({
        "agent": "alice", "target": "https://hooks.example.org", "queued": 0, "delivered": 1040,
        "failed": 0, "skipped": 0, "lastDelivered": "2026-03-21T10:12:00.000Z",
        "lastFailure": {"ts": "2026-03-21T10:11:00.000Z", "reason": "timeout"},
    });
    let mut failing = used.clone();
    failing["agent"] = json!("<b>bob</b>");
    failing["queued"] = json!(7);
    failing["failed"] = json!(2);
    failing["skipped"] = json!(3);
    failing["lastFailure"] = json!({
        "ts": "2026-03-21T10:13:00.000Z", "reason": "answer", "status": 503,
    });
    let unused = json!({
        "agent": "carol", "target": "http://10.0.0.1", "queued": 0, "delivered": 0, "failed": 0,
        "skipped": 0,
    });
    let answer = json!({"webhooks": [failing, used, unused], "total": 1200});
    browse(async |tab| {
        connect(tab, &relay, relay.admin_key()).await;
        // The page itself has asked for them by now, and does not come in between.
        tab.until("document.getElementById('webhooks-note').innerText !== ''")
            .await;
        let shown = "[Array.from(document.getElementById('webhooks').tBodies[0].rows)
            .map(row => Array.from(row.cells, cell => cell.textContent)),
            document.getElementById('webhooks').hidden,
            document.getElementById('webhooks-note').textContent]";
        let rows = json!([
            [
                "<b>bob</b>",
                "https://hooks.example.org",
                "failing: answer 503",
                "7",
                "1,040",
                "5"
            ],
            [
                "alice",
                "https://hooks.example.org",
                "works",
                "0",
                "1,040",
                "0"
            ],
            ["carol", "http://10.0.0.1", "not used yet", "0", "0", "0"],
        ]);
        let now = tab
            .value(&format!("(showWebhooks({answer}), {shown})"))
            .await;
        assert_eq!(now, json!([rows, false, "3 of 1,200 are shown."]));
        let refresh = "refreshTable(current, 'webhooks', 'nowhere', showWebhooks)";
        let now = tab.value(&format!("{refresh}.then(() => {shown})")).await;
        assert_eq!(now, json!([rows, true, "Not offered by this relay."]));
        assert_quiet(tab).await;
    })
    .await;
}

#[tokio::test]
async fn a_key_is_kept_only_where_and_as_long_as_the_user_asks() {
    let relay = TestRelay::start().await;
    let key = relay.admin_key().to_owned();
    let stored = "Object.values(localStorage).concat(Object.values(sessionStorage))";
    let entry = "!document.getElementById('entry').hidden";
    browse(async |tab| {
        connect(tab, &relay, &key).await;
        assert_eq!(tab.value(stored).await, json!([]));
        assert_eq!(tab.value("document.getElementById('key').value").await, "");
        tab.reload().await;
        assert_eq!(tab.value(entry).await, true);
        for (option, place) in [("tab", "sessionStorage"), ("browser", "localStorage")] {
            let choose = format!("document.getElementById('keep').value = '{option}'");
            tab.value(&choose).await;
            tab.click("#key").await;
            tab.keys(format!("{key}\u{e007}")).await;
            tab.until_text("#connection", "Live").await;
            assert_eq!(tab.value(&format!("{place}.length")).await, 1);
            tab.reload().await;
            tab.until_text("#connection", "Live").await;
            tab.click("#forget").await;
            assert_eq!(tab.value(stored).await, json!([]));
            assert_eq!(tab.value("document.activeElement.id").await, "key");
            tab.reload().await;
            assert_eq!(tab.value(entry).await, true);
        }
        tab.click("#key").await;
        tab.keys("ct_wrong\u{e007}").await;
        tab.until_text("#problem", "does not know this key").await;
        assert_quiet(tab).await;
    })
    .await;
}

#[tokio::test]
async fn everything_is_reached_by_keyboard_with_the_focus_in_sight() {
    let relay = TestRelay::start().await;
    let alice = register(&relay, "alice");
    send(&relay, &alice, "alice", "topic", "x").await;
    let focus = "(() => {
        const it = document.activeElement, style = getComputedStyle(it);
        return [it.id || it.getAttribute('aria-labelledby') || it.innerText,
                style.outlineStyle !== 'none' || it === document.body];
    })()";
    browse(async |tab| {
        tab.open(&format!("{}/monitor", relay.url())).await;
        // Skip link, brand, two pages, then the form.
        tab.keys("\u{e004}").await;
        assert_eq!(tab.value(focus).await, json!(["Skip to the content", true]));
        tab.keys("\u{e004}".repeat(4)).await;
        assert_eq!(tab.value(focus).await, json!(["key", true]));
        tab.keys(format!("{alice}\u{e007}")).await;
        tab.until_text("#connection", "Live").await;
        tab.until("document.activeElement.id === 'board-title'")
            .await;
        let mut reached = Vec::new();
        for _ in 0..8 {
            tab.keys("\u{e004}").await;
            let at = tab.value(focus).await;
            assert_eq!(at[1], true, "the focus on {at} is in sight");
            reached.push(at[0].as_str().unwrap().to_owned());
        }
        let all = [
            "forget",
            "pause",
            "filter",
            "feed-title",
            "agents-title",
            "channels-title",
            "webhooks-title",
        ];
        assert_eq!(reached[..7], all, "in reading order");
        assert!(
            !all.contains(&reached[7].as_str()),
            "nothing holds the focus: {reached:?}"
        );
        tab.value("document.getElementById('board-title').focus()")
            .await;
        tab.keys("\u{e004}\u{e007}").await;
        tab.until_text("#connection", "No key").await;
        assert_quiet(tab).await;
    })
    .await;
}

#[tokio::test]
async fn pages_fit_narrow_screens_and_have_names_for_everything() {
    let relay = TestRelay::start().await;
    let alice = register(&relay, "alice");
    send(&relay, &alice, "alice", &"long-topic-".repeat(20), "x").await;
    let nameless = "Array.from(document.querySelectorAll('input, select, button, a, table, [role=region]'))
        .filter(it => !(it.labels?.length || it.innerText?.trim() || it.getAttribute('aria-labelledby')
            || it.closest('[aria-labelledby]')))
        .map(it => it.outerHTML)";
    let cut = "Array.from(document.querySelectorAll('pre, .scroll, .status'))
        .filter(it => it.scrollWidth > it.clientWidth || it.matches('table .status') && it.offsetHeight > 30)
        .map(it => it.outerHTML)";
    let webhooks = json!({"total": 1, "webhooks": [{
        "agent": "alice", "target": "https://hooks.example.org", "queued": 10_000, "delivered": 1_000_000,
        "failed": 1000, "skipped": 0,
        "lastFailure": {"ts": "2026-03-21T10:13:00.000Z", "reason": "answer", "status": 503},
    }]});
    let landmarks = "['header', 'nav[aria-label]', 'main', 'h1', 'html[lang]', 'title']
        .filter(it => document.querySelector(it) === null)";
    browse(async |tab| {
        for width in [320, 390, 1280] {
            tab.show_on(width, 800, "light").await;
            for path in ["/", "/signup", "/monitor"] {
                tab.open(&format!("{}{path}", relay.url())).await;
                if path == "/monitor" {
                    connect(tab, &relay, &alice).await;
                    tab.until_text("#feed tbody", "long-topic").await;
                    tab.until("document.getElementById('webhooks-note').innerText !== ''")
                        .await;
                    tab.value(&format!("showWebhooks({webhooks})")).await;
                }
                let wide = tab.value("document.documentElement.scrollWidth").await;
                assert!(
                    wide.as_u64().unwrap() <= width.into(),
                    "{path} at {width}: {wide}"
                );
                // What is narrower yet may have tables that are scrolled.
                if width >= 390 {
                    assert_eq!(tab.value(cut).await, json!([]), "{path} at {width}");
                }
                assert_eq!(tab.value(nameless).await, json!([]), "{path}");
                assert_eq!(tab.value(landmarks).await, json!([]), "{path}");
            }
        }
        assert_quiet(tab).await;
    })
    .await;
}
