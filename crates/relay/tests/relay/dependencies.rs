//! The relay is blind: nothing it is built from can open a message.

use std::process::Command;

#[test]
fn no_dependency_can_open_a_message() {
    let output = Command::new(env!("CARGO"))
        .args(["tree", "--package", "ctalk-relay", "--edges", "normal"])
        .args([
            "--prefix",
            "none",
            "--format",
            "{p}",
            "--offline",
            "--locked",
        ])
        .current_dir(env!("CARGO_MANIFEST_DIR"))
        .output()
        .unwrap();
    assert!(
        output.status.success(),
        "{}",
        String::from_utf8_lossy(&output.stderr)
    );
    let tree = String::from_utf8(output.stdout).unwrap();
    let names: Vec<_> = tree
        .lines()
        .filter_map(|line| line.split(' ').next())
        .collect();
    assert!(
        names.contains(&"ctalk-relay") && names.contains(&"sha2"),
        "{tree}"
    );
    for name in names {
        let opens = ["ctalk-core", "crypto_box", "hpke", "x-wing", "ml-kem"].contains(&name)
            || name.ends_with("-dalek");
        assert!(!opens, "{name} is a dependency of the relay");
    }
}
