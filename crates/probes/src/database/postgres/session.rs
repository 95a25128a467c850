//! A session with PostgreSQL: TLS, login by password, queries one after the other.

use std::fmt::Write as _;

use stentor_core::model::Observation;
use stentor_wire::sql::postgres::{self, Answer, HEAD_BYTES, Message};
use stentor_wire::sql::scram::{First, MECHANISM};
use stentor_wire::sql::{Failure, Table};
use tokio::time::timeout_at;

use crate::ProbeError;
use crate::database::{Login, Refusal, Session};
use crate::talk::{Hitch, Talk};

pub struct Postgres {
    talk: Talk,
}

/// Random bytes of a login.
const NONCE_BYTES: usize = 18;

impl Session for Postgres {
    async fn login(talk: Talk, login: &Login<'_>, seen: &mut Observation) -> Result<Result<Self, Refusal>, ProbeError> {
        let mut talk = talk;
        if let Some(tls) = &login.tls {
            match offered(&mut talk).await {
                Ok(true) => {}
                Ok(false) => return Ok(Err(Hitch::Tls("the server offers none".into()).into())),
                Err(refusal) => return Ok(Err(refusal)),
            }
            talk = match tls.talk(talk, seen).await? {
                Ok(talk) => talk,
                Err(hitch) => return Ok(Err(hitch.into())),
            };
        }
        let mut nonce = [0; NONCE_BYTES];
        getrandom::fill(&mut nonce).map_err(|e| ProbeError::Failed(format!("no random bytes: {e}")))?;
        let mut session = Postgres { talk };
        Ok(session.enter(login, nonce).await.map(|()| session))
    }

    async fn ask(&mut self, sql: &str) -> Result<Table, Refusal> {
        self.talk.say(&postgres::query(sql)).await?;
        let mut answer = Answer::default();
        loop {
            let message = self.message().await?;
            if let Some(answer) = answer.take(message)? {
                return answer.map_err(Refusal::Server);
            }
        }
    }

    async fn bye(mut self) {
        let _ = self.talk.say(&postgres::TERMINATE).await;
    }

    fn word(failure: &Failure) -> &'static str {
        match failure.code.as_str() {
            "53300" => "full",
            "57P03" | "57P01" | "57P02" if failure.message.contains("shut") => "stopping",
            "57P03" => "starting",
            "3D000" => "no_database",
            code if code.starts_with("28") => "denied",
            _ => "error",
        }
    }
}

/// Whether the server takes TLS.
async fn offered(talk: &mut Talk) -> Result<bool, Refusal> {
    talk.say(&postgres::SSL_REQUEST).await?;
    match talk.exactly(1).await?.first() {
        Some(b'S') => Ok(true),
        Some(b'N') => Ok(false),
        _ => Err(Refusal::invalid("it answers the question for TLS with neither S nor N")),
    }
}

impl Postgres {
    async fn message(&mut self) -> Result<Message, Refusal> {
        let head: [u8; HEAD_BYTES] =
            self.talk.exactly(HEAD_BYTES).await?.try_into().map_err(|_| Refusal::invalid("no head"))?;
        let (kind, length) = postgres::head(head)?;
        let body = self.talk.exactly(length).await?;
        Ok(postgres::message(kind, &body)?)
    }

    async fn enter(&mut self, login: &Login<'_>, nonce: [u8; NONCE_BYTES]) -> Result<(), Refusal> {
        let database = login.database.unwrap_or("postgres");
        self.talk.say(&postgres::startup(login.user, database)).await?;
        let mut is_in = false;
        loop {
            match self.message().await? {
                Message::AuthOk => is_in = true,
                Message::AuthCleartext if login.tls.is_none() => {
                    return Err(Refusal::invalid("it wants the password in clear text, and there is no TLS"));
                }
                Message::AuthCleartext => self.talk.say(&postgres::password(login.password)).await?,
                Message::AuthMd5(salt) => {
                    let answer = postgres::md5_answer(login.user, login.password, salt);
                    self.talk.say(&postgres::password(&answer)).await?;
                }
                Message::AuthSasl(mechanisms) if mechanisms.iter().any(|own| own == MECHANISM) => {
                    self.scram(login, nonce).await?;
                }
                Message::AuthSasl(_) | Message::AuthOther(_) => {
                    return Err(Refusal::invalid(
                        "it wants a login that is not spoken here (SCRAM-SHA-256 and md5 are)",
                    ));
                }
                Message::Error(failure) => return Err(Refusal::Server(failure)),
                Message::Ready if is_in => return Ok(()),
                Message::Parameter(..) | Message::Other(_) => {}
                _ => return Err(Refusal::invalid("its login goes another way than the protocol")),
            }
        }
    }

    async fn scram(&mut self, login: &Login<'_>, nonce: [u8; NONCE_BYTES]) -> Result<(), Refusal> {
        let nonce = nonce.iter().fold(String::new(), |mut text, byte| {
            let _ = write!(text, "{byte:02x}");
            text
        });
        let first = First::new(nonce);
        self.talk.say(&postgres::sasl_initial(MECHANISM, &first.message())).await?;
        let server = match self.message().await? {
            Message::AuthSaslContinue(server) => server,
            Message::Error(failure) => return Err(Refusal::Server(failure)),
            _ => return Err(Refusal::invalid("its login goes another way than SCRAM")),
        };
        // Thousands of rounds of a hash: not on a thread that others wait for.
        let password = login.password.to_owned();
        let proof = tokio::task::spawn_blocking(move || first.answer(&server, &password));
        let proof = timeout_at(login.deadline, proof).await.map_err(|_| Hitch::Timeout)?;
        let last = proof.map_err(Refusal::invalid)?.map_err(Refusal::invalid)?;
        self.talk.say(&postgres::sasl_response(&last.message)).await?;
        match self.message().await? {
            Message::AuthSaslFinal(server) => last.verify(&server).map_err(Refusal::invalid),
            Message::Error(failure) => Err(Refusal::Server(failure)),
            _ => Err(Refusal::invalid("its login goes another way than SCRAM")),
        }
    }
}
