//! Records that describe no sensor: locators of devices, FRU inventories and controllers, entity associations, OEM
//! records (sections 43.4 to 43.8 and 43.12).

use super::cursor::Cursor;
use super::text::decode_typed;

/// An entity by id and instance (section 39).
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Entity {
    pub id: u8,
    pub instance: u8,
}

/// Which entities a container entity is made of: the power supplies of a power domain, the drives of a bay.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct EntityAssociation {
    pub container: Entity,
    /// The list goes on in another record with the same container.
    pub is_linked: bool,
    /// `members` are the first and last of ranges.
    pub is_range: bool,
    pub members: Vec<Entity>,
}

impl EntityAssociation {
    /// Type 08h.
    pub(super) fn decode(body: &[u8]) -> Option<Self> {
        let mut cursor = Cursor::new(body);
        let [id, instance, flags] = cursor.array()?;
        let members = (0..4).map_while(|_| cursor.array()).map(|[id, instance]| Entity { id, instance });
        Some(Self::with_members(Entity { id, instance }, flags, members.collect()))
    }

    /// Type 09h: each entity with address and channel of its controller, which are not needed here.
    pub(super) fn decode_device_relative(body: &[u8]) -> Option<Self> {
        let mut cursor = Cursor::new(body);
        let [id, instance, _address, _channel, flags] = cursor.array()?;
        let members =
            (0..4).map_while(|_| cursor.array()).map(|[_address, _channel, id, instance]| Entity { id, instance });
        Some(Self::with_members(Entity { id, instance }, flags, members.collect()))
    }

    fn with_members(container: Entity, flags: u8, members: Vec<Entity>) -> Self {
        EntityAssociation {
            container,
            is_range: flags & 0x80 != 0,
            is_linked: flags & 0x40 != 0,
            // A zero id fills the unused places.
            members: members.into_iter().filter(|entity| entity.id != 0).collect(),
        }
    }

    /// Each member, ranges counted out.
    pub fn entities(&self) -> Vec<Entity> {
        if !self.is_range {
            return self.members.clone();
        }
        let pairs = self.members.chunks_exact(2).filter_map(|pair| match pair {
            [first, last] if first.id == last.id => Some((first.id, first.instance..=last.instance)),
            _ => None,
        });
        pairs.flat_map(|(id, instances)| instances.map(move |instance| Entity { id, instance })).collect()
    }
}

/// What kind of thing a locator points at.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Located {
    /// Type 10h: a device without a controller of its own.
    Device { device_type: u8 },
    /// Type 11h, logical: inventory read with Read FRU Data under this id.
    Fru { id: u8 },
    /// Type 11h, physical: a bare memory chip on a bus.
    FruChip,
    /// Type 12h: a management controller; what it can do is in its device support bits.
    Controller { capabilities: u8 },
}

/// Where a device is, and what it is called.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct DeviceLocator {
    /// Slave address of the controller that has it, or of the controller itself.
    pub address: u8,
    pub channel: u8,
    pub located: Located,
    pub entity: Entity,
    pub name: String,
}

impl DeviceLocator {
    pub(super) fn decode_generic(body: &[u8]) -> Option<Self> {
        let mut cursor = Cursor::new(body);
        let [access, slave, channel, _span, _, device_type, _modifier] = cursor.array()?;
        let [id, instance, _oem] = cursor.array()?;
        let located = Located::Device { device_type };
        // The highest bit of the channel sits beside the slave address.
        Self::finish(access, (slave & 1) << 3 | channel >> 5, located, Entity { id, instance }, &mut cursor)
    }

    pub(super) fn decode_fru(body: &[u8]) -> Option<Self> {
        let mut cursor = Cursor::new(body);
        let [access, device, bus, channel, _, _type, _modifier] = cursor.array()?;
        let [id, instance, _oem] = cursor.array()?;
        let is_logical = bus & 0x80 != 0;
        let located = if is_logical { Located::Fru { id: device } } else { Located::FruChip };
        Self::finish(access, channel >> 4, located, Entity { id, instance }, &mut cursor)
    }

    pub(super) fn decode_controller(body: &[u8]) -> Option<Self> {
        let mut cursor = Cursor::new(body);
        let [address, channel, _notification, capabilities, _, _, _] = cursor.array()?;
        let [id, instance, _oem] = cursor.array()?;
        let located = Located::Controller { capabilities };
        Self::finish(address, channel & 0x0F, located, Entity { id, instance }, &mut cursor)
    }

    fn finish(address: u8, channel: u8, located: Located, entity: Entity, cursor: &mut Cursor<'_>) -> Option<Self> {
        let address = address & 0xFE;
        Some(DeviceLocator { address, channel, located, entity, name: decode_typed(cursor)? })
    }
}

/// A manufacturer's own record, kept as it is.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct OemRecord {
    /// IANA enterprise number.
    pub manufacturer: u32,
    pub data: Vec<u8>,
}

impl OemRecord {
    pub(super) fn decode(body: &[u8]) -> Option<Self> {
        let mut cursor = Cursor::new(body);
        let [m0, m1, m2] = cursor.array()?;
        Some(OemRecord { manufacturer: u32::from_le_bytes([m0, m1, m2, 0]), data: cursor.rest().to_vec() })
    }
}
