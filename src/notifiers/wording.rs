//! What a message about an incident says, for every channel that speaks to people. Words of DESIGN, section 10.

use stentor_core::diagnosis::{CoreState, Impact, Suppressed, Visibility};
use stentor_core::model::{Incident, Reason};
use stentor_core::{Span, Timestamp};

use super::{Message, TEXT_BYTES_MAX, cut};

/// Evidence and effects named in a message; the rest is counted.
const ITEMS_SHOWN: usize = 12;
/// A title has at most 60 characters where names allow; this only stops a header from running away.
const LINE_BYTES_MAX: usize = 300;

/// One message in words, every piece safe for a single line unless it says otherwise.
#[derive(Debug)]
pub struct Wording {
    /// `[Stentor ECC] CRITICAL, degraded: clc on clc1 is down (INC-17)`
    pub subject: String,
    /// `CRITICAL, degraded`, `RESTORED after 26 min`, `ACKNOWLEDGED by mara`
    pub headline: String,
    pub title: String,
    pub number: u64,
    /// `ECC, site osl1, INC-17`
    pub place: String,
    pub users_notice: String,
    /// Rows of the table: name and text; a text may have several lines.
    pub rows: Vec<(&'static str, String)>,
    /// Ready to be shown one under the other; each may have several lines.
    pub steps: Vec<String>,
    /// Empty where there is nothing to do or no base URL is known.
    pub ack_url: String,
    pub open_url: String,
    pub why: String,
}

/// Puts a message into words.
pub fn wording(message: &Message) -> Wording {
    let notification = &message.notification;
    let incident = &*notification.incident;
    let cloud = incident.cloud.as_deref().unwrap_or(&message.instance);
    let headline = headline(message);
    if notification.reason == Reason::Test {
        return test_wording(message, headline);
    }
    let title = line(&incident.title);
    let base = message.url.trim_end_matches('/');
    let page = format!("{base}/i/{}", incident.number);
    let actionable = matches!(notification.reason, Reason::Problem | Reason::Changed | Reason::Renotify);
    let steps = if actionable { message.steps.iter().map(|step| block(step)).collect() } else { Vec::new() };
    Wording {
        subject: line(&format!("[Stentor {cloud}] {headline}: {title} (INC-{})", incident.number)),
        headline,
        title,
        number: incident.number,
        place: place(message),
        users_notice: block(&incident.users_notice),
        rows: rows(message),
        steps,
        ack_url: if base.is_empty() || !actionable { String::new() } else { format!("{page}/ack") },
        open_url: if base.is_empty() { String::new() } else { page },
        why: why(message),
    }
}

/// A test names no incident, asks for nothing and leads nowhere.
fn test_wording(message: &Message, headline: String) -> Wording {
    let notification = &message.notification;
    let title = line(&notification.incident.title);
    let by = notification.by.as_deref().unwrap_or("somebody");
    Wording {
        subject: line(&format!("[Stentor {}] {headline}: {title}", message.instance)),
        headline,
        title,
        number: notification.incident.number,
        place: line(&message.instance),
        users_notice: String::new(),
        rows: vec![
            ("Sent by", line(by)),
            ("Channel", line(&notification.channel)),
            ("Sent at", clock(notification.created_at)),
        ],
        steps: Vec::new(),
        ack_url: String::new(),
        open_url: String::new(),
        why: why(message),
    }
}

fn headline(message: &Message) -> String {
    let notification = &message.notification;
    let incident = &*notification.incident;
    let now = state_words(incident);
    let text = match notification.reason {
        Reason::Problem => now,
        Reason::Changed => format!("CHANGED to {now}"),
        Reason::Renotify => format!("STILL {now} after {}", age(notification.created_at.since(incident.opened_at))),
        Reason::Acknowledgement => {
            format!("ACKNOWLEDGED by {}", notification.by.as_deref().unwrap_or("somebody"))
        }
        Reason::Recovery => {
            let end = incident.resolved_at.unwrap_or(notification.created_at);
            format!("RESTORED after {}", age(end.since(incident.opened_at)))
        }
        Reason::Test => "TEST".to_owned(),
    };
    line(&text)
}

/// `CRITICAL, degraded`; redundancy that is gone unseen is `WARNING, at risk`.
fn state_words(incident: &Incident) -> String {
    let verdict = &incident.verdict;
    let severity = verdict.severity.as_str().to_uppercase();
    let service = match (verdict.visibility, verdict.core) {
        (Visibility::Invisible, _) => "at risk",
        (Visibility::Visible, CoreState::Degraded) => "degraded",
        (Visibility::Visible, CoreState::Unavailable) => "unavailable",
        (Visibility::Visible, CoreState::Available | CoreState::Unknown) => match verdict.impact {
            Impact::None => return severity,
            Impact::Capacity => "less capacity",
            Impact::Partial => "partly down",
            Impact::Full => "down",
            Impact::Site => "site down",
        },
    };
    format!("{severity}, {service}")
}

fn place(message: &Message) -> String {
    let incident = &*message.notification.incident;
    let mut parts = vec![incident.cloud.as_deref().unwrap_or(&message.instance).to_owned()];
    parts.extend(incident.site.iter().map(|site| format!("site {site}")));
    parts.extend(incident.zone.iter().map(|zone| format!("zone {zone}")));
    parts.push(format!("INC-{}", incident.number));
    line(&parts.join(", "))
}

fn rows(message: &Message) -> Vec<(&'static str, String)> {
    let notification = &message.notification;
    let incident = &*notification.incident;
    let verdict = &incident.verdict;
    let mut rows = Vec::new();
    let mut row = |name, text: String| {
        if !text.is_empty() {
            rows.push((name, text));
        }
    };
    if let Some(by) = &notification.by {
        row("By", line(by));
    }
    row("Note", notification.comment.as_deref().map_or_else(String::new, block));
    row("Component", component(incident));
    row("Failure", failure(incident));
    row("Impact", impact(incident));
    let business: Vec<String> = incident.business.iter().map(|name| line(name)).collect();
    row("Services", listed(&business, ", "));
    let evidence: Vec<String> =
        verdict.evidence.iter().map(|seen| format!("{} {}: {}", seen.at, seen.sig, seen.value)).collect();
    row("Evidence", listed(&evidence, "\n"));
    let effects: Vec<String> = verdict.suppressed.iter().map(effect).collect();
    if !effects.is_empty() {
        row("Effects", format!("{} folded in: {}", effects.len(), listed(&effects, ", ")));
    }
    row("Since", clock(incident.opened_at));
    if let Some(ended) = incident.resolved_at {
        row("Until", clock(ended));
        row("Ended by", incident.timeline.last().map_or_else(String::new, |entry| line(&entry.text)));
    }
    row("Owner", incident.owner.as_deref().map_or_else(String::new, line));
    rows
}

fn component(incident: &Incident) -> String {
    let target = &incident.verdict.target;
    let text = match (&target.component, &target.host) {
        (Some(component), Some(host)) => format!("{component} on {host}"),
        (Some(one), None) | (None, Some(one)) => one.to_string(),
        (None, None) => String::new(),
    };
    line(&text)
}

/// `software down, process_gone (cell eucalyptus/clc/software)`
fn failure(incident: &Incident) -> String {
    let verdict = &incident.verdict;
    let mut text = verdict.class.as_str().replace('_', " ");
    if !verdict.subtype.is_empty() {
        text.push_str(&format!(", {}", verdict.subtype));
    }
    if let Some(cell) = &verdict.cell {
        text.push_str(&format!(" (cell {cell})"));
    }
    line(&text)
}

fn impact(incident: &Incident) -> String {
    let verdict = &incident.verdict;
    let left = verdict.redundancy.map(|(left, of)| format!(", {left} of {of} left")).unwrap_or_default();
    format!("{}, Core {}{left}", verdict.impact.as_str(), verdict.core.as_str())
}

fn effect(suppressed: &Suppressed) -> String {
    let host = suppressed.host.as_deref().unwrap_or("?");
    match &suppressed.component {
        Some(component) => format!("{component} on {host}"),
        None => host.to_owned(),
    }
}

fn listed(items: &[String], separator: &str) -> String {
    let mut shown: Vec<String> = items.iter().take(ITEMS_SHOWN).map(|item| block(item)).collect();
    if items.len() > ITEMS_SHOWN {
        shown.push(format!("and {} more", items.len() - ITEMS_SHOWN));
    }
    cut(&shown.join(separator), TEXT_BYTES_MAX).into_owned()
}

fn why(message: &Message) -> String {
    let notification = &message.notification;
    let reason = match notification.reason {
        Reason::Problem => "a new incident reaches",
        Reason::Changed => "an incident that reached you changed, and its route names",
        Reason::Renotify => "an incident is still open and nobody has it; its route names",
        Reason::Acknowledgement => "somebody took an incident that reached",
        Reason::Recovery => "an incident ended that reached",
        Reason::Test => "somebody tries the channel of",
    };
    line(&format!("You get this because {reason} the contact {}.", notification.contact))
}

/// Two units below a day, one above; seconds only under ten minutes.
pub fn age(span: Span) -> String {
    let secs = span.as_millis().max(0) / 1000;
    let (mins, hours, days) = (secs / 60, secs / 3600, secs / 86_400);
    match () {
        () if secs < 60 => format!("{secs} s"),
        () if mins < 10 && secs % 60 != 0 => format!("{mins} min {} s", secs % 60),
        () if mins < 60 => format!("{mins} min"),
        () if hours < 24 && mins % 60 != 0 => format!("{hours} h {} min", mins % 60),
        () if hours < 24 => format!("{hours} h"),
        () => format!("{days} d"),
    }
}

fn clock(at: Timestamp) -> String {
    match jiff::Timestamp::from_millisecond(at.as_millis()) {
        Ok(instant) => instant.strftime("%a %-d %b %Y %H:%M:%S UTC").to_string(),
        Err(_) => at.to_rfc3339(),
    }
}

/// Foreign text for one line: no control characters (a CR or LF would start a header of its own), of bounded length.
pub fn line(text: &str) -> String {
    let clean: String = text.chars().map(|c| if c.is_control() || is_line_break(c) { ' ' } else { c }).collect();
    cut(clean.trim(), LINE_BYTES_MAX).into_owned()
}

/// Foreign text of several lines: no control characters but LF and tab, of bounded length.
pub fn block(text: &str) -> String {
    let text = text.replace("\r\n", "\n");
    let clean: String = text.chars().map(|c| if c.is_control() && c != '\n' && c != '\t' { ' ' } else { c }).collect();
    cut(clean.trim_end(), TEXT_BYTES_MAX).into_owned()
}

/// Unicode's own line and paragraph separators, which some mail programs obey.
const fn is_line_break(c: char) -> bool {
    matches!(c, '\u{2028}' | '\u{2029}' | '\u{85}')
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ages_read_as_people_say_them() {
        for (secs, text) in [
            (-5, "0 s"),
            (8, "8 s"),
            (112, "1 min 52 s"),
            (120, "2 min"),
            (26 * 60 + 3, "26 min"),
            (8040, "2 h 14 min"),
            (7200, "2 h"),
            (3 * 86_400 + 7200, "3 d"),
        ] {
            assert_eq!(age(Span::from_secs(secs)), text);
        }
    }

    #[test]
    fn one_line_stays_one_line() {
        assert_eq!(line("a\r\nBcc: x@y\0\u{2028}z"), "a  Bcc: x@y  z");
        let long = line(&"ä".repeat(400));
        assert!(long.len() < 340 && long.ends_with("bytes cut]"), "{long}");
        assert_eq!(block("a\r\nb\tc\x07"), "a\nb\tc");
    }
}
