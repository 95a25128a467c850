//! One simulated TCP port that can be shut, served or left hanging while the demo runs.

use std::io;
use std::net::SocketAddr;
use std::time::Duration;

use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpSocket, TcpStream};
use tokio::sync::watch;
use tokio::task::JoinHandle;
use tokio_rustls::TlsAcceptor;

/// Connections served at once by one port; more wait in the backlog.
const CONNECTIONS_MAX: usize = 64;
/// Request heads are read up to this size.
const HEAD_BYTES_MAX: usize = 8 * 1024;
/// A client that sends nothing is dropped after this.
const IDLE: Duration = Duration::from_secs(20);
const BACKLOG: u32 = 128;

/// The one page of a web server; any other path is not found.
#[derive(Clone, Debug, PartialEq)]
pub struct Page {
    pub path: &'static str,
    pub status: u16,
    pub body: String,
}

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
    Http(Page),
    /// HTTP over TLS.
    Https(Page, TlsAcceptor),
}

impl PartialEq for Behaviour {
    /// A demo has one certificate, so two acceptors are the same.
    fn eq(&self, other: &Behaviour) -> bool {
        match (self, other) {
            (Behaviour::Shut, Behaviour::Shut) | (Behaviour::Hang, Behaviour::Hang) => true,
            (Behaviour::Banner(a), Behaviour::Banner(b)) => a == b,
            (Behaviour::Http(a), Behaviour::Http(b)) | (Behaviour::Https(a, _), Behaviour::Https(b, _)) => a == b,
            (
                Behaviour::Shut | Behaviour::Hang | Behaviour::Banner(_) | Behaviour::Http(_) | Behaviour::Https(..),
                _,
            ) => false,
        }
    }
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

    /// A port that does what it did is left alone: what strikes one host must not disturb the others.
    pub fn set(&self, behaviour: Behaviour) {
        self.behaviour.send_if_modified(|now| {
            let changes = *now != behaviour;
            *now = behaviour;
            changes
        });
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
        serve(&listener, present, &mut behaviour).await;
    }
}

fn listen(addr: SocketAddr) -> io::Result<TcpListener> {
    let socket = TcpSocket::new_v4()?;
    socket.set_reuseaddr(true)?;
    socket.bind(addr)?;
    socket.listen(BACKLOG)
}

/// Serves until the port is shut; open connections die with it, as they do when a process is killed. One that answers
/// otherwise than before goes on listening: nobody was killed.
async fn serve(listener: &TcpListener, mut present: Behaviour, behaviour: &mut watch::Receiver<Behaviour>) {
    let mut connections = tokio::task::JoinSet::new();
    loop {
        tokio::select! {
            changed = behaviour.changed() => {
                let next = behaviour.borrow_and_update().clone();
                if changed.is_err() || next == Behaviour::Shut {
                    return;
                }
                if present == Behaviour::Hang {
                    connections.abort_all();
                }
                present = next;
            }
            Some(_) = connections.join_next() => {}
            accepted = listener.accept(), if connections.len() < CONNECTIONS_MAX => {
                let Ok((stream, _)) = accepted else { continue };
                let present = present.clone();
                connections.spawn(async move {
                    // A client that breaks off is its own business.
                    let _ = tokio::time::timeout(IDLE, answer(stream, present)).await;
                });
            }
        }
    }
}

async fn answer(mut stream: TcpStream, behaviour: Behaviour) -> io::Result<()> {
    match behaviour {
        Behaviour::Shut => Ok(()),
        // Reads and says nothing, until the client has had enough.
        Behaviour::Hang => tokio::io::copy(&mut stream, &mut tokio::io::sink()).await.map(drop),
        Behaviour::Banner(line) => {
            stream.write_all(line.as_bytes()).await?;
            stream.shutdown().await
        }
        Behaviour::Http(page) => http(&mut stream, &page).await,
        Behaviour::Https(page, acceptor) => {
            let mut stream = acceptor.accept(stream).await?;
            http(&mut stream, &page).await
        }
    }
}

/// Answers one request.
///
/// # Errors
/// The client broke off.
pub async fn http<S: tokio::io::AsyncRead + tokio::io::AsyncWrite + Unpin>(
    stream: &mut S,
    page: &Page,
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
    let path = head.split(' ').nth(1).unwrap_or("/");
    let (status, body) = if path == page.path { (page.status, &*page.body) } else { (404, "not here\n") };
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

#[cfg(test)]
mod tests {
    use super::*;

    /// Longest wait for a fact; only a fault makes a test wait so long.
    const PATIENCE: Duration = Duration::from_secs(60);

    fn free_addr() -> SocketAddr {
        std::net::TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap()
    }

    fn page(status: u16) -> Behaviour {
        Behaviour::Http(Page { path: "/", status, body: "well\n".to_owned() })
    }

    /// The port opens in another task: until then it refuses.
    async fn connect(addr: SocketAddr) -> TcpStream {
        let connected = async {
            loop {
                if let Ok(stream) = TcpStream::connect(addr).await {
                    return stream;
                }
                tokio::task::yield_now().await;
            }
        };
        tokio::time::timeout(PATIENCE, connected).await.expect("the port opens")
    }

    async fn get(mut stream: TcpStream) -> String {
        let mut answer = String::new();
        let asked = async {
            stream.write_all(b"GET / HTTP/1.1\r\n\r\n").await?;
            stream.read_to_string(&mut answer).await
        };
        tokio::time::timeout(PATIENCE, asked).await.expect("an answer in time").expect("an answer");
        answer
    }

    #[tokio::test]
    async fn a_change_that_kills_nobody_breaks_no_connection() {
        let addr = free_addr();
        let port = Port::new(addr);
        port.set(page(200));
        let same = connect(addr).await;
        port.set(page(200));
        assert!(get(same).await.starts_with("HTTP/1.1 200 "));
        for status in [503, 200, 500, 200] {
            port.set(page(status));
            // Never refused: whoever asks meanwhile gets the old answer or the new one.
            let stream = TcpStream::connect(addr).await.expect("it goes on listening");
            assert!(get(stream).await.starts_with("HTTP/1.1 "));
        }
    }

    #[tokio::test]
    async fn a_hanging_port_full_of_connections_can_be_healed() {
        let addr = free_addr();
        let port = Port::new(addr);
        port.set(Behaviour::Hang);
        let mut hung = Vec::new();
        for _ in 0..CONNECTIONS_MAX + 8 {
            hung.push(connect(addr).await);
        }
        port.set(page(200));
        let mut rest = Vec::new();
        let closed = tokio::time::timeout(PATIENCE, hung[0].read_to_end(&mut rest)).await;
        assert!(closed.is_ok(), "what hung is cut off");
        assert!(get(connect(addr).await).await.starts_with("HTTP/1.1 200 "));
    }

    #[tokio::test]
    async fn a_shut_port_cuts_its_connections_and_refuses() {
        let addr = free_addr();
        let port = Port::new(addr);
        port.set(Behaviour::Hang);
        let mut stream = connect(addr).await;
        port.set(Behaviour::Shut);
        let mut rest = Vec::new();
        let closed = tokio::time::timeout(PATIENCE, stream.read_to_end(&mut rest)).await;
        assert!(closed.is_ok(), "the connection ends with its process");
    }
}
