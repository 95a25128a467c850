//! The listener: accepts connections, with or without TLS, and lets them finish at the end.

use std::collections::BTreeMap;
use std::convert::Infallible;
use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use axum::Router;
use axum::body::Body;
use axum::extract::ConnectInfo;
use axum::http::Request;
use axum::response::Response;
use hyper::body::Incoming;
use hyper_util::rt::{TokioExecutor, TokioIo, TokioTimer};
use hyper_util::server::conn::auto;
use rustls::pki_types::pem::PemObject;
use rustls::pki_types::{CertificateDer, PrivateKeyDer};
use rustls::server::WebPkiClientVerifier;
use rustls::server::danger::ClientCertVerifier;
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::Semaphore;
use tokio::task::JoinSet;
use tokio_rustls::TlsAcceptor;
use tokio_rustls::server::TlsStream;
use tokio_util::sync::CancellationToken;
use tower::ServiceExt;

use super::auth::ShownCertificate;

/// Open connections; each browser tab holds one for live updates. Beyond this, new ones wait in the kernel's backlog.
const CONNECTIONS_MAX: usize = 4096;
/// A client that does not finish its handshake or its request's head in this time is let go.
const HANDSHAKE_MAX: Duration = Duration::from_secs(10);
const HEAD_MAX: Duration = Duration::from_secs(15);
/// At the end, running requests get this long; live-update streams never end by themselves.
const FAREWELL_MAX: Duration = Duration::from_secs(2);
/// After a failed `accept` (out of file descriptors), before the next.
const ACCEPT_PAUSE: Duration = Duration::from_millis(200);

