"""nginx, vsftpd and postfix by the resource agents of the distribution.

Not collected by itself: test_distribution_agents.py runs it in namespaces of its own, since
these agents look for their daemons among all processes, and write to places that are there once.
"""

from __future__ import annotations

import os
import shutil
import signal
import socket
import subprocess
from pathlib import Path

import pytest
from waiting import until

from agent import adoption, kept
from agent.channel import Exited
from agent.drivers.ocf import ROOT, OcfDriver
from agent.listeners import listening
from tests.drivers.conftest import Kept, MakeKept, gone
from tests.processes.small_cluster import SmallCluster

SOON_S = 60.0
WWW_PORT, FTP_PORT, MAIL_PORT = 8081, 2121, 2525


def needs(program: str, agent: str) -> pytest.MarkDecorator:
    there = shutil.which(program) and (ROOT / "resource.d" / "heartbeat" / agent).exists()
    return pytest.mark.skipif(not there, reason=f"{program} or its resource agent is not installed here")


def alive(program: str) -> list[int]:
    """Who runs this program, or has its name, in our process namespace."""
    return [pid for pid, stat in adoption.processes().items() if program in os.path.basename(kept.program_of(pid)) and not stat.zombie]


def greeting(port: int) -> str:
    """What a server says first; nothing if there is none."""
    try:
        with socket.create_connection(("127.0.0.1", port), timeout=5) as connection:
            return connection.recv(200).decode()
    except OSError:
        return ""


def nginx_configuration(directory: Path, listen: str = f"127.0.0.1:{WWW_PORT}") -> Path:
    path = directory / "nginx.conf"
    path.write_text(
        f"worker_processes 2;\npid {directory}/nginx.pid;\nerror_log {directory}/error.log;\nevents {{}}\n"
        f"http {{\naccess_log off;\nserver {{\nlisten {listen};\nlocation / {{ return 200 'served'; }}\n}}\n}}\n"
    )
    return path


@pytest.fixture
def www(make_kept: MakeKept, tmp_path: Path) -> Kept:
    configuration = str(nginx_configuration(tmp_path))
    return make_kept("ocf:heartbeat:nginx", ROOT, WWW_PORT, configfile=configuration)


def anew(service: Kept) -> OcfDriver:
    """A driver that knows nothing yet."""
    return OcfDriver("one", "127.0.0.1", service.agent.id, Path(service.agent.config.state_dir))


def up(service: Kept, port: int) -> None:
    service.begin()
    until(lambda: listening("127.0.0.1", port), within_s=SOON_S)


def settled(service: Kept, daemon: str) -> int:
    """The main daemon, once the keeper has written its session down: its agent's start is over."""

    def told() -> int | None:
        sessions = kept.read(str(Path(service.agent.config.state_dir) / "run" / "www")).sessions
        return next((pid for pid in sessions if daemon in kept.program_of(pid)), None)

    return until(told, within_s=SOON_S)


@needs("nginx", "nginx")
def test_nginx_starts_and_its_masters_death_takes_the_workers_along(www: Kept) -> None:
    assert www.driver.why_not(www.definition) is None
    up(www, WWW_PORT)
    master = settled(www, "nginx")
    assert len(alive("nginx")) == 3
    os.kill(master, signal.SIGKILL)
    assert www.agent.guard.hear(Exited).status == 7
    assert www.words == f"nginx (pid {master}) was killed by signal 9"
    assert not alive("nginx") and not listening("127.0.0.1", WWW_PORT)


@needs("nginx", "nginx")
def test_nginx_stops_and_starts_again(www: Kept) -> None:
    for _ in range(2):
        up(www, WWW_PORT)
        settled(www, "nginx")
        os.kill(www.keeper, signal.SIGTERM)
        assert www.agent.guard.hear(Exited).status == 0
        assert not alive("nginx") and not listening("127.0.0.1", WWW_PORT)
        www.agent.kill()


