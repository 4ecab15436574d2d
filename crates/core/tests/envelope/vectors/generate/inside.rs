//! Envelopes that their sender signed and that are refused when they are opened.

use ed25519_dalek::Signer;

use super::{
    super::{
        Vector,
        points::{number, prime_plus, small_order},
    },
    Vectors, put, refused, refused_bytes,
};
use crate::{
    forge::{
        self, BodyKey, Forge, ForgedCard, Info, NonceOf, Recipient, SEGMENT, SLOT, hkdf, metadata,
        plaintext, sha256, text_content,
    },
    support::{alice, bob, carol, mallory},
};

/// All of them.
pub(super) fn all() -> Vectors {
    let mut all = wraps();
    all.extend(bodies());
    all.extend(paddings());
    all.extend(metadatas());
    all.extend(cards_inside());
    all.extend(long_envelopes());
    all
}

fn wraps() -> Vectors {
    // Each would open if the value were not looked at.
    let encapsulation = |file: &str, description: &str, x25519: [u8; 32], shared: [u8; 32]| {
        refused("cannot-open", file, description, move |forge| {
            forge.x25519 = Some((x25519, shared));
        })
    };
    // What X25519 with bob's secret makes of the base point.
    let bobs: [u8; 32] = bob().xwing()[1184..].try_into().unwrap();
    let info = |file: &str, description: &str, info: Info| {
        refused("cannot-open", file, description, move |forge| {
            forge.info = info
        })
    };
    let mut all = vec![
        encapsulation(
            "encapsulation-prime",
            "the X25519 part is p, which is 0 again",
            prime_plus(0),
            [0; 32],
        ),
        encapsulation(
            "encapsulation-above-prime",
            "the X25519 part is p + 9, which is the base point again",
            prime_plus(9),
            bobs,
        ),
        encapsulation(
            "encapsulation-top-bit",
            "the X25519 part is the base point with the top bit set",
            {
                let mut bytes = number(9);
                bytes[31] = 0x80;
                bytes
            },
            bobs,
        ),
        encapsulation(
            "encapsulation-other",
            "the X25519 part is the base point, sealed under another secret",
            number(9),
            [7; 32],
        ),
        refused(
            "cannot-open",
            "encapsulation-mlkem",
            "the ML-KEM part was altered before signing",
            |forge| {
                forge.edit_wraps = Box::new(|wraps| wraps[0][0] ^= 1);
            },
        ),
        refused(
            "cannot-open",
            "encapsulation-top-bit-added",
            "the X25519 part got its top bit before signing",
            |forge| {
                forge.edit_wraps = Box::new(|wraps| wraps[0][1119] ^= 0x80);
            },
        ),
        refused(
            "cannot-open",
            "sealed-key-tag",
            "the sealed content key's tag was altered before signing",
            |forge| {
                forge.edit_wraps = Box::new(|wraps| wraps[0][1167] ^= 1);
            },
        ),
        refused(
            "cannot-open",
            "wrap-of-another",
            "carol's wrap at bob's place, and bob's at carol's",
            |forge| {
                forge.recipients.push((&carol()).into());
                forge.edit_wraps = Box::new(|wraps| wraps.reverse());
            },
        ),
        info(
            "wrap-without-label",
            "HPKE's info without its label",
            Box::new(|prefix, signing| [&prefix[..], signing].concat()),
        ),
        info(
            "wrap-of-another-header",
            "HPKE's info with another header",
            Box::new(|prefix, signing| [b"ctalk/wrap/2", &sha256(&[prefix])[..], signing].concat()),
        ),
        info(
            "wrap-for-another-identity",
            "HPKE's info with another identity",
            Box::new(|prefix, _| [b"ctalk/wrap/2", &prefix[..], &mallory().verifying()].concat()),
        ),
        refused(
            "cannot-open",
            "content-key-not-committed",
            "the wrap holds another key than the one committed to",
            |forge| {
                forge.wrapped_key = Some([7; 32]);
            },
        ),
        refused(
            "cannot-open",
            "commitment-other",
            "the commitment is to no key",
            |forge| {
                forge.edit_prefix = Box::new(put(72, &[7; 32]));
            },
        ),
        refused(
            "cannot-open",
            "commitment-of-another-id",
            "the commitment was made with another id",
            |forge| {
                let commitment = hkdf(&forge.key, &[7; 16], b"ctalk/commitment/2");
                forge.edit_prefix = Box::new(put(72, &commitment));
            },
        ),
        signed_anew(
            "signed-anew",
            "mallory put her name and signature on alice's envelope",
            false,
        ),
        signed_anew(
            "signed-anew-other-id",
            "mallory put her name, id and signature on alice's envelope",
            true,
        ),
    ];
    for (place, coordinate) in small_order().into_iter().enumerate() {
        all.push(encapsulation(
            &format!("encapsulation-small-order-{place}"),
            "the X25519 part is of small order",
            coordinate,
            [0; 32],
        ));
    }
    all
}

