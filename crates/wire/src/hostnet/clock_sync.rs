//! What keeps a host's clock right, as it says itself: `chronyc -n -c tracking` and `sources`, `ntpq -c rv`,
//! `timedatectl show-timesync`.

/// How well the clock is kept.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Sync {
    pub synchronised: bool,
    /// The server that is followed; empty while there is none.
    pub source: String,
    /// 16 and 0 mean unsynchronised (RFC 5905).
    pub stratum: Option<u64>,
    /// Seconds that the clock is off, as far as the daemon knows; positive = ahead.
    pub offset_s: Option<f64>,
    /// Announced leap second: `none`, `insert`, `delete`; `unknown` where the clock is not synchronised.
    pub leap: String,
    pub root_delay_s: Option<f64>,
    pub root_dispersion_s: Option<f64>,
    /// How wrong the oscillator is.
    pub frequency_ppm: Option<f64>,
}

/// Servers that the daemon asks.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Sources {
    pub total: usize,
    /// Answered lately.
    pub reachable: usize,
    /// Taken into account: neither wrong nor too variable.
    pub usable: usize,
    /// Told wrong time (`x`).
    pub falsetickers: Vec<String>,
}

fn leap_of(word: &str) -> &'static str {
    match word {
        "Normal" | "0" | "00" => "none",
        "Insert second" | "1" | "01" => "insert",
        "Delete second" | "2" | "10" => "delete",
        _ => "unknown",
    }
}

fn finite(text: &str) -> Option<f64> {
    text.trim().parse::<f64>().ok().filter(|number| number.is_finite())
}

/// One line of `chronyc -n -c tracking`; `None` if it is none.
pub fn chrony_tracking(text: &str) -> Option<Sync> {
    let line = text.lines().find(|line| line.matches(',').count() >= 13)?;
    let fields: Vec<&str> = line.trim().split(',').collect();
    let at = |index: usize| fields.get(index).copied().unwrap_or_default();
    let stratum: u64 = at(2).parse().ok()?;
    let leap = leap_of(at(13));
    let reference = u32::from_str_radix(at(0), 16).unwrap_or(0);
    let synchronised = leap != "unknown" && stratum > 0 && stratum < 16 && reference != 0;
    Some(Sync {
        synchronised,
        // A clock that follows only itself has the address 127.127.1.1 as its reference.
        source: if synchronised { at(1).to_owned() } else { String::new() },
        stratum: Some(stratum),
        // chrony tells how far the system is behind (positive: slow): the other way round than everybody else.
        offset_s: finite(at(4)).map(|behind| 0.0 - behind),
        leap: leap.to_owned(),
        root_delay_s: finite(at(10)),
        root_dispersion_s: finite(at(11)),
        frequency_ppm: finite(at(7)),
    })
}

/// `chronyc -n -c sources`.
pub fn chrony_sources(text: &str) -> Sources {
    let mut sources = Sources::default();
    for line in text.lines() {
        let fields: Vec<&str> = line.trim().split(',').collect();
        let [_, state, name, _, _, reach, ..] = fields.as_slice() else { continue };
        sources.total += 1;
        if u32::from_str_radix(reach, 8).is_ok_and(|reach| reach != 0) {
            sources.reachable += 1;
        }
        match *state {
            "*" | "+" | "-" => sources.usable += 1,
            "x" => sources.falsetickers.push((*name).to_owned()),
            _ => {}
        }
    }
    sources
}

/// `ntpq -n -c rv`: `name=value` pairs, separated by commas.
pub fn ntpq_variables(text: &str) -> Option<Sync> {
    let value = |name: &str| {
        let pairs = text.split([',', '\n']).filter_map(|pair| pair.trim().split_once('='));
        pairs.filter(|(key, _)| *key == name).map(|(_, value)| value.trim().trim_matches('"')).next_back()
    };
    let stratum: u64 = value("stratum")?.parse().ok()?;
    let leap = leap_of(value("leap").unwrap_or_default());
    let ms = |name: &str| value(name).and_then(finite).map(|ms| ms / 1000.0);
    let synchronised = leap != "unknown" && stratum > 0 && stratum < 16 && !text.contains("sync_unspec");
    Some(Sync {
        synchronised,
        source: if synchronised { value("refid").unwrap_or_default().to_owned() } else { String::new() },
        stratum: Some(stratum),
        // How much must be added to the clock: it is behind by that.
        offset_s: ms("offset").map(|behind| 0.0 - behind),
        leap: leap.to_owned(),
        root_delay_s: ms("rootdelay"),
        root_dispersion_s: ms("rootdisp"),
        frequency_ppm: value("frequency").and_then(finite),
    })
}

