"""Telemetry files: layouts, units, clocks, and everything that can be wrong with a file."""

from __future__ import annotations

import gzip
import subprocess
import sys
from datetime import UTC, datetime
from pathlib import Path

import numpy as np
import pandas as pd
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from connectors.files import FileSource, limits
from connectors.settings import read_site
from twin.errors import BadInputError
from twin.health import FindingKind
from twin.units import kwh

HEAD = """\
schema_version: 1
name: s
time_zone: Europe/Berlin
location: {latitude_deg: 52, longitude_deg: 13}
zones:
  - {id: a, floor_area_m2: 100}
  - {id: b, floor_area_m2: 100}
air_handlers:
  - {id: "u_{zone}", each_zone: [a, b], system: packaged_single_zone}
meters:
  - {kind: electric_power, covers: [fan, cooling, lights, plugs]}
sources:
  src:
    files: ["data*"]
"""
TWO = (
    "    timestamp: {column: t, time_zone: UTC}\n    columns:\n"
    '      - {column: "{zone}.f", kind: zone_air_temperature, unit: degF}\n'
    "      - {column: kwh, kind: electric_power, unit: kWh}\n"
)


def source(folder: Path, block: str = TWO, files: str = '["data*"]') -> FileSource:
    text = HEAD.replace('["data*"]', files) + block
    site_file = read_site(text.encode(), folder / "site.yaml")
    return FileSource(site_file.sources["src"], folder)


def one_column(stamp: str = "time_zone: UTC", extra: str = "", unit: str = "degC") -> str:
    """A source with the outdoor temperature in column ``x``."""
    return (
        f"{extra}    timestamp: {{column: t, {stamp}}}\n    columns:\n"
        f"      - {{column: x, kind: outdoor_air_temperature, unit: {unit}}}\n"
    )


def fetched(folder: Path, text: str, block: str = TWO) -> pd.DataFrame:
    (folder / "data.csv").write_text(text, encoding="utf-8")
    return source(folder, block).fetch(None, None)


def refusal(folder: Path, text: str | bytes, block: str = TWO, name: str = "data.csv") -> str:
    (folder / name).write_bytes(text if isinstance(text, bytes) else text.encode())
    with pytest.raises(BadInputError) as caught:
        source(folder, block).fetch(None, None)
    return str(caught.value)


def values(frame: pd.DataFrame, point: str) -> list[float]:
    return [float(value) for value in frame[frame["point"] == point]["value"]]


def test_wide_csv_in_fahrenheit_and_kwh_becomes_celsius_and_watts(tmp_path: Path) -> None:
    frame = fetched(tmp_path, "t,a.f,b.f,kwh\n2023-01-01T00:00,68,212,2.5\n2023-01-01T00:15,50,32,0\n")
    assert values(frame, "a/zone_air_temperature") == pytest.approx([20.0, 10.0])
    assert values(frame, "b/zone_air_temperature") == pytest.approx([100.0, 0.0])
    assert values(frame, "electric_power") == pytest.approx([10_000.0, 0.0])
    assert frame["timestamp"].iloc[0] == pd.Timestamp("2023-01-01T00:00Z")


def test_wide_parquet_gives_the_same_rows_as_csv(tmp_path: Path) -> None:
    table = pd.DataFrame(
        {"t": pd.date_range("2023-01-01", periods=3, freq="15min"), "a.f": [68.0, 70.0, None], "b.f": 50.0, "kwh": 1}
    )
    for name in ("one", "two"):
        (tmp_path / name).mkdir()
    table.to_parquet(tmp_path / "one" / "data.parquet")
    table.to_csv(tmp_path / "two" / "data.csv", index=False)
    one, two = (source(tmp_path / name).fetch(None, None) for name in ("one", "two"))
    pd.testing.assert_frame_equal(one, two)
    assert len(one) == 8


