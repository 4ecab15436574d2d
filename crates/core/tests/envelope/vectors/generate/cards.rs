//! Cards that are refused.

use base64::{Engine, engine::general_purpose::STANDARD};
use curve25519_dalek::{MontgomeryPoint, constants::EIGHT_TORSION};
use ed25519_dalek::Signer;

use super::{
    super::{
        InputKind, Vector,
        points::{number, prime_plus, small_order},
    },
    Vectors,
};
use crate::{
    forge::{self, ForgedCard},
    support::{CREATED, bob, mallory},
};

fn invalid_card(
    class: &str,
    file: &str,
    description: &str,
    change: impl FnOnce(&mut ForgedCard),
) -> (String, Vector) {
    let mut card = ForgedCard::new(&bob());
    change(&mut card);
    invalid_card_bytes(class, file, description, card.make())
}

fn invalid_card_bytes(
    class: &str,
    file: &str,
    description: &str,
    bytes: Vec<u8>,
) -> (String, Vector) {
    let vector = Vector {
        description: description.to_owned(),
        class: Some(class.to_owned()),
        kind: InputKind::Card,
        now: CREATED,
        input: STANDARD.encode(bytes),
        ..Vector::default()
    };
    (file.to_owned(), vector)
}

/// All of them.
pub(super) fn all() -> Vectors {
    let bytes = |class, file, description, change: &dyn Fn(&mut Vec<u8>)| {
        let mut bytes = ForgedCard::new(&bob()).make();
        change(&mut bytes);
        invalid_card_bytes(class, file, description, bytes)
    };
    let start = |class, file, description, place: usize, byte: u8| {
        invalid_card(class, file, description, |card| card.start[place] = byte)
    };
    let mut all = vec![
        bytes("malformed", "card-empty", "no bytes at all", &|bytes| {
            bytes.clear()
        }),
        bytes(
            "malformed",
            "card-cut",
            "one byte less than the shortest card",
            &|bytes| bytes.truncate(1378),
        ),
        bytes(
            "malformed",
            "card-byte-missing",
            "the last byte was cut off",
            &|bytes| {
                bytes.pop();
            },
        ),
        bytes(
            "malformed",
            "card-byte-appended",
            "a byte was appended",
            &|bytes| bytes.push(0),
        ),
        bytes("malformed", "card-twice", "two cards in one", &|bytes| {
            bytes.extend_from_within(..)
        }),
        bytes(
            "not-verified",
            "card-altered-serial",
            "the serial was altered",
            &|bytes| bytes[15] ^= 1,
        ),
        bytes(
            "not-verified",
            "card-altered-name",
            "the name was altered",
            &|bytes| bytes[1313] ^= 1,
        ),
        bytes(
            "not-verified",
            "card-altered-signature",
            "the signature was altered",
            &|bytes| {
                *bytes.last_mut().unwrap() ^= 1;
            },
        ),
        bytes(
            "not-verified",
            "card-anothers-signing-key",
            "the signing key was replaced",
            &|bytes| {
                bytes[32..64].copy_from_slice(&mallory().verifying());
            },
        ),
        bytes(
            "not-verified",
            "card-anothers-encryption-key",
            "the encryption key was replaced",
            &|bytes| {
                bytes[64..96].copy_from_slice(&mallory().encryption());
            },
        ),
        bytes(
            "not-verified",
            "card-anothers-xwing-key",
            "the X-Wing key was replaced",
            &|bytes| {
                bytes[96..1312].copy_from_slice(&mallory().xwing());
            },
        ),
        start("malformed", "card-magic-wrong", "another magic", 0, b'x'),
        start(
            "malformed",
            "card-kind-of-an-envelope",
            "the kind byte of an envelope",
            5,
            b'e',
        ),
        start("newer", "card-version-1", "version 1", 6, 1),
        start("newer", "card-version-3", "version 3", 6, 3),
        start("newer", "card-suite-2", "suite 2", 7, 2),
        bytes(
            "newer",
            "card-version-3-other-rest",
            "version 3, and after the suite 1,371 bytes that break every rule of version 2",
            &|bytes| {
                bytes.resize(1379, 0);
                bytes[6] = 3;
                bytes[8..].fill(0xff);
            },
        ),
        bytes(
            "malformed",
            "card-version-3-cut",
            "version 3 in 1,378 bytes",
            &|bytes| {
                bytes.truncate(1378);
                bytes[6] = 3;
            },
        ),
        bytes(
            "malformed",
            "card-version-3-too-long",
            "version 3 in 3,001 bytes",
            &|bytes| {
                bytes.resize(3001, 0);
                bytes[6] = 3;
            },
        ),
        bytes(
            "malformed",
            "card-version-3-kind-unknown",
            "version 3 of a kind byte that nothing has",
            &|bytes| bytes[5..7].copy_from_slice(b"x\x03"),
        ),
        invalid_card(
            "malformed",
            "card-life-none",
            "expires is created",
            |card| card.expires = card.created,
        ),
        invalid_card(
            "malformed",
            "card-life-negative",
            "expires before created",
            |card| card.expires = card.created - 1,
        ),
        invalid_card(
            "malformed",
            "card-expires-too-large",
            "expires is 2^53",
            |card| card.expires = 1 << 53,
        ),
        invalid_card(
            "malformed",
            "card-times-too-large",
            "both times are beyond 2^53",
            |card| {
                card.created = 1 << 53;
                card.expires = u64::MAX;
            },
        ),
        invalid_card(
            "not-verified",
            "card-signature-s-plus-order",
            "S plus the group order",
            |card| {
                card.sign = Box::new(|statement| {
                    forge::plus_order(bob().signing_key().sign(statement).to_bytes())
                });
            },
        ),
        invalid_card(
            "not-verified",
            "card-signature-r-neutral",
            "R is the neutral element and the equation holds",
            |card| {
                card.sign =
                    Box::new(|statement| forge::sign_with_neutral_r(&bob(), number(1), statement));
            },
        ),
        invalid_card(
            "not-verified",
            "card-signature-other-label",
            "signed under the label of segments",
            |card| {
                card.label = b"ctalk/segment/2".to_vec();
            },
        ),
        invalid_card(
            "not-verified",
            "card-signature-without-label",
            "signed without a label",
            |card| card.label.clear(),
        ),
        invalid_card(
            "malformed",
            "card-bytes-before-signature",
            "a signed byte between addresses and signature",
            |card| card.more = vec![0],
        ),
    ];
    all.extend(invalid_card_keys());
    all.extend(invalid_card_texts());
    all
}

