//! Changing how secrets are kept: another passphrase, another key, another kind of store.
//!
//! At every moment one store opens, whatever interrupts the change. A sealed file counts before a
//! plain one, so a change takes effect in one step of the file system: where the new file is sealed,
//! when it takes its name; where it is plain, when the sealed one is removed. Before that step the old
//! key opens the store, and after it the new one. What else an interruption leaves behind is a plain
//! file that does not count, removed by the next write, or an entry in the keyring that opens nothing.

use super::{Access, Keystore, KeystoreError, Kind, PassphraseSource, Secrets, folder};

impl Keystore {
    /// Moves the secrets into a store of `kind`, under a new passphrase or key. Handles that other
    /// processes opened before are [`KeystoreError::Replaced`] from then on, unless both kinds are
    /// [`Kind::Keyring`]: those ask the keyring again.
    ///
    /// `passphrase` is used by [`Kind::File`] alone.
    ///
    /// # Errors
    /// [`KeystoreError::Replaced`] if another process changed the store meanwhile, and whatever `kind`
    /// can meet. The store then opens as before, unless the disk refused after the change was made.
    pub fn change(
        self,
        kind: Kind,
        passphrase: PassphraseSource<'_>,
    ) -> Result<Self, KeystoreError> {
        let new = Self {
            path: self.folder().join(kind.file_name()),
            access: Access::new(kind, passphrase)?,
        };
        let lock = folder::lock(self.folder())?;
        let changed = self.read_again().and_then(|(secrets, renewed)| {
            new.take_over(&secrets)?;
            Ok(renewed.unwrap_or(self.access))
        });
        drop(lock);
        match changed {
            Ok(former) => {
                former.forget();
                Ok(new)
            }
            Err(error) => {
                new.access.forget_unless_used(new.folder());
                Err(error)
            }
        }
    }

    fn take_over(&self, secrets: &Secrets) -> Result<(), KeystoreError> {
        self.write(&self.access, secrets)?;
        self.remove_other()
    }
}
