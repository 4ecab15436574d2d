//! A browser of its own for each test, which leaves nothing behind.

use std::fs;
use std::panic::{AssertUnwindSafe, resume_unwind};
use std::path::Path;
use std::process::{Command as Probe, Stdio};
use std::time::Duration;

use fantoccini::actions::{InputSource, KeyAction, KeyActions};
use fantoccini::wd::WebDriverCompatibleCommand;
use fantoccini::{Client, ClientBuilder, Locator};
use futures_util::FutureExt;
use hyper_util::client::legacy::connect::HttpConnector;
use reqwest::{Method, Url};
use serde_json::{Value, json};
use tempfile::TempDir;
use tokio::io::{AsyncBufReadExt, BufReader};
use tokio::process::{Child, Command};
use tokio::time::{Instant, timeout};

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
pub(crate) struct Tab(Client);

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
    let mut flags = FLAGS.map(str::to_owned).to_vec();
    flags.push(format!(
        "--user-data-dir={}",
        home.path().join("profile").display()
    ));
    let wanted = json!({
        "goog:chromeOptions": {"args": flags},
        "goog:loggingPrefs": {"browser": "ALL"},
        "timeouts": {"script": PATIENCE.as_millis()},
    });
    let session = ClientBuilder::new(HttpConnector::new())
        .capabilities(wanted.as_object().unwrap().clone())
        .connect(&format!("http://127.0.0.1:{port}"))
        .await;
    let tab = Tab(session.unwrap());
    let outcome = AssertUnwindSafe(test(&tab)).catch_unwind().await;
    if outcome.is_err() {
        eprintln!("the browser's log: {:#}", tab.log().await);
    }
    tab.0.close().await.unwrap();
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
        self.0.execute(&script, Vec::new()).await.unwrap()
    }

    /// The text of the first element of this kind.
    pub(crate) async fn text(&self, css: &str) -> String {
        let element = self.0.find(Locator::Css(css)).await.unwrap();
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
        let element = self.0.find(Locator::Css(css)).await.unwrap();
        element.click().await.unwrap();
    }

    /// Types into whatever has the focus.
    pub(crate) async fn keys(&self, keys: impl AsRef<str>) {
        let typing = keys
            .as_ref()
            .chars()
            .flat_map(|value| [KeyAction::Down { value }, KeyAction::Up { value }]);
        let typing = typing.fold(KeyActions::new("keyboard".to_owned()), KeyActions::then);
        self.0.perform_actions(typing).await.unwrap();
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
        for (command, parameters) in [
            ("setScrollbarsHidden", json!({"hidden": true})),
            ("setDeviceMetricsOverride", screen),
            ("setEmulatedMedia", media),
        ] {
            let command = format!("Emulation.{command}");
            let body = json!({"cmd": command, "params": parameters});
            self.chromium("goog/cdp/execute", body).await;
        }
    }

    pub(crate) async fn screenshot(&self, path: &Path) {
        fs::write(path, self.0.screenshot().await.unwrap()).unwrap();
    }

    /// What the browser complained about since the last look, but for requests that the relay refused:
    /// scripts that failed and everything that the policy kept from happening.
    pub(crate) async fn complaints(&self) -> Vec<Value> {
        let mut log = self.log().await.as_array().unwrap().clone();
        log.retain(|entry| entry["source"] != "network");
        log
    }

    /// What the browser wrote to its console since the last look.
    async fn log(&self) -> Value {
        self.chromium("se/log", json!({"type": "browser"})).await
    }

    /// A command that Chromium has beyond those of WebDriver.
    async fn chromium(&self, path: &'static str, body: Value) -> Value {
        self.0.issue_cmd(Chromium { path, body }).await.unwrap()
    }
}

#[derive(Debug)]
struct Chromium {
    path: &'static str,
    body: Value,
}

impl WebDriverCompatibleCommand for Chromium {
    fn endpoint(
        &self,
        base_url: &Url,
        session_id: Option<&str>,
    ) -> Result<Url, <Url as std::str::FromStr>::Err> {
        let session = session_id.unwrap_or_default();
        base_url.join(&format!("session/{session}/{}", self.path))
    }

    fn method_and_body(&self, _: &Url) -> (Method, Option<String>) {
        (Method::POST, Some(self.body.to_string()))
    }
}