fn invalid_card_keys() -> Vectors {
    let signing = |file: &str, description: &str, key: [u8; 32]| {
        invalid_card("malformed", file, description, move |card| {
            card.signing = key
        })
    };
    let encryption = |file: &str, description: &str, key: [u8; 32]| {
        invalid_card("malformed", file, description, move |card| {
            card.encryption = key
        })
    };
    let xwing = |file: &str, description: &str, x25519: [u8; 32]| {
        invalid_card("malformed", file, description, move |card| {
            card.xwing[1184..].copy_from_slice(&x25519);
        })
    };
    let top_bit = |mut key: [u8; 32]| {
        key[31] |= 0x80;
        key
    };
    let torsion = {
        let point = MontgomeryPoint(bob().encryption()).to_edwards(0).unwrap();
        (point + EIGHT_TORSION[1]).to_montgomery().to_bytes()
    };
    let mut all = vec![
        signing(
            "card-signing-key-no-point",
            "the signing key is no point",
            number(2),
        ),
        signing(
            "card-signing-key-neutral",
            "the signing key is of small order",
            number(1),
        ),
        signing(
            "card-signing-key-above-prime",
            "the signing key is y = p + 3",
            prime_plus(3),
        ),
        encryption(
            "card-encryption-key-above-prime",
            "the encryption key is p + 9, which is 9 again",
            prime_plus(9),
        ),
        encryption(
            "card-encryption-key-top-bit",
            "the encryption key has its top bit set",
            top_bit(bob().encryption()),
        ),
        encryption(
            "card-encryption-key-mixed-order",
            "the encryption key plus a point of order 8",
            torsion,
        ),
        encryption(
            "card-encryption-key-on-the-twist",
            "the encryption key is no point of the curve",
            number(2),
        ),
        xwing(
            "card-xwing-above-prime",
            "the X25519 part of the X-Wing key is p + 9",
            prime_plus(9),
        ),
        xwing(
            "card-xwing-top-bit",
            "the X25519 part of the X-Wing key has its top bit set",
            top_bit(number(9)),
        ),
        invalid_card(
            "malformed",
            "card-mlkem-coefficient-3329",
            "a coefficient of the ML-KEM key is q",
            |card| {
                // The first coefficient is the low 12 bits of the first two bytes.
                card.xwing[0] = 0x01;
                card.xwing[1] = (card.xwing[1] & 0xf0) | 0x0d;
            },
        ),
        invalid_card(
            "malformed",
            "card-mlkem-coefficient-4095",
            "the last coefficient of the ML-KEM key is 4095",
            |card| {
                card.xwing[1151] = 0xff;
                card.xwing[1150] |= 0xf0;
            },
        ),
    ];
    for (place, coordinate) in small_order().into_iter().enumerate() {
        all.push(encryption(
            &format!("card-encryption-key-small-order-{place}"),
            "the encryption key is of small order",
            coordinate,
        ));
        all.push(xwing(
            &format!("card-xwing-small-order-{place}"),
            "the X25519 part of the X-Wing key is of small order",
            coordinate,
        ));
    }
    all
}

