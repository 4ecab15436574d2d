//! `/` and `/signup`.

use ctalk_relay::testing::TestRelay;
use serde_json::json;

use crate::browser::browse;
use crate::support::{get, post, register};

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
