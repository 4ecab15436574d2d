//! The C library and the packages on top of it: what a call costs, beside Rust, PyNaCl and TweetNaCl, how
//! long they take to load, how large the library is, and how often 64 MiB are copied.

use std::collections::BTreeMap;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

use anyhow::{Result, bail};

use super::stats::{duration, measurement, measurements, median, percentile, verdict};
use super::{output, wall_times};
use crate::debian::{self, GCC, NODE, NPM, PKG_CONFIG, PYTHON, Tool};
use crate::dist;
use crate::python_package::empty_environment;
use crate::steps::Steps;
use crate::test::replace_folder;
use crate::workspace::{cargo, command, root, target};

const TOOLS: [&Tool; 5] = [&GCC, &PKG_CONFIG, &PYTHON, &NODE, &NPM];
const ROUNDS: usize = 7;
const STARTS: usize = 40;
/// What a call of C may take longer than the one of Rust.
const OVERHEAD_NS: f64 = 1e3;
/// The time from Python divided by PyNaCl's.
const PYTHON_LIMIT: f64 = 0.7;
/// The time from Node divided by TweetNaCl's.
const NODE_LIMIT: f64 = 1.0 / 50.0;
const IMPORT_NS: f64 = 30e6;
/// What goes through the calls that hand over much.
const LARGE: f64 = (64 << 20) as f64;
/// What the programs print of a message of 1 KiB, in nanoseconds.
const MESSAGE: [&str; 2] = ["seal_sign_1k", "verify_open_1k"];

pub(super) fn table(steps: &mut Steps) -> Result<String> {
    debian::install(steps, &TOOLS);
    if let Some(why) = debian::lacking(&TOOLS) {
        bail!("{why}: install it to measure with it");
    }
    let bench = Bench::new(steps)?;
    let rust = [
        "bench",
        "--quiet",
        "--locked",
        "--package",
        "ctalk-core",
        "--bench",
        "classic",
    ];
    // As the library is built: with what its own crate says for the end.
    let small = [
        "--profile",
        "dist",
        "--config",
        "profile.dist.package.ctalk-core.opt-level=\"s\"",
    ];
    for build in [cargo(&rust).args(small), &mut cargo(&rust)] {
        steps.run("Build the Rust side", build.arg("--no-run"))?;
    }
    let sections = [
        bench.overhead(cargo(&rust).args(small), &mut cargo(&rust))?,
        bench.messages()?,
        bench.loading()?,
        bench.large()?,
    ];
    Ok(format!("### bindings\n\n{}", sections.join("\n")))
}

/// The library, and the packages on top of it, as they are installed.
struct Bench {
    library: PathBuf,
    calls: PathBuf,
    large: PathBuf,
    python: PathBuf,
    /// The modules of Node that hold ctalk and its peer.
    node: PathBuf,
    tweetnacl: PathBuf,
}

impl Bench {
    fn new(steps: &mut Steps) -> Result<Self> {
        let prefix = dist::build(steps)?;
        let folder = root().join(target()?).join("bench-bindings");
        fs::create_dir_all(&folder)?;
        let library = dist::shared_library(&prefix);
        let calls = c_program(steps, &prefix, &folder, "calls")?;
        let large = c_program(steps, &prefix, &folder, "large")?;

        let venv = folder.join("venv");
        empty_environment(steps, &venv)?;
        let python = venv.join("bin/python");
        steps.run(
            "Python: install the package, and PyNaCl",
            command(&python)
                .args(["-m", "pip", "install", "--quiet", "./bindings/python"])
                .args(["--requirement", "tests/interop/python/requirements.txt"])
                .env("CTALK_LIBRARY", &library),
        )?;
        let (node, tweetnacl) = (folder.join("node"), folder.join("tweetnacl"));
        for (title, from, to) in [
            ("Node: install the package", "bindings/node", &node),
            ("Node: install TweetNaCl", "tests/interop/node", &tweetnacl),
        ] {
            replace_folder(&root().join(from), to)?;
            let install = ["ci", "--omit", "dev", "--ignore-scripts", "--no-fund"];
            steps.run(title, command("npm").args(install).arg("--prefix").arg(to))?;
        }
        Ok(Self {
            library,
            calls,
            large,
            python,
            node: node.join("src/index.js"),
            tweetnacl: tweetnacl.join("clawtalk.js"),
        })
    }

    fn python(&self, arguments: &[&str]) -> Command {
        let mut python = command(&self.python);
        python.args(arguments);
        python
    }

    fn node(&self, arguments: &[&str]) -> Command {
        let mut node = command("node");
        node.args(arguments).env("CTALK_LIBRARY", &self.library);
        node
    }

