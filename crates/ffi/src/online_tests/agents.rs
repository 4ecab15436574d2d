//! Agents at a relay of their own, and the C functions with lengths and errors taken care of.

use std::{
    ffi::c_char,
    io,
    net::{Shutdown, TcpListener, TcpStream},
    path::{Path, PathBuf},
    ptr,
    sync::{
        Arc,
        atomic::{AtomicUsize, Ordering},
    },
    thread,
};

use serde_json::{Value, json};
use tempfile::TempDir;

use crate::{
    bytes::{ctalk_bytes, ctalk_bytes_data, ctalk_bytes_free, ctalk_bytes_len, ctalk_slice},
    client::*,
    code::ctalk_code,
    error::{ctalk_error, ctalk_error_code, ctalk_error_free, ctalk_error_message},
    handle::{self, Opaque},
    identity::ctalk_identity_generate,
    message::*,
    profile::ctalk_identity_save,
    relay::{ctalk_relay, ctalk_relay_admin_key, ctalk_relay_start, ctalk_relay_url},
    stopper::{ctalk_stopper, ctalk_stopper_new},
};

/// A handle that is freed when it is dropped.
pub(super) struct Owned<H: Opaque>(pub(super) *mut H);

// SAFETY: handles are numbers, and every function takes them from every thread.
unsafe impl<H: Opaque> Send for Owned<H> {}
// SAFETY: as above.
unsafe impl<H: Opaque> Sync for Owned<H> {}

impl<H: Opaque> Owned<H> {
    /// The handle, from whatever thread.
    pub(super) fn get(&self) -> *mut H {
        self.0
    }
}

impl<H: Opaque> Drop for Owned<H> {
    fn drop(&mut self) {
        handle::free(self.0);
    }
}

/// Why a call failed.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Failed {
    pub(super) code: ctalk_code,
    pub(super) message: String,
}

/// Makes a call, and takes its error out of its handle.
pub(super) fn attempt(
    call: impl FnOnce(*mut *mut ctalk_error) -> ctalk_code,
) -> Result<(), Failed> {
    let mut error = ptr::null_mut();
    let code = call(&raw mut error);
    if code == ctalk_code::CTALK_OK {
        assert!(error.is_null(), "success writes no error");
        return Ok(());
    }
    assert_eq!(ctalk_error_code(error), code.number());
    let message = text(ctalk_error_message(error));
    ctalk_error_free(error);
    Err(Failed { code, message })
}

/// Makes a call that has an output.
pub(super) fn obtain<H: Opaque>(
    call: impl FnOnce(*mut *mut H, *mut *mut ctalk_error) -> ctalk_code,
) -> Result<Owned<H>, Failed> {
    let mut out = ptr::null_mut();
    attempt(|error| call(&raw mut out, error)).inspect_err(|_| {
        assert!(out.is_null(), "failure writes no output");
    })?;
    Ok(Owned(out))
}

/// As [`obtain`] for an answer in JSON.
pub(super) fn obtain_json(
    call: impl FnOnce(*mut *mut ctalk_bytes, *mut *mut ctalk_error) -> ctalk_code,
) -> Result<Value, Failed> {
    let mut out = ptr::null_mut();
    attempt(|error| call(&raw mut out, error))?;
    let json = bytes(out);
    ctalk_bytes_free(out);
    Ok(serde_json::from_slice(&json).unwrap())
}

/// What bytes hold.
pub(super) fn bytes(bytes: *const ctalk_bytes) -> Vec<u8> {
    let data = ctalk_bytes_data(bytes);
    view(ctalk_slice {
        data,
        len: ctalk_bytes_len(bytes),
    })
}

pub(super) fn view(slice: ctalk_slice) -> Vec<u8> {
    if slice.len == 0 {
        return Vec::new();
    }
    // SAFETY: tests look at views while their handles live.
    unsafe { std::slice::from_raw_parts(slice.data, slice.len) }.to_vec()
}

pub(super) fn text(slice: ctalk_slice) -> String {
    String::from_utf8(view(slice)).unwrap()
}

/// A text as C functions take it.
pub(super) fn chars(text: &str) -> (*const c_char, usize) {
    (text.as_ptr().cast(), text.len())
}

