//! The `http` probe against small servers on loopback.

use std::sync::Arc;

use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpListener;
use tokio_rustls::TlsAcceptor;

use super::*;
use crate::ErasedProbe;
use crate::testing::{NOW_S, build, number, plain_env, run_at, target, text, within};

/// Answers every connection with `answer` and closes.
async fn plain(answer: Vec<u8>) -> u16 {
    let listener = TcpListener::bind("127.0.0.1:0").await.expect("bound");
    let port = listener.local_addr().expect("address").port();
    tokio::spawn(async move {
        while let Ok((mut stream, _)) = listener.accept().await {
            let mut asked = [0; 4096];
            let _ = stream.read(&mut asked).await;
            let _ = stream.write_all(&answer).await;
        }
    });
    port
}

async fn ask(port: u16, more: &str) -> Observation {
    run_at("http", &format!(r#"{{"port":{port}{more}}}"#), 5000).await.expect("observed")
}

#[tokio::test]
async fn status_body_and_phases_are_observed() {
    let port = plain(b"HTTP/1.1 503 Busy\r\nContent-Length: 9\r\n\r\nno server".to_vec()).await;
    let seen = ask(port, r#","expect":"no s.rver""#).await;
    assert_eq!((number(&seen, "http"), text(&seen, "port")), (503.0, "open".into()));
    assert_eq!(text(&seen, "body_match"), "true");
    let labels: Vec<&str> = seen.measurements.iter().map(|m| &*m.label).collect();
    assert_eq!(labels, ["dns", "connect", "size", "first_byte", "time"]);
    let seen = ask(port, r#","expect":"welcome""#).await;
    assert_eq!(text(&seen, "body_match"), "false");
}

#[tokio::test]
async fn a_redirect_is_told_and_not_followed() {
    let port = plain(b"HTTP/1.1 302 Found\r\nLocation: https://x/\r\nContent-Length: 0\r\n\r\n".to_vec()).await;
    let seen = ask(port, "").await;
    assert_eq!((number(&seen, "http"), text(&seen, "location")), (302.0, "https://x/".into()));
}

#[tokio::test]
async fn an_endless_body_is_cut() {
    let mut answer = b"HTTP/1.1 200 OK\r\nConnection: close\r\n\r\n".to_vec();
    answer.resize(3 * 1024 * 1024, b'x');
    let port = plain(answer).await;
    assert_eq!(number(&ask(port, "").await, "body_bytes"), 1024.0 * 1024.0);
}

#[tokio::test]
async fn a_body_that_ends_early_is_no_answer() {
    let port = plain(b"HTTP/1.1 200 OK\r\nContent-Length: 100\r\n\r\nhalf".to_vec()).await;
    let seen = ask(port, "").await;
    assert_eq!((text(&seen, "http"), text(&seen, "port")), ("invalid".into(), "open".into()));
}

/// A TLS server whose self-signed certificate ends at `not_after`; returns its port and its certificate in PEM.
async fn secure(not_after: (i32, u8, u8)) -> (u16, String) {
    let mut params = rcgen::CertificateParams::new(vec!["127.0.0.1".into(), "x.example".into()]).expect("parameters");
    params.not_before = rcgen::date_time_ymd(2020, 1, 1);
    params.not_after = rcgen::date_time_ymd(not_after.0, not_after.1, not_after.2);
    let key = rcgen::KeyPair::generate().expect("key");
    let cert = params.self_signed(&key).expect("certificate");
    let key = rustls::pki_types::PrivateKeyDer::try_from(key.serialize_der()).expect("key");
    let provider = Arc::new(rustls::crypto::ring::default_provider());
    let config = rustls::ServerConfig::builder_with_provider(provider)
        .with_safe_default_protocol_versions()
        .expect("versions")
        .with_no_client_auth()
        .with_single_cert(vec![cert.der().clone()], key)
        .expect("server");
    let acceptor = TlsAcceptor::from(Arc::new(config));
    let listener = TcpListener::bind("127.0.0.1:0").await.expect("bound");
    let port = listener.local_addr().expect("address").port();
    tokio::spawn(async move {
        while let Ok((stream, _)) = listener.accept().await {
            let Ok(mut stream) = acceptor.accept(stream).await else { continue };
            let mut asked = [0; 4096];
            let _ = stream.read(&mut asked).await;
            let _ = stream.write_all(b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok").await;
            let _ = stream.shutdown().await;
        }
    });
    (port, cert.pem())
}

#[tokio::test]
async fn an_untrusted_certificate_is_told_with_its_end() {
    let (port, pem) = secure((4000, 1, 1)).await;
    let dir = tempfile::tempdir().expect("folder");
    let (own, other) = (dir.path().join("own.pem"), dir.path().join("other.pem"));
    std::fs::write(&own, &pem).expect("written");
    std::fs::write(&other, secure((4000, 1, 1)).await.1).expect("written");

    let seen = ask(port, &format!(r#","tls":true,"ca_file":"{}""#, other.display())).await;
    assert!(!text(&seen, "tls_error").is_empty(), "{seen:?}");
    assert_eq!(text(&seen, "http"), "invalid", "no request goes to a peer that is not trusted: {seen:?}");
    assert!(number(&seen, "tls_days_left") > 1000.0);

    let seen = ask(port, &format!(r#","tls":true,"ca_file":"{}""#, own.display())).await;
    assert_eq!((number(&seen, "http"), text(&seen, "tls_error")), (200.0, String::new()), "{seen:?}");
}

#[tokio::test]
async fn days_left_count_down_to_and_below_zero() {
    let end = Timestamp::from_rfc3339("2026-12-01T00:00:00Z").expect("instant");
    assert!(end.as_secs() > NOW_S);
    let (port, _) = secure((2026, 12, 1)).await;
    let mut env = plain_env();
    for (now, days) in [
        ("2026-11-21T00:00:00Z", 10.0),
        ("2026-11-30T23:59:59Z", 0.0),
        ("2026-12-01T00:00:01Z", -1.0),
        ("2026-12-11T00:00:00Z", -10.0),
    ] {
        env.clock = crate::clock::Clock::manual(Timestamp::from_rfc3339(now).expect("instant"));
        let params = format!(r#"{{"port":{port},"tls":true,"insecure":true}}"#);
        let probe: Arc<dyn ErasedProbe> = build("http", &params, &env).expect("built");
        let seen = probe.run(&target("127.0.0.1"), within(5000)).await.expect("observed");
        assert_eq!(number(&seen, "tls_days_left"), days, "at {now}");
        assert_eq!(number(&seen, "http"), 200.0);
    }
}

#[tokio::test]
async fn a_port_that_speaks_no_tls_is_a_tls_error() {
    let port = plain(b"HTTP/1.1 400 Bad\r\n\r\n".to_vec()).await;
    let seen = ask(port, r#","tls":true,"insecure":true"#).await;
    assert!(!text(&seen, "tls_error").is_empty(), "{seen:?}");
    assert_eq!(text(&seen, "port"), "open");
}

#[test]
fn impossible_parameters_are_refused() {
    for params in [
        r#"{"path":"x"}"#,
        r#"{"path":"/a b"}"#,
        r#"{"method":"G T"}"#,
        r#"{"expect":"("}"#,
        r#"{"headers":{"a b":"c"}}"#,
        r#"{"headers":{"a":"b\r\nc: d"}}"#,
        r#"{"tls":true,"ca_file":"/no/such/file"}"#,
        r#"{"port":0}"#,
        r#"{"url":"http://x"}"#,
    ] {
        assert!(build("http", params, &plain_env()).is_err(), "{params}");
    }
}
