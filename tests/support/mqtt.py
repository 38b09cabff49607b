"""A real MQTT broker on loopback, and somebody who listens to it."""

import socket
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import closing, contextmanager, suppress
from pathlib import Path

import yaml
from paho.mqtt.client import Client, MQTTMessage
from paho.mqtt.enums import CallbackAPIVersion
from pwdlib.hashers.argon2 import Argon2Hasher


def free_port() -> int:
    """A port that nobody listens on now."""
    with closing(socket.socket()) as sock:
        sock.bind(("127.0.0.1", 0))
        port: int = sock.getsockname()[1]
        return port


@contextmanager
def broker(folder: Path, port: int, login: str) -> Iterator[None]:
    """A broker that lets in `name:password` only, until the block ends."""
    name, _, password = login.partition(":")
    (folder / "passwords").write_text(f"{name}:{Argon2Hasher().hash(password)}\n")
    config = {
        "listeners": {"default": {"type": "tcp", "bind": f"127.0.0.1:{port}"}},
        "plugins": {"amqtt.plugins.authentication.FileAuthPlugin": {"password_file": str(folder / "passwords")}},
    }
    (folder / "broker.yaml").write_text(yaml.safe_dump(config))
    command = [str(Path(sys.executable).with_name("amqtt")), "-c", str(folder / "broker.yaml")]
    with subprocess.Popen(command, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL) as process:
        try:
            for _ in range(600):
                with suppress(OSError), socket.create_connection(("127.0.0.1", port), timeout=1):
                    break
                time.sleep(0.1)
            yield
        finally:
            process.kill()


@contextmanager
def listening(port: int, topic: str, login: str) -> Iterator[list[bytes]]:
    """What is published to a topic from now on."""
    seen: list[bytes] = []
    subscribed = []
    client = Client(CallbackAPIVersion.VERSION2)
    client.username_pw_set(*login.split(":"))
    client.on_subscribe = lambda *_: subscribed.append(True)

    def note(_: Client, __: object, message: MQTTMessage) -> None:
        seen.append(message.payload)

    client.on_message = note
    client.connect("127.0.0.1", port)
    client.subscribe(topic, qos=1)
    client.loop_start()
    try:
        for _ in range(600):
            if subscribed:
                break
            time.sleep(0.1)
        yield seen
    finally:
        client.disconnect()
        client.loop_stop()
