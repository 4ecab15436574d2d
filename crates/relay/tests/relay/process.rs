//! A relay in a process of its own, which can be killed and whose memory can be seen.

use std::ffi::OsString;
use std::io::{BufRead, BufReader};
use std::path::Path;
use std::process::{Child, Command, Stdio};

use ctalk_relay::{AdminKey, Config, RateLimit, Server};

use crate::support::ANY_PORT;

/// Tells this test binary, started once more, to be a relay on the folder named by it.
const SERVE: &str = "CTALK_RELAY_TEST_SERVE";
/// The bytes that a file of that relay may have.
const ROOM: &str = "CTALK_RELAY_TEST_ROOM";
/// How many files that relay may open while it serves.
pub(crate) const FILES: &str = "CTALK_RELAY_TEST_FILES";
/// How many files that relay may have open in all, as it finds when it starts.
pub(crate) const ALL_FILES: &str = "CTALK_RELAY_TEST_ALL_FILES";
pub(crate) const ADMIN_KEY: &str = "test-admin-key";

pub(crate) fn config(folder: &Path) -> Config {
    let mut config = Config::new(ANY_PORT, folder, AdminKey::new(ADMIN_KEY).unwrap());
    config.rate_limit = RateLimit::OFF;
    config.webhook_networks = "127.0.0.0/8".parse().unwrap();
    config
}

/// No test of its own: the relay process of other tests.
#[test]
fn relay_process() {
    let Some(folder) = std::env::var_os(SERVE) else {
        return;
    };
    let runtime = tokio::runtime::Runtime::new().unwrap();
    runtime.block_on(async {
        allow_files();
        #[cfg(target_os = "linux")]
        if let Ok(files) = std::env::var(ALL_FILES) {
            set_files(files.parse().unwrap());
        }
        #[cfg(unix)]
        let _full = std::env::var(ROOM).map(|room| limit_files(room.parse().unwrap()));
        let server = Server::bind(config(Path::new(&folder))).await.unwrap();
        #[cfg(target_os = "linux")]
        if let Ok(files) = std::env::var(FILES) {
            keep_files(files.parse().unwrap());
        }
        // On standard error, which the test harness leaves alone.
        eprintln!("listening on {}", server.url());
        server.run(std::future::pending()).await.unwrap();
    });
}

/// Lets this process have as many files open as the system allows at all.
pub(crate) fn allow_files() {
    #[cfg(unix)]
    {
        use rustix::process::{Resource, getrlimit, setrlimit};
        let mut limit = getrlimit(Resource::Nofile);
        limit.current = limit.maximum;
        setrlimit(Resource::Nofile, limit).unwrap();
    }
}

/// Lets this process open `more` files than it has.
#[cfg(target_os = "linux")]
fn keep_files(more: u64) {
    let open = std::fs::read_dir("/proc/self/fd").unwrap().count();
    set_files(u64::try_from(open).unwrap() + more);
}

/// Lets this process have `files` open.
#[cfg(target_os = "linux")]
fn set_files(files: u64) {
    use rustix::process::{Resource, getrlimit, setrlimit};
    let mut limit = getrlimit(Resource::Nofile);
    limit.current = Some(files);
    setrlimit(Resource::Nofile, limit).unwrap();
}

/// Has every write fail that would make a file larger than `bytes`, as on a full disk.
#[cfg(unix)]
fn limit_files(bytes: u64) -> tokio::signal::unix::Signal {
    use rustix::process::{Resource, Rlimit, Signal, setrlimit};
    use tokio::signal::unix::{SignalKind, signal};
    // Else the signal that tells of such a write would end the process.
    let told = signal(SignalKind::from_raw(Signal::XFSZ.as_raw())).unwrap();
    let limit = Rlimit {
        current: Some(bytes),
        maximum: None,
    };
    setrlimit(Resource::Fsize, limit).unwrap();
    told
}

/// A relay in a process of its own, killed when dropped.
pub(crate) struct RelayProcess {
    process: Child,
    pub(crate) url: String,
}

impl RelayProcess {
    /// Starts a relay on `folder`, whose files may have `room` bytes each.
    pub(crate) fn start(folder: &Path, room: Option<u64>) -> Self {
        let room = room.map(|room| (ROOM, room.to_string().into()));
        Self::start_with(folder, room)
    }

    /// Starts a relay on `folder` with these variables in its environment.
    pub(crate) fn start_with(
        folder: &Path,
        variables: impl IntoIterator<Item = (&'static str, OsString)>,
    ) -> Self {
        let mut command = Command::new(std::env::current_exe().unwrap());
        command
            .args(["--exact", "process::relay_process", "--nocapture"])
            .env(SERVE, folder)
            .envs(variables)
            .stdout(Stdio::null())
            .stderr(Stdio::piped());
        let mut process = command.spawn().unwrap();
        let lines = BufReader::new(process.stderr.take().unwrap()).lines();
        let url = lines
            .map(Result::unwrap)
            .find_map(|line| line.strip_prefix("listening on ").map(str::to_owned));
        match url {
            Some(url) => Self { process, url },
            None => panic!("the relay ended: {:?}", process.wait()),
        }
    }

    /// Ends it at once, as `kill -9` does.
    pub(crate) fn kill(&mut self) {
        self.process.kill().unwrap();
        self.process.wait().unwrap();
    }

    /// The bytes of memory that it has.
    #[cfg(target_os = "linux")]
    pub(crate) fn memory(&self) -> u64 {
        let status = format!("/proc/{}/status", self.process.id());
        let status = std::fs::read_to_string(status).unwrap();
        let line = status.lines().find_map(|line| line.strip_prefix("VmRSS:"));
        let kib = line.unwrap().trim().trim_end_matches(" kB");
        kib.parse::<u64>().unwrap() * 1024
    }
}

impl Drop for RelayProcess {
    fn drop(&mut self) {
        let _ = self.process.kill();
        let _ = self.process.wait();
    }
}
