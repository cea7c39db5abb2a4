"""Callbacks that the cases of this folder name."""

from engine import Callback
from engine.ports.context import Context


class Refuse(Callback):
    """What no action of the attempt phase does."""

    def attempt(self, context: Context) -> None:
        context.reject("Not there", 403)
