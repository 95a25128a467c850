//! A member of a clustered OVN database as `ovn-appctl … cluster/status` tells it: its role, the leader it knows, its peers.

/// Members that are read; a cluster has three, five at most.
const SERVERS_MAX: usize = 64;

/// A peer is taken for gone when it was silent for so many election timers: by then its own followers elect anew (raft.c).
const SILENT_TIMERS: u64 = 2;

#[derive(Clone, Debug, Eq, PartialEq, thiserror::Error)]
pub enum OvnError {
    /// The database is one by itself: raft's commands are not there.
    #[error("the database is in no cluster")]
    Alone,
    /// The server serves another database.
    #[error("this server does not serve the database")]
    OtherDatabase,
    #[error("nobody answers at its control socket")]
    Silent,
    #[error("it is no answer of cluster/status: no `{0}`")]
    Half(&'static str),
}

/// Its part in the election.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum Role {
    Leader,
    Follower,
    Candidate,
}

/// Whether it takes part.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum Membership {
    Member,
    Joining,
    Leaving,
    Left,
    Failed,
    /// It stands for election and nobody elects it.
    Disconnected,
}

/// A server as the one that was asked lists it.
#[derive(Clone, Debug, Default, Eq, PartialEq)]
pub struct Server {
    pub id: String,
    pub address: String,
    pub is_self: bool,
    /// Silence since its last message; `None`: it has sent none.
    pub silent_ms: Option<u64>,
}

/// The answer of one member.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct Member {
    pub database: String,
    pub membership: Membership,
    pub role: Role,
    /// `self`, a server's id, or `None`.
    pub leader: Option<String>,
    pub term: u64,
    pub election_timer_ms: u64,
    pub uncommitted: u64,
    pub servers: Vec<Server>,
}

impl Membership {
    pub const fn word(self) -> &'static str {
        match self {
            Membership::Member => "member",
            Membership::Joining => "joining",
            Membership::Leaving => "leaving",
            Membership::Left => "left",
            Membership::Failed => "failed",
            Membership::Disconnected => "disconnected",
        }
    }

    fn read(text: &str) -> Option<Membership> {
        Some(match text {
            "cluster member" => Membership::Member,
            "joining cluster" => Membership::Joining,
            "leaving cluster" => Membership::Leaving,
            "left cluster" => Membership::Left,
            "failed" => Membership::Failed,
            text if text.starts_with("disconnected from the cluster") => Membership::Disconnected,
            _ => return None,
        })
    }
}

impl Role {
    pub const fn word(self) -> &'static str {
        match self {
            Role::Leader => "leader",
            Role::Follower => "follower",
            Role::Candidate => "candidate",
        }
    }

    fn read(text: &str) -> Option<Role> {
        [Role::Leader, Role::Follower, Role::Candidate].into_iter().find(|role| role.word() == text)
    }
}

impl Member {
    /// Reads what the tool printed.
    ///
    /// # Errors
    /// The server has no such cluster, does not answer, or the answer is half.
    pub fn read(stdout: &str, stderr: &str) -> Result<Member, OvnError> {
        let field = |name: &'static str| {
            let line = stdout.lines().find_map(|line| line.strip_prefix(name)?.strip_prefix(": "));
            line.map(str::trim).ok_or(OvnError::Half(name))
        };
        let status = match field("Status") {
            Ok(status) => status,
            Err(_) if stderr.contains("is not a valid command") => return Err(OvnError::Alone),
            Err(_) if stderr.contains("unknown cluster") => return Err(OvnError::OtherDatabase),
            Err(_) if stderr.contains("cannot connect to") => return Err(OvnError::Silent),
            Err(half) => return Err(half),
        };
        // `Election timer: 1000 (changing to 2000)`
        let number = |name| Ok(field(name)?.split_whitespace().next().and_then(|word| word.parse().ok()));
        Ok(Member {
            database: field("Name")?.to_owned(),
            membership: Membership::read(status).ok_or(OvnError::Half("Status"))?,
            role: Role::read(field("Role")?).ok_or(OvnError::Half("Role"))?,
            leader: Some(field("Leader")?).filter(|leader| *leader != "unknown").map(str::to_owned),
            term: number("Term")?.ok_or(OvnError::Half("Term"))?,
            election_timer_ms: number("Election timer")?.ok_or(OvnError::Half("Election timer"))?,
            uncommitted: number("Entries not yet committed")?.ok_or(OvnError::Half("Entries not yet committed"))?,
            servers: servers(stdout)?,
        })
    }

    /// Whether it takes part and knows a leader: only then it can write, or pass on what is written.
    pub fn has_leader(&self) -> bool {
        self.membership == Membership::Member && self.leader.is_some()
    }

    /// Peers that say nothing any more. Only the leader hears all others all the time; for the others it is `None`.
    pub fn gone(&self) -> Option<Vec<&Server>> {
        let silent_max = self.election_timer_ms.saturating_mul(SILENT_TIMERS);
        let is_gone = |server: &&Server| !server.is_self && server.silent_ms.is_none_or(|ms| ms > silent_max);
        (self.role == Role::Leader).then(|| self.servers.iter().filter(is_gone).collect())
    }

    /// How many more may fail before no majority is left.
    pub fn may_fail(&self) -> Option<usize> {
        let there = self.servers.len().checked_sub(self.gone()?.len())?;
        Some(there.saturating_sub(self.servers.len() / 2 + 1))
    }
}