/// A relay, and a place for profiles.
pub(super) struct Scene {
    pub(super) relay: Owned<ctalk_relay>,
    pub(super) folder: TempDir,
}

impl Scene {
    pub(super) fn new() -> Self {
        Self {
            relay: start_relay(&json!({})),
            folder: TempDir::new().unwrap(),
        }
    }

    pub(super) fn url(&self) -> String {
        text(ctalk_relay_url(self.relay.0))
    }

    pub(super) fn profile(&self, name: &str) -> PathBuf {
        self.folder.path().join(name)
    }

    /// A registered agent.
    pub(super) fn agent(&self, name: &str) -> Agent {
        self.agent_through(&self.url(), name)
    }

    /// A registered agent, for whom the relay has this address.
    pub(super) fn agent_through(&self, url: &str, name: &str) -> Agent {
        let folder = self.profile(name);
        create_profile(&folder, name).unwrap();
        let agent = Agent::open(&json!({ "folder": folder })).unwrap();
        let admin_key = text(ctalk_relay_admin_key(self.relay.0));
        agent
            .register(&json!({ "relay": url, "adminKey": admin_key }))
            .unwrap();
        agent
    }
}

/// What counts the connections to a relay.
pub(super) struct Gate {
    pub(super) url: String,
    connections: Arc<AtomicUsize>,
}

impl Gate {
    pub(super) fn to(url: &str) -> Self {
        let relay = url.strip_prefix("http://").unwrap().to_owned();
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let url = format!("http://{}", listener.local_addr().unwrap());
        let connections = Arc::new(AtomicUsize::new(0));
        let counted = Arc::clone(&connections);
        thread::spawn(move || {
            for client in listener.incoming() {
                counted.fetch_add(1, Ordering::SeqCst);
                let client = client.unwrap();
                let relay = TcpStream::connect(&relay).unwrap();
                let there = (client.try_clone().unwrap(), relay.try_clone().unwrap());
                for (mut from, mut to) in [there, (relay, client)] {
                    thread::spawn(move || {
                        // Either side may go at any time.
                        let _ = io::copy(&mut from, &mut to);
                        let _ = to.shutdown(Shutdown::Both);
                    });
                }
            }
        });
        Self { url, connections }
    }

    pub(super) fn connections(&self) -> usize {
        self.connections.load(Ordering::SeqCst)
    }
}

pub(super) fn start_relay(options: &Value) -> Owned<ctalk_relay> {
    let options = options.to_string();
    let (options, len) = chars(&options);
    // SAFETY: what is given outlives the call.
    obtain(|out, error| unsafe { ctalk_relay_start(options, len, out, error) }).unwrap()
}

/// Makes a profile as `ctalk keygen` does.
pub(super) fn create_profile(folder: &Path, name: &str) -> Result<(), Failed> {
    // SAFETY: what is given outlives the call.
    let identity = obtain(|out, error| unsafe { ctalk_identity_generate(out, error) })?;
    let (folder, len) = chars(folder.to_str().unwrap());
    let ((name, name_len), (kind, kind_len)) = (chars(name), chars("plain"));
    let none = ptr::null();
    // SAFETY: what is given outlives the call.
    attempt(|error| unsafe {
        ctalk_identity_save(
            identity.0, folder, len, name, name_len, kind, kind_len, none, 0, error,
        )
    })
}

pub(super) fn stopper() -> Owned<ctalk_stopper> {
    // SAFETY: what is given outlives the call.
    obtain(|out, error| unsafe { ctalk_stopper_new(out, error) }).unwrap()
}

/// A client.
pub(super) struct Agent(pub(super) Owned<ctalk_client>);

/// A message, and what is known of it.
pub(super) struct Got(pub(super) Owned<ctalk_message>);

impl Agent {
    pub(super) fn open(options: &Value) -> Result<Self, Failed> {
        let options = options.to_string();
        let (options, len) = chars(&options);
        // SAFETY: what is given outlives the call.
        obtain(|out, error| unsafe { ctalk_client_open(options, len, out, error) }).map(Self)
    }

