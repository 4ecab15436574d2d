//! The embedded relay, for tests of programs that talk to one.

use std::{
    ffi::c_char,
    net::Ipv4Addr,
    path::PathBuf,
    sync::mpsc,
    thread::{self, JoinHandle},
    time::Duration,
};

use ::ctalk_relay::{AdminKey, Config, RateLimit, Server};
use serde::Deserialize;
use tempfile::TempDir;
use tokio::{runtime::Builder, sync::oneshot};
use zeroize::Zeroizing;

use crate::{
    bytes::ctalk_slice,
    caller::Caller,
    code::{Code, ctalk_code},
    error::{Fault, ctalk_error},
    guard::{guard, guard_value},
    handle::{self, Opaque},
    options,
    process::{self, Ours},
};

/// A relay that runs on threads of this process, on 127.0.0.1, until it is freed with ctalk_relay_free.
/// Any number of threads may use one at the same time.
pub struct ctalk_relay {
    _private: [u8; 0],
}

impl Opaque for ctalk_relay {
    type Value = Running;
    const NAME: &'static str = "ctalk_relay";
}

#[derive(Default, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields, default)]
struct Options {
    port: u16,
    folder: Option<PathBuf>,
    admin_key: Option<Zeroizing<String>>,
}

/// What is behind [`ctalk_relay`].
pub(crate) struct Running {
    url: String,
    admin_key: Zeroizing<String>,
    _serving: Ours<Serving>,
}

/// What goes on until it is dropped.
struct Serving {
    stop: Option<oneshot::Sender<()>>,
    thread: Option<JoinHandle<()>>,
    /// Where its data are, unless the caller keeps them. Goes after the thread.
    _folder: Option<TempDir>,
}

impl Running {
    fn start(options: Options) -> Result<Self, Fault> {
        process::enter()?;
        let failed = |error: &dyn std::fmt::Display| {
            let text = format!("the relay does not start: {error}");
            Fault::new(Code::CTALK_UNEXPECTED, text)
        };
        let (folder, temporary) = match options.folder {
            Some(folder) => (folder, None),
            None => {
                let temporary = tempfile::tempdir().map_err(|error| failed(&error))?;
                (temporary.path().to_owned(), Some(temporary))
            }
        };
        let admin_key = options
            .admin_key
            .map_or_else(|| random_key().map_err(|error| failed(&error)), Ok)?;
        let key = AdminKey::new(admin_key.as_str())
            .map_err(|error| Fault::new(Code::CTALK_BAD_OPTIONS, error.to_string()))?;
        let listen = (Ipv4Addr::LOCALHOST, options.port).into();
        let mut config = Config::new(listen, folder, key);
        // All clients of a test come from one address.
        config.rate_limit = RateLimit::OFF;
        config.registration_limit = RateLimit::OFF;
        let (ready, started) = mpsc::channel();
        let (stop, stopped) = oneshot::channel::<()>();
        let serve = move || {
            let runtime = match Builder::new_current_thread().enable_all().build() {
                Ok(runtime) => runtime,
                Err(error) => return drop(ready.send(Err(error.to_string()))),
            };
            runtime.block_on(async {
                let server = match Server::bind(config).await {
                    Ok(server) => server,
                    Err(error) => return drop(ready.send(Err(error.to_string()))),
                };
                if ready.send(Ok(server.url())).is_ok() {
                    // A dropped sender means stop, too.
                    let shutdown = async { drop(stopped.await) };
                    let _ = server.run_with_grace(shutdown, Duration::ZERO).await;
                }
            });
        };
        let thread = thread::Builder::new()
            .name("ctalk-relay".to_owned())
            .spawn(serve)
            .map_err(|error| failed(&error))?;
        let url = match started.recv() {
            Ok(Ok(url)) => url,
            Ok(Err(why)) => return Err(failed(&why)),
            Err(error) => return Err(failed(&error)),
        };
        Ok(Self {
            url,
            admin_key,
            _serving: Ours::new(Serving {
                stop: Some(stop),
                thread: Some(thread),
                _folder: temporary,
            }),
        })
    }
}

/// Stops it and waits until it has.
impl Drop for Serving {
    fn drop(&mut self) {
        drop(self.stop.take());
        if let Some(thread) = self.thread.take() {
            // A panic of the relay was printed by its own thread.
            let _ = thread.join();
        }
    }
}

fn random_key() -> Result<Zeroizing<String>, getrandom::Error> {
    let mut key = Zeroizing::new([0_u8; 16]);
    getrandom::fill(&mut *key)?;
    Ok(Zeroizing::new(u128::from_be_bytes(*key).to_string()))
}

/// Starts a relay and returns when it listens. It asks nobody to go slowly. Options, all of them optional:
/// `port`, by default a free one; `folder` for its data, which stay there, by default a temporary one that
/// is removed with it; `adminKey`, by default a random one. CTALK_FORKED in a child of fork() whose parent
/// uses profiles or relays.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn ctalk_relay_start(
    options: *const c_char,
    options_len: usize,
    out: *mut *mut ctalk_relay,
    error: *mut *mut ctalk_error,
) -> ctalk_code {
    // SAFETY: what the header asks of the caller is what `Caller` needs.
    guard(unsafe { Caller::new(error) }, |caller| {
        let out = caller.out(out)?;
        out.put(Running::start(options::read(
            caller,
            options,
            options_len,
        )?)?);
        Ok(())
    })
}

/// Its address, such as `http://127.0.0.1:40123`. Valid as long as the relay.
#[unsafe(no_mangle)]
pub extern "C" fn ctalk_relay_url(relay: *const ctalk_relay) -> ctalk_slice {
    guard_value(ctalk_slice::NONE, || {
        Some(ctalk_slice::of(handle::find(relay)?.url.as_bytes()))
    })
}

/// The key that lets agents register. Valid as long as the relay.
#[unsafe(no_mangle)]
pub extern "C" fn ctalk_relay_admin_key(relay: *const ctalk_relay) -> ctalk_slice {
    guard_value(ctalk_slice::NONE, || {
        Some(ctalk_slice::of(handle::find(relay)?.admin_key.as_bytes()))
    })
}

/// Stops a relay, waits until its threads have ended, and frees it. NULL is allowed, and freeing twice
/// does nothing. A forked child leaves the relay to the process that started it.
#[unsafe(no_mangle)]
pub extern "C" fn ctalk_relay_free(relay: *mut ctalk_relay) {
    guard_value((), || {
        handle::free(relay);
        Some(())
    });
}
