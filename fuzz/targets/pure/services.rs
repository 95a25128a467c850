//! Fuzz targets of what network services, containers and exporters answer.

use stentor_wire::sql::{gtid, mysql, postgres, scram};
use stentor_wire::{containers, dns, exposition, greeting, journey, ldap, nats, ntp, rabbitmq, redis};

pub fn redis(data: &[u8]) {
    let text = String::from_utf8_lossy(data);
    for line in text.lines() {
        if let Some(redis::Head::Bulk(Some(bytes))) = redis::head(line) {
            assert!(bytes <= redis::BULK_BYTES_MAX);
        }
    }
    let info = redis::Info::parse(&text);
    assert!(info.replicas().len() <= text.lines().count());
}

pub fn ntp(data: &[u8]) {
    let cookie = data.get(24..32).and_then(|bytes| bytes.try_into().ok()).unwrap_or_default();
    if let Ok(read) = ntp::answer(data, cookie, 1_795_305_600_000) {
        let (ahead, travel) = ntp::offset(&read, 1_795_305_600_000.0, 1_795_305_600_100.0);
        assert!(ahead.is_finite() && travel >= 0.0);
    }
}

pub fn dns(data: &[u8]) {
    let question = dns::Question {
        id: 0x1234,
        name: "www".into(),
        kind: dns::RecordType::A,
        wants_recursion: false,
        wants_signatures: true,
    };
    if let Ok(answer) = question.answer(data) {
        // A record has eleven bytes at least.
        assert!(answer.records.len() <= data.len() / 11);
        assert!(answer.records.iter().all(|record| !record.data.contains(|c: char| c.is_control())));
    }
}

pub fn greeting(data: &[u8]) {
    for line in String::from_utf8_lossy(data).lines() {
        let _ = (greeting::ssh_banner(line), greeting::imap_line(line));
        assert!(greeting::smtp_line(line).is_none_or(|line| (200..600).contains(&line.code)));
    }
}

/// A list of containers, or a table of machines.
pub fn containers(data: &[u8]) {
    if let Ok(json) = serde_json::from_slice::<serde_json::Value>(data) {
        for one in containers::list(&json).into_iter().flatten() {
            let _ = one.inspected(&json);
        }
    }
    let text = String::from_utf8_lossy(data);
    assert!(
        containers::domains(&text).is_ok_and(|all| all.len() <= text.lines().count())
            || containers::domains(&text).is_err()
    );
}

/// Lines: cookies, redirects and texts with names.
pub fn journey(data: &[u8]) {
    let text = String::from_utf8_lossy(data);
    let known = [("a".to_owned(), text.to_string())].into();
    let mut jar = journey::Jar::default();
    for line in text.lines() {
        jar.take(line, "/a/b");
        assert!(journey::redirect(line, "https", "h", "/a/b").is_none_or(|path| path.starts_with('/')));
        if let Ok(path) = journey::filled(line, &known, journey::Place::Path) {
            assert!(path.len() <= line.len() * (1 + 3 * data.len() * 3));
        }
    }
    assert!(jar.header("/a/b").is_none_or(|header| !header.contains(['\r', '\n'])));
}

pub fn ldap(data: &[u8]) {
    if let Ok((_, ldap::Message::Entry(entry))) = ldap::read(data) {
        assert!(entry.attributes.len() <= data.len() / 4, "an attribute has four bytes at least");
    }
    if let Some((head, rest)) = data.split_first_chunk::<{ ldap::HEAD_BYTES }>()
        && let Ok(ldap::Head::LengthBytes(count)) = ldap::head(*head)
        && let Some(bytes) = rest.get(..count)
    {
        assert!(ldap::long_length(bytes).is_ok_and(|length| length <= ldap::MESSAGE_BYTES_MAX) || !bytes.is_empty());
    }
}

/// Lines of a server, and its pages.
pub fn nats(data: &[u8]) {
    let text = String::from_utf8_lossy(data);
    for line in text.lines() {
        let _ = nats::line(line);
    }
    if let Ok(json) = serde_json::from_slice(data) {
        let _ = (nats::meta(&json), nats::numbers(&json, &[("a", "/a"), ("b", "/a/b")]));
    }
}

