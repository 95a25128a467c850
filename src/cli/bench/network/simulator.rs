//! Peers for the benchmarks, in a process of their own so that their cost is not ours: many loopback addresses on one
//! port, and some that take what comes and stay silent.

use std::io::{BufRead, BufReader, Write};
use std::net::{Ipv4Addr, SocketAddr};
use std::process::{Child, Command, Stdio};
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use anyhow::{Context, bail};
use clap::Args;
use serde_json::json;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream, UdpSocket};
use tokio::time::timeout;

use super::Kind;
use super::agent::Agent;
use super::cost::{self, Cost};

/// Healthy peers stand at 127.21.0.N, silent ones at 127.21.1.N.
const NET: [u8; 2] = [127, 21];
/// Of a page.
const BODY: &str = "<html><body>the service is well, and says so in a hundred bytes, more or less</body></html>\n";
const REQUEST_BYTES_MAX: usize = 4096;
/// Whoever sends no request is let go.
const REQUEST_WITHIN: Duration = Duration::from_secs(30);
/// Connections to a silent HTTP server that are kept open.
const HELD_MAX: usize = 65_536;

/// How many peers of what kind.
#[derive(Clone, Debug)]
pub struct Layout {
    pub kind: Kind,
    pub healthy: u8,
    pub silent: u8,
    pub ports: u16,
}

/// The address of a healthy or a silent peer, counted from 0.
pub fn address(silent: bool, number: u8) -> Ipv4Addr {
    Ipv4Addr::new(NET[0], NET[1], u8::from(silent), number + 1)
}

#[derive(Debug, Args)]
pub struct SimulateArgs {
    #[arg(value_enum)]
    pub kind: Kind,
    #[arg(long)]
    pub healthy: u8,
    #[arg(long)]
    pub silent: u8,
    #[arg(long)]
    pub ports: u16,
}

/// The running child; it ends when its standard input does.
pub struct Simulator {
    child: Child,
    pub port: u16,
    lines: BufReader<std::process::ChildStdout>,
}

impl Simulator {
    pub fn start(layout: &Layout) -> anyhow::Result<Simulator> {
        let program = std::env::current_exe().context("this program has no path")?;
        let mut child = Command::new(program)
            .args(["bench", "simulate", layout.kind.word()])
            .args(["--healthy", &layout.healthy.to_string(), "--silent", &layout.silent.to_string()])
            .args(["--ports", &layout.ports.to_string()])
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .spawn()
            .context("the simulators do not start")?;
        let mut lines = BufReader::new(child.stdout.take().context("its output is a pipe")?);
        let mut line = String::new();
        lines.read_line(&mut line).context("the simulators say nothing")?;
        let said: serde_json::Value = serde_json::from_str(&line).context("the simulators did not start")?;
        let port = said["port"].as_u64().and_then(|port| u16::try_from(port).ok()).context("no port")?;
        Ok(Simulator { child, port, lines })
    }

    pub fn cost(&self) -> anyhow::Result<Cost> {
        Ok(cost::of(&self.child.id().to_string())?.own)
    }

    /// Ends it; what it answered, and spent.
    pub fn stop(mut self) -> anyhow::Result<serde_json::Value> {
        drop(self.child.stdin.take());
        let mut line = String::new();
        self.lines.read_line(&mut line).context("the simulators end without a word")?;
        self.child.wait().context("the simulators do not end")?;
        serde_json::from_str(&line).context("a strange last word")
    }
}

/// The child: listens, says where, and ends with its input.
///
/// # Errors
/// The addresses cannot be had.
pub fn simulate(args: &SimulateArgs, out: &mut dyn Write) -> anyhow::Result<u8> {
    crate::probes::exec::raise_descriptor_limit();
    let runtime =
        tokio::runtime::Builder::new_multi_thread().enable_all().build().context("cannot start the runtime")?;
    let layout = Layout { kind: args.kind, healthy: args.healthy, silent: args.silent, ports: args.ports };
    let served = Arc::new(Served::default());
    let port = runtime.block_on(serve(&layout, &served))?;
    writeln!(out, "{}", json!({ "port": port }))?;
    out.flush()?;
    std::io::copy(&mut std::io::stdin(), &mut std::io::sink())?;
    let cpu_s = cost::of("self")?.own.cpu_s;
    let (answers, values) = (served.answers.load(Ordering::Relaxed), served.values.load(Ordering::Relaxed));
    writeln!(out, "{}", json!({ "answers": answers, "values": values, "cpu_s": cpu_s }))?;
    runtime.shutdown_background();
    Ok(0)
}

/// The same in this process.
#[cfg(test)]
pub async fn serve_here(layout: &Layout) -> anyhow::Result<u16> {
    serve(layout, &Arc::new(Served::default())).await
}

#[derive(Default)]
pub struct Served {
    pub answers: AtomicU64,
    /// Objects in answers of SNMP.
    pub values: AtomicU64,
}

/// Opens one port at every address; a port that one of them has not free is not tried again and again.
async fn serve(layout: &Layout, served: &Arc<Served>) -> anyhow::Result<u16> {
    let mut failure = None;
    for _ in 0..16 {
        match open(layout).await {
            Ok(sockets) => {
                let port = sockets.port;
                sockets.start(layout, served);
                return Ok(port);
            }
            Err(error) => failure = Some(error),
        }
    }
    match failure {
        Some(error) => Err(error).context("no port is free at all addresses"),
        None => bail!("nothing was tried"),
    }
}

