//! A relay, some agents, and a record of everything that was printed.

use std::{
    ffi::OsStr,
    fs,
    io::{BufRead, BufReader, Read},
    path::{Path, PathBuf},
    process::{Child, ExitStatus, Stdio},
    sync::{Mutex, mpsc},
    thread,
    time::Duration,
};

use ctalk_relay::testing::{Builder, TestRelay};
use rustix::process::{Pid, Signal, kill_process};
use serde_json::Value;
use snapbox::cmd::{Command, OutputAssert};
use tempfile::TempDir;

/// Long enough for the slowest machine; reached only when something hangs.
pub(crate) const PATIENCE: Duration = Duration::from_secs(120);
/// Variables of the caller that would change what the binary does.
const VARIABLES: [&str; 28] = [
    "ADMIN_KEY",
    "CLAWTALK_API_KEY",
    "CLAWTALK_INVITE",
    "CLAWTALK_URL",
    "CLICOLOR_FORCE",
    "CTALK_HOME",
    "CTALK_PASSPHRASE_FILE",
    "CTALK_RELAY_ADDRESS_HEADER",
    "CTALK_RELAY_ADMIN_VIEW",
    "CTALK_RELAY_AUDIT",
    "CTALK_RELAY_CONFIG",
    "CTALK_RELAY_DATA",
    "CTALK_RELAY_LISTEN",
    "CTALK_RELAY_LOG_FORMAT",
    "CTALK_RELAY_LOG_LEVEL",
    "CTALK_RELAY_MAX_BYTES",
    "CTALK_RELAY_MAX_MESSAGES",
    "CTALK_RELAY_RATE_LIMIT",
    "CTALK_RELAY_REGISTRATION_LIMIT",
    "CTALK_RELAY_WEBHOOK_NETWORKS",
    "DBUS_SESSION_BUS_ADDRESS",
    "OPENCLAW_HOOKS_TOKEN",
    "OPENCLAW_WS_TOKEN",
    "WTT_AGENT_ID",
    "WTT_AGENT_TOKEN",
    "WTT_API_URL",
    "WTT_BEARER_TOKEN",
    "XDG_DATA_HOME",
];
/// How [`TestRelay`] is administered.
pub(crate) const ADMIN_KEY: &str = "admin-key-of-the-test";

/// A place of its own for one test. When it ends, nothing that was printed may contain a secret.
pub(crate) struct Sandbox {
    pub(crate) folder: TempDir,
    pub(crate) relay: TestRelay,
    printed: Mutex<String>,
}

impl Sandbox {
    pub(crate) fn new() -> Self {
        Self::around(TestRelay::builder())
    }

    /// With a relay of these settings.
    pub(crate) fn around(relay: Builder) -> Self {
        let folder = tempfile::tempdir().unwrap();
        fs::write(folder.path().join("admin-key"), format!("{ADMIN_KEY}\n")).unwrap();
        Self {
            folder,
            relay: relay.admin_key(ADMIN_KEY).start_blocking(),
            printed: Mutex::default(),
        }
    }

    /// With agents of these names, each with a profile of the same name and a plain key store.
    pub(crate) fn with(names: &[&str]) -> Self {
        let sandbox = Self::new();
        for name in names {
            sandbox.add(name);
        }
        sandbox
    }

    /// As [`Sandbox::with`], but the relay shows no key card of anybody, as if all were ClawTalk's
    /// own clients.
    pub(crate) fn classic(names: &[&str]) -> Self {
        let sandbox = Self::with(names);
        for name in names {
            sandbox.relay.set_agent_capabilities(name, &[]);
        }
        sandbox
    }

    pub(crate) fn add(&self, name: &str) {
        self.run(name, &["keygen", "--name", name, "--key-store", "plain"])
            .success();
        self.register(name).success();
    }

    pub(crate) fn register(&self, profile: &str) -> OutputAssert {
        let admin_key = self.at("admin-key");
        self.run(
            profile,
            &[
                "register",
                "--relay",
                &self.relay.url(),
                "--admin-key",
                &admin_key,
            ],
        )
    }

    pub(crate) fn path(&self, name: &str) -> PathBuf {
        self.folder.path().join(name)
    }

    /// `@FILE` for a file of the sandbox.
    pub(crate) fn at(&self, name: &str) -> String {
        format!("@{}", self.path(name).display())
    }

    /// Writes a file of the sandbox and says where it is.
    pub(crate) fn file(&self, name: &str, content: impl AsRef<[u8]>) -> String {
        fs::write(self.path(name), content).unwrap();
        self.path(name).display().to_string()
    }

    /// Makes a named pipe of the sandbox and says where it is.
    pub(crate) fn pipe(&self, name: &str) -> String {
        let path = self.path(name);
        // Where one is left over, a new one takes its place.
        let _ = fs::remove_file(&path);
        let made = std::process::Command::new("mkfifo").arg(&path).status();
        assert!(made.unwrap().success());
        path.display().to_string()
    }

    /// The folder of a profile.
    pub(crate) fn profile(&self, name: &str) -> PathBuf {
        self.path("home").join(name)
    }

