//! Random courses of results and commands under the real Nagios of the distribution and under replay, line by line.

use std::collections::BTreeMap;
use std::fmt::Write as _;
use std::fs::OpenOptions;
use std::io::Write as _;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use serde_json::{Value as Json, json};
use stentor::config;
use stentor::replay::{self, Options};

use crate::serve::until;

#[path = "nagios4/differences.rs"]
mod differences;
#[path = "../../crates/core/tests/model/generator.rs"]
mod generator;

use differences::{Known, Owed, Place};
use generator::{Action, Case, Object, Role, STEP_SECS, STEPS};

/// Sequences that run beside each other in one Nagios, unless `STENTOR_SEEDS` says how many.
const CASES: u64 = 60;

/// Results given in a second are applied in the next one, when Nagios looks for them.
const REAPED_AFTER_SECS: i64 = 1;

#[tokio::test]
async fn random_sequences_give_the_lines_that_the_nagios_of_debian_writes() {
    let count = std::env::var("STENTOR_SEEDS").map_or(CASES, |text| text.parse().unwrap());
    let cases: Vec<Case> = (1..=count).map(Case::new).collect();
    let folder = tempfile::tempdir().unwrap();
    write_tree(folder.path(), &cases);
    let mut nagios = Nagios::start(folder.path()).await;
    let start = now() + 2;
    for step in 0..STEPS {
        nagios.step(start + step as i64 * STEP_SECS, step, &cases).await;
    }
    wait_for(start + STEPS as i64 * STEP_SECS).await;
    let log = nagios.stop();
    let theirs = by_step(log.lines().filter_map(logged), start);
    let ours = by_step(replayed(folder.path(), &cases, start), start);
    report(&cases, &theirs, &ours);
}

/// Lines by case and step.
type Lines = BTreeMap<(u64, usize), Vec<String>>;

fn by_step(lines: impl IntoIterator<Item = (i64, String)>, start: i64) -> Lines {
    let mut all = Lines::new();
    for (at, line) in lines {
        let Some(seed) = seed_of(&line) else { continue };
        let step = usize::try_from((at - start).div_euclid(STEP_SECS)).unwrap_or(0);
        all.entry((seed, step)).or_default().push(line);
    }
    all.values_mut().for_each(|lines| lines.sort());
    all
}

/// The number in the first field of a line that is the name of a host.
fn seed_of(line: &str) -> Option<u64> {
    let (kind, fields) = line.split_once(": ")?;
    let compared = ["ALERT", "NOTIFICATION"].iter().any(|word| kind.ends_with(word));
    let place = usize::from(kind.ends_with("NOTIFICATION"));
    let host = fields.split(';').nth(place).filter(|_| compared)?;
    host.trim_start_matches(['h', 'p']).parse().ok()
}

/// Time and text of a line of `nagios.log`.
fn logged(line: &str) -> Option<(i64, String)> {
    let (at, text) = line.strip_prefix('[')?.split_once("] ")?;
    Some((at.parse().ok()?, text.to_owned()))
}

fn report(cases: &[Case], theirs: &Lines, ours: &Lines) {
    let known = Known::read();
    let mut met: BTreeMap<String, usize> = BTreeMap::new();
    let (mut wrong, mut lines, mut same) = (String::new(), 0, 0);
    for case in cases {
        let of = |all: &Lines, step: usize| all.get(&(case.seed, step)).cloned().unwrap_or_default();
        lines += (0..STEPS).map(|step| of(theirs, step).len()).sum::<usize>();
        let Some(first) = (0..STEPS).find(|step| of(theirs, *step) != of(ours, *step)) else {
            same += 1;
            continue;
        };
        let (mut parent_is_up, mut owed) = (true, Owed::default());
        for step in 0..STEPS {
            let (theirs, ours) = (of(theirs, step), of(ours, step));
            let parents = format!("HOST ALERT: p{};", case.seed);
            if let Some(line) = theirs.iter().find_map(|line| line.strip_prefix(&parents)) {
                parent_is_up = line.starts_with("UP;");
            }
            let before = owed.clone();
            ours.iter().for_each(|line| owed.hear(line));
            if step < first || theirs == ours {
                continue;
            }
            let place = Place { case, parent_is_up, owed: &before };
            let explained = known.explain(&place, without(&theirs, &ours), without(&ours, &theirs));
            for name in explained.met {
                *met.entry(name).or_default() += 1;
            }
            let (nagios, stentor) = (explained.nagios, explained.stentor);
            if !nagios.is_empty() || !stentor.is_empty() {
                let before: Vec<_> = case.steps[..=step].iter().flatten().collect();
                let seed = case.seed;
                writeln!(wrong, "case {seed} step {step}: nagios {nagios:#?}\nstentor {stentor:#?}").unwrap();
                writeln!(wrong, "{:?}\n{before:?}", case.objects).unwrap();
                break;
            }
            if explained.ends_case {
                break;
            }
        }
    }
    let count = cases.len();
    println!("{count} cases, {lines} lines of Nagios, {same} cases without any difference, known ones met: {met:?}");
    assert!(lines > count * 5, "Nagios wrote next to nothing: {lines} lines");
    assert!(wrong.is_empty(), "{wrong}");
}

