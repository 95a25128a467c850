//! `/c/{cloud}`: is the cloud there for its users, and what needs me?

use askama::Template;
use stentor_core::Timestamp;
use stentor_core::diagnosis::{Class, CoreState, TargetKind, Visibility};
use stentor_core::id::{CloudId, ServiceId, ZoneId};
use stentor_core::model::Incident;
use stentor_core::snapshot::{CloudStatus, Snapshot};

use super::hosts::HostsTable;
use super::services::ServicesTable;
use super::shell::{Ctx, IncidentRow, OPEN, Scope, Shell, UNHANDLED};
use crate::web::board::{self, Board, BoardRow};
use crate::web::filter::{Fact, Filter, Subject};
use crate::web::links::encode;
use crate::web::parts::{self as p, Level, Mark, Pips};
use crate::web::subject;
use crate::web::words;

/// Incidents on the overview; the rest is one link away.
const INCIDENTS_MAX: usize = 7;
/// Rows of "redundancy at risk".
const RISKS_MAX: usize = 8;
/// Lines of the banner, and the characters of one.
const NOTICES_MAX: usize = 3;
const NOTICE_CHARS_MAX: usize = 180;
/// Reasons in the banner's heading; the matrix below shows them all.
const REASONS_MAX: usize = 3;

#[derive(Template)]
#[template(path = "overview.html")]
pub struct OverviewPage {
    pub shell: Shell,
    pub title: String,
    pub core: CoreFragment,
    pub incidents: IncidentsFragment,
    pub risk: RiskFragment,
    pub matrix: MatrixFragment,
    pub sites: SitesFragment,
    pub setup: Option<SetUp>,
    /// Weak points of the design: how many, and where they are told.
    pub design: Option<(String, String)>,
    pub machine: Option<Machine>,
}

/// Shown instead of a cloud: the hosts that are watched and their services.
pub struct Machine {
    pub hosts: HostsTable,
    pub services: ServicesTable,
}

/// What to do while no cloud is configured.
pub struct SetUp {
    pub hosts: usize,
    pub services: usize,
    pub services_href: String,
    pub hosts_href: String,
    /// Somebody can be told.
    pub has_contacts: bool,
}

pub fn build(ctx: Ctx<'_>, shell: Shell) -> OverviewPage {
    let catalog = &ctx.snapshot.catalog;
    let open = ctx.count_incidents(UNHANDLED);
    let setup = catalog.clouds.is_empty().then(|| SetUp {
        hosts: catalog.hosts.len(),
        services: catalog.services.len(),
        services_href: ctx.scope.list("services", ""),
        hosts_href: ctx.scope.list("hosts", ""),
        has_contacts: !catalog.contacts.is_empty() && !catalog.routes.is_empty(),
    });
    OverviewPage {
        shell,
        title: if open > 0 { format!("({open}) Overview") } else { "Overview".to_owned() },
        core: CoreFragment::build(ctx),
        incidents: IncidentsFragment::build(ctx),
        risk: RiskFragment::build(ctx),
        matrix: MatrixFragment::build(ctx),
        sites: SitesFragment::build(ctx),
        design: super::design::note(ctx),
        machine: setup.is_some().then(|| Machine {
            hosts: HostsTable::build(ctx, &Filter::default(), None),
            services: ServicesTable::build(ctx, "", &Filter::default(), None).0,
        }),
        setup,
    }
}

/// The clouds of a scope.
pub fn clouds_of(ctx: Ctx<'_>) -> Vec<CloudId> {
    let all = 0..ctx.snapshot.catalog.clouds.len();
    all.map(CloudId::from_index).filter(|id| ctx.scope.contains(Some(*id))).collect()
}

/// The state of a cloud's core as a mark; lost reserve is a warning although users notice nothing.
pub fn core_mark(status: &CloudStatus) -> Mark {
    match status.core {
        CoreState::Available if status.diagnosis.redundancy_lost => Mark::Warn,
        CoreState::Available => Mark::Ok,
        CoreState::Degraded => Mark::Warn,
        CoreState::Unavailable => Mark::Crit,
        CoreState::Unknown => Mark::Unk,
    }
}