    /// What C adds to a call of Rust.
    fn overhead(&self, small: &mut Command, fast: &mut Command) -> Result<String> {
        let [c, rust, fast] = in_turn([&mut command(&self.calls), small, fast])?;
        let mut table = format!(
            "Calls from C and from Rust, the programs in turn, the least time of {ROUNDS} rounds. Both begin \
             with bytes and end with JSON; C also reads its options, and handles. Rust is \
             built as the library is, for size; the last column is Rust built for speed, as in `classic`.\n\n\
             | call | C | Rust | overhead | limit | Rust for speed |\n\
             | --- | --- | --- | --- | --- | --- |\n"
        );
        for (call, of_c, of_rust) in [
            (
                "`ctalk_classic_seal`, 1 KiB",
                "seal_sign_1k",
                "seal_sign_json_1k",
            ),
            (
                "`ctalk_classic_open`, 1 KiB",
                "verify_open_1k",
                "verify_open_1k",
            ),
            ("`ctalk_card_serial`", "card_serial", ""),
            ("`ctalk_identity_fingerprint`", "identity_fingerprint", ""),
        ] {
            let from_c = least(&c, &format!("{of_c}_min_ns"))?;
            let name = format!("{of_rust}_min_ns");
            // A field of a struct takes no time.
            let from_rust = least(&rust, &name).unwrap_or(0.0);
            let overhead = from_c - from_rust;
            table.push_str(&format!(
                "| {call} | {} | {} | {overhead:.0} ns | {}: {} | {} |\n",
                duration(from_c),
                duration(from_rust),
                duration(OVERHEAD_NS),
                verdict(overhead < OVERHEAD_NS),
                duration(least(&fast, &name).unwrap_or(0.0))
            ));
        }
        Ok(table)
    }

    /// A message in ClawTalk's format, from a value to a value.
    fn messages(&self) -> Result<String> {
        let program = "xtask/bindings/classic.py";
        let ours = &mut self.python(&[program, "ctalk"]);
        let [python, pynacl] = in_turn([ours, &mut self.python(&[program, "pynacl"])])?;
        let program = "xtask/bindings/classic.mjs";
        let ours = &mut self.node(&[program, "ctalk"]);
        let theirs = &mut self.node(&[program, "tweetnacl"]);
        let [node, tweetnacl] = in_turn([ours.arg(&self.node), theirs.arg(&self.tweetnacl)])?;
        let mut table = format!(
            "A message of 1 KiB in ClawTalk's format, from a value to JSON, or back, with canonical string \
             and base64 on both sides; the programs in turn, medians of {ROUNDS} rounds of the least \
             time. ctalk keeps a \
             peer's box key, the peers compute it for each message; the last column is theirs with the key \
             kept.\n\n\
             | operation | from | ctalk | peer | ctalk / peer | limit | peer, key kept |\n\
             | --- | --- | --- | --- | --- | --- | --- |\n"
        );
        for (from, ours, theirs, limit) in [
            ("Python, PyNaCl", python, pynacl, PYTHON_LIMIT),
            ("Node, TweetNaCl", node, tweetnacl, NODE_LIMIT),
        ] {
            for name in MESSAGE {
                let [ctalk, peer, kept] = [
                    median(&ours, &format!("{name}_min_ns"))?,
                    median(&theirs, &format!("{name}_min_ns"))?,
                    median(&theirs, &format!("kept_{name}_min_ns"))?,
                ];
                table.push_str(&format!(
                    "| `{name}` | {from} | {} | {} | {} | {}: {} | {} |\n",
                    duration(ctalk),
                    duration(peer),
                    ratio(ctalk / peer),
                    ratio(limit),
                    verdict(ctalk / peer <= limit),
                    duration(kept)
                ));
            }
        }
        Ok(table)
    }

    /// How long the packages take to load, and what there is to load.
    fn loading(&self) -> Result<String> {
        let module = |path: &Path| format!("import({:?})", path.display().to_string());
        let times = wall_times(
            &mut [
                self.python(&["-c", "pass"]),
                self.python(&["-c", "import ctalk"]),
                self.python(&["-c", "import nacl.public, nacl.signing"]),
                self.node(&["-e", "0"]),
                self.node(&["-e", &module(&self.node)]),
                self.node(&["-e", &module(&self.tweetnacl)]),
            ],
            STARTS,
        )?;
        let medians: Vec<_> = times.iter().map(|times| percentile(times, 50)).collect();
        let mut table = format!(
            "Starts of a program that imports a package, less those of one that does nothing; {STARTS} runs \
             of each in turn, spawn to exit, medians.\n\n\
             | import | time | limit |\n| --- | --- | --- |\n"
        );
        let names = [
            "",
            "`ctalk` in Python",
            "PyNaCl",
            "",
            "`ctalk` in Node",
            "TweetNaCl",
        ];
        let mut bare = 0.0;
        for (number, (name, median)) in names.iter().zip(medians).enumerate() {
            if name.is_empty() {
                bare = median;
                continue;
            }
            let limit = if number == 1 {
                format!(
                    "{}: {}",
                    duration(IMPORT_NS),
                    verdict(median - bare < IMPORT_NS)
                )
            } else {
                String::new()
            };
            table.push_str(&format!(
                "| {name} | {} | {limit} |\n",
                duration(median - bare)
            ));
        }
        let size = fs::metadata(&self.library)?.len();
        table.push_str(&format!(
            "\n`libctalk.so`, stripped, with the client: {:.2} MiB (limit {} MiB: {}).\n",
            size as f64 / f64::from(1 << 20),
            dist::MAX_SHARED >> 20,
            verdict(size <= dist::MAX_SHARED)
        ));
        Ok(table)
    }

