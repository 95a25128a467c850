//! FRU inventory: what a part is, who made it, its serial number (Platform Management FRU Information Storage
//! Definition 1.3), and the commands that read it (section 34).

use super::command::{Command, storage};
use super::cursor::Cursor;
use super::netfn;
use super::text::{Coding, decode};

/// Get FRU Inventory Area Info (section 34.1).
#[derive(Clone, Copy, Debug)]
pub struct GetFruInfo {
    pub id: u8,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct FruInfo {
    pub bytes: u16,
    /// Offsets and counts are in words of two bytes.
    pub is_by_words: bool,
}

impl Command for GetFruInfo {
    type Answer = FruInfo;
    const NAME: &'static str = "Get FRU Inventory Area Info";
    const NETFN: u8 = netfn::STORAGE;
    const COMMAND: u8 = storage::FRU_INFO;

    fn data(&self) -> Vec<u8> {
        vec![self.id]
    }

    fn parse(&self, data: &[u8]) -> Option<FruInfo> {
        let mut cursor = Cursor::new(data);
        Some(FruInfo { bytes: cursor.u16()?, is_by_words: cursor.u8()? & 1 != 0 })
    }
}

/// Read FRU Data (section 34.2).
#[derive(Clone, Copy, Debug)]
pub struct ReadFru {
    pub id: u8,
    pub offset: u16,
    pub count: u8,
}

impl Command for ReadFru {
    type Answer = Vec<u8>;
    const NAME: &'static str = "Read FRU Data";
    const NETFN: u8 = netfn::STORAGE;
    const COMMAND: u8 = storage::FRU_READ;

    fn data(&self) -> Vec<u8> {
        let [low, high] = self.offset.to_le_bytes();
        vec![self.id, low, high, self.count]
    }

    /// The count comes first and may be wrong; what is there counts.
    fn parse(&self, data: &[u8]) -> Option<Vec<u8>> {
        let mut cursor = Cursor::new(data);
        let count = usize::from(cursor.u8()?);
        Some(cursor.rest().iter().copied().take(count).collect())
    }
}

/// What the areas say. Areas that are absent or damaged are empty; `damage` tells of the latter.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Inventory {
    pub chassis: Option<Chassis>,
    pub board: Option<Board>,
    pub product: Option<Product>,
    /// Types and payloads of the multirecord area, which only their owners can read.
    pub records: Vec<MultiRecord>,
    pub damage: Vec<&'static str>,
}

#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Chassis {
    /// SMBIOS enclosure type.
    pub kind: u8,
    pub part: String,
    pub serial: String,
    pub extra: Vec<String>,
}

#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Board {
    /// Seconds since 1970; absent where it was not recorded.
    pub made_at: Option<u32>,
    pub maker: String,
    pub product: String,
    pub serial: String,
    pub part: String,
    pub extra: Vec<String>,
}

#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Product {
    pub maker: String,
    pub name: String,
    pub part: String,
    pub version: String,
    pub serial: String,
    pub asset: String,
    pub extra: Vec<String>,
}

#[derive(Clone, Debug, PartialEq, Eq)]
pub struct MultiRecord {
    /// 0 power supply, 1 DC output, 2 DC load, 3 management access, C0h and up OEM.
    pub kind: u8,
    pub data: Vec<u8>,
}

impl MultiRecord {
    /// Rated watts of a power supply record.
    pub fn rated_watts(&self) -> Option<u16> {
        (self.kind == 0).then(|| Cursor::new(&self.data).u16())?.map(|watts| watts & 0x0FFF)
    }
}

/// Areas start at multiples of this (section 8).
const UNIT_BYTES: usize = 8;
/// Records of the multirecord area read at most; real inventories have fewer than ten.
const RECORDS_MAX: usize = 64;
/// Fields of one area read at most.
const FIELDS_MAX: usize = 64;

fn is_sum_zero(bytes: &[u8]) -> bool {
    bytes.iter().fold(0u8, |sum, byte| sum.wrapping_add(*byte)) == 0
}

impl Inventory {
    /// Reads a whole inventory; `None` when its common header is damaged or of another version.
    pub fn decode(bytes: &[u8]) -> Option<Self> {
        let header = bytes.first_chunk::<UNIT_BYTES>()?;
        let [version, _internal, chassis, board, product, records, _, _] = *header;
        if version & 0x0F != 1 || !is_sum_zero(header) {
            return None;
        }
        let mut inventory = Inventory::default();
        if let Some(area) = inventory.area(bytes, chassis, "chassis area") {
            inventory.chassis = Some(read_chassis(area));
        }
        if let Some(area) = inventory.area(bytes, board, "board area") {
            inventory.board = read_board(area);
        }
        if let Some(area) = inventory.area(bytes, product, "product area") {
            inventory.product = Some(read_product(area));
        }
        if records != 0 {
            let rest = bytes.get(usize::from(records) * UNIT_BYTES..).unwrap_or_default();
            inventory.read_records(rest);
        }
        Some(inventory)
    }