#[derive(Template)]
#[template(path = "frag_core.html")]
pub struct CoreFragment {
    pub banners: Vec<Banner>,
}

pub struct Banner {
    pub id: String,
    pub mark: Mark,
    pub verdict: String,
    pub notice: Vec<String>,
    pub quiet: Option<Quiet>,
    pub since: p::Age,
    pub open: String,
    pub open_href: String,
    pub open_label: String,
    pub tiles: Vec<Tile>,
}

/// No open incidents, and how fresh that is.
pub struct Quiet {
    pub since: Option<p::Age>,
    pub checked: Option<p::Age>,
}

pub struct Tile {
    pub href: String,
    pub margin: String,
    pub mark: Mark,
    pub name: String,
    pub pips: Pips,
    pub note: String,
}

impl CoreFragment {
    pub fn build(ctx: Ctx<'_>) -> CoreFragment {
        let banner = |id: CloudId| Banner::build(ctx, id, ctx.snapshot.clouds.get(id.index())?);
        CoreFragment { banners: clouds_of(ctx).into_iter().filter_map(banner).collect() }
    }
}

impl Banner {
    fn build(ctx: Ctx<'_>, id: CloudId, status: &CloudStatus) -> Option<Banner> {
        let cloud = ctx.snapshot.catalog.clouds.get(id.index())?;
        let scope = Scope::Cloud(id, cloud.name.clone());
        let here = Ctx { scope: &scope, ..ctx };
        let board = board::board(ctx.snapshot, id);
        let core_rows: Vec<&BoardRow> =
            board.iter().flat_map(|board| &board.rows).filter(|row| row.core && row.is_deployed()).collect();
        let open = here.incidents(&Filter::parse(OPEN));
        let unhandled = here.count_incidents(UNHANDLED);
        let mut notice: Vec<String> = Vec::new();
        for incident in &open {
            let text = incident.users_notice.trim();
            if Level::of(&incident.verdict) >= Level::AtRisk && !text.is_empty() && !notice.iter().any(|n| n == text) {
                notice.push(noticed(ctx.snapshot, incident, text));
            }
        }
        notice.truncate(NOTICES_MAX);
        Some(Banner {
            id: format!("core-{}", id.0),
            mark: core_mark(status),
            verdict: verdict_words(&cloud.name, status, &core_rows),
            notice,
            quiet: open.is_empty().then(|| quiet(here)),
            since: p::Age { since: status.core_since, now: ctx.now },
            open: words::count(unhandled as u64),
            open_href: scope.list("incidents", UNHANDLED),
            open_label: match open.len() {
                0 => "open incidents".to_owned(),
                n => format!("of {} unhandled", words::plural(n, "incident", "incidents")),
            },
            tiles: core_rows.iter().map(|row| tile(&scope, row)).collect(),
        })
    }
}

/// What users notice of one incident: the component and the first sentence; the incident's page has the rest.
fn noticed(snapshot: &Snapshot, incident: &Incident, text: &str) -> String {
    // Its first sentence is "Nothing yet": of what?
    if incident.verdict.visibility == Visibility::Invisible {
        return format!("{}: users notice nothing yet", words::cut(&incident.title, NOTICE_CHARS_MAX));
    }
    // A resource's cell tells of every resource that may go; the title says which one did.
    if incident.verdict.cell.as_deref().is_some_and(|cell| cell.ends_with("/resource")) {
        return words::cut(&incident.title, NOTICE_CHARS_MAX);
    }
    let first = words::cut(words::first_sentence(text), NOTICE_CHARS_MAX);
    let name = incident.verdict.cell.as_deref().and_then(|cell| {
        let mut parts = cell.split('/');
        let (platform, key) = (parts.next()?, parts.next()?);
        let platform = snapshot.catalog.platforms.iter().find(|known| &*known.key == platform)?;
        platform.components.iter().find(|component| &*component.key == key)
    });
    match name {
        Some(component) => format!("{}: {first}", short_name(&component.name)),
        None => first,
    }
}

