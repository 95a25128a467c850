//! `nagios.cfg` beyond its objects: what the engine reads of it, and what the shell does.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use stentor_core::Span;
use stentor_core::catalog::nagios::{CommandCall, DateFormat, Program};
use stentor_core::id::CommandId;
use stentor_wire::nagios::main_config::{self as wire, MainConfig, TimeoutState};
use stentor_wire::nagios::objects::Objects;
use stentor_wire::nagios::resource::Resources;

use super::Notify;

/// `$USER1$` to `$USER256$`.
const USERS: u16 = 256;

/// What the shell does for a Nagios tree: files it writes and reads, and how long commands may take.
#[derive(Clone, Debug)]
pub struct NagiosSettings {
    pub log_file: Option<PathBuf>,
    pub log_archive: Option<PathBuf>,
    /// `n`, `h`, `d`, `w` or `m`.
    pub log_rotation: &'static str,
    /// IANA zone of the log's rotation.
    pub zone: String,
    pub status_file: Option<PathBuf>,
    pub status_every: Duration,
    /// Taken when it is written.
    pub object_cache: Option<ObjectCache>,
    pub retention_file: Option<PathBuf>,
    pub retention: Retention,
    /// `None` = it is written on command and at the end only.
    pub retention_every: Option<Duration>,
    pub perfdata: PerfdataSettings,
    pub check_result_path: Option<PathBuf>,
    pub check_result_every: Duration,
    pub check_result_age_max: Duration,
    /// `None` where external commands are switched off.
    pub command_file: Option<PathBuf>,
    pub notification_timeout: Duration,
    pub handler_timeout: Duration,
    /// Checks that run at the same time; 0 = as many as Stentor runs anyway.
    pub concurrency: usize,
    /// When checks run first, and what is done about those that never end.
    pub checks: CheckTimes,
    pub lock_file: Option<PathBuf>,
    /// `nagios_user` and `nagios_group`, or Naemon's.
    pub user: Option<String>,
    pub group: Option<String>,
}

/// `objects.cache`, and what is written there.
#[derive(Clone, Debug)]
pub struct ObjectCache {
    pub path: PathBuf,
    pub objects: Arc<Objects>,
}

/// `*_inter_check_delay_method` and its kin.
#[derive(Copy, Clone, Debug, PartialEq)]
pub struct CheckTimes {
    pub service_delay: wire::Delay,
    pub host_delay: wire::Delay,
    pub interleave: wire::Interleave,
    pub service_spread_max: Span,
    pub host_spread_max: Span,
    pub orphaned_services: bool,
    pub orphaned_hosts: bool,
}

/// Files that performance data are written to, a line for each result.
#[derive(Clone, Debug, Default, Eq, PartialEq)]
pub struct PerfdataSettings {
    pub hosts: Option<PerfdataFile>,
    pub services: Option<PerfdataFile>,
    /// `perfdata_timeout`, of the command that takes a file away.
    pub command_timeout: Duration,
}

#[derive(Clone, Debug, Eq, PartialEq)]
pub struct PerfdataFile {
    pub path: PathBuf,
    pub mode: PerfdataMode,
    /// `None` = no command takes it away.
    pub process_every: Option<Duration>,
}

/// `*_perfdata_file_mode`.
#[derive(Copy, Clone, Debug, Eq, PartialEq)]
pub enum PerfdataMode {
    Append,
    /// Begun anew at each opening.
    Write,
    /// A named pipe whose reader may come and go.
    Pipe,
}

/// What is wanted of a retention file.
#[derive(Copy, Clone, Debug, Default, Eq, PartialEq)]
pub struct Retention {
    /// `use_retained_program_state`.
    pub program_state: bool,
    pub without: Masks,
}

