//! Macros against what Nagios Core 4.5.12 expanded (`data/macros.json`), and the promises around values from outside.

mod macro_world;

use std::collections::{BTreeMap, BTreeSet};

use macro_world::ConfiguredWorld;
use proptest::prelude::*;
use serde::Deserialize;
use serde_json::Value as Json;
use stentor_core::Timestamp;
use stentor_core::macros::facts::{HostFacts, NotificationFacts, ObjectFacts, ProgramFacts, RemarkFacts, World};
use stentor_core::macros::{
    CommandCall, Context, EnvironmentSize, ExpandError, Macro, Options, environment, expand, expand_command,
};

#[derive(Deserialize)]
struct Vectors {
    object_config: String,
    state: BTreeMap<String, BTreeMap<String, Json>>,
    resource_file: BTreeMap<String, String>,
    vectors: Vec<Vector>,
}

#[derive(Deserialize)]
struct Vector {
    id: String,
    context: String,
    strip_illegal: bool,
    check_command: Option<String>,
    template: String,
    expect: String,
    note: String,
}

const ILLEGAL: &str = "`~$&|'\"<>";

struct Setting {
    world: ConfiguredWorld,
    users: Vec<String>,
    vectors: Vec<Vector>,
}

fn load() -> Setting {
    let vectors: Vectors = serde_json::from_str(include_str!("data/macros.json")).expect("the vectors are JSON");
    let user = |number| vectors.resource_file.get(&format!("$USER{number}$")).cloned().unwrap_or_default();
    Setting {
        world: ConfiguredWorld::read(&vectors.object_config, &vectors.state),
        users: (1..=32).map(user).collect(),
        vectors: vectors.vectors,
    }
}

/// The program of the vectors' main configuration.
fn program<'a>(users: &'a [&'a str]) -> ProgramFacts<'a> {
    ProgramFacts {
        zone: "UTC",
        url: "https://stentor.example/",
        admin_email: "adm@example.com",
        admin_pager: "pg1",
        status_file: "/tmp/x/st",
        command_file: "/tmp/x/cmd",
        users,
        ..ProgramFacts::default()
    }
}

fn now() -> Timestamp {
    Timestamp::from_rfc3339("2026-11-21T19:16:00Z").expect("valid")
}

fn context<'a>(words: &str, world: &'a ConfiguredWorld, program: &'a ProgramFacts<'a>) -> Context<'a, ConfiguredWorld> {
    let has = |word| words.split('+').any(|part| part == word);
    let mut context = Context::new(world, program, now());
    context.host = has("host").then(|| world.host("web1").expect("defined"));
    context.service = has("service").then(|| world.service("web1", "HTTP").expect("defined"));
    context.contact = has("contact").then(|| world.contact("joe").expect("defined"));
    context
}

