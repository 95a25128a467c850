//! A mail server for tests: EHLO, STARTTLS, AUTH PLAIN and LOGIN, and the faults that real ones have.

use std::net::SocketAddr;
use std::path::PathBuf;
use std::sync::{Arc, Mutex};

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD as BASE64;
use tokio::io::{AsyncBufReadExt, AsyncRead, AsyncWrite, AsyncWriteExt, BufReader};
use tokio::net::TcpListener;
use tokio_rustls::TlsAcceptor;
use tokio_rustls::rustls::ServerConfig;
use tokio_rustls::rustls::pki_types::{PrivateKeyDer, PrivatePkcs8KeyDer};

pub const USER: &str = "stentor";
pub const PASSWORD: &str = "hunter2-very-secret";

/// How connections are protected.
#[derive(Copy, Clone, Debug, Eq, PartialEq)]
pub enum Protection {
    None,
    StartTls,
    Implicit,
}

#[derive(Clone, Debug, Default, Eq, PartialEq)]
pub enum Fault {
    #[default]
    None,
    /// Said to RCPT.
    Recipient(&'static str),
    /// Said after the mail was received.
    Data(&'static str),
    /// Takes the connection and says nothing.
    Silent,
    /// Takes the mail and drops the connection before saying so.
    DropAfterData,
    RefuseLogin,
}

/// A mail as it arrived.
#[derive(Clone, Debug)]
pub struct Mail {
    pub from: String,
    pub to: Vec<String>,
    pub encrypted: bool,
    pub login: Option<String>,
    pub hello: String,
    /// Headers and body as sent, lines ending in LF.
    pub raw: String,
}

#[derive(Default)]
struct State {
    fault: Fault,
    mails: Vec<Mail>,
    attempts: usize,
}

/// Runs until the test's runtime ends.
pub struct SmtpServer {
    pub address: SocketAddr,
    /// PEM of the root that signed nothing but this server.
    pub ca_file: PathBuf,
    state: Arc<Mutex<State>>,
    _dir: tempfile::TempDir,
}

#[derive(Clone)]
struct Service {
    protection: Protection,
    login_needed: bool,
    tls: TlsAcceptor,
    state: Arc<Mutex<State>>,
}

impl SmtpServer {
    pub async fn start(protection: Protection, login_needed: bool) -> SmtpServer {
        SmtpServer::start_on(0, protection, login_needed).await
    }

    pub async fn start_on(port: u16, protection: Protection, login_needed: bool) -> SmtpServer {
        let _ = rustls::crypto::ring::default_provider().install_default();
        let dir = tempfile::tempdir().unwrap();
        let ca_file = dir.path().join("ca.pem");
        let certified = rcgen::generate_simple_self_signed(vec!["localhost".to_owned()]).unwrap();
        std::fs::write(&ca_file, certified.cert.pem()).unwrap();
        let key = PrivateKeyDer::Pkcs8(PrivatePkcs8KeyDer::from(certified.signing_key.serialize_der()));
        let config = ServerConfig::builder()
            .with_no_client_auth()
            .with_single_cert(vec![certified.cert.der().clone()], key)
            .unwrap();
        let listener = TcpListener::bind(("127.0.0.1", port)).await.unwrap();
        let address = listener.local_addr().unwrap();
        let state = Arc::new(Mutex::new(State::default()));
        let tls = TlsAcceptor::from(Arc::new(config));
        let service = Service { protection, login_needed, tls, state: Arc::clone(&state) };
        tokio::spawn(async move {
            while let Ok((socket, _)) = listener.accept().await {
                let service = service.clone();
                tokio::spawn(async move {
                    // A client that goes away in the middle ends its session, nothing more.
                    let _ = match service.protection {
                        Protection::Implicit => match service.tls.accept(socket).await {
                            Ok(stream) => Session::new(service, true).run(stream).await.map(drop),
                            Err(error) => Err(error),
                        },
                        Protection::None | Protection::StartTls => {
                            let tls = service.tls.clone();
                            match Session::new(service.clone(), false).run(socket).await {
                                Ok(Some(socket)) => match tls.accept(socket).await {
                                    Ok(stream) => Session::new(service, true).greeted().run(stream).await.map(drop),
                                    Err(error) => Err(error),
                                },
                                other => other.map(drop),
                            }
                        }
                    };
                });
            }
        });
        SmtpServer { address, ca_file, state, _dir: dir }
    }

    pub fn fault(&self, fault: Fault) {
        self.state.lock().unwrap().fault = fault;
    }

    pub fn mails(&self) -> Vec<Mail> {
        self.state.lock().unwrap().mails.clone()
    }

    /// Mails begun, whether taken or not.
    pub fn attempts(&self) -> usize {
        self.state.lock().unwrap().attempts
    }
}

struct Session {
    service: Service,
    encrypted: bool,
    greet: bool,
    login: Option<String>,
    hello: String,
    from: String,
    to: Vec<String>,
}

impl Session {
    fn new(service: Service, encrypted: bool) -> Session {
        let (hello, from) = (String::new(), String::new());
        Session { service, encrypted, greet: true, login: None, hello, from, to: vec![] }
    }

    fn greeted(mut self) -> Session {
        self.greet = false;
        self
    }

    fn fault(&self) -> Fault {
        self.service.state.lock().unwrap().fault.clone()
    }

    /// Returns the stream if the client wants STARTTLS.
    async fn run<S: AsyncRead + AsyncWrite + Unpin>(mut self, stream: S) -> std::io::Result<Option<S>> {
        let mut stream = BufReader::new(stream);
        if self.fault() == Fault::Silent {
            std::future::pending::<()>().await;
        }
        if self.greet {
            say(&mut stream, "220 test").await?;
        }
        loop {
            let Some(line) = hear(&mut stream).await? else { return Ok(None) };
            let verb = line.split([' ', ':']).next().unwrap_or_default().to_ascii_uppercase();
            match verb.as_str() {
                "EHLO" => {
                    self.hello = line.get(5..).unwrap_or_default().to_owned();
                    let offers_tls = self.service.protection == Protection::StartTls && !self.encrypted;
                    let tls = if offers_tls { "250-STARTTLS\r\n" } else { "" };
                    say(&mut stream, &format!("250-test\r\n{tls}250-AUTH PLAIN LOGIN\r\n250 8BITMIME")).await?;
                }
                "STARTTLS" => {
                    say(&mut stream, "220 go").await?;
                    return Ok(Some(stream.into_inner()));
                }
                "AUTH" => self.auth(&mut stream, &line).await?,
                "MAIL" if self.service.login_needed && self.login.is_none() => {
                    say(&mut stream, "530 5.7.0 Authentication required").await?;
                }
                "MAIL" => {
                    self.service.state.lock().unwrap().attempts += 1;
                    self.from = between(&line);
                    say(&mut stream, "250 ok").await?;
                }
                "RCPT" => match self.fault() {
                    Fault::Recipient(answer) => say(&mut stream, &format!("{answer} <{}>", between(&line))).await?,
                    _ => {
                        self.to.push(between(&line));
                        say(&mut stream, "250 ok").await?;
                    }
                },
                "DATA" => {
                    if !self.data(&mut stream).await? {
                        return Ok(None);
                    }
                }
                "QUIT" => {
                    say(&mut stream, "221 bye").await?;
                    return Ok(None);
                }
                _ => say(&mut stream, "250 ok").await?,
            }
        }
    }

    /// False if the connection is to be dropped.
    async fn data<S: AsyncRead + AsyncWrite + Unpin>(&mut self, stream: &mut BufReader<S>) -> std::io::Result<bool> {
        say(stream, "354 go").await?;
        let mut raw = String::new();
        loop {
            let Some(line) = hear(stream).await? else { return Ok(false) };
            if line == "." {
                break;
            }
            raw.push_str(line.strip_prefix('.').unwrap_or(&line));
            raw.push('\n');
        }
        let fault = self.fault();
        if let Fault::Data(answer) = fault {
            say(stream, answer).await?;
            return Ok(true);
        }
        let mail = Mail {
            from: self.from.clone(),
            to: std::mem::take(&mut self.to),
            encrypted: self.encrypted,
            login: self.login.clone(),
            hello: self.hello.clone(),
            raw,
        };
        self.service.state.lock().unwrap().mails.push(mail);
        if fault == Fault::DropAfterData {
            return Ok(false);
        }
        say(stream, "250 2.0.0 queued as 4711").await?;
        Ok(true)
    }

    async fn auth<S: AsyncRead + AsyncWrite + Unpin>(
        &mut self,
        stream: &mut BufReader<S>,
        line: &str,
    ) -> std::io::Result<()> {
        let words: Vec<&str> = line.split(' ').collect();
        let login = match words.as_slice() {
            [_, "PLAIN", initial] => {
                let text = decode(initial);
                let mut parts = text.split('\0').skip(1);
                (parts.next().unwrap_or_default().to_owned(), parts.next().unwrap_or_default().to_owned())
            }
            [_, "LOGIN"] => {
                say(stream, "334 VXNlcm5hbWU6").await?;
                let user = decode(&hear(stream).await?.unwrap_or_default());
                say(stream, "334 UGFzc3dvcmQ6").await?;
                (user, decode(&hear(stream).await?.unwrap_or_default()))
            }
            _ => (String::new(), String::new()),
        };
        if login == (USER.to_owned(), PASSWORD.to_owned()) && self.fault() != Fault::RefuseLogin {
            self.login = Some(login.0);
            say(stream, "235 2.7.0 welcome").await
        } else {
            say(stream, "535 5.7.8 Authentication credentials invalid").await
        }
    }
}

async fn say<S: AsyncWrite + Unpin>(stream: &mut S, line: &str) -> std::io::Result<()> {
    stream.write_all(format!("{line}\r\n").as_bytes()).await?;
    stream.flush().await
}

async fn hear<S: AsyncRead + Unpin>(stream: &mut BufReader<S>) -> std::io::Result<Option<String>> {
    let mut line = String::new();
    if stream.read_line(&mut line).await? == 0 {
        return Ok(None);
    }
    Ok(Some(line.trim_end_matches(['\r', '\n']).to_owned()))
}

fn between(line: &str) -> String {
    line.split(['<', '>']).nth(1).unwrap_or_default().to_owned()
}

fn decode(text: &str) -> String {
    String::from_utf8(BASE64.decode(text).unwrap_or_default()).unwrap_or_default()
}

impl Mail {
    /// A header, unfolded and decoded.
    pub fn header(&self, name: &str) -> Option<String> {
        let head = self.raw.split("\n\n").next().unwrap_or_default().replace("\n ", " ").replace("\n\t", " ");
        let value = head.lines().find_map(|line| {
            let (found, value) = line.split_once(':')?;
            found.eq_ignore_ascii_case(name).then(|| value.trim().to_owned())
        })?;
        Some(value)
    }

    /// Everything readable in it: headers, then each part decoded.
    pub fn text(&self) -> String {
        let mut out = String::new();
        for section in self.raw.split("\n--") {
            let (head, body) = section.split_once("\n\n").unwrap_or((section, ""));
            out.push_str(head);
            out.push('\n');
            let head = head.to_ascii_lowercase();
            if head.contains("encoding: base64") {
                let bytes = BASE64.decode(body.replace('\n', "")).unwrap();
                out.push_str(&String::from_utf8(bytes).unwrap());
            } else if head.contains("encoding: quoted-printable") {
                out.push_str(&unquote(body));
            } else {
                out.push_str(body);
            }
        }
        out
    }

    /// The decoded part of that type.
    pub fn part(&self, kind: &str) -> String {
        let text = self.text();
        let at = text.find(&format!("Content-Type: {kind}")).unwrap_or_else(|| panic!("no {kind} in\n{text}"));
        let rest = text.get(at + 14..).unwrap_or_default();
        rest.split("Content-Type: ").next().unwrap_or_default().to_owned()
    }
}

fn unquote(text: &str) -> String {
    let mut bytes = Vec::new();
    let joined = text.replace("=\n", "");
    let mut rest = joined.as_bytes();
    while let Some((&byte, after)) = rest.split_first() {
        rest = after;
        if byte != b'=' {
            bytes.push(byte);
            continue;
        }
        let hex = std::str::from_utf8(after.get(..2).unwrap_or(b"3D")).unwrap();
        bytes.push(u8::from_str_radix(hex, 16).unwrap());
        rest = after.get(2..).unwrap_or_default();
    }
    String::from_utf8(bytes).unwrap()
}
