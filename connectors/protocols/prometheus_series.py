"""What a Prometheus server holds, as points: well-known metrics of hosts and VMs, and rooms by their labels."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass

from connectors.mapping_proposals import Described
from twin.vocab import PointKind

_K = PointKind
Labels = Mapping[str, str]


@dataclass(frozen=True, slots=True, kw_only=True)
class Known:
    """A metric of an exporter, and the query that makes a point of it; ``OF`` stands for its selector."""

    kind: PointKind
    label: str
    """Names what it belongs to; there may be many series of one owner."""
    query: str


KNOWN: Mapping[str, Known] = {
    "node_cpu_seconds_total": Known(
        kind=_K.HOST_CPU_UTILIZATION,
        label="instance",
        query='1 - avg(rate(node_cpu_seconds_total{mode="idle",OF}[5m]))',
    ),
    "node_memory_MemAvailable_bytes": Known(
        kind=_K.HOST_MEMORY_USED,
        label="instance",
        query="sum(node_memory_MemTotal_bytes{OF} - node_memory_MemAvailable_bytes{OF})",
    ),
    "ipmi_dcmi_power_consumption_watts": Known(
        kind=_K.HOST_POWER, label="instance", query="sum(ipmi_dcmi_power_consumption_watts{OF})"
    ),
    "ipmi_dcmi_power_consumption_current_watts": Known(
        kind=_K.HOST_POWER, label="instance", query="sum(ipmi_dcmi_power_consumption_current_watts{OF})"
    ),
    "node_hwmon_power_average_watt": Known(
        kind=_K.HOST_POWER, label="instance", query="sum(node_hwmon_power_average_watt{OF})"
    ),
    "kepler_platform_watts": Known(kind=_K.HOST_POWER, label="instance", query="sum(kepler_platform_watts{OF})"),
    "libvirt_domain_info_cpu_time_seconds_total": Known(
        kind=_K.VM_CPU_UTILIZATION,
        label="domain",
        query="sum(rate(libvirt_domain_info_cpu_time_seconds_total{OF}[5m]))"
        " / sum(libvirt_domain_info_virtual_cpus{OF})",
    ),
    "libvirt_domain_info_memory_usage_bytes": Known(
        kind=_K.VM_MEMORY_USED, label="domain", query="sum(libvirt_domain_info_memory_usage_bytes{OF})"
    ),
}
"""Metric → point. Names differ between exporters and their versions; what is not here is proposed by its name."""
UNIT_ENDINGS: Mapping[str, str] = {
    "_celsius": "degC",
    "_fahrenheit": "degF",
    "_kelvin": "K",
    "_watts": "W",
    "_kilowatts": "kW",
    "_ppm": "ppm",
    "_ratio": "fraction",
    "_percent": "percent",
}
"""How the name of a metric ends → its unit, as Prometheus asks exporters to write it."""
MOST_METRICS = 200
"""Metrics by name that are asked for their series at most."""
_OF_A_HOST = ("node_", "libvirt_", "go_", "process_", "promhttp_", "prometheus_", "scrape_", "kepler_", "ipmi_")


def described(names: Sequence[str], series: Callable[[str], Sequence[Labels]]) -> Iterator[Described]:
    """Points that the metrics make.

    Args:
        names: of all metrics.
        series: the labels of each series of a metric.
    """
    for name in sorted(set(names) & KNOWN.keys()):
        yield from _of_known(KNOWN[name], series(name))
    others = [name for name in sorted(names) if _unit(name) and not name.startswith(_OF_A_HOST)]
    for name in others[:MOST_METRICS]:
        yield from (_by_labels(name, labels) for labels in series(name))


def _of_known(known: Known, series: Sequence[Labels]) -> Iterator[Described]:
    for owner in sorted({labels[known.label] for labels in series if known.label in labels}):
        selector = f"{known.label}={json.dumps(owner)}"
        query = known.query.replace("OF", selector)
        yield Described(name=f"{owner} {known.kind}", kind=known.kind, of=owner, place={"query": query})


def _unit(name: str) -> str:
    return next((unit for ending, unit in UNIT_ENDINGS.items() if name.endswith(ending)), "")


def _by_labels(name: str, labels: Labels) -> Described:
    own = {key: value for key, value in sorted(labels.items()) if key != "__name__"}
    selector = ",".join(f"{key}={json.dumps(value)}" for key, value in own.items())
    said = " ".join(value for key, value in own.items() if key not in {"job", "instance"})
    return Described(name=f"{name} {said}".strip(), unit=_unit(name), of=said, place={"query": f"{name}{{{selector}}}"})
