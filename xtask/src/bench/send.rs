//! `ctalk send` to a loopback relay beside `curl` posting a body that `ctalk send` made, in ClawTalk's
//! format.

use std::fs;
use std::io::{BufRead, BufReader, Write};
use std::path::{Path, PathBuf};
use std::process::{Child, ChildStdout, Command, Stdio};

use anyhow::{Context, Result, bail};
use serde_json::{Map, Value, json};

use super::stats::{duration, percentile, verdict};
use super::{output, release_binary, wall_times};
use crate::debian::{self, CURL, DBUS, GNOME_KEYRING};
use crate::steps::Steps;
use crate::workspace::{root, target};

/// Each of these is one `ctalk send` and one `curl`.
const ROUNDS: usize = 100;
/// The passphrase file costs a deliberate tenth of a second per run.
const SLOW_ROUNDS: usize = 20;
/// Wall time with the plain store divided by curl's.
const LIMIT: f64 = 2.0;
const TEXT_LEN: usize = 1024;
const ADMIN_KEY: &str = "bench-admin-key";
/// The receiving agent, which has no key card: its public keys are those of the format's test vectors.
const RECIPIENT: &str = "carol";
const RECIPIENT_PUBLIC_KEY: &str = "B6N8vBQgk8i3VdwbEOhstCY3StFqqFPtC9/AsrhtHHw=";
const RECIPIENT_SIGNING_KEY: &str = "rcFAEfgtHFbZVqpPnXPYhYNhpgYEhSXg0Ixjjcdd2Mc=";

pub(super) fn table(steps: &mut Steps) -> Result<String> {
    debian::install(steps, &[&CURL, &DBUS, &GNOME_KEYRING]);
    if let Some(why) = debian::lacking(&[&CURL]) {
        bail!("{why}: install it to measure against it");
    }
    let folder = root().join(target()?).join("bench-send");
    if folder.exists() {
        fs::remove_dir_all(&folder)?;
    }
    fs::create_dir_all(&folder)?;
    let ctalk = release_binary(steps)?;
    let relay = Relay::start(&ctalk, &folder)?;
    let recipient = Recipient::register(&relay, &folder)?;

    let sender = Sender::new(&ctalk, &relay, &folder, "plain", None)?;
    let curl = recipient.capture(&sender, &relay)?;
    let mut rows = vec![row(&sender, &curl, ROUNDS, Some(LIMIT))?];

    let sender = Sender::new(&ctalk, &relay, &folder, "file", None)?;
    rows.push(row(&sender, &curl, SLOW_ROUNDS, None)?);

    if let Some(why) = debian::lacking(&[&DBUS, &GNOME_KEYRING]) {
        steps.skip("ctalk send with the keyring store", &why)?;
    } else {
        let session = Session::start(&folder)?;
        let sender = Sender::new(&ctalk, &relay, &folder, "keyring", Some(&session))?;
        rows.push(row(&sender, &curl, ROUNDS, None)?);
    }
    Ok(format!(
        "### send\n\nOne message in ClawTalk's format, with {TEXT_LEN} bytes of text, to a relay on loopback; \
         both commands in turn, spawn to exit, medians.\n\n\
         | key store | `ctalk send` | `curl` | ctalk / curl | limit |\n| --- | --- | --- | --- | --- |\n{}",
        rows.concat()
    ))
}

fn row(sender: &Sender<'_>, curl: &CurlPost, rounds: usize, limit: Option<f64>) -> Result<String> {
    let times = wall_times(&mut [sender.send(), curl.command()], rounds)?;
    let [ours, theirs] = times.as_slice() else {
        bail!("expected two series")
    };
    let (ours, theirs) = (percentile(ours, 50), percentile(theirs, 50));
    let ratio = ours / theirs;
    let limit = limit.map_or_else(String::new, |limit| {
        format!("{limit}: {}", verdict(ratio <= limit))
    });
    Ok(format!(
        "| {} | {} | {} | {ratio:.2} | {limit} |\n",
        sender.store,
        duration(ours),
        duration(theirs)
    ))
}

