//! The main configuration of Nagios, `nagios.cfg`: every key with its type and default. Opens no files.

use std::collections::BTreeMap;

use super::finding::{Findings, Place, quoted};
use super::objects::Naming;
use super::objects::values::{decimal_prefix, whole_prefix};

/// A value as read, and whether something odd followed it.
type Read<T> = Result<(T, bool), &'static str>;

/// The type of a key.
trait Setting: Sized {
    /// # Errors
    /// What was expected.
    fn read(text: &str) -> Read<Self>;
}

impl Setting for bool {
    fn read(text: &str) -> Read<bool> {
        let (value, rest) = whole_prefix(text).ok_or("0 or 1")?;
        Ok((value > 0.0, !rest.is_empty()))
    }
}

impl Setting for u32 {
    fn read(text: &str) -> Read<u32> {
        const EXPECTED: &str = "a whole number, at least 0";
        let (value, rest) = whole_prefix(text).ok_or(EXPECTED)?;
        if !(0.0..=f64::from(u32::MAX)).contains(&value) {
            return Err(EXPECTED);
        }
        Ok((value as u32, !rest.is_empty()))
    }
}

impl Setting for i64 {
    fn read(text: &str) -> Read<i64> {
        /// Up to here every whole number is exact as a float.
        const EXACT: f64 = 9_007_199_254_740_992.0;
        let (value, rest) = whole_prefix(text).filter(|(value, _)| value.abs() <= EXACT).ok_or("a whole number")?;
        Ok((value as i64, !rest.is_empty()))
    }
}

impl Setting for f64 {
    fn read(text: &str) -> Read<f64> {
        const EXPECTED: &str = "a number, at least 0";
        let (value, rest) = decimal_prefix(text).filter(|(value, _)| *value >= 0.0).ok_or(EXPECTED)?;
        Ok((value, !rest.is_empty()))
    }
}

impl Setting for String {
    fn read(text: &str) -> Read<String> {
        Ok((text.to_owned(), false))
    }
}

impl Setting for Option<String> {
    fn read(text: &str) -> Read<Option<String>> {
        Ok(((!text.is_empty()).then(|| text.to_owned()), false))
    }
}

/// A closed set of words.
macro_rules! words {
    ($(#[$doc:meta])* $name:ident { $($variant:ident = $word:literal),+ $(,)? } $expected:literal) => {
        $(#[$doc])*
        #[derive(Clone, Copy, Debug, Eq, PartialEq)]
        pub enum $name { $($variant),+ }

        impl Setting for $name {
            fn read(text: &str) -> Read<Self> {
                match text.to_ascii_lowercase().as_str() {
                    $($word => Ok(($name::$variant, false)),)+
                    _ => Err($expected),
                }
            }
        }
    };
}

words!(
    /// When the log is closed and a new one begun.
    Rotation { Never = "n", Hourly = "h", Daily = "d", Weekly = "w", Monthly = "m" }
    "n, h, d, w or m"
);
words!(
    /// How a performance data file is opened.
    FileMode { Append = "a", Write = "w", Pipe = "p" }
    "a, w or p"
);
words!(
    /// The state of a service whose check took too long.
    TimeoutState { Ok = "o", Warning = "w", Unknown = "u", Critical = "c" }
    "o, w, u or c"
);
words!(
    /// How dates are written.
    DateFormat { Us = "us", Euro = "euro", Iso8601 = "iso8601", StrictIso8601 = "strict-iso8601" }
    "us, euro, iso8601 or strict-iso8601"
);

/// How first checks are spread.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum Delay {
    Smart,
    None,
    Dumb,
    Seconds(f64),
}

impl Setting for Delay {
    fn read(text: &str) -> Read<Delay> {
        match text {
            "s" => Ok((Delay::Smart, false)),
            "n" => Ok((Delay::None, false)),
            "d" => Ok((Delay::Dumb, false)),
            other => match f64::read(other) {
                Ok((seconds, odd)) if seconds > 0.0 => Ok((Delay::Seconds(seconds), odd)),
                _ => Err("s, n, d or a number of seconds"),
            },
        }
    }
}

/// How services of one host are kept apart.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum Interleave {
    Smart,
    Factor(u32),
}

impl Setting for Interleave {
    fn read(text: &str) -> Read<Interleave> {
        match text {
            "s" => Ok((Interleave::Smart, false)),
            other => match u32::read(other) {
                Ok((factor, odd)) if factor > 0 => Ok((Interleave::Factor(factor), odd)),
                _ => Err("s or a whole number above 0"),
            },
        }
    }
}