/// `retained_*_attribute_mask`: bits of `modified_attributes` that are not wanted.
#[derive(Copy, Clone, Debug, Default, Eq, PartialEq)]
pub struct Masks {
    pub host: u32,
    pub service: u32,
    pub process_host: u32,
    pub process_service: u32,
    pub contact_host: u32,
    pub contact_service: u32,
}

impl NagiosSettings {
    /// Where Nagios keeps what it must remember: Stentor's own state belongs there too.
    pub fn state_folder(&self) -> Option<PathBuf> {
        let cache = self.object_cache.as_ref().map(|cache| &cache.path);
        let files = [self.retention_file.as_ref(), self.status_file.as_ref(), cache, self.log_file.as_ref()];
        files.into_iter().flatten().next()?.parent().map(Path::to_owned)
    }
}

/// Paths start at the folder of the main file.
pub fn settings(main: &MainConfig, objects: &Arc<Objects>, folder: &Path) -> NagiosSettings {
    let path = |text: &Option<String>| text.as_ref().map(|text| folder.join(text));
    let seconds = |count: u32| Duration::from_secs(count.into());
    NagiosSettings {
        log_file: path(&main.log_file),
        log_archive: path(&main.log_archive_path),
        log_rotation: match main.log_rotation_method {
            wire::Rotation::Never => "n",
            wire::Rotation::Hourly => "h",
            wire::Rotation::Daily => "d",
            wire::Rotation::Weekly => "w",
            wire::Rotation::Monthly => "m",
        },
        zone: zone(main).to_owned(),
        status_file: path(&main.status_file).filter(|_| main.status_update_interval > 0),
        status_every: seconds(main.status_update_interval),
        object_cache: path(&main.object_cache_file).map(|path| ObjectCache { path, objects: Arc::clone(objects) }),
        retention_file: path(&main.state_retention_file).filter(|_| main.retain_state_information),
        retention: retention(main),
        retention_every: Some(Duration::from_secs(60 * u64::from(main.retention_update_interval)))
            .filter(|every| !every.is_zero()),
        perfdata: perfdata(main, folder),
        check_result_path: path(&main.check_result_path),
        check_result_every: seconds(main.check_result_reaper_frequency.max(1)),
        check_result_age_max: seconds(main.max_check_result_file_age),
        command_file: path(&main.command_file).filter(|_| main.check_external_commands),
        notification_timeout: seconds(main.notification_timeout),
        handler_timeout: seconds(main.event_handler_timeout),
        concurrency: main.max_concurrent_checks as usize,
        checks: checks(main),
        lock_file: path(&main.lock_file),
        user: main.nagios_user.clone().or_else(|| main.naemon_user.clone()),
        group: main.nagios_group.clone().or_else(|| main.naemon_group.clone()),
    }
}

fn checks(main: &MainConfig) -> CheckTimes {
    CheckTimes {
        service_delay: main.service_inter_check_delay_method,
        host_delay: main.host_inter_check_delay_method,
        interleave: main.service_interleave_factor,
        service_spread_max: Span::from_mins(main.max_service_check_spread.into()),
        host_spread_max: Span::from_mins(main.max_host_check_spread.into()),
        orphaned_services: main.check_for_orphaned_services,
        orphaned_hosts: main.check_for_orphaned_hosts,
    }
}

fn retention(main: &MainConfig) -> Retention {
    Retention {
        program_state: main.use_retained_program_state,
        without: Masks {
            host: main.retained_host_attribute_mask,
            service: main.retained_service_attribute_mask,
            process_host: main.retained_process_host_attribute_mask,
            process_service: main.retained_process_service_attribute_mask,
            contact_host: main.retained_contact_host_attribute_mask,
            contact_service: main.retained_contact_service_attribute_mask,
        },
    }
}