fn invalid_card_texts() -> Vectors {
    let name = |file: &str, description: &str, name: &[u8]| {
        invalid_card("malformed", file, description, |card| {
            card.name = name.to_vec()
        })
    };
    let addresses = |file: &str, description: &str, addresses: &[&[u8]]| {
        invalid_card("malformed", file, description, |card| {
            card.addresses = addresses.iter().map(|address| address.to_vec()).collect();
        })
    };
    vec![
        name("card-name-empty", "a name of no characters", b""),
        name("card-name-too-long", "a name of 65 bytes", &[b'x'; 65]),
        name("card-name-line-feed", "a line feed in the name", b"bo\nb"),
        name("card-name-escape", "an escape in the name", b"\x1b[31mbob"),
        name("card-name-zero", "a zero in the name", b"bob\0"),
        name("card-name-delete", "a delete in the name", b"bob\x7f"),
        name(
            "card-name-c1-control",
            "U+0085 in the name",
            "bob\u{85}".as_bytes(),
        ),
        name("card-name-not-utf8", "a name that is not UTF-8", b"b\xf6b"),
        name(
            "card-name-surrogate",
            "a surrogate in the name",
            b"\xed\xbf\xbf",
        ),
        addresses(
            "card-addresses-nine",
            "nine addresses",
            &[b"1", b"2", b"3", b"4", b"5", b"6", b"7", b"8", b"9"],
        ),
        addresses("card-address-empty", "an address of no characters", &[b""]),
        addresses(
            "card-address-too-long",
            "an address of 256 bytes",
            &[&[b'x'; 256]],
        ),
        addresses(
            "card-address-twice",
            "the same address twice",
            &[b"a", b"b", b"a"],
        ),
        addresses("card-address-control", "a tab in an address", &[b"a\tb"]),
        addresses(
            "card-address-not-utf8",
            "an address that is not UTF-8",
            &[b"\xc3"],
        ),
        invalid_card("malformed", "card-too-long", "3,001 bytes", |card| {
            card.addresses = longest_addresses(b"bob");
            card.name = b"bobb".to_vec();
        }),
    ]
}

/// Addresses that make a card of 3,000 bytes. They differ in their first character.
pub(super) fn longest_addresses(name: &[u8]) -> Vec<Vec<u8>> {
    let mut room = 3000 - 64 - 1 - 1313 - name.len();
    let mut addresses = Vec::new();
    while room > 0 {
        let length = 255.min(room - 2);
        let mut address = vec![b'x'; length];
        address[0] = b'a' + u8::try_from(addresses.len()).unwrap();
        addresses.push(address);
        room -= length + 2;
    }
    addresses
}