def test_a_table_with_a_key_column_feeds_every_zone(tmp_path: Path) -> None:
    block = (
        "    timestamp: {column: t, time_zone: UTC}\n    key: {column: room, of: zone}\n    names: {Room A: a}\n"
        "    columns:\n      - {column: c, kind: zone_air_temperature, unit: degC}\n"
        "      - {column: n, kind: zone_occupancy, unit: people}\n"
    )
    text = "t,room,c,n\n2023-01-01T00:00,Room A,20,1\n2023-01-01T00:00,b,21,\n2023-01-01T00:00,cellar,5,0\n"
    (tmp_path / "data.csv").write_text(text)
    reader = source(tmp_path, block)
    frame = reader.fetch(None, None)
    assert values(frame, "a/zone_air_temperature") == [20.0]
    assert values(frame, "b/zone_air_temperature") == [21.0]
    assert values(frame, "b/zone_occupancy") == []
    assert ["cellar" in one.sentence for one in reader.delivery.findings()] == [True]


def test_a_long_file_names_its_points_in_a_column(tmp_path: Path) -> None:
    block = (
        "    layout: long\n    timestamp: {column: t, time_zone: UTC}\n    point_column: tag\n    value_column: v\n"
        '    columns:\n      - {column: "TIT-{zone}", kind: zone_air_temperature, unit: K}\n'
        "      - {column: EM1, kind: electric_power, unit: kW}\n"
    )
    text = "t,tag,v\n2023-01-01T00:00,TIT-a,293.15\n2023-01-01T00:00,EM1,5\n2023-01-01T00:00,TIT-b,283.15\n"
    frame = fetched(tmp_path, text, block)
    assert values(frame, "a/zone_air_temperature") == pytest.approx([20.0])
    assert values(frame, "b/zone_air_temperature") == pytest.approx([10.0])
    assert values(frame, "electric_power") == [5000.0]


def test_scale_and_offset_come_before_the_unit(tmp_path: Path) -> None:
    block = one_column().replace("unit: degC", "unit: degC, scale: 0.1, offset: -40")
    assert values(fetched(tmp_path, "t,x\n2023-01-01T00:00,600\n", block), "outdoor_air_temperature") == [20.0]


def test_one_column_may_hold_for_all_units(tmp_path: Path) -> None:
    block = (
        "    timestamp: {column: t, time_zone: UTC}\n    columns:\n"
        "      - {column: fan, kind: ahu_fan_command, unit: bool, of: all}\n"
    )
    frame = fetched(tmp_path, "t,fan\n2023-01-01T00:00,true\n2023-01-01T00:15,Off\n", block)
    assert values(frame, "u_a/ahu_fan_command") == values(frame, "u_b/ahu_fan_command") == [1.0, 0.0]


def test_right_labels_move_to_the_start_of_their_step(tmp_path: Path) -> None:
    block = one_column("time_zone: UTC, label: right", extra="    step_min: 60\n")
    frame = fetched(tmp_path, "t,x\n2023-01-01 01:00,5\n", block)
    assert frame["timestamp"].iloc[0] == pd.Timestamp("2023-01-01T00:00Z")


@pytest.mark.parametrize(
    ("form", "text"),
    [
        ("format: epoch_s", "1672531200"),
        ("format: epoch_ms", "1672531200000"),
        ("format: '%d.%m.%Y %H:%M', time_zone: Europe/Berlin", "01.01.2023 01:00"),
        ("label: left", "2023-01-01T01:00:00+01:00"),
        ("label: left", "2023-01-01T00:00:00Z"),
        ("time_zone: UTC", "2022-12-31 24:00:00"),
        ("format: '%m/%d/%Y %H:%M', time_zone: UTC", "12/31/2022 24:00"),
    ],
)
def test_times_are_read_in_many_forms(tmp_path: Path, form: str, text: str) -> None:
    frame = fetched(tmp_path, f"t,x\n{text},5\n", one_column(form))
    assert frame["timestamp"].iloc[0] == pd.Timestamp("2023-01-01T00:00Z")


