//! Item 46.

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use ctalk_relay::testing::TestRelay;
use sha2::{Digest, Sha256};

use crate::support::Api;

const PAGES: [&str; 4] = ["/", "/signup", "/signup?invite=X", "/monitor"];

/// What stands in the document's one element of this kind.
fn element<'h>(html: &'h str, name: &str) -> &'h str {
    let (_, rest) = html.split_once(&format!("<{name}>")).unwrap();
    let (content, rest) = rest.split_once(&format!("</{name}>")).unwrap();
    assert!(!rest.contains(&format!("<{name}")), "one {name}");
    content
}

#[tokio::test]
async fn item_46_the_pages_need_no_key() {
    let relay = TestRelay::start().await;
    let api = Api::of(&relay);
    for path in PAGES {
        for key in [None, Some("ct_unknown")] {
            let answer = api.call("GET", path, key, None).await;
            assert_eq!(answer.status, 200, "{path}");
            assert_eq!(answer.header("content-type"), "text/html; charset=utf-8");
            assert!(answer.text.starts_with("<!doctype html>"), "{path}");
            assert!(answer.text.trim_end().ends_with("</html>"), "{path}");
            // As on every answer.
            assert_eq!(answer.header("access-control-allow-origin"), "*");
            assert!(answer.header("cache-control").contains("no-store"));
        }
        let answer = api.call("POST", path, None, None).await;
        answer.error(404, "NOT_FOUND");
    }
}

#[tokio::test]
async fn pages_run_their_own_script_and_no_other_and_ask_nobody_but_this_relay() {
    let relay = TestRelay::start().await;
    let api = Api::of(&relay);
    for path in PAGES {
        let page = api.call("GET", path, None, None).await;
        let policy = page.header("content-security-policy");
        let directives: Vec<_> = policy.split("; ").collect();
        let hash = |name| STANDARD.encode(Sha256::digest(element(&page.text, name)));
        for directive in [
            "default-src 'none'",
            &format!("script-src 'sha256-{}'", hash("script")),
            &format!("style-src 'sha256-{}'", hash("style")),
            "connect-src 'self'",
            "base-uri 'none'",
            "form-action 'none'",
            "frame-ancestors 'none'",
            "require-trusted-types-for 'script'",
        ] {
            assert!(directives.contains(&directive), "{directive} in {policy}");
        }
        assert_eq!(page.header("x-content-type-options"), "nosniff");
        assert_eq!(page.header("referrer-policy"), "no-referrer");
    }
}

#[tokio::test]
async fn pages_load_nothing_and_have_no_handlers_or_styles_in_their_markup() {
    let relay = TestRelay::start().await;
    let api = Api::of(&relay);
    for path in PAGES {
        let page = api.call("GET", path, None, None).await.text;
        let (style, script) = (element(&page, "style"), element(&page, "script"));
        for word in ["innerHTML", "outerHTML", "insertAdjacentHTML", "eval("] {
            assert!(!script.contains(word), "{path}: {word}");
        }
        for word in ["@import", "url("] {
            assert!(!style.contains(word), "{path}: {word}");
        }
        let markup = page.replacen(style, "", 1).replacen(script, "", 1);
        for tag in markup.split('<').skip(1) {
            let (tag, _) = tag.split_once('>').unwrap();
            for attribute in tag.split_whitespace().skip(1) {
                let Some((name, value)) = attribute.split_once('=') else {
                    continue;
                };
                assert!(!name.starts_with("on"), "{path}: {tag}");
                assert!(!["src", "style", "action"].contains(&name), "{path}: {tag}");
                let value = value.trim_matches('"');
                let stays = !value.contains("//") || value.starts_with("data:");
                assert!(name != "href" || stays, "{path}: {tag}");
            }
        }
    }
}