fn with_context<T>(words: &str, test: impl FnOnce(&Context<'_, ConfiguredWorld>) -> T) -> T {
    let setting = load();
    let users: Vec<&str> = setting.users.iter().map(String::as_str).collect();
    let program = program(&users);
    test(&context(words, &setting.world, &program))
}

#[test]
fn recorded_expansions_hold() {
    let setting = load();
    let users: Vec<&str> = setting.users.iter().map(String::as_str).collect();
    let program = program(&users);
    let mut wrong = Vec::new();
    for vector in &setting.vectors {
        let context = context(&vector.context, &setting.world, &program);
        let options = if vector.strip_illegal { Options::strip(ILLEGAL) } else { Options::raw() };
        let call = CommandCall::parse(vector.check_command.as_deref().unwrap_or_default());
        let found = expand_command(&vector.template, &call, &context, options).expect("short");
        let set = |text: &str| text.split(',').map(str::to_owned).collect::<BTreeSet<_>>();
        let same = found == vector.expect || (vector.note.contains("order free") && set(&found) == set(&vector.expect));
        if !same {
            wrong.push(format!("{} {}: {found:?}, expected {:?}", vector.id, vector.template, vector.expect));
        }
    }
    assert!(wrong.is_empty(), "{} of {}:\n{}", wrong.len(), setting.vectors.len(), wrong.join("\n"));
}

#[test]
fn every_form_that_the_vectors_leave_out() {
    with_context("host+service+contact", |context| {
        for (text, expected) in [
            ("$HOSTDISPLAYNAME$ $SERVICEDISPLAYNAME$", "Web 1 disp HTTP disp"),
            ("$HOSTSTATE$ $HOSTSTATEID$ $LASTHOSTSTATE$ $HOSTATTEMPT$", "DOWN 1 UP 2"),
            ("$HOSTLATENCY$ $HOSTPERCENTCHANGE$ $SERVICESTATETYPE$", "0.123 12.50 HARD"),
            ("$HOSTEVENTID$ $HOSTPROBLEMID$ $LASTHOSTPROBLEMID$ $HOSTNOTIFICATIONID$", "7 5 4 99"),
            ("$HOSTDURATION$ $HOSTDURATIONSEC$", "1102d 21h 1m 0s 95288460"),
            ("$HOSTCHECKTYPE$ $SERVICECHECKTYPE$ $SERVICEISVOLATILE$", "ACTIVE PASSIVE 1"),
            ("$LONGHOSTOUTPUT$ $LONGSERVICEOUTPUT$", r"l1\nl2 first\nsecond"),
            ("$SERVICEOUTPUT$", "HTTP CRIT: 500   ok"),
            ("$HOSTNOTESURL$", "http://x/?h=Web%20One&z=1"),
            ("$HOSTACTIONURL$ [$SERVICENOTESURL$]", "http://act/10.0.0.1 []"),
            ("$HOSTGROUPNAME$ $HOSTGROUPMEMBERS$ $HOSTGROUPMEMBERADDRESSES$", "webs web1,web2 10.0.0.1,10.0.0.2"),
            ("$HOSTGROUPNOTES$ $HOSTGROUPNOTESURL$ $HOSTGROUPNOTESURL:allh$", "hg notes http://n/webs "),
            ("$HOSTGROUPNAME:allh$ $HOSTGROUPNAME:web2$ $HOSTGROUPALIAS:nosuch$", "allh webs $HOSTGROUPALIAS:nosuch$"),
            ("$SERVICEGROUPALIAS$ $SERVICEGROUPMEMBERS$", "HTTP services web1,HTTP,web2,HTTP"),
            (
                "$HOSTIMPORTANCE$ $SERVICEIMPORTANCE$ $HOSTANDSERVICESIMPORTANCE$ $HOSTVALUE$ $PROBLEMVALUE$",
                "10 3 13 10 3",
            ),
            ("$HOSTINFOURL$", "https://stentor.example/hosts/web1"),
            ("$SERVICEINFOURL:web1:Disk /$", "https://stentor.example/hosts/web1/services/Disk%20%2F"),
            (
                "$CONTACTNAME$ $CONTACTALIAS$ $CONTACTEMAIL$ $CONTACTPAGER$ $_CONTACTSHIFT$",
                "joe Joe Doe joe@example.com 555 night",
            ),
            (
                "$CONTACTALIAS:ann$ $CONTACTALIAS:nosuch$ $CONTACTADDRESS7$",
                "Ann $CONTACTALIAS:nosuch$ $CONTACTADDRESS7$",
            ),
            ("$CONTACTGROUPALIAS:admins$ $CONTACTPAGER:admins:+$", "Admin Team 555"),
            (
                "$_SERVICEMIXED$ $_SERVICEPORT:web2:HTTP$ $_HOSTSNMP:webs:/$ [$_HOSTEMPTY$]",
                "Case 8080 public/private []",
            ),
            ("$HOSTSTATEID:nosuch$ $SERVICESTATEID:web1:nosuch$ $HOSTSTATE:nosuch$", "2 3 $HOSTSTATE:nosuch$"),
            ("$SERVICESTATE$ $SERVICESTATE:nosuch$", "CRITICAL $SERVICESTATE:nosuch$"),
            ("$HOSTNAME:webs: : $", "web1 : web2"),
            ("$HOSTALIAS:nosuch:,$", "$HOSTALIAS:nosuch:,$"),
            ("$TOTALHOSTSUP$ $TOTALHOSTSDOWN$ $TOTALHOSTSDOWNUNHANDLED$ $TOTALHOSTPROBLEMS$", "1 1 0 1"),
            ("$TOTALSERVICESCRITICAL$ $TOTALSERVICESCRITICALUNHANDLED$ $TOTALSERVICEPROBLEMS$", "1 0 2"),
            (
                "$LONGDATETIME$|$SHORTDATETIME$|$DATE$|$TIME$|$TIMET$",
                "Sat Nov 21 19:16:00 UTC 2026|11-21-2026 19:16:00|11-21-2026|19:16:00|1795288560",
            ),
            ("$ISVALIDTIME:24x7$ $ISVALIDTIME:work$ $NEXTVALIDTIME:work$ $NEXTVALIDTIME:24x7:5$", "1 0 1795424400 5"),
            (
                "$ISVALIDTIME$ $ISVALIDTIME:work:x$ $NEXTVALIDTIME:nosuch$",
                "$ISVALIDTIME$ $ISVALIDTIME:work:x$ $NEXTVALIDTIME:nosuch$",
            ),
            ("[$NOTIFICATIONTYPE$$HOSTACKCOMMENT$$NOTIFICATIONNUMBER$]", "[]"),
            ("$ADMINEMAIL$ $ADMINPAGER$ $STATUSDATAFILE$ $COMMANDFILE$", "adm@example.com pg1 /tmp/x/st /tmp/x/cmd"),
            (
                "$USER1$ $USER32$ $USER256$ $USER0$ $ARG0$ $ARG33$ [$ARG32$]",
                "/usr/lib/plugins u32  $USER0$ $ARG0$ $ARG33$ []",
            ),
            ("$$$ $HOSTNAME$$HOSTALIAS$ $hostname$ $ $HOSTNAME$", "$$ $HOSTNAME$HOSTALIAS$ $hostname$ $ web1"),
            ("$HOSTNAME$$HOSTALIAS$ $hostname$ $NOSUCH:a:b:c$", "web1Web One $hostname$ $NOSUCH:a:b:c$"),
        ] {
            assert_eq!(expand(text, context, Options::strip(ILLEGAL)).as_deref(), Ok(expected), "{text}");
        }
    });
}

#[test]
fn a_macro_without_its_object_stays_as_it_is() {
    with_context("host", |context| {
        for (name, found) in Macro::all() {
            let text = format!("${name}$");
            let expanded = expand(&text, context, Options::raw()).expect("short");
            let needs_more = match found {
                Macro::Service(_) | Macro::OfService(_) | Macro::ServiceGroup(_) => true,
                Macro::Contact(_) | Macro::ContactGroup(_) | Macro::Period(_) => true,
                Macro::Host(_) | Macro::OfHost(_) | Macro::HostGroup(_) | Macro::HostAck(_) | Macro::ServiceAck(_) => {
                    false
                }
                Macro::Notification(_)
                | Macro::Summary(_)
                | Macro::Moment(_)
                | Macro::ProblemValue
                | Macro::Process(_) => false,
            };
            assert_eq!(expanded == text, needs_more, "{name}: {expanded}");
        }
    });
}

#[test]
fn notifications_say_who_and_what() {
    with_context("host+service+contact", |context| {
        let remark = RemarkFacts { author: "jo`e", author_name: "joe", author_alias: "Joe Doe", comment: "on; $(it)" };
        let mut told =
            NotificationFacts { kind: "CUSTOM", number: 4, is_escalated: true, recipients: "joe,ann", remark };
        let text = "$NOTIFICATIONTYPE$ $NOTIFICATIONNUMBER$ $NOTIFICATIONISESCALATED$ $NOTIFICATIONRECIPIENTS$ \
                    $NOTIFICATIONAUTHOR$ $NOTIFICATIONAUTHORALIAS$ $NOTIFICATIONCOMMENT$|$HOSTACKAUTHOR$$SERVICEACKCOMMENT$";
        let all = |told| expand(text, &Context { notification: Some(told), ..*context }, Options::strip(ILLEGAL));
        assert_eq!(all(told).as_deref(), Ok("CUSTOM 4 1 joe,ann joe Joe Doe on; (it)|"));
        told.kind = "ACKNOWLEDGEMENT";
        assert_eq!(all(told).as_deref(), Ok("ACKNOWLEDGEMENT 4 1 joe,ann joe Joe Doe on; (it)|joeon; (it)"));
    });
}

#[test]
fn arguments_are_filled_in_once_and_cleaned() {
    with_context("host+service", |context| {
        for (line, call, expected) in [
            ("$USER1$/check $ARG1$ $ARG2$", "tpl!-p 80!x y", "/usr/lib/plugins/check -p 80 x y"),
            ("c $ARG1$", r"tpl!a\!b!c", "c a!b"),
            ("c '$ARG1$'", "tpl!$SERVICEOUTPUT$", "c 'HTTP CRIT: 500   ok'"),
            // What an argument holds is no macro any more.
            ("c $ARG1$ $ARG2$", "tpl!$$HOSTNAME$$!$ARG1$", "c $HOSTNAME$ "),
            ("c $ARG1$ $HOSTNAME$", "tpl!$USER2$", "c p@ss$w web1"),
        ] {
            let call = CommandCall::parse(call);
            assert_eq!(
                expand_command(line, &call, context, Options::strip(ILLEGAL)).as_deref(),
                Ok(expected),
                "{line}"
            );
        }
    });
}

#[test]
fn what_a_plugin_printed_is_never_expanded_again() {
    with_context("host+service", |context| {
        // The output of web1 names $CRITICAL$; what is written out raw could be read as macros if it were read again.
        let host = context.host.expect("set");
        let object = ObjectFacts { output: "$USER2$ $HOSTNAME$", ..host.object };
        let context = Context { host: Some(HostFacts { object, ..host }), ..*context };
        assert_eq!(expand("$HOSTOUTPUT$", &context, Options::raw()).as_deref(), Ok("$USER2$ $HOSTNAME$"));
        let call = CommandCall::parse("tpl!$HOSTOUTPUT$");
        let line = expand_command("c $ARG1$ $HOSTNAME$", &call, &context, Options::raw());
        assert_eq!(line.as_deref(), Ok("c $USER2$ $HOSTNAME$ web1"));
    });
}

#[test]
fn growth_has_an_end() {
    with_context("host+service", |context| {
        let host = context.host.expect("set");
        let with = |notes: &'static str, text: &str, bytes_max| {
            let object = ObjectFacts { notes, ..host.object };
            let host = Some(HostFacts { object, ..host });
            expand(text, &Context { host, ..*context }, Options { bytes_max, ..Options::raw() })
        };
        assert_eq!(with("n", "$HOSTNOTES$n", 2).as_deref(), Ok("nn"));
        assert_eq!(with("n", "$HOSTNOTES$nn", 2), Err(ExpandError::TooLong { limit: 2 }));
        assert_eq!(with("n", "abc", 2), Err(ExpandError::TooLong { limit: 2 }));
        assert_eq!(with("n", "$HOSTNAME:webs:,$", 6), Err(ExpandError::TooLong { limit: 6 }));
        // Notes about notes: as they are below a depth, and no endless way down.
        assert_eq!(with("<$HOSTNOTES$>", "$HOSTNOTES$", 100).as_deref(), Ok("<<<<$HOSTNOTES$>>>>"));
        let empties: &'static str = Box::leak("$NOTIFICATIONTYPE$$HOSTNOTES$".repeat(300).into_boxed_str());
        assert!(with(empties, "$HOSTNOTES$", 100_000).is_err());
    });
}