/// The one sentence: *available*, *available, with no reserve in N core services*, *degraded: …*, *down: …*, *cannot tell*.
fn verdict_words(cloud: &str, status: &CloudStatus, core: &[&BoardRow]) -> String {
    let reasons = &status.diagnosis.core_because;
    let mut because = reasons.iter().take(REASONS_MAX).map(String::as_str).collect::<Vec<_>>().join("; ");
    if let Some(more) = reasons.len().checked_sub(REASONS_MAX).filter(|more| *more > 0) {
        because.push_str(&format!("; {more} more"));
    }
    let with = |state: &str| match because.as_str() {
        "" => format!("{cloud} is {state}"),
        because => format!("{cloud} is {state}: {because}"),
    };
    match status.core {
        CoreState::Available => match core.iter().filter(|row| row.is_without_reserve()).count() {
            0 if status.diagnosis.redundancy_lost => format!("{cloud} is available, with less reserve than planned"),
            0 => format!("{cloud} is available"),
            1 => format!("{cloud} is available, with no reserve in one core service"),
            n => format!("{cloud} is available, with no reserve in {} core services", words::small(n)),
        },
        CoreState::Degraded => with("degraded"),
        CoreState::Unavailable => with("down"),
        CoreState::Unknown if because.is_empty() => format!("Cannot tell whether {cloud} is available"),
        CoreState::Unknown => format!("Cannot tell whether {cloud} is available: {because}"),
    }
}

fn quiet(ctx: Ctx<'_>) -> Quiet {
    let ended = ctx.incidents(&Filter::parse("is:closed")).iter().filter_map(|incident| incident.resolved_at).max();
    let hosts = &ctx.snapshot.catalog.hosts;
    let services = ctx.snapshot.catalog.services.iter().zip(&ctx.snapshot.services);
    let checked = services
        .filter(|(service, _)| ctx.scope.contains(hosts[service.host.index()].cloud))
        .map(|(_, row)| row.last_check)
        .max()
        .filter(|at| *at > Timestamp::ZERO);
    Quiet {
        since: ended.map(|since| p::Age { since, now: ctx.now }),
        checked: checked.map(|since| p::Age { since, now: ctx.now }),
    }
}

fn tile(scope: &Scope, row: &BoardRow) -> Tile {
    let Pips { up, unknown, total, need } = row.pips;
    let margin = row.margin();
    let single = total == 1;
    let note = if up < need && unknown > 0 {
        format!("{up} seen, {need} needed")
    } else if up < need {
        if up == 0 { "None left".to_owned() } else { format!("{up} of {need} needed") }
    } else if single {
        "Single by design".to_owned()
    } else if unknown > 0 {
        format!("{up} seen, {need} needed")
    } else if margin == 0 {
        "No spare left".to_owned()
    } else {
        format!("Can lose {margin} more")
    };
    // Out of service through something else's fault is out of service all the same.
    let lost = if unknown > 0 || up >= need {
        Mark::Ok
    } else if up == 0 {
        Mark::Crit
    } else {
        Mark::Warn
    };
    Tile {
        href: scope.path(&format!("/matrix#{}", encode(&row.key))),
        margin: if single { "s".to_owned() } else { margin.max(0).to_string() },
        mark: row.mark.max(lost),
        name: tile_name(&row.name),
        pips: row.pips,
        note,
    }
}

/// Tiles are narrow: `User Facing Services (UFS)` -> `User Facing`.
fn tile_name(name: &str) -> String {
    let name = short_name(name);
    let stem = [" Controller", " Services", " Service"].iter().find_map(|tail| name.strip_suffix(tail));
    stem.map(str::to_owned).unwrap_or(name)
}

/// `Cluster Controller (CC)` -> `Cluster Controller`
pub fn short_name(name: &str) -> String {
    name.split(" (").next().unwrap_or(name).to_owned()
}

#[derive(Template)]
#[template(path = "frag_incidents.html")]
pub struct IncidentsFragment {
    pub rows: Vec<IncidentRow>,
    pub open: String,
    pub unhandled: String,
    pub open_href: String,
    pub unhandled_href: String,
    pub more: usize,
    pub quiet: Quiet,
}

