//! The small parts of every page as plain data that prints itself as HTML: glyphs, pills, tags, pips, gauges, times.
//! Everything that comes from outside is escaped here; nothing carries a style or a script.

use std::fmt::{self, Display, Formatter};

use askama::filters::HtmlSafe;
use stentor_core::Timestamp;
use stentor_core::diagnosis::{Class, Impact, Severity, Verdict, Visibility};
use stentor_core::model::{HostState, ServiceState};
use stentor_core::snapshot::Row;

use super::assets;
use super::words;

/// Text for HTML, attribute values included.
pub struct Esc<'a>(pub &'a str);

impl Display for Esc<'_> {
    fn fmt(&self, f: &mut Formatter<'_>) -> fmt::Result {
        let mut from = 0;
        for (i, byte) in self.0.bytes().enumerate() {
            let entity = match byte {
                b'&' => "&amp;",
                b'<' => "&lt;",
                b'>' => "&gt;",
                b'"' => "&quot;",
                b'\'' => "&#39;",
                _ => continue,
            };
            f.write_str(&self.0[from..i])?;
            f.write_str(entity)?;
            from = i + 1;
        }
        f.write_str(&self.0[from..])
    }
}

/// A state as shape and colour (`data-s`).
#[derive(Copy, Clone, Debug, Eq, Hash, Ord, PartialEq, PartialOrd)]
pub enum Mark {
    Ok,
    Up,
    Pend,
    Unk,
    Unr,
    Warn,
    Down,
    Crit,
}

impl Mark {
    pub const fn key(self) -> &'static str {
        match self {
            Mark::Ok => "ok",
            Mark::Up => "up",
            Mark::Pend => "pend",
            Mark::Unk => "unk",
            Mark::Unr => "unr",
            Mark::Warn => "warn",
            Mark::Down => "down",
            Mark::Crit => "crit",
        }
    }

    pub const fn word(self) -> &'static str {
        match self {
            Mark::Ok => "OK",
            Mark::Up => "Up",
            Mark::Pend => "Pending",
            Mark::Unk => "Unknown",
            Mark::Unr => "Unreachable",
            Mark::Warn => "Warning",
            Mark::Down => "Down",
            Mark::Crit => "Critical",
        }
    }

    pub fn of_service(row: &Row) -> Mark {
        if row.is_pending() {
            return Mark::Pend;
        }
        match row.service_state() {
            ServiceState::Ok => Mark::Ok,
            ServiceState::Warning => Mark::Warn,
            ServiceState::Critical => Mark::Crit,
            ServiceState::Unknown => Mark::Unk,
        }
    }

    pub fn of_host(row: &Row) -> Mark {
        if row.is_pending() {
            return Mark::Pend;
        }
        match row.host_state() {
            HostState::Up => Mark::Up,
            HostState::Down => Mark::Down,
            HostState::Unreachable => Mark::Unr,
        }
    }

    pub const fn of_severity(severity: Severity) -> Mark {
        match severity {
            Severity::Critical | Severity::Major => Mark::Crit,
            Severity::Warning => Mark::Warn,
            Severity::Unknown => Mark::Unk,
            Severity::Info => Mark::Pend,
        }
    }

    /// Without a label, for marks beside a word.
    pub const fn glyph(self) -> Glyph {
        Glyph { mark: self, class: "", labelled: false }
    }

    /// With the state as its label, for marks that stand alone.
    pub const fn labelled(self) -> Glyph {
        Glyph { mark: self, class: "", labelled: true }
    }

    pub const fn large(self) -> Glyph {
        Glyph { mark: self, class: "xl", labelled: false }
    }
}

impl Display for Mark {
    fn fmt(&self, f: &mut Formatter<'_>) -> fmt::Result {
        f.write_str(self.key())
    }
}

/// One state shape from the sprite.
#[derive(Copy, Clone, Debug, Eq, PartialEq)]
pub struct Glyph {
    pub mark: Mark,
    pub class: &'static str,
    pub labelled: bool,
}

