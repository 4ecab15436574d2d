//! Proxies and TLS, with a server and proxies of this machine's.

use std::sync::{Arc, OnceLock};

use futures_util::StreamExt;
use hyper::HeaderMap;
use hyper_util::client::proxy::matcher::Matcher;
use tokio::{
    io::{AsyncReadExt, AsyncWriteExt, copy_bidirectional},
    net::{TcpListener, TcpStream},
    sync::mpsc,
};
use tokio_rustls::{
    TlsAcceptor,
    rustls::{
        ClientConfig, RootCertStore, ServerConfig,
        pki_types::{CertificateDer, PrivateKeyDer},
    },
};

use super::{Opening, Ways, connect_by};
use crate::relay::RelayError;

/// A WebSocket server, over TLS where there is a configuration for it; its port.
async fn server(tls: Option<ServerConfig>) -> u16 {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let port = listener.local_addr().unwrap().port();
    tokio::spawn(async move {
        let tls = tls.map(|tls| TlsAcceptor::from(Arc::new(tls)));
        while let Ok((stream, _)) = listener.accept().await {
            let tls = tls.clone();
            tokio::spawn(async move {
                match tls {
                    None => greet(stream).await,
                    Some(tls) => {
                        if let Ok(stream) = tls.accept(stream).await {
                            greet(stream).await;
                        }
                    }
                }
            });
        }
    });
    port
}

async fn greet<S: tokio::io::AsyncRead + tokio::io::AsyncWrite + Unpin>(stream: S) {
    use futures_util::SinkExt;
    if let Ok(mut socket) = tokio_tungstenite::accept_async(stream).await {
        let _ = socket.send("hello".into()).await;
        while let Some(Ok(_)) = socket.next().await {}
    }
}

/// What a proxy is asked for: how, for whom, and with what right.
type Asked = mpsc::UnboundedReceiver<String>;

/// A proxy that leads everybody to `port` of this machine, whatever is asked for.
async fn proxy(port: u16, is_socks: bool) -> (u16, Asked) {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let own = listener.local_addr().unwrap().port();
    let (tell, asked) = mpsc::unbounded_channel();
    tokio::spawn(async move {
        while let Ok((mut stream, _)) = listener.accept().await {
            let tell = tell.clone();
            tokio::spawn(async move {
                let asked = if is_socks {
                    socks(&mut stream).await
                } else {
                    tunnel(&mut stream).await
                };
                tell.send(asked).unwrap();
                let mut on = TcpStream::connect(("127.0.0.1", port)).await.unwrap();
                let _ = copy_bidirectional(&mut stream, &mut on).await;
            });
        }
    });
    (own, asked)
}

/// HTTP CONNECT (RFC 9110, section 9.3.6).
async fn tunnel(stream: &mut TcpStream) -> String {
    let mut head = Vec::new();
    while !head.ends_with(b"\r\n\r\n") {
        head.push(stream.read_u8().await.unwrap());
    }
    stream.write_all(b"HTTP/1.1 200 OK\r\n\r\n").await.unwrap();
    let head = String::from_utf8(head).unwrap();
    let line = head.lines().next().unwrap();
    let right = head.lines().find(|line| {
        line.to_ascii_lowercase()
            .starts_with("proxy-authorization:")
    });
    format!("{line} {}", right.unwrap_or_default())
}

/// SOCKS 5 (RFC 1928), with a name and a password (RFC 1929) where they are offered.
async fn socks(stream: &mut TcpStream) -> String {
    let mut two = [0; 2];
    stream.read_exact(&mut two).await.unwrap();
    let mut methods = vec![0; usize::from(two[1])];
    stream.read_exact(&mut methods).await.unwrap();
    let mut right = String::new();
    if methods.contains(&2) {
        stream.write_all(&[5, 2]).await.unwrap();
        assert_eq!(stream.read_u8().await.unwrap(), 1);
        for _ in 0..2 {
            right += &format!(" {}", short(stream).await);
        }
        stream.write_all(&[1, 0]).await.unwrap();
    } else {
        stream.write_all(&[5, 0]).await.unwrap();
    }
    let mut request = [0; 4];
    stream.read_exact(&mut request).await.unwrap();
    assert_eq!(request[..3], [5, 1, 0]);
    let host = match request[3] {
        3 => short(stream).await,
        1 => {
            let mut address = [0; 4];
            stream.read_exact(&mut address).await.unwrap();
            std::net::Ipv4Addr::from(address).to_string()
        }
        other => panic!("address type {other}"),
    };
    let port = stream.read_u16().await.unwrap();
    stream
        .write_all(&[5, 0, 0, 1, 127, 0, 0, 1, 0, 0])
        .await
        .unwrap();
    format!("{host}:{port}{right}")
}