    pub(super) fn register(&self, options: &Value) -> Result<Value, Failed> {
        let options = options.to_string();
        let (options, len) = chars(&options);
        // SAFETY: what is given outlives the call.
        obtain_json(|out, error| unsafe {
            ctalk_client_register(self.0.0, options, len, ptr::null(), out, error)
        })
    }

    pub(super) fn send(&self, data: &[u8], options: &Value) -> Result<Value, Failed> {
        let options = options.to_string();
        let (options, len) = chars(&options);
        // SAFETY: what is given outlives the call.
        obtain_json(|out, error| unsafe {
            ctalk_client_send(
                self.0.0,
                data.as_ptr(),
                data.len(),
                options,
                len,
                ptr::null(),
                out,
                error,
            )
        })
    }

    pub(super) fn say(&self, to: &str, text: &str) {
        self.send(text.as_bytes(), &json!({ "to": to })).unwrap();
    }

    pub(super) fn call(
        &self,
        data: &[u8],
        options: &Value,
        stopper: *const ctalk_stopper,
    ) -> Result<Got, Failed> {
        let options = options.to_string();
        let (options, len) = chars(&options);
        // SAFETY: what is given outlives the call.
        obtain(|out, error| unsafe {
            ctalk_client_call(
                self.0.0,
                data.as_ptr(),
                data.len(),
                options,
                len,
                stopper,
                out,
                error,
            )
        })
        .map(Got)
    }

    pub(super) fn follow(&self, options: &Value) -> Result<(), Failed> {
        let options = options.to_string();
        let (options, len) = chars(&options);
        // SAFETY: what is given outlives the call.
        attempt(|error| unsafe { ctalk_client_follow(self.0.0, options, len, error) })
    }

    pub(super) fn next(
        &self,
        timeout_ms: u64,
        stopper: *const ctalk_stopper,
    ) -> Result<Option<Got>, Failed> {
        // SAFETY: what is given outlives the call.
        let got = obtain(|out, error| unsafe {
            ctalk_client_next(self.0.0, timeout_ms, stopper, out, error)
        })?;
        Ok((!got.0.is_null()).then_some(Got(got)))
    }

    /// The next message, which must come.
    pub(super) fn take(&self) -> Got {
        self.next(CTALK_FOREVER, ptr::null()).unwrap().unwrap()
    }

    /// That nothing is there.
    pub(super) fn has_nothing(&self) -> bool {
        self.next(0, ptr::null()).unwrap().is_none()
    }

    pub(super) fn flush(&self) -> Result<(), Failed> {
        // SAFETY: what is given outlives the call.
        attempt(|error| unsafe { ctalk_client_flush(self.0.0, ptr::null(), error) })
    }

    pub(super) fn events(&self) -> Vec<Value> {
        // SAFETY: what is given outlives the call.
        let events =
            obtain_json(|out, error| unsafe { ctalk_client_take_events(self.0.0, out, error) });
        events.unwrap().as_array().unwrap().clone()
    }
}

impl Got {
    pub(super) fn payload(&self) -> Vec<u8> {
        view(ctalk_message_payload(self.0.0))
    }

    pub(super) fn text(&self) -> String {
        String::from_utf8(self.payload()).unwrap()
    }

    pub(super) fn attempt(&self) -> u32 {
        ctalk_message_attempt(self.0.0)
    }

    pub(super) fn commit(&self) -> Result<(), Failed> {
        // SAFETY: what is given outlives the call.
        attempt(|error| unsafe { ctalk_message_commit(self.0.0, error) })
    }

    pub(super) fn reply(&self, data: &[u8]) -> Result<(), Failed> {
        // SAFETY: what is given outlives the call.
        attempt(|error| unsafe {
            ctalk_message_reply(self.0.0, data.as_ptr(), data.len(), ptr::null(), 0, error)
        })
    }

    pub(super) fn retry(&self) -> Result<(), Failed> {
        let (why, len) = chars("not now");
        // SAFETY: what is given outlives the call.
        attempt(|error| unsafe { ctalk_message_retry(self.0.0, why, len, 0, error) })
    }

    pub(super) fn reject(&self) -> Result<(), Failed> {
        let (why, len) = chars("never");
        // SAFETY: what is given outlives the call.
        attempt(|error| unsafe { ctalk_message_reject(self.0.0, why, len, error) })
    }
}
