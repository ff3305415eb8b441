#!/usr/bin/env python3
"""Stands in for the client `vault`, in front of the `bao` that its first argument names.

Where the two differ it does as `vault` does: variables that begin with BAO_ do not exist, and a command line for curl
has its URL without quotes (hashicorp/vault, api/output_string.go). VAULT_STAND_IN names a file with what a server of
HashiCorp's has beside what OpenBao has, as JSON, by path:

  "hides":  members that no read tells
  "resets": members with their values; each is told, and one that a write does not name is gone
"""

import json
import os
import re
import subprocess
import sys


def main(bao: str, *words: str) -> int:
    env = {name: value for name, value in os.environ.items() if not name.startswith("BAO_")}
    file = env.pop("VAULT_STAND_IN", None)
    server = json.load(open(file, encoding="utf-8")) if file else {}
    at = next((word for word in words[1:] if word in server), None)

    def ask(*arguments: str, **how) -> subprocess.CompletedProcess:
        return subprocess.run([bao, *arguments], env=env, **how)

    if "-output-curl-string" in words:
        printed = ask(*words, stdout=subprocess.PIPE, text=True)
        line = re.sub(r'"(https?://[^"]*)"', r"\1", printed.stdout)
        print(line.replace("$(bao print token)", "$(vault print token)"), end="")
        return printed.returncode
    if not at:
        return ask(*words).returncode
    differs = server[at]
    if words[0] == "read":
        options = dict(word.lstrip("-").split("=", 1) for word in words if word.startswith("-"))
        printed = ask("read", "-format=json", at, stdout=subprocess.PIPE)
        if printed.returncode:
            return printed.returncode
        told = json.loads(printed.stdout)["data"] | differs.get("resets", {})
        for name in differs.get("hides", []):
            told.pop(name, None)
        return tell(told, options)
    body = json.load(sys.stdin) if "-" in words else {}
    given = {name for word in words[1:] for name, mark, _ in [word.partition("=")] if mark}
    kept = differs.get("resets", {})
    differs["resets"] = {name: value for name, value in kept.items() if body.pop(name, None) == value or name in given}
    result = ask(*words, input=json.dumps(body), text=True) if "-" in words else ask(*words)
    with open(file, "w", encoding="utf-8") as state:
        json.dump(server, state)
    return result.returncode


def tell(told: dict, options: dict) -> int:
    """Prints what was read, or a field of it, as either client does."""
    field = options.get("field")
    if field and field != "data" and told.get(field) is None:
        print(f'Field "{field}" not present in secret', file=sys.stderr)
        return 1
    value = told if field in (None, "data") else told[field]
    if options.get("format") == "json":
        print(json.dumps(value, indent=2, sort_keys=True), end="")
    elif isinstance(value, dict):
        print("\n".join(f"{name}    {plain(it)}" for name, it in sorted(value.items())))
    else:
        print(plain(value), end="")
    return 0


def plain(value) -> str:
    return str(value).lower() if isinstance(value, bool) else str(value)


sys.exit(main(*sys.argv[1:]))
