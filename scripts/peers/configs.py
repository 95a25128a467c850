"""The same load in the words of each program: Nagios's object files (which Stentor reads too) and Icinga's."""

import os
import shutil
import subprocess

PER_HOST = 10


def host(number):
    return f"h{number:05d}"


def service(number):
    return f"s{number:02d}"


def names(load):
    return ((host(h), service(s)) for h in range(load.hosts) for s in range(PER_HOST))


def write(path, text):
    with open(path, "w") as file:
        file.write(text)


NAGIOS = """\
log_file={folder}/var/nagios.log
cfg_file={folder}/objects.cfg
object_cache_file={folder}/var/objects.cache
status_file={folder}/var/status.dat
status_update_interval=10
nagios_user={user}
nagios_group={user}
check_external_commands=1
command_file={folder}/var/rw/nagios.cmd
query_socket={folder}/var/rw/nagios.qh
lock_file={folder}/var/nagios.pid
temp_file={folder}/var/nagios.tmp
temp_path=/tmp
log_archive_path={folder}/var/archives
check_result_path={folder}/var/spool/checkresults
state_retention_file={folder}/var/retention.dat
retain_state_information=1
retention_update_interval=60
use_retained_program_state=0
use_retained_scheduling_info=0
interval_length=1
execute_service_checks={checked}
execute_host_checks=0
accept_passive_service_checks=1
enable_notifications=0
enable_event_handlers=0
enable_flap_detection=0
process_performance_data=0
use_large_installation_tweaks=1
enable_environment_macros=0
max_concurrent_checks=0
max_service_check_spread=1
max_host_check_spread=1
service_check_timeout=60
auto_reschedule_checks=0
use_syslog=0
log_rotation_method=n
event_broker_options=-1
illegal_macro_output_chars=`~$&|'"<>
date_format=iso8601
"""

NAGIOS_TEMPLATES = """\
define timeperiod {{
    timeperiod_name  24x7
    alias            always
    sunday           00:00-24:00
    monday           00:00-24:00
    tuesday          00:00-24:00
    wednesday        00:00-24:00
    thursday         00:00-24:00
    friday           00:00-24:00
    saturday         00:00-24:00
}}
define command {{
    command_name  plugin
    command_line  {plugin}
}}
define contact {{
    contact_name                   root
    host_notifications_enabled     0
    service_notifications_enabled  0
    host_notification_period       24x7
    service_notification_period    24x7
    host_notification_commands     plugin
    service_notification_commands  plugin
}}
define host {{
    name                   any-host
    register               0
    check_period           24x7
    max_check_attempts     3
    check_interval         300
    active_checks_enabled  0
    contacts               root
    notification_interval  0
    notification_period    24x7
}}
define service {{
    name                   any-service
    register               0
    check_period           24x7
    max_check_attempts     3
    check_interval         {interval}
    retry_interval         {interval}
    check_command          plugin
    contacts               root
    notification_interval  0
    notification_period    24x7
}}
"""


def nagios(folder, load, plugin, user):
    for name in ("var/rw", "var/spool/checkresults", "var/archives"):
        os.makedirs(os.path.join(folder, name))
    write(os.path.join(folder, "nagios.cfg"), NAGIOS.format(folder=folder, user=user, checked=int(load.checked)))
    with open(os.path.join(folder, "objects.cfg"), "w") as file:
        file.write(NAGIOS_TEMPLATES.format(plugin=plugin, interval=load.interval))
        for h in range(load.hosts):
            file.write(f"define host {{\n    use any-host\n    host_name {host(h)}\n    address 127.0.0.1\n}}\n")
            for s in range(PER_HOST):
                file.write(
                    f"define service {{\n    use any-service\n    host_name {host(h)}\n"
                    f"    service_description {service(s)}\n}}\n"
                )


STENTOR = """\
[server]
listen = "127.0.0.1:{port}"

[storage]
url = "sqlite:{folder}/stentor.db"
journal = "{folder}/journal"

[nagios]
config = "{folder}/nagios.cfg"
"""


def stentor(folder, port):
    """Beside the Nagios tree only what must differ between two instances on one machine; all else is default."""
    write(os.path.join(folder, "stentor.toml"), STENTOR.format(folder=folder, port=port))


ICINGA = """\
const NodeName = "bench"
const ZoneName = NodeName
const TicketSalt = "bench"
const MaxConcurrentChecks = 512
library "checker"
object CheckerComponent "checker" {{ }}
object IcingaApplication "app" {{
    enable_notifications = false
    enable_event_handlers = false
    enable_flapping = false
    enable_host_checks = false
    enable_perfdata = false
    enable_service_checks = {checked}
}}
object Endpoint NodeName {{ }}
object Zone ZoneName {{ endpoints = [ NodeName ] }}
object ApiListener "api" {{
    bind_host = "127.0.0.1"
    bind_port = {port}
}}
object ApiUser "root" {{
    password = "{password}"
    permissions = [ "*" ]
}}
object FileLogger "main" {{
    severity = "warning"
    path = "{folder}/var/log/icinga2/icinga2.log"
}}
object CheckCommand "plugin" {{ command = [ "{plugin}" ] }}
template Host "any-host" {{
    enable_active_checks = false
    check_command = "plugin"
}}
template Service "any-service" {{
    check_command = "plugin"
    check_interval = {interval}s
    retry_interval = {interval}s
    enable_active_checks = {checked}
}}
include "objects.conf"
"""

ICINGA_FOLDERS = (
    "var/lib/icinga2/certs",
    "var/lib/icinga2/api",
    "var/cache/icinga2",
    "var/spool/icinga2/perfdata",
    "var/spool/icinga2/tmp",
    "var/log/icinga2",
    "run/icinga2/cmd",
)


def icinga(folder, load, plugin, port, password):
    for name in ICINGA_FOLDERS:
        os.makedirs(os.path.join(folder, name))
    checked = "true" if load.checked else "false"
    text = ICINGA.format(
        folder=folder, plugin=plugin, port=port, password=password, interval=load.interval, checked=checked
    )
    write(os.path.join(folder, "icinga2.conf"), text)
    with open(os.path.join(folder, "objects.conf"), "w") as file:
        for h in range(load.hosts):
            file.write(f'object Host "{host(h)}" {{ import "any-host"\n    address = "127.0.0.1" }}\n')
            for s in range(PER_HOST):
                file.write(f'object Service "{service(s)}" {{ import "any-service"\n    host_name = "{host(h)}" }}\n')
    certificate(os.path.join(folder, "var/lib/icinga2/certs"))


def certificate(folder):
    """The API of Icinga does not start without one."""
    key, made = os.path.join(folder, "bench.key"), os.path.join(folder, "bench.crt")
    command = ["openssl", "req", "-x509", "-newkey", "rsa:2048", "-nodes", "-days", "30", "-subj", "/CN=bench"]
    subprocess.run([*command, "-keyout", key, "-out", made], check=True, stderr=subprocess.DEVNULL)
    shutil.copy(made, os.path.join(folder, "ca.crt"))
