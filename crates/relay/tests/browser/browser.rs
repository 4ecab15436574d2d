//! A browser of its own for each test, which leaves nothing behind.

use std::fs;
use std::panic::{AssertUnwindSafe, resume_unwind};
use std::path::Path;
use std::process::{Command as Probe, Stdio};
use std::time::Duration;

use futures_util::FutureExt;
use serde_json::{Value, json};
use tempfile::TempDir;
use thirtyfour::prelude::*;
use thirtyfour::{BrowserLogEntry, ChromiumLikeCapabilities, LoggingPrefsLogLevel};
use tokio::io::{AsyncBufReadExt, BufReader};
use tokio::process::{Child, Command};
use tokio::time::{Instant, timeout};

use crate::support::http;

/// Far longer than anything here takes.
const PATIENCE: Duration = Duration::from_secs(60);
/// What keeps the browser to itself and to this machine.
const FLAGS: [&str; 9] = [
    "--headless",
    "--no-sandbox",
    "--disable-gpu",
    "--disable-quic",
    "--no-first-run",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
    "--lang=en",
];

/// One tab.
pub(crate) struct Tab(WebDriver);

/// Runs `test` in a new browser with an empty profile, then makes sure that nothing of it is left.
pub(crate) async fn browse(test: impl AsyncFnOnce(&Tab)) {
    for program in ["chromium", "chromedriver"] {
        let probe = Probe::new(program).arg("--version").output();
        if !probe.is_ok_and(|output| output.status.success()) {
            assert!(std::env::var_os("CI").is_none(), "{program} is missing");
            eprintln!("SKIPPED: {program} is missing");
            return;
        }
    }
    let home = tempfile::tempdir().unwrap();
    let mut driver = start_driver(&home);
    let outcome = AssertUnwindSafe(in_session(&mut driver, &home, test))
        .catch_unwind()
        .await;
    // The browser's last processes may still be ending.
    let gone = driver.kill().await.is_ok() && until_gone(home.path()).await;
    if !gone {
        kill(&processes_of(home.path()));
    }
    if let Err(panic) = outcome {
        resume_unwind(panic);
    }
    assert!(gone, "the browser was left behind");
}

fn start_driver(home: &TempDir) -> Child {
    Command::new("chromedriver")
        .arg("--port=0")
        .env("HOME", home.path())
        .env("TMPDIR", home.path())
        .stdout(Stdio::piped())
        .kill_on_drop(true)
        .spawn()
        .unwrap()
}

async fn in_session(driver: &mut Child, home: &TempDir, test: impl AsyncFnOnce(&Tab)) {
    let port = timeout(PATIENCE, port_of(driver)).await.unwrap();
    let mut wanted = DesiredCapabilities::chrome();
    for flag in FLAGS {
        wanted.add_arg(flag).unwrap();
    }
    let profile = home.path().join("profile");
    wanted
        .add_arg(&format!("--user-data-dir={}", profile.display()))
        .unwrap();
    wanted
        .set_browser_log_level(LoggingPrefsLogLevel::All)
        .unwrap();
    let session = WebDriver::builder(format!("http://127.0.0.1:{port}"), wanted).client(http());
    let tab = Tab(session.await.unwrap());
    tab.0.set_script_timeout(PATIENCE).await.unwrap();
    let outcome = AssertUnwindSafe(test(&tab)).catch_unwind().await;
    if outcome.is_err() {
        eprintln!("the browser's log: {:#?}", tab.0.browser_log().await);
    }
    tab.0.quit().await.unwrap();
    if let Err(panic) = outcome {
        resume_unwind(panic);
    }
}

/// The port that the driver took, which it prints.
async fn port_of(driver: &mut Child) -> u16 {
    let mut lines = BufReader::new(driver.stdout.take().unwrap()).lines();
    while let Some(line) = lines.next_line().await.unwrap() {
        if let Some((_, port)) = line.split_once("started successfully on port ") {
            // The driver goes on printing, to nobody.
            tokio::spawn(async move { while let Ok(Some(_)) = lines.next_line().await {} });
            return port.trim_end_matches('.').parse().unwrap();
        }
    }
    panic!("chromedriver did not start");
}