/// A relay process, ended with this value.
pub(super) struct Relay {
    process: Child,
    pub(super) url: String,
    pub(super) admin_key_file: PathBuf,
    /// Held open so that the relay can go on writing to it.
    stdout: BufReader<ChildStdout>,
}

impl Relay {
    pub(super) fn start(ctalk: &Path, folder: &Path) -> Result<Self> {
        let admin_key_file = folder.join("admin-key");
        fs::write(&admin_key_file, ADMIN_KEY)?;
        let mut process = Command::new(ctalk)
            .args([
                "relay",
                "--listen",
                "127.0.0.1:0",
                "--rate-limit",
                "off",
                "--data",
            ])
            .arg(folder.join("relay"))
            .arg("--admin-key")
            .arg(at(&admin_key_file))
            .stdin(Stdio::null())
            .stdout(Stdio::piped())
            .spawn()
            .context("cannot start the relay")?;
        let stdout = process.stdout.take().context("the relay has no stdout")?;
        let mut relay = Self {
            process,
            url: String::new(),
            admin_key_file,
            stdout: BufReader::new(stdout),
        };
        let mut line = String::new();
        relay.stdout.read_line(&mut line)?;
        relay.url = line
            .trim()
            .strip_prefix("listening on ")
            .with_context(|| format!("the relay began with {line:?}"))?
            .to_owned();
        Ok(relay)
    }
}

impl Drop for Relay {
    fn drop(&mut self) {
        // It may be gone already, which is what is wanted.
        let _ = self.process.kill();
        let _ = self.process.wait();
    }
}

/// A message bus with an unlocked Secret Service on it, ended with this value.
pub(super) struct Session {
    process: Child,
    address: String,
}

impl Session {
    fn start(folder: &Path) -> Result<Self> {
        let home = folder.join("session");
        fs::create_dir_all(&home)?;
        // The session lives until its stdin is closed.
        let script = "printf bench | gnome-keyring-daemon --unlock --components=secrets >/dev/null && \
                      echo \"$DBUS_SESSION_BUS_ADDRESS\" && cat";
        let mut process = Command::new("dbus-run-session")
            .args(["--", "sh", "-c", script])
            .env("HOME", &home)
            .env("XDG_DATA_HOME", &home)
            .env("XDG_RUNTIME_DIR", &home)
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .spawn()
            .context("cannot start dbus-run-session")?;
        let mut address = String::new();
        let stdout = process.stdout.take().context("the session has no stdout")?;
        BufReader::new(stdout).read_line(&mut address)?;
        let session = Self {
            process,
            address: address.trim().to_owned(),
        };
        if session.address.is_empty() {
            bail!("gnome-keyring-daemon did not start");
        }
        Ok(session)
    }
}

impl Drop for Session {
    fn drop(&mut self) {
        drop(self.process.stdin.take());
        // Nothing can be done about a session that does not end.
        let _ = self.process.wait();
    }
}

/// An agent that sends with one kind of key store.
pub(super) struct Sender<'a> {
    ctalk: &'a Path,
    home: PathBuf,
    passphrase_file: PathBuf,
    store: &'static str,
    session: Option<&'a Session>,
}

impl<'a> Sender<'a> {
    pub(super) fn new(
        ctalk: &'a Path,
        relay: &Relay,
        folder: &Path,
        store: &'static str,
        session: Option<&'a Session>,
    ) -> Result<Self> {
        let home = folder.join(store);
        let passphrase_file = folder.join("passphrase");
        fs::write(&passphrase_file, "bench passphrase")?;
        let sender = Self {
            ctalk,
            home,
            passphrase_file,
            store,
            session,
        };
        output(&mut sender.command(&["keygen", "--name", &sender.name(), "--key-store", store]))?;
        output(
            sender
                .command(&["register", "--relay", &relay.url, "--admin-key"])
                .arg(at(&relay.admin_key_file)),
        )?;
        Ok(sender)
    }

    /// What it is called at the relay.
    pub(super) fn name(&self) -> String {
        format!("sender_{}", self.store)
    }

