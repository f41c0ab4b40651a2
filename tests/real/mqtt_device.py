"""A device behind an MQTT broker: takes commands on hq/cmd/setpoint, shows states, has a last will. Usage: PORT."""

import json
import sys

import paho.mqtt.client as paho
from paho.mqtt.enums import CallbackAPIVersion

state = {"setpoint": 21.0, "room": {"temperature": 20.5}}
client = paho.Client(CallbackAPIVersion.VERSION2, client_id="device")
client.username_pw_set("device", "device-pw")
client.will_set("hq/status", "offline", qos=1, retain=True)


def show():
    client.publish("hq/state", json.dumps(state), qos=1, retain=True)


def on_connect(*_):
    client.subscribe("hq/cmd/setpoint", 1)
    client.publish("hq/status", "online", qos=1, retain=True)
    show()


def on_message(_client, _data, message):
    command = json.loads(message.payload)
    if 10.0 <= command["v"] <= 30.0 and command["expires_s"] > 0:
        state["setpoint"] = command["v"]
    show()


client.on_connect, client.on_message = on_connect, on_message
client.connect("127.0.0.1", int(sys.argv[1]))
client.loop_forever()