def test_a_counter_becomes_mean_power_and_a_reset_leaves_one_gap(tmp_path: Path) -> None:
    block = (
        "    timestamp: {column: t, time_zone: UTC}\n    columns:\n"
        "      - {column: m, kind: electric_power, unit: kWh, reading: counter}\n"
    )
    (tmp_path / "data1.csv").write_text("t,m\n2023-01-01T00:00,100\n2023-01-01T00:15,101\n2023-01-01T00:30,103\n")
    (tmp_path / "data2.csv").write_text("t,m\n2023-01-01T00:45,1\n2023-01-01T01:00,2\n")
    reader = source(tmp_path, block, '["*.csv"]')
    frame = reader.fetch(None, None)
    assert values(frame, "electric_power") == pytest.approx([4000.0, 8000.0, 4000.0])
    assert frame["value"].min() >= 0
    assert [one.kind for one in reader.delivery.findings()] == [FindingKind.COUNTER_RESET]


def berlin(day: str, stamps: list[str], step_min: int = 15) -> str:
    rows = [f"{day} {stamp},{i}" for i, stamp in enumerate(stamps)]
    return "t,x\n" + "\n".join(rows) + "\n"


def clock(first: int, last: int) -> list[str]:
    return [f"{hour:02d}:{minute:02d}" for hour in range(first, last) for minute in (0, 15, 30, 45)]


def test_the_autumn_day_of_a_wall_clock_has_25_hours_in_order(tmp_path: Path) -> None:
    stamps = [*clock(0, 3), *clock(2, 24)]
    (tmp_path / "data.csv").write_text(berlin("2026-10-25", stamps))
    reader = source(tmp_path, one_column("time_zone: Europe/Berlin"))
    frame = reader.fetch(None, None)
    assert len(frame) == 100
    assert (frame["timestamp"].diff().dropna() == pd.Timedelta(minutes=15)).all()
    assert frame["timestamp"].iloc[0] == pd.Timestamp("2026-10-24T22:00Z")
    assert [one.kind for one in reader.delivery.findings()] == [FindingKind.DST]


def test_the_spring_day_of_a_wall_clock_has_23_hours(tmp_path: Path) -> None:
    stamps = [*clock(0, 2), *clock(3, 24)]
    frame = fetched(tmp_path, berlin("2026-03-29", stamps), one_column("time_zone: Europe/Berlin"))
    assert len(frame) == 92
    assert (frame["timestamp"].diff().dropna() == pd.Timedelta(minutes=15)).all()


@pytest.mark.parametrize(
    ("day", "stamps", "hours"),
    [("2026-10-25", [*clock(0, 3), *clock(2, 24)], 25), ("2026-03-29", [*clock(0, 2), *clock(3, 24)], 23)],
)
def test_the_days_of_the_switch_have_the_energy_of_their_hours(
    tmp_path: Path, day: str, stamps: list[str], hours: int
) -> None:
    """A meter that counts a kilowatt-hour each quarter of an hour: 100 and 92 of them between two local midnights."""
    around = [f"{stamp},1" for stamp in (f"{day} {time}" for time in stamps)]
    block = (
        "    timestamp: {column: t, time_zone: Europe/Berlin}\n    columns:\n"
        "      - {column: x, kind: electric_power, unit: kWh}\n"
    )
    frame = fetched(tmp_path, "t,x\n" + "\n".join(around) + "\n", block)
    midnight = pd.Timestamp(day, tz="Europe/Berlin")
    own = frame[(frame["timestamp"] >= midnight) & (frame["timestamp"] < midnight + pd.DateOffset(days=1))]
    assert float(kwh(own["value"].sum(), 900.0)) == pytest.approx(4 * hours)
    assert own["value"].to_numpy() == pytest.approx(4000.0)


def test_a_time_that_the_wall_clock_skipped_is_left_out_and_found(tmp_path: Path) -> None:
    (tmp_path / "data.csv").write_text(berlin("2026-03-29", clock(0, 24)))
    reader = source(tmp_path, one_column("time_zone: Europe/Berlin"))
    assert len(reader.fetch(None, None)) == 92
    (finding,) = reader.delivery.findings()
    assert (finding.kind, finding.numbers["count"]) == (FindingKind.DST, 4)