    pub(super) fn command(&self, args: &[&str]) -> Command {
        let mut command = Command::new(self.ctalk);
        command
            .args(args)
            .env("CTALK_HOME", &self.home)
            .env("CTALK_PASSPHRASE_FILE", &self.passphrase_file)
            .env("NO_PROXY", "127.0.0.1")
            .env_remove("CLAWTALK_URL")
            .env_remove("CLAWTALK_API_KEY");
        if let Some(session) = self.session {
            command.env("DBUS_SESSION_BUS_ADDRESS", &session.address);
        }
        command
    }

    pub(super) fn send(&self) -> Command {
        self.command(&["send", "--quiet", RECIPIENT, &"x".repeat(TEXT_LEN)])
    }
}

/// The agent everything is sent to, and whose API key curl uses.
pub(super) struct Recipient {
    curl_config: PathBuf,
    folder: PathBuf,
}

impl Recipient {
    pub(super) fn register(relay: &Relay, folder: &Path) -> Result<Self> {
        let admin_config = curl_config(&folder.join("admin.curl"), ADMIN_KEY)?;
        let body = folder.join("agent.json");
        let agent = json!({
            "name": RECIPIENT, "owner": "bench",
            "publicKey": RECIPIENT_PUBLIC_KEY, "signingKey": RECIPIENT_SIGNING_KEY,
        });
        fs::write(&body, agent.to_string())?;
        let answer = output(
            curl(&admin_config)
                .arg("--data-binary")
                .arg(at(&body))
                .arg(format!("{}/agents", relay.url)),
        )?;
        let answer: Value = serde_json::from_str(&answer)?;
        let key = answer
            .get("apiKey")
            .and_then(Value::as_str)
            .context("no apiKey in the answer")?;
        let curl_config = curl_config(&folder.join("recipient.curl"), key)?;
        Ok(Self {
            curl_config,
            folder: folder.to_owned(),
        })
    }

    /// Lets `sender` send once and makes a post of what arrived.
    fn capture(&self, sender: &Sender<'_>, relay: &Relay) -> Result<CurlPost> {
        let url = format!("{}/messages", relay.url);
        output(&mut sender.send())?;
        let page: Value = serde_json::from_str(&output(curl(&self.curl_config).arg(&url))?)?;
        let message = page
            .pointer("/messages/0")
            .context("the message did not arrive")?;
        let members = ["to", "type", "encrypted", "payload", "nonce", "signature"];
        let body: Map<String, Value> = members
            .iter()
            .map(|name| {
                let value = message
                    .get(name)
                    .with_context(|| format!("no `{name}` in the message"))?;
                Ok(((*name).to_owned(), value.clone()))
            })
            .collect::<Result<_>>()?;
        let file = self.folder.join("message.json");
        fs::write(&file, Value::Object(body).to_string())?;
        Ok(CurlPost {
            config: self.curl_config.clone(),
            body: file,
            url,
        })
    }
}

/// The post of a captured message.
struct CurlPost {
    config: PathBuf,
    body: PathBuf,
    url: String,
}

impl CurlPost {
    fn command(&self) -> Command {
        let mut command = curl(&self.config);
        command
            .arg("--data-binary")
            .arg(at(&self.body))
            .arg(&self.url);
        command
    }
}

fn curl(config: &Path) -> Command {
    let mut command = Command::new("curl");
    command.arg("--disable").arg("--config").arg(config);
    command
}

/// Writes what curl needs to speak for the holder of `key`: an API key does not belong in argv.
fn curl_config(file: &Path, key: &str) -> Result<PathBuf> {
    let text = format!(
        "silent\nshow-error\nfail\nnoproxy = \"*\"\n\
         header = \"Authorization: Bearer {key}\"\nheader = \"Content-Type: application/json\"\n"
    );
    fs::File::create(file)?.write_all(text.as_bytes())?;
    Ok(file.to_owned())
}

/// `@FILE`, the way both ctalk and curl take an argument from a file.
pub(super) fn at(file: &Path) -> String {
    format!("@{}", file.display())
}
