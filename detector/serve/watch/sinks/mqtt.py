"""Results published to an MQTT broker, as most plants have one; each at least once (QoS 1), in order."""

import threading
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

from descriptions.common.extras import require
from detector.serve.errors import ServeError
from detector.serve.watch.sinks.waiting import Waiting
from detector.serve.watch.sinks.webhook import read_secret

EXPECTED = "mqtt://HOST[:PORT]/TOPIC, or mqtts:// for TLS, such as mqtt://broker.plant/line3/results"
PORTS = {"mqtt": 1883, "mqtts": 8883}
PATIENCE = 10.0
"""Seconds that the broker has to connect, and to say that it took a result."""


class Mqtt:
    """A topic of a broker; connects again by itself whenever the connection is lost.

    Args:
        host: of the broker.
        port: of the broker.
        topic: that results are published to.
        tls: whether the connection is encrypted, and the broker's certificate checked.
        login: name and password.
    """

    def __init__(self, host: str, port: int, topic: str, *, tls: bool, login: tuple[str, str] | None = None) -> None:
        require("--mqtt", "paho")
        from paho.mqtt.client import Client
        from paho.mqtt.enums import CallbackAPIVersion

        self.topic = topic
        self._client = Client(CallbackAPIVersion.VERSION2)
        self._connected = threading.Event()
        self._client.on_connect = lambda _, __, ___, code, ____: None if code.is_failure else self._connected.set()
        self._client.on_disconnect = lambda *_: self._connected.clear()
        if tls:
            self._client.tls_set()
        if login is not None:
            self._client.username_pw_set(*login)
        self._client.reconnect_delay_set(1, 30)
        self._client.connect_async(host, port)
        self._client.loop_start()
        self._waiting = Waiting(f"mqtt://{host}/{topic}", self._publish)

    @classmethod
    def open(cls, url: str, login: Path | None) -> "Mqtt":
        """The broker of the command line.

        Raises:
            ServeError: no address of a broker and a topic, or no login in the file.
        """
        parts = urlsplit(url)
        topic = parts.path.strip("/")
        try:
            port = parts.port or PORTS.get(parts.scheme, 0)
        except ValueError as error:
            raise ServeError(f"--mqtt with the port of {parts.hostname}", expected=EXPECTED) from error
        if parts.username is not None:
            raise ServeError(
                "--mqtt with a name in the address, which everybody on this machine sees",
                expected="a file with one line, name:password", hint="type --mqtt-login FILE",
            )  # fmt: skip
        if parts.scheme not in PORTS or not parts.hostname or not topic or set(url) & set("+#?\0"):
            raise ServeError(f"--mqtt {url[:120]!r}", expected=EXPECTED)
        return cls(parts.hostname, port, topic, tls=parts.scheme == "mqtts", login=_login(login))

    def send(self, line: dict[str, Any]) -> None:
        """Publish one result later, in order."""
        self._waiting.send(line)

    def close(self) -> None:
        """Give what waits a last chance."""
        self._waiting.close()
        self._client.disconnect()
        self._client.loop_stop()

    def _publish(self, _: str, body: bytes) -> bool:
        if not self._connected.wait(PATIENCE):
            return False
        told = self._client.publish(self.topic, body, qos=1)
        try:
            told.wait_for_publish(PATIENCE)
        except (RuntimeError, ValueError):  # the connection went away, or paho's own queue is full
            return False
        return bool(told.is_published())


def _login(path: Path | None) -> tuple[str, str] | None:
    if path is None:
        return None
    name, colon, password = read_secret("--mqtt-login", path, "a file with one line, name:password").partition(":")
    if not name or not colon:
        raise ServeError(f"--mqtt-login {path} holds no name:password", expected="one line, name:password")
    return name, password