/// A line of performance data with its macros; `\t`, `\n`, `\r` and `\\` are already what they stand for.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct Template(pub String);

impl Setting for Template {
    fn read(text: &str) -> Read<Template> {
        let mut out = String::with_capacity(text.len());
        let mut chars = text.chars();
        while let Some(c) = chars.next() {
            if c != '\\' {
                out.push(c);
                continue;
            }
            match chars.next() {
                Some('t') => out.push('\t'),
                Some('n') => out.push('\n'),
                Some('r') => out.push('\r'),
                Some('\\') => out.push('\\'),
                other => out.extend(['\\'].into_iter().chain(other)),
            }
        }
        Ok((Template(out), false))
    }
}

fn host_template() -> Template {
    const FIELDS: &str = "[HOSTPERFDATA]\t$TIMET$\t$HOSTNAME$\t$HOSTEXECUTIONTIME$\t$HOSTOUTPUT$\t$HOSTPERFDATA$";
    Template(FIELDS.to_owned())
}

fn service_template() -> Template {
    const FIELDS: &str = "[SERVICEPERFDATA]\t$TIMET$\t$HOSTNAME$\t$SERVICEDESC$\t$SERVICEEXECUTIONTIME$\t\
                          $SERVICELATENCY$\t$SERVICEOUTPUT$\t$SERVICEPERFDATA$";
    Template(FIELDS.to_owned())
}

type Text = Option<String>;

macro_rules! main_config {
    ($($key:ident: $type:ty = $default:expr,)+) => {
        /// All keys of the main configuration under their own names. Spans are in seconds unless Nagios counts them
        /// in something else.
        #[derive(Clone, Debug, PartialEq)]
        pub struct MainConfig {
            $(pub $key: $type,)+
            /// `cfg_file` and `cfg_dir`, in their order.
            pub objects: Vec<ObjectSource>,
            /// `resource_file`, in their order.
            pub resource_files: Vec<(String, Place)>,
            /// `broker_module`, in their order.
            pub broker_modules: Vec<(String, Place)>,
            /// Where each key that is set stands, the last time.
            pub places: BTreeMap<String, Place>,
        }

        impl Default for MainConfig {
            fn default() -> Self {
                MainConfig {
                    $($key: $default,)+
                    objects: Vec::new(),
                    resource_files: Vec::new(),
                    broker_modules: Vec::new(),
                    places: BTreeMap::new(),
                }
            }
        }

        /// Keys that hold one value.
        const SINGLE: &[&str] = &[$(stringify!($key)),+];

        impl MainConfig {
            /// Unset if there is no such key; else whether the value was odd, or what was expected.
            fn set(&mut self, key: &str, text: &str) -> Option<Result<bool, &'static str>> {
                match key {
                    $(stringify!($key) => Some(<$type as Setting>::read(text).map(|(value, odd)| {
                        self.$key = value;
                        odd
                    })),)+
                    _ => None,
                }
            }
        }
    };
}