async fn short(stream: &mut TcpStream) -> String {
    let mut text = vec![0; usize::from(stream.read_u8().await.unwrap())];
    stream.read_exact(&mut text).await.unwrap();
    String::from_utf8(text).unwrap()
}

fn nobody() -> Result<ClientConfig, rustls::Error> {
    Ok(ClientConfig::builder()
        .with_root_certificates(RootCertStore::empty())
        .with_no_client_auth())
}

/// What the one server with a certificate is known by.
static TRUSTED: OnceLock<CertificateDer<'static>> = OnceLock::new();

fn trusting() -> Result<ClientConfig, rustls::Error> {
    let mut roots = RootCertStore::empty();
    roots.add(TRUSTED.get().unwrap().clone())?;
    Ok(ClientConfig::builder()
        .with_root_certificates(roots)
        .with_no_client_auth())
}

async fn hears(url: String, ways: &Ways) -> Result<String, RelayError> {
    let opening = Opening {
        url,
        headers: HeaderMap::new(),
    };
    let mut socket = connect_by(opening, ways).await?;
    let frame = socket.next().await.unwrap().unwrap();
    Ok(frame.into_text().unwrap().to_string())
}

#[tokio::test]
async fn the_way_leads_through_an_http_proxy_that_is_asked_for_host_and_port() {
    let (port, mut asked) = proxy(server(None).await, false).await;
    let proxies = Matcher::builder().all(format!("http://ann:secret@127.0.0.1:{port}"));
    let ways = Ways {
        proxies: proxies.build(),
        tls: nobody,
    };
    let url = "ws://relay.invalid:1234/connect".to_owned();
    assert_eq!(hears(url, &ways).await.unwrap(), "hello");
    let asked = asked.recv().await.unwrap();
    assert!(
        asked.starts_with("CONNECT relay.invalid:1234 HTTP/1.1 "),
        "{asked}"
    );
    assert!(asked.ends_with("Basic YW5uOnNlY3JldA=="), "{asked}");
}

#[tokio::test]
async fn the_way_leads_through_a_socks_proxy_that_looks_up_the_name() {
    let (port, mut asked) = proxy(server(None).await, true).await;
    let proxies = Matcher::builder().all(format!("socks5h://ann:secret@127.0.0.1:{port}"));
    let ways = Ways {
        proxies: proxies.build(),
        tls: nobody,
    };
    let url = "ws://relay.invalid/connect".to_owned();
    assert_eq!(hears(url, &ways).await.unwrap(), "hello");
    assert_eq!(asked.recv().await.unwrap(), "relay.invalid:80 ann secret");
}

#[tokio::test]
async fn nothing_of_this_machine_is_asked_of_a_proxy() {
    let port = server(None).await;
    let ways = Ways {
        proxies: Matcher::builder().all("http://127.0.0.1:1").build(),
        tls: nobody,
    };
    let url = format!("ws://127.0.0.1:{port}/connect");
    assert_eq!(hears(url, &ways).await.unwrap(), "hello");
}

#[tokio::test]
async fn a_certificate_counts_if_it_is_trusted_and_for_this_name_through_proxies_too() {
    let _ = rustls::crypto::ring::default_provider().install_default();
    let names = ["localhost".to_owned(), "relay.invalid".to_owned()];
    let made = rcgen::generate_simple_self_signed(names).unwrap();
    let certificate = made.cert.der().clone();
    TRUSTED.set(certificate.clone()).unwrap();
    let key = PrivateKeyDer::try_from(made.signing_key.serialize_der()).unwrap();
    let config = ServerConfig::builder()
        .with_no_client_auth()
        .with_single_cert(vec![certificate], key)
        .unwrap();
    let port = server(Some(config)).await;
    let ways = |tls| Ways {
        proxies: Matcher::builder().build(),
        tls,
    };
    let url = format!("wss://localhost:{port}/connect?token=s3cret");
    assert_eq!(hears(url.clone(), &ways(trusting)).await.unwrap(), "hello");
    let refused = hears(url, &ways(nobody)).await.unwrap_err();
    assert!(
        matches!(refused, RelayError::Unreachable { .. }),
        "{refused}"
    );
    assert!(refused.to_string().contains("certificate"), "{refused}");
    assert!(!refused.to_string().contains("s3cret"), "{refused}");
    let other = hears(format!("wss://127.0.0.1:{port}/"), &ways(trusting)).await;
    assert!(other.unwrap_err().to_string().contains("certificate"));
    let (proxy, mut asked) = proxy(port, false).await;
    let through = Ways {
        proxies: Matcher::builder()
            .all(format!("http://127.0.0.1:{proxy}"))
            .build(),
        tls: trusting,
    };
    let url = "wss://relay.invalid/connect".to_owned();
    assert_eq!(hears(url, &through).await.unwrap(), "hello");
    assert!(
        asked
            .recv()
            .await
            .unwrap()
            .starts_with("CONNECT relay.invalid:443 ")
    );
}
