//! What surrounds every page: scope, vitals, navigation, who is signed in, the warning of lost persistence.

use std::sync::Arc;

use askama::Template;
use stentor_core::diagnosis::{Class, Evidence, Severity, Verdict};
use stentor_core::id::CloudId;
use stentor_core::model::Incident;
use stentor_core::snapshot::Snapshot;
use stentor_core::timeleft;
use stentor_core::{Span, Timestamp};

use crate::runbook::agents::Agents;
use crate::web::assets;
use crate::web::auth::{Role, Session};
use crate::web::filter::{Filter, Subject};
use crate::web::links::encode;
use crate::web::parts::{self as p, Glyph, Mark};
use crate::web::subject::{self, IncidentSubject};
use crate::web::words;

/// Agents that were silent for longer than this are counted as away (at pace 1).
const AGENT_QUIET: Span = Span::from_mins(3);

/// What is open; effects are shown with their cause and count nowhere.
pub const OPEN: &str = "is:open -is:effect";
/// What nobody has taken: the number in the navigation, the vitals and the banner.
pub const UNHANDLED: &str = "is:open -is:handled -is:effect";

/// One cloud, or all of them.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Scope {
    All,
    Cloud(CloudId, Arc<str>),
}

impl Scope {
    /// `all` or the name of a cloud; `None` if there is no such cloud.
    pub fn find(snapshot: &Snapshot, name: &str) -> Option<Scope> {
        if name == "all" {
            return Some(Scope::All);
        }
        let at = snapshot.catalog.clouds.iter().position(|cloud| &*cloud.name == name)?;
        Some(Scope::Cloud(CloudId::from_index(at), Arc::clone(&snapshot.catalog.clouds[at].name)))
    }

    /// Where `/` leads: the only cloud, or all.
    pub fn home(snapshot: &Snapshot) -> Scope {
        match snapshot.catalog.clouds.as_slice() {
            [only] => Scope::Cloud(CloudId::from_index(0), Arc::clone(&only.name)),
            _ => Scope::All,
        }
    }

    /// The scope that pages of one object show in their top bar.
    pub fn of_cloud(snapshot: &Snapshot, cloud: Option<CloudId>) -> Scope {
        match cloud.and_then(|id| snapshot.catalog.clouds.get(id.index()).map(|cloud| (id, cloud))) {
            Some((id, cloud)) => Scope::Cloud(id, Arc::clone(&cloud.name)),
            None => Scope::home(snapshot),
        }
    }

    pub fn cloud_name(&self) -> Option<&str> {
        match self {
            Scope::All => None,
            Scope::Cloud(_, name) => Some(name),
        }
    }

    pub fn cloud_id(&self) -> Option<CloudId> {
        match self {
            Scope::All => None,
            Scope::Cloud(id, _) => Some(*id),
        }
    }

    /// As in URLs.
    pub fn key(&self) -> String {
        self.cloud_name().map_or_else(|| "all".to_owned(), encode)
    }

    pub fn path(&self, rest: &str) -> String {
        format!("/c/{}{rest}", self.key())
    }

    /// A list with a filter.
    pub fn list(&self, noun: &str, query: &str) -> String {
        match query {
            "" => self.path(&format!("/{noun}")),
            query => self.path(&format!("/{noun}?q={}", encode(query))),
        }
    }

    pub fn contains(&self, cloud: Option<CloudId>) -> bool {
        match self {
            Scope::All => true,
            Scope::Cloud(id, _) => cloud == Some(*id),
        }
    }
}

/// Everything a view model is built from.
#[derive(Clone, Copy)]
pub struct Ctx<'a> {
    pub snapshot: &'a Snapshot,
    /// What agents say of themselves: not the engine's.
    pub agents: &'a Agents,
    pub now: Timestamp,
    pub scope: &'a Scope,
    /// For `owner:me`.
    pub me: &'a str,
}

impl<'a> Ctx<'a> {
    /// Incidents of the scope that a filter lets through, worst first. Lists and the numbers that link to them both
    /// come from here.
    pub fn incidents(&self, filter: &Filter) -> Vec<&'a Arc<Incident>> {
        let mut found = self.matching(filter);
        found.sort_by_cached_key(|incident| {
            let level = std::cmp::Reverse(p::Level::of(&incident.verdict));
            // In whole minutes: a trend that wavers by seconds must not make rows change places.
            let deadline = timeleft::deadline(self.snapshot, incident).map(|at| at.as_secs() / 60);
            let left = (deadline.is_none(), deadline);
            (level, std::cmp::Reverse(incident.severity()), left, incident.opened_at, incident.number)
        });
        found
    }

    /// The same in no order.
    fn matching(&self, filter: &Filter) -> Vec<&'a Arc<Incident>> {
        let found = self
            .snapshot
            .incidents
            .values()
            .filter(|incident| subject::in_scope(incident, self.scope.cloud_name()))
            .filter(|incident| {
                let subject = IncidentSubject { snapshot: self.snapshot, incident, now: self.now };
                filter.matches(&subject, self.me)
            });
        found.collect()
    }

    pub fn incident_subject(&self, incident: &'a Incident) -> IncidentSubject<'a> {
        IncidentSubject { snapshot: self.snapshot, incident, now: self.now }
    }

    /// Live incidents by filter text, for numbers on links.
    pub fn count_incidents(&self, query: &str) -> usize {
        self.matching(&Filter::parse(query)).len()
    }
}

