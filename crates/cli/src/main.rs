//! The ctalk command line.
fn main() {}
