//! Servers in processes of their own.

use std::io::{BufRead, BufReader};
use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};

/// Where the program `ctalk` is, and a smaller number of everything where that is asked for.
pub(crate) fn ctalk() -> Option<PathBuf> {
    std::env::var_os("CTALK").map(PathBuf::from)
}

/// `number`, or what the environment says instead.
pub(crate) fn size(variable: &str, number: usize) -> usize {
    std::env::var(variable).map_or(number, |text| text.parse().unwrap())
}

/// A server, killed when dropped.
pub(crate) struct Process {
    child: Child,
    pub(crate) address: SocketAddr,
}

impl Process {
    /// `ctalk relay` on the data folder `folder`, once it answers.
    pub(crate) fn relay(ctalk: &Path, folder: &Path) -> Self {
        let mut command = Command::new(ctalk);
        command
            .args([
                "-q",
                "relay",
                "--listen",
                "127.0.0.1:0",
                "--rate-limit",
                "off",
            ])
            .args(["--max-messages", "off", "--max-bytes", "off", "--data"])
            .arg(folder)
            .args(["--max-connections-per-address", "16384"])
            .env("ADMIN_KEY", super::ADMIN_KEY)
            .stdout(Stdio::piped());
        let mut child = command.spawn().unwrap();
        let address = announced(child.stdout.take().unwrap(), "listening on http://");
        Self { child, address }
    }

    /// `nats-server` with JetStream's files in `folder`; none where it is not installed.
    pub(crate) fn nats(folder: &Path) -> Option<Self> {
        let mut command = Command::new("nats-server");
        command
            .args(["-a", "127.0.0.1", "-p", "-1", "-js", "-sd"])
            .arg(folder)
            .stderr(Stdio::piped());
        let mut child = command.spawn().ok()?;
        let log = child.stderr.take().unwrap();
        let address = announced(log, "Listening for client connections on ");
        Some(Self { child, address })
    }

    /// The memory that it has, in KiB.
    pub(crate) fn memory(&self) -> f64 {
        let status = std::fs::read_to_string(format!("/proc/{}/status", self.child.id())).unwrap();
        let line = status.lines().find_map(|line| line.strip_prefix("VmRSS:"));
        let kib = line.unwrap().trim().trim_end_matches(" kB");
        kib.parse().unwrap()
    }
}

impl Drop for Process {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// The address that follows `beginning` in a line of `output`, which is read to its end in the background.
fn announced(output: impl std::io::Read + Send + 'static, beginning: &str) -> SocketAddr {
    let mut lines = BufReader::new(output).lines().map(Result::unwrap);
    let address = lines.find_map(|line| {
        let (_, address) = line.split_once(beginning)?;
        address.parse().ok()
    });
    std::thread::spawn(move || lines.for_each(drop));
    address.unwrap()
}