#[test]
fn the_environment_has_what_the_context_has() {
    with_context("host+service+contact", |context| {
        let args = ["one".to_owned(), "two".to_owned()];
        let context = Context { args: &args, ..*context };
        let made = |size, options| environment(&context, options, size);
        let full = made(EnvironmentSize::Full, Options::strip(ILLEGAL));
        let map: BTreeMap<&str, &str> = full.variables.iter().map(|(name, value)| (&**name, &**value)).collect();
        assert_eq!(map.len(), full.variables.len(), "each name once");
        assert!(full.left_out.is_empty());
        for (name, value) in [
            ("NAGIOS_HOSTNAME", "web1"),
            ("NAGIOS_SERVICEDESC", "HTTP"),
            ("NAGIOS_CONTACTADDRESS1", "a-one"),
            ("NAGIOS_ARG2", "two"),
            ("NAGIOS__HOSTSNMP", "public"),
            ("NAGIOS__SERVICEPORT", "8080"),
            ("NAGIOS__CONTACTSHIFT", "night"),
            ("NAGIOS_NOTIFICATIONTYPE", ""),
            ("NAGIOS_HOSTGROUPMEMBERS", "web1,web2"),
            ("NAGIOS_TOTALHOSTSDOWN", "1"),
            ("NAGIOS_HOSTOUTPUT", "PING CRITICAL loss x  b ab"),
        ] {
            assert_eq!(map.get(name), Some(&value), "{name}");
        }
        assert!(!map.keys().any(|name| name.starts_with("NAGIOS_USER") || name.contains("VALIDTIME")));
        let lean = made(EnvironmentSize::Lean, Options::raw());
        let has = |name: &str| lean.variables.iter().any(|row| row.0 == name);
        assert!(has("NAGIOS_HOSTGROUPALIAS") && has("NAGIOS_TOTALHOSTSERVICES"));
        assert!(!has("NAGIOS_HOSTGROUPMEMBERS") && !has("NAGIOS_TOTALHOSTSDOWN"));
        let short = made(EnvironmentSize::Full, Options { bytes_max: 24, ..Options::raw() });
        assert!(short.left_out.contains(&"HOSTOUTPUT".to_owned()) && short.variables.len() > 50);
    });
}

