//! The four-field JSON that ClawTalk's own key generator prints.

use zeroize::{Zeroize, Zeroizing};

use crate::{
    encoding::{self, Base64Error},
    identity::Identity,
    json::{Members, ObjectError},
    keys::{EncryptionKey, KeyError, VerifyingKey},
};

/// Most bytes a keygen JSON may have; ClawTalk prints about 320.
pub const MAX_KEYGEN_JSON_LEN: usize = 4096;

const PUBLIC_KEY: &str = "publicKey";
const PRIVATE_KEY: &str = "privateKey";
const SIGNING_KEY: &str = "signingKey";
const SIGNING_PRIVATE_KEY: &str = "signingPrivateKey";

impl Identity {
    /// Reads the JSON object that ClawTalk's key generator prints: `publicKey` and `privateKey`
    /// (X25519, 32 bytes each), `signingKey` (Ed25519, 32 bytes) and `signingPrivateKey` (seed and
    /// public key, 64 bytes), all in padded standard base64. Other members are ignored.
    ///
    /// # Errors
    ///
    /// [`KeygenError`], in particular when a public half does not belong to its secret half.
    pub fn from_keygen_json(text: &str) -> Result<Self, KeygenError> {
        if text.len() > MAX_KEYGEN_JSON_LEN {
            return Err(KeygenError::TooLong { found: text.len() });
        }
        let names = &[PUBLIC_KEY, PRIVATE_KEY, SIGNING_KEY, SIGNING_PRIVATE_KEY];
        let members = Members::parse(text, names)?;
        let public_key = EncryptionKey::from_base64(&string(&members, PUBLIC_KEY)?)?;
        let signing_key = VerifyingKey::from_base64(&string(&members, SIGNING_KEY)?)?;
        let private_key = secret::<32>(&members, PRIVATE_KEY)?;
        let signing_private_key = secret::<64>(&members, SIGNING_PRIVATE_KEY)?;

        let (seed, embedded) = signing_private_key.split_at(32);
        let mut signing_seed = Zeroizing::new([0; 32]);
        signing_seed.copy_from_slice(seed);
        let identity = Self::from_secrets(&private_key, &signing_seed);
        if *identity.public_keys().encryption() != public_key {
            return Err(KeygenError::Mismatch {
                secret: PRIVATE_KEY,
                public: PUBLIC_KEY,
            });
        }
        let derived = identity.public_keys().verifying();
        if *derived != signing_key || derived.as_bytes() != embedded {
            return Err(KeygenError::Mismatch {
                secret: SIGNING_PRIVATE_KEY,
                public: SIGNING_KEY,
            });
        }
        Ok(identity)
    }

    /// Writes what [`Self::from_keygen_json`] reads, byte for byte as ClawTalk prints it: members
    /// in its order, indented by two spaces, no newline at the end. The result is secret.
    #[must_use]
    pub fn to_keygen_json(&self) -> Zeroizing<String> {
        let mut signing_private_key = Zeroizing::new([0; 64]);
        let (seed, public) = signing_private_key.split_at_mut(32);
        seed.copy_from_slice(self.signing_seed());
        public.copy_from_slice(self.public_keys().verifying().as_bytes());

        // Large enough that growing never leaves a copy of the secrets behind.
        let mut text = Zeroizing::new(String::with_capacity(512));
        let members: [(&str, &[u8]); 4] = [
            (PUBLIC_KEY, self.public_keys().encryption().as_bytes()),
            (PRIVATE_KEY, self.encryption_secret()),
            (SIGNING_KEY, self.public_keys().verifying().as_bytes()),
            (SIGNING_PRIVATE_KEY, &*signing_private_key),
        ];
        let mut separator = "{\n  \"";
        for (name, bytes) in members {
            text.push_str(separator);
            text.push_str(name);
            text.push_str("\": \"");
            encoding::encode_onto(bytes, &mut text);
            separator = "\",\n  \"";
        }
        text.push_str("\"\n}");
        text
    }
}

/// A text that is not a usable keygen JSON. No variant carries what the text says.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum KeygenError {
    /// Longer than [`MAX_KEYGEN_JSON_LEN`].
    #[error(
        "the key file has {found} bytes, more than the {MAX_KEYGEN_JSON_LEN} allowed; is it the right file?"
    )]
    TooLong {
        /// Bytes found.
        found: usize,
    },
    /// Not JSON, or not an object.
    #[error("the key file is not a JSON object (line {line}, column {column})")]
    NotAnObject {
        /// Line of the fault, from 1.
        line: usize,
        /// Column of the fault in bytes.
        column: usize,
    },
    /// A member that stands in the object twice.
    #[error("the key file has {member} twice")]
    Duplicate {
        /// Its name.
        member: &'static str,
    },
    /// A member that is needed.
    #[error("the key file has no {member}")]
    Missing {
        /// Its name.
        member: &'static str,
    },
    /// A member that must be a string.
    #[error("{member} in the key file is not a string")]
    NotAString {
        /// Its name.
        member: &'static str,
    },
    /// A public key that must not be used.
    #[error("the key file's public half is unusable: {0}")]
    PublicKey(#[from] KeyError),
    /// A secret that is not padded standard base64 of the right length.
    #[error("{member} in the key file is not {expected} characters of padded standard base64")]
    Secret {
        /// Its name.
        member: &'static str,
        /// Characters needed.
        expected: usize,
    },
    /// A public half that does not belong to the secret half.
    #[error("{public} in the key file does not belong to {secret}; generate the keys again")]
    Mismatch {
        /// The secret member's name.
        secret: &'static str,
        /// The public member's name.
        public: &'static str,
    },
}

impl From<ObjectError> for KeygenError {
    fn from(error: ObjectError) -> Self {
        match error {
            ObjectError::NotAnObject { line, column } => Self::NotAnObject { line, column },
            ObjectError::Duplicate(member) => Self::Duplicate { member },
        }
    }
}

fn string(members: &Members<'_>, member: &'static str) -> Result<Zeroizing<String>, KeygenError> {
    let text = members
        .string(member)
        .map_err(|_| KeygenError::NotAString { member })?;
    text.map(Zeroizing::new)
        .ok_or(KeygenError::Missing { member })
}

fn secret<const N: usize>(
    members: &Members<'_>,
    member: &'static str,
) -> Result<Zeroizing<[u8; N]>, KeygenError>
where
    [u8; N]: Zeroize,
{
    let mut bytes = Zeroizing::new([0; N]);
    match encoding::decode_into(&string(members, member)?, &mut bytes) {
        Ok(()) => Ok(bytes),
        Err(Base64Error::Length { .. } | Base64Error::Alphabet) => Err(KeygenError::Secret {
            member,
            expected: N.div_ceil(3) * 4,
        }),
    }
}