/// `timedatectl show-timesync` and `timedatectl show` together: systemd tells whether the clock is synchronised and by whom,
/// not by how much it is off.
pub fn timesyncd(show: &str, show_timesync: &str) -> Option<Sync> {
    let value = |text: &str, name: &str| {
        text.lines().find_map(|line| line.strip_prefix(name)?.strip_prefix('=').map(str::to_owned))
    };
    let synchronised = value(show, "NTPSynchronized")? == "yes";
    let message = value(show_timesync, "NTPMessage").unwrap_or_default();
    let inside = |name: &str| {
        let pairs = message.trim_matches(['{', '}', ' ']).split(',');
        pairs
            .filter_map(|pair| pair.trim().split_once('='))
            .find(|(key, _)| *key == name)
            .map(|(_, value)| value.to_owned())
    };
    let server = value(show_timesync, "ServerAddress").or_else(|| value(show_timesync, "ServerName"));
    Some(Sync {
        synchronised,
        source: server.unwrap_or_default(),
        stratum: inside("Stratum").and_then(|stratum| stratum.parse().ok()),
        offset_s: None,
        leap: inside("Leap").map_or("unknown", |leap| leap_of(&leap)).to_owned(),
        ..Sync::default()
    })
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn chrony_that_follows_a_server_is_synchronised() {
        let line = "C0A80101,192.168.1.1,3,1795226400.123456789,0.001234000,0.000200000,0.000150000,-12.345,0.002,0.034,0.012,0.003,64.2,Normal\n";
        let sync = chrony_tracking(line).expect("read");
        assert!(sync.synchronised);
        assert_eq!((sync.source.as_str(), sync.stratum, sync.leap.as_str()), ("192.168.1.1", Some(3), "none"));
        assert_eq!((sync.offset_s, sync.root_delay_s), (Some(-0.001_234), Some(0.012)));
        let lost = "00000000,,0,0.0,0.000000000,0.0,0.0,0.0,0.0,0.0,1.0,1.0,0.0,Not synchronised\n";
        let sync = chrony_tracking(lost).expect("read");
        assert_eq!((sync.synchronised, sync.leap.as_str(), sync.source.as_str()), (false, "unknown", ""));
        for bad in ["", "506 Cannot talk to daemon\n", "a,b,c", "x,y,z,0,0,0,0,0,0,0,0,0,0,Normal"] {
            assert_eq!(chrony_tracking(bad), None, "{bad}");
        }
    }

    #[test]
    fn sources_of_chrony_are_counted_by_what_they_are_worth() {
        let text = "^,*,192.0.2.1,2,6,377,23,0.000012,0.000014,0.01\n^,x,192.0.2.2,2,6,377,23,5.0,5.0,0.01\n\
                    ^,?,192.0.2.3,0,6,0,4294967295,0.0,0.0,0.0\n^,-,192.0.2.4,2,6,1,2,0.0,0.0,0.0\n";
        let sources = chrony_sources(text);
        assert_eq!((sources.total, sources.reachable, sources.usable), (4, 3, 2));
        assert_eq!(sources.falsetickers, ["192.0.2.2"]);
    }

    #[test]
    fn ntpd_tells_in_milliseconds() {
        let text = "associd=0 status=0615 leap_none, sync_ntp, 1 event, clock_sync,\nversion=\"ntpd 4.2.8p15\", \
                    system=\"Linux\", leap=00, stratum=3, precision=-24, rootdelay=12.5, rootdisp=30.0, refid=192.0.2.1,\n\
                    offset=2.500, frequency=-11.2, sys_jitter=0.2\n";
        let sync = ntpq_variables(text).expect("read");
        assert_eq!((sync.synchronised, sync.offset_s, sync.source.as_str()), (true, Some(-0.002_5), "192.0.2.1"));
        let lost = "associd=0 status=c016 leap_alarm, sync_unspec, 1 event, restart,\nleap=11, stratum=16, refid=INIT, offset=0.0\n";
        assert!(!ntpq_variables(lost).expect("read").synchronised);
    }

    #[test]
    fn timesyncd_tells_whether_and_by_whom() {
        let show = "Timezone=Etc/UTC\nNTP=yes\nNTPSynchronized=yes\n";
        let timesync = "ServerName=ntp.example\nServerAddress=192.0.2.9\nNTPMessage={ Leap=0, Version=4, Mode=4, Stratum=2, \
                        Precision=-25, RootDelay=1ms, Ignored=no }\n";
        let sync = timesyncd(show, timesync).expect("read");
        assert_eq!((sync.synchronised, sync.source.as_str(), sync.stratum), (true, "192.0.2.9", Some(2)));
        assert_eq!(sync.leap, "none");
        assert!(!timesyncd("NTPSynchronized=no\n", "").expect("read").synchronised);
        assert_eq!(timesyncd("", ""), None);
    }

    proptest! {
        #[test]
        fn any_text_is_read_without_panic(text in "\\PC{0,300}", csv in "[0-9a-fx,*+?.\n-]{0,200}") {
            for text in [&text, &csv] {
                let _ = (chrony_tracking(text), chrony_sources(text), ntpq_variables(text), timesyncd(text, text));
            }
        }
    }
}