fn perfdata(main: &MainConfig, folder: &Path) -> PerfdataSettings {
    let file = |path: &Option<String>, mode: wire::FileMode, seconds: u32| {
        let path = folder.join(path.as_ref()?);
        let mode = match mode {
            wire::FileMode::Append => PerfdataMode::Append,
            wire::FileMode::Write => PerfdataMode::Write,
            wire::FileMode::Pipe => PerfdataMode::Pipe,
        };
        let process_every = Some(Duration::from_secs(seconds.into())).filter(|every| !every.is_zero());
        Some(PerfdataFile { path, mode, process_every })
    };
    PerfdataSettings {
        hosts: file(
            &main.host_perfdata_file,
            main.host_perfdata_file_mode,
            main.host_perfdata_file_processing_interval,
        ),
        services: file(
            &main.service_perfdata_file,
            main.service_perfdata_file_mode,
            main.service_perfdata_file_processing_interval,
        ),
        command_timeout: Duration::from_secs(main.perfdata_timeout.into()),
    }
}

/// `use_timezone` without the colon that POSIX allows before a name.
pub fn zone(main: &MainConfig) -> &str {
    main.use_timezone.as_deref().map_or("UTC", |zone| zone.trim_start_matches(':'))
}

/// The switches and limits that the engine reads.
pub fn program(main: &MainConfig, objects: &Objects, resources: &Resources, notify: Notify) -> Program {
    let seconds = |count: u32| Span::from_secs(count.into());
    let skip = |code: i64| u8::try_from(code).ok().filter(|code| *code <= 3);
    Program {
        notify_exact: notify == Notify::Exact,
        enable_notifications: main.enable_notifications,
        execute_service_checks: main.execute_service_checks,
        execute_host_checks: main.execute_host_checks,
        accept_passive_service_checks: main.accept_passive_service_checks,
        accept_passive_host_checks: main.accept_passive_host_checks,
        enable_event_handlers: main.enable_event_handlers,
        obsess_over_services: main.obsess_over_services,
        obsess_over_hosts: main.obsess_over_hosts,
        check_service_freshness: main.check_service_freshness,
        check_host_freshness: main.check_host_freshness,
        enable_flap_detection: main.enable_flap_detection,
        process_performance_data: main.process_performance_data,
        interval_length: seconds(main.interval_length),
        low_service_flap: main.low_service_flap_threshold as f32,
        high_service_flap: main.high_service_flap_threshold as f32,
        low_host_flap: main.low_host_flap_threshold as f32,
        high_host_flap: main.high_host_flap_threshold as f32,
        soft_state_dependencies: main.soft_state_dependencies,
        aggressive_host_checking: main.use_aggressive_host_checking,
        translate_passive_host_checks: main.translate_passive_host_checks,
        passive_host_checks_are_soft: main.passive_host_checks_are_soft,
        host_down_disables_service_checks: main.host_down_disable_service_checks,
        predictive_host_dependency_checks: main.enable_predictive_host_dependency_checks,
        predictive_service_dependency_checks: main.enable_predictive_service_dependency_checks,
        cached_host_check_horizon: seconds(main.cached_host_check_horizon),
        cached_service_check_horizon: seconds(main.cached_service_check_horizon),
        additional_freshness_latency: seconds(main.additional_freshness_latency),
        service_check_timeout_state: match main.service_check_timeout_state {
            TimeoutState::Ok => 0,
            TimeoutState::Warning => 1,
            TimeoutState::Critical => 2,
            TimeoutState::Unknown => 3,
        },
        service_skip_dependency_state: skip(main.service_skip_check_dependency_status),
        service_skip_parent_state: skip(main.service_skip_check_parent_status),
        service_skip_host_down_state: skip(main.service_skip_check_host_down_status),
        host_skip_dependency_state: skip(main.host_skip_check_dependency_status),
        ..commands(main, objects, macros(main, resources, logs(main)))
    }
}