    /// Runs `ctalk` for a profile, with nothing on stdin.
    pub(crate) fn run(&self, profile: &str, args: &[&str]) -> OutputAssert {
        self.finish(self.command(profile).args(args).stdin(""))
    }

    /// Runs a command made by [`Sandbox::command`].
    pub(crate) fn finish(&self, command: Command) -> OutputAssert {
        let output = command.output().unwrap();
        self.record(&output.stdout);
        self.record(&output.stderr);
        OutputAssert::new(output)
    }

    /// Runs `ctalk --json` for a profile and reads its lines.
    pub(crate) fn json(&self, profile: &str, args: &[&str]) -> Vec<Value> {
        lines(&self.run(profile, &[args, &["--json"]].concat()).success())
    }

    pub(crate) fn command(&self, profile: &str) -> Command {
        Command::from_std(self.std_command(profile))
    }

    pub(crate) fn std_command(&self, profile: &str) -> std::process::Command {
        let mut command = ctalk();
        command
            .env("CTALK_HOME", self.path("home"))
            .args(["--profile", profile]);
        command
    }

    /// Starts `ctalk` and goes on while it runs.
    pub(crate) fn start(&self, profile: &str, args: &[&str]) -> Running<'_> {
        let mut command = self.std_command(profile);
        Running::new(Some(self), command.args(args))
    }

    /// A signing and an encryption key of nobody, as (`publicKey`, `signingKey`).
    pub(crate) fn foreign_keys(&self) -> (String, String) {
        let output = ctalk().args(["keygen", "--clawtalk"]).output().unwrap();
        let keys: Value = serde_json::from_slice(&output.stdout).unwrap();
        let text = |name: &str| keys[name].as_str().unwrap().to_owned();
        (text("publicKey"), text("signingKey"))
    }

    /// What the relay holds, oldest first.
    pub(crate) fn stored(&self) -> Vec<Value> {
        let stored = self.relay.stored();
        stored
            .iter()
            .map(|raw| serde_json::from_str(raw).unwrap())
            .collect()
    }

    fn record(&self, printed: &[u8]) {
        self.printed
            .lock()
            .unwrap()
            .push_str(&String::from_utf8_lossy(printed));
    }

    /// Every secret of the plain key stores.
    fn secrets(&self) -> Vec<String> {
        let mut secrets = vec![ADMIN_KEY.to_owned()];
        let Ok(profiles) = fs::read_dir(self.path("home")) else {
            return secrets;
        };
        for profile in profiles {
            let Ok(text) = fs::read(profile.unwrap().path().join("keys.plain.json")) else {
                continue;
            };
            let Ok(store) = serde_json::from_slice::<Value>(&text) else {
                continue;
            };
            let identity = &store["identity"];
            let api_keys = store["apiKeys"].as_object().unwrap().values();
            let keys = [&identity["privateKey"], &identity["signingPrivateKey"]];
            let webhooks = store["webhookSecrets"].as_object().into_iter();
            secrets.extend(
                keys.into_iter()
                    .chain(api_keys)
                    .chain(webhooks.flat_map(|secrets| secrets.values()))
                    .map(|key| key.as_str().unwrap().to_owned()),
            );
        }
        secrets
    }
}

impl Drop for Sandbox {
    fn drop(&mut self) {
        if thread::panicking() {
            return;
        }
        let printed = self.printed.lock().unwrap();
        for secret in self.secrets() {
            assert!(!printed.contains(&secret), "a secret was printed");
        }
    }
}

/// The binary, with nothing of the caller's settings.
pub(crate) fn ctalk() -> std::process::Command {
    let mut command = std::process::Command::new(env!("CARGO_BIN_EXE_ctalk"));
    for variable in VARIABLES {
        command.env_remove(variable);
    }
    command.env("NO_PROXY", "127.0.0.1");
    command
}

/// The lines of JSON on stdout.
pub(crate) fn lines(output: &OutputAssert) -> Vec<Value> {
    parsed(&output.get_output().stdout)
}

/// The lines of JSON on stderr, without the talk between them.
pub(crate) fn error_lines(output: &OutputAssert) -> Vec<Value> {
    let stderr = String::from_utf8_lossy(&output.get_output().stderr);
    let json: Vec<_> = stderr
        .lines()
        .filter(|line| line.starts_with('{'))
        .collect();
    parsed(json.join("\n").as_bytes())
}

fn parsed(text: &[u8]) -> Vec<Value> {
    let lines = text
        .split(|byte| *byte == b'\n')
        .filter(|line| !line.is_empty());
    lines
        .map(|line| serde_json::from_slice(line).unwrap())
        .collect()
}

/// What was printed on stderr.
pub(crate) fn stderr(output: &OutputAssert) -> String {
    String::from_utf8(output.get_output().stderr.clone()).unwrap()
}

/// A process that is killed when the test does not wait for its end.
pub(crate) struct Running<'s> {
    sandbox: Option<&'s Sandbox>,
    child: Child,
    stdout: mpsc::Receiver<String>,
    stderr: mpsc::Receiver<String>,
}

