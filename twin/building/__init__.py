"""The building: control program, controller, zones and plant."""