proptest! {
    #![proptest_config(ProptestConfig { failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn no_text_panics_and_none_grows_past_the_limit(
        text in r"(\$|HOST|SERVICE|CONTACT|GROUP|NAME|NOTES|OUTPUT|STATEID|MEMBERS|_HOSTSNMP|ARG1|USER2|:|webs|web1|HTTP|.){0,24}",
        call in r"tpl(!|\\|\$HOSTOUTPUT\$|.){0,10}", bytes_max in 0usize..300, raw in any::<bool>(),
    ) {
        with_context("host+service+contact", |context| {
            let options = if raw { Options::raw() } else { Options::strip(ILLEGAL) };
            let options = Options { bytes_max, ..options };
            let found = expand_command(&text, &CommandCall::parse(&call), context, options);
            prop_assert!(found.is_err() || found.is_ok_and(|found| found.len() <= bytes_max));
            Ok(())
        })?;
    }

    #[test]
    fn text_without_a_dollar_sign_is_left_alone(text in r"[^$]{0,40}") {
        with_context("host", |context| {
            prop_assert_eq!(expand(&text, context, Options::strip(ILLEGAL)), Ok(text.clone()));
            Ok(())
        })?;
    }

    #[test]
    fn doubled_dollar_signs_come_back_single(text in r"[$a-zA-Z:]{0,40}") {
        with_context("host", |context| {
            prop_assert_eq!(expand(&text.replace('$', "$$"), context, Options::raw()), Ok(text.clone()));
            Ok(())
        })?;
    }

    #[test]
    fn stripped_output_holds_nothing_for_a_shell(output in any::<String>()) {
        with_context("host", |context| {
            let host = context.host.expect("set");
            let object = ObjectFacts { output: &output, long_output: &output, ..host.object };
            let context = Context { host: Some(HostFacts { object, ..host }), ..*context };
            let text = expand("$HOSTOUTPUT$ $LONGHOSTOUTPUT$", &context, Options::strip(ILLEGAL)).expect("short");
            prop_assert!(!text.contains(|c: char| c.is_ascii_control() || ILLEGAL.contains(c)), "{:?}", text);
            Ok(())
        })?;
    }
}