/// The commands that the program itself runs.
fn commands(main: &MainConfig, objects: &Objects, program: Program) -> Program {
    let call = |text: &Option<String>| command(text.as_deref(), objects);
    // Without a file nobody wants its lines.
    let line = |file: &Option<String>, template: &wire::Template| file.as_ref().map(|_| template.0.as_str().into());
    Program {
        global_host_event_handler: call(&main.global_host_event_handler),
        global_service_event_handler: call(&main.global_service_event_handler),
        ochp_command: call(&main.ochp_command),
        ocsp_command: call(&main.ocsp_command),
        host_perfdata_command: call(&main.host_perfdata_command),
        service_perfdata_command: call(&main.service_perfdata_command),
        host_perfdata_template: line(&main.host_perfdata_file, &main.host_perfdata_file_template),
        service_perfdata_template: line(&main.service_perfdata_file, &main.service_perfdata_file_template),
        host_perfdata_file_command: call(&main.host_perfdata_file_processing_command),
        service_perfdata_file_command: call(&main.service_perfdata_file_processing_command),
        ..program
    }
}

fn logs(main: &MainConfig) -> Program {
    Program {
        host_perfdata_process_empty_results: main.host_perfdata_process_empty_results,
        service_perfdata_process_empty_results: main.service_perfdata_process_empty_results,
        log_notifications: main.log_notifications,
        log_service_retries: main.log_service_retries,
        log_host_retries: main.log_host_retries,
        log_event_handlers: main.log_event_handlers,
        log_external_commands: main.log_external_commands,
        log_passive_checks: main.log_passive_checks,
        log_initial_states: main.log_initial_states,
        log_current_states: main.log_current_states,
        ..Program::default()
    }
}

/// What macros give, and how.
fn macros(main: &MainConfig, resources: &Resources, program: Program) -> Program {
    Program {
        illegal_macro_output_chars: main.illegal_macro_output_chars.as_str().into(),
        date_format: match main.date_format {
            wire::DateFormat::Us => DateFormat::Us,
            wire::DateFormat::Euro => DateFormat::Euro,
            wire::DateFormat::Iso8601 => DateFormat::Iso8601,
            wire::DateFormat::StrictIso8601 => DateFormat::StrictIso8601,
        },
        large_installation_tweaks: main.use_large_installation_tweaks,
        environment_macros: main.enable_environment_macros,
        user_macros: (1..=USERS)
            .filter_map(|number| Some((number, resources.user(number.into())?.into())))
            .collect::<BTreeMap<u16, Arc<str>>>(),
        zone: zone(main).into(),
        admin_email: main.admin_email.as_deref().unwrap_or_default().into(),
        admin_pager: main.admin_pager.as_deref().unwrap_or_default().into(),
        files: files(main),
        ..program
    }
}

/// Unknown commands were reported when the file was read.
fn command(text: Option<&str>, objects: &Objects) -> Option<CommandCall> {
    let text = text?;
    let name = text.split('!').next().unwrap_or_default();
    let row = objects.commands.binary_search_by(|command| command.name.as_ref().cmp(name)).ok()?;
    Some(CommandCall { command: CommandId::from_index(row), text: text.into() })
}

fn files(main: &MainConfig) -> BTreeMap<Arc<str>, Arc<str>> {
    let named = [
        ("STATUSDATAFILE", &main.status_file),
        ("RETENTIONDATAFILE", &main.state_retention_file),
        ("OBJECTCACHEFILE", &main.object_cache_file),
        ("TEMPFILE", &main.temp_file),
        ("TEMPPATH", &main.temp_path),
        ("LOGFILE", &main.log_file),
        ("COMMANDFILE", &main.command_file),
        ("HOSTPERFDATAFILE", &main.host_perfdata_file),
        ("SERVICEPERFDATAFILE", &main.service_perfdata_file),
    ];
    let set = named.into_iter().filter_map(|(name, path)| Some((name.into(), path.as_deref()?.into())));
    let resource = main.resource_files.first().map(|(path, _)| ("RESOURCEFILE".into(), path.as_str().into()));
    set.chain(resource).collect()
}