/// `    92d3 (92d3 at tcp:192.0.2.1:6643) (self) next_index=2 match_index=4 last msg 278 ms ago`
fn servers(stdout: &str) -> Result<Vec<Server>, OvnError> {
    let mut lines = stdout.lines().skip_while(|line| !line.starts_with("Servers:"));
    lines.next().ok_or(OvnError::Half("Servers"))?;
    let server = |line: &str| {
        let (id, rest) = line.trim().split_once(" (")?;
        let (place, after) = rest.split_once(')')?;
        let silent =
            after.split_once("last msg ").and_then(|(_, silent)| silent.split_whitespace().next()?.parse().ok());
        Some(Server {
            id: id.to_owned(),
            address: place.split_once(" at ").map_or("", |(_, address)| address).to_owned(),
            is_self: after.contains("(self)"),
            silent_ms: silent,
        })
    };
    let mut servers: Vec<Server> = lines
        .take_while(|line| line.starts_with(' '))
        .take(SERVERS_MAX)
        .map(|line| server(line).ok_or(OvnError::Half("Servers")))
        .collect::<Result<_, _>>()?;
    // The server keeps them in a hash table.
    servers.sort_by(|a, b| (&a.address, &a.id).cmp(&(&b.address, &b.id)));
    Ok(servers)
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    macro_rules! printed {
        ($name:literal) => {
            include_str!(concat!("../tests/data/ovn/", $name, ".txt"))
        };
    }

    fn read(text: &str) -> Member {
        Member::read(text, "").expect("a status")
    }

    /// What real servers printed; see the folder's README.
    #[test]
    fn a_real_cluster_is_read_as_it_loses_its_members() {
        for (text, role, has_leader, gone, may_fail) in [
            (printed!("leader"), Role::Leader, true, Some(0), Some(1)),
            (printed!("follower"), Role::Follower, true, None, None),
            (printed!("leader_one_gone"), Role::Leader, true, Some(1), Some(0)),
            (printed!("leader_just_alone"), Role::Leader, true, Some(1), Some(0)),
            (printed!("majority_gone"), Role::Candidate, false, None, None),
        ] {
            let seen = read(text);
            assert_eq!((seen.role, seen.has_leader(), seen.servers.len()), (role, has_leader, 3), "{text}");
            assert_eq!((seen.gone().map(|gone| gone.len()), seen.may_fail()), (gone, may_fail), "{text}");
            assert_eq!(seen.servers.iter().filter(|server| server.is_self).count(), 1);
        }
        let seen = read(printed!("leader_one_gone"));
        assert_eq!(seen.gone().expect("a leader")[0].address, "tcp:127.0.0.1:26645");
        assert_eq!((seen.term, seen.election_timer_ms, seen.leader.as_deref()), (1, 1000, Some("self")));
    }

    #[test]
    fn one_that_joins_or_lost_the_others_has_no_leader() {
        let joining = read(printed!("joining"));
        assert_eq!((joining.membership, joining.has_leader(), joining.servers.len()), (Membership::Joining, false, 0));
        assert_eq!(read(printed!("majority_gone")).membership, Membership::Disconnected);
        // It still knows a name while it retries.
        let retrying =
            printed!("follower").replace("cluster member", "disconnected from the cluster (election timeout)");
        assert!(!read(&retrying).has_leader());
        let changing = printed!("leader").replace("Election timer: 1000", "Election timer: 1000 (changing to 2000)");
        assert_eq!(read(&changing).election_timer_ms, 1000);
    }

    /// As ovn-appctl 23.03 prints them.
    #[test]
    fn what_is_no_member_of_a_cluster_is_told_apart() {
        for (stderr, error) in [
            ("\"cluster/status\" is not a valid command (use \"list-commands\" to see a list)", OvnError::Alone),
            ("unknown cluster\novn-appctl: /run/ovn/ovnnb_db.ctl: server returned an error", OvnError::OtherDatabase),
            ("ovn-appctl: cannot connect to \"/run/ovn/x.ctl\" (No such file or directory)", OvnError::Silent),
            ("", OvnError::Half("Status")),
        ] {
            assert_eq!(Member::read("", stderr), Err(error));
        }
        let half = printed!("leader").replace("Leader: self\n", "");
        assert_eq!(Member::read(&half, ""), Err(OvnError::Half("Leader")));
        let odd = printed!("leader").replace("Role: leader", "Role: king");
        assert_eq!(Member::read(&odd, ""), Err(OvnError::Half("Role")));
    }

    proptest! {
        #[test]
        fn any_truncation_reads_or_refuses(cut in 0usize..1200, which in 0usize..3) {
            let text = [printed!("leader"), printed!("majority_gone"), printed!("joining")][which];
            if let Ok(seen) = Member::read(text.get(..cut).unwrap_or(text), "") {
                prop_assert!(seen.may_fail().unwrap_or(0) <= seen.servers.len());
            }
        }

        #[test]
        fn no_text_panics(text in "(Name: x\n|Status: cluster member\n|Role: leader\n|Leader: self\n|Term: 9\n|Election timer: 1\n|Entries not yet committed: 0\n|Servers:\n|    a \\(b at c\\)|\\PC|\n){0,30}") {
            if let Ok(seen) = Member::read(&text, &text) {
                let gone = seen.gone().map_or(0, |gone| gone.len());
                prop_assert!(gone <= seen.servers.len() && seen.servers.len() <= SERVERS_MAX);
            }
        }
    }
}