/// Lines of one list that are not in the other, each as often as it is missing there.
fn without(lines: &[String], others: &[String]) -> Vec<String> {
    let mut others = others.to_vec();
    let missing = |line: &&String| match others.iter().position(|other| other == *line) {
        Some(place) => {
            others.swap_remove(place);
            false
        }
        None => true,
    };
    lines.iter().filter(missing).cloned().collect()
}

fn now() -> i64 {
    SystemTime::now().duration_since(UNIX_EPOCH).unwrap().as_secs() as i64
}

/// Until a little after that second began: both sides see whole seconds.
async fn wait_for(second: i64) {
    let target = Duration::from_secs(second as u64) + Duration::from_millis(250);
    let reached = || SystemTime::now().duration_since(UNIX_EPOCH).unwrap() >= target;
    until("the second of the next step", async || reached().then_some(())).await;
}

/// A running Nagios of the distribution, ended with the test.
struct Nagios {
    process: Child,
    folder: PathBuf,
}

impl Nagios {
    async fn start(folder: &Path) -> Nagios {
        let process = Command::new("nagios4")
            .arg(folder.join("nagios.cfg"))
            .stdout(std::fs::File::create(folder.join("out")).unwrap())
            .stderr(Stdio::null())
            .spawn()
            .expect("nagios4 is installed (Debian package nagios4-core)");
        let nagios = Nagios { process, folder: folder.to_owned() };
        until("Nagios takes commands", async || nagios.folder.join("rw/nagios.cmd").exists().then_some(())).await;
        nagios
    }

    /// Gives the actions of one step of all cases in the second `at`.
    async fn step(&mut self, at: i64, number: usize, cases: &[Case]) {
        wait_for(at).await;
        let (mut commands, mut results) = (String::new(), String::new());
        for case in cases {
            match &case.steps[number] {
                Some(Action::Result { object, code, active: true }) => {
                    results.push_str(&spooled(case, *object, *code, at))
                }
                Some(action) => writeln!(commands, "[{at}] {}", command(case, action, at)).unwrap(),
                None => {}
            }
        }
        if !commands.is_empty() {
            let mut pipe = OpenOptions::new().write(true).open(self.folder.join("rw/nagios.cmd")).unwrap();
            pipe.write_all(commands.as_bytes()).unwrap();
        }
        let file = self.folder.join(format!("spool/c{number:06}"));
        std::fs::write(&file, format!("file_time={at}\n{results}")).unwrap();
        std::fs::write(file.with_extension("ok"), "").unwrap();
        until("Nagios applies the results", async || (!file.exists()).then_some(())).await;
        assert!(now() <= at + REAPED_AFTER_SECS + 1, "this machine is too busy to keep the time of the steps");
    }

    fn stop(mut self) -> String {
        let log = std::fs::read_to_string(self.folder.join("nagios.log")).unwrap();
        self.end();
        log
    }

    fn end(&mut self) {
        let pid = rustix::process::Pid::from_raw(self.process.id().cast_signed()).unwrap();
        let _ = rustix::process::kill_process(pid, rustix::process::Signal::TERM);
        let _ = self.process.wait();
    }
}

impl Drop for Nagios {
    fn drop(&mut self) {
        if matches!(self.process.try_wait(), Ok(None)) {
            self.end();
        }
    }
}

/// Exit code of the plugin of a host or a service in that state.
fn exit_code(case: &Case, object: usize, code: u8) -> u8 {
    match (case.objects[object].role, code) {
        (Role::Service, code) => code,
        (Role::Parent | Role::Host, 0) => 0,
        (Role::Parent | Role::Host, _) => 2,
    }
}

fn spooled(case: &Case, object: usize, code: u8, at: i64) -> String {
    let service = case.service_name(object).map(|name| format!("service_description={name}\n")).unwrap_or_default();
    format!(
        "\nhost_name={}\n{service}check_type=0\ncheck_options=0\nscheduled_check=0\nlatency=0.0\nstart_time={at}.0\n\
         finish_time={at}.1\nearly_timeout=0\nexited_ok=1\nreturn_code={}\noutput=o\\n\n",
        case.host_name(object),
        exit_code(case, object, code)
    )
}

