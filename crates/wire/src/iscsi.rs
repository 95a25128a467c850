//! `iscsiadm -m session -P 3` (iscsiadm(8)): sessions of this host by target and portal, and the disks behind them.

/// One session.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Session {
    /// Number of the session.
    pub id: String,
    /// `iqn.2010-06.com.example:a`
    pub target: String,
    /// `192.0.2.31:3260`
    pub portal: String,
    /// Of the session: `LOGGED_IN`, `FAILED`, `FREE`.
    pub state: String,
    /// Of its connection, where it is told: `LOGGED IN`, `IN LOGIN`, `FREE`, …
    pub connection: String,
    /// Disks with their states: `running`, `transport-offline`, `blocked`.
    pub disks: Vec<(String, String)>,
}

/// What becomes of a session.
#[derive(Clone, Copy, Debug, Eq, Ord, PartialEq, PartialOrd)]
pub enum Standing {
    LoggedIn,
    /// The connection is gone and is being made anew: I/O waits.
    Recovering,
    /// Given up: I/O fails.
    Failed,
}

impl Standing {
    pub fn word(self) -> &'static str {
        match self {
            Standing::LoggedIn => "logged_in",
            Standing::Recovering => "recovering",
            Standing::Failed => "failed",
        }
    }
}

impl Session {
    /// The kernel calls a session FAILED as soon as its connection is gone; its disks stand still (`blocked`) until
    /// `recovery_tmo` is over, and are `transport-offline` then.
    pub fn standing(&self) -> Standing {
        let given_up = self.disks.iter().any(|(_, state)| matches!(state.as_str(), "transport-offline" | "offline"));
        let state = self.state.replace(' ', "_").to_uppercase();
        let connection = self.connection.replace(' ', "_").to_uppercase();
        match state.as_str() {
            "FREE" => Standing::Failed,
            _ if given_up => Standing::Failed,
            "LOGGED_IN" | "" if matches!(connection.as_str(), "LOGGED_IN" | "UP" | "") && !state.is_empty() => {
                Standing::LoggedIn
            }
            "LOGGED_IN" if !matches!(connection.as_str(), "FAILED" | "FREE" | "DOWN") => Standing::LoggedIn,
            _ => Standing::Recovering,
        }
    }
}

/// Reads the print of level 1, 2 or 3; lines that are not known are passed over.
pub fn parse_sessions(text: &str) -> Vec<Session> {
    let mut sessions: Vec<Session> = Vec::new();
    let (mut target, mut portal) = (String::new(), String::new());
    for line in text.lines() {
        let line = line.trim();
        if let Some(name) = line.strip_prefix("Target: ") {
            target = name.split_whitespace().next().unwrap_or_default().to_owned();
        } else if let Some(at) = line.strip_prefix("Current Portal: ") {
            // The portal group stands behind a comma.
            portal = at.split(',').next().unwrap_or_default().to_owned();
        } else if let Some(id) = line.strip_prefix("SID: ") {
            let (target, portal) = (target.clone(), portal.clone());
            sessions.push(Session { id: id.to_owned(), target, portal, ..Session::default() });
        } else if let Some(session) = sessions.last_mut().filter(|session| session.target == target) {
            detail(line, session);
        }
    }
    sessions
}

fn detail(line: &str, session: &mut Session) {
    if let Some(state) = line.strip_prefix("iSCSI Session State: ") {
        session.state = state.to_owned();
    } else if let Some(state) = line.strip_prefix("iSCSI Connection State: ") {
        session.connection = state.to_owned();
    } else if let Some(rest) = line.strip_prefix("Attached scsi disk ") {
        let mut words = rest.split_whitespace();
        let disk = words.next().unwrap_or_default().to_owned();
        let state = words.skip_while(|word| *word != "State:").nth(1).unwrap_or_default().to_owned();
        session.disks.push((disk, state));
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    /// Hand-written after open-iscsi's session_info.c: one target by two portals, one of them gone.
    const PRINT: &str = "iSCSI Transport Class version 2.0-870\nversion 2.1.8\nTarget: iqn.2010-06.com.example:a (non-flash)\n\
        \tCurrent Portal: 192.0.2.31:3260,1\n\tPersistent Portal: 192.0.2.31:3260,1\n\t\t**********\n\t\tInterface:\n\t\t**********\n\
        \t\tIface Name: default\n\t\tSID: 1\n\t\tiSCSI Connection State: LOGGED IN\n\t\tiSCSI Session State: LOGGED_IN\n\
        \t\tInternal iscsid Session State: NO CHANGE\n\t\tHost Number: 3\tState: running\n\t\tscsi3 Channel 00 Id 0 Lun: 0\n\
        \t\t\tAttached scsi disk sdb\t\tState: running\n\tCurrent Portal: [2001:db8::1]:3260,2\n\t\tSID: 2\n\
        \t\tiSCSI Connection State: TRANSPORT WAIT\n\t\tiSCSI Session State: FAILED\n\t\tInternal iscsid Session State: REOPEN\n\
        \t\t\tAttached scsi disk sdc\t\tState: transport-offline\nTarget: iqn.2010-06.com.example:b (non-flash)\n\
        \tCurrent Portal: 192.0.2.31:3260,1\n\t\tSID: 3\n\t\tiSCSI Connection State: TRANSPORT WAIT\n\t\tiSCSI Session State: FAILED\n\
        \t\t\tAttached scsi disk sdd\t\tState: blocked\n";

    #[test]
    fn sessions_are_read_with_their_disks() {
        let told: Vec<(String, String, &str, usize)> = parse_sessions(PRINT)
            .into_iter()
            .map(|one| (one.target.clone(), one.portal.clone(), one.standing().word(), one.disks.len()))
            .collect();
        let expected = [
            ("iqn.2010-06.com.example:a", "192.0.2.31:3260", "logged_in", 1),
            ("iqn.2010-06.com.example:a", "[2001:db8::1]:3260", "failed", 1),
            ("iqn.2010-06.com.example:b", "192.0.2.31:3260", "recovering", 1),
        ];
        assert_eq!(
            told,
            expected.map(|(target, portal, word, disks)| (target.to_owned(), portal.to_owned(), word, disks))
        );
    }

    #[test]
    fn only_a_session_that_says_so_is_logged_in() {
        for (state, connection, standing) in [
            ("LOGGED_IN", "", Standing::LoggedIn),
            ("LOGGED_IN", "LOGGED IN", Standing::LoggedIn),
            ("LOGGED_IN", "up", Standing::LoggedIn),
            ("LOGGED_IN", "failed", Standing::Recovering),
            ("FAILED", "LOGGED IN", Standing::Recovering),
            ("FREE", "", Standing::Failed),
            ("", "", Standing::Recovering),
        ] {
            let session = Session { state: state.into(), connection: connection.into(), ..Session::default() };
            assert_eq!(session.standing(), standing, "{state} {connection}");
        }
    }

    proptest! {
        #[test]
        fn no_text_panics(text in "(Target: |Current Portal: |SID: |State: |Attached scsi disk |iqn.a|,1|\n|\t|\\PC){0,60}") {
            let _ = parse_sessions(&text).iter().map(Session::standing).max();
        }
    }
}
