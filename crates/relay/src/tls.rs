//! TLS with a certificate and its key from files, read again when they are renewed.

use std::fs::{self, File};
use std::io;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::SystemTime;

use rustls::ServerConfig;
use rustls::crypto::ring;
use rustls::pki_types::pem::PemObject;
use rustls::pki_types::{CertificateDer, PrivateKeyDer};
use tokio_rustls::TlsAcceptor;
use tracing::{info, warn};

use crate::Error;

/// The files of a certificate, both in PEM.
#[derive(Clone, Debug)]
pub struct TlsFiles {
    /// The relay's certificate, and after it those that lead to a root.
    pub certificate: PathBuf,
    /// Its private key, which not everybody may read.
    pub key: PathBuf,
}

/// The certificate in force.
pub(crate) struct Tls {
    files: TlsFiles,
    current: Mutex<Current>,
}

struct Current {
    acceptor: TlsAcceptor,
    stamps: Stamps,
}

/// When the files were last changed, and their sizes.
type Stamps = [(SystemTime, u64); 2];

impl Tls {
    /// Reads the files. Blocks.
    pub(crate) fn load(files: TlsFiles) -> Result<Self, Error> {
        // Before the files are read: what is changed meanwhile is read again.
        let stamps = stamps(&files)?;
        let acceptor = acceptor(&files)?;
        let current = Mutex::new(Current { acceptor, stamps });
        Ok(Self { files, current })
    }

    /// What does handshakes with the newest certificate.
    pub(crate) fn acceptor(&self) -> TlsAcceptor {
        self.current().acceptor.clone()
    }

    /// Reads the files again if they changed, and keeps what it has if that fails. Blocks.
    pub(crate) fn renew(&self) {
        let renewed = stamps(&self.files).and_then(|stamps| {
            if self.current().stamps == stamps {
                return Ok(());
            }
            // Whatever comes of it, it is not tried again before the files change again.
            self.current().stamps = stamps;
            self.current().acceptor = acceptor(&self.files)?;
            info!("took the renewed certificate");
            Ok(())
        });
        if let Err(error) = renewed {
            warn!(error = error.to_string(), "the certificate stays as it was");
        }
    }

    fn current(&self) -> std::sync::MutexGuard<'_, Current> {
        self.current.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

fn stamps(files: &TlsFiles) -> Result<Stamps, Error> {
    let stamp = |path: &Path| {
        let stamp = fs::metadata(path).and_then(|file| Ok((file.modified()?, file.len())));
        stamp.map_err(unreadable(path))
    };
    Ok([stamp(&files.certificate)?, stamp(&files.key)?])
}

fn acceptor(files: &TlsFiles) -> Result<TlsAcceptor, Error> {
    let certificates: Result<Vec<_>, _> =
        CertificateDer::pem_reader_iter(open(&files.certificate)?).collect();
    let certificates = certificates.map_err(unusable(&files.certificate))?;
    let key = open(&files.key)?;
    if is_public(&key).map_err(unreadable(&files.key))? {
        return Err(unusable(&files.key)("every user can read it"));
    }
    let key = PrivateKeyDer::from_pem_reader(key).map_err(unusable(&files.key))?;
    let mut config = ServerConfig::builder_with_provider(Arc::new(ring::default_provider()))
        .with_safe_default_protocol_versions()
        .map_err(unusable(&files.certificate))?
        .with_no_client_auth()
        // Refuses a key that is not the certificate's.
        .with_single_cert(certificates, key)
        .map_err(unusable(&files.certificate))?;
    config.alpn_protocols = vec![b"http/1.1".to_vec()];
    Ok(TlsAcceptor::from(Arc::new(config)))
}

fn open(path: &Path) -> Result<File, Error> {
    File::open(path).map_err(unreadable(path))
}

fn unreadable(path: &Path) -> impl Fn(io::Error) -> Error {
    let path = path.to_owned();
    move |error| Error::Certificate {
        path: path.clone(),
        reason: error.to_string(),
    }
}

fn unusable<E: ToString>(path: &Path) -> impl Fn(E) -> Error {
    let path = path.to_owned();
    move |error| Error::Certificate {
        path: path.clone(),
        reason: error.to_string(),
    }
}

#[cfg(unix)]
fn is_public(file: &File) -> io::Result<bool> {
    use std::os::unix::fs::PermissionsExt;
    Ok(file.metadata()?.permissions().mode() & 0o007 != 0)
}

#[cfg(not(unix))]
fn is_public(_: &File) -> io::Result<bool> {
    Ok(false)
}

#[cfg(unix)]
#[cfg(test)]
mod tests {
    use std::net::{Ipv4Addr, SocketAddr};
    use std::os::unix::fs::PermissionsExt;

    use rcgen::CertifiedKey;
    use reqwest::{Certificate, Client};
    use tokio::io::{AsyncReadExt, AsyncWriteExt};
    use tokio::net::TcpStream;

    use super::*;
    use crate::{AdminKey, Config, Server};