def test_the_repeated_hour_is_told_apart_for_each_zone_of_a_key_column(tmp_path: Path) -> None:
    block = (
        "    timestamp: {column: t, time_zone: Europe/Berlin}\n    key: {column: room, of: zone}\n"
        "    columns:\n      - {column: c, kind: zone_air_temperature, unit: degC}\n"
    )
    rows = [f"2026-10-25 {stamp},{zone},20" for stamp in [*clock(0, 3), *clock(2, 24)] for zone in "ab"]
    frame = fetched(tmp_path, "t,room,c\n" + "\n".join(rows) + "\n", block)
    for zone in "ab":
        own = frame[frame["point"] == f"{zone}/zone_air_temperature"]
        assert own["timestamp"].is_unique
        assert len(own) == 100


def test_naive_stamps_without_a_zone_name_row_and_column(tmp_path: Path) -> None:
    message = refusal(tmp_path, "t,x\n2023-01-01T00:00Z,5\n2023-01-01T00:15,5\n", one_column("label: left"))
    assert "row 3, column 't': time 2023-01-01T00:15 has no time zone" in message
    assert "time_zone" in message


def test_naive_parquet_stamps_without_a_zone_name_row_and_column(tmp_path: Path) -> None:
    table = pd.DataFrame({"t": pd.date_range("2023-01-01", periods=3, freq="15min"), "x": 5.0})
    table.to_parquet(tmp_path / "data.parquet")
    with pytest.raises(BadInputError, match=r"row 1, column 't': time 2023-01-01 00:00:00 has no time zone"):
        source(tmp_path, one_column("label: left")).fetch(None, None)


def test_an_empty_file_is_refused(tmp_path: Path) -> None:
    assert "the file is empty (0 bytes)" in refusal(tmp_path, b"", name="data.parquet")


def test_a_truncated_parquet_file_is_refused(tmp_path: Path) -> None:
    pd.DataFrame({"t": [1], "x": [1.0]}).to_parquet(tmp_path / "whole")
    cut = (tmp_path / "whole").read_bytes()[:-20]
    message = refusal(tmp_path, cut, one_column(), name="data.parquet")
    assert "not a readable Parquet file" in message
    assert "export it again" in message


def test_a_parquet_file_with_damaged_pages_is_refused(tmp_path: Path) -> None:
    table = pd.DataFrame({"t": pd.date_range("2023-01-01", periods=5000, freq="15min", tz="UTC")})
    table["x"] = np.random.default_rng(1).normal(size=5000)
    table.to_parquet(tmp_path / "whole", compression="snappy")
    data = bytearray((tmp_path / "whole").read_bytes())
    data[2000:2400] = b"\xff" * 400
    assert "damaged" in refusal(tmp_path, bytes(data), one_column("label: left"), name="data.parquet")


def test_a_parquet_file_without_rows_is_refused(tmp_path: Path) -> None:
    pq.write_table(
        pa.table({"t": pa.array([], pa.timestamp("us", "UTC")), "x": pa.array([], pa.float64())}), tmp_path / "e"
    )
    assert "has no rows" in refusal(tmp_path, (tmp_path / "e").read_bytes(), one_column(), name="data.parquet")


def test_a_missing_file_is_refused(tmp_path: Path) -> None:
    with pytest.raises(BadInputError, match=r"no file matches 'nothing\*.csv'"):
        source(tmp_path, TWO, '["nothing*.csv"]').fetch(None, None)


def test_a_missing_column_lists_what_is_there(tmp_path: Path) -> None:
    message = refusal(tmp_path, "t,a.f,b.f,energy\n2023-01-01T00:00,68,68,2\n")
    assert "column 'kwh' is missing; the file has t, a.f, b.f, energy" in message


def test_a_pattern_column_that_no_file_has_is_a_finding(tmp_path: Path) -> None:
    (tmp_path / "data.csv").write_text("t,a.f,kwh\n2023-01-01T00:00,68,2.5\n")
    reader = source(tmp_path)
    reader.fetch(None, None)
    assert [(one.kind, "b.f" in one.sentence) for one in reader.delivery.findings()] == [
        (FindingKind.MISSING_COLUMN, True)
    ]


