"""The corpus of scripts that the splitters in Java and in Rust share: all of them must agree."""

import json
import unittest
from pathlib import Path

from flinkdev_sql.errors import SplitError
from flinkdev_sql.splitter import split
from flinkdev_sql.variables import put

CORPUS = Path(__file__).parents[2] / "src/test/resources/corpus"
PLAIN = "; write $${ for a plain ${"


def cases(folder):
    for file in sorted(folder.glob("*.json")):
        for case in json.loads(file.read_text(encoding="utf-8")):
            yield f"{file.name}: {case['name']}", case


def told(statements):
    """Statements as the corpus has them."""
    found = []
    for statement in statements:
        line, column = statement.position
        node = {"kind": statement.kind, "line": line, "column": column, "text": statement.text}
        if statement.kind == "statement_set" or statement.inner:
            node["inner"] = told(statement.inner)
        if statement.connector:
            node["connector"] = statement.connector.name
        if statement.setting:
            node["key"] = statement.setting.key
            if statement.setting.value is not None:
                node["value"] = statement.setting.value
        found.append(node)
    return found


class CorpusTest(unittest.TestCase):
    maxDiff = None

    def test_statements(self):
        number = 0
        for name, case in cases(CORPUS):
            number += 1
            with self.subTest(name):
                try:
                    result = {"statements": told(split(case["script"]))}
                except SplitError as e:
                    result = {"error": {**e.position._asdict(), "message": e.reason}}
                key = next(iter(result))
                self.assertEqual(case[key], result[key])
        self.assertGreater(number, 100)

    def test_variables(self):
        number = 0
        for name, case in cases(CORPUS / "variables"):
            number += 1
            with self.subTest(name):
                try:
                    result = {"result": put(case["script"], case["variables"].get).text}
                except SplitError as e:
                    result = {"error": {**e.position._asdict(), "message": e.reason.removesuffix(PLAIN)}}
                key = next(iter(result))
                self.assertEqual(case[key], result[key])
        self.assertGreater(number, 30)


class GeneratedTest(unittest.TestCase):
    """Scripts that nobody wrote, made by the corpus' rule; one digest a block."""

    def test_digests(self):
        file = json.loads((CORPUS / "generated/scripts.json").read_text(encoding="utf-8"))
        self.pieces, self.state = file["pieces"], file["seed"]
        for number, expected in enumerate(file["digests"]):
            self.lines = []
            for _ in range(file["block"]):
                self.take(self.script())
            self.assertEqual(expected, f"{fnv(''.join(line + chr(10) for line in self.lines)):016x}", number)

    def next(self, bound):
        self.state = (self.state * 6364136223846793005 + 1442695040888963407) % 2**64
        return (self.state >> 33) % bound

    def script(self):
        script = []
        for _ in range(1 + self.next(24)):
            script.append(self.pieces[self.next(len(self.pieces))])
            if self.next(2) == 1:
                script.append(" ")
        return "".join(script)

    def take(self, script):
        try:
            self.statements(split(script))
        except SplitError as e:
            self.lines.append(f"!{e.position} {e.reason}")
        try:
            text = put(script, lambda name: f"it's; \"{name}\"" if len(name) == 1 else None).text
            self.lines.append("=" + text)
        except SplitError as e:
            self.lines.append(f"!{e.position}")

    def statements(self, statements):
        for statement in statements:
            self.lines.append(f"{statement.kind} {statement.position} {statement.text}")
            if statement.setting:
                self.lines.append(f"{statement.setting.key}={statement.setting.value or ''}")
            if statement.connector:
                self.lines.append(statement.connector.name)
            self.lines.append("[")
            self.statements(statement.inner)
            self.lines.append("]")


def fnv(text):
    """FNV-1a of 64 bits."""
    digest = 0xCBF29CE484222325
    for byte in text.encode("utf-8"):
        digest = ((digest ^ byte) * 0x100000001B3) % 2**64
    return digest


if __name__ == "__main__":
    unittest.main()
