//! The network as probes see it. All sockets of probes are opened here, so that the demo can make a host look dead:
//! loopback would answer pings and refuse ports even for a host that is off.

use std::io;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};
use std::sync::Arc;

use tokio::net::{TcpStream, UdpSocket};
use tokio::time::timeout_at;

use super::ipmi::{BmcClient, SHARE_FOR};
use super::redfish::RedfishClient;
use super::snmp::{SnmpClient, SnmpPoller};
use super::{Darkness, Deadline};

#[derive(Clone)]
pub struct Network {
    dark: Option<Darkness>,
    /// Shared by all probes: one socket and one session table for all controllers.
    bmc: BmcClient,
    /// Shared by all probes: one task and one session a controller.
    redfish: RedfishClient,
    /// Shared by all probes: one socket and one table of engines for all agents.
    snmp: Arc<dyn SnmpPoller>,
}

impl Default for Network {
    fn default() -> Network {
        Network {
            dark: None,
            bmc: BmcClient::default(),
            redfish: RedfishClient::default(),
            snmp: Arc::new(SnmpClient::default()),
        }
    }
}

impl Network {
    /// The real network.
    pub fn real() -> Network {
        Network::default()
    }

    /// A network in which packets to addresses that `dark` names vanish.
    pub fn with_darkness(dark: Darkness) -> Network {
        let bmc = BmcClient::new(Some(dark.clone()), SHARE_FOR);
        let redfish = RedfishClient::default();
        Network { dark: Some(dark.clone()), bmc, redfish, snmp: Arc::new(SnmpClient::new(Some(dark))) }
    }

    pub fn is_dark(&self, ip: IpAddr) -> bool {
        self.dark.as_ref().is_some_and(|dark| dark(ip))
    }

    pub fn darkness(&self) -> Option<&Darkness> {
        self.dark.as_ref()
    }

    /// The IPMI client; shut it down to close its sessions.
    pub fn bmc_client(&self) -> &BmcClient {
        &self.bmc
    }

    /// The Redfish client; shut it down to give its sessions back.
    pub fn redfish(&self) -> &RedfishClient {
        &self.redfish
    }

    /// The SNMP client.
    pub fn snmp(&self) -> Arc<dyn SnmpPoller> {
        Arc::clone(&self.snmp)
    }

    /// The real network, with another client.
    #[cfg(test)]
    pub fn with_redfish(redfish: RedfishClient) -> Network {
        Network { redfish, ..Network::default() }
    }

    /// The real network, but for agents that a test makes up.
    #[cfg(test)]
    pub fn with_snmp(snmp: Arc<dyn SnmpPoller>) -> Network {
        Network { snmp, ..Network::default() }
    }

    /// Resolves `host` (an address or a name) and a port.
    ///
    /// # Errors
    /// No such name, or the resolver did not answer in time (`TimedOut`).
    pub async fn resolve(&self, host: &str, port: u16, deadline: Deadline) -> io::Result<SocketAddr> {
        if let Ok(ip) = host.parse::<IpAddr>() {
            return Ok(SocketAddr::new(ip, port));
        }
        let lookup = tokio::net::lookup_host((host, port));
        let mut found = timeout_at(deadline, lookup).await.map_err(|_| timed_out("name resolution"))??;
        found.next().ok_or_else(|| io::Error::new(io::ErrorKind::NotFound, format!("{host} has no address")))
    }

    /// Connects by the deadline.
    ///
    /// # Errors
    /// As the system says; `TimedOut` at the deadline.
    pub async fn connect(&self, addr: SocketAddr, deadline: Deadline) -> io::Result<TcpStream> {
        if self.is_dark(addr.ip()) {
            tokio::time::sleep_until(deadline).await;
            return Err(timed_out("connect"));
        }
        timeout_at(deadline, TcpStream::connect(addr)).await.map_err(|_| timed_out("connect"))?
    }

    /// A socket whose datagrams go to and come from `addr` only.
    ///
    /// # Errors
    /// As the system says; `TimedOut` at the deadline where nothing would ever come.
    pub async fn datagrams(&self, addr: SocketAddr, deadline: Deadline) -> io::Result<UdpSocket> {
        if self.is_dark(addr.ip()) {
            tokio::time::sleep_until(deadline).await;
            return Err(timed_out("an answer"));
        }
        let any: IpAddr = if addr.is_ipv4() { Ipv4Addr::UNSPECIFIED.into() } else { Ipv6Addr::UNSPECIFIED.into() };
        let socket = UdpSocket::bind((any, 0)).await?;
        socket.connect(addr).await?;
        Ok(socket)
    }
}

fn timed_out(what: &str) -> io::Error {
    io::Error::new(io::ErrorKind::TimedOut, format!("{what} timed out"))
}