/// Alice's envelope with its wraps and body as they are, but from mallory.
fn signed_anew(file: &str, description: &str, other_id: bool) -> (String, Vector) {
    let (mut header, segments) =
        Forge::new(&format!("vector/{file}"), &text_content(b"hello, bob")).parts();
    header[40..72].copy_from_slice(&mallory().verifying());
    if other_id {
        header[8..24].fill(7);
        let hint = forge::hint(&[7; 16], &Recipient::from(&bob()));
        header[106..122].copy_from_slice(&hint);
    }
    let sealed = &segments[0][..segments[0].len() - 64];
    let hash = sha256(&[b"ctalk/header/2", &header]);
    let statement = forge::statement(&hash, 0, true, &sha256(&[sealed]));
    let signature = mallory().signing_key().sign(&statement).to_bytes();
    refused_bytes(
        "cannot-open",
        file,
        description,
        [&header[..], sealed, &signature].concat(),
    )
}

fn bodies() -> Vectors {
    let nonce = |file: &str, description: &str, nonce: NonceOf| {
        refused("cannot-open", file, description, move |forge| {
            forge.nonce = nonce
        })
    };
    let key = |file: &str, description: &str, key: BodyKey| {
        refused("cannot-open", file, description, move |forge| {
            forge.body_key = key
        })
    };
    vec![
        nonce(
            "nonce-not-last",
            "encrypted as a segment that others follow",
            Box::new(|index, _| (forge::nonce(index, false), Vec::new())),
        ),
        nonce(
            "nonce-other-index",
            "encrypted as segment 1",
            Box::new(|index, last| (forge::nonce(index + 1, last), Vec::new())),
        ),
        nonce(
            "nonce-little-endian",
            "the nonce's parts in another order",
            Box::new(|index, last| {
                let mut nonce = forge::nonce(index, last);
                nonce.reverse();
                (nonce, Vec::new())
            }),
        ),
        nonce(
            "associated-data",
            "encrypted with associated data",
            Box::new(|index, last| (forge::nonce(index, last), b"x".to_vec())),
        ),
        key(
            "body-key-is-content-key",
            "the content key encrypts the body itself",
            Box::new(|key, _| *key),
        ),
        key(
            "body-key-of-another-header",
            "the body key was made with another header",
            Box::new(|key, header| hkdf(key, &sha256(&[&header[1..]]), b"ctalk/body/2")),
        ),
        key(
            "body-key-without-salt",
            "the body key was made without the header",
            Box::new(|key, _| hkdf(key, &[], b"ctalk/body/2")),
        ),
        refused(
            "cannot-open",
            "segment-tag",
            "the segment's tag was altered before signing",
            |forge| {
                forge.edit_sealed = Box::new(|sealed| *sealed.last_mut().unwrap() ^= 1);
            },
        ),
        refused(
            "cannot-open",
            "segment-ciphertext",
            "the segment was altered before signing",
            |forge| {
                forge.edit_sealed = Box::new(|sealed| sealed[0] ^= 1);
            },
        ),
    ]
}

