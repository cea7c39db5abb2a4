"""Every code a problem can have: what it means and how it is cured. One place; the reference prints it.

A test walks the source: a code that is used stands here, and what stands here is used.
"""

from __future__ import annotations

CODES: dict[str, tuple[str, str]] = {
    # the text of a file
    "bad-character": ("a character that cannot stand in a rules file", "remove it, or write its escape"),
    "bad-number": ("a number that no computer keeps exactly, or that is not finite", "write a smaller one"),
    "duplicate-key": ("a key written twice in one mapping", "keep one of them"),
    "empty-file": ("a file without content", "write `rules: []` if no rules are meant"),
    "merge-key": ("YAML's `<<`", "use `lists`, `conditions` or `patterns` for what recurs"),
    "missing-file": ("a file that is not there or cannot be read", "correct it; paths start at the file they stand in"),
    "non-string-key": ("a key that is a number, a truth value, null or a collection", "put the key in quotes"),
    "not-utf8": ("bytes that are no UTF-8", "save the file as UTF-8"),
    "too-large": ("a file, a nesting or a number of values beyond the bounds", "divide the file with `include`"),
    "unknown-alias": ("`*name` without an `&name` before it", "quote the text if no alias is meant"),
    "unquoted-template": ("a value that starts with `{{` outside quotes, a mapping to YAML", "put it in quotes"),
    "yaml-syntax": ("text that is no YAML", "see the message"),
    "yaml-tag": ("a YAML tag such as `!env`", "quote a text that starts with `!`"),
    # files together
    "defined-twice": ("a name that is defined in two places", "rename or remove one of them"),
    "include-cycle": ("a file that includes itself, directly or through others", "take one `include` out"),
    "include-nothing": ("a glob under `include` that finds no file", "correct it, or leave it if files come later"),
    "no-rules": ("a file with neither rules nor callbacks", "write `rules: []` if that is meant"),
    "unset-variable": ("`os.environ/NAME` without that variable", "set the variable before starting"),
    # names and shapes
    "missing-key": ("something required that is not written", "add it"),
    "reserved-name": ("a name that the language keeps for itself", "choose another"),
    "unknown-key": ("a key that does not exist there", "correct the spelling; the nearest name is shown"),
    "wrong-type": ("a value of another sort than expected", "write it as the help says"),
    # sections
    "model-cycle": ("model names that lead back to where they began", "let one name a model of its upstream"),
    "unknown-sink-kind": ("a kind of sink that does not exist", "see `pointsman schema sink`"),
    "unknown-timezone": ("a time zone that does not exist", "write an IANA name such as `Europe/Berlin`"),
    # rules
    "bad-name": ("a rule name with other characters than a-z, 0-9 and `-`", "write it as the help says"),
    "expired": ("a rule whose last day is over; it is off", "remove the rule or move the day"),
    "no-actions": ("a rule that does nothing", "add an action"),
    "no-stop": ("`stop` in a phase whose rules run beside each other", "remove it"),
    "not-yet": ("an action of the language that this version does not have", "leave it out, or upgrade"),
    "one-action": ("an entry of `actions` with none or several", "begin each action with its own `-`"),
    "unknown-action": ("an action that does not exist", "see `pointsman schema action`"),
    "wrong-call-type": ("an action that means nothing for one of the rule's call types", "narrow `call_types`"),
    "wrong-phase": ("an action that means nothing in the rule's phase", "move it, or change `phase`"),
    # options of actions
    "bad-header": ("a header that no rule may set, or a value that cannot be sent", "see the message"),
    "bad-path": ("a path that cannot be read or written", "write it like `messages[0].content`"),
    "bad-template": ("a `{{ … }}` that cannot be read", "close it, and quote the whole text"),
    "path-prefix": ("a path that starts with `request.`", "paths start at the body: leave the prefix away"),
    # conditions
    "no-effect": ("`ignore_case` or `fold` beside operators that compare no text", "remove it"),
    "no-operator": ("a mapping of operators without one", "add one, such as `equals: …`"),
    "null-literal": ("a comparison with null", "write `{exists: false}`"),
    "unknown-operator": ("an operator that does not exist", "see `pointsman schema operator`"),
    # tests
    "no-answer": ("an empty list under `upstream:` of a test", "leave `upstream` away for the default answer"),
    "no-expectation": ("a test that cannot fail", "say under `expect:` what must hold"),
    "one-answer": ("a canned answer that is two things at once", "write a list: one answer per call"),
    "one-body": ("`raw` beside `body` or `files`", "keep one of them"),
    "request-or-steps": ("a test with both `request` and `steps`", "make the request the first step"),
    "unknown-key-name": ("a test that calls with a key the file does not define", "use a `name` of `keys`"),
    "unknown-rule": ("a rule name in `matched` that no rule has", "correct the spelling"),
}
