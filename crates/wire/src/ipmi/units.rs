//! Units of readings (tables 43-15 and 43-17): base unit, rate and modifier, in our symbols and in others' words.

/// Base unit, rate and modifier (sections 43.1 and 43.17).
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct SensorUnit {
    pub is_percentage: bool,
    /// 0 none, 1 per µs, 2 per ms, 3 per s, 4 per minute, 5 per hour, 6 per day.
    pub rate: u8,
    /// 0 none, 1 base / modifier, 2 base × modifier.
    pub modifier_kind: u8,
    pub base: u8,
    pub modifier: u8,
}

/// No unit.
const UNSPECIFIED: u8 = 0;
const RPM: u8 = 18;
const PER_MINUTE: u8 = 4;
const DIVIDED: u8 = 1;
const MULTIPLIED: u8 = 2;

impl SensorUnit {
    /// From the three unit bytes of a record; the top two bits of the first are the number format.
    pub(super) fn from_bytes([flags, base, modifier]: [u8; 3]) -> Self {
        SensorUnit {
            is_percentage: flags & 1 != 0,
            rate: flags >> 3 & 7,
            modifier_kind: flags >> 1 & 3,
            base,
            modifier,
        }
    }

    pub(super) fn to_bytes(self) -> [u8; 3] {
        let flags = (self.rate & 7) << 3 | (self.modifier_kind & 3) << 1 | u8::from(self.is_percentage);
        [flags, self.base, self.modifier]
    }

    /// True when the record names a unit at all.
    pub fn is_specified(&self) -> bool {
        self.is_percentage || self.modifier_kind != 0 || self.base != UNSPECIFIED || self.modifier != UNSPECIFIED
    }

    /// `°C`, `RPM`, `V`, `%`, `W`; empty where the record names no unit.
    pub fn symbol(&self) -> String {
        let base = unit(self.base).map_or("", |unit| unit.symbol);
        if self.is_percentage {
            return if base.is_empty() { "%".to_owned() } else { format!("% {base}") };
        }
        let rate = match self.rate {
            PER_MINUTE if self.base == RPM => "",
            1 => "/µs",
            2 => "/ms",
            3 => "/s",
            PER_MINUTE => "/min",
            5 => "/h",
            6 => "/d",
            _ => "",
        };
        let modifier = unit(self.modifier).map_or("", |unit| unit.symbol);
        match self.modifier_kind {
            DIVIDED if !modifier.is_empty() => format!("{base}/{modifier}{rate}"),
            MULTIPLIED if !modifier.is_empty() => format!("{base}·{modifier}{rate}"),
            _ => format!("{base}{rate}"),
        }
    }

    /// As `ipmitool` prints it: it knows modifiers, but no rates.
    pub(super) fn ipmitool(&self) -> String {
        let name = |code| unit(code).map_or("invalid", |unit: &Unit| unit.ipmitool);
        let percent = if self.is_percentage { "% " } else { "" };
        match self.modifier_kind {
            MULTIPLIED => format!("{percent}{}*{}", name(self.base), name(self.modifier)),
            DIVIDED => format!("{percent}{}/{}", name(self.base), name(self.modifier)),
            _ if self.is_percentage && self.base == UNSPECIFIED => "percent".to_owned(),
            _ => format!("{percent}{}", name(self.base)),
        }
    }

    /// As FreeIPMI's `ipmi-sensors` prints it; `None` where it calls the unit invalid.
    pub(super) fn freeipmi(&self) -> Option<String> {
        let (base, modifier) = (unit(self.base)?.freeipmi, unit(self.modifier)?.freeipmi);
        let rate = match self.rate {
            0 => "",
            PER_MINUTE if self.base == RPM => "",
            1 => " per uS",
            2 => " per ms",
            3 => " per s",
            PER_MINUTE => " per minute",
            5 => " per hour",
            6 => " per day",
            _ => return None,
        };
        let is_modified = self.modifier_kind != 0;
        if self.modifier_kind > MULTIPLIED || is_modified && self.rate != 0 {
            return None;
        }
        let percent = if self.is_percentage { "% " } else { "" };
        Some(match self.modifier_kind {
            0 if self.is_percentage && self.rate == 0 && self.base == UNSPECIFIED => "%".to_owned(),
            DIVIDED if self.modifier != UNSPECIFIED => format!("{percent}{base} / {modifier}"),
            MULTIPLIED if self.modifier != UNSPECIFIED => format!("{percent}{base} * {modifier}"),
            _ => format!("{percent}{base}{rate}"),
        })
    }
}

struct Unit {
    symbol: &'static str,
    ipmitool: &'static str,
    freeipmi: &'static str,
}

const fn u(symbol: &'static str, ipmitool: &'static str, freeipmi: &'static str) -> Unit {
    Unit { symbol, ipmitool, freeipmi }
}

fn unit(code: u8) -> Option<&'static Unit> {
    UNITS.get(usize::from(code))
}

