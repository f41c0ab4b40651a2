"""Protocols of single points and series: Prometheus, MQTT, Modbus, Redfish, Home Assistant, calendars."""