impl IncidentsFragment {
    pub fn build(ctx: Ctx<'_>) -> IncidentsFragment {
        let mut open = ctx.incidents(&Filter::parse(OPEN));
        let unhandled = ctx.count_incidents(UNHANDLED);
        // What nobody has comes first within the same impact.
        open.sort_by_key(|incident| {
            let handled = crate::web::subject::is_handled(ctx.snapshot, incident);
            (std::cmp::Reverse(Level::of(&incident.verdict) == Level::Outage), handled)
        });
        IncidentsFragment {
            rows: open.iter().take(INCIDENTS_MAX).map(|incident| IncidentRow::build(ctx, incident)).collect(),
            open: words::count(open.len() as u64),
            unhandled: words::count(unhandled as u64),
            open_href: ctx.scope.list("incidents", OPEN),
            unhandled_href: ctx.scope.list("incidents", UNHANDLED),
            more: open.len().saturating_sub(INCIDENTS_MAX),
            quiet: quiet(ctx),
        }
    }
}

#[derive(Template)]
#[template(path = "frag_risk.html")]
pub struct RiskFragment {
    pub rows: Vec<RiskRow>,
    pub more: usize,
    pub all_href: String,
    /// Services without a fresh result: what cannot be seen is at risk too.
    pub stale: String,
    pub stale_href: String,
    pub has_stale: bool,
}

pub struct RiskRow {
    pub id: String,
    pub icon: &'static str,
    pub guard: String,
    pub place: String,
    pub pips: Option<Pips>,
    pub left: String,
    /// How long it lasts, where that is known.
    pub until: Option<p::Tag>,
    /// Nothing can be said, which is not the same as nothing to count.
    pub unseen: bool,
    pub age: p::Age,
    pub href: String,
    pub incident: String,
}

impl RiskFragment {
    pub fn build(ctx: Ctx<'_>) -> RiskFragment {
        let open = ctx.incidents(&Filter::parse(OPEN));
        let risks: Vec<RiskRow> = open.iter().filter(|i| is_risk(i)).map(|i| RiskRow::build(ctx, i)).collect();
        let stale_query = "is:stale";
        let stale = super::services::count(ctx, stale_query);
        RiskFragment {
            more: risks.len().saturating_sub(RISKS_MAX),
            rows: risks.into_iter().take(RISKS_MAX).collect(),
            all_href: ctx.scope.list("incidents", "is:open -is:effect impact:risk"),
            stale: words::plural(stale, "service has no fresh result", "services have no fresh result"),
            stale_href: ctx.scope.list("services", stale_query),
            has_stale: stale > 0,
        }
    }
}

/// A guard has gone, or something cannot be seen: users notice nothing yet.
fn is_risk(incident: &Incident) -> bool {
    match incident.verdict.class {
        Class::RedundancyLost | Class::ResourceAtRisk | Class::SplitBrain | Class::MonitorIsolated | Class::Unknown => {
            true
        }
        Class::SoftwareDown
        | Class::ServerDown
        | Class::ResourceUnavailable
        | Class::Network
        | Class::PowerEvent
        | Class::NetworkPath
        | Class::SiteDown => incident.verdict.visibility == Visibility::Invisible,
        Class::AdminStopped | Class::Starting | Class::Flapping => false,
    }
}

impl RiskRow {
    fn build(ctx: Ctx<'_>, incident: &Incident) -> RiskRow {
        let verdict = &incident.verdict;
        let (icon, kind) = guard(incident);
        let guard = guard_words(&verdict.subtype).unwrap_or(kind).to_owned();
        let pips = verdict.redundancy.map(|(left, of)| Pips { up: left.min(of), unknown: 0, total: of, need: 0 });
        let unseen = matches!(verdict.class, Class::Unknown | Class::MonitorIsolated);
        RiskRow {
            id: format!("risk-{}", incident.number),
            icon,
            guard: words::cut(&guard, 40),
            place: words::cut(&incident.title, 80),
            left: match verdict.redundancy {
                Some((left, of)) => format!("{left} of {of}"),
                None if unseen => "can’t tell".to_owned(),
                None => "not counted".to_owned(),
            },
            until: super::time_left::tag(ctx, incident),
            unseen,
            pips,
            age: p::Age { since: incident.opened_at, now: ctx.now },
            href: format!("/i/{}", incident.number),
            incident: format!("INC-{}", incident.number),
        }
    }
}

