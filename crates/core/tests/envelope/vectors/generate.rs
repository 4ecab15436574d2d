//! Making the vectors. `cargo test -p ctalk-core --test envelope -- --ignored make_the_vectors`
//! writes all files anew, always the same.

mod cards;
mod header;
mod inside;
mod parts;
mod texts;
mod valid;

use std::fs;

use base64::{Engine, engine::general_purpose::STANDARD};

use super::{InputKind, Reader, Vector, folder};
use crate::{
    forge::{Forge, text_content},
    support::{CREATED, DAY, Person, bob},
};

#[test]
#[ignore = "writes files"]
fn make_the_vectors() {
    for (name, vectors) in [("valid", valid()), ("invalid", invalid())] {
        for (file, vector) in vectors {
            let text = serde_json::to_string_pretty(&vector).unwrap();
            fs::write(folder(name).join(file + ".json"), text + "\n").unwrap();
        }
    }
}

#[test]
fn the_vectors_are_those_that_are_made() {
    for (name, vectors) in [("valid", valid()), ("invalid", invalid())] {
        let mut found: Vec<_> = super::read_folder(name);
        let mut made = vectors;
        made.sort_by(|(left, _), (right, _)| left.cmp(right));
        found.retain(|(file, _)| made.iter().any(|(other, _)| other == file));
        assert_eq!(
            found.len(),
            made.len(),
            "{name}: names are missing or double"
        );
        for ((file, made), (_, found)) in made.iter().zip(&found) {
            // Not `assert_eq`, because some are megabytes long.
            assert!(made == found, "{name}/{file} differs from what is made");
        }
    }
}

type Vectors = Vec<(String, Vector)>;

fn reader(person: &Person) -> Option<Reader> {
    Some(Reader {
        signing_key: hex::encode(person.verifying()),
        signing_seed: hex::encode(person.signing_seed),
        xwing_seed: hex::encode(person.xwing_seed),
    })
}

fn valid() -> Vectors {
    let mut all = valid::all();
    all.extend(parts::valid());
    all
}

fn invalid() -> Vectors {
    let mut all = header::all();
    all.extend(inside::all());
    all.extend(cards::all());
    all.extend(parts::invalid());
    all.extend(texts::all());
    all
}

/// A vector read at another time.
trait At {
    fn at(self, now: u64) -> Self;
}

impl At for (String, Vector) {
    fn at(mut self, now: u64) -> Self {
        self.1.now = now;
        self
    }
}

/// An envelope that is refused. From alice to bob, read by bob a day later, but for `change`.
fn refused(
    class: &str,
    file: &str,
    description: &str,
    change: impl FnOnce(&mut Forge),
) -> (String, Vector) {
    let mut forge = Forge::new(&format!("vector/{file}"), &text_content(b"hello, bob"));
    change(&mut forge);
    refused_bytes(class, file, description, forge.make())
}

/// An envelope that was damaged after its sender had finished it.
fn damaged(
    class: &str,
    file: &str,
    description: &str,
    change: impl FnOnce(&mut Vec<u8>),
) -> (String, Vector) {
    let mut bytes = Forge::new(&format!("vector/{file}"), &text_content(b"hello, bob")).make();
    change(&mut bytes);
    refused_bytes(class, file, description, bytes)
}

fn refused_bytes(class: &str, file: &str, description: &str, bytes: Vec<u8>) -> (String, Vector) {
    let vector = Vector {
        description: description.to_owned(),
        class: Some(class.to_owned()),
        kind: InputKind::Envelope,
        now: CREATED + DAY,
        recipient: reader(&bob()),
        input: STANDARD.encode(bytes),
        ..Vector::default()
    };
    (file.to_owned(), vector)
}

/// Overwrites what stands at `place`.
fn put(place: usize, bytes: &[u8]) -> impl Fn(&mut Vec<u8>) + 'static {
    let bytes = bytes.to_vec();
    move |target| target[place..place + bytes.len()].copy_from_slice(&bytes)
}
