//! The C library as C programs see it: what it exports, and programs with and without mistakes, built
//! by two compilers, linked in both ways and watched by two checkers of memory.

mod abi;
mod vectors;

use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

use anyhow::Result;

use crate::debian::{self, CLANG, CMAKE, GCC, GPP, PKG_CONFIG, Tool, VALGRIND};
use crate::dist;
use crate::steps::Steps;
use crate::workspace::{cargo, command, root, target};

/// What the tests need.
pub(crate) const TOOLS: [&Tool; 6] = [&GCC, &GPP, &CLANG, &VALGRIND, &PKG_CONFIG, &CMAKE];

const SOURCES: &str = "crates/ffi/tests/c";
const INCLUDE: &str = "crates/ffi/include";
const FLAGS: [&str; 7] = [
    "-std=c11",
    "-D_XOPEN_SOURCE=700",
    "-Wall",
    "-Wextra",
    "-Wpedantic",
    "-Werror",
    "-g",
];
/// Builds the library with its points of failure, and does all of it.
pub(crate) fn test(steps: &mut Steps) -> Result<()> {
    if let Some(why) = debian::lacking(&TOOLS) {
        return steps.skip("The C library", &why);
    }
    // All packages, as elsewhere, so that features agree and little is built twice.
    let build = ["build", "--workspace", "--lib", "--locked"];
    steps.run(
        "Build libctalk",
        cargo(&build).args(["--features", "ctalk-ffi/fault-points"]),
    )?;
    for (compiler, standard) in [("gcc", "c99"), ("gcc", "c2x"), ("g++", "c++11")] {
        let language = if compiler == "gcc" { "c" } else { "c++" };
        steps.run(
            &format!("C: the header in {standard}"),
            command(compiler)
                .args([&format!("-std={standard}"), "-x", language, "-fsyntax-only"])
                .args(["-Wall", "-Wextra", "-Wpedantic", "-Werror"])
                .arg(format!("{INCLUDE}/ctalk.h")),
        )?;
    }
    let bench = Bench::new()?;
    let calls = bench.build(steps, "gcc", Linkage::Shared, "calls", &[])?;
    let layout = bench.build(steps, "gcc", Linkage::Shared, "layout", &[])?;
    let vectors = bench.build(steps, "gcc", Linkage::Shared, "vectors", &[])?;
    steps.check("C: exports and layouts as listed", || {
        abi::check(&bench.library.join("libctalk.so"), &calls, &layout)
    })?;
    steps.check("C: vectors", || vectors::check(&vectors))?;
    let online = bench.build(steps, "gcc", Linkage::Shared, "online", &[])?;
    steps.run("C: online", &mut command(online))?;
    for compiler in ["gcc", "clang"] {
        for linkage in [Linkage::Shared, Linkage::Static] {
            let title = format!("C: {compiler}, {}, use", linkage.name());
            let program = bench.build(steps, compiler, linkage, "use", &[])?;
            let folder = bench.empty_folder()?;
            steps.run(&title, command(program).arg(folder).arg("quick"))?;
        }
    }
    bench.watched(steps)?;
    installed(steps, &bench)
}

/// The examples, as their first lines say, and one with CMake, from where the library was installed.
fn installed(steps: &mut Steps, bench: &Bench) -> Result<()> {
    let prefix = bench.folder.join("installed");
    steps.check("C: install", || dist::install(&bench.library, &prefix))?;
    for example in ["seal_open", "send_receive"] {
        let line = format!(
            "cc examples/c/{example}.c $(pkg-config --cflags --libs ctalk) -o {0} && {0}",
            bench.folder.join(example).display()
        );
        steps.run(
            &format!("Example: c/{example}.c"),
            command("sh")
                .args(["-c", &line])
                .env("PKG_CONFIG_PATH", prefix.join("lib/pkgconfig"))
                .env("LD_LIBRARY_PATH", prefix.join("lib")),
        )?;
    }
    let build = bench.folder.join("cmake");
    if build.exists() {
        fs::remove_dir_all(&build)?;
    }
    let modules = format!("-DCMAKE_MODULE_PATH={}/share/ctalk/cmake", prefix.display());
    steps.run(
        "C: CMake finds the library",
        command("cmake")
            .args(["-S", "crates/ffi/tests/cmake", "-B"])
            .arg(&build)
            .arg(modules),
    )?;
    steps.run(
        "C: CMake builds with it",
        command("cmake").arg("--build").arg(&build),
    )?;
    for program in ["shared", "static"] {
        steps.run(
            &format!("C: built by CMake, {program}"),
            &mut command(build.join(program)),
        )?;
    }
    Ok(())
}