/// What guarded against the next fault, for the subtypes that name it.
fn guard_words(subtype: &str) -> Option<&'static str> {
    Some(match subtype {
        "psu_failed" | "psu_input" => "Power supply",
        "fan" => "Fan",
        "raid_degraded" | "raid_rebuilding" => "RAID",
        "raid_battery" => "RAID cache battery",
        "bond_slave" | "lacp_mismatch" | "lacp_partner" => "Bonded links",
        "path" | "san_path" => "Storage path",
        "stack_member" => "Switch stack",
        "uplink" => "Uplink",
        "drbd_disk" | "drbd_connection" | "drbd" => "Replica",
        "peer" => "Peer",
        "bmc_unreachable" => "BMC",
        "on_battery" => "Mains power",
        "disk" | "capacity" => "Space",
        "smart" => "Disk health",
        "memory_ecc" => "Memory",
        "temperature" => "Cooling",
        "ntp" => "Clock",
        "cert" => "Certificate",
        _ => return None,
    })
}

fn guard(incident: &Incident) -> (&'static str, &'static str) {
    match incident.verdict.target.kind {
        TargetKind::Power => ("pow", "Power feed"),
        TargetKind::Switch => ("net", "Network path"),
        TargetKind::Hardware => ("hw", "Hardware"),
        TargetKind::Backend => ("disk", "Storage"),
        TargetKind::Drbd => ("disk", "Replica"),
        TargetKind::Site => ("site", "Site"),
        TargetKind::Component | TargetKind::ComponentGroup | TargetKind::Jvm => ("svc", "Component"),
        TargetKind::Host => ("host", "Server"),
        TargetKind::Service => ("eye", "Service"),
    }
}

#[derive(Template)]
#[template(path = "frag_matrix.html")]
pub struct MatrixFragment {
    pub boards: Vec<MatrixView>,
    pub many: bool,
}

pub struct MatrixView {
    pub cloud: String,
    pub href: String,
    pub rows: Vec<MatrixRow>,
    pub absent: Vec<String>,
}

pub struct MatrixRow {
    pub href: String,
    pub name: String,
    pub pips: Pips,
    pub cells: Vec<MatrixCell>,
}

pub struct MatrixCell {
    pub href: String,
    pub mark: Mark,
    pub note: String,
}

impl MatrixFragment {
    pub fn build(ctx: Ctx<'_>) -> MatrixFragment {
        let boards: Vec<MatrixView> = clouds_of(ctx)
            .into_iter()
            .filter_map(|id| Some((id, board::board(ctx.snapshot, id)?)))
            .map(|(id, board)| matrix_view(id, &board))
            .collect();
        MatrixFragment { many: boards.len() > 1, boards }
    }
}

fn matrix_view(id: CloudId, board: &Board) -> MatrixView {
    let scope = Scope::Cloud(id, board.cloud.clone());
    let row = |row: &BoardRow| MatrixRow {
        href: scope.path(&format!("/matrix#{}", encode(&row.key))),
        name: short_name(&row.name),
        pips: row.pips,
        cells: row
            .cells
            .iter()
            .map(|cell| MatrixCell {
                href: scope.path(&format!("/matrix/{}/{}", encode(&row.key), cell.failure_type.as_str())),
                mark: cell.mark.unwrap_or(Mark::Pend),
                note: match cell.mark {
                    Some(Mark::Ok | Mark::Pend) | None => String::new(),
                    Some(_) => format!("{} of {}", cell.affected, cell.total.max(cell.affected)),
                },
            })
            .collect(),
    };
    let shown = |r: &&BoardRow| r.is_deployed() || r.cells.iter().any(|cell| cell.mark.is_some());
    MatrixView {
        cloud: board.cloud.to_string(),
        href: scope.path("/matrix"),
        rows: board.rows.iter().filter(shown).map(row).collect(),
        absent: board.rows.iter().filter(|r| !shown(r)).map(|r| short_name(&r.name)).collect(),
    }
}

