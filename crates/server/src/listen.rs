//! Connections: accepted, wrapped in TLS, served, and ended in good order.

use crate::gather::gather;
use crate::problem::Refusal;
use axum::Router;
use axum::body::Body;
use axum::http::{Request, Response, StatusCode, header};
use axum::response::IntoResponse as _;
use hyper::body::Incoming;
use hyper::service::{Service as _, service_fn};
use hyper_util::rt::{TokioIo, TokioTimer};
use hyper_util::service::TowerToHyperService;
use rustix::process::{Resource, getrlimit, setrlimit};
use rustls::ServerConfig;
use std::convert::Infallible;
use std::io;
use std::net::{IpAddr, SocketAddr};
use std::sync::{Arc, PoisonError, RwLock};
use std::time::Duration;
use tokio::net::{TcpListener, TcpSocket, TcpStream};
use tokio::sync::{Semaphore, watch};
use tokio::task::JoinError;
use tokio::time::timeout;
use tokio_rustls::TlsAcceptor;

/// The most connections at once; more wait in the kernel's queue.
const CONNECTIONS: usize = 8192;
/// How long a peer may take for its handshake, or for the head of a request.
const PATIENCE: Duration = Duration::from_secs(30);
/// How long a shutdown waits for requests that are under way.
const GRACE: Duration = Duration::from_secs(10);
/// Bytes that wait in the kernel for a peer. Small, so that little is sent, and
/// counted, that a terminal whose connection breaks never reads.
const SEND_BUFFER: u32 = 128 << 10;
/// Bytes that wait in the HTTP layer before the body is asked for more.
const WRITE_BUFFER: usize = 64 << 10;
/// Connections that wait to be accepted.
const BACKLOG: u32 = 4096;

/// The address that a request came from.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Peer(pub(crate) IpAddr);

/// The TLS configuration, exchanged when a certificate is renewed.
pub(crate) type Tls = Arc<RwLock<Arc<ServerConfig>>>;

/// Lets this process open as many files as the system allows it, which are connections
/// here.
pub(crate) fn allow_connections() {
    let mut limit = getrlimit(Resource::Nofile);
    limit.current = limit.maximum;
    // Without it there are fewer connections at once, and the others wait.
    let _ = setrlimit(Resource::Nofile, limit);
}

/// Binds `address`.
pub(crate) fn bind(address: SocketAddr) -> io::Result<TcpListener> {
    let socket = if address.is_ipv4() { TcpSocket::new_v4()? } else { TcpSocket::new_v6()? };
    socket.set_reuseaddr(true)?;
    socket.set_send_buffer_size(SEND_BUFFER)?;
    socket.bind(address)?;
    socket.listen(BACKLOG)
}

/// Serves `router` until `stop` changes, then lets requests end.
pub(crate) async fn serve(
    listener: TcpListener,
    tls: Tls,
    router: Router,
    mut stop: watch::Receiver<bool>,
) {
    let permits = Arc::new(Semaphore::new(CONNECTIONS));
    loop {
        let accepted = tokio::select! {
            accepted = listener.accept() => accepted,
            _ = stop.changed() => break,
        };
        let Ok((stream, peer)) = accepted else {
            // Out of file descriptors: connections have to end first.
            tokio::time::sleep(Duration::from_millis(100)).await;
            continue;
        };
        let Ok(permit) = Arc::clone(&permits).acquire_owned().await else { break };
        let config = Arc::clone(&tls.read().unwrap_or_else(PoisonError::into_inner));
        let connection = connection(stream, peer, config, router.clone(), stop.clone());
        tokio::spawn(async move {
            connection.await;
            drop(permit);
        });
    }
    let all = u32::try_from(CONNECTIONS).unwrap_or(u32::MAX);
    let _ended = timeout(GRACE, permits.acquire_many(all)).await;
}

async fn connection(
    stream: TcpStream,
    peer: SocketAddr,
    config: Arc<ServerConfig>,
    router: Router,
    mut stop: watch::Receiver<bool>,
) {
    let _best_effort = stream.set_nodelay(true);
    let Ok(Ok(stream)) = timeout(PATIENCE, TlsAcceptor::from(config).accept(stream)).await else {
        return;
    };
    let service = service_fn(move |request| answer(router.clone(), request, Peer(peer.ip())));
    let mut http = hyper::server::conn::http1::Builder::new();
    http.timer(TokioTimer::new()).header_read_timeout(PATIENCE).max_buf_size(WRITE_BUFFER);
    let mut served = std::pin::pin!(http.serve_connection(TokioIo::new(stream), service));
    tokio::select! {
        _ = served.as_mut() => return,
        _ = stop.changed() => served.as_mut().graceful_shutdown(),
    }
    let _ended = served.await;
}

/// Runs a request in a task of its own: a peer that hangs up must not stop the
/// server between its store and its memory.
async fn answer(
    router: Router,
    request: Request<Incoming>,
    peer: Peer,
) -> Result<Response<Body>, JoinError> {
    let (mut parts, body) = request.into_parts();
    parts.extensions.insert(peer);
    // Who expects a word first is asked for the body by the route that wants it.
    let body = if parts.headers.contains_key(header::EXPECT) {
        Ok(Ok(Body::new(body)))
    } else {
        timeout(PATIENCE, gather(body)).await
    };
    let Ok(Ok(body)) = body else { return Ok(too_slow().into_response()) };
    let request = Request::from_parts(parts, body);
    let answered = tokio::spawn(TowerToHyperService::new(router).call(request)).await?;
    Ok(answered.unwrap_or_else(|never: Infallible| match never {}))
}

fn too_slow() -> Refusal {
    let text = "the request broke off or came too slowly";
    Refusal::new(StatusCode::REQUEST_TIMEOUT, text, "send it again")
}
