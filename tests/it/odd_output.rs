//! What a broken or hostile plugin prints, on its way through the real service: NUL, terminal escapes, bytes that are no
//! text, markup, shell syntax, and more performance data than anybody reads. Wherever it is shown it is only text.

use std::fs;
use std::os::unix::fs::PermissionsExt;
use std::path::Path;

use stentor_wire::nagios::retention::{Kind, parse};
use tempfile::TempDir;

use crate::running::{Running, until};

const MAIN: &str = "cfg_file=objects.cfg\ninterval_length=1\nlog_file=var/nagios.log\ncommand_file=var/nagios.cmd\n\
                    check_external_commands=1\nstatus_file=var/status.dat\nstatus_update_interval=1\n\
                    enable_environment_macros=1\nillegal_macro_output_chars=`~$&|'\"<>\nlog_passive_checks=1\n";

const OBJECTS: &str = r#"
define command {
  command_name check_odd
  command_line FOLDER/check_odd
}
define command {
  command_name mail
  command_line FOLDER/mail "$SERVICEDESC$ $SERVICESTATE$" "$SERVICEOUTPUT$" "$LONGSERVICEOUTPUT$" "$SERVICEPERFDATA$"
}
define contact {
  contact_name ann
  host_notification_commands mail
  service_notification_commands mail
  host_notification_options d,r
  service_notification_options c,r
}
define host {
  host_name h
  address 127.0.0.1
  max_check_attempts 1
  contacts ann
}
define service {
  host_name h
  service_description odd
  check_command check_odd
  max_check_attempts 1
  check_interval 3600
  retry_interval 3600
  notification_interval 0
}
define service {
  host_name h
  service_description told
  check_command check_odd
  active_checks_enabled 0
  max_check_attempts 1
  notification_interval 0
}
"#;

/// Keeps arguments and environment.
const MAIL: &str = "#!/bin/sh\n{ printf '%s\\n' \"$@\"; env; } > 'FOLDER/var/part'\n\
                    mv 'FOLDER/var/part' \"FOLDER/var/mail of $1\"\n";

/// Colour, window title, C1 control, bidirectional override, bytes that are not UTF-8, markup, shell syntax.
const FIRST: &[u8] = b"bad \0nul \x1b[31mred\x1b]0;owned\x07 \xc2\x9bc1 \xe2\x80\xaertl \xff\xfe \
                       <script>alert(1)</script> `touch pwned` $(touch pwned) end";

/// The same on a second line, and more than 64 KiB of performance data.
fn output() -> Vec<u8> {
    let perfdata: String = (0..6000).map(|n| format!("'l\u{fc} {n}'={n}.5ms;1;2;0;9 ")).collect();
    assert!(perfdata.len() > 64 * 1024);
    [FIRST, b"|", perfdata.as_bytes(), b"\n", FIRST, b"\n"].concat()
}

fn tree() -> TempDir {
    let folder = tempfile::tempdir().unwrap();
    let root = folder.path().display().to_string();
    let write = |name: &str, text: &str| fs::write(folder.path().join(name), text.replace("FOLDER", &root)).unwrap();
    fs::create_dir(folder.path().join("var")).unwrap();
    write("nagios.cfg", MAIN);
    write("objects.cfg", OBJECTS);
    write("mail", MAIL);
    write("check_odd", "#!/bin/sh\ncat FOLDER/output\nexit 2\n");
    fs::write(folder.path().join("output"), output()).unwrap();
    for name in ["mail", "check_odd"] {
        fs::set_permissions(folder.path().join(name), fs::Permissions::from_mode(0o755)).unwrap();
    }
    folder
}