/// The command that checks whether the exports are the listed ones; with it they are listed anew.
pub(crate) fn list_abi() -> Result<()> {
    let mut steps = Steps::new(crate::steps::Skips::Reported);
    let build = ["build", "--workspace", "--lib", "--locked"];
    steps.run("Build libctalk", &mut cargo(&build))?;
    let bench = Bench::new()?;
    let layout = bench.build(&mut steps, "gcc", Linkage::Shared, "layout", &[])?;
    abi::list(&bench.library.join("libctalk.so"), &layout)
}

#[derive(Clone, Copy)]
enum Linkage {
    Shared,
    Static,
}

impl Linkage {
    fn name(self) -> &'static str {
        match self {
            Self::Shared => "shared",
            Self::Static => "static",
        }
    }
}

/// Where the programs are built.
struct Bench {
    folder: PathBuf,
    /// The folder of the library.
    library: PathBuf,
}

impl Bench {
    fn new() -> Result<Self> {
        let target = root().join(target()?);
        let folder = target.join("c");
        fs::create_dir_all(&folder)?;
        Ok(Self {
            folder,
            library: target.join("debug"),
        })
    }

    fn build(
        &self,
        steps: &mut Steps,
        compiler: &str,
        linkage: Linkage,
        program: &str,
        flags: &[&str],
    ) -> Result<PathBuf> {
        let marks: String = flags.iter().filter_map(|flag| flag.get(..4)).collect();
        let name = format!("{program}-{compiler}-{}{marks}", linkage.name());
        let to = self.folder.join(&name);
        let mut build = command(compiler);
        build
            .args(FLAGS)
            .args(["-I", INCLUDE])
            .args(flags)
            .arg(format!("{SOURCES}/{program}.c"))
            .arg("-o")
            .arg(&to);
        link(&mut build, linkage, &self.library);
        steps.run(&format!("C: build {name}"), &mut build)?;
        Ok(to)
    }

    /// Runs the programs under valgrind, and with what finds errors of addresses.
    fn watched(&self, steps: &mut Steps) -> Result<()> {
        let valgrind = || {
            let mut valgrind = command("valgrind");
            // What Rust keeps for a thread that did not end is only possibly lost.
            valgrind.args([
                "--quiet",
                "--leak-check=full",
                "--errors-for-leak-kinds=definite,indirect",
                "--show-leak-kinds=definite,indirect",
                "--error-exitcode=99",
            ]);
            valgrind
        };
        let calls = self.folder.join("calls-gcc-shared");
        steps.run("C: valgrind, wrong calls", valgrind().arg(calls))?;
        for program in ["use-gcc-shared", "use-clang-static"] {
            steps.run(
                &format!("C: valgrind, {program}"),
                valgrind()
                    .arg(self.folder.join(program))
                    .arg(self.empty_folder()?)
                    .arg("quick"),
            )?;
        }
        // A forked child lacks the threads that would free what they hold.
        let online = self.folder.join("online-gcc-shared");
        steps.run("C: valgrind, online", valgrind().arg(online).arg("alone"))?;
        let flags = ["-fsanitize=address,undefined", "-fno-sanitize-recover=all"];
        let calls = self.build(steps, "gcc", Linkage::Shared, "calls", &flags)?;
        steps.run("C: AddressSanitizer, wrong calls", &mut command(calls))?;
        let online = self.build(steps, "gcc", Linkage::Shared, "online", &flags)?;
        steps.run("C: AddressSanitizer, online", &mut command(online))?;
        let programs = self.build(steps, "gcc", Linkage::Shared, "use", &flags)?;
        steps.run(
            "C: AddressSanitizer, use",
            command(programs).arg(self.empty_folder()?),
        )
    }

    /// A folder for profiles.
    fn empty_folder(&self) -> Result<PathBuf> {
        let folder = self.folder.join("profiles");
        if folder.exists() {
            fs::remove_dir_all(&folder)?;
        }
        fs::create_dir(&folder)?;
        Ok(folder)
    }
}

/// Links with the library in `folder`.
fn link(build: &mut Command, linkage: Linkage, folder: &Path) {
    match linkage {
        Linkage::Shared => {
            build.arg("-L").arg(folder);
            build.arg(format!("-Wl,-rpath,{}", folder.display()));
            build.args(["-lctalk", "-lpthread"]);
        }
        Linkage::Static => {
            build.arg(folder.join("libctalk.a")).args(dist::SYSTEM);
        }
    }
}