impl<'s> Running<'s> {
    pub(crate) fn new(sandbox: Option<&'s Sandbox>, command: &mut std::process::Command) -> Self {
        let mut child = command
            .stdin(Stdio::null())
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .spawn()
            .unwrap();
        let stdout = each_line(child.stdout.take().unwrap());
        let stderr = each_line(child.stderr.take().unwrap());
        Self {
            sandbox,
            child,
            stdout,
            stderr,
        }
    }

    /// The next line on stdout.
    pub(crate) fn line(&self) -> String {
        let line = self.stdout.recv_timeout(PATIENCE);
        self.recorded(line.expect("a line on stdout"))
    }

    /// The next line on stderr.
    pub(crate) fn talk(&self) -> String {
        let line = self.stderr.recv_timeout(PATIENCE);
        self.recorded(line.expect("a line on stderr"))
    }

    /// The process's id.
    pub(crate) fn id(&self) -> u32 {
        self.child.id()
    }

    pub(crate) fn signal(&self, signal: Signal) {
        kill_process(Pid::from_child(&self.child), signal).unwrap();
    }

    /// Waits for the end; returns the status and what was printed and not read yet.
    pub(crate) fn end(mut self) -> (ExitStatus, Vec<String>, Vec<String>) {
        // Both streams end when the process does.
        let rest = |lines: &mpsc::Receiver<String>| {
            let mut rest = Vec::new();
            loop {
                match lines.recv_timeout(PATIENCE) {
                    Ok(line) => rest.push(self.recorded(line)),
                    Err(mpsc::RecvTimeoutError::Disconnected) => return rest,
                    Err(mpsc::RecvTimeoutError::Timeout) => panic!("the process does not end"),
                }
            }
        };
        let (stdout, stderr) = (rest(&self.stdout), rest(&self.stderr));
        (self.child.wait().unwrap(), stdout, stderr)
    }

    fn recorded(&self, line: String) -> String {
        if let Some(sandbox) = self.sandbox {
            sandbox.record(line.as_bytes());
        }
        line
    }
}

impl Drop for Running<'_> {
    fn drop(&mut self) {
        // Both fail when it has ended, which is what is wanted.
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

fn each_line(stream: impl Read + Send + 'static) -> mpsc::Receiver<String> {
    let (send, receive) = mpsc::channel();
    thread::spawn(move || {
        for line in BufReader::new(stream).lines() {
            let Ok(line) = line else { return };
            if send.send(line).is_err() {
                return;
            }
        }
    });
    receive
}

/// What a folder holds, by name.
pub(crate) fn names_in(folder: &Path) -> Vec<String> {
    let Ok(entries) = fs::read_dir(folder) else {
        return Vec::new();
    };
    let mut names: Vec<_> = entries
        .map(|entry| entry.unwrap().file_name().to_string_lossy().into_owned())
        .collect();
    names.sort();
    names
}

/// Whether a text holds a JSON value's text.
pub(crate) fn text(value: &Value) -> &str {
    value.as_str().unwrap()
}

/// What `ctalk` prints on a terminal, where `typed` is typed.
pub(crate) fn on_a_terminal(
    sandbox: &Sandbox,
    profile: &str,
    args: &str,
    colours: bool,
    typed: &str,
) -> String {
    let script =
        format!(r#"script --quiet --return --command "$(printf '%s ' "$@") {args}" /dev/null"#);
    let mut shell = shell(sandbox, profile, &script, &[]).env("TERM", "xterm");
    if !colours {
        shell = shell.env("NO_COLOR", "1");
    }
    let output = sandbox.finish(shell.stdin(typed)).success();
    let shown = String::from_utf8(output.get_output().stdout.clone()).unwrap();
    shown.replace("\r\n", "\n")
}

/// A shell that runs `ctalk` under conditions that only a shell can make.
pub(crate) fn shell(sandbox: &Sandbox, profile: &str, script: &str, args: &[&str]) -> Command {
    Command::from_std(std_shell(sandbox, profile, script, args))
}

/// As [`shell`], to be started.
pub(crate) fn std_shell(
    sandbox: &Sandbox,
    profile: &str,
    script: &str,
    args: &[&str],
) -> std::process::Command {
    let ctalk = sandbox.std_command(profile);
    let mut shell = std::process::Command::new("sh");
    for (name, value) in ctalk.get_envs() {
        match value {
            Some(value) => shell.env(name, value),
            None => shell.env_remove(name),
        };
    }
    shell
        .args(["-c", script, "sh"])
        .arg(ctalk.get_program())
        .args(ctalk.get_args())
        .args(args.iter().map(OsStr::new));
    shell
}

/// Whether processes that are started here hear that their terminal is gone. They do not if the tests
/// themselves were started to outlive theirs.
pub(crate) fn hears_hangup() -> bool {
    let status = fs::read_to_string("/proc/self/status").unwrap_or_default();
    let ignored = status.lines().find_map(|line| line.strip_prefix("SigIgn:"));
    let mask = ignored.map(|mask| u64::from_str_radix(mask.trim(), 16).unwrap());
    mask.is_none_or(|mask| mask & 1 == 0)
}