/// The first frame, or a page.
pub fn rabbitmq(data: &[u8]) {
    if let Some((head, frame)) = data.split_first_chunk::<{ rabbitmq::HEAD_BYTES }>() {
        assert!(
            rabbitmq::head(*head).is_ok_and(|length| length <= rabbitmq::FRAME_BYTES_MAX + 1)
                || rabbitmq::head(*head).is_err()
        );
        let _ = rabbitmq::start(frame);
    }
    if let Ok(json) = serde_json::from_slice(data) {
        let _ = rabbitmq::queues(&json);
        assert!(rabbitmq::Nodes::read(&json).is_none_or(|nodes| nodes.stopped.len() <= nodes.all));
    }
}

/// Packets as they come, one behind the other: greeting, login and answers; and sets of transactions as text.
pub fn mysql(data: &[u8]) {
    let mut answer = mysql::Answer::default();
    let mut rest = data;
    while let Some((head, behind)) = rest.split_first_chunk::<{ mysql::HEAD_BYTES }>() {
        let Ok((length, _)) = mysql::head(*head) else { break };
        let Some((payload, behind)) = behind.split_at_checked(length) else { break };
        rest = behind;
        if let Ok(Ok(greeting)) = mysql::greeting(payload) {
            let account = mysql::Account { user: "u", password: "p", database: None };
            assert!(greeting.login(account, true).starts_with(&greeting.tls_request(account)));
        }
        if let Ok(mysql::Login::Switch(challenge)) = mysql::login_step(payload) {
            let _ = challenge.answer("p");
        }
        if !matches!(answer.take(payload), Ok(None)) {
            answer = mysql::Answer::default();
        }
    }
    let text = String::from_utf8_lossy(data);
    for set in [gtid::Gtids::of_mariadb(&text), gtid::Gtids::of_mysql(&text)].into_iter().flatten() {
        assert_eq!(set.beyond(&set), 0);
    }
    let _ = gtid::MariadbState::parse(&text, &text).map(|state| assert_eq!(state.beyond(&state), 0));
}

/// Messages as they come, one behind the other.
pub fn postgres(data: &[u8]) {
    let mut answer = postgres::Answer::default();
    let mut rest = data;
    while let Some((head, behind)) = rest.split_first_chunk::<{ postgres::HEAD_BYTES }>() {
        let Ok((kind, length)) = postgres::head(*head) else { break };
        let Some((body, behind)) = behind.split_at_checked(length) else { break };
        rest = behind;
        let Ok(message) = postgres::message(kind, body) else { continue };
        if let postgres::Message::AuthSaslContinue(server) = &message {
            // Each round is paid for; a few are as good as thousands.
            let server = server.replace("i=", "i=0000");
            if server.len() < 60
                && let Ok(last) = scram::First::new("n".into()).answer(&server, "p")
            {
                assert!(last.verify(&server).is_err());
            }
        }
        if !matches!(answer.take(message), Ok(None)) {
            answer = postgres::Answer::default();
        }
    }
    let _ = postgres::lsn(&String::from_utf8_lossy(data));
}

/// An expression in the first line, a page in the others.
pub fn exposition(data: &[u8]) {
    let text = String::from_utf8_lossy(data);
    let (expr, page) = text.split_once('\n').unwrap_or((&text, ""));
    let all = exposition::Page::parse(page, |_| true);
    assert!(all.samples.len() + all.unreadable <= page.lines().count());
    match exposition::Expr::parse(expr) {
        Err(refusal) => assert!(refusal.at <= expr.len()),
        Ok(expr) => {
            let some = exposition::Page::parse(page, |metric| expr.reads(metric));
            assert_eq!(some.unreadable, all.unreadable);
            assert!(expr.value(&some).is_ok_and(f64::is_finite) || expr.value(&all).is_err());
        }
    }
}
