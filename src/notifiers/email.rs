//! Mail over SMTP: HTML and text, threaded, with a Message-ID that is the same at every attempt.

use std::path::PathBuf;
use std::time::{Duration, UNIX_EPOCH};

use askama::Template;
use async_trait::async_trait;
use lettre::message::header::{HeaderName, HeaderValue};
use lettre::message::{Mailbox, MultiPart};
use lettre::transport::smtp::authentication::Credentials;
use lettre::transport::smtp::client::{Certificate, Tls, TlsParameters};
use lettre::transport::smtp::extension::ClientId;
use lettre::transport::smtp::response::Code;
use lettre::{AsyncSmtpTransport, AsyncTransport, Tokio1Executor};
use sha2::{Digest, Sha256};
use stentor_core::diagnosis::Severity;
use stentor_core::model::Reason;

use super::wording::{Wording, line, wording};
use super::{Message, Notifier, Receipt, Secret, SendError, SetupError};

/// How the connection is protected.
#[derive(Copy, Clone, Debug, Eq, PartialEq)]
pub enum MailTls {
    None,
    /// The server must offer STARTTLS; without it nothing is sent.
    StartTls,
    /// TLS from the first byte.
    Implicit,
}

#[derive(Clone, Debug)]
pub struct EmailSetup {
    pub host: String,
    pub port: u16,
    pub tls: MailTls,
    pub user: Option<String>,
    pub password: Option<Secret>,
    /// `stentor@example.org` or `Stentor <stentor@example.org>`.
    pub from: String,
    /// For the whole of one attempt.
    pub timeout: Duration,
    /// Name said in EHLO; `None` = the domain of `from`.
    pub hello_name: Option<String>,
    /// PEM file of further roots to trust.
    pub ca_file: Option<PathBuf>,
}

/// See the module.
pub struct EmailNotifier {
    transport: AsyncSmtpTransport<Tokio1Executor>,
    from: Mailbox,
    timeout: Duration,
    server: String,
}

impl std::fmt::Debug for EmailNotifier {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        // The transport holds the credentials.
        f.debug_struct("EmailNotifier").field("server", &self.server).finish_non_exhaustive()
    }
}

impl EmailNotifier {
    /// # Errors
    /// `from` is no address, the CA file cannot be read, or TLS cannot be set up.
    pub fn new(setup: EmailSetup) -> Result<EmailNotifier, SetupError> {
        let from: Mailbox = setup.from.parse().map_err(|_| SetupError::Address(setup.from.clone()))?;
        let tls = match setup.tls {
            MailTls::None => Tls::None,
            MailTls::StartTls => Tls::Required(tls_parameters(&setup)?),
            MailTls::Implicit => Tls::Wrapper(tls_parameters(&setup)?),
        };
        let hello = setup.hello_name.clone().unwrap_or_else(|| from.email.domain().to_owned());
        let mut builder = AsyncSmtpTransport::<Tokio1Executor>::builder_dangerous(&setup.host)
            .port(setup.port)
            .tls(tls)
            .timeout(Some(setup.timeout))
            .hello_name(ClientId::Domain(line(&hello)));
        if let (Some(user), Some(password)) = (&setup.user, &setup.password) {
            builder = builder.credentials(Credentials::new(user.clone(), password.expose().to_owned()));
        }
        let server = format!("{}:{}", setup.host, setup.port);
        Ok(EmailNotifier { transport: builder.build(), from, timeout: setup.timeout, server })
    }

    /// The same for every attempt at the same notification, so that a receiver can drop a repeat.
    pub fn message_id(&self, key: &str) -> String {
        let digest = Sha256::digest(key.as_bytes());
        let hex: String = digest.iter().take(16).map(|byte| format!("{byte:02x}")).collect();
        format!("<{hex}@{}>", self.from.email.domain())
    }

    fn compose(&self, message: &Message, to: Mailbox) -> Result<lettre::Message, lettre::error::Error> {
        let notification = &message.notification;
        let words = wording(message);
        let since_epoch = Duration::from_millis(notification.created_at.as_millis().max(0).unsigned_abs());
        let mut mail = lettre::Message::builder()
            .from(self.from.clone())
            .to(to)
            .date(UNIX_EPOCH + since_epoch)
            .message_id(Some(self.message_id(&notification.key)))
            .subject(words.subject.clone())
            // RFC 3834: vacation programs do not answer these.
            .raw_header(raw("Auto-Submitted", "auto-generated"))
            .raw_header(raw("X-Stentor-Key", &line(&notification.key)));
        if message.thread != *notification.key {
            let root = self.message_id(&message.thread);
            mail = mail.in_reply_to(root.clone()).references(root);
        }
        let (text, html) = bodies(&words, colour(message));
        mail.multipart(MultiPart::alternative_plain_html(text, html))
    }

