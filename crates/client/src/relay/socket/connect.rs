//! From an address to an open WebSocket: through a proxy where the environment names one, over TLS where
//! the address asks for it.

#[cfg(test)]
mod tests;

use std::{error::Error, sync::Arc};

use hyper::{HeaderMap, Uri};
use hyper_util::{
    client::{
        legacy::connect::{
            HttpConnector,
            proxy::{SocksV5, Tunnel},
        },
        proxy::matcher::{Intercept, Matcher},
    },
    rt::TokioIo,
};
use rustls_platform_verifier::ConfigVerifierExt;
use tokio::{
    io::{AsyncRead, AsyncWrite},
    net::TcpStream,
};
use tokio_rustls::{TlsConnector, rustls::ClientConfig, rustls::pki_types::ServerName};
use tokio_tungstenite::{
    WebSocketStream,
    tungstenite::{
        client::IntoClientRequest, error::Error as WebSocketError, protocol::WebSocketConfig,
    },
};
use tower::Service;

use super::MAX_FRAME;
use crate::{
    http::{cleaned, is_loopback, shown_address},
    relay::RelayError,
};

/// What a connection begins with.
pub(in crate::relay) struct Opening {
    /// A `ws` or `wss` URL.
    pub(in crate::relay) url: String,
    /// What stands in the request beside what every WebSocket's has.
    pub(in crate::relay) headers: HeaderMap,
}

/// What the frames go over.
pub(super) trait Line: AsyncRead + AsyncWrite + Send + Unpin {}
impl<T: AsyncRead + AsyncWrite + Send + Unpin> Line for T {}

/// What leads to other machines.
struct Ways {
    proxies: Matcher,
    tls: fn() -> Result<ClientConfig, rustls::Error>,
}

/// Opens a WebSocket.
pub(super) async fn connect(
    opening: Opening,
) -> Result<WebSocketStream<Box<dyn Line>>, RelayError> {
    let ways = Ways {
        proxies: Matcher::from_system(),
        tls: ClientConfig::with_platform_verifier,
    };
    connect_by(opening, &ways).await
}

async fn connect_by(
    opening: Opening,
    ways: &Ways,
) -> Result<WebSocketStream<Box<dyn Line>>, RelayError> {
    let Opening { url, headers } = opening;
    let request = url.as_str().into_client_request();
    // A token may stand in what is asked for.
    let url = shown_address(&url);
    let mut request = request.map_err(|error| refusal(&url, error))?;
    request.headers_mut().extend(headers);
    let line = line(&url, request.uri(), ways).await?;
    let config = WebSocketConfig::default()
        .max_message_size(Some(MAX_FRAME))
        .max_frame_size(Some(MAX_FRAME));
    let opened = tokio_tungstenite::client_async_with_config(request, line, Some(config)).await;
    let (socket, _) = opened.map_err(|error| refusal(&url, error))?;
    Ok(socket)
}

async fn line(url: &str, uri: &Uri, ways: &Ways) -> Result<Box<dyn Line>, RelayError> {
    let unreachable = |why: String| RelayError::Unreachable {
        url: url.to_owned(),
        why: cleaned(&why),
    };
    let is_tls = uri.scheme_str() == Some("wss");
    let tcp = tcp(url, uri, is_tls, &ways.proxies)
        .await
        .map_err(unreachable)?;
    // A frame is not to wait for the one after it.
    tcp.set_nodelay(true)
        .map_err(|error| unreachable(error.to_string()))?;
    if !is_tls {
        return Ok(Box::new(tcp));
    }
    // A second installation fails because the first one stands, which is as good.
    let _ = rustls::crypto::ring::default_provider().install_default();
    let config = (ways.tls)().map_err(|error| unreachable(error.to_string()))?;
    let host = uri.host().unwrap_or_default();
    let host = host.trim_start_matches('[').trim_end_matches(']');
    let name =
        ServerName::try_from(host.to_owned()).map_err(|error| unreachable(error.to_string()))?;
    let tls = TlsConnector::from(Arc::new(config))
        .connect(name, tcp)
        .await
        .map_err(|error| unreachable(error.to_string()))?;
    Ok(Box::new(tls))
}

/// A TCP connection to the relay, or to the proxy that leads there.
async fn tcp(url: &str, uri: &Uri, is_tls: bool, proxies: &Matcher) -> Result<TcpStream, String> {
    let (scheme, port) = if is_tls { ("https", 443) } else { ("http", 80) };
    let authority = uri.authority().ok_or("it names no host")?;
    let port = authority.port_u16().unwrap_or(port);
    // Proxies are chosen as for HTTP, and asked for a host and a port.
    let target = Uri::builder()
        .scheme(scheme)
        .authority(format!("{}:{port}", authority.host()))
        .path_and_query("/")
        .build()
        .map_err(|error| error.to_string())?;
    let mut connector = HttpConnector::new();
    connector.enforce_http(false);
    connector.set_connect_timeout(Some(super::PATIENCE));
    // A proxy could not reach this machine's own server.
    let proxy = if is_loopback(url) {
        None
    } else {
        proxies.intercept(&target)
    };
    let line = match &proxy {
        None => call(connector, target).await?,
        Some(proxy) if is_socks(proxy) => {
            let mut socks = SocksV5::new(proxy.uri().clone(), connector);
            if proxy.uri().scheme_str() == Some("socks5") {
                socks = socks.local_dns(true);
            }
            if let Some((user, password)) = proxy.raw_auth() {
                socks = socks.with_auth(user.to_owned(), password.to_owned());
            }
            call(socks, target).await?
        }
        Some(proxy) => {
            let mut tunnel = Tunnel::new(proxy.uri().clone(), connector);
            if let Some(authorization) = proxy.basic_auth() {
                tunnel = tunnel.with_auth(authorization.clone());
            }
            call(tunnel, target).await?
        }
    };
    Ok(line.into_inner())
}

fn is_socks(proxy: &Intercept) -> bool {
    matches!(proxy.uri().scheme_str(), Some("socks5" | "socks5h"))
}

/// Has a connector connect.
async fn call<C>(mut connector: C, target: Uri) -> Result<TokioIo<TcpStream>, String>
where
    C: Service<Uri, Response = TokioIo<TcpStream>>,
    C::Error: Error,
{
    let ready = std::future::poll_fn(|context| connector.poll_ready(context)).await;
    ready.map_err(|error| innermost(&error))?;
    let connected = connector.call(target).await;
    connected.map_err(|error| innermost(&error))
}

/// The innermost cause, which is what a person can act on.
fn innermost(error: &dyn Error) -> String {
    let mut cause = error;
    while let Some(next) = cause.source() {
        cause = next;
    }
    cause.to_string()
}

/// What the relay's answer to the request for a WebSocket means.
fn refusal(url: &str, error: WebSocketError) -> RelayError {
    let url = url.to_owned();
    match error {
        WebSocketError::Http(response) => match response.status().as_u16() {
            401 | 403 => RelayError::Unauthorized { url },
            status => RelayError::Refused {
                status,
                code: ctalk_wire::ErrorCode::Unknown,
                text: "it opens no WebSocket there".to_owned(),
            },
        },
        WebSocketError::Url(_) | WebSocketError::HttpFormat(_) => RelayError::BadUrl {
            url: cleaned(&url),
            why: "it is no address of a WebSocket",
        },
        WebSocketError::Protocol(why) => RelayError::BadAnswer {
            url,
            why: cleaned(&why.to_string()),
        },
        other => RelayError::Unreachable {
            url,
            why: cleaned(&other.to_string()),
        },
    }
}
