//! The kernel's IPMI device: two ioctls, one to send a command, one to take an answer (linux/ipmi.h).
//!
//! The only unsafe code here is the two calls and the registration with epoll: no crate we use has the calls, and their
//! arguments hold pointers to buffers. Each buffer is a local that outlives its call, and its length goes with it (ADR 0009).
#![expect(unsafe_code, reason = "see the module")]

use std::fs::OpenOptions;
use std::future::Future;
use std::io;
use std::os::fd::{AsRawFd, OwnedFd, RawFd};
use std::os::unix::fs::OpenOptionsExt;

use rustix::ioctl::{Opcode, opcode};
use stentor_wire::ipmi::bridge::Satellite;
use tokio::io::unix::AsyncFd;

/// A command on its way to the controller, or to one behind it.
pub(super) struct Outgoing {
    pub to: Option<Satellite>,
    /// Comes back with the answer.
    pub id: libc::c_long,
    pub netfn: u8,
    pub lun: u8,
    pub command: u8,
    pub data: Vec<u8>,
}

/// What the kernel handed over.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Incoming {
    pub id: libc::c_long,
    /// An answer, and no event or request of somebody else.
    pub is_answer: bool,
    /// Completion code, then the answer's data.
    pub data: Vec<u8>,
}

/// A way to the controller of this machine.
pub(super) trait Port: Send {
    /// Hands a command over.
    ///
    /// # Errors
    /// The kernel does not take it.
    fn send(&mut self, message: &Outgoing) -> io::Result<()>;

    /// The next message; cancel-safe.
    ///
    /// # Errors
    /// The kernel does not hand it over, or it was longer than any message.
    fn receive(&mut self) -> impl Future<Output = io::Result<Incoming>> + Send;
}

/// `struct ipmi_system_interface_addr` and `struct ipmi_ipmb_addr`: the last two bytes differ in meaning.
#[repr(C)]
struct Address {
    kind: libc::c_int,
    channel: libc::c_short,
    /// Logical unit of the system interface; slave address on a bus.
    first: u8,
    /// Logical unit on a bus.
    second: u8,
}

/// `struct ipmi_msg`.
#[repr(C)]
struct Message {
    netfn: u8,
    command: u8,
    data_len: libc::c_ushort,
    data: *mut u8,
}

/// `struct ipmi_req`.
#[repr(C)]
struct SendCommand {
    address: *const Address,
    address_len: libc::c_uint,
    id: libc::c_long,
    message: Message,
}

/// `struct ipmi_recv`.
#[repr(C)]
struct TakeMessage {
    kind: libc::c_int,
    address: *mut u8,
    address_len: libc::c_uint,
    id: libc::c_long,
    message: Message,
}

const MAGIC: u8 = b'i';
const SEND_COMMAND: Opcode = opcode::read::<SendCommand>(MAGIC, 13);
const RECEIVE_MSG_TRUNC: Opcode = opcode::read_write::<TakeMessage>(MAGIC, 11);
/// `IPMI_SYSTEM_INTERFACE_ADDR_TYPE`, and its channel `IPMI_BMC_CHANNEL`.
const SYSTEM_INTERFACE: libc::c_int = 0x0C;
const BMC_CHANNEL: libc::c_short = 0x0F;
/// `IPMI_IPMB_ADDR_TYPE`.
const IPMB: libc::c_int = 0x01;
/// `IPMI_RESPONSE_RECV_TYPE`.
const ANSWER: libc::c_int = 1;
/// `IPMI_MAX_MSG_LENGTH`.
const MESSAGE_BYTES_MAX: usize = 272;
/// `sizeof(struct ipmi_addr)`, rounded up.
const ADDRESS_BYTES_MAX: usize = 40;

/// An open `/dev/ipmi0`.
#[derive(Debug)]
pub(super) struct Device {
    fd: AsyncFd<OwnedFd>,
}