/// Text without anything that a terminal, a browser or a parser of lines would act upon.
fn assert_harmless(what: &str, bytes: &[u8]) -> String {
    let text = String::from_utf8(bytes.to_vec()).unwrap_or_else(|error| panic!("{what}: {error}"));
    let odd = |c: char| (c.is_control() && !matches!(c, '\n' | '\t')) || matches!(c, '\u{202A}'..='\u{202E}');
    let found = text.char_indices().find(|(_, c)| odd(*c));
    assert!(found.is_none(), "{what} has {found:?}");
    text
}

async fn mail_of(folder: &Path, subject: &str) -> String {
    let path = folder.join(format!("var/mail of {subject}"));
    let bytes = until(subject, async || fs::read(&path)).await;
    assert_harmless(subject, &bytes)
}

/// Each place where the output of a service is shown.
async fn assert_shown_harmlessly(stentor: &Running, folder: &Path, service: &str) {
    let shown = ["bad \u{2400}nul \u{241b}[31mred", "end"];
    let mail = mail_of(folder, &format!("{service} CRITICAL")).await;
    for words in shown.into_iter().chain(["scriptalert(1)/script touch pwned (touch pwned) end\n"]) {
        assert!(mail.contains(words), "`{words}` is not in the mail of {service}");
    }

    let alert = format!("SERVICE ALERT: h;{service};CRITICAL;HARD;1;bad \u{2400}nul ");
    let log = until("the log", async || {
        let log = assert_harmless("nagios.log", &fs::read(folder.join("var/nagios.log")).unwrap());
        if log.contains(&alert) { Ok(log) } else { Err(log) }
    })
    .await;
    assert!(log.lines().all(|line| line.starts_with('[') && line.len() < 64 * 1024), "a line was broken in two");

    until("status.dat", async || {
        let bytes = fs::read(folder.join("var/status.dat")).unwrap_or_default();
        let file = parse(assert_harmless("status.dat", &bytes).as_bytes());
        assert_eq!(file.complaints, []);
        let block = file.of(Kind::Service).find(|block| block.text("service_description") == Some(service));
        let output = block.and_then(|block| block.text("plugin_output")).unwrap_or_default().to_owned();
        if shown.iter().all(|words| output.contains(words)) { Ok(()) } else { Err(output) }
    })
    .await;

    let page = assert_harmless("the page", stentor.text(&format!("h/h/{service}")).await.as_bytes());
    assert!(page.contains(shown[0]) && !page.contains("<script>alert"), "{page}");
    assert!(page.len() < 1 << 20, "the page has {} bytes", page.len());
    let seen = stentor.service("h", service).await;
    assert_harmless("the API", seen["output"].as_str().unwrap().as_bytes());
    assert!(seen["perfdata"].as_array().unwrap().len() <= 256);
    assert_harmless("the metrics", stentor.text("metrics").await.as_bytes());
    assert!(!folder.join("pwned").exists() && !folder.join("var/pwned").exists());
}

#[tokio::test]
async fn odd_output_is_only_text_wherever_it_is_shown() {
    let folder = tree();
    let root = folder.path().to_owned();
    let stentor = Running::serve("[nagios]\nconfig = \"nagios.cfg\"\n", folder).await;
    assert_shown_harmlessly(&stentor, &root, "odd").await;

    // The same through the pipe, after a line of 10 MB that nobody can mean. A line ends at its line feed.
    let result = [b"[1] PROCESS_SERVICE_CHECK_RESULT;h;told;2;", FIRST, b"|", &b"a=1;2;3 ".repeat(8192)].concat();
    let pipe = root.join("var/nagios.cmd");
    let written = tokio::task::spawn_blocking(move || fs::write(pipe, [vec![b'x'; 10 << 20], result].join(&b'\n')));
    written.await.unwrap().unwrap();
    fs::write(root.join("var/nagios.cmd"), "\n").unwrap();
    assert_shown_harmlessly(&stentor, &root, "told").await;
    let metrics = stentor.text("metrics").await;
    assert!(metrics.contains("stentor_nagios_commands_refused_total 1\n"), "{metrics}");
    stentor.stop().await;
}
