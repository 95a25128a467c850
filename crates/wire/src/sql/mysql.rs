//! Packets of MySQL and MariaDB (client/server protocol, version 10): login by password, and one query as text.

use sha1::Sha1;
use sha2::{Digest, Sha256};

use super::{Broken, Failure, MESSAGE_BYTES_MAX, Reader, Table, lossy};

/// Length and number of a packet.
pub const HEAD_BYTES: usize = 4;
pub const NATIVE: &str = "mysql_native_password";
pub const CACHING: &str = "caching_sha2_password";
/// A challenge; what comes behind is padding.
const SALT_BYTES: usize = 20;
/// A table has at most so many in MySQL and MariaDB.
const COLUMNS_MAX: u64 = 4096;
/// `utf8mb4_general_ci`.
const CHARSET: u8 = 45;

const LONG_PASSWORD: u32 = 0x1;
const CONNECT_WITH_DB: u32 = 0x8;
const PROTOCOL_41: u32 = 0x200;
const SSL: u32 = 0x800;
const TRANSACTIONS: u32 = 0x2000;
const SECURE_CONNECTION: u32 = 0x8000;
const PLUGIN_AUTH: u32 = 0x8_0000;

/// What a server says first.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct Greeting {
    pub version: String,
    pub offers_tls: bool,
    pub challenge: Challenge,
    capabilities: u32,
}

/// How the password is asked for.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct Challenge {
    pub plugin: String,
    salt: Vec<u8>,
}

/// A way to prove a password that is not spoken here.
#[derive(Clone, Debug, Eq, PartialEq, thiserror::Error)]
#[error("it wants the login method `{0}`, which is not spoken here")]
pub struct UnknownPlugin(pub String);

/// How a login goes on.
#[derive(Clone, Debug, Eq, PartialEq)]
pub enum Login {
    Done,
    Refused(Failure),
    /// By another method, with another challenge.
    Switch(Challenge),
    /// `caching_sha2_password` knows the password.
    CacheHit,
    /// It does not, and wants to be told it: only over TLS.
    WantsPassword,
}

/// Length and number of a packet.
///
/// # Errors
/// It is longer than is read.
pub fn head(bytes: [u8; HEAD_BYTES]) -> Result<(usize, u8), Broken> {
    let [low, mid, high, sequence] = bytes;
    let length = usize::from(low) | usize::from(mid) << 8 | usize::from(high) << 16;
    if length > MESSAGE_BYTES_MAX { Err(Broken::TooLong(length)) } else { Ok((length, sequence)) }
}

/// A packet of ours; they are all short.
pub fn packet(sequence: u8, payload: &[u8]) -> Vec<u8> {
    let [low, mid, high, _] = u32::try_from(payload.len()).unwrap_or(u32::MAX).to_le_bytes();
    [&[low, mid, high, sequence], payload].concat()
}

/// One query. It must not be longer than a packet of 16 MiB; ours are not.
pub fn query(sql: &str) -> Vec<u8> {
    packet(0, &[&[0x03], sql.as_bytes()].concat())
}

/// The goodbye.
pub fn quit() -> Vec<u8> {
    packet(0, &[0x01])
}