/// By unit type code from 0 (table 43-15).
#[rustfmt::skip]
static UNITS: &[Unit] = &[
    u("", "unspecified", "unspecified"),
    u("°C", "degrees C", "C"),
    u("°F", "degrees F", "F"),
    u("K", "degrees K", "K"),
    u("V", "Volts", "V"),
    u("A", "Amps", "A"),
    u("W", "Watts", "W"),
    u("J", "Joules", "J"),
    u("C", "Coulombs", "C"),
    u("VA", "VA", "VA"),
    u("nt", "Nits", "nits"),
    u("lm", "lumen", "lm"),
    u("lx", "lux", "lux"),
    u("cd", "Candela", "cd"),
    u("kPa", "kPa", "KPA"),
    u("psi", "PSI", "PSI"),
    u("N", "Newton", "N"),
    u("cfm", "CFM", "CFM"),
    u("RPM", "RPM", "RPM"),
    u("Hz", "Hz", "Hz"),
    u("µs", "microsecond", "us"),
    u("ms", "millisecond", "ms"),
    u("s", "second", "s"),
    u("min", "minute", "min"),
    u("h", "hour", "hr"),
    u("d", "day", "day"),
    u("w", "week", "wk"),
    u("mil", "mil", "mil"),
    u("in", "inches", "in"),
    u("ft", "feet", "ft"),
    u("cu in", "cu in", "cu in"),
    u("cu ft", "cu feet", "cu feet"),
    u("mm", "mm", "mm"),
    u("cm", "cm", "cm"),
    u("m", "m", "m"),
    u("cu cm", "cu cm", "cu cm"),
    u("cu m", "cu m", "cu m"),
    u("l", "liters", "L"),
    u("fl oz", "fluid ounce", "fl oz"),
    u("rad", "radians", "rad"),
    u("sr", "steradians", "sr"),
    u("rev", "revolutions", "rev"),
    u("cycles", "cycles", "c"),
    u("g-force", "gravities", "g"),
    u("oz", "ounce", "oz"),
    u("lb", "pound", "lb"),
    u("ft lb", "ft-lb", "ft lB"),
    u("oz in", "oz-in", "oz in"),
    u("Gs", "gauss", "G"),
    u("gilberts", "gilberts", "Gi"),
    u("H", "henry", "H"),
    u("mH", "millihenry", "mH"),
    u("F", "farad", "F"),
    u("µF", "microfarad", "uF"),
    u("Ω", "ohms", "ohms"),
    u("S", "siemens", "S"),
    u("mol", "mole", "mol"),
    u("Bq", "becquerel", "Bq"),
    u("ppm", "PPM", "PPM"),
    u("reserved", "reserved", "Reserved"),
    u("dB", "Decibels", "dB"),
    u("dBA", "DbA", "DbA"),
    u("dBC", "DbC", "DbC"),
    u("Gy", "gray", "Gy"),
    u("Sv", "sievert", "Sv"),
    u("K (color)", "color temp deg K", "color temp deg K"),
    u("b", "bit", "b"),
    u("kb", "kilobit", "Kb"),
    u("Mb", "megabit", "Mb"),
    u("Gb", "gigabit", "Gb"),
    u("B", "byte", "B"),
    u("KB", "kilobyte", "KB"),
    u("MB", "megabyte", "MB"),
    u("GB", "gigabyte", "GB"),
    u("words", "word", "word"),
    u("dwords", "dword", "dword"),
    u("qwords", "qword", "qword"),
    u("lines", "line", "line"),
    u("hits", "hit", "hit"),
    u("misses", "miss", "miss"),
    u("retries", "retry", "retry"),
    u("resets", "reset", "reset"),
    u("overruns", "overflow", "overrun / overflow"),
    u("underruns", "underrun", "underrun"),
    u("collisions", "collision", "collision"),
    u("packets", "packets", "pkts"),
    u("messages", "messages", "msgs"),
    u("characters", "characters", "chars"),
    u("errors", "error", "err"),
    u("correctable errors", "correctable error", "correctable err"),
    u("uncorrectable errors", "uncorrectable error", "uncorrectable err"),
    u("fatal errors", "fatal error", "fatal err"),
    u("gr", "grams", "g"),
];

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn units_read_well_in_all_three_wordings() {
        let unit = |is_percentage, rate, modifier_kind, base, modifier| SensorUnit {
            is_percentage,
            rate,
            modifier_kind,
            base,
            modifier,
        };
        for (unit, symbol, ipmitool, freeipmi) in [
            (unit(false, 0, 0, 1, 0), "°C", "degrees C", Some("C")),
            (unit(false, 0, 0, 18, 0), "RPM", "RPM", Some("RPM")),
            (unit(false, 4, 0, 18, 0), "RPM", "RPM", Some("RPM")),
            (unit(true, 0, 0, 0, 0), "%", "percent", Some("%")),
            (unit(true, 0, 0, 6, 0), "% W", "% Watts", Some("% W")),
            (unit(false, 3, 0, 70, 0), "B/s", "byte", Some("B per s")),
            (unit(false, 0, 1, 4, 22), "V/s", "Volts/second", Some("V / s")),
            (unit(false, 0, 2, 4, 5), "V·A", "Volts*Amps", Some("V * A")),
            (unit(false, 0, 0, 0, 0), "", "unspecified", Some("unspecified")),
            (unit(false, 0, 0, 92, 0), "gr", "grams", Some("g")),
            (unit(false, 0, 0, 93, 0), "", "invalid", None),
            (unit(false, 3, 1, 4, 5), "V/A/s", "Volts/Amps", None),
        ] {
            assert_eq!((unit.symbol(), unit.ipmitool()), (symbol.to_owned(), ipmitool.to_owned()), "{unit:?}");
            assert_eq!(unit.freeipmi().as_deref(), freeipmi, "{unit:?}");
            let [flags, base, modifier] = unit.to_bytes();
            assert_eq!(SensorUnit::from_bytes([flags | 0xC0, base, modifier]), unit);
        }
    }
}