main_config! {
    interval_length: u32 = 60,
    log_file: Text = None,
    log_archive_path: Text = None,
    log_rotation_method: Rotation = Rotation::Never,
    use_syslog: bool = true,
    status_file: Text = None,
    status_update_interval: u32 = 60,
    command_file: Text = None,
    check_external_commands: bool = true,
    check_result_path: Text = None,
    object_cache_file: Text = None,
    precached_object_file: Text = None,
    lock_file: Text = None,
    temp_file: Text = None,
    temp_path: Text = None,
    check_result_reaper_frequency: u32 = 10,
    max_check_result_reaper_time: u32 = 30,
    max_check_result_file_age: u32 = 3600,
    max_concurrent_checks: u32 = 0,
    service_check_timeout: u32 = 60,
    host_check_timeout: u32 = 30,
    service_check_timeout_state: TimeoutState = TimeoutState::Critical,
    event_handler_timeout: u32 = 30,
    notification_timeout: u32 = 30,
    ocsp_timeout: u32 = 15,
    ochp_timeout: u32 = 15,
    perfdata_timeout: u32 = 5,
    execute_service_checks: bool = true,
    execute_host_checks: bool = true,
    accept_passive_service_checks: bool = true,
    accept_passive_host_checks: bool = true,
    enable_notifications: bool = true,
    enable_event_handlers: bool = true,
    obsess_over_services: bool = false,
    obsess_over_hosts: bool = false,
    ocsp_command: Text = None,
    ochp_command: Text = None,
    global_host_event_handler: Text = None,
    global_service_event_handler: Text = None,
    process_performance_data: bool = false,
    host_perfdata_command: Text = None,
    service_perfdata_command: Text = None,
    host_perfdata_file: Text = None,
    service_perfdata_file: Text = None,
    host_perfdata_file_template: Template = host_template(),
    service_perfdata_file_template: Template = service_template(),
    host_perfdata_file_mode: FileMode = FileMode::Append,
    service_perfdata_file_mode: FileMode = FileMode::Append,
    host_perfdata_file_processing_interval: u32 = 0,
    service_perfdata_file_processing_interval: u32 = 0,
    host_perfdata_file_processing_command: Text = None,
    service_perfdata_file_processing_command: Text = None,
    host_perfdata_process_empty_results: bool = true,
    service_perfdata_process_empty_results: bool = true,
    enable_flap_detection: bool = false,
    low_service_flap_threshold: f64 = 20.0,
    high_service_flap_threshold: f64 = 30.0,
    low_host_flap_threshold: f64 = 20.0,
    high_host_flap_threshold: f64 = 30.0,
    check_service_freshness: bool = true,
    service_freshness_check_interval: u32 = 60,
    check_host_freshness: bool = false,
    host_freshness_check_interval: u32 = 60,
    additional_freshness_latency: u32 = 15,
    check_for_orphaned_services: bool = true,
    check_for_orphaned_hosts: bool = true,
    cached_host_check_horizon: u32 = 15,
    cached_service_check_horizon: u32 = 15,
    enable_predictive_host_dependency_checks: bool = true,
    enable_predictive_service_dependency_checks: bool = true,
    soft_state_dependencies: bool = false,
    use_aggressive_host_checking: bool = false,
    translate_passive_host_checks: bool = false,
    passive_host_checks_are_soft: bool = false,
    host_down_disable_service_checks: bool = false,
    service_inter_check_delay_method: Delay = Delay::Smart,
    host_inter_check_delay_method: Delay = Delay::Smart,
    service_interleave_factor: Interleave = Interleave::Smart,
    max_service_check_spread: u32 = 30,
    max_host_check_spread: u32 = 30,
    auto_reschedule_checks: bool = false,
    auto_rescheduling_interval: u32 = 30,
    auto_rescheduling_window: u32 = 180,
    retain_state_information: bool = false,
    state_retention_file: Text = None,
    retention_update_interval: u32 = 60,
    use_retained_program_state: bool = true,
    use_retained_scheduling_info: bool = false,
    retention_scheduling_horizon: u32 = 900,
    retained_host_attribute_mask: u32 = 0,
    retained_service_attribute_mask: u32 = 0,
    retained_process_host_attribute_mask: u32 = 0,
    retained_process_service_attribute_mask: u32 = 0,
    retained_contact_host_attribute_mask: u32 = 0,
    retained_contact_service_attribute_mask: u32 = 0,
    log_notifications: bool = true,
    log_event_handlers: bool = true,
    log_external_commands: bool = true,
    log_passive_checks: bool = true,
    log_current_states: bool = true,
    log_service_retries: bool = false,
    log_host_retries: bool = false,
    log_initial_states: bool = false,
    illegal_object_name_chars: String = String::new(),
    illegal_macro_output_chars: String = String::new(),
    use_regexp_matching: bool = false,
    use_true_regexp_matching: bool = false,
    date_format: DateFormat = DateFormat::Us,
    use_timezone: Text = None,
    use_large_installation_tweaks: bool = false,
    enable_environment_macros: bool = false,
    allow_empty_hostgroup_assignment: u32 = 2,
    time_change_threshold: u32 = 900,
    admin_email: Text = None,
    admin_pager: Text = None,
    service_skip_check_dependency_status: i64 = -1,
    service_skip_check_parent_status: i64 = -1,
    service_skip_check_host_down_status: i64 = -1,
    host_skip_check_dependency_status: i64 = -1,
    check_workers: u32 = 0,
    query_socket: Text = None,
    debug_file: Text = None,
    debug_level: i64 = 0,
    debug_verbosity: u32 = 1,
    max_debug_file_size: u32 = 0,
    nagios_user: Text = None,
    nagios_group: Text = None,
    naemon_user: Text = None,
    naemon_group: Text = None,
    daemon_dumps_core: bool = false,
    event_broker_options: i64 = 0,
    check_for_updates: bool = false,
    bare_update_check: bool = false,
    loadctl_options: Text = None,
    allow_circular_dependencies: bool = false,
    retained_scheduling_randomize_window: u32 = 60,
    service_parents_disable_service_checks: bool = false,
    global_host_notification_handler: Text = None,
    global_service_notification_handler: Text = None,
    enable_notification_suppression_reason_logging: bool = true,
    log_global_notifications: bool = true,
}

