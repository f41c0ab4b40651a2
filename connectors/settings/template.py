"""The commented site file that ``understudy init`` writes."""

TEMPLATE = """\
# Site file of Understudy. Check it with 'understudy site check'; every key is explained in docs/site.md.
# Inside: °C, W, m², m³/s, kg/s. Only telemetry may come in other units; each column names its own.
schema_version: 1
name: my-building
time_zone: America/Chicago          # zone of the schedules below
location: {latitude_deg: 41.98, longitude_deg: -87.92, altitude_m: 201}
step_min: 15                        # step of control and of the telemetry grid
holidays: US                        # or a list of dates, or {country: US, subdivision: IL, without: [...]}

# Thermal zones: rooms that share one thermostat. Wall areas are gross, windows included.
zones:
  - id: core
    floor: 0
    floor_area_m2: 150
    volume_m3: 456
    design_people: 8
    roof_m2: 150
    ground_m2: 150
    adjacent:
      - {zone: south, area_m2: 84}
  - id: south
    floor: 0
    floor_area_m2: 113
    volume_m3: 346
    design_people: 6
    walls:
      - {facing: S, area_m2: 84.5, window_m2: 20.6}
    roof_m2: 113
    ground_m2: 113

# Units. What is left out (COP, fan pressure, outdoor air, ...) is fitted from telemetry.
air_handlers:
  - id: "rtu_{zone}"                # one packaged unit per zone
    each_zone: [core, south]
    system: packaged_single_zone    # or vav_reheat, fan_coil
    cooling: dx
    heating: gas
    economizer: false

# How the building runs today: the same keys as 'policy' of a scenario, see docs/scenario.md.
operation:
  heating_setpoint_c: {occupied: 21, unoccupied: 15.6}
  cooling_setpoint_c: {occupied: 24, unoccupied: 26.7}
  operating_hours: {mon-fri: ["06:00", "22:00"], sat: ["06:00", "18:00"], sun: off, holidays: off}
  outdoor_air: {start_delay_h: 1}
  night_cycle: {tolerance_k: 1, run_min: 30}

comfort: {min_c: 20, max_c: 26, co2_max_ppm: 1000}
tariff: {currency: USD, electricity_per_kwh: 0.15, gas_per_kwh: 0.04, peak_per_kw_month: 12}

# What the main meters cover; meters of one end use (fan_power, cooling_power, ...) need no entry.
meters:
  - {kind: electric_power, covers: [fan, cooling, heating_electric, lights, plugs]}

# Where telemetry comes from. 'understudy ingest' reads all sources.
sources:
  building:
    files: ["telemetry/building*.csv"]
    timestamp: {column: timestamp, time_zone: America/Chicago, label: left}
    columns:
      - {column: outdoor_f, kind: outdoor_air_temperature, unit: degF}
      - {column: ghi, kind: global_horizontal_irradiance, unit: W/m2}
      - {column: electricity_kwh, kind: electric_power, unit: kWh}
      - {column: fans_kwh, kind: fan_power, unit: kWh}
      - {column: cooling_kwh, kind: cooling_power, unit: kWh}
      - {column: gas_therm, kind: heating_gas_power, unit: therm}
      - {column: "{zone}.temp_f", kind: zone_air_temperature, unit: degF}   # core.temp_f, south.temp_f
      - {column: "{zone}.people", kind: zone_occupancy, unit: people}

# Systems that can be read or written, e.g. a building management system. Optional.
# connectors:
#   bms: {type: bacnet, ...}
"""