@needs("nginx", "nginx")
def test_nginx_starts_again_beside_a_pid_file_that_names_another(www: Kept, tmp_path: Path) -> None:
    up(www, WWW_PORT)
    settled(www, "nginx")
    www.agent.kill()
    assert not alive("nginx")
    bystander = subprocess.Popen(["sleep", "1000"])
    try:
        (tmp_path / "nginx.pid").write_text(f"{bystander.pid}\n")
        up(www, WWW_PORT)
        settled(www, "nginx")
        assert bystander.poll() is None
    finally:
        bystander.kill()
        bystander.wait()
    www.agent.kill()


@needs("nginx", "nginx")
def test_nginx_that_cannot_start_says_why_in_its_own_words(www: Kept, tmp_path: Path) -> None:
    (tmp_path / "nginx.conf").write_text(f"pid {tmp_path}/nginx.pid;\nevents {{}}\nhttp {{ colour red; }}\n")
    www.begin()
    assert www.agent.guard.hear(Exited).status == 5
    assert 'unknown directive "colour"' in www.words and www.words.startswith("its agent's start failed: ")
    www.driver = anew(www)
    reason = www.look()
    assert reason is not None and "reported a configuration error" in reason


@needs("nginx", "nginx")
def test_nginx_of_somebody_else_or_started_at_boot_makes_no_candidate(www: Kept, tmp_path: Path) -> None:
    """R17, with the remedy."""
    foreign = subprocess.Popen(["nginx", "-c", str(tmp_path / "nginx.conf"), "-g", "daemon off;"])
    try:
        until((tmp_path / "nginx.pid").exists, within_s=SOON_S)
        www.driver = anew(www)
        reason = www.look()
        assert reason is not None and "runs here already, and it is not ours: stop it" in reason
    finally:
        foreign.terminate()
        foreign.wait()
    www.driver = anew(www)
    assert www.look() is None
    wants = Path("/etc/systemd/system/multi-user.target.wants")  # of this mount namespace
    wants.mkdir()
    (wants / "nginx.service").symlink_to("/lib/systemd/system/nginx.service")
    assert "systemctl disable --now nginx.service" in str(www.driver.why_not(www.definition))
    shutil.rmtree(wants)


@needs("sh", "dovecot")
def test_what_is_not_installed_makes_no_candidate(make_kept: MakeKept) -> None:
    if shutil.which("dovecot"):
        pytest.skip("dovecot is installed here")
    reason = make_kept("ocf:heartbeat:dovecot", ROOT).look()
    assert reason is not None and reason.startswith("dovecot is not installed here") and reason.endswith("apt install dovecot")


@needs("vsftpd", "vsftpd")
def test_vsftpd_is_kept_and_starts_again_after_it_was_killed(make_kept: MakeKept, tmp_path: Path) -> None:
    (tmp_path / "empty").mkdir()
    configuration = tmp_path / "vsftpd.conf"
    configuration.write_text(
        f"listen=YES\nlisten_port={FTP_PORT}\nbackground=YES\nanonymous_enable=YES\nsecure_chroot_dir={tmp_path}/empty\nftpd_banner=kept\n"
    )
    ftp = make_kept("ocf:heartbeat:vsftpd", ROOT, FTP_PORT, binpath="vsftpd", conffile=str(configuration), pidfile=f"{tmp_path}/ftp.pid")
    assert ftp.driver.why_not(ftp.definition) is None
    for _ in range(2):  # the second time beside the pid file of the first
        up(ftp, FTP_PORT)
        settled(ftp, "vsftpd")
        assert greeting(FTP_PORT).startswith("220 kept")
        ftp.agent.kill()
        assert not alive("vsftpd") and not listening("127.0.0.1", FTP_PORT)
    up(ftp, FTP_PORT)
    os.kill(settled(ftp, "vsftpd"), signal.SIGKILL)
    assert ftp.agent.guard.hear(Exited).status == 7