/// Keys that name files, each as often as wanted.
const REPEATED: [&str; 6] = ["cfg_file", "cfg_dir", "resource_file", "broker_module", "include_file", "include_dir"];

/// Old names of keys that are still there.
const ALIASES: [(&str, &str); 3] = [
    ("use_agressive_host_checking", "use_aggressive_host_checking"),
    ("service_reaper_frequency", "check_result_reaper_frequency"),
    ("freshness_check_interval", "service_freshness_check_interval"),
];

/// Keys without any effect now.
const OBSOLETE: [&str; 14] = [
    "sleep_time",
    "command_check_interval",
    "external_command_buffer_slots",
    "enable_failure_prediction",
    "enable_embedded_perl",
    "use_embedded_perl_implicitly",
    "p1_file",
    "free_child_process_memory",
    "child_processes_fork_twice",
    "comment_file",
    "downtime_file",
    "auth_file",
    "aggregate_status_updates",
    "xrddefault_retention_file",
];

/// Where objects are defined.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct ObjectSource {
    pub is_dir: bool,
    pub path: String,
    pub place: Place,
}

/// An `include_file` or `include_dir`: more main configuration to read at this point.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct MainInclude {
    pub is_dir: bool,
    pub path: String,
    pub place: Place,
}

/// Whether a word is a key of the main configuration.
pub fn is_key(word: &str) -> bool {
    all_keys().any(|key| key == word)
}

fn all_keys() -> impl Iterator<Item = &'static str> {
    SINGLE.iter().chain(&REPEATED).chain(&OBSOLETE).copied().chain(ALIASES.iter().map(|(old, _)| *old))
}

impl MainConfig {
    /// Reads one file. What it includes is returned, to be read afterwards, as Naemon does.
    pub fn read(&mut self, file: u32, text: &str, found: &mut Findings) -> Vec<MainInclude> {
        let mut includes = Vec::new();
        for (line, number) in text.split('\n').zip(1..) {
            let trimmed = line.trim();
            if trimmed.is_empty() || trimmed.starts_with('#') {
                continue;
            }
            let column = (line.len() - line.trim_start().len() + 1) as u32;
            let place = Place { file, line: number, column };
            match trimmed.split_once('=') {
                Some((key, value)) => includes.extend(self.line(key.trim_end(), value.trim(), place, found)),
                None if trimmed.starts_with("define ") => {
                    let help = "this is an object file; name it with cfg_file= in the main configuration";
                    found.error("object-in-main", place, "a definition in the main configuration", help);
                    break;
                }
                None => {
                    let message = format!("expected key=value, found {}", quoted(trimmed));
                    found.error("unexpected-line", place, message, "");
                }
            }
        }
        includes
    }

    fn line(&mut self, key: &str, value: &str, place: Place, found: &mut Findings) -> Option<MainInclude> {
        let named = || (value.to_owned(), place);
        if REPEATED.contains(&key) && value.is_empty() {
            found.error("empty-value", place, format!("`{key}` names nothing"), "expected a path");
            return None;
        }
        match key {
            "cfg_file" | "cfg_dir" => {
                self.objects.push(ObjectSource { is_dir: key == "cfg_dir", path: value.to_owned(), place });
            }
            "resource_file" => self.resource_files.push(named()),
            "broker_module" => self.broker_modules.push(named()),
            "include_file" | "include_dir" => {
                return Some(MainInclude { is_dir: key == "include_dir", path: value.to_owned(), place });
            }
            _ => self.single(key, value, place, found),
        }
        None
    }