/// Reads the first packet; a server that takes nobody more says so instead.
///
/// # Errors
/// It is no MySQL.
pub fn greeting(payload: &[u8]) -> Result<Result<Greeting, Failure>, Broken> {
    let mut reader = Reader { rest: payload };
    match reader.u8()? {
        10 => {}
        0xff => return Ok(Err(failure(&mut reader)?)),
        _ => return Err(Broken::Message("it greets in another protocol than version 10")),
    }
    let version = lossy(reader.until_nul()?);
    reader.take(4)?;
    let mut salt = reader.take(8)?.to_vec();
    reader.take(1)?;
    let low = u16::from_le_bytes(reader.array()?);
    reader.take(3)?;
    let high = u16::from_le_bytes(reader.array()?);
    let capabilities = u32::from(low) | u32::from(high) << 16;
    let salt_bytes = usize::from(reader.u8()?);
    reader.take(10)?;
    if capabilities & PROTOCOL_41 == 0 || capabilities & SECURE_CONNECTION == 0 {
        return Err(Broken::Message("it is older than MySQL 4.1"));
    }
    let rest = reader.take(salt_bytes.saturating_sub(8).max(13).min(reader.rest.len()))?;
    salt.extend(rest);
    salt.truncate(SALT_BYTES);
    let plugin = if capabilities & PLUGIN_AUTH == 0 { NATIVE.to_owned() } else { lossy(to_nul(reader.rest)) };
    let challenge = Challenge { plugin, salt };
    Ok(Ok(Greeting { version, offers_tls: capabilities & SSL != 0, challenge, capabilities }))
}

/// Up to the first NUL, or all of it.
fn to_nul(bytes: &[u8]) -> &[u8] {
    bytes.split(|byte| *byte == 0).next().unwrap_or_default()
}

/// Who logs in.
#[derive(Copy, Clone, Debug)]
pub struct Account<'a> {
    pub user: &'a str,
    pub password: &'a str,
    pub database: Option<&'a str>,
}

impl Greeting {
    /// Whether the server is MariaDB, which lets its version begin with that of MySQL 5.5.5 where replicas would stumble.
    pub fn is_mariadb(&self) -> bool {
        self.version.contains("MariaDB")
    }

    /// The version without MariaDB's prefix for replicas of MySQL 5.
    pub fn plain_version(&self) -> &str {
        self.version.strip_prefix("5.5.5-").filter(|_| self.is_mariadb()).unwrap_or(&self.version)
    }

    fn flags(&self, tls: u32, account: Account<'_>) -> u32 {
        let database = if account.database.is_some() { CONNECT_WITH_DB } else { 0 };
        let wanted = LONG_PASSWORD | PROTOCOL_41 | TRANSACTIONS | SECURE_CONNECTION | PLUGIN_AUTH;
        wanted & self.capabilities | PROTOCOL_41 | SECURE_CONNECTION | database | tls
    }

    fn opening(&self, tls: u32, account: Account<'_>) -> Vec<u8> {
        let flags = self.flags(tls, account).to_le_bytes();
        let longest = u32::try_from(MESSAGE_BYTES_MAX).unwrap_or(u32::MAX).to_le_bytes();
        [&flags[..], &longest, &[CHARSET], &[0; 23]].concat()
    }

    /// Asks for TLS: the beginning of the login, nothing secret in it.
    pub fn tls_request(&self, account: Account<'_>) -> Vec<u8> {
        self.opening(SSL, account)
    }

    /// The login. A server whose method is not spoken here is answered in another: it says how to go on.
    pub fn login(&self, account: Account<'_>, is_tls: bool) -> Vec<u8> {
        let tls = if is_tls { SSL } else { 0 };
        let native = Challenge { plugin: NATIVE.to_owned(), salt: self.challenge.salt.clone() };
        let (plugin, answer) = match self.challenge.answer(account.password) {
            Ok(answer) => (self.challenge.plugin.as_str(), answer),
            Err(_) => (NATIVE, native.answer(account.password).unwrap_or_default()),
        };
        let mut payload = self.opening(tls, account);
        payload.extend(account.user.replace('\0', "").bytes());
        payload.push(0);
        payload.push(u8::try_from(answer.len()).unwrap_or(0));
        payload.extend(answer);
        for text in account.database.into_iter().chain([plugin]) {
            payload.extend(text.bytes());
            payload.push(0);
        }
        payload
    }
}

