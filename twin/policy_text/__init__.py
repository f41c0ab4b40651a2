"""The text form of a policy: what stands under ``operation`` of a site file and ``policy`` of a scenario.

One table holds keys, limits and meaning; parser, JSON schema and documentation come from it.
"""

from twin.policy_text.keys import POLICY_KEYS
from twin.policy_text.parse import parse_policy, policy_rows, policy_schema, read_policy, zone_faults
from twin.policy_text.readers import HoursReader, SetpointReader, days_of

__all__ = [
    "POLICY_KEYS",
    "HoursReader",
    "SetpointReader",
    "days_of",
    "parse_policy",
    "policy_rows",
    "policy_schema",
    "read_policy",
    "zone_faults",
]
