//! Parts that are accepted, and parts that are refused.

use base64::{
    Engine,
    engine::general_purpose::{STANDARD, URL_SAFE_NO_PAD},
};

use super::{
    super::{ExpectedPart, InputKind, Vector},
    At, Vectors,
};
use crate::{
    forge::{self, plus_order},
    forged_part::{ForgedPart, PART},
    forged_statement::signer,
    support::{CREATED, DAY, EXPIRES, SKEW, alice, mallory},
};

/// Accepted.
pub(super) fn valid() -> Vectors {
    let text = accepted("part-text-form", "the one-line form of a part", 2, |_| ());
    let line = STANDARD.decode(&text.1.input).unwrap();
    let text_form = Vector {
        kind: InputKind::TextPart,
        input: format!("ctalk2p:{}", URL_SAFE_NO_PAD.encode(line)),
        ..text.1
    };
    vec![
        accepted("part-first", "the first of three parts", 0, |_| ()),
        accepted("part-last", "the last of three parts", 2, |_| ()),
        accepted(
            "part-last-of-one-byte",
            "a last slice of one byte",
            2,
            |part| {
                part.length = 2 * 2048 + 1;
                part.slice.truncate(1);
            },
        ),
        accepted(
            "part-last-of-the-longest",
            "the last of as many parts as there can be, of an envelope of 96 MiB",
            0,
            |part| {
                part.length = 100_663_296;
                part.index = 49_151;
            },
        ),
        accepted(
            "part-now-latest",
            "read as late as possible, expires + 5 minutes",
            2,
            |_| (),
        )
        .at(EXPIRES + SKEW),
        accepted(
            "part-now-earliest",
            "read as early as possible, 30 days and 5 minutes before it expires",
            2,
            |_| (),
        )
        .at(EXPIRES - 30 * DAY - SKEW),
        ("part-text-form".to_owned(), text_form),
    ]
}

fn accepted(
    file: &str,
    description: &str,
    index: u16,
    change: impl FnOnce(&mut ForgedPart),
) -> (String, Vector) {
    let mut part = ForgedPart::new(index);
    change(&mut part);
    let expected = ExpectedPart {
        sender: hex::encode(part.sender),
        id: hex::encode(part.id),
        index: part.index,
        count: part
            .length
            .div_ceil(part.slice_len.into())
            .try_into()
            .unwrap(),
        slice_length: part.slice_len,
        length: part.length,
        expires: part.expires,
        digest: hex::encode(part.digest),
        slice: STANDARD.encode(&part.slice),
    };
    let vector = Vector {
        description: description.to_owned(),
        kind: InputKind::Part,
        now: CREATED + DAY,
        input: STANDARD.encode(part.make()),
        part: Some(expected),
        ..Vector::default()
    };
    (file.to_owned(), vector)
}

fn refused(
    class: &str,
    file: &str,
    description: &str,
    change: impl FnOnce(&mut ForgedPart),
) -> (String, Vector) {
    let mut part = ForgedPart::last();
    change(&mut part);
    refused_bytes(class, file, description, &part.make())
}

fn damaged(
    class: &str,
    file: &str,
    description: &str,
    change: impl FnOnce(&mut Vec<u8>),
) -> (String, Vector) {
    let mut bytes = ForgedPart::last().make();
    change(&mut bytes);
    refused_bytes(class, file, description, &bytes)
}

fn refused_bytes(class: &str, file: &str, description: &str, bytes: &[u8]) -> (String, Vector) {
    let vector = Vector {
        description: description.to_owned(),
        class: Some(class.to_owned()),
        kind: InputKind::Part,
        now: CREATED + DAY,
        input: STANDARD.encode(bytes),
        ..Vector::default()
    };
    (file.to_owned(), vector)
}

/// Refused.
pub(super) fn invalid() -> Vectors {
    [grammar(), signatures(), lives()].concat()
}

