//! Programs the chores call, and the Debian packages that bring them.

use std::os::unix::fs::MetadataExt;
use std::process::Stdio;

use crate::steps::Steps;
use crate::workspace::command;

/// Something that must be on the machine.
pub(crate) struct Tool {
    /// How people call it.
    pub(crate) name: &'static str,
    /// The Debian package that holds it.
    package: &'static str,
    /// A command that succeeds only where the tool works.
    probe: &'static [&'static str],
}

/// Runs a private message bus.
pub(crate) const DBUS: Tool = Tool {
    name: "dbus-run-session",
    package: "dbus",
    probe: &["dbus-run-session", "--version"],
};
/// The Secret Service the keyring store is tested against.
pub(crate) const GNOME_KEYRING: Tool = Tool {
    name: "gnome-keyring-daemon",
    package: "gnome-keyring",
    probe: &["gnome-keyring-daemon", "--version"],
};
/// The browser that the relay's web pages are tested in.
pub(crate) const CHROMIUM: Tool = Tool {
    name: "chromium",
    package: "chromium",
    probe: &["chromium", "--version"],
};
/// What drives it.
pub(crate) const CHROMEDRIVER: Tool = Tool {
    name: "chromedriver",
    package: "chromium-driver",
    probe: &["chromedriver", "--version"],
};
/// Python with what `python3 -m venv` needs.
pub(crate) const PYTHON: Tool = Tool {
    name: "python3 with venv",
    package: "python3-venv",
    probe: &["python3", "-c", "import ensurepip, venv"],
};
/// Node.js, not older than the Node client says it needs.
pub(crate) const NODE: Tool = Tool {
    name: "node 20 or later",
    package: "nodejs",
    probe: &[
        "node",
        "-e",
        "process.exit(parseInt(process.versions.node) >= 20 ? 0 : 1)",
    ],
};
/// Node's package manager.
pub(crate) const NPM: Tool = Tool {
    name: "npm",
    package: "npm",
    probe: &["npm", "--version"],
};
/// A C compiler, with the tools that come with it.
pub(crate) const GCC: Tool = Tool {
    name: "gcc",
    package: "gcc",
    probe: &["gcc", "--version"],
};
/// The same for C++.
pub(crate) const GPP: Tool = Tool {
    name: "g++",
    package: "g++",
    probe: &["g++", "--version"],
};
/// Another C compiler.
pub(crate) const CLANG: Tool = Tool {
    name: "clang",
    package: "clang",
    probe: &["clang", "--version"],
};
/// Checks how a program uses memory.
pub(crate) const VALGRIND: Tool = Tool {
    name: "valgrind",
    package: "valgrind",
    probe: &["valgrind", "--version"],
};
/// Finds libraries for compilers.
pub(crate) const PKG_CONFIG: Tool = Tool {
    name: "pkg-config",
    package: "pkg-config",
    probe: &["pkg-config", "--version"],
};
/// Builds C programs from descriptions.
pub(crate) const CMAKE: Tool = Tool {
    name: "cmake",
    package: "cmake",
    probe: &["cmake", "--version"],
};
/// The yardstick of `bench send`.
pub(crate) const CURL: Tool = Tool {
    name: "curl",
    package: "curl",
    probe: &["curl", "--version"],
};
/// The yardstick of `bench classic`.
pub(crate) const LIBSODIUM: Tool = Tool {
    name: "a C compiler with libsodium",
    package: "libsodium-dev",
    probe: &["cc", "-E", "-include", "sodium.h", "-x", "c", "/dev/null"],
};
/// A yardstick of `bench envelope`.
pub(crate) const AGE: Tool = Tool {
    name: "age",
    package: "age",
    probe: &["age", "--version"],
};
/// A yardstick of `bench relay`.
pub(crate) const NATS: Tool = Tool {
    name: "nats-server",
    package: "nats-server",
    probe: &["nats-server", "--version"],
};
/// Measures how much memory a program needs.
pub(crate) const TIME: Tool = Tool {
    name: "GNU time",
    package: "time",
    probe: &["time", "--version"],
};

impl Tool {
    fn works(&self) -> bool {
        let Some((program, args)) = self.probe.split_first() else {
            return false;
        };
        command(program)
            .args(args)
            .stdin(Stdio::null())
            .stdout(Stdio::null())
            .stderr(Stdio::null())
            .status()
            .is_ok_and(|status| status.success())
    }
}

/// Those of `tools` that do not work here, as a reason to skip, or `None` when all work.
pub(crate) fn lacking(tools: &[&Tool]) -> Option<String> {
    let names: Vec<&str> = tools
        .iter()
        .filter(|tool| !tool.works())
        .map(|tool| tool.name)
        .collect();
    (!names.is_empty()).then(|| format!("{} not found", names.join(", ")))
}

/// Installs the packages of the tools that do not work here, where this is Debian and we are root.
/// A failure is shown; what still lacks its tool is left for [`lacking`] to find.
pub(crate) fn install(steps: &mut Steps, tools: &[&Tool]) {
    let packages: Vec<&str> = tools
        .iter()
        .filter(|tool| !tool.works())
        .map(|tool| tool.package)
        .collect();
    if packages.is_empty() || !is_root() || !std::path::Path::new("/usr/bin/apt-get").exists() {
        return;
    }
    let mut update = command("apt-get");
    update.args(["update", "--quiet=2"]);
    let mut install = command("apt-get");
    install
        .args(["install", "--quiet=2", "--yes", "--no-install-recommends"])
        .args(packages)
        .env("DEBIAN_FRONTEND", "noninteractive");
    let outcome = steps
        .run("Debian package lists", &mut update)
        .and_then(|()| steps.run("Debian packages", &mut install));
    if let Err(error) = outcome {
        println!("{error:#}");
    }
}

fn is_root() -> bool {
    std::fs::metadata("/proc/self").is_ok_and(|process| process.uid() == 0)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lacking_names_exactly_what_does_not_work() {
        let absent = Tool {
            name: "absent",
            package: "absent",
            probe: &["no-such-program-anywhere"],
        };
        let refusing = Tool {
            name: "refusing",
            package: "refusing",
            probe: &["false"],
        };
        let present = Tool {
            name: "present",
            package: "present",
            probe: &["true"],
        };
        assert_eq!(lacking(&[&present]), None);
        assert_eq!(
            lacking(&[&absent, &present, &refusing]).as_deref(),
            Some("absent, refusing not found")
        );
    }
}