fn paddings() -> Vectors {
    let padded = |file: &str, description: &str, used: usize, slot: Vec<u8>| {
        refused("malformed", file, description, move |forge| {
            forge.plaintexts = Some(vec![plaintext(used, &slot)]);
        })
    };
    let content = text_content(b"hello, bob");
    let slot = |length: usize| {
        let mut slot = content.clone();
        slot.resize(length, 0);
        slot
    };
    let used = content.len();
    let mut dirty_end = slot(256);
    dirty_end[255] = 1;
    let mut dirty_start = slot(256);
    dirty_start[used] = 1;
    let long = |length: usize| text_content(&vec![b'x'; length - 18]);
    vec![
        padded(
            "used-too-large",
            "used is one more than the slot has",
            257,
            slot(256),
        ),
        padded(
            "used-largest",
            "used is 2^32 - 1",
            u32::MAX as usize,
            slot(256),
        ),
        padded(
            "used-one-less",
            "used leaves out the last byte of the content",
            used - 1,
            slot(256),
        ),
        padded(
            "padding-dirty-end",
            "the last byte of the padding is not zero",
            used,
            dirty_end,
        ),
        padded(
            "padding-dirty-start",
            "the first byte of the padding is not zero",
            used,
            dirty_start,
        ),
        padded(
            "padding-none",
            "28 bytes of content without padding",
            used,
            content.clone(),
        ),
        padded("padding-255", "padded to 255", used, slot(255)),
        padded("padding-257", "padded to 257", used, slot(257)),
        padded(
            "padding-next-step",
            "padded to 272, the next length that there is",
            used,
            slot(272),
        ),
        padded("padding-512", "padded to 512", used, slot(512)),
        padded(
            "padding-missing-257",
            "257 bytes of content without padding",
            257,
            long(257),
        ),
        padded(
            "padding-power-of-two",
            "257 bytes of content padded to 512",
            257,
            {
                let mut slot = long(257);
                slot.resize(512, 0);
                slot
            },
        ),
        padded(
            "padding-content-zeros",
            "zeros after the content are counted as content, and padded once more than they need",
            257,
            slot(256 + 32),
        ),
    ]
}

fn metadatas() -> Vectors {
    let content = |file: &str, description: &str, content: Vec<u8>| {
        refused("malformed", file, description, move |forge| {
            forge.content = content
        })
    };
    let text = |value: &[u8]| {
        let length = u16::try_from(value.len()).unwrap().to_be_bytes();
        [&length[..], value].concat()
    };
    let optional = |value: &[u8]| [vec![1], text(value)].concat();
    let absent = || vec![0];
    let fields = |topic: Vec<u8>,
                  correlation: Vec<u8>,
                  reply: Vec<u8>,
                  content_type: Vec<u8>,
                  name: Vec<u8>| {
        [
            vec![1],
            topic,
            correlation,
            reply,
            content_type,
            name,
            absent(),
            b"payload".to_vec(),
        ]
        .concat()
    };
    let plain = || text(b"text/plain");
    let topic = |value: Vec<u8>| fields(value, absent(), absent(), plain(), absent());
    let content_type = |value: &[u8]| fields(absent(), absent(), absent(), text(value), absent());
    let whole = metadata(1, "text/plain");
    vec![
        content("content-empty", "no content at all", Vec::new()),
        content("kind-0", "message kind 0", metadata(0, "text/plain")),
        content("kind-8", "message kind 8", metadata(8, "text/plain")),
        content("kind-255", "message kind 255", metadata(255, "text/plain")),
        content(
            "kind-1-bit-6",
            "a request with a bit that has no meaning",
            metadata(0x41, "text/plain"),
        ),
        content(
            "kind-0-with-receipt",
            "message kind 0 that asks for a receipt",
            metadata(0x80, "text/plain"),
        ),
        content(
            "kind-receipt-with-receipt",
            "a receipt that asks for a receipt",
            metadata(0x84, "text/plain"),
        ),
        content(
            "kind-card-with-receipt",
            "a card that asks for a receipt",
            metadata(0x85, "text/plain"),
        ),
        content(
            "kind-succession-with-receipt",
            "a succession that asks for a receipt",
            metadata(0x86, "text/plain"),
        ),
        content(
            "kind-pairing-with-receipt",
            "a message of a pairing that asks for a receipt",
            metadata(0x87, "text/plain"),
        ),
        content(
            "metadata-cut",
            "the content ends one byte before the metadata does",
            whole[..17].to_vec(),
        ),
        content(
            "metadata-length-cut",
            "the content ends within a length",
            whole[..5].to_vec(),
        ),
        content(
            "metadata-beyond-content",
            "a length that reaches into the padding",
            [&[1_u8, 0, 0, 0, 0, 200][..], &[b'x'; 20]].concat(),
        ),
        content(
            "topic-mark-2",
            "a mark that is neither 0 nor 1",
            topic([vec![2], text(b"t")].concat()),
        ),
        content(
            "topic-mark-255",
            "a mark of 255",
            topic([vec![255], text(b"t")].concat()),
        ),
        content(
            "topic-too-long",
            "a topic of 1,025 bytes",
            topic(optional(&[b't'; 1025])),
        ),
        content(
            "topic-not-utf8",
            "a topic that is not UTF-8",
            topic(optional(b"\xff")),
        ),
        content(
            "topic-overlong-utf8",
            "a topic with an overlong encoding",
            topic(optional(b"\xc0\x80")),
        ),
        content(
            "topic-surrogate",
            "a topic with a surrogate",
            topic(optional(b"\xed\xa0\x80")),
        ),
        content(
            "topic-beyond-unicode",
            "a topic beyond U+10FFFF",
            topic(optional(b"\xf4\x90\x80\x80")),
        ),
        content(
            "correlation-id-too-long",
            "a correlation id of 1,025 bytes",
            fields(
                absent(),
                optional(&[b'c'; 1025]),
                absent(),
                plain(),
                absent(),
            ),
        ),
        content(
            "correlation-id-not-utf8",
            "a correlation id that is not UTF-8",
            fields(absent(), optional(b"\x80"), absent(), plain(), absent()),
        ),
        content(
            "reply-to-too-long",
            "a reply-to of 1,025 bytes",
            fields(
                absent(),
                absent(),
                optional(&[b'r'; 1025]),
                plain(),
                absent(),
            ),
        ),
        content(
            "reply-to-mark-2",
            "a mark that is neither 0 nor 1",
            fields(absent(), absent(), vec![2], plain(), absent()),
        ),
        content(
            "content-type-empty",
            "a content type of no characters",
            content_type(b""),
        ),
        content(
            "content-type-too-long",
            "a content type of 256 characters",
            content_type(&[b'x'; 256]),
        ),
        content(
            "content-type-control",
            "a line feed in the content type",
            content_type(b"text/plain\n"),
        ),
        content(
            "content-type-delete",
            "a delete in the content type",
            content_type(b"text\x7f"),
        ),
        content(
            "content-type-not-ascii",
            "a letter with an accent in the content type",
            content_type("t\u{e9}xt".as_bytes()),
        ),
        content(
            "name-too-long",
            "a name of 256 bytes",
            fields(
                absent(),
                absent(),
                absent(),
                plain(),
                optional(&[b'n'; 256]),
            ),
        ),
        content(
            "name-not-utf8",
            "a name that is not UTF-8",
            fields(absent(), absent(), absent(), plain(), optional(b"\xfe")),
        ),
    ]
}

