//! `/` and `/signup`.

use axum::Router;
use axum::body::Bytes;
use axum::http::HeaderMap;
use ctalk_relay::testing::TestRelay;
use ctalk_wire::WebhookSecret;
use serde_json::json;
use tokio::net::TcpListener;
use tokio::sync::mpsc;

use crate::browser::browse;
use crate::support::{get, post, register, send};

#[tokio::test]
async fn an_invite_leads_to_an_agent_whose_key_is_shown_once() {
    let relay = TestRelay::start().await;
    register(&relay, "taken");
    let invite = json!({"maxUses": 1});
    let invite = post(&relay, "/invites", relay.admin_key(), invite).await;
    browse(async |tab| {
        tab.open(&relay.url()).await;
        tab.until_text("#health", "Running, 1 agent").await;
        tab.open(invite["url"].as_str().unwrap()).await;
        let field = "document.getElementById('invite')";
        assert_eq!(tab.value(&format!("{field}.value")).await, invite["code"]);
        assert_eq!(tab.value(&format!("{field}.readOnly")).await, true);

        tab.click("#name").await;
        tab.keys("taken\u{e007}").await;
        tab.until_text("#problem", "the name is taken").await;
        assert_eq!(tab.complaints().await.len(), 0);

        // By keyboard alone, from the field to the key.
        tab.value("document.getElementById('name').select()").await;
        tab.keys("new-agent\u{e007}").await;
        tab.until_text("#done-title", "new-agent is registered")
            .await;
        assert_eq!(tab.value("document.activeElement.id").await, "done-title");
        let key = tab.text("#key").await;
        assert!(key.starts_with("ct_") && key.len() == 46, "{key}");
        assert_eq!(get(&relay, "/agents/new-agent", &key).await.status(), 200);
        let setup = tab.text("#setup").await;
        assert!(
            setup.contains(&relay.url()) && setup.contains(&key),
            "{setup}"
        );
        assert_eq!(
            tab.value("localStorage.length + sessionStorage.length")
                .await,
            0
        );

        tab.reload().await;
        let page = tab.value("document.documentElement.outerHTML").await;
        assert!(
            !page.as_str().unwrap().contains(&key),
            "the key is shown again"
        );
        tab.click("#name").await;
        tab.keys("another\u{e007}").await;
        tab.until_text("#problem", "the invite is used up").await;
        let log = tab.complaints().await;
        assert!(log.is_empty(), "{log:?}");
    })
    .await;
}

/// Where a webhook may lead, and what the next request to it is: headers and body.
async fn target() -> (String, mpsc::Receiver<(HeaderMap, Bytes)>) {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let url = format!("http://{}/", listener.local_addr().unwrap());
    let (posted, posts) = mpsc::channel(1);
    let take = async move |headers: HeaderMap, body: Bytes| {
        posted.send((headers, body)).await.unwrap();
    };
    let app = Router::new().fallback(take);
    tokio::spawn(async { axum::serve(listener, app).await });
    (url, posts)
}

#[tokio::test]
async fn a_webhooks_secret_is_shown_once_and_is_what_signs() {
    let relay = TestRelay::start().await;
    let alice = register(&relay, "alice");
    let invite = post(&relay, "/invites", relay.admin_key(), json!({})).await;
    let (url, mut posts) = target().await;
    browse(async |tab| {
        let hidden = "document.getElementById('webhook-part').checkVisibility() === false";
        tab.open(invite["url"].as_str().unwrap()).await;
        tab.click("#name").await;
        tab.keys("without\u{e007}").await;
        tab.until_text("#done-title", "without is registered").await;
        assert_eq!(tab.value(hidden).await, true);

        tab.open(invite["url"].as_str().unwrap()).await;
        tab.click("#name").await;
        tab.keys("with").await;
        tab.click("#webhook").await;
        tab.keys(format!("{url}\u{e007}")).await;
        tab.until_text("#done-title", "with is registered").await;
        let secret = tab.text("#secret").await;
        let signing: WebhookSecret = secret.parse().unwrap();
        send(&relay, &alice, "with", "topic", "x").await;
        let (headers, body) = posts.recv().await.unwrap();
        let header = |name: &str| headers[name].to_str().unwrap();
        let timestamp = header("webhook-timestamp").parse().unwrap();
        let (id, signature) = (header("webhook-id"), header("webhook-signature"));
        assert!(signing.verifies(signature, id, timestamp, &body));

        let kept = "localStorage.length + sessionStorage.length";
        assert_eq!(tab.value(kept).await, 0);
        tab.reload().await;
        let page = tab.value("document.documentElement.outerHTML").await;
        assert!(
            !page.as_str().unwrap().contains(&secret),
            "the secret is shown again"
        );
        let log = tab.complaints().await;
        assert!(log.is_empty(), "{log:?}");
    })
    .await;
}

#[tokio::test]
async fn nothing_that_a_page_is_made_to_write_becomes_markup_or_script() {
    let relay = TestRelay::start().await;
    browse(async |tab| {
        for path in [
            "/",
            "/signup?invite=\"><script>window.ran=1</script>",
            "/monitor",
        ] {
            tab.open(&format!("{}{path}", relay.url())).await;
            let log = tab.complaints().await;
            assert!(log.is_empty(), "{path}: {log:?}");
            // As a defect of the page's own script would.
            for attempt in [
                "document.body.innerHTML = '<img src=x onerror=\"window.ran=1\">'",
                "document.body.setAttribute('onclick', 'window.ran=1'), document.body.click()",
                "document.body.appendChild(Object.assign(document.createElement('script'), \
                 {text: 'window.ran=1'}))",
                "document.body.appendChild(document.createElement('script'))\
                 .append('window.ran=1')",
            ] {
                let attempted = format!("(() => {{ try {{ {attempt} }} catch {{}} }})()");
                tab.value(&attempted).await;
            }
            tab.until("document.readyState === 'complete'").await;
            assert_eq!(tab.value("window.ran ?? null").await, json!(null), "{path}");
            let log = tab.complaints().await;
            assert!(log.len() >= 4, "the policy was not asked: {log:?}");
        }
    })
    .await;
}