    fn single(&mut self, key: &str, value: &str, place: Place, found: &mut Findings) {
        let now = ALIASES.iter().find(|(old, _)| *old == key).map_or(key, |(_, now)| {
            found.warning("obsolete-key", place, format!("`{key}` is an old name"), format!("write `{now}`"));
            now
        });
        if OBSOLETE.contains(&now) {
            found.warning("obsolete-key", place, format!("`{key}` is obsolete and ignored"), "remove the line");
            return;
        }
        if SINGLE.contains(&now) {
            self.places.insert(now.to_owned(), place);
        }
        match self.set(now, value) {
            Some(Ok(false)) => {}
            Some(Ok(true)) => {
                let message = format!("`{key}` is {}; only the number counts", quoted(value));
                found.warning("odd-value", place, message, "comments stand on lines of their own");
            }
            Some(Err(expected)) => {
                let message = format!("`{key}` is {}", quoted(value));
                found.error("bad-value", place, message, format!("expected {expected}"));
            }
            None => {
                let help = found.suggest(key, all_keys());
                found.error("unknown-key", place, format!("unknown key {}", quoted(key)), help);
            }
        }
        if now == "interval_length" && self.interval_length == 0 {
            found.error("bad-value", place, "`interval_length` is 0", "expected a number of seconds, at least 1");
            self.interval_length = 60;
        }
    }

    /// How names in object files are to be read.
    pub fn naming(&self) -> Naming {
        Naming {
            illegal_object_name_chars: self.illegal_object_name_chars.clone(),
            use_regexp_matching: self.use_regexp_matching,
            use_true_regexp_matching: self.use_true_regexp_matching,
            refuse_empty_hostgroups: self.allow_empty_hostgroup_assignment == 0,
            allow_circular_dependencies: self.allow_circular_dependencies,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(text: &str) -> (MainConfig, Vec<(&'static str, u32, String)>) {
        let (mut main, mut found) = (MainConfig::default(), Findings::default());
        main.read(0, text, &mut found);
        let findings = found.iter().map(|f| (f.code, f.place.line, f.help.clone())).collect();
        (main, findings)
    }

    #[test]
    fn keys_are_read_in_their_types() {
        let (main, findings) = read(
            "# c\n interval_length = 1\r\nuse_syslog=0\nservice_check_timeout_state=u\ndate_format=strict-iso8601\n\
             service_inter_check_delay_method=0.25\nservice_interleave_factor=4\nlow_host_flap_threshold=5.0\n\
             host_perfdata_file_template=a\\tb\\\\n\nillegal_object_name_chars=`~!$%^&*|'\"<>?,()=\n\
             cfg_file=a.cfg\ncfg_dir=b\ncfg_file=c.cfg\nresource_file=r\nservice_skip_check_parent_status=2\n",
        );
        assert_eq!(findings, []);
        assert_eq!((main.interval_length, main.use_syslog), (1, false));
        assert_eq!(main.service_check_timeout_state, TimeoutState::Unknown);
        assert_eq!(main.date_format, DateFormat::StrictIso8601);
        assert_eq!(main.service_inter_check_delay_method, Delay::Seconds(0.25));
        assert_eq!(main.service_interleave_factor, Interleave::Factor(4));
        assert_eq!(main.low_host_flap_threshold, 5.0);
        assert_eq!(main.host_perfdata_file_template.0, "a\tb\\n");
        assert_eq!(main.illegal_object_name_chars, "`~!$%^&*|'\"<>?,()=");
        let sources: Vec<_> = main.objects.iter().map(|source| (source.is_dir, source.path.as_str())).collect();
        assert_eq!(sources, [(false, "a.cfg"), (true, "b"), (false, "c.cfg")]);
        assert_eq!(main.service_skip_check_parent_status, 2);
    }

    #[test]
    fn each_mistake_has_its_line_and_remedy() {
        let (main, findings) = read(
            "intervall_length=1\nuse_syslog=yes\nhello\nsleep_time=1\nuse_agressive_host_checking=1\n\
             interval_length=0\nstatus_update_interval=10 # s\ncfg_file=\nlog_rotation_method=x\n",
        );
        let codes: Vec<_> = findings.iter().map(|(code, line, _)| (*code, *line)).collect();
        assert_eq!(
            codes,
            [
                ("unknown-key", 1),
                ("bad-value", 2),
                ("unexpected-line", 3),
                ("obsolete-key", 4),
                ("obsolete-key", 5),
                ("bad-value", 6),
                ("odd-value", 7),
                ("empty-value", 8),
                ("bad-value", 9),
            ]
        );
        assert_eq!(findings[0].2, "did you mean `interval_length`?");
        assert!(main.use_aggressive_host_checking);
        assert_eq!((main.interval_length, main.status_update_interval), (60, 10));
    }

    #[test]
    fn no_key_stands_twice() {
        let mut keys: Vec<&str> = all_keys().collect();
        let count = keys.len();
        keys.sort_unstable();
        keys.dedup();
        assert_eq!(keys.len(), count);
    }
}
