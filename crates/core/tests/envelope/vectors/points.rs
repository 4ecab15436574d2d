//! Points that must not be: of small order, and in other encodings than the canonical one.

use curve25519_dalek::constants::EIGHT_TORSION;

/// Non-canonical encodings of the neutral element's `y = 1`: the sign of `x = 0`, and `p + 1`.
pub(super) fn odd_neutral_elements() -> [[u8; 32]; 2] {
    let mut negative_zero = [0; 32];
    negative_zero[0] = 1;
    negative_zero[31] = 0x80;
    [negative_zero, prime_plus(1)]
}

/// The prime 2^255 - 19 plus a little, little-endian.
pub(super) fn prime_plus(addend: u8) -> [u8; 32] {
    let mut bytes = [0xff; 32];
    bytes[0] = 0xed + addend;
    bytes[31] = 0x7f;
    bytes
}

pub(super) fn number(number: u8) -> [u8; 32] {
    let mut bytes = [0; 32];
    bytes[0] = number;
    bytes
}

/// The coordinates of small order, canonical.
pub(super) fn small_order() -> [[u8; 32]; 5] {
    let torsion = |place: usize| EIGHT_TORSION[place].to_montgomery().to_bytes();
    let mut minus_one = prime_plus(0);
    minus_one[0] -= 1;
    [number(0), number(1), minus_one, torsion(1), torsion(3)]
}