/// The processes that were started with `home` as their home.
fn processes_of(home: &Path) -> Vec<String> {
    let variable = format!("HOME={}", home.display());
    let mut found = Vec::new();
    for process in fs::read_dir("/proc").unwrap().flatten() {
        // It may end meanwhile, and zombies have no variables.
        let variables = fs::read(process.path().join("environ")).unwrap_or_default();
        if variables
            .split(|byte| *byte == 0)
            .any(|it| it == variable.as_bytes())
        {
            found.push(process.file_name().into_string().unwrap());
        }
    }
    found
}

async fn until_gone(home: &Path) -> bool {
    let deadline = Instant::now() + PATIENCE;
    while !processes_of(home).is_empty() {
        if Instant::now() > deadline {
            return false;
        }
        tokio::task::yield_now().await;
    }
    true
}

fn kill(processes: &[String]) {
    // One that has ended meanwhile is none the less gone.
    let _ = Probe::new("kill").arg("-9").args(processes).status();
}

impl Tab {
    pub(crate) async fn open(&self, url: &str) {
        self.0.goto(url).await.unwrap();
    }

    pub(crate) async fn reload(&self) {
        self.0.refresh().await.unwrap();
    }

    /// The value of a JavaScript expression.
    pub(crate) async fn value(&self, expression: &str) -> Value {
        let script = format!("return ({expression});");
        let value = self.0.execute(&script, Vec::new()).await.unwrap();
        value.json().clone()
    }

    /// The text of the first element of this kind.
    pub(crate) async fn text(&self, css: &str) -> String {
        let element = self.0.find(By::Css(css)).await.unwrap();
        element.text().await.unwrap()
    }

    /// Waits until a JavaScript expression is true.
    pub(crate) async fn until(&self, expression: &str) {
        let script = format!(
            "const done = arguments[arguments.length - 1];
             const look = () => ({expression}) ? done() : requestAnimationFrame(look);
             look();"
        );
        let waited = self.0.execute_async(&script, Vec::new()).await;
        if let Err(error) = waited {
            let page = self.value("document.body.innerText").await;
            panic!(
                "{expression}: {error}; the page:\n{}",
                page.as_str().unwrap()
            );
        }
    }

    /// Waits until the element's text contains `text`.
    pub(crate) async fn until_text(&self, css: &str, text: &str) {
        let (css, text) = (json!(css), json!(text));
        self.until(&format!(
            "document.querySelector({css})?.innerText.includes({text})"
        ))
        .await;
    }

    pub(crate) async fn click(&self, css: &str) {
        let element = self.0.find(By::Css(css)).await.unwrap();
        element.click().await.unwrap();
    }

    /// Types into whatever has the focus.
    pub(crate) async fn keys(&self, keys: impl AsRef<str>) {
        let typing = self.0.action_chain().send_keys(keys.as_ref());
        typing.perform().await.unwrap();
    }

    /// Shows the page on a screen of this width, in CSS pixels, and scheme, `light` or `dark`.
    pub(crate) async fn show_on(&self, width: u32, height: u32, scheme: &str) {
        let screen = json!({
            "width": width, "height": height, "deviceScaleFactor": 1, "mobile": false,
        });
        let media = json!({
            "features": [
                {"name": "prefers-color-scheme", "value": scheme},
                {"name": "prefers-reduced-motion", "value": "reduce"},
            ],
        });
        let tools = self.0.cdp();
        tools
            .send_raw("Emulation.setScrollbarsHidden", json!({"hidden": true}))
            .await
            .unwrap();
        tools
            .send_raw("Emulation.setDeviceMetricsOverride", screen)
            .await
            .unwrap();
        tools
            .send_raw("Emulation.setEmulatedMedia", media)
            .await
            .unwrap();
    }

    pub(crate) async fn screenshot(&self, path: &Path) {
        self.0.screenshot(path).await.unwrap();
    }

    /// What the browser complained about since the last look, but for requests that the relay refused:
    /// scripts that failed and everything that the policy kept from happening.
    pub(crate) async fn complaints(&self) -> Vec<BrowserLogEntry> {
        let mut log = self.0.browser_log().await.unwrap();
        log.retain(|entry| entry.source.as_deref() != Some("network"));
        log
    }
}
