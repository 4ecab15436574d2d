//! Envelopes that are refused before they are opened: grammar, senders, signatures, times.

use curve25519_dalek::constants::EIGHT_TORSION;
use ed25519_dalek::Signer;

use super::{
    super::{
        Vector,
        points::{number, odd_neutral_elements, prime_plus},
    },
    At, Vectors, damaged, put, reader, refused, refused_bytes,
};
use crate::{
    forge::{self, Forge, Recipient, Sign, Statement, plaintext, sha256, text_content},
    support::{CREATED, DAY, EXPIRES, SKEW, alice, bob, carol, mallory},
};

/// All of them.
pub(super) fn all() -> Vectors {
    let mut all = grammar();
    all.extend(senders());
    all.extend(signatures());
    all.extend(damages());
    all.extend(times_and_recipients());
    all
}

fn grammar() -> Vectors {
    let prefix = |class, file, description, place, bytes: &[u8]| {
        refused(class, file, description, |forge| {
            forge.edit_prefix = Box::new(put(place, bytes));
        })
    };
    let time = |time: u64| time.to_be_bytes();
    vec![
        damaged("malformed", "empty", "no bytes at all", |bytes| {
            bytes.clear()
        }),
        damaged("malformed", "magic-cut", "four bytes", |bytes| {
            bytes.truncate(4)
        }),
        damaged(
            "malformed",
            "start-cut",
            "one byte less than the fixed fields",
            |bytes| {
                bytes.truncate(105);
            },
        ),
        damaged(
            "malformed",
            "hints-missing",
            "ends after the number of recipients",
            |bytes| {
                bytes.truncate(106);
            },
        ),
        damaged("malformed", "hints-cut", "ends within the hints", |bytes| {
            bytes.truncate(121)
        }),
        damaged("malformed", "wraps-cut", "ends within the wraps", |bytes| {
            bytes.truncate(106 + 16 + 1167);
        }),
        damaged(
            "malformed",
            "segments-missing",
            "ends after the header",
            |bytes| {
                bytes.truncate(106 + 16 + 1168);
            },
        ),
        damaged(
            "malformed",
            "segment-too-short",
            "a segment of 84 bytes, whose slot is empty",
            |bytes| {
                bytes.truncate(106 + 16 + 1168 + 84);
            },
        ),
        damaged(
            "not-verified",
            "segment-shortest",
            "cut to a segment of 85 bytes, which has a slot but no longer its signature",
            |bytes| {
                bytes.truncate(106 + 16 + 1168 + 85);
            },
        ),
        refused(
            "malformed",
            "slot-empty",
            "a signed segment with an empty slot",
            |forge| {
                forge.plaintexts = Some(vec![plaintext(0, b"")]);
            },
        ),
        prefix("malformed", "magic-wrong", "another magic", 0, b"dtalk"),
        prefix(
            "malformed",
            "magic-upper-case",
            "the magic in capitals",
            0,
            b"CTALK",
        ),
        prefix(
            "malformed",
            "kind-of-a-card",
            "the kind byte of a card",
            5,
            b"c",
        ),
        prefix(
            "malformed",
            "kind-unknown",
            "a kind byte that nothing has",
            5,
            b"x",
        ),
        prefix("newer", "version-1", "version 1", 6, &[1]),
        prefix("newer", "version-3", "version 3", 6, &[3]),
        prefix("newer", "version-255", "version 255", 6, &[255]),
        prefix("newer", "suite-0", "suite 0", 7, &[0]),
        prefix("newer", "suite-2", "suite 2", 7, &[2]),
        damaged(
            "newer",
            "version-3-other-rest",
            "version 3, and after the suite 98 bytes that break every rule of version 2",
            |bytes| {
                bytes.truncate(106);
                bytes[6] = 3;
                bytes[8..].fill(0xff);
            },
        ),
        damaged(
            "malformed",
            "version-3-cut",
            "version 3 in 105 bytes",
            |bytes| {
                bytes.truncate(105);
                bytes[6] = 3;
            },
        ),
        prefix(
            "malformed",
            "version-3-kind-unknown",
            "version 3 of a kind byte that nothing has",
            5,
            b"x\x03",
        ),
        prefix(
            "malformed",
            "created-too-large",
            "created is 2^53",
            24,
            &time(1 << 53),
        ),
        prefix(
            "malformed",
            "expires-too-large",
            "both times are beyond 2^53",
            24,
            &[0xff; 16],
        ),
        prefix(
            "malformed",
            "expires-beyond-latest",
            "created is 2^53 - 1 and expires 2^53",
            24,
            &[time((1 << 53) - 1), time(1 << 53)].concat(),
        ),
        prefix(
            "malformed",
            "life-none",
            "expires is created",
            32,
            &time(CREATED),
        ),
        prefix(
            "malformed",
            "life-negative",
            "expires before created",
            32,
            &time(CREATED - 1),
        ),
        prefix(
            "malformed",
            "life-too-long",
            "30 days and a millisecond",
            32,
            &time(CREATED + 30 * DAY + 1),
        ),
        prefix(
            "malformed",
            "recipients-none",
            "no recipient is counted",
            104,
            &[0, 0],
        ),
        prefix(
            "malformed",
            "recipients-1025",
            "1,025 recipients are counted",
            104,
            &[4, 1],
        ),
        prefix(
            "malformed",
            "recipients-one-more",
            "one recipient more is counted than is there",
            104,
            &[0, 2],
        ),
        refused(
            "malformed",
            "recipients-no-bytes",
            "no recipient, and none is counted",
            |forge| {
                forge.recipients.clear();
            },
        ),
        refused(
            "malformed",
            "hints-unsorted",
            "two hints in descending order",
            |forge| {
                forge.recipients.push((&carol()).into());
                forge.edit_recipients = Box::new(|recipients| recipients.reverse());
            },
        ),
        refused(
            "malformed",
            "hints-equal",
            "the same recipient twice",
            |forge| {
                forge.recipients.push((&bob()).into());
            },
        ),
    ]
}