impl Display for Glyph {
    fn fmt(&self, f: &mut Formatter<'_>) -> fmt::Result {
        let (key, gap) = (self.mark.key(), if self.class.is_empty() { "" } else { " " });
        write!(f, r#"<svg class="g{gap}{}" data-s="{key}" "#, self.class)?;
        if self.labelled {
            write!(f, r#"role="img" aria-label="{}""#, self.mark.word())?;
        } else {
            f.write_str(r#"aria-hidden="true""#)?;
        }
        write!(f, r##"><use href="{}#g-{key}"/></svg>"##, assets::url("icons.svg"))
    }
}

/// An icon of the sprite, in the small size that buttons and tags use.
pub fn icon(name: &str) -> Icon<'_> {
    Icon { name, small: true }
}

/// An icon at text size.
pub fn icon_big(name: &str) -> Icon<'_> {
    Icon { name, small: false }
}

pub struct Icon<'a> {
    name: &'a str,
    small: bool,
}

impl Display for Icon<'_> {
    fn fmt(&self, f: &mut Formatter<'_>) -> fmt::Result {
        let class = if self.small { "i sm" } else { "i" };
        let (sprite, name) = (assets::url("icons.svg"), Esc(self.name));
        write!(f, r##"<svg class="{class}" aria-hidden="true"><use href="{sprite}#i-{name}"/></svg>"##)
    }
}

/// Address of the picture in the browser's tab.
pub fn favicon() -> &'static str {
    assets::url("favicon.svg")
}

/// The brand mark.
pub fn logo() -> Logo {
    Logo
}

pub struct Logo;

impl Display for Logo {
    fn fmt(&self, f: &mut Formatter<'_>) -> fmt::Result {
        write!(f, r##"<svg aria-hidden="true"><use href="{}#logo"/></svg>"##, assets::url("icons.svg"))
    }
}

/// State pill: solid = nobody has it, hollow = handled, hatched = stale.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct Pill {
    pub mark: Mark,
    pub text: &'static str,
    pub handled: bool,
    pub stale: bool,
}

impl Pill {
    pub const fn new(mark: Mark) -> Pill {
        Pill { mark, text: mark.word(), handled: false, stale: false }
    }

    pub fn of_row(mark: Mark, row: &Row, is_handled: bool) -> Pill {
        // What is fine or was never checked needs nobody.
        let handled = is_handled && !matches!(mark, Mark::Ok | Mark::Up | Mark::Pend);
        Pill { handled, stale: row.is_stale(), ..Pill::new(mark) }
    }

    pub const fn of_severity(severity: Severity, handled: bool) -> Pill {
        let text = match severity {
            Severity::Critical => "Critical",
            Severity::Major => "Major",
            Severity::Warning => "Warning",
            Severity::Unknown => "Unknown",
            Severity::Info => "Info",
        };
        Pill { mark: Mark::of_severity(severity), text, handled, stale: false }
    }
}