/// Listening, not served yet.
struct Sockets {
    port: u16,
    streams: Vec<(TcpListener, bool)>,
    datagrams: Vec<(UdpSocket, bool)>,
}

async fn open(layout: &Layout) -> anyhow::Result<Sockets> {
    let healthy = (0..layout.healthy).map(|number| (address(false, number), false));
    let silent = (0..layout.silent).map(|number| (address(true, number), true));
    let mut sockets = Sockets { port: 0, streams: Vec::new(), datagrams: Vec::new() };
    for (ip, is_silent) in healthy.chain(silent) {
        let at = SocketAddr::from((ip, sockets.port));
        match layout.kind {
            Kind::Snmp => {
                let socket = UdpSocket::bind(at).await?;
                sockets.port = socket.local_addr()?.port();
                sockets.datagrams.push((socket, is_silent));
            }
            Kind::Tcp | Kind::Http => {
                let socket = tokio::net::TcpSocket::new_v4()?;
                socket.set_reuseaddr(true)?;
                socket.bind(at)?;
                // The queue of a silent TCP port is full from the start: it answers no further SYN.
                let backlog = if is_silent && layout.kind == Kind::Tcp { 1 } else { 4096 };
                let listener = socket.listen(backlog)?;
                sockets.port = listener.local_addr()?.port();
                sockets.streams.push((listener, is_silent));
            }
        }
    }
    Ok(sockets)
}

impl Sockets {
    fn start(self, layout: &Layout, served: &Arc<Served>) {
        let agent = Arc::new(Agent::new(layout.ports));
        for (socket, is_silent) in self.datagrams {
            let (agent, served) = (Arc::clone(&agent), Arc::clone(served));
            tokio::spawn(async move {
                if is_silent { swallow(&socket).await } else { answer(&socket, &agent, &served).await }
            });
        }
        for (listener, is_silent) in self.streams {
            let served = Arc::clone(served);
            match (layout.kind, is_silent) {
                (Kind::Http, true) => tokio::spawn(hold(listener)),
                (Kind::Http, false) => tokio::spawn(pages(listener, served)),
                (_, true) => tokio::spawn(fill(listener)),
                (_, false) => tokio::spawn(greetings(listener, served)),
            };
        }
    }
}

/// Takes connections and lets them go.
async fn greetings(listener: TcpListener, served: Arc<Served>) {
    loop {
        if listener.accept().await.is_ok() {
            served.answers.fetch_add(1, Ordering::Relaxed);
        }
    }
}

/// Fills the queue of a port that nobody serves, and keeps it full.
async fn fill(listener: TcpListener) {
    let Ok(at) = listener.local_addr() else { return };
    let mut held = Vec::new();
    while let Ok(Ok(stream)) = timeout(Duration::from_millis(300), TcpStream::connect(at)).await {
        held.push(stream);
        if held.len() >= HELD_MAX {
            break;
        }
    }
    std::future::pending::<()>().await;
    drop((listener, held));
}

/// Takes connections and says nothing.
async fn hold(listener: TcpListener) {
    let mut held = std::collections::VecDeque::new();
    loop {
        if let Ok((stream, _)) = listener.accept().await {
            held.push_back(stream);
            if held.len() > HELD_MAX / 64 {
                held.pop_front();
            }
        }
    }
}

async fn pages(listener: TcpListener, served: Arc<Served>) {
    loop {
        let Ok((stream, _)) = listener.accept().await else { continue };
        let served = Arc::clone(&served);
        tokio::spawn(async move {
            if matches!(timeout(REQUEST_WITHIN, page(stream)).await, Ok(Ok(()))) {
                served.answers.fetch_add(1, Ordering::Relaxed);
            }
        });
    }
}

/// One request, one page.
async fn page(mut stream: TcpStream) -> std::io::Result<()> {
    let mut request = Vec::with_capacity(512);
    while !request.windows(4).any(|end| end == b"\r\n\r\n") && request.len() < REQUEST_BYTES_MAX {
        if stream.read_buf(&mut request).await? == 0 {
            return Ok(());
        }
    }
    let head = format!(
        "HTTP/1.1 200 OK\r\nContent-Type: text/html\r\nContent-Length: {}\r\nConnection: close\r\n\r\n",
        BODY.len()
    );
    stream.write_all([head.as_bytes(), BODY.as_bytes()].concat().as_slice()).await?;
    stream.shutdown().await
}

async fn swallow(socket: &UdpSocket) {
    let mut bytes = [0; 1500];
    while socket.recv_from(&mut bytes).await.is_ok() {}
}

async fn answer(socket: &UdpSocket, agent: &Agent, served: &Served) {
    let mut bytes = [0; 1500];
    loop {
        let Ok((length, from)) = socket.recv_from(&mut bytes).await else { continue };
        let Some((answer, values)) = bytes.get(..length).and_then(|question| agent.answer(question)) else { continue };
        if socket.send_to(&answer, from).await.is_ok() {
            served.answers.fetch_add(1, Ordering::Relaxed);
            served.values.fetch_add(values, Ordering::Relaxed);
        }
    }
}
