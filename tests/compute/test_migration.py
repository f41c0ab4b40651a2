"""Pre-copy against its closed form."""

from __future__ import annotations

import numpy as np

from twin.compute.migration import MAX_DOWNTIME_S, deadline_s, pre_copy


def test_rounds_follow_the_geometric_series() -> None:
    """4096 MB at 125 MB/s with 20 MB/s dirty: r = 0.16, rest after n rounds 4096·rⁿ, pause allowed 0.3 s = 37.5 MB."""
    copy = pre_copy(4096.0, 20.0, 125.0)
    r, rounds = 0.16, 4  # 3 rounds of copying leave 4096·0.16³ = 16.8 MB, the last goes in the pause
    assert copy.rounds == rounds
    np.testing.assert_allclose(copy.sent_mb, 4096.0 * (1 - r**rounds) / (1 - r))
    np.testing.assert_allclose(copy.duration_s, copy.sent_mb / 125.0 + 0.05)


def test_memory_that_changes_faster_than_the_link_never_converges() -> None:
    copy = pre_copy(4096.0, 200.0, 125.0)
    assert not copy.converged
    assert copy.downtime_s == 0.0


def test_a_migration_is_given_up_at_its_deadline() -> None:
    copy = pre_copy(65_536.0, 1.0, 1.0)
    assert not copy.converged
    np.testing.assert_allclose(copy.duration_s, deadline_s(65_536.0))


def test_an_idle_vm_needs_one_pass_and_a_short_pause() -> None:
    copy = pre_copy(1250.0, 0.0, 125.0)
    np.testing.assert_allclose([copy.duration_s, copy.downtime_s], [10.05, 0.05])
    assert copy.downtime_s <= MAX_DOWNTIME_S