fn senders() -> Vectors {
    let sender = |file: &str, description: &str, key: [u8; 32]| {
        refused("not-verified", file, description, move |forge| {
            forge.sender = key
        })
    };
    let [negative_zero, prime_plus_one] = odd_neutral_elements();
    let mut all = vec![
        sender(
            "sender-no-point",
            "the sender's key is no point: y = 2",
            number(2),
        ),
        sender(
            "sender-y-above-prime",
            "the sender's key is y = p + 3, a point in a second encoding",
            prime_plus(3),
        ),
        sender(
            "sender-neutral-above-prime",
            "the sender's key is y = p + 1",
            prime_plus_one,
        ),
        sender(
            "sender-negative-zero",
            "the sender's key is x = -0, y = 1",
            negative_zero,
        ),
        sender(
            "sender-other",
            "the sender's key is another's",
            mallory().verifying(),
        ),
        refused(
            "not-verified",
            "sender-mixed-order-cofactored",
            "the sender's key has a part of small order, and the equation holds only times the cofactor",
            |forge| {
                forge.sender = forge::mixed_order_key(&alice());
                forge.sign = Box::new(|statement| forge::sign_mixed(&alice(), false, statement));
            },
        ),
    ];
    for (place, point) in EIGHT_TORSION.iter().enumerate() {
        let key = point.compress().to_bytes();
        all.push(refused(
            "not-verified",
            &format!("sender-small-order-{place}"),
            "the sender's key is of small order and the equation holds",
            move |forge| {
                forge.sender = key;
                forge.sign =
                    Box::new(move |statement| forge::sign_under_small_order(&key, statement));
            },
        ));
    }
    all
}