/// A number that is a link to the rows it counts.
#[derive(Clone, Debug, PartialEq)]
pub struct Counted {
    pub mark: Mark,
    pub count: String,
    pub href: String,
    pub label: &'static str,
}

#[derive(Template)]
#[template(path = "frag_vitals.html")]
pub struct Vitals {
    pub counts: Vec<Counted>,
}

/// What the vitals count; the links carry the same text.
const VITALS: [(Mark, &str, &str); 3] = [
    (Mark::Crit, "critical unhandled", "is:open -is:handled -is:effect state:critical"),
    (Mark::Warn, "warning unhandled", "is:open -is:handled -is:effect state:warning"),
    (Mark::Unk, "unknown unhandled", "is:open -is:handled -is:effect state:unknown"),
];

impl Vitals {
    pub fn build(ctx: Ctx<'_>) -> Vitals {
        let counts = VITALS.map(|(mark, label, query)| Counted {
            mark,
            label,
            count: words::count(ctx.count_incidents(query) as u64),
            href: ctx.scope.list("incidents", query),
        });
        Vitals { counts: counts.into() }
    }
}

#[derive(Template)]
#[template(path = "frag_degraded.html")]
pub struct Degraded {
    pub why: Option<Arc<str>>,
    /// Why the configuration on disk is not in force.
    pub refused: Option<Arc<str>>,
}

impl Degraded {
    pub fn build(ctx: Ctx<'_>) -> Degraded {
        Degraded { why: ctx.snapshot.degraded.clone(), refused: ctx.snapshot.refused.clone() }
    }
}

#[derive(Template)]
#[template(path = "frag_foot.html")]
pub struct Foot {
    pub seq: String,
    pub news: p::When,
    pub agents: Option<String>,
    pub results: String,
}

impl Foot {
    pub fn build(ctx: Ctx<'_>) -> Foot {
        let quiet = AGENT_QUIET.at_pace(ctx.snapshot.catalog.timing.pace);
        let agents = &ctx.snapshot.agents;
        let heard = agents.values().filter(|at| ctx.now.since(**at) <= quiet).count();
        Foot {
            seq: words::count(ctx.snapshot.seq),
            news: p::When { at: ctx.snapshot.at, now: ctx.now },
            agents: (!agents.is_empty()).then(|| format!("{heard} of {} agents reporting", agents.len())),
            results: words::count(ctx.snapshot.counters.results_applied),
        }
    }
}

#[derive(Clone, Debug, PartialEq)]
pub struct NavItem {
    pub href: String,
    pub icon: &'static str,
    pub label: &'static str,
    /// Key after `g`.
    pub go: &'static str,
    pub current: bool,
    pub count: Option<String>,
    /// Shown in the bar of phones.
    pub tab: bool,
}

#[derive(Clone, Debug, PartialEq)]
pub struct ScopeLink {
    pub href: String,
    pub label: String,
    pub note: String,
    pub mark: Option<Glyph>,
}

pub struct Shell {
    pub css: &'static str,
    pub js: &'static str,
    pub scope_label: String,
    pub scope_sub: String,
    pub scopes: Vec<ScopeLink>,
    pub worst: Mark,
    pub clock: String,
    pub user: Arc<str>,
    pub role: &'static str,
    pub csrf: String,
    /// False for viewers: forms are shown as text with the reason.
    pub may_act: bool,
    pub main: Vec<NavItem>,
    pub estate: Vec<NavItem>,
    pub plan: Vec<NavItem>,
    pub search: String,
    pub stream: String,
    pub vitals: Vitals,
    pub degraded: Degraded,
    pub foot: Foot,
    pub done: Option<&'static str>,
}

/// Which entry of the navigation a page belongs to.
#[derive(Copy, Clone, Debug, Eq, PartialEq)]
pub enum Section {
    Overview,
    Incidents,
    Matrix,
    Hosts,
    Services,
    Topology,
    Design,
    Downtimes,
    Drills,
    Availability,
    WhatIf,
    Runbooks,
    Demo,
}

