//! Identities in memory.

use std::{ffi::c_char, sync::Mutex};

use ctalk::core::{
    Fingerprint, Identity, KeygenError, XWING_SEED_LEN, XWingSecret, classic::BoxKeys,
};
use zeroize::Zeroizing;

use crate::{
    bytes::{Bytes, ctalk_bytes, ctalk_slice},
    caller::Caller,
    code::{Code, ctalk_code},
    error::{Fault, ctalk_error},
    guard::{guard, guard_value},
    handle::{self, Opaque},
};

/// Most X-Wing keys of one identity that are taken in.
const MAX_XWING_KEYS: usize = 64;

/// An agent's secret keys. Owned by whoever got it; freed with ctalk_identity_free, which wipes them.
/// Any number of threads may use one at the same time.
pub struct ctalk_identity {
    _private: [u8; 0],
}

impl Opaque for ctalk_identity {
    type Value = Own;
    const NAME: &'static str = "ctalk_identity";
}

/// What is behind [`ctalk_identity`].
pub(crate) struct Own {
    pub(crate) identity: Identity,
    /// The seeds of the X-Wing keys, one after the other, the current one last.
    pub(crate) seeds: Zeroizing<Vec<u8>>,
    /// In ClawTalk's format, the keys between this identity and others.
    pub(crate) box_keys: Mutex<BoxKeys>,
    fingerprint: String,
}

impl Own {
    /// `seeds` are those of the X-Wing keys, the current one last.
    pub(crate) fn new(mut identity: Identity, seeds: Zeroizing<Vec<u8>>) -> Self {
        let (all, _) = seeds.as_chunks::<XWING_SEED_LEN>();
        for seed in all {
            identity = identity.with_xwing(XWingSecret::from_seed(seed));
        }
        Self {
            fingerprint: Fingerprint::native(identity.public_keys().verifying()).to_hex(),
            identity,
            seeds,
            box_keys: Mutex::default(),
        }
    }
}

impl From<KeygenError> for Fault {
    fn from(error: KeygenError) -> Self {
        Self::new(Code::CTALK_BAD_KEYS, error.to_string())
    }
}

/// Makes a new identity with an X-Wing key, so that it can send and receive.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn ctalk_identity_generate(
    out: *mut *mut ctalk_identity,
    error: *mut *mut ctalk_error,
) -> ctalk_code {
    // SAFETY: what the header asks of the caller is what `Caller` needs.
    guard(unsafe { Caller::new(error) }, |caller| {
        let out = caller.out(out)?;
        let mut rng = crate::rng();
        let xwing = XWingSecret::generate(&mut rng);
        let seeds = Zeroizing::new(xwing.seed().to_vec());
        out.put(Own::new(Identity::generate(&mut rng), seeds));
        Ok(())
    })
}

/// Takes in the lasting keys as ClawTalk's key generator prints them (a JSON object with `publicKey`,
/// `privateKey`, `signingKey` and `signingPrivateKey` in padded standard base64, at most 4096 bytes) and
/// any number of X-Wing seeds, 32 bytes each, the current one last. Without any, the identity can send
/// envelopes and receive none. CTALK_BAD_KEYS for what cannot be used, or where a public half is not that
/// of its secret half.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn ctalk_identity_import(
    json: *const c_char,
    json_len: usize,
    xwing_seeds: *const u8,
    xwing_seeds_len: usize,
    out: *mut *mut ctalk_identity,
    error: *mut *mut ctalk_error,
) -> ctalk_code {
    // SAFETY: what the header asks of the caller is what `Caller` needs.
    guard(unsafe { Caller::new(error) }, |caller| {
        let out = caller.out(out)?;
        let identity = Identity::from_keygen_json(caller.text(json, json_len)?)?;
        let seeds = caller.bytes(xwing_seeds, xwing_seeds_len)?;
        if !seeds.len().is_multiple_of(XWING_SEED_LEN)
            || seeds.len() > MAX_XWING_KEYS * XWING_SEED_LEN
        {
            let text = format!(
                "X-Wing seeds have {XWING_SEED_LEN} bytes each and are at most {MAX_XWING_KEYS}"
            );
            return Err(Fault::new(Code::CTALK_BAD_KEYS, text));
        }
        out.put(Own::new(identity, Zeroizing::new(seeds.to_vec())));
        Ok(())
    })
}

/// Writes the lasting keys as ClawTalk's key generator prints them and, where there is a place for them,
/// the X-Wing seeds, 32 bytes each, the current one last: what ctalk_identity_import takes in. Both are
/// secret; the handles wipe them when freed. `xwing_seeds` may be NULL.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn ctalk_identity_export(
    identity: *const ctalk_identity,
    json: *mut *mut ctalk_bytes,
    xwing_seeds: *mut *mut ctalk_bytes,
    error: *mut *mut ctalk_error,
) -> ctalk_code {
    // SAFETY: what the header asks of the caller is what `Caller` needs.
    guard(unsafe { Caller::new(error) }, |caller| {
        let own = handle::get(identity)?;
        let json = caller.out(json)?;
        let xwing_seeds = caller.out_or_none(xwing_seeds)?;
        json.put(Bytes::from(own.identity.to_keygen_json()));
        if let Some(xwing_seeds) = xwing_seeds {
            xwing_seeds.put(Bytes::from(own.seeds.clone()));
        }
        Ok(())
    })
}

/// The fingerprint, for people to compare: 64 lower-case hex digits. Valid as long as the identity.
#[unsafe(no_mangle)]
pub extern "C" fn ctalk_identity_fingerprint(identity: *const ctalk_identity) -> ctalk_slice {
    guard_value(ctalk_slice::EMPTY, || {
        Some(ctalk_slice::of(
            handle::find(identity)?.fingerprint.as_bytes(),
        ))
    })
}

/// Frees an identity and wipes its keys. NULL is allowed, and freeing twice does nothing.
#[unsafe(no_mangle)]
pub extern "C" fn ctalk_identity_free(identity: *mut ctalk_identity) {
    guard_value((), || {
        handle::free(identity);
        Some(())
    });
}
