//! Messages of PostgreSQL (frontend/backend protocol 3.0, simple queries): what a look asks and what comes back.

use md5::{Digest, Md5};

use super::{Broken, Failure, MESSAGE_BYTES_MAX, Reader, Table, lossy};

/// Kind and length of a message.
pub const HEAD_BYTES: usize = 5;
/// Asks for TLS; `S` or `N` comes back.
pub const SSL_REQUEST: [u8; 8] = [0, 0, 0, 8, 0x04, 0xd2, 0x16, 0x2f];
pub const TERMINATE: [u8; 5] = [b'X', 0, 0, 0, 4];
/// Columns of one row.
const COLUMNS_MAX: usize = 1664;

/// What a server says.
#[derive(Clone, Debug, Eq, PartialEq)]
pub enum Message {
    /// The login is done.
    AuthOk,
    AuthCleartext,
    AuthMd5([u8; 4]),
    /// Mechanisms that it takes.
    AuthSasl(Vec<String>),
    AuthSaslContinue(String),
    AuthSaslFinal(String),
    /// Kerberos and others, by their number.
    AuthOther(u32),
    Parameter(String, String),
    Error(Failure),
    Columns(Vec<String>),
    Row(Vec<Option<String>>),
    /// Ready for the next query.
    Ready,
    /// Notices, keys for cancelling, the end of one command.
    Other(u8),
}

/// The first message; it has no kind.
pub fn startup(user: &str, database: &str) -> Vec<u8> {
    let mut body = vec![0, 3, 0, 0];
    let parameters = [("user", user), ("database", database), ("application_name", "stentor")];
    for (name, value) in parameters.into_iter().chain([("client_encoding", "UTF8")]) {
        for text in [name, value] {
            body.extend(text.bytes());
            body.push(0);
        }
    }
    body.push(0);
    with_length(&[], &body)
}

/// A password, or an answer to a challenge.
pub fn password(answer: &str) -> Vec<u8> {
    with_length(b"p", &[answer.as_bytes(), &[0]].concat())
}

/// `md5` and the digest that PostgreSQL wants.
pub fn md5_answer(user: &str, password: &str, salt: [u8; 4]) -> String {
    let inner = hex(&Md5::digest([password.as_bytes(), user.as_bytes()].concat()));
    format!("md5{}", hex(&Md5::digest([inner.as_bytes(), &salt].concat())))
}

/// The choice of a mechanism with its first message.
pub fn sasl_initial(mechanism: &str, message: &str) -> Vec<u8> {
    let length = u32::try_from(message.len()).unwrap_or(u32::MAX).to_be_bytes();
    with_length(b"p", &[mechanism.as_bytes(), &[0], &length, message.as_bytes()].concat())
}

pub fn sasl_response(message: &str) -> Vec<u8> {
    with_length(b"p", message.as_bytes())
}

/// One query. A NUL would end it early, so that none may be in it.
pub fn query(sql: &str) -> Vec<u8> {
    with_length(b"Q", &[sql.replace('\0', " ").as_bytes(), &[0]].concat())
}

fn with_length(kind: &[u8], body: &[u8]) -> Vec<u8> {
    let length = u32::try_from(body.len() + 4).unwrap_or(u32::MAX).to_be_bytes();
    [kind, &length, body].concat()
}

fn hex(bytes: &[u8]) -> String {
    bytes.iter().map(|byte| format!("{byte:02x}")).collect()
}

/// Kind of a message and how many bytes follow its head.
///
/// # Errors
/// It is none, or too long.
pub fn head(bytes: [u8; HEAD_BYTES]) -> Result<(u8, usize), Broken> {
    let [kind, length @ ..] = bytes;
    let length = u32::from_be_bytes(length);
    let body = length.checked_sub(4).ok_or(Broken::Message("its length is less than its head"))?;
    let body = usize::try_from(body).unwrap_or(usize::MAX);
    if !kind.is_ascii_alphanumeric() {
        return Err(Broken::Message("its kind is none of PostgreSQL"));
    }
    if body > MESSAGE_BYTES_MAX { Err(Broken::TooLong(body)) } else { Ok((kind, body)) }
}