impl Shell {
    /// `live` names the fragments of this page beside those of the shell; `more` are further parameters of the stream.
    pub fn build(ctx: Ctx<'_>, session: &Session, section: Section, live: &[&str], more: &str) -> Shell {
        let mut ids = vec!["vitals", "degraded", "foot"];
        ids.extend(live);
        let unhandled = ctx.count_incidents(UNHANDLED);
        let item = |section_of, rest: &str, icon, label, go, tab| NavItem {
            href: ctx.scope.path(rest),
            icon,
            label,
            go,
            current: section == section_of,
            count: None,
            tab,
        };
        let incidents = NavItem {
            href: ctx.scope.list("incidents", UNHANDLED),
            count: (unhandled > 0).then(|| words::count(unhandled as u64)),
            ..item(Section::Incidents, "", "inc", "Incidents", "i", true)
        };
        let (scope_label, scope_sub) = scope_words(ctx);
        Shell {
            css: assets::url("stentor.css"),
            js: assets::url("app.js"),
            scope_label,
            scope_sub,
            scopes: scope_links(ctx.snapshot),
            worst: worst_unhandled(ctx),
            clock: words::clock_of_day(ctx.now),
            user: Arc::clone(&session.user),
            role: session.role.as_str(),
            csrf: session.csrf.clone(),
            may_act: session.role >= Role::Operator,
            main: vec![
                item(Section::Overview, "", "home", "Overview", "o", true),
                incidents,
                item(Section::Matrix, "/matrix", "mx", "Matrix", "m", true),
            ],
            estate: vec![
                item(Section::Hosts, "/hosts", "host", "Hosts", "h", false),
                item(Section::Services, "/services", "svc", "Services", "s", true),
                item(Section::Topology, "/topology", "site", "Topology", "t", false),
            ],
            plan: vec![
                item(Section::Design, "/design", "hw", "Weak points", "p", false),
                item(Section::Downtimes, "/downtimes", "cal", "Downtimes", "d", false),
                item(Section::Drills, "/drills", "life", "Drills", "l", false),
                item(Section::Availability, "/availability", "rep", "Availability", "a", false),
                item(Section::WhatIf, "/what-if", "pow", "What if", "w", false),
                // Packs belong to no cloud.
                NavItem { href: "/runbooks".to_owned(), ..item(Section::Runbooks, "", "book", "Runbooks", "r", false) },
            ],
            search: ctx.scope.path(""),
            stream: format!("/stream?v={}&c={}&since={}{more}", ids.join(","), ctx.scope.key(), ctx.snapshot.seq),
            vitals: Vitals::build(ctx),
            degraded: Degraded::build(ctx),
            foot: Foot::build(ctx),
            done: None,
        }
    }

    /// Adds the entry of the demo's own pages.
    #[must_use]
    pub fn with_demo(mut self, is_current: bool) -> Shell {
        self.main.push(NavItem {
            href: "/demo".to_owned(),
            icon: "play",
            label: "Demo",
            go: "x",
            current: is_current,
            count: None,
            tab: true,
        });
        self
    }

    /// Says what the form before this page did; only known words, never text from the address.
    #[must_use]
    pub fn after(mut self, done: Option<&str>) -> Shell {
        self.done = match done {
            Some("acknowledged") => Some("Acknowledged."),
            Some("unacknowledged") => Some("The acknowledgement is withdrawn."),
            Some("note") => Some("The note is in the timeline."),
            Some("downtime") => Some("The downtime is scheduled."),
            Some("run") => Some("The runbook is started. Every step says what is next."),
            Some("drill") => Some("The drill is recorded."),
            Some("cancelled") => Some("The downtime is cancelled."),
            Some("check") => Some("A check has been asked for. Its result shows here as soon as it is in."),
            _ => None,
        };
        self
    }
}

fn scope_words(ctx: Ctx<'_>) -> (String, String) {
    let catalog = &ctx.snapshot.catalog;
    match ctx.scope.cloud_id().and_then(|id| catalog.clouds.get(id.index())) {
        Some(cloud) => (cloud.name.to_string(), words::sentence(&cloud.platform)),
        None if catalog.clouds.is_empty() => ("This site".to_owned(), catalog.site.to_string()),
        None => ("All clouds".to_owned(), words::plural(catalog.clouds.len(), "cloud", "clouds")),
    }
}

