//! Taking bytes off the front of an input, never more than there are.

/// What has not been read yet.
#[derive(Clone, Copy)]
pub(crate) struct Reader<'b>(&'b [u8]);

/// The input ends within a value.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Truncated;

impl<'b> Reader<'b> {
    pub(crate) const fn new(bytes: &'b [u8]) -> Self {
        Self(bytes)
    }

    /// The next `length` bytes.
    pub(crate) fn bytes(&mut self, length: usize) -> Result<&'b [u8], Truncated> {
        let (bytes, rest) = self.0.split_at_checked(length).ok_or(Truncated)?;
        self.0 = rest;
        Ok(bytes)
    }

    /// The next `N` bytes.
    pub(crate) fn array<const N: usize>(&mut self) -> Result<&'b [u8; N], Truncated> {
        let (bytes, rest) = self.0.split_first_chunk().ok_or(Truncated)?;
        self.0 = rest;
        Ok(bytes)
    }

    pub(crate) fn u8(&mut self) -> Result<u8, Truncated> {
        self.array().map(|[byte]| *byte)
    }

    /// Big-endian.
    pub(crate) fn u16(&mut self) -> Result<u16, Truncated> {
        self.array().map(|bytes| u16::from_be_bytes(*bytes))
    }

    /// Big-endian.
    pub(crate) fn u64(&mut self) -> Result<u64, Truncated> {
        self.array().map(|bytes| u64::from_be_bytes(*bytes))
    }

    /// Everything not read yet.
    pub(crate) const fn rest(&self) -> &'b [u8] {
        self.0
    }
}