def test_semicolons_and_decimal_commas_are_named_and_then_read(tmp_path: Path) -> None:
    text = "t;x\n2023-01-01T00:00;21,5\n2023-01-01T00:15;1.022,25\n"
    wide = "t;x;y\n2023-01-01T00:00;21,5;1,0\n"
    assert "declare 'delimiter: \";\"'" in refusal(tmp_path, wide, one_column())
    message = refusal(tmp_path, text, one_column(extra='    delimiter: ";"\n'))
    assert "row 2, column 'x': '21,5' is not a number" in message
    assert "decimal" in message
    declared = one_column(extra='    delimiter: ";"\n    decimal: ","\n')
    assert values(fetched(tmp_path, text, declared), "outdoor_air_temperature") == [21.5, 1022.25]


def test_a_few_bad_cells_are_listed_and_the_rest_is_read(tmp_path: Path) -> None:
    lines = [f"2023-01-01T{i // 4:02d}:{15 * (i % 4):02d},{'ERR' if i in {3, 7} else i}" for i in range(40)]
    lines[9] = "yesterday,9"
    lines[11] += ",extra"
    (tmp_path / "data.csv").write_text("t,x\n" + "\n".join(lines) + "\n")
    reader = source(tmp_path, one_column())
    assert len(reader.fetch(None, None)) == 36
    (finding,) = reader.delivery.findings()
    assert finding.numbers["count"] == 4
    for part in ("row 5, column 'x': 'ERR'", "'yesterday' is no time", "3 cells where the header has 2"):
        assert part in finding.sentence


def test_infinite_values_are_left_out_and_found(tmp_path: Path) -> None:
    (tmp_path / "data.csv").write_text("t,x\n2023-01-01T00:00,inf\n2023-01-01T00:15,5\n2023-01-01T00:30,NaN\n")
    reader = source(tmp_path, one_column())
    frame = reader.fetch(None, None)
    assert [float(value) for value in frame["value"]] == [5.0]
    assert [one.kind for one in reader.delivery.findings()] == [FindingKind.NOT_FINITE]


def test_rows_out_of_order_are_counted(tmp_path: Path) -> None:
    (tmp_path / "data.csv").write_text("t,x\n2023-01-01T00:15,1\n2023-01-01T00:00,2\n2023-01-01T00:30,3\n")
    reader = source(tmp_path, one_column())
    reader.fetch(None, None)
    (finding,) = reader.delivery.findings()
    assert (finding.kind, finding.numbers["count"]) == (FindingKind.OUT_OF_ORDER, 1)


@pytest.mark.parametrize(
    ("data", "part"),
    [
        (b"t,x\x00y\n1,2\n", "NUL"),
        ("t,x\n2023-01-01T00:00,5\n".encode("utf-16"), "UTF-16"),
        (b"t,temp\xe9rature\n1,2\n", "not UTF-8"),
        (b"t,x\n" + b"1" * 20_000_000 + b",5\n", "row is longer"),
        (b"t," + b"x" * 5_000_000 + b"\n", "the header is longer than"),
        (b"t,x" + b",x" * 100 + b"\n", "stands 101 times"),
        ("t," + ",".join(f"c{i}" for i in range(30_000)) + "\n", "30001 columns are above the limit"),
        (b"t,x\n2023-01-01T00:00,\xff\xfe\n", "UTF-8"),
        (b"t,x\n", "no row"),
    ],
)
def test_malformed_and_hostile_csv_is_refused(tmp_path: Path, data: bytes | str, part: str) -> None:
    assert part in refusal(tmp_path, data, one_column())


def test_a_byte_order_mark_is_skipped(tmp_path: Path) -> None:
    (tmp_path / "data.csv").write_bytes(b"\xef\xbb\xbft,x\n2023-01-01T00:00,5\n")
    assert len(source(tmp_path, one_column()).fetch(None, None)) == 1


