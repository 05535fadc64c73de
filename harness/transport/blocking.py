"""The blocking driver: it waits for one read at a time, and each read is parsed at once."""

from streamgauge.transport.exchange import Exchange


class Blocking:
    """See `Driver`."""

    defers = False
    look_s = 0.5

    def drive(self, exchange: Exchange) -> None:
        """Read until the exchange is satisfied."""
        while not exchange.satisfied:
            read_once(exchange)


def read_once(exchange: Exchange) -> None:
    """Wait for one read, an end, or a limit of time."""
    wait_s = exchange.check_time()
    if exchange.satisfied:
        return
    try:
        exchange.connection.settimeout(wait_s)
        data, read = exchange.connection.receive()
    except TimeoutError:
        exchange.check_time()
    except OSError as error:
        exchange.broke(error)
    else:
        exchange.take(data, read)
