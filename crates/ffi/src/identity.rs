//! Identities in memory.

use std::{ffi::c_char, sync::Mutex};

use ctalk::core::{
    Card, Fingerprint, Identity, KeygenError, XWING_SEED_LEN, XWingSecret, classic::BoxKeys,
};
use zeroize::Zeroizing;

use crate::{
    bytes::{ctalk_bytes, ctalk_slice},
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
    /// That of a profile. Others get theirs when they ask for one.
    pub(crate) card: Option<Card>,
    /// In ClawTalk's format, the keys between this identity and others.
    pub(crate) box_keys: Mutex<BoxKeys>,
    pub(crate) fingerprint: String,
}

impl Own {
    pub(crate) fn new(identity: Identity, card: Option<Card>) -> Self {
        Self {
            fingerprint: Fingerprint::native(identity.public_keys().verifying()).to_hex(),
            identity,
            card,
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
        let identity = Identity::generate(&mut rng).with_xwing(XWingSecret::generate(&mut rng));
        out.put(Own::new(identity, None));
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
        let mut identity = Identity::from_keygen_json(caller.text(json, json_len)?)?;
        let (seeds, rest) = caller.bytes(xwing_seeds, xwing_seeds_len)?.as_chunks();
        if !rest.is_empty() || seeds.len() > MAX_XWING_KEYS {
            let text = format!(
                "X-Wing seeds have {XWING_SEED_LEN} bytes each and are at most {MAX_XWING_KEYS}"
            );
            return Err(Fault::new(Code::CTALK_BAD_KEYS, text));
        }
        for seed in seeds {
            identity = identity.with_xwing(XWingSecret::from_seed(seed));
        }
        out.put(Own::new(identity, None));
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
        let secrets = own.identity.xwing_secrets();
        // As large as it gets, so that growing leaves no copy behind.
        let mut seeds = Zeroizing::new(Vec::with_capacity(secrets.len() * XWING_SEED_LEN));
        for secret in secrets {
            seeds.extend_from_slice(&*secret.seed());
        }
        json.put(own.identity.to_keygen_json().into());
        if let Some(xwing_seeds) = xwing_seeds {
            xwing_seeds.put(seeds.into());
        }
        Ok(())
    })
}

/// The fingerprint, for people to compare: 64 lower-case hex digits. Valid as long as the identity.
#[unsafe(no_mangle)]
pub extern "C" fn ctalk_identity_fingerprint(identity: *const ctalk_identity) -> ctalk_slice {
    guard_value(ctalk_slice::NONE, || {
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
