//! Keeping memory, where secrets are while they are used, off the disk.

use rustix::process::{Resource, Rlimit, setrlimit};

/// Forbids core dumps of this process and, where the system can, that others of the same user look
/// into it.
pub(crate) fn forbid() {
    let none = Rlimit {
        current: Some(0),
        maximum: Some(0),
    };
    // A system that refuses leaves things as they were; the work does not depend on it.
    let _ = setrlimit(Resource::Core, none);
    #[cfg(any(target_os = "linux", target_os = "android"))]
    {
        use rustix::process::{DumpableBehavior, set_dumpable_behavior};
        let _ = set_dumpable_behavior(DumpableBehavior::NotDumpable);
    }
}
