"""Alertmanager: silences for the length of a repair, set and ended."""

from actions.alertmanager.expire import AlertmanagerExpire
from actions.alertmanager.silence import AlertmanagerSilence

DECLARATIONS = (AlertmanagerSilence, AlertmanagerExpire)

__all__ = ["DECLARATIONS", "AlertmanagerExpire", "AlertmanagerSilence"]