    /// The area behind version and length; its checksum must be right.
    fn area<'a>(&mut self, bytes: &'a [u8], offset: u8, name: &'static str) -> Option<&'a [u8]> {
        if offset == 0 {
            return None;
        }
        let whole = bytes.get(usize::from(offset) * UNIT_BYTES..).and_then(|rest| {
            let length = usize::from(*rest.get(1)?) * UNIT_BYTES;
            rest.get(..length).filter(|area| area.len() > 2 && is_sum_zero(area))
        });
        if whole.is_none() {
            self.damage.push(name);
        }
        whole?.get(2..)
    }

    fn read_records(&mut self, mut rest: &[u8]) {
        while self.records.len() < RECORDS_MAX {
            let Some((header, body)) = rest.split_first_chunk::<5>() else { break };
            let [kind, flags, length, _sum, _] = *header;
            let Some((data, next)) = body.split_at_checked(usize::from(length)) else {
                self.damage.push("multirecord area");
                break;
            };
            if !is_sum_zero(header) {
                self.damage.push("multirecord area");
                break;
            }
            self.records.push(MultiRecord { kind, data: data.to_vec() });
            if flags & 0x80 != 0 {
                return;
            }
            rest = next;
        }
    }

    /// `Supermicro X11DPi serial 1234`: the product, or the board where no product is named.
    pub fn title(&self) -> String {
        let product = self.product.as_ref().map(|p| [&p.maker, &p.name, &p.serial]);
        let board = self.board.as_ref().map(|b| [&b.maker, &b.product, &b.serial]);
        let is_named = |fields: &[&String; 3]| fields.iter().any(|field| !field.is_empty());
        let Some([maker, name, serial]) = product.filter(is_named).or(board.filter(is_named)) else {
            return String::new();
        };
        let mut words: Vec<&str> = [maker, name].into_iter().map(String::as_str).filter(|w| !w.is_empty()).collect();
        if !serial.is_empty() {
            words.extend(["serial", serial]);
        }
        words.join(" ")
    }
}

/// Type/length fields up to the end mark C1h. English (and 0, which means English) takes 8 bits a letter.
fn fields(mut bytes: &[u8], language: u8) -> Vec<String> {
    /// No more fields; a length of one is never used otherwise.
    const END: u8 = 0xC1;
    let is_english = matches!(language, 0 | 25);
    let mut out = Vec::new();
    while let Some((head, rest)) = bytes.split_first()
        && *head != END
        && out.len() < FIELDS_MAX
    {
        let length = usize::from(head & 0x3F);
        let (value, next) = rest.split_at_checked(length).unwrap_or((rest, &[]));
        out.push(match Coding::of(*head) {
            Coding::EightBit if !is_english => unicode(value),
            coding => decode(coding, value),
        });
        bytes = next;
    }
    out
}

/// Two bytes a letter, low byte first.
fn unicode(bytes: &[u8]) -> String {
    let units = bytes.chunks_exact(2).filter_map(|pair| pair.first_chunk::<2>()).map(|pair| u16::from_le_bytes(*pair));
    let text: String = char::decode_utf16(units).map(|c| c.unwrap_or(char::REPLACEMENT_CHARACTER)).collect();
    text.trim_matches(['\0', ' ']).chars().filter(|c| !c.is_control()).collect()
}

fn read_chassis(area: &[u8]) -> Chassis {
    let Some((kind, rest)) = area.split_first() else { return Chassis::default() };
    let mut fields = fields(rest, 0).into_iter();
    let mut next = || fields.next().unwrap_or_default();
    Chassis { kind: *kind, part: next(), serial: next(), extra: fields.filter(|field| !field.is_empty()).collect() }
}

fn read_board(area: &[u8]) -> Option<Board> {
    /// Seconds from 1970 to 1996, from which minutes count (section 11).
    const SINCE_1996: u32 = 820_454_400;
    let mut cursor = Cursor::new(area);
    let [language, m0, m1, m2] = cursor.array()?;
    let minutes = u32::from_le_bytes([m0, m1, m2, 0]);
    let mut fields = fields(cursor.rest(), language).into_iter();
    let mut next = || fields.next().unwrap_or_default();
    let (maker, product, serial, part, _file) = (next(), next(), next(), next(), next());
    let made_at = (minutes != 0).then_some(SINCE_1996 + minutes * 60);
    let extra = fields.filter(|field| !field.is_empty()).collect();
    Some(Board { made_at, maker, product, serial, part, extra })
}