fn grammar() -> Vectors {
    let malformed = |file, description, change: &dyn Fn(&mut ForgedPart)| {
        refused("malformed", file, description, change)
    };
    let cut = |file, description, change: &dyn Fn(&mut Vec<u8>)| {
        damaged("malformed", file, description, change)
    };
    vec![
        cut("part-empty", "no bytes at all", &|bytes| bytes.clear()),
        cut("part-cut", "the last byte is missing", &|bytes| {
            bytes.pop();
        }),
        cut("part-byte-appended", "a byte follows", &|bytes| {
            bytes.push(0);
        }),
        cut(
            "part-168-bytes",
            "one byte less than any part has",
            &|bytes| {
                bytes.truncate(168);
            },
        ),
        malformed("part-magic-wrong", "another magic", &|part| {
            part.start[0] = b'C';
        }),
        malformed(
            "part-kind-of-an-envelope",
            "the kind of an envelope",
            &|part| {
                part.start[5] = b'e';
            },
        ),
        refused("newer", "part-version-3", "version 3", |part| {
            part.start[6] = 3;
        }),
        refused(
            "newer",
            "part-version-1-other-rest",
            "version 1, and nothing of the rest as it should be",
            |part| {
                part.start[6] = 1;
                part.slice_len = 0;
                part.index = u16::MAX;
            },
        ),
        refused("newer", "part-suite-2", "suite 2", |part| part.start[7] = 2),
        malformed(
            "part-index-is-count",
            "the fourth of three parts, with a slice",
            &|part| part.index = 3,
        ),
        malformed("part-index-largest", "index 65,535", &|part| {
            part.index = u16::MAX;
        }),
        malformed(
            "part-index-of-another",
            "the last slice as that of the first part",
            &|part| part.index = 0,
        ),
        malformed("part-slice-empty", "no slice", &|part| part.slice.clear()),
        malformed(
            "part-slice-short",
            "a byte of the slice is missing",
            &|part| {
                part.slice.pop();
            },
        ),
        malformed("part-slice-long", "a byte too many in the slice", &|part| {
            part.slice.push(0);
        }),
        malformed(
            "part-length-one-more",
            "the envelope has a byte more than the slices",
            &|part| part.length += 1,
        ),
        malformed(
            "part-length-lies",
            "the envelope has one slice more, so that this one is not the last",
            &|part| part.length += 2048,
        ),
        malformed(
            "part-length-one-slice",
            "an envelope that fits into one slice",
            &|part| {
                part.length = 2048;
                part.index = 0;
                part.slice = vec![b'x'; 2048];
            },
        ),
        malformed("part-length-zero", "an envelope of no bytes", &|part| {
            part.length = 0;
            part.index = 0;
        }),
        malformed(
            "part-length-too-large",
            "an envelope of 96 MiB and one byte",
            &|part| {
                part.length = 100_663_297;
                part.index = 49_152;
                part.slice.truncate(1);
            },
        ),
        malformed(
            "part-length-largest",
            "an envelope of 2^32 - 1 bytes",
            &|part| {
                part.length = u32::MAX;
                part.slice = vec![b'x'; 2048];
            },
        ),
        malformed("part-slice-length-zero", "slices of no bytes", &|part| {
            part.slice_len = 0;
        }),
        malformed("part-slice-length-2047", "slices of 2,047 bytes", &|part| {
            part.slice_len = 2047;
            part.index = 0;
            part.slice = vec![b'x'; 2047];
        }),
        malformed(
            "part-slice-length-44801",
            "slices of 44,801 bytes, of which this is the last",
            &|part| {
                part.slice_len = 44_801;
                part.length = 44_802;
                part.index = 1;
                part.slice = vec![b'x'];
            },
        ),
        malformed("part-expires-too-large", "2^53", &|part| {
            part.expires = 1 << 53;
        }),
    ]
}

fn signatures() -> Vectors {
    let refused = |file, description, change: &dyn Fn(&mut ForgedPart)| {
        refused("not-verified", file, description, change)
    };
    let altered = |file, description, place: usize| {
        damaged("not-verified", file, description, |bytes| bytes[place] ^= 1)
    };
    vec![
        altered("part-altered-id", "another id", 8),
        altered("part-altered-expires", "another end", 39),
        altered("part-altered-digest", "another digest", 72),
        altered("part-altered-slice", "another first byte of the slice", 104),
        damaged(
            "not-verified",
            "part-altered-signature",
            "another last byte of the signature",
            |bytes| *bytes.last_mut().unwrap() ^= 1,
        ),
        refused(
            "part-signed-by-another",
            "signed by somebody else than the sender, as a recipient of the envelope could",
            &|part| part.sign = signer(mallory(), PART),
        ),
        refused(
            "part-signature-without-label",
            "signed without the label",
            &|part| part.sign = signer(alice(), b""),
        ),
        refused(
            "part-signature-other-label",
            "signed under the label of a card",
            &|part| part.sign = signer(alice(), b"ctalk/card/2"),
        ),
        refused(
            "part-signature-s-plus-order",
            "a signature with a number above the order",
            &|part| {
                let sign = signer(alice(), PART);
                part.sign = Box::new(move |signed| plus_order(sign(signed)));
            },
        ),
        refused("part-sender-neutral", "a sender of small order", &|part| {
            part.sender = [0; 32];
            part.sender[0] = 1;
            part.sign = Box::new(|signed| {
                let mut key = [0; 32];
                key[0] = 1;
                forge::sign_under_small_order(&key, &[PART, signed].concat())
            });
        }),
        refused(
            "part-sender-no-point",
            "a sender that is no point",
            &|part| {
                part.sender = [0; 32];
                part.sender[0] = 2;
            },
        ),
    ]
}

fn lives() -> Vectors {
    vec![
        refused("expired", "part-expired", "a millisecond too late", |_| ()).at(EXPIRES + SKEW + 1),
        refused(
            "expired",
            "part-expires-too-late",
            "an end that no envelope has that was sealed by now",
            |_| (),
        )
        .at(EXPIRES - 30 * DAY - SKEW - 1),
    ]
}