fn signatures() -> Vectors {
    let signed = |file: &str, description: &str, sign: Sign| {
        refused("not-verified", file, description, move |forge| {
            forge.sign = sign
        })
    };
    let stated = |file: &str, description: &str, statement: Statement| {
        refused("not-verified", file, description, move |forge| {
            forge.statement = statement
        })
    };
    let [negative_zero, prime_plus_one] = odd_neutral_elements();
    vec![
        signed(
            "signature-zero",
            "64 zeros for a signature",
            Box::new(|_| [0; 64]),
        ),
        signed(
            "signature-by-another",
            "signed by somebody else than the sender that is named",
            Box::new(|statement| mallory().signing_key().sign(statement).to_bytes()),
        ),
        signed(
            "signature-s-plus-order",
            "S plus the group order",
            Box::new(|statement| {
                forge::plus_order(alice().signing_key().sign(statement).to_bytes())
            }),
        ),
        signed(
            "signature-r-neutral",
            "R is the neutral element and the equation holds",
            Box::new(|statement| forge::sign_with_neutral_r(&alice(), number(1), statement)),
        ),
        signed(
            "signature-r-above-prime",
            "R is the neutral element as y = p + 1 and the equation holds",
            Box::new(move |statement| {
                forge::sign_with_neutral_r(&alice(), prime_plus_one, statement)
            }),
        ),
        signed(
            "signature-r-negative-zero",
            "R is the neutral element as x = -0 and the equation holds",
            Box::new(move |statement| {
                forge::sign_with_neutral_r(&alice(), negative_zero, statement)
            }),
        ),
        stated(
            "signature-not-last",
            "the only segment is signed as one that others follow",
            Box::new(|hash, index, _, digest| forge::statement(hash, index, false, digest)),
        ),
        stated(
            "signature-other-index",
            "segment 0 is signed as segment 1",
            Box::new(|hash, index, last, digest| forge::statement(hash, index + 1, last, digest)),
        ),
        stated(
            "signature-other-hash",
            "signed over another running hash",
            Box::new(|hash, index, last, digest| {
                forge::statement(&sha256(&[hash]), index, last, digest)
            }),
        ),
        stated(
            "signature-other-digest",
            "signed over another ciphertext",
            Box::new(|hash, index, last, digest| {
                forge::statement(hash, index, last, &sha256(&[digest]))
            }),
        ),
        stated(
            "signature-other-label",
            "signed under the label of cards",
            Box::new(|hash, index, last, digest| {
                let statement = forge::statement(hash, index, last, digest);
                [b"ctalk/card/2", &statement[15..]].concat()
            }),
        ),
        stated(
            "signature-without-label",
            "signed without a label",
            Box::new(|hash, index, last, digest| {
                forge::statement(hash, index, last, digest)[15..].to_vec()
            }),
        ),
    ]
}

fn damages() -> Vectors {
    let flip = |file: &str, description: &str, place: usize| {
        damaged("not-verified", file, description, move |bytes| {
            bytes[place] ^= 1
        })
    };
    let segment = 106 + 16 + 1168;
    vec![
        flip("altered-id", "the id was altered", 8),
        flip("altered-created", "created was altered", 31),
        flip("altered-expires", "expires was altered", 39),
        flip("altered-commitment", "the commitment was altered", 72),
        flip("altered-hint", "the hint was altered", 106),
        flip(
            "altered-encapsulation",
            "the encapsulation was altered",
            106 + 16,
        ),
        flip(
            "altered-sealed-key",
            "the sealed content key was altered",
            106 + 16 + 1120,
        ),
        flip(
            "altered-ciphertext",
            "the ciphertext was altered",
            segment + 10,
        ),
        flip("altered-tag", "the tag was altered", segment + 4 + 256),
        flip(
            "altered-signature-r",
            "R of the signature was altered",
            segment + 4 + 256 + 16,
        ),
        flip(
            "altered-signature-s",
            "S of the signature was altered",
            segment + 4 + 256 + 48,
        ),
        damaged(
            "not-verified",
            "signature-stripped",
            "the signature was cut off",
            |bytes| {
                bytes.truncate(bytes.len() - 64);
            },
        ),
        damaged(
            "not-verified",
            "byte-missing",
            "the last byte was cut off",
            |bytes| {
                bytes.pop();
            },
        ),
        damaged(
            "not-verified",
            "byte-appended",
            "a byte was appended",
            |bytes| bytes.push(0),
        ),
        damaged(
            "not-verified",
            "line-feed-appended",
            "a line feed was appended",
            |bytes| {
                bytes.push(b'\n');
            },
        ),
        damaged(
            "malformed",
            "line-feed-before",
            "a line feed stands before it",
            |bytes| {
                bytes.insert(0, b'\n');
            },
        ),
        damaged(
            "not-verified",
            "twice",
            "the whole envelope twice",
            |bytes| {
                bytes.extend_from_within(..);
            },
        ),
        damaged(
            "not-verified",
            "segment-twice",
            "the only segment twice",
            |bytes| {
                bytes.extend_from_within(106 + 16 + 1168..);
            },
        ),
        recipient_removed(),
        recipient_added(),
        wraps_swapped(),
    ]
}