/// An action as an external command.
fn command(case: &Case, action: &Action, at: i64) -> String {
    let target = |object: usize| {
        let service = case.service_name(object).map(|name| format!(";{name}")).unwrap_or_default();
        format!("{}{service}", case.host_name(object))
    };
    let kind = |object: usize| if case.service_name(object).is_some() { "SVC" } else { "HOST" };
    match action {
        Action::Result { object, code, .. } => format!("PROCESS_SERVICE_CHECK_RESULT;{};{code};o", target(*object)),
        Action::Acknowledge { object, sticky, notify } => {
            let sticky = if *sticky { 2 } else { 1 };
            let notify = u8::from(*notify);
            format!("ACKNOWLEDGE_{}_PROBLEM;{};{sticky};{notify};0;joe;ack", kind(*object), target(*object))
        }
        Action::Unacknowledge { object } => format!("REMOVE_{}_ACKNOWLEDGEMENT;{}", kind(*object), target(*object)),
        Action::Downtime { object, secs } => {
            format!("SCHEDULE_{}_DOWNTIME;{};{at};{};1;0;0;joe;dt", kind(*object), target(*object), at + secs)
        }
        Action::CancelDowntimes { object } => format!("DEL_DOWNTIME_BY_HOST_NAME;{}", target(*object)),
        Action::Notifications { object, on } => {
            let verb = if *on { "ENABLE" } else { "DISABLE" };
            format!("{verb}_{}_NOTIFICATIONS;{}", kind(*object), target(*object))
        }
        Action::Custom { object, forced } => {
            let options = if *forced { 2 } else { 0 };
            format!("SEND_CUSTOM_{}_NOTIFICATION;{};{options};joe;hello", kind(*object), target(*object))
        }
    }
}

/// Time and text of the lines that Stentor logs for the same inputs at the same times.
fn replayed(folder: &Path, cases: &[Case], start: i64) -> Vec<(i64, String)> {
    let loaded = config::load(&folder.join("nagios.cfg")).unwrap_or_else(|found| panic!("{found}"));
    let mut inputs = String::new();
    for step in 0..STEPS {
        let at = start + step as i64 * STEP_SECS;
        let (mut commands, mut results) = (String::new(), String::new());
        for case in cases {
            match &case.steps[step] {
                Some(Action::Result { object, code, active: true }) => {
                    let result = json!({
                        "host": case.host_name(*object),
                        "service": case.service_name(*object),
                        "code": exit_code(case, *object, *code),
                        "output": "o",
                    });
                    writeln!(results, "{}", json!({ "at": at + REAPED_AFTER_SECS, "result": result })).unwrap();
                }
                Some(action) => {
                    writeln!(commands, "{}", json!({ "at": at, "command": command(case, action, at) })).unwrap();
                }
                None => {}
            }
        }
        inputs.push_str(&commands);
        inputs.push_str(&results);
    }
    let mut out = Vec::new();
    let until = Some(stentor_core::Timestamp::from_secs(start + STEPS as i64 * STEP_SECS));
    replay::replay(&loaded.catalog, &inputs, &Options { until, ..Options::default() }, &mut out).unwrap();
    let lines = String::from_utf8(out).unwrap();
    let lines = lines.lines().map(|line| serde_json::from_str::<Json>(line).unwrap());
    let log = lines.filter(|line| line["event"] == "log");
    log.map(|line| (line["at"].as_f64().unwrap() as i64, line["line"].as_str().unwrap().to_owned())).collect()
}

const MAIN: &str = "
cfg_file=objects.cfg
check_result_reaper_frequency=1
max_check_result_reaper_time=5
check_external_commands=1
interval_length=1
enable_flap_detection=1
enable_notifications=1
log_service_retries=1
log_host_retries=1
log_external_commands=1
log_passive_checks=0
log_initial_states=0
log_rotation_method=n
use_syslog=0
check_for_updates=0
check_workers=2
use_aggressive_host_checking=0
status_update_interval=60
retain_state_information=0
";

fn write_tree(folder: &Path, cases: &[Case]) {
    for name in ["spool", "rw", "tmp"] {
        std::fs::create_dir(folder.join(name)).unwrap();
    }
    let id = |flag: &str| {
        let output = Command::new("id").arg(flag).arg("-n").output().unwrap();
        String::from_utf8(output.stdout).unwrap().trim().to_owned()
    };
    let mut main = format!("{MAIN}nagios_user={}\nnagios_group={}\n", id("-u"), id("-g"));
    for (name, file) in [
        ("log_file", "nagios.log"),
        ("object_cache_file", "objects.cache"),
        ("precached_object_file", "objects.precache"),
        ("status_file", "status.dat"),
        ("state_retention_file", "retention.dat"),
        ("command_file", "rw/nagios.cmd"),
        ("query_socket", "rw/nagios.qh"),
        ("lock_file", "nagios.pid"),
        ("temp_file", "tmp/nagios.tmp"),
        ("temp_path", "tmp"),
        ("check_result_path", "spool"),
    ] {
        writeln!(main, "{name}={}", folder.join(file).display()).unwrap();
    }
    std::fs::write(folder.join("nagios.cfg"), main).unwrap();
    std::fs::write(folder.join("objects.cfg"), objects(cases)).unwrap();
}