    /// Writes a new certificate for `localhost` and its key, and returns a client that trusts it alone.
    fn certify(folder: &Path) -> (TlsFiles, Client) {
        let CertifiedKey { cert, signing_key } =
            rcgen::generate_simple_self_signed(["localhost".to_owned()]).unwrap();
        let files = TlsFiles {
            certificate: folder.join("certificate.pem"),
            key: folder.join("key.pem"),
        };
        fs::write(&files.certificate, cert.pem()).unwrap();
        fs::write(&files.key, signing_key.serialize_pem()).unwrap();
        fs::set_permissions(&files.key, PermissionsExt::from_mode(0o640)).unwrap();
        let _ = ring::default_provider().install_default();
        let root = Certificate::from_pem(cert.pem().as_bytes()).unwrap();
        let client = Client::builder().tls_certs_only([root]).no_proxy();
        (files, client.build().unwrap())
    }

    async fn bind(folder: &Path, files: TlsFiles) -> Result<Server, Error> {
        let key = AdminKey::new("test-admin-key").unwrap();
        let any_port = SocketAddr::from((Ipv4Addr::LOCALHOST, 0));
        let mut config = Config::new(any_port, folder.join("data"), key);
        config.tls = Some(files);
        Server::bind(config).await
    }

    #[tokio::test]
    async fn a_renewed_certificate_is_taken_without_a_restart_and_a_broken_one_is_not() {
        let folder = tempfile::tempdir().unwrap();
        let (files, first) = certify(folder.path());
        let server = bind(folder.path(), files.clone()).await.unwrap();
        let app = server.app();
        let url = format!("https://localhost:{}/health", server.local_addr().port());
        assert!(server.url().starts_with("https://"));
        let running = tokio::spawn(server.run(std::future::pending()));
        let admits = async |client: &Client| client.get(&url).send().await.is_ok();
        let renew = || app.tls.as_ref().unwrap().renew();
        assert!(admits(&first).await);
        let invite = first.post(url.replace("health", "invites"));
        let invite = invite.bearer_auth("test-admin-key").body("{}").send();
        let invite = invite.await.unwrap().text().await.unwrap();
        assert!(invite.contains("\"https://localhost:"), "{invite}");
        let (_, second) = certify(folder.path());
        assert!(!admits(&second).await);
        renew();
        // A connection that is there goes on, with the certificate it began with.
        assert!(admits(&second).await && admits(&first).await);
        fs::write(&files.key, "no key").unwrap();
        renew();
        let (_, stranger) = certify(tempfile::tempdir().unwrap().path());
        assert!(admits(&second).await && !admits(&stranger).await);
        running.abort();
    }

    #[tokio::test]
    async fn peers_that_never_finish_their_handshake_keep_nobody_waiting() {
        let folder = tempfile::tempdir().unwrap();
        let (files, client) = certify(folder.path());
        let server = bind(folder.path(), files).await.unwrap();
        let (address, app) = (server.local_addr(), server.app());
        let (stop, stopped) = tokio::sync::oneshot::channel::<()>();
        let running = tokio::spawn(server.run(async { drop(stopped.await) }));
        let mut silent = Vec::new();
        for _ in 0..50 {
            let mut stream = TcpStream::connect(address).await.unwrap();
            // The beginning of a handshake's first record.
            stream.write_all(&[0x16, 3, 1]).await.unwrap();
            silent.push(stream);
        }
        let url = format!("https://localhost:{}/health", address.port());
        assert_eq!(client.get(url).send().await.unwrap().status(), 200);
        let mut plain = TcpStream::connect(address).await.unwrap();
        plain
            .write_all(b"GET /health HTTP/1.1\r\nHost: x\r\n\r\n")
            .await
            .unwrap();
        let mut answer = Vec::new();
        let _ = plain.read_to_end(&mut answer).await;
        assert!(!answer.starts_with(b"HTTP"), "{answer:?}");
        // It is only counted while it is there.
        while app.metrics.connections.get() > 51 {
            tokio::task::yield_now().await;
        }
        // Nor do they keep the relay from stopping.
        let asked = std::time::Instant::now();
        drop(stop);
        running.await.unwrap().unwrap();
        assert!(asked.elapsed() < crate::connections::HANDSHAKE_TIMEOUT / 2);
    }

    #[tokio::test]
    async fn files_that_make_no_certificate_are_refused_by_name_without_showing_what_they_hold() {
        let folder = tempfile::tempdir().unwrap();
        let (files, _) = certify(folder.path());
        let elsewhere = tempfile::tempdir().unwrap();
        let (others, _) = certify(elsewhere.path());
        let missing = folder.path().join("missing.pem");
        let public = folder.path().join("public.pem");
        fs::copy(&files.key, &public).unwrap();
        fs::set_permissions(&public, PermissionsExt::from_mode(0o644)).unwrap();
        let key_text = fs::read_to_string(&files.key).unwrap();
        for (certificate, key, named) in [
            (&files.certificate, &others.key, &files.certificate),
            (&missing, &files.key, &missing),
            (&files.certificate, &missing, &missing),
            (&files.key, &files.key, &files.key),
            (&files.certificate, &files.certificate, &files.certificate),
            (&files.certificate, &public, &public),
        ] {
            let pair = TlsFiles {
                certificate: certificate.clone(),
                key: key.clone(),
            };
            let refused = bind(folder.path(), pair).await.err().unwrap().to_string();
            assert!(refused.contains(&named.display().to_string()), "{refused}");
            for line in key_text.lines().filter(|line| !line.starts_with('-')) {
                assert!(!refused.contains(line), "{refused}");
            }
        }
    }
}