#[derive(Template)]
#[template(path = "frag_sites.html")]
pub struct SitesFragment {
    pub site: String,
    pub rows: Vec<ZoneRow>,
}

pub struct ZoneRow {
    pub name: String,
    pub hosts_href: String,
    pub pips: Pips,
    pub hosts: String,
    pub problems: Vec<super::shell::Counted>,
    pub news: Option<p::Age>,
}

/// Unhandled problems of a zone that the links of its row count: critical, warning, unknown.
const ZONE_MARKS: [(Mark, &str); 3] = [(Mark::Crit, "critical"), (Mark::Warn, "warning"), (Mark::Unk, "unknown")];

impl SitesFragment {
    pub fn build(ctx: Ctx<'_>) -> SitesFragment {
        let problems = zone_problems(ctx);
        let zones = (0..ctx.snapshot.catalog.zones.len()).map(ZoneId::from_index).zip(&problems);
        let rows = zones.filter_map(|(zone, problems)| ZoneRow::build(ctx, zone, *problems)).collect();
        SitesFragment { site: ctx.snapshot.catalog.site.to_string(), rows }
    }
}

/// One pass over all services: the same rows that the filter of each link finds.
fn zone_problems(ctx: Ctx<'_>) -> Vec<[usize; 3]> {
    let catalog = &ctx.snapshot.catalog;
    let mut found = vec![[0; 3]; catalog.zones.len()];
    for (i, service) in catalog.services.iter().enumerate() {
        let row = &ctx.snapshot.services[i];
        let Some(column) = ZONE_MARKS.iter().position(|(mark, _)| *mark == Mark::of_service(row)) else { continue };
        let host = &catalog.hosts[service.host.index()];
        let subject = subject::service(ctx.snapshot, ServiceId::from_index(i), ctx.now);
        if ctx.scope.contains(host.cloud) && !subject.is(Fact::Handled) && !subject.is(Fact::Effect) {
            found[host.zone.index()][column] += 1;
        }
    }
    found
}

impl ZoneRow {
    fn build(ctx: Ctx<'_>, zone: ZoneId, problems: [usize; 3]) -> Option<ZoneRow> {
        let catalog = &ctx.snapshot.catalog;
        let name = &catalog.zones.get(zone.index())?.name;
        let hosts: Vec<usize> = (0..catalog.hosts.len())
            .filter(|i| catalog.hosts[*i].zone == zone && ctx.scope.contains(catalog.hosts[*i].cloud))
            .collect();
        if hosts.is_empty() {
            return None;
        }
        let count = |wanted: &[Mark]| {
            hosts.iter().filter(|i| wanted.contains(&Mark::of_host(&ctx.snapshot.hosts[**i]))).count() as u32
        };
        let (up, total) = (count(&[Mark::Up]), hosts.len() as u32);
        let term = super::hosts::term("zone", name);
        let problems = ZONE_MARKS.iter().zip(problems).filter(|(_, count)| *count > 0).map(|((mark, label), count)| {
            let query = format!("{term} state:{label} -is:handled -is:effect");
            super::shell::Counted {
                mark: *mark,
                label,
                count: words::count(count as u64),
                href: ctx.scope.list("services", &query),
            }
        });
        Some(ZoneRow {
            name: name.to_string(),
            hosts_href: ctx.scope.list("hosts", &term),
            pips: Pips { up, unknown: count(&[Mark::Unr, Mark::Pend]), total, need: 0 },
            hosts: format!("{} of {}", words::count(u64::from(up)), words::count(u64::from(total))),
            problems: problems.collect(),
            news: newest_check(ctx.snapshot, &hosts).map(|since| p::Age { since, now: ctx.now }),
        })
    }
}

fn newest_check(snapshot: &Snapshot, hosts: &[usize]) -> Option<Timestamp> {
    let of_host = |i: &usize| {
        let services = snapshot.catalog.hosts[*i].services.iter().map(|id| snapshot.services[id.index()].last_check);
        services.chain(std::iter::once(snapshot.hosts[*i].last_check)).max()
    };
    hosts.iter().filter_map(of_host).max().filter(|at| *at > Timestamp::ZERO)
}
