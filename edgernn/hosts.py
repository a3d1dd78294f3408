"""Which hosts are this machine alone."""

import ipaddress
import socket


def is_loopback(host: str) -> bool:
    """Whether all that a host name or address stands for is this machine, reached by no other.

    A name that cannot be resolved is not.
    """
    try:
        found = {entry[4][0] for entry in socket.getaddrinfo(host, None)} if host else set()
        return bool(found) and all(
            ipaddress.ip_address(str(each).partition("%")[0]).is_loopback for each in found)
    except (OSError, ValueError):
        return False