def test_a_cell_of_five_thousand_digits_is_a_bad_cell(tmp_path: Path) -> None:
    rows = "".join(f"2023-01-01T0{i}:00,5\n" for i in range(5))
    (tmp_path / "data.csv").write_text(f"t,x\n{rows}2023-01-01T08:00,{'9' * 5000}\n")
    reader = source(tmp_path, one_column())
    assert len(reader.fetch(None, None)) == 5
    assert len(reader.delivery.findings()) == 1


def test_a_compressed_csv_is_read(tmp_path: Path) -> None:
    with gzip.open(tmp_path / "data.csv.gz", "wt") as handle:
        handle.write("t,x\n2023-01-01T00:00,5\n")
    assert len(source(tmp_path, one_column(), '["*.gz"]').fetch(None, None)) == 1


def test_a_gzip_bomb_is_refused_early(tmp_path: Path) -> None:
    with gzip.open(tmp_path / "bomb.csv.gz", "wb") as handle:
        handle.write(b"t,x\n")
        for _ in range(300):
            handle.write(b"2023-01-01T00:00,5\n" * 50_000)
    with pytest.raises(BadInputError, match=f"unpacks to more than {limits.MAX_RATIO} times"):
        source(tmp_path, one_column(), '["*.gz"]').fetch(None, None)


def test_a_truncated_gzip_file_is_refused(tmp_path: Path) -> None:
    whole = gzip.compress(b"t,x\n" + b"".join(b"2023-01-01T00:00,%d\n" % i for i in range(50_000)))
    (tmp_path / "cut.csv.gz").write_bytes(whole[: len(whole) // 2])
    with pytest.raises(BadInputError, match="truncated gzip"):
        source(tmp_path, one_column(), '["*.gz"]').fetch(None, None)


def test_a_million_columns_are_refused_without_reading_them(tmp_path: Path) -> None:
    header = "t," + ",".join(f"c{i}" for i in range(1_000_000))
    assert "the header is longer than" in refusal(tmp_path, header + "\n", one_column())


def test_since_and_until_select_rows(tmp_path: Path) -> None:
    (tmp_path / "data.csv").write_text("t,x\n" + "".join(f"2023-01-01T{i:02d}:00,{i}\n" for i in range(24)))
    first, last = (datetime(2023, 1, 1, hour, tzinfo=UTC) for hour in (6, 9))
    frame = source(tmp_path, one_column()).fetch(first, last)
    assert [float(value) for value in frame["value"]] == [6.0, 7.0, 8.0]


PEAK = """
import sys
from pathlib import Path
sys.path[:0] = [{root!r}, {tests!r}]
from test_files import one_column, source
rows = 0
for frame in source(Path(sys.argv[1]), one_column(), '["big.csv"]').batches():
    rows += len(frame)
    peak = next(line for line in Path("/proc/self/status").read_text().splitlines() if line.startswith("VmHWM"))
    print(rows, peak.split()[1])
"""


@pytest.mark.slow
@pytest.mark.skipif(not Path("/proc/self/status").exists(), reason="reads the peak from /proc")
def test_memory_stays_bounded_however_large_the_file_is(tmp_path: Path) -> None:
    """Of a file of 190 MB, the last two thirds add less than 40 MB to the peak: blocks are converted one by one."""
    count = 4_000_000
    with (tmp_path / "big.csv").open("w") as handle:
        handle.write("t,x,note\n")
        for day in pd.date_range("1950-01-01", periods=count // 10_000, freq="1D"):
            stamp = day.strftime("%Y-%m-%dT%H:%M")
            handle.write("".join(f"{stamp},{i % 30},padding of a realistic export\n" for i in range(10_000)))
    script = PEAK.format(root=str(Path(__file__).parents[1]), tests=str(Path(__file__).parent))
    command = [sys.executable, "-c", script, str(tmp_path)]
    told = subprocess.run(command, capture_output=True, text=True, check=True).stdout.split()
    rows, peaks_mb = [int(part) for part in told[::2]], [int(part) / 1024 for part in told[1::2]]
    assert rows[-1] == count
    assert peaks_mb[-1] < peaks_mb[len(peaks_mb) // 3] + 40
    assert peaks_mb[-1] < 700
