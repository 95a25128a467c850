//! A session with MySQL or MariaDB: TLS, login by password, queries one after the other.

use stentor_core::model::Observation;
use stentor_wire::sql::mysql::{self, Account, Answer, Greeting, HEAD_BYTES};
use stentor_wire::sql::{Failure, Table};

use crate::ProbeError;
use crate::database::{Login, Refusal, Session};
use crate::talk::{Hitch, Talk};

pub struct Mysql {
    talk: Talk,
    pub greeting: Greeting,
}

/// Steps of a login; the longest has five.
const STEPS_MAX: usize = 8;

impl Session for Mysql {
    async fn login(talk: Talk, login: &Login<'_>, seen: &mut Observation) -> Result<Result<Self, Refusal>, ProbeError> {
        let mut talk = talk;
        let (mut sequence, greeting) = match greeted(&mut talk).await {
            Ok(greeted) => greeted,
            Err(refusal) => return Ok(Err(refusal)),
        };
        let account = Account { user: login.user, password: login.password, database: login.database };
        if let Some(tls) = &login.tls {
            if !greeting.offers_tls {
                return Ok(Err(Hitch::Tls("the server offers none".into()).into()));
            }
            sequence = sequence.wrapping_add(1);
            if let Err(hitch) = talk.say(&mysql::packet(sequence, &greeting.tls_request(account))).await {
                return Ok(Err(hitch.into()));
            }
            talk = match tls.talk(talk, seen).await? {
                Ok(talk) => talk,
                Err(hitch) => return Ok(Err(hitch.into())),
            };
        }
        let mut session = Mysql { talk, greeting };
        Ok(session.enter(login, account, sequence).await.map(|()| session))
    }

    async fn ask(&mut self, sql: &str) -> Result<Table, Refusal> {
        self.talk.say(&mysql::query(sql)).await?;
        let mut answer = Answer::default();
        loop {
            let (_, payload) = packet(&mut self.talk).await?;
            if let Some(answer) = answer.take(&payload)? {
                return answer.map_err(Refusal::Server);
            }
        }
    }

    async fn bye(mut self) {
        let _ = self.talk.say(&mysql::quit()).await;
    }

    fn word(failure: &Failure) -> &'static str {
        match failure.code.as_str() {
            // Too many connections, of all or of this user.
            "1040" | "1203" | "1226" => "full",
            // Wrong password or right, locked account, host that may not connect or made too many mistakes.
            "1044" | "1045" | "1129" | "1130" | "1698" | "1820" | "3118" | "3159" => "denied",
            "1049" => "no_database",
            "1053" => "stopping",
            _ => "error",
        }
    }
}

async fn packet(talk: &mut Talk) -> Result<(u8, Vec<u8>), Refusal> {
    let head = talk.exactly(HEAD_BYTES).await?.try_into().map_err(|_| Refusal::invalid("no head"))?;
    let (length, sequence) = mysql::head(head)?;
    Ok((sequence, talk.exactly(length).await?))
}

async fn greeted(talk: &mut Talk) -> Result<(u8, Greeting), Refusal> {
    let (sequence, payload) = packet(talk).await?;
    Ok((sequence, mysql::greeting(&payload)?.map_err(Refusal::Server)?))
}

impl Mysql {
    async fn enter(&mut self, login: &Login<'_>, account: Account<'_>, mut sequence: u8) -> Result<(), Refusal> {
        let is_tls = login.tls.is_some();
        let mut say = self.greeting.login(account, is_tls);
        for _ in 0..STEPS_MAX {
            sequence = sequence.wrapping_add(1);
            self.talk.say(&mysql::packet(sequence, &say)).await?;
            let mut step = packet(&mut self.talk).await?;
            if mysql::login_step(&step.1)? == mysql::Login::CacheHit {
                step = packet(&mut self.talk).await?;
            }
            sequence = step.0;
            say = match mysql::login_step(&step.1)? {
                mysql::Login::Done => return Ok(()),
                mysql::Login::Refused(failure) => return Err(Refusal::Server(failure)),
                mysql::Login::Switch(challenge) => challenge.answer(login.password).map_err(Refusal::invalid)?,
                // It ends with a NUL.
                mysql::Login::WantsPassword if is_tls => [login.password.as_bytes(), &[0]].concat(),
                mysql::Login::WantsPassword => {
                    return Err(Refusal::invalid(
                        "it wants the password in clear text, and there is no TLS: set `tls`",
                    ));
                }
                mysql::Login::CacheHit => return Err(Refusal::invalid("its login goes another way than the protocol")),
            };
        }
        Err(Refusal::invalid("its login has no end"))
    }
}
