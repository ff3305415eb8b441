"""What an expression of Terraform's comes to: as much of the language as deploy/vault uses."""

import json
import re

TOKEN = re.compile(r'\s*("(?:[^"\\]|\\.)*"|[A-Za-z_][\w.-]*(?:\[\d+\])?[\w.]*|\d+|[=!]=|&&|\|\||[][(){}?:,=>!])')

FUNCTIONS = {
    "coalesce": lambda *given: next(it for it in given if it not in (None, "")),
    "concat": lambda *lists: sum(lists, []),
    "length": len,
    "merge": lambda *maps: {name: value for one in maps for name, value in one.items()},
}


class Expression:
    """Reads from the left; `refer` gives what a reference like `var.role` stands for."""

    def __init__(self, text, refer):
        self.words, self.refer, at = [], refer, 0
        while text[at:].strip():
            found = TOKEN.match(text, at)
            if not found:
                raise ValueError(f"not understood: {text[at:]}")
            self.words.append(found[1])
            at = found.end()

    def value(self):
        value = self.choice()
        if self.words:
            raise ValueError(f"not understood: {' '.join(self.words)}")
        return value

    def take(self, *words):
        if self.words and self.words[0] in words:
            return self.words.pop(0)
        return None

    def need(self, word):
        if not self.take(word):
            raise ValueError(f"{word} is wanted before {' '.join(self.words)}")

    def choice(self):
        condition = self.either()
        if not self.take("?"):
            return condition
        chosen = self.choice()
        self.need(":")
        other = self.choice()
        return chosen if condition else other

    def either(self):
        value = self.both()
        while self.take("||"):
            value = self.both() or value
        return value

    def both(self):
        value = self.compared()
        while self.take("&&"):
            value = self.compared() and value
        return value

    def compared(self):
        left = self.single()
        sign = self.take("==", "!=", ">")
        if not sign:
            return left
        right = self.single()
        return {"==": left == right, "!=": left != right}.get(sign, sign == ">" and left > right)

    def until(self, end):
        while not self.take(end):
            yield
            if not self.take(","):
                self.need(end)
                return

    def single(self):
        word = self.words.pop(0)
        if word == "[":
            return [self.choice() for _ in self.until("]")]
        if word == "{":
            return dict(self.member() for _ in self.until("}"))
        if word[0] == '"' or word.isdigit() or word in ("true", "false", "null"):
            return json.loads(word)
        if self.take("("):
            return FUNCTIONS[word](*[self.choice() for _ in self.until(")")])
        return self.refer(word.replace("[0]", ""))

    def member(self):
        name = self.words.pop(0)
        self.need("=")
        return name.strip('"'), self.choice()