/// Reads what follows a head.
///
/// # Errors
/// It does not follow the protocol.
pub fn message(kind: u8, body: &[u8]) -> Result<Message, Broken> {
    let mut reader = Reader { rest: body };
    Ok(match kind {
        b'R' => authentication(&mut reader)?,
        b'S' => Message::Parameter(lossy(reader.until_nul()?), lossy(reader.until_nul()?)),
        b'E' => Message::Error(failure(&mut reader)?),
        b'T' => Message::Columns(columns(&mut reader)?),
        b'D' => Message::Row(row(&mut reader)?),
        b'Z' => Message::Ready,
        other => Message::Other(other),
    })
}

fn authentication(reader: &mut Reader<'_>) -> Result<Message, Broken> {
    Ok(match u32::from_be_bytes(reader.array()?) {
        0 => Message::AuthOk,
        3 => Message::AuthCleartext,
        5 => Message::AuthMd5(reader.array()?),
        10 => {
            let mut mechanisms = Vec::new();
            loop {
                match reader.until_nul()? {
                    [] => break Message::AuthSasl(mechanisms),
                    name => mechanisms.push(lossy(name)),
                }
            }
        }
        11 => Message::AuthSaslContinue(lossy(reader.rest)),
        12 => Message::AuthSaslFinal(lossy(reader.rest)),
        other => Message::AuthOther(other),
    })
}

/// Fields by letters: `C` the code, `M` the text.
fn failure(reader: &mut Reader<'_>) -> Result<Failure, Broken> {
    let mut failure = Failure::default();
    loop {
        match reader.u8()? {
            0 => return Ok(failure),
            b'C' => failure.code = lossy(reader.until_nul()?),
            b'M' => failure.message = lossy(reader.until_nul()?),
            _ => drop(reader.until_nul()?),
        }
    }
}

fn count(reader: &mut Reader<'_>) -> Result<usize, Broken> {
    let count = usize::from(u16::from_be_bytes(reader.array()?));
    if count > COLUMNS_MAX { Err(Broken::Message("it has too many columns")) } else { Ok(count) }
}

fn columns(reader: &mut Reader<'_>) -> Result<Vec<String>, Broken> {
    /// Table, number, type, size, modifier and format of a column.
    const REST_BYTES: usize = 18;
    let mut names = Vec::new();
    for _ in 0..count(reader)? {
        names.push(lossy(reader.until_nul()?));
        reader.take(REST_BYTES)?;
    }
    Ok(names)
}

fn row(reader: &mut Reader<'_>) -> Result<Vec<Option<String>>, Broken> {
    let mut values = Vec::new();
    for _ in 0..count(reader)? {
        let length = i32::from_be_bytes(reader.array()?);
        values.push(match usize::try_from(length) {
            Ok(length) => Some(lossy(reader.take(length)?)),
            Err(_) if length == -1 => None,
            Err(_) => return Err(Broken::Message("a value has a length below zero")),
        });
    }
    Ok(values)
}

/// Collects the answer to one query.
#[derive(Clone, Debug, Default)]
pub struct Answer {
    table: Table,
    failure: Option<Failure>,
}

impl Answer {
    /// Takes one message; the whole answer once the server is ready again. Of several results the last one stays.
    ///
    /// # Errors
    /// It is more than is read.
    pub fn take(&mut self, message: Message) -> Result<Option<Result<Table, Failure>>, Broken> {
        match message {
            Message::Columns(columns) => self.table = Table::new(columns),
            Message::Row(row) => self.table.add(row)?,
            Message::Error(failure) => self.failure = Some(failure),
            Message::Ready => {
                let table = std::mem::take(&mut self.table);
                return Ok(Some(self.failure.take().map_or(Ok(table), Err)));
            }
            Message::Parameter(..) | Message::Other(_) => {}
            _ => return Err(Broken::Message("a login in the middle of an answer")),
        }
        Ok(None)
    }
}