fn recipient_removed() -> (String, Vector) {
    let file = "recipient-removed";
    let mut bytes = Forge::new(&format!("vector/{file}"), &text_content(b"hello, bob"))
        .to(&[&bob(), &carol()])
        .make();
    let hints = 106..106 + 32;
    let id: [u8; 16] = bytes[8..24].try_into().unwrap();
    let carols = forge::hint(&id, &Recipient::from(&carol()));
    let place = bytes[hints]
        .as_chunks()
        .0
        .iter()
        .position(|hint| *hint == carols)
        .unwrap();
    bytes.drain(106 + 32 + place * 1168..106 + 32 + (place + 1) * 1168);
    bytes.drain(106 + place * 16..106 + (place + 1) * 16);
    bytes[105] = 1;
    refused_bytes("not-verified", file, "a co-recipient was taken out", bytes)
}

fn recipient_added() -> (String, Vector) {
    let file = "recipient-added";
    let mut bytes = Forge::new(&format!("vector/{file}"), &text_content(b"hello, bob")).make();
    let first = bytes[106];
    let mut hint = [0xff; 16];
    hint[0] = first;
    let wrap: Vec<u8> = bytes[106 + 16..106 + 16 + 1168].to_vec();
    bytes.splice(106 + 16 + 1168..106 + 16 + 1168, wrap);
    bytes.splice(106 + 16..106 + 16, hint);
    bytes[105] = 2;
    refused_bytes("not-verified", file, "a co-recipient was added", bytes)
}

fn wraps_swapped() -> (String, Vector) {
    let file = "wraps-swapped";
    let mut bytes = Forge::new(&format!("vector/{file}"), &text_content(b"hello, bob"))
        .to(&[&bob(), &carol()])
        .make();
    let wraps = &mut bytes[106 + 32..106 + 32 + 2 * 1168];
    wraps.rotate_left(1168);
    refused_bytes("not-verified", file, "two wraps changed places", bytes)
}

fn times_and_recipients() -> Vectors {
    let mut others_xwing = bob();
    others_xwing.xwing_seed = mallory().xwing_seed;
    let mut all = vec![
        damaged(
            "expired",
            "expired",
            "a millisecond after expires + 5 minutes",
            |_| (),
        )
        .at(EXPIRES + SKEW + 1),
        damaged("expired", "expired-long-ago", "long after its life", |_| ()).at((1 << 53) - 1),
        damaged(
            "expired",
            "from-the-future",
            "a millisecond before created - 5 minutes",
            |_| (),
        )
        .at(CREATED - SKEW - 1),
        refused(
            "not-for-me",
            "for-somebody-else",
            "to carol alone",
            |forge| {
                forge.recipients = vec![(&carol()).into()];
            },
        ),
        refused(
            "not-for-me",
            "for-my-xwing-key-on-anothers-card",
            "to bob's X-Wing key on a card that mallory signed, passed on by mallory",
            |forge| {
                forge.recipients[0].signing = mallory().verifying();
            },
        ),
        refused(
            "not-for-me",
            "for-my-signing-key-with-anothers-xwing-key",
            "to mallory's X-Wing key on bob's card",
            |forge| {
                forge.recipients[0].xwing = mallory().xwing();
            },
        ),
        refused(
            "not-for-me",
            "hint-random",
            "the wrap is bob's and its hint is not",
            |forge| {
                forge.edit_recipients = Box::new(|recipients| recipients[0].0 = [7; 16]);
            },
        ),
        refused(
            "not-for-me",
            "hint-of-another-id",
            "the hint was made with another id",
            |forge| {
                forge.edit_recipients = Box::new(|recipients| {
                    recipients[0].0 = forge::hint(&[7; 16], &recipients[0].1);
                });
            },
        ),
    ];
    let (file, mut vector) = damaged(
        "not-for-me",
        "xwing-key-replaced",
        "bob no longer has the X-Wing key that it was sealed to",
        |_| (),
    );
    vector.recipient = reader(&others_xwing);
    all.push((file, vector));
    all
}
