"""What `vagrant/testbed up` makes: the paper's five hosts (P22), Fig. 2a (P23), as Locum is installed by a user."""

from __future__ import annotations

from standing_bed import HOMES, SOON_S, StandingBed
from waiting import until

ADDRESSES = {"sds": "10.77.0.10", "db": "10.77.0.53", "http": "10.77.0.11", "ftp": "10.77.0.12", "email": "10.77.0.13"}


def test_each_service_is_at_home_and_email_stands_in_for_http(healed: StandingBed) -> None:
    services = {service["name"]: service for service in healed.status()["services"]}
    assert {name: service["holder"] for name, service in services.items()} == HOMES
    assert services["www"]["secondary"] in ("email", "ftp")


def test_the_real_programs_answer_under_their_names(healed: StandingBed) -> None:
    assert healed.served_by() == "http"
    assert "README.txt" in healed.client("curl", "-fsS", "ftp://ftp.testbed.locum.test/")
    talk = healed.testbed("client", "sh", "-c", "echo quit | curl -fsS -m 5 telnet://mail.testbed.locum.test:25").stdout
    assert talk.startswith("220 email.testbed.locum.test"), talk


def test_ftp_says_which_host_answers(healed: StandingBed) -> None:
    talk = healed.testbed("client", "sh", "-c", "echo QUIT | curl -fsS -m 5 telnet://ftp.testbed.locum.test:21").stdout
    assert "220-server=ftp" in talk


def test_each_host_registered_its_own_name(healed: StandingBed) -> None:
    for name in ("http", "ftp", "email"):
        assert healed.client("dig", "+short", f"{name}.servers.testbed.locum.test").strip() == ADDRESSES[name]


def test_each_host_has_its_own_name_processes_and_disk(bed: StandingBed) -> None:
    for name in ADDRESSES:
        assert bed.on(name, "hostname").strip() == name
        assert "bed/init.py" in bed.on(name, "cat", "/proc/1/cmdline")
    bed.on("http", "sh", "-c", "echo here >/root/mark")
    assert bed.testbed("on", "ftp", "cat", "/root/mark").returncode != 0


def test_locum_is_installed_as_a_wheel_and_runs_in_real_time(healed: StandingBed) -> None:
    assert "/opt/locum/lib" in healed.on("http", "/opt/locum/bin/python", "-P", "-c", "import agent; print(agent.__file__)")
    guards = {server["name"]: server["guards"] for server in healed.status()["servers"]}
    assert all("sched-fifo" in guard for guard in guards.values()), guards


def test_the_database_is_redis_with_a_user_for_each_purpose(bed: StandingBed) -> None:
    assert "NOAUTH" in bed.testbed("on", "db", "redis-cli", "ping").stdout
    secret = bed.on("db", "cat", "/etc/locum/secrets/redis-files").strip()
    said = bed.testbed(
        "on", "db", "redis-cli", "--no-auth-warning", "--user", "files", "--pass", secret, "hgetall", "locum:{testbed}:rows"
    ).stdout
    assert "NOPERM" in said
    config = bed.on("db", "cat", "/etc/redis/redis.conf")
    assert "appendonly yes" in config and "appendfsync always" in config


def test_the_files_of_a_service_reach_its_secondary(healed: StandingBed) -> None:
    """P4; when they are changed at home, too."""
    mark = f"<!-- {healed.service('www')['epoch']} -->"
    healed.on("http", "sh", "-c", f"echo '{mark}' >>/srv/www/html/index.html")

    def page() -> str:
        return healed.testbed("on", healed.service("www")["secondary"] or "http", "cat", "/srv/www/html/index.html").stdout

    until(lambda: mark in page() and healed.service("www")["secondary"], SOON_S, every_s=0.3)
    listed = healed.testbed("on", "db", "redis-cli", "--no-auth-warning", "--user", "files", "--pass", "wrong", "ping").stdout
    assert "PONG" not in listed and "NOAUTH" in listed


def test_only_signed_updates_change_the_zone(bed: StandingBed) -> None:
    order = "server 10.77.0.53\nupdate add evil.testbed.locum.test 1 A 10.77.0.66\nsend\n"
    assert "REFUSED" in bed.testbed("client", "sh", "-c", f"printf '{order}' | nsupdate 2>&1").stdout
    assert not bed.client("dig", "+short", "evil.testbed.locum.test").strip()


def test_status_tells_of_hosts_faults_and_services(healed: StandingBed) -> None:
    healed.broken("cut-link.sh", "http", "ftp", "--one-way")
    healed.broken("crash-host.sh", "email")
    said = healed.testbed("status").stdout
    assert "http does not reach ftp" in said and "www" in said
    (line,) = [line for line in said.splitlines() if line.startswith("email  10.77")]
    assert line.endswith("down")


def test_a_program_of_ours_ends_with_its_own_status(bed: StandingBed) -> None:
    assert bed.testbed("on", "sds", "sh", "-c", "exit 7").returncode == 7
    assert bed.testbed("client", "false").returncode == 1


def test_the_load_of_a_host_is_its_own(healed: StandingBed) -> None:
    """All hosts have the same processors here, so Locum is told each host's part (P9)."""
    healed.broken("load-host.sh", "email", "0.9")

    def levels() -> dict[str, float]:
        return {server["name"]: server["loadlevel"] or 0 for server in healed.status()["servers"]}

    until(lambda: levels().get("email", 0) > 0.2, 60, every_s=0.5)
    assert levels()["http"] < levels()["email"]