def private_postfix(directory: Path) -> None:
    """Postfix's directories, as this mount namespace sees them."""
    own = directory / "postfix"
    shutil.copytree("/etc/postfix", own, symlinks=True)
    (own / "main.cf").write_text(
        "compatibility_level = 3.6\nmyhostname = mail.test\nmydestination = mail.test\ninet_interfaces = 127.0.0.1\n"
        f"inet_protocols = ipv4\nalias_maps =\nmaillog_file = {directory}/mail.log\nmaillog_file_prefixes = {directory}\n"
    )
    master = (Path("/usr/share/postfix") / "master.cf.dist").read_text().replace("smtp      inet", f"{MAIL_PORT}      inet", 1)
    (own / "master.cf").write_text("\n".join(master.splitlines()) + "\npostlog   unix-dgram n  -       n       -       1       postlogd\n")
    subprocess.run(["mount", "--bind", str(own), "/etc/postfix"], check=True)
    for place, owner in (("/var/spool/postfix", "root"), ("/var/lib/postfix", "postfix")):
        subprocess.run(["mount", "-t", "tmpfs", "tmpfs", place], check=True)
        shutil.chown(place, owner, "root")
        Path(place).chmod(0o755)


@needs("postfix", "postfix")
def test_postfix_is_kept_though_it_clears_its_environment(make_kept: MakeKept, tmp_path: Path) -> None:
    tmp_path.parent.parent.chmod(0o755)
    private_postfix(tmp_path)
    mail = make_kept("ocf:heartbeat:postfix", ROOT, MAIL_PORT)
    assert mail.driver.why_not(mail.definition) is None
    up(mail, MAIL_PORT)
    master = settled(mail, "master")
    assert b"LOCUM" not in Path(f"/proc/{master}/environ").read_bytes()
    assert until(lambda: greeting(MAIL_PORT), within_s=SOON_S).startswith("220 mail.test")
    helpers = [pid for pid in kept.descendants(mail.keeper) if pid != master]
    assert helpers, "it has processes of its own"
    mail.agent.kill()
    assert gone(master) and all(map(gone, helpers)) and not listening("127.0.0.1", MAIL_PORT)
    up(mail, MAIL_PORT)
    master = settled(mail, "master")
    os.kill(mail.keeper, signal.SIGTERM)
    assert mail.agent.guard.hear(Exited).status == 0
    assert gone(master) and not listening("127.0.0.1", MAIL_PORT)


@needs("nginx", "nginx")
def test_a_whole_agent_keeps_nginx(tmp_path: Path) -> None:
    """Started from its settings, restarted in place when its master dies, told in words; gone with the agent."""
    cluster = SmallCluster(tmp_path, ["one"])
    configuration = nginx_configuration(tmp_path, f"{cluster.servers['one']}:8081")
    settings = cluster.agent_settings("one", {"start": [], "driver": "ocf", "agent": "ocf:heartbeat:nginx"})
    with settings.open("a") as more:
        more.write(f'parameters = {{ configfile = "{configuration}" }}\n')
    try:
        cluster.start("sds", cluster.sds_settings())
        part = cluster.start("agent", settings)
        cluster.settled_without_secondary("one")
        master = int((tmp_path / "nginx.pid").read_text())
        os.kill(master, signal.SIGKILL)

        def restarted() -> bool:
            return any(e["kind"] == "restarted" and f"nginx (pid {master}) was killed by signal 9" in e["text"] for e in cluster.history())

        until(restarted, within_s=SOON_S, every_s=0.2)
        cluster.settled_without_secondary("one")
        assert master not in alive("nginx") and alive("nginx")
        part.process.send_signal(signal.SIGTERM)
        part.process.send_signal(signal.SIGTERM)
        part.ended(SOON_S)
        until(lambda: not alive("nginx"), within_s=SOON_S)
    except AssertionError as error:
        raise AssertionError(f"{error}\n{cluster.logs()}") from None
    finally:
        cluster.end()
