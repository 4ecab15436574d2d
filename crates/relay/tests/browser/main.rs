//! The web pages in a real browser: Chromium, driven over WebDriver.
//!
//! Needs `chromium` and `chromedriver`; without them the tests say so and pass, except where `CI` is
//! set.
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::indexing_slicing,
    clippy::panic,
    reason = "tests fail by panicking"
)]

mod browser;
mod hostile;
mod monitor;
mod screenshots;
mod signup;
mod support;