impl Display for Pill {
    fn fmt(&self, f: &mut Formatter<'_>) -> fmt::Result {
        let handled = if self.handled { " h" } else { "" };
        let stale = if self.stale { " stale" } else { "" };
        write!(
            f,
            r#"<span class="pill{handled}{stale}" data-s="{}">{}<span>{}"#,
            self.mark,
            self.mark.glyph(),
            self.text
        )?;
        if self.handled {
            f.write_str(r#"<span class="sr"> (handled)</span>"#)?;
        }
        if self.stale {
            f.write_str(r#"<span class="sr"> (stale)</span>"#)?;
        }
        f.write_str("</span></span>")
    }
}

/// What it means for users: the first key of every sort.
#[derive(Copy, Clone, Debug, Eq, Hash, Ord, PartialEq, PartialOrd)]
pub enum Level {
    NoImpact = 0,
    AtRisk = 1,
    Degraded = 2,
    Outage = 3,
}

impl Level {
    pub const ALL: [Level; 4] = [Level::NoImpact, Level::AtRisk, Level::Degraded, Level::Outage];

    /// Users notice (`visible`) or only a guard has gone (`invisible`); the verdict says how much.
    pub fn of(verdict: &Verdict) -> Level {
        match (verdict.visibility, verdict.impact) {
            (_, Impact::Full | Impact::Site) => Level::Outage,
            (Visibility::Visible, Impact::Partial | Impact::Capacity) => Level::Degraded,
            (Visibility::Invisible, Impact::Partial | Impact::Capacity) => Level::AtRisk,
            (_, Impact::None) => match verdict.class {
                Class::RedundancyLost | Class::ResourceAtRisk | Class::SplitBrain => Level::AtRisk,
                Class::SoftwareDown
                | Class::ServerDown
                | Class::ResourceUnavailable
                | Class::Network
                | Class::PowerEvent
                | Class::NetworkPath
                | Class::SiteDown => {
                    if verdict.severity >= Severity::Warning {
                        Level::AtRisk
                    } else {
                        Level::NoImpact
                    }
                }
                Class::MonitorIsolated | Class::AdminStopped | Class::Starting | Class::Flapping | Class::Unknown => {
                    Level::NoImpact
                }
            },
        }
    }

    pub const fn word(self) -> &'static str {
        match self {
            Level::NoImpact => "No impact",
            Level::AtRisk => "At risk",
            Level::Degraded => "Degraded",
            Level::Outage => "Outage",
        }
    }

    /// The word of the filter language.
    pub const fn key(self) -> &'static str {
        match self {
            Level::NoImpact => "none",
            Level::AtRisk => "risk",
            Level::Degraded => "degraded",
            Level::Outage => "outage",
        }
    }
}

impl Display for Level {
    fn fmt(&self, f: &mut Formatter<'_>) -> fmt::Result {
        write!(
            f,
            r#"<span class="imp" data-i="{}"><svg viewBox="0 0 16 12" aria-hidden="true"><rect y="7" width="4" height="5"/><rect x="6" y="3.5" width="4" height="8.5"/><rect x="12" width="4" height="12"/></svg>{}</span>"#,
            *self as u8,
            self.word()
        )
    }
}

/// A small fact beside a state.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct Tag {
    pub icon: &'static str,
    pub text: String,
    /// `info`, `warn`, … or empty.
    pub tone: &'static str,
}

impl Tag {
    pub fn new(icon: &'static str, text: impl Into<String>, tone: &'static str) -> Tag {
        Tag { icon, text: text.into(), tone }
    }
}

