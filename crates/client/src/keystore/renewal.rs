//! Replacing the key of a store, so that copies of its former file open nothing any more.
//!
//! At every moment the keyring holds the key of the file that is there: the new key is in the keyring,
//! and was read back, before the file is replaced, and the former key leaves it afterwards. What an
//! interruption leaves behind is an entry that opens no file.

use super::keyring::{self, EntryId};
use super::sealed::{self, Protection, StoreKey};
use super::{Access, Keystore, KeystoreError, Secrets};

impl Keystore {
    /// Replaces the file, and with it the key in the keyring, if there is one. The caller holds the
    /// lock.
    pub(super) fn write_under_new_key(
        &self,
        former: &Access,
        secrets: &Secrets,
    ) -> Result<(), KeystoreError> {
        let Access::Sealed {
            protection: Protection::Keyring { id: former },
            ..
        } = former
        else {
            return self.write(former, secrets);
        };
        let id = EntryId::new(sealed::random()?);
        let written = self.put_key(&id).and_then(|key| {
            let protection = Protection::Keyring { id: id.clone() };
            self.write(&Access::Sealed { protection, key }, secrets)
        });
        match &written {
            Ok(()) => keyring::forget(former),
            // The file may have been replaced before the disk refused.
            Err(_) if self.is_under(former) => keyring::forget(&id),
            Err(_) => {}
        }
        written
    }

    /// Makes a key and puts it into the keyring.
    fn put_key(&self, id: &EntryId) -> Result<StoreKey, KeystoreError> {
        keyring::put(id, &StoreKey::random()?)?;
        keyring::get(id, &self.path)
    }

    /// Whether the file is sealed under the key of this entry.
    fn is_under(&self, id: &EntryId) -> bool {
        let found = super::sealed_protection(self.folder());
        matches!(found, Ok(Some(Protection::Keyring { id: found })) if found == *id)
    }
}
