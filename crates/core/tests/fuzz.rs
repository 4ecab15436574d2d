//! What fuzzing found worth keeping, replayed.
#![allow(
    missing_docs,
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::indexing_slicing,
    clippy::panic,
    reason = "a test fails by panicking"
)]

#[path = "../../../fuzz/src/lib.rs"]
#[allow(unreachable_pub, reason = "it is a library of its own")]
mod targets;

use std::{
    fs,
    path::{Path, PathBuf},
};

use targets::{TARGETS, check};

/// What is in a folder of `fuzz/`, in order.
fn list(folder: &str) -> Vec<PathBuf> {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR"))
        .join("../../fuzz")
        .join(folder);
    let mut paths: Vec<_> = fs::read_dir(&folder)
        .unwrap_or_else(|error| panic!("{}: {error}", folder.display()))
        .map(|entry| entry.unwrap().path())
        .collect();
    paths.sort();
    paths
}

fn names(paths: &[PathBuf]) -> Vec<&str> {
    paths
        .iter()
        .map(|path| path.file_stem().unwrap().to_str().unwrap())
        .collect()
}

#[test]
fn every_target_has_a_program_and_a_corpus() {
    let targets: Vec<_> = TARGETS.iter().map(|(name, _)| *name).collect();
    assert_eq!(names(&list("fuzz_targets")), targets);
    assert_eq!(names(&list("corpus")), targets);
}

/// Were nothing accepted, the targets would check little, for instance because the format changed.
#[test]
fn every_file_of_the_corpus_passes_its_target_and_some_are_accepted() {
    for (target, _) in TARGETS {
        let mut accepted = 0;
        for file in list(&format!("corpus/{target}")) {
            // Shown when the target panics.
            println!("{}", file.display());
            accepted += usize::from(check(target, &fs::read(&file).unwrap()));
        }
        assert!(accepted >= 5, "{target} accepts only {accepted}");
    }
}

#[test]
fn the_corpus_stays_small() {
    for (target, _) in TARGETS {
        let files = list(&format!("corpus/{target}"));
        let bytes: u64 = files
            .iter()
            .map(|file| file.metadata().unwrap().len())
            .sum();
        let count = files.len();
        assert!(
            count <= 500 && bytes <= 2 << 20,
            "{target} has {count} files of {bytes} bytes; minimise it as fuzz/README.md says"
        );
    }
}
