"""Callbacks of the native form, used by 08-callbacks.yaml."""

import asyncio

import engine


class Rules(engine.Callback):
    """One method per phase."""

    def request(self, context):
        case = context.headers.get("x-case")
        if case == "change":
            context.request["user"] = f"{context.request['model']} of {context.client['ip']}"
            context.set_var("seen", len(context.request["messages"]))
            context.tag("native")
        elif case == "reject":
            context.reject("Not so", status=409, type="odd", code="c9")
        elif case == "say":
            context.reject_with_message("Said")
        elif case == "raise":
            raise RuntimeError("inside")

    async def response(self, context):
        if context.headers.get("x-case") == "answer":
            context.response["body"]["choices"][0]["message"]["content"] += "!"

    def log(self, context):
        context.tag("logged")


class Level(engine.Callback):
    """Takes options of its own."""

    def __init__(self, level):
        self.level = level

    def request(self, context):
        context.request["seed"] = self.level


rules = Rules()


class Slow(engine.Callback):
    """Takes longer than any rule waits."""

    async def request(self, context):
        await asyncio.sleep(10)
