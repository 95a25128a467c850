//! What a look at Redis needs of its protocol (RESP): commands, the head of an answer, and the text of INFO.

use std::collections::BTreeMap;

/// The first line of an answer.
#[derive(Clone, Debug, Eq, PartialEq)]
pub enum Head {
    Simple(String),
    /// `NOAUTH Authentication required.`
    Error(String),
    Integer(i64),
    /// So many bytes and a line end follow; `None` = there is no value.
    Bulk(Option<usize>),
}

/// INFO is some kilobytes; a server with thousands of databases has more.
pub const BULK_BYTES_MAX: usize = 1024 * 1024;

/// Reads a line without its end; `None` for what begins no answer that is asked for here.
pub fn head(line: &str) -> Option<Head> {
    let mut chars = line.chars();
    let kind = chars.next()?;
    let rest = chars.as_str();
    Some(match kind {
        '+' => Head::Simple(rest.to_owned()),
        '-' => Head::Error(rest.to_owned()),
        ':' => Head::Integer(rest.parse().ok()?),
        '$' if rest == "-1" => Head::Bulk(None),
        '$' => Head::Bulk(Some(rest.parse().ok().filter(|bytes| *bytes <= BULK_BYTES_MAX)?)),
        _ => return None,
    })
}

/// A command as an array of bulk strings: no word can be taken for another.
pub fn command(words: &[&str]) -> Vec<u8> {
    let mut bytes = format!("*{}\r\n", words.len()).into_bytes();
    for word in words {
        bytes.extend(format!("${}\r\n{word}\r\n", word.len()).into_bytes());
    }
    bytes
}

/// `name:value` lines of INFO.
#[derive(Clone, Debug, Default, Eq, PartialEq)]
pub struct Info {
    fields: BTreeMap<String, String>,
}

/// A replica as its primary sees it.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct Replica {
    pub address: String,
    pub is_online: bool,
    /// Bytes of the stream that it has confirmed.
    pub offset: Option<i64>,
    /// Seconds since it last said so.
    pub silent_s: Option<i64>,
}

impl Info {
    pub fn parse(text: &str) -> Info {
        let fields =
            text.lines().filter(|line| !line.starts_with('#')).filter_map(|line| line.trim_end().split_once(':'));
        Info { fields: fields.map(|(name, value)| (name.to_owned(), value.to_owned())).collect() }
    }

    pub fn text(&self, name: &str) -> Option<&str> {
        self.fields.get(name).map(String::as_str)
    }

    pub fn number(&self, name: &str) -> Option<i64> {
        self.text(name)?.parse().ok()
    }

    /// `slave0:ip=127.0.0.1,port=6380,state=online,offset=14,lag=1`.
    pub fn replicas(&self) -> Vec<Replica> {
        let is_replica = |name: &str| {
            name.strip_prefix("slave")
                .is_some_and(|number| !number.is_empty() && number.bytes().all(|byte| byte.is_ascii_digit()))
        };
        self.fields.iter().filter(|(name, _)| is_replica(name)).map(|(_, value)| replica(value)).collect()
    }
}

fn replica(value: &str) -> Replica {
    let pairs: BTreeMap<&str, &str> = value.split(',').filter_map(|pair| pair.split_once('=')).collect();
    let number = |name: &str| pairs.get(name).and_then(|value| value.parse().ok());
    let part = |name: &str| pairs.get(name).copied().unwrap_or("?");
    Replica {
        address: format!("{}:{}", part("ip"), part("port")),
        is_online: pairs.get("state") == Some(&"online"),
        offset: number("offset"),
        silent_s: number("lag"),
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn heads_are_told_apart() {
        for (line, read) in [
            ("+PONG", Some(Head::Simple("PONG".into()))),
            ("-LOADING x", Some(Head::Error("LOADING x".into()))),
            (":-7", Some(Head::Integer(-7))),
            ("$5", Some(Head::Bulk(Some(5)))),
            ("$-1", Some(Head::Bulk(None))),
            ("$-2", None),
            ("$1048577", None),
            ("$99999999999999999999", None),
            (":x", None),
            ("*3", None),
            ("", None),
            ("é", None),
        ] {
            assert_eq!(head(line), read, "{line}");
        }
    }

    #[test]
    fn words_of_a_command_keep_their_blanks() {
        assert_eq!(command(&["AUTH", "a b\r\n"]), b"*2\r\n$4\r\nAUTH\r\n$5\r\na b\r\n\r\n");
    }

    #[test]
    fn replicas_are_read_from_info() {
        let info = Info::parse(
            "# Replication\r\nrole:master\r\nconnected_slaves:2\r\n\
             slave0:ip=10.0.0.2,port=6380,state=online,offset=14,lag=1\r\nslave1:ip=10.0.0.3,port=6379,state=wait_bgsave\r\n\
             slave_x:1\r\nmaster_repl_offset:28\r\n",
        );
        assert_eq!(
            (info.text("role"), info.number("master_repl_offset"), info.number("role")),
            (Some("master"), Some(28), None)
        );
        let replicas = info.replicas();
        assert_eq!(replicas.len(), 2);
        assert_eq!(
            (replicas[0].address.as_str(), replicas[0].is_online, replicas[0].offset),
            ("10.0.0.2:6380", true, Some(14))
        );
        assert_eq!((replicas[1].is_online, replicas[1].silent_s), (false, None));
    }

    proptest! {
        #[test]
        fn no_text_panics(text in "\\PC{0,60}", near in "(slave|role|[0-9:,=$*+-]|\r\n){0,20}") {
            for text in [text, near] {
                let _ = (head(&text), Info::parse(&text).replicas());
            }
        }
    }
}