    /// How often 64 MiB are copied on their way.
    fn large(&self) -> Result<String> {
        let c = measurements(&output(&mut command(&self.large))?);
        let python = measurements(&output(&mut self.python(&["xtask/bindings/large.py"]))?);
        let mut node = BTreeMap::new();
        for call in ["seal", "open", "seal_async", "open_async", "stream"] {
            let mut large = self.node(&["--expose-gc", "xtask/bindings/large.mjs"]);
            node.extend(measurements(&output(large.arg(&self.node).arg(call))?));
        }
        let mut table = String::from(
            "64 MiB through one call: by how much the process grew at most, the copies among that (what it \
             grew beyond the result, in units of 64 MiB; copies are whole, what is left is the language's \
             own), and the limit.\n\n\
             | call | grew | copies | limit |\n| --- | --- | --- | --- |\n",
        );
        for (call, all, name, limit) in [
            ("C, seal", &c, "seal", 0.0),
            ("C, open", &c, "open", 0.0),
            ("C, seal a stream", &c, "stream", 0.0),
            ("Python, `seal`", &python, "seal", 1.0),
            ("Python, `open`, `payload`", &python, "open", 1.0),
            ("Python, `seal_file`", &python, "stream", 0.0),
            ("Node, `sealSync`", &node, "seal", 1.0),
            ("Node, `openSync`", &node, "open", 1.0),
            (
                "Node, `seal`: one of what goes in, one of what comes out",
                &node,
                "seal_async",
                2.0,
            ),
            (
                "Node, `open`: one of what goes in, one of what comes out",
                &node,
                "open_async",
                2.0,
            ),
            ("Node, `sealStream`", &node, "stream", 1.0),
        ] {
            let growth = measurement(all, &format!("{name}_growth"))?;
            let copies = (growth - measurement(all, &format!("{name}_result"))?) / LARGE;
            table.push_str(&format!(
                "| {call} | {:.1} MiB | {copies:.2} | {limit:.0}: {} |\n",
                growth / f64::from(1 << 20),
                verdict(copies < limit + 0.5)
            ));
        }
        Ok(table)
    }
}

/// Builds a program against the installed library.
fn c_program(steps: &mut Steps, prefix: &Path, folder: &Path, name: &str) -> Result<PathBuf> {
    let program = folder.join(name);
    let lib = prefix.join("lib");
    let line = format!(
        "cc -O2 -Wall -Wextra -Werror xtask/bindings/{name}.c $(pkg-config --cflags --libs ctalk) \
         -Wl,-rpath,{} -o {}",
        lib.display(),
        program.display()
    );
    steps.run(
        &format!("Build {name}.c"),
        command("sh")
            .args(["-c", &line])
            .env("PKG_CONFIG_PATH", lib.join("pkgconfig")),
    )?;
    Ok(program)
}

/// The measurements that the programs print, each program run once in each round.
fn in_turn<const N: usize>(
    mut programs: [&mut Command; N],
) -> Result<[Vec<BTreeMap<String, f64>>; N]> {
    let mut printed = [const { Vec::new() }; N];
    for round in 1..=ROUNDS {
        println!("round {round} of {ROUNDS}");
        for (program, printed) in programs.iter_mut().zip(&mut printed) {
            printed.push(measurements(&output(program)?));
        }
    }
    Ok(printed)
}

/// For a difference of two times: what disturbs one round more than another would show in it.
fn least(rounds: &[BTreeMap<String, f64>], name: &str) -> Result<f64> {
    let mut least = f64::INFINITY;
    for round in rounds {
        least = least.min(measurement(round, name)?);
    }
    Ok(least)
}

/// As people say it: a small one as a part of 1.
fn ratio(value: f64) -> String {
    if value > 0.1 {
        format!("{value:.2}")
    } else {
        format!("1 / {:.0}", 1.0 / value)
    }
}
