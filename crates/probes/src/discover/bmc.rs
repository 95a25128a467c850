//! Management controllers: RMCP presence and authentication capabilities on UDP 623, and the Redfish service root.

use std::net::SocketAddr;

use stentor_wire::ipmi::command::{Command, GetAuthCapabilities};
use stentor_wire::ipmi::packet::{self, Frame};
use stentor_wire::ipmi::presence::{PING, is_pong};
use stentor_wire::ipmi::{Privilege, Request, Response};
use stentor_wire::redfish::service::ServiceRoot;
use stentor_wire::redfish::{self, ROOT};
use tokio::time::timeout_at;

use super::Scout;
use crate::Target;
use crate::reach::Port;

/// A controller as it shows itself to anybody.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Controller {
    /// Where it answers RMCP.
    pub ipmi_port: Option<u16>,
    /// It speaks IPMI 2.0.
    pub is_ipmi_20: bool,
    /// Where its Redfish service is.
    pub redfish_port: Option<u16>,
    /// What the service root says of itself.
    pub product: String,
    /// SHA-256 of the certificate that it showed.
    pub fingerprint: Option<String>,
}

impl Scout {
    pub(super) async fn controller(&self, target: &Target) -> Option<Controller> {
        let (rmcp, redfish) = tokio::join!(self.rmcp(target), self.redfish(target));
        if rmcp.is_none() && redfish.is_none() {
            return None;
        }
        let mut controller = redfish.unwrap_or_default();
        if let Some(is_ipmi_20) = rmcp {
            controller.ipmi_port = Some(self.port("ipmi"));
            controller.is_ipmi_20 = is_ipmi_20;
        }
        Some(controller)
    }

    /// Whether an RMCP listener speaks IPMI 2.0; `None` if nobody listens.
    async fn rmcp(&self, target: &Target) -> Option<bool> {
        let addr = SocketAddr::new(target.address.parse().ok()?, self.port("ipmi"));
        let deadline = self.deadline();
        self.turn().await;
        let socket = self.wish.net.datagrams(addr, deadline).await.ok()?;
        let ask = GetAuthCapabilities { privilege: Privilege::User };
        let (netfn, command) = (GetAuthCapabilities::NETFN, GetAuthCapabilities::COMMAND);
        let request = Request { netfn, lun: 0, command, sequence: 1, data: ask.data() };
        // A refusal by ICMP comes with the next call on the socket.
        socket.send(&PING).await.ok()?;
        socket.send(&packet::encode_plain(&request.encode())).await.ok()?;
        let mut is_present = false;
        let mut datagram = [0; 512];
        while let Ok(received) = timeout_at(deadline, socket.recv(&mut datagram)).await {
            let Ok(length) = received else { break };
            match packet::decode(datagram.get(..length)?) {
                Ok(Frame::Asf(body)) => is_present |= is_pong(body),
                Ok(Frame::Plain { message, .. }) => {
                    let response = Response::decode(message).ok().filter(|response| response.answers(&request));
                    if let Some(response) = response {
                        return Some(ask.parse(&response.data).is_some_and(|told| told.supports_ipmi_20));
                    }
                }
                _ => {}
            }
        }
        is_present.then_some(false)
    }

    async fn redfish(&self, target: &Target) -> Option<Controller> {
        let port = self.port("redfish");
        if self.knock(target, port).await? != Port::Open {
            return None;
        }
        let (answer, fingerprint) = self.fetch_with_certificate(target, port, true, ROOT).await?;
        let value = redfish::parse(&answer.body).ok()?;
        let root = ServiceRoot::read(&value)?;
        let words = [root.vendor.word(), &root.product, "Redfish", &root.version];
        let words: Vec<&str> = words.into_iter().filter(|word| !word.is_empty()).collect();
        let product = crate::talk::shown(&words.join(" "));
        Some(Controller { redfish_port: Some(port), product, fingerprint, ..Controller::default() })
    }
}
