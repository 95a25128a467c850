//! One simulated TCP port that can be shut, served or left hanging while the demo runs.

use std::io;
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpSocket, TcpStream};
use tokio::sync::{Semaphore, watch};
use tokio::task::JoinHandle;
use tokio_rustls::TlsAcceptor;

/// Connections served at once by one port; more wait in the backlog.
const CONNECTIONS_MAX: usize = 64;
/// Request heads are read up to this size.
const HEAD_BYTES_MAX: usize = 8 * 1024;
/// A client that sends nothing is dropped after this.
const IDLE: Duration = Duration::from_secs(20);
const BACKLOG: u32 = 128;

/// Answers a request path with status and body.
pub type Pages = Arc<dyn Fn(&str) -> (u16, String) + Send + Sync>;

/// What the port does at present.
#[derive(Clone)]
pub enum Behaviour {
    /// Nobody listens: connections are refused.
    Shut,
    /// Connections are accepted and never answered.
    Hang,
    /// Sends one line and closes (SSH banner).
    Banner(&'static str),
    /// Plain HTTP.
    Http(Pages),
    /// HTTP over TLS.
    Https(Pages, TlsAcceptor),
}

/// A port and its task; dropping it shuts the port.
pub struct Port {
    behaviour: watch::Sender<Behaviour>,
    task: JoinHandle<()>,
}

impl Port {
    /// Starts shut.
    pub fn new(addr: SocketAddr) -> Port {
        let (behaviour, watched) = watch::channel(Behaviour::Shut);
        Port { behaviour, task: tokio::spawn(run(addr, watched)) }
    }

    pub fn set(&self, behaviour: Behaviour) {
        self.behaviour.send_replace(behaviour);
    }
}

impl Drop for Port {
    fn drop(&mut self) {
        self.task.abort();
    }
}

async fn run(addr: SocketAddr, mut behaviour: watch::Receiver<Behaviour>) {
    loop {
        let present = behaviour.borrow_and_update().clone();
        if matches!(present, Behaviour::Shut) {
            if behaviour.changed().await.is_err() {
                return;
            }
            continue;
        }
        let listener = match listen(addr) {
            Ok(listener) => listener,
            Err(error) => {
                tracing::warn!(%addr, %error, "a simulated port cannot listen; trying again");
                tokio::time::sleep(Duration::from_millis(200)).await;
                continue;
            }
        };
        serve(&listener, &present, &mut behaviour).await;
    }
}

fn listen(addr: SocketAddr) -> io::Result<TcpListener> {
    let socket = TcpSocket::new_v4()?;
    socket.set_reuseaddr(true)?;
    socket.bind(addr)?;
    socket.listen(BACKLOG)
}

/// Serves until the behaviour changes; open connections die with it, as they do when a process is killed.
async fn serve(listener: &TcpListener, present: &Behaviour, behaviour: &mut watch::Receiver<Behaviour>) {
    let mut connections = tokio::task::JoinSet::new();
    let room = Arc::new(Semaphore::new(CONNECTIONS_MAX));
    loop {
        tokio::select! {
            changed = behaviour.changed() => {
                drop(changed);
                return;
            }
            Some(_) = connections.join_next() => {}
            accepted = listener.accept() => {
                let Ok((stream, _)) = accepted else { continue };
                let Ok(permit) = Arc::clone(&room).acquire_owned().await else { return };
                let present = present.clone();
                connections.spawn(async move {
                    // A client that breaks off is its own business.
                    let _ = tokio::time::timeout(IDLE, answer(stream, present)).await;
                    drop(permit);
                });
            }
        }
    }
}

async fn answer(mut stream: TcpStream, behaviour: Behaviour) -> io::Result<()> {
    match behaviour {
        Behaviour::Shut => Ok(()),
        Behaviour::Hang => std::future::pending().await,
        Behaviour::Banner(line) => {
            stream.write_all(line.as_bytes()).await?;
            stream.shutdown().await
        }
        Behaviour::Http(pages) => http(&mut stream, &pages).await,
        Behaviour::Https(pages, acceptor) => {
            let mut stream = acceptor.accept(stream).await?;
            http(&mut stream, &pages).await
        }
    }
}

/// Answers one request.
///
/// # Errors
/// The client broke off.
pub async fn http<S: tokio::io::AsyncRead + tokio::io::AsyncWrite + Unpin>(
    stream: &mut S,
    pages: &Pages,
) -> io::Result<()> {
    let mut head = Vec::with_capacity(512);
    let mut chunk = [0u8; 512];
    while !head.windows(4).any(|window| window == b"\r\n\r\n") {
        let read = stream.read(&mut chunk).await?;
        if read == 0 || head.len() + read > HEAD_BYTES_MAX {
            return Ok(());
        }
        head.extend(chunk.iter().take(read));
    }
    let head = String::from_utf8_lossy(&head);
    let path = head.split(' ').nth(1).unwrap_or("/").to_owned();
    let (status, body) = pages(&path);
    let reason = match status {
        200 => "OK",
        302 => "Found",
        404 => "Not Found",
        502 => "Bad Gateway",
        503 => "Service Unavailable",
        _ => "Status",
    };
    let response = format!(
        "HTTP/1.1 {status} {reason}\r\nContent-Type: text/plain\r\nContent-Length: {}\r\nConnection: close\r\n\r\n{body}",
        body.len()
    );
    stream.write_all(response.as_bytes()).await?;
    stream.shutdown().await
}