#[derive(Debug, thiserror::Error)]
pub enum TlsError {
    #[error("cannot read the certificate `{path}`")]
    Certificate {
        path: PathBuf,
        #[source]
        cause: rustls::pki_types::pem::Error,
    },
    #[error("cannot read the private key `{path}`")]
    Key {
        path: PathBuf,
        #[source]
        cause: rustls::pki_types::pem::Error,
    },
    #[error("certificate and key do not fit together")]
    Pair(#[source] rustls::Error),
    #[error("cannot trust clients by `{path}`: {cause}")]
    Clients { path: PathBuf, cause: String },
}

/// How connections are encrypted, and what the certificates of clients are good for.
#[derive(Clone)]
pub struct Tls {
    acceptor: TlsAcceptor,
    clients: Option<Arc<Clients>>,
}

/// Who may come with a certificate of his own.
#[derive(Clone, Debug)]
pub struct Clients {
    /// Authorities (PEM) whose certificates are good.
    pub ca: PathBuf,
    /// Name in a certificate -> host that its agent speaks for; other certificates speak for the hosts they name.
    pub hosts: BTreeMap<String, Arc<str>>,
    /// Reads the names in a certificate (DER).
    pub names: fn(&[u8]) -> Vec<String>,
}

/// Reads `tls_cert` (chain, own certificate first) and `tls_key`, both PEM.
///
/// # Errors
/// A file cannot be read, or the key is not the certificate's.
pub fn tls(cert: &Path, key: &Path, clients: Option<&Clients>) -> Result<Tls, TlsError> {
    let unreadable = |cause| TlsError::Certificate { path: cert.to_owned(), cause };
    let chain = CertificateDer::pem_file_iter(cert).map_err(unreadable)?;
    let chain: Vec<_> = chain.collect::<Result<_, _>>().map_err(unreadable)?;
    let key = PrivateKeyDer::from_pem_file(key).map_err(|cause| TlsError::Key { path: key.to_owned(), cause })?;
    let builder = rustls::ServerConfig::builder();
    let builder = match clients {
        None => builder.with_no_client_auth(),
        Some(clients) => builder.with_client_cert_verifier(verifier(&clients.ca)?),
    };
    let mut config = builder.with_single_cert(chain, key).map_err(TlsError::Pair)?;
    config.alpn_protocols = vec![b"h2".to_vec(), b"http/1.1".to_vec()];
    Ok(Tls { acceptor: TlsAcceptor::from(Arc::new(config)), clients: clients.cloned().map(Arc::new) })
}

/// Browsers and holders of tokens come without a certificate; who shows one must show a good one.
fn verifier(ca: &Path) -> Result<Arc<dyn ClientCertVerifier>, TlsError> {
    let bad = |cause: String| TlsError::Clients { path: ca.to_owned(), cause };
    let mut roots = rustls::RootCertStore::empty();
    for cert in CertificateDer::pem_file_iter(ca).map_err(|cause| bad(cause.to_string()))? {
        let cert = cert.map_err(|cause| bad(cause.to_string()))?;
        roots.add(cert).map_err(|cause| bad(cause.to_string()))?;
    }
    if roots.is_empty() {
        return Err(bad("no certificate in it".to_owned()));
    }
    let verifier = WebPkiClientVerifier::builder(Arc::new(roots)).allow_unauthenticated().build();
    verifier.map_err(|cause| bad(cause.to_string()))
}

impl Tls {
    /// The hosts that the peer's certificate, which has been verified, may speak for.
    fn speaks_for(&self, stream: &TlsStream<TcpStream>) -> Option<ShownCertificate> {
        let leaf = stream.get_ref().1.peer_certificates()?.first()?;
        let names = (self.clients.as_ref()?.names)(leaf);
        let mapped: Vec<Arc<str>> =
            names.iter().filter_map(|name| self.clients.as_ref()?.hosts.get(name).cloned()).collect();
        let names = || names.iter().map(|name| Arc::from(name.as_str())).collect();
        Some(ShownCertificate(if mapped.is_empty() { names() } else { mapped }))
    }
}

/// Serves until `stop`; then takes no new connection and lets running requests finish.
pub async fn serve(listener: TcpListener, tls: Option<Tls>, router: Router, stop: CancellationToken) {
    let slots = Arc::new(Semaphore::new(CONNECTIONS_MAX));
    let mut connections = JoinSet::new();
    loop {
        while connections.try_join_next().is_some() {}
        let slot = tokio::select! {
            () = stop.cancelled() => break,
            slot = Arc::clone(&slots).acquire_owned() => slot.expect("the semaphore is never closed"),
        };
        let (stream, peer) = tokio::select! {
            () = stop.cancelled() => break,
            accepted = listener.accept() => match accepted {
                Ok(accepted) => accepted,
                Err(error) => {
                    tracing::warn!(error = %error, "a connection could not be accepted");
                    tokio::time::sleep(ACCEPT_PAUSE).await;
                    continue;
                }
            },
        };
        let (tls, router, stop) = (tls.clone(), router.clone(), stop.clone());
        connections.spawn(async move {
            let _slot = slot;
            connection(stream, peer, tls, router, stop).await;
        });
    }
    let rest = async { while connections.join_next().await.is_some() {} };
    if tokio::time::timeout(FAREWELL_MAX, rest).await.is_err() {
        // Dropping the set ends what is left: streams, and requests that hang.
        connections.shutdown().await;
    }
}

async fn connection(stream: TcpStream, peer: SocketAddr, tls: Option<Tls>, router: Router, stop: CancellationToken) {
    // Answers are small and written whole; waiting to fill packets only delays them.
    let _ = stream.set_nodelay(true);
    match tls {
        None => talk(stream, Peer { addr: peer, certificate: None }, router, stop).await,
        Some(tls) => match tokio::time::timeout(HANDSHAKE_MAX, tls.acceptor.accept(stream)).await {
            Ok(Ok(stream)) => {
                let certificate = tls.speaks_for(&stream);
                talk(stream, Peer { addr: peer, certificate }, router, stop).await;
            }
            Ok(Err(error)) => tracing::debug!(error = %error, peer = %peer, "a TLS handshake failed"),
            Err(_) => tracing::debug!("a TLS handshake took too long"),
        },
    }
}

/// Who is at the other end.
#[derive(Clone)]
struct Peer {
    addr: SocketAddr,
    certificate: Option<ShownCertificate>,
}

async fn talk<S>(stream: S, peer: Peer, router: Router, stop: CancellationToken)
where
    S: AsyncRead + AsyncWrite + Unpin + Send + 'static,
{
    let service = hyper::service::service_fn(move |request: Request<Incoming>| {
        let (router, peer) = (router.clone(), peer.clone());
        async move {
            let mut request = request.map(Body::new);
            request.extensions_mut().insert(ConnectInfo(peer.addr));
            if let Some(certificate) = peer.certificate {
                request.extensions_mut().insert(certificate);
            }
            Ok::<Response, Infallible>(router.oneshot(request).await.unwrap_or_else(|never| match never {}))
        }
    });
    let mut builder = auto::Builder::new(TokioExecutor::new());
    builder.http1().timer(TokioTimer::new()).header_read_timeout(HEAD_MAX);
    builder.http2().timer(TokioTimer::new()).keep_alive_interval(Some(HEAD_MAX));
    let connection = builder.serve_connection(TokioIo::new(stream), service);
    let mut connection = std::pin::pin!(connection);
    let ended = tokio::select! {
        ended = connection.as_mut() => ended,
        () = stop.cancelled() => {
            connection.as_mut().graceful_shutdown();
            connection.await
        }
    };
    if let Err(error) = ended {
        tracing::trace!(error = %error, "a connection ended early");
    }
}