impl Display for Tag {
    fn fmt(&self, f: &mut Formatter<'_>) -> fmt::Result {
        f.write_str(r#"<span class="tag""#)?;
        if !self.tone.is_empty() {
            write!(f, r#" data-s="{}""#, self.tone)?;
        }
        write!(f, ">{}{}</span>", icon(self.icon), Esc(&self.text))
    }
}

/// How many run, how many should, how many are needed.
#[derive(Copy, Clone, Debug, Default, Eq, PartialEq)]
pub struct Pips {
    pub up: u32,
    pub unknown: u32,
    pub total: u32,
    pub need: u32,
}

/// Above this many, a bar replaces the pips.
const PIPS_MAX: u32 = 10;

impl Display for Pips {
    fn fmt(&self, f: &mut Formatter<'_>) -> fmt::Result {
        let Pips { up, unknown, total, need } = *self;
        if total == 0 {
            return Ok(());
        }
        if total <= PIPS_MAX {
            let width = total * 11 - 3;
            write!(
                f,
                r#"<svg class="pips" width="{width}" height="10" viewBox="0 0 {width} 10" role="img" aria-label="{up} of {total} up">"#
            )?;
            for k in 0..total {
                let x = k * 11;
                if k < up {
                    write!(f, r#"<rect class="u" x="{x}" y="1" width="8" height="8" rx="1.5"/>"#)?;
                } else {
                    let class = if k < up + unknown { "q" } else { "d" };
                    write!(f, r#"<rect class="{class}" x="{x}.75" y="1.75" width="6.5" height="6.5" rx="1"/>"#)?;
                }
            }
            return f.write_str("</svg>");
        }
        const BAR: f64 = 46.0;
        let part = |n: u32| BAR * f64::from(n) / f64::from(total);
        let down = total.saturating_sub(up + unknown);
        write!(
            f,
            r#"<svg class="pips" width="46" height="10" viewBox="0 0 46 10" role="img" aria-label="{up} of {total} up, {need} needed"><rect class="u" y="1" width="{:.1}" height="8" rx="1.5"/>"#,
            part(up)
        )?;
        if unknown > 0 {
            let (x, width) = (part(up) + 1.5, (part(unknown) - 2.0).max(1.0));
            write!(f, r#"<rect class="q" x="{x:.1}" y="1.75" width="{width:.1}" height="6.5"/>"#)?;
        }
        if down > 0 {
            let (x, width) = (part(up + unknown) + 1.0, (part(down) - 1.5).max(2.0));
            write!(f, r#"<rect class="d" x="{x:.1}" y="1.75" width="{width:.1}" height="6.5"/>"#)?;
        }
        if need > 0 {
            write!(f, r#"<path class="need" d="M{:.1} -1V11"/>"#, part(need))?;
        }
        f.write_str("</svg>")
    }
}

/// A bullet gauge: where a value stands between its bounds and thresholds.
#[derive(Copy, Clone, Debug, PartialEq)]
pub struct Gauge {
    pub value: f64,
    pub low: f64,
    pub high: f64,
    pub warn: Option<f64>,
    pub crit: Option<f64>,
}

impl Display for Gauge {
    fn fmt(&self, f: &mut Formatter<'_>) -> fmt::Result {
        const W: f64 = 136.0;
        let x = |v: f64| {
            let part = (v - self.low) / (self.high - self.low);
            if part.is_finite() { part.clamp(0.0, 1.0) * W } else { 0.0 }
        };
        f.write_str(r#"<svg class="gauge" viewBox="0 0 136 16" aria-hidden="true"><rect class="tr" y="5" width="136" height="6" rx="3"/>"#)?;
        if let Some(warn) = self.warn {
            let end = self.crit.map_or(W, x);
            write!(
                f,
                r#"<rect class="w" x="{:.1}" y="5" width="{:.1}" height="6"/>"#,
                x(warn),
                (end - x(warn)).max(0.0)
            )?;
        }
        if let Some(crit) = self.crit {
            write!(f, r#"<rect class="c" x="{:.1}" y="5" width="{:.1}" height="6"/>"#, x(crit), W - x(crit))?;
        }
        let at = x(self.value);
        write!(
            f,
            r#"<rect class="vb" y="6.5" width="{at:.1}" height="3"/><rect class="v" x="{:.1}" y="1.5" width="2.5" height="13" rx="1"/></svg>"#,
            (at - 1.25).clamp(0.0, W - 2.5)
        )
    }
}

/// An instant: the clock in the text, ISO 8601 in the attribute, UTC in the title.
#[derive(Copy, Clone, Debug, Eq, PartialEq)]
pub struct When {
    pub at: Timestamp,
    pub now: Timestamp,
}

impl Display for When {
    fn fmt(&self, f: &mut Formatter<'_>) -> fmt::Result {
        if self.at == Timestamp::ZERO {
            return f.write_str("never");
        }
        let iso = self.at.to_rfc3339();
        write!(f, r#"<time datetime="{iso}" title="{iso}">{}</time>"#, words::clock(self.at, self.now))
    }
}

/// Time passed since an instant; the browser keeps it ticking. Its text never counts as a change of a fragment.
#[derive(Copy, Clone, Debug, Eq, PartialEq)]
pub struct Age {
    pub since: Timestamp,
    pub now: Timestamp,
}

impl Display for Age {
    fn fmt(&self, f: &mut Formatter<'_>) -> fmt::Result {
        if self.since == Timestamp::ZERO {
            return f.write_str("never");
        }
        let iso = self.since.to_rfc3339();
        write!(f, r#"<time datetime="{iso}" title="{iso}" data-age>{}</time>"#, words::age(self.now.since(self.since)))
    }
}

/// The HTML of a fragment without the text of its ages: equal stems mean nothing but time has passed.
pub fn without_ages(html: &str) -> String {
    const MARK: &str = " data-age>";
    let mut out = String::with_capacity(html.len());
    let mut rest = html;
    while let Some((head, tail)) = rest.split_once(MARK) {
        out.push_str(head);
        rest = tail.find('<').map_or("", |end| &tail[end..]);
    }
    out.push_str(rest);
    out
}

/// Inline Markdown of packs: `code` and *emphasis*; everything else is text.
pub struct Prose<'a>(pub &'a str);

impl Display for Prose<'_> {
    fn fmt(&self, f: &mut Formatter<'_>) -> fmt::Result {
        let mut rest = self.0;
        while let Some(start) = rest.find('`') {
            let after = &rest[start + 1..];
            let Some(end) = after.find('`') else { break };
            emphasis(&rest[..start], f)?;
            write!(f, "<code>{}</code>", Esc(&after[..end]))?;
            rest = &after[end + 1..];
        }
        emphasis(rest, f)
    }
}

fn emphasis(text: &str, f: &mut Formatter<'_>) -> fmt::Result {
    let mut rest = text;
    while let Some(start) = rest.find("**") {
        let after = &rest[start + 2..];
        let Some(end) = after.find("**").filter(|end| *end > 0) else { break };
        write!(f, "{}<b>{}</b>", Esc(&rest[..start]), Esc(&after[..end]))?;
        rest = &after[end + 2..];
    }
    write!(f, "{}", Esc(rest))
}

/// For templates: `{{ p::prose(text) }}`.
pub fn prose(text: &str) -> Prose<'_> {
    Prose(text)
}

macro_rules! html_safe {
    ($($t:ty),* $(,)?) => {$(impl HtmlSafe for $t {})*};
}
html_safe!(Mark, Glyph, Icon<'_>, Logo, Pill, Level, Tag, Pips, Gauge, When, Age, Prose<'_>, Esc<'_>);

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn outside_text_never_becomes_markup() {
        let tag = Tag::new("user", "<script>alert('x')</script>\"", "info").to_string();
        assert!(tag.contains("&lt;script&gt;alert(&#39;x&#39;)&lt;/script&gt;&quot;"), "{tag}");
        let prose = Prose("run `<b>` and **<i>** or `open").to_string();
        assert_eq!(prose, "run <code>&lt;b&gt;</code> and <b>&lt;i&gt;</b> or `open");
    }

    #[test]
    fn only_the_passing_of_time_leaves_the_stem_alone() {
        let at = Timestamp::from_secs(1_000_000);
        let html =
            |secs: i64| format!("<p>{}</p><b>7</b>", Age { since: at, now: Timestamp::from_secs(1_000_000 + secs) });
        assert_ne!(html(8), html(90));
        assert_eq!(without_ages(&html(8)), without_ages(&html(90)));
        assert!(without_ages(&html(8)).ends_with("</time></p><b>7</b>"), "{}", without_ages(&html(8)));
    }

    #[test]
    fn pips_turn_into_a_bar_when_they_would_not_fit() {
        let few = Pips { up: 1, unknown: 0, total: 2, need: 1 }.to_string();
        assert!(few.contains(r#"aria-label="1 of 2 up""#) && few.matches("<rect").count() == 2);
        let many = Pips { up: 16, unknown: 24, total: 40, need: 8 }.to_string();
        assert!(many.contains("8 needed") && many.contains(r#"class="need""#));
        assert_eq!(Pips::default().to_string(), "");
    }
}