fn define(kind: &str, directives: &[(&str, String)]) -> String {
    let lines: String = directives.iter().map(|(name, value)| format!("    {name} {value}\n")).collect();
    format!("define {kind} {{\n{lines}}}\n")
}

fn objects(cases: &[Case]) -> String {
    let days = ["sunday", "monday", "tuesday", "wednesday", "thursday", "friday", "saturday"];
    let mut period = vec![("timeperiod_name", "24x7".to_owned()), ("alias", "always".to_owned())];
    period.extend(days.map(|day| (day, "00:00-24:00".to_owned())));
    let mut text = define("timeperiod", &period);
    for name in ["nh", "ns", "ck"] {
        text.push_str(&define(
            "command",
            &[("command_name", name.to_owned()), ("command_line", "/bin/true".to_owned())],
        ));
    }
    for name in ["esc1", "esc2"] {
        text.push_str(&contact(name, "d,u,r,f,s", "w,u,c,r,f,s"));
    }
    for case in cases {
        for (place, object) in case.objects.iter().enumerate() {
            let name = case.contact(place);
            text.push_str(&match object.role {
                Role::Service => contact(&name, "n", object.contact_options),
                Role::Parent | Role::Host => contact(&name, object.contact_options, "n"),
            });
            text.push_str(&defined(case, place, object));
        }
        if case.depends {
            text.push_str(&dependency(case));
        }
    }
    text
}

/// The last service depends on the one before it.
fn dependency(case: &Case) -> String {
    let service = |place| case.service_name(place).unwrap();
    let (master, dependent) = (case.objects.len() - 2, case.objects.len() - 1);
    define(
        "servicedependency",
        &[
            ("host_name", case.host_name(master)),
            ("service_description", service(master)),
            ("dependent_host_name", case.host_name(dependent)),
            ("dependent_service_description", service(dependent)),
            ("notification_failure_criteria", "c,u".to_owned()),
            ("execution_failure_criteria", "n".to_owned()),
        ],
    )
}

fn contact(name: &str, host: &str, service: &str) -> String {
    define(
        "contact",
        &[
            ("contact_name", name.to_owned()),
            ("host_notification_period", "24x7".to_owned()),
            ("service_notification_period", "24x7".to_owned()),
            ("host_notification_options", host.to_owned()),
            ("service_notification_options", service.to_owned()),
            ("host_notification_commands", "nh".to_owned()),
            ("service_notification_commands", "ns".to_owned()),
        ],
    )
}

/// A host or a service with its escalations.
fn defined(case: &Case, place: usize, object: &Object) -> String {
    let mut names = vec![("host_name", case.host_name(place))];
    names.extend(case.service_name(place).map(|name| ("service_description", name)));
    let mut directives = names.clone();
    if object.role != Role::Service {
        directives.push(("address", "192.0.2.1".to_owned()));
    }
    if object.role == Role::Host && case.has_parent {
        directives.push(("parents", case.host_name(0)));
    }
    if object.role == Role::Service {
        directives.push(("is_volatile", u8::from(object.volatile).to_string()));
    }
    directives.extend([
        ("contacts", case.contact(place)),
        ("check_command", "ck".to_owned()),
        ("check_period", "24x7".to_owned()),
        ("notification_period", "24x7".to_owned()),
        ("active_checks_enabled", "0".to_owned()),
        ("check_interval", "5".to_owned()),
        ("retry_interval", "1".to_owned()),
        ("max_check_attempts", object.attempts.to_string()),
        ("notification_interval", object.notification_interval.to_string()),
        ("first_notification_delay", object.first_delay.to_string()),
        ("notification_options", object.options.to_owned()),
        ("flap_detection_enabled", u8::from(object.flap_detection).to_string()),
    ]);
    let kind = if object.role == Role::Service { "service" } else { "host" };
    let mut text = define(kind, &directives);
    for escalation in &object.escalations {
        let mut directives = names.clone();
        directives.extend([
            ("contacts", format!("esc{}", escalation.to + 1)),
            ("first_notification", escalation.first.to_string()),
            ("last_notification", escalation.last.to_string()),
        ]);
        directives.extend(escalation.interval.map(|interval| ("notification_interval", interval.to_string())));
        text.push_str(&define(&format!("{kind}escalation"), &directives));
    }
    text
}
