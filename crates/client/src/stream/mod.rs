//! Envelopes of any size, from a reader to a writer in constant memory.
//!
//! [`seal()`] and [`open()`] work on two threads. The reader is used on a thread of its own, which
//! ends with the call, or, where the call fails while that thread waits for the reader, as soon as
//! the reader answers: a pipe that nobody writes to holds up no error. At most a handful of
//! segments of 1 MiB are in memory at any time. [`seal_alone`] and [`open_alone`] do the same on the
//! calling thread.
//!
//! What reads an envelope takes either form of it, bytes or the one-line text, and tells them apart
//! by how they begin. A text may end with one line end.
//!
//! ```
//! # fn main() -> Result<(), Box<dyn std::error::Error>> {
//! use ctalk::core::{
//!     Card, CardStatement, Identity, Timestamp, XWingSecret,
//!     envelope::{Kind, Metadata, Sealing},
//! };
//! use ctalk::stream::{self, Form, StreamError};
//!
//! # let mut rng = getrandom::rand_core::UnwrapErr(getrandom::SysRng);
//! # let now = Timestamp::from_millis(1_800_000_000_000).ok_or("late")?;
//! # let tomorrow = now.checked_add(std::time::Duration::from_secs(86_400)).ok_or("late")?;
//! # let alice = Identity::generate(&mut rng);
//! # let bob = Identity::generate(&mut rng).with_xwing(XWingSecret::generate(&mut rng));
//! # let statement =
//! #     CardStatement { name: "bob", serial: 1, created: now, expires: tomorrow, addresses: &[] };
//! # let card = Card::sign(&bob, bob.xwing_keys().next().ok_or("no key")?, &statement)?;
//! let metadata = Metadata::new(Kind::Notification, "text/plain");
//! let sealing = Sealing::new(&alice, [&card], &metadata, now, tomorrow, &mut rng)?;
//! let mut sealed = Vec::new();
//! stream::seal(sealing, Form::Text, &b"a long story"[..], &mut sealed, |_| ())?;
//!
//! let mut story = Vec::new();
//! let reader = std::io::Cursor::new(sealed);
//! let opened = stream::open(&bob, now, reader, &mut story, |_| Ok::<_, StreamError>(()), |_| ())?;
//! assert_eq!(opened.header.sender(), alice.public_keys().verifying());
//! assert_eq!(story, b"a long story");
//! # Ok(())
//! # }
//! ```

mod alone;
mod error;
mod form;
mod incoming;
mod open;
mod outside;
mod seal;

pub use alone::{open_alone, seal_alone};
pub use error::StreamError;
pub use form::Form;
pub use open::{Opened, open};
pub use outside::{Outside, inspect, verify};
pub use seal::seal;

/// Segments that wait between the two threads.
const WAITING: usize = 2;