fn read_product(area: &[u8]) -> Product {
    let Some((language, rest)) = area.split_first() else { return Product::default() };
    let mut fields = fields(rest, *language).into_iter();
    let mut next = || fields.next().unwrap_or_default();
    let (maker, name, part, version, serial, asset, _file) = (next(), next(), next(), next(), next(), next(), next());
    Product { maker, name, part, version, serial, asset, extra: fields.filter(|field| !field.is_empty()).collect() }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn text(value: &str) -> Vec<u8> {
        let mut out = vec![0xC0 | value.len() as u8];
        out.extend(value.bytes());
        out
    }

    /// An area with its padding and checksum.
    fn area(body: &[u8]) -> Vec<u8> {
        let length = (body.len() + 2 + 1 + 1).div_ceil(UNIT_BYTES) * UNIT_BYTES;
        let mut out = vec![1, (length / UNIT_BYTES) as u8];
        out.extend(body);
        out.push(0xC1);
        out.resize(length - 1, 0);
        let sum = out.iter().fold(0u8, |sum, byte| sum.wrapping_add(*byte));
        out.push(sum.wrapping_neg());
        out
    }

    fn whole() -> Vec<u8> {
        // BCD plus "12-3", six-bit "IPMI" (the example of the specification).
        let bcd = [0x42, 0x12, 0xB3];
        let six = [0x83, 0x29, 0xDC, 0xA6];
        let chassis = area(&[&[0x17][..], &bcd, &text("CH-1")].concat());
        let board =
            area(&[&[0, 0x40, 0xD0, 0xC3][..], &text("Acme"), &six, &text("B-77"), &text("P-1"), &[0xC0]].concat());
        let fields =
            [text("Acme"), text("Server 1"), text("S1"), text("v2"), text("SN 4711"), text("asset 9"), vec![0xC0]];
        let product = area(&[&[25][..], &fields.concat(), &[0x02, 0xDE, 0xAD]].concat());
        let at = |bytes: usize| (bytes / UNIT_BYTES) as u8;
        let (a, b, c) = (8, 8 + chassis.len(), 8 + chassis.len() + board.len());
        let d = c + product.len();
        let mut header = vec![1, 0, at(a), at(b), at(c), at(d), 0];
        header.push(header.iter().fold(0u8, |sum, byte| sum.wrapping_add(*byte)).wrapping_neg());
        let mut record = vec![0x00, 0x82, 2, (0x2Cu8.wrapping_add(0xE1)).wrapping_neg()];
        record.push(record.iter().fold(0u8, |sum, byte| sum.wrapping_add(*byte)).wrapping_neg());
        [header, chassis, board, product, record, vec![0x20, 0x03]].concat()
    }

    #[test]
    fn each_area_and_coding_is_read() {
        let inventory = Inventory::decode(&whole()).unwrap();
        assert_eq!(inventory.damage, [""; 0]);
        let chassis = inventory.chassis.as_ref().unwrap();
        assert_eq!((chassis.kind, &*chassis.part, &*chassis.serial), (0x17, "12-3", "CH-1"));
        let board = inventory.board.as_ref().unwrap();
        assert_eq!((&*board.maker, &*board.product, &*board.serial, &*board.part), ("Acme", "IPMI", "B-77", "P-1"));
        assert_eq!(board.made_at, Some(820_454_400 + 0xC3D040 * 60));
        let product = inventory.product.as_ref().unwrap();
        assert_eq!((&*product.name, &*product.serial, &*product.asset), ("Server 1", "SN 4711", "asset 9"));
        assert_eq!(product.extra, ["de ad"]);
        assert_eq!(inventory.records[0].rated_watts(), Some(800));
        assert_eq!(inventory.title(), "Acme Server 1 serial SN 4711");
    }

    #[test]
    fn a_damaged_area_is_told_and_the_others_are_read() {
        let mut bytes = whole();
        bytes[8 + 4] ^= 0x55;
        let inventory = Inventory::decode(&bytes).unwrap();
        assert_eq!((inventory.damage.as_slice(), inventory.chassis.is_none()), (&["chassis area"][..], true));
        assert!(inventory.product.is_some());
        bytes[0] = 2;
        assert_eq!(Inventory::decode(&bytes), None, "another version");
    }

    proptest! {
        #[test]
        fn no_inventory_panics(mut bytes: Vec<u8>, cut in 0usize..400, at in 0usize..400, with: u8) {
            let _ = Inventory::decode(&bytes);
            let mut genuine = whole();
            genuine.truncate(cut);
            if let Some(slot) = genuine.get_mut(at) {
                *slot = with;
            }
            let _ = Inventory::decode(&genuine).map(|inventory| inventory.title());
            // And behind a header that is right.
            let mut header = vec![1, 0, 1, 2, 3, 4, 0];
            header.push(header.iter().fold(0u8, |sum, byte| sum.wrapping_add(*byte)).wrapping_neg());
            header.append(&mut bytes);
            let _ = Inventory::decode(&header);
        }
    }
}