fn scope_links(snapshot: &Snapshot) -> Vec<ScopeLink> {
    let catalog = &snapshot.catalog;
    let services = words::plural(catalog.services.len(), "service", "services");
    let mut links =
        vec![ScopeLink { href: "/c/all".to_owned(), label: "All clouds".to_owned(), note: services, mark: None }];
    for (i, cloud) in catalog.clouds.iter().enumerate() {
        let mark = snapshot.clouds.get(i).map(super::overview::core_mark);
        links.push(ScopeLink {
            href: format!("/c/{}", encode(&cloud.name)),
            label: cloud.name.to_string(),
            note: words::sentence(&cloud.platform),
            mark: mark.map(Mark::glyph),
        });
    }
    links
}

/// The colour of the line on top of every page.
fn worst_unhandled(ctx: Ctx<'_>) -> Mark {
    let open = ctx.matching(&Filter::parse(UNHANDLED));
    let worst = open.iter().map(|incident| incident.severity()).max();
    worst.filter(|severity| *severity > Severity::Info).map_or(Mark::Ok, Mark::of_severity)
}

/// One incident of a list.
#[derive(Template, Clone, Debug, PartialEq)]
#[template(path = "incident_row.html")]
pub struct IncidentRow {
    pub id: String,
    pub href: String,
    pub pill: p::Pill,
    pub title: String,
    pub level: p::Level,
    pub why: String,
    pub tags: Vec<p::Tag>,
    pub age: p::Age,
    pub handled: bool,
}

/// Characters of a title and of a reason in lists.
const TITLE_CHARS_MAX: usize = 90;
const REASON_CHARS_MAX: usize = 110;

impl IncidentRow {
    pub fn build(ctx: Ctx<'_>, incident: &Incident) -> IncidentRow {
        let handled = subject::is_handled(ctx.snapshot, incident);
        let subject = ctx.incident_subject(incident);
        let mut tags: Vec<p::Tag> = super::time_left::tag(ctx, incident).into_iter().collect();
        if let Some(ack) = &incident.ack {
            let until = ack.until.map(|until| format!(" until {}", words::clock(until, ctx.now))).unwrap_or_default();
            tags.push(p::Tag::new("user", format!("{}{until}", ack.by), "info"));
        }
        if subject::in_downtime(ctx.snapshot, incident) {
            tags.push(p::Tag::new("dt", "In downtime", ""));
        }
        if subject.is(crate::web::filter::Fact::Flapping) {
            tags.push(p::Tag::new("flap", "Flapping", ""));
        }
        if subject.is(crate::web::filter::Fact::Recovering) {
            tags.push(p::Tag::new("check", "Recovering", ""));
        }
        if incident.stage == stentor_core::model::Stage::FailingOver {
            tags.push(p::Tag::new("life", "Failing over", "warn"));
        }
        if let Some(root) = incident.root {
            tags.push(p::Tag::new("link", format!("Effect of INC-{root}"), ""));
        }
        if ctx.scope.cloud_name().is_none() && ctx.snapshot.catalog.clouds.len() > 1 {
            tags.extend(incident.cloud.iter().map(|cloud| p::Tag::new("site", cloud.to_string(), "")));
        }
        IncidentRow {
            id: format!("INC-{}", incident.number),
            href: format!("/i/{}", incident.number),
            pill: p::Pill::of_severity(incident.severity(), handled),
            title: words::cut(&incident.title, TITLE_CHARS_MAX),
            level: p::Level::of(&incident.verdict),
            why: words::cut(&words::line(&reason(incident)), REASON_CHARS_MAX),
            tags,
            age: p::Age { since: incident.opened_at, now: ctx.now },
            handled,
        }
    }
}

/// The fact that tells most about a class; evidence has the tellers of trouble first.
fn strongest(verdict: &Verdict) -> Option<&Evidence> {
    let telling = match verdict.class {
        Class::ServerDown | Class::PowerEvent => "power",
        Class::ResourceUnavailable | Class::ResourceAtRisk => "resource",
        Class::SoftwareDown => "process",
        _ => "",
    };
    verdict.evidence.iter().find(|evidence| evidence.sig == telling).or_else(|| verdict.evidence.first())
}

/// The strongest fact and how much is folded in.
pub fn reason(incident: &Incident) -> String {
    let verdict = &incident.verdict;
    let mut parts: Vec<String> = Vec::new();
    if let Some(evidence) = strongest(verdict) {
        let value = words::value(words::without_state_prefix(&evidence.value));
        parts.push(format!("{} {}: {value}", evidence.at, words::spaced(&evidence.sig)));
    } else if !verdict.subtype.is_empty() {
        parts.push(words::sentence(&words::spaced(&verdict.subtype)));
    }
    if let Some((left, of)) = verdict.redundancy {
        parts.push(format!("{left} of {of} left"));
    }
    if !verdict.suppressed.is_empty() {
        parts.push(format!("{} folded in", words::plural(verdict.suppressed.len(), "effect", "effects")));
    }
    parts.join(" · ")
}
