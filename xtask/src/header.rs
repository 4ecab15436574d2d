//! `cargo xtask header`: the header of the C library, from its sources.

use std::fs;
use std::path::PathBuf;

use anyhow::{Context, Result, anyhow};
use cbindgen::{Builder, Config};

use crate::workspace::root;

/// Writes the header anew.
pub(crate) fn run() -> Result<()> {
    let path = committed();
    fs::write(&path, generate()?).with_context(|| format!("cannot write {}", path.display()))
}

fn committed() -> PathBuf {
    library().join("include/ctalk.h")
}

fn library() -> PathBuf {
    root().join("crates/ffi")
}

fn generate() -> Result<String> {
    let config = Config::from_file(library().join("cbindgen.toml"))
        .map_err(|why| anyhow!("cbindgen.toml: {why}"))?;
    let bindings = Builder::new()
        .with_config(config)
        .with_src(library().join("src/lib.rs"))
        .generate()
        .context("cannot read crates/ffi")?;
    let mut header = Vec::new();
    bindings.write(&mut header);
    String::from_utf8(header).context("the header is not UTF-8")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_committed_header_is_that_of_the_sources() {
        let committed = fs::read_to_string(committed()).unwrap();
        assert!(
            committed == generate().unwrap(),
            "ctalk.h is out of date; `cargo xtask header` writes it anew"
        );
    }
}
