//! Project chores that need more than one cargo command. `cargo xtask` lists them.

mod bench;
mod c_library;
mod chaos;
mod debian;
mod dist;
mod fuzz;
mod header;
mod man;
mod node_package;
mod python_package;
mod ring;
mod screenshots;
mod steps;
mod test;
mod workspace;

use std::process::ExitCode;

const USAGE: &str = "\
usage: cargo xtask COMMAND

  test            run every test of every language; with CI=true nothing may be skipped
  test c          of these, only those of the C library
  test python     only those of the Python package
  test node       of these, only those of the Node package
  abi             write the list of what the C library exports, crates/ffi/abi.txt, anew
  bench [NAME...] measure and print tables: bindings, classic, delivery, envelope, relay, send, startup,
                  store (all when none is named)
  chaos --seeds N deliver 10,000 messages over a failing relay, once with each of N seeds more than the
                  tests try
  dist            build the C library for others, with its header, into target/ctalk
  fuzz --seconds N [--keep] [TARGET...]
                  run each fuzz target for N seconds (all when none is named); with --keep, what
                  reached more goes into fuzz/corpus
  header          write the header of the C library, crates/ffi/include/ctalk.h, anew
  screenshots     take the pictures of the relay's web pages in docs/images anew
  man             write the man pages to target/man";

fn main() -> ExitCode {
    let args: Vec<String> = std::env::args_os()
        .skip(1)
        .map(|arg| arg.to_string_lossy().into_owned())
        .collect();
    let args: Vec<&str> = args.iter().map(String::as_str).collect();
    let outcome = match args.as_slice() {
        ["test"] => test::run(),
        ["test", "c"] => test::c_library_alone(),
        ["test", "python"] => test::python_package_alone(),
        ["test", "node"] => test::node_package_alone(),
        ["abi"] => c_library::list_abi(),
        ["bench", names @ ..] => bench::run(names),
        ["chaos", "--seeds", seeds] => chaos::run(seeds),
        ["dist"] => dist::run(),
        ["fuzz", args @ ..] => fuzz::run(args),
        ["header"] => header::run(),
        ["screenshots"] => screenshots::run(),
        ["man"] => man::run(),
        ["help" | "--help" | "-h"] => {
            println!("{USAGE}");
            return ExitCode::SUCCESS;
        }
        _ => {
            eprintln!("{USAGE}");
            return ExitCode::from(2);
        }
    };
    match outcome {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("error: {error:#}");
            ExitCode::FAILURE
        }
    }
}
