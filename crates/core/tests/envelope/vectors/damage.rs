//! What becomes of valid vectors when a bit or an end is lost.

use ctalk_core::envelope::Header;

use super::{
    Vector, read_folder,
    run::{Input, Outcome},
};
use crate::support::Seeded;

/// Up to this many bytes every bit is flipped and every prefix tried; of what is longer, a bit of
/// every byte of the header, and samples.
const EXHAUSTIVE: usize = 4096;
const SAMPLES: usize = 2000;

fn refused(vector: &Vector, identity: Option<&ctalk_core::Identity>, input: &Input) -> bool {
    matches!(vector.read(identity, input), Outcome::Refused(_))
}

#[test]
fn every_strict_prefix_is_refused() {
    for (name, vector) in read_folder("valid") {
        let identity = vector.identity();
        let length = match vector.input() {
            Input::Bytes(bytes) => bytes.len(),
            Input::Text(text) => text.len(),
        };
        let lengths: Vec<usize> = if length <= EXHAUSTIVE * 4 / 3 + 8 {
            (0..length).collect()
        } else {
            let mut rng = Seeded::new(format!("prefix/{name}"));
            (0..SAMPLES).map(|_| rng.below(length)).collect()
        };
        for length in lengths {
            let prefix = match vector.input() {
                Input::Bytes(bytes) => Input::Bytes(bytes[..length].to_vec()),
                Input::Text(text) => Input::Text(text[..length].to_owned()),
            };
            assert!(
                refused(&vector, identity.as_ref(), &prefix),
                "{name} cut to {length}"
            );
        }
    }
}

#[test]
fn every_flipped_bit_is_refused() {
    for (name, vector) in read_folder("valid") {
        let identity = vector.identity();
        let Input::Bytes(mut bytes) = vector.input() else {
            continue;
        };
        let mut rng = Seeded::new(format!("flip/{name}"));
        let bits: Vec<usize> = if bytes.len() <= EXHAUSTIVE {
            (0..bytes.len() * 8).collect()
        } else {
            let header = Header::length(&bytes).unwrap();
            let body = bytes.len() - header;
            let samples = (0..SAMPLES).map(|_| header + rng.below(body));
            let places: Vec<_> = (0..header).chain(samples).collect();
            places
                .iter()
                .map(|place| place * 8 + rng.below(8))
                .collect()
        };
        for bit in bits {
            bytes[bit / 8] ^= 1 << (bit % 8);
            let input = Input::Bytes(bytes);
            assert!(
                refused(&vector, identity.as_ref(), &input),
                "{name} with bit {bit} flipped"
            );
            let Input::Bytes(damaged) = input else {
                panic!("the input is bytes")
            };
            bytes = damaged;
            bytes[bit / 8] ^= 1 << (bit % 8);
        }
    }
}

#[test]
fn every_other_character_of_a_text_is_refused() {
    for (name, vector) in read_folder("valid") {
        let identity = vector.identity();
        let Input::Text(text) = vector.input() else {
            continue;
        };
        for place in 0..text.len() {
            for bit in 0..7 {
                let mut text = text.clone().into_bytes();
                text[place] ^= 1 << bit;
                let text = Input::Text(String::from_utf8(text).unwrap());
                assert!(
                    refused(&vector, identity.as_ref(), &text),
                    "{name} with bit {bit} of character {place} flipped"
                );
            }
        }
    }
}

#[test]
fn whatever_follows_is_refused() {
    for (name, vector) in read_folder("valid") {
        let identity = vector.identity();
        let longer: Vec<Input> = match vector.input() {
            Input::Bytes(bytes) => [vec![0], bytes.clone(), vec![0; 85]]
                .into_iter()
                .map(|more| Input::Bytes([bytes.clone(), more].concat()))
                .collect(),
            Input::Text(text) => ["A", "\n", "\r\n", " ", "=", "\0", "AAAA", text.as_str()]
                .into_iter()
                .map(|more| Input::Text(format!("{text}{more}")))
                .collect(),
        };
        for input in longer {
            assert!(refused(&vector, identity.as_ref(), &input), "{name}");
        }
    }
}