impl Challenge {
    /// Proves the password without telling it.
    ///
    /// # Errors
    /// The method is another one.
    pub fn answer(&self, password: &str) -> Result<Vec<u8>, UnknownPlugin> {
        if ![NATIVE, CACHING].contains(&self.plugin.as_str()) {
            return Err(UnknownPlugin(self.plugin.chars().take(64).filter(|c| !c.is_control()).collect()));
        }
        if password.is_empty() {
            return Ok(Vec::new());
        }
        let xor = |a: &[u8], b: &[u8]| a.iter().zip(b).map(|(a, b)| a ^ b).collect();
        Ok(if self.plugin == NATIVE {
            let once = Sha1::digest(password);
            let proof = Sha1::digest([&self.salt[..], &Sha1::digest(once)].concat());
            xor(&once, &proof)
        } else {
            let once = Sha256::digest(password);
            let proof = Sha256::digest([&Sha256::digest(once)[..], &self.salt].concat());
            xor(&once, &proof)
        })
    }
}

/// Reads a packet of the login.
///
/// # Errors
/// It is none.
pub fn login_step(payload: &[u8]) -> Result<Login, Broken> {
    let mut reader = Reader { rest: payload };
    Ok(match reader.u8()? {
        0x00 => Login::Done,
        0xff => Login::Refused(failure(&mut reader)?),
        0xfe if reader.rest.is_empty() => {
            Login::Switch(Challenge { plugin: "mysql_old_password".to_owned(), salt: vec![] })
        }
        0xfe => {
            let plugin = lossy(reader.until_nul()?);
            let salt = reader.rest.get(..SALT_BYTES).unwrap_or(reader.rest).to_vec();
            Login::Switch(Challenge { plugin, salt })
        }
        0x01 => match reader.rest {
            [3] => Login::CacheHit,
            [4] => Login::WantsPassword,
            _ => return Err(Broken::Message("an unknown step of the login")),
        },
        _ => return Err(Broken::Message("an unknown step of the login")),
    })
}

/// `0xff` has been read: code, mark and state (not before the login), words.
fn failure(reader: &mut Reader<'_>) -> Result<Failure, Broken> {
    let code = u16::from_le_bytes(reader.array()?);
    if reader.rest.first() == Some(&b'#') {
        reader.take(6)?;
    }
    Ok(Failure { code: code.to_string(), message: lossy(reader.rest) })
}

/// A number whose first byte says how long it is.
fn number(reader: &mut Reader<'_>) -> Result<u64, Broken> {
    Ok(match reader.u8()? {
        small @ 0..=0xfa => u64::from(small),
        0xfc => u64::from(u16::from_le_bytes(reader.array()?)),
        0xfd => {
            let [low, mid, high] = reader.array()?;
            u64::from(u32::from_le_bytes([low, mid, high, 0]))
        }
        0xfe => u64::from_le_bytes(reader.array()?),
        0xfb | 0xff => return Err(Broken::Message("a length is none")),
    })
}

fn text(reader: &mut Reader<'_>) -> Result<String, Broken> {
    let length = usize::try_from(number(reader)?).unwrap_or(usize::MAX);
    Ok(lossy(reader.take(length)?))
}

/// Collects the answer to one query.
#[derive(Clone, Debug, Default)]
pub struct Answer {
    part: Part,
    table: Table,
}

#[derive(Clone, Debug, Default)]
enum Part {
    #[default]
    Head,
    /// So many columns are still to come.
    Columns(u64),
    /// The packet that ends them.
    ColumnsEnd,
    Rows,
}

