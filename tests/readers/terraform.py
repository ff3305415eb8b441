"""Holds each resource of a folder of Terraform's against the schema of its provider, and prints, as one JSON object by
type and name, what it would have the provider make, with the defaults of the variables.

Usage: terraform.py FOLDER [VARIABLE=VALUE ...]. A value that is no text is JSON. Exits with 1 and a line for each fault. The schema is that of
hashicorp/vault as cdktn-provider-vault carries it; `terraform validate` would need the provider itself, which no
package registry has.
"""

import importlib.util
import json
import pathlib
import re
import sys
import tarfile
import textwrap

import hcl2
from hcl_expressions import Expression

# What a validation is made of, with && between.
TERM = re.compile(r'(!?)can\(regex\(("(?:[^"\\]|\\.)*"), var\.(\w+)\)\)')
TEMPLATE = re.compile(r"\$\{((?:[^{}]|\{[^{}]*\})*)\}")
HEREDOC = re.compile(r"<<-(\w+)\n(.*\n)\s*\1", re.DOTALL)


def schemas():
    """Resource type → argument → (its type, whether it is optional)."""
    package = pathlib.Path(importlib.util.find_spec("cdktn_provider_vault").origin).parent
    with tarfile.open(next(package.glob("_jsii/*.jsii.tgz"))) as archive:
        types = json.load(archive.extractfile("package/.jsii"))["types"]
    found = {}
    for name, type_ in types.items():
        if not name.endswith("Config"):
            continue
        for argument in type_.get("properties", []):
            # Meta-arguments have no page.
            page = re.search(r"docs/resources/(\w+)#(\w+)", json.dumps(argument.get("docs", {})))
            if page:
                resource = found.setdefault("vault_" + page[1], {})
                resource[page[2]] = (argument["type"], argument.get("optional", False))
    return found


def fits(value, type_):
    if value is None or "union" in type_:
        return value is None or any(fits(value, one) for one in type_["union"]["types"])
    if "collection" in type_:
        kind, element = type_["collection"]["kind"], type_["collection"]["elementtype"]
        values = value.values() if isinstance(value, dict) else value
        return isinstance(value, {"array": list, "map": dict}[kind]) and all(fits(one, element) for one in values)
    kinds = {"string": str, "number": int, "boolean": bool}
    return type(value) is kinds.get(type_.get("primitive"))


def resolved(value, values):
    if isinstance(value, dict):
        return {name: resolved(one, values) for name, one in value.items()}
    if isinstance(value, list):
        return [resolved(one, values) for one in value]
    if not isinstance(value, str):
        return value

    def refer(name):
        if name not in values:
            sys.exit(f"{name}: refers to nothing")
        return resolved(values[name], values)

    whole = TEMPLATE.fullmatch(value)
    if whole:
        return Expression(whole[1], refer).value()
    heredoc = HEREDOC.fullmatch(value)
    value = textwrap.dedent(heredoc[2]) if heredoc else value
    return TEMPLATE.sub(lambda found: Expression(found[1], refer).value(), value).replace('\\"', '"')


def blocks(document, kind):
    return [pair for block in document.get(kind, []) for pair in block.items()]


def refusals(variables, values):
    """A line for each variable whose value its validation refuses."""
    for name, variable in variables:
        value = values[f"var.{name}"]
        for validation in variable.get("validation", []):
            condition = validation["condition"][2:-1]
            terms = TERM.findall(condition)
            if TERM.sub("", condition).split() != ["&&"] * (len(terms) - 1) or any(it[2] != name for it in terms):
                yield f"{name}: a validation that this reader does not know"
            # `$` is the end here, and not the newline before it.
            elif not all((refused == "!") != bool(re.search(json.loads(expression).replace("$", r"\Z"), value))
                         for refused, expression, _ in terms):
                yield f"{name}: {validation['error_message']}"


def loaded(folder):
    """All files of a folder, as one."""
    options = hcl2.SerializationOptions(strip_string_quotes=True, explicit_blocks=False, with_comments=False)
    document = {}
    for path in sorted(pathlib.Path(folder).glob("*.tf")):
        with open(path, encoding="utf-8") as file:
            for kind, found in hcl2.load(file, serialization_options=options).items():
                document.setdefault(kind, []).extend(found)
    return document


def given(text, variable):
    return text if variable["type"] in ("string", "${string}") else json.loads(text)


def main():
    document = loaded(sys.argv[1])
    variables = blocks(document, "variable")
    values = {f"var.{name}": variable.get("default") for name, variable in variables}
    for pair in sys.argv[2:]:
        name, text = pair.split("=", 1)
        values[f"var.{name}"] = given(text, dict(variables)[name])
    values.update({f"local.{name}": value for name, value in blocks(document, "locals")})
    resources = [(type_, *pair) for type_, named in blocks(document, "resource") for pair in named.items()]
    values.update({f"{type_}.{name}.{it}": one for type_, name, body in resources for it, one in body.items()})

    if refused := list(refusals(variables, values)):
        sys.exit("\n".join(refused))
    known, faults, made = schemas(), [], {}
    for type_, name, body in resources:
        if resolved(body.pop("count", 1), values) == 0:
            continue
        # A condition that is about several variables.
        conditions = [one for it in body.pop("lifecycle", []) for one in it["precondition"]]
        faults += [it["error_message"] for it in conditions if not resolved(it["condition"], values)]
        body = resolved(body, values)
        made[f"{type_}.{name}"] = body
        schema = known.get(type_)
        if schema is None:
            faults.append(f"{type_}: no such resource")
            continue
        faults += [f"{type_}.{name}: no argument {it}" for it in body if it not in schema]
        needed = [it for it, (_, optional) in schema.items() if not optional]
        faults += [f"{type_}.{name}: needs {it}" for it in needed if it not in body]
        wrong = [it for it, one in body.items() if it in schema and not fits(one, schema[it][0])]
        faults += [f"{type_}.{name}: another type is wanted for {it}" for it in wrong]
    if faults:
        sys.exit("\n".join(faults))
    json.dump(made, sys.stdout)


main()
