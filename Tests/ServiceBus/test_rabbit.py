# SPDX-License-Identifier: Apache-2.0
"""RabbitMQ, as the plain AMQP 1.0 broker of other tests: what they rely on."""

from collections.abc import Iterator

import pytest
from proton import Message

from rabbit import RabbitMQ

WAIT = 5.0


@pytest.fixture(scope="module")
def rabbit(tmp_path_factory: pytest.TempPathFactory) -> Iterator[RabbitMQ]:
    with RabbitMQ(tmp_path_factory.mktemp("rabbit"), "orders.a", "orders.b") as rabbit:
        yield rabbit


def test_each_queue_of_an_exchange_receives_what_is_sent_to_it(rabbit: RabbitMQ) -> None:
    connection = rabbit.connect()
    sender = connection.create_sender("/exchange/orders")
    for number in range(20):
        sender.send(Message(body=f"{number}", id=f"{number}", durable=True))
    for queue in ["orders.a", "orders.b"]:
        receiver = connection.create_receiver(f"/amq/queue/{queue}", credit=10)
        for number in range(20):
            assert receiver.receive(timeout=WAIT).body == f"{number}"
            receiver.accept()
    connection.close()


def test_a_released_message_comes_again(rabbit: RabbitMQ) -> None:
    connection = rabbit.connect()
    connection.create_sender("/exchange/orders").send(Message(body="again", durable=True))
    receiver = connection.create_receiver("/amq/queue/orders.a", credit=1)
    message = receiver.receive(timeout=WAIT)
    assert (message.body, message.first_acquirer, message.delivery_count) == ("again", True, 0)
    receiver.release(delivered=False)
    message = receiver.receive(timeout=WAIT)
    assert (message.body, message.first_acquirer, message.delivery_count) == ("again", False, 0)
    receiver.accept()
    connection.close()


def test_an_unsettled_message_comes_again_after_a_crash(rabbit: RabbitMQ) -> None:
    connection = rabbit.connect()
    connection.create_sender("/exchange/orders").send(Message(body="kept", durable=True))
    assert connection.create_receiver("/amq/queue/orders.a", credit=1).receive(timeout=WAIT).body == "kept"
    rabbit.kill()
    rabbit.start()
    connection = rabbit.connect()
    receiver = connection.create_receiver("/amq/queue/orders.a", credit=1)
    assert receiver.receive(timeout=WAIT).body == "kept"
    receiver.accept()
    connection.close()
