"""Change-of-value subscriptions that outlive lost packets, expiry and restarts of the device."""

from __future__ import annotations

import asyncio
import contextlib
import time
from collections.abc import Callable, Mapping
from typing import Any

from bacpypes3.apdu import ErrorRejectAbortNack

from connectors.bacnet.device import DeviceClient, RefusedByDeviceError, SilentDeviceError
from connectors.bacnet.link import BacnetLink
from connectors.bacnet.settings import BacnetPoint, BacnetSettings
from connectors.bacnet.values import object_identifier

Got = Callable[[str, Mapping[str, Any]], None]
"""Takes a point and the properties that were reported of it."""
RETRY_S = 2.0


class Watch:
    """Keeps one subscription per point; each renewal makes the device report again, which confirms the value."""

    def __init__(self, link: BacnetLink, settings: BacnetSettings, got: Got) -> None:
        self._link = link
        self._settings = settings
        self._got = got
        self._tasks: dict[str, asyncio.Task[None]] = {}
        self._numbers: dict[str, int] = {}

    def start(self, name: str, point: BacnetPoint, client: DeviceClient) -> None:
        """Begins to watch a point; harmless when it is watched already."""
        if name not in self._tasks:
            self._tasks[name] = asyncio.get_running_loop().create_task(self._keep(name, point, client))

    def _number(self, name: str) -> int:
        """The same subscriber number for a point each time, so that a device renews its subscription, not adds one."""
        return self._numbers.setdefault(name, len(self._numbers) + 1)

    def drop(self, names: set[str]) -> list[str]:
        """Drops the subscriptions of a device that came back; the points that were watched."""
        watched = sorted(names & self._tasks.keys())
        for name in watched:
            self._tasks.pop(name).cancel()
        return watched

    async def _keep(self, name: str, point: BacnetPoint, client: DeviceClient) -> None:
        while True:
            with contextlib.suppress(SilentDeviceError, RefusedByDeviceError):
                await self._subscribed(name, point, client)
            await asyncio.sleep(RETRY_S)

    async def _subscribed(self, name: str, point: BacnetPoint, client: DeviceClient) -> None:
        """Runs one subscription until it fails.

        Raises:
            SilentDeviceError: the device does not answer.
            RefusedByDeviceError: it does not take the subscription.
        """
        subscription = self._link.app.change_of_value(
            await client.address(),
            object_identifier(point.object),
            self._number(name),
            issue_confirmed_notifications=True,
            lifetime=self._settings.cov_lifetime_s,
        )
        await client.exclusive(subscription.__aenter__())
        try:
            await self._drain(name, subscription, client)
        finally:
            _keep_from_renewing(subscription)
            with contextlib.suppress(ErrorRejectAbortNack, KeyError):
                await subscription.__aexit__(SilentDeviceError, None, None)

    async def _drain(self, name: str, subscription: Any, client: DeviceClient) -> None:
        renew_at = time.monotonic() + self._settings.cov_renew_s
        _keep_from_renewing(subscription)
        while True:
            try:
                async with asyncio.timeout(max(0.0, renew_at - time.monotonic())):
                    prop, value = await subscription.get_value()
                self._got(name, {str(prop): value})
            except TimeoutError:
                await client.exclusive(subscription.refresh_subscription())
                _keep_from_renewing(subscription)
                renew_at = time.monotonic() + self._settings.cov_renew_s


def _keep_from_renewing(subscription: Any) -> None:
    """The stack's own renewal dies silently when it fails once, so ours replaces it."""
    if subscription.refresh_subscription_handle is not None:
        subscription.refresh_subscription_handle.cancel()