/// A place in the log: `16/B374D848`.
pub fn lsn(text: &str) -> Option<u64> {
    let (high, low) = text.trim().split_once('/')?;
    let part = |hex: &str| u32::from_str_radix(hex, 16).ok().filter(|_| !hex.starts_with('+'));
    Some(u64::from(part(high)?) << 32 | u64::from(part(low)?))
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn read(bytes: &[u8]) -> Result<Message, Broken> {
        let (head_bytes, body) = bytes.split_first_chunk::<HEAD_BYTES>().expect("a head");
        let (kind, length) = head(*head_bytes)?;
        assert_eq!(length, body.len());
        message(kind, body)
    }

    #[test]
    fn messages_are_read() {
        let error = with_length(b"E", b"SFATAL\0C53300\0Msorry, too many clients already\0\0");
        let failure = Failure { code: "53300".into(), message: "sorry, too many clients already".into() };
        let columns = with_length(b"T", &[&[0, 1][..], b"lag\0", &[0; 18]].concat());
        for (bytes, meant) in [
            (with_length(b"R", &[0, 0, 0, 0]), Message::AuthOk),
            (with_length(b"R", &[0, 0, 0, 5, 1, 2, 3, 4]), Message::AuthMd5([1, 2, 3, 4])),
            (with_length(b"R", b"\0\0\0\x0aSCRAM-SHA-256\0\0"), Message::AuthSasl(vec!["SCRAM-SHA-256".into()])),
            (with_length(b"R", b"\0\0\0\x0br=x"), Message::AuthSaslContinue("r=x".into())),
            (with_length(b"R", &[0, 0, 0, 7]), Message::AuthOther(7)),
            (error, Message::Error(failure)),
            (columns, Message::Columns(vec!["lag".into()])),
            (with_length(b"D", b"\0\x02\0\0\0\x0242\xff\xff\xff\xff"), Message::Row(vec![Some("42".into()), None])),
            (
                with_length(b"S", b"server_version\x0015.3\0"),
                Message::Parameter("server_version".into(), "15.3".into()),
            ),
            (with_length(b"Z", b"I"), Message::Ready),
            (with_length(b"K", &[0; 8]), Message::Other(b'K')),
        ] {
            assert_eq!(read(&bytes), Ok(meant), "{bytes:?}");
        }
    }

    #[test]
    fn a_password_is_hashed_as_the_server_does_it() {
        // By md5sum(1): md5(md5("hunter2stentor") as hexadecimal digits, "salt").
        assert_eq!(md5_answer("stentor", "hunter2", *b"salt"), "md583ce160ff2710ed652fbc9d3ae962dc2");
    }

    #[test]
    fn heads_that_lie_are_refused() {
        for bytes in [[b'R', 0, 0, 0, 3], [0, 0, 0, 0, 8], [0xa5, 0xa5, 0xa5, 0xa5, 0xa5]] {
            assert!(matches!(head(bytes), Err(Broken::Message(_))), "{bytes:?}");
        }
        assert_eq!(head(*b"HTTP/"), Err(Broken::TooLong(0x5454_502f - 4)));
    }

    #[test]
    fn places_in_the_log_are_numbers() {
        for (text, meant) in [
            ("16/B374D848", Some(0x16_B374_D848)),
            ("0/0", Some(0)),
            ("FFFFFFFF/FFFFFFFF", Some(u64::MAX)),
            ("1", None),
            ("/", None),
            ("0/+1", None),
            ("100000000/0", None),
        ] {
            assert_eq!(lsn(text), meant, "{text}");
        }
    }

    proptest! {
        #[test]
        fn no_bytes_panic(kind in any::<u8>(), body in prop::collection::vec(any::<u8>(), 0..60)) {
            for kind in [kind, b'R', b'E', b'T', b'D', b'S'] {
                if let Ok(message) = message(kind, &body) {
                    let _ = Answer::default().take(message);
                }
            }
        }

        #[test]
        fn a_truncation_is_never_a_whole_row(cut in any::<prop::sample::Index>()) {
            let body = b"\0\x02\0\0\0\x0242\0\0\0\x0142";
            let cut = cut.index(body.len() - 1);
            prop_assert!(message(b'D', &body[..cut]).is_err());
        }
    }
}
