"""Who may see the page, and change thresholds on it."""

import hashlib
import hmac
import ipaddress
from dataclasses import dataclass
from urllib.parse import urlsplit

from edgernn.errors import ConfigError
from edgernn.hosts import is_loopback

SHORTEST = 12
"""Characters of a token, at least: guesses cost a second each, and nobody counts them."""


@dataclass(frozen=True)
class Access:
    """The rule of one page.

    Without a token the page is at a loopback address, which no other machine reaches; but a
    browser on this one does, and may be sent here by any page in it.  So the host it was told
    must be this machine by name (else a stranger's name was made to point here: DNS
    rebinding), and a page that asks for data must be our own.

    Raises
    ------
    ConfigError
        If other machines reach the address and there is no token, or a short one.
    """

    host: str
    """What it listens at."""
    port: int
    token: str | None = None

    def __post_init__(self) -> None:
        if self.token is None and not is_loopback(self.host):
            raise ConfigError(f"--web {self.host}:{self.port} can be reached from other machines, "
                              "and whoever sees the page may change thresholds. Give it a "
                              "--web-token, or leave the host out: it is then 127.0.0.1")
        if self.token is not None and not (len(self.token) >= SHORTEST and self.token.isascii()):
            raise ConfigError(f"the token of --web has {len(self.token)} characters; {SHORTEST} or "
                              "more, all of ASCII, were needed. Make one: openssl rand -hex 16")

    @property
    def cookie(self) -> str:
        """Name of the cookie that stands for the token: browsers share cookies among ports."""
        return f"edgernn-{self.port}"

    @property
    def pass_word(self) -> str:
        """What that cookie holds; it outlives a restart, and does not give the token away."""
        return hmac.digest((self.token or "").encode(), b"edgernn --web", "sha256").hex()

    def knows(self, token: str) -> bool:
        """Whether that is the token; takes as long for a near miss as for any other."""
        return _equal(token, self.token or "")

    def misled(self, host: str | None, origin: str | None) -> str | None:
        """Why a request with these headers is refused, or None.

        Parameters
        ----------
        host : str or None
            Header Host: whom the browser thinks it talks to.
        origin : str or None
            Header Origin: whose page asked.
        """
        if host is None or (self.token is None and not _is_here(host)):
            return (f"this page is at localhost, not at {host!r:.80}: a name that points here is "
                    "not enough. Open it by http://127.0.0.1")
        if origin is not None and urlsplit(origin).netloc.lower() != host.lower():
            return f"a page of {origin!r:.80} may not use this one"
        return None

    def admits(self, cookie: str | None) -> bool:
        """Whether a browser with that cookie may see the page."""
        return self.token is None or _equal(cookie or "", self.pass_word)


def _equal(one: str, other: str) -> bool:
    # Digests first: what is compared then has one length, whatever was sent.
    digests = [hashlib.sha256(each.encode("utf-8", "surrogateescape")).digest()
               for each in (one, other)]
    return hmac.compare_digest(*digests)


def _is_here(host: str) -> bool:
    """Whether a Host header names this machine itself; no name is looked up."""
    try:
        parts = urlsplit(f"//{host}")
        name, _ = parts.hostname or "", parts.port  # which raises if it is no number
        return name == "localhost" or ipaddress.ip_address(name).is_loopback
    except ValueError:
        return False