impl Answer {
    /// Takes one packet; the whole answer with the last.
    ///
    /// # Errors
    /// It does not follow the protocol, or is more than is read.
    pub fn take(&mut self, payload: &[u8]) -> Result<Option<Result<Table, Failure>>, Broken> {
        let mut reader = Reader { rest: payload };
        let first = *payload.first().ok_or(Broken::Message("a packet is empty"))?;
        if first == 0xff {
            reader.u8()?;
            return Ok(Some(Err(failure(&mut reader)?)));
        }
        // An end is short; a value that begins with 0xfe has more than 16 MiB.
        let is_end = first == 0xfe && payload.len() < 9;
        self.part = match self.part {
            Part::Head if first == 0 => return Ok(Some(Ok(Table::default()))),
            // `LOAD DATA LOCAL`: the server asks for a file of ours.
            Part::Head if first == 0xfb => return Err(Broken::Message("it asks for a file of ours")),
            Part::Head => match number(&mut reader)? {
                0 | COLUMNS_MAX.. => return Err(Broken::Message("a number of columns that cannot be")),
                count => Part::Columns(count),
            },
            Part::Columns(left) => {
                self.table.columns.push(column(&mut reader)?);
                if left > 1 { Part::Columns(left - 1) } else { Part::ColumnsEnd }
            }
            Part::ColumnsEnd if is_end => Part::Rows,
            Part::ColumnsEnd => return Err(Broken::Message("the columns have no end")),
            Part::Rows if is_end => return Ok(Some(Ok(std::mem::take(&mut self.table)))),
            Part::Rows => {
                let row = row(&mut reader, self.table.columns.len())?;
                self.table.add(row)?;
                Part::Rows
            }
        };
        Ok(None)
    }
}

/// The name of a column: the fifth text of its description.
fn column(reader: &mut Reader<'_>) -> Result<String, Broken> {
    for _ in 0..4 {
        text(reader)?;
    }
    text(reader)
}

