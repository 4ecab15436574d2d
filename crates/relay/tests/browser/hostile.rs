//! Texts that want to be more than text.

use ctalk_relay::testing::TestRelay;
use serde_json::{Value, json};

use crate::browser::browse;
use crate::support::register;

/// Markup, script, broken-out attributes, templates, and characters that reorder or hide.
const TEXTS: [&str; 7] = [
    "<img src=x onerror=window.ran=1>",
    "</td></table><script>window.ran=1</script>",
    "\" onmouseover=\"window.ran=1\" autofocus onfocus=\"window.ran=1",
    "javascript:window.ran=1",
    "${window.ran=1}{{constructor.constructor('window.ran=1')()}}",
    "<svg/onload=window.ran=1>",
    "evil\u{202e}gpj.exe\u{200b}\u{0007}\u{2028}\u{e0041}",
];

#[tokio::test]
async fn hostile_names_and_topics_are_shown_as_text_and_run_nothing() {
    let relay = TestRelay::start().await;
    let alice = register(&relay, "alice");
    for text in TEXTS {
        register(&relay, text);
        relay.set_agent_capabilities(text, &[text]);
    }
    // Members that no honest relay relays like this.
    let strange = [
        json!({"x": TEXTS[0]}),
        json!([TEXTS[1]]),
        json!(5),
        Value::Null,
    ];
    let long = "\u{1f600}".repeat(5000);
    let texts = TEXTS.iter().map(|text| json!(text));
    for (number, text) in texts.chain(strange).chain([json!(long)]).enumerate() {
        let message = json!({
            "id": format!("{number} {text}"), "from": text, "to": text, "type": text, "topic": text,
            "encrypted": text, "payload": text, "signature": text, "ts": text,
        });
        relay.inject("alice", &message.to_string());
    }
    relay.inject("alice", "[\"not an object\"]");
    relay.inject("alice", "{}");
    browse(async |tab| {
        tab.open(&format!("{}/monitor", relay.url())).await;
        let elements = "document.querySelectorAll('img, script, svg, a, [onmouseover]').length";
        let before = tab.value(elements).await;
        for key in [relay.admin_key(), &alice] {
            tab.click("#key").await;
            tab.keys(format!("{key}\u{e007}")).await;
            tab.until_text("#connection", "Live").await;
            let rows = "document.querySelectorAll('#feed tbody tr').length";
            tab.until(&format!("{rows} >= {}", TEXTS.len() + 6)).await;
            // The topics are listed when the tables are read again.
            tab.value("refreshTables(current).then(() => { window.again = true; })").await;
            tab.until("window.again").await;
            let feed = tab.text("#feed").await;
            let channels = tab.text("#channels").await;
            for text in &TEXTS[..6] {
                assert!(feed.contains(text), "{text}: {feed}");
                assert!(channels.contains(text), "{text}: {channels}");
            }
            let spelled = r"evil\u{202e}gpj.exe\u{200b}\u{7}\u{2028}\u{e0041}";
            assert!(feed.contains(spelled), "{feed}");
            assert!(!feed.contains(['\u{202e}', '\u{200b}', '\u{2028}']), "{feed}");
            let longest = tab.value(
                "Math.max(...Array.from(document.querySelectorAll('#feed td'), it => it.innerText.length))",
            );
            assert!(longest.await.as_u64().unwrap() < 300);
            if key == alice {
                let agents = tab.text("#agents").await;
                assert!(TEXTS[..6].iter().all(|text| agents.contains(text)), "{agents}");
            }
            tab.value("document.querySelectorAll('td, th, bdi').forEach(it => it.click())").await;
            assert_eq!(tab.value("window.ran ?? null").await, json!(null));
            assert_eq!(tab.value(elements).await, before, "no element came with them");
            tab.click("#forget").await;
        }
        let log = tab.complaints().await;
        assert!(log.is_empty(), "{log:?}");
    })
    .await;
}