fn cards_inside() -> Vectors {
    let card = |file: &str, description: &str, card: Vec<u8>| {
        refused("malformed", file, description, move |forge| {
            let length = u16::try_from(card.len()).unwrap().to_be_bytes();
            let mut content = metadata(1, "text/plain");
            content.pop();
            content.push(1);
            content.extend(length);
            content.extend(&card);
            content.extend(b"hello, bob");
            forge.content = content;
        })
    };
    let alices = |change: &dyn Fn(&mut ForgedCard)| {
        let mut card = ForgedCard::new(&alice());
        change(&mut card);
        card.make()
    };
    vec![
        card(
            "inside-card-of-another",
            "a valid card of somebody else than the sender",
            ForgedCard::new(&mallory()).make(),
        ),
        card(
            "inside-card-not-signed",
            "the sender's card with a wrong signature",
            alices(&|card| card.sign = Box::new(|_| [0; 64])),
        ),
        card(
            "inside-card-newer",
            "the sender's card of version 3",
            alices(&|card| card.start[6] = 3),
        ),
        card(
            "inside-card-cut",
            "the sender's card without its last byte",
            {
                let mut bytes = ForgedCard::new(&alice()).make();
                bytes.pop();
                bytes
            },
        ),
        card("inside-card-empty", "a card of no bytes", Vec::new()),
        card("inside-card-too-long", "a card of 3,001 bytes", {
            let mut bytes = ForgedCard::new(&alice()).make();
            bytes.resize(3001, 0);
            bytes
        }),
    ]
}

/// What needs two segments, and so a megabyte for each.
fn long_envelopes() -> Vectors {
    let content = text_content(&vec![b'x'; SLOT - 18]);
    let parts = |file: &str| Forge::new(&format!("vector/{file}"), &content).parts();
    let (header, segments) = parts("long-last-segment-missing");
    let missing = [&header[..], &segments[0]].concat();
    let (header, segments) = parts("long-segments-swapped");
    let swapped = [&header[..], &segments[1], &segments[0]].concat();
    assert_eq!(segments[0].len(), SEGMENT);
    let (file, description) = (
        "long-last-segment-full",
        "the only segment is full, as no padded length ends",
    );
    let full = refused("malformed", file, description, |forge| {
        forge.plaintexts = Some(vec![plaintext(SLOT, &content)]);
    });
    vec![
        full,
        refused_bytes(
            "not-verified",
            "long-last-segment-missing",
            "the last of two segments was cut off",
            missing,
        ),
        refused_bytes(
            "not-verified",
            "long-segments-swapped",
            "two segments changed places",
            swapped,
        ),
    ]
}
