"""Who may see the page."""

import hmac

import pytest

from edgernn.errors import ConfigError
from edgernn.web import access
from edgernn.web.access import Access

TOKEN = "correct horse battery"


@pytest.mark.parametrize("host", ["0.0.0.0", "::", "192.168.1.2", "no.such.name.invalid", ""])
def test_an_address_that_others_reach_needs_a_token(host):
    with pytest.raises(ConfigError, match="--web-token"):
        Access(host, 8080)
    Access(host, 8080, TOKEN)


@pytest.mark.parametrize("host", ["127.0.0.1", "127.1.2.3", "::1", "localhost"])
def test_this_machine_alone_needs_none(host):
    assert Access(host, 8080).admits(None)


@pytest.mark.parametrize("token", ["", "short", "elevenchars", "ünïcödé-tökën"])
def test_a_token_that_is_soon_guessed_or_cannot_be_sent_is_refused(token):
    with pytest.raises(ConfigError, match="openssl rand"):
        Access("0.0.0.0", 8080, token)


@pytest.mark.parametrize("host", ["localhost", "localhost:8080", "127.0.0.1:8080", "[::1]:9",
                                  "LOCALHOST:8080"])
def test_a_browser_that_names_this_machine_is_let_in_through_any_port(host):
    here = Access("127.0.0.1", 8080)
    assert here.misled(host, None) is None
    assert here.misled(host, f"http://{host}") is None


@pytest.mark.parametrize("host", [
    None, "", "evil.example", "evil.example:8080", "127.0.0.1.evil.example",
    "localhost.evil.example", "localhost@evil.example", "0.0.0.0:8080", "192.168.1.2", "[",
    "127.0.0.1:8080:x"])
def test_a_name_that_was_made_to_point_here_is_refused(host):
    assert Access("127.0.0.1", 8080).misled(host, None)


@pytest.mark.parametrize("origin", [
    "http://evil.example", "http://localhost:8081", "null", "http://localhost.evil.example:8080",
    "http://evil.example/localhost:8080", "http://localhost", "file://"])
@pytest.mark.parametrize("token", [None, TOKEN])
def test_pages_of_others_are_refused_with_or_without_a_token(origin, token):
    assert Access("localhost", 8080, token).misled("localhost:8080", origin)


def test_the_token_is_compared_in_constant_time(monkeypatch):
    compared = []
    real = hmac.compare_digest
    monkeypatch.setattr(access.hmac, "compare_digest",
                        lambda a, b: compared.append((len(a), len(b))) or real(a, b))
    asked = Access("0.0.0.0", 8080, TOKEN)
    assert asked.knows(TOKEN)
    assert not asked.knows("")
    assert not asked.knows(TOKEN + "x")
    assert not asked.knows("\udc80" * 30)
    assert asked.admits(asked.pass_word)
    assert not asked.admits(None)
    assert not asked.admits(TOKEN), "the cookie is not the token"
    assert compared == [(32, 32)] * 7, "of one length, whatever was given"


def test_a_cookie_outlives_a_restart_but_not_another_token():
    before = Access("0.0.0.0", 8080, TOKEN)
    assert Access("0.0.0.0", 8080, TOKEN).admits(before.pass_word)
    assert not Access("0.0.0.0", 8080, TOKEN + "2").admits(before.pass_word)
    assert TOKEN not in before.pass_word
