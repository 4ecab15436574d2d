//! Section 10 of `docs/ENVELOPE.md`, which is made here and must stand there.

use std::{fmt::Write, fs, path::PathBuf};

use crate::{
    forge::{self, Forge, Recipient, hkdf, nonce, plaintexts, sha256, text_content},
    support::{CREATED, EXPIRES, Seeded, alice, bob},
};

/// What the generator of the vectors seals `worked-example` with.
const SEED: &str = "vector/worked-example";

const HEADING: &str = "## 10. Worked example\n";

fn page() -> PathBuf {
    PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("../../docs/ENVELOPE.md")
}

#[test]
fn the_page_shows_the_worked_example() {
    let page = fs::read_to_string(page()).unwrap();
    let (_, shown) = page.split_once(HEADING).unwrap();
    assert_eq!(shown, section());
}

#[test]
#[ignore = "writes the page"]
fn write_the_worked_example() {
    let text = fs::read_to_string(page()).unwrap();
    let (before, _) = text.split_once(HEADING).unwrap();
    fs::write(page(), format!("{before}{HEADING}{}", section())).unwrap();
}

fn section() -> String {
    let mut rng = Seeded::new(SEED);
    let (id, key): ([u8; 16], [u8; 32]) = (rng.array(), rng.array());
    let encapsulation_seed: [u8; 64] = rng.array();
    let (alice, bob) = (alice(), bob());

    let mut forge = Forge::new(SEED, &text_content(b"hello, bob"));
    let header = forge.header();
    let segments = forge.segments(&header);
    let segment = &segments[0];
    let (prefix, wrap) = header.split_at(106 + 16);
    let t = sha256(&[prefix]);
    let digest = sha256(&[&header]);
    let (sealed, signature) = segment.split_at(segment.len() - 64);
    let h0 = sha256(&[b"ctalk/header/2", &header]);
    let d = sha256(&[sealed]);
    let plaintext = &plaintexts(&forge.content)[0];

    let mut text = "
The vector `tests/vectors/envelope/valid/worked-example.json`: alice sends bob the text \"hello, bob\".
Everything is in hex.

The inputs. The last one is what X-Wing's deterministic encapsulation takes: 32 bytes for ML-KEM, then
the ephemeral X25519 secret.

"
    .to_owned();
    block(
        &mut text,
        &[
            ("alice's signing seed", &alice.signing_seed),
            ("alice's signing key", &alice.verifying()),
            ("bob's signing key", &bob.verifying()),
            ("bob's X-Wing seed", &bob.xwing_seed),
            ("SHA-256 of bob's X-Wing key", &sha256(&[&bob.xwing()])),
            ("id", &id),
            ("created", &CREATED.to_be_bytes()),
            ("expires", &EXPIRES.to_be_bytes()),
            ("K", &key),
            ("for the encapsulation", &encapsulation_seed),
        ],
    );
    text.push_str("\nThe steps of section 5.\n\n");
    block(
        &mut text,
        &[
            ("hint", &forge::hint(&id, &Recipient::from(&bob))),
            ("commitment", &hkdf(&key, &id, b"ctalk/commitment/2")),
            ("t", &t),
            (
                "info",
                &[b"ctalk/wrap/2", &t[..], &bob.verifying()].concat(),
            ),
            ("SHA-256(header)", &digest),
            ("k", &hkdf(&key, &digest, b"ctalk/body/2")),
            ("H_0", &h0),
            ("nonce of segment 0", &nonce(0, true)),
            ("plaintext of segment 0", plaintext),
            ("d", &d),
            ("what is signed", &forge::statement(&h0, 0, true, &d)),
        ],
    );
    text.push_str(
        "\nIn the plaintext, `used` is 28: metadata of 18 bytes (kind 1, three absent fields, \
         \"text/plain\",\ntwo absent fields) and 10 bytes of payload.\n\nThe envelope, field by \
         field.\n\n",
    );
    block(
        &mut text,
        &[
            ("magic", &prefix[..5]),
            ("kind, version, suite", &prefix[5..8]),
            ("id", &prefix[8..24]),
            ("created", &prefix[24..32]),
            ("expires", &prefix[32..40]),
            ("sender", &prefix[40..72]),
            ("commitment", &prefix[72..104]),
            ("r", &prefix[104..106]),
            ("hint 0", &prefix[106..]),
            ("wrap 0: encapsulation", &wrap[..1120]),
            ("wrap 0: sealed content key", &wrap[1120..]),
            ("segment 0: ciphertext", &sealed[..sealed.len() - 16]),
            ("segment 0: tag", &sealed[sealed.len() - 16..]),
            ("segment 0: signature", signature),
        ],
    );
    text
}

/// A code block with a name and bytes for each entry, 32 to a line.
fn block(text: &mut String, entries: &[(&str, &[u8])]) {
    text.push_str("```\n");
    for (name, bytes) in entries {
        for (place, line) in bytes.chunks(32).enumerate() {
            let name = if place == 0 { name } else { "" };
            writeln!(text, "{name:<29}{}", hex::encode(line)).unwrap();
        }
    }
    text.push_str("```\n");
}
