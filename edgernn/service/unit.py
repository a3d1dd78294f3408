"""The unit file that keeps `edgernn stream` running."""

import re
import shutil
import subprocess
import tempfile
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from edgernn.errors import ConfigError, OutputError

MARK = "# Written by `edgernn service`"
"""The first line of a unit that is ours to replace or remove."""
WATCHDOG_S = 60

SYSTEM = """\
# It may read what there is, write where it was told to, and hear; nothing else.
NoNewPrivileges=yes
ProtectSystem=strict
ProtectHome=read-only
{writable}PrivateTmp=yes
PrivateMounts=yes
ProtectKernelTunables=yes
ProtectKernelModules=yes
ProtectKernelLogs=yes
ProtectControlGroups=yes
ProtectHostname=yes
ProtectProc=invisible
RestrictNamespaces=yes
RestrictSUIDSGID=yes
RestrictAddressFamilies=AF_UNIX AF_INET AF_INET6
LockPersonality=yes
CapabilityBoundingSet=
SystemCallArchitectures=native
SystemCallFilter=@system-service
# Sound cards and serial ports. (ProtectClock= would close these again.)
DevicePolicy=closed
DeviceAllow=char-alsa rw
DeviceAllow=char-ttyACM rw
DeviceAllow=char-ttyUSB rw
DeviceAllow=char-ttyAMA rw
SupplementaryGroups=audio dialout
UMask=0077
"""
# A user's own manager may not change what a process sees of the disk.
USER = """\
NoNewPrivileges=yes
RestrictSUIDSGID=yes
RestrictAddressFamilies=AF_UNIX AF_INET AF_INET6
LockPersonality=yes
SystemCallArchitectures=native
SystemCallFilter=@system-service
UMask=0077
"""
# MemoryDenyWriteExecute= is in neither: PortAudio's callbacks, by libffi, need it.

UNIT = """\
{mark}; `edgernn service remove {name}` takes it away.
[Unit]
Description=edgernn: {description}
After={after}
# However often it fails: it is to run for months.
StartLimitIntervalSec=0

[Service]
Type=notify
ExecStart={command}
WorkingDirectory={folder}
{user}Environment=PYTHONUNBUFFERED=1
# Secrets, such as EDGERNN_MQTT_PASSWORD=..., in a file that only its owner may read.
EnvironmentFile=-{secrets}
Restart=on-failure
RestartSec=5
# Nothing told for so long: it is stuck, and begins anew.
WatchdogSec={watchdog}
TimeoutStopSec=20
{hardening}
[Install]
WantedBy={wanted}
"""


@dataclass(frozen=True)
class Unit:
    """A service to be.

    Parameters
    ----------
    name : str
        Without `.service`.
    command : sequence of str
        The program, whole path, and its arguments.
    folder : path
        Where it runs, so that relative paths mean what they meant when it was written.
    owner : str
        Who it runs as; empty for a user's own.
    writable : sequence of path
        Folders it may write to.
    home : path
        Of who writes it.

    Raises
    ------
    ConfigError
        If the name is none that a unit may have.
    """

    name: str
    command: Sequence[str]
    folder: Path
    owner: str
    writable: Sequence[Path] = ()
    home: Path = Path("~")

    def __post_init__(self) -> None:
        if not re.fullmatch(r"[A-Za-z0-9:_.-]{1,200}", self.name) or self.name.startswith("."):
            raise ConfigError(f"{self.name!r} is no name for a service; letters, digits and :_.- "
                              "were needed. Choose such a one with --name")

    @property
    def path(self) -> Path:
        """Where it belongs."""
        folder = (Path("/etc/systemd/system") if self.owner
                  else self.home / ".config" / "systemd" / "user")
        return folder / f"{self.name}.service"

    def text(self) -> str:
        """The file."""
        writable = "".join(f"ReadWritePaths={quoted(str(path))}\n" for path in self.writable)
        return UNIT.format(
            mark=MARK, name=self.name, folder=_escaped(str(self.folder)),
            description=_escaped(" ".join(self.command[3:]) or "stream")[:120],
            command=" ".join(map(quoted, self.command)), watchdog=WATCHDOG_S,
            user=f"User={self.owner}\n" if self.owner else "",
            after="network.target sound.target" if self.owner else "default.target",
            secrets=(f"/etc/edgernn/{self.name}.env" if self.owner
                     else f"%h/.config/edgernn/{self.name}.env"),
            hardening=SYSTEM.format(writable=writable) if self.owner else USER,
            wanted="multi-user.target" if self.owner else "default.target")

    def verify(self) -> None:
        """Have `systemd-analyze verify` read it, where there is one.

        Raises
        ------
        ConfigError
            If it finds a fault.
        """
        if not shutil.which("systemd-analyze"):
            return
        with tempfile.TemporaryDirectory() as folder:
            path = Path(folder) / f"{self.name}.service"
            path.write_text(self.text())
            done = subprocess.run(
                ["systemd-analyze", "verify", "--man=no", *([] if self.owner else ["--user"]),
                 str(path)], capture_output=True, text=True)
        told = [line for line in done.stderr.splitlines() if f"{self.name}.service" in line]
        if done.returncode and told:
            raise ConfigError(f"systemd refuses the unit: {' '.join(told)[:400]}")


def ours(path: Path) -> bool:
    """Whether a unit file was written by edgernn.

    Raises
    ------
    OutputError
        If it cannot be read.
    """
    try:
        return path.read_text(errors="replace").startswith(MARK)
    except OSError as problem:
        raise OutputError(f"{path} cannot be read: {problem.strerror}") from problem


def quoted(word: str) -> str:
    """A word of a command line as systemd.service(5) reads it."""
    if "\n" in word or "\0" in word:
        raise ConfigError(f"{word!r} has a line break; systemd takes none in a command")
    if word and re.fullmatch(r"[A-Za-z0-9_@+=:,./-]+", word):
        return word
    inner = word.replace("\\", "\\\\").replace('"', '\\"').replace("$", "$$")
    return f'"{_escaped(inner)}"'


def _escaped(text: str) -> str:
    """Without the specifiers that systemd.unit(5) would put something in the place of."""
    return text.replace("%", "%%").replace("\n", " ")
