//! `/proc/net/route` and `/proc/net/ipv6_route`: the routes that are in force.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

/// A route to somewhere.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct Route {
    pub to: IpAddr,
    /// Length of the prefix; 0 is the default route.
    pub prefix: u8,
    /// `None` = directly connected.
    pub via: Option<IpAddr>,
    pub interface: String,
    pub metric: u32,
}

/// `RTF_UP`, `RTF_GATEWAY`, `RTF_REJECT` of linux/route.h.
const UP: u32 = 0x1;
const GATEWAY: u32 = 0x2;
const REJECT: u32 = 0x200;

impl Route {
    pub fn is_default(&self) -> bool {
        self.prefix == 0
    }

    /// `10.0.0.0/8`
    pub fn destination(&self) -> String {
        format!("{}/{}", self.to, self.prefix)
    }
}

/// Routes of IPv4 that are up and lead somewhere.
pub fn parse_v4(text: &str) -> Vec<Route> {
    text.lines().filter_map(v4).collect()
}

/// `Iface Destination Gateway Flags RefCnt Use Metric Mask …`, addresses as the bytes lie in memory.
fn v4(line: &str) -> Option<Route> {
    let fields: Vec<&str> = line.split_whitespace().collect();
    let address = |index: usize| {
        let number = u32::from_str_radix(fields.get(index)?, 16).ok()?;
        Some(Ipv4Addr::from(number.to_ne_bytes()))
    };
    let flags = u32::from_str_radix(fields.get(3)?, 16).ok()?;
    let (to, gateway, mask) = (address(1)?, address(2)?, address(7)?);
    (flags & UP != 0 && flags & REJECT == 0).then_some(())?;
    Some(Route {
        to: to.into(),
        prefix: u8::try_from(u32::from(mask).count_ones()).ok()?,
        via: (flags & GATEWAY != 0).then_some(gateway.into()),
        interface: (*fields.first()?).to_owned(),
        metric: fields.get(6)?.parse().ok()?,
    })
}

/// Routes of IPv6 that are up and lead somewhere; those of the loopback and multicast are left out.
pub fn parse_v6(text: &str) -> Vec<Route> {
    text.lines().filter_map(v6).collect()
}

/// `destination prefix source prefix next-hop metric refcount use flags interface`, all in hexadecimal.
fn v6(line: &str) -> Option<Route> {
    let fields: Vec<&str> = line.split_whitespace().collect();
    let address = |index: usize| u128::from_str_radix(fields.get(index)?, 16).ok().map(Ipv6Addr::from);
    let (to, via) = (address(0)?, address(4)?);
    let flags = u32::from_str_radix(fields.get(8)?, 16).ok()?;
    let interface = *fields.get(9)?;
    (flags & UP != 0 && flags & REJECT == 0 && interface != "lo" && !to.is_multicast()).then_some(())?;
    Some(Route {
        to: to.into(),
        prefix: u8::from_str_radix(fields.get(1)?, 16).ok().filter(|prefix| *prefix <= 128)?,
        via: (flags & GATEWAY != 0 && !via.is_unspecified()).then_some(via.into()),
        interface: interface.to_owned(),
        metric: u32::from_str_radix(fields.get(5)?, 16).ok()?,
    })
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    const V4: &str = "Iface\tDestination\tGateway \tFlags\tRefCnt\tUse\tMetric\tMask\t\tMTU\tWindow\tIRTT\n\
        eth0\t00000000\t0102A8C0\t0003\t0\t0\t100\t00000000\t0\t0\t0\n\
        eth0\t0002A8C0\t00000000\t0001\t0\t0\t100\t00FFFFFF\t0\t0\t0\n\
        *\t0000000A\t00000000\t0200\t0\t0\t0\t000000FF\t0\t0\t0\n";
    const V6: &str = "\
20010db8000000000000000000000000 40 00000000000000000000000000000000 00 00000000000000000000000000000000 00000100 00000001 00000000 00000001     eth0
00000000000000000000000000000000 00 00000000000000000000000000000000 00 fe800000000000000000000000000001 00000400 00000001 00000000 00000003     eth0
00000000000000000000000000000000 00 00000000000000000000000000000000 00 00000000000000000000000000000000 ffffffff 00000001 00000000 00200200       lo
ff000000000000000000000000000000 08 00000000000000000000000000000000 00 00000000000000000000000000000000 00000100 00000002 00000000 00000001     eth0
";

    #[cfg(target_endian = "little")]
    #[test]
    fn routes_read_as_ip_route_shows_them() {
        let routes = parse_v4(V4);
        let brief: Vec<(String, Option<String>)> =
            routes.iter().map(|r| (r.destination(), r.via.map(|via| via.to_string()))).collect();
        assert_eq!(
            brief,
            [("0.0.0.0/0".to_owned(), Some("192.168.2.1".to_owned())), ("192.168.2.0/24".to_owned(), None)]
        );
        assert!(routes[0].is_default());
    }

    #[test]
    fn reject_routes_and_multicast_lead_nowhere() {
        let routes = parse_v6(V6);
        let brief: Vec<String> = routes.iter().map(Route::destination).collect();
        assert_eq!(brief, ["2001:db8::/64", "::/0"]);
        assert_eq!(routes[1].via, Some("fe80::1".parse().expect("an address")));
    }

    proptest! {
        #[test]
        fn any_text_is_read_without_panic(text in "\\PC{0,200}", words in "[0-9a-f \t\n]{0,300}") {
            let _ = (parse_v4(&text), parse_v6(&text), parse_v4(&words), parse_v6(&words));
        }
    }
}