    fn judge(&self, error: &lettre::transport::smtp::Error, recipient: &str) -> SendError {
        // Servers repeat the address of a person in their refusals, and messages are logged.
        let told = line(&error.to_string()).replace(recipient, "[recipient]");
        let message = format!("{}: {told}", self.server);
        match error.status() {
            // A wrong password is mended at our side, and then the message is still wanted: try on, and be loud.
            Some(code) if is_refused_login(code) => {
                tracing::error!(server = %self.server, "the mail server refuses Stentor's login: {told}");
                SendError::Transient { message, retry_after: None }
            }
            Some(_) if error.is_permanent() => SendError::Permanent { message },
            _ => SendError::Transient { message, retry_after: None },
        }
    }
}

/// RFC 4954, section 6: authentication required, too weak, refused, or needing encryption.
fn is_refused_login(code: Code) -> bool {
    matches!(u16::from(code), 530 | 534 | 535 | 538)
}

fn raw(name: &'static str, value: &str) -> HeaderValue {
    HeaderValue::new(HeaderName::new_from_ascii_str(name), value.to_owned())
}

fn tls_parameters(setup: &EmailSetup) -> Result<TlsParameters, SetupError> {
    let mut builder = TlsParameters::builder(setup.host.clone());
    if let Some(path) = &setup.ca_file {
        let unreadable = |why: String| SetupError::CaFile { path: path.display().to_string(), why };
        let pem = std::fs::read(path).map_err(|error| unreadable(error.to_string()))?;
        let certificate = Certificate::from_pem(&pem).map_err(|error| unreadable(error.to_string()))?;
        builder = builder.add_root_certificate(certificate);
    }
    builder.build_rustls().map_err(SetupError::Tls)
}

#[derive(Template)]
#[template(path = "email.txt", escape = "none", whitespace = "preserve")]
struct Text<'a> {
    w: &'a Wording,
}

#[derive(Template)]
#[template(path = "email.html", whitespace = "preserve")]
struct Html<'a> {
    w: &'a Wording,
    colour: &'static str,
}

fn bodies(words: &Wording, colour: &'static str) -> (String, String) {
    // Rendering into a String has nothing that can fail; a page must go out even if it did.
    let fallback = |_| format!("{}: {}\n{}\n", words.headline, words.title, words.open_url);
    let text = Text { w: words }.render().unwrap_or_else(fallback);
    let html = Html { w: words, colour }.render().unwrap_or_else(fallback);
    (text, html)
}

fn colour(message: &Message) -> &'static str {
    match message.notification.reason {
        Reason::Recovery => "#1f7a3d",
        Reason::Acknowledgement | Reason::Test => "#1a56c4",
        Reason::Problem | Reason::Changed | Reason::Renotify => match message.notification.incident.severity() {
            Severity::Critical => "#c2182c",
            Severity::Major => "#b4470e",
            Severity::Warning => "#8a5a00",
            Severity::Unknown | Severity::Info => "#5b4b9a",
        },
    }
}

#[async_trait]
impl Notifier for EmailNotifier {
    fn channel(&self) -> &'static str {
        "email"
    }

    async fn send(&self, message: &Message) -> Result<Receipt, SendError> {
        let recipient = &*message.notification.address;
        let to: Mailbox = recipient
            .parse()
            .map_err(|_| SendError::Permanent { message: "the contact's address is not a mail address".to_owned() })?;
        let mail = self.compose(message, to).map_err(|error| {
            let message = format!("the mail cannot be written: {}", line(&error.to_string()));
            SendError::Permanent { message }
        })?;
        // lettre's timeout is for each step of the dialogue; a server that drips bytes passes every one of them.
        match tokio::time::timeout(self.timeout, self.transport.send(mail)).await {
            Ok(Ok(response)) => {
                let answer: Vec<&str> = response.message().collect();
                Ok(Receipt(line(&format!("{} {}", response.code(), answer.join(" ")))))
            }
            Ok(Err(error)) => Err(self.judge(&error, recipient)),
            Err(_) => {
                let message = format!("{}: no answer within {} s", self.server, self.timeout.as_secs_f32());
                Err(SendError::Transient { message, retry_after: None })
            }
        }
    }
}
