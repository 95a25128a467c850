//! Ranges, and a search among services on loopback.

use std::collections::BTreeMap;
use std::net::IpAddr;
use std::time::Duration;

use futures_util::StreamExt;
use proptest::prelude::*;
use stentor_wire::ipmi::packet::{self, Frame};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, UdpSocket};

use super::range::{Range, RangeError};
use super::{Found, PORTS, Place, Wish, discover};
use crate::Network;
use crate::clock::Clock;

fn addresses(text: &str) -> Vec<String> {
    let range = Range::parse(text, 4096).unwrap_or_else(|error| panic!("{error}"));
    range.addresses().iter().map(IpAddr::to_string).collect()
}

#[test]
fn ranges_are_their_usable_addresses() {
    assert_eq!(addresses("10.0.1.77/30"), ["10.0.1.77", "10.0.1.78"]);
    assert_eq!(addresses("10.0.1.4/31"), ["10.0.1.4", "10.0.1.5"]);
    assert_eq!(addresses("10.0.1.4/32"), ["10.0.1.4"]);
    assert_eq!(addresses("10.0.1.4"), ["10.0.1.4"]);
    assert_eq!(addresses("10.0.1.0/24").len(), 254);
    assert_eq!(addresses("255.255.255.255/32"), ["255.255.255.255"]);
    assert_eq!(addresses("2001:db8::9/127"), ["2001:db8::8", "2001:db8::9"]);
    assert_eq!(Range::parse("web-1.example", 1), Ok(Range::Name("web-1.example".into())));
}

#[test]
fn what_is_too_much_or_no_range_is_refused() {
    for text in ["10.0.0.0/8", "0.0.0.0/0", "2001:db8::/64", "::/0"] {
        assert!(matches!(Range::parse(text, 4096), Err(RangeError::TooMany { .. })), "{text}");
    }
    for text in
        ["", "10.0.0", "10.0.0.0/33", "10.0.0.0/-1", "10.0.0.0/x", "::/129", "a b", "-x", "a..b", "web/24", "1.2.3.400"]
    {
        assert!(matches!(Range::parse(text, 4096), Err(RangeError::Unreadable(_))), "{text}");
    }
}

proptest! {
    #[test]
    fn no_target_makes_it_panic_or_exceed_the_limit(text in "[0-9a-f.:/]{0,24}", max in 0u64..5000) {
        if let Ok(range) = Range::parse(&text, max) {
            prop_assert!(range.addresses().len() as u64 <= max.max(1));
        }
    }
}

/// Sends `banner` to whoever connects, and `answer` to whoever asks.
async fn speaker(banner: &'static str, answer: &'static str) -> u16 {
    let listener = TcpListener::bind("127.0.0.1:0").await.expect("bound");
    let port = listener.local_addr().expect("an address").port();
    tokio::spawn(async move {
        while let Ok((mut stream, _)) = listener.accept().await {
            tokio::spawn(async move {
                let mut asked = [0; 2048];
                let _ = stream.write_all(banner.as_bytes()).await;
                while stream.read(&mut asked).await.is_ok_and(|n| n > 0) {
                    if stream.write_all(answer.as_bytes()).await.is_err() || answer.starts_with("HTTP") {
                        break;
                    }
                }
            });
        }
    });
    port
}

/// A controller's RMCP listener that answers presence pings only.
async fn ponger() -> u16 {
    let socket = UdpSocket::bind("127.0.0.1:0").await.expect("bound");
    let port = socket.local_addr().expect("an address").port();
    tokio::spawn(async move {
        let mut datagram = [0; 512];
        while let Ok((length, from)) = socket.recv_from(&mut datagram).await {
            if let Ok(Frame::Asf(body)) = packet::decode(&datagram[..length])
                && let Some(pong) = packet::encode_pong(body)
            {
                let _ = socket.send_to(&pong, from).await;
            }
        }
    });
    port
}

/// All ports closed but those.
async fn search(open: &[(&str, u16)]) -> Found {
    let closed = TcpListener::bind("127.0.0.1:0").await.expect("bound").local_addr().expect("an address").port();
    let mut ports: BTreeMap<String, u16> = PORTS.iter().map(|(name, _)| ((*name).to_owned(), closed)).collect();
    ports.extend(open.iter().map(|(name, port)| ((*name).to_owned(), *port)));
    let wish = Wish {
        net: Network::real(),
        clock: Clock::Machine,
        ports,
        patience: Duration::from_secs(2),
        at_once: 4,
        per_second: 1000,
        bmc_login: None,
        community_file: None,
    };
    let place = Place { name: "h".into(), address: IpAddr::from([127, 0, 0, 1]) };
    let found: Vec<Found> = discover(&wish, vec![place]).collect().await;
    found.into_iter().next().expect("one place, one finding")
}

const HEARTBEAT: &str = "HTTP/1.1 200 OK\r\nConnection: close\r\n\r\n\
    name=eucalyptus           enabled=true       local=true       initialized=true      \n\
    name=storage              enabled=false      local=true       initialized=true      \n\
    name=walrusbackend        enabled=true       local=false      initialized=true      \n";

#[tokio::test]
async fn services_are_told_by_what_they_say_not_by_their_port() {
    let ssh = speaker("SSH-2.0-OpenSSH_9.2p1 Debian-2\r\n", "").await;
    let mail = speaker("220 mail.example ESMTP\r\n", "250 mail.example\r\n").await;
    let mute = speaker("", "").await;
    let hearts = speaker("", HEARTBEAT).await;
    let cluster = speaker("", "HTTP/1.1 200 OK\r\nConnection: close\r\n\r\n<h2>EucalyptusCC</h2>").await;
    let keystone = speaker("", "HTTP/1.1 200 OK\r\nConnection: close\r\n\r\n{\"version\": {\"id\": \"v3.14\"}}").await;
    let found = search(&[
        ("ssh", ssh),
        ("smtp", mail),
        ("imap", mute),
        ("eucalyptus", hearts),
        ("eucalyptus_cc", cluster),
        ("nova", cluster),
        ("keystone", keystone),
        ("ipmi", ponger().await),
    ])
    .await;
    let services: Vec<&str> = found.services.iter().map(|service| service.name).collect();
    assert_eq!(services, ["ssh", "smtp"], "{found:#?}");
    let components: Vec<&str> = found.components.iter().map(|component| component.key).collect();
    assert_eq!(components, ["clc", "sc", "cc"], "local ones: {found:#?}");
    let webs: Vec<&str> = found.webs.iter().map(|web| web.what).collect();
    assert_eq!(webs, ["OpenStack Keystone"], "8774 is no Nova here: {found:#?}");
    let bmc = found.bmc.expect("a controller");
    assert_eq!((bmc.ipmi_port.is_some(), bmc.is_ipmi_20, bmc.redfish_port), (true, false, None));
}

#[tokio::test]
async fn an_address_without_services_has_none() {
    let found = search(&[]).await;
    assert!(
        found.services.is_empty() && found.webs.is_empty() && found.components.is_empty() && found.bmc.is_none(),
        "{found:#?}"
    );
}
