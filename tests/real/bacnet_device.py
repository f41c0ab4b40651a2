"""A BACnet/IP device in a process of its own, built on bacpypes3; commands as JSON lines on stdin.

Objects: analog-value 1..N commandable (1 = 21.0 °C, N = 20 + N), analog-input 1..N, analog-value 9001 without slots,
binary-value 1 commandable (heartbeat). ``--no-multi`` rejects multi-reads, ``--small`` takes no segments.
"""

import argparse
import asyncio
import json
import sys

from bacpypes3.app import Application
from bacpypes3.basetypes import BinaryPV, EngineeringUnits
from bacpypes3.errors import UnrecognizedService
from bacpypes3.local.analog import AnalogInputObject, AnalogValueObject
from bacpypes3.local.binary import BinaryValueObject
from bacpypes3.local.cmd import Commandable
from bacpypes3.local.device import DeviceObject
from bacpypes3.local.networkport import NetworkPortObject
from bacpypes3.primitivedata import Null, ObjectIdentifier, Real


class CommandableAnalog(Commandable, AnalogValueObject):
    """An analog value with a priority array."""


class CommandableBinary(Commandable, BinaryValueObject):
    """A binary value with a priority array."""


class SingleReadApplication(Application):
    """A device that does not know multi-reads."""

    async def do_ReadPropertyMultipleRequest(self, apdu):  # noqa: N802  # the stack's name
        raise UnrecognizedService


MOST_PENDING = 100
"""Unanswered notifications beyond which nothing changes: the stack hangs when all its 256 numbers are taken."""


def build(options):
    segmentation = "noSegmentation" if options.small else "segmentedBoth"
    objects = [
        DeviceObject(
            objectIdentifier=("device", options.instance),
            objectName=f"device-{options.instance}",
            vendorIdentifier=999,
            maxApduLengthAccepted=480 if options.small else 1476,
            segmentationSupported=segmentation,
            maxSegmentsAccepted=64,
            apduTimeout=1000,
            numberOfApduRetries=1,
        ),
        NetworkPortObject(options.bind, objectIdentifier=("network-port", 1), objectName="port-1"),
        AnalogValueObject(objectIdentifier=("analog-value", 9001), objectName="plain", presentValue=5.0),
        CommandableBinary(
            objectIdentifier=("binary-value", 1),
            objectName="heartbeat",
            presentValue=BinaryPV("inactive"),
            relinquishDefault=BinaryPV("inactive"),
            priorityArray=None,
        ),
    ]
    unit = EngineeringUnits("degrees-celsius")
    for number in range(1, options.points + 1):
        value = Real(20.0 + number)
        objects.append(
            CommandableAnalog(
                objectIdentifier=("analog-value", number),
                objectName=f"zone {number} cooling setpoint",
                description=f"cooling setpoint of zone {number}",
                presentValue=value,
                relinquishDefault=value,
                units=unit,
                covIncrement=0.1,
            )
        )
        objects.append(
            AnalogInputObject(
                objectIdentifier=("analog-input", number),
                objectName=f"zone {number} air temperature",
                presentValue=value,
                units=unit,
                covIncrement=0.1,
            )
        )
    kind = SingleReadApplication if options.no_multi else Application
    return kind.from_object_list(objects)


def say(text):
    sys.stdout.write(text + "\n")
    sys.stdout.flush()


async def obey(app, command):
    obj = app.get_object_id(ObjectIdentifier((command["type"], command["number"])))
    if command["do"] == "write":
        value = command["value"]
        await obj.write_property("presentValue", Null(()) if value is None else Real(value), None, command["priority"])
    elif command["do"] == "set":
        obj.presentValue = Real(command["value"])
    elif command["do"] == "ramp":
        app.ramp = asyncio.get_running_loop().create_task(ramp(app, command["numbers"], command["every_s"]))
        return None
    filled = {}
    for priority, item in enumerate(getattr(obj, "priorityArray", None) or [], 1):
        if item.null is None:
            filled[priority] = float(getattr(item, item._choice))
    watched = app._cov_detections.get(obj.objectIdentifier)
    listeners = len(watched.cov_subscriptions) if watched else 0
    return {"value": float(obj.presentValue), "slots": filled, "listeners": listeners}


async def ramp(app, numbers, every_s):
    """Changes inputs for ever, so that subscribers hear of it."""
    step = 0
    while True:
        step += 1
        for number in numbers:
            if sum(len(pending) for pending in app._requests.values()) > MOST_PENDING:
                break
            app.get_object_id(ObjectIdentifier(("analog-input", number))).presentValue = Real(float(step))
        await asyncio.sleep(every_s)


async def main():
    parser = argparse.ArgumentParser()
    parser.add_argument("--bind", required=True)
    parser.add_argument("--instance", type=int, default=1001)
    parser.add_argument("--points", type=int, default=5)
    parser.add_argument("--no-multi", action="store_true")
    parser.add_argument("--small", action="store_true")
    app = build(parser.parse_args())
    reader = asyncio.StreamReader()
    await asyncio.get_running_loop().connect_read_pipe(lambda: asyncio.StreamReaderProtocol(reader), sys.stdin)
    await asyncio.sleep(0.2)
    say("ready")
    while line := await reader.readline():
        say(json.dumps(await obey(app, json.loads(line))))


asyncio.run(main())
