//! The web pages: what they consist of and the headers that fence them in.
//!
//! Each page is one self-contained document that loads nothing and sends requests to this relay
//! only. Names, topics and other texts of agents never become markup: the scripts set text alone,
//! the policy admits no script but the page's own, and Trusted Types (W3C) refuse any other way.

use std::sync::LazyLock;

use axum::http::header::{
    CONTENT_SECURITY_POLICY, CONTENT_TYPE, REFERRER_POLICY, X_CONTENT_TYPE_OPTIONS,
};
use axum::response::{IntoResponse, Response};
use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use sha2::{Digest, Sha256};

/// `/`.
pub(crate) static LANDING: LazyLock<Page> = LazyLock::new(|| {
    Page::new(
        include_str!("landing.html"),
        include_str!("base.css"),
        concat!(include_str!("common.js"), include_str!("landing.js")),
    )
});

/// `/signup`.
pub(crate) static SIGNUP: LazyLock<Page> = LazyLock::new(|| {
    Page::new(
        include_str!("signup.html"),
        include_str!("base.css"),
        concat!(include_str!("common.js"), include_str!("signup.js")),
    )
});

/// `/monitor`.
pub(crate) static MONITOR: LazyLock<Page> = LazyLock::new(|| {
    Page::new(
        include_str!("monitor/page.html"),
        concat!(include_str!("base.css"), include_str!("monitor/style.css")),
        concat!(
            include_str!("common.js"),
            include_str!("monitor/text.js"),
            include_str!("monitor/chart.js"),
            include_str!("monitor/feed.js"),
            include_str!("monitor/stream.js"),
            include_str!("monitor/tables.js"),
            include_str!("monitor/session.js"),
        ),
    )
});

/// A document and the policy that admits exactly its own style and script.
pub(crate) struct Page {
    html: String,
    policy: String,
}

impl Page {
    /// Puts what all pages have into the head of `html`, and `style` and `script` into their elements.
    fn new(html: &str, style: &str, script: &str) -> Self {
        let html = html
            .replacen(
                "<!-- what all pages have -->\n",
                include_str!("head.html"),
                1,
            )
            .replacen("<style></style>", &format!("<style>{style}</style>"), 1)
            .replacen(
                "<script></script>",
                &format!("<script>{script}</script>"),
                1,
            );
        let policy = format!(
            "default-src 'none'; script-src '{}'; style-src '{}'; img-src data:; \
             connect-src 'self'; base-uri 'none'; form-action 'none'; frame-ancestors 'none'; \
             require-trusted-types-for 'script'; trusted-types 'none'",
            source(script),
            source(style),
        );
        Self { html, policy }
    }

    /// The answer to whoever asks for it.
    pub(crate) fn respond(&'static self) -> Response {
        let headers = [
            (CONTENT_TYPE, "text/html; charset=utf-8"),
            (CONTENT_SECURITY_POLICY, self.policy.as_str()),
            (X_CONTENT_TYPE_OPTIONS, "nosniff"),
            // The address of `/signup` holds an invite.
            (REFERRER_POLICY, "no-referrer"),
        ];
        (headers, self.html.as_str()).into_response()
    }
}

/// `text` as a source in a policy (Content Security Policy Level 3, section 2.3.1).
fn source(text: &str) -> String {
    format!("sha256-{}", STANDARD.encode(Sha256::digest(text)))
}
