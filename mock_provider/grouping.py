"""Several tokens in one event, or several events in one write: all of a group wait for its last."""

from collections.abc import Iterator

from streamgauge.mock_provider.stream import Action, Item, Kind, Write


def grouped(items: Iterator[Item], size: int) -> Iterator[Item]:
    """Joins up to `size` neighbouring tokens into one item, which is due with its last token."""
    held: Item | None = None
    for item in items:
        if held is not None and (item.kind is not Kind.TOKEN or held.size == size):
            yield held
            held = None
        if item.kind is not Kind.TOKEN:
            yield item
        elif held is None:
            held = item
        else:
            held = item._replace(text=held.text + item.text, size=held.size + item.size)
    if held is not None:
        yield held


def batched(actions: Iterator[Action], size: int) -> Iterator[Action]:
    """Joins the writes of up to `size` neighbouring token events; a pause or a close ends a group."""
    held: list[Write] = []
    events = 0
    for action in actions:
        if isinstance(action, Write) and action.kind is Kind.TOKEN:
            held.append(action)
            events += action.token is not None
            if events < size:
                continue
            yield _joined(held)
        else:
            if held:
                yield _joined(held)
            yield action
        held, events = [], 0
    if held:
        yield _joined(held)


def _joined(writes: list[Write]) -> Write:
    tokens = [write.token for write in writes if write.token is not None]
    return writes[-1]._replace(data=b"".join(write.data for write in writes), token=tokens[-1] if tokens else None)
