"""Holds a job of a CI against the schema of its kind, and prints it as JSON.

Usage: ci.py github-workflows|gitlab-ci FILE. Exits with 1 and a line for each fault. The schemas are those that
check-jsonschema carries.
"""

import importlib.util
import json
import pathlib
import sys

import jsonschema
import yaml


class Loader(yaml.SafeLoader):
    """As YAML 1.2 has it: `on` is a word."""


Loader.yaml_implicit_resolvers = {
    first: [(tag, expression) for tag, expression in resolvers if tag != "tag:yaml.org,2002:bool" or first in "tTfF"]
    for first, resolvers in yaml.SafeLoader.yaml_implicit_resolvers.items()
}

kind, path = sys.argv[1:]
package = pathlib.Path(importlib.util.find_spec("check_jsonschema").origin).parent
schema = json.loads((package / "builtin_schemas" / "vendor" / f"{kind}.json").read_text(encoding="utf-8"))
with open(path, encoding="utf-8") as file:
    job = yaml.load(file, Loader)
validator = jsonschema.validators.validator_for(schema)(schema)
faults = [f"{'/'.join(map(str, fault.absolute_path))}: {fault.message}" for fault in validator.iter_errors(job)]
if faults:
    sys.exit("\n".join(faults))
json.dump(job, sys.stdout)