fn row(reader: &mut Reader<'_>, columns: usize) -> Result<Vec<Option<String>>, Broken> {
    let mut row = Vec::with_capacity(columns);
    for _ in 0..columns {
        if reader.rest.first() == Some(&0xfb) {
            reader.u8()?;
            row.push(None);
        } else {
            row.push(Some(text(reader)?));
        }
    }
    Ok(row)
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    /// Hand-built from the protocol's description, with the capabilities of MariaDB 10.11.
    fn greeted(plugin: &str) -> Vec<u8> {
        let mut bytes = b"\x0a5.5.5-10.11.19-MariaDB-0+deb12u1\0\x07\0\0\0".to_vec();
        bytes.extend(b"abcdefgh\0\xfe\xff\x2d\x02\0\xff\x81\x15");
        bytes.extend([0; 10]);
        bytes.extend(b"ijklmnopqrst\0");
        bytes.extend(plugin.bytes());
        bytes.push(0);
        bytes
    }

    #[test]
    fn a_greeting_tells_version_challenge_and_tls() {
        let greeting = greeting(&greeted(CACHING)).unwrap().unwrap();
        assert!(greeting.is_mariadb() && greeting.offers_tls);
        assert_eq!(greeting.plain_version(), "10.11.19-MariaDB-0+deb12u1");
        assert_eq!(greeting.challenge, Challenge { plugin: CACHING.into(), salt: b"abcdefghijklmnopqrst".to_vec() });
    }

    #[test]
    fn a_server_that_is_full_says_so() {
        let full = greeting(b"\xff\x10\x04Too many connections").unwrap().unwrap_err();
        assert_eq!(full, Failure { code: "1040".into(), message: "Too many connections".into() });
        for bytes in [&b""[..], b"\x09x\0", b"HTTP/1.1 400\r\n", b"\x0a5.7"] {
            assert!(greeting(bytes).is_err(), "{bytes:?}");
        }
    }

    #[test]
    fn passwords_are_proved_as_the_servers_expect() {
        // Computed with Python's hashlib from the definitions; the salt is that of `greeted`.
        for (plugin, proof) in [
            (NATIVE, "fb30830c3ec1c2161c75ef8c45977d684a38d8d4"),
            (CACHING, "38c32b38723affcda57b368b565bac628d5a852428b402c25c4ae036a4fd904f"),
        ] {
            let challenge = Challenge { plugin: plugin.into(), salt: b"abcdefghijklmnopqrst".to_vec() };
            let hex: String = challenge.answer("hunter2").unwrap().iter().map(|byte| format!("{byte:02x}")).collect();
            assert_eq!(hex, proof, "{plugin}");
            assert_eq!(challenge.answer(""), Ok(vec![]));
        }
        let other = Challenge { plugin: "client_ed25519".into(), salt: vec![] };
        assert_eq!(other.answer("x"), Err(UnknownPlugin("client_ed25519".into())));
    }

    #[test]
    fn a_login_that_cannot_answer_the_first_method_offers_another() {
        let account = Account { user: "stentor", password: "hunter2", database: Some("d") };
        let greeting = greeting(&greeted("client_ed25519")).unwrap().unwrap();
        let login = greeting.login(account, true);
        assert_eq!(login.get(..32), Some(&greeting.tls_request(account)[..]), "TLS is asked for with the same flags");
        let rest = login.get(32..).unwrap();
        assert!(rest.starts_with(b"stentor\0\x14") && rest.ends_with(b"d\0mysql_native_password\0"), "{rest:?}");
    }

    #[test]
    fn steps_of_a_login_are_told_apart() {
        for (payload, step) in [
            (&b"\0\0\0\x02\0\0\0"[..], Login::Done),
            (b"\x01\x03", Login::CacheHit),
            (b"\x01\x04", Login::WantsPassword),
            (
                b"\xff\x15\x04#28000Access denied",
                Login::Refused(Failure { code: "1045".into(), message: "Access denied".into() }),
            ),
            (
                b"\xfemysql_native_password\0abcdefghijklmnopqrst\0",
                Login::Switch(Challenge { plugin: NATIVE.into(), salt: b"abcdefghijklmnopqrst".to_vec() }),
            ),
        ] {
            assert_eq!(login_step(payload), Ok(step));
        }
        assert!(login_step(b"\x01\x05").is_err() && login_step(b"").is_err() && login_step(b"\xfex").is_err());
    }

    /// `SELECT 42 AS lag, NULL AS none`.
    const TABLE: [&[u8]; 6] = [
        b"\x02",
        b"\x03def\0\0\0\x03lag\0\x0c\x3f\0\x02\0\0\0\x03\x81\0\0\0\0",
        b"\x03def\0\0\0\x04none\0\x0c\x3f\0\0\0\0\0\x06\x80\0\0\0\0",
        b"\xfe\0\0\x02\0",
        b"\x0242\xfb",
        b"\xfe\0\0\x02\0",
    ];

    #[test]
    fn a_table_is_read_packet_by_packet() {
        let mut answer = Answer::default();
        let mut table = None;
        for payload in TABLE {
            assert!(table.is_none(), "the answer ends with its last packet");
            table = answer.take(payload).unwrap();
        }
        let table = table.unwrap().unwrap();
        let row = table.first().unwrap();
        assert_eq!((row.number("LAG"), row.text("none"), row.value()), (Some(42.0), None, Some("42")));
    }

    #[test]
    fn a_server_gets_no_file_of_ours() {
        assert!(Answer::default().take(b"\xfb/etc/passwd").is_err());
    }

    proptest! {
        #[test]
        fn no_bytes_panic(payloads in prop::collection::vec(prop::collection::vec(any::<u8>(), 0..40), 1..6), near in 0..6_usize) {
            let mut answer = Answer::default();
            for payload in TABLE.iter().take(near).copied().chain(payloads.iter().map(Vec::as_slice)) {
                let _ = (greeting(payload), login_step(payload));
                if answer.take(payload).is_err() {
                    break;
                }
            }
        }

        #[test]
        fn a_truncated_greeting_is_none_or_without_its_method(cut in any::<prop::sample::Index>()) {
            let whole = greeted(CACHING);
            let cut = cut.index(whole.len() - 1);
            if let Ok(Ok(greeting)) = greeting(&whole[..cut]) {
                prop_assert!(greeting.challenge.plugin.len() <= CACHING.len());
            }
        }
    }
}
