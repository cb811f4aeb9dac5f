"""Has Relay normalise what the tests have sent, and prints what it finds wrong with what we added.

Takes the folder with the envelopes. Of an event of the platform `native` everything is ours. Of others
we have added what ADDED names; the rest is what pages, some of them broken on purpose, have written.
"""

import json
import pathlib
import sys

from sentry_relay.processing import StoreNormalizer

ADDED = (
    "/breadcrumbs",
    "/contexts/app",
    "/contexts/culture",
    "/contexts/device",
    "/contexts/guardhouse",
    "/contexts/os",
    "/dist",
    "/environment",
    "/release",
    "/sdk",
    "/tags/event.environment",
    "/tags/event.origin",
    "/tags/event.process",
)


def items(envelope):
    """The types and payloads of an envelope."""
    _, _, rest = envelope.partition(b"\n")
    while rest.strip():
        line, _, rest = rest.partition(b"\n")
        if not line.strip():
            continue
        header = json.loads(line)
        length = header.get("length")
        if length is None:
            payload, _, rest = rest.partition(b"\n")
        else:
            payload, rest = rest[:length], rest[length:]
        yield header.get("type"), payload


def errors(meta, path=""):
    """The places in `_meta` at which something is wrong, and what."""
    for key, value in meta.items() if isinstance(meta, dict) else ():
        if key == "" and isinstance(value, dict) and value.get("err"):
            yield path, value["err"]
        elif key != "":
            yield from errors(value, f"{path}/{key}")


def main():
    normalizer = StoreNormalizer(project_id=1, protocol_version="7", remove_other=False)
    looked_at = faults = 0
    for file in sorted(pathlib.Path(sys.argv[1]).iterdir()):
        for kind, payload in items(file.read_bytes()):
            if kind not in ("event", "transaction"):
                continue
            try:
                event = json.loads(payload)
            except ValueError:
                continue
            looked_at += 1
            known = set(errors(json_safe(event.get("_meta") or {})))
            is_native = event.get("platform") == "native"
            try:
                normal = normalizer.normalize_event(event)
            except Exception as error:  # What Relay refuses, it refuses as a whole.
                if is_native:
                    faults += 1
                    print(f"{file.name}: refused: {error}")
                continue
            for path, error in errors(json_safe(normal.get("_meta") or {})):
                if (path, error) in known or not (is_native or path.startswith(ADDED)):
                    continue
                faults += 1
                print(f"{file.name}: {path}: {error}")
    print(f"{looked_at} events and transactions, {faults} faults")
    # Nothing looked at is nothing shown.
    sys.exit(1 if faults or not looked_at else 0)


def json_safe(meta):
    """The same with errors as texts, so that they can be compared."""
    if isinstance(meta, dict):
        return {
            key: json.dumps(value) if key == "err" and value else json_safe(value)
            for key, value in meta.items()
        }
    return meta


if __name__ == "__main__":
    main()
