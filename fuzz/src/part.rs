//! Parts of envelopes: any bytes, and any that are properly signed.

use ctalk_core::part::{Part, PartError, VerifiedPart};
use ed25519_dalek::Signer;

use super::people::{ALICE, ALICE_SIGNS};

/// Where the sender's key stands.
const SENDER: core::ops::Range<usize> = 40..72;

/// Bytes before the slice.
const START_LEN: usize = 104;

/// Takes `data` as a part, or else as one without the sender's key and the signature, of alice.
pub(crate) fn check(data: &[u8]) -> bool {
    read(data).is_ok() || signed(data)
}

/// What is signed properly is refused for its grammar alone.
fn signed(data: &[u8]) -> bool {
    let Some((start, rest)) = data.split_at_checked(SENDER.start) else {
        return false;
    };
    let mut bytes = start.to_vec();
    bytes.extend(ALICE.public_keys().verifying().as_bytes());
    bytes.extend(rest);
    let signature = ALICE_SIGNS.sign(&[&b"ctalk/part/2"[..], &bytes].concat());
    bytes.extend(signature.to_bytes());
    match read(&bytes) {
        Ok(()) => true,
        Err(PartError::NotVerified { .. } | PartError::SenderKey(_)) => {
            panic!("key and signature are good")
        }
        Err(_) => false,
    }
}

fn read(bytes: &[u8]) -> Result<(), PartError> {
    let part = Part::parse(bytes)?.verify()?;
    says_what_its_fields_say(&part, bytes);
    has_one_encoding(bytes);
    Ok(())
}

fn says_what_its_fields_say(part: &VerifiedPart<'_>, bytes: &[u8]) {
    let number = |range: core::ops::Range<usize>| {
        bytes[range]
            .iter()
            .fold(0_u64, |number, byte| number << 8 | u64::from(*byte))
    };
    let whole = part.whole();
    assert_eq!(&bytes[..8], b"ctalkp\x02\x01");
    assert_eq!(whole.id().as_bytes()[..], bytes[8..24]);
    assert_eq!(u64::from(part.index()), number(24..26));
    assert_eq!(u64::from(whole.slice_len()), number(26..28));
    assert_eq!(u64::from(whole.length()), number(28..32));
    assert_eq!(whole.expires().as_millis(), number(32..40));
    assert_eq!(whole.sender()[..], bytes[SENDER]);
    assert_eq!(part.sender().as_bytes(), whole.sender());
    assert_eq!(whole.digest()[..], bytes[72..START_LEN]);
    assert_eq!(part.slice(), &bytes[START_LEN..bytes.len() - 64]);

    let range = whole.range(part.index()).unwrap();
    assert_eq!(range.len(), part.slice().len());
    assert!(part.index() < whole.count());
    assert_eq!(whole.range(whole.count()), None);
    let end = whole.range(whole.count() - 1).unwrap().end;
    assert_eq!(end, usize::try_from(whole.length()).unwrap());
}

/// No altered byte, cut or addition is accepted.
fn has_one_encoding(bytes: &[u8]) {
    let accepts = |bytes: &[u8]| Part::parse(bytes).is_ok_and(|part| part.verify().is_ok());
    let mut bytes = bytes.to_vec();
    let last = bytes.len() - 1;
    for place in [0, 8, 24, 26, 28, 32, 40, 72, START_LEN, last - 64, last] {
        bytes[place] ^= 1;
        assert!(!accepts(&bytes), "byte {place}");
        bytes[place] ^= 1;
    }
    assert!(!accepts(&bytes[..last]));
    bytes.push(0);
    assert!(!accepts(&bytes));
}
