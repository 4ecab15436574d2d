//! Handles: what C holds of a Rust value.
//!
//! A handle is a number in the shape of a pointer, handed out once and never again while the process
//! lives, and looked up in one table at every use. So a handle that was freed, that is of another kind
//! or that was never given out is an error and not undefined, in whatever thread. A value that is freed
//! while another thread uses it lives until that use ends.

use std::{
    any::Any,
    cell::Cell,
    collections::BTreeMap,
    ptr,
    sync::{Arc, Once, PoisonError, RwLock, RwLockWriteGuard},
};

use crate::{code::Code, error::Fault, guard::guard_value};

/// A type of the header, which C has pointers to and nobody looks into.
pub(crate) trait Opaque: 'static {
    /// The value behind it; of no other type of the header.
    type Value: Any + Send + Sync;
    /// The name in C.
    const NAME: &'static str;
}

static TABLE: RwLock<Table> = RwLock::new(Table {
    last: 0,
    live: BTreeMap::new(),
});

struct Table {
    last: usize,
    live: BTreeMap<usize, Arc<dyn Any + Send + Sync>>,
}

thread_local! {
    /// The table, while this thread forks.
    static HELD: Cell<Option<RwLockWriteGuard<'static, Table>>> = const { Cell::new(None) };
}

/// Keeps the table to the thread that forks: a child in which another thread's lock stayed behind could
/// not even free what it inherited.
fn outlive_forks() {
    extern "C" fn hold() {
        let table = TABLE.write().unwrap_or_else(PoisonError::into_inner);
        let _ = HELD.try_with(|held| held.set(Some(table)));
    }
    extern "C" fn let_go() {
        let _ = HELD.try_with(|held| drop(held.take()));
    }
    static ASKED: Once = Once::new();
    ASKED.call_once(|| {
        // SAFETY: the functions take nothing and do not unwind, and the C library forgets them when this
        // library is unloaded.
        let _ = unsafe { libc::pthread_atfork(Some(hold), Some(let_go), Some(let_go)) };
    });
}

/// Gives out a handle of `value`, which the caller owns.
pub(crate) fn give<H: Opaque>(value: H::Value) -> *mut H {
    outlive_forks();
    let value = Arc::new(value);
    let mut table = TABLE.write().unwrap_or_else(PoisonError::into_inner);
    loop {
        table.last = table.last.wrapping_add(1);
        let number = table.last;
        // On machines whose pointers have 32 bits the numbers can begin again.
        if number != 0 && !table.live.contains_key(&number) {
            table.live.insert(number, value);
            return ptr::without_provenance_mut(number);
        }
    }
}

/// The value behind a handle.
pub(crate) fn get<H: Opaque>(handle: *const H) -> Result<Arc<H::Value>, Fault> {
    if handle.is_null() {
        return Err(Fault::null(H::NAME));
    }
    find(handle).ok_or_else(|| {
        let text = format!("this is no {}, or one that was freed", H::NAME);
        Fault::new(Code::CTALK_WRONG_HANDLE, text)
    })
}

/// The value behind a handle, for functions that report no errors.
pub(crate) fn find<H: Opaque>(handle: *const H) -> Option<Arc<H::Value>> {
    let table = TABLE.read().unwrap_or_else(PoisonError::into_inner);
    let value = Arc::clone(table.live.get(&handle.addr())?);
    drop(table);
    value.downcast().ok()
}

/// Takes a handle back. What is none of this kind stays as it is.
pub(crate) fn free<H: Opaque>(handle: *mut H) {
    let mut table = TABLE.write().unwrap_or_else(PoisonError::into_inner);
    let number = handle.addr();
    if table
        .live
        .get(&number)
        .is_some_and(|value| value.is::<H::Value>())
    {
        let value = table.live.remove(&number);
        drop(table);
        // Not under the lock: it may take its time.
        drop(value);
    }
}

/// How many handles the process holds: 0 when it has freed all it was given. For tests.
#[unsafe(no_mangle)]
pub extern "C" fn ctalk_handle_count() -> usize {
    guard_value(0, || {
        let table = TABLE.read().unwrap_or_else(PoisonError::into_inner);
        Some(table.live.len())
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    struct Number;
    impl Opaque for Number {
        type Value = u32;
        const NAME: &'static str = "number";
    }

    struct Text;
    impl Opaque for Text {
        type Value = String;
        const NAME: &'static str = "text";
    }

    #[test]
    fn a_freed_handle_is_wrong_and_not_given_out_again() {
        let first = give::<Number>(1);
        assert_eq!(*get(first).unwrap(), 1);
        free(first);
        assert_eq!(get(first).unwrap_err().code, Code::CTALK_WRONG_HANDLE);
        let second = give::<Number>(2);
        assert_ne!(first, second);
        free(first);
        assert_eq!(*get(second).unwrap(), 2);
        free(second);
    }

    #[test]
    fn a_handle_of_another_kind_is_wrong_and_survives_its_free() {
        let number = give::<Number>(1);
        let as_text = number.cast::<Text>();
        assert_eq!(get(as_text).unwrap_err().code, Code::CTALK_WRONG_HANDLE);
        free(as_text);
        assert_eq!(*get(number).unwrap(), 1);
        free(number);
    }

    #[test]
    fn null_is_no_handle_and_may_be_freed() {
        let null = ptr::null_mut::<Number>();
        assert_eq!(get(null).unwrap_err().code, Code::CTALK_NULL_POINTER);
        free(null);
    }

    #[test]
    fn a_value_that_is_freed_while_it_is_used_lives_until_then() {
        let handle = give::<Text>("text".to_owned());
        let value = get(handle).unwrap();
        free(handle);
        assert_eq!(*value, "text");
    }
}