impl Device {
    /// # Errors
    /// There is no such device, it may not be opened, or it is none that can be waited for.
    pub(super) fn open(path: &str) -> io::Result<Self> {
        let options = OpenOptions::new().read(true).write(true).custom_flags(libc::O_NONBLOCK).open(path)?;
        // SAFETY: the descriptor is owned and moves into the registration; it is closed only when that is dropped.
        let fd = unsafe { AsyncFd::register(OwnedFd::from(options))? };
        Ok(Device { fd })
    }
}

impl Port for Device {
    fn send(&mut self, message: &Outgoing) -> io::Result<()> {
        let address = match message.to {
            None => Address { kind: SYSTEM_INTERFACE, channel: BMC_CHANNEL, first: message.lun, second: 0 },
            Some(to) => Address { kind: IPMB, channel: to.channel.into(), first: to.address, second: message.lun },
        };
        let mut data = message.data.clone();
        let data_len = libc::c_ushort::try_from(data.len()).map_err(io::Error::other)?;
        let mut request = SendCommand {
            address: &raw const address,
            address_len: size_of::<Address>() as libc::c_uint,
            id: message.id,
            message: Message { netfn: message.netfn, command: message.command, data_len, data: data.as_mut_ptr() },
        };
        // SAFETY: `request` is laid out as the kernel's struct ipmi_req; `address` and `data` live until after the call,
        // with their lengths; the kernel copies both and keeps no pointer.
        let code = unsafe { libc::ioctl(self.fd.as_raw_fd(), SEND_COMMAND as libc::Ioctl, &raw mut request) };
        if code < 0 { Err(io::Error::last_os_error()) } else { Ok(()) }
    }

    async fn receive(&mut self) -> io::Result<Incoming> {
        loop {
            let mut guard = self.fd.readable().await?;
            // Else somebody was quicker: the readiness is cleared, and waited for again.
            if let Ok(taken) = guard.try_io(|fd| take(fd.as_raw_fd())) {
                return taken;
            }
        }
    }
}

/// One message from the kernel's queue; `WouldBlock` when there is none.
fn take(fd: RawFd) -> io::Result<Incoming> {
    let mut address = [0u8; ADDRESS_BYTES_MAX];
    let mut data = [0u8; MESSAGE_BYTES_MAX];
    let mut taken = TakeMessage {
        kind: 0,
        address: address.as_mut_ptr(),
        address_len: ADDRESS_BYTES_MAX as libc::c_uint,
        id: 0,
        message: Message {
            netfn: 0,
            command: 0,
            data_len: MESSAGE_BYTES_MAX as libc::c_ushort,
            data: data.as_mut_ptr(),
        },
    };
    // SAFETY: `taken` is laid out as the kernel's struct ipmi_recv; `address` and `data` are as long as it says and live
    // until after the call; the kernel writes no more than that into them.
    let code = unsafe { libc::ioctl(fd, RECEIVE_MSG_TRUNC as libc::Ioctl, &raw mut taken) };
    if code < 0 {
        return Err(io::Error::last_os_error());
    }
    let length = usize::from(taken.message.data_len).min(MESSAGE_BYTES_MAX);
    let data = data.get(..length).unwrap_or_default().to_vec();
    Ok(Incoming { id: taken.id, is_answer: taken.kind == ANSWER, data })
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The numbers of linux/ipmi.h on 64-bit machines; a struct that is laid out otherwise has another one.
    #[test]
    #[cfg(target_pointer_width = "64")]
    fn the_calls_have_the_numbers_of_the_kernels_header() {
        assert_eq!((SEND_COMMAND, RECEIVE_MSG_TRUNC), (0x8028_690D, 0xC030_690B));
        assert_eq!((size_of::<Address>(), size_of::<Message>()), (8, 16));
    }

    #[tokio::test]
    async fn what_is_no_ipmi_device_is_refused_in_so_many_words() {
        assert_eq!(Device::open("/dev/no-such-ipmi").unwrap_err().kind(), io::ErrorKind::NotFound);
        // A terminal device knows no such call, and says so instead of hanging.
        let (reader, _writer) = io::pipe().unwrap();
        let error = take(reader.as_raw_fd()).unwrap_err();
        assert_eq!(error.raw_os_error(), Some(libc::ENOTTY));
    }
}
